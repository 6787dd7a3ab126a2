//! Audio of a call over a WebSocket.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use tokio::sync::mpsc;

use super::audio_frames::{CLIENT_TYPES, ClientFrame, Pace, ServerFrame, StartFrame};
use super::events::TypeFilter;
use super::{ApiContext, Problem};
use crate::access::Principal;
use crate::asr::MAX_HOT_WORDS;
use crate::audio::{Encoding as SampleEncoding, FrameDecoder};
use crate::event::{Call, ChannelSpec, Encoding};
use crate::pipeline::{Attach, AudioNotice, Command};
use crate::store::{Subscription, SubscriptionItem};

/// Subprotocol.
const PROTOCOL: &str = "zhiyin.audio.v1";
/// Largest frame, bytes.
const FRAME_MAX: usize = 256 << 10;
/// Longest binary frame, milliseconds of audio.
const FRAME_MAX_MS: usize = 1_000;
/// A socket without a frame or ping for so long is closed; behind `audio.end` there is nothing more to come.
const IDLE: Duration = Duration::from_secs(60);
/// How long a socket may take for its first frame.
const FIRST_FRAME: Duration = Duration::from_secs(10);
const RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// Takes the audio of a call.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/audio", tag = "audio", params(("call_id" = String, Path)),
    responses((status = 101, description = "the socket is open"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn socket(
    State(context): State<ApiContext>,
    Extension(principal): Extension<Principal>,
    Path(call_id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    if context.hub.is_draining() {
        return Err(Problem::new("draining", "try another node"));
    }
    let call = context.visible_call(&call_id, &principal).await?;
    if !context.hub.is_open(&call.call_id) {
        return Err(Problem::new("call_ended", "the call is over"));
    }
    // Numbered when they come, not when their first frame was read: a connection that is dead already must not take over from
    // the one that came after it.
    let writer = context.hub.writer_id();
    Ok(upgrade.protocols([PROTOCOL]).max_message_size(FRAME_MAX).max_frame_size(FRAME_MAX).on_upgrade(move |socket| async move {
        metrics::gauge!("zhiyin_streams_open", "kind" => "audio").increment(1.0);
        serve(socket, context, call, writer).await;
        metrics::gauge!("zhiyin_streams_open", "kind" => "audio").decrement(1.0);
    }))
}

/// Why a socket closes: code and reason.
type Closing = (u16, &'static str);

/// A socket that may send samples.
struct Sender {
    context: ApiContext,
    call: Call,
    writer: u64,
    decoder: FrameDecoder,
    bytes_per_s: usize,
    /// `audio.end` was said.
    ended: bool,
}

async fn serve(mut socket: WebSocket, context: ApiContext, call: Call, writer: u64) {
    let (notices, mut inbox) = mpsc::unbounded_channel();
    let opened = match open(&mut socket, &context, &call, Entry { writer, notices }).await {
        Ok(opened) => opened,
        Err(problem) => {
            let code = match problem.code.as_str() {
                "overloaded" => 1013,
                "audio_writer_present" => 4409,
                "invalid_audio" => 4422,
                "call_ended" | "unknown_call" => 4404,
                _ => 4400,
            };
            let fatal = ServerFrame::Error { code: problem.code.clone(), detail: problem.detail, fatal: true };
            let _ = send(&mut socket, &fatal).await;
            let frame = CloseFrame { code, reason: problem.code.into() };
            let _ = socket.send(Message::Close(Some(frame))).await;
            return;
        }
    };
    let (mut sender, mut events) = opened;
    let (code, reason) = run(&mut socket, &mut sender, &mut inbox, events.as_mut()).await;
    let _ = sender.tell(Command::Detach { writer: sender.writer }).await;
    let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}

async fn send(socket: &mut WebSocket, frame: &ServerFrame) -> Result<(), axum::Error> {
    socket.send(Message::Text(serde_json::to_string(frame).unwrap_or_default().into())).await
}

type Events = (Subscription, TypeFilter);

/// A socket's number and where notices to it go.
struct Entry {
    writer: u64,
    notices: mpsc::UnboundedSender<AudioNotice>,
}

/// Reads `audio.start` and attaches to the call.
async fn open(
    socket: &mut WebSocket,
    context: &ApiContext,
    call: &Call,
    Entry { writer, notices }: Entry,
) -> Result<(Sender, Option<Events>), Problem> {
    let start = first_frame(socket).await?;
    let known = call.audio.as_ref();
    let encoding = start.encoding.or(known.map(|a| a.encoding)).unwrap_or_default();
    let rate_hz = start.sample_rate_hz.or(known.map(|a| a.sample_rate_hz)).unwrap_or(8_000);
    let channels = start.channels.clone().or_else(|| known.map(|a| a.channels.clone())).unwrap_or_default();
    check(call, &start, rate_hz, &channels)?;
    let decoder =
        FrameDecoder::new(sample_encoding(encoding), channels.len()).map_err(|e| Problem::new("invalid_audio", e.to_string()))?;
    let events = match &start.events {
        Some(types) => {
            let from = context.store().last_seq(call.call_id.as_str()).await? + 1;
            Some((context.log.subscribe(&call.call_id, from).await?, TypeFilter::of(types.clone())))
        }
        None => None,
    };
    let bytes_per_s = rate_hz as usize * channels.len() * if encoding == Encoding::PcmS16le { 2 } else { 1 };
    let attach = Attach {
        writer,
        channels,
        sample_rate_hz: rate_hz,
        start_offset_ms: start.start_offset_ms.max(0),
        replay: start.pace == Pace::Replay,
        partials: true,
        resume: start.resume,
        notices,
    };
    let ready = context.hub.attach(&call.call_id, attach).await?;
    let frame = ServerFrame::Ready {
        call_id: call.call_id.to_string(),
        resume_from_ms: ready.resume_from_ms,
        max_ahead_ms: ready.max_ahead_ms,
    };
    if send(socket, &frame).await.is_err() {
        // Gone between its first frame and the answer: the call waits for it as for any lost socket.
        context.hub.tell(&call.call_id, Command::Detach { writer }).await?;
        return Err(Problem::new("call_ended", "the socket closed"));
    }
    Ok((Sender { context: context.clone(), call: call.clone(), writer, decoder, bytes_per_s, ended: false }, events))
}

async fn first_frame(socket: &mut WebSocket) -> Result<StartFrame, Problem> {
    let wait = async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Binary(_))) => {
                    return Err(Problem::new("invalid_value", "the first frame must be audio.start, as text"));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    return Err(Problem::new("invalid_value", "closed before audio.start"));
                }
            }
        }
    };
    let text = tokio::time::timeout(FIRST_FRAME, wait)
        .await
        .map_err(|_| Problem::new("deadline_exceeded", "no audio.start within 10 s"))??;
    match super::strict::parse::<ClientFrame>(text.as_bytes())? {
        ClientFrame::Start(start) => Ok(*start),
        _ => Err(Problem::new("invalid_value", "the first frame must be audio.start")),
    }
}

