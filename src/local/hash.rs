//! Digests computed while bytes stream past: always our SHA-256, and beside it whatever the provider speaks.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use sha1::Sha1;
use sha2::{Digest as _, Sha256 as Sha256Hasher, Sha512};

use crate::id::{ContentHash, HashKind, Sha256};

/// How much of a file is read at a time.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// What a comparison with the provider's digest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The content is the one that the provider means.
    Equal,
    /// It is another one.
    Different,
    /// The provider gave no digest, or one that cannot be computed here.
    CannotTell,
}

/// The digests of one whole content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its length in bytes.
    pub size: u64,
    /// Our own name for it.
    pub sha256: Sha256,
    /// How it compares with the provider's digest.
    pub provider: Match,
}

/// Digests under way.
pub struct Digests {
    size: u64,
    sha256: Sha256Hasher,
    provider: Expected,
}

/// The provider's digest: what it should be, and how far we are with our own.
enum Expected {
    None,
    Sha1 { hasher: Sha1, want: String },
    Sha512 { hasher: Box<Sha512>, want: String },
    Chunks(Box<Chunks>),
}

/// Egnyte's digest of a chunked upload: SHA-512 over the hex SHA-512 values of the chunks.
struct Chunks {
    size: u64,
    want_count: u64,
    want: String,
    count: u64,
    chunk: Sha512,
    in_chunk: u64,
    whole: Sha512,
}

impl Digests {
    /// Starts SHA-256 and what it takes to check `want`.
    pub fn new(want: Option<&ContentHash>) -> Self {
        let provider = match want {
            Some(ContentHash::Sha1(want)) => Expected::Sha1 { hasher: Sha1::new(), want: want.clone() },
            Some(ContentHash::Sha512(want)) => Expected::Sha512 { hasher: Box::new(Sha512::new()), want: want.clone() },
            Some(ContentHash::Sha512Chunks { chunks, chunk_size, digest }) if *chunk_size > 0 => {
                Expected::Chunks(Box::new(Chunks {
                    size: *chunk_size,
                    want_count: *chunks,
                    want: digest.clone(),
                    count: 0,
                    chunk: Sha512::new(),
                    in_chunk: 0,
                    whole: Sha512::new(),
                }))
            }
            Some(ContentHash::Sha512Chunks { .. } | ContentHash::Unknown(_)) | None => Expected::None,
        };
        Self { size: 0, sha256: Sha256Hasher::new(), provider }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        match &mut self.provider {
            Expected::None => {}
            Expected::Sha1 { hasher, .. } => hasher.update(bytes),
            Expected::Sha512 { hasher, .. } => hasher.update(bytes),
            Expected::Chunks(chunks) => chunks.update(bytes),
        }
    }

    /// The digests of everything taken so far.
    pub fn finish(self) -> Digest {
        let provider = match self.provider {
            Expected::None => Match::CannotTell,
            Expected::Sha1 { hasher, want } => compare(&hex(&hasher.finalize()), &want),
            Expected::Sha512 { hasher, want } => compare(&hex(&hasher.finalize()), &want),
            Expected::Chunks(chunks) => chunks.finish(),
        };
        Digest { size: self.size, sha256: Sha256(self.sha256.finalize().into()), provider }
    }
}

/// Makes our digest and the provider's in one reading.
pub(crate) struct Maker {
    sha256: Sha256Hasher,
    provider: Making,
}

enum Making {
    Sha1(Sha1),
    Sha512(Box<Sha512>),
}

impl Maker {
    /// Starts SHA-256 and what the provider speaks.
    pub fn new(kind: HashKind) -> Self {
        let provider = match kind {
            HashKind::Sha1 => Making::Sha1(Sha1::new()),
            HashKind::Sha512 => Making::Sha512(Box::new(Sha512::new())),
        };
        Self { sha256: Sha256Hasher::new(), provider }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        match &mut self.provider {
            Making::Sha1(hasher) => hasher.update(bytes),
            Making::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digests of everything taken so far.
    pub fn finish(self) -> (Sha256, ContentHash) {
        let hash = match self.provider {
            Making::Sha1(hasher) => ContentHash::Sha1(hex(&hasher.finalize())),
            Making::Sha512(hasher) => ContentHash::Sha512(hex(&hasher.finalize())),
        };
        (Sha256(self.sha256.finalize().into()), hash)
    }
}

fn compare(ours: &str, theirs: &str) -> Match {
    if ours.eq_ignore_ascii_case(theirs) { Match::Equal } else { Match::Different }
}

impl Chunks {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.in_chunk == self.size {
                self.close_chunk();
            }
            let room = self.size - self.in_chunk;
            let take = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            self.chunk.update(&bytes[..take]);
            self.in_chunk += take as u64;
            bytes = &bytes[take..];
        }
    }

