//! Durable consumers: at least once, in order, whatever becomes of the agent or the target meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use serde_json::Value;

use super::receiver::Receiver;
use super::{field, json_lines, subscription};
use crate::support::{Bed, PATIENCE, until};

fn bed() -> Bed {
    let bed = Bed::new();
    bed.cloud().mkdir_p("/Elsewhere").unwrap();
    bed.add_folder(&[]);
    bed
}

fn write(bed: &Bed, numbers: std::ops::Range<u32>) {
    for number in numbers {
        bed.cloud().write(&format!("/Elsewhere/{number}.txt"), format!("{number}").into_bytes()).unwrap();
    }
}

fn names(rows: &[Value]) -> Vec<String> {
    field(rows, "path").iter().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
}

fn wanted(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{number}.txt")).collect()
}

#[test]
fn a_file_gets_every_event_in_order_across_kills() {
    let bed = bed();
    let path = bed.dir.path().join("events.jsonl");
    bed.ok(&["subscribe", "audit", "--file", path.to_str().unwrap(), "--type", "item.*"]);
    let mut agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    for round in 0..5 {
        write(&bed, round * 20..round * 20 + 20);
        if round % 2 == 0 {
            let so_far = wanted(0..round * 20 + 1);
            until("some of it", || names(&json_lines(&whole(&path))).len() >= so_far.len());
        }
        agent.kill();
        // What a kill in the middle of a write leaves.
        fs::OpenOptions::new().append(true).create(true).open(&path).unwrap().write_all(b"{\"id\":").unwrap();
        agent = bed.start();
    }
    let read = || json_lines(&whole(&path));
    until("everything", || names(&read()).into_iter().collect::<BTreeSet<_>>().len() == 100);
    // At least once: what was written and not yet noted may come again, and never out of order.
    let mut newest = 0;
    let mut firsts = Vec::new();
    for row in read() {
        let id = row["id"].as_u64().unwrap();
        if id > newest {
            newest = id;
            firsts.push(row);
        }
    }
    assert_eq!(names(&firsts), wanted(0..100));
    bed.wait_in_sync(PATIENCE);
    until("the place", || subscription(&bed, "audit")["state"] == "caught_up");
    assert_eq!(agent.stop(), Some(0));
}

/// The whole lines of a file: the last one may be under way.
fn whole(path: &std::path::Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.rfind('\n').map_or_else(String::new, |end| text[..=end].to_owned())
}

#[test]
fn a_single_run_delivers_before_it_ends() {
    let bed = bed();
    let path = bed.dir.path().join("events.jsonl");
    bed.ok(&["subscribe", "audit", "--file", path.to_str().unwrap()]);
    bed.ok(&["subscribe", "nobody", "--socket", bed.dir.path().join("none.sock").to_str().unwrap()]);
    bed.ok(&["run", "--once"]);
    write(&bed, 0..30);
    bed.ok(&["run", "--once"]);
    assert_eq!(names(&json_lines(&whole(&path))), wanted(0..30));
    assert_eq!(subscription(&bed, "audit")["state"], "caught_up");
    assert_eq!(subscription(&bed, "nobody")["state"], "unreachable", "and waits for nobody who is not there");
    assert_eq!(subscription(&bed, "nobody")["waiting"], 30);
}

#[test]
fn a_webhook_is_signed_and_waited_for() {
    let bed = bed();
    let receiver = Receiver::start();
    let secrets = bed.home().join("credentials/hooks");
    fs::create_dir_all(&secrets).unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(secrets.join("key"), "s3cret").unwrap();
    fs::set_permissions(secrets.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    bed.ok(&["subscribe", "crm", "--url", &receiver.url(), "--sign", "key", "--batch", "7", "--raw"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    receiver.answer(503);
    write(&bed, 0..20);
    until("a named state", || subscription(&bed, "crm")["state"] == "unreachable");
    let row = subscription(&bed, "crm");
    assert!(row["reason"].as_str().unwrap().contains("503") && row["next_try"].is_i64(), "{row}");
    assert!(bed.ok(&["subscriptions"]).contains("unreachable"));
    assert!(receiver.refused() > 0 && receiver.taken().is_empty());
    // Nobody waits for it: the folder goes on.
    bed.cloud().write("/Projects/Inbox/a.txt", b"a".to_vec()).unwrap();
    until("the file", || bed.local().join("a.txt").exists());

    receiver.answer(204);
    until("everything", || receiver.events().len() == 21);
    let posts = receiver.taken();
    assert_eq!(names(&receiver.events())[..20], wanted(0..20)[..]);
    assert!(posts.iter().all(|post| post.events().len() <= 7));
    assert_eq!(receiver.events()[0]["raw"]["event_type"], "ITEM_UPLOAD", "with --raw");
    let post = &posts[0];
    let body: Value = serde_json::from_slice(&post.body).unwrap();
    assert_eq!((body["schema"].as_u64(), body["subscription"].as_str()), (Some(1), Some("crm")));
    assert_eq!(body["delivery"].as_str(), post.headers.get("agent-delivery").map(String::as_str));
    let timestamp = post.headers["agent-timestamp"].parse().unwrap();
    let key = secrecy::SecretString::from("s3cret");
    let signature = folder_sync_agent::runner::post::signature(&key, timestamp, &post.body).unwrap();
    assert_eq!(post.headers["agent-signature"], format!("sha256={signature}"));
    until("it is well again", || subscription(&bed, "crm")["state"] == "caught_up");
    let row = subscription(&bed, "crm");
    assert_eq!((row["delivered"].as_u64(), row["failures"].as_u64()), (Some(21), Some(0)), "{row}");

    // What was delivered can be had again.
    bed.ok(&["subscriptions", "replay", "crm", "--all"]);
    until("everything again", || receiver.events().len() == 42);
    // A subscription that is removed stops, and its place goes.
    bed.ok(&["unsubscribe", "crm"]);
    until("it is gone", || subscription(&bed, "crm").is_null());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_socket_confirms_what_it_has() {
    let bed = bed();
    let path = bed.dir.path().join("in.sock");
    bed.ok(&["subscribe", "local", "--socket", path.to_str().unwrap(), "--batch", "5"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    write(&bed, 0..10);
    until("a named state", || subscription(&bed, "local")["state"] == "unreachable");
    let listener = UnixListener::bind(&path).unwrap();
    // The first receiver dies with a batch in its hands: it comes again.
    let (stream, _) = listener.accept().unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut taken = Vec::new();
    while taken.len() < 10 {
        let row: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        taken.push(row.clone());
        writeln!(stream, "{}", row["id"]).unwrap();
    }
    assert_eq!(names(&taken), wanted(0..10));
    until("the place", || subscription(&bed, "local")["state"] == "caught_up");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_wrong_subscription_is_refused_with_its_reason() {
    let bed = bed();
    for (args, reason) in [
        (&["--file", "/tmp/x", "--socket", "/tmp/y"][..], "cannot be used with"),
        (&["--nats", "http://x"], "no address of a NATS server"),
        (&["--nats", "nats://user:secret@x"], "secrets are never kept"),
        (&["--nats", "nats://x", "--subject", "a..b"], "no subject"),
        (&["--url", "http://example.com/in"], "https"),
        (&["--file", "/tmp/x", "--account", "wrok"], "did you mean"),
        (&["--file", "/tmp/x", "--when-full", "explode"], "block"),
    ] {
        let mut all = vec!["subscribe", "one"];
        all.extend(args);
        let output = bed.run(&all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(reason), "{args:?}: {said}");
        assert!(!said.contains("secret@"), "{said}");
    }
}
