//! Whether calls of an account may begin: pauses that the provider asked for, and outages, whose end one question at a time finds out.
//!
//! The two are told apart: a connection that is refused is no pause that anybody asked for. What was under way together and fails
//! together is one failure, however many calls it were, so that the pauses grow with time and not with the number of transfers.

use std::time::Duration;

use crate::engine::ctx::millis;
use crate::events::interval::backoff;

/// Failures of one outage until people are told.
const FAILURES_UNTIL_TOLD: u32 = 2;

/// What keeps an account's calls from beginning.
#[derive(Debug, Default)]
pub(in crate::engine) struct Reach {
    /// The provider asked for a pause until then.
    asked_until: u64,
    /// Pauses asked for since a call last went well.
    refusals: u32,
    outage: Option<Outage>,
}

/// Since a call failed, no call but one at a time is made.
#[derive(Debug)]
struct Outage {
    failures: u32,
    next_try: u64,
    /// A question is under way that finds out whether it is over.
    trying: bool,
}

impl Reach {
    /// The moment until which the provider asked for a pause, if that is to come.
    pub fn asked_until(&self, now: u64) -> Option<u64> {
        Some(self.asked_until).filter(|until| *until > now)
    }

    /// Whether calls may begin, as many as there is room for.
    pub fn is_open(&self, now: u64) -> bool {
        self.opens_at().is_some_and(|at| now >= at)
    }

    /// When calls may begin; nothing if that depends on what a question finds out.
    pub fn opens_at(&self) -> Option<u64> {
        self.outage.is_none().then_some(self.asked_until)
    }

    /// When the next question about the account may begin.
    pub fn asks_at(&self) -> u64 {
        self.outage.as_ref().map_or(0, |outage| outage.next_try).max(self.asked_until)
    }

    /// Whether calls failed and none has gone well since.
    pub fn is_out(&self) -> bool {
        self.outage.is_some()
    }

    /// A question about the account begins.
    pub fn asks(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.trying = true;
        }
    }

    /// The provider refused a call for the number of calls. One that was under way beside another that was refused counts with it.
    pub fn refused(&mut self, now: u64, asked: Option<Duration>, chance: u64) {
        let is_new = now >= self.asked_until;
        self.refusals = self.refusals.saturating_add(u32::from(is_new));
        let wait = if is_new { backoff(self.refusals, asked, chance) } else { backoff(1, asked, 0) };
        self.pause(now, wait);
    }

    /// The provider asked for a pause.
    pub fn pause(&mut self, now: u64, wait: Duration) {
        self.asked_until = self.asked_until.max(now + millis(wait));
    }

    /// A call failed in a way that concerns all of them. True if it is news: the first failure, or that of the question that was to find
    /// out. `pause` tells how long to wait after so many failures.
    pub fn lost(&mut self, now: u64, pause: impl Fn(u32) -> Duration) -> bool {
        let outage = self.outage.get_or_insert(Outage { failures: 0, next_try: 0, trying: true });
        if !std::mem::take(&mut outage.trying) {
            return false;
        }
        outage.failures = outage.failures.saturating_add(1);
        outage.next_try = now + millis(pause(outage.failures));
        true
    }

    /// Whether the outage lasts long enough to tell people.
    pub fn is_told(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.failures >= FAILURES_UNTIL_TOLD)
    }

    /// A call went well. True if an outage is over with it.
    pub fn worked(&mut self) -> bool {
        self.refusals = 0;
        self.outage.take().is_some()
    }

    /// Whatever was in the way may be gone.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubling(failures: u32) -> Duration {
        Duration::from_secs(1 << failures)
    }

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        let mut reach = Reach::default();
        assert!(reach.lost(100, doubling));
        for _ in 0..21 {
            assert!(!reach.lost(150, doubling), "it was under way already");
        }
        assert_eq!((reach.asks_at(), reach.opens_at(), reach.is_told()), (2_100, None, false));
        reach.asks();
        assert!(!reach.is_open(10_000), "others wait for what the question finds out");
        assert!(reach.lost(3_000, doubling));
        assert_eq!((reach.asks_at(), reach.is_told()), (7_000, true));
        assert!(reach.worked() && reach.is_open(3_001));
        assert!(!reach.worked());
    }

    #[test]
    fn an_outage_is_no_pause_that_was_asked_for() {
        let mut reach = Reach::default();
        reach.lost(0, doubling);
        assert_eq!(reach.asked_until(0), None);
        reach.pause(0, Duration::from_secs(5));
        assert_eq!((reach.asked_until(0), reach.asked_until(5_000)), (Some(5_000), None));
        assert_eq!(reach.asks_at(), 5_000);
        reach.worked();
        assert!(!reach.is_open(4_999) && reach.is_open(5_000), "what was asked for is kept");
    }

    #[test]
    fn refusals_of_one_burst_are_one_pause() {
        let mut reach = Reach::default();
        for _ in 0..16 {
            reach.refused(0, None, u64::MAX);
        }
        assert!(reach.asked_until(0).is_some_and(|until| until <= 1_000), "{reach:?}");
        reach.refused(500, Some(Duration::from_secs(30)), 0);
        assert_eq!(reach.asked_until(500), Some(30_500), "the longest that was asked for holds");
        reach.refused(40_000, None, u64::MAX);
        assert!(reach.asked_until(40_000).is_some_and(|until| (41_000..=42_000).contains(&until)), "{reach:?}");
    }
}
