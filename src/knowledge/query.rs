//! Search requests and answers, and what a query text asks for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::conversation::Language;
use crate::text::{fold, segment};

use super::document::{DocumentKind, OPEN_TO_ALL};
use super::{KnowledgeError, Result, analysis};

/// Greatest length of a query in code points.
pub const MAX_QUERY_CHARS: usize = 2000;
/// Greatest number of passages in an answer.
pub const MAX_TOP_K: usize = 200;
/// Words of a query that are looked up; what lies behind is cut off.
const MAX_TERMS: usize = 32;

/// Which rankings answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// Words and vectors.
    #[default]
    Hybrid,
    /// Words alone.
    Lexical,
    /// Vectors alone.
    Dense,
}

/// Which documents may answer. An empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filters {
    /// Documents for all queues and for one of these.
    pub queues: Vec<String>,
    /// Documents for everybody and for one of these groups.
    pub audience: Vec<String>,
    /// One of these categories.
    pub categories: Vec<String>,
    /// At least one of these tags.
    pub tags: Vec<String>,
    /// One of these kinds.
    pub kinds: Vec<DocumentKind>,
}

/// The audience that customers are.
pub const CUSTOMERS: &str = "customer";
/// The audience that agents are.
pub const AGENTS: &str = "agent";

impl Filters {
    /// For readers of an audience. Without a queue `queues` stays empty: such readers see the articles of every queue, unless
    /// [`Self::of_open_queues`] follows.
    pub fn for_audience(audience: &str, queue: Option<String>) -> Self {
        Self { queues: queue.into_iter().collect(), audience: vec![audience.to_owned()], ..Self::default() }
    }

    /// Without a queue only what is open to all queues.
    #[must_use]
    pub fn of_open_queues(mut self) -> Self {
        if self.queues.is_empty() {
            self.queues.push(OPEN_TO_ALL.to_owned());
        }
        self
    }
}

/// A search: the body of `POST /knowledge/search`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What is asked; `"…"` must occur exactly, `-word` must not occur.
    pub query: String,
    /// The query is what a person said or wrote to another: quotes and minus signs in it are no operators. Not on the wire.
    #[serde(skip)]
    pub spoken: bool,
    /// Greatest number of passages, 1 to 200.
    #[serde(default = "default_top_k")]
    pub top_k: usize,
    /// Which rankings answer.
    #[serde(default)]
    pub mode: SearchMode,
    /// Which documents may answer.
    #[serde(default)]
    pub filters: Filters,
    /// `zh`, `en`; empty: both.
    #[serde(default)]
    pub languages: Vec<Language>,
    /// The moment at which documents must be valid; now if absent.
    #[serde(default)]
    pub as_of: Option<DateTime<Utc>>,
    /// Whether to explain the scores.
    #[serde(default)]
    pub explain: bool,
    /// Intents behind the query with their probabilities: documents for one of them rank. Not on the wire.
    #[serde(skip)]
    pub intents: Vec<(String, f32)>,
    /// How much the intents weigh beside the words, 0 to 1; the setting of the index if absent. Not on the wire.
    #[serde(skip)]
    pub intent_share: Option<f32>,
    /// The intent behind the query: what was learned under it ranks. Not on the wire.
    #[serde(skip)]
    pub topic: Option<String>,
    /// The agent who asks: what he used ranks. Not on the wire.
    #[serde(skip)]
    pub agent: Option<String>,
}

fn default_top_k() -> usize {
    8
}

impl SearchRequest {
    /// A hybrid search for a text with the defaults of the wire contract.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            spoken: false,
            top_k: default_top_k(),
            mode: SearchMode::default(),
            filters: Filters::default(),
            languages: Vec::new(),
            as_of: None,
            explain: false,
            intents: Vec::new(),
            intent_share: None,
            topic: None,
            agent: None,
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let invalid = |field, problem| Err(KnowledgeError::InvalidSearch { field, problem });
        let length = self.query.chars().count();
        if length > MAX_QUERY_CHARS {
            return invalid("query", format!("has {length} characters; {MAX_QUERY_CHARS} are allowed"));
        }
        if self.query.trim().is_empty() && self.mode != SearchMode::Dense {
            return invalid("query", "is empty; write what to look for".to_owned());
        }
        if !(1..=MAX_TOP_K).contains(&self.top_k) {
            return invalid("top_k", format!("is {}; 1 to {MAX_TOP_K} are allowed", self.top_k));
        }
        Ok(())
    }
}

/// A stretch of a passage in code points, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Highlight {
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// The parts of a score, each in [0, 1]; `None` where the part did not find the passage or was not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Parts {
    /// BM25 score divided by what a full match of the query would earn.
    pub lexical: Option<f32>,
    /// Cosine, negative values as 0.
    pub dense: Option<f32>,
    /// Probability that the speaker wants what the document is for; `None` if either is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<f32>,
    /// What the cross-encoder says, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f32>,
    /// All together.
    pub fused: Option<f32>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassageHit {
    /// `psg_…`
    pub passage_id: String,
    /// `doc_…`
    pub document_id: String,
    /// Version of the document.
    pub version: u32,
    /// Title of the document.
    pub title: String,
    /// Headings above the passage, outermost first.
    pub headings: Vec<String>,
    /// Plain text of the passage.
    pub text: String,
    /// Words of `text` that were asked for.
    pub highlights: Vec<Highlight>,
    /// The sentence of `text` that answers best.
    pub citation: Highlight,
    /// In [0, 1]; the order of the answer.
    pub score: f32,
    /// What the score is made of.
    pub parts: Parts,
    /// What the document is for.
    pub kind: DocumentKind,
    /// Its language.
    pub language: Language,
    /// Its place in the taxonomy.
    pub category: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// How the score came about, if asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explanation>,
}

