/** What is told without being asked: work behind the page, messages, and a server that has gone. */
import { $, show, write } from "./dom.js";
import { get, Refusal, watch } from "./api.js";

const WORK_MS = 1000;
const AGAIN_MS = 3000;
const NOTICE_MS = 12000;

/** say(text, how): "alert" also shows a notice over the picture. */
export function speaker() {
  let hide = 0;
  return (text, how) => {
    $("said").textContent = ""; // Said twice, it is told twice.
    requestAnimationFrame(() => ($("said").textContent = text));
    if (how !== "alert") return;
    $("notice").textContent = text;
    show($("notice"), true);
    clearTimeout(hide);
    hide = setTimeout(() => show($("notice"), false), NOTICE_MS);
  };
}

/** Asks how far the work is, while there is any. */
export async function followWork({ picture, say, store }) {
  const told = new Set();
  let { work } = picture;
  while (true) {
    show($("work"), Boolean(work));
    store.set({ working: Boolean(work) });
    if (!work) return;
    $("work-done").value = work.done;
    write($("work-what"), work.what);
    await new Promise((done) => setTimeout(done, WORK_MS));
    const news = await get("/api/work").catch(() => null);
    if (!news) continue;
    work = news.work;
    if (news.ready.some((id) => !store.get("ready").has(id))) await takeReady(picture, store, news.ready);
    for (const sentence of news.errors.filter((each) => !told.has(each))) {
      told.add(sentence);
      say(sentence, "alert");
    }
  }
}

/** Layers that have become ready may have got a legend. */
async function takeReady(picture, store, ready) {
  const { layers } = await get("/api/picture").catch(() => ({ layers: picture.layers }));
  picture.layers = layers;
  store.set({ ready: new Set(ready), layersRead: layers });
}

/** The banner while the server does not answer; it goes by itself when it answers again. */
export function banner({ store, tiles }) {
  let timer = 0;
  const ask = () => get("/api/work").catch(refused);
  const refused = (error) => {
    if (error instanceof Refusal && error.status < 500) tell(stale);
  };
  const stale =
    "This page belongs to a server that has ended. Open the link that gpustack view printed last.";
  const tell = (text) => {
    write($("banner-text"), text);
    show($("banner"), true);
  };
  watch((there) => {
    clearTimeout(timer);
    if (!there) {
      const lost = store.get("unsaved") ? " Edits that were not saved are lost if it has ended." : "";
      tell(`The server does not answer: has gpustack view been closed, or the connection to it?${lost}`);
      timer = setTimeout(ask, AGAIN_MS);
    } else if (!$("banner").hidden && $("banner-text").textContent !== stale) {
      show($("banner"), false);
      tiles.retry();
    }
  });
  $("banner-do").addEventListener("click", async () => {
    if ($("banner-text").textContent === stale) return location.reload();
    return ask();
  });
}
