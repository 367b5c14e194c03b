/** Dark, light, or as the system: on the root element as data-theme. */
import { $, keep, kept } from "./dom.js";

const ORDER = ["auto", "dark", "light"];
const NAMES = { auto: "as the system", dark: "dark", light: "light" };

export function theme(store) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = store.get("theme");
    const dark = chosen === "dark" || (chosen === "auto" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme-name").textContent = `Theme: ${NAMES[chosen]}`;
    store.set({ dark });
  };
  store.set({ theme: ORDER.includes(kept("theme")) ? kept("theme") : "auto" });
  system.addEventListener("change", apply);
  store.on(["theme"], apply);
}

/** The next of the three. */
export function nextTheme(store) {
  const chosen = ORDER[(ORDER.indexOf(store.get("theme")) + 1) % ORDER.length];
  keep("theme", chosen);
  store.set({ theme: chosen });
  return `Theme: ${NAMES[chosen]}.`;
}
