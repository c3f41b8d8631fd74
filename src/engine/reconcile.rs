//! Dirty items to decisions: loads what is ready, plans each item, and asks for the calls and deeds that the plan needs.

use std::time::Duration;

use super::disk::Want;
use super::effect::Notice;
use super::queues::CallKind;
use super::undo;
use super::{Engine, ITEMS_PER_STEP, Note, Phase, millis};
use crate::events::interval::backoff;
use crate::id::{FolderId, ItemKind, NodeId};
use crate::path::Name;
use crate::plan::order::Way;
use crate::plan::{Action, Policy};
use crate::store::expected::Told;
use crate::store::folders::ScanStage;
use crate::store::items::{ItemRow, LocalRow, Presence, SeatRow};
use crate::store::work::{Ask, Lane, WorkRow, WorkState};
use crate::store::{DEEPEST_PATH, Result};

pub(super) use super::codes::{DRIFT, LOCAL_IN_THE_WAY, NAME_TAKEN, NETWORK, OUTCOME_UNKNOWN, VERSION_GONE};
pub(crate) use super::sides::{name_on_disk, plan_under};

mod below;
mod calls;
mod waits;

/// Items that may find no room for their call, one after the other, before the rest is left for later.
const REFUSED_MOST: usize = 16;
/// Files fetched and not yet published, for one folder: what a slow disk may let pile up.
const STAGED_MOST: usize = 256;
/// A reconsideration of something that waits for an item that is itself put off.
const WAIT_AGAIN: Duration = Duration::from_secs(5);
/// How often an item is looked at that waits for a change of its folder's mode to be approved.
const PREVIEWED_AGAIN: Duration = Duration::from_mins(10);
/// Time until what a comparison may yet find elsewhere is looked at again.
const COMPARISON_AWAITED: Duration = Duration::from_mins(1);
/// The code of what waits for another item, and has not failed.
const WAITS: &str = "waits";
/// The code of an item that waits for a folder which has a problem.
const ABOVE: &str = "above";
/// A problem: the cloud does not show an item, and nothing says that it is gone.
const HIDDEN: &str = "hidden";
/// The longest time for which an item rests that the cloud hides from us.
const HIDDEN_RETRIED_EVERY: Duration = Duration::from_mins(10);
/// The shortest.
const HIDDEN_RETRIED_FIRST: Duration = Duration::from_mins(1);
/// Looks at two items in one place after which that is no matter of an old description any more.
const UNCLEAR_MOST: u32 = 3;
/// Failures of one item before the waits stop growing.
const ATTEMPTS_COUNTED: u32 = 10;

impl Engine {
    /// Fills the working set and decides, within the limits of a step.
    pub(super) fn reconcile(&mut self) -> Result<()> {
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
        for lane in [Lane::News, Lane::Bulk] {
            let Some((after, limit)) = self.schedule.to_load(lane) else { continue };
            for (pos, node, folder) in self.ctx.store.ready(lane, after, limit)? {
                self.schedule.load(node, lane, pos, self.can_work(folder));
            }
        }
        Ok(())
    }

    /// Whether a folder's items can be worked on at all.
    pub(super) fn can_work(&self, id: FolderId) -> bool {
        self.folders.get(&id).is_some_and(|folder| {
            folder.is_open()
                && !folder.row.paused
                && !folder.remote.is_gone
                && self.accounts.get(&folder.account).is_some_and(super::listen::Account::usable)
        })
    }

    /// What the planner says of an item now.
    pub(super) fn plan_of(&self, item: &ItemRow) -> Action {
        let policy = self.folders.get(&item.folder).map(|folder| Policy::of(&folder.settings)).unwrap_or_default();
        plan_under(policy, item)
    }

