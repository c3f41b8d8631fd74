//! The only HTTP client of the agent: one per account, with one place for retries, limits, redirects and counting.
//!
//! - Nothing here knows a provider. An adapter brings the sentence for every refusal ([`Translate`]).
//! - The client never follows a redirect by itself and never repeats a request by itself.
//! - Neither a URL nor a header is ever logged: both may carry secrets.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, LOCATION};
use reqwest::{Client, RequestBuilder, Response};
use url::{Host, Url};

use super::{ProviderError, ProviderErrorKind, Result};
use crate::settings::AccountSettings;

pub mod body;
pub mod calls;
pub mod careful;
pub mod feed;
pub mod range;
pub mod retry;

pub use body::{MAX_JSON_BYTES, patient_stream, read_capped, read_text};
pub use calls::{CallCounter, CallCounts, CallKind, Quota};
pub use range::{content_of, part_of, range_header};
pub use retry::{MAX_RETRY_AFTER, RetryPolicy, retry_after, retrying};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long we wait for the head of an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long we wait for the head of a page of events. The next attempt is on another connection, and within the retries' time: a page is
/// the net under a long poll, and must not hang on a dead connection as long as that.
pub const EVENTS_ANSWER_TIMEOUT: Duration = Duration::from_secs(25);
/// How long an unused connection is kept.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Idle connections kept for each host, beyond those of the transfers.
const POOL_SPARE_CONNECTIONS: usize = 8;
/// Idle connections kept for each host at most.
const POOL_MAX_CONNECTIONS: usize = 256;
/// Probes keep middle boxes from forgetting a long poll, and find a dead peer: the first after this long without traffic.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// The time between two probes that are not answered.
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Probes without an answer after which the connection is dead: a long poll fails a minute after its peer has gone.
const TCP_KEEPALIVE_PROBES: u32 = 3;
/// What was sent and is not acknowledged for this long ends the connection.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// How a content is asked for: its digest is that of the bytes as they are.
pub const AS_IT_IS: &str = "identity";
/// Most redirects followed for one download.
const MAX_HOPS: u32 = 5;

/// What is said to a refused request, in an adapter's own sentence.
pub type Translate = fn(&Refusal<'_>) -> ProviderError;

/// An answer that is not a success, as it came.
pub struct Refusal<'a> {
    /// Our name of the operation.
    pub operation: &'static str,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The beginning of the body.
    pub body: &'a [u8],
}

/// How to reach an account's servers.
#[derive(Clone)]
pub struct HttpOptions {
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy for everything; nothing means the environment's.
    pub proxy: Option<Url>,
    /// How many transfers run at once.
    pub transfers: u32,
    /// The account's servers are on this machine, reached without TLS: redirects may lead to this machine too, and no
    /// certificates are needed.
    pub plain_loopback: bool,
}

impl HttpOptions {
    /// The options that an account's settings ask for.
    pub fn of(settings: &AccountSettings) -> Self {
        Self {
            ca_file: settings.ca_file.clone(),
            proxy: settings.proxy.clone(),
            transfers: settings.transfers,
            plain_loopback: settings.api_url.as_ref().is_some_and(is_loopback),
        }
    }
}

/// One account's client. It is built on first use, so that what is wrong with it is an error of a call.
pub struct Http {
    options: HttpOptions,
    client: OnceLock<Client>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address of a proxy may hold a password.
        f.debug_struct("Http").field("plain_loopback", &self.options.plain_loopback).finish_non_exhaustive()
    }
}

impl Http {
    /// A client with these options.
    pub fn new(options: HttpOptions) -> Self {
        Self { options, client: OnceLock::new() }
    }

