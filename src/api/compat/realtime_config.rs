//! Configuration of a realtime transcription session, in today's shape and in the one that was withdrawn (beta).

use serde_json::{Value, json};

use super::EarOptions;
use super::openai_audio::{FINAL_MODELS, LIVE_MODELS};
use crate::audio::Encoding;
use crate::vad::VadConfig;

/// Which of the two shapes a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Ga,
    Beta,
}

impl Shape {
    pub(super) fn created(self) -> &'static str {
        match self {
            Self::Ga => "session.created",
            Self::Beta => "transcription_session.created",
        }
    }

    pub(super) fn updated(self) -> &'static str {
        match self {
            Self::Ga => "session.updated",
            Self::Beta => "transcription_session.updated",
        }
    }
}

/// What stops a turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TurnDetection {
    /// Silence.
    Vad { threshold: f32, padding_ms: u32, silence_ms: u32, semantic: bool },
    /// The client commits.
    Manual,
}

/// A session's settings.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) model: String,
    pub(super) languages: Vec<String>,
    hot_words: Vec<(String, f32)>,
    pub(super) encoding: Encoding,
    pub(super) rate_hz: u32,
    pub(super) turns: TurnDetection,
    pub(super) logprobs: bool,
    /// Known options without effect here, echoed as the client set them.
    transcription: Value,
    noise_reduction: Value,
}

/// A value that cannot be used: its place and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) param: &'static str,
    pub(super) message: String,
}

fn refused(param: &'static str, message: &str) -> Refused {
    Refused { param, message: message.to_owned() }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: "zhiyin-live".into(),
            languages: Vec::new(),
            hot_words: Vec::new(),
            encoding: Encoding::PcmS16le,
            rate_hz: 24_000,
            turns: TurnDetection::Vad { threshold: 0.5, padding_ms: 300, silence_ms: 500, semantic: false },
            logprobs: false,
            transcription: json!({}),
            noise_reduction: Value::Null,
        }
    }
}

impl Config {
    /// Whether deltas come while speech runs.
    pub(super) fn is_live(&self) -> bool {
        LIVE_MODELS.contains(&self.model.as_str()) || !FINAL_MODELS.contains(&self.model.as_str())
    }

    /// The settings with a client's changes; nothing changes if one of them cannot be used.
    pub(super) fn updated(&self, session: &Value, shape: Shape) -> Result<Self, Refused> {
        let mut next = self.clone();
        if session.get("type").is_some_and(|t| t != "transcription") {
            return Err(refused("session.type", "this service has sessions of type transcription"));
        }
        let (format, transcription, noise, turns) = match shape {
            Shape::Ga => {
                let input = &session["audio"]["input"];
                (&input["format"], &input["transcription"], input.get("noise_reduction"), input.get("turn_detection"))
            }
            Shape::Beta => (
                &session["input_audio_format"],
                &session["input_audio_transcription"],
                session.get("input_audio_noise_reduction"),
                session.get("turn_detection"),
            ),
        };
        next.set_format(format)?;
        next.set_transcription(transcription)?;
        if let Some(turns) = turns {
            next.turns = turn_detection(turns)?;
        }
        if let Some(noise) = noise {
            next.noise_reduction = noise.clone();
        }
        if let Some(include) = session.get("include").and_then(Value::as_array) {
            next.logprobs = include.iter().any(|i| i == "item.input_audio_transcription.logprobs");
        }
        Ok(next)
    }

    fn set_format(&mut self, format: &Value) -> Result<(), Refused> {
        let kind = format.as_str().or_else(|| format["type"].as_str());
        (self.encoding, self.rate_hz) = match kind {
            None => return Ok(()),
            Some("audio/pcm" | "pcm16") => {
                let rate = format.get("rate").and_then(Value::as_u64).unwrap_or(24_000);
                if ![8_000, 16_000, 24_000, 48_000].contains(&rate) {
                    return Err(refused("session.audio.input.format.rate", "8000, 16000, 24000 or 48000"));
                }
                (Encoding::PcmS16le, rate as u32)
            }
            Some("audio/pcmu" | "g711_ulaw") => (Encoding::Mulaw, 8_000),
            Some("audio/pcma" | "g711_alaw") => (Encoding::Alaw, 8_000),
            Some(_) => return Err(refused("session.audio.input.format.type", "audio/pcm, audio/pcmu or audio/pcma")),
        };
        Ok(())
    }

    fn set_transcription(&mut self, transcription: &Value) -> Result<(), Refused> {
        let Some(fields) = transcription.as_object() else { return Ok(()) };
        if let Some(model) = transcription["model"].as_str() {
            if !FINAL_MODELS.contains(&model) && !LIVE_MODELS.contains(&model) {
                return Err(refused("session.audio.input.transcription.model", "zhiyin-live or zhiyin-final"));
            }
            self.model = model.to_owned();
        }
        let one = transcription["language"].as_str().map(|l| vec![l.to_owned()]);
        let many = transcription["languages"].as_array();
        let many = many.map(|l| l.iter().filter_map(|l| l.as_str().map(str::to_owned)).collect::<Vec<_>>());
        if let Some(languages) = many.filter(|l| !l.is_empty()).or(one.filter(|l| !l[0].is_empty())) {
            if languages.iter().any(|l| crate::conversation::Language::from_tag(l).is_none()) {
                return Err(refused("session.audio.input.transcription.language", "zh and en are supported"));
            }
            self.languages = languages;
        }
        if let Some(words) = transcription["keywords"].as_array() {
            let words = words.iter().filter_map(|w| w.as_str());
            self.hot_words = words.map(|w| (w.to_owned(), super::HOT_WORD_WEIGHT)).collect();
        }
        for (name, value) in fields {
            self.transcription[name] = value.clone();
        }
        Ok(())
    }

