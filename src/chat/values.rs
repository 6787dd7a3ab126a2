//! Values of slots out of messages: found, checked and brought to one form.

use std::sync::LazyLock;

use chrono::NaiveDate;
use regex::Regex;

use super::config::{ChatConfig, Cue};
use super::dates::{self, Side};
use super::flow::{Slot, SlotKind, SlotOption};
use super::message::Message;
use crate::nlu::find_entities;
use crate::privacy::{bank_card, id_card};
use crate::text::{fold, is_han};

fn regex(source: &str) -> Option<Regex> {
    Regex::new(source).ok()
}

static ORDER: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"[A-Za-z]{1,4}-?\d{6,18}|\d{8,20}"));
static MOBILE: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"^1[3-9]\d{9}$"));
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"\d+(?:\.\d+)?"));
static LONG_NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"\d{5,}"));
static PHONE_LIKE: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"\+?\(?\d[\d ()-]{5,18}\d"));
static NAME_LEAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex(
        r"(?i)^(我的?(名字|姓名)?(叫做?|是)|我叫|我是|姓名(是|：|:)?|名字(是|叫)?|收货人(姓名)?(是|：|:)?|收件人(是)?|持卡人(是)?|叫做?|户主(是)?|机主(是)?|本人|就是|是|写的是|用的是|my (full )?name is|the name is|name is|name's|the name on (it|the order) is|i'?m|i am|it'?s|it is|this is|it should be under|it'?s under|under|full name|name|card ?holder is|that would be|that'?s)[:，, ]*",
    )
});
static NAME_HAN: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"^\p{Han}{2,8}(?:[·•・]\p{Han}{1,8})*"));
static NAME_LATIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| regex(r"^[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’.-]*( [A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’.-]*){0,3}$"));
static ADDRESS_LEAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex(
        r"(?i)^.{0,14}?(新地址(是|：|:)?|地址(是|改成|改为|改到|换成|：|:)|改(到|成|为)|换(到|成)|(寄|送|发)(到|去|给)|搬(到|去)了?|(new |the |correct |right )?address( is|:| should be)|send it to|deliver (it )?to|ship (it )?to|change (it )?to)[，, ：:]*",
    )
});

/// What is known where a value is read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Cues of yes, no and skip.
    pub config: &'a ChatConfig,
    /// Today.
    pub today: NaiveDate,
    /// Whether the message answers the question for this slot.
    pub asked: bool,
}

/// The value of a slot in a message, if it is there and allowed.
pub fn read(slot: &Slot, message: &Message, reading: Reading<'_>) -> Option<String> {
    if slot.skip && reading.asked && reading.config.hears(Cue::Skip, &message.plain) {
        return Some("skipped".to_owned());
    }
    if !(reading.asked || (slot.kind.from_any_message() && slot.early)) {
        return None;
    }
    match slot.kind {
        SlotKind::OrderNo => order_no(&message.raw, reading.asked),
        SlotKind::Phone => phone(message, reading.asked),
        SlotKind::Amount => amount(message, reading.asked),
        SlotKind::Date => date(slot, message, reading),
        SlotKind::Month => month(message, reading.today),
        SlotKind::Choice => choice(slot, message, reading.asked),
        SlotKind::YesNo => yes_no(message, reading.config),
        SlotKind::Digits => digits(slot, message),
        SlotKind::Number => in_range(slot, message),
        SlotKind::Name => name(&message.raw),
        SlotKind::Address => address(&message.raw),
        SlotKind::Text => Some(message.raw.trim().to_owned()).filter(|t| t.chars().any(char::is_alphanumeric)),
    }
}

fn month(message: &Message, today: NaiveDate) -> Option<String> {
    let found = dates::month(&message.written(), today).or_else(|| dates::month(&message.raw, today));
    // "13912345678二月份": the number before the month is none of its digits.
    found.or_else(|| {
        let rest = LONG_NUMBER.as_ref()?.replace_all(&message.raw, " ").into_owned();
        dates::month(&Message::read(&rest, message.language, 500).written(), today)
    })
}

fn order_no(text: &str, asked: bool) -> Option<String> {
    let half_width = |c: char| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    };
    let folded: String = text.chars().map(half_width).collect();
    let found = |source: &str| -> Option<String> {
        let pattern = ORDER.as_ref()?;
        pattern.find_iter(source).find_map(|hit| {
            let touches = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            let whole = !touches(source[..hit.start()].chars().next_back()) && !touches(source[hit.end()..].chars().next());
            let value = hit.as_str().replace('-', "").to_ascii_uppercase();
            let mobile = MOBILE.as_ref().is_some_and(|m| m.is_match(&value));
            // A slot is kept as it stands, so a number that is a bank or identity card is no order.
            let private = value.bytes().all(|b| b.is_ascii_digit()) && (bank_card(&value) || id_card(&value));
            (whole && !private && (asked || !mobile)).then_some(value)
        })
    };
    found(&folded).or_else(|| if asked { found(&folded.replace([' ', '-'], "")) } else { None })
}

