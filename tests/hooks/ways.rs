//! Every way of `src/hook/ways.rs`, with the EICAR test string and a real clamd behind its own protocol.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use folder_sync_agent::hook::ways::WAYS;
use serde_json::Value;

use super::gate::{remote, rows, script};
use crate::support::clamd::{Clamd, SIGNATURE, eicar, is_installed};
use crate::support::{Bed, PATIENCE, until};
use crate::web::{Raw, link};

/// A bed and a clamd that it asks.
struct Gated {
    bed: Bed,
    clamd: Clamd,
    _dir: tempfile::TempDir,
}

impl Gated {
    /// A bed, with a folder added so, whose hook is not added yet.
    fn new(folder: &[&str]) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let bed = Bed::new();
        let dir = tempfile::tempdir().unwrap();
        let clamd = Clamd::start(dir.path(), &[]);
        bed.add_folder(folder);
        Some(Self { bed, clamd, _dir: dir })
    }

    fn hook(&self, more: &[&str]) {
        let scanner = format!("clamd:{}", self.clamd.socket().display());
        let mut args = vec!["add-hook", "clamav", "--scan", &scanner];
        args.extend(more);
        self.bed.ok(&args);
    }

    /// The paths in quarantine.
    fn held(&self) -> BTreeSet<String> {
        let rows = rows(&self.bed, &["quarantine", "list", "--json"]);
        rows.iter().filter(|row| row["state"] == "held").map(|row| row["path"].as_str().unwrap().to_owned()).collect()
    }

    fn on_disk(&self) -> BTreeSet<String> {
        fn below(dir: &Path, top: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    below(&path, top, found);
                } else {
                    found.insert(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        below(&self.bed.local(), &self.bed.local(), &mut found);
        found.retain(|path| !path.starts_with(crate::support::RESERVED));
        found
    }

    fn in_cloud(&self) -> BTreeSet<String> {
        self.bed.cloud().tree(crate::support::REMOTE).unwrap().into_keys().collect()
    }

    /// Nothing of the test string is anywhere in the folder.
    fn assert_clean(&self) {
        let found = self.on_disk();
        let infected: Vec<_> =
            found.iter().filter(|path| fs::read(self.bed.local().join(path)).unwrap() == eicar()).collect();
        assert!(infected.is_empty(), "{infected:?}");
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_way_has_its_test() {
    let sources = ["gate.rs", "ways.rs"]
        .map(|name| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hooks").join(name)).unwrap());
    for way in WAYS {
        let test = format!("fn {}()", way.test);
        assert!(sources.iter().any(|source| source.contains(&test)), "{}: there is no {test}", way.what);
    }
}

#[test]
fn downloads_are_examined() {
    let Some(gated) = Gated::new(&[]) else { return };
    let (bed, cloud) = (&gated.bed, gated.bed.cloud());
    gated.hook(&[]);
    cloud.write(&remote("first.com"), eicar()).unwrap();
    cloud.write(&remote("promoted.txt"), eicar()).unwrap();
    let infected = cloud.versions(&remote("promoted.txt")).unwrap().last().unwrap().clone();
    cloud.write(&remote("promoted.txt"), b"clean".to_vec()).unwrap();
    cloud.write(&remote("new.txt"), b"clean".to_vec()).unwrap();
    let agent = bed.start();
    until("first.com in quarantine, the others on disk", || {
        gated.held() == set(&["first.com"]) && gated.on_disk() == set(&["new.txt", "promoted.txt"])
    });
    cloud.write(&remote("new.txt"), eicar()).unwrap();
    cloud.promote_version(&remote("promoted.txt"), &infected).unwrap();
    cloud.copy(&remote("first.com"), crate::support::REMOTE, Some("again.com")).unwrap();
    until("all of it in quarantine", || gated.held() == set(&["again.com", "first.com", "new.txt", "promoted.txt"]));
    assert_eq!(gated.on_disk(), set(&["new.txt", "promoted.txt"]), "what was there before stays");
    gated.assert_clean();
    let row = &rows(bed, &["quarantine", "list", "--json"])[0];
    assert!(row["reason"].as_str().unwrap().contains(SIGNATURE), "{row}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_was_rejected_is_not_restored() {
    let Some(gated) = Gated::new(&[]) else { return };
    let (bed, cloud) = (&gated.bed, gated.bed.cloud());
    cloud.write(&remote("kept.txt"), eicar()).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    // Kept locally before there was a scanner.
    cloud.write(&remote("kept.txt"), b"clean".to_vec()).unwrap();
    until("the clean version", || fs::read(bed.local().join("kept.txt")).is_ok_and(|found| found == b"clean"));
    gated.hook(&[]);
    cloud.write(&remote("a.txt"), b"clean".to_vec()).unwrap();
    until("the clean file", || bed.local().join("a.txt").exists());
    cloud.write(&remote("a.txt"), eicar()).unwrap();
    let infected = cloud.versions(&remote("a.txt")).unwrap();
    until("the rejected version", || gated.held() == set(&["a.txt"]));
    cloud.write(&remote("a.txt"), b"clean again".to_vec()).unwrap();
    until("the version after it", || fs::read(bed.local().join("a.txt")).is_ok_and(|found| found == b"clean again"));
    let path = |name: &str| bed.local().join(name).to_str().unwrap().to_owned();
    let refused = |args: &[&str], said: &str| {
        let output = bed.run(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    };
    let elsewhere = bed.dir.path().join("elsewhere").to_str().unwrap().to_owned();
    let inside = path("inside.txt");
    let rejected = infected.last().unwrap();
    for to in [&elsewhere, &inside] {
        refused(&["restore", &path("a.txt"), "--version", rejected, "--to", to], "was rejected by hook `clamav`");
        refused(&["restore", &path("kept.txt"), "--to", to], "clamav");
    }
    // What was never asked about is asked about now; what is clean is restored.
    let clean = &cloud.versions(&remote("a.txt")).unwrap()[0];
    bed.ok(&["restore", &path("a.txt"), "--version", clean, "--to", &elsewhere]);
    assert_eq!(fs::read(&elsewhere).unwrap(), b"clean");
    gated.assert_clean();
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn existing_files_are_examined() {
    let Some(gated) = Gated::new(&[]) else { return };
    let (bed, cloud) = (&gated.bed, gated.bed.cloud());
    // Equal on both sides before the agent ever looked.
    fs::create_dir_all(bed.local()).unwrap();
    fs::write(bed.local().join("adopted.com"), eicar()).unwrap();
    cloud.write(&remote("adopted.com"), eicar()).unwrap();
    cloud.write(&remote("later.com"), eicar()).unwrap();
    cloud.write(&remote("fine.txt"), b"fine".to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(gated.on_disk(), set(&["adopted.com", "fine.txt", "later.com"]));
    let told = bed.dir.path().join("told");
    let note = script(bed, "note", &format!("echo \"$AGENT_EVENT $AGENT_PATH\" >> {}", told.display()));
    bed.ok(&["add-hook", "note", "--when", "after", "--on", "file.infected", "--run", &note]);
    gated.hook(&[]);
    until("both in quarantine, and told of", || {
        gated.held() == set(&["adopted.com", "later.com"])
            && gated.on_disk() == set(&["fine.txt"])
            && fs::read_to_string(&told).unwrap_or_default().lines().count() == 2
    });
    let rows = rows(bed, &["quarantine", "list", "--json"]);
    assert!(rows.iter().all(|row| row["since"].is_i64()), "{rows:#?}");
    for row in &rows {
        let content = bed.home().join(format!("quarantine/{}.content", row["id"]));
        assert_eq!(fs::read(content).unwrap(), eicar());
    }
    assert_eq!(bed.ours("versions"), Vec::<String>::new(), "no copy stays in the folder");
    assert_eq!(gated.in_cloud(), set(&["adopted.com", "fine.txt", "later.com"]), "the cloud's copies are left alone");
    // A person lets one go: it comes back, and is not found again.
    let number = rows.iter().find(|row| row["path"] == "later.com").unwrap()["id"].to_string();
    bed.ok(&["quarantine", "release", &number, "--reason", "ours"]);
    until("the released file", || bed.local().join("later.com").exists());
    bed.ok(&["rescan"]);
    cloud.write(&remote("after.txt"), b"after".to_vec()).unwrap();
    until("the next file", || bed.local().join("after.txt").exists());
    assert!(bed.local().join("later.com").exists());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_covered_name_is_given_after_a_look() {
    let Some(gated) = Gated::new(&[]) else { return };
    let (bed, cloud) = (&gated.bed, gated.bed.cloud());
    gated.hook(&["--match", "*.com", "--match", "/inbox/"]);
    bed.ok(&["set-hook", "clamav", "scan_existing=false"]);
    for name in ["renamed.txt", "moved.txt", "safe/deep/below.txt", "fine.txt"] {
        if let Some((above, _)) = name.rsplit_once('/') {
            cloud.mkdir_p(&remote(above)).unwrap();
        }
        let content = if name == "fine.txt" { b"fine".to_vec() } else { eicar() };
        cloud.write(&remote(name), content).unwrap();
    }
    cloud.mkdir_p(&remote("inbox")).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(gated.on_disk().len(), 4, "no name is covered");
    cloud.rename(&remote("renamed.txt"), "renamed.com").unwrap();
    cloud.move_to(&remote("moved.txt"), &remote("inbox")).unwrap();
    cloud.rename(&remote("fine.txt"), "fine.com").unwrap();
    until("two in quarantine, one renamed", || {
        gated.held() == set(&["inbox/moved.txt", "renamed.com"])
            && gated.on_disk() == set(&["fine.com", "safe/deep/below.txt"])
    });
    cloud.move_to(&remote("safe"), &remote("inbox")).unwrap();
    until("what went along in quarantine", || gated.held().contains("inbox/safe/deep/below.txt"));
    until("the folder in its new place", || {
        bed.local().join("inbox/safe/deep").is_dir() && !bed.local().join("safe").exists()
    });
    assert_eq!(gated.on_disk(), set(&["fine.com"]));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_comes_in_from_elsewhere_is_examined() {
    let Some(gated) = Gated::new(&["--include", "*.txt"]) else { return };
    let (bed, cloud) = (&gated.bed, gated.bed.cloud());
    gated.hook(&[]);
    cloud.write(&remote("hidden.com"), eicar()).unwrap();
    cloud.mkdir_p("/Elsewhere/folder").unwrap();
    cloud.write("/Elsewhere/folder/in.txt", eicar()).unwrap();
    cloud.write("/Elsewhere/folder/ok.txt", b"fine".to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.move_to("/Elsewhere/folder", crate::support::REMOTE).unwrap();
    until("the folder", || gated.held() == set(&["folder/in.txt"]) && gated.on_disk() == set(&["folder/ok.txt"]));
    bed.ok(&["set-folder", "inbox", "include="]);
    until("what came into sight", || gated.held() == set(&["folder/in.txt", "hidden.com"]));
    assert_eq!(gated.on_disk(), set(&["folder/ok.txt"]));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_leaves_is_examined() {
    let Some(gated) = Gated::new(&[]) else { return };
    let bed = &gated.bed;
    gated.hook(&["--match", "!*.any", "--match", "*", "--match", "!*.any"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    // Only on disk, while the folder is a mirror.
    fs::write(bed.local().join("before.com"), eicar()).unwrap();
    fs::write(bed.local().join("before.txt"), "fine").unwrap();
    bed.ok(&["set-folder", "inbox", "mode=two-way", "--yes"]);
    let rejected = || -> BTreeSet<String> {
        let runs = rows(bed, &["hook-runs", "--failed", "--json"]);
        runs.iter()
            .filter(|run| run["event"] == "file.upload" && run["effect"] == "blocked")
            .map(|run| run["path"].as_str().unwrap().to_owned())
            .collect()
    };
    until("the mode's change, approved where it asks", || {
        for hold in rows(bed, &["held", "--json"]) {
            bed.run(&["approve", &hold["id"].to_string()]);
        }
        gated.in_cloud() == set(&["before.txt"]) && rejected().contains("before.com")
    });
    let outside = bed.dir.path().join("outside");
    fs::write(&outside, eicar()).unwrap();
    fs::write(bed.local().join("new.com"), eicar()).unwrap();
    fs::hard_link(&outside, bed.local().join("linked.com")).unwrap();
    fs::write(bed.local().join("before.txt"), eicar()).unwrap();
    fs::write(bed.local().join("plain.any"), eicar()).unwrap();
    until("all stopped but the name that is not covered", || {
        gated.in_cloud() == set(&["before.txt", "plain.any"])
            && rejected() == set(&["before.com", "before.txt", "linked.com", "new.com"])
    });
    fs::rename(bed.local().join("plain.any"), bed.local().join("plain.com")).unwrap();
    until("the name that is covered", || rejected().contains("plain.com") || rejected().contains("plain.any"));
    assert_eq!(gated.in_cloud(), set(&["before.txt", "plain.any"]));
    assert_eq!(bed.cloud().read(&remote("before.txt")).unwrap(), b"fine");
    fs::write(bed.local().join("new.com"), "harmless").unwrap();
    until("the clean one", || gated.in_cloud().contains("new.com"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_edit_keeps_its_name_until_something_may_be_published() {
    let Some(gated) = Gated::new(&["--mode", "two-way"]) else { return };
    let (bed, cloud) = (&gated.bed, gated.bed.cloud());
    gated.hook(&[]);
    cloud.write(&remote("a.txt"), b"one".to_vec()).unwrap();
    let agent = bed.start();
    until("the file", || bed.local().join("a.txt").exists());
    bed.wait_in_sync(PATIENCE);
    bed.ok(&["pause", "inbox"]);
    fs::write(bed.local().join("a.txt"), "mine").unwrap();
    cloud.write(&remote("a.txt"), eicar()).unwrap();
    bed.ok(&["resume", "inbox"]);
    until("the foreign version in quarantine", || gated.held() == set(&["a.txt"]));
    cloud.write(&remote("b.txt"), b"next".to_vec()).unwrap();
    until("the next file", || bed.local().join("b.txt").exists());
    assert_eq!(gated.on_disk(), set(&["a.txt", "b.txt"]));
    assert_eq!(fs::read(bed.local().join("a.txt")).unwrap(), b"mine");
    assert_eq!(cloud.read(&remote("a.txt")).unwrap(), eicar(), "the cloud's is not overwritten either");
    // Now there is something.
    cloud.write(&remote("a.txt"), b"theirs".to_vec()).unwrap();
    until("both", || {
        gated.on_disk().len() == 3 && fs::read(bed.local().join("a.txt")).is_ok_and(|text| text == b"theirs")
    });
    bed.wait_in_sync(PATIENCE);
    let copy = gated.on_disk().into_iter().find(|name| name.contains("conflicted copy")).unwrap();
    assert_eq!(fs::read(bed.local().join(&copy)).unwrap(), b"mine");
    assert!(gated.in_cloud().contains(&copy));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_is_found_later_leaves_the_folder() {
    let Some(mut gated) = Gated::new(&[]) else { return };
    gated.hook(&[]);
    let bed = &gated.bed;
    let cloud = bed.cloud();
    // Known to nobody yet.
    cloud.write(&remote("sleeper.txt"), b"a sleeping Zebra-7719".to_vec()).unwrap();
    cloud.write(&remote("fine.txt"), b"fine".to_vec()).unwrap();
    let agent = bed.start();
    until("both", || gated.on_disk() == set(&["fine.txt", "sleeper.txt"]));
    bed.wait_in_sync(PATIENCE);
    gated.clamd.kill();
    let hex = b"Zebra-7719".iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    gated.clamd.knows_too(&format!("Local.Zebra:0:*:{hex}"));
    gated.clamd.again();
    gated.bed.ok(&["rescan", gated.bed.local().to_str().unwrap()]);
    until("the sleeper in quarantine", || {
        gated.held() == set(&["sleeper.txt"]) && gated.on_disk() == set(&["fine.txt"])
    });
    let row: Value = rows(&gated.bed, &["quarantine", "list", "--json"])[0].clone();
    assert!(row["reason"].as_str().unwrap().contains("Local.Zebra"), "{row}");
    assert!(row["since"].is_i64(), "{row}");
    let shown = gated.bed.ok(&["quarantine", "show", &row["id"].to_string()]);
    assert!(shown.contains("in the folder since"), "{shown}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_was_rejected_is_not_put_back_by_the_page() {
    let Some(gated) = Gated::new(&["--mode", "two-way"]) else { return };
    let (bed, cloud) = (&gated.bed, gated.bed.cloud());
    cloud.write(&remote("kept.txt"), eicar()).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    // Kept locally before there was a scanner.
    cloud.write(&remote("kept.txt"), b"clean".to_vec()).unwrap();
    until("the clean version", || fs::read(bed.local().join("kept.txt")).is_ok_and(|found| found == b"clean"));
    gated.hook(&[]);
    let path = bed.local().join("kept.txt");
    let versions: Value = serde_json::from_str(&bed.ok(&["versions", path.to_str().unwrap(), "--json"])).unwrap();
    let kept = versions["rows"].as_array().unwrap().iter().find_map(|row| row["kept"].as_i64()).unwrap();
    let page = Raw::enter(&link(bed));
    let folder = page.get("/folder?name=inbox").body;
    let item =
        folder.split("/item?").skip(1).find(|part| part.split("</a>").next().unwrap().contains("kept.txt")).unwrap();
    let node = item.split("node=").nth(1).unwrap().split(['"', '&']).next().unwrap();
    let put_back = |said: &str| {
        let fields = format!("csrf={}&folder=inbox&node={node}&kept={kept}", page.csrf());
        let answer = page.form("/item/restore", &fields);
        assert_eq!(answer.status, 303, "{answer:?}");
        let shown = page.get(answer.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap()).body;
        assert!(shown.contains(said), "{shown}");
        assert_eq!(fs::read(&path).unwrap(), b"clean");
    };
    put_back("has it examined first");
    cloud.write(&remote("other.txt"), eicar()).unwrap();
    until("the same content in quarantine", || gated.held() == set(&["other.txt"]));
    put_back("rejected this content");
    gated.assert_clean();
    assert_eq!(agent.stop(), Some(0));
}
