//! Operators of Smart Conversation Analysis: each becomes one of ours, or is reported.

use serde_json::{Map, Value, json};

use super::sca::role_of;
use super::{Import, Taken};

/// An operator of ours: its name, its table, and the scope that it asks for.
pub(super) type Made = (&'static str, Value, Option<&'static str>);

/// Whether an operator is tested once per window: it cannot stand in one condition with those tested on sentences.
pub(super) fn per_window(made: &Made) -> bool {
    match made.0 {
        "measure" | "hangup" => true,
        "rate" => made.1["average"] == true,
        "energy" => made.1["mode"] == "span",
        _ => false,
    }
}

/// An operator: its name, its table, and the scope that it asks for.
pub(super) fn operator_of(operator: &mut Taken, import: &mut Import) -> Option<Made> {
    let kind = operator.text("type").or_else(|| operator.text("name")).unwrap_or_default().to_owned();
    operator.asked.extend(["operName", "name", "type"]);
    let place = operator.at.clone();
    let empty = Map::new();
    let param = operator.get("param").and_then(Value::as_object).unwrap_or(&empty);
    let mut p = Taken::new(param, &format!("{place}/param"));
    let made = match kind.as_str() {
        "HIT_ANY_KEYWORDS" | "INCLUDE_KEYWORDS" => keywords(&mut p, operator, import),
        "REGULAR_EXPRESSION" => regex(&mut p, import),
        "SIMILAR_MATCH" => similar(&mut p, import),
        "ADVANCED_REPEAT_DETECT" => Some(repeat(&mut p)),
        "INTERVAL_GREATER" => silence(&mut p),
        "SPEECH_SPEED_CHECK" => Some(rate(&mut p)),
        "GRAB_WORDS" => Some(interrupt(&mut p)),
        "ROLE_CHECK" => p.text("target_role").and_then(role_of).map(|role| ("speaker", json!({ "is": role }), None)),
        "DURATION" => duration(&mut p),
        "ASR_EMOTION" => energy(&mut p),
        "NER_MODEL" => entity(&mut p, import),
        "ABUSE_MODEL" => Some(("label", json!({ "any": ["abuse"] }), None)),
        "EMOTION_MODEL" | "CUSTOMER_CHECK_MODEL" => model(&mut p, import),
        _ => None,
    };
    match &made {
        Some((name, _, _)) if matches!(*name, "similar" | "entity") => {}
        Some((name, _, _)) => import.exact(&place, name),
        None => import.dropped(&place, &format!("operator {kind} has no counterpart, or lacks what it needs")),
    }
    p.rest(import);
    made
}

/// The length of the call, or, measured from the last sentence on, how long it stayed open.
fn duration(p: &mut Taken) -> Option<Made> {
    let value = json!({ compare(p): p.number("interval")? });
    if p.text("beginType") == Some("DIALOGUE") {
        return Some(("hangup", json!({ "gap_ms": value }), None));
    }
    Some(("measure", json!({ "metric": "call_ms", "value": value }), None))
}

/// Loudness in the source's ten steps.
fn energy(p: &mut Taken) -> Option<Made> {
    let level = p.whole("threshold").or_else(|| p.whole("interval")).or_else(|| p.whole("emotionValue"))?;
    let (mode, sign) = match p.whole("checkType").unwrap_or(3) {
        1 => ("jump", "ge"),
        2 => ("span", "ge"),
        _ => ("each", compare(p)),
    };
    Some(("energy", json!({ "mode": mode, "level": { sign: level } }), None))
}

fn entity(p: &mut Taken, import: &mut Import) -> Option<Made> {
    let code = p.text("nerType").or_else(|| p.text("type")).or_else(|| p.text("entityType"))?.to_owned();
    let kind = match code.to_ascii_lowercase().as_str() {
        "name" | "person" | "姓名" => "person",
        "phone" | "mobile" | "手机号" => "phone",
        "idcard" | "id_card" | "身份证" => "id_card",
        "address" | "location" | "地址" => "address",
        "time" | "时间" => "time",
        "date" | "日期" => "date",
        "money" | "amount" | "金额" => "amount",
        _ => return None,
    };
    import.about(&p.path("nerType"), "another model finds these entities");
    let mut table = json!({ "type": kind });
    if let Some(equal) = p.text("value") {
        table["equals"] = json!(equal);
    }
    Some(("entity", table, None))
}

fn compare(p: &mut Taken) -> &'static str {
    match p.text("compareOperator").unwrap_or("gt") {
        "ge" | ">=" => "ge",
        "lt" | "<" => "lt",
        "le" | "<=" => "le",
        "eq" | "=" | "==" => "eq",
        _ => "gt",
    }
}

fn keywords(p: &mut Taken, operator: &mut Taken, import: &mut Import) -> Option<Made> {
    let mut words = p.texts("operKeyWords");
    words.extend(operator.texts("operKeyWords"));
    words.dedup();
    if words.is_empty() {
        return None;
    }
    let mut table = Map::new();
    match p.whole("keywordMatchSize").unwrap_or(1) {
        -1 => table.insert("all".into(), json!(words)),
        0 => table.insert("none".into(), json!(words)),
        1 => table.insert("any".into(), json!(words)),
        n => {
            table.insert("at_least".into(), json!(n));
            table.insert("of".into(), json!(words))
        }
    };
    table.insert("whole_word".into(), json!(false));
    if p.flag("case_sensitive") == Some(true) {
        table.insert("case_sensitive".into(), json!(true));
    }
    if let Some(times) = p.whole("threshold").filter(|n| *n > 1) {
        table.insert("min_hits".into(), json!(times));
    }
    if p.flag("keywordExtension") == Some(true)
        && let Some(synonyms) = p.get("synonyms").filter(|s| s.is_object())
    {
        import.exact(&p.path("synonyms"), "synonyms");
        table.insert("synonyms".into(), synonyms.clone());
    }
    let across = p.flag("contextChatMatch") == Some(true);
    let clause = p.flag("in_sentence") == Some(true);
    let scope = if across { Some("window") } else { clause.then_some("clause") };
    Some(("keyword", Value::Object(table), scope))
}

