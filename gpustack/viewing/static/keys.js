/** Every key, once: what it does, and how the help tells it. */
import { $, el, keep, kept } from "./dom.js";

const PAN = 48; // CSS pixels
const FINE = 4;
const GROW = 1.15;

/** Group, keys, what the help says (or nothing), and the act; a key with Ctrl works in fields, too. */
function bindings({ act, edits, point, stage, store, view }) {
  const pan = (x, y) => (event) => {
    const step = (event.shiftKey ? FINE : PAN) * stage.ratio;
    act.walk(x * step, y * step);
  };
  const grow = (key, change, least, most) => () =>
    store.set({ [key]: Math.min(most, Math.max(least, change(store.get(key)))) });
  const show = (id) => () => act.show(id);
  const tool = (name) => () => act.tool(name);
  return [
    ["Picture", ["ArrowLeft"], null, pan(-1, 0)],
    ["Picture", ["ArrowRight"], null, pan(1, 0)],
    ["Picture", ["ArrowUp"], null, pan(0, -1)],
    ["Picture", ["ArrowDown"], null, pan(0, 1)],
    ["Picture", ["+", "="], "Zoom in", () => view.step(1, act.anchor())],
    ["Picture", ["-"], "Zoom out", () => view.step(-1, act.anchor())],
    ["Picture", ["0"], "The whole picture", () => view.fit()],
    ["Picture", ["1"], "100 %: a picture pixel for each pixel of the screen", () => act.full()],
    ["Picture", ["n"], "Overview on and off", () => store.set({ overview: !store.get("overview") })],
    ["Layers", ["r"], "Result", show("result")],
    ["Layers", ["o"], "Result without edits", show("original")],
    ["Layers", ["d"], "Depth", show("depth")],
    ["Layers", ["c"], "Confidence", show("confidence")],
    ["Layers", ["w"], "Sharpest frame of each pixel", show("winners")],
    ["Layers", ["g"], "Gaps", show("gaps")],
    ["Layers", ["f"], "The frame looked at; the sharpest one here if there is none", () => act.frameHere()],
    ["Layers", ["."], "Next frame (with a brush: paints from it)", () => act.neighbour(1)],
    ["Layers", [","], "Frame before", () => act.neighbour(-1)],
    ["Layers", ["y"], "Compare two layers", () => act.compare(!store.get("split"))],
    ["Layers", ["x"], "Swap the sides", () => act.swap()],
    ["Layers", ["k"], "Pin the curve to this place", () => act.pin(point.place)],
    ["Retouch", ["h"], "Hand: move the picture", tool("hand")],
    ["Retouch", ["b"], "Brush", tool("brush")],
    ["Retouch", ["e"], "Eraser", tool("eraser")],
    ["Retouch", ["p"], "Polygon", tool("polygon")],
    ["Retouch", ["["], "Smaller brush", grow("radius", (r) => r / GROW, 1, 2000)],
    ["Retouch", ["]"], "Larger brush", grow("radius", (r) => r * GROW, 1, 2000)],
    ["Retouch", ["{"], "Softer", grow("hardness", (h) => h - 0.1, 0, 1)],
    ["Retouch", ["}"], "Harder", grow("hardness", (h) => h + 0.1, 0, 1)],
    ["Retouch", ["9"], "Fainter", grow("opacity", (o) => o - 0.1, 0.1, 1)],
    ["Retouch", ["8"], "Stronger", grow("opacity", (o) => o + 0.1, 0.1, 1)],
    ["Retouch", ["m"], "Match the brightness", () => store.set({ match: !store.get("match") })],
    ["Retouch", ["s"], "Paint from the sharpest frame under the brush", () => act.sharpest()],
    ["Retouch", ["Enter"], "Brush down or up at the cross; a corner; pins the curve", () => act.enter()],
    ["Retouch", ["Shift+Enter"], "Fill the polygon", () => act.fill()],
    ["Retouch", ["Backspace"], "Take the last corner away", () => act.back()],
    ["Retouch", ["Ctrl+z"], "Undo", () => edits.undo()],
    ["Retouch", ["Ctrl+Shift+z", "Ctrl+y"], "Redo", () => edits.redo()],
    ["Retouch", ["Ctrl+s"], "Save", () => edits.save()],
    ["Page", ["\\"], "Panels on and off", () => act.side()],
    ["Page", ["l"], "Dark, light, or as the system", () => act.theme()],
    ["Page", ["Escape"], "Give up the stroke, let go of the pin and of outlines", () => act.escape()],
    ["Page", ["?"], "This list", () => $("help").showModal()],
  ].map(([group, keys, does, run]) => ({ group, keys, does, run }));
}

