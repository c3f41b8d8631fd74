//! Items for which the disk has no room: each of them waits by itself, and the rest of its folder goes on.
//!
//! Example: the cloud has a file of 8 GiB and the disk 1 GiB. Uploads and smaller files go on; if what the version store may give up (the
//! oldest first, nothing of the last day) is enough, it is given up; if not, nothing is, and the file waits with its name and reason until
//! a look at the disk finds room.

use std::time::Duration;

use super::ctx::Ctx;
use crate::id::FolderId;
use crate::store::Result;
use crate::store::items::ItemRow;

/// The problem of an item for which there is no room.
pub(in crate::engine) const NO_ROOM: &str = "no_room";
/// The code of an item that waits for the first look whether room can be made.
pub(in crate::engine) const WAITS: &str = "waits";
/// How often the disk is looked at while something waits for room on it.
pub(in crate::engine) const ROOM_LOOKED_FOR_EVERY: Duration = Duration::from_secs(10);
/// The time that the disk gets to remove what was given up.
pub(in crate::engine) const ROOM_IS_MADE_WITHIN: Duration = Duration::from_secs(2);
/// What a filesystem needs beside a file's content is no more than one part of this many.
const OVERHEAD_PART: u64 = 128;

/// What is known of the room on a folder's disk.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Room {
    /// Something waits for room.
    is_short: bool,
    /// What the items need that wait for the first look.
    wanted: Option<u64>,
    /// What was free when the disk was last looked at since something is short of it.
    seen: Option<u64>,
}

/// What a look at the disk means for those that wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Seen {
    /// Nothing waits.
    Enough,
    /// Something waits, and the disk is looked at again a little later.
    Short {
        /// The bytes that are missing for the smallest of what waits.
        missing: u64,
    },
}

impl Room {
    /// Something does not fit.
    pub fn falls_short(&mut self) {
        self.is_short = true;
    }

    /// An item that needs so much waits for the first look whether room can be made.
    pub fn wants(&mut self, needs: u64) {
        self.wanted = Some(self.wanted.map_or(needs, |least| least.min(needs)));
    }

    /// Why it is known that an item does not fit, so that fetching it would be in vain.
    pub fn lacks(&self, item: &ItemRow) -> Option<String> {
        let needs = needed(item);
        let needs = needs.saturating_add(needs / OVERHEAD_PART);
        let free = self.seen.filter(|free| needs > *free)?;
        Some(format!("{free} bytes are free beside those that are to stay free, and {needs} are needed"))
    }

    /// The disk was looked at: what fits now and did not before is tried again.
    ///
    /// What seemed to fit and was refused all the same (a quota) is tried again after its own growing wait, and not for each look.
    pub fn take_look(&mut self, ctx: &mut Ctx, id: FolderId, free: u64, is_first: bool) -> Result<Seen> {
        if !self.is_short && !is_first {
            return Ok(Seen::Enough);
        }
        let wanted = self.wanted.take();
        let before = if is_first { Some(0) } else { self.seen };
        (self.is_short, self.seen) = (true, Some(free));
        let waiting = ctx.store.least_for_room(id, NO_ROOM)?;
        let Some(least) = wanted.into_iter().chain(waiting).min() else {
            *self = Self::default();
            return Ok(Seen::Enough);
        };
        let longest = |free: u64| free - free / OVERHEAD_PART;
        if let Some(before) = before.filter(|before| *before < free) {
            ctx.store.wake_for_room(id, NO_ROOM, longest(before)..=longest(free))?;
            ctx.more = true;
        }
        let needs = least.saturating_add(least / OVERHEAD_PART);
        Ok(Seen::Short { missing: needs.saturating_sub(free) })
    }
}

/// The bytes that the content of an item needs.
pub(in crate::engine) fn needed(item: &ItemRow) -> u64 {
    item.remote.content.as_ref().and_then(|content| content.size).unwrap_or(0)
}
