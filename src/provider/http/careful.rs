//! The one place where a write is repeated: only after looking whether it happened.

use std::time::Duration;

use async_trait::async_trait;

use crate::provider::{ProviderError, ProviderErrorKind, Result};

/// How often one write is sent at most.
const ATTEMPTS_MAX: u32 = 3;
/// The pause before the second attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest wait of the server's own choosing that is waited for here; a longer one is the caller's to keep.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a look at the cloud says about a write whose answer was lost.
#[derive(Debug)]
pub enum Look<T> {
    /// It happened; this is what it made.
    Happened(T),
    /// It did not, and what it was to change is as it was: it may be sent again.
    NotYet,
    /// It did not, and now cannot: somebody else was there.
    Overtaken(ProviderError),
}

/// A write that knows how to find out whether it happened.
#[async_trait]
pub trait Careful: Sync {
    /// What it makes.
    type Done: Send;

    /// Sends it once.
    async fn attempt(&self) -> Result<Self::Done>;

    /// Looks whether it happened.
    async fn look(&self) -> Result<Look<Self::Done>>;
}

/// Carries a write out. An error other than [`ProviderErrorKind::OutcomeUnknown`] means that it has not happened as far as a look could tell.
pub async fn carefully<W: Careful>(write: &W) -> Result<W::Done> {
    let mut sent = 1;
    let mut unsure = false;
    loop {
        let error = match write.attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let doubt = leaves_doubt(&error);
        // A conflict that follows a lost answer may be with our own deed.
        if doubt || (unsure && error.kind != ProviderErrorKind::RateLimited) {
            unsure = true;
            tracing::debug!(error = format!("{error:#}"), "the outcome of a write is not known; looking");
            match write.look().await {
                Ok(Look::Happened(done)) => return Ok(done),
                Ok(Look::Overtaken(why)) => return Err(why),
                Ok(Look::NotYet) if !doubt => return Err(error),
                Ok(Look::NotYet) => {}
                Err(why) => return Err(unknown(&error, &why)),
            }
        } else if error.kind != ProviderErrorKind::RateLimited {
            return Err(error);
        }
        let wait = error.retry_after.unwrap_or_default();
        if sent == ATTEMPTS_MAX || wait > PATIENCE {
            return Err(error.with("attempts", sent));
        }
        tokio::time::sleep(wait.max(FIRST_PAUSE * 2_u32.pow(sent - 1))).await;
        sent += 1;
    }
}

/// Whether a write that ended so may have happened all the same.
pub fn leaves_doubt(error: &ProviderError) -> bool {
    matches!(
        error.kind,
        ProviderErrorKind::Unavailable
            | ProviderErrorKind::Network
            | ProviderErrorKind::Malformed
            | ProviderErrorKind::NotReady
            | ProviderErrorKind::OutcomeUnknown
    )
}

/// What is said when neither the answer nor a look told the outcome.
pub fn unknown(write: &ProviderError, look: &ProviderError) -> ProviderError {
    let mut error = ProviderError::new(ProviderErrorKind::OutcomeUnknown, "whether the change was made is not known")
        .with_detail(format!("{write}; then {look}"))
        .with_retry_after(look.retry_after);
    error.context.clone_from(&write.context);
    error
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A write whose attempts and looks go as told; the last entry of each goes on for ever.
    struct Told {
        attempts: Mutex<Vec<Result<u32>>>,
        looks: Mutex<Vec<std::result::Result<Look<u32>, ProviderError>>>,
    }

    fn told(attempts: Vec<Result<u32>>, looks: Vec<Result<Look<u32>>>) -> Told {
        Told { attempts: Mutex::new(attempts), looks: Mutex::new(looks) }
    }

    #[async_trait]
    impl Careful for Told {
        type Done = u32;

        async fn attempt(&self) -> Result<u32> {
            self.attempts.lock().unwrap().remove(0)
        }

        async fn look(&self) -> Result<Look<u32>> {
            self.looks.lock().unwrap().remove(0)
        }
    }

    fn error(kind: ProviderErrorKind) -> ProviderError {
        ProviderError::new(kind, "made up")
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_sent_again_only_after_a_look() {
        use ProviderErrorKind as Kind;
        let lost = || Err(error(Kind::Network));
        let write = told(vec![lost(), Ok(2)], vec![Ok(Look::NotYet)]);
        assert_eq!(carefully(&write).await.unwrap(), 2);
        let write = told(vec![lost()], vec![Ok(Look::Happened(7))]);
        assert_eq!(carefully(&write).await.unwrap(), 7);
        let write = told(vec![lost()], vec![Err(error(Kind::Unavailable))]);
        assert_eq!(carefully(&write).await.unwrap_err().kind, Kind::OutcomeUnknown);
        let write = told(vec![lost()], vec![Ok(Look::Overtaken(error(Kind::Conflict)))]);
        assert_eq!(carefully(&write).await.unwrap_err().kind, Kind::Conflict);
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_after_a_lost_answer_may_be_with_ourselves() {
        use ProviderErrorKind as Kind;
        let conflict = || Err(error(Kind::Conflict));
        let write =
            told(vec![Err(error(Kind::Unavailable)), conflict()], vec![Ok(Look::NotYet), Ok(Look::Happened(3))]);
        assert_eq!(carefully(&write).await.unwrap(), 3, "the first one landed late");
        let write = told(vec![Err(error(Kind::Unavailable)), conflict()], vec![Ok(Look::NotYet), Ok(Look::NotYet)]);
        assert_eq!(carefully(&write).await.unwrap_err().kind, Kind::Conflict);
        let write = told(vec![conflict()], vec![]);
        assert_eq!(carefully(&write).await.unwrap_err().kind, Kind::Conflict, "a first conflict needs no look");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_taken_needs_no_look_and_all_has_an_end() {
        use ProviderErrorKind as Kind;
        let busy = || Err(error(Kind::RateLimited));
        let write = told(vec![busy(), Ok(1)], vec![]);
        assert_eq!(carefully(&write).await.unwrap(), 1);
        let write = told(vec![Err(error(Kind::RateLimited).with_retry_after(Some(PATIENCE * 2)))], vec![]);
        assert_eq!(carefully(&write).await.unwrap_err().kind, Kind::RateLimited);
        let write = told(vec![busy(), busy(), busy()], vec![]);
        assert_eq!(carefully(&write).await.unwrap_err().kind, Kind::RateLimited);
    }
}
