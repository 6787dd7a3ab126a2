//! `zhiyin bench knowledge`: building and searching a large index, and the quality of the ranking.

mod clicks;
mod corpus;
mod faq;
mod load;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use super::machine::print;
use crate::cli::Session;
use crate::inference::{Encoder, EncoderModel, EncoderSettings};
use crate::knowledge::{Embed, KnowledgeConfig, KnowledgeIndex};
use crate::registry::ModelKind;

/// Arguments of `zhiyin bench knowledge`.
#[derive(Args)]
pub struct KnowledgeArguments {
    /// Text files whose lines become passages (`.txt`), or JSON lines with a field `text` (`.jsonl`). Without one only the
    /// ranking of the FAQ set is measured.
    #[arg(long, value_name = "FILE")]
    corpus: Vec<PathBuf>,
    /// Passages to index.
    #[arg(long, default_value_t = 100_000)]
    passages: usize,
    /// Searches a second, sent at fixed times whether or not the ones before are answered.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Seconds of searching.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Folder of the FAQ set; `datasets/faq` of the home folder by default.
    #[arg(long)]
    faq: Option<PathBuf>,
    /// Choose the fusion on the dev split: prints nDCG@10 of every candidate.
    #[arg(long)]
    tune: bool,
    /// Simulate what clicks teach, 10 % of them hostile (a simulation, no people took part).
    #[arg(long)]
    clicks: bool,
    /// Folder for passages, vectors and queries, so that other programs can be measured on the same.
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Keep the index in this folder; one that is there already is searched as it is.
    #[arg(long)]
    index: Option<PathBuf>,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Names and values.
type Figures = Vec<(String, f64)>;

pub(super) fn run(session: &Session, arguments: &KnowledgeArguments) -> anyhow::Result<ExitCode> {
    let (encoder, model) = encoder(session)?;
    let config = KnowledgeConfig {
        dimension: encoder.model().embedding_size(),
        embedding_model: encoder.model().version().to_string(),
        ..crate::app::knowledge_config(&session.home.join("pipelines"), &session.settings.knowledge)?
    };
    let mut figures = Figures::new();
    if !arguments.corpus.is_empty() {
        figures.extend(load::run(arguments, &config, &encoder)?);
    }
    let folder = arguments.faq.clone().unwrap_or_else(|| session.home.join("datasets/faq"));
    if folder.is_dir() {
        let mut set = faq::FaqSet::load(&folder)?;
        set.encode(&encoder)?;
        figures.extend(faq::run(&set, &config, &encoder, arguments.tune)?);
        if arguments.clicks {
            figures.extend(clicks::run(&set, &config, &encoder)?);
        }
    } else {
        eprintln!("no FAQ set at {}: its figures are left out (--faq FOLDER)", folder.display());
    }
    let figures: Vec<(&str, f64)> = figures.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    print("knowledge", &[model], &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn encoder(session: &Session) -> anyhow::Result<(Encoder, String)> {
    let registry = crate::app::registry(&session.home, &session.settings)?;
    let resolved = registry.resolve_kind(&session.settings.encoder.model, ModelKind::Encoder)?;
    let model = EncoderModel::load(&resolved.dir)?;
    let settings = EncoderSettings { workers: num_cpus::get(), ..EncoderSettings::default() };
    Ok((Encoder::start(model, settings)?, resolved.id))
}

/// The embedding function of an encoder.
fn embed_with(encoder: &Encoder) -> impl Fn(&[&str]) -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>> + '_ {
    move |texts| Ok(encoder.embed_batch(texts.iter().map(|text| (*text).to_owned()).collect())?)
}

/// Builds an index and says how many seconds it took.
fn build(index: &KnowledgeIndex, documents: &[crate::knowledge::Document], embed: Embed<'_>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let report = index.replace_all(documents, Some(embed))?;
    anyhow::ensure!(report.degraded.is_empty(), "vectors could not be written");
    Ok(started.elapsed().as_secs_f64())
}
