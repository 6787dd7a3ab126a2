//! A model folder in memory, and the pass of a batch of texts through it.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use super::classifier;
use super::config::{ModelConfig, Precision};
use super::encoding::{Encoding, SentenceOutput, TokenOutput};
use super::error::InferenceError;
use super::heads::{Head, HeadKind, HeadSpec, load_heads};
use super::pool::Pool;
use super::renamed::of_outputs;
use super::tokenizer::{Tokenizer, Tokens};
use super::trunk::{Scratch, Trunk};
use super::weights::Weights;

/// Weights, tokenizer and heads, shared by all workers. Only the list of heads can change (see [`Self::set_head`]).
pub struct EncoderModel {
    version: Arc<str>,
    hidden: usize,
    sentence: usize,
    tokenizer: Tokenizer,
    trunk: Trunk,
    pool: Pool,
    heads: RwLock<Arc<Vec<Arc<Head>>>>,
}

impl EncoderModel {
    /// Reads `config.json`, `tokenizer.json`, `model.safetensors` and, when it is there, `heads.toml` of a folder.
    ///
    /// # Errors
    /// A file that is missing or damaged, and parts that contradict each other; the message names the file and the fix.
    pub fn load(dir: &Path) -> Result<Self, InferenceError> {
        Self::load_in(dir, Precision::Fp32)
    }

