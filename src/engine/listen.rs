//! One account: who we are, where we are in its stream, what is asked next and when, and what answers and failures change of that.
//!
//! It decides and remembers; the router asks.

use std::time::Duration;

use super::budget::CallBudget;
use super::ctx::millis;
use super::effect::Task;
use super::health::AccountHealth;
use super::input::Now;
use super::jobs::Job;
use super::queues::CallQueues;
use super::remote::Strays;
use crate::events::EventPage;
use crate::events::budget::{Limits, Quota, Share, Spent};
use crate::events::interval::{Bounds, Interval, backoff, jitter};
use crate::events::long_poll::{LongPoll, NET_IN_QUIET};
use crate::id::{AccountId, Cursor, JobId};
use crate::provider::{Capabilities, Identity, ProviderError, ProviderErrorKind};
use crate::report::{Degraded, EventCounts};
use crate::settings::{AccountSettings, ProviderName};
use crate::store::accounts::AccountRow;
use crate::tree::Wall;

mod again;
mod cursor;
mod lull;
mod reach;
mod wake;

#[cfg(test)]
mod tests;

use again::Again;
use lull::Lull;
use reach::Reach;

/// A stream that was not read for this long may have lost events: 13 days, a day below the shortest retention that Box documents.
const PLACE_KEPT_MS: i64 = 13 * 24 * 3_600 * 1_000;
/// An hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// The longest interval without a long poll.
pub(in crate::engine) const CEILING: Duration = Duration::from_mins(5);
/// The shortest interval of a provider that asks for long ones, for a while after activity.
const ALERT_FLOOR: Duration = Duration::from_secs(30);
/// The shortest pause between two wake-ups of a long poll that brought nothing new.
const SPURIOUS_WAKE_PAUSE: Duration = Duration::from_secs(1);
/// How often a used up quota is tried again where neither the provider nor the day says when it is renewed.
const QUOTA_RETRIED_EVERY: Duration = Duration::from_hours(1);
/// The longest pause for another reason that a provider is granted.
const ASKED_MOST: Duration = Duration::from_mins(15);
/// The longest wait for a quota; a provider that asks for more is asked again.
const QUOTA_WAIT_MOST: Duration = Duration::from_hours(24);
/// After so many failures the pauses of an outage grow no more: without a connection a try costs nobody anything, and a server that is back
/// is noticed within seconds.
const UNREACHED_COUNTED: u32 = 4;
/// The same where a server answers that it fails, or nonsense: half a minute to a minute.
const FAILING_COUNTED: u32 = 7;

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
pub(in crate::engine) struct Account {
    pub settings: AccountSettings,
    pub capabilities: Capabilities,
    pub row: AccountRow,
    pub degraded: Option<Degraded>,
    reach: Reach,
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
    /// How many polls had begun when the newest one began that read the stream to its end; 0 before the first.
    pub polls_ended: u64,
    /// The last poll that was begun with former credentials: what it was told may have been dropped with it.
    former: u64,
    interval: Interval,
    /// Since when the stream is known to be read to its end, counted in polls: see the settling of full comparisons.
    pub polls_begun: u64,
    pub budget: CallBudget,
    /// The stream brought something for a folder since it was last read to its end.
    news_for_us: bool,
    /// When the stream last brought anything.
    last_news: u64,
    /// The second reading of the stream after activity.
    again: Again,
    /// The pause while own writes are what the stream brings.
    lull: Lull,
    /// Ids without a place that are to be looked at.
    pub strays: Strays,
}

impl Account {
    /// An account about which the provider was not asked yet.
    pub fn new(settings: AccountSettings, capabilities: Capabilities, row: AccountRow) -> Self {
        let bounds = bounds(&settings, &capabilities);
        let budget = CallBudget::new(row.spent);
        let cursor_check = cursor::Check::new(row.cursor.is_some());
        Self {
            settings,
            capabilities,
            row,
            degraded: None,
            reach: Reach::default(),
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
            polls_ended: 0,
            former: 0,
            interval: Interval::new(bounds),
            polls_begun: 0,
            budget,
            news_for_us: false,
            last_news: 0,
            again: Again::default(),
            lull: Lull::default(),
            strays: Strays::default(),
        }
    }

