//! Items that were moved on disk, in whichever order their old and their new place are read.

use std::collections::BTreeMap;

use super::{Here, Local};
use crate::engine::ctx::{Ctx, ROWS_PER_STEP};
use crate::engine::sides::{name_on_disk, seat_of};
use crate::id::{FolderId, ItemKind, NodeId};
use crate::local_news::LocalEntry;
use crate::path::Name;
use crate::store::items::{ItemRow, LocalRow, Presence};
use crate::store::sent::Write;
use crate::store::{DEEPEST_PATH, Result};

/// What every name has that the disk has for one which it cannot hold, and hex digits of the item's id behind it.
const MAPPED_MARK: char = '~';
/// How many digits.
const MAPPED_DIGITS: usize = 10;

impl Local {
    /// What the cloud has under the name of something new on disk, and the disk had not until now.
    pub(super) fn unplaced_here(&mut self, ctx: &mut Ctx, dir: &ItemRow, name: &Name) -> Result<Option<ItemRow>> {
        let text = name.to_text();
        if let Some(node) = ctx.store.unplaced(dir.node, &text)? {
            return ctx.store.item(node);
        }
        if !may_be_mapped(&text) {
            return Ok(None);
        }
        // The disk may call it otherwise than the cloud does. For all entries of a page of a scan that is looked up once.
        let mapped = match self.mapped_names.take() {
            Some((node, names)) if node == dir.node => names,
            _ => mapped_names_in(ctx, dir.node)?,
        };
        let found = mapped.get(name).copied();
        self.mapped_names = Some((dir.node, mapped));
        let found = found.map(|node| ctx.store.item(node)).transpose()?.flatten();
        Ok(found.filter(|item| item.remote.presence == Presence::Present && item.synced.is_none()))
    }

    /// What only the disk has, and what the cloud has in the same place and the disk had not until now, become one: the planner compares them.
    pub fn meet(&mut self, ctx: &mut Ctx, ours: &ItemRow, theirs: &ItemRow) -> Result<()> {
        let local = ours.local.clone();
        self.drop_found(ctx, ours)?;
        self.observe(ctx, theirs, local)?;
        if theirs.id.is_folder() {
            ctx.store.want_scan(theirs.node, theirs.folder, true, ctx.now.wall)?;
        }
        Ok(())
    }
}

/// Whether what only the disk has, and what the cloud has in the same place and the disk had not until now, are one from now on. Whichever was
/// heard of first, both made it.
pub(in crate::engine) fn may_meet(ctx: &Ctx, ours: &ItemRow, theirs: &ItemRow) -> Result<bool> {
    let here = seat_of(ours);
    let there = theirs.remote.parent.map(|parent| (parent, name_on_disk(theirs).name().clone()));
    Ok(ours.is_local_only()
        && ours.id.kind() == theirs.id.kind()
        && theirs.remote.presence == Presence::Present
        && theirs.synced.is_none()
        && theirs.local.is_none()
        && here.is_some()
        && here == there
        && ctx.store.sent_of(ours.node)?.is_none())
}

/// The item that was missing elsewhere and is what is found here.
pub(super) fn moved_here(ctx: &Ctx, here: &Here<'_>, entry: &LocalEntry, kind: ItemKind) -> Result<Option<ItemRow>> {
    if kind == ItemKind::File && entry.links > 1 {
        return Ok(None);
    }
    let found = ctx.store.missing_inode(here.id, &entry.stamp)?.filter(|item| item.id.kind() == kind);
    let found = found.filter(|item| {
        // An inode that is used again has another content.
        kind == ItemKind::Folder || item.synced.as_ref().is_some_and(|synced| synced.stamp.same_content(&entry.stamp))
    });
    match found {
        None if kind == ItemKind::File && here.sends => moved_while_it_goes_up(ctx, here.id, entry),
        found => Ok(found),
    }
}

