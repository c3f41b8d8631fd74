//! Deeds: handed out in batches, each written down before it is done; their outcomes move the synced tree.
//!
//! A folder has at most one batch under way. That is what makes batches grow while the disk is slow (so that flushing is shared)
//! and keeps paths true: they are made from the synced tree, which only outcomes change. A deed that moves a directory changes
//! the paths of everything below it and is therefore the last of its batch.

use super::effect::{Effect, Notice};
use super::reconcile::LOCAL_IN_THE_WAY;
use super::resolve;
use super::{Engine, Job, Note, Phase};
use crate::deed::{Deed, DeedOrder, DeedResult, DiskErrorKind};
use crate::id::{FolderId, NodeId};
use crate::path::Name;
use crate::settings::OnDrift;
use crate::store::Result;
use crate::store::folders::FolderCounts;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, LocalRow, Presence, SeatRow, SyncedRow};
use crate::store::work::{Lane, WorkRow};
use crate::tree::Stamp;

mod batch;
mod deeds;
mod unexpected;

pub(in crate::engine) use batch::{Building, DEEDS_PER_BATCH, Want};
pub(in crate::engine) use deeds::{Facts, NOT_OURS};

/// How often a directory that is not empty is scanned before it is left to whoever put things into it.
const NOT_EMPTY_TRIED: u32 = 3;

impl Engine {
    /// Puts what an item wants into the batch of its folder, or the item into the queue for the next one.
    pub(super) fn want(&mut self, item: &ItemRow, work: &WorkRow, want: Want) -> Result<()> {
        let target = want.target();
        if self.schedule.is_busy(item.node) {
            // It is in a batch already, perhaps to step aside for another item.
            return Ok(());
        }
        let Some(folder) = self.folders.get_mut(&item.folder) else { return Ok(()) };
        if folder.batch.is_some() || !folder.building.has_room_for(target.as_ref()) {
            folder.queue.push_back(item.node);
            self.schedule.set_phase(item.node, Phase::AwaitDisk);
            return Ok(());
        }
        let job = self.ctx.store.next_job()?;
        let mut facts = self.deed_facts(item);
        if matches!(want, Want::MakeFolder { .. }) && !facts.clears_way {
            facts.comes_back = self.comes_back(item)?;
        }
        let made = deeds::deed(&mut self.ctx, facts, item, job, &want)?;
        let Some((deed, seat)) = made else { return self.no_place(item, work, target) };
        if target.is_some() && !matches!(want, Want::Uncover { .. }) {
            self.schedule.take_note(item.node, Note::ClearWay);
        }
        let Some(folder) = self.folders.get_mut(&item.folder) else { return Ok(()) };
        let intent = IntentRow { node: item.node, folder: item.folder, order: DeedOrder { job, deed }, seat };
        folder.building.add(intent, target, item.id.is_folder());
        self.schedule.set_phase(item.node, Phase::Busy);
        Ok(())
    }

    /// A directory above an item, or above the place where it is to go, was lost from the disk.
    fn no_place(&mut self, item: &ItemRow, work: &WorkRow, target: Option<(NodeId, Name)>) -> Result<()> {
        let lost = match target {
            Some((parent, _)) if self.ctx.place(parent)?.is_none() => self.ctx.store.item(parent)?,
            _ => Some(item.clone()),
        };
        match lost.filter(|lost| lost.synced.is_some()) {
            Some(lost) => {
                self.lose(&lost)?;
                self.schedule.unqueue(item.node);
                self.schedule.make_ready(item.node, work.lane);
                Ok(())
            }
            None => self.item_failed(item.node, "no_place", "its place on disk is not known", None),
        }
    }

    /// What decides how the deed of an item looks.
    fn deed_facts(&self, item: &ItemRow) -> Facts {
        let folder = self.folders.get(&item.folder);
        Facts {
            sends: folder.is_some_and(|folder| folder.policy().sends()),
            keeps_edits: folder.is_some_and(|folder| folder.settings.on_drift == OnDrift::Keep),
            staged: folder.and_then(|folder| folder.staged.get(&item.node)).cloned(),
            clears_way: self.schedule.is_noted(item.node, Note::ClearWay),
            is_put_back: self.schedule.is_noted(item.node, Note::PutBack),
            comes_back: None,
        }
    }

