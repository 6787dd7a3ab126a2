//! What is worth showing, and when.

use std::collections::{BTreeSet, HashMap};

use super::{Citation, Suggestion, SuggestionKind, SuggestionTrigger, TemplateBook, Why};
use crate::conversation::{IdKind, Language, Understanding, UtteranceId, new_id};
use crate::knowledge::PassageHit;
use crate::text::segment;

/// When suggestions are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdvisorConfig {
    /// Least score in [0, 1] of a passage that is shown.
    pub min_score: f32,
    /// The same thing is not shown again for this long, milliseconds of the call.
    pub cool_down_ms: i64,
    /// Most passages per utterance.
    pub per_utterance: usize,
    /// How long a suggestion is of use, milliseconds of the call.
    pub useful_ms: i64,
}

impl Default for AdvisorConfig {
    fn default() -> Self {
        Self { min_score: 0.5, cool_down_ms: 60_000, per_utterance: 1, useful_ms: 45_000 }
    }
}

/// The utterance that suggestions are made for.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The utterance.
    pub utterance_id: &'a UtteranceId,
    /// Place in the recording at its end.
    pub at_ms: i64,
    /// Language to answer in.
    pub language: Language,
    /// What was understood of it.
    pub understanding: &'a Understanding,
}

/// What the knowledge base found for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// Passages, best first.
    pub passages: &'a [PassageHit],
    /// Intent that was searched for.
    pub intent: Option<&'a str>,
    /// Parts of the search that were left out.
    pub degraded: &'a [String],
}

/// The state of one conversation: what was shown, and when.
#[derive(Clone, Debug)]
pub struct Advisor {
    config: AdvisorConfig,
    templates: TemplateBook,
    shown_at_ms: HashMap<String, i64>,
    open: Vec<Open>,
}

/// An answer on the screen.
#[derive(Clone, Debug)]
struct Open {
    suggestion_id: String,
    words: BTreeSet<String>,
    useful_until_ms: i64,
}

/// Share of the words of an answer that the agent has to say before it is taken off the screen.
const SAID_SHARE: f32 = 0.5;

impl Advisor {
    /// An advisor for a new conversation.
    pub fn new(config: AdvisorConfig, templates: TemplateBook) -> Self {
        Self { config, templates, shown_at_ms: HashMap::new(), open: Vec::new() }
    }

    /// How many different things were shown.
    pub fn shown(&self) -> usize {
        self.shown_at_ms.len()
    }

    /// Suggestions for a moment: a calmer wording if the customer's emotion or conduct asks for one, and passages that
    /// answer what was asked.
    pub fn suggest(&mut self, moment: Moment<'_>, found: Found<'_>) -> Vec<Suggestion> {
        let mut suggestions = Vec::new();
        suggestions.extend(self.tone(moment));
        let mut taken = 0;
        for hit in found.passages {
            if taken == self.config.per_utterance || hit.score < self.config.min_score {
                break;
            }
            if !self.may_show(&hit.document_id, moment.at_ms) {
                continue;
            }
            taken += 1;
            suggestions.push(self.passage(moment, found, hit));
        }
        suggestions
    }

    /// The agent said something: the answers that it contains need not be on the screen any more.
    pub fn agent_said(&mut self, text: &str, at_ms: i64) -> Vec<String> {
        self.open.retain(|open| open.useful_until_ms >= at_ms);
        let said = content_words(text);
        let contained = |open: &Open| {
            let common = open.words.iter().filter(|word| said.contains(*word)).count();
            open.words.len() >= 2 && common as f32 >= SAID_SHARE * open.words.len() as f32
        };
        let (gone, open) = std::mem::take(&mut self.open).into_iter().partition(contained);
        self.open = open;
        gone.into_iter().map(|open: Open| open.suggestion_id).collect()
    }

    fn may_show(&mut self, key: &str, at_ms: i64) -> bool {
        let fresh = self.shown_at_ms.get(key).is_none_or(|shown| at_ms - shown >= self.config.cool_down_ms);
        if fresh {
            self.shown_at_ms.insert(key.to_owned(), at_ms);
        }
        fresh
    }

    fn tone(&mut self, moment: Moment<'_>) -> Option<Suggestion> {
        let emotion = moment.understanding.emotion.as_ref().map(|e| e.label.as_str());
        let conduct: Vec<&str> = moment.understanding.conduct.iter().map(|c| c.label.as_str()).collect();
        let intents: Vec<&str> = moment.understanding.intents.iter().filter(|i| i.selected).map(|i| i.name.as_str()).collect();
        let template = self.templates.fitting(emotion, &conduct, &intents)?.clone();
        if !self.may_show(&template.id, moment.at_ms) {
            return None;
        }
        let (title, text) = template.words(moment.language);
        let mut why = Vec::new();
        if let Some(label) = emotion {
            why.push(Why { signal: "emotion".into(), value: label.into() });
        }
        why.extend(conduct.iter().map(|c| Why { signal: "conduct".into(), value: (*c).into() }));
        let score = moment.understanding.emotion.as_ref().and_then(|e| e.confidence).unwrap_or(1.0);
        Some(self.created(moment, SuggestionKind::Tone, (title, text), score, why))
    }

    fn passage(&mut self, moment: Moment<'_>, found: Found<'_>, hit: &PassageHit) -> Suggestion {
        let quote: String =
            hit.text.chars().skip(hit.citation.start).take(hit.citation.end.saturating_sub(hit.citation.start)).collect();
        let mut why = vec![Why { signal: "retrieval".into(), value: format!("{:.2}", hit.score) }];
        if let Some(intent) = found.intent {
            why.insert(0, Why { signal: "intent".into(), value: intent.into() });
        }
        why.extend(found.degraded.iter().map(|d| Why { signal: "degraded".into(), value: d.clone() }));
        let mut created = self.created(
            moment,
            SuggestionKind::Answer,
            (&hit.title, if quote.is_empty() { &hit.text } else { &quote }),
            hit.score,
            why,
        );
        created.citations = vec![Citation {
            document_id: hit.document_id.clone(),
            version: hit.version,
            passage_id: hit.passage_id.clone(),
            quote,
            start: hit.citation.start,
            end: hit.citation.end,
        }];
        created.trigger.intent = found.intent.map(str::to_owned);
        let (suggestion_id, words) = (created.suggestion_id.clone(), content_words(&created.text));
        self.open.push(Open { suggestion_id, words, useful_until_ms: created.useful_until_ms });
        created
    }

    fn created(
        &self,
        moment: Moment<'_>,
        kind: SuggestionKind,
        (title, text): (&str, &str),
        score: f32,
        why: Vec<Why>,
    ) -> Suggestion {
        Suggestion {
            suggestion_id: new_id(IdKind::Suggestion),
            rev: 1,
            kind,
            title: title.to_owned(),
            text: text.to_owned(),
            citations: Vec::new(),
            score,
            why,
            trigger: SuggestionTrigger { utterance_ids: vec![moment.utterance_id.clone()], intent: None, speculative: false },
            useful_until_ms: moment.at_ms + self.config.useful_ms,
        }
    }
}

/// Words that carry meaning, English ones by their stem.
fn content_words(text: &str) -> BTreeSet<String> {
    let words = segment::words(text);
    let content = words.iter().filter(|token| !segment::is_stop_word(&token.text));
    content.map(|token| if token.han { token.text.clone() } else { segment::stem(&token.text) }).collect()
}
