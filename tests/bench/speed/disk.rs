//! The rows of the local disk: first mirror, and restart with nothing to do.

use std::fs;
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::Content;

use crate::limits;
use crate::process::{cpu_ms, memory_kib};
use crate::row::{Arguments, Measure, Row};
use crate::support::{Bed, REMOTE};

/// The rows.
pub const ROWS: &[Row] = &[
    Row { name: "first-mirror", what: "first mirror of small files (--files, --folders)", measure: first_mirror },
    Row { name: "restart", what: "restart with nothing to do (--files, --folders)", measure: restart },
];

/// Bytes of a small file.
const SMALL: u64 = 4_096;
const LONG: Duration = Duration::from_hours(1);
/// Restarts that are measured over one mirror.
const RESTARTS: usize = 5;

/// A bed with a cloud of small files.
pub fn bed(files: u64, folders: u64) -> Bed {
    let bed = Bed::new();
    fill(&bed, files, folders);
    bed
}

/// Small files for the cloud of a bed, spread over directories of two levels.
pub fn fill(bed: &Bed, files: u64, folders: u64) {
    let cloud = bed.cloud();
    for folder in 0..folders {
        cloud.mkdir_p(&format!("{REMOTE}/d{:02}/d{folder:05}", folder % 20)).unwrap();
    }
    for file in 0..files {
        let folder = file % folders;
        let path = format!("{REMOTE}/d{:02}/d{folder:05}/f{file:07}.bin", folder % 20);
        cloud.write(&path, Content::pattern(file + 1, SMALL)).unwrap();
    }
}

fn first_mirror(arguments: &Arguments) -> Vec<Measure> {
    let files = arguments.number("files", 10_000);
    let folders = arguments.number("folders", files.div_ceil(100));
    let bed = bed(files, folders);
    bed.add_folder(&[]);
    bed.cloud().reset_counters();
    let begun = Instant::now();
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    let took = begun.elapsed();
    let cpu = cpu_ms(agent.pid());
    let (peak, now) = memory_kib(agent.pid());
    let calls = bed.cloud().api_calls();
    assert_eq!(agent.stop(), Some(0));
    let size_of = |name: &str| fs::metadata(bed.home().join(name)).map_or(0, |file| file.len());
    let loops = limits::durable_files(&bed.dir.path().join("loop"), files, folders, SMALL as usize);
    let copy = limits::copied(&bed.local(), &bed.dir.path().join("copy"));
    let each = |total: f64| total / files as f64;
    vec![
        Measure::new(format!("{files} x 4 KiB in {folders} folders"), took.as_secs_f64(), "s")
            .against("create + fsync + rename by 16 threads", loops.as_secs_f64()),
        Measure::new("the same", took.as_secs_f64(), "s").against("`cp -r` + `sync -f`", copy.as_secs_f64()),
        Measure::new("rate", files as f64 / took.as_secs_f64(), "files/s"),
        Measure::new("processor time a file", each(cpu as f64 * 1_000.0), "µs"),
        Measure::new("API calls a file", each(calls as f64), ""),
        Measure::new("database a file", each(size_of("state.db") as f64), "bytes"),
        Measure::new("peak memory", peak as f64 / 1_024.0, "MiB"),
        Measure::new("memory in sync", now as f64 / 1_024.0, "MiB"),
    ]
}

fn restart(arguments: &Arguments) -> Vec<Measure> {
    let files = arguments.number("files", 100_000);
    let folders = arguments.number("folders", files.div_ceil(100));
    let bed = bed(files, folders);
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    assert_eq!(agent.stop(), Some(0));
    let mut runs: Vec<(f64, u64, u64)> = (0..RESTARTS)
        .map(|_| {
            let begun = Instant::now();
            let agent = bed.start();
            bed.wait_in_sync(LONG);
            let took = begun.elapsed().as_secs_f64();
            let figures = (took, cpu_ms(agent.pid()), memory_kib(agent.pid()).0);
            assert_eq!(agent.stop(), Some(0));
            figures
        })
        .collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (took, cpu, peak) = runs[RESTARTS / 2];
    let begun = Instant::now();
    let find = std::process::Command::new("find").arg(bed.local()).args(["-printf", "%s"]).output().unwrap();
    assert!(find.status.success());
    vec![
        Measure::new(format!("{files} files in {folders} folders until in sync"), took, "s")
            .against("`find -printf %s`", begun.elapsed().as_secs_f64()),
        Measure::new("processor time a file", cpu as f64 * 1_000.0 / files as f64, "µs"),
        Measure::new("peak memory", peak as f64 / 1_024.0, "MiB"),
    ]
}
