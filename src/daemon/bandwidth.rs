//! One allowance of bytes per second for each direction of an account, shared by all its transfers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::settings::AccountSettings;

/// How much of a pause may be made up for by sending faster afterwards.
const BURST: Duration = Duration::from_millis(250);

/// The allowances of an account.
#[derive(Debug, Default)]
pub struct Bandwidth {
    /// For downloads.
    pub down: Pace,
    /// For uploads.
    pub up: Pace,
}

impl Bandwidth {
    /// What the settings allow.
    pub fn of(settings: &AccountSettings) -> Self {
        Self { down: Pace::new(settings.bandwidth_down), up: Pace::new(settings.bandwidth_up) }
    }
}

/// A token bucket; without a limit it never makes anyone wait.
#[derive(Debug, Default)]
pub struct Pace(Option<Mutex<Bucket>>);

impl Pace {
    /// So many bytes per second; nothing means as many as there are.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self(bytes_per_second.filter(|rate| *rate > 0).map(|rate| Mutex::new(Bucket { rate, free_at: None })))
    }

    /// Waits until so many bytes more are within the allowance. Who comes first goes first.
    pub async fn take(&self, bytes: usize) {
        let Some(bucket) = &self.0 else { return };
        let until = bucket.lock().unwrap_or_else(PoisonError::into_inner).reserve(bytes as u64, Instant::now());
        tokio::time::sleep_until(until).await;
    }
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
        let pace = std::sync::Arc::new(Pace::new(Some(1_000_000)));
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
        let pace = Pace::new(Some(1_000));
        pace.take(1_000).await;
        tokio::time::sleep(Duration::from_hours(1)).await;
        let began = Instant::now();
        pace.take(10_000).await;
        assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_waits() {
        let began = Instant::now();
        for pace in [Pace::new(None), Pace::new(Some(0))] {
            pace.take(usize::MAX).await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
