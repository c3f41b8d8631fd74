//! What listening costs and how late it is: calls a day and detection delay of three ways to poll, over three kinds of day, against a quota
//! of 1,000 calls. Pure: no clock, no network; the same table on every machine.

use std::time::Duration;

use folder_sync_agent::events::budget::{Ledger, Limits, Share, Spent};
use folder_sync_agent::events::interval::{Bounds, Interval};
use folder_sync_agent::tree::Wall;

const PER_DAY: u64 = 1_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Days of each kind, each with changes of its own.
const DAYS: u64 = 40;
const EVENTS_PER_PAGE: usize = 100;
const BOUNDS: Bounds = Bounds { floor: Duration::from_secs(30), ceiling: Duration::from_mins(5) };
/// Where plain backoff ends.
const BACKOFF_MOST_MS: u64 = HOUR_MS;

/// A small generator of chance (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

#[derive(Clone, Copy)]
enum Day {
    Quiet,
    Office,
    Import,
}

impl Day {
    fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet (6 changes)",
            Self::Office => "office day (240 changes in 60 bursts)",
            Self::Import => "bulk import (2,000 files in 2 h)",
        }
    }

    /// The moments of its changes, in milliseconds since midnight.
    fn changes(self, chance: &mut Chance) -> Vec<u64> {
        let mut changes: Vec<u64> = match self {
            Self::Quiet => (0..6).map(|_| chance.below(DAY_MS)).collect(),
            Self::Office => (0..60)
                .flat_map(|_| {
                    let begins = 8 * HOUR_MS + chance.below(10 * HOUR_MS);
                    let within: Vec<u64> = (0..4).map(|_| begins + chance.below(5 * 60_000)).collect();
                    within
                })
                .collect(),
            Self::Import => (0..2_000).map(|_| 20 * HOUR_MS + chance.below(2 * HOUR_MS)).collect(),
        };
        changes.sort_unstable();
        changes
    }
}

enum Poller {
    Fixed,
    Backoff(u64),
    Ours(Box<(Interval, Ledger)>),
}

impl Poller {
    fn name(&self) -> &'static str {
        match self {
            Self::Fixed => "every 60 s",
            Self::Backoff(_) => "backoff, 30 s to 1 h",
            Self::Ours(_) => "ours",
        }
    }

    /// Whether a call may be made; counts it if so.
    fn call(&mut self, share: Share, made: &mut u64, at: u64) -> bool {
        if let Self::Ours(ours) = self {
            let limits = Limits { per_day: Some(PER_DAY), per_minute: None };
            if ours.1.may(limits, share, BOUNDS.ceiling, at, Wall(at as i64)).is_err() {
                return false;
            }
            let _ = ours.1.spend(limits, share, 1, at);
        } else if *made >= PER_DAY {
            // The provider refuses.
            return false;
        }
        *made += 1;
        true
    }

    fn pause(&mut self, news: bool, chance: &mut Chance, at: u64) -> u64 {
        match self {
            Self::Fixed => 60_000,
            Self::Backoff(pause) => {
                *pause = if news { 30_000 } else { (*pause * 2).min(BACKOFF_MOST_MS) };
                *pause
            }
            Self::Ours(ours) => {
                let limits = Limits { per_day: Some(PER_DAY), per_minute: None };
                let wish = ours.0.next(BOUNDS, news, chance.next());
                ours.1.stretch(limits, wish, BOUNDS.ceiling, Wall(at as i64)).as_millis() as u64
            }
        }
    }
}

#[derive(Default)]
struct Sums {
    polls: u64,
    calls: u64,
    most_calls: u64,
    refused: u64,
    delays: Vec<u64>,
}

/// Lives through one day: every change that is found costs one more call, its download, at once or when the quota has room.
fn live(day: Day, mut poller: Poller, seed: u64, sums: &mut Sums) {
    let mut chance = Chance(seed);
    let changes = day.changes(&mut chance);
    let (mut at, mut found, mut to_fetch, mut calls) = (chance.below(60_000), 0, 0_u64, 0);
    while at < DAY_MS {
        if !poller.call(Share::Listening, &mut calls, at) {
            sums.refused += 1;
            at += poller.pause(false, &mut chance, at).max(1);
            continue;
        }
        sums.polls += 1;
        let mut there = changes[found..].iter().take_while(|change| **change <= at).count();
        let news = there > 0;
        sums.delays.extend(changes[found..found + there].iter().map(|change| at - change));
        to_fetch += there as u64;
        found += there;
        while there >= EVENTS_PER_PAGE && poller.call(Share::Listening, &mut calls, at) {
            sums.polls += 1;
            there -= EVENTS_PER_PAGE;
        }
        while to_fetch > 0 && poller.call(Share::News, &mut calls, at) {
            to_fetch -= 1;
        }
        at += poller.pause(news, &mut chance, at);
    }
    // What was not found is found after midnight, when the quota is renewed.
    sums.delays.extend(changes[found..].iter().map(|change| DAY_MS - change));
    sums.calls += calls;
    sums.most_calls = sums.most_calls.max(calls);
}

fn minutes(ms: u64) -> String {
    if ms < 90_000 { format!("{} s", ms / 1_000) } else { format!("{}.{} min", ms / 60_000, ms % 60_000 / 6_000) }
}

fn main() {
    println!("| day | poller | polls a day | calls a day | refused | delay, mean | delay, p95 |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for day in [Day::Quiet, Day::Office, Day::Import] {
        for kind in 0..3 {
            let fresh = || match kind {
                0 => Poller::Fixed,
                1 => Poller::Backoff(30_000),
                _ => Poller::Ours(Box::new((Interval::new(BOUNDS), Ledger::new(Spent::default())))),
            };
            let mut sums = Sums::default();
            for seed in 0..DAYS {
                live(day, fresh(), seed, &mut sums);
            }
            assert!(sums.most_calls <= PER_DAY, "a day took {} calls", sums.most_calls);
            sums.delays.sort_unstable();
            let mean = sums.delays.iter().sum::<u64>() / sums.delays.len() as u64;
            let p95 = sums.delays[sums.delays.len() * 95 / 100];
            println!(
                "| {} | {} | {} | {} | {} | {} | {} |",
                day.name(),
                fresh().name(),
                sums.polls / DAYS,
                sums.calls / DAYS,
                sums.refused / DAYS,
                minutes(mean),
                minutes(p95)
            );
        }
    }
}
