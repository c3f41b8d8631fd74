//! What happened in a history, for its figures and for the checks at its end.

use std::collections::BTreeMap;

/// Counts of one history, or of many.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub steps: u64,
    pub crashes: u64,
    pub deeds: u64,
    pub fetches: u64,
    pub lists: u64,
    pub looks: u64,
    pub polls: u64,
    pub holds: u64,
    pub writes: u64,
    pub uploads: u64,
    pub hashes: u64,
    pub trashes: u64,
    pub conflicts: u64,
    pub most_jobs: usize,
    /// A digest of everything that went in and out of the engine, where it was kept.
    pub log: u64,
    /// Broken laws that were noticed, by seed.
    pub noticed: Vec<(u64, String)>,
    /// How often each misfortune really happened.
    pub faults: BTreeMap<String, u64>,
}

impl Tally {
    /// A misfortune happened.
    pub fn hit(&mut self, fault: impl Into<String>) {
        *self.faults.entry(fault.into()).or_default() += 1;
    }

    pub fn add(&mut self, more: &Self) {
        let Self {
            steps,
            crashes,
            deeds,
            fetches,
            lists,
            looks,
            polls,
            holds,
            writes,
            uploads,
            hashes,
            trashes,
            conflicts,
            ..
        } = more;
        let sums = [
            (&mut self.steps, steps),
            (&mut self.crashes, crashes),
            (&mut self.deeds, deeds),
            (&mut self.fetches, fetches),
            (&mut self.lists, lists),
            (&mut self.looks, looks),
            (&mut self.polls, polls),
            (&mut self.holds, holds),
            (&mut self.writes, writes),
            (&mut self.uploads, uploads),
            (&mut self.hashes, hashes),
            (&mut self.trashes, trashes),
            (&mut self.conflicts, conflicts),
        ];
        for (sum, more) in sums {
            *sum += more;
        }
        self.most_jobs = self.most_jobs.max(more.most_jobs);
        self.noticed.extend(more.noticed.iter().cloned());
        for (fault, times) in &more.faults {
            *self.faults.entry(fault.clone()).or_default() += times;
        }
    }
}
