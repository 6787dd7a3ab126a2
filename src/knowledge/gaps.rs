//! Questions without a good answer, put together to candidates for new articles.
//!
//! Each question joins the nearest cluster if it is near enough, else it begins one. Nearness is the cosine of words and
//! Chinese characters that carry meaning; with vectors, the mean of that and the cosine of the vectors. The most central question names the cluster.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::conversation::Language;

use super::analysis;
use super::query::ParsedQuery;

/// Nearness from which two questions are about one thing.
const NEAR: f32 = 0.42;
/// Examples of a cluster.
const EXAMPLES: usize = 5;
/// Questions that are clustered; older ones are left out.
pub const MAX_GAPS: usize = 5_000;

/// A question without a good answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gap {
    /// `gap_…`
    pub gap_id: String,
    /// RFC 3339.
    pub time: String,
    /// The question.
    pub question: String,
    /// `nothing_found`, `weak` or `not_helpful`.
    pub reason: String,
    /// Intent, if one was understood.
    pub intent: Option<String>,
    /// Call or chat in which it was asked.
    pub call_id: Option<String>,
    /// The article that came nearest.
    pub document_id: Option<String>,
}

/// A gap that a conversation met just now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Miss {
    /// The question.
    pub gap: Gap,
    /// Score of the article that came nearest.
    pub score: Option<f32>,
}

/// A question of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GapExample {
    /// `gap_…`
    pub gap_id: String,
    /// The question.
    pub question: String,
    /// Call or chat in which it was asked.
    pub call_id: Option<String>,
    /// RFC 3339.
    pub time: String,
}

/// Questions about one thing: a candidate for an article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GapCluster {
    /// The most central question: a title to begin with.
    pub title: String,
    /// `zh` or `en`.
    pub language: Language,
    /// How many questions.
    pub count: usize,
    /// In how many calls and chats.
    pub calls: usize,
    /// Why they are here, with counts.
    pub reasons: BTreeMap<String, usize>,
    /// The most frequent intent.
    pub intent: Option<String>,
    /// The article that most often came nearest: perhaps it needs an addition instead of a new article.
    pub nearest_document_id: Option<String>,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339.
    pub last_seen: String,
    /// Some of the questions, most central first.
    pub examples: Vec<GapExample>,
}

struct Words {
    weights: HashMap<String, f32>,
    length: f32,
}

struct Cluster {
    members: Vec<usize>,
    centre: HashMap<String, f32>,
    dense: Vec<f32>,
}

/// Clusters questions, largest first; `vectors` are those of the questions by the encoder, or empty. A cluster has at least
/// `least` questions.
pub fn cluster(gaps: &[Gap], vectors: &[Vec<f32>], least: usize) -> Vec<GapCluster> {
    let gaps = &gaps[..gaps.len().min(MAX_GAPS)];
    let words = words_of(gaps);
    let dense = |n: usize| vectors.get(n).map_or(&[][..], Vec::as_slice);
    let mut clusters: Vec<Cluster> = Vec::new();
    for n in 0..gaps.len() {
        let own_language = Language::of_text(&gaps[n].question);
        let near = clusters
            .iter()
            .enumerate()
            .filter(|(_, cluster)| Language::of_text(&gaps[cluster.members[0]].question) == own_language)
            .map(|(position, cluster)| (nearness(&words[n], dense(n), cluster), position))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match near {
            Some((value, position)) if value >= NEAR => clusters[position].join(n, &words[n], dense(n)),
            _ => {
                let mut cluster = Cluster { members: Vec::new(), centre: HashMap::new(), dense: Vec::new() };
                cluster.join(n, &words[n], dense(n));
                clusters.push(cluster);
            }
        }
    }
    clusters.retain(|cluster| cluster.members.len() >= least.max(1));
    let mut out: Vec<GapCluster> = clusters.iter().map(|cluster| described(cluster, gaps, &words, vectors)).collect();
    out.sort_by(|a, b| b.count.cmp(&a.count).then(b.last_seen.cmp(&a.last_seen)).then(a.title.cmp(&b.title)));
    out
}

fn words_of(gaps: &[Gap]) -> Vec<Words> {
    let words = |gap: &Gap| {
        let parsed = ParsedQuery::spoken(&gap.question);
        let terms = parsed.words.into_iter().map(|word| word.term).chain(analysis::content_characters(&gap.question));
        let weights: HashMap<String, f32> = terms.map(|term| (term, 1.0)).collect();
        let length = (weights.len() as f32).sqrt();
        Words { weights, length }
    };
    gaps.iter().map(words).collect()
}

impl Cluster {
    fn join(&mut self, n: usize, words: &Words, dense: &[f32]) {
        self.members.push(n);
        for (term, weight) in &words.weights {
            *self.centre.entry(term.clone()).or_default() += weight / words.length.max(f32::EPSILON);
        }
        if self.dense.is_empty() {
            self.dense = dense.to_vec();
        } else {
            self.dense.iter_mut().zip(dense).for_each(|(sum, value)| *sum += value);
        }
    }
}

