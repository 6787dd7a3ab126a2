//! The one router table.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use super::evaluations;
use super::guard::guard;
use super::idempotency::idempotency;
use super::{ApiContext, Problem};
use super::{
    admin, alerts, audio, calls, chat, chat_handover, chat_messages, compat, events, health, jobs, knowledge, models, openapi,
    quality, quality_work, suggestions, understand, web,
};
use super::{appeals, assignments, calibrations, reviews, rule_versions, trust};
use super::{knowledge_import, knowledge_learning};

/// All routes with their guards.
pub fn router(context: ApiContext) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let sites = context.chat.settings.sites.iter().flat_map(|site| site.origins.clone());
    let cors = cors(&context.server.cors_origins.iter().cloned().chain(sites).collect::<Vec<_>>());
    let limit = DefaultBodyLimit::max(context.limits.json_bytes);
    Router::new()
        .merge(open_routes())
        .merge(call_routes())
        .merge(knowledge_routes())
        .merge(work_routes())
        .merge(job_routes())
        .merge(people_routes())
        .merge(admin_routes())
        .merge(chat_routes())
        .merge(compat::routes())
        .merge(super::text_surfaces::routes())
        .layer(from_fn_with_state(context.clone(), idempotency))
        .layer(from_fn_with_state(context.clone(), guard))
        .fallback(|| async { Problem::not_found("path") })
        .method_not_allowed_fallback(|| async { Problem::new("method_not_allowed", "this path has other methods") })
        .layer(limit)
        .layer(CompressionLayer::new().no_br().no_deflate())
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::new("internal", "the request failed").into_response()
        }))
        .layer(cors)
        .layer(from_fn(count))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(context)
}

fn open_routes() -> Router<ApiContext> {
    Router::new()
        .route("/", get(web::index))
        .route("/static/{*path}", get(web::asset))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/version", get(health::version))
        .route("/openapi.json", get(openapi::serve_openapi))
        .route("/schemas/events/v1.json", get(openapi::serve_event_schema))
        .route("/schemas/audio/v1.json", get(openapi::serve_audio_schema))
}

fn call_routes() -> Router<ApiContext> {
    Router::new()
        .route("/api/v1/tickets", post(health::ticket))
        .route("/api/v1/calls", post(calls::create).get(calls::list))
        .route("/api/v1/calls/{call_id}", get(calls::get).patch(calls::patch))
        .route("/api/v1/calls/{call_id}/end", post(calls::end))
        .route("/api/v1/calls/{call_id}/messages", post(calls::message))
        .route("/api/v1/calls/{call_id}/transcript", get(calls::transcript))
        .route("/api/v1/calls/{call_id}/audio", get(audio::socket))
        .route("/api/v1/calls/{call_id}/events", get(events::list))
        .route("/api/v1/calls/{call_id}/events/ws", get(events::socket))
        .route("/api/v1/events", get(events::wall))
        .route("/api/v1/calls/{call_id}/suggestions", get(suggestions::list))
        .route("/api/v1/calls/{call_id}/ask", post(suggestions::ask))
        .route("/api/v1/suggestions/{suggestion_id}/feedback", post(suggestions::feedback))
        .route("/api/v1/suggestions/feedback", post(suggestions::feedback_batch))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/{alert_id}/acknowledge", post(alerts::acknowledge))
        .route("/api/v1/alerts/{alert_id}/resolve", post(alerts::resolve))
        .route("/api/v1/samples", get(web::samples))
        .route("/api/v1/samples/{sample_id}/play", post(web::play))
}

fn chat_routes() -> Router<ApiContext> {
    Router::new()
        .route("/api/v1/chat/sessions", post(chat::create))
        .route("/api/v1/chat/sessions/{chat_id}", get(chat::get).delete(chat::delete))
        .route("/api/v1/chat/sessions/{chat_id}/messages", get(chat_messages::messages).post(chat::message))
        .route("/api/v1/chat/sessions/{chat_id}/events", get(chat::events))
        .route("/api/v1/chat/sessions/{chat_id}/messages/{message_id}/feedback", post(chat::feedback))
        .route("/api/v1/chat/sessions/{chat_id}/handoff", post(chat_handover::handoff))
        .route("/api/v1/chat/sessions/{chat_id}/handoff/accept", post(chat_handover::accept))
        .route("/api/v1/chat/sessions/{chat_id}/handoff/return", post(chat_handover::give_back))
        .route("/api/v1/chat/sessions/{chat_id}/agent-messages", post(chat_handover::agent_message))
        .route("/api/v1/chat/visits", post(chat::visit))
        .route("/chat/{*path}", get(web::chat_file))
}

