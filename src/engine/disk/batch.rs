//! What items want of the disk, and the batch of deeds that a step puts together for a folder.
//!
//! Invariant: a deed that moves a directory changes the paths of everything below it, and is the last of its batch.

use std::collections::BTreeSet;

use crate::deed::{Deed, Holding};
use crate::id::NodeId;
use crate::path::Name;
use crate::store::intents::IntentRow;

/// Deeds in one batch.
pub(in crate::engine) const DEEDS_PER_BATCH: usize = 64;

/// Files in directories that one batch brings back: what comes of them is written down in one step. A directory with more is the last of
/// its batch.
const BROUGHT_PER_BATCH: u64 = 500;

/// What an item wants of the disk.
#[derive(Debug, Clone)]
pub(in crate::engine) enum Want {
    /// A new directory.
    MakeFolder { parent: NodeId, name: Name },
    /// Its staged content in its place.
    Publish { parent: NodeId, name: Name },
    /// To know whether the content is already there.
    Adopt { parent: NodeId, name: Name },
    /// Another place.
    Move { parent: NodeId, name: Name },
    /// Out of the way of another item.
    Park,
    /// Out of sight with all that is in it, if that is just this.
    Hide { holds: Holding },
    /// Off the disk.
    RemoveFile,
    /// Off the disk, if it is empty.
    RemoveFolder,
    /// Beside the cloud's version, as a file of its own.
    Part { parent: NodeId, name: Name },
    /// Another name on disk, as the cloud has something else under its own.
    Aside { parent: NodeId, name: Name },
    /// What stands in its place out of it: to another name, or into the version store.
    Uncover { aside: Option<(NodeId, Name)> },
}

impl Want {
    /// The place on disk that it takes.
    pub fn target(&self) -> Option<(NodeId, Name)> {
        match self {
            Self::MakeFolder { parent, name }
            | Self::Publish { parent, name }
            | Self::Adopt { parent, name }
            | Self::Move { parent, name }
            | Self::Part { parent, name }
            | Self::Aside { parent, name } => Some((*parent, name.clone())),
            Self::Uncover { aside } => aside.clone(),
            Self::Park | Self::Hide { .. } | Self::RemoveFile | Self::RemoveFolder => None,
        }
    }
}

/// A batch that is being put together.
#[derive(Debug, Default)]
pub(in crate::engine) struct Building {
    intents: Vec<IntentRow>,
    /// Places that the batch takes.
    taken: BTreeSet<(NodeId, Name)>,
    /// A directory moves: nothing may follow.
    closed: bool,
    /// Files in directories that come back.
    brought: u64,
}

impl Building {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.intents.is_empty()
    }

    /// Whether nothing more goes into it.
    pub fn is_full(&self) -> bool {
        self.closed || self.brought >= BROUGHT_PER_BATCH || self.intents.len() >= DEEDS_PER_BATCH
    }

    /// Whether a deed that takes a place may go into it.
    pub fn has_room_for(&self, target: Option<&(NodeId, Name)>) -> bool {
        !self.is_full() && !target.is_some_and(|target| self.taken.contains(target))
    }

    /// What is in it.
    pub fn intents(&self) -> &[IntentRow] {
        &self.intents
    }

    /// Puts a deed into it.
    pub fn add(&mut self, intent: IntentRow, target: Option<(NodeId, Name)>, is_folder: bool) {
        self.closed |= match intent.order.deed {
            Deed::Relocate { .. } => is_folder,
            Deed::KeepFiles { .. } => true,
            _ => false,
        };
        if let Deed::RestoreFolder { holds, .. } = &intent.order.deed {
            self.brought += holds.entries;
        }
        self.taken.extend(target);
        self.intents.push(intent);
    }

    /// Takes what is in it; another one begins.
    pub fn take(&mut self) -> Vec<IntentRow> {
        std::mem::take(self).intents
    }
}