    /// How to listen under these settings.
    pub(super) fn ear(&self) -> EarOptions {
        let known = VadConfig::default();
        let vad = match self.turns {
            // 0.5 is the vendor's middle; ours is 0.6 to begin and 0.4 to go on.
            TurnDetection::Vad { threshold, padding_ms, silence_ms, .. } => VadConfig {
                on_threshold: (threshold + 0.1).clamp(0.05, 0.95),
                off_threshold: (threshold - 0.1).clamp(0.02, 0.9),
                hangover_ms: silence_ms,
                padding_ms: padding_ms.min(silence_ms),
                ..known
            },
            TurnDetection::Manual => VadConfig { hangover_ms: 1_500, ..known },
        };
        EarOptions {
            encoding: self.encoding,
            rate_hz: self.rate_hz,
            languages: self.languages.clone(),
            hot_words: self.hot_words.clone(),
            vad,
            partials: self.is_live(),
            ..EarOptions::default()
        }
    }

    /// The session as the server shows it.
    pub(super) fn shown(&self, id: &str, shape: Shape) -> Value {
        let mut transcription = self.transcription.clone();
        transcription["model"] = self.model.clone().into();
        if let Some(language) = self.languages.first() {
            transcription["language"] = language.clone().into();
        }
        let turns = match &self.turns {
            TurnDetection::Manual => Value::Null,
            TurnDetection::Vad { semantic: true, .. } => json!({"type": "semantic_vad", "eagerness": "auto"}),
            TurnDetection::Vad { threshold, padding_ms, silence_ms, .. } => json!({
                "type": "server_vad", "threshold": threshold, "prefix_padding_ms": padding_ms, "silence_duration_ms": silence_ms,
            }),
        };
        let include = if self.logprobs { json!(["item.input_audio_transcription.logprobs"]) } else { json!([]) };
        match shape {
            Shape::Ga => {
                let format = match self.encoding {
                    Encoding::PcmS16le => json!({"type": "audio/pcm", "rate": self.rate_hz}),
                    Encoding::Mulaw => json!({"type": "audio/pcmu"}),
                    Encoding::Alaw => json!({"type": "audio/pcma"}),
                };
                json!({
                    "type": "transcription", "object": "realtime.transcription_session", "id": id, "include": include,
                    "audio": {"input": {
                        "format": format, "transcription": transcription, "noise_reduction": self.noise_reduction,
                        "turn_detection": turns,
                    }},
                })
            }
            Shape::Beta => {
                let format = match self.encoding {
                    Encoding::PcmS16le => "pcm16",
                    Encoding::Mulaw => "g711_ulaw",
                    Encoding::Alaw => "g711_alaw",
                };
                json!({
                    "object": "realtime.transcription_session", "id": id, "include": include, "input_audio_format": format,
                    "input_audio_transcription": transcription, "input_audio_noise_reduction": self.noise_reduction,
                    "turn_detection": turns,
                })
            }
        }
    }
}

fn turn_detection(value: &Value) -> Result<TurnDetection, Refused> {
    if value.is_null() {
        return Ok(TurnDetection::Manual);
    }
    let number = |name: &str, default: f64| value.get(name).and_then(Value::as_f64).unwrap_or(default);
    match value["type"].as_str().unwrap_or("server_vad") {
        "server_vad" => {
            let threshold = number("threshold", 0.5);
            let silence_ms = number("silence_duration_ms", 500.0);
            if !(0.0..=1.0).contains(&threshold) {
                return Err(refused("session.audio.input.turn_detection.threshold", "0 to 1"));
            }
            if !(100.0..=5_000.0).contains(&silence_ms) {
                return Err(refused("session.audio.input.turn_detection.silence_duration_ms", "100 to 5000"));
            }
            let padding_ms = number("prefix_padding_ms", 300.0).clamp(0.0, 1_000.0) as u32;
            Ok(TurnDetection::Vad { threshold: threshold as f32, padding_ms, silence_ms: silence_ms as u32, semantic: false })
        }
        "semantic_vad" => {
            // Eagerness becomes patience: how much silence ends a turn.
            let silence_ms = match value["eagerness"].as_str() {
                Some("high") => 300,
                Some("low") => 1_200,
                _ => 600,
            };
            Ok(TurnDetection::Vad { threshold: 0.5, padding_ms: 300, silence_ms, semantic: true })
        }
        _ => Err(refused("session.audio.input.turn_detection.type", "server_vad, semantic_vad, or null for manual commits")),
    }
}
