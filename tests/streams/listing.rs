//! `agent events`, `agent events -f` and what the provider still keeps.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{Fault, User};
use serde_json::Value;

use super::{events, field, json_lines};
use crate::support::{Bed, PATIENCE, until};

const OUTSIDE: &str = "/Elsewhere";

fn bed() -> Bed {
    let bed = Bed::new();
    bed.cloud().mkdir_p(OUTSIDE).unwrap();
    bed.add_folder(&[]);
    bed
}

#[test]
fn every_event_has_a_type_and_a_disposition() {
    let bed = bed();
    let cloud = bed.cloud();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.write("/Projects/Inbox/a.txt", b"a".to_vec()).unwrap();
    cloud.write("/Elsewhere/b.txt", b"b".to_vec()).unwrap();
    cloud.announce("ITEM_TELEPORT", Some("/Elsewhere/b.txt")).unwrap();
    cloud.announce("SHIELD_ALERT", None).unwrap();
    cloud.announce("COLLAB_ROLE_CHANGE", None).unwrap();
    until("five events that are worked off", || {
        let rows = events(&bed, &[]);
        rows.len() == 5 && rows.iter().all(|row| row["disposition"] != "pending")
    });
    let rows = events(&bed, &["--raw"]);
    let said: Vec<(String, String)> = field(&rows, "type").into_iter().zip(field(&rows, "disposition")).collect();
    let said: Vec<(&str, &str)> = said.iter().map(|(one, two)| (one.as_str(), two.as_str())).collect();
    assert_eq!(
        said,
        [
            ("item.uploaded", "applied"),
            ("item.uploaded", "outside"),
            ("unknown", "outside"),
            ("shield.alert", "ignored"),
            ("collaboration.role_changed", "unplaced"),
        ]
    );
    assert_eq!(rows[1]["path"], "/Elsewhere/b.txt", "the path of an item that no folder watches");
    assert_eq!(rows[2]["raw"]["event_type"], "ITEM_TELEPORT", "an unknown type is kept as it came");
    assert!(rows[1].get("raw").is_none(), "the text of what is known is not kept for nothing: {}", rows[1]);
    // Every line has what the schema wants, and nothing that it does not know.
    let schema: Value = serde_json::from_str(&bed.ok(&["events", "schema"])).unwrap();
    let event = &schema["$defs"]["event"];
    let known: BTreeSet<&String> = event["properties"].as_object().unwrap().keys().collect();
    for row in &rows {
        for name in event["required"].as_array().unwrap() {
            assert!(row.get(name.as_str().unwrap()).is_some(), "{name} is missing in {row}");
        }
        assert!(row.as_object().unwrap().keys().all(|key| known.contains(key)), "{row}");
        assert!(event["properties"]["disposition"]["enum"].as_array().unwrap().contains(&row["disposition"]));
        assert!(event["properties"]["kind"]["enum"].as_array().unwrap().contains(&row["kind"]));
    }

    let count = |args: &[&str]| events(&bed, args).len();
    for (args, wanted) in [
        (&["--folder", "inbox"][..], 2),
        (&["--account", "work"], 5),
        (&["--type", "item.*"], 2),
        (&["--type", "uploaded,shield.alert"], 3),
        (&["--type", "ITEM_TELEPORT"], 1),
        (&["--disposition", "outside,ignored"], 3),
        (&["--path", "*.txt"], 3),
        (&["--path", "Elsewhere/"], 2),
        (&["--actor", "olu"], 5),
        (&["--actor", "nobody"], 0),
        (&["--since", "1h"], 5),
        (&["--until", "1h"], 0),
        (&["--limit", "2"], 2),
    ] {
        assert_eq!(count(args), wanted, "{args:?}");
    }
    assert_eq!(bed.run(&["events", "--type", "item.uploadd"]).status.code(), Some(2), "a slip is refused");
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(count(&[]), 5, "without an agent the journal is read all the same");
}

