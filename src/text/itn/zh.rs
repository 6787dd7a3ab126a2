//! The Chinese grammar. Reads from left to right; at each place the first rule that fits writes, otherwise one character
//! is copied.

use super::span::Rewriter;
use super::zh_number::{cardinal, digit, digit_length, digits, figures, run_length};

/// Fixed expressions that look like numbers.
const IDIOMS: [&str; 24] = [
    "三三两两",
    "七七八八",
    "三六九等",
    "三十六计",
    "七十二变",
    "五十步笑百步",
    "十万八千里",
    "十万火急",
    "十万个为什么",
    "十年如一日",
    "一千零一夜",
    "九九归一",
    "五五六六",
    "一五一十",
    "三三四四",
    "双十一",
    "双十二",
    "十一黄金周",
    "十一假期",
    "十一期间",
    "十一长假",
    "五十知天命",
    "八九十",
    "一二三四五六七",
];
/// Units behind which any count is written in figures, even one.
const STRICT_UNITS: [&str; 36] = [
    "元",
    "块钱",
    "角钱",
    "毛钱",
    "美元",
    "欧元",
    "英镑",
    "日元",
    "港币",
    "港元",
    "人民币",
    "公里",
    "千米",
    "厘米",
    "毫米",
    "米",
    "公斤",
    "千克",
    "克",
    "斤",
    "吨",
    "兆",
    "平方",
    "平米",
    "升",
    "毫升",
    "折",
    "瓦",
    "伏",
    "G",
    "M",
    "g",
    "m",
    "%",
    "k",
    "K",
];
/// Units behind which counts from two on are written in figures.
const COUNT_UNITS: [&str; 17] = [
    "块",
    "毛",
    "个工作日",
    "工作日",
    "个自然日",
    "自然日",
    "个月",
    "个小时",
    "小时",
    "分钟",
    "秒",
    "天",
    "年",
    "周",
    "个星期",
    "个礼拜",
    "期",
];
/// What may follow ten alone to make it a count.
const TEN_COUNTS: [&str; 18] =
    ["个", "次", "位", "人", "号", "月", "日", "点", "张", "笔", "件", "条", "单", "岁", "名", "份", "套", "级"];
/// Words of a day before a clock time.
const DAY_PARTS: [&str; 18] = [
    "上午", "下午", "早上", "晚上", "凌晨", "中午", "傍晚", "半夜", "夜里", "今天", "明天", "后天", "昨天", "当天", "今晚",
    "明早", "每天", "早晨",
];

pub(super) fn rewrite(out: &mut Rewriter<'_>, style: super::ItnStyle) {
    while out.at < out.chars.len() {
        let at = out.at;
        if let Some(idiom) = IDIOMS.iter().find(|idiom| starts_with(out.chars, at, idiom)) {
            out.copy(idiom.chars().count());
        } else if follows_weekday(out.chars, at) {
            out.copy(1);
        } else if let Some((used, text)) =
            (style == super::ItnStyle::Symbols).then(|| super::zh_symbols::rule(out.chars, at)).flatten()
        {
            out.replace(used, &text);
        } else if let Some((used, text)) = super::zh_symbols::plate(out.chars, at)
            .or_else(|| percentage(out.chars, at))
            .or_else(|| fraction(out.chars, at))
            .or_else(|| money(out.chars, at))
            .or_else(|| clock(out.chars, at))
            .or_else(|| dotted_digits(out.chars, at))
            .or_else(|| number(out.chars, at))
        {
            out.replace(used, &text);
        } else {
            // a run that is no number is copied whole: its tail must not be read as another number
            out.copy(run_length(out.chars, at).max(1));
        }
    }
}

pub(super) fn starts_with(chars: &[char], at: usize, text: &str) -> bool {
    let mut position = at;
    text.chars().all(|c| {
        let same = chars.get(position) == Some(&c);
        position += 1;
        same
    })
}

pub(super) fn ends_with(chars: &[char], end: usize, text: &str) -> bool {
    let length = text.chars().count();
    end >= length && starts_with(chars, end - length, text)
}

