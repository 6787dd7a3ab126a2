//! Linear layers in 8-bit integers: signed weights with one scale per output, unsigned activations with one scale and one
//! zero point per row, found anew for every row ("dynamic quantisation", Jacob et al. 2018).
//!
//! With `q = round(x / s) + z` and `w = round(W / t)`: `x W^T = s t (q w^T - z sum(w))`. Sums are 32-bit integers and
//! exact, so AVX-512 VNNI, AVX2 and plain loops give the same integers, and a row's result does not depend on the rows
//! beside it. Weights lie in panels of 32 outputs, four inputs of an output side by side, as `vpdpbusd` takes them.

use super::kernels::{self, Isa, isa};
use super::linear::Epilogue;
use super::slab::{Plain, Slab};

/// Outputs of one panel.
const PANEL: usize = 32;
/// Inputs that one instruction takes of each output.
const GROUP: usize = 4;
/// Most rows of one register tile.
const ROWS: usize = 12;

/// 64 weights: four inputs of each of 16 outputs, on a cache line of their own.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([i8; 64]);

impl Plain for Line {}

/// Memory for the quantised rows of one product.
#[derive(Default)]
pub(super) struct QuantScratch {
    values: Vec<u8>,
    /// Scale and zero point of each row.
    rows: Vec<(f32, i32)>,
    sums: Vec<i32>,
}

/// A linear layer in 8-bit integers.
pub(super) struct QuantLinear {
    inputs: usize,
    outputs: usize,
    groups: usize,
    panels: Slab<Line>,
    scales: Vec<f32>,
    totals: Vec<i32>,
    bias: Vec<f32>,
}

impl QuantLinear {
    /// Quantises a weight of `outputs` rows and `inputs` columns and packs it.
    pub(super) fn new(weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        let (groups, count) = (inputs.div_ceil(GROUP), outputs.div_ceil(PANEL));
        let mut panels = vec![Line([0; 64]); count * groups * 2];
        let (mut scales, mut totals) = (vec![0.0f32; count * PANEL], vec![0i32; count * PANEL]);
        for output in 0..outputs {
            let row = &weight[output * inputs..(output + 1) * inputs];
            let top = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            let scale = if top > 0.0 { top / 127.0 } else { 1.0 };
            let (panel, column) = (output / PANEL, output % PANEL);
            for (input, w) in row.iter().enumerate() {
                // Rounded to at most 127 by the choice of the scale.
                let q = (w / scale).round() as i8;
                let line = (panel * groups + input / GROUP) * 2 + column / 16;
                panels[line].0[(column % 16) * GROUP + input % GROUP] = q;
                totals[output] += i32::from(q);
            }
            scales[output] = scale;
        }
        let mut padded = bias.to_vec();
        padded.resize(count * PANEL, 0.0);
        Self { inputs, outputs, groups, panels: Slab::of(&panels), scales, totals, bias: padded }
    }

    /// Width of an input row.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of an output row.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `out = epilogue(x W^T + b)` for `rows` rows.
    ///
    /// # Panics
    /// When a slice is shorter than its rows.
    pub(super) fn forward(&self, x: &[f32], rows: usize, out: &mut [f32], epilogue: Epilogue, scratch: &mut QuantScratch) {
        let (inputs, outputs, width) = (self.inputs, self.outputs, self.groups * GROUP);
        assert!(x.len() >= rows * inputs && out.len() >= rows * outputs, "rows do not fit the slices");
        if rows == 0 {
            return;
        }
        scratch.values.resize(rows * width, 0);
        scratch.rows.clear();
        for (row, target) in x.chunks_exact(inputs).take(rows).zip(scratch.values.chunks_exact_mut(width)) {
            let mut found = [0.0f32; 2];
            kernels::quantise(row, &mut target[..inputs], &mut found);
            scratch.rows.push((found[0], found[1] as i32));
        }
        scratch.sums.resize(ROWS * PANEL, 0);
        let tile_rows = rows.div_ceil(rows.div_ceil(ROWS));
        for (panel, bias) in self.bias.chunks_exact(PANEL).enumerate() {
            let first = panel * PANEL;
            let columns = PANEL.min(outputs - first);
            let lines = &self.panels[panel * self.groups * 2..(panel + 1) * self.groups * 2];
            for start in (0..rows).step_by(tile_rows) {
                let count = tile_rows.min(rows - start);
                tile(&scratch.values[start * width..(start + count) * width], count, lines, &mut scratch.sums);
                let block = &mut out[start * outputs + first..];
                let per_row = scratch.rows[start..start + count].iter().zip(scratch.sums.chunks_exact(PANEL)).enumerate();
                for (row, (&(scale, zero), sums)) in per_row {
                    let target = &mut block[row * outputs..][..columns];
                    let columns = (&self.scales[first..first + PANEL], &self.totals[first..first + PANEL], bias);
                    kernels::dequantise(sums, columns, (scale, zero), target, epilogue == Epilogue::Add);
                }
                if epilogue == Epilogue::Gelu {
                    kernels::gelu(block, count, columns, outputs);
                }
            }
        }
    }
}

