// The page's own state and how its parts work together: token, choice of call, streams, keyboard.
import { Api } from "./api.js";
import { CallModel } from "./call.js";
import { byId } from "./dom.js";
import { initLanguage, number, switchLanguage, t } from "./i18n.js";
import * as panels from "./panels.js";
import { read, write } from "./store.js";
import * as view from "./view.js";
import { Wall } from "./wall.js";

const TOKEN = "zhiyin.token";
const MARKS = "zhiyin.marks";
const KEYS = "zhiyin.keys";

const page = {
  api: null,
  wall: null,
  model: null,
  stream: null,
  link: { state: "idle" },
  /** suggestion_id -> used | dismissed | wrong, as this tab reported it. */
  marks: new Map(),
  chosenId: null,
  wrongId: null,
  answer: undefined,
  clicked: new Set(),
  keys: true,
};

/** Reads the address fragment, and takes a token out of it so that it does not stay in the address bar. */
function readFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token) {
    write("sessionStorage", TOKEN, token);
    fragment.delete("token");
    const rest = fragment.toString();
    history.replaceState(null, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
  }
  return { token, callId: fragment.get("call") };
}

// ---- token

/** Asks for a token. `keep` is one that may still be good: the service could not be asked. */
function showGate(message = "", keep = "") {
  closeAll();
  write("sessionStorage", TOKEN, keep || null);
  byId("desk").hidden = true;
  byId("tabs").hidden = true;
  byId("sign-out").hidden = true;
  byId("link").hidden = true;
  byId("gate").hidden = false;
  byId("gate-error").textContent = message;
  byId("token").value = keep;
  byId("token").focus();
}

async function enter(token) {
  closeAll();
  const api = new Api(token, () => showGate(t("token_refused")));
  const wall = new Wall(api, { choose, attempt });
  try {
    const list = await api.calls();
    Object.assign(page, { api, wall });
    write("sessionStorage", TOKEN, token);
    wall.takeCalls(list.items);
  } catch (error) {
    if (error.status === 401) return;
    if (error.status === 403) showGate(t("token_scope", { detail: error.message }));
    else showGate(error.status ? t("failed", { detail: error.message }) : t("unreachable"), token);
    return;
  }
  byId("gate").hidden = true;
  for (const id of ["desk", "tabs", "sign-out", "link"]) byId(id).hidden = false;
  wall.open();
  const { callId } = readFragment();
  if (callId) choose(callId);
  else view.drawLink(page.link);
}

function closeAll() {
  page.wall?.close();
  page.stream?.close();
  Object.assign(page, { api: null, wall: null, stream: null, model: null, answer: undefined });
  byId("call").dataset.chosen = "no";
  byId("help").hidden = true;
}

/** Runs a request of the user and says so if it fails. */
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    view.toast(error.status ? t("failed", { detail: error.message }) : t("unreachable"));
    return undefined;
  }
}

// ---- the chosen call

async function choose(callId) {
  const api = page.api;
  const call = await attempt(() => api.call(callId));
  if (!call || page.api !== api) return;
  page.stream?.close();
  Object.assign(page, { model: new CallModel(call), chosenId: null, wrongId: null, answer: undefined });
  page.wall.chosenId = callId;
  page.wall.update(call);
  history.replaceState(null, "", `#call=${callId}`);
  byId("call").dataset.chosen = "yes";
  byId("help").hidden = false;
  byId("question").value = "";
  showTab("call");
  drawAll();
  follow(page.model);
}

function follow(model) {
  let first = true;
  page.stream = page.api.follow(`/calls/${encodeURIComponent(model.callId)}/events`, {
    query: () => `?from_seq=${model.lastSeq + 1}`,
    onOpen: () => {
      if (!first) draw(model.dropPartials());
      first = false;
    },
    onEvent: (event) => {
      draw(model.apply(event));
      announce(model, event);
      afterwards(model, event);
    },
    onState: (state, detail) => {
      const ms = state === "waiting" ? detail : undefined;
      page.link = { state, ms, detail: state === "failed" ? detail.message : undefined };
      view.drawLink(page.link);
    },
  });
}

