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
use crate::store::items::ItemRow;

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
    /// What was free when the disk was last looked at since something is short of it.
    seen: Option<u64>,
}

impl Engine {
    /// The disk has no room for an item. Before that is a problem, room is made if it can be.
    pub(super) fn no_room(&mut self, node: NodeId, error: &DiskError) -> Result<()> {
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        self.drop_staged(item.folder, node);
        let needs = item.remote.content.as_ref().and_then(|content| content.size).unwrap_or(0);
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&item.folder) else { return Ok(()) };
        folder.room.is_short = true;
        folder.look_at_root_by(now);
        if work.problem.as_ref().is_some_and(|(code, _)| [NO_ROOM, WAITS].contains(&&**code)) {
            return self.item_failed(node, NO_ROOM, &error.to_string(), None);
        }
        folder.room.wanted = Some(folder.room.wanted.map_or(needs, |least| least.min(needs)));
        self.put_off(&work, ROOM_IS_MADE_WITHIN, WAITS, "waits for room on the disk")
    }

    /// Whether it is known that an item does not fit, so that fetching it would be in vain. It waits then.
    pub(super) fn lacks_room(&mut self, item: &ItemRow) -> Result<bool> {
        let needs = item.remote.content.as_ref().and_then(|content| content.size).unwrap_or(0);
        let needs = needs.saturating_add(needs / OVERHEAD_PART);
        let room = self.folders.get(&item.folder).map(|folder| folder.room).unwrap_or_default();
        let Some(free) = room.seen.filter(|free| needs > *free) else { return Ok(false) };
        self.drop_staged(item.folder, item.node);
        let text = format!("{free} bytes are free beside those that are to stay free, and {needs} are needed");
        self.item_failed(item.node, NO_ROOM, &text, None)?;
        Ok(true)
    }

    /// The disk was looked at: what fits now and did not before is tried again, and if nothing fits, room is made for the smallest.
    ///
    /// What seemed to fit and was refused all the same (a quota) is tried again after its own growing wait, and not for each look.
    pub(super) fn room_seen(&mut self, id: FolderId, free: u64, is_first: bool) -> Result<()> {
        let now = self.ctx.now.mono;
        let is_short = |room: &Room| room.is_short || is_first;
        let Some(folder) = self.folders.get_mut(&id).filter(|folder| is_short(&folder.room)) else { return Ok(()) };
        let wanted = folder.room.wanted.take();
        let before = if is_first { Some(0) } else { folder.room.seen };
        (folder.room.is_short, folder.room.seen) = (true, Some(free));
        let waiting = self.ctx.store.least_for_room(id, NO_ROOM)?;
        let Some(least) = wanted.into_iter().chain(waiting).min() else {
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.room = Room::default();
            }
            return Ok(());
        };
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.look_at_root_by(now + millis(ROOM_LOOKED_FOR_EVERY));
        }
        let needs = least.saturating_add(least / OVERHEAD_PART);
        let longest = |free: u64| free - free / OVERHEAD_PART;
        if let Some(before) = before.filter(|before| *before < free) {
            self.ctx.store.wake_for_room(id, NO_ROOM, longest(before)..=longest(free))?;
            self.ctx.more = true;
        }
        if needs <= free {
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
