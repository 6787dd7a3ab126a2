//! Twilio Media Streams: each stream becomes a call, on which assist and quality run as on any other.
//!
//! Two tracks, two channels: of an incoming call `inbound` is the customer and `outbound` the agent, of an outgoing one the
//! other way round. Nothing is sent back, unless the start message asks for the bot (`customParameters.bot` is `on`): then
//! every reply goes out as `{"event":"reply","streamSid":…,"reply":{…}}`, text for the telephony side to speak.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::chat_desk::Reply;
use super::super::chat_phone::{PhoneBot, spoken};
use super::super::{ApiContext, Problem};
use super::{Pulse, count_unknown};
use crate::access::Scope;
use crate::audio::{Encoding as SampleEncoding, FrameDecoder};
use crate::conversation::{CallId, Role};
use crate::event::{Call, ChannelSpec, NewCall, now_rfc3339};
use crate::pipeline::{Attach, AudioNotice, Command, Ending};

/// Path over which the vendor signs.
const PATH: &str = "/compat/twilio/media";
/// A chunk that comes later than this is dropped, milliseconds.
const LATE_MS: i64 = 1_000;
/// A hole shorter than this is jitter of the clock, milliseconds.
const JITTER_MS: i64 = 10;
const RATE_HZ: u32 = 8_000;
/// How long a stream may take to say who it is.
const FIRST_MESSAGES: Duration = Duration::from_secs(10);
const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// Takes media streams.
#[utoipa::path(get, path = "/compat/twilio/media", tag = "compatibility",
    responses((status = 101, description = "the socket is open"), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(in crate::api) async fn socket(State(context): State<ApiContext>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if context.hub.is_draining() || context.hub.refusal().is_some() {
        return Problem::new("not_ready", "this node is full; try another one").into_response();
    }
    let signed = match context.server.twilio_secret.reveal() {
        None => false,
        Some(secret) => {
            let given = headers.get("x-twilio-signature").and_then(|v| v.to_str().ok()).unwrap_or_default();
            let url = format!("{}{PATH}", public_url(&context, &headers));
            if !is_signed(secret, &url, given) {
                let mut problem = Problem::new("scope_missing", "the signature does not fit address and secret");
                problem.code = "invalid_signature".into();
                return problem.into_response();
            }
            true
        }
    };
    upgrade.max_message_size(MAX_MESSAGE_BYTES).on_upgrade(move |socket| async move {
        metrics::gauge!("zhiyin_streams_open", "kind" => "twilio").increment(1.0);
        serve(socket, context, signed).await;
        metrics::gauge!("zhiyin_streams_open", "kind" => "twilio").decrement(1.0);
    })
}

fn public_url(context: &ApiContext, headers: &HeaderMap) -> String {
    match context.server.public_url.trim_end_matches('/') {
        "" => format!("wss://{}", headers.get("host").and_then(|v| v.to_str().ok()).unwrap_or_default()),
        url => url.to_owned(),
    }
}

/// Base64 of HMAC-SHA1 over the address, compared in constant time.
fn is_signed(secret: &str, url: &str, given: &str) -> bool {
    let Ok(given) = base64::engine::general_purpose::STANDARD.decode(given) else { return false };
    Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).is_ok_and(|mut mac| {
        mac.update(url.as_bytes());
        mac.verify_slice(&given).is_ok()
    })
}

/// One track of a stream: a writer of one channel of the call.
struct Track {
    writer: u64,
    decoder: FrameDecoder,
    clock: Clock,
}

/// Where the chunks of a track lie in the call, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    /// Where the stream began, whose own time begins at 0.
    offset_ms: i64,
    /// Where the next sample is due.
    due_ms: i64,
}

impl Clock {
    fn from(start_ms: i64) -> Self {
        Self { offset_ms: start_ms, due_ms: start_ms }
    }

