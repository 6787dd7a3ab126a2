//! Understanding of texts outside of a call.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::strict::Strict;
use super::{ApiContext, Problem};
use crate::conversation::{Role, Turn, Understanding, UtteranceId};
use crate::nlu::Thread;

/// Most texts in one request.
const INPUTS_MAX: usize = 256;

/// A text, the turns of a conversation, or a list of texts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnderstandRequest {
    text: Option<String>,
    #[schema(value_type = Option<Vec<Object>>)]
    turns: Option<Vec<Turn>>,
    inputs: Option<Vec<String>>,
    /// BCP 47 tags; the encoder is bilingual and needs none.
    #[expect(dead_code, reason = "part of the request's form")]
    languages: Option<Vec<String>>,
}

/// Intents, emotion, entities, acts and conduct of texts; for several, a list in their order.
#[utoipa::path(post, path = "/api/v1/understand", tag = "understand", request_body = UnderstandRequest,
    responses((status = 200, body = Understanding, description = "for `inputs` and `turns` a list"), (status = 422, body = Problem)))]
pub(super) async fn understand(
    State(context): State<ApiContext>,
    Strict(request): Strict<UnderstandRequest>,
) -> Result<Response, Problem> {
    let one = request.text.is_some();
    let place_of = |place: usize| match (&request.text, &request.turns) {
        (Some(_), _) => "/text".to_owned(),
        (_, Some(_)) => format!("/turns/{place}/text"),
        _ => format!("/inputs/{place}"),
    };
    let pointers: Vec<String> = (0..INPUTS_MAX).map(place_of).collect();
    let in_turns = request.turns.is_some();
    let texts: Vec<(Role, String)> = match (request.text, request.turns, request.inputs) {
        (Some(text), None, None) => vec![(Role::Customer, text)],
        (None, Some(turns), None) => turns.into_iter().map(|t| (t.role, t.text)).collect(),
        (None, None, Some(inputs)) => inputs.into_iter().map(|t| (Role::Customer, t)).collect(),
        _ => return Err(Problem::invalid("", "give exactly one of text, turns and inputs")),
    };
    if texts.len() > INPUTS_MAX {
        return Err(Problem::new("too_many_items", format!("at most {INPUTS_MAX} texts")));
    }
    if let Some(place) = texts.iter().position(|(_, t)| t.trim().is_empty()) {
        return Err(Problem::invalid(&pointers[place], "must not be blank"));
    }
    let stages = context.hub.stages();
    let failed = |e| Problem::from(crate::pipeline::PipelineError::from(e));
    let all: Vec<String> = texts.iter().map(|(_, t)| t.clone()).collect();
    let encodings = stages.encoder.encode_batch_async(all).await.map_err(failed)?;
    // Turns are one conversation: what the customer spoke of is carried from turn to turn.
    let mut thread = Thread::default();
    let mut read: Vec<Understanding> = Vec::with_capacity(texts.len());
    for ((role, text), mut encoding) in texts.iter().zip(encodings) {
        if in_turns && matches!(role, Role::Customer | Role::Unknown) {
            stages.reader.in_thread(&mut thread, text, &mut encoding);
        }
        read.push(stages.read(&UtteranceId::new(), *role, text, &encoding, None, None));
    }
    if one && let Some(only) = read.pop() {
        return Ok(Json(only).into_response());
    }
    Ok(Json(read).into_response())
}
