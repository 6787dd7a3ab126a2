//! whisper.cpp as recogniser: one context with the weights, one state per decoder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState};

use super::AsrError;
use super::model_file::{ModelHeader, check_model_file};
use super::recognizer::{DecodeRequest, Decoder, Hypothesis, RecognizerEngine};
use super::words::{self, Token};
use crate::audio::MODEL_RATE_HZ;
use crate::conversation::Language;

/// Samples of one encoder position: 20 ms.
const POSITION_SAMPLES: usize = MODEL_RATE_HZ as usize / 50;
/// Encoder positions are cut to the segment in steps of 0.64 s, so that few shapes occur.
const POSITION_STEP: usize = 32;
/// Positions behind the last sample, so that the last word has room.
const POSITION_MARGIN: usize = 8;
/// Models with the full window of 30 s were never trained on a short one and make things up on it: keep a third.
const FULL_WINDOW_POSITIONS: u32 = 1_500;
const FULL_WINDOW_MIN_POSITIONS: usize = 512;
/// Tokens that a text may have beyond those of its time: whisper.cpp ends there instead of running on in a loop.
const SPARE_TOKENS: usize = 16;
/// Tokens per second of the fastest speech: 12 words (`max_words_per_s`) of two tokens.
const TOKENS_PER_S: usize = 24;
/// Characters of the context that are given to the recogniser, from its end.
const MAX_CONTEXT_CHARACTERS: usize = 80;
const MAX_CONTEXT_TOKENS: usize = 4 * MAX_CONTEXT_CHARACTERS;
/// whisper.cpp takes no less than this: 110 ms with its own margin.
const MIN_SAMPLES: usize = MODEL_RATE_HZ as usize / 5;

/// A Whisper model in memory, shared by its decoders.
pub struct WhisperEngine {
    context: Arc<WhisperContext>,
    header: ModelHeader,
    model_id: String,
    path: PathBuf,
}

impl std::fmt::Debug for WhisperEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WhisperEngine").field("model_id", &self.model_id).field("header", &self.header).finish_non_exhaustive()
    }
}

impl WhisperEngine {
    /// Loads a ggml Whisper file. `model_id` is the name under which it appears in results.
    ///
    /// # Errors
    /// [`AsrError::ModelUnreadable`], [`AsrError::ModelCorrupt`], [`AsrError::ModelTruncated`],
    /// [`AsrError::ModelRefused`], [`AsrError::UnsupportedCpu`].
    pub fn load(path: &Path, model_id: &str) -> Result<Self, AsrError> {
        // Before anything else: by default whisper.cpp writes to standard error.
        whisper_rs::install_logging_hooks();
        check_cpu()?;
        let header = check_model_file(path)?;
        let refused = |detail: String| AsrError::ModelRefused { path: path.to_owned(), detail };
        let started = std::time::Instant::now();
        let mut parameters = WhisperContextParameters::default();
        parameters.use_gpu(false).flash_attn(false);
        let context = WhisperContext::new_with_params(path, parameters).map_err(|error| refused(error.to_string()))?;
        if !context.is_multilingual() {
            return Err(refused("it knows one language only; a multilingual model is needed".into()));
        }
        tracing::info!(model_id, elapsed_ms = started.elapsed().as_millis() as u64, ?header, "recogniser loaded");
        Ok(Self { context: Arc::new(context), header, model_id: model_id.to_owned(), path: path.to_owned() })
    }

    /// The header of the model.
    pub fn header(&self) -> ModelHeader {
        self.header
    }
}

impl RecognizerEngine for WhisperEngine {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_segment_ms(&self) -> i64 {
        i64::from(self.header.n_audio_ctx) * 20
    }

    fn decoder(&self) -> Result<Box<dyn Decoder>, AsrError> {
        let state = self
            .context
            .create_state()
            .map_err(|error| AsrError::Decoder { detail: format!("no state for {}: {error}", self.path.display()) })?;
        let cancel = Arc::new(AtomicBool::new(false));
        Ok(Box::new(WhisperDecoder {
            state,
            parameters: parameters(&cancel),
            context: Arc::clone(&self.context),
            header: self.header,
            tokens: SpecialTokens {
                end_of_text: self.context.token_eot(),
                start: self.context.token_sot(),
                no_speech: self.context.token_nosp(),
            },
            cancel,
        }))
    }
}

