//! Own writes make events, and each of them wakes the long poll: the stream is read in one go after a pause instead, which grows from a
//! moment to two seconds while the stream brings hardly anything else. News of others waits no longer than that.

use std::time::Duration;

use crate::engine::ctx::millis;
use crate::report::EventCounts;

/// The pause after the first reading that brought own writes; it doubles.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause, which is the longest that news of others waits for it.
const LONGEST: Duration = Duration::from_secs(2);

/// A page of so many events is one of a backlog, which is read on at once.
const BACKLOG: u64 = 250;

/// How the pages were lately, and the pause that follows from it.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lull {
    /// Pages in a row that brought a little, and hardly anything but own writes.
    row: u32,
    until: u64,
}

impl Lull {
    /// A page was taken. An empty one ends a row, but not its pause.
    pub fn heard(&mut self, counts: EventCounts, now: u64) {
        let EventCounts { own, relevant, foreign, repeated, stale } = counts;
        // A write whose event overtook its answer counts as another's.
        if own <= relevant {
            self.row = 0;
            if relevant > 0 {
                self.until = 0;
            }
        } else if own + relevant + foreign + repeated + stale < BACKLOG {
            self.row = self.row.saturating_add(1);
            let pause = FIRST.saturating_mul(1 << self.row.saturating_sub(1).min(8)).min(LONGEST);
            self.until = now + millis(pause);
        } else {
            self.until = 0;
        }
    }

    /// When the stream is read on at the earliest because there may be more, or because it was told that there is.
    pub fn until(&self) -> u64 {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_own_writes_and_ends_with_news_of_others() {
        let counts = |own, relevant| EventCounts { own, relevant, ..EventCounts::default() };
        let mut lull = Lull::default();
        let mut pause_after = |own, relevant| {
            lull.heard(counts(own, relevant), 10_000);
            lull.until().saturating_sub(10_000)
        };
        let pauses: Vec<u64> = (0..6).map(|_| pause_after(9, 1)).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 2_000, 2_000]);
        assert_eq!(pause_after(500, 2), 0, "there is more to read");
        assert_eq!(pause_after(20, 0), 2_000);
        assert_eq!(pause_after(0, 0), 2_000, "nothing more came, and the pause lasts");
        assert_eq!(pause_after(5, 0), 250, "a new row");
        assert_eq!(pause_after(1, 1), 0);
        assert_eq!(pause_after(0, 3), 0);
    }
}