fn regex(p: &mut Taken, import: &mut Import) -> Option<Made> {
    let pattern = p.text("regex").or_else(|| p.text("pattern"))?.to_owned();
    let mut table = json!({ "match": pattern, "case_sensitive": true });
    import.about(&p.path("regex"), "case sensitive, as the source seems to be; look-around is not supported");
    if let Some(except) = p.text("notRegex") {
        table["except"] = json!(except);
    }
    let clause = p.flag("in_sentence") == Some(true);
    Some(("regex", table, clause.then_some("clause")))
}

fn similar(p: &mut Taken, import: &mut Import) -> Option<Made> {
    let samples = p.texts("similarlySentences");
    if samples.is_empty() {
        return None;
    }
    let score = p.whole("score").or_else(|| p.whole("similarity_threshold")).unwrap_or(80);
    import.about(&p.path("score"), "another encoder: scores do not carry over; run `zhiyin quality tune` on reviewed hits");
    Some(("similar", json!({ "to": samples, "score": score }), None))
}

fn repeat(p: &mut Taken) -> Made {
    let mut table = Map::new();
    for (from, to) in [("from", "within"), ("hit_time", "times"), ("threshold", "min_chars")] {
        if let Some(n) = p.whole(from) {
            table.insert(to.into(), json!(n.abs()));
        }
    }
    if let Some(similarity) = p.number("similarity_threshold") {
        table.insert("similarity".into(), json!(if similarity > 1.0 { similarity / 100.0 } else { similarity }));
    }
    let except = p.texts("excludes");
    if !except.is_empty() {
        table.insert("except".into(), json!(except));
    }
    if let Some(role) = p.text("target_role").and_then(role_of) {
        table.insert("of".into(), json!(role));
    }
    ("repeat", Value::Object(table), None)
}

fn silence(p: &mut Taken) -> Option<Made> {
    let interval = p.number("interval")?;
    let mut gap = Map::new();
    gap.insert(compare(p).into(), json!(interval));
    if let Some(end) = p.number("intervalEnd") {
        gap.insert("lt".into(), json!(end));
    }
    if p.flag("near_dialogue") == Some(false) {
        return Some(("measure", json!({ "metric": "response_first_ms", "value": gap }), None));
    }
    let mut table = Map::new();
    table.insert("gap_ms".into(), Value::Object(gap));
    match p.whole("target") {
        Some(0) => table.insert("how".into(), json!("own")),
        Some(back) if back > 0 => {
            table.insert("back".into(), json!(back));
            let how = if p.flag("from_end") == Some(true) { "turn_end" } else { "turn" };
            table.insert("how".into(), json!(how))
        }
        _ => None,
    };
    if p.flag("different_role") == Some(true) {
        table.insert("between".into(), json!("different"));
    }
    if p.flag("checkFirstSentence") == Some(true) {
        table.insert("include_start".into(), json!(true));
    }
    Some(("silence", Value::Object(table), None))
}

fn rate(p: &mut Taken) -> Made {
    let mut table = json!({ "per_min": { "gt": p.number("velocityInMint").or_else(|| p.number("velocity")).unwrap_or(0.0) } });
    if let Some(least) = p.whole("minWordSize") {
        table["min_units"] = json!(least);
    }
    if p.flag("average") == Some(true) {
        table["average"] = json!(true);
    }
    ("rate", table, None)
}

fn interrupt(p: &mut Taken) -> Made {
    let mut table =
        json!({ "overlap_ms": { "ge": p.number("interval").unwrap_or(0.0) }, "how": "to_previous_end", "backchannels": [] });
    if let Some(more_than) = p.whole("threshold") {
        table["min_units"] = json!(more_than + 1);
    }
    if let Some(after) = p.whole("delayTime") {
        table["after_ms"] = json!(after);
    }
    ("interrupt", table, None)
}

fn model(p: &mut Taken, import: &mut Import) -> Option<Made> {
    let code = p.text("checkType").or_else(|| p.text("model")).or_else(|| p.text("modelCode"))?.to_owned();
    let label = match code.as_str() {
        "ruma01" => "abuse",
        "goawei01" => "high_risk",
        "tousu01" => "complaint_threat",
        "zhaozhuguan01" => "asks_supervisor",
        "zhiyitaidu01" => "doubts_attitude",
        "internal_complain01" => "internal_complaint",
        "public_opinion" => "media_threat",
        "jifeng01" => "sarcasm",
        _ => return None,
    };
    if matches!(label, "high_risk" | "doubts_attitude" | "internal_complaint") {
        import.about(&p.path("checkType"), "this label is trained by the tenant only; without it the rule is not measurable");
    }
    Some(("label", json!({ "any": [label] }), None))
}
