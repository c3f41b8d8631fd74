//! What is in directories that are not where their rows have them: it is dropped, or told to be missing, a step's worth at a time.

use super::{Local, Scan, UNSTEADY_AGAIN, Watch};
use crate::engine::ctx::{Ctx, ROWS_PER_STEP, millis};
use crate::engine::sides::seat_of;
use crate::id::FolderId;
use crate::local_news::DirScan;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow};

impl Local {
    /// Drops the row of something new that turned out to be known, with those of what was found in it: they are found again. A directory
    /// with more in it than this step may go through loses its place at once and the rest when its turn comes, as one that is missing.
    pub fn drop_found(&mut self, ctx: &mut Ctx, found: &ItemRow) -> Result<()> {
        let mut todo = vec![found.clone()];
        while let Some(item) = todo.pop() {
            ctx.gone_through += 1;
            let mut is_left = false;
            if item.id.is_folder() {
                let room = ctx.rows_left().saturating_sub(todo.len());
                let children = ctx.store.seated_children(item.node, None, room as u32 + 1)?;
                is_left = children.len() > room;
                todo.extend(children.into_iter().filter(|_| !is_left));
            }
            if item.is_local_only() && !is_left && ctx.store.sent_of(item.node)?.is_none() {
                ctx.store.set_local(item.node, None)?;
                ctx.store.drop_item(item.node)?;
                self.told.left.push(item.node);
            } else {
                // It is known from elsewhere, and is met again where it is now.
                self.observe(ctx, &item, Some(LocalRow::Absent { at: ctx.now.wall }))?;
            }
            if is_left {
                ctx.store.vanish(item.node, item.folder)?;
                ctx.more = true;
            }
        }
        ctx.paths.directories_moved();
        Ok(())
    }

    /// What is in a directory that is missing is missing as well.
    pub fn tell_vanished(&mut self, ctx: &mut Ctx, id: FolderId) -> Result<()> {
        let Some(node) = ctx.store.next_vanished(id)? else { return Ok(()) };
        if let Some(dir) = ctx.store.item(node)?
            && let Some(LocalRow::Covered { by, .. }) = dir.local
        {
            if !self.cover_children(ctx, &dir, by)? {
                ctx.store.vanished_told(node)?;
            }
            ctx.more = true;
            return Ok(());
        }
        let children = ctx.store.seated_children(node, None, ROWS_PER_STEP)?;
        for child in &children {
            self.missing(ctx, child)?;
        }
        if children.len() < ROWS_PER_STEP as usize {
            ctx.store.vanished_told(node)?;
        }
        ctx.more = true;
        Ok(())
    }
}

/// Whether a scan read another directory than the one that was to be scanned, as it has its name by now. Nothing is said by that of what
/// the scanned one holds: the directory above tells what became of it, and is scanned first. Where that tells nothing else, or cannot be
/// read, what was read is the directory from now on: no scan asks for another one for ever.
///
/// Example: `mv d b/d; mv b d`. A scan of `d` finds what `b` held. The file `d/a` is not missing, and `d` is not in itself.
pub(super) fn reads_another(
    ctx: &mut Ctx,
    watch: &mut Watch,
    dir: &ItemRow,
    scan: &Scan,
    page: &DirScan,
) -> Result<bool> {
    let Some((above, _)) = seat_of(dir) else { return Ok(false) };
    let known = dir.disk_stamp().filter(|stamp| stamp.ino != 0);
    if known.is_none_or(|stamp| stamp.same_inode(&page.stamp)) {
        watch.read(dir.node);
        return Ok(false);
    }
    let is_first = watch.read_as_another(dir.node);
    let awaits_above = ctx.store.scan_wanted(above)?;
    let cannot_tell = awaits_above && ctx.store.scan_attempts(above)? > 0;
    if cannot_tell || !is_first && !awaits_above {
        return Ok(false);
    }
    let now = ctx.now.wall;
    ctx.store.scan_ended(dir.node)?;
    let due = if awaits_above { now.plus_ms(millis(UNSTEADY_AGAIN) as i64) } else { now };
    ctx.store.want_scan(above, dir.folder, false, now)?;
    ctx.store.want_scan(dir.node, dir.folder, scan.row.deep, due)?;
    Ok(true)
}
