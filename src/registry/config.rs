//! Where models lie and where others come from.

use std::path::{Path, PathBuf};

/// The public hub, unless another address is set.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Folders of the registry and the hub it pulls from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Models that come with the product; never written to.
    pub shipped_dir: PathBuf,
    /// Models that the user pulled or put there; wins over a shipped one of the same id.
    pub user_dir: PathBuf,
    /// Unpacked files and remembered checksums; may be deleted at any time.
    pub cache_dir: PathBuf,
    /// Where `pull` finds models.
    pub hub: HubSettings,
}

impl RegistryConfig {
    /// `<home>/models`, `<store>/models` and `<store>/cache/models`. Folders that are missing are made when needed.
    pub fn new(home: &Path, store: &Path, hub: HubSettings) -> Self {
        Self {
            shipped_dir: home.join("models"),
            user_dir: store.join("models"),
            cache_dir: store.join("cache").join("models"),
            hub,
        }
    }
}

/// Where `pull` finds models that are named by their hub id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSettings {
    /// Address of the hub or of a mirror, for example `https://huggingface.co`; `None` = the network is never used.
    pub endpoint: Option<String>,
    /// Folder that is looked in first: laid out as `HF_HOME` is, or plain folders `owner/name`, `name` or `<model id>`.
    pub offline_dir: Option<PathBuf>,
}

impl HubSettings {
    /// From the values of `HF_ENDPOINT`, `HF_HOME` and `HF_HUB_OFFLINE`, as other tools of the field read them.
    /// Empty values count as not set.
    pub fn from_environment_values(endpoint: Option<String>, home: Option<PathBuf>, offline: bool) -> Self {
        let endpoint = endpoint.filter(|e| !e.trim().is_empty()).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        Self {
            endpoint: (!offline).then(|| endpoint.trim().trim_end_matches('/').to_owned()),
            offline_dir: home.filter(|h| !h.as_os_str().is_empty()),
        }
    }
}

impl Default for HubSettings {
    fn default() -> Self {
        Self::from_environment_values(None, None, false)
    }
}
