//! Token ids of texts in batches of like length.

use candle_core::{Device, Tensor};

use super::data::Random;

/// Batches of this many in a row are sorted by length together.
const BUCKET: usize = 20;

/// Padded ids, their mask, and which rows they are.
pub(super) struct Batch {
    pub ids: Tensor,
    pub mask: Tensor,
    pub rows: Vec<usize>,
}

/// A shuffled pass over rows of these lengths.
pub(super) fn shuffled(lengths: &[usize], size: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    random.shuffle(&mut order);
    let mut batches = Vec::new();
    for bucket in order.chunks_mut(size * BUCKET) {
        bucket.sort_by_key(|i| lengths[*i]);
        batches.extend(bucket.chunks(size).map(<[usize]>::to_vec));
    }
    random.shuffle(&mut batches);
    batches
}

/// All rows, shortest first.
pub(super) fn in_order(lengths: &[usize], size: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|i| lengths[*i]);
    order.chunks(size).map(<[usize]>::to_vec).collect()
}

/// Words that are hidden from the network at random, so that it does not lean on one of them.
pub(super) struct WordDrop<'a> {
    pub random: &'a mut Random,
    pub share: f32,
    pub token: u32,
}

/// One batch; special tokens at the ends are never dropped.
pub(super) fn batch(
    ids: &[Vec<u32>],
    rows: Vec<usize>,
    pad: u32,
    mut drop: Option<WordDrop<'_>>,
) -> Result<Batch, candle_core::Error> {
    let width = rows.iter().map(|i| ids[*i].len()).max().unwrap_or(1).max(1);
    let (mut flat, mut mask) = (Vec::with_capacity(rows.len() * width), Vec::with_capacity(rows.len() * width));
    for row in &rows {
        let text = &ids[*row];
        for (place, id) in text.iter().enumerate() {
            let inner = place > 0 && place + 1 < text.len();
            let hidden = drop.as_mut().filter(|_| inner).and_then(|d| (d.random.share() < d.share).then_some(d.token));
            flat.push(hidden.unwrap_or(*id));
            mask.push(1.0f32);
        }
        flat.resize(flat.len() + width - text.len(), pad);
        mask.resize(mask.len() + width - text.len(), 0.0);
    }
    let shape = (rows.len(), width);
    Ok(Batch { ids: Tensor::from_vec(flat, shape, &Device::Cpu)?, mask: Tensor::from_vec(mask, shape, &Device::Cpu)?, rows })
}
