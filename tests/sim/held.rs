//! Whole directories that wait for a person: one row in the hold, however many files are in them.

use folder_sync_agent::command::{Answer, Command};
use folder_sync_agent::id::HoldId;
use folder_sync_agent::report::HoldRow;
use folder_sync_agent::settings::Mode;

use super::cloud::{elsewhere, watched};
use super::stories::{ends_as, put, tree, world_like};
use super::swarm::Swarm;
use super::world::{FOLDER, Happening, World};

/// `d` with folders and files in it.
fn many(folders: u64, files: u64) -> String {
    let mut paths = vec!["d/".to_owned()];
    for folder in 0..folders {
        paths.push(format!("d/{folder}/"));
        paths.extend((0..files).map(|file| format!("d/{folder}/f{file:02}={}", 1 + folder * files + file)));
    }
    paths.join(" ")
}

fn world_that_asks(paths: &str) -> World {
    world_like(Swarm { max_delete: Some(2), ..Swarm::calm() }, paths)
}

fn holds(world: &World) -> Vec<HoldRow> {
    world.store().reader().holds().unwrap()
}

/// What the only hold lists: its rows and files.
fn listed(world: &World) -> (u64, u64) {
    let holds = holds(world);
    assert_eq!(holds.len(), 1, "{holds:?}");
    (holds[0].lines, holds[0].items)
}

fn run_for(world: &mut World, ms: u64) {
    let until = world.now + ms;
    while world.now < until {
        assert!(world.step());
    }
}

fn trash(world: &mut World, path: &str) -> folder_sync_agent::id::ItemId {
    let id = world.cloud.at(path);
    world.cloud.trash(&id);
    id
}

/// Trashes something, and lives on until it is held.
fn held(world: &mut World, path: &str) -> HoldId {
    trash(world, path);
    let end = world.now + 60_000;
    while world.open_hold().is_none() {
        assert!(world.step() && world.now < end, "it is not held");
    }
    run_for(world, 60_000);
    world.open_hold().unwrap()
}

fn approve(world: &mut World, hold: HoldId) {
    world.approved = true;
    world.command(Command::Approve { hold });
}

fn reject(world: &mut World, hold: HoldId) {
    world.refused = true;
    world.command(Command::Reject { hold });
}

