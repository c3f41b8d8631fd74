//! What an account's API budget allows: a pure policy of limits, calls spent, the time left in the day, and who asks.
//!
//! News comes before bulk: what listening needs until the reset, and a part for what it will bring, is kept back from first syncs and
//! comparisons. The parts that are kept shrink with the day, so that nothing is left over at its end.

use std::time::Duration;

use crate::settings::{AccountSettings, ProviderName};
use crate::tree::Wall;

/// Calls a day that an Egnyte token has unless headers or settings say otherwise.
pub const EGNYTE_CALLS_PER_DAY: u64 = 1_000;
/// Calls a second that an Egnyte token has unless headers or settings say otherwise.
const EGNYTE_CALLS_PER_SECOND: u64 = 2;
/// Calls a minute on Box's own hosts.
const BOX_CALLS_PER_MINUTE: u64 = 1_000;
/// Calls that the database counts as spent before they are: a crash forgets none, and not every call is a write.
pub const CALLS_PER_BLOCK: u64 = 10;
/// Of the day's calls, what listening may keep back from the rest, in percent.
const LISTENING_PERCENT: u64 = 30;
/// Of the day's calls, what news keeps back from bulk work, in percent.
const NEWS_PERCENT: u64 = 10;
/// Of the day's calls, what listening keeps back from news, in percent.
const LAST_LISTENING_PERCENT: u64 = 10;
/// Of the day's calls, what comparisons of verified folders may take, in percent.
const COMPARISON_PERCENT: u64 = 10;
/// Of what is left of a tight day, what listening may take, in percent.
const TIGHT_LISTENING_PERCENT: u64 = 75;
/// Short intervals are spread as if the activity went on for this long.
const ACTIVITY_MS: u64 = 4 * HOUR_MS;
/// How soon work that was refused for want of budget asks again; what is kept back shrinks meanwhile.
const ASKED_AGAIN_MS: u64 = 60_000;
/// What a provider may count beyond the calls that are under way before its smaller count is believed.
const COUNT_SLACK: u64 = 10;

/// The interval of listening that a forecast reckons with.
const FORECAST_REST: Duration = Duration::from_mins(5);

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What the provider's newest answer said of our allowance. Every part of it may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Calls that are allowed in a second.
    pub per_second: Option<u32>,
    /// Calls that are allowed in a day.
    pub per_day: Option<u64>,
    /// Calls of this day that were counted, by whoever uses the same token.
    pub used_today: Option<u64>,
}

/// What an account may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Calls a day.
    pub per_day: Option<u64>,
    /// Calls a minute.
    pub per_minute: Option<u64>,
}

impl Limits {
    /// The limits of an account: the settings and the provider's headers, whichever is less; without either the provider's defaults, but
    /// only on its own hosts.
    pub fn of(settings: &AccountSettings, quota: Option<Quota>) -> Self {
        let quota = quota.unwrap_or_default();
        let own_hosts = settings.api_url.is_none();
        let (day, minute) = match settings.provider {
            ProviderName::Egnyte => (Some(EGNYTE_CALLS_PER_DAY), EGNYTE_CALLS_PER_SECOND * 60),
            ProviderName::Box => (None, BOX_CALLS_PER_MINUTE),
        };
        let told = quota.per_second.map(|calls| u64::from(calls) * 60);
        Self {
            per_day: least(settings.calls_per_day.map(u64::from), quota.per_day).or(day.filter(|_| own_hosts)),
            per_minute: least(settings.calls_per_minute.map(u64::from), told).or(own_hosts.then_some(minute)),
        }
    }
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Who asks for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The event stream.
    Listening,
    /// What the stream brought: looks, listings, transfers.
    News,
    /// First syncs and comparisons of folders that are in doubt.
    Bulk,
    /// The regular comparison of folders that are not.
    Comparison,
}

/// How the rest of the day is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Kept for listening.
    pub listening: u64,
    /// Kept for what listening brings.
    pub news: u64,
    /// Free for anything.
    pub free: u64,
}

/// What must be durable before calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// The UTC day, in days since 1970.
    pub day: i64,
    /// Calls reserved on that day.
    pub calls: u64,
    /// Of those, calls for comparisons of verified folders.
    pub compared: u64,
}

/// The account book of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// Durable.
    reserved: Spent,
    spent: u64,
    compared: u64,
    /// When the next call may be made if the calls of one minute are spread evenly, in microseconds of the clock that never jumps.
    spread_to: u64,
}

impl Ledger {
    /// The book as it was left: what was reserved counts as spent.
    pub fn new(reserved: Spent) -> Self {
        Self { reserved, spent: reserved.calls, compared: reserved.compared, spread_to: 0 }
    }

    /// Calls spent today.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Begins a new day when one has begun. A clock that is put back a little does not give the same day twice.
    pub fn turn(&mut self, now: Wall) {
        let day = now.0.div_euclid(DAY_MS as i64);
        if day > self.reserved.day || day < self.reserved.day - 1 {
            self.reserved = Spent { day, calls: 0, compared: 0 };
            self.spent = 0;
            self.compared = 0;
        }
    }

