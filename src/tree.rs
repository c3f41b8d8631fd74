//! What the cloud has, what the disk has, and what both agreed on: the same item seen three times.

use serde::{Deserialize, Serialize};

use crate::id::{ContentHash, Etag, ItemId, Sha256, VersionId};
use crate::path::Name;

/// A wall-clock moment in milliseconds since 1970 (UTC); may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

impl Wall {
    /// This moment plus a span in milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative if the clock went back.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The content of a file as the cloud describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteContent {
    /// The provider's id of this content.
    pub version: VersionId,
    /// Its digest, if the provider gave one.
    pub hash: Option<ContentHash>,
    /// Its length in bytes, if the provider gave it.
    pub size: Option<u64>,
    /// When the content was last modified, by the clock of whoever wrote it.
    pub modified: Option<Wall>,
}

/// A folder on the way from the top of the account down to an item, as an event or answer names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// The folder.
    pub id: ItemId,
    /// Its name at that moment.
    pub name: String,
}

/// A live item of the cloud, as a listing, an event or a look at the item describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteItem {
    /// The item.
    pub id: ItemId,
    /// The folder that holds it; nothing for the top of an account.
    pub parent: Option<ItemId>,
    /// Its name, in the cloud's own terms.
    pub name: String,
    /// The content; present exactly for files.
    pub content: Option<RemoteContent>,
    /// The provider's tag of this state.
    pub etag: Option<Etag>,
    /// The provider's count of changes to this very item (Box `sequence_id`): a smaller or equal one is older news.
    pub sequence: Option<u64>,
    /// The folders above, outermost first, where the source of this description named them.
    pub ancestors: Option<Vec<Ancestor>>,
    /// The whole path from the top of the account, where the provider names paths and not the folders above (Egnyte).
    #[serde(default)]
    pub path: Option<String>,
}

/// The answer to a look at one item by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemState {
    /// It is there.
    Active(Box<RemoteItem>),
    /// The provider says that it is in the trash or deleted.
    Trashed,
    /// The provider does not find it, which may also mean that we may no longer see it: no proof of a deletion.
    NotFound,
}

/// The identity and stamp of a local file or directory: if all of it is as recorded, the content is too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes; 0 for directories.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Status change time in nanoseconds since 1970. No program can set it; a rename, a link and a change of permissions move it too.
    pub ctime_ns: i64,
}

impl Stamp {
    /// The stamp of nothing that is known.
    pub const NONE: Self = Self { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };

    /// Whether two stamps seem to name the same file with the same content, whatever its name and permissions. As the status change time
    /// is left out, this proves a content only where a rename lies between the two; elsewhere the whole stamps are compared.
    pub fn same_content(&self, other: &Self) -> bool {
        self.dev == other.dev && self.ino == other.ino && self.size == other.size && self.mtime_ns == other.mtime_ns
    }

    /// Whether two stamps name the same inode.
    pub fn same_inode(&self, other: &Self) -> bool {
        self.dev == other.dev && self.ino == other.ino
    }
}

/// What the disk held when both sides last agreed on an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedContent {
    /// The version that is on disk.
    pub version: VersionId,
    /// The provider's digest of it.
    pub hash: Option<ContentHash>,
    /// Our digest of it.
    pub sha256: Option<Sha256>,
    /// Its length in bytes.
    pub size: u64,
}

/// Where an item is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seat<P> {
    /// In the visible tree: the directory that holds it, and its name there.
    At {
        /// The directory.
        parent: P,
        /// The name in it.
        name: Name,
    },
    /// Out of sight in our own directory, on its way from one place to another whose name was still taken.
    Parked,
}
