//! What the style of symbols writes in Chinese beside the common rules: currency signs, units, dates with strokes, ranges.

use super::zh::{clock, ends_with, starts_with, value_at};
use super::zh_number::{cardinal, digit, digit_length, digits, figures, run_length, unit};

type Written = Option<(usize, String)>;

/// Currencies and their signs, the longer name first.
const CURRENCIES: [(&str, &str); 15] = [
    ("新台币", "TWD"),
    ("人民币", "CNY"),
    ("马来西亚令吉", "RM"),
    ("美元", "$"),
    ("美金", "$"),
    ("欧元", "€"),
    ("英镑", "£"),
    ("日元", "JP¥"),
    ("澳元", "A$"),
    ("港元", "HKD"),
    ("港币", "HKD"),
    ("卢布", "₽"),
    ("韩元", "₩"),
    ("元", "¥"),
    ("加元", "CA$"),
];
/// Units and their symbols, the longer name first.
const UNITS: [(&str, &str); 30] = [
    ("千瓦时", "kwh"),
    ("平方公里", "km²"),
    ("平方千米", "km²"),
    ("平方厘米", "cm²"),
    ("平方米", "m²"),
    ("立方米", "m³"),
    ("摄氏度", "°C"),
    ("毫米", "mm"),
    ("厘米", "cm"),
    ("分米", "dm"),
    ("公里", "km"),
    ("千米", "km"),
    ("毫克", "mg"),
    ("公斤", "kg"),
    ("千克", "kg"),
    ("毫升", "ml"),
    ("毫秒", "ms"),
    ("微秒", "μs"),
    ("分钟", "min"),
    ("小时", "h"),
    ("摩尔", "mol"),
    ("伏特", "v"),
    ("千瓦", "kw"),
    ("瓦特", "w"),
    ("赫兹", "hz"),
    ("克", "g"),
    ("米", "m"),
    ("秒", "s"),
    ("升", "l"),
    ("度", "°"),
];
/// Words of the half of a day and its mark.
const HALVES: [(&str, &str); 9] = [
    ("上午", "a.m."),
    ("早上", "a.m."),
    ("早晨", "a.m."),
    ("凌晨", "a.m."),
    ("清晨", "a.m."),
    ("下午", "p.m."),
    ("晚上", "p.m."),
    ("傍晚", "p.m."),
    ("中午", "p.m."),
];
const TRAINS: [(char, char); 8] =
    [('高', 'G'), ('动', 'D'), ('特', 'T'), ('快', 'K'), ('直', 'Z'), ('城', 'C'), ('临', 'L'), ('游', 'Y')];

/// The first rule that fits; `None` leaves the place to the common rules.
pub(super) fn rule(chars: &[char], at: usize) -> Written {
    filler(chars, at)
        .or_else(|| train(chars, at))
        .or_else(|| half_day(chars, at))
        .or_else(|| date(chars, at))
        .or_else(|| calculation(chars, at))
        .or_else(|| percent_range(chars, at))
        .or_else(|| hourly(chars, at))
        .or_else(|| quantity(chars, at))
        .or_else(|| score(chars, at))
        .or_else(|| midnight(chars, at))
        .or_else(|| plus_minus(chars, at))
        .or_else(|| lone(chars, at))
}

/// 呃, 啊 as fillers go.
fn filler(chars: &[char], at: usize) -> Written {
    let run = chars[at..].iter().take_while(|c| matches!(c, '呃' | '啊')).count();
    (run > 0 && chars.get(at) == Some(&'呃')).then(|| (run, String::new()))
}

/// 高一二三四: the number of a train.
fn train(chars: &[char], at: usize) -> Written {
    let (_, letter) = TRAINS.iter().find(|(word, _)| chars.get(at) == Some(word))?;
    let count = digit_length(chars, at + 1);
    let inside = run_length(chars, at + 1) > count || (at > 0 && chars[at - 1].is_alphanumeric() && !ends_with(chars, at, "坐"));
    ((2..=4).contains(&count) && !inside)
        .then(|| digits(&chars[at + 1..=at + count]).map(|text| (count + 1, format!("{letter}{text}"))))
        .flatten()
}

