//! The watched folder itself and what lies above it: whether it is still there, and under which path.

use std::time::Duration;

use super::below;
use crate::engine::effect::{Effect, Task};
use crate::engine::listen::CEILING;
use crate::engine::{Engine, Job, millis};
use crate::events::EventKind;
use crate::events::budget::Share;
use crate::events::interval::backoff;
use crate::id::{AccountId, FolderId, ItemId};
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::report::Degraded;
use crate::store::Result;
use crate::tree::ItemState;

/// The name of the state of a folder whose remote root is not there, or not for us.
pub(in crate::engine) const REMOTE_GONE: &str = "remote_gone";
/// How often a root of which nothing is heard is looked at; more often where the stream is read more often than by default.
const LOOKED_AT_EVERY: Duration = Duration::from_mins(30);
/// Failures in a row before the waits until the root is looked for again stop growing: about four minutes.
const ATTEMPTS_COUNTED: u32 = 9;

/// What is known of a watched folder's own place in the cloud.
#[derive(Debug, Default)]
pub(in crate::engine) struct RootState {
    /// It is to be looked at before anything in it is believed.
    pub is_marked: bool,
    /// A look at it is under way.
    is_asked: bool,
    /// It is not there, or not for us.
    pub is_gone: bool,
    /// No look before this moment.
    due: u64,
    /// When it is looked at though nothing was heard of it; nothing before the first time.
    net: Option<u64>,
    failures: u32,
}

impl RootState {
    /// Whether listings in it wait until it was seen.
    pub fn holds_back(&self) -> bool {
        self.is_marked || self.is_asked || self.is_gone
    }

    /// When it is to be looked at.
    pub fn deadline(&self) -> Option<u64> {
        if self.is_asked {
            return None;
        }
        if self.is_marked { Some(self.due) } else { self.net }
    }
}

impl Engine {
    /// Whether something happened to the watched folder itself or above it, and what follows from that.
    pub(in crate::engine) fn concerns_root(
        &mut self,
        id: FolderId,
        kind: EventKind,
        item: Option<&ItemId>,
        paths: [Option<&str>; 2],
    ) -> Result<bool> {
        let Some(folder) = self.folders.get(&id) else { return Ok(true) };
        let account = folder.account;
        let root = folder.row.root_path.as_deref();
        let by_path = root.is_some_and(|root| paths.into_iter().flatten().any(|path| below(path, root).is_some()));
        let is_root = item.is_some() && folder.root_item.as_ref() == item;
        let is_above = match item {
            Some(item) if !is_root => self.ctx.store.folders_below(account, item)?.contains(&id),
            _ => false,
        };
        if !(by_path || is_root || is_above) {
            return Ok(false);
        }
        if matches!(kind, EventKind::Comment | EventKind::Lock | EventKind::Read) {
            return Ok(true);
        }
        self.check_remote_root(id)?;
        if kind == EventKind::Sharing {
            // What could not be seen for a while was not told either.
            self.doubt(id)?;
        }
        Ok(true)
    }

    /// The watched folder itself is to be looked at, and then its children.
    pub(in crate::engine) fn check_remote_root(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(root) = folder.row.root else { return Ok(()) };
        folder.remote.is_marked = true;
        folder.remote.due = folder.remote.due.min(self.ctx.now.mono);
        self.ctx.store.want_listing_now(root, id)
    }

    /// Looks at the watched folder itself, if that is due.
    pub(in crate::engine) fn drive_remote_root(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let Some(account) = self.accounts.get(&folder.account) else { return Ok(()) };
        let is_brisk = account.settings.poll_max.is_some_and(|most| most < CEILING);
        let every = if is_brisk { account.rest() } else { LOOKED_AT_EVERY.max(account.rest()) };
        let next = now + millis(every);
        let account = folder.account;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        match folder.remote.net {
            None => folder.remote.net = Some(next),
            Some(net) if net <= now => {
                folder.remote.net = Some(next);
                folder.remote.is_marked = true;
            }
            Some(_) => {}
        }
        let is_due = folder.remote.is_marked && !folder.remote.is_asked && now >= folder.remote.due;
        let Some(item) = folder.root_item.clone().filter(|_| is_due && folder.is_open() && !folder.row.paused) else {
            return Ok(());
        };
        if !self.can_ask(account) || !self.may_call(account, Share::News) {
            return Ok(());
        }
        let Some(job) = self.start(Job::Root(account, id))? else { return Ok(()) };
        self.spend_call(account, Share::News)?;
        if let Some(folder) = self.folders.get_mut(&id) {
            // What is heard from now on asks once more.
            folder.remote.is_marked = false;
            folder.remote.is_asked = true;
        }
        self.ctx.out.push(Effect::Cloud { job, account, task: Task::Look(item) });
        Ok(())
    }

    /// The watched folder was looked at.
    pub(in crate::engine) fn root_looked(
        &mut self,
        account: AccountId,
        id: FolderId,
        result: std::result::Result<ItemState, ProviderError>,
    ) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.remote.is_asked = false;
        let cause = match result {
            Ok(ItemState::Active(found)) => {
                self.account_worked(account);
                let root = self.folders.get(&id).and_then(|folder| folder.row.root);
                let known = root.map(|root| self.ctx.store.item(root)).transpose()?.flatten();
                if let Some(known) = known {
                    self.learn_root(&known, &found)?;
                }
                self.note_root_place(id, &found)?;
                return self.root_is_there(id);
            }
            Ok(ItemState::Trashed) => "the watched folder is in the cloud's trash, or a folder above it is".to_owned(),
            Ok(ItemState::NotFound) => {
                "the cloud does not show the watched folder: it is deleted, or this account may not see it".to_owned()
            }
            Err(error) if matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden) => {
                error.to_string()
            }
            Err(error) => {
                folder.remote.is_marked = true;
                folder.remote.due = self.ctx.now.mono + millis(Duration::from_secs(1));
                self.account_failed(account, &error);
                return Ok(());
            }
        };
        self.account_worked(account);
        self.root_is_gone(id, cause);
        Ok(())
    }

    /// The watched folder is not there, or not for us: nothing in it is believed to be gone for that.
    pub(in crate::engine) fn root_is_gone(&mut self, id: FolderId, cause: String) {
        let chance = self.ctx.chance.next();
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return };
        folder.remote.is_gone = true;
        folder.remote.is_marked = true;
        folder.remote.failures += 1;
        folder.remote.due = now + millis(backoff(folder.remote.failures.clamp(3, ATTEMPTS_COUNTED), None, chance));
        folder.degraded = Some(Degraded {
            name: REMOTE_GONE.into(),
            cause,
            next_step: "bring the folder back in the cloud, or run `agent remove-folder`; local files stay as they are"
                .into(),
        });
    }

    /// The watched folder was listed: it is there, and need not be looked at for a while.
    pub(in crate::engine) fn root_was_listed(&mut self, id: FolderId) {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.remote.net = None;
        }
    }

    /// The watched folder is there. If it was not, everything in it is asked for again.
    pub(in crate::engine) fn root_is_there(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.remote.failures = 0;
        folder.remote.due = 0;
        if folder.degraded.as_ref().is_some_and(|degraded| degraded.name == REMOTE_GONE) {
            folder.degraded = None;
        }
        if std::mem::take(&mut folder.remote.is_gone) {
            self.compare(id, "the watched folder was away, and what happened in it meanwhile was not told")?;
            self.reload();
        }
        Ok(())
    }
}
