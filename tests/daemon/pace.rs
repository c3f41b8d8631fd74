//! The rate and the time left, on the screens that people look at while something is transferred.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use folder_sync_agent::sandbox::{Fault, Rule};

use crate::support::{Bed, PATIENCE, REMOTE, until};

/// Whether a line tells how fast something comes down and how long it takes.
fn tells(line: &str) -> bool {
    line.contains("↓ ") && line.contains("/s, ") && line.contains(" left")
}

#[test]
fn speed_and_time_left_are_shown_while_something_is_fetched() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&format!("{REMOTE}/large.bin"), vec![7; 2 << 20]).unwrap();
    cloud.faults().add(Rule::on("*", Fault::SlowBody { bytes_per_second: 300_000 }).always());
    bed.add_folder(&[]);
    let agent = bed.start();
    until("speed in the status", || bed.ok(&["status"]).lines().any(|line| line.contains("inbox: ") && tells(line)));
    let progress = bed.status().unwrap()["folders"][0]["progress"].clone();
    assert!(progress["down"].as_u64().unwrap() > 0 && progress["seconds_left"].as_u64().unwrap() > 0, "{progress}");
    let waited = bed.run(&["wait", "--timeout", "1s"]);
    let said = String::from_utf8_lossy(&waited.stderr).into_owned();
    assert!(waited.status.code() == Some(3) && said.lines().any(tells), "{said}");

    let mut watching = bed.agent().args(["status", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let shown = BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok).any(|line| tells(&line));
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(shown);
    bed.wait_in_sync(PATIENCE);
    assert!(!bed.ok(&["status"]).lines().any(tells), "nothing moves any more");
    assert_eq!(agent.stop(), Some(0));
}