/// 下午三点四十 -> 3:40p.m.
fn half_day(chars: &[char], at: usize) -> Written {
    let (word, mark) = HALVES.iter().find(|(word, _)| starts_with(chars, at, word))?;
    let lead = word.chars().count();
    let (used, text) = clock(chars, at + lead)?;
    text.contains(':').then(|| (lead + used, format!("{text}{mark}")))
}

/// 零点十分 -> 00:10.
fn midnight(chars: &[char], at: usize) -> Written {
    let (used, text) = clock(chars, at).filter(|_| chars.get(at) == Some(&'零'))?;
    text.contains(':').then(|| (used, format!("0{text}")))
}

/// 二零零八年八月八日 -> 2008/08/08, 八月八号 -> 08/08, 八五年二月二十七日 -> 85/02/27.
fn date(chars: &[char], at: usize) -> Written {
    let year_digits = digit_length(chars, at);
    let year = matches!(year_digits, 2 | 4) && chars.get(at + year_digits) == Some(&'年') && run_length(chars, at) == year_digits;
    let (lead, year) = if year { (year_digits + 1, digits(&chars[at..at + year_digits])) } else { (0, None) };
    let part = |from: usize, marks: &[char], most: u64| {
        let length = run_length(chars, from);
        let value = cardinal(chars.get(from..from + length)?).filter(|v| (1..=most).contains(v))?;
        chars.get(from + length).filter(|c| marks.contains(c)).map(|_| (length + 1, value))
    };
    let (month_used, month) = part(at + lead, &['月'], 12)?;
    let day = part(at + lead + month_used, &['日', '号'], 31);
    match (year, day) {
        (Some(year), Some((used, day))) => Some((lead + month_used + used, format!("{year}/{month:02}/{day:02}"))),
        (Some(year), None) => Some((lead + month_used, format!("{year}/{month:02}"))),
        (None, Some((used, day))) => Some((month_used + used, format!("{month:02}/{day:02}"))),
        (None, None) => None,
    }
}

/// A number with its sign: 负二, 二十一, 三点五.
fn number(chars: &[char], at: usize) -> Written {
    let length = run_length(chars, at);
    let run = chars.get(at..at + length)?;
    if length > 1 && run[length - 1] == '千' && starts_with(chars, at + length, "米") {
        // 十千米: the thousand is the unit's
        return cardinal(&run[..length - 1]).map(|value| (length - 1, figures(value)));
    }
    let weight = matches!(run, [_, '两']) || starts_with(chars, at, "十三五规划") || starts_with(chars, at, "十四五规划");
    if weight { None } else { value_at(chars, at) }
}

/// 皖C九B三四E -> 皖C9B34E: a number plate, read out with Chinese digits.
pub(super) fn plate(chars: &[char], at: usize) -> Written {
    const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";
    let head = chars.get(at..at + 2)?;
    if !PROVINCES.contains(head[0]) || !head[1].is_ascii_alphabetic() {
        return None;
    }
    let place = |c: &&char| c.is_ascii_alphanumeric() || digit(**c).is_some();
    let tail: Vec<char> = chars[at + 2..].iter().take(7).take_while(place).copied().collect();
    let said = tail.iter().any(|c| digit(*c).is_some());
    let figure = |c: char| digit(c).and_then(|d| char::from_digit(u32::try_from(d).ok()?, 10)).unwrap_or(c);
    (matches!(tail.len(), 5 | 6) && said)
        .then(|| (2 + tail.len(), head.iter().copied().chain(tail.iter().map(|c| figure(*c))).collect()))
}

/// 一加二等于三, 二十一到一千零一.
fn calculation(chars: &[char], at: usize) -> Written {
    let touched = at > 0 && (chars[at - 1] == '第' || digit(chars[at - 1]).is_some() || unit(chars[at - 1]).is_some());
    let (mut used, mut text) = number(chars, at).filter(|_| !touched)?;
    let mut parts = 1;
    loop {
        let (lead, mark) = [
            ("加上", "+"),
            ("加", "+"),
            ("减去", "-"),
            ("减", "-"),
            ("乘以", "×"),
            ("乘", "×"),
            ("除以", "÷"),
            ("等于", "="),
            ("到", "~"),
        ]
        .into_iter()
        .find(|(word, _)| starts_with(chars, at + used, word))
        .map_or((0, ""), |(word, mark)| (word.chars().count(), mark));
        let Some((more, next)) = number(chars, at + used + lead).filter(|_| lead > 0) else { break };
        used += lead + more;
        text.push_str(mark);
        text.push_str(&next);
        parts += 1;
    }
    let open = chars.get(at + used).is_some_and(|c| matches!(c, '月' | '号' | '日' | '点' | '年' | '楼' | '周'));
    (parts > 1 && !open && unit_at(chars, at + used).is_none()).then_some((used, text))
}

