//! Whole directories that are gone from the cloud: out of sight by one rename, and settled there item by item.

use std::collections::BTreeMap;

use crate::deed::{Base, Deed, DeedOrder, DeedResult, Holding, Keep, KeepIn, OnEdit, Place};
use crate::engine::disk::{DEEDS_PER_BATCH, Want, held};
use crate::engine::remote::{Source, above};
use crate::engine::trees::Progress;
use crate::engine::{Engine, Phase, ROWS_PER_STEP, holds, undo};
use crate::id::{FolderId, JobId, NodeId};
use crate::settings::OnDrift;
use crate::store::Result;
use crate::store::folders::{ComparisonStage, FolderCounts};
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, Presence, SeatRow, SyncedRow};
use crate::store::versions::KeptFolder;
use crate::store::work::{Ask, Priority, WorkRow, WorkState};

/// Folders that are passed over in one step, as they may yet go out of sight.
const PASSED_OVER_MOST: usize = 16;
/// Files that go into the version store by one deed.
const KEPT_AT_ONCE: usize = 1_000;
/// The fewest files of a directory that are kept together: fewer have a number each.
const TOGETHER_LEAST: usize = 8;
/// Directories that cannot go there whole and are passed over in search of those that can.
const NOT_WHOLE_MOST: usize = 4;
/// The most files of a directory that goes into the version store by one rename: their rows leave in one step.
const KEPT_WHOLE_MOST: u64 = 2_000;

impl Engine {
    /// Takes a directory that is gone from the cloud out of sight with all that is in it, if the disk has nothing else there than what was
    /// synced. If a person is to be asked first, it waits with all that is in it. Whether one of them is under way; if not, what is in it goes
    /// one by one.
    pub(in crate::engine) fn hide_tree(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if self.lets_stay(item.folder)? {
            self.make_ready_again(work);
            self.ctx.more = true;
            return Ok(true);
        }
        // One that waits already waits on: what speaks against it now is over before long.
        let is_held = self.ctx.store.is_tree_held(item.node)?;
        if is_held && (self.is_unsure_of_trees(item.folder) || self.reads_on(item.folder)) {
            self.ctx.store.hold_work(item.node)?;
            self.rest(item.node);
            return Ok(true);
        }
        let hides = self.try_to_hide(item, work)?;
        if !hides {
            self.ctx.store.leave_holds(item.node)?;
            // The sweep of what is in it waits no longer.
            self.trees.goes_in_parts(item.node);
        }
        Ok(hides)
    }

