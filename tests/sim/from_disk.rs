//! Two-way folders: what the disk tells is read no more often than it must be, and goes to the cloud by as few calls as it can.

use folder_sync_agent::command::Command;
use folder_sync_agent::engine::{Outcome, Task};
use folder_sync_agent::id::{JobId, NodeId};
use folder_sync_agent::local_news::{EntryKind, LocalMiss, News, Rescan, UploadFailure, Uploaded};
use folder_sync_agent::path::{Name, RelPath};
use folder_sync_agent::provider::{ProviderError, ProviderErrorKind};
use folder_sync_agent::settings::Mode;
use folder_sync_agent::store::items::{LocalRow, SeatRow};
use folder_sync_agent::tree::{ItemState, Stamp, Wall};

use super::cloud::{Habits, elsewhere, watched};
use super::stories::{ends_as, put, world_like};
use super::swarm::Swarm;
use super::two_way::{both, calm, folders_change_names, put_out_of_sight, trash_what_is_out_of_sight};
use super::world::{FOLDER, Happening, World};

fn scan_again(world: &mut World) {
    world.schedule(0, Happening::Hints(News::Rescan(Rescan::Overflow)));
    world.rest();
}

/// Takes the next call of a kind off its way to the cloud.
fn intercept(world: &mut World, is_it: fn(&Task) -> bool) -> (JobId, Task) {
    loop {
        let is_it = |happening: &Happening| matches!(happening, Happening::Serve { task, .. } if is_it(task));
        let found = world.heap.iter().find(|(_, happening)| is_it(happening)).map(|(at, _)| *at);
        if let Some(Happening::Serve { job, task }) = found.and_then(|at| world.heap.remove(&at)) {
            return (job, task);
        }
        assert!(world.step());
    }
}

#[test]
fn a_file_is_read_when_anything_happened_to_it_and_sent_when_that_was_its_content() {
    let mut world = both("a=1 b=2 d/ d/c=3");
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    // The same length and modification time: only the status change time tells.
    world.disk.write_unnoticed("a", 2_001);
    world.disk.chmod("b");
    ends_as(&mut world, "a=2001 b=2 d/ d/c=3");
    assert_eq!((world.cloud.thing(&a).content, world.tally.uploads), (2_001, 1));
    assert_eq!(world.tally.hashes, 2, "what was touched is read once");
    scan_again(&mut world);
    assert_eq!(world.tally.hashes, 2, "the stamp of what was read is up to date");
    // Hidden under a rename, too.
    world.disk.write_unnoticed("b", 1_002);
    world.disk.rename("b", "d/b2");
    ends_as(&mut world, "a=2001 d/ d/b2=1002 d/c=3");
    assert_eq!((world.cloud.at("d/b2"), world.cloud.thing(&b).content), (b, 1_002));
}

#[test]
fn what_we_did_to_files_ourselves_is_no_reason_to_read_them_again() {
    let mut world = both("a=1 b=2 d/ d/c=3");
    let (a, b, d) = (world.cloud.at("a"), world.cloud.at("b"), world.cloud.at("d"));
    world.cloud.edit(&a, 11);
    world.cloud.rename(&b, "b2");
    world.cloud.rename(&d, "d2");
    world.cloud.add_file(&d, "new", 12);
    ends_as(&mut world, "a=11 b2=2 d2/ d2/c=3 d2/new=12");
    world.disk.write("own", 13);
    ends_as(&mut world, "a=11 b2=2 d2/ d2/c=3 d2/new=12 own=13");
    for _ in 0..2 {
        scan_again(&mut world);
    }
    assert_eq!(world.tally.hashes, 1, "only what was written by somebody else is read");
}

