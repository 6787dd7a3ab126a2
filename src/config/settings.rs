//! The settings and how they are read and checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use super::{ChatSettings, ConfigError, HeadSettings, Problem, Secret};
use crate::inference::Precision;
use crate::telemetry::LogFormat;

/// Two-channel voice calls that a decoder carries with the default model, by `zhiyin bench overload` on two cores (docs/load.md):
/// with 32 of them finals stayed below 700 ms (p95) and none was lost.
pub const CALLS_PER_DECODER: usize = 16;

/// All settings of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Network.
    pub server: ServerSettings,
    /// Where everything is kept.
    pub store: StoreSettings,
    /// Recogniser.
    pub asr: AsrSettings,
    /// Voice activity and endpoints.
    pub vad: VadSettings,
    /// Text encoder.
    pub encoder: EncoderSettings,
    /// Models that answer a task instead of the encoder's own head, by task.
    pub heads: BTreeMap<String, HeadSettings>,
    /// How the encoder computes.
    pub inference: InferenceSettings,
    /// Knowledge search.
    pub knowledge: KnowledgeSettings,
    /// When suggestions are made.
    pub suggestions: SuggestionSettings,
    /// Quality inspection.
    pub quality: QualitySettings,
    /// Personal data.
    pub privacy: PrivacySettings,
    /// Chat bot.
    pub chat: ChatSettings,
    /// Sizes and rates.
    pub limits: LimitSettings,
    /// Logs.
    pub log: LogSettings,
}

/// Network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSettings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// How long a call waits for its audio to come back, seconds.
    pub resume_grace_s: u64,
    /// Longest time to finish work at shutdown, seconds.
    pub drain_s: u64,
    /// Voice calls at once; more are refused with 429. 0: [`CALLS_PER_DECODER`] for each decoder of the recogniser.
    pub max_calls: usize,
    /// New voice calls are refused with 429 while a final waits this long for a decoder, or when one more call would take
    /// the decoders more time than they have, milliseconds. 0: only `max_calls` counts.
    pub max_final_wait_ms: u64,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Address under which others reach this service, for example `wss://assist.example.org`; media streams are signed over it.
    pub public_url: String,
    /// Secret of the telephony account that signs its media streams; empty: a token in the stream's parameters is asked for.
    pub twilio_secret: Secret,
    /// Take the token from `?token=` on the Rasa surface, as Rasa's own clients send it. Addresses end up in logs of proxies.
    pub query_tokens: bool,
}

/// Where everything is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreSettings {
    /// Folder of the database, the index and recordings.
    pub path: PathBuf,
    /// What survives: `normal` the death of the process, `full` loss of power too.
    pub sync: SyncMode,
    /// Largest size of the database in MiB; 0: as large as the disk.
    pub max_mib: u32,
}

/// How far a commit reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// Survives `kill -9`.
    #[default]
    Normal,
    /// Survives loss of power.
    Full,
}

/// Recogniser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AsrSettings {
    /// Model id under `models/`, or a path to a ggml file.
    pub model: String,
    /// Decoders that run at once; 0 = one per core.
    pub decoders: usize,
    /// New audio before the next partial, milliseconds.
    pub partial_every_ms: u64,
    /// The final before is given to the recogniser as a prompt.
    pub carry_over: bool,
}

/// Voice activity and endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VadSettings {
    /// Silence that ends an utterance, milliseconds.
    pub endpoint_ms: u64,
    /// Longest utterance, milliseconds.
    pub max_segment_ms: u64,
    /// Unfinished words wait longer, a complete question ends sooner.
    pub by_meaning: bool,
}

/// Text encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderSettings {
    /// Model id under `models/`, or a path to a folder.
    pub model: String,
    /// Worker threads; 0 = one per core.
    pub threads: usize,
}

/// How the encoder computes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferenceSettings {
    /// `fp32`, or `int8` for about twice the speed and slightly other numbers.
    pub precision: Precision,
}

/// Knowledge search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnowledgeSettings {
    /// Load the built-in articles into an empty store.
    pub builtin_articles: bool,
    /// Cross-encoder that reads query and passage together, orders the best passages of a search anew and answers `/rerank`:
    /// folder, or the name of one in `models`, of a sequence classification checkpoint with one output; empty: none, and
    /// `/rerank` takes the cosine of the encoder's vectors.
    pub reranker: String,
    /// Qdrant server, for example `http://qdrant:6334`; `https://` for TLS (roots of the system, or of the file that
    /// `SSL_CERT_FILE` names); empty = embedded.
    pub qdrant_url: String,
    /// File that holds the API key of the Qdrant server and nothing else; empty = no key.
    pub qdrant_api_key_file: PathBuf,
    /// Collection on the Qdrant server; made if absent.
    pub qdrant_collection: String,
    /// Longest time of a search on the Qdrant server, milliseconds; later the words answer alone.
    pub qdrant_timeout_ms: u64,
}

