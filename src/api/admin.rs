//! Tokens, audit trail and the resolved configuration.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::strict::Strict;
use super::times::maybe_in_utc;
use super::{ApiContext, Problem};
use crate::access::{Principal, RowFilter, Scope, TokenRecord, hash_secret, new_secret, shipped_role};
use crate::conversation::{IdKind, new_id};
use crate::event::now_rfc3339;
use crate::store::{AuditEntry, Write};

/// A token without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenView {
    token_id: String,
    name: String,
    scopes: Vec<Scope>,
    row_filter: RowFilter,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// Shown once, when the token is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn view(token: TokenRecord, secret: Option<String>) -> TokenView {
    TokenView {
        token_id: token.token_id,
        name: token.name,
        scopes: token.scopes,
        row_filter: token.row_filter,
        created_at: token.created_at,
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        secret,
    }
}

/// All tokens, without secrets.
#[utoipa::path(get, path = "/api/v1/admin/tokens", tag = "admin", responses((status = 200, body = Vec<TokenView>)))]
pub(super) async fn tokens(State(context): State<ApiContext>) -> Json<Vec<TokenView>> {
    Json(context.tokens.all().into_iter().map(|t| view(t, None)).collect())
}

/// A token to be made: scopes, or a role that stands for them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    name: String,
    #[serde(default)]
    scopes: Vec<Scope>,
    /// `agent`, `supervisor`, `qa`, `editor`, `engineer`, `integrator`, `auditor` or `admin`.
    role: Option<String>,
    #[serde(default)]
    row_filter: RowFilter,
    /// RFC 3339; never by default.
    expires_at: Option<String>,
}

/// Makes a token; its secret is shown once.
#[utoipa::path(post, path = "/api/v1/admin/tokens", tag = "admin", request_body = NewToken,
    responses((status = 201, body = TokenView), (status = 422, body = Problem)))]
pub(super) async fn create_token(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Strict(request): Strict<NewToken>,
) -> Result<(StatusCode, Json<TokenView>), Problem> {
    let expires_at = maybe_in_utc("/expires_at", request.expires_at.as_deref())?;
    let mut scopes = request.scopes;
    if let Some(role) = &request.role {
        let role = shipped_role(role).ok_or_else(|| {
            let known: Vec<_> = crate::access::SHIPPED_ROLES.iter().map(|r| r.name).collect();
            Problem::invalid("/role", format!("known roles: {}", known.join(", ")))
        })?;
        scopes.extend(role.scopes);
    }
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Problem::invalid("/scopes", "name scopes or a role"));
    }
    // Nobody gives what he does not have.
    if let Some(missing) = scopes.iter().find(|s| !principal.may(**s)) {
        return Err(Problem::scope_missing(*missing));
    }
    if !principal.row_filter.covers(&request.row_filter) {
        let why = "the new token would see more than this one; name a row_filter within its own";
        return Err(Problem::new("outside_row_filter", why).item("/row_filter", "outside_row_filter", why));
    }
    let secret = new_secret();
    let token = TokenRecord {
        token_id: new_id(IdKind::Token),
        name: request.name,
        secret_sha256: hash_secret(&secret),
        scopes,
        row_filter: request.row_filter,
        created_at: now_rfc3339(),
        expires_at,
        revoked_at: None,
    };
    context.tokens.keep(context.store(), token.clone()).await?;
    audit(&context, &principal, "token.create", &token.token_id).await?;
    Ok((StatusCode::CREATED, Json(view(token, Some(secret)))))
}

/// Revokes a token.
#[utoipa::path(delete, path = "/api/v1/admin/tokens/{token_id}", tag = "admin", params(("token_id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn revoke_token(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(token_id): Path<String>,
) -> Result<StatusCode, Problem> {
    let token = context.tokens.all().into_iter().find(|t| t.token_id == token_id).ok_or_else(|| Problem::not_found("token"))?;
    let token = TokenRecord { revoked_at: token.revoked_at.or_else(|| Some(now_rfc3339())), ..token };
    context.tokens.keep(context.store(), token).await?;
    audit(&context, &principal, "token.revoke", &token_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn audit(context: &ApiContext, principal: &Principal, action: &str, object: &str) -> Result<(), Problem> {
    let entry = AuditEntry {
        time: now_rfc3339(),
        actor: principal.token_id.clone(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: String::new(),
    };
    Ok(context.store().write(vec![Write::Audit(entry)]).await?)
}

/// The audit trail, newest first.
#[utoipa::path(get, path = "/api/v1/admin/audit", tag = "admin", responses((status = 200, body = Vec<AuditEntry>)))]
pub(super) async fn audit_trail(State(context): State<ApiContext>) -> Result<Json<Vec<AuditEntry>>, Problem> {
    Ok(Json(context.store().audit(200).await?))
}

/// The resolved settings; secrets are masked.
#[utoipa::path(get, path = "/api/v1/admin/config", tag = "admin", responses((status = 200, body = Object)))]
pub(super) async fn config(State(context): State<ApiContext>) -> Json<serde_json::Value> {
    Json(context.settings.as_ref().clone())
}
