use std::f64::consts::TAU;

use proptest::prelude::*;

use super::embedding::projection_is_whole;
use super::features::{frames, statistics};
use super::*;
use crate::conversation::{Direction, Language, Role};

#[test]
fn the_projection_of_the_program_has_its_shape() {
    assert!(projection_is_whole());
}

/// Numbers of `parity()` in models/recipes/speaker/projection.py.
#[test]
fn features_are_those_that_the_projection_was_learnt_on() {
    let chirp: Vec<f32> = (0..16_000)
        .map(|n| {
            let t = f64::from(n) / 16_000.0;
            let tones: f64 = (1..20).map(|k| 0.2 / f64::from(k) * (TAU * f64::from(k) * (120.0 * t + 40.0 * t * t)).sin()).sum();
            (tones * (0.55 + 0.45 * (TAU * 3.0 * t).sin())) as f32
        })
        .collect();
    let frames = frames(&chirp);
    let active: Vec<_> = frames.iter().zip(super::features::active(&frames)).filter(|(_, a)| *a).map(|(f, _)| *f).collect();
    let got = statistics(active.iter()).unwrap();
    for (index, expected) in [(0, 2.1043), (1, -4.4538), (2, 3.3775), (18, 0.3848), (19, 1.5534), (37, -0.1573)] {
        assert!((got[index] - expected).abs() < 0.02, "number {index}: {} is not {expected}", got[index]);
    }
}

/// A buzz with formants, as unlike others as its formants are.
fn buzz(pitch_hz: f64, formants: [f64; 3], seconds: f64) -> Vec<f32> {
    (0..(seconds * 16_000.0) as usize)
        .map(|n| {
            let t = n as f64 / 16_000.0;
            let pitch = pitch_hz * (1.0 + 0.1 * (TAU * 1.7 * t).sin());
            let sum: f64 = (1..=(3_600.0 / pitch_hz) as usize)
                .map(|k| {
                    let hz = pitch * k as f64;
                    let gain: f64 = formants.iter().map(|f| (-((hz - f) / 180.0).powi(2)).exp()).sum();
                    (gain + 0.02) * (TAU * pitch_hz * k as f64 * t).sin()
                })
                .sum();
            (sum * 0.05 * (0.6 + 0.4 * (TAU * 4.0 * t).sin())) as f32
        })
        .collect()
}

const LOW: (f64, [f64; 3]) = (110.0, [600.0, 1_100.0, 2_500.0]);
const HIGH: (f64, [f64; 3]) = (220.0, [400.0, 2_200.0, 3_100.0]);

/// A stretch of a sample call in which the customer (left) and the agent (right) are mixed down, milliseconds.
fn mixed(from_ms: usize, to_ms: usize) -> Vec<f32> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/samples/calls/zh-refund.opus");
    let channels = crate::audio::decode_file(&path).unwrap().to_model_rate().unwrap();
    (from_ms * 16..to_ms * 16).map(|n| channels[0][n] + channels[1][n]).collect()
}

#[test]
fn one_voice_is_alike_and_two_are_not() {
    // The agent greets, the customer asks, the agent answers.
    let (agent, customer, again) = (embed(&mixed(300, 6_916)), embed(&mixed(7_316, 10_957)), embed(&mixed(11_257, 15_046)));
    let (same, other) = (agent.similarity(&again), agent.similarity(&customer));
    assert!(same > 0.45 && other < same - 0.3, "{same} and {other}");
    assert!((3_000..6_700).contains(&agent.voiced_ms), "{}", agent.voiced_ms);
}

#[test]
fn a_segment_is_cut_in_the_pause_where_the_voice_changes() {
    let cuts = changes(&mixed(3_000, 10_800));
    let at_ms: Vec<usize> = cuts.iter().map(|cut| 3_000 + cut / 16).collect();
    assert!(at_ms.iter().any(|ms| (6_700..7_500).contains(ms)), "{at_ms:?}");
    assert!(at_ms.len() <= 3, "{at_ms:?}");
    assert_eq!(changes(&[]), Vec::<usize>::new());
    assert_eq!(changes(&vec![0.0; 32_000]), Vec::<usize>::new(), "silence has no voices");
}

