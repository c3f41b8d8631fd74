//! An enterprise stream drives folders, of other users too.

use serde_json::Value;

use super::{events, field};
use crate::support::{Bed, PATIENCE, REMOTE, until};

/// A bed whose account follows an enterprise stream, quickly.
fn bed(stream: &str) -> Bed {
    let bed = Bed::new();
    bed.cloud().mkdir_p("/Elsewhere").unwrap();
    let path = bed.home().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let more = format!("provider = \"box\"\nstream = \"{stream}\"\npoll_min = \"1s\"\npoll_max = \"1s\"\n");
    let changed = config.replace("provider = \"box\"\n", &more);
    assert_ne!(changed, config);
    std::fs::write(&path, changed).unwrap();
    bed
}

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

#[test]
fn ids_without_content_lead_to_the_same_files() {
    for stream in ["admin_logs_streaming", "admin_logs"] {
        let bed = bed(stream);
        let cloud = bed.cloud();
        cloud.mkdir_p(&remote("old")).unwrap();
        cloud.write(&remote("old/kept.txt"), b"kept".to_vec()).unwrap();
        bed.add_folder(&[]);
        let agent = bed.start();
        bed.wait_in_sync(PATIENCE);
        cloud.write("/Elsewhere/b.txt", b"foreign".to_vec()).unwrap();
        cloud.write("/Elsewhere/moved.txt", b"moved in".to_vec()).unwrap();
        cloud.write(&remote("a.txt"), b"one".to_vec()).unwrap();
        cloud.mkdir_p(&remote("new/deep")).unwrap();
        cloud.write(&remote("new/deep/c.txt"), b"deep".to_vec()).unwrap();
        cloud.move_to("/Elsewhere/moved.txt", REMOTE).unwrap();
        bed.wait_equal(PATIENCE);
        cloud.write(&remote("a.txt"), b"two".to_vec()).unwrap();
        cloud.rename(&remote("old"), "renamed").unwrap();
        cloud.trash(&remote("new/deep/c.txt")).unwrap();
        cloud.move_to(&remote("moved.txt"), "/Elsewhere").unwrap();
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        let rows = events(&bed, &[]);
        let types = field(&rows, "provider_kind");
        for word in ["UPLOAD", "EDIT", "MOVE", "RENAME", "DELETE"] {
            assert!(types.iter().any(|one| one == word), "{word} is not in {types:?}");
        }
        let outside = events(&bed, &["--disposition", "outside"]);
        assert!(!outside.is_empty(), "what concerns nobody is shown as such");
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn what_happens_together_in_one_folder_is_listed_at_once() {
    let bed = bed("admin_logs_streaming");
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.reset_counters();
    for number in 0..30 {
        cloud.write(&remote(&format!("{number}.txt")), b"x".to_vec()).unwrap();
        cloud.write(&format!("/Elsewhere/{number}.txt"), b"x".to_vec()).unwrap();
    }
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let (looks, lists) = (cloud.count("file_get"), cloud.count("folder_items"));
    assert!(looks + lists <= 10, "30 files cost {looks} looks and {lists} listings: {:?}", cloud.counters());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_folder_of_another_user_is_asked_for_in_that_users_name() {
    let bed = bed("admin_logs_streaming");
    let other = folder_sync_agent::sandbox::User::Other.id().to_string();
    bed.add_folder(&["--as-user", &other]);
    let config = std::fs::read_to_string(bed.home().join("config.toml")).unwrap();
    assert!(config.contains(&format!("as_user = \"{other}\"")), "{config}");
    bed.cloud().reset_counters();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    bed.cloud().write(&remote("a.txt"), b"one".to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    let counters = bed.cloud().counters();
    let acted = counters.get("as_user").copied().unwrap_or(0);
    assert!(acted >= 2, "listing, look and download are asked for in their name: {counters:?}");
    assert_eq!(agent.stop(), Some(0));
    // Nobody else's name is used for the stream itself.
    let unknown = bed.run(&["add-folder", "/Elsewhere", "x", "--account", "work", "--as-user", "99", "--yes"]);
    assert!(!unknown.status.success());
    let wrong = bed.run(&["set-folder", "inbox", "as_user=me"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no id of a user"));
}

#[test]
fn activity_says_who_did_what_and_what_became_of_it() {
    let bed = Bed::new();
    bed.cloud().mkdir_p("/Elsewhere/deep").unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    bed.cloud().write(&remote("a.txt"), b"one".to_vec()).unwrap();
    until("the download", || bed.ok(&["activity", "inbox"]).contains("→ downloaded"));
    bed.cloud().trash(&remote("a.txt")).unwrap();
    bed.cloud().write("/Elsewhere/deep/b.txt", b"b".to_vec()).unwrap();
    until("both", || bed.ok(&["activity", "inbox"]).contains("item.trashed  inbox: a.txt → removed"));
    let shown = bed.ok(&["activity"]);
    assert!(shown.contains("Olu Other  item.uploaded  inbox: a.txt → downloaded"), "{shown}");
    assert!(!shown.contains("b.txt"), "{shown}");
    let listing: Value = serde_json::from_str(&bed.ok(&["activity", "/elsewhere", "--json"])).unwrap();
    let rows = listing["rows"].as_array().unwrap();
    assert_eq!(rows.last().unwrap()["path"], "/Elsewhere/deep/b.txt", "a folder that nobody watches");
    assert_eq!(agent.stop(), Some(0));

    let bed = Bed::egnyte();
    bed.cloud().mkdir_p("/Shared/Plans").unwrap();
    bed.cloud().write("/Shared/Plans/p.txt", b"p".to_vec()).unwrap();
    let shown = bed.ok(&["activity", "/Shared/Plans"]);
    assert!(shown.contains("/Shared/Plans/p.txt → not watched"), "{shown}");
}
