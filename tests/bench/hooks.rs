//! The price of a hook: small files through an exec hook and through clamd, against the same scanner run by hand.
//!
//! `cargo bench --bench hooks -- [--files N] [--concurrency N]`

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

/// Mirrors the files with a hook, or without any.
fn mirror(what: &str, files: u64, run: &[&str], clamd: Option<u32>) {
    let bed = Bed::new();
    for file in 0..files {
        bed.cloud().write(&format!("{REMOTE}/f{file:06}.bin"), Content::pattern(file + 1, FILE_BYTES)).unwrap();
    }
    bed.add_folder(&[]);
    if !run.is_empty() {
        let mut args = vec!["add-hook", "scan", "--when", "before", "--on", "file.download", "--run"];
        args.extend(run);
        bed.ok(&args);
        let concurrency = format!("concurrency={}", argument("--concurrency", 4));
        bed.ok(&["set-hook", "scan", &concurrency]);
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
}

/// Runs a scanner by hand over a directory of the same files.
fn by_hand(what: &str, files: u64, command: &mut Command, clamd: Option<u32>) {
    let (before, scanner) = (children_ms(), clamd.map_or(0, |pid| of_process(pid).1));
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{what}: {status}");
    let took = begun.elapsed();
    let scanner = clamd.map_or(0, |pid| of_process(pid).1) - scanner;
    report(what, files, took, children_ms() - before + scanner);
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
    mirror("agent, no hook", files, &[], None);
    mirror("agent, a shell script that accepts", files, &[&accept], None);
    let list = format!("find {} -type f -print0 | xargs -0 -n 1 -P 4 {accept}", content.display());
    by_hand("xargs -P 4, the same script", files, Command::new("sh").args(["-c", &list]), None);
    if !is_installed() {
        return;
    }
    let clamd = Clamd::start(dir.path(), &[]);
    let pid: u32 = fs::read_to_string(dir.path().join("clamd.pid")).unwrap().trim().parse().unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/hooks/clamd-scan");
    let (program, socket) = (program.to_str().unwrap(), clamd.socket());
    mirror("agent, clamd-scan", files, &[program, "--socket", socket.to_str().unwrap()], Some(pid));
    let list = format!(
        "find {} -type f -print0 | xargs -0 -n 1 -P 4 {program} --socket {}",
        content.display(),
        socket.display()
    );
    by_hand("xargs -P 4, clamd-scan", files, Command::new("sh").args(["-c", &list]), Some(pid));
    let config = dir.path().join("clamd.conf");
    let mut clamdscan = Command::new("clamdscan");
    clamdscan.args(["--multiscan", "--no-summary", "-c"]).arg(&config).arg(&content);
    by_hand("clamdscan --multiscan", files, &mut clamdscan, Some(pid));
}
