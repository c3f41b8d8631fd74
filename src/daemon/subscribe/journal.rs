//! Reading the journal for one subscription: what is wanted, in order, and what is missing in between.

use crate::events::filter::Matcher;
use crate::id::JournalId;
use crate::report::{EventRow, GapRow, SCHEMA_VERSION};
use crate::store::{Reader, Result};
use crate::tree::Wall;

/// Entries looked at in one reading at least, and at most.
const LOOKED_AT: std::ops::RangeInclusive<u32> = 500..=2_000;

/// A place in the journal: the last entry that is done with, and the epoch in which that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The entry.
    pub cursor: i64,
    /// The epoch.
    pub epoch: i64,
}

/// One document for a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Doc {
    /// An event.
    Event(Box<EventRow>),
    /// Events that were not kept.
    Gap(GapRow),
}

/// What one reading found.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it was read from.
    pub from: Place,
    /// The last entry that it covers.
    pub upto: i64,
    /// What is wanted of it.
    pub docs: Vec<Doc>,
    /// Entries that are missing.
    pub lost: u64,
    /// There is more to read.
    pub more: bool,
}

/// The wish of one subscription.
#[derive(Debug)]
pub struct Wish {
    /// Its name.
    pub name: String,
    /// Which events.
    pub matcher: Matcher,
    /// With their texts.
    pub raw: bool,
    /// How many at once.
    pub batch: u32,
}

/// Reads on from `known`, unless a replay moved the place since; nothing if there is no such subscription.
pub fn read(reader: &Reader, wish: &Wish, known: Option<Place>, now: Wall) -> Result<Option<Batch>> {
    let Some(row) = reader.rows().subscription(&wish.name)? else { return Ok(None) };
    // What was delivered may not be written down yet: within an epoch the later place counts.
    let from = match known {
        Some(known) if known.epoch == row.epoch => Place { cursor: known.cursor.max(row.cursor), epoch: row.epoch },
        _ => Place { cursor: row.cursor, epoch: row.epoch },
    };
    let limit = wish.batch.clamp(*LOOKED_AT.start(), *LOOKED_AT.end());
    let rows = reader.rows().events_behind(from.cursor, wish.raw, limit)?;
    let is_full = rows.len() == limit as usize;
    let mut batch = Batch { from, upto: from.cursor, docs: Vec::new(), lost: 0, more: is_full };
    for row in rows {
        let missing = row.id.0 - batch.upto - 1;
        if missing > 0 {
            // A gap stands before what follows it, and at the beginning of a delivery.
            if batch.upto > from.cursor {
                batch.more = true;
                break;
            }
            batch.lost = missing as u64;
            batch.docs.push(Doc::Gap(GapRow {
                schema: SCHEMA_VERSION,
                event_type: "gap".to_owned(),
                after: JournalId(from.cursor),
                before: row.id,
                lost: batch.lost,
                at: now,
            }));
        }
        if wish.matcher.wants(&row) {
            if batch.docs.len() >= wish.batch as usize {
                batch.more = true;
                break;
            }
            batch.upto = row.id.0;
            batch.docs.push(Doc::Event(Box::new(row)));
        } else {
            batch.upto = row.id.0;
        }
    }
    Ok(Some(batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::filter::EventFilter;
    use crate::events::taxonomy::TypePattern;
    use crate::id::{AccountId, EventId};
    use crate::store::Store;
    use crate::store::journal::NewEvent;

    /// A database with events of these kinds, and a reader of it.
    fn journal(dir: &std::path::Path, kinds: &[&str]) -> (Store, Reader) {
        let path = dir.join("state.db");
        let mut store = Store::open(&path).unwrap();
        let account = store.account("work", "box").unwrap().account;
        store.want_subscription("one", 1, false, true).unwrap();
        add(&mut store, account, kinds);
        (store, Reader::open(&path).unwrap())
    }

    fn add(store: &mut Store, account: AccountId, kinds: &[&str]) {
        for (number, kind) in kinds.iter().enumerate() {
            let id = EventId::new(format!("{number}-{kind}"));
            let event = NewEvent {
                account,
                event_id: &id,
                folder: None,
                node: None,
                item: None,
                kind,
                provider_kind: "X",
                path: None,
                actor: None,
                actor_id: None,
                at: None,
                received: Wall(1),
                outcome: "outside",
                own: false,
                raw: "",
            };
            store.add_foreign_event(&event).unwrap();
        }
    }

    fn wish(types: &[&str], batch: u32) -> Wish {
        let types = types.iter().map(|text| TypePattern::parse(text).unwrap()).collect();
        let matcher = Matcher::new(EventFilter { types, ..EventFilter::default() });
        Wish { name: "one".into(), matcher, raw: false, batch }
    }

    fn ids(batch: &Batch) -> Vec<String> {
        let of = |doc: &Doc| match doc {
            Doc::Event(row) => row.id.to_string(),
            Doc::Gap(gap) => format!("gap of {} before {}", gap.lost, gap.before),
        };
        batch.docs.iter().map(of).collect()
    }

    fn next(reader: &Reader, wish: &Wish, from: &Batch) -> Batch {
        let place = Place { cursor: from.upto, epoch: from.from.epoch };
        read(reader, wish, Some(place), Wall(1)).unwrap().unwrap()
    }

    #[test]
    fn what_is_not_wanted_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (_store, reader) = journal(dir.path(), &["moved", "uploaded", "moved", "moved", "uploaded", "moved"]);
        let wish = wish(&["moved"], 2);
        let first = read(&reader, &wish, None, Wall(1)).unwrap().unwrap();
        assert_eq!((ids(&first), first.upto, first.more), (vec!["1".into(), "3".into()], 3, true));
        let second = next(&reader, &wish, &first);
        assert_eq!((ids(&second), second.upto, second.more), (vec!["4".into(), "6".into()], 6, false));
        assert!(next(&reader, &wish, &second).docs.is_empty());
        let nothing = super::read(&reader, &self::wish(&["trashed"], 2), None, Wall(1)).unwrap().unwrap();
        assert_eq!((nothing.docs.len(), nothing.upto), (0, 6), "the place moves all the same");
    }

    #[test]
    fn a_gap_stands_before_what_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, reader) = journal(dir.path(), &["moved"; 6]);
        // All but the newest entry that is kept for the subscription go.
        while store.prune_journal(Wall(i64::MAX / 2), 10).unwrap() {}
        let wish = wish(&[], 10);
        let batch = read(&reader, &wish, None, Wall(1)).unwrap().unwrap();
        assert_eq!((ids(&batch), batch.lost), (vec!["gap of 5 before 6".into(), "6".into()], 5));
        assert_eq!(read(&reader, &wish, Some(Place { cursor: 6, epoch: 0 }), Wall(1)).unwrap().unwrap().lost, 0);
    }

    #[test]
    fn a_replay_counts_more_than_what_the_worker_remembers() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, reader) = journal(dir.path(), &["moved"; 4]);
        let wish = wish(&[], 10);
        let known = Place { cursor: 4, epoch: 0 };
        assert!(read(&reader, &wish, Some(known), Wall(1)).unwrap().unwrap().docs.is_empty());
        store.rewind_subscription("one", 2).unwrap();
        assert_eq!(ids(&read(&reader, &wish, Some(known), Wall(1)).unwrap().unwrap()), ["3", "4"]);
        store.forget_subscription("one").unwrap();
        assert_eq!(read(&reader, &wish, None, Wall(1)).unwrap(), None);
    }
}
