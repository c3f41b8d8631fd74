//! What is mounted: no directory tells that something was mounted over it or in it, or that its own disk went away, but the system's
//! table of mounts does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::relative;
use crate::path::RelPath;

/// The system's table of the mounts that this process sees.
const TABLE: &str = "/proc/self/mountinfo";
/// Which field of a line has the mount point, counted from 0.
const MOUNT_POINT_FIELD: usize = 4;

/// The table, and what it said last of a folder. Nothing is ever seen where there is no such table.
#[derive(Debug)]
pub(super) struct Mounts {
    table: Option<File>,
    root: PathBuf,
    /// What is mounted below the root: the number of the mount, and where.
    inside: BTreeSet<(u64, RelPath)>,
}

impl Mounts {
    pub fn of(root: &Path) -> Self {
        let mut mounts = Self { table: File::open(TABLE).ok(), root: root.to_owned(), inside: BTreeSet::new() };
        mounts.inside = mounts.read().unwrap_or_default();
        mounts
    }

    /// If anything was mounted or unmounted anywhere since this was last asked: the places below the root that are concerned.
    pub fn changed(&mut self) -> Option<Vec<RelPath>> {
        let table = self.table.as_ref()?;
        let mut fds = [PollFd::new(table, PollFlags::PRI | PollFlags::ERR)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(told) if told > 0 && fds[0].revents().intersects(PollFlags::PRI | PollFlags::ERR) => {}
            _ => return None,
        }
        let inside = self.read()?;
        let changed = self.inside.symmetric_difference(&inside).map(|(_, at)| at.clone()).collect();
        self.inside = inside;
        Some(changed)
    }

    fn read(&mut self) -> Option<BTreeSet<(u64, RelPath)>> {
        let table = self.table.as_mut()?;
        let mut text = Vec::new();
        table.seek(SeekFrom::Start(0)).and_then(|_| table.read_to_end(&mut text)).ok()?;
        Some(below(&self.root, &text))
    }
}

/// The mounts below a directory.
fn below(root: &Path, table: &[u8]) -> BTreeSet<(u64, RelPath)> {
    let lines = table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let number = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let point = unescape(fields.nth(MOUNT_POINT_FIELD - 1)?);
        let at = relative(root, Path::new(&point)).filter(|at| !at.is_root())?;
        Some((number, at))
    });
    lines.collect()
}

/// Spaces and the like are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| *byte == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = octal {
            let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            out.push(u8::try_from(value).unwrap_or(b'?'));
            rest = &after[3..];
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Name;

    #[test]
    fn mounts_below_a_directory_are_read_from_the_table() {
        let table = b"22 1 0:20 / / rw - ext4 /dev/root rw\n\
            23 22 0:21 / /srv/in\\040box rw shared:1 - tmpfs tmpfs rw\n\
            24 22 0:21 / /srv/in\\040box/a\\134b/c rw - tmpfs tmpfs rw\n\
            25 22 0:22 / /srv/in\\040boxes rw - tmpfs tmpfs rw\nbroken\n";
        let name = |text: &str| Name::new(text.as_bytes()).unwrap();
        let found = below(Path::new("/srv/in box"), table);
        let at = RelPath::root().join(&name("a\\b")).join(&name("c"));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(24, at)]);
    }

    #[test]
    fn nothing_changes_while_nothing_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let mut mounts = Mounts::of(dir.path());
        // Others may mount something just now: what matters here is that none of it is inside.
        assert!(mounts.changed().is_none_or(|places| places.is_empty()));
    }
}
