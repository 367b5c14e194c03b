/**
 * What part of the picture is seen, and how large.
 *
 * Lengths on the stage are DEVICE pixels; places in the picture are pixels of the result, whose pixel i
 * covers [i, i + 1). `scale` is device pixels for a picture pixel, so 1 is 100 % on any screen and at any
 * zoom of the browser.
 */
const STEPS = [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
const LARGEST = 32;
const GLIDE_MS = 140;
const CLOSE = 1.001;

export class View {
  width = 1;
  height = 1;
  scale = 1;
  #centre;
  #picture;
  #changed;
  #fitted = true;
  #glide = 0;

  /** picture: {width, height}. changed: called after every change. */
  constructor(picture, changed) {
    this.#picture = picture;
    this.#centre = { x: picture.width / 2, y: picture.height / 2 };
    this.#changed = changed;
  }

  /** The size of the stage in device pixels. */
  resize(width, height) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    if (this.#fitted) this.fit();
    else this.#place(this.#centre, this.scale);
  }

  /** The scale at which the whole picture is seen; small pictures are not blown up. */
  get whole() {
    return Math.min(1, this.width / this.#picture.width, this.height / this.#picture.height);
  }

  get centre() {
    return { ...this.#centre };
  }

  /** Where the picture's corner lies on the stage, whole pixels, so that 100 % is exact. */
  get origin() {
    return {
      x: Math.round(this.width / 2 - this.#centre.x * this.scale),
      y: Math.round(this.height / 2 - this.#centre.y * this.scale),
    };
  }

  /** The picture's place under a place of the stage. */
  toPicture(x, y) {
    const { x: left, y: top } = this.origin;
    return { x: (x - left) / this.scale, y: (y - top) / this.scale };
  }

  /** The stage's place of a place in the picture. */
  toStage(x, y) {
    const { x: left, y: top } = this.origin;
    return { x: left + x * this.scale, y: top + y * this.scale };
  }

  /** The part of the picture that is seen, [left, top, right, bottom]. */
  get seen() {
    const start = this.toPicture(0, 0);
    const end = this.toPicture(this.width, this.height);
    const { width, height } = this.#picture;
    return [Math.max(0, start.x), Math.max(0, start.y), Math.min(width, end.x), Math.min(height, end.y)];
  }

  fit() {
    this.#still();
    this.#place({ x: this.#picture.width / 2, y: this.#picture.height / 2 }, this.whole);
    this.#fitted = true;
  }

  get fitted() {
    return this.#fitted;
  }

  pan(dx, dy) {
    this.#still();
    this.#place({ x: this.#centre.x - dx / this.scale, y: this.#centre.y - dy / this.scale }, this.scale);
  }

  /** Puts a place of the picture into the middle. */
  lookAt(x, y, scale = this.scale) {
    this.#still();
    this.#place({ x, y }, scale);
  }

  /** A rectangle of the picture, with room around it, but not beyond 100 %. */
  lookAtBox(left, top, width, height) {
    const scale = Math.min(1, this.width / (width * 2), this.height / (height * 2));
    this.lookAt(left + width / 2, top + height / 2, Math.max(scale, this.whole));
  }

  /** Zooms so that what is under `anchor` (stage) stays there; the middle without one. */
  zoom(scale, anchor = { x: this.width / 2, y: this.height / 2 }) {
    this.#still();
    this.#zoom(scale, anchor);
  }

  /** The same, in a short movement, unless the user wants none. */
  glide(scale, anchor) {
    this.#still();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.#zoom(scale, anchor);
    const from = this.scale;
    const began = performance.now();
    const step = (now) => {
      const part = Math.min(1, Math.max(0, (now - began) / GLIDE_MS));
      this.#zoom(from * (scale / from) ** (1 - (1 - part) ** 3), anchor);
      this.#glide = part < 1 ? requestAnimationFrame(step) : 0;
    };
    this.#glide = requestAnimationFrame(step);
  }

  /** The next larger (1) or smaller (-1) of the usual scales. */
  step(direction, anchor) {
    const steps = [...STEPS, this.whole].sort((a, b) => a - b);
    const next =
      direction > 0
        ? steps.find((s) => s > this.scale * CLOSE)
        : steps.findLast((s) => s < this.scale / CLOSE);
    this.glide(next ?? this.scale, anchor);
  }

  #zoom(scale, anchor = { x: this.width / 2, y: this.height / 2 }) {
    const held = this.#bounded(scale);
    const x = this.#centre.x + (anchor.x - this.width / 2) * (1 / this.scale - 1 / held);
    const y = this.#centre.y + (anchor.y - this.height / 2) * (1 / this.scale - 1 / held);
    this.#place({ x, y }, held);
  }

  #bounded(scale) {
    return Math.min(LARGEST, Math.max(this.whole, scale));
  }

  #still() {
    cancelAnimationFrame(this.#glide);
  }

  #place({ x, y }, scale) {
    const { width, height } = this.#picture;
    this.scale = this.#bounded(scale);
    this.#centre = {
      x: held(x, this.width / this.scale, width),
      y: held(y, this.height / this.scale, height),
    };
    this.#fitted = false;
    this.#changed();
  }
}

/** The centre of a window of so many pixels, held so that any corner of the picture can come to it. */
function held(centre, window, length) {
  return window >= length * CLOSE ? length / 2 : Math.min(length, Math.max(0, centre));
}
