//! What the agent refuses, and how it says so.

use crate::support::{Bed, PATIENCE, REMOTE, until};

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_agent_is_told_who_holds_the_directory() {
    let bed = Bed::new();
    let agent = bed.start();
    until("the agent", || bed.status().is_some());
    let second = bed.run(&["run"]);
    assert_eq!(second.status.code(), Some(5), "{}", stderr(&second));
    assert!(stderr(&second).contains(&agent.pid().to_string()), "{}", stderr(&second));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.ok(&["run", "--once"]);
    let database = bed.home().join("state.db");
    let conn = rusqlite::Connection::open(&database).unwrap();
    conn.pragma_update(None, "user_version", 999).unwrap();
    drop(conn);
    let before = std::fs::read(&database).unwrap();
    let refused = bed.run(&["run"]);
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("999"), "{}", stderr(&refused));
    assert_eq!(std::fs::read(&database).unwrap(), before);
}

#[test]
fn a_lost_root_stands_still_and_heals() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&format!("{REMOTE}/file"), "text".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    bed.ok(&["run", "--once"]);
    // The disk is not mounted: an empty directory is in its place.
    let aside = bed.dir.path().join("aside");
    std::fs::rename(bed.local(), &aside).unwrap();
    std::fs::create_dir(bed.local()).unwrap();
    let agent = bed.start();
    until("the lost root", || bed.is_degraded("root_lost"));
    cloud.write(&format!("{REMOTE}/new"), "new".as_bytes().to_vec()).unwrap();
    assert_eq!(std::fs::read_dir(bed.local()).unwrap().count(), 0, "nothing is written there");
    std::fs::remove_dir(bed.local()).unwrap();
    std::fs::rename(&aside, bed.local()).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_remote_folder_that_is_gone_is_said_and_nothing_local_is_touched() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&format!("{REMOTE}/file"), "text".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.trash(REMOTE).unwrap();
    until("the degraded folder", || bed.is_degraded("remote_gone"));
    assert_eq!(std::fs::read(bed.local().join("file")).unwrap(), b"text");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_dead_token_degrades_the_account_and_a_login_heals_it_live() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let token = cloud.issue_token(folder_sync_agent::sandbox::User::Agent, None);
    bed.login_with(&token);
    cloud.write(&format!("{REMOTE}/one"), "1".as_bytes().to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    cloud.revoke_token(&token);
    cloud.write(&format!("{REMOTE}/two"), "2".as_bytes().to_vec()).unwrap();
    until("the degraded account", || bed.is_degraded("sign_in_needed"));
    assert!(!bed.local().join("two").exists());
    bed.login_with(folder_sync_agent::sandbox::ACCESS_TOKEN);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}
