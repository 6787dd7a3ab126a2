// The parts of the live page that need no browser.   node --test unit.test.mjs

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { backoffMs, sseParser } from "../../web/static/api.js";
import { CallModel, cut } from "../../web/static/call.js";
import { TEXTS, clock, label, number, percent, t } from "../../web/static/i18n.js";
import { LABELS } from "../../web/static/labels.js";

const ROOT = new URL("../../", import.meta.url);
const file = (path) => readFileSync(new URL(path, ROOT), "utf8");

const model = (lastSeq = 0) => new CallModel({ call_id: "call_1", state: "live", last_seq: lastSeq });
const event = (seq, sub, type, data) => ({ v: 1, call_id: "call_1", seq, sub, type, data, at_ms: seq * 100 });
const partial = (rev, text, id = "utt_1") => ({ utterance_id: id, rev, role: "customer", start_ms: 0, end_ms: 900, text, stable_chars: 0, language: "zh-CN" });
const final = (id, startMs, text) => ({ utterance_id: id, revision: 1, role: "customer", start_ms: startMs, end_ms: startMs + 900, text, language: "zh-CN" });
const texts = (m) => [...m.utterances.values()].map((u) => u.text);

test("the stream parser finds messages however the chunks fall", () => {
  const stream = ': beat\r\nid: 7\r\ndata: {"a":1}\r\n\r\nevent: end\ndata: x\ndata: y\n\n';
  for (let size = 1; size <= stream.length; size += 1) {
    const parse = sseParser();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...parse(stream.slice(at, at + size)));
    assert.deepEqual(found, [
      { event: "message", id: "7", data: '{"a":1}' },
      { event: "end", id: null, data: "x\ny" },
    ], `chunks of ${size}`);
  }
});

test("the stream parser keeps an unfinished message to itself", () => {
  assert.deepEqual(sseParser()("data: half"), []);
  assert.deepEqual(sseParser()("data: whole but not closed\n"), []);
});

test("back-off doubles, is capped and never zero", () => {
  assert.equal(backoffMs(1, 1), 500);
  assert.equal(backoffMs(3, 1), 2_000);
  assert.equal(backoffMs(40, 1), 30_000);
  assert.equal(backoffMs(1, 0), 250);
});

test("partials replace one another by revision; an old one changes nothing; an empty one removes", () => {
  const m = model();
  m.apply(event(0, 1, "transcript.partial", partial(1, "我要")));
  m.apply(event(0, 3, "transcript.partial", partial(3, "我要退款")));
  assert.deepEqual(m.apply(event(0, 2, "transcript.partial", partial(2, "我要退"))), []);
  assert.deepEqual(texts(m), ["我要退款"]);
  assert.deepEqual(m.apply(event(0, 4, "transcript.partial", partial(4, ""))), [{ part: "utterance", id: "utt_1" }]);
  assert.equal(m.utterances.size, 0);
});

test("a final replaces its partials and is not touched by later ones", () => {
  const m = model();
  m.apply(event(0, 1, "transcript.partial", partial(1, "我要推款")));
  m.apply(event(1, 0, "transcript.final", final("utt_1", 0, "我要退款。")));
  m.apply(event(1, 1, "transcript.partial", partial(9, "不该出现")));
  assert.deepEqual(texts(m), ["我要退款。"]);
  assert.equal(m.lastSeq, 1);
});

test("a repeated durable event changes nothing, and partials do not move the place of resumption", () => {
  const m = model();
  m.apply(event(1, 0, "transcript.final", final("utt_1", 0, "一")));
  m.apply(event(1, 1, "transcript.partial", partial(1, "二", "utt_2")));
  assert.equal(m.lastSeq, 1);
  assert.deepEqual(m.apply(event(1, 0, "transcript.final", final("utt_1", 0, "另一"))), []);
  assert.deepEqual(texts(m), ["一", "二"]);
  assert.deepEqual(m.dropPartials(), [{ part: "utterance", id: "utt_2" }]);
  assert.deepEqual(texts(m), ["一"]);
});

test("turns follow the order of the conversation, not of arrival", () => {
  const m = model();
  m.apply(event(1, 0, "transcript.final", final("utt_b", 5_000, "后")));
  m.apply(event(2, 0, "transcript.final", final("utt_a", 1_000, "先")));
  m.apply(event(2, 1, "transcript.partial", partial(1, "未完", "utt_c")));
  assert.deepEqual(m.turns().map((u) => u.text), ["先", "后"]);
});

test("what was there before the page looked is not new", () => {
  const m = model(1);
  m.apply(event(1, 0, "suggestion.created", { suggestion_id: "sug_1", title: "a" }));
  m.apply(event(2, 0, "suggestion.created", { suggestion_id: "sug_2", title: "b" }));
  assert.deepEqual([...m.suggestions.values()].map((s) => s.fresh), [false, true]);
});

