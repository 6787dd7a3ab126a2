//! The parties on a channel that they share: a label and a role for each utterance, and what later ones correct.

use std::collections::BTreeMap;

use super::desk::Desk;
use crate::conversation::{Direction, Language, Role, UtteranceId};
use crate::event::{Draft, EventBody, ReviseCause, TranscriptRevised};
use crate::speaker::{Diarizer, MAX_SPEAKERS, RoleEvidence, SpeakerEmbedding, agent_evidence, name_roles};

/// Labels on the wire.
const LABELS: [&str; MAX_SPEAKERS] = ["speaker-1", "speaker-2"];

/// One utterance of a shared channel.
#[derive(Debug)]
struct Spoken {
    utterance_id: UtteranceId,
    start_ms: i64,
    /// Evidence that an agent said it, natural log odds.
    agent: f32,
    revision: u32,
    label: usize,
}

/// One shared channel.
#[derive(Debug, Default)]
struct Shared {
    diarizer: Diarizer,
    spoken: Vec<Spoken>,
    roles: [Role; MAX_SPEAKERS],
}

/// An utterance that turned out to be another speaker's.
#[derive(Debug, PartialEq)]
struct Moved {
    utterance_id: UtteranceId,
    revision: u32,
    label: usize,
}

/// What is new about the parties of a channel.
#[derive(Debug, Default)]
pub(super) struct Corrections {
    at_ms: i64,
    moved: Vec<Moved>,
    /// Label, role, and from when on.
    named: Vec<(usize, Role, i64)>,
}

/// All shared channels of a call.
#[derive(Debug, Default)]
pub(super) struct Parties {
    channels: BTreeMap<u16, Shared>,
}

impl Parties {
    /// Takes an utterance of a shared channel: its label, its role as far as it is known, and what it corrects.
    pub(super) fn take(
        &mut self,
        channel: u16,
        utterance: (&UtteranceId, i64),
        voice: SpeakerEmbedding,
        text: (&str, Language),
        direction: Direction,
    ) -> (String, Role, Corrections) {
        let shared = self.channels.entry(channel).or_default();
        let changed = shared.diarizer.take(voice);
        let label = shared.diarizer.labels().last().copied().unwrap_or(0);
        shared.spoken.push(Spoken {
            utterance_id: utterance.0.clone(),
            start_ms: utterance.1,
            agent: agent_evidence(text.0, text.1, []),
            revision: 1,
            label,
        });
        let moved = changed.into_iter().filter_map(|turn| shared.move_turn(turn)).collect();
        let named = shared.name(direction, Some(label));
        let role = shared.roles[label];
        (LABELS[label].to_owned(), role, Corrections { at_ms: utterance.1, moved, named })
    }

    /// Takes the acts that were read in an utterance; they may say more about who is who.
    pub(super) fn read(&mut self, utterance: &UtteranceId, acts: &[&str], direction: Direction) -> Corrections {
        let Some((shared, place)) = self.channels.values_mut().find_map(|shared| {
            let place = shared.spoken.iter().rposition(|spoken| spoken.utterance_id == *utterance)?;
            Some((shared, place))
        }) else {
            return Corrections::default();
        };
        shared.spoken[place].agent += agent_evidence("", Language::Zh, acts.iter().copied());
        Corrections { at_ms: shared.spoken[place].start_ms, moved: Vec::new(), named: shared.name(direction, None) }
    }

    /// The role of a speaker by his label.
    fn role_of(&self, utterance: &UtteranceId) -> Option<(usize, Role)> {
        let spoken = |shared: &Shared| {
            let found = shared.spoken.iter().find(|spoken| spoken.utterance_id == *utterance)?;
            Some((found.label, shared.roles[found.label]))
        };
        self.channels.values().find_map(spoken)
    }

    /// Corrections as events; the desk learns them.
    pub(super) fn tell(&self, corrections: Corrections, desk: &mut Desk) -> Vec<Draft> {
        let Corrections { at_ms, moved, named } = corrections;
        let mut drafts = Vec::new();
        for (label, role, applies_from_ms) in named {
            let body = EventBody::SpeakerUpdated { speaker: LABELS[label].into(), role, role_confidence: None, applies_from_ms };
            drafts.push(Draft::new(at_ms, body));
            drafts.extend(desk.set_role(LABELS[label], role, applies_from_ms));
        }
        for Moved { utterance_id, revision, label } in moved {
            let role = self.role_of(&utterance_id).map_or(Role::Unknown, |(_, role)| role);
            let Some((utterance, follows)) = desk.set_speaker(&utterance_id, LABELS[label], role) else { continue };
            let revised = TranscriptRevised {
                utterance_id,
                revision,
                cause: ReviseCause::RoleFix,
                role,
                speaker: Some(LABELS[label].into()),
                start_ms: utterance.span.start_ms,
                end_ms: utterance.span.end_ms,
                text: utterance.text,
                redactions: Vec::new(),
            };
            drafts.push(Draft::new(at_ms, EventBody::TranscriptRevised(revised)));
            drafts.extend(follows);
        }
        drafts
    }
}

impl Shared {
    fn move_turn(&mut self, turn: usize) -> Option<Moved> {
        let label = self.diarizer.labels().get(turn).copied()?;
        let spoken = self.spoken.get_mut(turn)?;
        spoken.label = label;
        spoken.revision += 1;
        Some(Moved { utterance_id: spoken.utterance_id.clone(), revision: spoken.revision, label })
    }

    /// Names the roles anew; gives the speakers of whom finals are out with another role, or with none. `current` is the speaker
    /// of a final that is not out yet: his first one carries his role itself.
    fn name(&mut self, direction: Direction, current: Option<usize>) -> Vec<(usize, Role, i64)> {
        let mut evidence: [RoleEvidence; MAX_SPEAKERS] = Default::default();
        let mut first_ms = [None; MAX_SPEAKERS];
        for spoken in &self.spoken {
            evidence[spoken.label].agent += spoken.agent;
            evidence[spoken.label].utterances += 1;
            first_ms[spoken.label].get_or_insert(spoken.start_ms);
        }
        let roles = name_roles(&evidence, direction);
        let before = std::mem::replace(&mut self.roles, roles);
        (0..MAX_SPEAKERS)
            .filter(|&label| before[label] != roles[label] && roles[label] != Role::Unknown)
            .filter_map(|label| {
                let news = current != Some(label) || evidence[label].utterances > 1;
                first_ms[label].filter(|_| news).map(|from| (label, roles[label], from))
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "parties_tests.rs"]
mod tests;
