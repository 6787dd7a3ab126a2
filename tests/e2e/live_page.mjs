// The live page in a real Chromium, against a running service: a sample call is played and followed to its scorecard.
// It starts no service itself; it reaches the one of BASE_URL through a relay, to be able to cut the line.
//
//   BASE_URL=http://127.0.0.1:8080 TOKEN=zy_… [SAMPLE=zh-refund] [SHOTS=shots] [CHROMIUM=/usr/bin/chromium] node live_page.mjs
//
// Exit status 0: everything was seen. Screenshots lie in the folder SHOTS.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { relay } from "./relay.mjs";

const SERVICE = process.env.BASE_URL ?? "http://127.0.0.1:8080";
const { TOKEN, SAMPLE } = process.env;
const SHOTS = process.env.SHOTS ?? "shots";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
/** A sample call lasts up to two minutes; work after it takes a few seconds. */
const CALL_MS = 180_000;
const STEP_MS = 60_000;

if (!TOKEN) {
  console.error("TOKEN is missing: give the token that the service printed when it first started");
  process.exit(2);
}

const problems = [];
let expectRefusal = false;

/** A failed fetch leaves a line in the console; only the refusals that the test provokes may do so. */
function watch(page) {
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    if (expectRefusal && /Failed to load resource/.test(message.text())) return;
    problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`page: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(BASE_URL)) problems.push(`outside request: ${request.url()}`);
  });
}

async function shot(page, name) {
  await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
}

async function step(name, work) {
  const begun = Date.now();
  const value = await work();
  console.log(`ok   ${name} (${Date.now() - begun} ms)`);
  return value;
}

/** Waits until something is on the page and answers its text. */
async function textOf(page, selector, timeout = STEP_MS) {
  const found = page.locator(selector).first();
  await found.waitFor({ state: "visible", timeout });
  return (await found.innerText()).trim();
}

async function signIn(page) {
  await page.goto(BASE_URL);
  await step("the page asks for a token", () => page.locator("#token").waitFor({ timeout: STEP_MS }));
  await shot(page, "00-token");
  await step("a wrong token is refused with a message", async () => {
    expectRefusal = true;
    await page.fill("#token", "zy_wrong");
    await page.press("#token", "Enter");
    await page.waitForFunction(() => document.querySelector("#gate-error").textContent.length > 0);
    expectRefusal = false;
  });
  await step("a token in the address fragment is taken and removed", async () => {
    await page.goto("about:blank");
    await page.goto(`${BASE_URL}/#token=${TOKEN}`);
    await page.locator("#desk").waitFor({ timeout: STEP_MS });
    assert.ok(!page.url().includes(TOKEN), "the token stays in the address bar");
    assert.equal(await page.evaluate(() => sessionStorage.getItem("zhiyin.token")), TOKEN);
  });
}

async function playSample(page) {
  const button = SAMPLE ? `[data-sample="${SAMPLE}"]` : "[data-sample]";
  await step("sample calls are listed", () => page.locator(button).first().waitFor({ timeout: STEP_MS }));
  await shot(page, "01-calls");
  await step("a sample call is played and chosen", async () => {
    await page.locator(button).first().click();
    await page.locator('#call[data-chosen="yes"]').waitFor({ timeout: STEP_MS });
  });
}

async function liveCall(page) {
  const partial = await step("a partial arrives", () => textOf(page, ".utterance.partial .words"));
  assert.ok(partial.length > 0);
  await shot(page, "02-partial");
  const final = await step("a final arrives", () => textOf(page, ".utterance.final .words"));
  assert.ok(final.length > 0);
  await step("the final's understanding arrives", () => textOf(page, ".utterance.final .badges .badge"));
  await step("both lanes fill", async () => {
    await textOf(page, ".utterance.final.lane-agent");
    await textOf(page, ".utterance.final.lane-customer");
  });
  await step("risk and satisfaction are shown", () => page.waitForFunction(
    () => /\d+%/.test(document.querySelector("#escalation .meter-value").textContent), null, { timeout: STEP_MS }));
  await shot(page, "03-live");
  const spoken = await page.locator("#say").innerText();
  assert.ok(spoken.length > 0, "nothing is said to screen readers");
}

async function suggestions(page) {
  await step("a suggestion arrives", () => textOf(page, "#suggestion-list .suggestion h3", CALL_MS));
  await shot(page, "05-suggestion");
  const first = await page.locator("#suggestion-list .suggestion").first().getAttribute("id");
  await step("a suggestion is used with the keyboard", async () => {
    const answered = page.waitForResponse((r) => r.url().endsWith("/feedback") && r.request().postDataJSON().action === "used");
    await page.locator(`#${first}`).focus();
    await page.keyboard.press("u");
    assert.equal((await answered).status(), 204);
    await page.locator(`#earlier-list #${first}`).waitFor({ state: "attached", timeout: STEP_MS });
  });
}

