//! Turns to speakers: the turns of a call fall into one or two voices.
//!
//! Spherical k-means with two centres (Dhillon and Modha, 2001), each turn weighted by its voice, started from every pair of the
//! longest turns; the start with the greatest sum of similarities wins. If the two centres are as alike as the halves of one
//! speaker are, there is one speaker. All turns are clustered anew with each that comes, so that an early mistake is mended once more is known.

use super::embedding::{DIMENSIONS, SpeakerEmbedding, Values, direction, dot, offset, unit};

/// Speakers that are told apart on one channel.
pub const MAX_SPEAKERS: usize = 2;
/// Turns with less voice than this do not start a centre.
const MIN_SEED_MS: u32 = 600;
/// Longest turns from which pairs are made.
const SEEDS: usize = 12;
const ROUNDS: usize = 8;
/// Voice beyond this gives a turn no more weight, in milliseconds.
const MAX_WEIGHT_MS: u32 = 4_000;
/// Cosine of the centres above which they are one speaker. Of simulated calls with one held-out speaker most lie above, of
/// those with two one in twenty.
const ONE_SPEAKER: f32 = 0.6;

/// The turns of one channel and who spoke them.
#[derive(Clone, Debug, Default)]
pub struct Diarizer {
    turns: Vec<SpeakerEmbedding>,
    labels: Vec<usize>,
}

impl Diarizer {
    /// Takes the next turn. Gives the earlier turns whose speaker is now thought to be another.
    pub fn take(&mut self, turn: SpeakerEmbedding) -> Vec<usize> {
        self.turns.push(turn);
        let before = std::mem::take(&mut self.labels);
        let mut labels = self.cluster();
        // Names go on: the naming that leaves most of the voice with the name that it had.
        let kept = |swap: bool| -> u64 {
            let same = before.iter().zip(&labels).zip(&self.turns).filter(|((old, new), _)| (**old == **new) != swap);
            same.map(|(_, turn)| u64::from(turn.voiced_ms)).sum()
        };
        if before.is_empty() {
            let first = labels.first().copied().unwrap_or(0);
            labels.iter_mut().for_each(|label| *label = usize::from(*label != first));
        } else if kept(true) > kept(false) {
            labels.iter_mut().for_each(|label| *label = 1 - *label);
        }
        self.labels = labels;
        before.iter().zip(&self.labels).enumerate().filter(|(_, (old, new))| old != new).map(|(turn, _)| turn).collect()
    }

    /// The speaker of every turn taken, 0 or 1.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Speakers found so far.
    pub fn n_speakers(&self) -> usize {
        (0..MAX_SPEAKERS).filter(|speaker| self.labels.contains(speaker)).count()
    }

    fn cluster(&self) -> Vec<usize> {
        let weights: Vec<f32> = self.turns.iter().map(|turn| turn.voiced_ms.min(MAX_WEIGHT_MS) as f32).collect();
        let mut mean = [0.0f32; DIMENSIONS];
        for (turn, weight) in self.turns.iter().zip(&weights) {
            mean.iter_mut().zip(&turn.values).for_each(|(sum, value)| *sum += weight * value);
        }
        let total = weights.iter().sum::<f32>().max(1.0);
        let offset = offset(&mean.map(|sum| sum / total));
        let turns: Vec<(Values, f32)> =
            self.turns.iter().zip(&weights).map(|(turn, weight)| (direction(&turn.values, &offset), *weight)).collect();
        let mut seeds: Vec<usize> = (0..self.turns.len()).filter(|&i| self.turns[i].voiced_ms >= MIN_SEED_MS).collect();
        seeds.sort_by_key(|&i| std::cmp::Reverse(self.turns[i].voiced_ms));
        seeds.truncate(SEEDS);
        let mut best: Option<Clustering> = None;
        for (n, &first) in seeds.iter().enumerate() {
            for &second in &seeds[..n] {
                let found = refine(&turns, [turns[first].0, turns[second].0]);
                if best.as_ref().is_none_or(|known| found.objective > known.objective) {
                    best = Some(found);
                }
            }
        }
        match best.filter(|found| found.similarity < ONE_SPEAKER) {
            Some(found) => found.labels,
            None => vec![0; self.turns.len()],
        }
    }
}

struct Clustering {
    labels: Vec<usize>,
    /// Sum over the turns of their similarity to their centre, weighted by their voice.
    objective: f32,
    /// Cosine of the centres.
    similarity: f32,
}

/// Moves two centres among directions with weights until they stay.
fn refine(turns: &[(Values, f32)], mut centres: [Values; 2]) -> Clustering {
    let mut labels = vec![0; turns.len()];
    let mut sums = [[0.0; DIMENSIONS]; 2];
    for _ in 0..ROUNDS {
        sums = [[0.0; DIMENSIONS]; 2];
        for ((direction, weight), label) in turns.iter().zip(&mut labels) {
            *label = usize::from(dot(direction, &centres[1]) > dot(direction, &centres[0]));
            sums[*label].iter_mut().zip(direction).for_each(|(sum, value)| *sum += weight * value);
        }
        let next = [unit(&sums[0]), unit(&sums[1])];
        if next == centres {
            break;
        }
        centres = next;
    }
    let length = |sum: &Values| dot(sum, sum).sqrt();
    Clustering { labels, objective: length(&sums[0]) + length(&sums[1]), similarity: dot(&centres[0], &centres[1]) }
}
