//! The streaming detector: frames to speech segments.

use std::collections::VecDeque;
use std::sync::Arc;

use super::texture::{SpectrumGuard, Texture};
use super::{VadConfig, VadError};
use crate::audio::{MODEL_RATE_HZ, level_db};
use crate::conversation::TimeSpan;

/// Samples of one decision: 16 ms at 16 kHz, what the detector's network takes.
pub const FRAME_SAMPLES: usize = 256;
const FRAME_MS: usize = FRAME_SAMPLES * 1_000 / MODEL_RATE_HZ as usize;
/// A segment that is too long is cut within its last stretch of this length.
const CUT_SEARCH_FRAMES: usize = 156;
/// Level is smoothed over this many frames on both sides when the quietest point is looked for.
const CUT_SMOOTH_FRAMES: usize = 3;
/// Tone is judged once a segment has this many frames: a shorter one may be a vowel.
const TONE_FRAMES: usize = 12;

/// Why a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Silence.
    Vad,
    /// Silence, longer or shorter than usual because of what the words mean.
    Semantic,
    /// It reached the longest length.
    MaxLength,
    /// Somebody asked for it.
    Flush,
}

impl Endpoint {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vad => "vad",
            Self::Semantic => "semantic",
            Self::MaxLength => "max_length",
            Self::Flush => "flush",
        }
    }
}

/// How much a segment looks like speech.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeechEvidence {
    /// Share of frames with voice, padding left out, 0 to 1.
    pub speech_ratio: f32,
    /// Mean probability of voice over the frames without padding, 0 to 1.
    pub mean_probability: f32,
    /// Share of frames that are a steady tone, 0 to 1.
    pub tonal_ratio: f32,
    /// Level of the loudest frame, dB above the calibrated floor.
    pub peak_level_db: f32,
}

/// A stretch of speech with its audio, padding included. Segments of one channel never overlap.
#[derive(Clone, Debug)]
pub struct SpeechSegment {
    /// Number of its first sample in the stream at 16 kHz.
    pub start_sample: u64,
    /// Its samples at 16 kHz.
    pub samples: Arc<[f32]>,
    /// First sample behind the last voiced frame: where speech ended.
    pub speech_end_sample: u64,
    /// Why it ended.
    pub endpoint: Endpoint,
    /// How much it looks like speech.
    pub evidence: SpeechEvidence,
}

impl SpeechSegment {
    /// Its place in the stream, in milliseconds.
    pub fn span(&self) -> TimeSpan {
        TimeSpan::new(samples_to_ms(self.start_sample), samples_to_ms(self.start_sample + self.samples.len() as u64))
    }
}

/// What the detector has to say.
#[derive(Clone, Debug)]
pub enum VadEvent {
    /// Speech began (padding included).
    Started {
        /// Number of the first sample at 16 kHz.
        start_sample: u64,
    },
    /// Speech ended. Every `Started` has one `Ended` or one `Rejected`.
    Ended(SpeechSegment),
    /// What began was no speech: a tone, hiss, or nothing that sounds like a voice on the whole.
    Rejected {
        /// Number of the first sample at 16 kHz.
        start_sample: u64,
        /// First sample behind it.
        end_sample: u64,
        /// Why.
        evidence: SpeechEvidence,
    },
}

/// The segment that is being spoken.
#[derive(Clone, Copy, Debug)]
pub struct OpenSegment<'a> {
    /// Number of its first sample.
    pub start_sample: u64,
    /// All its samples so far.
    pub samples: &'a [f32],
    /// Of these, padding in front of the first voiced frame.
    pub lead_samples: usize,
    /// Where speech was last heard.
    pub speech_end_sample: u64,
    /// Samples up to where the segment will end if it stays silent, once enough silence has passed for its padding.
    pub likely_final: Option<&'a [f32]>,
    /// Evidence so far.
    pub evidence: SpeechEvidence,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    probability: f32,
    level_db: f32,
    voiced: bool,
    texture: Texture,
}

/// What the words so far say about the silence behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A complete question: [`VadConfig::complete_ms`].
    Complete,
    /// Something is missing: [`VadConfig::unfinished_ms`].
    Unfinished,
}

#[derive(Debug)]
struct Open {
    start_sample: u64,
    samples: Vec<f32>,
    frames: Vec<Frame>,
    /// Frames of padding in front.
    lead_frames: usize,
    /// Frames up to the last voiced one.
    speech_frames: usize,
    /// Silence that ends it, if its words say so; until somebody speaks again.
    patience: Option<Patience>,
}

/// Finds speech in one channel at 16 kHz.
pub struct SpeechDetector {
    config: VadConfig,
    network: Box<earshot::Detector>,
    guard: SpectrumGuard,
    waiting: Vec<f32>,
    taken_samples: u64,
    /// Frames before speech: enough for the window of `min_speech_ms` and the padding.
    recent: VecDeque<(Frame, Vec<f32>)>,
    open: Option<Open>,
}

