//! Superseded and deleted local content, kept in `.folder-sync-agent/versions/` under the number of the job that displaced it. A directory
//! that left whole is kept as one, with the files in it under their names.
//!
//! The files are here; what they are versions of is in the database. Files that the database does not know are left alone
//! and counted, because somebody wrote them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bytes::Bytes;
use rustix::io::Errno;

use crate::deed::{DiskError, KeptAt, Staged};
use crate::id::JobId;
use crate::local::{LocalFolder, StageError, StageOrder, disk, walk};
use crate::path::RESERVED_NAME;

/// How much of a version is copied at a time, in bytes.
const COPY_BYTES: u64 = 256 * 1024;

/// What is kept under one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The job that displaced it.
    pub job: JobId,
    /// Its length in bytes; of a directory, that of all its files.
    pub size: u64,
    /// A regular file, or a directory of such, which can be restored; links and special files that stood in the way are only kept.
    pub is_restorable: bool,
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

    /// What is under one number.
    pub fn find(self, job: JobId) -> Result<Option<Slot>, DiskError> {
        let seen = disk::look(self.folder.versions_dir().as_fd(), OsStr::new(&job.to_string()))
            .map_err(|why| self.refuse("look at version", job, why))?;
        let Some(seen) = seen else { return Ok(None) };
        let size = if seen.is_folder() { self.size_of_dir(job)? } else { seen.stamp.size };
        Ok(Some(Slot { job, size, is_restorable: seen.is_file() || seen.is_folder() }))
    }

    fn size_of_dir(self, job: JobId) -> Result<u64, DiskError> {
        let dir = self.dir(job)?;
        let mut size = 0_u64;
        for name in walk::names_in(dir.as_fd(), &job)? {
            let seen = disk::look(dir.as_fd(), OsStr::from_bytes(&name));
            let seen = seen.map_err(|why| self.refuse("look at version", job, why))?;
            size = size.saturating_add(seen.map_or(0, |seen| seen.stamp.size));
        }
        Ok(size)
    }

    fn dir(self, job: JobId) -> Result<OwnedFd, DiskError> {
        disk::open_dir(self.folder.versions_dir().as_fd(), OsStr::new(&job.to_string()))
            .map_err(|why| self.refuse("open version", job, why))
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
    pub fn open(self, kept: &KeptAt) -> Result<File, DiskError> {
        let opened = match &kept.inside {
            None => disk::open_file(self.folder.versions_dir().as_fd(), OsStr::new(&kept.job.to_string())),
            Some(name) => disk::open_file(self.dir(kept.job)?.as_fd(), name.as_os_str()),
        };
        let file = opened.map_err(|why| self.refuse("open version", kept, why))?;
        match disk::look_at(&file) {
            Ok(seen) if seen.is_file() => Ok(file),
            Ok(_) => Err(self.refuse("open version", kept, Errno::LOOP)),
            Err(why) => Err(self.refuse("open version", kept, why)),
        }
    }

    /// Copies a content into the staging directory, to be published again.
    pub fn stage(self, kept: &KeptAt, order: &StageOrder) -> Result<Staged, StageError> {
        let mut from = self.open(kept)?;
        let mut writer = self.folder.stage(order)?;
        loop {
            let mut part = Vec::new();
            let read = from.by_ref().take(COPY_BYTES).read_to_end(&mut part);
            let length = read.map_err(|why| {
                let errno = why.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
                self.refuse("read version", kept, errno)
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
            let name = job.to_string();
            let versions = self.folder.versions_dir().as_fd();
            let seen =
                disk::look(versions, OsStr::new(&name)).map_err(|why| self.refuse("look at version", job, why))?;
            let Some(seen) = seen else { continue };
            let gone = if seen.is_folder() {
                removed.bytes = removed.bytes.saturating_add(self.empty(job)?);
                disk::remove_dir(versions, OsStr::new(&name))
            } else {
                disk::remove_file(versions, OsStr::new(&name))
            };
            match gone {
                Ok(()) => removed.add(if seen.is_folder() { 0 } else { seen.stamp.size }),
                Err(Errno::NOENT) => {}
                Err(why) => return Err(self.refuse("prune version", job, why)),
            }
        }
        Ok(removed)
    }

    /// Removes the files of a directory; their length.
    fn empty(self, job: JobId) -> Result<u64, DiskError> {
        // A directory that is on its way back must not lose files that are in sight by then: either it is gone before that, or it is not
        // here any more.
        let _turn = self.folder.turn();
        let dir = match disk::open_dir(self.folder.versions_dir().as_fd(), OsStr::new(&job.to_string())) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(0),
            Err(why) => return Err(self.refuse("open version", job, why)),
        };
        let mut bytes = 0_u64;
        for name in walk::names_in(dir.as_fd(), &job)? {
            let name = OsStr::from_bytes(&name);
            let seen = disk::look(dir.as_fd(), name).map_err(|why| self.refuse("look at version", job, why))?;
            match disk::remove_file(dir.as_fd(), name) {
                Ok(()) => bytes = bytes.saturating_add(seen.map_or(0, |seen| seen.stamp.size)),
                Err(Errno::NOENT) => {}
                Err(why) => return Err(self.refuse("prune version", job, why)),
            }
        }
        Ok(bytes)
    }

    fn refuse(self, operation: &str, what: impl std::fmt::Display, why: Errno) -> DiskError {
        self.folder.refuse(operation, &what, why)
    }
}
