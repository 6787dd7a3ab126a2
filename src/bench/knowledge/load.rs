//! A large index: how long it takes to build, how large it is, how fast it answers and how exact its vectors are.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Figures, KnowledgeArguments, build, corpus, embed_with};
use crate::bench::machine::percentile;
use crate::inference::Encoder;
use crate::knowledge::{KnowledgeConfig, KnowledgeIndex, SearchMode, SearchRequest, import_dir, passages};

/// Neighbours compared with exact search.
const NEIGHBOURS: usize = 10;
/// Queries compared with exact search.
const COMPARED: usize = 200;
/// Searches before the measurement.
const WARM_UP: usize = 100;

pub(super) fn run(arguments: &KnowledgeArguments, config: &KnowledgeConfig, encoder: &Encoder) -> anyhow::Result<Figures> {
    let documents = corpus::documents(&arguments.corpus, arguments.passages)?;
    let names: Vec<String> = arguments.corpus.iter().map(|path| file_name(path)).collect();
    eprintln!("corpus: {} passages of {}", documents.len(), names.join(", "));
    let temporary = tempfile::tempdir()?;
    let folder = arguments.index.as_deref().unwrap_or_else(|| temporary.path());
    let index = KnowledgeIndex::open(folder, config.clone())?;
    let vectors = Mutex::new(Vec::new());
    let embed = embed_with(encoder);
    let keep = |texts: &[&str]| {
        let made = embed(texts)?;
        vectors.lock().map_err(|_| "a thread failed")?.extend(made.iter().cloned());
        Ok(made)
    };
    let kept = index.needs_rebuild().is_none() && index.passage_count() as usize == documents.len();
    let mut figures = vec![("passages".to_owned(), documents.len() as f64)];
    if kept {
        eprintln!("the index of {} is searched as it is", folder.display());
        for batch in documents.chunks(256) {
            let texts: Vec<String> =
                batch.iter().map(|document| format!("{}\n\n{}", document.content.title, document.content.body)).collect();
            keep(&texts.iter().map(String::as_str).collect::<Vec<_>>()).map_err(|error| anyhow::anyhow!("{error}"))?;
        }
    } else {
        figures.push(("build_s".to_owned(), build(&index, &documents, &keep)?));
    }
    figures.push(("size_mib".to_owned(), size_bytes(folder)? as f64 / (1024.0 * 1024.0)));
    let vectors = vectors.into_inner()?;
    let builtin: Vec<String> = import_dir(&crate::config::find_home()?.join("pipelines/knowledge"))?
        .documents
        .into_iter()
        .flat_map(|d| d.content.questions)
        .collect();
    let count = (arguments.rate * arguments.seconds) as usize + WARM_UP;
    let queries = corpus::queries(&documents, &builtin, count);
    let ids: Vec<String> =
        documents.iter().map(|document| passages(document, config.passage_width)[0].passage_id.clone()).collect();
    figures.push(("recall_at_10".to_owned(), recall(&index, encoder, &queries, &ids, &vectors)?));
    if let Some(dump) = &arguments.dump {
        write_dump(dump, &documents, &vectors, &queries, encoder)?;
    }
    let index = Arc::new(index);
    let closed = closed_loop(&index, encoder, &queries[..WARM_UP.min(queries.len())])?;
    figures.push(("search_alone_p50_ms".to_owned(), percentile(&closed, 0.5)));
    let latencies = open_loop(&index, encoder, &queries[WARM_UP.min(queries.len())..], arguments.rate)?;
    figures.push(("search_p50_ms".to_owned(), percentile(&latencies, 0.5)));
    figures.push(("search_p99_ms".to_owned(), percentile(&latencies, 0.99)));
    figures.push(("searches".to_owned(), latencies.len() as f64));
    Ok(figures)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn answer(index: &KnowledgeIndex, encoder: &Encoder, query: &str) -> anyhow::Result<()> {
    let vector = encoder.encode(query.to_owned())?.embedding;
    index.search(&SearchRequest::new(query), Some(&vector))?;
    Ok(())
}

/// One search after the other: milliseconds each.
fn closed_loop(index: &KnowledgeIndex, encoder: &Encoder, queries: &[String]) -> anyhow::Result<Vec<f64>> {
    let timed = |query: &String| {
        let started = Instant::now();
        answer(index, encoder, query).map(|()| started.elapsed().as_secs_f64() * 1e3)
    };
    queries.iter().map(timed).collect()
}

/// Searches at fixed times; milliseconds from the time at which each was due, so that waiting counts.
fn open_loop(index: &Arc<KnowledgeIndex>, encoder: &Encoder, queries: &[String], rate: f64) -> anyhow::Result<Vec<f64>> {
    let (sender, receiver) = crossbeam_channel::unbounded::<(Instant, String)>();
    let latencies = Mutex::new(Vec::with_capacity(queries.len()));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (due, query) in &receiver {
                    let outcome = answer(index, encoder, &query);
                    let took_ms = due.elapsed().as_secs_f64() * 1e3;
                    if let (Ok(mut all), Ok(mut first)) = (latencies.lock(), failed.lock()) {
                        match outcome {
                            Ok(()) => all.push(took_ms),
                            Err(error) => *first = Some(error),
                        }
                    }
                }
            });
        }
        let started = Instant::now();
        for (position, query) in queries.iter().enumerate() {
            let due = started + Duration::from_secs_f64(position as f64 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send((due, query.clone())).is_err() {
                break;
            }
        }
        drop(sender);
    });
    match failed.into_inner()? {
        Some(error) => Err(error),
        None => Ok(latencies.into_inner()?),
    }
}

