//! What the local disk tells the engine, and what the engine asks it for the way up to the cloud: values only.
//!
//! A [`News`] is a hint like an event is; the truth is a [`DirScan`]. A scan tells three things apart that must never be mixed up: an
//! entry that is there, one that cannot be read, and one that is absent.

use serde::{Deserialize, Serialize};

use crate::deed::DiskError;
use crate::id::{ContentHash, HashKind, Sha256};
use crate::path::{Name, RelPath};
use crate::provider::{ProviderError, UploadTarget};
use crate::tree::{RemoteItem, Stamp, Wall};

/// How long nothing may have happened to a file before it counts as settled, in milliseconds.
pub const SETTLE_MS: i64 = 2_000;
/// A status change this far in the future is a clock that was wrong, not a file that is being written.
const CLOCK_SKEW_MS: i64 = 60_000;
/// The most directories that one hint names; more become [`Rescan::TooMuch`].
pub const NEWS_DIRS_MAX: usize = 1_000;
/// The most entries that one page of a scan holds, those that cannot be read included; several small directories share a page.
pub const SCAN_PAGE_ENTRIES: usize = 2_000;
/// The most directories that are scanned by one order.
pub const SCAN_DIRS_MOST: usize = 64;

/// What a watcher noticed in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something changed directly in these directories; scan them. A directory among them may be gone by now. One that appeared under a
    /// name is among them itself, with all below: what was told of it under another name may have led nowhere.
    Dirs(Vec<RelPath>),
    /// Changes may have been missed: scan everything.
    Rescan(Rescan),
    /// The root may not be the directory any more that was opened: look at it.
    Root,
}

/// Why a folder must be scanned as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rescan {
    /// The system dropped notifications.
    Overflow,
    /// More changed at once than is worth naming.
    TooMuch,
    /// Not every directory is watched; `text` says why and what to raise. Scans at an interval are needed from now on.
    Unwatched {
        /// For people.
        text: String,
    },
    /// The watcher has just begun: what changed before is unknown.
    Began,
    /// Somebody wants to know what is there now, and not all of it is watched.
    Asked,
}

/// A directory to be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanOrder {
    /// The directory.
    pub dir: RelPath,
    /// Only names after this one: the last name of the page before.
    pub after: Option<Name>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Folder,
    /// A symbolic link, which is never followed.
    Link,
    /// A pipe, a socket or a device.
    Special,
    /// A directory or file of another filesystem: a mount point. What is below is not ours.
    Mount,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalEntry {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: EntryKind,
    /// Its stamp.
    pub stamp: Stamp,
    /// How many names the inode has: with more than one, the inode alone does not prove a move.
    pub links: u64,
}

/// An entry that could not be looked at: unknown, which is not the same as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEntry {
    /// Its name.
    pub name: Name,
    /// Why.
    pub why: DiskError,
}

/// One page of a directory, ordered by the bytes of the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirScan {
    /// The directory's own stamp before it was read.
    pub stamp: Stamp,
    /// Whether the directory's stamp was the same afterwards. If not, names may be missing: scan again before believing an absence.
    pub steady: bool,
    /// The entries; our own directory is never among them.
    pub entries: Vec<LocalEntry>,
    /// Entries that could not be looked at.
    pub unreadable: Vec<UnreadableEntry>,
    /// There are more names; order the next page after this one.
    pub next: Option<Name>,
}

/// Why a directory was not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanFailure {
    /// It is not there, and the root still is the one that we know.
    Missing,
    /// Something else is there now.
    NotAFolder,
    /// It cannot be read. Nothing below it is known to be absent.
    Unreadable(DiskError),
}

/// A file to be digested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashOrder {
    /// The file.
    pub path: RelPath,
    /// What it is expected to be.
    pub stamp: Stamp,
    /// The digest that the provider speaks.
    pub hash: HashKind,
}

/// A digested file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedFile {
    /// Our digest.
    pub sha256: Sha256,
    /// The provider's digest.
    pub hash: ContentHash,
    /// Its stamp, before and after it was read.
    pub stamp: Stamp,
    /// Whether it had settled when it was read. A file that had not may be one that is still being written: ask again later.
    pub settled: bool,
}

/// Why a file has no digest, or was not uploaded, for a cause on this disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalMiss {
    /// It is not there.
    #[error("the file is not there any more")]
    Missing,
    /// It is not what was expected, or changed while it was read: start over with the stamp that it has now.
    #[error("the file changed")]
    Changed {
        /// Its stamp now.
        stamp: Stamp,
    },
    /// There is no regular file.
    #[error("it is not a regular file")]
    NotAFile,
    /// It cannot be read.
    #[error(transparent)]
    Failed(DiskError),
}

/// A local file to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadFile {
    /// The file.
    pub path: RelPath,
    /// What it is expected to be.
    pub stamp: Stamp,
    /// Where it goes.
    pub target: UploadTarget,
    /// Its digests, if they are known for this very stamp; else the worker reads the file once more.
    pub digests: Option<(Sha256, ContentHash)>,
    /// A chunked upload of this very content that was under way before.
    pub session: Option<String>,
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The file as the cloud has it now.
    pub item: RemoteItem,
    /// Our digest of what was uploaded.
    pub sha256: Sha256,
    /// The stamp of the local file, unchanged from before the first byte was read until after the provider's answer.
    pub stamp: Stamp,
}

/// Why a file was not uploaded.
#[derive(Debug, Clone)]
pub enum UploadFailure {
    /// The cloud's side. [`crate::provider::ProviderErrorKind::OutcomeUnknown`]: look before it is repeated.
    Provider(ProviderError),
    /// The disk's side; the cloud has not been changed.
    Local(LocalMiss),
    /// The upload happened, but the file changed while it was under way: the cloud has the content of before, which was the content of one
    /// moment. The engine records the upload and looks at the file again.
    ChangedAfter(Box<Uploaded>, LocalMiss),
}

/// How long until a file with this stamp counts as settled, in milliseconds; nothing if it has.
///
/// The status change time is what counts: programs set the modification time at will, but no program can set this one.
pub fn settles_in_ms(stamp: &Stamp, now: Wall) -> Option<i64> {
    let quiet = now.0.saturating_sub(stamp.ctime_ns.div_euclid(1_000_000));
    if quiet < -CLOCK_SKEW_MS {
        return None;
    }
    (quiet < SETTLE_MS).then(|| SETTLE_MS - quiet.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_settles_by_its_status_change_time() {
        let stamp =
            |ctime_ms: i64| Stamp { dev: 1, ino: 2, size: 3, mtime_ns: i64::MAX, ctime_ns: ctime_ms * 1_000_000 };
        let now = Wall(1_000_000);
        assert_eq!(settles_in_ms(&stamp(1_000_000 - SETTLE_MS), now), None);
        assert_eq!(settles_in_ms(&stamp(1_000_000 - 500), now), Some(1_500));
        assert_eq!(settles_in_ms(&stamp(1_000_000 + 500), now), Some(SETTLE_MS), "a clock may be a little off");
        assert_eq!(
            settles_in_ms(&stamp(1_000_000 + CLOCK_SKEW_MS + 1), now),
            None,
            "a wrong clock must not block for ever"
        );
    }
}
