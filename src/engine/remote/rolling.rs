//! Verification that goes round: the remote folder whose children were seen longest ago is listed next, out of the spare budget.
//!
//! A small tree is seen whole within the hour. A larger one is seen once in 24 hours, as far as its share of the budget goes: a fifth of the
//! rate at Box, a tenth of the day's calls where a day has a limit. Nothing is listed while a comparison of the whole folder runs.

use std::time::Duration;

use crate::engine::{Engine, millis};
use crate::id::FolderId;
use crate::store::Result;
use crate::tree::Wall;

/// A tree that is small enough is seen whole within this time.
const HOUR_MS: i64 = 3_600_000;
/// A larger one within this.
const DAY_MS: i64 = 24 * HOUR_MS;
/// Listings an hour that make no difference to anybody: the size of a small tree.
const SMALL: i64 = 60;
/// The shortest pause between two looks whether a folder's turn has come.
const LOOKED_EVERY: Duration = Duration::from_secs(10);
/// The time between two comparisons that events which could not be understood ask for.
pub(in crate::engine) const DOUBTED_AGAIN_MS: i64 = 300_000;

/// How many milliseconds lie between two listings of a tree of this many folders, and how old an observation may become before its turn.
/// `per_day` is what the tree may cost on a day.
fn pace(folders: u64, per_day: Option<u64>) -> (i64, i64) {
    let folders = i64::try_from(folders.max(1)).unwrap_or(i64::MAX);
    let in_a_day = DAY_MS / folders;
    let in_an_hour = if folders <= SMALL { HOUR_MS / folders } else { HOUR_MS / SMALL };
    let affordable = per_day.map_or(0, |calls| DAY_MS / i64::try_from(calls.max(1)).unwrap_or(i64::MAX));
    let pause = in_a_day.min(in_an_hour).max(affordable);
    // The oldest is due when its turn in the round has come, a little before it is as old as is promised.
    let age = pause.saturating_mul(folders);
    (pause, (age - age / 10).max(1))
}

impl Engine {
    /// Marks the folder whose children were seen longest ago, if its turn has come.
    pub(in crate::engine) fn drive_verification(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let is_idle = folder.row.scan_stage.is_none() && folder.row.root.is_some();
        if !is_idle || self.now.mono < folder.verify_due || !self.folder_can_ask(id) {
            return Ok(());
        }
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.verify_due = self.now.mono + millis(LOOKED_EVERY);
        let per_day = self.accounts.get(&folder.account).and_then(|account| account.limits().per_day);
        let siblings = self.folders.values().filter(|other| Some(other.account) == self.account_of(id)).count() as u64;
        let per_day = per_day.map(|calls| calls / 10 / siblings.max(1));
        let Some((dir, seen)) = self.store.oldest_observed(id)? else { return Ok(()) };
        let (pause, age) = pace(self.store.count_observed(id)?, per_day);
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.verify_due = self.now.mono + pause.clamp(millis(LOOKED_EVERY) as i64, HOUR_MS) as u64;
        }
        let aged = self.now.wall.since(seen);
        // A clock that went back makes nothing younger than it was.
        if aged >= age || aged < 0 {
            self.store.want_listing(dir, id)?;
            self.more = true;
        } else if let Some(folder) = self.folders.get_mut(&id) {
            folder.verify_due = folder.verify_due.min(self.now.mono + u64::try_from(age - aged).unwrap_or(0));
        }
        Ok(())
    }

    fn account_of(&self, id: FolderId) -> Option<crate::id::AccountId> {
        self.folders.get(&id).map(|folder| folder.account)
    }

    /// Everything that was seen before a moment is to be seen again.
    pub(in crate::engine) fn refresh(&mut self, id: FolderId, before: Wall) -> Result<usize> {
        self.more = true;
        self.store.want_listings_older(id, before)
    }

    /// An event could not be understood: what it meant is found by comparing the folder, which is being verified until that ended.
    pub(in crate::engine) fn doubt(&mut self, id: FolderId) -> Result<()> {
        let mark = self.store.generation();
        if let Some(folder) = self.folders.get_mut(&id).filter(|folder| folder.row.root.is_some()) {
            folder.change(|row| row.doubt = Some(mark));
            self.more = true;
        }
        Ok(())
    }

    /// Compares a folder of which an event could not be understood; not more often than every few minutes.
    pub(in crate::engine) fn drive_doubt(&mut self, id: FolderId) -> Result<()> {
        let now = self.now.wall;
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let is_due = folder.row.doubt.is_some()
            && folder.row.scan_stage.is_none()
            && !(0..DOUBTED_AGAIN_MS).contains(&now.since(folder.row.doubt_at))
            && self.folder_can_ask(id);
        if is_due {
            self.compare(id, "an event could not be understood, and what it meant is looked for")?;
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.change(|row| row.doubt_at = now);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tree_is_seen_within_the_hour_and_a_large_one_within_the_day() {
        assert_eq!(pace(1, None).0, HOUR_MS);
        assert_eq!(pace(60, None).0, HOUR_MS / 60);
        assert_eq!(pace(1_000, None).0, HOUR_MS / 60, "sixty an hour see it long before the day is over");
        assert_eq!(pace(20_000, None).0, DAY_MS / 20_000);
        let (pause, age) = pace(60, None);
        assert!(age < HOUR_MS && age + pause <= HOUR_MS, "{age} {pause}");
    }

    #[test]
    fn a_days_budget_bounds_it() {
        assert_eq!(pace(2, Some(100)).0, HOUR_MS / 2, "an hour's worth is affordable");
        assert_eq!(pace(500, Some(100)).0, DAY_MS / 100);
        assert!(pace(500, Some(100)).1 > 4 * DAY_MS);
    }
}
