//! A two-way folder's figures: local changes in a large tree, made while the agent is stopped and while it runs.
//!
//! `cargo bench --bench two_way -- [--files N] [--edited N] [--new N] [--renamed N] [--deleted N]`

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::time::{Duration, Instant};

use process::{cpu_ms, memory_kib};
use support::edits::{Edits, Tree, check, digested, wait_for};
use support::{Bed, Running};

const LONG: Duration = Duration::from_mins(30);

fn argument(name: &str, default: u64) -> u64 {
    let args: Vec<String> = std::env::args().collect();
    args.iter().position(|arg| arg == name).map_or(default, |at| args[at + 1].parse().unwrap())
}

fn main() {
    let files = argument("--files", 50_000);
    let edits = Edits {
        edited: argument("--edited", 200),
        new: argument("--new", 50),
        renamed: argument("--renamed", 50),
        deleted: argument("--deleted", 50),
    };
    let bed = Bed::new();
    let mut tree = Tree::new(&bed, files);
    bed.add_folder(&["--mode", "two-way"]);
    let begun = Instant::now();
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    println!("first sync of {files} files of 4 KiB: {:.1?}", begun.elapsed());
    report(&bed, &agent, (0, 0), 0);
    assert_eq!(agent.stop(), Some(0));

    bed.cloud().reset_counters();
    tree.edit(&bed, edits);
    let begun = Instant::now();
    let agent = bed.start();
    wait_for(&bed, edits, LONG);
    println!("{edits:?} while it was stopped: in the cloud and in sync {:.2?} after the start", begun.elapsed());
    let before = report(&bed, &agent, (0, 0), 0);
    check(&bed, edits, before);

    bed.cloud().reset_counters();
    let cpu = cpu_ms(agent.pid());
    tree.edit(&bed, edits);
    let begun = Instant::now();
    wait_for(&bed, edits, LONG);
    println!("{edits:?} while it ran: in the cloud and in sync {:.2?} after the last of them", begun.elapsed());
    let after = report(&bed, &agent, before, cpu);
    check(&bed, edits, (after.0 - before.0, after.1 - before.1));
    assert_eq!(bed.difference(), Vec::<String>::new());
    assert_eq!(agent.stop(), Some(0));

    let begun = Instant::now();
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    println!("restart with nothing to do: in sync after {:.2?}", begun.elapsed());
    report(&bed, &agent, (0, 0), 0);
    assert_eq!(agent.stop(), Some(0));
}

/// Prints what it cost since before; returns what was read for digests since the start.
fn report(bed: &Bed, agent: &Running, before: (u64, u64), cpu: u64) -> (u64, u64) {
    let (files, bytes) = digested(bed);
    let (peak, now) = memory_kib(agent.pid());
    println!(
        "  read for digests: {} files, {} bytes; CPU {} ms; peak {} MiB, now {} MiB; calls {:?}",
        files - before.0,
        bytes - before.1,
        cpu_ms(agent.pid()) - cpu,
        peak >> 10,
        now >> 10,
        bed.cloud().counters()
    );
    (files, bytes)
}
