//! Corrections: "no, it is AB20260302", "不是退货，是换货", "the other one", "订单号错了".

use super::book::FlowBook;
use super::config::Cue;
use super::flow::{Flow, Slot, SlotKind};
use super::message::{Message, without_lead, without_negated};
use super::state::Frame;
use super::values::{Reading, choice, occurs, read};

/// What customers call a slot, by its kind or name.
const NAMES: [(&str, &[&str]); 15] = [
    ("order_no", &["订单号", "单号", "订单", "order number", "order no", "order"]),
    ("phone", &["手机号", "电话", "号码", "phone number", "phone", "number"]),
    ("phone_tail", &["尾号", "后四位", "手机号", "last four", "last 4", "digits", "phone"]),
    ("name", &["名字", "姓名", "name"]),
    ("new_address", &["地址", "门牌", "楼号", "房号", "address", "house number", "street", "postcode", "zip"]),
    ("month", &["月份", "month"]),
    ("birth_date", &["生日", "出生", "birthday", "birth", "date"]),
    ("visit_on", &["日期", "日子", "那天", "哪天", "date", "day"]),
    ("window", &["时间", "时段", "time", "window", "slot"]),
    ("account_no", &["账号", "宽带号", "account number", "account"]),
    ("customer_no", &["客户号", "customer number"]),
    ("light", &["灯", "light", "colour", "color"]),
    ("last_payment", &["金额", "amount", "payment"]),
    ("score", &["分", "score", "rating", "mark", "points"]),
    ("card_kind", &["卡种", "kind of card", "card type"]),
];

fn is_named(slot: &Slot, text: &str) -> bool {
    NAMES.iter().any(|(name, words)| *name == slot.name && words.iter().any(|w| occurs(text, w)))
}

/// What a correction changes: a slot and its new value, or a slot that has to be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Correction {
    pub(super) slot: String,
    pub(super) value: Option<String>,
}

/// Reads a message as a correction of what a frame holds. `loose` allows a free text (a name, an address) to be replaced
/// although it is not named: the customer was just asked whether everything is right.
pub(super) fn correction(
    book: &FlowBook,
    flow: &Flow,
    frame: &Frame,
    message: &Message,
    today: chrono::NaiveDate,
    loose: bool,
) -> Option<Correction> {
    let config = &book.config;
    let other = config.hears(Cue::OtherOne, &message.plain);
    if !other && !config.hears(Cue::Correction, &message.plain) {
        return None;
    }
    let newest_first: Vec<&Slot> = frame.filled.iter().rev().filter_map(|name| flow.slot(name)).collect();
    if other && let Some(found) = newest_first.iter().find_map(|slot| the_other(slot, frame)) {
        return Some(found);
    }
    let rest_raw = without_negated(&message.raw);
    let rest = Message::read(&without_lead(&rest_raw), message.language, config.limits.message_chars);
    let reading = Reading { config, today, asked: true };
    let (named, others): (Vec<&Slot>, Vec<&Slot>) = newest_first.iter().copied().partition(|slot| is_named(slot, &message.plain));
    for (slot, is_named) in named.iter().map(|s| (*s, true)).chain(others.iter().map(|s| (*s, false))) {
        let value = match slot.kind {
            SlotKind::Text | SlotKind::YesNo => None,
            SlotKind::Name | SlotKind::Address if !is_named && !loose => None,
            SlotKind::Number | SlotKind::Amount | SlotKind::Digits if !is_named && frame.filled.last() != Some(&slot.name) => {
                None
            }
            SlotKind::Choice if !is_named => choice(slot, &rest, false),
            // "the name is wrong, it's John Smith": the new one stands behind the last comma.
            SlotKind::Name => last_part(&rest).and_then(|part| read(slot, &part, reading)).or_else(|| read(slot, &rest, reading)),
            _ => read(slot, &rest, reading),
        };
        if let Some(value) = value.filter(|v| frame.slots.get(&slot.name) != Some(v)) {
            return Some(Correction { slot: slot.name.clone(), value: Some(value) });
        }
    }
    const WRONG: [&str; 8] = ["错", "不对", "wrong", "incorrect", "mistake", "typo", "not right", "change"];
    let says_wrong = WRONG.iter().any(|w| message.plain.contains(w));
    let slot = named.first().filter(|_| says_wrong)?;
    Some(Correction { slot: slot.name.clone(), value: None })
}

/// Whether a correction stands although the message holds what was asked for. Answers begin like corrections, too ("sorry,
/// it's 13800134412"), and their digits would fit other slots: so the other slot must be named and the asked one not, or the
/// value must show by itself what it is.
pub(super) fn outweighs(found: &Correction, flow: &Flow, asked: &Slot, message: &Message) -> bool {
    let Some((slot, value)) = flow.slot(&found.slot).zip(found.value.as_ref()) else { return false };
    match slot.kind {
        SlotKind::Choice => true,
        SlotKind::OrderNo if asked.kind != SlotKind::OrderNo && value.starts_with(|c: char| c.is_ascii_alphabetic()) => true,
        _ => is_named(slot, &message.plain) && !is_named(asked, &message.plain),
    }
}

/// What stands behind the last comma, without the words that announce it.
fn last_part(rest: &Message) -> Option<Message> {
    let (_, part) = rest.raw.rsplit_once([',', '，', '。', ';', '；'])?;
    Some(Message::read(&without_lead(part), rest.language, 500)).filter(|part| !part.plain.is_empty())
}

/// Of two options the one that was not chosen.
fn the_other(slot: &Slot, frame: &Frame) -> Option<Correction> {
    let [a, b] = slot.options.as_slice() else { return None };
    let chosen = frame.slots.get(&slot.name)?;
    let other = if *chosen == a.id { b } else { a };
    Some(Correction { slot: slot.name.clone(), value: Some(other.id.clone()) })
}