/** What screen readers hear, and what is reported as shown: only what happens while the page looks on. */
function announce(model, event) {
  if (event.sub !== 0 || !model.isNew(event)) return;
  const { data } = event;
  if (event.type === "transcript.final" || event.type === "message.added") {
    view.say(t("say_final", { role: t(`role_${data.role}`), text: data.text }));
  } else if (event.type === "suggestion.created") {
    view.say(t("say_suggestion", { title: data.title }));
    page.api.feedback(data.suggestion_id, { action: "shown" }).catch(() => {});
  } else if (event.type === "alert.raised") {
    view.say(t("say_alert", { level: t(`level_${data.level}`), title: data.title }), data.level === "critical");
  } else if (event.type === "quality.scored" && data.clock === "post") {
    view.say(t("say_score", { total: number(data.total) }));
  }
}

/** The scorecard is read when the service says that there is one, and at the latest at the end. */
async function afterwards(model, event) {
  const scored = event.type === "quality.scored" && event.data.clock !== "live";
  if (!scored && !(event.type === "call.completed" && !model.scorecard)) return;
  const card = await attempt(() => page.api.score(model.callId));
  if (!card || page.model !== model) return;
  model.scorecard = card;
  draw([{ part: "after" }]);
}

// ---- drawing: changes are gathered and drawn once a frame

const pending = { parts: new Set(), utterances: new Set(), timer: null };

function draw(changes) {
  for (const { part, id } of changes) {
    if (part === "utterance") pending.utterances.add(id);
    else pending.parts.add(part);
  }
  if (changes.length === 0 || pending.timer) return;
  // A hidden tab gets no frames; the timer sees to it that it is up to date when it comes back.
  pending.timer = setTimeout(flush, 250);
  requestAnimationFrame(flush);
}

function flush() {
  clearTimeout(pending.timer);
  pending.timer = null;
  const { model } = page;
  const [parts, utterances] = [new Set(pending.parts), [...pending.utterances]];
  pending.parts.clear();
  pending.utterances.clear();
  if (!model) return;
  if (utterances.length > 0) {
    view.drawUtterances(model, utterances);
    // Evidence may have waited for the words that it points to.
    if (parts.has("alerts") || model.alerts.size > 0) parts.add("alerts");
    parts.add("call");
  }
  if (parts.has("call")) {
    view.drawHead(model);
    parts.add("after");
    page.wall.update(model.call);
  }
  if (parts.has("risk")) view.drawRisk(model);
  if (parts.has("suggestions")) drawSuggestions();
  if (parts.has("alerts")) panels.drawAlerts(model, actions);
  if (parts.has("after")) panels.drawAfter(model, actions);
}

function drawSuggestions() {
  const open = panels.openSuggestions(page.model, page.marks);
  if (!open.some((s) => s.suggestion_id === page.chosenId)) page.chosenId = open[0]?.suggestion_id ?? null;
  panels.drawSuggestions(page.model, page, actions);
}

function drawAll() {
  view.translate();
  page.wall?.draw();
  view.drawLink(page.link);
  const { model } = page;
  if (!model) return;
  view.drawHead(model);
  view.drawRisk(model);
  view.drawTranscript(model);
  drawSuggestions();
  panels.drawAlerts(model, actions);
  panels.drawAfter(model, actions);
  panels.drawAnswer(page.answer, actions);
}

// ---- what the user does

const actions = {
  choose(id) {
    if (page.chosenId === id) return;
    byId(`s-${page.chosenId}`)?.classList.remove("chosen");
    byId(`s-${page.chosenId}`)?.removeAttribute("aria-current");
    page.chosenId = id;
    byId(`s-${id}`)?.classList.add("chosen");
    byId(`s-${id}`)?.setAttribute("aria-current", "true");
  },
  askWrong(id) {
    page.wrongId = id;
    drawSuggestions();
    if (id) byId(`s-${id}`)?.querySelector("[data-reason]")?.focus();
  },
  async mark(id, action, reason) {
    const suggestion = page.model?.suggestions.get(id);
    if (!suggestion || page.marks.has(id)) return;
    const order = panels.openSuggestions(page.model, page.marks).map((s) => s.suggestion_id);
    const next = order[order.indexOf(id) + 1] ?? order[order.indexOf(id) - 1] ?? null;
    if (action === "used") await actions.copy(suggestion.text, true);
    const done = await attempt(async () => {
      await page.api.feedback(id, reason ? { action, reason } : { action });
      return true;
    });
    if (!done) return;
    page.marks.set(id, action);
    write("sessionStorage", MARKS, JSON.stringify([...page.marks].slice(-500)));
    page.wrongId = null;
    page.chosenId = next;
    const inside = byId("suggestions-box").contains(document.activeElement) || document.activeElement === document.body;
    drawSuggestions();
    if (inside && next) byId(`s-${next}`)?.focus();
  },
  clicked(id) {
    if (page.clicked.has(id)) return;
    page.clicked.add(id);
    page.api.feedback(id, { action: "clicked" }).catch(() => page.clicked.delete(id));
  },
  async acknowledge(id) {
    const done = await attempt(() => page.api.acknowledge(id));
    const alert = page.model?.alerts.get(id);
    if (!done || !alert) return;
    // The event says the same; a call that is over sends none any more.
    if (alert.state === "open") page.model.alerts.set(id, { ...alert, state: "acknowledged" });
    panels.drawAlerts(page.model, actions);
  },
  show(utteranceId, spans) {
    showTab("call");
    view.showUtterance(page.model, utteranceId, spans);
  },
  async copy(text, used = false) {
    try {
      await navigator.clipboard.writeText(text);
      view.toast(t("copied"));
    } catch {
      // No clipboard outside a secure context, or the user forbade it.
      view.toast(used ? t("not_copied") : t("failed", { detail: "clipboard" }));
    }
  },
};

