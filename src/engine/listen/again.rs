//! The second reading: where a stream may gain events behind a position that was given already, it is read once more after activity.
//!
//! Example: a page ends at position 20; an event of before that is written at position 18 a moment later. Nobody who reads on from 20 sees
//! it. Half a minute after the activity the stream is read from a position of some minutes ago, and what is new there is taken: one call a
//! burst, none while nothing happens.

use std::collections::VecDeque;
use std::time::Duration;

use super::{AccountId, Engine, EventCounts, Job, Reading, add_counts, millis};
use crate::engine::effect::{Effect, Task};
use crate::events::EventPage;
use crate::events::budget::Share;
use crate::id::Cursor;
use crate::provider::ProviderError;
use crate::store::Result;

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

impl Engine {
    /// The stream was read a second time. The cursor does not move.
    pub(in crate::engine) fn polled_again(
        &mut self,
        id: AccountId,
        result: std::result::Result<EventPage, ProviderError>,
    ) -> Result<()> {
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.job = None;
        let page = match result {
            Ok(page) => page,
            Err(error) if error.kind == crate::provider::ProviderErrorKind::CursorLost => {
                // A position of a few minutes ago is kept as long as the present one: where it is lost, so is that.
                account.again = Again::default();
                return self.lose_cursor(id, "the provider no longer knows our place in the event stream");
            }
            Err(error) => {
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        let counts = self.take_events(id, &page.events, Reading::Again)?;
        let counts = EventCounts { repeated: 0, ..counts };
        if counts != EventCounts::default() {
            self.ctx.store.count_events(id, counts)?;
        }
        self.account_worked(id);
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        add_counts(&mut account.row.counts, counts);
        account.again.pages += 1;
        let reached = account.row.cursor.as_ref() == Some(&page.next);
        if page.drained || reached || account.again.pages >= PAGES_MOST || !self.may_call(id, Share::Listening) {
            return Ok(());
        }
        let Some(job) = self.start(Job::PollAgain(id))? else { return Ok(()) };
        self.spend_call(id, Share::Listening)?;
        if let Some(account) = self.accounts.get_mut(&id) {
            account.job = Some(job);
        }
        self.ctx.out.push(Effect::Cloud { job, account: id, task: Task::Poll(page.next) });
        Ok(())
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