    /// The client underneath, for a request that needs a form of its own. It carries no credentials.
    pub fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let built = self.build()?;
        Ok(self.client.get_or_init(|| built))
    }

    fn build(&self) -> Result<Client> {
        // A second installation is refused by rustls and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = self.builder()?;
        let built = match (&self.options.ca_file, self.options.plain_loopback) {
            (Some(path), _) => builder.tls_certs_only(read_certificates(path)?).build(),
            // A server on this machine is reached without TLS, so a machine without certificates is good enough.
            (None, true) => builder.build().or_else(|_| self.builder_for_loopback().build()),
            (None, false) => builder.build(),
        };
        built.map_err(|error| {
            ProviderError::new(
                ProviderErrorKind::Local,
                "the HTTPS client cannot be set up; are the CA certificates installed (package `ca-certificates`)?",
            )
            .with_detail(chain(&error.without_url()))
        })
    }

    fn builder_for_loopback(&self) -> reqwest::ClientBuilder {
        base_builder(&self.options).tls_certs_only(Vec::new()).no_proxy()
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder> {
        let builder = base_builder(&self.options);
        let Some(proxy) = &self.options.proxy else {
            return Ok(if self.options.plain_loopback { builder.no_proxy() } else { builder });
        };
        let proxy = reqwest::Proxy::all(proxy.clone()).map_err(|error| {
            ProviderError::new(ProviderErrorKind::Local, "the configured proxy cannot be used")
                .with_detail(chain(&error.without_url()))
        })?;
        Ok(builder.proxy(proxy))
    }

    /// Sends one request and waits for the head of the answer.
    pub async fn send(&self, request: RequestBuilder, limit: Duration) -> Result<Response> {
        match tokio::time::timeout(limit, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(transport_error(error)),
            Err(_) => Err(ProviderError::new(ProviderErrorKind::Network, "the server did not answer in time")
                .with_detail(format!("no answer within {} s", limit.as_secs()))),
        }
    }

    /// Fetches what a redirect points to, without any credentials. Every hop is https, or this machine where the
    /// account's own servers are.
    pub async fn follow(&self, from: &Url, redirect: Response, range: Option<&str>) -> Result<Response> {
        let mut from = from.clone();
        let mut response = redirect;
        for _ in 0..MAX_HOPS {
            let target = self.redirect_target(&from, response.headers())?;
            if response.content_length() != Some(0) {
                // A connection whose answer was read to its end serves again.
                body::read_beginning(response).await;
            }
            let mut request = self.client()?.get(target.clone()).header(ACCEPT_ENCODING, AS_IT_IS);
            if let Some(range) = range {
                request = request.header(reqwest::header::RANGE, range);
            }
            response = self.send(request, ANSWER_TIMEOUT).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            from = target;
        }
        Err(ProviderError::new(ProviderErrorKind::Malformed, "the download was redirected too often")
            .with_detail(format!("more than {MAX_HOPS} redirects")))
    }

    fn redirect_target(&self, from: &Url, headers: &HeaderMap) -> Result<Url> {
        let malformed = |what: &str| ProviderError::new(ProviderErrorKind::Malformed, what);
        let location = headers
            .get(LOCATION)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            .ok_or_else(|| malformed("the server redirected without saying where"))?;
        let target = from.join(location).map_err(|_| malformed("the server redirected to something that is no URL"))?;
        let allowed = match target.scheme() {
            "https" => true,
            "http" => self.options.plain_loopback && is_loopback_host(&target),
            _ => false,
        };
        if !allowed {
            return Err(malformed("the server redirected to an address that is not https; not followed")
                .with("host", target.host_str().unwrap_or("none")));
        }
        Ok(target)
    }

    /// Whether the account's servers are on this machine and reached without TLS.
    pub fn is_plain_loopback(&self) -> bool {
        self.options.plain_loopback
    }
}

