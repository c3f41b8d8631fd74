//! What a run came to: how many histories, how fast, and how often each misfortune really happened.

use super::many::Run;

/// Histories after which every misfortune of its kind must have happened: less than a slow machine lives through in a usual run.
const HISTORIES: u64 = 300;
/// Likewise for those that happen once in a hundred histories or less.
const MANY_HISTORIES: u64 = 2_000;

/// Misfortunes of every kind of history.
const COMMON: &[&str] = &[
    "call: Conflict",
    "call: Corrupt",
    "call: CursorLost",
    "call: Forbidden",
    "call: Local",
    "call: Malformed",
    "call: Network",
    "call: NotFound",
    "call: NotReady",
    "call: QuotaExhausted",
    "call: RateLimited",
    "call: Refused",
    "call: SignInNeeded",
    "call: Unavailable",
    "crash",
    "crash: the clock begins anew",
    "cursors lost",
    "event late",
    "event repeated",
    "events swapped",
    "root away",
    "wake-up lost",
    "wall clock jumps",
];
/// Of those in which the agent changes the disk.
const DEEDS: &[&str] = &[
    "crash: after a swap",
    "crash: deeds done and not recorded",
    "crash: deeds not begun",
    "crash: half a download",
    "deed: Full",
    "deed: Item",
    "deed: NotWritable",
    "deed: UnsafePath",
    "deed: done and refused",
    "staged file lost",
];
/// Of those in which the agent changes the cloud.
const WRITES: &[&str] = &[
    "answer lost: it is done later",
    "answer lost: it is never done",
    "answer lost: it was done",
    "crash: write done and not recorded",
    "read failed",
    "scan failed",
    "watcher overflow",
];

/// Of those whose pages are odd.
const PAGES: &[&str] = &["page: empty", "page: overlapping", "page: short"];
/// Of those whose downloads bring something else.
const BODIES: &[&str] = &["download: something else"];

/// The misfortunes that so many histories of a kind must have had.
fn expected(kind: &str, histories: u64) -> Vec<&'static str> {
    let (usual, rare): (&[&[&str]], &[&[&str]]) = match kind {
        "mirror" => (&[COMMON, &["patterns change"]], &[DEEDS, &["hold refused"]]),
        "passing" => (&[COMMON, &["power cut: staged file lost"]], &[DEEDS, &["hold refused"]]),
        "two-way" => (&[COMMON, WRITES], &[DEEDS]),
        "upload" => (&[COMMON, WRITES], &[]),
        "disorder" => (&[&["crash", "event late", "event repeated", "events swapped"], PAGES], &[]),
        "enterprise" => (&[&["crash"]], &[]),
        "garbled" => (&[&["crash", "event without an item", "event of an unknown kind"], PAGES], &[BODIES]),
        "untold" => (&[&["crash", "event lost", "event behind a cursor", "listing of a former state"]], &[]),
        "hidden" => (&[&["crash", "permission taken away", "permission given back", "folder above changed"]], &[]),
        "trees" => (&[&["crash", "tree went whole", "tree went in parts", "tree acts"]], &[]),
        other => panic!("no such kind of history: {other}"),
    };
    let usual = if histories >= HISTORIES { usual.concat() } else { Vec::new() };
    let rare = if histories >= MANY_HISTORIES { rare.concat() } else { Vec::new() };
    [usual, rare].concat()
}

/// Prints the figures of a run, and fails if a misfortune that is switched on never happened.
pub fn report(kind: &str, run: &Run) {
    let sum = &run.sum;
    println!("{kind}: {} histories in {:.1} s, {:.0} a second", run.lived, run.seconds, run.per_second());
    println!(
        "  {} steps ({} a history), {} deeds, {} fetches, {} writes ({} uploads), {} listings, {} looks, {} polls, {} holds, {} conflicts",
        sum.steps,
        sum.steps / run.lived.max(1),
        sum.deeds,
        sum.fetches,
        sum.writes,
        sum.uploads,
        sum.lists,
        sum.looks,
        sum.polls,
        sum.holds,
        sum.conflicts,
    );
    let faults: Vec<String> = sum.faults.iter().map(|(fault, times)| format!("{fault} {times}")).collect();
    println!("  misfortunes: {}", faults.join(", "));
    let never: Vec<_> =
        expected(kind, run.lived).into_iter().filter(|fault| !sum.faults.contains_key(*fault)).collect();
    assert!(never.is_empty(), "{kind}: these misfortunes never happened in {} histories: {never:?}", run.lived);
}
