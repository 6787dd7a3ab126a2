use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::gate::{judge, repeats_for_test};
use super::partial::Agreement;
use super::queue::{Job, JobKind, JobQueue, Ticket};
use super::words::{Token, assemble};
use super::*;
use crate::audio::{MODEL_RATE_HZ, decode_file};
use crate::conversation::{Language, Word};
use crate::vad::SpeechEvidence;

/// The shipped recogniser, unpacked; the file lives as long as the guard.
pub(crate) fn shipped_model() -> (PathBuf, Option<tempfile::NamedTempFile>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/zhiyin-asr-small");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    if let Some(packed) = files.iter().find(|path| path.extension().is_some_and(|e| e == "zst")) {
        let mut plain = tempfile::NamedTempFile::new().unwrap();
        zstd::stream::copy_decode(std::fs::File::open(packed).unwrap(), &mut plain).unwrap();
        plain.flush().unwrap();
        return (plain.path().to_owned(), Some(plain));
    }
    let plain = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "ggml" || e == "bin"));
    (plain.unwrap_or_else(|| panic!("no model in {}", folder.display())), None)
}

pub(crate) fn shipped_engine(config: EngineConfig) -> Engine {
    let (path, _guard) = shipped_model();
    Engine::start(Arc::new(WhisperEngine::load(&path, "zhiyin-asr-small").unwrap()), config).unwrap()
}

fn sentence(name: &str) -> Arc<[f32]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech").join(name);
    let audio = decode_file(&path).unwrap().to_model_rate().unwrap().remove(0);
    audio[16_000..16_000 + 16_000 * 4].into()
}

fn voiced() -> SpeechEvidence {
    SpeechEvidence { speech_ratio: 0.9, mean_probability: 0.9, tonal_ratio: 0.0, peak_level_db: 60.0 }
}

fn heard(text: &str, log_probability: f32) -> Hypothesis {
    let words = text.split(' ').filter(|w| !w.is_empty());
    let words = words.map(|w| Word { text: w.into(), start_ms: 0, end_ms: 0, confidence: None }).collect();
    Hypothesis { text: text.into(), words, log_probability, ..Hypothesis::default() }
}

// --- model files ---

#[test]
fn a_missing_or_damaged_model_is_named_before_whisper_sees_it() {
    let missing = WhisperEngine::load(Path::new("/nonexistent/model.bin"), "m").unwrap_err();
    assert!(matches!(&missing, AsrError::ModelUnreadable { .. }), "{missing}");
    assert!(missing.to_string().contains("zhiyin models pull"));

    let (path, _guard) = shipped_model();
    let good = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        WhisperEngine::load(file.path(), "m").unwrap_err()
    };
    assert!(matches!(load(b"PK\x03\x04 not a model at all, just some text"), AsrError::ModelCorrupt { .. }));
    assert!(matches!(load(b""), AsrError::ModelTruncated { .. }));
    for share in [0.001, 0.1, 0.5, 0.9, 0.999] {
        let cut = (good.len() as f64 * share) as usize;
        let error = load(&good[..cut]);
        assert!(matches!(&error, AsrError::ModelTruncated { bytes, .. } if *bytes == cut as u64), "{share}: {error}");
    }
    let mut wrong = good.clone();
    wrong[8..12].copy_from_slice(&9_999_999u32.to_le_bytes());
    let error = load(&wrong);
    assert!(error.to_string().contains("n_audio_ctx = 9999999"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_model_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), with_magic in any::<bool>()) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        if with_magic {
            let header = [0x6767_6d6cu32, 51_865, 600, 256, 4, 4, 256, 256, 4, 3, 80, 1, 80];
            header.iter().for_each(|number| file.write_all(&number.to_le_bytes()).unwrap());
        }
        file.write_all(&bytes).unwrap();
        prop_assert!(check_model_file(file.path()).is_err());
    }
}

// --- words ---

