/** What buttons and keys do, each once. */
import { get } from "./api.js";
import { $, write } from "./dom.js";
import { frameId, frameName, frameOf, layerName } from "./layers.js";
import { bestFrame, neighbour } from "./sources.js";
import { nextTheme } from "./theme.js";

export function acts(app) {
  const { picture, say, store, view } = app;
  const paints = () => store.get("tool") !== "hand";
  const middle = () => app.point.place ?? view.centre;

  const act = {
    show(id) {
      const found = picture.layers.find((layer) => layer.id === id);
      if (!found && frameOf(id) === null && !picture.others.some((other) => other.id === id))
        return say("There is no such layer for this result.");
      if (found?.kind === "map" && !store.get("ready").has(id))
        return say(`${found.name} ${store.get("working") ? "is still being made" : "could not be made"}.`);
      store.set({ layer: id });
      return say(layerName(picture, id));
    },

    /** Shows a frame: right of the divider, where there is one. */
    showFrame(index) {
      store.set({ frame: index, [store.get("split") ? "other" : "layer"]: frameId(index) });
      say(`Frame ${frameName(picture, index)}`);
    },

    frameHere() {
      const at = store.get("pinned") ?? store.get("at");
      const shown = frameOf(store.get("layer"));
      act.showFrame((shown === null && at ? bestFrame(at) : null) ?? store.get("frame"));
    },

    async neighbour(direction) {
      if (!paints()) return act.showFrame(held(store.get("frame") + direction, picture.frames.length));
      try {
        const index = await neighbour(app, direction, middle());
        return say(`Paints from frame ${frameName(picture, index)}.`);
      } catch (error) {
        return say(error.message, "alert");
      }
    },

    paintFrom(index) {
      store.set({ source: "frame", sourceFrame: index, layer: "result", split: false });
      act.tool("brush");
      say(`Paints from frame ${frameName(picture, index)}.`);
    },

    sharpest() {
      store.set({ source: "sharpest" });
      say("Paints from the sharpest frame under the brush.");
    },

    compare(split) {
      const same = store.get("other") === store.get("layer");
      store.set({ split, ...(split && same ? { other: otherThan(store.get("layer")) } : {}) });
    },

    swap() {
      if (!store.get("split")) return say("Nothing is compared; Y begins it.");
      return store.set({ layer: store.get("other"), other: store.get("layer") });
    },

    /** The place on the stage that stays where it is when keys zoom. */
    anchor() {
      const here = app.point.place;
      return here ? view.toStage(here.x, here.y) : undefined;
    },

    full() {
      view.glide(1, act.anchor());
    },

    /** The cross goes by so many pixels of the screen, and the picture under it where there is more of it. */
    walk(dx, dy) {
      const from = store.get("byKeys") ? store.get("cross") : view.centre;
      const x = within(from.x + dx / view.scale, picture.width);
      const y = within(from.y + dy / view.scale, picture.height);
      store.set({ byKeys: true, cross: { x, y } });
      if (!view.fitted) view.lookAt(x, y);
      if (store.get("stroke")) app.tool().move([{ x, y }]);
    },

    tool(name) {
      if (name !== "hand" && !picture.edits) return say("This result cannot be retouched.");
      if (name === "hand") return store.set({ tool: name });
      const seen = [store.get("layer"), ...(store.get("split") ? [store.get("other")] : [])];
      const result = seen.includes("result") ? {} : { layer: "result" };
      return store.set({ tool: name, tab: "retouch", ...result });
    },

    pin(place) {
      store.set({ pin: place });
    },

    enter() {
      if (!store.get("byKeys")) act.walk(0, 0);
      if (!paints()) return act.pin(store.get("cross"));
      return app.tool().toggle(store.get("cross"));
    },

    fill() {
      if (store.get("tool") === "polygon") app.tool().fill();
    },

    back() {
      if (store.get("tool") === "polygon") app.tool().back();
    },

    escape() {
      if (paints()) app.tool().cancel();
      store.set({ pin: null, mark: [] });
      $("notice").hidden = true;
    },

    side() {
      store.set({ side: !store.get("side") });
    },

    theme() {
      say(nextTheme(store));
    },
  };
  return act;

  function otherThan(layer) {
    return layer === "original" ? "result" : frameOf(layer) === null ? frameId(store.get("frame")) : "result";
  }
}

function within(place, length) {
  return Math.min(length - 0.5, Math.max(0.5, place));
}

function held(index, count) {
  return Math.min(count - 1, Math.max(0, index));
}

/** The buttons of the bar and of the tools. */
export function buttons(app) {
  const { act, edits, store, view } = app;
  const click = (id, run) => $(id).addEventListener("click", run);
  click("zoom-in", () => view.step(1));
  click("zoom-out", () => view.step(-1));
  click("zoom-fit", () => view.fit());
  click("zoom-full", () => view.glide(1));
  click("compare", () => act.compare(!store.get("split")));
  click("theme", () => act.theme());
  click("help-open", () => $("help").showModal());
  click("side-toggle", () => act.side());
  click("undo", () => edits.undo());
  click("redo", () => edits.redo());
  click("save", () => edits.save());
  const tools = [...document.querySelectorAll("[data-tool]")];
  for (const tool of tools) tool.addEventListener("click", () => act.tool(tool.dataset.tool));
  store.on(["tool"], () => {
    for (const tool of tools)
      tool.setAttribute("aria-pressed", String(tool.dataset.tool === store.get("tool")));
  });
  store.on(["side"], () => {
    document.body.dataset.side = store.get("side") ? "shown" : "hidden";
    $("side-toggle").setAttribute("aria-expanded", String(store.get("side")));
  });
  store.on(["undo", "redo", "unsaved"], () => {
    $("undo").disabled = !store.get("undo");
    $("redo").disabled = !store.get("redo");
    $("save").disabled = !store.get("unsaved");
    $("unsaved").hidden = !store.get("unsaved");
  });
}

/** The zoom, told after each change of the view. */
export function tellZoom(view) {
  const percent = view.scale * 100;
  write($("zoom"), `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`);
}
