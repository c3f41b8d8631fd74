//! Changes of the cloud: what each waits for is asked of those who know, and what is decided is handed out.

use crate::engine::disk::Want;
use crate::engine::effect::{Effect, Task};
use crate::engine::jobs::Job;
use crate::engine::queues::CallKind;
use crate::engine::schedule::FolderTrash;
use crate::engine::send::whole::{self, Contents, Heard, Inside, NEWS_AWAITED, Stream, Whole};
use crate::engine::send::{self, Above, Child, Unready, Untangled, hopes};
use crate::engine::turns::{self, Upwards};
use crate::engine::{Engine, Note, Phase};
use crate::id::{AccountId, ItemKind, NodeId};
use crate::plan::Action;
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::sent::SentRow;
use crate::store::work::{Ask, Priority, WorkRow};

/// Preparing a change.
impl Engine {
    /// Prepares a change of the cloud: waits until it can be believed, and until those that come before it are done.
    pub(in crate::engine) fn consider_write(&mut self, item: &ItemRow, work: &WorkRow, action: Action) -> Result<()> {
        match send::unready(&self.ctx, item, &action, self.jobs.scans(item.folder))? {
            Some(Unready::CameAndWent) => return self.revive(item, work),
            Some(Unready::MayBeMoved(wait)) => return self.wait_quietly(work, wait),
            Some(Unready::Unreadable) => {
                return self.item_failed(item.node, "unreadable", "the directory cannot be read", None);
            }
            None => {}
        }
        if matches!(action, Action::MakeRemote { .. }) && self.may_be_hollow(item)? {
            return self.wait_for_scans(work);
        }
        if matches!(action, Action::Upload { .. }) && self.adopt_moved_copy(item)? {
            return Ok(());
        }
        // One that steps aside does so where it is in the cloud.
        let steps_aside = self.schedule.is_noted(item.node, Note::AsideRemotely);
        if let Some(parent) = send::target(&action).filter(|_| !steps_aside)
            && !self.may_go_into(item, work, parent)?
        {
            return Ok(());
        }
        if let Action::Trash(kind) = action
            && !self.prepare_trash(item, work, kind)?
        {
            return Ok(());
        }
        if send::remote_name(item, &action).is_none() {
            let text = "the name is not UTF-8, which the cloud cannot hold; rename the file";
            return self.item_failed(item.node, "name_not_utf8", text, None);
        }
        if matches!(action, Action::MoveRemote { .. })
            && !self.schedule.is_noted(item.node, Note::AsideRemotely)
            && !self.may_move_up(item, work)?
        {
            return Ok(());
        }
        let kind = if send::bytes_sent(item, &action).is_some() { CallKind::Upload } else { CallKind::Question };
        self.schedule.decide(item.node, action);
        self.await_call(work, item, kind);
        Ok(())
    }

    /// Takes something new for the missing file that was moved by being copied and removed. Whether it was.
    fn adopt_moved_copy(&mut self, item: &ItemRow) -> Result<bool> {
        let is_busy = |node| self.schedule.is_busy(node);
        let Some((gone, local)) = send::moved_copy_of(&self.ctx, self.policy(item.folder), item, is_busy)? else {
            return Ok(false);
        };
        self.drop_found(item)?;
        self.ctx.store.leave_holds(gone.node)?;
        self.observe(&gone, Some(local))?;
        Ok(true)
    }

    /// Lets an item wait for the folder that it is to be in in the cloud. True if it can go there now.
    fn may_go_into(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId) -> Result<bool> {
        match send::above(&self.ctx, parent, work)? {
            Above::Ready => return self.untangle_remotely(item, work, parent),
            Above::Lost => {
                self.rescan_around(item)?;
                self.wait_for_scans(work)?;
            }
            Above::NotThere(above) => {
                self.make_again(&above)?;
                self.await_node(work, &above)?;
            }
            Above::Listed(wait) => self.wait_quietly(work, wait)?,
        }
        Ok(false)
    }

    /// Others threw a folder of an upload folder away, and the disk has something that is to be in it.
    fn make_again(&mut self, above: &ItemRow) -> Result<()> {
        if !send::is_made_again(self.policy(above.folder), above) || self.schedule.is_busy(above.node) {
            return Ok(());
        }
        self.ctx.store.mark(above.node, above.folder, Priority::News, Ask::Nothing, None, self.ctx.now.wall)?;
        match self.ctx.store.work(above.node)? {
            Some(theirs) => self.revive(above, &theirs),
            None => Ok(()),
        }
    }

