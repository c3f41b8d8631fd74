//! Staging: a file is written where nobody looks, checked against what the cloud said of it, and made ready to be published.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use rustix::fs::{self, Advice, FallocateFlags};
use rustix::io::Errno;

use super::hash::{Digest, Digests, Match};
use super::refusal::{errno, error};
use super::{LocalFolder, disk};
use crate::deed::{DiskError, DiskErrorKind, Staged};
use crate::id::{ContentHash, JobId};
use crate::path::Name;
use crate::tree::Wall;

/// Up to this length a file is staged in one call and flushed with its batch; a longer one is flushed when it is finished.
pub const SMALL_MAX_BYTES: u64 = 256 * 1024;

/// How much of a long file is written before the disk is told to begin, so that the last flush has little left to do.
const WRITE_BEHIND_BYTES: u64 = 8 * 1024 * 1024;

/// From this length on the digests are computed beside the writing.
const HASH_BESIDE_MIN_BYTES: u64 = 4 * 1024 * 1024;

/// How many parts may wait for their digest.
const HASH_WAITING_MAX: usize = 4;

/// What is to be staged, and how to know that it is right.
#[derive(Debug, Clone)]
pub struct StageOrder {
    /// The job; its number begins the name in the staging directory.
    pub job: JobId,
    /// The length that the cloud reports.
    pub size: Option<u64>,
    /// The digest that the cloud reports.
    pub hash: Option<ContentHash>,
    /// The modification time to give the file.
    pub modified: Option<Wall>,
}

/// Why a file was not staged. Nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The content has another length than the cloud said.
    #[error("{found} bytes came where {expected} were expected")]
    WrongSize {
        /// What the cloud said.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The content has another digest than the cloud said.
    #[error("the digest of the content is not the one that the cloud reported")]
    WrongHash,
}

/// A file that is being staged. Dropping it before [`StagedWriter::finish`] removes the file.
pub struct StagedWriter<'a> {
    folder: &'a LocalFolder,
    order: StageOrder,
    name: Name,
    file: File,
    hashing: Hashing,
    written: u64,
    started: u64,
    kept: bool,
}

