//! A cloud that is out of reach for a while: the true reason is said, and work goes on as soon as the cloud is back.

use folder_sync_agent::sandbox;

use crate::support::relay::{Relay, free_address};
use crate::support::{Bed, PATIENCE, until};

/// More than can be under way at once, so that many calls fail together.
const EDITS: usize = 400;

fn bed() -> (Relay, Bed) {
    let listen = free_address();
    let relay = Relay::start(listen);
    let bed = Bed::with(sandbox::Options { listen, public_url: Some(relay.url()), ..sandbox::Options::default() });
    bed.add_folder(&["--mode", "two-way"]);
    (relay, bed)
}

fn write_all(bed: &Bed, text: &str) {
    for number in 0..EDITS {
        std::fs::write(bed.local().join(format!("file {number}.txt")), format!("{text} {number}")).unwrap();
    }
}

fn uploads(bed: &Bed) -> u64 {
    bed.cloud().count("upload_new") + bed.cloud().count("upload_version")
}

#[test]
fn a_refused_connection_is_no_pause_that_the_provider_asked_for() {
    let (relay, bed) = bed();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    write_all(&bed, "first");
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let before = uploads(&bed);
    write_all(&bed, "second");
    until("uploads are under way", || uploads(&bed) > before);
    relay.refuse();
    until("the account is offline", || bed.is_degraded("offline"));
    let account = bed.status().unwrap()["accounts"][0].clone();
    assert!(
        account["degraded"]["cause"].as_str().is_some_and(|cause| cause.contains("connection refused")),
        "{account}"
    );
    assert_eq!(account["budget"]["closed_until"], serde_json::Value::Null, "nobody asked for a pause");
    let shown = String::from_utf8(bed.run(&["status"]).stdout).unwrap();
    assert!(shown.contains("connection refused") && !shown.contains("asked for a pause"), "{shown}");
    relay.pass();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(!bed.is_degraded("offline"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_server_that_hung_and_was_started_again_is_used_at_once() {
    let (relay, bed) = bed();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    write_all(&bed, "first");
    until("uploads are under way", || uploads(&bed) > 0);
    relay.hang();
    until("requests are held", || relay.held() >= 4);
    relay.refuse();
    until("the account is offline", || bed.is_degraded("offline"));
    relay.pass();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}
