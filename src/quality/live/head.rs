//! What is learned of a running conversation besides its sentences: its head changes, and who said what.

use super::{LiveChange, LiveEvaluator};
use crate::conversation::{Conversation, Turn};

impl LiveEvaluator {
    /// Everything but the turns is known better now: a hold, a queue, an agent. A hold that goes on ends at `i64::MAX`. Turns,
    /// `duration_ms` and `hangup_by` are ignored; the language stays that of the begin. All rules are looked at anew.
    pub fn set_head(&mut self, head: &Conversation) -> Vec<LiveChange> {
        let language = self.head.language.clone();
        let head = Conversation { turns: Vec::new(), duration_ms: None, hangup_by: None, language, ..head.clone() };
        if self.head == head {
            return Vec::new();
        }
        self.head = head;
        self.forget();
        self.update()
    }

    /// Final sentences are known better now: another role, another speaker. All rules are looked at anew, once for all of them.
    pub fn replace_turns(&mut self, turns: Vec<(String, Turn)>) -> Vec<LiveChange> {
        if turns.is_empty() {
            return Vec::new();
        }
        for (key, turn) in turns {
            self.insert(&key, turn, true);
        }
        self.update()
    }

    /// The head if the call ended now: a hold that goes on ends with it.
    pub(super) fn head_as_ended(&self) -> Conversation {
        let clock = self.effective_clock();
        let until_now =
            |holds: &Vec<[i64; 2]>| holds.iter().filter(|[a, _]| *a < clock).map(|[a, b]| [*a, (*b).min(clock)]).collect();
        Conversation { hold: self.head.hold.as_ref().map(until_now), ..self.head.clone() }
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