    fn close_chunk(&mut self) {
        let digest = self.chunk.finalize_reset();
        self.whole.update(hex(&digest).as_bytes());
        self.count += 1;
        self.in_chunk = 0;
    }

    fn finish(mut self) -> Match {
        if self.in_chunk > 0 || self.count == 0 {
            self.close_chunk();
        }
        // Another number of chunks than stated means that the statement does not describe how the file was cut.
        if self.count != self.want_count {
            return Match::CannotTell;
        }
        compare(&hex(&self.whole.finalize()), &self.want)
    }
}

/// Local files that were read from beginning to end for their digests, and the bytes of them: what stamps did not spare.
#[derive(Debug, Default)]
pub(crate) struct DigestCount {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl DigestCount {
    /// Adds a file.
    pub fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The files and the bytes.
    pub fn get(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// Reads to the end and digests.
pub fn digest(mut from: impl Read, want: Option<&ContentHash>) -> std::io::Result<Digest> {
    let mut digests = Digests::new(want);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(digests.finish()),
            Ok(length) => digests.update(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8], want: Option<&ContentHash>) -> Digest {
        digest(content, want).unwrap()
    }

    /// Facts from FIPS 180: the digests of `abc`.
    #[test]
    fn known_digests() {
        let sha1 = ContentHash::Sha1("a9993e364706816aba3e25717850c26c9cd0d89d".into());
        let digest = of(b"abc", Some(&sha1));
        assert_eq!(digest.provider, Match::Equal);
        assert_eq!(digest.size, 3);
        assert_eq!(digest.sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let upper = ContentHash::Sha1("A9993E364706816ABA3E25717850C26C9CD0D89D".into());
        assert_eq!(of(b"abc", Some(&upper)).provider, Match::Equal);
        assert_eq!(of(b"abd", Some(&sha1)).provider, Match::Different);
        let sha512 = ContentHash::Sha512(
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
                .into(),
        );
        assert_eq!(of(b"abc", Some(&sha512)).provider, Match::Equal);
        assert_eq!(of(b"", Some(&sha512)).provider, Match::Different);
    }

    #[test]
    fn chunk_composites_are_computed_as_stated() {
        let part = |bytes: &[u8]| hex(&Sha512::digest(bytes));
        for (content, chunk_size, parts) in [
            (&b"abcdefgh"[..], 3, vec!["abc", "def", "gh"]),
            (b"abcdef", 3, vec!["abc", "def"]),
            (b"ab", 3, vec!["ab"]),
            (b"", 3, vec![""]),
        ] {
            let joined: String = parts.iter().map(|text| part(text.as_bytes())).collect();
            let want = |chunks, digest| ContentHash::Sha512Chunks { chunks, chunk_size, digest };
            let chunks = parts.len() as u64;
            assert_eq!(of(content, Some(&want(chunks, part(joined.as_bytes())))).provider, Match::Equal);
            assert_eq!(of(content, Some(&want(chunks, part(b"other")))).provider, Match::Different);
            assert_eq!(of(content, Some(&want(chunks + 1, part(b"other")))).provider, Match::CannotTell);
        }
    }

    #[test]
    fn what_cannot_be_computed_is_no_difference() {
        let unknown = ContentHash::Unknown("7-whatever".into());
        let hollow = ContentHash::Sha512Chunks { chunks: 1, chunk_size: 0, digest: String::new() };
        for want in [None, Some(&unknown), Some(&hollow)] {
            assert_eq!(of(b"abc", want).provider, Match::CannotTell);
        }
    }
}
