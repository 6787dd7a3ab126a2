//! Names that are found as they stand: products, plans and organisations of a deployment, from `gazetteer.toml`.

use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Deserialize;

use super::{NluError, PatternEntity};

/// Kinds that names may have; they are those of the entity list that no form proves.
const KINDS: [&str; 5] = ["product", "plan", "organisation", "person", "address"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "part of the file's form")]
    version: u32,
    #[serde(default)]
    names: Vec<Names>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    kind: String,
    #[serde(default)]
    zh: Vec<String>,
    #[serde(default)]
    en: Vec<String>,
}

/// The names of a deployment, all searched for in one pass over a text.
#[derive(Clone, Debug, Default)]
pub struct Gazetteer {
    machine: Option<AhoCorasick>,
    kinds: Vec<&'static str>,
    names: Vec<String>,
}

impl Gazetteer {
    /// Reads `gazetteer.toml` in a folder; without one there are no names.
    ///
    /// # Errors
    /// The file is not of its form, names a kind that no name can have, or holds a name of one letter.
    pub fn load(folder: &Path) -> Result<Self, NluError> {
        let path = folder.join("gazetteer.toml");
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
        let (mut kinds, mut names) = (Vec::new(), Vec::new());
        for group in file.names {
            let Some(kind) = KINDS.into_iter().find(|k| *k == group.kind) else {
                return Err(format!("kind \"{}\" is unknown (known: {})", group.kind, KINDS.join(", ")));
            };
            for name in group.zh.into_iter().chain(group.en) {
                if name.trim().chars().count() < 2 {
                    return Err(format!("a name of kind \"{kind}\" has fewer than two characters"));
                }
                kinds.push(kind);
                names.push(name.trim().to_owned());
            }
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true).build(&names);
        Ok(Self { machine: Some(built.map_err(|e| e.to_string())?), kinds, names })
    }

    /// Names in a text, the longest at each place, without overlap. A Latin name counts as a whole word only, an "s" behind
    /// it included; the value is the name as the file has it.
    pub fn find(&self, text: &str) -> Vec<PatternEntity> {
        let Some(machine) = &self.machine else { return Vec::new() };
        let mut found: Vec<PatternEntity> = Vec::new();
        let (mut counted, mut points) = (0, 0);
        for hit in machine.find_iter(text) {
            let Some(end) = whole_word(text, hit.start(), hit.end()) else { continue };
            let surface = &text[hit.start()..end];
            points += text[counted..hit.start()].chars().count();
            counted = hit.start();
            found.push(PatternEntity {
                kind: self.kinds[hit.pattern().as_usize()],
                text: surface.to_owned(),
                value: self.names[hit.pattern().as_usize()].clone(),
                start: points,
                end: points + surface.chars().count(),
            });
        }
        found
    }
}

/// Where a name ends, its plural included; `None` for one that is a part of a longer Latin word.
fn whole_word(text: &str, start: usize, end: usize) -> Option<usize> {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if letter(text[start..end].chars().next()) && letter(text[..start].chars().next_back()) {
        return None;
    }
    if !letter(text[start..end].chars().next_back()) {
        return Some(end);
    }
    let rest = &text[end..];
    let plural = ["es", "s", ""].into_iter().find(|p| rest.starts_with(p) && !letter(rest[p.len()..].chars().next()));
    plural.map(|p| end + p.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Gazetteer {
        Gazetteer::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/taxonomy")).unwrap()
    }

    #[test]
    fn names_are_found_whole_and_longest_first() {
        let found = shipped().find("😀My Bluetooth Speakers and the speakerphone; 我的电动滑板车和畅享59套餐");
        let found: Vec<_> = found.iter().map(|e| (e.kind, e.text.as_str(), e.value.as_str(), e.start)).collect();
        let expected = [
            ("product", "Bluetooth Speakers", "bluetooth speaker", 4),
            ("product", "电动滑板车", "电动滑板车", 47),
            ("plan", "畅享59套餐", "畅享59套餐", 53),
        ];
        assert_eq!(found, expected);
        assert!(shipped().find("keyboardist, a laptops'").iter().all(|e| e.text == "laptops"));
    }

    #[test]
    fn files_of_another_form_are_refused_by_name() {
        for (text, expected) in [
            ("version = 1\n[[names]]\nkind = \"colour\"\nen = [\"red\"]", "kind \"colour\""),
            ("version = 1\n[[names]]\nkind = \"plan\"\nen = [\"x\"]", "fewer than two"),
            ("version = 1\n[[names]]\nkind = \"plan\"\nfr = []", "fr"),
            ("names = 1", "invalid type"),
        ] {
            let message = Gazetteer::parse(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        assert!(Gazetteer::load(Path::new("/nonexistent")).unwrap().find("laptop").is_empty());
    }
}
