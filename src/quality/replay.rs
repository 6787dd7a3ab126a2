//! A stored conversation heard up to a moment: what conformance vectors and rule tests ask of the live engine.

use std::sync::Arc;

use super::live::LiveEvaluator;
use super::models::Models;
use super::ruleset::{RuleSet, RuleState};
use crate::conversation::Conversation;

impl LiveEvaluator {
    /// The state of a rule when a live engine has heard a conversation up to `at_ms`: every turn that has ended
    /// by then is final and annotated, turns that have begun are running, and the call has ended if `at_ms`
    /// reaches `duration_ms`.
    pub fn state_at(set: &RuleSet, rule: usize, conversation: &Conversation, at_ms: i64, models: &Models) -> (RuleState, bool) {
        let only = Arc::new(RuleSet::compile(vec![set.rules()[rule].clone()]));
        let mut live = Self::new(only, conversation, models.clone());
        live.feed(conversation, at_ms);
        if conversation.duration_ms.is_some_and(|d| at_ms >= d) {
            for (index, turn) in conversation.turns.iter().enumerate() {
                live.insert(&index.to_string(), turn.clone(), true);
            }
            live.end(conversation.duration_ms, conversation.hangup_by);
        } else {
            live.advance_clock(at_ms);
        }
        live.state(0)
    }

    /// Marks and inserts, without looking at rules, what of a conversation is known at a moment.
    fn feed(&mut self, conversation: &Conversation, at_ms: i64) {
        for (index, turn) in conversation.turns.iter().enumerate() {
            let Some(start) = turn.start_ms.filter(|s| *s <= at_ms) else { continue };
            self.mark_running(&index.to_string(), start);
        }
        for (index, turn) in conversation.turns.iter().enumerate() {
            let key = index.to_string();
            let heard = turn.start_ms.is_some_and(|s| turn.end_ms.unwrap_or(s) <= at_ms);
            if heard && !self.is_final(&key) {
                self.insert(&key, turn.clone(), true);
            }
        }
    }
}
