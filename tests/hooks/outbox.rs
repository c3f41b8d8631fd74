//! What has happened is told, at least once and in order, whatever becomes of the agent, the hook or its server meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use folder_sync_agent::sandbox::ACCESS_TOKEN;
use serde_json::Value;

use super::gate::{remote, rows, script};
use crate::support::{Bed, PATIENCE, until};

fn add_after(bed: &Bed, name: &str, on: &str, more: &[&str]) {
    let mut args = vec!["add-hook", name, "--when", "after", "--on", on];
    args.extend(more);
    bed.ok(&args);
}

fn lines(path: &PathBuf) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A hook that writes one line for each call.
fn noting(bed: &Bed, then: &str) -> (String, PathBuf) {
    let log = bed.dir.path().join("calls");
    let program = script(
        bed,
        "note",
        &format!(
            "cat > /dev/null; echo \"$AGENT_EVENT $AGENT_PATH $AGENT_DELIVERY $AGENT_ATTEMPT\" >> {}\n{then}",
            log.display()
        ),
    );
    (program, log)
}

#[test]
fn a_files_life_is_told_in_order() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let (program, log) = noting(&bed, "");
    add_after(&bed, "note", "*", &["--match", "*", "--run", &program]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let told = |count: usize| {
        until(&format!("{count} calls, not {:?}", lines(&log)), || lines(&log).len() >= count);
        lines(&log).iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    cloud.write(&remote("a.txt"), b"1".to_vec()).unwrap();
    told(1);
    cloud.write(&remote("a.txt"), b"2".to_vec()).unwrap();
    told(2);
    cloud.rename(&remote("a.txt"), "b.txt").unwrap();
    told(3);
    cloud.mkdir_p(&remote("dir")).unwrap();
    told(4);
    cloud.move_to(&remote("b.txt"), &remote("dir")).unwrap();
    told(5);
    cloud.trash(&remote("dir/b.txt")).unwrap();
    let calls = told(6);
    assert_eq!(
        calls,
        [
            "file.created a.txt",
            "file.updated a.txt",
            "file.renamed b.txt",
            "folder.created dir",
            "file.moved dir/b.txt",
            "file.deleted dir/b.txt"
        ]
    );
    // A program has noted what it was told before its run is written down.
    until("the record of the last run", || rows(&bed, &["hook-runs", "note", "--json"]).len() == 6);
    let runs = rows(&bed, &["hook-runs", "note", "--json"]);
    assert!(runs.iter().all(|run| run["effect"] == "delivered"), "{runs:#?}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_was_being_told_when_the_agent_died_is_told_again() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let gate = bed.dir.path().join("gate");
    let (program, log) = noting(&bed, &format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display()));
    add_after(&bed, "note", "file.created", &["--run", &program]);
    let agent = bed.start();
    cloud.write(&remote("a.txt"), b"1".to_vec()).unwrap();
    until("the call", || lines(&log).len() == 1);
    agent.kill();
    fs::write(&gate, "").unwrap();
    let agent = bed.start();
    until("the second call", || lines(&log).len() == 2);
    until("the run", || !rows(&bed, &["hook-runs", "--json"]).is_empty());
    let calls = lines(&log);
    let key = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
    assert_eq!(key(&calls[0]), key(&calls[1]), "the same delivery, so that the receiver can tell");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_dead_letter_is_told_when_somebody_says_so() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let gate = bed.dir.path().join("gate");
    let (program, log) = noting(&bed, &format!("[ -e {} ] || {{ echo no receiver; exit 7; }}", gate.display()));
    add_after(&bed, "note", "file.created", &["--run", &program]);
    bed.ok(&["set-hook", "note", "attempts=1"]);
    let agent = bed.start();
    cloud.write(&remote("a.txt"), b"1".to_vec()).unwrap();
    let hook = || rows(&bed, &["hooks", "--json"])[0].clone();
    until("the dead letter", || hook()["dead"] == 1);
    let run = &rows(&bed, &["hook-runs", "--failed", "--json"])[0];
    assert_eq!((run["exit_code"].as_i64(), run["effect"].as_str()), (Some(7), Some("dead")));
    assert!(run["output"].as_str().unwrap().contains("no receiver"));
    fs::write(&gate, "").unwrap();
    bed.ok(&["replay", "--failed"]);
    until("the delivery", || hook()["dead"] == 0 && lines(&log).len() == 2);
    until("the second run", || rows(&bed, &["hook-runs", "--json"]).len() == 2);
    // Once more by its number, with the same key; a number that is none is an error.
    bed.ok(&["replay", &run["run"].to_string()]);
    until("the third call", || lines(&log).len() == 3);
    let keys: std::collections::BTreeSet<String> =
        lines(&log).iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 1);
    assert!(!bed.run(&["replay", "999"]).status.success());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_slow_hook_starves_neither_the_sync_nor_the_others() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let slow = script(&bed, "slow", "sleep 1000");
    let (program, log) = noting(&bed, "");
    add_after(&bed, "slow", "*", &["--run", &slow]);
    add_after(&bed, "note", "file.created", &["--run", &program]);
    let agent = bed.start();
    for number in 0..30 {
        cloud.write(&remote(&format!("{number}.txt")), b"x".to_vec()).unwrap();
    }
    bed.wait_equal(PATIENCE);
    until("the other hook", || lines(&log).len() == 30);
    let slow = rows(&bed, &["hooks", "--json"]).into_iter().find(|hook| hook["name"] == "slow").unwrap();
    assert_eq!(slow["waiting"], 30);
    assert_eq!(agent.stop(), Some(0));
}

