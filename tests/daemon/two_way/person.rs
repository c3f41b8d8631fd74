//! What a person has a say in, in a two-way folder: mass deletions towards the cloud, and older versions.

use std::fs;

use serde_json::Value;

use crate::support::{Bed, PATIENCE, REMOTE, until};

const FILES: usize = 60;

/// A synced folder of which the disk has just lost almost everything.
fn emptied() -> Bed {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    let cloud = bed.cloud();
    for file in 0..FILES {
        cloud.write(&format!("{REMOTE}/d{}/f{file:02}", file % 3), format!("content {file}").into_bytes()).unwrap();
    }
    bed.ok(&["run", "--once"]);
    for dir in ["d0", "d1"] {
        fs::remove_dir_all(bed.local().join(dir)).unwrap();
    }
    fs::write(bed.local().join("new.txt"), "new").unwrap();
    bed
}

fn held(bed: &Bed) -> Vec<Value> {
    let listing: Value = serde_json::from_str(&bed.ok(&["held", "--json"])).unwrap();
    listing["rows"].as_array().unwrap().clone()
}

#[test]
fn a_mass_deletion_on_disk_waits_for_a_person_and_the_rest_goes_on() {
    for (answer, files_left, with_agent) in [("approve", FILES / 3, false), ("reject", FILES, true)] {
        let bed = emptied();
        let cloud = bed.cloud();
        let count = || cloud.tree(REMOTE).unwrap().values().filter(|entry| !entry.is_folder).count();
        let mut agent = bed.start();
        until("the hold on all of them", || held(&bed).first().is_some_and(|hold| hold["items"] == 40));
        until("what is new goes up", || cloud.tree(REMOTE).unwrap().contains_key("new.txt"));
        assert_eq!(count(), FILES + 1, "nothing is deleted in the cloud");
        let rows = held(&bed);
        assert_eq!((rows.len(), &rows[0]["reason"]), (1, &"mass_delete_in_cloud".into()), "{rows:?}");
        assert_eq!(bed.run(&["wait", "--timeout", "5s"]).status.code(), Some(4));
        let hold = rows[0]["id"].to_string();
        if with_agent {
            bed.ok(&[answer, &hold]);
        } else {
            assert_eq!(agent.stop(), Some(0));
            bed.ok(&[answer, &hold]);
            agent = bed.start();
        }
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        assert_eq!(count(), files_left + 1, "{answer}");
        assert_eq!(held(&bed), Vec::<Value>::new());
        assert!(cloud.keeps(&crate::support::sha1_of(b"content 0")), "in the trash at least");
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn an_older_version_that_is_restored_goes_up_as_the_newest() {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    let cloud = bed.cloud();
    let agent = bed.start();
    cloud.write(&format!("{REMOTE}/a.txt"), b"one".to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    fs::write(bed.local().join("a.txt"), "two, ours").unwrap();
    bed.wait_equal(PATIENCE);
    cloud.write(&format!("{REMOTE}/a.txt"), b"three".to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let versions = || -> Vec<Value> {
        let listing: Value = serde_json::from_str(&bed.ok(&["versions", "inbox/a.txt", "--json"])).unwrap();
        listing["rows"].as_array().unwrap_or_else(|| panic!("{listing}")).clone()
    };
    let ids = cloud.versions(&format!("{REMOTE}/a.txt")).unwrap();
    let listed = |id: &str| -> String {
        let versions = versions();
        let row = versions.iter().find(|row| row["version"] == id).unwrap_or_else(|| panic!("{id}: {versions:?}"));
        row["id"].as_str().unwrap().to_owned()
    };
    assert!(!listed(&ids[2]).starts_with("kept-"), "the one that is there");
    for (id, content) in ids.iter().zip(["one", "two, ours"]) {
        bed.ok(&["restore", "inbox/a.txt", "--version", &listed(id)]);
        assert_eq!(fs::read_to_string(bed.local().join("a.txt")).unwrap(), content);
        until("the restored version in the cloud", || {
            cloud.read(&format!("{REMOTE}/a.txt")).unwrap() == content.as_bytes()
        });
        bed.wait_in_sync(PATIENCE);
    }
    assert_eq!(cloud.versions(&format!("{REMOTE}/a.txt")).unwrap().len(), 5, "nothing is taken from the history");

    // What was deleted locally is in the cloud's trash, and comes back by its version.
    fs::remove_file(bed.local().join("a.txt")).unwrap();
    until("the deletion in the cloud", || cloud.id_of(&format!("{REMOTE}/a.txt")).is_err());
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.ok(&["conflicts"]), "No conflicts.\n");
    assert_eq!(agent.stop(), Some(0));
}
