use super::*;

#[test]
fn every_documented_path_stands_in_the_route_table_and_the_other_way_round() {
    let description = openapi();
    let mut documented: Vec<(String, String)> = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        documented.extend(methods.as_object().unwrap().keys().map(|m| (m.to_uppercase(), path.clone())));
    }
    for (method, path) in &documented {
        let known = ROUTES.iter().any(|r| r.method.as_str() == method && r.path == path);
        assert!(known, "{method} {path} is documented but not in ROUTES");
    }
    for route in ROUTES {
        let internal = route.path.starts_with("/schemas")
            || matches!(route.path, "/" | "/static/{*path}" | "/chat/{*path}" | "/openapi.json");
        // The same handlers under a second address.
        let alias = route.path.starts_with("/compat/openai/")
            || route.path.starts_with("/compat/deepgram/")
            || route.path.starts_with("/compat/rasa/")
            || route.path.starts_with("/compat/tei/");
        let known = documented.iter().any(|(m, p)| route.method.as_str() == m && route.path == p);
        assert!(internal || alias || known, "{} {} is in ROUTES but not documented", route.method, route.path);
    }
}

#[test]
fn only_health_metrics_description_and_static_files_are_open() {
    for route in ROUTES.iter().filter(|r| r.scope.is_none()) {
        let open =
            ["/healthz", "/readyz", "/health", "/metrics", "/openapi.json", "/", "/static/{*path}", "/compat/twilio/media"];
        // The web chat's files, and its visits, which the site's key and origin let in.
        let chat = ["/chat/{*path}", "/api/v1/chat/visits"];
        assert!(
            chat.contains(&route.path) || open.contains(&route.path) || route.path.starts_with("/schemas/"),
            "{}",
            route.path
        );
    }
}

#[test]
fn the_wire_vocabulary_has_not_drifted() {
    insta::assert_json_snapshot!("events_v1", event_schema());
    let paths: Vec<String> = openapi()["paths"].as_object().unwrap().keys().cloned().collect();
    insta::assert_json_snapshot!("openapi_paths", paths);
}

#[derive(serde::Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[expect(dead_code, reason = "only parsed")]
    queue: String,
    #[expect(dead_code, reason = "only parsed")]
    inner: Option<Inner>,
}

#[derive(serde::Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Inner {
    #[expect(dead_code, reason = "only parsed")]
    weight: f32,
}

#[test]
fn a_strict_body_names_the_field_its_place_and_the_nearest_name() {
    let problem = strict::parse::<Sample>(br#"{"queue":"a","inner":{"wieght":1}}"#).unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (422, "unknown_field"));
    assert_eq!(problem.errors[0].pointer, "/inner/wieght");
    assert!(problem.detail.contains("did you mean \"weight\""), "{}", problem.detail);
    let problem = strict::parse::<Sample>(br#"{"queue":5}"#).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.errors[0].pointer.as_str()), ("invalid_value", "/queue"));
    assert_eq!(strict::parse::<Sample>(b"{").unwrap_err().code, "invalid_json");
}

#[test]
fn no_problem_repeats_a_value_of_the_body() {
    let problem = strict::parse::<Sample>(r#"{"queue":{"x":"秘密的话"}}"#.as_bytes()).unwrap_err();
    assert!(!serde_json::to_string(&problem).unwrap().contains("秘密"));
}

#[test]
fn times_are_compared_in_utc_and_what_is_none_is_named() {
    let utc = |time: &str| times::in_utc("/from", time);
    assert_eq!(utc("2026-12-01T08:00:00+08:00").unwrap(), "2026-12-01T00:00:00.000Z");
    assert_eq!(utc("2026-12-01T00:00:00.1239Z").unwrap(), "2026-12-01T00:00:00.123Z");
    let problem = utc("next week").unwrap_err();
    assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (422, "/from"));
    assert!(!problem.detail.contains("next week"));
}

#[test]
fn a_full_disk_and_a_known_name_keep_their_codes_on_the_way_through_a_call() {
    use crate::event::SinkError;
    use crate::store::StoreError;
    let code = |error: StoreError| {
        let problem = Problem::from(crate::pipeline::PipelineError::from(SinkError::from(error)));
        (problem.status, problem.code)
    };
    assert_eq!(code(StoreError::DiskFull), (507, "storage_full".into()));
    assert_eq!(code(StoreError::Exists { what: "call", id: "x".into() }), (409, "call_exists".into()));
    assert_eq!(code(StoreError::Closed), (503, "draining".into()));
    assert_eq!(code(StoreError::Database("locked".into())), (500, "internal".into()));
}
