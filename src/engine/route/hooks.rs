//! Hooks: what they are asked and told about folders and items, and what their answers mean for whoever works on those.

use std::collections::BTreeMap;

use crate::command::Answer;
use crate::deed::DiskError;
use crate::engine::disk::Want;
use crate::engine::folders::Folder;
use crate::engine::hooks::{self, Case, Grounds, Ruling, Scope, Story};
use crate::engine::listen::Account;
use crate::engine::queues::CallKind;
use crate::engine::{Engine, Phase};
use crate::hook::{self, HookSettings, Matter, QuarantineRemote};
use crate::id::{AccountId, FolderId, NodeId, Sha256};
use crate::path::{Name, RelPath};
use crate::provider::ProviderError;
use crate::settings::Mode;
use crate::store::Result;
use crate::store::intents::IntentRow;
use crate::store::items::ItemRow;
use crate::store::quarantine::State;
use crate::store::work::{Priority, WorkRow};

/// What hooks are told of a folder.
fn scope<'a>(
    folders: &'a BTreeMap<FolderId, Folder>,
    accounts: &'a BTreeMap<AccountId, Account>,
    id: FolderId,
) -> Option<Scope<'a>> {
    let folder = folders.get(&id)?;
    Some(Scope {
        id,
        settings: &folder.settings,
        account: accounts.get(&folder.account).map(|account| &account.settings),
        root: folder.row.root,
        staged: &folder.staged,
    })
}

/// What must be allowed.
impl Engine {
    /// Whether an item's version may be fetched at all. If not, the item was put off.
    pub(in crate::engine) fn may_fetch(&mut self, item: &ItemRow) -> Result<bool> {
        let ruling = hooks::rejected(&self.ctx, item)?;
        self.follow(item.folder, item.node, ruling)
    }

    /// Whether files found on disk may be taken for the cloud's without a look at their content.
    pub(in crate::engine) fn may_adopt(&mut self, item: &ItemRow) -> Result<bool> {
        match scope(&self.folders, &self.accounts, item.folder) {
            Some(scope) => self.hooks.let_come(&mut self.ctx, &scope, item),
            None => Ok(true),
        }
    }

    /// Publishes a staged version, or asks who must allow it.
    pub(in crate::engine) fn publish_if_allowed(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        parent: NodeId,
        name: Name,
    ) -> Result<()> {
        // Without a place for it there is no publication either: that is found out on the way.
        let is_allowed = match self.ctx.place(parent)? {
            Some(above) => self.may_publish(item, work, &above.path.join(&name))?,
            None => true,
        };
        if is_allowed { self.want(item, work, Want::Publish { parent, name }) } else { Ok(()) }
    }

    fn may_publish(&mut self, item: &ItemRow, work: &WorkRow, place: &RelPath) -> Result<bool> {
        let Some(scope) = scope(&self.folders, &self.accounts, item.folder) else { return Ok(true) };
        let ruling = self.hooks.may_publish(&mut self.ctx, &mut self.jobs, Case { scope, item, work }, place)?;
        self.follow(item.folder, item.node, ruling)
    }

    /// Whether there is something that may be published in the place of a file that both sides changed: until then the disk's content
    /// keeps its name. If not, everything is arranged.
    pub(in crate::engine) fn may_part(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(content) = &item.remote.content else { return Ok(true) };
        if self.may_adopt(item)? {
            return Ok(true);
        }
        if !self.may_fetch(item)? {
            return Ok(false);
        }
        let staged = self.folders.get(&item.folder).and_then(|folder| folder.staged.get(&item.node));
        match staged.map(|(_, staged)| staged.version == content.version) {
            Some(true) => {
                let Some(place) = self.ctx.place(item.node)? else { return Ok(true) };
                self.may_publish(item, work, &place.path)
            }
            Some(false) => {
                self.drop_staged(item.folder, item.node);
                self.make_ready_again(work);
                Ok(false)
            }
            None => {
                if !self.fail_without_room(item)? {
                    self.await_call(work, item, CallKind::Fetch);
                }
                Ok(false)
            }
        }
    }

