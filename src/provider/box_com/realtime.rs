//! Box's long poll: where to wait, waiting, and what to make of the answer.
//!
//! Nothing that a realtime server says can make this loop spin: an answer that came too soon to be worth anything is
//! followed by a growing pause, and a few of them end the wait with an error.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Response;
use reqwest::header::AUTHORIZATION;
use tokio::time::Instant;
use url::Url;

use super::api::BoxApi;
use super::wire;
use crate::id::Cursor;
use crate::provider::http::{CallKind, is_loopback, retry_after, transport_error};
use crate::provider::{ProviderError, ProviderErrorKind, Result, Wake};

/// Where Box's own realtime servers live; no other host gets to see the token.
const BOX_DOMAINS: [&str; 3] = ["box.com", "box.net", "boxcloud.com"];
/// What Box's documentation gives where a server does not say.
const DEFAULT_RETRY_TIMEOUT_S: u64 = 610;
const DEFAULT_MAX_RETRIES: u64 = 10;
const DEFAULT_TTL_MINUTES: u64 = 10;
/// What we believe of a server's own numbers.
const MAX_RETRY_TIMEOUT_S: u64 = 3_600;
const MAX_RETRIES: u64 = 100;
const MAX_TTL_MINUTES: u64 = 24 * 60;
/// An answer may be this late.
const RETRY_TIMEOUT_SLACK: Duration = Duration::from_secs(10);
/// The longest answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A server that held the request this long did its part, whatever it answered.
const HELD_LONG_ENOUGH: Duration = Duration::from_secs(5);
/// The pause after a useless answer; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// So many useless answers in a row end the wait.
const MAX_USELESS: u32 = 4;

/// A place to wait at.
#[derive(Debug, Clone)]
struct Server {
    url: Url,
    shows_token: bool,
    retry_timeout: Duration,
    polls_left: u64,
    good_until: Instant,
}

#[derive(Debug, Default)]
struct Memory {
    server: Option<Server>,
    /// The cursor of the last wake-up and how often it was the same: news that brought nothing.
    woken_at: Option<(Cursor, u32)>,
}

/// What is remembered from one wait to the next.
#[derive(Debug, Default)]
pub struct Realtime(Mutex<Memory>);

enum Answer {
    NewChange,
    /// Nothing within the time that the server itself names.
    Silence,
    /// The server wants us to begin anew.
    Reconnect,
    /// It said something that we do not know.
    Useless(String),
}

