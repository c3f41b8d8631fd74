//! Which staged files the database knows of: every one that waits for a hook is found again after a crash, until it is published or dropped.
//!
//! It is written down with the next step that writes anyway, or by itself a moment later: most verdicts come before that, and cost nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::deed::Staged;
use crate::id::{FolderId, NodeId};
use crate::store::{Result, Store};
use crate::tree::SyncedContent;

/// How long it may stay in memory only that a file waits.
const WRITTEN_WITHIN_MS: u64 = 20;

/// What the database knows of staged files, and what it is to know soon.
#[derive(Debug, Default)]
pub(in crate::engine) struct Notes {
    known: BTreeSet<NodeId>,
    wanted: BTreeMap<NodeId, FolderId>,
    unwanted: BTreeSet<NodeId>,
    /// When it is written down at the latest.
    due: Option<u64>,
}

impl Notes {
    /// A staged file waits for hooks.
    pub fn waits(&mut self, node: NodeId, folder: FolderId) {
        if self.unwanted.remove(&node) {
            // It is another file than the one that the database knows of.
            self.known.remove(&node);
        }
        if !self.known.contains(&node) {
            self.wanted.insert(node, folder);
        }
    }

    /// The database knows of a file already.
    pub fn is_known(&mut self, node: NodeId) {
        self.known.insert(node);
    }

    /// A staged file is no more: published, dropped, or lost.
    pub fn gone(&mut self, node: NodeId) {
        self.wanted.remove(&node);
        if self.known.contains(&node) {
            self.unwanted.insert(node);
        }
    }

    /// When something is to be written down.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Writes down what changed, in the transaction of the step, if that writes anyway or it is time to. `staged` tells what an item of a
    /// folder has staged.
    pub fn write<'a>(
        &mut self,
        store: &mut Store,
        staged: impl Fn(FolderId, NodeId) -> Option<&'a (Staged, SyncedContent)>,
        now: u64,
    ) -> Result<()> {
        if self.wanted.is_empty() && self.unwanted.is_empty() {
            self.due = None;
            return Ok(());
        }
        let due = *self.due.get_or_insert(now + WRITTEN_WITHIN_MS);
        if now < due && !store.has_written() {
            return Ok(());
        }
        self.due = None;
        for node in std::mem::take(&mut self.unwanted) {
            store.forget_staged(node)?;
            self.known.remove(&node);
        }
        for (node, folder) in std::mem::take(&mut self.wanted) {
            if let Some((staged, content)) = staged(folder, node) {
                store.keep_staged(node, folder, staged, content)?;
                self.known.insert(node);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: FolderId = FolderId(1);

    #[test]
    fn what_comes_and_goes_within_a_step_is_never_written() {
        let mut notes = Notes::default();
        notes.waits(NodeId(1), FOLDER);
        notes.gone(NodeId(1));
        assert!(notes.wanted.is_empty() && notes.unwanted.is_empty());
    }

    #[test]
    fn what_is_known_is_forgotten_or_replaced() {
        let mut notes = Notes::default();
        notes.is_known(NodeId(1));
        notes.waits(NodeId(1), FOLDER);
        assert!(notes.wanted.is_empty(), "it is written already");
        notes.gone(NodeId(1));
        assert!(notes.unwanted.contains(&NodeId(1)));
        // Another version of the same item is staged in the same step.
        notes.waits(NodeId(1), FOLDER);
        assert!(notes.unwanted.is_empty() && notes.wanted.contains_key(&NodeId(1)), "it replaces what was written");
    }
}
