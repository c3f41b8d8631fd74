//! `keep_for`, `versions_max` and `on_local_delete`.

use folder_sync_agent::id::FolderId;
use folder_sync_agent::store::Store;

use crate::support::{Bed, PATIENCE, REMOTE, until};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

fn exists(bed: &Bed, path: &str) -> bool {
    bed.local().join(path).exists()
}

#[test]
fn local_copies_expire_and_the_cloud_keeps_its_own() {
    let bed = Bed::new();
    bed.add_folder(&["--keep-for", "1s"]);
    let cloud = bed.cloud();
    cloud.write(&remote("a.txt"), "one".as_bytes().to_vec()).unwrap();
    cloud.write(&remote("b.txt"), "other".as_bytes().to_vec()).unwrap();
    let agent = bed.start();
    for path in ["inbox/a.txt", "inbox/b.txt"] {
        until("it to expire", || {
            String::from_utf8_lossy(&bed.run(&["why", path]).stdout).contains("kept off the disk")
        });
    }
    assert!(!exists(&bed, "a.txt") && !exists(&bed, "b.txt"));
    assert!(cloud.tree(REMOTE).unwrap().contains_key("a.txt"), "the cloud is not touched");
    assert_eq!(bed.ours("versions"), Vec::<String>::new(), "the cloud has it, so no copy is kept");
    bed.wait_in_sync(PATIENCE);
    let verified = bed.run(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));

    // A new version brings it back; so does a person. Neither is held back by the other's tombstone.
    bed.ok(&["set-folder", "inbox", "keep_for=1h"]);
    cloud.write(&remote("a.txt"), "two".as_bytes().to_vec()).unwrap();
    until("the new version", || std::fs::read(bed.local().join("a.txt")).is_ok_and(|content| content == b"two"));
    assert!(!exists(&bed, "b.txt"));
    assert_eq!(agent.stop(), Some(0));
    bed.ok(&["restore", "inbox/b.txt"]);
    bed.ok(&["run", "--once"]);
    assert_eq!(std::fs::read(bed.local().join("b.txt")).unwrap(), b"other");
    assert_eq!(bed.difference(), Vec::<String>::new());
}

#[test]
fn the_time_may_be_counted_from_the_last_change() {
    const DAY_MS: i64 = 24 * 3_600 * 1_000;
    let bed = Bed::new();
    bed.add_folder(&["--keep-for", "5d", "--keep-from", "change"]);
    let cloud = bed.cloud();
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    cloud.write_at(&remote("old.txt"), b"old".to_vec(), Some(now - 10 * DAY_MS)).unwrap();
    cloud.write_at(&remote("new.txt"), b"new".to_vec(), Some(now - DAY_MS)).unwrap();
    bed.ok(&["run", "--once"]);
    assert!(exists(&bed, "new.txt") && !exists(&bed, "old.txt"), "what is over before it is fetched is not fetched");
    assert!(cloud.tree(REMOTE).unwrap().contains_key("old.txt"));
    assert!(bed.ok(&["why", "inbox/old.txt"]).contains("kept off the disk"));
    let plan: serde_json::Value = serde_json::from_str(&bed.ok(&["plan", "--json"])).unwrap();
    let row = &plan["rows"][0];
    assert_eq!((row["path"].as_str(), row["action"].as_str()), (Some("new.txt"), Some("expire")), "{plan}");
    assert!(row["waits_for"].as_str().is_some_and(|moment| moment.contains(':')), "when it leaves: {plan}");
    // A person brings it back, and its time begins anew.
    bed.ok(&["restore", "inbox/old.txt"]);
    bed.ok(&["run", "--once"]);
    assert!(exists(&bed, "old.txt"));
    bed.ok(&["run", "--once"]);
    assert!(exists(&bed, "old.txt"), "also after a restart");
    // Under the other rule everything that is here arrived now.
    bed.ok(&["set-folder", "inbox", "keep_from=arrival", "keep_for=2d"]);
    bed.ok(&["run", "--once"]);
    assert!(exists(&bed, "old.txt") && exists(&bed, "new.txt"));
    let wrong = bed.run(&["set-folder", "inbox", "keep_for="]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("keep_for"), "a rule without a time: {wrong:?}");
}

