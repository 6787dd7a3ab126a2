//! The timer of `silence`: a running gap fires before anybody speaks again.

use super::expr::Expr;
use super::model::{Condition, Roles};
use super::operators::Operator;
use super::sentence::View;

/// Whether the gap that is running now satisfies a condition that may fire by timer: `silence` alone, without
/// role, sentences, time and anchor.
pub(crate) fn running_gap(condition: &Condition, view: &View) -> bool {
    if view.ended {
        return false;
    }
    let ([Operator::Silence(silence)], Expr::Id(_)) = (&condition.ops[..], &condition.expr) else { return false };
    condition.roles == Roles::ALL
        && condition.sentences.is_none()
        && condition.time.is_none()
        && condition.anchor.is_none()
        && silence.by_timer()
        && silence.running_gap(view)
}