    /// Takes a chunk with the time of its stream and gives the gap in front of it; `None`, if it comes too late.
    fn take(&mut self, stream_ms: Option<i64>, chunk_ms: i64) -> Option<i64> {
        let at_ms = stream_ms.map_or(self.due_ms, |ms| ms.saturating_add(self.offset_ms));
        let missing_ms = at_ms.saturating_sub(self.due_ms);
        if missing_ms < -LATE_MS {
            return None;
        }
        let gap_ms = if missing_ms > JITTER_MS { missing_ms.min(3_600_000) } else { 0 };
        self.due_ms += gap_ms + chunk_ms;
        Some(gap_ms)
    }
}

struct Stream {
    context: ApiContext,
    call: Call,
    tracks: HashMap<String, Track>,
    notices: mpsc::UnboundedReceiver<AudioNotice>,
    sid: Value,
    /// What the bot says, if it was asked for.
    replies: Option<mpsc::UnboundedReceiver<Reply>>,
}

async fn serve(mut socket: WebSocket, context: ApiContext, signed: bool) {
    let (code, reason) = run(&mut socket, context, signed).await;
    let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}

/// The next message as JSON. Two that are not are let pass, the third ends the stream.
async fn next(socket: &mut WebSocket, pulse: &mut Pulse, broken: &mut u32) -> Result<Value, (u16, &'static str)> {
    loop {
        // Nothing but replies may go out on these streams, no ping either; while they live, media come all the time.
        match pulse.frame(socket).await {
            Some(Message::Text(text)) => match serde_json::from_str::<Value>(&text) {
                Ok(value) => return Ok(value),
                Err(_) => {
                    count_unknown("twilio");
                    *broken += 1;
                    if *broken > 2 {
                        return Err((1007, "invalid_json"));
                    }
                }
            },
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            Some(Message::Binary(_)) => count_unknown("twilio"),
            Some(Message::Close(_)) | None => return Err((1000, "gone")),
        }
    }
}

/// The next reply of the bot; none without one.
async fn next_reply(replies: &mut Option<mpsc::UnboundedReceiver<Reply>>) -> Option<Reply> {
    replies.as_mut()?.recv().await
}

async fn run(socket: &mut WebSocket, context: ApiContext, signed: bool) -> (u16, &'static str) {
    let (mut pulse, mut broken) = (Pulse::default(), 0);
    let start = tokio::time::timeout(FIRST_MESSAGES, async {
        loop {
            let message = next(socket, &mut pulse, &mut broken).await?;
            if message["event"] == "start" {
                return Ok(message["start"].clone());
            }
        }
    });
    let start = match start.await {
        Ok(Ok(start)) => start,
        Ok(Err(closing)) => return closing,
        Err(_) => return (1008, "no start message"),
    };
    let mut stream = match Stream::open(context, &start, signed).await {
        Ok(stream) => stream,
        Err(problem) => {
            tracing::warn!(code = problem.code, "a media stream was refused");
            return match problem.status {
                401 | 403 => (1008, "unauthenticated"),
                429 | 503 => (1013, "overloaded"),
                _ => (1008, "refused"),
            };
        }
    };
    let mut replies = stream.replies.take();
    loop {
        let message = tokio::select! {
            message = next(socket, &mut pulse, &mut broken) => message,
            // Nothing is said back; the box is only emptied.
            Some(_) = stream.notices.recv() => continue,
            Some(reply) = next_reply(&mut replies) => {
                let event = json!({ "event": "reply", "streamSid": stream.sid, "reply": spoken(&stream.context, &reply) });
                // A socket that is gone is noticed by the next read.
                let _ = socket.send(Message::Text(event.to_string().into())).await;
                continue;
            }
        };
        match message {
            Ok(message) => match message["event"].as_str() {
                Some("media") => stream.media(&message["media"]).await,
                Some("dtmf") => stream.digit(&message["dtmf"]).await,
                Some("stop") => {
                    stream.end().await;
                    return (1000, "completed");
                }
                Some("connected" | "start" | "mark") => {}
                _ => count_unknown("twilio"),
            },
            Err(closing) => {
                stream.lose().await;
                return closing;
            }
        }
    }
}

