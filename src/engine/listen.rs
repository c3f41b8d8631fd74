//! Accounts: who we are, where we are in the stream, when to ask again, and what a page obliges us to look at.

use std::time::Duration;

use super::effect::{Effect, Notice, Task};
use super::hooks::Story;
use super::learn::{Learned, Source};
use super::purse::CallQueues;
use super::purse::Purse;
use super::remote::Strays;
use super::{Engine, Job, millis};
use crate::events::budget::Share;
use crate::events::interval::{Bounds, Interval, backoff, jitter};
use crate::events::long_poll::{LongPoll, NET_IN_QUIET};
use crate::events::{EventKind, EventPage, RemoteEvent, Subject, taxonomy};
use crate::hook::HookKind;
use crate::id::{AccountId, Cursor, FolderId, JobId, NodeId};
use crate::provider::{Capabilities, Identity, ProviderError, ProviderErrorKind, Wake};
use crate::report::{Degraded, EventCounts};
use crate::settings::{AccountSettings, ProviderName};
use crate::store::Result;
use crate::store::accounts::AccountRow;
use crate::store::journal::NewEvent;

mod again;
mod cursor;
mod stream;
mod wake;

#[cfg(test)]
mod tests;

pub(in crate::engine) use again::Again;
use stream::Reading;

/// A stream that was not read for this long may have lost events: 13 days, a day below the shortest retention that Box documents.
const PLACE_KEPT_MS: i64 = 13 * 24 * 3_600 * 1_000;
/// The longest interval without a long poll.
pub(super) const CEILING: Duration = Duration::from_mins(5);
/// The shortest interval of a provider that asks for long ones, for a while after activity.
const ALERT_FLOOR: Duration = Duration::from_secs(30);
/// The shortest pause between two wake-ups of a long poll that brought nothing new.
const SPURIOUS_WAKE_PAUSE: Duration = Duration::from_secs(1);
/// How often a used up quota is tried again where neither the provider nor the day says when it is renewed.
const QUOTA_RETRIED_EVERY: Duration = Duration::from_hours(1);
/// The longest wait for a quota; a provider that asks for more is asked again.
const QUOTA_WAIT_MOST: Duration = Duration::from_hours(24);
/// Failures in a row before an account counts as offline.
const FAILURES_UNTIL_OFFLINE: u32 = 3;

/// How far an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody was asked who we are.
    New,
    /// The token's owner is who we expect.
    Known,
    /// A person must do something first.
    Stuck,
}

/// One account of the configuration.
#[derive(Debug)]
pub(super) struct Account {
    pub settings: AccountSettings,
    pub capabilities: Capabilities,
    pub row: AccountRow,
    pub degraded: Option<Degraded>,
    /// No calls before this moment.
    pub closed_until: u64,
    /// Items that wait for a fetch or a look.
    pub queues: CallQueues,
    stage: Stage,
    job: Option<JobId>,
    waiting: Option<JobId>,
    /// The stream is read at this moment at the latest.
    next_poll: u64,
    /// No long poll before this moment.
    next_wait: u64,
    woken: bool,
    news_since_wake: bool,
    pub long_poll: LongPoll,
    cursor_check: cursor::Check,
    pub drained: u64,
    interval: Interval,
    failures: u32,
    /// Since when the stream is known to be read to its end, counted in polls: see the settling of full comparisons.
    pub polls_begun: u64,
    pub purse: Purse,
    /// The stream brought something for a folder since it was last read to its end.
    news_for_us: bool,
    /// When the stream last brought anything.
    last_news: u64,
    /// The second reading of the stream after activity.
    again: Again,
    /// Ids without a place that are to be looked at.
    pub strays: Strays,
}

impl Account {
    fn new(settings: AccountSettings, capabilities: Capabilities, row: AccountRow) -> Self {
        let bounds = bounds(&settings, &capabilities);
        let purse = Purse::new(row.spent);
        let cursor_check = cursor::Check::new(row.cursor.is_some());
        Self {
            settings,
            capabilities,
            row,
            degraded: None,
            closed_until: 0,
            queues: CallQueues::default(),
            stage: Stage::New,
            job: None,
            waiting: None,
            next_poll: 0,
            next_wait: 0,
            woken: false,
            news_since_wake: false,
            long_poll: LongPoll::default(),
            cursor_check,
            drained: 0,
            interval: Interval::new(bounds),
            failures: 0,
            polls_begun: 0,
            purse,
            news_for_us: false,
            last_news: 0,
            again: Again::default(),
            strays: Strays::default(),
        }
    }

