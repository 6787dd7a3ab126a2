//! `meta`: what the telephone system or the shop knows of a conversation.

use std::borrow::Cow;

use ::regex::Regex;
use serde_json::Value as Json;

use crate::conversation::{Conversation, MetadataValue};
use crate::quality::fields::{Fields, Report, did_you_mean};
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::View;
use crate::quality::source::Spot;
use crate::quality::text::{fold_for_regex, fold_text};
use crate::quality::value::Value;

/// Built-in fields, asked as `conversation.NAME`.
const BUILT_IN: [&str; 13] = [
    "id",
    "channel",
    "language",
    "direction",
    "queue",
    "agent_id",
    "team",
    "started_at",
    "audio",
    "answered_ms",
    "duration_ms",
    "hangup_by",
    "turns",
];

#[derive(Clone, Debug)]
pub(crate) struct Meta {
    key: String,
    eq: Option<MetadataValue>,
    ne: Option<MetadataValue>,
    one_of: Option<Vec<MetadataValue>>,
    none_of: Option<Vec<MetadataValue>>,
    contains: Option<String>,
    matches: Option<Regex>,
    bounds: Bounds,
    exists: Option<bool>,
}

impl Meta {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let allowed = ["key", "eq", "ne", "in", "not_in", "contains", "matches", "gt", "ge", "lt", "le", "exists"];
        let fields = Fields::new(json, pointer, &allowed, report)?;
        fields.require("key", report);
        let key = fields.text("key", report)?.to_owned();
        if fields.map.len() == 1 {
            report.push(
                pointer,
                Spot::Value,
                "missing_field",
                "give at least one test, for example `exists = true`".into(),
                None,
            );
        }
        if let Some(name) = key.strip_prefix("conversation.").filter(|n| !BUILT_IN.contains(n)) {
            let message = format!("\"{name}\" is not a field of a conversation");
            report.push(&fields.at("key"), Spot::Value, "bad_value", message, did_you_mean(name, BUILT_IN));
        }
        let mut bounds = Bounds::default();
        for name in ["gt", "ge", "lt", "le"].into_iter().filter(|n| fields.has(n)) {
            let number = fields.get(name).and_then(|v| Ratio::of_json(v).or_else(|| Ratio::parse(v.as_str()?)));
            if number.is_none() {
                report.bad(&fields.at(name), "a number is expected here".into());
            }
            if let Some(slot) = bounds.slot(name) {
                *slot = number;
            }
        }
        let mut scalar = |name: &str| fields.get(name).and_then(|v| read_scalar(v, &fields.at(name), report));
        let (eq, ne) = (scalar("eq"), scalar("ne"));
        let mut list = |name: &str| match fields.get(name)? {
            Json::Array(list) if !list.is_empty() => Some(
                list.iter()
                    .enumerate()
                    .filter_map(|(i, v)| read_scalar(v, &format!("{}/{i}", fields.at(name)), report))
                    .collect(),
            ),
            _ => {
                report.bad(&fields.at(name), "a list that is not empty is expected here".into());
                None
            }
        };
        let (one_of, none_of) = (list("in"), list("not_in"));
        let pattern = fields.text("matches", report);
        Some(Self {
            eq,
            ne,
            one_of,
            none_of,
            contains: fields.text("contains", report).map(fold_text),
            matches: pattern.and_then(|p| super::regex::compile(p, false, &fields.at("matches"), report)),
            bounds,
            exists: fields.has("exists").then(|| fields.flag("exists", true, report)),
            key,
        })
    }

    /// Live: settled once the key is present.
    pub(crate) fn test(&self, view: &View) -> Value {
        let late = matches!(self.key.as_str(), "conversation.duration_ms" | "conversation.hangup_by" | "conversation.turns");
        if !view.ended && (late || field(view.head, &self.key).is_none()) {
            return Value::Pending;
        }
        let known = match self.key.as_str() {
            "conversation.duration_ms" => view.duration.map(number),
            "conversation.turns" => i64::try_from(view.turns.len()).ok().map(number),
            "conversation.hangup_by" => view.hangup_by.map(|role| MetadataValue::Text(role.name().into())),
            key => field(view.head, key).map(Cow::into_owned),
        };
        Value::of(self.holds(known.as_ref()))
    }

    /// The same for a head without a view; `None` while the key is missing.
    pub(crate) fn test_head(&self, head: &Conversation) -> Option<bool> {
        let found = field(head, &self.key);
        found.is_some().then(|| self.holds(found.as_deref()))
    }

    pub(crate) fn holds(&self, value: Option<&MetadataValue>) -> bool {
        let Some(value) = value else { return self.exists == Some(false) && self.only_exists() };
        self.exists != Some(false)
            && self.eq.as_ref().is_none_or(|v| equal(value, v))
            && self.ne.as_ref().is_none_or(|v| !equal(value, v))
            && self.one_of.as_ref().is_none_or(|list| list.iter().any(|v| equal(value, v)))
            && self.none_of.as_ref().is_none_or(|list| !list.iter().any(|v| equal(value, v)))
            && self.contains.as_ref().is_none_or(|part| match value {
                MetadataValue::List(list) => list.iter().any(|t| fold_text(t) == *part),
                other => fold_text(&as_text(other)).contains(part.as_str()),
            })
            && self.matches.as_ref().is_none_or(|re| match value {
                MetadataValue::List(list) => list.iter().any(|t| is_match(re, t)),
                other => is_match(re, &as_text(other)),
            })
            && (self.unbounded() || as_number(value).is_some_and(|n| self.bounds.hold(n)))
    }

    fn unbounded(&self) -> bool {
        let b = &self.bounds;
        b.gt.is_none() && b.ge.is_none() && b.lt.is_none() && b.le.is_none()
    }

    fn only_exists(&self) -> bool {
        self.unbounded()
            && self.eq.is_none()
            && self.ne.is_none()
            && self.one_of.is_none()
            && self.none_of.is_none()
            && self.contains.is_none()
            && self.matches.is_none()
    }
}

