//! The second reading: where a stream may gain events behind a position that was given already, it is read once more after activity.
//!
//! Example: a page ends at position 20; an event of before that is written at position 18 a moment later. Nobody who reads on from 20 sees
//! it. Half a minute after the activity the stream is read from a position of some minutes ago, and what is new there is taken: one call a
//! burst, none while nothing happens.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::ctx::millis;
use crate::id::Cursor;

/// The pause between activity and the second reading.
const AFTER: Duration = Duration::from_secs(30);
/// The same where none of it concerned a folder of ours.
const AFTER_FOREIGN: Duration = Duration::from_mins(2);
/// How old the position is that the second reading begins at.
const BACK: Duration = Duration::from_mins(3);
/// Positions remembered.
const REMEMBERED_MOST: usize = 64;
/// Pages of one second reading; activity that fills more is left to verification.
const PAGES_MOST: u32 = 4;

/// Positions of the last minutes, and when the stream is read from one of them.
#[derive(Debug, Default)]
pub(in crate::engine) struct Again {
    positions: VecDeque<(Cursor, u64)>,
    due: Option<u64>,
    pages: u32,
}

impl Again {
    /// The stream moved on from a position: there was activity.
    pub fn note(&mut self, before: Cursor, now: u64, for_us: bool) {
        let back = now.saturating_sub(millis(BACK));
        // One position that is older than wanted stays: it covers everything since.
        while self.positions.len() >= REMEMBERED_MOST || self.positions.get(1).is_some_and(|(_, at)| *at <= back) {
            self.positions.pop_front();
        }
        self.positions.push_back((before, now));
        self.due = Some(self.due.unwrap_or(u64::MAX).min(now + millis(if for_us { AFTER } else { AFTER_FOREIGN })));
        self.pages = 0;
    }

    /// A page of the second reading was taken. Whether another one may follow.
    pub fn goes_on(&mut self) -> bool {
        self.pages += 1;
        self.pages < PAGES_MOST
    }

    /// When the second reading is due.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// The position to read from, if the second reading is due.
    pub fn take_due(&mut self, now: u64) -> Option<Cursor> {
        self.due.take_if(|due| *due <= now)?;
        self.positions.front().map(|(cursor, _)| cursor.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_some_minutes_back_and_the_reading_comes_once_after_activity() {
        let mut again = Again::default();
        assert_eq!(again.take_due(u64::MAX), None);
        let minute = 60_000;
        for number in 0..10 {
            again.note(Cursor::new(number.to_string()), number * minute, true);
        }
        assert_eq!(again.due(), Some(millis(AFTER)), "activity that goes on does not put it off");
        assert_eq!(again.take_due(9 * minute), Some(Cursor::new("6")));
        assert_eq!(again.take_due(9 * minute), None, "once");
    }
}