/// A file is moved between the scan of its old place and that of its new one, and then somebody sets the clock: what was only just seen to
/// be missing has not been missing for as long as the clock went forward.
#[test]
fn what_is_seen_to_be_missing_is_waited_for_though_the_clock_is_set() {
    for (mode, set) in [(Mode::TwoWay, 1), (Mode::TwoWay, -1), (Mode::Upload, 1), (Mode::Upload, -1)] {
        for moment in (250..500).step_by(10) {
            let mut world = world_like(Swarm { mode, ..Swarm::calm() }, "");
            assert!(world.disk.write("a", 1) && world.disk.mkdir("d"));
            world.rest();
            let a = world.cloud.at("a");
            // It has the directory scanned.
            assert!(world.disk.write("b", 2));
            let begun = world.now;
            while world.now < begun + moment {
                world.schedule(1, Happening::Late);
                assert!(world.step());
            }
            assert!(world.disk.rename("a", "d/a"));
            let is_missing = |world: &World| {
                let row = world.store().item_by_id(FOLDER, &a).unwrap().unwrap();
                matches!(row.local, Some(LocalRow::Absent { .. }))
            };
            while world.now < begun + 2 * moment && !is_missing(&world) {
                assert!(world.step());
            }
            world.wall_jump += set * 3_600_000;
            world.schedule(0, Happening::Late);
            ends_as(&mut world, "b=2 d/ d/a=1");
            assert_eq!(world.cloud.at("d/a"), a);
        }
    }
}

#[test]
fn a_whole_folder_goes_into_the_trash_by_one_call_and_all_that_was_in_it_counts() {
    let mut world = both("d/ d/a=1 d/e/ d/e/b=2 d/e/c=3 d/e/f/ x=4 y=5");
    let (d, b) = (world.cloud.at("d"), world.cloud.at("d/e/b"));
    world.disk.remove("d/");
    ends_as(&mut world, "x=4 y=5");
    assert!(world.cloud.thing(&d).trashed && !world.cloud.thing(&b).trashed && !world.cloud.is_live(&b));
    assert_eq!(world.tally.trashes, 1);
    let now = Wall(1_700_000_000_000 + world.now as i64);
    assert_eq!(world.store().deletions(FOLDER, now).unwrap(), 3);
}

#[test]
fn a_folder_goes_in_parts_when_something_in_it_changed_in_the_cloud() {
    let mut world = both("d/ d/a=1 d/e/ d/e/b=2 d/e/c=3 d/g/ d/g/h=6 d/g/i=7 x=4");
    let b = world.cloud.at("d/e/b");
    world.disk.remove("d/");
    world.cloud.edit(&b, 20);
    ends_as(&mut world, "d/ d/e/ d/e/b=20 x=4");
    assert_eq!(world.tally.trashes, 3, "a, c, and g with what was in it");
}

#[test]
fn the_brake_sees_what_is_in_a_folder_and_an_approval_lets_it_go_as_a_whole() {
    let mut world = world_like(Swarm { max_delete: Some(2), ..calm(Mode::TwoWay) }, "d/ d/a=1 d/b=2 d/c=3 x=4 y=5");
    world.disk.remove("d/");
    while world.open_hold().is_none() {
        assert!(world.step());
    }
    for _ in 0..200 {
        world.step();
    }
    assert_eq!((world.tally.trashes, world.disk.tree().len()), (0, 2));
    let hold = world.open_hold().unwrap();
    assert_eq!(world.store().held_items(hold, 10).unwrap().len(), 3);
    // The rest goes on.
    world.disk.write("new", 600);
    while world.tally.uploads == 0 {
        assert!(world.step());
    }
    world.approved = true;
    world.command(Command::Approve { hold });
    ends_as(&mut world, "new=600 x=4 y=5");
    assert_eq!(world.tally.trashes, 1);
}

#[test]
fn an_upload_folder_makes_again_what_others_threw_away_once_the_disk_has_something_to_say() {
    let mut world = world_like(calm(Mode::Upload), "");
    assert!(world.disk.mkdir("d") && world.disk.write("d/a", 300));
    world.rest();
    let d = world.cloud.at("d");
    world.cloud.trash(&d);
    world.rest();
    assert_eq!(world.disk.tree().len(), 2);
    world.disk.write("d/b", 301);
    while world.tally.uploads < 2 {
        assert!(world.step());
    }
    assert_eq!(world.cloud.thing(&world.cloud.at("d/b")).content, 301);
    world.disk.write("d/a", 302);
    while world.tally.uploads < 3 {
        assert!(world.step());
    }
    assert_eq!(world.cloud.thing(&world.cloud.at("d/a")).content, 302);
}

