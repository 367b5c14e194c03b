/** The canvas: which layers are drawn where, what is drawn over them, and which tiles that needs. */
import { Ghosts } from "./ghost.js";
import { drawLayer, needed } from "./painter.js";
import { isMap, isOverlay } from "./layers.js";

export class Stage {
  #app;
  #canvas;
  #context;
  #ghosts;
  #due = 0;
  #drawers = [];

  constructor(app, element, canvas) {
    this.#app = app;
    this.element = element;
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#ghosts = new Ghosts(app.picture, app.tiles);
    this.#followSize();
    const drawn = [
      "layer",
      "other",
      "split",
      "splitAt",
      "strength",
      "stroke",
      "pending",
      "mark",
      "gaps",
      "dark",
      "ready",
    ];
    app.store.on([...drawn, "hover", "byKeys", "cross", "tool", "radius", "pin", "corners", "preview"], () =>
      this.redraw(),
    );
  }

  /** draw(context, view) is called after each drawing, to draw over it. */
  over(draw) {
    this.#drawers.push(draw);
  }

  /** Device pixels for a CSS pixel, as the stage has them. */
  get ratio() {
    return this.#canvas.width / Math.max(1, this.element.clientWidth);
  }

  /** The place on the stage, in device pixels, of a pointer's event. */
  at(event) {
    const box = this.element.getBoundingClientRect();
    return { x: (event.clientX - box.left) * this.ratio, y: (event.clientY - box.top) * this.ratio };
  }

  /** The sides that are seen: [{layer, x0, x1}], x in device pixels. */
  get sides() {
    const { store, view } = this.#app;
    const layer = store.get("layer");
    if (!store.get("split")) return [{ layer, x0: 0, x1: view.width }];
    const middle = Math.round(store.get("splitAt") * view.width);
    return [
      { layer, x0: 0, x1: middle },
      { layer: store.get("other"), x0: middle, x1: view.width },
    ].filter(({ x0, x1 }) => x1 > x0);
  }

  /** Draws soon, once for all that has changed until then. */
  redraw() {
    if (!this.#due) this.#due = requestAnimationFrame(() => this.#draw());
  }

  /** Sizes the canvas in device pixels, exactly where the browser tells them. */
  #followSize() {
    const watcher = new ResizeObserver(([entry]) => {
      const exact = entry.devicePixelContentBoxSize?.[0];
      const width = counted(exact?.inlineSize, entry.contentRect.width);
      const height = counted(exact?.blockSize, entry.contentRect.height);
      this.#canvas.width = Math.max(1, width);
      this.#canvas.height = Math.max(1, height);
      this.#app.view.resize(width, height);
      cancelAnimationFrame(this.#due);
      this.#draw(); // At once: a canvas that was given a size is black.
    });
    try {
      watcher.observe(this.element, { box: "device-pixel-content-box" });
    } catch {
      watcher.observe(this.element);
    }
  }

  #draw() {
    this.#due = 0;
    const { view } = this.#app;
    const context = this.#context;
    context.reset();
    context.fillStyle = getComputedStyle(this.element).getPropertyValue("--surround");
    context.fillRect(0, 0, view.width, view.height);
    for (const side of this.sides) this.#drawSide(context, side);
    for (const draw of this.#drawers) {
      context.save();
      draw(context, view);
      context.restore();
    }
    this.#want();
  }

  #drawSide(context, { layer, x0, x1 }) {
    const { picture, store, tiles, view } = this.#app;
    const part = this.#part(x0, x1);
    const see = store.get("strength");
    if (part[0] >= part[2] || part[1] >= part[3]) return;
    if (this.#seesThrough(layer)) drawLayer(context, picture, tiles, "result", view, part);
    context.globalAlpha = isMap(picture, layer) ? see : 1;
    drawLayer(context, picture, tiles, layer, view, part);
    context.globalAlpha = 1;
    const running = store.get("stroke");
    if (layer === "result")
      for (const stroke of store.get("pending")) this.#ghost(context, stroke, part, false);
    if (running) this.#ghost(context, layer === "result" ? running : { ...running, layer: null }, part, true);
    else if (layer === "result" && store.get("preview") && store.get("peek"))
      this.#ghost(context, store.get("preview"), part, false);
  }

  /** Whether the picture is drawn beneath a layer. */
  #seesThrough(layer) {
    const { picture, store } = this.#app;
    return isOverlay(picture, layer) || (isMap(picture, layer) && store.get("strength") < 1);
  }

  #ghost(context, stroke, part, outlined) {
    this.#ghosts.draw(context, this.#app.view, stroke, part, outlined);
  }

  /** What of the picture lies between two columns of the stage. */
  #part(x0, x1) {
    const { view } = this.#app;
    const [left, top, right, bottom] = view.seen;
    return [Math.max(left, view.toPicture(x0, 0).x), top, Math.min(right, view.toPicture(x1, 0).x), bottom];
  }

  /** Asks for the tiles of all sides, of a map's picture beneath, and of what is painted from. */
  #want() {
    const { picture, store, tiles, view } = this.#app;
    const ask = (layer, part) => needed(picture, tiles, layer, view.scale, part);
    const wanted = this.sides.flatMap(({ layer, x0, x1 }) => {
      const below = this.#seesThrough(layer) ? ask("result", this.#part(x0, x1)) : [];
      return [...ask(layer, this.#part(x0, x1)), ...below];
    });
    for (const stroke of [store.get("stroke"), store.get("preview"), ...store.get("pending")])
      if (stroke?.layer) wanted.push(...ask(stroke.layer, inside(this.#ghosts.touched(stroke), view.seen)));
    const ready = store.get("ready");
    tiles.want(wanted.filter(({ layer }) => !isMap(picture, layer) || ready.has(layer)));
    this.element.setAttribute("aria-busy", String(tiles.busy));
    this.#settle();
  }

  /** Painted tiles have come: their ghosts go. */
  #settle() {
    const { store, tiles } = this.#app;
    const pending = store.get("pending");
    if (pending.length && !tiles.busy) store.set({ pending: pending.filter(({ sent }) => !sent) });
  }
}

/** Device pixels as the browser counts them; some do not count those of an emulated screen. */
function counted(exact, length) {
  const about = length * devicePixelRatio;
  return Math.abs((exact ?? Infinity) - about) <= 1 ? exact : Math.round(about);
}

function inside([a, b, c, d], [e, f, g, h]) {
  return [Math.max(a, e), Math.max(b, f), Math.min(c, g), Math.min(d, h)];
}
