//! Import of knowledge files as a job: one item per file, the index is brought up to date at the end.

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};

use axum::Extension;
use axum::extract::{Multipart, State};
use axum::response::Response;
use chrono::Utc;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::job_desk::{ItemEffect, JobKind};
use super::jobs::accepted;
use super::{ApiContext, KnowledgeShelf, Problem};
use crate::access::{Principal, Scope};
use crate::conversation::{IdKind, new_id};
use crate::knowledge::{Document, Finding, History, ImportFormat, Imported, Rejected, findings, import};
use crate::store::JobRow;

/// Files of one import.
const MAX_FILES: usize = 100;
/// Greatest size of a request; larger files are imported with `zhiyin knowledge import`.
pub(super) const MAX_UPLOAD_BYTES: usize = 64 << 20;

/// A file that waits to be imported.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    name: String,
    path: PathBuf,
    format: ImportFormat,
}

/// What an import was asked for, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ImportSpec {
    folder: PathBuf,
    files: Vec<Waiting>,
    /// Published documents that the import does not name are archived, if all that it brings could be read.
    replace: bool,
    dry_run: bool,
}

/// What came of one file.
#[derive(Default, Serialize, Deserialize)]
struct FileOutcome {
    added: usize,
    changed: usize,
    unchanged: usize,
    document_ids: Vec<String>,
    rejected: Vec<Rejected>,
}

/// Imports files: multipart with `file` (one or several), `format` (by the file name otherwise), `mode` (`upsert` or
/// `replace`), `dry_run`.
#[utoipa::path(post, path = "/api/v1/knowledge/imports", tag = "knowledge", request_body(content = Object, content_type = "multipart/form-data"),
    responses((status = 202, body = super::Job), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    mut parts: Multipart,
) -> Result<Response, Problem> {
    let folder = context.store().path().join("imports").join(ulid::Ulid::new().to_string());
    tokio::fs::create_dir_all(&folder).await.map_err(|error| broken(&error))?;
    let read = receive(&mut parts, &folder).await;
    let spec = match read {
        Ok(spec) => spec,
        Err(problem) => {
            drop(tokio::fs::remove_dir_all(&folder).await);
            return Err(problem);
        }
    };
    let value = serde_json::to_value(&spec).map_err(|error| broken(&error))?;
    let job = context.jobs.submit(KnowledgeImport::NAME, &principal.token_id, &value, Vec::new()).await?;
    Ok(accepted(job))
}

fn broken(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "import could not be taken");
    Problem::new("internal", "the files could not be kept")
}

async fn receive(parts: &mut Multipart, folder: &FilePath) -> Result<ImportSpec, Problem> {
    let mut spec = ImportSpec { folder: folder.to_owned(), files: Vec::new(), replace: false, dry_run: false };
    let mut format = None;
    let unreadable = |error: axum::extract::multipart::MultipartError| Problem::invalid("/file", error.body_text());
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        match part.name().unwrap_or_default() {
            "file" => spec.files.push(receive_file(part, folder, spec.files.len()).await?),
            "format" => {
                let text = part.text().await.map_err(unreadable)?;
                let named = serde_json::from_value(serde_json::Value::String(text));
                format = Some(named.map_err(|_| Problem::invalid("/format", "one of markdown, html, csv, json, docx, pdf"))?);
            }
            "mode" => match part.text().await.map_err(unreadable)?.as_str() {
                "upsert" => spec.replace = false,
                "replace" => spec.replace = true,
                _ => return Err(Problem::invalid("/mode", "upsert or replace")),
            },
            "dry_run" => spec.dry_run = part.text().await.map_err(unreadable)? == "true",
            other => return Err(Problem::invalid("/", format!("part `{other}`: known are file, format, mode, dry_run"))),
        }
    }
    for file in &mut spec.files {
        let format = format.or_else(|| ImportFormat::from_file_name(&file.name));
        file.format = format.ok_or_else(|| {
            Problem::invalid("/format", format!("{}: name the format; known are markdown, html, csv, json, docx, pdf", file.name))
        })?;
        let size = tokio::fs::metadata(&file.path).await.map_err(|error| broken(&error))?.len();
        if size > file.format.max_bytes() as u64 {
            let most = file.format.max_bytes() / (1024 * 1024);
            return Err(Problem::new("body_too_large", format!("{} is larger than {most} MiB; split it", file.name)));
        }
    }
    match spec.files.len() {
        0 => Err(Problem::invalid("/file", "send at least one file")),
        count if count > MAX_FILES => Err(Problem::new("too_many_items", format!("at most {MAX_FILES} files"))),
        _ => Ok(spec),
    }
}

