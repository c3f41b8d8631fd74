//! A file with one JSON document a line, put aside when it is long. A line that a crash cut off is cut away before the next is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::target::{Delivery, Undelivered};

/// Permissions of a new file: paths and names of people are in it.
const MODE: u32 = 0o640;
/// How much of a file's end is read at once in search of its last whole line.
const TAIL_BYTES: u64 = 64 << 10;

/// See the module.
pub struct FileTarget {
    path: PathBuf,
    rotate_bytes: u64,
    keep: u32,
    open: Option<File>,
}

impl FileTarget {
    /// A file that is not open yet.
    pub fn new(path: PathBuf, rotate_bytes: u64, keep: u32) -> Self {
        Self { path, rotate_bytes, keep, open: None }
    }

    /// Appends a batch; it is on the disk when this ends.
    pub async fn deliver(&mut self, delivery: &Delivery<'_>) -> Result<(), Undelivered> {
        let lines = delivery.lines()?;
        let (path, rotate_bytes, keep, open) = (self.path.clone(), self.rotate_bytes, self.keep, self.open.take());
        let shown = self.path.display().to_string();
        let work = move || append(&path, open, rotate_bytes, keep, &lines);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(file)) => {
                self.open = Some(file);
                Ok(())
            }
            Ok(Err(error)) => Err(Undelivered::because(format!("{shown} cannot be written: {error}"))),
            Err(error) => Err(Undelivered::because(format!("{shown} cannot be written: {error}"))),
        }
    }

    /// Opens the file anew next time.
    pub fn close(&mut self) {
        self.open = None;
    }
}

fn append(path: &Path, open: Option<File>, rotate_bytes: u64, keep: u32, lines: &[u8]) -> io::Result<File> {
    let mut file = match open {
        // Somebody may have moved it away, as log rotation does.
        Some(file) if is_at(&file, path) => file,
        _ => open_whole(path)?,
    };
    let length = file.metadata()?.len();
    if length > 0 && length + lines.len() as u64 > rotate_bytes {
        drop(file);
        put_aside(path, keep)?;
        file = open_whole(path)?;
    }
    file.write_all(lines)?;
    file.sync_data()?;
    Ok(file)
}

fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}

/// Opens the file for appending, without a last line that is not whole.
fn open_whole(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let whole = whole_lines(&mut file)?;
    if whole < file.metadata()?.len() {
        file.set_len(whole)?;
    }
    Ok(file)
}

/// The length up to the last end of a line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    while end > 0 {
        let begin = end.saturating_sub(TAIL_BYTES);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        Read::by_ref(file).take(end - begin).read_to_end(&mut tail)?;
        if let Some(last) = tail.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// `events.jsonl` becomes `events.jsonl.1`, that becomes `.2`, and what is beyond `keep` goes.
fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    let aside = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    if keep == 0 {
        return gone(fs::remove_file(path));
    }
    gone(fs::remove_file(aside(keep)))?;
    for number in (1..keep).rev() {
        gone(fs::rename(aside(number), aside(number + 1)))?;
    }
    fs::rename(path, aside(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_cut_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        fs::write(&path, "{\"id\":1}\n{\"id\":2").unwrap();
        append(&path, None, 1 << 20, 3, b"{\"id\":2}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"id\":1}\n{\"id\":2}\n");
        let long = "x".repeat(TAIL_BYTES as usize + 10);
        fs::write(&path, format!("{{\"id\":1}}\n{long}")).unwrap();
        append(&path, None, 1 << 20, 3, b"{\"id\":3}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"id\":1}\n{\"id\":3}\n");
    }

    #[test]
    fn long_files_are_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut open = None;
        for number in 0..5 {
            open = Some(append(&path, open, 10, 2, format!("line-{number:03}\n").as_bytes()).unwrap());
        }
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            (text("events.jsonl"), text("events.jsonl.1"), text("events.jsonl.2")),
            ("line-004\n".into(), "line-003\n".into(), "line-002\n".into())
        );
        assert!(!dir.path().join("events.jsonl.3").exists());
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let open = append(&path, None, 1 << 20, 3, b"one\n").unwrap();
        fs::rename(&path, dir.path().join("moved")).unwrap();
        append(&path, Some(open), 1 << 20, 3, b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::read_to_string(dir.path().join("moved")).unwrap(), "one\n");
    }
}
