//! The life of a document: versions and their states. Pure logic; the store keeps the [`History`].
//!
//! ```text
//! draft -> review -> published -> archived
//!   \________________^   (publish straight from draft)
//! ```
//!
//! At most one version is published: publishing another archives it. Texts of versions never change; a change is a new
//! version, and going back is a new version with the old text.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document::{BodyFormat, Document, DocumentContent, VersionState};
use super::{KnowledgeError, Result, markup};

/// One version of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Number, from 1.
    pub n: u32,
    /// Its state.
    pub state: VersionState,
    /// The text and its properties.
    pub content: DocumentContent,
    /// Who wrote it.
    pub by: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When its state last changed.
    pub changed_at: DateTime<Utc>,
}

/// A document with all its versions, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// `doc_…`
    pub document_id: String,
    /// At least one.
    pub versions: Vec<Version>,
}

/// A line of a comparison of two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "change", content = "line", rename_all = "snake_case")]
pub enum DiffLine {
    /// In both.
    Same(String),
    /// Only in the first.
    Removed(String),
    /// Only in the second.
    Added(String),
}

impl History {
    /// A new document with version 1 in draft. HTML is sanitised.
    ///
    /// # Errors
    /// See [`DocumentContent::validate`].
    pub fn create(document_id: impl Into<String>, content: DocumentContent, by: &str, now: DateTime<Utc>) -> Result<Self> {
        let mut history = Self { document_id: document_id.into(), versions: Vec::new() };
        history.revise(content, by, now)?;
        Ok(history)
    }

    /// Adds a version in draft and gives its number. HTML is sanitised.
    ///
    /// # Errors
    /// See [`DocumentContent::validate`].
    pub fn revise(&mut self, content: DocumentContent, by: &str, now: DateTime<Utc>) -> Result<u32> {
        content.validate()?;
        let body = match content.format {
            BodyFormat::Html => markup::sanitise_html(&content.body),
            BodyFormat::Markdown | BodyFormat::Text => content.body.clone(),
        };
        let n = self.versions.last().map_or(1, |version| version.n + 1);
        let content = DocumentContent { body, ..content };
        self.versions.push(Version {
            n,
            state: VersionState::Draft,
            content,
            by: by.to_owned(),
            created_at: now,
            changed_at: now,
        });
        Ok(n)
    }

    /// The version with a number.
    ///
    /// # Errors
    /// [`KnowledgeError::NoSuchVersion`].
    pub fn version(&self, n: u32) -> Result<&Version> {
        self.versions.iter().find(|version| version.n == n).ok_or_else(|| self.no_such_version(n))
    }

    /// draft -> review.
    ///
    /// # Errors
    /// [`KnowledgeError::StateConflict`], [`KnowledgeError::NoSuchVersion`].
    pub fn submit(&mut self, n: u32, now: DateTime<Utc>) -> Result<()> {
        self.change(n, VersionState::Review, "submit", &[VersionState::Draft], "draft", now)
    }

    /// draft or review -> published; the version published before is archived.
    ///
    /// # Errors
    /// [`KnowledgeError::StateConflict`], [`KnowledgeError::NoSuchVersion`].
    pub fn publish(&mut self, n: u32, now: DateTime<Utc>) -> Result<()> {
        self.change(n, VersionState::Published, "publish", &[VersionState::Draft, VersionState::Review], "draft, review", now)?;
        for other in self.versions.iter_mut().filter(|version| version.n != n && version.state == VersionState::Published) {
            other.state = VersionState::Archived;
            other.changed_at = now;
        }
        Ok(())
    }

    /// Any state but archived -> archived.
    ///
    /// # Errors
    /// [`KnowledgeError::StateConflict`], [`KnowledgeError::NoSuchVersion`].
    pub fn archive(&mut self, n: u32, now: DateTime<Utc>) -> Result<()> {
        let from = [VersionState::Draft, VersionState::Review, VersionState::Published];
        self.change(n, VersionState::Archived, "archive", &from, "draft, review, published", now)
    }