    /// Whether calls can be made for its folders.
    pub fn usable(&self) -> bool {
        self.stage == Stage::Known && self.row.cursor.is_some()
    }

    /// The stream that the cursor belongs to.
    fn stream(&self) -> String {
        match self.settings.provider {
            ProviderName::Box => self.settings.stream.word().to_owned(),
            ProviderName::Egnyte => "events".to_owned(),
        }
    }

    /// When there is something to begin: a question, a long poll, or whatever waits for the account to be open again.
    pub fn deadline(&self, now: u64) -> Option<u64> {
        if self.stage == Stage::Stuck {
            return None;
        }
        let waits = (self.can_wait() && self.next_wait < u64::MAX).then(|| self.next_wait.max(self.closed_until));
        let opens = (self.closed_until > now).then_some(self.closed_until);
        let refused = self.purse.refused_until(now);
        let gives_up = self.waiting.and(self.long_poll.given_up_at());
        // A second reading waits like anything else while the budget refuses a call.
        let open = self.closed_until.max(refused.unwrap_or(0));
        let again = self.again.due().filter(|_| self.job.is_none()).map(|at| at.max(open));
        self.asks_at(now).into_iter().chain(waits).chain(opens).chain(refused).chain(again).chain(gives_up).min()
    }

    /// When the next question about the account or its stream is asked; nothing while one is.
    pub fn asks_at(&self, now: u64) -> Option<u64> {
        let at_once = self.stage == Stage::New || self.row.cursor.is_none() || self.checks_cursor_at(now);
        let at = if at_once { self.closed_until } else { self.next_poll.max(self.closed_until) };
        // What is due and was refused for want of budget is asked for when that may have changed.
        let at = match self.purse.refused_until(now) {
            Some(refused) if at <= now => refused,
            _ => at,
        };
        (self.job.is_none() && self.stage != Stage::Stuck).then_some(at)
    }

    /// Whether a long poll may begin, the time aside.
    fn can_wait(&self) -> bool {
        // The first drain comes before the first long poll: what happened while we were away is not waited for.
        self.capabilities.long_poll && self.usable() && self.waiting.is_none() && self.drained > 0
    }

    /// Whether a long poll is under way.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The interval of listening while nothing happens.
    pub fn rest(&self) -> Duration {
        let bounds = bounds(&self.settings, &self.capabilities);
        if self.capabilities.long_poll { self.settings.poll_max.unwrap_or(NET_IN_QUIET) } else { bounds.ceiling }
    }

    /// Whether a question about the account or its stream is under way, but for a long poll.
    pub fn is_asked_about(&self) -> bool {
        self.job.is_some()
    }

    /// Reads the stream as soon as possible.
    pub fn poll_now(&mut self) {
        self.next_poll = 0;
    }
}

fn bounds(settings: &AccountSettings, capabilities: &Capabilities) -> Bounds {
    let shortest = match settings.provider {
        ProviderName::Box => capabilities.poll_floor,
        // What Egnyte asks for is the interval at rest; after activity it is shorter, as far as the budget goes.
        ProviderName::Egnyte => capabilities.poll_floor.min(ALERT_FLOOR),
    };
    let floor = settings.poll_min.unwrap_or(shortest);
    Bounds { floor, ceiling: settings.poll_max.unwrap_or(CEILING).max(floor) }
}

impl Engine {
    /// Takes the accounts of a configuration.
    pub(super) fn wish_accounts(&mut self, wanted: Vec<(AccountSettings, Capabilities)>) -> Result<()> {
        let names: Vec<String> = wanted.iter().map(|(settings, _)| settings.name.clone()).collect();
        let gone: Vec<AccountId> =
            self.accounts.iter().filter(|(_, a)| !names.contains(&a.settings.name)).map(|(id, _)| *id).collect();
        for id in gone {
            self.accounts.remove(&id);
            self.slots.forget(id);
            self.ctx.out.push(Effect::DropAccount(id));
        }
        for (settings, capabilities) in wanted {
            let row = self.ctx.store.account(&settings.name, settings.provider.word())?;
            let id = row.account;
            if self.accounts.get(&id).is_some_and(|known| known.settings == settings) {
                continue;
            }
            self.ctx.out.push(Effect::UseAccount(id, Box::new(settings.clone())));
            if let Some(known) =
                self.accounts.get_mut(&id).filter(|known| known.settings.differs_in_limits_only(&settings))
            {
                known.settings = settings;
                continue;
            }
            let fresh = Account::new(settings, capabilities, row);
            match self.accounts.get_mut(&id) {
                // What is under way was asked under the old settings.
                Some(known) => {
                    known.settings = fresh.settings;
                    known.capabilities = fresh.capabilities;
                    known.stage = Stage::New;
                    self.take_back(id);
                }
                None => {
                    self.accounts.insert(id, fresh);
                }
            }
        }
        Ok(())
    }

