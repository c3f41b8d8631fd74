//! An account belongs to a person: another one's sign-in is refused, and if it is confirmed nothing is deleted unseen.

use folder_sync_agent::sandbox::{ACCESS_TOKEN, OTHER_ACCESS_TOKEN, User};

use super::{kept, login_to};
use crate::support::{Bed, PATIENCE, REMOTE, until};

fn with_two_files() -> Bed {
    let bed = Bed::new();
    let cloud = bed.cloud();
    for name in ["one", "two", "three"] {
        cloud.write(&format!("{REMOTE}/{name}"), name.as_bytes().to_vec()).unwrap();
    }
    bed.add_folder(&[]);
    bed
}

const LOGIN: [&str; 5] = ["login", "box", "--account", "work", "--token-stdin"];

fn refused(bed: &Bed) {
    let before = (kept(bed, "work"), std::fs::read(bed.home().join("config.toml")).unwrap());
    let output = login_to(bed, &LOGIN, OTHER_ACCESS_TOKEN);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("is agent@example.test, and this sign-in is other@example.test"), "{text}");
    assert!(text.contains("--replace-identity"), "{text}");
    assert_eq!((kept(bed, "work"), std::fs::read(bed.home().join("config.toml")).unwrap()), before);
}

fn replace(bed: &Bed) {
    let output = login_to(bed, &[&LOGIN[..], &["--replace-identity"]].concat(), OTHER_ACCESS_TOKEN);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("delete nothing until you approve"), "{text}");
    assert_eq!(kept(bed, "work")["identity"]["login"], "other@example.test");
}

fn holds(bed: &Bed) -> Vec<(u64, String)> {
    let held: serde_json::Value = serde_json::from_str(&bed.ok(&["held", "--json"])).unwrap();
    let rows = held["rows"].as_array().unwrap();
    rows.iter().map(|row| (row["id"].as_u64().unwrap(), row["reason"].as_str().unwrap().to_owned())).collect()
}

/// What the other person's cloud lacks stays on disk until somebody approves.
fn waits_before_any_deletion(bed: &Bed) {
    bed.cloud().write(&format!("{REMOTE}/four"), "four".as_bytes().to_vec()).unwrap();
    until("what is no deletion goes on", || bed.local().join("four").exists());
    until("the deletion waits", || holds(bed).iter().any(|(_, reason)| reason == "mass_delete"));
    assert!(bed.local().join("one").exists(), "one of four files is below every other brake");
    let account = holds(bed).into_iter().find(|(_, reason)| reason == "account_changed").expect("the folder's hold");
    bed.ok(&["approve", &account.0.to_string()]);
    let deletions = holds(bed).into_iter().find(|(_, reason)| reason == "mass_delete").expect("the list of deletions");
    bed.ok(&["approve", &deletions.0.to_string()]);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(!bed.local().join("one").exists());
    // From now on a small deletion is an everyday matter again.
    bed.cloud().trash(&format!("{REMOTE}/two")).unwrap();
    bed.wait_equal(PATIENCE);
}

#[test]
fn another_person_takes_an_account_over_while_the_agent_runs() {
    let bed = with_two_files();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    refused(&bed);
    bed.wait_in_sync(PATIENCE);
    replace(&bed);
    bed.cloud().trash(&format!("{REMOTE}/one")).unwrap();
    waits_before_any_deletion(&bed);
    let status = bed.status().unwrap();
    assert_eq!(status["accounts"][0]["login"], "other@example.test");
    // And back: the former person is another one now.
    let output = login_to(&bed, &LOGIN, ACCESS_TOKEN);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn another_person_takes_an_account_over_while_no_agent_runs() {
    let bed = with_two_files();
    bed.ok(&["run", "--once"]);
    refused(&bed);
    // Signing out does not make an account anybody's.
    bed.ok(&["logout", "work"]);
    let again = login_to(&bed, &LOGIN, &bed.cloud().issue_token(User::Other, None));
    assert_eq!(again.status.code(), Some(4));
    replace(&bed);
    bed.cloud().trash(&format!("{REMOTE}/one")).unwrap();
    let agent = bed.start();
    waits_before_any_deletion(&bed);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_account_without_folders_is_anybodys() {
    let bed = Bed::new();
    let agent = bed.start();
    until("the account", || bed.status().is_some_and(|status| status["accounts"][0]["login"].is_string()));
    assert!(login_to(&bed, &LOGIN, OTHER_ACCESS_TOKEN).status.success());
    until("the other person", || {
        bed.status().is_some_and(|status| status["accounts"][0]["login"] == "other@example.test")
    });
    assert!(holds(&bed).is_empty());
    assert_eq!(agent.stop(), Some(0));
}