#[test]
fn what_was_copied_elsewhere_and_removed_was_moved() {
    let mut world = both("a=1 d/ d/b=2 d/c=3 e/");
    let ids = ["a", "d", "d/b", "d/c"].map(|path| world.cloud.at(path));
    // As between filesystems: new inodes, and another moment for each.
    assert!(world.disk.write("e/a2", 1) && world.disk.remove("a"));
    assert!(world.disk.mkdir("e/d") && world.disk.write("e/d/b", 2) && world.disk.write("e/d/c", 3));
    assert!(world.disk.remove("d/"));
    ends_as(&mut world, "e/ e/a2=1 e/d/ e/d/b=2 e/d/c=3");
    assert_eq!(world.tally.uploads, 0, "nothing that the cloud has is sent");
    let now = ["e/a2", "e/d/b", "e/d/c"].map(|path| world.cloud.at(path));
    assert_eq!(now, [ids[0].clone(), ids[2].clone(), ids[3].clone()]);
    assert!(world.cloud.thing(&ids[1]).trashed);
    // A copy of what stays is a file of its own, and what only has the same length is another one.
    assert!(world.disk.write("copy", 1) && world.disk.write("other", 1_002) && world.disk.remove("e/d/b"));
    ends_as(&mut world, "copy=1 e/ e/a2=1 e/d/ e/d/c=3 other=1002");
    assert_eq!(world.tally.uploads, 2);
    assert_eq!(world.cloud.at("e/a2"), ids[0]);
}

#[test]
fn a_folder_moved_out_of_one_that_goes_may_take_its_name_in_another_case() {
    for mode in [Mode::TwoWay, Mode::Upload] {
        let mut world = world_like(calm(mode), "A/ A/b/ A/b/f=1");
        if mode == Mode::Upload {
            world.disk.mkdir("A");
            world.disk.mkdir("A/b");
            world.disk.write("A/b/f", 1);
            world.rest();
        }
        let b = world.cloud.at("A/b");
        world.disk.rename("A/b", "a");
        world.disk.remove("A/");
        world.rest();
        assert_eq!(world.disk.tree().into_keys().collect::<Vec<_>>(), ["a/", "a/f"], "{mode:?}");
        assert_eq!((world.cloud.at("a"), world.cloud.tree().len()), (b, 2), "{mode:?}");
    }
}

/// How many rows of a directory the books have, by its place on disk.
fn rows_in(world: &World, node: NodeId) -> usize {
    world.store().seated_children(node, None, 10_000).unwrap().len()
}

fn in_root(world: &World, name: &str) -> Option<NodeId> {
    let root = world.store().folders().unwrap()[0].root.unwrap();
    world.store().seated_at(root, &Name::new(name.as_bytes()).unwrap()).unwrap()
}

/// Steps until a directory's rows are gone, no more than a step's worth in each.
fn is_forgotten_step_by_step(world: &mut World, node: NodeId) {
    /// What a step goes through, and the items that it decides about besides.
    const ROWS_PER_STEP: usize = 2_000 + 400;
    while rows_in(world, node) > 0 {
        let before = rows_in(world, node);
        assert!(world.step());
        let gone = before.saturating_sub(rows_in(world, node));
        assert!(gone <= ROWS_PER_STEP, "{gone} rows in one step");
    }
}

#[test]
fn a_large_directory_that_was_met_as_new_and_is_known_is_forgotten_in_more_than_one_step() {
    const FILES: usize = 2_500;
    let mut world = both("x/ x/d/");
    let d = in_root(&world, "x").map(|x| world.store().seated_in(x).unwrap().unwrap());
    for number in 0..FILES {
        assert!(world.disk.write(&format!("x/d/{number}"), 3_000 + number as u64));
    }
    world.disk.rename("x/d", "e");
    world.disk.hints.clear();
    let hint = |world: &mut World, dir: &str| {
        let dir = RelPath::parse(dir).unwrap();
        world.schedule(0, Happening::Hints(News::Dirs(vec![dir])));
    };
    // The place that it went to is read before the one that it left.
    hint(&mut world, "");
    while in_root(&world, "e").is_none_or(|e| rows_in(&world, e) < FILES) {
        assert!(world.step());
    }
    let e = in_root(&world, "e").unwrap();
    hint(&mut world, "x");
    is_forgotten_step_by_step(&mut world, e);
    while in_root(&world, "e") != d || rows_in(&world, d.unwrap()) < FILES {
        assert!(world.step(), "it is the one that is known, with everything that is in it");
    }
}