fn said(world: &World) -> &str {
    match world.answers.last() {
        Some(Answer::Ok { message }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trashed_directory_is_one_row_whatever_is_in_it() {
    let mut steps = Vec::new();
    for files in [10, 60] {
        let paths = many(5, files);
        let mut world = world_that_asks(&paths);
        let (begun, deeds) = (world.tally.steps, world.tally.deeds);
        held(&mut world, "d");
        steps.push(world.tally.steps - begun);
        assert_eq!(listed(&world), (1, 5 * files));
        let hold = &holds(&world)[0];
        assert_eq!(hold.text.split(" of folder").next(), Some(&*format!("{0} of {0} files", 5 * files)));
        assert_eq!((&*hold.examples[0], hold.folders[0].files), ("d/", 5 * files));
        assert_eq!((tree(&world), world.tally.deeds), (paths, deeds), "nothing goes unasked");
        let planned = world.store().reader().planned(FOLDER).unwrap();
        assert_eq!(planned.len(), 1, "nothing in it is marked: {planned:?}");
        assert!(!world.store().busy(FOLDER).unwrap(), "nothing waits with it");
    }
    assert!(steps[0] == steps[1], "no step for each of the files: {steps:?}");
}

#[test]
fn one_that_is_approved_goes_by_one_rename() {
    let mut world = world_that_asks(&many(3, 20));
    let hold = held(&mut world, "d");
    let (deeds, steps) = (world.tally.deeds, world.tally.steps);
    approve(&mut world, hold);
    ends_as(&mut world, "");
    assert!(said(&world).starts_with("60 files "), "{}", said(&world));
    let (deeds, steps) = (world.tally.deeds - deeds, world.tally.steps - steps);
    assert_eq!(deeds, 1 + 3 + 1, "out of sight, each directory with its files, and the one above them");
    assert!(steps < 60, "no step for each of the files: {steps}");
    assert_eq!(world.disk.kept().len(), 60);
    assert_eq!(world.open_hold(), None);
    // What a person approved does not count towards the next question.
    put(&mut world, "g=100");
    trash(&mut world, "g");
    ends_as(&mut world, "");
}

#[test]
fn one_that_is_approved_and_cannot_go_whole_goes_in_parts_unasked() {
    let mut world = world_that_asks(&many(3, 4));
    let hold = held(&mut world, "d");
    assert!(world.disk.write("d/1/own", 100));
    world.disk.hints.clear();
    approve(&mut world, hold);
    ends_as(&mut world, "d/ d/1/ d/1/own=100");
    assert_eq!((world.open_hold(), world.disk.kept().len()), (None, 12));
}

#[test]
fn one_that_is_rejected_stays_on_disk_and_leaves_the_books() {
    let paths = many(3, 20);
    let mut world = world_that_asks(&paths);
    let known: Vec<_> = ["d", "d/1", "d/1/f01"].map(|path| world.cloud.at(path)).into_iter().collect();
    let hold = held(&mut world, "d");
    reject(&mut world, hold);
    ends_as(&mut world, &paths);
    assert_eq!(said(&world), "60 files stay on disk and are no longer synced");
    assert_eq!((world.open_hold(), world.disk.kept().len()), (None, 0));
    for id in known {
        assert!(world.store().item_by_id(FOLDER, &id).unwrap().is_none());
    }
    // Nothing of it is counted, or comes back, or goes.
    put(&mut world, "k=200 l=201");
    trash(&mut world, "k");
    world.command(Command::Sync { folder: None, full: true });
    ends_as(&mut world, &format!("{paths} l=201"));
}

#[test]
fn a_crash_at_every_step_keeps_to_the_decision() {
    for (crash_at, rejects) in (1..25).flat_map(|step| [(step, false), (step, true)]) {
        let paths = many(2, 5);
        let mut world = world_that_asks(&paths);
        trash(&mut world, "d");
        run_for(&mut world, 60_000);
        let hold = world.open_hold().unwrap();
        if rejects {
            reject(&mut world, hold);
        } else {
            approve(&mut world, hold);
        }
        for _ in 0..crash_at {
            assert!(world.step());
        }
        world.crash();
        ends_as(&mut world, if rejects { &paths } else { "" });
        assert_eq!(world.open_hold(), None, "crash at {crash_at}");
        assert_eq!(world.disk.kept().len(), if rejects { 0 } else { 10 });
    }
}

#[test]
fn one_that_is_restored_leaves_the_hold_untouched() {
    let paths = many(3, 20);
    let mut world = world_that_asks(&paths);
    let d = world.cloud.at("d");
    held(&mut world, "d");
    let deeds = world.tally.deeds;
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, &paths);
    assert_eq!((world.open_hold(), world.tally.deeds, world.tally.fetches), (None, deeds, 60));
}

/// No event may tell of that: whatever is in it is listed again when it is back.
#[test]
fn what_went_before_it_stays_gone_when_it_is_back() {
    let mut world = world_that_asks("d/ d/e/ d/e/a=1 d/e/b=2 d/e/c=3 d/g=4");
    let (d, a) = (world.cloud.at("d"), world.cloud.at("d/e/a"));
    world.cloud.trash(&a);
    held(&mut world, "d");
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, "d/ d/e/ d/e/b=2 d/e/c=3 d/g=4");
}

#[test]
fn a_restart_does_not_tell_what_is_in_it() {
    let paths = many(3, 20);
    let mut world = world_that_asks(&paths);
    held(&mut world, "d");
    world.crash();
    run_for(&mut world, 120_000);
    assert_eq!((listed(&world), tree(&world)), ((1, 60), paths));
    world.command(Command::Sync { folder: None, full: true });
    run_for(&mut world, 600_000);
    assert_eq!(listed(&world), (1, 60), "nor does a comparison");
    let hold = world.open_hold().unwrap();
    approve(&mut world, hold);
    ends_as(&mut world, "");
}

#[test]
fn many_of_them_do_not_keep_others_from_being_told() {
    let paths: Vec<String> =
        (0..40).map(|dir| format!("d{dir}/ d{dir}/a={} d{dir}/b={}", 100 + dir, 200 + dir)).collect();
    let swarm = Swarm { max_delete: Some(1), ..Swarm::calm() };
    let mut world = world_like(swarm, &format!("{} e/ e/f/", paths.join(" ")));
    for dir in 0..40 {
        trash(&mut world, &format!("d{dir}"));
    }
    run_for(&mut world, 120_000);
    assert_eq!(listed(&world), (40, 80));
    trash(&mut world, "e");
    run_for(&mut world, 120_000);
    assert!(!tree(&world).contains("e/"), "one without a file is not asked about");
    let hold = world.open_hold().unwrap();
    approve(&mut world, hold);
    ends_as(&mut world, "");
    assert_eq!(world.disk.kept().len(), 80);
}

#[test]
fn what_moves_out_of_one_is_where_the_cloud_has_it() {
    let mut world = world_that_asks("d/ d/a=1 d/b=2 d/e/ d/e/c=3 d/e/g=4");
    let (a, e) = (world.cloud.at("d/a"), world.cloud.at("d/e"));
    let hold = held(&mut world, "d");
    assert_eq!(listed(&world), (1, 4));
    world.cloud.shift(&a, &watched(), "a");
    run_for(&mut world, 60_000);
    assert_eq!((listed(&world), tree(&world)), ((1, 3), "a=1 d/ d/b=2 d/e/ d/e/c=3 d/e/g=4".to_owned()));
    world.cloud.shift(&e, &watched(), "e");
    run_for(&mut world, 60_000);
    assert_eq!(listed(&world), (1, 1));
    approve(&mut world, hold);
    ends_as(&mut world, "a=1 e/ e/c=3 e/g=4");
    assert_eq!(world.tally.fetches, 4, "nothing is downloaded again");
}

#[test]
fn one_in_another_one_is_counted_with_it() {
    for comes_back in [false, true] {
        let mut world = world_that_asks("d/ d/a=1 d/b=2 d/c=3 d/e/ d/e/f=4 d/e/g=5 d/e/h=6");
        held(&mut world, "d/e");
        assert_eq!(listed(&world), (1, 3));
        let d = trash(&mut world, "d");
        run_for(&mut world, 60_000);
        assert_eq!(listed(&world), (1, 6));
        assert_eq!(holds(&world)[0].examples, ["d/"]);
        if comes_back {
            world.cloud.restore(&d, &watched(), "d");
            run_for(&mut world, 60_000);
            assert_eq!(listed(&world), (1, 3), "the other one still waits");
        }
        let (hold, deeds) = (world.open_hold().unwrap(), world.tally.deeds);
        approve(&mut world, hold);
        ends_as(&mut world, if comes_back { "d/ d/a=1 d/b=2 d/c=3" } else { "" });
        assert!(comes_back || world.tally.deeds - deeds <= 5, "both go by one rename");
    }
}

#[test]
fn a_new_one_of_its_name_waits_for_the_decision() {
    let mut world = world_that_asks("d/ d/a=1 d/b=2 d/c=3");
    let hold = held(&mut world, "d");
    put(&mut world, "d/ d/n=4 k=5");
    run_for(&mut world, 60_000);
    assert_eq!((listed(&world), tree(&world)), ((1, 3), "d/ d/a=1 d/b=2 d/c=3 k=5".to_owned()));
    approve(&mut world, hold);
    ends_as(&mut world, "d/ d/n=4 k=5");
}

#[test]
fn an_edit_in_one_goes_to_the_version_store_as_one() {
    let mut world = world_that_asks("d/ d/a=1 d/b=2 d/c=3");
    let hold = held(&mut world, "d");
    assert!(world.disk.write("d/a", 100));
    world.disk.hints.clear();
    approve(&mut world, hold);
    ends_as(&mut world, "");
    assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [2, 3, 100]);
}

