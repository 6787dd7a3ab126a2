use super::*;
use crate::conversation::{CallId, Role};

fn started() -> EventBody {
    EventBody::SpeechStarted { channel_index: 1, role: Role::Agent, start_ms: 20 }
}

#[test]
fn envelope_has_the_wire_form() {
    let event = Draft::new(20, started()).numbered(&CallId::from("call_x"), 3, 0);
    let mut json = serde_json::to_value(&event).unwrap();
    json["time"] = "T".into();
    insta::assert_json_snapshot!(json, @r#"
    {
      "v": 1,
      "call_id": "call_x",
      "seq": 3,
      "sub": 0,
      "type": "speech.started",
      "data": {
        "channel_index": 1,
        "role": "agent",
        "start_ms": 20
      },
      "time": "T",
      "at_ms": 20
    }
    "#);
    let back: Event = serde_json::from_value(serde_json::to_value(&event).unwrap()).unwrap();
    assert_eq!(back, event);
}

#[tokio::test]
async fn memory_sink_numbers_in_the_order_of_seq_and_sub() {
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let copy = seen.clone();
    let sink = MemorySink::new(move |e| copy.lock().push((e.seq, e.sub)));
    let call = CallId::from("call_x");
    sink.append(&call, vec![Draft::new(0, started())], vec![]).await.unwrap();
    sink.show(&call, Draft::new(1, started()));
    sink.show(&call, Draft::new(2, started()));
    sink.append(&call, vec![Draft::new(3, started())], vec![]).await.unwrap();
    assert_eq!(*seen.lock(), [(1, 0), (1, 1), (1, 2), (2, 0)]);
}

#[test]
fn unknown_field_of_a_new_call_is_refused_with_its_name() {
    let error = serde_json::from_str::<NewCall>(r#"{"chanel":"voice"}"#).unwrap_err().to_string();
    assert!(error.contains("chanel"), "{error}");
}
