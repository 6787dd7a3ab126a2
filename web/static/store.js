// What the browser keeps for the page. A browser may forbid storage; the page then forgets on reload.

/** Reads a text from sessionStorage or localStorage, null if there is none. */
export function read(where, key) {
  try {
    return globalThis[where].getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a text; null removes it. */
export function write(where, key, value) {
  try {
    if (value === null) globalThis[where].removeItem(key);
    else globalThis[where].setItem(key, value);
  } catch {
    // Not kept then.
  }
}
