//! The long poll of an account: begun, given up, and what its answer means for when the stream is read.

use std::time::Duration;

use super::{Account, bounds};
use crate::engine::ctx::millis;
use crate::engine::effect::Task;
use crate::engine::input::WAIT_LIMIT;
use crate::events::interval::backoff;
use crate::events::long_poll::{LATELY, NET_IN_QUIET, NET_UNDER_LONG_POLL};
use crate::id::JobId;
use crate::provider::{ProviderError, ProviderErrorKind, Wake};
use crate::report::{Degraded, NO_LONG_POLL};

impl Account {
    /// The longest interval between two reads of a stream that has a long poll, whether or not that works.
    pub(super) fn net(&self) -> Duration {
        self.settings.poll_max.unwrap_or_default().max(NET_UNDER_LONG_POLL)
    }

    /// The same while a long poll works that has told everything so far: a quiet account costs little.
    pub(super) fn net_under_long_poll(&self, now: u64) -> Duration {
        let is_quiet = now.saturating_sub(self.last_news) >= millis(LATELY);
        if is_quiet { self.settings.poll_max.unwrap_or(NET_IN_QUIET).max(NET_UNDER_LONG_POLL) } else { self.net() }
    }

    /// When a long poll that does not work is tried again, in milliseconds from now. The first failures are tried again within seconds.
    fn waits_again_in(&self, asked: Option<Duration>, chance: u64) -> u64 {
        millis(backoff(self.long_poll.failures().saturating_add(2), asked, chance))
    }

    /// What is said of a long poll that does not work. News still comes, so that nothing is out of sync for it.
    pub fn without_long_poll(&self) -> Option<Degraded> {
        let cause = self.long_poll.trouble().filter(|_| self.capabilities.long_poll)?;
        let most = self.net().as_secs();
        Some(Degraded {
            name: NO_LONG_POLL.into(),
            cause: format!("the long poll does not work: {cause}"),
            next_step: format!(
                "the stream is asked every {most} s or more often instead, and the long poll is tried again; let the provider's realtime \
                 servers through the firewall or proxy to have news at once"
            ),
        })
    }

    /// Whether a long poll is to begin now.
    pub fn waits_now(&self, now: u64) -> bool {
        self.can_wait() && self.reach.is_open(now) && now >= self.next_wait
    }

    /// A long poll begins; nothing if there is no place in the stream to wait at.
    pub fn begin_wait(&mut self, job: JobId, now: u64) -> Option<Task> {
        let cursor = self.row.cursor.clone()?;
        self.waiting = Some(job);
        let ask = self.long_poll.ask(&cursor, WAIT_LIMIT, now);
        Some(Task::Wait { cursor: ask.from, limit: ask.limit })
    }

    /// The long poll that is to be given up, as it did not tell what the stream had: its connection may be dead, or swallowed.
    pub fn hopeless_wait(&mut self, now: u64) -> Option<JobId> {
        self.waiting.filter(|_| self.long_poll.gives_up(now))
    }

    /// The long poll was given up.
    pub fn gave_up_wait(&mut self, now: u64, chance: u64) {
        self.waiting = None;
        self.next_wait = now + self.waits_again_in(None, chance);
    }

    /// A long poll ended; its error, if that is the account's matter and not the long poll's.
    pub fn woken(&mut self, result: Result<Wake, ProviderError>, now: u64, chance: u64) -> Option<ProviderError> {
        self.waiting = None;
        match result {
            Ok(Wake::News) => {
                self.long_poll.told(now);
                self.woken = true;
                self.news_since_wake = false;
                self.next_poll = self.lull.until();
                // Until the stream was read nothing new can be waited for.
                self.next_wait = u64::MAX;
            }
            Ok(Wake::Quiet) => {
                self.long_poll.was_quiet();
                let pause = if self.long_poll.may_go_on() { 0 } else { self.waits_again_in(None, chance) };
                self.next_wait = now + pause;
            }
            Err(error) if error.kind == ProviderErrorKind::SignInNeeded => return Some(error),
            Err(error) => {
                if self.long_poll.works() {
                    // From now on the interval is what brings news.
                    let floor = bounds(&self.settings, &self.capabilities).floor;
                    self.next_poll = self.next_poll.min(now + millis(floor));
                }
                self.long_poll.failed(error.to_string());
                self.next_wait = now + self.waits_again_in(error.retry_after, chance);
            }
        }
        None
    }
}
