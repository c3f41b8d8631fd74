//! Egnyte from end to end: the real program, its adapter and its budget, over the sandbox's Egnyte.

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Bustle, Content, Quota, ThrottleForm};

use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, until};

fn fill(bed: &Bed, files: u64, folders: u64) {
    for file in 0..files {
        let dir = format!("{EGNYTE_REMOTE}/d{}", file % folders);
        bed.cloud().mkdir_p(&dir).unwrap();
        bed.cloud().write(&format!("{dir}/f{file:04}.bin"), Content::pattern(file + 1, 700 + file)).unwrap();
    }
}

fn spent(bed: &Bed) -> u32 {
    bed.cloud().egnyte_spent_today(ACCESS_TOKEN)
}

#[test]
fn a_folder_at_egnyte_is_mirrored_and_followed_through_kills() {
    let bed = Bed::egnyte();
    fill(&bed, 60, 6);
    bed.add_folder(&[]);
    // So few files that what the other user deletes would stop for a person.
    bed.ok(&["set-folder", "inbox", "max_delete=off"]);
    let mut agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.difference(), Vec::<String>::new());
    let cloud = bed.cloud();
    assert_eq!(cloud.count("egnyte_download"), 60, "each file once");

    let mut bustle = Bustle::new(&cloud, EGNYTE_REMOTE, 7).unwrap();
    for change in 0..60 {
        bustle.step().unwrap();
        if change % 20 == 10 {
            agent.kill();
            agent = bed.start();
        }
    }
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.ours("staging"), Vec::<String>::new());

    // One new version, one download; a rename costs none. Egnyte's events order nothing, so that each of the two is looked up: by a listing
    // of its folder, which answers for everything that changes in it meanwhile.
    cloud.reset_counters();
    cloud.write(&format!("{EGNYTE_REMOTE}/new.txt"), b"new".to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    cloud.rename(&format!("{EGNYTE_REMOTE}/new.txt"), "renamed.txt").unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(cloud.count("egnyte_download"), 1);
    assert!((1..=2).contains(&cloud.count("egnyte_list")), "{} listings", cloud.count("egnyte_list"));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_lost_place_at_egnyte_is_healed_by_a_comparison() {
    let bed = Bed::egnyte();
    fill(&bed, 8, 2);
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
    let cloud = bed.cloud();
    cloud.write(&format!("{EGNYTE_REMOTE}/unheard.txt"), b"unheard".to_vec()).unwrap();
    cloud.trash(&format!("{EGNYTE_REMOTE}/d0/f0000.bin")).unwrap();
    cloud.write(&format!("{EGNYTE_REMOTE}/heard.txt"), b"heard".to_vec()).unwrap();
    cloud.forget_events();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_small_quota_is_not_exceeded_and_the_next_day_goes_on() {
    const PER_DAY: u32 = 60;
    let bed = Bed::egnyte();
    fill(&bed, 80, 4);
    // The signing in and the adding have spent some of the day already.
    bed.add_folder(&[]);
    let cloud = bed.cloud();
    let quota = Quota { per_second: None, per_day: Some(PER_DAY), form: ThrottleForm::Gateway };
    cloud.set_egnyte_quota(quota);
    let agent = bed.start();
    until("the budget of the day leaves nothing for the first sync", || {
        let status = bed.status();
        let budget = status.as_ref().map(|status| &status["accounts"][0]["budget"]);
        budget.is_some_and(|budget| budget["shares"]["free"] == 0)
    });
    let done =
        80 - bed.difference().iter().filter(|line| line.contains("f0") && line.contains("only in the cloud")).count();
    assert!(done > 0, "some of it came");
    assert!(done < 80, "not all of it can have come");
    assert!(spent(&bed) <= PER_DAY, "{} calls of {PER_DAY}", spent(&bed));
    assert_eq!(cloud.count("throttled"), 0, "nothing is asked for that the provider refuses");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_we_wrote_at_egnyte_is_recognised_and_not_fetched() {
    let bed = Bed::egnyte();
    let cloud = bed.cloud();
    bed.add_folder(&["--mode", "two-way"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.reset_counters();
    for file in 0..20 {
        std::fs::write(bed.local().join(format!("ours{file:02}.txt")), format!("ours {file}")).unwrap();
    }
    cloud.write(&format!("{EGNYTE_REMOTE}/theirs.txt"), b"theirs".to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    until("our own events are recognised", || {
        bed.status().is_some_and(|status| status["accounts"][0]["events"]["own"] == 20)
    });
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count("egnyte_upload"), 20, "each once");
    assert_eq!(cloud.count("egnyte_download"), 1, "theirs comes, ours does not come back");
    assert_eq!(agent.stop(), Some(0));
}
