//! From an encoding to intents, acts, conduct and entities.

use super::{Cues, Gazetteer, PatternEntity, Taxonomy, Thread, find_entities};
use crate::conversation::{Act, Conduct, Entity, IntentScore, OutOfScope};
use crate::inference::{Encoding, HeadKind, head};

/// Two intents are close, and both are taken, if their probabilities differ by less than this …
const AMBIGUOUS_MARGIN: f32 = 0.15;
/// … and the second is at least this probable.
const AMBIGUOUS_MIN: f32 = 0.25;
/// Below this probability of the best intent the utterance counts as out of scope.
const SCOPE_MIN: f32 = 0.25;
/// Least probability of an entity that only the encoder saw, where forms and names know the kind as well: on the dev rows of
/// `datasets/service-*` two of 30 such spans from 0.7 on were right.
const ENTITY_MIN: f32 = 0.95;
/// The same for the kinds of [`OPEN_KINDS`].
const ENTITY_MIN_OPEN: f32 = 0.7;
/// Kinds that no form describes in full.
const OPEN_KINDS: [&str; 2] = ["address", "person"];
/// How many intents of the ranking are given.
const RANKED: usize = 5;
const OUT_OF_SCOPE: &str = "out_of_scope";
/// Group of the intents that are no topics: yes, no, thanks, what was asked for.
const DIALOGUE: &str = "dialogue";

/// What was understood from the words alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NluReading {
    /// Ranking, best first.
    pub intents: Vec<IntentScore>,
    /// Two close intents, both selected.
    pub ambiguous: bool,
    /// Scope decision.
    pub out_of_scope: OutOfScope,
    /// Acts over their threshold.
    pub acts: Vec<Act>,
    /// Conduct over its threshold.
    pub conduct: Vec<Conduct>,
    /// Entities by start.
    pub entities: Vec<Entity>,
}

/// Reads encodings with the taxonomy of a deployment.
#[derive(Clone, Debug)]
pub struct Reader {
    taxonomy: Taxonomy,
    names: Gazetteer,
    cues: Cues,
}

impl Reader {
    /// A reader for a taxonomy.
    pub fn new(taxonomy: Taxonomy) -> Self {
        Self { taxonomy, names: Gazetteer::default(), cues: Cues::default() }
    }

    /// The same reader, which finds the names of a deployment as well.
    #[must_use]
    pub fn with_names(mut self, names: Gazetteer) -> Self {
        self.names = names;
        self
    }

    /// The same reader, which lets words speak for conduct labels.
    #[must_use]
    pub fn with_cues(mut self, cues: Cues) -> Self {
        self.cues = cues;
        self
    }

    /// The taxonomy.
    pub fn taxonomy(&self) -> &Taxonomy {
        &self.taxonomy
    }

    /// Reads one encoding of `text`. A head that the encoder lacks leaves its part empty.
    pub fn read(&self, text: &str, encoding: &Encoding) -> NluReading {
        let (intents, ambiguous, out_of_scope) = self.intents(encoding);
        let labels = |name: &str| -> Vec<(String, Option<f32>)> {
            let output = encoding.head(name);
            output.map_or_else(Vec::new, |o| o.selected().into_iter().map(|(l, p)| (l.to_owned(), Some(p))).collect())
        };
        NluReading {
            intents,
            ambiguous,
            out_of_scope,
            acts: labels("act").into_iter().map(|(label, confidence)| Act { label, confidence }).collect(),
            conduct: self.conduct(text, encoding),
            entities: entities(self.proved(text), text, encoding),
        }
    }

    /// Puts the intents of an encoded turn of the customer into the light of his turns before, and of the words that say what
    /// a turn does in a conversation; everything else stays.
    pub fn in_thread(&self, thread: &mut Thread, text: &str, encoding: &mut Encoding) {
        let intent = encoding.sentence_heads.iter_mut().find(|h| h.spec.name == head::INTENT);
        let Some(output) = intent.filter(|h| h.spec.kind == HeadKind::Softmax) else { return };
        let labels = output.spec.labels.clone();
        for (label, p) in labels.iter().zip(&mut output.probabilities) {
            *p *= self.cues.weight(head::INTENT, label, text).exp();
        }
        thread.read(text, &labels, &mut output.probabilities, |label| self.is_topic(label));
    }

    /// Whether an intent is something that a conversation can be about.
    pub fn is_topic(&self, name: &str) -> bool {
        name != OUT_OF_SCOPE && self.group(name) != DIALOGUE
    }

