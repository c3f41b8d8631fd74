//! Reading the journal for one subscription: what is wanted, in order, and what is missing in between.

use crate::events::filter::Matcher;
use crate::report::{EventRow, GapRow, SCHEMA_VERSION};
use crate::id::JournalId;
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
