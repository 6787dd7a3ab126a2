//! What the mistakes have in common: clusters of them, the training examples they lie next to, and labels that contradict
//! each other.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::example::{Dataset, Example, Gold};
use super::score::Outcome;
use super::statistics::Draws;

/// A training example near a mistake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its label.
    pub label: String,
    /// Cosine, in [-1, 1].
    pub similarity: f32,
}

/// A wrong answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The item.
    pub id: String,
    /// Its text.
    pub text: String,
    /// What should have come out.
    pub expected: String,
    /// What came out.
    pub got: String,
    /// Nearest training examples, the nearest first.
    pub neighbours: Vec<Neighbour>,
}

/// Mistakes that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// The confusions in it, the most frequent first: (expected, got, how many).
    pub confusions: Vec<(String, String, usize)>,
    /// The mistakes, the most typical first.
    pub mistakes: Vec<Mistake>,
}

/// Texts that are nearly the same and labelled differently: one of the labels should probably change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// The evaluated item.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its label.
    pub label: String,
    /// What the system says, and the neighbours with it.
    pub proposed: String,
    /// The training examples that speak for it.
    pub evidence: Vec<Neighbour>,
}

/// Everything about the mistakes of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Items.
    pub items: usize,
    /// Wrong ones.
    pub wrong: usize,
    /// Clusters, the largest first.
    pub clusters: Vec<Cluster>,
    /// Conflicts, the strongest first.
    pub conflicts: Vec<Conflict>,
}

/// Neighbours that are looked at for contradictions.
const NEIGHBOURS: usize = 20;
/// Neighbours that are shown.
const SHOWN: usize = 3;
/// Mistakes that are compared with the training examples in one go.
const GROUP: usize = 32;
/// Rounds of the clustering, at most.
const ROUNDS: usize = 30;
/// Cosine from which two texts may say the same.
const SAME: f32 = 0.85;
/// Share of their pairs of characters that two texts must have in common to say nearly the same: sentence vectors of a model
/// that was trained on labels lie near each other for their labels as well.
const WORDING: f32 = 0.5;
/// Weight of the two labels of a mistake beside its vector: mistakes are grouped by what they say and how they went wrong.
const CONFUSION: f32 = 0.7;

/// Groups the mistakes of a task with labels by their sentence vectors and by the labels that were mixed up (spherical
/// k-means, k = sqrt(mistakes / 2)), and looks up their nearest training examples.
///
/// `vectors` and `train_vectors` have length 1 and belong to the examples in their order.
pub fn analyse_errors(
    dataset: &Dataset,
    outcomes: &[Outcome],
    vectors: &[Vec<f32>],
    train: &Dataset,
    train_vectors: &[Vec<f32>],
    seed: u64,
) -> ErrorReport {
    let wrong: Vec<usize> = (0..outcomes.len()).filter(|i| !outcomes[*i].right).collect();
    let points: Vec<&[f32]> = wrong.iter().map(|i| vectors[*i].as_slice()).collect();
    let places: HashMap<&str, usize> = train.examples.iter().enumerate().map(|(at, e)| (e.id.as_str(), at)).collect();
    let own = |i: &usize| places.get(dataset.examples[*i].id.as_str()).copied();
    let queries: Vec<(&[f32], Option<usize>)> = points.iter().copied().zip(wrong.iter().map(own)).collect();
    let near = nearest(&queries, train_vectors);
    let mistake = |m: usize| {
        let i = wrong[m];
        Mistake {
            id: outcomes[i].id.clone(),
            text: dataset.examples[i].shown(),
            expected: outcomes[i].expected.clone(),
            got: outcomes[i].got.clone(),
            neighbours: neighbours(near[m].iter().take(SHOWN), train),
        }
    };
    let count = ((wrong.len() as f64 / 2.0).sqrt().ceil() as usize).clamp(1, 24);
    let joined: Vec<Vec<f32>> = with_confusions(&points, &wrong.iter().map(|i| &outcomes[*i]).collect::<Vec<_>>());
    let mut clusters: Vec<Cluster> = spherical_k_means(&joined.iter().map(Vec::as_slice).collect::<Vec<_>>(), count, seed)
        .into_iter()
        .map(|members| {
            let mistakes: Vec<Mistake> = members.into_iter().map(mistake).collect();
            Cluster { confusions: confusions(&mistakes), mistakes }
        })
        .collect();
    clusters.sort_by_key(|c| std::cmp::Reverse(c.mistakes.len()));
    let conflicts = conflicts(&wrong, dataset, outcomes, &near, train);
    ErrorReport { items: outcomes.len(), wrong: wrong.len(), clusters, conflicts }
}

