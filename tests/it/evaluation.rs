//! Evaluation on the shipped models: same seed, same figures; a served system says what the built-in stages say.

use serde_json::{Value, json};
use zhiyin::app::evaluation_system;
use zhiyin::config::Settings;
use zhiyin::eval::dataset::{DataPlaces, load};
use zhiyin::eval::{BuiltIn, RunOptions, Served, System, Task, TaskResult, adjust, compare, gate, load_tasks, run_task, select};

use crate::support::{Service, home};

fn tasks() -> Vec<Task> {
    load_tasks(&home().join("eval/tasks")).unwrap()
}

fn run(system: &dyn System, id: &str, limit: usize) -> (Task, zhiyin::eval::Dataset, TaskResult) {
    let mut task = tasks().into_iter().find(|t| t.id == id).unwrap();
    task.dataset.limit = Some(limit);
    let dataset = load(&task, &DataPlaces::new(&home(), &[]), 1).unwrap();
    let folder = home();
    let options = RunOptions { seed: 1, draws: 100, home: &folder, split: None };
    let result = run_task(&task, &dataset, system, options, &|_| {}).unwrap();
    (task, dataset, result)
}

fn built_in() -> BuiltIn {
    evaluation_system(&home(), &Settings::default(), &["intent", "chat"], None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_tasks_give_identical_results_on_two_runs_with_one_seed() {
    tokio::task::block_in_place(|| {
        let (first, second) = (built_in(), built_in());
        for id in [
            "intent/service-zh",
            "entities/service-en",
            "quality/scorecard",
            "suggestions/articles-zh",
            "normalisation/service-en",
            "chat/dialogue",
        ] {
            let ((task, dataset, a), (_, _, b)) = (run(&first, id, 40), run(&second, id, 40));
            assert_eq!(a.digest, b.digest, "{id}");
            assert!(a.metrics[0].value.is_some(), "{id}: {:?}", a.metrics);
            let mut same = vec![compare(&task, &dataset, &a, &b).unwrap()];
            adjust(&mut same);
            assert!(same[0].changed.is_empty() && gate(&same).passed(), "{id}");
        }
        assert!(first.identity().models.iter().all(|m| m.sha256.len() == 64), "{:?}", first.identity());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_system_answers_as_the_built_in_stages_do() {
    let service = Service::start().await;
    let (base, token) = (service.base.clone(), service.token.clone());
    tokio::task::block_in_place(|| {
        let runtime = tokio::runtime::Handle::current();
        let served = Served::connect(&base, Some(token), runtime.clone()).unwrap();
        let built_in = built_in();
        for id in ["intent/service-en", "emotion/service-zh", "entities/service-zh"] {
            let ((_, _, a), (_, _, b)) = (run(&served, id, 60), run(&built_in, id, 60));
            assert_eq!(a.metrics[0].value, b.metrics[0].value, "{id}");
        }
        assert!(Served::connect(&base, Some("wrong".into()), runtime).err().unwrap().to_string().contains("401"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_of_the_fast_profile_runs_and_has_a_baseline_that_can_be_compared() {
    tokio::task::block_in_place(|| {
        let system = built_in();
        let all = tasks();
        let baselines = TaskResult::read_all(&home().join("eval/baselines")).unwrap();
        for task in select(&all, &[], "fast").unwrap() {
            let (task, dataset, result) = run(&system, &task.id, 25);
            let value = |m: &zhiyin::eval::MetricResult| m.value.is_some();
            assert!(value(&result.metrics[0]), "{}: {:?}", task.id, result.metrics);
            assert!(result.metrics.iter().filter(|m| value(m)).count() * 2 > result.metrics.len(), "{}", task.id);
            if task.metrics.iter().any(|m| m.gate.is_some()) {
                let baseline = baselines.get(&task.id).unwrap_or_else(|| panic!("{} has no baseline", task.id));
                let compared = compare(&task, &dataset, baseline, &result).unwrap();
                assert!(compared.n > 0 && compared.metrics[0].difference.is_some(), "{}", task.id);
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_are_played_on_the_real_bot_and_dialogues_are_answered_with_right_articles() {
    tokio::task::block_in_place(|| {
        let system = built_in();
        let (_, _, stories) = run(&system, "chat/stories", 40);
        let (_, _, dialogues) = run(&system, "chat/dialogue", 60);
        let value = |r: &TaskResult, key: &str| r.metric(key).and_then(|m| m.value).unwrap();
        assert!(value(&stories, "pass_rate") > 0.5, "{:?}", stories.metrics);
        assert!(value(&dialogues, "answer_recall") > 0.2, "{:?}", dialogues.metrics);
        assert!(value(&dialogues, "handover_recall") > 0.3, "{:?}", dialogues.metrics);
        let noted = |r: &TaskResult| r.predictions.iter().all(|p| p.story.as_ref().is_some_and(|s| s.note.is_some()));
        assert!(noted(&stories) && noted(&dialogues), "what the bot did stands beside each");
    });
}

/// Waits for the end of a run.
async fn ended(service: &Service, run_id: &str) -> Value {
    for _ in 0..600 {
        let (status, run) = service.get(&format!("/api/v1/eval/runs/{run_id}")).await;
        assert_eq!(status, 200, "{run}");
        if !matches!(run["job"]["state"].as_str(), Some("queued" | "running")) {
            return run;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the run does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_started_read_shown_and_compared_over_http() {
    let service = Service::start().await;
    let (status, listed) = service.get("/api/v1/eval/tasks").await;
    let items = listed["items"].as_array().unwrap();
    let known = items.iter().find(|t| t["id"] == "normalisation/service-zh").unwrap();
    assert_eq!((status, known["data_here"].as_bool(), known["baseline"].as_bool()), (200, Some(true), Some(true)));
    let asked = json!({ "tasks": ["normalisation/service-zh", "entities/service-en"], "slices": ["length"], "seed": 7 });
    let (status, job) = service.post("/api/v1/eval/runs", asked.clone()).await;
    assert_eq!(status, 202, "{job}");
    let run = ended(&service, job["run_id"].as_str().unwrap()).await;
    assert_eq!((run["job"]["state"].as_str(), run["results"].as_array().map(Vec::len)), (Some("succeeded"), Some(2)), "{run}");
    let result = &run["results"][0];
    assert!(result["metrics"][0]["interval"]["low"].is_number() && result["receipt"]["dataset_sha256"].is_string(), "{result}");
    assert!(result["receipt"]["system"]["models"][0]["sha256"].as_str().is_some_and(|s| s.len() == 64), "{result}");
    assert_eq!(result["receipt"]["seed"], 7);
    assert!(result.get("predictions").is_none() && result["slices"].as_array().unwrap().iter().all(|s| s["slice"] == "length"));
    let run_id = run["run_id"].as_str().unwrap();
    let (status, compared) = service.get(&format!("/api/v1/eval/compare?a=baseline&b={run_id}")).await;
    assert_eq!((status, compared["tasks"].as_array().map(Vec::len)), (200, Some(2)), "{compared}");
    let (status, page) = service.get(&format!("/api/v1/eval/runs/{run_id}/report?baseline=baseline")).await;
    assert!(status == 200 && page.as_str().is_some_and(|p| p.contains("entities/service-en")), "{status}");
    let (_, again) = service.post("/api/v1/eval/runs", asked).await;
    let again = ended(&service, again["run_id"].as_str().unwrap()).await;
    let digests = |run: &Value| run["results"].as_array().unwrap().iter().map(|r| r["digest"].clone()).collect::<Vec<_>>();
    assert_eq!(digests(&run), digests(&again), "one seed, one result");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_runs_are_refused_and_scopes_hold() {
    let service = Service::start().await;
    let refused = async |body: Value| service.post("/api/v1/eval/runs", body).await;
    let (status, problem) = refused(json!({ "tasks": ["intent/service-hz"] })).await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("intent/service-zh"), "{problem}");
    assert_eq!(refused(json!({ "tasks": ["intent"], "slices": ["moon"] })).await.0, 422);
    assert_eq!(refused(json!({ "models": { "encoder": "../../etc" } })).await.0, 422);
    assert_eq!(refused(json!({ "task": ["intent"] })).await.0, 422);
    assert_eq!(service.get("/api/v1/eval/runs/run_01UNKNOWN").await.0, 404);
    assert_eq!(service.get("/api/v1/eval/runs/..%2F..%2Fetc").await.0, 404);
    assert_eq!(service.get("/api/v1/eval/compare?a=baseline&b=run_01UNKNOWN").await.0, 404);
    // A run whose model is not there fails with its reason, and says so.
    let (_, job) = refused(json!({ "tasks": ["normalisation/service-zh"], "models": { "encoder": "no-such-model" } })).await;
    let run = ended(&service, job["run_id"].as_str().unwrap()).await;
    assert_eq!(run["job"]["progress"]["failed"], 1, "{run}");
    let (_, errors) = service.get(run["job"]["errors_url"].as_str().unwrap()).await;
    assert!(errors["items"][0]["reason"].as_str().unwrap().contains("no-such-model"), "{errors}");
    // An agent's token may not look; an engineer's may.
    for (role, status) in [("agent", 403), ("engineer", 200)] {
        let (made, token) = service.post("/api/v1/admin/tokens", json!({ "name": role, "role": role })).await;
        assert_eq!(made, 201, "{token}");
        let secret = token["secret"].as_str().unwrap();
        let answer = service.http.get(format!("{}/api/v1/eval/tasks", service.base)).bearer_auth(secret).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{role}");
    }
}
