//! A large index: how long it takes to build, how large it is, how fast it answers and how exact its vectors are.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Figures, KnowledgeArguments, build, corpus, embed_with};
use crate::bench::machine::{cpu_seconds, percentile};
use crate::inference::Encoder;
use crate::knowledge::{KnowledgeConfig, KnowledgeIndex, SearchMode, SearchRequest, import_dir, passages};

/// Neighbours compared with exact search.
const NEIGHBOURS: usize = 10;
/// Queries compared with exact search.
const COMPARED: usize = 200;
/// Searches before the measurement.
const WARM_UP: usize = 100;
/// Searches one after the other.
const ALONE: usize = 500;

pub(super) fn run(arguments: &KnowledgeArguments, config: &KnowledgeConfig, encoder: &Encoder) -> anyhow::Result<Figures> {
    let documents = corpus::documents(&arguments.corpus, arguments.passages)?;
    let names: Vec<String> = arguments.corpus.iter().map(|path| file_name(path)).collect();
    eprintln!("corpus: {} passages of {}", documents.len(), names.join(", "));
    let temporary = tempfile::tempdir()?;
    let folder = arguments.index.as_deref().unwrap_or_else(|| temporary.path());
    let index = KnowledgeIndex::open(folder, config.clone())?;
    let vectors = Mutex::new(Vec::new());
    let embed = embed_with(encoder);
    let bar = ProgressBar::new(documents.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} passages encoded, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    let keep = |texts: &[&str]| {
        let made = embed(texts)?;
        bar.inc(texts.len() as u64);
        vectors.lock().map_err(|_| "a thread failed")?.extend(made.iter().cloned());
        Ok(made)
    };
    let kept = index.needs_rebuild().is_none() && index.passage_count() as usize == documents.len();
    let mut figures = vec![("passages".to_owned(), documents.len() as f64)];
    let kept_vectors = folder.join("bench-vectors.f32");
    if kept {
        eprintln!("the index of {} is searched as it is", folder.display());
        *vectors.lock().map_err(|_| anyhow::anyhow!("a thread failed"))? = read_vectors(&kept_vectors, config.dimension)?;
    } else {
        figures.push(("build_s".to_owned(), build(&index, &documents, &keep)?));
    }
    bar.finish_and_clear();
    figures.push((
        "size_mib".to_owned(),
        (size_bytes(&folder.join("text"))? + size_bytes(&folder.join("vectors"))?) as f64 / (1024.0 * 1024.0),
    ));
    let vectors = vectors.into_inner()?;
    if !kept && arguments.index.is_some() {
        std::fs::write(&kept_vectors, bytes_of(&vectors))?;
    }
    let builtin: Vec<String> = import_dir(&crate::config::find_home()?.join("pipelines/knowledge"))?
        .documents
        .into_iter()
        .flat_map(|d| d.content.questions)
        .collect();
    let count = (arguments.rate * arguments.seconds) as usize + WARM_UP;
    let queries = corpus::queries(&documents, &builtin, count);
    let ids: Vec<String> =
        documents.iter().map(|document| passages(document, config.passage_width)[0].passage_id.clone()).collect();
    eprintln!(
        "searching: {} known items, then recall against exact search, then {:.0} s at {}/s",
        queries.len(),
        arguments.seconds,
        arguments.rate
    );
    figures.push(("known_item_at_10".to_owned(), known_items(&index, encoder, &queries, &documents)?));
    let sources: Vec<Option<usize>> = queries.iter().map(|query| query.source).collect();
    let queries: Vec<String> = queries.into_iter().map(|query| query.text).collect();
    figures.push(("recall_at_10".to_owned(), recall(&index, encoder, &queries, &ids, &vectors)?));
    if let Some(dump) = &arguments.dump {
        write_dump(dump, &documents, &vectors, (&queries, &sources), encoder)?;
    }
    let index = Arc::new(index);
    let (warm, asked) = queries.split_at(WARM_UP.min(queries.len()));
    closed_loop(&index, encoder, warm)?;
    figures.extend(timed(&index, encoder, asked, arguments.rate)?);
    Ok(figures)
}

