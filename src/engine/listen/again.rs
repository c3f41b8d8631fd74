//! The second reading: where a stream may gain events behind a position that was given already, it is read once more after activity.
//!
//! Example: a page ends at position 20; an event of before that is written at position 18 a moment later. Nobody who reads on from 20 sees
//! it. Half a minute after the activity the stream is read from a position of some minutes ago, and what is new there is taken: one call a
//! burst, none while nothing happens.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::ctx::millis;
use crate::id::Cursor;
use crate::provider::ProviderErrorKind;

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
///
/// Invariant: activity is forgotten only by a reading that was answered to its end. One that the budget refuses, that fails, or that is taken
/// back is due until then.
#[derive(Debug, Default)]
pub(in crate::engine) struct Again {
    positions: VecDeque<(Cursor, u64)>,
    due: Option<u64>,
    /// Where the reading that has begun goes on, and how many of its pages were answered.
    reading: Option<(Cursor, u32)>,
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
    }

    /// When the next page of a second reading is due.
    pub fn due(&self) -> Option<u64> {
        if self.reading.is_some() { Some(0) } else { self.due }
    }

    /// The position to read from, if a page is due.
    pub fn position(&self, now: u64) -> Option<Cursor> {
        if let Some((cursor, _)) = &self.reading {
            return Some(cursor.clone());
        }
        self.due.filter(|due| *due <= now)?;
        self.positions.front().map(|(cursor, _)| cursor.clone())
    }

    /// A page is asked for. Activity of from now on asks for a reading of its own.
    pub fn begin(&mut self, from: Cursor) {
        if self.reading.is_none() {
            self.reading = Some((from, 0));
            self.due = None;
        }
    }

    /// A page was answered, if only with a refusal; where the reading goes on, if it does.
    pub fn answered(&mut self, next: Option<Cursor>) {
        let pages = self.reading.take().map_or(0, |(_, pages)| pages) + 1;
        self.reading = next.filter(|_| pages < PAGES_MOST).map(|next| (next, pages));
    }

    /// A page was not answered. If that says something of the page, it counts as one that was.
    pub fn failed(&mut self, kind: ProviderErrorKind) {
        if !is_passing(kind) {
            let from = self.reading.as_ref().map(|(from, _)| from.clone());
            self.answered(from);
        }
    }
}

/// Whether a failure says nothing of the page that was asked for.
fn is_passing(kind: ProviderErrorKind) -> bool {
    matches!(
        kind,
        ProviderErrorKind::SignInNeeded
            | ProviderErrorKind::RateLimited
            | ProviderErrorKind::QuotaExhausted
            | ProviderErrorKind::Network
            | ProviderErrorKind::Local
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_some_minutes_back_and_the_reading_comes_once_after_activity() {
        let mut again = Again::default();
        assert_eq!(again.position(u64::MAX), None);
        let minute = 60_000;
        for number in 0..10 {
            again.note(Cursor::new(number.to_string()), number * minute, true);
        }
        assert_eq!(again.due(), Some(millis(AFTER)), "activity that goes on does not put it off");
        assert_eq!(again.position(millis(AFTER) - 1), None);
        assert_eq!(again.position(9 * minute), Some(Cursor::new("6")));
        assert_eq!(again.position(9 * minute), Some(Cursor::new("6")), "nobody has asked for it yet");
        again.begin(Cursor::new("6"));
        again.answered(None);
        assert_eq!((again.position(9 * minute), again.due()), (None, None), "once");
    }

    #[test]
    fn a_reading_goes_on_until_it_is_answered_to_its_end_and_not_for_ever() {
        let mut again = Again::default();
        again.note(Cursor::new("a"), 0, true);
        let now = millis(AFTER);
        again.begin(Cursor::new("a"));
        assert_eq!(again.position(now), Some(Cursor::new("a")), "a call that failed is made again");
        again.note(Cursor::new("b"), now, true);
        for page in 1..PAGES_MOST {
            let next = Cursor::new(page.to_string());
            again.answered(Some(next.clone()));
            assert_eq!(again.position(now), Some(next.clone()));
            again.begin(next);
        }
        again.answered(Some(Cursor::new("z")));
        assert_eq!(again.position(now), None, "what more there is, is left to verification");
        assert_eq!(again.due(), Some(now + millis(AFTER)), "activity of meanwhile asks for its own");
    }
}
