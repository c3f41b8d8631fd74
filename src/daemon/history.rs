//! What the last 24 hours cost, by the hour: requests and bytes, since this process started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::transfers::Transfers;
use super::world::Counters;
use crate::tree::Wall;

/// How often the counts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Hours that are kept.
pub const HOURS: i64 = 24;
/// An hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// What one hour cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hour {
    /// Requests to providers.
    pub requests: u64,
    /// Bytes transferred, either way.
    pub bytes: u64,
}

/// The hours, by their number since 1970.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<BTreeMap<i64, Hour>>>);

impl History {
    /// Adds what was counted since the last look.
    fn add(&self, now: Wall, more: Hour) {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0.div_euclid(HOUR_MS);
        let hour = hours.entry(number).or_default();
        hour.requests += more.requests;
        hour.bytes += more.bytes;
        hours.retain(|other, _| (number - HOURS..=number).contains(other));
    }

    /// The hours that something is known of.
    pub fn hours(&self) -> BTreeMap<i64, Hour> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the counts until `stop`.
    pub async fn watch(self, counters: Counters, transfers: Transfers, stop: CancellationToken) {
        let mut last = Hour::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let now = Hour { requests: counters.requests(), bytes: transfers.bytes() };
            let more = Hour {
                requests: now.requests.saturating_sub(last.requests),
                bytes: now.bytes.saturating_sub(last.bytes),
            };
            last = now;
            self.add(super::wall_now(), more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_kept_and_no_more() {
        let history = History::default();
        for hour in 0..100 {
            history.add(Wall(hour * HOUR_MS + 5), Hour { requests: 1, bytes: 2 });
            history.add(Wall(hour * HOUR_MS + 6), Hour { requests: 1, bytes: 2 });
        }
        let hours = history.hours();
        assert_eq!((hours.len(), hours.keys().next()), (25, Some(&75)));
        assert_eq!(hours[&99], Hour { requests: 2, bytes: 4 });
    }
}
