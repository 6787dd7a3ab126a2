//! The files of a flow as a person writes them: triggers, slots, steps, decision tables, texts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::condition::Condition;
use super::handover::Reason;
use crate::conversation::Language;

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Mandarin.
    #[serde(default)]
    pub zh: String,
    /// English.
    #[serde(default)]
    pub en: String,
}

impl Words {
    /// The text in a language.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

/// Words or patterns in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordLists {
    /// Mandarin.
    #[serde(default)]
    pub zh: Vec<String>,
    /// English.
    #[serde(default)]
    pub en: Vec<String>,
}

impl WordLists {
    /// Both lists, Mandarin first.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.zh.iter().chain(&self.en)
    }
}

/// What opens a flow in one language.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// How customers put it; similar wording opens the flow.
    #[serde(default)]
    pub examples: Vec<String>,
    /// Regular expressions that open it.
    #[serde(default)]
    pub patterns: Vec<String>,
    /// Regular expressions that forbid it.
    #[serde(default)]
    pub not: Vec<String>,
}

/// Triggers per language.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// Mandarin.
    #[serde(default)]
    pub zh: Trigger,
    /// English.
    #[serde(default)]
    pub en: Trigger,
}

/// What a slot takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotKind {
    /// Number of an order.
    OrderNo,
    /// Telephone number.
    Phone,
    /// Sum of money.
    Amount,
    /// Day.
    Date,
    /// Month of a year.
    Month,
    /// One of the slot's options.
    Choice,
    /// Yes or no.
    YesNo,
    /// So many digits.
    Digits,
    /// A number in a range.
    Number,
    /// Name of a person.
    Name,
    /// Postal address.
    Address,
    /// Anything.
    Text,
}

impl SlotKind {
    /// Whether values are taken from any message, not only when asked.
    pub fn from_any_message(self) -> bool {
        matches!(self, Self::OrderNo | Self::Phone | Self::Amount | Self::Date | Self::Month | Self::Choice)
    }

    /// Whether a value has a form of its own, so that a message which holds one is an answer.
    pub fn is_exact(self) -> bool {
        matches!(self, Self::OrderNo | Self::Phone | Self::Date | Self::Month | Self::Digits | Self::Address)
    }

    /// Whether nearly every message would be taken for a value.
    pub fn is_free(self) -> bool {
        matches!(self, Self::Name | Self::Address | Self::Text)
    }
}

/// One option of a choice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotOption {
    /// Value.
    pub id: String,
    /// On buttons.
    pub label: Words,
    /// What customers call it.
    #[serde(default)]
    pub words: WordLists,
}

/// One thing that a flow has to know.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Name.
    pub name: String,
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: SlotKind,
    /// The question.
    pub ask: Words,
    /// Said before asking again.
    #[serde(default)]
    pub hint: Words,
    /// Options of a choice.
    #[serde(default, rename = "option")]
    pub options: Vec<SlotOption>,
    /// Exact number of digits.
    #[serde(default)]
    pub length: Option<usize>,
    /// Fewest digits.
    #[serde(default)]
    pub min_length: Option<usize>,
    /// Most digits.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// Least number.
    #[serde(default)]
    pub min: Option<f64>,
    /// Greatest number.
    #[serde(default)]
    pub max: Option<f64>,
    /// A date must not lie behind today.
    #[serde(default)]
    pub past: bool,
    /// A date must not lie before today.
    #[serde(default)]
    pub future: bool,
    /// The customer may leave it out.
    #[serde(default)]
    pub skip: bool,
    /// Whether it is filled before it was asked for, where its kind allows that.
    #[serde(default = "yes")]
    pub early: bool,
}

fn yes() -> bool {
    true
}

/// What follows a step or row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Then {
    /// The next step.
    #[default]
    GoOn,
    /// The flow is finished.
    Done,
    /// A slot is forgotten and asked again.
    Again(String),
    /// A person takes over.
    HandOver(Reason),
}

impl TryFrom<String> for Then {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (verb, object) = text.split_once(' ').unwrap_or((&text, ""));
        match (verb, object) {
            ("go", "on") => Ok(Self::GoOn),
            ("done", "") => Ok(Self::Done),
            ("again", slot) if !slot.is_empty() => Ok(Self::Again(slot.to_owned())),
            ("handoff", reason) => Reason::from_name(reason).map(Self::HandOver).ok_or_else(|| {
                let known = Reason::ALL.map(Reason::name).join(", ");
                format!("handoff needs a reason, one of {known}; \"{reason}\" is none")
            }),
            _ => Err(format!("\"{text}\" is not known; write \"go on\", \"done\", \"again SLOT\" or \"handoff REASON\"")),
        }
    }
}

/// Conditions that must all hold.
pub type When = BTreeMap<String, Condition>;

/// One step. Exactly one of `ask call decide say run` is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Passed over unless all hold.
    #[serde(default)]
    pub when: When,
    /// Slot to ask for.
    #[serde(default)]
    pub ask: Option<String>,
    /// Business call.
    #[serde(default)]
    pub call: Option<String>,
    /// Decision table.
    #[serde(default)]
    pub decide: Option<String>,
    /// Text to say once.
    #[serde(default)]
    pub say: Option<String>,
    /// Another flow to run.
    #[serde(default)]
    pub run: Option<String>,
    /// What follows.
    #[serde(default)]
    pub then: Then,
}

/// One row of a decision table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Holds if all hold.
    #[serde(default)]
    pub when: When,
    /// Text to say; its name is the decision.
    #[serde(default)]
    pub say: Option<String>,
    /// What follows.
    #[serde(default)]
    pub then: Then,
}

/// A decision table: the first row that holds counts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Name.
    pub id: String,
    /// Rows in order.
    #[serde(default, rename = "row")]
    pub rows: Vec<Row>,
}

/// A flow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Name; that of its file.
    pub id: String,
    /// Version, from 1.
    pub version: u32,
    /// On buttons.
    pub title: Words,
    /// Intents that speak for it.
    #[serde(default)]
    pub intents: Vec<String>,
    /// Queue of its hand-overs.
    #[serde(default)]
    pub queue: Option<String>,
    /// Hand-overs from here have priority 1.
    #[serde(default)]
    pub urgent: bool,
    /// Once it went well it is not run again.
    #[serde(default)]
    pub once: bool,
    /// What opens it.
    #[serde(default)]
    pub trigger: Triggers,
    /// What it has to know.
    #[serde(default, rename = "slot")]
    pub slots: Vec<Slot>,
    /// What it does.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
    /// Its decision tables.
    #[serde(default, rename = "table")]
    pub tables: Vec<Table>,
    /// Its texts.
    #[serde(default)]
    pub texts: BTreeMap<String, Words>,
}

impl Flow {
    /// A slot by name.
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    /// A table by name.
    pub fn table(&self, id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }
}

/// A business call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Name.
    pub name: String,
    /// Behind the base address.
    pub path: String,
    /// Values that go out.
    #[serde(default)]
    pub sends: Vec<String>,
    /// Values that come back.
    #[serde(default)]
    pub gives: Vec<String>,
    /// How long it may take.
    pub timeout_ms: u64,
    /// What follows a failure.
    #[serde(default)]
    pub failed: Then,
    /// Said at a failure.
    #[serde(default)]
    pub fallback: Words,
    /// What the practice backend answers.
    #[serde(default)]
    pub sample: BTreeMap<String, toml::Value>,
}

/// The file of business calls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// All of them.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<Webhook>,
}
