//! An account's budget: no call begins that the policy does not allow, and none that is not counted durably first.

use std::time::Duration;

use super::input::Now;
use crate::events::budget::{Ledger, Limits, Quota, Share, Spent, resets_at};
use crate::report::{Budget, BudgetShares};
use crate::settings::AccountSettings;
use crate::tree::Wall;

/// What an account has and spends.
#[derive(Debug)]
pub(in crate::engine) struct CallBudget {
    ledger: Ledger,
    quota: Option<Quota>,
    /// Calls begun by this engine.
    begun: u64,
    /// What the world had counted when this engine had begun none.
    before: Option<u64>,
    /// Calls were refused, and may be allowed at this moment.
    refused_until: Option<u64>,
}

impl CallBudget {
    /// The budget of an account that has spent this much.
    pub fn new(spent: Spent) -> Self {
        Self { ledger: Ledger::new(spent), quota: None, begun: 0, before: None, refused_until: None }
    }

    /// When what was refused is asked for again, if anything was.
    pub fn refused_until(&self, now: u64) -> Option<u64> {
        self.refused_until.filter(|at| *at > now)
    }

    /// Forgets what was refused: it is asked for again.
    pub fn ask_again(&mut self) {
        self.refused_until = None;
    }

    /// What may be spent.
    pub fn limits(&self, settings: &AccountSettings) -> Limits {
        Limits::of(settings, self.quota)
    }

    /// The pause until the stream is read again, where the interval alone would make it this long.
    pub fn affordable(&self, limits: Limits, pause: Duration, rest: Duration, now: Wall) -> Duration {
        self.ledger.stretch(limits, pause, rest, now)
    }

    /// The provider says that the day's calls are used up.
    pub fn used_up(&mut self, limits: Limits) {
        self.ledger.used_up(limits);
    }

    /// Whether a call may begin now. If not, it is noted when one may.
    pub fn try_call(&mut self, limits: Limits, rest: Duration, share: Share, now: Now) -> bool {
        self.ledger.turn(now.wall);
        let refused = self.ledger.may(limits, share, rest, now.mono, now.wall).err();
        if let Some(at) = refused {
            let at = at.max(now.mono + 1);
            self.refused_until = Some(self.refused_until.map_or(at, |other| other.min(at)));
        }
        refused.is_none()
    }

    /// A call begins: what is to be durable before it does, if that is more than is durable already.
    pub fn begin_call(&mut self, limits: Limits, share: Share, now: u64) -> Option<Spent> {
        self.begun += 1;
        self.ledger.spend(limits, share, 1, now)
    }

    /// A call that was counted when it began did not get as far as the provider.
    pub fn was_not_sent(&mut self) {
        self.begun = self.begun.saturating_sub(1);
        self.ledger.unspend(1);
    }

    /// The world's own count of requests, and what the provider's answers say of the quota: one question may have cost several requests.
    /// What is to be durable.
    pub fn take_usage(
        &mut self,
        settings: &AccountSettings,
        calls: u64,
        quota: Option<Quota>,
        now: Now,
    ) -> Option<Spent> {
        self.ledger.turn(now.wall);
        let before = *self.before.get_or_insert(calls.saturating_sub(self.begun));
        let more = calls.saturating_sub(before).saturating_sub(self.begun);
        self.begun += more;
        self.quota = quota.or(self.quota);
        if more == 0 {
            return None;
        }
        let limits = self.limits(settings);
        self.ledger.spend(limits, Share::News, more, now.mono)
    }

    /// The provider's own count of the day's calls; others may spend from the same quota.
    pub fn provider_counts(&mut self, quota: Option<Quota>, under_way: u64) {
        if let Some(used) = quota.and_then(|quota| quota.used_today) {
            self.ledger.provider_counts(used, under_way);
        }
    }

    /// The budget, for people.
    pub fn report(&self, limits: Limits, rest: Duration, now: Wall) -> Budget {
        let mut ledger = self.ledger;
        ledger.turn(now);
        let shares = limits.per_day.map(|per_day| ledger.shares(per_day, rest, now));
        Budget {
            spent_today: ledger.spent(),
            per_day: limits.per_day,
            per_minute: limits.per_minute,
            shares: shares.map(|shares| BudgetShares {
                listening: shares.listening,
                news: shares.news,
                free: shares.free,
            }),
            resets_at: limits.per_day.map(|_| resets_at(now)),
            closed_until: None,
            forecast: None,
            forecast_days: None,
        }
    }
}
