//! What stays and what goes: brakes, version stores, local copies whose time is over, and room on the disk, asked for an item's sake.

use crate::deed::DiskError;
use crate::engine::disk::Want;
use crate::engine::holds::{self, Brake};
use crate::engine::hooks::Story;
use crate::engine::room::{self, NO_ROOM, ROOM_IS_MADE_WITHIN, ROOM_LOOKED_FOR_EVERY, Seen, WAITS};
use crate::engine::undo::{self, Verdict};
use crate::engine::{Engine, millis, retention};
use crate::hook::HookKind;
use crate::id::{FolderId, NodeId};
use crate::plan::Action;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, SeatRow};
use crate::store::work::{Priority, WorkRow};
use crate::tree::Wall;

/// The brakes.
impl Engine {
    /// Holds the removal of a file from disk if it must wait for a person, or if the version store has no room for it. Whether it is held.
    pub(in crate::engine) fn hold_removal(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(true) };
        let brake = holds::hold_removal(&mut self.ctx, &folder.settings, folder.row.counts, item)?;
        if self.stop_at(brake, item)? { Ok(true) } else { self.hold_if_full(item) }
    }

    /// Whether a file that is to be held is out of sight: people are told that what waits stays on disk, and would not find it.
    ///
    /// Example: `x` becomes `y`, where a user has a directory, and makes room for another `x`. Then it goes to the trash.
    pub(in crate::engine) fn is_held_out_of_sight(&self, item: &ItemRow) -> Result<bool> {
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(false) };
        let is_parked = matches!(item.disk_seat(), Some(SeatRow::Parked(_)));
        Ok(is_parked && holds::asks_before(&self.ctx, &folder.settings, folder.row.counts, item.folder, 0)?)
    }

    /// Holds a file's way into the cloud's trash if it must wait for a person. Whether it is held.
    pub(in crate::engine) fn hold_trash(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(true) };
        let brake = self.holds.hold_trash(&mut self.ctx, &folder.settings, folder.row.counts, item)?;
        self.stop_at(brake, item)
    }

    fn stop_at(&mut self, brake: Brake, item: &ItemRow) -> Result<bool> {
        let Brake::On(news) = brake else { return Ok(false) };
        if let Some(text) = news {
            self.happened(Story::at_large(HookKind::Hold, None, Some(item.folder), text), None)?;
        }
        self.rest(item.node);
        Ok(true)
    }

    /// Whether so many files of a folder are to go into the cloud's trash that a person is asked first.
    pub(in crate::engine) fn asks_before_trash(&mut self, id: FolderId) -> Result<bool> {
        let Some(folder) = self.folders.get(&id) else { return Ok(true) };
        self.holds.asks_before_trash(&self.ctx, &folder.settings, folder.row.counts, id)
    }

    /// Holds an item whose deed would displace content, if the version store is full of what is too young to be given up. Whether it is
    /// held now.
    pub(in crate::engine) fn hold_if_full(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(false) };
        let is_held = self.retention.hold_if_full(&mut self.ctx, &folder.settings, item)?;
        if is_held {
            self.rest(item.node);
        }
        Ok(is_held)
    }

    /// Whether an item must wait, as it is only being found out what a change of the mode would bring.
    pub(in crate::engine) fn only_previews(&self, folder: FolderId, action: &Action) -> bool {
        !holds::changes_nothing(action) && self.folders.get(&folder).is_some_and(|folder| folder.preview)
    }
}

/// What is kept off the disk, and for how long what is on it stays.
impl Engine {
    /// Keeps an item that would be fetched, or left as it is, away from the disk if it is to be. Whether it is.
    pub(in crate::engine) fn keep_away(&mut self, item: &ItemRow, work: &WorkRow, plan: &Action) -> Result<bool> {
        match undo::verdict_on(&self.ctx, item, plan)? {
            None => {
                let settings = self.folders.get(&item.folder).map(|folder| &folder.settings);
                if !matches!(plan, Action::Fetch { .. }) || !retention::expire_unfetched(&mut self.ctx, settings, item)?
                {
                    return Ok(false);
                }
                self.settle(item, work)?;
            }
            Some(Verdict::Over) => {
                self.ctx.store.unbury(item.node)?;
                if *plan == Action::Acknowledge {
                    // The disk has the new version already, and its time begins with that.
                    self.note_arrival(item)?;
                }
                return Ok(false);
            }
            Some(Verdict::Remove) => self.want(item, work, Want::RemoveFile)?,
            Some(Verdict::Stay) => self.settle(item, work)?,
        }
        Ok(true)
    }

