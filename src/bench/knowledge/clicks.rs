//! What clicks teach: a simulation. No people took part.
//!
//! Every round an agent out of [`AGENTS`] asks a question of the dev split; questions are not equally frequent (the n-th is
//! asked in proportion to 1 / n). The three best articles are shown. He looks at rank r with probability 1 / r; he uses a
//! right article with 0.7 and opens a wrong one with 0.05; a wrong one at the top is dismissed with 0.2. One agent in ten is
//! hostile: he uses a wrong article out of the three, whatever was asked, and calls right ones wrong. What was learned is
//! put into force after every [`ROUNDS_A_DAY`] rounds, which stand for a day. The ranking is measured before (nothing learned)
//! and after, weighted by how often a question is asked: for nobody in particular, and for every honest agent with his own habits.

use chrono::{Days, NaiveDate};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Figures;
use super::faq::{FaqSet, Question, index_of, ndcg, ranking};
use crate::inference::Encoder;
use crate::knowledge::{KnowledgeConfig, KnowledgeIndex, Learned, LearningConfig, Outcome, SearchRequest, Use};

const AGENTS: usize = 40;
const HOSTILE_EVERY: usize = 10;
const DAYS: u64 = 10;
const ROUNDS_A_DAY: usize = 600;
const SHOWN: usize = 3;

/// A question, its topic and how often it is asked.
struct Asked<'a> {
    question: &'a Question,
    topic: String,
    share: f64,
}

pub(super) fn run(set: &FaqSet, config: &KnowledgeConfig, encoder: &Encoder) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir()?;
    let index = index_of(set, folder.path(), config, encoder)?;
    let asked = asked(set);
    let before = weighted_ndcg(&index, &asked, None)?;
    let with_all = simulate(&index, &asked, true)?;
    // every honest agent's own ranking, with what he and everybody did
    let agents = (0..AGENTS).filter(|number| !number.is_multiple_of(HOSTILE_EVERY));
    let own = agents.map(|number| weighted_ndcg(&index, &asked, Some(agent(number)))).collect::<anyhow::Result<Vec<f64>>>()?;
    index.set_learned(Learned::default());
    let honest = simulate(&index, &asked, false)?;
    index.set_learned(Learned::default());
    let cold = weighted_ndcg(&index, &asked, None)?;
    anyhow::ensure!((cold - before).abs() < 1e-12, "a cold start must rank as without learning");
    Ok(vec![
        ("clicks_ndcg10_cold".to_owned(), before),
        ("clicks_ndcg10_honest".to_owned(), honest),
        ("clicks_ndcg10_hostile".to_owned(), with_all),
        ("clicks_ndcg10_agents".to_owned(), own.iter().sum::<f64>() / own.len().max(1) as f64),
        ("clicks_ndcg10_worst_agent".to_owned(), own.iter().copied().fold(1.0, f64::min)),
    ])
}

fn asked(set: &FaqSet) -> Vec<Asked<'_>> {
    let topic = |question: &Question| {
        let position = set.documents.iter().position(|document| document.document_id == question.relevant[0]);
        position.and_then(|position| set.intents[position].clone()).unwrap_or_default()
    };
    let dev = set.questions.iter().filter(|question| question.dev).enumerate();
    let mut asked: Vec<Asked<'_>> =
        dev.map(|(n, question)| Asked { question, topic: topic(question), share: 1.0 / (n + 1) as f64 }).collect();
    let sum: f64 = asked.iter().map(|one| one.share).sum();
    asked.iter_mut().for_each(|one| one.share /= sum);
    asked
}

fn request(one: &Asked<'_>, agent: Option<String>) -> SearchRequest {
    let topic = Some(one.topic.clone()).filter(|topic| !topic.is_empty());
    SearchRequest { topic, agent, ..SearchRequest::new(one.question.text.clone()) }
}

/// Name of an agent.
fn agent(number: usize) -> String {
    format!("agent-{number}")
}

/// nDCG of the questions by how often they are asked, in the ranking of one agent or of nobody in particular.
fn weighted_ndcg(index: &KnowledgeIndex, asked: &[Asked<'_>], agent: Option<String>) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for one in asked {
        sum += one.share * ndcg(&ranking(index, one.question, request(one, agent.clone()))?, &one.question.relevant);
    }
    Ok(sum)
}

/// nDCG after [`DAYS`] days.
fn simulate(index: &KnowledgeIndex, asked: &[Asked<'_>], hostile: bool) -> anyhow::Result<f64> {
    let mut random = StdRng::seed_from_u64(7);
    let start = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap_or_default();
    let mut uses: Vec<Use> = Vec::new();
    for day in 0..DAYS {
        let today = start.checked_add_days(Days::new(day)).unwrap_or(start);
        for _ in 0..ROUNDS_A_DAY {
            let one = draw(asked, &mut random);
            let number = random.random_range(0..AGENTS);
            let agent = agent(number);
            let shown: Vec<String> =
                ranking(index, one.question, request(one, Some(agent.clone())))?.into_iter().take(SHOWN).collect();
            let bad = hostile && number.is_multiple_of(HOSTILE_EVERY);
            for (rank, document) in shown.iter().enumerate() {
                let right = one.question.relevant.contains(document);
                let mut add = |outcome| {
                    let (document_id, topic, agent) = (document.clone(), one.topic.clone(), agent.clone());
                    uses.push(Use { day: today, document_id, topic, agent, outcome, count: 1 });
                };
                add(Outcome::Shown);
                if bad {
                    add(if right { Outcome::Wrong } else { Outcome::Used });
                } else if random.random_bool(1.0 / (rank + 1) as f64) {
                    if right && random.random_bool(0.7) {
                        add(Outcome::Used);
                    } else if !right && random.random_bool(0.05) {
                        add(Outcome::Clicked);
                    } else if !right && rank == 0 && random.random_bool(0.2) {
                        add(Outcome::Dismissed);
                    }
                }
            }
        }
        index.set_learned(Learned::from_uses(&uses, today, LearningConfig::default()));
    }
    weighted_ndcg(index, asked, None)
}

fn draw<'a, 'b>(asked: &'b [Asked<'a>], random: &mut StdRng) -> &'b Asked<'a> {
    let mut left = random.random_range(0.0..1.0);
    for one in asked {
        left -= one.share;
        if left <= 0.0 {
            return one;
        }
    }
    &asked[asked.len() - 1]
}
