//! One file over HTTP: redirects followed by hand, because a hub tells checksum and length on the first hop; cut
//! transfers resumed with `Range` (RFC 9110, section 14).

use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, LOCATION, RANGE};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

use super::RegistryError;
use super::card::is_sha256;
use super::transfer::{Expected, OnBytes, PartFile, tag_path};

/// Attempts in a row that bring no byte before the transfer is given up.
const MAX_VAIN_ATTEMPTS: u32 = 5;
/// Pause after the first vain attempt; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_REDIRECTS: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest silence of a server in the middle of a file.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const AGAIN: &str = "run the same command again to go on";

/// An HTTP client for models.
#[derive(Debug)]
pub(super) struct Downloader {
    outside: Client,
    // A proxy in the environment is for the world outside, not for this machine.
    loopback: Client,
}

/// What the headers of all hops told.
#[derive(Debug, Default)]
struct Facts {
    linked_sha256: Option<String>,
    linked_bytes: Option<u64>,
    tag: Option<String>,
}

/// Why an attempt did not complete.
enum Trouble {
    /// Trying again may help.
    Passing(String),
    /// It will not.
    Final(RegistryError),
}

impl From<RegistryError> for Trouble {
    fn from(error: RegistryError) -> Self {
        Self::Final(error)
    }
}

enum Attempt {
    Complete(Facts),
    Absent,
}

impl Downloader {
    pub(super) fn new() -> Result<Self, RegistryError> {
        let builder = || {
            Client::builder()
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .user_agent(concat!("zhiyin/", env!("CARGO_PKG_VERSION")))
        };
        let build = |b: reqwest::ClientBuilder| {
            b.build().map_err(|e| RegistryError::Transfer {
                url: "HTTP client".into(),
                what: chain(&e),
                kept_bytes: 0,
                fix: "check the proxy settings of the environment".into(),
            })
        };
        Ok(Self { outside: build(builder())?, loopback: build(builder().no_proxy())? })
    }

