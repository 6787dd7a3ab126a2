// Draws what helps the agent: suggestions, alerts, answers of the knowledge base, and the results after the call.
import { byId, h } from "./dom.js";
import { clock, has, label, number, percent, t } from "./i18n.js";
import { cut } from "./call.js";

export const WRONG_REASONS = ["irrelevant", "outdated", "incorrect", "unsafe"];
/** Passages shown for a question. */
const PASSAGES_MAX = 3;

/** Whether a suggestion still asks for the agent's attention. */
export function isOpen(suggestion, marks) {
  return !suggestion.withdrawn && !marks.has(suggestion.suggestion_id);
}

/** Suggestions that are open, newest first: the order in which the keyboard goes through them. */
export function openSuggestions(model, marks) {
  return [...model.suggestions.values()].filter((s) => isOpen(s, marks)).reverse();
}

function whyText({ signal, value }) {
  const name = has(`why_${signal}`) ? t(`why_${signal}`) : signal;
  if (signal === "intent" || signal === "emotion" || signal === "conduct") return `${name}: ${label(signal, value)}`;
  if (signal === "retrieval" && Number.isFinite(Number(value))) return `${name}: ${percent(Number(value))}`;
  return `${name}: ${value}`;
}

function wrongChoice(suggestion, actions) {
  return h("div", { class: "wrong-choice", role: "group", "aria-label": t("wrong_why") },
    h("span", { class: "hint" }, t("wrong_why")),
    WRONG_REASONS.map((reason) => h("button", {
      type: "button", class: "small", "data-reason": reason, onclick: () => actions.mark(suggestion.suggestion_id, "wrong", reason),
    }, t(`wrong_${reason}`))),
    h("button", { type: "button", class: "small plain", onclick: () => actions.askWrong(null) }, t("cancel")));
}

function suggestionButtons(suggestion, state, actions) {
  const id = suggestion.suggestion_id;
  if (state.wrongId === id) return wrongChoice(suggestion, actions);
  return h("div", { class: "buttons" },
    h("button", { type: "button", class: "small primary", "data-do": "use", onclick: () => actions.mark(id, "used") }, t("use")),
    h("button", { type: "button", class: "small", "data-do": "dismiss", onclick: () => actions.mark(id, "dismissed") }, t("dismiss")),
    h("button", { type: "button", class: "small plain", "data-do": "wrong", onclick: () => actions.askWrong(id) }, t("wrong")));
}

function outcome(suggestion, marks) {
  const mark = marks.get(suggestion.suggestion_id);
  if (mark) return h("span", { class: `outcome ${mark}` }, t(`done_${mark}`));
  return suggestion.withdrawn ? h("span", { class: "outcome" }, t(`withdrawn_${suggestion.withdrawn}`)) : null;
}

function citation(suggestion, actions) {
  const quotes = (suggestion.citations ?? []).filter((c) => c.quote);
  if (quotes.length === 0) return null;
  const source = h("details", { class: "source" }, h("summary", {}, t("source")), quotes.map((c) => h("blockquote", {}, c.quote)));
  source.addEventListener("toggle", () => source.open && actions.clicked(suggestion.suggestion_id));
  return source;
}

function suggestionCard(suggestion, state, actions) {
  const id = suggestion.suggestion_id;
  const open = isOpen(suggestion, state.marks);
  const chosen = open && state.chosenId === id;
  const item = h("li", {
    class: `card suggestion kind-${suggestion.kind} ${chosen ? "chosen" : ""} ${open ? "" : "closed"}`,
    id: `s-${id}`, tabindex: "-1", "aria-current": chosen ? "true" : null, onfocusin: open ? () => actions.choose(id) : null,
  },
  h("div", { class: "card-head" },
    h("span", { class: "kind" }, has(`kind_${suggestion.kind}`) ? t(`kind_${suggestion.kind}`) : suggestion.kind),
    h("h3", {}, suggestion.title),
    h("span", { class: "time" }, clock(suggestion.at_ms))),
  h("p", { class: "card-text" }, suggestion.text),
  citation(suggestion, actions),
  h("div", { class: "card-foot" },
    h("ul", { class: "why" }, (suggestion.why ?? []).map((w) => h("li", {}, whyText(w)))),
    open ? suggestionButtons(suggestion, state, actions) : outcome(suggestion, state.marks)));
  return item;
}