#[test]
fn a_folder_that_patterns_keep_out_now_is_let_go_however_much_a_local_hand_put_into_it() {
    const FILES: usize = 2_500;
    let mut world = world_like(Swarm { exclude: true, ..calm(Mode::TwoWay) }, "d/ d/a=1");
    let d = in_root(&world, "d").unwrap();
    for number in 0..FILES {
        assert!(world.disk.write(&format!("d/{number}"), 3_000 + number as u64));
    }
    while rows_in(&world, d) < FILES {
        assert!(world.step());
    }
    let id = world.cloud.at("d");
    world.cloud.rename(&id, "x1");
    is_forgotten_step_by_step(&mut world, d);
    while in_root(&world, "d").is_none_or(|new| new == d || rows_in(&world, new) <= FILES) {
        assert!(world.step(), "what the disk has is met again as a folder of its own");
    }
}

#[test]
fn a_deletion_asks_ever_less_often_for_what_is_out_of_sight_or_not_scanned_yet() {
    let mut world = both("a=1 c=3");
    let (a, c) = (world.cloud.at("a"), world.cloud.at("c"));
    let row = |world: &World, id| world.store().item_by_id(FOLDER, id).unwrap().unwrap();
    world.disk.write("a", 211);
    world.disk.remove("c");
    while row(&world, &a).local.is_none() || row(&world, &c).local.is_none() {
        assert!(world.step());
    }
    // Before either has settled, the edited file makes room for another one, and the disk takes long over what follows.
    world.cloud.rename(&a, "b");
    world.cloud.add_file(&watched(), "a", 2);
    world.command(Command::Sync { folder: None, full: false });
    let is_parked = |world: &World| matches!(row(world, &a).synced.unwrap().seat, SeatRow::Parked(_));
    while !is_parked(&world) {
        assert!(world.step());
    }
    world.swarm.deeds_ms = 150_000;
    let (begun, mut steps) = (world.now, 0);
    while is_parked(&world) {
        assert!(world.step());
        assert!(!world.cloud.thing(&c).trashed, "after {} s", (world.now - begun) / 1_000);
        steps += 1;
    }
    let seconds = (world.now - begun) / 1_000;
    assert!(seconds > 100, "{seconds} s");
    assert!(steps < seconds / 4, "{steps} steps in {seconds} s");
    ends_as(&mut world, "a=2 b=211");
}

#[test]
fn equal_local_files_are_adopted_however_long_the_disk_takes() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = World::calm();
        world.swarm.mode = mode;
        // The cloud has told everything, and was compared, long before the second directory is in its place.
        (world.swarm.call_ms, world.swarm.deeds_ms) = (10, 120_000);
        put(&mut world, "a=1 d/ d/e/ d/e/f/ d/e/f/c=3 d/e/f/new=4");
        for dir in ["d", "d/e", "d/e/f"] {
            world.disk.mkdir(dir);
        }
        world.disk.write("a", 1);
        world.disk.write("d/e/f/c", 3);
        world.start();
        ends_as(&mut world, "a=1 d/ d/e/ d/e/f/ d/e/f/c=3 d/e/f/new=4");
        assert_eq!(world.tally.fetches, 1, "only `new` is not on disk");
    }
}

