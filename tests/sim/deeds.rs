//! How deeds reach the disk, and what a deed must look like.

use folder_sync_agent::deed::{Deed, DeedOrder, DeedResult, DiskErrorKind, Place};
use folder_sync_agent::id::{JobId, NodeId};
use folder_sync_agent::path::Name;
use folder_sync_agent::settings::Mode;
use folder_sync_agent::store::intents::NewSeat;
use folder_sync_agent::store::items::{ItemRow, SeatRow};

use super::cloud::HALF;
use super::disk::{Cut, disk_error};
use super::mutants::Mutant;
use super::world::{FOLDER, Happening, World};

impl World {
    pub fn do_deed(&mut self, order: &DeedOrder) -> DeedResult {
        self.tally.deeds += 1;
        // A disk that refuses the same deed twice leaves things behind that only a person can sort out.
        if self.misfortune && self.chance.one_in(self.swarm.deed_errors) && self.refused_deeds.insert(order.job) {
            let kinds = [
                DiskErrorKind::Item,
                DiskErrorKind::Item,
                DiskErrorKind::Full,
                DiskErrorKind::NotWritable,
                DiskErrorKind::UnsafePath,
            ];
            let kind = *self.chance.pick(&kinds).unwrap();
            // The refusal may come when all is done but the flush.
            if self.chance.one_in(3) {
                self.tally.hit("deed: done and refused");
                self.carry_out_deed(order, Cut::Never);
            } else {
                self.tally.hit(format!("deed: {kind:?}"));
            }
            return self.twist_deed(order, DeedResult::Failed(disk_error(kind, "made up")));
        }
        if self.misfortune
            && let Deed::Publish { staged, .. } = &order.deed
            && self.chance.one_in(self.swarm.staged_lost)
            && self.disk.staging.get(&staged.name) == Some(&staged.stamp.ino)
        {
            self.tally.hit("staged file lost");
            self.disk.staging.remove(&staged.name);
        }
        let result = self.carry_out_deed(order, Cut::Never);
        if let Deed::Relocate { holds: Some(_), .. } = &order.deed {
            match result {
                DeedResult::Done { .. } => self.tally.hit("tree went whole"),
                DeedResult::NotEmpty { .. } => self.tally.hit("tree went in parts"),
                _ => {}
            }
        }
        self.say(|| format!("    {:?} -> {result:?}", order.deed));
        result
    }

    /// A deed reaches the disk.
    pub fn carry_out_deed(&mut self, order: &DeedOrder, cut: Cut) -> DeedResult {
        let before = (self.swarm.mode == Mode::Upload).then(|| self.disk.tree());
        self.check_deed(order);
        let result = self.disk.carry_out(order, cut);
        // One that finds an edit removes nothing, and may be ordered again.
        if self.removing.contains(&order.job) && matches!(result, DeedResult::Done { .. }) {
            self.removed.insert(order.job, 1);
        }
        if let (Deed::KeepFolder { holds, .. }, DeedResult::Done { .. }) = (&order.deed, &result) {
            self.tally.hit("directory kept whole");
            self.removed.insert(order.job, holds.entries);
        }
        if let (Deed::RestoreFolder { .. }, DeedResult::Done { .. }) = (&order.deed, &result) {
            self.tally.hit("directory came back whole");
        }
        if let (Deed::KeepFiles { dirs }, DeedResult::Kept { files }) = (&order.deed, &result) {
            let jobs = dirs.iter().flat_map(|dir| dir.files.iter().map(|file| file.job));
            let kept = jobs.zip(files).filter(|(job, kept)| kept.is_some() && self.removing.contains(job));
            let kept: Vec<_> = kept.map(|(job, _)| (job, 1)).collect();
            self.removed.extend(kept);
        }
        let result = self.twist_deed(order, result);
        if let Some(before) = before {
            assert_eq!(before, self.disk.tree(), "upload: the agent changed the disk: {:?}", order.deed);
        }
        result
    }

    fn check_deed(&self, order: &DeedOrder) {
        if let Deed::Publish { staged, .. } = &order.deed {
            let half = self.disk.staging.get(&staged.name).is_some_and(|ino| self.disk.content(*ino) == Some(HALF));
            assert!(!half, "law 4, V3: half a file is published");
        }
    }

    /// V19: what is set aside for the cloud's version, as far as that was told, is another content.
    fn check_conflict_copy(&self, order: &DeedOrder, node: NodeId) {
        let Deed::Relocate { from, to, .. } = &order.deed else { return };
        let name = |place: &Place| place.path.split_last().map(|(_, name)| name.to_text()).unwrap_or_default();
        if !self.is_calm() || !name(to).contains("conflicted copy") || name(from).contains("conflicted copy") {
            return;
        }
        let Some(id) = self.wanted().remove(&from.path.to_string()) else { return };
        // One may have to make room for another whose name the disk cannot hold and maps to this one.
        if self.store().item(node).unwrap().is_some_and(|item| item.id == id) {
            return;
        }
        let thing = self.cloud.thing(&id);
        let row = self.store().item_by_id(FOLDER, &id).unwrap().map(|row| row.remote);
        let is_told = row.filter(|row| row.name == thing.name).and_then(|row| row.content);
        let is_told = is_told.is_some_and(|content| content.version.to_string() == format!("v{}", thing.version));
        let here = self.disk.content_at(from);
        assert!(!is_told || here != Some(thing.content), "V19: a conflict copy of equal bytes: {from:?} {here:?}");
    }

