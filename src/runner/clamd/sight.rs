//! Which sizes a clamd looks into: of a file above its limits it says that it is clean, unless it was told to speak of limits. It does not
//! tell its limits either, so it is shown a file of the same size with the EICAR test string at its beginning.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use tokio::fs::File;
use tokio::time::Instant;

/// Up to this size there is no clamd that does not look.
pub const ALWAYS_BYTES: u64 = 64 * 1024;
/// What a clamd that does not know the test string is believed to look into: the least of its usual limits.
pub const BELIEVED_BYTES: u64 = 25 << 20;
/// How long what was found out holds: a clamd may be started anew with other limits.
const HOLDS: Duration = Duration::from_mins(10);
/// The least that is tried, so that small files are one question together.
const TRIED_LEAST_BYTES: u64 = 4 << 20;
/// The test string of the antivirus makers, backwards, so that our own program does not hold it.
const BACKWARDS: &[u8; 68] = br"*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\4[PA@%P!O5X";

/// What a clamd did with a test file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It found the test string.
    Found,
    /// It said that it does not look into files of this size.
    Refused,
    /// It called it clean.
    Overlooked,
}

/// What is known of a clamd's limits.
#[derive(Debug, Default)]
pub struct Sight {
    /// It looks into files up to this size.
    reaches: u64,
    /// Its database has no signature of the test string, so that nothing is found out by it.
    lacks_signature: bool,
    until: Option<Instant>,
}

/// What follows for a file that was called clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It was looked into.
    Looked,
    /// It is not known yet.
    Unknown,
    /// It cannot be known.
    Untold,
}

impl Sight {
    /// What is known of files of a size.
    pub fn of(&self, size: u64) -> Known {
        let holds = self.until.is_some_and(|until| Instant::now() < until);
        match (holds, self.lacks_signature) {
            _ if size <= ALWAYS_BYTES => Known::Looked,
            (true, true) if size <= BELIEVED_BYTES => Known::Looked,
            (true, true) => Known::Untold,
            (true, false) if size <= self.reaches => Known::Looked,
            _ => Known::Unknown,
        }
    }

    /// It found the test string in a file of this size.
    pub fn reaches(&mut self, size: u64) {
        let holds = self.until.is_some_and(|until| Instant::now() < until);
        let reaches = if holds { self.reaches.max(size) } else { size };
        *self = Self { reaches, lacks_signature: false, until: Some(Instant::now() + HOLDS) };
    }

    /// It does not find the test string in any file.
    pub fn lacks_signature(&mut self) {
        *self = Self { reaches: 0, lacks_signature: true, until: Some(Instant::now() + HOLDS) };
    }
}

/// The size that is tried first for files of a size: one question answers for many of them.
pub fn rounded(size: u64) -> u64 {
    size.checked_next_power_of_two().unwrap_or(size).max(TRIED_LEAST_BYTES)
}

/// A file of a size, nothing but the test string and holes.
pub fn test_file(size: u64) -> std::io::Result<File> {
    let file: OwnedFd = memfd_create("scanner-test", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    let text: Vec<u8> = BACKWARDS.iter().rev().copied().collect();
    file.write_all(&text)?;
    file.set_len(size.max(text.len() as u64))?;
    // The place in it belongs to whoever reads it.
    std::io::Seek::rewind(&mut file)?;
    Ok(File::from_std(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_grows_and_ends() {
        let mut sight = Sight::default();
        assert_eq!((sight.of(ALWAYS_BYTES), sight.of(ALWAYS_BYTES + 1)), (Known::Looked, Known::Unknown));
        sight.reaches(4 << 20);
        sight.reaches(1 << 20);
        assert_eq!((sight.of(4 << 20), sight.of((4 << 20) + 1)), (Known::Looked, Known::Unknown));
        sight.lacks_signature();
        assert_eq!((sight.of(BELIEVED_BYTES), sight.of(BELIEVED_BYTES + 1)), (Known::Looked, Known::Untold));
        sight.until = Some(Instant::now());
        assert_eq!(sight.of(1 << 20), Known::Unknown);
        assert_eq!((rounded(1), rounded(5 << 20), rounded(u64::MAX)), (4 << 20, 8 << 20, u64::MAX));
    }
}
