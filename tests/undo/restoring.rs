//! `agent versions` and `agent restore`.

use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

/// A file that was replaced twice.
fn replaced_twice(bed: &Bed, above: &str) {
    for text in ["first", "second", "third"] {
        bed.cloud().write(&format!("{above}/report.txt"), text.as_bytes().to_vec()).unwrap();
        bed.ok(&["run", "--once"]);
    }
}

fn versions(bed: &Bed, more: &[&str]) -> serde_json::Value {
    let mut args = vec!["versions", "inbox/report.txt", "--json"];
    args.extend(more);
    serde_json::from_str(&bed.ok(&args)).unwrap()
}

fn read(bed: &Bed, path: &str) -> String {
    std::fs::read_to_string(bed.dir.path().join(path)).unwrap()
}

#[test]
fn what_was_replaced_is_listed_and_comes_back_from_the_version_store() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    replaced_twice(&bed, REMOTE);
    let report = versions(&bed, &[]);
    let states: Vec<&str> =
        report["rows"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["present", "superseded", "superseded"]);
    assert_eq!(report["rows"][0]["on_disk"], true);
    let table = bed.ok(&["versions", "inbox/report.txt"]);
    assert!(table.contains("kept-") && table.contains("version store"), "{table}");

    // In a mirror an older content cannot stay at its place.
    let refused = bed.run(&["restore", "inbox/report.txt"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("mirror") && text.contains("--to"), "{text}");
    assert_eq!(read(&bed, "inbox/report.txt"), "third");

    let dry = bed.ok(&["restore", "inbox/report.txt", "--to", "old.txt", "--dry-run"]);
    assert!(dry.contains("version store") && !bed.dir.path().join("old.txt").exists(), "{dry}");
    bed.ok(&["restore", "inbox/report.txt", "--to", "old.txt"]);
    assert_eq!(read(&bed, "old.txt"), "second", "the newest that is kept");
    let first = report["rows"][2]["id"].as_str().unwrap();
    let again = bed.run(&["restore", "inbox/report.txt", "--to", "old.txt", "--version", first]);
    assert_eq!(again.status.code(), Some(1), "nothing is replaced unasked");
    assert_eq!(read(&bed, "old.txt"), "second");
    bed.ok(&["restore", "inbox/report.txt", "--to", "old.txt", "--version", first, "--yes"]);
    assert_eq!(read(&bed, "old.txt"), "first");
    // A directory, and the provider's name of the version.
    let provider = report["rows"][1]["version"].as_str().unwrap();
    std::fs::create_dir(bed.dir.path().join("out")).unwrap();
    bed.ok(&["restore", "inbox/report.txt", "--to", "out", "--version", provider]);
    assert_eq!(read(&bed, "out/report.txt"), "second");
}

#[test]
fn what_is_not_kept_here_is_fetched_from_box() {
    not_kept_here(&Bed::new(), REMOTE, "content");
}

#[test]
fn what_is_not_kept_here_is_fetched_from_egnyte() {
    not_kept_here(&Bed::egnyte(), EGNYTE_REMOTE, "egnyte_download");
}

fn not_kept_here(bed: &Bed, above: &str, download: &str) {
    // One that the agent never sees is known to the cloud alone.
    bed.cloud().write(&format!("{above}/report.txt"), "unseen".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "keep_versions=0"]);
    replaced_twice(bed, above);
    let report = versions(bed, &[]);
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["kept"].is_null()), "{report}");
    assert_eq!(rows.len(), 3, "what was seen is remembered: {report}");
    assert_eq!(bed.ours("versions"), Vec::<String>::new());
    let asked = versions(bed, &["--remote"]);
    let all = asked["rows"].as_array().unwrap();
    assert!(all.len() == 4 && all.iter().all(|row| row["in_cloud"] == true), "{asked}");
    let unseen = all.iter().find(|row| row["state"] == "older").unwrap();
    bed.cloud().reset_counters();
    for (row, text) in [(&rows[2], "first"), (unseen, "unseen")] {
        let to = format!("{text}.txt");
        bed.ok(&["restore", "inbox/report.txt", "--to", &to, "--version", row["id"].as_str().unwrap()]);
        assert_eq!(read(bed, &to), text);
    }
    assert_eq!(bed.cloud().count(download), 2);
    let none = bed.run(&["restore", "inbox/report.txt", "--to", "x", "--version", "no-such"]);
    assert_eq!(none.status.code(), Some(1));
    let nothing_kept = bed.run(&["restore", "inbox/report.txt", "--to", "x"]);
    assert_eq!(nothing_kept.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing_kept.stderr).contains("--remote"));
    assert!(!bed.dir.path().join("x").exists());
}

