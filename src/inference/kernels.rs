//! Element-wise kernels: GELU, softmax, layer norm, attention of one sequence.
//!
//! Each is written once as plain loops over 16 lanes; the compiler makes an AVX-512, an AVX2 and a portable
//! version of it, and the processor chooses at run time.

/// Instruction sets that have a version of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// AVX-512 F, VL, BW, DQ and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor of the target has.
    Portable,
}

/// The best set of this processor; the standard library caches the detection.
#[inline]
pub(super) fn isa() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        if avx2 && avx512 {
            return Isa::Avx512;
        }
        if avx2 {
            return Isa::Avx2;
        }
    }
    Isa::Portable
}

/// Whether the processor multiplies bytes into 32-bit sums (AVX-512 VNNI).
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn vnni() -> bool {
    is_x86_feature_detected!("avx512vnni")
}

/// Defines a function whose body is compiled once per instruction set.
macro_rules! multiversion {
    ($(#[$meta:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        pub(super) fn $name($($argument: $type),*) {
            #[inline(always)]
            fn portable($($argument: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            fn avx512($($argument: $type),*) { portable($($argument),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) { portable($($argument),*) }
            match isa() {
                // SAFETY: `isa` says so only where the processor has every feature that the function enables.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2($($argument),*) },
                Isa::Portable => portable($($argument),*),
            }
        }
    };
}

const LANES: usize = 16;

/// e^x, relative error below 2e-7 (Cephes `expf`: range reduction by ln 2 and a polynomial of degree 6).
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to the next whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let t = x * std::f32::consts::LOG2_E + ROUND;
    let n = t - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_2e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let e = p * r * r + r + 1.0;
    e * f32::from_bits((t.to_bits().wrapping_add(127)) << 23)
}

/// x/2 (1 + erf(x / sqrt 2)); erf by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7.
#[inline(always)]
fn gelu_one(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    let erf = (1.0 - p * exp(-z * z)).copysign(x);
    0.5 * x * (1.0 + erf)
}

multiversion! {
    /// GELU in place over a block of `rows` rows of `width` numbers that lie `stride` apart.
    fn gelu(values: &mut [f32], rows: usize, width: usize, stride: usize) {
        for row in 0..rows {
            for v in &mut values[row * stride..row * stride + width] {
                *v = gelu_one(*v);
            }
        }
    }
}

multiversion! {
    /// One row in unsigned bytes: `q = round(x / scale) + zero`. `found` gets scale and zero point; 0 is met exactly.
    fn quantise(row: &[f32], target: &mut [u8], found: &mut [f32; 2]) {
        // 2^23: adding it leaves a rounded number from 0 to 255 in the lowest byte.
        const ROUND: f32 = 8_388_608.0;
        let (mut low, mut high) = ([0.0f32; LANES], [0.0f32; LANES]);
        let chunks = row.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for ((l, h), &v) in low.iter_mut().zip(high.iter_mut()).zip(chunk) {
                *l = if v < *l { v } else { *l };
                *h = if v > *h { v } else { *h };
            }
        }
        for ((l, h), &v) in low.iter_mut().zip(high.iter_mut()).zip(rest) {
            *l = if v < *l { v } else { *l };
            *h = if v > *h { v } else { *h };
        }
        let low = low.iter().copied().fold(0.0, f32::min);
        let high = high.iter().copied().fold(0.0, f32::max);
        let scale = if high > low { (high - low) / 255.0 } else { 1.0 };
        let (inverse, zero) = (1.0 / scale, (-low / scale).round());
        for (q, &v) in target.iter_mut().zip(row) {
            let place = (v * inverse + zero).clamp(0.0, 255.0) + ROUND;
            *q = place.to_bits() as u8;
        }
        *found = [scale, zero];
    }
}

multiversion! {
    /// `target = (sum - zero total) scale column_scale + bias` for one row; added to what stands there with `add`.
    /// `columns` are scales, totals and biases of the outputs; `row` is scale and zero point of the input row.
    fn dequantise(sums: &[i32], columns: (&[f32], &[i32], &[f32]), row: (f32, i32), target: &mut [f32], add: bool) {
        let parts = sums.iter().zip(columns.0).zip(columns.1).zip(columns.2);
        let value = |(((&sum, &scale), &total), &bias): (((&i32, &f32), &i32), &f32)| {
            (sum - row.1 * total) as f32 * (row.0 * scale) + bias
        };
        if add {
            target.iter_mut().zip(parts).for_each(|(t, part)| *t += value(part));
        } else {
            target.iter_mut().zip(parts).for_each(|(t, part)| *t = value(part));
        }
    }
}

/// Sum with 16 running sums, so that it vectorises; the order does not depend on the batch.
#[inline(always)]
fn sum_of(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += f(v);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane += f(v);
    }
    lanes.iter().sum()
}

