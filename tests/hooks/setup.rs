//! Hooks from the command line: added, shown, tried, changed and removed.

use std::fs;

use serde_json::Value;

use super::gate::{remote, rows, script};
use crate::support::clamd::{Clamd, eicar, is_installed};
use crate::support::{Bed, REMOTE, until};

#[test]
fn a_hook_is_added_tried_changed_and_removed() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let judge = script(&bed, "judge", "cat > /dev/null; echo \"$AGENT_FOLDER says no\"; exit 1");
    let judge = judge.as_str();
    bed.ok(&[
        "add-hook",
        "judge",
        "--when",
        "before",
        "--on",
        "file.download",
        "--folder",
        "inbox",
        "--run",
        judge,
        "-x",
        "$HOME",
    ]);
    let refused = bed.run(&["add-hook", "other", "--when", "after", "--on", "file.download", "--run", judge]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot decide"), "{refused:?}");
    let missing = bed.run(&["add-hook", "other", "--when", "after", "--on", "*", "--run", "/nonexistent"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nonexistent cannot be run"));

    let file = bed.dir.path().join("odd\nname");
    fs::write(&file, "content").unwrap();
    let trial: Value =
        serde_json::from_str(&bed.ok(&["test-hook", "judge", file.to_str().unwrap(), "--json"])).unwrap();
    assert_eq!((trial["verdict"].as_str(), trial["exit_code"].as_i64()), (Some("reject"), Some(1)));
    assert_eq!(trial["output"], "inbox says no\n");
    assert_eq!(trial["document"]["item"]["size"], 7);
    assert!(trial["environment"].as_array().unwrap().iter().any(|pair| pair[0] == "AGENT_FILE"));
    let shown = bed.ok(&["test-hook", "judge", file.to_str().unwrap()]);
    assert!(shown.contains("it would go to quarantine") && shown.contains("\"schema\":1"), "{shown}");
    assert!(
        !bed.local().join("odd\nname").exists() && rows(&bed, &["hook-runs", "--json"]).is_empty(),
        "nothing was done"
    );

    bed.ok(&["set-hook", "judge", "timeout=5s", "match=*.pdf", "match=*.docx", "on_reject=block"]);
    let config = fs::read_to_string(bed.home().join("config.toml")).unwrap();
    assert!(config.contains("match = [\"*.pdf\", \"*.docx\"]") && config.contains("\"-x\", \"$HOME\""), "{config}");
    assert_eq!(rows(&bed, &["hooks", "--json"])[0]["name"], "judge");
    bed.ok(&["remove-hook", "judge"]);
    assert!(rows(&bed, &["hooks", "--json"]).is_empty());
    assert!(!bed.run(&["test-hook", "judge", file.to_str().unwrap()]).status.success());
}

#[test]
fn scanning_is_set_up_in_one_word() {
    let bed = Bed::new();
    let local = bed.local();
    bed.ok(&["add-folder", REMOTE, local.to_str().unwrap(), "--name", "inbox", "--yes", "--scan", "clamd"]);
    let hook = &rows(&bed, &["hooks", "--json"])[0];
    assert_eq!((hook["name"].as_str(), hook["folder"].as_str()), (Some("scan-inbox"), Some("inbox")));
    assert_eq!((hook["calls"].as_str(), hook["last_run"].as_i64()), (Some("clamd"), None));
    assert_eq!(hook["on"], serde_json::json!(["file.download", "file.upload"]), "both ways");
    if !is_installed() {
        return;
    }
    // The scanner of the machine may not run: one of our own stands in.
    let clamd_dir = tempfile::tempdir().unwrap();
    let clamd = Clamd::start(clamd_dir.path(), &[]);
    bed.ok(&["set-hook", "scan-inbox", &format!("scan=clamd:{}", clamd.socket().display())]);
    bed.cloud().write(&remote("bad.com"), eicar()).unwrap();
    bed.cloud().write(&remote("good.txt"), b"good".to_vec()).unwrap();
    let agent = bed.start();
    until("the good file and the bad one", || {
        local.join("good.txt").exists() && rows(&bed, &["quarantine", "list", "--json"]).len() == 1
    });
    assert!(!local.join("bad.com").exists());
    // The same content under another name is not scanned again.
    bed.cloud().write(&remote("again.txt"), b"good".to_vec()).unwrap();
    until("the copy", || local.join("again.txt").exists());
    assert_eq!(rows(&bed, &["hook-runs", "--json"]).len(), 2, "the verdict was remembered");
    let hook = &rows(&bed, &["hooks", "--json"])[0];
    let count = |name: &str| hook[name].as_u64().unwrap();
    assert!(hook["last_run"].is_i64(), "{hook}");
    assert_eq!((count("runs_24h"), count("rejected_24h"), count("failures_24h")), (2, 1, 0), "{hook}");
    let doctor = bed.run(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("scan-inbox") && doctor.contains("ClamAV"), "{doctor}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn files_that_are_there_already_are_examined_before_they_count() {
    let bed = Bed::new();
    fs::create_dir(bed.local()).unwrap();
    fs::write(bed.local().join("a.txt"), "the same").unwrap();
    bed.cloud().write(&remote("a.txt"), b"the same".to_vec()).unwrap();
    bed.add_folder(&[]);
    let judge = script(&bed, "judge", "exit 1");
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--run", &judge]);
    let agent = bed.start();
    until("the verdict", || rows(&bed, &["quarantine", "list", "--json"]).iter().any(|row| row["state"] == "held"));
    let status = bed.status().unwrap();
    assert_eq!(status["in_sync"], false, "{status}");
    assert_eq!(status["folders"][0]["files"], 0, "{status}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_dry_run_shows_what_would_be_sent_and_sends_nothing() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    // Nobody listens there.
    bed.ok(&[
        "add-hook",
        "crm",
        "--when",
        "after",
        "--on",
        "*",
        "--action",
        "created",
        "--action",
        "deleted",
        "--url",
        "http://127.0.0.1:1/in",
        "--format",
        "cloudevents",
        "--header",
        "X-Key=credential:key",
    ]);
    let file = bed.dir.path().join("a.txt");
    fs::write(&file, "content").unwrap();
    let args = ["test-hook", "crm", file.to_str().unwrap(), "--event", "file.deleted", "--dry-run", "--json"];
    let told: Value = serde_json::from_str(&bed.ok(&args)).unwrap();
    let body: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (body["specversion"].as_str(), body["type"].as_str()),
        (Some("1.0"), Some("folder-sync-agent.file.deleted"))
    );
    assert_eq!(body["data"]["item"]["size"], 7);
    assert!(body["data"].get("file").is_none(), "a server gets no path of ours");
    let request = told["request"].as_array().unwrap();
    assert!(request.iter().any(|line| line == "content-type: application/cloudevents+json; charset=utf-8"), "{told}");
    assert!(request.iter().any(|line| line == "X-Key: credential:key"), "{told}");
    let shown = bed.ok(&["test-hook", "crm", file.to_str().unwrap(), "-n"]);
    assert!(shown.contains("POST http://127.0.0.1:1/in") && shown.contains("Nothing was run"), "{shown}");
    let wrong =
        bed.run(&["add-hook", "x", "--when", "before", "--on", "*", "--action", "created", "--run", "/bin/true"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("`after` hooks only"), "{wrong:?}");
}
