/** Which layers there are, and what they are called. */

/** Whether a layer is a map, such as depth, and not a picture. */
export function isMap(picture, id) {
  return picture.layers.some((layer) => layer.id === id && layer.kind === "map");
}

/** Whether a map marks places, and is clear elsewhere, so that it lies over the picture. */
export function isOverlay(picture, id) {
  const stops = picture.layers.find((layer) => layer.id === id)?.legend?.stops;
  return typeof stops?.[0]?.[0] === "string";
}

export const frameId = (index) => `frame-${index}`;

/** The index of the frame that a layer shows, or null. */
export function frameOf(id) {
  return id.startsWith("frame-") ? Number(id.slice("frame-".length)) : null;
}

export function layerName(picture, id) {
  const index = frameOf(id);
  if (index !== null) return frameName(picture, index);
  const found = [...picture.layers, ...picture.others].find((layer) => layer.id === id);
  return found ? found.name : id;
}

/** "12 · DSC_0012.jpg"; frames are counted from 0, as everywhere in gpustack. */
export function frameName(picture, index) {
  const frame = picture.frames[index];
  return frame ? `${frame.index} · ${frame.name}` : String(index);
}

/** Layers other than frames: [{id, name, kind}], pictures first. */
export function fixedLayers(picture) {
  const own = picture.layers.filter((layer) => frameOf(layer.id) === null);
  const others = picture.others.map((other) => ({ ...other, kind: "picture", ready: true }));
  const known = new Set(own.map((layer) => layer.id));
  return [...own, ...others.filter((other) => !known.has(other.id))].sort(
    (a, b) => Number(a.kind === "map") - Number(b.kind === "map"),
  );
}

/** The frame's value for an edit list. */
export function frameSource(picture, index) {
  const { source, file, name, page } = picture.frames[index];
  return source ?? { frame: file ?? name, ...(page ? { page } : {}) };
}
