//! Our own writes by the thousand: they cause no download and no second upload, and what others wrote among them arrives.

use std::fs;

use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE, until};

/// Files that are new.
const NEW: u64 = 500;
/// Files that were there and are edited.
const EDITED: u64 = 500;
/// Writes of somebody else that are hidden among ours.
const FOREIGN: u64 = 10;
/// Folders that hold them.
const DIRS: u64 = 20;

fn path(kind: &str, number: u64) -> String {
    format!("d{}/{kind}{number:04}.txt", number % DIRS)
}

/// What a cloud calls its requests.
struct Words {
    remote: &'static str,
    downloads: &'static str,
    uploads: &'static [&'static str],
}

fn a_thousand_own_writes(bed: &Bed, words: &Words) {
    let cloud = bed.cloud();
    let remote = |path: &str| format!("{}/{path}", words.remote);
    for number in 0..EDITED {
        cloud.write(&remote(&path("edited", number)), format!("first {number}").into_bytes()).unwrap();
    }
    for number in 0..FOREIGN / 2 {
        cloud.write(&remote(&path("theirs", number)), format!("first of theirs {number}").into_bytes()).unwrap();
    }
    bed.add_folder(&["--mode", "two-way"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.difference(), Vec::<String>::new());
    let own = || bed.status().map_or(0, |status| status["accounts"][0]["events"]["own"].as_u64().unwrap());
    let own_before = own();
    cloud.reset_counters();
    let uploads = || words.uploads.iter().map(|word| cloud.count(word)).sum::<u64>();

    for number in 0..EDITED.max(NEW) {
        fs::write(bed.local().join(path("edited", number)), format!("second {number}")).unwrap();
        fs::write(bed.local().join(path("new", number)), format!("new {number}")).unwrap();
    }
    for number in 0..FOREIGN {
        // Among ours: after a part of them, and before the rest.
        let share = (NEW + EDITED) * number / (FOREIGN + 1);
        until("a part of the uploads", || uploads() > share);
        cloud.write(&remote(&path("theirs", number)), format!("theirs {number}").into_bytes()).unwrap();
    }
    bed.wait_equal(PATIENCE);
    until("our own events to be recognised", || own() - own_before == NEW + EDITED);
    bed.wait_in_sync(PATIENCE);
    let counters = cloud.counters();
    assert_eq!(uploads(), NEW + EDITED, "each of ours once: {counters:?}");
    assert_eq!(cloud.count(words.downloads), FOREIGN, "each of theirs once, and none of ours: {counters:?}");
    assert_eq!(own() - own_before, NEW + EDITED);
    assert_eq!(bed.difference(), Vec::<String>::new());
    assert_eq!(bed.ok(&["conflicts"]), "No conflicts.\n");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_thousand_own_writes_at_box_come_back_as_nothing() {
    let words = Words { remote: REMOTE, downloads: "content", uploads: &["upload_new", "upload_version"] };
    a_thousand_own_writes(&Bed::new(), &words);
}

#[test]
fn a_thousand_own_writes_at_egnyte_come_back_as_nothing() {
    let words = Words { remote: EGNYTE_REMOTE, downloads: "egnyte_download", uploads: &["egnyte_upload"] };
    a_thousand_own_writes(&Bed::egnyte(), &words);
}