/// 百分之三十到四十一 -> 30~41%, 百分三十, 百分百, 负的百分之二十.
fn percent_range(chars: &[char], at: usize) -> Written {
    let (lead, minus) = if starts_with(chars, at, "负的百分之") { (2, "-") } else { (0, "") };
    let start = at + lead;
    if starts_with(chars, start, "百分百") {
        return Some((lead + 3, format!("{minus}100%")));
    }
    let head = if starts_with(chars, start, "百分之") {
        3
    } else if starts_with(chars, start, "百分") && run_length(chars, start + 2) > 0 {
        2
    } else {
        return None;
    };
    let (used, first) = value_at(chars, start + head)?;
    let end = start + head + used;
    let again = if starts_with(chars, end, "到百分之") { 4 } else { usize::from(chars.get(end) == Some(&'到')) };
    if again > 0
        && let Some((more, last)) = value_at(chars, end + again)
    {
        return Some((lead + head + used + again + more, format!("{minus}{first}~{last}%")));
    }
    Some((lead + head + used, format!("{minus}{first}%")))
}

/// 每小时十公里 and 十千米每小时 -> 10km/h.
fn hourly(chars: &[char], at: usize) -> Written {
    let rate = [("每小时", "h"), ("每秒", "s"), ("每分钟", "min")];
    if let Some((word, per)) = rate.iter().find(|(word, _)| starts_with(chars, at, word)) {
        let lead = word.chars().count();
        let (used, text) = spread(chars, at + lead)?;
        let (more, symbol) = unit_at(chars, at + lead + used)?;
        return Some((lead + used + more, format!("{text}{symbol}/{per}")));
    }
    let (used, text) = spread(chars, at)?;
    let (more, symbol) = unit_at(chars, at + used)?;
    let (word, per) = rate.iter().find(|(word, _)| starts_with(chars, at + used + more, word))?;
    Some((used + more + word.chars().count(), format!("{text}{symbol}/{per}")))
}

fn unit_at(chars: &[char], at: usize) -> Option<(usize, &'static str)> {
    UNITS.iter().find(|(word, _)| starts_with(chars, at, word)).map(|(word, symbol)| (word.chars().count(), *symbol))
}

/// A number, a range with 到, or an estimate: 三五百 -> 300~500, 十五六 -> 15-6.
fn spread(chars: &[char], at: usize) -> Written {
    if at > 0 && (digit(chars[at - 1]).is_some() || unit(chars[at - 1]).is_some() || chars[at - 1] == '第') {
        return None;
    }
    if let Some(estimate) = estimate(chars, at) {
        return Some(estimate);
    }
    let (used, text) = number(chars, at)?;
    // 十千米: the thousand is the unit's
    if chars[at..at + used].last() == Some(&'千') && starts_with(chars, at + used, "米") && used > 1 {
        return cardinal(&chars[at..at + used - 1]).map(|value| (used - 1, figures(value)));
    }
    if chars.get(at + used) == Some(&'到')
        && let Some((more, last)) = number(chars, at + used + 1)
    {
        let (more, last) = trim_thousand(chars, at + used + 1, more, last);
        return Some((used + 1 + more, format!("{text}~{last}")));
    }
    Some((used, text))
}

/// 三百一十一千米: the thousand is the unit's.
fn trim_thousand(chars: &[char], at: usize, used: usize, text: String) -> (usize, String) {
    if used > 1
        && chars[at + used - 1] == '千'
        && starts_with(chars, at + used, "米")
        && let Some(value) = cardinal(&chars[at..at + used - 1])
    {
        return (used - 1, figures(value));
    }
    (used, text)
}

