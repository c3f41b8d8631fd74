//! What is in a directory that is to go: what has to leave it first, and what it comes back for.

use super::ctx::{Ctx, ROWS_PER_STEP};
use super::sides::plan_under;
use crate::id::ItemKind;
use crate::plan::{Action, Policy};
use crate::store::items::{ItemRow, LocalRow, Presence, SeatRow};
use crate::store::work::Ask;
use crate::store::{DEEPEST_PATH, Result};

/// What a directory that is to go does about what is in it.
#[derive(Debug)]
pub(in crate::engine) enum Within {
    /// Nothing of ours is in it.
    Nothing,
    /// Only what a local hand put there: it is met again under whatever it is from now on. There may be more, if these are not all.
    Found { items: Vec<ItemRow>, are_all: bool },
    /// It comes back into sight for what is in it.
    ComesIntoSight,
    /// It comes back into the cloud with what was put into it.
    ComesIntoCloud,
    /// This one was covered with it, and is nowhere on disk from now on.
    Covered(Box<ItemRow>),
    /// It waits for this one, which is considered for that if it is not being worked on, and asked about if it is said so.
    Awaits(Box<ItemRow>, Option<Ask>),
}

/// What a directory that is to go does about what is in it.
pub(in crate::engine) fn within(ctx: &Ctx, policy: Policy, dir: &ItemRow) -> Result<Within> {
    let first = if policy.sends() && dir.remote.presence == Presence::FilteredOut {
        match at_home(ctx, policy, dir)? {
            Home::Told(child) => Some(*child),
            Home::Found { items, are_all } => return Ok(Within::Found { items, are_all }),
        }
    } else {
        ctx.store.seated_in(dir.node)?.map(|child| ctx.store.item(child)).transpose()?.flatten()
    };
    let Some(child) = first else { return Ok(Within::Nothing) };
    let plan = plan_under(policy, &child);
    if plan == Action::Leave && is_covered_below(&child) {
        return Ok(Within::Covered(Box::new(child)));
    }
    let is_parked = matches!(dir.disk_seat(), Some(SeatRow::Parked(_)));
    let stays = child.is_local_only() || matches!(plan, Action::Reupload | Action::MoveRemote { .. });
    if stays && policy.sends() && dir.remote.presence == Presence::Absent {
        // Something was put into it: it comes back into the cloud with that, and into sight before.
        return Ok(if is_parked { Within::ComesIntoSight } else { Within::ComesIntoCloud });
    }
    if is_parked && is_unread_below(ctx, policy, &child)? {
        return Ok(Within::ComesIntoSight);
    }
    // What believes to be where it should be, in a folder that is gone, is asked about.
    let ask = if plan == Action::InSync { Ask::State } else { Ask::Nothing };
    let is_worked_on = ctx.store.work(child.node)?.is_some();
    Ok(Within::Awaits(Box::new(child), (!is_worked_on).then_some(ask)))
}

/// What is in a directory that patterns keep out.
enum Home {
    /// This one has to be told that the directory goes.
    Told(Box<ItemRow>),
    /// Only what a local hand put there.
    Found { items: Vec<ItemRow>, are_all: bool },
}

fn at_home(ctx: &Ctx, policy: Policy, dir: &ItemRow) -> Result<Home> {
    let is_stray =
        |child: &ItemRow| child.is_local_only() || matches!(plan_under(policy, child), Action::MoveRemote { .. });
    if let Some(agreed) = ctx.store.agreed_in(dir.node)?
        && !is_stray(&agreed)
    {
        return Ok(Home::Told(Box::new(agreed)));
    }
    let items = ctx.store.seated_children(dir.node, None, ROWS_PER_STEP)?;
    if let Some(at_home) = items.iter().find(|child| !is_stray(child)) {
        return Ok(Home::Told(Box::new(at_home.clone())));
    }
    let are_all = items.len() < ROWS_PER_STEP as usize;
    Ok(Home::Found { items, are_all })
}

/// Whether an item was covered with the directory that held it. If the cloud has it still, and that directory is no more, nothing stands in
/// its place: it comes down anew where the cloud has it now.
///
/// Example: `rm -r d; touch d` on disk, then `mv d/c c; mv d xd` in the cloud, where a pattern keeps `x*` out.
fn is_covered_below(child: &ItemRow) -> bool {
    matches!(&child.local, Some(LocalRow::Covered { stamp, .. }) if stamp.ino == 0)
}

/// Whether a child, or the first file below it, must be read before it can go. Only what is in sight is read: out of sight the file and its
/// directory would wait for ever.
///
/// Example: `a/f` was just edited when `a` made room for another folder, out of sight; then the cloud trashed `a`.
fn is_unread_below(ctx: &Ctx, policy: Policy, child: &ItemRow) -> Result<bool> {
    let mut at = child.clone();
    for _ in 0..DEEPEST_PATH {
        match plan_under(policy, &at) {
            Action::Read => return Ok(true),
            Action::Remove(ItemKind::Folder) => {}
            _ => return Ok(false),
        }
        let first = ctx.store.seated_in(at.node)?.map(|node| ctx.store.item(node)).transpose()?.flatten();
        let Some(first) = first else { return Ok(false) };
        at = first;
    }
    Ok(false)
}