    /// Whether calls can be made for its folders.
    pub fn usable(&self) -> bool {
        self.stage == Stage::Known && self.row.cursor.is_some()
    }

    /// The stream that the cursor belongs to.
    pub fn stream(&self) -> String {
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
        let opens = self.reach.opens_at();
        let waits = opens.filter(|_| self.can_wait() && self.next_wait < u64::MAX).map(|at| self.next_wait.max(at));
        let opens = opens.filter(|at| *at > now);
        let refused = self.budget.refused_until(now);
        let gives_up = self.waiting.and(self.long_poll.given_up_at());
        // A second reading waits like anything else while the budget refuses a call.
        let open = self.reach.opens_at().map(|at| at.max(refused.unwrap_or(0)));
        let again = self.again.due().filter(|_| self.job.is_none()).zip(open).map(|(due, open)| due.max(open));
        let stray = self.strays.due().zip(open).map(|(due, open)| due.max(open)).filter(|at| *at > now);
        self.asks_at(now)
            .into_iter()
            .chain(stray)
            .chain(waits)
            .chain(opens)
            .chain(refused)
            .chain(again)
            .chain(gives_up)
            .min()
    }

    /// When the next question about the account or its stream is asked; nothing while one is.
    pub fn asks_at(&self, now: u64) -> Option<u64> {
        let is_new = self.stage == Stage::New || self.row.cursor.is_none();
        let at_once = is_new || self.reach.is_out() || self.checks_cursor_at(now);
        let at = if at_once { self.reach.asks_at() } else { self.next_poll.max(self.reach.asks_at()) };
        // What is due and was refused for want of budget is asked for when that may have changed.
        let at = match self.budget.refused_until(now) {
            Some(refused) if at <= now => refused,
            _ => at,
        };
        (self.job.is_none() && self.stage != Stage::Stuck).then_some(at)
    }

