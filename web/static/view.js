// Draws the list of calls, the head of the chosen call and its transcript.
import { byTime, cut, GRAVE_CONDUCT, laneOf } from "./call.js";
import { byId, h, sparkline } from "./dom.js";
import { clock, has, label, language, number, percent, t, timeOfDay } from "./i18n.js";

const OPEN_STATES = new Set(["created", "live"]);
/** Recent calls shown. */
const RECENT_MAX = 30;
/** Distance from the end, in pixels, at which the transcript still follows. */
const FOLLOW_PX = 80;

/** Writes the fixed texts of index.html in the present language. */
export function translate() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of document.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
}

/** What a call is called on the page. */
export function callName(call) {
  const title = call.metadata?.title ?? call.external_id;
  return title ? String(title) : t("unnamed_call", { id: call.call_id.slice(-6) });
}

function callLine(call) {
  const length = call.duration_ms ? clock(call.duration_ms) : null;
  return [t(`state_${call.state}`), timeOfDay(call.started_at), length, call.queue].filter(Boolean).join(" · ");
}

function callItem(call, wall, chosenId, onChoose) {
  const open = OPEN_STATES.has(call.state);
  const seen = wall.get(call.call_id) ?? {};
  const risk = open && seen.risk !== undefined ? h("span", { class: `risk ${riskClass(seen.risk)}`, title: t("escalation") }, percent(seen.risk)) : null;
  const alerts = seen.alerts?.size > 0 ? h("span", { class: "count", title: t("alerts") }, `${seen.alerts.size}`) : null;
  const properties = { type: "button", class: "call-item", "aria-current": call.call_id === chosenId ? "true" : null, onclick: () => onChoose(call.call_id), "data-call": call.call_id };
  return h("li", {}, h("button", properties,
    h("span", { class: `dot ${open ? "dot-live" : ""}`, "aria-hidden": "true" }),
    h("span", { class: "call-text" },
      h("span", { class: "call-name" }, callName(call)),
      h("span", { class: "call-line" }, callLine(call))),
    risk, alerts));
}

