//! The state of the knowledge base: what is used and what is not, what is due, what surges.

use std::collections::HashMap;

use chrono::{DateTime, Days, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::document::Document;
use super::duplicates::{Finding, findings};
use super::learning::{Outcome, Use};
use super::lifecycle::History;
use super::season::{Season, Surge, seasonal, surging};

/// Days of usage that count for an article.
const REVIEW_DAYS: u64 = 90;
/// Days after its publication from which an article should have been shown.
const UNUSED_AFTER_DAYS: i64 = 30;
/// Days ahead in which a review or an expiry is announced.
const SOON_DAYS: u64 = 30;
/// An article and what is to be done about it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ArticleStats {
    /// `doc_…`
    pub document_id: String,
    /// Title.
    pub title: String,
    /// Who looks after it.
    pub owner: Option<String>,
    /// Times shown in the last 90 days.
    pub shown: u32,
    /// Times opened.
    pub clicked: u32,
    /// Times used.
    pub used: u32,
    /// Times put away.
    pub dismissed: u32,
    /// Times called wrong.
    pub wrong: u32,
    /// What is to be done: `never_shown`, `never_used`, `often_wrong`, `review_due`, `review_soon`, `expired`, `expires_soon`,
    /// `no_owner`.
    pub flags: Vec<&'static str>,
}

/// The state of the knowledge base.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Review {
    /// Published articles.
    pub published: usize,
    /// Articles with a draft or a review that waits.
    pub in_work: usize,
    /// Articles, those with something to do first.
    pub articles: Vec<ArticleStats>,
    /// Articles that say the same or contradict each other.
    pub findings: Vec<Finding>,
    /// Topics that are asked for more than usual.
    pub surging: Vec<Surge>,
    /// Topics that past years had more often in the four weeks that begin today.
    pub seasonal: Vec<Season>,
}

/// Looks at all documents and what became of them; seasons need the usage of [`super::SEASON_HISTORY_DAYS`] days.
pub fn review(histories: &[History], uses: &[Use], now: DateTime<Utc>) -> Review {
    let published: Vec<(&History, Document)> =
        histories.iter().filter_map(|history| history.published().map(|document| (history, document))).collect();
    let mut counts: HashMap<(&str, Outcome), u32> = HashMap::new();
    let since = now.date_naive() - Days::new(REVIEW_DAYS);
    for item in uses.iter().filter(|item| item.day >= since) {
        *counts.entry((&item.document_id, item.outcome)).or_default() += item.count;
    }
    let mut articles: Vec<ArticleStats> =
        published.iter().map(|(history, document)| stats(history, document, &counts, now)).collect();
    articles.sort_by(|a, b| b.flags.len().cmp(&a.flags.len()).then(b.used.cmp(&a.used)).then(a.title.cmp(&b.title)));
    let in_work =
        histories.iter().filter(|history| history.versions.last().map(|v| v.n) > history.published().map(|d| d.version)).count();
    Review {
        published: published.len(),
        in_work,
        articles,
        findings: findings(published.iter().map(|(_, document)| (document.document_id.as_str(), &document.content))),
        surging: surging(uses, now.date_naive()),
        seasonal: seasonal(uses, now.date_naive()),
    }
}

fn stats(history: &History, document: &Document, counts: &HashMap<(&str, Outcome), u32>, now: DateTime<Utc>) -> ArticleStats {
    let content = &document.content;
    let count = |outcome| counts.get(&(document.document_id.as_str(), outcome)).copied().unwrap_or(0);
    let soon = now + Days::new(SOON_DAYS);
    let since = history.versions.iter().find(|version| version.n == document.version).map_or(now, |version| version.changed_at);
    let old = (now - since).num_days() >= UNUSED_AFTER_DAYS;
    let (shown, used, wrong) = (count(Outcome::Shown), count(Outcome::Used), count(Outcome::Wrong));
    let mut flags = Vec::new();
    let mut flag = |holds: bool, name| flags.extend(holds.then_some(name));
    flag(content.expires_at.is_some_and(|moment| moment <= now), "expired");
    flag(content.expires_at.is_some_and(|moment| moment > now && moment <= soon), "expires_soon");
    flag(content.review_at.is_some_and(|moment| moment <= now), "review_due");
    flag(content.review_at.is_some_and(|moment| moment > now && moment <= soon), "review_soon");
    flag(wrong >= 3 && wrong * 5 >= shown.max(1), "often_wrong");
    flag(old && shown == 0, "never_shown");
    flag(old && shown > 0 && used + count(Outcome::Clicked) == 0, "never_used");
    flag(content.owner.is_none(), "no_owner");
    ArticleStats {
        document_id: document.document_id.clone(),
        title: content.title.clone(),
        owner: content.owner.clone(),
        shown,
        clicked: count(Outcome::Clicked),
        used,
        dismissed: count(Outcome::Dismissed),
        wrong,
        flags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Language;
    use crate::knowledge::DocumentContent;

    fn history(id: &str, change: impl Fn(&mut DocumentContent), published: DateTime<Utc>) -> History {
        let mut content = DocumentContent {
            title: id.into(),
            body: format!("body of {id}"),
            language: Language::En,
            ..DocumentContent::default()
        };
        content.owner = Some("desk".into());
        change(&mut content);
        let mut history = History::create(id, content, "t", published).unwrap();
        history.publish(1, published).unwrap();
        history
    }

    #[test]
    fn what_is_due_and_what_surges_is_named() {
        let now: DateTime<Utc> = "2026-06-01T00:00:00Z".parse().unwrap();
        let long_ago = now - Days::new(60);
        let histories = [
            history("a", |_| {}, long_ago),
            history("b", |content| content.review_at = Some(long_ago), long_ago),
            history("c", |content| content.expires_at = Some(now + Days::new(3)), now),
        ];
        let used = |day: u64, document: &str, outcome, count| Use {
            day: (now - Days::new(day)).date_naive(),
            document_id: document.into(),
            topic: "refund_status".into(),
            agent: "x".into(),
            outcome,
            count,
        };
        let uses = [used(1, "b", Outcome::Shown, 30), used(1, "b", Outcome::Used, 9), used(20, "b", Outcome::Shown, 8)];
        let review = review(&histories, &uses, now);
        let flags = |id: &str| review.articles.iter().find(|article| article.document_id == id).unwrap().flags.clone();
        assert_eq!((flags("a"), flags("b"), flags("c")), (vec!["never_shown"], vec!["review_due"], vec!["expires_soon"]));
        assert_eq!(review.surging.len(), 1);
        assert!((review.surging[0].ratio - 15.0).abs() < 1e-9, "{:?}", review.surging);
    }
}
