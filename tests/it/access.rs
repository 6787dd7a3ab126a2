//! Tokens, scopes, strict bodies, idempotency.

use serde_json::{Value, json};
use zhiyin::api::ROUTES;

use crate::support::Service;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_but_the_open_ones_refuses_a_request_without_a_token() {
    let service = Service::start().await;
    for route in ROUTES {
        let path = route
            .path
            .replace("/chat/{*path}", "/chat/zhiyin-chat.js")
            .replace("{*path}", "app.js")
            .replace("{version}", "1")
            .replace("{action}", "publish")
            .replace(['{', '}'], "");
        let url = format!("{}{path}", service.base);
        let response = service.http.request(route.method.clone(), url).send().await.unwrap();
        let status = response.status().as_u16();
        match route.scope {
            Some(_) => assert_eq!(status, 401, "{} {path}", route.method),
            // Their own key, origin or signature lets them in, not a token.
            None if ["/api/v1/chat/visits", "/compat/twilio/media"].contains(&route.path) => {
                assert!((400..500).contains(&status), "{} {path}: {status}", route.method);
            }
            None => assert!(status < 400, "{} {path}: {status}", route.method),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_only_what_its_scopes_say_and_ends_when_revoked() {
    let service = Service::start().await;
    let (status, token) = service.post("/api/v1/admin/tokens", json!({"name": "reader", "scopes": ["calls:read"]})).await;
    assert_eq!(status, 201, "{token}");
    let secret = token["secret"].as_str().unwrap();
    let get = |path: &str| service.http.get(format!("{}{path}", service.base)).bearer_auth(secret).send();
    assert_eq!(get("/api/v1/calls").await.unwrap().status(), 200);
    let refused = get("/api/v1/alerts").await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("events:read"));
    let revoke = format!("{}/api/v1/admin/tokens/{}", service.base, token["token_id"].as_str().unwrap());
    assert_eq!(service.http.delete(revoke).bearer_auth(&service.token).send().await.unwrap().status(), 204);
    assert_eq!(get("/api/v1/calls").await.unwrap().status(), 401);
    let (_, listed) = service.get("/api/v1/admin/tokens").await;
    assert!(!listed.to_string().contains(secret), "a secret is shown once");
    let (_, trail) = service.get("/api/v1/admin/audit").await;
    assert!(trail.to_string().contains("token.revoke"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_stored_answer_and_another_body_is_refused() {
    let service = Service::start().await;
    let post = |body: &'static str| {
        service
            .http
            .post(format!("{}/api/v1/calls", service.base))
            .bearer_auth(&service.token)
            .header("Idempotency-Key", "one")
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let first = post(r#"{"channel":"chat"}"#).await.unwrap();
    assert_eq!(first.status(), 201);
    let first: serde_json::Value = first.json().await.unwrap();
    let again = post(r#"{"channel":"chat"}"#).await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.json::<serde_json::Value>().await.unwrap()["call_id"], first["call_id"]);
    let other = post(r#"{"channel":"email"}"#).await.unwrap();
    assert_eq!(other.status(), 422);
    assert!(other.text().await.unwrap().contains("idempotency_key_reused"));
    let missing = service.http.post(format!("{}/api/v1/calls", service.base)).bearer_auth(&service.token).body("{}").send();
    assert!(missing.await.unwrap().text().await.unwrap().contains("idempotency_key_missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_socket_once() {
    let service = Service::start().await;
    let call_id = service.open_call(json!({"channel": "chat"})).await;
    let (status, ticket) = service.post("/api/v1/tickets", json!({"scopes": ["events:read"], "call_id": call_id})).await;
    assert_eq!(status, 200, "{ticket}");
    let url = format!("{}/api/v1/calls/{call_id}/events?ticket={}", service.base, ticket["ticket"].as_str().unwrap());
    assert_eq!(service.http.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(service.http.get(&url).send().await.unwrap().status(), 401);
}

/// A token: its secret.
async fn token(service: &Service, body: Value) -> String {
    let (status, made) = service.post("/api/v1/admin/tokens", body).await;
    assert_eq!(status, 201, "{made}");
    made["secret"].as_str().unwrap().to_owned()
}

/// A keyed request of a token: status, whether the answer is a repeated one, body.
async fn keyed(service: &Service, secret: &str, path: &str, key: &str, body: &Value) -> (u16, bool, Value) {
    let request = service.http.post(format!("{}{path}", service.base)).bearer_auth(secret).header("Idempotency-Key", key);
    let response = request.json(body).send().await.unwrap();
    let (status, repeated) = (response.status().as_u16(), response.headers().contains_key("idempotent-replayed"));
    (status, repeated, response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_at_its_time_in_whatever_offset_it_was_written() {
    let service = Service::start().await;
    let hours = |n: i64| {
        let at = chrono::Utc::now() + chrono::Duration::hours(n);
        at.with_timezone(&chrono::FixedOffset::east_opt(8 * 3_600).unwrap()).to_rfc3339()
    };
    let body = |end: &str| json!({"name": "r", "scopes": ["calls:read"], "expires_at": end});
    let over = token(&service, body(&hours(-1))).await;
    let ahead = token(&service, body(&hours(1))).await;
    let get = |secret: &str| service.http.get(format!("{}/api/v1/calls", service.base)).bearer_auth(secret).send();
    let refused = get(&over).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.text().await.unwrap().contains("token_expired"));
    assert_eq!(get(&ahead).await.unwrap().status(), 200);
    let (status, problem) = service.post("/api/v1/admin/tokens", body("next week")).await;
    assert_eq!((status, problem["errors"][0]["pointer"].as_str()), (422, Some("/expires_at")), "{problem}");
    let filter = json!({"filter": {"from": "2026-01-01T00:00:00+08:00", "to": "yesterday"}});
    let (status, problem) = service.post("/api/v1/quality/jobs", filter).await;
    assert_eq!((status, problem["errors"][0]["pointer"].as_str()), (422, Some("/filter/to")), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_secret_is_not_kept_for_repetition() {
    let service = Service::start().await;
    let body = json!({"name": "r", "scopes": ["calls:read"]});
    let (_, _, first) = keyed(&service, &service.token, "/api/v1/admin/tokens", "one", &body).await;
    let (status, repeated, again) = keyed(&service, &service.token, "/api/v1/admin/tokens", "one", &body).await;
    assert_eq!((status, repeated), (201, false), "{again}");
    assert_ne!(first["secret"], again["secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_token_gives_no_wider_one_and_gets_no_call_of_others() {
    let service = Service::start().await;
    let filter = json!({"queues": ["billing"]});
    let body = json!({"name": "b", "scopes": ["admin:tokens", "calls:read", "calls:write"], "row_filter": filter});
    let secret = token(&service, body).await;
    let wider = json!({"name": "w", "scopes": ["calls:read"]});
    let (status, _, problem) = keyed(&service, &secret, "/api/v1/admin/tokens", "w", &wider).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("outside_row_filter")), "{problem}");
    let same = json!({"name": "s", "scopes": ["calls:read"], "row_filter": filter});
    assert_eq!(keyed(&service, &secret, "/api/v1/admin/tokens", "s", &same).await.0, 201);

    service.open_call(json!({"channel": "chat", "queue": "card", "external_id": "x1"})).await;
    let call = json!({"channel": "chat", "queue": "billing", "external_id": "x1"});
    let (status, _, problem) = keyed(&service, &secret, "/api/v1/calls?on_conflict=return", "a", &call).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("outside_row_filter")), "{problem}");
    let (status, _, problem) = keyed(&service, &secret, "/api/v1/calls", "b", &call).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("call_exists")), "{problem}");
    assert!(problem["existing_id"].is_null(), "{problem}");
    let (status, _, own) = keyed(&service, &service.token, "/api/v1/calls?on_conflict=return", "c", &call).await;
    assert_eq!((status, own["queue"].as_str()), (200, Some("card")), "{own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_requests_with_one_external_id_at_the_same_time_one_opens_the_call() {
    let service = Service::start().await;
    let call = json!({"channel": "chat", "external_id": "x1"});
    let opened = futures::future::join_all((0..8).map(|n| {
        let (service, call) = (&service, &call);
        async move { keyed(service, &service.token, "/api/v1/calls", &format!("k{n}"), call).await }
    }))
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(|(status, _, _)| *status == 201);
    assert_eq!((made.len(), refused.len()), (1, 7), "{refused:?}");
    for (status, _, problem) in &refused {
        assert_eq!((*status, problem["code"].as_str()), (409, Some("call_exists")), "{problem}");
        assert_eq!(problem["existing_id"], made[0].2["call_id"]);
    }
}
