//! Superseded and deleted local content, kept in `.folder-sync-agent/versions/` under the number of the job that displaced it.
//!
//! The files are here; what they are versions of is in the database. Files that the database does not know are left alone
//! and counted, because somebody wrote them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;

use bytes::Bytes;
use rustix::io::Errno;

use crate::deed::{DiskError, Staged};
use crate::id::JobId;
use crate::local::{LocalFolder, StageError, StageOrder, disk};
use crate::path::RESERVED_NAME;

/// How much of a version is copied at a time, in bytes.
const COPY_BYTES: u64 = 256 * 1024;

/// One kept content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The job that displaced it.
    pub job: JobId,
    /// Its length in bytes.
    pub size: u64,
    /// A regular file, which can be restored; links and special files that stood in the way are only kept.
    pub is_file: bool,
}

/// What the store holds, or what was removed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// How many contents.
    pub slots: u64,
    /// Their length together.
    pub bytes: u64,
}

impl Total {
    fn add(&mut self, size: u64) {
        self.slots += 1;
        self.bytes = self.bytes.saturating_add(size);
    }
}

/// The version store of one folder.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    folder: &'a LocalFolder,
}

impl<'a> Versions<'a> {
    /// The store of a folder.
    pub fn of(folder: &'a LocalFolder) -> Self {
        Self { folder }
    }

    /// Where a content is, for people.
    pub fn path(self, job: JobId) -> PathBuf {
        self.folder.root().join(RESERVED_NAME).join("versions").join(job.to_string())
    }

    /// All contents, in the order of their jobs.
    pub fn list(self) -> Result<Vec<Slot>, DiskError> {
        let mut slots = Vec::new();
        for name in self.folder.version_names()? {
            let job = std::str::from_utf8(&name).ok().and_then(|text| text.parse().ok()).map(JobId);
            if let Some(job) = job {
                slots.extend(self.find(job)?);
            }
        }
        slots.sort_unstable_by_key(|slot| slot.job);
        Ok(slots)
    }

    /// One content.
    pub fn find(self, job: JobId) -> Result<Option<Slot>, DiskError> {
        let seen = disk::look(self.folder.versions_dir().as_fd(), OsStr::new(&job.to_string()))
            .map_err(|why| self.refuse("look at version", job, why))?;
        Ok(seen.map(|seen| Slot { job, size: seen.stamp.size, is_file: seen.is_file() }))
    }

    /// How much the store holds.
    pub fn total(self) -> Result<Total, DiskError> {
        let mut total = Total::default();
        for slot in self.list()? {
            total.add(slot.size);
        }
        Ok(total)
    }

    /// Opens a content for reading.
    pub fn open(self, job: JobId) -> Result<File, DiskError> {
        let file = disk::open_file(self.folder.versions_dir().as_fd(), OsStr::new(&job.to_string()))
            .map_err(|why| self.refuse("open version", job, why))?;
        match disk::look_at(&file) {
            Ok(seen) if seen.is_file() => Ok(file),
            Ok(_) => Err(self.refuse("open version", job, Errno::LOOP)),
            Err(why) => Err(self.refuse("open version", job, why)),
        }
    }

    /// Copies a content into the staging directory, to be published again.
    pub fn stage(self, slot: JobId, order: &StageOrder) -> Result<Staged, StageError> {
        let mut from = self.open(slot)?;
        let mut writer = self.folder.stage(order)?;
        loop {
            let mut part = Vec::new();
            let read = from.by_ref().take(COPY_BYTES).read_to_end(&mut part);
            let length = read.map_err(|why| {
                let errno = why.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
                self.refuse("read version", slot, errno)
            })?;
            if length == 0 {
                return writer.finish();
            }
            writer.write(&[Bytes::from(part)])?;
        }
    }

    /// Removes contents for good; those that are gone already will do.
    pub fn prune(self, jobs: &[JobId]) -> Result<Total, DiskError> {
        let mut removed = Total::default();
        for &job in jobs {
            let Some(slot) = self.find(job)? else { continue };
            match disk::remove_file(self.folder.versions_dir().as_fd(), OsStr::new(&job.to_string())) {
                Ok(()) => removed.add(slot.size),
                Err(Errno::NOENT) => {}
                Err(why) => return Err(self.refuse("prune version", job, why)),
            }
        }
        Ok(removed)
    }

    fn refuse(self, operation: &str, job: JobId, why: Errno) -> DiskError {
        self.folder.refuse(operation, &job, why)
    }
}
