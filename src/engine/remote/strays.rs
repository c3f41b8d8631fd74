//! Items that an event names by nothing but an id that we do not know: one look tells whether they lie in a watched folder.
//!
//! Example: a permission on a folder is given back; the event names the folder's id and no path, and what could not be seen has no row.

use std::collections::VecDeque;

use crate::engine::effect::{Effect, Task};
use crate::engine::learn::Source;
use crate::engine::{Engine, Job};
use crate::events::budget::Share;
use crate::id::{AccountId, FolderId, Generation, ItemId};
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::store::Result;
use crate::tree::ItemState;

/// Ids that wait to be looked at; where there are more, the folders are compared instead.
const WAITING_MOST: usize = 256;

/// The ids of one account.
#[derive(Debug, Default)]
pub(in crate::engine) struct Strays {
    waiting: VecDeque<ItemId>,
    asked: Option<ItemId>,
}

impl Strays {
    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_none()
    }
}

impl Engine {
    /// An event named an item that no folder knows, without a place: it may be new to us in a folder of ours.
    pub(in crate::engine) fn note_stray(&mut self, account: AccountId, id: &ItemId) -> Result<()> {
        let Some(known) = self.accounts.get_mut(&account) else { return Ok(()) };
        if known.strays.waiting.contains(id) {
            return Ok(());
        }
        if known.strays.waiting.len() < WAITING_MOST {
            known.strays.waiting.push_back(id.clone());
            return Ok(());
        }
        for folder in self.folders_of(account) {
            self.doubt(folder)?;
        }
        Ok(())
    }

    fn folders_of(&self, account: AccountId) -> Vec<FolderId> {
        self.folders.iter().filter(|(_, folder)| folder.account == account).map(|(id, _)| *id).collect()
    }

    /// Looks at the next one.
    pub(in crate::engine) fn drive_strays(&mut self, id: AccountId) -> Result<()> {
        let usable = self.can_ask(id);
        let Some(account) = self.accounts.get(&id) else { return Ok(()) };
        let Some(item) = account.strays.waiting.front().cloned().filter(|_| usable && account.strays.asked.is_none())
        else {
            return Ok(());
        };
        if !self.may_call(id, Share::News) {
            return Ok(());
        }
        let asked = self.ctx.store.generation();
        let Some(job) = self.start(Job::Stray { account: id, asked })? else { return Ok(()) };
        self.spend_call(id, Share::News)?;
        if let Some(account) = self.accounts.get_mut(&id) {
            account.strays.waiting.pop_front();
            account.strays.asked = Some(item.clone());
        }
        self.ctx.out.push(Effect::Cloud { job, account: id, task: Task::Look(item) });
        Ok(())
    }

    /// One was looked at.
    pub(in crate::engine) fn stray_looked(
        &mut self,
        id: AccountId,
        asked: Generation,
        result: std::result::Result<ItemState, ProviderError>,
    ) -> Result<()> {
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        let item = account.strays.asked.take();
        match result {
            Ok(ItemState::Active(found)) => {
                self.account_worked(id);
                for folder in self.folders_of(id) {
                    self.learn(folder, &found, Source::Look { journal: None, asked })?;
                }
                Ok(())
            }
            Ok(ItemState::Trashed | ItemState::NotFound) => {
                self.account_worked(id);
                self.doubt_roots(id)
            }
            Err(error) if matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden) => {
                self.account_worked(id);
                self.doubt_roots(id)
            }
            Err(error) => {
                if let (Some(account), Some(item)) = (self.accounts.get_mut(&id), item) {
                    account.strays.waiting.push_front(item);
                }
                self.account_failed(id, &error);
                Ok(())
            }
        }
    }

    /// What cannot be seen may lie above a watched folder of which we do not know what lies above it.
    fn doubt_roots(&mut self, account: AccountId) -> Result<()> {
        for id in self.folders_of(account) {
            let is_known = self.ctx.store.has_above(id)?;
            if !is_known && self.folders.get(&id).is_some_and(|folder| !folder.watches_top) {
                self.check_remote_root(id)?;
            }
        }
        Ok(())
    }
}
