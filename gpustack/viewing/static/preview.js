/** What the brush would paint where it is: drawn inside it if the user wants that, and asked for in any case. */
import { bestFrame, frame, knownSource } from "./sources.js";

const SHAPE = ["radius", "hardness", "opacity"];

export function preview(app) {
  const { point, store } = app;
  store.on(["hover", "byKeys", "cross", "at", "tool", "source", "sourceFrame", "peek", ...SHAPE], () => {
    const here = point.place;
    const source = here && store.get("tool") === "brush" ? likely(app) : null;
    const shape = Object.fromEntries(SHAPE.map((key) => [key, store.get(key)]));
    const dab = source && { kind: "brush", points: [[here.x, here.y]], ...shape, layer: source.layer };
    store.set({ preview: dab });
  });
}

/** The sharpest frame is only looked for where it is shown: frames that are merely passed would be read. */
function likely(app) {
  const { picture, store } = app;
  const best = store.get("peek") && store.get("at") ? bestFrame(store.get("at")) : null;
  return knownSource(app) ?? (best === null ? null : frame(picture, best));
}
