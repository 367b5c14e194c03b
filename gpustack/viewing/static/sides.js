/** How wide the panels are: dragged or by keys, and kept. */
import { $, keep, kept } from "./dom.js";

const LEAST = 240;
const MOST = 720;
const STEP = 20;
const USUAL = 324;

export function sideWidth() {
  const grip = $("side-grip");
  let width = kept("side", USUAL);
  const set = (wanted) => {
    width = Math.round(Math.min(MOST, Math.max(LEAST, wanted)));
    document.body.style.setProperty("--side", `${width}px`);
    grip.setAttribute("aria-valuenow", String(width));
    keep("side", width);
  };
  grip.addEventListener("pointerdown", (event) => {
    grip.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  grip.addEventListener("pointermove", (event) => {
    if (grip.hasPointerCapture(event.pointerId)) set(innerWidth - event.clientX);
  });
  grip.addEventListener("dblclick", () => set(width === USUAL ? MOST : USUAL));
  grip.addEventListener("keydown", (event) => {
    const wanted = { ArrowLeft: width + STEP, ArrowRight: width - STEP, Home: MOST, End: LEAST }[event.key];
    if (wanted === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    set(wanted);
  });
  set(width);
}
