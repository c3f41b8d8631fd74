//! Where both sides had something to say: files are read, copies kept and items let go on the disk's word, each by those who can.

use std::time::Duration;

use crate::engine::conflict::{self, Aside, Conflict, Missed, Pause, ReadResult};
use crate::engine::disk::Want;
use crate::engine::effect::{Effect, LocalTask};
use crate::engine::hooks::Story;
use crate::engine::jobs::Job;
use crate::engine::sides::seat_of;
use crate::engine::{Engine, Note, Phase, millis};
use crate::hook::HookKind;
use crate::id::{FolderId, NodeId};
use crate::local_news::{HashedFile, LocalMiss};
use crate::path::Name;
use crate::plan::Action;
use crate::provider::HashKind;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow};
use crate::store::work::WorkRow;
use crate::tree::Stamp;

/// Waiting for what is not settled.
impl Engine {
    /// Lets an item wait until what the disk has of it was left alone for long enough to be believed. True if it was.
    pub(in crate::engine) fn await_quiet(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(left) = conflict::unsettled_for(&self.ctx, item) else { return Ok(true) };
        self.wait_while_written(work, left)?;
        Ok(false)
    }

    fn wait_while_written(&mut self, work: &WorkRow, wait: Duration) -> Result<()> {
        match conflict::while_written(&self.ctx, work) {
            Pause::Quiet => self.wait_quietly(work, wait),
            Pause::Told(code, text) => self.put_off(work, wait, code, text),
        }
    }

    /// An item is looked at again later; nothing is wrong with it.
    pub(in crate::engine) fn wait_quietly(&mut self, work: &WorkRow, wait: Duration) -> Result<()> {
        let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
        self.ctx.store.put_off(work.node, due, work.attempts, None)?;
        self.rest(work.node);
        Ok(())
    }

    /// An item waits for the scans of its folder, which may know more of it.
    pub(in crate::engine) fn wait_for_scans(&mut self, work: &WorkRow) -> Result<()> {
        self.wait_quietly(work, conflict::SCANS_AWAITED)
    }

    /// The plan of an item is made again at once.
    pub(in crate::engine) fn make_ready_again(&mut self, work: &WorkRow) {
        self.schedule.unqueue(work.node);
        self.schedule.make_ready(work.node, work.priority);
    }

    /// The directory that holds an item on disk.
    pub(in crate::engine) fn dir_of(item: &ItemRow) -> Option<NodeId> {
        seat_of(item).map(|(parent, _)| parent)
    }
}

