// The words of the page, Mandarin and English, and how numbers and times are written.
import { LABELS } from "./labels.js";
import { read, write } from "./store.js";

const STORE = "zhiyin.language";

/** key -> [Mandarin, English]; {name} is filled in. */
export const TEXTS = {
  title: ["知音 · 坐席助手", "Zhiyin · agent assistance"],
  skip: ["跳到对话内容", "Skip to the transcript"],
  sign_in_title: ["输入访问令牌", "Enter an access token"],
  sign_in_help: [
    "服务首次启动时会打印一个开发令牌（以 zy_ 开头）。令牌只保存在本标签页中。",
    "The service prints a development token (it begins with zy_) when it first starts. It is kept in this tab only.",
  ],
  token: ["令牌", "Token"],
  sign_in: ["进入", "Continue"],
  sign_out: ["退出", "Sign out"],
  token_refused: ["令牌无效或已过期，请检查后重试。", "The token is not valid or has expired. Check it and try again."],
  token_scope: ["令牌缺少权限：{detail}", "The token lacks a permission: {detail}"],
  unreachable: ["连接不到服务，请确认服务正在运行。", "The service cannot be reached. Is it running?"],
  failed: ["操作未完成：{detail}", "That did not work: {detail}"],
  other_language: ["English", "中文"],
  tab_calls: ["会话", "Calls"],
  tab_call: ["对话", "Transcript"],
  tab_help: ["辅助", "Assistance"],
  calls: ["会话", "Calls"],
  running: ["进行中", "Running"],
  recent: ["最近", "Recent"],
  samples: ["示例通话", "Sample calls"],
  no_running: ["当前没有进行中的会话", "No call is running"],
  no_recent: ["还没有结束的会话", "No call has ended yet"],
  unnamed_call: ["会话 {id}", "Call {id}"],
  play: ["播放", "Play"],
  play_sample: ["实时播放示例：{title}", "Play the sample in real time: {title}"],
  starting: ["启动中…", "Starting…"],
  choose: ["从左侧选择一个会话，或播放一段示例通话。", "Choose a call on the left, or play a sample call."],
  state_created: ["已建立", "Opened"],
  state_live: ["进行中", "Live"],
  state_post: ["整理中", "Wrapping up"],
  state_completed: ["已完成", "Completed"],
  state_failed: ["失败", "Failed"],
  reason_interrupted: ["通话中断", "Interrupted"],
  reason_media_lost: ["语音丢失", "Audio lost"],
  link_connecting: ["连接中…", "Connecting…"],
  link_open: ["已连接", "Connected"],
  link_waiting: ["连接中断，{seconds} 秒后重试", "Connection lost, next try in {seconds} s"],
  link_ended: ["记录完整", "Record complete"],
  link_failed: ["无法继续：{detail}", "Cannot go on: {detail}"],
  link_idle: ["未选择会话", "No call chosen"],
  role_agent: ["坐席", "Agent"],
  role_customer: ["客户", "Customer"],
  role_bot: ["机器人", "Bot"],
  role_supervisor: ["班长", "Supervisor"],
  role_ivr: ["语音导航", "IVR"],
  role_system: ["系统", "System"],
  role_unknown: ["未知", "Unknown"],
  transcript: ["对话内容", "Transcript"],
  waiting_words: ["等待第一句话…", "Waiting for the first words…"],
  speaking: ["识别中", "speaking"],
  jump_latest: ["回到最新", "Jump to latest"],
  escalation: ["升级风险", "Escalation risk"],
  satisfaction: ["预测满意度", "Predicted satisfaction"],
  of_five: ["{value}，满分 5", "{value} of 5"],
  no_value: ["暂无", "not yet"],
  live_score: ["实时质检 {total}", "Quality so far {total}"],
  degraded: ["{stage} 已降级：{effect}", "{stage} is degraded: {effect}"],
  emotion_title: ["情绪：{label}，效价 {valence}（-5 到 5）", "Emotion: {label}, valence {valence} (-5 to 5)"],
  intent_title: ["{group}，把握 {confidence}", "{group}, confidence {confidence}"],
  ambiguous: ["可能有两种意图", "Could mean either"],
  entity_title: ["{label}：{value}", "{label}: {value}"],
  redacted: ["已隐去：{label}", "Taken out: {label}"],
  suggestions: ["建议", "Suggestions"],
  no_suggestions: ["客户提出问题后，这里会出现建议。", "Suggestions appear here when the customer asks for something."],
  kind_answer: ["答复", "Answer"],
  kind_article: ["文章", "Article"],
  kind_template: ["话术", "Wording"],
  kind_next_step: ["下一步", "Next step"],
  kind_form_fill: ["填写", "Form"],
  kind_tone: ["语气", "Tone"],
  source: ["出处", "Source"],
  use: ["采用", "Use"],
  dismiss: ["忽略", "Dismiss"],
  wrong: ["有误", "Wrong"],
  wrong_why: ["哪里有误？", "What is wrong?"],
  cancel: ["取消", "Cancel"],
  wrong_irrelevant: ["不相关", "Irrelevant"],
  wrong_outdated: ["已过时", "Outdated"],
  wrong_incorrect: ["不正确", "Incorrect"],
  wrong_unsafe: ["不合规", "Unsafe"],
  done_used: ["已采用", "Used"],
  done_dismissed: ["已忽略", "Dismissed"],
  done_wrong: ["已反馈有误", "Reported wrong"],
  withdrawn_superseded: ["已被更好的建议取代", "Replaced by a better one"],
  withdrawn_stale: ["已过时效", "No longer timely"],
  withdrawn_said_by_agent: ["坐席已说过", "Already said"],
  withdrawn_source_expired: ["来源已失效", "Source expired"],
  earlier: ["较早的建议（{n}）", "Earlier suggestions ({n})"],
  copied: ["已复制到剪贴板", "Copied to the clipboard"],
  not_copied: ["已采用；浏览器不允许复制，请手动选择文字", "Marked as used; the browser did not allow copying, select the text by hand"],
  why_intent: ["意图", "Intent"],
  why_retrieval: ["匹配度", "Match"],
  why_emotion: ["情绪", "Emotion"],
  why_conduct: ["言行", "Conduct"],
  why_degraded: ["降级", "Degraded"],
  why_cool_down: ["间隔", "Cool-down"],
  keys_use: ["采用", "use"],
  keys_dismiss: ["忽略", "dismiss"],
  keys_move: ["移动", "move"],
  keys_ask: ["提问", "ask"],
  keys_switch: ["快捷键", "Shortcuts"],
  alerts: ["告警", "Alerts"],
  level_info: ["提示", "Info"],
  level_warning: ["警告", "Warning"],
  level_critical: ["严重", "Critical"],
  acknowledge: ["确认", "Acknowledge"],
  alert_acknowledged: ["已确认", "Acknowledged"],
  alert_resolved: ["已处理", "Handled"],
  alert_retracted: ["已撤回", "Retracted"],
  go_to: ["查看 {time} 的原话", "Show what was said at {time}"],
  no_place: ["无对应原话", "nothing was said"],
  ask: ["问知识库", "Ask the knowledge base"],
  ask_hint: ["例如：退款多久到账？", "For example: how long does a refund take?"],
  ask_go: ["查询", "Ask"],
  asking: ["查询中…", "Looking…"],
  ask_none: ["知识库中没有合适的内容。", "The knowledge base has nothing that fits."],
  draft: ["参考答复", "Draft answer"],
  copy: ["复制", "Copy"],
  ask_degraded: ["部分检索不可用：{parts}", "Part of the search is unavailable: {parts}"],
  scorecard: ["质检评分", "Scorecard"],
  scoring: ["正在评分…", "Scoring…"],
  no_total: ["无可评项", "Nothing to score"],
  fatal: ["致命项", "Fatal"],
  passed_rules: ["未触发的规则（{n}）", "Rules without a finding ({n})"],
  na_rules: ["不适用（{n}）", "Not applicable ({n})"],
  points: ["{n} 分", "{n} pts"],
  no_findings: ["没有扣分项", "No findings"],
  missing_steps: ["缺少：{steps}", "Missing: {steps}"],
  summary: ["小结", "Summary"],
  section_reason: ["来电原因", "Reason"],
  section_steps: ["处理过程", "Steps"],
  section_outcome: ["结果", "Outcome"],
  section_promises: ["承诺事项", "Promises"],
  disposition: ["归类", "Disposition"],
  say_final: ["{role}：{text}", "{role}: {text}"],
  say_suggestion: ["新建议：{title}", "New suggestion: {title}"],
  say_alert: ["{level}告警：{title}", "{level} alert: {title}"],
  say_score: ["质检得分 {total}", "Quality score {total}"],
};

