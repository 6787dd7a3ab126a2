//! Recognition: speech segments to words.
//!
//! ```text
//! vad::OpenSegment   -> Session ~ partial jobs ~> Engine (queue, decoder threads, shared weights) ~> AsrEvent::Partial
//! vad::SpeechSegment -> Session ~ final jobs   ~> Engine                                          ~> AsrEvent::Final
//! ```
//!
//! * [`Engine`]: the weights and a fixed pool of decoder threads behind one queue. Finals before everything, oldest deadline
//!   first; partials only while there is room, and a running one is given up for a final.
//! * [`Session`]: one audio channel. It holds a permit of the engine ([`AsrError::Overloaded`] when all are taken),
//!   stabilises partials, keeps finals in order and drops words without evidence of speech.
//! * [`RecognizerEngine`]: what decodes. [`WhisperEngine`] is whisper.cpp, [`ScriptedEngine`] knows its audio by heart.
//!
//! * [`HotWords`]: words that a call expects; what sounds like one becomes it, in partials and finals.
//!
//! * [`ending_of`]: whether the words so far sound finished; it decides how much silence ends the segment.
//!
//! Times: exact per segment, words interpolated (see `words.rs`). Confidences are mean token probabilities.
//!
//! ```no_run
//! use std::{path::Path, sync::Arc};
//! use zhiyin::asr::{Engine, EngineConfig, SessionConfig, WhisperEngine};
//! let model = WhisperEngine::load(Path::new("models/zhiyin-asr-small/model.bin"), "zhiyin-asr-small")?;
//! let engine = Engine::start(Arc::new(model), EngineConfig::default())?;
//! let session = engine.session(SessionConfig::default())?;
//! # Ok::<(), zhiyin::asr::AsrError>(())
//! ```

mod config;
mod engine;
mod error;
mod gate;
mod hot_words;
mod language;
mod load;
mod mailbox;
mod meaning;
mod model_file;
mod partial;
mod queue;
mod recognizer;
mod scripted;
mod session;
mod transcript;
mod whisper;
mod words;

pub use config::{EngineConfig, GateConfig};
pub use engine::{Engine, EngineStats, PartialPolicy};
pub use error::AsrError;
pub use gate::{Rejection, judge};
pub use hot_words::{CallHints, HotWords, MAX_HOT_WORDS};
pub use language::CallLanguage;
pub use load::EngineLoad;
pub use meaning::{CONJUNCTIONS_EN, CONJUNCTIONS_ZH, Ending, FILLERS_EN, FILLERS_ZH, QUESTIONS_EN, QUESTIONS_ZH, ending_of};
pub use model_file::{ModelHeader, check_model_file};
pub use recognizer::{DecodeRequest, Decoder, Hypothesis, RecognizerEngine};
pub use scripted::{ScriptedEngine, ScriptedTrack};
pub use session::Session;
pub use transcript::{AsrEvent, FinalTranscript, PartialTranscript, SegmentTimes, SessionConfig, Timings};
pub use whisper::WhisperEngine;

#[cfg(test)]
pub(crate) mod tests;