fn nearness(words: &Words, dense: &[f32], cluster: &Cluster) -> f32 {
    let dot: f32 = words.weights.iter().filter_map(|(term, weight)| cluster.centre.get(term).map(|sum| sum * weight)).sum();
    let length = cluster.centre.values().map(|value| value * value).sum::<f32>().sqrt();
    let lexical = dot / (words.length * length).max(f32::EPSILON);
    if dense.is_empty() || cluster.dense.is_empty() {
        return lexical;
    }
    let dot: f32 = dense.iter().zip(&cluster.dense).map(|(a, b)| a * b).sum();
    let norm = |vector: &[f32]| vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    (lexical + dot / (norm(dense) * norm(&cluster.dense)).max(f32::EPSILON)) / 2.0
}

fn described(cluster: &Cluster, gaps: &[Gap], words: &[Words], vectors: &[Vec<f32>]) -> GapCluster {
    let mut central: Vec<(f32, &Gap)> = cluster
        .members
        .iter()
        .map(|n| (nearness(&words[*n], vectors.get(*n).map_or(&[][..], Vec::as_slice), cluster), &gaps[*n]))
        .collect();
    central.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.gap_id.cmp(&b.1.gap_id)));
    let members = || cluster.members.iter().map(|n| &gaps[*n]);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    members().for_each(|gap| *reasons.entry(gap.reason.clone()).or_default() += 1);
    let calls: std::collections::BTreeSet<&String> = members().filter_map(|gap| gap.call_id.as_ref()).collect();
    let mut examples: Vec<GapExample> = Vec::new();
    for (_, gap) in &central {
        if examples.len() < EXAMPLES && examples.iter().all(|example| example.question != gap.question) {
            let (gap_id, question, time) = (gap.gap_id.clone(), gap.question.clone(), gap.time.clone());
            examples.push(GapExample { gap_id, question, call_id: gap.call_id.clone(), time });
        }
    }
    GapCluster {
        title: central[0].1.question.clone(),
        language: Language::of_text(&central[0].1.question),
        count: cluster.members.len(),
        calls: calls.len(),
        reasons,
        intent: most_frequent(members().filter_map(|gap| gap.intent.clone())),
        nearest_document_id: most_frequent(members().filter_map(|gap| gap.document_id.clone())),
        first_seen: members().map(|gap| gap.time.clone()).min().unwrap_or_default(),
        last_seen: members().map(|gap| gap.time.clone()).max().unwrap_or_default(),
        examples,
    }
}

fn most_frequent(values: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0))).map(|(value, _)| value)
}

/// A text without what may identify a person: mail addresses and numbers of four digits or more become `#`.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let blank = word.len() - word.trim_end().len();
        if word.contains('@') {
            out.push('#');
            out.push_str(&word[word.len() - blank..]);
            continue;
        }
        let mut digits = String::new();
        for c in word.chars().chain(['\0']) {
            if c.is_numeric() || (c == '-' && !digits.is_empty()) {
                digits.push(c);
                continue;
            }
            let long = digits.chars().filter(|c| c.is_numeric()).count() >= 4;
            out.push_str(if long { "#" } else { &digits });
            digits.clear();
            if c != '\0' {
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(n: usize, question: &str) -> Gap {
        Gap {
            gap_id: format!("gap_{n}"),
            time: format!("2026-03-0{}T00:00:00Z", n % 9 + 1),
            question: question.into(),
            reason: "nothing_found".into(),
            call_id: Some(format!("call_{}", n / 2)),
            ..Gap::default()
        }
    }

    #[test]
    fn questions_about_one_thing_come_together() {
        let texts = [
            "电子发票抬头写错了怎么改",
            "发票抬头能不能修改",
            "我发票抬头开错了",
            "宠物能不能带上飞机",
            "can I take my dog on the plane",
            "is a dog allowed on the plane",
        ];
        let gaps: Vec<Gap> = texts.iter().enumerate().map(|(n, text)| gap(n, text)).collect();
        let clusters = cluster(&gaps, &[], 2);
        assert_eq!(clusters.iter().map(|c| c.count).collect::<Vec<_>>(), [3, 2], "{clusters:?}");
        assert!(clusters[0].title.contains("发票抬头") && clusters[0].examples.len() == 3 && clusters[0].calls == 2);
        assert_eq!(clusters[1].language, Language::En);
        assert_eq!(cluster(&gaps, &[], 1).len(), 3);
        assert!(cluster(&[], &[], 1).is_empty());
    }

    #[test]
    fn numbers_and_addresses_are_masked() {
        assert_eq!(masked("订单80213557什么时候到，3天了"), "订单#什么时候到，3天了");
        assert_eq!(masked("mail ann@example.org or 555-0123 please"), "mail # or # please");
    }
}
