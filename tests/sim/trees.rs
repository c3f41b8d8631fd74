//! Whole folders that go, come back and move: one rename on disk, however much is in them.

use folder_sync_agent::deed::{Deed, DeedOrder, DeedResult, DiskErrorKind};
use folder_sync_agent::engine::Outcome;
use folder_sync_agent::id::JobId;

use super::cloud::{elsewhere, watched};
use super::disk::{Cut, disk_error};
use super::stories::{ends_as, put, tree, world_like, world_with};
use super::swarm::Swarm;
use super::world::{FOLDER, Happening, World};

const TREE: &str = "d/ d/a=1 d/e/ d/e/b=2 d/e/c=3";

/// Lives on until something is so.
fn until(world: &mut World, is_so: impl Fn(&World) -> bool) {
    let end = world.now + 600_000;
    while !is_so(world) {
        assert!(world.step() && world.now < end, "not so after ten minutes: {}", tree(world));
    }
}

/// A local user's content of this number stands where a scan that would show it was not made yet.
fn meddle(world: &mut World, path: &str, content: u64) {
    assert!(world.disk.write(path, content));
    world.disk.hints.clear();
}

#[test]
fn a_trashed_folder_goes_out_of_sight_by_one_rename() {
    for paths in [false, true] {
        let mut swarm = Swarm::calm();
        swarm.habits.paths = paths;
        let mut world = world_like(swarm, TREE);
        let (d, deeds) = (world.cloud.at("d"), world.tally.deeds);
        world.cloud.trash(&d);
        until(&mut world, |world| tree(world).is_empty());
        assert_eq!(world.tally.deeds - deeds, 1);
        ends_as(&mut world, "");
        assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [1, 2, 3]);
        for path in ["d/a", "d/e/b", "d/e/c"] {
            let kept = world.store().reader().items_once_at(FOLDER, path).unwrap();
            assert_eq!(kept.len(), 1, "{path} is found in the version store by the place that it had");
        }
    }
}

/// The folder is looked at, and is gone, before the stream was read to its end: it waits for that, and goes by one rename all the same.
#[test]
fn a_trashed_folder_goes_by_one_rename_though_the_stream_is_being_read() {
    for paths in [false, true] {
        let mut swarm = Swarm::calm();
        (swarm.habits.paths, swarm.habits.event_page) = (paths, 1);
        let mut world = world_like(swarm, TREE);
        let (d, deeds) = (world.cloud.at("d"), world.tally.deeds);
        world.cloud.trash(&d);
        for number in 5..25 {
            world.cloud.add_file(&elsewhere(), &number.to_string(), number);
        }
        until(&mut world, |world| tree(world).is_empty());
        assert_eq!(world.tally.deeds - deeds, 1);
        ends_as(&mut world, "");
    }
}

#[test]
fn many_files_are_settled_by_few_deeds() {
    let (folders, files) = (10, 60);
    let mut paths = vec!["d/".to_owned()];
    for folder in 0..folders {
        paths.push(format!("d/{folder}/"));
        paths.extend((0..files).map(|file| format!("d/{folder}/f{file}={}", 1 + folder * files + file)));
    }
    let mut world = world_with(&paths.join(" "));
    let (d, deeds, steps) = (world.cloud.at("d"), world.tally.deeds, world.tally.steps);
    world.cloud.trash(&d);
    ends_as(&mut world, "");
    assert_eq!(world.disk.kept().len() as u64, folders * files);
    let (deeds, steps) = (world.tally.deeds - deeds, world.tally.steps - steps);
    assert_eq!(deeds, 1 + folders + 1, "out of sight, each directory with the files in it, and the one above them");
    assert!(steps < 60, "no step for each of them: {steps}");
}

#[test]
fn what_left_it_before_comes_where_it_went() {
    let mut world = world_with(TREE);
    let (d, b) = (world.cloud.at("d"), world.cloud.at("d/e/b"));
    world.cloud.shift(&b, &watched(), "b");
    world.cloud.trash(&d);
    ends_as(&mut world, "b=2");
    assert_eq!(world.tally.fetches, 3, "nothing is downloaded again");
}

#[test]
fn one_that_is_restored_while_it_is_settled_comes_back_with_what_is_left_in_it() {
    let mut world = world_with(TREE);
    let d = world.cloud.at("d");
    world.cloud.trash(&d);
    until(&mut world, |world| tree(world).is_empty());
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, TREE);
    assert_eq!(world.tally.fetches, 3, "nothing is downloaded again");
}

