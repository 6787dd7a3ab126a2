//! Whether a set of labelled utterances is fit to train and measure on: duplicates, leakage between splits, near-duplicates
//! by template, balance of labels, distinct skeletons, overlap of character n-grams.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TrainError;
use crate::text::fold;

/// Splits of a set, each `<split>.jsonl` in its folder.
const SPLITS: [&str; 3] = ["train", "dev", "test"];
/// Skeletons this alike (Jaccard over character trigrams) count as one template.
const NEAR: f64 = 0.8;
/// Lines of a file that are named when they cannot be read.
const SHOWN_LINES: usize = 10;
/// Shortest skeleton, in characters, for which likeness means anything.
const NEAR_LEAST_CHARS: usize = 8;

/// A row of a set.
#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    situation: String,
    role: String,
    text: String,
    intents: Vec<String>,
    emotion: Option<String>,
    #[serde(default)]
    conduct: Vec<String>,
    /// The text with its slots masked; not written where it is the text.
    skeleton: Option<String>,
}

impl Row {
    fn skeleton(&self) -> &str {
        self.skeleton.as_deref().unwrap_or(&self.text)
    }
}

/// What was found in one set.
#[derive(Debug, Default, Serialize)]
pub struct RowsReport {
    /// Folder of the set.
    pub folder: PathBuf,
    /// Rows by split and role.
    pub rows: BTreeMap<String, BTreeMap<String, usize>>,
    /// Distinct skeletons by role, over all splits; copies of one with other fillings count once.
    pub skeletons: BTreeMap<String, usize>,
    /// Ids that stand more than once.
    pub repeated_ids: Vec<String>,
    /// Rows of one split with the same text, as ids.
    pub duplicates: Vec<[String; 2]>,
    /// Rows of different splits with the same text, as ids. None may be.
    pub leaks: Vec<[String; 2]>,
    /// Situations that stand in more than one split. None may be.
    pub torn_situations: Vec<String>,
    /// Dev and test rows whose skeleton is nearly one of the training split, as ids with the likeness.
    pub near_duplicates: Vec<(String, String, f64)>,
    /// Training rows by intent (the first of a row): least, median, most.
    pub intent_rows: Option<[usize; 3]>,
    /// Intents that a split lacks.
    pub missing_intents: BTreeMap<String, Vec<String>>,
    /// Training rows by emotion.
    pub emotions: BTreeMap<String, usize>,
    /// Training rows by conduct label.
    pub conduct: BTreeMap<String, usize>,
    /// Share of the distinct character trigrams of the test split that the training split has too, in [0, 1].
    pub trigram_overlap: Option<f64>,
}

impl RowsReport {
    /// Whether anything was found that makes measurements untrue.
    pub fn is_sound(&self) -> bool {
        self.repeated_ids.is_empty() && self.leaks.is_empty() && self.torn_situations.is_empty()
    }
}

/// Checks the set of a folder.
///
/// # Errors
/// A file cannot be read, a line is not a row, or there is no row at all.
pub fn check_rows(folder: &Path) -> Result<RowsReport, TrainError> {
    let mut splits: Vec<(&str, Vec<Row>)> = Vec::new();
    for split in SPLITS {
        let path = folder.join(format!("{split}.jsonl"));
        let text = std::fs::read_to_string(&path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound && folder.join("src").is_dir() {
                return TrainError::NotCompiled { path: path.clone() };
            }
            TrainError::Unreadable { path: path.clone(), source }
        })?;
        let rows = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(number, line)| serde_json::from_str::<Row>(line).map_err(|error| format!("line {}: {error}", number + 1)));
        let (rows, wrong): (Vec<_>, Vec<_>) = rows.partition(Result::is_ok);
        if !wrong.is_empty() {
            let lines: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
            let shown = lines.iter().take(SHOWN_LINES).map(String::as_str).collect::<Vec<_>>().join("\n");
            return Err(TrainError::Rows { path, count: lines.len(), lines: shown });
        }
        splits.push((split, rows.into_iter().flatten().collect()));
    }
    let mut report = RowsReport { folder: folder.to_path_buf(), ..RowsReport::default() };
    count(&splits, &mut report);
    find_equal(&splits, &mut report);
    find_near(&splits, &mut report);
    balance(&splits, &mut report);
    Ok(report)
}

