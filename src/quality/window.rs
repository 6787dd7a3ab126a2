//! Windows: which sentences a condition looks at, and whether more may come.

use super::model::{Condition, TimeWindow, Where};
use super::sentence::View;

/// The sentences of a window at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// Members, ascending; all of them are certain.
    pub(crate) members: Vec<usize>,
    /// Nothing can join any more.
    pub(crate) closed: bool,
    /// Membership of every turn below this number is final.
    pub(crate) certain_below: usize,
}

/// Half-open `[from, to)` in milliseconds; `to` may be unbounded.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: i64,
    to: i64,
}

fn time_span(window: TimeWindow, view: &View) -> Span {
    let border = |percent: i64| i64::try_from(i128::from(view.length()) * i128::from(percent) / 100).unwrap_or(i64::MAX);
    match window {
        TimeWindow::Ms { from, to } => Span { from, to },
        TimeWindow::LastMs(last) => Span { from: view.length() - last, to: i64::MAX },
        TimeWindow::Percent { from, to } => Span { from: border(from), to: if to >= 100 { i64::MAX } else { border(to) } },
    }
}

fn inside(span: Span, turn: usize, view: &View) -> bool {
    let sentence = view.sentence(turn);
    let Some(start) = sentence.start else { return false };
    let end = sentence.end.unwrap_or(start).max(start + 1);
    start < span.to && end > span.from
}

/// Whether the window cannot be known before the end of the call.
fn open_till_end(condition: &Condition) -> bool {
    if matches!(condition.time, Some(TimeWindow::LastMs(_) | TimeWindow::Percent { .. })) {
        return true;
    }
    let back = condition.anchor.is_some_and(|a| matches!(a.place, Where::Before | Where::Around | Where::Current));
    match condition.sentences {
        Some((from, to)) if !back && (from < 0 || to < 0) => !(from >= 0 && to == -1),
        _ => false,
    }
}

/// Places `[low, high]` of `sentences` among `count` sentences, from 1; 0 stands for the anchor.
fn places(sentences: (i64, i64), count: usize) -> (i64, i64) {
    let (mut from, mut to) = sentences;
    let same_sign = (from >= 0 && to >= 0) || (from < 0 && to < 0);
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let resolve = |p: i64| if p < 0 { count + 1 + p } else { p };
    (from, to) = (resolve(from), resolve(to));
    if same_sign && from > to { (to, from) } else { (from, to) }
}

fn take(list: &[usize], low: i64, high: i64) -> &[usize] {
    let count = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let (low, high) = (low.max(1), high.min(count));
    if low > high {
        return &[];
    }
    let at = |n: i64| usize::try_from(n).unwrap_or(0);
    &list[at(low - 1)..at(high)]
}

/// The window of a condition, relative to an anchor sentence if it has one.
pub(crate) fn window(condition: &Condition, anchor: Option<usize>, view: &View) -> Window {
    if !view.ended && open_till_end(condition) {
        return Window::default();
    }
    let limit = if view.ended || !condition.placed_only { view.turns.len() } else { view.placed };
    let span = condition.time.map(|t| time_span(t, view));
    let fits = |i: usize| {
        let sentence = view.sentence(i);
        !sentence.blank
            && (condition.absolute || condition.roles.has(sentence.role))
            && span.is_none_or(|span| inside(span, i, view))
    };
    let time_over = span.is_some_and(|s| s.to != i64::MAX && view.clock >= s.to);
    match (condition.anchor.map(|a| a.place), anchor) {
        (Some(place), Some(anchor)) => around_anchor(condition, place, anchor, limit, time_over, &fits, view),
        _ => {
            let mut members: Vec<usize> = Vec::with_capacity(limit);
            members.extend((0..limit).filter(|i| fits(*i)));
            let mut closed = view.ended || time_over;
            if let Some(sentences) = condition.sentences {
                closed |= enough(sentences, members.len());
                let (low, high) = places(sentences, members.len());
                members = take(&members, low, high).to_vec();
            }
            if condition.absolute {
                members.retain(|i| condition.roles.has(view.sentence(*i).role));
            }
            let certain_below = if view.ended { usize::MAX } else { view.placed };
            Window { members, closed, certain_below }
        }
    }
}

/// Whether positive borders have been reached.
fn enough((from, to): (i64, i64), count: usize) -> bool {
    from >= 0 && to >= 0 && i64::try_from(count).is_ok_and(|count| count >= from.max(to))
}

fn around_anchor(
    condition: &Condition,
    place: Where,
    anchor: usize,
    limit: usize,
    time_over: bool,
    fits: &dyn Fn(usize) -> bool,
    view: &View,
) -> Window {
    let (anchor_start, anchor_end) = {
        let sentence = view.sentence(anchor);
        (sentence.start, sentence.end.or(sentence.start))
    };
    let near_before = |i: usize| match condition.within_ms {
        None => true,
        Some(within) => matches!((view.sentence(i).end, anchor_start), (Some(end), Some(start)) if end > start - within),
    };
    let near_after = |i: usize| match condition.within_ms {
        None => true,
        Some(within) => matches!((view.sentence(i).start, anchor_end), (Some(start), Some(end)) if start < end + within),
    };
    let within_over = matches!((condition.within_ms, anchor_end), (Some(within), Some(end)) if view.clock >= end + within);
    let before: Vec<usize> = match place {
        Where::Before | Where::Around => (0..anchor).rev().filter(|i| fits(*i) && near_before(*i)).collect(),
        _ => Vec::new(),
    };
    let after: Vec<usize> = match place {
        Where::After | Where::Around => (anchor + 1..limit).filter(|i| fits(*i) && near_after(*i)).collect(),
        _ => Vec::new(),
    };
    let mut members = Vec::new();
    let (with_anchor, closed) = match place {
        Where::Current => (true, true),
        Where::Before => {
            let (low, high) = places(condition.sentences.unwrap_or((1, -1)), before.len());
            members.extend(take(&before, low, high));
            (low <= 0 && high >= 0 && condition.sentences.is_some_and(|(a, b)| a == 0 || b == 0), true)
        }
        Where::After => {
            let sentences = condition.sentences.unwrap_or((1, -1));
            let (low, high) = places(sentences, after.len());
            members.extend(take(&after, low, high));
            let with_anchor = low <= 0 && high >= 0 && (sentences.0 == 0 || sentences.1 == 0);
            (with_anchor, enough(sentences, after.len()) || within_over || time_over)
        }
        Where::Around => {
            let (a, b) = condition.sentences.unwrap_or((0, 0));
            let (low, high) = (a.min(b), a.max(b));
            members.extend(take(&before, -high, -low));
            members.extend(take(&after, low, high));
            let settled = high <= 0 || enough((high, high), after.len());
            (low <= 0 && high >= 0, settled || within_over || time_over)
        }
    };
    if with_anchor && fits(anchor) {
        members.push(anchor);
    }
    members.sort_unstable();
    members.dedup();
    let certain_below = if view.ended { usize::MAX } else { view.placed };
    Window { members, closed: closed || view.ended, certain_below }
}
