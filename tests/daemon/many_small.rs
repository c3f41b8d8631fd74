//! Many small files: as many requests under way as there may be, over connections that are kept, and few looks at the stream.

use folder_sync_agent::sandbox::{self, Network};

use super::restart::commits;
use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE, until};

const FILES: u64 = 400;
const TRANSFERS: u64 = 16;

fn over_latency(bed: &Bed, remote: &str, download: &str) {
    let cloud = bed.cloud();
    bed.ok(&["config", "check"]);
    let path = bed.home().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replacen("[[account]]\n", &format!("[[account]]\ntransfers = {TRANSFERS}\n"), 1))
        .unwrap();
    for number in 0..FILES {
        cloud.write(&format!("{remote}/{number}.txt"), format!("file {number}")).unwrap();
    }
    bed.add_folder(&[]);
    cloud.set_network(Network { latency_ms: 40, bytes_per_second: 0 });
    cloud.reset_counters();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count(download), FILES, "one request for content each");
    // Twice the transfers, the questions, the stream, the long poll and the sign-in.
    let most = 2 * TRANSFERS + 6 + 4;
    let connections = cloud.connections();
    assert!((TRANSFERS..=most).contains(&connections), "{connections} connections, at most {most}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn many_small_files_come_over_kept_connections_at_box() {
    over_latency(&Bed::with(sandbox::Options::default()), REMOTE, "content_redirect");
}

#[test]
fn many_small_files_come_over_kept_connections_at_egnyte() {
    over_latency(&Bed::egnyte(), EGNYTE_REMOTE, "egnyte_download");
}

#[test]
fn own_uploads_cost_few_looks_at_the_stream_and_hide_no_news() {
    let uploads: u64 = 1_000;
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&["--mode", "two-way"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let looks = || cloud.count("events") + cloud.count("realtime");
    let before = looks();
    let commits_before = commits(&bed);
    for number in 0..uploads {
        std::fs::write(bed.local().join(format!("{number}.txt")), format!("file {number}")).unwrap();
    }
    until("uploads are under way", || cloud.count("upload_new") > uploads / 10);
    cloud.write(&format!("{REMOTE}/news.txt"), "from somebody else").unwrap();
    until("the news is there", || bed.local().join("news.txt").exists());
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count("upload_new"), uploads);
    let cost = looks() - before;
    assert!(cost <= 60, "{cost} requests to the stream for {uploads} uploads");
    let commits = commits(&bed) - commits_before;
    assert!(commits < uploads, "{commits} transactions for {uploads} uploads: what is read and sent goes together");
    assert_eq!(agent.stop(), Some(0));
}
