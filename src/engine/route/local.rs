//! The disk: whose turn it is, what scans show, and what that means for the items and for those that count them.

use crate::engine::disk::Want;
use crate::engine::effect::{Effect, LocalTask};
use crate::engine::jobs::Job;
use crate::engine::local::{self, Here, Scan};
use crate::engine::{Engine, folders::Folder};
use crate::id::{FolderId, NodeId};
use crate::local_news::{DirScan, EntryKind, News, Rescan, ScanFailure};
use crate::path::Name;
use crate::plan::{Action, Policy};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalEdit, LocalRow, SeatRow};
use crate::store::work::WorkRow;
use crate::tree::Stamp;

/// What is scanned when.
impl Engine {
    /// What a folder's settings say of who decides.
    pub(in crate::engine) fn policy(&self, id: FolderId) -> Policy {
        self.folders.get(&id).map(Folder::policy).unwrap_or_default()
    }

    /// A watcher noticed something.
    pub(in crate::engine) fn local_news(&mut self, id: FolderId, news: News) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(root) = folder.row.root else { return Ok(()) };
        match news {
            News::Dirs(dirs) => local::hinted(&mut self.ctx, id, root, &dirs),
            News::Root => {
                folder.look_at_root_by(now);
                Ok(())
            }
            News::Rescan(Rescan::Asked) => self.scan_unwatched(id),
            News::Rescan(why) => {
                folder.watch.heard(why, now);
                self.scan_all(id)
            }
        }
    }

    /// Scans a folder from its root down.
    pub(in crate::engine) fn scan_all(&mut self, id: FolderId) -> Result<()> {
        match self.folders.get(&id).and_then(|folder| folder.row.root) {
            Some(root) => self.ctx.store.want_scan(root, id, true, self.ctx.now.wall),
            None => Ok(()),
        }
    }

    /// Looks at what is not watched, and at what could not be read before. Nothing where every directory is watched.
    pub(in crate::engine) fn scan_unwatched(&mut self, id: FolderId) -> Result<()> {
        self.ctx.store.scan_failed_now(id, self.ctx.now.wall)?;
        if self.folders.get(&id).is_some_and(|folder| folder.watch.trouble().is_some()) {
            self.scan_all(id)?;
        }
        Ok(())
    }

    /// A directory and, from now on, what is in it is looked at again.
    pub(in crate::engine) fn rescan_around(&mut self, item: &ItemRow) -> Result<()> {
        local::rescan_around(&mut self.ctx, item)
    }

    /// When a folder's next scan can begin, on the clock that never jumps.
    pub(in crate::engine) fn scan_deadline(&self, id: FolderId) -> Option<u64> {
        let folder = self.folders.get(&id)?;
        let scans = folder.is_open() && !folder.row.paused && folder.batch.is_none() && folder.watch.is_on();
        if scans { folder.watch.deadline(&self.ctx, id) } else { None }
    }

    /// Hands out scans, one for each folder, in turn with its deeds.
    pub(in crate::engine) fn drive_scans(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            self.watch(id)?;
            if !self.folders.get(&id).is_some_and(|folder| folder.watch.is_on()) {
                continue;
            }
            self.local.tell_vanished(&mut self.ctx, id)?;
            self.tell_of_disk(id);
            let (now, quiet) = (self.ctx.now.mono, self.quiet_for(id));
            if self.folders.get_mut(&id).is_some_and(|folder| folder.watch.scans_all(quiet, now)) {
                self.scan_all(id)?;
            }
            self.drive_decisions(id)?;
            self.begin_scan(id)?;
        }
        Ok(())
    }

    /// Begins to watch a folder whose mode listens to the disk.
    fn watch(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(root) = folder.row.root.filter(|_| folder.is_open()) else { return Ok(()) };
        if !folder.watch.begin() {
            return Ok(());
        }
        let is_settled = folder.row.verified_at.is_some() && folder.row.unverified.is_none();
        local::begin_watch(&mut self.ctx, id, root, is_settled)
    }

    fn begin_scan(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        if !folder.is_open() || folder.row.paused || folder.batch.is_some() || !folder.building.is_empty() {
            return Ok(());
        }
        if folder.watch.takes_turn(!folder.queue.is_empty()) { self.order_scans(id, Vec::new()) } else { Ok(()) }
    }

    /// Orders scans of directories: those that go on, and those whose turn it is.
    fn order_scans(&mut self, id: FolderId, going_on: Vec<Scan>) -> Result<()> {
        let (orders, scans) = local::next_scans(&mut self.ctx, id, going_on)?;
        if orders.is_empty() {
            return Ok(());
        }
        // Like a folder's one batch of deeds it always has room.
        let job = self.jobs.start_on_disk(&mut self.ctx.store, Job::Scan { folder: id, scans })?;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.batch = Some(job);
        }
        self.ctx.out.push(Effect::Local { job, folder: id, task: LocalTask::Scan(orders) });
        Ok(())
    }

    /// Takes one page of scans.
    pub(in crate::engine) fn scanned(
        &mut self,
        id: FolderId,
        scans: Vec<Scan>,
        results: Vec<std::result::Result<DirScan, ScanFailure>>,
    ) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.batch = None;
        folder.watch.scanned();
        let building = &folder.building;
        // No job is under way on this disk now.
        let is_in_use = |dir| building.intents().iter().any(|intent| local::goes_into(intent, dir));
        let sends = Policy::of(&folder.settings).sends();
        let here = Here { id, sends, filter: &folder.filter, is_in_use: &is_in_use };
        let scanned = self.local.scanned(&mut self.ctx, &here, &mut folder.watch, scans, results)?;
        self.tell_of_disk(id);
        if let Some(error) = scanned.root_lost {
            self.root_failed(id, &error);
        }
        if scanned.going_on.is_empty() { Ok(()) } else { self.order_scans(id, scanned.going_on) }
    }
}

