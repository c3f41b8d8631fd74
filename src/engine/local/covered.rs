//! Places of known items where something of another kind stands: a link, a device, a mount point, or in a mirror a file for a directory
//! and the reverse.
//!
//! Such an item is not deleted: nobody can say that of what may have been put elsewhere, with a link to it in its place. A folder that
//! sends names it as a problem and leaves both sides alone; a mirror with `on_drift = "restore"` moves what stands there aside, and the
//! cloud's version comes back. What was in a covered directory is covered with it.

use super::same_but_when;
use crate::engine::disk::{NOT_OURS, Want};
use crate::engine::reconcile::{DRIFT, LOCAL_IN_THE_WAY};
use crate::engine::sides::seat_of;
use crate::engine::{Engine, ROWS_PER_STEP};
use crate::id::ItemKind;
use crate::local_news::{EntryKind, LocalEntry};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow};
use crate::store::work::WorkRow;
use crate::tree::Stamp;

impl Engine {
    /// What stands where an item is known to be is of another kind.
    pub(super) fn another_kind(&mut self, dir: &ItemRow, known: &ItemRow, entry: &LocalEntry) -> Result<()> {
        let kind = kind_of(entry.kind);
        let is_change = match kind {
            // A deletion, and something new.
            Some(_) if self.policy(dir.folder).sends() => true,
            // Something known that was moved over it.
            Some(kind) => self.moved_here(dir.folder, entry, kind)?.is_some(),
            None => false,
        };
        match kind.filter(|_| is_change) {
            Some(kind) => {
                self.missing(known)?;
                self.new_entry(dir, entry, kind)
            }
            None => self.cover(known, entry.kind, entry.stamp),
        }
    }

    /// Something stands in an item's place. What only the disk had is found again when it is back. So is what had moved there: the place that is
    /// covered is the one that both sides agreed on, and another item may have that by now.
    ///
    /// Example: `mv c x; mv x a; mkdir x`, and the cloud has another `c`.
    pub(super) fn cover(&mut self, item: &ItemRow, by: EntryKind, stamp: Stamp) -> Result<()> {
        if item.is_local_only() || matches!(item.local, Some(LocalRow::Present { seat: Some(_), .. })) {
            return self.missing(item);
        }
        let covered = LocalRow::Covered { by, stamp, at: self.ctx.now.wall };
        if same_but_when(item.local.as_ref(), Some(&covered)) {
            return Ok(());
        }
        self.lose_sight(item, covered)
    }

    /// Covers what is in a covered directory, a step's worth at a time; whether there is more.
    pub(super) fn cover_children(&mut self, dir: &ItemRow, by: EntryKind) -> Result<bool> {
        let after = self.covering_at.take().filter(|(at, _)| *at == dir.node).map(|(_, name)| name);
        let children = self.ctx.store.seated_children(dir.node, after.as_ref(), ROWS_PER_STEP)?;
        for child in &children {
            self.cover(child, by, NOT_OURS)?;
        }
        let last = children.last().and_then(seat_of).filter(|_| children.len() == ROWS_PER_STEP as usize);
        self.covering_at = last.map(|(_, name)| (dir.node, name));
        Ok(self.covering_at.is_some())
    }

    /// What stands in an item's place goes aside, so that the item can come back.
    pub(in crate::engine) fn uncover(&mut self, item: &ItemRow, work: &WorkRow, by: EntryKind) -> Result<()> {
        let aside = match by {
            // A directory may hold anything: it stays in sight, under another name.
            EntryKind::Folder => match self.copy_place(item)? {
                Some(aside) => Some(aside),
                None => return self.wait_for_scans(work),
            },
            EntryKind::File | EntryKind::Link | EntryKind::Special | EntryKind::Mount => None,
        };
        self.want(item, work, Want::Uncover { aside })
    }

    /// An item is covered, and nothing is to be done about that.
    pub(in crate::engine) fn leave_covered(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        by: EntryKind,
        stamp: Stamp,
    ) -> Result<()> {
        self.conclude(item, work, "left as it is")?;
        if stamp.ino == 0 {
            // The directory above it is what is complained of.
            self.ctx.store.finish(item.node)?;
            self.leave(item.node);
            return Ok(());
        }
        let path = self.ctx.place(item.node)?.map(|place| place.path.to_string()).unwrap_or_default();
        let (stands, was) = (words(by), if item.id.is_folder() { "folder" } else { "file" });
        let sends = self.policy(item.folder).sends();
        let (code, what_then) = match by {
            EntryKind::Mount => {
                (LOCAL_IN_THE_WAY, "what is mounted there is not synced; unmount it to sync what is below")
            }
            _ if sends => (
                LOCAL_IN_THE_WAY,
                "it is neither followed nor synced, and nothing is deleted in the cloud; put back what was there, or remove \
                 it to delete the item in the cloud too",
            ),
            _ => (DRIFT, "`on_drift = \"keep\"` keeps it, and it is never followed"),
        };
        let text = format!("{stands} is at `{path}`, where the synced {was} was: {what_then}");
        self.item_failed(item.node, code, &text, None)
    }

    /// Lets an item wait whose directory is covered, or gives it a problem that says so. Whether it is.
    pub(in crate::engine) fn await_covered(&mut self, item: &ItemRow, work: &WorkRow, above: &ItemRow) -> Result<bool> {
        let Some(LocalRow::Covered { by, .. }) = above.local else { return Ok(false) };
        if self.plan_of(above) != crate::plan::Action::Leave {
            self.await_node(work, above)?;
            return Ok(true);
        }
        let path = self.ctx.place(above.node)?.map(|place| place.path.to_string()).unwrap_or_default();
        let text = format!("{} is at `{path}`, where the folder that holds it was", words(by));
        self.drop_staged(item.folder, item.node);
        self.item_failed(item.node, LOCAL_IN_THE_WAY, &text, None)?;
        Ok(true)
    }
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
