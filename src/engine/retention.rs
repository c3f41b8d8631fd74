//! What stays on disk and for how long: local copies by `keep_for`, superseded and deleted content by count, age and size.
//!
//! A content that is given up keeps its row for a day: the file goes after the commit, and a crash in between must not leave it behind.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ctx::{Ctx, ROWS_PER_STEP, millis};
use super::effect::Effect;
use super::holds::VERSIONS_FULL;
use crate::deed::{Deed, Displaced};
use crate::id::{FolderId, JobId, NodeId};
use crate::settings::{FolderSettings, KeepFrom, Mode};
use crate::store::Result;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::undo::{Away, Tombstone};
use crate::store::versions::{Kept, KeptFolder, Reason, Slot};
use crate::store::work::{Ask, Priority};
use crate::tree::Wall;

/// The most that a version store holds if nobody says how much, in bytes; or a fifth of the disk, if that is less.
const VERSIONS_MAX_BYTES: u64 = 10 << 30;
/// Younger content is not given up to make room, in milliseconds.
const VERSIONS_SAFE_MS: i64 = 24 * 3_600 * 1_000;
/// Older content is given up, in milliseconds.
const VERSIONS_KEPT_MS: i64 = 180 * 24 * 3_600 * 1_000;
/// How long the row of a content stays that was given up, in milliseconds.
const GIVEN_UP_KEPT_MS: i64 = 24 * 3_600 * 1_000;
/// Contents given up in one step.
const GIVEN_UP_PER_STEP: u32 = 200;
/// Files whose time is over that one step looks at.
const EXPIRED_PER_STEP: u32 = 64;
/// When a file is looked at again whose time is over while something else is to be done with it.
const EXPIRY_RETRIED_EVERY: Duration = Duration::from_mins(10);
/// The shortest time between two steps that are made for expiry alone.
const EXPIRY_PAUSE: Duration = Duration::from_secs(1);

/// What is remembered between steps.
#[derive(Debug, Default)]
pub(in crate::engine) struct Retention {
    /// Bytes in each version store, counted when first asked for.
    kept: BTreeMap<FolderId, u64>,
    /// The sizes of the disks.
    disks: BTreeMap<FolderId, u64>,
    /// From when the time of a folder's files is noted, if it is; nothing in it: known to be of no interest.
    noted: BTreeMap<FolderId, Option<KeepFrom>>,
    clock: Clock,
}

/// Whether the wall clock can be believed: when it has just jumped ahead, whoever set it wrongly may yet correct it, and nothing expires for
/// a moment. A computer that slept looks the same.
#[derive(Debug, Default)]
struct Clock {
    last: Option<(u64, Wall)>,
    doubted_until: u64,
}

/// How much further than time went the clock may go without being doubted, in milliseconds.
const CLOCK_JUMP_MS: i64 = 3_600 * 1_000;
/// How long a clock is doubted, in milliseconds.
const CLOCK_SETTLES_MS: u64 = 15_000;

impl Clock {
    /// Looks at the clock; `seen` is the latest moment that the database knows of, for the first look. Whether it went back.
    fn look(&mut self, (mono, wall): (u64, Wall), seen: Option<Wall>) -> bool {
        let expected = match self.last.replace((mono, wall)) {
            Some((was, then)) => Some(then.plus_ms(i64::try_from(mono.saturating_sub(was)).unwrap_or(i64::MAX))),
            None => seen,
        };
        let Some(expected) = expected else { return false };
        if wall.since(expected) > CLOCK_JUMP_MS {
            self.doubted_until = mono + CLOCK_SETTLES_MS;
        }
        expected.since(wall) > CLOCK_JUMP_MS
    }

    fn is_doubted(&self, mono: u64) -> bool {
        mono < self.doubted_until
    }
}

/// The most bytes that a version store may hold. A disk whose size is not known counts as large.
fn versions_limit(wish: Option<u64>, disk_bytes: Option<u64>) -> u64 {
    let fifth = disk_bytes.map_or(u64::MAX, |bytes| bytes / 5);
    wish.unwrap_or_else(|| VERSIONS_MAX_BYTES.min(fifth))
}

