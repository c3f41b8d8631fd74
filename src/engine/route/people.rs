//! What people ask for: each command goes to the components that it concerns, and one sentence comes back.

use crate::command::{Answer, Command, Keep, Repair};
use crate::engine::codes::DRIFT;
use crate::engine::holds::{self, Approval};
use crate::engine::hooks::{Hooks, Story};
use crate::engine::resolve::{self, Next};
use crate::engine::undo::{self, Watched};
use crate::engine::{Engine, effect::Effect};
use crate::hook::HookKind;
use crate::id::{AccountId, FolderId, HoldId, NodeId};
use crate::plan::Policy;
use crate::provider::Identity;
use crate::settings::FolderSettings;
use crate::store::Result;
use crate::store::folders::FolderRow;
use crate::store::items::Presence;
use crate::store::quarantine::State;
use crate::store::work::{Ask, Priority};
use crate::tree::Wall;

/// Commands.
impl Engine {
    fn replay_subscription(&mut self, name: &str, after: Option<i64>, since_ms: Option<i64>) -> Result<Answer> {
        let rows = self.ctx.store.reader();
        let (oldest, newest) = (rows.oldest_event()?, rows.newest_event()?);
        let wanted = match (after, since_ms) {
            (Some(after), _) => after,
            (None, Some(since)) => rows.event_before(Wall(since))?,
            (None, None) => 0,
        };
        let cursor = wanted.clamp(oldest - 1, newest);
        if !self.ctx.store.rewind_subscription(name, cursor)? {
            let names = self.subscribers.names().join(", ");
            let there = if names.is_empty() {
                "there are none: `agent subscribe` adds one".to_owned()
            } else {
                format!("there are: {names}")
            };
            return Ok(Answer::NotFound { message: format!("there is no subscription `{name}`; {there}") });
        }
        self.ctx.out.push(Effect::JournalGrew);
        let events = newest - cursor;
        Ok(Answer::Ok { message: format!("subscription `{name}` goes back {events} entries of the journal") })
    }

    pub(in crate::engine) fn command(&mut self, command: Command) -> Result<Answer> {
        match command {
            Command::Sync { folder, full } => self.on_folders(folder.as_deref(), |engine, id| engine.sync(id, full)),
            Command::Refresh { folder, within_ms } => {
                let before = self.ctx.now.wall.plus_ms(-i64::try_from(within_ms).unwrap_or(i64::MAX));
                self.on_folders(folder.as_deref(), |engine, id| {
                    engine.refresh(id, before)?;
                    Ok("what was seen longer ago is listed again")
                })
            }
            Command::Pause { folder } => self.on_folders(folder.as_deref(), Self::pause),
            Command::Resume { folder } => self.on_folders(folder.as_deref(), Self::resume),
            Command::Approve { hold } => self.approve(hold),
            Command::Reject { hold } => self.reject(hold),
            Command::CredentialsChanged { account } => Ok(if self.refresh_account(&account) {
                Answer::Ok { message: format!("account `{account}` is tried again") }
            } else {
                let names: Vec<&str> = self.accounts.values().map(|account| account.settings.name.as_str()).collect();
                Answer::NotFound {
                    message: format!("there is no account `{account}`; there are: {}", names.join(", ")),
                }
            }),
            Command::ReplaceIdentity { account, user_id, login } => {
                let found = self.accounts.iter().find(|(_, known)| known.settings.name == account).map(|(id, _)| *id);
                match found {
                    Some(id) => self.replace_identity(id, &Identity { user_id, name: login.clone(), login }),
                    None => Ok(Answer::NotFound { message: format!("there is no account `{account}`") }),
                }
            }
            Command::NamePerson { account, user_id, name } => {
                let found = self.accounts.iter().find(|(_, known)| known.settings.name == account).map(|(id, _)| *id);
                match found {
                    Some(id) => {
                        self.ctx.store.set_person(id, &user_id, name.as_deref(), self.ctx.now.wall)?;
                        Ok(Answer::Ok { message: "the name is noted".to_owned() })
                    }
                    None => Ok(Answer::NotFound { message: format!("there is no account `{account}`") }),
                }
            }
            Command::ReleaseQuarantined { number, reason } => {
                self.decide_quarantine(number, Some(State::Released), Some(&reason))
            }
            Command::DeleteQuarantined { number } => self.decide_quarantine(number, Some(State::Deleted), None),
            Command::RescanQuarantined { number } => self.decide_quarantine(number, None, None),
            Command::Rescan { path } => self.examine_again(path.as_deref()),
            Command::ReplaySubscription { name, after, since_ms } => self.replay_subscription(&name, after, since_ms),
            Command::ReplayHooks { run, hook } => Hooks::replay(&mut self.ctx, run, hook.as_deref()),
            Command::Restore { path } => {
                let folders = self.folders.iter().map(|(id, folder)| Watched {
                    id: *id,
                    root: folder.row.root,
                    local: &folder.settings.local,
                });
                undo::lift_tombstone(&mut self.ctx, folders, &path)
            }
            Command::AcceptMode { folder } => self.accept_mode(&folder),
            Command::Repair(repair) => self.repair(&repair),
            Command::Resolve { path, folder, keep } => self.resolve(path.as_deref(), folder.as_deref(), keep),
            Command::RetryProblems { folder } => self.on_folders(folder.as_deref(), |engine, id| {
                engine.ctx.store.wake_all(Some(id))?;
                engine.questions.reload();
                engine.ctx.more = true;
                Ok("problems are tried again")
            }),
        }
    }

