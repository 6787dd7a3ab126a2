// What is known of one call: events go in, a plain picture of the call comes out. No DOM, no network.

/** Marks of a customer or agent that a supervisor wants to see at once. */
export const GRAVE_CONDUCT = new Set(["impolite", "abuse", "sarcasm", "complaint_threat", "media_threat", "asks_supervisor"]);

/** Most points of a sparkline. */
const HISTORY_MAX = 60;

/** The lane of a role: agent side, customer side, or neither. */
export function laneOf(role) {
  if (role === "agent" || role === "bot" || role === "supervisor") return "agent";
  return role === "customer" ? "customer" : "other";
}

/** Cuts a text at code-point offsets into [{text, marks}]; overlapping spans share their pieces. */
export function cut(text, spans) {
  const points = Array.from(text);
  const clean = spans
    .map((s) => ({ ...s, start: Math.max(0, s.start), end: Math.min(points.length, s.end) }))
    .filter((s) => s.start < s.end);
  const borders = [...new Set([0, points.length, ...clean.flatMap((s) => [s.start, s.end])])].sort((a, b) => a - b);
  const pieces = [];
  for (let i = 0; i + 1 < borders.length; i += 1) {
    const [start, end] = [borders[i], borders[i + 1]];
    pieces.push({
      text: points.slice(start, end).join(""),
      marks: clean.filter((s) => s.start <= start && s.end >= end),
    });
  }
  return pieces;
}

/** A call, built from its events. `apply` says which parts changed. */
export class CallModel {
  constructor(call) {
    this.call = call;
    this.callId = call.call_id;
    /** Events up to here were there before the page opened the call. */
    this.seenSeq = call.last_seq ?? 0;
    this.lastSeq = 0;
    this.atMs = 0;
    this.utterances = new Map();
    this.suggestions = new Map();
    this.alerts = new Map();
    this.risk = [];
    this.degraded = new Map();
    this.summary = null;
    this.liveScore = null;
    this.scored = null;
    this.scorecard = null;
    this.ended = null;
    this.completed = false;
  }

  /** The connection was lost: open partials will be sent again, or have been replaced by their finals. */
  dropPartials() {
    const dropped = [];
    for (const [id, utterance] of this.utterances) {
      if (!utterance.final) {
        this.utterances.delete(id);
        dropped.push({ part: "utterance", id });
      }
    }
    return dropped;
  }

  /** Finals in the order of the conversation, as rules and scorecards count turns. */
  turns() {
    return [...this.utterances.values()].filter((u) => u.final).sort(byTime);
  }

  /** Whether an event happened while the page looked on (not in the replay of what was before). */
  isNew(event) {
    return event.seq > this.seenSeq;
  }

  /** Takes an event; answers the changed parts as [{part, id?}]. A repeated event changes nothing. */
  apply(event) {
    const durable = event.sub === 0;
    if (durable && event.seq <= this.lastSeq) return [];
    if (durable) this.lastSeq = event.seq;
    this.atMs = Math.max(this.atMs, event.at_ms ?? 0);
    const handler = HANDLERS[event.type];
    return handler ? handler(this, event.data, event) : [];
  }

  /** The utterance of an id, made if it is not there yet. */
  utterance(id, data) {
    let found = this.utterances.get(id);
    if (!found) {
      found = { id, rev: 0, final: false, text: "", role: "unknown", start_ms: 0, end_ms: 0, understanding: null };
      this.utterances.set(id, found);
    }
    for (const name of ["role", "start_ms", "end_ms", "text", "language", "confidence", "redactions", "stable_chars"]) {
      if (data[name] !== undefined) found[name] = data[name];
    }
    return found;
  }
}

/** Order of the conversation. */
export function byTime(a, b) {
  return a.start_ms - b.start_ms || (a.id < b.id ? -1 : Number(a.id > b.id));
}

function setCall(model, data) {
  model.call = data.call;
  return [{ part: "call" }];
}

function partial(model, data) {
  const id = data.utterance_id;
  const known = model.utterances.get(id);
  if (known && (known.final || data.rev <= known.rev)) return [];
  if (data.text === "") {
    model.utterances.delete(id);
    return [{ part: "utterance", id }];
  }
  model.utterance(id, data).rev = data.rev;
  return [{ part: "utterance", id }];
}

function final(model, data, event) {
  const id = data.utterance_id;
  const utterance = model.utterance(id, data);
  utterance.final = true;
  utterance.fresh = model.isNew(event);
  return [{ part: "utterance", id }];
}

function understood(model, data) {
  const utterance = model.utterances.get(data.utterance_id);
  if (!utterance) return [];
  utterance.understanding = data;
  return [{ part: "utterance", id: data.utterance_id }];
}

function suggestion(model, data, event) {
  model.suggestions.set(data.suggestion_id, { ...data, at_ms: event.at_ms, fresh: model.isNew(event), withdrawn: null });
  return [{ part: "suggestions", id: data.suggestion_id }];
}

function changed(map, part, key, change) {
  return (model, data) => {
    const known = model[map].get(data[key]);
    if (!known) return [];
    model[map].set(data[key], { ...known, ...change(data) });
    return [{ part, id: data[key] }];
  };
}

const HANDLERS = {
  "call.started": setCall,
  "call.updated": setCall,
  "call.completed": (model, data) => {
    model.completed = true;
    return setCall(model, data);
  },
  "call.ended": (model, data) => {
    model.ended = data;
    model.call = { ...model.call, state: "post", duration_ms: data.duration_ms };
    return [...model.dropPartials(), { part: "call" }];
  },
  "transcript.partial": partial,
  "transcript.final": final,
  "transcript.revised": final,
  "message.added": (model, data, event) => final(model, { ...data, end_ms: data.start_ms }, event),
  "utterance.understood": understood,
  "suggestion.created": suggestion,
  "suggestion.updated": changed("suggestions", "suggestions", "suggestion_id", (data) => data),
  "suggestion.withdrawn": changed("suggestions", "suggestions", "suggestion_id", (data) => ({ withdrawn: data.reason })),
  "alert.raised": (model, data, event) => {
    model.alerts.set(data.alert_id, { ...data, at_ms: event.at_ms, state: "open", fresh: model.isNew(event) });
    return [{ part: "alerts", id: data.alert_id }];
  },
  "alert.acknowledged": changed("alerts", "alerts", "alert_id", () => ({ state: "acknowledged" })),
  "alert.resolved": changed("alerts", "alerts", "alert_id", (data) => ({ state: "resolved", reason: data.reason })),
  "risk.updated": (model, data, event) => {
    model.risk = [...model.risk, { ...data, at_ms: event.at_ms }].slice(-HISTORY_MAX);
    return [{ part: "risk" }];
  },
  "summary.ready": (model, data) => {
    model.summary = data;
    return [{ part: "after" }];
  },
  "quality.scored": (model, data) => {
    if (data.clock === "live") model.liveScore = data;
    else model.scored = data;
    return [{ part: "call" }, { part: "after" }];
  },
  "stage.degraded": (model, data) => {
    model.degraded.set(data.stage, data);
    return [{ part: "call" }];
  },
  "stage.recovered": (model, data) => {
    model.degraded.delete(data.stage);
    return [{ part: "call" }];
  },
};