    /// A JSON document; `None` when the server does not have it.
    pub(super) async fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<Option<T>, RegistryError> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.get(url, 0).await {
                Ok((response, _)) if response.status().is_success() => return Ok(response.json().await.ok()),
                Ok((response, _)) if !is_passing(response.status()) => return Ok(None),
                Ok(_) if attempt == MAX_VAIN_ATTEMPTS => return Ok(None),
                Ok(_) => {}
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(what)) if attempt == MAX_VAIN_ATTEMPTS => {
                    return Err(given_up(url, what, 0));
                }
                Err(Trouble::Passing(_)) => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(None)
    }

    /// Fetches a file to `target`, going on where an earlier attempt ended; `None` when the server does not have it.
    /// Returns sha256 and length.
    pub(super) async fn fetch(
        &self,
        url: &Url,
        target: &Path,
        mut expected: Expected,
        on_bytes: OnBytes<'_>,
    ) -> Result<Option<(String, u64)>, RegistryError> {
        let mut part = PartFile::open(target).await?;
        let (mut vain, mut pause) = (0, FIRST_PAUSE);
        while !is_complete(&part, &expected) {
            let before = part.bytes();
            match self.attempt(url, target, &mut part, &expected, on_bytes).await {
                Ok(Attempt::Complete(facts)) => {
                    expected.sha256 = expected.sha256.or(facts.linked_sha256);
                    expected.bytes = expected.bytes.or(facts.linked_bytes);
                    break;
                }
                Ok(Attempt::Absent) => return part.discard().await.map(|()| None),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(what)) => {
                    part.flush().await?;
                    if part.bytes() > before {
                        (vain, pause) = (0, FIRST_PAUSE);
                    } else {
                        vain += 1;
                    }
                    if vain == MAX_VAIN_ATTEMPTS {
                        return Err(given_up(url, what, part.bytes()));
                    }
                    tracing::debug!(url = %shown(url), bytes = part.bytes(), what, "transfer is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        let fix = format!("run the same command again; if it happens again, {} does not give what it should", shown(url));
        part.finish(&expected, &fix).await.map(Some)
    }

    async fn attempt(
        &self,
        url: &Url,
        target: &Path,
        part: &mut PartFile,
        expected: &Expected,
        on_bytes: OnBytes<'_>,
    ) -> Result<Attempt, Trouble> {
        let tag_file = tag_path(target);
        let tag = tokio::fs::read_to_string(&tag_file).await.ok();
        // Without a tag or a checksum nothing would tell that the rest belongs to another version of the file.
        if part.bytes() > 0 && tag.is_none() && expected.sha256.is_none() {
            part.restart().await?;
        }
        let (mut response, facts) = self.get(url, part.bytes()).await?;
        let range = content_range(response.headers());
        match response.status() {
            StatusCode::OK => part.restart().await?,
            StatusCode::PARTIAL_CONTENT => {
                let other = tag.is_some() && tag != facts.tag;
                if other || range.is_none_or(|(start, _)| start != part.bytes()) {
                    part.restart().await?;
                    return Err(Trouble::Passing("the file changed on the server, it is fetched from its start".into()));
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                part.restart().await?;
                return Err(Trouble::Passing("the server has a shorter file, it is fetched from its start".into()));
            }
            StatusCode::NOT_FOUND => return Ok(Attempt::Absent),
            status if is_passing(status) => return Err(Trouble::Passing(format!("the server answers {status}"))),
            status => return Err(Trouble::Final(refused(url, status))),
        }
        if let Some(tag) = &facts.tag {
            tokio::fs::write(&tag_file, tag).await.map_err(RegistryError::io("write", &tag_file))?;
        }
        let rest = response.content_length().map(|n| n + part.bytes());
        let total = range.and_then(|(_, total)| total).or(rest).or(facts.linked_bytes).or(expected.bytes);
        on_bytes(part.bytes(), total);
        while let Some(chunk) = response.chunk().await.map_err(|e| Trouble::Passing(chain(&e)))? {
            part.write(&chunk).await?;
            on_bytes(part.bytes(), total);
        }
        match total {
            Some(total) if part.bytes() < total => {
                Err(Trouble::Passing(format!("the connection ended after {} of {total} bytes", part.bytes())))
            }
            _ => Ok(Attempt::Complete(facts)),
        }
    }

    /// A GET that follows redirects and collects what each hop tells.
    async fn get(&self, url: &Url, from: u64) -> Result<(Response, Facts), Trouble> {
        let (mut url, mut facts) = (url.clone(), Facts::default());
        for _ in 0..=MAX_REDIRECTS {
            let client = if is_loopback(&url) { &self.loopback } else { &self.outside };
            let mut request = client.get(url.clone());
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let response = request.send().await.map_err(|e| Trouble::Passing(chain(&e)))?;
            facts.add(response.headers(), response.status());
            let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
            let Some(location) = location.filter(|_| response.status().is_redirection()) else {
                return Ok((response, facts));
            };
            let next = url.join(location).map_err(|e| Trouble::Passing(format!("malformed redirect: {e}")))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(Trouble::Passing("redirected from https to an unprotected address".into()));
            }
            url = next;
        }
        Err(Trouble::Passing(format!("more than {MAX_REDIRECTS} redirects")))
    }
}

impl Facts {
    fn add(&mut self, headers: &HeaderMap, status: StatusCode) {
        let text = |name: &str| {
            headers.get(name).and_then(|v| v.to_str().ok()).map(|v| v.trim_start_matches("W/").trim_matches('"').to_owned())
        };
        let linked = text("x-linked-etag");
        self.linked_bytes = self.linked_bytes.or(text("x-linked-size").and_then(|v| v.parse().ok()));
        if self.linked_sha256.is_none() {
            self.linked_sha256 = linked.clone().map(|t| t.to_ascii_lowercase()).filter(|t| is_sha256(t));
        }
        // The tag of the first hop that has one and of a redirect's target may differ; the hub's own comes first.
        let own = text(ETAG.as_str()).filter(|_| !status.is_redirection());
        self.tag = self.tag.take().or(linked).or(own);
    }
}

fn is_complete(part: &PartFile, expected: &Expected) -> bool {
    expected.sha256.is_some() && part.bytes() > 0 && expected.bytes == Some(part.bytes())
}

/// `bytes 100-199/200` -> (100, Some(200)).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (range, total) = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

/// Whether the address is this machine's own.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The address without what may be secret: user, password, query.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn refused(url: &Url, status: StatusCode) -> RegistryError {
    let fix = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "check the spelling; if the model needs an account, download its files in a browser and pull their folder: `zhiyin models pull FOLDER`"
        }
        _ => "check the spelling and the address of the hub (HF_ENDPOINT)",
    };
    RegistryError::Repository { repository: shown(url), what: format!("the server answers {status}"), fix: fix.into() }
}

fn given_up(url: &Url, what: String, kept_bytes: u64) -> RegistryError {
    let fix = format!("{AGAIN}; without a network set HF_ENDPOINT to a mirror or pull a folder: `zhiyin models pull FOLDER`");
    RegistryError::Transfer { url: shown(url), what, kept_bytes, fix }
}

/// An error with all its causes, without the address (it may hold a secret).
fn chain(error: &reqwest::Error) -> String {
    use std::error::Error;
    let kind = if error.is_timeout() {
        "the server is silent"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    let mut text = kind.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
