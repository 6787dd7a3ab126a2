//! The vector side: one trait, two homes for the vectors.
//!
//! * [`EmbeddedVectors`]: qdrant-edge in this process, beside the full-text index.
//! * [`ServerVectors`]: a Qdrant server or cluster over gRPC.
//!
//! Every point carries what filters need and the generation (index version) that wrote it; a rebuild writes a new
//! generation and then deletes the older ones, so searches never see a gap.

mod embedded;
mod server;

pub use embedded::EmbeddedVectors;
pub use server::ServerVectors;

use super::Result;

/// A passage and its vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorPoint {
    /// `psg_…`
    pub passage_id: String,
    /// `doc_…`
    pub document_id: String,
    /// Its vector; length as configured.
    pub vector: Vec<f32>,
    /// Queues that see it; `*`: all.
    pub queues: Vec<String>,
    /// Groups that see it; `*`: all.
    pub audience: Vec<String>,
    /// `zh` or `en`.
    pub language: String,
    /// Name of the kind.
    pub kind: String,
    /// Category, empty if none.
    pub category: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Found from this second on.
    pub effective_from_s: i64,
    /// Found before this second.
    pub expires_at_s: i64,
    /// Index version that wrote it.
    pub generation: u64,
}

/// Which points may answer; an empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorFilter {
    /// One of these queues, `*` included by the caller.
    pub queues: Vec<String>,
    /// One of these groups, `*` included by the caller.
    pub audience: Vec<String>,
    /// One of these languages.
    pub languages: Vec<String>,
    /// One of these kinds.
    pub kinds: Vec<String>,
    /// One of these categories.
    pub categories: Vec<String>,
    /// At least one of these tags.
    pub tags: Vec<String>,
    /// Valid at this second; `None`: no check.
    pub as_of_s: Option<i64>,
}

impl VectorFilter {
    /// The lists with the names of the fields that they restrict.
    fn lists(&self) -> [(&'static str, &Vec<String>); 6] {
        [
            ("queues", &self.queues),
            ("audience", &self.audience),
            ("language", &self.languages),
            ("kind", &self.kinds),
            ("category", &self.categories),
            ("tags", &self.tags),
        ]
    }
}

/// A passage near a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorHit {
    /// `psg_…`
    pub passage_id: String,
    /// Cosine in [-1, 1].
    pub score: f32,
}

/// A home of vectors. Calls block; they may come from several threads.
pub trait VectorIndex: Send + Sync {
    /// Adds points, replacing those of the same passage.
    ///
    /// # Errors
    /// [`super::KnowledgeError::Vector`].
    fn upsert(&self, points: &[VectorPoint]) -> Result<()>;

    /// Deletes points (of one document, or of all) that an earlier generation wrote.
    ///
    /// # Errors
    /// [`super::KnowledgeError::Vector`].
    fn delete_older(&self, document_id: Option<&str>, generation: u64) -> Result<()>;

    /// The points nearest by cosine, best first.
    ///
    /// # Errors
    /// [`super::KnowledgeError::Vector`]: not reachable, too slow, a vector of another length.
    fn search(&self, vector: &[f32], limit: usize, filter: &VectorFilter) -> Result<Vec<VectorHit>>;

    /// How many points there are.
    ///
    /// # Errors
    /// [`super::KnowledgeError::Vector`].
    fn count(&self) -> Result<usize>;

    /// Makes everything durable and, after many writes, searches fast.
    ///
    /// # Errors
    /// [`super::KnowledgeError::Vector`].
    fn settle(&self) -> Result<()>;
}

/// Last second that both homes keep exactly (year 9999).
const LATEST_S: i64 = 253_402_300_799;
/// Keyword fields that are indexed.
const KEYWORD_FIELDS: [&str; 7] = ["document_id", "queues", "audience", "language", "kind", "category", "tags"];
/// Integer fields that are indexed.
const INTEGER_FIELDS: [&str; 3] = ["effective_from", "expires_at", "generation"];

/// The payload of a point, the same in both homes.
fn payload(point: &VectorPoint) -> serde_json::Value {
    serde_json::json!({
        "document_id": point.document_id,
        "queues": point.queues,
        "audience": point.audience,
        "language": point.language,
        "kind": point.kind,
        "category": point.category,
        "tags": point.tags,
        "effective_from": point.effective_from_s.clamp(0, LATEST_S),
        "expires_at": point.expires_at_s.clamp(0, LATEST_S),
        "generation": point.generation,
    })
}

/// The 128 bits of a passage id.
fn bits_of(passage_id: &str) -> Result<u128> {
    let ulid = passage_id.strip_prefix("psg_").and_then(|text| ulid::Ulid::from_string(text).ok());
    ulid.map(u128::from).ok_or_else(|| super::KnowledgeError::vector(format!("`{passage_id}` is no passage id")))
}

fn passage_id_of(bits: u128) -> String {
    format!("psg_{}", ulid::Ulid::from(bits))
}

#[cfg(test)]
pub(super) mod test_server;
#[cfg(test)]
mod tests;