#[test]
fn an_edited_file_that_expires_is_kept() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.cloud().write(&remote("a.txt"), "theirs".as_bytes().to_vec()).unwrap();
    bed.ok(&["run", "--once"]);
    std::fs::write(bed.local().join("a.txt"), "mine, and longer").unwrap();
    bed.ok(&["set-folder", "inbox", "keep_for=1s"]);
    let agent = bed.start();
    until("the file to expire", || !exists(&bed, "a.txt"));
    until("the edit in the version store", || bed.ours("versions").len() == 1);
    bed.wait_in_sync(PATIENCE);
    let kept =
        std::fs::read(bed.local().join(crate::support::RESERVED).join("versions").join(&bed.ours("versions")[0]));
    assert_eq!(kept.unwrap(), b"mine, and longer");
    bed.ok(&["restore", "inbox/a.txt", "--to", "edit.txt", "--version", &format!("kept-{}", bed.ours("versions")[0])]);
    assert_eq!(std::fs::read(bed.dir.path().join("edit.txt")).unwrap(), b"mine, and longer");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_was_given_up_is_removed_even_after_a_crash_in_between() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "keep_versions=0"]);
    for content in ["one", "two"] {
        bed.cloud().write(&remote("a.txt"), content.as_bytes().to_vec()).unwrap();
        bed.ok(&["run", "--once"]);
    }
    assert_eq!(bed.ours("versions"), Vec::<String>::new());
    let given_up = Store::open(&bed.home().join("state.db")).unwrap().given_up(FolderId(1), 10).unwrap();
    assert_eq!(given_up.len(), 1);
    // As if the program had died after it decided and before it removed the file; and a file that nobody knows.
    let versions = bed.local().join(crate::support::RESERVED).join("versions");
    std::fs::write(versions.join(given_up[0].to_string()), "one").unwrap();
    std::fs::write(versions.join("rescued"), "somebody's").unwrap();
    bed.ok(&["run", "--once"]);
    assert_eq!(bed.ours("versions"), ["rescued"]);
}

#[test]
fn a_full_version_store_of_today_waits_for_a_person() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.ok(&["set-folder", "inbox", "versions_max=10 B"]);
    let cloud = bed.cloud();
    let agent = bed.start();
    cloud.write(&remote("a.txt"), "twelve bytes".as_bytes().to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    cloud.write(&remote("a.txt"), "second".as_bytes().to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    cloud.write(&remote("a.txt"), "third".as_bytes().to_vec()).unwrap();
    until("the hold", || bed.ok(&["held"]).contains("versions_max"));
    assert_eq!(std::fs::read(bed.local().join("a.txt")).unwrap(), b"second");
    // What displaces nothing goes on.
    cloud.write(&remote("b.txt"), "new".as_bytes().to_vec()).unwrap();
    until("the other file", || exists(&bed, "b.txt"));
    let held: serde_json::Value = serde_json::from_str(&bed.ok(&["held", "--json"])).unwrap();
    bed.ok(&["approve", &held["rows"][0]["id"].to_string()]);
    bed.wait_equal(PATIENCE);
    // With room again nobody needs to be asked.
    cloud.write(&remote("a.txt"), "fourth".as_bytes().to_vec()).unwrap();
    until("the next hold", || bed.ok(&["held"]).contains("versions_max"));
    bed.ok(&["set-folder", "inbox", "versions_max=1 MiB"]);
    bed.wait_equal(PATIENCE);
    until("no hold", || bed.ok(&["held"]).contains("Nothing"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_accepted_deletion_lasts_until_a_new_version_arrives() {
    for (setting, comes_back) in [("accept", false), ("restore", true)] {
        let bed = Bed::new();
        bed.add_folder(&[]);
        bed.ok(&["set-folder", "inbox", &format!("on_local_delete={setting}")]);
        let cloud = bed.cloud();
        cloud.mkdir_p(&remote("sub")).unwrap();
        cloud.write(&remote("a.txt"), "one".as_bytes().to_vec()).unwrap();
        bed.ok(&["run", "--once"]);
        std::fs::remove_file(bed.local().join("a.txt")).unwrap();
        // A move is what makes the agent look at the file.
        cloud.move_to(&remote("a.txt"), &remote("sub")).unwrap();
        bed.ok(&["run", "--once"]);
        assert_eq!(exists(&bed, "sub/a.txt"), comes_back, "{setting}");
        cloud.write(&remote("sub/a.txt"), "two".as_bytes().to_vec()).unwrap();
        bed.ok(&["run", "--once"]);
        assert_eq!(std::fs::read(bed.local().join("sub/a.txt")).unwrap(), b"two", "{setting}");
    }
}
