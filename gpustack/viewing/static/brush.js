/** The brush and the eraser: lead along points, then handed to the edits. */
import { knownSource, sourceAt } from "./sources.js";

const MOST_POINTS = 4000;
const SPACING = 1 / 12; // of the radius

export class Brush {
  pans = false;
  #app;
  #source = null; // the promise of what is painted from
  #spacing = 1;

  constructor(app) {
    this.#app = app;
    app.store.on(["tool"], () => this.cancel());
  }

  down({ x, y }) {
    const { store } = this.#app;
    const known = knownSource(this.#app);
    const { radius, hardness, opacity, match } = this.#settings();
    this.#spacing = Math.max(radius * SPACING, 1 / this.#app.view.scale);
    store.set({
      preview: null,
      stroke: {
        kind: "brush",
        points: [[x, y]],
        radius,
        hardness,
        opacity,
        match,
        layer: known?.layer ?? null,
      },
    });
    const source = sourceAt(this.#app, { x, y });
    this.#source = source;
    const running = (act) => (found) => this.#source === source && act.call(this, found);
    source.then(running(this.#showFrom)).catch(running(this.#refuse));
  }

  move(places) {
    const { store } = this.#app;
    const stroke = store.get("stroke");
    if (!stroke) return;
    const points = [...stroke.points];
    for (const { x, y } of places) {
      const [lastX, lastY] = points.at(-1);
      if (Math.hypot(x - lastX, y - lastY) >= this.#spacing) points.push([x, y]);
    }
    if (points.length > MOST_POINTS) this.#spacing *= 2;
    const kept = points.length > MOST_POINTS ? points.filter((_, index) => index % 2 === 0) : points;
    if (points.length > stroke.points.length) store.set({ stroke: { ...stroke, points: kept } });
  }

  async up() {
    const { edits, store } = this.#app;
    const [stroke, source] = [store.get("stroke"), this.#source];
    if (!stroke) return;
    this.#source = null;
    store.set({ stroke: null });
    await edits.add(stroke, source);
  }

  drop() {
    this.cancel();
  }

  cancel() {
    this.#source = null;
    this.#app.store.set({ stroke: null });
  }

  /** Pen down or up by the keyboard; the view moves under it. */
  toggle(point) {
    if (this.#app.store.get("stroke")) return this.up();
    return this.down(point);
  }

  wheel(direction) {
    this.#app.act.neighbour(direction);
  }

  #settings() {
    const { store } = this.#app;
    return Object.fromEntries(["radius", "hardness", "opacity", "match"].map((key) => [key, store.get(key)]));
  }

  #showFrom({ layer }) {
    this.#app.store.set({ stroke: { ...this.#app.store.get("stroke"), layer } });
  }

  #refuse(error) {
    this.cancel();
    this.#app.say(error.message, "alert");
  }
}
