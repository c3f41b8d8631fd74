//! The brakes: deletions that look like an accident wait for a person, and the person's answer.

use super::hooks::Story;
use super::retention::VERSIONS_FULL;
use super::{Engine, ROWS_PER_STEP};
use crate::command::Answer;
use crate::hook::HookKind;
use crate::id::{AccountId, FolderId, HoldId};
use crate::plan::{Action, Policy, guard};
use crate::provider::Identity;
use crate::report::Degraded;
use crate::settings::FolderSettings;
use crate::store::Result;
use crate::store::folders::FolderRow;
use crate::store::holds::Hold;
use crate::store::items::{ItemRow, Presence};

/// The reason of a hold on deletions.
const MASS_DELETE: &str = "mass_delete";
/// The reason of a hold on deletions that the disk asks the cloud for.
const MASS_DELETE_UP: &str = "mass_delete_in_cloud";
/// The reason of a hold on a folder whose mode was changed.
const MODE_CHANGED: &str = "mode_changed";
/// The reason of a hold on another user under the same account name.
const ACCOUNT_CHANGED: &str = "account_changed";
/// The reason of a hold on a folder whose place was changed in the configuration.
const FOLDER_MOVED: &str = "folder_moved";

impl Engine {
    /// Whether the removal of a file must wait for a person; puts it on the hold if so.
    pub(super) fn brake(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(true) };
        let counts = folder.row.counts;
        let (files, waiting) = (counts.files.max(0) as u64, counts.removals.max(0) as u64);
        let max = folder.settings.max_delete;
        let name = folder.settings.name.clone();
        let open = self.ctx.store.open_hold(item.folder, MASS_DELETE)?;
        if open.is_none() && !self.asks_before_any_deletion(item.folder)? {
            let done = self.ctx.store.deletions(item.folder, self.ctx.now.wall)?;
            if !guard::must_ask(max, files, done, waiting) {
                return Ok(false);
            }
        }
        let text = format!(
            "{waiting} of {files} files of folder `{name}` are gone from the cloud; they stay on disk until you approve"
        );
        let hold = self.ctx.store.hold(Some(item.folder), None, MASS_DELETE, &text, None, self.ctx.now.wall)?;
        let version = item.synced.as_ref().and_then(|synced| synced.content.as_ref()).map(|content| &content.version);
        if open.is_none() {
            let story = Story::at_large(HookKind::Hold, None, Some(item.folder), text);
            self.happened(story, None)?;
        }
        self.ctx.store.hold_item(hold, item.node, version)?;
        self.ctx.store.hold_work(item.node)?;
        self.rest(item.node);
        Ok(true)
    }

    /// The configuration says who decides in a folder. Where that changes, what would follow is found out first and waits for a person.
    pub(super) fn policy_wished(&mut self, id: FolderId, before: Policy, now: Policy) -> Result<()> {
        let open = match self.ctx.store.open_hold(id, MODE_CHANGED)? {
            Some(hold) => self.ctx.store.find_hold(hold)?,
            None => None,
        };
        let approved =
            open.as_ref().and_then(|hold| serde_json::from_str(hold.detail.as_deref()?).ok()).unwrap_or(before);
        let name = self.folders.get(&id).map(|folder| folder.settings.name.clone()).unwrap_or_default();
        if approved.mode == now.mode {
            if let Some(hold) = open {
                self.ctx.store.drop_hold(hold.hold)?;
            }
        } else if open.is_none() {
            let text = format!(
                "folder `{name}` was `{}` and is to be `{}`: `agent plan {name}` shows what follows; nothing is done until you approve",
                approved.mode.word(),
                now.mode.word()
            );
            let detail = serde_json::to_string(&approved).unwrap_or_default();
            self.ctx.store.hold(Some(id), None, MODE_CHANGED, &text, Some(&detail), self.ctx.now.wall)?;
        }
        let changed = before.mode != now.mode;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.preview = approved.mode != now.mode;
            if !now.sends() && folder.watched {
                folder.watched = false;
                self.ctx.out.push(super::effect::Effect::Watch(id, false));
            }
            if folder.row.policy != Some(now) {
                folder.change(|row| row.policy = Some(now));
            }
        }
        if changed && now.sends() {
            self.scan_all(id)?;
        }
        if changed {
            self.compare(id, "the mode changed")?;
        }
        Ok(())
    }

    /// Whether an item must wait, as it is only being found out what a change of the mode would bring. What changes nothing goes on.
    pub(super) fn only_previews(&self, folder: FolderId, action: &Action) -> bool {
        let harmless = matches!(
            action,
            Action::Settle | Action::Read | Action::Agree | Action::Acknowledge | Action::Forget | Action::Leave
        );
        !harmless && self.folders.get(&folder).is_some_and(|folder| folder.preview)
    }

    /// A person has seen what a folder's new mode brings about.
    pub(super) fn accept_mode(&mut self, name: &str) -> Result<Answer> {
        let found = self.folders.iter().find(|(_, folder)| folder.settings.name == name);
        let Some((id, mode)) = found.map(|(id, folder)| (*id, folder.settings.mode)) else {
            return Ok(Answer::NotFound { message: format!("there is no folder `{name}`") });
        };
        match self.ctx.store.open_hold(id, MODE_CHANGED)? {
            Some(hold) => self.approve(hold),
            None => Ok(Answer::Ok { message: format!("the folder works in its mode `{}`", mode.word()) }),
        }
    }

    fn approve_mode(&mut self, folder: Option<FolderId>) -> Result<String> {
        let Some(id) = folder else { return Ok("the folder is gone".to_owned()) };
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.preview = false;
        }
        self.ctx.store.wake_all(Some(id))?;
        self.reload();
        Ok("the folder works in its new mode now".to_owned())
    }

    /// Whether a file's way into the cloud's trash must wait for a person; puts it on the hold if so.
    pub(super) fn brake_writes(&mut self, item: &ItemRow) -> Result<bool> {
        if !self.asks_before_trash(item.folder)? {
            return Ok(false);
        }
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(true) };
        let files = folder.row.counts.files.max(0) as u64;
        let name = folder.settings.name.clone();
        let waiting = self.missing_files(item.folder)?;
        let text = format!(
            "{waiting} of {files} files of folder `{name}` are gone from the disk; they stay in the cloud until you approve"
        );
        let hold = self.ctx.store.hold(Some(item.folder), None, MASS_DELETE_UP, &text, None, self.ctx.now.wall)?;
        let version = item.remote.content.as_ref().map(|content| &content.version);
        self.ctx.store.hold_item(hold, item.node, version)?;
        self.ctx.store.hold_work(item.node)?;
        self.rest(item.node);
        Ok(true)
    }

    /// Whether so many files of a folder are to go into the cloud's trash that a person is asked first.
    pub(super) fn asks_before_trash(&mut self, id: FolderId) -> Result<bool> {
        if self.ctx.store.open_hold(id, MASS_DELETE_UP)?.is_some() || self.asks_before_any_deletion(id)? {
            return Ok(true);
        }
        let waiting = self.missing_files(id)?;
        let Some(folder) = self.folders.get(&id) else { return Ok(true) };
        let files = folder.row.counts.files.max(0) as u64;
        let max = folder.settings.max_delete;
        let done = self.ctx.store.deletions(id, self.ctx.now.wall)?;
        let emptied = waiting >= files && files > 1 && max != crate::settings::MaxDelete::Off;
        Ok(emptied || guard::must_ask(max, files, done, waiting))
    }

    /// How many files of a folder are missing on disk: counted once in a step, unless more are found missing.
    fn missing_files(&mut self, id: FolderId) -> Result<u64> {
        if let Some(files) = self.missing_files.get(&id) {
            return Ok(*files);
        }
        let files = self.ctx.store.local_deletions(id)?;
        self.missing_files.insert(id, files);
        Ok(files)
    }

    /// The configuration gives a known folder another remote or local place: the same as removing it and adding it, which waits for
    /// approval, as everything on disk would be left behind.
    pub(super) fn folder_was_moved(
        &mut self,
        account: AccountId,
        settings: &FolderSettings,
        row: FolderRow,
    ) -> Result<()> {
        let text = format!(
            "folder `{}` was `{}` in {} and is now `{}` in {}: it stands still until you approve; local files stay where they are",
            settings.name,
            row.remote,
            row.local.display(),
            settings.remote,
            settings.local.display(),
        );
        let id = row.folder;
        if self.ctx.store.open_hold(id, FOLDER_MOVED)?.is_none() {
            self.hooks.happens_later(Story::at_large(HookKind::Hold, Some(account), Some(id), text.clone()));
        }
        self.ctx.store.hold(Some(id), None, FOLDER_MOVED, &text, None, self.ctx.now.wall)?;
        self.halt_folder(
            id,
            account,
            settings,
            row,
            Degraded {
                name: FOLDER_MOVED.into(),
                cause: text,
                next_step: "`agent held`, then `agent approve ID` to start anew, or put the former place back".into(),
            },
        );
        Ok(())
    }

    pub(super) fn approve(&mut self, id: HoldId) -> Result<Answer> {
        let Some(hold) = self.ctx.store.find_hold(id)? else { return Ok(no_such_hold(id)) };
        let message = match hold.reason.as_str() {
            MASS_DELETE | MASS_DELETE_UP => {
                let message = self.approve_items(&hold)?;
                if let Some(folder) = hold.folder {
                    self.ctx.store.reset_deletions(folder)?;
                }
                message
            }
            VERSIONS_FULL => self.approve_items(&hold)?,
            MODE_CHANGED => self.approve_mode(hold.folder)?,
            ACCOUNT_CHANGED => match hold.folder {
                None => return self.approve_account(&hold),
                Some(folder) => {
                    self.ctx.store.drop_hold(id)?;
                    return self.approve_folder_of_account(folder);
                }
            },
            FOLDER_MOVED => {
                let settings = hold.folder.and_then(|id| self.folders.get(&id)).map(|folder| folder.settings.clone());
                if let (Some(folder), Some(settings)) = (hold.folder, settings) {
                    self.retire(folder)?;
                    self.wish_again(settings)?;
                }
                "the folder starts anew in its new place".to_owned()
            }
            other => return Ok(Answer::Refused { message: format!("hold {id} has the unknown reason `{other}`") }),
        };
        self.ctx.store.drop_hold(id)?;
        Ok(Answer::Ok { message })
    }

    fn approve_items(&mut self, hold: &Hold) -> Result<String> {
        let mut approved = 0_u64;
        loop {
            let nodes = self.ctx.store.held_items(hold.hold, ROWS_PER_STEP)?;
            if nodes.is_empty() {
                break;
            }
            for node in nodes {
                self.ctx.store.unhold(node, true)?;
                self.ctx.store.unhold_item(hold.hold, node)?;
                approved += 1;
            }
        }
        if let Some(folder) = hold.folder {
            self.ctx.store.free_dependents(folder)?;
        }
        // Folders whose deletion was in question may go as a whole now.
        self.schedule.forget_trash();
        self.ctx.more = true;
        Ok(format!("{approved} files go to the version store now"))
    }

    fn approve_account(&mut self, hold: &Hold) -> Result<Answer> {
        let identity: Option<Identity> = hold.detail.as_deref().and_then(|detail| serde_json::from_str(detail).ok());
        let (Some(account), Some(identity)) = (hold.account, identity) else {
            return Ok(Answer::Refused { message: "the hold does not say whom it is about; sign in again".into() });
        };
        self.ctx.store.drop_hold(hold.hold)?;
        self.replace_identity(account, identity)
    }

    /// An account is another person's from now on. What that person cannot see is no deletion: every folder is compared in full, and
    /// deletes nothing until a person has looked at what became of it.
    pub(super) fn replace_identity(&mut self, account: AccountId, identity: Identity) -> Result<Answer> {
        let was = self.accounts.get(&account).and_then(|account| account.row.login.clone()).unwrap_or_default();
        if let Some(hold) = self.ctx.store.open_account_hold(account, ACCOUNT_CHANGED)? {
            self.ctx.store.drop_hold(hold)?;
        }
        self.ctx.store.drop_cursor(account)?;
        if let Some(account) = self.accounts.get_mut(&account) {
            account.row.cursor = None;
        }
        self.lose_place(account, "the account is another person's now")?;
        let folders: Vec<(FolderId, String)> = self
            .folders
            .iter()
            .filter(|(_, folder)| folder.account == account)
            .map(|(id, folder)| (*id, folder.settings.name.clone()))
            .collect();
        let now_is = identity.login.clone();
        for (id, name) in &folders {
            let text = format!(
                "folder `{name}` was synced for {was} and is {now_is}'s now: nothing of it is deleted until you approve; `agent plan {name}` shows what would be"
            );
            self.ctx.store.hold(Some(*id), None, ACCOUNT_CHANGED, &text, None, self.ctx.now.wall)?;
            self.happened(Story::at_large(HookKind::Hold, Some(account), Some(*id), text), None)?;
        }
        self.accept_identity(account, &identity)?;
        let message = if folders.is_empty() {
            format!("the account is now {now_is}")
        } else {
            format!(
                "the account is now {now_is}; its folders are compared in full, and delete nothing until you approve: agent held"
            )
        };
        Ok(Answer::Ok { message })
    }

    /// Whether everything that a folder would delete waits, as its account is another person's since.
    fn asks_before_any_deletion(&mut self, id: FolderId) -> Result<bool> {
        Ok(self.ctx.store.open_hold(id, ACCOUNT_CHANGED)?.is_some())
    }

    /// A person has seen whose a folder is now.
    fn approve_folder_of_account(&mut self, id: FolderId) -> Result<Answer> {
        let mut message = "the folder may delete again".to_owned();
        for reason in [MASS_DELETE, MASS_DELETE_UP] {
            if let Some(waiting) = self.ctx.store.open_hold(id, reason)? {
                message = format!("{message}; hold {waiting} lists what waits for it");
            }
        }
        self.ctx.store.wake_all(Some(id))?;
        self.ctx.more = true;
        Ok(Answer::Ok { message })
    }

    pub(super) fn reject(&mut self, id: HoldId) -> Result<Answer> {
        let Some(hold) = self.ctx.store.find_hold(id)? else { return Ok(no_such_hold(id)) };
        if hold.reason != MASS_DELETE && hold.reason != MASS_DELETE_UP {
            let message = "nothing happens until you approve; to end it, put back what was changed".to_owned();
            return Ok(Answer::Refused { message });
        }
        let mut kept = 0_u64;
        loop {
            let nodes = self.ctx.store.held_items(id, ROWS_PER_STEP)?;
            if nodes.is_empty() {
                break;
            }
            for node in nodes {
                self.ctx.store.unhold_item(id, node)?;
                self.release_from_books(node)?;
                kept += 1;
            }
        }
        self.ctx.store.drop_hold(id)?;
        if let Some(folder) = hold.folder {
            self.ctx.store.free_dependents(folder)?;
        }
        self.ctx.more = true;
        let message = if hold.reason == MASS_DELETE {
            format!("{kept} files stay on disk and are no longer synced")
        } else {
            format!("{kept} files stay in the cloud and come back to the disk")
        };
        Ok(Answer::Ok { message })
    }

    /// A file stays on disk as somebody's own, and leaves our books.
    fn release_from_books(&mut self, node: crate::id::NodeId) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)? else { return Ok(()) };
        if item.remote.presence == Presence::Present && item.disk_seat().is_none() {
            self.lose(&item)?;
        } else if item.remote.presence == Presence::Absent {
            self.put_synced(&item, None)?;
            self.ctx.store.unhold(node, false)?;
        }
        Ok(())
    }
}

fn no_such_hold(id: HoldId) -> Answer {
    Answer::NotFound { message: format!("there is no hold {id}; `agent held` lists them") }
}

impl Engine {
    /// Keeps a folder from working while its hold is open.
    fn halt_folder(
        &mut self,
        id: FolderId,
        account: AccountId,
        settings: &FolderSettings,
        row: FolderRow,
        why: Degraded,
    ) {
        self.park_folder(id, account, settings, row);
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.stuck = true;
            folder.degraded = Some(why);
        }
    }
}