    /// [`Self::load`] with the products of the transformer in a precision; pooling and heads stay in 32 bits.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_in(dir: &Path, precision: Precision) -> Result<Self, InferenceError> {
        let config = ModelConfig::load(&dir.join("config.json"))?;
        let tokenizer = Tokenizer::load(&dir.join("tokenizer.json"), &config)?;
        let weights = Weights::open(&dir.join("model.safetensors"))?;
        let name = || dir.file_name().map_or_else(|| "model".to_owned(), |n| n.to_string_lossy().into_owned());
        let version: Arc<str> = config.version.clone().unwrap_or_else(name).into();
        let trunk = Trunk::load(&weights, &config, precision)?;
        let mut heads = load_heads(dir, &weights, &config, &version)?;
        let classifier = classifier::load(&weights, &config)?;
        let features = classifier.map(|(features, outputs)| {
            heads.extend(of_outputs(&outputs, &config, &version).map_err(|what| weights.mismatch(what))?.map(Arc::new));
            Ok::<_, InferenceError>(features)
        });
        Ok(Self {
            hidden: config.hidden_size,
            sentence: config.sentence_size(),
            trunk,
            pool: Pool::load(&weights, &config, features.transpose()?)?,
            heads: RwLock::new(Arc::new(heads)),
            version,
            tokenizer,
        })
    }

    /// Version that every encoding carries.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// Multiplications that the linear layers of the transformer do for one token.
    pub fn products_per_token(&self) -> usize {
        self.trunk.products_per_token()
    }

    /// Most tokens of one text, special ones included; a longer text is cut and says so.
    pub fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    /// Numbers of an embedding.
    pub fn embedding_size(&self) -> usize {
        self.pool.embedding_size()
    }

    /// Numbers of a sentence vector, which heads read.
    pub fn sentence_size(&self) -> usize {
        self.sentence
    }

    /// Token ids of a text as the trunk sees them, special ones included, cut to [`Self::max_tokens`].
    ///
    /// # Errors
    /// When the tokenizer refuses the text.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, InferenceError> {
        Ok(self.tokenizer.encode(text)?.ids)
    }

    /// Id of a special token by its BERT or RoBERTa name; 0 when the vocabulary has neither.
    pub fn special_token(&self, bert: &str, roberta: &str) -> u32 {
        self.tokenizer.id(bert).or_else(|| self.tokenizer.id(roberta)).unwrap_or(0)
    }

    /// The heads as they are now.
    pub fn head_specs(&self) -> Vec<Arc<HeadSpec>> {
        self.heads.read().iter().map(|h| h.spec().clone()).collect()
    }

    /// Adds a head or replaces the one of its name, from the next batch on; batches under way finish with the old
    /// one. Returns what was replaced, with which the change can be taken back.
    ///
    /// # Errors
    /// When the head reads vectors of another width than the model gives.
    pub fn set_head(&self, head: Arc<Head>) -> Result<Option<Arc<Head>>, InferenceError> {
        self.check_head(&head)?;
        let mut guard = self.heads.write();
        let mut heads = guard.as_ref().clone();
        let place = heads.iter().position(|h| h.spec().name == head.spec().name);
        let replaced = match place {
            Some(at) => Some(std::mem::replace(&mut heads[at], head)),
            None => {
                heads.push(head);
                None
            }
        };
        *guard = Arc::new(heads);
        Ok(replaced)
    }

    /// The head of a name as it is now.
    pub fn head(&self, name: &str) -> Option<Arc<Head>> {
        self.heads.read().iter().find(|h| h.spec().name == name).cloned()
    }

    /// Lets a head answer a text that nobody sees, before it answers others.
    ///
    /// # Errors
    /// When the head does not fit the model, or the text cannot be encoded.
    pub fn try_head(&self, head: &Arc<Head>, text: &str, scratch: &mut Scratch) -> Result<(), InferenceError> {
        self.check_head(head)?;
        self.encode_with(&[text], 512, scratch, std::slice::from_ref(head)).map(drop)
    }

    fn check_head(&self, head: &Head) -> Result<(), InferenceError> {
        let width = if head.spec().kind == HeadKind::Token { self.hidden } else { self.sentence };
        if !head.has_trunk() && head.inputs() != width {
            return Err(InferenceError::Mismatch {
                path: format!("head {}", head.spec().name).into(),
                what: format!("it reads {} numbers, the model gives {width}", head.inputs()),
                fix: format!("train it on model {}", self.version),
            });
        }
        Ok(())
    }

    /// Takes a head away and returns it.
    pub fn remove_head(&self, name: &str) -> Option<Arc<Head>> {
        let mut guard = self.heads.write();
        let mut heads = guard.as_ref().clone();
        let at = heads.iter().position(|h| h.spec().name == name)?;
        let removed = heads.remove(at);
        *guard = Arc::new(heads);
        Some(removed)
    }

    /// Encodes texts on this thread, in passes of about `batch_tokens` tokens. The result of a text does not
    /// depend on the others.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn encode<T: AsRef<str>>(
        &self,
        texts: &[T],
        batch_tokens: usize,
        scratch: &mut Scratch,
    ) -> Result<Vec<Encoding>, InferenceError> {
        let heads = self.heads.read().clone();
        self.encode_with(texts, batch_tokens, scratch, &heads)
    }

    /// Vectors for retrieval, as [`Encoding::embedding`]: no head runs.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn embed<T: AsRef<str>>(
        &self,
        texts: &[T],
        batch_tokens: usize,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let tokens = self.tokens(texts)?;
        Ok(self.each(&tokens, batch_tokens, scratch, |_, states| self.pool.embedding(states, &self.pool.pooled(states))))
    }

    fn tokens<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Tokens>, InferenceError> {
        texts.iter().map(|t| self.tokenizer.encode(t.as_ref())).collect()
    }

    fn encode_with<T: AsRef<str>>(
        &self,
        texts: &[T],
        batch_tokens: usize,
        scratch: &mut Scratch,
        heads: &[Arc<Head>],
    ) -> Result<Vec<Encoding>, InferenceError> {
        let tokens = self.tokens(texts)?;
        // Heads with a trunk of their own do not read the shared sentence vectors.
        let own = heads.iter().map(|h| h.own_vectors(texts, batch_tokens, scratch)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.each(&tokens, batch_tokens, scratch, |number, states| {
            let own = own.iter().map(|vectors| vectors.as_ref().map(|v| v[number].as_slice()));
            self.encoding(texts[number].as_ref(), &tokens[number], states, heads.iter().zip(own))
        }))
    }

    /// Runs the trunk in passes of about `batch_tokens` tokens and makes something of the states of each text.
    fn each<R>(
        &self,
        tokens: &[Tokens],
        batch_tokens: usize,
        scratch: &mut Scratch,
        mut make: impl FnMut(usize, &[f32]) -> R,
    ) -> Vec<R> {
        let mut made = Vec::with_capacity(tokens.len());
        let mut start = 0;
        while start < tokens.len() {
            let mut end = start + 1;
            let mut count = tokens[start].ids.len();
            while end < tokens.len() && count + tokens[end].ids.len() <= batch_tokens {
                count += tokens[end].ids.len();
                end += 1;
            }
            let batch: Vec<&[u32]> = tokens[start..end].iter().map(|t| t.ids.as_slice()).collect();
            let states = self.trunk.forward(&batch, &[], scratch);
            let mut at = 0;
            for (number, tokens) in (start..end).zip(&tokens[start..end]) {
                let width = tokens.ids.len() * self.hidden;
                made.push(make(number, &states[at..at + width]));
                at += width;
            }
            start = end;
        }
        made
    }

    /// `heads` come with the vector of their own trunk, if they have one.
    fn encoding<'a>(
        &self,
        text: &str,
        tokens: &Tokens,
        states: &[f32],
        heads: impl Iterator<Item = (&'a Arc<Head>, Option<&'a [f32]>)>,
    ) -> Encoding {
        let sentence = self.pool.sentence(states, text);
        // Special tokens stand at the ends only; the rest is one stretch of states.
        let first = tokens.spans.iter().position(Option::is_some).unwrap_or(0);
        let spans: Vec<_> = tokens.spans.iter().filter_map(|s| *s).collect();
        let own = &states[first * self.hidden..(first + spans.len()) * self.hidden];
        let (mut sentence_heads, mut token_heads) = (Vec::new(), Vec::new());
        for (head, vector) in heads {
            let spec = head.spec().clone();
            if spec.kind == HeadKind::Token {
                let (tags, probabilities) = head.tokens(own);
                token_heads.push(TokenOutput { spec, tags, probabilities });
            } else {
                let probabilities = head.sentence(text, vector.unwrap_or(&sentence));
                sentence_heads.push(SentenceOutput { spec, probabilities });
            }
        }
        let embedding = self.pool.embedding(states, &sentence);
        Encoding {
            version: self.version.clone(),
            embedding,
            sentence,
            tokens: spans,
            truncated: tokens.truncated,
            sentence_heads,
            token_heads,
        }
    }
}
