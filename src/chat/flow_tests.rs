//! Mistakes in files of flows, and the after-sales rules at the edges of their terms.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use super::*;
use crate::conversation::Language;

const FLOW: &str = r#"id = "demo"
version = 1
title.zh = "演示"
title.en = "Demonstration"
intents = ["order_status"]

[trigger.zh]
examples = ["演示一下"]
patterns = ["演示"]

[[slot]]
name = "order_no"
type = "order_no"
ask.zh = "订单号？"
ask.en = "Which order?"

[[step]]
ask = "order_no"
[[step]]
call = "order_lookup"
[[step]]
decide = "stand"
then = "done"

[[table]]
id = "stand"
[[table.row]]
when = { status = "shipped", last_scan_hours = "> 48" }
say = "stuck"
then = "again order_no"
[[table.row]]
say = "fine"

[texts.stuck]
zh = "{order_no}没有动。"
en = "{order_no} has not moved."
[texts.fine]
zh = "正常。"
en = "All is well."
"#;

fn shipped() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines"))
}

/// What the check says of a flow file `demo.toml` with this text.
fn problems_of(text: &str) -> Vec<Problem> {
    let dir = tempfile::tempdir().unwrap();
    let flows = dir.path().join("chat/flows");
    std::fs::create_dir_all(&flows).unwrap();
    for file in ["chat.toml", "chat/webhooks.toml"] {
        std::fs::copy(shipped().join(file), dir.path().join(file)).unwrap();
    }
    std::fs::write(flows.join("demo.toml"), text).unwrap();
    let intents = ["order_status", "refund_status"].map(str::to_owned);
    match FlowBook::load(dir.path(), &intents) {
        Ok(_) => Vec::new(),
        Err(ChatError::Invalid(problems)) => problems,
        Err(error) => panic!("{error}"),
    }
}

/// The line of the flow above, from 1, that holds a text.
fn line(part: &str) -> usize {
    FLOW.lines().position(|line| line.contains(part)).unwrap() + 1
}

#[test]
fn typical_mistakes_are_named_with_their_line_and_the_nearest_name() {
    assert_eq!(problems_of(FLOW), []);
    for (right, wrong, said, at) in [
        (
            "ask = \"order_no\"",
            "ask = \"order_on\"",
            "there is no slot \"order_on\"; did you mean \"order_no\"?",
            line("ask = \"order_no\""),
        ),
        ("\"order_lookup\"", "\"order_lokup\"", "did you mean \"order_lookup\"?", line("order_lookup")),
        ("decide = \"stand\"", "decide = \"stands\"", "there is no table \"stands\"; did you mean \"stand\"?", line("decide")),
        ("say = \"stuck\"", "say = \"stuk\"", "there is no text \"stuk\"; did you mean \"stuck\"?", line("say = \"stuck\"")),
        ("type = \"order_no\"", "type = \"order_nr\"", "did you mean \"order_no\"?", line("type =")),
        ("patterns = [", "paterns = [", "there is no field \"paterns\"; did you mean \"patterns\"?", line("patterns")),
        ("{ status =", "{ statsu =", "there is no value \"statsu\"; did you mean \"status\"?", line("when =")),
        ("\"> 48\"", "\"> many\"", "compares with no number", line("when =")),
        ("\"again order_no\"", "\"again order\"", "there is no slot \"order\"; did you mean \"order_no\"?", line("again")),
        (
            "then = \"done\"",
            "then = \"finish\"",
            "write \"go on\", \"done\", \"again SLOT\" or \"handoff REASON\"",
            line("then = \"done\""),
        ),
        ("then = \"done\"", "then = \"handoff anger\"", "handoff needs a reason, one of asked", line("then = \"done\"")),
        (
            "zh = \"{order_no}没有动。\"",
            "zh = \"{order_nr}没有动。\"",
            "there is no value \"order_nr\"; did you mean \"order_no\"?",
            line("没有动"),
        ),
        ("en = \"All is well.\"\n", "", "text \"fine\" is missing in zh or en", line("[texts.fine]")),
        ("patterns = [\"演示\"]", "patterns = [\"演示(\"]", "a pattern cannot be used: ", line("patterns")),
        ("id = \"demo\"", "id = \"demos\"", "must be the name of the file, \"demo\"", 1),
        (
            "[\"order_status\"]",
            "[\"order_state\"]",
            "there is no intent \"order_state\"; did you mean \"order_status\"?",
            line("intents"),
        ),
        (
            "ask.en = \"Which order?\"\n",
            "ask.en = \"\"\n",
            "asks in one language only; write ask.zh and ask.en",
            line("name = \"order_no\""),
        ),
        ("[[table.row]]\nsay = \"fine\"", "", "needs a last row without `when`", line("id = \"stand\"")),
        ("version = 1", "version = one", "", 2),
    ] {
        let text = FLOW.replacen(right, wrong, 1);
        assert_ne!(text, FLOW, "{right} is not in the flow");
        let problems = problems_of(&text);
        let found = problems.iter().find(|p| p.message.contains(said));
        let found = found.unwrap_or_else(|| panic!("{wrong}: {said} is not said, but {problems:?}"));
        assert_eq!(found.line, at, "{wrong}: {found}");
        assert!(found.to_string().contains("demo.toml:"), "{found}");
    }
}

