/** The polygon: corners by clicks, closed by a double click or Enter, then handed to the edits. */
import { sourceAt } from "./sources.js";

const CLOSE_PX = 8;
const FEWEST = 3;

export class Polygon {
  pans = false;
  #app;
  #source = null;
  #before = []; // the corners before the finger or button went down

  constructor(app) {
    this.#app = app;
    app.store.on(["tool"], () => this.cancel());
  }

  down({ x, y }) {
    const { store, stage, view } = this.#app;
    const corners = (this.#before = store.get("corners"));
    const close = (CLOSE_PX * stage.ratio) / view.scale;
    const near = ([a, b]) => Math.hypot(x - a, y - b) < close;
    if (corners.length >= FEWEST && (near(corners[0]) || near(corners.at(-1)))) return void this.fill();
    if (corners.length && near(corners.at(-1))) return;
    if (!corners.length) this.#begin({ x, y });
    store.set({ corners: [...corners, [x, y]] });
  }

  move() {}

  up() {}

  /** Takes the last corner away. */
  back() {
    this.#app.store.set({ corners: this.#app.store.get("corners").slice(0, -1) });
  }

  /** What went down was the first of two fingers. */
  drop() {
    this.#app.store.set({ corners: this.#before });
  }

  cancel() {
    this.#source = null;
    this.#app.store.set({ corners: [] });
  }

  async fill() {
    const { edits, say, store } = this.#app;
    const [corners, source] = [store.get("corners"), this.#source];
    if (corners.length < FEWEST) return say("A polygon needs three corners.");
    const { feather, opacity, match } = Object.fromEntries(
      ["feather", "opacity", "match"].map((key) => [key, store.get(key)]),
    );
    this.cancel();
    await edits.add({ kind: "polygon", points: corners, feather, opacity, match, layer: null }, source);
  }

  /** A corner by the keyboard. */
  toggle(point) {
    this.down(point);
  }

  wheel(direction) {
    this.#app.act.neighbour(direction);
  }

  /** As of a stroke, the sharpest frame is that where it begins. */
  #begin(point) {
    const source = sourceAt(this.#app, point);
    this.#source = source;
    source.catch((error) => {
      if (this.#source !== source) return;
      this.cancel();
      this.#app.say(error.message, "alert");
    });
  }
}