#[test]
fn turns_fall_into_two_voices_and_names_stay() {
    let mut diarizer = Diarizer::default();
    let voices = [LOW, HIGH, LOW, LOW, HIGH, LOW, HIGH];
    for (n, (pitch, formants)) in voices.into_iter().enumerate() {
        diarizer.take(embed(&buzz(pitch * (1.0 + 0.01 * n as f64), formants, 1.0 + 0.2 * n as f64)));
    }
    assert_eq!(diarizer.labels(), [0, 1, 0, 0, 1, 0, 1]);
    assert_eq!(diarizer.n_speakers(), 2);
    let mut alone = Diarizer::default();
    (0..5).for_each(|n| drop(alone.take(embed(&buzz(LOW.0 * (1.0 + 0.02 * f64::from(n)), LOW.1, 1.5)))));
    assert_eq!(alone.labels(), [0; 5]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Nothing that a microphone may deliver breaks the room, and every turn has a speaker.
    #[test]
    fn any_samples_are_taken(turns in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 0..3_000), 1..8)) {
        let mut diarizer = Diarizer::default();
        for turn in &turns {
            prop_assert!(changes(turn).iter().all(|cut| *cut < turn.len()));
            let embedding = embed(turn);
            prop_assert!(embedding.values.iter().all(|v| v.is_finite()));
            diarizer.take(embedding);
        }
        prop_assert_eq!(diarizer.labels().len(), turns.len());
        prop_assert!(diarizer.labels().iter().all(|label| *label < MAX_SPEAKERS));
        prop_assert_eq!(diarizer.labels()[0], 0);
    }
}

#[test]
fn agents_and_customers_are_told_by_their_words() {
    let cases = [
        ("您好这里是星河商城请问有什么可以帮您", Language::Zh, true),
        ("麻烦您说一下订单号我帮您查一下", Language::Zh, true),
        ("我的快递怎么还没到", Language::Zh, false),
        ("thank you for calling how can i help you today", Language::En, true),
        ("i want to know where my parcel is", Language::En, false),
    ];
    for (text, language, agent) in cases {
        let evidence = agent_evidence(text, language, []);
        assert_eq!(evidence > 0.0, agent, "{text}: {evidence}");
        assert!(evidence.abs() <= 5.0);
    }
    assert_eq!(agent_evidence("", Language::Zh, []), 0.0);
    assert!(agent_evidence("", Language::En, ["hold"]) > 0.0);
}

#[test]
fn roles_follow_evidence_then_order() {
    let of = |a: (f32, usize), b: (f32, usize), direction| {
        name_roles(&[(a.0, a.1), (b.0, b.1)].map(|(agent, utterances)| RoleEvidence { agent, utterances }), direction)
    };
    let (agent_first, customer_first) = ([Role::Agent, Role::Customer], [Role::Customer, Role::Agent]);
    assert_eq!(of((0.1, 1), (0.0, 1), Direction::Inbound), agent_first, "who is called answers");
    assert_eq!(of((0.1, 1), (0.0, 1), Direction::Outbound), customer_first);
    assert_eq!(of((-2.0, 1), (3.0, 2), Direction::Inbound), customer_first);
    assert_eq!(of((4.0, 1), (0.0, 0), Direction::Inbound), agent_first, "a greeting is enough");
    assert_eq!(of((0.5, 1), (0.0, 0), Direction::Inbound), [Role::Unknown; 2]);
}

/// The share of the project's conversations in which wording and greeting name both roles rightly; the texts are those that
/// were said, without errors of recognition.
#[test]
fn roles_of_whole_conversations() {
    for (language, name, least) in [(Language::Zh, "zh", 105), (Language::En, "en", 93)] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("datasets/conversations/{name}.jsonl"));
        let (mut right, mut all) = (0, 0);
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let conversation: crate::conversation::Conversation = serde_json::from_str(line).unwrap();
            let mut speakers = [RoleEvidence::default(), RoleEvidence::default()];
            let first = conversation.turns[0].role;
            for turn in conversation.turns.iter().filter(|t| matches!(t.role, Role::Agent | Role::Customer)) {
                let speaker = &mut speakers[usize::from(turn.role != first)];
                speaker.agent += agent_evidence(&turn.text, language, []);
                speaker.utterances += 1;
            }
            all += 1;
            right += usize::from(name_roles(&speakers, Direction::Inbound)[0] == first);
        }
        println!("{name}: roles of {right} of {all} conversations");
        assert!(right >= least && all == 111, "{name}: {right} of {all}");
    }
}