    /// When a call may be made: at once, or not before a moment of the clock that never jumps.
    pub fn may(&self, limits: Limits, share: Share, rest: Duration, mono: u64, wall: Wall) -> Result<(), u64> {
        if let Some(per_day) = limits.per_day {
            let left = per_day.saturating_sub(self.spent);
            let shares = self.shares(per_day, rest, wall);
            let last = part(per_day, LAST_LISTENING_PERCENT, ms_left(wall));
            let kept = match share {
                Share::Listening => 0,
                Share::News => shares.listening.min(last),
                Share::Bulk | Share::Comparison => shares.listening + shares.news,
            };
            if left == 0 {
                return Err(mono + ms_left(wall));
            }
            if left <= kept {
                return Err(mono + ms_left(wall).min(ASKED_AGAIN_MS));
            }
            if share == Share::Comparison && self.compared >= (per_day * COMPARISON_PERCENT / 100).max(1) {
                return Err(mono + ms_left(wall));
            }
        }
        match limits.per_minute {
            Some(per_minute) if self.spread_to > mono * 1_000 + burst(per_minute) => {
                Err(mono + (self.spread_to - mono * 1_000 - burst(per_minute)).div_ceil(1_000))
            }
            _ => Ok(()),
        }
    }

    /// Spends calls; what must be made durable before they are made, if it is not yet.
    #[must_use = "what is returned must be durable before the call"]
    pub fn spend(&mut self, limits: Limits, share: Share, calls: u64, mono: u64) -> Option<Spent> {
        self.spent += calls;
        if share == Share::Comparison {
            self.compared += calls;
        }
        if let Some(per_minute) = limits.per_minute {
            self.spread_to = self.spread_to.max(mono * 1_000) + calls * spacing(per_minute);
        }
        if limits.per_day.is_none() || self.spent <= self.reserved.calls {
            return None;
        }
        self.reserved.calls = self.spent - calls.min(1) + CALLS_PER_BLOCK;
        self.reserved.compared = self.compared;
        Some(self.reserved)
    }

    /// Calls that were spent were not made. What is durable stays reserved.
    pub fn unspend(&mut self, calls: u64) {
        self.spent = self.spent.saturating_sub(calls);
    }

    /// The provider's own count of the day's calls. More than ours is believed at once: others spend too. Less is believed but for
    /// what may be under way.
    pub fn provider_counts(&mut self, used: u64, under_way: u64) {
        self.spent = used.max(self.spent.min(used + under_way + COUNT_SLACK));
    }

    /// The provider says that the day's calls are used up.
    pub fn used_up(&mut self, limits: Limits) {
        if let Some(per_day) = limits.per_day {
            self.spent = self.spent.max(per_day);
        }
    }

    /// How the rest of the day's calls is shared. `rest` is the interval of listening while nothing happens.
    pub fn shares(&self, per_day: u64, rest: Duration, now: Wall) -> Shares {
        let left = per_day.saturating_sub(self.spent);
        let time = ms_left(now);
        let polls = time / (rest.as_millis() as u64).max(1) + 1;
        let listening = polls.min(part(per_day, LISTENING_PERCENT, time)).min(left);
        let news = part(per_day, NEWS_PERCENT, time).min(left - listening);
        Shares { listening, news, free: left - listening - news }
    }

    /// The interval of listening that the budget allows where `wish` is wanted. `rest` is the interval while nothing happens.
    pub fn stretch(&self, limits: Limits, wish: Duration, rest: Duration, now: Wall) -> Duration {
        let Some(per_day) = limits.per_day else { return wish };
        let time = ms_left(now);
        let left = per_day.saturating_sub(self.spent);
        let shares = self.shares(per_day, rest, now);
        let each = |span: u64, calls: u64| Duration::from_millis(span / calls.max(1));
        if left == 0 {
            return Duration::from_millis(time);
        }
        if shares.free > 0 {
            return wish.max(each(time.min(ACTIVITY_MS), shares.free).min(rest));
        }
        let listening = shares.listening.min((left * TIGHT_LISTENING_PERCENT / 100).max(1));
        wish.max(rest).max(each(time, listening)).min(Duration::from_millis(time))
    }
}

/// A sentence for bulk work that the budget makes long; nothing if it fits into a day.
pub fn forecast(provider: &str, per_day: u64, calls: u64) -> Option<String> {
    let days = forecast_days(per_day, calls);
    (days > 1).then(|| {
        let remedy = match provider {
            "egnyte" => "ask Egnyte for a higher limit, or narrow the folder",
            _ => "raise `calls_per_day`, or narrow the folder",
        };
        format!("at {} calls a day this takes {days} days: {remedy}", grouped(per_day))
    })
}

/// How many days of a budget bulk work takes.
pub fn forecast_days(per_day: u64, calls: u64) -> u64 {
    let midnight = Ledger::new(Spent::default()).shares(per_day, FORECAST_REST, Wall(0));
    calls.div_ceil(midnight.free.max(1))
}

/// When the day's count starts again.
pub fn resets_at(now: Wall) -> Wall {
    now.plus_ms(ms_left(now) as i64)
}

/// Milliseconds until the next UTC midnight.
fn ms_left(now: Wall) -> u64 {
    DAY_MS - now.0.rem_euclid(DAY_MS as i64) as u64
}

/// A part of the day's calls for the rest of the day, at least one.
fn part(per_day: u64, percent: u64, ms_left: u64) -> u64 {
    (per_day.saturating_mul(percent) / 100).saturating_mul(ms_left) / DAY_MS + 1
}

/// Microseconds between calls.
fn spacing(per_minute: u64) -> u64 {
    60_000_000 / per_minute.max(1)
}

/// How far calls may run ahead of an even spread, in microseconds: the calls of one second.
fn burst(per_minute: u64) -> u64 {
    1_000_000_u64.saturating_sub(spacing(per_minute))
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
