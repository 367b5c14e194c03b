/** The edits as the server keeps them: added, undone, redone, cleared and saved, one after another. */
import { get, post } from "./api.js";

export class Edits {
  #app;
  #line = Promise.resolve();

  constructor(app) {
    this.#app = app;
  }

  /** What is there from earlier. */
  async load() {
    if (!this.#app.picture.edits) return;
    const found = await get("/api/edits");
    const undo = found.undo ?? found.strokes?.length ?? 0;
    this.#app.store.set({ undo, redo: found.redo ?? found.undone ?? 0, unsaved: found.unsaved ?? false });
  }

  /** A stroke in places of the picture; source: the promise of what it is painted from. */
  async add(stroke, source) {
    const shown = { ...stroke, sent: false };
    this.#pend(null, shown);
    try {
      const { json, layer, name } = await source;
      const known = { ...shown, layer };
      this.#pend(shown, known);
      await this.#turn(() => this.#send("/api/edits/add", this.#listed(stroke, json)), known);
      this.#app.say(`Painted from ${name}.`);
    } catch (error) {
      this.#unpend(stroke.points);
      this.#app.say(error.message, "alert");
    }
  }

  undo() {
    return this.#step("/api/edits/undo", "undo", "Undone.", "There is nothing to undo.");
  }

  redo() {
    return this.#step("/api/edits/redo", "redo", "Done again.", "There is nothing to redo.");
  }

  clear() {
    return this.#step("/api/edits/clear", "undo", "All edits are taken away. Undo brings them back.", "");
  }

  /** Writes the list beside the picture. */
  save() {
    if (!this.#app.picture.edits) return undefined;
    return this.#turn(async () => {
      const saved = await post("/api/edits/save");
      this.#app.store.set({ saved, unsaved: false });
      this.#app.say(`Saved ${saved.file}.`);
    }).catch((error) => this.#app.say(error.message, "alert"));
  }

  #step(path, counter, done, nothing) {
    return this.#turn(async () => {
      if (!this.#app.store.get(counter)) return nothing && this.#app.say(nothing);
      await this.#send(path);
      return this.#app.say(done);
    }).catch((error) => this.#app.say(error.message, "alert"));
  }

  /** One request at a time, in the order in which they were made; `ghost` goes when its tiles have come. */
  #turn(act, ghost) {
    const turn = this.#line.then(act).then(() => ghost && this.#pend(ghost, { ...ghost, sent: true }));
    this.#line = turn.catch(() => {});
    return turn;
  }

  async #send(path, body) {
    const { rev, dirty, undo, redo, unsaved } = await post(path, body);
    const { picture, store, tiles } = this.#app;
    if (dirty) {
      const [left, top, width, height] = [
        dirty[0] - picture.box[0],
        dirty[1] - picture.box[1],
        dirty[2],
        dirty[3],
      ];
      tiles.changed("result", rev, [left, top, left + width, top + height]);
    }
    store.set({ undo, redo, rev, unsaved: unsaved ?? true });
  }

  /** As the list wants it: positions in the upright reference. */
  #listed({ layer, points, ...stroke }, source) {
    const [left, top] = this.#app.picture.box;
    const places = points.map(([x, y]) => [rounded(x + left), rounded(y + top)]);
    return { ...stroke, points: places, source };
  }

  #pend(old, stroke) {
    const { store } = this.#app;
    store.set({ pending: [...store.get("pending").filter((each) => each !== old), stroke] });
  }

  #unpend(points) {
    const { store } = this.#app;
    store.set({ pending: store.get("pending").filter((each) => each.points !== points) });
  }
}

/** A hundredth of a pixel is finer than anybody paints. */
function rounded(value) {
  return Math.round(value * 100) / 100;
}
