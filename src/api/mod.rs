//! The HTTP and WebSocket interface: one router table, one file per resource, one error file.
//!
//! A request passes: request id, size limit, [`guard`] (token or ticket -> principal, scope and rate class of the route
//! from the table in [`routes`]), idempotency, handler. A route that is not in the table is refused, so nothing is open
//! by accident. Errors are problem+json ([`Problem`]); causes go to the log, never to the client.
//!
//! ```no_run
//! # async fn f(context: zhiyin::api::ApiContext) -> std::io::Result<()> {
//! let router = zhiyin::api::router(context);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, router).await
//! # }
//! ```

mod admin;
mod alerts;
mod appeals;
mod assignments;
mod audio;
mod audio_frames;
mod calibrations;
mod calls;
mod chat;
mod chat_desk;
mod chat_handover;
mod chat_messages;
mod chat_phone;
mod chat_turn;
mod compat;
mod context;
mod cues;
mod evaluation_runs;
mod evaluations;
mod events;
mod export;
mod guard;
mod health;
mod idempotency;
mod job_desk;
mod jobs;
mod knowledge;
mod knowledge_import;
mod knowledge_learning;
mod models;
mod openapi;
mod practice;
mod problem;
mod quality;
mod quality_jobs;
mod quality_work;
mod reviews;
mod router;
mod routes;
mod rule_book;
mod rule_versions;
mod shelf;
mod shelf_learning;
mod strict;
mod suggestions;
mod text_surfaces;
mod times;
mod trust;
mod understand;
mod web;

pub use chat_desk::ChatDesk;
pub use context::{ApiContext, SamplePlayer, TokenBook};
pub use evaluation_runs::{EvaluationDesk, EvaluationModels, EvaluationRun, EvaluationSystems};
pub use export::{subtitles, transcript_lines};
pub use job_desk::{ItemEffect, Job, JobDesk, JobKind, Progress};
pub use knowledge_import::{Change, KnowledgeImport, published_as};
pub use knowledge_learning::export_of;
pub use openapi::{event_schema, openapi};
pub use practice::PracticeBackend;
pub use problem::{Problem, ProblemItem};
pub use quality_jobs::{QualityBackfill, QualityScoring};
pub use router::router;
pub use routes::{ROUTES, Route};
pub use rule_book::put_in_force;
pub use shelf::{KnowledgeShelf, ShelfError};
pub use shelf_learning::{gap_row, new_gap_id};
pub use trust::DriftBook;

#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod tests;
