//! The newest foreign events (those that concern no folder), so that none of them is written into the journal twice.
//!
//! They are remembered and not looked up: event ids are random, so that an index by id would touch a page of its own for almost every one of
//! them. A repeated event comes soon: an overlapping page, or the second reading of the last minutes.
//!
//! Example: a page ends with `e7`, and the second reading half a minute later begins with it. `e7` is known, and no row is added. After a
//! restart the newest rows of the journal are read first, once.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::id::{AccountId, EventId, JournalId};
use crate::store::{Result, Store};

/// Events that are remembered, of all accounts together: eight times what a second reading reads (four pages of 500).
const REMEMBERED: usize = 16_384;

/// The journal's rows of the newest foreign events.
#[derive(Debug, Default)]
pub(super) struct RecentForeign {
    entries: HashMap<u64, JournalId>,
    order: VecDeque<u64>,
    is_loaded: bool,
}

impl RecentForeign {
    /// The journal's row of an event that was foreign when it came before.
    pub fn entry(&mut self, store: &Store, account: AccountId, event: &EventId) -> Result<Option<JournalId>> {
        if !std::mem::replace(&mut self.is_loaded, true) {
            for (journal, of, id) in store.reader().foreign_events(REMEMBERED as u32)? {
                self.note(of, &id, journal);
            }
        }
        Ok(self.entries.get(&key(account, event)).copied())
    }

    /// A foreign event was written into the journal.
    pub fn note(&mut self, account: AccountId, event: &EventId, journal: JournalId) {
        let key = key(account, event);
        if self.entries.insert(key, journal).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

fn key(account: AccountId, event: &EventId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (account, event).hash(&mut hasher);
    hasher.finish()
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
        for number in 0..=REMEMBERED {
            recent.note(ours, &id(number), JournalId(number as i64));
        }
        assert_eq!(recent.entry(&store, ours, &id(0)).unwrap(), None, "there is room for so many");
        assert_eq!(recent.entry(&store, ours, &id(1)).unwrap(), Some(JournalId(1)));
        assert_eq!(recent.entry(&store, theirs, &id(1)).unwrap(), None);
        assert_eq!((recent.entries.len(), recent.order.len()), (REMEMBERED, REMEMBERED));
    }
}