    /// Lets a folder wait as long as its new place in the cloud lies below it. True if it does not.
    fn untangle_remotely(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId) -> Result<bool> {
        if !item.id.is_folder() || item.is_local_only() {
            return Ok(true);
        }
        let between = match turns::upwards(&self.ctx, item.node, parent, |row| row.remote.parent)? {
            Upwards::Free => return Ok(true),
            Upwards::IntoItself(between) => between,
            Upwards::Endless => {
                self.wait_quietly(work, send::CIRCLE_RETRIED_AFTER)?;
                return Ok(false);
            }
        };
        let moves = |plan: &Action| matches!(plan, Action::MoveRemote { .. });
        if let Some(other) = turns::opens_circle(&self.ctx, self.policy(item.folder), &between, moves)? {
            self.await_node(work, &other)?;
            return Ok(false);
        }
        match send::untangled(self.policy(item.folder), item) {
            Untangled::Refused(code, text) => self.item_failed(item.node, code, text, None)?,
            Untangled::Follows(parent, name) if self.make_way(item, work, parent, &name)? => {
                self.want(item, work, Want::Move { parent, name })?;
            }
            Untangled::Follows(..) | Untangled::Stays => {}
        }
        Ok(false)
    }
}

/// The way into the trash.
impl Engine {
    /// Prepares an item's way into the trash: a person need not be asked, and nothing that stays is in it. True if it can go now; else it
    /// waits.
    fn prepare_trash(&mut self, item: &ItemRow, work: &WorkRow, kind: ItemKind) -> Result<bool> {
        if self.ctx.store.sweep_left(item.folder)? {
            self.await_sweep(item);
            return Ok(false);
        }
        if self.leave_to_its_folder(item, work)? {
            return Ok(false);
        }
        if hopes::may_turn_up(&self.ctx, item)? {
            self.wait_quietly(work, hopes::looked_after(&self.ctx, item))?;
            return Ok(false);
        }
        if self.take_as_moved(item, work)? {
            return Ok(false);
        }
        if kind == ItemKind::File {
            return Ok(work.approved || !self.hold_trash(item)?);
        }
        let child = match whole::inside(&self.ctx, item)? {
            Inside::Nothing => return Ok(true),
            Inside::Unlisted => {
                self.wait_quietly(work, NEWS_AWAITED)?;
                return Ok(false);
            }
            Inside::Something(child) => child,
        };
        match self.decide_whole(item, work)? {
            Some(false) => {}
            whole => return Ok(whole.is_some()),
        }
        match send::about_child(&self.ctx, self.policy(item.folder), child)? {
            Child::Gone => return Ok(true),
            Child::Awaited(child) => self.await_node(work, &child)?,
            Child::Changed => self.restore(item, work)?,
        }
        Ok(false)
    }

    /// Takes a missing item for moved that stands elsewhere on disk as something new, unless that reached the cloud by itself. Whether it
    /// waits for that.
    fn take_as_moved(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let as_synced = ItemRow { local: None, ..item.clone() };
        if let Some(found) = send::goes_up_elsewhere(&self.ctx, &as_synced)? {
            self.await_node(work, &found)?;
            return Ok(true);
        }
        if self.found_elsewhere(&as_synced)?.is_none() {
            return Ok(false);
        }
        self.missing(&as_synced)?;
        self.make_ready_again(work);
        Ok(true)
    }
}

