//! Small stories of what the cloud does not show for a while, though it is not gone.

use folder_sync_agent::command::Command;
use folder_sync_agent::events::EventKind;
use folder_sync_agent::settings::Mode;

use super::cloud::{Habits, above, elsewhere, top, watched};
use super::stories::{ends_as, put, tree, world_like, world_with};
use super::swarm::Swarm;
use super::two_way::both;
use super::world::{Happening, World};

/// A watched folder at rest that lies in another one, with these items in it.
fn nested(mode: Mode, habits: Habits, paths: &str) -> World {
    let mut world = World::new(1, Swarm { habits, mode, ..Swarm::calm() });
    world.misfortune = false;
    world.cloud.nest();
    put(&mut world, paths);
    world.start();
    world.rest();
    world
}

/// A look finds a file in the trash because a folder above the watched one went there, before an event tells of that
/// one. While it is away nothing is removed, nor when it is back.
#[test]
fn what_went_to_the_trash_with_a_folder_above_the_watched_one_stays() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let habits = Habits { ids: true, list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = nested(mode, habits, "a=1 d/ d/b=2");
        let b = world.cloud.at("d/b");
        world.cloud.edit(&b, 3);
        world.cloud.trash(&above());
        let late = world.cloud.take_back();
        for _ in 0..40 {
            assert!(world.step());
        }
        assert_eq!(tree(&world), "a=1 d/ d/b=2", "{mode:?}");
        world.cloud.tell_late(late);
        world.cloud.restore(&above(), &top(), "Above");
        ends_as(&mut world, "a=1 d/ d/b=3");
    }
}

/// That a folder was in the trash before we saw it is told late; then it moves to another folder, and the one that it was in is removed. It
/// is not taken to have gone with that one: it was out of the trash when it moved.
#[test]
fn a_folder_that_moved_after_a_late_trash_event_is_looked_for() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let habits = Habits { ids: true, list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = World::new(1, Swarm { habits, mode, ..Swarm::calm() });
        world.misfortune = false;
        put(&mut world, "d/ d/b/ e/");
        let (d, b, e) = (world.cloud.at("d"), world.cloud.at("d/b"), world.cloud.at("e"));
        world.cloud.trash(&b);
        let late = world.cloud.take_back();
        world.cloud.restore(&b, &d, "b");
        world.start();
        world.rest();
        world.cloud.tell_late(late);
        world.cloud.shift(&b, &e, "b");
        world.cloud.trash(&d);
        let begun = world.now;
        ends_as(&mut world, "e/ e/b/");
        assert!(world.now - begun < 10 * 60_000, "{mode:?}: in sync after {} ms", world.now - begun);
    }
}

/// A folder leaves the watched one, a file is moved into it, and it comes back, all of which is told late. A look that is made for something else
/// shows the folder where it was, so that its coming back is no news by then; and the file was moved to something outside.
#[test]
fn what_came_into_a_folder_while_that_was_outside_is_found() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let habits = Habits { list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = World::new(1, Swarm { habits, mode, ..Swarm::calm() });
        world.misfortune = false;
        put(&mut world, "a/ a/b/");
        let a = world.cloud.at("a");
        let file = world.cloud.add_file(&elsewhere(), "f", 7);
        world.start();
        world.rest();
        let mut late = Vec::new();
        for (id, to, name) in [(&a, elsewhere(), "a"), (&file, a.clone(), "f"), (&a, watched(), "a")] {
            world.cloud.shift(id, &to, name);
            late.push(world.cloud.take_back());
        }
        world.cloud.chatter(&a, EventKind::Other);
        // Of a file that nothing has told of yet nobody can know.
        world.judging = false;
        world.rest();
        for told in late {
            world.cloud.tell_late(told);
        }
        world.judging = true;
        let begun = world.now;
        ends_as(&mut world, "a/ a/b/ a/f=7");
        assert!(world.now - begun < 10 * 60_000, "{mode:?}: in sync after {} ms", world.now - begun);
    }
}