    /// Whether a long poll may begin, the time aside.
    fn can_wait(&self) -> bool {
        // The first drain comes before the first long poll: what happened while we were away is not waited for.
        self.capabilities.long_poll && self.usable() && self.waiting.is_none() && self.polls_ended > 0
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

    /// Reads the stream as soon as possible.
    pub fn poll_now(&mut self) {
        self.next_poll = 0;
    }

    /// How long what can wait waits, because the settings want quiet at this time of the day; nothing if it need not.
    pub fn quiet_for(&self, now: Wall) -> Option<u64> {
        let left = self.settings.quiet.as_ref()?.left_ms(now)?;
        // A clock that is set, or another season, is noticed within the hour.
        Some(u64::try_from(left.clamp(1_000, HOUR_MS)).unwrap_or(1_000))
    }

    /// The account works under other settings from now on; who we are is asked again.
    pub fn wish(&mut self, settings: AccountSettings, capabilities: Capabilities) {
        self.settings = settings;
        self.capabilities = capabilities;
        self.stage = Stage::New;
    }

    /// The credentials changed: whatever was wrong with them may be right now.
    pub fn sign_in_changed(&mut self) {
        self.stage = Stage::New;
        self.former = self.polls_begun;
        self.degraded = None;
        self.reach.forget();
    }

    /// Forgets the questions about the account and its stream that are under way: they were asked with former credentials or settings.
    pub fn take_back(&mut self) -> impl Iterator<Item = JobId> + use<> {
        self.job.take().into_iter().chain(self.waiting.take())
    }

    /// When one more question can be asked; nothing if that depends on something else than time.
    pub fn open_at(&self, now: u64) -> Option<u64> {
        let open = self.reach.opens_at().filter(|_| self.usable())?;
        Some(open.max(self.budget.refused_until(now).unwrap_or(0)))
    }

    /// Whether calls for its folders may begin now, its budget and slots aside.
    pub fn is_open(&self, now: u64) -> bool {
        self.usable() && self.reach.is_open(now)
    }

    /// The next question about the account or its stream, if one is due and none is under way.
    pub fn next_question(&mut self, id: AccountId, now: Now) -> Option<(Job, Task)> {
        if self.job.is_some() || now.mono < self.reach.asks_at() || self.stage == Stage::Stuck {
            return None;
        }
        if self.stage == Stage::New {
            return Some((Job::Identify(id), Task::Identify));
        }
        let stream = self.stream();
        let lost = self.row.stream.as_ref().is_some_and(|known| *known != stream)
            || self.row.polled_at.is_some_and(|at| now.wall.since(at) > PLACE_KEPT_MS);
        let Some(cursor) = self.row.cursor.clone().filter(|_| !lost) else {
            // A place in this very stream is lost.
            let had_place = self.row.stream.as_ref() == Some(&stream);
            return Some((Job::TakeCursor(id), if had_place { Task::RestartCursor } else { Task::TakeCursor }));
        };
        if self.checks_cursor_at(now.mono) {
            return Some((Job::CheckCursor(id), Task::CheckCursor(cursor)));
        }
        if now.mono >= self.next_poll || self.reach.is_out() {
            return Some((Job::Poll(id), Task::Poll(cursor)));
        }
        self.again.position(now.mono).map(|cursor| (Job::PollAgain(id), Task::Poll(cursor)))
    }

    /// A question about the account or its stream is under way.
    pub fn asks(&mut self, job: JobId, is_poll: bool, again: Option<Cursor>) {
        self.job = Some(job);
        self.reach.asks();
        self.polls_begun += u64::from(is_poll);
        if let Some(from) = again {
            self.again.begin(from);
        }
    }

    /// The question about the account or its stream was answered.
    pub fn was_answered(&mut self) {
        self.job = None;
    }

    /// What an error of one of its calls means for it; what people are told, if it needs them now and did not before.
    pub fn failed(&mut self, error: &ProviderError, now: u64, chance: u64) -> Option<String> {
        let name = self.settings.name.clone();
        if error.unsent {
            // No provider counts a call that never reached it.
            self.budget.was_not_sent();
        }
        if let Some(wait) = error.retry_after.filter(|_| error.kind == ProviderErrorKind::Unavailable) {
            self.reach.pause(now, wait.min(ASKED_MOST));
        }
        let (counted, next_step) = match error.kind {
            ProviderErrorKind::SignInNeeded => {
                let is_news = self.stage != Stage::Stuck;
                self.stage = Stage::Stuck;
                self.degraded = Some(Degraded {
                    name: "sign_in_needed".into(),
                    cause: error.to_string(),
                    next_step: format!("run `agent login {} --account {name}`", self.settings.provider.word()),
                });
                return is_news.then(|| format!("account `{name}` needs a sign-in: {error}"));
            }
            ProviderErrorKind::QuotaExhausted => {
                self.budget.used_up(self.limits());
                self.reach.pause(now, error.retry_after.unwrap_or(QUOTA_RETRIED_EVERY).min(QUOTA_WAIT_MOST));
                return None;
            }
            ProviderErrorKind::RateLimited => {
                self.reach.refused(now, error.retry_after, chance);
                return None;
            }
            ProviderErrorKind::Local => {
                if self.reach.lost(now, |_| Duration::from_mins(1)) {
                    self.degraded = Some(Degraded {
                        name: "local".into(),
                        cause: error.to_string(),
                        next_step: "run `agent doctor`; the agent tries again every minute".into(),
                    });
                }
                return None;
            }
            ProviderErrorKind::Forbidden => {
                if self.reach.lost(now, |_| Duration::from_mins(5)) {
                    self.degraded = Some(Degraded {
                        name: "forbidden".into(),
                        cause: error.to_string(),
                        next_step: "give the account's app the right to read; the agent tries again every five minutes"
                            .into(),
                    });
                }
                return None;
            }
            ProviderErrorKind::Network => {
                (UNREACHED_COUNTED, Some("the agent tries again by itself every few seconds"))
            }
            ProviderErrorKind::Unavailable | ProviderErrorKind::Malformed | ProviderErrorKind::OutcomeUnknown => {
                (FAILING_COUNTED, Some("the agent tries again by itself, every minute at the latest"))
            }
            ProviderErrorKind::NotFound
            | ProviderErrorKind::CursorLost
            | ProviderErrorKind::Conflict
            | ProviderErrorKind::NotReady
            | ProviderErrorKind::Corrupt
            | ProviderErrorKind::Refused => (u32::MAX, None),
        };
        let is_news = self.reach.lost(now, |failures| backoff(failures.min(counted), None, chance));
        if let Some(next_step) = next_step.filter(|_| is_news && self.reach.is_told()) {
            let (cause, next_step) = (error.to_string(), next_step.to_owned());
            self.degraded = Some(Degraded { name: "offline".into(), cause, next_step });
        }
        None
    }

    /// A call went well.
    pub fn worked(&mut self) {
        if self.reach.worked() && self.next_wait < u64::MAX {
            // The long poll failed for the same reason, and is not to wait for its own time.
            self.next_wait = 0;
        }
        if self.stage == Stage::Known {
            self.degraded = None;
        }
    }

    /// Whether the token's owner is another one than before. If so, nothing more is asked until a person has decided, and this is the
    /// text for them.
    pub fn is_another(&mut self, identity: &Identity) -> Option<String> {
        let known = self.row.user_id.clone().filter(|known| *known != identity.user_id)?;
        let login = self.row.login.clone().unwrap_or(known);
        let text = format!(
            "account `{}` was {login} and is now {}: its folders wait until you approve the change",
            self.settings.name, identity.login
        );
        self.stage = Stage::Stuck;
        self.degraded = Some(Degraded {
            name: "account_changed".into(),
            cause: text.clone(),
            next_step: "see `agent held`, or sign in as the former user".into(),
        });
        Some(text)
    }

    /// From now on the account is this user's.
    pub fn accept(&mut self, identity: &Identity) {
        self.row.user_id = Some(identity.user_id.clone());
        self.row.login = Some(identity.login.clone());
        self.stage = Stage::Known;
        self.next_poll = 0;
    }

    /// A place in the stream was taken anew; the stream that it belongs to.
    pub fn take_cursor(&mut self, cursor: Cursor, now: Now) -> String {
        let stream = self.stream();
        self.cursor_check = cursor::Check::new(false);
        self.again = Again::default();
        self.row.cursor = Some(cursor);
        self.row.stream = Some(stream.clone());
        self.row.polled_at = Some(now.wall);
        self.row.newest_event = None;
        self.row.taken_at = Some(now.wall);
        self.next_poll = 0;
        stream
    }

    /// A page of the stream was taken: when to read on, to wait, and to read a second time.
    pub fn was_read(&mut self, next: Cursor, page: PageFacts, counts: EventCounts, now: Now, chance: u64) {
        if let Some(before) = self.row.cursor.replace(next.clone()) {
            if self.capabilities.disordered && before != next {
                self.again.note(before.clone(), now.mono, counts.relevant + counts.own > 0);
            }
            if counts.relevant + counts.foreign + counts.own > 0 {
                self.long_poll.stream_had_news(&before, self.waiting.is_some(), now.mono);
            }
        }
        self.row.polled_at = Some(now.wall);
        self.add_counts(counts);
        self.lull.heard(counts, now.mono);
        self.news_since_wake |= counts.relevant + counts.foreign + counts.stale + counts.own > 0;
        self.news_for_us |= counts.relevant + counts.own > 0;
        if !page.caught_up {
            self.next_poll = self.lull.until();
            return;
        }
        self.cursor_check.polled(page.is_empty);
        self.polls_ended = self.polls_begun;
        let bounds = bounds(&self.settings, &self.capabilities);
        let news = std::mem::take(&mut self.news_since_wake);
        let for_us = std::mem::take(&mut self.news_for_us);
        let pause = self.interval.next(bounds, for_us, chance);
        if !self.capabilities.long_poll {
            self.next_poll = now.mono + millis(self.affordable(pause, now));
            return;
        }
        if news {
            self.last_news = now.mono;
        }
        let pause = if self.long_poll.works() {
            jitter(self.net_under_long_poll(now.mono), chance)
        } else {
            pause.min(jitter(self.net(), chance))
        };
        self.next_poll = now.mono + millis(self.affordable(pause, now));
        let spurious = std::mem::take(&mut self.woken) && !news;
        if self.long_poll.works() || self.next_wait == u64::MAX {
            self.next_wait = now.mono + if spurious { millis(SPURIOUS_WAKE_PAUSE) } else { 0 };
        }
    }

    /// A page of the second reading was taken.
    pub fn was_read_again(&mut self, page: EventPage, counts: EventCounts) {
        self.add_counts(counts);
        let is_end = page.caught_up || self.row.cursor.as_ref() == Some(&page.next);
        self.again.answered(Some(page.next).filter(|_| !is_end));
    }

    /// A page of the second reading was not answered.
    pub fn failed_again(&mut self, kind: ProviderErrorKind) {
        self.again.failed(kind);
    }

    /// The place in the stream is lost. Positions of before are none of the stream that is read from now on.
    pub fn lose_cursor(&mut self) {
        self.row.cursor = None;
        self.again = Again::default();
    }

    /// Adds to what is counted of its events.
    fn add_counts(&mut self, more: EventCounts) {
        let counts = &mut self.row.counts;
        counts.relevant += more.relevant;
        counts.foreign += more.foreign;
        counts.repeated += more.repeated;
        counts.stale += more.stale;
        counts.own += more.own;
    }

    /// How it is, for people.
    pub fn health(&self, now: Now) -> AccountHealth {
        let wall = |mono: u64| now.wall.plus_ms(mono.saturating_sub(now.mono) as i64);
        AccountHealth {
            degraded: self.degraded.clone().or_else(|| self.without_long_poll()),
            caught_up: self.polls_ended > self.former && self.strays.is_empty(),
            long_poll: self.is_waiting() && self.long_poll.works(),
            next_poll: self.asks_at(now.mono).filter(|_| self.usable()).map(wall),
            closed_until: self.reach.asked_until(now.mono).map(wall),
            budget: self.budget.report(self.limits(), self.rest(), now.wall),
        }
    }
}

/// What an account may spend.
impl Account {
    /// The limits.
    pub fn limits(&self) -> Limits {
        self.budget.limits(&self.settings)
    }