/// Share of the exact nearest neighbours by cosine that the index finds.
fn recall(
    index: &KnowledgeIndex,
    encoder: &Encoder,
    queries: &[String],
    ids: &[String],
    vectors: &[Vec<f32>],
) -> anyhow::Result<f64> {
    anyhow::ensure!(vectors.len() == ids.len(), "{} vectors of {} passages", vectors.len(), ids.len());
    let position: std::collections::HashMap<&str, usize> = ids.iter().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
    let step = (queries.len() / COMPARED).max(1);
    let (mut found, mut wanted) = (0_usize, 0_usize);
    for query in queries.iter().step_by(step).take(COMPARED) {
        let vector = encoder.encode(query.clone())?.embedding;
        let mut cosines: Vec<f32> = vectors.iter().map(|other| cosine(&vector, other)).collect();
        let request = SearchRequest { mode: SearchMode::Dense, top_k: NEIGHBOURS, ..SearchRequest::new(query.clone()) };
        let hits = index.search(&request, Some(&vector))?;
        let got: Vec<f32> =
            hits.passages.iter().filter_map(|hit| position.get(hit.passage_id.as_str())).map(|n| cosines[*n]).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        // equal cosines are equally near
        let least = cosines[NEIGHBOURS.min(cosines.len()) - 1] - 1e-6;
        found += got.iter().filter(|cosine| **cosine >= least).count();
        wanted += NEIGHBOURS;
    }
    Ok(found as f64 / wanted.max(1) as f64)
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let (mut dot, mut left, mut right) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        dot += x * y;
        left += x * x;
        right += y * y;
    }
    dot / (left * right).sqrt().max(f32::MIN_POSITIVE)
}

fn size_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size_bytes(&entry.path())? } else { blocks_of(&entry.metadata()?) };
    }
    Ok(sum)
}

/// What a file takes on the disk: logs are made longer than what is in them.
fn blocks_of(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

/// `passages.jsonl`, `queries.jsonl` and little-endian 32-bit vectors of both, a row each.
fn write_dump(
    folder: &Path,
    documents: &[crate::knowledge::Document],
    vectors: &[Vec<f32>],
    queries: &[String],
    encoder: &Encoder,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let lines =
        |texts: Vec<&str>| texts.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect::<String>();
    let bytes = |rows: &[Vec<f32>]| rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    std::fs::write(folder.join("passages.jsonl"), lines(documents.iter().map(|d| d.content.body.as_str()).collect()))?;
    std::fs::write(folder.join("queries.jsonl"), lines(queries.iter().map(String::as_str).collect()))?;
    std::fs::write(folder.join("passages.f32"), bytes(vectors))?;
    let asked: Vec<Vec<f32>> = encoder.encode_batch(queries.to_vec())?.into_iter().map(|encoding| encoding.embedding).collect();
    std::fs::write(folder.join("queries.f32"), bytes(&asked))?;
    Ok(())
}
