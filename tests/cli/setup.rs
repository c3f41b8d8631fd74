//! Signing in and out, the configuration, and what is said before anything is set up.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use folder_sync_agent::sandbox::{ACCESS_TOKEN, User};

use super::Bed;

#[tokio::test]
async fn nothing_is_configured_yet_and_that_is_fine() {
    let bed = Bed::new();
    insta::assert_snapshot!(bed.run(&["status"]).await.fine(), @"nothing configured · no agent is running");
    insta::assert_snapshot!(bed.run(&["folders"]).await.fine(), @"No folder yet. Add one with: agent add-folder /REMOTE/FOLDER LOCAL");
    insta::assert_snapshot!(bed.run(&["config", "check"]).await.fine(), @"There is no $DIR/home/config.toml yet, which is fine: nothing is configured.");
    assert!(!bed.path("home").exists(), "looking makes nothing");
    insta::assert_snapshot!(bed.run(&["add-folder", "/A", "a"]).await.failed(1), @r#"
    error: nobody is signed in
    hint: sign in first: agent login box
    "#);
}

#[tokio::test]
async fn the_token_is_tried_and_then_kept_in_private() {
    let bed = Bed::with_cloud().await;
    let url = bed.url();
    let login = ["login", "box", "--account", "work", "--api-url", &url, "--token-stdin"];
    let ran = bed.run_with(&login, &format!("{ACCESS_TOKEN}\n")).await;
    insta::assert_snapshot!(ran.err, @"warning: a bare access token cannot be renewed: when it ends (Box: after about an hour) the account needs a new sign-in");
    insta::assert_snapshot!(ran.fine(), @r#"
    Signed in to box as Aki Agent (agent@example.test), account `work`.
    Next: agent add-folder /REMOTE/FOLDER LOCAL --account work
    "#);
    insta::assert_snapshot!(bed.config().replace(&url, "$URL"), @r#"
    # What the folder sync agent mirrors. `agent config check` says whether this file is right.

    [[account]]
    name = "work"
    provider = "box"
    api_url = "$URL"
    "#);
    let mode = |path: &str| fs::metadata(bed.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("home"), mode("home/credentials"), mode("home/credentials/work.json")), (0o700, 0o700, 0o600));
    assert!(!bed.config().contains(ACCESS_TOKEN));
}

#[tokio::test]
async fn a_wrong_token_changes_nothing() {
    let bed = Bed::signed_in().await;
    let before = (bed.config(), fs::read(bed.path("home/credentials/work.json")).unwrap());
    let err = bed.run_with(&["login", "box", "--account", "work", "--token-stdin"], "wrong").await.failed(77);
    insta::assert_snapshot!(err, @r#"
    error: box refuses this token
    cause: the access token has ended and nothing is there to renew it
    hint: get a fresh token, and sign in again; what was signed in before stays so
    "#);
    assert_eq!((bed.config(), fs::read(bed.path("home/credentials/work.json")).unwrap()), before);

    let err =
        bed.run_with(&["login", "box", "--account", "new", "--api-url", &bed.url(), "--token-stdin"], "wrong").await;
    err.failed(77);
    assert_eq!(bed.config(), before.0, "a new account is not kept either");
    assert_eq!(
        fs::read_dir(bed.path("home/credentials"))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".login") })
            .count(),
        0,
        "nothing is left of the trial"
    );
}

#[tokio::test]
async fn a_refresh_token_is_taken_with_its_application() {
    let bed = Bed::with_cloud().await;
    let pair = bed.cloud().issue_pair(User::Agent, 3600);
    let json = serde_json::json!({
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "client_id": "id",
        "client_secret": "secret",
        "expires_in": 3600,
    });
    let url = bed.url();
    let ran = bed.run_with(&["login", "box", "--api-url", &url, "--token-stdin"], &json.to_string()).await;
    assert_eq!(ran.err, "", "no warning: this one can be renewed");
    assert!(ran.fine().contains("account `box`"));
}

#[tokio::test]
async fn tokens_never_come_by_the_command_line() {
    let bed = Bed::with_cloud().await;
    assert!(bed.run(&["login", "box", "--token", "x"]).await.failed(2).contains("unexpected argument '--token'"));
    assert!(bed.run(&["login", "dropbox"]).await.failed(2).contains("[possible values: box, egnyte]"));
}

