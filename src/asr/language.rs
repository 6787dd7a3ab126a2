//! Which language a call is in: chosen among those asked for, and kept once it is clear.

use std::sync::Arc;

use parking_lot::Mutex;

use super::AsrError;
use crate::conversation::Language;

/// Speech heard before a language is settled, in milliseconds.
const SETTLE_MS: i64 = 3_000;
/// Posterior from which it is settled.
const SETTLE_PROBABILITY: f64 = 0.95;
/// One segment cannot say more than this: its probabilities are overconfident.
const MAX_PROBABILITY: f64 = 0.98;

/// The language of a call, shared by its channels (clones are the same call).
#[derive(Clone, Debug)]
pub struct CallLanguage {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    /// Tags as the caller wrote them, with their language.
    tags: Vec<(String, Language)>,
    /// Sum of log-probabilities per entry of `tags`.
    scores: Vec<f64>,
    heard_ms: i64,
    settled: Option<usize>,
}

impl CallLanguage {
    /// A call in one of these languages, BCP 47 tags, the likeliest first. One tag means no detection; none means both.
    ///
    /// # Errors
    /// [`AsrError::LanguageUnsupported`] if tags are given and none is known. Unknown ones beside known ones are ignored.
    pub fn new<T: AsRef<str>>(tags: &[T]) -> Result<Self, AsrError> {
        let mut known: Vec<(String, Language)> = Vec::new();
        for tag in tags.iter().map(AsRef::as_ref) {
            if let Some(language) = Language::from_tag(tag).filter(|l| known.iter().all(|(_, other)| other != l)) {
                known.push((tag.to_owned(), language));
            }
        }
        if known.is_empty() && !tags.is_empty() {
            return Err(AsrError::LanguageUnsupported { tags: tags.iter().map(|tag| tag.as_ref().to_owned()).collect() });
        }
        if known.is_empty() {
            known = vec![("zh-CN".into(), Language::Zh), ("en-US".into(), Language::En)];
        }
        let settled = (known.len() == 1).then_some(0);
        let scores = vec![0.0; known.len()];
        Ok(Self { inner: Arc::new(Mutex::new(Inner { tags: known, scores, heard_ms: 0, settled })) })
    }

    /// Languages to decode in, the likeliest first; one once it is settled.
    pub fn candidates(&self) -> Vec<Language> {
        let inner = self.inner.lock();
        if let Some(index) = inner.settled {
            return vec![inner.tags[index].1];
        }
        let mut order: Vec<usize> = (0..inner.tags.len()).collect();
        order.sort_by(|&a, &b| inner.scores[b].total_cmp(&inner.scores[a]));
        order.into_iter().map(|index| inner.tags[index].1).collect()
    }

    /// The tag for a language: as the caller wrote it.
    pub fn tag(&self, language: Language) -> String {
        let inner = self.inner.lock();
        let tag = inner.tags.iter().find(|(_, known)| *known == language).map(|(tag, _)| tag.clone());
        tag.unwrap_or_else(|| language.name().to_owned())
    }

    /// The settled language, if it is.
    pub fn settled(&self) -> Option<Language> {
        let inner = self.inner.lock();
        inner.settled.map(|index| inner.tags[index].1)
    }

    /// Takes what a final segment of `speech_ms` said about the language.
    pub(super) fn observe(&self, probabilities: &[(Language, f32)], speech_ms: i64) {
        let mut inner = self.inner.lock();
        if inner.settled.is_some() || probabilities.is_empty() {
            return;
        }
        inner.heard_ms += speech_ms;
        for index in 0..inner.tags.len() {
            let language = inner.tags[index].1;
            let found = probabilities.iter().find(|(of, _)| *of == language).map_or(0.0, |(_, p)| f64::from(*p));
            inner.scores[index] += found.clamp(1.0 - MAX_PROBABILITY, MAX_PROBABILITY).ln();
        }
        let best = inner.scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = inner.scores.iter().map(|score| (score - best).exp()).sum();
        if inner.heard_ms >= SETTLE_MS && 1.0 / total >= SETTLE_PROBABILITY {
            inner.settled = inner.scores.iter().position(|score| *score == best);
        }
    }
}

impl Default for CallLanguage {
    fn default() -> Self {
        let tags = vec![("zh-CN".to_owned(), Language::Zh), ("en-US".to_owned(), Language::En)];
        Self { inner: Arc::new(Mutex::new(Inner { tags, scores: vec![0.0; 2], heard_ms: 0, settled: None })) }
    }
}
