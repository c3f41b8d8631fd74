//! A look at a folder's visible tree beside a running agent: nothing is written, no link is followed, and its mark must be right.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::Dir;
use rustix::io::Errno;

use super::disk::{self, Kind};
use super::hash::{self, Digest};
use super::root::MARK_NAME;
use crate::id::ContentHash;
use crate::path::{Name, RESERVED_NAME, RelPath};
use crate::tree::Stamp;

/// The most that is read of a mark, in bytes.
const MARK_MAX_BYTES: u64 = 4_096;

/// The root of a folder, opened to be looked at.
#[derive(Debug)]
pub struct Survey {
    top: OwnedFd,
    dev: u64,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Name,
    /// What it is; anything on another filesystem is special.
    pub kind: Kind,
    /// Its stamp.
    pub stamp: Stamp,
}

impl Survey {
    /// Opens the root that `mark` names. Any other one, and none, is an error: an unmounted disk is not an empty folder.
    pub fn open(root: &Path, mark: &str) -> io::Result<Self> {
        let top: OwnedFd = File::open(root)?.into();
        let ours = disk::open_dir(top.as_fd(), OsStr::new(RESERVED_NAME))?;
        let mut text = String::new();
        disk::open_file(ours.as_fd(), OsStr::new(MARK_NAME))?.take(MARK_MAX_BYTES).read_to_string(&mut text)?;
        if text.trim_end() != mark {
            return Err(io::Error::other("the directory's mark names another folder"));
        }
        let dev = disk::look_at(&top)?.stamp.dev;
        Ok(Self { top, dev })
    }

    fn dir(&self, path: &[Name]) -> Result<OwnedFd, Errno> {
        let mut dir = disk::open_dir(self.top.as_fd(), OsStr::new("."))?;
        for name in path {
            dir = disk::open_dir(dir.as_fd(), name.as_os_str())?;
        }
        Ok(dir)
    }

    /// The entries of a directory, ours left out; nothing if it is not there. One that cannot be read is an error.
    pub fn entries(&self, path: &RelPath) -> io::Result<Option<Vec<Entry>>> {
        let dir = match self.dir(path.names()) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        let mut found = Vec::new();
        let mut entries = Dir::read_from(&dir)?;
        while let Some(entry) = entries.read() {
            // The only names that a disk can hold and `Name` refuses are the dots and our own.
            let Ok(name) = Name::new(entry?.file_name().to_bytes()) else { continue };
            if let Some(seen) = disk::look(dir.as_fd(), name.as_os_str())? {
                let elsewhere = disk::is_elsewhere(dir.as_fd(), name.as_os_str(), &seen, self.dev);
                let kind = if elsewhere { Kind::Special } else { seen.kind };
                found.push(Entry { name, kind, stamp: seen.stamp });
            }
        }
        Ok(Some(found))
    }

    /// Reads a file and digests it; nothing if it is not there any more.
    pub fn digest(&self, path: &RelPath, want: Option<&ContentHash>) -> io::Result<Option<Digest>> {
        let Some((above, name)) = path.split_last() else { return Ok(None) };
        let opened = self.dir(above.names()).and_then(|dir| disk::open_file(dir.as_fd(), name.as_os_str()));
        match opened {
            Ok(file) if disk::look_at(&file)?.is_file() => hash::digest(file, want).map(Some),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }
}