/// Whatever of it is in the version store by then: a directory by one rename, files of another one together.
#[test]
fn what_comes_back_and_moves_at_any_moment_is_where_the_cloud_has_it() {
    let many: Vec<String> = (0..9).map(|file| format!("d/f{file}={}", 10 + file)).collect();
    let before = format!("d/ d/e/ d/e/b=2 d/e/c=3 {}", many.join(" "));
    let after = format!("b=2 d/ d/e/ d/e/c=3 {}", many.join(" "));
    let mut kept_together = 0;
    for steps in 0..40 {
        let mut world = world_with(&before);
        let (d, b) = (world.cloud.at("d"), world.cloud.at("d/e/b"));
        world.cloud.trash(&d);
        for _ in 0..steps {
            assert!(world.step());
        }
        kept_together += usize::from(world.disk.versions.len() == 1);
        world.cloud.restore(&d, &watched(), "d");
        world.cloud.shift(&b, &watched(), "b");
        ends_as(&mut world, &after);
        assert!(world.tally.fetches <= 12, "only what moved out of its directory may be downloaded again");
    }
    assert!(kept_together > 0, "nine files are kept as one");
}

/// It is restored and listed before the disk has answered that it went into the version store.
#[test]
fn one_that_is_listed_again_while_it_is_being_kept_is_whole_again() {
    let mut world = world_like(Swarm { deeds_ms: 10_000, call_ms: 1, ..Swarm::calm() }, "d/ d/a=1 d/b=2 k=3");
    let d = world.cloud.at("d");
    world.cloud.trash(&d);
    until(&mut world, |world| {
        world.heap.values().any(|happening| {
            let Happening::Deeds { orders, .. } = happening else { return false };
            orders.iter().any(|order| matches!(order.deed, Deed::KeepFolder { .. }))
        })
    });
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, "d/ d/a=1 d/b=2 k=3");
}

#[test]
fn with_something_else_in_it_it_goes_in_parts() {
    let mut world = world_with(TREE);
    let d = world.cloud.at("d");
    meddle(&mut world, "d/e/own", 100);
    world.cloud.trash(&d);
    until(&mut world, |world| !tree(world).contains("d/a"));
    assert!(tree(&world).contains("d/e/own=100"), "what is not ours stays where it is: {}", tree(&world));
    ends_as(&mut world, "d/ d/e/ d/e/own=100");
    assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn an_edit_that_nobody_noticed_goes_to_the_version_store_as_one() {
    let mut world = world_with(TREE);
    let d = world.cloud.at("d");
    meddle(&mut world, "d/a", 100);
    world.cloud.trash(&d);
    ends_as(&mut world, "");
    assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [2, 3, 100]);
}

#[test]
fn the_brake_counts_what_is_in_two_of_them() {
    let mut world = world_like(Swarm { max_delete: Some(3), ..Swarm::calm() }, "d/ d/a=1 d/b=2 e/ e/c=3 e/f=4");
    for path in ["d", "e"] {
        let id = world.cloud.at(path);
        world.cloud.trash(&id);
    }
    let end = world.now + 60_000;
    while world.now < end {
        assert!(world.step());
    }
    world.check_deletions();
    let left = tree(&world).matches('=').count();
    assert!(left >= 1, "no more than three files may go unasked: {}", tree(&world));
    assert!(world.open_hold().is_some());
}

#[test]
fn one_that_moves_takes_everything_along_by_one_rename() {
    let mut world = world_with("d/ d/a=1 d/e/ d/e/b=2 d/e/c=3 k/");
    let (d, k, deeds) = (world.cloud.at("d"), world.cloud.at("k"), world.tally.deeds);
    world.cloud.shift(&d, &k, "d");
    ends_as(&mut world, "k/ k/d/ k/d/a=1 k/d/e/ k/d/e/b=2 k/d/e/c=3");
    assert_eq!(world.tally.deeds - deeds, 1);
    world.cloud.shift(&d, &elsewhere(), "d");
    until(&mut world, |world| tree(world) == "k/");
    assert_eq!(world.tally.deeds - deeds, 2, "one that is moved out of the watched folder goes as one that is trashed");
    ends_as(&mut world, "k/");
}

#[test]
fn a_crash_at_every_step_loses_nothing() {
    for crash_at in 1..60 {
        for (back, many) in [(false, false), (true, false), (false, true), (true, true)] {
            let more = (0..if many { 9 } else { 0 }).map(|file| format!("d/f{file}={}", 10 + file));
            let files = [TREE.to_owned()].into_iter().chain(more).collect::<Vec<_>>().join(" ");
            let mut world = World::new(crash_at, Swarm::calm());
            world.misfortune = false;
            put(&mut world, &files);
            world.start();
            world.rest();
            let d = world.cloud.at("d");
            world.cloud.trash(&d);
            for _ in 0..crash_at {
                assert!(world.step());
            }
            world.crash();
            if back {
                world.cloud.restore(&d, &watched(), "d");
            }
            ends_as(&mut world, if back { &files } else { "" });
            if !back {
                let kept: Vec<_> = world.disk.kept().into_iter().collect();
                let all: Vec<_> = (1..=3).chain(if many { 10..19 } else { 10..10 }).collect();
                assert_eq!(kept, all, "crash at {crash_at}");
            }
        }
    }
}

