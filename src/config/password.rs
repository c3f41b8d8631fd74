//! Hashes of passwords, as the configuration holds them: PBKDF2 with HMAC-SHA-256, salted.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};

const SCHEME: &str = "pbkdf2-sha256";
/// How often the function is applied: some tenths of a second.
const ROUNDS: u32 = 600_000;
/// More would let a configuration keep the agent busy.
const ROUNDS_MOST: u32 = 10_000_000;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// A password's hash. It says nothing of itself in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl PasswordHash {
    /// Hashes a password; nothing if the system has no randomness.
    pub fn of(password: &str) -> Option<Self> {
        let mut salt = vec![0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).ok()?;
        let rounds = NonZeroU32::new(ROUNDS)?;
        let mut hash = vec![0; HASH_BYTES];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut hash);
        Some(Self { rounds, salt, hash })
    }

    /// Reads `pbkdf2-sha256$ROUNDS$SALT$HASH`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let (scheme, rounds, salt, hash) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let rounds: u32 = rounds.parse().ok()?;
        let (salt, hash) = (BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?);
        let fits = scheme == SCHEME
            && parts.next().is_none()
            && (1..=ROUNDS_MOST).contains(&rounds)
            && salt.len() >= SALT_BYTES
            && hash.len() == HASH_BYTES;
        fits.then_some(Self { rounds: NonZeroU32::new(rounds)?, salt, hash })
    }

    /// Whether a password is the one. Takes as long for a wrong one.
    pub fn fits(&self, password: &str) -> bool {
        pbkdf2::verify(PBKDF2_HMAC_SHA256, self.rounds, &self.salt, password.as_bytes(), &self.hash).is_ok()
    }

    /// The text of the configuration file.
    pub fn text(&self) -> String {
        format!("{SCHEME}${}${}${}", self.rounds, BASE64.encode(&self.salt), BASE64.encode(&self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_fits_and_a_hash_survives_the_file() {
        let hash = PasswordHash::of("grüße 7").unwrap();
        let read = PasswordHash::parse(&hash.text()).unwrap();
        assert!(read.fits("grüße 7") && !read.fits("grüße 8") && !read.fits(""));
        assert_eq!(format!("{read:?}"), "PasswordHash(…)");
        for wrong in ["", "pbkdf2-sha256$0$AAAAAAAAAAAAAAAAAAAAAA$x", "md5$1$a$b", "pbkdf2-sha256$600000$$"] {
            assert!(PasswordHash::parse(wrong).is_none(), "{wrong}");
        }
    }
}
