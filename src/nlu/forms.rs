//! The regular expressions behind [`super::find_entities`], Mandarin and English, written and spoken.

use std::sync::LazyLock;

use regex::Regex;

/// Digits with or without commas and decimals.
const NUMBER: &str = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?";
/// Mandarin digits and units below ten thousand.
const HAN: &str = "[零一二两三四五六七八九十百千]";
/// A day of a month.
const DAY: &str = r"(?:\d{1,2}|[二三]?十[一二三四五六七八九]?|[一二三四五六七八九])";
/// A month of a year.
const MONTH: &str = r"(?:\d{1,2}|十?[一二三四五六七八九十])月份?";
/// A part of a day.
const PERIOD: &str = "(?:凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|半夜|夜里)";
const WEEKDAY: &str = "(?:mon|tues|wednes|thurs|fri|satur|sun)days?";
const MONTH_EN: &str = "(?:january|february|march|april|may|june|july|august|september|october|november|december)";
/// May and March are words of other meanings, too.
const PLAIN_MONTH: &str = "(?:january|february|april|june|july|august|september|october|november|december)";
const ORDINAL: &str = r"(?:\d{1,2}(?:st|nd|rd|th)|first|second|third)";
const WORD: &str = "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|\
seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)";

/// A form and the kind it proves.
pub(super) struct Form {
    /// Entity kind.
    pub kind: &'static str,
    /// What it looks like.
    pub regex: Regex,
}

/// Tried in this order; an earlier one takes its place from later ones.
pub(super) static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let compiled = |(kind, source): (&'static str, String)| Regex::new(&source).ok().map(|regex| Form { kind, regex });
    sources().into_iter().filter_map(compiled).collect()
});

/// All forms before they are compiled.
pub(super) fn sources() -> Vec<(&'static str, String)> {
    // ASCII word boundaries: a Han character ends a Latin word.
    let b = r"(?-u:\b)";
    vec![
        ("email", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+".to_owned()),
        (
            "url",
            format!(
                r"(?:https?://|www\.)[A-Za-z0-9./?=&_%#-]*[A-Za-z0-9/]|{b}[a-z][a-z0-9-]*\.(?:com|cn|co\.uk|net|org|example)(?:/[A-Za-z0-9./?=&_%#-]*[A-Za-z0-9/])?{b}"
            ),
        ),
        (
            "phone",
            r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}-\d{7,8}|\+\d{1,3}[- ]\d{2,4}[- ]\d{3,4}[- ]?\d{3,4}"
                .to_owned(),
        ),
        (
            "date",
            format!(
                r"(?:(?:\d{{4}}|[零〇一二三四五六七八九]{{2,4}})年)?{MONTH}(?:{DAY}[日号]?)?|\d{{4}}-\d{{1,2}}-\d{{1,2}}|{b}\d{{1,2}}/\d{{1,2}}/\d{{2,4}}{b}"
            ),
        ),
        (
            "date",
            "(?:上上|下下|上|下|这|本)个?(?:周|星期|礼拜)[一二三四五六日天末]?内?|(?:周|星期|礼拜)[一二三四五六日天]".to_owned(),
        ),
        ("date", "大前天|大后天|前天|昨[天晚儿日]|今[天晚早儿]|明[天早晚儿]|后天|收到当天".to_owned()),
        (
            "date",
            format!("(?:上|下|这|本)个?月(?:[初底末]|{DAY}[日号])?|月[初底]|次月|去年底?|今年|明年|双十[一二]|下一?个工作日"),
        ),
        ("date", format!("{DAY}号")),
        (
            "date",
            format!(
                r"(?i){b}(?:the )?{ORDINAL}(?: of)? {MONTH_EN}{b}|{b}{MONTH_EN} {ORDINAL}{b}|{b}\d{{1,2}} {MONTH_EN}{b}|{b}{MONTH_EN} \d{{1,2}}{b}"
            ),
        ),
        (
            "date",
            format!(
                r"(?i){b}(?:(?:last|next|this) )?{WEEKDAY}{b}|{b}(?:yesterday|today|tomorrow|tonight){b}|{b}(?:last|next|this) (?:week|month|year|afternoon|{MONTH_EN}){b}|{b}end of the month{b}|{b}next working day{b}|{b}boxing day{b}"
            ),
        ),
        ("date", format!(r"(?i){b}(?:(?:last|next) )?{PLAIN_MONTH}(?: 20\d\d)?{b}|{b}\d{{1,2}}/\d{{1,2}}{b}")),
        ("date", format!(r"{b}March{b}|{b}(?:in|by|from|since|until|till|early|late|for|born) (May){b}")),
        ("date", format!(r"(?i){b}the {ORDINAL}{b}")),
        (
            "time",
            format!(
                r"{PERIOD}?(?:\d{{1,2}}|十[一二]?|[零一二两三四五六七八九]|二十[一二三]?)点(?:半|[一三]刻|(?:\d{{1,2}}|{HAN}{{1,3}})分)?|凌晨|中午"
            ),
        ),
        (
            "time",
            format!(
                r"(?i){b}\d{{1,2}}(?::\d{{2}})?\s?[ap]\.?m{b}|{b}\d{{1,2}}[:：]\d{{2}}{b}|{b}{WORD} o'clock{b}|{b}half (?:past )?{WORD}{b}|{b}(?:noon|midday|midnight){b}|{b}this (?:morning|evening){b}"
            ),
        ),
        (
            "amount",
            format!(
                r"[¥￥$£€]\s?(?:{NUMBER})|(?:{NUMBER})\s?(?:万元|万块钱?|元|块钱|块|美元|港币|RMB{b})\d?|{HAN}+万?{HAN}*多?(?:元|块钱|块|毛钱?)|{HAN}{{1,3}}万"
            ),
        ),
        (
            "amount",
            format!(
                r"(?i){b}(?:{NUMBER})\s?(?:pounds?|dollars?|quid|euros?|pence|yuan){b}|{b}{WORD}(?:[ -](?:and[ -])?(?:{WORD}|hundred|thousand))*[ -](?:pounds?|dollars?|quid|euros?|pence){b}"
            ),
        ),
        ("order_no", format!(r"#\d{{5,10}}{b}|[A-Za-z]{{1,4}}-?\d{{6,18}}|\d{{8,20}}|{b}\d{{6}}{b}|{b}\d{{4}} \d{{4}}{b}")),
        (
            "quantity",
            "(?:\\d+|几?十?[二两三四五六七八九十百千]+多?)(?:个G|G|公斤|箱|盒|罐|瓶|袋|台|件|份|捆|双)|\\d+(?:个|张|包|只|本|套|位)|一打"
                .to_owned(),
        ),
    ]
}

