//! Alibaba Cloud Smart Conversation Analysis: the rule JSON of `UploadRule`.

use serde_json::{Map, Value, json};

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
        import.exact(&place, &format!("condition {id}"));
        made.insert(id, condition_of(&mut fields, import));
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
    out.insert("score".into(), json!({ "effect": effect, "points": points.abs() }));
    if fields.whole("scoreNumType").is_some() {
        import.about(&fields.path("scoreNumType"), "counted once; set per = \"each\" if every hit counts");
    }
}

/// `a&&b`, `!a`, `a||b` stay as they are; ids become slugs.
fn expression(lambda: &str) -> String {
    let mut out = String::new();
    let mut id = String::new();
    for c in lambda.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' || c == '-' {
            id.push(c);
        } else {
            if !id.is_empty() {
                out.push_str(&slug(&id));
                id.clear();
            }
            out.push(c);
        }
    }
    out.trim().to_owned()
}

fn condition_of(fields: &mut Taken, import: &mut Import) -> Value {
    let mut out = Map::new();
    if let Some(range) = fields.get("check_range").and_then(Value::as_object) {
        let mut range = Taken::new(range, &fields.path("check_range"));
        check_range(&mut range, &mut out, import);
        range.rest(import);
    }
    let operators = fields.get("operators").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut ops = Map::new();
    for (i, operator) in operators.iter().enumerate() {
        let place = format!("{}/{i}", fields.path("operators"));
        let Some(map) = operator.as_object() else { continue };
        let mut operator = Taken::new(map, &place);
        let oid = slug(operator.text("oid").unwrap_or("it"));
        if let Some((name, table, scope)) = operator_of(&mut operator, import) {
            if let Some(scope) = scope {
                out.insert("scope".into(), json!(scope));
            }
            ops.insert(oid, json!({ name: table }));
        }
        operator.rest(import);
    }
    out.insert("ops".into(), Value::Object(ops));
    if let Some(lambda) = fields.text("lambda") {
        import.exact(&fields.path("lambda"), "expr");
        out.insert("expr".into(), json!(expression(lambda)));
    }
    Value::Object(out)
}

fn role_of(name: &str) -> Option<&'static str> {
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
        if let Some(to) = ms("to") {
            out.insert("time".into(), json!({ "from_ms": ms("from").unwrap_or(0), "to_ms": to }));
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

type Made = (&'static str, Value, Option<&'static str>);

/// An operator: its name, its table, and the scope that it asks for.
fn operator_of(operator: &mut Taken, import: &mut Import) -> Option<Made> {
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
        "DURATION" => {
            p.number("interval").map(|ms| ("measure", json!({ "metric": "call_ms", "value": { compare(&mut p): ms } }), None))
        }
        "ABUSE_MODEL" => Some(("label", json!({ "any": ["abuse"] }), None)),
        "EMOTION_MODEL" | "CUSTOMER_CHECK_MODEL" => model(&mut p, import),
        _ => None,
    };
    match &made {
        Some((name, _, _)) if *name == "similar" => {}
        Some((name, _, _)) => import.exact(&place, name),
        None => import.dropped(&place, &format!("operator {kind} has no counterpart, or lacks what it needs")),
    }
    p.rest(import);
    made
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
