//! What was understood of one utterance: the data of `utterance.understood`.

use serde::{Deserialize, Serialize};

use super::{EmotionScore, EntitySpan, Named, Turn, UtteranceId};

/// One intent of the ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IntentScore {
    /// Intent id of the taxonomy.
    pub name: String,
    /// The upper level.
    pub group: String,
    /// Calibrated probability in [0, 1], `None` when not calibrated.
    pub confidence: Option<f32>,
    /// Whether the utterance is taken to mean it.
    pub selected: bool,
}

/// Whether an utterance is nothing that a service desk handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OutOfScope {
    /// The decision.
    pub flag: bool,
    /// Probability in [0, 1].
    pub confidence: Option<f32>,
}

/// An entity in the text; positions are code points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entity {
    /// Kind, from the closed list.
    #[serde(rename = "type")]
    pub kind: String,
    /// Surface text.
    pub text: String,
    /// Normalised value.
    pub value: String,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
    /// Probability in [0, 1], `None` when not calibrated.
    pub confidence: Option<f32>,
}

/// Emotion of one utterance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmotionReading {
    /// The most probable label.
    pub label: String,
    /// 5 x sum p(label) v(label), in [-5, 5].
    pub valence: f32,
    /// Arousal from the voice in [0, 1]; `None` for text and for too short speech.
    pub arousal: Option<f32>,
    /// Probability of the label in [0, 1].
    pub confidence: Option<f32>,
    /// Which sources spoke.
    pub sources: EmotionSources,
}

/// Which sources an emotion reading rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EmotionSources {
    /// The words.
    pub text: bool,
    /// The voice.
    pub acoustic: bool,
}

/// A dialogue act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Act {
    /// From the closed list.
    pub label: String,
    /// Probability in [0, 1].
    pub confidence: Option<f32>,
}

/// A conduct label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conduct {
    /// From the closed list.
    pub label: String,
    /// Probability in [0, 1].
    pub confidence: Option<f32>,
}

/// Features of the voice over one utterance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VoiceReading {
    /// Mean level of the voiced part, dB above the calibrated floor, 0 to 110.
    pub energy_db: Option<f32>,
    /// Median fundamental frequency in hertz.
    pub pitch_hz: Option<f32>,
    /// Characters or words per minute.
    pub rate_per_min: Option<f32>,
}

/// Everything understood of one utterance by one pass of the encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Understanding {
    /// The utterance.
    pub utterance_id: UtteranceId,
    /// Ranked intents, best first; empty for roles whose intents are not read.
    pub intents: Vec<IntentScore>,
    /// Two close intents, both selected.
    pub ambiguous: bool,
    /// Out-of-scope decision.
    pub out_of_scope: OutOfScope,
    /// Entities, by start.
    pub entities: Vec<Entity>,
    /// Emotion, `None` if its head is absent.
    pub emotion: Option<EmotionReading>,
    /// Dialogue acts above their threshold.
    pub acts: Vec<Act>,
    /// Conduct labels above their threshold.
    pub conduct: Vec<Conduct>,
    /// Voice features, `None` for text.
    pub voice: Option<VoiceReading>,
    /// Ids and versions of the models that spoke.
    pub models: Vec<String>,
}

impl Understanding {
    /// The intent the utterance is taken to mean, if any.
    pub fn top_intent(&self) -> Option<&IntentScore> {
        self.intents.iter().find(|intent| intent.selected)
    }

    /// Writes the annotations into a turn of the interchange form. A name that is both an act and a conduct
    /// label keeps the higher score; a `None` confidence leaves the label out (it was not computed).
    pub fn annotate(&self, turn: Turn) -> Turn {
        let intents = self.intents.iter().filter_map(|i| named(&i.name, i.confidence)).collect();
        let mut labels: Vec<Named> = Vec::new();
        let conduct = self.conduct.iter().filter_map(|c| named(&c.label, c.confidence));
        let acts = self.acts.iter().filter_map(|a| named(&a.label, a.confidence));
        for label in conduct.chain(acts) {
            match labels.iter_mut().find(|known| known.name == label.name) {
                Some(known) => known.score = known.score.max(label.score),
                None => labels.push(label),
            }
        }
        let emotion = self.emotion.as_ref().and_then(|e| {
            let score = f64::from(e.confidence?);
            Some(EmotionScore { name: e.label.clone(), score, valence: Some(f64::from(e.valence)) })
        });
        let entities = self
            .entities
            .iter()
            .map(|e| EntitySpan {
                kind: e.kind.clone(),
                value: e.value.clone(),
                start: e.start,
                end: e.end,
                score: f64::from(e.confidence.unwrap_or(1.0)),
            })
            .collect();
        Turn {
            intents: Some(intents),
            emotion,
            labels: Some(labels),
            entities: Some(entities),
            energy_db: self.voice.and_then(|v| v.energy_db).map(f64::from),
            ..turn
        }
    }
}

fn named(name: &str, confidence: Option<f32>) -> Option<Named> {
    confidence.map(|c| Named { name: name.to_owned(), score: f64::from(c) })
}