/// Handing it out.
impl Engine {
    /// Starts the write that an item waits for; false if there is no room for its kind of call.
    pub(in crate::engine) fn release_write(&mut self, id: AccountId, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let action = self.plan_of(item);
        let is_decided = self.schedule.is_decided(item.node, &action);
        // Another write than the one that was decided on has its own questions to answer first.
        if !is_decided || matches!(action, Action::Trash(ItemKind::Folder)) && !self.is_still_whole(item, work)? {
            self.make_ready_again(work);
            return Ok(true);
        }
        let Some(account) = self.accounts.get(&id) else { return Ok(true) };
        let uploads = send::bytes_sent(item, &action);
        let room = match uploads {
            Some(bytes) => self.jobs.slots().may_transfer(id, account.settings.transfers, bytes),
            None => self.jobs.slots().may_ask(id),
        };
        if !room {
            return Ok(false);
        }
        let session = match self.ctx.store.sent_of(item.node)? {
            Some(sent) if !sent.unsure => {
                self.schedule.set_phase(item.node, Phase::Busy);
                return Ok(true);
            }
            Some(sent) => sent.session,
            None => None,
        };
        let policy = self.policy(item.folder);
        let steps_aside = || self.schedule.take_note(item.node, Note::AsideRemotely);
        let written = send::write_of(&mut self.ctx, policy, item, &action, session.clone(), steps_aside)?;
        let Some((write, task)) = written else {
            // What it needs is out of sight, or changed while it waited: its plan is made again a little later.
            self.wait_for_scans(work)?;
            return Ok(true);
        };
        if let Task::Upload(_, file) = &task
            && let Some((sha256, _)) = &file.digests
            && !self.may_upload(item, work, &file.path, *sha256, file.stamp.size)?
        {
            return Ok(true);
        }
        let share = self.share_of(item.folder, work.priority);
        if !self.may_call(id, share) {
            return Ok(false);
        }
        let about = Job::Write { account: id, folder: item.folder, node: item.node, uploads };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else { return Ok(false) };
        self.spend_call(id, share)?;
        self.schedule.set_phase(item.node, Phase::Busy);
        let sent = SentRow { job, node: item.node, folder: item.folder, write, unsure: false, session };
        self.ctx.store.drop_sent(item.node)?;
        self.ctx.store.add_sent(&sent, self.ctx.now.wall)?;
        self.ctx.out.push(Effect::Cloud { job, account: id, task });
        Ok(true)
    }
}

/// Folders that go into the trash as a whole.
impl Engine {
    /// Leaves something that is to go into the trash to a folder above it that goes as well, and waits for that one. Whether it does.
    pub(in crate::engine) fn leave_to_its_folder(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let in_parts = |node| self.schedule.trash(node) == Some(FolderTrash::InParts);
        let top = whole::taken_along_by(&self.ctx, self.policy(item.folder), item, in_parts)?;
        if let Some(top) = &top {
            self.await_node(work, top)?;
        }
        Ok(top.is_some())
    }

    /// Decides whether a folder that is not empty goes as a whole. Nothing if that is not known yet: it waits.
    pub(in crate::engine) fn decide_whole(&mut self, item: &ItemRow, work: &WorkRow) -> Result<Option<bool>> {
        if self.schedule.trash(item.node) == Some(FolderTrash::InParts) {
            return Ok(Some(false));
        }
        match self.wholeness(item, work)? {
            Whole::Yes => Ok(Some(true)),
            Whole::NotYet => {
                self.wait_quietly(work, whole::awaited(&self.ctx, item)?)?;
                Ok(None)
            }
            Whole::No => {
                self.schedule.set_trash(item.node, Some(FolderTrash::InParts));
                self.schedule.wake_waiters(item.node);
                Ok(Some(false))
            }
        }
    }

    /// Whether a folder whose turn has come may still be sent into the trash with what is in it.
    pub(in crate::engine) fn is_still_whole(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        Ok(match whole::inside(&self.ctx, item)? {
            Inside::Nothing => true,
            Inside::Unlisted => false,
            Inside::Something(_) => self.wholeness(item, work)? == Whole::Yes,
        })
    }

    fn wholeness(&mut self, item: &ItemRow, work: &WorkRow) -> Result<Whole> {
        let policy = self.policy(item.folder);
        match whole::contents(&mut self.ctx, policy, item, work)? {
            Contents::Stay => Ok(Whole::No),
            Contents::NotYet => Ok(Whole::NotYet),
            Contents::GoUnlessAsked if self.asks_before_trash(item.folder)? => Ok(Whole::No),
            Contents::GoUnlessAsked | Contents::Go => Ok(self.hear_all(item)),
        }
    }

    /// Has the stream read to its end.
    fn hear_all(&mut self, item: &ItemRow) -> Whole {
        let id = self.folders.get(&item.folder).map(|folder| folder.account);
        let Some(account) = id.and_then(|id| self.accounts.get_mut(&id)) else { return Whole::NotYet };
        let stream = Stream { begun: account.polls_begun, ended: account.polls_ended };
        match whole::heard(self.schedule.trash(item.node), stream) {
            Heard::All => Whole::Yes,
            Heard::InParts => Whole::No,
            Heard::Soon => Whole::NotYet,
            Heard::Poll => {
                self.schedule.set_trash(item.node, Some(FolderTrash::Whole(stream.begun)));
                account.poll_now();
                self.ctx.more = true;
                Whole::NotYet
            }
        }
    }
}