/// Whether what stands around a hit speaks against it; places are bytes.
pub(super) fn is_other(kind: &str, text: &str, start: usize, end: usize) -> bool {
    let (hit, before, after) = (&text[start..end], text[..start].chars().next_back(), text[end..].chars().next());
    let is = |c: Option<char>, set: &str| c.is_some_and(|c| set.contains(c));
    let joined = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    match kind {
        // a number of a phone or an order must not be a part of a longer number or word
        "phone" | "order_no" => joined(before) || joined(after),
        // 3号楼, 人民路12号, 大一号 are no days
        "date" if hit.ends_with('号') => {
            is(after, "楼线门院仓柜店机码位厅") || is(before, "路街道巷里大小") || before.is_some_and(|c| c.is_ascii_digit())
        }
        // 三个月 is a while, "the first of the two" a place in a row
        "date" if hit.starts_with("the ") && hit.len() <= "the second".len() && !hit.contains(|c: char| c.is_ascii_digit()) => {
            let rest = text[end..].trim_start();
            !(rest.is_empty()
                || rest.starts_with([',', '.', '?', '!'])
                || rest.starts_with("of next")
                || rest.starts_with("this"))
        }
        // 快一点, 三点九 (a rate) are no times; 一点前 is one
        "time" if hit.ends_with('点') => {
            (hit == "一点" && !is(after, "前钟到开之多整") && !is(before, "到"))
                || (is(after, "一二三四五六七八九零几") && hit.chars().count() <= 2)
        }
        // 一块儿 is together, 百万医疗 a product
        "amount" => (hit == "一块" && is(after, "儿去来退买办")) || (hit.ends_with('万') && is(after, "医个能别分")),
        "quantity" => hit.starts_with("十G") && is(before, "0123456789"),
        _ => false,
    }
}
