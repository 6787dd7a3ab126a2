//! A trained head as a model folder with its card.

use std::path::Path;

use crate::inference::TRUNK_FOLDER;
use crate::registry::{Card, CardFile, Measured, ModelKind};

use super::config::Mode;
use super::error::TrainError;
use super::metrics::Report;
use super::trainer::Trained;

/// Files of a head's own trunk.
const TRUNK_FILES: [&str; 3] = ["model.safetensors", "config.json", "tokenizer.json"];

impl Trained {
    /// Writes the head as a model folder: weights, labels, its trunk where it has one, and a card with the figures and
    /// `command`. The folder takes its place by one rename; one that is there is replaced, whatever it holds.
    ///
    /// # Errors
    /// The folder cannot be written, or its name is no model's name.
    pub fn save(&self, folder: &Path, command: &str) -> Result<Card, TrainError> {
        let unwritable = |source| TrainError::Unwritable { path: folder.to_owned(), source };
        let id = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let parent = folder.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(unwritable)?;
        let staging = tempfile::Builder::new().prefix(".train-").tempdir_in(parent).map_err(unwritable)?;
        self.head.save(staging.path())?;
        let mut files = vec!["head.safetensors".to_owned(), "heads.toml".to_owned()];
        if let Some(trunk) = &self.trunk {
            std::fs::create_dir_all(staging.path().join(TRUNK_FOLDER)).map_err(unwritable)?;
            for name in TRUNK_FILES {
                let inside = format!("{TRUNK_FOLDER}/{name}");
                std::fs::copy(trunk.path().join(name), staging.path().join(&inside)).map_err(unwritable)?;
                files.push(inside);
            }
        }
        let mut card = self.card(id, command);
        for name in files {
            card.files.push(CardFile::of(staging.path(), &name)?);
        }
        card.write(staging.path())?;
        // What stood there is set aside first and goes away only once the new folder has its name.
        let aside = tempfile::Builder::new().prefix(".train-").tempdir_in(parent).map_err(unwritable)?;
        let before = aside.path().join("before");
        let replaces = folder.exists();
        if replaces {
            std::fs::rename(folder, &before).map_err(unwritable)?;
        }
        if let Err(source) = std::fs::rename(staging.path(), folder) {
            if replaces && std::fs::rename(&before, folder).is_err() {
                let _ = aside.keep(); // the only copy of what stood there
            }
            return Err(unwritable(source));
        }
        let _ = staging.keep();
        Ok(card)
    }

    fn card(&self, id: String, command: &str) -> Card {
        let (settings, spec) = (&self.settings, self.head.spec());
        let mut card = Card::of(id, ModelKind::Head, "zhiyin train");
        card.version = spec.version.split_once('@').map_or("1", |(_, v)| v).to_owned();
        card.licence = "yours".to_owned();
        card.languages.clone_from(&self.languages);
        card.label_sets = vec![format!("{}: {} labels", settings.task, spec.labels.len())];
        card.base = Some(self.base.clone());
        card.data_licences = vec![format!("{}: yours", self.source)];
        card.intended_use = format!(
            "Head `{}` with {} labels, trained ({}) on {} rows of {}; {} dev rows chose the pass ({}), the weight of n-grams ({}) and the temperature ({:.3}).",
            settings.task,
            spec.labels.len(),
            settings.mode.name(),
            self.rows[0],
            self.source,
            self.rows[1],
            self.best_epoch,
            self.ngram_share,
            spec.temperature,
        );
        card.limits = vec![
            "It knows the labels and the kind of text it was trained on, nothing else.".to_owned(),
            if settings.mode == Mode::Full {
                "It runs a trunk of its own: each text is encoded once more.".to_owned()
            } else {
                format!("It reads sentence vectors of {} and of no other encoder.", self.base)
            },
        ];
        let (report, on) = match &self.test {
            Some(test) => (test, format!("test split ({} rows)", self.rows[2])),
            None => (&self.dev, format!("dev split ({} rows; it was chosen by)", self.rows[1])),
        };
        let mut put = |figure: &str, value: f32, unit: &str| {
            card.measured.push(Measured {
                figure: figure.to_owned(),
                value: (f64::from(value) * 10_000.0).round() / 10_000.0,
                unit: unit.to_owned(),
                on: on.clone(),
                command: command.to_owned(),
                unknown: toml::Table::new(),
            });
        };
        for (figure, value) in figures(report) {
            put(&format!("{}.{figure}", settings.task), value, "ratio");
        }
        put(&format!("{}.ngrams_alone.accuracy", settings.task), self.ngrams_alone.accuracy, "ratio");
        put(&format!("{}.layer_alone.accuracy", settings.task), self.layer_alone.accuracy, "ratio");
        put("training_time", self.took.as_secs_f32(), "s");
        card
    }
}

/// Figures of a report by name.
pub(super) fn figures(report: &Report) -> Vec<(&'static str, f32)> {
    let mut figures =
        vec![("accuracy", report.accuracy), ("macro_f1", report.macro_f1), ("calibration_error", report.calibration_error)];
    let more = [
        ("out_of_scope_recall", report.out_of_scope_recall),
        ("false_rejection", report.false_rejection),
        ("accuracy_with_rejection", report.accuracy_with_rejection),
    ];
    figures.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    figures
}