pub(super) fn starts_with_any(chars: &[char], at: usize, texts: &[&str]) -> bool {
    texts.iter().any(|text| starts_with(chars, at, text))
}

/// 周三, 星期三, 礼拜三: the numeral names a day.
fn follows_weekday(chars: &[char], at: usize) -> bool {
    let weekday = matches!(chars.get(at), Some('一' | '二' | '三' | '四' | '五' | '六'));
    let named = ["星期", "礼拜"].iter().any(|word| ends_with(chars, at, word));
    let week = ends_with(chars, at, "周") && !(at >= 2 && digit(chars[at - 2]).is_some());
    weekday && (named || week)
}

/// A decimal or a cardinal at a place: characters used and figures. With `sign`, 负 may come first.
pub(super) fn value_at(chars: &[char], at: usize) -> Option<(usize, String)> {
    if chars.get(at) == Some(&'负') {
        let (used, text) = value_at(chars, at + 1)?;
        return Some((used + 1, format!("-{text}")));
    }
    if let Some(decimal) = decimal_at(chars, at) {
        return Some(decimal);
    }
    let used = run_length(chars, at);
    let run = chars.get(at..at + used)?;
    let hundred = run == ['百']; // 百分之百
    let value = if hundred { Some(100) } else { cardinal(run) };
    value.map(figures).or_else(|| digits(run)).map(|text| (used, text)).filter(|(used, _)| *used > 0)
}

/// 三点一四, 零点五, 六点四二万.
pub(super) fn decimal_at(chars: &[char], at: usize) -> Option<(usize, String)> {
    let whole = run_length(chars, at);
    let point = at + whole;
    if whole == 0 || chars.get(point) != Some(&'点') {
        return None;
    }
    let places = digit_length(chars, point + 1);
    let end = point + 1 + places;
    let scale = chars.get(end).filter(|c| matches!(c, '万' | '亿'));
    let inside_number = run_length(chars, point + 1) > places && scale.is_none();
    if places == 0 || inside_number || chars.get(end) == Some(&'点') {
        return None;
    }
    let run = &chars[at..point];
    let left = cardinal(run).map(|value| value.to_string()).or_else(|| digits(run))?;
    let right = digits(&chars[point + 1..end])?;
    let scale_text = scale.map(char::to_string).unwrap_or_default();
    Some((end - at + scale_text.chars().count(), format!("{left}.{right}{scale_text}")))
}

/// 百分之三十, 千分之五.
pub(super) fn percentage(chars: &[char], at: usize) -> Option<(usize, String)> {
    let sign = usize::from(chars.get(at) == Some(&'负'));
    let start = at + sign;
    let mark = if starts_with(chars, start, "百分之") {
        "%"
    } else if starts_with(chars, start, "千分之") {
        "‰"
    } else {
        return None;
    };
    let minus = if sign == 1 { "-" } else { "" };
    value_at(chars, start + 3).map(|(used, text)| (sign + 3 + used, format!("{minus}{text}{mark}")))
}

/// 三分之二, 负十二分之七.
fn fraction(chars: &[char], at: usize) -> Option<(usize, String)> {
    let sign = usize::from(chars.get(at) == Some(&'负'));
    let below = run_length(chars, at + sign);
    let bar = at + sign + below;
    if below == 0 || !starts_with(chars, bar, "分之") {
        return None;
    }
    let above = run_length(chars, bar + 2);
    let (denominator, numerator) = (cardinal(&chars[at + sign..bar])?, cardinal(&chars[bar + 2..bar + 2 + above])?);
    let minus = if sign == 1 { "-" } else { "" };
    Some((sign + below + 2 + above, format!("{minus}{numerator}/{denominator}")))
}

/// 二十五元三角, 三千三百八十元五角八分: one amount with two places.
fn money(chars: &[char], at: usize) -> Option<(usize, String)> {
    let whole = run_length(chars, at);
    let yuan = at + whole;
    if whole == 0 || chars.get(yuan) != Some(&'元') {
        return None;
    }
    let value = cardinal(&chars[at..yuan])?;
    let mut end = yuan + 1;
    let mut place = |marks: [char; 2]| -> Option<u64> {
        let count = digit(*chars.get(end)?)?;
        if !marks.contains(chars.get(end + 1)?) {
            return None;
        }
        end += 2;
        Some(count)
    };
    let tenths = place(['角', '毛']);
    let hundredths = place(['分', '分']);
    match (tenths, hundredths) {
        (None, None) => None,
        (Some(tenths), None) => Some((end - at, format!("{value}.{tenths}元"))),
        (tenths, Some(hundredths)) => Some((end - at, format!("{value}.{}{hundredths}元", tenths.unwrap_or(0)))),
    }
}