/// What the disk would call the items of a remote folder that it has not, and whose names it cannot hold.
fn mapped_names_in(ctx: &mut Ctx, dir: NodeId) -> Result<BTreeMap<Name, NodeId>> {
    let unholdable =
        ctx.store.unplaced_where(dir, ROWS_PER_STEP as usize, |name| Name::new(name.as_bytes()).is_err())?;
    ctx.gone_through += unholdable.len();
    let mut names = BTreeMap::new();
    for node in unholdable {
        if let Some(item) = ctx.store.item(node)? {
            names.insert(name_on_disk(&item).name().clone(), node);
        }
    }
    Ok(names)
}

/// A file whose content is going up and that is no longer where it was when that began. The answer tells of the old place, and from there it
/// moves in the cloud as well.
///
/// Example: `x/f` is edited in place, and `x` moves to `y` while the new version goes up. What is found in `y` has another content than the
/// last one that both sides agreed on.
fn moved_while_it_goes_up(ctx: &Ctx, folder: FolderId, entry: &LocalEntry) -> Result<Option<ItemRow>> {
    for node in ctx.store.sent_nodes(folder)? {
        let (Some(sent), Some(item)) = (ctx.store.sent_of(node)?, ctx.store.item(node)?) else {
            continue;
        };
        let is_gone = matches!(item.local, Some(LocalRow::Absent { .. }));
        let stamp = match sent.write {
            Write::Upload { stamp, .. } if item.is_local_only() => stamp,
            Write::Update { stamp, .. } => stamp,
            _ => continue,
        };
        if is_gone && stamp.same_content(&entry.stamp) {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

impl Local {
    /// What is missing here was already met as something new elsewhere.
    pub fn found_elsewhere(&mut self, ctx: &mut Ctx, item: &ItemRow) -> Result<Option<ItemRow>> {
        let Some(stamp) = item.disk_stamp().filter(|stamp| stamp.ino != 0) else { return Ok(None) };
        if item.is_local_only() && (item.id.is_folder() || ctx.store.sent_of(item.node)?.is_none()) {
            // Nobody but the disk knows it: under its new name it is the same.
            return Ok(None);
        }
        let Some(found) = ctx.store.new_inode(item.folder, &stamp)? else { return Ok(None) };
        let is_same = found.id.kind() == item.id.kind()
            && found.is_local_only()
            && ctx.store.sent_of(found.node)?.is_none()
            && (item.id.is_folder() || found.disk_stamp().is_some_and(|theirs| theirs.same_content(&stamp)));
        if is_same && is_below_on_disk(ctx, &found, item.node)? {
            self.drop_found(ctx, &found)?;
            return Ok(None);
        }
        Ok(is_same.then_some(found))
    }
}

/// Whether something lies below a directory by the rows, which read another directory for that one. No directory lies in itself: it is met
/// again where the other one is.
///
/// Example: `mv d a/c; mv a d`, and what is above both cannot be read. `d` is read, as it is now, for the former one, and `c` in it is that.
fn is_below_on_disk(ctx: &Ctx, item: &ItemRow, dir: NodeId) -> Result<bool> {
    let mut at = seat_of(item).map(|(parent, _)| parent);
    for _ in 0..DEEPEST_PATH {
        match at {
            Some(node) if node == dir => return Ok(true),
            Some(node) => at = ctx.store.item(node)?.as_ref().and_then(seat_of).map(|(parent, _)| parent),
            None => break,
        }
    }
    Ok(false)
}

/// Whether a name may stand for one that the disk cannot hold. The backups of editors, which end with the mark, do not: looking through a
/// directory for each of them would take the square of its size.
fn may_be_mapped(name: &str) -> bool {
    let digits =
        |rest: &str| rest.len() >= MAPPED_DIGITS && rest.bytes().take(MAPPED_DIGITS).all(|b| b.is_ascii_hexdigit());
    name.split(MAPPED_MARK).skip(1).any(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::mapped_name;

    #[test]
    fn names_that_stand_for_others_are_told_from_backups() {
        for remote in ["a/b.txt", "..", "~x/y~", "a/b~c.d~e"] {
            let name = mapped_name(remote, &"0123456789abcdef".repeat(4)).to_text().clone();
            assert!(may_be_mapped(&name), "{name}");
        }
        for name in ["a.txt~", "~$report.docx", "a~1", "no-mark", "a~deadbeef.txt"] {
            assert!(!may_be_mapped(name), "{name}");
        }
    }
}
