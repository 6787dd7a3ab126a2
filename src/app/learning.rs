//! The knowledge base learns while the service runs: misses of conversations are kept, and what became of articles is put
//! into force.

use std::time::Duration;

use crate::api::{KnowledgeShelf, gap_row};
use crate::event::now_rfc3339;
use crate::knowledge::Miss;

/// Misses that wait to be kept; more are left out, since a conversation must not wait for them.
const MISSES_CAPACITY: usize = 1_024;
/// Time between two looks at what became of articles.
const LEARN_EVERY: Duration = Duration::from_secs(30);

/// Puts into force what was learned before, and goes on learning until the process ends.
pub(super) async fn start(shelf: &KnowledgeShelf) -> anyhow::Result<()> {
    let known = shelf.learn().await?;
    tracing::info!(articles = known, "learned from what became of articles");
    let (sender, mut misses) = tokio::sync::mpsc::channel::<Miss>(MISSES_CAPACITY);
    shelf.index().on_miss(Box::new(move |miss| {
        if sender.try_send(miss).is_err() {
            tracing::warn!("a question without an answer was not kept: too many wait");
        }
    }));
    let keeper = shelf.clone();
    tokio::spawn(async move {
        while let Some(mut miss) = misses.recv().await {
            miss.gap.time = now_rfc3339();
            if let Err(error) = keeper.store().record_gap(gap_row(miss.gap, "assist", miss.score)).await {
                tracing::warn!(%error, "a question without an answer was not kept");
            }
        }
    });
    let learner = shelf.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LEARN_EVERY).await;
            if learner.take_learning_wanted()
                && let Err(error) = learner.learn().await
            {
                tracing::warn!(%error, "nothing was learned");
            }
        }
    });
    Ok(())
}