/// 八点半, 三点四十, 下午一点, 十点十分三十六秒.
pub(super) fn clock(chars: &[char], at: usize) -> Option<(usize, String)> {
    let length = run_length(chars, at);
    let point = at + length;
    if length == 0 || chars.get(point) != Some(&'点') {
        return None;
    }
    let hour = cardinal(&chars[at..point]).filter(|hour| *hour <= 24)?;
    let by_day_part = DAY_PARTS.iter().any(|word| ends_with(chars, at, word));
    if chars.get(point + 1) == Some(&'半') {
        return Some((length + 2, format!("{hour}:30")));
    }
    for (word, minute) in [("一刻", 15), ("三刻", 45)] {
        if starts_with(chars, point + 1, word) {
            return Some((length + 3, format!("{hour}:{minute}")));
        }
    }
    match minute(chars, point + 1, by_day_part) {
        Some((used, minute)) => {
            let (seconds_used, seconds) = second(chars, point + 1 + used);
            Some((length + 1 + used + seconds_used, format!("{hour}:{minute:02}{seconds}")))
        }
        None if run_length(chars, point + 1) > 0 => None,
        None => {
            let named = by_day_part
                || ["号", "日"].iter().any(|word| ends_with(chars, at, word))
                || starts_with_any(
                    chars,
                    point + 1,
                    &["钟", "整", "左右", "之前", "以前", "前", "之后", "以后", "后", "到", "开门"],
                );
            (named || hour >= 10).then(|| (length, hour.to_string()))
        }
    }
}

/// The minutes behind 点: 三十, 零五, 五分. Bare digits are the places of a decimal unless the part of the day was said.
fn minute(chars: &[char], at: usize, by_day_part: bool) -> Option<(usize, u64)> {
    let length = run_length(chars, at);
    let run = chars.get(at..at + length).filter(|run| !run.is_empty())?;
    let minutes_follow = chars.get(at + length) == Some(&'分') && !starts_with(chars, at + length, "分之");
    let after = usize::from(minutes_follow && chars.get(at + length + 1) != Some(&'钟'));
    let value = match run {
        ['零' | '〇', single] => digit(*single).filter(|_| minutes_follow || by_day_part)?,
        [single] if *single != '十' => digit(*single).filter(|_| minutes_follow)?,
        _ if run.contains(&'十') => cardinal(run)?,
        _ => return None,
    };
    (value < 60).then_some((length + after, value))
}

fn second(chars: &[char], at: usize) -> (usize, String) {
    let length = run_length(chars, at);
    let value = (length > 0 && chars.get(at + length) == Some(&'秒')).then(|| cardinal(&chars[at..at + length])).flatten();
    match value {
        Some(value) if value < 60 && ends_with(chars, at, "分") => (length + 1, format!(":{value:02}")),
        _ => (0, String::new()),
    }
}

/// 一二七点零点零点幺: three points or more join digits, as in an address of a network.
fn dotted_digits(chars: &[char], at: usize) -> Option<(usize, String)> {
    let mut parts = Vec::new();
    let mut end = at;
    loop {
        let length = digit_length(chars, end);
        if length == 0 {
            break;
        }
        parts.push(digits(&chars[end..end + length])?);
        end += length;
        if chars.get(end) != Some(&'点') || digit_length(chars, end + 1) == 0 {
            break;
        }
        end += 1;
    }
    (parts.len() >= 4).then(|| (end - at, parts.join(".")))
}

