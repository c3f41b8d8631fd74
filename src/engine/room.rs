//! Items for which the disk has no room: each of them waits by itself, and the rest of its folder goes on.
//!
//! Example: the cloud has a file of 8 GiB and the disk 1 GiB. Uploads and smaller files go on; if what the version store may give up (the
//! oldest first, nothing of the last day) is enough, it is given up; if not, nothing is, and the file waits with its name and reason until
//! a look at the disk finds room.

use std::time::Duration;

use super::{Engine, millis};
use crate::deed::DiskError;
use crate::id::{FolderId, NodeId};
use crate::store::Result;

/// The problem of an item for which there is no room.
pub(super) const NO_ROOM: &str = "no_room";
/// The code of an item that waits for the first look whether room can be made.
const WAITS: &str = "waits";
/// How often the disk is looked at while something waits for room on it.
const ROOM_LOOKED_FOR_EVERY: Duration = Duration::from_secs(10);
/// The time that the disk gets to remove what was given up.
const ROOM_IS_MADE_WITHIN: Duration = Duration::from_secs(2);
/// What a filesystem needs beside a file's content is no more than one part of this many.
const OVERHEAD_PART: u64 = 128;

/// What is known of the room on a folder's disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    /// Something waits for room.
    is_short: bool,
    /// What the items need that wait for the first look.
    wanted: Option<u64>,
}

impl Engine {
    /// The disk has no room for an item. Before that is a problem, room is made if it can be.
    pub(super) fn no_room(&mut self, node: NodeId, error: &DiskError) -> Result<()> {
        let (Some(work), Some(item)) = (self.store.work(node)?, self.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        self.drop_staged(item.folder, node);
        let needs = item.remote.content.as_ref().and_then(|content| content.size).unwrap_or(0);
        let now = self.now.mono;
        let Some(folder) = self.folders.get_mut(&item.folder) else { return Ok(()) };
        folder.room.is_short = true;
        folder.look_at_root_by(now);
        if work.problem.as_ref().is_some_and(|(code, _)| [NO_ROOM, WAITS].contains(&&**code)) {
            return self.item_failed(node, NO_ROOM, &error.to_string(), None);
        }
        folder.room.wanted = Some(folder.room.wanted.map_or(needs, |least| least.min(needs)));
        self.put_off(&work, ROOM_IS_MADE_WITHIN, WAITS, "waits for room on the disk")
    }

    /// The disk was looked at: what fits now is tried again, and if nothing does, room is made for the smallest.
    pub(super) fn room_seen(&mut self, id: FolderId, free: u64) -> Result<()> {
        let now = self.now.mono;
        let Some(folder) = self.folders.get_mut(&id).filter(|folder| folder.room.is_short) else { return Ok(()) };
        let wanted = folder.room.wanted.take();
        let waiting = self.store.least_for_room(id, NO_ROOM)?;
        let Some(least) = wanted.into_iter().chain(waiting).min() else {
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.room.is_short = false;
            }
            return Ok(());
        };
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.look_at_root_by(now + millis(ROOM_LOOKED_FOR_EVERY));
        }
        let needs = least.saturating_add(least / OVERHEAD_PART);
        if needs <= free {
            self.store.wake_for_room(id, NO_ROOM, free - free / OVERHEAD_PART)?;
            self.more = true;
            return Ok(());
        }
        if self.spare_versions(id, needs - free)?
            && let Some(folder) = self.folders.get_mut(&id)
        {
            // Whether that was enough is seen when it is gone.
            folder.look_at_root_by(now + millis(ROOM_IS_MADE_WITHIN) / 2);
        }
        Ok(())
    }
}
