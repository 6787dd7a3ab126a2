//! The knowledge base through the interface: import, life-cycle, verdicts, gaps, export; suggestions that are withdrawn.

use serde_json::{Value, json};

use crate::support::Service;

/// Sends files to the import and waits for the result of its job.
async fn import(service: &Service, files: &[(&str, &[u8])], fields: &[(&str, &str)]) -> Value {
    let boundary = "knowledge-test-boundary";
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    for (name, bytes) in files {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend(head.bytes());
        body.extend_from_slice(bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    let sent = service
        .http
        .post(format!("{}/api/v1/knowledge/imports", service.base))
        .bearer_auth(&service.token)
        .header("Idempotency-Key", ulid::Ulid::new().to_string())
        .header("Content-Type", format!("multipart/form-data; boundary={boundary}"))
        .body(body)
        .send()
        .await
        .unwrap();
    let status = sent.status().as_u16();
    let job: Value = sent.json().await.unwrap();
    assert_eq!(status, 202, "{job}");
    let path = format!("/api/v1/jobs/{}", job["job_id"].as_str().unwrap());
    for _ in 0..300 {
        let (_, job) = service.get(&path).await;
        if job["state"] == "succeeded" {
            return json!({ "result": service.get(&format!("{path}/result")).await.1, "errors": service.get(&format!("{path}/errors")).await.1 });
        }
        assert_ne!(job["state"], "failed", "{job}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the import did not end");
}

async fn search(service: &Service, query: &str) -> Value {
    let (status, answer) = service.post("/api/v1/knowledge/search", json!({ "query": query, "explain": true })).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_imported_searched_judged_and_exported() {
    let service = Service::start().await;
    let csv = "question,answer,tags\n无人机能不能寄快递,无人机电池要单独包装并且贴锂电池标签,快递\n空的,,\n";
    let scan = b"%PDF-1.4\n%%EOF\n";
    let done = import(&service, &[("rules.csv", csv.as_bytes()), ("scan.pdf", scan)], &[("mode", "upsert")]).await;
    let result = &done["result"];
    assert_eq!((&result["added"], &result["removed"]), (&json!(1), &json!(0)), "{done}");
    assert!(result["rejected"][0]["item"].as_str().unwrap().contains("row 3"), "{done}");
    assert!(done["errors"].to_string().contains("scan.pdf"), "{done}");

    let answer = search(&service, "无人机可以寄吗").await;
    let hit = &answer["passages"][0];
    assert_eq!(hit["title"], "无人机能不能寄快递");
    let before = hit["score"].as_f64().unwrap();
    let path = format!("/api/v1/knowledge/passages/{}/feedback", hit["passage_id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(service.post(&path, json!({ "verdict": "incorrect", "query": "无人机可以寄吗 13912345678" })).await.0, 204);
    }
    assert_eq!(service.post(&path, json!({ "verdict": "great" })).await.0, 422);
    service.app.shelf.learn().await.unwrap();
    let again = search(&service, "无人机可以寄吗").await;
    assert!(again["passages"][0]["score"].as_f64().unwrap() < before, "a wrong article falls");
    let (_, stats) = service.get("/api/v1/knowledge/stats").await;
    let article = stats["articles"].as_array().unwrap().iter().find(|a| a["document_id"] == hit["document_id"]).unwrap();
    assert_eq!(article["wrong"], 1, "a repeated verdict counts once");
    let (_, gaps) = service.get("/api/v1/knowledge/gaps?least=1").await;
    let gap = gaps["items"].as_array().unwrap().iter().find(|g| g["title"].as_str().unwrap().contains("无人机可以寄吗")).unwrap();
    assert!(!gap.to_string().contains("13912345678"), "numbers are masked");

    let broken = import(&service, &[("rules.csv", csv.as_bytes()), ("scan.pdf", scan)], &[("mode", "replace")]).await;
    assert_eq!(broken["result"]["removed"], json!(0), "{broken}");
    assert!(broken["result"]["not_removed"].as_str().unwrap().contains("could not be read: 1, entries rejected: 1;"), "{broken}");

    let (status, export) = service.get("/api/v1/knowledge/export").await;
    assert_eq!(status, 200);
    let text = export.to_string();
    let done = import(&service, &[("all.json", text.as_bytes())], &[("mode", "replace"), ("format", "json")]).await;
    let result = &done["result"];
    assert_eq!((&result["added"], &result["changed"], &result["removed"]), (&json!(0), &json!(0), &json!(0)), "{done}");
    assert_eq!(result["unchanged"], json!(export["documents"].as_array().unwrap().len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_read_compared_and_brought_back() {
    let service = Service::start().await;
    let content = |days: u32| json!({ "title": "钢琴托运", "language": "zh", "body": format!("钢琴托运要{days}天。") });
    let (status, created) = service.post("/api/v1/knowledge/documents", content(3)).await;
    assert_eq!(status, 201, "{created}");
    let path = format!("/api/v1/knowledge/documents/{}", created["document_id"].as_str().unwrap());
    assert_eq!(service.post(&format!("{path}/versions/1/publish"), json!({})).await.0, 200);
    let request = service.http.put(format!("{}{path}", service.base)).bearer_auth(&service.token).header("If-Match", "\"1\"");
    assert!(request.json(&content(5)).send().await.unwrap().status().is_success());
    assert_eq!(service.post(&format!("{path}/versions/2/publish"), json!({})).await.0, 200);
    let (_, version) = service.get(&format!("{path}/versions/1")).await;
    assert_eq!(version["state"], "archived");
    let (_, diff) = service.get(&format!("{path}/versions/2/diff")).await;
    assert!(
        diff["lines"].as_array().unwrap().iter().any(|l| l["change"] == "added" && l["line"].as_str().unwrap().contains("5天")),
        "{diff}"
    );
    assert_eq!(service.get(&format!("{path}/versions/9")).await.0, 404);
    assert_eq!(service.post(&format!("{path}/versions/1/rollback"), json!({})).await.0, 200);
    assert!(search(&service, "钢琴托运几天").await["passages"][0]["text"].as_str().unwrap().contains("3天"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suggestion_that_the_agent_says_is_withdrawn_and_its_feedback_counts() {
    let service = Service::start().await;
    let call = service.open_call(json!({ "channel": "chat", "languages": ["zh"] })).await;
    let say = |role: &'static str, text: String| {
        let (service, path) = (&service, format!("/api/v1/calls/{call}/messages"));
        async move {
            let body = json!({ "role": role, "text": text, "external_id": ulid::Ulid::new().to_string() });
            let (status, answer) = service.post(&path, body).await;
            assert!(status < 300, "{answer}");
        }
    };
    say("customer", "我的银行卡丢了，怎么挂失？".into()).await;
    let created = service.wait_for(&call, "suggestion.created").await;
    let id = created["suggestion_id"].as_str().or(created["data"]["suggestion_id"].as_str()).unwrap().to_owned();
    let text = created["text"].as_str().or(created["data"]["text"].as_str()).unwrap().to_owned();
    let used = json!({ "action": "used" });
    for _ in 0..2 {
        assert_eq!(service.post(&format!("/api/v1/suggestions/{id}/feedback"), used.clone()).await.0, 204);
    }
    let usage = service.app.log.store().usage("2020-01-01").await.unwrap();
    assert!(usage.iter().any(|row| row.action == "used" && row.count == 1), "{usage:?}");
    say("agent", text).await;
    let withdrawn = service.wait_for(&call, "suggestion.withdrawn").await;
    assert!(withdrawn.to_string().contains("said_by_agent"), "{withdrawn}");
    let (_, open) = service.get(&format!("/api/v1/calls/{call}/suggestions")).await;
    assert!(open["items"].as_array().unwrap().iter().all(|s| s["suggestion_id"] != id.as_str()), "{open}");
}