/// What the start message says beside the vendor's own fields.
struct Parameters(serde_json::Map<String, Value>);

impl Parameters {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|v| !v.is_empty())
    }

    fn bot(&self) -> bool {
        self.text("bot") == Some("on")
    }

    fn outgoing(&self) -> bool {
        self.text("direction").is_some_and(|d| d.starts_with("outbound"))
    }

    /// Whose stream it is: the token that is sent along, or the vendor who signed.
    fn owner(&self, context: &ApiContext, signed: bool) -> Result<String, Problem> {
        if signed {
            return Ok("twilio".to_owned());
        }
        let token = self.text("token").ok_or_else(|| Problem::new("unauthenticated", "send the parameter token"))?;
        let principal = context.tokens.principal(token)?;
        let chat = self.bot().then_some(Scope::ChatWrite);
        match [Scope::CallsWrite, Scope::AudioWrite].into_iter().chain(chat).find(|scope| !principal.may(*scope)) {
            Some(scope) => Err(Problem::scope_missing(scope)),
            None => Ok(principal.token_id),
        }
    }

    /// The tracks that come, each with its channel and who speaks on it.
    fn tracks(&self, start: &Value) -> Result<Vec<(&'static str, ChannelSpec)>, Problem> {
        // Whoever is at the other end of a call of the bot is the customer.
        let roles = if self.outgoing() && !self.bot() { [Role::Agent, Role::Customer] } else { [Role::Customer, Role::Agent] };
        let named = |name: &str| start["tracks"].as_array().is_some_and(|t| t.iter().any(|t| t == name));
        let tracks: Vec<(&str, ChannelSpec)> = ["inbound", "outbound"]
            .into_iter()
            .enumerate()
            .filter(|(place, name)| named(name) || (*place == 0 && start["tracks"].is_null()))
            .map(|(place, name)| (name, ChannelSpec { channel_index: place as u16, role: roles[place] }))
            .collect();
        if tracks.is_empty() {
            return Err(Problem::new("invalid_audio", "tracks names inbound, outbound or both"));
        }
        Ok(tracks)
    }

    /// The call that the stream becomes.
    fn new_call(&self, call_sid: &Value, channels: Vec<ChannelSpec>) -> Result<NewCall, Problem> {
        let known = ["queue", "agent_id", "direction", "language", "token", "bot"];
        let metadata: serde_json::Map<String, Value> = self
            .0
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .take(64)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        serde_json::from_value(json!({
            "external_id": call_sid, "channel": "voice", "direction": if self.outgoing() { "outbound" } else { "inbound" },
            "queue": self.text("queue"), "agent": self.text("agent_id").map(|id| json!({"id": id})),
            "languages": self.text("language").map(|l| vec![l]).unwrap_or_default(),
            "audio": {"encoding": "mulaw", "sample_rate_hz": RATE_HZ, "channels": channels}, "metadata": metadata,
        }))
        .map_err(|error| Problem::new("invalid_value", error.to_string()))
    }
}

