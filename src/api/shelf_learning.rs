//! What the shelf learns: from what became of articles, and from questions without an answer.

use std::str::FromStr;

use chrono::{Days, NaiveDate, Utc};

use super::KnowledgeShelf;
use super::shelf::ShelfError;
use crate::conversation::Language;
use crate::event::now_rfc3339;
use crate::knowledge::{
    Gap, GapCluster, Learned, LearningConfig, MAX_GAPS, Outcome, Review, SEASON_HISTORY_DAYS, SearchRequest, SearchResponse, Use,
    cluster, masked, review,
};
use crate::store::{FeedbackRow, GapRow, KnowledgeWrite, SearchRow, UsageRow, Write};

/// Best score below which an answered search is a gap.
pub(super) const WEAK_BELOW: f32 = 0.35;
/// Days of usage that are learned from: three half-lives.
const LEARNED_DAYS: u64 = 90;

fn day_before(days: u64) -> String {
    (Utc::now() - Days::new(days)).format("%Y-%m-%d").to_string()
}

impl KnowledgeShelf {
    /// What became of articles in the last days.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn uses(&self, days: u64) -> Result<Vec<Use>, ShelfError> {
        let rows = self.store().usage(&day_before(days)).await?;
        Ok(rows.into_iter().filter_map(used).collect())
    }

    /// Puts into force what was learned so far and says of how many articles.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn learn(&self) -> Result<usize, ShelfError> {
        let uses = self.uses(LEARNED_DAYS).await?;
        let learned = Learned::from_uses(&uses, Utc::now().date_naive(), LearningConfig::default());
        let known = learned.len();
        self.index().set_learned(learned);
        Ok(known)
    }

    /// Keeps what became of a suggestion and counts it for its article; a repeated report counts once.
    ///
    /// # Errors
    /// The store refused.
    pub async fn keep_feedback(&self, row: FeedbackRow, usage: Option<UsageRow>) -> Result<(), ShelfError> {
        self.want_learning();
        Ok(self.store().write(vec![Write::Knowledge(KnowledgeWrite::Feedback { row, usage })]).await?)
    }

    /// Keeps a search, and a gap if nothing good was found. Long numbers and mail addresses are masked.
    ///
    /// # Errors
    /// The store refused.
    pub async fn log_search(&self, actor: &str, request: &SearchRequest, answer: &SearchResponse) -> Result<(), ShelfError> {
        let best = answer.passages.first();
        let query = masked(&request.query);
        let language = Language::of_text(&query).name().to_owned();
        let (document_id, score) = (best.map(|hit| hit.document_id.clone()), best.map(|hit| f64::from(hit.score)));
        let mut writes = Vec::new();
        if best.is_none_or(|hit| hit.score < WEAK_BELOW) {
            writes.push(Write::Knowledge(KnowledgeWrite::Gap(GapRow {
                gap_id: new_gap_id(),
                time: now_rfc3339(),
                source: "search".into(),
                reason: if best.is_some() { "weak" } else { "nothing_found" }.into(),
                language: language.clone(),
                question: query.clone(),
                intent: request.topic.clone(),
                call_id: None,
                document_id: document_id.clone(),
                score,
            })));
        }
        writes.push(Write::Knowledge(KnowledgeWrite::Search(SearchRow {
            search_id: ulid::Ulid::new().to_string(),
            time: now_rfc3339(),
            actor: actor.to_owned(),
            language,
            query,
            results: i64::try_from(answer.passages.len()).unwrap_or(i64::MAX),
            score,
            document_id,
        })));
        Ok(self.store().write(writes).await?)
    }

    /// Questions without a good answer of the last days, put together; clusters of at least `least` questions.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn gaps(&self, days: u64, least: usize) -> Result<Vec<GapCluster>, ShelfError> {
        let since = (Utc::now() - Days::new(days)).to_rfc3339();
        let rows = self.store().gaps(&since, u32::try_from(MAX_GAPS).unwrap_or(u32::MAX)).await?;
        let gaps: Vec<Gap> = rows.into_iter().map(gap).collect();
        let shelf = self.clone();
        let clustered = tokio::task::spawn_blocking(move || {
            let texts: Vec<&str> = gaps.iter().map(|gap| gap.question.as_str()).collect();
            // without vectors the words decide alone
            let vectors = shelf.embed(&texts).unwrap_or_default();
            cluster(&gaps, &vectors, least)
        });
        clustered.await.map_err(|_| ShelfError::Interrupted)
    }

    /// Searches of the last days, newest first, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn searches(&self, days: u64, limit: u32) -> Result<Vec<SearchRow>, ShelfError> {
        Ok(self.store().searches(&(Utc::now() - Days::new(days)).to_rfc3339(), limit).await?)
    }

    /// What is used, due, doubled, contradictory, surging, and what the season brings.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn review(&self) -> Result<Review, ShelfError> {
        let (histories, uses) = (self.all().await?, self.uses(SEASON_HISTORY_DAYS).await?);
        let reviewed = tokio::task::spawn_blocking(move || review(&histories, &uses, Utc::now()));
        reviewed.await.map_err(|_| ShelfError::Interrupted)
    }
}

/// A fresh `gap_…`.
pub fn new_gap_id() -> String {
    format!("gap_{}", ulid::Ulid::new())
}

/// A gap that a conversation met, as it is kept.
pub fn gap_row(gap: Gap, source: &str, score: Option<f32>) -> GapRow {
    let question = masked(&gap.question);
    GapRow {
        gap_id: gap.gap_id,
        time: gap.time,
        source: source.to_owned(),
        reason: gap.reason,
        language: Language::of_text(&question).name().to_owned(),
        question,
        intent: gap.intent,
        call_id: gap.call_id,
        document_id: gap.document_id,
        score: score.map(f64::from),
    }
}

fn gap(row: GapRow) -> Gap {
    Gap {
        gap_id: row.gap_id,
        time: row.time,
        question: row.question,
        reason: row.reason,
        intent: row.intent,
        call_id: row.call_id,
        document_id: row.document_id,
    }
}

fn used(row: UsageRow) -> Option<Use> {
    Some(Use {
        day: NaiveDate::from_str(&row.day).ok()?,
        document_id: row.document_id,
        topic: row.topic,
        agent: row.agent,
        outcome: Outcome::from_name(&row.action)?,
        count: u32::try_from(row.count).ok()?,
    })
}
