//! Rejected content: copied out of the watched folder into a private directory, digested on the way, durable before the
//! original goes, and never executable.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256 as Hasher};

use crate::id::Sha256;

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const COPY_BYTES: usize = 256 * 1024;
const CONTENT: &str = "content";
const SIDECAR: &str = "json";

/// What became of the content on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in quarantine, as it was examined.
    Whole,
    /// Somebody changed it after it was examined (a hook may have), so that it was not kept.
    Altered,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Quarantine {
    dir: PathBuf,
}

impl Quarantine {
    /// The quarantine in this directory, which is made when something comes.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where the content of a number is.
    pub fn content(&self, number: i64) -> PathBuf {
        self.dir.join(format!("{number}.{CONTENT}"))
    }

    /// Takes a content in, of this digest where it is known, with the reasons beside it. When this returns, both are durable. Taking the same again ends in the
    /// same place.
    pub fn take(&self, number: i64, from: File, sha256: Option<Sha256>, sidecar: &str) -> io::Result<Taken> {
        if !self.dir.is_dir() {
            DirBuilder::new().recursive(true).mode(DIR_MODE).create(&self.dir)?;
        }
        self.write(number, SIDECAR, &mut sidecar.as_bytes())?;
        let found = self.write(number, CONTENT, &mut { from })?;
        let taken = if sha256.is_none_or(|sha256| found == sha256) {
            Taken::Whole
        } else {
            fs::remove_file(self.content(number))?;
            Taken::Altered
        };
        File::open(&self.dir)?.sync_all()?;
        Ok(taken)
    }

    /// Writes down the reasons for a content that is no more.
    pub fn note(&self, number: i64, sidecar: &str) -> io::Result<()> {
        if !self.dir.is_dir() {
            DirBuilder::new().recursive(true).mode(DIR_MODE).create(&self.dir)?;
        }
        self.write(number, SIDECAR, &mut sidecar.as_bytes())?;
        File::open(&self.dir)?.sync_all()
    }

    fn write(&self, number: i64, ending: &str, from: &mut dyn Read) -> io::Result<Sha256> {
        let path = self.dir.join(format!("{number}.{ending}"));
        let aside = self.dir.join(format!("{number}.{ending}.new"));
        remove(&aside)?;
        let mut to = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&aside)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&buffer[..count]);
            to.write_all(&buffer[..count])?;
        }
        to.sync_all()?;
        fs::rename(&aside, &path)?;
        Ok(Sha256(hasher.finalize().into()))
    }

    /// Removes numbers for good.
    pub fn remove(&self, numbers: &[i64]) -> io::Result<()> {
        for number in numbers {
            for ending in [CONTENT, SIDECAR] {
                remove(&self.dir.join(format!("{number}.{ending}")))?;
            }
        }
        Ok(())
    }

    /// Removes whatever no row speaks of: what a crash, or a decision without a running agent, left behind.
    pub fn sweep(&self, keep: &[i64]) -> io::Result<()> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let mut parts = name.splitn(2, '.');
            let Some(number) = parts.next().and_then(|number| number.parse::<i64>().ok()) else { continue };
            let rest = parts.next().unwrap_or_default();
            let is_ours = rest.starts_with(CONTENT) || rest.starts_with(SIDECAR);
            // What is only half written ends in something more.
            let is_kept = keep.contains(&number) && (rest == CONTENT || rest == SIDECAR);
            if is_ours && !is_kept {
                remove(&self.dir.join(name))?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn digest(content: &[u8]) -> Sha256 {
        Sha256(Hasher::digest(content).into())
    }

    #[test]
    fn content_is_private_whole_and_explained() {
        let dir = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::new(dir.path().join("quarantine"));
        let source = dir.path().join("source");
        fs::write(&source, "bad").unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o777)).unwrap();
        for _ in 0..2 {
            let taken = quarantine.take(7, File::open(&source).unwrap(), Some(digest(b"bad")), "{}").unwrap();
            assert_eq!(taken, Taken::Whole);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&dir.path().join("quarantine")), DIR_MODE);
        assert_eq!(mode(&quarantine.content(7)), FILE_MODE);
        assert_eq!(mode(&dir.path().join("quarantine/7.json")), FILE_MODE);
        assert_eq!(fs::read(quarantine.content(7)).unwrap(), b"bad");

        let taken = quarantine.take(8, File::open(&source).unwrap(), Some(digest(b"other")), "{}").unwrap();
        assert_eq!(taken, Taken::Altered);
        assert!(!quarantine.content(8).exists() && dir.path().join("quarantine/8.json").exists());
        quarantine.sweep(&[7]).unwrap();
        let left = || fs::read_dir(dir.path().join("quarantine")).unwrap().count();
        assert_eq!(left(), 2);
        quarantine.remove(&[7, 9]).unwrap();
        assert_eq!(left(), 0);
    }
}
