// Talks to the service: JSON requests, server-sent events over fetch, reconnection.
// EventSource is of no use here: it cannot send the Authorization header.

const PREFIX = "/api/v1";
/** Nothing heard for this long (the service beats every 15 s): the connection is taken for dead. */
const SILENCE_MS = 40_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;

/** A refusal of the service: HTTP status, stable code, what happened and how to mend it. */
export class ApiError extends Error {
  constructor(status, code, detail, retryAfterMs = 0) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Splits the text of an event stream into messages {event, id, data}; call it with each chunk. */
export function sseParser() {
  let rest = "";
  let message = { event: "message", id: null, data: [] };
  return (chunk) => {
    rest += chunk;
    const done = [];
    // A lone CR at the end may be the first half of CRLF: it waits for the next chunk.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (message.data.length > 0) done.push({ ...message, data: message.data.join("\n") });
        message = { event: "message", id: null, data: [] };
        continue;
      }
      if (line.startsWith(":")) continue;
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") message.data.push(value);
      else if (field === "event") message.event = value;
      else if (field === "id") message.id = value;
    }
    return done;
  };
}

/** Milliseconds to wait before attempt number `attempt` (from 1): doubling, capped, with jitter. */
export function backoffMs(attempt, random = Math.random()) {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempt - 1));
  return Math.round(full * (0.5 + 0.5 * random));
}

/** A random key for Idempotency-Key; works without a secure context, where randomUUID is absent. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Not from the service (a proxy, perhaps): the status has to do.
  }
  const seconds = Number(response.headers.get("retry-after")) || 0;
  return new ApiError(response.status, problem.code || `http_${response.status}`, problem.detail, seconds * 1000);
}

/** The service as seen with one token. `onUnauthorised` is told when the token is refused. */
export class Api {
  constructor(token, onUnauthorised = () => {}) {
    this.token = token;
    this.onUnauthorised = onUnauthorised;
  }

  async request(method, path, { body, key, accept = "application/json", signal } = {}) {
    const headers = { authorization: `Bearer ${this.token}`, accept };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (key) headers["idempotency-key"] = key;
    const response = await fetch(PREFIX + path, {
      method,
      headers,
      signal,
      cache: "no-store",
      credentials: "omit",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.ok) return response;
    const error = await refusal(response);
    if (error.status === 401) this.onUnauthorised(error);
    throw error;
  }

  async json(method, path, options) {
    const response = await this.request(method, path, options);
    return response.status === 204 ? null : response.json();
  }

  calls(limit = 50) {
    return this.json("GET", `/calls?limit=${limit}`);
  }

  call(callId) {
    return this.json("GET", `/calls/${encodeURIComponent(callId)}`);
  }

  /** Sample calls as [{id, title, language}]. */
  async samples() {
    const answer = await this.json("GET", "/samples");
    return Array.isArray(answer) ? answer : answer.items;
  }

  playSample(id) {
    return this.json("POST", `/samples/${encodeURIComponent(id)}/play`, { key: randomKey() });
  }

  feedback(suggestionId, feedback) {
    return this.json("POST", `/suggestions/${encodeURIComponent(suggestionId)}/feedback`, {
      body: { at: new Date().toISOString(), ...feedback },
    });
  }

  acknowledge(alertId) {
    return this.json("POST", `/alerts/${encodeURIComponent(alertId)}/acknowledge`, { body: {} });
  }

  openAlerts() {
    return this.json("GET", "/alerts?state=open&limit=200");
  }

  ask(callId, text) {
    return this.json("POST", `/calls/${encodeURIComponent(callId)}/ask`, { body: { text } });
  }

  /** The newest scorecard made after the end of a call, or null. */
  async score(callId) {
    const page = await this.json("GET", `/quality/scores?call_id=${encodeURIComponent(callId)}`);
    const newest = page.items.find((item) => item.clock !== "live");
    return newest ? this.json("GET", `/quality/scores/${encodeURIComponent(newest.score_id)}`) : null;
  }

  /**
   * Follows an event stream until it ends or `close()` is called, over as many connections as it takes.
   * `query()` is asked anew for each connection, so that it can carry from_seq. `onState` gets
   * `connecting`, `open`, `waiting` (with the milliseconds), `ended` or `failed` (with the error).
   */
  follow(path, { query = () => "", onEvent, onOpen = () => {}, onState = () => {} }) {
    return new Follower(this, path, { query, onEvent, onOpen, onState });
  }
}

class Follower {
  constructor(api, path, handlers) {
    Object.assign(this, handlers, { api, path, closed: false, attempt: 0, wake: null });
    this.online = () => this.wake?.();
    globalThis.addEventListener?.("online", this.online);
    this.run();
  }

  close() {
    this.closed = true;
    globalThis.removeEventListener?.("online", this.online);
    this.abort?.abort();
    this.wake?.();
  }

  async run() {
    while (!this.closed) {
      let pause = 0;
      try {
        this.onState("connecting");
        if (await this.connection()) return this.finish("ended");
      } catch (error) {
        if (this.closed) return undefined;
        const lasting = error instanceof ApiError && error.status < 500 && error.status !== 429 && error.status !== 408;
        if (lasting) return this.finish("failed", error);
        pause = error.retryAfterMs ?? 0;
      }
      if (this.closed) return undefined;
      this.attempt += 1;
      await this.sleep(Math.max(pause, backoffMs(this.attempt)));
    }
    return undefined;
  }

  finish(state, detail) {
    if (!this.closed) this.onState(state, detail);
    this.close();
  }

  sleep(ms) {
    this.onState("waiting", ms);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => {
      this.wake = null;
    });
  }

  /** One connection; true if the stream came to its end, false if it was cut. */
  async connection() {
    const abort = new AbortController();
    this.abort = abort;
    let watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const response = await this.api.request("GET", this.path + this.query(), {
        accept: "text/event-stream",
        signal: abort.signal,
      });
      this.onOpen();
      this.onState("open");
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const parse = sseParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.closed) return false;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
        this.attempt = 0;
        for (const message of parse(decoder.decode(value, { stream: true }))) {
          this.onEvent(JSON.parse(message.data));
          if (message.event === "end") return true;
        }
      }
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }
}
