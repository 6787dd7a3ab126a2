// The list at the side: running and recent calls, kept up to date by the stream of all calls, and the sample calls.
import * as view from "./view.js";

const TYPES = "call.*,alert.*,risk.updated";
/** The list is also read again this often, for calls that the stream did not tell of. */
const AGAIN_MS = 60_000;

export class Wall {
  /** `choose(callId)` opens a call; `attempt(work)` runs a request and tells the user if it fails. */
  constructor(api, { choose, attempt }) {
    Object.assign(this, { api, choose, attempt, chosenId: null });
    this.calls = new Map();
    /** call_id -> {risk, alerts: ids of open alerts}. */
    this.seen = new Map();
    this.samples = [];
    this.busyId = null;
  }

  /** Begins to follow all calls. */
  async open() {
    this.timer = setInterval(() => this.reload(), AGAIN_MS);
    this.stream = this.api.follow("/events", {
      query: () => `?types=${encodeURIComponent(TYPES)}`,
      // This stream does not replay: what happened while it was cut is in the lists.
      onOpen: () => this.reload(),
      onEvent: (event) => this.take(event),
    });
    this.samples = (await this.attempt(() => this.api.samples())) ?? [];
    this.draw();
  }

  close() {
    clearInterval(this.timer);
    this.stream?.close();
  }

  of(callId) {
    if (!this.seen.has(callId)) this.seen.set(callId, { alerts: new Set() });
    return this.seen.get(callId);
  }

  /** Takes a page of the list. */
  takeCalls(items) {
    for (const call of items) this.calls.set(call.call_id, call);
    this.draw();
  }

  async reload() {
    try {
      const [calls, alerts] = await Promise.all([this.api.calls(), this.api.openAlerts()]);
      for (const seen of this.seen.values()) seen.alerts.clear();
      for (const item of alerts.items) this.of(item.call_id).alerts.add(item.alert.alert_id);
      this.takeCalls(calls.items);
    } catch {
      // The stream's own state shows that the service is away; the next connection reads again.
    }
  }

  take({ type, call_id: callId, data }) {
    const known = this.calls.get(callId);
    if (data.call) this.calls.set(callId, data.call);
    else if (type === "call.ended" && known) this.calls.set(callId, { ...known, state: "post", duration_ms: data.duration_ms });
    else if (type === "risk.updated") this.of(callId).risk = data.escalation;
    else if (type === "alert.raised") this.of(callId).alerts.add(data.alert_id);
    else if (data.alert_id) this.of(callId).alerts.delete(data.alert_id);
    this.draw();
  }

  /** The chosen call as its own stream knows it. */
  update(call) {
    if (this.calls.get(call.call_id) === call) return;
    this.calls.set(call.call_id, call);
    this.draw();
  }

  draw() {
    view.drawCalls(this.calls, this.seen, this.chosenId, this.choose);
    view.drawSamples(this.samples, this.busyId, (sample) => this.play(sample));
  }

  async play(sample) {
    this.busyId = sample.id;
    this.draw();
    const started = await this.attempt(() => this.api.playSample(sample.id));
    this.busyId = null;
    this.draw();
    if (started) await this.choose(started.call_id);
  }
}