fn phone(message: &Message, asked: bool) -> Option<String> {
    let proved = find_entities(&message.raw).into_iter().find(|e| e.kind == "phone").map(|e| {
        let digits: String = e.value.chars().filter(char::is_ascii_digit).collect();
        digits.strip_prefix("86").filter(|rest| rest.len() == 11).map_or(digits.clone(), str::to_owned)
    });
    if proved.is_some() {
        return proved;
    }
    // A number that begins like a mobile one has eleven digits.
    let whole = |d: &str| d.len() == 11 || !matches!(d.as_bytes(), [b'1', b'3'..=b'9', ..]);
    let in_range = |digits: String| ((7..=15).contains(&digits.len()) && whole(&digits)).then_some(digits);
    if asked {
        return runs_of_digits(message).into_iter().find_map(in_range);
    }
    let hit = PHONE_LIKE.as_ref()?.find(&message.raw)?.as_str();
    if !hit.contains(['-', ' ', '+']) {
        return None;
    }
    in_range(hit.chars().filter(char::is_ascii_digit).collect()).filter(|d| d.len() >= 10)
}

fn amount(message: &Message, asked: bool) -> Option<String> {
    for text in [&message.written(), &message.raw] {
        if let Some(entity) = find_entities(text).into_iter().find(|e| e.kind == "amount") {
            return Some(entity.value);
        }
    }
    let number = || Some(NUMBER.as_ref()?.find(&message.written())?.as_str().to_owned());
    if asked { number() } else { None }
}

fn date(slot: &Slot, message: &Message, reading: Reading<'_>) -> Option<String> {
    let side = match (slot.past, slot.future) {
        (true, _) => Side::Past,
        (_, true) => Side::Future,
        _ => Side::Either,
    };
    let day = dates::day(&message.written(), reading.today, side).or_else(|| dates::day(&message.raw, reading.today, side))?;
    let allowed = match side {
        Side::Past => day <= reading.today,
        Side::Future => day >= reading.today,
        Side::Either => true,
    };
    allowed.then(|| day.format("%Y-%m-%d").to_string())
}

/// Places on a list: the first, the second, …
const ORDINALS: [&[&str]; 4] = [
    &["第一", "1", "一", "first", "one", "former"],
    &["第二", "2", "二", "second", "two"],
    &["第三", "3", "三", "third", "three"],
    &["第四", "4", "四", "fourth", "four"],
];

/// The option that a message names. Unless it was asked for, short words, digits and places on the list name none.
pub(super) fn choice(slot: &Slot, message: &Message, asked: bool) -> Option<String> {
    let text = message.plain.as_str();
    let named = |option: &SlotOption| -> usize {
        let labels = [&option.label.zh, &option.label.en];
        let longest = option.words.all().chain(labels).map(|word| fold(word)).filter(|word| {
            let short = if word.chars().any(is_han) { word.chars().count() < 2 } else { word.len() < 3 };
            (asked || !short) && occurs(text, word)
        });
        let longest = longest.map(|word| word.chars().count()).max().unwrap_or(0);
        if asked && text == option.id { longest.max(1) } else { longest }
    };
    // The longest words decide; of equal ones the option that stands first.
    let best = slot.options.iter().rev().map(|option| (named(option), option)).max_by_key(|(length, _)| *length);
    if let Some((_, option)) = best.filter(|(length, _)| *length > 0) {
        return Some(option.id.clone());
    }
    if !asked {
        return None;
    }
    let place = ORDINALS
        .iter()
        .position(|words| words.iter().any(|w| text == *w || (w.chars().count() > 1 && occurs(text, w) && message.units() <= 6)));
    slot.options.get(place?).map(|option| option.id.clone())
}

/// Whether a word occurs; a Latin word only as a whole one.
pub(super) fn occurs(text: &str, word: &str) -> bool {
    if word.is_empty() {
        return false;
    }
    if word.chars().any(is_han) {
        return text.contains(word);
    }
    text.match_indices(word).any(|(at, _)| {
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        !joins(text[..at].chars().next_back()) && !joins(text[at + word.len()..].chars().next())
    })
}

/// Phrases that agree with a word of denial.
const YES_THOUGH: [&str; 14] = [
    "没有问题",
    "没什么问题",
    "没问题",
    "没有错",
    "没错",
    "没有意见",
    "没意见",
    "没有异议",
    "不错",
    "不客气",
    "no problem",
    "not a problem",
    "no worries",
    "no objection",
];

