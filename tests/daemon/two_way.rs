//! A two-way folder by the real process: both sides change at once, and the process is killed in between.

mod cloud_hand;
mod conflicts;
mod disk_hand;
mod edits;
mod history;
mod ledger;
mod own;
mod person;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use self::history::{History, Tally};
use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE};

/// Histories in the short form; `AGENT_ROUNDS` asks for more.
const ROUNDS: u64 = 8;
/// The first of them; `AGENT_SEED` asks for another.
const FIRST_SEED: u64 = 1;
/// Histories that are lived beside one another, as most of their time is waiting; `AGENT_WORKERS` asks for another number.
const WORKERS: u64 = 4;

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

fn two_way() -> Bed {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    bed
}

#[test]
fn local_changes_travel_up_and_come_back_as_nothing() {
    let bed = two_way();
    let cloud = bed.cloud();
    cloud.write(&remote("theirs.txt"), "theirs".as_bytes().to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.status().unwrap()["folders"][0]["mode"], "two-way");
    cloud.reset_counters();
    fs::create_dir_all(bed.local().join("docs/deep")).unwrap();
    fs::write(bed.local().join("docs/deep/a.txt"), "one").unwrap();
    fs::write(bed.local().join("theirs.txt"), "ours now").unwrap();
    bed.wait_equal(PATIENCE);
    let id = cloud.id_of(&remote("docs/deep/a.txt")).unwrap();
    fs::rename(bed.local().join("docs/deep"), bed.local().join("moved")).unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(cloud.id_of(&remote("moved/a.txt")).unwrap(), id, "a rename is a rename");
    fs::remove_file(bed.local().join("theirs.txt")).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count("content"), 0, "nothing that we wrote is fetched");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn names_that_are_exchanged_on_disk_are_exchanged_in_the_cloud() {
    for (bed, remote) in [(Bed::new(), REMOTE), (Bed::egnyte(), EGNYTE_REMOTE)] {
        bed.add_folder(&["--mode", "two-way"]);
        let cloud = bed.cloud();
        for name in ["one", "two", "three"] {
            cloud.write(&format!("{remote}/{name}"), name.as_bytes().to_vec()).unwrap();
        }
        bed.ok(&["run", "--once"]);
        let ids = ["one", "two", "three"].map(|name| cloud.id_of(&format!("{remote}/{name}")).unwrap());
        let at = |name: &str| bed.local().join(name);
        fs::rename(at("one"), at("aside")).unwrap();
        fs::rename(at("two"), at("one")).unwrap();
        fs::rename(at("three"), at("two")).unwrap();
        fs::rename(at("aside"), at("three")).unwrap();
        let agent = bed.start();
        bed.wait_equal(PATIENCE);
        assert_eq!(["three", "one", "two"].map(|name| cloud.id_of(&format!("{remote}/{name}")).unwrap()), ids);
        assert_eq!(fs::read(at("three")).unwrap(), b"one");
        bed.wait_in_sync(PATIENCE);
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn local_names_that_differ_by_case_alone_are_two_files_at_egnyte_too() {
    let bed = Bed::egnyte();
    bed.add_folder(&["--mode", "two-way"]);
    for number in 0..10 {
        let dir = bed.local().join(format!("d{number}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("name"), format!("lower {number}")).unwrap();
        fs::write(dir.join("NAME"), format!("upper {number}")).unwrap();
    }
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let tree = crate::support::read_tree(&bed.local());
    assert_eq!(tree.len(), 30, "{tree:?}");
    for number in 0..10 {
        for case in ["lower", "upper"] {
            let hash = crate::support::sha1_of(format!("{case} {number}").as_bytes());
            assert!(tree.values().any(|there| *there == hash), "{case} {number}: {tree:?}");
        }
    }
    assert_eq!(agent.stop(), Some(0));
}

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn both_sides_change_at_once_and_the_process_is_killed_and_nothing_is_lost() {
    let (rounds, first) = (asked("AGENT_ROUNDS", ROUNDS), asked("AGENT_SEED", FIRST_SEED));
    let keeps = std::env::var_os("AGENT_KEEP").is_some();
    let (next, tally, failed) = (AtomicU64::new(first), Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..asked("AGENT_WORKERS", WORKERS) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + rounds {
                        break;
                    }
                    let round = Instant::now();
                    let mut history = History::new(seed);
                    if keeps {
                        history.keep();
                    }
                    let ended = history.run();
                    let took = round.elapsed().as_secs_f64();
                    match ended {
                        Ok(counts) => {
                            println!("seed {seed}: ok after {took:.1} s");
                            tally.lock().unwrap().merge(&counts);
                        }
                        Err(text) => {
                            println!("seed {seed}: FAILED after {took:.1} s\n{text}");
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    println!("{rounds} histories in {:.0} s", begun.elapsed().as_secs_f64());
    for (what, count) in &tally.lock().unwrap().counts {
        println!("{count:>12}  {what}");
    }
    assert_eq!(*failed.lock().unwrap(), Vec::<u64>::new(), "seeds that failed, to be lived again with AGENT_SEED");
}
