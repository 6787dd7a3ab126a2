//! `hangup` and `answer`: how a call ends and begins.

use serde_json::Value as Json;

use super::whole;
use crate::conversation::Role;
use crate::quality::fields::{Fields, Report};
use crate::quality::model::{Roles, Span};
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::View;
use crate::quality::source::Spot;
use crate::quality::value::Value;

#[derive(Clone, Debug)]
pub(crate) struct Hangup {
    gap_ms: Option<Bounds>,
    last_role: Option<Roles>,
    by: Option<Role>,
}

impl Hangup {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["gap_ms", "last_role", "by"], report)?;
        if fields.map.is_empty() {
            report.push(pointer, Spot::Value, "missing_field", "give at least one of gap_ms, last_role, by".into(), None);
            return None;
        }
        let parties = [("agent", Role::Agent), ("customer", Role::Customer), ("system", Role::System)];
        Some(Self {
            gap_ms: fields.bounds("gap_ms", report),
            last_role: fields.roles("last_role", report).map(|r| Roles::of(&r)),
            by: fields.choice("by", &parties, report),
        })
    }

    pub(crate) fn test(&self, view: &View) -> (Value, Vec<Span>) {
        let Some(last) = view.last_sentence() else { return (Value::Na, Vec::new()) };
        let mut value = Value::True;
        if let Some(bounds) = &self.gap_ms {
            value = value.and(match (view.duration, view.last_end()) {
                (Some(duration), Some(end)) => Value::of(bounds.hold(Ratio::int((duration - end).max(0)))),
                _ => Value::Na,
            });
        }
        if let Some(roles) = self.last_role {
            value = value.and(Value::of(roles.has(view.sentence(last).role)));
        }
        if let Some(by) = self.by {
            value = value.and(view.hangup_by.map_or(Value::Na, |who| Value::of(who == by)));
        }
        let missing = (self.gap_ms.is_some() && (view.duration.is_none() || view.last_end().is_none()))
            || (self.by.is_some() && view.hangup_by.is_none());
        (if missing { Value::Na } else { value }, vec![whole(last, view)])
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answered {
    gap_ms: Option<Bounds>,
    first_role: Option<Roles>,
}

impl Answered {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let fields = Fields::new(json, pointer, &["gap_ms", "first_role"], report)?;
        if fields.map.is_empty() {
            report.push(pointer, Spot::Value, "missing_field", "give at least one of gap_ms, first_role".into(), None);
            return None;
        }
        Some(Self {
            gap_ms: fields.bounds("gap_ms", report),
            first_role: fields.roles("first_role", report).map(|r| Roles::of(&r)),
        })
    }

    pub(crate) fn test(&self, view: &View) -> (Value, Vec<Span>) {
        let first = view.first_sentence();
        let spans = first.map(|f| whole(f, view)).into_iter().collect();
        if !view.ended {
            return (self.by_timer(first, view), spans);
        }
        let mut value = Value::True;
        if let Some(bounds) = &self.gap_ms {
            let until = first.map_or(view.duration, |f| view.sentence(f).start);
            let gap = until.map(|until| until - view.answered());
            value = gap.map_or(Value::Na, |gap| Value::of(bounds.hold(Ratio::int(gap))));
        }
        if let Some(roles) = self.first_role {
            // With nobody speaking there is no first role to compare.
            let role = first.map_or(Value::Na, |f| Value::of(roles.has(view.sentence(f).role)));
            value = if value == Value::Na || role == Value::Na { Value::Na } else { value.and(role) };
        }
        (value, spans)
    }

    /// True as soon as nobody has spoken for long enough, for lower bounds alone.
    fn by_timer(&self, first: Option<usize>, view: &View) -> Value {
        let lower = self.first_role.is_none() && self.gap_ms.as_ref().is_some_and(Bounds::only_lower);
        let gap = match first {
            // A sentence that is not placed may yet turn out to have one before it.
            Some(f) if f >= view.placed => return Value::Pending,
            Some(f) => match view.sentence(f).start {
                Some(start) => start - view.answered(),
                None => return Value::Pending,
            },
            None => view.clock - view.answered(),
        };
        let crossed = lower && self.gap_ms.as_ref().is_some_and(|b| b.hold(Ratio::int(gap)));
        if crossed { Value::True } else { Value::Pending }
    }
}
