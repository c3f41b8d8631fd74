//! Dirty items to decisions: loads what is ready, plans each item, and asks for the calls and deeds that the plan needs.

use std::time::Duration;

use crate::engine::calls::{self, Next};
use crate::engine::codes::{DRIFT, LOCAL_IN_THE_WAY, NAME_TAKEN};
use crate::engine::disk::Want;
use crate::engine::effect::Notice;
use crate::engine::queues::CallKind;
use crate::engine::remote::above;
use crate::engine::remote::looks::HIDDEN_RETRIED_EVERY;
use crate::engine::sides::plan_under;
use crate::engine::turns::{self, ATTEMPTS_COUNTED, UNCLEAR_MOST, Upwards, WAIT_AGAIN, WAITS};
use crate::engine::undo;
use crate::engine::{Engine, ITEMS_PER_STEP, Note, Phase, listen, millis};
use crate::events::interval::backoff;
use crate::id::{FolderId, NodeId};
use crate::path::Name;
use crate::plan::Action;
use crate::plan::order::Way;
use crate::store::Result;
use crate::store::items::{ItemRow, SeatRow};
use crate::store::work::{Ask, Priority, WorkRow, WorkState};

/// How often an item is looked at that waits for a change of its folder's mode to be approved.
const PREVIEWED_AGAIN: Duration = Duration::from_mins(10);

impl Engine {
    /// Fills the working set and decides, within the limits of a step.
    pub(in crate::engine) fn reconcile(&mut self) -> Result<()> {
        self.release_calls()?;
        self.load()?;
        for _ in 0..ITEMS_PER_STEP {
            let Some(node) = self.schedule.pop_ready() else { break };
            if self.schedule.phase(node) == Some(Phase::Ready) {
                self.consider(node)?;
            }
            if self.ctx.rows_left() == 0 {
                break;
            }
            if self.schedule.is_idle() {
                self.load()?;
            }
        }
        self.release_calls()?;
        self.release_disk()?;
        if !self.schedule.is_idle() {
            self.ctx.more = true;
        }
        Ok(())
    }

    fn load(&mut self) -> Result<()> {
        for priority in [Priority::News, Priority::Bulk] {
            let Some((after, limit)) = self.schedule.to_load(priority) else { continue };
            for (pos, node, folder) in self.ctx.store.ready(priority, after, limit)? {
                self.schedule.load(node, priority, pos, self.can_work(folder));
            }
        }
        Ok(())
    }

    /// Whether a folder's items can be worked on at all.
    pub(in crate::engine) fn can_work(&self, id: FolderId) -> bool {
        self.folders.get(&id).is_some_and(|folder| {
            folder.is_open()
                && !folder.row.paused
                && !folder.remote.is_gone
                && self.accounts.get(&folder.account).is_some_and(listen::Account::usable)
        })
    }

    /// What the planner says of an item now.
    pub(in crate::engine) fn plan_of(&self, item: &ItemRow) -> Action {
        plan_under(self.policy(item.folder), item)
    }

