//! Amazon Connect Contact Lens: the rules function, version 2022-11-25.

use serde_json::{Map, Value, json};

use super::{Import, slug};

/// Imports rules: one rule or a list. A rule is `{Name, Function: {Version, RuleFunction}}` or the function itself, in which
/// `AND`, `OR` and leaves (`{Operands, Operator, Negate, Filters, ComparisonValue}`) may be nested.
pub fn contact_lens(source: &Value) -> Import {
    let mut import = Import::default();
    let rules: Vec<(String, &Value)> = match source.as_array() {
        Some(list) => list.iter().enumerate().map(|(i, v)| (format!("/{i}"), v)).collect(),
        None => vec![(String::new(), source)],
    };
    for (n, (at, rule)) in rules.into_iter().enumerate() {
        one(n, &at, rule, &mut import);
    }
    import
}

struct Building<'i> {
    import: &'i mut Import,
    conditions: Map<String, Value>,
    applies: Map<String, Value>,
}

fn one(n: usize, at: &str, source: &Value, import: &mut Import) {
    let name = source["Name"].as_str().or_else(|| source["name"].as_str());
    let mut id = slug(name.unwrap_or_default());
    if name.is_none() {
        id = format!("contact-lens-{}", n + 1);
    } else {
        import.exact(&format!("{at}/Name"), "id and name");
    }
    let (function, place) =
        ["Function", "RuleFunction"].iter().fold((source, at.to_owned()), |(f, place), key| match f.get(*key) {
            Some(inner) => (inner, format!("{place}/{key}")),
            None => (f, place),
        });
    for key in ["Actions", "EventSource", "TriggerEventSource", "PublishStatus"] {
        if source.get(key).is_some() {
            import.dropped(&format!("{at}/{key}"), "actions are no part of a rule: set up an alert channel or a webhook");
        }
    }
    let mut building = Building { import, conditions: Map::new(), applies: Map::new() };
    let when = node(&mut building, function, &place, true);
    let Building { conditions, applies, .. } = building;
    let Some(when) = when else {
        import.dropped(at, "no condition of the rule could be taken over");
        return;
    };
    let mut out = json!({ "id": id, "when": when, "conditions": conditions });
    if let Some(name) = name {
        out["name"] = json!(name);
    }
    if !applies.is_empty() {
        out["applies"] = Value::Object(applies);
    }
    import.keep(at, out);
}

/// The expression of a node; `None` if nothing of it has a counterpart.
fn node(b: &mut Building, source: &Value, at: &str, top: bool) -> Option<String> {
    for (key, sign) in [("AND", " && "), ("OR", " || ")] {
        // Both `{"AND": [...]}` and `{"Operator": "AND", "Operands": [...]}` are written.
        let nested = source.get(key).or_else(|| source.get("Operands").filter(|_| source["Operator"] == key));
        let Some(list) = nested.and_then(Value::as_array) else { continue };
        let all_top = top && key == "AND";
        let mut parts = Vec::new();
        for (i, inner) in list.iter().enumerate() {
            match node(b, inner, &format!("{at}/{key}/{i}"), all_top) {
                Some(part) if !part.is_empty() => parts.push(part),
                Some(_) => {}
                // Leaving out one of several ways would make the rule hit less, one of several demands more.
                None => b.import.about(&format!("{at}/{key}/{i}"), "left out: the rule is wider or narrower than the source"),
            }
        }
        let joined = parts.join(sign);
        return match parts.len() {
            0 => None,
            1 => Some(joined),
            _ => Some(format!("({joined})")),
        };
    }
    leaf(b, source, at, top)
}

