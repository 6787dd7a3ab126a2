//! `zhiyin knowledge`: import, export, search, statistics, gaps.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;

use super::Session;
use crate::api::{Change, KnowledgeShelf, export_of, published_as};
use crate::app::{StageOptions, build_stages};
use crate::conversation::{IdKind, new_id};
use crate::knowledge::{FindingKind, History, Imported, SearchMode, SearchRequest, findings, import_dir, import_file};
use crate::store::{Store, StoreConfig};

/// Subcommands of `zhiyin knowledge`.
#[derive(Subcommand)]
pub(super) enum KnowledgeCommand {
    /// Import files or folders (Markdown, HTML, CSV, JSON, DOCX, PDF) into the store of a stopped service and publish them.
    Import {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Only say what would be imported.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write every published document of the store as JSON that `import` reads.
    Export {
        /// File; standard output without it.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Show what is used and what is not, what is due, doubled or contradictory.
    Stats {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show questions that found no good answer, put together to candidates for articles.
    Gaps {
        /// Days back.
        #[arg(long, default_value_t = 30)]
        days: u64,
        /// Questions that a candidate has at least.
        #[arg(long, default_value_t = 2)]
        least: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Search the built-in articles, or the store with `--store`.
    Search {
        /// Question.
        query: String,
        /// Results.
        #[arg(long, short = 'k', default_value_t = 5)]
        top_k: usize,
        /// `hybrid`, `lexical` or `dense`.
        #[arg(long, default_value = "hybrid")]
        mode: String,
        /// Search the store instead of the built-in articles.
        #[arg(long)]
        store: bool,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(session: Session, command: KnowledgeCommand) -> anyhow::Result<ExitCode> {
    match command {
        KnowledgeCommand::Export { output } => export(&session, output.as_deref()).await,
        KnowledgeCommand::Stats { json } => stats(&session, json).await,
        KnowledgeCommand::Gaps { days, least, json } => gaps(&session, days, least, json).await,
        KnowledgeCommand::Import { paths, dry_run } => import_paths(&session, &paths, dry_run).await,
        KnowledgeCommand::Search { query, top_k, mode, store, json } => {
            let mode: SearchMode = serde_json::from_value(serde_json::Value::String(mode.clone()))
                .with_context(|| format!("--mode {mode}: give hybrid, lexical or dense"))?;
            let request = SearchRequest { top_k, mode, explain: json, ..SearchRequest::new(query) };
            search(&session, request, store, json).await
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Imported> {
    if path.is_dir() {
        return Ok(import_dir(path)?);
    }
    Ok(import_file(path)?)
}

async fn import_paths(session: &Session, paths: &[PathBuf], dry_run: bool) -> anyhow::Result<ExitCode> {
    let (mut documents, mut rejected) = (Vec::new(), Vec::new());
    for path in paths {
        let imported = read(path)?;
        documents.extend(imported.documents);
        rejected.extend(imported.rejected);
    }
    for item in &rejected {
        eprintln!("rejected: {}: {}", item.item, item.reason);
    }
    println!("{} documents read, {} rejected", documents.len(), rejected.len());
    let named = documents.iter().map(|document| (document.content.title.as_str(), &document.content));
    for finding in findings(named) {
        let kind = if finding.kind == FindingKind::Conflict { "conflict" } else { "duplicate" };
        eprintln!("{kind}: {} / {}: {}", finding.documents[0], finding.documents[1], finding.detail);
    }
    let code = if rejected.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    if dry_run {
        return Ok(code);
    }
    let shelf = shelf(session).await?;
    let now = chrono::Utc::now();
    let (mut histories, mut unchanged) = (Vec::new(), 0_usize);
    for document in documents {
        let id = document.document_id.unwrap_or_else(|| new_id(IdKind::Document));
        let (history, change) = published_as(shelf.get(&id).await?, &id, document.content, "import", now)?;
        unchanged += usize::from(change == Change::None);
        histories.extend((change != Change::None).then_some(history));
    }
    let count = histories.len();
    shelf.keep_without_index(&histories).await?;
    let report = shelf.rebuild().await?;
    println!(
        "{count} documents kept, {unchanged} unchanged; the index holds {} passages of {} documents",
        report.passages, report.documents
    );
    Ok(code)
}

/// The shelf of the configured store.
async fn shelf(session: &Session) -> anyhow::Result<KnowledgeShelf> {
    let store = Store::open(&StoreConfig::new(&session.settings.store.path)).await?;
    let (home, settings) = (session.home.clone(), session.settings.clone());
    let built = tokio::task::spawn_blocking(move || {
        let index = settings.store.path.join("index");
        build_stages(
            &home,
            &settings,
            StageOptions { recogniser: false, pipeline: "live-assist", index: Some(&index), scheme: None },
        )
    })
    .await??;
    Ok(KnowledgeShelf::new(store, Arc::clone(&built.stages.knowledge), built.stages.encoder.clone()))
}

async fn export(session: &Session, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(&export_of(&shelf(session).await?.all().await?))?;
    match output {
        Some(path) => std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?,
        None => println!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn stats(session: &Session, json: bool) -> anyhow::Result<ExitCode> {
    let review = shelf(session).await?.review().await?;
    if json {
        println!("{}", serde_json::to_string(&review)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} articles published, {} with a version in work", review.published, review.in_work);
    for article in review.articles.iter().filter(|article| !article.flags.is_empty() || article.shown > 0) {
        let (flags, title) = (article.flags.join(" "), &article.title);
        println!("{:>6} shown {:>5} used {:>4} wrong  {title}  {flags}", article.shown, article.used, article.wrong);
    }
    for finding in &review.findings {
        println!("{} / {}: {}", finding.documents[0], finding.documents[1], finding.detail);
    }
    for surge in &review.surging {
        println!("{} is asked for {:.1} times as often as usual ({} in 7 days)", surge.topic, surge.ratio, surge.recent);
    }
    for season in &review.seasonal {
        let (topic, ratio, years) = (&season.topic, season.ratio, season.years);
        println!("{topic} is asked for {ratio:.1} times as often in the coming four weeks ({years} past years)");
    }
    Ok(ExitCode::SUCCESS)
}

async fn gaps(session: &Session, days: u64, least: usize, json: bool) -> anyhow::Result<ExitCode> {
    let clusters = shelf(session).await?.gaps(days, least).await?;
    for cluster in &clusters {
        if json {
            println!("{}", serde_json::to_string(cluster)?);
            continue;
        }
        println!("{:>4}  {}", cluster.count, cluster.title);
        for example in cluster.examples.iter().skip(1) {
            println!("        {}", example.question);
        }
    }
    if clusters.is_empty() && !json {
        println!("no question was asked {least} times without a good answer in {days} days");
    }
    Ok(ExitCode::SUCCESS)
}

/// A temporary index over the built-in articles, for commands that run without a service.
pub(super) async fn shared_index(session: &Session) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let (home, settings, index) = (session.home.clone(), session.settings.clone(), folder.path().to_path_buf());
    tokio::task::spawn_blocking(move || {
        let options = StageOptions { recogniser: false, pipeline: "live-assist", index: Some(&index), scheme: None };
        let built = build_stages(&home, &settings, options)?;
        let imported = import_dir(&home.join("pipelines/knowledge"))?;
        let now = chrono::Utc::now();
        let mut documents = Vec::new();
        for document in imported.documents {
            let id = document.document_id.unwrap_or_else(|| new_id(IdKind::Document));
            let mut history = History::create(id, document.content, "built-in", now)?;
            history.submit(1, now)?;
            history.publish(1, now)?;
            documents.extend(history.published());
        }
        let encoder = built.stages.encoder.clone();
        let embed = move |texts: &[&str]| -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(encoder.embed_batch(texts.iter().map(|t| (*t).to_owned()).collect())?)
        };
        built.stages.knowledge.replace_all(&documents, Some(&embed))?;
        anyhow::Ok(())
    })
    .await??;
    Ok(folder)
}

async fn search(session: &Session, request: SearchRequest, store: bool, json: bool) -> anyhow::Result<ExitCode> {
    let folder = if store { None } else { Some(shared_index(session).await?) };
    let (home, settings) = (session.home.clone(), session.settings.clone());
    let index = folder.as_ref().map_or_else(|| settings.store.path.join("index"), |f| f.path().to_path_buf());
    let response = tokio::task::spawn_blocking(move || {
        let options = StageOptions { recogniser: false, pipeline: "live-assist", index: Some(&index), scheme: None };
        let built = build_stages(&home, &settings, options)?;
        let vector = match request.mode {
            SearchMode::Lexical => None,
            _ => Some(built.stages.encoder.embed(request.query.clone())?),
        };
        anyhow::Ok(built.stages.knowledge.search(&request, vector.as_deref())?)
    })
    .await??;
    if json {
        println!("{}", serde_json::to_string(&response)?);
        return Ok(ExitCode::SUCCESS);
    }
    for hit in &response.passages {
        let quote: String = hit.text.chars().skip(hit.citation.start).take(hit.citation.end - hit.citation.start).collect();
        println!("{:.2}  {}  [{}]\n      {}", hit.score, hit.title, hit.document_id, quote);
    }
    if response.passages.is_empty() {
        println!("nothing found");
    }
    Ok(ExitCode::SUCCESS)
}