    /// The credentials changed: whatever was wrong with them may be right now.
    pub(super) fn refresh_account(&mut self, name: &str) -> bool {
        let Some((id, account)) = self.accounts.iter_mut().find(|(_, account)| account.settings.name == name) else {
            return false;
        };
        account.stage = Stage::New;
        account.degraded = None;
        account.closed_until = 0;
        account.failures = 0;
        let (id, settings) = (*id, account.settings.clone());
        self.take_back(id);
        self.ctx.out.push(Effect::UseAccount(id, Box::new(settings)));
        true
    }

    /// When one more question can be asked of an account; nothing if that depends on something else than time.
    pub(super) fn ask_at(&self, id: AccountId) -> Option<u64> {
        let account = self.accounts.get(&id)?;
        let open_at = account.closed_until.max(account.purse.refused_until(self.ctx.now.mono).unwrap_or(0));
        (account.usable() && self.slots.may_ask(id)).then_some(open_at)
    }

    /// Drops the questions about an account and its stream that are under way: they were asked with former credentials or settings.
    fn take_back(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        for job in account.job.take().into_iter().chain(account.waiting.take()) {
            self.take_job(job);
            self.ctx.out.push(Effect::Cancel(job));
        }
    }

    pub(super) fn drive_accounts(&mut self) -> Result<()> {
        let ids: Vec<AccountId> = self.accounts.keys().copied().collect();
        for id in ids {
            if let Some(account) = self.accounts.get_mut(&id) {
                account.purse.ask_again();
            }
            self.drive_account(id)?;
            self.drive_strays(id)?;
        }
        Ok(())
    }

    fn drive_account(&mut self, id: AccountId) -> Result<()> {
        let now = self.ctx.now;
        self.give_up_wait(id);
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        if account.job.is_none() && now.mono >= account.closed_until && account.stage != Stage::Stuck {
            let stream = account.stream();
            let lost = account.row.stream.as_ref().is_some_and(|known| *known != stream)
                || account.row.polled_at.is_some_and(|at| now.wall.since(at) > PLACE_KEPT_MS);
            let (about, task) = if account.stage == Stage::New {
                (Job::Identify(id), Task::Identify)
            } else if account.row.cursor.is_none() || lost {
                // Whoever had a place in this very stream has lost it.
                let had_place = account.row.stream.as_ref() == Some(&stream);
                (Job::TakeCursor(id), if had_place { Task::RestartCursor } else { Task::TakeCursor })
            } else {
                let checks = account.checks_cursor_at(now.mono);
                match &account.row.cursor {
                    Some(cursor) if checks => (Job::CheckCursor(id), Task::CheckCursor(cursor.clone())),
                    Some(cursor) if now.mono >= account.next_poll => (Job::Poll(id), Task::Poll(cursor.clone())),
                    _ => match account.again.take_due(now.mono) {
                        Some(cursor) => (Job::PollAgain(id), Task::Poll(cursor)),
                        None => return self.drive_wait(id),
                    },
                }
            };
            let is_poll = matches!(about, Job::Poll(_));
            if !self.may_call(id, Share::Listening) {
                return self.drive_wait(id);
            }
            let Some(job) = self.start(about)? else { return Ok(()) };
            self.spend_call(id, Share::Listening)?;
            if let Some(account) = self.accounts.get_mut(&id) {
                account.job = Some(job);
                if is_poll {
                    account.polls_begun += 1;
                }
            }
            self.ctx.out.push(Effect::Cloud { job, account: id, task });
        }
        self.drive_wait(id)
    }