/// Writes a part to the disk piece by piece.
async fn receive_file(mut part: axum::extract::multipart::Field<'_>, folder: &FilePath, n: usize) -> Result<Waiting, Problem> {
    use tokio::io::AsyncWriteExt;
    let name = part.file_name().unwrap_or("file").rsplit(['/', '\\']).next().unwrap_or("file").to_owned();
    let path = folder.join(n.to_string());
    let mut file = tokio::fs::File::create(&path).await.map_err(|error| broken(&error))?;
    while let Some(piece) = part.chunk().await.map_err(|error| Problem::invalid("/file", error.body_text()))? {
        file.write_all(&piece).await.map_err(|error| broken(&error))?;
    }
    file.flush().await.map_err(|error| broken(&error))?;
    Ok(Waiting { name, path, format: ImportFormat::Markdown })
}

/// Imports knowledge files. Its result: `{added, changed, unchanged, removed, not_removed?, rejected[], findings[]}`;
/// `not_removed` says why a replacing import archived nothing.
pub struct KnowledgeImport {
    shelf: KnowledgeShelf,
}

impl KnowledgeImport {
    const NAME: &'static str = "knowledge.import";

    /// Into a shelf.
    pub fn new(shelf: KnowledgeShelf) -> Self {
        Self { shelf }
    }

    fn spec(job: &JobRow) -> Result<ImportSpec, String> {
        serde_json::from_str(&job.spec).map_err(|error| format!("what the job was asked for cannot be read: {error}"))
    }

    async fn work_file(&self, job: &JobRow, key: &str) -> Result<ItemEffect, String> {
        let spec = Self::spec(job)?;
        let n: usize = key.split(' ').next().and_then(|n| n.parse().ok()).ok_or("an item without a number")?;
        let file = spec.files.get(n).cloned().ok_or("an item without a file")?;
        let read = move || -> Result<Imported, String> {
            let bytes = std::fs::read(&file.path).map_err(|error| format!("{}: {error}", file.name))?;
            import(&bytes, &file.name, file.format).map_err(|error| error.to_string())
        };
        let imported = tokio::task::spawn_blocking(read).await.map_err(|_| "reading was interrupted")??;
        let (histories, outcome) = merge(&self.shelf, imported).await?;
        let writes = if spec.dry_run { Vec::new() } else { histories.iter().map(super::shelf::row).collect() };
        Ok(ItemEffect { writes, body: serde_json::to_value(outcome).ok() })
    }

    async fn sum_up(&self, job: &JobRow) -> Result<ItemEffect, String> {
        let spec = Self::spec(job)?;
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let items = self.shelf.store().job_items(&job.job_id, "done", 0, MAX_FILES as u32).await.map_err(|e| text(&e))?;
        let outcomes: Vec<FileOutcome> =
            items.iter().filter_map(|item| item.body.as_deref()).filter_map(|body| serde_json::from_str(body).ok()).collect();
        let named: BTreeSet<&String> = outcomes.iter().flat_map(|outcome| &outcome.document_ids).collect();
        let mut all = self.shelf.all().await.map_err(|e| text(&e))?;
        let mut removed = Vec::new();
        let kept = spec.replace.then(|| unread(job.failed, &outcomes)).flatten();
        if spec.replace && kept.is_none() {
            for history in all.iter_mut().filter(|h| h.published().is_some() && !named.contains(&h.document_id)) {
                history.archive_all(Utc::now());
                removed.push(history.clone());
            }
        }
        if !spec.dry_run {
            self.shelf.keep_without_index(&removed).await.map_err(|e| text(&e))?;
            self.shelf.rebuild().await.map_err(|e| text(&e))?;
        }
        drop(tokio::fs::remove_dir_all(&spec.folder).await);
        let published: Vec<Document> = all.iter().filter_map(History::published).collect();
        let found: Vec<Finding> = findings(published.iter().map(|d| (d.document_id.as_str(), &d.content)))
            .into_iter()
            .filter(|finding| finding.documents.iter().any(|id| named.contains(id)))
            .collect();
        let sum = |count: fn(&FileOutcome) -> usize| outcomes.iter().map(count).sum::<usize>();
        let body = serde_json::json!({
            "added": sum(|o| o.added), "changed": sum(|o| o.changed), "unchanged": sum(|o| o.unchanged),
            "removed": removed.len(), "not_removed": kept, "dry_run": spec.dry_run,
            "rejected": outcomes.iter().flat_map(|o| &o.rejected).collect::<Vec<_>>(), "findings": found,
        });
        Ok(ItemEffect { writes: Vec::new(), body: Some(body) })
    }
}

