//! The price of a hook: small files through programs, a worker and clamd, against the same scanner run by hand, with the goals.
//!
//! `cargo bench --bench hooks -- [--files N] [--concurrency N] [--slow 0]`

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::Content;
use support::clamd::{Clamd, is_installed};
use support::{Bed, REMOTE};

const LONG: Duration = Duration::from_mins(30);
const FILE_BYTES: u64 = 4_096;
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

fn report(what: &str, files: u64, took: Duration, cpu_ms: u64) {
    let rate = files as f64 / took.as_secs_f64();
    println!("{what:<44} {took:>8.2?}  {rate:>7.0} files/s  {:>6.2} ms CPU a file", cpu_ms as f64 / files as f64);
}

fn script(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Mirrors the files with a hook, or without any; how long it took.
fn mirror(what: &str, files: u64, hook: &[&str], concurrency: Option<u64>, clamd: Option<u32>) -> Duration {
    let bed = Bed::new();
    for file in 0..files {
        bed.cloud().write(&format!("{REMOTE}/f{file:06}.bin"), Content::pattern(file + 1, FILE_BYTES)).unwrap();
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
    bed.wait_in_sync(LONG);
    let took = begun.elapsed();
    let (own, all) = of_process(agent.pid());
    let scanner = clamd.map_or(0, |pid| of_process(pid).1) - scanner;
    report(what, files, took, all + scanner);
    println!("{:<44} of it: agent {own} ms, hooks {} ms, clamd {scanner} ms", "", all - own);
    assert_eq!(agent.stop(), Some(0));
    took
}

/// A goal, and whether it is met: the rate of the hook itself, with the mirror's own work counted out, against another rate.
fn goal(what: &str, files: u64, (with, without): (Duration, Duration), other: f64, wanted: f64) {
    let alone = with.saturating_sub(without).as_secs_f64().max(0.001);
    let rate = files as f64 / alone;
    let share = rate / other;
    let word = if share >= wanted { "met" } else { "MISSED" };
    println!(
        "goal {word}: {what}: {rate:.0} files/s beside the mirror's own work, {share:.2} of {other:.0} (goal {wanted})"
    );
}

/// Runs a scanner by hand over a directory of the same files.
fn by_hand(what: &str, files: u64, command: &mut Command, clamd: Option<u32>) -> f64 {
    let (before, scanner) = (children_ms(), clamd.map_or(0, |pid| of_process(pid).1));
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{what}: {status}");
    let took = begun.elapsed();
    let scanner = clamd.map_or(0, |pid| of_process(pid).1) - scanner;
    report(what, files, took, children_ms() - before + scanner);
    files as f64 / took.as_secs_f64()
}

fn main() {
    let files = argument("--files", 1_000);
    let dir = tempfile::tempdir().unwrap();
    let content: PathBuf = dir.path().join("files");
    fs::create_dir(&content).unwrap();
    for file in 0..files {
        let bytes: Vec<u8> = (0..FILE_BYTES).map(|at| (at.wrapping_mul(31) + file) as u8).collect();
        fs::write(content.join(format!("f{file:06}.bin")), bytes).unwrap();
    }
    println!("{files} files of {FILE_BYTES} bytes");
    let accept = script(dir.path(), "accept", "#!/bin/sh\nexit 0\n");
    let four = Some(argument("--concurrency", 4));
    let program = |path| ["--when", "before", "--on", "file.download", "--run", path];
    let bare = mirror("agent, no hook", files, &[], None, None);
    let with_script = mirror("agent, a shell script for each file", files, &program(accept.as_str()), four, None);
    let list = format!("find {} -type f -print0 | xargs -0 -n 1 -P 4 {accept}", content.display());
    let xargs = by_hand("xargs -P 4, the same script", files, Command::new("sh").args(["-c", &list]), None);
    let worker = script(dir.path(), "worker", WORKER);
    let worker = ["--when", "before", "--on", "file.download", "--worker", "--run", worker.as_str()];
    let with_worker = mirror("agent, a worker that accepts", files, &worker, four, None);
    goal("a shell script for each file, of xargs -P 4", files, (with_script, bare), xargs, 0.7);
    let share = bare.as_secs_f64() / with_worker.as_secs_f64();
    let word = if share >= 0.5 { "met" } else { "MISSED" };
    println!("goal {word}: a worker: {share:.2} of the mirror without a hook (goal 0.5)");
    if !is_installed() {
        return;
    }
    let clamd = Clamd::start(dir.path(), &[]);
    let pid: u32 = fs::read_to_string(dir.path().join("clamd.pid")).unwrap().trim().parse().unwrap();
    let socket = clamd.socket();
    let scanner = format!("clamd:{}", socket.display());
    let with_clamd = mirror("agent, scan = \"clamd\"", files, &["--scan", &scanner], None, Some(pid));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/hooks/clamd-scan");
    let program = shipped.to_str().unwrap();
    if argument("--slow", 1) > 0 {
        let run = ["--when", "before", "--on", "file.download", "--run", program, "--socket", socket.to_str().unwrap()];
        mirror("agent, clamd-scan for each file", files, &run, four, Some(pid));
    }
    let config = dir.path().join("clamd.conf");
    let mut clamdscan = Command::new("clamdscan");
    clamdscan.args(["--multiscan", "--no-summary", "-c"]).arg(&config).arg(&content);
    let multiscan = by_hand("clamdscan --multiscan", files, &mut clamdscan, Some(pid));
    goal("scan = \"clamd\", of clamdscan --multiscan", files, (with_clamd, bare), multiscan, 0.5);
}