/// Which of the oldest contents are given up: those that are too old, and as many more as it takes to come down to the limit, but none
/// of the last day.
fn to_give_up(oldest: &[Slot], mut held: u64, limit: u64, now: Wall) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for slot in oldest {
        let age = now.since(slot.at);
        if age <= VERSIONS_KEPT_MS && (held <= limit || age < VERSIONS_SAFE_MS) {
            break;
        }
        held = held.saturating_sub(slot.size);
        jobs.push(slot.job);
    }
    jobs
}

/// How long local copies of a folder stay, if not for ever.
fn keep_for_ms(settings: &FolderSettings) -> Option<i64> {
    let keep_for = settings.keep_for.filter(|_| settings.mode == Mode::Mirror)?;
    Some(i64::try_from(millis(keep_for)).unwrap_or(i64::MAX))
}

impl Retention {
    /// A root was opened, for the first time in this run or again.
    pub fn opened(&mut self, ctx: &mut Ctx, id: FolderId, disk_bytes: u64, first: bool) -> Result<()> {
        self.disks.insert(id, disk_bytes);
        if first {
            let jobs = ctx.store.given_up(id, ROWS_PER_STEP)?;
            if !jobs.is_empty() {
                ctx.out.push(Effect::DropVersions(id, jobs));
            }
        }
        Ok(())
    }

    /// A deed moved content into the version store of a folder, whose settings are given if it is (still) configured.
    pub fn keep(
        &mut self,
        ctx: &mut Ctx,
        settings: Option<&FolderSettings>,
        intent: &IntentRow,
        item: &ItemRow,
        displaced: Displaced,
    ) -> Result<()> {
        let synced = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
        let reason = match intent.seat {
            _ if displaced.edited => Reason::Edited,
            NewSeat::Nowhere if is_expiring(ctx, item)? => Reason::Expired,
            NewSeat::Nowhere => Reason::Deleted,
            _ => Reason::Superseded,
        };
        let ours = if displaced.edited { None } else { synced };
        let path = match &intent.order.deed {
            Deed::Publish { at, .. } | Deed::RemoveFile { at, .. } => ctx.in_sight(item, at)?.to_string(),
            _ => ctx.shown_path(item)?,
        };
        let (id, job) = (item.folder, intent.order.job);
        let held = self.kept_bytes(ctx, id)?;
        ctx.store.keep_version(&Kept {
            job,
            folder: id,
            id: &item.id,
            path: &path,
            reason,
            version: ours.map(|content| &content.version),
            hash: ours.and_then(|content| content.hash.as_ref()),
            sha256: ours.and_then(|content| content.sha256),
            size: displaced.size,
            at: ctx.now.wall,
        })?;
        self.kept.insert(id, held.saturating_add(displaced.size));
        let is_in_quarantine = match ours {
            Some(ours) => ctx.store.quarantined_version(id, &item.id, &ours.version)?.is_some_and(|row| row.is_away()),
            None => false,
        };
        if reason == Reason::Expired || is_in_quarantine {
            // The cloud has it, in this very version, or the quarantine: nothing is lost with the local copy.
            return self.give_up(ctx, id, &[Slot { job, size: displaced.size, at: ctx.now.wall }]);
        }
        let Some(settings) = settings else { return Ok(()) };
        let surplus = ctx.store.surplus_versions(id, &item.id, settings.keep_versions)?;
        self.give_up(ctx, id, &surplus)?;
        if self.is_over_limit(ctx, id, settings)? { self.tend(ctx, id, settings) } else { Ok(()) }
    }

    /// A directory went into the version store of a folder with the files in it, which are written down there.
    pub fn keep_folder(
        &mut self,
        ctx: &mut Ctx,
        settings: Option<&FolderSettings>,
        kept: &KeptFolder<'_>,
    ) -> Result<()> {
        let held = self.kept_bytes(ctx, kept.folder)?;
        let bytes = ctx.store.keep_folder(kept, ctx.now.wall)?;
        self.kept_more(ctx, settings, kept.folder, held.saturating_add(bytes))
    }

