//! `knowledge`: whether a question was answered as the articles say.

use serde_json::Value as Json;

use super::keyword::{Phrase, find};
use super::similar::{best, read_score};
use super::{Outcome, plain, whole};
use crate::conversation::Role;
use crate::quality::fields::{Fields, Report};
use crate::quality::model::Span;
use crate::quality::models::Article;
use crate::quality::sentence::View;
use crate::quality::source::Spot;
use crate::quality::value::UnitValue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Wrong,
    Right,
    Unanswered,
}

#[derive(Clone, Debug)]
pub(crate) struct Knowledge {
    article: Option<String>,
    category: Option<String>,
    question_score: u16,
    answer_score: u16,
    within: usize,
    on: On,
}

impl Knowledge {
    pub(crate) fn read(json: &Json, pointer: &str, report: &mut Report) -> Option<Self> {
        let allowed = ["article", "category", "question_score", "answer_score", "within", "on"];
        let fields = Fields::new(json, pointer, &allowed, report)?;
        let (article, category) = (fields.text("article", report), fields.text("category", report));
        if fields.has("article") == fields.has("category") {
            report.push(pointer, Spot::Value, "missing_field", "give either `article` or `category`".into(), None);
        }
        let ons = [("wrong", On::Wrong), ("right", On::Right), ("unanswered", On::Unanswered)];
        Some(Self {
            article: article.map(str::to_owned),
            category: category.map(str::to_owned),
            question_score: read_score(&fields, "question_score", report),
            answer_score: read_score(&fields, "answer_score", report),
            within: fields.count("within", 3, 1, report),
            on: fields.choice("on", &ons, report).unwrap_or(On::Wrong),
        })
    }

    pub(crate) fn test(&self, turn: usize, view: &View) -> Outcome {
        self.judge(turn, view).unwrap_or_else(|open| {
            let waits = open.is_some_and(|t| !view.sentence(t).complete);
            (if waits { UnitValue::Pending } else { UnitValue::Unmeasured }, Vec::new())
        })
    }

    /// `Err` names the sentence whose similarity is not known.
    fn judge(&self, turn: usize, view: &View) -> Result<Outcome, Option<usize>> {
        let articles = view.models.articles.as_ref().ok_or(None)?;
        let lacks = |t: usize| view.sentence(t).timed_out("similarity");
        let known = |t: usize, samples: &[String]| if lacks(t) { None } else { best(view.sentence(t).text(), samples, view) };
        let mut asked: Option<(u16, &Article)> = None;
        for article in articles.iter().filter(|a| self.concerns(a)) {
            let score = known(turn, &article.questions).ok_or(Some(turn))?;
            if asked.is_none_or(|(best, _)| score > best) {
                asked = Some((score, article));
            }
        }
        let Some((_, article)) = asked.filter(|(score, _)| score / 100 >= self.question_score) else {
            return Ok(plain(false));
        };
        let agents = (turn + 1..view.turns.len()).filter(|i| *i < view.placed && is_agent(*i, view));
        let answers: Vec<usize> = agents.take(self.within).collect();
        if !view.ended && answers.len() < self.within {
            return Ok((UnitValue::Pending, Vec::new()));
        }
        let mut spans: Vec<Span> = vec![whole(turn, view)];
        spans.extend(answers.iter().map(|a| whole(*a, view)));
        let truth = match (self.on, answers.is_empty()) {
            (On::Unanswered, empty) => empty,
            (_, true) => false,
            (on, false) => self.is_right(article, &answers, view, known)? == (on == On::Right),
        };
        Ok((UnitValue::of(truth), spans))
    }

    fn concerns(&self, article: &Article) -> bool {
        self.article.as_ref().is_some_and(|id| *id == article.id)
            || self.category.as_ref().is_some_and(|c| *c == article.category)
    }

    fn is_right(
        &self,
        article: &Article,
        answers: &[usize],
        view: &View,
        known: impl Fn(usize, &[String]) -> Option<u16>,
    ) -> Result<bool, Option<usize>> {
        let facts = article.facts.iter().all(|group| {
            let phrases: Vec<Phrase> = group.iter().map(|p| Phrase::new(p, false)).collect();
            answers.iter().any(|a| !find(&phrases, view.sentence(*a).chars(), 0, view.sentence(*a).len, true).is_empty())
        });
        if !facts || article.answers.is_empty() {
            return Ok(facts);
        }
        let mut score = 0;
        for answer in answers {
            score = score.max(known(*answer, &article.answers).ok_or(Some(*answer))?);
        }
        let joined: Vec<&str> = answers.iter().map(|a| view.sentence(*a).text()).collect();
        score = score.max(best(&joined.join("\n"), &article.answers, view).ok_or(answers.last().copied())?);
        Ok(score / 100 >= self.answer_score)
    }
}

fn is_agent(turn: usize, view: &View) -> bool {
    !view.sentence(turn).blank && view.sentence(turn).role == Role::Agent
}