/** The suggestions: open ones as cards, the others folded away. `state` is {marks, chosenId, wrongId}. */
export function drawSuggestions(model, state, actions) {
  const open = openSuggestions(model, state.marks);
  const closed = [...model.suggestions.values()].filter((s) => !isOpen(s, state.marks)).reverse();
  const sources = new Set([...document.querySelectorAll(".suggestion .source[open]")].map((s) => s.closest(".suggestion").id));
  const focused = document.activeElement?.closest?.(".suggestion");
  const focusedButton = document.activeElement?.dataset?.do ?? null;
  const card = (s) => suggestionCard(s, state, actions);
  byId("suggestion-list").replaceChildren(...(open.length > 0 ? open.map(card) : [h("li", { class: "empty" }, t("no_suggestions"))]));
  byId("earlier-box").hidden = closed.length === 0;
  byId("earlier-name").textContent = t("earlier", { n: closed.length });
  byId("earlier-list").replaceChildren(...closed.map(card));
  for (const id of sources) byId(id)?.querySelector(".source")?.setAttribute("open", "");
  if (focused && !focused.isConnected) {
    const again = byId(focused.id);
    const button = focusedButton && again?.querySelector(`[data-do="${focusedButton}"]`);
    (button || again)?.focus({ preventScroll: true });
  }
  byId("help-count").textContent = open.length > 0 ? String(open.length) : "";
}

function evidenceButton(model, utteranceId, spans, startMs, actions) {
  const time = clock(startMs);
  return h("button", {
    type: "button", class: "small plain evidence-link", "aria-label": t("go_to", { time }), title: t("go_to", { time }),
    onclick: () => actions.show(utteranceId, spans), disabled: !model.utterances.has(utteranceId),
  }, time);
}

function alertItem(model, alert, actions) {
  const open = alert.state === "open";
  const state = alert.state === "resolved" && alert.reason === "retracted" ? "retracted" : alert.state;
  const byUtterance = new Map();
  for (const e of alert.evidence) byUtterance.set(e.utterance_id, [...(byUtterance.get(e.utterance_id) ?? []), e]);
  return h("li", { class: `alert level-${alert.level} ${open ? "" : "closed"}`, "data-alert": alert.alert_id },
    h("span", { class: "alert-title" }, h("span", { class: "level" }, t(`level_${alert.level}`)), alert.title,
      alert.suggested_action ? h("span", { class: "hint" }, alert.suggested_action) : null),
    h("span", { class: "alert-where" },
      [...byUtterance].map(([id, spans]) => evidenceButton(model, id, spans, spans[0].start_ms, actions)),
      byUtterance.size === 0 ? h("span", { class: "hint" }, clock(alert.at_ms)) : null),
    open
      ? h("button", { type: "button", class: "small", "data-do": "acknowledge", onclick: () => actions.acknowledge(alert.alert_id) }, t("acknowledge"))
      : h("span", { class: "outcome" }, t(`alert_${state}`)));
}

/** The alerts: open ones first, grave ones first. */
export function drawAlerts(model, actions) {
  const rank = { critical: 0, warning: 1, info: 2 };
  const alerts = [...model.alerts.values()].sort(
    (a, b) => Number(a.state !== "open") - Number(b.state !== "open") || (rank[a.level] ?? 3) - (rank[b.level] ?? 3) || b.at_ms - a.at_ms,
  );
  byId("alerts-box").hidden = alerts.length === 0;
  byId("alert-list").replaceChildren(...alerts.map((alert) => alertItem(model, alert, actions)));
}

/** What the knowledge base answered; `answer` is null while it looks. */
export function drawAnswer(answer, actions) {
  const box = byId("answer");
  if (answer === undefined) return box.replaceChildren();
  if (answer === null) return box.replaceChildren(h("p", { class: "hint" }, t("asking")));
  const passages = answer.passages.slice(0, PASSAGES_MAX);
  if (passages.length === 0) return box.replaceChildren(h("p", { class: "hint" }, t("ask_none")));
  const draft = answer.draft ? h("div", { class: "card draft" },
    h("div", { class: "card-head" }, h("span", { class: "kind" }, t("draft"))),
    h("p", { class: "card-text" }, answer.draft),
    h("div", { class: "card-foot" }, h("button", { type: "button", class: "small", onclick: () => actions.copy(answer.draft) }, t("copy")))) : null;
  const list = passages.map((passage) => {
    const spans = [{ ...passage.citation, quote: true }, ...(passage.highlights ?? []).map((s) => ({ ...s, word: true }))];
    const text = cut(passage.text, spans).map(({ text: piece, marks }) => {
      const quote = marks.some((m) => m.quote);
      if (marks.some((m) => m.word)) return h("b", { class: quote ? "quote" : null }, piece);
      return quote ? h("span", { class: "quote" }, piece) : piece;
    });
    return h("li", { class: "card passage" },
      h("div", { class: "card-head" }, h("h3", {}, passage.title), h("span", { class: "time" }, percent(passage.score))),
      h("p", { class: "card-text" }, text));
  });
  const degraded = answer.degraded?.length > 0 ? h("p", { class: "hint" }, t("ask_degraded", { parts: answer.degraded.join(", ") })) : null;
  return box.replaceChildren(...[draft, h("ul", { class: "cards" }, list), degraded].filter(Boolean));
}