    /// Decides about one item.
    pub(in crate::engine) fn consider(&mut self, node: NodeId) -> Result<()> {
        self.schedule.undecide(node);
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        if !self.can_work(work.folder) || work.state != WorkState::Ready {
            self.rest(node);
            return Ok(());
        }
        if self.leaves_for_quarantine(&item, &work)? {
            return Ok(());
        }
        if let Some(mark) = work.mark {
            if above::goes_with_gone(&self.ctx, &self.questions, &item)? {
                self.forget_expected(node)?;
                self.ctx.store.looked(node, mark)?;
            } else if self.await_gone_folder(&work, &item)? {
                return Ok(());
            } else if self.await_listing(&item)? {
                self.schedule.set_phase(node, Phase::AwaitListing);
                return Ok(());
            } else {
                self.await_call(&work, &item, CallKind::Question);
                return Ok(());
            }
        }
        let action = self.plan_of(&item);
        if self.waits_with_tree(&item, &work, &action)? {
            return Ok(());
        }
        if self.policy(item.folder).sends() && !self.make_sure_of_write(&item, &work)? {
            return Ok(());
        }
        if item.local.is_some() && !self.await_quiet(&item, &work)? {
            return Ok(());
        }
        if !self.make_sure_of_bytes(&item, &work, &action)? {
            return Ok(());
        }
        if self.only_previews(item.folder, &action) {
            return self.wait_quietly(&work, PREVIEWED_AGAIN);
        }
        if self.keep_away(&item, &work, &action)? {
            return Ok(());
        }
        match action {
            Action::Forget => self.forget(&item, &work),
            Action::InSync => self.settle(&item, &work),
            Action::Untrack => self.release(&item, &work),
            Action::Acknowledge => {
                self.acknowledge(&item)?;
                self.settle(&item, &work)
            }
            Action::MakeFolder { parent, name } => {
                if self.await_contents(&item)? {
                    return Ok(());
                }
                if self.unseat_children(&item)? && self.make_way(&item, &work, parent, &name)? {
                    self.want(&item, &work, Want::MakeFolder { parent, name })?;
                }
                Ok(())
            }
            Action::Fetch { parent, name } => {
                if item.synced.is_some() && !work.approved && self.hold_if_full(&item)? {
                    return Ok(());
                }
                if self.make_way(&item, &work, parent, &name)? {
                    self.fetch_or_publish(&item, &work, parent, name)?;
                }
                Ok(())
            }
            Action::Move { parent, name } => {
                if self.make_way(&item, &work, parent, &name)?
                    && self.untangle(&item, &work, parent)?
                    && self.may_move(&item, &work, parent, &name)?
                {
                    self.want(&item, &work, Want::Move { parent, name })?;
                }
                Ok(())
            }
            Action::Remove(kind) => self.remove(&item, &work, kind),
            action => self.consider_local(&item, &work, action),
        }
    }

    /// The item came and went: drop its row.
    fn forget(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        if item.id.is_folder() && self.ctx.store.sweep_left(item.folder)? {
            self.await_sweep(item);
            return Ok(());
        }
        if !self.unseat_children(item)? {
            return Ok(());
        }
        let what = self.schedule.done(item.node);
        self.drop_staged(item.folder, item.node);
        if item.synced.is_some() {
            // Both deleted it.
            self.put_synced(item, None)?;
        }
        if self.policy(item.folder).sends() {
            self.ctx.store.drop_sent(item.node)?;
        }
        self.conclude(item, work, what)?;
        undo::remember_version(&mut self.ctx, item)?;
        self.ctx.store.drop_item(item.node)?;
        self.trees.forget(item.node);
        self.leave(item.node);
        Ok(())
    }

    /// Cloud and disk agree.
    pub(in crate::engine) fn settle(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let what = self.schedule.done(item.node);
        self.drop_staged(item.folder, item.node);
        self.conclude(item, work, what)?;
        self.ctx.store.finish(item.node)?;
        self.leave(item.node);
        Ok(())
    }

    fn release(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        if item.id.is_folder() && self.ctx.store.sweep_left(item.folder)? {
            self.await_sweep(item);
            return Ok(());
        }
        if !self.vacate(item, work)? {
            return Ok(());
        }
        if self.hides_an_edit(item) {
            return self.bring_back(item, work);
        }
        if matches!(item.disk_seat(), Some(SeatRow::Parked(_))) {
            if self.schedule.is_noted(item.node, Note::Crowded) {
                return self.bring_back(item, work);
            }
            // It was on its way, out of sight: nobody would find it there.
            let want = if item.id.is_folder() { Want::RemoveFolder } else { Want::RemoveFile };
            return self.want(item, work, want);
        }
        self.drop_staged(item.folder, item.node);
        if self.policy(item.folder).sends() {
            // Under a name that no pattern keeps out it is something that only the disk has.
            self.rescan_around(item)?;
        }
        self.put_synced(item, None)?;
        self.conclude(item, work, "filtered out; the local copy stays")?;
        self.ctx.store.drop_item(item.node)?;
        self.trees.forget(item.node);
        self.leave(item.node);
        Ok(())
    }

