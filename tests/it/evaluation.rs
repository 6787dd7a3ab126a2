//! Evaluation on the shipped models: same seed, same figures; a served system says what the built-in stages say.

use zhiyin::app::{StageOptions, build_stages};
use zhiyin::config::Settings;
use zhiyin::eval::dataset::{DataPlaces, load};
use zhiyin::eval::{BuiltIn, RunOptions, Served, System, Task, TaskResult, adjust, compare, gate, load_tasks, run_task};

use crate::support::{Service, home};

fn tasks() -> Vec<Task> {
    load_tasks(&home().join("eval/tasks")).unwrap()
}

fn run(system: &dyn System, id: &str, limit: usize) -> (Task, zhiyin::eval::Dataset, TaskResult) {
    let mut task = tasks().into_iter().find(|t| t.id == id).unwrap();
    task.dataset.limit = Some(limit);
    let dataset = load(&task, &DataPlaces::new(&home(), &[]), 1).unwrap();
    let folder = home();
    let options = RunOptions { seed: 1, draws: 100, home: &folder };
    let result = run_task(&task, &dataset, system, options, &|_| {}).unwrap();
    (task, dataset, result)
}

fn built_in() -> BuiltIn {
    let settings = Settings::default();
    let options = StageOptions { recogniser: false, pipeline: "live-assist", index: None, scheme: None };
    let built = build_stages(&home(), &settings, options).unwrap();
    BuiltIn::new(built.stages, &built.models, home(), tokio::runtime::Handle::current())
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
