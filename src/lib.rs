//! Zhiyin (知音): listens to customer-service conversations in Mandarin and English, understands them, puts the right
//! knowledge in front of the agent while the customer still speaks, and inspects every conversation afterwards.
//!
//! One room per concern; `ARCHITECTURE.md` has the map. The flows are put together in [`pipeline`], the service in
//! [`app`].

pub mod access;
pub mod api;
pub mod app;
pub mod asr;
pub mod assist;
pub mod audio;
pub mod bench;
pub mod chat;
pub mod cli;
pub mod config;
pub mod conversation;
pub mod emotion;
pub mod eval;
pub mod event;
pub mod inference;
pub mod insight;
pub mod knowledge;
pub mod nlu;
pub mod pipeline;
pub mod privacy;
pub mod quality;
pub mod registry;
pub mod speaker;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod train;
pub mod vad;
