//! Nothing becomes visible that a `before` hook has not allowed: the real agent, a real clamd, a real quarantine.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use notify::{RecursiveMode, Watcher};
use serde_json::Value;

use crate::support::clamd::{Clamd, SIGNATURE, eicar, is_installed};
use crate::support::{Bed, PATIENCE, REMOTE, RESERVED, until};

pub fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

/// A program of the test's own.
pub fn script(bed: &Bed, name: &str, text: &str) -> String {
    let path = bed.dir.path().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

pub fn rows(bed: &Bed, args: &[&str]) -> Vec<Value> {
    let document: Value = serde_json::from_str(&bed.ok(args)).unwrap();
    document["rows"].as_array().unwrap().clone()
}

fn add_clamd(bed: &Bed, clamd: &Clamd) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/hooks/clamd-scan");
    bed.ok(&[
        "add-hook",
        "clamav",
        "--when",
        "before",
        "--on",
        "file.download",
        "--run",
        program.to_str().unwrap(),
        "--socket",
        clamd.socket().to_str().unwrap(),
    ]);
}

/// Everything that was ever to be seen in a directory: by looking all the time, and by what the system reports.
struct Witness {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<PathBuf>>>,
    looker: Option<std::thread::JoinHandle<()>>,
    watcher: Option<notify::RecommendedWatcher>,
}

impl Witness {
    fn new(dir: &Path) -> Self {
        let seen: Arc<Mutex<BTreeSet<PathBuf>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&seen);
        let ours = dir.join(RESERVED);
        let is_ours = move |path: &Path| path.starts_with(&ours);
        let ignored = is_ours.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let paths = event.unwrap().paths;
            told.lock().unwrap().extend(paths.into_iter().filter(|path| !ignored(path)));
        })
        .unwrap();
        watcher.watch(dir, RecursiveMode::Recursive).unwrap();
        let looker = {
            let (dir, seen, stop) = (dir.to_owned(), Arc::clone(&seen), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut todo = vec![dir.clone()];
                    while let Some(dir) = todo.pop() {
                        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                            let path = entry.path();
                            if is_ours(&path) {
                                continue;
                            }
                            if path.is_dir() {
                                todo.push(path.clone());
                            }
                            seen.lock().unwrap().insert(path);
                        }
                    }
                }
            })
        };
        Self { stop, seen, looker: Some(looker), watcher: Some(watcher) }
    }

    fn names(mut self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.looker.take().unwrap().join().unwrap();
        drop(self.watcher.take());
        let seen = self.seen.lock().unwrap();
        seen.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }
}

