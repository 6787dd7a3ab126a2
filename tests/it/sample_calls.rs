//! The six sample calls through the whole live flow, as `zhiyin demo` plays them.

use zhiyin::app::{PlayOptions, load_samples, play};

use crate::support::{Service, home};

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_call_gives_a_transcript_a_suggestion_and_a_scorecard() {
    let service = Service::start().await;
    let samples = load_samples(&home());
    assert_eq!(samples.len(), 6);
    for sample in samples {
        let played = play(&service.app.hub, &sample.audio, PlayOptions::for_sample(&sample, 0.0)).await.unwrap();
        let call_id = played.call.call_id.to_string();
        service.wait_for(&call_id, "call.completed").await;
        let events = service.events(&call_id).await;
        let count = |kind: &str| events.iter().filter(|e| e["type"] == kind).count();
        assert!(count("transcript.final") >= 8, "{}: {} finals", sample.id, count("transcript.final"));
        assert_eq!(count("transcript.final"), count("utterance.understood"), "{}", sample.id);
        assert!(count("suggestion.created") >= 1, "{}: no suggestion", sample.id);
        assert_eq!(count("quality.scored"), 1, "{}", sample.id);
        assert_eq!(count("stage.degraded"), 0, "{}", sample.id);
        let reference = std::fs::read_to_string(sample.audio.with_extension("json")).unwrap();
        let error = unit_error_rate(&reference, &events);
        assert!(error <= 0.35, "{}: {:.0} % of the units differ", sample.id, error * 100.0);
    }
}

/// Edit distance over characters (Chinese) or words (English) of all turns in their order, over the reference's length.
/// The reference holds written digits; both sides are compared after inverse text normalisation.
fn unit_error_rate(reference: &str, events: &[serde_json::Value]) -> f64 {
    let reference: serde_json::Value = serde_json::from_str(reference).unwrap();
    let zh = reference["language"].as_str().is_some_and(|l| l.starts_with("zh"));
    let itn = zhiyin::text::itn::Itn::new();
    let language = if zh { zhiyin::conversation::Language::Zh } else { zhiyin::conversation::Language::En };
    let units = |text: &str| -> Vec<String> {
        let text = itn.apply(&text.to_lowercase(), language).0;
        if zh {
            text.chars().filter(|c| c.is_alphanumeric()).map(String::from).collect()
        } else {
            text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned).collect()
        }
    };
    let mut heard: Vec<(i64, &str)> = events
        .iter()
        .filter(|e| e["type"] == "transcript.final")
        .map(|e| (e["data"]["start_ms"].as_i64().unwrap(), e["data"]["text"].as_str().unwrap()))
        .collect();
    heard.sort_unstable();
    let heard: Vec<String> = heard.iter().flat_map(|(_, text)| units(text)).collect();
    let said: Vec<String> =
        reference["turns"].as_array().unwrap().iter().flat_map(|t| units(t["text"].as_str().unwrap())).collect();
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, a) in said.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in heard.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[heard.len()] as f64 / said.len().max(1) as f64
}
