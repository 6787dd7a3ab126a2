//! Where the voice changes inside a segment: one party answers before the silence that would end the other's turn.

use super::embedding::embed_frames;
use super::features::{Frame, HOP_SAMPLES, WINDOW_SAMPLES, active, frames};

/// Shortest pause at which turns may change hands, in frames of 10 ms.
const MIN_PAUSE_FRAMES: usize = 10;
/// Voice compared on each side of a pause: at least 0.5 s, at most the nearest 3 s.
const MIN_SIDE_FRAMES: usize = 50;
const MAX_SIDE_FRAMES: usize = 300;
/// Similarity below which the two sides are two voices. Chosen on simulated calls (models/recipes/speaker): lower misses
/// changes, higher cuts turns of one speaker, which costs no words.
const SAME_VOICE: f32 = 0.45;

/// Samples (16 kHz) at which a segment is cut so that each part is one voice, in order; none if it is one voice.
pub fn changes(samples: &[f32]) -> Vec<usize> {
    let frames = frames(samples);
    let active = active(&frames);
    let mut cuts = Vec::new();
    look(&frames, &active, 0, frames.len(), &mut cuts);
    cuts.sort_unstable();
    cuts.into_iter().map(|frame| frame * HOP_SAMPLES + WINDOW_SAMPLES / 2).collect()
}

/// Cuts a stretch at the pause between its two least similar sides, then looks at both parts.
fn look(frames: &[Frame], active: &[bool], from: usize, to: usize, cuts: &mut Vec<usize>) {
    let mut least: Option<(f32, usize)> = None;
    let mut at = from;
    while at < to {
        if active[at] {
            at += 1;
            continue;
        }
        let end = active[at..to].iter().position(|a| *a).map_or(to, |n| at + n);
        if end - at >= MIN_PAUSE_FRAMES {
            let before = voiced(frames, active, at.saturating_sub(MAX_SIDE_FRAMES).max(from), at);
            let behind = voiced(frames, active, end, (end + MAX_SIDE_FRAMES).min(to));
            if before.len() >= MIN_SIDE_FRAMES && behind.len() >= MIN_SIDE_FRAMES {
                let similarity = embed_frames(&before).similarity(&embed_frames(&behind));
                if least.is_none_or(|(lowest, _)| similarity < lowest) {
                    least = Some((similarity, at.midpoint(end)));
                }
            }
        }
        at = end;
    }
    if let Some((_, cut)) = least.filter(|(similarity, _)| *similarity < SAME_VOICE) {
        cuts.push(cut);
        look(frames, active, from, cut, cuts);
        look(frames, active, cut, to, cuts);
    }
}

fn voiced(frames: &[Frame], active: &[bool], from: usize, to: usize) -> Vec<Frame> {
    frames[from..to].iter().zip(&active[from..to]).filter(|(_, active)| **active).map(|(frame, _)| *frame).collect()
}
