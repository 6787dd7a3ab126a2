//! The description of the interface, generated from handlers and types.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::audio_frames::{ClientFrame, ServerFrame};
use super::evaluations;
use super::text_surfaces::{embeddings, rasa, tei};
use super::{
    admin, alerts, audio, calls, chat, chat_handover, chat_messages, compat, events, health, jobs, knowledge, models, quality,
    quality_work, suggestions, understand, web,
};
use super::{appeals, assignments, calibrations, reviews, rule_versions, trust};
use super::{knowledge_import, knowledge_learning};
use crate::event::Event;

#[derive(OpenApi)]
#[openapi(
    info(title = "Zhiyin", description = "Listens to customer-service conversations, helps the agent, inspects every conversation."),
    paths(
        health::healthz, health::readyz, health::health, health::metrics, health::version, health::ticket,
        models::list, models::get, models::load, models::unload, models::routes, models::put_route, models::rollback,
        calls::create, calls::list, calls::get, calls::patch, calls::end, calls::message, calls::transcript,
        audio::socket, events::list, events::socket, events::wall,
        suggestions::list, suggestions::ask, suggestions::feedback, suggestions::feedback_batch,
        alerts::list, alerts::acknowledge, alerts::resolve,
        chat::create, chat::visit, chat::get, chat::delete, chat_messages::messages, chat::events, chat::message, chat::feedback,
        chat_handover::handoff, chat_handover::accept, chat_handover::give_back, chat_handover::agent_message,
        knowledge::create, knowledge::list, knowledge::get, knowledge::put, knowledge::delete, knowledge::versions,
        knowledge::transition, knowledge::search, knowledge_import::create, knowledge_learning::passage_feedback,
        knowledge_learning::gaps, knowledge_learning::stats, knowledge_learning::searches, knowledge_learning::version, knowledge_learning::diff,
        knowledge_learning::export,
        understand::understand, rasa::parse, tei::embed, tei::rerank, tei::predict_root, tei::info_root, embeddings::create,
        quality::rules, quality::check, quality::score, quality::scores, quality::get,
        rule_versions::create_rule, rule_versions::put_rule, rule_versions::rule_versions, rule_versions::publish_rule,
        rule_versions::schemes, rule_versions::create_scheme, rule_versions::publish_scheme,
        trust::accuracy, trust::hits, calibrations::create, calibrations::get, calibrations::answer,
        assignments::assign, assignments::list, reviews::review, appeals::create, appeals::list, appeals::decide,
        quality_work::create, quality_work::diff, quality_work::publish, quality_work::discard,
        jobs::list, jobs::get, jobs::cancel, jobs::result, jobs::errors, jobs::events,
        evaluations::tasks, evaluations::create, evaluations::get, evaluations::report, evaluations::compared,
        web::samples, web::play,
        compat::openai_audio::transcribe, compat::realtime::socket, compat::funasr::socket, compat::deepgram::socket,
        compat::twilio::socket, compat::openai_chat::models, compat::openai_chat::one_model, compat::openai_chat::complete,
        compat::rasa::alive, compat::rasa::webhook,
        admin::tokens, admin::create_token, admin::revoke_token, admin::audit_trail, admin::config,
    ),
    modifiers(&Bearer),
    security(("bearer" = [])),
)]
struct Description;

#[derive(OpenApi)]
#[openapi(components(schemas(Event)))]
struct EventTypes;

#[derive(OpenApi)]
#[openapi(components(schemas(ClientFrame, ServerFrame)))]
struct AudioTypes;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("zy_…").build();
        openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The OpenAPI 3.1 document.
pub fn openapi() -> Value {
    serde_json::to_value(Description::openapi()).unwrap_or_default()
}

/// JSON Schema (2020-12) of the event envelope.
pub fn event_schema() -> Value {
    schema(&EventTypes::openapi(), "Event", "events")
}

fn audio_schema() -> Value {
    let api = AudioTypes::openapi();
    let mut schema = schema(&api, "ClientFrame", "audio");
    schema["title"] = "Frames of zhiyin.audio.v1: a client sends ClientFrame, the server ServerFrame".into();
    schema
}

/// The components of a description as one JSON Schema whose root is `root`.
fn schema(api: &utoipa::openapi::OpenApi, root: &str, name: &str) -> Value {
    let components = serde_json::to_value(&api.components).unwrap_or_default();
    let text = components["schemas"].to_string().replace("#/components/schemas/", "#/$defs/");
    let definitions: Value = serde_json::from_str(&text).unwrap_or_default();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("/schemas/{name}/v1.json"),
        "$ref": format!("#/$defs/{root}"),
        "$defs": definitions,
    })
}

pub(super) async fn serve_openapi() -> Json<Value> {
    Json(openapi())
}

pub(super) async fn serve_event_schema() -> Response {
    ([(header::CONTENT_TYPE, "application/schema+json")], event_schema().to_string()).into_response()
}

pub(super) async fn serve_audio_schema() -> Response {
    ([(header::CONTENT_TYPE, "application/schema+json")], audio_schema().to_string()).into_response()
}
