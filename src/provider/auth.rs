//! Tokens: kept in a private file, renewed by one refresher, never shown.
//!
//! - A renewed pair is on disk before it is used, and the pair before it stays there until the new one has worked once.
//! - Before the request that spends a refresh token, a mark on disk says so; a crash in between is visible afterwards.
//! - Renewing runs in a task of its own: a caller that goes away cannot lose the answer.
//! - Other processes (the command line) share the file under a lock, and whoever comes second takes what the first got.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::http::{CallCounter, CallKind, Http};
use super::{ProviderError, ProviderErrorKind, Result};
use crate::settings::ProviderName;
use crate::tree::Wall;

mod credentials;
mod denial;
mod endpoint;
mod file;
mod jwt;
mod login;
mod loopback;
mod oauth;
mod obtain;
mod session;

pub use credentials::{Algorithm, App, Credentials, JwtKey, ServerGrant, Subject};
pub use denial::{Denial, SignInError, Way};
pub(in crate::provider) use endpoint::origin;
pub use endpoint::{revoke_url, token_url};
pub use file::{CredentialFile, FileStamp, Pair, Stored};
pub use login::{Login, parse_app, parse_jwt, parse_login, remove, revoke, save_login, user_id};
pub use loopback::{Loopback, Page, Visit};
pub use oauth::{Attempt, Redirected};
pub use obtain::{known_end, obtain, redeem, with_password};
pub use session::{Call, ReadQuota, Session, Shape};

use denial::denial;
use endpoint::{Grant, GrantError, Refused};

/// How long before its end an access token is renewed, at the latest.
const RENEW_BEFORE: Duration = Duration::from_mins(3);
/// So much earlier at most, so that not all agents of an application ask at the same moment.
const RENEW_JITTER: Duration = Duration::from_mins(1);
/// A token that lives for a short time only is renewed when this part of it is left.
const SHORT_LIFE_DIVISOR: u32 = 4;
/// After a renewal that failed for now, an access token that still lives is used this long before the next try.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// A provider that refuses what it has just granted is not asked for more tokens for this long.
const IN_VAIN_PAUSE: Duration = Duration::from_mins(5);
/// So many renewals in a row may bring a token that does not work.
const MAX_RENEWALS_IN_VAIN: u32 = 2;

/// One access token in use.
pub struct Bearer {
    header: HeaderValue,
    access_token: SecretString,
    /// In whose name calls are made, if not the token's own.
    as_user: Option<HeaderValue>,
    /// When it is time for the next one, if there is a way to get one.
    due: Option<Instant>,
    /// Came from a renewal of ours and has not been seen to work yet.
    unproven: AtomicBool,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bearer").field("due", &self.due).finish_non_exhaustive()
    }
}

impl Bearer {
    /// The value of the Authorization header, marked as sensitive.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The value of the header that names another user to act for.
    pub fn as_user(&self) -> Option<HeaderValue> {
        self.as_user.clone()
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| Instant::now() >= due)
    }
}

/// What is known without looking at the file.
enum Live {
    Unread,
    Ready(Arc<Bearer>),
    /// Nothing but a change of the file helps.
    SignedOut {
        why: ProviderError,
        seen: Option<FileStamp>,
    },
}

/// What only the refresher touches.
#[derive(Default)]
struct Refresher {
    /// A renewed pair that could not be written yet: it must be, before anything else happens.
    unsaved: Option<Stored>,
    /// The last failure, so that those who waited for it do not all repeat it.
    failed: Option<(Instant, ProviderError)>,
    pause_until: Option<Instant>,
    /// Renewals since a token was last seen to work.
    in_vain: u32,
}