/// One search after the other, with the processor time of both parts; then the open loop.
fn timed(index: &Arc<KnowledgeIndex>, encoder: &Encoder, asked: &[String], rate: f64) -> anyhow::Result<Figures> {
    let one_by_one = &asked[..ALONE.min(asked.len())];
    let begin = cpu_seconds();
    let alone = closed_loop(index, encoder, one_by_one)?;
    let searched = cpu_seconds();
    one_by_one.iter().try_for_each(|query| encoder.embed(query.clone()).map(drop))?;
    let encoded = cpu_seconds();
    let rested = after_idle(index, encoder, one_by_one, rate)?;
    let latencies = open_loop(index, encoder, asked, rate)?;
    let per_search_ms = 1e3 / one_by_one.len().max(1) as f64;
    let figures = [
        ("search_alone_p50_ms", percentile(&alone, 0.5)),
        ("search_alone_p99_ms", percentile(&alone, 0.99)),
        ("search_after_idle_p50_ms", percentile(&rested, 0.5)),
        ("search_cpu_ms", (searched - begin) * per_search_ms),
        ("search_cpu_encoding_ms", (encoded - searched) * per_search_ms),
        ("search_p50_ms", percentile(&latencies, 0.5)),
        ("search_p99_ms", percentile(&latencies, 0.99)),
        ("searches", latencies.len() as f64),
    ];
    Ok(figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn answer(index: &KnowledgeIndex, encoder: &Encoder, query: &str) -> anyhow::Result<()> {
    let pending = encoder.begin_embedding(query)?;
    let answer = index.search_while(&SearchRequest::new(query), || pending.wait().ok())?;
    anyhow::ensure!(answer.degraded.is_empty(), "a search without vectors");
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

/// One search after the other with a pause before each, as long as between two of the open loop: what cold caches and sleeping
/// processors cost, without anything to wait for.
fn after_idle(index: &KnowledgeIndex, encoder: &Encoder, queries: &[String], rate: f64) -> anyhow::Result<Vec<f64>> {
    let mut all = Vec::with_capacity(queries.len());
    for query in queries {
        std::thread::sleep(Duration::from_secs_f64(1.0 / rate));
        all.extend(closed_loop(index, encoder, std::slice::from_ref(query))?);
    }
    Ok(all)
}

/// Share of the queries cut out of a passage whose passage is among the first ten of the hybrid search.
fn known_items(
    index: &KnowledgeIndex,
    encoder: &Encoder,
    queries: &[corpus::Query],
    documents: &[crate::knowledge::Document],
) -> anyhow::Result<f64> {
    let (mut found, mut asked) = (0_usize, 0_usize);
    for query in queries.iter().filter(|query| query.source.is_some()).take(COMPARED) {
        let vector = encoder.embed(query.text.clone())?;
        let request = SearchRequest { top_k: NEIGHBOURS, ..SearchRequest::new(query.text.clone()) };
        let answer = index.search(&request, Some(&vector))?;
        let source = query.source.map(|position| documents[position].document_id.as_str());
        found += usize::from(answer.passages.iter().any(|hit| Some(hit.document_id.as_str()) == source));
        asked += 1;
    }
    Ok(found as f64 / asked.max(1) as f64)
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
        let vector = encoder.embed(query.clone())?;
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
    if !folder.exists() {
        return Ok(0);
    }
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
    (queries, sources): (&[String], &[Option<usize>]),
    encoder: &Encoder,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let passages = documents.iter().map(|document| serde_json::json!({ "text": document.content.body }).to_string() + "\n");
    std::fs::write(folder.join("passages.jsonl"), passages.collect::<String>())?;
    let asked = queries
        .iter()
        .zip(sources)
        .map(|(text, source)| serde_json::json!({ "text": text, "source": source }).to_string() + "\n");
    std::fs::write(folder.join("queries.jsonl"), asked.collect::<String>())?;
    std::fs::write(folder.join("passages.f32"), bytes_of(vectors))?;
    let asked: Vec<Vec<f32>> = encoder.embed_batch(queries.to_vec())?;
    std::fs::write(folder.join("queries.f32"), bytes_of(&asked))?;
    Ok(())
}

fn bytes_of(rows: &[Vec<f32>]) -> Vec<u8> {
    rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect()
}

/// The vectors of passages that an earlier run left beside its index.
fn read_vectors(path: &Path, dimension: usize) -> anyhow::Result<Vec<Vec<f32>>> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: give another --index folder", path.display()))?;
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|piece| f32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]])).collect();
    Ok(values.chunks_exact(dimension).map(<[f32]>::to_vec).collect())
}
