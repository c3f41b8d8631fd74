//! Verification that goes round: the remote folder whose children were seen longest ago is listed next, out of the spare budget.
//!
//! A small tree is seen whole within the hour. A larger one is seen once in 24 hours, as far as its share of the budget goes: a fifth of the
//! rate at Box, a tenth of the day's calls where a day has a limit. After news a round is hurried: that is when the cloud may have left
//! something untold, and a small tree is then seen whole within a quarter of an hour. Nothing is listed while a comparison of the whole
//! folder runs.

use std::time::Duration;

use crate::engine::ctx::{Ctx, millis};
use crate::id::FolderId;
use crate::store::Result;
use crate::tree::Wall;

/// A tree that is small enough is seen whole within this time.
const HOUR_MS: i64 = 3_600_000;
/// And a small one within this after news.
const QUARTER_MS: i64 = HOUR_MS / 4;
/// A larger one within this.
const DAY_MS: i64 = 24 * HOUR_MS;
/// Milliseconds between two listings of a round that is hurried, at the least.
const HURRIED_MS: i64 = QUARTER_MS / SMALL;
/// Listings an hour that make no difference to anybody: the size of a small tree.
const SMALL: i64 = 60;
/// The shortest pause between two looks whether a folder's turn has come.
const LOOKED_EVERY: Duration = Duration::from_secs(10);
/// The time between two comparisons that events which could not be understood ask for.
const DOUBTED_AGAIN_MS: i64 = 300_000;

/// How a tree of this many folders is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    /// Remote folders in the tree.
    folders: i64,
    /// Milliseconds between two listings, at the least.
    pause: i64,
    /// How old an observation may become, in milliseconds.
    target: i64,
}

impl Pace {
    /// The pace for a tree of this many folders that may cost `per_day` calls on a day.
    fn of(folders: u64, per_day: Option<u64>) -> Self {
        let folders = i64::try_from(folders.max(1)).unwrap_or(i64::MAX);
        let affordable = per_day.map_or(0, |calls| DAY_MS / i64::try_from(calls.max(1)).unwrap_or(i64::MAX));
        let pause = (DAY_MS / folders).min(HOUR_MS / SMALL).max(affordable);
        Self { folders, pause, target: pause.saturating_mul(folders).max(HOUR_MS) }
    }

    /// The same for a round that is hurried, of which a day may have `left` calls; nothing if it is too large for that.
    fn hurried(folders: u64, left: Option<u64>) -> Option<Self> {
        let usual = Self::of(folders, None);
        let fits = left.is_none_or(|left| folders <= left) && HURRIED_MS.saturating_mul(usual.folders) <= HOUR_MS;
        fits.then(|| Self {
            pause: HURRIED_MS,
            target: HURRIED_MS.saturating_mul(usual.folders).max(QUARTER_MS),
            ..usual
        })
    }

    /// How long the next listing can wait, given when the folders were seen, oldest first, so that none becomes too old if one after the
    /// other is listed from then on. Nothing if it is due.
    fn can_wait(self, seen: &[Wall], now: Wall) -> Option<i64> {
        // A tenth is for the listings themselves, and for clocks.
        let in_time = self.target - self.target / 10;
        let slack = seen.iter().enumerate().map(|(rank, at)| {
            let age = now.since(*at);
            // A clock that went back makes nothing younger than it was.
            if age < 0 { 0 } else { in_time - age - self.pause.saturating_mul(rank as i64) }
        });
        // Those that are not among the oldest may be hardly younger: a large tree is listed all the time, at its pace.
        let rest = seen
            .last()
            .filter(|_| self.folders > seen.len() as i64)
            .map(|at| in_time - now.since(*at) - self.pause.saturating_mul(self.folders));
        slack.chain(rest).min().filter(|slack| *slack > 0)
    }
}

/// When a part of a folder's tree is verified next.
#[derive(Debug, Default)]
pub(in crate::engine) struct Verification {
    due: u64,
    /// There was news, and until then a round is hurried.
    hurried_until: u64,
    /// The day, and the calls of hurried rounds in it.
    hurried: (i64, u64),
}

impl Verification {
    /// No look before this moment whether the turn of a part has come.
    pub fn due(&self) -> u64 {
        self.due
    }

    /// The stream told something of the folder.
    pub fn heard(&mut self, now: u64) {
        if now >= self.hurried_until {
            self.due = self.due.min(now + HURRIED_MS as u64);
        }
        self.hurried_until = now + QUARTER_MS as u64;
    }

    /// Of the calls of a day, those that are left for hurried rounds: half of them, less what those took.
    fn left_for_hurry(&mut self, today: i64, per_day: Option<u64>) -> Option<u64> {
        if self.hurried.0 != today {
            self.hurried = (today, 0);
        }
        per_day.map(|calls| (calls / 2).saturating_sub(self.hurried.1))
    }