impl Realtime {
    /// Waits until there is news after the cursor, at most `limit`.
    pub async fn wait(&self, api: &BoxApi, cursor: &Cursor, limit: Duration) -> Result<Wake> {
        match tokio::time::timeout(limit, self.wait_for_change(api, cursor)).await {
            Ok(Ok(())) => Ok(Wake::News),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Wake::Quiet),
        }
    }

    async fn wait_for_change(&self, api: &BoxApi, cursor: &Cursor) -> Result<()> {
        let mut useless = self.wakes_in_vain(cursor);
        if useless > 0 {
            tokio::time::sleep(pause(useless)).await;
        }
        useless = 0;
        loop {
            let server = match self.server() {
                Some(server) => server,
                None => self.remember(choose(api, &api.realtime_servers().await?)?),
            };
            let began = Instant::now();
            match poll(api, &server, cursor).await {
                Ok(Answer::NewChange) => {
                    self.woken(cursor);
                    return Ok(());
                }
                Ok(Answer::Silence) => {}
                Ok(answer @ (Answer::Reconnect | Answer::Useless(_))) => {
                    self.forget_server();
                    let what = match answer {
                        Answer::Useless(what) => what,
                        _ if began.elapsed() >= HELD_LONG_ENOUGH => {
                            useless = 0;
                            continue;
                        }
                        _ => "`reconnect` at once".to_owned(),
                    };
                    useless += 1;
                    if useless >= MAX_USELESS {
                        return Err(ProviderError::new(
                            ProviderErrorKind::Malformed,
                            "the realtime server answers, but says nothing that helps",
                        )
                        .with_detail(what)
                        .with("operation", "realtime"));
                    }
                    tokio::time::sleep(pause(useless)).await;
                }
                Err(error) => {
                    self.forget_server();
                    return Err(error.with("operation", "realtime"));
                }
            }
        }
    }

    /// The known server, if it may be asked once more; that one time is taken off.
    fn server(&self) -> Option<Server> {
        let mut memory = self.memory();
        let server =
            memory.server.as_mut().filter(|server| server.polls_left > 0 && Instant::now() < server.good_until);
        if let Some(server) = server {
            server.polls_left -= 1;
            return Some(server.clone());
        }
        memory.server = None;
        None
    }

    fn remember(&self, mut server: Server) -> Server {
        server.polls_left = server.polls_left.saturating_sub(1);
        self.memory().server = Some(server.clone());
        server
    }

    fn forget_server(&self) {
        self.memory().server = None;
    }

    fn woken(&self, cursor: &Cursor) {
        let mut memory = self.memory();
        let times = match &memory.woken_at {
            Some((last, times)) if last == cursor => times.saturating_add(1),
            _ => 1,
        };
        memory.woken_at = Some((cursor.clone(), times));
    }

    /// How often the same cursor was woken already.
    fn wakes_in_vain(&self, cursor: &Cursor) -> u32 {
        match &self.memory().woken_at {
            Some((last, times)) if last == cursor => *times,
            _ => 0,
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(useless: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << (useless - 1).min(8)).min(MAX_PAUSE)
}

fn choose(api: &BoxApi, servers: &wire::RealtimeServers) -> Result<Server> {
    let plain_loopback = api.session().http().is_plain_loopback();
    let chosen = servers.entries.iter().find_map(|entry| {
        let url = server_url(entry.url.as_deref()?, plain_loopback)?;
        Some((entry, url))
    });
    let Some((entry, url)) = chosen else {
        return Err(ProviderError::new(ProviderErrorKind::Malformed, "Box names no usable realtime server")
            .with("operation", "realtime"));
    };
    let number = |text: &Option<wire::Text>, default: u64, max: u64| {
        text.as_ref().and_then(|text| text.0.parse().ok()).unwrap_or(default).clamp(1, max)
    };
    let retry_timeout = number(&entry.retry_timeout, DEFAULT_RETRY_TIMEOUT_S, MAX_RETRY_TIMEOUT_S);
    let ttl_minutes = number(&entry.ttl, DEFAULT_TTL_MINUTES, MAX_TTL_MINUTES);
    Ok(Server {
        shows_token: is_box_host(&url),
        url,
        retry_timeout: Duration::from_secs(retry_timeout),
        polls_left: number(&entry.max_retries, DEFAULT_MAX_RETRIES, MAX_RETRIES),
        good_until: Instant::now() + Duration::from_secs(ttl_minutes * 60),
    })
}

/// The address to wait at: https, or this machine where the API is. Box's documentation shows plain http for its own
/// hosts, which all speak https.
fn server_url(text: &str, plain_loopback: bool) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    match url.scheme() {
        "https" => Some(url),
        "http" if plain_loopback && is_loopback(&url) => Some(url),
        "http" if is_box_domain(&url) => url.set_scheme("https").is_ok().then_some(url),
        _ => None,
    }
}

fn is_box_host(url: &Url) -> bool {
    url.scheme() == "https" && is_box_domain(url)
}

fn is_box_domain(url: &Url) -> bool {
    let Some(host) = url.domain() else { return false };
    BOX_DOMAINS
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

async fn poll(api: &BoxApi, server: &Server, cursor: &Cursor) -> Result<Answer> {
    let session = api.session();
    let mut url = server.url.clone();
    url.query_pairs_mut().append_pair("stream_position", cursor.as_str());
    let limit = server.retry_timeout + RETRY_TIMEOUT_SLACK;
    let mut request = session.http().client()?.get(url);
    if server.shows_token {
        request = request.header(AUTHORIZATION, session.tokens().bearer().await?.header());
    }
    session.counter().count(CallKind::LongPoll);
    let answer = tokio::time::timeout(limit, async {
        let sent = session.http().send(request, limit + RETRY_TIMEOUT_SLACK).await;
        session.counter().answered(CallKind::LongPoll, sent.as_ref().ok().map(|response| response.status().as_u16()));
        let response = sent?;
        let status = response.status().as_u16();
        let wait = retry_after(response.headers());
        if status == 429 || status >= 500 {
            let kind = if status == 429 { ProviderErrorKind::RateLimited } else { ProviderErrorKind::Unavailable };
            return Err(ProviderError::new(kind, "the realtime server does not work at the moment")
                .with_detail(status.to_string())
                .with_retry_after(wait));
        }
        if status != 200 {
            return Ok(Answer::Useless(format!("status {status}")));
        }
        let message = message(response).await?;
        Ok(match message.as_deref() {
            Some("new_change") => Answer::NewChange,
            Some("reconnect") => Answer::Reconnect,
            Some(other) => Answer::Useless(format!("message {}", other.escape_debug().take(40).collect::<String>())),
            None => Answer::Useless("an answer that is no message".to_owned()),
        })
    });
    answer.await.unwrap_or(Ok(Answer::Silence))
}

/// What the server says, if it is short and what we know. A server may send the head of its answer at once and hold back
/// the rest, so the waiting here is part of the wait.
async fn message(mut response: Response) -> Result<Option<String>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport_error)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice::<wire::RealtimeMessage>(&body).ok().and_then(|answer| answer.message))
}

#[cfg(test)]
mod tests;
