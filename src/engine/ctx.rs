//! What every part of the engine is given: the database, the time, chance, and what the step wants of the world.
//!
//! Invariant: nothing here knows an account, a folder or an item; it is all that a component shares with others.

use super::effect::{Effect, Notice};
use super::input::Now;
use super::paths::Paths;
use crate::deed::Place;
use crate::id::NodeId;
use crate::path::RelPath;
use crate::store::items::ItemRow;
use crate::store::{Result, Store};
use crate::tree::Wall;

/// Rows that one step of a long job (sweep, absences, clean-up) touches.
pub(in crate::engine) const ROWS_PER_STEP: u32 = 2_000;
/// From how much on the wall clock counts as set, in milliseconds: less is the drift that time servers correct.
const CLOCK_SET_MS: i64 = 1_000;

/// The context of one step.
#[derive(Debug)]
pub(in crate::engine) struct Ctx {
    /// The database. A step is one transaction.
    pub store: Store,
    /// The time, as of the newest tick.
    pub now: Now,
    /// When the wall clock was last seen to be set, on the clock that never jumps.
    clock_set: Option<u64>,
    /// Where chance comes from.
    pub chance: Chance,
    /// What the step wants; released after its commit.
    pub out: Vec<Effect>,
    /// Where items are, as far as it is remembered.
    pub paths: Paths,
    /// There is more to do at once.
    pub more: bool,
    /// Rows that this step went through, beside those of the items that it decided about.
    pub gone_through: usize,
}

impl Ctx {
    /// The context over a database.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            now: Now::default(),
            clock_set: None,
            chance: Chance(0),
            out: Vec::new(),
            paths: Paths::default(),
            more: false,
            gone_through: 0,
        }
    }

    /// Takes the time. Says by how much the wall clock was set meanwhile, in milliseconds.
    pub fn tick(&mut self, now: Now) -> i64 {
        let before = std::mem::replace(&mut self.now, now);
        if before == Now::default() {
            // The time before is not known.
            return 0;
        }
        let expected = before.wall.plus_ms(now.mono.saturating_sub(before.mono) as i64);
        let set = now.wall.since(expected);
        if set.abs() >= CLOCK_SET_MS {
            self.clock_set = Some(now.mono);
        }
        set
    }

    /// For how long something has been as it is that was seen at `at` by the wall clock, in milliseconds. What was seen before that clock was
    /// set has been so since then at least, and no more than that is known.
    pub fn age(&self, at: Wall) -> i64 {
        let age = self.now.wall.since(at);
        match self.clock_set.map(|set| self.now.mono.saturating_sub(set) as i64) {
            Some(since_set) if !(0..since_set).contains(&age) => since_set,
            _ => age,
        }
    }

    /// The time on the wall clock from which on whatever was seen has not been so for `span` milliseconds yet ([`Self::age`]).
    pub fn younger_than(&self, span: i64) -> Wall {
        let was_set = self.clock_set.is_some_and(|set| (self.now.mono.saturating_sub(set) as i64) < span);
        if was_set { Wall(i64::MIN) } else { self.now.wall.plus_ms(-span) }
    }

    /// Rows that this step may still go through; what needs more waits for the next step.
    pub fn rows_left(&self) -> usize {
        (ROWS_PER_STEP as usize).saturating_sub(self.gone_through)
    }

    /// Where an item is on disk; nothing if it is not, or is lost.
    pub fn place(&mut self, node: NodeId) -> Result<Option<Place>> {
        self.paths.place(&self.store, node)
    }

    /// Where in the visible tree a place of an item is, or was before it went out of sight.
    pub fn in_sight(&mut self, item: &ItemRow, place: &Place) -> Result<RelPath> {
        self.paths.in_sight(&self.store, item, place)
    }

    /// An item's path in the cloud, from the watched folder on.
    pub fn remote_path(&mut self, node: NodeId) -> Result<String> {
        self.paths.remote(&self.store, node)
    }

    /// The path that people know an item by.
    pub fn shown_path(&mut self, item: &ItemRow) -> Result<String> {
        self.paths.shown(&self.store, item)
    }

    /// Tells whoever watches.
    pub fn notice(&mut self, notice: Notice) {
        self.out.push(Effect::Notice(notice));
    }
}

/// A small generator of chance (SplitMix64), seeded by the first input.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Milliseconds of a duration, as the engine counts.
pub(in crate::engine) fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_before_the_clock_was_set_is_as_old_as_that_at_least() {
        let mut ctx = Ctx::new(Store::in_memory().unwrap());
        let at = |mono, wall| Now { mono, wall: Wall(wall) };
        assert_eq!(ctx.tick(at(100, 50_000)), 0);
        assert_eq!((ctx.age(Wall(49_000)), ctx.younger_than(10)), (1_000, Wall(49_990)), "a process of before saw it");
        assert_eq!(ctx.tick(at(200, 50_200)), 100, "a little adrift");
        assert_eq!(ctx.age(Wall(50_000)), 200);
        for set in [3_600_000, -3_600_000] {
            let seen = ctx.now.wall;
            let next = at(ctx.now.mono + 500, seen.0 + 500 + set);
            assert_eq!(ctx.tick(next), set);
            assert_eq!((ctx.age(seen), ctx.younger_than(300)), (0, Wall(i64::MIN)), "it may have been seen just now");
            let later = at(ctx.now.mono + 300, ctx.now.wall.0 + 300);
            assert_eq!(ctx.tick(later), 0);
            assert_eq!((ctx.age(seen), ctx.age(next.wall)), (300, 300));
            assert_eq!((ctx.age(later.wall), ctx.younger_than(300)), (0, next.wall));
        }
    }
}