    fn acknowledge(&mut self, item: &ItemRow) -> Result<()> {
        let (Some(remote), Some(mut synced)) = (item.remote.content.clone(), item.synced.clone()) else {
            return Ok(());
        };
        if let Some(content) = &mut synced.content {
            content.version = remote.version;
        }
        self.put_synced(item, Some(&synced))
    }

    /// Writes down what became of the event that asked for the work, and tells whoever watches if nothing was done.
    pub(in crate::engine) fn conclude(&mut self, item: &ItemRow, work: &WorkRow, what: &str) -> Result<()> {
        if let Some(journal) = work.journal {
            self.ctx.store.set_outcome(journal, what, self.ctx.now.wall)?;
            if what == "no change" {
                let path = self.ctx.shown_path(item)?;
                let took_ms = self.ctx.now.wall.since(work.since).max(0);
                let (folder, what) = (item.folder, what.to_owned());
                self.ctx.notice(Notice::Outcome { folder, journal: Some(journal), what, path, from: None, took_ms });
            }
        }
        Ok(())
    }

    /// Makes way for an item to a place: its directory is to be on disk, and nothing else there. True if it can go now; else it waits, and
    /// what is in its way was asked to go.
    pub(in crate::engine) fn make_way(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        parent: NodeId,
        name: &Name,
    ) -> Result<bool> {
        let Some(above) = self.ctx.store.item(parent)? else {
            self.put_off(work, WAIT_AGAIN, WAITS, "waits for its folder")?;
            return Ok(false);
        };
        if above.disk_seat().is_none() {
            // What a job is under way for is not to be decided about anew before its outcome is there.
            if above.synced.is_some() && !self.schedule.is_busy(above.node) {
                // It went missing on disk, and something is to be in it: it comes back.
                if let Some(theirs) = self.ctx.store.work(above.node)? {
                    self.restore(&above, &theirs)?;
                } else {
                    self.lose(&above)?;
                }
                let Some(above) = self.ctx.store.item(parent)? else { return Ok(false) };
                self.await_node(work, &above)?;
                return Ok(false);
            }
            self.await_node(work, &above)?;
            return Ok(false);
        }
        if self.await_covered(item, work, &above)? || self.await_gone_directory(item, &above)? {
            return Ok(false);
        }
        let policy = self.policy(item.folder);
        let (way, first) = turns::way(&self.ctx, &self.schedule, policy, item, parent, name)?;
        let Some(occupant) = first else { return Ok(true) };
        if self.meet(&occupant, item)? {
            self.make_ready_again(work);
            return Ok(false);
        }
        match way {
            Way::Free => return Ok(true),
            Way::After => self.await_node(work, &occupant)?,
            Way::Park => {
                self.await_node(work, &occupant)?;
                if let Some(theirs) = self.ctx.store.work(occupant.node)? {
                    self.want(&occupant, &theirs, Want::Park)?;
                }
            }
            // It waits for a person with all that is in it, and so does what is to have its place.
            Way::Replace if self.ctx.store.is_tree_held(occupant.node)? => self.await_node(work, &occupant)?,
            Way::Replace => {
                self.ctx.store.leave_holds(occupant.node)?;
                // One that failed keeps its waiting time: marking it anew would try it again at once, for ever.
                if self.ctx.store.work(occupant.node)?.is_none_or(|theirs| theirs.state == WorkState::Held) {
                    let now = self.ctx.now.wall;
                    self.ctx.store.mark(occupant.node, occupant.folder, Priority::News, Ask::Nothing, None, now)?;
                }
                self.ctx.store.note_replaced(occupant.node)?;
                self.await_node(work, &occupant)?;
            }
            Way::StepAside => self.clear_for(work, &occupant)?,
            Way::Blocked => {
                let text = "a local file that is to stay has the name of an item";
                // What was fetched would lie there for as long as that file does.
                self.drop_staged(item.folder, item.node);
                self.item_failed(item.node, LOCAL_IN_THE_WAY, text, None)?;
            }
            Way::Unclear => self.same_place(item, work, &occupant)?,
        }
        Ok(false)
    }

