//! THE PLANNER: what the three trees say of one item, and what follows from it. Pure: values in, values out.

use crate::id::{ContentHash, ItemKind, NodeId, VersionId};
use crate::path::Name;
use crate::settings::{FolderSettings, Mode, OnDrift, OnLocalDelete};
use crate::tree::{Seat, SyncedContent};

pub mod drift;
pub mod guard;
pub mod two_way;
pub mod upload;

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

/// What the disk has of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalSide {
    /// What the synced side says: all of it, or nothing if there is no synced side.
    AsSynced,
    /// Nothing, though the synced side says otherwise.
    Absent,
    /// Something else.
    Present {
        /// The directory that holds it.
        parent: NodeId,
        /// Its name there.
        name: Name,
        /// What it holds.
        content: LocalContent,
    },
}

/// What a file on disk holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalContent {
    /// The synced content; directories always.
    Synced,
    /// Something that was not read yet.
    Unread,
    /// Something with this digest, in the provider's terms.
    Read(ContentHash),
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
    /// Read the local file, so that it is known whether its content is another one.
    Read,
    /// Take the cloud's place and version and the disk's stamp for what both agree on: they hold the same.
    Agree,
    /// Bring a file into the cloud that it does not have.
    Upload {
        /// The directory that holds it on disk.
        parent: NodeId,
        /// Its name there.
        name: Name,
    },
    /// Bring a new version of a file into the cloud.
    Update,
    /// Make a folder in the cloud.
    MakeRemote {
        /// The directory that holds it on disk.
        parent: NodeId,
        /// Its name there.
        name: Name,
    },
    /// Give it the disk's place in the cloud.
    MoveRemote {
        /// The directory that holds it on disk.
        parent: NodeId,
        /// Its name there.
        name: Name,
    },
    /// Put it into the cloud's trash.
    Trash(ItemKind),
    /// Both sides wrote something: the disk's content goes aside under another name, as a file of its own.
    Part,
    /// The cloud deleted what the disk changed: it is the disk's alone from now on.
    Revive,
    /// The disk lost what the cloud has and is to have again.
    Restore,
    /// They differ, and it is to stay so for now; people are told.
    Leave,
}

impl Action {
    /// Whether it changes the cloud.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::Upload { .. } | Self::Update | Self::MakeRemote { .. } | Self::MoveRemote { .. } | Self::Trash(_)
        )
    }
}

/// Who decides in a folder, and what a mirror makes of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Policy {
    /// Who decides.
    pub mode: Mode,
    /// What becomes of edited files in a mirror.
    pub on_drift: OnDrift,
    /// What becomes of locally deleted files in a mirror.
    pub on_local_delete: OnLocalDelete,
}

impl Policy {
    /// What a folder's settings ask for.
    pub fn of(settings: &FolderSettings) -> Self {
        Self { mode: settings.mode, on_drift: settings.on_drift, on_local_delete: settings.on_local_delete }
    }

    /// Whether local changes travel to the cloud.
    pub fn sends(self) -> bool {
        self.mode != Mode::Mirror
    }
}

/// What is to be done about one item.
pub fn decide(
    policy: Policy,
    kind: ItemKind,
    remote: &RemoteSide,
    local: &LocalSide,
    synced: Option<&SyncedSide>,
) -> Action {
    match policy.mode {
        Mode::Mirror if *local == LocalSide::AsSynced => mirror(kind, remote, synced),
        Mode::Mirror => drift::drifted(kind, remote, local, synced, policy.on_drift, policy.on_local_delete),
        Mode::TwoWay => two_way::two_way(kind, remote, local, synced),
        Mode::Upload => upload::upload(kind, remote, local, synced),
    }
}

/// What is to be done about an item in whose place something of another kind stands: a link, a device, a directory for a file. It is never
/// taken for deleted, and what stands there is never followed. A mount point cannot be moved aside.
pub fn covered(policy: Policy, remote: &RemoteSide, by_mount: bool) -> Action {
    match remote {
        RemoteSide::Absent => Action::Forget,
        RemoteSide::FilteredOut => Action::Release,
        RemoteSide::Present { .. } if !policy.sends() && policy.on_drift == OnDrift::Restore && !by_mount => {
            Action::Restore
        }
        RemoteSide::Present { .. } => Action::Leave,
    }
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
/// Nobody touched the disk; [`drift`] has the rest.
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