    /// Marks the remote folder whose children were seen longest ago, if its turn has come. So many calls may be spent on that in a day, and
    /// none while there is to be quiet for so long.
    pub fn drive(&mut self, ctx: &mut Ctx, id: FolderId, per_day: Option<u64>, quiet: Option<u64>) -> Result<()> {
        if ctx.now.mono < self.due {
            return Ok(());
        }
        if let Some(left) = quiet {
            self.due = ctx.now.mono + left;
            return Ok(());
        }
        self.due = ctx.now.mono + millis(LOOKED_EVERY);
        // By a clock that went back, what was seen before would be the newest for as long as it went back, and its turn would not come.
        ctx.store.correct_observed(id, ctx.now.wall, ctx.now.wall.plus_ms(-HOUR_MS))?;
        let oldest = ctx.store.oldest_observed(id, SMALL as u32)?;
        let Some((dir, _)) = oldest.first().copied() else { return Ok(()) };
        let folders = ctx.store.count_observed(id)?;
        let left = self.left_for_hurry(ctx.now.wall.0.div_euclid(DAY_MS), per_day);
        let hurried = Pace::hurried(folders, left).filter(|_| ctx.now.mono < self.hurried_until);
        let is_hurried = hurried.is_some();
        let usual = Pace::of(folders, per_day.map(|calls| calls.saturating_sub(self.hurried.1)));
        let pace = hurried.unwrap_or(usual);
        let seen: Vec<Wall> = oldest.into_iter().map(|(_, at)| at).collect();
        let wait = if let Some(wait) = pace.can_wait(&seen, ctx.now.wall) {
            wait.min(pace.pause.max(HOUR_MS / SMALL))
        } else {
            ctx.store.want_listing(dir, id)?;
            ctx.more = true;
            self.hurried.1 += u64::from(is_hurried);
            pace.pause
        };
        self.due = ctx.now.mono + u64::try_from(wait).unwrap_or(0).max(millis(LOOKED_EVERY));
        Ok(())
    }
}

/// The calls that a folder may spend a day on verification, of those that its account may and that so many folders share.
pub(in crate::engine) fn verification_calls(per_day: Option<u64>, folders: u64) -> Option<u64> {
    per_day.map(|calls| calls / 10 / folders.max(1))
}

/// Whether a comparison that is doubted for can begin: not more often than every few minutes.
pub(in crate::engine) fn may_compare_again(last: Wall, now: Wall) -> bool {
    !(0..DOUBTED_AGAIN_MS).contains(&now.since(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(folders: usize, per_day: Option<u64>, hours: i64) -> (i64, i64) {
        rounds_at(Pace::of(folders as u64, per_day), folders, hours)
    }

    fn rounds_at(pace: Pace, folders: usize, hours: i64) -> (i64, i64) {
        let mut seen = vec![Wall(0); folders];
        let (mut oldest, mut calls, mut now) = (0, 0, Wall(0));
        while now.0 < hours * HOUR_MS {
            seen.sort();
            let wait = pace.can_wait(&seen[..folders.min(SMALL as usize)], now).unwrap_or_else(|| {
                calls += 1;
                seen[0] = now;
                pace.pause
            });
            now = now.plus_ms(wait.max(1));
            oldest = oldest.max(now.since(*seen.iter().min().unwrap()));
        }
        (oldest, calls)
    }

    #[test]
    fn a_small_tree_is_seen_within_the_hour_and_not_much_more_often() {
        for folders in [1, 2, 10, 30] {
            let (oldest, calls) = rounds(folders, None, 24);
            assert!(oldest <= HOUR_MS, "{folders}: {oldest}");
            assert!(calls <= 30 * folders as i64, "{folders}: {calls}");
        }
    }

    #[test]
    fn after_news_a_round_is_hurried_as_far_as_the_day_allows() {
        for folders in [1, 10, 60] {
            let (oldest, calls) = rounds_at(Pace::hurried(folders, None).unwrap(), folders as usize, 1);
            assert!(oldest <= QUARTER_MS, "{folders}: {oldest}");
            assert!(calls <= 4 * SMALL + SMALL, "{folders}: {calls}");
        }
        assert_eq!(Pace::hurried(1_000, None), None, "too many to be asked for at once");
        assert_eq!(Pace::hurried(60, Some(50)), None);
        let mut verification = Verification::default();
        assert_eq!(verification.left_for_hurry(1, Some(100)), Some(50));
        verification.hurried.1 = 45;
        assert_eq!(verification.left_for_hurry(1, Some(100)), Some(5));
        assert_eq!(verification.left_for_hurry(2, Some(100)), Some(50), "another day");
    }

    #[test]
    fn a_large_one_is_seen_within_the_day() {
        let (oldest, calls) = rounds(1_000, None, 48);
        assert!(oldest <= 24 * HOUR_MS, "{oldest}");
        assert!(calls <= 48 * SMALL, "{calls}");
    }

    #[test]
    fn a_days_budget_bounds_it() {
        assert!(rounds(2, Some(100), 24).0 <= HOUR_MS, "an hour's worth is affordable");
        assert!(rounds(500, Some(100), 48).1 <= 201);
    }
}
