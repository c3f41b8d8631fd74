//! Bringing a content back without the agent: read from a version store, written whole or not at all, never through a link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::disk;
use crate::deed::KeptAt;
use crate::path::{RESERVED_NAME, RelPath};
use crate::tree::Stamp;

/// How much is copied at a time, in bytes.
const COPY_BYTES: usize = 256 * 1024;
/// Directories that had to be made.
const DIR_MODE: u32 = 0o777;
/// Files, less the umask of whoever restores.
const FILE_MODE: u32 = 0o666;

/// What may be at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Free,
    /// Any file, which is replaced.
    AnyFile,
    /// Nothing, or exactly this file, which is replaced.
    This(Stamp),
}

/// Where the new file gets its permissions and its owner from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// Whoever restores.
    Ours,
    /// The folder: these permissions, and the owner and group of the root.
    Folder(u32),
}

/// Why a content was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// There is a file.
    #[error("there is a file already")]
    Taken,
    /// There is something that is not a regular file.
    #[error("what is there is not a regular file")]
    NotAFile,
    /// There is another file than the one that was to be replaced.
    #[error("the file there was changed, and the change is not in the cloud")]
    Changed,
    /// A directory on the way is a link, or not a directory.
    #[error("a directory on the way is a symbolic link or not a directory")]
    UnsafePath,
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for PutError {
    fn from(why: Errno) -> Self {
        match why {
            Errno::LOOP | Errno::NOTDIR => Self::UnsafePath,
            Errno::EXIST => Self::Taken,
            other => Self::Io(other.into()),
        }
    }
}

/// Opens a content of the version store of the folder at `root`. Works beside a running agent, which may give the content up meanwhile.
pub fn open_kept(root: &Path, kept: &KeptAt) -> io::Result<File> {
    let top = File::open(root)?;
    let ours = disk::open_dir(top.as_fd(), OsStr::new(RESERVED_NAME))?;
    let versions = disk::open_dir(ours.as_fd(), OsStr::new("versions"))?;
    let number = kept.job.to_string();
    let file = match &kept.inside {
        None => disk::open_file(versions.as_fd(), OsStr::new(&number))?,
        Some(name) => {
            disk::open_file(disk::open_dir(versions.as_fd(), OsStr::new(&number))?.as_fd(), name.as_os_str())?
        }
    };
    if disk::look_at(&file)?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "what was kept is not a regular file"))
    }
}

/// Writes what `from` holds, with its modification time, to `below` in the directory `root`. Directories that are missing are made.
/// Returns the number of bytes.
pub fn put(mut from: &File, root: &Path, below: &RelPath, target: Target, dress: Dress) -> Result<u64, PutError> {
    let Some((above, name)) = below.split_last() else { return Err(PutError::NotAFile) };
    let top = File::open(root)?;
    let mut dir: OwnedFd = top.try_clone()?.into();
    for step in above.names() {
        match disk::make_dir(dir.as_fd(), step.as_os_str(), DIR_MODE) {
            Ok(()) => like_root(&top, disk::open_dir(dir.as_fd(), step.as_os_str())?.as_fd(), dress),
            Err(Errno::EXIST) => {}
            Err(why) => return Err(why.into()),
        }
        dir = disk::open_dir(dir.as_fd(), step.as_os_str())?;
    }
    // In a watched folder nobody sees what is not yet whole.
    let hidden = match dress {
        Dress::Ours => None,
        Dress::Folder(_) => {
            let ours = disk::open_dir(top.as_fd(), OsStr::new(RESERVED_NAME))?;
            Some(disk::open_dir(ours.as_fd(), OsStr::new("staging"))?)
        }
    };
    let aside = hidden.as_ref().unwrap_or(&dir).as_fd();
    let draft_name = format!(".restored-{}", uuid::Uuid::new_v4().simple());
    let draft = (aside, OsStr::new(&draft_name));
    let written = write_draft(&mut from, draft, &top, dress).and_then(|length| {
        place(draft, (dir.as_fd(), name.as_os_str()), target)?;
        disk::flush(&dir)?;
        Ok(length)
    });
    if written.is_err() {
        // It may never have been made, or be in its place already.
        let _ = disk::remove_file(draft.0, draft.1);
    }
    written
}

fn write_draft(
    from: &mut &File,
    (dir, name): (BorrowedFd<'_>, &OsStr),
    top: &File,
    dress: Dress,
) -> Result<u64, PutError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut draft = File::from(fs::openat(dir, name, flags, Mode::from_raw_mode(FILE_MODE))?);
    from.rewind()?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut length = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                draft.write_all(&buffer[..read])?;
                length += read as u64;
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why.into()),
        }
    }
    if let Dress::Folder(mode) = dress {
        disk::set_mode(&draft, mode & FILE_MODE)?;
    }
    like_root(top, draft.as_fd(), dress);
    disk::set_modified(&draft, disk::look_at(*from)?.stamp.mtime_ns)?;
    disk::flush(&draft)?;
    Ok(length)
}