/** The lists of running and recent calls. `wall` holds risk and alerts by call. */
export function drawCalls(calls, wall, chosenId, onChoose) {
  const byStart = [...calls.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  const running = byStart.filter((c) => OPEN_STATES.has(c.state));
  const recent = byStart.filter((c) => !OPEN_STATES.has(c.state)).slice(0, RECENT_MAX);
  const riskOf = (call) => wall.get(call.call_id)?.risk ?? 0;
  running.sort((a, b) => riskOf(b) - riskOf(a));
  const focused = document.activeElement?.dataset?.call;
  for (const [id, items, empty] of [["running", running, "no_running"], ["recent", recent, "no_recent"]]) {
    const list = items.map((call) => callItem(call, wall, chosenId, onChoose));
    byId(id).replaceChildren(...(list.length > 0 ? list : [h("li", { class: "empty" }, t(empty))]));
  }
  if (focused) document.querySelector(`[data-call="${CSS.escape(focused)}"]`)?.focus();
}

/** The sample calls. */
export function drawSamples(samples, busyId, onPlay) {
  byId("samples-box").hidden = samples.length === 0;
  byId("samples").replaceChildren(...samples.map((sample) => h("li", { class: "sample" },
    h("span", { class: "sample-text", lang: sample.language },
      h("span", { class: "call-name" }, sample.title),
      h("span", { class: "call-line" }, sample.language === "zh" ? "中文" : "English")),
    h("button", {
      type: "button", class: "small", "data-sample": sample.id, disabled: busyId === sample.id,
      "aria-label": t("play_sample", { title: sample.title }), onclick: () => onPlay(sample),
    }, busyId === sample.id ? t("starting") : t("play")))));
}

/** The state of the connection, in words and colour. */
export function drawLink(link) {
  const pill = byId("link");
  const seconds = Math.max(1, Math.round((link.ms ?? 0) / 1000));
  pill.className = `pill link-${link.state}`;
  pill.textContent = t(`link_${link.state}`, { seconds, detail: link.detail ?? "" });
}

function riskClass(risk) {
  if (risk >= 0.66) return "bad";
  return risk >= 0.33 ? "warn" : "good";
}

function meter(id, { value, low, high, text, spoken, tone, history }) {
  const box = byId(id);
  const share = value === null ? 0 : (value - low) / (high - low);
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", { class: `bar-fill ${tone}` }));
  bar.firstChild.style.width = `${Math.round(share * 100)}%`;
  const gauge = h("span", {
    class: "gauge", role: "meter", "aria-label": t(id), "aria-valuemin": low, "aria-valuemax": high,
    "aria-valuenow": value ?? low, "aria-valuetext": spoken ?? text,
  }, bar);
  box.replaceChildren(
    h("span", { class: "meter-name" }, t(id)),
    h("span", { class: `meter-value ${tone}` }, text),
    gauge,
    sparkline(history, low, high));
}

/** Escalation risk and predicted satisfaction, each with its course. */
export function drawRisk(model) {
  const last = model.risk.at(-1);
  const risk = last?.escalation ?? null;
  const mood = last?.predicted_satisfaction ?? null;
  meter("escalation", {
    value: risk, low: 0, high: 1, text: risk === null ? t("no_value") : percent(risk),
    tone: risk === null ? "" : riskClass(risk), history: model.risk.map((r) => r.escalation),
  });
  meter("satisfaction", {
    value: mood, low: 1, high: 5, text: mood === null ? t("no_value") : `${number(mood)} / 5`,
    spoken: mood === null ? null : t("of_five", { value: number(mood) }),
    tone: mood === null ? "" : riskClass((5 - mood) / 4), history: model.risk.map((r) => r.predicted_satisfaction),
  });
}

/** Name, state and notices of the chosen call. */
export function drawHead(model) {
  const { call } = model;
  byId("call-name").textContent = callName(call);
  const ended = model.ended && has(`reason_${model.ended.reason}`) ? t(`reason_${model.ended.reason}`) : null;
  const elapsed = clock(call.duration_ms ?? model.ended?.duration_ms ?? model.atMs);
  const live = model.liveScore && !model.scored ? t("live_score", { total: number(model.liveScore.total) }) : null;
  const line = [t(`state_${call.state}`), ended, elapsed, call.queue, call.agent?.id, (call.languages ?? []).join(", "), live];
  byId("call-line").textContent = line.filter(Boolean).join(" · ");
  byId("notices").replaceChildren(...[...model.degraded.values()].map((notice) =>
    h("li", { class: "notice" }, t("degraded", { stage: notice.stage, effect: notice.effect }))));
}

/** Class of a valence in [-5, 5]. */
export function valenceClass(valence) {
  if (valence <= -2.5) return "v-bad";
  if (valence <= -0.75) return "v-low";
  return valence >= 0.75 ? "v-good" : "v-even";
}

function words(utterance) {
  if (!utterance.final) {
    const stable = utterance.stable_chars ?? 0;
    const points = Array.from(utterance.text);
    return [h("span", { class: "stable" }, points.slice(0, stable).join("")), points.slice(stable).join("")];
  }
  const entities = (utterance.understanding?.entities ?? []).map((e) => ({ start: e.start, end: e.end, entity: e }));
  const redactions = (utterance.redactions ?? []).map((r) => ({ start: r.start, end: r.end, redaction: r }));
  const evidence = (utterance.evidence ?? []).map((s) => ({ ...s, evidence: true }));
  return cut(utterance.text, [...entities, ...redactions, ...evidence]).map(({ text, marks }) => {
    const entity = marks.find((m) => m.entity)?.entity;
    const redaction = marks.find((m) => m.redaction)?.redaction;
    const shown = marks.some((m) => m.evidence);
    if (!entity && !redaction && !shown) return text;
    const classes = [entity && "entity", redaction && "redacted", shown && "evidence"].filter(Boolean).join(" ");
    const title = redaction ? t("redacted", { label: label("entity", redaction.kind) })
      : entity ? t("entity_title", { label: label("entity", entity.type), value: entity.value }) : null;
    return h(shown ? "mark" : "span", { class: classes, title }, text);
  });
}

function badges({ understanding, role }) {
  if (!understanding) return [];
  const found = [];
  const { emotion } = understanding;
  // A calm agent is the rule and needs no badge.
  if (emotion && (emotion.label !== "neutral" || laneOf(role) !== "agent")) {
    const name = label("emotion", emotion.label);
    const title = t("emotion_title", { label: name, valence: number(emotion.valence) });
    found.push(h("span", { class: `badge emotion ${valenceClass(emotion.valence)}`, title }, name));
  }
  for (const intent of understanding.intents.filter((i) => i.selected)) {
    const title = t("intent_title", { group: label("group", intent.group), confidence: percent(intent.confidence) });
    found.push(h("span", { class: "badge intent", title }, label("intent", intent.name)));
  }
  if (understanding.ambiguous) found.push(h("span", { class: "badge quiet", title: t("ambiguous") }, "?"));
  if (understanding.out_of_scope?.flag && !understanding.intents.some((i) => i.selected)) {
    found.push(h("span", { class: "badge quiet" }, label("intent", "out_of_scope")));
  }
  for (const conduct of understanding.conduct ?? []) {
    found.push(h("span", { class: `badge conduct ${GRAVE_CONDUCT.has(conduct.label) ? "grave" : "kind"}` }, label("conduct", conduct.label)));
  }
  return found;
}

function utteranceItem(utterance) {
  const role = has(`role_${utterance.role}`) ? t(`role_${utterance.role}`) : utterance.role;
  const valence = utterance.understanding?.emotion?.valence;
  const classes = ["utterance", `lane-${laneOf(utterance.role)}`, utterance.final ? "final" : "partial"];
  if (valence !== undefined) classes.push(valenceClass(valence));
  const marks = badges(utterance);
  return h("li", { class: classes.join(" "), id: `u-${utterance.id}`, tabindex: "-1" },
    h("div", { class: "who" },
      h("span", { class: "role" }, role),
      h("span", { class: "time" }, clock(utterance.start_ms)),
      utterance.final ? null : h("span", { class: "typing" }, t("speaking"))),
    h("p", { class: "words", lang: utterance.language }, words(utterance)),
    marks.length > 0 ? h("div", { class: "badges" }, marks) : null);
}

/** Whether the reader is at the end of the transcript, so that it should follow. */
function atEnd(box) {
  return box.scrollHeight - box.scrollTop - box.clientHeight < FOLLOW_PX;
}

/** Draws the utterances of these ids anew and keeps the reader's place. */
export function drawUtterances(model, ids) {
  const [list, box] = [byId("utterances"), byId("transcript")];
  const follow = atEnd(box);
  for (const id of ids) {
    const old = byId(`u-${id}`);
    const utterance = model.utterances.get(id);
    if (!utterance) {
      old?.remove();
      continue;
    }
    const item = utteranceItem(utterance);
    item.utterance = utterance;
    if (old && old.utterance.start_ms === utterance.start_ms) old.replaceWith(item);
    else {
      old?.remove();
      place(list, item);
    }
  }
  byId("no-words").hidden = model.utterances.size > 0;
  if (follow) box.scrollTop = box.scrollHeight;
  drawJump();
}

/** Puts an item where it belongs by time; nearly always at the end. */
function place(list, item) {
  let next = null;
  for (let node = list.lastElementChild; node && byTime(item.utterance, node.utterance) < 0; node = node.previousElementSibling) next = node;
  list.insertBefore(item, next);
}

/** Draws the whole transcript. */
export function drawTranscript(model) {
  byId("utterances").replaceChildren();
  drawUtterances(model, [...model.utterances.values()].sort(byTime).map((u) => u.id));
  byId("transcript").scrollTop = byId("transcript").scrollHeight;
}

/** Shows the way back to the end when the reader has scrolled up. */
export function drawJump() {
  byId("jump").hidden = atEnd(byId("transcript"));
}

/** Scrolls to an utterance, marks the evidence in it and puts the focus on it. */
export function showUtterance(model, id, spans = []) {
  const utterance = model.utterances.get(id);
  if (!utterance) return;
  const before = [...model.utterances.values()].filter((u) => u.evidence);
  for (const other of before) other.evidence = null;
  utterance.evidence = spans;
  drawUtterances(model, [...before.map((u) => u.id), id]);
  const item = byId(`u-${id}`);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  item.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  item.focus({ preventScroll: true });
  item.classList.add("pointed");
}

/** Says something to screen readers. */
export function say(text, urgent = false) {
  const region = byId(urgent ? "say-now" : "say");
  region.append(h("p", {}, text));
  while (region.childElementCount > 6) region.firstElementChild.remove();
}

/** A short note at the foot of the page. */
export function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => {
    box.hidden = true;
  }, 4_000);
}
