// The web chat in a real Chromium: a page of another site embeds it, against a running service with the practice backend.
// It serves that page itself, on CHAT_PORT, whose origin the settings of the service must allow for SITE_KEY.
//
//   BASE_URL=http://127.0.0.1:8080 TOKEN=zy_… SITE_KEY=site_… CHAT_PORT=9191 [SHOTS=shots] [CHROMIUM=/usr/bin/chromium] node web_chat.mjs
//
// Exit status 0: everything was seen. Screenshots lie in the folder SHOTS.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";

const { BASE_URL, TOKEN, SITE_KEY } = process.env;
const CHAT_PORT = Number(process.env.CHAT_PORT);
const SHOTS = process.env.SHOTS ?? "shots";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const STEP_MS = 20_000;
const SITE = `http://127.0.0.1:${CHAT_PORT}`;
const MARKUP = "<img src=x onerror=\"window.harmed=1\"><b>bold</b> & <script>window.harmed=2</script>";

for (const name of ["BASE_URL", "TOKEN", "SITE_KEY", "CHAT_PORT"]) {
  if (!process.env[name]) {
    console.error(`${name} is missing`);
    process.exit(2);
  }
}

/** A page of a shop: `?language=en`, `?style=…` for a theme of its own. */
function shop(request, response) {
  const wanted = new URL(request.url, SITE).searchParams;
  const language = wanted.get("language") ?? "zh";
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(`<!doctype html><html lang="${language === "zh" ? "zh-CN" : "en"}"><head><meta charset="utf-8">
    <meta name="viewport" content="width=device-width"><title>Shop</title><link rel="icon" href="data:,">
    <style>body { font: 16px sans-serif; margin: 2rem; } ${wanted.get("style") ?? ""}</style></head>
    <body><h1>Shop</h1><p>Cups, coats and kettles.</p><button id="before">Basket</button>
    <zhiyin-chat site-key="${SITE_KEY}" language="${language}"></zhiyin-chat>
    <script src="${BASE_URL}/chat/zhiyin-chat.js" defer></script></body></html>`);
}

const problems = [];
let refusals = 0;

function watch(page) {
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    if (refusals > 0 && /Failed to load resource/.test(message.text())) return void (refusals -= 1);
    problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`page: ${error.message}`));
}

async function shot(page, name) {
  await page.screenshot({ path: path.join(SHOTS, `chat-${name}.png`) });
}

async function step(name, work) {
  const begun = Date.now();
  const value = await work();
  console.log(`ok   ${name} (${Date.now() - begun} ms)`);
  return value;
}

/** Waits for the next reply behind `count` and gives its words. */
async function reply(page, count) {
  await page.waitForFunction(
    (n) => {
      const root = document.querySelector("zhiyin-chat").shadowRoot;
      return root.querySelectorAll(".item.bot").length > n && root.querySelector(".log").getAttribute("aria-busy") !== "true";
    },
    count, { timeout: STEP_MS });
  return page.locator(".item.bot").last().innerText();
}

async function say(page, text) {
  const count = await page.locator(".item.bot").count();
  await page.locator("textarea").fill(text);
  await page.keyboard.press("Enter");
  return reply(page, count);
}