/// What root makes in somebody's folder is to be his.
fn like_root(top: &File, made: BorrowedFd<'_>, dress: Dress) {
    if let (Dress::Folder(_), Ok(root)) = (dress, fs::fstat(top)) {
        // Without the right to give files away they stay ours, which is the folder's own user in most installations.
        let _ = fs::fchown(made, Some(Uid::from_raw(root.st_uid)), Some(Gid::from_raw(root.st_gid)));
    }
}

fn place(draft: (BorrowedFd<'_>, &OsStr), at: (BorrowedFd<'_>, &OsStr), target: Target) -> Result<(), PutError> {
    let there = disk::look(at.0, at.1)?;
    match (there, target) {
        (Some(seen), Target::AnyFile | Target::This(_)) if !seen.is_file() => Err(PutError::NotAFile),
        (Some(_), Target::AnyFile) => Ok(disk::rename_over(draft, at)?),
        (Some(seen), Target::This(stamp)) if !seen.is_untouched(&stamp) => Err(PutError::Changed),
        (Some(_), Target::This(stamp)) => {
            disk::exchange(draft, at)?;
            // What was there is looked at once more when nobody can change it by its name; the exchange itself moved its status change time.
            if !disk::look(draft.0, draft.1)?.is_some_and(|seen| seen.is_content(&stamp)) {
                disk::exchange(draft, at)?;
                return Err(PutError::Changed);
            }
            Ok(disk::remove_file(draft.0, draft.1)?)
        }
        (Some(_), Target::Free) => Err(PutError::Taken),
        (None, _) => Ok(disk::rename_free(true, draft, at)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bed() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(RESERVED_NAME).join("staging")).unwrap();
        std::fs::write(dir.path().join("source"), "old content").unwrap();
        let source = File::open(dir.path().join("source")).unwrap();
        (dir, source)
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    fn stamp_of(path: &Path) -> Stamp {
        disk::look_at(File::open(path).unwrap()).unwrap().stamp
    }

    #[test]
    fn a_content_appears_whole_with_its_time_and_nothing_else_is_left() {
        let (dir, source) = bed();
        assert_eq!(put(&source, dir.path(), &path("a/b/c"), Target::Free, Dress::Folder(0o640)).unwrap(), 11);
        let made = dir.path().join("a/b/c");
        assert_eq!(std::fs::read_to_string(&made).unwrap(), "old content");
        assert_eq!(stamp_of(&made).mtime_ns, stamp_of(&dir.path().join("source")).mtime_ns);
        assert_eq!(names(&dir.path().join("a/b")), ["c"]);
        assert_eq!(names(&dir.path().join(RESERVED_NAME).join("staging")), Vec::<String>::new());
        let again = put(&source, dir.path(), &path("a/b/c"), Target::Free, Dress::Ours);
        assert!(matches!(again, Err(PutError::Taken)), "{again:?}");
        assert_eq!(names(&dir.path().join("a/b")), ["c"]);
    }

    #[test]
    fn only_the_expected_file_is_replaced() {
        let (dir, source) = bed();
        let there = dir.path().join("there");
        std::fs::write(&there, "theirs").unwrap();
        let known = stamp_of(&there);
        std::fs::write(&there, "theirs, edited").unwrap();
        let refused = put(&source, dir.path(), &path("there"), Target::This(known), Dress::Folder(0o600));
        assert!(matches!(refused, Err(PutError::Changed)), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "theirs, edited");
        put(&source, dir.path(), &path("there"), Target::This(stamp_of(&there)), Dress::Folder(0o600)).unwrap();
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "old content");
        assert_eq!(names(&dir.path().join(RESERVED_NAME).join("staging")), Vec::<String>::new());
    }

    #[test]
    fn an_edit_that_only_the_status_change_time_shows_is_not_replaced() {
        let (dir, source) = bed();
        let there = dir.path().join("there");
        std::fs::write(&there, "theirs").unwrap();
        let known = stamp_of(&there);
        let modified = std::fs::metadata(&there).unwrap().modified().unwrap();
        std::fs::write(&there, "edited").unwrap();
        File::options().append(true).open(&there).unwrap().set_modified(modified).unwrap();
        let refused = put(&source, dir.path(), &path("there"), Target::This(known), Dress::Folder(0o600));
        assert!(matches!(refused, Err(PutError::Changed)), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "edited");
    }

    #[test]
    fn links_are_never_followed() {
        let (dir, source) = bed();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("victim"), "untouched").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("victim"), dir.path().join("file")).unwrap();
        for (at, target) in [("link/new", Target::Free), ("link/victim", Target::AnyFile), ("file", Target::AnyFile)] {
            let refused = put(&source, dir.path(), &path(at), target, Dress::Ours);
            assert!(matches!(refused, Err(PutError::UnsafePath | PutError::NotAFile)), "{at}: {refused:?}");
        }
        assert_eq!(std::fs::read_to_string(outside.path().join("victim")).unwrap(), "untouched");
        assert_eq!(names(outside.path()), ["victim"]);
    }
}
