//! How long a download is waited for: pauses after a cut, while a content is not ready, and for bytes that do not come.

use std::time::Duration;

use tokio::time::Instant;

use crate::provider::{ProviderError, ProviderErrorKind};

/// How often in a row an answer may end early without getting further.
const CUTS_MAX: u32 = 4;
/// What counts as getting further, in bytes.
pub const PROGRESS_MIN_BYTES: u64 = 1024 * 1024;
/// How often we wait for a content that is not ready.
const WAITS_MAX: u32 = 5;
/// The longest that we wait here; longer waits are the engine's.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// How long we wait if the provider does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(2);
/// The first pause after a cut; it doubles.
const CUT_PAUSE: Duration = Duration::from_millis(200);
/// The watchdog: at least [`WINDOW_MIN_BYTES`] in every such span of waiting for the network.
pub const WINDOW: Duration = Duration::from_mins(1);
/// What a span must bring.
const WINDOW_MIN_BYTES: u64 = 1024;

/// How often one download was waited for.
#[derive(Debug, Default)]
pub struct Patience {
    furthest: u64,
    cuts: u32,
    waits: u32,
}

impl Patience {
    /// For a download of which so many bytes are there.
    pub fn from(got: u64) -> Self {
        Self { furthest: got, ..Self::default() }
    }

    /// The pause before the next try, if there is to be one.
    pub fn pause_after(&mut self, why: &ProviderError, got: u64, at_opening: bool) -> Option<Duration> {
        match why.kind {
            ProviderErrorKind::NotReady => self.wait_for(why),
            // The adapter has tried to open several times; with nothing in hand the engine may as well decide.
            _ if at_opening && got == 0 => None,
            ProviderErrorKind::RateLimited => self.wait_for(why),
            ProviderErrorKind::Unavailable | ProviderErrorKind::Network | ProviderErrorKind::Malformed => {
                self.wait_after_cut(got)
            }
            _ => None,
        }
    }

    fn wait_for(&mut self, why: &ProviderError) -> Option<Duration> {
        self.waits += 1;
        let wait = why.retry_after.unwrap_or(WAIT_DEFAULT);
        (self.waits <= WAITS_MAX && wait <= WAIT_MAX).then_some(wait)
    }

    fn wait_after_cut(&mut self, got: u64) -> Option<Duration> {
        if got >= self.furthest + PROGRESS_MIN_BYTES {
            self.cuts = 0;
        }
        self.furthest = self.furthest.max(got);
        self.cuts += 1;
        (self.cuts <= CUTS_MAX).then(|| CUT_PAUSE * 2_u32.pow(self.cuts - 1))
    }
}

/// Notices a download that lives but does not move. Time that we spend on our own disk does not count.
pub struct Watchdog {
    waited: Duration,
    bytes: u64,
}

impl Watchdog {
    /// Begins with no time waited.
    pub fn new() -> Self {
        Self { waited: Duration::ZERO, bytes: 0 }
    }

    /// Waits for the next bytes; nothing if the span is over without enough of them.
    pub async fn watch<T>(&mut self, next: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(next);
        loop {
            let begun = Instant::now();
            let result = tokio::time::timeout(WINDOW.saturating_sub(self.waited), &mut next).await;
            self.waited += begun.elapsed();
            match result {
                Ok(next) => return Some(next),
                Err(_) if self.bytes < WINDOW_MIN_BYTES => return None,
                Err(_) => *self = Self::new(),
            }
        }
    }

    /// Bytes came.
    pub fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}
