//! Uploads by the real process: large ones go on after a kill, times are kept, and what the cloud refuses is said.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use folder_sync_agent::sandbox::{Fault, Options, Rule};

use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE, RESERVED, sha1_of, until};

/// Answers that come so late that the process is dead by then.
const NEVER: Fault = Fault::Delay { ms: 600_000 };

fn two_way(bed: Bed) -> Bed {
    bed.add_folder(&["--mode", "two-way"]);
    bed.ok(&["run", "--once"]);
    bed
}

fn large(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at / 4_096) % 251 + at % 13) as u8).collect()
}

/// Kills the agent while the answers to all parts but the first ones are on their way, and counts what is sent after that.
fn killed_midway(bed: &Bed, above: &str, call: &str, parts: u64, done: u32, length: usize) {
    let cloud = bed.cloud();
    let content = large(length);
    fs::write(bed.local().join("large.bin"), &content).unwrap();
    cloud.reset_counters();
    cloud.faults().add(Rule::on(call, NEVER).skip(done).always());
    let agent = bed.start();
    until("some parts", || cloud.count(call) > u64::from(done));
    agent.kill();
    cloud.faults().clear();
    cloud.reset_counters();
    let agent = bed.start();
    bed.wait_equal(3 * PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(cloud.count(call) <= parts - u64::from(done), "{} parts are sent again", cloud.count(call));
    let tree = cloud.tree(above).unwrap();
    assert_eq!(tree["large.bin"].sha1, sha1_of(&content));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn parts_that_box_has_are_not_sent_again_after_a_kill() {
    let bed = two_way(Bed::with(Options { part_bytes: 4 << 20, ..Options::default() }));
    killed_midway(&bed, REMOTE, "session_part", 8, 4, 30 << 20);
    assert_eq!(bed.cloud().count("session_create"), 0, "the session of before goes on");
    assert_eq!(bed.cloud().versions(&format!("{REMOTE}/large.bin")).unwrap().len(), 1);
}

#[test]
fn chunks_that_egnyte_has_are_not_sent_again_after_a_kill() {
    let bed = two_way(Bed::egnyte());
    // The first chunk opens the upload; the last one ends it.
    killed_midway(&bed, EGNYTE_REMOTE, "egnyte_chunk", 2, 1, 104 << 20);
}

#[test]
fn a_large_file_that_changes_between_two_lives_is_sent_as_it_is_now() {
    let bed = two_way(Bed::with(Options { part_bytes: 4 << 20, ..Options::default() }));
    let cloud = bed.cloud();
    let file = bed.local().join("large.bin");
    fs::write(&file, large(30 << 20)).unwrap();
    cloud.faults().add(Rule::on("session_part", NEVER).skip(3).always());
    let agent = bed.start();
    until("some parts", || cloud.count("session_part") > 3);
    agent.kill();
    cloud.faults().clear();
    let mut other = large(30 << 20);
    other.reverse();
    fs::write(&file, &other).unwrap();
    let agent = bed.start();
    bed.wait_equal(3 * PATIENCE);
    assert_eq!(cloud.tree(REMOTE).unwrap()["large.bin"].sha1, sha1_of(&other));
    assert_eq!(agent.stop(), Some(0));
}

fn times_are_kept(bed: &Bed, above: &str) {
    let cloud = bed.cloud();
    let (ours, theirs) = (1_500_000_000_000_i64, 1_400_000_000_000_i64);
    let at = |ms: i64| UNIX_EPOCH + Duration::from_millis(ms as u64);
    let write = |name: &str, text: &str, modified: SystemTime| {
        let path = bed.local().join(name);
        fs::write(&path, text).unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    write("up.txt", "up", at(ours));
    cloud.write_at(&format!("{above}/down.txt"), "down".as_bytes().to_vec(), Some(theirs)).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let of_cloud = |name: &str| cloud.tree(above).unwrap()[name].content_modified_ms;
    let of_disk = |name: &str| fs::metadata(bed.local().join(name)).unwrap().modified().unwrap();
    assert_eq!((of_cloud("up.txt"), of_disk("down.txt")), (ours, at(theirs)));
    assert_eq!(of_disk("up.txt"), at(ours), "the own file keeps its time");
    // New versions in both directions.
    write("down.txt", "down and up again", at(ours + 5_000));
    cloud.write_at(&format!("{above}/up.txt"), "up and down again".as_bytes().to_vec(), Some(theirs + 5_000)).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!((of_cloud("down.txt"), of_disk("up.txt")), (ours + 5_000, at(theirs + 5_000)));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn modification_times_are_kept_both_ways_at_box() {
    times_are_kept(&two_way(Bed::new()), REMOTE);
}

#[test]
fn modification_times_are_kept_both_ways_at_egnyte() {
    times_are_kept(&two_way(Bed::egnyte()), EGNYTE_REMOTE);
}

#[test]
fn what_box_has_no_room_for_costs_no_bytes_and_the_rest_goes_on() {
    let bed = two_way(Bed::with(Options { space_bytes: 1 << 20, ..Options::default() }));
    let cloud = bed.cloud();
    cloud.reset_counters();
    fs::write(bed.local().join("too-large"), large(3 << 20)).unwrap();
    fs::write(bed.local().join("small"), "small").unwrap();
    let agent = bed.start();
    until("the small file", || cloud.read(&format!("{REMOTE}/small")).is_ok());
    let problem = || bed.ok(&["problems"]);
    until("the problem", || problem().contains("too-large"));
    assert_eq!(cloud.count("upload_new"), 1, "asked before, and not sent: {}", problem());
    assert!(bed.local().join("too-large").exists());
    // Room is made by the person.
    fs::write(bed.local().join("too-large"), "not any more").unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_file_that_egnyte_refuses_is_a_problem_and_the_rest_goes_on() {
    let bed = two_way(Bed::egnyte());
    let cloud = bed.cloud();
    // Egnyte answers no question before an upload, so the names that it documents as forbidden are known here.
    fs::write(bed.local().join("bad:name"), "no").unwrap();
    fs::write(bed.local().join("good"), "yes").unwrap();
    cloud.reset_counters();
    let agent = bed.start();
    until("the good file", || cloud.read(&format!("{EGNYTE_REMOTE}/good")).is_ok());
    until("the problem", || bed.ok(&["problems"]).contains("bad:name"));
    assert_eq!(cloud.count("egnyte_upload"), 1);
    fs::rename(bed.local().join("bad:name"), bed.local().join("better name")).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_others_change_in_an_upload_folder_is_listed_and_left() {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "upload"]);
    let cloud = bed.cloud();
    for name in ["a", "b", "c"] {
        fs::create_dir_all(bed.local()).unwrap();
        fs::write(bed.local().join(name), name).unwrap();
    }
    cloud.write(&format!("{REMOTE}/theirs"), "theirs".as_bytes().to_vec()).unwrap();
    let agent = bed.start();
    until("the uploads", || ["a", "b", "c"].iter().all(|name| cloud.read(&format!("{REMOTE}/{name}")).is_ok()));
    cloud.write(&format!("{REMOTE}/a"), "foreign".as_bytes().to_vec()).unwrap();
    cloud.trash(&format!("{REMOTE}/b")).unwrap();
    let listed =
        |path: &str| bed.ok(&["problems"]).lines().any(|line| line.contains(path) && line.contains("somebody"));
    until("the drift", || listed("a") && listed("b"));
    let disk = || crate::support::read_tree(&bed.local());
    assert_eq!(disk().len(), 3);
    assert_eq!(fs::read(bed.local().join("a")).unwrap(), b"a");
    // The disk's next word counts, as a new version, and nothing is drift any more.
    fs::write(bed.local().join("a"), "a again").unwrap();
    fs::write(bed.local().join("b"), "b again").unwrap();
    until("the disk's word", || {
        let has = |name: &str, text: &[u8]| cloud.read(&format!("{REMOTE}/{name}")).is_ok_and(|found| found == text);
        has("a", b"a again") && has("b", b"b again")
    });
    assert!(cloud.versions(&format!("{REMOTE}/a")).unwrap().len() >= 3);
    bed.wait_in_sync(PATIENCE);
    fs::remove_file(bed.local().join("c")).unwrap();
    until("the deletion", || cloud.read(&format!("{REMOTE}/c")).is_err());
    assert_eq!(cloud.read(&format!("{REMOTE}/theirs")).unwrap(), b"theirs");
    assert!(!bed.local().join("theirs").exists() && bed.local().join(RESERVED).exists());
    assert_eq!(agent.stop(), Some(0));
}
