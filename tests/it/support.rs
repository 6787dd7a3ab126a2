//! A service of its own for each test: temporary store, free port, shipped models.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use zhiyin::app::App;
use zhiyin::config::Settings;

/// The source folder.
pub fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Settings for a temporary store on a free port.
pub fn settings(store: &TempDir) -> Settings {
    let mut settings = Settings::default();
    settings.store.path = store.path().to_path_buf();
    settings.server.listen.set_port(0);
    settings.server.resume_grace_s = 2;
    settings.limits.control_per_s = 10_000.0;
    settings.limits.stream_per_s = 10_000.0;
    settings
}

/// A running service and a client with its development token.
pub struct Service {
    pub app: zhiyin::api::ApiContext,
    pub base: String,
    pub token: String,
    pub http: reqwest::Client,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    _store: TempDir,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// A service with other settings than the usual ones.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let store = tempfile::tempdir().unwrap();
        let mut settings = settings(&store);
        change(&mut settings);
        let app = App::start(&home(), &settings).await.unwrap();
        let base = format!("http://{}", app.address().unwrap());
        let token = app.first_token.as_ref().unwrap().secret.clone();
        let context = app.context.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(app.serve(Duration::from_millis(200), async move { drop(stopped.await) }));
        Self { app: context, base, token, http: reqwest::Client::new(), stop: Some(stop), _store: store }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        answer(request).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("Idempotency-Key", ulid::Ulid::new().to_string())
            .json(&body);
        answer(request).await
    }

    /// Opens a call and gives its id.
    pub async fn open_call(&self, body: Value) -> String {
        let (status, call) = self.post("/api/v1/calls", body).await;
        assert_eq!(status, 201, "{call}");
        call["call_id"].as_str().unwrap().to_owned()
    }

    /// All durable events of a call.
    pub async fn events(&self, call_id: &str) -> Vec<Value> {
        let (status, page) = self.get(&format!("/api/v1/calls/{call_id}/events?limit=1000")).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    /// Waits until a call has an event of a type.
    pub async fn wait_for(&self, call_id: &str, kind: &str) -> Value {
        for _ in 0..600 {
            if let Some(event) = self.events(call_id).await.into_iter().find(|e| e["type"] == kind) {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no {kind} within a minute");
    }

    /// A WebSocket request with the token.
    pub fn socket(&self, path: &str) -> tokio_tungstenite::tungstenite::http::Request<()> {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest;
        let mut request = format!("{}{path}", self.base.replace("http", "ws")).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        request
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Samples of a sample call, per channel, and their rate.
pub fn sample(id: &str) -> (u32, Vec<Vec<f32>>) {
    let path = home().join("pipelines/samples/calls").join(format!("{id}.opus"));
    let recording = zhiyin::audio::decode_file(&path).unwrap();
    (recording.sample_rate_hz, recording.channels)
}

/// Interleaved 16-bit samples at 8 kHz of the first seconds of a sample call.
pub fn pcm_8k(id: &str, seconds: usize) -> Vec<u8> {
    let (rate_hz, channels) = sample(id);
    let step = (rate_hz / 8_000) as usize;
    let length = (seconds * 8_000).min(channels[0].len() / step);
    let mut bytes = Vec::with_capacity(length * 4);
    for n in 0..length {
        for channel in &channels {
            let part = &channel[n * step..(n + 1) * step];
            let mean = part.iter().sum::<f32>() / step as f32;
            bytes.extend(((mean * 32_767.0) as i16).to_le_bytes());
        }
    }
    bytes
}