/// What was seen of items.
impl Engine {
    /// Tells others what was seen on the disk of a folder.
    fn tell_of_disk(&mut self, id: FolderId) {
        let told = self.local.take_told();
        if told.observed {
            self.holds.more_missing(id);
        }
        for node in told.left {
            self.leave(node);
        }
    }

    /// Writes down what the disk has of an item, and marks it if that is news.
    pub(in crate::engine) fn observe(&mut self, item: &ItemRow, local: Option<LocalRow>) -> Result<()> {
        self.local.observe(&mut self.ctx, item, local)?;
        self.tell_of_disk(item.folder);
        Ok(())
    }

    /// A complete scan did not find an item where it was.
    pub(in crate::engine) fn missing(&mut self, item: &ItemRow) -> Result<()> {
        self.local.missing(&mut self.ctx, item)?;
        self.tell_of_disk(item.folder);
        Ok(())
    }

    /// Drops the row of something new that turned out to be known, with those of what was found in it.
    pub(in crate::engine) fn drop_found(&mut self, found: &ItemRow) -> Result<()> {
        self.local.drop_found(&mut self.ctx, found)?;
        self.tell_of_disk(found.folder);
        Ok(())
    }

    /// What only the disk has, and what the cloud has in the same place and the disk had not until now, are one from now on, if they can be.
    /// Whether they are.
    pub(in crate::engine) fn meet(&mut self, ours: &ItemRow, theirs: &ItemRow) -> Result<bool> {
        if self.schedule.is_busy(ours.node) || !local::may_meet(&self.ctx, ours, theirs)? {
            return Ok(false);
        }
        self.local.meet(&mut self.ctx, ours, theirs)?;
        self.tell_of_disk(ours.folder);
        Ok(true)
    }

    /// What is missing here was already met as something new elsewhere.
    pub(in crate::engine) fn found_elsewhere(&mut self, item: &ItemRow) -> Result<Option<ItemRow>> {
        let found = self.local.found_elsewhere(&mut self.ctx, item)?;
        self.tell_of_disk(item.folder);
        Ok(found)
    }

    /// The synced side of an item changed: what the disk has of it is compared with that again.
    pub(in crate::engine) fn rebase(
        &mut self,
        node: NodeId,
        was: Option<&SeatRow>,
        edit: Option<LocalEdit>,
    ) -> Result<()> {
        local::rebase(&mut self.ctx, node, was, edit)
    }

    /// Whether the patterns want an item at another place than its own.
    pub(in crate::engine) fn wanted_at(&mut self, item: &ItemRow, parent: NodeId, name: &Name) -> Result<bool> {
        match self.folders.get(&item.folder) {
            Some(folder) => local::wants(&mut self.ctx, &folder.filter, (parent, name), item.id.is_folder()),
            None => Ok(true),
        }
    }

    /// Whether a directory that only the disk has may yet turn out to hold nothing for the cloud.
    pub(in crate::engine) fn may_be_hollow(&self, dir: &ItemRow) -> Result<bool> {
        let batch = self.folders.get(&dir.folder).and_then(|folder| folder.batch);
        local::may_be_hollow(&self.ctx, |dir| batch.is_some_and(|job| self.jobs.is_scan_of(job, dir)), dir)
    }

    /// An item that a deed under way puts into a directory, if there is one.
    pub(in crate::engine) fn comes_into(&self, dir: &ItemRow) -> Option<NodeId> {
        let folder = self.folders.get(&dir.folder)?;
        let under_way = folder.batch.map_or(&[][..], |job| self.jobs.deeds(job));
        let mut all = under_way.iter().chain(folder.building.intents());
        all.find(|intent| local::goes_into(intent, dir.node)).map(|intent| intent.node)
    }
}

/// What stands in items' places.
impl Engine {
    /// What stands in an item's place goes aside, so that the item can come back.
    pub(in crate::engine) fn uncover(&mut self, item: &ItemRow, work: &WorkRow, by: EntryKind) -> Result<()> {
        let aside = if local::stays_in_sight(by) { self.copy_place(item)? } else { None };
        if aside.is_none() && local::stays_in_sight(by) {
            return self.wait_for_scans(work);
        }
        self.want(item, work, Want::Uncover { aside })
    }

    /// An item is covered, and nothing is to be done about that.
    pub(in crate::engine) fn leave_covered(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        by: EntryKind,
        stamp: Stamp,
    ) -> Result<()> {
        self.conclude(item, work, "left as it is")?;
        let sends = self.policy(item.folder).sends();
        if let Some((code, text)) = local::complaint(&mut self.ctx, item, (by, stamp), sends)? {
            return self.item_failed(item.node, code, &text, None);
        }
        self.ctx.store.finish(item.node)?;
        self.leave(item.node);
        Ok(())
    }

    /// Lets an item wait whose directory is covered, or gives it a problem that says so. Whether it is.
    pub(in crate::engine) fn await_covered(&mut self, item: &ItemRow, work: &WorkRow, above: &ItemRow) -> Result<bool> {
        let Some(LocalRow::Covered { by, .. }) = above.local else { return Ok(false) };
        if self.plan_of(above) != Action::Leave {
            self.await_node(work, above)?;
            return Ok(true);
        }
        let (code, text) = local::above_is_covered(&mut self.ctx, above, by)?;
        self.drop_staged(item.folder, item.node);
        self.item_failed(item.node, code, &text, None)?;
        Ok(true)
    }
}
