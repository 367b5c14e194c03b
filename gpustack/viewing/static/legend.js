/** The colour scale of the map that is seen, with its unit and the value under the pointer. */
import { $, digits, el, show, write } from "./dom.js";

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

function draw(picture, { id, name, legend: { stops, unit } }, value) {
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
  const host = $("legend-ends");
  if (host.dataset.texts === texts.join("|")) return;
  host.dataset.texts = texts.join("|");
  host.replaceChildren(...texts.map((text) => el("span", {}, text)));
}