/// `mv d b/d; mv b d`, and the first hint names `d`: what stands there now is not the directory that was there.
#[test]
fn what_stands_under_the_name_of_a_directory_that_moved_is_not_taken_for_it() {
    let mut world = both("b/ b/c=2 d/ d/a=1 d/e/ d/e/f=3");
    let (b, d, a, e) = (world.cloud.at("b"), world.cloud.at("d"), world.cloud.at("d/a"), world.cloud.at("d/e"));
    assert!(world.disk.rename("d", "b/d") && world.disk.rename("b", "d"));
    world.disk.hints.clear();
    world.schedule(0, Happening::Hints(News::Dirs(vec![RelPath::parse("d").unwrap()])));
    world.schedule(10_000, Happening::Hints(News::Dirs(vec![RelPath::root()])));
    ends_as(&mut world, "d/ d/c=2 d/d/ d/d/a=1 d/d/e/ d/d/e/f=3");
    let there = ["d", "d/d", "d/d/a", "d/d/e"].map(|path| world.cloud.at(path));
    assert_eq!(there, [b, d, a, e], "they moved, and nothing went to the trash");
    assert_eq!(world.tally.uploads, 0);
}

/// `mv c a; touch a/d; mv a c`: the hint of `a` leads nowhere by the time at which it is taken.
#[test]
fn what_was_put_into_a_directory_while_it_had_another_name_is_found() {
    let mut world = both("c/ c/x=1 c/y/ e/");
    assert!(world.disk.rename("c", "a") && world.disk.write("a/d", 211) && world.disk.write("a/y/d", 212));
    assert!(world.disk.rename("a", "c"));
    ends_as(&mut world, "c/ c/d=211 c/x=1 c/y/ c/y/d=212 e/");
}

#[test]
fn a_directory_that_took_the_place_of_another_is_read_though_the_one_above_cannot_be() {
    let mut world = both("p/ p/d/ p/d/a=1");
    world.disk.set_readable("p", false);
    assert!(world.disk.remove("p/d") && world.disk.mkdir("p/d") && world.disk.write("p/d/b", 202));
    let begun = world.now;
    // What goes up waits ten minutes for a directory that may be readable again.
    while world.tally.uploads == 0 {
        assert!(world.step() && world.now < begun + 1_200_000);
    }
    world.disk.set_readable("p", true);
    ends_as(&mut world, "p/ p/d/ p/d/b=202");
}

/// No answer comes to a deletion, a look finds the file still there, the second attempt is refused, and then the cloud carries out the
/// first one: it counts, and the next one is asked about.
#[test]
fn a_deletion_that_the_cloud_carries_out_after_it_was_looked_for_counts() {
    for paths in [false, true] {
        let mut swarm = Swarm { max_delete: Some(1), ..calm(Mode::TwoWay) };
        swarm.habits.paths = paths;
        let mut world = world_like(swarm, "a=1 b=2 c=3");
        let b = world.cloud.at("b");
        world.disk.remove("a");
        let mut refused = [ProviderErrorKind::OutcomeUnknown, ProviderErrorKind::Conflict].map(|kind| {
            let (job, task) = intercept(&mut world, |task| matches!(task, Task::Trash { .. }));
            let outcome = Outcome::Trashed(Err(ProviderError::new(kind, "made up")));
            world.schedule(0, Happening::Deliver { job, outcome });
            Some(task)
        });
        world.schedule(1, Happening::LateWrite(refused[0].take().unwrap()));
        ends_as(&mut world, "b=2 c=3");
        world.disk.remove("b");
        let end = world.now + 60_000;
        while world.now < end {
            assert!(world.step());
        }
        world.check_deletions();
        assert!(world.open_hold().is_some() && world.cloud.is_live(&b));
    }
}

/// No answer comes to a deletion, and a look finds that somebody moved the file out of the watched folder. The cloud may carry the deletion out
/// there, where nobody tells us: it counts, and the next one is asked about.
#[test]
fn a_deletion_of_what_somebody_moved_away_counts() {
    for (items, first) in [("a=1 b=2 c=3", "a"), ("a/ a/f=1 b=2 c=3", "a")] {
        let mut world = world_like(Swarm { max_delete: Some(1), ..calm(Mode::TwoWay) }, items);
        let (a, b) = (world.cloud.at(first), world.cloud.at("b"));
        world.disk.remove(first);
        let (job, task) = intercept(&mut world, |task| matches!(task, Task::Trash { .. }));
        world.cloud.shift(&a, &elsewhere(), "a");
        let error = ProviderError::new(ProviderErrorKind::OutcomeUnknown, "made up");
        world.schedule(0, Happening::Deliver { job, outcome: Outcome::Trashed(Err(error)) });
        world.schedule(30_000, Happening::LateWrite(task));
        let end = world.now + 60_000;
        while world.now < end {
            assert!(world.step());
        }
        world.disk.remove("b");
        let end = world.now + 60_000;
        while world.now < end {
            assert!(world.step());
        }
        world.check_deletions();
        assert!(world.open_hold().is_some() && world.cloud.is_live(&b), "{items}");
    }
}