    /// Does something for one folder, or for all.
    fn on_folders(
        &mut self,
        name: Option<&str>,
        mut act: impl FnMut(&mut Self, FolderId) -> Result<&'static str>,
    ) -> Result<Answer> {
        let all: Vec<(FolderId, String)> =
            self.folders.iter().map(|(id, folder)| (*id, folder.settings.name.clone())).collect();
        let wanted: Vec<&(FolderId, String)> =
            all.iter().filter(|(_, folder)| name.is_none_or(|name| name == folder)).collect();
        if let (Some(name), true) = (name, wanted.is_empty()) {
            let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
            let there =
                if names.is_empty() { "there are none".to_owned() } else { format!("there are: {}", names.join(", ")) };
            return Ok(Answer::NotFound { message: format!("there is no folder `{name}`; {there}") });
        }
        let mut said = "no folders yet";
        for (id, _) in &wanted {
            said = act(self, *id)?;
        }
        let names: Vec<&str> = wanted.iter().map(|(_, name)| name.as_str()).collect();
        let message = if names.is_empty() { said.to_owned() } else { format!("{}: {said}", names.join(", ")) };
        Ok(Answer::Ok { message })
    }

    fn sync(&mut self, id: FolderId, full: bool) -> Result<&'static str> {
        let Some(account) = self.folders.get(&id).map(|folder| folder.account) else { return Ok("gone") };
        if let Some(account) = self.accounts.get_mut(&account) {
            account.poll_now();
        }
        self.ctx.more = true;
        self.scan_unwatched(id)?;
        if full {
            self.compare(id, "a full comparison was asked for")?;
            self.scan_all(id)?;
            return Ok("a full comparison begins");
        }
        Ok("the cloud is asked for news")
    }

    fn pause(&mut self, id: FolderId) -> Result<&'static str> {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.change(|row| row.paused = true);
        }
        Ok("paused; events are still collected")
    }

    fn resume(&mut self, id: FolderId) -> Result<&'static str> {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.change(|row| row.paused = false);
        }
        self.reload();
        Ok("resumed")
    }

    /// What `agent verify` found to differ becomes work like any other: the engine looks, compares, fetches and keeps as it always does.
    fn repair(&mut self, repair: &Repair) -> Result<Answer> {
        let found = self.folders.iter().find(|(_, folder)| folder.settings.name == repair.folder).map(|(id, _)| *id);
        let Some(id) = found else {
            return Ok(Answer::NotFound { message: format!("there is no folder `{}`", repair.folder) });
        };
        let (mut marked, mut busy) = (0_u64, 0_u64);
        for (items, is_missing) in [(&repair.missing, true), (&repair.differing, false)] {
            for item in items {
                let Some(item) = self.ctx.store.item_by_id(id, item)? else { continue };
                if self.schedule.is_busy(item.node) {
                    busy += 1;
                    continue;
                }
                marked += 1;
                if is_missing {
                    self.missing_on_disk(&item)?;
                } else {
                    self.put_synced(&item, None)?;
                }
                self.ctx.store.mark(item.node, id, Priority::Bulk, Ask::Nothing, None, self.ctx.now.wall)?;
                if !is_missing {
                    // What stands in its place is compared with the cloud's version before anything is fetched or set aside.
                    let text = "`agent verify` found another content on disk";
                    self.ctx.store.put_off(item.node, self.ctx.now.wall, 0, Some((DRIFT, text)))?;
                }
            }
        }
        if repair.compare {
            self.compare(id, "`agent verify` found differences between the cloud and what the agent knew of it")?;
        }
        self.reload();
        let also = if repair.compare { "; the whole folder is compared with the cloud" } else { "" };
        let left = if busy > 0 { format!("; {busy} are being worked on already") } else { String::new() };
        Ok(Answer::Ok { message: format!("{}: {marked} items are mended now{also}{left}", repair.folder) })
    }
}

