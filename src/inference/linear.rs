//! Linear layers with weights packed once at load: `y = x W^T + b`, one thread, no temporary copies.
//!
//! Weights are cut into panels of 32 outputs, each stored input by input, so that the inner loop reads memory in a
//! row. A tile of up to 12 rows x 32 outputs (AVX-512) or 6 x 16 (AVX2) stays in registers over the whole
//! inner dimension; the scheme is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication" (2008). A row's result does not depend on the rows beside it, so a batch gives exactly what
//! single texts give.

use super::config::Precision;
use super::kernels::{self, Isa, isa};
use super::quantised::{QuantLinear, QuantScratch};
use super::slab::{Plain, Slab};

/// Outputs of one panel.
const PANEL: usize = 32;
/// Most rows of one register tile.
const ROWS: usize = 12;

/// 16 numbers on a cache line of their own.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f32; 16]);

impl Plain for Line {}

/// What happens with the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Epilogue {
    /// It is stored.
    Store,
    /// It goes through GELU.
    Gelu,
    /// It is added to what stands there (a residual).
    Add,
}

/// A linear layer.
pub(super) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Slab<Line>,
    bias: Vec<f32>,
}

impl Linear {
    /// Packs a weight of `outputs` rows and `inputs` columns (PyTorch's layout) and its bias.
    /// `weight.len()` is a multiple of `bias.len()`; the callers have checked the shapes of the file.
    pub(super) fn new(weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        let count = outputs.div_ceil(PANEL);
        let mut panels = vec![Line([0.0; 16]); count * inputs * 2];
        for output in 0..outputs {
            let (panel, column) = (output / PANEL, output % PANEL);
            for input in 0..inputs {
                panels[(panel * inputs + input) * 2 + column / 16].0[column % 16] = weight[output * inputs + input];
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(count * PANEL, 0.0);
        Self { inputs, outputs, panels: Slab::of(&panels), bias: padded }
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
    pub(super) fn forward(&self, x: &[f32], rows: usize, out: &mut [f32], epilogue: Epilogue) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        assert!(x.len() >= rows * inputs && out.len() >= rows * outputs, "rows do not fit the slices");
        if rows == 0 {
            return;
        }
        let tiles = rows.div_ceil(ROWS);
        let tile_rows = rows.div_ceil(tiles);
        for (panel, bias) in self.bias.chunks_exact(PANEL).enumerate() {
            let first = panel * PANEL;
            let width = PANEL.min(outputs - first);
            let lines = &self.panels[panel * inputs * 2..(panel + 1) * inputs * 2];
            for start in (0..rows).step_by(tile_rows) {
                let count = tile_rows.min(rows - start);
                let input = &x[start * inputs..(start + count) * inputs];
                let block = &mut out[start * outputs + first..];
                if width == PANEL {
                    tile(input, count, lines, bias, block, outputs, epilogue == Epilogue::Add);
                } else {
                    let mut spare = [0.0f32; ROWS * PANEL];
                    tile(input, count, lines, bias, &mut spare, PANEL, false);
                    for row in 0..count {
                        for (o, &s) in block[row * outputs..][..width].iter_mut().zip(&spare[row * PANEL..]) {
                            *o = if epilogue == Epilogue::Add { *o + s } else { s };
                        }
                    }
                }
                if epilogue == Epilogue::Gelu {
                    kernels::gelu(block, count, width, outputs);
                }
            }
        }
    }
}

/// A linear layer in either precision.
pub(super) enum Layer {
    /// 32-bit floating point.
    Full(Linear),
    /// 8-bit integers.
    Int8(QuantLinear),
}

impl Layer {
    /// Packs a weight in a precision.
    pub(super) fn new(weight: &[f32], bias: &[f32], precision: Precision) -> Self {
        match precision {
            Precision::Fp32 => Self::Full(Linear::new(weight, bias)),
            Precision::Int8 => Self::Int8(QuantLinear::new(weight, bias)),
        }
    }

    /// Width of an output row.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Full(layer) => layer.outputs(),
            Self::Int8(layer) => layer.outputs(),
        }
    }

    /// Multiplications of one row.
    pub(super) fn products(&self) -> usize {
        match self {
            Self::Full(layer) => layer.inputs() * layer.outputs(),
            Self::Int8(layer) => layer.inputs() * layer.outputs(),
        }
    }

    /// See [`Linear::forward`].
    pub(super) fn forward(&self, x: &[f32], rows: usize, out: &mut [f32], epilogue: Epilogue, scratch: &mut QuantScratch) {
        match self {
            Self::Full(layer) => layer.forward(x, rows, out, epilogue),
            Self::Int8(layer) => layer.forward(x, rows, out, epilogue, scratch),
        }
    }
}

/// One tile of `rows` (at most 12) rows and one panel; `out` rows lie `stride` apart.
fn tile(x: &[f32], rows: usize, panel: &[Line], bias: &[f32], out: &mut [f32], stride: usize, add: bool) {
    let inputs = panel.len() / 2;
    assert!(rows <= ROWS && x.len() >= rows * inputs && bias.len() >= PANEL && out.len() >= (rows - 1) * stride + PANEL);
    match isa() {
        // SAFETY: the assertion above gives every row of `x`, the bias and every row of `out` its full width, the panel
        // holds `inputs` pairs of lines by construction, and `isa` vouches for the instructions.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { x86::tile_avx512(x, rows, panel, bias, out, stride, add) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::tile_avx2(x, rows, panel, bias, out, stride, add) },
        Isa::Portable => tile_portable(x, rows, panel, bias, out, stride, add),
    }
}