/// The event of our upload comes before the answer, the file is removed, and the process dies: what the cloud has is ours, and goes.
#[test]
fn an_upload_that_only_its_event_told_of_is_ours_though_the_process_dies() {
    for mode in [Mode::TwoWay, Mode::Upload] {
        let mut world = world_like(calm(mode), "");
        world.disk.write("a", 201);
        let (_, task) = intercept(&mut world, |task| matches!(task, Task::Upload(..)));
        assert!(world.write_late(&task));
        let a = world.cloud.at("a");
        while world.store().item_by_id(FOLDER, &a).unwrap().is_none() {
            assert!(world.step());
        }
        world.disk.remove("a");
        world.crash();
        // The disk is read before the cloud can be asked.
        let (job, task) = intercept(&mut world, |task| matches!(task, Task::Identify));
        world.schedule(5_000, Happening::Serve { job, task });
        ends_as(&mut world, "");
        assert!(world.cloud.thing(&a).trashed, "{mode:?}");
    }
}

/// A folder is removed from the disk while another one is made in it, and the event of that comes before the answer: the new one is ours, and
/// no reason to keep the folder.
#[test]
fn a_folder_in_which_we_are_making_another_one_goes_with_it() {
    for mode in [Mode::TwoWay, Mode::Upload] {
        let mut world = world_like(calm(mode), "");
        assert!(world.disk.mkdir("d"));
        ends_as(&mut world, "d/");
        let d = world.cloud.at("d");
        assert!(world.disk.mkdir("d/e"));
        let (job, task) = intercept(&mut world, |task| matches!(task, Task::MakeFolder { .. }));
        assert!(world.write_late(&task));
        let e = world.cloud.at("d/e");
        while world.store().item_by_id(FOLDER, &e).unwrap().is_none() {
            assert!(world.step());
        }
        world.disk.remove("d/");
        let end = world.now + 20_000;
        while world.now < end {
            assert!(world.step());
        }
        let ItemState::Active(made) = world.cloud.look(&e) else { panic!("{mode:?}: it is gone") };
        world.schedule(0, Happening::Deliver { job, outcome: Outcome::FolderMade(Ok(made)) });
        ends_as(&mut world, "");
        assert!(world.cloud.thing(&d).trashed, "{mode:?}");
    }
}

/// A file turns out to be another one while it is read for its upload, and goes with its folder before that is known: what was seen of it then
/// is of before, and it is not waited for.
#[test]
fn what_an_upload_saw_of_a_file_does_not_outlive_the_file() {
    for mode in [Mode::TwoWay, Mode::Upload] {
        let mut world = world_like(calm(mode), "");
        assert!(world.disk.mkdir("d") && world.disk.write("d/a", 201));
        ends_as(&mut world, "d/ d/a=201");
        let d = world.cloud.at("d");
        assert!(world.disk.write("d/a", 202));
        let (job, task) = intercept(&mut world, |task| matches!(task, Task::Upload(..)));
        let Task::Upload(_, file) = task else { unreachable!() };
        world.disk.remove("d/");
        let a = world.cloud.at("d/a");
        let is_missing = |world: &World| {
            let row = world.store().item_by_id(FOLDER, &a).unwrap().unwrap();
            matches!(row.local, Some(LocalRow::Absent { .. }))
        };
        while !is_missing(&world) {
            assert!(world.step());
        }
        let changed = LocalMiss::Changed { stamp: Stamp { ino: file.stamp.ino + 1_000, ..file.stamp } };
        world.schedule(0, Happening::Deliver { job, outcome: Outcome::Uploaded(Err(UploadFailure::Local(changed))) });
        ends_as(&mut world, "");
        assert!(world.cloud.thing(&d).trashed, "{mode:?}");
    }
}

