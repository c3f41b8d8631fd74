//! The long poll of an account: begun, given up, and what its answer means for when the stream is read.

#[allow(clippy::wildcard_imports, reason = "a second file of its parent, with the same words")]
use super::*;
use crate::engine::input::WAIT_LIMIT;
use crate::events::long_poll::{LATELY, NET_IN_QUIET, NET_UNDER_LONG_POLL};
use crate::report::NO_LONG_POLL;

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
    pub(in crate::engine) fn without_long_poll(&self) -> Option<Degraded> {
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
}

impl Engine {
    pub(super) fn drive_wait(&mut self, id: AccountId) -> Result<()> {
        let Some(account) = self.accounts.get(&id) else { return Ok(()) };
        let ready = account.can_wait() && self.ctx.now.mono >= account.closed_until.max(account.next_wait);
        let (true, Some(cursor)) = (ready, account.row.cursor.clone()) else { return Ok(()) };
        let Some(job) = self.start(Job::Wait(id))? else { return Ok(()) };
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.waiting = Some(job);
        let ask = account.long_poll.ask(&cursor, WAIT_LIMIT, self.ctx.now.mono);
        let task = Task::Wait { cursor: ask.from, limit: ask.limit };
        self.ctx.out.push(Effect::Cloud { job, account: id, task });
        Ok(())
    }

    /// Gives up a long poll that did not tell what the stream had: its connection may be dead, or swallowed.
    pub(super) fn give_up_wait(&mut self, id: AccountId) {
        let now = self.ctx.now.mono;
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let Some(job) = account.waiting.filter(|_| account.long_poll.gives_up(now)) else { return };
        let chance = self.ctx.chance.next();
        account.waiting = None;
        account.next_wait = now + account.waits_again_in(None, chance);
        self.take_job(job);
        self.ctx.out.push(Effect::Cancel(job));
    }

    pub(in crate::engine) fn woken(&mut self, id: AccountId, result: std::result::Result<Wake, ProviderError>) {
        let chance = self.ctx.chance.next();
        let now = self.ctx.now.mono;
        let Some(account) = self.accounts.get_mut(&id) else { return };
        account.waiting = None;
        match result {
            Ok(Wake::News) => {
                account.long_poll.told(now);
                account.woken = true;
                account.news_since_wake = false;
                account.next_poll = 0;
                // Until the stream was read nothing new can be waited for.
                account.next_wait = u64::MAX;
            }
            Ok(Wake::Quiet) => {
                account.long_poll.was_quiet();
                let pause = if account.long_poll.may_go_on() { 0 } else { account.waits_again_in(None, chance) };
                account.next_wait = now + pause;
            }
            Err(error) if error.kind == ProviderErrorKind::SignInNeeded => self.account_failed(id, &error),
            Err(error) => {
                if account.long_poll.works() {
                    // From now on the interval is what brings news.
                    let floor = bounds(&account.settings, &account.capabilities).floor;
                    account.next_poll = account.next_poll.min(now + millis(floor));
                }
                account.long_poll.failed(error.to_string());
                account.next_wait = now + account.waits_again_in(error.retry_after, chance);
            }
        }
    }
}