let column = 0;

/** `zh` or `en`. */
export function language() {
  return column === 0 ? "zh" : "en";
}

/** Takes the language that was chosen last, else the browser's. */
export function initLanguage() {
  const wanted = read("localStorage", STORE) ?? navigator.languages?.find((tag) => /^(zh|en)\b/i.test(tag)) ?? "en";
  column = /^zh/i.test(wanted) ? 0 : 1;
}

/** Changes between the two languages and remembers the choice. */
export function switchLanguage() {
  column = 1 - column;
  write("localStorage", STORE, language());
}

/** A text of the page. */
export function t(key, values = {}) {
  const text = TEXTS[key]?.[column] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether the page has a text of this key. */
export function has(key) {
  return key in TEXTS;
}

/** The name of a label for people; one that is not known (a deployment's own) is shown by its id. */
export function label(kind, id) {
  return LABELS[kind]?.[id]?.[column] ?? String(id).replaceAll("_", " ");
}

/** 75 320 ms -> 1:15. */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** An RFC 3339 time as hours and minutes, with the day if it is not today. */
export function timeOfDay(rfc3339) {
  const time = new Date(rfc3339);
  if (Number.isNaN(time.getTime())) return "";
  const tag = language() === "zh" ? "zh-CN" : "en-GB";
  const today = time.toDateString() === new Date().toDateString();
  const day = today ? {} : { month: "short", day: "numeric" };
  return time.toLocaleString(tag, { ...day, hour: "2-digit", minute: "2-digit" });
}

/** 0.347 -> 35 %. */
export function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(value * 100)}%`;
}

/** At most `digits` digits behind the point. */
export function number(value, digits = 1) {
  return value === null || value === undefined ? "–" : String(Number(value.toFixed(digits)));
}