impl LocalFolder {
    /// Begins a file in the staging directory, with room reserved for all of it.
    pub fn stage(&self, order: &StageOrder) -> Result<StagedWriter<'_>, DiskError> {
        self.check_room(order.size.unwrap_or(0))?;
        let random = uuid::Uuid::new_v4().simple();
        let text = format!("{}-{random}", order.job);
        let name =
            Name::new(text.as_bytes()).map_err(|why| error(DiskErrorKind::Item, "stage", &text, &why.to_string()))?;
        let file = disk::create_file(self.staging.as_fd(), name.as_os_str())
            .map_err(|why| self.refuse("stage", &name, why))?;
        let writer = StagedWriter {
            folder: self,
            order: order.clone(),
            name,
            file,
            hashing: Hashing::new(order.hash.as_ref()),
            written: 0,
            started: 0,
            kept: false,
        };
        if let Some(size) = order.size.filter(|size| *size > SMALL_MAX_BYTES) {
            writer.reserve(size)?;
        }
        Ok(writer)
    }

    /// Stages a whole small file from memory.
    pub fn stage_small(&self, order: &StageOrder, content: &[Bytes]) -> Result<Staged, StageError> {
        let mut writer = self.stage(order)?;
        writer.write(content)?;
        writer.finish()
    }

    /// Where a staged file is, for a hook that looks at it.
    pub fn staged_path(&self, name: &Name) -> PathBuf {
        self.root.join(crate::path::RESERVED_NAME).join("staging").join(name.as_os_str())
    }

    /// Opens a staged file; fails if it is not the one that was verified.
    pub fn open_staged(&self, staged: &Staged) -> Result<File, DiskError> {
        let file = disk::open_file(self.staging.as_fd(), staged.name.as_os_str())
            .map_err(|why| self.refuse("open the staged", &staged.name, why))?;
        let seen = disk::look_at(&file).map_err(|why| self.refuse("look at the staged", &staged.name, why))?;
        if seen.is_content(&staged.stamp) {
            Ok(file)
        } else {
            Err(error(DiskErrorKind::Item, "open the staged", &staged.name, "it is not the file that was verified"))
        }
    }

    /// Opens a staged file for reading; nothing if it is gone, or is not the file that was staged.
    pub fn read_staged(&self, staged: &Staged) -> Result<Option<File>, DiskError> {
        let refuse = |why| self.refuse("read the staged", &staged.name, why);
        let at = (self.staging.as_fd(), staged.name.as_os_str());
        match disk::look(at.0, at.1).map_err(refuse)? {
            Some(seen) if seen.is_file() && seen.stamp.ino == staged.stamp.ino => {
                disk::open_file(at.0, at.1).map(Some).map_err(refuse)
            }
            _ => Ok(None),
        }
    }

    /// Removes a staged file that is no longer wanted; fine if it is gone. What has its name and is not that file was displaced by a
    /// publish that could not be ended: it is somebody's content, and goes into the version store.
    pub fn discard_staged(&self, staged: &Staged) -> Result<(), DiskError> {
        let refuse = |why| self.refuse("discard the staged", &staged.name, why);
        let at = (self.staging.as_fd(), staged.name.as_os_str());
        match disk::look(at.0, at.1).map_err(refuse)? {
            None => return Ok(()),
            Some(seen) if seen.stamp.ino != staged.stamp.ino => {
                let rescued = format!("rescued-{}", staged.name);
                let to = (self.versions.as_fd(), OsStr::new(&rescued));
                disk::rename_free(self.disk.noreplace, at, to).map_err(refuse)?;
                tracing::warn!(
                    name = rescued,
                    "a displaced file was still in the staging directory: the version store has it"
                );
                return Ok(());
            }
            Some(_) => {}
        }
        match disk::remove_file(at.0, at.1) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(why) => Err(refuse(why)),
        }
    }

    /// Whether `more` bytes and one more file fit, with what is to stay free.
    pub fn check_room(&self, more: u64) -> Result<(), DiskError> {
        let state = fs::fstatvfs(&self.staging).map_err(|why| self.refuse("measure", &self.root.display(), why))?;
        let free = state.f_bavail.saturating_mul(state.f_frsize);
        if free < more.saturating_add(self.options.min_free) {
            let why =
                format!("{free} bytes are free, {more} are needed and {} are to stay free", self.options.min_free);
            return Err(error(DiskErrorKind::Full, "stage in", &self.root.display(), &why));
        }
        Ok(())
    }
}