/// Lanes of a sum of products: enough for the widest vector unit, and one fixed order of additions on every machine.
const LANES: usize = 16;

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_parts, b_parts) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_parts.zip(b_parts) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The label of an example, as one word.
fn label_of(example: &Example) -> String {
    match &example.gold {
        Gold::Label(labels) => labels.join(", "),
        Gold::Labels(labels) => labels.iter().cloned().collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

/// The nearest training examples of every vector: (cosine, place), the nearest first, equal ones by place. Every training
/// vector is read once for a group of queries.
/// `own` is the place of the query itself among them, which is left out.
fn nearest(queries: &[(&[f32], Option<usize>)], train_vectors: &[Vec<f32>]) -> Vec<Vec<(f32, usize)>> {
    let group = |queries: &[(&[f32], Option<usize>)]| {
        let mut near: Vec<Vec<(f32, usize)>> = vec![Vec::with_capacity(NEIGHBOURS + 1); queries.len()];
        for (place, vector) in train_vectors.iter().enumerate() {
            for ((query, own), near) in queries.iter().zip(&mut near) {
                if *own == Some(place) {
                    continue;
                }
                let similarity = cosine(query, vector);
                if near.len() == NEIGHBOURS && near.last().is_some_and(|(least, _)| *least >= similarity) {
                    continue;
                }
                let at = near.partition_point(|(other, _)| *other >= similarity);
                near.insert(at, (similarity, place));
                near.truncate(NEIGHBOURS);
            }
        }
        near
    };
    queries.par_chunks(GROUP).flat_map_iter(group).collect()
}

/// Vectors of length 1 with places for the labels that should have come out and that came out.
fn with_confusions(points: &[&[f32]], wrong: &[&Outcome]) -> Vec<Vec<f32>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for label in wrong.iter().flat_map(|o| [o.expected.as_str(), o.got.as_str()]) {
        let next = places.len();
        places.entry(label).or_insert(next);
    }
    let length = (1.0 + 2.0 * CONFUSION * CONFUSION).sqrt();
    let one = |(point, outcome): (&&[f32], &&Outcome)| {
        let mut vector = point.to_vec();
        let labels = vector.len();
        vector.resize(labels + 2 * places.len(), 0.0);
        vector[labels + places[outcome.expected.as_str()]] = CONFUSION;
        vector[labels + places.len() + places[outcome.got.as_str()]] = CONFUSION;
        vector.iter_mut().for_each(|v| *v /= length);
        vector
    };
    points.iter().zip(wrong).map(one).collect()
}

fn neighbours<'a>(near: impl Iterator<Item = &'a (f32, usize)>, train: &Dataset) -> Vec<Neighbour> {
    let neighbour = |(similarity, i): &(f32, usize)| {
        let example = &train.examples[*i];
        Neighbour { id: example.id.clone(), text: example.shown(), label: label_of(example), similarity: *similarity }
    };
    near.map(neighbour).collect()
}

fn confusions(mistakes: &[Mistake]) -> Vec<(String, String, usize)> {
    let mut counts: std::collections::BTreeMap<(&str, &str), usize> = std::collections::BTreeMap::new();
    for mistake in mistakes {
        *counts.entry((&mistake.expected, &mistake.got)).or_default() += 1;
    }
    let mut all: Vec<_> = counts.into_iter().map(|((e, g), n)| (e.to_owned(), g.to_owned(), n)).collect();
    all.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    all
}

/// Whether a training example bears a label, alone or among others.
fn bears(neighbour: &Neighbour, label: &str) -> bool {
    neighbour.label.split(", ").any(|l| l == label)
}

