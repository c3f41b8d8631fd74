//! A restart looks at every file, at a cost that does not follow the number of directories; what was done meanwhile is not missed.

use std::fs;

use crate::support::{Bed, PATIENCE, REMOTE};

const FOLDERS: u64 = 300;

/// A folder that was in sync when the agent stopped.
fn stopped(mode: &str) -> Bed {
    let bed = Bed::new();
    for folder in 0..FOLDERS {
        let dir = format!("{REMOTE}/d{:02}/d{folder:03}", folder % 20);
        bed.cloud().mkdir_p(&dir).unwrap();
        for file in 0..3 {
            bed.cloud().write(&format!("{dir}/f{file}"), format!("{folder}-{file}").into_bytes()).unwrap();
        }
    }
    bed.add_folder(&["--mode", mode]);
    bed.ok(&["run", "--once"]);
    bed
}

/// Transactions of the running agent since its start.
pub(super) fn commits(bed: &Bed) -> u64 {
    let metrics = bed.ok(&["metrics"]);
    let line = metrics.lines().find(|line| !line.starts_with('#') && line.contains("store_commits")).unwrap();
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64
}

#[test]
fn many_directories_are_one_step() {
    let bed = stopped("mirror");
    bed.cloud().reset_counters();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let commits = commits(&bed);
    assert!(commits < FOLDERS / 4, "{commits} transactions for {FOLDERS} directories in which nothing changed");
    assert!(bed.cloud().count("folder_items") < 5, "nothing but what is verified from time to time is listed");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_was_done_meanwhile_is_found_in_any_of_many_directories() {
    let bed = stopped("two-way");
    let dir = |folder: u64| bed.local().join(format!("d{:02}/d{folder:03}", folder % 20));
    fs::write(dir(7).join("f0"), "7_0").unwrap();
    fs::write(dir(120).join("new"), "new").unwrap();
    fs::remove_file(dir(150).join("f1")).unwrap();
    // Two files change names, and a directory takes the place of another one.
    fs::rename(dir(200).join("f0"), dir(200).join("x")).unwrap();
    fs::rename(dir(200).join("f1"), dir(200).join("f0")).unwrap();
    fs::rename(dir(200).join("x"), dir(200).join("f1")).unwrap();
    fs::rename(dir(240), bed.local().join("x")).unwrap();
    fs::rename(dir(260), dir(240)).unwrap();
    fs::rename(bed.local().join("x"), dir(260)).unwrap();
    let ids = |cloud: &folder_sync_agent::sandbox::Cloud| {
        let tree = cloud.tree(REMOTE).unwrap();
        ["d00/d240", "d00/d260", "d00/d200/f0", "d00/d200/f1"].map(|path| tree[path].id.clone())
    };
    let [first, second, f0, f1] = ids(&bed.cloud());
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(ids(&bed.cloud()), [second, first, f1, f0], "what was renamed is renamed in the cloud");
    assert_eq!((bed.cloud().count("upload_version"), bed.cloud().count("upload_new")), (1, 1));
    assert_eq!(agent.stop(), Some(0));
}