#[test]
fn tokens_become_words_with_times_and_confidence() {
    let token = |id, text: &[u8], probability| Token { id, bytes: text.to_vec(), probability };
    let tokens = [
        token(1, b" check", 0.9),
        token(2, b" my", 0.8),
        token(3, "订".as_bytes(), 0.7),
        token(4, &"单".as_bytes()[..2], 0.6), // one character in two tokens
        token(5, &"单".as_bytes()[2..], 0.4),
        token(6, b" or", 1.0),
        token(7, b"der", 0.5),
        token(99, b"<|end|>", 0.1),
    ];
    let samples = vec![0.3; MODEL_RATE_HZ as usize];
    let got = assemble(&tokens, &samples, Language::Zh, 0.0, |id| id < 50);
    assert_eq!(got.text, "check my 订单 order");
    let words: Vec<(&str, f32)> = got.words.iter().map(|w| (w.text.as_str(), w.confidence.unwrap())).collect();
    assert_eq!(words, [("check", 0.9), ("my", 0.8), ("订", 0.7), ("单", 0.5), ("order", 0.75)]);
    assert!((got.confidence - 0.7).abs() < 1e-6);
    assert_eq!(got.words[0].start_ms, 0);
    assert_eq!(got.words.last().unwrap().end_ms, 1_000);
    assert!(got.words.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms), "{:?}", got.words);
}

#[test]
fn word_borders_move_into_pauses() {
    let loud = |ms: usize| vec![0.3; ms * 16];
    let samples = [loud(400), vec![0.0; 300 * 16], loud(400)].concat();
    let token = |text: &[u8]| Token { id: 1, bytes: text.to_vec(), probability: 1.0 };
    let got = assemble(&[token(b"hello"), token(b" world")], &samples, Language::En, 0.0, |_| true);
    let times: Vec<_> = got.words.iter().map(|w| (w.start_ms, w.end_ms)).collect();
    assert_eq!(times, [(0, 400), (700, 1_100)]);
}

// --- partials ---

#[test]
fn stable_text_never_changes_in_partials() {
    let mut agreement = Agreement::default();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let first = agreement.take(words("i would")).unwrap();
    assert_eq!((first.rev, first.stable_chars), (1, 0));
    let second = agreement.take(words("i would like tea")).unwrap();
    assert_eq!(&second.text[..second.stable_chars], "i would");
    assert_eq!(agreement.take(words("he would like tea")), None, "contradicts what was stable");
    assert_eq!(agreement.take(words("i would like tea")), None, "nothing new to show");
    let third = agreement.take(words("i would like to check")).unwrap();
    assert_eq!(&third.text[..third.stable_chars], "i would like");
    assert_eq!(third.rev, 3);
    assert!(agreement.broken_by("he would like to check"));
    assert!(!agreement.broken_by("i would like to check it"));
}

// --- gate ---

#[test]
fn invented_texts_are_dropped_and_sure_ones_stand() {
    let config = GateConfig::default();
    let weak = SpeechEvidence { speech_ratio: 0.1, ..voiced() };
    let reason = |hypothesis: &Hypothesis, evidence: &SpeechEvidence| judge(hypothesis, evidence, Some(0.5), 3_000, &config);
    assert_eq!(reason(&heard("where is my parcel", -0.1), &voiced()), None);
    assert_eq!(reason(&heard("where is my parcel", -0.1), &weak), None);
    assert_eq!(reason(&heard("where is my parcel", -0.8), &weak), Some(Rejection::WeakEvidence));
    let breath = |log_probability, ms| judge(&heard("six", log_probability), &voiced(), Some(0.0), ms, &config);
    assert_eq!((breath(-0.8, 600), breath(-0.1, 600)), (Some(Rejection::WeakEvidence), None));
    assert_eq!(breath(-0.04, 1_100), Some(Rejection::WeakEvidence), "no voice is without a pitch for so long");
    assert_eq!(reason(&heard("", 0.0), &voiced()), Some(Rejection::Empty));
    assert_eq!(reason(&heard("thank you", -3.0), &voiced()), Some(Rejection::Unsure));
    let doubted = Hypothesis { no_speech: 0.9, ..heard("thank you", -0.6) };
    assert_eq!(reason(&doubted, &voiced()), Some(Rejection::NoSpeech));
    assert_eq!(reason(&heard(&"you know ".repeat(8), -0.2), &voiced()), Some(Rejection::Repetition));
    assert_eq!(reason(&heard(&"a b c d ".repeat(15), -0.2), &voiced()), Some(Rejection::TooFast));
    let digits = heard("one three eight eight eight eight eight two", -0.2);
    assert_eq!(reason(&digits, &voiced()), None, "numbers repeat digits");
}

