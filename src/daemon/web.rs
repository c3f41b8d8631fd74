//! The page in the browser: the agent's reports and commands, as the control socket has them, for people who would rather look than read.
//!
//! Everything is rendered here and embedded in the program. A session begins with a link that works once, which the control socket gives
//! to those who may use it, and has their rights.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::control::{Order, Ordered, order};
use super::history::History;
use super::thread::Shared;
use crate::command::{Answer, Command};
use crate::config::{PasswordHash, Places, WebSettings};
use crate::report::{Degraded, PAGE, ReportError, Reports, Status};
use crate::store::query::Rows;
use crate::store::{Reader, StoreError};

mod accounts;
mod assets;
mod callbacks;
mod decide;
mod events;
mod folder;
mod guard;
mod item;
mod live;
mod overview;
mod page;
mod patience;
mod quarantine;
mod routes;
mod search;
mod serve;
mod session;
mod tries;

use guard::Site;
use session::{Role, Sessions};

/// Event streams at one time, over all sessions: each of them costs a look every few seconds.
const STREAMS_MOST: usize = 16;
/// A listener that the configuration does not ask for ends when nobody asked for anything for this long and nobody is awaited.
const IDLE_LISTENER: Duration = Duration::from_mins(15);
/// How often that is looked at.
const IDLE_LOOK: Duration = Duration::from_mins(1);
/// A status is good for this long, so that many streams cost one look.
const STATUS_LIVES: Duration = Duration::from_secs(1);
/// The credential that opens `/metrics`.
const METRICS_TOKEN: &str = "metrics-token";

/// The page of one agent. Clones are the same page.
#[derive(Debug, Clone)]
pub struct Web(Arc<Inner>);

/// What a page is made of.
pub struct Inner {
    places: Places,
    reports: Arc<dyn Reports>,
    orders: mpsc::Sender<Ordered>,
    shared: Arc<Shared>,
    history: History,
    sessions: Sessions,
    streams: Arc<Semaphore>,
    listening: tokio::sync::Mutex<Option<Listening>>,
    began: Instant,
    touched_ms: AtomicU64,
    status: Mutex<Option<(Instant, Arc<Status>)>>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("places", &self.places).finish_non_exhaustive()
    }
}

impl std::ops::Deref for Web {
    type Target = Arc<Inner>;

    fn deref(&self) -> &Arc<Inner> {
        &self.0
    }
}

#[derive(Debug)]
struct Listening {
    base: String,
    settings: Option<WebSettings>,
    stop: CancellationToken,
}

/// The state of every handler.
#[derive(Debug, Clone)]
pub struct App {
    web: Web,
    site: Arc<Site>,
    password: Option<Arc<PasswordHash>>,
}

impl Web {
    /// Has people named who are only numbers so far; the page shows the names when they are there.
    fn name_people(&self) {
        let (reports, orders) = (Arc::clone(&self.0.reports), self.0.orders.clone());
        tokio::spawn(async move { super::people::name_all(&reports, &orders).await });
    }

