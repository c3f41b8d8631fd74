//! What stays on disk and for how long: local copies by `keep_for`, superseded and deleted content by count, age and size.
//!
//! A content that is given up keeps its row for a day: the file goes after the commit, and a crash in between must not leave it behind.

use std::collections::BTreeMap;
use std::time::Duration;

use super::effect::Effect;
use super::{Engine, Now, ROWS_PER_STEP, millis};
use crate::deed::{Deed, Displaced};
use crate::id::{FolderId, JobId, NodeId};
use crate::settings::{FolderSettings, KeepFrom, Mode};
use crate::store::Result;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::undo::{Away, Tombstone};
use crate::store::versions::{Kept, Reason, Slot};
use crate::store::work::{Ask, Lane};
use crate::tree::Wall;

/// The reason of a hold on deeds for whose displaced content the version store has no room.
pub(super) const VERSIONS_FULL: &str = "versions_full";
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
pub(super) struct Retention {
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
    last: Option<Now>,
    doubted_until: u64,
}

/// How much further than time went the clock may go without being doubted, in milliseconds.
const CLOCK_JUMP_MS: i64 = 3_600 * 1_000;
/// How long a clock is doubted, in milliseconds.
const CLOCK_SETTLES_MS: u64 = 15_000;

impl Clock {
    /// Looks at the clock; `seen` is the latest moment that the database knows of, for the first look. Whether it went back.
    fn look(&mut self, now: Now, seen: Option<Wall>) -> bool {
        let expected = match self.last.replace(now) {
            Some(last) => {
                Some(last.wall.plus_ms(i64::try_from(now.mono.saturating_sub(last.mono)).unwrap_or(i64::MAX)))
            }
            None => seen,
        };
        let Some(expected) = expected else { return false };
        if now.wall.since(expected) > CLOCK_JUMP_MS {
            self.doubted_until = now.mono + CLOCK_SETTLES_MS;
        }
        expected.since(now.wall) > CLOCK_JUMP_MS
    }