/// Whether a message begins with a phrase that agrees with a word of denial.
pub(super) fn agrees_with_a_no(text: &str) -> bool {
    YES_THOUGH.iter().any(|phrase| text.starts_with(phrase))
}

/// Whether a message denies, apart from phrases that agree with a word of denial.
pub(super) fn denies(text: &str, config: &ChatConfig) -> bool {
    // 有没有问题 is a question, no agreement
    if text.contains("有没有") {
        return config.hears(Cue::No, text);
    }
    let rest = YES_THOUGH.iter().fold(text.to_owned(), |rest, phrase| rest.replace(phrase, " "));
    config.hears(Cue::No, &rest)
}

fn yes_no(message: &Message, config: &ChatConfig) -> Option<String> {
    let text = message.plain.as_str();
    let yes = config.hears(Cue::Yes, text);
    let no = denies(text, config);
    let answer = match (yes, no) {
        _ if agrees_with_a_no(text) => "yes",
        (true, false) => "yes",
        (false, true) => "no",
        (true, true) => {
            let opens_with_yes = ["yes", "yeah", "yep", "sure", "ok", "okay"].iter().any(|w| text.starts_with(w));
            if opens_with_yes { "yes" } else { "no" }
        }
        (false, false) => return None,
    };
    Some(answer.to_owned())
}

const SPOKEN_ZH: &str = "零一二三四五六七八九";
const SPOKEN_EN: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Runs of digits, spoken ones included; blanks and hyphens inside a run are passed over.
fn runs_of_digits(message: &Message) -> Vec<String> {
    let mut runs = Vec::new();
    let mut run = String::new();
    let mut word = String::new();
    let mut double = false;
    let lower = fold(&message.raw);
    for c in lower.chars().chain(['。']) {
        if c.is_ascii_alphabetic() {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            let digit = SPOKEN_EN.iter().position(|w| *w == word).or_else(|| (word == "oh" || word == "o").then_some(0));
            match digit {
                Some(digit) => {
                    let times = if double { 2 } else { 1 };
                    (0..times).for_each(|_| run.push_str(&digit.to_string()));
                    double = false;
                }
                None if word == "double" => double = true,
                None if !run.is_empty() => runs.push(std::mem::take(&mut run)),
                None => {}
            }
            word.clear();
        }
        let spoken = match c {
            '幺' | '妖' => Some(1),
            '〇' => Some(0),
            '两' => Some(2),
            _ => SPOKEN_ZH.chars().position(|z| z == c),
        };
        if let Some(digit) = c.to_digit(10) {
            run.push_str(&digit.to_string());
        } else if let Some(digit) = spoken {
            run.push_str(&digit.to_string());
        } else if !matches!(c, ' ' | '-') && !run.is_empty() {
            runs.push(std::mem::take(&mut run));
        }
    }
    runs
}

fn digits(slot: &Slot, message: &Message) -> Option<String> {
    let runs = runs_of_digits(message);
    let least = slot.length.or(slot.min_length).unwrap_or(1);
    let most = slot.length.or(slot.max_length).unwrap_or(20);
    if let Some(run) = runs.iter().find(|run| (least..=most).contains(&run.len())) {
        return Some(run.clone());
    }
    // a whole telephone number where its end was asked for
    let whole = runs.iter().find(|run| slot.length.is_some_and(|n| n <= 4) && (7..=15).contains(&run.len()))?;
    Some(whole[whole.len() - least..].to_owned())
}

fn in_range(slot: &Slot, message: &Message) -> Option<String> {
    let lower = message.plain.as_str();
    let written = NUMBER.as_ref()?.find(&message.written()).and_then(|hit| hit.as_str().parse::<f64>().ok());
    let spoken = || {
        // "一" is a number in "给一分" and none in "一般".
        let chars: Vec<char> = lower.chars().collect();
        let counts = |at: usize| {
            let next = chars.get(at + 1);
            let alone = at == 0 || chars.get(at - 1).is_some_and(|c| "给打个是就选，, ".contains(*c));
            (alone && next.is_none_or(|c| "吧啊呀哦".contains(*c))) || next.is_some_and(|c| "分星点颗".contains(*c))
        };
        let digit = |c: char| SPOKEN_ZH.chars().position(|z| z == c).or_else(|| (c == '两').then_some(2));
        let zh = (0..chars.len()).filter(|at| counts(*at)).find_map(|at| digit(chars[at]));
        let en = SPOKEN_EN.iter().position(|w| occurs(lower, w));
        #[expect(clippy::cast_precision_loss, reason = "a digit")]
        zh.or(en).map(|n| n as f64)
    };
    let value = written.or_else(spoken)?;
    let fits = slot.min.is_none_or(|min| value >= min) && slot.max.is_none_or(|max| value <= max);
    fits.then(|| value.to_string())
}

