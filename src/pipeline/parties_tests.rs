use super::*;
use crate::speaker::DIMENSIONS;

fn voice(speaker: usize) -> SpeakerEmbedding {
    let mut values = [0.0; DIMENSIONS];
    values[speaker] = 10.0;
    SpeakerEmbedding { values, voiced_ms: 2_000 }
}

fn say(parties: &mut Parties, n: i64, speaker: usize, text: &str, language: Language) -> (String, Role, Corrections) {
    let id = UtteranceId::from(format!("utt_{n}").as_str());
    parties.take(0, (&id, n * 1_000), voice(speaker), (text, language), Direction::Inbound)
}

#[test]
fn a_greeting_names_the_agent_and_the_other_is_the_customer() {
    let mut parties = Parties::default();
    let (label, role, _) = say(&mut parties, 0, 0, "您好这里是星河商城请问有什么可以帮您", Language::Zh);
    assert_eq!((label.as_str(), role), ("speaker-1", Role::Agent));
    let (label, role, corrections) = say(&mut parties, 1, 1, "我想问一下我的退款", Language::Zh);
    assert_eq!((label.as_str(), role), ("speaker-2", Role::Customer));
    assert!(corrections.named.is_empty() && corrections.moved.is_empty(), "{corrections:?}");
}

#[test]
fn roles_that_were_told_wrongly_are_told_again_with_their_begin() {
    let mut parties = Parties::default();
    let (_, role, _) = say(&mut parties, 0, 0, "hello", Language::En);
    assert_eq!(role, Role::Unknown, "one word of one speaker says nothing");
    // The one who spoke first is thought to be the agent, until the other greets as one.
    let (_, role, corrections) = say(&mut parties, 1, 1, "thank you for calling how can i help you", Language::En);
    assert_eq!(role, Role::Agent);
    assert_eq!(corrections.named, [(0, Role::Customer, 0)], "what the first one said is out without a role");
    let (_, role, corrections) = say(&mut parties, 2, 0, "my parcel is late", Language::En);
    assert_eq!(role, Role::Customer);
    assert!(corrections.named.is_empty(), "{corrections:?}");
}

#[test]
fn utterances_of_another_voice_are_moved() {
    let mut parties = Parties::default();
    let mut mixed = voice(0);
    mixed.values[1] = 4.0;
    let id = |n: i64| UtteranceId::from(format!("utt_{n}").as_str());
    parties.take(0, (&id(0), 0), voice(0), ("", Language::Zh), Direction::Inbound);
    let (label, _, _) = parties.take(0, (&id(1), 1_000), mixed, ("", Language::Zh), Direction::Inbound);
    assert_eq!(label, "speaker-1", "too near to be two");
    let (label, _, corrections) = parties.take(0, (&id(2), 2_000), voice(1), ("", Language::Zh), Direction::Inbound);
    assert_eq!(label, "speaker-2");
    assert!(corrections.moved.len() <= 1 && corrections.moved.iter().all(|m| m.utterance_id == id(1) && m.revision == 2));
}
