//! How the engine is: what only it knows, and what no row says.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Job};
use crate::id::{AccountId, FolderId};
use crate::report::{Budget, Degraded};
use crate::store::Result;
use crate::tree::Wall;

/// How one account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHealth {
    /// What is wrong with it.
    pub degraded: Option<Degraded>,
    /// The stream was read to its end since the engine started.
    pub caught_up: bool,
    /// A long poll is waiting.
    pub long_poll: bool,
    /// When the stream is read next.
    pub next_poll: Option<Wall>,
    /// No calls before this moment.
    pub closed_until: Option<Wall>,
    /// Its budget.
    pub budget: Budget,
}

/// How the engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The accounts.
    pub accounts: BTreeMap<AccountId, AccountHealth>,
    /// What is wrong with folders; those that are well are named with nothing.
    pub folders: BTreeMap<FolderId, Option<Degraded>>,
    /// Folders whose disk is not looked at (yet): nothing is known of what happens there.
    pub unopened: BTreeSet<FolderId>,
}

impl Engine {
    /// How accounts and folders are.
    pub fn health(&self) -> Health {
        let wall = |mono: u64| self.ctx.now.wall.plus_ms(mono.saturating_sub(self.ctx.now.mono) as i64);
        let accounts = self.accounts.iter().map(|(id, account)| {
            let health = AccountHealth {
                degraded: account.degraded.clone().or_else(|| account.without_long_poll()),
                caught_up: account.drained > 0 && account.strays.is_empty(),
                long_poll: account.is_waiting() && account.long_poll.works(),
                next_poll: account.asks_at(self.ctx.now.mono).filter(|_| account.usable()).map(wall),
                closed_until: (account.closed_until > self.ctx.now.mono).then(|| wall(account.closed_until)),
                budget: account.budget(self.ctx.now),
            };
            (*id, health)
        });
        let folders =
            self.folders.iter().map(|(id, folder)| (*id, folder.degraded.clone().or_else(|| folder.unwatched.clone())));
        let unopened = self.folders.iter().filter(|(_, folder)| !folder.watched || !folder.is_open());
        Health {
            accounts: accounts.collect(),
            folders: folders.collect(),
            unopened: unopened.map(|(id, _)| *id).collect(),
        }
    }

    /// Whether everything that can be done now is done: nothing is under way but waiting, every account was read to its end or cannot
    /// be, and no folder has work that is ready.
    pub fn at_rest(&self) -> Result<bool> {
        if self.ctx.more || self.jobs.values().any(|job| !matches!(job, Job::Wait(_))) {
            return Ok(false);
        }
        if self
            .accounts
            .values()
            .any(|account| (account.drained == 0 || !account.strays.is_empty()) && account.degraded.is_none())
        {
            return Ok(false);
        }
        if self.ctx.store.deliveries_left(self.ctx.now.wall)? {
            return Ok(false);
        }
        for (id, folder) in &self.folders {
            let stuck = folder.degraded.is_some()
                || folder.row.paused
                || self.accounts.get(&folder.account).is_none_or(|account| account.degraded.is_some());
            if stuck {
                continue;
            }
            if !folder.preview && self.ctx.store.local_left(*id)? {
                return Ok(false);
            }
            if folder.row.root.is_none()
                || folder.row.scan_stage.is_some()
                || folder.row.doubt.is_some()
                || self.ctx.store.busy(*id)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