/// Digit strings, decimals and cardinals.
fn number(chars: &[char], at: usize) -> Option<(usize, String)> {
    if chars.get(at) == Some(&'负') {
        let (used, text) = value_at(chars, at)?;
        return Some((used, text));
    }
    if let Some(decimal) = decimal_at(chars, at) {
        return Some(decimal);
    }
    let length = run_length(chars, at);
    let mut run = chars.get(at..at + length).filter(|run| !run.is_empty())?;
    let after_vague = at > 0 && matches!(chars[at - 1], '几' | '数' | '上' | '成') && digit(run[0]).is_none();
    let open_count = matches!(chars.get(at + length), Some('几' | '来')) && digits(run).is_none();
    if after_vague || open_count {
        return None; // 几十万, 十来个, 二十几
    }
    if let Some(text) = digits(run).filter(|_| length > 1) {
        return is_digit_string(chars, at, run).then_some((length, text));
    }
    let metric = matches!(chars.get(at + length), Some('米' | '克' | '瓦' | '伏' | '赫'));
    if cardinal(run).is_none() && run.last() == Some(&'千') && metric {
        run = &run[..run.len() - 1]; // 十千米: the thousand belongs to the unit
    }
    let value = cardinal(run)?;
    let end = at + run.len();
    let wanted = if run == ['十'] {
        starts_with_any(chars, end, &TEN_COUNTS) || counts(chars, end) || starts_with_any(chars, end, &STRICT_UNITS)
    } else if run.len() > 1 {
        true
    } else {
        single_digit(chars, at, run[0])
    };
    wanted.then(|| (run.len(), figures(value)))
}

fn counts(chars: &[char], end: usize) -> bool {
    starts_with_any(chars, end, &COUNT_UNITS) && !starts_with(chars, end, "年级") && !starts_with(chars, end, "期间")
}

/// Whether a digit with nothing beside it is written as a figure.
fn single_digit(chars: &[char], at: usize, c: char) -> bool {
    let end = at + 1;
    let next = chars.get(end).copied().unwrap_or(' ');
    let previous = if at == 0 { ' ' } else { chars[at - 1] };
    let beside_figures = previous.is_ascii_digit() || next.is_ascii_digit();
    let labelled = ["尾号", "分机", "第几位"].iter().any(|word| ends_with(chars, at, word));
    let grouped = previous.is_whitespace() && at >= 2 && digit(chars[at - 2]).is_some();
    if beside_figures || labelled || grouped {
        return true;
    }
    let money_tail = matches!(previous, '块' | '毛')
        && at >= 2
        && digit(chars[at - 2]).or_else(|| super::zh_number::unit(chars[at - 2])).is_some()
        && (matches!(next, '毛' | '分') || !next.is_alphanumeric());
    let date = (next == '月' && c != '两') || next == '号' || (next == '日' && previous == '月');
    let count = counts(chars, end) && !matches!(c, '一' | '零' | '〇') && !(c == '两' && matches!(next, '天' | '年'));
    let piece_of_money = c == '一' && next == '块' && chars.get(end + 1).is_some_and(|after| digit(*after).is_some());
    (date && c != '零') || money_tail || starts_with_any(chars, end, &STRICT_UNITS) || count || piece_of_money
}

/// Whether digits side by side are a number read digit by digit. Two are mostly an estimate (三四个), so they need a sign.
fn is_digit_string(chars: &[char], at: usize, run: &[char]) -> bool {
    let end = at + run.len();
    let next = chars.get(end).copied().unwrap_or(' ');
    let beside_group = (at >= 2 && chars[at - 1].is_whitespace() && digit(chars[at - 2]).is_some())
        || (next.is_whitespace() && digit_length(chars, end + 1) >= 2);
    let beside_figures = next.is_ascii_digit() || (at > 0 && chars[at - 1].is_ascii_digit());
    let labelled = ["尾号", "尾号是", "分机", "后两位", "后两位是"].iter().any(|word| ends_with(chars, at, word));
    let has_telephone_digit = run.iter().any(|c| matches!(c, '幺' | '零' | '〇'));
    let short_year = next == '年' && (digit(run[0]).is_some_and(|d| d >= 7) || run_length(chars, end + 1) > 0);
    run.len() >= 3 || has_telephone_digit || beside_group || beside_figures || labelled || short_year || next == '折'
}
