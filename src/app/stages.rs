//! Loading what the stages share.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;

use super::assets::{load_rules, load_scheme, load_schemes};
use crate::asr::{Engine, EngineConfig, WhisperEngine};
use crate::assist::{AdvisorConfig, TemplateBook};
use crate::config::{KnowledgeSettings, Settings};
use crate::inference::{Encoder, EncoderModel, EncoderSettings, Head};
use crate::knowledge::{KnowledgeConfig, KnowledgeIndex, QdrantConfig, VectorBackend};
use crate::nlu::{Cues, Gazetteer, Reader, Taxonomy};
use crate::pipeline::{InForce, Stages, load_head};
use crate::quality::Models;
use crate::registry::{ModelKind, Registry, RegistryConfig};
use crate::text::itn::Itn;

/// What to load besides the encoder.
#[derive(Clone, Copy, Debug)]
pub struct StageOptions<'a> {
    /// Load the recogniser.
    pub recogniser: bool,
    /// Pipeline id.
    pub pipeline: &'a str,
    /// Folder of the knowledge index; `None`: a temporary one that is empty.
    pub index: Option<&'a Path>,
    /// Scheme id or file; the setting by default.
    pub scheme: Option<&'a str>,
}

/// Stages and the models in them.
pub struct Built {
    /// The stages.
    pub stages: Arc<Stages>,
    /// Cards in brief.
    pub models: Vec<Value>,
}

/// The model registry of a home folder and a store folder.
///
/// # Errors
/// A folder cannot be read.
pub fn registry(home: &Path, settings: &Settings) -> anyhow::Result<Registry> {
    let hub = crate::config::hub_settings();
    Ok(Registry::open(RegistryConfig::new(home, &settings.store.path, hub)))
}

/// Loads models, rules, wordings and the index.
///
/// # Errors
/// Something named in the settings is missing or cannot be used; the error says what, where and how to mend it.
pub fn build_stages(home: &Path, settings: &Settings, options: StageOptions<'_>) -> anyhow::Result<Built> {
    let registry = registry(home, settings)?;
    let pipelines = home.join("pipelines");
    // The two models are the slow part: they load side by side.
    let (recogniser, encoder) = std::thread::scope(|scope| {
        let recogniser = options.recogniser.then(|| scope.spawn(|| load_recogniser(&registry, settings)));
        let encoder = load_encoder(&registry, settings);
        let recogniser = recogniser.map(|thread| thread.join().map_err(|_| anyhow::anyhow!("loading the recogniser failed")));
        (recogniser, encoder)
    });
    let (encoder, encoder_card) = encoder?;
    let mut models = vec![encoder_card];
    let recogniser = match recogniser {
        None => None,
        Some(loaded) => {
            let (engine, card) = loaded??;
            models.push(card);
            Some(engine)
        }
    };
    models.extend(set_heads(&registry, &encoder, settings)?);
    let version = encoder.model().version().to_string();
    let index = open_index(options.index, &pipelines, &version, encoder.model().embedding_size(), settings)?;
    let for_rules = encoder.clone();
    let stages = Stages {
        spec: Stages::load_spec(home, options.pipeline)?,
        reader: Reader::new(Taxonomy::load(&pipelines.join("taxonomy"))?)
            .with_names(Gazetteer::load(&pipelines.join("taxonomy"))?)
            .with_cues(Cues::load(&pipelines.join("taxonomy"))?),
        itn: Itn::new(),
        privacy: settings.privacy.kinds(),
        reranker: index.reranker(),
        knowledge: Arc::new(index),
        templates: TemplateBook::load(&pipelines.join("templates/tone.toml"))?,
        advisor: AdvisorConfig {
            min_score: settings.suggestions.min_score,
            cool_down_ms: settings.suggestions.cool_down_ms,
            per_utterance: settings.suggestions.per_utterance,
            ..AdvisorConfig::default()
        },
        quality: InForce::new(
            load_rules(&pipelines.join("rules"))?,
            load_schemes(&pipelines.join("schemes"))?,
            load_scheme(&pipelines.join("schemes"), options.scheme.unwrap_or(&settings.quality.scheme))?,
        ),
        models: Models::default().with_encoder(&version, 20_000, move |text| for_rules.embed(text).ok()),
        encoder,
        recogniser,
    };
    Ok(Built { stages: Arc::new(stages), models })
}

fn load_encoder(registry: &Registry, settings: &Settings) -> anyhow::Result<(Encoder, Value)> {
    let resolved = registry.resolve_kind(&settings.encoder.model, ModelKind::Encoder)?;
    let model = EncoderModel::load_in(&resolved.dir, settings.inference.precision).context("encoder")?;
    let threads = if settings.encoder.threads == 0 { num_cpus::get() } else { settings.encoder.threads };
    let encoder = Encoder::start(model, EncoderSettings { workers: threads, ..EncoderSettings::default() })?;
    // The first pass touches every weight; do it before anyone waits for it.
    encoder.encode("您好 hello")?;
    Ok((encoder, serde_json::json!({ "id": resolved.id, "kind": "encoder", "state": "loaded", "card": resolved.card })))
}