const BY_HAND = [
  ["Picture", "Arrow keys", "Move the cross and the picture; with Shift in small steps"],
  ["Picture", "Wheel, pinch", "Zoom"],
  ["Picture", "Drag, Space + drag", "Move the picture"],
  ["Picture", "Double click", "100 %, or the whole picture"],
  ["Retouch", "Alt + wheel", "Paint from the frame before or after"],
];

export function keys(app) {
  const all = bindings(app);
  const known = new Map(all.flatMap((binding) => binding.keys.map((key) => [key, binding])));
  const plain = $("plain-keys");
  plain.checked = kept("plainKeys", true);
  plain.addEventListener("change", () => keep("plainKeys", plain.checked));
  $("help-keys").append(...["Picture", "Layers", "Retouch", "Page"].map((group) => section(group, all)));
  addEventListener("keydown", (event) => {
    document.body.dataset.input = "keys";
    if (event.key === " ") return holdSpace(event, app.store, true);
    const binding = known.get(named(event));
    if (!binding || $("help").open || !applies(event, plain.checked)) return undefined;
    event.preventDefault();
    return binding.run(event);
  });
  addEventListener("keyup", (event) => event.key === " " && holdSpace(event, app.store, false));
}

/** "Ctrl+Shift+z", "Shift+Enter", "[": Shift is named where the key alone does not tell it. */
function named({ key, ctrlKey, metaKey, shiftKey }) {
  const name = key.length === 1 ? key.toLowerCase() : key;
  const control = ctrlKey || metaKey ? "Ctrl+" : "";
  const shift = shiftKey && (control || key === "Enter") ? "Shift+" : "";
  return `${control}${shift}${name}`;
}

/** Whether a key is meant for the page, and not for what has the focus. */
function applies({ key, ctrlKey, metaKey, altKey, target }, plain) {
  if (ctrlKey || metaKey) return true;
  if (altKey && key.length > 1) return false;
  const stage = target === document.body || target.id === "stage";
  if (key.startsWith("Arrow") || key === "Enter" || key === "Backspace") return stage;
  if (key === "Escape") return true;
  const writes = target.matches("select, textarea, input:not([type=checkbox], [type=radio], [type=range])");
  return plain && !writes;
}

function holdSpace(event, store, held) {
  const stage = event.target === document.body || event.target.id === "stage";
  if (held && !stage) return;
  if (stage) event.preventDefault();
  store.set({ space: held });
}

function section(group, all) {
  const shown = (key) =>
    key.replace(/^(Ctrl\+)?(Shift\+)?([a-z])$/, (_, c = "", s = "", k) => c + s + k.toUpperCase());
  const rows = [
    ...all
      .filter((each) => each.group === group && each.does)
      .map(({ keys, does }) => [keys.map(shown).join(" or "), does]),
    ...BY_HAND.filter(([of]) => of === group).map(([, keys, does]) => [keys, does]),
  ];
  const list = el(
    "dl",
    {},
    ...rows.flatMap(([keys, does]) => [el("dt", {}, el("kbd", {}, keys)), el("dd", {}, does)]),
  );
  return el("section", {}, el("h3", {}, group), list);
}