    /// Items that waited for the disk look again, if the disk is free.
    pub(super) fn release_disk(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            for _ in 0..2 * DEEDS_PER_BATCH {
                let Some(folder) = self.folders.get_mut(&id) else { break };
                if folder.batch.is_some() || folder.building.is_full() {
                    break;
                }
                let Some(node) = folder.queue.pop_front() else { break };
                if self.schedule.take_turn(node, Phase::AwaitDisk) {
                    self.consider(node)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the batches down and hands them out.
    pub(super) fn flush_batches(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            let Some(folder) = self.folders.get_mut(&id) else { continue };
            let intents = folder.building.take();
            if intents.is_empty() {
                continue;
            }
            for intent in &intents {
                self.ctx.store.add_intent(intent)?;
            }
            self.hand_out(id, intents, false)?;
        }
        Ok(())
    }

    pub(super) fn hand_out(&mut self, id: FolderId, intents: Vec<IntentRow>, again: bool) -> Result<()> {
        let orders = intents.iter().map(|intent| intent.order.clone()).collect();
        // A folder's one batch always has room: the limit on jobs leaves a place for each folder.
        let job = self.jobs.start_on_disk(&mut self.ctx.store, Job::Deeds { folder: id, intents, again })?;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.batch = Some(job);
        }
        self.ctx.out.push(Effect::Deeds { job, folder: id, orders });
        Ok(())
    }

    /// Records what came of a batch. `again`: it was carried out once more because it had failed.
    pub(super) fn deeds_done(
        &mut self,
        id: FolderId,
        mut intents: Vec<IntentRow>,
        results: Vec<DeedResult>,
        again: bool,
    ) -> Result<()> {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.batch = None;
        }
        if intents.len() != results.len() {
            debug_assert!(false, "{} deeds and {} results", intents.len(), results.len());
            // Nothing can be believed of this batch; its intents are still written down.
            return self.recover(id);
        }
        let followed = self.follow_directory(&mut intents, &results)?;
        let mut unsure = Vec::new();
        for (intent, result) in intents.into_iter().zip(results) {
            if !again && (unexpected::is_unsure(&result) || followed.contains(&intent.order.job)) {
                unsure.push(intent);
            } else {
                self.deed_done(&intent, result)?;
            }
        }
        // Before anything else changes the disk: whether it was done tells only the same deed once more. If the root is lost, it is
        // carried out when the root is back.
        if !unsure.is_empty() && self.folders.get(&id).is_some_and(super::folders::Folder::is_open) {
            self.hand_out(id, unsure, true)?;
        }
        Ok(())
    }

