//! What rules may ask models for. Absent means "not configured": the operators that need it are unmeasured.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::text::fold_text;

/// Similarity of a unit to a sample in ten-thousandths (0 to 10,000); `None` if it was not computed.
pub type SimilarityFn = dyn Fn(&str, &str) -> Option<u16> + Send + Sync;

/// Answers a question about a window of a conversation; `Err` is a reason for logs.
pub type AskFn = dyn Fn(&Question<'_>) -> Result<Answer, String> + Send + Sync;

/// An article whose knowledge the operator `knowledge` checks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Article {
    /// Its name.
    pub id: String,
    /// Its category.
    #[serde(default)]
    pub category: String,
    /// Ways to ask for it.
    #[serde(default)]
    pub questions: Vec<String>,
    /// Accepted answers.
    #[serde(default)]
    pub answers: Vec<String>,
    /// Groups of phrases: a right answer has one phrase of every group.
    #[serde(default)]
    pub facts: Vec<Vec<String>>,
}

/// A question to a language model.
#[derive(Clone, Debug, Serialize)]
pub struct Question<'a> {
    /// The question.
    pub question: &'a str,
    /// The provider the rule names, if any.
    pub provider: Option<&'a str>,
    /// Longest answer, in tokens.
    pub max_tokens: Option<i64>,
    /// The most this rule may cost in a month, in the provider's unit.
    pub monthly_budget: Option<f64>,
    /// Sentences of the window: turn number, role, text.
    pub window: Vec<(usize, &'static str, &'a str)>,
}

/// The answer of a language model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// `yes`, `no`, anything else is "cannot say".
    pub answer: String,
    /// In [0, 1].
    #[serde(default)]
    pub confidence: f64,
    /// Words taken from turns.
    #[serde(default)]
    pub quotes: Vec<Quote>,
}

/// Words that an answer takes from a turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// The turn, from 0.
    pub turn: usize,
    /// The words.
    pub text: String,
}

/// What rules may ask models for.
#[derive(Clone, Default)]
pub struct Models {
    /// Similarity of texts.
    pub similarity: Option<Arc<SimilarityFn>>,
    /// The article store.
    pub articles: Option<Arc<Vec<Article>>>,
    /// A language model.
    pub ask: Option<Arc<AskFn>>,
    /// Names and versions of what answers, for results.
    pub pins: BTreeMap<String, String>,
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models")
            .field("similarity", &self.similarity.is_some())
            .field("articles", &self.articles.as_ref().map(|a| a.len()))
            .field("ask", &self.ask.is_some())
            .field("pins", &self.pins)
            .finish()
    }
}

impl Models {
    /// Similarity by an encoder: `encode` turns a text into a vector of unit length (`None`: it failed). The
    /// similarity is the cosine, not below 0, rounded to four decimals. Vectors are kept, so that a sample is
    /// encoded once; `keep` bounds how many.
    pub fn with_encoder<F>(mut self, name: &str, keep: usize, encode: F) -> Self
    where
        F: Fn(&str) -> Option<Vec<f32>> + Send + Sync + 'static,
    {
        let vectors: RwLock<HashMap<String, Arc<Vec<f32>>>> = RwLock::default();
        let vector = move |text: &str| -> Option<Arc<Vec<f32>>> {
            if let Some(known) = vectors.read().ok()?.get(text) {
                return Some(Arc::clone(known));
            }
            let fresh = Arc::new(encode(text)?);
            let mut all = vectors.write().ok()?;
            if all.len() >= keep {
                all.clear();
            }
            all.insert(text.to_owned(), Arc::clone(&fresh));
            Some(fresh)
        };
        self.similarity = Some(Arc::new(move |unit, sample| {
            let (a, b) = (vector(unit)?, vector(sample)?);
            let cosine: f64 = a.iter().zip(b.iter()).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            Some((cosine.clamp(0.0, 1.0) * 10_000.0).round() as u16)
        }));
        self.pins.insert("encoder".into(), name.into());
        self
    }

    /// Similarity in ten-thousandths: 10,000 for texts equal after folding.
    pub(crate) fn similarity(&self, unit: &str, sample: &str) -> Option<u16> {
        let lookup = self.similarity.as_ref()?;
        if fold_text(unit) == fold_text(sample) {
            return Some(10_000);
        }
        lookup(unit, sample)
    }
}
