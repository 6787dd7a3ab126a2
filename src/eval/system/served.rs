//! A served Zhiyin, over its HTTP interface.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::built_in::{article_names, from_understanding, unsupported};
use super::{ModelRef, Progress, System, SystemIdentity};
use crate::conversation::Understanding;
use crate::eval::example::{Dataset, Example, Input};
use crate::eval::prediction::Prediction;
use crate::eval::task::{Kind, Task};
use crate::eval::{EvalError, Result};

/// Texts in one request.
const TEXTS: usize = 64;
/// Passages asked for; several may be of one document.
const PASSAGES: usize = 40;

/// A service at an address.
pub struct Served {
    base: String,
    token: Option<String>,
    client: reqwest::Client,
    runtime: Handle,
    models: Vec<ModelRef>,
}

#[derive(Deserialize)]
struct Found {
    passages: Vec<FoundPassage>,
}

#[derive(Deserialize)]
struct FoundPassage {
    document_id: String,
    title: String,
}

impl Served {
    /// Asks the service who it is. Must be called outside of async code, within a runtime.
    ///
    /// # Errors
    /// It does not answer, or refuses the token.
    pub fn connect(base: &str, token: Option<String>, runtime: Handle) -> Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        let mut served = Self { base, token, client: reqwest::Client::new(), runtime, models: Vec::new() };
        let listed = served.ask(reqwest::Method::GET, "/api/v1/models", None)?;
        let list = listed.as_array().or_else(|| listed["items"].as_array()).or_else(|| listed["models"].as_array());
        served.models = list.into_iter().flatten().filter_map(model_ref).collect();
        Ok(served)
    }

    fn ask(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}{path}", self.base);
        let fail = |problem: String| EvalError::Http { url: url.clone(), problem };
        let mut request = self.client.request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(|e| fail(e.to_string()))?;
            let status = answer.status();
            let value: Value = answer.json().await.map_err(|e| fail(format!("status {status}: {e}")))?;
            if status.is_success() {
                return Ok(value);
            }
            let detail = value["detail"].as_str().or_else(|| value["title"].as_str()).unwrap_or("no reason given");
            Err(fail(format!("status {status}: {detail}")))
        })
    }

    fn understand(&self, task: &Task, examples: &[Example], progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let mut all = Vec::with_capacity(examples.len());
        for part in examples.chunks(TEXTS) {
            let texts: Vec<String> = part.iter().map(Example::shown).collect();
            let answer = self.ask(reqwest::Method::POST, "/api/v1/understand", Some(&json!({ "inputs": texts })))?;
            let read: Vec<Understanding> = serde_json::from_value(answer)
                .map_err(|e| EvalError::Http { url: self.base.clone(), problem: format!("not the expected answer: {e}") })?;
            if read.len() != part.len() {
                let problem = format!("{} answers to {} texts", read.len(), part.len());
                return Err(EvalError::Http { url: self.base.clone(), problem });
            }
            all.extend(part.iter().zip(&read).map(|(example, read)| from_understanding(&task.stage, example, read)));
            progress(all.len());
        }
        Ok(all)
    }

    /// Articles have the ids that their files give them; the served base may give other documents ids of its own: they are
    /// known by their titles.
    fn search(&self, task: &Task, dataset: &Dataset, progress: Progress<'_>) -> Result<Vec<Prediction>> {
        let titles: HashMap<&str, &str> = dataset.corpus.iter().map(|d| (d.title.as_str(), d.id.as_str())).collect();
        let names = article_names(dataset);
        let mode = task.run.mode.as_deref().unwrap_or("hybrid");
        let mut all = Vec::new();
        let mut known = 0;
        for example in &dataset.examples {
            let Input::Text(query) = &example.input else { continue };
            let body = json!({ "query": query, "top_k": PASSAGES, "mode": mode });
            let found: Found =
                serde_json::from_value(self.ask(reqwest::Method::POST, "/api/v1/knowledge/search", Some(&body))?)
                    .map_err(|e| EvalError::Http { url: self.base.clone(), problem: format!("not the expected answer: {e}") })?;
            let mut ranking: Vec<String> = Vec::new();
            for passage in &found.passages {
                let named = names.get(&passage.document_id).map(String::as_str);
                let id = named.or_else(|| titles.get(passage.title.as_str()).copied());
                known += usize::from(id.is_some());
                // A document outside of the set keeps its place in the order.
                let id = id.map_or_else(|| format!("other:{}", passage.title), str::to_owned);
                if !ranking.contains(&id) {
                    ranking.push(id);
                }
            }
            ranking.truncate(10);
            all.push(Prediction { ranking: Some(ranking), ..Prediction::to(&example.id) });
            progress(all.len());
        }
        if known == 0 {
            let hint = "it holds none of the documents of this task; import them with `zhiyin knowledge import` first";
            return Err(unsupported(&self.base, &task.stage, hint));
        }
        Ok(all)
    }
}

fn model_ref(model: &Value) -> Option<ModelRef> {
    let id = model["id"].as_str()?.to_owned();
    let sha256 = model["sha256"].as_str().map_or_else(|| super::built_in::card_sha256(&model["card"]), str::to_owned);
    Some(ModelRef { id, sha256 })
}

impl System for Served {
    fn identity(&self) -> SystemIdentity {
        SystemIdentity { name: self.base.clone(), models: self.models.clone() }
    }

    fn predict(&self, task: &Task, dataset: &Dataset, progress: Progress<'_>) -> Result<Vec<Prediction>> {
        match task.kind() {
            Kind::Label | Kind::Labels => self.understand(task, &dataset.examples, progress),
            Kind::Spans if task.stage == "entity" => self.understand(task, &dataset.examples, progress),
            Kind::Ranking => self.search(task, dataset, progress),
            _ => Err(unsupported(&self.base, &task.stage, "over HTTP run intent, emotion, act, conduct, entity and search")),
        }
    }
}
