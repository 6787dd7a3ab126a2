//! The live page and its files, and the sample calls that it plays.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiContext, Problem};

#[derive(RustEmbed)]
#[folder = "web/"]
#[include = "index.html"]
#[include = "static/*"]
#[include = "chat/*"]
struct Files;

/// The live page.
pub(super) async fn index() -> Response {
    file("index.html")
}

/// A file of the live page.
pub(super) async fn asset(Path(path): Path<String>) -> Response {
    file(&format!("static/{path}"))
}

/// A file of the embeddable chat: pages of other sites load it, so its policy names no frame.
pub(super) async fn chat_file(Path(path): Path<String>) -> Response {
    match Files::get(&format!("chat/{path}")) {
        Some(file) => {
            let kind = mime_guess::from_path(&path).first_or_octet_stream();
            let headers = [
                (header::CONTENT_TYPE, kind.to_string()),
                (header::CACHE_CONTROL, "public, max-age=300".to_owned()),
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
                (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin".to_owned()),
            ];
            (headers, file.data).into_response()
        }
        None => Problem::not_found("file").into_response(),
    }
}

fn file(path: &str) -> Response {
    match Files::get(path) {
        Some(file) => {
            let kind = mime_guess::from_path(path).first_or_octet_stream();
            let policy = "default-src 'self'; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'";
            let headers = [
                (header::CONTENT_TYPE, kind.to_string()),
                (header::CACHE_CONTROL, "no-cache".to_owned()),
                (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
            ];
            (headers, file.data).into_response()
        }
        None => Problem::not_found("file").into_response(),
    }
}

/// Sample calls that can be played.
#[utoipa::path(get, path = "/api/v1/samples", tag = "samples", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn samples(State(context): State<ApiContext>) -> Json<Vec<serde_json::Value>> {
    Json(context.samples.as_ref().clone())
}

/// A sample call that is being played.
#[derive(Serialize, ToSchema)]
pub(super) struct Playing {
    call_id: String,
}

/// Plays a sample call as if it came from the telephone, in real time.
#[utoipa::path(post, path = "/api/v1/samples/{sample_id}/play", tag = "samples", params(("sample_id" = String, Path)),
    responses((status = 202, body = Playing), (status = 404, body = Problem)))]
pub(super) async fn play(
    State(context): State<ApiContext>,
    Path(sample_id): Path<String>,
) -> Result<(StatusCode, Json<Playing>), Problem> {
    let call_id = (context.player)(sample_id).await?;
    Ok((StatusCode::ACCEPTED, Json(Playing { call_id })))
}
