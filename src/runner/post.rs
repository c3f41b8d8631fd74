//! One delivery to a server: a POST of the document, signed, whose status is the verdict.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::time::Instant;
use url::Url;

use super::credential::Drawer;
use super::tail::Tail;
use super::{OUTPUT_KEPT_BYTES, Order};
use crate::hook::{HeaderText, Outcome, Verdict};

/// Most of an answer that is read; the rest is left with the server.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Statuses by which a server rejects.
const REJECTED: [u16; 3] = [403, 406, 422];

/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "agent-timestamp";
/// The header with `sha256=` and the signature in hex.
pub const SIGNATURE_HEADER: &str = "agent-signature";
/// The header with the idempotency key.
pub const DELIVERY_HEADER: &str = "agent-delivery";
const EVENT_HEADER: &str = "agent-event";
const ATTEMPT_HEADER: &str = "agent-attempt";

/// The program that cannot speak HTTP.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for hooks: {0}")]
pub struct NoClient(#[from] reqwest::Error);

/// Connections to hook servers: no redirects, no cookies.
#[derive(Debug, Clone)]
pub struct Client(reqwest::Client);

impl Client {
    /// A client of its own: what it does must not wait for transfers, nor they for it.
    pub fn new() -> Result<Self, NoClient> {
        // Somebody else in the process may have chosen already; it is the same choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self(client))
    }
}

/// What to send where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where.
    pub url: &'a Url,
    /// The status that means "allow"; nothing means any 2xx.
    pub expect_status: Option<u16>,
    /// Further headers.
    pub headers: &'a [(String, HeaderText)],
    /// The credential that signs.
    pub sign: Option<&'a str>,
}

/// The signature: HMAC-SHA256 over the timestamp, a full stop and the body, in hex.
pub fn signature(key: &SecretString, timestamp: u64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).ok()?;
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(hex(&mac.finalize().into_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Why a server did not take a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// In a sentence without its full stop.
    pub reason: String,
    /// What it answered.
    pub status: Option<u16>,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// Posts a body of events, signed as deliveries of hooks are. The caller limits the time.
pub async fn send(
    client: &Client,
    request: &Request<'_>,
    delivery: &str,
    body: Vec<u8>,
    drawer: &Drawer,
) -> Result<(), Refused> {
    let unsent = |reason| Refused { reason, status: None, retry_after: None };
    let mut headers = configured(request, drawer).map_err(unsent)?;
    stamped(&mut headers, request, delivery, &body, drawer).map_err(unsent)?;
    headers.insert(EVENT_HEADER, HeaderValue::from_static("events"));
    let sent = client.0.post(request.url.clone()).headers(headers).body(body).send().await;
    let response = sent.map_err(|error| unsent(format!("no answer: {}", whole(&error.without_url()))))?;
    let status = response.status().as_u16();
    if judge(status, request.expect_status).0 == Verdict::Allow {
        return Ok(());
    }
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let reason = format!("the server answered {status}");
    Err(Refused { reason, status: Some(status), retry_after: seconds.map(Duration::from_secs) })
}

/// Delivers once.
pub async fn run(client: &Client, request: &Request<'_>, limit: Duration, order: &Order, drawer: &Drawer) -> Outcome {
    let start = Instant::now();
    let mut document = order.document.clone();
    document.file = None;
    let body = document.to_json();
    let headers = match headers(request, order, &body, drawer) {
        Ok(headers) => headers,
        Err(reason) => return Outcome::failed(reason, start.elapsed()),
    };
    let exchange = async {
        let mut response = client.0.post(request.url.clone()).headers(headers).body(body).send().await?;
        let status = response.status().as_u16();
        let mut tail = Tail::new(OUTPUT_KEPT_BYTES);
        let mut read = 0;
        while read < ANSWER_MAX_BYTES {
            // The verdict is in the status: an answer that breaks off does not change it.
            let Ok(Some(chunk)) = response.chunk().await else { break };
            read += chunk.len();
            tail.push(&chunk);
        }
        Ok::<_, reqwest::Error>((status, tail))
    };
    let failed = |verdict, reason: String| Outcome { verdict, ..Outcome::failed(reason, start.elapsed()) };
    match tokio::time::timeout(limit, exchange).await {
        Err(_) => failed(Verdict::TimedOut, format!("no answer within {} s", limit.as_secs_f32())),
        Ok(Err(error)) => failed(Verdict::Error, format!("no answer: {}", whole(&error.without_url()))),
        Ok(Ok((status, tail))) => {
            let (output, output_cut) = tail.into_text();
            let (verdict, reason) = judge(status, request.expect_status);
            Outcome {
                verdict,
                exit_code: None,
                signal: None,
                status: Some(status),
                reason,
                output,
                output_cut,
                took: start.elapsed(),
            }
        }
    }
}

fn judge(status: u16, expected: Option<u16>) -> (Verdict, Option<String>) {
    let allowed = expected.map_or_else(|| (200..300).contains(&status), |expected| status == expected);
    if allowed {
        (Verdict::Allow, None)
    } else if REJECTED.contains(&status) {
        (Verdict::Reject, Some(format!("the server answered {status}")))
    } else {
        let wanted = expected.map_or_else(|| "2xx".to_owned(), |expected| expected.to_string());
        (Verdict::Error, Some(format!("the server answered {status}, and {wanted} was expected")))
    }
}

fn headers(request: &Request<'_>, order: &Order, body: &[u8], drawer: &Drawer) -> Result<HeaderMap, String> {
    let mut headers = configured(request, drawer)?;
    stamped(&mut headers, request, &order.document.delivery, body, drawer)?;
    headers.insert(EVENT_HEADER, own(order.document.event.word())?);
    headers.insert(ATTEMPT_HEADER, own(&order.document.attempt.to_string())?);
    Ok(headers)
}

fn own(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text).map_err(|_| "a header of ours has a character too many".to_owned())
}

/// The headers of every delivery and those of the configuration.
fn configured(request: &Request<'_>, drawer: &Drawer) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("folder-sync-agent/", env!("CARGO_PKG_VERSION"))));
    for (name, text) in request.headers {
        let key = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no name of a header"))?;
        let value = match text {
            HeaderText::Plain(text) => HeaderValue::try_from(text).ok(),
            HeaderText::Credential(credential) => HeaderValue::try_from(drawer.get(credential)?.expose_secret()).ok(),
        };
        let mut value = value.ok_or_else(|| format!("the value of the header `{name}` has a character too many"))?;
        value.set_sensitive(matches!(text, HeaderText::Credential(_)));
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Ours come last, so that no configured header can stand in for them.
fn stamped(
    headers: &mut HeaderMap,
    request: &Request<'_>,
    delivery: &str,
    body: &[u8],
    drawer: &Drawer,
) -> Result<(), String> {
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    headers.insert(TIMESTAMP_HEADER, own(&timestamp.to_string())?);
    headers.insert(DELIVERY_HEADER, own(delivery)?);
    if let Some(name) = request.sign {
        let key = drawer.get(name)?;
        let signature = signature(&key, timestamp, body).ok_or("the signing key cannot be used")?;
        headers.insert(SIGNATURE_HEADER, own(&format!("sha256={signature}"))?);
    }
    Ok(())
}

/// An error with its causes, as one line.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
