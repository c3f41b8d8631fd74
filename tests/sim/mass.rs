//! Very many histories: all kinds in turn, in chunks, with the totals so far after each.
//!
//! `SIM_MASS=1000000 cargo test --release --test histories sim::mass -- --nocapture` lives through a million; `SIM_MASS_FROM=500000` begins at
//! another place in the same row, as one that was cut short says at its last chunk. A history that does not end well is printed at once with
//! the command that repeats it, ends nothing, and fails the run at its end. Without `SIM_MASS` it is a few, which shows that the command works.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::many::{Plan, alone, run, survives};
use super::seeds::{KINDS, Kind, live, number, sort_of};
use super::tally::Tally;

/// Histories without `SIM_MASS`.
const FEW: u64 = 2 * KINDS.len() as u64;
/// Histories after which the totals are printed.
const CHUNK: u64 = 1_000 * KINDS.len() as u64;

/// The history at a place in the row: its kind and its seed.
fn at(place: u64) -> (Kind, u64) {
    let kinds = KINDS.len() as u64;
    (KINDS[(place % kinds) as usize], place / kinds)
}

/// Lives through one; what is wrong with it is a part of its tally.
fn live_at(place: u64) -> Tally {
    let (kind, seed) = at(place);
    survives(|| live(seed, kind)).unwrap_or_else(|text| {
        let test = kind.name.replace('-', "_");
        println!("FAILED {test} SIM_SEED={seed}: {}", text.chars().take(500).collect::<String>());
        Tally { noticed: vec![(place, text)], ..Tally::default() }
    })
}

#[test]
fn histories_of_all_kinds_end_well() {
    let _turn = alone();
    let (from, most) = (number("SIM_MASS_FROM").unwrap_or(0), number("SIM_MASS").unwrap_or(FEW));
    let begun = Instant::now();
    let mut sum = Tally::default();
    let mut sorts: BTreeMap<String, u64> = BTreeMap::new();
    let mut lived = 0;
    while lived < most {
        let chunk = CHUNK.min(most - lived);
        let plan = Plan { from: from + lived, seeds: chunk, limit: Duration::MAX, goes_on: true };
        let run = run(plan, live_at);
        assert!(run.failed.is_empty(), "the run itself failed: {:?}", run.failed);
        assert_eq!(run.lived, chunk, "all of a chunk is lived through");
        for place in from + lived..from + lived + chunk {
            let (kind, seed) = at(place);
            *sorts.entry(sort_of(seed, kind)).or_default() += 1;
        }
        sum.add(&run.sum);
        lived += chunk;
        let seconds = begun.elapsed().as_secs_f64();
        let rate = lived as f64 / seconds;
        println!(
            "{lived} of {most} histories in {seconds:.0} s, {rate:.0} a second, {:.0} min left, {} failed; next is SIM_MASS_FROM={}",
            (most - lived) as f64 / rate / 60.0,
            sum.noticed.len(),
            from + lived,
        );
    }
    println!("steps {}, deeds {}, fetches {}, writes {}", sum.steps, sum.deeds, sum.fetches, sum.writes);
    for (sort, times) in &sorts {
        println!("  {times:>8} {sort}");
    }
    let faults: Vec<String> = sum.faults.iter().map(|(fault, times)| format!("{fault} {times}")).collect();
    println!("  misfortunes: {}", faults.join(", "));
    let failed: Vec<String> =
        sum.noticed.iter().map(|(place, _)| at(*place)).map(|(kind, seed)| format!("{} {seed}", kind.name)).collect();
    println!("{} of {lived} histories did not end well {failed:?}", failed.len());
    assert!(failed.is_empty(), "{} of {lived} histories did not end well: {failed:?}", failed.len());
}

#[test]
fn the_row_has_every_kind_with_every_seed() {
    let first: Vec<(&str, u64)> = (0..20).map(at).map(|(kind, seed)| (kind.name, seed)).collect();
    assert_eq!(first[..2], [("mirror", 0), ("passing", 0)]);
    assert_eq!(first[8..12], [("hidden", 0), ("trees", 0), ("mirror", 1), ("passing", 1)]);
}
