//! Reading a local file for the way up: by handle and position, and never two moments of it as if they were one.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;

use super::LocalFolder;
use super::disk;
use super::hash::{DigestCount, Maker, READ_BYTES};
use super::refusal::{errno, refused};
use crate::deed::{DiskError, DiskErrorKind};
use crate::id::HashKind;
use crate::local_news::{HashOrder, HashedFile, LocalMiss, settles_in_ms};
use crate::path::RelPath;
use crate::tree::{Stamp, Wall};

/// An open file that is what was expected.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    path: RelPath,
    stamp: Stamp,
    count: Arc<DigestCount>,
}

impl LocalFolder {
    /// Opens a file to which nothing happened since it had the expected stamp: never through a link, never anything but a regular file.
    pub fn open_file(&self, path: &RelPath, expected: &Stamp) -> Result<OpenFile, LocalMiss> {
        let (file, stamp) = self.open_any(path)?;
        if !disk::untouched(&stamp, expected) {
            return Err(LocalMiss::Changed { stamp });
        }
        Ok(OpenFile { file, path: path.clone(), stamp, count: Arc::clone(&self.digested) })
    }

    /// Opens what is at a place, whatever happened to it: never through a link, never anything but a regular file.
    pub fn read_in_place(&self, path: &RelPath) -> Result<File, DiskError> {
        let gone = |text: &str| DiskError { kind: DiskErrorKind::Item, text: format!("{path}: {text}") };
        match self.open_any(path) {
            Ok((file, _)) => Ok(file),
            Err(LocalMiss::Failed(why)) => Err(why),
            Err(LocalMiss::Missing) => Err(gone("it is not there any more")),
            Err(LocalMiss::NotAFile | LocalMiss::Changed { .. }) => Err(gone("it is no regular file")),
        }
    }

    fn open_any(&self, path: &RelPath) -> Result<(File, Stamp), LocalMiss> {
        let failed = |why| LocalMiss::Failed(refused("read", path, why));
        let Some((parent, name)) = path.split_last() else { return Err(LocalMiss::NotAFile) };
        let opened = self
            .lookup
            .open(self.top.as_fd(), self.stamp.dev, parent.names())
            .and_then(|dir| disk::open_file(dir.as_fd(), name.as_os_str()));
        let file = match opened {
            Ok(file) => file,
            Err(Errno::NOENT) => return Err(self.check_root().map_or_else(LocalMiss::Failed, |()| LocalMiss::Missing)),
            Err(Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => return Err(LocalMiss::NotAFile),
            Err(why) => return Err(failed(why)),
        };
        let seen = disk::look_at(&file).map_err(failed)?;
        if !seen.is_file() || disk::is_mounted_file(&file, &seen, self.stamp.dev) {
            return Err(LocalMiss::NotAFile);
        }
        Ok((file, seen.stamp))
    }

    /// Digests a file. `now` decides whether it has settled.
    pub fn hash_file(&self, order: &HashOrder, now: Wall) -> Result<HashedFile, LocalMiss> {
        let file = self.open_file(&order.path, &order.stamp)?;
        let stamp = file.stamp;
        let (sha256, hash) = file.digest(order.hash)?;
        Ok(HashedFile { sha256, hash, stamp, settled: settles_in_ms(&stamp, now).is_none() })
    }
}

impl OpenFile {
    /// What it was when it was opened.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether nothing happened to it since. The status change time counts too: a program that sets the modification time back cannot set
    /// this one.
    pub fn check(&self) -> Result<(), LocalMiss> {
        match disk::look_at(&self.file) {
            Ok(seen) if seen.stamp == self.stamp => Ok(()),
            Ok(seen) => Err(LocalMiss::Changed { stamp: seen.stamp }),
            Err(why) => Err(LocalMiss::Failed(refused("look at", &self.path, why))),
        }
    }

    /// Exactly `len` bytes from `offset` on, of the content that was opened.
    pub fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        self.check().map_err(io::Error::other)?;
        Ok(bytes.into())
    }

