//! The engine's side of an account's budget: no call begins that the policy does not allow, and none that is not counted durably first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::folders::Folder;
use super::listen::Account;
use super::{Engine, Now};
use crate::events::budget::{Ledger, Limits, Quota, Share, Spent, resets_at};
use crate::id::{AccountId, FolderId, NodeId};
use crate::report::{Budget, BudgetShares};
use crate::store::Result;
use crate::store::work::Lane;
use crate::tree::Wall;

/// What an account has and spends.
#[derive(Debug)]
pub(super) struct Purse {
    ledger: Ledger,
    quota: Option<Quota>,
    /// Calls begun by this engine.
    begun: u64,
    /// What the world had counted when this engine had begun none.
    before: Option<u64>,
    /// Calls were refused, and may be allowed at this moment.
    refused_until: Option<u64>,
}

impl Purse {
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
}

/// Items that wait for a call, apart by what they need room for: an item that finds none must not be taken out of its queue for every
/// one that does.
#[derive(Debug, Default)]
pub(super) struct CallQueues {
    /// Downloads.
    pub fetches: CallQueue,
    /// Uploads, which share their room with downloads.
    pub uploads: CallQueue,
    /// Looks, and changes without content.
    pub questions: CallQueue,
}

impl CallQueues {
    /// The queue of a kind.
    pub fn of(&mut self, kind: CallKind) -> &mut CallQueue {
        match kind {
            CallKind::Fetch => &mut self.fetches,
            CallKind::Upload => &mut self.uploads,
            CallKind::Question => &mut self.questions,
        }
    }

    /// Forgets all that wait.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What a call needs room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    Fetch,
    Upload,
    Question,
}

/// Items that wait for a call: news first, then bulk with the newest content first.
#[derive(Debug, Default)]
pub(super) struct CallQueue {
    news: VecDeque<(NodeId, FolderId)>,
    bulk: BTreeMap<(Reverse<Wall>, u64), (NodeId, FolderId)>,
    serial: u64,
}

impl CallQueue {
    /// News overtakes everything that waits.
    pub fn push_news(&mut self, node: NodeId, folder: FolderId) {
        self.news.push_front((node, folder));
    }

    /// Bulk work takes its place by the age of its content.
    pub fn push_bulk(&mut self, node: NodeId, folder: FolderId, modified: Wall) {
        self.serial += 1;
        self.bulk.insert((Reverse(modified), self.serial), (node, folder));
    }

    /// Puts back what found no room.
    pub fn put_back(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::News(who) => self.news.push_front(who),
            Waiting::Bulk(place, who) => {
                self.bulk.insert(place, who);
            }
        }
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<Waiting> {
        let bulk = || self.bulk.pop_first().map(|(place, who)| Waiting::Bulk(place, who));
        self.news.pop_front().map(Waiting::News).or_else(bulk)
    }

    /// Whether news waits.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.news.len() + self.bulk.len()
    }
}

/// An item taken out of its queue, with its place there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Waiting {
    News((NodeId, FolderId)),
    Bulk((Reverse<Wall>, u64), (NodeId, FolderId)),
}

impl Waiting {
    /// The item and its folder.
    pub fn who(self) -> (NodeId, FolderId) {
        match self {
            Self::News(who) | Self::Bulk(_, who) => who,
        }
    }
}

impl Account {
    /// What may be spent.
    pub fn limits(&self) -> Limits {
        Limits::of(&self.settings, self.purse.quota)
    }

    /// The pause until the stream is read again, where the interval alone would make it this long.
    pub fn affordable(&self, pause: Duration, now: Now) -> Duration {
        self.purse.ledger.stretch(self.limits(), pause, self.rest(), now.wall)
    }

    /// The provider says that the day's calls are used up.
    pub fn used_up(&mut self) {
        let limits = self.limits();
        self.purse.ledger.used_up(limits);
    }

    /// The budget, for people.
    pub fn budget(&self, now: Now) -> Budget {
        let mut ledger = self.purse.ledger;
        ledger.turn(now.wall);
        let limits = self.limits();
        let shares = limits.per_day.map(|per_day| ledger.shares(per_day, self.rest(), now.wall));
        Budget {
            spent_today: ledger.spent(),
            per_day: limits.per_day,
            per_minute: limits.per_minute,
            shares: shares.map(|shares| BudgetShares {
                listening: shares.listening,
                news: shares.news,
                free: shares.free,
            }),
            resets_at: limits.per_day.map(|_| resets_at(now.wall)),
            closed_until: None,
            forecast: None,
            forecast_days: None,
        }
    }
}

impl Folder {
    /// Whose calls the listing of one of its folders is.
    pub fn share(&self, lane: Lane) -> Share {
        match lane {
            Lane::News => Share::News,
            Lane::Bulk if self.row.scan_stage.is_some() && self.row.unverified.is_none() => Share::Comparison,
            Lane::Bulk => Share::Bulk,
        }
    }
}

impl Engine {
    /// Whether a call may begin now. If not, the engine's deadline tells when it may.
    pub(super) fn may_call(&mut self, id: AccountId, share: Share) -> bool {
        let now = self.ctx.now;
        let Some(account) = self.accounts.get_mut(&id) else { return false };
        let (limits, rest) = (account.limits(), account.rest());
        let purse = &mut account.purse;
        purse.ledger.turn(now.wall);
        match purse.ledger.may(limits, share, rest, now.mono, now.wall) {
            Ok(()) => true,
            Err(at) => {
                let at = at.max(now.mono + 1);
                purse.refused_until = Some(purse.refused_until.map_or(at, |other| other.min(at)));
                false
            }
        }
    }

    /// Counts a call that begins with this step's effects.
    pub(super) fn spend_call(&mut self, id: AccountId, share: Share) -> Result<()> {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.purse.begun += 1;
        }
        self.spend(id, share, 1)
    }

    fn spend(&mut self, id: AccountId, share: Share, calls: u64) -> Result<()> {
        let mono = self.ctx.now.mono;
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        let limits = account.limits();
        if let Some(spent) = account.purse.ledger.spend(limits, share, calls, mono) {
            account.row.spent = spent;
            self.ctx.store.set_spent(id, spent)?;
        }
        Ok(())
    }

    /// The world's own count of requests, and what the provider's answers say of the quota: one question may have cost several requests,
    /// and others may spend from the same quota.
    pub(super) fn take_usage(&mut self, id: AccountId, calls: u64, quota: Option<Quota>) -> Result<()> {
        let wall = self.ctx.now.wall;
        let calls_under_way = self.slots.calls(id);
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        let under_way = (calls_under_way + usize::from(account.is_asked_about())) as u64;
        let purse = &mut account.purse;
        purse.ledger.turn(wall);
        let before = *purse.before.get_or_insert(calls.saturating_sub(purse.begun));
        let more = calls.saturating_sub(before).saturating_sub(purse.begun);
        purse.begun += more;
        purse.quota = quota.or(purse.quota);
        if more > 0 {
            self.spend(id, Share::News, more)?;
        }
        if let Some(used) = quota.and_then(|quota| quota.used_today)
            && let Some(account) = self.accounts.get_mut(&id)
        {
            account.purse.ledger.provider_counts(used, under_way);
        }
        Ok(())
    }

    /// Whose call it is that works on an item of a folder.
    pub(super) fn share_of(&self, folder: FolderId, lane: Lane) -> Share {
        match self.folders.get(&folder) {
            Some(folder) if lane == Lane::Bulk => folder.share(lane),
            _ => Share::News,
        }
    }
}