    fn affordable(&self, pause: Duration, now: Now) -> Duration {
        self.budget.affordable(self.limits(), pause, self.rest(), now.wall)
    }

    /// Whether a call may begin now. If not, its deadline tells when it may.
    pub fn try_call(&mut self, share: Share, now: Now) -> bool {
        let (limits, rest) = (self.limits(), self.rest());
        self.budget.try_call(limits, rest, share, now)
    }

    /// A call begins; what must be durable before it does.
    pub fn begin_call(&mut self, share: Share, now: u64) -> Option<Spent> {
        let spent = self.budget.begin_call(self.limits(), share, now);
        self.row.spent = spent.unwrap_or(self.row.spent);
        spent
    }

    /// What the world counted of its calls, of which so many are under way; what must be durable.
    pub fn take_usage(&mut self, calls: u64, quota: Option<Quota>, under_way: usize, now: Now) -> Option<Spent> {
        let under_way = (under_way + usize::from(self.job.is_some())) as u64;
        let spent = self.budget.take_usage(&self.settings, calls, quota, now);
        self.budget.provider_counts(quota, under_way);
        self.row.spent = spent.unwrap_or(self.row.spent);
        spent
    }
}

/// What a page of the stream was, beside its events.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct PageFacts {
    /// It held no event.
    pub is_empty: bool,
    /// It was the last one.
    pub caught_up: bool,
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