#[test]
fn one_that_moves_out_of_the_folder_is_held_as_one_that_is_trashed() {
    let mut world = world_that_asks(&many(2, 5));
    let d = world.cloud.at("d");
    world.cloud.shift(&d, &elsewhere(), "d");
    run_for(&mut world, 60_000);
    assert_eq!(listed(&world), (1, 10));
    // Somebody removes it from the disk meanwhile.
    for path in ["d/0/f00", "d/0/f01", "d/0/f02", "d/0/f03", "d/0/f04", "d/0/"] {
        world.disk.remove(path);
    }
    world.disk.hints.clear();
    let hold = world.open_hold().unwrap();
    approve(&mut world, hold);
    ends_as(&mut world, "");
}

#[test]
fn a_pause_changes_nothing_about_it() {
    let mut world = world_that_asks(&many(2, 5));
    let hold = held(&mut world, "d");
    world.command(Command::Pause { folder: None });
    run_for(&mut world, 60_000);
    world.command(Command::Resume { folder: None });
    run_for(&mut world, 60_000);
    assert_eq!(listed(&world), (1, 10));
    approve(&mut world, hold);
    ends_as(&mut world, "");
}

/// What is sent does not go out of sight, and its files are asked about one by one.
#[test]
fn another_mode_ends_it_and_asks_anew() {
    let mut world = world_that_asks("d/ d/a=1 d/b=2 d/c=3");
    held(&mut world, "d");
    world.swarm.mode = Mode::TwoWay;
    world.configure();
    while world.store().open_hold(FOLDER, "mode_changed").unwrap().is_none() {
        assert!(world.step());
    }
    let hold = world.store().open_hold(FOLDER, "mode_changed").unwrap().unwrap();
    world.command(Command::Approve { hold });
    run_for(&mut world, 600_000);
    assert_eq!(listed(&world), (3, 3));
    let hold = world.open_hold().unwrap();
    approve(&mut world, hold);
    ends_as(&mut world, "");
}

