//! The system calls by which a folder is looked at and changed: always a directory handle and a single name, never a path.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use super::fault;
use crate::tree::{Stamp, Wall};

/// What is at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub kind: Kind,
    pub stamp: Stamp,
    /// The permission bits.
    pub mode: u32,
    pub group: u32,
    pub links: u64,
}

/// The kinds that we tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Folder,
    /// A symbolic link, which we never follow.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

impl Seen {
    fn from_stat(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            _ => Kind::Special,
        };
        #[expect(clippy::useless_conversion, reason = "the fields have other widths elsewhere")]
        let stamp = Stamp {
            dev: u64::from(stat.st_dev),
            ino: u64::from(stat.st_ino),
            size: if kind == Kind::Folder { 0 } else { stat.st_size as u64 },
            mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64),
            ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64),
        };
        #[expect(clippy::useless_conversion, reason = "the fields have other widths elsewhere")]
        let links = u64::from(stat.st_nlink);
        Self { kind, stamp, mode: stat.st_mode & 0o7777, group: stat.st_gid, links }
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether this is the file that `ours` describes, with the same content, as far as can be told where a rename of ours may lie
    /// between the two.
    pub(crate) fn is_content(&self, ours: &Stamp) -> bool {
        self.is_file() && same_content(&self.stamp, ours)
    }

    /// Whether this is the file that `ours` describes, and nothing at all happened to it.
    pub(crate) fn is_untouched(&self, ours: &Stamp) -> bool {
        self.is_file() && untouched(&self.stamp, ours)
    }
}

/// Whether two stamps of one folder seem to name the same file with the same content, whatever its name and permissions.
///
/// Everything below a root is on the root's device, so the device number says nothing; and it may be another one after a
/// reboot, which must not turn every file into an edit.
pub(crate) fn same_content(a: &Stamp, b: &Stamp) -> bool {
    a.ino == b.ino && a.size == b.size && a.mtime_ns == b.mtime_ns
}