    fn try_to_hide(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if !self.may_hide(item)? {
            return Ok(false);
        }
        if self.reads_on(item.folder) {
            self.await_stream(item);
            return Ok(true);
        }
        let below = match self.trees.count(&mut self.ctx, item.node)? {
            Progress::InParts => return Ok(false),
            Progress::More => {
                self.make_ready_again(work);
                self.ctx.more = true;
                return Ok(true);
            }
            Progress::Whole(below) => below,
        };
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(false) };
        let (settings, counts) = (&folder.settings, folder.row.counts);
        if !work.approved && holds::asks_before(&self.ctx, settings, counts, item.folder, below.files)? {
            return self.hold_tree(item, below);
        }
        // What is out of sight and not yet told to be gone is in no count of deletions.
        let is_uncounted = self.ctx.store.any_parked(item.folder)? && self.ctx.store.sweep_left(item.folder)?;
        if !work.approved && is_uncounted
            || !self.retention.has_room_for(&self.ctx, item.folder, settings, below.bytes)?
        {
            return Ok(false);
        }
        self.ctx.store.leave_holds(item.node)?;
        // Its files are not asked about once more.
        self.ctx.store.goes_unasked(item.node)?;
        self.want(item, work, Want::Hide { holds: below.holding })?;
        Ok(true)
    }

    /// Whether what is in a directory that is gone may have left it before, which a comparison has not shown yet.
    fn is_unsure_of_trees(&self, id: FolderId) -> bool {
        self.folders.get(&id).is_none_or(|folder| {
            let compares =
                matches!(folder.row.comparison_stage, Some(ComparisonStage::Listing | ComparisonStage::Settling));
            compares || folder.doubts_what_went()
        })
    }

    /// Whether a directory can go out of sight whole, whatever is in it.
    fn may_hide(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(false) };
        // An edit that is to stay must be seen where it is.
        let sees_edits = folder.policy().sends() || folder.settings.on_drift == OnDrift::Keep;
        if sees_edits || self.is_unsure_of_trees(item.folder) {
            return Ok(false);
        }
        if !is_in_place(item) || item.local.is_some() || item.remote.presence != Presence::Absent {
            return Ok(false);
        }
        // It goes with the directory above, if that is gone as well.
        let above = item.remote.parent.map(|above| self.ctx.store.item(above)).transpose()?.flatten();
        if above.is_none_or(|above| above.remote.presence != Presence::Present) {
            return Ok(false);
        }
        Ok(matches!(self.ctx.place(item.node)?, Some(Place { base: Base::Tree, .. })))
    }

    /// Whether a file went out of sight with a directory of which nobody had to be asked: the file is not asked about once more.
    pub(in crate::engine) fn is_hidden(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(SeatRow::At { parent, .. }) = item.disk_seat() else { return Ok(false) };
        if !matches!(self.ctx.place(parent)?, Some(Place { base: Base::Parked(_), .. })) {
            return Ok(false);
        }
        Ok(self.hidden_above(parent)?.is_some() && !holds::asks_before_any_deletion(&self.ctx, item.folder)?)
    }

    /// The directory that took another one out of sight, be it that one itself, if nobody had to be asked about what is in it, and the
    /// cloud has none of those between them.
    fn hidden_above(&self, dir: NodeId) -> Result<Option<NodeId>> {
        let Some((top, true)) = self.ctx.store.parked_above(dir)? else { return Ok(None) };
        Ok(self.ctx.store.work(top)?.is_some_and(|work| work.approved || work.unasked).then_some(top))
    }

    /// The next remote folder of a watched folder whose children are to be told what became of it. Those that went out of sight whole are
    /// not told one by one: what is in them is settled, in turns with other deeds on that disk, before the sweep goes on.
    pub(in crate::engine) fn next_sweep(&mut self, id: FolderId) -> Result<Option<(NodeId, Presence)>> {
        let mut after = NodeId(0);
        for _ in 0..PASSED_OVER_MOST {
            let next = self.ctx.store.next_sweep(id, after)?;
            let Some((node, Presence::Absent)) = next else { return Ok(next) };
            if self.ctx.store.is_tree_held(node)? {
                // It is told when it leaves the list.
                self.ctx.store.swept(node)?;
                after = node;
                continue;
            }
            if self.may_yet_hide(node)? {
                after = node;
                continue;
            }
            if self.settles(node)? && !holds::asks_before_any_deletion(&self.ctx, id)? {
                self.keep_files(id, after)?;
                return Ok(None);
            }
            return Ok(next);
        }
        Ok(None)
    }

    /// Whether a directory is about to be looked at, and may go out of sight then, or was, and has not gone yet. One that is not on disk any
    /// more never will.
    ///
    /// Example: `a` goes to the trash and is to go out of sight when the disk is free. Before that, somebody removes it.
    fn may_yet_hide(&mut self, dir: NodeId) -> Result<bool> {
        let Some(item) = self.ctx.store.item(dir)? else { return Ok(false) };
        // It goes with the one above, if that does.
        if let Some(above) = item.remote.parent
            && Self::dir_of(&item) == Some(above)
            && self.ctx.store.item(above)?.is_some_and(|above| above.remote.presence == Presence::Absent)
            && self.may_yet_hide(above)?
        {
            return Ok(true);
        }
        if self.trees.knows(dir) {
            let may_go = self.schedule.is_busy(dir) || (is_in_place(&item) && item.local.is_none());
            return Ok(may_go && self.trees.may_be_whole(dir));
        }
        let is_next = matches!(self.schedule.phase(dir), None | Some(Phase::Ready | Phase::AwaitStream))
            && self.can_work(item.folder);
        let is_ready = |work: WorkRow| work.state == WorkState::Ready && work.mark.is_none();
        Ok(is_next && self.ctx.store.work(dir)?.is_some_and(is_ready) && self.may_hide(&item)?)
    }

    /// Whether what is in a remote folder that is gone is settled out of sight.
    fn settles(&mut self, dir: NodeId) -> Result<bool> {
        let is_out_of_sight = matches!(self.ctx.place(dir)?, Some(Place { base: Base::Parked(_), .. }));
        Ok(is_out_of_sight
            && self.hidden_above(dir)?.is_some()
            && above::asked_from(&self.ctx, &self.questions, Some(dir))?.is_none())
    }

    /// Orders files of directories out of sight into the version store, those of the one behind `after` first, if the disk is free and it is
    /// their turn.
    fn keep_files(&mut self, id: FolderId, mut after: NodeId) -> Result<()> {
        if self.reads_on(id) {
            return Ok(());
        }
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let is_free = folder.batch.is_none() && folder.building.is_empty() && folder.queue.is_empty();
        if !is_free || !folder.is_open() || folder.row.paused {
            return Ok(());
        }
        self.ctx.more = true;
        if std::mem::take(&mut folder.kept_last) {
            return Ok(());
        }
        if self.keep_folders(id, after)? {
            return Ok(());
        }
        let (mut dirs, mut nodes, mut first) = (Vec::new(), Vec::new(), None);
        while nodes.len() < KEPT_AT_ONCE && self.ctx.rows_left() > 0 {
            let Some((dir, Presence::Absent)) = self.ctx.store.next_sweep(id, after)? else { break };
            // One that can go whole has the next turn.
            if !self.settles(dir)? || self.goes_whole(id, dir)?.is_some() {
                break;
            }
            if self.tell_folders_in(dir)? {
                after = dir;
                continue;
            }
            let Some(at) = self.ctx.place(dir)? else { break };
            let files = self.take_files(dir, KEPT_AT_ONCE - nodes.len(), &mut nodes)?;
            if files.is_empty() {
                // A directory with more in it than a step may go through has another turn.
                if self.ctx.rows_left() > 0 {
                    self.sweep.end();
                    self.ctx.store.swept(dir)?;
                }
                continue;
            }
            after = dir;
            first.get_or_insert(dir);
            let is_many = files.len() >= TOGETHER_LEAST && !self.tells_of_removals(id);
            let into =
                if is_many && !self.ctx.store.has_kept_off(id, dir)? { Some(self.ctx.store.next_job()?) } else { None };
            dirs.push(KeepIn { at, files, into });
        }
        let Some(node) = first else { return Ok(()) };
        let order = DeedOrder { job: self.ctx.store.next_job()?, deed: Deed::KeepFiles { dirs } };
        let intent = IntentRow { node, folder: id, order, seat: NewSeat::AllNowhere { nodes } };
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.building.add(intent, None, true);
        }
        Ok(())
    }

    /// Tells the folders in a directory out of sight that they are gone: those go first, and then it may go whole with the files in it.
    /// Whether there were any.
    fn tell_folders_in(&mut self, dir: NodeId) -> Result<bool> {
        if self.trees.is_kept_by_file(dir) {
            return Ok(false);
        }
        let folders = self.ctx.store.few_folders_in(dir, KEPT_WHOLE_MOST)?;
        self.ctx.gone_through += folders.len();
        let asked = self.ctx.store.generation();
        let mut were_told = false;
        for node in folders {
            let Some(folder) = self.ctx.store.item(node)? else { continue };
            self.gone(&folder, Presence::Absent, Source::Listing(Priority::Bulk, asked))?;
            // One of which something newer was heard is not believed to be gone, and would be told for ever.
            were_told |= self.ctx.store.item(node)?.is_none_or(|folder| folder.remote.presence != Presence::Present);
        }
        Ok(were_told)
    }

    /// Orders directories out of sight into the version store that hold nothing but files with which nothing else is to be done, the deepest
    /// first. Whether there are any.
    fn keep_folders(&mut self, id: FolderId, after: NodeId) -> Result<bool> {
        let mut whole = Vec::new();
        let (mut before, mut passed) = (NodeId(i64::MAX), 0);
        while whole.len() < DEEDS_PER_BATCH && passed < NOT_WHOLE_MOST && self.ctx.rows_left() > 0 {
            let Some((dir, presence)) = self.ctx.store.sweep_before(id, before)? else { break };
            before = dir;
            let holds =
                if presence == Presence::Absent && self.settles(dir)? { self.goes_whole(id, dir)? } else { None };
            match holds.zip(self.ctx.place(dir)?) {
                Some((holds, at)) => whole.push((dir, at, holds)),
                None => passed += 1,
            }
        }
        // Example: five directories with an edited file in each have higher numbers than the next one of the sweep, and four are passed over.
        if whole.is_empty()
            && let Some((dir, Presence::Absent)) = self.ctx.store.next_sweep(id, after)?
            && self.settles(dir)?
            && let Some(holds) = self.goes_whole(id, dir)?
            && let Some(at) = self.ctx.place(dir)?
        {
            whole.push((dir, at, holds));
        }
        let Some(folder) = self.folders.get_mut(&id).filter(|_| !whole.is_empty()) else { return Ok(false) };
        for (node, at, holds) in whole {
            let order = DeedOrder { job: self.ctx.store.next_job()?, deed: Deed::KeepFolder { at, holds } };
            folder.building.add(IntentRow { node, folder: id, order, seat: NewSeat::Nowhere }, None, false);
        }
        Ok(true)
    }

    /// What a directory out of sight holds, if it goes into the version store by one rename.
    fn goes_whole(&mut self, id: FolderId, dir: NodeId) -> Result<Option<Holding>> {
        if self.tells_of_removals(id) || self.trees.is_kept_by_file(dir) {
            return Ok(None);
        }
        let Some(holds) = self.ctx.store.settled_files(dir, KEPT_WHOLE_MOST)? else { return Ok(None) };
        self.ctx.gone_through += holds.entries as usize;
        Ok(if self.ctx.store.has_kept_off(id, dir)? { None } else { Some(holds) })
    }

    /// A directory out of sight went into the version store with the files in it, or did not.
    pub(in crate::engine) fn folder_kept(&mut self, intent: &IntentRow, result: &DeedResult) -> Result<()> {
        let (id, node) = (intent.folder, intent.node);
        self.schedule.unqueue(node);
        self.schedule.make_ready(node, Priority::News);
        let Some(dir) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        if !matches!(result, DeedResult::Done { .. }) {
            // Its files go one by one, and what is in the way of one of them is told then.
            self.trees.keep_by_file(node);
            return Ok(());
        }
        self.trees.forget(node);
        let path = self.ctx.shown_path(&dir)?;
        let kept = KeptFolder { job: intent.order.job, folder: id, node, id: &dir.id, path: &path };
        let settings = self.folders.get(&id).map(|folder| &folder.settings);
        self.retention.keep_folder(&mut self.ctx, settings, &kept)?;
        // If the directory came back while the deed was under way, a listing may have met its files since: no row is dropped.
        let is_hidden = self.hidden_above(node)?.is_some();
        let (files, bytes) = if is_hidden { self.ctx.store.drop_settled(node)? } else { (0, 0) };
        if is_hidden && !self.ctx.store.has_children(node)? {
            // Nothing is left in it to be told, and it does not stand before those that can go whole.
            self.sweep.begin_again(node);
            self.ctx.store.swept(node)?;
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.count(FolderCounts { files: -files, bytes: -bytes, ..FolderCounts::default() });
            folder.kept_last = true;
        }
        let mut gone = files.max(0) as u64;
        let is_counted = self.counts_in(node)?;
        // Those of which something was heard meanwhile are decided anew; they are no longer where they were.
        while let Some(other) =
            self.ctx.store.seated_in(node)?.map(|other| self.ctx.store.item(other)).transpose()?.flatten()
        {
            gone += 1;
            self.put_nowhere(&other)?;
            self.ctx.store.mark(other.node, id, Priority::News, Ask::Nothing, None, self.ctx.now.wall)?;
        }
        self.ctx.store.count_deletions(id, if is_counted { gone } else { 0 }, self.ctx.now.wall)?;
        self.put_nowhere(&dir)?;
        self.done(&dir, intent, "removed")?;
        self.ctx.store.mark(node, id, Priority::News, Ask::Nothing, None, self.ctx.now.wall)?;
        if let Some(above) = Self::dir_of(&dir) {
            self.schedule.wake_waiters(above);
        }
        Ok(())
    }

    /// The next files of a directory out of sight for which nothing else is to be done, at most `most`. The directories in it, and its other
    /// files, are told that they are gone.
    fn take_files(&mut self, dir: NodeId, most: usize, nodes: &mut Vec<NodeId>) -> Result<Vec<Keep>> {
        let asked = self.ctx.store.generation();
        let mut files = Vec::new();
        let mut after = self.sweep.after(dir);
        while self.ctx.rows_left() > 0 {
            let page = u32::try_from(most.min(self.ctx.rows_left())).unwrap_or(ROWS_PER_STEP);
            let children = self.ctx.store.remote_children(dir, after, page)?;
            self.ctx.gone_through += children.len();
            let is_last = children.len() < page as usize;
            for child in children {
                after = child.node;
                if child.remote.presence != Presence::Present {
                    continue;
                }
                let expect = match &child.synced {
                    Some(SyncedRow { seat: SeatRow::At { parent, name }, content: Some(_), stamp })
                        if *parent == dir && child.local.is_none() =>
                    {
                        Some((name.clone(), *stamp))
                    }
                    _ => None,
                };
                match expect {
                    Some(_) if files.len() == most => return Ok(files),
                    Some((name, expect)) if self.ctx.store.work(child.node)?.is_none() => {
                        files.push(Keep { name, expect, job: self.ctx.store.next_job()? });
                        nodes.push(child.node);
                    }
                    _ => self.gone(&child, Presence::Absent, Source::Listing(Priority::Bulk, asked))?,
                }
            }
            if files.is_empty() {
                // What was told is not gone through again.
                self.sweep.reached(dir, Some(after));
            }
            if is_last {
                break;
            }
        }
        Ok(files)
    }

    /// Files out of sight went into the version store, or did not.
    pub(in crate::engine) fn files_kept(
        &mut self,
        intent: &IntentRow,
        dirs: &[KeepIn],
        result: DeedResult,
    ) -> Result<()> {
        let NewSeat::AllNowhere { nodes } = &intent.seat else { return Ok(()) };
        let mut kept = match result {
            DeedResult::Kept { files } => files,
            _ => Vec::new(),
        }
        .into_iter();
        let files = dirs.iter().flat_map(|dir| dir.files.iter().map(move |file| (dir, file)));
        let (mut count, mut hidden, mut together) = (0, BTreeMap::new(), BTreeMap::new());
        let mut counted = BTreeMap::new();
        for ((dir, file), node) in files.zip(nodes) {
            let displaced = kept.next().flatten();
            let Some(item) = self.ctx.store.item(*node)? else { continue };
            let is_hidden = match item.remote.parent {
                Some(parent) => match hidden.get(&parent) {
                    Some(known) => *known,
                    None => *hidden.entry(parent).or_insert(self.hidden_above(parent)?.is_some()),
                },
                None => false,
            };
            let Some(displaced) = displaced else {
                // It goes by itself, and what is in its way is told then.
                self.file_not_kept(&item, is_hidden)?;
                continue;
            };
            if let Some(SeatRow::At { parent, .. }) = item.disk_seat() {
                let is_counted = match counted.get(&parent) {
                    Some(known) => *known,
                    None => *counted.entry(parent).or_insert(self.counts_in(parent)?),
                };
                count += u64::from(is_counted);
            }
            if let Some(job) = dir.into.filter(|_| !displaced.edited) {
                self.ctx.store.keep_in_folder(job, item.node)?;
                if let Some(SeatRow::At { parent, .. }) = item.disk_seat() {
                    together.insert(job, parent);
                }
                self.file_gone(&item, is_hidden)?;
                continue;
            }
            let deed = Deed::RemoveFile { at: dir.at.join(&file.name), expect: file.expect, on_edit: OnEdit::Displace };
            let order = DeedOrder { job: file.job, deed };
            let one = IntentRow { node: *node, folder: item.folder, order, seat: NewSeat::Nowhere };
            let settings = self.folders.get(&item.folder).map(|folder| &folder.settings);
            self.retention.keep(&mut self.ctx, settings, &one, &item, displaced)?;
            self.file_kept(&item, &one, is_hidden)?;
        }
        for (job, dir) in together {
            self.kept_together(intent, job, dir)?;
        }
        self.ctx.store.count_deletions(intent.folder, count, self.ctx.now.wall)?;
        if let Some(folder) = self.folders.get_mut(&intent.folder) {
            folder.kept_last = true;
        }
        // It was taken for busy where the deed was found after a crash.
        self.schedule.unqueue(intent.node);
        self.schedule.make_ready(intent.node, Priority::News);
        Ok(())
    }

    fn file_not_kept(&mut self, item: &ItemRow, is_hidden: bool) -> Result<()> {
        if is_hidden && item.remote.presence == Presence::Present {
            let asked = self.ctx.store.generation();
            return self.gone(item, Presence::Absent, Source::Listing(Priority::Bulk, asked));
        }
        self.ctx.store.mark(item.node, item.folder, Priority::Bulk, Ask::Nothing, None, self.ctx.now.wall)
    }

    /// Files of a directory out of sight are kept together under one number.
    fn kept_together(&mut self, intent: &IntentRow, job: JobId, dir: NodeId) -> Result<()> {
        let Some(dir) = self.ctx.store.item(dir)? else { return Ok(()) };
        let path = self.ctx.shown_path(&dir)?;
        let kept = KeptFolder { job, folder: intent.folder, node: dir.node, id: &dir.id, path: &path };
        let settings = self.folders.get(&intent.folder).map(|folder| &folder.settings);
        self.retention.keep_together(&mut self.ctx, settings, &kept)?;
        self.ctx.store.add_action(intent.folder, dir.node, &path, "files removed", None, self.ctx.now.wall)
    }

    /// A file is off the disk, of which no more is told.
    fn file_gone(&mut self, item: &ItemRow, is_hidden: bool) -> Result<()> {
        if self.is_told_done(item, is_hidden)? {
            return self.drop_kept(item);
        }
        self.put_nowhere(item)?;
        self.ctx.store.mark(item.node, item.folder, Priority::News, Ask::Nothing, None, self.ctx.now.wall)
    }

    /// Whether nothing is left to do for a file that is off the disk, as the cloud does not have its directory either.
    fn is_told_done(&self, item: &ItemRow, is_hidden: bool) -> Result<bool> {
        Ok(is_hidden && item.remote.presence == Presence::Present && self.ctx.store.work(item.node)?.is_none())
    }

    /// A file is off the disk. Nothing is left to do for it, if the cloud does not have its directory either; else it is decided anew.
    fn file_kept(&mut self, item: &ItemRow, intent: &IntentRow, is_hidden: bool) -> Result<()> {
        if !self.is_told_done(item, is_hidden)? {
            self.put_nowhere(item)?;
            self.done(item, intent, "removed")?;
            return self.ctx.store.mark(item.node, item.folder, Priority::News, Ask::Nothing, None, self.ctx.now.wall);
        }
        self.done(item, intent, "removed")?;
        undo::remember_version(&mut self.ctx, item)?;
        self.drop_kept(item)
    }

    /// Drops the row of a file that is off the disk, and was in no count but those of its folder.
    fn drop_kept(&mut self, item: &ItemRow) -> Result<()> {
        let held = held(item, item.synced.as_ref());
        if let Some(folder) = self.folders.get_mut(&item.folder) {
            folder.count(FolderCounts {
                files: -held.files,
                folders: -held.folders,
                bytes: -held.bytes,
                removals: -held.removals,
            });
        }
        self.ctx.store.drop_item(item.node)?;
        self.leave(item.node);
        Ok(())
    }
}

/// Whether an item is on disk, in sight.
fn is_in_place(item: &ItemRow) -> bool {
    matches!(item.synced.as_ref().map(|synced| &synced.seat), Some(SeatRow::At { .. }))
}
