//! `model.safetensors`: named tensors read as f32, whatever they are stored as.

use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use super::config::{Precision, file_error};
use super::error::{InferenceError, fetch_again};
use super::linear::{Layer, Linear};

/// An open weight file.
pub(super) struct Weights {
    path: PathBuf,
    map: Mmap,
}

impl Weights {
    /// Maps the file and checks its header.
    pub(super) fn open(path: &Path) -> Result<Self, InferenceError> {
        let file = File::open(path).map_err(|e| file_error(path, &e))?;
        // SAFETY: the map is read-only and private to this value, which lives only while a model loads; model files
        // are replaced by renaming (never rewritten in place), so that the mapped bytes do not change.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| file_error(path, &e))?;
        let weights = Self { path: path.to_owned(), map };
        weights.tensors()?;
        Ok(weights)
    }

    fn tensors(&self) -> Result<SafeTensors<'_>, InferenceError> {
        SafeTensors::deserialize(&self.map).map_err(|e| InferenceError::Corrupt {
            path: self.path.clone(),
            what: e.to_string(),
            fix: fetch_again(&self.path),
        })
    }

    /// Whether the file holds a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors().is_ok_and(|t| t.tensor(name).is_ok())
    }

    /// Shape of a tensor; `None` when it is not there.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors().ok()?.tensor(name).ok().map(|t| t.shape().to_vec())
    }

    /// A tensor as f32, row by row. Int8 tensors are multiplied by `<name>_scale`, one scale per row, or per column
    /// when it has as many numbers as a row (and not as there are rows).
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, InferenceError> {
        let tensors = self.tensors()?;
        let Ok(view) = tensors.tensor(name) else {
            return Err(self.mismatch(format!("tensor `{name}` is missing")));
        };
        if view.shape() != shape {
            return Err(self.mismatch(format!("tensor `{name}` has shape {:?}, config.json asks for {shape:?}", view.shape())));
        }
        let bytes = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::BF16 => bytes.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::I8 => self.scaled(name, bytes, shape)?,
            other => return Err(self.mismatch(format!("tensor `{name}` has type {other:?}; f32, f16, bf16 and i8 are read"))),
        };
        if values.iter().any(|v| !v.is_finite()) {
            return Err(self.mismatch(format!("tensor `{name}` holds a value that is no finite number")));
        }
        Ok(values)
    }

    /// A row of 64-bit hashes.
    pub(super) fn hashes(&self, name: &str) -> Result<Vec<u64>, InferenceError> {
        let tensors = self.tensors()?;
        match tensors.tensor(name) {
            Ok(view) if view.dtype() == Dtype::U64 && view.shape().len() == 1 => {
                Ok(view.data().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect())
            }
            _ => Err(self.mismatch(format!("tensor `{name}` must be one row of u64"))),
        }
    }

    fn scaled(&self, name: &str, bytes: &[u8], shape: &[usize]) -> Result<Vec<f32>, InferenceError> {
        let rows = shape.first().copied().unwrap_or(1);
        let columns = bytes.len().checked_div(rows).unwrap_or(0);
        let scale_name = format!("{name}_scale");
        let scale_shape = self.shape(&scale_name).unwrap_or_default();
        let scales = self.tensor(&scale_name, &scale_shape)?;
        let by_row = scales.len() == rows;
        if !by_row && scales.len() != columns {
            return Err(
                self.mismatch(format!("`{scale_name}` has {} numbers for {rows} rows and {columns} columns", scales.len()))
            );
        }
        let value = |(i, &b): (usize, &u8)| f32::from(b.cast_signed()) * scales[if by_row { i / columns } else { i % columns }];
        Ok(bytes.iter().enumerate().map(value).collect())
    }

    /// `<name>.weight` and `<name>.bias` as a packed linear layer.
    pub(super) fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, InferenceError> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Linear::new(&weight, &self.tensor(&format!("{name}.bias"), &[outputs])?))
    }

    /// The same in a precision.
    pub(super) fn product(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        precision: Precision,
    ) -> Result<Layer, InferenceError> {
        self.fused(&[name.to_owned()], inputs, outputs, precision)
    }

    /// Several linear layers of the same input as one, their outputs in a row.
    pub(super) fn fused(
        &self,
        names: &[String],
        inputs: usize,
        outputs: usize,
        precision: Precision,
    ) -> Result<Layer, InferenceError> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weight.extend(self.tensor(&format!("{name}.weight"), &[outputs, inputs])?);
            bias.extend(self.tensor(&format!("{name}.bias"), &[outputs])?);
        }
        Ok(Layer::new(&weight, &bias, precision))
    }

    /// Weight and bias of a layer norm.
    pub(super) fn norm(&self, name: &str, width: usize) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
        Ok((self.tensor(&format!("{name}.weight"), &[width])?, self.tensor(&format!("{name}.bias"), &[width])?))
    }

    /// The error of a file whose tensors do not fit.
    pub(super) fn mismatch(&self, what: String) -> InferenceError {
        InferenceError::Mismatch { path: self.path.clone(), what, fix: fetch_again(&self.path) }
    }
}
