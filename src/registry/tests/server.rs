//! A hub of a few files on the loopback address, which can be told to misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a path gives.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    pub body: Vec<u8>,
    /// `200` unless set.
    pub status: Option<u16>,
    pub headers: Vec<(&'static str, String)>,
    /// Whether `Range` is understood.
    pub ranges: bool,
    /// Bytes after which the connection is cut; one entry is used up by each request, none = not cut.
    pub cuts: Vec<usize>,
}

impl Route {
    pub(super) fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ranges: true, ..Self::default() }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub(super) fn cuts(mut self, cuts: &[usize]) -> Self {
        self.cuts = cuts.to_vec();
        self
    }
}

#[derive(Debug, Default)]
struct Shared {
    routes: HashMap<String, Route>,
    /// `path` or `path range` of each request.
    requests: Vec<String>,
}

/// Serves until it is dropped with its runtime.
#[derive(Clone, Debug)]
pub(super) struct Server {
    shared: Arc<Mutex<Shared>>,
    pub address: String,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared::default()));
        let server = Self { shared: shared.clone(), address };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, shared.clone()));
            }
        });
        server
    }

    pub(super) fn route(&self, path: &str, route: Route) {
        self.shared.lock().unwrap().routes.insert(path.to_owned(), route);
    }

    /// The requests for a path since the last time it was asked, as `Range` values (empty = whole file).
    pub(super) fn ranges(&self, path: &str) -> Vec<String> {
        let mut shared = self.shared.lock().unwrap();
        let (ours, others) = std::mem::take(&mut shared.requests).into_iter().partition(|r| r.split(' ').next() == Some(path));
        shared.requests = others;
        let ours: Vec<String> = ours;
        ours.iter().map(|r| r.split_once(' ').unwrap().1.to_owned()).collect()
    }
}

async fn answer(stream: TcpStream, shared: Arc<Mutex<Shared>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut path, mut range) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: ") {
            value.clone_into(&mut range);
        }
    }
    let (route, cut) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(format!("{path} {range}"));
        let missing = Route::new("nothing here").status(404);
        let mut route = shared.routes.get_mut(&path);
        let cut = route.as_mut().filter(|r| !r.cuts.is_empty()).map(|r| r.cuts.remove(0));
        (route.map_or(missing, |r| r.clone()), cut)
    };
    let total = route.body.len();
    let start = range.strip_prefix("bytes=").and_then(|r| r.trim_end_matches('-').parse::<usize>().ok()).filter(|_| route.ranges);
    let mut status = route.status.unwrap_or(200);
    let mut head = String::new();
    let body = match start {
        Some(start) if start >= total => {
            status = 416;
            &[]
        }
        Some(start) => {
            status = 206;
            head.push_str(&format!("content-range: bytes {start}-{}/{total}\r\n", total - 1));
            &route.body[start..]
        }
        None => &route.body[..],
    };
    for (name, value) in &route.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n{head}\r\n", body.len());
    let sent = cut.unwrap_or(body.len()).min(body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body[..sent]).await?;
    stream.shutdown().await
}