fn is_match(re: &Regex, text: &str) -> bool {
    re.is_match(fold_for_regex(text).as_deref().unwrap_or(text))
}

fn read_scalar(value: &Json, pointer: &str, report: &mut Report) -> Option<MetadataValue> {
    match value {
        Json::Bool(truth) => Some(MetadataValue::Bool(*truth)),
        Json::Number(number) => Some(MetadataValue::Number(number.clone())),
        Json::String(text) => Some(MetadataValue::Text(text.clone())),
        _ => {
            report.bad(pointer, "a text, a number, true or false is expected here".into());
            None
        }
    }
}

fn number(value: i64) -> MetadataValue {
    MetadataValue::Number(value.into())
}

/// A field of a conversation: a metadata key or `conversation.NAME`.
fn field<'c>(head: &'c Conversation, key: &str) -> Option<Cow<'c, MetadataValue>> {
    let Some(name) = key.strip_prefix("conversation.") else { return head.metadata.get(key).map(Cow::Borrowed) };
    let text = |t: &str| Some(Cow::Owned(MetadataValue::Text(t.to_owned())));
    match name {
        "id" => text(&head.id),
        "channel" => text(head.channel?.name()),
        "language" => text(head.language.as_deref()?),
        "direction" => text(head.direction?.name()),
        "queue" => text(head.queue.as_deref()?),
        "agent_id" => text(head.agent_id.as_deref()?),
        "team" => text(head.team.as_deref()?),
        "started_at" => text(head.started_at.as_deref()?),
        "audio" => text(if head.audio? == crate::conversation::AudioLayout::Stereo { "stereo" } else { "mono" }),
        "answered_ms" => Some(Cow::Owned(number(head.answered_ms.unwrap_or(0)))),
        "duration_ms" => head.duration_ms.map(|d| Cow::Owned(number(d))),
        "hangup_by" => text(head.hangup_by?.name()),
        _ => None,
    }
}

fn as_text(value: &MetadataValue) -> String {
    match value {
        MetadataValue::Bool(truth) => truth.to_string(),
        MetadataValue::Number(number) => number.to_string(),
        MetadataValue::Text(text) => text.clone(),
        MetadataValue::List(list) => list.join("\n"),
    }
}

fn as_number(value: &MetadataValue) -> Option<Ratio> {
    match value {
        MetadataValue::Number(number) => Ratio::parse(&number.to_string()),
        MetadataValue::Text(text) => Ratio::parse(&fold_text(text)),
        _ => None,
    }
}

/// As numbers if one side is a number, else as folded text; a list equals what one of its members equals.
fn equal(a: &MetadataValue, b: &MetadataValue) -> bool {
    if let MetadataValue::List(list) = a {
        return list.iter().any(|t| equal(&MetadataValue::Text(t.clone()), b));
    }
    if matches!(a, MetadataValue::Number(_)) || matches!(b, MetadataValue::Number(_)) {
        return matches!((as_number(a), as_number(b)), (Some(x), Some(y)) if x == y);
    }
    fold_text(&as_text(a)) == fold_text(&as_text(b))
}
