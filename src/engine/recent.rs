//! The newest foreign events (those that concern no folder), so that none of them is written into the journal twice.
//!
//! They are remembered and not looked up: event ids are random, so that an index by id would touch a page of its own for almost every one of
//! them. A repeated event comes soon: an overlapping page, or the second reading of the last minutes.
//!
//! Example: a page ends with `e7`, and the second reading half a minute later begins with it. `e7` is known, and no row is added. After a
//! restart the newest rows of the journal are read first, once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::id::{AccountId, EventId, JournalId};
use crate::store::{Result, Store};

/// Events of a generation, of all accounts together: four times what a second reading reads (four pages of 500).
const GENERATION: usize = 8_192;

/// The journal's rows of the newest foreign events: those of the generation that is being filled, and those of the one before.
#[derive(Debug, Default)]
pub(super) struct RecentForeign {
    newest: Entries,
    before: Entries,
    is_loaded: bool,
}

/// By keys that are hashes already.
type Entries = HashMap<u64, JournalId, BuildHasherDefault<AsItIs>>;

impl RecentForeign {
    /// The journal's row of an event that was foreign when it came before.
    pub fn entry(&mut self, store: &Store, account: AccountId, event: &EventId) -> Result<Option<JournalId>> {
        if !std::mem::replace(&mut self.is_loaded, true) {
            for (journal, of, id) in store.reader().foreign_events(GENERATION as u32)? {
                self.note(of, &id, journal);
            }
        }
        let key = key(account, event);
        Ok(self.newest.get(&key).or_else(|| self.before.get(&key)).copied())
    }

    /// A foreign event was written into the journal.
    pub fn note(&mut self, account: AccountId, event: &EventId, journal: JournalId) {
        if self.newest.len() >= GENERATION {
            // The table of the generation that is forgotten is filled anew.
            std::mem::swap(&mut self.newest, &mut self.before);
            self.newest.clear();
        }
        self.newest.insert(key(account, event), journal);
    }
}

fn key(account: AccountId, event: &EventId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (account, event).hash(&mut hasher);
    hasher.finish()
}

/// The hash of a hash.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let store = Store::in_memory().unwrap();
        let (ours, theirs) = (AccountId(1), AccountId(2));
        let mut recent = RecentForeign::default();
        let id = |number: usize| EventId::new(number.to_string());
        for number in 0..=2 * GENERATION {
            recent.note(ours, &id(number), JournalId(number as i64));
        }
        let mut known = |account, number| recent.entry(&store, account, &id(number)).unwrap();
        assert_eq!(known(ours, GENERATION - 1), None, "there is room for two generations");
        assert_eq!(known(ours, GENERATION), Some(JournalId(GENERATION as i64)));
        assert_eq!(known(ours, 2 * GENERATION), Some(JournalId(2 * GENERATION as i64)));
        assert_eq!(known(theirs, GENERATION), None);
        assert_eq!((recent.newest.len(), recent.before.len()), (1, GENERATION));
    }
}