    /// The page of an agent with these reports; nothing is served yet.
    pub fn new(
        places: Places,
        reports: Arc<dyn Reports>,
        orders: mpsc::Sender<Ordered>,
        shared: Arc<Shared>,
        history: History,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            places,
            reports,
            orders,
            shared,
            history,
            sessions: Sessions::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MOST)),
            listening: tokio::sync::Mutex::default(),
            began: Instant::now(),
            touched_ms: AtomicU64::new(0),
            status: Mutex::default(),
            stop,
        }))
    }

    /// Serves what the configuration asks for, as it changes.
    pub async fn follow(self, mut wishes: watch::Receiver<Option<WebSettings>>) {
        loop {
            let wish = wishes.borrow_and_update().clone();
            let mut listening = self.listening.lock().await;
            let now = listening.as_ref().and_then(|listening| listening.settings.as_ref());
            // One that was asked for by a command goes on until it is idle, unless the configuration asks for another.
            if now != wish.as_ref() {
                if let Some(old) = listening.take() {
                    old.stop.cancel();
                }
                if let Some(settings) = wish.clone()
                    && let Err(why) = self.listen(&mut listening, settings.listen, Some(settings.clone())).await
                {
                    tracing::error!(cause = why, "the page is not served");
                    self.shared.set_degraded(
                        PAGE,
                        Some(Degraded {
                            name: PAGE.into(),
                            cause: format!("the page in the browser is not served: {why}"),
                            next_step: "correct `web` in the configuration; everything else goes on".into(),
                        }),
                    );
                }
            }
            if wish.is_none() || listening.is_some() {
                self.shared.set_degraded(PAGE, None);
            }
            drop(listening);
            tokio::select! {
                changed = wishes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(IDLE_LOOK) => self.end_if_idle().await,
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn end_if_idle(&self) {
        let mut listening = self.listening.lock().await;
        let idle = self.began.elapsed().saturating_sub(Duration::from_millis(self.touched_ms.load(Ordering::Relaxed)));
        let is_wanted = listening.as_ref().is_none_or(|listening| listening.settings.is_some());
        if !is_wanted
            && idle > IDLE_LISTENER
            && !self.sessions.are_awaited()
            && let Some(listening) = listening.take()
        {
            listening.stop.cancel();
        }
    }

    async fn listen(
        &self,
        listening: &mut Option<Listening>,
        address: SocketAddr,
        settings: Option<WebSettings>,
    ) -> Result<(), String> {
        let tls = match settings.as_ref().and_then(|settings| settings.tls.as_ref()) {
            Some((cert, key)) => Some(serve::tls(cert, key)?),
            None => None,
        };
        let listener = serve::bind(address).await.map_err(|why| format!("cannot listen on {address}: {why}"))?;
        let address = listener.local_addr().map_err(|why| why.to_string())?;
        let names = settings.as_ref().map(|settings| settings.names.clone()).unwrap_or_default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = match names.first() {
            Some(name) => format!("{scheme}://{name}:{}", address.port()),
            None => format!("{scheme}://{address}"),
        };
        let site = Site { listen: address, names, secure: tls.is_some() };
        let password = settings.as_ref().and_then(|settings| settings.password_hash.clone());
        let stop = self.stop.child_token();
        tokio::spawn(serve::serve(listener, tls, routes::router(guard::app(self, site, password)), stop.clone()));
        *listening = Some(Listening { base, settings, stop });
        Ok(())
    }

    /// A link that works once. Where the configuration does not ask for the page, it is served on a free port until it is idle.
    pub async fn link(&self, may_change: bool) -> Answer {
        let mut listening = self.listening.lock().await;
        if listening.is_none()
            && let Err(why) = self.listen(&mut listening, (Ipv4Addr::LOCALHOST, 0).into(), None).await
        {
            return Answer::Refused { message: why };
        }
        self.touched();
        let token = self.sessions.link(if may_change { Role::Changes } else { Role::Looks });
        match (listening.as_ref(), token) {
            (Some(listening), Some(token)) => Answer::Ok { message: format!("{}/enter/{token}", listening.base) },
            _ => Answer::Refused { message: "this system has no randomness for a link".into() },
        }
    }

    /// The token that opens `/metrics` to a monitoring system, made if it is not there.
    pub fn new_metrics_token(&self) -> Answer {
        let made = || -> std::io::Result<String> {
            if let Some(token) = self.metrics_token() {
                return Ok(token);
            }
            let token = session::token().ok_or_else(|| std::io::Error::other("no randomness"))?;
            let dir = self.places.credentials_dir();
            let mut file = tempfile::NamedTempFile::new_in(&dir)?;
            std::io::Write::write_all(&mut file, token.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(dir.join(METRICS_TOKEN)).map_err(|error| error.error)?;
            Ok(token)
        };
        match made() {
            Ok(message) => Answer::Ok { message },
            Err(why) => Answer::Refused { message: format!("no token can be kept: {why}") },
        }
    }
}

impl Inner {
    fn metrics_token(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.places.credentials_dir().join(METRICS_TOKEN)).ok()?;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    }

    fn touched(&self) {
        self.touched_ms.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Has a command carried out.
    async fn command(&self, command: Command) -> (bool, String) {
        self.ordered(Order::Do(command)).await
    }

    async fn ordered(&self, wanted: Order) -> (bool, String) {
        match order(&self.orders, wanted).await {
            Answer::Ok { message } => (true, sentence(&message)),
            Answer::NotFound { message } | Answer::Refused { message } => (false, sentence(&message)),
            Answer::Busy => (false, "The agent is busy. Try again.".into()),
        }
    }

    /// Makes a report on the blocking pool.
    async fn report<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Result<T, ReportError> + Send + 'static,
    ) -> Result<T, ReportError> {
        let inner = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || make(&inner)).await;
        made.unwrap_or_else(|_| Err(ReportError::Failed("the report could not be made".into())))
    }

    /// The status, at most a second old.
    fn status(&self) -> Result<Arc<Status>, ReportError> {
        let mut slot = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, status)) = &*slot
            && at.elapsed() < STATUS_LIVES
        {
            return Ok(Arc::clone(status));
        }
        let status = Arc::new(self.reports.status()?);
        *slot = Some((Instant::now(), Arc::clone(&status)));
        Ok(status)
    }

    /// Reads the database on a connection of its own.
    fn read<T>(&self, make: impl FnOnce(Rows<'_>) -> Result<T, StoreError>) -> Result<T, ReportError> {
        let failed = |error: StoreError| ReportError::Failed(error.to_string());
        let reader = Reader::open(&self.places.database()).map_err(failed)?;
        make(reader.rows()).map_err(failed)
    }
}

#[cfg(test)]
mod tests;

/// A text that begins and ends like a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.trim().chars();
    let Some(first) = chars.next() else { return String::new() };
    let text = format!("{}{}", first.to_uppercase(), chars.as_str());
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}
