/** What the page knows, and who wants to be told when it changes. */
export class Store {
  #values;
  #listeners = new Map();

  constructor(values) {
    this.#values = { ...values };
  }

  get(key) {
    return this.#values[key];
  }

  /** Takes over the values, and tells the listeners of those that are not what they were, each once. */
  set(values) {
    const told = new Set();
    for (const [key, value] of Object.entries(values)) {
      if (Object.is(this.#values[key], value)) continue;
      this.#values[key] = value;
      for (const listener of this.#listeners.get(key) ?? []) told.add(listener);
    }
    for (const listener of told) listener();
  }

  /** Calls the listener now, and whenever one of the keys changes. */
  on(keys, listener) {
    for (const key of keys) {
      if (!this.#listeners.has(key)) this.#listeners.set(key, new Set());
      this.#listeners.get(key).add(listener);
    }
    listener();
  }
}
