//! A token that ends in the middle of a large transfer.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use folder_sync_agent::sandbox::{Cloud, Content, Fault, Options, Rule, TokenPair, User};

use super::json_of;
use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE, sha1_of, until};

const LARGE_BYTES: u64 = 200 << 20;
const HALF_BYTES: u64 = LARGE_BYTES / 2;
/// What may come twice: what was on its way when a connection broke, or a stream was given up.
const SLACK_BYTES: u64 = 48 << 20;

/// The download breaks in its middle, and the token with it.
fn breaks_midway(cloud: &Cloud, request: &str, body: &str, fault: Fault) {
    cloud.faults().once(body, Fault::CutBody { after: HALF_BYTES });
    // Where the request for content brings it itself, the first one is used up by then.
    cloud.faults().add(Rule::on(request, fault).skip(u32::from(request != body)));
}

fn signed_in(bed: &Bed) -> TokenPair {
    let pair = bed.cloud().issue_pair(User::Agent, 3_600);
    bed.login_with(&json_of(&pair));
    pair
}

fn went_on_from_the_middle(cloud: &Cloud) {
    let sent = cloud.count("content_bytes");
    assert!(sent <= LARGE_BYTES + SLACK_BYTES, "{sent} bytes were sent");
}

#[test]
fn a_download_goes_on_with_a_renewed_token() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    signed_in(&bed);
    cloud.write(&format!("{REMOTE}/large.bin"), Content::pattern(1, LARGE_BYTES)).unwrap();
    bed.add_folder(&[]);
    cloud.reset_counters();
    breaks_midway(&cloud, "content", "content_redirect", Fault::ExpireToken);
    let agent = bed.start();
    bed.wait_equal(3 * PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(cloud.faults().pending().is_empty());
    assert_eq!(cloud.count("token"), 1, "renewed once");
    went_on_from_the_middle(&cloud);
    assert_eq!(agent.stop(), Some(0));
}

/// The sign-in is revoked, the rest waits for a person, and what is there already is not fetched again.
fn waits_for_a_person(bed: &Bed, remote: &str, request: &str, body: &str) {
    let cloud = bed.cloud();
    signed_in(bed);
    cloud.write(&format!("{remote}/large.bin"), Content::pattern(1, LARGE_BYTES)).unwrap();
    bed.add_folder(&[]);
    cloud.reset_counters();
    breaks_midway(&cloud, request, body, Fault::RevokeToken);
    let agent = bed.start();
    until("the ended sign-in", || bed.is_degraded("sign_in_needed"));
    assert_eq!(bed.run(&["status", "--exit-code"]).status.code(), Some(77));
    assert!(!bed.local().join("large.bin").exists());
    signed_in(bed);
    bed.wait_equal(3 * PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(cloud.faults().pending().is_empty());
    went_on_from_the_middle(&cloud);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_download_goes_on_after_the_sign_in_was_revoked_at_box() {
    waits_for_a_person(&Bed::new(), REMOTE, "content", "content_redirect");
}

#[test]
fn a_download_goes_on_after_the_sign_in_was_revoked_at_egnyte() {
    waits_for_a_person(&Bed::egnyte(), EGNYTE_REMOTE, "egnyte_download", "egnyte_download");
}

const PARTS: u64 = 8;
const PART_BYTES: u64 = 4 << 20;
const SENT_FIRST: u32 = 3;

fn uploading(fault: Fault) -> (Bed, Vec<u8>) {
    let bed = Bed::with(Options { part_bytes: PART_BYTES, ..Options::default() });
    let cloud = bed.cloud();
    signed_in(&bed);
    bed.add_folder(&["--mode", "two-way"]);
    bed.ok(&["run", "--once"]);
    let content: Vec<u8> = (0..PARTS * PART_BYTES).map(|at| ((at / 4_096) % 251 + at % 13) as u8).collect();
    fs::write(bed.local().join("large.bin"), &content).unwrap();
    cloud.reset_counters();
    cloud.faults().add(Rule::on("session_part", fault).skip(SENT_FIRST));
    (bed, content)
}

fn arrived_whole(bed: &Bed, content: &[u8]) {
    bed.wait_equal(3 * PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let cloud = bed.cloud();
    assert_eq!(cloud.tree(REMOTE).unwrap()["large.bin"].sha1, sha1_of(content));
    assert_eq!(cloud.versions(&format!("{REMOTE}/large.bin")).unwrap().len(), 1);
    assert_eq!(cloud.count("session_create"), 1, "it is one upload from beginning to end");
}

#[test]
fn a_chunked_upload_goes_on_with_a_renewed_token() {
    let (bed, content) = uploading(Fault::ExpireToken);
    let agent = bed.start();
    arrived_whole(&bed, &content);
    let cloud = bed.cloud();
    assert_eq!(cloud.count("token"), 1, "renewed once");
    // What was refused is sent once more from its beginning; other parts may have been under way.
    assert!(cloud.count("session_part") <= PARTS + 4, "{} parts were sent", cloud.count("session_part"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_chunked_upload_goes_on_after_the_sign_in_was_revoked() {
    let (bed, content) = uploading(Fault::RevokeToken);
    let agent = bed.start();
    until("the ended sign-in", || bed.is_degraded("sign_in_needed"));
    signed_in(&bed);
    arrived_whole(&bed, &content);
    assert!(bed.cloud().count("session_part") <= PARTS + 8, "{} parts were sent", bed.cloud().count("session_part"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_chunked_upload_goes_on_after_the_sign_in_was_revoked_at_egnyte() {
    const CHUNK_BYTES: u64 = 100 << 20;
    const CHUNKS: u64 = 3;
    let bed = Bed::egnyte();
    let cloud = bed.cloud();
    signed_in(&bed);
    bed.add_folder(&["--mode", "two-way"]);
    bed.ok(&["run", "--once"]);
    let path = bed.local().join("large.bin");
    let staged = bed.dir.path().join("large.bin");
    let mut file = fs::File::create(&staged).unwrap();
    for part in 0..CHUNKS {
        file.seek(SeekFrom::Start(part * CHUNK_BYTES)).unwrap();
        file.write_all(&[u8::try_from(part).unwrap() + 1; 4_096]).unwrap();
    }
    file.set_len((CHUNKS - 1) * CHUNK_BYTES + HALF_BYTES / 10).unwrap();
    fs::rename(&staged, &path).unwrap();
    cloud.reset_counters();
    cloud.faults().add(Rule::on("egnyte_chunk", Fault::RevokeToken).skip(1));
    let agent = bed.start();
    until("the ended sign-in", || bed.is_degraded("sign_in_needed"));
    assert!(!cloud.tree(EGNYTE_REMOTE).unwrap().contains_key("large.bin"));
    signed_in(&bed);
    bed.wait_equal(3 * PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert!(cloud.faults().pending().is_empty());
    assert_eq!(cloud.versions(&format!("{EGNYTE_REMOTE}/large.bin")).unwrap().len(), 1);
    // The refused chunk goes once more, and what Egnyte had before does not.
    assert_eq!(cloud.count("egnyte_chunk"), CHUNKS + 1);
    assert_eq!(agent.stop(), Some(0));
}
