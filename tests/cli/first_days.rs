//! What annoyed people who tried the program as new users, each shown mended on the screen.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command as Plain;

use folder_sync_agent::sandbox::{ACCESS_TOKEN, User};

use super::{Bed, PROGRAM};

fn chmod(bed: &Bed, below: &str, mode: u32) {
    fs::set_permissions(bed.path(below), fs::Permissions::from_mode(mode)).unwrap();
}

fn dead_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn with_inbox() -> Bed {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Inbox").unwrap();
    bed.run(&["add-folder", "/Inbox", "inbox", "--name", "inbox"]).await.fine();
    bed
}

/// Every command of the help, with the commands below it.
fn commands() -> Vec<String> {
    let help = Plain::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let rows = help.lines().filter(|line| line.starts_with("  ") && !line.trim_start().starts_with('-'));
    let names = rows.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')).map(str::to_owned).collect()
}

#[test]
fn every_command_has_an_example() {
    let commands = commands();
    assert!(commands.len() >= 40, "{commands:?}");
    for name in commands {
        let help = Plain::new(PROGRAM).args([&name, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let named = format!("agent {name}");
        let examples = help.lines().filter(|line| line.starts_with("  ") && line.contains(&named)).count();
        assert!(examples > 0, "`agent {name} --help` shows no example:\n{help}");
    }
}

#[tokio::test]
async fn keep_for_is_said_to_delete() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Inbox").unwrap();
    let help = bed.run(&["add-folder", "--help"]).await.fine();
    assert!(
        !help.contains("without effect") && help.contains("Delete local copies this long after they arrived"),
        "{help}"
    );
    let said = bed.run(&["add-folder", "/Inbox", "inbox", "--keep-for", "30d"]).await.fine();
    assert!(said.contains("local copies are deleted 30 d after they arrived; the cloud keeps its own"), "{said}");
    let said = bed.run(&["set-folder", "Inbox", "keep_for=7d"]).await.fine();
    assert!(said.contains("Local copies are deleted 7 d after they arrived"), "{said}");
}

#[tokio::test]
async fn doctor_calls_private_only_what_is() {
    let bed = with_inbox().await;
    bed.run(&["run", "--once"]).await.fine();
    let wrong = |ran: super::Ran| {
        assert_eq!(ran.code, 1, "{ran:#?}");
        ran.out
    };
    let right = bed.run(&["doctor"]).await;
    assert!(right.out.contains("✓ state: $DIR/home is private"), "{right:#?}");
    assert_eq!(fs::metadata(bed.path("home/state.db")).unwrap().permissions().mode() & 0o777, 0o600);
    chmod(&bed, "home", 0o755);
    let out = wrong(bed.run(&["doctor"]).await);
    assert!(out.contains("✗ state: $DIR/home can be entered by others (mode 0755)"), "{out}");
    assert!(out.contains("→ take that right away: chmod 700 $DIR/home\n"), "{out}");
    chmod(&bed, "home", 0o700);
    chmod(&bed, "home/state.db", 0o644);
    let out = wrong(bed.run(&["doctor"]).await);
    assert!(out.contains("chmod 600 $DIR/home/state.db") && !out.contains("Nothing is wrong"), "{out}");
}

#[tokio::test]
async fn doctor_sees_that_another_directory_stands_there() {
    let bed = with_inbox().await;
    bed.run(&["run", "--once"]).await.fine();
    fs::rename(bed.path("inbox"), bed.path("unmounted")).unwrap();
    fs::create_dir(bed.path("inbox")).unwrap();
    let ran = bed.run(&["doctor"]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.out.contains("✗ folder inbox: another directory stands at $DIR/inbox"), "{}", ran.out);
    assert!(!ran.out.contains("Nothing is wrong"), "{}", ran.out);
}

#[tokio::test]
async fn a_failed_sign_in_leaves_nothing() {
    let bed = Bed::new();
    let ran = bed.run_with(&["login", "box", "--api-url", &dead_url(), "--token-stdin"], "token").await;
    let err = ran.failed(5);
    assert!(err.contains("the sign-in could not be tried, so nothing of it is kept"), "{err}");
    assert!(err.contains("no connection to the server: nobody listens there (connection refused)"), "{err}");
    for internal in ["client error", "operation=", "attempts=", "os error", "tcp connect"] {
        assert!(!err.contains(internal), "{internal} in {err}");
    }
    assert_eq!(bed.config(), "", "no account");
    assert!(!bed.path("home/credentials/box.json").exists(), "no token");
    assert!(bed.run(&["status"]).await.fine().starts_with("nothing configured"));
    // What was there before stays as it was.
    let bed = Bed::signed_in().await;
    let before = (bed.config(), fs::read(bed.path("home/credentials/work.json")).unwrap());
    let login = ["login", "box", "--account", "work", "--api-url", &dead_url(), "--token-stdin"];
    bed.run_with(&login, "token").await.failed(5);
    assert_eq!((bed.config(), fs::read(bed.path("home/credentials/work.json")).unwrap()), before);
}

#[tokio::test]
async fn an_account_of_no_use_is_removed() {
    let bed = Bed::signed_in().await;
    let url = bed.url();
    bed.run_with(&["login", "box", "--account", "other", "--api-url", &url, "--token-stdin"], ACCESS_TOKEN)
        .await
        .fine();
    let err = bed.run(&["add-folder", "/", "x"]).await.failed(1);
    assert!(
        err.contains("say which with --account: work, other; one of no use leaves with: agent remove-account NAME"),
        "{err}"
    );
    let said = bed.run(&["remove-account", "other"]).await.fine();
    assert!(said.contains("the configuration no longer names it"), "{said}");
    assert!(!bed.config().contains("other"));
}

#[tokio::test]
async fn what_left_the_configuration_does_not_come_back_in_the_status() {
    let bed = with_inbox().await;
    bed.run(&["run", "--once"]).await.fine();
    assert!(bed.run(&["status"]).await.fine().contains("account work (box)"));
    bed.write_config("");
    let said = bed.run(&["status"]).await.fine();
    assert_eq!(said, "nothing configured · no agent is running\n");
}

#[tokio::test]
async fn an_empty_configuration_is_in_sync_after_a_run() {
    let bed = Bed::new();
    bed.write_config("");
    bed.run(&["run", "--once"]).await.fine();
    let ran = bed.run(&["status", "--exit-code"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "nothing configured · no agent is running\n"));
}

#[tokio::test]
async fn everything_that_programs_ask_for_has_json() {
    let bed = with_inbox().await;
    bed.cloud().write("/Inbox/a.txt", b"one".to_vec()).unwrap();
    bed.run(&["run", "--once"]).await.fine();
    let ran = bed.run(&["wait", "--json", "--timeout", "100ms"]).await;
    let waited: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, waited["schema"].as_u64(), waited["in_sync"].as_bool()), (3, Some(1), Some(false)));
    assert!(waited["why"].as_str().unwrap().contains("no agent is running"), "{waited}");
    assert_eq!(bed.run(&["sync", "--json"]).await.code, 6);
    let shown = bed.run(&["config", "show", "--json"]).await.json();
    assert_eq!((shown["schema"].as_u64(), shown["folder"][0]["name"].as_str()), (Some(1), Some("inbox")));
    let path = bed.path("inbox/a.txt");
    fs::remove_file(&path).unwrap();
    let ran = bed.run(&["restore", path.to_str().unwrap(), "--to", "b.txt", "--dry-run", "--json"]).await;
    assert_eq!(ran.code, 1, "nothing was superseded yet: {ran:#?}");
    let status = bed.run(&["service", "status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!((status["schema"].as_u64(), status["installed"].as_bool()), (Some(1), Some(false)));
    let steps = bed.run(&["service", "install", "--dry-run", "--json"]).await.json();
    assert!(steps["steps"].as_array().unwrap().len() >= 2 && steps["done"] == false, "{steps}");
}

#[tokio::test]
async fn why_has_facts_for_programs() {
    let bed = with_inbox().await;
    bed.cloud().write("/Inbox/a.txt", b"one".to_vec()).unwrap();
    bed.run(&["set-folder", "inbox", "keep_for=30d"]).await.fine();
    bed.run(&["run", "--once"]).await.fine();
    let why = bed.run(&["why", "inbox/a.txt", "--json"]).await.json();
    assert_eq!((why["cloud"]["kind"].as_str(), why["cloud"]["size"].as_u64()), (Some("file"), Some(3)));
    assert_eq!((why["disk"]["path"].as_str(), why["disk"]["size"].as_u64()), (Some("a.txt"), Some(3)));
    assert_eq!(why["cloud"]["version"], why["disk"]["version"]);
    assert_eq!((why["action"].as_str(), why["state"].as_str()), (Some("nothing"), Some("done")));
    assert!(why["deleted_here"].as_i64().is_some(), "when `keep_for` ends: {why}");
    let said = bed.run(&["why", "inbox/a.txt"]).await.fine();
    assert!(said.contains("keep_for") && said.contains("the local copy is deleted"), "{said}");
}

#[tokio::test]
async fn status_takes_the_name_of_a_folder() {
    let bed = with_inbox().await;
    bed.cloud().mkdir_p("/Other").unwrap();
    bed.run(&["add-folder", "/Other", "other", "--name", "other"]).await.fine();
    let shown = bed.run(&["status", "inbox"]).await.fine();
    assert!(shown.contains("inbox") && !shown.contains("other"), "{shown}");
    insta::assert_snapshot!(bed.run(&["status", "inbx"]).await.failed(1), @r"
    error: there is no folder named `inbx`
    hint: there is inbox, other
    ");
}

#[tokio::test]
async fn verify_without_folders_says_so() {
    let bed = Bed::signed_in().await;
    let said = bed.run(&["verify"]).await.fine();
    assert!(said.starts_with("No folder is configured, so there is nothing to verify."), "{said}");
    assert_eq!(bed.run(&["verify", "--json"]).await.json()["rows"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_folder_can_be_removed_and_added_again() {
    let bed = with_inbox().await;
    bed.cloud().write("/Inbox/a.txt", b"one".to_vec()).unwrap();
    bed.run(&["run", "--once"]).await.fine();
    bed.run(&["remove-folder", "inbox"]).await.fine();
    bed.run(&["add-folder", "/Inbox", "inbox", "--name", "inbox", "--yes"]).await.fine();
    let downloads = bed.cloud().count("content");
    bed.run(&["run", "--once"]).await.fine();
    assert_eq!(bed.cloud().count("content"), downloads, "what is there is not fetched again");
    assert_eq!(fs::read_to_string(bed.path("inbox/a.txt")).unwrap(), "one");
}

#[tokio::test]
async fn two_folders_that_send_do_not_share_a_remote_folder_without_a_word() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Inbox/Deep").unwrap();
    bed.run(&["add-folder", "/Inbox", "a", "--name", "one", "--mode", "two-way"]).await.fine();
    for (remote, local) in [("/Inbox", "b"), ("/Inbox/Deep", "c")] {
        let err = bed.run(&["add-folder", remote, local, "--mode", "two-way"]).await.failed(1);
        assert!(err.contains("error: folder `one` syncs /Inbox already, to $DIR/a"), "{err}");
    }
    bed.run(&["add-folder", "/Inbox", "m"]).await.fine();
    let ran = bed.run(&["add-folder", "/Inbox", "b", "--mode", "two-way", "--yes"]).await;
    assert!(ran.err.contains("warning: folder `one` syncs /Inbox already"), "{ran:#?}");
    ran.fine();
}

#[tokio::test]
async fn somebody_else_does_not_take_an_account_over_unasked() {
    // Before the agent ever ran, what was signed in says whose the account is.
    let bed = with_inbox().await;
    let other = bed.cloud().issue_token(User::Other, None);
    let url = bed.url();
    let login = ["login", "box", "--account", "work", "--api-url", &url, "--token-stdin"];
    let err = bed.run_with(&login, &other).await.failed(4);
    assert!(err.contains("confirm with --replace-identity"), "{err}");
}

#[tokio::test]
async fn what_desktops_leave_about_is_not_sent_and_agentignore_is_heard() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/Team").unwrap();
    bed.run(&["add-folder", "/Team", "team", "--name", "team", "--mode", "two-way"]).await.fine();
    for name in [
        ".DS_Store",
        "Thumbs.db",
        "~$Plan.docx",
        ".~lock.Plan.odt#",
        ".plan.txt.swp",
        "Plan.docx",
        "big.iso",
        "keep.iso",
    ] {
        fs::write(bed.path("team").join(name), name).unwrap();
    }
    fs::write(bed.path("team/.agentignore"), "*.iso\n!keep.iso\n").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", bed.path("team/link")).unwrap();
    bed.run(&["run", "--once"]).await.fine();
    let tree: Vec<String> = bed.cloud().tree("/Team").unwrap().into_keys().collect();
    assert_eq!(tree, [".agentignore", "Plan.docx", "keep.iso"]);
    let why = bed.run(&["why", "team/big.iso"]).await.fine();
    assert!(why.contains("by the pattern *.iso"), "{why}");
    let why = bed.run(&["why", "team/.DS_Store"]).await.fine();
    assert!(why.contains("by the pattern .DS_Store"), "{why}");
    let why = bed.run(&["why", "team/link"]).await.fine();
    assert!(why.contains("it is a symbolic link, and links are neither followed nor sent"), "{why}");
    assert!(bed.run(&["problems"]).await.fine().starts_with("No problems.\nteam: 1 symbolic link is left out"));
    // Who wants them says so.
    bed.run(&["set-folder", "team", "default_ignore=false"]).await.fine();
    bed.run(&["run", "--once"]).await.fine();
    assert!(bed.cloud().tree("/Team").unwrap().contains_key("Thumbs.db"));
}

#[tokio::test]
async fn logs_can_be_json() {
    let bed = Bed::new();
    bed.write_config("log_format = \"json\"\nlog = \"info\"\n");
    let ran = bed.run(&["run", "--once"]).await;
    for line in ran.err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    ran.fine();
    bed.write_config("log_format = \"yaml\"\n");
    assert!(bed.run(&["config", "check"]).await.failed(78).contains("expected one of `text` and `json`"));
}

#[test]
fn nobody_is_told_to_write_to_root() {
    let control = include_str!("../../packaging/deb/control");
    assert!(!control.contains("localhost"), "{control}");
}