/// The form in which two texts are the same: folded, letters and digits only.
fn canonical(text: &str) -> String {
    fold(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

fn trigrams(text: &str) -> HashSet<[char; 3]> {
    let characters: Vec<char> = fold(text).chars().filter(|c| !c.is_whitespace()).collect();
    characters.windows(3).map(|w| [w[0], w[1], w[2]]).collect()
}

fn count(splits: &[(&str, Vec<Row>)], report: &mut RowsReport) {
    let mut skeletons: BTreeMap<&str, HashSet<String>> = BTreeMap::new();
    let mut ids = HashSet::new();
    let mut split_of: HashMap<&str, &str> = HashMap::new();
    let mut torn = BTreeSet::new();
    for (split, rows) in splits {
        for row in rows {
            *report.rows.entry((*split).to_owned()).or_default().entry(row.role.clone()).or_default() += 1;
            skeletons.entry(&row.role).or_default().insert(canonical(row.skeleton()));
            if !ids.insert(row.id.as_str()) {
                report.repeated_ids.push(row.id.clone());
            }
            if *split_of.entry(&row.situation).or_insert(split) != *split {
                torn.insert(row.situation.clone());
            }
        }
    }
    report.torn_situations = torn.into_iter().collect();
    report.skeletons = skeletons.into_iter().map(|(role, of)| (role.to_owned(), of.len())).collect();
}

fn find_equal(splits: &[(&str, Vec<Row>)], report: &mut RowsReport) {
    let mut first: HashMap<(&str, String), (&str, &str)> = HashMap::new();
    for (split, rows) in splits {
        for row in rows {
            let text = canonical(&row.text);
            // A text without a letter or digit says nothing about another one; nor does what another role says.
            if text.is_empty() {
                continue;
            }
            let key = (row.role.as_str(), text);
            match first.get(&key) {
                Some((other, id)) => {
                    let pair = [(*id).to_owned(), row.id.clone()];
                    if other == split { report.duplicates.push(pair) } else { report.leaks.push(pair) }
                }
                None => {
                    first.insert(key, (*split, row.id.as_str()));
                }
            }
        }
    }
}

fn find_near(splits: &[(&str, Vec<Row>)], report: &mut RowsReport) {
    let Some((_, train)) = splits.iter().find(|(split, _)| *split == "train") else { return };
    let sets: Vec<HashSet<[char; 3]>> = train.iter().map(|row| trigrams(row.skeleton())).collect();
    let mut by_trigram: HashMap<[char; 3], Vec<usize>> = HashMap::new();
    for (place, set) in sets.iter().enumerate() {
        set.iter().for_each(|t| by_trigram.entry(*t).or_default().push(place));
    }
    let mut seen: HashSet<[char; 3]> = HashSet::new();
    for (split, rows) in splits.iter().filter(|(split, _)| *split != "train") {
        for row in rows {
            let own = trigrams(row.skeleton());
            if *split == "test" {
                seen.extend(&own);
            }
            if row.skeleton().chars().count() < NEAR_LEAST_CHARS {
                continue;
            }
            let mut common: HashMap<usize, usize> = HashMap::new();
            for place in own.iter().filter_map(|t| by_trigram.get(t)).flatten() {
                *common.entry(*place).or_default() += 1;
            }
            let likeness = |(place, n): (usize, usize)| (place, n as f64 / (own.len() + sets[place].len() - n) as f64);
            let nearest = common.into_iter().map(likeness).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
            if let Some((place, likeness)) = nearest.filter(|(_, likeness)| *likeness >= NEAR) {
                report.near_duplicates.push((row.id.clone(), train[place].id.clone(), likeness));
            }
        }
    }
    let known = seen.iter().filter(|t| by_trigram.contains_key(*t)).count();
    report.trigram_overlap = (!seen.is_empty()).then(|| known as f64 / seen.len() as f64);
}

fn balance(splits: &[(&str, Vec<Row>)], report: &mut RowsReport) {
    let mut all: BTreeSet<&str> = BTreeSet::new();
    let mut of_split: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (split, rows) in splits {
        for row in rows {
            if let Some(intent) = row.intents.first() {
                all.insert(intent);
                *of_split.entry(split).or_default().entry(intent).or_default() += 1;
            }
            if *split == "train" {
                if let Some(emotion) = &row.emotion {
                    *report.emotions.entry(emotion.clone()).or_default() += 1;
                }
                row.conduct.iter().for_each(|label| *report.conduct.entry(label.clone()).or_default() += 1);
            }
        }
    }
    for (split, intents) in &of_split {
        let missing: Vec<String> = all.iter().filter(|i| !intents.contains_key(*i)).map(|i| (*i).to_owned()).collect();
        if !missing.is_empty() {
            report.missing_intents.insert((*split).to_owned(), missing);
        }
    }
    let mut counts: Vec<usize> = of_split.get("train").map(|of| of.values().copied().collect()).unwrap_or_default();
    counts.sort_unstable();
    report.intent_rows = counts.first().map(|least| [*least, counts[counts.len() / 2], counts[counts.len() - 1]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, situation: &str, text: &str) -> String {
        let row = serde_json::json!({
            "id": id, "situation": situation, "role": "customer", "text": text, "intents": ["refund_status"], "acts": ["ask"],
            "emotion": "neutral", "conduct": [], "entities": [], "skeleton": text,
        });
        format!("{row}\n")
    }

    fn check(train: &str, dev: &str, test: &str) -> RowsReport {
        let folder = tempfile::tempdir().unwrap();
        for (split, text) in [("train", train), ("dev", dev), ("test", test)] {
            std::fs::write(folder.path().join(format!("{split}.jsonl")), text).unwrap();
        }
        check_rows(folder.path()).unwrap()
    }

    #[test]
    fn a_sound_set_is_sound() {
        let report = check(
            &row("a", "s1", "where is the money for my headphones"),
            &row("b", "s2", "the card machine ate my card"),
            &row("c", "s3", "please put me through to somebody"),
        );
        assert!(report.is_sound() && report.duplicates.is_empty() && report.near_duplicates.is_empty());
        assert_eq!(report.skeletons["customer"], 3);
    }

    #[test]
    fn leaks_duplicates_and_torn_situations_are_named() {
        let train = row("a", "s1", "Where is my refund?") + &row("b", "s1", "where is my refund");
        let report = check(&train, &row("c", "s2", "hello there, anyone in"), &row("d", "s1", "Where is my refund!"));
        assert!(!report.is_sound());
        assert_eq!(report.duplicates, [["a".to_owned(), "b".to_owned()]]);
        assert_eq!(report.leaks, [["a".to_owned(), "d".to_owned()]]);
        assert_eq!(report.torn_situations, ["s1"]);
    }

    #[test]
    fn templates_are_seen_through() {
        let report = check(
            &row("a", "s1", "could you tell me when {order_no} will be delivered to my house"),
            &row("b", "s2", "nothing like it at all"),
            &row("c", "s3", "could you tell me when {order_no} will be delivered to my flat"),
        );
        assert_eq!(report.near_duplicates.len(), 1);
        assert!(report.near_duplicates[0].2 > NEAR);
        assert!(report.is_sound(), "near is a warning, equal is not");
    }

    #[test]
    fn the_projects_own_sets_are_sound() {
        for language in ["zh", "en"] {
            let report = check_rows(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("datasets/service-{language}"))).unwrap();
            assert!(report.is_sound(), "{language}: {:?} {:?} {:?}", report.leaks, report.torn_situations, report.repeated_ids);
            assert!(report.skeletons["customer"] >= 6_000 && report.skeletons["agent"] >= 800, "{:?}", report.skeletons);
            let near = report.near_duplicates.len() as f64;
            let measured = (report.rows["dev"].values().sum::<usize>() + report.rows["test"].values().sum::<usize>()) as f64;
            assert!(near / measured < 0.02, "{language}: {near} of {measured} dev and test rows are near a training row");
        }
    }
}