#[tokio::test]
async fn signing_out_revokes_and_forgets() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/A").unwrap();
    bed.run(&["add-folder", "/A", "a"]).await.fine();
    insta::assert_snapshot!(bed.run(&["logout", "work", "--forget"]).await.failed(1), @r#"
    error: the account `work` is in use by A
    hint: remove the folders first: agent remove-folder NAME
    "#);
    insta::assert_snapshot!(bed.run(&["logout", "work"]).await.fine(), @"Signed out of `work`: Box took its tokens back, they are gone from this machine, it stays in the configuration.");
    assert!(!bed.cloud().token_works(ACCESS_TOKEN));
    assert!(!bed.path("home/credentials/work.json").exists());
    assert!(bed.config().contains("name = \"work\""));
    insta::assert_snapshot!(bed.run(&["add-folder", "/A", "b"]).await.failed(77), @r#"
    error: nobody has signed in to this account
    hint: sign in again: agent login PROVIDER --account NAME
    "#);
}

#[tokio::test]
async fn a_wrong_configuration_is_explained_in_full() {
    let bed = Bed::new();
    bed.write_config("lgo = 1\n[[folder]]\nname = 'a'\n");
    insta::assert_snapshot!(bed.run(&["status"]).await.failed(78), @r#"
    error: $DIR/home/config.toml has 4 mistakes
    cause: 1:1: lgo: there is no such key; did you mean `log`?
    cause: 2:1: folder.a: `account` is missing
    cause: 2:1: folder.a: `remote` is missing
    cause: 2:1: folder.a: `local` is missing
    hint: correct the file, then look again: agent config check
    "#);
    let ran = bed.run(&["config", "check", "--json"]).await;
    assert_eq!(ran.code, 78);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((document["valid"].as_bool(), document["complaints"].as_array().unwrap().len()), (Some(false), 4));
    assert_eq!(document["complaints"][0]["line"], 1);
    bed.run(&["run"]).await.failed(78);
}

#[tokio::test]
async fn the_configuration_can_be_shown_and_found() {
    let bed = Bed::signed_in().await;
    assert_eq!(bed.run(&["config", "path"]).await.fine(), "$DIR/home/config.toml\n");
    let places = bed.run(&["config", "path", "--json"]).await.json();
    assert_eq!(
        (places["installation"].as_str(), places["socket"].as_str()),
        (Some("home"), Some("$DIR/home/control.sock"))
    );
    let shown = bed.run(&["config", "show", "--json"]).await.json();
    assert_eq!(shown["account"][0]["transfers"], 8);
}

#[tokio::test]
async fn the_doctor_sees_what_is_right_and_what_is_wrong() {
    let bed = Bed::signed_in().await;
    bed.cloud().mkdir_p("/A").unwrap();
    bed.run(&["add-folder", "/A", "a"]).await.fine();
    let verdict = |document: &serde_json::Value, name: &str| {
        let checks = document["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}"))["verdict"].clone()
    };
    let report = bed.run(&["doctor", "--json"]).await.json();
    assert_eq!(report["healthy"], true, "{report:#}");
    assert_eq!(verdict(&report, "account work"), "fine");
    assert_eq!(verdict(&report, "agent"), "warning");

    fs::remove_dir(bed.path("a")).unwrap();
    fs::set_permissions(bed.path("home/credentials/work.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = bed.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, 1);
    let report = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((verdict(&report, "account work"), verdict(&report, "folder A")), ("wrong".into(), "wrong".into()));
    assert!(bed.run(&["doctor"]).await.out.contains("chmod 600"));
}

#[tokio::test]
async fn places_follow_the_environment() {
    let bed = Bed::new();
    let user = [("HOME", bed.path("ann")), ("XDG_RUNTIME_DIR", bed.path("run"))];
    let user: Vec<_> = user.iter().map(|(name, path)| (*name, path.as_path())).collect();
    let ran = bed.run_in(&user, &["--user", "config", "path", "--json"], "").await.json();
    assert_eq!(ran["config"], "$DIR/ann/.config/folder-sync-agent/config.toml");
    assert_eq!(ran["state"], "$DIR/ann/.local/state/folder-sync-agent");
    assert_eq!(ran["socket"], "$DIR/run/folder-sync-agent/control.sock");
    let ran = bed.run_in(&user, &["--system", "config", "path"], "").await.fine();
    assert_eq!(ran, "/etc/folder-sync-agent/config.toml\n");
    let home = bed.path("h");
    assert_eq!(bed.run_in(&[("AGENT_HOME", &home)], &["config", "path"], "").await.fine(), "$DIR/h/config.toml\n");
    let ran = bed.run_in(&[("AGENT_HOME", &home)], &["--system", "config", "path"], "").await.fine();
    assert_eq!(ran, "/etc/folder-sync-agent/config.toml\n", "the command line counts before the environment");
    bed.run_in(&[], &["--user", "status"], "").await.failed(1);
    bed.run_in(&[], &["--user", "--system", "status"], "").await.failed(2);
}

#[tokio::test]
async fn completions_and_manual_pages() {
    let bed = Bed::new();
    assert!(bed.run(&["completions", "bash"]).await.fine().contains("add-folder"));
    assert!(bed.run(&["man"]).await.fine().contains(".TH agent 1"));
    bed.run(&["man", "--dir", "man"]).await.fine();
    assert!(fs::metadata(bed.path("man/agent-add-folder.1")).unwrap().size() > 500);
}
