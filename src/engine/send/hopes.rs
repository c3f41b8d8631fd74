//! What is missing on disk and may still turn up: in a folder that is out of sight, or as something new that was not read yet.

use std::time::Duration;

use crate::engine::ctx::Ctx;
use crate::id::FolderId;
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::whole::Hopes;
use crate::tree::Wall;

/// How long something new waits for scans that may show that it was only moved, and something missing for what is new, in milliseconds.
const MOVES_AWAITED_MS: i64 = 10_000;
/// How long a deletion waits for folders that are out of sight, in milliseconds.
const PARKED_AWAITED_MS: i64 = 600_000;
/// The shortest time between two looks whether a scan, or what comes back into sight, has shown what became of something.
const LOOKED_AFTER_LEAST: Duration = Duration::from_millis(500);
/// The longest.
const LOOKED_AFTER_MOST: Duration = Duration::from_secs(10);

/// Since when the disk has shown an item as it does, in milliseconds; nothing if it is as it was synced.
fn shown_for(ctx: &Ctx, item: &ItemRow) -> Option<i64> {
    item.local.as_ref().map(|local| ctx.age(local.at()))
}

/// Whether scans may still show that something was moved. A clock that went back must not block for ever.
pub(super) fn may_be_moved(ctx: &Ctx, item: &ItemRow) -> bool {
    shown_for(ctx, item).is_some_and(|since| (0..=MOVES_AWAITED_MS).contains(&since))
}

/// Whether a missing file may still be found: in a folder that is out of sight, or in something new that was not read yet.
pub(in crate::engine) fn may_turn_up(ctx: &Ctx, item: &ItemRow) -> Result<bool> {
    let length = item.synced.as_ref().and_then(|synced| synced.content.as_ref()).map_or(0, |content| content.size);
    let is_parked_for = shown_for(ctx, item).is_some_and(|since| (0..=PARKED_AWAITED_MS).contains(&since));
    if is_parked_for && ctx.store.any_parked(item.folder)? {
        return Ok(true);
    }
    Ok(length > 0 && may_be_moved(ctx, item) && ctx.store.new_of_length(item.folder, length)?)
}

/// When to look again whether it is known by now what became of something on disk: ever less often.
pub(in crate::engine) fn looked_after(ctx: &Ctx, item: &ItemRow) -> Duration {
    let since = shown_for(ctx, item).unwrap_or(0);
    Duration::from_millis(since.max(0) as u64 / 4).clamp(LOOKED_AFTER_LEAST, LOOKED_AFTER_MOST)
}

/// Since when something has to be missing to be beyond hope, as [`may_turn_up`] has it.
pub(super) fn hopes(ctx: &Ctx, folder: FolderId) -> Result<Hopes> {
    let parked = ctx.store.any_parked(folder)?.then(|| ctx.younger_than(PARKED_AWAITED_MS));
    Ok(Hopes { parked_since: parked.unwrap_or(Wall(i64::MAX)), moved_since: ctx.younger_than(MOVES_AWAITED_MS) })
}
