//! Whether our place is one of the stream's: a place beyond its end, as after a restore of the domain, brings nothing for ever and no error.

use std::time::Duration;

use super::Account;
use crate::engine::ctx::millis;

/// The shortest time between two checks of one account.
const CHECKED_EVERY: Duration = Duration::from_hours(1);
/// So many polls in a row bring nothing before a place is doubted that we took ourselves.
const QUIET_POLLS: u32 = 3;

/// When the place is checked next: a pure policy of quiet polls and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    quiet_polls: u32,
    needed: u32,
    not_before: u64,
}

impl Check {
    /// For a place that was taken `before` this engine, which is doubted at the first quiet poll, or just now.
    pub fn new(before: bool) -> Self {
        Self { quiet_polls: 0, needed: if before { 1 } else { QUIET_POLLS }, not_before: 0 }
    }

    /// The stream was read to its end.
    pub fn polled(&mut self, is_quiet: bool) {
        self.quiet_polls = if is_quiet { self.quiet_polls.saturating_add(1) } else { 0 };
    }

    fn is_due(&self, now: u64) -> bool {
        self.quiet_polls >= self.needed && now >= self.not_before
    }

    fn checked(&mut self, now: u64) {
        *self = Self { not_before: now + millis(CHECKED_EVERY), ..Self::new(false) };
    }
}

impl Account {
    /// Whether the place in the stream is to be checked now.
    pub(super) fn checks_cursor_at(&self, now: u64) -> bool {
        self.capabilities.checks_cursor && self.usable() && self.cursor_check.is_due(now)
    }

    /// The place was compared with both ends of the stream, or that could not be done.
    pub fn cursor_was_checked(&mut self, now: u64) {
        self.job = None;
        self.cursor_check.checked(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_checked_after_quiet_polls_and_once_an_hour_at_most() {
        let hour = millis(CHECKED_EVERY);
        let mut check = Check::new(true);
        assert!(!check.is_due(0), "nothing was read yet");
        check.polled(true);
        assert!(check.is_due(0), "a place of before this start");
        check.checked(5);
        for _ in 0..100 {
            check.polled(true);
            assert!(!check.is_due(4 + hour));
        }
        assert!(check.is_due(5 + hour));
        check.polled(false);
        assert!(!check.is_due(5 + hour), "a stream that brings something is the right one");

        let mut check = Check::new(false);
        check.polled(true);
        check.polled(true);
        assert!(!check.is_due(u64::MAX));
        check.polled(true);
        assert!(check.is_due(0));
    }
}
