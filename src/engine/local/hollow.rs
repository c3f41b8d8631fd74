//! Directories that only the disk has and that hold nothing for the cloud.

use std::collections::BTreeSet;

use super::ROWS_PER_PAGE;
use crate::engine::Engine;
use crate::engine::sides::seat_of;
use crate::id::NodeId;
use crate::store::Result;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::ItemRow;

impl Engine {
    /// A directory that only the disk has, and that holds nothing but what patterns keep out, is left alone with it: it is no folder for
    /// the cloud. So is one that holds only such directories.
    pub(super) fn drop_hollow(&mut self, dir: ItemRow) -> Result<()> {
        let mut at = Some(dir);
        while let Some(dir) = at {
            let is_hollow = dir.is_local_only()
                && self.ctx.store.sent_of(dir.node)?.is_none()
                && !self.awaits_scan(&dir)?
                && self.comes_into(&dir).is_none()
                && self.ctx.store.seated_children(dir.node, None, 1)?.is_empty();
            if !is_hollow {
                return Ok(());
            }
            let above = seat_of(&dir).map(|(parent, _)| parent);
            self.drop_found(&dir)?;
            at = above.map(|parent| self.ctx.store.item(parent)).transpose()?.flatten();
        }
        Ok(())
    }

    /// Whether a directory is still to be scanned, or is being scanned.
    pub(in crate::engine) fn awaits_scan(&self, dir: &ItemRow) -> Result<bool> {
        let batch = self.folders.get(&dir.folder).and_then(|folder| folder.batch);
        let is_read = batch.is_some_and(|job| self.jobs.is_scan_of(job, dir.node));
        Ok(is_read || self.ctx.store.scan_wanted(dir.node)?)
    }

    /// Whether a directory that only the disk has may yet turn out to hold nothing for the cloud: scans of it, or of the directories that
    /// are all that it holds, are still to tell. One that could not be read is taken as it is.
    pub(in crate::engine) fn may_be_hollow(&self, dir: &ItemRow) -> Result<bool> {
        // Scans of different moments can put directories into one another: each is gone through once.
        let (mut todo, mut known) = (vec![dir.node], BTreeSet::from([dir.node]));
        let mut hope = false;
        while let Some(node) = todo.pop() {
            let Some(dir) = self.ctx.store.item(node)? else { continue };
            if !dir.is_local_only() || !dir.id.is_folder() || self.ctx.store.scan_attempts(node)? > 0 {
                return Ok(false);
            }
            if self.awaits_scan(&dir)? {
                hope = true;
                continue;
            }
            let held = self.ctx.store.seated_children(node, None, ROWS_PER_PAGE)?;
            if held.is_empty() {
                return Ok(false);
            }
            todo.extend(held.iter().map(|child| child.node).filter(|child| known.insert(*child)));
        }
        Ok(hope)
    }

    /// An item that a deed under way puts into a directory, if there is one.
    pub(in crate::engine) fn comes_into(&self, dir: &ItemRow) -> Option<NodeId> {
        let folder = self.folders.get(&dir.folder)?;
        let under_way = folder.batch.map_or(&[][..], |job| self.jobs.deeds(job));
        let comes = |intent: &&IntentRow| match &intent.seat {
            NewSeat::At { parent, .. } | NewSeat::Parted { parent, .. } | NewSeat::Aside { parent, .. } => {
                *parent == dir.node
            }
            NewSeat::Parked | NewSeat::Nowhere | NewSeat::Unchanged | NewSeat::AllNowhere { .. } => false,
        };
        under_way.iter().chain(folder.building.intents()).find(comes).map(|intent| intent.node)
    }
}