async function api(method, where, body) {
  const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json", "Idempotency-Key": String(Math.random()) };
  const answer = await fetch(`${BASE_URL}${where}`, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${where}: ${answer.status}`);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/** Contrast of two CSS colours as WCAG 2.2 defines it. */
function contrast(a, b) {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(Number).map((v) => (colour.startsWith("color(") ? v : v / 255))
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

async function keyboardAndAnswer(page) {
  await page.goto(`${SITE}/?language=zh`);
  await step("the chat opens with the keyboard alone and greets", async () => {
    await page.locator("#before").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".item.bot").first().waitFor({ timeout: STEP_MS });
    const focused = await page.evaluate(() => document.querySelector("zhiyin-chat").shadowRoot.activeElement?.tagName);
    assert.equal(focused, "TEXTAREA", "the focus is not where one writes");
  });
  await shot(page, "00-greeting");
  const answer = await step("a question gets an answer with its source", async () => {
    const text = await say(page, "七天无理由退货有什么条件？");
    assert.match(text, /来源/, "no source");
    return text;
  });
  assert.ok(answer.length > 20);
  await step("the answer is rated with the keyboard", async () => {
    const rated = page.waitForResponse((r) => r.url().endsWith("/feedback"));
    const up = page.locator(".verdict button").first();
    await up.focus();
    await page.keyboard.press("Enter");
    assert.equal((await rated).status(), 204);
  });
  await shot(page, "01-answer");
}

async function form(page) {
  await step("a form is filled, corrected and ends", async () => {
    assert.match(await say(page, "我的快递到哪了"), /订单号/);
    const first = await say(page, "DD20260301");
    assert.match(first, /DD20260301/);
    const corrected = await say(page, "不对，是DD20260302");
    assert.match(corrected, /DD20260302/, `the correction was not taken: ${corrected}`);
  });
  await step("a choice is pressed", async () => {
    const asked = await say(page, "我要退货，订单DD20260303");
    assert.ok(asked.length > 0);
    const choices = await page.locator(".choices button").count();
    if (choices > 0) {
      const count = await page.locator(".item.bot").count();
      await page.locator(".choices button").first().press("Enter");
      await reply(page, count);
    }
  });
  await shot(page, "02-form");
}

async function markup(page) {
  await step("markup of the customer is only text", async () => {
    await say(page, MARKUP);
    const shown = await page.locator(".item.customer").last().innerText();
    assert.ok(shown.includes("<img src=x"), shown);
    const inside = await page.evaluate(() => document.querySelector("zhiyin-chat").shadowRoot.querySelectorAll(".log img, .log b, .log script").length);
    assert.equal(inside, 0);
    assert.equal(await page.evaluate(() => window.harmed), undefined);
  });
}

async function reload(page) {
  await step("behind a reload the same conversation stands there, nothing twice", async () => {
    const words = () => page.locator(".item.customer, .item.bot").evaluateAll((all) => all.map((i) => i.words?.data ?? ""));
    const before = await words();
    await page.reload();
    await page.locator(".launch").click();
    await page.waitForFunction(
      (n) => document.querySelector("zhiyin-chat").shadowRoot.querySelectorAll(".item.customer, .item.bot").length >= n,
      before.length, { timeout: STEP_MS });
    assert.deepEqual(await words(), before);
    assert.equal(await page.evaluate(() => window.harmed), undefined, "stored markup came alive");
  });
  await shot(page, "03-reloaded");
}

async function languages(page) {
  await step("the visitor changes the language, of the page and of the bot", async () => {
    const before = await page.locator("header h2").innerText();
    await page.getByRole("button", { name: "Switch to English" }).press("Enter");
    assert.notEqual(await page.locator("header h2").innerText(), before);
    assert.equal(await page.locator("textarea").getAttribute("aria-label"), "Type a message");
    const text = await say(page, "how long does a refund to my card take?");
    assert.match(text, /[a-z]{4}/i);
    assert.match(text, /Source/);
  });
  await shot(page, "04-english");
}

async function handOver(page) {
  await step("a person is asked for, takes over, writes and gives back", async () => {
    const count = await page.locator(".item.bot").count();
    await page.getByRole("button", { name: "Talk to a person" }).press("Enter");
    await reply(page, count);
    const chat = JSON.parse(await page.evaluate(() => sessionStorage.getItem("zhiyin-chat"))).chat_id;
    const where = `/api/v1/chat/sessions/${chat}`;
    await api("POST", `${where}/handoff/accept`, { agent: "a17" });
    await api("POST", `${where}/agent-messages`, { text: "Hello, this is Kim. <b>How</b> can I help?" });
    await page.locator(".item.agent").waitFor({ timeout: STEP_MS });
    assert.match(await page.locator(".item.agent").innerText(), /<b>How<\/b>/);
    await shot(page, "05-person");
    const bots = await page.locator(".item.bot").count();
    await page.locator("textarea").fill("thank you Kim");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("zhiyin-chat").shadowRoot.querySelector(".log").getAttribute("aria-busy") === "false");
    assert.equal(await page.locator(".item.bot").count(), bots, "the bot spoke over a person");
    await api("POST", `${where}/handoff/return`, {});
    assert.ok((await say(page, "thanks")).length > 0);
  });
}

async function accessible(page) {
  await step("roles, names and the order of the focus", async () => {
    const log = page.getByRole("log");
    assert.equal(await log.getAttribute("aria-live"), "polite");
    assert.ok(await page.getByRole("dialog").getAttribute("aria-label"));
    await page.getByRole("button", { name: "Close chat" }).focus();
    const order = [];
    for (let n = 0; n < 60; n += 1) {
      await page.keyboard.press("Tab");
      order.push(await page.evaluate(() => {
        const e = document.querySelector("zhiyin-chat").shadowRoot.activeElement;
        return e ? e.getAttribute("role") ?? e.tagName : "page";
      }));
      if (order.at(-1) === "TEXTAREA") break;
    }
    assert.equal(order[0], "log", `first the conversation: ${order}`);
    assert.equal(order.at(-1), "TEXTAREA", `then where one writes: ${order}`);
    const unnamed = await page.evaluate(() => [...document.querySelector("zhiyin-chat").shadowRoot.querySelectorAll("button, textarea")]
      .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim())).length);
    assert.equal(unnamed, 0, "something has no name");
    const spoken = await page.locator(".item.bot .sr").first().textContent();
    assert.ok(spoken.length > 0, "who speaks is not told");
  });
  await step("Escape closes and gives the focus back", async () => {
    await page.locator("textarea").press("Escape");
    const focused = await page.evaluate(() => document.querySelector("zhiyin-chat").shadowRoot.activeElement?.className);
    assert.equal(focused, "launch");
    await page.keyboard.press("Enter");
    await page.locator("textarea").waitFor();
  });
  for (const colorScheme of ["light", "dark"]) {
    await step(`contrast in the ${colorScheme} scheme`, async () => {
      await page.emulateMedia({ colorScheme });
      const pairs = await page.evaluate(() => {
        const root = document.querySelector("zhiyin-chat").shadowRoot;
        const style = (selector) => getComputedStyle(root.querySelector(selector));
        const surface = style("section").backgroundColor;
        const link = document.createElement("button");
        const row = Object.assign(document.createElement("div"), { className: "choices" });
        row.append(link);
        root.querySelector(".log").append(row);
        const choice = getComputedStyle(link).color;
        row.remove();
        return {
          bot: [style(".item.bot").color, style(".item.bot").backgroundColor],
          customer: [style(".item.customer").color, style(".item.customer").backgroundColor],
          header: [style("header").color, style("header").backgroundColor],
          choice: [choice, surface],
          input: [style("textarea").color, surface],
        };
      });
      for (const [name, [text, ground]] of Object.entries(pairs)) {
        const ratio = contrast(text, ground);
        assert.ok(ratio >= 4.5, `${name} has a contrast of ${ratio.toFixed(2)} (${text} on ${ground})`);
      }
    });
    await shot(page, `06-${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await step("nothing moves for those who asked for that", async () => {
    assert.equal(await page.locator(".log").evaluate((e) => getComputedStyle(e).scrollBehavior), "auto");
  });
}

async function themeAndWidth(browser) {
  const context = await browser.newContext({ viewport: { width: 360, height: 640 }, locale: "en" });
  const page = await context.newPage();
  watch(page);
  const style = "zhiyin-chat { --zhiyin-accent: #7a1f3d; --zhiyin-radius: 2px; }";
  await page.goto(`${SITE}/?language=en&style=${encodeURIComponent(style)}`);
  await step("a site gives it its own colours; nothing overflows on a narrow screen", async () => {
    await page.locator(".launch").click();
    await page.locator(".item.bot").first().waitFor({ timeout: STEP_MS });
    await say(page, "where is my parcel");
    assert.equal(await page.locator("header").evaluate((e) => getComputedStyle(e).backgroundColor), "rgb(122, 31, 61)");
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, "the page scrolls sideways");
  });
  await shot(page, "07-theme-narrow");
  await context.close();
}

async function withoutService(page) {
  await step("a message that could not be sent can be sent again, once", async () => {
    const where = `${BASE_URL}/api/v1/chat/sessions/*/messages`;
    await page.route(where, (route) => route.abort());
    refusals += 1;
    await page.locator("textarea").fill("are you there?");
    await page.keyboard.press("Enter");
    const again = page.locator(".note button");
    await again.waitFor({ timeout: STEP_MS });
    await shot(page, "08-not-sent");
    await page.unroute(where);
    const count = await page.locator(".item.bot").count();
    await again.click();
    await reply(page, count);
    assert.equal(await page.locator(".item.customer", { hasText: "are you there?" }).count(), 1);
  });
}

await mkdir(SHOTS, { recursive: true });
const site = createServer(shop).listen(CHAT_PORT, "127.0.0.1");
const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
try {
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, locale: "zh-CN" });
  const page = await context.newPage();
  watch(page);
  await keyboardAndAnswer(page);
  await form(page);
  await markup(page);
  await reload(page);
  await languages(page);
  await handOver(page);
  await withoutService(page);
  await accessible(page);
  await themeAndWidth(browser);
  assert.deepEqual(problems, [], "the browser complained");
  console.log(`ok   no console errors; screenshots in ${SHOTS}`);
} catch (error) {
  console.error(`FAILED: ${error.message}`);
  for (const problem of problems) console.error(`  ${problem}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  site.close();
}
