//! Choosing when the bot is sure enough, on the dev part alone.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::super::Session;
use super::measure::{Question, TODAY, lines};
use super::{article_names, practice_bot};
use crate::chat::{Act, CallResults, Dialogue, Heard, Outcome, State, Thresholds};
use crate::pipeline::Talker;

/// Scores of a passage that are tried as `answer` …
const ANSWER: [f32; 11] = [0.30, 0.34, 0.38, 0.42, 0.44, 0.46, 0.48, 0.50, 0.52, 0.56, 0.60];
/// … as `answer_alone` …
const ALONE: [f32; 5] = [0.55, 0.60, 0.65, 0.70, 0.80];
/// … and shares of words that are tried as `overlap`.
const OVERLAP: [f32; 6] = [0.0, 0.10, 0.20, 0.30, 0.40, 0.50];

/// A question with what was heard and found for it: settings differ behind that.
struct Asked {
    state: State,
    heard: Heard,
    relevant: Vec<String>,
}

/// How settings do.
struct Outcomes {
    thresholds: Thresholds,
    precision: f64,
    coverage: f64,
    refused: f64,
}

/// Prints the settings that are most often right among those that answer often enough.
pub(super) async fn run(session: &Session, folder: &Path, coverage: f64) -> anyhow::Result<ExitCode> {
    let (mut bot, _practice) = practice_bot(session).await?;
    let names = article_names(&session.home);
    let mut asked = Vec::new();
    for item in lines::<Question>(folder, "questions.jsonl")?.into_iter().filter(|i| i.split == "dev") {
        let mut state = State::new(item.language, TODAY.parse()?);
        let talker = Talker { key: &item.id, queue: None, consent: false };
        for text in &item.context {
            state = bot.reply(&state, text, &talker).await?.state;
        }
        let heard = bot.listen(&state, &item.text).await?;
        asked.push(Asked { state, heard, relevant: item.relevant });
    }
    anyhow::ensure!(!asked.is_empty(), "{}: there is no question of split dev", folder.display());
    let bot = Arc::get_mut(&mut bot).ok_or_else(|| anyhow::anyhow!("the bot is in use"))?;
    let now = bot.dialogue().book().config.thresholds;
    let mut tried = vec![outcomes(bot.dialogue(), now, &asked, &names)];
    for (answer, answer_alone, overlap) in
        ANSWER.iter().flat_map(|a| ALONE.iter().flat_map(move |b| OVERLAP.iter().map(move |c| (*a, *b, *c))))
    {
        let thresholds = Thresholds { answer, answer_alone, overlap, ..now };
        bot.dialogue_mut().set_thresholds(thresholds);
        tried.push(outcomes(bot.dialogue(), thresholds, &asked, &names));
    }
    println!("{} questions of the dev part; in force:", asked.len());
    print(&tried[0]);
    let mut enough: Vec<&Outcomes> = tried.iter().skip(1).filter(|t| t.coverage >= coverage).collect();
    enough.sort_by(|a, b| b.precision.total_cmp(&a.precision).then(b.coverage.total_cmp(&a.coverage)));
    println!("best with coverage of at least {coverage}:");
    enough.iter().take(12).for_each(|t| print(t));
    Ok(ExitCode::SUCCESS)
}

fn print(o: &Outcomes) {
    let t = o.thresholds;
    println!(
        "  answer = {:.2}  answer_alone = {:.2}  overlap = {:.2}   precision {:.3}  coverage {:.3}  unanswerable refused {:.3}",
        t.answer, t.answer_alone, t.overlap, o.precision, o.coverage, o.refused
    );
}

fn outcomes(
    dialogue: &Dialogue,
    thresholds: Thresholds,
    asked: &[Asked],
    names: &std::collections::HashMap<String, String>,
) -> Outcomes {
    let (mut answered, mut right, mut covered, mut refused) = (0, 0, 0, 0);
    let answerable = asked.iter().filter(|a| !a.relevant.is_empty()).count();
    for item in asked {
        let Outcome::Turn(turn) = dialogue.turn(&item.state, &item.heard, &CallResults::new()) else { continue };
        let article = turn.acts.iter().find_map(|act| match act {
            Act::Answer(id) => Some(names.get(id).unwrap_or(id)),
            _ => None,
        });
        answered += usize::from(article.is_some());
        right += usize::from(article.is_some_and(|id| item.relevant.contains(id)));
        match item.relevant.is_empty() {
            true => refused += usize::from(article.is_none()),
            false => covered += usize::from(article.is_some()),
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred questions")]
    let share = |good: usize, of: usize| if of == 0 { 0.0 } else { good as f64 / of as f64 };
    Outcomes {
        thresholds,
        precision: share(right, answered),
        coverage: share(covered, answerable),
        refused: share(refused, asked.len() - answerable),
    }
}
