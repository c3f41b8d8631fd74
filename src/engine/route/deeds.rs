//! Deeds: handed out in batches, each written down before it is done; what came of them goes to whom it concerns.
//!
//! A folder has at most one batch under way. That is what makes batches grow while the disk is slow (so that flushing is shared)
//! and keeps paths true: they are made from the synced tree, which only outcomes change. A deed that moves a directory changes
//! the paths of everything below it and is therefore the last of its batch.

use crate::deed::{Base, Deed, DeedOrder, DeedResult, DiskErrorKind, Place};
use crate::engine::codes::{DRIFT, LOCAL_IN_THE_WAY};
use crate::engine::conflict::SCANS_AWAITED;
use crate::engine::disk::outcome::{self, After, Known, Surprise};
use crate::engine::disk::{DEEDS_PER_BATCH, Facts, Want, deeds};
use crate::engine::effect::Effect;
use crate::engine::folders::Folder;
use crate::engine::{Engine, Job, Note, Phase, millis, resolve};
use crate::id::{FolderId, NodeId};
use crate::path::Name;
use crate::settings::OnDrift;
use crate::store::Result;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, LocalEdit, LocalRow, SeatRow};
use crate::store::work::{Priority, WorkRow};

/// How often a deed that found something else than expected is tried again right after a scan.
const SURPRISED_MOST: u32 = 3;