fn leaf(b: &mut Building, source: &Value, at: &str, top: bool) -> Option<String> {
    let what = source["ComparisonValue"].as_str().or_else(|| source["Comparison"].as_str()).unwrap_or_default();
    let operands = &source["Operands"];
    let negate = source["Negate"].as_bool() == Some(true);
    let short = what.rsplit("$.").next().unwrap_or(what).trim_start_matches("ContactLens.").to_owned();
    if top && !negate {
        for (end, key) in [("Queue.QueueId", "queues"), ("Agent.AgentId", "agents")] {
            if short.ends_with(end) {
                b.import.exact(at, &format!("applies.{key}"));
                b.applies.insert(key.into(), json!(texts(operands)));
                return Some(String::new());
            }
        }
    }
    let mut condition = Map::new();
    filters(b, source, at, &mut condition);
    let value = number(operands);
    let compare = comparison(source["Operator"].as_str().unwrap_or_default());
    let ms = |scale: f64| json!({ compare: value.unwrap_or(0.0) * scale });
    let made: Option<(&str, Value)> = match () {
        () if short.ends_with("ExactMatch.Transcript") => {
            Some(("keyword", json!({ "any": texts(operands), "whole_word": true })))
        }
        () if short.ends_with("PatternMatch.Transcript") => pattern(operands).map(|p| ("pattern", json!({ "any": p }))),
        () if short.ends_with("SemanticMatch.Transcript") => {
            b.import.about(at, "another encoder: tune the score on reviewed hits");
            Some(("similar", json!({ "to": texts(operands) })))
        }
        () if short.ends_with("SemanticMatch.Phrase") => {
            b.import.about(at, "a question to a language model: not measured until a provider is set");
            Some(("ask", json!({ "question": texts(operands).join("; ") })))
        }
        () if short.ends_with("Interruptions.Instances") => {
            condition.insert("role".into(), json!("agent"));
            // "At most n" is "not n + 1", "less than n" is "not n".
            let n = value.unwrap_or(1.0).max(0.0) as i64 + i64::from(matches!(compare, "le" | "gt"));
            condition.insert("need".into(), json!(n.max(1)));
            Some(("interrupt", json!({})))
        }
        () if short.ends_with("NonTalkTime.TotalTimeSecs") => {
            Some(("measure", json!({ "metric": "nontalk_ms", "value": ms(1e3) })))
        }
        () if short.ends_with("NonTalkTime.LongestTimeSecs") => {
            Some(("measure", json!({ "metric": "nontalk_longest_ms", "value": ms(1e3) })))
        }
        () if short.ends_with("NonTalkTimePct") => Some(("measure", json!({ "metric": "nontalk_pct", "value": ms(1.0) }))),
        () if short.ends_with("CustomerHoldDurationSecs") => Some(("measure", json!({ "metric": "hold_ms", "value": ms(1e3) }))),
        () if short.ends_with("LongestHoldDurationSecs") => {
            Some(("measure", json!({ "metric": "hold_longest_ms", "value": ms(1e3) })))
        }
        () if short.ends_with("NumberOfHolds") => Some(("measure", json!({ "metric": "hold_count", "value": ms(1.0) }))),
        () if short.ends_with("CustomerHoldDurationPct") => Some(("measure", json!({ "metric": "hold_pct", "value": ms(1.0) }))),
        () if short.ends_with("TalkTime.TotalTimeSecs") => Some(("measure", json!({ "metric": "talk_ms", "value": ms(1e3) }))),
        () if short.ends_with("AgentInteractionDurationSecs") => {
            Some(("measure", json!({ "metric": "answered_call_ms", "value": ms(1e3) })))
        }
        () if short.ends_with("AfterContactWorkDurationSecs") => {
            Some(("meta", json!({ "key": "acw_ms", compare: value.unwrap_or(0.0) * 1e3 })))
        }
        // The loudest sentence is at most n if none is louder.
        () if short.ends_with("HighestLoudnessScore") => {
            let above = match compare {
                "le" | "gt" => "gt",
                _ => "ge",
            };
            Some(("energy", json!({ "db": { above: value.unwrap_or(0.0) } })))
        }
        () if short.contains("Sentiment.") => sentiment(b, at, &short, &mut condition, operands, compare, value),
        () if short.ends_with("Queue.QueueId") => Some(("meta", json!({ "key": "conversation.queue", "in": texts(operands) }))),
        () if short.ends_with("Agent.AgentId") => {
            Some(("meta", json!({ "key": "conversation.agent_id", "in": texts(operands) })))
        }
        () if short.contains("ContactAttribute.") || short.contains("SegmentAttributes.") => {
            let key = short.rsplit('.').next().unwrap_or_default();
            Some(("meta", json!({ "key": key, "in": texts(operands) })))
        }
        () if [
            "InitiationMethod",
            "DisconnectReason",
            "RoutingProfile",
            "HierarchyGroup",
            "PotentialDisconnectIssue",
            "AiAgent",
        ]
        .iter()
        .any(|k| short.contains(k)) =>
        {
            let key = short.rsplit('.').next().unwrap_or(&short);
            Some(("meta", json!({ "key": key, "in": texts(operands) })))
        }
        () => None,
    };
    let Some((operator, table)) = made else {
        b.import.dropped(at, &format!("comparison {what} has no counterpart"));
        return None;
    };
    // A meta or measure condition knows no window of its own.
    if !b.import.report.iter().any(|line| line.source == at) {
        b.import.exact(at, operator);
    }
    condition.insert(operator.into(), table);
    let id = format!("c{}", b.conditions.len() + 1);
    b.conditions.insert(id.clone(), Value::Object(condition));
    let at_most = matches!(operator, "interrupt" | "energy") && matches!(compare, "le" | "lt");
    Some(if negate != at_most { format!("!{id}") } else { id })
}

