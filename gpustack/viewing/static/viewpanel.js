/** The panel that chooses what is seen. */
import { $, el, write } from "./dom.js";
import { fixedLayers, frameId, frameName, frameOf } from "./layers.js";

const FRAME = "frame";

export function viewPanel(app) {
  const { picture, store } = app;
  const frames = picture.frames.map((_, index) => [frameId(index), frameName(picture, index)]);
  $("panel-view").append(chooser(app, frames), comparison(app, frames), strength(app), ...settings(picture));
  store.on(["layer", "ready", "working"], () => markChoice(app));
}

function chooser(app, frames) {
  const { act, picture, store } = app;
  const choose = (id) => act.show(id === FRAME ? frameId(store.get("frame")) : id);
  const radio = (id, name) =>
    el(
      "label",
      { class: "choice" },
      el("input", { type: "radio", name: "layer", value: id, onchange: () => choose(id) }),
      el("span", {}, name),
      el("small", { class: "muted", id: `state-${id}` }),
    );
  const list = select(frames, "A frame", (id) => act.showFrame(frameOf(id)));
  store.on(["frame"], () => (list.value = frameId(store.get("frame"))));
  return el(
    "fieldset",
    {},
    el("legend", {}, "Show"),
    ...fixedLayers(picture).map((layer) => radio(layer.id, layer.name)),
    radio(FRAME, "A frame, aligned"),
    list,
  );
}

function markChoice({ picture, store }) {
  const layer = store.get("layer");
  const waiting = store.get("working") ? "being made" : "not there";
  const chosen = frameOf(layer) === null ? layer : FRAME;
  for (const input of document.querySelectorAll("input[name=layer]")) {
    const found = picture.layers.find(({ id }) => id === input.value);
    const waits = found?.kind === "map" && !store.get("ready").has(found.id);
    input.checked = input.value === chosen;
    input.disabled = waits && !input.checked;
    write($(`state-${input.value}`), waits ? waiting : "");
  }
}

function comparison({ act, picture, store }, frames) {
  const box = el("input", { type: "checkbox", onchange: (event) => act.compare(event.target.checked) });
  const groups = [
    ["Layers", fixedLayers(picture).map(({ id, name }) => [id, name])],
    ["Frames", frames],
  ];
  const right = el(
    "select",
    { "aria-label": "Right of the divider", onchange: () => store.set({ other: right.value, split: true }) },
    ...groups.map(([label, options]) => el("optgroup", { label }, ...options.map(option))),
  );
  store.on(["split", "other"], () => {
    box.checked = store.get("split");
    right.value = store.get("other");
  });
  const swap = el(
    "button",
    { type: "button", onclick: () => act.swap(), title: "Swap the sides (X)" },
    "Swap",
  );
  return el(
    "fieldset",
    {},
    el("legend", {}, "Compare"),
    el("label", { class: "choice" }, box, el("span", {}, "Divider, and on its right:")),
    el("div", { class: "row" }, right, swap),
  );
}

function strength({ store }) {
  const id = "strength";
  const range = el("input", { id, type: "range", min: "10", max: "100", step: "5" });
  range.addEventListener("input", () => store.set({ strength: range.valueAsNumber / 100 }));
  const shown = el("output", { for: id });
  store.on(["strength"], () => {
    range.value = String(Math.round(store.get("strength") * 100));
    shown.textContent = `${range.value} %`;
  });
  return el(
    "fieldset",
    {},
    el("legend", {}, "Maps"),
    el("label", { for: id }, "How much a map hides the picture"),
    el("div", { class: "row" }, range, shown),
  );
}

/** What the picture was made with, and what was said then. */
function settings({ settings: made, warnings }) {
  const rows = Object.entries(made ?? {}).filter(([, value]) => value !== null && typeof value !== "object");
  const table = el(
    "dl",
    {},
    ...rows.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, String(value))]),
  );
  return [
    warnings?.length
      ? el(
          "section",
          {},
          el("h3", {}, "Warnings"),
          el("ul", {}, ...warnings.map((text) => el("li", {}, text))),
        )
      : null,
    rows.length ? el("details", {}, el("summary", {}, "Settings of the stack"), table) : null,
  ].filter(Boolean);
}

function select(options, label, chosen) {
  const list = el(
    "select",
    { "aria-label": label, onchange: () => chosen(list.value) },
    ...options.map(option),
  );
  return list;
}

function option([value, text]) {
  return el("option", { value }, text);
}
