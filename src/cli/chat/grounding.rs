//! Measuring the check of reworded answers: sentences that a passage supports must pass, the others must not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;

use crate::chat::is_supported;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentence {
    id: String,
    language: String,
    passage: String,
    sentence: String,
    supported: bool,
    split: String,
}

/// How often the check let a sentence pass.
#[derive(Clone, Copy, Default)]
struct Passed {
    supported: usize,
    of_supported: usize,
    unsupported: usize,
    of_unsupported: usize,
}

impl Passed {
    fn add(&mut self, supported: bool, passed: bool) {
        let (count, of) = match supported {
            true => (&mut self.supported, &mut self.of_supported),
            false => (&mut self.unsupported, &mut self.of_unsupported),
        };
        *count += usize::from(passed);
        *of += 1;
    }

    /// Precision of what passes, recall of what is supported, share of the unsupported that is dropped.
    fn figures(self) -> [(&'static str, usize, usize); 3] {
        let dropped = self.of_unsupported - self.unsupported;
        [
            ("precision", self.supported, self.supported + self.unsupported),
            ("recall", self.supported, self.of_supported),
            ("unsupported_dropped", dropped, self.of_unsupported),
        ]
    }
}

/// Reads labelled sentences and prints how the check does on them.
pub(super) fn run(file: &Path, split: &str, verbose: bool, json: bool) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut counts: BTreeMap<String, Passed> = BTreeMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let item: Sentence = serde_json::from_str(line).with_context(|| format!("{} line {}", file.display(), at + 1))?;
        if split != "all" && item.split != split {
            continue;
        }
        let passed = is_supported(&item.sentence, &item.passage);
        for key in ["all", item.language.as_str()] {
            counts.entry(key.to_owned()).or_default().add(item.supported, passed);
        }
        if verbose && passed != item.supported {
            println!("{} {} | {}", item.id, if passed { "passed" } else { "dropped" }, item.sentence);
        }
    }
    anyhow::ensure!(!counts.is_empty(), "{}: there is no sentence of split {split}", file.display());
    #[expect(clippy::cast_precision_loss, reason = "some hundred sentences")]
    let ratio = |good: usize, of: usize| if of == 0 { 0.0 } else { good as f64 / of as f64 };
    let mut figures = serde_json::Map::new();
    for (language, passed) in &counts {
        for (name, good, of) in passed.figures() {
            figures.insert(format!("{name}_{language}"), serde_json::json!({ "value": ratio(good, of), "n": of }));
            if !json {
                println!("{:<28} {:>6.3}  ({good} of {of})", format!("{name}_{language}"), ratio(good, of));
            }
        }
    }
    if json {
        println!("{}", serde_json::json!({ "split": split, "figures": figures }));
    }
    Ok(ExitCode::SUCCESS)
}
