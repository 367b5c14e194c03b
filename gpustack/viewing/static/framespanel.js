/** The table of the frames: sorted by any column, and a click shows the frame. */
import { $, digits, el } from "./dom.js";
import { frameOf } from "./layers.js";

const COLUMNS = [
  { name: "Frame", value: (frame) => frame.index, text: (frame) => String(frame.index) },
  { name: "File", value: (frame) => frame.name, text: (frame) => frame.name, words: true },
  { name: "Share", unit: "%", value: (frame) => frame.share, text: ({ share }) => percent(share) },
  { name: "Shift", unit: "px", value: shift, text: (frame) => digits(shift(frame), 1) },
  { name: "Scale", value: (frame) => frame.scale, text: ({ scale }) => digits(scale, 4) },
  {
    name: "Turn",
    unit: "°",
    value: (frame) => frame.rotation_deg,
    text: (frame) => digits(frame.rotation_deg, 3),
  },
  { name: "Gain", value: (frame) => frame.gain, text: ({ gain }) => digits(gain, 3) },
  {
    name: "Error",
    unit: "px",
    value: (frame) => frame.residual_px,
    text: (frame) => digits(frame.residual_px, 2),
  },
  { name: "Notes", value: notes, text: notes, words: true },
];

function shift({ shift_px: way }) {
  return way ? Math.hypot(...way) : null;
}

function percent(share) {
  return share === null || share === undefined ? "–" : digits(share * 100, 1);
}

function notes({ used, shaken, problem }) {
  const told = [
    problem ? "cannot be read" : null,
    shaken ? "shaken" : null,
    used === false ? "left out" : null,
  ];
  return told.filter(Boolean).join(", ");
}

export function framesPanel(app) {
  const { picture, store } = app;
  let order = { column: -1, down: false };
  const heads = COLUMNS.map((column, index) => head(column, () => sort(index)));
  const rows = picture.frames.map((frame, index) => row(app, frame, index));
  const body = el("tbody", {}, ...rows);
  body.addEventListener("keydown", walk);

  function sort(column) {
    order = { column, down: order.column === column && !order.down };
    const value = COLUMNS[column].value;
    const sorted = picture.frames.map((frame, index) => [value(frame), index]).sort(compare);
    body.append(...(order.down ? sorted.reverse() : sorted).map(([, index]) => rows[index]));
    heads.forEach((cell, index) => {
      const sorting = index === column ? (order.down ? "descending" : "ascending") : null;
      if (sorting) cell.setAttribute("aria-sort", sorting);
      else cell.removeAttribute("aria-sort");
    });
  }

  $("panel-frames").append(
    el("p", { class: "muted" }, "A frame's name shows it. The brush paints from it. Headings sort."),
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body)),
  );
  sort(0);
  store.on(["layer", "other", "split", "frame"], () => markRow(store, rows));
}

function head({ name, unit }, sort) {
  const text = unit ? `${name} ${unit}` : name;
  return el("th", { scope: "col" }, el("button", { type: "button", onclick: sort }, text));
}

function row({ act, picture }, frame, index) {
  const cells = COLUMNS.slice(2).map(({ text, words }) =>
    el("td", words ? {} : { class: "number" }, text(frame)),
  );
  const show = el(
    "button",
    { type: "button", class: "show", onclick: () => act.showFrame(index) },
    frame.name,
  );
  const paint = { type: "button", class: "paint", onclick: () => act.paintFrom(index) };
  const from = { "aria-label": `Paint from frame ${frame.index}`, title: "Paint from this frame" };
  const brush = picture.edits ? el("button", { ...paint, ...from }, brushIcon()) : null;
  const number = el(
    "td",
    { class: "number" },
    el("span", { class: "with-brush" }, brush, String(frame.index)),
  );
  const left = frame.used === false ? "left-out" : null;
  return el("tr", { class: left }, number, el("th", { scope: "row" }, show), ...cells);
}

function brushIcon() {
  const template = document.querySelector("[data-tool=brush] svg");
  return template.cloneNode(true);
}

/** Numbers by size, words as people read them; what is not known goes last. */
function compare([a, i], [b, j]) {
  const unknown = (value) => value === null || value === undefined;
  if (unknown(a) || unknown(b)) return Number(unknown(a)) - Number(unknown(b)) || i - j;
  const order = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  return order || i - j;
}

function markRow(store, rows) {
  const shown = frameOf(store.get("split") ? store.get("other") : store.get("layer"));
  rows.forEach((row, index) => {
    if (index === shown) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    row.querySelector(".show").tabIndex = index === store.get("frame") ? 0 : -1;
    const paint = row.querySelector(".paint");
    if (paint) paint.tabIndex = index === store.get("frame") ? 0 : -1;
  });
}

/** Up and down go from frame to frame. */
function walk(event) {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const button = event.target.closest("button");
  if (!step || !button) return;
  event.preventDefault();
  event.stopPropagation();
  button
    .closest("tr")
    [step]?.querySelector(button.matches(".paint") ? ".paint" : ".show")
    ?.focus();
}
