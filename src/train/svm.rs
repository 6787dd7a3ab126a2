//! One linear support vector machine per label, by dual coordinate descent.
//!
//! Squared hinge loss with an L2 penalty: Hsieh, Chang, Lin, Keerthi and Sundararajan, "A Dual Coordinate Descent Method
//! for Large-scale Linear SVM" (ICML 2008), algorithm 3 with shrinking; the intercept is a feature of value 1.

use rayon::prelude::*;

use crate::inference::Sparse;

use super::data::Random;

/// Passes at most.
const PASSES: usize = 100;
/// Largest violation of the optimality conditions at the end.
const TOLERANCE: f32 = 0.1;

/// Training vectors, all in one piece of memory.
pub(super) struct Matrix {
    starts: Vec<usize>,
    places: Vec<u32>,
    values: Vec<f32>,
    squares: Vec<f32>,
    columns: usize,
}

impl Matrix {
    /// Vectors whose features are below `columns`.
    pub(super) fn new(rows: &[Sparse], columns: usize) -> Self {
        let mut matrix = Self { starts: vec![0], places: Vec::new(), values: Vec::new(), squares: Vec::new(), columns };
        for row in rows {
            matrix.places.extend(row.iter().map(|(p, _)| *p));
            matrix.values.extend(row.iter().map(|(_, v)| *v));
            matrix.starts.push(matrix.places.len());
            matrix.squares.push(row.iter().map(|(_, v)| v * v).sum());
        }
        matrix
    }

    fn rows(&self) -> usize {
        self.squares.len()
    }

    fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let span = self.starts[row]..self.starts[row + 1];
        (&self.places[span.clone()], &self.values[span])
    }
}

/// The machines of all labels.
pub(super) struct Machines {
    /// `labels` weights per feature.
    pub rows: Vec<f32>,
    /// One intercept per label.
    pub intercepts: Vec<f32>,
}

impl Machines {
    /// Margins of a vector, one per label.
    pub(super) fn margins(&self, vector: &Sparse) -> Vec<f32> {
        let labels = self.intercepts.len();
        let mut margins = self.intercepts.clone();
        for (place, value) in vector {
            let row = &self.rows[*place as usize * labels..][..labels];
            margins.iter_mut().zip(row).for_each(|(m, w)| *m += value * w);
        }
        margins
    }
}

/// Fits a machine per label. `targets` holds the label numbers of each row; `penalty` is C, multiplied for rows that carry
/// the label by `weights[label]`.
pub(super) fn fit(x: &Matrix, targets: &[Vec<usize>], labels: usize, penalty: f32, weights: &[f32], seed: u64) -> Machines {
    let columns: Vec<(Vec<f32>, f32)> = (0..labels)
        .into_par_iter()
        .map(|label| {
            let signs: Vec<bool> = targets.iter().map(|t| t.contains(&label)).collect();
            one(x, &signs, penalty, penalty * weights[label], Random::new(seed ^ label as u64))
        })
        .collect();
    let mut rows = vec![0.0; x.columns * labels];
    for (label, (weight, _)) in columns.iter().enumerate() {
        for (place, w) in weight.iter().enumerate() {
            rows[place * labels + label] = *w;
        }
    }
    Machines { rows, intercepts: columns.iter().map(|(_, b)| *b).collect() }
}

/// One machine: weights and intercept. `negative` and `positive` are the penalties of the two sides.
fn one(x: &Matrix, signs: &[bool], negative: f32, positive: f32, mut random: Random) -> (Vec<f32>, f32) {
    let count = x.rows();
    let (mut weight, mut intercept) = (vec![0.0f32; x.columns], 0.0f32);
    let mut alpha = vec![0.0f32; count];
    let mut active: Vec<usize> = (0..count).collect();
    let mut highest = f32::INFINITY;
    let mut whole = true;
    for _ in 0..PASSES {
        random.shuffle(&mut active);
        let (mut new_highest, mut new_lowest) = (f32::NEG_INFINITY, f32::INFINITY);
        let mut kept = Vec::with_capacity(active.len());
        for &i in &active {
            let (sign, cost) = if signs[i] { (1.0, positive) } else { (-1.0, negative) };
            let diagonal = 0.5 / cost;
            let (places, values) = x.row(i);
            let margin: f32 = places.iter().zip(values).map(|(p, v)| weight[*p as usize] * v).sum::<f32>() + intercept;
            let gradient = sign * margin - 1.0 + diagonal * alpha[i];
            // The box has no upper side with the squared hinge, so only rows at 0 can leave.
            if alpha[i] == 0.0 && gradient > highest {
                continue;
            }
            kept.push(i);
            let projected = if alpha[i] == 0.0 { gradient.min(0.0) } else { gradient };
            new_highest = new_highest.max(projected);
            new_lowest = new_lowest.min(projected);
            if projected.abs() > 1e-12 {
                let before = alpha[i];
                alpha[i] = (before - gradient / (x.squares[i] + 1.0 + diagonal)).max(0.0);
                let step = (alpha[i] - before) * sign;
                places.iter().zip(values).for_each(|(p, v)| weight[*p as usize] += step * v);
                intercept += step;
            }
        }
        active = kept;
        if new_highest - new_lowest <= TOLERANCE || active.is_empty() {
            if whole {
                break;
            }
            // Look at the rows that were set aside once more.
            active = (0..count).collect();
            (highest, whole) = (f32::INFINITY, true);
            continue;
        }
        whole = active.len() == count;
        highest = if new_highest <= 0.0 { f32::INFINITY } else { new_highest };
    }
    (weight, intercept)
}