#[test]
fn an_edit_that_no_scan_saw_before_its_folder_was_put_out_of_sight_outlives_both_in_the_cloud() {
    for depth in ["", "/e"] {
        let mut world = world_like(calm(Mode::TwoWay), "a/ a/e/ b/ b/e/");
        let ids = ["a", "b"].map(|name| world.cloud.at(name));
        for name in ["a", "b"] {
            let above = world.cloud.at(&format!("{name}{depth}"));
            world.cloud.add_file(&above, "f", 1);
        }
        world.rest();
        folders_change_names(&mut world, &ids);
        assert!(world.disk.write(&format!("a{depth}/f"), 212) && world.disk.write(&format!("b{depth}/f"), 214));
        trash_what_is_out_of_sight(&mut world, &ids);
        world.rest();
        let tree = world.disk.tree();
        assert!([212, 214].iter().all(|edit| tree.values().any(|content| *content == Some(*edit))), "{tree:?}");
    }
}

/// A file is edited, in place or by a new one of its name, and moves while the new version goes up, by itself or with its directory. The cloud keeps
/// it under its id.
#[test]
fn a_file_that_moves_while_its_new_version_goes_up_stays_what_it_was() {
    for (mode, content) in [(Mode::TwoWay, 202), (Mode::TwoWay, 203), (Mode::Upload, 202), (Mode::Upload, 203)] {
        for (from, to, expected) in [("d/a", "k/b", "d/ k/ k/b"), ("d", "k/e", "k/ k/e/ k/e/a")] {
            let mut world = world_like(Swarm { call_ms: 60_000, ..calm(mode) }, "");
            assert!(world.disk.mkdir("d") && world.disk.mkdir("k") && world.disk.write("d/a", 201));
            world.rest();
            let (a, uploads) = (world.cloud.at("d/a"), world.tally.uploads);
            assert!(world.disk.write("d/a", content));
            while world.tally.uploads == uploads {
                assert!(world.step());
            }
            assert!(world.disk.rename(from, to));
            ends_as(&mut world, &format!("{expected}={content}"));
            assert_eq!(
                (world.cloud.at(&expected[expected.rfind('k').unwrap()..]), world.tally.uploads),
                (a, uploads + 1),
                "{mode:?} {from}"
            );
        }
    }
}

/// What we make is moved out of the watched folder before the answer comes, and that is told before it is told that we made it.
#[test]
fn what_we_make_and_somebody_moves_away_before_we_know_it_is_gone() {
    for (ids, paths) in [(false, false), (true, false), (false, true)] {
        for path in ["e", "a"] {
            let habits = Habits { ids, paths, list_page: 100, event_page: 100, ..Habits::default() };
            let mut world = world_like(Swarm { habits, ..calm(Mode::TwoWay) }, "k=1");
            assert!(if path == "e" { world.disk.mkdir("e") } else { world.disk.write("a", 202) });
            let makes = |task: &Task| matches!(task, Task::MakeFolder { .. } | Task::Upload(..));
            let (job, task) = intercept(&mut world, makes);
            assert!(world.write_late(&task));
            let made = world.cloud.at(path);
            let created = world.cloud.take_back();
            let ItemState::Active(item) = world.cloud.look(&made) else { unreachable!() };
            world.cloud.shift(&made, &elsewhere(), path);
            world.schedule(0, Happening::Late);
            let end = world.now + 120_000;
            while world.now < end {
                assert!(world.step());
            }
            let outcome = match task {
                Task::Upload(_, file) => {
                    let (sha256, _) = file.digests.unwrap();
                    Outcome::Uploaded(Ok(Box::new(Uploaded { item: *item, sha256, stamp: file.stamp })))
                }
                _ => Outcome::FolderMade(Ok(item)),
            };
            world.schedule(0, Happening::Deliver { job, outcome });
            let end = world.now + 10_000;
            while world.now < end {
                assert!(world.step());
            }
            world.cloud.tell_late(created);
            world.schedule(0, Happening::Late);
            ends_as(&mut world, "k=1");
        }
    }
}