/// Reading what the disk has.
impl Engine {
    /// A file waits to be read.
    pub(in crate::engine) fn await_read(&mut self, id: FolderId, node: NodeId) {
        self.schedule.set_phase(node, Phase::AwaitRead);
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.readers.push_back(node);
        }
    }

    /// Hands out reads as far as there is room.
    pub(in crate::engine) fn release_reads(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            while let Some(folder) = self.folders.get_mut(&id) {
                // The next one may be short.
                if !self.jobs.slots().may_read(id, 0) || !folder.is_open() {
                    break;
                }
                let Some(node) = folder.readers.pop_front() else { break };
                if self.schedule.phase(node) == Some(Phase::AwaitRead) && !self.read(id, node)? {
                    if let Some(folder) = self.folders.get_mut(&id) {
                        folder.readers.push_front(node);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// Starts to read a file; false if there is no room.
    fn read(&mut self, id: FolderId, node: NodeId) -> Result<bool> {
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(true);
        };
        let account = self.folders.get(&id).and_then(|folder| self.accounts.get(&folder.account));
        let hash = account.map_or(HashKind::Sha1, |account| account.capabilities.hash);
        let Some(order) = conflict::read_order(&mut self.ctx, &item, hash)? else {
            match self.ctx.store.work(node)? {
                Some(work) => self.await_sight(&item, &work)?,
                None => self.leave(node),
            }
            return Ok(true);
        };
        let bytes = order.stamp.size;
        if !self.jobs.slots().may_read(id, bytes) {
            return Ok(false);
        }
        let about = Job::Read { folder: id, node, bytes };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else { return Ok(false) };
        self.schedule.set_phase(node, Phase::Busy);
        self.ctx.out.push(Effect::Local { job, folder: id, task: LocalTask::Hash(order) });
        Ok(true)
    }

    /// A file that was to be read is out of sight, or known by now: its plan is made again a little later.
    fn await_sight(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        match conflict::hidden_under(&self.ctx, item)? {
            Some(top) => self.await_node(work, &top),
            None => self.wait_for_scans(work),
        }
    }

    /// A file was read, or could not be.
    pub(in crate::engine) fn was_read(
        &mut self,
        node: NodeId,
        result: std::result::Result<HashedFile, LocalMiss>,
    ) -> Result<()> {
        self.schedule.unqueue(node);
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        match conflict::was_read(&mut self.ctx, &item, result)? {
            ReadResult::Known => self.schedule.make_ready(node, work.priority),
            ReadResult::Unsettled(wait) => self.wait_while_written(&work, wait)?,
            ReadResult::Missed(miss) => self.local_miss(&item, &work, &miss)?,
        }
        Ok(())
    }

    /// A file is not what we took it for.
    pub(in crate::engine) fn local_miss(&mut self, item: &ItemRow, work: &WorkRow, miss: &LocalMiss) -> Result<()> {
        match conflict::missed(&mut self.ctx, item, miss)? {
            Missed::Overtaken => {
                self.make_ready_again(work);
                Ok(())
            }
            Missed::Changed(wait) => self.wait_quietly(work, wait),
            Missed::Elsewhere => {
                self.rescan_around(item)?;
                self.wait_for_scans(work)
            }
            Missed::RootLost(error) => {
                self.root_failed(item.folder, &error);
                Ok(())
            }
            Missed::Unreadable(code, text) => self.item_failed(item.node, code, &text, None),
        }
    }

    /// Looks at an item once where its digest decides whether both sides wrote the same, and no event told it. True if nothing is to be
    /// asked.
    pub(in crate::engine) fn make_sure_of_bytes(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        action: &Action,
    ) -> Result<bool> {
        if !conflict::lacks_digest(item, action) || !self.schedule.note(item.node, Note::BytesAsked) {
            return Ok(true);
        }
        self.ctx.store.want_look(item.node)?;
        self.make_ready_again(work);
        Ok(false)
    }
}

/// What is done about it.
impl Engine {
    /// Decides about what only two-way, upload and drift know.
    pub(in crate::engine) fn consider_local(&mut self, item: &ItemRow, work: &WorkRow, action: Action) -> Result<()> {
        match action {
            Action::Read => {
                self.await_read(item.folder, item.node);
                Ok(())
            }
            Action::Agree => self.agree(item, work),
            Action::ConflictCopy => self.part(item, work),
            Action::Reupload => self.revive(item, work),
            Action::Redownload => self.restore(item, work),
            Action::Leave => self.leave_alone(item, work),
            action => self.consider_write(item, work, action),
        }
    }

    /// Both hold the same: it becomes what both agree on.
    fn agree(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let Some(agreed) = conflict::agreed(item) else { return self.wait_for_scans(work) };
        self.put_synced(item, Some(&agreed.synced))?;
        self.rebase(item.node, Some(&agreed.synced.seat), agreed.edit)?;
        if item.synced.is_none() {
            self.examine_later(item.node)?;
        }
        self.schedule.note_done(item.node, "already there");
        self.make_ready_again(work);
        Ok(())
    }

    /// What the disk has goes aside under another name, and the item becomes the cloud's.
    fn part(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        if !self.may_part(item, work)? {
            return Ok(());
        }
        let Some((parent, name)) = self.copy_place(item)? else { return self.wait_for_scans(work) };
        self.want(item, work, Want::Part { parent, name })
    }

    /// What the disk has makes room for what the cloud has in the same place.
    pub(in crate::engine) fn step_aside(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let mode = self.folders.get(&item.folder).map(|folder| folder.settings.mode);
        match self.conflicts.aside(&self.ctx, mode, item)? {
            Aside::Refused(code, text) => self.item_failed(item.node, code, text, None),
            Aside::To(parent, name) => self.want(item, work, Want::Aside { parent, name }),
            // It is not on disk any more: what follows from that is decided like anything else.
            Aside::Gone if self.schedule.phase(item.node).is_none() => self.wait_for_scans(work),
            Aside::Stays | Aside::Gone => Ok(()),
        }
    }

    /// A folder that is out of sight and is to go holds something that somebody put into it, or a file has an edit of somebody's: it is
    /// brought back into sight.
    pub(in crate::engine) fn bring_back(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        match self.place_in_sight(item)? {
            Some((parent, name)) => self.want(item, work, Want::Aside { parent, name }),
            None => Ok(()),
        }
    }

    /// A file that is out of sight is brought back, and stays what both sides agreed on.
    pub(in crate::engine) fn show_again(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        match self.place_in_sight(item)? {
            Some((parent, name)) => self.want(item, work, Want::Move { parent, name }),
            None => Ok(()),
        }
    }

    /// A free place for something that is out of sight.
    fn place_in_sight(&self, item: &ItemRow) -> Result<Option<(NodeId, Name)>> {
        let Some(root) = self.folders.get(&item.folder).and_then(|folder| folder.row.root) else { return Ok(None) };
        Ok(self.conflicts.place_in(&self.ctx, root, item)?.map(|name| (root, name)))
    }

    /// An item is on disk where the cloud has another one: it gets another name.
    pub(in crate::engine) fn clear_for(&mut self, work: &WorkRow, occupant: &ItemRow) -> Result<()> {
        self.await_node(work, occupant)?;
        let busy = self.schedule.is_busy(occupant.node);
        match self.ctx.store.work(occupant.node)? {
            Some(theirs) if !busy => self.step_aside(occupant, &theirs),
            _ => Ok(()),
        }
    }

    /// A free place for a conflict copy beside an item.
    pub(in crate::engine) fn copy_place(&self, item: &ItemRow) -> Result<Option<(NodeId, Name)>> {
        self.conflicts.copy_place(&self.ctx, item)
    }

    /// The deed of [`Want::Part`] is done: the disk's content is a file of its own, and the item is to be fetched.
    pub(in crate::engine) fn parted(
        &mut self,
        item: &ItemRow,
        parent: NodeId,
        name: &Name,
        stamp: Stamp,
    ) -> Result<()> {
        let path = self.ctx.shown_path(item)?;
        self.put_nowhere(item)?;
        let conflict = conflict::parted(&mut self.ctx, item, (parent, name), stamp, path)?;
        self.note_conflict(item.node, conflict)
    }

    /// The deed of [`Want::Aside`] is done.
    pub(in crate::engine) fn went_aside(
        &mut self,
        item: &ItemRow,
        parent: NodeId,
        name: &Name,
        stamp: Stamp,
    ) -> Result<()> {
        self.schedule.take_note(item.node, Note::Crowded);
        let (seen, conflict) = conflict::went_aside(&mut self.ctx, item, (parent, name), stamp)?;
        self.observe(item, Some(seen))?;
        self.note_conflict(item.node, conflict)
    }

    fn note_conflict(&mut self, node: NodeId, conflict: Conflict) -> Result<()> {
        if let Some(item) = self.ctx.store.item(node)? {
            let story = Story::of_item(HookKind::Conflict, &item, conflict.path().to_owned());
            self.happened(story.with_message(conflict.message()), None)?;
        }
        conflict.note(&mut self.ctx)
    }

    /// The cloud deleted what the disk has changed: it is the disk's alone from now on, and goes up like anything new.
    pub(in crate::engine) fn revive(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        self.drop_staged(item.folder, item.node);
        self.put_synced(item, None)?;
        conflict::make_the_disks_own(&mut self.ctx, item)?;
        self.rebase(item.node, item.disk_seat().as_ref(), conflict::whole_edit(item))?;
        self.schedule.note_done(item.node, "kept: the disk had changed it");
        self.make_ready_again(work);
        Ok(())
    }

    /// The disk lost what the cloud has and is to have again.
    pub(in crate::engine) fn restore(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        if let Some(LocalRow::Covered { by, stamp, .. }) = item.local
            && stamp.ino != 0
        {
            return self.uncover(item, work, by);
        }
        self.missing_on_disk(item)?;
        self.schedule.set_trash(item.node, None);
        self.ctx.paths.directories_moved();
        self.make_ready_again(work);
        Ok(())
    }

    /// Both differ, and it stays so until one of them changes.
    fn leave_alone(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        self.drop_staged(item.folder, item.node);
        if let Some(LocalRow::Covered { by, stamp, .. }) = item.local {
            return self.leave_covered(item, work, by, stamp);
        }
        if matches!(item.local, Some(LocalRow::Absent { .. })) && self.accept_deletion(item)? {
            // The tombstone keeps it away from now on.
            return self.restore(item, work);
        }
        self.conclude(item, work, "left as it is")?;
        if let Some((code, text)) = conflict::complaint(self.policy(item.folder), item) {
            return self.item_failed(item.node, code, &text, None);
        }
        self.ctx.store.finish(item.node)?;
        self.leave(item.node);
        Ok(())
    }
}
