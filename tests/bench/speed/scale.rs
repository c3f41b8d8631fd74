//! The rows of a large tree: one million files in 20,000 directories, built once and kept under `target/`, then asked and changed.
//!
//! The fixture is the watched directory with the agent's home beside it. The files are written straight to disk and adopted by the agent,
//! which reads and compares every one: a download would only add the sandbox's time. The cloud is in memory and is made anew for each
//! run, from the same seed and in the same order, so that its ids and its events are those that the database remembers.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{self, Cloud, Content};

use crate::process::{cpu_ms, memory_kib};
use crate::row::{Arguments, Measure, Row};
use crate::support::{Bed, REMOTE, Running};

/// The rows.
pub const ROWS: &[Row] = &[Row {
    name: "scale",
    what: "a large tree (--scale-files, --scale-folders; the fixture is kept): restart, changes, verify, questions",
    measure: scale,
}];

/// Bytes of a file: its length costs nobody anything here.
const BYTES: u64 = 64;
/// The fixture remembers where its cloud listens.
const PORT: u16 = 18_473;
/// When every file was written, as the cloud says.
const MODIFIED_MS: i64 = 1_700_000_000_000;
/// What is noted while the tree is changed.
const UNFINISHED: &str = "unfinished";
const LONG: Duration = Duration::from_hours(6);
/// Changes by others that are timed.
const CHANGES: u64 = 1_000;
/// The name of the folder.
const FOLDER: &str = "inbox";

fn fixture(files: u64, folders: u64) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/scale");
    root.join(format!("{files}-{folders}"))
}

fn dir_of(file: u64, folders: u64) -> String {
    let folder = file % folders;
    format!("d{:03}/d{folder:05}", folder % 200)
}

/// The cloud of the fixture, as the last run left it: what that changed is changed again.
fn bed(files: u64, folders: u64) -> Bed {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let options = sandbox::Options { listen, ..sandbox::Options::default() };
    let bed = Bed::kept_at(&fixture(files, folders), options);
    let cloud = bed.cloud();
    for folder in 0..folders {
        cloud.mkdir_p(&format!("{REMOTE}/{}", dir_of(folder, folders))).unwrap();
    }
    for file in 0..files {
        let path = format!("{REMOTE}/{}/f{file:07}.bin", dir_of(file, folders));
        cloud.write_at(&path, Content::pattern(file + 1, BYTES), Some(MODIFIED_MS)).unwrap();
    }
    for _ in 0..rounds(&bed) {
        rename(&cloud, files, folders, true);
        rename(&cloud, files, folders, false);
    }
    bed
}

/// How often the changes were made; nothing before the fixture is built.
fn rounds(bed: &Bed) -> u64 {
    let text = fs::read_to_string(bed.dir.path().join("rounds")).unwrap_or_default();
    assert_ne!(
        text,
        UNFINISHED,
        "a run over this fixture did not come to its end: remove {}",
        bed.dir.path().display()
    );
    text.parse().unwrap_or(0)
}

fn note(bed: &Bed, text: &str) {
    fs::write(bed.dir.path().join("rounds"), text).unwrap();
}

/// Other users rename files all over the tree, or give them their names back.
fn rename(cloud: &Cloud, files: u64, folders: u64, away: bool) {
    for change in 0..CHANGES.min(files) {
        let file = change * (files / CHANGES).max(1) % files;
        let (dir, name) = (dir_of(file, folders), format!("f{file:07}.bin"));
        let (from, to) = if away { (name.clone(), renamed(&name)) } else { (renamed(&name), name.clone()) };
        cloud.rename(&format!("{REMOTE}/{dir}/{from}"), &to).unwrap();
    }
}

fn renamed(name: &str) -> String {
    format!("renamed-{name}")
}