async function connection(page, line) {
  await step("a cut connection is shown, and the call goes on behind the last event", async () => {
    const before = await page.locator(".utterance.final").count();
    const resumed = page.waitForRequest((r) => Number(new URL(r.url()).searchParams.get("from_seq")) > 1, { timeout: STEP_MS });
    expectRefusal = true;
    line.cut();
    await page.locator(".link-waiting").waitFor({ timeout: STEP_MS });
    await shot(page, "04-cut");
    line.mend();
    await resumed;
    await page.locator(".link-open").waitFor({ timeout: STEP_MS });
    await page.waitForFunction((n) => document.querySelectorAll(".utterance.final").length > n, before, { timeout: STEP_MS });
    expectRefusal = false;
  });
  await step("after a reload the same call is there, nothing twice", async () => {
    const before = await page.locator(".utterance.final").count();
    await page.reload();
    await page.waitForFunction((n) => document.querySelectorAll(".utterance.final").length >= n, before, { timeout: STEP_MS });
    const ids = await page.locator(".utterance").evaluateAll((all) => all.map((u) => u.id));
    assert.equal(new Set(ids).size, ids.length, "an utterance is on the page twice");
  });
}

async function question(page) {
  await step("the knowledge base answers a question", async () => {
    await page.keyboard.press("/");
    await page.keyboard.type(SAMPLE?.startsWith("en") ? "how long does a refund take" : "退款多久到账");
    await page.keyboard.press("Enter");
    await textOf(page, "#answer .passage h3");
  });
  await shot(page, "06-ask");
}

async function afterTheCall(page) {
  const total = await step("the scorecard arrives", () => textOf(page, "#total", CALL_MS));
  assert.match(total, /^\d+(\.\d+)?$/, `no total: ${total}`);
  await step("the scorecard has results", async () => {
    await page.locator(".results .result").first().waitFor({ state: "attached", timeout: STEP_MS });
  });
  await step("the summary arrives", () => textOf(page, "#summary-body dt"));
  await step("the record is complete", () => page.locator(".link-ended").waitFor({ timeout: STEP_MS }));
  await page.locator("#help").evaluate((e) => e.scrollTo(0, 0));
  await shot(page, "07-scorecard");
  assert.equal(await page.locator(".utterance.partial").count(), 0, "a partial is left over after the end");
}

/** What depends on the call: not every one has an alert, or evidence. */
async function evidence(page) {
  const alert = page.locator('#alert-list [data-do="acknowledge"]');
  if (await alert.count() > 0) {
    await step("an alert is acknowledged", async () => {
      const before = await alert.count();
      await alert.first().click();
      await page.waitForFunction((n) => document.querySelectorAll('#alert-list [data-do="acknowledge"]').length < n, before);
    });
  } else console.log("skip an alert is acknowledged: this call has none");
  const link = page.locator("#help .evidence-link:enabled:visible");
  if (await link.count() > 0) {
    await step("evidence leads to the words", async () => {
      await link.first().click();
      await page.locator(".utterance.pointed").waitFor({ timeout: STEP_MS });
    });
  } else console.log("skip evidence leads to the words: this call has none");
}

async function looks(page) {
  await step("the language can be changed", async () => {
    const before = await page.locator("#score-title").innerText();
    await page.click("#language");
    assert.notEqual(await page.locator("#score-title").innerText(), before);
  });
  await shot(page, "08-other-language");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot(page, "09-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await step("nothing overflows on a narrow screen", async () => {
    await page.setViewportSize({ width: 390, height: 800 });
    for (const tab of ["calls", "call", "help"]) {
      await page.click(`[data-tab-of="${tab}"]`);
      await shot(page, `10-narrow-${tab}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${tab} is ${over} px too wide`);
    }
  });
}

await mkdir(SHOTS, { recursive: true });
const line = await relay(SERVICE);
const BASE_URL = line.url;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
try {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "zh-CN" });
  const page = await context.newPage();
  watch(page);
  await signIn(page);
  await playSample(page);
  await liveCall(page);
  await connection(page, line);
  await suggestions(page);
  await question(page);
  await afterTheCall(page);
  await evidence(page);
  await looks(page);
  assert.deepEqual(problems, [], "the browser complained");
  console.log(`ok   no console errors, no outside requests; screenshots in ${SHOTS}`);
} catch (error) {
  console.error(`FAILED: ${error.message}`);
  for (const problem of problems) console.error(`  ${problem}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  line.close();
}
