//! All rules over one text.

use super::cue::{self, Cue};
use super::folded::Folded;
use super::{Finding, Kind, marks, names, numbers, places};

/// Longest text that is looked at in one piece, code points; a longer one is cut at this length with an overlap.
const PIECE: usize = 20_000;
/// How much of a piece the next one repeats, so that nothing is lost at the cut.
const OVERLAP: usize = 200;

/// Personal data in one text, by place, without overlap.
///
/// ```
/// use zhiyin::privacy::{Kind, find};
/// let found = find("我手机号幺三八零零一三八零零零，订单号20260301123456");
/// assert_eq!((found.len(), found[0].kind, found[0].start, found[0].end), (1, Kind::Mobile, 4, 15));
/// ```
pub fn find(text: &str) -> Vec<Finding> {
    find_asked(text, None)
}

/// As [`find`], with what the other party had asked for.
pub(super) fn find_asked(text: &str, asked: Option<Cue>) -> Vec<Finding> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= PIECE {
        return piece(text, asked);
    }
    let mut found: Vec<Finding> = Vec::new();
    let mut from = 0;
    while from < chars.len() {
        let to = (from + PIECE).min(chars.len());
        let part: String = chars[from..to].iter().collect();
        found.extend(piece(&part, asked).into_iter().map(|f| Finding { start: f.start + from, end: f.end + from, ..f }));
        if to == chars.len() {
            break;
        }
        from = to - OVERLAP;
    }
    keep_best(&mut found);
    found
}

fn piece(text: &str, asked: Option<Cue>) -> Vec<Finding> {
    let text = Folded::new(text);
    let hits = cue::cues(&text);
    let mut found = marks::find(&text, &hits, asked);
    found.extend(numbers::find(&text, &hits, asked));
    found.extend(places::find(&text));
    found.extend(names::find(&text, &hits, asked));
    keep_best(&mut found);
    found
}

/// Leaves of overlapping findings the strongest, then the longest; the rest comes out by place.
pub(super) fn keep_best(found: &mut Vec<Finding>) {
    found.sort_by(|a, b| {
        let length = |f: &Finding| f.end - f.start;
        // an address or a mail address holds what lies inside it
        let holds = |f: &Finding| u8::from(matches!(f.kind, Kind::Email | Kind::Address));
        holds(b)
            .cmp(&holds(a))
            .then(b.strength.total_cmp(&a.strength))
            .then(length(b).cmp(&length(a)))
            .then(a.start.cmp(&b.start))
    });
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found.drain(..) {
        if !kept.iter().any(|other| other.overlaps(&finding)) {
            kept.push(finding);
        }
    }
    kept.sort_by_key(|f| f.start);
    *found = kept;
}