#[test]
fn repeats_count_groups() {
    for (text, expected) in [("a b c", 1), ("a b a b a b", 3), ("no no no no", 2), ("x a b c a b c", 2)] {
        assert_eq!(repeats_for_test(&text.split(' ').collect::<Vec<_>>()), expected, "{text}");
    }
}

// --- language ---

#[test]
fn a_call_settles_on_its_language() {
    let call = CallLanguage::new(&["en-GB", "zh-CN", "fr"]).unwrap();
    assert_eq!(call.candidates(), [Language::En, Language::Zh]);
    call.observe(&[(Language::En, 0.1), (Language::Zh, 0.9)], 2_000);
    assert_eq!(call.candidates(), [Language::Zh, Language::En]);
    assert_eq!(call.settled(), None, "two seconds are too little");
    call.observe(&[(Language::En, 0.1), (Language::Zh, 0.9)], 2_000);
    assert_eq!((call.settled(), call.tag(Language::Zh)), (Some(Language::Zh), "zh-CN".to_owned()));
    assert_eq!(CallLanguage::new(&["en-GB"]).unwrap().settled(), Some(Language::En));
    assert!(matches!(CallLanguage::new(&["fr", "de"]), Err(AsrError::LanguageUnsupported { .. })));
}

// --- queue ---

fn job(ticket: u64, session: u64, kind: JobKind, deadline: Instant) -> Job {
    let request = DecodeRequest { samples: Vec::new().into(), languages: vec![Language::En], context: String::new() };
    Job { ticket: Ticket(ticket), session, kind, deadline, queued_at: deadline, request, mailbox: Arc::default() }
}

#[test]
fn finals_go_first_and_partials_coalesce() {
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let mut queue = JobQueue::new(2, Duration::from_millis(100));
    assert!(queue.push(job(1, 1, JobKind::Partial, at(10))).is_none());
    assert_eq!(queue.push(job(2, 1, JobKind::Partial, at(20))).unwrap().ticket, Ticket(1), "newer replaces older");
    assert!(queue.push(job(3, 2, JobKind::Final, at(90))).is_none());
    assert!(queue.push(job(4, 3, JobKind::Final, at(30))).is_none());
    assert_eq!(queue.push(job(5, 4, JobKind::Partial, at(1))).unwrap().ticket, Ticket(5), "no partials while finals wait");
    assert!(queue.push(job(6, 5, JobKind::Likely, at(1))).is_none());
    let mut order = Vec::new();
    while let (Some(next), _) = queue.pop(now) {
        order.push(next.ticket.0);
    }
    assert_eq!(order, [4, 3, 6, 2]);
    queue.push(job(7, 1, JobKind::Partial, now));
    queue.push(job(8, 2, JobKind::Final, now));
    let (next, stale) = queue.pop(now + Duration::from_secs(1));
    assert_eq!(next.unwrap().ticket, Ticket(8), "a final never goes stale");
    assert_eq!(stale.len(), 1);
    queue.push(job(9, 3, JobKind::Final, now));
    queue.withdraw(3, true);
    assert!(queue.pop(now).0.is_none(), "the caller is gone");
}

// --- engine ---

/// An engine that decodes nothing but known audio.
pub(crate) fn scripted_engine(tracks: Vec<ScriptedTrack>, config: EngineConfig) -> Engine {
    Engine::start(Arc::new(ScriptedEngine::new(tracks)), config).unwrap()
}

