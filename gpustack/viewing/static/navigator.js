/** The whole picture, small, with what is seen of it; shown while not all of it is. */
import { $, show } from "./dom.js";

const LONGEST = 168; // CSS pixels
const CLOSE = 0.98;

export function navigator(app) {
  const { picture, stage, store, tiles, view } = app;
  const canvas = $("navigator");
  const scale = LONGEST / Math.max(picture.width, picture.height);
  const [width, height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;

  const go = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    view.lookAt(x * picture.width, y * picture.height);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    go(event);
  });
  canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && go(event));

  stage.over(() => {
    const [left, top, right, bottom] = view.seen;
    const all = (right - left) * (bottom - top) > CLOSE * picture.width * picture.height;
    show(canvas, store.get("overview") && !all);
    if (canvas.hidden) return;
    const ratio = stage.ratio;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d", { alpha: false });
    const small = canvas.width / picture.width;
    drawWhole(pen, picture, tiles, store.get("layer"), small);
    frame(pen, left * small, top * small, (right - left) * small, (bottom - top) * small, ratio);
  });
}

function drawWhole(pen, picture, tiles, layer, small) {
  const level = picture.levels - 1;
  for (const tile of tiles.of(layer, level, [0, 0, picture.width, picture.height])) {
    const bitmap = tiles.bitmap(tile) ?? tiles.bitmap({ ...tile, key: tile.key.replace(layer, "result") });
    if (!bitmap) continue;
    const grown = 2 ** level * small;
    const [x, y] = [tile.column * tile.side * small, tile.row * tile.side * small];
    pen.drawImage(bitmap, x, y, bitmap.width * grown, bitmap.height * grown);
  }
}

function frame(pen, x, y, width, height, ratio) {
  pen.lineWidth = 3 * ratio;
  pen.strokeStyle = "#000a";
  pen.strokeRect(x, y, width, height);
  pen.lineWidth = 1.5 * ratio;
  pen.strokeStyle = "#fff";
  pen.strokeRect(x, y, width, height);
}
