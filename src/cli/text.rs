//! `zhiyin text`: write spoken numbers, run cases of inverse text normalisation.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::conversation::Language;
use crate::text::itn::{Itn, ItnFile, ItnStyle, run_cases};

/// Subcommands of `zhiyin text`.
#[derive(Subcommand)]
pub(super) enum TextCommand {
    /// Write what was said: 一百二十元 becomes 120元.
    Write {
        /// The spoken text.
        text: String,
        /// Spelling of figures, dates and units.
        #[arg(long, value_enum, default_value_t = Style::Readable)]
        style: Style,
    },
    /// Run cases, one `spoken => written` a line, and print how many come out exactly so.
    Check {
        /// File, or folder of .txt files.
        path: PathBuf,
        /// Spelling of figures, dates and units.
        #[arg(long, value_enum, default_value_t = Style::Symbols)]
        style: Style,
        /// Show this many cases that do not come out.
        #[arg(long, default_value_t = 0)]
        failures: usize,
        /// Fail unless this share of all cases comes out, in [0, 1].
        #[arg(long, value_name = "SHARE")]
        least: Option<f64>,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
}

/// Spelling of figures, dates and units.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Style {
    /// As running text: 120元, 8月8日, 200 meters.
    Readable,
    /// As forms have it: ¥120, 08/08, 200 m.
    Symbols,
}

impl From<Style> for ItnStyle {
    fn from(style: Style) -> Self {
        match style {
            Style::Readable => Self::Readable,
            Style::Symbols => Self::Symbols,
        }
    }
}

/// Runs a command.
pub(super) fn run(command: TextCommand) -> anyhow::Result<ExitCode> {
    match command {
        TextCommand::Write { text, style } => {
            println!("{}", Itn::with_style(style.into()).apply(&text, Language::of_text(&text)).0);
            Ok(ExitCode::SUCCESS)
        }
        TextCommand::Check { path, style, failures, least, json } => {
            let files = run_cases(&path, style.into()).with_context(|| format!("cannot read {}", path.display()))?;
            let cases: usize = files.iter().map(|f| f.cases.len()).sum();
            anyhow::ensure!(cases > 0, "{} has no case of the form `spoken => written`", path.display());
            let passed: usize = files.iter().map(ItnFile::passed).sum();
            let share = passed as f64 / cases as f64;
            if json {
                let files: Vec<_> = files
                    .iter()
                    .map(|f| json!({"file": f.path.display().to_string(), "passed": f.passed(), "cases": f.cases.len()}))
                    .collect();
                println!(
                    "{}",
                    json!({"command": "text check", "style": format!("{style:?}").to_lowercase(), "passed": passed, "cases": cases, "share": share, "files": files})
                );
            } else {
                for file in &files {
                    println!("{:>4} of {:>4}  {}", file.passed(), file.cases.len(), file.path.display());
                }
                for case in files.iter().flat_map(|f| &f.cases).filter(|c| !c.passed()).take(failures) {
                    println!("  {} => {} (expected {})", case.spoken, case.written, case.expected);
                }
                println!("{passed} of {cases} cases ({:.1} %)", share * 100.0);
            }
            Ok(if least.is_some_and(|least| share < least) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
    }
}
