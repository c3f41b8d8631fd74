//! The official Node SDK's `EventStream` and `EnterpriseEventStream` beside ours, on the same streams with events that come twice, out of order
//! and late: the same set of events, ours in a file and across SIGKILLs. STREAM_KILLS says how many (10; the long form is 50).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Chaos};

use super::json_lines;
use crate::support::{Bed, until};

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Events of the time before: two folders and the watched one.
const EARLIER: usize = 3;

/// Ids by stream.
type Seen = BTreeMap<String, BTreeSet<String>>;

#[test]
fn ours_and_the_official_sdk_see_the_same_events() {
    let is_there = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("skipped: node is not installed");
        return;
    }
    let setup = Command::new(clients().join("setup.sh")).arg("box-node3").output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
    let kills: u32 = std::env::var("STREAM_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);

    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p("/Elsewhere").unwrap();
    let path = bed.home().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let user = config.replace("provider = \"box\"\n", "provider = \"box\"\nstream = \"all\"\n");
    let of_enterprise = "provider = \"box\"\nstream = \"admin_logs_streaming\"\npoll_min = \"1s\"\npoll_max = \"1s\"\n";
    let enterprise =
        config.replace("provider = \"box\"\n", of_enterprise).replace("name = \"work\"", "name = \"boss\"");
    let enterprise = &enterprise[enterprise.find("[[account]]").unwrap()..];
    std::fs::write(&path, format!("{user}\n{enterprise}")).unwrap();
    let credentials = bed.home().join("credentials");
    std::fs::copy(credentials.join("work.json"), credentials.join("boss.json")).unwrap();
    let files: BTreeMap<&str, PathBuf> = [("user", "work"), ("enterprise", "boss")]
        .map(|(stream, account)| {
            let file = bed.dir.path().join(format!("{stream}.jsonl"));
            bed.ok(&["subscribe", stream, "--file", file.to_str().unwrap(), "--account", account]);
            (stream, file)
        })
        .into();
    let mut agent = bed.start();
    until("both streams", || {
        bed.status().is_some_and(|status| {
            status["accounts"].as_array().unwrap().iter().filter(|account| account["last_poll"].is_i64()).count() == 2
        })
    });

    let theirs: Arc<Mutex<Seen>> = Arc::default();
    let mut sdk = Command::new("node")
        .arg(clients().join("box_streams.js"))
        .env("SANDBOX_URL", bed.sandbox.url())
        .env("SANDBOX_TOKEN", ACCESS_TOKEN)
        .env("NODE_PATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/box-node3/node_modules"))
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sdk.stdout.take().unwrap()).lines();
    let noted = Arc::clone(&theirs);
    let reader = std::thread::spawn(move || {
        for line in lines {
            let line = line.unwrap();
            let (stream, id) = line.split_once(' ').unwrap();
            noted.lock().unwrap().entry(stream.to_owned()).or_default().insert(id.to_owned());
        }
    });
    until("the SDK", || theirs.lock().unwrap().contains_key("ready"));

    cloud.faults().chaos(Chaos { seed: 7, events_percent: 40, ..Chaos::default() });
    let before = cloud.events_total();
    for kill in 0..kills {
        for number in 0..10 {
            cloud.write(&format!("/Elsewhere/{kill}-{number}.txt"), b"x".to_vec()).unwrap();
        }
        cloud.announce("ITEM_PREVIEW", Some("/Elsewhere/0-0.txt")).unwrap();
        cloud.announce("SHIELD_ALERT", None).unwrap();
        agent.kill();
        agent = bed.start();
        // A few live to see something, and a few are killed while they start.
        if kill % 3 == 0 {
            until("an agent that answers", || bed.status().is_some());
        }
    }
    cloud.faults().chaos(Chaos::default());
    let wanted = (cloud.events_total() - before) as usize;
    let ours = |stream: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(&files[stream]).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        json_lines(whole).iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
    };
    // What the provider keeps is the truth. A page that was rewound may show what happened before we all began.
    let began = theirs.lock().unwrap()["ready"].first().unwrap().clone();
    for (stream, account) in [("user", "work"), ("enterprise", "boss")] {
        let kept = super::events(&bed, &["--account", account, "--from-cursor", &began]);
        let truth: BTreeSet<String> = super::field(&kept, "event_id").into_iter().collect();
        assert_eq!(truth.len(), wanted, "{stream}");
        until(&format!("all {wanted} events of the {stream} stream here"), || ours(stream).is_superset(&truth));
        until(&format!("all {wanted} events of the {stream} stream at the SDK"), || {
            theirs.lock().unwrap().get(stream).is_some_and(|ids| ids.is_superset(&truth))
        });
        let before = |ids: &BTreeSet<String>| ids.difference(&truth).count();
        let early = (before(&ours(stream)), before(&theirs.lock().unwrap()[stream]));
        assert!(early.0 <= EARLIER && early.1 <= EARLIER, "{stream}: {early:?} that nobody can have");
    }
    println!("{wanted} events on each stream, {kills} SIGKILLs");
    drop(sdk.stdin.take());
    sdk.wait().unwrap();
    reader.join().unwrap();
    until("an agent that answers", || bed.status().is_some());
    assert_eq!(agent.stop(), Some(0));
}
