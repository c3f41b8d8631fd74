//! Laws that are checked while a history goes on: at every step, at every task, and at every crash.

use std::collections::BTreeSet;

use folder_sync_agent::deed::Deed;
use folder_sync_agent::engine::Task;
use folder_sync_agent::id::ItemId;
use folder_sync_agent::settings::Mode;
use folder_sync_agent::store::intents::{IntentRow, NewSeat};
use folder_sync_agent::store::items::{ItemRow, SeatRow};

use super::disk::sha256_of;
use super::world::{FOLDER, World};

/// Up to this answer time nothing moves behind a scan's back.
const QUICK_DISK_MS: u64 = 50;
/// How long a deletion waits for a directory that cannot be read.
const UNREAD_AWAITED_MS: u64 = 600_000;

/// What the engine was told in one step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Its place in the stream is lost.
    pub is_place_lost: bool,
    /// News, or a new cursor.
    pub news: bool,
}

impl World {
    pub fn check_step(&self, told: Told) {
        if told.is_place_lost {
            let folders = self.store().folders().unwrap();
            let noticed = folders.iter().all(|folder| folder.root.is_none() || folder.unverified.is_some());
            assert!(noticed, "law 3: the place in the stream is lost, and nothing says so: {folders:?}");
        }
        if told.news {
            for account in self.store().reader().accounts().unwrap() {
                let known = account.cursor.as_ref().is_none_or(|cursor| self.delivered.contains(cursor));
                assert!(known, "law 2, V6: the cursor {:?} is ahead of all that was told", account.cursor);
            }
        }
        self.check_deletions();
    }

    pub fn check_task(&self, task: &Task) {
        match task {
            Task::Fetch(_, order) => {
                assert!(self.swarm.mode != Mode::Upload, "upload: {} is fetched", order.item);
                let Some(row) = self.store().item_by_id(FOLDER, &order.item).unwrap() else { return };
                let number = order.version.as_str().trim_start_matches('v').parse::<u64>().unwrap();
                let is_own = self.cloud.own_versions.contains(&number);
                let content = self.cloud.versions.get(&number).map(|(_, content)| *content);
                let here = row.disk_stamp().filter(|stamp| self.disk.has_inode(stamp.ino, &BTreeSet::new()));
                let here = here.and_then(|stamp| self.disk.content(stamp.ino));
                // Events of paths name a version and no digest: one that lands late cannot be told from somebody else's.
                let tells = !self.swarm.habits.paths || self.swarm.answers_lost == 0;
                assert!(
                    !is_own || !tells || here.is_none() || here != content,
                    "law 6, V7: our own upload is fetched: {row:?}"
                );
            }
            Task::Trash { item, .. } => {
                if self.swarm.mode == Mode::Upload {
                    self.check_upload_trash(item);
                }
                // A slow scan can miss what moves to where it has been; it is found there later, and goes up as a new one.
                if !self.swarm.exclude && self.swarm.deeds_ms <= QUICK_DISK_MS {
                    self.check_trash(item);
                }
            }
            _ => {}
        }
    }

    /// V9: what goes to the trash is gone from the disk.
    fn check_trash(&self, item: &ItemId) {
        let Some(row) = self.store().item_by_id(FOLDER, item).unwrap() else { return };
        let Some(synced) = row.synced else { return };
        let Some(content) = synced.content else { return };
        // One that was moved and written to may be taken for a new one.
        let is_as_synced = self.disk.content(synced.stamp.ino).map(sha256_of) == content.sha256;
        // Nor is one lost that went up under its new name before the old place could be read.
        let rows = self.cloud.all_ids.iter().filter_map(|id| self.store().item_by_id(FOLDER, id).unwrap());
        let mut others = rows.filter(|other| other.id != *item && other.synced.is_some());
        let going_up = self.store().reader().planned(FOLDER).unwrap();
        let others_new = going_up.iter().filter(|planned| planned.item.id != *item);
        let mut stamps = others_new.filter_map(|planned| planned.item.disk_stamp());
        let is_known = stamps.any(|stamp| stamp.ino == synced.stamp.ino)
            || others.any(|other| other.disk_stamp().is_some_and(|stamp| stamp.ino == synced.stamp.ino));
        // What could not be read for so long is a problem that is told, and what may have moved into it is not waited for any more.
        let unread =
            if self.now < UNREAD_AWAITED_MS { Vec::new() } else { self.store().failed_scans(FOLDER, 1_000).unwrap() };
        let rows = unread.iter().filter_map(|(node, _)| self.store().item(*node).unwrap());
        let inode = |row: ItemRow| match row.disk_seat() {
            Some(SeatRow::Root) => Some(self.disk.root()),
            _ => row.disk_stamp().map(|stamp| stamp.ino),
        };
        let unread = rows.filter_map(inode).collect();
        let keeps = is_as_synced && !is_known && self.disk.has_inode(synced.stamp.ino, &unread);
        assert!(!keeps, "law 5, V9: {item} goes to the trash, and the disk has it");
    }

    /// Law 7, V4: what the rows call synced is on disk, whenever the process dies.
    pub fn check_synced(&self) {
        if self.disk.meddled || self.disk.away {
            return;
        }
        let intents = self.store().intents(FOLDER).unwrap();
        for id in &self.cloud.all_ids {
            let Some(row) = self.store().item_by_id(FOLDER, id).unwrap() else { continue };
            let Some(synced) = row.synced.filter(|synced| matches!(synced.seat, SeatRow::At { .. })) else { continue };
            let Some(content) = synced.content else { continue };
            let dir = match synced.seat {
                SeatRow::At { parent, .. } => Some(parent),
                SeatRow::Root | SeatRow::Parked(_) => None,
            };
            let is_about = |intent: &IntentRow| match (&intent.seat, &intent.order.deed) {
                (NewSeat::AllNowhere { nodes }, _) => nodes.contains(&row.node),
                // Its files go with it.
                (_, Deed::KeepFolder { .. }) => dir == Some(intent.node),
                _ => intent.node == row.node,
            };
            if intents.iter().any(is_about) {
                continue;
            }
            let there =
                self.disk.content(synced.stamp.ino).filter(|_| self.disk.has_inode(synced.stamp.ino, &BTreeSet::new()));
            let there = there.map(sha256_of);
            assert_eq!(there, content.sha256, "law 7, V4: {id} is called synced, and is not on disk");
        }
    }
}