/// Two digits side by side that are an estimate.
fn estimate(chars: &[char], at: usize) -> Written {
    if starts_with(chars, at, "十三五规划") || starts_with(chars, at, "十四五规划") {
        return None;
    }
    let run = chars.get(at..at + run_length(chars, at))?;
    let value = |c: char| digit(c).filter(|d| *d > 0 && c != '幺');
    match run {
        // 七八, 三五百, 三四十万
        [a, b, rest @ ..] if value(*a).zip(value(*b)).is_some_and(|(a, b)| a < b) && rest.iter().all(|c| unit(*c).is_some()) => {
            let (a, b) = value(*a).zip(value(*b))?;
            let words: String = rest.iter().filter(|c| matches!(c, '万' | '亿')).collect();
            let scale: u64 = rest.iter().filter(|c| !matches!(c, '万' | '亿')).filter_map(|c| unit(*c)).product();
            let counted = unit_at(chars, at + run.len()).is_some() || currency(chars, at + run.len()).is_some();
            let alone = !rest.is_empty() || counted;
            alone.then(|| (run.len(), format!("{}~{}{words}", a * scale, b * scale)))
        }
        // 十五六, 四十五六万, 七百三四十, 一万六七
        [head @ .., unit_before, a, b] | [head @ .., unit_before, a, b, '万'] if unit(*unit_before).is_some() => {
            let (x, y) = value(*a).zip(value(*b)).filter(|(a, b)| a < b)?;
            let mut whole: Vec<char> = head.to_vec();
            whole.push(*unit_before);
            let base = cardinal(&whole)?;
            let step = unit(*unit_before)? / 10;
            let words = if run.last() == Some(&'万') { "万" } else { "" };
            if step == 1 {
                Some((run.len(), format!("{}-{y}{words}", base + x)))
            } else {
                Some((run.len(), format!("{}-{}{words}", base + x * step, y * step)))
            }
        }
        [head @ .., a, b, '十'] if head.len() >= 2 => {
            let (x, y) = value(*a).zip(value(*b)).filter(|(a, b)| a < b)?;
            cardinal(head).map(|base| (run.len(), format!("{}-{}", base + x * 10, y * 10)))
        }
        _ => None,
    }
}

fn currency(chars: &[char], at: usize) -> Option<(usize, &'static str)> {
    CURRENCIES.iter().find(|(word, _)| starts_with(chars, at, word)).map(|(word, sign)| (word.chars().count(), *sign))
}

/// A number with a currency or a unit, an estimate with nothing behind it, 角 and 分 behind 元.
fn quantity(chars: &[char], at: usize) -> Written {
    let (used, text) = spread(chars, at)?;
    if let Some((more, sign)) = currency(chars, at + used) {
        let tail = at + used + more;
        let place = |from: usize, marks: [char; 2]| {
            digit(*chars.get(from)?).filter(|_| chars.get(from + 1).is_some_and(|c| marks.contains(c)))
        };
        let tenths = place(tail, ['角', '毛']).filter(|_| sign == "¥");
        let hundredths = tenths.and_then(|_| place(tail + 2, ['分', '分']));
        return Some(match (tenths, hundredths) {
            (Some(t), Some(h)) => (used + more + 4, format!("{sign}{text}.{t}{h}")),
            (Some(t), None) => (used + more + 2, format!("{sign}{text}.{t}")),
            _ => (used + more, format!("{sign}{text}")),
        });
    }
    if let Some((more, symbol)) = unit_at(chars, at + used) {
        let compass = symbol == "°" && !text.contains(['-', '~']) && cardinal(&chars[at..at + used]).is_none();
        return (!compass).then(|| (used + more, format!("{text}{symbol}")));
    }
    estimate(chars, at)
}

/// 七十八比九十六 -> 78:96.
fn score(chars: &[char], at: usize) -> Written {
    let (used, left) = number(chars, at)?;
    let (more, right) = number(chars, at + used + 1).filter(|_| chars.get(at + used) == Some(&'比'))?;
    Some((used + 1 + more, format!("{left}:{right}")))
}

/// 正负二 -> ±2.
fn plus_minus(chars: &[char], at: usize) -> Written {
    let (used, text) = number(chars, at + 2).filter(|_| starts_with(chars, at, "正负"))?;
    Some((used + 2, format!("±{text}")))
}

/// A text that is one number and nothing else.
fn lone(chars: &[char], at: usize) -> Written {
    let (used, text) = number(chars, at)?;
    (at == 0 && used == chars.len()).then_some((used, text))
}
