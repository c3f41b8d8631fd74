//! How much a remote folder holds: one question, where calls are few, for the forecast of a long first sync.

#[allow(clippy::wildcard_imports, reason = "a part of its parent, with the same words")]
use super::*;
use crate::provider::{Cure, TreeSize};

impl Engine {
    /// Where calls are few, asks once how much there is to fetch.
    pub(in crate::engine) fn drive_size(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let wanted =
            !folder.sized && folder.row.verified_at.is_none() && folder.row.whole.is_none() && self.folder_can_ask(id);
        let (Some(item), true) = (folder.root_item.clone(), wanted) else { return Ok(()) };
        let account = folder.account;
        let is_open = self
            .accounts
            .get(&account)
            .is_some_and(|account| account.limits().per_day.is_some() && self.ctx.now.mono >= account.closed_until);
        if !is_open || !self.may_call(account, Share::Bulk) {
            return Ok(());
        }
        let Some(job) = self.start(Job::Size(account, id))? else { return Ok(()) };
        self.spend_call(account, Share::Bulk)?;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.sized = true;
        }
        self.ctx.out.push(Effect::Cloud { job, account, task: Task::Size(item) });
        Ok(())
    }

    pub(in crate::engine) fn sized(
        &mut self,
        account: AccountId,
        id: FolderId,
        result: std::result::Result<Option<TreeSize>, ProviderError>,
    ) {
        match result {
            Ok(whole) => {
                self.account_worked(account);
                if let Some(folder) = self.folders.get_mut(&id) {
                    folder.change(|row| row.whole = whole);
                }
            }
            // Only a forecast is lost.
            Err(error) if error.cure() == Cure::Time => self.account_failed(account, &error),
            Err(_) => {}
        }
    }
}
