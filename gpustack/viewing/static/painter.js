/** Draws a layer onto a canvas, the coarse tiles first and the fine ones over them as they come. */

/** The level whose pixels are just finer than those of the stage. */
export function levelAt(picture, scale) {
  return Math.max(0, Math.min(picture.levels - 1, Math.floor(Math.log2(1 / scale))));
}

/** The tiles that a part of the picture needs at this scale, the most wanted first. */
export function needed(picture, tiles, layer, scale, part) {
  const [left, top, right, bottom] = part;
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const far = ({ column, row, side }) => Math.hypot((column + 0.5) * side - x, (row + 0.5) * side - y);
  const fine = tiles.of(layer, levelAt(picture, scale), part).sort((a, b) => far(a) - far(b));
  const whole = [0, 0, picture.width, picture.height];
  return [...tiles.of(layer, picture.levels - 1, whole), ...fine];
}

/**
 * Draws what there is of a layer.
 *
 * view: places the picture. part: what of it is drawn, [left, top, right, bottom]; the rest of the context
 * is left alone. Above 100 % pixels are squares; below, and for what is too coarse, they are smoothed.
 */
export function drawLayer(context, picture, tiles, layer, view, part) {
  const target = levelAt(picture, view.scale);
  const wanted = tiles.of(layer, target, part).map((tile) => [tile, tiles.bitmap(tile)]);
  context.save();
  clip(context, view, part);
  context.imageSmoothingQuality = "high";
  if (!wanted.every(([, bitmap]) => bitmap)) {
    for (let level = picture.levels - 1; level > target; level--)
      for (const tile of tiles.of(layer, level, part))
        drawTile(context, view, tile, tiles.bitmap(tile), true);
  }
  const smooth = view.scale * 2 ** target < 1;
  for (const [tile, bitmap] of wanted) drawTile(context, view, tile, bitmap, smooth);
  context.restore();
}

function clip(context, view, [left, top, right, bottom]) {
  const { x, y } = view.origin;
  const [x0, y0] = [Math.round(x + left * view.scale), Math.round(y + top * view.scale)];
  const [x1, y1] = [Math.round(x + right * view.scale), Math.round(y + bottom * view.scale)];
  context.beginPath();
  context.rect(x0, y0, x1 - x0, y1 - y0);
  context.clip();
}

/** Edges are rounded to whole pixels of the stage, so neighbours meet without a seam. */
function drawTile(context, view, { level, column, row, side }, bitmap, smooth) {
  if (!bitmap) return;
  const { x, y } = view.origin;
  const [left, top] = [column * side, row * side];
  const [right, bottom] = [left + bitmap.width * 2 ** level, top + bitmap.height * 2 ** level];
  const [x0, y0] = [Math.round(x + left * view.scale), Math.round(y + top * view.scale)];
  const [x1, y1] = [Math.round(x + right * view.scale), Math.round(y + bottom * view.scale)];
  context.imageSmoothingEnabled = smooth;
  context.drawImage(bitmap, x0, y0, x1 - x0, y1 - y0);
}
