/** What is painted from: {json, layer, name}. `json` goes into the edit list, `layer` is drawn meanwhile. */
import { get } from "./api.js";
import { frameId, frameName, frameSource, layerName } from "./layers.js";

const UNSURE = 0.5;
const FUSED = { json: { erase: true }, layer: "original", name: "the fused picture" };

/** A frame of the stack. */
export function frame(picture, index) {
  return { json: frameSource(picture, index), layer: frameId(index), name: frameName(picture, index) };
}

function otherPicture(picture, id) {
  const other = picture.others.find((each) => each.id === id);
  return { json: other.source ?? { picture: other.name }, layer: id, name: layerName(picture, id) };
}

/** The source where nothing needs to be asked, else null. */
export function knownSource({ picture, store }) {
  const kind = store.get("tool") === "eraser" ? "fused" : store.get("source");
  if (kind === "fused") return FUSED;
  if (kind === "frame") return frame(picture, store.get("sourceFrame"));
  return kind === "sharpest" ? null : otherPicture(picture, kind);
}

/** The source for a stroke that starts here. Throws an Error with a sentence where there is none. */
export async function sourceAt(app, point) {
  return knownSource(app) ?? frame(app.picture, await sharpestAt(app, point));
}

/**
 * The frame that shows a place best, of an answer of /api/at, or null. Where a pixel's own measure is hardly
 * above the noise, the curve of the cell around it is surer.
 */
export function bestFrame({ sharpest, confidence, curve, frame: won }) {
  const top = curve?.length ? curve.reduce((a, b) => (b[1] > a[1] ? b : a))[0] : null;
  const unsure = confidence !== null && confidence !== undefined && confidence < UNSURE;
  return (unsure ? top : null) ?? sharpest ?? top ?? won ?? null;
}

async function sharpestAt({ picture }, { x, y }) {
  const [left, top] = picture.box;
  const inside = (value, size) => Math.min(size - 0.5, Math.max(0.5, value));
  const [px, py] = [inside(x, picture.width) + left, inside(y, picture.height) + top];
  const found = bestFrame(await get(`/api/at?x=${px.toFixed(2)}&y=${py.toFixed(2)}`));
  if (found === null)
    throw new Error("Which frame is sharpest here is not known yet. Choose a frame to paint from, or wait.");
  return found;
}

/** The next frame (1) or the one before (-1) becomes the source, counted from what was the source. */
export async function neighbour(app, direction, point) {
  const { picture, store } = app;
  const last = picture.frames.length - 1;
  const from = store.get("source") === "frame" ? store.get("sourceFrame") : await sharpestAt(app, point);
  const index = Math.min(last, Math.max(0, from + direction));
  store.set({ source: "frame", sourceFrame: index });
  return index;
}
