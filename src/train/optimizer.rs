//! AdamW (Loshchilov and Hutter 2019) over candle's variables, one fused loop per tensor.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Gradients are scaled down so that all together have at most this length (Pascanu et al. 2013).
const CLIP: f32 = 1.0;

struct Slot {
    var: Var,
    rate: f32,
    decay: f32,
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// The variables and their moments.
pub(super) struct AdamW {
    slots: Vec<Slot>,
    step: i32,
}

impl AdamW {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), step: 0 }
    }

    /// Adds a variable with its peak rate; matrices decay, vectors (biases, norms) do not.
    pub(super) fn add(&mut self, var: &Var, rate: f32, decay: f32) {
        let count = var.elem_count();
        let decay = if var.rank() > 1 { decay } else { 0.0 };
        self.slots.push(Slot { var: var.clone(), rate, decay, mean: vec![0.0; count], square: vec![0.0; count] });
    }

    /// One step; `factor` scales all rates (the schedule).
    pub(super) fn step(&mut self, gradients: &GradStore, factor: f32) -> Result<(), candle_core::Error> {
        self.step += 1;
        let mut found = Vec::with_capacity(self.slots.len());
        let mut length = 0.0f64;
        for slot in &self.slots {
            let gradient = gradients.get(&slot.var).map(|g| g.flatten_all()?.to_vec1::<f32>()).transpose()?;
            length += gradient.iter().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>();
            found.push(gradient);
        }
        let scale = (CLIP / (length.sqrt() as f32).max(CLIP)).min(1.0);
        let (one, two) = (1.0 - BETA1.powi(self.step), 1.0 - BETA2.powi(self.step));
        for (slot, gradient) in self.slots.iter_mut().zip(found) {
            let Some(gradient) = gradient else { continue };
            let mut values = slot.var.flatten_all()?.to_vec1::<f32>()?;
            let rate = slot.rate * factor;
            for (((v, g), m), s) in values.iter_mut().zip(&gradient).zip(&mut slot.mean).zip(&mut slot.square) {
                let g = g * scale;
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *s = BETA2 * *s + (1.0 - BETA2) * g * g;
                *v -= rate * ((*m / one) / ((*s / two).sqrt() + EPSILON) + slot.decay * *v);
            }
            slot.var.set(&Tensor::from_vec(values, slot.var.shape(), slot.var.device())?)?;
        }
        Ok(())
    }

    /// Values of all variables, to come back to.
    pub(super) fn snapshot(&self) -> Result<Vec<Tensor>, candle_core::Error> {
        self.slots.iter().map(|s| s.var.as_tensor().copy()).collect()
    }

    /// Sets all variables to an earlier snapshot.
    pub(super) fn restore(&self, snapshot: &[Tensor]) -> Result<(), candle_core::Error> {
        self.slots.iter().zip(snapshot).try_for_each(|(slot, values)| slot.var.set(values))
    }
}