    /// Decides about one item.
    pub(super) fn consider(&mut self, node: NodeId) -> Result<()> {
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
            if self.goes_with_gone_folder(&item)? {
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
            Action::Settle => self.settle(&item, &work),
            Action::Release => self.release(&item, &work),
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
    pub(super) fn settle(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
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
    pub(super) fn conclude(&mut self, item: &ItemRow, work: &WorkRow, what: &str) -> Result<()> {
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
    pub(super) fn make_way(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId, name: &Name) -> Result<bool> {
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
        let (way, first) = self.way(item, parent, name)?;
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
                    self.ctx.store.mark(occupant.node, occupant.folder, Lane::News, Ask::Nothing, None, now)?;
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
            self.ctx.store.mark(occupant.node, occupant.folder, Lane::News, Ask::State, None, self.ctx.now.wall)?;
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
        let mut chain = Vec::new();
        let mut at = Some(parent);
        while let Some(node) = at {
            if node == item.node {
                // The cloud's tree has no circle, so somebody on the way from there to here is to be moved as well.
                let moves = |plan: &Action| matches!(plan, Action::Move { .. });
                if let Some(other) = self.opens_circle(&chain, moves)? {
                    self.await_node(work, &other)?;
                    return Ok(false);
                }
                self.put_off(work, WAIT_AGAIN, WAITS, "waits for its new folder to move")?;
                return Ok(false);
            }
            if chain.len() >= DEEPEST_PATH {
                // Scans of different moments can put directories into one another, until newer ones arrive.
                self.put_off(work, WAIT_AGAIN, WAITS, "waits for its new folder to move")?;
                return Ok(false);
            }
            chain.push(node);
            at = match self.ctx.store.item(node)?.and_then(|row| row.disk_seat()) {
                Some(SeatRow::At { parent, .. }) => Some(parent),
                Some(SeatRow::Root | SeatRow::Parked(_)) | None => None,
            };
        }
        Ok(true)
    }

    fn fetch_or_publish(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId, name: Name) -> Result<()> {
        let Some(content) = &item.remote.content else {
            return self.put_off(
                work,
                HIDDEN_RETRIED_EVERY,
                "no_content",
                "the cloud does not say what the file holds",
            );
        };
        if !self.may_fetch(item)? {
            return Ok(());
        }
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(()) };
        let staged = folder.staged.get(&item.node).map(|(_, content)| content.version.clone());
        if staged.as_ref() == Some(&content.version) {
            return self.publish_if_allowed(item, work, parent, name);
        }
        if staged.is_some() {
            self.drop_staged(item.folder, item.node);
        }
        let adopts = self.folders.get(&item.folder).is_some_and(|folder| folder.row.adopt);
        // What stood in the way is looked at before anything is fetched in vain.
        let was_blocked = work.problem.as_ref().is_some_and(|(code, _)| [LOCAL_IN_THE_WAY, DRIFT].contains(&&**code));
        let may_be_there = was_blocked || adopts && item.synced.is_none();
        if may_be_there
            && content.hash.is_some()
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

    fn remove(&mut self, item: &ItemRow, work: &WorkRow, kind: ItemKind) -> Result<()> {
        if kind == ItemKind::Folder && self.hide_tree(item, work)? {
            return Ok(());
        }
        if self.ctx.store.sweep_left(item.folder)? {
            // Until everything below is told we do not know how much goes.
            self.await_sweep(item);
            return Ok(());
        }
        let is_asked_about = !self.goes_unasked(item, work)?;
        match kind {
            ItemKind::File if self.hides_an_edit(item) => self.bring_back(item, work),
            ItemKind::File if is_asked_about && self.may_be_elsewhere(item)? => {
                self.wait_quietly(work, COMPARISON_AWAITED)
            }
            ItemKind::File if is_asked_about && self.went_with_folder(item)? && self.reads_on(item.folder) => {
                self.await_sweep(item);
                Ok(())
            }
            ItemKind::File if self.await_answer_above(item, work)? => Ok(()),
            ItemKind::File => {
                if !is_asked_about || self.is_hidden(item)? {
                    return self.want(item, work, Want::RemoveFile);
                }
                if self.is_held_out_of_sight(item)? {
                    return self.show_again(item, work);
                }
                if self.hold_removal(item)? { Ok(()) } else { self.want(item, work, Want::RemoveFile) }
            }
            ItemKind::Folder if self.schedule.is_noted(item.node, Note::Crowded) => self.bring_back(item, work),
            ItemKind::Folder => {
                if self.vacate(item, work)? {
                    self.want(item, work, Want::RemoveFolder)?;
                }
                Ok(())
            }
        }
    }

    /// Whether nobody is asked about the removal of an item, as a person approved it, or as another item is to have its place.
    pub(super) fn goes_unasked(&self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if work.approved || !item.id.is_folder() && self.approved_above(item)? {
            return Ok(true);
        }
        if !work.replaced {
            return Ok(false);
        }
        // The other one may be gone by now.
        let Some(SeatRow::At { parent, name }) = item.disk_seat() else { return Ok(false) };
        let other = self.ctx.store.remote_named(parent, &name.to_text(), false)?;
        let other = other.map(|other| self.ctx.store.item(other)).transpose()?.flatten();
        Ok(other.is_some_and(|other| other.node != item.node && other.remote.presence == Presence::Present))
    }

    /// Whether a file went with its folder, and may have left that before: the stream that would have told is lost or could not be
    /// understood, and the comparison in its place has not met everything yet.
    fn may_be_elsewhere(&self, item: &ItemRow) -> Result<bool> {
        let is_open = self.folders.get(&item.folder).is_some_and(|folder| {
            let looks = matches!(folder.row.scan_stage, Some(ScanStage::Listing | ScanStage::Settling));
            looks && folder.row.unverified.is_some() || folder.doubts_what_went()
        });
        Ok(is_open && self.went_with_folder(item)?)
    }

    /// Whether the folder that held an item is gone.
    fn went_with_folder(&self, item: &ItemRow) -> Result<bool> {
        let Some(above) = item.remote.parent else { return Ok(false) };
        Ok(self.ctx.store.item(above)?.is_some_and(|above| above.remote.presence == Presence::Absent))
    }

    /// Has the stream read to its end, if something went ahead of it. Whether it is to be read still.
    pub(super) fn reads_on(&mut self, id: FolderId) -> bool {
        let Some(folder) = self.folders.get(&id) else { return false };
        let Some(account) = self.accounts.get_mut(&folder.account) else { return false };
        let Some(after) = folder.ahead_of_stream(account.drained) else { return false };
        if account.polls_begun == after {
            // One was under way when the folder was found to be gone, and its end set the interval anew.
            account.poll_now();
        }
        true
    }

    /// A remote folder is found to be gone. If no event had told that, the stream is read on before what it held is believed to be gone.
    pub(super) fn found_folder_gone(&mut self, item: &ItemRow) {
        let was_told = self.questions.expected(item.node).is_some_and(|expected| expected.told == Told::Gone);
        if was_told || !item.id.is_folder() || item.remote.presence != Presence::Present {
            return;
        }
        let Some(folder) = self.folders.get_mut(&item.folder) else { return };
        let polls_begun = self.accounts.get(&folder.account).map_or(0, |account| account.polls_begun);
        folder.found_gone(polls_begun);
        self.poll_for(item.folder);
    }

    /// Whether a file was edited before it was put out of sight. The planner does not see that edit there.
    fn hides_an_edit(&self, item: &ItemRow) -> bool {
        self.policy(item.folder).sends()
            && !item.id.is_folder()
            && matches!(item.disk_seat(), Some(SeatRow::Parked(_)))
            && item.local.as_ref().and_then(LocalRow::edit).is_some()
    }

    /// An item is not where we had put it.
    pub(super) fn lose(&mut self, item: &ItemRow) -> Result<()> {
        self.missing_on_disk(item)?;
        self.ctx.store.mark(item.node, item.folder, Lane::Bulk, Ask::Nothing, None, self.ctx.now.wall)
    }
}
