//! Plays a recording through running calls, as a telephone system would send it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use super::Sample;
use crate::audio::{Resampler, decode_file};
use crate::conversation::{CallId, Role};
use crate::event::{AudioSpec, Call, ChannelSpec, Encoding, NewCall, now_rfc3339};
use crate::pipeline::{Attach, AudioNotice, Command, Ending, Hub, PipelineError};

/// Milliseconds of audio in one frame at a pace: what telephone systems send.
const FRAME_MS: usize = 20;
/// Milliseconds of audio in one frame as fast as it is taken.
const FAST_FRAME_MS: usize = 100;

/// How a recording is played.
#[derive(Default)]
pub struct PlayOptions {
    /// Id of the call; a new one by default.
    pub call_id: Option<CallId>,
    /// Times real time; 0: as fast as it is taken.
    pub speed: f64,
    /// BCP 47 tags.
    pub languages: Vec<String>,
    /// Queue.
    pub queue: Option<String>,
    /// Title that screens show.
    pub title: Option<String>,
    /// Name in the telephone system.
    pub external_id: Option<String>,
    /// Roles of the channels; left customer, right agent by default.
    pub roles: Vec<Role>,
    /// Told when the call is open.
    pub opened: Option<oneshot::Sender<Result<(), PipelineError>>>,
    /// Told when the clock of the recording starts: at speed 1 its sample at `t` has been said `t` later.
    pub began: Option<Box<dyn FnOnce(Instant) + Send>>,
}

impl PlayOptions {
    /// Options that fit a sample call.
    pub fn for_sample(sample: &Sample, speed: f64) -> Self {
        Self {
            speed,
            languages: vec![sample.language.clone()],
            queue: sample.queue.clone(),
            title: Some(sample.title.clone()),
            ..Self::default()
        }
    }
}

/// What was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// The call, ended.
    pub call: Call,
    /// Length of the recording.
    pub audio_ms: u64,
    /// Time it took.
    pub took: Duration,
    /// Largest lag that the sender was told: how long an ended segment had waited for its words.
    pub lag_max_ms: i64,
}

/// Opens a call, sends the recording, ends the call.
///
/// # Errors
/// The recording cannot be read, or the call cannot be opened or goes away.
pub async fn play(hub: &Hub, file: &Path, mut options: PlayOptions) -> anyhow::Result<Played> {
    let path = file.to_path_buf();
    let recording = tokio::task::spawn_blocking(move || decode_file(&path))
        .await?
        .with_context(|| format!("recording {}", file.display()))?;
    let audio_ms = recording.duration_ms() as u64;
    let (rate_hz, channels) = wire_rate(recording.sample_rate_hz, recording.channels)?;
    let roles = if options.roles.is_empty() { default_roles(channels.len()) } else { std::mem::take(&mut options.roles) };
    let specs: Vec<ChannelSpec> =
        (0_u16..).zip(roles).take(channels.len()).map(|(channel_index, role)| ChannelSpec { channel_index, role }).collect();
    let request = NewCall {
        external_id: options.external_id.take(),
        queue: options.queue.take(),
        languages: std::mem::take(&mut options.languages),
        metadata: options.title.take().map(|t| ("title".to_owned(), t.into())).into_iter().collect(),
        audio: Some(AudioSpec {
            layout: Some(if channels.len() == 1 { "mono" } else { "stereo" }.into()),
            encoding: Encoding::PcmS16le,
            sample_rate_hz: rate_hz,
            channels: specs.clone(),
        }),
        ..NewCall::default()
    };
    let call = Call::open(request, options.call_id.take().unwrap_or_default(), &now_rfc3339());
    let call_id = call.call_id.clone();
    let opened = hub.open(call).await;
    if let Some(tell) = options.opened.take() {
        match &opened {
            Ok(_) => drop(tell.send(Ok(()))),
            Err(_) => {
                let error = opened.err().unwrap_or(PipelineError::NoRecogniser);
                let text = error.to_string();
                drop(tell.send(Err(error)));
                anyhow::bail!(text);
            }
        }
    } else {
        opened?;
    }
    let started = Instant::now();
    let began = options.began.take();
    let lag_max_ms = send(hub, &call_id, rate_hz, &channels, specs, Pace { speed: options.speed, began }).await?;
    let call = hub.end(&call_id, Ending { hangup_by: Some(Role::Customer), reason: "hangup".into() }).await?;
    Ok(Played { call, audio_ms, took: started.elapsed(), lag_max_ms })
}

fn default_roles(channels: usize) -> Vec<Role> {
    if channels == 1 { vec![Role::Mixed] } else { vec![Role::Customer, Role::Agent] }
}

/// Brings a recording to a rate that the wire knows; the ones it knows stay as they are.
fn wire_rate(rate_hz: u32, channels: Vec<Vec<f32>>) -> anyhow::Result<(u32, Vec<Vec<f32>>)> {
    if matches!(rate_hz, 8_000 | 16_000 | 24_000 | 48_000) {
        return Ok((rate_hz, channels));
    }
    let resampled = channels
        .iter()
        .map(|channel| {
            let mut resampler = Resampler::new(rate_hz)?;
            let mut samples = resampler.push(channel);
            samples.extend(resampler.finish());
            Ok(samples)
        })
        .collect::<Result<Vec<_>, crate::audio::AudioError>>()?;
    Ok((16_000, resampled))
}

/// How fast, and who wants to know when it starts.
struct Pace {
    speed: f64,
    began: Option<Box<dyn FnOnce(Instant) + Send>>,
}

/// Sends a recording; the largest lag that was told.
async fn send(
    hub: &Hub,
    call_id: &CallId,
    rate_hz: u32,
    channels: &[Vec<f32>],
    specs: Vec<ChannelSpec>,
    pace: Pace,
) -> anyhow::Result<i64> {
    let speed = pace.speed;
    let (notices, mut inbox) = mpsc::unbounded_channel();
    let writer = hub.writer_id();
    let attach = Attach {
        writer,
        channels: specs,
        sample_rate_hz: rate_hz,
        start_offset_ms: 0,
        replay: speed != 1.0,
        // Nobody reads along when a recording is played as fast as it goes.
        partials: speed > 0.0,
        resume: false,
        notices,
    };
    hub.attach(call_id, attach).await?;
    let frame_ms = if speed > 0.0 { FRAME_MS } else { FAST_FRAME_MS };
    let frame = rate_hz as usize * frame_ms / 1_000;
    let length = channels.iter().map(Vec::len).max().unwrap_or(0);
    let started = Instant::now();
    if let Some(tell) = pace.began {
        tell(started);
    }
    for (n, start) in (0..length).step_by(frame).enumerate() {
        if speed > 0.0 {
            // A frame leaves when its last sample has been said.
            let due = Duration::from_secs_f64((n + 1) as f64 * frame_ms as f64 / 1_000.0 / speed);
            tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        }
        let cut = |c: &Vec<f32>| c.get(start..(start + frame).min(c.len())).unwrap_or_default().to_vec();
        let samples = channels.iter().map(cut).collect();
        hub.tell(call_id, Command::Audio { writer, samples }).await?;
    }
    hub.tell(call_id, Command::AudioEnd { writer }).await?;
    let mut lag_max_ms = 0;
    while let Some(notice) = inbox.recv().await {
        match notice {
            AudioNotice::Ack { lag_ms, .. } | AudioNotice::Slow { lag_ms } => lag_max_ms = lag_max_ms.max(lag_ms),
            AudioNotice::Closed { .. } | AudioNotice::CallEnded => break,
            _ => {}
        }
    }
    Ok(lag_max_ms)
}
