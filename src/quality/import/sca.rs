//! Alibaba Cloud Smart Conversation Analysis: the rule JSON of `UploadRule`.

use serde_json::{Map, Value, json};

use super::sca_operators::{Made, operator_of, per_window};
use super::{Import, Taken, slug};

/// Imports rules: one rule object, a list of them, or `{"rules": […]}`. `conditions` may stand beside the rule's own fields
/// or beside a `rule` (`ruleInfo`) object that holds them.
pub fn sca(source: &Value) -> Import {
    let mut import = Import::default();
    let list = source.get("rules").and_then(Value::as_array).or_else(|| source.as_array());
    let rules: Vec<(String, &Value)> = match list {
        Some(list) => {
            let base = if source.is_array() { "" } else { "/rules" };
            list.iter().enumerate().map(|(i, v)| (format!("{base}/{i}"), v)).collect()
        }
        None => vec![(String::new(), source)],
    };
    for (at, rule) in rules {
        one(&at, rule, &mut import);
    }
    import
}

fn one(at: &str, source: &Value, import: &mut Import) {
    let Some(map) = source.as_object() else {
        import.dropped(at, "a rule is an object");
        return;
    };
    let mut outer = Taken::new(map, at);
    let conditions = outer.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let inner_key = ["rule", "ruleInfo"].into_iter().find(|k| map.get(*k).is_some_and(Value::is_object));
    let mut out = Map::new();
    match inner_key {
        Some(key) => {
            outer.asked.push(key);
            if let Some(inner) = map[key].as_object() {
                let mut fields = Taken::new(inner, &outer.path(key));
                head(&mut fields, &mut out, import);
                fields.rest(import);
            }
        }
        None => head(&mut outer, &mut out, import),
    }
    let mut made = Map::new();
    for (i, condition) in conditions.iter().enumerate() {
        let place = format!("{at}/conditions/{i}");
        let Some(map) = condition.as_object() else { continue };
        let mut fields = Taken::new(map, &place);
        let id = slug(fields.text("cid").unwrap_or("c"));
        let (condition, whole) = condition_of(&mut fields, import);
        if let Some(whole) = whole {
            let other = format!("{id}-call");
            for key in ["when", "evidence"] {
                split(&mut out, key, &id, &other);
            }
            made.insert(other, whole);
        }
        // A condition of which nothing is left would change what the rule means; the rule that asks for it is refused below.
        if condition["ops"].as_object().is_some_and(Map::is_empty) {
            import.dropped(&place, "no operator of this condition could be taken over");
        } else {
            import.exact(&place, &format!("condition {id}"));
            made.insert(id, condition);
        }
        fields.rest(import);
    }
    if !out.contains_key("when") {
        let ids: Vec<&str> = made.keys().map(String::as_str).collect();
        out.insert("when".into(), json!(ids.join(" && ")));
    }
    out.insert("conditions".into(), Value::Object(made));
    if inner_key.is_some() || !at.is_empty() || map.contains_key("conditions") {
        outer.rest(import);
    }
    import.keep(at, Value::Object(out));
}

/// Puts `a && a-call` where `a` stands, because its operators became two conditions.
fn split(out: &mut Map<String, Value>, key: &str, id: &str, other: &str) {
    match out.get_mut(key) {
        Some(Value::String(when)) => {
            *when = replaced(when, |name| if name == id { format!("({id} && {other})") } else { name.to_owned() });
        }
        Some(Value::Array(list)) if list.iter().any(|v| v == id) => list.push(json!(other)),
        _ => {}
    }
}