/// The same product in plain loops.
fn tile_portable(x: &[f32], rows: usize, panel: &[Line], bias: &[f32], out: &mut [f32], stride: usize, add: bool) {
    let inputs = panel.len() / 2;
    for row in 0..rows {
        let mut sums = [0.0f32; PANEL];
        sums.copy_from_slice(&bias[..PANEL]);
        for (pair, &v) in panel.chunks_exact(2).zip(&x[row * inputs..(row + 1) * inputs]) {
            let (low, high) = sums.split_at_mut(16);
            for (s, &w) in low.iter_mut().zip(&pair[0].0).chain(high.iter_mut().zip(&pair[1].0)) {
                *s += v * w;
            }
        }
        for (o, s) in out[row * stride..][..PANEL].iter_mut().zip(sums) {
            *o = if add { *o + s } else { s };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{Line, ROWS};

    /// Calls the kernel of exactly `rows` rows.
    macro_rules! by_rows {
        ($rows:expr, $kernel:ident $arguments:tt, $($n:literal)*) => {
            match $rows {
                $($n => $kernel::<$n> $arguments,)*
                _ => {}
            }
        };
    }

    /// The kernel of exactly `M` rows and two vectors of outputs, for one instruction set: the sums stay in registers over
    /// the whole inner dimension.
    macro_rules! row_kernel {
        ($name:ident, $features:literal, $width:literal, $load:ident, $fill:ident, $fma:ident, $plus:ident, $store:ident) => {
            /// # Safety
            /// The instructions are there; `a` points to `M` rows of `k`, `w` to `k` lines that lie 32 numbers apart, `b` to
            /// the bias of two vectors, `c` to `M` rows of two vectors that lie `stride` apart.
            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn $name<const M: usize>(
                a: *const f32,
                k: usize,
                w: *const f32,
                b: *const f32,
                c: *mut f32,
                stride: usize,
                add: bool,
            ) {
                // SAFETY: all offsets stay within what the caller promised: row i < M, input p < k, two vectors.
                unsafe {
                    let mut sums = [[$load(b), $load(b.add($width))]; M];
                    for p in 0..k {
                        let low = $load(w.add(p * 32));
                        let high = $load(w.add(p * 32 + $width));
                        for (i, sum) in sums.iter_mut().enumerate() {
                            let v = $fill(*a.add(i * k + p));
                            sum[0] = $fma(v, low, sum[0]);
                            sum[1] = $fma(v, high, sum[1]);
                        }
                    }
                    for (i, sum) in sums.iter().enumerate() {
                        for (half, &s) in sum.iter().enumerate() {
                            let target = c.add(i * stride + half * $width);
                            $store(target, if add { $plus($load(target), s) } else { s });
                        }
                    }
                }
            }
        };
    }

    row_kernel!(rows_avx512, "avx512f", 16, _mm512_loadu_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_storeu_ps);
    row_kernel!(rows_avx2, "avx2,fma", 8, _mm256_loadu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_storeu_ps);

    /// # Safety
    /// AVX-512 F is there; `rows <= 12`; `x` has `rows` rows of `panel.len() / 2`, `bias` 32 numbers, `out` `rows`
    /// rows of 32 that lie `stride` apart.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn tile_avx512(
        x: &[f32],
        rows: usize,
        panel: &[Line],
        bias: &[f32],
        out: &mut [f32],
        stride: usize,
        add: bool,
    ) {
        debug_assert!(rows <= ROWS);
        let (a, w, b, c, k) = (x.as_ptr(), panel.as_ptr().cast::<f32>(), bias.as_ptr(), out.as_mut_ptr(), panel.len() / 2);
        // SAFETY: the caller's promise is the kernel's.
        unsafe { by_rows!(rows, rows_avx512(a, k, w, b, c, stride, add), 1 2 3 4 5 6 7 8 9 10 11 12) }
    }

    /// # Safety
    /// AVX2 and FMA are there; else as `tile_avx512`.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn tile_avx2(
        x: &[f32],
        rows: usize,
        panel: &[Line],
        bias: &[f32],
        out: &mut [f32],
        stride: usize,
        add: bool,
    ) {
        debug_assert!(rows <= ROWS);
        let k = panel.len() / 2;
        for half in 0..2 {
            // Six rows x 16 outputs fill the 16 registers.
            for start in (0..rows).step_by(6) {
                // SAFETY: `start < rows` and `half * 16 < 32` keep every pointer inside the caller's slices.
                unsafe {
                    let a = x.as_ptr().add(start * k);
                    let w = panel.as_ptr().cast::<f32>().add(half * 16);
                    let b = bias.as_ptr().add(half * 16);
                    let c = out.as_mut_ptr().add(start * stride + half * 16);
                    by_rows!((rows - start).min(6), rows_avx2(a, k, w, b, c, stride, add), 1 2 3 4 5 6);
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) fn forward_portable(layer: &Linear, x: &[f32], rows: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows * layer.bias.len()];
    for panel in 0..layer.bias.len() / PANEL {
        let lines = &layer.panels[panel * layer.inputs * 2..(panel + 1) * layer.inputs * 2];
        for row in 0..rows {
            let stride = layer.bias.len();
            let block = &mut out[row * stride + panel * PANEL..];
            tile_portable(&x[row * layer.inputs..], 1, lines, &layer.bias[panel * PANEL..], block, stride, false);
        }
    }
    out
}
