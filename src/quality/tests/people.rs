//! Reviews, agreement and what changed rules would change.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::quality::agreement::{kappa, mean_kappa, recall, wilson};
use crate::quality::diff::{Case, DiffBuilder};
use crate::quality::review::{Candidate, Choice, Judged, Judgement, TrustRule, choose, drifted, revise, trusted};

#[test]
fn intervals_and_kappa_are_those_of_the_definition() {
    let share = wilson(46, 50).unwrap();
    assert_eq!((share.value, (share.low * 1e3).round(), (share.high * 1e3).round()), (0.92, 812.0, 968.0));
    assert_eq!(wilson(0, 0), None);
    let mut pairs = vec![(true, true); 22];
    pairs.extend(vec![(false, false); 10]);
    pairs.extend(vec![(true, false); 5]);
    pairs.extend(vec![(false, true); 3]);
    assert_eq!((kappa(&pairs).unwrap() * 1e3).round(), 562.0);
    assert_eq!(kappa(&[(true, true); 4]), None, "no chance to disagree: not 1");
    let answers = |list: &[(&str, bool)]| list.iter().map(|(i, a)| ((*i).to_owned(), *a)).collect::<BTreeMap<_, _>>();
    let three =
        [answers(&[("a", true), ("b", false)]), answers(&[("a", true), ("b", false)]), answers(&[("a", false), ("b", true)])];
    assert!((mean_kappa(&three).unwrap() - (1.0 - 1.0 - 1.0) / 3.0).abs() < 1e-9);
}

#[test]
fn recall_needs_a_sample_of_misses() {
    let precision = wilson(90, 100).unwrap();
    assert_eq!(recall(1_000, precision, 9_000, 0, 0), None);
    let share = recall(1_000, precision, 9_000, 2, 200).unwrap();
    assert!((share.value - 900.0 / (900.0 + 90.0)).abs() < 1e-9);
    assert!(share.low < share.value && share.value < share.high);
}

#[test]
fn trust_is_earned_at_the_target_and_lost_below_it() {
    let hits: Vec<String> = (0..400).map(|i| format!("hit_{i}")).collect();
    let history = |truth: &dyn Fn(usize) -> bool, n: usize| {
        hits[..n].iter().enumerate().map(|(i, h)| (h.as_str(), truth(i))).collect::<Vec<_>>()
    };
    let rule = TrustRule::default();
    assert!(!trusted(history(&|_| true, 34), rule), "too few reviews");
    assert!(trusted(history(&|_| true, 50), rule));
    assert!(!trusted(history(&|i| i % 8 != 0, 200), rule), "0.875 does not earn it");
    let spoiled = history(&|i| i < 60 || i % 2 == 0, 120);
    assert!(trusted(spoiled[..60].to_vec(), rule) && !trusted(spoiled, rule), "lost again");
    let mut overturned = history(&|_| true, 50);
    overturned.extend(history(&|_| false, 20));
    assert!(!trusted(overturned, rule), "final judgements count, not first ones");
}

#[test]
fn a_rate_that_leaves_its_interval_on_two_days_is_drift() {
    let mut days = vec![(10, 100); 28];
    days.extend([(11, 100), (9, 100)]);
    assert!(!drifted(&days));
    days.extend([(40, 100), (41, 100)]);
    assert!(drifted(&days));
    days.push((10, 100));
    assert!(!drifted(&days), "only one of the last two days");
}

fn pack() -> (RuleSet, Scheme) {
    let text = r#"
        [[rule]]
        id = "rude"
        when = "a"
        level = "serious"
        score = { effect = "deduct", points = 10, per = "each" }
        conditions.a = { role = "agent", keyword.any = ["管不了"] }
        [[rule]]
        id = "thanks"
        kind = "merit"
        when = "a"
        score = { effect = "add", points = 5 }
        conditions.a = { role = "agent", keyword.any = ["谢谢"] }
    "#;
    let scheme = "[scheme]\nid=\"s\"\n[[scheme.dimensions]]\nid=\"d\"\nitems=[{rule=\"rude\"},{rule=\"thanks\"}]";
    (RuleSet::compile(RuleFile::parse_toml("r", text).unwrap()), Scheme::parse_toml("s", scheme).unwrap())
}

