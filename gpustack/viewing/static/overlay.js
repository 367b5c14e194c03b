/** What is drawn over the picture: the brush, corners of a polygon, pins, gaps, and the keyboard's cross. */

/** Every line twice, dark below light, so that it is seen on any picture. */
function twice(pen, ratio, draw) {
  pen.lineWidth = 3 * ratio;
  pen.strokeStyle = "#0009";
  draw();
  pen.lineWidth = 1.25 * ratio;
  pen.strokeStyle = "#fff";
  draw();
}

export function overlay(app) {
  const { point, stage, store, view } = app;

  stage.over((pen) => {
    const ratio = stage.ratio;
    const tool = store.get("tool");
    const here = point.place;
    if (store.get("split")) line(pen, Math.round(store.get("splitAt") * view.width), view.height, ratio);
    const gaps = stage.sides.some(({ layer }) => layer === "gaps") ? store.get("gaps") : [];
    for (const box of [...gaps, ...store.get("mark")]) drawBox(pen, view, box, ratio);
    if (store.get("pin")) drawPin(pen, view.toStage(store.get("pin").x, store.get("pin").y), ratio);
    if (store.get("byKeys")) drawCross(pen, view.toStage(here.x, here.y), ratio);
    if (tool === "polygon") drawCorners(pen, view, store.get("corners"), here, ratio);
    if (here && (tool === "brush" || tool === "eraser")) drawBrush(pen, here, ratio);
  });

  /** The radius, and where the brush still covers fully. */
  function drawBrush(pen, { x, y }, ratio) {
    const at = view.toStage(x, y);
    const radius = store.get("radius") * view.scale;
    const full = radius * store.get("hardness");
    twice(pen, ratio, () => circle(pen, at, radius));
    pen.setLineDash([3 * ratio, 4 * ratio]);
    if (full > 3 * ratio && radius - full > 2 * ratio) twice(pen, ratio, () => circle(pen, at, full));
    pen.setLineDash([]);
    if (store.get("tool") === "eraser") twice(pen, ratio, () => cross(pen, at.x, at.y, 4 * ratio));
    else if (radius < 6 * ratio) twice(pen, ratio, () => circle(pen, at, 10 * ratio));
  }
}

function circle(pen, { x, y }, radius) {
  pen.beginPath();
  pen.arc(x, y, Math.max(0.5, radius), 0, 2 * Math.PI);
  pen.stroke();
}

function cross(pen, x, y, arm) {
  pen.beginPath();
  pen.moveTo(x - arm, y);
  pen.lineTo(x + arm, y);
  pen.moveTo(x, y - arm);
  pen.lineTo(x, y + arm);
  pen.stroke();
}

function drawCross(pen, { x, y }, ratio) {
  twice(pen, ratio, () => cross(pen, Math.round(x) + 0.5, Math.round(y) + 0.5, 9 * ratio));
}

function drawPin(pen, at, ratio) {
  twice(pen, ratio, () => circle(pen, at, 7 * ratio));
  twice(pen, ratio, () => circle(pen, at, 1 * ratio));
}

function line(pen, x, height, ratio) {
  pen.fillStyle = "#000a";
  pen.fillRect(x - 1.5 * ratio, 0, 3 * ratio, height);
  pen.fillStyle = "#fff";
  pen.fillRect(x - 0.5 * ratio, 0, Math.max(1, ratio), height);
}

function drawBox(pen, view, { left, top, width, height }, ratio) {
  const start = view.toStage(left, top);
  const end = view.toStage(left + width, top + height);
  pen.setLineDash([6 * ratio, 4 * ratio]);
  twice(pen, ratio, () => pen.strokeRect(start.x, start.y, end.x - start.x, end.y - start.y));
  pen.setLineDash([]);
}

function drawCorners(pen, view, corners, here, ratio) {
  if (here)
    twice(pen, ratio, () =>
      cross(pen, view.toStage(here.x, here.y).x, view.toStage(here.x, here.y).y, 7 * ratio),
    );
  if (!corners.length) return;
  const places = [...corners, ...(here ? [[here.x, here.y]] : [])].map(([x, y]) => view.toStage(x, y));
  twice(pen, ratio, () => {
    pen.beginPath();
    places.forEach(({ x, y }, index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  });
  for (const [x, y] of corners) twice(pen, ratio, () => circle(pen, view.toStage(x, y), 3 * ratio));
}
