//! `.agentignore` at the top of a watched directory: gitignore patterns that travel with the tree.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::value;

/// The file's name.
pub const NAME: &str = ".agentignore";
/// The most that is read of it, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// Its patterns, and what could not be understood. A file that is not there has none; a link or anything else in its place is not read.
pub fn read(root: &Path) -> (Vec<String>, Vec<String>) {
    let path = root.join(NAME);
    let text = match text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Default::default(),
        Err(error) => return (Vec::new(), vec![format!("{} is not read: {error}", path.display())]),
    };
    let mut patterns = Vec::new();
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match value::pattern(line) {
            Ok(()) => patterns.push(line.to_owned()),
            Err(wrong) => complaints.push(format!("{}:{}: {}", path.display(), number + 1, wrong.problem)),
        }
    }
    (patterns, complaints)
}

fn text(path: &Path) -> io::Result<String> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(no_follow.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {MAX_BYTES} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not valid UTF-8"))
}

/// What shows that the file changed; nothing if it is not there.
pub fn stamp(root: &Path) -> Option<(u64, u64, i64, i64)> {
    let seen = root.join(NAME).symlink_metadata().ok()?;
    Some((seen.ino(), seen.size(), seen.mtime(), seen.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_and_slips_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), (vec![], vec![]), "no file, no patterns");
        assert_eq!(stamp(dir.path()), None);
        std::fs::write(dir.path().join(NAME), "# ours\n\n/build/\n*.o  \n!keep.o\na[\n").unwrap();
        let (patterns, complaints) = read(dir.path());
        assert_eq!(patterns, ["/build/", "*.o", "!keep.o"]);
        assert!(complaints.len() == 1 && complaints[0].contains(":6: "), "{complaints:?}");
        assert!(stamp(dir.path()).is_some());
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join(NAME)).unwrap();
        let (patterns, complaints) = read(dir.path());
        assert!(patterns.is_empty() && complaints.len() == 1, "{complaints:?}");
    }
}
