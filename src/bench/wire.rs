//! A client of a whole service in this process, over real sockets: calls over HTTP, audio and events over WebSocket and
//! server-sent events. What a telephone system would do, with the freedom to break off at any moment.

use std::time::Duration;

use anyhow::Context;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::api::ApiContext;
use crate::app::{App, Sample};
use crate::audio::decode_file;
use crate::cli::Session;
use crate::config::Settings;

/// A service of its own with a store that goes with it.
pub(super) struct Service {
    pub(super) context: ApiContext,
    pub(super) wire: Wire,
    stop: oneshot::Sender<()>,
    server: JoinHandle<anyhow::Result<()>>,
    _store: tempfile::TempDir,
}

impl Service {
    /// Starts it on a free port; allowances of tokens are not what is measured.
    pub(super) async fn start(session: &Session, change: impl FnOnce(&mut Settings)) -> anyhow::Result<Self> {
        let store = tempfile::tempdir()?;
        let mut settings = session.settings.clone();
        settings.store.path = store.path().to_path_buf();
        settings.server.listen = ([127, 0, 0, 1], 0).into();
        settings.limits.control_per_s = 1e6;
        settings.limits.stream_per_s = 1e6;
        change(&mut settings);
        let app = App::start(&session.home, &settings).await?;
        let token = app.first_token.as_ref().map(|t| t.secret.clone()).context("a new store makes a first token")?;
        let wire = Wire { base: format!("http://{}", app.address()?), token, http: reqwest::Client::new() };
        let context = app.context.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(app.serve(Duration::from_secs(5), async move { drop(stopped.await) }));
        Ok(Self { context, wire, stop, server, _store: store })
    }

    /// Drains it.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(Duration::from_secs(10), self.server).await;
    }
}

/// A recording as the wire takes it: interleaved 16-bit samples.
pub(super) struct Tape {
    pub(super) language: String,
    pub(super) bytes: Vec<u8>,
    rate_hz: u32,
    channels: usize,
}

impl Tape {
    /// Reads the recording of a sample call.
    pub(super) fn read(sample: &Sample) -> anyhow::Result<Self> {
        let recording = decode_file(&sample.audio).with_context(|| format!("recording {}", sample.audio.display()))?;
        let length = recording.channels.iter().map(Vec::len).max().unwrap_or(0);
        let mut bytes = Vec::with_capacity(length * recording.channels.len() * 2);
        for n in 0..length {
            for channel in &recording.channels {
                let sample = channel.get(n).copied().unwrap_or(0.0);
                bytes.extend(((sample * 32_767.0) as i16).to_le_bytes());
            }
        }
        let (rate_hz, channels) = (recording.sample_rate_hz, recording.channels.len());
        Ok(Self { language: sample.language.clone(), bytes, rate_hz, channels })
    }

    /// Bytes of a millisecond of all channels.
    pub(super) fn bytes_per_ms(&self) -> usize {
        self.rate_hz as usize / 1_000 * self.channels * 2
    }

    /// The body that opens a call for it.
    pub(super) fn new_call(&self) -> Value {
        let roles = if self.channels == 1 { vec!["mixed"] } else { vec!["customer", "agent"] };
        let channels: Vec<Value> =
            roles.iter().enumerate().map(|(index, role)| json!({ "channel_index": index, "role": role })).collect();
        json!({ "channel": "voice", "languages": [self.language], "audio": {
            "encoding": "pcm_s16le", "sample_rate_hz": self.rate_hz, "channels": channels } })
    }
}

/// Address, token and connections.
#[derive(Clone)]
pub(super) struct Wire {
    base: String,
    token: String,
    http: reqwest::Client,
}

/// An HTTP answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: bool,
    pub(super) body: Value,
}