/// Writes the same files to disk and has them adopted, unless that was done before.
fn build(bed: &Bed, files: u64, folders: u64) {
    if bed.dir.path().join("rounds").exists() {
        return;
    }
    let begun = Instant::now();
    let cloud = bed.cloud();
    for folder in 0..folders {
        fs::create_dir_all(bed.local().join(dir_of(folder, folders))).unwrap();
    }
    for file in 0..files {
        let path = format!("{}/f{file:07}.bin", dir_of(file, folders));
        let content = cloud.read(&format!("{REMOTE}/{path}")).unwrap();
        fs::write(bed.local().join(path), content).unwrap();
    }
    note(bed, UNFINISHED);
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    let cpu = cpu_ms(agent.pid());
    eprintln!("the fixture is built after {:.0?}; the agent took {cpu} ms of processor time", begun.elapsed());
    assert_eq!(bed.cloud().count("content"), 0, "the files are adopted and not downloaded");
    assert_eq!(agent.stop(), Some(0));
    note(bed, "0");
}

/// The longest step of the control thread since the agent started.
fn longest_step_ms(bed: &Bed) -> f64 {
    let metrics = bed.ok(&["metrics"]);
    let line = metrics.lines().find(|line| line.starts_with("folder_sync_step_longest_seconds ")).unwrap();
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() * 1_000.0
}

fn asked(bed: &Bed, args: &[&str]) -> Measure {
    let begun = Instant::now();
    bed.run(args);
    Measure::new(format!("`agent {}`", args.join(" ")), begun.elapsed().as_secs_f64() * 1_000.0, "ms")
}

fn started(bed: &Bed, files: u64) -> (Running, Vec<Measure>) {
    let begun = Instant::now();
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    let took = begun.elapsed().as_secs_f64();
    let cpu = cpu_ms(agent.pid()) as f64;
    let measures = vec![
        Measure::new(format!("restart, {files} files, until in sync"), took, "s"),
        Measure::new("restart, processor time a file", cpu * 1_000.0 / files as f64, "µs"),
        Measure::new("restart, longest step", longest_step_ms(bed), "ms"),
        Measure::new("restart, peak memory", memory_kib(agent.pid()).0 as f64 / 1_024.0, "MiB"),
    ];
    (agent, measures)
}

fn scale(arguments: &Arguments) -> Vec<Measure> {
    let files = arguments.number("scale-files", 1_000_000);
    let folders = arguments.number("scale-folders", 20_000);
    let bed = bed(files, folders);
    build(&bed, files, folders);
    let (agent, mut measures) = started(&bed, files);

    for args in [&["status"][..], &["why", &format!("{}/f0000000.bin", dir_of(0, folders))], &["problems"], &["plan"]] {
        measures.push(asked(&bed, args));
    }
    let done = rounds(&bed);
    note(&bed, UNFINISHED);
    let changes = CHANGES.min(files);
    let cpu = cpu_ms(agent.pid());
    let begun = Instant::now();
    rename(&bed.cloud(), files, folders, true);
    let last = (changes - 1) * (files / CHANGES).max(1) % files;
    let last = bed.local().join(dir_of(last, folders)).join(renamed(&format!("f{last:07}.bin")));
    wait_for(|| last.exists());
    bed.wait_in_sync(LONG);
    let took = begun.elapsed().as_secs_f64();
    let cpu = (cpu_ms(agent.pid()) - cpu) as f64 * 1_000.0 / changes as f64;
    measures.push(Measure::new(format!("{changes} renames by others until in sync"), took, "s"));
    measures.push(Measure::new("a rename, processor time", cpu, "µs"));
    measures.push(Measure::new("until then, longest step", longest_step_ms(&bed), "ms"));
    measures.push(asked(&bed, &["sync", FOLDER, "--full", "--wait"]));
    measures.push(Measure::new("until then, longest step", longest_step_ms(&bed), "ms"));
    measures.push(asked(&bed, &["verify", FOLDER]));
    measures.push(Measure::new("until then, longest step", longest_step_ms(&bed), "ms"));
    measures.push(Measure::new("until then, peak memory", memory_kib(agent.pid()).0 as f64 / 1_024.0, "MiB"));
    rename(&bed.cloud(), files, folders, false);
    wait_for(|| !last.exists());
    bed.wait_in_sync(LONG);
    assert_eq!(agent.stop(), Some(0));
    note(&bed, &(done + 1).to_string());
    measures
}

fn wait_for(mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
