/** The divider between two layers, dragged or moved by keys. */
import { $, show, write } from "./dom.js";
import { layerName } from "./layers.js";

const STEP = 0.02;
const LEAP = 0.1;

export function divider(app) {
  const { picture, store } = app;
  const handle = $("divider");
  const to = (part) => store.set({ splitAt: Math.min(1, Math.max(0, part)) });
  const drag = (event) => {
    const box = app.stage.element.getBoundingClientRect();
    to((event.clientX - box.left) / box.width);
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.stopPropagation();
  });
  handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && drag(event));
  handle.addEventListener("keydown", (event) => {
    const at = store.get("splitAt");
    const next = {
      ArrowLeft: at - STEP,
      ArrowDown: at - STEP,
      ArrowRight: at + STEP,
      ArrowUp: at + STEP,
      PageDown: at - LEAP,
      PageUp: at + LEAP,
      Home: 0,
      End: 1,
    }[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    to(next);
  });
  store.on(["split", "splitAt", "layer", "other"], () => {
    const [split, at] = [store.get("split"), store.get("splitAt")];
    show(handle, split);
    handle.style.left = `${at * 100}%`;
    const [left, right] = [layerName(picture, store.get("layer")), layerName(picture, store.get("other"))];
    handle.setAttribute("aria-valuenow", String(Math.round(at * 100)));
    handle.setAttribute("aria-valuetext", `${Math.round(at * 100)} % ${left}, the rest ${right}`);
    write($("left-name"), left);
    write($("right-name"), right);
    show($("left-name"), split || store.get("layer") !== "result");
    show($("right-name"), split);
    $("compare").setAttribute("aria-pressed", String(split));
  });
}