impl Refresher {
    /// The error of a renewal that failed while its caller waited for its turn.
    fn failed_since(&self, asked: Instant) -> Result<()> {
        match &self.failed {
            Some((when, error)) if *when >= asked => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn fail(&mut self, error: ProviderError) -> ProviderError {
        self.failed = Some((Instant::now(), error.clone()));
        error
    }
}

/// Hands out the bearer token of one account and renews it.
#[derive(Clone)]
pub struct TokenSource(Arc<Inner>);

struct Inner {
    file: CredentialFile,
    http: Arc<Http>,
    counter: Arc<CallCounter>,
    token_url: Url,
    provider: ProviderName,
    /// What [`RENEW_JITTER`] comes to here.
    jitter: Duration,
    live: RwLock<Live>,
    refresher: Mutex<Refresher>,
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("file", &self.0.file).finish_non_exhaustive()
    }
}

impl TokenSource {
    /// The tokens of `account`, kept in `dir`. Reads nothing yet.
    pub fn new(
        dir: PathBuf,
        account: &str,
        http: Arc<Http>,
        counter: Arc<CallCounter>,
        (provider, token_url): (ProviderName, Url),
    ) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            file: CredentialFile::new(dir, account)?,
            http,
            counter,
            token_url,
            provider,
            jitter: RENEW_JITTER.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / f64::from(u8::MAX)),
            live: RwLock::new(Live::Unread),
            refresher: Mutex::new(Refresher::default()),
        })))
    }

    /// The token to use now; renews it first when its end is near.
    pub async fn bearer(&self) -> Result<Arc<Bearer>> {
        if let Live::Ready(bearer) = &*self.0.read_live()
            && !bearer.is_due()
        {
            return Ok(Arc::clone(bearer));
        }
        let inner = Arc::clone(&self.0);
        detached(async move { inner.prepare().await }).await
    }

    /// The token to use after `rejected` was refused: the one that somebody else got meanwhile, else a renewed one.
    pub async fn renew(&self, rejected: &Arc<Bearer>) -> Result<Arc<Bearer>> {
        let inner = Arc::clone(&self.0);
        let rejected = Arc::clone(rejected);
        detached(async move { inner.replace(&rejected).await }).await
    }

    /// Tells that a request with this token succeeded; the pair before it is forgotten then.
    pub fn worked(&self, bearer: &Bearer) {
        if bearer.unproven.load(Ordering::Relaxed) && bearer.unproven.swap(false, Ordering::Relaxed) {
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.forget_previous().await });
        }
    }

    /// Forgets what is in memory: the next call reads the file. For when somebody signed in anew.
    pub fn reload(&self) {
        self.0.set_live(Live::Unread);
    }

    /// Waits until no renewal is under way. Call it before the program ends.
    pub async fn settle(&self) {
        drop(self.0.refresher.lock().await);
    }
}

/// Runs to its end even if the caller goes away.
async fn detached<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        Err(ProviderError::new(ProviderErrorKind::Local, "renewing the token ended early")
            .with_detail(error.to_string()))
    })
}

impl Inner {
    fn read_live(&self) -> std::sync::RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_live(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
    }

    fn ready(&self) -> Option<Arc<Bearer>> {
        match &*self.read_live() {
            Live::Ready(bearer) => Some(Arc::clone(bearer)),
            Live::Unread | Live::SignedOut { .. } => None,
        }
    }

    async fn prepare(&self) -> Result<Arc<Bearer>> {
        let asked = Instant::now();
        let mut refresher = self.refresher.lock().await;
        self.write_unsaved(&mut refresher).await?;
        let bearer = match self.ready() {
            Some(bearer) => bearer,
            None => self.read_file().await?,
        };
        if !bearer.is_due() {
            return Ok(bearer);
        }
        let lives = !bearer.access_token.expose_secret().is_empty();
        if lives && refresher.pause_until.is_some_and(|until| Instant::now() < until) {
            return Ok(bearer);
        }
        refresher.failed_since(asked)?;
        match self.refresh(&mut refresher, &bearer).await {
            Ok(renewed) => Ok(renewed),
            // The old token is good for some minutes more: better than no call at all.
            Err(error) if lives && error.kind != ProviderErrorKind::SignInNeeded => {
                tracing::warn!(
                    account = self.file.account(),
                    error = format!("{error:#}"),
                    "the token could not be renewed yet"
                );
                refresher.pause_until = Some(Instant::now() + RENEWAL_PAUSE);
                Ok(bearer)
            }
            Err(error) => Err(refresher.fail(error)),
        }
    }

    async fn replace(&self, rejected: &Arc<Bearer>) -> Result<Arc<Bearer>> {
        let asked = Instant::now();
        let mut refresher = self.refresher.lock().await;
        self.write_unsaved(&mut refresher).await?;
        let current = match self.ready() {
            Some(current) => current,
            None => self.read_file().await?,
        };
        if current.access_token.expose_secret() != rejected.access_token.expose_secret() && !current.is_due() {
            return Ok(current);
        }
        refresher.failed_since(asked)?;
        if !rejected.unproven.load(Ordering::Relaxed) {
            refresher.in_vain = 0;
        } else if refresher.in_vain >= MAX_RENEWALS_IN_VAIN {
            if refresher.pause_until.is_some_and(|until| Instant::now() < until) {
                return Err(sign_in_needed("the provider refuses the tokens that it has just granted"));
            }
            refresher.in_vain = 0;
        }
        self.refresh(&mut refresher, &current).await.map_err(|error| refresher.fail(error))
    }

