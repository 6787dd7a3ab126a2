//! `zhiyin bench nonspeech`: telephone sounds in which nobody speaks, made from seeds, through the listening stage that calls
//! go through. Every word is an invented one.

mod music;
mod sounds;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use self::sounds::{Kind, RATE_HZ};
use super::machine::{cpu_seconds, model_ids, print};
use crate::app::{StageOptions, build_stages};
use crate::asr::{AsrEvent, CallLanguage, Engine, SessionConfig};
use crate::cli::Session;
use crate::pipeline::{Listener, ListenerConfig};
use crate::vad::VadConfig;

/// Samples pushed at once, milliseconds.
const BLOCK_MS: usize = 20;

/// Arguments of `zhiyin bench nonspeech`.
#[derive(Args)]
pub struct NonspeechArguments {
    /// Minutes of audio in all; every kind gets an equal part.
    #[arg(long, default_value_t = 30.0)]
    minutes: f32,
    /// Seed of the sounds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only kinds whose name begins so.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Print the invented words of each kind on standard error.
    #[arg(long)]
    show: bool,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What was heard in a sound.
#[derive(Default)]
struct Heard {
    seconds: f32,
    /// Times that the detector took it for speech.
    segments: usize,
    /// Words (Chinese: characters) of finals.
    words: usize,
    /// Words that were shown in partials and taken back.
    shown: usize,
    /// Texts that were dropped, by reason.
    dropped: BTreeMap<&'static str, usize>,
    texts: Vec<String>,
}

pub(super) fn run(session: &Session, arguments: &NonspeechArguments) -> anyhow::Result<ExitCode> {
    let wanted = |kind: &&Kind| arguments.only.as_deref().is_none_or(|start| kind.0.starts_with(start));
    let kinds: Vec<&Kind> = sounds::KINDS.iter().chain(music::KINDS).filter(wanted).collect();
    anyhow::ensure!(!kinds.is_empty() && arguments.minutes > 0.0, "no such kind of sound, or no minutes");
    let options = StageOptions { recogniser: true, pipeline: "live-assist", index: None, scheme: None };
    let built = build_stages(&session.home, &session.settings, options)?;
    let engine = built.stages.recogniser.as_ref().context("no recogniser was loaded")?;
    let seconds = arguments.minutes * 60.0 / kinds.len() as f32;
    let cpu = cpu_seconds();
    let mut results: Vec<(&str, Heard)> = Vec::new();
    for part in kinds.chunks(2) {
        let heard: Vec<anyhow::Result<Heard>> = std::thread::scope(|scope| {
            let threads: Vec<_> = part
                .iter()
                .map(|(_, make)| scope.spawn(move || listen(engine, session, &make(seconds, arguments.seed))))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread failed")))).collect()
        });
        for ((name, _), heard) in part.iter().zip(heard) {
            results.push((name, heard.with_context(|| format!("sound {name}"))?));
        }
    }
    table(&results, arguments.show);
    let total = |of: fn(&Heard) -> usize| results.iter().map(|(_, heard)| of(heard)).sum::<usize>() as f64;
    let minutes = f64::from(results.iter().map(|(_, heard)| heard.seconds).sum::<f32>()) / 60.0;
    let mut figures: Vec<(String, f64)> = vec![
        ("minutes".into(), minutes),
        ("kinds".into(), results.len() as f64),
        ("segments".into(), total(|h| h.segments)),
        ("invented_words".into(), total(|h| h.words)),
        ("invented_per_10_min".into(), total(|h| h.words) / minutes * 10.0),
        ("shown_per_10_min".into(), total(|h| h.shown) / minutes * 10.0),
        ("cpu_s".into(), cpu_seconds() - cpu),
    ];
    let bad = results.iter().filter(|(_, heard)| heard.words > 0);
    figures.extend(bad.map(|(name, heard)| (format!("invented_{name}"), heard.words as f64)));
    print("nonspeech", &model_ids(&built.models), &figures, arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn table(results: &[(&str, Heard)], show: bool) {
    eprintln!("{:<20} {:>7} {:>8} {:>7} {:>7}  dropped", "sound", "seconds", "segments", "words", "shown");
    for (name, heard) in results {
        let dropped: Vec<String> = heard.dropped.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        eprintln!(
            "{name:<20} {:>7.0} {:>8} {:>7} {:>7}  {}",
            heard.seconds,
            heard.segments,
            heard.words,
            heard.shown,
            dropped.join(", ")
        );
        if show {
            heard.texts.iter().for_each(|text| eprintln!("    {text}"));
        }
    }
}

/// One sound through detector, recogniser and gates, with partials, as a live call hears it.
fn listen(engine: &Engine, session: &Session, sound: &[f32]) -> anyhow::Result<Heard> {
    let vad = VadConfig {
        hangover_ms: u32::try_from(session.settings.vad.endpoint_ms)?,
        max_segment_ms: u32::try_from(session.settings.vad.max_segment_ms)?,
        ..VadConfig::default()
    };
    let config = ListenerConfig {
        rate_hz: RATE_HZ,
        start_offset_ms: 0,
        vad,
        session: SessionConfig { language: CallLanguage::new(&["zh", "en"])?, ..SessionConfig::default() },
    };
    let mut listener = Listener::new(engine, config)?;
    let mut heard = Heard { seconds: sound.len() as f32 / RATE_HZ as f32, ..Heard::default() };
    let mut open = BTreeMap::new();
    for block in sound.chunks(RATE_HZ as usize * BLOCK_MS / 1_000) {
        while !listener.wants_audio() {
            std::thread::sleep(Duration::from_millis(2));
            heard.take(listener.poll(), &mut open);
        }
        heard.take(listener.push(block), &mut open);
    }
    heard.take(listener.finish(), &mut open);
    heard.take(listener.drain_blocking(), &mut open);
    Ok(heard)
}

impl Heard {
    /// `open`: the most words that partials of an utterance have shown.
    fn take(&mut self, events: Vec<AsrEvent>, open: &mut BTreeMap<String, usize>) {
        for event in events {
            match event {
                AsrEvent::SpeechStarted { .. } => self.segments += 1,
                AsrEvent::Partial(partial) => {
                    let most = open.entry(partial.utterance_id.to_string()).or_default();
                    *most = (*most).max(words(&partial.text));
                }
                AsrEvent::Final(last) => {
                    open.remove(last.utterance.utterance_id.as_str());
                    self.words += words(&last.utterance.raw_text);
                    let (said, sure) = (&last.utterance, last.utterance.confidence.unwrap_or(0.0));
                    self.texts.push(format!("{} ms, confidence {sure:.2}: {}", said.span.start_ms, said.raw_text));
                }
                AsrEvent::Discarded { utterance_id, reason, .. } => {
                    self.shown += open.remove(utterance_id.as_str()).unwrap_or(0);
                    *self.dropped.entry(reason.name()).or_default() += 1;
                }
                AsrEvent::Failed { .. } => *self.dropped.entry("failed").or_default() += 1,
                _ => {}
            }
        }
    }
}

/// Words; a Chinese character is one.
fn words(text: &str) -> usize {
    let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let spaced: String = text.chars().map(|c| if han(c) { ' ' } else { c }).collect();
    text.chars().filter(|c| han(*c)).count() + spaced.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sound_is_as_long_as_asked_for_the_same_each_time_and_within_full_scale() {
        let mut names: Vec<&str> = Vec::new();
        for (name, make) in sounds::KINDS.iter().chain(music::KINDS) {
            let sound = make(3.0, 5);
            assert_eq!(sound.len(), 24_000, "{name}");
            assert_eq!(sound, make(3.0, 5), "{name}");
            assert!(sound.iter().all(|x| x.is_finite() && x.abs() <= 1.0), "{name}");
            let loud = sound.iter().any(|x| x.abs() > 1e-3);
            assert_eq!(loud, !name.starts_with("silence"), "{name}");
            assert!(!names.contains(name), "{name} twice");
            names.push(name);
        }
        assert!(names.len() >= 35);
    }

    #[test]
    fn words_are_counted_in_both_languages() {
        assert_eq!(words("我想退款 please now"), 6);
        assert_eq!(words(""), 0);
    }
}
