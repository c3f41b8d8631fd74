//! THE PLANNER: what the three trees say of one item, and what follows from it. Pure: values in, values out.

use crate::id::{ContentHash, ItemKind, NodeId, VersionId};
use crate::path::Name;
use crate::settings::{FolderSettings, Mode, OnDrift, OnLocalDelete};
use crate::tree::{Seat, SyncedContent};

pub mod divergence;
pub mod guard;
pub mod order;
pub mod table;

pub use divergence::Divergence;

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

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing; the item needs no row.
    Forget,
    /// Nothing; cloud and disk agree.
    InSync,
    /// Drop the row of the item and leave the disk as it is.
    Untrack,
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
    ConflictCopy,
    /// The cloud deleted what the disk changed: it is the disk's alone from now on.
    Reupload,
    /// The disk lost what the cloud has and is to have again.
    Redownload,
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
    table::response(policy, kind, Divergence::of(remote, local, synced)).action(kind, remote, local)
}

/// What is to be done about an item in whose place something of another kind stands. What stands there is never followed.
pub fn covered(policy: Policy, kind: ItemKind, remote: &RemoteSide, by_mount: bool) -> Action {
    table::response(policy, kind, Divergence::of_covered(remote, by_mount)).action(kind, remote, &LocalSide::Absent)
}