#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    let text = FLOW
        .replacen("ask = \"order_no\"", "ask = \"order_on\"", 1)
        .replacen("\"order_lookup\"", "\"order_lokup\"", 1)
        .replacen("say = \"fine\"", "say = \"fin\"", 1);
    let said: Vec<String> = problems_of(&text).iter().map(|p| p.message.clone()).collect();
    for name in ["order_on", "order_lokup", "fin"] {
        assert!(said.iter().any(|m| m.contains(&format!("\"{name}\""))), "{name}: {said:?}");
    }
}

/// The decision about a return or exchange on a day, for an order that was delivered on another.
fn decision(market: Language, today: &str, words: &[&str], order: &[(&str, &str)]) -> String {
    let dialogue = Dialogue::new(FlowBook::load(shipped(), &[]).unwrap_or_else(|error| panic!("{error}")));
    let mut state = State::new(market, today.parse::<NaiveDate>().unwrap());
    let mut said = Vec::new();
    for text in words {
        let mut heard = Heard { text: (*text).to_owned(), query: dialogue.query(&state, text), ..Heard::default() };
        let mut results = CallResults::new();
        let turn = loop {
            match dialogue.turn(&state, &heard, &results) {
                Outcome::Turn(turn) => break *turn,
                Outcome::Searches => heard.passages = Some(Vec::new()),
                Outcome::Needs(request) => {
                    let webhook = dialogue.book().webhook(&request.webhook).unwrap();
                    let plain = |v: &toml::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
                    let mut values: BTreeMap<String, String> =
                        webhook.sample.iter().map(|(k, v)| (k.clone(), plain(v))).collect();
                    values.extend(order.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
                    results.insert(request.key, CallResult::Gave(values));
                }
            }
        };
        said.extend(turn.acts.iter().filter_map(|act| match act {
            Act::Say(name) => Some(name.clone()),
            Act::HandOver(reason) => Some(format!("handoff {}", reason.name())),
            _ => None,
        }));
        state = turn.state;
    }
    said.first().cloned().unwrap_or_default()
}

const RETURN_ZH: &[&str] = &["我要退货 DD20260227", "太大了", "没拆"];
const RETURN_EN: &[&str] = &["I want to return a coat AB20260227", "too big", "unopened"];
const FAULTY_ZH: &[&str] = &["我要退货 DD20260227", "坏了"];

#[test]
fn terms_of_returns_end_on_their_last_day_over_months_leap_days_and_years() {
    use Language::{En, Zh};
    for (market, words, delivered, today, expected) in [
        // 7 days in China: the seventh day still counts, the eighth does not.
        (Zh, RETURN_ZH, "2026-03-10", "2026-03-10", "return-own-cost"),
        (Zh, RETURN_ZH, "2026-03-03", "2026-03-10", "return-own-cost"),
        (Zh, RETURN_ZH, "2026-03-02", "2026-03-10", "return-too-late"),
        // Over the end of February, in a leap year and in another.
        (Zh, RETURN_ZH, "2028-02-23", "2028-03-01", "return-own-cost"),
        (Zh, RETURN_ZH, "2026-02-22", "2026-03-01", "return-own-cost"),
        (Zh, RETURN_ZH, "2028-02-22", "2028-03-01", "return-too-late"),
        // Over the end of a year.
        (Zh, RETURN_ZH, "2025-12-28", "2026-01-04", "return-own-cost"),
        (Zh, RETURN_ZH, "2025-12-27", "2026-01-04", "return-too-late"),
        // 30 days elsewhere.
        (En, RETURN_EN, "2026-02-08", "2026-03-10", "return-own-cost"),
        (En, RETURN_EN, "2026-02-07", "2026-03-10", "return-too-late"),
        // Faults: 7 days to return, 15 to exchange, then the warranty.
        (Zh, FAULTY_ZH, "2026-03-03", "2026-03-10", "return-free"),
        (Zh, FAULTY_ZH, "2026-03-02", "2026-03-10", "exchange-only"),
        (Zh, FAULTY_ZH, "2026-02-23", "2026-03-10", "exchange-only"),
        (Zh, FAULTY_ZH, "2026-02-22", "2026-03-10", "warranty"),
        // A parcel that is delivered "tomorrow", in another zone, is not too late.
        (Zh, RETURN_ZH, "2026-03-11", "2026-03-10", "return-own-cost"),
    ] {
        let order = [("status", "delivered"), ("delivered_on", delivered), ("category", "clothing")];
        assert_eq!(decision(market, today, words, &order), expected, "delivered {delivered}, today {today}");
    }
}

#[test]
fn terms_of_refunds_end_on_their_last_day_and_an_overdue_one_goes_to_a_person() {
    for (state, column, since, expected) in [
        ("received", "refund_received_on", "2026-03-08", "refund-checking"),
        ("received", "refund_received_on", "2026-03-07", "refund-urgent"),
        ("approved", "refund_approved_on", "2026-03-01", "refund-on-its-way"),
        ("approved", "refund_approved_on", "2026-02-28", "refund-trace"),
        ("approved", "refund_approved_on", "2026-02-24", "refund-trace"),
        ("approved", "refund_approved_on", "2026-02-23", "refund-overdue"),
    ] {
        let order = [("status", "delivered"), ("refund_state", state), (column, since)];
        let words = ["我的退款怎么还没到 DD20260227"];
        assert_eq!(decision(Language::Zh, "2026-03-10", &words, &order), expected, "{state} since {since}");
    }
    // A state that no row knows is left to a person, as is a table whose day is missing.
    let odd = [("status", "delivered"), ("refund_state", "frozen")];
    assert_eq!(decision(Language::Zh, "2026-03-10", &["我的退款怎么还没到 DD20260227"], &odd), "no-rule");
}