#[test]
fn a_hit_judged_false_leaves_the_count_and_a_missed_one_joins_it() {
    let (set, scheme) = pack();
    let call = dialogue("agent 管不了\nagent 好的\nagent 管不了");
    let machine = score("s1", &call, &set, &scheme, &Models::default()).unwrap();
    assert_eq!(machine.total, Some(80.0));
    let first = machine.results[0].result.hits[0].hit_id.clone();
    let second = machine.results[0].result.hits[1].hit_id.clone();
    let judge =
        |rule: &str, hit: &str, verdict: Judged| Judgement { rule_id: rule.into(), hit_id: hit.into(), turn: Some(1), verdict };
    let manual = ManualAnswers::new();
    let one = revise(&machine, 2, &set, &scheme, &[judge("rude", &first, Judged::FalseHit)], &manual);
    assert_eq!((one.total, one.revision, one.results[0].result.hits.len()), (Some(90.0), 2, 1));
    let none = [judge("rude", &first, Judged::FalseHit), judge("rude", &second, Judged::FalseHit)];
    let none = revise(&machine, 3, &set, &scheme, &none, &manual);
    assert_eq!((none.total, none.results[0].result.state), (Some(100.0), RuleState::Miss));
    let missed = revise(&machine, 4, &set, &scheme, &[judge("thanks", "", Judged::Missed)], &manual);
    assert_eq!((missed.total, missed.results[1].result.hits[0].turn), (Some(85.0), Some(1)));
    let out = revise(&machine, 5, &set, &scheme, &[judge("rude", "", Judged::NotApplicable)], &manual);
    assert_eq!((out.total, out.results[0].result.state), (Some(100.0), RuleState::NotApplicable));
}

#[test]
fn a_rule_that_only_raises_alerts_stays_out_of_reviewed_scores() {
    let text = "[[rule]]\nid=\"rude\"\nwhen=\"a\"\nscore={effect=\"deduct\",points=10}\nlive={clock=\"live\"}\n\
                conditions.a={role=\"agent\",keyword.any=[\"管不了\"]}\n\
                [[rule]]\nid=\"thanks\"\nkind=\"merit\"\nwhen=\"a\"\nscore={effect=\"add\",points=5}\n\
                conditions.a={role=\"agent\",keyword.any=[\"谢谢\"]}";
    let set = RuleSet::compile(RuleFile::parse_toml("r", text).unwrap());
    let (_, scheme) = pack();
    let machine = score("s1", &dialogue("agent 管不了"), &set, &scheme, &Models::default()).unwrap();
    let reviewed = revise(&machine, 2, &set, &scheme, &[], &ManualAnswers::new());
    assert_eq!((machine.total, reviewed.total), (Some(100.0), Some(100.0)));
    assert_eq!(reviewed.results[0].points, 0.0);
}

#[test]
fn the_riskiest_come_first_and_chance_is_repeatable() {
    let candidates: Vec<Candidate> = (0..100)
        .map(|i| Candidate { score_id: format!("scr_{i}"), fatal: usize::from(i == 42), hits: [i % 3, 0, 0], share: Some(0.9) })
        .collect();
    assert_eq!(choose(candidates.clone(), Choice::Risk, 3)[0], "scr_42");
    let first = choose(candidates.clone(), Choice::Random { seed: "2026-W12" }, 10);
    assert_eq!(first, choose(candidates.clone(), Choice::Random { seed: "2026-W12" }, 10));
    assert_ne!(first, choose(candidates, Choice::Random { seed: "2026-W13" }, 10));
}

#[test]
fn a_diff_shows_hits_shifts_and_what_people_had_said() {
    let (old_set, scheme) = pack();
    let text = "[[rule]]\nid=\"rude\"\nwhen=\"a\"\nscore={effect=\"deduct\",points=10,per=\"each\"}\n\
                conditions.a={role=\"agent\",keyword.any=[\"自己看\"]}\n\
                [[rule]]\nid=\"thanks\"\nkind=\"merit\"\nwhen=\"a\"\nscore={effect=\"add\",points=5}\nconditions.a={role=\"agent\",keyword.any=[\"谢谢\"]}";
    let new_set = RuleSet::compile(RuleFile::parse_toml("r", text).unwrap());
    let rules = vec!["rude".to_owned(), "thanks".to_owned()];
    let run = |words: &str, id: &str, agent: &str| {
        let call = Conversation { id: id.into(), agent_id: Some(agent.into()), ..dialogue(words) };
        let card = |set: &RuleSet| score("s", &call, set, &scheme, &Models::default()).unwrap();
        (Case::of(&rules, &card(&old_set), &card(&new_set)), card(&old_set))
    };
    let (lost, before) = run("agent 管不了\nagent 自己看", "c1", "a1");
    let (same, _) = run("agent 谢谢", "c2", "a1");
    let (gained, _) = run("agent 自己看", "c3", "a2");
    let judged = HashMap::from([(before.results[0].result.hits[0].hit_id.clone(), true)]);
    let mut builder = DiffBuilder::new(&rules, judged);
    for case in [&lost, &same, &gained] {
        let kept: Case = serde_json::from_str(&serde_json::to_string(case).unwrap()).unwrap();
        builder.add(&kept);
    }
    let diff = builder.finish();
    assert_eq!((diff.conversations, diff.by_rule.len()), (3, 1));
    let rude = &diff.by_rule[0];
    assert_eq!((rude.gained, rude.lost, rude.examples.lost[0].turn), (2, 1, Some(0)));
    assert_eq!((rude.rate_old, rude.rate_new), (Some(1.0 / 3.0), Some(2.0 / 3.0)));
    assert_eq!(diff.by_agent[0].id, "a2");
    assert_eq!((diff.by_agent[0].mean_diff, diff.largest_shifts[0].call_id.as_str()), (-10.0, "c3"));
    assert_eq!(diff.verdicts.true_lost.len(), 1);
}