    /// Whether a local content may leave for the cloud. If not, a hook is being asked, or the item was put off.
    pub(in crate::engine) fn may_upload(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        place: &RelPath,
        sha256: Sha256,
        size: u64,
    ) -> Result<bool> {
        let Some(scope) = scope(&self.folders, &self.accounts, item.folder) else { return Ok(true) };
        let case = Case { scope, item, work };
        let ruling = self.hooks.may_upload(&mut self.ctx, &mut self.jobs, case, place, (sha256, size))?;
        self.follow(item.folder, item.node, ruling)
    }

    /// Whether something on disk may get the place that the cloud gives it: every hook that covers a file there has allowed it. If not,
    /// one is being asked, or the item was put off.
    pub(in crate::engine) fn may_move(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        parent: NodeId,
        name: &Name,
    ) -> Result<bool> {
        if self.policy(item.folder).mode == Mode::Upload {
            return Ok(true);
        }
        let Some(above) = self.ctx.place(parent)? else { return Ok(true) };
        self.may_be_called(item, work, Matter::Renamed, &above.path.join(name))
    }

    /// Whether the cloud may get to know something by the place that it has on disk.
    pub(in crate::engine) fn may_move_up(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(place) = self.ctx.place(item.node)? else { return Ok(true) };
        self.may_be_called(item, work, Matter::Leaving, &place.path)
    }

    fn may_be_called(&mut self, item: &ItemRow, work: &WorkRow, matter: Matter, to: &RelPath) -> Result<bool> {
        let Some(scope) = scope(&self.folders, &self.accounts, item.folder) else { return Ok(true) };
        let case = Case { scope, item, work };
        let ruling = self.hooks.may_be_called(&mut self.ctx, &mut self.jobs, case, matter, to)?;
        self.follow(item.folder, item.node, ruling)
    }

    /// The disk had what the cloud has: hooks that decide about it examine it where it is.
    pub(in crate::engine) fn examine_later(&mut self, node: NodeId) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)? else { return Ok(()) };
        match scope(&self.folders, &self.accounts, item.folder) {
            Some(scope) => self.hooks.examine_later(&mut self.ctx, &scope, &item),
            None => Ok(()),
        }
    }

    /// Whether what an item has on disk is in quarantine, so that it leaves the folder.
    pub(in crate::engine) fn leaves_for_quarantine(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let is_away = item.local.is_none() && hooks::is_away(&self.ctx, item)?;
        if is_away {
            self.want(item, work, Want::RemoveFile)?;
        }
        Ok(is_away)
    }

    /// Does for an item what hooks, or the lack of their answers, ask for. Whether nothing keeps it from what it wants.
    fn follow(&mut self, id: FolderId, node: NodeId, ruling: Ruling) -> Result<bool> {
        match ruling {
            Ruling::Pass => return Ok(true),
            Ruling::Nothing => {}
            Ruling::Busy => self.schedule.set_phase(node, Phase::Busy),
            Ruling::InLine => self.schedule.set_phase(node, Phase::AwaitHook),
            Ruling::Read => self.await_read(id, node),
            Ruling::Again(priority) => {
                self.schedule.unqueue(node);
                self.schedule.make_ready(node, priority);
            }
            Ruling::PutOff(wait, code, text) => {
                if let Some(work) = self.ctx.store.work(node)? {
                    self.put_off(&work, wait, code, &text)?;
                }
            }
            Ruling::Failed(code, text) => self.item_failed(node, code, &text, None)?,
            Ruling::FetchAgain => {
                self.drop_staged(id, node);
                self.schedule.unqueue(node);
                self.schedule.make_ready(node, Priority::News);
            }
            Ruling::Gone => self.leave(node),
        }
        Ok(false)
    }
}

