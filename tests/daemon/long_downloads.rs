//! A long download of the real program: over several connections where each is slow, and gone on with after a kill.

use folder_sync_agent::sandbox::{self, Content, Network};

use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE, until};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 220 * MIB;

fn killed_in_the_middle(bed: &Bed, remote: &str) {
    let cloud = bed.cloud();
    cloud.set_network(Network { latency_ms: 10, bytes_per_second: 40 * MIB });
    cloud.write(&format!("{remote}/disk.img"), Content::pattern(3, SIZE)).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    until("some of it is noted as there", || bed.ours("staging").iter().any(|name| name.ends_with(".note")));
    agent.kill();
    assert!(!bed.local().join("disk.img").exists());
    let before = cloud.count("content_bytes");
    let agent = bed.start();
    until("it is there", || bed.local().join("disk.img").exists());
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.ours("staging"), Vec::<String>::new());
    let more = cloud.count("content_bytes") - before;
    // At least one note was taken; what is on its way when a stream is given up comes once more.
    let most = SIZE - 64 * MIB + 32 * MIB;
    assert!(more > 0 && more <= most, "{more} bytes were sent after the kill, at most {most}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_long_download_goes_on_after_a_kill_at_box() {
    killed_in_the_middle(&Bed::with(sandbox::Options::default()), REMOTE);
}

#[test]
fn a_long_download_goes_on_after_a_kill_at_egnyte() {
    killed_in_the_middle(&Bed::egnyte(), EGNYTE_REMOTE);
}
