//! The folders above an item in the cloud's tree as last observed: whether they are gone, asked about, or lie in one another.

use std::collections::BTreeSet;

use super::questions::Questions;
use crate::engine::ctx::Ctx;
use crate::id::NodeId;
use crate::store::expected::Told;
use crate::store::items::{ItemRow, Presence};
use crate::store::work::{WorkRow, WorkState};
use crate::store::{DEEPEST_PATH, Result};

/// Folders above an item that are looked through.
const ABOVE_MOST: usize = 64;

/// The folder that held an item, if its row is still there.
fn above(ctx: &Ctx, item: &ItemRow) -> Result<Option<ItemRow>> {
    Ok(item.remote.parent.map(|parent| ctx.store.item(parent)).transpose()?.flatten())
}

/// Whether the folder that held an item is gone, as observed.
pub(in crate::engine) fn went_with_folder(ctx: &Ctx, item: &ItemRow) -> Result<bool> {
    Ok(above(ctx, item)?.is_some_and(|above| above.remote.presence == Presence::Absent))
}

/// Whether no folder of ours holds an item any more: the one that did is gone, as observed, or has no row.
pub(in crate::engine) fn is_below_gone(ctx: &Ctx, item: &ItemRow) -> Result<bool> {
    Ok(above(ctx, item)?.is_none_or(|above| above.remote.presence == Presence::Absent))
}

/// Whether an item that an event said is gone needs no look of its own, as a folder above it is observed to be gone. While that folder's
/// state is being asked for, the item waits: a folder's event may be followed by one for each descendant.
///
/// Example: `rm -r a` tells of `a`, `a/1` and `a/2`; one look at `a` answers for all three. One that was told to have moved is looked at.
pub(in crate::engine) fn goes_with_gone(ctx: &Ctx, questions: &Questions, item: &ItemRow) -> Result<bool> {
    if !is_told_gone(questions, item.node) {
        return Ok(false);
    }
    let mut at = above(ctx, item)?;
    for _ in 0..ABOVE_MOST {
        let Some(folder) = at else { return Ok(false) };
        if folder.remote.presence == Presence::Absent && ctx.store.is_tree_held(folder.node)? {
            // It is told when a person has decided about that one.
            return Ok(true);
        }
        if folder.remote.presence == Presence::Absent && !ctx.store.sweep_left(item.folder)? {
            return Ok(item.remote.presence == Presence::Absent);
        }
        at = above(ctx, &folder)?;
    }
    Ok(false)
}

fn is_told_gone(questions: &Questions, node: NodeId) -> bool {
    questions.expected(node).is_some_and(|expected| expected.told == Told::Gone)
}

/// Whether folders lie in one another, the given one among them, as descriptions of different moments can say: none of them is where we
/// take it to be.
///
/// Example: `a` moves into `b`, `b` goes to the trash, and the last that was observed of `b` is that it was in `a`.
pub(in crate::engine) fn lies_in_itself(ctx: &Ctx, item: &ItemRow) -> Result<bool> {
    let mut at = above(ctx, item)?;
    for _ in 0..ABOVE_MOST {
        let Some(folder) = at else { return Ok(false) };
        if folder.node == item.node {
            return Ok(true);
        }
        at = above(ctx, &folder)?;
    }
    Ok(false)
}

/// For what an item waits that an event said is gone.
#[derive(Debug)]
pub(in crate::engine) enum Awaits {
    /// The answer about this folder above it.
    Folder(Box<ItemRow>),
    /// That what is below a folder which is gone is told so.
    Sweep,
}

/// For what an item waits that an event said is gone, before it is looked at itself.
pub(in crate::engine) fn awaits(ctx: &Ctx, questions: &Questions, item: &ItemRow) -> Result<Option<Awaits>> {
    if !is_told_gone(questions, item.node) {
        return Ok(None);
    }
    let mut at = above(ctx, item)?;
    for _ in 0..ABOVE_MOST {
        let Some(folder) = at else { return Ok(None) };
        let is_asked = is_told_gone(questions, folder.node)
            && ctx.store.work(folder.node)?.is_some_and(|work| work.mark.is_some() && work.state == WorkState::Ready);
        if is_asked && folder.node != item.node {
            return Ok(Some(Awaits::Folder(Box::new(folder))));
        }
        if folder.remote.presence == Presence::Absent && ctx.store.sweep_left(item.folder)? {
            return Ok(Some(Awaits::Sweep));
        }
        at = above(ctx, &folder)?;
    }
    Ok(None)
}

/// A folder from the given one on upwards that is observed to be gone with the one above it, and about which a question is open: it may
/// have left that one before.
///
/// Example: `a/b` moves to `c/b`, then `a` goes to the trash. Until `b` is looked at, the files in it are not known to be gone.
pub(in crate::engine) fn asked_from(
    ctx: &Ctx,
    questions: &Questions,
    from: Option<NodeId>,
) -> Result<Option<(ItemRow, WorkRow)>> {
    let mut at = from.map(|node| ctx.store.item(node)).transpose()?.flatten();
    for _ in 0..ABOVE_MOST {
        let Some(folder) = at else { return Ok(None) };
        if folder.remote.presence != Presence::Absent {
            return Ok(None);
        }
        if let Some(work) = ctx.store.work(folder.node)?
            && work.mark.is_some()
            && !is_told_gone(questions, folder.node)
        {
            return Ok(Some((folder, work)));
        }
        at = above(ctx, &folder)?;
    }
    Ok(None)
}

/// An item and the folders above it.
pub(in crate::engine) fn way_up(ctx: &Ctx, node: NodeId) -> Result<BTreeSet<NodeId>> {
    let (mut way, mut at) = (BTreeSet::new(), Some(node));
    while let Some(step) = at.filter(|step| way.len() < DEEPEST_PATH && !way.contains(step)) {
        way.insert(step);
        at = ctx.store.item(step)?.and_then(|row| row.remote.parent);
    }
    Ok(way)
}
