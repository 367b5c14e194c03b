/** Talk with the server: what it refuses, and when it has gone. */

/** The server said no: a sentence, and what to do about it. */
export class Refusal extends Error {
  constructor(status, sentence, remedy) {
    super([sentence, remedy].filter(Boolean).join(" "));
    this.status = status;
  }
}

/** Nobody answered. */
export class Gone extends Error {}

let reached = () => {};

/** `listener(true)` after every answer, `listener(false)` when none came. */
export function watch(listener) {
  reached = listener;
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reached(false);
    throw new Gone("The server does not answer.");
  }
  reached(true);
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  try {
    const { error, remedy } = await answer.json();
    return new Refusal(answer.status, error, remedy);
  } catch {
    return new Refusal(answer.status, `The server answered ${answer.status} ${answer.statusText}.`, "");
  }
}

export async function get(path, signal) {
  return (await ask(path, { signal })).json();
}

export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** Bytes, and whether they are final: what must not be stored may be better the next time. */
export async function blob(path, signal) {
  const answer = await ask(path, { signal });
  return { bytes: await answer.blob(), final: answer.headers.get("cache-control") !== "no-store" };
}
