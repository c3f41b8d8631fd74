//! The bytes of one file version: in memory, on disk, or made up on the fly, with digests that are computed once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use sha1::Digest;

/// What a file holds. Large test files cost nothing as a [`Content::Pattern`].
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes kept in memory.
    Bytes(Bytes),
    /// Bytes that follow from a seed: the same every time, and readable from any offset.
    Pattern {
        /// Two seeds give two contents.
        seed: u64,
        /// The length in bytes.
        len: u64,
    },
    /// A file on disk, deleted with the last version that refers to it.
    Spilled(Arc<Spill>),
}

impl Content {
    /// Made-up content of `len` bytes.
    pub fn pattern(seed: u64, len: u64) -> Self {
        Self::Pattern { seed, len }
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pattern { len, .. } => *len,
            Self::Spilled(spill) => spill.len,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// An uploaded body that was too large to keep in memory.
#[derive(Debug)]
pub struct Spill {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Spill {
    /// Takes over the file at `path`, which holds `len` bytes.
    pub(crate) fn adopt(file: File, path: PathBuf, len: u64) -> Self {
        Self { file, path, len }
    }

    /// The file, for those who are still filling it.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // Nobody can be told here, and a file left behind lies in a temporary directory.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A pattern repeats one block of this size; every repetition starts with its own number, so that no two are equal.
const BLOCK_BYTES: u64 = 1 << 20;
/// The number at the start of each block after the first.
const STAMP_BYTES: u64 = 8;
/// Large enough to be fast, small enough for many transfers side by side.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// The content of one version together with what is known about it.
#[derive(Debug)]
pub(crate) struct Stored {
    content: Content,
    block: OnceLock<Bytes>,
    sha1: Arc<str>,
    sha256: OnceLock<String>,
    checksum: OnceLock<String>,
}

impl Stored {
    /// Wraps the content and computes the digest that every event will need, so do this outside the cloud's lock.
    pub fn new(content: Content) -> io::Result<Arc<Self>> {
        let mut stored = Self::blank(content);
        stored.sha1 = stored.digest::<sha1::Sha1>()?.into();
        Ok(Arc::new(stored))
    }

    /// Wraps content whose SHA-1 was computed while it arrived.
    pub fn hashed(content: Content, sha1: String) -> Arc<Self> {
        Arc::new(Self { sha1: sha1.into(), ..Self::blank(content) })
    }

    /// The same content under a checksum that says how it was put together from chunks.
    pub fn with_checksum(&self, checksum: String) -> Arc<Self> {
        let stored = Self { sha1: self.sha1.clone(), ..Self::blank(self.content.clone()) };
        let _ = stored.checksum.set(checksum);
        Arc::new(stored)
    }

    fn blank(content: Content) -> Self {
        let (block, sha256, checksum) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { content, block, sha1: Arc::from(""), sha256, checksum }
    }

    pub fn len(&self) -> u64 {
        self.content.len()
    }

    /// Lower-case hex.
    pub fn sha1(&self) -> &Arc<str> {
        &self.sha1
    }

    pub fn sha256(&self) -> io::Result<&str> {
        if self.sha256.get().is_none() {
            let digest = self.digest::<sha2::Sha256>()?;
            return Ok(self.sha256.get_or_init(|| digest));
        }
        Ok(self.sha256.get().map_or("", String::as_str))
    }

    /// The SHA-512 as lower-case hex, or a composite of those of the chunks that it came in.
    ///
    /// It costs as much as reading the content once, so do this outside the cloud's lock.
    pub fn checksum(&self) -> io::Result<&str> {
        if self.checksum.get().is_none() {
            let digest = self.digest::<sha2::Sha512>()?;
            return Ok(self.checksum.get_or_init(|| digest));
        }
        Ok(self.checksum.get().map_or("", String::as_str))
    }

    /// At most [`CHUNK_BYTES`] bytes from `offset` on and before `end`; empty only at the end.
    pub fn chunk(&self, offset: u64, end: u64) -> io::Result<Bytes> {
        let end = end.min(self.len());
        let want = end.saturating_sub(offset).min(CHUNK_BYTES as u64) as usize;
        if want == 0 {
            return Ok(Bytes::new());
        }
        match &self.content {
            Content::Bytes(bytes) => Ok(bytes.slice(offset as usize..offset as usize + want)),
            Content::Spilled(spill) => {
                let mut buffer = vec![0; want];
                spill.file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer.into())
            }
            Content::Pattern { seed, len } => Ok(self.pattern_chunk(*seed, *len, offset, want)),
        }
    }

    fn pattern_chunk(&self, seed: u64, len: u64, offset: u64, want: usize) -> Bytes {
        if len <= BLOCK_BYTES {
            let whole = pattern_block(seed, len as usize);
            return whole.slice(offset as usize..offset as usize + want);
        }
        let block = self.block.get_or_init(|| pattern_block(seed, BLOCK_BYTES as usize));
        let (number, within) = (offset / BLOCK_BYTES, offset % BLOCK_BYTES);
        if number > 0 && within < STAMP_BYTES {
            let stamp = (number ^ seed).to_le_bytes();
            let until = (within as usize + want).min(STAMP_BYTES as usize);
            return Bytes::copy_from_slice(&stamp[within as usize..until]);
        }
        let until = (within + want as u64).min(BLOCK_BYTES);
        block.slice(within as usize..until as usize)
    }

    /// Everything, for comparisons of small files.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::with_capacity(self.len() as usize);
        while (all.len() as u64) < self.len() {
            all.extend_from_slice(&self.chunk(all.len() as u64, self.len())?);
        }
        Ok(all)
    }

    fn digest<D: Digest>(&self) -> io::Result<String> {
        let mut hasher = D::new();
        let mut offset = 0;
        while offset < self.len() {
            let chunk = self.chunk(offset, self.len())?;
            hasher.update(&chunk);
            offset += chunk.len() as u64;
        }
        Ok(hex(&hasher.finalize()))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The next number of a small, well mixed, seeded sequence (SplitMix64).
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn pattern_block(seed: u64, len: usize) -> Bytes {
    let mut state = seed;
    let mut block = Vec::with_capacity(len + 8);
    while block.len() < len {
        block.extend_from_slice(&next_random(&mut state).to_le_bytes());
    }
    block.truncate(len);
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_reads_the_same_from_any_offset() {
        let len = 2 * BLOCK_BYTES + 12_345;
        let stored = Stored::new(Content::pattern(7, len)).unwrap();
        let whole = stored.read_all().unwrap();
        assert_eq!(whole.len() as u64, len);
        for offset in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 3, 2 * BLOCK_BYTES + 8, len - 1] {
            let chunk = stored.chunk(offset, len).unwrap();
            assert!(!chunk.is_empty());
            assert_eq!(&whole[offset as usize..offset as usize + chunk.len()], &chunk[..], "at {offset}");
        }
        assert_ne!(whole[..4096], whole[BLOCK_BYTES as usize..BLOCK_BYTES as usize + 4096]);
    }

    #[test]
    fn two_seeds_give_two_contents_and_the_digests_are_the_known_ones() {
        let one = Stored::new(Content::pattern(1, 4096)).unwrap();
        let two = Stored::new(Content::pattern(2, 4096)).unwrap();
        assert_ne!(one.sha1(), two.sha1());
        let abc = Stored::new(Content::from("abc")).unwrap();
        assert_eq!(&**abc.sha1(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(abc.sha256().unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
