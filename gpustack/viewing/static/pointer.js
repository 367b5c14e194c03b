/**
 * Mouse, pen and fingers on the stage.
 *
 * A tool is {pans, down(point), move(points), up(), drop(), tap(point), wheel(direction)}, in places of the
 * picture. The picture is moved with the hand, with space or the middle button held, and with two fingers,
 * which also zoom; a finger that has begun a stroke drops it when a second one comes.
 */
const TAP_PX = 5;
const DOUBLE_MS = 350;
const DOUBLE_PX = 24;
const WHEEL = 0.0022;
const LINE_PX = 16;

export class Pointer {
  #app;
  #stage;
  #tool;
  #down = new Map(); // pointerId -> place on the stage
  #doing = null; // "pan", "pinch", "tool" or null
  #began = null; // where the first one went down: {x, y, moved}
  #last = { time: -Infinity, x: 0, y: 0 };

  /** tool: a function that gives the tool in hand. */
  constructor(app, stage, tool) {
    this.#app = app;
    this.#stage = stage;
    this.#tool = tool;
    const on = (name, act, options) => stage.element.addEventListener(name, act.bind(this), options);
    on("pointerdown", this.#press);
    on("pointermove", this.#move);
    on("pointerup", this.#release);
    on("pointercancel", this.#lose);
    on("pointerleave", () => app.store.set({ hover: null }));
    on("wheel", this.#wheel, { passive: false });
    on("contextmenu", (event) => event.preventDefault());
    addEventListener("blur", () => app.store.set({ space: false }));
    app.store.on(["tool", "space"], () => this.#showCursor());
  }

  #press(event) {
    if (event.button > 1) return;
    event.preventDefault();
    this.#stage.element.focus({ preventScroll: true });
    this.#stage.element.setPointerCapture(event.pointerId);
    const at = this.#stage.at(event);
    this.#down.set(event.pointerId, at);
    document.body.dataset.input = "pointer";
    this.#app.store.set({ byKeys: false });
    if (this.#down.size === 2) return this.#beginPinch();
    if (this.#down.size > 2) return;
    this.#began = { ...at, moved: false };
    const pans = event.button === 1 || this.#app.store.get("space") || this.#tool().pans;
    this.#doing = pans ? "pan" : "tool";
    if (!pans) this.#tool().down(this.#place(at));
    this.#showCursor();
  }

  #beginPinch() {
    if (this.#doing === "tool") this.#tool().drop();
    this.#doing = "pinch";
    this.#app.store.set({ hover: null });
  }

  #move(event) {
    const at = this.#stage.at(event);
    const before = this.#down.get(event.pointerId);
    if (event.pointerType !== "touch" || before)
      this.#app.store.set({ hover: this.#place(at), byKeys: false });
    if (!before) return;
    const far = TAP_PX * this.#stage.ratio;
    if (this.#began && Math.hypot(at.x - this.#began.x, at.y - this.#began.y) > far) this.#began.moved = true;
    if (this.#doing === "pinch") this.#pinch(event.pointerId, at);
    else if (this.#doing === "pan" && this.#began.moved) this.#app.view.pan(at.x - before.x, at.y - before.y);
    else if (this.#doing === "tool") this.#lead(event);
    if (this.#doing !== "pan" || this.#began.moved) this.#down.set(event.pointerId, at);
  }

  /** All places since the last event, for a smooth stroke. */
  #lead(event) {
    const all = event.getCoalescedEvents?.() ?? [];
    this.#tool().move((all.length ? all : [event]).map((each) => this.#place(this.#stage.at(each))));
  }

  #pinch(id, at) {
    const [other] = [...this.#down.keys()].filter((each) => each !== id);
    const [from, still] = [this.#down.get(id), this.#down.get(other)];
    if (!still) return;
    const gap = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    const { view } = this.#app;
    view.pan((at.x - from.x) / 2, (at.y - from.y) / 2);
    view.zoom((view.scale * gap(at, still)) / gap(from, still), {
      x: (at.x + still.x) / 2,
      y: (at.y + still.y) / 2,
    });
  }

  #release(event) {
    const at = this.#stage.at(event);
    if (!this.#down.delete(event.pointerId) || this.#down.size) return;
    const [doing, began] = [this.#doing, this.#began];
    this.#doing = null;
    if (doing === "tool") this.#tool().up();
    if (doing === "pan" && event.button === 0 && !began.moved) this.#tap(at);
    if (event.pointerType === "touch") this.#app.store.set({ hover: null });
    this.#showCursor();
  }

  #tap(at) {
    const near = Math.hypot(at.x - this.#last.x, at.y - this.#last.y) < DOUBLE_PX * this.#stage.ratio;
    const twice = near && performance.now() - this.#last.time < DOUBLE_MS;
    this.#last = twice ? { time: -Infinity, x: 0, y: 0 } : { time: performance.now(), ...at };
    if (twice) this.#closer(at);
    else this.#tool().tap?.(this.#place(at));
  }

  /** A double click: 100 %, or the whole picture where it is as large already. */
  #closer(at) {
    const { view } = this.#app;
    if (view.scale < 1) view.glide(1, at);
    else view.fit();
  }

  #lose(event) {
    this.#down.delete(event.pointerId);
    if (this.#doing === "tool") this.#tool().drop();
    if (!this.#down.size) this.#doing = null;
    this.#showCursor();
  }

  #wheel(event) {
    event.preventDefault();
    const across = event.deltaY || event.deltaX; // Some systems turn Shift and Alt with the wheel sideways.
    if (event.altKey) return void this.#tool().wheel?.(Math.sign(across));
    const unit = event.deltaMode === 1 ? LINE_PX : event.deltaMode === 2 ? this.#app.view.height : 1;
    const fast = event.ctrlKey ? 4 : 1; // A pinch on a touchpad comes as small steps with Ctrl.
    const factor = Math.exp(-event.deltaY * unit * WHEEL * fast);
    this.#app.view.zoom(this.#app.view.scale * factor, this.#stage.at(event));
  }

  #place({ x, y }) {
    return this.#app.view.toPicture(x, y);
  }

  #showCursor() {
    const pans = this.#app.store.get("space") || this.#tool().pans;
    const held = this.#doing === "pan" || this.#doing === "pinch";
    this.#stage.element.dataset.cursor = held ? "grabbing" : pans ? "grab" : "none";
  }
}