    fn deed_done(&mut self, intent: &IntentRow, result: DeedResult) -> Result<()> {
        let (id, node, job) = (intent.folder, intent.node, intent.order.job);
        if let DeedResult::Failed(error) = &result
            && matches!(error.kind, DiskErrorKind::RootLost | DiskErrorKind::NotWritable)
        {
            // The intent stays: when the root is back, the deed is carried out again.
            let error = error.clone();
            self.root_failed(id, &error);
            return Ok(());
        }
        self.ctx.store.drop_intent(job)?;
        if let Deed::KeepFiles { dirs } = &intent.order.deed {
            return self.files_kept(intent, dirs, result);
        }
        if let Deed::KeepFolder { .. } = &intent.order.deed {
            return self.folder_kept(intent, &result);
        }
        resolve::deed_done(&mut self.ctx, intent, &result)?;
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        self.schedule.unqueue(node);
        if self.policy(id).sends() && self.take_unexpected(intent, &item, &result)? {
            return Ok(());
        }
        let hides = matches!(intent.order.deed, Deed::Relocate { holds: Some(_), .. });
        if hides {
            self.trees.forget(node);
        }
        let is_covered = matches!(item.local, Some(LocalRow::Covered { .. }));
        if is_covered && !matches!(result, DeedResult::Done { .. } | DeedResult::Failed(_)) {
            // It is not what its scan found any more.
            let dirs: Vec<NodeId> = Self::dir_of(&item).into_iter().collect();
            return self.look_around(node, &dirs, false);
        }
        if let Deed::RestoreFolder { from, .. } = intent.order.deed
            && !matches!(result, DeedResult::Failed(_))
        {
            return self.folder_back(intent, &item, from, &result);
        }
        match result {
            DeedResult::Done { stamp, displaced } => {
                if let Some(displaced) = displaced {
                    let settings = self.folders.get(&id).map(|folder| &folder.settings);
                    self.retention.keep(&mut self.ctx, settings, intent, &item, displaced)?;
                }
                self.seat_changed(intent, &item, stamp, None)?;
            }
            // Of the deed that was taken above.
            DeedResult::Kept { .. } => {}
            DeedResult::Adopted { stamp, sha256 } => self.seat_changed(intent, &item, Some(stamp), Some(sha256))?,
            DeedResult::Missing => match intent.order.deed {
                Deed::Adopt { .. } => {
                    self.schedule.note(node, Note::NoAdopt);
                }
                // What stood in its way went by itself.
                Deed::RemoveFile { expect: NOT_OURS, .. } => {}
                // What we had put there was taken away: the disk does not have it.
                _ => self.missing_on_disk(&item)?,
            },
            DeedResult::Different if self.is_drift(&item)? => return self.drifted(id, node),
            DeedResult::Different => {
                self.schedule.note(node, Note::NoAdopt);
            }
            DeedResult::Occupied { .. } if self.schedule.is_noted(node, Note::PutBack) => {
                let text = "it holds local files, and where it was to be put back something else is in the way";
                return self.item_failed(node, LOCAL_IN_THE_WAY, text, None);
            }
            DeedResult::Occupied { by_folder: false } => {
                self.schedule.note(node, Note::ClearWay);
            }
            DeedResult::Occupied { by_folder: true } => {
                let text = "a local folder is in the way; move it elsewhere, or rename the item in the cloud";
                // What was fetched would lie there for as long as nobody does.
                self.drop_staged(id, node);
                return self.item_failed(node, LOCAL_IN_THE_WAY, text, None);
            }
            // Something else is in it than it was to take along.
            DeedResult::NotEmpty { .. } if hides => self.trees.goes_in_parts(node),
            DeedResult::Edited { .. } if self.spare_edited(&item)? => {}
            DeedResult::Edited { .. } => return self.drifted(id, node),
            DeedResult::NotEmpty { .. }
                if matches!(item.synced.as_ref().map(|synced| &synced.seat), Some(SeatRow::Parked(_))) =>
            {
                self.schedule.note(node, Note::PutBack);
            }
            DeedResult::NotEmpty { entries } => {
                if self.policy(id).sends() {
                    // What is in it is met again, as something that only the disk has.
                    self.rescan_around(&item)?;
                }
                self.put_nowhere(&item)?;
                self.done(&item, intent, if entries > 0 { "removed; local files in it stay" } else { "removed" })?;
            }
            DeedResult::StagedLost => self.forget_staged(id, node),
            DeedResult::Failed(error) if error.kind == DiskErrorKind::ParentMissing => self.parent_lost(intent)?,
            DeedResult::Failed(error) if error.kind == DiskErrorKind::Full => return self.no_room(node, &error),
            DeedResult::Failed(error) => {
                if error.kind == DiskErrorKind::UnsafePath {
                    // Its scan says by what name, and once for all that is below.
                    self.scan_places_of(intent, &item)?;
                }
                return self.item_failed(node, "disk", &error.to_string(), None);
            }
        }
        self.schedule.make_ready(node, Lane::News);
        self.schedule.wake_waiters(node);
        Ok(())
    }

    /// Whether what was just removed from the disk was gone from the cloud when that was ordered. It may be back by now, and counts all the same.
    fn was_deleted(&self, item: &ItemRow) -> Result<bool> {
        Ok(!item.id.is_folder()
            && match item.remote.presence {
                Presence::Absent => true,
                Presence::FilteredOut => false,
                Presence::Present => self.ctx.store.tombstone(item.node)?.is_none() && !self.is_in_quarantine(item)?,
            })
    }

