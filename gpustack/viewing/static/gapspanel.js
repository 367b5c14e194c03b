/** Where focus was missed: a list, and the way there. */
import { get } from "./api.js";
import { $, digits, el } from "./dom.js";

const SIDES = {
  before: (gap) => `Before frame ${gap.frames.at(-1) ?? 0}`,
  after: (gap) => `After frame ${gap.frames[0] ?? 0}`,
  between: (gap) => `Between frames ${gap.frames.join(" and ")}`,
};

export function gapsPanel(app) {
  const { store } = app;
  const panel = $("panel-gaps");
  const say = (...children) => panel.replaceChildren(...children);
  let asked = null;
  store.on(["tab", "ready"], async () => {
    const ready = store.get("ready").has("gaps");
    if (store.get("tab") !== "gaps" || asked === ready) return;
    asked = ready;
    if (!ready) return say(el("p", {}, "The frames are still being looked at; gaps are told after that."));
    try {
      say(...told(app, await get("/api/gaps")));
    } catch (error) {
      asked = null;
      say(el("p", {}, error.message));
    }
  });
}

function told(app, { gaps, covered, advice, warnings }) {
  const share = covered === null || covered === undefined ? null : `${digits(covered * 100, 1)} % of the detail is covered.`;
  return [
    el("p", {}, gaps?.length ? `${gaps.length} places where focus was missed.` : "No gap was found."),
    share ? el("p", { class: "muted" }, share) : null,
    gaps?.length ? el("ol", { class: "gaps" }, ...gaps.map((gap) => item(app, gap))) : null,
    gaps?.length ? el("button", { type: "button", onclick: () => app.act.show("gaps") }, "Show the map") : null,
    ...[...(advice ?? []), ...(warnings ?? [])].map((sentence) => el("p", {}, sentence)),
  ].filter(Boolean);
}

function item(app, gap) {
  const name = (SIDES[gap.side] ?? (() => `Frames ${gap.frames.join(" and ")}`))(gap);
  const missed = `${digits(gap.missed_db, 1)} dB missed, ${digits(gap.share * 100, 1)} % of the detail`;
  const more = gap.more ? `; ${gap.more} more frame${gap.more > 1 ? "s" : ""} would close it` : "";
  const go = el("button", { type: "button", onclick: () => goThere(app, gap, name) }, "Go there");
  go.setAttribute("aria-label", `Go there: ${name}`);
  return el("li", {}, el("strong", {}, name), el("p", { class: "muted" }, `${missed}${more}.`), go);
}

function goThere({ picture, say, store, view }, { box }, name) {
  const [left, top] = [box[0] - picture.box[0], box[1] - picture.box[1]];
  const pin = { x: left + box[2] / 2, y: top + box[3] / 2 };
  store.set({ mark: [{ left, top, width: box[2], height: box[3] }], pin });
  view.lookAtBox(left, top, box[2], box[3]);
  say(`${name}. Esc takes the outline away.`);
}