impl Stream {
    async fn open(context: ApiContext, start: &Value, signed: bool) -> Result<Self, Problem> {
        let parameters = Parameters(start["customParameters"].as_object().cloned().unwrap_or_default());
        let owner = parameters.owner(&context, signed)?;
        if start["mediaFormat"]["encoding"].as_str().is_some_and(|e| e != "audio/x-mulaw") {
            return Err(Problem::new("invalid_audio", "mediaFormat.encoding is audio/x-mulaw"));
        }
        let tracks = parameters.tracks(start)?;
        let channels = tracks.iter().map(|(_, channel)| channel.clone()).collect();
        let mut request = parameters.new_call(&start["callSid"], channels)?;
        // A stream that comes back for the same call goes on with it.
        let known = match &request.external_id {
            Some(id) => context.store().call_by_external_id(id).await?,
            None => None,
        };
        let ended = known.as_ref().is_some_and(|call| !call.state.is_open() || !context.hub.is_open(&call.call_id));
        if ended {
            // A name stands for one call: what follows one that is over is a call of its own, which says whose it is.
            request.external_id = None;
            request.metadata.insert("call_sid".into(), start["callSid"].clone());
        }
        let (call, resume) = match known.filter(|_| !ended) {
            Some(call) => (call, true),
            None => (context.hub.open(Call::open(request, CallId::new(), &now_rfc3339())).await?, false),
        };
        let (sender, notices) = mpsc::unbounded_channel();
        let sid = start["streamSid"].clone();
        let mut stream = Self { context, call, tracks: HashMap::new(), notices, sid, replies: None };
        if let Err(problem) = stream.enter(&parameters, tracks, &owner, resume, sender).await {
            // A call that was opened for a stream that is refused must not wait for it for ever.
            if stream.tracks.is_empty() && !resume {
                stream.end().await;
            } else {
                stream.lose().await;
            }
            return Err(problem);
        }
        Ok(stream)
    }