/// Why an import cannot say which documents are no longer wanted: what could not be read may have named any of them.
fn unread(failed: u64, outcomes: &[FileOutcome]) -> Option<String> {
    let rejected: usize = outcomes.iter().map(|outcome| outcome.rejected.len()).sum();
    (failed > 0 || rejected > 0).then(|| {
        format!(
            "no document was archived, for files that could not be read: {failed}, entries rejected: {rejected}; \
             mend them and import again"
        )
    })
}

impl JobKind for KnowledgeImport {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn scope(&self) -> Scope {
        Scope::KnowledgeWrite
    }

    fn plan<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            let spec = Self::spec(job)?;
            Ok(spec.files.iter().enumerate().map(|(n, file)| format!("{n} {}", file.name)).collect())
        })
    }

    fn work<'a>(&'a self, job: &'a JobRow, key: &'a str) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(self.work_file(job, key))
    }

    fn finish<'a>(&'a self, job: &'a JobRow) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(self.sum_up(job))
    }
}

/// Imported documents as new published versions of what is there; what did not change stays.
async fn merge(shelf: &KnowledgeShelf, imported: Imported) -> Result<(Vec<History>, FileOutcome), String> {
    let mut outcome = FileOutcome { rejected: imported.rejected, ..FileOutcome::default() };
    let mut histories: Vec<History> = Vec::new();
    let now = Utc::now();
    for document in imported.documents {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let id = document.document_id.unwrap_or_else(|| new_id(IdKind::Document));
        if histories.iter().any(|history| history.document_id == id) {
            let reason = "a document of this id stands earlier in the file; give each its own id".to_owned();
            outcome.rejected.push(Rejected { item: document.content.title, reason });
            continue;
        }
        outcome.document_ids.push(id.clone());
        let known = shelf.get(&id).await.map_err(|e| text(&e))?;
        // a body may be large: it is read beside the threads that answer requests
        let made = tokio::task::spawn_blocking(move || published_as(known, &id, document.content, "import", now));
        match made.await.map_err(|e| text(&e))?.map_err(|e| text(&e))? {
            (_, Change::None) => outcome.unchanged += 1,
            (history, change) => {
                outcome.added += usize::from(change == Change::Added);
                outcome.changed += usize::from(change == Change::Changed);
                histories.push(history);
            }
        }
    }
    Ok((histories, outcome))
}

/// What an import did to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It has a new published version.
    Changed,
    /// It was published like this already.
    None,
}

/// A document with this content published: a new one, a new version, or as it is.
///
/// # Errors
/// The content breaks a rule.
pub fn published_as(
    known: Option<History>,
    id: &str,
    content: crate::knowledge::DocumentContent,
    by: &str,
    now: chrono::DateTime<Utc>,
) -> Result<(History, Change), crate::knowledge::KnowledgeError> {
    let (mut history, change) = match known {
        None => (History::create(id, content, by, now)?, Change::Added),
        Some(history) if history.published().is_some_and(|published| published.content == content) => {
            return Ok((history, Change::None));
        }
        Some(mut history) => {
            history.revise(content, by, now)?;
            (history, Change::Changed)
        }
    };
    let newest = history.versions.last().map_or(1, |version| version.n);
    history.submit(newest, now)?;
    history.publish(newest, now)?;
    Ok((history, change))
}
