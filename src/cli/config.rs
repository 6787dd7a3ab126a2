//! `zhiyin config`: the resolved settings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{Settings, find_home};
use crate::pipeline::PipelineSpec;

/// Subcommands of `zhiyin config`.
#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the settings as they are after defaults, file and environment.
    Show {
        /// As JSON instead of TOML.
        #[arg(long)]
        json: bool,
    },
    /// Check a configuration file and the pipeline files; every problem at once.
    Check {
        /// The file; the one of `--config` by default.
        file: Option<PathBuf>,
    },
}

pub(super) fn run(command: &ConfigCommand, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Show { json } => {
            let settings = Settings::load(config)?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&settings)?);
            } else {
                print!("{}", toml::to_string_pretty(&settings)?);
            }
        }
        ConfigCommand::Check { file } => {
            Settings::load(file.as_deref().or(config))?;
            let pipelines = find_home()?.join("pipelines");
            for id in ["live-assist", "quality-review", "transcribe"] {
                PipelineSpec::load(&pipelines.join(format!("{id}.toml")))?;
            }
            println!("ok: settings and pipelines are valid");
        }
    }
    Ok(ExitCode::SUCCESS)
}
