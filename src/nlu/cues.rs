//! Words that speak for a label, from `cues.toml`: evidence beside the encoder's probability.

use std::path::Path;

use regex::{RegexSet, RegexSetBuilder};
use serde::Deserialize;

use super::NluError;
use crate::inference::head;

/// Largest weight that a file may give, log-odds; e^8 is about 3,000 to 1.
const WEIGHT_MAX: f32 = 8.0;

/// Heads whose labels may have cues.
const HEADS: [&str; 2] = [head::CONDUCT, head::INTENT];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "part of the file's form")]
    version: u32,
    #[serde(default)]
    cue: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    head: String,
    label: String,
    weight: f32,
    #[serde(default)]
    zh: Vec<String>,
    #[serde(default)]
    en: Vec<String>,
}

#[derive(Clone, Debug)]
struct Cue {
    head: &'static str,
    label: String,
    weight: f32,
    words: RegexSet,
}

/// The cues of a deployment.
#[derive(Clone, Debug, Default)]
pub struct Cues {
    cues: Vec<Cue>,
}

impl Cues {
    /// Reads `cues.toml` in a folder; without one there are no cues.
    ///
    /// # Errors
    /// The file is not of its form, an expression does not compile, or a weight is out of range.
    pub fn load(folder: &Path) -> Result<Self, NluError> {
        let path = folder.join("cues.toml");
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(&path).map_err(|source| NluError::Unreadable { path: path.clone(), source })?;
        Self::parse(&text).map_err(|message| NluError::Invalid { path, message })
    }

    /// Reads the text of such a file; the error says what is wrong.
    ///
    /// # Errors
    /// See [`Self::load`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let compiled = |entry: Entry| {
            let Some(head) = HEADS.into_iter().find(|h| *h == entry.head) else {
                return Err(format!("cue \"{}\": head \"{}\" is unknown (known: {})", entry.label, entry.head, HEADS.join(", ")));
            };
            if !(0.0..=WEIGHT_MAX).contains(&entry.weight) {
                return Err(format!("cue \"{}\": weight must lie in [0, {WEIGHT_MAX}]", entry.label));
            }
            let words = RegexSetBuilder::new(entry.zh.iter().chain(&entry.en)).case_insensitive(true).build();
            let words = words.map_err(|e| format!("cue \"{}\": {e}", entry.label))?;
            Ok(Cue { head, label: entry.label, weight: entry.weight, words })
        };
        Ok(Self { cues: file.cue.into_iter().map(compiled).collect::<Result<_, _>>()? })
    }

    /// Log-odds that the words of a text add to a label of a head; 0 where no cue stands.
    pub fn weight(&self, head: &str, label: &str, text: &str) -> f32 {
        self.cues.iter().filter(|c| c.head == head && c.label == label && c.words.is_match(text)).map(|c| c.weight).sum()
    }

    /// Probability of a label among several after its cues were looked for: logistic(logit(p) + weight).
    pub fn joined(&self, head: &str, label: &str, text: &str, p: f32) -> f32 {
        let weight = self.weight(head, label, text);
        if weight == 0.0 {
            return p;
        }
        let p = p.clamp(1e-6, 1.0 - 1e-6);
        1.0 / (1.0 + (-((p / (1.0 - p)).ln() + weight)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_cues_compile_and_speak_both_languages() {
        let cues = Cues::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/taxonomy")).unwrap();
        for (label, text) in [
            ("complaint_threat", "不解决我就打12315"),
            ("complaint_threat", "I am off to the Ombudsman"),
            ("media_threat", "我要发到微博上"),
            ("media_threat", "I'll call the local radio"),
            ("asks_supervisor", "叫你们经理来"),
            ("asks_supervisor", "Who is in charge here?"),
            ("abuse", "你们就是一群骗子"),
            ("abuse", "You lying toads"),
        ] {
            assert!(cues.weight("conduct", label, text) > 0.0, "{label}: {text}");
            assert!(cues.joined("conduct", label, text, 0.2) > 0.5 && cues.joined("conduct", label, text, 0.0) < 0.05, "{label}");
        }
        for text in ["我想查一下话费", "Where is my parcel?", ""] {
            assert!(
                ["complaint_threat", "media_threat", "asks_supervisor", "abuse"]
                    .iter()
                    .all(|l| cues.weight("conduct", l, text) == 0.0)
            );
            assert_eq!(cues.joined("conduct", "abuse", text, 0.3), 0.3);
        }
    }

    #[test]
    fn files_of_another_form_are_refused_by_label() {
        for (entry, expected) in [
            ("label = \"abuse\"\nweight = 99.0", "cue \"abuse\": weight"),
            ("label = \"abuse\"\nweight = 1.0\nen = [\"(\"]", "cue \"abuse\""),
            ("label = \"abuse\"\nweight = 1.0\nfr = []", "fr"),
        ] {
            let message = Cues::parse(&format!("version = 1\n[[cue]]\nhead = \"conduct\"\n{entry}\n")).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