multiversion! {
    /// Layer norm in place: every row of `weight.len()` numbers gets mean 0 and variance 1, then weight and bias.
    fn layer_norm(values: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
        let width = weight.len();
        for row in values.chunks_exact_mut(width) {
            let mean = sum_of(row, |v| v) / width as f32;
            let variance = sum_of(row, |v| (v - mean) * (v - mean)) / width as f32;
            let scale = 1.0 / (variance + eps).sqrt();
            for ((v, &w), &b) in row.iter_mut().zip(weight).zip(bias) {
                *v = (*v - mean) * scale * w + b;
            }
        }
    }
}

/// Softmax in place.
#[inline(always)]
fn softmax_row(row: &mut [f32]) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for v in row.iter_mut() {
        *v = exp(*v - top);
    }
    let scale = 1.0 / sum_of(row, |v| v);
    for v in row.iter_mut() {
        *v *= scale;
    }
}

multiversion! {
    /// Softmax in place of one row.
    fn softmax(row: &mut [f32]) {
        softmax_row(row);
    }
}

multiversion! {
    /// Self-attention of one sequence. `qkv` holds a row of queries, keys and values (3 x hidden) per token,
    /// `out` a row of hidden per token; `scratch` is grown as needed.
    /// A token looks at those at most `reach` away.
    fn attention(qkv: &[f32], out: &mut [f32], hidden: usize, heads: usize, reach: usize, scratch: &mut Vec<f32>) {
        let (tokens, width) = (qkv.len() / (3 * hidden), hidden / heads);
        let padded = tokens.next_multiple_of(LANES);
        scratch.clear();
        scratch.resize((width + 1) * padded, 0.0);
        let (keys, scores) = scratch.split_at_mut(width * padded);
        let scale = 1.0 / (width as f32).sqrt();
        for head in 0..heads {
            let (q_at, k_at, v_at) = (head * width, hidden + head * width, 2 * hidden + head * width);
            // Keys are transposed so that scores of neighbouring tokens lie in neighbouring lanes.
            for token in 0..tokens {
                let row = &qkv[token * 3 * hidden + k_at..][..width];
                for (d, &k) in row.iter().enumerate() {
                    keys[d * padded + token] = k;
                }
            }
            for token in 0..tokens {
                let query = &qkv[token * 3 * hidden + q_at..][..width];
                for block in (0..padded).step_by(LANES) {
                    let mut lanes = [0.0f32; LANES];
                    for (d, &q) in query.iter().enumerate() {
                        let row = &keys[d * padded + block..][..LANES];
                        for (lane, &k) in lanes.iter_mut().zip(row) {
                            *lane += q * scale * k;
                        }
                    }
                    scores[block..block + LANES].copy_from_slice(&lanes);
                }
                if reach < tokens {
                    let near = token.saturating_sub(reach)..tokens.min(token + reach + 1);
                    scores[..near.start].fill(f32::NEG_INFINITY);
                    scores[near.end..tokens].fill(f32::NEG_INFINITY);
                }
                softmax_row(&mut scores[..tokens]);
                let target = &mut out[token * hidden + head * width..][..width];
                let mut at = 0;
                while at + LANES <= width {
                    let mut lanes = [0.0f32; LANES];
                    for (other, &p) in scores[..tokens].iter().enumerate() {
                        let row = &qkv[other * 3 * hidden + v_at + at..][..LANES];
                        for (lane, &v) in lanes.iter_mut().zip(row) {
                            *lane += p * v;
                        }
                    }
                    target[at..at + LANES].copy_from_slice(&lanes);
                    at += LANES;
                }
                for d in at..width {
                    target[d] = scores[..tokens].iter().enumerate().map(|(o, &p)| p * qkv[o * 3 * hidden + v_at + d]).sum();
                }
            }
        }
    }
}
