//! One item's trouble on disk is one item's trouble: what does not fit, or may not be written, waits by itself with its name and reason.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use folder_sync_agent::sandbox::Content;

use crate::support::{Bed, PATIENCE, REMOTE, RESERVED, Running, until};

const MIB: u64 = 1 << 20;

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

/// A watched folder on a small disk of its own; unmounted with this value.
struct Small {
    bed: Bed,
}

impl Small {
    /// Nothing where filesystems cannot be mounted.
    fn new(mib: u64, mode: &str) -> Option<Self> {
        let bed = Bed::new();
        fs::create_dir(bed.local()).unwrap();
        let size = format!("size={mib}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(bed.local()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("skipped: no right to mount a small filesystem here");
            return None;
        }
        bed.add_folder(&["--mode", mode]);
        bed.ok(&["set-folder", "inbox", "min_free=0"]);
        Some(Self { bed })
    }

    /// Starts the agent, and waits until it answers.
    fn start(&self) -> Running {
        let agent = self.bed.start();
        until("the agent", || self.bed.status().is_some());
        agent
    }

    fn resize(&self, mib: u64) {
        let size = format!("remount,size={mib}m");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.bed.local()).status().unwrap().success());
    }

    fn problems(&self) -> serde_json::Value {
        serde_json::from_str(&self.bed.ok(&["problems", "--json"])).unwrap()
    }

    fn waits_for_room(&self, path: &str) -> bool {
        let problems = self.problems();
        let mut rows = problems["rows"].as_array().unwrap().iter();
        rows.any(|row| row["code"] == "no_room" && row["path"].as_str().is_some_and(|there| there.ends_with(path)))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.bed.local()).status();
    }
}

fn file(cloud: &folder_sync_agent::sandbox::Cloud, path: &str, seed: u64, mib: u64) {
    cloud.write(&remote(path), Content::pattern(seed, mib * MIB)).unwrap();
}