    /// What an error of an account's call means for the account; says whether calls may go on.
    pub(super) fn account_failed(&mut self, id: AccountId, error: &ProviderError) {
        let chance = self.ctx.chance.next();
        let now = self.ctx.now.mono;
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let name = account.settings.name.clone();
        match error.kind {
            ProviderErrorKind::SignInNeeded => {
                if account.stage != Stage::Stuck {
                    let text = format!("account `{name}` needs a sign-in: {error}");
                    self.hooks.happens_later(Story::at_large(HookKind::SignInNeeded, Some(id), None, text));
                }
                account.stage = Stage::Stuck;
                account.degraded = Some(Degraded {
                    name: "sign_in_needed".into(),
                    cause: error.to_string(),
                    next_step: format!("run `agent login {} --account {name}`", account.settings.provider.word()),
                });
            }
            ProviderErrorKind::QuotaExhausted => {
                account.used_up();
                let wait = error.retry_after.unwrap_or(QUOTA_RETRIED_EVERY).min(QUOTA_WAIT_MOST);
                account.closed_until = account.closed_until.max(now + millis(wait));
            }
            ProviderErrorKind::RateLimited => {
                account.failures += 1;
                let wait = backoff(account.failures, error.retry_after, chance);
                account.closed_until = account.closed_until.max(now + millis(wait));
            }
            ProviderErrorKind::Network
            | ProviderErrorKind::Unavailable
            | ProviderErrorKind::Malformed
            | ProviderErrorKind::OutcomeUnknown => {
                account.failures += 1;
                let wait = backoff(account.failures, error.retry_after, chance);
                account.closed_until = account.closed_until.max(now + millis(wait));
                if account.failures >= FAILURES_UNTIL_OFFLINE {
                    account.degraded = Some(Degraded {
                        name: "offline".into(),
                        cause: error.to_string(),
                        next_step: format!("the agent tries again by itself, next in {} s", wait.as_secs().max(1)),
                    });
                }
            }
            ProviderErrorKind::Local => {
                account.closed_until = now + millis(Duration::from_mins(1));
                account.degraded = Some(Degraded {
                    name: "local".into(),
                    cause: error.to_string(),
                    next_step: "run `agent doctor`; the agent tries again every minute".into(),
                });
            }
            ProviderErrorKind::Forbidden => {
                account.closed_until = now + millis(Duration::from_mins(5));
                account.degraded = Some(Degraded {
                    name: "forbidden".into(),
                    cause: error.to_string(),
                    next_step: "give the account's app the right to read; the agent tries again every five minutes"
                        .into(),
                });
            }
            ProviderErrorKind::NotFound
            | ProviderErrorKind::CursorLost
            | ProviderErrorKind::Conflict
            | ProviderErrorKind::NotReady
            | ProviderErrorKind::Corrupt
            | ProviderErrorKind::Refused => {
                account.failures += 1;
                account.closed_until = now + millis(backoff(account.failures, error.retry_after, chance));
            }
        }
    }

