//! The course of emotion over a conversation and what it forebodes.

use std::collections::BTreeMap;

use crate::conversation::Role;

/// Weight of the newest utterance in the trend.
const NEWEST: f32 = 0.4;
/// Valence from which on an utterance counts as clearly negative.
const NEGATIVE: f32 = -2.0;

/// Emotion over a conversation, updated per utterance.
#[derive(Clone, Debug, Default)]
pub struct Course {
    trend: BTreeMap<Role, f32>,
    customer_first: Option<f32>,
    customer_last: f32,
    lowest: f32,
    negative_streak: u32,
    threats: u32,
    asks_supervisor: bool,
    abuse: bool,
    thanked: bool,
}

impl Course {
    /// Takes in one utterance: its valence in [-5, 5] and its conduct labels.
    pub fn observe(&mut self, role: Role, valence: f32, conduct: &[&str]) {
        let trend = self.trend.entry(role).or_insert(valence);
        *trend += NEWEST * (valence - *trend);
        if role != Role::Customer {
            return;
        }
        self.customer_first.get_or_insert(valence);
        self.customer_last = valence;
        self.lowest = self.lowest.min(valence);
        self.negative_streak = if valence <= NEGATIVE { self.negative_streak + 1 } else { 0 };
        self.threats += conduct.iter().filter(|c| matches!(**c, "complaint_threat" | "media_threat")).count() as u32;
        self.asks_supervisor |= conduct.contains(&"asks_supervisor");
        self.abuse |= conduct.contains(&"abuse");
        self.thanked = valence >= 2.0;
    }

    /// Weighted mean valence per role, by role name.
    pub fn trend(&self) -> BTreeMap<String, f32> {
        self.trend.iter().map(|(role, v)| (role.name().to_owned(), *v)).collect()
    }

    /// Clearly negative utterances of the customer (valence <= -2) in a row, up to now.
    pub fn negative_streak(&self) -> u32 {
        self.negative_streak
    }

    /// Risk in [0, 1] that the customer escalates:
    /// the logistic function of -2.6 - 0.7 t + 0.6 s + 1.8 min(threats, 2) + 1.4 \[asks for a supervisor\] + 1.0 \[abuse\],
    /// t = the customer's trend (-5 to 5), s = the number of clearly negative utterances (valence <= -2) in a row.
    pub fn escalation(&self) -> f32 {
        let trend = self.trend.get(&Role::Customer).copied().unwrap_or(0.0);
        let x = -2.6 - 0.7 * trend
            + 0.6 * self.negative_streak.min(4) as f32
            + 1.8 * self.threats.min(2) as f32
            + 1.4 * f32::from(u8::from(self.asks_supervisor))
            + f32::from(u8::from(self.abuse));
        1.0 / (1.0 + (-x).exp())
    }

    /// Satisfaction 1 to 5 that the customer would state now:
    /// 3.4 + 0.30 t + 0.15 (last - first) + 0.08 lowest - 1.2 escalation + 0.5 \[last utterance clearly positive\], cut to [1, 5].
    pub fn predicted_satisfaction(&self) -> f32 {
        let trend = self.trend.get(&Role::Customer).copied().unwrap_or(0.0);
        let course = self.customer_last - self.customer_first.unwrap_or(self.customer_last);
        let x = 3.4 + 0.30 * trend + 0.15 * course + 0.08 * self.lowest - 1.2 * self.escalation()
            + 0.5 * f32::from(u8::from(self.thanked));
        x.clamp(1.0, 5.0)
    }
}