/// Refuses a processor without the instructions that whisper.cpp was built for, instead of dying of SIGILL.
fn check_cpu() -> Result<(), AsrError> {
    #[cfg(target_arch = "x86_64")]
    {
        let has = whisper_rs::SystemInfo::default();
        let need = [
            ("AVX", has.avx, is_x86_feature_detected!("avx")),
            ("AVX2", has.avx2, is_x86_feature_detected!("avx2")),
            ("FMA", has.fma, is_x86_feature_detected!("fma")),
            ("F16C", has.f16c, is_x86_feature_detected!("f16c")),
        ];
        for (feature, built_in, present) in need {
            if built_in && !present {
                return Err(AsrError::UnsupportedCpu { feature });
            }
        }
    }
    Ok(())
}

/// Greedy, one pass, one segment, no memory of what was said before: the same segment always gives the same text.
fn parameters(cancel: &Arc<AtomicBool>) -> Vec<(Language, FullParams<'static, 'static>)> {
    let mut parameters = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    parameters.set_n_threads(1);
    parameters.set_no_context(true);
    parameters.set_single_segment(true);
    parameters.set_no_timestamps(true);
    parameters.set_temperature_inc(0.0);
    parameters.set_suppress_blank(true);
    // The gate of this room decides what is no speech; whisper.cpp would drop it without saying so.
    parameters.set_no_speech_thold(1.0);
    parameters.set_logprob_thold(-100.0);
    parameters.set_print_special(false);
    parameters.set_print_progress(false);
    parameters.set_print_realtime(false);
    parameters.set_print_timestamps(false);
    let flag = Arc::clone(cancel);
    // The type must be this very box: whisper-rs calls the closure through a pointer to a `Box<dyn FnMut() -> bool>`.
    // It is never freed there, so it is set once per decoder, not once per segment.
    let given_up: Box<dyn FnMut() -> bool> = Box::new(move || flag.load(Ordering::Relaxed));
    parameters.set_abort_callback_safe(given_up);
    let of = |language: Language| {
        let mut own = parameters.clone();
        own.set_language(Some(language.name()));
        (language, own)
    };
    vec![of(Language::Zh), of(Language::En)]
}

/// Ids of the tokens that are no text.
#[derive(Clone, Copy, Debug)]
struct SpecialTokens {
    /// Ids from this one on are no text.
    end_of_text: i32,
    start: i32,
    no_speech: i32,
}

struct WhisperDecoder {
    state: WhisperState,
    /// For each language its own: setting a language again would lose the memory of the one before.
    parameters: Vec<(Language, FullParams<'static, 'static>)>,
    context: Arc<WhisperContext>,
    header: ModelHeader,
    tokens: SpecialTokens,
    cancel: Arc<AtomicBool>,
}

impl Decoder for WhisperDecoder {
    fn decode(&mut self, request: &DecodeRequest) -> Result<Hypothesis, AsrError> {
        let max_ms = i64::from(self.header.n_audio_ctx) * 20;
        let got_ms = (request.samples.len() / (MODEL_RATE_HZ as usize / 1_000)) as i64;
        if got_ms > max_ms {
            return Err(AsrError::SegmentTooLong { got_ms, max_ms });
        }
        let mut padded: Vec<f32>;
        let samples: &[f32] = if request.samples.len() < MIN_SAMPLES {
            padded = request.samples.to_vec();
            padded.resize(MIN_SAMPLES, 0.0);
            &padded
        } else {
            &request.samples
        };
        let first = request.languages.first().copied().unwrap_or_default();
        let mut hypothesis = self.decode_in(samples, first, &request.context)?;
        if request.languages.len() > 1 {
            let probabilities = self.language_probabilities(&request.languages)?;
            let best = probabilities.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(first, |(language, _)| *language);
            if best != first {
                hypothesis = self.decode_in(samples, best, &request.context)?;
            }
            hypothesis.language_probabilities = probabilities;
        }
        Ok(hypothesis)
    }

    fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }
}