/// When suggestions are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuggestionSettings {
    /// Least score in [0, 1] of a passage that is shown.
    pub min_score: f32,
    /// The same passage is not shown again for this long, milliseconds of the call.
    pub cool_down_ms: i64,
    /// Most suggestions per utterance.
    pub per_utterance: usize,
}

/// Quality inspection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualitySettings {
    /// Scheme id under `pipelines/schemes`.
    pub scheme: String,
}

/// Personal data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrivacySettings {
    /// Take personal data out of the words before anything is kept: events, messages, summaries, what rules see.
    pub redact_text: bool,
    /// Which kinds are taken out; the list is in `pipelines/taxonomy/entity.toml` under `personal`.
    pub redact_kinds: Vec<crate::privacy::Kind>,
}

impl PrivacySettings {
    /// The kinds to take out; none if that is switched off.
    pub fn kinds(&self) -> crate::privacy::KindSet {
        if self.redact_text { self.redact_kinds.iter().copied().collect() } else { crate::privacy::KindSet::new() }
    }
}

/// Sizes and rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitSettings {
    /// JSON body, bytes.
    pub json_bytes: usize,
    /// Text message, code points.
    pub message_chars: usize,
    /// Requests a second per token in class `control`.
    pub control_per_s: f64,
    /// Requests a second per token in class `search`.
    pub search_per_s: f64,
    /// Requests a second per token in class `infer`.
    pub infer_per_s: f64,
    /// New streams a second per token.
    pub stream_per_s: f64,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogSettings {
    /// Tracing directive, for example `info` or `zhiyin=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            resume_grace_s: 30,
            drain_s: 60,
            max_calls: 0,
            max_final_wait_ms: 1_000,
            cors_origins: Vec::new(),
            public_url: String::new(),
            twilio_secret: Secret::default(),
            query_tokens: false,
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { path: PathBuf::from("data"), sync: SyncMode::Normal, max_mib: 0 }
    }
}

impl Default for AsrSettings {
    fn default() -> Self {
        Self { model: "zhiyin-asr-small".into(), decoders: 0, partial_every_ms: 400, carry_over: false }
    }
}

impl Default for VadSettings {
    fn default() -> Self {
        Self { endpoint_ms: 450, max_segment_ms: 10_000, by_meaning: true }
    }
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self { model: "zhiyin-encoder-small".into(), threads: 1 }
    }
}

impl Default for KnowledgeSettings {
    fn default() -> Self {
        Self {
            builtin_articles: true,
            reranker: String::new(),
            qdrant_url: String::new(),
            qdrant_api_key_file: PathBuf::new(),
            qdrant_collection: "zhiyin_knowledge".into(),
            qdrant_timeout_ms: 80,
        }
    }
}

impl Default for SuggestionSettings {
    fn default() -> Self {
        Self { min_score: 0.5, cool_down_ms: 60_000, per_utterance: 1 }
    }
}