test("suggestions and alerts change state", () => {
  const m = model();
  m.apply(event(1, 0, "suggestion.created", { suggestion_id: "sug_1", rev: 1, text: "old", score: 0.5 }));
  m.apply(event(2, 0, "suggestion.updated", { suggestion_id: "sug_1", rev: 2, text: "new" }));
  m.apply(event(3, 0, "suggestion.withdrawn", { suggestion_id: "sug_1", reason: "said_by_agent" }));
  const suggestion = m.suggestions.get("sug_1");
  assert.deepEqual([suggestion.text, suggestion.score, suggestion.withdrawn], ["new", 0.5, "said_by_agent"]);
  m.apply(event(4, 0, "alert.raised", { alert_id: "alr_1", level: "warning", evidence: [] }));
  m.apply(event(5, 0, "alert.acknowledged", { alert_id: "alr_1", by: "tok_1" }));
  assert.equal(m.alerts.get("alr_1").state, "acknowledged");
  m.apply(event(6, 0, "alert.resolved", { alert_id: "alr_1", reason: "retracted" }));
  assert.deepEqual([m.alerts.get("alr_1").state, m.alerts.get("alr_1").reason], ["resolved", "retracted"]);
});

test("an unknown event type is passed over but counts", () => {
  const m = model();
  assert.deepEqual(m.apply(event(1, 0, "something.new", {})), []);
  assert.equal(m.lastSeq, 1);
});

test("the end drops what never became final", () => {
  const m = model();
  m.apply(event(0, 1, "transcript.partial", partial(1, "半句")));
  m.apply(event(1, 0, "call.ended", { duration_ms: 100, reason: "hangup" }));
  assert.equal(m.utterances.size, 0);
  assert.equal(m.call.state, "post");
});

test("texts are cut at code points, overlaps included", () => {
  const pieces = cut("a😀订单12号", [{ start: 2, end: 4, name: "x" }, { start: 3, end: 6, name: "y" }, { start: 6, end: 99, name: "z" }]);
  assert.deepEqual(pieces.map((p) => [p.text, p.marks.map((m) => m.name).join("")]), [
    ["a😀", ""], ["订", "x"], ["单", "xy"], ["12", "y"], ["号", "z"],
  ]);
  assert.equal(pieces.map((p) => p.text).join(""), "a😀订单12号");
});

test("numbers and times", () => {
  assert.deepEqual([clock(0), clock(75_320), clock(3_600_000 + 61_000)], ["0:00", "1:15", "1:01:01"]);
  assert.deepEqual([percent(0.347), percent(null), number(85), number(84.256, 2)], ["35%", "–", "85", "84.26"]);
});

test("every text is there in both languages, with the same places to fill", () => {
  for (const [key, words] of Object.entries(TEXTS)) {
    assert.equal(words.length, 2, key);
    const places = words.map((text) => [...text.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort().join());
    assert.equal(places[0], places[1], key);
    assert.ok(words.every((text) => text.length > 0), key);
  }
});

test("every text that the page asks for exists", () => {
  const sources = readdirSync(new URL("web/static/", ROOT)).filter((name) => name.endsWith(".js")).map((name) => file(`web/static/${name}`));
  const asked = [...sources.join("\n").matchAll(/\bt\("([a-z_]+)"/g), ...file("web/index.html").matchAll(/data-t(?:-label|-placeholder)?="([a-z_]+)"/g)].map((m) => m[1]);
  assert.ok(asked.length > 60);
  for (const key of asked) assert.ok(key in TEXTS, `no text for ${key}`);
});

test("labels are those of the taxonomy, with its names", () => {
  for (const kind of ["intent", "emotion", "conduct", "entity"]) {
    const toml = file(`pipelines/taxonomy/${kind}.toml`);
    const entries = [...toml.matchAll(/\{ id = "(\w+)",.*?zh = "([^"]+)",\s+en = "([^"]+)" \}/g)];
    assert.ok(entries.length > 5, kind);
    const wanted = new Map();
    for (const [, id, zh, en] of entries) if (!wanted.has(id)) wanted.set(id, [zh, en]);
    assert.deepEqual(LABELS[kind], Object.fromEntries(wanted), kind);
  }
  const groups = [...file("pipelines/taxonomy/intent.toml").matchAll(/^id = "(\w+)"\nzh = "([^"]+)"\nen = "([^"]+)"/gm)];
  assert.deepEqual(LABELS.group, Object.fromEntries(groups.map(([, id, zh, en]) => [id, [zh, en]])));
});

test("a label of a deployment's own is shown by its id", () => {
  assert.equal(label("intent", "my_own_intent"), "my own intent");
  assert.equal(t("of_five", { value: 3 }).includes("3"), true);
});

test("the page never writes data as markup", () => {
  for (const name of readdirSync(new URL("web/static/", ROOT)).filter((n) => n.endsWith(".js"))) {
    assert.doesNotMatch(file(`web/static/${name}`), /innerHTML|outerHTML|insertAdjacentHTML|document\.write/, name);
  }
});
