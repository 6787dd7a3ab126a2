//! A backend to practise with: it answers business calls with the samples of `pipelines/chat/webhooks.toml`, over HTTP like
//! a real one. The terminal, the stories and the measurements talk to it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::RwLock;

use crate::chat::{Backend, Webhook};

/// A running practice backend.
#[derive(Clone)]
pub struct PracticeBackend {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    webhooks: Vec<Webhook>,
    rooms: RwLock<HashMap<String, Backend>>,
}

impl PracticeBackend {
    /// Starts it on a free port of this machine.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(webhooks: Vec<Webhook>) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { webhooks, rooms: RwLock::default() });
        let router = Router::new().route("/{room}/{name}", post(answer)).with_state(Arc::clone(&shared));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the practice backend stopped");
            }
        });
        Ok(Self { address, shared })
    }

    /// The base address of a conversation whose answers differ from the samples as told.
    pub fn room(&self, name: &str, answers: Backend) -> String {
        self.shared.rooms.write().insert(name.to_owned(), answers);
        format!("http://{}/{name}", self.address)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, Path((room, name)): Path<(String, String)>) -> Response {
    let Some(webhook) = shared.webhooks.iter().find(|w| w.path.trim_start_matches('/') == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let own = shared.rooms.read().get(&room).and_then(|answers| answers.get(&webhook.name)).cloned();
    let mut values: serde_json::Map<String, serde_json::Value> =
        webhook.sample.iter().filter_map(|(k, v)| Some((k.clone(), serde_json::to_value(v).ok()?))).collect();
    match own {
        Some(toml::Value::String(word)) if word == "down" => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(toml::Value::String(_)) => {
            tokio::time::sleep(Duration::from_millis(webhook.timeout_ms + 300)).await;
        }
        Some(toml::Value::Table(table)) => {
            values.extend(table.into_iter().filter_map(|(k, v)| Some((k, serde_json::to_value(v).ok()?))));
        }
        _ => {}
    }
    axum::Json(values).into_response()
}