/// What `audio.start` says must be usable and must not contradict what opened the call.
fn check(call: &Call, start: &StartFrame, rate_hz: u32, channels: &[ChannelSpec]) -> Result<(), Problem> {
    let mut problem = Problem::new("invalid_audio", "the audio cannot be used");
    if !RATES_HZ.contains(&rate_hz) {
        problem = problem.item("/sample_rate_hz", "not_in_set", "one of 8000, 16000, 24000, 48000");
    }
    if channels.is_empty() || channels.len() > 2 {
        problem = problem.item("/channels", "invalid_value", "one or two channels");
    }
    if channels.len() == 2 && channels[0].channel_index == channels[1].channel_index {
        problem = problem.item("/channels", "invalid_value", "two channels need two indexes");
    }
    if let Some(known) = &call.audio {
        if start.sample_rate_hz.is_some_and(|r| r != known.sample_rate_hz) {
            problem = problem.item("/sample_rate_hz", "contradiction", "the call was opened with another rate");
        }
        if start.encoding.is_some_and(|e| e != known.encoding) {
            problem = problem.item("/encoding", "contradiction", "the call was opened with another encoding");
        }
    }
    if problem.errors.is_empty() {
        return Ok(());
    }
    problem.detail = problem.errors.iter().map(|e| format!("{}: {}", e.pointer, e.message)).collect::<Vec<_>>().join("; ");
    Err(problem)
}

fn sample_encoding(encoding: Encoding) -> SampleEncoding {
    match encoding {
        Encoding::PcmS16le => SampleEncoding::PcmS16le,
        Encoding::Mulaw => SampleEncoding::Mulaw,
        Encoding::Alaw => SampleEncoding::Alaw,
    }
}

async fn run(
    socket: &mut WebSocket,
    sender: &mut Sender,
    inbox: &mut mpsc::UnboundedReceiver<AudioNotice>,
    mut events: Option<&mut Events>,
) -> Closing {
    let mut heard_at = Instant::now();
    loop {
        // What is told every second must not count as a sign of the client.
        let patience = if sender.ended { Duration::MAX } else { IDLE.saturating_sub(heard_at.elapsed()) };
        tokio::select! {
            message = tokio::time::timeout(patience, socket.recv()) => {
                let closing = match message {
                    Err(_) => Some((4408, "idle")),
                    Ok(Some(Ok(Message::Binary(bytes)))) => sender.samples(&bytes).await,
                    Ok(Some(Ok(Message::Text(text)))) => match sender.control(&text).await {
                        Ok(()) => None,
                        Err(error) => send(socket, &error).await.err().map(|_| (1011, "internal")),
                    },
                    Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => None,
                    Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => Some((1000, "gone")),
                };
                // Behind the work on the frame: while a full mailbox made it wait, the client could not be heard.
                heard_at = Instant::now();
                if let Some(closing) = closing {
                    return closing;
                }
            }
            notice = inbox.recv() => {
                let Some(notice) = notice else { return (1000, "completed") };
                let (frame, closing) = wire(notice);
                if let Some(frame) = frame
                    && send(socket, &frame).await.is_err()
                {
                    return (1000, "gone");
                }
                if let Some(closing) = closing {
                    return closing;
                }
            }
            item = next_event(&mut events) => {
                if let Some(text) = item
                    && socket.send(Message::Text(text.into())).await.is_err()
                {
                    return (1000, "gone");
                }
            }
        }
    }
}

