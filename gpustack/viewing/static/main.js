/** Puts the page together. */
import { acts, buttons, tellZoom } from "./acts.js";
import { get } from "./api.js";
import { Brush } from "./brush.js";
import { Curve } from "./curve.js";
import { divider } from "./divider.js";
import { $, kept } from "./dom.js";
import { Edits } from "./edits.js";
import { framesPanel } from "./framespanel.js";
import { gapsPanel } from "./gapspanel.js";
import { keys } from "./keys.js";
import { legend } from "./legend.js";
import { navigator as overview } from "./navigator.js";
import { overlay } from "./overlay.js";
import { Point } from "./point.js";
import { Pointer } from "./pointer.js";
import { Polygon } from "./polygon.js";
import { preview } from "./preview.js";
import { retouchPanel } from "./retouchpanel.js";
import { sideWidth } from "./sides.js";
import { Stage } from "./stage.js";
import { banner, followWork, speaker } from "./status.js";
import { Store } from "./store.js";
import { tabs } from "./tabs.js";
import { theme } from "./theme.js";
import { Tiles } from "./tiles.js";
import { View } from "./view.js";
import { viewPanel } from "./viewpanel.js";

function remembered(picture) {
  const ready = picture.layers.filter((layer) => layer.ready).map((layer) => layer.id);
  const middle = Math.floor((picture.frames.length - 1) / 2);
  return new Store({
    layer: "result",
    other: picture.layers.some(({ id }) => id === "original") ? "original" : "frame-0",
    split: false,
    splitAt: 0.5,
    strength: 1, // of maps over the picture
    overview: true,
    side: true,
    tab: "view",
    mark: [], // outlined boxes of the picture
    gaps: [], // the same, of the gaps, once they were asked for
    hover: null, // the place under the pointer
    byKeys: false, // the place that is meant is that of the cross
    cross: { x: picture.width / 2, y: picture.height / 2 },
    space: false,
    pin: null,
    pinned: null,
    at: null,
    tool: "hand",
    source: "sharpest", // or "frame", "fused", or another result's id
    sourceFrame: middle,
    frame: middle, // looked at last
    radius: kept("radius", 40),
    hardness: kept("hardness", 0.5),
    opacity: kept("opacity", 1),
    feather: kept("feather", 6),
    match: kept("match", true),
    peek: kept("peek", false),
    preview: null, // a dab of the brush where it is
    refused: "", // what was told of tiles last
    stroke: null, // being led
    pending: [], // strokes whose tiles have not come
    corners: [],
    undo: 0,
    redo: 0,
    unsaved: false,
    saved: null,
    rev: picture.rev,
    ready: new Set(ready),
    working: Boolean(picture.work), // so what is not ready will be
    layersRead: picture.layers,
  });
}

function tell(picture) {
  document.title = `${picture.name} – gpustack view`;
  $("name").textContent = picture.name;
  const frames = `${picture.frames.length} frame${picture.frames.length === 1 ? "" : "s"}`;
  $("about").textContent = `${picture.width} × ${picture.height}, ${picture.bits} bit, ${frames}`;
  $("stage").setAttribute("aria-label", `Picture ${picture.name}`);
}

function toolOf(app) {
  const hand = { pans: true, tap: (place) => app.act.pin(place), wheel: (way) => app.act.neighbour(way) };
  const brush = new Brush(app);
  const tools = { hand, brush, eraser: brush, polygon: new Polygon(app) };
  return () => tools[app.store.get("tool")];
}

function moved({ stage, view }) {
  tellZoom(view);
  stage.redraw();
}

/** One of many tiles was refused: told once for what is seen. */
function tellOnce({ say, store }, text) {
  const about = `${store.get("layer")} ${store.get("other")} ${text}`;
  if (store.get("refused") === about) return;
  store.set({ refused: about });
  say(text, "alert");
}

async function begin() {
  const say = speaker();
  const picture = await get("/api/picture");
  const app = { picture, say, store: remembered(picture) };
  const { store } = app;
  theme(store);
  tell(picture);
  app.view = new View(picture, () => moved(app));
  app.tiles = new Tiles(
    picture,
    () => app.stage.redraw(),
    (layer, error) => tellOnce(app, error.message),
  );
  app.point = new Point(app, $("readout"));
  app.stage = new Stage(app, $("stage"), $("picture"));
  app.edits = new Edits(app);
  app.act = acts(app);
  app.tool = toolOf(app);
  new Pointer(app, app.stage, app.tool);
  new Curve(app, $("curve"), $("here-text"));
  for (const part of [sideWidth, overlay, preview, overview, divider, legend, buttons, keys, banner])
    part(app);
  for (const panel of [viewPanel, framesPanel, gapsPanel, retouchPanel]) panel(app);
  tabs(store);
  addEventListener("beforeunload", (event) => store.get("unsaved") && event.preventDefault());
  await Promise.all([app.edits.load(), followWork(app)]);
}

begin().catch((error) => {
  $("banner-text").textContent = error.message;
  $("banner").hidden = false;
  $("banner-do").addEventListener("click", () => location.reload());
});
