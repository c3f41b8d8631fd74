//! Links and special files are never sent, and nobody has to find that out by looking for them in the cloud.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::Bed;

async fn with_team() -> Bed {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Team").unwrap();
    bed.run(&["add-folder", "/Team", "team", "--name", "team", "--mode", "two-way", "--exclude", "*.lnk"]).await.fine();
    fs::create_dir_all(bed.path("team/docs")).unwrap();
    bed
}

#[tokio::test]
async fn what_is_left_out_is_counted_named_and_explained() {
    let bed = with_team().await;
    symlink("nowhere", bed.path("team/latest")).unwrap();
    symlink("nowhere", bed.path("team/docs/old")).unwrap();
    symlink("nowhere", bed.path("team/ignored.lnk")).unwrap();
    let socket = UnixListener::bind(bed.path("team/docs/socket")).unwrap();
    fs::write(bed.path("team/docs/a.txt"), "a").unwrap();
    bed.run(&["run", "--once"]).await.fine();
    let said = bed.run(&["status"]).await.fine();
    assert!(
        said.contains("team: 2 symbolic links and 1 special file are left out, such as latest (agent why PATH)"),
        "{said}"
    );
    let folder = bed.run(&["status", "--json"]).await.json()["folders"][0]["left_out"].clone();
    assert_eq!(folder, serde_json::json!({"links": 2, "special": 1, "mounts": 0, "examples": ["latest", "docs/old"]}));
    let said = bed.run(&["problems"]).await.fine();
    assert!(said.starts_with("No problems.\nteam: 2 symbolic links and 1 special file are left out"), "{said}");
    assert!(said.contains("agent why ") && said.contains("docs/old"), "{said}");
    let why = bed.run(&["why", "team/docs/old", "--json"]).await.json();
    assert_eq!((why["state"].as_str(), why["action"].as_str()), (Some("left_out"), Some("nothing")));
    assert!(why["plan"].as_str().unwrap().contains("symbolic link"), "{why}");
    let why = bed.run(&["why", "team/docs/socket"]).await.fine();
    assert!(why.contains("a pipe, a socket or a device"), "{why}");
    // What is there no more is not counted any more, and a directory that goes takes its own along.
    drop(socket);
    fs::remove_file(bed.path("team/latest")).unwrap();
    fs::remove_dir_all(bed.path("team/docs")).unwrap();
    bed.run(&["run", "--once"]).await.fine();
    let said = bed.run(&["status"]).await.fine();
    assert!(!said.contains("left out"), "{said}");
}

#[tokio::test]
async fn in_a_mirror_nothing_is_sent_anyway() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Inbox").unwrap();
    bed.run(&["add-folder", "/Inbox", "inbox", "--name", "inbox"]).await.fine();
    fs::create_dir_all(bed.path("inbox")).unwrap();
    symlink("nowhere", bed.path("inbox/mine")).unwrap();
    bed.run(&["run", "--once"]).await.fine();
    let said = bed.run(&["status"]).await.fine();
    assert!(!said.contains("left out"), "{said}");
}
