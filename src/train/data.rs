//! Labelled texts, checked before anything learns from them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::config::TrainSettings;
use super::error::TrainError;
use super::reader::{self, Parts, Rules};

/// Label of texts that no label of the task fits.
pub(super) const OUT_OF_SCOPE: &str = "out_of_scope";

/// One labelled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The text.
    pub text: String,
    /// Its labels by name, the main one first. Empty means: none of them (tasks with several labels only).
    pub labels: Vec<String>,
    /// Situation or source group; rows of one group go to the same split.
    pub group: Option<String>,
}

/// Rows of a task in three splits.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Rows to learn from.
    pub train: Vec<Row>,
    /// Rows to choose by; empty: some of `train` are held out.
    pub dev: Vec<Row>,
    /// Rows to measure on; empty: the dev split's figures stand in the card.
    pub test: Vec<Row>,
    /// Training rows left out because their text stands in the dev or test split.
    pub leaked: usize,
    /// Where the rows come from, for the card.
    pub source: String,
}

impl Dataset {
    /// Reads a training file and, where given, dev and test files; a CLINC150 file holds all three.
    ///
    /// # Errors
    /// A file that cannot be read; rows without text or label, or with an id that stands twice, all of them named with
    /// their lines.
    pub fn load(data: &Path, dev: Option<&Path>, test: Option<&Path>, settings: &TrainSettings) -> Result<Self, TrainError> {
        let rules = Rules { task: &settings.task, several: settings.several, skip_unlabelled: settings.skip_unlabelled };
        let mut parts = reader::read(data, rules)?;
        for (path, place) in [(dev, &mut parts.dev), (test, &mut parts.test)] {
            if let Some(path) = path {
                let other = reader::read(path, rules)?;
                *place = other.all();
            }
        }
        let name = |p: &Path| p.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let files: Vec<String> = std::iter::once(data).chain(dev).chain(test).map(name).collect();
        Ok(Self::of(parts, files.join(", ")))
    }

    /// Splits as they are given; training rows whose text stands in another split are left out.
    pub(super) fn of(parts: Parts, source: String) -> Self {
        let held: HashSet<String> = parts.dev.iter().chain(&parts.test).map(|r| canonical(&r.text)).collect();
        let before = parts.train.len();
        let train: Vec<Row> = parts.train.into_iter().filter(|r| !held.contains(&canonical(&r.text))).collect();
        let leaked = before - train.len();
        Self { train, dev: parts.dev, test: parts.test, leaked, source }
    }

    /// The labels of the training rows, by name, out-of-scope last.
    ///
    /// # Errors
    /// No rows, fewer than two labels, several labels where the task has one, and labels in the dev or test split that no
    /// training row has.
    pub fn labels(&self, settings: &TrainSettings) -> Result<Vec<String>, TrainError> {
        if self.train.is_empty() {
            return Err(TrainError::data("there are no training rows", "give a file with labelled texts"));
        }
        if !settings.several
            && let Some(row) = self.train.iter().find(|r| r.labels.is_empty())
        {
            let what = format!("a row of {} code points has no label", row.text.chars().count());
            return Err(TrainError::data(what, "label every row, or use `--skip-unlabelled`"));
        }
        let used = |rows: &[Row]| -> HashSet<String> {
            let each = rows.iter().flat_map(|r| r.labels.iter().take(if settings.several { usize::MAX } else { 1 }));
            each.cloned().collect()
        };
        let train = used(&self.train);
        if train.len() < 2 {
            let what = format!("the training rows have {} label, a head tells at least two apart", train.len());
            return Err(TrainError::data(what, "add rows of other labels (out_of_scope counts as one)"));
        }
        let mut missing: Vec<String> =
            used(&self.dev).union(&used(&self.test)).filter(|l| !train.contains(*l)).cloned().collect();
        missing.retain(|l| l != OUT_OF_SCOPE);
        missing.sort();
        if !missing.is_empty() {
            let what = format!("the dev or test split has labels that no training row has: {}", missing.join(", "));
            return Err(TrainError::data(what, "add training rows for them, or correct the labels"));
        }
        let mut labels: Vec<String> = train.into_iter().collect();
        labels.sort_by(|a, b| (a == OUT_OF_SCOPE).cmp(&(b == OUT_OF_SCOPE)).then(a.cmp(b)));
        Ok(labels)
    }

