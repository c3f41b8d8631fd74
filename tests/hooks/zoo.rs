//! Scanners that harm more than one file: the agent ends all the same, and what they spoil heals.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::gate::{remote, script};
use crate::support::{Bed, PATIENCE, RESERVED, until};

fn add_judge(bed: &Bed, program: &str) {
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--run", program]);
}

#[test]
fn a_scanner_that_does_not_want_to_end_ends_with_the_agent() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let pid = bed.dir.path().join("pid");
    let judge = script(
        &bed,
        "judge",
        &format!("trap '' TERM INT HUP\necho $$ > {}\nwhile :; do sleep 0.1; done", pid.display()),
    );
    add_judge(&bed, &judge);
    let agent = bed.start();
    cloud.write(&remote("a.txt"), b"content".to_vec()).unwrap();
    let number = || fs::read_to_string(&pid).unwrap_or_default().trim().to_owned();
    until("the scanner", || !number().is_empty());
    let begun = Instant::now();
    assert_eq!(agent.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let process = Path::new("/proc").join(number());
    until("its end", || !fs::read_to_string(process.join("cmdline")).is_ok_and(|line| line.contains("judge")));
    assert!(!bed.local().join("a.txt").exists(), "nothing was allowed");
}

/// A small disk at a place; gone with this value.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn at(path: &'a Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(path).output();
        if made.is_ok_and(|made| made.status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped: nothing can be mounted here");
        None
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_scanner_that_fills_the_disk_holds_files_back_until_there_is_room() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    let local = bed.local();
    let Some(_disk) = SmallDisk::at(&local) else { return };
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "min_free=1 KiB"]);
    let fill = local.join(RESERVED).join("staging/fill");
    let judge = script(
        &bed,
        "judge",
        &format!("[ \"$AGENT_PATH\" = a.txt ] && cat /dev/zero > {} 2> /dev/null\nexit 0", fill.display()),
    );
    add_judge(&bed, &judge);
    let agent = bed.start();
    cloud.write(&remote("a.txt"), b"content".to_vec()).unwrap();
    until("the full disk", || fs::metadata(&fill).is_ok_and(|fill| fill.len() > 3 << 20));
    cloud.write(&remote("b.txt"), vec![b'b'; 64 << 10]).unwrap();
    until("the complaint", || bed.ok(&["problems"]).contains("b.txt") || bed.ok(&["status"]).contains("room"));
    assert!(!local.join("b.txt").exists());
    fs::remove_file(&fill).unwrap();
    until("both files", || ["a.txt", "b.txt"].iter().all(|name| local.join(name).exists()));
    assert_eq!(fs::read(local.join("b.txt")).unwrap(), vec![b'b'; 64 << 10]);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}
