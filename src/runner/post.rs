//! One delivery to a server: a POST of the document, signed, whose status is the verdict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use super::credential::Drawer;
use super::{OUTPUT_KEPT_BYTES, Order};
use crate::hook::envelope::{self, Wrapped};
use crate::hook::{Format, HeaderText, Outcome, Route, Verdict};

/// The longest of the answer's headers that is kept.
const HEADERS_KEPT_BYTES: usize = 8 * 1024;
/// Headers of an answer whose values are secrets.
const SECRET_ANSWERS: [&str; 2] = ["set-cookie", "authorization"];
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

/// A digest of the certificates that a client was made with, and the client.
type Made = (Vec<u8>, reqwest::Client);

/// Connections to hook servers: no redirects, no cookies. What it does waits for no transfer, nor does any wait for it.
#[derive(Debug, Clone)]
pub struct Client {
    usual: reqwest::Client,
    /// Those with a way of their own.
    others: Arc<Mutex<HashMap<Route, Made>>>,
}

impl Client {
    /// A client of its own.
    pub fn new() -> Result<Self, NoClient> {
        // Somebody else in the process may have chosen already; it is the same choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { usual: builder().build()?, others: Arc::default() })
    }

    /// The client that goes this way.
    fn by(&self, route: &Route, drawer: &Drawer) -> Result<reqwest::Client, String> {
        if *route == Route::default() {
            return Ok(self.usual.clone());
        }
        let pem = route.client_cert.as_deref().map(|name| drawer.get(name)).transpose()?;
        let ca = match &route.ca_file {
            Some(path) => std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
            None => Vec::new(),
        };
        let secret = pem.as_ref().map_or("", |pem| pem.expose_secret());
        let made_with = Sha256::new().chain_update(secret).chain_update(b"\0").chain_update(&ca).finalize().to_vec();
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = others.get(route)
            && *known == made_with
        {
            return Ok(client.clone());
        }
        let mut builder = builder();
        if let Some(proxy) = &route.proxy {
            let proxy = reqwest::Proxy::all(proxy.clone()).map_err(|error| format!("the proxy: {}", whole(&error)))?;
            builder = builder.no_proxy().proxy(proxy);
        }
        if let Some(path) = &route.ca_file {
            let wrong = |error: reqwest::Error| format!("{} holds no certificates: {}", path.display(), whole(&error));
            let trusted = reqwest::Certificate::from_pem_bundle(&ca).map_err(wrong)?;
            builder = builder.tls_certs_merge(trusted);
        }
        if let Some(pem) = &pem {
            let wrong = |error: reqwest::Error| format!("the client certificate cannot be used: {}", whole(&error));
            builder = builder.identity(reqwest::Identity::from_pem(pem.expose_secret().as_bytes()).map_err(wrong)?);
        }
        let client = builder.build().map_err(|error| whole(&error))?;
        others.insert(route.clone(), (made_with, client.clone()));
        Ok(client)
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT_TIMEOUT)
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
    /// How the document is wrapped.
    pub format: Format,
    /// How the server is reached.
    pub route: &'a Route,
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

/// Delivers once.
pub async fn run(client: &Client, request: &Request<'_>, limit: Duration, order: &Order, drawer: &Drawer) -> Outcome {
    let start = Instant::now();
    let mut document = order.document.clone();
    document.file = None;
    let wrapped = envelope::wrap(&document, request.format);
    let ready =
        client.by(request.route, drawer).and_then(|client| Ok((client, headers(request, order, &wrapped, drawer)?)));
    let (client, headers) = match ready {
        Ok(ready) => ready,
        Err(reason) => return Outcome::failed(reason, start.elapsed()),
    };
    let exchange = async {
        let mut response = client.post(request.url.clone()).headers(headers).body(wrapped.body).send().await?;
        let status = response.status().as_u16();
        let said = shown(response.headers());
        let mut answer = Vec::new();
        // One byte more than is kept, to know that there is more. The verdict is in the status: an answer that breaks off does not change it.
        while answer.len() <= OUTPUT_KEPT_BYTES {
            let Ok(Some(chunk)) = response.chunk().await else { break };
            answer.extend(&chunk[..chunk.len().min(OUTPUT_KEPT_BYTES + 1 - answer.len())]);
        }
        Ok::<_, reqwest::Error>((status, said, answer))
    };
    let failed = |verdict, reason: String| Outcome { verdict, ..Outcome::failed(reason, start.elapsed()) };
    match tokio::time::timeout(limit, exchange).await {
        Err(_) => failed(Verdict::TimedOut, format!("no answer within {} s", limit.as_secs_f32())),
        Ok(Err(error)) => failed(Verdict::Error, format!("no answer: {}", whole(&error.without_url()))),
        Ok(Ok((status, headers, answer))) => {
            let output_cut = answer.len() > OUTPUT_KEPT_BYTES;
            let output = String::from_utf8_lossy(&answer[..answer.len().min(OUTPUT_KEPT_BYTES)]).into_owned();
            let (verdict, reason) = judge(status, request.expect_status);
            Outcome {
                status: Some(status),
                reason,
                output_cut,
                headers,
                ..Outcome::ruled(verdict, output, start.elapsed())
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

/// The headers of an answer, one a line, without secrets.
fn shown(headers: &HeaderMap) -> String {
    let mut shown = String::new();
    for (name, value) in headers {
        let value = if SECRET_ANSWERS.contains(&name.as_str()) {
            "…".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        let line = format!("{name}: {value}\n");
        if shown.len() + line.len() > HEADERS_KEPT_BYTES {
            break;
        }
        shown.push_str(&line);
    }
    shown
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

/// Where events are posted.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Where.
    pub url: &'a Url,
    /// Further headers.
    pub headers: &'a [(String, HeaderText)],
    /// The credential that signs.
    pub sign: Option<&'a str>,
}

/// Posts a body of events, signed as deliveries of hooks are; any 2xx takes it. The caller limits the time.
pub async fn send(
    client: &Client,
    place: Place<'_>,
    delivery: &str,
    body: Vec<u8>,
    drawer: &Drawer,
) -> Result<(), Refused> {
    let unsent = |reason| Refused { reason, status: None, retry_after: None };
    let mut headers = configured("application/json", place.headers, drawer).map_err(unsent)?;
    headers.insert(EVENT_HEADER, HeaderValue::from_static("events"));
    stamp(&mut headers, delivery, place.sign, &body, drawer).map_err(unsent)?;
    let sent = client.usual.post(place.url.clone()).headers(headers).body(body).send().await;
    let response = sent.map_err(|error| unsent(format!("no answer: {}", whole(&error.without_url()))))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let reason = format!("the server answered {}", status.as_u16());
    Err(Refused { reason, status: Some(status.as_u16()), retry_after: seconds.map(Duration::from_secs) })
}

fn own(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text).map_err(|_| "a header of ours has a character too many".to_owned())
}

/// The headers of every delivery and those of the configuration.
fn configured(
    content_type: &'static str,
    wanted: &[(String, HeaderText)],
    drawer: &Drawer,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("folder-sync-agent/", env!("CARGO_PKG_VERSION"))));
    for (name, text) in wanted {
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

/// Time, delivery and signature. They come last, so that no configured header can stand in for them.
fn stamp(
    headers: &mut HeaderMap,
    delivery: &str,
    sign: Option<&str>,
    body: &[u8],
    drawer: &Drawer,
) -> Result<(), String> {
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    headers.insert(TIMESTAMP_HEADER, own(&timestamp.to_string())?);
    headers.insert(DELIVERY_HEADER, own(delivery)?);
    if let Some(name) = sign {
        let key = drawer.get(name)?;
        let signature = signature(&key, timestamp, body).ok_or("the signing key cannot be used")?;
        headers.insert(SIGNATURE_HEADER, own(&format!("sha256={signature}"))?);
    }
    Ok(())
}

fn headers(request: &Request<'_>, order: &Order, wrapped: &Wrapped, drawer: &Drawer) -> Result<HeaderMap, String> {
    let mut headers = configured(wrapped.content_type, request.headers, drawer)?;
    headers.insert(EVENT_HEADER, own(order.document.event.word())?);
    headers.insert(ATTEMPT_HEADER, own(&order.document.attempt.to_string())?);
    for (name, value) in &wrapped.headers {
        headers.insert(HeaderName::from_static(name), own(value)?);
    }
    stamp(&mut headers, &order.document.delivery, request.sign, &wrapped.body, drawer)?;
    Ok(headers)
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