#[test]
fn an_infected_file_is_never_seen_and_lands_in_quarantine() {
    if !is_installed() {
        return;
    }
    let bed = Bed::new();
    let cloud = bed.cloud();
    let clamd_dir = tempfile::tempdir().unwrap();
    let clamd = Clamd::start(clamd_dir.path(), &[]);
    bed.add_folder(&[]);
    add_clamd(&bed, &clamd);
    let witness = Witness::new(&bed.local());
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.write(&remote("clean.txt"), b"nothing to see".to_vec()).unwrap();
    cloud.write(&remote("infected.com"), eicar()).unwrap();
    cloud.write(&remote("later.txt"), b"the rest goes on".to_vec()).unwrap();
    until("the clean files and a quarantine", || {
        bed.local().join("later.txt").exists()
            && bed.local().join("clean.txt").exists()
            && rows(&bed, &["quarantine", "list", "--json"]).iter().any(|row| row["state"] == "held")
    });

    let row = &rows(&bed, &["quarantine", "list", "--json"])[0];
    assert_eq!((row["path"].as_str(), row["hook"].as_str()), (Some("infected.com"), Some("clamav")));
    assert!(row["reason"].as_str().unwrap().contains(SIGNATURE), "{row}");
    let content = bed.home().join(format!("quarantine/{}.content", row["id"]));
    assert_eq!(fs::read(&content).unwrap(), eicar());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&content), mode(&bed.home().join("quarantine"))), (0o600, 0o700));
    let runs = rows(&bed, &["hook-runs", "--failed", "--json"]);
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!((runs[0]["verdict"].as_str(), runs[0]["effect"].as_str()), (Some("reject"), Some("quarantined")));
    assert!(runs[0]["output"].as_str().unwrap().contains(SIGNATURE));
    let problems = bed.ok(&["problems"]);
    assert!(problems.contains("infected.com") && problems.contains(SIGNATURE), "{problems}");
    let status = bed.status().unwrap();
    assert_eq!(status["in_sync"], false, "a file that is missing is never called in sync");

    // A restart neither fetches it again nor forgets it.
    assert_eq!(agent.stop(), Some(0));
    cloud.reset_counters();
    let agent = bed.start();
    cloud.write(&remote("after.txt"), b"after".to_vec()).unwrap();
    until("the file after the restart", || bed.local().join("after.txt").exists());
    assert_eq!(cloud.count("content"), 1, "the rejected version is not fetched again");

    // A clean version heals.
    cloud.write(&remote("infected.com"), b"harmless now".to_vec()).unwrap();
    until("the clean version", || bed.local().join("infected.com").exists());
    bed.wait_in_sync(PATIENCE);
    assert_eq!(fs::read(bed.local().join("infected.com")).unwrap(), b"harmless now");
    let seen = witness.names();
    assert!(seen.contains("clean.txt") && seen.contains("infected.com"), "{seen:?}");
    assert_eq!(agent.stop(), Some(0));
    let bad: Vec<_> = fs::read_dir(bed.local().join(RESERVED).join("staging")).unwrap().collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn what_is_rejected_is_never_visible_at_any_moment() {
    if !is_installed() {
        return;
    }
    let bed = Bed::new();
    let cloud = bed.cloud();
    let clamd_dir = tempfile::tempdir().unwrap();
    let clamd = Clamd::start(clamd_dir.path(), &[]);
    // Already there when the folder is added, and arriving while it is watched.
    cloud.write(&remote("first.com"), eicar()).unwrap();
    cloud.write(&remote("first.txt"), b"1".to_vec()).unwrap();
    bed.add_folder(&[]);
    add_clamd(&bed, &clamd);
    let witness = Witness::new(&bed.local());
    let agent = bed.start();
    until("the first file", || bed.local().join("first.txt").exists());
    cloud.mkdir_p(&remote("deep")).unwrap();
    cloud.write(&remote("deep/second.com"), eicar()).unwrap();
    cloud.write(&remote("deep/second.txt"), b"2".to_vec()).unwrap();
    until("both in quarantine", || rows(&bed, &["quarantine", "list", "--json"]).len() == 2);
    until("the second file", || bed.local().join("deep/second.txt").exists());
    // A rename of what is in quarantine does not bring it back either.
    cloud.rename(&remote("first.com"), "renamed.com").unwrap();
    cloud.write(&remote("last.txt"), b"3".to_vec()).unwrap();
    until("the last file", || bed.local().join("last.txt").exists());
    assert_eq!(agent.stop(), Some(0));
    let seen = witness.names();
    for visible in ["first.txt", "second.txt", "last.txt", "deep"] {
        assert!(seen.contains(visible), "{visible} in {seen:?}");
    }
    for hidden in ["first.com", "second.com", "renamed.com"] {
        assert!(!seen.contains(hidden), "{hidden} in {seen:?}");
    }
}