#[test]
fn slots_are_permits() {
    let engine = scripted_engine(Vec::new(), EngineConfig { decoders: 1, max_sessions: 2, ..EngineConfig::default() });
    let first = engine.session(SessionConfig::default()).unwrap();
    let _second = engine.session(SessionConfig::default()).unwrap();
    let full = engine.session(SessionConfig::default()).unwrap_err();
    assert!(matches!(full, AsrError::Overloaded { capacity: 2 }), "{full}");
    drop(first);
    assert_eq!(engine.free_slots(), 1);
    assert!(engine.session(SessionConfig::default()).is_ok());
}

#[test]
fn settings_out_of_range_are_named() {
    let config = EngineConfig { max_sessions: 0, ..EngineConfig::default() };
    let error = Engine::start(Arc::new(ScriptedEngine::new(Vec::new())), config).unwrap_err();
    assert_eq!(error.to_string(), "asr.max_sessions = 0 is out of range: use 1 to 4096");
}

// --- the shipped model ---

/// Share of the expected words (or characters) that are in the text, in order.
pub(crate) fn recall(expected: &[&str], got: &[Word]) -> f64 {
    let mut table = vec![vec![0usize; got.len() + 1]; expected.len() + 1];
    for (i, word) in expected.iter().enumerate() {
        for (j, other) in got.iter().enumerate() {
            table[i + 1][j + 1] = if *word == other.text { table[i][j] + 1 } else { table[i][j + 1].max(table[i + 1][j]) };
        }
    }
    table[expected.len()][got.len()] as f64 / expected.len() as f64
}

#[test]
fn a_synthesised_sentence_is_recognised() {
    let (path, _guard) = shipped_model();
    let model = WhisperEngine::load(&path, "zhiyin-asr-small").unwrap();
    let mut decoder = model.decoder().unwrap();
    let both = vec![Language::En, Language::Zh];
    let english: Vec<&str> = "hello i want to change the address of my order".split(' ').collect();
    let chinese: Vec<&str> = "你 好 我 想 查 一 下 我 的 订 单".split(' ').collect();
    for (name, language, expected) in [("sentences-en.opus", Language::En, english), ("sentences-zh.opus", Language::Zh, chinese)]
    {
        let request = DecodeRequest { samples: sentence(name), languages: both.clone(), context: String::new() };
        let hypothesis = decoder.decode(&request).unwrap();
        assert_eq!(hypothesis.language, language, "{:?}", hypothesis.language_probabilities);
        let found = recall(&expected, &hypothesis.words);
        assert!(found >= 0.7, "{name}: {found:.2} of the words in {:?}", hypothesis.text);
        assert!(hypothesis.confidence > 0.5 && hypothesis.confidence <= 1.0);
        let confidences: Vec<f32> = hypothesis.words.iter().filter_map(|w| w.confidence).collect();
        assert!(confidences.iter().any(|c| (c - confidences[0]).abs() > 1e-4), "confidences are constant");
        let again = decoder.decode(&request).unwrap();
        assert_eq!(again, hypothesis, "the same segment gives the same hypothesis");
    }
}

#[test]
fn a_segment_beyond_the_window_is_refused_and_a_short_one_is_not() {
    let (path, _guard) = shipped_model();
    let model = WhisperEngine::load(&path, "m").unwrap();
    let mut decoder = model.decoder().unwrap();
    let too_long = vec![0.0; (model.max_segment_ms() as usize + 100) * 16];
    let request =
        |samples: Vec<f32>| DecodeRequest { samples: samples.into(), languages: vec![Language::En], context: String::new() };
    assert!(matches!(decoder.decode(&request(too_long)), Err(AsrError::SegmentTooLong { .. })));
    for len in [0, 1, 160, 3_199] {
        assert!(decoder.decode(&request(vec![0.0; len])).is_ok(), "{len} samples");
    }
}

