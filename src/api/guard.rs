//! Who may come in: token or ticket, scope and rate class of the route.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::routes::{Route, find};
use super::{ApiContext, Problem, compat, text_surfaces};
use crate::access::Principal;

/// Lets a request in, or answers why not. The principal travels in the request's extensions.
pub(super) async fn guard(
    State(context): State<ApiContext>,
    path: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(path) = path else {
        return next.run(request).await;
    };
    let Some(route) = find(request.method(), path.as_str()) else {
        return Problem::new("method_not_allowed", "this path has other methods").into_response();
    };
    let visitor = bearer(request.headers()).filter(|secret| secret.starts_with(super::chat::VISITOR_PREFIX)).map(str::to_owned);
    let admitted = match &visitor {
        Some(ticket) if route.scope.is_some() => match super::chat::visitor(&context, ticket, request.uri().path()).await {
            Ok(principal) => let_in(&context, route, principal),
            Err(problem) => Err(problem),
        },
        _ => admit(&context, route, request.headers(), request.uri().query(), request.uri().path()),
    };
    match admitted {
        Ok(principal) => {
            if let Some(principal) = principal {
                request.extensions_mut().insert(principal);
            }
            request.extensions_mut().insert(route.clone());
            next.run(request).await
        }
        Err(problem) => {
            let path = request.uri().path();
            text_surfaces::shaped(path, problem).unwrap_or_else(|problem| compat::shaped(path, *problem))
        }
    }
}

fn admit(
    context: &ApiContext,
    route: &Route,
    headers: &HeaderMap,
    query: Option<&str>,
    path: &str,
) -> Result<Option<Principal>, Problem> {
    if route.scope.is_none() {
        return Ok(None);
    }
    let principal = principal(context, headers, query, path)?;
    let_in(context, route, principal)
}

/// Scope and rate of a principal on a route.
fn let_in(context: &ApiContext, route: &Route, principal: Principal) -> Result<Option<Principal>, Problem> {
    let Some(scope) = route.scope else { return Ok(None) };
    // Any valid token may ask for the version, for a ticket of its own scopes and for the jobs that it sees.
    let for_any = matches!(route.path, "/version" | "/api/v1/tickets") || route.path.starts_with("/api/v1/jobs");
    if !for_any && !principal.may(scope) {
        return Err(Problem::scope_missing(scope));
    }
    let decision = context.limiter.take(&principal.token_id, route.class);
    if !decision.admitted {
        let mut problem = Problem::new("rate_limited", "this token sends more requests than its allowance");
        problem.retry_after_s = Some(decision.retry_after_s.ceil().max(1.0) as u64);
        return Err(problem);
    }
    Ok(Some(principal))
}

/// The secret of the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| ["Bearer ", "bearer ", "Token ", "token "].iter().find_map(|scheme| v.strip_prefix(scheme)))
        .map(str::trim)
}

fn principal(context: &ApiContext, headers: &HeaderMap, query: Option<&str>, path: &str) -> Result<Principal, Problem> {
    let bearer = bearer(headers);
    let key = headers.get("x-api-key").and_then(|v: &HeaderValue| v.to_str().ok());
    if let Some(secret) = bearer.or(key) {
        return context.tokens.principal(secret.trim());
    }
    let parameter = |name: &str| {
        let prefix = format!("{name}=");
        query.unwrap_or_default().split('&').find_map(|p| p.strip_prefix(&prefix).map(str::to_owned))
    };
    if let Some(ticket) = parameter("ticket") {
        let call_id = path.split('/').find(|part| part.starts_with("call_"));
        return context
            .tickets
            .redeem(&ticket, call_id)
            .ok_or_else(|| Problem::new("unauthenticated", "the ticket was used, has expired or is for another call"));
    }
    if let Some(secret) = parameter("token").filter(|_| context.server.query_tokens && text_surfaces::takes_query_token(path)) {
        return context.tokens.principal(&secret);
    }
    if parameter("token").is_some() {
        return Err(Problem::new("unauthenticated", "tokens are not taken from the address; send a header or a ticket"));
    }
    Err(Problem::new("unauthenticated", "send Authorization: Bearer zy_…"))
}
