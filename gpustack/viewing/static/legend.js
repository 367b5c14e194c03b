/** The colour scale of the map that is seen, with its unit and the value under the pointer. */
import { $, digits, el, show, write } from "./dom.js";
import { isOverlay } from "./layers.js";

const MARK_HALF = 4;

export function legend(app) {
  const { picture, store } = app;
  const shown = () =>
    [store.get("layer"), ...(store.get("split") ? [store.get("other")] : [])]
      .map((id) => picture.layers.find((layer) => layer.id === id))
      .find((layer) => layer?.legend?.stops?.length);
  const value = (layer) => {
    const at = store.get("at");
    if (!at) return null;
    return { depth: at.depth, confidence: at.confidence, winners: at.frame }[layer.id] ?? null;
  };
  store.on(["layer", "other", "split", "at", "layersRead"], () => {
    const layer = shown();
    show($("legend"), Boolean(layer));
    if (layer) draw(picture, layer, value(layer));
  });
}

/** A scale of numbers, or named colours. */
function draw(picture, layer, value) {
  const named = isOverlay(picture, layer.id);
  show($("legend-bar"), !named);
  $("legend-ends").classList.toggle("names", named);
  if (named) drawNames(layer);
  else drawScale(picture, layer, value);
}

function drawNames({ name, legend: { stops } }) {
  write($("legend-name"), name);
  fill($("legend-ends"), JSON.stringify(stops), () =>
    stops.map(([text, colour]) => {
      const swatch = el("i", { class: "swatch" });
      swatch.style.background = colour;
      return el("span", {}, swatch, text);
    }),
  );
}

function drawScale(picture, { id, name, legend: { stops, unit } }, value) {
  const [first, last] = [stops[0][0], stops.at(-1)[0]];
  const here = value === null ? "" : `: ${digits(value, id === "winners" ? 0 : 2)}`;
  write($("legend-name"), `${name}${unit ? ` (${unit})` : ""}${here}`);
  const bar = $("legend-bar");
  const pen = bar.getContext("2d");
  const part = (at) => (last === first ? 0 : (at - first) / (last - first));
  pen.clearRect(0, 0, bar.width, bar.height);
  const colours = pen.createLinearGradient(0, 0, bar.width, 0);
  for (const [at, colour] of stops) colours.addColorStop(Math.min(1, Math.max(0, part(at))), colour);
  pen.fillStyle = colours;
  pen.fillRect(0, 0, bar.width, bar.height);
  if (value !== null) mark(pen, part(value) * bar.width, bar.height);
  ends(picture, unit, first, last);
}

/** A notch that is seen on any colour. */
function mark(pen, x, height) {
  pen.fillStyle = "#000";
  pen.fillRect(x - MARK_HALF / 2 - 1, 0, MARK_HALF + 2, height);
  pen.fillStyle = "#fff";
  pen.fillRect(x - MARK_HALF / 2, 0, MARK_HALF, height);
}

function ends(picture, unit, first, last) {
  const step = unit?.startsWith("frame") ? picture.um_per_step : null;
  const label = (value) => `${+value.toFixed(2)}${step ? ` = ${digits(value * step, 0)} µm` : ""}`;
  const texts = [first, (first + last) / 2, last].map(label);
  fill($("legend-ends"), texts.join("|"), () => texts.map((text) => el("span", {}, text)));
}

/** Fills anew where it holds something else. */
function fill(host, key, make) {
  if (host.dataset.holds === key) return;
  host.dataset.holds = key;
  host.replaceChildren(...make());
}