#[test]
fn a_running_decode_can_be_given_up() {
    let (path, _guard) = shipped_model();
    let model = WhisperEngine::load(&path, "m").unwrap();
    let mut decoder = model.decoder().unwrap();
    let flag = decoder.cancel_flag();
    let request = DecodeRequest { samples: sentence("sentences-en.opus"), languages: vec![Language::En], context: String::new() };
    let before = decoder.decode(&request).unwrap();
    flag.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(decoder.decode(&request), Err(AsrError::Cancelled)));
    flag.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(decoder.decode(&request).unwrap(), before, "the decoder is whole after it was stopped");
}

// --- meaning ---

#[test]
fn unfinished_texts_wait_and_complete_questions_do_not() {
    use Ending::{Conjunction, Filler, Number, Plain, Question};
    let cases = [
        (Language::Zh, "我的订单号是八二六零", Number),
        (Language::Zh, "手机号幺三八零零幺三八零零零", Plain),
        (Language::Zh, "我要一", Plain),
        (Language::Zh, "我想退货因为", Conjunction),
        (Language::Zh, "我昨天打过电话然后", Conjunction),
        (Language::Zh, "我想问一下那个", Filler),
        (Language::Zh, "嗯", Filler),
        (Language::Zh, "请问什么时候能到呢", Question),
        (Language::Zh, "可以退吗", Question),
        (Language::Zh, "一共多少钱？", Question),
        (Language::Zh, "好的", Plain),
        (Language::Zh, "谢谢再见", Plain),
        (Language::Zh, "", Plain),
        (Language::En, "my order number is eight two", Number),
        (Language::En, "it is 4471", Number),
        (Language::En, "i have one", Plain),
        (Language::En, "i'd like to return it because", Conjunction),
        (Language::En, "can you send it to the", Conjunction),
        (Language::En, "um", Filler),
        (Language::En, "i ordered it you know", Filler),
        (Language::En, "how can i help you today", Question),
        (Language::En, "is there anything else?", Question),
        (Language::En, "where is my parcel", Plain),
        (Language::En, "thank you goodbye", Plain),
    ];
    for (language, text, expected) in cases {
        assert_eq!(ending_of(text, language), expected, "{text}");
    }
    assert!(Number.is_unfinished() && !Question.is_unfinished() && !Plain.is_unfinished());
}

#[test]
fn the_printed_table_of_endings_is_that_of_the_program() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/listening.md")).unwrap();
    let tables: [(&str, &[&str]); 6] = [
        ("zh, waits: conjunction", &CONJUNCTIONS_ZH),
        ("zh, waits: filler", &FILLERS_ZH),
        ("zh, ends early: question", &QUESTIONS_ZH),
        ("en, waits: conjunction", &CONJUNCTIONS_EN),
        ("en, waits: filler", &FILLERS_EN),
        ("en, ends early: question", &QUESTIONS_EN),
    ];
    for (name, words) in tables {
        let row = format!("| {name} | {} |", words.join(" · "));
        assert!(page.contains(&row), "docs/listening.md lacks:\n{row}");
    }
}

#[test]
fn a_first_partial_passes_finals_that_have_time() {
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let mut queue = JobQueue::new(2, Duration::from_secs(5));
    queue.push(job(1, 1, JobKind::Final, at(250)));
    queue.push(job(2, 2, JobKind::First, at(250)));
    queue.push(job(3, 3, JobKind::Likely, at(250)));
    assert_eq!(queue.pop(now).0.unwrap().ticket, Ticket(2), "the final has 250 ms");
    queue.push(job(4, 4, JobKind::First, at(250)));
    let order: Vec<_> = (0..3).map(|_| queue.pop(at(140)).0.unwrap().ticket.0).collect();
    assert_eq!(order, [1, 4, 3], "the final has 110 ms; what may become one is passed in any case");
}

/// How well a confidence tells right words from wrong ones: the area under the curve of the share of wrong words found over
/// right ones suspected. 0.5: not at all, 1: always.
fn area_under_curve(scored: &[(f32, bool)]) -> f64 {
    let of = |wanted: bool| scored.iter().filter(move |(_, right)| *right == wanted).map(|(score, _)| *score);
    let pairs = (of(true).count() * of(false).count()).max(1) as f64;
    let won: f64 =
        of(true).map(|r| of(false).map(|w| if r > w { 1.0 } else { 0.5 * f64::from(u8::from(r == w)) }).sum::<f64>()).sum();
    won / pairs
}

