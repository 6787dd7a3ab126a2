//! A head of one's own: trained, switched to while requests run, rolled back, followed from another process, kept over a
//! restart.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use zhiyin::app::App;
use zhiyin::inference::EncoderModel;
use zhiyin::pipeline::activate;
use zhiyin::registry::Registry;
use zhiyin::train::{Dataset, TrainSettings, train};

use crate::support::{home, settings};

struct Running {
    base: String,
    token: String,
    http: reqwest::Client,
    context: zhiyin::api::ApiContext,
    stop: tokio::sync::oneshot::Sender<()>,
    served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

/// A service on a store that outlives it; `token` is that of its first life.
async fn start(store: &TempDir, token: Option<String>) -> Running {
    let app = App::start(&home(), &settings(store)).await.unwrap();
    let base = format!("http://{}", app.address().unwrap());
    let token = token.unwrap_or_else(|| app.first_token.as_ref().unwrap().secret.clone());
    let context = app.context.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(app.serve(Duration::from_millis(200), async move { drop(stopped.await) }));
    Running { base, token, http: reqwest::Client::new(), context, stop, served }
}

impl Running {
    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
    }

    async fn put(&self, champion: Value, if_match: Option<&str>) -> (u16, Value) {
        let request = self.http.put(format!("{}/api/v1/models/routes/intent", self.base)).json(&json!({"champion": champion}));
        self.send(if_match.into_iter().fold(request, |r, tag| r.header("If-Match", tag))).await
    }

    async fn best(&self, text: &str) -> String {
        let request = self.http.post(format!("{}/api/v1/understand", self.base)).json(&json!({ "text": text }));
        let (status, answer) = self.send(request).await;
        assert_eq!(status, 200, "{answer}");
        answer["intents"][0]["name"].as_str().unwrap().to_owned()
    }

    async fn stop(self) {
        drop(self.context);
        let _ = self.stop.send(());
        self.served.await.unwrap().unwrap();
    }
}

/// Trains a head on some of the project's own utterances, under labels that only it has.
fn train_into(folder: &Path) {
    let rows = std::fs::read_to_string(home().join("datasets/service-zh/train.jsonl")).unwrap();
    let mut lines = Vec::new();
    for label in ["query_bill", "refund_status", "card_loss"] {
        let of_label = rows.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        let of_label = of_label.filter(|r| r["intents"] == json!([label])).take(40);
        lines.extend(of_label.map(|r| json!({"text": r["text"], "label": format!("mine/{label}")}).to_string()));
    }
    assert!(lines.len() > 60, "the data set has rows of these intents");
    let file = folder.parent().unwrap().join("rows.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let settings = TrainSettings { threads: 1, ..TrainSettings::new("intent") };
    let data = Dataset::load(&file, None, None, &settings).unwrap();
    let base = home().join("models/zhiyin-encoder-small");
    let trained = train(&data, &EncoderModel::load(&base).unwrap(), &base, &settings, &|_| ()).unwrap();
    trained.save(folder, "zhiyin train --data rows.jsonl").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trained_head_serves_live_without_a_lost_request_and_over_a_restart() {
    let store = tempfile::tempdir().unwrap();
    let models = store.path().join("models");
    std::fs::create_dir_all(&models).unwrap();
    let folder = models.join("my-intent");
    tokio::task::spawn_blocking(move || train_into(&folder)).await.unwrap();
    let service = Arc::new(start(&store, None).await);
    let text = "我想查一下这个月的账单";
    let own = service.best(text).await;
    assert!(!own.starts_with("mine/"));

    // Requests run all the while; each must be answered by one head or the other.
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (service, over, answered) = (service.clone(), over.clone(), answered.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    assert!(!service.best("钱什么时候退到我卡上").await.is_empty());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    assert_eq!(service.put(json!("my-intent"), None).await.0, 428);
    assert_eq!(service.put(json!("my-intent"), Some("\"7\"")).await.0, 412);
    assert_eq!(service.put(json!("my-intnet"), Some("*")).await.0, 422);
    assert_eq!(service.put(json!("zhiyin-asr-small"), Some("*")).await.0, 422);
    for round in 0..5 {
        let (status, route) = service.put(json!("my-intent"), Some("*")).await;
        assert_eq!((status, route["champion"].as_str()), (200, Some("my-intent")), "{route}");
        assert_eq!(service.best(text).await, "mine/query_bill", "round {round}");
        let request = service.http.post(format!("{}/api/v1/models/routes/intent/rollback", service.base));
        assert_eq!(service.send(request).await.0, 200);
        assert_eq!(service.best(text).await, own);
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > 0);

    // Another process switches; the service follows.
    let registry: Registry = service.context.heads.registry().clone();
    let task = tokio::task::spawn_blocking(move || {
        let model = EncoderModel::load(&home().join("models/zhiyin-encoder-small")).unwrap();
        activate(&registry, &model, None, "my-intent", None).unwrap().0
    });
    assert_eq!(task.await.unwrap(), "intent");
    let mut followed = false;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if service.best(text).await == "mine/query_bill" {
            followed = true;
            break;
        }
    }
    assert!(followed, "the service follows within ten seconds");
    let (_, models) = service.send(service.http.get(format!("{}/api/v1/models", service.base))).await;
    let mine = models.as_array().unwrap().iter().find(|m| m["id"] == "my-intent").unwrap();
    assert_eq!((mine["state"].as_str(), mine["task"].as_str()), (Some("active"), Some("intent")));
    let unload = service.http.post(format!("{}/api/v1/models/my-intent/unload", service.base));
    assert_eq!(service.send(unload).await.0, 409);

    // A new life of the service answers as the last one did, and says so.
    let token = service.token.clone();
    Arc::into_inner(service).unwrap().stop().await;
    let service = start(&store, Some(token)).await;
    assert_eq!(service.best(text).await, "mine/query_bill");
    let request = service.http.post(format!("{}/api/v1/understand", service.base)).json(&json!({ "text": text }));
    let (_, answer) = service.send(request).await;
    assert_eq!(answer["intents"][0]["group"], "mine");
    assert!(answer["models"].as_array().unwrap().iter().any(|m| m.as_str().is_some_and(|m| m.starts_with("my-intent@"))));
    service.stop().await;
}