    /// The upper level of an intent: the taxonomy's, else what stands before `/` in the label of a head of one's own.
    fn group(&self, name: &str) -> String {
        let own = || name.split_once('/').map_or_else(String::new, |(group, _)| group.to_owned());
        self.taxonomy.get(name).map_or_else(own, |e| e.group.clone())
    }

    /// Conduct labels that hold, best first: the head's probability and the words that speak for the label.
    fn conduct(&self, text: &str, encoding: &Encoding) -> Vec<Conduct> {
        let Some(output) = encoding.head("conduct") else { return Vec::new() };
        let joined = output.labels().iter().zip(&output.probabilities).enumerate().filter_map(|(place, (label, p))| {
            let p = self.cues.joined(head::CONDUCT, label, text, *p);
            (p >= output.spec.threshold(place)).then(|| Conduct { label: label.clone(), confidence: Some(p) })
        });
        let mut held: Vec<Conduct> = joined.collect();
        held.sort_by(|a, b| b.confidence.unwrap_or(0.0).total_cmp(&a.confidence.unwrap_or(0.0)));
        held
    }

    /// Entities that a form proves, and names where no form does.
    fn proved(&self, text: &str) -> Vec<PatternEntity> {
        let mut proved = find_entities(text);
        let names = self.names.find(text);
        // 商务88套餐 is a plan, whatever the number in it looks like.
        proved.retain(|p| names.iter().all(|n| p.end <= n.start || n.end <= p.start));
        proved.extend(names);
        proved
    }

    fn intents(&self, encoding: &Encoding) -> (Vec<IntentScore>, bool, OutOfScope) {
        let Some(output) = encoding.head("intent") else {
            return (Vec::new(), false, OutOfScope::default());
        };
        let ranked = output.ranked();
        let (first, second) = (ranked.first().copied(), ranked.get(1).copied());
        let best = first.map_or(0.0, |(_, p)| p);
        let ambiguous = second.is_some_and(|(_, p)| p >= AMBIGUOUS_MIN && best - p < AMBIGUOUS_MARGIN);
        let outside = first.is_none_or(|(label, p)| label == OUT_OF_SCOPE || p < SCOPE_MIN);
        let confidence = output.probability(OUT_OF_SCOPE).map(|p| if outside { p.max(1.0 - best) } else { p });
        let also: Vec<&str> = output.selected().into_iter().map(|(label, _)| label).collect();
        let scores = ranked
            .iter()
            .take(RANKED)
            .enumerate()
            .map(|(place, &(name, p))| IntentScore {
                name: name.to_owned(),
                group: self.group(name),
                confidence: Some(p),
                selected: !outside && name != OUT_OF_SCOPE && (place == 0 || (place == 1 && ambiguous) || also.contains(&name)),
            })
            .collect();
        (scores, ambiguous && !outside, OutOfScope { flag: outside, confidence })
    }
}

fn least(kind: &str) -> f32 {
    if OPEN_KINDS.contains(&kind) { ENTITY_MIN_OPEN } else { ENTITY_MIN }
}

/// Whether a place begins or ends in the middle of a number or Latin word: then the tag means only a part of it.
fn cuts_a_run(points: &[char], start: usize, end: usize) -> bool {
    let inside =
        |at: usize| at > 0 && at < points.len() && points[at - 1].is_ascii_alphanumeric() && points[at].is_ascii_alphanumeric();
    inside(start) || inside(end)
}

/// Entities tagged by the encoder and those proved by a pattern; where both claim a place, the pattern stays.
fn entities(proved: Vec<PatternEntity>, text: &str, encoding: &Encoding) -> Vec<Entity> {
    let points: Vec<char> = text.chars().collect();
    let free = |start: usize, end: usize| proved.iter().all(|p| end <= p.start || p.end <= start);
    let mut all: Vec<Entity> = encoding
        .entities()
        .into_iter()
        .filter(|tag| tag.start < tag.end && tag.end <= points.len() && free(tag.start, tag.end))
        .filter(|tag| tag.probability >= least(&tag.kind) && !cuts_a_run(&points, tag.start, tag.end))
        .map(|tag| {
            let surface: String = points[tag.start..tag.end].iter().collect();
            Entity {
                value: surface.clone(),
                text: surface,
                kind: tag.kind,
                start: tag.start,
                end: tag.end,
                confidence: Some(tag.probability),
            }
        })
        .collect();
    all.extend(proved.iter().map(|p| Entity {
        kind: p.kind.to_owned(),
        text: p.text.clone(),
        value: p.value.clone(),
        start: p.start,
        end: p.end,
        confidence: Some(1.0),
    }));
    all.sort_by_key(|entity| (entity.start, entity.end));
    all
}
