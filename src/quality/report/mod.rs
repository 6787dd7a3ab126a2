//! Reports over many scorecards: a page that needs nothing but itself.
//!
//! A [`Report`] takes scorecards one by one and keeps sums, a histogram and the worst conversations, so its memory
//! does not grow with their number.

mod page;

use std::collections::BTreeMap;

use super::model::{Kind, Level};
use super::rule_test::quote;
use super::ruleset::RuleState;
use super::score::{Scorecard, ScoredRule};
use crate::conversation::{Conversation, Language, Role};

/// How many quotes of a rule the page shows for a conversation.
const QUOTES: usize = 4;

#[derive(Clone, Debug, Default)]
struct RuleTally {
    name: String,
    level: Level,
    hit: usize,
    miss: usize,
    na: usize,
    points: f64,
}

#[derive(Clone, Debug, Default)]
struct AgentTally {
    team: String,
    calls: usize,
    scored: usize,
    sum: f64,
    fatal: usize,
    hits: usize,
}

#[derive(Clone, Debug)]
struct Worst {
    total: f64,
    call_id: String,
    agent: String,
    fatal: bool,
    hits: Vec<WorstHit>,
}

/// A hit of one of the worst conversations.
#[derive(Clone, Debug)]
struct WorstHit {
    name: String,
    level: Level,
    points: f64,
    /// Who, and the words.
    quotes: Vec<(String, String)>,
}

/// A report that is being made.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    language: Language,
    keep_worst: usize,
    conversations: usize,
    unscored: usize,
    fatal: usize,
    sum: f64,
    max: f64,
    histogram: [usize; 10],
    /// Id, name, sum and number, in the order of the scheme.
    dimensions: Vec<(String, String, f64, usize)>,
    rules: BTreeMap<String, RuleTally>,
    agents: BTreeMap<String, AgentTally>,
    worst: Vec<Worst>,
}

impl Report {
    /// An empty report; it will show the `worst` conversations with the lowest totals.
    pub fn new(title: &str, language: Language, worst: usize) -> Self {
        Self {
            title: title.to_owned(),
            language,
            keep_worst: worst,
            conversations: 0,
            unscored: 0,
            fatal: 0,
            sum: 0.0,
            max: 100.0,
            histogram: [0; 10],
            dimensions: Vec::new(),
            rules: BTreeMap::new(),
            agents: BTreeMap::new(),
            worst: Vec::new(),
        }
    }

    /// Takes a scorecard; with its conversation the evidence can be quoted.
    pub fn add(&mut self, card: &Scorecard, conversation: Option<&Conversation>) {
        self.conversations += 1;
        self.max = card.max;
        self.fatal += usize::from(!card.fatal.is_empty());
        match card.total {
            Some(total) => {
                self.sum += total;
                let share = if card.max > 0.0 { (total / card.max).clamp(0.0, 1.0) } else { 0.0 };
                self.histogram[((share * 10.0) as usize).min(9)] += 1;
            }
            None => self.unscored += 1,
        }
        for dimension in &card.dimensions {
            let at = self.dimensions.iter().position(|d| d.0 == dimension.id).unwrap_or_else(|| {
                let name = self.own_part(dimension.name.as_deref().unwrap_or(&dimension.id)).to_owned();
                self.dimensions.push((dimension.id.clone(), name, 0.0, 0));
                self.dimensions.len() - 1
            });
            if let Some(score) = dimension.score {
                self.dimensions[at].2 += score;
                self.dimensions[at].3 += 1;
            }
        }
        for rule in &card.results {
            let name = self.own_part(title(rule)).to_owned();
            let tally = self.rules.entry(rule.result.rule.clone()).or_default();
            tally.name = name;
            tally.level = rule.level;
            tally.points += rule.points;
            match rule.result.state {
                RuleState::Hit => tally.hit += 1,
                RuleState::Miss => tally.miss += 1,
                RuleState::Na => tally.na += 1,
                RuleState::NotApplicable | RuleState::Pending => {}
            }
        }
        self.add_agent(card);
        self.add_worst(card, conversation);
    }

    /// Of a name in both languages, `中文 / English`, the part of this page; other names are whole.
    fn own_part<'n>(&self, name: &'n str) -> &'n str {
        match name.split_once(" / ") {
            Some((chinese, _)) if self.language == Language::Zh => chinese,
            Some((_, english)) => english,
            None => name,
        }
    }

    fn add_agent(&mut self, card: &Scorecard) {
        let agent = self.agents.entry(card.agent_id.clone().unwrap_or_else(|| "–".into())).or_default();
        agent.team = card.team.clone().unwrap_or_default();
        agent.calls += 1;
        agent.fatal += usize::from(!card.fatal.is_empty());
        agent.hits += card.results.iter().filter(|r| counts_against(r)).count();
        if let Some(total) = card.total {
            agent.scored += 1;
            agent.sum += total;
        }
    }

    fn add_worst(&mut self, card: &Scorecard, conversation: Option<&Conversation>) {
        let Some(total) = card.total else { return };
        let full = self.worst.len() >= self.keep_worst;
        if full && self.worst.last().is_none_or(|w| w.total <= total) {
            return;
        }
        let quotes = |rule: &ScoredRule| match conversation {
            Some(conversation) => rule
                .result
                .evidence
                .iter()
                .take(QUOTES)
                .map(|span| {
                    let role = conversation.turns.get(span.turn).map_or(Role::Unknown, |t| t.role);
                    (self.speaker(role, span.turn), quote(conversation, *span))
                })
                .collect(),
            None => Vec::new(),
        };
        let hits = card
            .results
            .iter()
            .filter(|r| counts_against(r))
            .map(|r| WorstHit { name: self.own_part(title(r)).to_owned(), level: r.level, points: r.points, quotes: quotes(r) })
            .collect();
        let agent = card.agent_id.clone().unwrap_or_else(|| "–".into());
        let entry = Worst { total, call_id: card.call_id.clone(), agent, fatal: !card.fatal.is_empty(), hits };
        let place = self.worst.partition_point(|w| w.total <= total);
        self.worst.insert(place, entry);
        self.worst.truncate(self.keep_worst);
    }

    /// Who said a sentence, and which it is, from 1.
    fn speaker(&self, role: Role, turn: usize) -> String {
        if self.language != Language::Zh {
            return format!("{}, turn {}", role.name(), turn + 1);
        }
        let name = match role {
            Role::Agent => "坐席",
            Role::Customer => "客户",
            Role::Bot => "机器人",
            Role::Supervisor => "主管",
            Role::Ivr => "语音导航",
            Role::System => "系统",
            Role::Unknown | Role::Mixed => "未知",
        };
        format!("{name} 第 {} 句", turn + 1)
    }
}

fn title(rule: &ScoredRule) -> &str {
    rule.name.as_deref().unwrap_or(&rule.result.rule)
}

/// A hit that is nothing to be proud of.
fn counts_against(rule: &ScoredRule) -> bool {
    rule.result.state == RuleState::Hit && rule.kind == Kind::Violation
}