fn base_builder(options: &HttpOptions) -> reqwest::ClientBuilder {
    // Short downloads go two for one.
    let idle = usize::try_from(options.transfers).unwrap_or(POOL_MAX_CONNECTIONS).saturating_mul(2);
    Client::builder()
        .user_agent(concat!("folder-sync-agent/", env!("CARGO_PKG_VERSION")))
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // Many connections with one stream each: one HTTP/2 connection would make all transfers share one window.
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(TCP_KEEPALIVE)
        .tcp_keepalive_interval(TCP_KEEPALIVE_INTERVAL)
        .tcp_keepalive_retries(TCP_KEEPALIVE_PROBES)
        .tcp_user_timeout(TCP_USER_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(idle.saturating_add(POOL_SPARE_CONNECTIONS).min(POOL_MAX_CONNECTIONS))
}

fn read_certificates(path: &std::path::Path) -> Result<Vec<reqwest::Certificate>> {
    let complain = |why: String| {
        ProviderError::new(ProviderErrorKind::Local, "the file of CA certificates cannot be used")
            .with_detail(why)
            .with("ca_file", path.display())
    };
    let pem = std::fs::read(path).map_err(|error| complain(error.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| complain(chain(&error)))?;
    if certificates.is_empty() {
        return Err(complain("it holds no certificate".to_owned()));
    }
    Ok(certificates)
}

/// Refuses an origin that would carry tokens in the clear: plain http is for this machine only.
pub fn check_origin(url: &Url) -> Result<()> {
    let complain =
        |message: &str| Err(ProviderError::new(ProviderErrorKind::Local, message).with("api_url", origin(url)));
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            complain("api_url must not hold a user or password")
        }
        "https" if url.has_host() => Ok(()),
        "http" if is_loopback_host(url) => Ok(()),
        "http" => complain("api_url must be https; plain http is accepted for loopback addresses only"),
        _ => complain("api_url must begin with https://"),
    }
}

/// Scheme, host and port: what may be shown of a URL.
pub fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or("none");
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// Whether a URL leads to this machine without TLS.
pub fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http" && is_loopback_host(url)
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A URL below a base, with the base's own path kept.
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let joined = format!("{}{path}", base.path().trim_end_matches('/'));
    url.set_path(&joined);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Our words for a request that got no usable answer.
pub fn transport_error(error: reqwest::Error) -> ProviderError {
    let error = error.without_url();
    let unsent = error.is_connect();
    let (kind, message) = if error.is_builder() {
        (ProviderErrorKind::Local, "the request could not be made")
    } else if error.is_connect() {
        (ProviderErrorKind::Network, "no connection to the server")
    } else if error.is_timeout() {
        (ProviderErrorKind::Network, "the server did not answer in time")
    } else if error.is_body() || error.is_decode() {
        (ProviderErrorKind::Unavailable, "the answer was cut short")
    } else {
        (ProviderErrorKind::Network, "the connection broke")
    };
    let chain = chain(&error);
    let message = match plain_cause(&error, &chain).filter(|_| kind == ProviderErrorKind::Network) {
        Some(cause) => format!("{message}: {cause}"),
        None => message.to_owned(),
    };
    ProviderError::new(kind, message).with_detail(chain).with_unsent(unsent)
}

/// Why a connection failed, in words that mean something to whoever looks after the network.
fn plain_cause(error: &dyn std::error::Error, chain: &str) -> Option<String> {
    if chain.contains("dns error") {
        return Some("its name cannot be resolved".to_owned());
    }
    if let Some(at) = chain.find("invalid peer certificate") {
        return Some(format!(
            "its certificate is not accepted ({})",
            chain[at..].trim_start_matches("invalid peer certificate").trim_start_matches(':').trim()
        ));
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(system) = cause.downcast_ref::<std::io::Error>() {
            let words = match system.kind() {
                std::io::ErrorKind::ConnectionRefused => "nobody listens there (connection refused)",
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::ConnectionAborted => {
                    "it was cut (connection reset)"
                }
                std::io::ErrorKind::HostUnreachable => "the host cannot be reached",
                std::io::ErrorKind::NetworkUnreachable => "there is no network",
                std::io::ErrorKind::TimedOut => "it took too long",
                _ => "",
            };
            if !words.is_empty() {
                return Some(words.to_owned());
            }
        }
        source = cause.source();
    }
    None
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
pub(in crate::provider) mod script;
#[cfg(test)]
mod tests;
