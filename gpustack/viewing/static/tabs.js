/** The tabs of the side, as the ARIA practices have them: arrow keys go from one to the next. */
import { $ } from "./dom.js";

export function tabs(store) {
  const all = [...$("tabs").querySelectorAll("[role=tab]")];
  const name = (tab) => tab.id.slice("tab-".length);
  const go = (index) => {
    const tab = all[(index + all.length) % all.length];
    store.set({ tab: name(tab) });
    tab.focus();
  };
  all.forEach((tab, index) => {
    tab.addEventListener("click", () => store.set({ tab: name(tab) }));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: -1 }[event.key];
      if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      go(to);
    });
  });
  store.on(["tab"], () => {
    for (const tab of all) {
      const chosen = name(tab) === store.get("tab");
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = !chosen;
    }
  });
}
