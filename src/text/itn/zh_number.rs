//! Chinese numerals: digit strings and cardinals.

/// The value of a digit character, spoken variants included (两, 幺).
pub(super) fn digit(c: char) -> Option<u64> {
    Some(match c {
        '零' | '〇' => 0,
        '一' | '幺' | '壹' => 1,
        '二' | '两' | '贰' => 2,
        '三' | '叁' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' => 6,
        '七' | '柒' => 7,
        '八' | '捌' => 8,
        '九' | '玖' => 9,
        _ => return None,
    })
}

/// The value of a multiplier character.
pub(super) fn unit(c: char) -> Option<u64> {
    Some(match c {
        '十' | '拾' => 10,
        '百' | '佰' => 100,
        '千' | '仟' => 1000,
        '万' => 10_000,
        '亿' => 100_000_000,
        _ => return None,
    })
}

/// How many characters from `at` on are numerals.
pub(super) fn run_length(chars: &[char], at: usize) -> usize {
    chars[at.min(chars.len())..].iter().take_while(|c| digit(**c).is_some() || unit(**c).is_some()).count()
}

/// How many characters from `at` on are digits.
pub(super) fn digit_length(chars: &[char], at: usize) -> usize {
    chars[at.min(chars.len())..].iter().take_while(|c| digit(**c).is_some()).count()
}

/// The digits of a digit string, `None` if it holds anything else or nothing.
pub(super) fn digits(run: &[char]) -> Option<String> {
    if run.is_empty() {
        return None;
    }
    run.iter().map(|c| digit(*c).and_then(|d| char::from_digit(u32::try_from(d).ok()?, 10))).collect()
}

/// The value of a cardinal as people say them: 一百二十, 两千零五, 一百一 (110), 三万五 (35000), 十二. A single digit is
/// one too. `None` for anything that is not one whole number, such as 三四十 or 三百九十九三.
pub(super) fn cardinal(run: &[char]) -> Option<u64> {
    split_at_unit(run, '亿', 100_000_000, |part| split_at_unit(part, '万', 10_000, section))
}

fn split_at_unit(run: &[char], mark: char, scale: u64, lower: impl Fn(&[char]) -> Option<u64>) -> Option<u64> {
    let Some(at) = run.iter().position(|c| *c == mark) else {
        return lower(run);
    };
    let (high, low) = (lower(&run[..at])?, &run[at + 1..]);
    if high == 0 || low.contains(&mark) {
        return None;
    }
    let rest = match low {
        [] => 0,
        [single] => digit(*single).filter(|d| *d > 0)? * (scale / 10), // 三万五
        ['零' | '〇', rest @ ..] => lower(rest).filter(|value| *value < scale)?,
        rest => lower(rest).filter(|value| *value < scale)?,
    };
    high.checked_mul(scale)?.checked_add(rest)
}

/// A number below ten thousand.
fn section(run: &[char]) -> Option<u64> {
    let (mut value, mut last_unit, mut pending, mut zero) = (0, 10_000, None, false);
    for (position, &c) in run.iter().enumerate() {
        if let Some(this) = unit(c) {
            if this >= last_unit {
                return None;
            }
            let count = match pending.take() {
                Some(count) => count,
                None if this == 10 && (position == 0 || zero) => 1,
                None => return None,
            };
            value += count * this;
            last_unit = this;
            zero = false;
        } else {
            let digit = digit(c).filter(|_| c != '幺' && pending.is_none())?;
            if digit > 0 {
                pending = Some(digit);
            } else if zero || (position == 0 && run.len() > 1) {
                return None;
            } else {
                zero = true;
            }
        }
    }
    match pending {
        Some(digit) if last_unit == 10_000 || last_unit == 10 || zero => Some(value + digit),
        Some(digit) => Some(value + digit * (last_unit / 10)), // 一百一
        None if zero => (run.len() == 1).then_some(0),
        None => (!run.is_empty()).then_some(value),
    }
}

/// A cardinal in figures. From 100,000 on, 万 and 亿 stay as words if that is shorter: 15万, 101111, 1亿2300.
pub(super) fn figures(value: u64) -> String {
    if value < 100_000 || (value < 1_000_000 && !value.is_multiple_of(10_000)) {
        return value.to_string();
    }
    let (hundred_millions, rest) = (value / 100_000_000, value % 100_000_000);
    let (ten_thousands, ones) = (rest / 10_000, rest % 10_000);
    let part = |count: u64, mark: &str| if count == 0 { String::new() } else { format!("{count}{mark}") };
    format!("{}{}{}", part(hundred_millions, "亿"), part(ten_thousands, "万"), part(ones, ""))
}
