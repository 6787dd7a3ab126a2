//! Where the files that come with the product lie: models, pipelines, samples.

use std::path::{Path, PathBuf};

use crate::registry::HubSettings;

/// The product's files were not found.
#[derive(Debug, thiserror::Error)]
#[error(
    "the folder with `models` and `pipelines` was not found (looked in: {}); set ZHIYIN_HOME to it or run from the source folder",
    .looked_in.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
)]
pub struct HomeError {
    /// Where it was looked for.
    pub looked_in: Vec<PathBuf>,
}

/// The folder that holds `models/` and `pipelines/`: `ZHIYIN_HOME`, else the current folder, else a folder above the
/// executable, else the source folder the program was built in.
///
/// # Errors
/// None of them holds `pipelines/live-assist.toml`.
pub fn find_home() -> Result<PathBuf, HomeError> {
    let mut looked_in = Vec::new();
    let named = std::env::var_os("ZHIYIN_HOME").map(PathBuf::from);
    let here = std::env::current_dir().ok();
    let above_exe = std::env::current_exe()
        .ok()
        .into_iter()
        .flat_map(|exe| exe.ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>());
    let built_in = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    for folder in named.into_iter().chain(here).chain(above_exe).chain(built_in) {
        if folder.join("pipelines/live-assist.toml").is_file() {
            return Ok(folder);
        }
        looked_in.push(folder);
    }
    Err(HomeError { looked_in })
}

/// Where models come from, as the tools of the field are told: `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`.
pub fn hub_settings() -> HubSettings {
    let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !matches!(v.as_str(), "" | "0" | "false"));
    HubSettings::from_environment_values(
        std::env::var("HF_ENDPOINT").ok(),
        std::env::var_os("HF_HOME").map(PathBuf::from),
        offline,
    )
}