fn name(text: &str) -> Option<String> {
    let mut rest = text.trim().trim_end_matches(|c: char| !c.is_alphanumeric()).to_owned();
    for _ in 0..3 {
        let shorter = NAME_LEAD.as_ref()?.replace(&rest, "").into_owned();
        let lead = ["嗯", "好吧", "行吧", "行", "好的", "好", "哦", "呃", "sure", "yes", "ok", "okay"].iter().find_map(|w| {
            let cut = shorter
                .strip_prefix(w)
                .or_else(|| shorter.get(..w.len()).filter(|s| s.eq_ignore_ascii_case(w)).map(|_| &shorter[w.len()..]));
            cut.map(|c| c.trim_start_matches([',', '，', ' ', '。', '.']).to_owned()).filter(|c| !c.is_empty())
        });
        let next = lead.filter(|_| shorter.contains([',', '，', ' '])).unwrap_or(shorter);
        if next == rest {
            break;
        }
        rest = next;
    }
    let head = rest.split([',', '，', '。', ';', '；', '(', '（', '\n']).next().unwrap_or_default().trim();
    if head.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    if head.chars().any(is_han) {
        let chars = head.chars().count();
        const NO_NAMES: [&str; 21] = [
            "不对",
            "错了",
            "写错",
            "什么",
            "怎么",
            "为什么",
            "哪个",
            "不知道",
            "不记得",
            "没有",
            "不是",
            "算了",
            "订单",
            "地址",
            "快递",
            "谢谢",
            "你好",
            "人工",
            "不想",
            "干嘛",
            "等等",
        ];
        let limit = if head.contains(NAME_DOTS) { 24 } else { 8 };
        if chars > limit || NO_NAMES.iter().any(|w| head.contains(w)) {
            return None;
        }
        return Some(name_han(NAME_HAN.as_ref()?.find(head)?.as_str()));
    }
    const NO_NAMES: [&str; 26] = [
        "what", "why", "how", "when", "where", "who", "no", "yes", "not", "don't", "the", "is", "are", "hello", "thanks",
        "order", "number", "wait", "sorry", "help", "it", "i", "you", "same", "wrong", "name",
    ];
    let plain = NAME_LATIN.as_ref()?.is_match(head);
    let odd = head.to_lowercase().split(' ').any(|w| NO_NAMES.contains(&w));
    (plain && !odd && head.len() >= 2).then(|| head.to_owned())
}

/// What joins the parts of a name that came from another language: 阿不都热合曼·买买提.
const NAME_DOTS: [char; 3] = ['·', '•', '・'];

/// A name without the particles behind it. Five characters and more without a dot are a name only where none of them
/// belongs to a sentence; else the first four are kept.
fn name_han(found: &str) -> String {
    const PARTICLES: &str = "吧啊呀的哈哦呢嘛";
    const SENTENCE: &str = "我你您他她的了是在有要这那跟给说话号";
    let mut chars: Vec<char> = found.chars().collect();
    while chars.len() > 2 && chars.last().is_some_and(|c| PARTICLES.contains(*c)) {
        chars.pop();
    }
    let sentence = !chars.iter().any(|c| NAME_DOTS.contains(c)) && chars.iter().any(|c| SENTENCE.contains(*c));
    if sentence {
        chars.truncate(4);
    }
    chars.into_iter().collect()
}

fn address(text: &str) -> Option<String> {
    let mut rest = ADDRESS_LEAD.as_ref()?.replace(text.trim(), "").trim().to_owned();
    rest = rest.trim_end_matches(['。', '，', ',', '!', '！', '.']).to_owned();
    for tail in ["谢谢", "吧", "就行", "可以吗", "please", "thanks"] {
        if let Some(cut) = rest.strip_suffix(tail) {
            rest = cut.trim_end_matches(['，', ',', ' ', '。']).to_owned();
        }
    }
    let han = rest.chars().filter(|c| is_han(*c)).count();
    const PLACES: [&str; 22] = [
        "号", "路", "街", "区", "室", "楼", "栋", "村", "镇", "县", "市", "苑", "小区", "大厦", "巷", "弄", "单元", "园", "中心",
        "广场", "城", "驿站",
    ];
    let chinese = han >= 6 && PLACES.iter().filter(|p| rest.contains(**p)).count() >= 2;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let english = han == 0 && words.len() >= 3 && rest.chars().any(|c| c.is_ascii_digit());
    (chinese || english).then_some(rest)
}
