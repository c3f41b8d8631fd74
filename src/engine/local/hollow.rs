//! Directories that only the disk has and that hold nothing for the cloud.

use std::collections::BTreeSet;

use super::{Here, Local, ROWS_PER_PAGE};
use crate::engine::ctx::Ctx;
use crate::engine::sides::seat_of;
use crate::id::NodeId;
use crate::store::Result;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::ItemRow;

impl Local {
    /// A directory that only the disk has, and that holds nothing but what patterns keep out, is left alone with it: it is no folder for
    /// the cloud. So is one that holds only such directories.
    pub(super) fn drop_hollow(&mut self, ctx: &mut Ctx, here: &Here<'_>, dir: ItemRow) -> Result<()> {
        let mut at = Some(dir);
        while let Some(dir) = at {
            let is_hollow = dir.is_local_only()
                && ctx.store.sent_of(dir.node)?.is_none()
                && !(here.is_in_use)(dir.node)
                && !ctx.store.scan_wanted(dir.node)?
                && ctx.store.seated_children(dir.node, None, 1)?.is_empty();
            if !is_hollow {
                return Ok(());
            }
            let above = seat_of(&dir).map(|(parent, _)| parent);
            self.drop_found(ctx, &dir)?;
            at = above.map(|parent| ctx.store.item(parent)).transpose()?.flatten();
        }
        Ok(())
    }
}

/// Whether a directory is still to be scanned, or is being scanned, which `is_read` tells.
fn is_to_be_read(ctx: &Ctx, is_read: impl Fn(NodeId) -> bool, dir: NodeId) -> Result<bool> {
    Ok(is_read(dir) || ctx.store.scan_wanted(dir)?)
}

/// Whether a directory that only the disk has may yet turn out to hold nothing for the cloud: scans of it, or of the directories that
/// are all that it holds, are still to tell. One that could not be read is taken as it is.
pub(in crate::engine) fn may_be_hollow(ctx: &Ctx, is_read: impl Fn(NodeId) -> bool, dir: &ItemRow) -> Result<bool> {
    // Scans of different moments can put directories into one another: each is gone through once.
    let (mut todo, mut known) = (vec![dir.node], BTreeSet::from([dir.node]));
    let mut hope = false;
    while let Some(node) = todo.pop() {
        let Some(dir) = ctx.store.item(node)? else { continue };
        if !dir.is_local_only() || !dir.id.is_folder() || ctx.store.scan_attempts(node)? > 0 {
            return Ok(false);
        }
        if is_to_be_read(ctx, &is_read, node)? {
            hope = true;
            continue;
        }
        let held = ctx.store.seated_children(node, None, ROWS_PER_PAGE)?;
        if held.is_empty() {
            return Ok(false);
        }
        todo.extend(held.iter().map(|child| child.node).filter(|child| known.insert(*child)));
    }
    Ok(hope)
}

/// Whether a deed puts its item into a directory.
pub(in crate::engine) fn goes_into(intent: &IntentRow, dir: NodeId) -> bool {
    match &intent.seat {
        NewSeat::At { parent, .. } | NewSeat::Parted { parent, .. } | NewSeat::Aside { parent, .. } => *parent == dir,
        NewSeat::Parked | NewSeat::Nowhere | NewSeat::Unchanged | NewSeat::AllNowhere { .. } => false,
    }
}