/// It is looked through and waits for the disk, and then it is not there any more: nothing waits for it to go.
#[test]
fn one_that_somebody_removes_before_it_goes_is_settled_all_the_same() {
    for (trashed_after, removed_after) in (1..12).flat_map(|first| (0..8).map(move |then| (first, then))) {
        let mut world = world_like(Swarm { call_ms: 500, deeds_ms: 5_000, ..Swarm::calm() }, "d/");
        let d = world.cloud.at("d");
        world.cloud.add_folder(&d, "new");
        for _ in 0..trashed_after {
            assert!(world.step());
        }
        world.cloud.trash(&d);
        for _ in 0..removed_after {
            assert!(world.step());
        }
        world.disk.remove("d/new/");
        world.disk.remove("d/");
        ends_as(&mut world, "");
    }
}

/// A file that was fetched for a folder waits for the disk behind that folder, which goes out of sight: it is not put there, where it would
/// be removed without being counted.
#[test]
fn nothing_comes_into_one_out_of_sight() {
    for (new_after, gone_after) in (0..8).flat_map(|first| (0..12).map(move |then| (first, then))) {
        let swarm = Swarm { call_ms: 500, deeds_ms: 5_000, max_delete: Some(0), ..Swarm::calm() };
        let mut world = world_like(swarm, "d/");
        let d = world.cloud.at("d");
        put(&mut world, "busy/");
        for _ in 0..new_after {
            assert!(world.step());
        }
        world.cloud.add_file(&d, "new", 1);
        for _ in 0..gone_after {
            assert!(world.step());
        }
        world.cloud.shift(&d, &elsewhere(), "d");
        let end = world.now + 60_000;
        while world.now < end {
            assert!(world.step());
            world.check_deletions();
        }
    }
}

/// Takes a batch of deeds off its way to the disk.
fn take_deeds(world: &mut World) -> (JobId, Vec<DeedOrder>) {
    loop {
        let is_it = |happening: &Happening| matches!(happening, Happening::Deeds { .. });
        let at = world.heap.iter().find(|(_, happening)| is_it(happening)).map(|(at, _)| *at);
        if let Some(Happening::Deeds { job, orders }) = at.and_then(|at| world.heap.remove(&at)) {
            return (job, orders);
        }
        assert!(world.step());
    }
}

fn carry_out(world: &mut World, orders: &[DeedOrder]) -> Vec<DeedResult> {
    orders.iter().map(|order| world.carry_out_deed(order, Cut::Never)).collect()
}

/// A file is put into a directory, which moves then, and the process dies before it hears of either. Carried out again, the file does not find
/// its directory, and the disk refuses the move for once: that does not say that the directory is lost.
#[test]
fn what_was_put_into_a_directory_that_moved_is_found_there_though_the_disk_refuses_the_move_again() {
    for kind in [DiskErrorKind::Item, DiskErrorKind::Full, DiskErrorKind::NotWritable] {
        let mut world = world_with("d/ d/a=1");
        let d = world.cloud.at("d");
        world.cloud.add_folder(&watched(), "x");
        let (job, orders) = take_deeds(&mut world);
        let b = world.cloud.add_file(&d, "b", 2);
        until(&mut world, |world| world.disk.staging.len() == 1);
        let end = world.now + 60_000;
        until(&mut world, |world| world.now > end);
        world.cloud.rename(&d, "e");
        let end = world.now + 60_000;
        until(&mut world, |world| world.now > end);
        let results = carry_out(&mut world, &orders);
        world.schedule(0, Happening::Deliver { job, outcome: Outcome::Deeds(results) });
        let (_, orders) = take_deeds(&mut world);
        assert!(matches!(&orders[..], [first, second]
            if matches!(first.deed, Deed::Publish { .. }) && matches!(second.deed, Deed::Relocate { .. })));
        carry_out(&mut world, &orders);
        world.crash();
        world.cloud.trash(&b);
        let (job, orders) = take_deeds(&mut world);
        let mut results = carry_out(&mut world, &orders[..1]);
        results.push(DeedResult::Failed(disk_error(kind, "made up")));
        world.schedule(0, Happening::Deliver { job, outcome: Outcome::Deeds(results) });
        ends_as(&mut world, "e/ e/a=1 x/");
    }
}
