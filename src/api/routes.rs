//! The table of all routes: what each needs, and what it counts against. A route that is not here is refused.

use axum::http::Method;

use crate::access::{RateClass, Scope};

/// What a route needs.
#[derive(Clone, Debug)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path as the router matches it.
    pub path: &'static str,
    /// Scope; `None`: open without a token.
    pub scope: Option<Scope>,
    /// What it counts against.
    pub class: RateClass,
    /// Whether it must carry an `Idempotency-Key`.
    pub keyed: bool,
}

const fn route(method: Method, path: &'static str, scope: Scope, class: RateClass) -> Route {
    Route { method, path, scope: Some(scope), class, keyed: false }
}

const fn keyed(method: Method, path: &'static str, scope: Scope, class: RateClass) -> Route {
    Route { method, path, scope: Some(scope), class, keyed: true }
}

const fn open(path: &'static str) -> Route {
    Route { method: Method::GET, path, scope: None, class: RateClass::Control, keyed: false }
}

use RateClass::{Control, Infer, Search, Stream};
use Scope as S;

/// Every route.
pub const ROUTES: &[Route] = &[
    open("/healthz"),
    open("/readyz"),
    open("/health"),
    open("/metrics"),
    open("/openapi.json"),
    open("/schemas/events/v1.json"),
    open("/schemas/audio/v1.json"),
    open("/"),
    open("/static/{*path}"),
    route(Method::GET, "/version", S::CallsRead, Control),
    route(Method::POST, "/api/v1/tickets", S::EventsRead, Control),
    keyed(Method::POST, "/api/v1/calls", S::CallsWrite, Control),
    route(Method::GET, "/api/v1/calls", S::CallsRead, Control),
    route(Method::GET, "/api/v1/calls/{call_id}", S::CallsRead, Control),
    route(Method::PATCH, "/api/v1/calls/{call_id}", S::CallsWrite, Control),
    route(Method::POST, "/api/v1/calls/{call_id}/end", S::CallsWrite, Control),
    route(Method::POST, "/api/v1/calls/{call_id}/messages", S::CallsWrite, Infer),
    route(Method::GET, "/api/v1/calls/{call_id}/transcript", S::CallsRead, Control),
    route(Method::GET, "/api/v1/calls/{call_id}/audio", S::AudioWrite, Stream),
    route(Method::GET, "/api/v1/calls/{call_id}/events", S::EventsRead, Stream),
    route(Method::GET, "/api/v1/calls/{call_id}/events/ws", S::EventsRead, Stream),
    route(Method::GET, "/api/v1/events", S::EventsRead, Stream),
    route(Method::GET, "/api/v1/calls/{call_id}/suggestions", S::SuggestionsRead, Control),
    route(Method::POST, "/api/v1/calls/{call_id}/ask", S::SuggestionsRead, Search),
    route(Method::POST, "/api/v1/suggestions/{suggestion_id}/feedback", S::SuggestionsFeedback, Control),
    route(Method::POST, "/api/v1/suggestions/feedback", S::SuggestionsFeedback, Control),
    route(Method::GET, "/api/v1/alerts", S::EventsRead, Control),
    route(Method::POST, "/api/v1/alerts/{alert_id}/acknowledge", S::AlertsWrite, Control),
    route(Method::POST, "/api/v1/alerts/{alert_id}/resolve", S::AlertsWrite, Control),
    keyed(Method::POST, "/api/v1/knowledge/documents", S::KnowledgeWrite, Control),
    route(Method::GET, "/api/v1/knowledge/documents", S::KnowledgeRead, Control),
    route(Method::GET, "/api/v1/knowledge/documents/{document_id}", S::KnowledgeRead, Control),
    route(Method::PUT, "/api/v1/knowledge/documents/{document_id}", S::KnowledgeWrite, Control),
    route(Method::DELETE, "/api/v1/knowledge/documents/{document_id}", S::KnowledgeWrite, Control),
    route(Method::GET, "/api/v1/knowledge/documents/{document_id}/versions", S::KnowledgeRead, Control),
    route(Method::POST, "/api/v1/knowledge/documents/{document_id}/versions/{version}/{action}", S::KnowledgeWrite, Control),
    route(Method::GET, "/api/v1/knowledge/documents/{document_id}/versions/{version}", S::KnowledgeRead, Control),
    route(Method::GET, "/api/v1/knowledge/documents/{document_id}/versions/{version}/diff", S::KnowledgeRead, Control),
    route(Method::POST, "/api/v1/knowledge/search", S::KnowledgeRead, Search),
    route(Method::POST, "/api/v1/knowledge/passages/{passage_id}/feedback", S::SuggestionsFeedback, Control),
    keyed(Method::POST, "/api/v1/knowledge/imports", S::KnowledgeWrite, Control),
    route(Method::GET, "/api/v1/knowledge/export", S::KnowledgeRead, Control),
    route(Method::GET, "/api/v1/knowledge/gaps", S::KnowledgeRead, Control),
    route(Method::GET, "/api/v1/knowledge/searches", S::KnowledgeRead, Control),
    route(Method::GET, "/api/v1/knowledge/stats", S::KnowledgeRead, Control),
    route(Method::POST, "/api/v1/understand", S::Infer, Infer),
    route(Method::GET, "/api/v1/quality/rules", S::QualityRead, Control),
    route(Method::POST, "/api/v1/quality/rules/check", S::QualityWrite, Control),
    route(Method::POST, "/api/v1/quality/score", S::QualityScore, Infer),
    route(Method::POST, "/api/v1/quality/rules", S::QualityWrite, Control),
    route(Method::PUT, "/api/v1/quality/rules/{rule_id}", S::QualityWrite, Control),
    route(Method::GET, "/api/v1/quality/rules/{rule_id}/versions", S::QualityRead, Control),
    route(Method::POST, "/api/v1/quality/rules/{rule_id}/versions/{version}/publish", S::QualityWrite, Control),
    route(Method::GET, "/api/v1/quality/schemes", S::QualityRead, Control),
    route(Method::POST, "/api/v1/quality/schemes", S::QualityWrite, Control),
    route(Method::POST, "/api/v1/quality/schemes/{scheme_id}/versions/{version}/publish", S::QualityWrite, Control),
    route(Method::GET, "/api/v1/quality/rules/{rule_id}/accuracy", S::QualityRead, Control),
    route(Method::POST, "/api/v1/quality/assignments", S::QualityReview, Control),
    route(Method::GET, "/api/v1/quality/reviews", S::QualityReview, Control),
    route(Method::GET, "/api/v1/quality/scores/{score_id}/reviews", S::QualityRead, Control),
    route(Method::POST, "/api/v1/quality/scores/{score_id}/reviews", S::QualityReview, Control),
    route(Method::POST, "/api/v1/quality/scores/{score_id}/appeals", S::CallsRead, Control),
    route(Method::GET, "/api/v1/quality/appeals", S::CallsRead, Control),
    route(Method::POST, "/api/v1/quality/appeals/{appeal_id}/decide", S::QualityJudge, Control),
    route(Method::POST, "/api/v1/quality/calibrations", S::QualityJudge, Control),
    route(Method::GET, "/api/v1/quality/calibrations/{calibration_id}", S::QualityJudge, Control),
    route(Method::POST, "/api/v1/quality/calibrations/{calibration_id}/answers", S::QualityReview, Control),
    keyed(Method::POST, "/api/v1/quality/jobs", S::QualityScore, Control),
    route(Method::GET, "/api/v1/quality/jobs/{job_id}/diff", S::QualityRead, Control),
    route(Method::POST, "/api/v1/quality/jobs/{job_id}/publish", S::QualityWrite, Control),
    route(Method::POST, "/api/v1/quality/jobs/{job_id}/discard", S::QualityWrite, Control),
    route(Method::GET, "/api/v1/quality/scores", S::QualityRead, Control),
    route(Method::GET, "/api/v1/quality/scores/{score_id}", S::QualityRead, Control),
    // Any token; the handler shows a job to its owner and to who has the scope of its kind.
    route(Method::GET, "/api/v1/jobs", S::CallsRead, Control),
    route(Method::GET, "/api/v1/jobs/{job_id}", S::CallsRead, Control),
    route(Method::POST, "/api/v1/jobs/{job_id}/cancel", S::CallsRead, Control),
    route(Method::GET, "/api/v1/jobs/{job_id}/result", S::CallsRead, Control),
    route(Method::GET, "/api/v1/jobs/{job_id}/errors", S::CallsRead, Control),
    route(Method::GET, "/api/v1/jobs/{job_id}/events", S::CallsRead, Stream),
    route(Method::GET, "/api/v1/eval/tasks", S::EvalRead, Control),
    route(Method::POST, "/api/v1/eval/runs", S::EvalRun, Control),
    route(Method::GET, "/api/v1/eval/runs/{run_id}", S::EvalRead, Control),
    route(Method::GET, "/api/v1/eval/runs/{run_id}/report", S::EvalRead, Control),
    route(Method::GET, "/api/v1/eval/compare", S::EvalRead, Control),
    route(Method::GET, "/api/v1/samples", S::CallsRead, Control),
    route(Method::POST, "/api/v1/samples/{sample_id}/play", S::CallsWrite, Control),
    route(Method::GET, "/api/v1/models", S::ModelsRead, Control),
    route(Method::GET, "/api/v1/models/{id}", S::ModelsRead, Control),
    route(Method::POST, "/api/v1/models/{id}/load", S::ModelsWrite, Control),
    route(Method::POST, "/api/v1/models/{id}/unload", S::ModelsWrite, Control),
    route(Method::GET, "/api/v1/models/routes", S::ModelsRead, Control),
    route(Method::PUT, "/api/v1/models/routes/{task}", S::ModelsWrite, Control),
    route(Method::POST, "/api/v1/models/routes/{task}/rollback", S::ModelsWrite, Control),
    keyed(Method::POST, "/api/v1/chat/sessions", S::ChatWrite, Infer),
    route(Method::GET, "/api/v1/chat/sessions/{chat_id}", S::ChatRead, Control),
    route(Method::DELETE, "/api/v1/chat/sessions/{chat_id}", S::ChatWrite, Control),
    route(Method::GET, "/api/v1/chat/sessions/{chat_id}/messages", S::ChatRead, Control),
    route(Method::POST, "/api/v1/chat/sessions/{chat_id}/messages", S::ChatWrite, Infer),
    route(Method::GET, "/api/v1/chat/sessions/{chat_id}/events", S::ChatRead, Stream),
    route(Method::POST, "/api/v1/chat/sessions/{chat_id}/messages/{message_id}/feedback", S::ChatWrite, Control),
    route(Method::POST, "/api/v1/chat/sessions/{chat_id}/handoff", S::ChatWrite, Control),
    route(Method::POST, "/api/v1/chat/sessions/{chat_id}/handoff/accept", S::ChatWrite, Control),
    route(Method::POST, "/api/v1/chat/sessions/{chat_id}/handoff/return", S::ChatWrite, Control),
    route(Method::POST, "/api/v1/chat/sessions/{chat_id}/agent-messages", S::ChatWrite, Control),
    // Its own key and origin let it in.
    Route { method: Method::POST, path: "/api/v1/chat/visits", scope: None, class: Control, keyed: false },
    route(Method::POST, "/v1/chat/completions", S::ChatWrite, Infer),
    route(Method::POST, "/compat/openai/v1/chat/completions", S::ChatWrite, Infer),
    route(Method::GET, "/v1/models", S::ModelsRead, Control),
    route(Method::GET, "/v1/models/{model}", S::ModelsRead, Control),
    route(Method::GET, "/compat/openai/v1/models", S::ModelsRead, Control),
    route(Method::GET, "/compat/openai/v1/models/{model}", S::ModelsRead, Control),
    route(Method::GET, "/webhooks/rest/", S::ChatRead, Control),
    route(Method::POST, "/webhooks/rest/webhook", S::ChatWrite, Infer),
    open("/chat/{*path}"),
    route(Method::GET, "/api/v1/admin/tokens", S::AdminTokens, Control),
    route(Method::POST, "/api/v1/admin/tokens", S::AdminTokens, Control),
    route(Method::DELETE, "/api/v1/admin/tokens/{token_id}", S::AdminTokens, Control),
    route(Method::GET, "/api/v1/admin/audit", S::AdminAudit, Control),
    route(Method::GET, "/api/v1/admin/config", S::AdminAudit, Control),
    route(Method::POST, "/v1/audio/transcriptions", S::Infer, Infer),
    route(Method::POST, "/compat/openai/v1/audio/transcriptions", S::Infer, Infer),
    route(Method::GET, "/v1/realtime", S::Infer, Stream),
    route(Method::GET, "/compat/openai/v1/realtime", S::Infer, Stream),
    route(Method::GET, "/compat/funasr", S::Infer, Stream),
    route(Method::GET, "/v1/listen", S::Infer, Stream),
    route(Method::GET, "/compat/deepgram/v1/listen", S::Infer, Stream),
    // Its token comes in a parameter of the stream, or a signature stands for it: the handler decides.
    open("/compat/twilio/media"),
    route(Method::POST, "/model/parse", S::Infer, Infer),
    route(Method::POST, "/compat/rasa/model/parse", S::Infer, Infer),
    route(Method::GET, "/compat/rasa/version", S::Infer, Control),
    route(Method::GET, "/compat/rasa/status", S::Infer, Control),
    route(Method::POST, "/embed", S::Infer, Infer),
    route(Method::POST, "/rerank", S::Infer, Infer),
    route(Method::POST, "/predict", S::Infer, Infer),
    route(Method::GET, "/info", S::Infer, Control),
    route(Method::POST, "/compat/tei/{model_id}", S::Infer, Infer),
    route(Method::POST, "/compat/tei/{model_id}/embed", S::Infer, Infer),
    route(Method::POST, "/compat/tei/{model_id}/rerank", S::Infer, Infer),
    route(Method::POST, "/compat/tei/{model_id}/predict", S::Infer, Infer),
    route(Method::GET, "/compat/tei/{model_id}/info", S::Infer, Control),
    route(Method::POST, "/v1/embeddings", S::Infer, Infer),
    route(Method::POST, "/compat/openai/v1/embeddings", S::Infer, Infer),
];

/// The route of a method and matched path; HEAD counts as GET.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    ROUTES.iter().find(|r| r.method == *method && r.path == path)
}
