//! May one more voice call begin? The answer is given at once and from counters alone: a call that is taken gets all its
//! finals in time, the others can go to another node.

use crate::asr::EngineLoad;

/// Share of the decoders' time that finals may take, 0 to 1: the rest is for bursts, partials and the other stages.
const FINALS_SHARE: f64 = 0.8;
/// Channels of a call.
const CHANNELS: f64 = 2.0;

/// The limits of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Voice calls at once, whatever the load.
    pub max_calls: usize,
    /// A final that waits this long for a decoder means that the recogniser is behind, milliseconds. 0: only `max_calls`
    /// counts.
    pub max_final_wait_ms: u64,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// As many voice calls run as this node may carry.
    #[error("all {0} slots for voice calls are taken")]
    Slots(usize),
    /// Finals wait.
    #[error("the recogniser is behind: finals wait {0} ms")]
    Behind(u64),
    /// Finals would wait: the calls that run cost the decoders too much for one more.
    #[error("the recogniser carries {0} voice calls on this machine")]
    Load(usize),
}

impl Admission {
    /// So many calls, whatever the load.
    pub fn up_to(max_calls: usize) -> Self {
        Self { max_calls, max_final_wait_ms: 0 }
    }

    /// Why one more call beside those in use is refused; `None` if it may begin.
    pub fn refusal(&self, in_use: usize, load: &EngineLoad) -> Option<Refusal> {
        if in_use >= self.max_calls {
            return Some(Refusal::Slots(self.max_calls));
        }
        if self.max_final_wait_ms == 0 || in_use == 0 {
            return None;
        }
        if load.final_wait_ms >= self.max_final_wait_ms {
            return Some(Refusal::Behind(load.final_wait_ms));
        }
        let room = load.cost_per_channel.map(|cost| room(cost, load.decoders));
        room.filter(|room| in_use >= *room).map(Refusal::Load)
    }
}

/// Calls whose finals the decoders can keep up with, at least one.
fn room(cost_per_channel: f64, decoders: usize) -> usize {
    let calls = FINALS_SHARE * decoders as f64 / (CHANNELS * cost_per_channel).max(1e-6);
    (calls as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(cost: f64, wait: u64) -> EngineLoad {
        EngineLoad { decoders: 2, cost_per_channel: Some(cost), final_wait_ms: wait }
    }

    #[test]
    fn slots_then_waiting_finals_then_what_the_decoders_can_carry() {
        let admission = Admission { max_calls: 32, max_final_wait_ms: 1_000 };
        // 0.8 x 2 decoders / (2 channels x 0.05) = 16 calls.
        assert_eq!(admission.refusal(15, &load(0.05, 0)), None);
        assert_eq!(admission.refusal(16, &load(0.05, 0)), Some(Refusal::Load(16)));
        assert_eq!(admission.refusal(3, &load(0.05, 1_000)), Some(Refusal::Behind(1_000)));
        assert_eq!(admission.refusal(32, &load(0.0, 0)), Some(Refusal::Slots(32)));
    }

    #[test]
    fn nothing_known_means_the_slots_alone_and_an_idle_node_takes_a_call() {
        let admission = Admission { max_calls: 32, max_final_wait_ms: 1_000 };
        assert_eq!(admission.refusal(31, &EngineLoad::default()), None);
        assert_eq!(admission.refusal(0, &load(9.0, 60_000)), None);
        assert_eq!(Admission::up_to(2).refusal(1, &load(9.0, 60_000)), None);
    }
}
