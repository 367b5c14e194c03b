/**
 * What is known of a place: that under the pointer, or that under the cross, which the keyboard moves.
 *
 * `at` in the store is {x, y, ...answer} of the place that was asked for last; `pinned` the same of the pin.
 */
import { get } from "./api.js";
import { digits, write } from "./dom.js";
import { frameName } from "./layers.js";

const PAUSE_MS = 60;

export class Point {
  #app;
  #asking = null;
  #next = null;

  constructor(app, readout) {
    this.#app = app;
    app.store.on(["hover", "byKeys", "cross", "rev", "ready"], () => this.#follow());
    app.store.on(["pin", "rev", "ready"], () => this.#pinned());
    app.store.on(["at", "hover", "byKeys", "cross", "pin", "pinned"], () => write(readout, this.#text()));
  }

  /** The place that is meant, in the picture, or null. */
  get place() {
    const { store } = this.#app;
    return store.get("byKeys") ? store.get("cross") : store.get("hover");
  }

  #inside({ x, y }) {
    const { width, height } = this.#app.picture;
    return x >= 0 && y >= 0 && x < width && y < height;
  }

  #follow() {
    const place = this.place;
    if (!place || !this.#inside(place)) return;
    this.#next = place;
    if (!this.#asking) this.#ask();
  }

  /** One question at a time, about the newest place. */
  async #ask() {
    while (this.#next) {
      const place = this.#next;
      this.#next = null;
      this.#asking = this.#answer(place);
      const at = await this.#asking;
      if (at) this.#app.store.set({ at });
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
    this.#asking = null;
  }

  async #pinned() {
    const { store } = this.#app;
    const pin = store.get("pin");
    const pinned = pin ? await this.#answer(pin) : null;
    if (store.get("pin") === pin) store.set({ pinned });
  }

  async #answer({ x, y }) {
    const [left, top] = this.#app.picture.box;
    try {
      return { x, y, ...(await get(`/api/at?x=${(x + left).toFixed(2)}&y=${(y + top).toFixed(2)}`)) };
    } catch {
      return null; // The banner tells where the server has gone; a place without an answer is no event.
    }
  }

  /** Of the place that is meant, or else of the pin. */
  #text() {
    const { store } = this.#app;
    const place = this.place ?? store.get("pin");
    if (!place || !this.#inside(place)) return "";
    const at = this.place ? store.get("at") : store.get("pinned");
    const told = at && Math.hypot(at.x - place.x, at.y - place.y) < 2 ? this.#told(at) : [];
    return [`x ${Math.floor(place.x)}  y ${Math.floor(place.y)}`, ...told].join("   ·   ");
  }

  #told({ frame, depth, confidence, rgb }) {
    const { picture } = this.#app;
    const step = picture.um_per_step;
    const length = step && depth !== null ? ` (${digits(depth * step, 1)} µm)` : "";
    return [
      frame === null || frame === undefined ? null : `frame ${frameName(picture, frame)}`,
      depth === null || depth === undefined ? null : `depth ${digits(depth, 2)} frames${length}`,
      confidence === null || confidence === undefined ? null : `confidence ${digits(confidence, 2)}`,
      rgb ? `${rgb.length === 3 ? "RGB" : "value"} ${rgb.join(" ")}` : null,
    ].filter(Boolean);
  }
}
