//! What the machine's cores can multiply at best, to measure the encoder against.

use std::time::{Duration, Instant};

use super::linear::{Epilogue, Linear};

/// Shapes that lie in the first-level cache whole: rows, inputs, outputs.
const SHAPES: [(usize, usize, usize); 4] = [(12, 96, 32), (12, 160, 32), (24, 128, 32), (12, 64, 64)];

/// Multiplications a second of one thread in 32-bit floating point: the best of some products so small that only the
/// multipliers limit them. `time` is spent on it.
pub fn gemm_products_per_s(time: Duration) -> f64 {
    let each = time / SHAPES.len() as u32;
    SHAPES
        .iter()
        .map(|&(rows, inputs, outputs)| {
            let layer = Linear::new(&vec![0.01; inputs * outputs], &vec![0.0; outputs]);
            let (x, mut y) = (vec![0.5; rows * inputs], vec![0.0; rows * outputs]);
            let (mut best, started) = (0.0f64, Instant::now());
            while started.elapsed() < each {
                let round = Instant::now();
                for _ in 0..2_000 {
                    layer.forward(&x, rows, &mut y, Epilogue::Store);
                }
                std::hint::black_box(&mut y);
                best = best.max((2_000 * rows * inputs * outputs) as f64 / round.elapsed().as_secs_f64());
            }
            best
        })
        .fold(0.0, f64::max)
}