    /// Publishes the content of an earlier published version again, as a new version, and gives its number.
    ///
    /// # Errors
    /// [`KnowledgeError::StateConflict`] unless that version is archived, [`KnowledgeError::NoSuchVersion`].
    pub fn rollback(&mut self, n: u32, by: &str, now: DateTime<Utc>) -> Result<u32> {
        let version = self.version(n)?;
        if version.state != VersionState::Archived {
            return Err(KnowledgeError::StateConflict {
                version: n,
                state: version.state,
                action: "roll back to it",
                allowed: "archived",
            });
        }
        let content = version.content.clone();
        let new = self.revise(content, by, now)?;
        self.publish(new, now)?;
        Ok(new)
    }

    /// Archives every version: what `DELETE` does.
    pub fn archive_all(&mut self, now: DateTime<Utc>) {
        for version in self.versions.iter_mut().filter(|version| version.state != VersionState::Archived) {
            version.state = VersionState::Archived;
            version.changed_at = now;
        }
    }

    /// The published version, as the index wants it.
    pub fn published(&self) -> Option<Document> {
        self.versions.iter().find(|version| version.state == VersionState::Published).map(|version| Document {
            document_id: self.document_id.clone(),
            version: version.n,
            content: version.content.clone(),
        })
    }

    /// Whether readers of these queues see both the newest version and the published one; without any queue they see all.
    pub fn open_to(&self, queues: &[String]) -> bool {
        let newest = self.versions.last().map(|version| version.n);
        let shown = |version: &&Version| Some(version.n) == newest || version.state == VersionState::Published;
        self.versions.iter().filter(shown).all(|version| version.content.open_to(queues))
    }

    /// The lines in which two versions differ, title first.
    ///
    /// # Errors
    /// [`KnowledgeError::NoSuchVersion`].
    pub fn diff(&self, from: u32, to: u32) -> Result<Vec<DiffLine>> {
        let lines = |n| -> Result<Vec<String>> {
            let content = &self.version(n)?.content;
            Ok(std::iter::once(content.title.clone()).chain(content.body.lines().map(str::to_owned)).collect())
        };
        Ok(diff_lines(&lines(from)?, &lines(to)?))
    }

    fn change(
        &mut self,
        n: u32,
        to: VersionState,
        action: &'static str,
        from: &[VersionState],
        allowed: &'static str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let missing = self.no_such_version(n);
        let version = self.versions.iter_mut().find(|version| version.n == n).ok_or(missing)?;
        if !from.contains(&version.state) {
            return Err(KnowledgeError::StateConflict { version: n, state: version.state, action, allowed });
        }
        version.state = to;
        version.changed_at = now;
        Ok(())
    }

    fn no_such_version(&self, version: u32) -> KnowledgeError {
        KnowledgeError::NoSuchVersion { document_id: self.document_id.clone(), version, count: self.versions.len() }
    }
}

/// Longest common subsequence over lines, after common lines at both ends are taken off. Beyond [`DIFF_CELLS`] the middle
/// counts as replaced whole, so that a large document costs no large table.
fn diff_lines(from: &[String], to: &[String]) -> Vec<DiffLine> {
    const DIFF_CELLS: usize = 4_000_000;
    let head = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let tail = from[head..].iter().rev().zip(to[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&from[head..from.len() - tail], &to[head..to.len() - tail]);
    let mut lines: Vec<DiffLine> = from[..head].iter().cloned().map(DiffLine::Same).collect();
    if a.len() * b.len() > DIFF_CELLS {
        lines.extend(a.iter().cloned().map(DiffLine::Removed));
        lines.extend(b.iter().cloned().map(DiffLine::Added));
    } else {
        lines.extend(middle(a, b));
    }
    lines.extend(from[from.len() - tail..].iter().cloned().map(DiffLine::Same));
    lines
}

fn middle(a: &[String], b: &[String]) -> Vec<DiffLine> {
    let width = b.len() + 1;
    let mut common = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(DiffLine::Same(a[i].clone()));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            lines.push(DiffLine::Removed(a[i].clone()));
            i += 1;
        } else {
            lines.push(DiffLine::Added(b[j].clone()));
            j += 1;
        }
    }
    lines
}
