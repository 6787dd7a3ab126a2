//! Topics by the calendar: what surges now, and what past years say about the weeks ahead.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use super::learning::{Outcome, Use};

/// Days that are compared with the four times as many before.
const SURGE_DAYS: u64 = 7;
/// Least questions of a topic in those days.
const SURGE_LEAST: u32 = 10;
/// How many times the usual.
const SURGE_RATIO: f64 = 2.0;
/// Days ahead for which past years are asked.
const SEASON_DAYS: u64 = 28;
/// Days of a year.
const YEAR_DAYS: u64 = 365;
/// Past years that are asked.
const YEARS: u64 = 2;
/// How many times the mean of that year.
const SEASON_RATIO: f64 = 1.5;
/// Days of usage that seasons need: two years and the weeks ahead of the day before.
pub const SEASON_HISTORY_DAYS: u64 = YEARS * YEAR_DAYS;

/// A topic that is asked for more than usual.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Surge {
    /// Intent.
    pub topic: String,
    /// Shown articles in the last 7 days.
    pub recent: u32,
    /// What 7 days of the four weeks before brought on average.
    pub usual: f64,
    /// recent / usual, with 1 as the least usual.
    pub ratio: f64,
}

/// A topic that in past years was asked for more than usual in the four weeks that begin today.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Season {
    /// Intent.
    pub topic: String,
    /// Shown articles in those weeks of past years, on average.
    pub expected: f64,
    /// What four weeks of those years brought on average.
    pub usual: f64,
    /// expected / usual, with 1 as the least usual.
    pub ratio: f64,
    /// How many past years say so.
    pub years: usize,
}

fn shown(uses: &[Use]) -> impl Iterator<Item = &Use> {
    uses.iter().filter(|item| item.outcome == Outcome::Shown && !item.topic.is_empty())
}

/// Topics shown at least twice as often in the last days as in the weeks before.
pub(super) fn surging(uses: &[Use], today: NaiveDate) -> Vec<Surge> {
    let from = today - Days::new(SURGE_DAYS);
    let before = from - Days::new(4 * SURGE_DAYS);
    let mut topics: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for item in shown(uses).filter(|item| item.day > before) {
        let entry = topics.entry(&item.topic).or_default();
        if item.day > from { entry.0 += item.count } else { entry.1 += item.count }
    }
    let surge = |(topic, (recent, earlier)): (&str, (u32, u32))| {
        let usual = f64::from(earlier) / 4.0;
        Surge { topic: topic.to_owned(), recent, usual, ratio: f64::from(recent) / usual.max(1.0) }
    };
    let mut found: Vec<Surge> =
        topics.into_iter().map(surge).filter(|surge| surge.recent >= SURGE_LEAST && surge.ratio >= SURGE_RATIO).collect();
    found.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    found
}

/// Topics that in every past year with usage were shown at least half as often again in the weeks that begin today as in
/// the mean four weeks of that year. A year counts if there is usage in its first and in its last quarter.
pub(super) fn seasonal(uses: &[Use], today: NaiveDate) -> Vec<Season> {
    let mut topics: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for year in 1..=YEARS {
        let begin = today - Days::new(year * YEAR_DAYS);
        let (ahead, end) = (begin + Days::new(SEASON_DAYS), begin + Days::new(YEAR_DAYS));
        let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        let (mut first, mut last) = (false, false);
        for item in shown(uses).filter(|item| item.day >= begin && item.day < end) {
            let entry = counts.entry(&item.topic).or_default();
            entry.1 += item.count;
            if item.day < ahead {
                entry.0 += item.count;
            }
            first |= item.day < begin + Days::new(YEAR_DAYS / 4);
            last |= item.day >= end - Days::new(YEAR_DAYS / 4);
        }
        if first && last {
            let mean = |all: u32| f64::from(all) * SEASON_DAYS as f64 / YEAR_DAYS as f64;
            for (topic, (season, all)) in counts {
                topics.entry(topic).or_default().push((f64::from(season), mean(all)));
            }
        }
    }
    let season = |(topic, years): (&str, Vec<(f64, f64)>)| {
        let every = years.iter().all(|(season, usual)| *season >= SEASON_RATIO * usual.max(1.0));
        let mean = |of: fn(&(f64, f64)) -> f64| years.iter().map(of).sum::<f64>() / years.len().max(1) as f64;
        let (expected, usual) = (mean(|year| year.0), mean(|year| year.1));
        let found = Season { topic: topic.to_owned(), expected, usual, ratio: expected / usual.max(1.0), years: years.len() };
        (every && expected >= f64::from(SURGE_LEAST)).then_some(found)
    };
    let mut found: Vec<Season> = topics.into_iter().filter_map(season).collect();
    found.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(day: NaiveDate, topic: &str, count: u32) -> Use {
        let (document_id, agent) = ("doc_1".into(), "a".into());
        Use { day, document_id, topic: topic.into(), agent, outcome: Outcome::Shown, count }
    }

    #[test]
    fn a_topic_of_the_weeks_ahead_is_named_if_every_past_year_had_it() {
        let today = NaiveDate::from_ymd_opt(2026, 6, 1).unwrap();
        let before = |days: u64| today - Days::new(days);
        let mut uses = Vec::new();
        for week in 0..104 {
            // returns and roaming all year, roaming five times as often in June of both years, returns in June of one
            let day = before(7 * week + 1);
            let june = |days: u64| (days - 28..days).contains(&(7 * week + 1));
            uses.push(used(day, "roaming", if june(365) || june(730) { 50 } else { 10 }));
            uses.push(used(day, "return_goods", if june(365) { 50 } else { 10 }));
        }
        let found = seasonal(&uses, today);
        assert_eq!(found.iter().map(|season| season.topic.as_str()).collect::<Vec<_>>(), ["roaming"], "{found:?}");
        assert_eq!(found[0].years, 2);
        assert!(found[0].ratio > 2.0, "{found:?}");
        assert!(seasonal(&uses[..20], today).is_empty(), "a few weeks are no year");
        assert!(surging(&uses, today).is_empty());
    }
}