impl Wire {
    /// Posts JSON below `/api/v1`.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self.http.post(format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token);
        let response = request.header("idempotency-key", ulid::Ulid::new().to_string()).json(body).send().await?;
        let retry_after = response.headers().contains_key("retry-after");
        let status = response.status().as_u16();
        Ok(Answer { status, retry_after, body: response.json().await.unwrap_or_default() })
    }

    /// Gets JSON below `/api/v1`.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Opens a stream of server-sent events.
    pub(super) async fn sse(&self, path: &str, last_id: u64) -> anyhow::Result<reqwest::Response> {
        let request = self.http.get(format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token);
        let request = request.header("accept", "text/event-stream").header("last-event-id", last_id.to_string());
        Ok(request.send().await?.error_for_status()?)
    }

    /// Opens a WebSocket below `/api/v1`.
    pub(super) async fn socket(&self, path: &str) -> anyhow::Result<WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>> {
        let mut request = format!("{}/api/v1{path}", self.base.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {}", self.token).parse()?);
        Ok(tokio_tungstenite::connect_async(request).await?.0)
    }

    /// Opens the audio socket of a call and says how its audio comes.
    pub(super) async fn audio(&self, call_id: &str, pace: &str, resume: bool) -> anyhow::Result<AudioSocket> {
        let socket = self.socket(&format!("/calls/{call_id}/audio")).await?;
        // A socket that is dropped disappears at once, with what was under way in it.
        if let MaybeTlsStream::Plain(tcp) = socket.get_ref() {
            tcp.set_nodelay(true)?;
            if resume {
                tcp.set_zero_linger()?;
            }
        }
        let (mut sink, stream) = socket.split();
        let start = json!({ "type": "audio.start", "pace": pace, "resume": resume });
        sink.send(Message::Text(start.to_string().into())).await?;
        let (frames, inbox) = mpsc::unbounded_channel();
        Ok(AudioSocket { sink, inbox, reader: tokio::spawn(read(stream, frames)) })
    }
}

/// What the server said on an audio socket.
#[derive(Debug)]
pub(super) enum Said {
    /// A text frame.
    Frame(Value),
    /// It closed with this code; `None` if the socket just ended.
    Closed(Option<u16>),
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// An open audio socket; dropped, it is cut off.
pub(super) struct AudioSocket {
    sink: SplitSink<Socket, Message>,
    inbox: mpsc::UnboundedReceiver<Said>,
    reader: JoinHandle<()>,
}

async fn read(mut stream: SplitStream<Socket>, frames: mpsc::UnboundedSender<Said>) {
    let mut code = None;
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Text(text) => {
                let _ = frames.send(Said::Frame(serde_json::from_str(&text).unwrap_or_default()));
            }
            Message::Close(frame) => code = frame.map(|f| u16::from(f.code)),
            _ => {}
        }
    }
    let _ = frames.send(Said::Closed(code));
}

impl AudioSocket {
    /// Sends samples.
    pub(super) async fn samples(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.sink.send(Message::Binary(bytes.to_vec().into())).await?)
    }

    /// Says that this was all.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        Ok(self.sink.send(Message::Text(r#"{"type":"audio.end"}"#.into())).await?)
    }

    /// Closes as the protocol wants it.
    pub(super) async fn close(mut self) {
        let _ = self.sink.send(Message::Close(None)).await;
    }

    /// What was said, if something was.
    pub(super) fn heard(&mut self) -> Option<Said> {
        self.inbox.try_recv().ok()
    }

    /// The next thing said.
    pub(super) async fn next(&mut self) -> Said {
        self.inbox.recv().await.unwrap_or(Said::Closed(None))
    }

    /// Waits for a frame of a type; what comes before it is given to `other`.
    pub(super) async fn wait_for(&mut self, kind: &str, mut other: impl FnMut(&Value)) -> anyhow::Result<Value> {
        loop {
            match self.next().await {
                Said::Frame(frame) if frame["type"] == kind => return Ok(frame),
                Said::Frame(frame) => {
                    anyhow::ensure!(frame["fatal"] != true, "the server refused: {frame}");
                    other(&frame);
                }
                Said::Closed(code) => anyhow::bail!("the socket closed with {code:?} before {kind}"),
            }
        }
    }
}

impl Drop for AudioSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
