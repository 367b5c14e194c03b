/** How sharp each frame is at a place: drawn by hand, and a slider over the frames. */
import { svg, write } from "./dom.js";
import { frameName, frameOf } from "./layers.js";
import { bestFrame } from "./sources.js";

const HEIGHT = 84;
const ROOM = { left: 8, right: 8, top: 12, bottom: 16 };
const DOTS = 60; // With more frames than this, dots would run into each other.

export class Curve {
  #app;
  #host;
  #text;
  #width = 280;

  constructor(app, host, text) {
    this.#app = app;
    this.#host = host;
    this.#text = text;
    host.setAttribute("role", "slider");
    host.setAttribute("tabindex", "0");
    host.setAttribute("aria-label", "Frame to look at, over its sharpness here");
    host.setAttribute("aria-valuemin", "0");
    host.setAttribute("aria-valuemax", String(app.picture.frames.length - 1));
    host.addEventListener("pointerdown", (event) => this.#pick(event));
    host.addEventListener("pointermove", (event) => event.buttons & 1 && this.#pick(event));
    host.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(([entry]) => this.#resize(entry.contentRect.width)).observe(host);
    app.store.on(["at", "pinned", "layer", "other", "split", "frame"], () => this.draw());
  }

  get #found() {
    const { store } = this.#app;
    return store.get("pinned") ?? store.get("at");
  }

  /** The frame that is looked at, or the one to begin from. */
  get #looked() {
    const { store } = this.#app;
    const shown = frameOf(store.get("split") ? store.get("other") : store.get("layer"));
    return shown ?? store.get("frame");
  }

  draw() {
    const found = this.#found;
    const looked = this.#looked;
    const value = found?.curve?.find(([index]) => index === looked)?.[1];
    const name = frameName(this.#app.picture, looked);
    this.#host.setAttribute("aria-valuenow", String(looked));
    const sharpness = value === undefined ? "" : `, sharpness ${value.toFixed(2)}`;
    this.#host.setAttribute("aria-valuetext", `frame ${name}${sharpness}`);
    this.#host.replaceChildren(this.#picture(found, looked));
    write(this.#text, this.#sentence(found));
  }

  #sentence(found) {
    if (!found)
      return "Point at the picture: the curve tells which frame is sharpest there. A click pins it.";
    const { picture, store } = this.#app;
    const pinned = store.get("pinned") ? "Pinned (Esc lets go). " : "";
    if (!found.curve?.length)
      return `${pinned}The sharpness of the frames is ${store.get("working") ? "still being measured" : "not known"} here.`;
    const [frame, sharpest] = [found.frame, bestFrame(found)];
    if (sharpest === null) return `${pinned}No frame shows detail here.`;
    const best = `${pinned}Sharpest is ${frameName(picture, sharpest)}`;
    if (frame === null || frame === undefined || frame === sharpest)
      return `${best}${frame === sharpest ? ", and the pixel comes from it" : ""}.`;
    return `${best}; the pixel comes mostly from ${frameName(picture, frame)}.`;
  }

  #picture(found, looked) {
    const last = Math.max(1, this.#app.picture.frames.length - 1);
    const across = this.#width - ROOM.left - ROOM.right;
    const x = (index) => ROOM.left + (index / last) * across;
    const y = (value) => ROOM.top + (1 - value) * (HEIGHT - ROOM.top - ROOM.bottom);
    const floor = y(0);
    const picture = svg("svg", { width: this.#width, height: HEIGHT, "aria-hidden": "true" });
    picture.append(
      svg("line", { class: "axis", x1: ROOM.left, x2: ROOM.left + across, y1: floor, y2: floor }),
    );
    const aside = (index) => (found?.frame === index ? 8 : 0); // of the arrow
    picture.append(
      word(ROOM.left + aside(0), "start", "0"),
      word(ROOM.left + across - aside(last), "end", String(last)),
    );
    const curve = found?.curve ?? [];
    picture.append(
      svg("line", { class: "looked", x1: x(looked), x2: x(looked), y1: ROOM.top - 6, y2: floor }),
    );
    if (!curve.length) return picture;
    const points = curve.map(([index, value]) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    picture.append(svg("polyline", { class: "line", points }));
    if (curve.length <= DOTS)
      for (const [index, value] of curve)
        picture.append(svg("circle", { cx: x(index), cy: y(value), r: 1.8 }));
    if (found.frame !== null && found.frame !== undefined) picture.append(arrow(x(found.frame)));
    const best = curve.find(([index]) => index === bestFrame(found));
    if (best) picture.append(svg("circle", { class: "best", cx: x(best[0]), cy: y(best[1]), r: 4.5 }));
    return picture;
  }

  #resize(width) {
    if (width === this.#width || width < 1) return;
    this.#width = width;
    this.draw();
  }

  #pick(event) {
    const box = this.#host.getBoundingClientRect();
    const part = (event.clientX - box.left - ROOM.left) / (this.#width - ROOM.left - ROOM.right);
    this.#show(Math.round(part * (this.#app.picture.frames.length - 1)));
  }

  #key(event) {
    const last = this.#app.picture.frames.length - 1;
    const to = {
      ArrowUp: this.#looked + 1,
      ArrowRight: this.#looked + 1,
      ArrowDown: this.#looked - 1,
      ArrowLeft: this.#looked - 1,
      PageUp: this.#looked + 10,
      PageDown: this.#looked - 10,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#show(to);
  }

  #show(index) {
    this.#app.act.showFrame(Math.min(this.#app.picture.frames.length - 1, Math.max(0, index)));
  }
}

function word(x, anchor, text) {
  return svg("text", { x, y: HEIGHT - 3, "text-anchor": anchor }, text);
}

/** The frame that won: an arrow from below. */
function arrow(x) {
  const y = HEIGHT - ROOM.bottom;
  return svg("path", { class: "won", d: `M${x} ${y}l-5 8h10z` });
}