    /// Holds some training rows out as the dev split where there is none: whole groups, every label in turn.
    pub(super) fn with_dev(mut self, settings: &TrainSettings) -> Result<Self, TrainError> {
        if !self.dev.is_empty() {
            return Ok(self);
        }
        let wanted = ((self.train.len() as f32 * settings.dev_share) as usize).clamp(1, TrainSettings::DEV_MAX);
        let mut by_label: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, row) in self.train.iter().enumerate() {
            by_label.entry(row.labels.first().cloned().unwrap_or_default()).or_default().push(place);
        }
        let mut queues: Vec<(String, Vec<usize>)> = by_label.into_iter().collect();
        queues.sort();
        let mut random = Random::new(settings.seed);
        queues.iter_mut().for_each(|(_, q)| random.shuffle(q));
        // A label keeps at least three quarters of its rows, also where a whole group goes.
        let label_of = |place: usize| self.train[place].labels.first().cloned().unwrap_or_default();
        let mut spare: HashMap<String, usize> = queues.iter().map(|(label, q)| (label.clone(), q.len() / 4)).collect();
        let mut held: HashSet<usize> = HashSet::new();
        let groups = self.groups();
        while held.len() < wanted && queues.iter().any(|(_, queue)| !queue.is_empty()) {
            for (label, queue) in &mut queues {
                if spare[label] == 0 || held.len() >= wanted {
                    queue.clear();
                    continue;
                }
                let Some(place) = queue.pop() else { continue };
                let whole = self.train[place].group.as_ref().map_or_else(|| vec![place], |group| groups[group].clone());
                let mut cost: HashMap<String, usize> = HashMap::new();
                whole.iter().filter(|p| !held.contains(*p)).for_each(|p| *cost.entry(label_of(*p)).or_default() += 1);
                if cost.iter().all(|(label, n)| spare.get(label).is_some_and(|left| left >= n)) {
                    for (label, n) in cost {
                        spare.entry(label).and_modify(|left| *left -= n);
                    }
                    held.extend(whole);
                }
            }
        }
        if held.is_empty() {
            return Err(TrainError::data(
                format!(
                    "{} rows are too few to hold a dev split out: every label has fewer than 4, or its groups are too large",
                    self.train.len()
                ),
                "add rows, or give a file with `--dev`",
            ));
        }
        let (mut train, mut dev) = (Vec::new(), Vec::new());
        for (place, row) in self.train.into_iter().enumerate() {
            if held.contains(&place) { dev.push(row) } else { train.push(row) }
        }
        (self.train, self.dev) = (train, dev);
        Ok(self)
    }

    fn groups(&self) -> HashMap<String, Vec<usize>> {
        let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, row) in self.train.iter().enumerate() {
            if let Some(group) = &row.group {
                groups.entry(group.clone()).or_default().push(place);
            }
        }
        groups
    }
}

/// Letters and digits in lower case: the form in which two texts count as the same.
pub(super) fn canonical(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Rows of a file that cannot be used, gathered so that all are named at once.
pub(super) struct Complaints {
    path: PathBuf,
    lines: Vec<String>,
    count: usize,
}

impl Complaints {
    /// Lines that are named; the rest is counted.
    const SHOWN: usize = 10;

    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), lines: Vec::new(), count: 0 }
    }

    pub(super) fn add(&mut self, line: usize, what: impl std::fmt::Display) {
        self.count += 1;
        if self.lines.len() < Self::SHOWN {
            self.lines.push(format!("  line {line}: {what}"));
        }
    }

    pub(super) fn end(mut self) -> Result<(), TrainError> {
        if self.count == 0 {
            return Ok(());
        }
        if self.count > self.lines.len() {
            self.lines.push(format!("  … and {} more", self.count - self.lines.len()));
        }
        Err(TrainError::Rows { path: self.path, count: self.count, lines: self.lines.join("\n") })
    }
}

/// A small generator of random numbers (SplitMix64, Steele et al. 2014); the same seed gives the same run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub(super) fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// Below `end`, which is at least 1.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Fisher and Yates.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
