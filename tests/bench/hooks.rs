//! The price of a hook: files through programs, a worker and clamd, against the same scanner run by hand, with the goals.
//!
//! What is compared is the same work: the same files, all of them in the page cache, each of them known to clamd by its digest or none of them
//! (clamd does not look into a content again that it found clean, unless it is told `DisableCache`). Rounds take turns, and medians count.
//!
//! `cargo bench --bench hooks -- [--files N [--bytes N]] [--rounds N] [--concurrency N] [--programs 0] [--slow 0]`

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::Content;
use support::clamd::{Clamd, is_installed};
use support::{Bed, REMOTE};

const LONG: Duration = Duration::from_mins(30);
/// A worker that allows everything.
const WORKER: &str = "#!/usr/bin/python3 -IS
import json, sys
for line in sys.stdin:
    print(json.dumps({'id': json.loads(line)['id'], 'verdict': 'allow'}), flush=True)
";

fn argument(name: &str, default: u64) -> u64 {
    let args: Vec<String> = std::env::args().collect();
    args.iter().position(|arg| arg == name).map_or(default, |at| args[at + 1].parse().unwrap())
}

/// User and system time of this process's ended children, in milliseconds.
fn children_ms() -> u64 {
    // Fields 16 and 17 of the line, counted behind the name, in ticks of ten milliseconds.
    ticks("/proc/self/stat", [13, 14]) * 10
}

fn ticks(path: &str, fields: [usize; 2]) -> u64 {
    let stat = fs::read_to_string(path).unwrap_or_default();
    let fields_of: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.iter().filter_map(|field| fields_of.get(*field)?.parse::<u64>().ok()).sum()
}

/// The same of a running process alone, and of it with its ended children.
fn of_process(pid: u32) -> (u64, u64) {
    let path = format!("/proc/{pid}/stat");
    let own = ticks(&path, [11, 12]) * 10;
    (own, own + ticks(&path, [13, 14]) * 10)
}

