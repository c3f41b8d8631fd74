//! Opening a folder's root: the mark that proves it is ours, our own directories in it, and what its disk can do.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{self, FlockOperation, Gid, Mode};
use rustix::io::Errno;

use super::disk::{self, Seen};
use super::lookup::Lookup;
use super::refusal::{errno, error, refused};
use super::{DiskTraits, LocalFolder, LocalOptions};
use crate::deed::{DiskError, DiskErrorKind};
use crate::path::RESERVED_NAME;

/// The file in our own directory that names the folder.
pub const MARK_NAME: &str = "folder";
/// Its name while it is written.
const NEW_MARK_NAME: &str = "folder.new";
/// The most that is read of a mark, in bytes.
const MARK_MAX_BYTES: u64 = 4_096;
/// Our directories belong to nobody else.
const OUR_MODE: u32 = 0o700;
/// The first kernel whose `syncfs` reports errors.
const SYNCFS_REPORTS_SINCE: (u32, u32) = (5, 8);

impl LocalFolder {
    /// Opens the root of a watched folder and proves that it is the one that `mark` names.
    ///
    /// Without `options.create` nothing is made that proves anything: a missing root or a missing or foreign mark is
    /// [`DiskErrorKind::RootLost`], so that an unmounted disk is never taken for an emptied folder.
    pub fn open(root: &Path, mark: &str, options: LocalOptions) -> Result<Self, DiskError> {
        let shown = root.display();
        if options.create {
            make_root(root).map_err(|why| refused("make the folder", &shown, errno(&why)))?;
        }
        let top = open_root(root)?;
        let seen = disk::look_at(&top).map_err(|why| lost(root, &why.to_string()))?;
        let ours = open_ours(root, &top, options.create)?;
        check_mark(root, &ours, mark, options.create)?;
        // As long as the folder is open, nobody else takes the directory over. Where locks are unknown, nobody ever does.
        let _ = fs::flock(&ours, FlockOperation::NonBlockingLockShared);
        let sub = |name: &str| open_sub(root, &ours, name);
        let (staging, parked, versions) = (sub("staging")?, sub("parked")?, sub("versions")?);
        inherit_group(&staging, seen.group);
        let disk = probe(&top, &staging).map_err(|why| refused("use the folder", &shown, why))?;
        if options.create {
            flush_made(root, &[&ours, &top]).map_err(|why| refused("flush the folder", &shown, why))?;
        }
        let mark_seen = disk::look(ours.as_fd(), OsStr::new(MARK_NAME))
            .and_then(|seen| seen.ok_or(Errno::NOENT))
            .map_err(|why| lost(root, &why.to_string()))?;
        let identity = |fd: &OwnedFd| disk::look_at(fd).map_err(|why| lost(root, &why.to_string()));
        let inside = [
            ("staging", identity(&staging)?.stamp.ino),
            ("parked", identity(&parked)?.stamp.ino),
            ("versions", identity(&versions)?.stamp.ino),
            (MARK_NAME, mark_seen.stamp.ino),
        ];
        Ok(Self {
            root: root.to_owned(),
            options,
            lookup: Lookup::probe(top.as_fd()),
            stamp: seen.stamp,
            group: seen.group,
            ours_ino: identity(&ours)?.stamp.ino,
            inside,
            top,
            ours,
            staging,
            parked,
            versions,
            disk,
            turn: Mutex::new(()),
            parts: super::ranged::Turns::default(),
            digested: Arc::default(),
        })
    }

    /// Looks whether the root's path still leads to the directory that was opened, and our own directories are in it.
    pub fn check_root(&self) -> Result<(), DiskError> {
        let now = fs::lstat(&self.root).map_err(|why| lost(&self.root, &why.to_string()))?;
        if now.st_dev != self.stamp.dev || now.st_ino != self.stamp.ino {
            return Err(lost(&self.root, "another directory is there now; was its disk unmounted or replaced?"));
        }
        let check = |dir: BorrowedFd<'_>, name: &str, ino: u64, shown: &str| match disk::look(dir, OsStr::new(name)) {
            Ok(Some(Seen { stamp, .. })) if stamp.ino == ino => Ok(()),
            Ok(_) => Err(lost(&self.root, &format!("`{shown}` is gone"))),
            Err(why @ (Errno::ACCESS | Errno::PERM)) => Err(not_writable("look into", &self.root.display(), why)),
            Err(why) => Err(lost(&self.root, &std::io::Error::from(why).to_string())),
        };
        check(self.top.as_fd(), RESERVED_NAME, self.ours_ino, RESERVED_NAME)?;
        self.inside
            .iter()
            .try_for_each(|(name, ino)| check(self.ours.as_fd(), name, *ino, &format!("{RESERVED_NAME}/{name}")))
    }
}

/// The real path of a directory that is to be watched: links resolved as far as it exists, so that from then on a link in
/// its place is noticed.
pub fn resolve_root(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut exists = absolute.as_path();
    loop {
        match exists.canonicalize() {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => match (exists.parent(), exists.file_name()) {
                // A dangling link is no missing directory: making one there would follow it.
                _ if exists.is_symlink() => return Err(why),
                (Some(parent), Some(name)) => {
                    missing.push(name.to_owned());
                    exists = parent;
                }
                _ => return Err(why),
            },
            Err(why) => return Err(why),
        }
    }
}