    /// Reads all of it once and digests it.
    pub fn digest(&self, kind: HashKind) -> Result<(crate::id::Sha256, crate::id::ContentHash), LocalMiss> {
        let failed = |why: &io::Error| LocalMiss::Failed(refused("read", &self.path, errno(why)));
        let mut maker = Maker::new(kind);
        // A small file is read at once, and its end is seen behind it.
        let room = usize::try_from(self.stamp.size).unwrap_or(READ_BYTES).saturating_add(1);
        let mut buffer = vec![0; room.min(READ_BYTES)];
        let mut offset = 0;
        loop {
            match self.file.read_at(&mut buffer, offset) {
                Ok(0) => break,
                Ok(length) => {
                    maker.update(&buffer[..length]);
                    offset += length as u64;
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(failed(&why)),
            }
            if offset > self.stamp.size {
                break;
            }
        }
        self.count.add(offset);
        self.check()?;
        Ok(maker.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;

    use super::*;
    use crate::id::ContentHash;
    use crate::local::LocalOptions;
    use crate::local_news::ScanOrder;
    use crate::path::Name;

    fn open(root: &Path) -> LocalFolder {
        let options = LocalOptions { file_mode: 0o644, dir_mode: 0o755, min_free: 0, create: true };
        LocalFolder::open(root, "mark", options).unwrap()
    }

    fn named(name: &str) -> RelPath {
        RelPath::root().join(&Name::new(name.as_bytes()).unwrap())
    }

    fn stamp_of(local: &LocalFolder, name: &str) -> Stamp {
        let scan = local.scan(&ScanOrder { dir: RelPath::root(), after: None }).unwrap();
        scan.entries.iter().find(|entry| entry.name.to_text() == name).unwrap().stamp
    }

    #[test]
    fn a_file_is_digested_both_ways_and_says_whether_it_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let local = open(dir.path());
        fs::write(dir.path().join("abc"), "abc").unwrap();
        let stamp = stamp_of(&local, "abc");
        let order = |hash| HashOrder { path: named("abc"), stamp, hash };
        let now = Wall(stamp.ctime_ns / 1_000_000);
        let young = local.hash_file(&order(HashKind::Sha1), now).unwrap();
        assert_eq!(young.hash, ContentHash::Sha1("a9993e364706816aba3e25717850c26c9cd0d89d".into()));
        assert_eq!(young.sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((young.stamp, young.settled), (stamp, false));
        let old = local.hash_file(&order(HashKind::Sha512), now.plus_ms(60_000)).unwrap();
        assert!(old.settled && old.hash.to_string().starts_with("sha512:ddaf35a1"));
    }

    #[test]
    fn what_changed_is_never_taken_for_what_was_expected() {
        let dir = tempfile::tempdir().unwrap();
        let local = open(dir.path());
        let path = dir.path().join("a");
        fs::write(&path, "first").unwrap();
        let stamp = stamp_of(&local, "a");
        let file = local.open_file(&named("a"), &stamp).unwrap();
        assert_eq!(&file.read(1, 3).unwrap()[..], b"irs");
        assert!(file.read(3, 5).is_err(), "beyond its end");
        // The same length, and the modification time set back: only the status change time tells.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"other").unwrap();
        writer.set_modified(modified).unwrap();
        assert!(file.read(1, 3).is_err());
        assert!(matches!(file.check(), Err(LocalMiss::Changed { .. })));
        assert!(matches!(file.digest(HashKind::Sha1), Err(LocalMiss::Changed { .. })));
        fs::write(&path, "longer than before").unwrap();
        assert!(matches!(local.open_file(&named("a"), &stamp), Err(LocalMiss::Changed { .. })));
        fs::remove_file(&path).unwrap();
        assert_eq!(local.open_file(&named("a"), &stamp).unwrap_err(), LocalMiss::Missing);
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(local.open_file(&named("a"), &stamp).unwrap_err(), LocalMiss::NotAFile);
        fs::create_dir(dir.path().join("d")).unwrap();
        assert_eq!(local.open_file(&named("d"), &stamp).unwrap_err(), LocalMiss::NotAFile);
    }
}
