use super::*;
use crate::conversation::Role;
use crate::event::{Timings, TranscriptFinal};

fn started(channel_index: u16, start_ms: i64) -> EventBody {
    EventBody::SpeechStarted { channel_index, role: Role::Customer, start_ms }
}

fn said(channel_index: u16, start_ms: i64, end_ms: i64) -> EventBody {
    EventBody::TranscriptFinal(TranscriptFinal {
        utterance_id: crate::conversation::UtteranceId::new(),
        revision: 1,
        channel_index,
        role: Role::Customer,
        speaker: None,
        start_ms,
        end_ms,
        text: "yes".into(),
        raw_text: "yes".into(),
        language: "en-US".into(),
        confidence: None,
        words: Vec::new(),
        redactions: Vec::new(),
        overlaps: Vec::new(),
        timings_ms: Timings { capture: 0.0, vad: 0.0, asr_queue: 0.0, asr: 0.0 },
        rewrites_stable: false,
    })
}

fn places(bodies: Vec<EventBody>, heard_until_ms: i64) -> Vec<(u16, i64)> {
    let call_id = CallId::new();
    let events: Vec<Event> = (1..).zip(bodies).map(|(seq, body)| Draft::new(0, body).numbered(&call_id, seq, 0)).collect();
    places_in(&events, heard_until_ms).into_iter().collect()
}

#[test]
fn what_was_being_said_on_the_other_channel_is_asked_for_again() {
    let events = vec![started(0, 10_000), started(1, 12_000), said(1, 12_000, 13_000)];
    assert_eq!(places(events, 13_000), [(0, 10_000), (1, 13_000)]);
}

#[test]
fn what_began_before_an_earlier_final_came_is_not_forgotten_and_what_is_final_is_not_asked_for() {
    let events = vec![started(0, 1_000), started(0, 5_000), said(0, 1_000, 4_000), said(1, 6_000, 9_000)];
    assert_eq!(places(events, 9_000), [(0, 5_000), (1, 9_000)]);
    // It was begun twice, because it could not be kept the first time.
    let events = vec![started(0, 1_040), started(0, 1_000), said(0, 1_000, 4_000)];
    assert_eq!(places(events, 4_000), [(0, 4_000)]);
}

#[test]
fn a_noise_long_ago_and_speech_behind_the_last_final_change_nothing() {
    assert_eq!(places(vec![started(0, 1_000), started(1, 2_000), said(1, 2_000, 60_000)], 60_000), [(0, 60_000), (1, 60_000)]);
    assert_eq!(places(vec![said(0, 0, 1_000), started(0, 2_000)], 1_000), [(0, 1_000)]);
}
