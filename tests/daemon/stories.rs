//! What a user sees happen.

use folder_sync_agent::sandbox::Content;

use crate::support::{Bed, PATIENCE, REMOTE};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

#[test]
fn a_folder_is_mirrored_followed_and_a_restart_lists_nothing() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("empty/below")).unwrap();
    cloud.mkdir_p(&remote("docs")).unwrap();
    cloud.write(&remote("docs/日本語のファイル名.txt"), "konnichiwa".as_bytes().to_vec()).unwrap();
    cloud.write(&remote("docs/nothing"), Vec::new()).unwrap();
    cloud.write(&remote("big.bin"), Content::pattern(1, 3 << 20)).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.difference(), Vec::<String>::new());

    // From here on every change arrives by the stream.
    cloud.reset_counters();
    cloud.rename(&remote("docs/nothing"), "something").unwrap();
    cloud.rename(&remote("docs/something"), "SOMETHING").unwrap();
    cloud.write(&remote("docs/new.txt"), "new".as_bytes().to_vec()).unwrap();
    cloud.move_to(&remote("docs"), &remote("empty/below")).unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(cloud.count("content"), 1, "one new file, one download; renames and moves cost none");
    assert_eq!(cloud.count("folder_items"), 0, "nothing is listed to follow changes");

    // Two names are swapped, and a file is replaced by a folder of its name.
    cloud.write(&remote("a"), "a".as_bytes().to_vec()).unwrap();
    cloud.write(&remote("b"), "b".as_bytes().to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    cloud.rename(&remote("a"), "c").unwrap();
    cloud.rename(&remote("b"), "a").unwrap();
    cloud.rename(&remote("c"), "b").unwrap();
    cloud.trash(&remote("big.bin")).unwrap();
    cloud.mkdir_p(&remote("big.bin/inside")).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.ours("staging"), Vec::<String>::new());
    assert_eq!(bed.ours("parked"), Vec::<String>::new());

    assert_eq!(agent.stop(), Some(0));
    cloud.reset_counters();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count("folder_items"), 0, "a restart lists nothing");
    assert_eq!(cloud.count("content"), 0, "and fetches nothing");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_happened_while_the_agent_was_away_is_caught_up() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    for file in 0..20 {
        cloud.write(&remote(&format!("f{file}")), format!("{file}").into_bytes()).unwrap();
    }
    bed.add_folder(&[]);
    bed.ok(&["run", "--once"]);
    assert_eq!(bed.difference(), Vec::<String>::new());
    for file in 0..10 {
        cloud.trash(&remote(&format!("f{file}"))).unwrap();
    }
    cloud.write(&remote("f10"), "edited".as_bytes().to_vec()).unwrap();
    cloud.mkdir_p(&remote("deep/er")).unwrap();
    cloud.move_to(&remote("f11"), &remote("deep/er")).unwrap();
    bed.ok(&["run", "--once"]);
    assert_eq!(bed.difference(), Vec::<String>::new());
}

