//! The values of the logic: Kleene's three and, while a call goes on, *pending*.

/// The value of a condition or an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be measured.
    Na,
    /// The call goes on and a continuation may still change it.
    Pending,
}

impl Value {
    /// From a plain truth value.
    pub fn of(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

impl std::ops::Not for Value {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other,
        }
    }
}

impl Value {
    /// Kleene's and; pending stands in the place of unmeasured and is stronger than it.
    pub fn and(self, other: Self) -> Self {
        use Value::{False, Na, Pending, True};
        match (self, other) {
            (False, _) | (_, False) => False,
            (Pending, _) | (_, Pending) => Pending,
            (Na, _) | (_, Na) => Na,
            (True, True) => True,
        }
    }

    /// Kleene's or.
    pub fn or(self, other: Self) -> Self {
        !((!self).and(!other))
    }
}

/// The value of a condition on one unit (a sentence, a clause, a joined window).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitValue {
    True,
    False,
    /// Data of the sentence is absent.
    Unmeasured,
    /// An operator excludes the sentence.
    Skipped,
    /// Data may still arrive.
    Pending,
}

impl UnitValue {
    /// The value of a sentence by two of its clauses: true if one is, else unmeasured or false if one is, in this order.
    pub(crate) fn or_stronger(self, other: Self) -> Self {
        let rank = |v: Self| match v {
            Self::True => 4,
            Self::Pending => 3,
            Self::Unmeasured => 2,
            Self::False => 1,
            Self::Skipped => 0,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    pub(crate) fn of(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }

    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::True => Value::True,
            Self::False => Value::False,
            Self::Unmeasured | Self::Skipped => Value::Na,
            Self::Pending => Value::Pending,
        }
    }
}
