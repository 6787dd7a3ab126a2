use std::sync::Arc;

use super::*;
use crate::conversation::Role;
use crate::quality::{Models, RuleFile, RuleSet, RuleState, Verdict};

fn live(rule: &str, head: &Conversation) -> LiveEvaluator {
    let rules = RuleFile::parse_toml("r.toml", &format!("[[rule]]\nid = \"r\"\n{rule}")).unwrap();
    LiveEvaluator::new(Arc::new(RuleSet::compile(rules)), head, Models::default())
}

fn turn(role: Role, text: &str, start: i64, end: i64) -> Turn {
    Turn { role, text: text.into(), start_ms: Some(start), end_ms: Some(end), ..Turn::default() }
}

const SILENCE: &str = "when = \"a\"\nconditions.a.silence.gap_ms = { gt = 15000 }";

fn with_hold(hold: [i64; 2]) -> Conversation {
    Conversation { hold: Some(vec![hold]), ..Conversation::default() }
}

#[test]
fn a_silence_on_hold_is_none_while_it_lasts_and_at_the_end() {
    let mut live = live(SILENCE, &Conversation::default());
    live.final_turn("1", turn(Role::Agent, "请稍等", 0, 1_000), true);
    assert_eq!(live.set_head(&with_hold([2_000, i64::MAX])), []);
    assert_eq!(live.advance_clock(40_000), [], "one second of silence, the rest is hold");
    assert_eq!(live.set_head(&with_hold([2_000, 40_000])), []);
    live.final_turn("2", turn(Role::Agent, "久等了", 41_000, 42_000), true);
    live.advance_clock(42_000);
    let (results, changes) = live.end(Some(43_000), None);
    assert_eq!(results[0].state, RuleState::Miss);
    assert!(changes.iter().all(|c| c.verdict.is_none()), "{changes:?}");
}

#[test]
fn a_silence_that_turns_out_to_be_hold_is_taken_back_at_once() {
    let mut live = live(SILENCE, &Conversation::default());
    live.final_turn("1", turn(Role::Agent, "请稍等", 0, 1_000), true);
    let fired = live.advance_clock(20_000).remove(0);
    assert!(fired.alert && fired.state == RuleState::Hit, "{fired:?}");
    let back = live.set_head(&with_hold([2_000, 20_000])).remove(0);
    assert_eq!(back.verdict, Some(Verdict::Retracted));
    let again = live.advance_clock(40_000).remove(0);
    assert!(again.alert && again.hits.len() == 1, "20 s behind the hold: {again:?}");
}

#[test]
fn a_hold_that_goes_on_is_no_longer_than_the_call_so_far() {
    let rule = "when = \"a\"\nlive.policy = \"eager\"\nconditions.a.measure = { metric = \"hold_ms\", value = { gt = 60000 } }";
    let mut live = live(rule, &Conversation::default());
    live.final_turn("1", turn(Role::Agent, "请稍等", 0, 1_000), true);
    live.set_head(&with_hold([2_000, i64::MAX]));
    assert_eq!(live.advance_clock(30_000), []);
    let fired = live.advance_clock(70_000).remove(0);
    assert_eq!(fired.state, RuleState::Hit, "{fired:?}");
}

#[test]
fn a_queue_that_comes_later_makes_its_rules_apply() {
    let rule = "when = \"a\"\napplies.queues = [\"loan\"]\nconditions.a.keyword.any = [\"管不了\"]";
    let mut live = live(rule, &Conversation::default());
    let change = live.final_turn("1", turn(Role::Agent, "管不了", 0, 1_000), true).remove(0);
    assert_eq!(change.state, RuleState::NotApplicable);
    let change = live.set_head(&Conversation { queue: Some("loan".into()), ..Conversation::default() }).remove(0);
    assert_eq!((change.state, change.alert, change.hits.len()), (RuleState::Hit, true, 1));
}

#[test]
fn a_role_that_was_known_wrongly_takes_its_hit_back_and_a_right_one_brings_it() {
    let rule = "when = \"a\"\nconditions.a = { role = \"agent\", keyword.any = [\"管不了\"] }";
    let mut live = live(rule, &Conversation::default());
    let say = |role| ("1".to_owned(), turn(role, "管不了", 0, 1_000));
    assert_eq!(live.final_turn("1", say(Role::Unknown).1, true), []);
    assert!(live.replace_turns(vec![say(Role::Agent)])[0].alert);
    let back = live.replace_turns(vec![say(Role::Customer)]).remove(0);
    assert_eq!(back.verdict, Some(Verdict::Retracted));
    assert!(live.replace_turns(vec![say(Role::Agent)])[0].alert, "it is the agent after all");
    assert_eq!(live.end(Some(2_000), None).0[0].state, RuleState::Hit);
}
