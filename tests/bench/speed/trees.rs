//! The rows of whole subtrees: another user trashes a folder with everything in it, or moves it into another folder.

use std::path::Path;
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::Content;

use crate::process::{cpu_ms, memory_kib};
use crate::row::{Arguments, Measure, Row};
use crate::support::{Bed, REMOTE, Running};

/// The rows.
pub const ROWS: &[Row] = &[
    Row { name: "trash-folder", what: "a folder is trashed in the cloud (--files, --folders)", measure: trash },
    Row {
        name: "restore-folder",
        what: "a trashed folder is restored in the cloud (--files, --folders)",
        measure: restored,
    },
    Row { name: "move-folder", what: "a folder is moved in the cloud (--files, --folders)", measure: moved },
];

const LONG: Duration = Duration::from_hours(1);
/// Since when what was mirrored is left alone before anything is done to it.
const SETTLED: Duration = Duration::from_secs(3);
/// Bytes of a file.
const BYTES: u64 = 64;

/// A mirror in sync: `project` with the files in it, spread over its folders, and `archive` beside it.
fn mirrored(files: u64, folders: u64) -> (Bed, Running) {
    let bed = Bed::new();
    let cloud = bed.cloud();
    for folder in 0..folders {
        cloud.mkdir_p(&format!("{REMOTE}/project/d{folder:04}")).unwrap();
    }
    cloud.mkdir_p(&format!("{REMOTE}/archive")).unwrap();
    for file in 0..files {
        let path = format!("{REMOTE}/project/d{:04}/f{file:07}.bin", file % folders);
        cloud.write(&path, Content::pattern(file + 1, BYTES)).unwrap();
    }
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "max_delete=off"]);
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    // What was written a moment ago is looked at once more when its directory moves.
    std::thread::park_timeout(SETTLED);
    (bed, agent)
}

/// Until `is_visible` on disk, until everything is settled, and what the processor had to do for it.
fn measured(bed: &Bed, agent: &Running, files: u64, is_visible: impl Fn(&Path) -> bool) -> Vec<Measure> {
    let cpu = cpu_ms(agent.pid());
    let begun = Instant::now();
    let local = bed.local();
    while !is_visible(&local) {
        assert!(begun.elapsed() < LONG, "waited in vain");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let visible = begun.elapsed();
    bed.wait_in_sync(LONG);
    let took = begun.elapsed();
    let cpu = cpu_ms(agent.pid()) - cpu;
    vec![
        Measure::new(format!("{files} files until it is visible on disk"), visible.as_secs_f64() * 1_000.0, "ms"),
        Measure::new("until in sync", took.as_secs_f64(), "s"),
        Measure::new("processor time a file", cpu as f64 * 1_000.0 / files as f64, "µs"),
        Measure::new("peak memory", memory_kib(agent.pid()).0 as f64 / 1_024.0, "MiB"),
    ]
}

fn sizes(arguments: &Arguments) -> (u64, u64) {
    let files = arguments.number("files", 50_000);
    (files, arguments.number("folders", files.div_ceil(100)))
}

fn trash(arguments: &Arguments) -> Vec<Measure> {
    let (files, folders) = sizes(arguments);
    let (bed, agent) = mirrored(files, folders);
    bed.cloud().trash(&format!("{REMOTE}/project")).unwrap();
    let measures = measured(&bed, &agent, files, |local| !local.join("project").exists());
    assert_eq!(agent.stop(), Some(0));
    measures
}

fn restored(arguments: &Arguments) -> Vec<Measure> {
    let (files, folders) = sizes(arguments);
    let (bed, agent) = mirrored(files, folders);
    let trashed = bed.cloud().trash(&format!("{REMOTE}/project")).unwrap();
    let local = bed.local();
    while local.join("project").exists() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    bed.wait_in_sync(LONG);
    bed.cloud().restore(&trashed).unwrap();
    let last = format!("project/d{:04}/f{:07}.bin", (files - 1) % folders, files - 1);
    let measures = measured(&bed, &agent, files, |local| local.join(&last).exists());
    assert_eq!(agent.stop(), Some(0));
    measures
}

fn moved(arguments: &Arguments) -> Vec<Measure> {
    let (files, folders) = sizes(arguments);
    let (bed, agent) = mirrored(files, folders);
    bed.cloud().move_to(&format!("{REMOTE}/project"), &format!("{REMOTE}/archive")).unwrap();
    let last = format!("archive/project/d{:04}/f{:07}.bin", (files - 1) % folders, files - 1);
    let measures = measured(&bed, &agent, files, |local| local.join(&last).exists());
    assert_eq!(agent.stop(), Some(0));
    measures
}