fn script(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A set of files.
#[derive(Clone, Copy)]
struct Set {
    files: u64,
    bytes: u64,
}

/// What is measured unless the command line names one set.
const SETS: [Set; 3] =
    [Set { files: 1_000, bytes: 4 << 10 }, Set { files: 1_000, bytes: 64 << 10 }, Set { files: 100, bytes: 1 << 20 }];

/// What was measured of one mirror or one run by hand, several times.
struct Rounds {
    what: String,
    set: Set,
    took: Vec<Duration>,
    cpu_ms: Vec<u64>,
    parts: Vec<[u64; 3]>,
}

impl Rounds {
    fn of(what: &str, set: Set) -> Self {
        Self { what: what.into(), set, took: Vec::new(), cpu_ms: Vec::new(), parts: Vec::new() }
    }

    fn took(&self) -> Duration {
        median(&self.took)
    }

    fn rate(&self) -> f64 {
        self.set.files as f64 / self.took().as_secs_f64()
    }

    fn report(&self) {
        let files = self.set.files as f64;
        let cpu = median(&self.cpu_ms) as f64 / files;
        let (least, most) = (self.took.iter().min().unwrap(), self.took.iter().max().unwrap());
        print!("{:<44} {:>8.2?}  {:>7.0} files/s  {cpu:>6.2} ms CPU a file", self.what, self.took(), self.rate());
        let part = |at: usize| median(&self.parts.iter().map(|parts| parts[at]).collect::<Vec<_>>()) as f64 / files;
        println!(" (agent {:.2}, hooks {:.2}, clamd {:.2}; {least:.2?} to {most:.2?})", part(0), part(1), part(2));
    }
}

fn median<T: Ord + Copy>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Beds that were used. They stay until everything is measured: for some seconds ext4 passes over the inodes of deleted files one by one, so
/// that every file that is made after a bed was removed costs several times what it should.
type Used = Vec<Bed>;

/// Mirrors the files with a hook, or without any, until all of them can be seen.
fn mirror(rounds: &mut Rounds, used: &mut Used, hook: &[&str], concurrency: Option<u64>, clamd: Option<u32>) {
    let bed = Bed::new();
    for file in 0..rounds.set.files {
        let content = Content::pattern(file + 1, rounds.set.bytes);
        bed.cloud().write(&format!("{REMOTE}/f{file:06}.bin"), content).unwrap();
    }
    bed.add_folder(&[]);
    if !hook.is_empty() {
        let mut args = vec!["add-hook", "scan"];
        args.extend(hook);
        bed.ok(&args);
        if let Some(concurrency) = concurrency {
            bed.ok(&["set-hook", "scan", &format!("concurrency={concurrency}")]);
        }
    }
    let scanner = clamd.map_or(0, |pid| of_process(pid).1);
    let begun = Instant::now();
    let agent = bed.start();
    let seen = || fs::read_dir(bed.local()).map_or(0, Iterator::count) as u64;
    // The reserved directory is there as well.
    while seen() <= rounds.set.files {
        assert!(begun.elapsed() < LONG, "{}", bed.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    rounds.took.push(begun.elapsed());
    bed.wait_in_sync(LONG);
    let (own, all) = of_process(agent.pid());
    let scanner = clamd.map_or(0, |pid| of_process(pid).1) - scanner;
    rounds.cpu_ms.push(all + scanner);
    rounds.parts.push([own, all - own, scanner]);
    assert_eq!(agent.stop(), Some(0));
    used.push(bed);
}

/// A goal, and whether it is met: the rate of the hook itself, with the mirror's own work counted out, against another rate.
fn goal(with: &Rounds, without: &Rounds, other: &Rounds, wanted: f64) {
    // What is no more than the rounds differ among themselves is noise, and no rate.
    let noise = without
        .took
        .iter()
        .max()
        .zip(without.took.iter().min())
        .map_or(Duration::ZERO, |(most, least)| most.saturating_sub(*least));
    let alone = with.took().saturating_sub(without.took());
    if alone < noise / 2 {
        println!(
            "goal not measured: {}: the mirror's own rounds differ by {noise:.2?}, and the hook adds {alone:.2?}",
            with.what
        );
        return;
    }
    let alone = alone.as_secs_f64();
    let rate = with.set.files as f64 / alone;
    let share = rate / other.rate();
    let word = if share >= wanted { "met" } else { "MISSED" };
    let (what, of, whole) = (&with.what, &other.what, other.rate());
    println!(
        "goal {word}: {what}: {rate:.0} files/s beside the mirror's own work, {share:.2} of {whole:.0}, {of} (goal {wanted})"
    );
}

/// Runs a scanner by hand over a directory of the same files.
fn by_hand(rounds: &mut Rounds, command: &mut Command, clamd: Option<u32>) {
    let (before, scanner) = (children_ms(), clamd.map_or(0, |pid| of_process(pid).1));
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{}: {status}", rounds.what);
    rounds.took.push(begun.elapsed());
    let (own, scanner) = (children_ms() - before, clamd.map_or(0, |pid| of_process(pid).1) - scanner);
    rounds.cpu_ms.push(own + scanner);
    rounds.parts.push([0, own, scanner]);
}

/// Programs and a worker, against the same script run by hand.
fn programs(set: Set, dir: &Path, used: &mut Used, times: u64) {
    let accept = script(dir, "accept", "#!/bin/sh\nexit 0\n");
    let worker = script(dir, "worker", WORKER);
    let four = Some(argument("--concurrency", 4));
    let program = ["--when", "before", "--on", "file.download", "--run", accept.as_str()];
    let worker = ["--when", "before", "--on", "file.download", "--worker", "--run", worker.as_str()];
    let named = |what: &str| Rounds::of(what, set);
    let mut bare = named("agent, no hook");
    let mut with_script = named("agent, a shell script for each file");
    let mut xargs = named("xargs -P 4, the same script");
    let mut with_worker = named("agent, a worker that accepts");
    for _ in 0..times {
        mirror(&mut bare, used, &[], None, None);
        mirror(&mut with_script, used, &program, four, None);
        let list = format!("find {} -name 'f*' -print0 | xargs -0 -n 1 -P 4 {accept}", used[0].local().display());
        by_hand(&mut xargs, Command::new("sh").args(["-c", &list]), None);
        mirror(&mut with_worker, used, &worker, four, None);
    }
    [&bare, &with_script, &xargs, &with_worker].into_iter().for_each(Rounds::report);
    goal(&with_script, &bare, &xargs, 0.7);
    let share = bare.took().as_secs_f64() / with_worker.took().as_secs_f64();
    let word = if share >= 0.5 { "met" } else { "MISSED" };
    println!("goal {word}: {}: {share:.2} of the mirror without a hook (goal 0.5)", with_worker.what);
}

/// A clamd, against `clamdscan --multiscan` over the files of a mirror.
fn clamd(set: Set, dir: &Path, used: &mut Used, times: u64, is_warm: bool) {
    let dir = dir.join(if is_warm { "warm" } else { "cold" });
    fs::create_dir_all(&dir).unwrap();
    // It passes over contents that it has seen: either all of them, or none.
    let clamd = Clamd::start(&dir, if is_warm { &[] } else { &["DisableCache yes"] });
    let pid: u32 = fs::read_to_string(dir.join("clamd.pid")).unwrap().trim().parse().unwrap();
    let scanner = format!("clamd:{}", clamd.socket().display());
    let cache = if is_warm { "knows all contents" } else { "knows no content" };
    let mut bare = Rounds::of("agent, no hook", set);
    let mut with_clamd = Rounds::of(&format!("agent, scan = \"clamd\", which {cache}"), set);
    let mut multiscan = Rounds::of(&format!("clamdscan --multiscan, {cache}"), set);
    mirror(&mut Rounds::of("the files", set), used, &[], None, None);
    let content = used.last().unwrap().local();
    let mut clamdscan = Command::new("clamdscan");
    clamdscan.args(["--multiscan", "--no-summary", "-c"]).arg(dir.join("clamd.conf")).arg(&content);
    by_hand(&mut Rounds::of("clamdscan, once before", set), &mut clamdscan, Some(pid));
    for _ in 0..times {
        mirror(&mut bare, used, &[], None, None);
        mirror(&mut with_clamd, used, &["--scan", &scanner], None, Some(pid));
        by_hand(&mut multiscan, &mut clamdscan, Some(pid));
    }
    [&bare, &with_clamd, &multiscan].into_iter().for_each(Rounds::report);
    goal(&with_clamd, &bare, &multiscan, 0.5);
}

fn main() {
    let times = argument("--rounds", 3);
    let dir = tempfile::tempdir().unwrap();
    let mut used = Vec::new();
    let one = Set { files: argument("--files", 0), bytes: argument("--bytes", 4 << 10) };
    let sets = if one.files > 0 { vec![one] } else { SETS.to_vec() };
    for (number, set) in sets.into_iter().enumerate() {
        println!("{} files of {} bytes, median of {times}", set.files, set.bytes);
        if number == 0 && argument("--programs", 1) > 0 {
            programs(set, dir.path(), &mut used, times);
        }
        if !is_installed() {
            continue;
        }
        clamd(set, dir.path(), &mut used, times, false);
        clamd(set, dir.path(), &mut used, times, true);
        if number == 0 && argument("--slow", 1) > 0 {
            let clamd = Clamd::start(dir.path(), &["DisableCache yes"]);
            let pid: u32 = fs::read_to_string(dir.path().join("clamd.pid")).unwrap().trim().parse().unwrap();
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/hooks/clamd-scan");
            let (program, socket) = (shipped.to_str().unwrap(), clamd.socket());
            let run =
                ["--when", "before", "--on", "file.download", "--run", program, "--socket", socket.to_str().unwrap()];
            let mut slow = Rounds::of("agent, clamd-scan for each file", set);
            mirror(&mut slow, &mut used, &run, Some(argument("--concurrency", 4)), Some(pid));
            slow.report();
        }
    }
}
