//! Words that mean the same, from a TOML file.
//!
//! ```toml
//! version = 1
//! [[group]]                      # each stands for each other
//! terms = ["退款", "退钱"]
//! [[one_way]]                    # a search for the first also finds the others, not the other way round
//! from = "wifi"
//! to = ["宽带"]
//! ```
//!
//! Entries may lead to each other in circles: every word is followed once, at most [`MAX_STEPS`] steps far.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Deserialize;

use crate::text::fold;

use super::{KnowledgeError, Result};

/// How many steps an expansion follows from word to word.
const MAX_STEPS: usize = 3;
/// How many expansions a word has at most.
const MAX_EXPANSIONS: usize = 12;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    group: Vec<Group>,
    #[serde(default)]
    one_way: Vec<OneWay>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    terms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneWay {
    from: String,
    to: Vec<String>,
}

/// A synonym table, ready to expand queries.
#[derive(Debug, Default)]
pub struct Synonyms {
    terms: Vec<String>,
    expansions: Vec<Vec<String>>,
    finder: Option<AhoCorasick>,
}

impl Synonyms {
    /// Reads a file.
    ///
    /// # Errors
    /// [`KnowledgeError::File`], [`KnowledgeError::Synonyms`].
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| KnowledgeError::file(path, error))?;
        Self::parse(&text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`KnowledgeError::Synonyms`]: no TOML of this form, an unknown version, an empty term.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |problem: String| KnowledgeError::Synonyms { problem };
        let file: File = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
        if file.version != 1 {
            return Err(fail(format!("version {} is not known; this reads version 1", file.version)));
        }
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let pairs = file.group.iter().flat_map(|group| {
            group.terms.iter().flat_map(move |from| group.terms.iter().map(move |to| (from.clone(), to.clone())))
        });
        let one_way = file.one_way.iter().flat_map(|entry| entry.to.iter().map(move |to| (entry.from.clone(), to.clone())));
        for (from, to) in pairs.chain(one_way) {
            let (from, to) = (fold(&from), fold(&to));
            if from.is_empty() || to.is_empty() {
                return Err(fail("a term is empty".to_owned()));
            }
            if from != to {
                edges.entry(from).or_default().insert(to);
            }
        }
        let terms: Vec<String> = edges.keys().cloned().collect();
        let expansions = terms.iter().map(|term| reachable(&edges, term)).collect();
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&terms)
            .map_err(|error| fail(error.to_string()))?;
        Ok(Self { terms, expansions, finder: Some(finder) })
    }

    /// The expansions of every term in a folded text: term and what it may also be called.
    pub fn expand<'a>(&'a self, folded: &'a str) -> Vec<(&'a str, &'a [String])> {
        let Some(finder) = &self.finder else { return Vec::new() };
        finder
            .find_iter(folded)
            .filter(|found| whole_word(folded, found.start(), found.end()))
            .map(|found| {
                let index = found.pattern().as_usize();
                (self.terms[index].as_str(), self.expansions[index].as_slice())
            })
            .collect()
    }

    /// How many terms have synonyms.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// Everything that a term leads to, nearest first, without the term itself.
fn reachable(edges: &BTreeMap<String, BTreeSet<String>>, term: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut front = vec![term.to_owned()];
    for _ in 0..MAX_STEPS {
        let next: BTreeSet<String> = front.iter().filter_map(|from| edges.get(from)).flatten().cloned().collect();
        front = next.into_iter().filter(|to| to != term && !found.contains(to)).collect();
        found.extend(front.iter().cloned());
    }
    found.truncate(MAX_EXPANSIONS);
    found
}

/// A Latin term must not lie inside a longer word.
fn whole_word(text: &str, start: usize, end: usize) -> bool {
    let ascii_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside_before = ascii_letter(text[..start].chars().next_back()) && ascii_letter(text[start..].chars().next());
    let inside_after = ascii_letter(text[..end].chars().next_back()) && ascii_letter(text[end..].chars().next());
    !inside_before && !inside_after
}
