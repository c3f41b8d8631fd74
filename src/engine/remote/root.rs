//! The watched folder itself and what lies above it: whether it is still there, and under which path.

use std::time::Duration;

use crate::engine::ctx::millis;
use crate::events::interval::{UNREACHED_COUNTED, backoff};
use crate::id::Generation;
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::report::Degraded;
use crate::tree::{ItemState, RemoteItem};

/// The name of the state of a folder whose remote root is not there, or not for us.
pub(in crate::engine) const REMOTE_GONE: &str = "remote_gone";
/// How often a root of which nothing is heard is looked at; more often where the stream is read more often than by default.
const LOOKED_AT_EVERY: Duration = Duration::from_mins(30);
/// Failures in a row before the waits until the root is looked for again stop growing: about four minutes.
const ATTEMPTS_COUNTED: u32 = 9;

/// What is known of a watched folder's own place in the cloud.
#[derive(Debug, Default)]
pub(in crate::engine) struct RootState {
    /// It is to be looked at before anything in it is believed.
    pub is_marked: bool,
    /// A look at it is under way.
    is_asked: bool,
    /// It is not there, or not for us.
    pub is_gone: bool,
    /// When it was found to be there again.
    back: Option<Generation>,
    /// No look before this moment.
    due: u64,
    /// When it is looked at though nothing was heard of it; nothing before the first time.
    net: Option<u64>,
    failures: u32,
}

impl RootState {
    /// Whether listings in it wait until it was seen.
    pub fn holds_back(&self) -> bool {
        self.is_marked || self.is_asked || self.is_gone
    }

    /// When it is to be looked at.
    pub fn deadline(&self) -> Option<u64> {
        if self.is_asked {
            return None;
        }
        if self.is_marked { Some(self.due) } else { self.net }
    }

    /// It is to be looked at, and that can begin at once.
    pub fn mark(&mut self, now: u64) {
        self.is_marked = true;
        self.due = self.due.min(now);
    }

    /// Whether it is to be looked at now. Nothing heard of it for `every` milliseconds marks it as well.
    pub fn is_due(&mut self, every: u64, now: u64) -> bool {
        match self.net {
            None => self.net = Some(now + every),
            Some(net) if net <= now => {
                self.net = Some(now + every);
                self.is_marked = true;
            }
            Some(_) => {}
        }
        self.is_marked && !self.is_asked && now >= self.due
    }

    /// It is looked at. What is heard from now on asks once more.
    pub fn asks(&mut self) {
        self.is_marked = false;
        self.is_asked = true;
    }

    /// A look at it was answered: the item, or why it is not there or not for us, or the failure of the call. A call that fails while others of
    /// the account succeed is made less and less often.
    pub fn answered(&mut self, result: Result<ItemState, ProviderError>, now: u64, chance: u64) -> RootAnswer {
        self.is_asked = false;
        match result {
            Ok(ItemState::Active(found)) => RootAnswer::There(found),
            Ok(ItemState::Trashed) => {
                RootAnswer::Away("the watched folder is in the cloud's trash, or a folder above it is".to_owned())
            }
            Ok(ItemState::NotFound) => RootAnswer::Away(
                "the cloud does not show the watched folder: it is deleted, or this account may not see it".to_owned(),
            ),
            Err(error) if matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden) => {
                RootAnswer::Away(error.to_string())
            }
            Err(error) => {
                self.is_marked = true;
                self.failures += 1;
                let most = if error.kind.is_of_the_account() { UNREACHED_COUNTED } else { ATTEMPTS_COUNTED };
                self.due = now + millis(backoff(self.failures.min(most), None, chance));
                RootAnswer::Failed(error)
            }
        }
    }

    /// It is not there, or not for us: nothing in it is believed to be gone for that.
    pub fn is_away(&mut self, cause: String, now: u64, chance: u64) -> Degraded {
        self.is_gone = true;
        self.is_marked = true;
        self.failures += 1;
        self.due = now + millis(backoff(self.failures.clamp(3, ATTEMPTS_COUNTED), None, chance));
        Degraded {
            name: REMOTE_GONE.into(),
            cause,
            next_step: "bring the folder back in the cloud, or run `agent remove-folder`; local files stay as they are"
                .into(),
        }
    }

    /// It was listed: it is there, and need not be looked at for a while.
    pub fn was_listed(&mut self) {
        self.net = None;
    }

    /// It is there, as is known from `at` on. Whether it was not before, so that everything in it is asked for again.
    pub fn is_there(&mut self, at: Generation) -> bool {
        self.failures = 0;
        self.due = 0;
        let was_gone = std::mem::take(&mut self.is_gone);
        if was_gone {
            self.back = Some(at);
        }
        was_gone
    }

    /// Whether a question may have been answered while it was not there: whatever lies in it was not to be seen then.
    pub fn may_have_hidden(&self, asked: Generation) -> bool {
        self.is_gone || self.back.is_some_and(|back| asked < back)
    }
}

/// How often a root of which nothing is heard is looked at, given the interval of listening and whether that is a short one.
pub(in crate::engine) fn looked_at_every(rest: Duration, is_brisk: bool) -> u64 {
    millis(if is_brisk { rest } else { LOOKED_AT_EVERY.max(rest) })
}

/// What a look at the watched folder itself says.
#[derive(Debug)]
pub(in crate::engine) enum RootAnswer {
    /// It is there.
    There(Box<RemoteItem>),
    /// It is not there, or not for us.
    Away(String),
    /// The call failed, and it is looked at again.
    Failed(ProviderError),
}
