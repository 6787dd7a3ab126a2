// <script src="https://service/chat/zhiyin-chat.js" defer></script>
// <zhiyin-chat site-key="…" language="zh" heading="在线客服"></zhiyin-chat>
//
// Attributes: site-key, server (default: where this script comes from), language (zh, en; default: the page's), heading, open.
// `language` and `heading` may change at any time; the visitor can change the language himself.
// Theme: the CSS variables --zhiyin-accent, --zhiyin-on-accent, --zhiyin-link, --zhiyin-surface, --zhiyin-text, --zhiyin-font,
// --zhiyin-radius.
// Everything that was said is put into the page as text, never as markup.
(() => {
  const origin = new URL(document.currentScript ? document.currentScript.src : location.href).origin;

  const WORDS = {
    zh: { heading: "在线客服", open: "打开在线客服", close: "关闭在线客服", input: "输入消息", send: "发送", person: "转人工", up: "有帮助", down: "没有帮助", thanks: "感谢评价", log: "对话", typing: "正在输入…", failed: "没有发出去，点这里重试", gone: "会话已结束，点这里重新开始", unavailable: "客服暂时连不上，点这里再试", wish: "转人工", other: "EN", otherLabel: "Switch to English", customer: "我：", bot: "智能客服：", agent: "人工客服：" },
    en: { heading: "Chat with us", open: "Open chat", close: "Close chat", input: "Type a message", send: "Send", person: "Talk to a person", up: "Helpful", down: "Not helpful", thanks: "Thank you", log: "Conversation", typing: "Typing…", failed: "Not sent. Press here to try again", gone: "The chat is over. Press here to start again", unavailable: "We cannot be reached right now. Press here to try again", wish: "I want to talk to a person", other: "中文", otherLabel: "切换到中文", customer: "You: ", bot: "Assistant: ", agent: "Colleague: " },
  };

  const STYLE = `
    :host { --accent: var(--zhiyin-accent, #1f5fbf); --on-accent: var(--zhiyin-on-accent, #fff); --link: var(--zhiyin-link, var(--accent)); --surface: var(--zhiyin-surface, #fff);
      --text: var(--zhiyin-text, #1c2430); --radius: var(--zhiyin-radius, 12px); position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483000;
      font: 15px/1.5 var(--zhiyin-font, system-ui, "PingFang SC", "Microsoft YaHei", sans-serif); color: var(--text); }
    button { font: inherit; cursor: pointer; border: 0; border-radius: var(--radius); }
    button:focus-visible, textarea:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
    header button:focus-visible { outline-color: var(--on-accent); outline-offset: -3px; }
    .log:focus-visible { outline: 3px solid var(--link); outline-offset: -3px; }
    .sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    .launch { background: var(--accent); color: var(--on-accent); padding: .7rem 1.1rem; box-shadow: 0 2px 10px #0004; }
    section { display: flex; flex-direction: column; width: min(24rem, calc(100vw - 2rem)); height: min(34rem, calc(100vh - 2rem));
      background: var(--surface); border-radius: var(--radius); box-shadow: 0 4px 24px #0005; overflow: hidden; }
    header { display: flex; align-items: center; gap: .5rem; background: var(--accent); color: var(--on-accent); padding: .5rem .5rem .5rem 1rem; }
    header h2 { font-size: 1rem; margin: 0; flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    header button { background: transparent; color: inherit; min-width: 2.2rem; min-height: 2.2rem; white-space: nowrap; }
    .log { padding: .8rem; flex: 1; overflow-y: auto; display: flex; flex-direction: column; gap: .5rem; }
    .item { position: relative; max-width: 86%; padding: .5rem .75rem; border-radius: var(--radius); white-space: pre-wrap; overflow-wrap: anywhere; background: color-mix(in srgb, var(--text) 8%, var(--surface)); align-self: flex-start; }
    .item.customer { align-self: flex-end; background: var(--accent); color: var(--on-accent); }
    .item.note { align-self: center; background: transparent; font-size: .85rem; opacity: .85; }
    .note button { background: transparent; color: var(--link); text-decoration: underline; padding: .3rem .5rem; }
    .choices { display: flex; flex-wrap: wrap; gap: .4rem; margin-top: .5rem; }
    .choices button { background: transparent; color: var(--link); border: 1px solid var(--link); padding: .25rem .7rem; min-height: 2rem; }
    .verdict button { background: transparent; color: inherit; padding: .15rem .4rem; font-size: .85rem; text-decoration: underline; }
    form { display: flex; gap: .4rem; padding: .6rem; border-top: 1px solid color-mix(in srgb, var(--text) 20%, var(--surface)); }
    textarea { flex: 1; resize: none; font: inherit; color: inherit; background: transparent; border: 1px solid color-mix(in srgb, var(--text) 30%, var(--surface)); border-radius: var(--radius); padding: .45rem .6rem; }
    form button { background: var(--accent); color: var(--on-accent); padding: 0 1rem; }
    [hidden] { display: none !important; }
    @media (prefers-reduced-motion: no-preference) { .log { scroll-behavior: smooth; } }
    @media (prefers-color-scheme: dark) { :host { --link: var(--zhiyin-link, #9cc2ff); --surface: var(--zhiyin-surface, #1d232c); --text: var(--zhiyin-text, #e9edf2); } }`;

  const make = (name, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };
  const newId = () => (crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`);

  class ZhiyinChat extends HTMLElement {
    static observedAttributes = ["language", "heading"];

    attributeChangedCallback(name, before, now) {
      if (!this.shadowRoot || before === now) return;
      if (name === "language" && now) this.language = now.toLowerCase().startsWith("en") ? "en" : "zh";
      this.label();
    }

    connectedCallback() {
      if (this.shadowRoot) return;
      const language = (this.getAttribute("language") || document.documentElement.lang || navigator.language || "zh").toLowerCase();
      this.language = language.startsWith("en") ? "en" : "zh";
      this.server = (this.getAttribute("server") || origin).replace(/\/$/, "");
      this.busy = false;
      this.shown = new Set();
      this.build();
      if (this.hasAttribute("open")) this.show();
    }

    disconnectedCallback() {
      if (this.listening) this.listening.abort();
    }

    get words() {
      return WORDS[this.language];
    }

    build() {
      this.launch = make("button", { type: "button", className: "launch" });
      this.launch.setAttribute("aria-expanded", "false");
      this.launch.onclick = () => this.show();
      this.heading = make("h2");
      this.person = make("button", { type: "button" });
      this.person.onclick = () => this.say(this.words.wish);
      this.other = make("button", { type: "button" });
      this.other.onclick = () => this.setAttribute("language", this.language === "zh" ? "en" : "zh");
      this.close = make("button", { type: "button", textContent: "✕" });
      this.close.onclick = () => this.hide();
      this.log = make("div", { className: "log", tabIndex: 0 });
      this.log.setAttribute("role", "log");
      this.log.setAttribute("aria-live", "polite");
      this.input = make("textarea", { rows: 1, maxLength: 2000 });
      this.input.onkeydown = (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.submit();
        }
      };
      this.sender = make("button", { type: "submit" });
      const form = make("form", {}, this.input, this.sender);
      form.onsubmit = (event) => {
        event.preventDefault();
        this.submit();
      };
      const header = make("header", {}, this.heading, this.person, this.other, this.close);
      this.panel = make("section", { hidden: true }, header, this.log, form);
      this.panel.setAttribute("role", "dialog");
      this.panel.onkeydown = (event) => {
        if (event.key === "Escape") this.hide();
      };
      this.attachShadow({ mode: "open" }).append(make("style", { textContent: STYLE }), this.launch, this.panel);
      this.label();
    }

    // Everything that is not part of the conversation, in the present language.
    label() {
      const words = this.words;
      const heading = this.getAttribute("heading") || words.heading;
      this.launch.textContent = heading;
      this.heading.textContent = heading;
      this.person.textContent = words.person;
      this.other.textContent = words.other;
      this.other.lang = this.language === "zh" ? "en" : "zh-CN";
      this.input.placeholder = words.input;
      this.sender.textContent = words.send;
      const labels = [[this.launch, words.open], [this.close, words.close], [this.log, words.log], [this.input, words.input], [this.panel, heading], [this.other, words.otherLabel]];
      for (const [node, label] of labels) node.setAttribute("aria-label", label);
      this.panel.lang = this.language === "zh" ? "zh-CN" : "en";
    }

    async show() {
      this.launch.hidden = true;
      this.launch.setAttribute("aria-expanded", "true");
      this.panel.hidden = false;
      this.input.focus();
      if (!this.chat) await this.begin();
    }

    hide() {
      this.panel.hidden = true;
      this.launch.hidden = false;
      this.launch.setAttribute("aria-expanded", "false");
      this.launch.focus();
    }

    // A visit goes on over pages of the site as long as the tab lives.
    async begin() {
      const kept = sessionStorage.getItem("zhiyin-chat");
      if (kept) {
        this.chat = JSON.parse(kept);
        if (await this.replay()) return;
      }
      try {
        const answer = await fetch(`${this.server}/api/v1/chat/visits`, {
          method: "POST",
          headers: { "X-Site-Key": this.getAttribute("site-key") || "", "Accept-Language": this.language },
        });
        if (!answer.ok) throw new Error(answer.status);
        this.chat = await answer.json();
        sessionStorage.setItem("zhiyin-chat", JSON.stringify(this.chat));
        if (this.chat.greeting) this.add("bot", this.chat.greeting);
        this.listen();
      } catch {
        this.chat = null;
        this.note(this.words.unavailable, () => this.begin());
      }
    }

    path(rest) {
      return `${this.server}/api/v1/chat/sessions/${this.chat.chat_id}${rest}`;
    }

    headers(more = {}) {
      return { Authorization: `Bearer ${this.chat.ticket}`, ...more };
    }

    async replay() {
      for (let cursor = ""; cursor !== null; ) {
        const answer = await fetch(this.path(`/messages?limit=200${cursor && `&cursor=${cursor}`}`), { headers: this.headers() }).catch(() => null);
        if (!answer || !answer.ok) {
          sessionStorage.removeItem("zhiyin-chat");
          this.chat = null;
          this.log.replaceChildren();
          this.shown.clear();
          return false;
        }
        const page = await answer.json();
        for (const { role, text, message_id } of page.items) this.add(role, role === "customer" ? this.titles(text) : text, message_id);
        cursor = page.next_cursor || null;
      }
      this.listen();
      return true;
    }

    // What a person of the service writes arrives here; the bot's own replies come with their message.
    async listen() {
      this.listening = new AbortController();
      try {
        const answer = await fetch(this.path("/events"), { headers: this.headers({ Accept: "text/event-stream" }), signal: this.listening.signal });
        for await (const [, data] of events(answer.body)) {
          const event = JSON.parse(data);
          const body = event.data || event;
          if (event.type === "message.added" && body.role === "agent") this.add("agent", body.text, body.message_id);
          if (event.type === "call.ended") this.over();
        }
      } catch {
        // the next message says whether the chat still stands
      }
    }

    over() {
      sessionStorage.removeItem("zhiyin-chat");
      this.chat = null;
      this.note(this.words.gone, () => this.begin());
    }

    submit() {
      const text = this.input.value.trim();
      if (!text || this.busy) return;
      this.input.value = "";
      this.say(text);
    }

    // A pressed button sends its payload and shows its title, also behind a reload.
    titles(payload, title) {
      const known = JSON.parse(sessionStorage.getItem("zhiyin-chat-titles") || "{}");
      if (title) sessionStorage.setItem("zhiyin-chat-titles", JSON.stringify({ ...known, [payload]: title }));
      return title || known[payload] || payload;
    }

    async say(text, shown = text) {
      if (shown !== text) this.titles(text, shown);
      if (!this.chat) await this.begin();
      if (!this.chat || this.busy) return;
      this.add("customer", shown);
      this.send(text, newId());
    }

    async send(text, id) {
      this.busy = true;
      const waiting = this.note(this.words.typing);
      // A screen reader reads the reply when it is whole.
      this.log.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(this.path("/messages"), {
          method: "POST",
          headers: this.headers({ "Content-Type": "application/json", Accept: "text/event-stream" }),
          body: JSON.stringify({ text, client_message_id: id }),
        });
        if (answer.status === 409 && (await answer.json()).code === "call_ended") return this.over();
        if (!answer.ok) throw new Error(answer.status);
        let item = null;
        for await (const [name, data] of events(answer.body)) {
          const body = JSON.parse(data);
          if (name === "reply.delta") {
            if (!item) item = this.add("bot", "");
            item.words.data += body.text;
          } else if (name === "reply.options" && item) {
            this.choices(item, body.buttons);
          } else if (name === "reply.completed") {
            this.shown.add(body.message.message_id);
            if (item && body.message.citations.length) this.verdict(item, body.message.message_id);
          }
          this.log.scrollTop = this.log.scrollHeight;
        }
      } catch {
        this.note(this.words.failed, () => this.send(text, id));
      } finally {
        waiting.remove();
        this.log.setAttribute("aria-busy", "false");
        this.busy = false;
        if (!this.panel.hidden) this.input.focus();
      }
    }

    add(role, text, id) {
      if (id && this.shown.has(id)) return null;
      if (id) this.shown.add(id);
      const item = make("div", { className: `item ${role}` }, make("span", { className: "sr", textContent: this.words[role] || "" }));
      item.words = document.createTextNode(text);
      item.append(item.words);
      this.log.append(item);
      this.log.scrollTop = this.log.scrollHeight;
      return item;
    }

    note(text, retry) {
      const item = make("div", { className: "item note" });
      if (retry) {
        const button = make("button", { type: "button", textContent: text });
        button.onclick = () => {
          item.remove();
          retry();
        };
        item.append(button);
      } else {
        item.textContent = text;
      }
      this.log.append(item);
      this.log.scrollTop = this.log.scrollHeight;
      return item;
    }

    choices(item, buttons) {
      const row = make("div", { className: "choices" });
      for (const { title, payload } of buttons) {
        const button = make("button", { type: "button", textContent: title });
        button.onclick = () => {
          row.remove();
          this.say(payload, title);
        };
        row.append(button);
      }
      item.append(row);
    }

    verdict(item, id) {
      const row = make("div", { className: "verdict" });
      for (const verdict of ["up", "down"]) {
        const button = make("button", { type: "button", textContent: this.words[verdict] });
        button.onclick = async () => {
          row.textContent = this.words.thanks;
          this.input.focus();
          await fetch(this.path(`/messages/${id}/feedback`), {
            method: "POST",
            headers: this.headers({ "Content-Type": "application/json" }),
            body: JSON.stringify({ verdict }),
          }).catch(() => {});
        };
        row.append(button);
      }
      item.append(row);
    }
  }

  // Server-sent events of a body: [name, data].
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const lines = text.slice(0, end).split("\n");
        const of = (name) => lines.filter((l) => l.startsWith(`${name}:`)).map((l) => l.slice(name.length + 1).trimStart()).join("\n");
        if (of("data")) yield [of("event"), of("data")];
      }
    }
  }

  if (!customElements.get("zhiyin-chat")) customElements.define("zhiyin-chat", ZhiyinChat);
})();
