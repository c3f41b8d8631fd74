//! A cloud of our own on a loopback port: it speaks the providers' APIs over one model in memory, and misbehaves on request.
//!
//! It is written from the API facts and shares no code with the adapters, so that the two cannot agree by sharing a mistake.

mod admin;
mod apps;
mod authorize;
mod box_com;
mod bustle;
mod cloud;
mod content;
mod counters;
mod egnyte;
mod faults;
mod meddle;
mod model;
mod network;
mod serve;
mod shared;
mod spoil;
mod spool;
mod tokens;
mod wire;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use apps::{App, Consent};
pub use bustle::Bustle;
pub use cloud::{Cloud, Entry, Faults, Happening};
pub use content::{Content, Spill};
pub use egnyte::{Quota, ThrottleForm};
pub use faults::{Answer, Chaos, Fault, Rule};
pub use model::{Refusal, User};
pub use network::Network;
pub use tokens::{ACCESS_TOKEN, OTHER_ACCESS_TOKEN, PASSWORD, TokenPair};

use shared::Shared;
use wire::{Gate, Scissors};

/// How long [`Sandbox::shutdown`] waits for answers that are under way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How a sandbox behaves as long as no fault is scripted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; only loopback addresses are accepted, and port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where large uploads are kept; a temporary directory when absent.
    pub data: Option<PathBuf>,
    /// Everything that looks random follows from this.
    pub seed: u64,
    /// How the network to its clients is.
    pub network: Network,
    /// The origin that links in answers name, where it differs from the listening address.
    pub public_url: Option<String>,
    /// How many calls a user may make in a minute; none means as many as they like.
    pub calls_per_minute: Option<u32>,
    /// How long a long poll is held before it is told to reconnect.
    pub realtime_hold: Duration,
    /// How many long polls one channel answers before it must be asked for anew.
    pub realtime_max_retries: u32,
    /// The smallest file that the chunked upload accepts.
    pub chunked_min_bytes: u64,
    /// The size of every part of a chunked upload but the last.
    pub part_bytes: u64,
    /// How long an access token that the token endpoint hands out is good.
    pub access_lifetime: Duration,
    /// How long the target of a download's redirect is good.
    pub link_lifetime: Duration,
    /// Whether each download makes an event on the `all` stream.
    pub download_events: bool,
    /// The largest file that an account accepts.
    pub max_upload_bytes: u64,
    /// The bytes that an account may hold.
    pub space_bytes: u64,
    /// How many calls an Egnyte token may make; as many as it likes unless told otherwise.
    pub egnyte_quota: Quota,
    /// How long an access token that Egnyte's token endpoint hands out is good.
    pub egnyte_access_lifetime: Duration,
    /// Egnyte's tokens have no end and no refresh token, as those of older keys.
    pub egnyte_tokens_last: bool,
    /// The largest file that Egnyte takes in one request.
    pub egnyte_upload_max_bytes: u64,
    /// The smallest chunk of Egnyte's chunked upload but the last.
    pub egnyte_chunk_min_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            seed: 1,
            network: Network::default(),
            public_url: None,
            calls_per_minute: None,
            realtime_hold: Duration::from_mins(5),
            realtime_max_retries: 10,
            chunked_min_bytes: 20_000_000,
            part_bytes: 8 << 20,
            access_lifetime: Duration::from_hours(1),
            link_lifetime: Duration::from_mins(15),
            download_events: true,
            max_upload_bytes: 50 << 30,
            space_bytes: 10 << 40,
            egnyte_quota: Quota::NONE,
            egnyte_access_lifetime: Duration::from_hours(30 * 24),
            egnyte_tokens_last: false,
            egnyte_upload_max_bytes: 100 << 20,
            egnyte_chunk_min_bytes: 10 << 20,
        }
    }
}

/// A running sandbox; it stops when dropped.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

/// Starts a sandbox on the current tokio runtime.
pub async fn start(options: Options) -> io::Result<Sandbox> {
    if !options.listen.ip().is_loopback() {
        let message = format!("the sandbox listens on loopback addresses only, not on {}", options.listen);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let listener = TcpListener::bind(options.listen).await?;
    let url = options.public_url.clone().unwrap_or(format!("http://{}", listener.local_addr()?));
    let shared = Arc::new(Shared::new(options)?);
    shared.set_url(url);
    let mut closing = shared.closing.subscribe();
    let service = admin::router(&shared)
        .merge(egnyte::router(shared.clone()))
        .merge(box_com::router(shared.clone()))
        .into_make_service_with_connect_info::<Scissors>();
    let server = axum::serve(Gate(listener, shared.clone()), service).with_graceful_shutdown(async move {
        // An error means that nobody is left who could say so.
        let _ = closing.wait_for(|closing| *closing).await;
    });
    let server = tokio::spawn(async move {
        // Serving ends only by the signal: axum retries what fails on accept.
        let _ = server.await;
    });
    Ok(Sandbox { shared, server: Some(server) })
}

/// Runs a sandbox until `stop` is ready.
pub async fn run(options: Options, started: impl FnOnce(&Sandbox), stop: impl Future<Output = ()>) -> io::Result<()> {
    let sandbox = start(options).await?;
    started(&sandbox);
    stop.await;
    sandbox.shutdown().await;
    Ok(())
}

impl Sandbox {
    /// The origin, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.shared.url().to_owned()
    }

    /// A handle that acts and looks without HTTP.
    pub fn cloud(&self) -> Cloud {
        Cloud::new(self.shared.clone())
    }

    /// What a person needs to know to use it.
    pub fn banner(&self) -> impl fmt::Display + use<> {
        Banner { url: self.url() }
    }

    /// Stops, and waits for it.
    pub async fn shutdown(mut self) {
        self.shared.closing.send_replace(true);
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(SHUTDOWN_GRACE, &mut server).await.is_err()
        {
            server.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.closing.send_replace(true);
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

struct Banner {
    url: String,
}

impl fmt::Display for Banner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.url;
        writeln!(out, "The sandbox cloud listens on {url}")?;
        writeln!(out, "Access token (the agent's user): {ACCESS_TOKEN}")?;
        writeln!(out, "Access token (another user):     {OTHER_ACCESS_TOKEN}")?;
        writeln!(out)?;
        let (header, body) = ("content-type: application/json", r#"{"op":"mkdir","path":"/Projects/Inbox"}"#);
        writeln!(out, "  curl -H '{header}' -d '{body}' {url}/sandbox/v1/do")?;
        writeln!(out)?;
        writeln!(out, "As Box:")?;
        writeln!(out, "  echo {ACCESS_TOKEN} | agent login box --account work --api-url {url} --token-stdin")?;
        writeln!(out, "  agent add-folder /Projects/Inbox ./inbox --account work --yes")?;
        writeln!(out, "As Egnyte, which shows what is below /Shared and /Private/agent:")?;
        writeln!(out, "  echo {ACCESS_TOKEN} | agent login egnyte --account office --api-url {url} --token-stdin")?;
        writeln!(out, "  agent add-folder /Shared/Inbox ./office --account office --yes")?;
        writeln!(out)?;
        write!(out, "  agent run")
    }
}