fn head(fields: &mut Taken, out: &mut Map<String, Value>, import: &mut Import) {
    let rid = fields.get("rid").map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let name = fields.text("name").map(str::to_owned);
    let id = rid.clone().or_else(|| name.clone()).unwrap_or_else(|| "rule".into());
    out.insert("id".into(), json!(format!("sca-{}", slug(&id))));
    if rid.is_some() {
        import.exact(&fields.path("rid"), "id");
    }
    if let Some(name) = name {
        import.exact(&fields.path("name"), "name");
        out.insert("name".into(), json!(name));
    }
    if let Some(level) = fields.whole("level") {
        import.exact(&fields.path("level"), "level");
        out.insert("level".into(), json!(["serious", "medium", "light"][usize::try_from(level.clamp(0, 2)).unwrap_or(2)]));
    }
    if let Some(lambda) = fields.text("lambda") {
        import.exact(&fields.path("lambda"), "when");
        out.insert("when".into(), json!(expression(lambda)));
    }
    let triggers: Vec<String> = fields.texts("triggers").iter().map(|t| slug(t)).collect();
    if !triggers.is_empty() {
        import.exact(&fields.path("triggers"), "evidence");
        out.insert("evidence".into(), json!(triggers));
    }
    let mut tags = Vec::new();
    for key in ["exclusion", "appKey", "userGroup", "type", "comments"] {
        // The keys are those of the table, so their names live as long as the program.
        if let Some(value) = fields.get(key).filter(|v| *v != "" && v.as_array().is_none_or(|a| !a.is_empty())) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            import.about(&fields.path(key), "kept as a tag; its meaning is not documented");
            tags.push(format!("{key}:{text}"));
        }
    }
    if !tags.is_empty() {
        out.insert("tags".into(), json!(tags));
    }
    if let Some(kind) = fields.whole("qualityCheckType") {
        import.exact(&fields.path("qualityCheckType"), "live.clock");
        out.insert("live".into(), json!({ "clock": if kind == 0 { "post" } else { "both" } }));
    }
    if let Some(review) = fields.whole("autoReview") {
        import.exact(&fields.path("autoReview"), "review");
        out.insert("review".into(), json!(if review == 3 { "auto" } else { "human" }));
    }
    score(fields, out, import);
    scope_of_rule(fields, out, import);
    tests(fields, out, import);
}

/// For which business and from when to when a rule counts.
fn scope_of_rule(fields: &mut Taken, out: &mut Map<String, Value>, import: &mut Import) {
    let business: Vec<String> = fields
        .get("business")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|b| b.get("bid").or(Some(b)).filter(|v| !v.is_object()))
        .map(|b| b.as_str().map_or_else(|| b.to_string(), str::to_owned))
        .collect();
    if !business.is_empty() {
        import.exact(&fields.path("business"), "applies.meta on the key business");
        out.insert("applies".into(), json!({ "meta": [{ "key": "business", "in": business }] }));
    }
    let always = fields.whole("fullCycle");
    let mut effective = Map::new();
    for (source, target) in [("effectiveStartTime", "from"), ("effectiveEndTime", "to")] {
        let Some(time) = fields.text(source).map(str::to_owned) else { continue };
        let stamp = time.replacen(' ', "T", 1);
        let whole = if stamp.len() == 10 { format!("{stamp}T00:00:00+08:00") } else { format!("{stamp}+08:00") };
        let read = [stamp.clone(), whole].into_iter().find(|t| chrono::DateTime::parse_from_rfc3339(t).is_ok());
        match read {
            _ if always == Some(1) => import.exact(&fields.path(source), "not used: the rule always counts"),
            Some(read) => {
                import.about(&fields.path(source), "read as China standard time; the source names no zone");
                effective.insert(target.into(), json!(read));
            }
            None => import.dropped(&fields.path(source), "not a time that is understood"),
        }
    }
    if always.is_some() {
        import.exact(&fields.path("fullCycle"), "effective");
    }
    if !effective.is_empty() {
        out.insert("effective".into(), Value::Object(effective));
    }
}

/// The source's example dialogues become tests.
fn tests(fields: &mut Taken, out: &mut Map<String, Value>, import: &mut Import) {
    let Some(list) = fields.get("dialogues").and_then(Value::as_array) else { return };
    // Either one dialogue (a list of sentences) or several.
    let several = list.iter().all(|d| d.get("dialogue").or_else(|| d.get("phrases")).is_some_and(Value::is_array));
    let dialogues: Vec<&[Value]> = if several {
        list.iter().filter_map(|d| d.get("dialogue").or_else(|| d.get("phrases"))?.as_array().map(Vec::as_slice)).collect()
    } else {
        vec![list.as_slice()]
    };
    let made: Vec<Value> = dialogues.into_iter().filter(|d| !d.is_empty()).map(test_of).collect();
    if !made.is_empty() {
        import.about(&fields.path("dialogues"), "taken as examples that hit; correct `hit` where one is a counter-example");
        out.insert("tests".into(), Value::Array(made));
    }
}

