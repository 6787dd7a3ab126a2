//! Public data sets that recipes and evaluations read: named in a file with source, licence and checksum, fetched on
//! request, never part of the repository.

use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::RegistryError;
use super::download::Downloader;
use super::transfer::{self, Expected};

/// A public data set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublicSet {
    /// Name; the folder it is unpacked into has it too.
    pub name: String,
    /// `text` or `speech`.
    pub kind: String,
    /// Languages.
    #[serde(default)]
    pub languages: Vec<String>,
    /// What it is.
    pub what: String,
    /// How large it is.
    #[serde(default)]
    pub size: String,
    /// SPDX name of its licence.
    pub licence: String,
    /// Where it comes from.
    pub source: String,
    /// State of the source.
    #[serde(default)]
    pub commit: String,
    /// Name of the packed copy.
    pub archive: String,
    /// Length of the packed copy.
    pub bytes: u64,
    /// Checksum of the packed copy.
    pub sha256: String,
}

#[derive(Deserialize)]
struct File {
    source: Vec<PublicSet>,
}

impl PublicSet {
    /// Reads `sources.toml`.
    ///
    /// # Errors
    /// The file is missing or not of its form.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, RegistryError> {
        let text = std::fs::read_to_string(path).map_err(RegistryError::io("read", path))?;
        let file: File = toml::from_str(&text).map_err(|error| RegistryError::Content {
            path: path.to_path_buf(),
            what: error.to_string(),
            fix: "mend the entry that is named".into(),
        })?;
        Ok(file.source)
    }

    /// Whether it lies unpacked in a folder.
    pub fn is_in(&self, folder: &Path) -> bool {
        std::fs::read_dir(folder.join(&self.name)).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Fetches the packed copy from a folder or an address below which it lies, checks it, and unpacks it to
    /// `folder/<name>`. A cut transfer goes on where it ended; a wrong checksum is refused and nothing is unpacked.
    ///
    /// # Errors
    /// The copy is not there, is not what the entry says, or cannot be unpacked.
    pub async fn pull(
        &self,
        from: &str,
        folder: &Path,
        on_bytes: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<PathBuf, RegistryError> {
        std::fs::create_dir_all(folder).map_err(RegistryError::io("create", folder))?;
        let packed = folder.join(&self.archive);
        let expected = Expected { id: self.name.clone(), sha256: Some(self.sha256.clone()), bytes: Some(self.bytes) };
        if from.contains("://") {
            let address = format!("{}/{}", from.trim_end_matches('/'), self.archive);
            let url = Url::parse(&address).map_err(|error| self.absent(&address, error.to_string()))?;
            let fetched = Downloader::new()?.fetch(&url, &packed, expected, on_bytes).await?;
            fetched.ok_or_else(|| self.absent(&address, "the server does not have it".into()))?;
        } else {
            let source = Path::new(from).join(&self.archive);
            transfer::copy(&source, &packed, &expected, on_bytes).await?;
        }
        let (set, target) = (self.clone(), folder.join(&self.name));
        let unpacked = target.clone();
        tokio::task::spawn_blocking(move || set.unpack(&packed, &unpacked))
            .await
            .map_err(|error| self.absent(&self.archive, error.to_string()))??;
        Ok(target)
    }

    fn absent(&self, address: &str, what: String) -> RegistryError {
        RegistryError::Transfer {
            url: address.to_owned(),
            what,
            kept_bytes: 0,
            fix: format!("it was taken from {} at {}; pack that folder as {}", self.source, self.commit, self.archive),
        }
    }

    /// Unpacks beside the target and moves it there whole, so that half a set is never taken for one.
    fn unpack(&self, packed: &Path, target: &Path) -> Result<(), RegistryError> {
        let staging = target.with_file_name(format!(".{}.new", self.name));
        let _ = std::fs::remove_dir_all(&staging);
        std::fs::create_dir_all(&staging).map_err(RegistryError::io("create", &staging))?;
        let file = std::fs::File::open(packed).map_err(RegistryError::io("read", packed))?;
        let outcome = if self.archive.ends_with(".tar.gz") {
            tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(&staging)
        } else if self.archive.ends_with(".tar") {
            tar::Archive::new(file).unpack(&staging)
        } else {
            std::fs::copy(packed, staging.join(&self.archive)).map(drop)
        };
        outcome.map_err(RegistryError::io("unpack", packed))?;
        // An archive that holds one folder of its own name is that folder.
        let inner = staging.join(&self.name);
        let _ = std::fs::remove_dir_all(target);
        if inner.is_dir() {
            std::fs::rename(&inner, target).map_err(RegistryError::io("move a folder to", target))?;
            std::fs::remove_dir_all(&staging).map_err(RegistryError::io("remove", &staging))
        } else {
            std::fs::rename(&staging, target).map_err(RegistryError::io("move a folder to", target))
        }
    }
}
