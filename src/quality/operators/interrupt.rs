//! `interrupt`: speaking while another party still speaks.

use serde_json::Value as Json;

use super::{Outcome, plain, whole};
use crate::quality::fields::{Fields, Report};
use crate::quality::number::{Bounds, Ratio};
use crate::quality::sentence::View;
use crate::quality::text;
use crate::quality::value::UnitValue;

/// Words of listening that interrupt nobody.
const BACKCHANNELS: &str = "嗯 啊 哦 噢 喔 唉 诶 好 好的 好吧 对 对的 是 是的 行 可以 明白 知道了 没错 谢谢 \
    uh-huh mm-hmm mhm hmm uh um oh yeah yep yes ok okay right sure i_see got_it great alright thanks thank_you";

#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    overlap_ms: Bounds,
    min_units: Option<i64>,
    after_ms: i64,
    to_previous_end: bool,
    backchannels: Vec<Vec<char>>,
    pub(crate) allow_mono: bool,
}

impl Interrupt {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let allowed = ["overlap_ms", "min_units", "after_ms", "how", "backchannels", "allow_mono"];
        let fields = Fields::new(json, pointer, &allowed, report)?;
        let words = fields.texts_or_none("backchannels", report);
        let words = words.unwrap_or_else(|| BACKCHANNELS.split_whitespace().map(str::to_owned).collect());
        let overlap_ms = fields.bounds("overlap_ms", report);
        Some(Self {
            overlap_ms: overlap_ms.unwrap_or_else(|| Bounds::at_least(2_000)),
            min_units: fields.int("min_units", 0, report),
            after_ms: fields.int("after_ms", 0, report).unwrap_or(0),
            to_previous_end: fields.choice("how", &[("overlap", false), ("to_previous_end", true)], report).unwrap_or(false),
            backchannels: words.iter().map(|w| text::bare(w)).filter(|w| !w.is_empty()).collect(),
            allow_mono: fields.flag("allow_mono", false, report),
        })
    }

    pub(crate) fn test(&self, turn: usize, view: &View) -> Outcome {
        let sentence = view.sentence(turn);
        let (Some(start), Some(end)) = (sentence.start, sentence.end) else {
            return (UnitValue::Unmeasured, Vec::new());
        };
        let interrupted = (0..turn)
            .rev()
            .filter(|j| view.sentence(*j).role != sentence.role)
            .filter_map(|j| Some((j, view.sentence(j).start?, view.sentence(j).end?)))
            .filter(|(_, other_start, other_end)| *other_start < start && start < *other_end)
            .max_by_key(|(j, other_start, _)| (*other_start, *j));
        let Some((other, other_start, other_end)) = interrupted else { return plain(false) };
        let overlap = if self.to_previous_end { other_end - start } else { end.min(other_end) - start };
        let min_units = self.min_units.unwrap_or(if sentence.counts_chars() { 4 } else { 3 });
        let truth = self.overlap_ms.hold(Ratio::int(overlap))
            && start - other_start >= self.after_ms
            && sentence.units(None) >= min_units
            && !self.is_backchannel(sentence.bare());
        if !truth {
            return plain(false);
        }
        let mut spans = vec![whole(other, view), whole(turn, view)];
        spans.retain(|s| s.end > 0);
        (UnitValue::True, spans)
    }

    /// Whether a bare text is back-channel words strung together.
    fn is_backchannel(&self, bare: &[char]) -> bool {
        let mut reachable = vec![false; bare.len() + 1];
        reachable[0] = true;
        for at in 0..bare.len() {
            if reachable[at] {
                for word in self.backchannels.iter().filter(|w| bare[at..].starts_with(w)) {
                    reachable[at + word.len()] = true;
                }
            }
        }
        !bare.is_empty() && reachable[bare.len()]
    }
}