fn test_of(sentences: &[Value]) -> Value {
    let turns: Vec<Value> = sentences
        .iter()
        .map(|s| {
            let role = s["role"].as_str().and_then(role_of).unwrap_or("unknown");
            let mut turn = json!({ "role": role, "text": s["words"].as_str().unwrap_or_default() });
            for (from, to) in [("begin", "start_ms"), ("end", "end_ms")] {
                if let Some(ms) = s[from].as_i64() {
                    turn[to] = json!(ms);
                }
            }
            if let Some(loud) = s["emotionValue"].as_f64() {
                turn["energy_db"] = json!(loud * 10.0);
            }
            turn
        })
        .collect();
    json!({ "conversation": { "turns": turns }, "hit": true })
}

fn score(fields: &mut Taken, out: &mut Map<String, Value>, import: &mut Import) {
    let on = fields.whole("ruleScoreType").unwrap_or(3) != 1;
    let Some(points) = fields.number("scoreNum").or_else(|| fields.number("ScoreNum")) else { return };
    let add = fields.whole("scoreType").or_else(|| fields.whole("ScoreType")) == Some(1);
    if !on {
        import.dropped(&fields.path("scoreNum"), "scoring is switched off by ruleScoreType");
        return;
    }
    import.exact(&fields.path("scoreNum"), "score.points");
    let effect = if add { "add" } else { "deduct" };
    let mut made = json!({ "effect": effect, "points": points.abs() });
    let place = fields.path("scoreNumType");
    match fields.whole("scoreNumType").or_else(|| fields.whole("ScoreNumType")) {
        Some(0) => {
            made["per"] = json!("each");
            import.about(&place, "0 is read as per = \"each\": every hit counts");
        }
        Some(1) => {
            made["effect"] = json!("set");
            import.about(&place, "1 is read as effect = \"set\": a hit sets the score of its dimension");
        }
        Some(_) => import.dropped(&place, "not a way of counting that is known; a hit counts once"),
        None => {}
    }
    out.insert("score".into(), made);
}

/// `a&&b`, `!a`, `a||b` stay as they are; ids become slugs.
fn expression(lambda: &str) -> String {
    replaced(lambda, slug)
}

/// An expression with other ids.
fn replaced(text: &str, other: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut id = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' || c == '-' {
            id.push(c);
        } else {
            if !id.is_empty() {
                out.push_str(&other(&id));
                id.clear();
            }
            out.push(c);
        }
    }
    out.trim().to_owned()
}

/// A condition; and a second one if operators on sentences and on the whole call stand together in it.
fn condition_of(fields: &mut Taken, import: &mut Import) -> (Value, Option<Value>) {
    let mut out = Map::new();
    if let Some(range) = fields.get("check_range").and_then(Value::as_object) {
        let mut range = Taken::new(range, &fields.path("check_range"));
        check_range(&mut range, &mut out, import);
        range.rest(import);
    }
    let operators = fields.get("operators").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut ops: Vec<(String, Made)> = Vec::new();
    for (i, operator) in operators.iter().enumerate() {
        let place = format!("{}/{i}", fields.path("operators"));
        let Some(map) = operator.as_object() else { continue };
        let mut operator = Taken::new(map, &place);
        let oid = slug(operator.text("oid").unwrap_or("it"));
        if let Some(made) = operator_of(&mut operator, import) {
            ops.push((oid, made));
        }
        operator.rest(import);
    }
    let lambda = fields.text("lambda").map(str::to_owned);
    let (whole, sentences): (Vec<_>, Vec<_>) = ops.into_iter().partition(|(_, made)| per_window(made));
    let joined_by_and = lambda.as_deref().is_none_or(|l| !l.contains('!') && !l.contains("||"));
    if !whole.is_empty() && !sentences.is_empty() && joined_by_and {
        import.about(&fields.path("operators"), "operators on sentences and on the call became two conditions");
        return (with_operators(out.clone(), sentences), Some(with_operators(out, whole)));
    }
    if let Some(lambda) = lambda {
        import.exact(&fields.path("lambda"), "expr");
        out.insert("expr".into(), json!(expression(&lambda)));
    }
    (with_operators(out, sentences.into_iter().chain(whole).collect()), None)
}

