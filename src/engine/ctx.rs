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

/// Rows that one step of a long job (sweep, absences, clean-up) touches.
pub(in crate::engine) const ROWS_PER_STEP: u32 = 2_000;

/// The context of one step.
#[derive(Debug)]
pub(in crate::engine) struct Ctx {
    /// The database. A step is one transaction.
    pub store: Store,
    /// The time, as of the newest tick.
    pub now: Now,
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
            chance: Chance(0),
            out: Vec::new(),
            paths: Paths::default(),
            more: false,
            gone_through: 0,
        }
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