impl Engine {
    /// Puts what an item wants into the batch of its folder, or the item into the queue for the next one.
    pub(in crate::engine) fn want(&mut self, item: &ItemRow, work: &WorkRow, want: Want) -> Result<()> {
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
                self.schedule.make_ready(item.node, work.priority);
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
    pub(in crate::engine) fn release_disk(&mut self) -> Result<()> {
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
    pub(in crate::engine) fn flush_batches(&mut self) -> Result<()> {
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

    pub(in crate::engine) fn hand_out(&mut self, id: FolderId, intents: Vec<IntentRow>, again: bool) -> Result<()> {
        let orders = intents.iter().map(|intent| intent.order.clone()).collect();
        // A folder's one batch always has room: the limit on jobs leaves a place for each folder.
        let job = self.jobs.start_on_disk(&mut self.ctx.store, Job::Deeds { folder: id, intents, again })?;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.batch = Some(job);
        }
        self.ctx.out.push(Effect::Deeds { job, folder: id, orders });
        Ok(())
    }

    /// Deeds whose outcome nobody recorded are carried out again: each of them ends in the same place.
    pub(in crate::engine) fn recover(&mut self, id: FolderId) -> Result<()> {
        let intents = self.ctx.store.intents(id)?;
        if intents.is_empty() {
            return Ok(());
        }
        for intent in &intents {
            self.schedule.set_phase(intent.node, Phase::Busy);
            // What was fetched before the crash is not fetched again, and is dropped if it turns out to be of no use.
            if let (Deed::Publish { staged, .. }, NewSeat::At { content: Some(content), .. }) =
                (&intent.order.deed, &intent.seat)
                && let Some(folder) = self.folders.get_mut(&id)
            {
                folder.staged.insert(intent.node, (staged.clone(), content.clone()));
            }
        }
        self.hand_out(id, intents, false)
    }

    /// Records what came of a batch. `again`: it was carried out once more because it had failed.
    pub(in crate::engine) fn deeds_done(
        &mut self,
        id: FolderId,
        mut intents: Vec<IntentRow>,
        mut results: Vec<DeedResult>,
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
        let followed = outcome::follow_directory(&mut intents, &mut results);
        for intent in followed.anew.iter().filter_map(|place| intents.get(*place)) {
            self.ctx.store.drop_intent(intent.order.job)?;
            self.ctx.store.add_intent(intent)?;
        }
        let mut unsure = Vec::new();
        for (intent, result) in intents.into_iter().zip(results) {
            if followed.unseen.contains(&intent.order.job) || !again && outcome::is_unsure(&result) {
                unsure.push(intent);
            } else {
                self.deed_done(&intent, result)?;
            }
        }
        // Before anything else changes the disk: whether it was done tells only the same deed once more. If the root is lost, it is
        // carried out when the root is back.
        if !unsure.is_empty() && self.folders.get(&id).is_some_and(Folder::is_open) {
            // Where the directory is now they are tried for the first time.
            self.hand_out(id, unsure, followed.unseen.is_empty())?;
        }
        Ok(())
    }

    fn deed_done(&mut self, intent: &IntentRow, result: DeedResult) -> Result<()> {
        let (id, node) = (intent.folder, intent.node);
        if let DeedResult::Failed(error) = &result
            && matches!(error.kind, DiskErrorKind::RootLost | DiskErrorKind::NotWritable)
        {
            // The intent stays: when the root is back, the deed is carried out again.
            let error = error.clone();
            self.root_failed(id, &error);
            return Ok(());
        }
        self.ctx.store.drop_intent(intent.order.job)?;
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
        let known = self.known_of(&item, &result)?;
        if self.policy(id).sends()
            && let Some(surprise) = outcome::surprise(intent, &item, &result, known)
        {
            return self.take_surprise(intent, &item, surprise);
        }
        if outcome::hides(&intent.order.deed) {
            self.trees.forget(node);
        }
        match outcome::after(&intent.order.deed, &item, result.clone(), known) {
            After::Done { stamp, sha256, displaced } => {
                if let Some(displaced) = displaced {
                    let settings = self.folders.get(&id).map(|folder| &folder.settings);
                    self.retention.keep(&mut self.ctx, settings, intent, &item, displaced)?;
                }
                self.seat_changed(intent, &item, stamp, sha256)?;
            }
            After::FolderBack(from) => return self.folder_back(intent, &item, from, &result),
            After::Uncovered => {
                let dirs: Vec<NodeId> = Self::dir_of(&item).into_iter().collect();
                return self.look_around(node, &dirs, false);
            }
            After::Again => {}
            After::Fetch => {
                self.schedule.note(node, Note::NoAdopt);
            }
            After::Missing => self.missing_on_disk(&item)?,
            After::Edited => {
                if !self.spare_edited(&item)? {
                    return self.drifted(id, node);
                }
            }
            After::Drifted => return self.drifted(id, node),
            After::ClearWay => {
                self.schedule.note(node, Note::ClearWay);
            }
            After::Blocked(text) => {
                // What was fetched would lie there for as long as nobody moves that.
                self.drop_staged(id, node);
                return self.item_failed(node, LOCAL_IN_THE_WAY, text, None);
            }
            After::InParts => self.trees.goes_in_parts(node),
            After::PutBack => {
                self.schedule.note(node, Note::PutBack);
            }
            After::Left(entries) => {
                if self.policy(id).sends() {
                    // What is in it is met again, as something that only the disk has.
                    self.rescan_around(&item)?;
                }
                self.put_nowhere(&item)?;
                self.done(&item, intent, if entries > 0 { "removed; local files in it stay" } else { "removed" })?;
            }
            After::StagedLost => self.forget_staged(id, node),
            After::ParentLost => self.parent_lost(intent)?,
            After::NoRoom(error) => return self.no_room(node, &error),
            After::Failed(error) => {
                if error.kind == DiskErrorKind::UnsafePath {
                    // Its scan says by what name, and once for all that is below.
                    for dir in outcome::target_of(&intent.seat).into_iter().chain(Self::dir_of(&item)) {
                        self.ctx.store.want_scan(dir, item.folder, false, self.ctx.now.wall)?;
                    }
                }
                return self.item_failed(node, "disk", &error.to_string(), None);
            }
        }
        self.schedule.make_ready(node, Priority::News);
        self.schedule.wake_waiters(node);
        Ok(())
    }

    /// What is known of an item that matters for such a result.
    fn known_of(&mut self, item: &ItemRow, result: &DeedResult) -> Result<Known> {
        let mut known = Known { is_put_back: self.schedule.is_noted(item.node, Note::PutBack), ..Known::default() };
        match result {
            DeedResult::Different => known.keeps_edit = self.is_drift(item)?,
            DeedResult::Edited { .. } => {
                known.is_out_of_sight = matches!(self.ctx.place(item.node)?, Some(Place { base: Base::Parked(_), .. }));
            }
            DeedResult::NotEmpty { .. } => {
                known.attempts = self.ctx.store.work(item.node)?.map_or(0, |work| work.attempts);
            }
            _ => {}
        }
        Ok(known)
    }

    /// Takes a result that was not expected, where the disk's own changes count: nothing is cleared away, and a scan says what it is.
    fn take_surprise(&mut self, intent: &IntentRow, item: &ItemRow, surprise: Surprise) -> Result<()> {
        let target = outcome::target_of(&intent.seat);
        let mut is_in_the_way = false;
        let dirs: Vec<NodeId> = match surprise {
            Surprise::MovedOn => {
                self.missing(item)?;
                target.into_iter().collect()
            }
            Surprise::EditedOutOfSight(stamp) => {
                let edit = Some(LocalEdit { stamp, digests: None });
                let local = LocalRow::Present { seat: None, edit, at: self.ctx.now.wall };
                self.ctx.store.set_local(item.node, Some(&local))?;
                self.schedule.make_ready(item.node, Priority::News);
                return Ok(());
            }
            Surprise::Scan { own, target: is_target, is_occupied } => {
                is_in_the_way = is_occupied;
                let own = Self::dir_of(item).filter(|_| own);
                target.filter(|_| is_target).into_iter().chain(own).collect()
            }
            Surprise::ScanAboveTarget => {
                let above = target.map(|target| self.ctx.store.item(target)).transpose()?.flatten();
                above.iter().filter_map(Self::dir_of).collect()
            }
            Surprise::Crowded => {
                self.schedule.note(item.node, Note::Crowded);
                self.schedule.make_ready(item.node, Priority::News);
                return Ok(());
            }
            Surprise::Filled => {
                self.ctx.store.want_scan(item.node, item.folder, true, self.ctx.now.wall)?;
                let text = "the folder is gone from the cloud, and local files are in it";
                self.item_failed(item.node, "not_empty", text, None)?;
                self.schedule.wake_waiters(item.node);
                return Ok(());
            }
        };
        self.drop_staged(item.folder, item.node);
        self.look_around(item.node, &dirs, is_in_the_way)?;
        self.schedule.wake_waiters(item.node);
        Ok(())
    }

    /// Something else than expected stands where a deed wants to act: a scan finds out what it is. What no scan finds a name for is a
    /// person's matter: a link, a mount, or what patterns keep out.
    fn look_around(&mut self, node: NodeId, dirs: &[NodeId], is_occupied: bool) -> Result<()> {
        let Some(work) = self.ctx.store.work(node)? else {
            self.leave(node);
            return Ok(());
        };
        for dir in dirs {
            self.ctx.store.want_scan(*dir, work.folder, false, self.ctx.now.wall)?;
        }
        if work.attempts < SURPRISED_MOST {
            let due = self.ctx.now.wall.plus_ms(millis(SCANS_AWAITED) as i64);
            self.ctx.store.put_off(node, due, work.attempts + 1, None)?;
            self.rest(node);
            return Ok(());
        }
        if is_occupied {
            let text = "something that is not synced is in the way; move it elsewhere, or rename the item in the cloud";
            return self.item_failed(node, LOCAL_IN_THE_WAY, text, None);
        }
        self.item_failed(node, "unexpected", "the disk is not as its scan found it", None)
    }

    /// Whether a file was found edited before, and edits are kept.
    fn is_drift(&self, item: &ItemRow) -> Result<bool> {
        let keeps = self.folders.get(&item.folder).is_some_and(|folder| folder.settings.on_drift == OnDrift::Keep);
        let problem = self.ctx.store.work(item.node)?.and_then(|work| work.problem);
        Ok(keeps && problem.is_some_and(|(code, _)| code == DRIFT))
    }

    fn drifted(&mut self, id: FolderId, node: NodeId) -> Result<()> {
        self.drop_staged(id, node);
        let text = "the local file was edited, and `on_drift = \"keep\"` keeps the edit";
        self.item_failed(node, DRIFT, text, None)
    }

    /// The directory that was to hold an item is not on disk, so somebody removed it: it is made again first.
    fn parent_lost(&mut self, intent: &IntentRow) -> Result<()> {
        let NewSeat::At { parent, .. } = &intent.seat else { return Ok(()) };
        let Some(above) = self.ctx.store.item(*parent)? else { return Ok(()) };
        if matches!(above.synced.as_ref().map(|synced| &synced.seat), Some(SeatRow::Root) | None) {
            return Ok(());
        }
        self.lose(&above)
    }
}
