//! Which sizes a clamd looks into: of a file above its limits it says that it is clean, unless it was told to speak of limits. It does not
//! tell its limits either, so it is shown a file of the same size with the EICAR test string at its beginning.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use tokio::time::Instant;

/// What a clamd that does not know the test string is believed to look into: the least of its usual limits.
pub const BELIEVED_BYTES: u64 = 25 << 20;
/// How long what was found out holds: a clamd may be started anew with other limits.
const HOLDS: Duration = Duration::from_mins(10);
/// What is tried first, so that small files are one question together.
const TRIED_FIRST_BYTES: u64 = 4 << 20;
/// The least that is tried of a clamd that does not look into that.
const TRIED_LEAST_BYTES: u64 = 4 << 10;
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
    /// It did not look into one of this size.
    passes_over: Option<u64>,
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
        match (self.holds(), self.lacks_signature) {
            (true, true) if size <= BELIEVED_BYTES => Known::Looked,
            (true, true) => Known::Untold,
            (true, false) if size <= self.reaches => Known::Looked,
            _ => Known::Unknown,
        }
    }

    /// The sizes of which one is to be found out, for files of a size: one answer holds for many of them. The size itself is the last.
    pub fn to_try(&self, size: u64) -> Vec<u64> {
        let rounded = size.checked_next_power_of_two().unwrap_or(size);
        let mut sizes = vec![rounded.max(TRIED_FIRST_BYTES), rounded.max(TRIED_LEAST_BYTES), size];
        sizes.dedup();
        let passes_over = self.passes_over.filter(|_| self.holds());
        sizes.retain(|tried| *tried == size || passes_over.is_none_or(|over| *tried < over));
        sizes
    }

    /// It found the test string in a file of this size.
    pub fn reaches(&mut self, size: u64) {
        self.renew();
        (self.reaches, self.lacks_signature) = (self.reaches.max(size), false);
    }

    /// It did not find the test string in a file of this size, which may be the size or the string.
    pub fn passes_over(&mut self, size: u64) {
        self.renew();
        self.passes_over = Some(self.passes_over.map_or(size, |known| known.min(size)));
    }

    /// It does not find the test string in any file.
    pub fn lacks_signature(&mut self) {
        *self = Self { lacks_signature: true, until: Some(Instant::now() + HOLDS), ..Self::default() };
    }

    fn holds(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// What is known too long is forgotten.
    fn renew(&mut self) {
        if !self.holds() {
            *self = Self { until: Some(Instant::now() + HOLDS), ..Self::default() };
        }
    }
}

/// A file of a size, nothing but the test string and holes.
pub fn test_file(size: u64) -> std::io::Result<File> {
    let file: OwnedFd = memfd_create("scanner-test", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(file);
    let text: Vec<u8> = BACKWARDS.iter().rev().copied().collect();
    file.write_all(&text)?;
    file.set_len(size.max(text.len() as u64))?;
    // The place in it belongs to whoever reads it.
    std::io::Seek::rewind(&mut file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_grows_and_ends() {
        let mut sight = Sight::default();
        assert_eq!((sight.of(0), sight.of(1)), (Known::Unknown, Known::Unknown), "nothing is believed");
        sight.reaches(4 << 20);
        sight.reaches(1 << 20);
        assert_eq!((sight.of(4 << 20), sight.of((4 << 20) + 1)), (Known::Looked, Known::Unknown));
        sight.lacks_signature();
        assert_eq!((sight.of(BELIEVED_BYTES), sight.of(BELIEVED_BYTES + 1)), (Known::Looked, Known::Untold));
        sight.until = Some(Instant::now());
        assert_eq!(sight.of(1 << 20), Known::Unknown);
    }

    #[test]
    fn one_question_answers_for_many_files_and_a_limit_is_closed_in_on() {
        let mut sight = Sight::default();
        assert_eq!(sight.to_try(1), [4 << 20, 4 << 10, 1]);
        assert_eq!(sight.to_try(5 << 20), [8 << 20, 5 << 20]);
        assert_eq!(sight.to_try(u64::MAX), [u64::MAX]);
        sight.passes_over(4 << 20);
        sight.passes_over(8 << 20);
        assert_eq!(sight.to_try(10_000), [16 << 10, 10_000]);
        sight.reaches(16 << 10);
        assert_eq!((sight.of(16 << 10), sight.of(20_000)), (Known::Looked, Known::Unknown));
        sight.passes_over(16 << 10);
        assert_eq!(sight.to_try(10_000), [10_000], "what it does not look into is asked about each by itself");
        sight.until = Some(Instant::now());
        assert_eq!(sight.to_try(1).len(), 3, "other limits may be in force");
    }
}