    /// Files of a directory went into the version store of a folder together, and are written down there.
    pub fn keep_together(
        &mut self,
        ctx: &mut Ctx,
        settings: Option<&FolderSettings>,
        kept: &KeptFolder<'_>,
    ) -> Result<()> {
        let held = self.kept_bytes(ctx, kept.folder)?;
        let bytes = ctx.store.kept_together(kept, ctx.now.wall)?;
        self.kept_more(ctx, settings, kept.folder, held.saturating_add(bytes))
    }

    /// A directory is back in sight from the version store of a folder.
    pub fn went_back(&mut self, ctx: &mut Ctx, id: FolderId, kept: JobId) -> Result<()> {
        let held = self.kept_bytes(ctx, id)?;
        let bytes = ctx.store.went_back(kept)?;
        self.kept.insert(id, held.saturating_sub(bytes));
        Ok(())
    }

    fn kept_more(&mut self, ctx: &mut Ctx, settings: Option<&FolderSettings>, id: FolderId, held: u64) -> Result<()> {
        self.kept.insert(id, held);
        match settings {
            Some(settings) if self.is_over_limit(ctx, id, settings)? => self.tend(ctx, id, settings),
            _ => Ok(()),
        }
    }

    fn kept_bytes(&mut self, ctx: &Ctx, id: FolderId) -> Result<u64> {
        if let Some(bytes) = self.kept.get(&id) {
            return Ok(*bytes);
        }
        let bytes = ctx.store.kept_bytes(id)?;
        self.kept.insert(id, bytes);
        Ok(bytes)
    }

    fn limit(&self, id: FolderId, settings: &FolderSettings) -> u64 {
        versions_limit(settings.versions_max, self.disks.get(&id).copied())
    }

    fn is_over_limit(&mut self, ctx: &Ctx, id: FolderId, settings: &FolderSettings) -> Result<bool> {
        Ok(self.kept_bytes(ctx, id)? > self.limit(id, settings))
    }

    fn give_up(&mut self, ctx: &mut Ctx, id: FolderId, slots: &[Slot]) -> Result<()> {
        if slots.is_empty() {
            return Ok(());
        }
        let mut held = self.kept_bytes(ctx, id)?;
        for slot in slots {
            ctx.store.give_up_version(slot.job, ctx.now.wall)?;
            held = held.saturating_sub(slot.size);
        }
        self.kept.insert(id, held);
        ctx.out.push(Effect::DropVersions(id, slots.iter().map(|slot| slot.job).collect()));
        Ok(())
    }