#[test]
fn a_file_larger_than_the_disk_waits_alone_and_the_rest_goes_on_both_ways() {
    for mode in ["two-way", "mirror"] {
        let Some(small) = Small::new(6, mode) else { return };
        let (bed, cloud) = (&small.bed, small.bed.cloud());
        cloud.mkdir_p(&remote("dir")).unwrap();
        file(&cloud, "dir/too-large", 3, 12);
        cloud.write(&remote("dir/a-small"), b"small".to_vec()).unwrap();
        let agent = small.start();
        until("the problem by its name", || small.waits_for_room("dir/too-large"));
        let text = bed.ok(&["problems"]);
        assert!(text.contains("bytes are free") && text.contains("make room"), "{text}");
        // Everything else, both ways, while it waits.
        until("the small file", || fs::read(bed.local().join("dir/a-small")).is_ok_and(|text| text == b"small"));
        cloud.write(&remote("later"), b"later".to_vec()).unwrap();
        until("what comes later", || bed.local().join("later").exists());
        if mode == "two-way" {
            fs::write(bed.local().join("dir/ours"), "ours").unwrap();
            until("the upload", || cloud.read(&remote("dir/ours")).is_ok());
        }
        until("the state", || bed.status().is_some_and(|status| status["folders"][0]["state"] == "problems"));
        let status = bed.status().unwrap();
        assert_eq!(status["in_sync"], false);
        assert_eq!(status["problems"], 1, "{}", bed.ok(&["problems"]));
        assert!(bed.ours("staging").is_empty(), "nothing of it is left: {:?}", bed.ours("staging"));
        let contents = cloud.count("content");
        assert_eq!(contents, 2, "what does not fit is not asked for");
        small.resize(64);
        until("the large file", || bed.local().join("dir/too-large").exists());
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn room_is_made_of_old_versions_and_never_of_the_last_days_nor_in_vain() {
    let Some(small) = Small::new(8, "mirror") else { return };
    let (bed, cloud) = (&small.bed, small.bed.cloud());
    bed.ok(&["set-folder", "inbox", "versions_max=7 MiB"]);
    file(&cloud, "changes", 1, 4);
    let agent = small.start();
    bed.wait_equal(PATIENCE);
    cloud.write(&remote("changes"), b"short now".to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(bed.ours("versions").len(), 1);
    file(&cloud, "next", 2, 5);
    until("the problem", || small.waits_for_room("next"));
    assert_eq!(bed.ours("versions").len(), 1, "what was superseded within a day stays");
    assert_eq!(agent.stop(), Some(0));
    // Two days go by.
    let database = bed.home().join("state.db");
    let conn = rusqlite::Connection::open(database).unwrap();
    assert_eq!(conn.execute("UPDATE version SET at = at - 2 * 86400000", []).unwrap(), 1);
    drop(conn);
    // What would not fit all the same takes nothing with it.
    file(&cloud, "huge", 4, 100);
    let agent = small.start();
    bed.ok(&["sync", "inbox"]);
    until("the file that fits then", || fs::metadata(bed.local().join("next")).is_ok_and(|file| file.len() == 5 * MIB));
    until("the other one's problem", || small.waits_for_room("huge"));
    assert!(!small.waits_for_room("next"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn nothing_is_given_up_for_what_would_not_fit_all_the_same() {
    let Some(small) = Small::new(8, "mirror") else { return };
    let (bed, cloud) = (&small.bed, small.bed.cloud());
    bed.ok(&["set-folder", "inbox", "versions_max=7 MiB"]);
    file(&cloud, "changes", 1, 4);
    let agent = small.start();
    bed.wait_equal(PATIENCE);
    cloud.write(&remote("changes"), b"short now".to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
    let conn = rusqlite::Connection::open(bed.home().join("state.db")).unwrap();
    conn.execute("UPDATE version SET at = at - 2 * 86400000", []).unwrap();
    drop(conn);
    file(&cloud, "huge", 4, 100);
    let agent = small.start();
    until("the problem", || small.waits_for_room("huge"));
    assert_eq!(bed.ours("versions").len(), 1, "8 MiB do not hold 100");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_is_to_stay_free_stays_free() {
    let Some(small) = Small::new(16, "mirror") else { return };
    let (bed, cloud) = (&small.bed, small.bed.cloud());
    bed.ok(&["set-folder", "inbox", "min_free=12 MiB"]);
    file(&cloud, "large", 1, 8);
    cloud.write(&remote("small"), b"small".to_vec()).unwrap();
    let agent = small.start();
    until("the problem", || small.waits_for_room("large"));
    until("the small file", || bed.local().join("small").exists());
    bed.ok(&["set-folder", "inbox", "min_free=1 MiB"]);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_destination_that_may_not_be_written_keeps_nothing_else() {
    const NO_RIGHTS: [&str; 2] = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];
    if !Command::new("setpriv").args(NO_RIGHTS).arg("true").status().is_ok_and(|status| status.success()) {
        println!("skipped: root's rights cannot be taken away here");
        return;
    }
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("closed")).unwrap();
    cloud.write(&remote("closed/old"), b"old".to_vec()).unwrap();
    let agent = bed.start_through("setpriv", &NO_RIGHTS);
    bed.wait_equal(PATIENCE);
    let closed = bed.local().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    cloud.write(&remote("closed/new"), b"new".to_vec()).unwrap();
    until("its problem", || bed.ok(&["problems"]).contains("closed/new"));
    cloud.write(&remote("open"), b"open".to_vec()).unwrap();
    fs::write(bed.local().join("ours"), "ours").unwrap();
    until("the rest", || bed.local().join("open").exists() && cloud.read(&remote("ours")).is_ok());
    assert_eq!(bed.status().unwrap()["problems"], 1, "{}", bed.ok(&["problems"]));
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

/// Mounts something over a directory until this goes away.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn over(at: &Path, args: &[&str]) -> Option<Self> {
        let mounted = Command::new("mount").args(args).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: no right to mount a filesystem here");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_mount_inside_the_folder_is_a_problem_of_its_directory_in_plain_words_and_stops_nothing_else() {
    for mode in ["two-way", "mirror"] {
        let bed = Bed::new();
        bed.add_folder(&["--mode", mode]);
        let cloud = bed.cloud();
        for dir in ["disk/deep", "bound", "other"] {
            cloud.mkdir_p(&remote(dir)).unwrap();
            cloud.write(&remote(&format!("{dir}/a")), b"a".to_vec()).unwrap();
        }
        let agent = bed.start();
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        cloud.reset_counters();
        let outside = tempfile::tempdir_in(bed.dir.path()).unwrap();
        fs::write(outside.path().join("theirs"), "theirs").unwrap();
        let Some(disk) = Mounted::over(&bed.local().join("disk"), &["-t", "tmpfs", "tmpfs"]) else { return };
        let bound = ["--bind", outside.path().to_str().unwrap()];
        let Some(bound) = Mounted::over(&bed.local().join("bound"), &bound) else { return };
        let problems = || bed.ok(&["problems"]);
        until("both by name", || {
            let problems = problems();
            problems.contains("a mount point is at `disk`") && problems.contains("a mount point is at `bound`")
        });
        cloud.write(&remote("disk/deep/a"), b"newer".to_vec()).unwrap();
        cloud.write(&remote("disk/new"), b"new".to_vec()).unwrap();
        cloud.write(&remote("bound/new"), b"new".to_vec()).unwrap();
        cloud.write(&remote("other/a"), b"newer".to_vec()).unwrap();
        fs::write(outside.path().join("more"), "more").unwrap();
        until("the rest", || fs::read(bed.local().join("other/a")).unwrap() == b"newer");
        if mode == "two-way" {
            fs::write(bed.local().join("other/ours"), "ours").unwrap();
            until("the way up", || cloud.read(&remote("other/ours")).is_ok());
        }
        bed.ok(&["sync", "inbox", "--full"]);
        until("the new ones' problems", || problems().contains("disk/new"));
        assert!(!problems().contains("cross-device"), "{}", problems());
        assert_eq!(cloud.count("file_delete") + cloud.count("folder_delete"), 0);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2, "nothing is written there");
        drop((disk, bound));
        bed.wait_equal(2 * PATIENCE);
        bed.wait_in_sync(PATIENCE);
        assert!(!bed.local().join(RESERVED).join("cookie-1").exists());
        assert_eq!(agent.stop(), Some(0));
    }
}
