//! What one pass over a text gives.

use std::sync::Arc;

use super::heads::{HeadSpec, head};

/// A stretch of the text in code points, half open `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSpan {
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
}

/// A stretch of the text with a kind: a decoded entity.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedSpan {
    /// The kind, a tag without its `B-` or `I-`.
    pub kind: String,
    /// First code point.
    pub start: usize,
    /// First code point behind it.
    pub end: usize,
    /// Mean probability of its tokens' tags, in [0, 1].
    pub probability: f32,
}

/// Output of a sentence head.
#[derive(Clone, Debug, PartialEq)]
pub struct SentenceOutput {
    /// The head.
    pub spec: Arc<HeadSpec>,
    /// Calibrated probability per label, in the order of the labels.
    pub probabilities: Vec<f32>,
}

impl SentenceOutput {
    /// The labels.
    pub fn labels(&self) -> &Arc<[String]> {
        &self.spec.labels
    }

    /// Probability of a label; `None` for a name that is no label.
    pub fn probability(&self, label: &str) -> Option<f32> {
        let index = self.spec.labels.iter().position(|l| l == label)?;
        self.probabilities.get(index).copied()
    }

    /// All labels with their probability, best first.
    pub fn ranked(&self) -> Vec<(&str, f32)> {
        let mut ranked: Vec<(&str, f32)> =
            self.spec.labels.iter().map(String::as_str).zip(self.probabilities.iter().copied()).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked
    }

    /// The best label.
    pub fn top(&self) -> Option<(&str, f32)> {
        let best = (0..self.probabilities.len()).max_by(|&a, &b| self.probabilities[a].total_cmp(&self.probabilities[b]))?;
        Some((self.spec.labels.get(best)?, self.probabilities[best]))
    }

    /// The labels that hold, best first. Softmax: the best one, and others from their threshold on. Sigmoid: all
    /// from their threshold on, perhaps none.
    pub fn selected(&self) -> Vec<(&str, f32)> {
        let top = if self.spec.kind == super::HeadKind::Softmax { self.top().map(|(label, _)| label) } else { None };
        let mut selected: Vec<(&str, f32)> = (self.spec.labels.iter().zip(&self.probabilities).enumerate())
            .filter(|(i, (label, p))| **p >= self.spec.threshold(*i) || top == Some(label.as_str()))
            .map(|(_, (label, p))| (label.as_str(), *p))
            .collect();
        selected.sort_by(|a, b| b.1.total_cmp(&a.1));
        selected
    }
}

/// Output of a token head.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenOutput {
    /// The head.
    pub spec: Arc<HeadSpec>,
    /// Per token, the index of its best label.
    pub tags: Vec<u16>,
    /// Per token, the calibrated probability of that label.
    pub probabilities: Vec<f32>,
}

impl TokenOutput {
    /// Best label of a token; `""` for a token that is not there.
    pub fn label(&self, token: usize) -> &str {
        self.tags.get(token).and_then(|&t| self.spec.labels.get(usize::from(t))).map_or("", String::as_str)
    }

    /// Spans of `B-`/`I-` tags. An `I-` without its beginning opens a span, too; a span takes the kind of its first token.
    pub fn spans(&self, tokens: &[TokenSpan]) -> Vec<TaggedSpan> {
        let mut spans: Vec<(TaggedSpan, f32)> = Vec::new();
        let mut open = false;
        for (i, token) in tokens.iter().enumerate() {
            let label = self.label(i);
            let Some((mark, kind)) = label.split_once('-') else {
                open = false;
                continue;
            };
            let probability = self.probabilities.get(i).copied().unwrap_or(0.0);
            match spans.last_mut() {
                Some((span, count)) if open && mark == "I" && span.kind == kind => {
                    span.end = token.end;
                    span.probability += probability;
                    *count += 1.0;
                }
                _ => {
                    spans.push((TaggedSpan { kind: kind.to_owned(), start: token.start, end: token.end, probability }, 1.0));
                    open = true;
                }
            }
        }
        spans.into_iter().map(|(span, count)| TaggedSpan { probability: span.probability / count, ..span }).collect()
    }
}

/// Everything that the model knows of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// Version of the model.
    pub version: Arc<str>,
    /// Vector for retrieval, of length 1 (L2).
    pub embedding: Vec<f32>,
    /// The vector that sentence heads read; input for heads of one's own.
    pub sentence: Vec<f32>,
    /// Where each token stands in the text; special tokens left out.
    pub tokens: Vec<TokenSpan>,
    /// Whether the text was longer than the model reads, and its end left out.
    pub truncated: bool,
    /// Outputs of the sentence heads.
    pub sentence_heads: Vec<SentenceOutput>,
    /// Outputs of the token heads.
    pub token_heads: Vec<TokenOutput>,
}

impl Encoding {
    /// Output of a sentence head by name; see [`head`].
    pub fn head(&self, name: &str) -> Option<&SentenceOutput> {
        self.sentence_heads.iter().find(|h| h.spec.name == name)
    }

    /// Output of a token head by name; see [`head`].
    pub fn token_head(&self, name: &str) -> Option<&TokenOutput> {
        self.token_heads.iter().find(|h| h.spec.name == name)
    }

    /// Spans of the entity head; empty when the model has none.
    pub fn entities(&self) -> Vec<TaggedSpan> {
        self.token_head(head::ENTITY).map(|h| h.spans(&self.tokens)).unwrap_or_default()
    }

    /// The text with the marks of the punctuation head put in: full-width marks behind a Chinese character, else
    /// ASCII ones. No mark is set where one stands already. Meant for recognised speech, which has none.
    pub fn punctuate(&self, text: &str) -> String {
        let Some(output) = self.token_head(head::PUNCTUATION) else {
            return text.to_owned();
        };
        let characters: Vec<char> = text.chars().collect();
        let mut result = String::with_capacity(text.len() + 8);
        let mut at = 0;
        for (i, token) in self.tokens.iter().enumerate() {
            let end = token.end.min(characters.len());
            result.extend(&characters[at.min(end)..end]);
            at = at.max(end);
            let inside_word = self.tokens.get(i + 1).is_some_and(|next| next.start == token.end)
                && !characters[..end].last().is_some_and(|c| is_han(*c));
            let marked = |c: Option<&char>| c.is_some_and(|c| !c.is_alphanumeric() && !c.is_whitespace());
            if !inside_word && !marked(characters.get(at)) && !marked(characters[..end].last()) {
                let han = characters[..end].last().is_some_and(|c| is_han(*c));
                result.push_str(match (output.label(i), han) {
                    ("comma", true) => "，",
                    ("stop", true) => "。",
                    ("question", true) => "？",
                    ("comma", false) => ",",
                    ("stop", false) => ".",
                    ("question", false) => "?",
                    _ => "",
                });
            }
        }
        result.extend(&characters[at.min(characters.len())..]);
        result
    }
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}