/// Decisions about conflicts.
impl Engine {
    fn resolve(&mut self, path: Option<&str>, folder: Option<&str>, keep: Keep) -> Result<Answer> {
        let is_meant = |known: &FolderSettings| folder.is_none_or(|folder| known.name == folder);
        let ids: Vec<FolderId> =
            self.folders.iter().filter(|(_, known)| is_meant(&known.settings)).map(|(id, _)| *id).collect();
        let decided = resolve::decide(&mut self.ctx, &ids, path, keep)?;
        for id in decided.folders {
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.decided = true;
            }
        }
        Ok(decided.answer)
    }

    /// Carries out decisions when the disk is free.
    pub(in crate::engine) fn drive_decisions(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        if !folder.decided || folder.batch.is_some() || !folder.building.is_empty() || !folder.is_open() {
            return Ok(());
        }
        match resolve::take_up(&mut self.ctx, id)? {
            Next::Nothing => folder.decided = false,
            Next::Settled => self.ctx.more = true,
            Next::Deeds(intents) => {
                self.ctx.more = true;
                self.hand_out(id, intents, false)?;
            }
        }
        Ok(())
    }
}

/// Decisions about holds.
impl Engine {
    pub(in crate::engine) fn approve(&mut self, id: HoldId) -> Result<Answer> {
        let message = match holds::approve(&mut self.ctx, id)? {
            Approval::Answered(answer) => return Ok(answer),
            Approval::Account(account, identity) => return self.replace_identity(account, &identity),
            Approval::Moved(folder) => {
                if let Some(settings) = self.folders.get(&folder).map(|folder| folder.settings.clone()) {
                    self.retire(folder)?;
                    self.wish_again(settings)?;
                }
                return Ok(holds::started_anew());
            }
            Approval::Items(message) => {
                // Folders whose deletion was in question may go as a whole now.
                self.schedule.forget_trash();
                message
            }
            Approval::Mode(folder) => {
                if let Some(folder) = self.folders.get_mut(&folder) {
                    folder.preview = false;
                }
                self.ctx.store.wake_all(Some(folder))?;
                self.reload();
                "the folder works in its new mode now".to_owned()
            }
        };
        Ok(Answer::Ok { message })
    }

    pub(in crate::engine) fn reject(&mut self, id: HoldId) -> Result<Answer> {
        let rejection = holds::reject(&mut self.ctx, id)?;
        for node in rejection.kept {
            self.release_from_books(node)?;
        }
        for node in rejection.trees {
            self.tree_stays(node)?;
        }
        if let Some(folder) = rejection.folder {
            self.ctx.store.free_dependents(folder)?;
        }
        Ok(rejection.answer)
    }

