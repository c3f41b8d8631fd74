//! What is in directories that are not where the books have them: it is dropped, or told to be missing, a step's worth at a time.

use crate::engine::{Engine, ROWS_PER_STEP};
use crate::id::FolderId;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow};

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