impl WhisperDecoder {
    fn decode_in(&mut self, samples: &[f32], language: Language, context: &str) -> Result<Hypothesis, AsrError> {
        let known = self.parameters.iter().find(|(of, _)| *of == language).map(|(_, parameters)| parameters.clone());
        let mut parameters: FullParams<'_, '_> =
            known.ok_or_else(|| AsrError::Decoder { detail: "a language without parameters".into() })?;
        let seconds = samples.len().div_ceil(MODEL_RATE_HZ as usize);
        parameters.set_max_tokens((SPARE_TOKENS + TOKENS_PER_S * seconds) as i32);
        let prompt = self.prompt(context);
        if !prompt.is_empty() {
            parameters.set_tokens(&prompt);
        }
        parameters.set_audio_ctx(self.positions_for(samples.len()) as i32);
        let outcome = self.state.full(parameters, samples);
        if self.cancel.load(Ordering::Relaxed) {
            return Err(AsrError::Cancelled);
        }
        outcome.map_err(|error| AsrError::Decoder { detail: error.to_string() })?;
        self.read(samples, language)
    }

    /// The tokens of the end of a context; none if there is none, or if it cannot be written in tokens.
    fn prompt(&self, context: &str) -> Vec<i32> {
        if context.is_empty() {
            return Vec::new();
        }
        let skipped = context.chars().count().saturating_sub(MAX_CONTEXT_CHARACTERS);
        let text: String = context.chars().skip(skipped).collect();
        self.context.tokenize(&text, MAX_CONTEXT_TOKENS).unwrap_or_default()
    }

    /// Encoder positions for a segment; whisper.cpp drops what lies behind them without a word.
    fn positions_for(&self, n_samples: usize) -> usize {
        let needed = n_samples.div_ceil(POSITION_SAMPLES) + POSITION_MARGIN;
        let least = if self.header.n_audio_ctx == FULL_WINDOW_POSITIONS { FULL_WINDOW_MIN_POSITIONS } else { POSITION_STEP };
        needed.next_multiple_of(POSITION_STEP).max(least).min(self.header.n_audio_ctx as usize)
    }

    /// Probabilities of the languages asked for, from the segment decoded last (its spectrum and its window are still in
    /// the state, so the answer depends on this segment alone).
    fn language_probabilities(&self, languages: &[Language]) -> Result<Vec<(Language, f32)>, AsrError> {
        let (_, all) = match self.state.lang_detect(0, 1) {
            Ok(found) => found,
            Err(_) if self.cancel.load(Ordering::Relaxed) => return Err(AsrError::Cancelled),
            Err(error) => return Err(AsrError::Decoder { detail: error.to_string() }),
        };
        let of = |language: Language| {
            whisper_rs::get_lang_id(language.name()).and_then(|id| all.get(id as usize).copied()).unwrap_or(0.0)
        };
        let total: f32 = languages.iter().map(|&language| of(language)).sum();
        let even = 1.0 / languages.len() as f32;
        Ok(languages.iter().map(|&l| (l, if total > 0.0 { of(l) / total } else { even })).collect())
    }

    /// Probability that nobody spoke in the segment decoded last: of that token right behind the start token.
    ///
    /// whisper.cpp's own figure is read from a row of logits that its greedy pass does not fill, so it depends on what
    /// was decoded before.
    fn no_speech(&mut self) -> Result<f32, AsrError> {
        let failed = |error: whisper_rs::WhisperError| AsrError::Decoder { detail: error.to_string() };
        self.state.decode(&[self.tokens.start], 0, 1).map_err(failed)?;
        let logits = self.state.get_logits().map_err(failed)?;
        let logits = &logits[..logits.len().min(self.header.n_vocab as usize)];
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        let chosen = logits.get(self.tokens.no_speech as usize).map_or(0.0, |logit| (logit - highest).exp());
        Ok(if total > 0.0 { chosen / total } else { 0.0 })
    }

    fn read(&mut self, samples: &[f32], language: Language) -> Result<Hypothesis, AsrError> {
        let unreadable = |error: whisper_rs::WhisperError| AsrError::Decoder { detail: error.to_string() };
        let mut tokens = Vec::new();
        for segment in self.state.as_iter() {
            for index in 0..segment.n_tokens() {
                let Some(token) = segment.get_token(index) else { continue };
                tokens.push(Token {
                    id: token.token_id(),
                    bytes: token.to_bytes().map_err(unreadable)?.to_vec(),
                    probability: token.token_probability(),
                });
            }
        }
        let no_speech = if tokens.is_empty() { 1.0 } else { self.no_speech()? };
        Ok(words::assemble(&tokens, samples, language, no_speech, |id| id < self.tokens.end_of_text))
    }
}