/// What hooks answer.
impl Engine {
    /// A `before` hook has answered about an item.
    pub(in crate::engine) fn hook_answered(
        &mut self,
        id: FolderId,
        node: NodeId,
        hook: &HookSettings,
        question: (Matter, Sha256),
        outcome: &hook::Outcome,
    ) -> Result<()> {
        let Some(scope) = scope(&self.folders, &self.accounts, id) else { return Ok(()) };
        let about = (scope, node);
        let ruling = self.hooks.answered(&mut self.ctx, &mut self.jobs, about, hook, question, outcome)?;
        match ruling {
            Ruling::Gone => self.drop_staged(id, node),
            _ => self.schedule.unqueue(node),
        }
        self.follow(id, node, ruling).map(drop)
    }

    /// A hook has examined a file that is in the folder.
    pub(in crate::engine) fn hook_examined(
        &mut self,
        id: FolderId,
        node: NodeId,
        question: (&HookSettings, Sha256),
        outcome: &hook::Outcome,
    ) -> Result<()> {
        let Some(scope) = scope(&self.folders, &self.accounts, id) else { return Ok(()) };
        let about = (&scope, node);
        let ruling = self.hooks.has_inspected(&mut self.ctx, &mut self.jobs, about, question, outcome)?;
        self.follow(id, node, ruling).map(drop)
    }

    /// A scanner was asked how it is.
    pub(in crate::engine) fn hook_probed(&mut self, hook: &HookSettings, outcome: &hook::Outcome) -> Result<()> {
        self.hooks.probed(&mut self.ctx, hook, outcome)
    }

    /// A version is in quarantine, or could not be moved there.
    pub(in crate::engine) fn quarantine_done(
        &mut self,
        id: FolderId,
        node: NodeId,
        number: i64,
        (remote, seized): (&QuarantineRemote, bool),
        result: std::result::Result<(), DiskError>,
    ) -> Result<()> {
        if let Some(folder) = self.folders.get_mut(&id).filter(|_| !seized) {
            folder.staged.remove(&node);
        }
        let Some(scope) = scope(&self.folders, &self.accounts, id) else { return Ok(()) };
        let ruling = self.hooks.quarantine_done(&mut self.ctx, (scope, node), number, (remote, seized), result)?;
        self.follow(id, node, ruling).map(drop)
    }

    /// The cloud's copy was disposed of, or not.
    pub(in crate::engine) fn disposed(
        &mut self,
        id: FolderId,
        node: NodeId,
        number: i64,
        result: std::result::Result<(), ProviderError>,
    ) -> Result<()> {
        if hooks::disposed(&mut self.ctx, (id, node), number, result)? {
            self.reload();
        }
        Ok(())
    }

    /// An `after` hook was told, or did not listen.
    pub(in crate::engine) fn hook_told(
        &mut self,
        delivery: i64,
        hook: &HookSettings,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        self.hooks.told(&mut self.ctx, delivery, hook, outcome)
    }
}

/// What hooks are told, and what they examine by themselves.
impl Engine {
    /// Writes down what hooks are to be told, in the transaction of the change itself.
    pub(in crate::engine) fn happened(&mut self, story: Story, work: Option<&WorkRow>) -> Result<()> {
        let folder = story.folder().and_then(|id| scope(&self.folders, &self.accounts, id));
        let account = match story.account() {
            Some(id) => self.accounts.get(&id).map(|account| &account.settings),
            None => folder.and_then(|folder| folder.account),
        };
        self.hooks.happened(&mut self.ctx, (folder, account), story, work)
    }

    /// An item has a problem.
    pub(in crate::engine) fn problem_happened(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        path: &str,
        code: &str,
        text: &str,
    ) -> Result<()> {
        match Story::of_problem(item, work, path, code, text) {
            Some(story) => self.happened(story, Some(work)),
            None => Ok(()),
        }
    }

