//! The one list of kinds of long work.

use std::path::Path;
use std::sync::Arc;

use super::evaluation::evaluation_system;
use crate::api::{
    EvaluationDesk, EvaluationRun, EvaluationSystems, JobKind, KnowledgeImport, KnowledgeShelf, QualityBackfill, QualityScoring,
};
use crate::config::Settings;
use crate::pipeline::Hub;
use crate::store::Store;

/// Every kind of job that the service runs.
pub(super) fn job_kinds(hub: &Hub, store: &Store, shelf: &KnowledgeShelf, evaluations: &EvaluationDesk) -> Vec<Arc<dyn JobKind>> {
    vec![
        Arc::new(QualityScoring::new(hub.stages().clone(), store.clone())),
        Arc::new(KnowledgeImport::new(shelf.clone())),
        Arc::new(QualityBackfill::new(hub.stages().clone(), store.clone())),
        Arc::new(EvaluationRun::new(evaluations.clone())),
    ]
}

/// Evaluation with models of its own, one thread of the encoder and one decoder, so that calls keep the machine.
pub(super) fn evaluations(home: &Path, settings: &Settings) -> EvaluationDesk {
    let (folder, configured) = (home.to_path_buf(), settings.clone());
    let systems: EvaluationSystems = Arc::new(move |stage, models, index| {
        let mut settings = configured.clone();
        settings.encoder.threads = 1;
        settings.asr.decoders = 1;
        if let Some(encoder) = &models.encoder {
            settings.encoder.model.clone_from(encoder);
        }
        if let Some(recogniser) = &models.recogniser {
            settings.asr.model.clone_from(recogniser);
        }
        evaluation_system(&folder, &settings, &[stage], Some(index)).map_err(|e| format!("{e:#}"))
    });
    EvaluationDesk::new(home, settings.store.path.join("evaluations"), systems)
}