    /// What we had put on disk is not there (any more).
    pub(in crate::engine) fn missing_on_disk(&mut self, item: &ItemRow) -> Result<()> {
        // What something else stands in the place of was not deleted.
        if !matches!(item.local, Some(LocalRow::Covered { .. })) {
            self.accept_deletion(item)?;
        }
        self.put_nowhere(item)
    }

    /// A file that we had put on disk was deleted there: whether its folder accepts that.
    pub(in crate::engine) fn accept_deletion(&mut self, item: &ItemRow) -> Result<bool> {
        match self.folders.get(&item.folder) {
            Some(folder) => undo::accept_deletion(&mut self.ctx, &folder.settings, item),
            None => Ok(false),
        }
    }

    /// Whether a file that was found edited had only to go because its time was over: then it stays, and its time begins anew.
    pub(in crate::engine) fn spare_edited(&mut self, item: &ItemRow) -> Result<bool> {
        let is_spared = undo::spare_expired(&mut self.ctx, item)?;
        if is_spared {
            self.note_arrival(item)?;
        }
        Ok(is_spared)
    }

    /// A file was put on disk.
    pub(in crate::engine) fn note_arrival(&mut self, item: &ItemRow) -> Result<()> {
        let settings = self.folders.get(&item.folder).map(|folder| &folder.settings);
        retention::note_arrival(&mut self.ctx, settings, item)
    }

    /// Brings the version stores within their bounds, and forgets what is too old to be of use.
    pub(in crate::engine) fn tend_all_versions(&mut self) -> Result<()> {
        for (id, folder) in &self.folders {
            self.retention.tend(&mut self.ctx, *id, &folder.settings)?;
        }
        retention::forget_old_versions(&mut self.ctx)
    }

    /// Finds files whose time on this disk is over.
    pub(in crate::engine) fn expire(&mut self) -> Result<()> {
        let seen = self.accounts.values().filter_map(|account| account.row.polled_at).max();
        let went_back = self.retention.look_at_clock(&self.ctx, seen);
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            if went_back {
                self.ctx.store.clamp_arrivals(id, self.ctx.now.wall)?;
            }
            let has_room = self.can_work(id) && !self.schedule.has_enough(Priority::Bulk);
            if let Some(folder) = self.folders.get(&id) {
                self.retention.expire(&mut self.ctx, id, &folder.settings, has_room)?;
            }
        }
        Ok(())
    }

    /// When the next file's time is over.
    pub(in crate::engine) fn next_expiry(&self) -> Option<Wall> {
        let works = self.folders.iter().filter(|(id, _)| self.can_work(**id));
        works.filter_map(|(id, folder)| self.retention.next_expiry(&self.ctx, *id, &folder.settings)).min()
    }
}

/// Room on the disk.
impl Engine {
    /// The disk has no room for an item. Before that is a problem, room is made if it can be.
    pub(in crate::engine) fn no_room(&mut self, node: NodeId, error: &DiskError) -> Result<()> {
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        self.drop_staged(item.folder, node);
        let Some(folder) = self.folders.get_mut(&item.folder) else { return Ok(()) };
        folder.room.falls_short();
        folder.look_at_root_by(self.ctx.now.mono);
        if work.problem.as_ref().is_some_and(|(code, _)| [NO_ROOM, WAITS].contains(&&**code)) {
            return self.item_failed(node, NO_ROOM, &error.to_string(), None);
        }
        folder.room.wants(room::needed(&item));
        self.put_off(&work, ROOM_IS_MADE_WITHIN, WAITS, "waits for room on the disk")
    }

    /// Puts an item off that is known not to fit, so that fetching it would be in vain. Whether it is.
    pub(in crate::engine) fn fail_without_room(&mut self, item: &ItemRow) -> Result<bool> {
        let lacks = self.folders.get(&item.folder).and_then(|folder| folder.room.lacks(item));
        let Some(text) = lacks else { return Ok(false) };
        self.drop_staged(item.folder, item.node);
        self.item_failed(item.node, NO_ROOM, &text, None)?;
        Ok(true)
    }

    /// The disk was looked at: if nothing fits that waits for room, room is made for the smallest.
    pub(in crate::engine) fn room_seen(&mut self, id: FolderId, free: u64, is_first: bool) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Seen::Short { missing } = folder.room.take_look(&mut self.ctx, id, free, is_first)? else { return Ok(()) };
        folder.look_at_root_by(now + millis(ROOM_LOOKED_FOR_EVERY));
        if missing > 0 && self.retention.spare(&mut self.ctx, id, &folder.settings, missing)? {
            // Whether that was enough is seen when it is gone.
            folder.look_at_root_by(now + millis(ROOM_IS_MADE_WITHIN) / 2);
        }
        Ok(())
    }
}
