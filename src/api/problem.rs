//! Errors of the interface: RFC 9457 problem details with stable codes.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Scope;
use crate::event::SinkError;
use crate::pipeline::PipelineError;
use crate::store::StoreError;

/// A problem, `application/problem+json`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:zhiyin:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short and the same for every problem of a code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// What happened here and how to mend it.
    pub detail: String,
    /// Every problem of the request at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemItem>,
    /// For `call_exists`: the call that has this external id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_id: Option<String>,
    /// Seconds after which to try again.
    #[serde(skip)]
    pub retry_after_s: Option<u64>,
}

/// One problem of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProblemItem {
    /// JSON Pointer into the body.
    pub pointer: String,
    /// Code.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

/// Code, status and title of every problem.
const CODES: &[(&str, StatusCode, &str)] = &[
    ("invalid_json", StatusCode::BAD_REQUEST, "the body is not JSON"),
    ("invalid_query", StatusCode::BAD_REQUEST, "a query parameter cannot be used"),
    ("idempotency_key_missing", StatusCode::BAD_REQUEST, "this request needs an Idempotency-Key"),
    ("unauthenticated", StatusCode::UNAUTHORIZED, "a valid token is needed"),
    ("token_expired", StatusCode::UNAUTHORIZED, "the token has expired"),
    ("scope_missing", StatusCode::FORBIDDEN, "the token lacks a scope"),
    ("outside_row_filter", StatusCode::FORBIDDEN, "the token does not see this"),
    ("consent_missing", StatusCode::FORBIDDEN, "the customer has not agreed"),
    ("not_found", StatusCode::NOT_FOUND, "there is no such thing"),
    ("unknown_call", StatusCode::NOT_FOUND, "there is no such call"),
    ("cursor_expired", StatusCode::GONE, "the cursor is no longer valid"),
    ("events_expired", StatusCode::GONE, "these events are no longer kept"),
    ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here"),
    ("not_acceptable", StatusCode::NOT_ACCEPTABLE, "none of the accepted forms can be given"),
    ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body has the wrong media type"),
    ("call_exists", StatusCode::CONFLICT, "a call with this external id exists"),
    ("call_ended", StatusCode::CONFLICT, "the call is over"),
    ("audio_writer_present", StatusCode::CONFLICT, "another socket sends this channel"),
    ("state_conflict", StatusCode::CONFLICT, "the present state does not allow it"),
    ("idempotency_in_progress", StatusCode::CONFLICT, "the same request is still running"),
    ("version_conflict", StatusCode::PRECONDITION_FAILED, "somebody changed it meanwhile"),
    ("precondition_required", StatusCode::PRECONDITION_REQUIRED, "this write needs If-Match"),
    ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
    ("too_many_items", StatusCode::PAYLOAD_TOO_LARGE, "too many items in one request"),
    ("unknown_field", StatusCode::UNPROCESSABLE_ENTITY, "the body has a field that is not known"),
    ("invalid_value", StatusCode::UNPROCESSABLE_ENTITY, "a value cannot be used"),
    ("invalid_audio", StatusCode::UNPROCESSABLE_ENTITY, "audio not usable"),
    ("invalid_rule", StatusCode::UNPROCESSABLE_ENTITY, "the rule has errors"),
    ("idempotency_key_reused", StatusCode::UNPROCESSABLE_ENTITY, "this key was used for another request"),
    ("language_unsupported", StatusCode::UNPROCESSABLE_ENTITY, "the language is not supported"),
    ("rate_limited", StatusCode::TOO_MANY_REQUESTS, "too many requests of this token"),
    ("overloaded", StatusCode::TOO_MANY_REQUESTS, "this node is full"),
    ("internal", StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here"),
    ("not_ready", StatusCode::SERVICE_UNAVAILABLE, "the service is starting"),
    ("draining", StatusCode::SERVICE_UNAVAILABLE, "this node is going away"),
    ("model_unavailable", StatusCode::SERVICE_UNAVAILABLE, "a model is not loaded"),
    ("storage_full", StatusCode::INSUFFICIENT_STORAGE, "the disk is full"),
    ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT, "it took too long"),
];

impl Problem {
    /// A problem of a known code; an unknown code is `internal`.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        let (code, status, title) = CODES.iter().find(|c| c.0 == code).copied().unwrap_or((
            "internal",
            StatusCode::INTERNAL_SERVER_ERROR,
            "something went wrong here",
        ));
        let retry_after_s = match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(1 + rand::random_range(0..3)),
            _ => None,
        };
        Self {
            kind: format!("urn:zhiyin:problem:{code}"),
            title: title.into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            existing_id: None,
            retry_after_s,
        }
    }

    /// Adds one item.
    pub fn item(mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        self.errors.push(ProblemItem { pointer: pointer.into(), code: code.into(), message: message.into() });
        self
    }

    /// Something that is not there.
    pub fn not_found(what: &str) -> Self {
        Self::new("not_found", format!("there is no such {what}"))
    }

    /// A scope that the token lacks.
    pub fn scope_missing(scope: Scope) -> Self {
        Self::new("scope_missing", format!("this needs the scope {}", scope.name()))
    }

    /// One value that cannot be used.
    pub fn invalid(pointer: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new("invalid_value", message.clone()).item(pointer, "invalid_value", message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after_s;
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "store");
        match error {
            StoreError::DiskFull => Self::new("storage_full", "nothing acknowledged is lost; free space and try again"),
            StoreError::Closed => Self::new("draining", "the store is closed"),
            _ => Self::new("internal", "the store could not answer"),
        }
    }
}

impl From<PipelineError> for Problem {
    fn from(error: PipelineError) -> Self {
        match &error {
            PipelineError::NotOpen(_) => Self::new("call_ended", "the call is over, or is not open on this node"),
            PipelineError::Overloaded(refusal) => Self::new("overloaded", format!("{refusal}; try again here later")),
            PipelineError::WriterPresent(channel) => {
                Self::new("audio_writer_present", format!("channel {channel} has a writer; take over with resume"))
            }
            PipelineError::NoRecogniser => Self::new("model_unavailable", error.to_string()),
            PipelineError::Recogniser(crate::asr::AsrError::Overloaded { .. }) => {
                Self::new("overloaded", "no decoder is free for another channel; try again here later")
            }
            PipelineError::Sink(SinkError::Full) => {
                tracing::error!(%error, "pipeline");
                Self::new("storage_full", "nothing acknowledged is lost; free space and try again")
            }
            PipelineError::Sink(SinkError::Exists { what: "call", .. }) => {
                Self::new("call_exists", "a call with this external_id exists")
            }
            PipelineError::Sink(SinkError::Closed) => Self::new("draining", "the event log is closed"),
            PipelineError::Listen(error) => Self::new("invalid_audio", error.to_string()),
            _ => {
                tracing::error!(%error, "pipeline");
                Self::new("internal", "the call could not go on")
            }
        }
    }
}