fn lost(root: &Path, why: &str) -> DiskError {
    error(DiskErrorKind::RootLost, "find the folder", &root.display(), why)
}

/// Makes the root and what is missing above it, and makes that durable.
fn make_root(root: &Path) -> std::io::Result<()> {
    if root.symlink_metadata().is_ok() {
        return Ok(());
    }
    let existing = root.ancestors().skip(1).find(|above| above.is_dir());
    std::fs::create_dir_all(root)?;
    if let Some(existing) = existing {
        for made in root.ancestors().skip(1).take_while(|above| above.starts_with(existing)) {
            File::open(made)?.sync_all()?;
        }
    }
    Ok(())
}

fn open_root(root: &Path) -> Result<OwnedFd, DiskError> {
    fs::open(root, disk::DIRECTORY, Mode::empty()).map_err(|why| {
        if root.is_symlink() {
            lost(root, "it is a symbolic link; name the directory that it leads to")
        } else if why == Errno::ACCESS {
            error(DiskErrorKind::NotWritable, "open the folder", &root.display(), "no right to read it")
        } else {
            lost(root, &std::io::Error::from(why).to_string())
        }
    })
}

/// Opens our own directory in the root.
fn open_ours(root: &Path, top: &OwnedFd, create: bool) -> Result<OwnedFd, DiskError> {
    let name = OsStr::new(RESERVED_NAME);
    let place = root.join(RESERVED_NAME);
    let shown = place.display();
    if create {
        match disk::make_dir(top.as_fd(), name, OUR_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(why) => return Err(not_writable("make", &shown, why)),
        }
    }
    let ours = match disk::open_dir(top.as_fd(), name) {
        Ok(ours) => ours,
        Err(Errno::NOENT) => return Err(lost(root, &format!("its mark `{RESERVED_NAME}` is missing"))),
        Err(why) => return Err(refused("open", &shown, why)),
    };
    keep_private(&ours).map_err(|why| not_writable("keep to ourselves", &shown, why))?;
    Ok(ours)
}

/// Opens a directory in our own one; what is in it proves nothing, so it is made again if it is missing.
fn open_sub(root: &Path, ours: &OwnedFd, name: &str) -> Result<OwnedFd, DiskError> {
    let place = root.join(RESERVED_NAME).join(name);
    let shown = place.display();
    match disk::make_dir(ours.as_fd(), OsStr::new(name), OUR_MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(why) => return Err(not_writable("make", &shown, why)),
    }
    let sub = disk::open_dir(ours.as_fd(), OsStr::new(name)).map_err(|why| refused("open", &shown, why))?;
    keep_private(&sub).map_err(|why| not_writable("keep to ourselves", &shown, why))?;
    Ok(sub)
}

/// Refuses a directory that somebody else prepared, and takes everybody else's rights away.
fn keep_private(dir: &OwnedFd) -> rustix::io::Result<()> {
    let stat = fs::fstat(dir)?;
    let us = rustix::process::geteuid();
    if !us.is_root() && stat.st_uid != us.as_raw() {
        return Err(Errno::PERM);
    }
    if stat.st_mode & 0o077 != 0 || stat.st_mode & 0o700 != 0o700 {
        disk::set_mode(dir, OUR_MODE)?;
    }
    Ok(())
}

/// Files staged here get the group of the watched directory. Without the right to give it they keep ours.
fn inherit_group(staging: &OwnedFd, group: u32) {
    let given = fs::fchown(staging, None, Some(Gid::from_raw(group)));
    if given.and_then(|()| disk::set_mode(staging, OUR_MODE | 0o2000)).is_err() {
        tracing::debug!(group, "files keep our own group: no right to give them the folder's");
    }
}

fn not_writable(operation: &str, place: &dyn std::fmt::Display, why: Errno) -> DiskError {
    let mut refusal = refused(operation, place, why);
    if matches!(why, Errno::ACCESS | Errno::PERM) {
        refusal.kind = DiskErrorKind::NotWritable;
    }
    refusal
}

