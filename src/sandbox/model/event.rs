//! The log of what happened: one globally numbered list that every face of the cloud reads.

use std::ops::BitOr;
use std::sync::Arc;

use super::{Deed, Model, Snap, User};

/// Which of the streams carry an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams(u8);

impl Streams {
    pub const ALL: Self = Self(1);
    pub const CHANGES: Self = Self(2);
    pub const SYNC: Self = Self(4);

    pub fn shares(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Streams {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What kind of thing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Create,
    Upload,
    Move,
    Copy,
    Rename,
    Modify,
    Trash,
    Untrash,
    MakeCurrentVersion,
    LockCreate,
    LockDestroy,
    Download,
    /// A kind by its provider's name, for events that the model itself never causes.
    Named(Arc<str>),
}

impl EventKind {
    /// The name on Box's user streams.
    pub fn box_name(&self) -> &str {
        match self {
            Self::Create => "ITEM_CREATE",
            Self::Upload => "ITEM_UPLOAD",
            Self::Move => "ITEM_MOVE",
            Self::Copy => "ITEM_COPY",
            Self::Rename => "ITEM_RENAME",
            Self::Modify => "ITEM_MODIFY",
            Self::Trash => "ITEM_TRASH",
            Self::Untrash => "ITEM_UNDELETE_VIA_TRASH",
            Self::MakeCurrentVersion => "ITEM_MAKE_CURRENT_VERSION",
            Self::LockCreate => "LOCK_CREATE",
            Self::LockDestroy => "LOCK_DESTROY",
            Self::Download => "ITEM_DOWNLOAD",
            Self::Named(name) => name,
        }
    }

    pub fn streams(&self) -> Streams {
        match self {
            Self::Download => Streams::ALL,
            Self::Named(name) => match &**name {
                "ITEM_PREVIEW"
                | "ITEM_OPEN"
                | "ITEM_SHARED"
                | "ITEM_SHARED_CREATE"
                | "ITEM_SHARED_UNSHARE"
                | "TAG_ITEM_CREATE"
                | "COMMENT_CREATE"
                | "COMMENT_DELETE"
                | "TASK_CREATE"
                | "TASK_ASSIGNMENT_CREATE" => Streams::ALL,
                _ => Streams::ALL | Streams::CHANGES | Streams::SYNC,
            },
            _ => Streams::ALL | Streams::CHANGES | Streams::SYNC,
        }
    }
}

/// The kind of program that a user worked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// The provider's own pages.
    Web,
    /// A program of ours: everything that comes over HTTP counts as one registered client.
    Api,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// An item as it was right after the event.
    Item(Arc<Snap>),
    /// An item outside everything that the test looks at; its fields follow from the number.
    Noise(u64),
    /// The provider says nothing of it.
    Nothing,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Ids rise by one and are never used twice.
    pub id: u64,
    pub kind: EventKind,
    pub at: i64,
    pub by: User,
    pub through: Through,
    pub what: What,
    /// Where the item was before, when the event took it from there.
    pub from: Option<Arc<str>>,
}

impl Model {
    /// The id of the newest event; 0 when nothing has happened yet.
    pub fn newest_event(&self) -> u64 {
        self.log.len() as u64
    }

    /// The id of the oldest event that is still kept.
    pub fn oldest_event(&self) -> u64 {
        self.forgotten as u64 + 1
    }

    /// The events after `id`, oldest first.
    pub fn events_after(&self, id: u64) -> &[Arc<Event>] {
        let from = (id as usize).max(self.forgotten).min(self.log.len());
        &self.log[from..]
    }

    /// Lets the streams lose everything up to and including event `id`.
    pub fn forget_events(&mut self, id: u64) {
        self.forgotten = self.forgotten.max((id as usize).min(self.log.len()));
        for event in &mut self.log[..self.forgotten] {
            if !matches!(event.what, What::Nothing) {
                *event = Arc::new(Event { what: What::Nothing, from: None, ..(**event).clone() });
            }
        }
    }

    /// The event with that id, if the log ever held one.
    pub fn event(&self, id: u64) -> Option<&Arc<Event>> {
        self.log.get((id as usize).checked_sub(1)?)
    }

    pub(super) fn record(&mut self, deed: Deed, kind: EventKind, what: What, from: Option<Arc<str>>) {
        // A clock that is set back must not make the log run backwards.
        self.last_ms = self.last_ms.max(deed.now);
        let id = self.newest_event() + 1;
        self.log.push(Arc::new(Event { id, kind, at: self.last_ms, by: deed.by, through: deed.through, what, from }));
    }

    /// An event that no deed of the model causes.
    pub fn announce(&mut self, deed: Deed, kind: EventKind, about: Option<u64>) {
        let what = about.and_then(|id| self.snap(id).ok()).map_or(What::Nothing, What::Item);
        self.record(deed, kind, what, None);
    }

    /// `count` events about items elsewhere.
    pub fn noise(&mut self, deed: Deed, count: u64) {
        const KINDS: [EventKind; 4] = [EventKind::Upload, EventKind::Rename, EventKind::Move, EventKind::Create];
        let deed = Deed { by: User::Other, ..deed };
        self.log.reserve(count as usize);
        for _ in 0..count {
            self.noise += 1;
            let kind = KINDS[(self.noise % 4) as usize].clone();
            self.record(deed, kind, What::Noise(self.noise), None);
        }
    }
}
