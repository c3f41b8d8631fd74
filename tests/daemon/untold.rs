//! What the stream does not tell, or tells so that nobody can read it: the real program says what it does not know, and looks.

use std::time::{SystemTime, UNIX_EPOCH};

use folder_sync_agent::sandbox::{Cloud, Fault, Rule};
use serde_json::Value;

use crate::support::{Bed, PATIENCE, REMOTE, until};

/// Writes a file of which the stream does not tell.
fn write_untold(cloud: &Cloud, path: &str) {
    cloud.faults().add(Rule::on("events", Fault::DropEvents));
    cloud.write(path, b"untold".to_vec()).unwrap();
    until("the event is dropped", || cloud.faults().pending().is_empty());
}

fn folder(bed: &Bed) -> Value {
    bed.status().unwrap()["folders"][0].clone()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// An event comes without its item: the folder is `verifying` until it was compared, `agent wait` does not end before, the journal has the
/// event as it came, and what was not told is found.
#[test]
fn an_event_without_its_item_has_the_folder_verified_before_it_is_in_sync() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&format!("{REMOTE}/told.txt"), b"told".to_vec()).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    write_untold(&cloud, &format!("{REMOTE}/untold.txt"));
    cloud.faults().add(Rule::on("folder_items", Fault::Delay { ms: 5_000 }).always());
    cloud.announce("COLLAB_ROLE_CHANGE", None).unwrap();
    until("the folder is verifying", || folder(&bed)["state"] == "verifying");
    assert_eq!(bed.status().unwrap()["in_sync"], false);
    assert_eq!(bed.run(&["wait", "--timeout", "1s"]).status.code(), Some(3), "it is not in sync yet");
    let unplaced = bed.ok(&["events", "--json", "--raw", "--disposition", "unplaced"]);
    let event: Value = serde_json::from_str(unplaced.lines().next().unwrap()).unwrap();
    assert_eq!((&event["raw"]["event_type"], &event["raw"]["source"]), (&"COLLAB_ROLE_CHANGE".into(), &Value::Null));
    cloud.faults().clear();
    bed.ok(&["wait", "--timeout", "60s"]);
    assert_eq!(std::fs::read(bed.local().join("untold.txt")).unwrap(), b"untold");
    assert_eq!(agent.stop(), Some(0));
}

/// Whoever needs to be sure asks for what was seen lately: everything older is listed again, and what was not told is found by that.
#[test]
fn wait_fresh_lists_what_was_seen_too_long_ago() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&format!("{REMOTE}/sub/told.txt"), b"told".to_vec()).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let seen = |bed: &Bed| folder(bed)["oldest_seen"].as_u64().unwrap();
    until("it was seen more than a second ago", || seen(&bed) + 1_100 < now_ms());
    write_untold(&cloud, &format!("{REMOTE}/sub/untold.txt"));
    let begun = now_ms();
    let said = bed.ok(&["wait", "--fresh", "1s", "--timeout", "60s"]);
    assert!(seen(&bed) + 1_000 >= begun, "{said}");
    assert_eq!(std::fs::read(bed.local().join("sub/untold.txt")).unwrap(), b"untold");
    assert_eq!(agent.stop(), Some(0));
}
