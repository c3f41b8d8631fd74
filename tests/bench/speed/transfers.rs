//! The rows of the network: a large file and many small ones over a slow network, and the first upload.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Content, Network, Options};

use crate::process::{cpu_ms, memory_kib};
use crate::row::{Arguments, Measure, Row};
use crate::support::{Bed, REMOTE};

/// The rows.
pub const ROWS: &[Row] = &[
    Row { name: "large", what: "one large file, 40 ms, 20 MB/s a connection (--mib)", measure: large_and_far },
    Row { name: "large-near", what: "one large file on this machine (--mib)", measure: large_and_near },
    Row { name: "latency", what: "small files over 40 ms, transfers = 16 (--files)", measure: small_and_far },
    Row { name: "upload", what: "first upload of small files, two-way (--files)", measure: first_upload },
];

const LONG: Duration = Duration::from_hours(1);
const MIB: u64 = 1 << 20;
const LATENCY_MS: u64 = 40;
/// Transfers at a time.
pub const TRANSFERS: u64 = 16;

/// A bed whose account has so many transfers at a time.
pub fn bed(network: Network) -> Bed {
    let bed = Bed::with(Options { network, ..Options::default() });
    let path = bed.home().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let more = config.replacen("[[account]]\n", &format!("[[account]]\ntransfers = {TRANSFERS}\n"), 1);
    assert_ne!(more, config, "the account is in the configuration");
    std::fs::write(&path, more).unwrap();
    bed
}

/// `curl` of these files with so many connections, and `sync`.
fn curled(bed: &Bed, paths: &[String], to: &Path, connections: u64) -> Duration {
    std::fs::create_dir_all(to).unwrap();
    let tree = bed.cloud().tree("/").unwrap();
    let mut orders = String::new();
    for (number, path) in paths.iter().enumerate() {
        let id = &tree[path.trim_start_matches('/')].id;
        let (url, out) = (bed.sandbox.url(), to.join(number.to_string()));
        let _ = writeln!(orders, "url = \"{url}/2.0/files/{id}/content\"\noutput = \"{}\"", out.display());
    }
    let list = to.join("curl.list");
    std::fs::write(&list, orders).unwrap();
    let begun = Instant::now();
    let curl = Command::new("curl")
        .args(["--silent", "--fail", "--location", "--parallel", "--parallel-max", &connections.to_string()])
        .args(["--header", &format!("Authorization: Bearer {ACCESS_TOKEN}"), "--config"])
        .arg(&list)
        .status();
    assert!(curl.unwrap().success());
    assert!(Command::new("sync").arg("-f").arg(to).status().unwrap().success());
    begun.elapsed()
}

fn large_and_far(arguments: &Arguments) -> Vec<Measure> {
    large(arguments, Network { latency_ms: LATENCY_MS, bytes_per_second: 20_000_000 })
}

fn large_and_near(arguments: &Arguments) -> Vec<Measure> {
    large(arguments, Network::default())
}

fn large(arguments: &Arguments, network: Network) -> Vec<Measure> {
    let mib = arguments.number("mib", 2_048);
    let bed = bed(network);
    let path = format!("{REMOTE}/large.bin");
    bed.cloud().write(&path, Content::pattern(7, mib * MIB)).unwrap();
    bed.add_folder(&[]);
    bed.cloud().reset_counters();
    let begun = Instant::now();
    let agent = bed.start();
    while !bed.local().join("large.bin").exists() {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let took = begun.elapsed();
    let (cpu, (peak, _)) = (cpu_ms(agent.pid()), memory_kib(agent.pid()));
    let (requests, connections) = (bed.cloud().count("content_redirect"), bed.cloud().connections());
    bed.wait_in_sync(LONG);
    assert_eq!(agent.stop(), Some(0));
    let curl = curled(&bed, &[path], &bed.dir.path().join("curl"), 1);
    vec![
        Measure::new(format!("{mib} MiB"), took.as_secs_f64(), "s").against("`curl` + `sync -f`", curl.as_secs_f64()),
        Measure::new("processor time", cpu as f64, "ms"),
        Measure::new("requests for content", requests as f64, ""),
        Measure::new("connections", connections as f64, ""),
        Measure::new("peak memory", peak as f64 / 1_024.0, "MiB"),
    ]
}

fn small_and_far(arguments: &Arguments) -> Vec<Measure> {
    let files = arguments.number("files", 1_000);
    let bed = bed(Network { latency_ms: LATENCY_MS, bytes_per_second: 0 });
    let paths: Vec<String> = (0..files).map(|number| format!("{REMOTE}/{number:06}.bin")).collect();
    for (number, path) in paths.iter().enumerate() {
        bed.cloud().write(path, Content::pattern(number as u64 + 1, 4_096)).unwrap();
    }
    bed.add_folder(&[]);
    bed.cloud().reset_counters();
    let begun = Instant::now();
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    let took = begun.elapsed();
    let connections = bed.cloud().connections();
    assert_eq!(agent.stop(), Some(0));
    let curl = curled(&bed, &paths, &bed.dir.path().join("curl"), TRANSFERS);
    vec![
        Measure::new(format!("{files} x 4 KiB"), took.as_secs_f64(), "s")
            .against("`curl --parallel-max 16` + `sync -f`", curl.as_secs_f64()),
        Measure::new("connections", connections as f64, ""),
    ]
}

fn first_upload(arguments: &Arguments) -> Vec<Measure> {
    let files = arguments.number("files", 10_000);
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    for folder in 0..files.div_ceil(100) {
        std::fs::create_dir_all(bed.local().join(format!("d{folder}"))).unwrap();
    }
    for number in 0..files {
        let path = bed.local().join(format!("d{}/{number}.txt", number / 100));
        std::fs::write(path, format!("file {number}\n").repeat(20)).unwrap();
    }
    bed.cloud().reset_counters();
    let begun = Instant::now();
    let agent = bed.start();
    while bed.cloud().count("upload_new") < files {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let took = begun.elapsed();
    bed.wait_in_sync(LONG);
    let cpu = cpu_ms(agent.pid());
    let looks = bed.cloud().count("events");
    assert_eq!(agent.stop(), Some(0));
    vec![
        Measure::new(format!("{files} files"), took.as_secs_f64(), "s"),
        Measure::new("rate", files as f64 / took.as_secs_f64(), "files/s"),
        Measure::new("processor time a file", cpu as f64 * 1_000.0 / files as f64, "µs"),
        Measure::new("event pages asked for", looks as f64, ""),
    ]
}