#[test]
fn what_went_with_its_directory_is_kept_as_one_found_by_path_and_not_downloaded_again() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "max_delete=off"]);
    let cloud = bed.cloud();
    let settle = |bed: &Bed| {
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
    };
    cloud.mkdir_p(&remote("docs/deep")).unwrap();
    for file in 0..20 {
        cloud.write(&remote(&format!("docs/deep/f{file}.txt")), format!("content {file}").into_bytes()).unwrap();
    }
    cloud.write(&remote("docs/beside.txt"), "beside".as_bytes().to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let id = cloud.trash(&remote("docs")).unwrap();
    settle(&bed);
    let kept = bed.ours("versions");
    assert_eq!(kept.len(), 2, "a directory and a file: {kept:?}");

    let report: serde_json::Value =
        serde_json::from_str(&bed.ok(&["versions", "inbox/docs/deep/f7.txt", "--json"])).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{report}");
    assert_eq!((&rows[0]["state"], &rows[0]["size"]), (&"deleted".into(), &9.into()));
    bed.ok(&["restore", "inbox/docs/deep/f7.txt", "--to", "copy.txt"]);
    assert_eq!(read(&bed, "copy.txt"), "content 7");

    cloud.restore(&id).unwrap();
    cloud.reset_counters();
    settle(&bed);
    assert_eq!(read(&bed, "inbox/docs/deep/f19.txt"), "content 19");
    assert_eq!(read(&bed, "inbox/docs/beside.txt"), "beside");
    assert_eq!(cloud.count("content"), 0, "all of it is here");

    // A content of the directory that was changed by hand is not what it is taken for.
    cloud.trash(&remote("docs")).unwrap();
    settle(&bed);
    let versions = bed.local().join(crate::support::RESERVED).join("versions");
    for name in bed.ours("versions") {
        if let Ok(file) = std::fs::metadata(versions.join(&name).join("f3.txt")) {
            assert!(file.is_file());
            std::fs::write(versions.join(&name).join("f3.txt"), "meddled 3").unwrap();
        }
    }
    cloud.restore(&id).unwrap();
    cloud.reset_counters();
    settle(&bed);
    assert_eq!(read(&bed, "inbox/docs/deep/f3.txt"), "content 3");
    assert!(cloud.count("content") <= 1, "the others are taken from here");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_file_that_is_gone_everywhere_comes_back_to_its_place() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("docs")).unwrap();
    cloud.write(&remote("docs/a.txt"), "precious".as_bytes().to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    cloud.trash(&remote("docs")).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let said = bed.ok(&["restore", "inbox/docs/a.txt"]);
    assert!(said.contains("yours"), "{said}");
    assert_eq!(read(&bed, "inbox/docs/a.txt"), "precious");
    let again = bed.run(&["restore", "inbox/docs/a.txt"]);
    assert_eq!(again.status.code(), Some(1), "what is there is not replaced");
    // A link in the way is not followed.
    std::fs::remove_dir_all(bed.local().join("docs")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), bed.local().join("docs")).unwrap();
    assert_eq!(bed.run(&["restore", "inbox/docs/a.txt"]).status.code(), Some(1));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(bed.run(&["versions", "inbox/never-was"]).status.code(), Some(1));
}

#[test]
fn in_a_two_way_folder_a_former_content_comes_back_to_its_place_and_travels_up() {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    replaced_twice(&bed, REMOTE);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let before = bed.cloud().versions(&remote("report.txt")).unwrap().len();
    bed.ok(&["restore", "inbox/report.txt"]);
    assert_eq!(read(&bed, "inbox/report.txt"), "second", "the newest that was kept");
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.cloud().read(&remote("report.txt")).unwrap(), b"second");
    assert_eq!(bed.cloud().versions(&remote("report.txt")).unwrap().len(), before + 1, "as a new version");
    // What it replaced is a version like any other.
    let report = versions(&bed, &["--remote"]);
    let third = report["rows"].as_array().unwrap().iter().find(|row| row["size"] == 5 && row["state"] != "superseded");
    let third = third.and_then(|row| row["id"].as_str()).unwrap_or_else(|| panic!("{report}"));
    bed.ok(&["restore", "inbox/report.txt", "--version", third]);
    bed.wait_equal(PATIENCE);
    assert!(["first", "third"].contains(&read(&bed, "inbox/report.txt").as_str()));
    assert_eq!(agent.stop(), Some(0));
}
