//! The watched directory as the rest of the agent sees it: everything goes through [`LocalFolder`], which works on directory
//! handles and single names, never destroys a byte that it did not write, and reports only what is durable.
//!
//! - [`LocalFolder::open`] proves that the root is the directory that we know (`root`).
//! - [`LocalFolder::stage`] writes a file out of sight and checks it (`stage`, `hash`); [`LocalFolder::stage_in_parts`] does so in any order
//!   and over restarts (`ranged`, `spans`).
//! - [`LocalFolder::execute`] carries out [deeds](crate::deed), each of which may be carried out again (`deeds`, `publish`).
//! - [`LocalFolder::walk`] looks at the visible tree (`walk`), [`LocalFolder::scan`] at one directory of it (`scan`).
//! - [`LocalFolder::open_file`] reads a file for the way up (`read`); [`watch()`] tells where something changed (`watch`).
//!
//! Every call blocks; the callers run them on threads that may.

mod batch;
mod deeds;
pub(crate) mod disk;
mod fault;
pub mod hash;
mod holding;
mod keep;
mod lookup;
mod publish;
mod ranged;
mod read;
pub mod recall;
mod refusal;
mod root;
mod scan;
mod spans;
mod stage;
pub mod survey;
mod sweep;
pub(crate) mod walk;
mod watch;

#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;

use crate::deed::{DiskError, DiskErrorKind};
use crate::tree::Stamp;

pub use disk::Kind;
pub use ranged::{PartOf, RangedWriter};
pub use read::OpenFile;
pub use root::{MARK_NAME, resolve_root};
pub use spans::Spans;
pub use stage::{SMALL_MAX_BYTES, StageError, StageOrder, StagedWriter};
pub use sweep::SweptParked;
pub use walk::Found;
pub use watch::{NoWatch, Watching, room_for_a_watch, watch};

/// How a folder is to be treated on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalOptions {
    /// Permissions of published files. Execute and set-id bits are never given.
    pub file_mode: u32,
    /// Permissions of directories.
    pub dir_mode: u32,
    /// Bytes that stay free on the disk.
    pub min_free: u64,
    /// Make the root and its mark if they are missing: when a folder is added, and never later.
    pub create: bool,
}

/// What the disk under a folder can do, found out when the folder is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskTraits {
    /// A rename can refuse to replace. Without it, a file that appears within microseconds may be lost.
    pub noreplace: bool,
    /// Two names can be swapped in one step. Without it, a replaced file is away for microseconds.
    pub exchange: bool,
    /// Names that differ only in case are the same name.
    pub folds_case: bool,
    /// One call can flush everything and reports errors.
    pub syncfs: bool,
}

/// The open root of a watched folder.
#[derive(Debug)]
pub struct LocalFolder {
    root: PathBuf,
    options: LocalOptions,
    lookup: lookup::Lookup,
    /// The root's own stamp, by which it is known.
    stamp: Stamp,
    group: u32,
    ours_ino: u64,
    /// What must be in our own directory, by name and inode.
    inside: [(&'static str, u64); 4],
    top: OwnedFd,
    ours: OwnedFd,
    staging: OwnedFd,
    parked: OwnedFd,
    versions: OwnedFd,
    disk: DiskTraits,
    /// Batches are carried out one after another.
    turn: Mutex<()>,
    /// Who writes to which file that is staged in parts.
    parts: ranged::Turns,
    digested: Arc<hash::DigestCount>,
}

impl LocalFolder {
    /// The root's path, for people and for programs that are told where a file is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root's device and inode.
    pub fn identity(&self) -> Stamp {
        self.stamp
    }

    /// What the disk can do.
    pub fn disk(&self) -> DiskTraits {
        self.disk
    }

    /// The files in it that were read for their digests, and their bytes, since it was opened.
    pub fn digested(&self) -> (u64, u64) {
        self.digested.get()
    }

    /// The size of the disk in bytes; a disk that does not tell counts as endless.
    pub fn disk_bytes(&self) -> u64 {
        rustix::fs::fstatvfs(&self.top).map_or(u64::MAX, |state| state.f_blocks.saturating_mul(state.f_frsize))
    }

    /// The bytes that may still be written to the disk, without those that are to stay free; a disk that does not tell counts as endless.
    pub fn free_bytes(&self) -> u64 {
        let free = rustix::fs::fstatvfs(&self.top);
        let free = free.map_or(u64::MAX, |state| state.f_bavail.saturating_mul(state.f_frsize));
        free.saturating_sub(self.options.min_free)
    }

    /// The handle of the version store's directory.
    pub(crate) fn versions_dir(&self) -> &OwnedFd {
        &self.versions
    }

    /// The names in the version store's directory.
    pub(crate) fn version_names(&self) -> Result<Vec<Vec<u8>>, DiskError> {
        walk::names_in(self.versions.as_fd(), &"versions")
    }

    /// An error of an operation in this folder. A missing right means something else if it is missing at the root itself.
    pub(crate) fn refuse(&self, operation: &str, place: &dyn std::fmt::Display, errno: Errno) -> DiskError {
        let mut refusal = refusal::refused(operation, place, errno);
        if matches!(errno, Errno::ACCESS | Errno::PERM) && !self.root_is_writable() {
            refusal.kind = DiskErrorKind::NotWritable;
        }
        refusal
    }

    fn root_is_writable(&self) -> bool {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(self.top.as_fd(), ".", access, AtFlags::EACCESS).is_ok()
    }

    /// The permissions of published files: the cloud never makes a program.
    fn file_mode(&self) -> u32 {
        self.options.file_mode & 0o666
    }
}