/// A folder goes to the trash, then the one that it was in, and the first is restored into another one, which is told on the next page: it
/// did not go with the one that it was in.
#[test]
fn what_is_restored_elsewhere_does_not_go_with_the_folder_that_it_was_in() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let habits = Habits { list_page: 100, event_page: 2, ..Habits::default() };
        let mut world = World::new(1, Swarm { habits, mode, ..Swarm::calm() });
        world.misfortune = false;
        put(&mut world, "d/ d/f/ d/f/a=1 e/");
        let (d, f, e) = (world.cloud.at("d"), world.cloud.at("d/f"), world.cloud.at("e"));
        world.start();
        world.rest();
        world.cloud.trash(&f);
        world.cloud.trash(&d);
        world.cloud.restore(&f, &e, "f");
        ends_as(&mut world, "e/ e/f/ e/f/a=1");
    }
}

/// The folder above the watched one moves and comes back before we hear of either. What is told by the path that the watched folder had
/// meanwhile cannot be placed, and is found, though a look at the watched folder shows nothing new.
#[test]
fn what_happened_while_the_folder_above_the_watched_one_was_elsewhere_is_found() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let habits = Habits { paths: true, list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = nested(mode, habits, "a=1 d/ d/b=2 e/");
        let (d, e) = (world.cloud.at("d"), world.cloud.at("e"));
        world.cloud.shift(&above(), &elsewhere(), "Above");
        world.cloud.add_folder(&d, "new");
        world.cloud.trash(&e);
        world.cloud.shift(&above(), &top(), "Above");
        let begun = world.now;
        ends_as(&mut world, "a=1 d/ d/b=2 d/new/");
        assert!(world.now - begun < 10 * 60_000, "{mode:?}: in sync after {} ms", world.now - begun);
    }
}

/// The folder above the watched one moves, and the place in the stream is lost with the event that tells it. What is told by the new path
/// afterwards is known to lie in the watched folder, though that one is empty: nothing in it shows its path.
#[test]
fn a_watched_folder_that_moved_while_the_place_was_lost_is_known_by_its_new_path() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let habits = Habits { paths: true, list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = nested(mode, habits, "");
        world.cloud.shift(&above(), &elsewhere(), "Above");
        world.cloud.lose_cursors();
        ends_as(&mut world, "");
        world.cloud.add_folder(&watched(), "new");
        let begun = world.now;
        ends_as(&mut world, "new/");
        assert!(world.now - begun < 10 * 60_000, "{mode:?}: in sync after {} ms", world.now - begun);
    }
}

/// A file moves while the folder is compared, into a directory that is listed by then and out of one that is not, and
/// the event cannot be read: it is looked at before it counts as gone. Tried at every moment of the comparison; that
/// the file is not removed is checked at each deed.
#[test]
fn a_move_that_is_told_in_no_readable_way_is_no_absence() {
    for moment in 0..40 {
        for (from, to) in [("d", "e"), ("e", "d")] {
            let mut world = world_with("d/ d/a=1 e/ e/b=2");
            world.command(Command::Sync { folder: None, full: true });
            for _ in 0..moment {
                assert!(world.step());
            }
            let name = if from == "d" { "a" } else { "b" };
            let (file, to) = (world.cloud.at(&format!("{from}/{name}")), world.cloud.at(to));
            world.cloud.shift(&file, &to, name);
            world.cloud.blank_last(true);
            ends_as(&mut world, if from == "d" { "d/ e/ e/a=1 e/b=2" } else { "d/ d/a=1 d/b=2 e/" });
        }
    }
}

/// A file and a folder get a name that something in the cloud has and that is hidden from us. Each listing of their
/// folder shows them as they were, which is no reason to try the name once more: after a few tries they get another.
#[test]
fn a_name_that_a_hidden_item_has_is_given_up() {
    for moved in ["d", "a"] {
        let mut world = both("a=1 c/ d/ d/b=2");
        let c = world.cloud.at("c");
        world.cloud.hide(&c);
        world.rest();
        let item = world.cloud.at(moved);
        assert!(world.disk.rename(moved, "c"), "the hidden folder is gone from the disk");
        let begun = world.now;
        world.rest();
        let name = world.cloud.thing(&item).name.clone();
        assert!(name.starts_with("c (conflicted copy"), "{moved} is {name}");
        assert!(world.now < begun + 10 * 60_000, "after {} ms", world.now - begun);
    }
}

