/** Small help with elements. Styles are set through the object model only: the policy forbids inline ones. */

export const $ = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

/** A new element; `on...` are listeners, other values attributes, true a bare one, null and false none. */
export function el(tag, values = {}, ...children) {
  return filled(document.createElement(tag), values, children);
}

/** The same of SVG. */
export function svg(tag, values = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), values, children);
}

function filled(element, values, children) {
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Shows or hides, without touching what is so already. */
export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Writes text where it is not there already, so that screen readers are not told twice. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A number with so many digits after the point, or a dash for what is not known. */
export function digits(value, places) {
  return value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(places);
}

/** What was kept of an earlier visit, or `otherwise`; a browser that keeps nothing is no error. */
export function kept(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`gpustack.${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function keep(key, value) {
  try {
    localStorage.setItem(`gpustack.${key}`, JSON.stringify(value));
  } catch {
    // Private windows and full disks keep nothing, and need not.
  }
}
