//! What is in directories that are not where the books have them: it is dropped, or told to be missing, a step's worth at a time.

use super::{Scan, UNSTEADY_AGAIN};
use crate::engine::{Engine, ROWS_PER_STEP, millis};
use crate::id::FolderId;
use crate::local_news::DirScan;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow};

/// Directories that are remembered to have been read as another one. There are more only on a disk whose inodes change by themselves, and
/// there what was read is believed.
const READ_AS_ANOTHER_MOST: usize = 10_000;

impl Engine {
    /// Drops the row of something new that turned out to be known, with those of what was found in it: they are found again. A directory
    /// with more in it than this step may go through loses its place at once and the rest when its turn comes, as one that is missing.
    pub(in crate::engine) fn drop_found(&mut self, found: &ItemRow) -> Result<()> {
        let mut todo = vec![found.clone()];
        while let Some(item) = todo.pop() {
            self.ctx.gone_through += 1;
            let mut is_left = false;
            if item.id.is_folder() {
                let room = self.ctx.rows_left().saturating_sub(todo.len());
                let children = self.ctx.store.seated_children(item.node, None, room as u32 + 1)?;
                is_left = children.len() > room;
                todo.extend(children.into_iter().filter(|_| !is_left));
            }
            if item.is_local_only() && !is_left && self.ctx.store.sent_of(item.node)?.is_none() {
                self.ctx.store.set_local(item.node, None)?;
                self.ctx.store.drop_item(item.node)?;
                self.leave(item.node);
            } else {
                // It is known from elsewhere, and is met again where it is now.
                self.observe(&item, Some(LocalRow::Absent { at: self.ctx.now.wall }))?;
            }
            if is_left {
                self.ctx.store.vanish(item.node, item.folder)?;
                self.ctx.more = true;
            }
        }
        self.ctx.paths.directories_moved();
        Ok(())
    }

    /// Whether a scan read another directory than the one that was to be scanned, as it has its name by now. Nothing is said by that of what
    /// the scanned one holds: the directory above tells what became of it, and is scanned first. Where that tells nothing else, or cannot be
    /// read, what was read is the directory from now on: no scan asks for another one for ever.
    ///
    /// Example: `mv d b/d; mv b d`. A scan of `d` finds what `b` held. The file `d/a` is not missing, and `d` is not in itself.
    pub(super) fn reads_another(&mut self, dir: &ItemRow, scan: &Scan, page: &DirScan) -> Result<bool> {
        let (Some(above), Some(folder)) = (Self::dir_of(dir), self.folders.get_mut(&dir.folder)) else {
            return Ok(false);
        };
        let known = dir.disk_stamp().filter(|stamp| stamp.ino != 0);
        if known.is_none_or(|stamp| stamp.same_inode(&page.stamp)) {
            folder.read_as_another.remove(&dir.node);
            return Ok(false);
        }
        let has_room = folder.read_as_another.len() < READ_AS_ANOTHER_MOST;
        let is_first = has_room && folder.read_as_another.insert(dir.node);
        let awaits_above = self.ctx.store.scan_wanted(above)?;
        let cannot_tell = awaits_above && self.ctx.store.scan_attempts(above)? > 0;
        if cannot_tell || !is_first && !awaits_above {
            return Ok(false);
        }
        let now = self.ctx.now.wall;
        self.ctx.store.scan_ended(dir.node)?;
        let due = if awaits_above { now.plus_ms(millis(UNSTEADY_AGAIN) as i64) } else { now };
        self.ctx.store.want_scan(above, dir.folder, false, now)?;
        self.ctx.store.want_scan(dir.node, dir.folder, scan.row.deep, due)?;
        Ok(true)
    }

    /// What is in a directory that is missing is missing as well.
    pub(super) fn tell_vanished(&mut self, id: FolderId) -> Result<()> {
        let Some(node) = self.ctx.store.next_vanished(id)? else { return Ok(()) };
        if let Some(dir) = self.ctx.store.item(node)?
            && let Some(LocalRow::Covered { by, .. }) = dir.local
        {
            if !self.cover_children(&dir, by)? {
                self.ctx.store.vanished_told(node)?;
            }
            self.ctx.more = true;
            return Ok(());
        }
        let children = self.ctx.store.seated_children(node, None, ROWS_PER_STEP)?;
        for child in &children {
            self.missing(child)?;
        }
        if children.len() < ROWS_PER_STEP as usize {
            self.ctx.store.vanished_told(node)?;
        }
        self.ctx.more = true;
        Ok(())
    }
}
