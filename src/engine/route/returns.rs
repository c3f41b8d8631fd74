//! Directories that come back from the version store by one rename: those that the cloud has again, with all the files that went there.
//!
//! Nothing is shown that the cloud does not have: the directory waits for its listing, and comes back whole only if each file in it is the
//! content that the cloud has under that name. Else it is made anew, and what the store has of it is taken from there file by file.

use crate::deed::{DeedResult, Holding};
use crate::engine::{Engine, Phase};
use crate::id::JobId;
use crate::store::Result;
use crate::store::back::KeptFile;
use crate::store::intents::IntentRow;
use crate::store::items::{ItemRow, Presence, RemoteRow, SeatRow, SyncedRow};
use crate::store::work::{Ask, Priority};
use crate::tree::{RemoteContent, Stamp};

/// A directory from the version store.
impl Engine {
    /// Lets a directory that may come back wait for its listing. Whether it waits.
    pub(in crate::engine) fn await_contents(&mut self, item: &ItemRow) -> Result<bool> {
        if self.kept_dir(item)?.is_none()
            || !self.ctx.store.listing_due(item.node)?
            || !self.folder_can_ask(item.folder)
        {
            return Ok(false);
        }
        self.questions.wait_for_listing(item.node, item.node);
        self.schedule.set_phase(item.node, Phase::AwaitListing);
        Ok(true)
    }

    /// Where a directory is kept that can come back whole, and with which files.
    pub(in crate::engine) fn comes_back(&mut self, item: &ItemRow) -> Result<Option<(JobId, Holding)>> {
        let Some(kept) = self.kept_dir(item)? else { return Ok(None) };
        let Some(holds) = self.ctx.store.comes_back(item.folder, item.node, kept)? else { return Ok(None) };
        self.ctx.gone_through += holds.entries as usize;
        let has_kept_off = self.ctx.store.has_kept_off(item.folder, item.node)?;
        Ok((!has_kept_off).then_some((kept, holds)))
    }

    /// The number under which a new directory is kept, if it can come back by one rename: not where a hook has to see each file, nor where the
    /// disk's changes are sent, as no directory is kept whole there.
    fn kept_dir(&self, item: &ItemRow) -> Result<Option<JobId>> {
        let sends = self.folders.get(&item.folder).is_none_or(|folder| folder.policy().sends());
        if sends
            || item.synced.is_some()
            || self.trees.is_kept_by_file(item.node)
            || self.asks_hooks_of_arrivals(item.folder)
        {
            return Ok(None);
        }
        self.ctx.store.kept_dir(item.folder, &item.id)
    }

    /// A directory came back with the files in it, or did not.
    pub(in crate::engine) fn folder_back(
        &mut self,
        intent: &IntentRow,
        dir: &ItemRow,
        from: JobId,
        result: &DeedResult,
    ) -> Result<()> {
        if let DeedResult::Done { stamp: Some(stamp), .. } = result {
            self.seat_changed(intent, dir, Some(*stamp), None)?;
            for file in self.ctx.store.kept_files(from)? {
                self.file_back(dir, file, stamp)?;
            }
            self.retention.went_back(&mut self.ctx, dir.folder, from)?;
        } else {
            // It is made anew, and what is in the way of that is told then.
            self.trees.keep_by_file(dir.node);
        }
        self.schedule.make_ready(dir.node, Priority::News);
        self.schedule.wake_waiters(dir.node);
        Ok(())
    }

    /// A file is on disk in a directory that came back, whatever was heard of it meanwhile: it is decided anew.
    fn file_back(&mut self, dir: &ItemRow, file: KeptFile, of_dir: &Stamp) -> Result<()> {
        let known = self.ctx.store.item_by_id(dir.folder, &file.id)?;
        let item = if let Some(item) = known {
            item
        } else {
            // It went from the cloud before the directory was back, and as it was not on disk its row went at once.
            let remote = RemoteRow {
                presence: Presence::Absent,
                parent: Some(dir.node),
                name: file.name.to_text(),
                content: Some(RemoteContent {
                    version: file.content.version.clone(),
                    hash: file.content.hash.clone(),
                    size: Some(file.content.size),
                    modified: None,
                }),
                etag: None,
                sequence: None,
                seen: 0,
            };
            let node = self.ctx.store.add_item(dir.folder, &file.id, &remote)?;
            ItemRow { node, folder: dir.folder, id: file.id, remote, synced: None, local: None }
        };
        if item.synced.is_some() {
            // Nothing else is done on the folder's disk while a batch is under way.
            debug_assert!(false, "{} is on disk in two places", item.id);
            return Ok(());
        }
        let seat = SeatRow::At { parent: dir.node, name: file.name };
        let stamp = Stamp { dev: of_dir.dev, ..file.stamp };
        self.put_synced(&item, Some(&SyncedRow { seat, content: Some(file.content), stamp }))?;
        self.note_arrival(&item)?;
        self.schedule.note_done(item.node, "restored");
        self.ctx.store.mark(item.node, item.folder, Priority::Bulk, Ask::Nothing, None, self.ctx.now.wall)
    }
}
