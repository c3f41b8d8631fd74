//! An uploaded body on its way in: small ones stay in memory, large ones go to disk, all are hashed as they pass.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::content::{Content, Spill, Stored, hex};

/// A body larger than this goes to disk.
const MEMORY_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    path: PathBuf,
    hasher: Sha1,
    len: u64,
}

impl Spool {
    /// A spool that makes the file at `path` only when it needs it.
    pub fn new(path: PathBuf) -> Self {
        Self {
            memory: Vec::new(),
            file: None,
            path,
            hasher: Sha1::new(),
            len: 0,
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > MEMORY_BYTES_MAX {
            let mut file = create(&self.path)?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        Ok(())
    }

    pub fn finish(mut self) -> Arc<Stored> {
        let sha1 = hex(&self.hasher.finalize_reset());
        let content = match self.file.take() {
            Some(file) => {
                let path = std::mem::take(&mut self.path);
                Content::Spilled(Arc::new(Spill::adopt(file, path, self.len)))
            }
            None => Content::from(std::mem::take(&mut self.memory)),
        };
        Stored::hashed(content, sha1)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.file.is_some() {
            // An upload that never finished; its directory is temporary anyway.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A new file that can be read and written.
pub(crate) fn create(path: &std::path::Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_goes_to_disk_and_is_deleted_with_its_last_user() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path().join("one"));
        let part = vec![7_u8; 300_000];
        for _ in 0..5 {
            spool.write(&part).unwrap();
        }
        let stored = spool.finish();
        assert_eq!(stored.read_all().unwrap(), part.repeat(5));
        assert_eq!(**stored.sha1(), *hex(&Sha1::digest(part.repeat(5))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(stored);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_upload_that_never_finished_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path().join("one"));
        spool.write(&vec![1; MEMORY_BYTES_MAX + 1]).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(spool);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
