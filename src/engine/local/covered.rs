//! Places of known items where something of another kind stands: a link, a device, a mount point, or in a mirror a file for a directory
//! and the reverse.
//!
//! Such an item is not deleted: nobody can say that of what may have been put elsewhere, with a link to it in its place. A folder that
//! sends names it as a problem and leaves both sides alone; a mirror with `on_drift = "restore"` moves what stands there aside, and the
//! cloud's version comes back. What was in a covered directory is covered with it.

use super::moved::moved_here;
use super::{Here, Local, same_but_when};
use crate::engine::codes::{DRIFT, LOCAL_IN_THE_WAY};
use crate::engine::ctx::{Ctx, ROWS_PER_STEP};
use crate::engine::sides::seat_of;
use crate::id::ItemKind;
use crate::local_news::{EntryKind, LocalEntry};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow};
use crate::tree::Stamp;

impl Local {
    /// What stands where an item is known to be is of another kind.
    pub(super) fn another_kind(
        &mut self,
        ctx: &mut Ctx,
        here: &Here<'_>,
        dir: &ItemRow,
        known: &ItemRow,
        entry: &LocalEntry,
    ) -> Result<()> {
        let kind = kind_of(entry.kind);
        let is_change = match kind {
            // A deletion, and something new.
            Some(_) if here.sends => true,
            // Something known that was moved over it.
            Some(kind) => moved_here(ctx, here, entry, kind)?.is_some(),
            None => false,
        };
        match kind.filter(|_| is_change) {
            Some(kind) => {
                self.missing(ctx, known)?;
                self.new_entry(ctx, here, dir, entry, kind)
            }
            None => self.cover(ctx, known, entry.kind, entry.stamp),
        }
    }

    /// Something stands in an item's place. What only the disk had is found again when it is back. So is what had moved there: the place that is
    /// covered is the one that both sides agreed on, and another item may have that by now.
    ///
    /// Example: `mv c x; mv x a; mkdir x`, and the cloud has another `c`.
    fn cover(&mut self, ctx: &mut Ctx, item: &ItemRow, by: EntryKind, stamp: Stamp) -> Result<()> {
        if item.is_local_only() || matches!(item.local, Some(LocalRow::Present { seat: Some(_), .. })) {
            return self.missing(ctx, item);
        }
        let covered = LocalRow::Covered { by, stamp, at: ctx.now.wall };
        if same_but_when(item.local.as_ref(), Some(&covered)) {
            return Ok(());
        }
        self.lose_sight(ctx, item, covered)
    }

    /// Covers what is in a covered directory, a step's worth at a time; whether there is more.
    pub(super) fn cover_children(&mut self, ctx: &mut Ctx, dir: &ItemRow, by: EntryKind) -> Result<bool> {
        let after = self.covering_at.take().filter(|(at, _)| *at == dir.node).map(|(_, name)| name);
        let children = ctx.store.seated_children(dir.node, after.as_ref(), ROWS_PER_STEP)?;
        for child in &children {
            self.cover(ctx, child, by, Stamp::NONE)?;
        }
        let last = children.last().and_then(seat_of).filter(|_| children.len() == ROWS_PER_STEP as usize);
        self.covering_at = last.map(|(_, name)| (dir.node, name));
        Ok(self.covering_at.is_some())
    }
}

/// Whether what stands in an item's place stays in sight, under another name, when the item comes back: a directory may hold anything.
pub(in crate::engine) fn stays_in_sight(by: EntryKind) -> bool {
    match by {
        EntryKind::Folder => true,
        EntryKind::File | EntryKind::Link | EntryKind::Special | EntryKind::Mount => false,
    }
}

/// The problem of an item in whose place something stands, and about which nothing is to be done: its code and text. Nothing for what is in a
/// covered directory: that one is what is complained of.
pub(in crate::engine) fn complaint(
    ctx: &mut Ctx,
    item: &ItemRow,
    (by, stamp): (EntryKind, Stamp),
    sends: bool,
) -> Result<Option<(&'static str, String)>> {
    if stamp.ino == 0 {
        return Ok(None);
    }
    let path = ctx.place(item.node)?.map(|place| place.path.to_string()).unwrap_or_default();
    let (stands, was) = (words(by), if item.id.is_folder() { "folder" } else { "file" });
    let (code, what_then) = match by {
        EntryKind::Mount => (LOCAL_IN_THE_WAY, "what is mounted there is not synced; unmount it to sync what is below"),
        _ if sends => (
            LOCAL_IN_THE_WAY,
            "it is neither followed nor synced, and nothing is deleted in the cloud; put back what was there, or remove \
             it to delete the item in the cloud too",
        ),
        _ => (DRIFT, "`on_drift = \"keep\"` keeps it, and it is never followed"),
    };
    let text = format!("{stands} is at `{path}`, where the synced {was} was: {what_then}");
    Ok(Some((code, text)))
}

/// The problem of an item that is to come into a covered directory.
pub(in crate::engine) fn above_is_covered(
    ctx: &mut Ctx,
    above: &ItemRow,
    by: EntryKind,
) -> Result<(&'static str, String)> {
    let path = ctx.place(above.node)?.map(|place| place.path.to_string()).unwrap_or_default();
    Ok((LOCAL_IN_THE_WAY, format!("{} is at `{path}`, where the folder that holds it was", words(by))))
}

/// The kind of item that an entry can be.
pub(super) fn kind_of(entry: EntryKind) -> Option<ItemKind> {
    match entry {
        EntryKind::File => Some(ItemKind::File),
        EntryKind::Folder => Some(ItemKind::Folder),
        EntryKind::Link | EntryKind::Special | EntryKind::Mount => None,
    }
}

fn words(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "a file",
        EntryKind::Folder => "a directory",
        EntryKind::Link => "a symbolic link",
        EntryKind::Special => "a pipe, a socket or a device",
        EntryKind::Mount => "a mount point",
    }
}