#[test]
fn without_a_brake_it_still_waits_for_the_decision() {
    for max_delete in [None, Some(100)] {
        let mut world = world_that_asks(&many(2, 5));
        let hold = held(&mut world, "d");
        world.swarm.max_delete = max_delete;
        world.configure();
        run_for(&mut world, 60_000);
        assert_eq!(listed(&world), (1, 10));
        approve(&mut world, hold);
        ends_as(&mut world, "");
    }
}

#[test]
fn what_is_in_two_of_them_is_one_number() {
    let mut world = world_that_asks("d/ d/a=1 d/b=2 d/c=3 e/ e/f=4 e/g=5 h=6");
    held(&mut world, "d");
    for path in ["e", "h"] {
        trash(&mut world, path);
    }
    run_for(&mut world, 60_000);
    assert_eq!(listed(&world), (3, 6));
    let hold = &holds(&world)[0];
    assert!(hold.text.starts_with("6 of 6 files"), "{}", hold.text);
    assert_eq!(hold.examples, ["d/", "e/", "h"], "the largest come first");
    let hold = world.open_hold().unwrap();
    approve(&mut world, hold);
    ends_as(&mut world, "");
    assert!(said(&world).starts_with("6 files "), "{}", said(&world));
}

/// A file that made room for another one is out of sight while somebody's directory has its new place. It goes to the trash, and waits for a
/// person where it can be seen.
#[test]
fn one_that_is_out_of_sight_waits_where_it_can_be_seen() {
    for (crash_at, rejects) in (0..30).flat_map(|step| [(step, false), (step, true)]) {
        let mut world = world_like(Swarm { max_delete: Some(0), ..Swarm::calm() }, "a=1 b=2");
        world.disk.mkdir("y");
        world.disk.write("y/own", 30);
        let a = world.cloud.at("a");
        world.cloud.rename(&a, "y");
        put(&mut world, "a=3");
        world.rest();
        assert_eq!(tree(&world), "a=3 b=2 y/ y/own=30");
        world.cloud.trash(&a);
        for step in 0..100 {
            if step == crash_at {
                world.crash();
            }
            assert!(world.step());
        }
        run_for(&mut world, 60_000);
        let shown = tree(&world);
        assert!(
            shown.starts_with("a=3 b=2 y (conflicted copy") && shown.contains(")=1 y/ y/own=30"),
            "{crash_at}: {shown}"
        );
        let hold = world.open_hold().unwrap();
        if rejects {
            reject(&mut world, hold);
        } else {
            approve(&mut world, hold);
        }
        world.rest();
        assert_eq!(tree(&world).contains(")=1"), rejects, "{crash_at}");
        world.check();
    }
}

/// A file goes to the trash, and is back before its removal from the disk is done: it was deleted all the same, and counts towards the question.
#[test]
fn what_comes_back_while_it_is_removed_was_deleted() {
    for (mode, moment) in (0..12).flat_map(|moment| [(Mode::Mirror, moment), (Mode::TwoWay, moment)]) {
        let swarm = Swarm { mode, max_delete: Some(1), deeds_ms: 300_000, call_ms: 1, ..Swarm::calm() };
        let mut world = world_like(swarm, "a=1 b=2 c=3 d=4");
        let a = trash(&mut world, "a");
        world.schedule(0, Happening::Late);
        for _ in 0..moment {
            assert!(world.step());
        }
        world.cloud.restore(&a, &watched(), "a");
        world.schedule(0, Happening::Late);
        ends_as(&mut world, "a=1 b=2 c=3 d=4");
        let was_deleted = world.disk.kept().contains(&1);
        trash(&mut world, "b");
        run_for(&mut world, 700_000);
        assert_eq!(world.open_hold().is_some(), was_deleted, "{mode:?} {moment}");
    }
}
