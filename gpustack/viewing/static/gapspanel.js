/** Where focus was missed: a list, and the way there. */
import { get } from "./api.js";
import { $, digits, el } from "./dom.js";

const LATER = "The frames are still being looked at; gaps are told after that.";
const NEVER = "Gaps cannot be told: the frames could not be looked at.";
const SIDES = {
  before: (gap) => `Before frame ${gap.frames.at(-1) ?? 0}`,
  after: (gap) => `After frame ${gap.frames[0] ?? 0}`,
  between: (gap) => `Between frames ${gap.frames.join(" and ")}`,
};

export function gapsPanel(app) {
  const { store } = app;
  const panel = $("panel-gaps");
  const say = (...children) => panel.replaceChildren(...children);
  let asked = false;
  store.on(["tab", "layer", "other", "ready", "working"], async () => {
    const ready = store.get("ready").has("gaps");
    const seen = [store.get("tab"), store.get("layer"), store.get("other")].includes("gaps");
    if (!seen || (asked && ready)) return undefined;
    asked = ready;
    if (!ready) return say(el("p", {}, store.get("working") ? LATER : NEVER));
    try {
      const found = await get("/api/gaps");
      store.set({ gaps: (found.gaps ?? []).map(({ box }) => inResult(app.picture, box)) });
      return say(...told(app, found));
    } catch (error) {
      asked = false;
      return say(el("p", {}, error.message));
    }
  });
}

/** A box of the upright reference in pixels of the result. */
function inResult(picture, [left, top, width, height]) {
  return { left: left - picture.box[0], top: top - picture.box[1], width, height };
}

function told(app, { known, gaps, covered, advice, warnings }) {
  if (known === false)
    return [el("p", {}, "Gaps cannot be told of this stack: that takes five frames at least.")];
  const share =
    covered === null || covered === undefined
      ? null
      : `${digits(covered * 100, 1)} % of the detail is covered.`;
  return [
    el("p", {}, gaps?.length ? `${gaps.length} places where focus was missed.` : "No gap was found."),
    share ? el("p", { class: "muted" }, share) : null,
    gaps?.length ? el("ol", { class: "gaps" }, ...gaps.map((gap) => item(app, gap))) : null,
    gaps?.length
      ? el("button", { type: "button", onclick: () => app.act.show("gaps") }, "Show the map")
      : null,
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
  const there = inResult(picture, box);
  const { left, top, width, height } = there;
  store.set({ mark: [there], pin: { x: left + width / 2, y: top + height / 2 } });
  view.lookAtBox(left, top, width, height);
  say(`${name}. Esc takes the outline away.`);
}
