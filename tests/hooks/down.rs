//! A scanner that is down stops publishing and nothing else: a named state at once, and everything goes on when it is back.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use super::gate::{remote, rows, script};
use crate::support::clamd::{Clamd, is_installed};
use crate::support::{Bed, PATIENCE, until};

const FILES: usize = 400;

#[test]
fn what_waits_for_a_scanner_goes_on_by_itself_and_is_fetched_once() {
    if !is_installed() {
        return;
    }
    let bed = Bed::new();
    let cloud = bed.cloud();
    let dir = tempfile::tempdir().unwrap();
    let mut clamd = Clamd::start(dir.path(), &[]);
    bed.add_folder(&[]);
    let scanner = format!("clamd:{}", clamd.socket().display());
    bed.ok(&["add-hook", "clamav", "--scan", &scanner, "--match", "*.bin"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    clamd.kill();
    cloud.reset_counters();
    for number in 0..FILES {
        cloud.write(&remote(&format!("{number:04}.bin")), format!("content {number}").into_bytes()).unwrap();
    }
    let begun = Instant::now();
    until("the named state", || bed.is_degraded("scanner_down"));
    assert!(begun.elapsed().as_secs() < 30, "it is known at once, and not after a time limit for each file");
    // What it does not decide about goes on, and the rest is fetched meanwhile.
    cloud.write(&remote("free.txt"), b"not covered".to_vec()).unwrap();
    until("the file that is not covered", || bed.local().join("free.txt").exists());
    until("everything fetched", || cloud.count("content") == FILES as u64 + 1);
    let status = bed.ok(&["status"]);
    assert!(status.contains("clamav") && status.contains("cannot be reached"), "{status}");
    assert!(bed.ok(&["metrics"]).contains("folder_sync_scanner_down{hook=\"clamav\"} 1"));
    assert!(!bed.local().join("0000.bin").exists());
    let failed = rows(&bed, &["hook-runs", "--failed", "--json"]).len();
    assert!(failed < 80, "{failed} runs failed where one would have told");
    clamd.again();
    until("everything published", || (0..FILES).all(|number| bed.local().join(format!("{number:04}.bin")).exists()));
    bed.wait_in_sync(PATIENCE);
    assert!(!bed.is_degraded("scanner_down"));
    assert_eq!(cloud.count("content"), FILES as u64 + 1, "nothing was fetched twice");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_waits_for_a_scanner_is_not_fetched_again_after_a_restart() {
    if !is_installed() {
        return;
    }
    let bed = Bed::new();
    let cloud = bed.cloud();
    let dir = tempfile::tempdir().unwrap();
    let mut clamd = Clamd::start(dir.path(), &[]);
    bed.add_folder(&[]);
    bed.ok(&["add-hook", "clamav", "--scan", &format!("clamd:{}", clamd.socket().display())]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    clamd.kill();
    cloud.reset_counters();
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}.bin")).collect();
    for name in &names {
        cloud.write(&remote(name), format!("content of {name}").into_bytes()).unwrap();
    }
    cloud.write(&remote("bad.com"), crate::support::clamd::eicar()).unwrap();
    let waiting = || rows(&bed, &["problems", "--json"]).iter().filter(|row| row["code"] == "scanner_down").count();
    until("everything waits", || waiting() == 21);
    assert_eq!(cloud.count("content"), 21);
    agent.kill();
    // Somebody changes one of them meanwhile: that one is fetched again, and no other.
    let staging = bed.local().join(crate::support::RESERVED).join("staging");
    let victim = fs::read_dir(&staging)
        .unwrap()
        .flatten()
        .find(|entry| fs::read_to_string(entry.path()).is_ok_and(|content| content == "content of 07.bin"));
    fs::write(victim.unwrap().path(), "content of 7.bin!").unwrap();
    let agent = bed.start();
    until("the named state", || bed.is_degraded("scanner_down"));
    clamd.again();
    until("everything published", || names.iter().all(|name| bed.local().join(name).exists()));
    until("the bad one in quarantine", || {
        rows(&bed, &["quarantine", "list", "--json"]).iter().any(|row| row["state"] == "held")
    });
    for name in &names {
        assert_eq!(fs::read_to_string(bed.local().join(name)).unwrap(), format!("content of {name}"));
    }
    assert_eq!(cloud.count("content"), 22, "what was staged before the crash is used");
    assert!(!bed.local().join("bad.com").exists());
    assert_eq!(bed.ours("staging"), Vec::<String>::new());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_is_being_examined_at_a_kill_is_not_fetched_again() {
    const ASKED: usize = 12;
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let (gate, log) = (bed.dir.path().join("gate"), bed.dir.path().join("log"));
    let judge = script(
        &bed,
        "judge",
        &format!(
            "echo \"$AGENT_PATH\" >> {log}\nwhile [ ! -e {gate} ]; do sleep 0.1; done\n\
             grep -q bad $AGENT_FILE && exit 1\nexit 0",
            log = log.display(),
            gate = gate.display()
        ),
    );
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--run", &judge]);
    bed.ok(&["set-hook", "judge", &format!("concurrency={ASKED}")]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.reset_counters();
    let names: Vec<String> = (0..ASKED).map(|number| format!("{number:02}.txt")).collect();
    for name in &names {
        let content = if name == "03.txt" { "bad".to_owned() } else { format!("content of {name}") };
        cloud.write(&remote(name), content.into_bytes()).unwrap();
    }
    let asked = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    // That they wait is written down a moment after they are handed out.
    let notes = || -> BTreeMap<i64, String> {
        let conn = rusqlite::Connection::open(bed.home().join("state.db")).unwrap();
        let mut rows = conn.prepare("SELECT node, staged FROM staged").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    until("every file is being examined", || asked() == ASKED && notes().len() == ASKED);
    agent.kill();
    let before = notes();
    // Once more, with the agent killed before anything of it is decided anew; and somebody writes into one file meanwhile.
    let staging = bed.local().join(crate::support::RESERVED).join("staging");
    let victim = fs::read_dir(&staging)
        .unwrap()
        .flatten()
        .find(|entry| fs::read_to_string(entry.path()).is_ok_and(|content| content == "content of 07.txt"));
    let victim = victim.unwrap();
    fs::write(victim.path(), "content of 7.txt!").unwrap();
    let victim = victim.file_name().into_string().unwrap();
    let (&victim, stale) = before.iter().find(|(_, staged)| staged.contains(&victim)).expect("it was noted");
    let agent = bed.start();
    // The note of the file that was written to may be the old one until its new copy waits.
    until("every file is being examined again", || {
        let now = notes();
        asked() == 2 * ASKED && now.len() == ASKED && now[&victim] != *stale
    });
    agent.kill();
    assert_eq!(cloud.count("content"), ASKED as u64 + 1, "only what was written to is fetched again");
    fs::write(&gate, "").unwrap();
    let agent = bed.start();
    let published =
        |name: &String| fs::read_to_string(bed.local().join(name)).ok() == Some(format!("content of {name}"));
    until("everything that is allowed", || names.iter().filter(|name| published(name)).count() == ASKED - 1);
    until("the bad one in quarantine", || {
        rows(&bed, &["quarantine", "list", "--json"]).iter().any(|row| row["state"] == "held")
    });
    assert!(!bed.local().join("03.txt").exists());
    assert_eq!(cloud.count("content"), ASKED as u64 + 1, "nothing more was fetched");
    until("nothing is left in staging", || bed.ours("staging").is_empty());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_program_that_fails_is_tried_with_one_file_at_a_time() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let (works, log) = (bed.dir.path().join("works"), bed.dir.path().join("log"));
    let judge = script(&bed, "judge", &format!("echo x >> {}; [ -e {} ] || exit 2", log.display(), works.display()));
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--run", &judge]);
    bed.ok(&["set-hook", "judge", "concurrency=1"]);
    let agent = bed.start();
    for number in 0..20 {
        cloud.write(&remote(&format!("{number:02}.txt")), b"content".to_vec()).unwrap();
    }
    until("the named state", || bed.is_degraded("scanner_down"));
    assert_eq!(fs::read_dir(bed.local()).unwrap().count(), 1, "nothing but our own directory");
    fs::write(&works, "").unwrap();
    until("all of them", || (0..20).all(|number| bed.local().join(format!("{number:02}.txt")).exists()));
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count("content"), 20, "nothing was fetched twice");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn files_flow_while_another_is_being_examined() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let gate = bed.dir.path().join("gate");
    let judge = script(
        &bed,
        "judge",
        &format!("case $AGENT_PATH in slow*) while [ ! -e {} ]; do sleep 0.05; done;; esac", gate.display()),
    );
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--run", &judge]);
    let agent = bed.start();
    cloud.write(&remote("slow.txt"), b"slow".to_vec()).unwrap();
    until("the slow one being asked about", || !bed.ours("staging").is_empty());
    for number in 0..50 {
        cloud.write(&remote(&format!("{number:02}.txt")), b"content".to_vec()).unwrap();
    }
    until("all the others", || (0..50).all(|number| bed.local().join(format!("{number:02}.txt")).exists()));
    assert!(!bed.local().join("slow.txt").exists());
    fs::write(&gate, "").unwrap();
    until("the slow one", || bed.local().join("slow.txt").exists());
    assert_eq!(agent.stop(), Some(0));
}