#[test]
fn a_folder_that_leaves_is_taken_away_and_one_that_comes_brings_its_subtree() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("stays")).unwrap();
    cloud.mkdir_p("/Elsewhere/comes/below").unwrap();
    cloud.write("/Elsewhere/comes/below/file", "came".as_bytes().to_vec()).unwrap();
    cloud.mkdir_p(&remote("goes/below")).unwrap();
    cloud.write(&remote("goes/below/file"), "went".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.move_to("/Elsewhere/comes", &remote("stays")).unwrap();
    cloud.move_to(&remote("goes"), "/Elsewhere").unwrap();
    bed.wait_equal(PATIENCE);
    // What went is kept in the version store, with its directory.
    let versions = bed.local().join(crate::support::RESERVED).join("versions");
    crate::support::until("the directory in the version store", || bed.ours("versions").len() == 1);
    assert_eq!(std::fs::read(versions.join(&bed.ours("versions")[0]).join("file")).unwrap(), b"went");
    // And it comes back with what is in it.
    cloud.move_to("/Elsewhere/goes", REMOTE).unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn too_many_deletions_wait_for_a_person_and_the_rest_goes_on() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("many")).unwrap();
    for file in 0..60 {
        cloud.write(&remote(&format!("many/f{file}")), format!("{file}").into_bytes()).unwrap();
    }
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let id = cloud.trash(&remote("many")).unwrap();
    cloud.write(&remote("meanwhile"), "arrives".as_bytes().to_vec()).unwrap();
    crate::support::until("the hold", || bed.status().is_some_and(|status| status["held"] == 1));
    crate::support::until("the other file", || bed.local().join("meanwhile").exists());
    assert_eq!(std::fs::read_dir(bed.local().join("many")).unwrap().count(), 60, "nothing is deleted unasked");
    let waited = bed.run(&["wait", "--timeout", "30s"]);
    assert_eq!(waited.status.code(), Some(4), "a person is needed");

    // Restored meanwhile: the hold has nothing left to ask.
    cloud.restore(&id).unwrap();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.difference(), Vec::<String>::new());

    // Again, and approved.
    cloud.trash(&remote("many")).unwrap();
    crate::support::until("the hold", || bed.status().is_some_and(|status| status["held"] == 1));
    let held: serde_json::Value = serde_json::from_str(&bed.ok(&["held", "--json"])).unwrap();
    let id = held["rows"][0]["id"].to_string();
    let row = &held["rows"][0];
    assert_eq!((row["lines"].as_u64(), row["items"].as_u64()), (Some(1), Some(60)), "{row}");
    assert_eq!(row["folders"], serde_json::json!([{ "path": "many/", "files": 60 }]));
    let shown = bed.ok(&["held"]);
    assert!(shown.contains("60 of 61 files of folder `inbox` are gone from the cloud"), "{shown}");
    assert!(shown.contains("60 files, listed as 1 item") && shown.contains("many/ (60 files)"), "{shown}");
    let why = bed.ok(&["why", &bed.local().join("many/f7").display().to_string()]);
    assert!(why.contains("before a person decides about the folder that it is in"), "{why}");
    assert!(bed.ok(&["approve", &id]).contains("60 files go to the version store now"));
    bed.wait_equal(PATIENCE);
    // It is out of sight at once, and its files are kept after that, in one directory.
    let versions = bed.local().join(crate::support::RESERVED).join("versions");
    crate::support::until("every file to be kept", || {
        let kept = |dir: &String| std::fs::read_dir(versions.join(dir)).map_or(0, |files| files.count());
        bed.ours("versions").iter().map(kept).sum::<usize>() == 60
    });
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_pause_collects_and_a_resume_catches_up() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    bed.ok(&["pause", "inbox"]);
    cloud.write(&remote("file"), "text".as_bytes().to_vec()).unwrap();
    crate::support::until("the event", || bed.ok(&["events"]).contains("file"));
    assert!(!bed.local().join("file").exists());
    bed.ok(&["resume", "inbox"]);
    bed.wait_equal(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_folder_added_while_the_agent_runs_syncs_at_once_and_equal_files_are_adopted() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&remote("same"), "equal bytes".as_bytes().to_vec()).unwrap();
    cloud.write(&remote("other"), "the cloud's bytes".as_bytes().to_vec()).unwrap();
    std::fs::create_dir_all(bed.local()).unwrap();
    std::fs::write(bed.local().join("same"), "equal bytes").unwrap();
    std::fs::write(bed.local().join("other"), "my bytes").unwrap();
    let agent = bed.start();
    crate::support::until("the agent", || bed.status().is_some());
    let refused = bed.run(&["add-folder", REMOTE, bed.local().to_str().unwrap(), "--account", "work"]);
    assert!(!refused.status.success(), "a directory that is not empty needs --yes");
    bed.add_folder(&[]);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.count("content"), 1, "the equal file is not downloaded");
    let kept: Vec<Vec<u8>> = bed
        .ours("versions")
        .into_iter()
        .map(|name| std::fs::read(bed.local().join(crate::support::RESERVED).join("versions").join(name)).unwrap())
        .collect();
    assert_eq!(kept, [b"my bytes"], "what was there is kept");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_lost_place_is_noticed_and_healed_by_a_full_comparison() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&remote("old"), "old".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    bed.ok(&["run", "--once"]);
    // Events of what happens now are gone before the agent can read them.
    cloud.write(&remote("unseen"), "unseen".as_bytes().to_vec()).unwrap();
    cloud.trash(&remote("old")).unwrap();
    cloud.forget_events();
    cloud.faults().once(
        "events",
        folder_sync_agent::sandbox::Fault::Answer(folder_sync_agent::sandbox::Answer::error(
            400,
            "nextStreamPosition is malformed",
        )),
    );
    bed.ok(&["run", "--once"]);
    assert_eq!(bed.difference(), Vec::<String>::new());
}

#[test]
fn names_that_the_disk_cannot_hold_are_mapped_and_said() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    let long = "名".repeat(100) + ".txt";
    cloud.write(&remote(&long), "long".as_bytes().to_vec()).unwrap();
    cloud.write(&remote(crate::support::RESERVED), "mine".as_bytes().to_vec()).unwrap();
    bed.add_folder(&[]);
    bed.ok(&["run", "--once"]);
    let names: Vec<String> = crate::support::read_tree(&bed.local()).into_keys().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.contains('~') && name.len() <= 255), "{names:?}");
    let mapped = names.iter().find(|name| name.starts_with('名')).unwrap();
    let why = bed.ok(&["why", bed.local().join(mapped).to_str().unwrap()]);
    assert!(why.contains("255 bytes"), "{why}");
}

#[test]
fn a_subfolder_that_is_not_found_once_while_everything_is_compared_keeps_its_files() {
    use folder_sync_agent::sandbox::{Answer, Fault, Rule};
    let bed = Bed::new();
    let cloud = bed.cloud();
    let sub = cloud.mkdir_p(&remote("sub")).unwrap();
    for file in 0..10 {
        cloud.write(&remote(&format!("sub/f{file}")), format!("{file}").into_bytes()).unwrap();
    }
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let verified = bed.status().unwrap()["folders"][0]["verified"].clone();
    cloud.reset_counters();
    cloud.faults().add(Rule::on("folder_items", Fault::Answer(Answer::error(404, "not_found"))).id(&sub).times(1));
    bed.ok(&["sync", "inbox", "--full"]);
    crate::support::until("the comparison", || {
        bed.status().is_some_and(|status| status["in_sync"] == true && status["folders"][0]["verified"] != verified)
    });
    assert_eq!(cloud.count("fault_injected"), 1, "the listing was refused");
    assert_eq!(bed.difference(), Vec::<String>::new());
    assert_eq!(bed.ours("versions"), Vec::<String>::new(), "no file was ever taken away");
    assert_eq!(agent.stop(), Some(0));
}
