//! More calls than the node carries, connections that break, sounds without speech: small runs of the benches, through the
//! program as a person runs them.

use std::process::Command;

use serde_json::Value;

/// The figures that a bench prints.
fn bench(arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zhiyin"));
    command.arg("bench").args(arguments).arg("--json").env("ZHIYIN_HOME", env!("CARGO_MANIFEST_DIR"));
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    println!("{line}\n{said}");
    line["figures"].take()
}

#[test]
fn calls_beyond_what_the_node_carries_are_refused_at_once_and_nothing_of_the_others_is_lost() {
    // A node of four slots gets eight calls, 12 s of each.
    let slots = [("ZHIYIN_SERVER__MAX_CALLS", "4")];
    let figures = bench(&["overload", "--calls", "2", "--every-ms", "50", "--seconds", "12"], &slots);
    assert_eq!((&figures["offered"], &figures["admitted"], &figures["refused"]), (&8.0.into(), &4.0.into(), &4.0.into()));
    for nothing in ["refused_unlike_429", "lost_finals", "failed_calls", "failed_decodes"] {
        assert_eq!(figures[nothing], 0.0, "{nothing}: {figures}");
    }
    // At once: a request's time, not a turn in a queue. The tests beside this one have the same cores.
    assert!(figures["refusal_max_ms"].as_f64().unwrap() < 1_000.0, "{figures}");
    assert!(figures["finals"].as_f64().unwrap() >= 4.0, "{figures}");
}

#[test]
fn connections_cut_at_random_moments_cost_no_final_and_no_event() {
    let figures = bench(&["reconnect", "--disconnects", "25", "--calls", "1"], &[]);
    assert!(figures["disconnects"].as_f64().unwrap() >= 25.0, "{figures}");
    assert!(figures["audio_disconnects"].as_f64().unwrap() >= 5.0 && figures["event_disconnects"].as_f64().unwrap() >= 5.0);
    for nothing in ["failed_calls", "lost_finals", "doubled_finals", "audio_asked_again", "event_gaps", "events_missing"] {
        assert_eq!(figures[nothing], 0.0, "{nothing}: {figures}");
    }
    assert!(figures["finals"].as_f64().unwrap() >= 8.0, "{figures}");
}

#[test]
fn three_minutes_of_sounds_without_speech_give_two_words_at_most() {
    // docs/load.md has the whole set of half an hour.
    let figures = bench(&["nonspeech", "--minutes", "3"], &[]);
    assert!(figures["minutes"].as_f64().unwrap() > 2.9 && figures["kinds"].as_f64().unwrap() >= 35.0, "{figures}");
    assert!(figures["invented_words"].as_f64().unwrap() <= 2.0, "{figures}");
}
