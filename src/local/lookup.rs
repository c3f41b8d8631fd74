//! From a checked path to a directory handle, never through a link, out of the root or onto another mount.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, Mode, ResolveFlags};
use rustix::io::{Errno, Result};

use super::disk;
use crate::path::Name;

/// How often a lookup that raced with a rename is tried again.
const RACED_TRIES: u32 = 8;

/// How many bytes of path one call is given; the system takes at most 4,096.
const PATH_CALL_BYTES: usize = 3_000;

/// How paths are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// By the kernel, in one call.
    Openat2,
    /// Name by name, where the kernel or a filter refuses `openat2`.
    Walk,
}

impl Lookup {
    /// Which way works here.
    pub(super) fn probe(top: BorrowedFd<'_>) -> Self {
        match openat2(top, OsStr::new(".")) {
            Ok(_) => Self::Openat2,
            Err(_) => Self::Walk,
        }
    }

    /// Opens the directory that `names` lead to from `top`. Every directory on the way is on the device `dev`.
    pub(super) fn open(self, top: BorrowedFd<'_>, dev: u64, names: &[Name]) -> Result<OwnedFd> {
        match self {
            Self::Openat2 => open_in_calls(top, names),
            Self::Walk => walk(top, dev, names),
        }
    }
}

fn open_in_calls(top: BorrowedFd<'_>, names: &[Name]) -> Result<OwnedFd> {
    let mut reached: Option<OwnedFd> = None;
    let mut path = OsString::new();
    for name in names {
        if path.len() + name.as_bytes().len() > PATH_CALL_BYTES {
            let from = reached.as_ref().map_or(top, AsFd::as_fd);
            reached = Some(openat2(from, &path)?);
            path.clear();
        }
        if !path.is_empty() {
            path.push("/");
        }
        path.push(name.as_os_str());
    }
    let from = reached.as_ref().map_or(top, AsFd::as_fd);
    if path.is_empty() {
        path.push(".");
    }
    openat2(from, &path)
}

fn openat2(from: BorrowedFd<'_>, path: &OsStr) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH
        .union(ResolveFlags::NO_SYMLINKS)
        .union(ResolveFlags::NO_MAGICLINKS)
        .union(ResolveFlags::NO_XDEV);
    let mut tries = 1;
    loop {
        match fs::openat2(from, path, disk::DIRECTORY, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if tries < RACED_TRIES => tries += 1,
            done => return done,
        }
    }
}

fn walk(top: BorrowedFd<'_>, dev: u64, names: &[Name]) -> Result<OwnedFd> {
    let mut here = disk::open_dir(top, OsStr::new("."))?;
    for name in names {
        let next = disk::open_dir(here.as_fd(), name.as_os_str())?;
        if disk::look_at(&next)?.stamp.dev != dev {
            return Err(Errno::XDEV);
        }
        here = next;
    }
    Ok(here)
}