    /// Attaches the tracks and puts the bot on, if it is asked for.
    async fn enter(
        &mut self,
        parameters: &Parameters,
        tracks: Vec<(&'static str, ChannelSpec)>,
        owner: &str,
        resume: bool,
        notices: mpsc::UnboundedSender<AudioNotice>,
    ) -> Result<(), Problem> {
        for (name, channel) in tracks {
            self.attach(name, channel, resume, notices.clone()).await?;
        }
        if parameters.bot() {
            self.replies = Some(PhoneBot::join(&self.context, &self.call, owner, parameters.text("flow")).await?);
        }
        Ok(())
    }

    async fn attach(
        &mut self,
        name: &str,
        channel: ChannelSpec,
        resume: bool,
        notices: mpsc::UnboundedSender<AudioNotice>,
    ) -> Result<(), Problem> {
        let writer = self.context.hub.writer_id();
        let attach = Attach {
            writer,
            channels: vec![channel],
            sample_rate_hz: RATE_HZ,
            start_offset_ms: 0,
            // Bursts after a stall of the network are no reason to hang up.
            replay: true,
            partials: true,
            resume,
            notices,
        };
        let ready = self.context.hub.attach(&self.call.call_id, attach).await?;
        let clock = Clock::from(if resume { ready.resume_from_ms } else { 0 });
        let decoder = FrameDecoder::new(SampleEncoding::Mulaw, 1).map_err(|e| Problem::new("invalid_audio", e.to_string()))?;
        self.tracks.insert(name.to_owned(), Track { writer, decoder, clock });
        Ok(())
    }

    async fn tell(&self, command: Command) {
        if self.context.hub.tell(&self.call.call_id, command).await.is_err() {
            tracing::debug!(call_id = %self.call.call_id, "audio came behind the end of the call");
        }
    }

    /// A chunk of a track, at its time. What was lost becomes a gap; what comes too late is dropped.
    async fn media(&mut self, media: &Value) {
        let number = |value: &Value| value.as_str().and_then(|t| t.parse::<i64>().ok()).or_else(|| value.as_i64());
        let payload = media["payload"].as_str().and_then(|p| base64::engine::general_purpose::STANDARD.decode(p).ok());
        let track = media["track"].as_str().unwrap_or("inbound");
        let (Some(bytes), Some(track)) = (payload, self.tracks.get_mut(track)) else {
            count_unknown("twilio");
            return;
        };
        let chunk_ms = bytes.len() as i64 * 1_000 / i64::from(RATE_HZ);
        let Some(gap_ms) = track.clock.take(number(&media["timestamp"]), chunk_ms) else {
            metrics::counter!("zhiyin_compat_late_total", "surface" => "twilio").increment(1);
            return;
        };
        let writer = track.writer;
        let samples = track.decoder.push(&bytes);
        let channel_index = self.channel_of(writer);
        if gap_ms > 0 {
            self.tell(Command::Gap { writer, channel_index, duration_ms: gap_ms as u64 }).await;
        }
        self.tell(Command::Audio { writer, samples }).await;
    }

    fn channel_of(&self, writer: u64) -> Option<u16> {
        let name = self.tracks.iter().find(|(_, t)| t.writer == writer).map(|(name, _)| name.as_str());
        name.map(|name| u16::from(name == "outbound"))
    }

    /// A key that was pressed: it is kept with the call and is no part of the transcript.
    async fn digit(&self, dtmf: &Value) {
        let Some(digit) = dtmf["digit"].as_str().filter(|d| d.len() == 1) else { return };
        if let Err(problem) = self.keep_digit(digit).await {
            tracing::warn!(call_id = %self.call.call_id, code = %problem.code, "a key press was not kept");
        }
    }

    /// Adds to the keys of the call as it is now: others change it while the stream runs.
    async fn keep_digit(&self, digit: &str) -> Result<(), Problem> {
        let call = self.context.store().call(self.call.call_id.as_str()).await?;
        let mut call = call.ok_or_else(|| Problem::not_found("call"))?;
        let pressed = call.metadata.get("dtmf").and_then(Value::as_str).unwrap_or_default();
        let pressed = format!("{pressed}{digit}");
        call.metadata.insert("dtmf".into(), pressed.into());
        self.context.hub.update(call).await?;
        Ok(())
    }

    async fn end(&mut self) {
        for track in self.tracks.values() {
            self.tell(Command::AudioEnd { writer: track.writer }).await;
        }
        let ending = Ending { hangup_by: Some(Role::System), reason: "stream_stopped".into() };
        if let Err(error) = self.context.hub.end(&self.call.call_id, ending).await {
            tracing::debug!(call_id = %self.call.call_id, %error, "the call had ended");
        }
    }

    /// The socket is gone: the call waits for its return, then ends by itself.
    async fn lose(&mut self) {
        for track in self.tracks.values() {
            self.tell(Command::Detach { writer: track.writer }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, is_signed};

    #[test]
    fn a_stream_that_comes_back_begins_its_own_time_behind_what_was_heard() {
        let mut clock = Clock::from(60_000);
        assert_eq!(clock.take(Some(0), 20), Some(0));
        assert_eq!(clock.take(Some(20), 20), Some(0));
        // 100 ms are missing; a chunk without a time follows the one before.
        assert_eq!(clock.take(Some(140), 20), Some(100));
        assert_eq!(clock.take(None, 20), Some(0));
        assert_eq!(clock, Clock { offset_ms: 60_000, due_ms: 60_180 });
        let mut late = Clock::from(0);
        assert_eq!((late.take(Some(5_000), 20), late.take(Some(4_019), 20), late.take(Some(10), 20)), (Some(5_000), None, None));
        assert_eq!(late.take(Some(4_020), 20), Some(0), "a second late is taken");
        assert_eq!(Clock::from(60_000).take(Some(i64::MAX), 20), Some(3_600_000));
    }

    #[test]
    fn a_signature_fits_its_address_only() {
        // printf 'wss://assist.example.org/compat/twilio/media' | openssl dgst -sha1 -hmac 12345 -binary | base64
        let signature = "Ae7rcuDyE2I3kgyX4Ly9hK42+yo=";
        assert!(is_signed("12345", "wss://assist.example.org/compat/twilio/media", signature));
        assert!(!is_signed("12346", "wss://assist.example.org/compat/twilio/media", signature));
        assert!(!is_signed("12345", "wss://assist.example.org/compat/twilio/medib", signature));
        assert!(!is_signed("12345", "wss://assist.example.org/compat/twilio/media", "?"));
    }
}
