//! Where folders were seen before the stream told of it: until it was read to its end once more, a path in it may be an older one.

use std::collections::BTreeMap;

#[allow(clippy::wildcard_imports, reason = "a part of its parent, with the same words")]
use super::*;

/// Folders remembered of one watched folder; beyond them, all of its folders count as seen.
const SEEN_MOST: usize = 1_000;

/// A folder that was seen in a place.
#[derive(Debug, Clone, Copy)]
struct Sight {
    /// The polls that had begun by then.
    polls: u64,
    /// We had known it in another place.
    is_displaced: bool,
}

/// The folders of one watched folder that were seen in places of which the stream may be yet to tell.
#[derive(Debug, Default)]
pub(in crate::engine) struct Sights {
    seen: BTreeMap<NodeId, Sight>,
    /// There were more, when so many polls had begun.
    more: Option<u64>,
    /// The stream was read to its end in this run. What was seen in the run before is forgotten.
    is_read: bool,
}

impl Sights {
    /// The stream was read to its end by a poll.
    pub fn told(&mut self, drained: u64) {
        self.seen.retain(|_, sight| drained <= sight.polls);
        self.more.take_if(|polls| drained > *polls);
        self.is_read = true;
    }

    fn note(&mut self, node: NodeId, sight: Sight) {
        if self.seen.len() < SEEN_MOST || self.seen.contains_key(&node) {
            let before = self.seen.insert(node, sight);
            if let (Some(before), Some(now)) = (before, self.seen.get_mut(&node)) {
                now.is_displaced |= before.is_displaced;
            }
        } else {
            self.more = Some(sight.polls);
        }
    }

    /// Whether a folder's events may be older than what we know of its place.
    pub fn is_ahead(&self, node: NodeId) -> bool {
        !self.is_read || self.more.is_some() || self.seen.contains_key(&node)
    }

    /// Whether what is told to be in a folder may be in another one that had its place before. One that is new to us has had no other.
    pub fn is_displaced(&self, node: NodeId) -> bool {
        self.more.is_some() || self.seen.get(&node).is_some_and(|sight| sight.is_displaced)
    }
}

impl Engine {
    /// A listing or a look showed a folder in a place that is news to us, where events name paths.
    pub(in crate::engine) fn note_sight(&mut self, id: FolderId, node: NodeId, is_displaced: bool) {
        if !self.is_tight_lipped(id) || self.is_compared(id) {
            return;
        }
        let Some(folder) = self.folders.get_mut(&id) else { return };
        let Some(account) = self.accounts.get(&folder.account) else { return };
        folder.sights.note(node, Sight { polls: account.polls_begun, is_displaced });
    }
}
