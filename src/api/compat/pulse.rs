//! Whether the client of a socket is still there: one that vanished without a word holds its call and its recogniser only so long.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use tokio::time::{Instant, timeout, timeout_at};

/// A client of which nothing came for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a silent client is pinged.
const PING_EVERY: Duration = Duration::from_secs(20);

/// When a socket was heard last. Reading through it may be broken off at any await, as `select!` does, without losing time.
#[derive(Debug)]
pub(super) struct Pulse {
    silence: Duration,
    ping_every: Duration,
    heard_at: Instant,
    ping_at: Instant,
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new(SILENCE, PING_EVERY)
    }
}

impl Pulse {
    fn new(silence: Duration, ping_every: Duration) -> Self {
        let now = Instant::now();
        Self { silence, ping_every, heard_at: now, ping_at: now + ping_every }
    }

    /// When the client will count as gone. A deadline that passed while this side was at work says nothing about the client.
    fn gone_at(&mut self) -> Instant {
        let now = Instant::now();
        if now >= self.heard_at + self.silence {
            self.heard_at = now;
        }
        self.heard_at + self.silence
    }

    /// The next frame; `None` once the client is gone: it closed, broke off, or sent nothing for a minute.
    pub(super) async fn frame(&mut self, socket: &mut WebSocket) -> Option<Message> {
        let message = timeout_at(self.gone_at(), socket.recv()).await.ok()?;
        self.heard(message)
    }

    /// The next frame of a client that is rightly silent now and then: it is pinged, and an answer is a frame like any other.
    pub(super) async fn frame_or_pong(&mut self, socket: &mut WebSocket) -> Option<Message> {
        let gone_at = self.gone_at();
        loop {
            if let Ok(message) = timeout_at(self.ping_at.min(gone_at), socket.recv()).await {
                return self.heard(message);
            }
            if Instant::now() >= gone_at {
                return None;
            }
            self.ping_at = Instant::now() + self.ping_every;
            timeout(self.ping_every, socket.send(Message::Ping(Bytes::new()))).await.ok()?.ok()?;
        }
    }

    fn heard(&mut self, message: Option<Result<Message, axum::Error>>) -> Option<Message> {
        let message = message?.ok()?;
        self.heard_at = Instant::now();
        self.ping_at = self.heard_at + self.ping_every;
        (!matches!(message, Message::Close(_))).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::ws::WebSocketUpgrade;
    use axum::routing::get;
    use futures::StreamExt;
    use tokio::sync::mpsc;

    /// How long a server takes a client for present, with a patience of 400 ms, of one that reads (and so answers pings) or not.
    async fn presence(pings: bool, reads: bool) -> Option<Duration> {
        let (done, mut gone) = mpsc::unbounded_channel();
        let serve = move |upgrade: WebSocketUpgrade| async move {
            upgrade.on_upgrade(move |mut socket| async move {
                let started = Instant::now();
                let mut pulse = Pulse::new(Duration::from_millis(400), Duration::from_millis(100));
                loop {
                    let frame = if pings { pulse.frame_or_pong(&mut socket).await } else { pulse.frame(&mut socket).await };
                    if frame.is_none() {
                        break;
                    }
                }
                let _ = done.send(started.elapsed());
            })
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", get(serve));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let (mut client, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let reading = async {
            while reads && client.next().await.is_some() {}
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = reading => None,
            elapsed = timeout(Duration::from_millis(1_500), gone.recv()) => elapsed.ok().flatten(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_says_nothing_is_gone_after_a_while_and_one_that_answers_pings_is_not() {
        for (pings, reads) in [(false, false), (false, true), (true, false)] {
            let gone = presence(pings, reads).await;
            assert!(gone.is_some_and(|after| after >= Duration::from_millis(400)), "pings {pings}, reads {reads}: {gone:?}");
        }
        assert_eq!(presence(true, true).await, None);
    }
}
