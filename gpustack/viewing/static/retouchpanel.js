/** The panel of the brush: what it paints from, how large and soft it is, and what becomes of the edits. */
import { $, el, keep, show, write } from "./dom.js";
import { frameName } from "./layers.js";

export function retouchPanel(app) {
  const panel = $("panel-retouch");
  if (!app.picture.edits)
    return panel.append(el("p", {}, "This result cannot be retouched: see the warnings under View."));
  panel.append(source(app), shape(app), state(app));
  return undefined;
}

function source({ picture, store }) {
  const what = el(
    "select",
    { id: "source", onchange: () => store.set({ source: what.value }) },
    el("option", { value: "sharpest" }, "The sharpest frame under the brush"),
    el("option", { value: "frame" }, "A chosen frame"),
    ...picture.others
      .filter(({ source }) => source !== null) // null: too far away to be named in the list
      .map(({ id, name }) => el("option", { value: id }, `Another result: ${name}`)),
    el("option", { value: "fused" }, "The fused picture, without edits"),
  );
  const frames = picture.frames.map((_, index) =>
    el("option", { value: String(index) }, frameName(picture, index)),
  );
  const choose = () => store.set({ source: "frame", sourceFrame: Number(which.value) });
  const which = el("select", { "aria-label": "Frame to paint from", onchange: choose }, ...frames);
  store.on(["source", "sourceFrame"], () => {
    what.value = store.get("source");
    which.value = String(store.get("sourceFrame"));
    show(which, store.get("source") === "frame");
  });
  return el(
    "fieldset",
    {},
    el("legend", {}, "Paint from"),
    el("label", { for: "source", class: "unseen" }, "Source"),
    what,
    which,
    el("p", { class: "muted" }, "Alt with the wheel, or , and . take the frame before or after."),
    tick(store, "match", "Match the brightness at the rim"),
    tick(store, "peek", "Show the source inside the brush"),
  );
}

function shape({ store }) {
  const title = el("legend", {});
  const radius = number(store, { key: "radius", name: "Radius", unit: "px", least: 1, most: 2000, step: 1 });
  const hardness = number(store, {
    key: "hardness",
    name: "Hardness",
    unit: "%",
    least: 0,
    most: 100,
    step: 1,
    of: 100,
  });
  const opacity = number(store, {
    key: "opacity",
    name: "Opacity",
    unit: "%",
    least: 1,
    most: 100,
    step: 1,
    of: 100,
  });
  const feather = number(store, {
    key: "feather",
    name: "Feather",
    unit: "px",
    least: 0,
    most: 500,
    step: 1,
  });
  store.on(["tool"], () => {
    const polygon = store.get("tool") === "polygon";
    write(title, polygon ? "Polygon" : store.get("tool") === "eraser" ? "Eraser" : "Brush");
    for (const row of [radius, hardness]) show(row, !polygon);
    show(feather, polygon);
  });
  return el("fieldset", {}, title, radius, hardness, feather, opacity);
}

function state(app) {
  const { edits, store } = app;
  const counts = el("p", { id: "counts" });
  const button = (text, act) => el("button", { type: "button", onclick: act }, text);
  const clear = button("Take all away", () => edits.clear());
  const save = button("Save", () => edits.save());
  const saved = el("div", { class: "saved", hidden: true });
  store.on(["undo", "redo", "unsaved"], () => {
    const [undo, redo] = [store.get("undo") ?? 0, store.get("redo") ?? 0];
    const strokes = undo === 1 ? "1 step to undo" : `${undo} steps to undo`;
    write(
      counts,
      `${strokes}${redo ? `, ${redo} to redo` : ""}${store.get("unsaved") ? "; not saved" : ""}.`,
    );
    clear.disabled = undo === 0;
    save.disabled = !store.get("unsaved");
  });
  store.on(["saved", "unsaved"], () => {
    const found = store.get("saved");
    show(saved, Boolean(found));
    if (found) saved.replaceChildren(...told(app, found, store.get("unsaved")));
  });
  const buttons = el("div", { class: "row" }, save, clear);
  return el("fieldset", {}, el("legend", {}, "Edits"), counts, buttons, saved);
}

/** What was saved where, and the command that paints it at full depth. */
function told({ say }, { file, command }, outdated) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      say("The command is copied.");
    } catch {
      say("The browser does not let it be copied: mark it and press Ctrl+C.");
    }
  };
  return [
    el("p", {}, `Saved as ${file}${outdated ? ", without what came after" : ""}. This makes the picture:`),
    el("code", { id: "command", tabindex: "0", role: "group", "aria-label": "Command" }, command),
    el("button", { type: "button", onclick: copy }, "Copy the command"),
  ];
}

function tick(store, key, text) {
  const box = el("input", { type: "checkbox", id: `set-${key}` });
  box.addEventListener("change", () => {
    keep(key, box.checked);
    store.set({ [key]: box.checked });
  });
  store.on([key], () => (box.checked = store.get(key)));
  return el("label", { class: "choice" }, box, el("span", {}, text));
}

/** A slider with a field for the number; `of` is what 1 is in the field. */
function number(store, { key, name, unit, least, most, step, of = 1 }) {
  const id = `set-${key}`;
  const range = el("input", {
    type: "range",
    min: "0",
    max: "1",
    step: "any",
    "aria-label": name,
    tabindex: "-1",
  });
  const field = el("input", { id, type: "number", min: least, max: most, step });
  const set = (value) => {
    if (Number.isNaN(value)) return;
    const held = Math.min(most, Math.max(least, value)) / of;
    keep(key, held);
    store.set({ [key]: held });
  };
  // Radii are felt by ratio: half of the slider is the root of the largest.
  const bent = key === "radius";
  const part = (value) =>
    bent ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
  const whole = (at) => Math.round(bent ? least * (most / least) ** at : least + at * (most - least));
  range.addEventListener("input", () => set(whole(range.valueAsNumber)));
  field.addEventListener("change", () => set(field.valueAsNumber));
  store.on([key], () => {
    const value = store.get(key) * of;
    field.value = String(Math.round(value * 10) / 10);
    range.value = String(part(value));
  });
  return el("div", { class: "number-row" }, el("label", { for: id }, `${name} (${unit})`), range, field);
}
