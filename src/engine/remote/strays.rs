//! Items that an event names by nothing but an id that we do not know: one look tells whether they lie in a watched folder.
//!
//! Example: a permission on a folder is given back; the event names the folder's id and no path, and what could not be seen has no row.
//!
//! Invariant: an id is durable in the transaction that moves the cursor past its event, until a look that was asked for later is answered.

use std::collections::VecDeque;

use crate::engine::ctx::millis;
use crate::events::interval::{UNREACHED_COUNTED, backoff};
use crate::id::ItemId;
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::tree::{ItemState, RemoteItem};

/// Ids that wait to be looked at; where there are more, the folders are compared instead.
const WAITING_MOST: usize = 256;

/// The ids of one account.
#[derive(Debug, Default)]
pub(in crate::engine) struct Strays {
    waiting: VecDeque<ItemId>,
    asked: Option<ItemId>,
    /// Looks that failed one after another while other calls of the account succeeded, and when the next one may begin.
    failures: u32,
    due: u64,
}

/// What a look at one of them says.
#[derive(Debug)]
pub(in crate::engine) enum StrayAnswer {
    /// It is there; whose it is tells its place.
    Found(Box<RemoteItem>),
    /// It is not to be seen.
    Unseen,
    /// The call failed, and the item is looked at again.
    Failed(ProviderError),
}

impl Strays {
    /// Those that an engine of before had not looked at.
    pub fn left(waiting: Vec<ItemId>) -> Self {
        Self { waiting: waiting.into(), ..Self::default() }
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_none()
    }

    /// Notes an id. False if there are too many to look at each.
    pub fn note(&mut self, id: &ItemId) -> bool {
        if self.waiting.contains(id) {
            return true;
        }
        let has_room = self.waiting.len() < WAITING_MOST;
        if has_room {
            self.waiting.push_back(id.clone());
        }
        has_room
    }

    /// The one to look at now, if none is looked at and the next is due.
    pub fn next(&self, now: u64) -> Option<ItemId> {
        self.waiting.front().filter(|_| self.asked.is_none() && now >= self.due).cloned()
    }

    /// When the next one is to be looked at, if one waits for a time.
    pub fn due(&self) -> Option<u64> {
        (!self.waiting.is_empty() && self.asked.is_none() && self.due > 0).then_some(self.due)
    }

    /// The next one is looked at.
    pub fn asks(&mut self) {
        self.asked = self.waiting.pop_front();
    }

    /// The one that is looked at was answered for: which it was, and what the answer says.
    pub fn answered(
        &mut self,
        result: Result<ItemState, ProviderError>,
        (now, chance): (u64, u64),
    ) -> (Option<ItemId>, StrayAnswer) {
        let item = self.asked.take();
        let failures = std::mem::take(&mut self.failures);
        self.due = 0;
        let answer = match result {
            Ok(ItemState::Active(found)) => StrayAnswer::Found(found),
            Ok(ItemState::Trashed | ItemState::NotFound) => StrayAnswer::Unseen,
            // A refusal that says when to come back is a pause that was asked for, and says nothing of the item.
            Err(error)
                if matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden)
                    && error.retry_after.is_none() =>
            {
                StrayAnswer::Unseen
            }
            Err(mut error) => {
                if error.kind == ProviderErrorKind::Forbidden {
                    error.kind = ProviderErrorKind::RateLimited;
                }
                // An event that came meanwhile has put it into line already.
                if let Some(item) = item.as_ref().filter(|item| !self.waiting.contains(item)) {
                    self.waiting.push_front(item.clone());
                }
                self.failures = failures + 1;
                self.due = now + millis(backoff(self.failures.min(UNREACHED_COUNTED), None, chance));
                StrayAnswer::Failed(error)
            }
        };
        (item, answer)
    }
}