#[test]
fn what_is_told_again_is_counted_and_what_others_read_is_shown() {
    let bed = bed();
    let config = std::fs::read_to_string(bed.home().join("config.toml")).unwrap();
    let all = config.replace("provider = \"box\"\n", "provider = \"box\"\nstream = \"all\"\n");
    std::fs::write(bed.home().join("config.toml"), all).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    bed.cloud().faults().once("events", Fault::DuplicateEvents);
    bed.cloud().write("/Projects/Inbox/a.txt", b"a".to_vec()).unwrap();
    until("the event twice", || events(&bed, &["--disposition", "duplicate"]).len() == 1);
    let row = &events(&bed, &["--disposition", "duplicate"])[0];
    assert_eq!((row["repeats"].as_u64(), row["type"].as_str()), (Some(1), Some("item.uploaded")));
    bed.cloud().as_user(User::Other).announce("ITEM_PREVIEW", Some("/Projects/Inbox/a.txt")).unwrap();
    until("the preview", || !events(&bed, &["--type", "item.previewed"]).is_empty());
    assert_eq!(events(&bed, &["--type", "item.previewed"])[0]["disposition"], "ignored");
    // Our own download of the file was told on this stream too, and is no row.
    assert!(events(&bed, &["--type", "item.downloaded"]).is_empty());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_closed_pipe_ends_the_follower_and_nothing_else() {
    let bed = bed();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    bed.cloud().write("/Projects/Inbox/a.txt", b"a".to_vec()).unwrap();
    until("the file", || bed.local().join("a.txt").exists());
    let mut follower = bed
        .agent()
        .args(["events", "-f", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((first["path"].as_str(), first["outcome"].as_str()), (Some("a.txt"), Some("downloaded")));
    bed.cloud().write("/Elsewhere/b.txt", b"b".to_vec()).unwrap();
    let second: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(second["disposition"], "outside", "live: {second}");
    drop(lines);
    let ended = Instant::now() + PATIENCE;
    // Nobody reads any more: the next event finds that out.
    bed.cloud().write("/Elsewhere/c.txt", b"c".to_vec()).unwrap();
    let status = loop {
        if let Some(status) = follower.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < ended, "the follower goes on without a reader");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    let mut said = String::new();
    std::io::Read::read_to_string(&mut follower.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn the_provider_is_asked_for_what_it_keeps_and_no_folder_is_touched() {
    let bed = bed();
    let cloud = bed.cloud();
    for number in 0..20 {
        cloud.write(&format!("/Elsewhere/{number}.txt"), b"x".to_vec()).unwrap();
    }
    let cursors: Value = serde_json::from_str(&bed.ok(&["cursor", "--json"])).unwrap();
    let row = &cursors["rows"][0];
    assert_eq!((row["stream"].as_str(), row["agent"].as_str()), (Some("changes"), None));
    let place = row["newest"].as_str().unwrap().to_owned();
    cloud.write("/Projects/Inbox/a.txt", b"a".to_vec()).unwrap();
    let since = events(&bed, &["--from-cursor", &place]);
    assert_eq!(field(&since, "path"), ["/Projects/Inbox/a.txt"]);
    assert_eq!((since[0]["disposition"].as_str(), since[0]["id"].as_u64()), (Some("unseen"), Some(0)));
    let all = events(&bed, &["--from-cursor", "0", "--until-caught-up"]);
    assert_eq!(all.len() as u64, cloud.events_total(), "position 0 is as far back as there is");
    let output = bed.run(&["events", "--from-cursor", "0", "--json", "--type", "item.created"]);
    assert_eq!(json_lines(&String::from_utf8_lossy(&output.stdout)).len(), 3, "the filters count here too");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("call") && said.contains("next place"), "what it costs and where it ended: {said}");
    assert_eq!(events(&bed, &["--from", "1h"]).len(), all.len());
    assert!(events(&bed, &["--from", "2099-01-01"]).is_empty());
    for stream in ["all", "sync", "admin_logs", "admin_logs_streaming"] {
        assert!(!events(&bed, &["--stream", stream]).is_empty(), "{stream}");
    }
    assert!(
        !bed.local().join("a.txt").exists() && events(&bed, &[]).is_empty(),
        "nothing was recorded and nothing was fetched"
    );
}

#[test]
fn egnytes_events_are_found_by_date() {
    let bed = Bed::egnyte();
    let cloud = bed.cloud();
    for number in 0..300 {
        cloud.mkdir_p(&format!("/Shared/Other/{number}")).unwrap();
    }
    let all = events(&bed, &["--from-cursor", "0"]);
    assert!(all.len() >= 300, "{}", all.len());
    assert!(all.iter().all(|row| row["type"] == "item.created"), "{}", all[0]);
    assert_eq!(events(&bed, &["--from", "1h"]).len(), all.len());
    cloud.reset_counters();
    assert!(events(&bed, &["--from", "2099-01-01"]).is_empty());
    assert!(cloud.api_calls() <= 8, "a date is found by halving: {:?}", cloud.counters());
    assert_eq!(bed.run(&["events", "--stream", "all"]).status.code(), Some(2), "only Box has several streams");
}

#[test]
fn the_taxonomy_is_listed() {
    let bed = Bed::new();
    let listing: Value = serde_json::from_str(&bed.ok(&["events", "types", "--json"])).unwrap();
    let rows = listing["rows"].as_array().unwrap();
    let of = |provider: &str| rows.iter().filter(|row| row["provider"] == provider).count();
    assert!(of("box") >= 201 && of("egnyte") >= 10);
    let alert = rows.iter().find(|row| row["word"] == "SHIELD_ALERT").unwrap();
    assert_eq!((alert["name"].as_str(), alert["meaning"].as_str()), (Some("shield.alert"), Some("nothing")));
    assert!(bed.ok(&["events", "types", "--provider", "egnyte"]).contains("folder.permission_changed"));
}
