//! Which staged files the database knows of: every one that waited for a hook at the end of a step is found again after a crash, until it is
//! published or dropped.

use std::collections::{BTreeMap, BTreeSet};

use super::Hooks;
use crate::engine::folders::Folder;
use crate::id::{FolderId, NodeId};
use crate::store::{Result, Store};

/// What the database knows of staged files, and what it is to know at the end of the step.
#[derive(Debug, Default)]
pub(in crate::engine) struct Notes {
    known: BTreeSet<NodeId>,
    wanted: BTreeMap<NodeId, FolderId>,
    unwanted: BTreeSet<NodeId>,
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

    /// Writes down what changed, in the transaction of the step.
    pub fn write(&mut self, store: &mut Store, folders: &BTreeMap<FolderId, Folder>) -> Result<()> {
        for node in std::mem::take(&mut self.unwanted) {
            store.forget_staged(node)?;
            self.known.remove(&node);
        }
        for (node, folder) in std::mem::take(&mut self.wanted) {
            let staged = folders.get(&folder).and_then(|of| of.staged.get(&node));
            if let Some((staged, content)) = staged {
                store.keep_staged(node, folder, staged, content)?;
                self.known.insert(node);
            }
        }
        Ok(())
    }
}

impl Hooks {
    /// A staged file is no more: published, dropped, or lost.
    pub fn staged_gone(&mut self, folder: FolderId, node: NodeId) {
        self.lines.unkeep(folder, node);
        self.notes.gone(node);
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