    /// Nothing goes wrong but that both sides change at once.
    fn is_calm(&self) -> bool {
        self.swarm.is_calm() && self.tally.crashes == 0
    }

    pub fn is_ordered(&self, name: &Name) -> bool {
        self.heap.values().any(|happening| {
            matches!(happening, Happening::Deeds { orders, .. } if orders.iter().any(
                |order| matches!(&order.deed, Deed::Publish { staged, .. } if staged.name == *name)))
        })
    }

    /// Every deed is written down before it is handed out, and only what is gone from the cloud is removed.
    pub fn check_orders(&mut self, orders: &[DeedOrder]) {
        let mut intents = self.store().intents(FOLDER).unwrap();
        if self.mutant == Some(Mutant::NotWrittenDown) {
            intents.pop();
        }
        for order in orders {
            let intent = intents.iter().find(|intent| intent.order == *order);
            let intent = intent.unwrap_or_else(|| panic!("law 7, V5: a deed that is not written down: {order:?}"));
            self.check_conflict_copy(order, intent.node);
            if let (Deed::KeepFiles { dirs }, NewSeat::AllNowhere { nodes }) = (&order.deed, &intent.seat) {
                let files = dirs.iter().flat_map(|dir| dir.files.iter().map(|file| file.job)).zip(nodes);
                for (job, node) in files.map(|(job, node)| (job, *node)).collect::<Vec<_>>() {
                    if self.store().tombstone(node).unwrap().is_none() {
                        self.removing.insert(job);
                        self.check_removal(job, node);
                    }
                }
                continue;
            }
            if let Deed::KeepFolder { .. } = &order.deed {
                let files = self.store().remote_children(intent.node, NodeId(0), u32::MAX).unwrap();
                let is_seated = |row: &ItemRow| matches!(row.disk_seat(), Some(SeatRow::At { parent, .. }) if parent == intent.node);
                let files: Vec<_> = files.into_iter().filter(is_seated).map(|row| row.node).collect();
                for node in files {
                    self.check_removal(order.job, node);
                }
                continue;
            }
            let expires = self.store().tombstone(intent.node).unwrap().is_some();
            // What a person decides about a conflict removes one of the two.
            let decided = intent.seat == NewSeat::Unchanged;
            let removes = !decided && matches!(&order.deed, Deed::RemoveFile { expect, .. } if expect.ino != 0);
            // What makes room for another item is replaced and not deleted.
            // It stays replaced when it is carried out again after a crash, wherever its folder is by then.
            if removes && !expires && (self.is_replaced(order) || self.is_told_replaced(intent.node)) {
                self.replacing.insert(order.job);
            } else if removes && !expires && !self.replacing.contains(&order.job) {
                self.removing.insert(order.job);
            }
            if expires {
                self.check_expiry(order);
            }
            if removes && !expires {
                self.check_removal(order.job, intent.node);
            }
        }
    }

    /// Only what was gone from the cloud is removed. What a pattern keeps out looks gone where the place in the stream was lost. It may be back
    /// when the same order is handed out once more, after a crash.
    fn check_removal(&mut self, job: JobId, node: NodeId) {
        if self.cloud.lossy || self.swarm.habits.late > 0 {
            return;
        }
        let item = self.store().item(node).unwrap().expect("an item for each deed");
        if !self.wanted().values().any(|id| *id == item.id) {
            self.unwanted.insert((job, node));
        } else if !self.unwanted.contains(&(job, node)) {
            // One that left a folder before that went to the trash, and of which the stream keeps that back, went with it.
            let was_gone = self.cloud.ever_gone.contains(&item.id) || self.cloud.keeps_back_a_move_of(&item.id);
            assert!(was_gone, "law 5, V9: {} is removed and was never gone from the cloud", item.id);
        }
    }

    fn is_replaced(&self, order: &DeedOrder) -> bool {
        let Deed::RemoveFile { at, .. } = &order.deed else { return false };
        let (path, wanted) = (at.path.to_string(), self.wanted());
        wanted.contains_key(&path) || wanted.contains_key(&format!("{path}/"))
    }

    /// The agent was told of another item in a file's place; what became of that one since it cannot know.
    fn is_told_replaced(&self, node: NodeId) -> bool {
        let store = self.store();
        let seat = store.item(node).unwrap().and_then(|item| item.disk_seat());
        let Some(SeatRow::At { parent, name }) = seat else { return false };
        store.remote_named(parent, &name.to_text(), false).unwrap().is_some_and(|other| other != node)
    }

    /// A local copy that `keep_for` removes was there for so long.
    fn check_expiry(&self, order: &DeedOrder) {
        let (Deed::RemoveFile { expect, .. }, Some(keep_for)) = (&order.deed, self.swarm.keep_for_ms) else { return };
        let arrived = self.disk.arrived.get(&expect.ino).copied().unwrap_or(0);
        let kept = self.now.saturating_sub(arrived);
        assert!(self.swarm.wall_jumps > 0 || kept >= keep_for, "keep_for: a copy goes after {kept} ms of {keep_for}");
    }

    /// Law 9: nobody said yes, and no more is deleted than may be without asking.
    pub fn check_deletions(&self) {
        let Some(most) = self.swarm.max_delete.filter(|_| !self.approved && !self.swarm.refilter) else { return };
        if self.swarm.wall_jumps > 0 {
            return;
        }
        let gone: u64 = self.removed.values().sum();
        assert!(gone <= most, "law 9, V9: {gone} files are deleted on disk, and {most} may be");
        assert!(self.trashed <= most, "law 9, V9: {} files are deleted in the cloud, and {most} may be", self.trashed);
    }
}
