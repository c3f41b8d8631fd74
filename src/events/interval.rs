//! When to ask for news again: a pure policy of activity, quiet, waiting times and chance.

use std::time::Duration;

/// How much longer each quiet interval is than the one before, in percent.
const GROWTH_PERCENT: u64 = 150;

/// How much longer chance makes an interval at most, in percent. Never shorter: the number of polls in an hour is a promise.
const JITTER_PERCENT: u64 = 20;

/// After news, the interval stays at its shortest for this long: one change is often followed by another.
const ALERT: Duration = Duration::from_mins(2);

/// The bounds of an account's interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The shortest interval, right after activity.
    pub floor: Duration,
    /// The longest interval, after a long quiet.
    pub ceiling: Duration,
}

/// The interval's memory: how long it is quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    current: Duration,
    /// How long the alert after the last news still lasts.
    alert: Duration,
}

impl Interval {
    /// Starts as after activity.
    pub fn new(bounds: Bounds) -> Self {
        Self { current: bounds.floor, alert: ALERT }
    }

    /// The time until the next poll, given whether the last one brought news. `chance` is any number; it varies the result.
    pub fn next(&mut self, bounds: Bounds, news: bool, chance: u64) -> Duration {
        if news {
            *self = Self::new(bounds);
        }
        let now = self.current.clamp(bounds.floor, bounds.ceiling.max(bounds.floor));
        if self.alert.is_zero() {
            self.current = percent(now, GROWTH_PERCENT).min(bounds.ceiling.max(bounds.floor));
        }
        self.alert = self.alert.saturating_sub(now);
        jitter(now, chance)
    }
}

/// Failures to reach the cloud beyond these make no wait longer: a minute, so that what waits goes on soon after.
pub const UNREACHED_COUNTED: u32 = 7;

/// The wait before attempt number `attempt` (from 1) after failures: doubling from one second, at most 15 minutes, varied by
/// chance between half and the whole of it, and never shorter than what the provider asked for.
pub fn backoff(attempt: u32, asked: Option<Duration>, chance: u64) -> Duration {
    const LONGEST: Duration = Duration::from_mins(15);
    let whole = Duration::from_secs(1 << attempt.saturating_sub(1).min(10)).min(LONGEST);
    let half = whole / 2;
    let varied = half + Duration::from_millis(chance % (half.as_millis() as u64 + 1));
    varied.max(asked.unwrap_or_default().min(LONGEST))
}

fn percent(span: Duration, percent: u64) -> Duration {
    Duration::from_millis((span.as_millis() as u64).saturating_mul(percent) / 100)
}

/// A span that chance makes up to a fifth longer, never shorter.
pub fn jitter(span: Duration, chance: u64) -> Duration {
    let width = percent(span, JITTER_PERCENT).as_millis() as u64;
    span + Duration::from_millis(chance % (width + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { floor: Duration::from_secs(30), ceiling: Duration::from_mins(5) };

    #[test]
    fn quiet_makes_it_longer_and_news_short_again() {
        let mut interval = Interval::new(BOUNDS);
        let mut last = Duration::ZERO;
        for _ in 0..15 {
            last = interval.next(BOUNDS, false, 0);
        }
        assert!(last >= Duration::from_mins(5), "{last:?}");
        assert!(interval.next(BOUNDS, true, 0) <= Duration::from_secs(36));
    }

    #[test]
    fn the_providers_own_waiting_time_is_kept() {
        assert!(backoff(1, Some(Duration::from_mins(1)), 7) >= Duration::from_mins(1));
        assert!(backoff(40, None, u64::MAX) <= Duration::from_mins(15));
        assert!(backoff(1, Some(Duration::from_hours(9)), 0) <= Duration::from_mins(15));
    }

    proptest! {
        #[test]
        fn never_below_the_floor_nor_far_above_the_ceiling(chances in proptest::collection::vec((any::<u64>(), any::<bool>()), 1..40)) {
            let mut interval = Interval::new(BOUNDS);
            for (chance, news) in chances {
                let next = interval.next(BOUNDS, news, chance);
                prop_assert!(next >= BOUNDS.floor);
                prop_assert!(next <= BOUNDS.ceiling * 12 / 10);
            }
        }
    }
}
