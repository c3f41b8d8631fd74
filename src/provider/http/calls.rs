//! How many requests an account has cost, by kind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub use crate::events::budget::Quota;

/// What a request was for. Only the first group counts against an API budget; listening and tokens are counted apart,
/// and the target of a redirect is no call at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// The bytes of a file.
    Content,
    /// One item, or who we are.
    Metadata,
    /// A page of a folder.
    Listing,
    /// A page of the event stream, or its newest position.
    Events,
    /// Waiting for news, and finding out where to wait.
    LongPoll,
    /// Getting, renewing and giving back tokens.
    Token,
}

impl CallKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Metadata => "metadata",
            Self::Listing => "listing",
            Self::Events => "events",
            Self::LongPoll => "long_poll",
            Self::Token => "token",
        }
    }
}

/// Counts that status and benchmarks read while the adapter writes them.
#[derive(Debug, Default)]
pub struct CallCounter {
    content: AtomicU64,
    metadata: AtomicU64,
    listing: AtomicU64,
    events: AtomicU64,
    long_poll: AtomicU64,
    token: AtomicU64,
    answers: Mutex<BTreeMap<(CallKind, Option<u16>), u64>>,
    quota: Mutex<Option<Quota>>,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct CallCounts {
    /// Requests for the bytes of files.
    pub content: u64,
    /// Requests for single items and identities.
    pub metadata: u64,
    /// Requests for pages of folders.
    pub listing: u64,
    /// Requests for pages of the event stream.
    pub events: u64,
    /// Long polls and what belongs to them.
    pub long_poll: u64,
    /// Requests for tokens.
    pub token: u64,
}

impl CallCounts {
    /// The calls proper: content, metadata and listings.
    pub fn calls(&self) -> u64 {
        self.content + self.metadata + self.listing
    }

    /// What listening cost: event pages and long polls.
    pub fn listening(&self) -> u64 {
        self.events + self.long_poll
    }
}

impl CallCounter {
    /// Counts one request that is about to be sent.
    pub fn count(&self, kind: CallKind) {
        self.cell(kind).fetch_add(1, Ordering::Relaxed);
    }

    /// Counts how a request ended: with a status, or with no answer.
    pub fn answered(&self, kind: CallKind, status: Option<u16>) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry((kind, status)).or_default() += 1;
    }

    /// How requests ended, by kind and status.
    pub fn answers(&self) -> BTreeMap<(CallKind, Option<u16>), u64> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counts now.
    pub fn counts(&self) -> CallCounts {
        let read = |kind| self.cell(kind).load(Ordering::Relaxed);
        CallCounts {
            content: read(CallKind::Content),
            metadata: read(CallKind::Metadata),
            listing: read(CallKind::Listing),
            events: read(CallKind::Events),
            long_poll: read(CallKind::LongPoll),
            token: read(CallKind::Token),
        }
    }

    /// What the newest answer that spoke of an allowance said; nothing until one did.
    pub fn quota(&self) -> Option<Quota> {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what an answer said of our allowance.
    pub fn set_quota(&self, quota: Quota) {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner) = Some(quota);
    }

    fn cell(&self, kind: CallKind) -> &AtomicU64 {
        match kind {
            CallKind::Content => &self.content,
            CallKind::Metadata => &self.metadata,
            CallKind::Listing => &self.listing,
            CallKind::Events => &self.events,
            CallKind::LongPoll => &self.long_poll,
            CallKind::Token => &self.token,
        }
    }
}
