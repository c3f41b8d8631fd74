//! Deeds on the local disk as values: what the engine wants done, and what came of it.
//!
//! A deed is durable before it is carried out, so carrying one out twice must end in the same place: every deed says
//! what it expects to find, and its result tells "done" from "found something else". The module [`crate::local`] carries
//! them out; the engine and the simulation only see these values.

use serde::{Deserialize, Serialize};

use crate::id::{ContentHash, JobId, Sha256};
use crate::path::{Name, RelPath};
use crate::tree::{Stamp, Wall};

/// Where a path of a deed starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Base {
    /// The watched folder's root.
    Tree,
    /// The item parked under this job's number in `.folder-sync-agent/parked/`.
    Parked(JobId),
}

/// A local place: a base, and a path below it. A parked item itself is `Parked(job)` with an empty path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where the path starts.
    pub base: Base,
    /// The path below it.
    pub path: RelPath,
}

impl Place {
    /// A place in the visible tree.
    pub fn tree(path: RelPath) -> Self {
        Self { base: Base::Tree, path }
    }

    /// This place with one more component.
    #[must_use]
    pub fn join(&self, name: &Name) -> Self {
        Self { base: self.base.clone(), path: self.path.join(name) }
    }

    /// Where this place is after the directory `from` went to `to`.
    fn follow(&mut self, from: &Self, to: &Self) {
        if self.base == from.base && self.path.starts_with(&from.path) {
            let below = &self.path.names()[from.path.names().len()..];
            *self = below.iter().fold(to.clone(), |place, name| place.join(name));
        }
    }
}

/// A verified file in `.folder-sync-agent/staging/`, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Its name in the staging directory.
    pub name: Name,
    /// Its stamp when it was verified.
    pub stamp: Stamp,
    /// Our digest of it.
    pub sha256: Sha256,
    /// Whether content and modification time were already flushed (large files are, by whoever wrote them).
    pub flushed: bool,
}

/// What a deed expects at a place before it replaces or removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// The file or directory that we put there, with this stamp.
    Ours(Stamp),
}

/// Where a content of the version store lies: under the number of the job that displaced it, or in the directory that is kept there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAt {
    /// The job.
    pub job: JobId,
    /// Its name in the directory, if that went there whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Name>,
}

impl KeptAt {
    /// A content that has a number of its own.
    pub fn alone(job: JobId) -> Self {
        Self { job, inside: None }
    }
}

impl std::fmt::Display for KeptAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.inside {
            Some(name) => write!(f, "{}/{}", self.job, name.to_text()),
            None => self.job.fmt(f),
        }
    }
}

/// Everything below a directory as one value: as many entries, with these inodes, whatever their names and places. An edit in place is not
/// seen by it unless files were counted with their contents; anything that came, went or was replaced is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holding {
    /// Files and directories.
    pub entries: u64,
    /// The sum of a digest of each inode and its kind.
    sum: u64,
}

impl Holding {
    /// One more entry.
    pub fn add(&mut self, ino: u64, is_folder: bool) {
        self.entries += 1;
        self.sum = self.sum.wrapping_add(spread(ino.rotate_left(1) ^ u64::from(is_folder)));
    }

    /// One more file, with its content.
    pub fn add_content(&mut self, stamp: &Stamp) {
        self.entries += 1;
        let told = [stamp.size, stamp.mtime_ns as u64];
        self.sum = self.sum.wrapping_add(told.iter().fold(spread(stamp.ino), |sum, part| spread(sum ^ part)));
    }
}

/// The finish of SplitMix64: sums of its results do not cancel out by chance.
fn spread(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What becomes of a local edit that stands where a deed wants to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEdit {
    /// It goes to the version store, and the deed goes on.
    Displace,
    /// It stays, and the deed reports [`DeedResult::Edited`].
    Keep,
}

/// Files of one directory that go into the version store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepIn {
    /// The directory.
    pub at: Place,
    /// The files.
    pub files: Vec<Keep>,
    /// The number under which those of them that were not edited are kept together, in a directory; each has its own without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<JobId>,
}

/// A file that goes into the version store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Its name in its directory.
    pub name: Name,
    /// What we put there.
    pub expect: Stamp,
    /// The number under which it is kept.
    pub job: JobId,
}