    /// The cloud seems to have two items in one place: one description is old, so both are looked at.
    fn same_place(&mut self, item: &ItemRow, work: &WorkRow, occupant: &ItemRow) -> Result<()> {
        if self.policy(item.folder).sends() && occupant.remote.name != item.remote.name {
            // The cloud has them under two names, one of which the disk cannot hold and maps to the other.
            return self.clear_for(work, occupant);
        }
        if self.ctx.store.work(occupant.node)?.is_none_or(|theirs| theirs.state != WorkState::Ready) {
            self.ctx.store.mark(occupant.node, occupant.folder, Priority::News, Ask::State, None, self.ctx.now.wall)?;
        }
        let path = self.ctx.shown_path(occupant)?;
        let attempts = work.attempts + 1;
        if attempts > UNCLEAR_MOST {
            // What was fetched would lie there for as long as the cloud has both.
            self.drop_staged(item.folder, item.node);
        }
        let due =
            self.ctx
                .now
                .wall
                .plus_ms(millis(backoff(attempts.min(ATTEMPTS_COUNTED), None, self.ctx.chance.next())) as i64);
        let text = format!("the cloud has two items at `{path}`; both are being looked at");
        self.ctx.store.put_off(item.node, due, attempts, Some((NAME_TAKEN, &text)))?;
        self.ctx.store.want_look(item.node)?;
        self.rest(item.node);
        Ok(())
    }

    /// Lets a folder wait as long as its new parent lies below it on disk. True if it does not.
    ///
    /// Example: `mv b c; mv a b/a` where `b` was in `a`: `b` has to leave `a` first.
    fn untangle(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId) -> Result<bool> {
        if !item.id.is_folder() {
            return Ok(true);
        }
        let dir_of = |row: &ItemRow| match row.disk_seat() {
            Some(SeatRow::At { parent, .. }) => Some(parent),
            Some(SeatRow::Root | SeatRow::Parked(_)) | None => None,
        };
        let opens = match turns::upwards(&self.ctx, item.node, parent, dir_of)? {
            Upwards::Free => return Ok(true),
            // The cloud's tree has no circle, so something on the way from there to here is to be moved as well.
            Upwards::IntoItself(between) => {
                let moves = |plan: &Action| matches!(plan, Action::Move { .. });
                turns::opens_circle(&self.ctx, self.policy(item.folder), &between, moves)?
            }
            // Scans of different moments can put directories into one another, until newer ones arrive.
            Upwards::Endless => None,
        };
        match opens {
            Some(other) => self.await_node(work, &other)?,
            None => self.put_off(work, WAIT_AGAIN, WAITS, "waits for its new folder to move")?,
        }
        Ok(false)
    }

    fn fetch_or_publish(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId, name: Name) -> Result<()> {
        if item.remote.content.is_some() && !self.may_fetch(item)? {
            return Ok(());
        }
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(()) };
        let (staged, adopts) = (folder.staged.get(&item.node), folder.row.adopt);
        match calls::next(item, staged.map(|(_, content)| &content.version)) {
            Next::Unknown => {
                let text = "the cloud does not say what the file holds";
                return self.put_off(work, HIDDEN_RETRIED_EVERY, "no_content", text);
            }
            Next::Publish => return self.publish_if_allowed(item, work, parent, name),
            Next::Fetch { drops: true } => self.drop_staged(item.folder, item.node),
            Next::Fetch { drops: false } => {}
        }
        // What stood in the way is looked at before anything is fetched in vain.
        let was_blocked = work.problem.as_ref().is_some_and(|(code, _)| [LOCAL_IN_THE_WAY, DRIFT].contains(&&**code));
        let may_be_there = was_blocked || adopts && item.synced.is_none();
        if may_be_there
            && calls::is_comparable(item)
            && !self.schedule.is_noted(item.node, Note::NoAdopt)
            && self.may_adopt(item)?
        {
            return self.want(item, work, Want::Adopt { parent, name });
        }
        if !self.fail_without_room(item)? {
            self.await_call(work, item, CallKind::Fetch);
        }
        Ok(())
    }
}