#[test]
fn a_scanner_that_dies_holds_files_back_until_it_lives() {
    if !is_installed() {
        return;
    }
    let bed = Bed::new();
    let cloud = bed.cloud();
    let clamd_dir = tempfile::tempdir().unwrap();
    let mut clamd = Clamd::start(clamd_dir.path(), &[]);
    bed.add_folder(&[]);
    add_clamd(&bed, &clamd);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    clamd.freeze();
    cloud.write(&remote("held.txt"), b"waits for the scanner".to_vec()).unwrap();
    until("the question", || clamd.is_asked());
    assert!(!bed.local().join("held.txt").exists());
    clamd.kill();
    until("a failed run", || !rows(&bed, &["hook-runs", "--failed", "--json"]).is_empty());
    let run = &rows(&bed, &["hook-runs", "--failed", "--json"])[0];
    assert_eq!((run["verdict"].as_str(), run["effect"].as_str()), (Some("error"), Some("blocked")));
    assert!(!bed.local().join("held.txt").exists());
    assert!(bed.ok(&["problems"]).contains("hook `clamav` failed"));
    clamd.again();
    until("the file that was held", || bed.local().join("held.txt").exists());
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count("content"), 1, "it was kept meanwhile, not fetched again");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn people_release_delete_and_rescan() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    for name in ["a.bad", "b.bad", "c.bad"] {
        cloud.write(&remote(name), name.as_bytes().to_vec()).unwrap();
    }
    bed.add_folder(&[]);
    let verdict = bed.dir.path().join("verdict");
    fs::write(&verdict, "1").unwrap();
    let judge = script(&bed, "judge", &format!("echo looks bad; exit $(cat {})", verdict.display()));
    bed.ok(&[
        "add-hook",
        "judge",
        "--when",
        "before",
        "--on",
        "file.*",
        "--match",
        "*.bad",
        "--remember",
        "1h",
        "--run",
        &judge,
    ]);
    let agent = bed.start();
    let held = || rows(&bed, &["quarantine", "list", "--json"]);
    until("three in quarantine", || held().iter().filter(|row| row["state"] == "held").count() == 3);
    let number =
        |path: &str| held().iter().find(|row| row["path"] == path).map(|row| row["id"].to_string()).unwrap_or_default();
    let (a, b, c) = (number("a.bad"), number("b.bad"), number("c.bad"));

    bed.ok(&["quarantine", "release", &a, "--reason", "it is a sample of ours"]);
    until("the released file", || bed.local().join("a.bad").exists());
    let shown = bed.ok(&["quarantine", "show", &a]);
    assert!(shown.contains("released") && shown.contains("it is a sample of ours"), "{shown}");

    bed.ok(&["quarantine", "delete", &b]);
    until("the deleted content", || !bed.home().join(format!("quarantine/{b}.content")).exists());
    assert!(!bed.run(&["quarantine", "release", &b, "--reason", "x"]).status.success(), "its content is gone");

    // The remembered verdict does not count for a rescan.
    fs::write(&verdict, "0").unwrap();
    bed.ok(&["quarantine", "rescan", &c]);
    until("the file that was found clean", || bed.local().join("c.bad").exists());
    assert!(!bed.local().join("b.bad").exists());
    assert_eq!(held(), Vec::<Value>::new());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_passes_by_policy_passes_by_a_remembered_verdict_as_well() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&remote("a.txt"), b"the same".to_vec()).unwrap();
    bed.add_folder(&[]);
    let judge = script(&bed, "judge", "echo looks bad; exit 1");
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--remember", "1h", "--run", &judge]);
    bed.ok(&["set-hook", "judge", "on_reject=allow"]);
    let agent = bed.start();
    until("the file that passes by policy", || bed.local().join("a.txt").exists());
    cloud.write(&remote("b.txt"), b"the same".to_vec()).unwrap();
    until("the one that passes by what is remembered", || bed.local().join("b.txt").exists());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn several_hooks_decide_in_order_and_a_guest_that_alters_the_file_publishes_nothing_of_it() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let log = bed.dir.path().join("log");
    let note = |name: &str, then: &str| {
        script(&bed, name, &format!("echo {name} \"$AGENT_PATH\" >> {}\n{then}", log.display()))
    };
    let (one, two) = (note("one", "exit 0"), note("two", "[ \"$AGENT_PATH\" != no.txt ]"));
    // Once, so that what it spoilt is fetched again and passes.
    let spoilt = bed.dir.path().join("spoilt");
    let vandal = note(
        "vandal",
        &format!(
            "[ -e {0}-$AGENT_PATH ] && exit 0; : > {0}-$AGENT_PATH\ncase $AGENT_PATH in\ncut*) rm \"$AGENT_FILE\";;\n\
                  more*) echo more >> \"$AGENT_FILE\";;\nesac",
            spoilt.display()
        ),
    );
    for (name, program) in [("one", &one), ("two", &two), ("vandal", &vandal)] {
        bed.ok(&["add-hook", name, "--when", "before", "--on", "file.download", "--run", program]);
    }
    let agent = bed.start();
    for name in ["yes.txt", "no.txt", "cut.txt", "more.txt"] {
        cloud.write(&remote(name), format!("content of {name}").into_bytes()).unwrap();
    }
    for name in ["yes.txt", "cut.txt", "more.txt"] {
        until(name, || bed.local().join(name).exists());
        assert_eq!(fs::read_to_string(bed.local().join(name)).unwrap(), format!("content of {name}"));
    }
    until("a quarantine", || rows(&bed, &["quarantine", "list", "--json"]).len() == 1);
    assert!(!bed.local().join("no.txt").exists());
    let log = fs::read_to_string(&log).unwrap();
    let of = |path: &str| log.lines().filter(|line| line.ends_with(path)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(of("yes.txt"), ["one yes.txt", "two yes.txt", "vandal yes.txt"]);
    assert_eq!(of("no.txt"), ["one no.txt", "two no.txt"]);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn the_clouds_copy_goes_where_the_settings_say() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p("/Quarantine").unwrap();
    bed.add_folder(&[]);
    let judge = script(&bed, "judge", "exit 1");
    for (name, remote) in
        [("trash", "trash"), ("move", "move:/Quarantine"), ("leave", "leave"), ("lost", "move:/Nowhere")]
    {
        let pattern = format!("*.{name}");
        bed.ok(&["add-hook", name, "--when", "before", "--on", "file.download", "--match", &pattern, "--run", &judge]);
        bed.ok(&["set-hook", name, &format!("quarantine_remote={remote}")]);
    }
    let agent = bed.start();
    for name in ["a.trash", "a.move", "a.leave", "a.lost"] {
        cloud.write(&remote(name), name.as_bytes().to_vec()).unwrap();
    }
    let names = |path: &str| cloud.tree(path).unwrap().into_keys().collect::<Vec<_>>();
    until("the cloud's copies", || names(REMOTE) == ["a.leave", "a.lost"] && names("/Quarantine") == ["a.move"]);
    until("all in quarantine", || {
        rows(&bed, &["quarantine", "list", "--json"]).iter().filter(|row| row["state"] == "held").count() == 4
    });
    until("the report of what could not be moved", || bed.log().contains("quarantine_remote"));
    // Nothing of it is an echo that leads to anything more.
    cloud.write(&remote("after.txt"), b"after".to_vec()).unwrap();
    until("the file after it", || bed.local().join("after.txt").exists());
    let runs = rows(&bed, &["hook-runs", "--json"]);
    assert_eq!(runs.len(), 4, "{runs:#?}");
    // What only waits for a person says so.
    let waited = bed.run(&["wait", "--timeout", "30s"]);
    assert_eq!(waited.status.code(), Some(4), "{}", String::from_utf8_lossy(&waited.stderr));
    let why = bed.ok(&["why", bed.local().join("a.leave").to_str().unwrap()]);
    assert!(why.contains("`leave` on file.download: reject, quarantined"), "{why}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_crash_in_the_middle_of_a_verdict_publishes_nothing_and_asks_again() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let (asked, gate) = (bed.dir.path().join("asked"), bed.dir.path().join("gate"));
    let judge = script(
        &bed,
        "judge",
        &format!("echo $$ >> {}; while [ ! -e {} ]; do sleep 0.05; done", asked.display(), gate.display()),
    );
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--run", &judge]);
    let agent = bed.start();
    cloud.write(&remote("a.txt"), b"content".to_vec()).unwrap();
    let calls = || fs::read_to_string(&asked).unwrap_or_default().lines().count();
    until("the question", || calls() == 1);
    agent.kill();
    assert!(!bed.local().join("a.txt").exists());
    let agent = bed.start();
    until("the question, once more", || calls() == 2);
    assert!(!bed.local().join("a.txt").exists());
    fs::write(&gate, "").unwrap();
    until("the file", || bed.local().join("a.txt").exists());
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.ours("staging"), Vec::<String>::new());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_is_no_longer_in_the_cloud_is_not_released_and_quarantine_ends_by_itself() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let judge = script(&bed, "judge", "exit 1");
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--run", &judge]);
    bed.ok(&["set-hook", "judge", "quarantine_remote=trash", "quarantine_keep=1s"]);
    let agent = bed.start();
    cloud.write(&remote("a.bad"), b"bad".to_vec()).unwrap();
    until("the quarantine, and the trash", || {
        rows(&bed, &["quarantine", "list", "--json"]).iter().any(|row| row["state"] == "held")
            && cloud.tree(REMOTE).unwrap().is_empty()
    });
    bed.wait_in_sync(PATIENCE);
    let refused = bed.run(&["quarantine", "release", "1", "--reason", "mine"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no longer has this version"), "{refused:?}");
    let content = bed.home().join("quarantine/1.content");
    assert_eq!(fs::read(&content).unwrap(), b"bad", "the only copy here stays");
    assert_eq!(agent.stop(), Some(0));
    until("the end of its time", || {
        // What is over is looked for when an agent starts, and every few minutes.
        bed.ok(&["run", "--once"]);
        !content.exists()
    });
    assert_eq!(rows(&bed, &["quarantine", "list", "--all", "--json"])[0]["state"], "expired");
}

#[test]
fn nothing_leaves_for_the_cloud_that_a_hook_has_not_allowed() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&["--mode", "two-way"]);
    let judge = script(&bed, "judge", "! grep -q secret \"$AGENT_FILE\"");
    bed.ok(&["add-hook", "dlp", "--when", "before", "--on", "file.upload", "--run", &judge]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    fs::write(bed.local().join("plans.txt"), "secret plans").unwrap();
    fs::write(bed.local().join("public.txt"), "for everybody").unwrap();
    let names = || cloud.tree(REMOTE).unwrap().into_keys().collect::<Vec<_>>();
    until("the upload, and the refusal", || {
        names() == ["public.txt"] && !rows(&bed, &["hook-runs", "--failed", "--json"]).is_empty()
    });
    let run = &rows(&bed, &["hook-runs", "--failed", "--json"])[0];
    assert_eq!((run["event"].as_str(), run["effect"].as_str()), (Some("file.upload"), Some("blocked")));
    assert_eq!(fs::read_to_string(bed.local().join("plans.txt")).unwrap(), "secret plans", "it stays here");
    fs::write(bed.local().join("plans.txt"), "open plans").unwrap();
    until("the other content", || names() == ["plans.txt", "public.txt"]);
    assert_eq!(agent.stop(), Some(0));
}
