//! What a deed made of the disk, in the rows: the synced tree, the folder's counts, the journal and those who watch.

use crate::deed::Deed;
use crate::engine::Engine;
use crate::engine::disk::held;
use crate::engine::disk::seat::{self, Seated};
use crate::engine::effect::Notice;
use crate::engine::hooks;
use crate::id::{FolderId, NodeId, Sha256};
use crate::store::Result;
use crate::store::folders::FolderCounts;
use crate::store::intents::IntentRow;
use crate::store::items::{ItemRow, LocalRow, Presence, SeatRow, SyncedRow};
use crate::tree::Stamp;

impl Engine {
    /// The synced tree becomes what the deed made of the disk.
    pub(in crate::engine) fn seat_changed(
        &mut self,
        intent: &IntentRow,
        item: &ItemRow,
        reported: Option<Stamp>,
        sha256: Option<Sha256>,
    ) -> Result<()> {
        let is_new_place = matches!(intent.order.deed, Deed::Relocate { .. } | Deed::MakeFolder { .. });
        if item.id.is_folder() && is_new_place && self.policy(item.folder).sends() {
            // News of what is in it may have come under its former name, or before we knew it.
            self.ctx.store.want_scan(item.node, item.folder, true, self.ctx.now.wall)?;
        }
        match seat::seated(intent, item, reported, sha256) {
            // Its place is free (again), and the disk does not have it.
            Seated::Unchanged if matches!(item.local, Some(LocalRow::Covered { .. })) => self.put_nowhere(item)?,
            Seated::Unchanged if self.policy(item.folder).sends() => self.rescan_around(item)?,
            Seated::Unchanged => {}
            Seated::Parted { parent, name, stamp } => {
                self.parted(item, parent, &name, stamp)?;
                self.done(item, intent, "kept beside the cloud's version")?;
            }
            Seated::Aside { parent, name, stamp } => {
                self.went_aside(item, parent, &name, stamp)?;
                self.done(item, intent, "kept under another name")?;
            }
            Seated::Nowhere => self.went_nowhere(item, intent)?,
            Seated::Parked(synced) => {
                self.put_synced(item, Some(&synced))?;
                self.reseat(item, None, reported)?;
            }
            Seated::At { synced, moved, what } => {
                self.put_synced(item, Some(&synced))?;
                if moved {
                    if let Some(from) = Self::dir_of(item) {
                        self.left_directory(item, from)?;
                    }
                    self.reseat(item, Some(&synced.seat), reported)?;
                } else if item.local.is_some() {
                    self.ctx.store.set_local(item.node, None)?;
                }
                if matches!(intent.order.deed, Deed::Publish { .. }) {
                    // The staged file is the published one now.
                    self.forget_staged(item.folder, item.node);
                }
                if matches!(intent.order.deed, Deed::Publish { .. } | Deed::Adopt { .. }) {
                    self.note_arrival(item)?;
                }
                self.done(item, intent, what)?;
            }
        }
        Ok(())
    }

    /// An item was taken off the disk.
    fn went_nowhere(&mut self, item: &ItemRow, intent: &IntentRow) -> Result<()> {
        self.put_nowhere(item)?;
        // What a person approved, or what was replaced, does not count towards the next question.
        let work = self.ctx.store.work(item.node)?;
        let goes_unasked = work.map(|work| self.goes_unasked(item, &work)).transpose()?.unwrap_or_default();
        if !goes_unasked && self.was_deleted(item)? {
            self.ctx.store.count_deletions(item.folder, 1, self.ctx.now.wall)?;
        }
        let expired = item.remote.presence == Presence::Present && self.ctx.store.tombstone(item.node)?.is_some();
        self.done(item, intent, if expired { "expired" } else { "removed" })?;
        // The directory above may now be empty, and wait for that.
        if let Some(parent) = Self::dir_of(item) {
            self.schedule.wake_waiters(parent);
            self.left_directory(item, parent)?;
        }
        Ok(())
    }

    /// Whether what was just removed from the disk was gone from the cloud when that was ordered. It may be back by now, and counts all the same.
    fn was_deleted(&self, item: &ItemRow) -> Result<bool> {
        Ok(!item.id.is_folder()
            && match item.remote.presence {
                Presence::Absent => true,
                Presence::FilteredOut => false,
                Presence::Present => {
                    self.ctx.store.tombstone(item.node)?.is_none() && !hooks::is_away(&self.ctx, item)?
                }
            })
    }

    /// The staged file is gone: published, or lost.
    pub(in crate::engine) fn forget_staged(&mut self, id: FolderId, node: NodeId) {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.staged.remove(&node);
        }
        self.hooks.staged_gone(id, node);
    }

    /// A deed moved what the disk has, with whatever edit it carries, which has the stamp that the deed reports from now on.
    fn reseat(&mut self, item: &ItemRow, seat: Option<&SeatRow>, reported: Option<Stamp>) -> Result<()> {
        if item.local.is_none() {
            return Ok(());
        }
        let mut edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        if let (Some(edit), Some(reported)) = (&mut edit, reported) {
            edit.stamp = reported;
        }
        self.rebase(item.node, seat, edit)
    }

    /// Writes the synced tree, and keeps the folder's counts true.
    pub(in crate::engine) fn put_synced(&mut self, item: &ItemRow, synced: Option<&SyncedRow>) -> Result<()> {
        self.ctx.store.set_synced(item.node, synced)?;
        self.ctx.paths.moved_on_disk(item);
        let before = held(item, item.synced.as_ref());
        let after = held(item, synced);
        if let Some(folder) = self.folders.get_mut(&item.folder) {
            folder.count(FolderCounts {
                files: after.files - before.files,
                folders: after.folders - before.folders,
                bytes: after.bytes - before.bytes,
                removals: after.removals - before.removals,
            });
        }
        Ok(())
    }

    /// Nothing of an item is on disk any more, neither where both agreed that it is nor where a scan found it. A place that was left behind
    /// would make it something that only the disk has, without the stamp that deeds expect: they would find something else for ever.
    ///
    /// Example: `mv c e` on disk while the cloud trashes `c`. `e` holds files that patterns keep out, and stays on disk without an item.
    pub(in crate::engine) fn put_nowhere(&mut self, item: &ItemRow) -> Result<()> {
        self.put_synced(item, None)?;
        self.ctx.store.set_local(item.node, None)
    }

    /// Something was done on disk: for the journal, the history, and whoever watches.
    pub(in crate::engine) fn done(&mut self, item: &ItemRow, intent: &IntentRow, what: &'static str) -> Result<()> {
        self.schedule.note_done(item.node, what);
        let work = self.ctx.store.work(item.node)?;
        let path = self.ctx.shown_path(item)?;
        let journal = work.as_ref().and_then(|work| work.journal);
        self.ctx.store.add_action(item.folder, item.node, &path, what, journal, self.ctx.now.wall)?;
        let took_ms = work.as_ref().map_or(0, |work| self.ctx.now.wall.since(work.since).max(0));
        let from = match &intent.order.deed {
            Deed::Relocate { from, .. } => Some(from.path.to_string()),
            _ => None,
        };
        self.tell_of(item, intent, what, &path, from.clone(), work.as_ref())?;
        let (folder, what) = (item.folder, what.to_owned());
        self.ctx.notice(Notice::Outcome { folder, journal, what, path, from, took_ms });
        Ok(())
    }
}