/// Answers POSTs with the statuses in turn (the last one for ever), and keeps what was posted.
fn server(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let posted: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&posted);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let status = statuses[number.min(statuses.len() - 1)];
            if let Some(request) = answer(stream.unwrap(), status) {
                kept.lock().unwrap().push(request);
            }
        }
    });
    (url, posted)
}

fn answer(mut stream: TcpStream, status: u16) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
        if body.len() >= length {
            break;
        }
    }
    let _ =
        stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
    String::from_utf8(request).ok()
}

/// What integrators copy from the README must accept what we send, and nothing else.
fn readmes_verifier(secret: &str, request: &str) -> bool {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```python\n").unwrap();
    let (verifier, _) = rest.split_once("```").unwrap();
    let main = "\nimport json, sys\nsecret, request = json.load(sys.stdin)\nhead, body = request.split('\\r\\n\\r\\n', 1)\n\
                headers = dict(line.split(': ', 1) for line in head.split('\\r\\n')[1:])\n\
                sys.exit(0 if is_genuine(secret.encode(), headers, body.encode()) else 1)\n";
    let mut child = Command::new("python3")
        .args(["-c", &format!("{verifier}{main}")])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(serde_json::json!([secret, request]).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[test]
fn a_server_that_fails_is_told_again_and_can_verify_the_signature() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let (url, posted) = server(&[500, 200]);
    let secrets = bed.home().join("credentials/hooks");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("crm"), "s3cret\n").unwrap();
    fs::set_permissions(secrets.join("crm"), fs::Permissions::from_mode(0o600)).unwrap();
    add_after(
        &bed,
        "crm",
        "file.created",
        &["--match", "*.pdf", "--sign", "crm", "--header", "X-Team=papers", "--url", &url],
    );
    let agent = bed.start();
    cloud.write(&remote("a.txt"), b"not for the server".to_vec()).unwrap();
    cloud.write(&remote("a.pdf"), b"%PDF".to_vec()).unwrap();
    until("two deliveries", || posted.lock().unwrap().len() == 2);
    until("the runs", || rows(&bed, &["hook-runs", "--json"]).len() == 2);
    let posted = posted.lock().unwrap().clone();
    let body = |request: &str| -> Value { serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap() };
    let (first, second) = (body(&posted[0]), body(&posted[1]));
    assert_eq!(first["delivery"], second["delivery"]);
    assert_eq!((first["attempt"].as_u64(), second["attempt"].as_u64()), (Some(1), Some(2)));
    assert_eq!((first["item"]["path"].as_str(), first["file"].as_str()), (Some("a.pdf"), None));
    assert!(posted[0].contains("x-team: papers"), "{}", posted[0]);
    for request in &posted {
        assert!(readmes_verifier("s3cret", request));
        assert!(!readmes_verifier("other", request));
        assert!(!readmes_verifier("s3cret", &request.replace("a.pdf", "b.pdf")));
    }
    let runs = rows(&bed, &["hook-runs", "crm", "--json"]);
    assert_eq!((runs[0]["status"].as_u64(), runs[0]["effect"].as_str()), (Some(500), Some("again")));
    assert_eq!((runs[1]["status"].as_u64(), runs[1]["effect"].as_str()), (Some(200), Some("delivered")));
    assert_eq!(agent.stop(), Some(0));
}

const WRITER: &str = r#"#!/usr/bin/env python3
import json, os, sys, urllib.request
document = json.load(sys.stdin)
with open(LOG, "a") as log: print(document["depth"], ",".join(document["causes"]), file=log)
boundary = "b0undary"
part = '--%s\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n%s\r\n--%s--\r\n'
body = (part % (boundary, document["delivery"], boundary)).encode()
request = urllib.request.Request(URL + "/api/2.0/files/" + document["item"]["id"] + "/content", body, {
    "Authorization": "Bearer " + TOKEN, "Content-Type": "multipart/form-data; boundary=" + boundary})
urllib.request.urlopen(request).read()
"#;

#[test]
fn a_hook_that_causes_itself_is_stopped_and_reported() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let log = bed.dir.path().join("calls");
    let quoted = |text: &str| format!("{text:?}");
    let writer = WRITER
        .replace("LOG", &quoted(log.to_str().unwrap()))
        .replace("URL", &quoted(&bed.sandbox.url()))
        .replace("TOKEN", &quoted(ACCESS_TOKEN));
    let program = bed.dir.path().join("writer");
    fs::write(&program, writer).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    add_after(&bed, "writer", "file.*", &["--run", program.to_str().unwrap()]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.write(&remote("a.txt"), b"somebody else's".to_vec()).unwrap();
    let hook = || rows(&bed, &["hooks", "--json"])[0].clone();
    until("the end of the chain", || hook()["dead"] == 1);
    until("the last run", || rows(&bed, &["hook-runs", "--json"]).len() == 9);
    let depths: Vec<String> = lines(&log).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(
        depths,
        (0..9).map(|depth| depth.to_string()).collect::<Vec<_>>(),
        "{:?}",
        rows(&bed, &["hook-runs", "--json"])
    );
    assert!(lines(&log)[2].ends_with("writer,writer"), "{:?}", lines(&log));
    assert!(bed.log().contains("hook_loop"), "{}", bed.log());
    bed.wait_equal(PATIENCE);
    assert_eq!(hook()["waiting"], 0);
    assert_eq!(agent.stop(), Some(0));
}
