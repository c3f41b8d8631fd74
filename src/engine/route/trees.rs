//! Whole directories that are gone from the cloud: out of sight by one rename, and settled there item by item.

use crate::deed::{Base, Place};
use crate::engine::Engine;
use crate::engine::disk::Want;
use crate::engine::holds;
use crate::engine::trees::Progress;
use crate::id::FolderId;
use crate::settings::OnDrift;
use crate::store::Result;
use crate::store::folders::ScanStage;
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::work::WorkRow;

impl Engine {
    /// Takes a directory that is gone from the cloud out of sight with all that is in it, if the disk has nothing else there than what was
    /// synced, and nobody is to be asked first. Whether that is under way; if not, what is in it goes one by one.
    pub(in crate::engine) fn hide_tree(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if !self.may_hide(item)? || self.reads_on(item.folder) {
            return Ok(false);
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
        if holds::asks_before(&self.ctx, settings, counts, item.folder, below.files)?
            || !self.retention.has_room_for(&self.ctx, item.folder, settings, below.bytes)?
        {
            return Ok(false);
        }
        // Its files are not asked about once more.
        self.ctx.store.approve(item.node)?;
        self.want(item, work, Want::Hide { holds: below.holding })?;
        Ok(true)
    }

    /// Whether a directory can go out of sight whole, whatever is in it.
    fn may_hide(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(false) };
        let compares = matches!(folder.row.scan_stage, Some(ScanStage::Listing | ScanStage::Settling));
        // An edit that is to stay must be seen where it is.
        if folder.policy().sends() || folder.settings.on_drift == OnDrift::Keep || compares {
            return Ok(false);
        }
        let is_in_place = matches!(item.synced.as_ref().map(|synced| &synced.seat), Some(SeatRow::At { .. }));
        if !is_in_place || item.local.is_some() || item.remote.presence != Presence::Absent {
            return Ok(false);
        }
        // It goes with the directory above, if that is gone as well.
        let above = item.remote.parent.map(|above| self.ctx.store.item(above)).transpose()?.flatten();
        if above.is_none_or(|above| above.remote.presence != Presence::Present) {
            return Ok(false);
        }
        // What is out of sight and not yet told to be gone is in no count of deletions.
        if self.ctx.store.any_parked(item.folder)? && self.ctx.store.sweep_left(item.folder)? {
            return Ok(false);
        }
        Ok(matches!(self.ctx.place(item.node)?, Some(Place { base: Base::Tree, .. })))
    }

    /// Whether a file went out of sight with a directory of which nobody had to be asked: the file is not asked about once more.
    pub(in crate::engine) fn is_hidden(&mut self, item: &ItemRow) -> Result<bool> {
        if !matches!(self.ctx.place(item.node)?, Some(Place { base: Base::Parked(_), .. })) {
            return Ok(false);
        }
        let Some(top) = self.ctx.store.parked_above(item.node)? else { return Ok(false) };
        let approved = self.ctx.store.work(top)?.is_some_and(|work| work.approved);
        Ok(approved && !self.asks_before_any_deletion(item.folder)?)
    }

    fn asks_before_any_deletion(&self, id: FolderId) -> Result<bool> {
        holds::asks_before_any_deletion(&self.ctx, id)
    }
}