    /// A file stays on disk as the user's own, and its row is dropped.
    pub(in crate::engine) fn release_from_books(&mut self, node: NodeId) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)? else { return Ok(()) };
        if item.remote.presence == Presence::Present && item.disk_seat().is_none() {
            self.lose(&item)?;
        } else if item.remote.presence == Presence::Absent {
            self.put_synced(&item, None)?;
            self.ctx.store.unhold(node, false)?;
        }
        Ok(())
    }

    /// A person has seen what a folder's new mode brings about.
    fn accept_mode(&mut self, name: &str) -> Result<Answer> {
        let found = self.folders.iter().find(|(_, folder)| folder.settings.name == name);
        let Some((id, mode)) = found.map(|(id, folder)| (*id, folder.settings.mode)) else {
            return Ok(Answer::NotFound { message: format!("there is no folder `{name}`") });
        };
        match holds::mode_hold(&self.ctx, id)? {
            Some(hold) => self.approve(hold),
            None => Ok(Answer::Ok { message: format!("the folder works in its mode `{}`", mode.word()) }),
        }
    }

    /// The configuration says who decides in a folder. Where that changes, what would follow is found out first and waits for a person.
    pub(in crate::engine) fn policy_wished(&mut self, id: FolderId, before: Policy, now: Policy) -> Result<()> {
        let changed = before.mode != now.mode;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.preview = holds::hold_new_mode(&mut self.ctx, id, &folder.settings.name, before, now)?;
            if !now.sends() && folder.watch.end() {
                self.ctx.out.push(Effect::Watch(id, false));
            }
            if folder.row.policy != Some(now) {
                folder.change(|row| row.policy = Some(now));
            }
        }
        if changed && now.sends() {
            self.scan_all(id)?;
        }
        if changed {
            // What is sent does not go out of sight.
            for node in holds::held_trees(&self.ctx, id)? {
                self.ctx.store.leave_holds(node)?;
            }
            self.compare(id, "the mode changed")?;
        }
        Ok(())
    }

    /// The configuration gives a known folder another remote or local place: it stands still until that is approved.
    pub(in crate::engine) fn folder_was_moved(
        &mut self,
        account: AccountId,
        settings: &FolderSettings,
        row: FolderRow,
    ) -> Result<()> {
        let id = row.folder;
        let (degraded, is_new) = holds::hold_moved_folder(&mut self.ctx, settings, &row)?;
        if is_new {
            let story = Story::at_large(HookKind::Hold, Some(account), Some(id), degraded.cause.clone());
            self.hooks.happens_later(story);
        }
        self.park_folder(id, account, settings, row);
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.stuck = true;
            folder.degraded = Some(degraded);
        }
        Ok(())
    }

    /// An account is another person's from now on. What that person cannot see is no deletion: every folder is compared in full, and
    /// deletes nothing until a person has looked at what became of it.
    fn replace_identity(&mut self, id: AccountId, identity: &Identity) -> Result<Answer> {
        let was = self.accounts.get(&id).and_then(|account| account.row.login.clone()).unwrap_or_default();
        holds::drop_account_hold(&mut self.ctx, id)?;
        self.lose_cursor(id, "the account is another person's now")?;
        let folders = self.folders_of(id);
        let now_is = &identity.login;
        for folder in &folders {
            let Some(name) = self.folders.get(folder).map(|folder| &folder.settings.name) else { continue };
            let text = holds::hold_folder_of_account(&mut self.ctx, *folder, name, &was, now_is)?;
            self.happened(Story::at_large(HookKind::Hold, Some(id), Some(*folder), text), None)?;
        }
        self.accept_identity(id, identity)?;
        let message = if folders.is_empty() {
            format!("the account is now {now_is}")
        } else {
            format!(
                "the account is now {now_is}; its folders are compared in full, and delete nothing until you approve: agent held"
            )
        };
        Ok(Answer::Ok { message })
    }
}
