//! Which speaker is the agent: by wording, by who greets, and by who speaks first.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::conversation::{Direction, Language, Role};

/// Evidence of a greeting formula, in natural log odds; wording is in the same unit.
const GREETING: f32 = 4.0;
/// Evidence of an act that agents do more often than customers.
const ACT: f32 = 0.7;
/// Evidence of speaking first, before anything else is known.
const FIRST: f32 = 1.0;
/// Log odds between the speakers from which roles are named without having heard both.
const ALONE: f32 = 2.5;
/// One utterance cannot say more than this.
const MAX_EVIDENCE: f32 = 5.0;
/// Longest cue: characters of Chinese, words of English.
const MAX_CHARACTERS: usize = 4;
const MAX_WORDS: usize = 3;

/// What only an agent says, at the begin of a call.
const GREETINGS: [&str; 17] = [
    "有什么可以帮",
    "有什么能帮",
    "为您服务",
    "为你服务",
    "欢迎致电",
    "感谢您的来电",
    "感谢致电",
    "客服中心",
    "工号",
    "thank you for calling",
    "thanks for calling",
    "how can i help",
    "how may i help",
    "how can i assist",
    "how may i assist",
    "welcome to",
    "you're through to",
];

#[derive(Deserialize)]
struct Cues {
    bias: f32,
    cues: BTreeMap<String, f32>,
}

static CUES: LazyLock<BTreeMap<String, Cues>> = LazyLock::new(|| {
    // Part of the program and read by a test; without it roles come from greetings alone.
    serde_json::from_str(include_str!("cues.json")).unwrap_or_default()
});

/// What is known of the speakers of a channel, one value for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleEvidence {
    /// Sum of [`agent_evidence`] over what he said.
    pub agent: f32,
    /// Utterances heard.
    pub utterances: usize,
}

/// Whether a text has a formula with which an agent greets.
pub fn is_greeting(text: &str) -> bool {
    let text = text.to_lowercase();
    GREETINGS.iter().any(|formula| text.contains(formula))
}

/// How much one utterance speaks for an agent (above 0) or a customer (below 0), in natural log odds within -5 to 5: its
/// wording, a greeting formula, and the acts that were read in it (names of the taxonomy; none if they are not known).
pub fn agent_evidence<'a>(text: &str, language: Language, acts: impl IntoIterator<Item = &'a str>) -> f32 {
    let greeting = if is_greeting(text) { GREETING } else { 0.0 };
    let acts: f32 = acts.into_iter().filter(|act| matches!(*act, "hold" | "instruct" | "comfort")).map(|_| ACT).sum();
    (wording(text, language) + greeting + acts).clamp(-MAX_EVIDENCE, MAX_EVIDENCE)
}

fn wording(text: &str, language: Language) -> f32 {
    let Some(table) = CUES.get(language.name()) else { return 0.0 };
    let text = text.to_lowercase();
    let mut present: Vec<&str> = match language {
        Language::Zh => character_groups(&text),
        Language::En => word_groups(&text),
    };
    present.sort_unstable();
    present.dedup();
    let found: Vec<f32> = present.iter().filter_map(|group| table.cues.get(*group).copied()).collect();
    // Without any cue the bias would be all there is, and it says only that customers talk more.
    if found.is_empty() { 0.0 } else { table.bias + found.iter().sum::<f32>() }
}

/// Groups of 1 to 4 Chinese characters.
fn character_groups(text: &str) -> Vec<&str> {
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let starts: Vec<(usize, char)> = text.char_indices().collect();
    let mut groups = Vec::new();
    for (n, &(from, _)) in starts.iter().enumerate() {
        for &(at, character) in starts[n..].iter().take(MAX_CHARACTERS).take_while(|(_, c)| is_chinese(*c)) {
            groups.push(&text[from..at + character.len_utf8()]);
        }
    }
    groups
}

/// Groups of 1 to 3 words that stand side by side with one blank.
fn word_groups(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '\'';
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (at, character) in text.char_indices().filter(|(_, c)| is_word(*c)) {
        match words.last_mut().filter(|(_, end)| *end == at) {
            Some((_, end)) => *end = at + 1,
            None => words.push((at, at + character.len_utf8())),
        }
    }
    let mut groups = Vec::new();
    for (n, &(from, _)) in words.iter().enumerate() {
        for (k, &(_, to)) in words[n..].iter().take(MAX_WORDS).enumerate() {
            // Punctuation between two words parts them, as two blanks do.
            if text[from..to].chars().filter(|c| !is_word(*c)).count() == k {
                groups.push(&text[from..to]);
            }
        }
    }
    groups
}

/// The role of each speaker, 0 and 1 in the order of their first words; `Unknown` while nothing speaks for either.
pub fn name_roles(speakers: &[RoleEvidence; 2], direction: Direction) -> [Role; 2] {
    let prior = match direction {
        // Who is called speaks first: the agent of an incoming call, the customer of an outgoing one.
        Direction::Inbound => FIRST,
        Direction::Outbound => -FIRST,
    };
    let heard_both = speakers.iter().all(|speaker| speaker.utterances > 0);
    let odds = speakers[0].agent - speakers[1].agent;
    if heard_both {
        return if odds + prior > 0.0 { [Role::Agent, Role::Customer] } else { [Role::Customer, Role::Agent] };
    }
    if odds >= ALONE {
        [Role::Agent, Role::Customer]
    } else if odds <= -ALONE {
        [Role::Customer, Role::Agent]
    } else {
        [Role::Unknown, Role::Unknown]
    }
}