/// Mistakes whose nearest training examples are worded nearly alike and bear the label that the system gave.
fn conflicts(
    wrong: &[usize],
    dataset: &Dataset,
    outcomes: &[Outcome],
    near: &[Vec<(f32, usize)>],
    train: &Dataset,
) -> Vec<Conflict> {
    let mut all: Vec<Conflict> = Vec::new();
    for (item, near) in wrong.iter().zip(near) {
        let (outcome, text) = (&outcomes[*item], dataset.examples[*item].shown());
        let same = near
            .iter()
            .filter(|(similarity, place)| *similarity >= SAME && wording(&text, &train.examples[*place].shown()) >= WORDING);
        let same = neighbours(same, train);
        let against = same.iter().filter(|n| bears(n, &outcome.expected)).count();
        let evidence: Vec<Neighbour> = same.into_iter().filter(|n| bears(n, &outcome.got)).take(SHOWN).collect();
        if evidence.len() > against {
            all.push(Conflict {
                id: outcome.id.clone(),
                text,
                label: outcome.expected.clone(),
                proposed: outcome.got.clone(),
                evidence,
            });
        }
    }
    all.sort_by(|a, b| b.evidence[0].similarity.total_cmp(&a.evidence[0].similarity));
    all
}

/// Dice coefficient of the pairs of characters of two texts; marks, blanks and case play no part.
fn wording(a: &str, b: &str) -> f32 {
    let pairs = |text: &str| {
        let plain: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let mut pairs: Vec<(char, char)> = plain.windows(2).map(|w| (w[0], w[1])).collect();
        pairs.sort_unstable();
        pairs
    };
    let (a, mut b) = (pairs(a), pairs(b));
    let all = a.len() + b.len();
    let shared = a.iter().filter(|pair| b.binary_search(pair).map(|at| b.remove(at)).is_ok()).count();
    if all == 0 { 0.0 } else { 2.0 * shared as f32 / all as f32 }
}

/// Clusters of unit vectors: members of each, nearest to the middle first. Starts by k-means++ (Arthur and Vassilvitskii
/// 2007) with the seed.
fn spherical_k_means(points: &[&[f32]], count: usize, seed: u64) -> Vec<Vec<usize>> {
    if points.is_empty() {
        return Vec::new();
    }
    let mut random = Draws::named(seed, "errors");
    let mut centres: Vec<Vec<f32>> = vec![points[random.below(points.len())].to_vec()];
    while centres.len() < count.min(points.len()) {
        let far: Vec<f64> = points
            .iter()
            .map(|p| centres.iter().map(|c| f64::from(1.0 - cosine(p, c)).max(0.0)).fold(f64::MAX, f64::min))
            .collect();
        let mut left = random.unit() * far.iter().sum::<f64>();
        let next = far.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        // All points lie on a centre: there is nothing left to part.
        let Some(next) = next else { break };
        centres.push(points[next].to_vec());
    }
    let mut of: Vec<usize> = vec![usize::MAX; points.len()];
    for _ in 0..ROUNDS {
        let nearest: Vec<usize> = points
            .iter()
            .map(|p| (0..centres.len()).max_by(|a, b| cosine(p, &centres[*a]).total_cmp(&cosine(p, &centres[*b]))).unwrap_or(0))
            .collect();
        if nearest == of {
            break;
        }
        of = nearest;
        for (number, centre) in centres.iter_mut().enumerate() {
            let mut sum = vec![0.0_f32; centre.len()];
            for (point, _) in points.iter().zip(&of).filter(|(_, c)| **c == number) {
                sum.iter_mut().zip(*point).for_each(|(s, v)| *s += v);
            }
            let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length > 0.0 {
                *centre = sum.into_iter().map(|v| v / length).collect();
            }
        }
    }
    let mut clusters: Vec<Vec<usize>> = vec![Vec::new(); centres.len()];
    of.iter().enumerate().for_each(|(point, cluster)| clusters[*cluster].push(point));
    for (members, centre) in clusters.iter_mut().zip(&centres) {
        members.sort_by(|a, b| cosine(points[*b], centre).total_cmp(&cosine(points[*a], centre)));
    }
    clusters.retain(|c| !c.is_empty());
    clusters
}
