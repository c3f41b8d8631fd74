//! Items that wait for a call of their account: news first, then bulk work with the newest content first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use crate::id::{FolderId, NodeId};
use crate::tree::Wall;

/// Items that wait for a call, apart by what they need room for: an item that finds none must not be taken out of its queue for every
/// one that does.
#[derive(Debug, Default)]
pub(in crate::engine) struct CallQueues {
    /// Downloads.
    pub fetches: CallQueue,
    /// Uploads, which share their room with downloads.
    pub uploads: CallQueue,
    /// Looks, and changes without content.
    pub questions: CallQueue,
}

impl CallQueues {
    /// The queue of a kind.
    pub fn of(&mut self, kind: CallKind) -> &mut CallQueue {
        match kind {
            CallKind::Fetch => &mut self.fetches,
            CallKind::Upload => &mut self.uploads,
            CallKind::Question => &mut self.questions,
        }
    }

    /// Forgets all that wait.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What a call needs room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum CallKind {
    Fetch,
    Upload,
    Question,
}

/// Items that wait for a call: news first, then bulk with the newest content first.
#[derive(Debug, Default)]
pub(in crate::engine) struct CallQueue {
    news: VecDeque<(NodeId, FolderId)>,
    bulk: BTreeMap<(Reverse<Wall>, u64), (NodeId, FolderId)>,
    serial: u64,
}

impl CallQueue {
    /// News overtakes everything that waits.
    pub fn push_news(&mut self, node: NodeId, folder: FolderId) {
        self.news.push_front((node, folder));
    }

    /// Bulk work takes its place by the age of its content.
    pub fn push_bulk(&mut self, node: NodeId, folder: FolderId, modified: Wall) {
        self.serial += 1;
        self.bulk.insert((Reverse(modified), self.serial), (node, folder));
    }

    /// Puts back what found no room.
    pub fn put_back(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::News(who) => self.news.push_front(who),
            Waiting::Bulk(place, who) => {
                self.bulk.insert(place, who);
            }
        }
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<Waiting> {
        let bulk = || self.bulk.pop_first().map(|(place, who)| Waiting::Bulk(place, who));
        self.news.pop_front().map(Waiting::News).or_else(bulk)
    }

    /// Whether news waits.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.news.len() + self.bulk.len()
    }
}

/// An item taken out of its queue, with its place there.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Waiting {
    News((NodeId, FolderId)),
    Bulk((Reverse<Wall>, u64), (NodeId, FolderId)),
}

impl Waiting {
    /// The item and its folder.
    pub fn who(self) -> (NodeId, FolderId) {
        match self {
            Self::News(who) | Self::Bulk(_, who) => who,
        }
    }
}