    fn is_doubted(&self, now: Now) -> bool {
        now.mono < self.doubted_until
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

impl Engine {
    /// A root was opened, for the first time in this run or again.
    pub(super) fn opened_for_retention(&mut self, id: FolderId, disk_bytes: u64, first: bool) -> Result<()> {
        self.retention.disks.insert(id, disk_bytes);
        if first {
            let jobs = self.ctx.store.given_up(id, ROWS_PER_STEP)?;
            if !jobs.is_empty() {
                self.ctx.out.push(Effect::DropVersions(id, jobs));
            }
        }
        Ok(())
    }

    /// A deed moved content into the version store.
    pub(super) fn keep(&mut self, intent: &IntentRow, item: &ItemRow, displaced: Displaced) -> Result<()> {
        let synced = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
        let reason = match intent.seat {
            _ if displaced.edited => Reason::Edited,
            NewSeat::Nowhere if self.is_expiring(item)? => Reason::Expired,
            NewSeat::Nowhere => Reason::Deleted,
            _ => Reason::Superseded,
        };
        let ours = if displaced.edited { None } else { synced };
        let path = match &intent.order.deed {
            Deed::Publish { at, .. } | Deed::RemoveFile { at, .. } => at.path.to_string(),
            _ => self.shown_path(item)?,
        };
        let (id, job) = (item.folder, intent.order.job);
        let held = self.kept_bytes(id)?;
        self.ctx.store.keep_version(&Kept {
            job,
            folder: id,
            id: &item.id,
            path: &path,
            reason,
            version: ours.map(|content| &content.version),
            sha256: ours.and_then(|content| content.sha256),
            size: displaced.size,
            at: self.ctx.now.wall,
        })?;
        self.retention.kept.insert(id, held.saturating_add(displaced.size));
        if reason == Reason::Expired {
            // The cloud has it, in this very version: nothing is lost with the local copy.
            return self.give_up(id, &[Slot { job, size: displaced.size, at: self.ctx.now.wall }]);
        }
        let Some(keep) = self.folders.get(&id).map(|folder| folder.settings.keep_versions) else { return Ok(()) };
        let surplus = self.ctx.store.surplus_versions(id, &item.id, keep)?;
        self.give_up(id, &surplus)?;
        if self.is_over_limit(id)? { self.tend_versions(id) } else { Ok(()) }
    }

    /// Whether a file is being removed because its time is over.
    fn is_expiring(&self, item: &ItemRow) -> Result<bool> {
        Ok(self.ctx.store.tombstone(item.node)?.is_some_and(|tombstone| tombstone.reason == Away::Expired))
    }

    fn kept_bytes(&mut self, id: FolderId) -> Result<u64> {
        if let Some(bytes) = self.retention.kept.get(&id) {
            return Ok(*bytes);
        }
        let bytes = self.ctx.store.kept_bytes(id)?;
        self.retention.kept.insert(id, bytes);
        Ok(bytes)
    }

    fn limit(&self, id: FolderId) -> u64 {
        let wish = self.folders.get(&id).and_then(|folder| folder.settings.versions_max);
        versions_limit(wish, self.retention.disks.get(&id).copied())
    }

    fn is_over_limit(&mut self, id: FolderId) -> Result<bool> {
        Ok(self.kept_bytes(id)? > self.limit(id))
    }

    fn give_up(&mut self, id: FolderId, slots: &[Slot]) -> Result<()> {
        if slots.is_empty() {
            return Ok(());
        }
        let mut held = self.kept_bytes(id)?;
        for slot in slots {
            self.ctx.store.give_up_version(slot.job, self.ctx.now.wall)?;
            held = held.saturating_sub(slot.size);
        }
        self.retention.kept.insert(id, held);
        self.ctx.out.push(Effect::DropVersions(id, slots.iter().map(|slot| slot.job).collect()));
        Ok(())
    }

    /// Brings the version stores within their bounds, and forgets what is too old to be of use.
    pub(super) fn tend_all_versions(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            self.tend_versions(id)?;
        }
        self.ctx.store.forget_given_up(self.ctx.now.wall.plus_ms(-GIVEN_UP_KEPT_MS), ROWS_PER_STEP)?;
        self.ctx.store.prune_seen_versions(self.ctx.now.wall, ROWS_PER_STEP)
    }

    fn tend_versions(&mut self, id: FolderId) -> Result<()> {
        let (held, limit) = (self.kept_bytes(id)?, self.limit(id));
        let oldest = self.ctx.store.oldest_versions(id, GIVEN_UP_PER_STEP)?;
        let jobs = to_give_up(&oldest, held, limit, self.ctx.now.wall);
        let slots: Vec<Slot> = oldest.into_iter().take(jobs.len()).collect();
        self.give_up(id, &slots)?;
        match self.ctx.store.open_hold(id, VERSIONS_FULL)? {
            Some(hold) if !self.is_over_limit(id)? => {
                // There is room again, so nobody needs to decide any more.
                let nodes = self.ctx.store.held_items(hold, ROWS_PER_STEP)?;
                for node in nodes {
                    self.ctx.store.unhold_item(hold, node)?;
                    self.ctx.store.unhold(node, false)?;
                }
                if self.ctx.store.held_items(hold, 1)?.is_empty() {
                    self.ctx.store.drop_hold(hold)?;
                    self.ctx.store.free_dependents(id)?;
                }
                self.ctx.more = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes room for `bytes` on the disk by giving up what is oldest and not of the last day, if that is enough; whether anything was given
    /// up. What is more than the version store may hold goes in any case.
    pub(super) fn spare_versions(&mut self, id: FolderId, bytes: u64) -> Result<bool> {
        let before = self.kept_bytes(id)?;
        self.tend_versions(id)?;
        let held = self.kept_bytes(id)?;
        let missing = bytes.saturating_sub(before.saturating_sub(held));
        let oldest = self.ctx.store.oldest_versions(id, GIVEN_UP_PER_STEP)?;
        let spare = self.ctx.store.kept_bytes_before(id, self.ctx.now.wall.plus_ms(-VERSIONS_SAFE_MS))?;
        if missing > 0 && missing <= spare {
            let jobs = to_give_up(&oldest, held, held.saturating_sub(missing), self.ctx.now.wall);
            let slots: Vec<Slot> = oldest.into_iter().take(jobs.len()).collect();
            self.give_up(id, &slots)?;
        }
        Ok(self.kept_bytes(id)? < before)
    }

    /// Whether a deed that would displace content must wait, because the version store is full of what is too young to be given up.
    pub(super) fn versions_full(&mut self, item: &ItemRow) -> Result<bool> {
        let id = item.folder;
        if !self.is_over_limit(id)? {
            return Ok(false);
        }
        self.tend_versions(id)?;
        if !self.is_over_limit(id)? {
            return Ok(false);
        }
        let (held, limit) = (self.kept_bytes(id)?, self.limit(id));
        let name = self.folders.get(&id).map_or("", |folder| folder.settings.name.as_str());
        let text = format!(
            "the version store of folder `{name}` holds {held} bytes of the last 24 hours, and `versions_max` allows {limit}: what \
             would displace more waits until you approve, raise `versions_max`, or the oldest is a day old"
        );
        let hold = self.ctx.store.hold(Some(id), None, VERSIONS_FULL, &text, None, self.ctx.now.wall)?;
        let version = item.synced.as_ref().and_then(|synced| synced.content.as_ref()).map(|content| &content.version);
        self.ctx.store.hold_item(hold, item.node, version)?;
        self.ctx.store.hold_work(item.node)?;
        self.rest(item.node);
        Ok(true)
    }

    /// A file was put on disk.
    pub(super) fn note_arrival(&mut self, id: FolderId, node: NodeId) -> Result<()> {
        let Some(settings) = self.folders.get(&id).map(|folder| &folder.settings) else { return Ok(()) };
        let Some(keep_for) = keep_for_ms(settings) else { return Ok(()) };
        let keep_from = settings.keep_from;
        let changed = match self.ctx.store.item(node)? {
            Some(item) if keep_from == KeepFrom::Change => item.remote.content.and_then(|content| content.modified),
            _ => None,
        };
        // What is over before it begins was brought back by a person: its time begins anew.
        let begins =
            changed.filter(|changed| self.ctx.now.wall.since(*changed) < keep_for).unwrap_or(self.ctx.now.wall);
        self.ctx.store.arrived(node, id, begins.min(self.ctx.now.wall))
    }

    /// Whether a file's time is over before it was ever fetched. If so, it is kept off the disk until it changes; a person who brings it
    /// back begins its time anew.
    pub(super) fn expires_unfetched(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(settings) = self.folders.get(&item.folder).map(|folder| &folder.settings) else { return Ok(false) };
        let (Some(keep_for), KeepFrom::Change) = (keep_for_ms(settings), settings.keep_from) else { return Ok(false) };
        let Some(content) = item.remote.content.as_ref().filter(|_| item.synced.is_none()) else { return Ok(false) };
        let Some(changed) = content.modified else { return Ok(false) };
        if self.ctx.now.wall.since(changed) < keep_for || self.ctx.store.has_arrived(item.node)? {
            return Ok(false);
        }
        let tombstone = Tombstone { version: content.version.clone(), reason: Away::Expired, at: self.ctx.now.wall };
        self.ctx.store.bury(item.node, item.folder, &tombstone)?;
        Ok(true)
    }

    /// Finds files whose time on this disk is over, a few at a time, and marks them to be removed.
    pub(super) fn expire(&mut self) -> Result<()> {
        let seen = self.accounts.values().filter_map(|account| account.row.polled_at).max();
        let went_back = self.retention.clock.look(self.ctx.now, seen);
        let ids: Vec<(FolderId, Option<i64>, KeepFrom)> = self
            .folders
            .iter()
            .map(|(id, folder)| (*id, keep_for_ms(&folder.settings), folder.settings.keep_from))
            .collect();
        for (id, keep_for, keep_from) in ids {
            let noted = self.retention.noted.get(&id).copied();
            let Some(keep_for) = keep_for else {
                if noted != Some(None) {
                    self.ctx.store.forget_arrivals(id)?;
                    self.retention.noted.insert(id, None);
                }
                continue;
            };
            if went_back {
                self.ctx.store.clamp_arrivals(id, self.ctx.now.wall)?;
            }
            if self.retention.clock.is_doubted(self.ctx.now) {
                continue;
            }
            if !self.can_work(id) || self.schedule.has_enough(Lane::Bulk) {
                continue;
            }
            if noted != Some(Some(keep_from)) {
                let from_change = keep_from == KeepFrom::Change;
                if self.ctx.store.note_arrivals(id, from_change, self.ctx.now.wall, ROWS_PER_STEP)? {
                    self.ctx.more = true;
                } else {
                    self.retention.noted.insert(id, Some(keep_from));
                }
            }
            let by = self.ctx.now.wall.plus_ms(keep_for.saturating_neg());
            let due = self.ctx.store.arrived_by(id, by, EXPIRED_PER_STEP)?;
            self.ctx.more |= due.len() == EXPIRED_PER_STEP as usize;
            for node in due {
                self.expire_one(id, node, by)?;
            }
        }
        Ok(())
    }

    fn expire_one(&mut self, id: FolderId, node: NodeId, by: Wall) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)? else { return self.ctx.store.forget_arrival(node) };
        let Some(synced) = &item.synced else { return self.ctx.store.forget_arrival(node) };
        let ours = synced.content.as_ref().map(|content| &content.version);
        let theirs = item.remote.content.as_ref().map(|content| &content.version);
        let is_quiet = matches!(synced.seat, SeatRow::At { .. }) && self.ctx.store.work(node)?.is_none();
        match ours {
            // Only what the cloud still has, in this version.
            Some(version) if is_quiet && theirs == ours && item.remote.presence == Presence::Present => {
                let tombstone = Tombstone { version: version.clone(), reason: Away::Expired, at: self.ctx.now.wall };
                self.ctx.store.bury(node, id, &tombstone)?;
                self.ctx.store.mark(node, id, Lane::Bulk, Ask::Nothing, None, self.ctx.now.wall)
            }
            _ => self.ctx.store.arrived(node, id, by.plus_ms(millis(EXPIRY_RETRIED_EVERY) as i64)),
        }
    }

    /// When the next file's time is over.
    pub(super) fn next_expiry(&self) -> Option<Wall> {
        let doubted = self.retention.clock.doubted_until.saturating_sub(self.ctx.now.mono);
        let soonest = self.ctx.now.wall.plus_ms(millis(EXPIRY_PAUSE).max(doubted) as i64);
        let due = self.folders.iter().filter(|(id, _)| self.can_work(**id)).filter_map(|(id, folder)| {
            let keep_for = keep_for_ms(&folder.settings)?;
            // A database that cannot answer will fail the next step, which says so.
            let first = self.ctx.store.first_arrival(*id).ok().flatten()?;
            Some(first.plus_ms(keep_for).max(soonest))
        });
        due.min()
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
        let at = |mono: u64, wall: i64| Now { mono, wall: Wall(wall) };
        let mut clock = Clock::default();
        assert!(!clock.look(at(0, NOW.0), None) && !clock.is_doubted(at(0, NOW.0)), "there is nothing to compare with");
        assert!(!clock.look(at(60_000, NOW.0 + 60_000), None) && !clock.is_doubted(at(60_000, 0)));
        assert!(!clock.look(at(61_000, NOW.0 + 30 * DAY_MS), None));
        assert!(clock.is_doubted(at(61_000, 0)) && !clock.is_doubted(at(61_000 + CLOCK_SETTLES_MS, 0)));
        assert!(clock.look(at(62_000, NOW.0), None), "it was set right again");
        let mut started = Clock::default();
        assert!(!started.look(at(0, NOW.0), Some(NOW.plus_ms(-2 * HOUR_MS))) && started.is_doubted(at(0, 0)));
    }
}