    /// An account's call went well.
    pub(super) fn account_worked(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.failures = 0;
            if account.stage == Stage::Known {
                account.degraded = None;
            }
        }
    }

    pub(super) fn identified(
        &mut self,
        id: AccountId,
        result: std::result::Result<Identity, ProviderError>,
    ) -> Result<()> {
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.job = None;
        let identity = match result {
            Ok(identity) => identity,
            Err(error) => {
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        if let Some(known) = account.row.user_id.clone().filter(|known| *known != identity.user_id) {
            let login = account.row.login.clone().unwrap_or(known);
            let text = format!(
                "account `{}` was {login} and is now {}: its folders wait until you approve the change",
                account.settings.name, identity.login
            );
            account.stage = Stage::Stuck;
            account.degraded = Some(Degraded {
                name: "account_changed".into(),
                cause: text.clone(),
                next_step: "see `agent held`, or sign in as the former user".into(),
            });
            self.hooks.happens_later(Story::at_large(HookKind::Hold, Some(id), None, text.clone()));
            let detail = serde_json::to_string(&identity).unwrap_or_default();
            self.ctx.store.hold(None, Some(id), "account_changed", &text, Some(&detail), self.ctx.now.wall)?;
            return Ok(());
        }
        self.accept_identity(id, &identity)
    }

    /// From now on the account is this user's.
    pub(super) fn accept_identity(&mut self, id: AccountId, identity: &Identity) -> Result<()> {
        self.ctx.store.set_identity(id, identity)?;
        if let Some(account) = self.accounts.get_mut(&id) {
            account.row.user_id = Some(identity.user_id.clone());
            account.row.login = Some(identity.login.clone());
            account.stage = Stage::Known;
            account.next_poll = 0;
        }
        self.account_worked(id);
        self.reload();
        Ok(())
    }

    pub(super) fn cursor_taken(
        &mut self,
        id: AccountId,
        result: std::result::Result<Cursor, ProviderError>,
    ) -> Result<()> {
        let now = self.ctx.now;
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.job = None;
        let cursor = match result {
            Ok(cursor) => cursor,
            Err(error) => {
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        let stream = account.stream();
        account.cursor_check = cursor::Check::new(false);
        account.row.cursor = Some(cursor.clone());
        account.row.stream = Some(stream.clone());
        account.row.polled_at = Some(now.wall);
        account.row.newest_event = None;
        account.next_poll = 0;
        // The new place and the duty to compare everything are one transaction.
        self.ctx.store.set_cursor(id, &stream, &cursor, now.wall, None)?;
        self.account_worked(id);
        self.lose_place(id, "the place in the event stream was lost")?;
        self.reload();
        Ok(())
    }

    pub(super) fn polled(
        &mut self,
        id: AccountId,
        result: std::result::Result<EventPage, ProviderError>,
    ) -> Result<()> {
        let now = self.ctx.now;
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.job = None;
        let page = match result {
            Ok(page) => page,
            Err(error) if error.kind == ProviderErrorKind::CursorLost => {
                return self.lose_cursor(id, "the provider no longer knows our place in the event stream");
            }
            Err(error) => {
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        let stream = account.stream();
        let counts = self.take_events(id, &page.events, Reading::First)?;
        // Events, the marks that they left and the cursor behind them commit together.
        let newest = self.accounts.get(&id).and_then(|account| account.row.newest_event);
        self.ctx.store.set_cursor(id, &stream, &page.next, now.wall, newest)?;
        if counts != EventCounts::default() {
            self.ctx.store.count_events(id, counts)?;
        }
        self.account_worked(id);
        let chance = self.ctx.chance.next();
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        let before = account.row.cursor.replace(page.next.clone());
        if let Some(before) = before {
            if account.capabilities.disordered && before != page.next {
                account.again.note(before.clone(), now.mono, counts.relevant + counts.own > 0);
            }
            if counts.relevant + counts.foreign + counts.own > 0 {
                account.long_poll.stream_had_news(&before, account.waiting.is_some(), now.mono);
            }
        }
        account.row.polled_at = Some(now.wall);
        add_counts(&mut account.row.counts, counts);
        account.news_since_wake |= counts.relevant + counts.foreign + counts.stale + counts.own > 0;
        account.news_for_us |= counts.relevant + counts.own > 0;
        if !page.drained {
            account.next_poll = 0;
            return Ok(());
        }
        account.cursor_check.polled(page.events.is_empty());
        account.drained = account.polls_begun;
        let bounds = bounds(&account.settings, &account.capabilities);
        let news = std::mem::take(&mut account.news_since_wake);
        let for_us = std::mem::take(&mut account.news_for_us);
        let pause = account.interval.next(bounds, for_us, chance);
        if !account.capabilities.long_poll {
            account.next_poll = now.mono + millis(account.affordable(pause, now));
            return Ok(());
        }
        if news {
            account.last_news = now.mono;
        }
        let pause = if account.long_poll.works() {
            jitter(account.net_under_long_poll(now.mono), chance)
        } else {
            pause.min(jitter(account.net(), chance))
        };
        account.next_poll = now.mono + millis(account.affordable(pause, now));
        let spurious = std::mem::take(&mut account.woken) && !news;
        if account.long_poll.works() || account.next_wait == u64::MAX {
            account.next_wait = now.mono + if spurious { millis(SPURIOUS_WAKE_PAUSE) } else { 0 };
        }
        Ok(())
    }
}

fn add_counts(counts: &mut EventCounts, more: EventCounts) {
    counts.relevant += more.relevant;
    counts.foreign += more.foreign;
    counts.repeated += more.repeated;
    counts.stale += more.stale;
    counts.own += more.own;
}
