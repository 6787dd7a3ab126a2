//! Tokens, scopes, strict bodies, idempotency.

use serde_json::json;
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
