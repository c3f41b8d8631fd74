//! What all transfers of an account share: bytes per second for each direction, and how many streams they may have.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::fetch::streams::Streams;
use crate::settings::{AccountSettings, Minute, Rates};

/// How much of a pause may be made up for by sending faster afterwards.
const BURST: Duration = Duration::from_millis(250);

/// The allowances of an account.
#[derive(Debug, Default)]
pub struct Bandwidth {
    /// For downloads.
    pub down: Pace,
    /// For uploads.
    pub up: Pace,
    /// For long downloads that gain by more than one stream.
    pub streams: Streams,
}

impl Bandwidth {
    /// What the settings allow.
    pub fn of(settings: &AccountSettings) -> Self {
        let [down, up] = [&settings.bandwidth_down, &settings.bandwidth_up].map(|rates| Pace::new(rates.clone()));
        Self { down, up, streams: Streams::new(settings.transfers) }
    }

    /// What they allow from now on, also to what is under way.
    pub fn follow(&self, settings: &AccountSettings) {
        self.down.follow(settings.bandwidth_down.clone());
        self.up.follow(settings.bandwidth_up.clone());
        self.streams.follow(settings.transfers);
    }
}

/// A token bucket whose rate may depend on the time of the day; without a limit it never makes anyone wait.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Paced>);

#[derive(Debug, Default)]
struct Paced {
    rates: Option<Rates>,
    bucket: Option<Bucket>,
}

impl Pace {
    /// So many bytes per second; nothing means as many as there are.
    pub fn new(rates: Option<Rates>) -> Self {
        Self(Mutex::new(Paced { rates, bucket: None }))
    }

    /// Another rate from now on.
    fn follow(&self, rates: Option<Rates>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rates = rates;
    }

    /// Waits until so many bytes more are within the allowance. Who comes first goes first.
    pub async fn take(&self, bytes: usize) {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner).reserve(bytes as u64, minute, Instant::now());
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Paced {
    /// Reserves bytes, and says when they may go; nothing if there is no limit now.
    fn reserve(&mut self, bytes: u64, minute: impl Fn() -> Minute, now: Instant) -> Option<Instant> {
        let rates = self.rates.as_ref()?;
        // The clock is asked only where it makes a difference.
        let rate = if rates.is_constant() { rates.at(Minute::default()) } else { rates.at(minute()) };
        let Some(rate) = rate else {
            self.bucket = None;
            return None;
        };
        let bucket = self.bucket.get_or_insert(Bucket { rate, free_at: None });
        bucket.rate = rate;
        Some(bucket.reserve(bytes, now))
    }
}

/// The minute of the day by this machine's clock.
fn minute() -> Minute {
    let now = jiff::Zoned::now();
    Minute::new(now.hour().unsigned_abs().into(), now.minute().unsigned_abs().into()).unwrap_or_default()
}

#[derive(Debug)]
struct Bucket {
    rate: u64,
    /// When everything reserved so far is paid for.
    free_at: Option<Instant>,
}

impl Bucket {
    /// Reserves bytes, and says when they may go.
    fn reserve(&mut self, bytes: u64, now: Instant) -> Instant {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let begin = self.free_at.map_or(earliest, |at| at.max(earliest));
        let end = begin + Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        self.free_at = Some(end);
        end.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_transfers_together_keep_to_the_rate() {
        let pace = std::sync::Arc::new(Pace::new(Some(Rates::always(Some(1_000_000)))));
        let began = Instant::now();
        let transfers: Vec<_> = (0..4)
            .map(|_| {
                let pace = std::sync::Arc::clone(&pace);
                tokio::spawn(async move {
                    for _ in 0..10 {
                        pace.take(250_000).await;
                    }
                })
            })
            .collect();
        for transfer in transfers {
            transfer.await.unwrap();
        }
        let took = began.elapsed();
        // Ten megabytes at one megabyte a second, less the burst; time is simulated.
        assert!((Duration::from_millis(9_700)..Duration::from_millis(10_100)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_saved_up() {
        let pace = Pace::new(Some(Rates::always(Some(1_000))));
        pace.take(1_000).await;
        tokio::time::sleep(Duration::from_hours(1)).await;
        let began = Instant::now();
        pace.take(10_000).await;
        assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_waits() {
        let began = Instant::now();
        for pace in [Pace::new(None), Pace::new(Some(Rates::always(None)))] {
            pace.take(usize::MAX).await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn another_limit_counts_at_once_and_the_clock_decides() {
        let pace = Pace::new(Some(Rates::always(Some(1_000))));
        pace.follow(None);
        let began = Instant::now();
        pace.take(1_000_000).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        let (eight, nineteen) = (Minute::new(8, 0).unwrap(), Minute::new(19, 0).unwrap());
        let mut paced = Paced { rates: Rates::new(vec![(eight, Some(1_000)), (nineteen, None)]), bucket: None };
        let now = Instant::now();
        assert!(paced.reserve(10_000, || eight, now).unwrap() >= now + Duration::from_secs(9));
        assert_eq!(paced.reserve(10_000, || nineteen, now), None);
        assert!(
            paced.reserve(1_000, || eight, now).unwrap() <= now + Duration::from_secs(1),
            "nothing is owed from before"
        );
    }
}