/// One thing to be done on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// Make a directory; one that is already there will do.
    MakeFolder {
        /// The place of the new directory.
        at: Place,
    },
    /// Put a staged file in its place. What it replaces goes to `.folder-sync-agent/versions/JOB`.
    Publish {
        /// The staged file.
        staged: Staged,
        /// Where it is to appear.
        at: Place,
        /// What we believe to be there.
        expect: Expect,
        /// What to do with somebody's edit that is there instead.
        on_edit: OnEdit,
    },
    /// Rename or move what we put at one place to another. The target must be free.
    Relocate {
        /// Where it is.
        from: Place,
        /// Where it goes.
        to: Place,
        /// What we put there.
        expect: Stamp,
        /// It is a directory.
        is_folder: bool,
        /// What the directory may hold: with anything else in it, it stays where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holds: Option<Holding>,
    },
    /// Take a file out of the tree and into `.folder-sync-agent/versions/JOB`.
    RemoveFile {
        /// Where it is.
        at: Place,
        /// What we put there.
        expect: Stamp,
        /// What to do with somebody's edit of it.
        on_edit: OnEdit,
    },
    /// Remove a directory, only if it is empty.
    RemoveFolder {
        /// Where it is.
        at: Place,
    },
    /// Take files of directories that are out of sight into `.folder-sync-agent/versions/`, edited or not. One that is not there, or cannot
    /// be taken, holds up no other.
    KeepFiles {
        /// The directories, with the files of each.
        dirs: Vec<KeepIn>,
    },
    /// Take a directory that is out of sight, with the files in it, into `.folder-sync-agent/versions/JOB` by one rename; only if it holds
    /// just those, as we put them there.
    KeepFolder {
        /// Where it is.
        at: Place,
        /// The files in it, with their contents.
        holds: Holding,
    },
    /// Bring a directory back from `.folder-sync-agent/versions/FROM` with the files in it by one rename; only if it holds just those, as
    /// we put them there. The target must be free.
    RestoreFolder {
        /// The job under whose number it is kept.
        from: JobId,
        /// Where it goes.
        at: Place,
        /// The files in it, with their contents.
        holds: Holding,
    },
    /// See whether the file at a place already has the content that would be fetched.
    Adopt {
        /// Where it is.
        at: Place,
        /// The length that the cloud reports.
        size: Option<u64>,
        /// The digest that the cloud reports.
        hash: ContentHash,
        /// The modification time to give it.
        modified: Option<Wall>,
    },
}

impl Deed {
    /// The same deed after the directory `from` went to `to`.
    pub fn follow(&mut self, from: &Place, to: &Place) {
        match self {
            Self::Relocate { from: old, to: new, .. } => {
                old.follow(from, to);
                new.follow(from, to);
            }
            Self::KeepFiles { dirs } => dirs.iter_mut().for_each(|dir| dir.at.follow(from, to)),
            Self::MakeFolder { at }
            | Self::Publish { at, .. }
            | Self::RemoveFile { at, .. }
            | Self::RemoveFolder { at }
            | Self::KeepFolder { at, .. }
            | Self::RestoreFolder { at, .. }
            | Self::Adopt { at, .. } => at.follow(from, to),
        }
    }
}

/// A deed with the job that asked for it; the job's number names what the deed leaves in our own directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeedOrder {
    /// The job.
    pub job: JobId,
    /// What to do.
    pub deed: Deed,
}

/// What a deed moved into the version store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Displaced {
    /// Length in bytes.
    pub size: u64,
    /// Whether it was not what we had put there: somebody's own edit.
    pub edited: bool,
}

/// What came of a deed. Everything named here is durable when it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeedResult {
    /// It is as the deed wanted it, now or already before.
    Done {
        /// The stamp of what is at the target place now; nothing for removals.
        stamp: Option<Stamp>,
        /// What went to the version store under the job's number.
        displaced: Option<Displaced>,
    },
    /// `KeepFiles`: what went to the version store of each file; nothing if it did not. Where they are kept together, an edited one has the
    /// number of its own all the same.
    Kept {
        /// In the order of the files.
        files: Vec<Option<Displaced>>,
    },
    /// `Adopt`: the content is equal.
    Adopted {
        /// The stamp of the file.
        stamp: Stamp,
        /// Our digest of it.
        sha256: Sha256,
    },
    /// What the deed was to move, remove or adopt is not there.
    Missing,
    /// `Adopt`: there is a file, with another content.
    Different,
    /// The target place is taken by something that is not ours (`Relocate`, `MakeFolder`), or by a directory where a
    /// file is to go.
    Occupied {
        /// Whether a directory is in the way.
        by_folder: bool,
    },
    /// `OnEdit::Keep`: somebody's edit is there, and was left alone.
    Edited {
        /// The stamp of the edit.
        stamp: Stamp,
    },
    /// `RemoveFolder`: the directory still holds this many entries that are not ours to remove. `Relocate`: it does not hold just what it
    /// may hold.
    NotEmpty {
        /// How many.
        entries: u64,
    },
    /// The staged file of a `Publish` is gone or is not what was verified: fetch it again.
    StagedLost,
    /// The disk refused.
    Failed(DiskError),
}

/// Why the disk refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct DiskError {
    /// What kind of refusal it is, which decides what happens next.
    pub kind: DiskErrorKind,
    /// Operation, place and the system's own words.
    pub text: String,
}

/// The kinds of refusal that call for different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskErrorKind {
    /// No space, no inodes, or over quota: the folder waits for room.
    Full,
    /// The root is missing, is not the directory we knew, or its filesystem changed: the folder halts.
    RootLost,
    /// Read-only filesystem or no right to write at the root itself: the folder waits.
    NotWritable,
    /// A component on the way is a symbolic link, a mount point or not a directory.
    UnsafePath,
    /// The directory in which something is to appear is not there: plan again.
    ParentMissing,
    /// Something that concerns this one item.
    Item,
}
