//! Egnyte names people by numbers: they are asked about once, when somebody looks, and shown by name.

use std::time::Duration;

use folder_sync_agent::sandbox::User;
use folder_sync_agent::sandbox::{Answer, Fault, Rule};

use crate::support::{Bed, until};

fn with_foreign_change() -> (Bed, crate::support::Running) {
    let bed = Bed::egnyte();
    bed.add_folder(&[]);
    let running = bed.start();
    bed.wait_in_sync(Duration::from_secs(30));
    bed.cloud().as_user(User::Other).write("/Shared/Inbox/plan.txt", b"one".to_vec()).unwrap();
    bed.ok(&["sync"]);
    until("the change is here", || bed.local().join("plan.txt").exists());
    (bed, running)
}

#[test]
fn people_are_shown_by_name_and_asked_about_once() {
    let (bed, running) = with_foreign_change();
    assert_eq!(bed.cloud().count("egnyte_user"), 0, "nobody has looked yet");
    let said = bed.ok(&["activity"]);
    assert!(said.contains("Olu Other"), "{said}");
    for command in [&["events"][..], &["activity"], &["why", bed.local().join("plan.txt").to_str().unwrap()]] {
        let said = bed.ok(command);
        assert!(said.contains("Olu Other") && !said.contains("11446499"), "{command:?}: {said}");
    }
    let rows: Vec<serde_json::Value> =
        bed.ok(&["events", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let theirs = rows.iter().find(|row| row["actor"] == "Olu Other").expect("an event of theirs");
    assert_eq!(theirs["actor_id"], "11446499");
    assert_eq!(bed.cloud().count("egnyte_user"), 1, "asked once");
    running.stop();
    let said = bed.ok(&["activity"]);
    assert!(said.contains("Olu Other"), "also without an agent: {said}");
    assert_eq!(bed.cloud().count("egnyte_user"), 1);
}

#[test]
fn who_may_not_ask_is_told_the_number_and_does_not_ask_again() {
    let (bed, running) = with_foreign_change();
    let refused = Fault::Answer(Answer::error(403, "forbidden"));
    bed.cloud().faults().add(Rule::on("egnyte_user", refused).always());
    for _ in 0..3 {
        let said = bed.ok(&["activity"]);
        assert!(said.contains("user 11446499"), "{said}");
        assert!(bed.ok(&["events"]).contains("by user 11446499"));
    }
    assert_eq!(bed.cloud().count("egnyte_user"), 1, "refused once");
    running.stop();
}
