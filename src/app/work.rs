//! The one list of kinds of long work.

use std::sync::Arc;

use crate::api::{JobKind, KnowledgeImport, KnowledgeShelf, QualityBackfill, QualityScoring};
use crate::pipeline::Hub;
use crate::store::Store;

/// Every kind of job that the service runs.
pub(super) fn job_kinds(hub: &Hub, store: &Store, shelf: &KnowledgeShelf) -> Vec<Arc<dyn JobKind>> {
    vec![
        Arc::new(QualityScoring::new(hub.stages().clone(), store.clone())),
        Arc::new(KnowledgeImport::new(shelf.clone())),
        Arc::new(QualityBackfill::new(hub.stages().clone(), store.clone())),
    ]
}