    /// Reads the file, unless it is known that nothing has changed in it since it was found useless.
    async fn read_file(&self) -> Result<Arc<Bearer>> {
        let file = self.file.clone();
        let seen = match &*self.read_live() {
            Live::SignedOut { why, seen } => Some((why.clone(), *seen)),
            Live::Unread | Live::Ready(_) => None,
        };
        if let Some((why, seen)) = seen
            && blocking(move || Ok(file.stamp())).await? == seen
        {
            return Err(why);
        }
        let stored = self.load().await?;
        self.adopt_stored(&stored)
    }

    /// Uses what the file says. A pair that still has its predecessor beside it has not been seen to work.
    fn adopt_stored(&self, stored: &Stored) -> Result<Arc<Bearer>> {
        self.adopt(&stored.current, stored.previous.is_some())
    }

    fn adopt(&self, credentials: &Credentials, unproven: bool) -> Result<Arc<Bearer>> {
        let text = credentials.access_token.expose_secret();
        let odd = || ProviderError::new(ProviderErrorKind::Local, "the stored access token holds odd characters");
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| odd())?;
        let as_user = credentials.as_user.as_deref().map(HeaderValue::try_from).transpose().map_err(|_| odd())?;
        header.set_sensitive(true);
        let bearer = Arc::new(Bearer {
            header,
            access_token: credentials.access_token.clone(),
            as_user,
            due: match credentials.is_renewable() {
                true if text.is_empty() => Some(Instant::now()),
                true => due(credentials, self.jitter),
                // Nothing renews it: it is used until the provider refuses it.
                false => None,
            },
            unproven: AtomicBool::new(unproven),
        });
        self.set_live(Live::Ready(Arc::clone(&bearer)));
        Ok(bearer)
    }

    async fn sign_out<T>(&self, why: ProviderError) -> Result<T> {
        let file = self.file.clone();
        let seen = blocking(move || Ok(file.stamp())).await?;
        self.set_live(Live::SignedOut { why: why.clone(), seen });
        Err(why)
    }

    /// Buys a new pair. The caller holds the refresher; this takes the lock that other processes respect.
    async fn refresh(&self, refresher: &mut Refresher, old: &Bearer) -> Result<Arc<Bearer>> {
        let _lock = self.file.lock().await?;
        let stored = match self.load().await {
            Ok(stored) => stored,
            Err(error) if error.kind == ProviderErrorKind::SignInNeeded => return self.sign_out(error).await,
            Err(error) => return Err(error),
        };
        if stored.current.access_token.expose_secret() != old.access_token.expose_secret() {
            let other = self.adopt_stored(&stored)?;
            if !other.is_due() {
                return Ok(other);
            }
        }
        if let Some(grant) = &stored.current.grant {
            self.counter.count(CallKind::Token);
            let granted = endpoint::server_grant(&self.http, &self.token_url, &stored.current, grant).await;
            self.counter.answered(CallKind::Token, endpoint::status_of(&granted));
            return match granted {
                Ok(granted) => self.keep(refresher, &stored, granted, None).await,
                Err(GrantError::Refused(refused)) => {
                    let way = match grant {
                        ServerGrant::ClientCredentials(_) => Way::ClientCredentials,
                        ServerGrant::Jwt(..) => Way::Jwt,
                    };
                    self.refused(stored.clone(), false, way, &refused).await
                }
                Err(GrantError::Other(error)) => Err(error),
            };
        }
        let Some(refresh_token) = stored.current.refresh_token.clone() else {
            if stored.source.is_some() {
                let message =
                    "the secrets of this sign-in are a credential of the service: only the service can renew it";
                return Err(ProviderError::new(ProviderErrorKind::Local, message));
            }
            return self.sign_out(sign_in_needed("the access token has ended and nothing is there to renew it")).await;
        };
        // The token before is the last resort only: a provider may take its return for a theft.
        let before = stored.previous.as_ref().and_then(|pair| pair.refresh_token.clone());
        let interrupted = stored.refreshing_since.is_some();
        self.save(Stored { refreshing_since: Some(now()), ..stored.clone() }).await?;
        let mut refusal = Refused::default();
        for candidate in std::iter::once(refresh_token).chain(before) {
            self.counter.count(CallKind::Token);
            let granted = endpoint::refresh(&self.http, &self.token_url, &stored.current, &candidate).await;
            self.counter.answered(CallKind::Token, endpoint::status_of(&granted));
            match granted {
                Ok(grant) => return self.keep(refresher, &stored, grant, Some(candidate)).await,
                Err(GrantError::Refused(why)) => refusal = why,
                Err(GrantError::Other(error)) => return Err(error),
            }
        }
        self.refused(stored, interrupted, Way::RefreshToken, &refusal).await
    }

    /// The new pair goes to disk, and only then into use.
    async fn keep(
        &self,
        refresher: &mut Refresher,
        stored: &Stored,
        grant: Grant,
        spent: Option<SecretString>,
    ) -> Result<Arc<Bearer>> {
        let renewed = Stored {
            current: Credentials {
                access_token: grant.access_token,
                // A provider that does not rotate sends none back.
                refresh_token: spent.clone().map(|spent| grant.refresh_token.unwrap_or(spent)),
                issued_at: Some(now()),
                expires_at: grant.lifetime.map(|lifetime| now().plus_ms(lifetime.as_millis() as i64)),
                ..stored.current.clone()
            },
            previous: Some(Pair { access_token: stored.current.access_token.clone(), refresh_token: spent }),
            refreshing_since: None,
            source: stored.source.clone(),
        };
        refresher.unsaved = Some(renewed.clone());
        self.publish(refresher, renewed).await?;
        refresher.in_vain += 1;
        refresher.pause_until = (refresher.in_vain >= MAX_RENEWALS_IN_VAIN).then(|| Instant::now() + IN_VAIN_PAUSE);
        tracing::info!(account = self.file.account(), "the access token was renewed");
        self.ready().ok_or_else(|| sign_in_needed("the renewed token is not there"))
    }

    /// Writes the pair that could not be written when it came, unless somebody signed in or out meanwhile.
    async fn write_unsaved(&self, refresher: &mut Refresher) -> Result<()> {
        let Some(unsaved) = refresher.unsaved.clone() else {
            return Ok(());
        };
        let _lock = self.file.lock().await?;
        let on_disk = match self.load().await {
            Ok(stored) => Some(stored.current),
            Err(error) if error.kind == ProviderErrorKind::SignInNeeded => None,
            Err(error) => return Err(error),
        };
        let replaced = unsaved.previous.as_ref().map(|pair| pair.access_token.expose_secret());
        if on_disk.as_ref().map(|current| current.access_token.expose_secret()) == replaced {
            return self.publish(refresher, unsaved).await;
        }
        refresher.unsaved = None;
        self.set_live(Live::Unread);
        Ok(())
    }

    /// Writes a renewed pair, then puts it into use. The caller holds the lock.
    async fn publish(&self, refresher: &mut Refresher, renewed: Stored) -> Result<()> {
        self.save(renewed.clone()).await?;
        refresher.unsaved = None;
        self.adopt(&renewed.current, true).map(drop)
    }

    /// The provider will not renew. If somebody put other tokens into the file meanwhile, those count.
    async fn refused(&self, asked_with: Stored, interrupted: bool, way: Way, why: &Refused) -> Result<Arc<Bearer>> {
        let stored = self.load().await?;
        if stored.current.access_token.expose_secret() != asked_with.current.access_token.expose_secret() {
            return self.adopt_stored(&stored);
        }
        self.save(Stored { refreshing_since: None, ..stored }).await?;
        let message = if interrupted {
            "the sign-in has ended: an earlier renewal was interrupted and its answer lost"
        } else {
            "the sign-in has ended"
        };
        self.sign_out(denial(self.provider, way, why).into_error(message)).await
    }

    async fn forget_previous(&self) {
        let _refresher = self.refresher.lock().await;
        let result = async {
            let _lock = self.file.lock().await?;
            let stored = self.load().await?;
            if stored.previous.is_some() { self.save(Stored { previous: None, ..stored }).await } else { Ok(()) }
        };
        if let Err(error) = result.await {
            tracing::warn!(account = self.file.account(), %error, "the old tokens could not be removed from the credentials file");
        }
    }

    async fn load(&self) -> Result<Stored> {
        let file = self.file.clone();
        blocking(move || file.load()).await
    }

    async fn save(&self, stored: Stored) -> Result<()> {
        let file = self.file.clone();
        blocking(move || file.save(&stored)).await
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(ProviderError::new(ProviderErrorKind::Local, "reading the credentials ended early")
            .with_detail(error.to_string()))
    })
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sign_in_needed(message: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::SignInNeeded, message)
}

fn now() -> Wall {
    Wall(jiff::Timestamp::now().as_millisecond())
}

/// When a token is to be renewed, on the clock that cannot be set.
fn due(credentials: &Credentials, jitter: Duration) -> Option<Instant> {
    let expires_at = credentials.expires_at?;
    let between = |from: Wall| Duration::from_millis(u64::try_from(expires_at.since(from)).unwrap_or(0));
    let early = RENEW_BEFORE + jitter;
    let early = credentials.issued_at.map_or(early, |issued| early.min(between(issued) / SHORT_LIFE_DIVISOR));
    Instant::now().checked_add(between(now()).saturating_sub(early))
}

#[cfg(test)]
mod tests;
