//! One directory at a time, for whoever compares the disk with what is known: what is there, what cannot be read, and nothing else.

use std::collections::BinaryHeap;
use std::os::fd::AsFd;

use rustix::fs::Dir;
use rustix::io::Errno;

use super::LocalFolder;
use super::disk::{self, Kind};
use super::refusal::refused;
use crate::deed::DiskErrorKind;
use crate::local_news::{DirScan, EntryKind, LocalEntry, SCAN_PAGE_ENTRIES, ScanFailure, ScanOrder, UnreadableEntry};
use crate::path::Name;

impl LocalFolder {
    /// Lists one page of a directory, ordered by the bytes of the names. Memory is bounded by the page, whatever the directory holds.
    pub fn scan(&self, order: &ScanOrder) -> Result<DirScan, ScanFailure> {
        let dir = &order.dir;
        if dir.is_root() {
            self.check_root().map_err(ScanFailure::Unreadable)?;
        }
        let unreadable = |why| ScanFailure::Unreadable(refused("read", dir, why));
        let handle = match self.lookup.open(self.top.as_fd(), self.stamp.dev, dir.names()) {
            Ok(handle) => handle,
            // Under a root that went away everything is missing, and nothing is deleted.
            Err(Errno::NOENT) => {
                return Err(self.check_root().map_or_else(ScanFailure::Unreadable, |()| ScanFailure::Missing));
            }
            // Which it is on the way, the scan of the directory above tells.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::XDEV) if !dir.is_root() => return Err(ScanFailure::NotAFolder),
            Err(why) => return Err(unreadable(why)),
        };
        let before = disk::look_at(&handle).map_err(unreadable)?.stamp;
        let (names, more) = page(&handle, order.after.as_ref()).map_err(unreadable)?;
        let next = if more { names.last().cloned() } else { None };
        let mut scan = DirScan { stamp: before, steady: false, entries: Vec::new(), unreadable: Vec::new(), next };
        for name in names {
            match disk::look(handle.as_fd(), name.as_os_str()) {
                Ok(Some(seen)) => scan.entries.push(LocalEntry {
                    kind: if disk::is_elsewhere(handle.as_fd(), name.as_os_str(), &seen, self.stamp.dev) {
                        EntryKind::Mount
                    } else {
                        kind_of(seen.kind)
                    },
                    name,
                    stamp: seen.stamp,
                    links: seen.links,
                }),
                // It went away just now, which the directory's own stamp tells as well.
                Ok(None) => {}
                Err(why) => {
                    let why = refused("look at", &dir.join(&name), why);
                    scan.unreadable.push(UnreadableEntry { name, why });
                }
            }
        }
        scan.steady = disk::look_at(&handle).map_err(unreadable)?.stamp == before;
        if dir.is_root() && scan.entries.is_empty() {
            // What looks emptied may have been unmounted while it was read.
            self.check_root().map_err(ScanFailure::Unreadable)?;
        }
        Ok(scan)
    }
}

impl ScanFailure {
    /// Whether the root itself is the trouble.
    pub fn is_root_lost(&self) -> bool {
        matches!(self, Self::Unreadable(why) if why.kind == DiskErrorKind::RootLost)
    }
}

fn kind_of(kind: Kind) -> EntryKind {
    match kind {
        Kind::File => EntryKind::File,
        Kind::Folder => EntryKind::Folder,
        Kind::Link => EntryKind::Link,
        Kind::Special => EntryKind::Special,
    }
}

/// The first names after `after`, and whether there are more.
fn page(dir: &impl AsFd, after: Option<&Name>) -> rustix::io::Result<(Vec<Name>, bool)> {
    let mut names = BinaryHeap::new();
    let mut more = false;
    let mut entries = Dir::read_from(dir)?;
    while let Some(entry) = entries.read() {
        // The only names that a disk can hold and `Name` refuses are the dots and our own.
        let Ok(name) = Name::new(entry?.file_name().to_bytes()) else { continue };
        if after.is_some_and(|after| name <= *after) {
            continue;
        }
        names.push(name);
        if names.len() > SCAN_PAGE_ENTRIES {
            names.pop();
            more = true;
        }
    }
    let mut names = names.into_sorted_vec();
    // A name may be read twice while others come and go.
    names.dedup();
    Ok((names, more))
}

#[cfg(test)]
mod tests;
