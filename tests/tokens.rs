//! The tokens of a running agent: renewed by one process at a time, durable before they are used, and lost by nobody.

use std::path::Path;
use std::process::Stdio;

use folder_sync_agent::sandbox::{App, Fault, OTHER_ACCESS_TOKEN, Rule, TokenPair, User};

use crate::support::{Bed, PATIENCE, REMOTE, until};

mod identity;
mod race;
mod secrets;
mod transfers;

/// A pair as `--token-stdin` takes it.
pub fn json_of(pair: &TokenPair) -> String {
    serde_json::json!({
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "expires_in": pair.expires_in,
        "client_id": "app",
        "client_secret": "app-secret",
    })
    .to_string()
}

/// The credentials file of an account.
pub fn kept(bed: &Bed, account: &str) -> serde_json::Value {
    let path = bed.home().join(format!("credentials/{account}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_process_that_dies_between_the_renewal_and_the_disk_loses_nothing() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    let pair = cloud.issue_pair(User::Agent, 3_600);
    bed.login_with(&json_of(&pair));
    cloud.expire_token(&pair.access_token);
    cloud.reset_counters();
    // The renewal is done, but its answer takes for ever.
    cloud.faults().once("token", Fault::SlowBody { bytes_per_second: 1 });
    let mut dies = bed.agent().arg("doctor").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the renewal", || cloud.faults().pending().is_empty());
    until("the mark of the renewal", || kept(&bed, "work")["refreshing_since"].is_string());
    dies.kill().unwrap();
    dies.wait().unwrap();
    assert_eq!(kept(&bed, "work")["refresh_token"], pair.refresh_token.as_str(), "the new pair is on no disk");
    let doctor = bed.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("signed in as Aki Agent"), "{doctor:?}");
    let kept = kept(&bed, "work");
    assert_ne!(kept["refresh_token"], pair.refresh_token.as_str());
    assert!(kept["refreshing_since"].is_null());
    assert!(cloud.token_works(kept["access_token"].as_str().unwrap()));
}

#[test]
fn a_renewal_whose_answer_is_lost_is_tried_again() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&format!("{REMOTE}/one"), "1".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    let pair = cloud.issue_pair(User::Agent, 3_600);
    bed.login_with(&json_of(&pair));
    cloud.expire_token(&pair.access_token);
    cloud.faults().add(Rule::on("token", Fault::CutAfter).times(2));
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(cloud.faults().pending().is_empty(), "both answers were lost");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn two_accounts_of_one_provider_do_not_disturb_each_other() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p("/Other").unwrap();
    let mine = cloud.issue_pair(User::Agent, 3_600);
    bed.login_with(&json_of(&mine));
    bed.add_folder(&[]);
    let url = bed.sandbox.url();
    let theirs = bed.dir.path().join("theirs");
    let login = ["login", "box", "--account", "other", "--api-url", &url, "--token-stdin"];
    login_to(&bed, &login, OTHER_ACCESS_TOKEN);
    bed.ok(&["add-folder", "/Other", theirs.to_str().unwrap(), "--account", "other", "--name", "theirs", "--yes"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let status = bed.status().unwrap();
    let mut logins: Vec<&str> =
        status["accounts"].as_array().unwrap().iter().filter_map(|row| row["login"].as_str()).collect();
    logins.sort_unstable();
    assert_eq!(logins, ["agent@example.test", "other@example.test"]);

    // One person's sign-in ends; the other one's folder goes on.
    cloud.revoke_token(&mine.refresh_token);
    cloud.write("/Other/new", "new".as_bytes().to_vec()).unwrap();
    cloud.write(&format!("{REMOTE}/late"), "late".as_bytes().to_vec()).unwrap();
    until("the ended sign-in", || bed.is_degraded("sign_in_needed"));
    until("the other account's file", || theirs.join("new").exists());
    let shown = bed.run(&["status", "--exit-code"]);
    assert_eq!(shown.status.code(), Some(77));
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("agent login box --account work"), "{text}");
    assert!(!bed.local().join("late").exists());
    bed.login_with(&json_of(&cloud.issue_pair(User::Agent, 3_600)));
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

pub fn login_to(bed: &Bed, arguments: &[&str], input: &str) -> std::process::Output {
    let mut child = bed
        .agent()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its options reads nothing.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_sign_in_whose_end_is_near_is_warned_of() {
    let bed = Bed::new();
    let token = bed.cloud().issue_token(User::Agent, Some(5 * 86_400));
    bed.login_with(&format!("{{\"access_token\":\"{token}\",\"expires_in\":432000}}"));
    let agent = bed.start();
    until("the account", || bed.status().is_some_and(|status| status["accounts"][0]["login"].is_string()));
    let shown = bed.ok(&["status"]);
    assert!(
        shown.contains("! work: the sign-in ends in 4") && shown.contains("agent login box --account work"),
        "{shown}"
    );
    assert!(bed.status().unwrap()["accounts"][0]["sign_in_ends"].is_number());
    let doctor = String::from_utf8_lossy(&bed.run(&["doctor"]).stdout).into_owned();
    assert!(doctor.contains("but the sign-in ends in 4"), "{doctor}");
    // One that renews itself has no end to warn of.
    bed.login_with(&json_of(&bed.cloud().issue_pair(User::Agent, 3_600)));
    assert!(!bed.ok(&["status"]).contains("the sign-in ends"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_systemd_credential_is_a_sign_in_whose_secrets_are_written_nowhere() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.register_app(App::default());
    cloud.write(&format!("{REMOTE}/one"), "1".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    bed.ok(&["logout", "work"]);
    let handed_in = bed.dir.path().join("handed-in");
    std::fs::create_dir(&handed_in).unwrap();
    let secret = "{\"client_id\":\"app\",\"client_secret\":\"app-secret\",\"subject\":\"enterprise:801346\"}";
    std::fs::write(handed_in.join("account.work"), secret).unwrap();
    let variable = format!("CREDENTIALS_DIRECTORY={}", handed_in.display());
    let agent = bed.start_through("env", &[&variable]);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let first = kept(&bed, "work");
    assert!(first["client_secret"].is_null() && first["source"].is_string(), "{first}");
    assert!(!holds(&bed.home(), "app-secret"));
    // The token that was bought is kept, and the next one is bought with what was handed in.
    cloud.expire_token(first["access_token"].as_str().unwrap());
    cloud.write(&format!("{REMOTE}/two"), "2".as_bytes().to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    assert_ne!(kept(&bed, "work")["access_token"], first["access_token"]);
    assert_eq!(agent.stop(), Some(0));

    // `agent login` takes an app from a credential too.
    std::fs::write(handed_in.join("box-app"), "app\napp-secret\n").unwrap();
    let mut login = bed.agent();
    login.args(["login", "box", "--account", "two", "--api-url", &bed.sandbox.url(), "--ccg"]);
    login.args(["--app-credential", "box-app", "--subject", "enterprise:801346"]);
    let output = login.env("CREDENTIALS_DIRECTORY", &handed_in).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Whether any file below a directory holds a text.
pub fn holds(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