impl std::fmt::Debug for SpeechDetector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpeechDetector")
            .field("taken_samples", &self.taken_samples)
            .field("open", &self.open.is_some())
            .finish_non_exhaustive()
    }
}

impl SpeechDetector {
    /// A detector at the start of a stream.
    ///
    /// # Errors
    /// A setting that is out of its range.
    pub fn new(config: VadConfig) -> Result<Self, VadError> {
        config.check()?;
        Ok(Self {
            config,
            network: Box::new(earshot::Detector::default()),
            guard: SpectrumGuard::new(),
            waiting: Vec::new(),
            taken_samples: 0,
            recent: VecDeque::new(),
            open: None,
        })
    }

    /// Takes samples at 16 kHz in [-1, 1] and tells what began and ended in them.
    pub fn push(&mut self, samples: &[f32]) -> Vec<VadEvent> {
        self.waiting.extend_from_slice(samples);
        let whole = self.waiting.len() / FRAME_SAMPLES * FRAME_SAMPLES;
        let ready: Vec<f32> = self.waiting.drain(..whole).collect();
        ready.chunks_exact(FRAME_SAMPLES).flat_map(|frame| self.take_frame(frame)).collect()
    }

    /// Ends what is being spoken, with all audio taken so far (an unfinished frame included if no speech is open, it
    /// stays for the next).
    pub fn flush(&mut self) -> Option<VadEvent> {
        let mut open = self.open.take()?;
        let silent = open.frames.len() - open.speech_frames;
        let keep = open.speech_frames + silent.min(frames_of(self.config.padding_ms));
        open.frames.truncate(keep);
        open.samples.truncate(keep * FRAME_SAMPLES);
        Some(self.close(&open, Endpoint::Flush))
    }

    /// Says what the words of the open segment mean for the silence behind them; forgotten as soon as somebody speaks again.
    pub fn set_patience(&mut self, patience: Option<Patience>) {
        if let Some(open) = &mut self.open {
            open.patience = patience;
        }
    }

    /// The segment that is being spoken, if any.
    pub fn open_segment(&self) -> Option<OpenSegment<'_>> {
        let open = self.open.as_ref()?;
        let padded = open.speech_frames + frames_of(self.config.padding_ms);
        let likely_final = (open.frames.len() >= padded).then(|| &open.samples[..padded * FRAME_SAMPLES]);
        Some(OpenSegment {
            start_sample: open.start_sample,
            samples: &open.samples,
            lead_samples: open.lead_frames * FRAME_SAMPLES,
            speech_end_sample: open.start_sample + (open.speech_frames * FRAME_SAMPLES) as u64,
            likely_final,
            evidence: open.evidence(),
        })
    }

    /// Samples taken so far, those of an unfinished frame included.
    pub fn taken_samples(&self) -> u64 {
        self.taken_samples + self.waiting.len() as u64
    }

    /// First sample that may still become part of a segment to come: everything before it is settled.
    pub fn settled_samples(&self) -> u64 {
        match &self.open {
            Some(open) => open.start_sample,
            None => self.taken_samples - (self.recent.len() * FRAME_SAMPLES) as u64,
        }
    }

    fn take_frame(&mut self, samples: &[f32]) -> Vec<VadEvent> {
        let probability = self.network.predict_f32(samples).clamp(0.0, 1.0);
        let level = level_db(samples) as f32;
        let texture = self.guard.texture(samples);
        let threshold = if self.open.is_some() { self.config.off_threshold } else { self.config.on_threshold };
        let voiced = probability >= threshold && level >= self.config.min_level_db && texture == Texture::Open;
        self.taken_samples += FRAME_SAMPLES as u64;
        let frame = Frame { probability, level_db: level, voiced, texture };
        match &mut self.open {
            None => self.wait_for_speech(frame, samples).into_iter().collect(),
            Some(open) => {
                open.push(frame, samples);
                self.watch_for_end()
            }
        }
    }

    fn wait_for_speech(&mut self, frame: Frame, samples: &[f32]) -> Option<VadEvent> {
        let need = frames_of(self.config.min_speech_ms);
        let window = 2 * need;
        self.recent.push_back((frame, samples.to_vec()));
        while self.recent.len() > window + frames_of(self.config.padding_ms) {
            self.recent.pop_front();
        }
        let from = self.recent.len().saturating_sub(window);
        let voiced = self.recent.iter().skip(from).filter(|(frame, _)| frame.voiced).count();
        if voiced < need {
            return None;
        }
        let onset = from + self.recent.iter().skip(from).position(|(frame, _)| frame.voiced)?;
        let first = onset.saturating_sub(frames_of(self.config.padding_ms));
        let kept = self.recent.len() - first;
        let start_sample = self.taken_samples - (kept * FRAME_SAMPLES) as u64;
        let mut open = Open { lead_frames: onset - first, ..Open::at(start_sample) };
        for (frame, samples) in self.recent.drain(..).skip(first) {
            open.push(frame, &samples);
        }
        self.open = Some(open);
        Some(VadEvent::Started { start_sample })
    }

    fn watch_for_end(&mut self) -> Vec<VadEvent> {
        let Some(open) = &self.open else { return Vec::new() };
        let silent = open.frames.len() - open.speech_frames;
        let (need_ms, endpoint) = self.config.silence(open.patience);
        if silent >= frames_of(need_ms) {
            let end = open.speech_frames + frames_of(self.config.padding_ms);
            return self.end_at(end, endpoint);
        }
        if open.frames.len() >= frames_of(self.config.max_segment_ms) {
            let cut = open.quietest_point();
            return self.end_at(cut, Endpoint::MaxLength);
        }
        Vec::new()
    }

    /// Ends the open segment after `end` frames. What lies behind belongs to the next one: at the longest length it goes
    /// on at once, after silence it waits for speech.
    fn end_at(&mut self, end: usize, endpoint: Endpoint) -> Vec<VadEvent> {
        let Some(mut open) = self.open.take() else { return Vec::new() };
        let rest_frames = open.frames.split_off(end);
        let rest_samples = open.samples.split_off(end * FRAME_SAMPLES);
        open.speech_frames = open.speech_frames.min(end);
        let mut events = vec![self.close(&open, endpoint)];
        let rest = rest_frames.into_iter().zip(rest_samples.chunks_exact(FRAME_SAMPLES));
        match endpoint {
            Endpoint::MaxLength => {
                let start_sample = open.start_sample + (end * FRAME_SAMPLES) as u64;
                let mut next = Open::at(start_sample);
                rest.for_each(|(frame, samples)| next.push(frame, samples));
                self.open = Some(next);
                events.push(VadEvent::Started { start_sample });
            }
            Endpoint::Vad | Endpoint::Semantic | Endpoint::Flush => {
                self.recent = rest.map(|(frame, samples)| (frame, samples.to_vec())).collect();
            }
        }
        events
    }

    fn close(&self, open: &Open, endpoint: Endpoint) -> VadEvent {
        let evidence = open.evidence();
        let no_voice = open.speech_frames == 0;
        let tone = open.frames.len() >= TONE_FRAMES && evidence.tonal_ratio > self.config.max_tonal_ratio;
        if no_voice || tone || evidence.mean_probability < self.config.min_mean_probability {
            let end_sample = open.start_sample + open.samples.len() as u64;
            return VadEvent::Rejected { start_sample: open.start_sample, end_sample, evidence };
        }
        VadEvent::Ended(SpeechSegment {
            start_sample: open.start_sample,
            samples: open.samples.as_slice().into(),
            speech_end_sample: open.start_sample + (open.speech_frames * FRAME_SAMPLES) as u64,
            endpoint,
            evidence,
        })
    }
}

