/**
 * A stroke as it will look, drawn from the source's tiles until the server has painted it.
 *
 * Neither the match of brightness nor the last of the feather is shown; both come with the painted tiles.
 */
import { drawLayer } from "./painter.js";

const RINGS = 14;
const BLUR = 0.27; // The deviation of a blur that looks like a feather, in feathers.
const NO_LENGTH = 0.01; // A line without length draws nothing; this much draws the dot of its round ends.

/** How much a brush covers, at a distance in radii from its middle. */
function fall(distance, hardness) {
  const share = Math.min(1, Math.max(0, (1 - distance) / Math.max(1e-6, 1 - hardness)));
  return share * share * (3 - 2 * share);
}

function trace(context, points, closed) {
  context.beginPath();
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (closed) context.closePath();
  else if (points.length === 1) context.lineTo(points[0][0] + NO_LENGTH, points[0][1]);
}

/** Covers what the stroke covers: of a brush by rings from wide to narrow that add up to its fall. */
function cover(context, stroke, scale) {
  context.lineCap = context.lineJoin = "round";
  trace(context, stroke.points, stroke.kind === "polygon");
  if (stroke.kind === "polygon") {
    if (stroke.feather * scale > 1) context.filter = `blur(${stroke.feather * scale * BLUR}px)`;
    return context.fill();
  }
  const soft = 1 - stroke.hardness;
  let done = 0;
  for (let ring = soft > 0 ? 0 : RINGS; ring <= RINGS; ring++) {
    const outer = 1 - (ring / RINGS) * soft;
    const wanted = ring === RINGS ? 1 : fall(outer - (0.5 / RINGS) * soft, stroke.hardness);
    context.globalAlpha = (wanted - done) / (1 - done);
    context.lineWidth = Math.max(NO_LENGTH, 2 * stroke.radius * outer);
    context.stroke();
    done = wanted;
  }
}

/** The outline of all that the stroke touches, about a device pixel wide. */
function outline(context, stroke, scale) {
  trace(context, stroke.points, stroke.kind === "polygon");
  context.lineCap = context.lineJoin = "round";
  if (stroke.kind === "polygon") {
    context.lineWidth = 1.5 / scale;
    return context.stroke();
  }
  context.lineWidth = 2 * stroke.radius + 2 / scale;
  context.stroke();
  context.globalCompositeOperation = "destination-out";
  context.lineWidth = Math.max(0.1, 2 * stroke.radius - 1 / scale);
  context.stroke();
}

export class Ghosts {
  #picture;
  #tiles;
  #masks = new OffscreenCanvas(1, 1);
  #layers = new OffscreenCanvas(1, 1);

  constructor(picture, tiles) {
    this.#picture = picture;
    this.#tiles = tiles;
  }

  /** What of the picture a stroke touches, [left, top, right, bottom]. */
  touched({ points, radius, feather }) {
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    const room = radius ?? feather ?? 0;
    const { width, height } = this.#picture;
    return [
      Math.max(0, Math.min(...xs) - room),
      Math.max(0, Math.min(...ys) - room),
      Math.min(width, Math.max(...xs) + room),
      Math.min(height, Math.max(...ys) + room),
    ];
  }

  /** Draws a stroke {kind, points, radius, hardness, opacity, layer} over `part` of the picture. */
  draw(context, view, stroke, part, outlined) {
    const seen = common(this.touched(stroke), part);
    if (!seen) return;
    const place = this.#window(view, seen);
    if (stroke.layer) {
      const mask = this.#mask(view, place, (pen) => cover(pen, stroke, view.scale));
      const painted = this.#painted(view, place, stroke.layer, seen, mask);
      context.globalAlpha = stroke.opacity;
      context.drawImage(
        painted,
        0,
        0,
        place.width,
        place.height,
        place.x,
        place.y,
        place.width,
        place.height,
      );
      context.globalAlpha = 1;
    }
    if (!outlined) return;
    const ring = this.#mask(view, place, (pen) => outline(pen, stroke, view.scale));
    context.drawImage(ring, 0, 0, place.width, place.height, place.x, place.y, place.width, place.height);
  }

  /** The stage's rectangle around a part of the picture. */
  #window(view, [left, top, right, bottom]) {
    const start = view.toStage(left, top);
    const end = view.toStage(right, bottom);
    const x = Math.max(0, Math.floor(start.x) - 2);
    const y = Math.max(0, Math.floor(start.y) - 2);
    const width = Math.max(1, Math.min(view.width, Math.ceil(end.x) + 2) - x);
    return { x, y, width, height: Math.max(1, Math.min(view.height, Math.ceil(end.y) + 2) - y) };
  }

  #mask(view, place, draw) {
    const pen = cleared(this.#masks, place);
    const { x, y } = view.origin;
    pen.setTransform(view.scale, 0, 0, view.scale, x - place.x, y - place.y);
    pen.strokeStyle = pen.fillStyle = "#fff";
    draw(pen);
    return this.#masks;
  }

  #painted(view, place, layer, seen, mask) {
    const pen = cleared(this.#layers, place);
    pen.translate(-place.x, -place.y);
    drawLayer(pen, this.#picture, this.#tiles, layer, view, seen);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.globalCompositeOperation = "destination-in";
    pen.drawImage(mask, 0, 0);
    return this.#layers;
  }
}

/** A context of the canvas, at least as large as asked for, empty and as new. */
function cleared(canvas, { width, height }) {
  if (canvas.width < width) canvas.width = width;
  if (canvas.height < height) canvas.height = height;
  const pen = canvas.getContext("2d");
  pen.reset();
  return pen;
}

function common([a, b, c, d], [e, f, g, h]) {
  const both = [Math.max(a, e), Math.max(b, f), Math.min(c, g), Math.min(d, h)];
  return both[0] < both[2] && both[1] < both[3] ? both : null;
}