/// The next wanted event as text; never resolves if none are wanted.
async fn next_event(events: &mut Option<&mut Events>) -> Option<String> {
    let Some((subscription, filter)) = events else { return std::future::pending().await };
    match subscription.next().await {
        Some(SubscriptionItem::Event(event)) => {
            filter.wants(event.body.kind()).then(|| serde_json::to_string(event.as_ref()).unwrap_or_default())
        }
        Some(SubscriptionItem::TooSlow { .. }) => None,
        None => std::future::pending().await,
    }
}

/// A notice as a frame, and whether the socket closes after it.
fn wire(notice: AudioNotice) -> (Option<ServerFrame>, Option<Closing>) {
    match notice {
        AudioNotice::Ack { received_ms, final_ms, lag_ms } => (Some(ServerFrame::Ack { received_ms, final_ms, lag_ms }), None),
        AudioNotice::Slow { lag_ms } => (Some(ServerFrame::Slow { lag_ms }), None),
        AudioNotice::Marked { name, at_ms } => (Some(ServerFrame::Marked { name, at_ms }), None),
        AudioNotice::Closed { duration_ms, n_utterances } => {
            (Some(ServerFrame::Closed { duration_ms, n_utterances }), Some((1000, "completed")))
        }
        AudioNotice::CallEnded => (None, Some((1000, "call_ended"))),
        AudioNotice::TakenOver => (None, Some((4409, "taken_over"))),
        AudioNotice::TooFarAhead => (None, Some((4491, "too_far_ahead"))),
        AudioNotice::NotKept => (None, Some((1011, "not_kept"))),
        AudioNotice::Drain => (Some(ServerFrame::Drain { deadline_ms: 5_000 }), Some((1012, "draining"))),
    }
}

impl Sender {
    async fn tell(&self, command: Command) -> Result<(), Problem> {
        Ok(self.context.hub.tell(&self.call.call_id, command).await?)
    }

    /// Samples; a frame that is too long closes the socket.
    async fn samples(&mut self, bytes: &[u8]) -> Option<Closing> {
        if bytes.len() * 1_000 > self.bytes_per_s * FRAME_MAX_MS {
            return Some((1009, "frame_too_large"));
        }
        let samples = self.decoder.push(bytes);
        let command = Command::Audio { writer: self.writer, samples };
        self.tell(command).await.err().map(|_| (1000, "call_ended"))
    }

    /// A control frame; what cannot be used is answered, and the socket stays.
    async fn control(&mut self, text: &str) -> Result<(), ServerFrame> {
        let refuse = |code: &str, detail: String| ServerFrame::Error { code: code.into(), detail, fatal: false };
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|_| refuse("invalid_json", "the frame is not JSON".into()))?;
        let kind = value.get("type").and_then(|t| t.as_str()).unwrap_or_default();
        if !CLIENT_TYPES.contains(&kind) {
            return Err(refuse("unknown_type", format!("known types: {}", CLIENT_TYPES.join(", "))));
        }
        let frame: ClientFrame = super::strict::parse(text.as_bytes()).map_err(|p| refuse(&p.code, p.detail))?;
        let writer = self.writer;
        let command = match frame {
            ClientFrame::Start(_) => return Err(refuse("invalid_value", "audio.start comes once".into())),
            ClientFrame::Gap { channel_index, duration_ms } => {
                if duration_ms > 3_600_000 {
                    return Err(refuse("invalid_value", "a gap is at most an hour".into()));
                }
                Command::Gap { writer, channel_index, duration_ms }
            }
            ClientFrame::Pause { reason } => Command::Pause { reason },
            ClientFrame::Resume => Command::Resume,
            ClientFrame::Flush { channel_index } => Command::Flush { channel_index },
            ClientFrame::Mark { name } => Command::Mark { writer, name },
            ClientFrame::Hints { hot_words } => {
                if hot_words.len() > MAX_HOT_WORDS {
                    return Err(refuse("too_many_items", format!("at most {MAX_HOT_WORDS} hot words")));
                }
                Command::Expect { words: hot_words.into_iter().map(|w| (w.text, w.weight)).collect() }
            }
            ClientFrame::End => {
                self.ended = true;
                self.tell(Command::AudioEnd { writer }).await.map_err(|p| refuse(&p.code, p.detail))?;
                let bytes = self.decoder.pending_bytes();
                if bytes == 0 {
                    return Ok(());
                }
                let detail = format!("{bytes} bytes at the end are no whole sample of every channel; they were left out");
                return Err(refuse("half_sample", detail));
            }
        };
        self.tell(command).await.map_err(|p| refuse(&p.code, p.detail))
    }
}
