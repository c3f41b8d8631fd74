//! THE PLANNER: what the three trees say of one item, and what follows from it. Pure: values in, values out.

use crate::id::{ContentHash, ItemKind, NodeId, VersionId};
use crate::path::Name;
use crate::tree::{Seat, SyncedContent};

pub mod guard;

/// What the cloud has of an item, in local terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteSide {
    /// It is not in the watched folder (any more).
    Absent,
    /// It is there, but a pattern of the configuration keeps it out.
    FilteredOut,
    /// It is there.
    Present {
        /// The folder that holds it.
        parent: NodeId,
        /// The name that it gets on disk.
        name: Name,
        /// Version and digest; nothing for folders.
        content: Option<(VersionId, Option<ContentHash>)>,
    },
}

/// What cloud and disk last agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedSide {
    /// Where it is on disk.
    pub seat: Seat<NodeId>,
    /// What it holds; nothing for folders.
    pub content: Option<SyncedContent>,
}

/// What the trees say of one item. Every combination that can occur has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// Neither side has it: it came and went before we looked, or its removal is done.
    Nowhere,
    /// Only the cloud has it: new, restored, moved in, or lost locally.
    OnlyRemote,
    /// Only the disk has it: trashed or moved out in the cloud.
    OnlySynced,
    /// It is on disk, and a pattern now keeps it out.
    FilteredOut,
    /// Both have it, in the same place with the same content.
    Agreed,
    /// Both have it; the cloud has it elsewhere, or it is parked.
    Moved,
    /// Both have it in the same place; the cloud has another content.
    Changed,
    /// Both have it in the same place under another version whose digest is the same (a promoted or re-uploaded version).
    SameBytes,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing; the item needs no row.
    Forget,
    /// Nothing; cloud and disk agree.
    Settle,
    /// Take the item out of our books and leave the disk as it is.
    Release,
    /// Record the new version; the bytes are already there.
    Acknowledge,
    /// Make the directory.
    MakeFolder {
        /// The directory that is to hold it.
        parent: NodeId,
        /// Its name there.
        name: Name,
    },
    /// Fetch a file and put it in its place, which is either free or its own.
    Fetch {
        /// The directory that is to hold it.
        parent: NodeId,
        /// Its name there.
        name: Name,
    },
    /// Rename or move what is on disk; a new content, if there is one, comes after.
    Move {
        /// The directory that is to hold it.
        parent: NodeId,
        /// Its name there.
        name: Name,
    },
    /// Take it off the disk.
    Remove(ItemKind),
}

/// Names the situation of one item.
pub fn situation(remote: &RemoteSide, synced: Option<&SyncedSide>) -> Situation {
    let Some(synced) = synced else {
        return match remote {
            RemoteSide::Present { .. } => Situation::OnlyRemote,
            RemoteSide::Absent | RemoteSide::FilteredOut => Situation::Nowhere,
        };
    };
    // From here on the disk has it.
    let (parent, name, content) = match remote {
        RemoteSide::Absent => return Situation::OnlySynced,
        RemoteSide::FilteredOut => return Situation::FilteredOut,
        RemoteSide::Present { parent, name, content } => (parent, name, content),
    };
    // From here on both have it. The place is looked at before the content: a rename costs nothing, and once it is done the
    // content is compared again.
    match &synced.seat {
        Seat::Parked => return Situation::Moved,
        Seat::At { parent: there, name: called } if there != parent || called != name => return Situation::Moved,
        Seat::At { .. } => {}
    }
    match (content, &synced.content) {
        (Some((version, hash)), Some(ours)) if *version != ours.version => {
            let same = match (hash, &ours.hash) {
                (Some(theirs), Some(ours)) => theirs.same_content(ours) == Some(true),
                _ => false,
            };
            if same { Situation::SameBytes } else { Situation::Changed }
        }
        // Equal versions, or a folder. A file never turns into a folder under one id: the kind is part of the id.
        _ => Situation::Agreed,
    }
}

/// What a mirror does: the cloud decides.
pub fn mirror(kind: ItemKind, remote: &RemoteSide, synced: Option<&SyncedSide>) -> Action {
    let situation = situation(remote, synced);
    let RemoteSide::Present { parent, name, .. } = remote else {
        return match situation {
            Situation::OnlySynced => Action::Remove(kind),
            // The person who wrote the pattern asked for less to be synced, not for files to be deleted.
            Situation::FilteredOut => Action::Release,
            _ => Action::Forget,
        };
    };
    let (parent, name) = (*parent, name.clone());
    match situation {
        Situation::OnlyRemote if kind == ItemKind::Folder => Action::MakeFolder { parent, name },
        Situation::OnlyRemote | Situation::Changed => Action::Fetch { parent, name },
        Situation::Moved => Action::Move { parent, name },
        Situation::SameBytes => Action::Acknowledge,
        Situation::Agreed => Action::Settle,
        Situation::Nowhere | Situation::OnlySynced | Situation::FilteredOut => {
            unreachable!("these situations have no remote side")
        }
    }
}

#[cfg(test)]
mod tests;
