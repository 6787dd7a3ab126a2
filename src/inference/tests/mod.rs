//! Kernels against plain formulas, the shipped model against PyTorch, stock checkpoints against candle, bad input.

mod classifiers;
mod folder;
mod kernels;
mod model;
mod stock;
mod values;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::EncoderModel;

/// Folder of the shipped model.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/zhiyin-encoder-small")
}

/// The shipped model, loaded once per test process.
fn model() -> &'static EncoderModel {
    static MODEL: OnceLock<EncoderModel> = OnceLock::new();
    MODEL.get_or_init(|| EncoderModel::load(&shipped()).expect("the shipped model loads"))
}

/// A small deterministic sequence in [-1, 1).
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(p, q)| p * q).sum::<f32>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}
