//! SIGKILL at any moment: nothing half written is ever visible, and the next start ends in the same place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use folder_sync_agent::sandbox::{Bustle, Content};

use crate::support::{Bed, PATIENCE, REMOTE, RESERVED};

/// Kills in the short form; `AGENT_KILLS` asks for more.
const KILLS: u64 = 8;

/// Every size that a whole file of the first mirror can have. What is seen with another size was seen half written.
const SIZES: [u64; 4] = [0, 4_096, 70_000, 700_000];

/// Looks at every file that becomes visible until it is told to stop, and returns what it saw that should not be.
fn watch(root: std::path::PathBuf, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut wrong = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut todo = vec![root.clone()];
            while let Some(dir) = todo.pop() {
                let Ok(entries) = std::fs::read_dir(&dir) else { continue };
                for entry in entries.flatten() {
                    if entry.file_name() == RESERVED {
                        continue;
                    }
                    let Ok(meta) = entry.metadata() else { continue };
                    if meta.is_dir() {
                        todo.push(entry.path());
                    } else if !SIZES.contains(&meta.len()) {
                        wrong.push(format!("{}: {} bytes", entry.path().display(), meta.len()));
                    }
                }
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        wrong
    })
}

#[test]
fn killed_at_random_moments_it_ends_equal() {
    let kills = std::env::var("AGENT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let bed = Bed::new();
    let cloud = bed.cloud();
    for file in 0..400_u64 {
        cloud.mkdir_p(&format!("{REMOTE}/d{}", file % 20)).unwrap();
        let size = SIZES[(file % 4) as usize];
        cloud.write(&format!("{REMOTE}/d{}/f{file}", file % 20), Content::pattern(file, size)).unwrap();
    }
    bed.add_folder(&[]);
    // A long run deletes more than the brake lets pass unasked, and nobody is here to approve.
    bed.ok(&["set-folder", "inbox", "max_delete=off"]);
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = watch(bed.local(), Arc::clone(&stop));
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    // The first kills fall into the first mirror, whose files have known sizes.
    for _ in 0..kills / 2 {
        let agent = bed.start();
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::park_timeout(Duration::from_millis(60 + (chance >> 55)));
        agent.kill();
    }
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    agent.kill();
    stop.store(true, Ordering::Relaxed);
    assert_eq!(watcher.join().unwrap(), Vec::<String>::new(), "files seen half written");

    // The others fall among foreign changes.
    let mut bustle = Bustle::new(&cloud, REMOTE, 7).unwrap();
    for _ in 0..kills / 2 {
        let agent = bed.start();
        for _ in 0..25 {
            bustle.step().unwrap();
        }
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::park_timeout(Duration::from_millis(60 + (chance >> 55)));
        agent.kill();
    }
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.ours("staging"), Vec::<String>::new(), "no stray staging files");
    assert_eq!(bed.ours("parked"), Vec::<String>::new());
    assert_eq!(agent.stop(), Some(0));
}