/// A file leaves the watched folder while the first listing of its directory is under way, and the event of that comes before the answer: nobody
/// knew the file when it was told, and the answer shows it as it was. Tried at every moment of the first comparison.
#[test]
fn what_left_before_it_was_known_is_not_brought_in_by_an_older_listing() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for moment in 0..60 {
            let mut world = World::new(moment, Swarm { mode, call_ms: 3_000, ..Swarm::calm() });
            world.misfortune = false;
            put(&mut world, "a=1 d/ d/b=2 d/e/ d/e/c=3");
            world.start();
            for _ in 0..moment {
                assert!(world.step());
            }
            let (b, c) = (world.cloud.at("d/b"), world.cloud.at("d/e/c"));
            world.cloud.shift(&b, &elsewhere(), "b");
            world.cloud.shift(&c, &elsewhere(), "c");
            ends_as(&mut world, "a=1 d/ d/e/");
        }
    }
}

/// A file is told to be new while its folder is compared; then the folder is hidden, the file goes to the trash, of which nobody tells, and the
/// folder is shown again. The comparison met the file, and does not look for it any more: a listing that does not show it has to. Tried
/// at every moment of the comparison.
#[test]
fn what_a_comparison_met_and_then_went_unseen_is_found() {
    for moment in 0..60 {
        let mut world = world_with("c/ c/x=1 d/ d/a=1 e/ e/b=2");
        world.command(Command::Sync { folder: None, full: true });
        let (d, a) = (world.cloud.at("d"), world.cloud.at("d/a"));
        world.cloud.edit(&a, 3);
        for _ in 0..moment {
            assert!(world.step());
        }
        world.cloud.hide(&d);
        world.cloud.trash(&a);
        world.cloud.show(&d);
        ends_as(&mut world, "c/ c/x=1 d/ e/ e/b=2");
    }
}

/// The permission on a folder that left is given back, before what is in the folder was told that it left: other folders are told first.
#[test]
fn a_permission_on_a_folder_that_left_brings_nothing_back() {
    for (mode, moment) in (0..60).flat_map(|moment| [(Mode::Mirror, moment), (Mode::TwoWay, moment)]) {
        let habits = Habits { list_page: 100, event_page: 1, ..Habits::default() };
        let paths = "c/ c/1=4 d/ d/a=1 d/e/ d/e/b=2 k=3";
        let mut world = world_like(Swarm { habits, mode, ..Swarm::calm() }, paths);
        let (c, d) = (world.cloud.at("c"), world.cloud.at("d"));
        world.cloud.shift(&d, &elsewhere(), "d");
        world.schedule(0, Happening::Late);
        for _ in 0..moment {
            assert!(world.step());
        }
        for folder in [&c, &d, &c, &d] {
            world.cloud.hide(folder);
            world.cloud.show(folder);
        }
        ends_as(&mut world, "c/ c/1=4 k=3");
    }
}

/// A file gets another name and leaves, the place in the stream is lost, and the first of the two is told late, while the folder is compared. The second
/// one was passed over: that the file was heard of does not mean that it is there.
#[test]
fn what_is_told_late_during_a_comparison_is_not_met_by_that() {
    for (mode, moment) in (0..40).flat_map(|moment| [(Mode::Mirror, moment), (Mode::TwoWay, moment)]) {
        let habits = Habits { list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = world_like(Swarm { habits, mode, ..Swarm::calm() }, "a=1 d/ d/b=2");
        let a = world.cloud.at("a");
        world.cloud.rename(&a, "aside");
        let late = world.cloud.take_back();
        world.cloud.shift(&a, &elsewhere(), "a");
        world.cloud.lose_cursors();
        world.schedule(0, Happening::Late);
        for _ in 0..moment {
            assert!(world.step());
        }
        world.cloud.tell_late(late);
        ends_as(&mut world, "d/ d/b=2");
    }
}