/// A file moves into a new directory of a new one, which takes the name that its former directory had in the cloud: each waits for the next, and the
/// file steps aside in a folder that the cloud has.
#[test]
fn a_file_steps_aside_where_its_new_folder_is_not_made_yet() {
    let mut world = both("a/ a/f=1");
    let f = world.cloud.at("a/f");
    assert!(
        world.disk.mkdir("b") && world.disk.mkdir("b/c") && world.disk.rename("a/f", "b/c/f") && world.disk.remove("a")
    );
    let (job, _) = intercept(&mut world, |task| matches!(task, Task::MakeFolder { .. }));
    assert!(world.disk.rename("b", "a"));
    // Its scan comes before the answer does.
    let outcome = Outcome::FolderMade(Err(ProviderError::new(ProviderErrorKind::Conflict, "made up")));
    world.schedule(3_000, Happening::Deliver { job, outcome });
    ends_as(&mut world, "a/ a/c/ a/c/f=1");
    assert_eq!(world.cloud.at("a/c/f"), f);
}

/// A folder moves into another one on disk, and that one into it in the cloud, which no event tells: the cloud refuses the first, and its
/// place wins.
#[test]
fn a_folder_that_went_into_one_that_is_in_it_by_now_finds_that_out() {
    for paths in [false, true] {
        let mut swarm = calm(Mode::TwoWay);
        swarm.habits.paths = paths;
        let mut world = world_like(swarm, "a/ a/f=1 b/ b/g=2");
        let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
        world.cloud.shift(&b, &a, "b");
        world.cloud.take_back();
        world.cloud.note_untold(world.now);
        assert!(world.disk.rename("a", "b/a"));
        ends_as(&mut world, "a/ a/b/ a/b/g=2 a/f=1");
        assert_eq!((world.cloud.at("a"), world.cloud.at("a/b")), (a, b), "{paths}");
    }
}

/// Something new is put into a folder that goes out of sight before a scan sees it, and the cloud gives the folder a name that a pattern keeps out.
#[test]
fn what_no_scan_saw_in_a_folder_out_of_sight_comes_back_though_a_pattern_keeps_the_folder_out() {
    let mut world = world_like(Swarm { exclude: true, ..calm(Mode::TwoWay) }, "a/ a/f=1 b/ b/f=2");
    let ids = ["a", "b"].map(|name| world.cloud.at(name));
    folders_change_names(&mut world, &ids);
    assert!(world.disk.write("a/new", 212) && world.disk.write("b/new", 214));
    let parked = put_out_of_sight(&mut world, &ids);
    world.cloud.rename(&parked, "x1");
    world.rest();
    let tree = world.disk.tree();
    assert!([212, 214].iter().all(|new| tree.values().any(|content| *content == Some(*new))), "{tree:?}");
}

/// A link stands where a directory was, whose folder leaves what the patterns let in, after a folder in it moved elsewhere in the cloud: that
/// one was covered with it, and comes down where it is now.
#[test]
fn what_was_covered_with_its_directory_comes_down_where_the_cloud_has_it_now() {
    let keeps = Swarm { keep_drift: true, ..calm(Mode::Mirror) };
    for swarm in [keeps, calm(Mode::TwoWay)] {
        let mut world = world_like(Swarm { exclude: true, ..swarm }, "d/ d/c/ d/c/f=1");
        let lives_on = |world: &mut World| {
            let end = world.now + 600_000;
            while world.now < end {
                assert!(world.step());
            }
        };
        let (d, c) = (world.cloud.at("d"), world.cloud.at("d/c"));
        world.disk.replace_by("d", EntryKind::Link);
        world.schedule(0, Happening::Hints(News::Rescan(Rescan::Overflow)));
        lives_on(&mut world);
        world.cloud.shift(&c, &watched(), "c");
        world.cloud.rename(&d, "xd");
        world.schedule(0, Happening::Late);
        lives_on(&mut world);
        assert_eq!(world.disk.tree().get("c/f"), Some(&Some(1)), "{:?}", world.disk.tree());
    }
}