impl Default for QualitySettings {
    fn default() -> Self {
        Self { scheme: "general".into() }
    }
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self { redact_text: true, redact_kinds: crate::privacy::default_kinds().into_iter().collect() }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            json_bytes: 1 << 20,
            message_chars: 8_000,
            control_per_s: 50.0,
            search_per_s: 100.0,
            infer_per_s: 200.0,
            stream_per_s: 20.0,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl Settings {
    /// Reads defaults, then the file (if named), then the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match file {
            None => String::new(),
            Some(path) => {
                std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?
            }
        };
        Self::resolve(&text, file.unwrap_or(Path::new("(defaults)")), true)
    }

    /// Reads defaults and a TOML text, without the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::resolve(text, Path::new("(text)"), false)
    }

    fn resolve(text: &str, path: &Path, with_environment: bool) -> Result<Self, ConfigError> {
        let table: toml::Table = text
            .parse()
            .map_err(|e: toml::de::Error| ConfigError::Syntax { path: path.to_path_buf(), message: e.to_string() })?;
        let mut figment = Figment::from(Serialized::defaults(Settings::default())).merge(Toml::string(text));
        if with_environment {
            figment = figment.merge(Env::prefixed("ZHIYIN_").ignore(&["home"]).split("__"));
        }
        let mut problems = unknown_keys(&table);
        if with_environment {
            problems.extend(unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())));
        }
        match figment.extract::<Settings>() {
            Ok(settings) => {
                problems.extend(settings.contradictions());
                if problems.is_empty() { Ok(settings) } else { Err(ConfigError::Invalid(problems)) }
            }
            Err(errors) => {
                problems.extend(errors.into_iter().map(|e| Problem {
                    key: e.path.join("."),
                    message: e.kind.to_string(),
                    hint: None,
                }));
                Err(ConfigError::Invalid(problems))
            }
        }
    }

    /// Voice calls that are carried at once: as set, or by the decoders of the recogniser.
    pub fn call_slots(&self) -> usize {
        let decoders = if self.asr.decoders == 0 { num_cpus::get() } else { self.asr.decoders };
        if self.server.max_calls == 0 { (CALLS_PER_DECODER * decoders).min(2_048) } else { self.server.max_calls }
    }

    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut require = |ok: bool, key: &str, message: &str| {
            if !ok {
                problems.push(Problem { key: key.into(), message: message.into(), hint: None });
            }
        };
        require(self.server.max_calls <= 2_048, "server.max_calls", "must be at most 2048; 0 means as many as the cores carry");
        require((100..=5_000).contains(&self.vad.endpoint_ms), "vad.endpoint_ms", "must be from 100 to 5000");
        require(
            (2_000..=10_000).contains(&self.vad.max_segment_ms),
            "vad.max_segment_ms",
            "must be from 2000 to 10000: the recogniser hears at most 10 s at once",
        );
        require((0.0..=1.0).contains(&self.suggestions.min_score), "suggestions.min_score", "must lie in [0, 1]");
        require(
            (5..=10_000).contains(&self.knowledge.qdrant_timeout_ms),
            "knowledge.qdrant_timeout_ms",
            "must be from 5 to 10000",
        );
        require(self.chat.deadline_ms >= 1_000, "chat.deadline_ms", "must be at least 1000");
        require((-720..=840).contains(&self.chat.utc_offset_min), "chat.utc_offset_min", "must be from -720 to 840");
        require(
            self.chat.rewrite_url.is_empty() || !self.chat.rewrite_model.is_empty(),
            "chat.rewrite_model",
            "must name the model when chat.rewrite_url is set",
        );
        for (task, head) in &self.heads {
            require(!head.model.is_empty(), &format!("heads.{task}.model"), "must name a model");
        }
        for site in &self.chat.sites {
            require(site.key.reveal().is_some_and(|k| k.len() >= 16), "chat.sites.key", "must have at least 16 characters");
            require(!site.origins.is_empty(), "chat.sites.origins", "must name at least one origin");
        }
        require(self.limits.json_bytes >= 1_024, "limits.json_bytes", "must be at least 1024");
        problems
    }
}

/// Keys of the file that no setting has, each with the nearest known name.
fn unknown_keys(table: &toml::Table) -> Vec<Problem> {
    let Ok(toml::Value::Table(known)) = toml::Value::try_from(Settings::default()) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for (section, value) in table {
        // The keys of `heads` are tasks, which a deployment names.
        if section == "heads" {
            continue;
        }
        let Some(toml::Value::Table(fields)) = known.get(section) else {
            problems.push(unknown(section, section, known.keys()));
            continue;
        };
        let Some(values) = value.as_table() else { continue };
        for key in values.keys().filter(|key| !fields.contains_key(*key)) {
            problems.push(unknown(&format!("{section}.{key}"), key, fields.keys()));
        }
    }
    problems
}

/// Variables that are written as settings are, `ZHIYIN_SECTION__KEY`, and name none.
pub(super) fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<Problem> {
    let problem = |name: String| {
        let (section, rest) = name.strip_prefix("ZHIYIN_")?.split_once("__")?;
        let key = rest.split("__").next().unwrap_or(rest).to_lowercase();
        let keys = toml::Table::from_iter([(key, toml::Value::Boolean(true))]);
        let problem = unknown_keys(&toml::Table::from_iter([(section.to_lowercase(), keys.into())])).pop()?;
        Some(Problem { key: name, ..problem })
    };
    names.filter_map(problem).collect()
}

fn unknown<'a>(key: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Problem {
    let nearest = known.max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    Problem {
        key: key.to_owned(),
        message: "there is no such setting".to_owned(),
        hint: nearest.map(|n| format!("did you mean \"{n}\"?")),
    }
}
