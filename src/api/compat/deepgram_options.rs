//! Query parameters of Deepgram's live socket.

use super::super::Problem;
use super::{EarOptions, count_unknown};
use crate::audio::Encoding;
use crate::vad::VadConfig;

/// What a client asked for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) model: String,
    pub(super) interim: bool,
    pub(super) channels: usize,
    pub(super) utterance_end_ms: Option<i64>,
    pub(super) vad_events: bool,
    pub(super) readable: bool,
    pub(super) diarize: bool,
    pub(super) extra: Vec<(String, String)>,
    pub(super) tags: Vec<String>,
    pub(super) ear: EarOptions,
}

/// Accepted without effect.
const WITHOUT_EFFECT: [&str; 14] = [
    "profanity_filter",
    "dictation",
    "version",
    "search",
    "replace",
    "redact",
    "detect_entities",
    "mip_opt_out",
    "filler_words",
    "measurements",
    "diarize_model",
    "no_delay",
    "token",
    "ticket",
];

impl Options {
    /// Reads the query; every wrong value is refused with its name.
    pub(super) fn parse(query: &[(String, String)]) -> Result<Self, Problem> {
        let mut options = Self {
            model: "zhiyin-live".into(),
            interim: false,
            channels: 1,
            utterance_end_ms: None,
            vad_events: false,
            readable: false,
            diarize: false,
            extra: Vec::new(),
            tags: Vec::new(),
            ear: EarOptions::default(),
        };
        let mut endpointing_ms = None;
        for (name, value) in query {
            match name.as_str() {
                "model" => options.model.clone_from(value),
                "language" => options.ear.languages = languages(value)?,
                "encoding" => options.ear.encoding = encoding(value)?,
                "sample_rate" => options.ear.rate_hz = number(name, value, 8_000, 48_000)? as u32,
                "channels" => options.channels = number(name, value, 1, 2)? as usize,
                // Channels are always told apart.
                "multichannel" => {
                    flag(name, value)?;
                }
                "interim_results" => options.interim = flag(name, value)?,
                "vad_events" => options.vad_events = flag(name, value)?,
                "punctuate" | "smart_format" | "numerals" => options.readable |= flag(name, value)?,
                "diarize" => options.diarize = flag(name, value)?,
                "endpointing" if value == "false" => endpointing_ms = None,
                "endpointing" if value == "true" => {}
                "endpointing" => endpointing_ms = Some(number(name, value, 10, 5_000)?),
                "utterance_end_ms" => options.utterance_end_ms = Some(number(name, value, 1_000, 60_000)?),
                // `word` or `word:weight`
                "keyterm" | "keywords" => {
                    let (word, weight) = value.split_once(':').unwrap_or((value, ""));
                    let weight = weight.parse::<f32>().map_or(super::HOT_WORD_WEIGHT, |w| (2.0 * w).clamp(1.0, 10.0));
                    options.ear.hot_words.push((word.to_owned(), weight));
                }
                "extra" => options.extra.extend(value.split_once(':').map(|(k, v)| (k.to_owned(), v.to_owned()))),
                "tag" => options.tags.push(value.clone()),
                "callback" | "callback_method" => {
                    return Err(Problem::new("invalid_query", "callback is not supported: read the results on this socket"));
                }
                known if WITHOUT_EFFECT.contains(&known) => {}
                _ => count_unknown("deepgram"),
            }
        }
        options.ear.channels = options.channels;
        options.ear.partials = options.interim;
        if let Some(ms) = endpointing_ms {
            let hangover_ms = (ms as u32).clamp(100, 5_000);
            let known = VadConfig::default();
            options.ear.vad = VadConfig { hangover_ms, padding_ms: known.padding_ms.min(hangover_ms), ..known };
        }
        Ok(options)
    }
}

fn refused(name: &str, what: &str) -> Problem {
    Problem::new("invalid_query", format!("{name}: {what}"))
}

fn number(name: &str, value: &str, least: i64, most: i64) -> Result<i64, Problem> {
    let parsed = value.parse::<i64>().ok().filter(|n| (least..=most).contains(n));
    parsed.ok_or_else(|| refused(name, &format!("a number from {least} to {most}")))
}

fn flag(name: &str, value: &str) -> Result<bool, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(refused(name, "true or false")),
    }
}

fn encoding(value: &str) -> Result<Encoding, Problem> {
    match value {
        "linear16" => Ok(Encoding::PcmS16le),
        "mulaw" => Ok(Encoding::Mulaw),
        "alaw" => Ok(Encoding::Alaw),
        _ => Err(refused("encoding", "linear16, mulaw or alaw")),
    }
}

fn languages(value: &str) -> Result<Vec<String>, Problem> {
    match value {
        "multi" => Ok(Vec::new()),
        tag if crate::conversation::Language::from_tag(tag).is_some() => Ok(vec![tag.to_owned()]),
        _ => Err(refused("language", "zh, zh-CN, en, en-US or multi")),
    }
}
