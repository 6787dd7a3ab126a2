//! Tests of the room; metrics against well-known libraries, tests against planted differences, files against their refusals.

mod data;
mod flow;
mod power;
mod reference;
mod stories;
mod subset;

use std::collections::BTreeMap;

use super::example::{Example, Gold, Input};
use super::task::Task;
use crate::conversation::{Language, Role};

/// The product's folder.
fn home() -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A task of a stage with these metrics (`name` or `name/aggregation`), gate 0.01 on the first.
fn task(stage: &str, metrics: &[&str], cluster: &str) -> Task {
    let mut text = format!(
        "id = \"x/y\"\nversion = 1\ntitle = \"t\"\nstage = \"{stage}\"\nlanguages = [\"zh\"]\nprofiles = [\"fast\"]\ncluster = \"{cluster}\"\nslices = [\"length\"]\n[dataset]\nadapter = \"records\"\npath = \"x.jsonl\"\n"
    );
    for (place, metric) in metrics.iter().enumerate() {
        let (name, aggregation) = metric.split_once('/').map_or((*metric, None), |(n, a)| (n, Some(a)));
        text.push_str(&format!("[[metric]]\nname = \"{name}\"\n"));
        if let Some(aggregation) = aggregation {
            text.push_str(&format!("aggregation = \"{aggregation}\"\n"));
        }
        if place == 0 {
            text.push_str("gate = 0.01\n");
        }
    }
    Task::parse("test.toml", "x/y", &text).unwrap()
}

/// An item with a text.
fn example(id: &str, text: &str, gold: Gold) -> Example {
    Example {
        id: id.into(),
        input: Input::Text(text.into()),
        gold,
        language: Language::of_text(text),
        role: Role::Customer,
        situation: id.into(),
        slices: BTreeMap::from([("length".into(), super::dataset::length_slice(text).into())]),
    }
}