/// Puts the heads of the configuration in place of the encoder's own; their cards in brief.
fn set_heads(registry: &Registry, encoder: &Encoder, settings: &Settings) -> anyhow::Result<Vec<Value>> {
    let mut cards = Vec::new();
    for (task, head) in &settings.heads {
        let place = || format!("heads.{task}: model \"{}\"", head.model);
        let loaded = load_head(registry, encoder.model(), &head.model, Some(task.as_str())).with_context(place)?;
        let loaded = match Arc::try_unwrap(loaded) {
            Ok(loaded) if !head.labels.is_empty() => Arc::new(loaded.with_labels(&head.labels).with_context(place)?),
            Ok(loaded) => Arc::new(loaded),
            Err(shared) => shared,
        };
        warn_of_labels(task, &loaded);
        encoder.set_head(loaded).with_context(place)?;
        let card = registry.find(&head.model)?.card;
        cards.push(serde_json::json!({ "id": card.id, "kind": card.kind, "state": "loaded", "task": task, "card": card }));
    }
    Ok(cards)
}

/// An emotion label without a valence counts as neutral; who configures such a head should know.
fn warn_of_labels(task: &str, head: &Head) {
    let valued = |label: &String| crate::emotion::VALENCES.iter().any(|(known, _)| known == label);
    let unknown: Vec<&String> = head.spec().labels.iter().filter(|l| task == "emotion" && !valued(l)).collect();
    if !unknown.is_empty() {
        tracing::warn!(labels = ?unknown, "these labels of heads.emotion have no valence and count as neutral; name them in heads.emotion.labels");
    }
}

fn load_recogniser(registry: &Registry, settings: &Settings) -> anyhow::Result<(Engine, Value)> {
    let resolved = registry.resolve_kind(&settings.asr.model, ModelKind::Asr)?;
    let whisper = WhisperEngine::load(&resolved.weights(), &resolved.id).context("recogniser")?;
    let config = EngineConfig {
        decoders: settings.asr.decoders,
        max_sessions: settings.call_slots() * 2,
        carry_over: settings.asr.carry_over,
        partial_interval_ms: u32::try_from(settings.asr.partial_every_ms).unwrap_or(400),
        ..EngineConfig::default()
    };
    let engine = Engine::start(Arc::new(whisper), config)?;
    Ok((engine, serde_json::json!({ "id": resolved.id, "kind": "asr", "state": "loaded", "card": resolved.card })))
}

fn open_index(
    folder: Option<&Path>,
    pipelines: &Path,
    version: &str,
    dimension: usize,
    settings: &Settings,
) -> anyhow::Result<KnowledgeIndex> {
    let config =
        KnowledgeConfig { dimension, embedding_model: version.to_owned(), ..knowledge_config(pipelines, &settings.knowledge)? };
    match folder {
        Some(folder) => Ok(KnowledgeIndex::open(folder, config)?),
        None => {
            let folder = tempfile::tempdir().context("temporary folder for the index")?.keep();
            Ok(KnowledgeIndex::open(&folder, config)?)
        }
    }
}

/// Settings of the knowledge index: word tables of the pipelines folder, and where vectors are kept. The length of the
/// vectors and the name of their model are the caller's to fill in.
///
/// # Errors
/// The file of the API key cannot be read.
pub fn knowledge_config(pipelines: &Path, settings: &KnowledgeSettings) -> anyhow::Result<KnowledgeConfig> {
    let table = |name: &str| Some(pipelines.join("knowledge").join(name)).filter(|path| path.is_file());
    let mut config =
        KnowledgeConfig { synonyms: table("synonyms.toml"), bilingual: table("bilingual.toml"), ..KnowledgeConfig::default() };
    if !settings.reranker.is_empty() {
        let given = Path::new(&settings.reranker);
        let among_models = || pipelines.parent().unwrap_or(pipelines).join("models").join(given);
        config.rerank = Some(if given.is_dir() { given.to_path_buf() } else { among_models() });
    }
    if settings.qdrant_url.is_empty() {
        return Ok(config);
    }
    let file = &settings.qdrant_api_key_file;
    let api_key = if file.as_os_str().is_empty() {
        None
    } else {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("knowledge.qdrant_api_key_file: {} cannot be read", file.display()))?;
        Some(text.trim().to_owned())
    };
    config.vector = VectorBackend::Server(QdrantConfig {
        url: settings.qdrant_url.clone(),
        api_key,
        collection: settings.qdrant_collection.clone(),
        timeout_ms: settings.qdrant_timeout_ms,
        ..QdrantConfig::default()
    });
    Ok(config)
}