fn with_operators(mut condition: Map<String, Value>, ops: Vec<(String, Made)>) -> Value {
    let mut tables = Map::new();
    for (oid, (name, table, scope)) in ops {
        if let Some(scope) = scope {
            condition.insert("scope".into(), json!(scope));
        }
        tables.insert(oid, json!({ name: table }));
    }
    condition.insert("ops".into(), Value::Object(tables));
    Value::Object(condition)
}

pub(super) fn role_of(name: &str) -> Option<&'static str> {
    match name {
        "客服" | "agent" | "1" => Some("agent"),
        "客户" | "customer" | "2" => Some("customer"),
        _ => None,
    }
}

fn check_range(range: &mut Taken, out: &mut Map<String, Value>, import: &mut Import) {
    for key in ["role", "RoleId"] {
        let given = range.get(key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
        if let Some(given) = given.filter(|g| !g.is_empty()) {
            match role_of(&given) {
                Some(role) => {
                    import.exact(&range.path(key), "role");
                    out.insert("role".into(), json!(role));
                }
                None if matches!(given.as_str(), "所有角色" | "all" | "0") => import.exact(&range.path(key), "all roles"),
                None => import.dropped(&range.path(key), "not a role that is known; all roles are looked at"),
            }
        }
    }
    if let Some(numbers) = range.get("range").and_then(Value::as_object) {
        let place = range.path("range");
        let from = numbers.get("from").and_then(Value::as_i64).unwrap_or(1);
        let to = numbers.get("to").and_then(Value::as_i64).unwrap_or(-1);
        import.exact(&place, "sentences");
        if (from, to) != (1, -1) {
            out.insert("sentences".into(), json!([from, to]));
        }
    }
    if let Some(time) = range.get("TimeRange").or_else(|| range.get("timeRange")).and_then(Value::as_object) {
        let ms = |key: &str| time.get(key).and_then(Value::as_i64);
        import.about(&range.path("timeRange"), "read as milliseconds; the unit is not documented");
        match (ms("from"), ms("to")) {
            (from, Some(to)) => drop(out.insert("time".into(), json!({ "from_ms": from.unwrap_or(0), "to_ms": to }))),
            (Some(from), None) => drop(out.insert("time".into(), json!({ "from_ms": from }))),
            (None, None) => {}
        }
    }
    if range.flag("allSentencesSatisfy").or_else(|| range.flag("alSentencesSatisfy")) == Some(true) {
        import.exact(&range.path("allSentencesSatisfy"), "need = \"all\"");
        out.insert("need".into(), json!("all"));
    }
    let absolute = range.flag("absolute") == Some(true);
    if absolute {
        import.exact(&range.path("absolute"), "absolute");
        out.insert("absolute".into(), json!(true));
    }
    if let Some(anchor) = range.get("anchor").and_then(Value::as_object) {
        let place = range.path("anchor");
        let mut fields = Taken::new(anchor, &place);
        let Some(of) = fields.text("cid") else { return };
        let location = fields.text("location").unwrap_or("AFTER_ALL").to_ascii_uppercase();
        let place_of = ["BEFORE", "AFTER", "AROUND", "CURRENT"].into_iter().find(|p| location.contains(p)).unwrap_or("AFTER");
        let hit = match fields.whole("hit_time") {
            None | Some(-1) => json!("any"),
            Some(0) => json!("every"),
            Some(n) => json!(n),
        };
        if absolute {
            import.dropped(&place, "an anchor has no meaning together with absolute");
        } else {
            import.exact(&place, "anchor");
            out.insert("anchor".into(), json!({ "of": slug(of), "where": place_of.to_ascii_lowercase(), "hit": hit }));
        }
        fields.rest(import);
    }
}
