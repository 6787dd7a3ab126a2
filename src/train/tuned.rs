//! A tuned trunk as a model folder: the same files as the one it began with, its own weights in f16.

use std::path::Path;

use half::f16;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::error::TrainError;
use super::network::Network;

/// Writes into the copied `config.json` what files beside the first one said (`1_Pooling`): the folder has no such files.
fn state_pooling(path: &Path, network: &Network) -> Result<(), TrainError> {
    let config = network.config();
    let rewrite = || {
        let mut json: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&std::fs::read(path)?)?;
        json.insert("pooling".to_owned(), serde_json::to_value(config.pooling)?);
        if let Some(length) = config.max_seq_length {
            json.insert("max_seq_length".to_owned(), length.into());
        }
        std::fs::write(path, serde_json::to_string_pretty(&json)?)
    };
    rewrite().map_err(|source: std::io::Error| TrainError::Unwritable { path: path.to_owned(), source })
}

/// Writes `config.json`, `tokenizer.json` and `model.safetensors` of the tuned trunk; heads are left out.
pub(super) fn save(base: &Path, network: &Network, target: &Path) -> Result<(), TrainError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| TrainError::Unwritable { path, source }
    };
    for name in ["config.json", "tokenizer.json"] {
        let to = target.join(name);
        std::fs::copy(base.join(name), &to).map_err(unwritable(&to))?;
    }
    state_pooling(&target.join("config.json"), network)?;
    let path = base.join("model.safetensors");
    let bytes = std::fs::read(&path).map_err(|source| TrainError::Unreadable { path: path.clone(), source })?;
    let refuse = |e: safetensors::SafeTensorError| TrainError::Trunk {
        path: path.clone(),
        what: e.to_string(),
        fix: "pull the model again".to_owned(),
    };
    let stored = SafeTensors::deserialize(&bytes).map_err(refuse)?;
    let tuned = network.tensors()?;
    let mut parts: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, view) in stored.iter() {
        if name.starts_with("heads.") {
            continue;
        }
        let (kind, data) = match tuned.get(name) {
            Some(values) => (Dtype::F16, values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()),
            None => (view.dtype(), view.data().to_vec()),
        };
        parts.push((name.to_owned(), kind, view.shape().to_vec(), data));
    }
    let views = parts.iter().map(|(name, kind, shape, data)| Ok((name, TensorView::new(*kind, shape.clone(), data)?)));
    let views = views.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    let to = target.join("model.safetensors");
    safetensors::serialize_to_file(views, None, &to).map_err(|e| unwritable(&to)(std::io::Error::other(e.to_string())))
}