    /// Brings a version store within its bounds. What was held for want of room goes on if there is some.
    pub fn tend(&mut self, ctx: &mut Ctx, id: FolderId, settings: &FolderSettings) -> Result<()> {
        let (held, limit) = (self.kept_bytes(ctx, id)?, self.limit(id, settings));
        let oldest = ctx.store.oldest_versions(id, GIVEN_UP_PER_STEP)?;
        let jobs = to_give_up(&oldest, held, limit, ctx.now.wall);
        let slots: Vec<Slot> = oldest.into_iter().take(jobs.len()).collect();
        self.give_up(ctx, id, &slots)?;
        match ctx.store.open_hold(id, VERSIONS_FULL)? {
            Some(hold) if !self.is_over_limit(ctx, id, settings)? => {
                // There is room again, so nobody needs to decide any more.
                let nodes = ctx.store.held_items(hold, ROWS_PER_STEP)?;
                for node in nodes {
                    ctx.store.unhold_item(hold, node)?;
                    ctx.store.unhold(node, false)?;
                }
                if ctx.store.held_items(hold, 1)?.is_empty() {
                    ctx.store.drop_hold(hold)?;
                    ctx.store.free_dependents(id)?;
                }
                ctx.more = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes room for `bytes` on the disk by giving up what is oldest and not of the last day, if that is enough; whether anything was given
    /// up. What is more than the version store may hold goes in any case.
    pub fn spare(&mut self, ctx: &mut Ctx, id: FolderId, settings: &FolderSettings, bytes: u64) -> Result<bool> {
        let before = self.kept_bytes(ctx, id)?;
        self.tend(ctx, id, settings)?;
        let held = self.kept_bytes(ctx, id)?;
        let missing = bytes.saturating_sub(before.saturating_sub(held));
        let oldest = ctx.store.oldest_versions(id, GIVEN_UP_PER_STEP)?;
        let spare = ctx.store.kept_bytes_before(id, ctx.now.wall.plus_ms(-VERSIONS_SAFE_MS))?;
        if missing > 0 && missing <= spare {
            let jobs = to_give_up(&oldest, held, held.saturating_sub(missing), ctx.now.wall);
            let slots: Vec<Slot> = oldest.into_iter().take(jobs.len()).collect();
            self.give_up(ctx, id, &slots)?;
        }
        Ok(self.kept_bytes(ctx, id)? < before)
    }

    /// Whether a version store has room for so many bytes more.
    pub fn has_room_for(&mut self, ctx: &Ctx, id: FolderId, settings: &FolderSettings, bytes: u64) -> Result<bool> {
        Ok(self.kept_bytes(ctx, id)?.saturating_add(bytes) <= self.limit(id, settings))
    }

    /// Holds an item whose deed would displace content, if the version store is full of what is too young to be given up. Whether it is
    /// held now.
    pub fn hold_if_full(&mut self, ctx: &mut Ctx, settings: &FolderSettings, item: &ItemRow) -> Result<bool> {
        let id = item.folder;
        if !self.is_over_limit(ctx, id, settings)? {
            return Ok(false);
        }
        self.tend(ctx, id, settings)?;
        if !self.is_over_limit(ctx, id, settings)? {
            return Ok(false);
        }
        let (held, limit, name) = (self.kept_bytes(ctx, id)?, self.limit(id, settings), &settings.name);
        let text = format!(
            "the version store of folder `{name}` holds {held} bytes of the last 24 hours, and `versions_max` allows {limit}: what \
             would displace more waits until you approve, raise `versions_max`, or the oldest is a day old"
        );
        let hold = ctx.store.hold(Some(id), None, VERSIONS_FULL, &text, None, ctx.now.wall)?;
        let version = item.synced.as_ref().and_then(|synced| synced.content.as_ref()).map(|content| &content.version);
        ctx.store.hold_item(hold, item.node, version)?;
        ctx.store.hold_work(item.node)?;
        Ok(true)
    }

    /// Finds files of a folder whose time on this disk is over, a few at a time, and marks them to be removed, if `has_room` for that work.
    pub fn expire(&mut self, ctx: &mut Ctx, id: FolderId, settings: &FolderSettings, has_room: bool) -> Result<()> {
        let noted = self.noted.get(&id).copied();
        let Some(keep_for) = keep_for_ms(settings) else {
            if noted != Some(None) {
                ctx.store.forget_arrivals(id)?;
                self.noted.insert(id, None);
            }
            return Ok(());
        };
        if !has_room || self.clock.is_doubted(ctx.now.mono) {
            return Ok(());
        }
        let keep_from = settings.keep_from;
        if noted != Some(Some(keep_from)) {
            if ctx.store.note_arrivals(id, keep_from == KeepFrom::Change, ctx.now.wall, ROWS_PER_STEP)? {
                ctx.more = true;
            } else {
                self.noted.insert(id, Some(keep_from));
            }
        }
        let by = ctx.now.wall.plus_ms(keep_for.saturating_neg());
        let due = ctx.store.arrived_by(id, by, EXPIRED_PER_STEP)?;
        ctx.more |= due.len() == EXPIRED_PER_STEP as usize;
        for node in due {
            expire_one(ctx, id, node, by)?;
        }
        Ok(())
    }

    /// Looks at the clock before anything expires; whether it went back.
    pub fn look_at_clock(&mut self, ctx: &Ctx, seen: Option<Wall>) -> bool {
        self.clock.look((ctx.now.mono, ctx.now.wall), seen)
    }

    /// When the time of a folder's next file is over.
    pub fn next_expiry(&self, ctx: &Ctx, id: FolderId, settings: &FolderSettings) -> Option<Wall> {
        let doubted = self.clock.doubted_until.saturating_sub(ctx.now.mono);
        let soonest = ctx.now.wall.plus_ms(millis(EXPIRY_PAUSE).max(doubted) as i64);
        let keep_for = keep_for_ms(settings)?;
        // A database that cannot answer will fail the next step, which says so.
        let first = ctx.store.first_arrival(id).ok().flatten()?;
        Some(first.plus_ms(keep_for).max(soonest))
    }
}

/// Forgets what is too old to be of use to anybody.
pub(in crate::engine) fn forget_old_versions(ctx: &mut Ctx) -> Result<()> {
    ctx.store.forget_given_up(ctx.now.wall.plus_ms(-GIVEN_UP_KEPT_MS), ROWS_PER_STEP)?;
    ctx.store.prune_seen_versions(ctx.now.wall, ROWS_PER_STEP)
}

/// A file was put on disk.
pub(in crate::engine) fn note_arrival(ctx: &mut Ctx, settings: Option<&FolderSettings>, item: &ItemRow) -> Result<()> {
    let Some((settings, keep_for)) = settings.and_then(|settings| Some((settings, keep_for_ms(settings)?))) else {
        return Ok(());
    };
    let changed = item.remote.content.as_ref().and_then(|content| content.modified);
    let changed = changed.filter(|_| settings.keep_from == KeepFrom::Change);
    // What is over before it begins was brought back by a person: its time begins anew.
    let begins = changed.filter(|changed| ctx.now.wall.since(*changed) < keep_for).unwrap_or(ctx.now.wall);
    ctx.store.arrived(item.node, item.folder, begins.min(ctx.now.wall))
}

/// Keeps a file off the disk whose time is over before it was ever fetched, until it changes; a person who brings it back begins its time
/// anew. Whether it is kept off.
pub(in crate::engine) fn expire_unfetched(
    ctx: &mut Ctx,
    settings: Option<&FolderSettings>,
    item: &ItemRow,
) -> Result<bool> {
    let Some(settings) = settings.filter(|settings| settings.keep_from == KeepFrom::Change) else { return Ok(false) };
    let Some(keep_for) = keep_for_ms(settings) else { return Ok(false) };
    let Some(content) = item.remote.content.as_ref().filter(|_| item.synced.is_none()) else { return Ok(false) };
    let Some(changed) = content.modified else { return Ok(false) };
    if ctx.now.wall.since(changed) < keep_for || ctx.store.has_arrived(item.node)? {
        return Ok(false);
    }
    let tombstone = Tombstone { version: content.version.clone(), reason: Away::Expired, at: ctx.now.wall };
    ctx.store.bury(item.node, item.folder, &tombstone)?;
    Ok(true)
}

/// Whether a file is being removed because its time is over.
fn is_expiring(ctx: &Ctx, item: &ItemRow) -> Result<bool> {
    Ok(ctx.store.tombstone(item.node)?.is_some_and(|tombstone| tombstone.reason == Away::Expired))
}

fn expire_one(ctx: &mut Ctx, id: FolderId, node: NodeId, by: Wall) -> Result<()> {
    let Some(item) = ctx.store.item(node)? else { return ctx.store.forget_arrival(node) };
    let Some(synced) = &item.synced else { return ctx.store.forget_arrival(node) };
    let ours = synced.content.as_ref().map(|content| &content.version);
    let theirs = item.remote.content.as_ref().map(|content| &content.version);
    let is_quiet = matches!(synced.seat, SeatRow::At { .. }) && ctx.store.work(node)?.is_none();
    match ours {
        // Only what the cloud still has, in this version.
        Some(version) if is_quiet && theirs == ours && item.remote.presence == Presence::Present => {
            let tombstone = Tombstone { version: version.clone(), reason: Away::Expired, at: ctx.now.wall };
            ctx.store.bury(node, id, &tombstone)?;
            ctx.store.mark(node, id, Priority::Bulk, Ask::Nothing, None, ctx.now.wall)
        }
        _ => ctx.store.arrived(node, id, by.plus_ms(millis(EXPIRY_RETRIED_EVERY) as i64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600 * 1_000;
    const DAY_MS: i64 = 24 * HOUR_MS;
    const NOW: Wall = Wall(400 * DAY_MS);

    fn slots(of: &[(u64, i64)]) -> Vec<Slot> {
        let number = |index: usize| JobId(i64::try_from(index).unwrap() + 1);
        of.iter()
            .enumerate()
            .map(|(index, (size, age))| Slot { job: number(index), size: *size, at: NOW.plus_ms(-age) })
            .collect()
    }

    #[test]
    fn the_limit_is_the_wish_or_the_smaller_of_ten_gibibytes_and_a_fifth_of_the_disk() {
        let table = [
            (None, Some(1 << 40), 10 << 30),
            (None, Some(5 << 30), 1 << 30),
            (None, Some(0), 0),
            (None, None, 10 << 30),
            (Some(7), Some(1 << 40), 7),
            (Some(0), None, 0),
            (Some(1 << 50), Some(1 << 30), 1 << 50),
        ];
        for (wish, disk, limit) in table {
            assert_eq!(versions_limit(wish, disk), limit, "{wish:?} {disk:?}");
        }
    }

    #[test]
    fn the_oldest_go_first_down_to_the_limit_and_nothing_of_the_last_day() {
        const WEEK: i64 = 7 * DAY_MS;
        const DAY: i64 = DAY_MS;
        type Row = (&'static str, &'static [(u64, i64)], u64, &'static [i64]);
        let table: [Row; 9] = [
            ("nothing there", &[], 100, &[]),
            ("within the limit", &[(50, WEEK), (50, DAY)], 100, &[]),
            ("one over", &[(50, WEEK), (51, DAY)], 100, &[1]),
            ("only as many as it takes", &[(10, WEEK), (10, WEEK), (90, 2 * DAY)], 100, &[1]),
            ("all of them, if need be", &[(10, WEEK), (10, 2 * DAY)], 0, &[1, 2]),
            ("exactly a day is old enough", &[(10, DAY)], 0, &[1]),
            ("a moment less is not", &[(10, DAY - 1)], 0, &[]),
            ("the young ones stay although it is too much", &[(10, WEEK), (500, HOUR_MS), (500, 0)], 100, &[1]),
            ("too old goes, whatever the room", &[(1, VERSIONS_KEPT_MS + 1), (1, VERSIONS_KEPT_MS)], 100, &[1]),
        ];
        for (what, there, limit, gone) in table {
            let oldest = slots(there);
            let held = oldest.iter().map(|slot| slot.size).sum();
            let given_up = to_give_up(&oldest, held, limit, NOW);
            assert_eq!(given_up.iter().map(|job| job.0).collect::<Vec<_>>(), gone, "{what}");
        }
        let ahead = slots(&[(10, -DAY_MS)]);
        assert_eq!(to_give_up(&ahead, 10, 0, NOW), [], "a clock that went back makes nothing old");
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_doubted_for_a_moment_and_one_that_goes_back_is_noticed() {
        let at = |mono: u64, wall: i64| (mono, Wall(wall));
        let mut clock = Clock::default();
        assert!(!clock.look(at(0, NOW.0), None) && !clock.is_doubted(0), "there is nothing to compare with");
        assert!(!clock.look(at(60_000, NOW.0 + 60_000), None) && !clock.is_doubted(60_000));
        assert!(!clock.look(at(61_000, NOW.0 + 30 * DAY_MS), None));
        assert!(clock.is_doubted(61_000) && !clock.is_doubted(61_000 + CLOCK_SETTLES_MS));
        assert!(clock.look(at(62_000, NOW.0), None), "it was set right again");
        let mut started = Clock::default();
        assert!(!started.look(at(0, NOW.0), Some(NOW.plus_ms(-2 * HOUR_MS))) && started.is_doubted(0));
    }
}