/// Which words of a transcript are right: those of a longest common subsequence with what was said.
fn right_words(said: &[String], heard: &[String]) -> Vec<bool> {
    let mut table = vec![vec![0usize; heard.len() + 1]; said.len() + 1];
    for i in (0..said.len()).rev() {
        for j in (0..heard.len()).rev() {
            let longest = table[i + 1][j].max(table[i][j + 1]);
            table[i][j] = if said[i] == heard[j] { table[i + 1][j + 1] + 1 } else { longest };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut right = vec![false; heard.len()];
    while i < said.len() && j < heard.len() {
        if said[i] == heard[j] {
            right[j] = true;
            (i, j) = (i + 1, j + 1);
        } else if table[i + 1][j] >= table[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    right
}

/// Prints what the confidence of words is worth and what a carry-over prompt does, over the clips of a folder: a
/// `manifest.jsonl` with `audio`, `text`, `lang`. `ZHIYIN_CLIPS=FOLDER cargo test --release -- --ignored --nocapture clips`.
#[test]
#[ignore = "a measurement: needs a folder of clips"]
fn what_clips_say_about_confidence_and_carry_over() {
    let folder = std::path::PathBuf::from(std::env::var("ZHIYIN_CLIPS").expect("ZHIYIN_CLIPS"));
    let (path, _guard) = shipped_model();
    let mut decoder = WhisperEngine::load(&path, "zhiyin-asr-small").unwrap().decoder().unwrap();
    let mut scored: [Vec<(f32, bool)>; 2] = Default::default();
    let (mut wrong, mut total) = ([0usize; 2], 0usize);
    let mut context = [String::new(), String::new()];
    for line in std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let language = Language::from_tag(row["lang"].as_str().unwrap()).unwrap();
        let audio = decode_file(&folder.join(row["audio"].as_str().unwrap())).unwrap().to_model_rate().unwrap().remove(0);
        if audio.len() > 10 * 16_000 {
            continue;
        }
        let text = row["text"].as_str().unwrap().to_lowercase();
        let said: Vec<String> = match language {
            Language::Zh => text.chars().filter(|c| !c.is_whitespace()).map(String::from).collect(),
            Language::En => text.split_whitespace().map(str::to_owned).collect(),
        };
        total += said.len();
        for with_context in [0, 1] {
            let request = DecodeRequest {
                samples: audio.clone().into(),
                languages: vec![language],
                context: if with_context == 1 { context[1].clone() } else { String::new() },
            };
            let heard = decoder.decode(&request).unwrap();
            let words: Vec<String> = heard.words.iter().map(|word| word.text.clone()).collect();
            let right = right_words(&said, &words);
            wrong[with_context] += said.len().max(words.len()) - right.iter().filter(|r| **r).count();
            let confidences = heard.words.iter().map(|word| word.confidence.unwrap_or(0.0));
            scored[with_context].extend(confidences.zip(right));
            context[with_context] = heard.text;
        }
    }
    let both = scored[0].iter().any(|(_, right)| *right) && scored[0].iter().any(|(_, right)| !right);
    let area = if both { format!("{:.3}", area_under_curve(&scored[0])) } else { "not measurable: no word is wrong".into() };
    println!("{total} words; AUC of word confidence {area}");
    println!("errors {:.1} %, with the text before as prompt {:.1} %", share(wrong[0], total), share(wrong[1], total));
}

fn share(part: usize, of: usize) -> f64 {
    100.0 * part as f64 / of.max(1) as f64
}

#[test]
fn the_curve_of_confidences_is_measured_rightly() {
    assert!((area_under_curve(&[(0.9, true), (0.8, true), (0.2, false)]) - 1.0).abs() < 1e-9);
    assert!((area_under_curve(&[(0.5, true), (0.5, false)]) - 0.5).abs() < 1e-9);
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(right_words(&words("a b c d"), &words("a x c d")), [true, false, true, true]);
}