/// The answer to a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResponse {
    /// Best first.
    pub passages: Vec<PassageHit>,
    /// Which state of the index answered.
    pub index_version: u64,
    /// Parts that were asked for and left out: `dense`, `rerank`.
    pub degraded: Vec<String>,
}

/// How a score came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Every term that was looked up.
    pub terms: Vec<ExplainedTerm>,
    /// BM25 score as computed, before division.
    pub lexical_raw: Option<f32>,
    /// Score of a full match, the divisor.
    pub lexical_full: f32,
    /// Rank in the lexical part, from 1.
    pub lexical_rank: Option<usize>,
    /// Rank in the dense part, from 1.
    pub dense_rank: Option<usize>,
    /// Whether the search by sound took part.
    pub by_sound: bool,
    /// What the score was multiplied by because of what became of the article before; 1: nothing learned.
    pub learned: f32,
}

/// A term of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedTerm {
    /// The term.
    pub term: String,
    /// Why it was looked up.
    pub source: TermSource,
    /// Inverse document frequency.
    pub idf: f32,
    /// Whether this passage holds it.
    pub matched: bool,
}

/// Why a term was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TermSource {
    /// A word of the query.
    Word,
    /// Means the same as a word of the query.
    Synonym,
    /// Means the same in the other language.
    Translation,
    /// A known word close to one of the query.
    Typo,
    /// Sounds like the query.
    Sound,
}

/// A query text taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ParsedQuery {
    /// Word terms without stop words (all words if there are only stop words), without repeats.
    pub(super) words: Vec<Word>,
    /// Whether `words` are only stop words: the query says next to nothing.
    pub(super) only_stop_words: bool,
    /// Exact phrases, as character terms.
    pub(super) phrases: Vec<Vec<String>>,
    /// Phrases that must not occur, as character terms.
    pub(super) excluded: Vec<Vec<String>>,
    /// The text without operators, folded.
    pub(super) folded: String,
    /// Whether only articles of another language than the query's may answer.
    pub(super) only_across: bool,
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) term: String,
    pub(super) folded: String,
    pub(super) han: bool,
}

impl ParsedQuery {
    /// What a request asks for.
    pub(super) fn of(request: &SearchRequest) -> Self {
        if request.spoken { Self::spoken(&request.query) } else { Self::parse(&request.query) }
    }

    /// A text without operators.
    pub(super) fn spoken(query: &str) -> Self {
        Self::default().with_words(query)
    }

    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        let mut plain = String::new();
        for part in split_operators(query) {
            match part {
                Part::Plain(text) => {
                    plain.push(' ');
                    plain.push_str(&text);
                }
                Part::Phrase(text) => {
                    parsed.phrases.push(analysis::character_terms(&text));
                    plain.push(' ');
                    plain.push_str(&text);
                }
                Part::Excluded(text) => parsed.excluded.push(analysis::character_terms(&text)),
            }
        }
        parsed.phrases.retain(|phrase| !phrase.is_empty());
        parsed.excluded.retain(|phrase| !phrase.is_empty());
        parsed.with_words(&plain)
    }

    fn with_words(mut self, plain: &str) -> Self {
        self.folded = fold(plain);
        self.words = query_words(&self.folded);
        self.only_stop_words = self.words.iter().all(|word| segment::is_stop_word(&word.folded));
        self
    }
}

fn query_words(folded: &str) -> Vec<Word> {
    let tokens = segment::tokens(folded);
    let all = |keep: fn(&segment::Token) -> bool| {
        let mut words: Vec<Word> = Vec::new();
        for token in tokens.iter().filter(|token| keep(token)) {
            let word = Word { term: analysis::term_of(token), folded: token.text.clone(), han: token.han };
            if !words.iter().any(|other| other.term == word.term) && words.len() < MAX_TERMS {
                words.push(word);
            }
        }
        words
    };
    let words = all(|token| !segment::is_stop_word(&token.text));
    if words.is_empty() { all(|_| true) } else { words }
}

enum Part {
    Plain(String),
    Phrase(String),
    Excluded(String),
}

/// Splits at quotes and at words that begin with a minus sign behind a blank. A quote that is not closed is text.
fn split_operators(query: &str) -> Vec<Part> {
    let chars: Vec<char> = query.chars().collect();
    let is_quote = |c: char| matches!(c, '"' | '“' | '”' | '＂');
    let (mut parts, mut plain, mut at) = (Vec::new(), String::new(), 0);
    while at < chars.len() {
        let after_blank = at == 0 || chars[at - 1].is_whitespace();
        let negated = after_blank
            && matches!(chars[at], '-' | '－')
            && chars.get(at + 1).is_some_and(|c| !c.is_whitespace() && !c.is_numeric());
        let open = at + usize::from(negated);
        if chars.get(open).is_some_and(|c| is_quote(*c))
            && let Some(length) = chars[open + 1..].iter().position(|c| is_quote(*c))
        {
            let text: String = chars[open + 1..open + 1 + length].iter().collect();
            parts.push(if negated { Part::Excluded(text) } else { Part::Phrase(text) });
            at = open + length + 2;
        } else if negated {
            let length = chars[at + 1..].iter().take_while(|c| !c.is_whitespace()).count();
            parts.push(Part::Excluded(chars[at + 1..at + 1 + length].iter().collect()));
            at += 1 + length;
        } else {
            plain.push(chars[at]);
            at += 1;
        }
    }
    parts.push(Part::Plain(plain));
    parts
}
