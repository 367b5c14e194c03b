/**
 * Tiles: asked for when they are seen, given up when they no longer are, and kept as long as there is room.
 *
 * A tile whose pixels have changed stays on the screen until the new one is there, so nothing flickers.
 */
import { blob, Gone } from "./api.js";

const AT_ONCE = 5; // Browsers open six connections to a host: one stays free for questions.
const KEPT_BYTES = 384 * 2 ** 20;
const PIXEL_BYTES = 4;
const RETRY_MS = 5000;
const NOT_YET = 503;

export class Tiles {
  #picture;
  #changed;
  #failed;
  #revs = new Map();
  #have = new Map(); // key -> {bitmap, stale}, the longest unused first
  #bytes = 0;
  #wanted = new Map();
  #running = new Map(); // key -> AbortController
  #refused = new Map(); // key -> when it may be asked for again: refused, or only sketched

  /** changed: called when a tile has come. failed(layer, error): called when one was refused. */
  constructor(picture, changed, failed) {
    this.#picture = picture;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** The layer's tiles of a level that touch [left, top, right, bottom] of the picture. */
  of(layer, level, [left, top, right, bottom]) {
    const side = this.#picture.tile * 2 ** level;
    const found = [];
    for (let row = Math.floor(top / side); row < Math.ceil(bottom / side); row++)
      for (let column = Math.floor(left / side); column < Math.ceil(right / side); column++)
        found.push({ key: `${layer}/${level}/${column}/${row}`, layer, level, column, row, side });
    return found;
  }

  /** The picture of a tile, or undefined while it is not there. */
  bitmap(tile) {
    const found = this.#have.get(tile.key);
    if (!found) return undefined;
    this.#have.delete(tile.key);
    this.#have.set(tile.key, found);
    return found.bitmap;
  }

  /** From now on these are wanted, the first first, and no others. */
  want(tiles) {
    this.#wanted = new Map(tiles.map((tile) => [tile.key, tile]));
    for (const [key, control] of this.#running) {
      if (this.#wanted.has(key)) continue;
      this.#running.delete(key);
      control.abort();
    }
    this.#next();
  }

  /** Whether tiles that are wanted are still missing, or show what was before. */
  get busy() {
    return [...this.#wanted.values()].some((tile) => !this.#settled(tile.key));
  }

  /** Pixels of a layer have changed inside [left, top, right, bottom]; nothing is dropped. */
  changed(layer, rev, [left, top, right, bottom]) {
    this.#revs.set(layer, rev);
    for (const [key, found] of this.#have) {
      const [name, level, column, row] = key.split("/");
      const side = this.#picture.tile * 2 ** Number(level);
      const [x, y] = [Number(column) * side, Number(row) * side];
      if (name !== layer || x >= right || y >= bottom || x + side <= left || y + side <= top) continue;
      found.stale = true;
      this.#refused.delete(key);
      this.#stop(key);
    }
    for (const key of [...this.#running.keys()]) if (key.startsWith(`${layer}/`)) this.#stop(key);
    this.#next();
  }

  /** What was refused may be asked for again. */
  retry() {
    this.#refused.clear();
    this.#next();
  }

  #stop(key) {
    this.#running.get(key)?.abort();
    this.#running.delete(key);
  }

  #settled(key) {
    const found = this.#have.get(key);
    return (found && !found.stale) || (this.#refused.get(key) ?? 0) > performance.now();
  }

  #next() {
    for (const [key, tile] of this.#wanted) {
      if (this.#running.size >= AT_ONCE) return;
      if (!this.#running.has(key) && !this.#settled(key)) this.#load(tile);
    }
  }

  async #load(tile) {
    const control = new AbortController();
    this.#running.set(tile.key, control);
    try {
      const { bytes, final } = await blob(this.#address(tile), control.signal);
      const bitmap = await createImageBitmap(bytes);
      if (control.signal.aborted) return bitmap.close();
      this.#keep(tile.key, bitmap, !final);
      if (!final) this.#later(tile.key);
    } catch (error) {
      if (control.signal.aborted) return;
      this.#refuse(tile, error);
    } finally {
      if (this.#running.get(tile.key) === control) this.#running.delete(tile.key);
    }
    this.#next();
    this.#changed();
  }

  #address({ layer, level, column, row }) {
    const rev = this.#revs.get(layer) ?? this.#picture.rev;
    return `/tile/${layer}/${level}/${column}/${row}?r=${rev}`;
  }

  #refuse(tile, error) {
    this.#later(tile.key);
    const later = error instanceof Gone || error.status === NOT_YET;
    if (!later) this.#failed(tile.layer, error);
  }

  /** A tile is settled for now, and asked for again after a while. */
  #later(key) {
    this.#refused.set(key, performance.now() + RETRY_MS);
    setTimeout(() => this.#next(), RETRY_MS + 1);
  }

  #keep(key, bitmap, stale) {
    this.#drop(key);
    this.#have.set(key, { bitmap, stale });
    this.#bytes += bitmap.width * bitmap.height * PIXEL_BYTES;
    for (const old of this.#have.keys()) {
      if (this.#bytes <= KEPT_BYTES) break;
      if (!this.#wanted.has(old)) this.#drop(old);
    }
  }

  #drop(key) {
    const found = this.#have.get(key);
    if (!found) return;
    this.#bytes -= found.bitmap.width * found.bitmap.height * PIXEL_BYTES;
    found.bitmap.close();
    this.#have.delete(key);
  }
}
