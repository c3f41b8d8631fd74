//! The one place where a request is repeated: only reads, only what time cures, a few times within seconds.

use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::provider::{ProviderError, ProviderErrorKind, Result};

/// The longest wait that we believe, whatever the server says.
pub const MAX_RETRY_AFTER: Duration = Duration::from_mins(15);

/// How often and how long one call is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts: usize,
    /// No new attempt starts later than this after the first.
    pub total: Duration,
    /// The wait before the second attempt; it doubles from there, with jitter on top.
    pub first_wait: Duration,
    /// The longest wait of the server's own choosing that is waited for here; a longer one is the caller's to keep.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            total: Duration::from_secs(30),
            first_wait: Duration::from_millis(100),
            patience: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    fn wants(&self, error: &ProviderError, elapsed: Duration) -> bool {
        let passing = matches!(
            error.kind,
            ProviderErrorKind::RateLimited | ProviderErrorKind::Unavailable | ProviderErrorKind::Network
        );
        let wait = error.retry_after.unwrap_or_default();
        passing && wait <= self.patience && elapsed + wait < self.total
    }
}

/// Runs an attempt until it succeeds, fails for good, or the policy's patience is over. Only for what may be repeated
/// without looking: reads.
pub async fn retrying<T, F, Fut>(policy: &RetryPolicy, operation: &'static str, attempt: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let began = Instant::now();
    let mut attempts = 1_u32;
    let backoff = ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(policy.first_wait)
        .with_max_times(policy.attempts.saturating_sub(1));
    let result = attempt
        .retry(backoff)
        .when(|error| policy.wants(error, began.elapsed()))
        .adjust(|error, wait| wait.map(|wait| wait.max(error.retry_after.unwrap_or_default())))
        .notify(|error, wait| {
            attempts += 1;
            tracing::debug!(operation, error = format!("{error:#}"), wait_ms = wait.as_millis() as u64, "trying again");
        })
        .await;
    result.map_err(|error| {
        if attempts == 1 {
            return error;
        }
        error.with("attempts", attempts).with("tried_for_s", began.elapsed().as_secs())
    })
}

/// What the server asks us to wait: seconds, or a date by the server's own clock. At most [`MAX_RETRY_AFTER`].
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long wait, and no wait is longer than the cap.
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        let server_now = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        until.duration_since(server_now.unwrap_or_else(SystemTime::now)).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}