/// Integer products of `rows` (at most 12) rows and one panel: `sums` gets 32 numbers per row.
fn tile(x: &[u8], rows: usize, panel: &[Line], sums: &mut [i32]) {
    let groups = panel.len() / 2;
    assert!(rows <= ROWS && x.len() >= rows * groups * GROUP && sums.len() >= rows * PANEL);
    match isa() {
        // SAFETY: the assertion above gives every row of `x` its `groups` groups of four and `sums` 32 numbers per row; the
        // panel holds `groups` pairs of lines by construction; `vnni` vouches for the instructions.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if kernels::vnni() => unsafe { x86::tile_vnni(x, rows, panel, sums) },
        // SAFETY: as above; `isa` says AVX-512 only where AVX2 is there too.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 => unsafe { x86::tile_avx2(x, rows, panel, sums) },
        Isa::Portable => tile_portable(x, rows, panel, sums),
    }
}

/// The same in plain loops.
fn tile_portable(x: &[u8], rows: usize, panel: &[Line], sums: &mut [i32]) {
    let width = panel.len() / 2 * GROUP;
    for (row, sums) in x.chunks_exact(width).take(rows).zip(sums.chunks_exact_mut(PANEL)) {
        sums.fill(0);
        for (lines, four) in panel.chunks_exact(2).zip(row.chunks_exact(GROUP)) {
            for (line, sums) in lines.iter().zip(sums.chunks_exact_mut(16)) {
                for (weights, sum) in line.0.chunks_exact(GROUP).zip(sums) {
                    *sum += weights.iter().zip(four).map(|(w, q)| i32::from(*w) * i32::from(*q)).sum::<i32>();
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, _mm_load_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_hadd_epi32, _mm256_madd_epi16,
        _mm256_permute4x64_epi64, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_storeu_si256, _mm512_dpbusd_epi32,
        _mm512_load_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };

    use super::{GROUP, Line, PANEL, ROWS};

    /// Calls the kernel of exactly `rows` rows.
    macro_rules! by_rows {
        ($rows:expr, $kernel:ident $arguments:tt, $($n:literal)*) => {
            match $rows {
                $($n => $kernel::<$n> $arguments,)*
                _ => {}
            }
        };
    }

    /// # Safety
    /// AVX-512 F and VNNI are there; `rows <= 12`; `x` has `rows` rows of `panel.len() / 2` groups of four, `sums` 32
    /// numbers per row.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn tile_vnni(x: &[u8], rows: usize, panel: &[Line], sums: &mut [i32]) {
        debug_assert!(rows <= ROWS);
        let (a, w, c, groups) = (x.as_ptr(), panel.as_ptr().cast::<i8>(), sums.as_mut_ptr(), panel.len() / 2);
        // SAFETY: the caller's promise is the kernel's.
        unsafe { by_rows!(rows, rows_vnni(a, groups, w, c), 1 2 3 4 5 6 7 8 9 10 11 12) }
    }

    /// # Safety
    /// As `tile_vnni`, for `M` rows and pointers to the beginnings.
    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    unsafe fn rows_vnni<const M: usize>(a: *const u8, groups: usize, w: *const i8, c: *mut i32) {
        // SAFETY: all offsets stay within what the caller promised: row i < M, group p < groups, 32 outputs; lines are
        // aligned to 64 bytes; activations are read unaligned.
        unsafe {
            let mut sums = [[_mm512_setzero_si512(); 2]; M];
            for p in 0..groups {
                let low = _mm512_load_si512(w.add(p * 128).cast());
                let high = _mm512_load_si512(w.add(p * 128 + 64).cast());
                for (i, sum) in sums.iter_mut().enumerate() {
                    let four = _mm512_set1_epi32(a.add((i * groups + p) * GROUP).cast::<i32>().read_unaligned());
                    sum[0] = _mm512_dpbusd_epi32(sum[0], four, low);
                    sum[1] = _mm512_dpbusd_epi32(sum[1], four, high);
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                _mm512_storeu_si512(c.add(i * PANEL).cast(), sum[0]);
                _mm512_storeu_si512(c.add(i * PANEL + 16).cast(), sum[1]);
            }
        }
    }

    /// # Safety
    /// AVX2 is there; else as `tile_vnni`.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn tile_avx2(x: &[u8], rows: usize, panel: &[Line], sums: &mut [i32]) {
        let groups = panel.len() / 2;
        for row in 0..rows {
            // 8 outputs at a time: 32 bytes of each pair of lines.
            for part in 0..PANEL / 8 {
                // SAFETY: `row < rows` and `part * 8 < 32` keep every pointer inside the caller's slices; each line is 64
                // bytes, of which the parts 0 and 1 (2 and 3) take the halves of the first (second) one.
                unsafe {
                    let w = panel.as_ptr().cast::<i8>().add((part / 2) * 64 + (part % 2) * 32);
                    let sum = eight(x.as_ptr().add(row * groups * GROUP), groups, w);
                    _mm256_storeu_si256(sums.as_mut_ptr().add(row * PANEL + part * 8).cast(), sum);
                }
            }
        }
    }

    /// Sums of 8 outputs. Bytes are widened to 16 bits first, so that no pair of products can overflow.
    ///
    /// # Safety
    /// AVX2 is there; `a` points to `groups` groups of four, `w` to 32 bytes in each of `groups` stretches of 128, aligned
    /// to 32.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn eight(a: *const u8, groups: usize, w: *const i8) -> __m256i {
        let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for p in 0..groups {
            // SAFETY: group p < groups of the caller's promise.
            let (four, first, second) = unsafe {
                let four = a.add(p * GROUP).cast::<[u8; 4]>().read();
                (four, _mm_load_si128(w.add(p * 128).cast()), _mm_load_si128(w.add(p * 128 + 16).cast()))
            };
            let words = four.iter().rev().fold(0i64, |word, &q| (word << 16) | i64::from(q));
            let four = _mm256_set1_epi64x(words);
            low = _mm256_add_epi32(low, _mm256_madd_epi16(four, _mm256_cvtepi8_epi16(first)));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(four, _mm256_cvtepi8_epi16(second)));
        }
        // Every output is two neighbours; adding them leaves outputs 0 1 4 5 | 2 3 6 7 in the two halves.
        _mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), 0b11_01_10_00)
    }
}

#[cfg(test)]
pub(super) fn integer_paths(x: &[u8], rows: usize, layer: &QuantLinear) -> [Vec<i32>; 3] {
    let lines = &layer.panels[..layer.groups * 2];
    let mut found = [vec![0; ROWS * PANEL], vec![0; ROWS * PANEL], vec![0; ROWS * PANEL]];
    tile(x, rows, lines, &mut found[0]);
    tile_portable(x, rows, lines, &mut found[1]);
    #[cfg(target_arch = "x86_64")]
    if isa() != Isa::Portable {
        // SAFETY: the test gives `rows` whole rows of the layer's width, and AVX2 is there.
        unsafe { x86::tile_avx2(x, rows, lines, &mut found[2]) };
        return found;
    }
    found[2] = found[1].clone();
    found
}