impl StagedWriter<'_> {
    /// Appends bytes.
    pub fn write(&mut self, content: &[Bytes]) -> Result<(), DiskError> {
        let length: usize = content.iter().map(Bytes::len).sum();
        self.hashing.update(content);
        write_all(&mut self.file, content).map_err(|why| self.folder.refuse("write", &self.name, errno(&why)))?;
        self.written += length as u64;
        if self.written >= HASH_BESIDE_MIN_BYTES {
            self.hashing.go_beside();
        }
        if self.written - self.started >= WRITE_BEHIND_BYTES {
            if self.order.size.is_none() {
                // Nothing could be reserved for it.
                self.folder.check_room(0)?;
            }
            self.write_behind();
        }
        Ok(())
    }

    /// Forgets everything written so far.
    pub fn restart(&mut self) -> Result<(), DiskError> {
        let emptied = fs::ftruncate(&self.file, 0).and_then(|()| fs::seek(&self.file, fs::SeekFrom::Start(0)));
        emptied.map_err(|why| self.folder.refuse("empty", &self.name, why))?;
        self.hashing = Hashing::new(self.order.hash.as_ref());
        self.written = 0;
        self.started = 0;
        match self.order.size.filter(|size| *size > SMALL_MAX_BYTES) {
            Some(size) => self.reserve(size),
            None => Ok(()),
        }
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Checks the content, gives the file its permissions and time, and flushes a long one.
    pub fn finish(mut self) -> Result<Staged, StageError> {
        let hashing = std::mem::replace(&mut self.hashing, Hashing::Here(Digests::new(None)));
        let Some(Digest { size, sha256, provider }) = hashing.finish() else {
            let why = "the thread that computed its digest ended";
            return Err(error(DiskErrorKind::Item, "finish", &self.name, why).into());
        };
        if let Some(expected) = self.order.size.filter(|expected| *expected != size) {
            return Err(StageError::WrongSize { expected, found: size });
        }
        if provider == Match::Different {
            return Err(StageError::WrongHash);
        }
        let flushed = size > SMALL_MAX_BYTES;
        let stamp = self.seal(flushed).map_err(|why| self.folder.refuse("finish", &self.name, why))?;
        self.kept = true;
        Ok(Staged { name: self.name.clone(), stamp, sha256, flushed })
    }

    fn seal(&self, flush: bool) -> rustix::io::Result<crate::tree::Stamp> {
        disk::set_mode(&self.file, self.folder.file_mode())?;
        if let Some(modified) = self.order.modified {
            disk::set_modified(&self.file, disk::wall_ns(modified))?;
        }
        if flush {
            disk::flush(&self.file)?;
        }
        Ok(disk::look_at(&self.file)?.stamp)
    }

    /// Takes the room for the whole file now: better to fail before the download than after it.
    fn reserve(&self, size: u64) -> Result<(), DiskError> {
        match fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, size) {
            Err(why @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(self.folder.refuse("reserve room for", &self.name, why))
            }
            // Filesystems that cannot reserve say so in several ways, and writing will show what is wrong.
            _ => Ok(()),
        }
    }

    /// Lets the disk begin with what was written, so that the flush at the end does not wait for all of it.
    fn write_behind(&mut self) {
        let length = std::num::NonZeroU64::new(self.written - self.started);
        // Advice is never an error worth reporting.
        let _ = fs::fadvise(&self.file, self.started, length, Advice::DontNeed);
        self.started = self.written;
    }
}

impl Drop for StagedWriter<'_> {
    fn drop(&mut self) {
        if !self.kept && disk::remove_file(self.folder.staging.as_fd(), self.name.as_os_str()).is_err() {
            tracing::debug!(name = %self.name, "an unfinished file stays until the next sweep");
        }
    }
}

/// Where the digests are computed: here, or for long files on a thread beside the one that writes.
pub(super) enum Hashing {
    Here(Digests),
    Beside { parts: mpsc::SyncSender<Vec<Bytes>>, thread: JoinHandle<Digests> },
}

impl Hashing {
    /// Begins with nothing.
    pub fn new(want: Option<&ContentHash>) -> Self {
        Self::Here(Digests::new(want))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, content: &[Bytes]) {
        match self {
            Self::Here(digests) => {
                for bytes in content {
                    digests.update(bytes);
                }
            }
            // If the thread has ended, the missing digest says so at the end.
            Self::Beside { parts, .. } => drop(parts.send(content.to_vec())),
        }
    }

    /// Moves the work to a thread of its own, if it is not there yet.
    pub fn go_beside(&mut self) {
        let Self::Here(digests) = self else { return };
        let mut digests = std::mem::replace(digests, Digests::new(None));
        let (parts, waiting) = mpsc::sync_channel::<Vec<Bytes>>(HASH_WAITING_MAX);
        let thread = std::thread::spawn(move || {
            for content in waiting {
                for bytes in &content {
                    digests.update(bytes);
                }
            }
            digests
        });
        *self = Self::Beside { parts, thread };
    }

    /// The digests; nothing if the thread has ended.
    pub fn finish(self) -> Option<Digest> {
        match self {
            Self::Here(digests) => Some(digests.finish()),
            Self::Beside { parts, thread } => {
                drop(parts);
                thread.join().ok().map(Digests::finish)
            }
        }
    }
}

fn write_all(file: &mut File, content: &[Bytes]) -> std::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = content.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        super::fault::here()?;
        match file.write_vectored(rest) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(length) => IoSlice::advance_slices(&mut rest, length),
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}
