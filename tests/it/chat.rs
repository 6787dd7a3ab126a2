//! Text conversations: understanding, suggestions, alerts, score, resume.

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::Service;

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_understood_answered_scored_and_summarised_in_the_order_of_the_wire() {
    let service = Service::start().await;
    let call_id = service.open_call(json!({"channel": "chat", "languages": ["zh-CN"]})).await;
    let path = format!("/api/v1/calls/{call_id}/messages");
    for (role, text, id) in [
        ("agent", "您好，这里是客服中心，工号一零二四，请问有什么可以帮您？", "m1"),
        ("customer", "我上周退货的退款什么时候能到账？", "m2"),
        ("agent", "退款一般三到五个工作日到账，请您留意短信。", "m3"),
        ("customer", "好的，谢谢。", "m4"),
    ] {
        let (status, answer) = service.post(&path, json!({"role": role, "text": text, "external_id": id})).await;
        assert_eq!(status, 201, "{answer}");
    }
    let (status, again) = service.post(&path, json!({"role": "customer", "text": "好的，谢谢。", "external_id": "m4"})).await;
    assert_eq!((status, again["text"].as_str()), (200, Some("好的，谢谢。")));
    let (status, _) = service.post(&format!("/api/v1/calls/{call_id}/end"), json!({"hangup_by": "customer"})).await;
    assert_eq!(status, 202);
    service.wait_for(&call_id, "call.completed").await;
    let events = service.events(&call_id).await;
    let seqs: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "numbers without gaps");
    let place = |kind: &str| events.iter().position(|e| e["type"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert!(place("message.added") < place("utterance.understood"));
    assert!(place("utterance.understood") < place("suggestion.created"));
    assert!(place("call.ended") < place("quality.scored") && place("call.ended") < place("summary.ready"));
    assert_eq!(events.last().unwrap()["type"], "call.completed");
    assert_eq!(events.iter().filter(|e| e["type"] == "message.added").count(), 4);
    let refund = events.iter().filter(|e| e["type"] == "utterance.understood").nth(1).unwrap();
    assert_eq!(refund["data"]["intents"][0]["group"], "aftersales", "{refund}");
    let has = |list: &serde_json::Value| list.as_array().is_some_and(|l| !l.is_empty());
    let suggestions: Vec<_> = events.iter().filter(|e| e["type"] == "suggestion.created").map(|e| &e["data"]).collect();
    assert!(suggestions.iter().any(|s| has(&s["citations"]) && has(&s["why"])), "{suggestions:?}");
    let (_, scores) = service.get(&format!("/api/v1/quality/scores?call_id={call_id}")).await;
    let score_id = scores["items"][0]["score_id"].as_str().unwrap();
    let (_, card) = service.get(&format!("/api/v1/quality/scores/{score_id}")).await;
    assert!(card["total"].as_f64().is_some() && card["results"].as_array().unwrap().len() >= 8, "{card}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_socket_resumes_where_it_was_told_and_closes_after_the_last_event() {
    let service = Service::start().await;
    let call_id = service.open_call(json!({"channel": "chat"})).await;
    let path = format!("/api/v1/calls/{call_id}/messages");
    service.post(&path, json!({"role": "customer", "text": "Where is my parcel?"})).await;
    let request = service.socket(&format!("/api/v1/calls/{call_id}/events/ws?from_seq=2"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::Text("nonsense".into())).await.unwrap();
    service.post(&format!("/api/v1/calls/{call_id}/end"), json!({})).await;
    let (mut seqs, mut errors, mut code) = (Vec::new(), 0, None);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                match value["seq"].as_u64() {
                    Some(seq) => seqs.push(seq),
                    None => errors += usize::from(value["type"] == "error"),
                }
            }
            Message::Close(frame) => code = frame.map(|f| u16::from(f.code)),
            _ => {}
        }
    }
    assert_eq!(seqs, (2..2 + seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!((errors, code), (1, Some(1000)));
    let (status, ended) = service.post(&path, json!({"role": "customer", "text": "hello again"})).await;
    assert_eq!((status, ended["code"].as_str()), (409, Some("call_ended")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_continues_behind_the_last_event_id() {
    let service = Service::start().await;
    let call_id = service.open_call(json!({"channel": "chat"})).await;
    service
        .post(&format!("/api/v1/calls/{call_id}/messages"), json!({"role": "customer", "text": "我要投诉你们的服务态度"}))
        .await;
    service.post(&format!("/api/v1/calls/{call_id}/end"), json!({})).await;
    service.wait_for(&call_id, "call.completed").await;
    let stream = service
        .http
        .get(format!("{}/api/v1/calls/{call_id}/events", service.base))
        .bearer_auth(&service.token)
        .header("accept", "text/event-stream")
        .header("last-event-id", "1")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(stream.contains("\nid: 2\n") || stream.contains("id: 2\n"), "{stream}");
    assert!(!stream.contains("id: 1\n") && stream.contains("event: end"));
}