fn knowledge_routes() -> Router<ApiContext> {
    Router::new()
        .route("/api/v1/knowledge/documents", post(knowledge::create).get(knowledge::list))
        .route("/api/v1/knowledge/documents/{document_id}", get(knowledge::get))
        .route("/api/v1/knowledge/documents/{document_id}", put(knowledge::put))
        .route("/api/v1/knowledge/documents/{document_id}", delete(knowledge::delete))
        .route("/api/v1/knowledge/documents/{document_id}/versions", get(knowledge::versions))
        .route("/api/v1/knowledge/documents/{document_id}/versions/{version}/{action}", post(knowledge::transition))
        .route("/api/v1/knowledge/documents/{document_id}/versions/{version}", get(knowledge_learning::version))
        .route("/api/v1/knowledge/documents/{document_id}/versions/{version}/diff", get(knowledge_learning::diff))
        .route("/api/v1/knowledge/search", post(knowledge::search))
        .route("/api/v1/knowledge/passages/{passage_id}/feedback", post(knowledge_learning::passage_feedback))
        .route("/api/v1/knowledge/export", get(knowledge_learning::export))
        .route("/api/v1/knowledge/gaps", get(knowledge_learning::gaps))
        .route("/api/v1/knowledge/searches", get(knowledge_learning::searches))
        .route("/api/v1/knowledge/stats", get(knowledge_learning::stats))
        // A document may be larger than other bodies.
        .layer(DefaultBodyLimit::max(5 << 20))
        .route(
            "/api/v1/knowledge/imports",
            post(knowledge_import::create).layer(DefaultBodyLimit::max(knowledge_import::MAX_UPLOAD_BYTES)),
        )
}

fn work_routes() -> Router<ApiContext> {
    Router::new()
        .route("/api/v1/understand", post(understand::understand))
        .route("/api/v1/quality/rules", get(quality::rules).post(rule_versions::create_rule))
        .route("/api/v1/quality/rules/{rule_id}", put(rule_versions::put_rule))
        .route("/api/v1/quality/rules/{rule_id}/versions", get(rule_versions::rule_versions))
        .route("/api/v1/quality/rules/{rule_id}/versions/{version}/publish", post(rule_versions::publish_rule))
        .route("/api/v1/quality/schemes", get(rule_versions::schemes).post(rule_versions::create_scheme))
        .route("/api/v1/quality/schemes/{scheme_id}/versions/{version}/publish", post(rule_versions::publish_scheme))
        .route("/api/v1/quality/rules/check", post(quality::check))
        .route("/api/v1/quality/score", post(quality::score))
        .route("/api/v1/quality/jobs", post(quality_work::create))
        .route("/api/v1/quality/jobs/{job_id}/diff", get(quality_work::diff))
        .route("/api/v1/quality/jobs/{job_id}/publish", post(quality_work::publish))
        .route("/api/v1/quality/jobs/{job_id}/discard", post(quality_work::discard))
        .route("/api/v1/quality/scores", get(quality::scores))
        .route("/api/v1/quality/scores/{score_id}", get(quality::get))
        .route("/api/v1/models", get(models::list))
        .route("/api/v1/models/{id}", get(models::get))
        .route("/api/v1/models/{id}/load", post(models::load))
        .route("/api/v1/models/{id}/unload", post(models::unload))
        .route("/api/v1/models/routes", get(models::routes))
        .route("/api/v1/models/routes/{task}", put(models::put_route))
        .route("/api/v1/models/routes/{task}/rollback", post(models::rollback))
}

/// What people do with scorecards.
fn people_routes() -> Router<ApiContext> {
    Router::new()
        .route("/api/v1/quality/rules/{rule_id}/accuracy", get(trust::accuracy))
        .route("/api/v1/quality/assignments", post(assignments::assign))
        .route("/api/v1/quality/reviews", get(assignments::list))
        .route("/api/v1/quality/scores/{score_id}/reviews", get(trust::hits).post(reviews::review))
        .route("/api/v1/quality/scores/{score_id}/appeals", post(appeals::create))
        .route("/api/v1/quality/appeals", get(appeals::list))
        .route("/api/v1/quality/appeals/{appeal_id}/decide", post(appeals::decide))
        .route("/api/v1/quality/calibrations", post(calibrations::create))
        .route("/api/v1/quality/calibrations/{calibration_id}", get(calibrations::get))
        .route("/api/v1/quality/calibrations/{calibration_id}/answers", post(calibrations::answer))
}

fn job_routes() -> Router<ApiContext> {
    Router::new()
        .route("/api/v1/eval/tasks", get(evaluations::tasks))
        .route("/api/v1/eval/runs", post(evaluations::create))
        .route("/api/v1/eval/runs/{run_id}", get(evaluations::get))
        .route("/api/v1/eval/runs/{run_id}/report", get(evaluations::report))
        .route("/api/v1/eval/compare", get(evaluations::compared))
        .route("/api/v1/jobs", get(jobs::list))
        .route("/api/v1/jobs/{job_id}", get(jobs::get))
        .route("/api/v1/jobs/{job_id}/cancel", post(jobs::cancel))
        .route("/api/v1/jobs/{job_id}/result", get(jobs::result))
        .route("/api/v1/jobs/{job_id}/errors", get(jobs::errors))
        .route("/api/v1/jobs/{job_id}/events", get(jobs::events))
}

fn admin_routes() -> Router<ApiContext> {
    Router::new()
        .route("/api/v1/admin/tokens", get(admin::tokens).post(admin::create_token))
        .route("/api/v1/admin/tokens/{token_id}", delete(admin::revoke_token))
        .route("/api/v1/admin/audit", get(admin::audit_trail))
        .route("/api/v1/admin/config", get(admin::config))
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|o| o.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("x-site-key"),
            HeaderName::from_static("last-event-id"),
        ])
}

/// Counts requests by matched route and status.
async fn count(request: Request<axum::body::Body>, next: Next) -> Response {
    let started = std::time::Instant::now();
    let method = request.method().to_string();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("zhiyin_http_requests_total", "method" => method, "status" => status).increment(1);
    metrics::histogram!("zhiyin_http_duration_seconds").record(started.elapsed().as_secs_f64());
    response
}
