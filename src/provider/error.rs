//! One error for every provider: what happened in our words, and whether time can cure it.

use std::fmt;
use std::time::Duration;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderErrorKind {
    /// The tokens are dead and cannot be refreshed: a person must sign in.
    SignInNeeded,
    /// The account may not do this (scope, permission, policy, terms of service).
    Forbidden,
    /// The item is not there, or we may not see it. No proof of a deletion.
    NotFound,
    /// The cursor is too old, malformed or otherwise refused: the place in the stream is lost.
    CursorLost,
    /// The state of the item is not the one that the call was conditional on (412), or a name is taken (409).
    Conflict,
    /// Too many calls; wait for `retry_after`.
    RateLimited,
    /// The quota of the day (or of the plan) is used up; wait for `retry_after`.
    QuotaExhausted,
    /// The content is not ready yet (Box 202); wait for `retry_after`.
    NotReady,
    /// The bytes are not what they should be: length, digest or version differ.
    Corrupt,
    /// The item can never be had like this (too large, name refused, locked).
    Refused,
    /// A write was sent, and neither its answer nor a look told whether it happened. Look again before repeating it.
    OutcomeUnknown,
    /// The provider answered something that we do not understand.
    Malformed,
    /// The provider failed (5xx) or an answer was cut short.
    Unavailable,
    /// No connection: name resolution, refused, timed out, TLS.
    Network,
    /// Something on this machine prevents the call (no CA certificates, credentials file unreadable).
    Local,
}

impl ProviderErrorKind {
    /// Whether it is the account's matter, and not that of the item, folder or page that was asked about.
    pub fn is_of_the_account(self) -> bool {
        matches!(self, Self::SignInNeeded | Self::RateLimited | Self::QuotaExhausted | Self::Network | Self::Local)
    }
}

/// What to do about it, decided once, where the error is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// Trying again later may help.
    Time,
    /// Only a change of circumstances helps: a person, or a new state of the item.
    Change,
}

/// An error of one provider call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// What happened.
    pub kind: ProviderErrorKind,
    /// One sentence for people, without secrets.
    pub message: String,
    /// The provider's own code and status, for the log and for `why`.
    pub detail: Option<String>,
    /// How long the provider asked us to wait.
    pub retry_after: Option<Duration>,
    /// No connection came about: nothing of the request left this machine.
    pub unsent: bool,
    /// What the call was about: `("operation", "events")`, `("item", "file:7")`, `("request_id", …)`.
    pub context: Vec<(&'static str, String)>,
}

/// An entry of a listing that cannot be read: the trouble of its folder, and not of the account.
pub fn unread_entry(name: Option<&str>) -> ProviderError {
    let what = "the cloud's listing of the folder holds an entry that cannot be read";
    let message = name.map_or_else(|| what.to_owned(), |name| format!("{what}: `{name}`"));
    ProviderError::new(ProviderErrorKind::Corrupt, message)
}

impl ProviderError {
    /// An error with a message and nothing else.
    pub fn new(kind: ProviderErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, retry_after: None, unsent: false, context: Vec::new() }
    }

    /// Adds what the provider itself said.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the provider's own waiting time.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Says that nothing of the request left this machine.
    #[must_use]
    pub fn with_unsent(mut self, unsent: bool) -> Self {
        self.unsent = unsent;
        self
    }

    /// Adds a fact about the call.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Whether time can cure it.
    pub fn cure(&self) -> Cure {
        match self.kind {
            ProviderErrorKind::RateLimited
            | ProviderErrorKind::QuotaExhausted
            | ProviderErrorKind::NotReady
            | ProviderErrorKind::Corrupt
            | ProviderErrorKind::OutcomeUnknown
            | ProviderErrorKind::Malformed
            | ProviderErrorKind::Unavailable
            | ProviderErrorKind::Network => Cure::Time,
            ProviderErrorKind::SignInNeeded
            | ProviderErrorKind::Forbidden
            | ProviderErrorKind::NotFound
            | ProviderErrorKind::CursorLost
            | ProviderErrorKind::Conflict
            | ProviderErrorKind::Refused
            | ProviderErrorKind::Local => Cure::Change,
        }
    }
}

/// For people: what happened, and what the provider said to it. With `{:#}`, for the log: also what the call was about, and what the
/// libraries said below a broken connection.
impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let is_internal = self.kind == ProviderErrorKind::Network;
        if let Some(detail) = self.detail.as_ref().filter(|_| f.alternate() || !is_internal) {
            write!(f, " ({detail})")?;
        }
        if f.alternate() {
            self.context.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))?;
        }
        Ok(())
    }
}

impl std::error::Error for ProviderError {}