    /// The synced tree becomes what the deed made of the disk.
    pub(super) fn seat_changed(
        &mut self,
        intent: &IntentRow,
        item: &ItemRow,
        stamp: Option<Stamp>,
        sha256: Option<crate::id::Sha256>,
    ) -> Result<()> {
        let kept = item.synced.as_ref();
        let reported = stamp;
        let stamp = stamp.or(kept.map(|synced| synced.stamp)).unwrap_or(NOT_OURS);
        let is_new_place = matches!(intent.order.deed, Deed::Relocate { .. } | Deed::MakeFolder { .. });
        if item.id.is_folder() && is_new_place && self.policy(item.folder).sends() {
            // News of what is in it may have come under its former name, or before we knew it.
            self.ctx.store.want_scan(item.node, item.folder, true, self.ctx.now.wall)?;
        }
        match &intent.seat {
            // Its place is free (again), and the disk does not have it.
            NewSeat::Unchanged if matches!(item.local, Some(LocalRow::Covered { .. })) => self.put_nowhere(item)?,
            NewSeat::Unchanged if self.policy(item.folder).sends() => self.rescan_around(item)?,
            NewSeat::Unchanged | NewSeat::AllNowhere { .. } => {}
            NewSeat::Parted { parent, name } => {
                self.parted(item, *parent, name, stamp)?;
                self.done(item, intent, "kept beside the cloud's version")?;
            }
            NewSeat::Aside { parent, name } => {
                self.went_aside(item, *parent, name, stamp)?;
                self.done(item, intent, "kept under another name")?;
            }
            NewSeat::Nowhere => {
                self.put_nowhere(item)?;
                // What a person approved, or what was replaced, does not count towards the next question.
                let work = self.ctx.store.work(item.node)?;
                let goes_unasked = work.map(|work| self.goes_unasked(item, &work)).transpose()?.unwrap_or_default();
                if !goes_unasked && self.was_deleted(item)? {
                    self.ctx.store.count_deletions(item.folder, 1, self.ctx.now.wall)?;
                }
                let expired =
                    item.remote.presence == Presence::Present && self.ctx.store.tombstone(item.node)?.is_some();
                self.done(item, intent, if expired { "expired" } else { "removed" })?;
                // The directory above may now be empty, and wait for that.
                if let Some(parent) = Self::dir_of(item) {
                    self.schedule.wake_waiters(parent);
                    self.left_directory(item, parent)?;
                }
            }
            NewSeat::Parked => {
                let content = kept.and_then(|synced| synced.content.clone());
                let own = kept.map_or(stamp, |synced| synced.stamp);
                let stamp = if item.local.is_some() { own } else { stamp };
                let synced = SyncedRow { seat: SeatRow::Parked(intent.order.job), content, stamp };
                self.put_synced(item, Some(&synced))?;
                self.reseat(item, None, reported)?;
            }
            NewSeat::At { parent, name, content } => {
                let moved = matches!(intent.order.deed, Deed::Relocate { .. });
                let mut content = if moved { kept.and_then(|synced| synced.content.clone()) } else { content.clone() };
                if let (Some(content), Some(sha256)) = (&mut content, sha256) {
                    content.sha256 = Some(sha256);
                    content.size = stamp.size;
                }
                let replaced = kept.is_some();
                let what = match intent.order.deed {
                    Deed::MakeFolder { .. } => "folder created",
                    Deed::RestoreFolder { .. } => "folder restored",
                    Deed::Adopt { .. } => "already there",
                    Deed::Publish { .. } if replaced => "replaced",
                    Deed::Publish { .. } => "downloaded",
                    _ if matches!(kept.map(|s| &s.seat), Some(SeatRow::At { parent: from, .. }) if from == parent) => {
                        "renamed"
                    }
                    _ => "moved",
                };
                let carries_edit = moved && item.local.as_ref().and_then(LocalRow::edit).is_some();
                let stamp = kept.filter(|_| carries_edit).map_or(stamp, |synced| synced.stamp);
                let seat = SeatRow::At { parent: *parent, name: name.clone() };
                let synced = SyncedRow { seat: seat.clone(), content, stamp };
                self.put_synced(item, Some(&synced))?;
                if moved {
                    if let Some(from) = Self::dir_of(item) {
                        self.left_directory(item, from)?;
                    }
                    self.reseat(item, Some(&seat), reported)?;
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

    /// The staged file is gone: published, or lost.
    fn forget_staged(&mut self, id: FolderId, node: NodeId) {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.staged.remove(&node);
        }
        self.hooks.staged_gone(id, node);
    }

    /// Writes the synced tree, and keeps the folder's counts true.
    pub(super) fn put_synced(&mut self, item: &ItemRow, synced: Option<&SyncedRow>) -> Result<()> {
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
    pub(super) fn put_nowhere(&mut self, item: &ItemRow) -> Result<()> {
        self.put_synced(item, None)?;
        self.ctx.store.set_local(item.node, None)
    }

    /// Something was done on disk: for the journal, the history, and whoever watches.
    pub(super) fn done(&mut self, item: &ItemRow, intent: &IntentRow, what: &'static str) -> Result<()> {
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

/// What an item adds to its folder's counts.
pub(in crate::engine) fn held(item: &ItemRow, synced: Option<&SyncedRow>) -> FolderCounts {
    let Some(synced) = synced else { return FolderCounts::default() };
    if item.id.is_folder() {
        return FolderCounts { folders: 1, ..FolderCounts::default() };
    }
    FolderCounts {
        files: 1,
        folders: 0,
        bytes: synced.content.as_ref().map_or(0, |content| content.size as i64),
        removals: i64::from(item.remote.presence == Presence::Absent),
    }
}
