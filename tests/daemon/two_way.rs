//! A two-way folder by the real process: both sides change at once, and the process is killed in between.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Bed, PATIENCE, REMOTE, RESERVED};

/// Rounds of changes, each ended by a kill, in the short form; `AGENT_ROUNDS` asks for more.
const ROUNDS: u64 = 3;
/// Changes in one round.
const CHANGES: u64 = 12;

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

/// Every content on disk, also what is in our own directory.
fn contents(dir: &Path, found: &mut BTreeSet<Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            contents(&path, found);
        } else if let Ok(content) = fs::read(&path) {
            found.insert(content);
        }
    }
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn files(root: &Path) -> Vec<PathBuf> {
    let tree = crate::support::read_tree(root);
    tree.into_iter().filter(|(_, hash)| hash != "folder").map(|(path, _)| PathBuf::from(path)).collect()
}

#[test]
fn both_sides_change_at_once_and_the_process_is_killed_and_nothing_is_lost() {
    let rounds = std::env::var("AGENT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let bed = two_way();
    bed.ok(&["set-folder", "inbox", "max_delete=off"]);
    let cloud = bed.cloud();
    let mut chance = Chance(17);
    let mut written: BTreeSet<Vec<u8>> = BTreeSet::new();
    let names = ["a", "b", "c", "d/a", "d/b", "e/a"];
    for dir in ["d", "e"] {
        cloud.mkdir_p(&remote(dir)).unwrap();
        fs::create_dir_all(bed.local().join(dir)).unwrap();
    }
    for round in 0..rounds {
        let agent = bed.start();
        for change in 0..CHANGES {
            let name = names[chance.below(names.len() as u64) as usize];
            let content = format!("{round}.{change} {}", chance.below(1 << 30)).into_bytes();
            let there = files(&bed.local());
            match chance.below(10) {
                0..4 => {
                    let path = bed.local().join(name);
                    // What somebody overwrites himself is his to lose.
                    if let Ok(old) = fs::read(&path) {
                        written.remove(&old);
                    }
                    if fs::write(&path, &content).is_ok() {
                        written.insert(content);
                    }
                }
                4..7 => {
                    let _ = cloud.write(&remote(name), content);
                }
                7 => {
                    if let Some(path) = there.first() {
                        let path = bed.local().join(path);
                        if let Ok(old) = fs::read(&path) {
                            written.remove(&old);
                        }
                        let _ = fs::remove_file(path);
                    }
                }
                8 => {
                    let _ = cloud.trash(&remote(name));
                }
                _ => {
                    if let Some(path) = there.last() {
                        let _ = fs::rename(bed.local().join(path), bed.local().join(format!("r{round}.{change}")));
                    }
                }
            }
            std::thread::park_timeout(Duration::from_millis(chance.below(300)));
        }
        agent.kill();
    }
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    bed.wait_equal(PATIENCE);
    let mut found = BTreeSet::new();
    contents(&bed.local(), &mut found);
    assert!(bed.local().join(RESERVED).exists());
    // The cloud keeps former versions of what it has; what is only there counts by its digest.
    let lost: Vec<String> = written
        .difference(&found)
        .map(|content| String::from_utf8_lossy(content).into_owned())
        .filter(|content| !cloud.keeps(&crate::support::sha1_of(content.as_bytes())))
        .collect();
    assert_eq!(lost, Vec::<String>::new());
    assert_eq!(agent.stop(), Some(0));
}
