//! Jobs on a real store: each item once, over restarts, failures and cancelling.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;

use super::{ItemEffect, Job, JobDesk, JobKind};
use crate::access::Scope;
use crate::store::{AuditEntry, JobRow, Store, StoreConfig, Write};

/// Writes one audit entry for each item; item 7 fails.
struct Marking {
    items: usize,
    worked: AtomicUsize,
}

impl JobKind for Marking {
    fn name(&self) -> &'static str {
        "test.marking"
    }

    fn scope(&self) -> Scope {
        Scope::EvalRun
    }

    fn plan<'a>(&'a self, _: &'a JobRow) -> BoxFuture<'a, Result<Vec<String>, String>> {
        Box::pin(async { Ok((0..self.items).map(|i| i.to_string()).collect()) })
    }

    fn work<'a>(&'a self, job: &'a JobRow, key: &'a str) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(async move {
            self.worked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
            if key == "7" {
                return Err("item 7 cannot be marked".to_owned());
            }
            let entry = AuditEntry {
                time: "2026-01-01T00:00:00.000Z".into(),
                actor: job.owner.clone(),
                action: "mark".into(),
                object: key.to_owned(),
                detail: String::new(),
            };
            Ok(ItemEffect { writes: vec![Write::Audit(entry)], body: None })
        })
    }

    fn finish<'a>(&'a self, _: &'a JobRow) -> BoxFuture<'a, Result<ItemEffect, String>> {
        Box::pin(async { Ok(ItemEffect { writes: Vec::new(), body: Some(json!({"items": self.items})) }) })
    }
}

fn kind(items: usize) -> Arc<Marking> {
    Arc::new(Marking { items, worked: AtomicUsize::new(0) })
}

async fn ended(desk: &JobDesk, job_id: &str) -> Job {
    for _ in 0..1_000 {
        let job = desk.show(job_id).await.unwrap().unwrap();
        if job.is_over() {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job does not end");
}

async fn marked(store: &Store) -> Vec<String> {
    let mut objects: Vec<String> = store.audit(10_000).await.unwrap().into_iter().map(|e| e.object).collect();
    objects.sort();
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_is_taken_up_and_no_item_takes_effect_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig::new(folder.path())).await.unwrap();
    let first = JobDesk::new(store.clone(), vec![kind(300)]);
    let job = first.submit("test.marking", "tok_1", &json!({}), Vec::new()).await.unwrap();
    let mut watched = first.watch(&job.job_id).unwrap();
    watched.wait_for(|job| job.progress.done > 0).await.unwrap();
    first.stop();
    // The desk leaves behind the chunk it is working on.
    while first.watch(&job.job_id).is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = marked(&store).await.len();
    assert!(before > 0 && before < 299, "{before} of 299");
    let again = kind(300);
    let second = JobDesk::new(store.clone(), vec![again.clone()]);
    assert_eq!(second.take_up().await.unwrap(), 1);
    let job = ended(&second, &job.job_id).await;
    assert_eq!((job.state.as_str(), job.progress.done, job.progress.failed), ("succeeded", 300, 1));
    assert_eq!((job.progress.total, job.result_url.is_some(), job.errors_url.is_some()), (Some(300), true, true));
    let mut wanted: Vec<String> = (0..300).filter(|i| *i != 7).map(|i| i.to_string()).collect();
    wanted.sort();
    assert_eq!(marked(&store).await, wanted);
    assert!(again.worked.load(Ordering::Relaxed) < 300, "what was done is not worked again");
    let failed = store.job_items(&job.job_id, "failed", 0, 10).await.unwrap();
    assert_eq!((failed.len(), failed[0].key.as_str()), (1, "7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_keeps_what_it_did_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig::new(folder.path())).await.unwrap();
    let desk = JobDesk::new(store.clone(), vec![kind(5_000)]);
    let job = desk.submit("test.marking", "tok_1", &json!({}), Vec::new()).await.unwrap();
    desk.watch(&job.job_id).unwrap().wait_for(|job| job.progress.done > 0).await.unwrap();
    assert!(desk.cancel(&job.job_id));
    let job = ended(&desk, &job.job_id).await;
    assert_eq!(job.state, "cancelled");
    assert!(job.progress.done < 5_000);
    assert_eq!(desk.take_up().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_kind_that_is_not_known_fails_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig::new(folder.path())).await.unwrap();
    let desk = JobDesk::new(store, Vec::new());
    let job = desk.submit("test.unknown", "tok_1", &json!({}), Vec::new()).await.unwrap();
    let job = ended(&desk, &job.job_id).await;
    assert_eq!(job.state, "failed");
    assert!(job.error.unwrap().contains("test.unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_was_committed_cannot_be_committed_again() {
    use crate::store::{JobWrite, StoreError};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig::new(folder.path())).await.unwrap();
    let keys = vec!["a".to_owned()];
    store.write(vec![Write::Job(JobWrite::Plan { job_id: "job_1".into(), keys })]).await.unwrap();
    let done = || Write::Job(JobWrite::Item { job_id: "job_1".into(), item: 0, failed: false, body: None });
    store.write(vec![done()]).await.unwrap();
    let audit = AuditEntry { time: "t".into(), actor: "a".into(), action: "x".into(), object: "y".into(), detail: String::new() };
    let again = store.write(vec![Write::Audit(audit), done()]).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })));
    assert_eq!(store.audit(10).await.unwrap(), [], "nothing that was written with it holds");
}