/// Whether, of two stamps of one folder, the later one shows that nothing at all happened to the file.
pub(crate) fn untouched(a: &Stamp, b: &Stamp) -> bool {
    same_content(a, b) && a.ctime_ns == b.ctime_ns
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

pub(crate) fn look_at(fd: impl AsFd) -> Result<Seen> {
    fs::fstat(fd).map(|stat| Seen::from_stat(&stat))
}

/// What is at `name`, not following a link; nothing if nothing is there.
pub(crate) fn look(dir: BorrowedFd<'_>, name: &OsStr) -> Result<Option<Seen>> {
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Seen::from_stat(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether something is mounted at `name`, be it a part of the same filesystem. Kernels that cannot tell find only other filesystems, by
/// their device numbers.
pub(crate) fn is_mount_point(dir: BorrowedFd<'_>, name: &OsStr) -> bool {
    mount_root(dir, name, AtFlags::empty()) == Some(true)
}

/// Whether what was seen at `name`, below a root on the device `dev`, is mounted there, or in a part of the filesystem that renames do not
/// reach.
///
/// A file's device number proves nothing: an overlay of two filesystems, as below a container, gives its directories one number and its
/// files another. A directory's other number is a mount, or a subvolume.
pub(crate) fn is_elsewhere(dir: BorrowedFd<'_>, name: &OsStr, seen: &Seen, dev: u64) -> bool {
    let differs = seen.stamp.dev != dev;
    if seen.is_folder() {
        differs || is_mount_point(dir, name)
    } else {
        differs && mount_root(dir, name, AtFlags::empty()).unwrap_or(true)
    }
}

/// Whether an open file, below a root on the device `dev`, is mounted where it was opened.
pub(crate) fn is_mounted_file(file: impl AsFd, seen: &Seen, dev: u64) -> bool {
    seen.stamp.dev != dev && mount_root(file.as_fd(), OsStr::new(""), AtFlags::EMPTY_PATH).unwrap_or(true)
}

/// What the kernel says of something being mounted at a place; nothing if it cannot tell.
fn mount_root(dir: BorrowedFd<'_>, name: &OsStr, more: AtFlags) -> Option<bool> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | more;
    let seen = fs::statx(dir, name, flags, fs::StatxFlags::TYPE).ok()?;
    let tells = seen.stx_attributes_mask.contains(fs::StatxAttributes::MOUNT_ROOT);
    tells.then(|| seen.stx_attributes.contains(fs::StatxAttributes::MOUNT_ROOT))
}

/// Opens what is at `name` for reading: never through a link, never waiting for the other end of a pipe.
pub(crate) fn open_file(dir: BorrowedFd<'_>, name: &OsStr) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::empty()).map(File::from)
}

pub(crate) fn create_file(dir: BorrowedFd<'_>, name: &OsStr) -> Result<File> {
    fault::here()?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
}

/// Opens a directory below `dir` by a single name.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    fs::openat(dir, name, DIRECTORY, Mode::empty())
}

/// How directories are opened: for reading, so that they can be flushed.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

pub(crate) fn make_dir(dir: BorrowedFd<'_>, name: &OsStr, mode: u32) -> Result<()> {
    fault::here()?;
    fs::mkdirat(dir, name, Mode::from_raw_mode(mode))
}

pub(crate) fn remove_dir(dir: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    fault::here()?;
    fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

pub(crate) fn remove_file(dir: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    fault::here()?;
    fs::unlinkat(dir, name, AtFlags::empty())
}

/// Renames onto a name that must be free.
pub(crate) fn rename_free(noreplace: bool, from: (BorrowedFd<'_>, &OsStr), to: (BorrowedFd<'_>, &OsStr)) -> Result<()> {
    fault::here()?;
    if noreplace {
        return fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE);
    }
    // Where the filesystem has no such call, a file that appears between the look and the rename is lost.
    match look(to.0, to.1)? {
        Some(_) => Err(Errno::EXIST),
        None => fs::renameat(from.0, from.1, to.0, to.1),
    }
}

/// Renames over whatever is there.
pub(crate) fn rename_over(from: (BorrowedFd<'_>, &OsStr), to: (BorrowedFd<'_>, &OsStr)) -> Result<()> {
    fault::here()?;
    fs::renameat(from.0, from.1, to.0, to.1)
}

/// Swaps two names.
pub(crate) fn exchange(from: (BorrowedFd<'_>, &OsStr), to: (BorrowedFd<'_>, &OsStr)) -> Result<()> {
    fault::here()?;
    fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::EXCHANGE)
}

pub(crate) fn flush(fd: impl AsFd) -> Result<()> {
    fault::here()?;
    fs::fsync(fd)
}

pub(crate) fn flush_filesystem(fd: impl AsFd) -> Result<()> {
    fault::here()?;
    fs::syncfs(fd)
}

pub(crate) fn set_mode(fd: impl AsFd, mode: u32) -> Result<()> {
    fault::here()?;
    fs::fchmod(fd, Mode::from_raw_mode(mode))
}

pub(crate) fn set_modified(fd: impl AsFd, modified_ns: i64) -> Result<()> {
    fault::here()?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: modified_ns.div_euclid(1_000_000_000),
            tv_nsec: modified_ns.rem_euclid(1_000_000_000),
        },
    };
    fs::futimens(fd, &times)
}

/// Sets the time of a file that may be somebody else's: without the right to, it keeps its own.
pub(crate) fn set_owners_modified(file: &File, modified_ns: i64) -> Result<()> {
    if look_at(file)?.stamp.mtime_ns == modified_ns {
        return Ok(());
    }
    match set_modified(file, modified_ns) {
        Ok(()) | Err(Errno::PERM | Errno::ACCESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// A moment of the cloud for the disk; what the filesystem cannot hold, the kernel clamps.
pub(crate) fn wall_ns(wall: Wall) -> i64 {
    wall.0.saturating_mul(1_000_000)
}