fn filters(b: &mut Building, source: &Value, at: &str, condition: &mut Map<String, Value>) {
    let Some(filters) = source.get("Filters").or_else(|| source.get("Filter")).and_then(Value::as_array) else { return };
    for (i, filter) in filters.iter().enumerate() {
        let place = format!("{at}/Filters/{i}");
        let what = filter["ComparisonValue"].as_str().or_else(|| filter["Type"].as_str()).unwrap_or_default();
        let values = texts(&filter["Operands"]);
        if what.ends_with("ParticipantRole") {
            match values.first().map(String::as_str) {
                Some("AGENT") => condition.insert("role".into(), json!("agent")),
                Some("CUSTOMER") => condition.insert("role".into(), json!("customer")),
                _ => None,
            };
            b.import.exact(&place, "role");
        } else if what.contains("ContactPeriod") {
            let ms = number(&filter["Operands"]).unwrap_or(0.0) * 1e3;
            let key = if what.contains("Last") || filter["Operator"] == "Last" { "last_ms" } else { "first_ms" };
            condition.insert("time".into(), json!({ key: ms as i64 }));
            b.import.exact(&place, &format!("time.{key}"));
        } else if what.contains("Language") {
            b.applies.insert("languages".into(), json!(values));
            b.import.exact(&place, "applies.languages");
        } else {
            b.import.dropped(&place, &format!("filter {what} has no counterpart"));
        }
    }
}

fn sentiment(
    b: &mut Building,
    at: &str,
    short: &str,
    condition: &mut Map<String, Value>,
    operands: &Value,
    compare: &str,
    value: Option<f64>,
) -> Option<(&'static str, Value)> {
    for (end, key) in [("Score.Beginning", "first_pct"), ("Score.End", "last_pct")] {
        if short.ends_with(end) {
            condition.insert("time".into(), json!({ key: 25 }));
        }
    }
    let valence = if short.ends_with("State") {
        b.import.about(at, "a state is read as a mean valence: at least 1, at most -1, or between");
        match texts(operands).first().map(String::as_str) {
            Some("POSITIVE") => json!({ "ge": 1 }),
            Some("NEGATIVE") => json!({ "le": -1 }),
            _ => json!({ "gt": -1, "lt": 1 }),
        }
    } else {
        json!({ compare: value? })
    };
    Some(("trend", json!({ "mode": "mean", "valence": valence, "min_sentences": 1 })))
}

/// `[{Type: PLAIN|LIST|NUMERICAL|PROXIMITY, …}]` as one pattern.
fn pattern(operands: &Value) -> Option<Vec<String>> {
    let mut items: Vec<String> = Vec::new();
    for part in operands.as_array()? {
        if let Some(text) = part.as_str() {
            items.push(text.to_owned());
            continue;
        }
        match part["Type"].as_str()? {
            "PLAIN" => items.push(part["Value"].as_str()?.to_owned()),
            "LIST" => items.push(format!("{{{}}}", texts(&part["Values"]).join(", "))),
            "NUMERICAL" => items.push(if part["Decimal"] == true { "[num]" } else { "[int]" }.to_owned()),
            "PROXIMITY" => {
                let distance = part["Distance"].as_i64()?;
                items.push(if part["IsWithin"] == false { format!("!~{distance}") } else { format!("<~{distance}>") });
            }
            _ => return None,
        }
    }
    (!items.is_empty()).then(|| vec![items.join(" ")])
}

fn texts(operands: &Value) -> Vec<String> {
    let one = |v: &Value| match v {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Object(map) => map.get("Value").or_else(|| map.get("Text")).and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    match operands {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

fn number(operands: &Value) -> Option<f64> {
    texts(operands).first()?.parse().ok()
}

fn comparison(operator: &str) -> &'static str {
    match operator {
        "NumberLessOrEqualTo" => "le",
        "NumberLessThan" => "lt",
        "NumberGreaterThan" => "gt",
        "NumberEquals" | "NumberEqualTo" => "eq",
        _ => "ge",
    }
}
