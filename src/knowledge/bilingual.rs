//! Terms of two languages: a question in one finds an article that exists only in the other.
//!
//! ```toml
//! version = 1
//! pairs = ["退款, 退钱 = refund, money back"]   # each on one side stands for each on the other
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Deserialize;

use crate::text::{fold, segment};

use super::{KnowledgeError, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    pairs: Vec<String>,
}

/// A term table, ready to translate the terms of queries.
#[derive(Debug, Default)]
pub struct Bilingual {
    translations: Vec<Vec<String>>,
    finder: Option<AhoCorasick>,
}

impl Bilingual {
    /// Reads a file.
    ///
    /// # Errors
    /// [`KnowledgeError::File`], [`KnowledgeError::Bilingual`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&std::fs::read_to_string(path).map_err(|error| KnowledgeError::file(path, error))?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`KnowledgeError::Bilingual`]: no TOML of this form, an unknown version, a line without two sides.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |problem: String| KnowledgeError::Bilingual { problem };
        let file: File = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
        if file.version != 1 {
            return Err(fail(format!("version {} is not known; this reads version 1", file.version)));
        }
        let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in &file.pairs {
            let (left, right) = line.split_once('=').ok_or_else(|| fail(format!("`{line}`: write `zh, zh = en, en`")))?;
            let side = |text: &str| -> Vec<String> { text.split(',').map(fold).map(|t| t.trim().to_owned()).collect() };
            let (left, right) = (side(left), side(right));
            if left.iter().chain(&right).any(String::is_empty) {
                return Err(fail(format!("`{line}`: a term is empty")));
            }
            for (from, to) in [(&left, &right), (&right, &left)] {
                for term in from {
                    let known = table.entry(comparable(term).0).or_default();
                    known.extend(to.iter().filter(|other| *other != term).cloned());
                }
            }
        }
        for known in table.values_mut() {
            known.sort();
            known.dedup();
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(table.keys())
            .map_err(|error| fail(error.to_string()))?;
        Ok(Self { translations: table.into_values().collect(), finder: Some(finder) })
    }

    /// The translations of every term of the table that occurs in a text, in the order of the text; the longest term wins.
    pub fn translate(&self, text: &str) -> Vec<&[String]> {
        let Some(finder) = &self.finder else { return Vec::new() };
        let (text, words) = comparable(text);
        finder
            .find_iter(&text)
            // 用 is a word in 怎么用 and a part of one in 作用
            .filter(|found| found.len() > SINGLE_HAN_BYTES || !is_han(&text[found.range()]) || words.contains(&found.start()))
            .map(|found| self.translations[found.pattern().as_usize()].as_slice())
            .collect()
    }

    /// How many terms there are, both languages counted.
    pub fn len(&self) -> usize {
        self.translations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.translations.is_empty()
    }
}

/// Bytes of one Chinese character of the basic plane.
const SINGLE_HAN_BYTES: usize = 3;

fn is_han(term: &str) -> bool {
    term.chars().all(|c| !c.is_ascii())
}

/// Chinese as it is, English words by their stem between blanks, so that terms match whole words only; and where in it
/// Chinese words of a single character begin.
fn comparable(text: &str) -> (String, Vec<usize>) {
    let (mut out, mut single) = (String::new(), Vec::new());
    for token in segment::words(text) {
        if token.han {
            if token.text.chars().count() == 1 {
                single.push(out.len());
            }
            out.push_str(&token.text);
        } else {
            if !out.ends_with(' ') {
                out.push(' ');
            }
            out.push_str(&segment::stem(&token.text));
            out.push(' ');
        }
    }
    (out, single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found_both_ways_and_whole() {
        let table = Bilingual::parse("version = 1\npairs = [\"退款, 退钱 = refund, money back\", \"款 = sum\"]").unwrap();
        assert_eq!(table.translate("我要退款"), [["money back", "refund"]]);
        assert_eq!(table.translate("two refunds please"), [["退款", "退钱"]]);
        assert_eq!(table.translate("I want my money back"), [["退款", "退钱"]]);
        assert!(table.translate("the summary").is_empty(), "not inside a word");
        assert_eq!(table.translate("这笔款"), [["sum"]]);
        assert!(table.translate("条款").is_empty(), "a single character inside a word is not that word");
    }

    #[test]
    fn broken_tables_are_refused_with_the_line() {
        for (text, word) in [
            ("version = 2\npairs = []", "version 2"),
            ("version = 1\npairs = [\"退款\"]", "退款"),
            ("version = 1\npairs = [\"退款 = \"]", "empty"),
        ] {
            assert!(Bilingual::parse(text).unwrap_err().to_string().contains(word), "{text}");
        }
    }
}