    /// What was done on disk, for the hooks that want to know.
    pub(in crate::engine) fn tell_of(
        &mut self,
        item: &ItemRow,
        intent: &IntentRow,
        what: &str,
        path: &str,
        from: Option<String>,
        work: Option<&WorkRow>,
    ) -> Result<()> {
        match hooks::story_of_deed(&mut self.ctx, item, intent, what, (path, from))? {
            Some(story) => self.happened(story, work),
            None => Ok(()),
        }
    }

    /// Whether a hook may want to know of files that are removed from a folder.
    pub(in crate::engine) fn tells_of_removals(&self, id: FolderId) -> bool {
        self.hooks.are_told_of_removals(self.folders.get(&id).map(|folder| folder.settings.name.as_str()))
    }

    /// Whether a hook decides about files that come to a folder, or is told of each.
    pub(in crate::engine) fn asks_hooks_of_arrivals(&self, id: FolderId) -> bool {
        self.hooks.are_asked_of_arrivals(self.folders.get(&id).map(|folder| folder.settings.name.as_str()))
    }

    /// Lets hooks examine, decide and hear what is due, as far as there is room.
    pub(in crate::engine) fn drive_hooks(&mut self) -> Result<()> {
        self.hooks.begin();
        for story in self.hooks.take_later() {
            self.happened(story, None)?;
        }
        self.hooks.try_hooks(&mut self.ctx, &mut self.jobs)?;
        self.release_waiting()?;
        self.examine()?;
        if self.hooks.dispose_now(&self.ctx) {
            let open = self.folders.iter().filter(|(id, _)| self.can_work(**id));
            let accounts = open.map(|(id, folder)| (*id, folder.account)).collect();
            self.hooks.dispose(&mut self.ctx, &mut self.jobs, &accounts)?;
        }
        self.hooks.wake_for_disposals(&self.ctx);
        self.hooks.tell(&mut self.ctx, &mut self.jobs)
    }

    /// Items that waited for room at a hook look again.
    fn release_waiting(&mut self) -> Result<()> {
        for (hook, waiting) in self.hooks.waited_for() {
            for _ in 0..waiting {
                let Some(node) = self.hooks.next_in_line(&self.ctx, &hook) else { break };
                if self.schedule.take_turn(node, Phase::AwaitHook) {
                    self.consider(node)?;
                }
            }
        }
        Ok(())
    }

    fn examine(&mut self) -> Result<()> {
        if !self.hooks.examine_now(&self.ctx) {
            return Ok(());
        }
        let state = |id: &FolderId| (*id, self.can_work(*id), self.quiet_for(*id));
        let states: Vec<(FolderId, bool, Option<u64>)> = self.folders.keys().map(state).collect();
        let is_busy = |node| self.schedule.is_busy(node);
        let grounds = |(id, can_work, quiet_for)| {
            let scope = scope(&self.folders, &self.accounts, id)?;
            Some(Grounds { scope, can_work, quiet_for, is_busy: &is_busy })
        };
        let folders: Vec<Grounds<'_>> = states.into_iter().filter_map(grounds).collect();
        self.hooks.examine(&mut self.ctx, &mut self.jobs, &folders)
    }

    /// A person decides about a rejected version.
    pub(in crate::engine) fn decide_quarantine(
        &mut self,
        number: i64,
        state: Option<State>,
        why: Option<&str>,
    ) -> Result<Answer> {
        let (answer, is_work) = self.hooks.decide(&mut self.ctx, number, state, why)?;
        if is_work {
            self.reload();
        }
        Ok(answer)
    }

    /// Has what is on disk examined again: a file, a folder, or everything.
    pub(in crate::engine) fn examine_again(&mut self, path: Option<&str>) -> Result<Answer> {
        let folders: Vec<Scope<'_>> =
            self.folders.keys().filter_map(|id| scope(&self.folders, &self.accounts, *id)).collect();
        self.hooks.examine_again(&mut self.ctx, &folders, path)
    }
}
