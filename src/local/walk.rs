//! A walk over the visible tree by directory handles: never through a link, never into our own directory, of any depth.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::LocalFolder;
use super::disk::{self, Kind};
use super::refusal::refused;
use crate::deed::DiskError;
use crate::path::{Name, RelPath};
use crate::tree::Stamp;

/// One thing found by a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file, a directory or something else at a path. A directory comes before what is in it.
    Entry {
        /// Where.
        path: RelPath,
        /// What.
        kind: Kind,
        /// Its stamp.
        stamp: Stamp,
    },
    /// A directory or entry that could not be read. What is below it is unknown, which is not the same as absent.
    Unreadable {
        /// Where.
        path: RelPath,
        /// Why.
        why: DiskError,
    },
}

impl LocalFolder {
    /// Shows everything below `start` to `visit`, which may stop the walk.
    ///
    /// One directory is open at a time; memory grows with the names of directories that are still to be visited.
    pub fn walk(&self, start: &RelPath, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut levels = vec![(start.clone(), None::<Vec<Name>>)];
        while let Some((path, waiting)) = levels.pop() {
            let here = match waiting {
                None => path,
                Some(mut names) => {
                    let Some(name) = names.pop() else { continue };
                    let here = path.join(&name);
                    levels.push((path, Some(names)));
                    here
                }
            };
            let mut folders = Vec::new();
            match self.visit_one(&here, &mut folders, visit) {
                Ok(flow) => flow?,
                Err(why) => {
                    let why = refused("read", &here, why);
                    visit(Found::Unreadable { path: here.clone(), why })?;
                }
            }
            if !folders.is_empty() {
                levels.push((here, Some(folders)));
            }
        }
        ControlFlow::Continue(())
    }

    /// Shows every directory below `start` to `visit`, before what is in it is read. Nothing else is looked at where the filesystem says in
    /// the directory what an entry is. Places that something is mounted on are left out; one that cannot be opened is shown.
    pub fn walk_folders(&self, start: &RelPath, visit: &mut dyn FnMut(&RelPath)) {
        let mut todo = vec![start.clone()];
        while let Some(here) = todo.pop() {
            let opened = self.lookup.open(self.top.as_fd(), self.stamp.dev, here.names());
            if matches!(opened, Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV)) {
                continue;
            }
            if here != *start {
                visit(&here);
            }
            let Ok(dir) = opened else { continue };
            let Ok(mut entries) = Dir::read_from(&dir) else { continue };
            while let Some(Ok(entry)) = entries.read() {
                let kind = entry.file_type();
                if !matches!(kind, FileType::Directory | FileType::Unknown) {
                    continue;
                }
                // The only names that a disk can hold and `Name` refuses are the dots and our own.
                let Ok(name) = Name::new(entry.file_name().to_bytes()) else { continue };
                let is_folder = || {
                    disk::look(dir.as_fd(), name.as_os_str())
                        .is_ok_and(|seen| seen.is_some_and(|seen| seen.is_folder()))
                };
                if kind == FileType::Directory || is_folder() {
                    todo.push(here.join(&name));
                }
            }
        }
    }

    /// Whether the visible tree holds nothing at all.
    pub fn is_empty(&self) -> Result<bool, DiskError> {
        let mut first = None;
        let _ = self.walk(&RelPath::root(), &mut |found| {
            first = Some(found);
            ControlFlow::Break(())
        });
        match first {
            None => Ok(true),
            Some(Found::Entry { .. }) => Ok(false),
            Some(Found::Unreadable { why, .. }) => Err(why),
        }
    }

    /// Shows the entries of one directory, and gathers the directories among them.
    fn visit_one(
        &self,
        path: &RelPath,
        folders: &mut Vec<Name>,
        visit: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> rustix::io::Result<ControlFlow<()>> {
        let dir = self.lookup.open(self.top.as_fd(), self.stamp.dev, path.names())?;
        let mut entries = Dir::read_from(&dir)?;
        while let Some(entry) = entries.read() {
            // The only names that a disk can hold and `Name` refuses are the dots and our own.
            let Ok(name) = Name::new(entry?.file_name().to_bytes()) else { continue };
            let seen = match disk::look(dir.as_fd(), name.as_os_str()) {
                Ok(Some(seen)) => seen,
                Ok(None) => continue,
                Err(why) => {
                    let path = path.join(&name);
                    let why = refused("look at", &path, why);
                    if visit(Found::Unreadable { path, why }).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    continue;
                }
            };
            let elsewhere = disk::is_elsewhere(dir.as_fd(), name.as_os_str(), &seen, self.stamp.dev);
            let kind = if elsewhere { Kind::Special } else { seen.kind };
            let found = Found::Entry { path: path.join(&name), kind, stamp: seen.stamp };
            if visit(found).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if kind == Kind::Folder {
                folders.push(name);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The names in a directory, without the dots.
pub(crate) fn names_in(dir: BorrowedFd<'_>, place: &dyn std::fmt::Display) -> Result<Vec<Vec<u8>>, DiskError> {
    let read = || {
        let mut names = Vec::new();
        let mut entries = Dir::read_from(dir)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        Ok::<_, Errno>(names)
    };
    read().map_err(|why| refused("read", place, why))
}

/// How many entries a directory holds, counted up to `most`.
pub(super) fn count_in(dir: BorrowedFd<'_>, name: &OsStr, most: u64) -> rustix::io::Result<u64> {
    let inner = disk::open_dir(dir, name)?;
    let mut entries = Dir::read_from(&inner)?;
    let mut count = 0;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        if ![&b"."[..], b".."].contains(&entry.file_name().to_bytes()) {
            count += 1;
            if count >= most {
                break;
            }
        }
    }
    Ok(count)
}