/// Reads the mark, or writes it on a new root.
fn check_mark(root: &Path, ours: &OwnedFd, mark: &str, create: bool) -> Result<(), DiskError> {
    let place = root.join(RESERVED_NAME).join(MARK_NAME);
    let shown = place.display();
    let found = match disk::open_file(ours.as_fd(), OsStr::new(MARK_NAME)) {
        Ok(file) => {
            let mut text = String::new();
            let read = file.take(MARK_MAX_BYTES).read_to_string(&mut text);
            read.map_err(|why| refused("read", &shown, errno(&why)))?;
            Some(text)
        }
        Err(Errno::NOENT) => None,
        Err(why) => return Err(refused("read", &shown, why)),
    };
    match found {
        Some(found) if found.trim_end() == mark => Ok(()),
        Some(_) if create => {
            // It was watched before: by us, under other rows, or by an agent whose database is gone. If nobody has it open now, it is ours.
            if fs::flock(ours, FlockOperation::NonBlockingLockExclusive).is_err() {
                let why = "another agent works in this directory; stop that one, or choose another directory";
                return Err(error(DiskErrorKind::Item, "use the folder", &root.display(), why));
            }
            put_aside(ours).map_err(|why| not_writable("keep what is in", &shown, why))?;
            tracing::info!(folder = %root.display(), "the directory was watched before; its files are adopted");
            write_mark(ours, mark).map_err(|why| not_writable("write", &shown, errno(&why)))
        }
        Some(_) => {
            let why = format!(
                "the mark `{shown}` is not the one that this agent left: another directory was put there, or another agent took it over; \
                 to begin anew with what is there: agent remove-folder NAME, and agent add-folder again"
            );
            Err(error(DiskErrorKind::RootLost, "use the folder", &root.display(), &why))
        }
        None if create => write_mark(ours, mark).map_err(|why| not_writable("write", &shown, errno(&why))),
        None => Err(lost(root, &format!("the mark `{RESERVED_NAME}/{MARK_NAME}` is missing"))),
    }
}

/// Former versions and parked files belong to rows that are gone: they are kept, where their numbers are in nobody's way.
fn put_aside(ours: &OwnedFd) -> rustix::io::Result<()> {
    for name in ["versions", "parked"] {
        match disk::remove_dir(ours.as_fd(), OsStr::new(name)) {
            // It was empty.
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(why) => return Err(why),
        }
        for number in 1.. {
            let aside = format!("former-{name}-{number}");
            if disk::look(ours.as_fd(), OsStr::new(&aside))?.is_none() {
                disk::rename_over((ours.as_fd(), OsStr::new(name)), (ours.as_fd(), OsStr::new(&aside)))?;
                break;
            }
        }
    }
    Ok(())
}

fn write_mark(ours: &OwnedFd, mark: &str) -> std::io::Result<()> {
    let (new, name) = (OsStr::new(NEW_MARK_NAME), OsStr::new(MARK_NAME));
    match disk::remove_file(ours.as_fd(), new) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(why) => return Err(why.into()),
    }
    let mut file = disk::create_file(ours.as_fd(), new)?;
    writeln!(file, "{mark}")?;
    disk::flush(&file)?;
    disk::rename_over((ours.as_fd(), new), (ours.as_fd(), name))?;
    Ok(())
}

fn flush_made(root: &Path, dirs: &[&OwnedFd]) -> rustix::io::Result<()> {
    for dir in dirs {
        disk::flush(dir)?;
    }
    match root.parent().map(File::open) {
        Some(Ok(parent)) => disk::flush(parent),
        _ => Ok(()),
    }
}

/// Finds out what the disk can do, with two files in the staging directory.
fn probe(top: &OwnedFd, staging: &OwnedFd) -> rustix::io::Result<DiskTraits> {
    let at = |name: &'static str| (staging.as_fd(), OsStr::new(name));
    let (one, two) = (at("probe-a"), at("probe-b"));
    for (dir, name) in [one, two] {
        match disk::remove_file(dir, name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(why) => return Err(why),
        }
        match disk::create_file(dir, name) {
            Ok(_) => {}
            // A full disk still takes deletions and renames; what nearly every disk can do is assumed.
            Err(Errno::NOSPC | Errno::DQUOT) => {
                return Ok(DiskTraits { noreplace: true, exchange: true, folds_case: false, syncfs: false });
            }
            Err(why) => return Err(why),
        }
    }
    // A rename onto our own directory can only fail, and how it fails says whether both are on one mount.
    match disk::rename_over(one, (top.as_fd(), OsStr::new(RESERVED_NAME))) {
        Err(Errno::XDEV) => return Err(Errno::XDEV),
        Err(Errno::ROFS) => return Err(Errno::ROFS),
        _ => {}
    }
    let noreplace = fs::renameat_with(one.0, one.1, two.0, two.1, fs::RenameFlags::NOREPLACE) == Err(Errno::EXIST);
    let exchange = disk::exchange(one, two).is_ok();
    let folds_case = disk::look(staging.as_fd(), OsStr::new("PROBE-A"))?.is_some();
    for (dir, name) in [one, two] {
        disk::remove_file(dir, name)?;
    }
    Ok(DiskTraits { noreplace, exchange, folds_case, syncfs: kernel() >= SYNCFS_REPORTS_SINCE })
}

/// The running kernel's version; what cannot be read counts as old.
fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut parts = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_has_a_version() {
        assert!(kernel() > (2, 0));
    }

    #[test]
    fn a_root_that_is_to_be_made_is_resolved_as_far_as_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("real")).unwrap();
        std::os::unix::fs::symlink("real", real.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", real.join("dangling")).unwrap();
        assert_eq!(resolve_root(&real.join("link/new/er")).unwrap(), real.join("real/new/er"));
        assert_eq!(resolve_root(&real.join("link")).unwrap(), real.join("real"));
        assert!(resolve_root(&real.join("dangling")).is_err());
        assert!(resolve_root(&real.join("dangling/new")).is_err());
    }
}