/** Points a rule gave or took in this scorecard. */
function pointsOf(result) {
  return result.points ?? result.score_delta ?? 0;
}

/** `bad`, `good` or `even`: what a rule's result means for the agent. */
function meaning(result, fatal) {
  if (result.state !== "hit") return "even";
  if (fatal.includes(result.rule) || pointsOf(result) < 0) return "bad";
  if (pointsOf(result) > 0 || result.kind === "merit") return "good";
  return result.kind === "violation" ? "bad" : "even";
}

function resultItem(model, result, card, actions) {
  const turns = model.turns();
  const byTurn = new Map();
  for (const [turn, start, end] of result.evidence ?? []) byTurn.set(turn, [...(byTurn.get(turn) ?? []), { start, end }]);
  const places = [...byTurn].filter(([turn]) => turns[turn]).map(([turn, spans]) => evidenceButton(model, turns[turn].id, spans, turns[turn].start_ms, actions));
  const points = pointsOf(result);
  const tone = meaning(result, card.fatal ?? []);
  return h("li", { class: `result ${tone}` },
    h("span", { class: "mark", "aria-hidden": "true" }, { bad: "✕", good: "✓", even: "·" }[tone]),
    h("span", { class: "result-name" }, result.name ?? result.rule,
      result.missing?.length > 0 ? h("span", { class: "hint" }, t("missing_steps", { steps: result.missing.join(", ") })) : null),
    h("span", { class: "result-where" }, places.length > 0 ? places : result.state === "hit" ? h("span", { class: "hint" }, t("no_place")) : null),
    h("span", { class: "points" }, card.fatal?.includes(result.rule) ? t("fatal") : points !== 0 ? t("points", { n: `${points > 0 ? "+" : "−"}${number(Math.abs(points))}` }) : ""));
}

function folded(name, results, model, card, actions) {
  if (results.length === 0) return null;
  return h("details", { class: "folded" }, h("summary", {}, name),
    h("ul", { class: "results" }, results.map((r) => resultItem(model, r, card, actions))));
}

function scorecard(model, actions) {
  const card = model.scorecard;
  if (!card) return [h("p", { class: "hint" }, t("scoring"))];
  const of = (...states) => card.results.filter((r) => states.includes(r.state));
  const hits = of("hit");
  const total = card.total === null || card.total === undefined ? t("no_total") : number(card.total, 2);
  const share = card.total === null || card.total === undefined ? 0 : card.total / (card.max || 100);
  return [
    h("div", { class: "total" },
      h("span", { class: `total-value ${share >= 0.85 ? "good" : share >= 0.6 ? "warn" : "bad"}`, id: "total" }, total),
      h("span", { class: "hint" }, `/ ${number(card.max)}`),
      h("ul", { class: "dimensions" }, (card.dimensions ?? []).map((d) => h("li", {},
        h("span", {}, d.name ?? d.id), " ", h("b", {}, d.score === null || d.score === undefined ? "–" : number(d.score)))))),
    hits.length > 0
      ? h("ul", { class: "results" }, hits.map((r) => resultItem(model, r, card, actions)))
      : h("p", { class: "hint" }, t("no_findings")),
    folded(t("passed_rules", { n: of("miss").length }), of("miss"), model, card, actions),
    folded(t("na_rules", { n: of("na", "not_applicable").length }), of("na", "not_applicable"), model, card, actions),
  ];
}

function summary(model, actions) {
  const { sections, disposition } = model.summary;
  return [
    disposition ? h("p", { class: "disposition" }, `${t("disposition")}: `, h("b", {}, label("intent", disposition))) : null,
    h("dl", {}, sections.map((section) => [
      h("dt", {}, has(`section_${section.name}`) ? t(`section_${section.name}`) : section.name),
      h("dd", {}, section.text, " ", (section.evidence ?? []).filter((id) => model.utterances.has(id)).map((id) =>
        evidenceButton(model, id, [], model.utterances.get(id).start_ms, actions))),
    ])),
  ].filter(Boolean);
}

/** Scorecard and summary, once the call is over. */
export function drawAfter(model, actions) {
  const over = Boolean(model.ended) || model.completed;
  byId("after-box").hidden = !over;
  if (!over) return;
  byId("score-body").replaceChildren(...scorecard(model, actions).filter(Boolean));
  byId("summary-box").hidden = !model.summary;
  if (model.summary) byId("summary-body").replaceChildren(...summary(model, actions));
}
