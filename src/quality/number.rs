//! Exact numbers: decimals of rules and annotations, and fractions of them. Nothing is rounded before a
//! comparison, so 0.1 is 1/10 and 38 characters in 12 s are exactly 190 a minute.

use std::cmp::Ordering;

/// A fraction of whole numbers; the denominator is above zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    num: i128,
    den: i128,
}

impl Ratio {
    pub(crate) const ZERO: Self = Self { num: 0, den: 1 };

    pub(crate) fn int(value: i64) -> Self {
        Self { num: i128::from(value), den: 1 }
    }

    /// `num / den`; `None` if `den` is zero.
    pub(crate) fn new(num: i128, den: i128) -> Option<Self> {
        match den.cmp(&0) {
            Ordering::Equal => None,
            Ordering::Less => Some(Self { num: -num, den: -den }.reduced()),
            Ordering::Greater => Some(Self { num, den }.reduced()),
        }
    }

    /// Reads a plain decimal such as `-12.50`; an exponent is allowed within ±30.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && fraction.is_empty()) || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut num: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            num = num.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let scale = exponent - i32::try_from(fraction.len()).ok()?;
        if scale.abs() > 30 {
            return None;
        }
        let power = 10_i128.pow(scale.unsigned_abs());
        let value = if scale >= 0 { Self { num: num.checked_mul(power)?, den: 1 } } else { Self { num, den: power } };
        Some(if negative { Self { num: -value.num, ..value } } else { value }.reduced())
    }

    /// The shortest decimal that reads back as this binary number: what its author wrote.
    pub(crate) fn of_f64(value: f64) -> Option<Self> {
        Self::parse(&value.to_string())
    }

    pub(crate) fn of_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// The least whole number that is at least this share of `whole`; 0 for what is below zero.
    pub(crate) fn ceil_of(self, whole: usize) -> usize {
        let whole = i128::try_from(whole).unwrap_or(i128::MAX);
        let part = self.num.saturating_mul(whole);
        let up = part.div_euclid(self.den) + i128::from(part.rem_euclid(self.den) != 0);
        usize::try_from(up.max(0)).unwrap_or(usize::MAX)
    }

    fn reduced(self) -> Self {
        if self.den == 1 {
            return self;
        }
        // Nearly all numbers fit, and division of 128 bits costs several times as much.
        if let (Ok(num), Ok(den)) = (u64::try_from(self.num.unsigned_abs()), u64::try_from(self.den)) {
            let (mut a, mut b) = (num, den);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            let (num, den) = (i128::from(num / a.max(1)), i128::from(den / a.max(1)));
            return Self { num: if self.num < 0 { -num } else { num }, den };
        }
        let (mut a, mut b) = (self.num.unsigned_abs(), self.den.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        match i128::try_from(a) {
            Ok(divisor) if divisor > 1 => Self { num: self.num / divisor, den: self.den / divisor },
            _ => self,
        }
    }

    pub(crate) fn to_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    pub(crate) fn floor(self) -> i128 {
        self.num.div_euclid(self.den)
    }

    /// The sum; falls back to binary numbers where 128 bits do not suffice.
    pub(crate) fn plus(self, other: Self) -> Self {
        let exact = || {
            let num = self.num.checked_mul(other.den)?.checked_add(other.num.checked_mul(self.den)?)?;
            Some(Self { num, den: self.den.checked_mul(other.den)? }.reduced())
        };
        exact().unwrap_or_else(|| Self::approximate(self.to_f64() + other.to_f64()))
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.plus(Self { num: -other.num, den: other.den })
    }

    pub(crate) fn times(self, other: Self) -> Self {
        let exact = || Some(Self { num: self.num.checked_mul(other.num)?, den: self.den.checked_mul(other.den)? }.reduced());
        exact().unwrap_or_else(|| Self::approximate(self.to_f64() * other.to_f64()))
    }

    /// The quotient; `None` if `other` is zero.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        Some(self.times(Self::new(other.den, other.num)?))
    }

    fn approximate(value: f64) -> Self {
        Self { num: (value * 1e6).round() as i128, den: 1_000_000 }.reduced()
    }

    /// Rounded to two decimals, halves up.
    pub(crate) fn to_hundredths(self) -> f64 {
        let hundredths = self.times(Self::int(100)).plus(Self { num: 1, den: 2 }).floor();
        hundredths as f64 / 100.0
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ratio {}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.num.checked_mul(other.den), other.num.checked_mul(self.den)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

/// The least score that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Least {
    exact: Ratio,
    near: f64,
}

impl Least {
    pub(crate) fn new(exact: Ratio) -> Self {
        Self { exact, near: exact.to_f64() }
    }

    /// Whether a score is at least this. Far from the border the binary numbers decide; near it the decimals do.
    pub(crate) fn reached(self, score: f64) -> bool {
        let over = score - self.near;
        if over.abs() > 1e-6 && score.is_finite() {
            return over > 0.0;
        }
        Ratio::of_f64(score).is_some_and(|score| score >= self.exact)
    }
}

/// A table of `gt ge lt le eq ne`; all given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) gt: Option<Ratio>,
    pub(crate) ge: Option<Ratio>,
    pub(crate) lt: Option<Ratio>,
    pub(crate) le: Option<Ratio>,
    pub(crate) eq: Option<Ratio>,
    pub(crate) ne: Option<Ratio>,
}

impl Bounds {
    pub(crate) const KEYS: [&'static str; 6] = ["gt", "ge", "lt", "le", "eq", "ne"];

    pub(crate) fn at_least(value: i64) -> Self {
        Self { ge: Some(Ratio::int(value)), ..Self::default() }
    }

    pub(crate) fn slot(&mut self, key: &str) -> Option<&mut Option<Ratio>> {
        match key {
            "gt" => Some(&mut self.gt),
            "ge" => Some(&mut self.ge),
            "lt" => Some(&mut self.lt),
            "le" => Some(&mut self.le),
            "eq" => Some(&mut self.eq),
            "ne" => Some(&mut self.ne),
            _ => None,
        }
    }

    pub(crate) fn hold(&self, value: Ratio) -> bool {
        self.gt.is_none_or(|b| value > b)
            && self.ge.is_none_or(|b| value >= b)
            && self.lt.is_none_or(|b| value < b)
            && self.le.is_none_or(|b| value <= b)
            && self.eq.is_none_or(|b| value == b)
            && self.ne.is_none_or(|b| value != b)
    }

    /// Whether growing values, once inside, stay inside: only `gt` and `ge`.
    pub(crate) fn only_lower(&self) -> bool {
        self.lt.is_none() && self.le.is_none() && self.eq.is_none() && self.ne.is_none()
    }
}