impl Open {
    fn at(start_sample: u64) -> Self {
        Self { start_sample, samples: Vec::new(), frames: Vec::new(), lead_frames: 0, speech_frames: 0, patience: None }
    }

    fn push(&mut self, frame: Frame, samples: &[f32]) {
        self.frames.push(frame);
        self.samples.extend_from_slice(samples);
        if frame.voiced {
            self.speech_frames = self.frames.len();
            self.patience = None;
        }
    }

    fn evidence(&self) -> SpeechEvidence {
        let spoken = self.frames.get(self.lead_frames.min(self.speech_frames)..self.speech_frames).unwrap_or_default();
        if spoken.is_empty() {
            return SpeechEvidence::default();
        }
        let share = |count: usize, of: usize| count as f32 / of.max(1) as f32;
        SpeechEvidence {
            speech_ratio: share(spoken.iter().filter(|frame| frame.voiced).count(), spoken.len()),
            mean_probability: spoken.iter().map(|frame| frame.probability).sum::<f32>() / spoken.len() as f32,
            tonal_ratio: share(self.frames.iter().filter(|frame| frame.texture == Texture::Tone).count(), self.frames.len()),
            peak_level_db: spoken.iter().map(|frame| frame.level_db).fold(0.0, f32::max),
        }
    }

    /// The frame of the lowest smoothed level in the last stretch.
    fn quietest_point(&self) -> usize {
        let len = self.frames.len();
        let from = len.saturating_sub(CUT_SEARCH_FRAMES).max(len / 2);
        let smoothed = |index: usize| {
            let low = index.saturating_sub(CUT_SMOOTH_FRAMES);
            let around = &self.frames[low..(index + CUT_SMOOTH_FRAMES).min(len)];
            around.iter().map(|frame| frame.level_db).sum::<f32>() / around.len() as f32
        };
        (from..len).min_by(|&a, &b| smoothed(a).total_cmp(&smoothed(b))).unwrap_or(len)
    }
}

/// Frames that cover a time, rounded to the nearest, at least one unless it is 0.
fn frames_of(time_ms: u32) -> usize {
    let frames = (time_ms as usize + FRAME_MS / 2) / FRAME_MS;
    if time_ms > 0 { frames.max(1) } else { 0 }
}

/// Milliseconds of a sample number at 16 kHz, rounded down.
fn samples_to_ms(samples: u64) -> i64 {
    (samples / (u64::from(MODEL_RATE_HZ) / 1_000)) as i64
}
