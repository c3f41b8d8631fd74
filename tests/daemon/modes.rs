//! Another mode of a folder: what follows is shown first, and a person says yes, with and without a running agent.

use std::fs;

use crate::support::{Bed, PATIENCE, REMOTE, until};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

/// A mirror with something that only the disk has, something that was edited there, and something that is gone there.
fn drifted() -> Bed {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "on_drift=keep", "on_local_delete=accept", "max_delete=off"]);
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("docs")).unwrap();
    for name in ["docs/edited", "docs/gone", "untouched"] {
        cloud.write(&remote(name), name.as_bytes().to_vec()).unwrap();
    }
    bed.ok(&["run", "--once"]);
    fs::create_dir(bed.local().join("ours")).unwrap();
    fs::write(bed.local().join("ours/new"), "only here").unwrap();
    fs::write(bed.local().join("docs/edited"), "edited here").unwrap();
    fs::remove_file(bed.local().join("docs/gone")).unwrap();
    bed
}

fn mode(bed: &Bed) -> String {
    let listed: serde_json::Value = serde_json::from_str(&bed.ok(&["folders", "--json"])).unwrap();
    listed["rows"][0]["mode"].as_str().unwrap().to_owned()
}

fn shows_what_follows(text: &str) {
    let has = |action: &str, path: &str| {
        text.lines().any(|line| line.starts_with(action) && line.contains(path)) || panic!("{action} {path}: {text}")
    };
    assert!(has("upload", "ours/new") && has("make folder in the cloud", "ours") && has("read", "docs/edited"));
    assert!(has("trash in the cloud", "docs/gone"));
    assert!(!text.contains("untouched"), "{text}");
}

#[test]
fn another_mode_is_shown_first_and_taken_with_yes_without_an_agent() {
    let bed = drifted();
    let before = fs::read_to_string(bed.home().join("config.toml")).unwrap();
    let dry = bed.ok(&["set-folder", "inbox", "mode=two-way", "--dry-run"]);
    shows_what_follows(&dry);
    let unasked = bed.run(&["set-folder", "inbox", "mode=two-way"]);
    let text = String::from_utf8_lossy(&unasked.stdout).into_owned();
    assert_eq!(unasked.status.code(), Some(4), "{text}");
    shows_what_follows(&text);
    assert!(text.contains("--yes"), "{text}");
    assert_eq!(fs::read_to_string(bed.home().join("config.toml")).unwrap(), before, "nothing was changed");
    assert_eq!(mode(&bed), "mirror");

    bed.ok(&["set-folder", "inbox", "mode=two-way", "--yes"]);
    assert_eq!(mode(&bed), "two-way");
    assert!(bed.ok(&["held"]).contains("Nothing waits"));
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.cloud().read(&remote("docs/edited")).unwrap(), b"edited here");
    assert_eq!(bed.cloud().read(&remote("ours/new")).unwrap(), b"only here");
    assert!(bed.cloud().id_of(&remote("docs/gone")).is_err());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn another_mode_is_taken_by_a_running_agent() {
    let bed = drifted();
    let agent = bed.start();
    until("the agent", || bed.status().is_some());
    shows_what_follows(&bed.ok(&["set-folder", "inbox", "mode=two-way", "-n"]));
    bed.ok(&["set-folder", "inbox", "mode=two-way", "--yes"]);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(mode(&bed), "two-way");
    assert_eq!(bed.cloud().read(&remote("docs/edited")).unwrap(), b"edited here");
    // And back: the cloud decides again, and the disk's own is left alone.
    bed.ok(&["set-folder", "inbox", "mode=mirror", "on_drift=restore", "--yes"]);
    until("the mirror", || mode(&bed) == "mirror");
    fs::write(bed.local().join("ours/new"), "not for the cloud").unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(bed.cloud().read(&remote("ours/new")).unwrap(), b"only here");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_was_moved_on_disk_is_shown_as_moved() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "max_delete=off"]);
    let cloud = bed.cloud();
    for path in ["docs", "docs/deep", "photos"] {
        cloud.mkdir_p(&remote(path)).unwrap();
    }
    for path in ["docs/deep/report", "docs/letter", "photos/cat", "photos/dog", "plan"] {
        cloud.write(&remote(path), path.as_bytes().to_vec()).unwrap();
    }
    bed.ok(&["run", "--once"]);
    let at = |path: &str| bed.local().join(path);
    // A folder with something else that changed in it, a file into a new folder, and one that was replaced under its name.
    fs::rename(at("photos"), at("pictures")).unwrap();
    fs::rename(at("pictures/dog"), at("pictures/hound")).unwrap();
    fs::create_dir(at("new")).unwrap();
    fs::rename(at("docs/letter"), at("new/letter")).unwrap();
    fs::remove_dir_all(at("docs/deep")).unwrap();
    fs::rename(at("plan"), at("docs/plan")).unwrap();
    fs::write(at("plan"), "another").unwrap();
    let said = bed.ok(&["set-folder", "inbox", "mode=two-way", "--dry-run"]);
    let rows =
        said.lines().skip_while(|line| !line.starts_with("ACTION")).skip(1).take_while(|line| !line.starts_with(' '));
    let mut shown: Vec<String> = rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    shown.sort();
    let expected = [
        "make folder in the cloud new",
        "move in the cloud docs/letter → new/letter",
        "move in the cloud photos → pictures",
        "move in the cloud pictures/dog → pictures/hound",
        "read plan",
        "trash in the cloud docs/deep",
        "trash in the cloud docs/deep/report",
        "upload docs/plan 4 B",
    ];
    assert_eq!(shown, expected, "{said}");
}
