//! `tokenizer.json`: text to token ids and their places.

use std::path::Path;

use super::config::{ModelConfig, file_error};
use super::encoding::TokenSpan;
use super::error::{InferenceError, fetch_again};

/// Code points that are tokenised at most; far more than `max_tokens` tokens of any usual text.
const MAX_CHARACTERS: usize = 4096;

/// The tokenizer of a model, with the model's cut.
pub(super) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_tokens: usize,
}

/// A tokenised text.
pub(super) struct Tokens {
    /// Ids, the special ones included.
    pub ids: Vec<u32>,
    /// Per id, its place; `None` for special tokens.
    pub spans: Vec<Option<TokenSpan>>,
    /// Whether something was cut off.
    pub truncated: bool,
}

/// A tokenised pair of texts.
pub(super) struct Pair {
    /// Ids, the special ones included.
    pub ids: Vec<u32>,
    /// Place from which on tokens belong to the second text; `usize::MAX` where the model does not tell them apart.
    pub second: usize,
    /// Whether something was cut off.
    pub truncated: bool,
}

impl Tokenizer {
    /// [`Self::load`] for pairs: the longer text of a pair that is too long is cut.
    pub(super) fn load_for_pairs(path: &Path, config: &ModelConfig) -> Result<Self, InferenceError> {
        let mut tokenizer = Self::load(path, config)?;
        let max_length = tokenizer.max_tokens;
        let cut = tokenizers::TruncationParams { max_length, ..Default::default() };
        let cut = tokenizer.inner.with_truncation(Some(cut)).map(|_| ());
        cut.map_err(|e| InferenceError::Corrupt { path: path.to_owned(), what: e.to_string(), fix: fetch_again(path) })?;
        Ok(tokenizer)
    }

    /// Tokens of a pair, cut to [`Self::max_tokens`]; only with a tokenizer of [`Self::load_for_pairs`].
    pub(super) fn encode_pair(&self, first: &str, second_text: &str) -> Result<Pair, InferenceError> {
        let piece = |text: &str| text.chars().take(MAX_CHARACTERS).collect::<String>();
        let encoding = self.inner.encode((piece(first), piece(second_text)), true).map_err(|e| InferenceError::Tokenize {
            characters: first.chars().count() + second_text.chars().count(),
            what: e.to_string(),
        })?;
        let mut ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            ids.push(0);
        }
        let second = encoding.get_type_ids().iter().position(|t| *t == 1).unwrap_or(usize::MAX);
        let long = [first, second_text].iter().any(|text| text.chars().nth(MAX_CHARACTERS).is_some());
        Ok(Pair { ids, second, truncated: long || !encoding.get_overflowing().is_empty() })
    }

    /// Reads the file and checks that every id has a row in the word table.
    pub(super) fn load(path: &Path, config: &ModelConfig) -> Result<Self, InferenceError> {
        let bytes = std::fs::read(path).map_err(|e| file_error(path, &e))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| InferenceError::Corrupt {
            path: path.to_owned(),
            what: e.to_string(),
            fix: fetch_again(path),
        })?;
        let highest = inner.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if highest >= config.vocab_size {
            return Err(InferenceError::Mismatch {
                path: path.to_owned(),
                what: format!("its highest id is {highest}, config.json has a vocabulary of {}", config.vocab_size),
                fix: fetch_again(path),
            });
        }
        inner.with_padding(None);
        let no_cut = inner.with_truncation(None).map(|_| ());
        no_cut.map_err(|e| InferenceError::Corrupt { path: path.to_owned(), what: e.to_string(), fix: fetch_again(path) })?;
        Ok(Self { inner, max_tokens: config.max_tokens() })
    }

    /// Id of a token by its text.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Most tokens of a text, special ones included.
    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Tokens of a text; what is longer than the model reads is cut at the end, the closing special token stays.
    pub(super) fn encode(&self, text: &str) -> Result<Tokens, InferenceError> {
        let cut = text.char_indices().nth(MAX_CHARACTERS).map(|(at, _)| at);
        let piece = &text[..cut.unwrap_or(text.len())];
        let encoding = self
            .inner
            .encode_char_offsets(piece, true)
            .map_err(|e| InferenceError::Tokenize { characters: text.chars().count(), what: e.to_string() })?;
        let special = encoding.get_special_tokens_mask();
        let mut ids = encoding.get_ids().to_vec();
        let mut spans: Vec<Option<TokenSpan>> = (encoding.get_offsets().iter().zip(special))
            .map(|(&(start, end), &special)| (special == 0).then_some(TokenSpan { start, end }))
            .collect();
        let mut truncated = cut.is_some();
        if ids.len() > self.max_tokens {
            truncated = true;
            let closing = spans.last().is_some_and(Option::is_none);
            let last = ids.len() - 1;
            let keep = self.max_tokens - usize::from(closing);
            let closing_id = closing.then(|| ids[last]);
            ids.truncate(keep);
            spans.truncate(keep);
            if let Some(id) = closing_id {
                ids.push(id);
                spans.push(None);
            }
        }
        if ids.is_empty() {
            // A tokenizer without special tokens gives none for an empty text; the network needs one.
            ids.push(0);
            spans.push(None);
        }
        Ok(Tokens { ids, spans, truncated })
    }
}
