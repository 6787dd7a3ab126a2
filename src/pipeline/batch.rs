//! Finished conversations: what is missing of their annotations is computed, as in the live flow.

use super::{PipelineError, Stages};
use crate::conversation::{Conversation, Role, Turn, UtteranceId};
use crate::nlu::Thread;

/// Adds annotations to every turn that has none; turns that were annotated before stay as they are.
/// Blank turns are no sentences and stay bare.
///
/// # Errors
/// The encoder failed.
pub fn annotate(stages: &Stages, conversation: Conversation) -> Result<Conversation, PipelineError> {
    let bare = |turn: &Turn| turn.intents.is_none() && turn.labels.is_none() && !turn.text.trim().is_empty();
    let texts: Vec<String> = conversation.turns.iter().filter(|t| bare(t)).map(|t| t.text.clone()).collect();
    let mut encodings = stages.encoder.encode_batch(texts)?.into_iter();
    let mut turns = Vec::with_capacity(conversation.turns.len());
    let mut thread = Thread::default();
    for turn in conversation.turns {
        let encoding = if bare(&turn) { encodings.next() } else { None };
        turns.push(match encoding {
            None => turn,
            Some(mut encoding) => {
                if matches!(turn.role, Role::Customer | Role::Unknown) {
                    stages.reader.in_thread(&mut thread, &turn.text, &mut encoding);
                }
                let id = UtteranceId::from(turn.id.as_deref().unwrap_or_default());
                let energy_db = turn.energy_db;
                let understanding = stages.read(&id, turn.role, &turn.text, &encoding, None, None);
                let annotated = understanding.annotate(turn);
                Turn { energy_db: annotated.energy_db.or(energy_db), ..annotated }
            }
        });
    }
    Ok(Conversation { turns, ..conversation })
}