async function ask(event) {
  event.preventDefault();
  const text = byId("question").value.trim();
  const { model } = page;
  if (!text || !model) return;
  page.answer = null;
  panels.drawAnswer(page.answer, actions);
  const answer = await attempt(() => page.api.ask(model.callId, text));
  if (page.model !== model) return;
  page.answer = answer;
  panels.drawAnswer(page.answer, actions);
}

function move(step) {
  const order = panels.openSuggestions(page.model, page.marks).map((s) => s.suggestion_id);
  if (order.length === 0) return;
  const focused = document.activeElement?.closest?.(".suggestion");
  const at = order.indexOf(page.chosenId);
  // The first press only goes to the chosen card.
  const to = focused ? Math.min(order.length - 1, Math.max(0, at + step)) : Math.max(0, at);
  actions.choose(order[to]);
  byId(`s-${order[to]}`)?.focus();
}

function onKey(event) {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !page.keys || !page.model) return;
  if (target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    u: () => page.chosenId && actions.mark(page.chosenId, "used"),
    d: () => page.chosenId && actions.mark(page.chosenId, "dismissed"),
    "/": () => {
      showTab("help");
      byId("question").focus();
    },
    Escape: () => page.wrongId && actions.askWrong(null),
  };
  const work = keys[event.key];
  if (!work) return;
  event.preventDefault();
  work();
}

/** On narrow screens one part is shown at a time. */
function showTab(name) {
  document.body.dataset.tab = name;
  for (const tab of document.querySelectorAll("[data-tab-of]")) tab.setAttribute("aria-pressed", String(tab.dataset.tabOf === name));
}

function start() {
  initLanguage();
  try {
    page.marks = new Map(JSON.parse(read("sessionStorage", MARKS) ?? "[]"));
  } catch {
    page.marks = new Map();
  }
  page.keys = read("localStorage", KEYS) !== "off";
  byId("keys").checked = page.keys;
  byId("keys").addEventListener("change", (event) => {
    page.keys = event.target.checked;
    write("localStorage", KEYS, page.keys ? "on" : "off");
  });
  byId("gate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = byId("token").value.trim();
    if (token) enter(token);
  });
  byId("language").addEventListener("click", () => {
    switchLanguage();
    drawAll();
  });
  byId("sign-out").addEventListener("click", () => {
    history.replaceState(null, "", location.pathname + location.search);
    showGate();
  });
  byId("ask-form").addEventListener("submit", ask);
  byId("jump").addEventListener("click", () => {
    byId("transcript").scrollTop = byId("transcript").scrollHeight;
  });
  byId("transcript").addEventListener("scroll", view.drawJump, { passive: true });
  for (const tab of document.querySelectorAll("[data-tab-of]")) tab.addEventListener("click", () => showTab(tab.dataset.tabOf));
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", () => {
    const { token, callId } = readFragment();
    if (token) enter(token);
    else if (callId && page.api && callId !== page.model?.callId) choose(callId);
  });
  showTab("calls");
  view.translate();
  const { token } = readFragment();
  const known = token ?? read("sessionStorage", TOKEN);
  if (known) enter(known);
  else showGate();
}

start();
