//! Events of no folder that were told lately, so that none of them is written down twice.
//!
//! They are remembered and not looked up: their names are random, so that an index by name would touch a page of its own for almost every
//! event of other people's folders. What is told again comes soon: a page once more, or the second reading of the last minutes.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::id::{AccountId, EventId, JournalId};
use crate::store::{Result, Store};

/// Events that are remembered: eight times what a second reading reads.
const REMEMBERED: usize = 16_384;

/// Where the journal has the events of no folder that came last.
#[derive(Debug, Default)]
pub(super) struct Told {
    entries: HashMap<u64, JournalId>,
    order: VecDeque<u64>,
    is_loaded: bool,
}

impl Told {
    /// The entry of an event that was told before as one of no folder.
    pub fn entry(&mut self, store: &Store, account: AccountId, event: &EventId) -> Result<Option<JournalId>> {
        if !std::mem::replace(&mut self.is_loaded, true) {
            for (journal, of, id) in store.reader().foreign_events(REMEMBERED as u32)? {
                self.note(of, &id, journal);
            }
        }
        Ok(self.entries.get(&key(account, event)).copied())
    }

    /// An event of no folder was written down.
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
        let mut told = Told::default();
        let id = |number: usize| EventId::new(number.to_string());
        for number in 0..=REMEMBERED {
            told.note(ours, &id(number), JournalId(number as i64));
        }
        assert_eq!(told.entry(&store, ours, &id(0)).unwrap(), None, "there is room for so many");
        assert_eq!(told.entry(&store, ours, &id(1)).unwrap(), Some(JournalId(1)));
        assert_eq!(told.entry(&store, theirs, &id(1)).unwrap(), None);
        assert_eq!((told.entries.len(), told.order.len()), (REMEMBERED, REMEMBERED));
    }
}
