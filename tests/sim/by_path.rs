//! Small stories of what a stream does not tell, above all of one whose events name paths.

use folder_sync_agent::command::Command;
use folder_sync_agent::id::ItemId;
use folder_sync_agent::settings::Mode;
use folder_sync_agent::store::folders::ComparisonStage;

use super::cloud::{Habits, elsewhere, watched};
use super::stories::{ends_as, tree, world_like};
use super::swarm::Swarm;
use super::world::{Happening, World};

fn by_path(mode: Mode, paths: &str) -> World {
    let habits = Habits { paths: true, list_page: 100, event_page: 100, ..Habits::default() };
    world_like(Swarm { habits, mode, ..Swarm::calm() }, paths)
}

#[test]
fn what_moved_into_a_folder_that_came_and_went_is_gone() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "a=1 d/ d/b=2 e/");
        let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
        let (one, other) = (world.cloud.add_folder(&watched(), "x"), world.cloud.add_folder(&watched(), "y"));
        world.cloud.shift(&d, &one, "d");
        world.cloud.shift(&a, &other, "a");
        world.cloud.trash(&one);
        world.cloud.trash(&other);
        ends_as(&mut world, "e/");
    }
}

#[test]
fn what_moved_into_a_folder_that_is_asked_about_goes_with_it() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "a=1 d/ e/");
        let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
        world.cloud.trash(&d);
        world.cloud.restore(&d, &watched(), "d");
        world.cloud.shift(&a, &d, "a");
        world.cloud.trash(&d);
        ends_as(&mut world, "e/");
    }
}

#[test]
fn new_names_in_a_folder_that_moves_during_a_comparison_are_found() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "d/ d/e/ d/e/f/ d/e/f/g/ d/e/f/g/a=1 k/");
        world.command(Command::Sync { folder: None, full: true });
        let (d, f, g) = (world.cloud.at("d"), world.cloud.at("d/e/f"), world.cloud.at("d/e/f/g"));
        let k = world.cloud.at("k");
        let stage = |world: &World| world.store().folders().unwrap()[0].comparison_stage;
        while stage(&world) != Some(ComparisonStage::Settling) {
            assert!(world.step());
        }
        world.cloud.shift(&d, &k, "d");
        world.cloud.rename(&f, "F2");
        world.cloud.rename(&g, "G2");
        ends_as(&mut world, "k/ k/d/ k/d/e/ k/d/e/F2/ k/d/e/F2/G2/ k/d/e/F2/G2/a=1");
    }
}

#[test]
fn what_came_into_a_folder_while_it_was_away_is_found() {
    for (mode, paths) in [(Mode::Mirror, false), (Mode::TwoWay, false), (Mode::Mirror, true), (Mode::TwoWay, true)] {
        let habits = Habits { paths, list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = world_like(Swarm { habits, mode, ..Swarm::calm() }, "d/ d/e/ d/e/a=1");
        let (d, e) = (world.cloud.at("d"), world.cloud.at("d/e"));
        world.cloud.shift(&d, &elsewhere(), "d");
        world.cloud.add_file(&e, "new", 5);
        world.cloud.shift(&d, &watched(), "d");
        ends_as(&mut world, "d/ d/e/ d/e/a=1 d/e/new=5");
    }
}

/// The same, and the folder comes back under another name, which a listing of the folder above shows before anybody looks at it.
#[test]
fn what_came_into_a_folder_that_a_listing_shows_to_be_back_is_found() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let habits = Habits { list_page: 100, event_page: 100, ..Habits::default() };
        let mut world = world_like(Swarm { habits, mode, ..Swarm::calm() }, "d/ d/e/ d/e/a=1");
        let (d, e) = (world.cloud.at("d"), world.cloud.at("d/e"));
        world.cloud.shift(&d, &elsewhere(), "d");
        world.cloud.add_file(&e, "new", 5);
        world.cloud.shift(&d, &watched(), "g");
        // What is in a folder that nobody told of has the one above listed.
        let k = world.cloud.add_folder(&watched(), "k");
        world.cloud.take_back();
        world.cloud.add_file(&k, "f", 6);
        let begun = world.now;
        ends_as(&mut world, "g/ g/e/ g/e/a=1 g/e/new=5 k/ k/f=6");
        assert!(world.now - begun < 60_000, "{mode:?}: found after {} ms", world.now - begun);
    }
}

#[test]
fn a_file_that_went_into_a_folder_that_we_trashed_meanwhile_is_gone() {
    let mut world = by_path(Mode::TwoWay, "a=1 d/ e/");
    let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
    world.command(Command::Sync { folder: None, full: true });
    let stage = |world: &World| world.store().folders().unwrap()[0].comparison_stage;
    while stage(&world) != Some(ComparisonStage::Settling) {
        assert!(world.step());
    }
    world.cloud.shift(&a, &d, "a");
    world.cloud.trash(&d);
    ends_as(&mut world, "e/");
}

/// What a late event says is of before: one look shows how the item is, and nothing is waited for.
#[test]
fn what_is_told_late_of_before_is_settled_by_one_look() {
    type Change = fn(&mut World);
    let edited_twice: [Change; 2] = [
        |world| {
            let a = world.cloud.at("a");
            world.cloud.edit(&a, 5);
        },
        |world| {
            let a = world.cloud.at("a");
            world.cloud.edit(&a, 6);
        },
    ];
    let moved_twice: [Change; 2] = [
        |world| {
            let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
            world.cloud.shift(&a, &d, "a");
        },
        |world| {
            let a = world.cloud.at("d/a");
            world.cloud.shift(&a, &watched(), "e");
        },
    ];
    let restored_and_edited: [Change; 2] = [
        |world| {
            let a = world.cloud.at("a");
            world.cloud.trash(&a);
            world.cloud.restore(&a, &watched(), "a");
        },
        |world| {
            let a = world.cloud.at("a");
            world.cloud.edit(&a, 5);
        },
    ];
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for [first, second] in [edited_twice, moved_twice, restored_and_edited] {
            let mut world = by_path(mode, "a=1 d/");
            first(&mut world);
            let late = world.cloud.take_back();
            second(&mut world);
            world.rest();
            let (told, looks) = (world.now, world.tally.looks);
            world.cloud.tell_late(late);
            world.schedule(0, Happening::Late);
            assert!(!world.at_rest(), "it is still to be read");
            world.rest();
            let took = world.now - told;
            assert!(took < 2_000, "{mode:?}: in sync after {took} ms");
            assert!(world.tally.looks <= looks + 1, "{mode:?}: {} looks", world.tally.looks - looks);
        }
    }
}

/// A file comes into a new folder, which is renamed before anybody hears of either: its first name is not waited for.
#[test]
fn a_new_folder_that_is_renamed_at_once_is_not_waited_for_by_its_first_name() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "a=1");
        let first = world.cloud.add_folder(&watched(), "first");
        world.cloud.add_file(&first, "b", 2);
        world.cloud.rename(&first, "second");
        let told = world.now;
        world.schedule(0, Happening::Late);
        ends_as(&mut world, "a=1 second/ second/b=2");
        let took = world.now - told;
        assert!(took < 2_500, "{mode:?}: in sync after {took} ms");
    }
}

/// A new file is told late, and by its path of before a folder above was renamed: no listing shows a folder of that name, and the file is
/// looked at by its id.
#[test]
fn a_new_file_that_is_told_by_a_path_of_before_is_found_by_its_id() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "d/ d/s/ d/s/a=1");
        let (d, s) = (world.cloud.at("d"), world.cloud.at("d/s"));
        world.cloud.add_file(&s, "new", 2);
        let late = world.cloud.take_back();
        world.cloud.rename(&d, "e");
        // Nobody can know of the file yet: what is in the renamed folder is listed, and what is in a folder of that is not.
        world.cloud.untold = Some(world.now);
        world.rest();
        assert_eq!(tree(&world), "e/ e/s/ e/s/a=1");
        let looks = world.tally.looks;
        world.cloud.untold = None;
        world.cloud.tell_late(late);
        world.schedule(0, Happening::Late);
        ends_as(&mut world, "e/ e/s/ e/s/a=1 e/s/new=2");
        assert!(world.tally.looks > looks, "{mode:?}: nothing but a look shows it");
        assert!(world.tally.looks <= looks + 2, "{mode:?}: {} looks", world.tally.looks - looks);
    }
}

/// A new file is told by its path, and then the rename of a folder above it, which we know of already: it was our own, or a listing showed it.
/// The name that was left is not waited for, and the file is.
#[test]
fn a_new_file_below_a_name_that_is_known_to_be_left_is_found() {
    for (mode, is_own) in [(Mode::TwoWay, true), (Mode::TwoWay, false), (Mode::Mirror, false)] {
        let mut world = by_path(mode, "d/ d/s/ d/s/a=1");
        let (d, s) = (world.cloud.at("d"), world.cloud.at("d/s"));
        world.cloud.add_file(&s, "new", 2);
        let file = world.cloud.take_back();
        let told = world.cloud.told();
        if is_own {
            assert!(world.disk.rename("d", "e"));
            while world.cloud.told() == told {
                assert!(world.step());
            }
        } else {
            world.cloud.rename(&d, "e");
        }
        let rename = world.cloud.take_back();
        // A new folder beside it has what holds both listed.
        world.cloud.add_folder(&watched(), "k");
        world.schedule(0, Happening::Late);
        world.cloud.untold = Some(world.now);
        let until = world.now + 5_000;
        while world.now < until && world.step() {}
        assert_eq!(tree(&world), "e/ e/s/ e/s/a=1 k/");
        world.cloud.untold = None;
        world.cloud.tell_late(file);
        world.cloud.tell_late(rename);
        world.schedule(0, Happening::Late);
        let begun = world.now;
        ends_as(&mut world, "e/ e/s/ e/s/a=1 e/s/new=2 k/");
        assert!(world.now - begun < 60_000, "{mode:?}: found after {} ms", world.now - begun);
    }
}

/// A folder is told of by its path alone before the renames of the folders above were observed, and the folder that had the name before holds
/// one of the same name, below which the same happens: what is meant is found where the path leads once both were observed.
#[test]
fn what_happens_below_names_that_were_swapped_is_not_taken_for_known() {
    type Change = fn(&mut World, &ItemId, &ItemId);
    let changes: [(&str, Change); 4] = [
        ("n/ n/m=2 new/", |world, d, _| {
            world.cloud.add_folder(d, "new");
        }),
        ("", |world, _, n| world.cloud.trash(n)),
        ("", |world, _, n| world.cloud.shift(n, &elsewhere(), "n")),
        ("new/ new/m=2", |world, _, n| world.cloud.rename(n, "new")),
    ];
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for (ends, change) in changes {
            for s in ["", "s/"] {
                let below = |paths: &str, above: &str| {
                    let inner = paths.split_whitespace().map(|path| format!(" {above}/{s}{path}"));
                    let s = if s.is_empty() { String::new() } else { format!(" {above}/{s}") };
                    format!("{above}/{s}{}", inner.collect::<String>())
                };
                let paths = format!("{} {}", below("n/ n/k=1 new/", "c"), below("n/ n/m=2", "d"));
                let mut world = by_path(mode, &paths);
                let (c, d) = (world.cloud.at("c"), world.cloud.at("d"));
                let (at, n) = (world.cloud.at(&format!("d/{s}")), world.cloud.at(&format!("d/{s}n")));
                world.cloud.rename(&c, "aside");
                world.cloud.rename(&d, "c");
                world.cloud.rename(&c, "d");
                change(&mut world, &at, &n);
                let begun = world.now;
                ends_as(&mut world, &format!("{} {}", below(ends, "c"), below("n/ n/k=1 new/", "d")));
                let took = world.now - begun;
                // What was told to be gone and is not is asked for a few times.
                assert!(took < 180_000, "{mode:?}: {ends:?} is found after {took} ms");
            }
        }
    }
}

/// A folder is renamed twice, and between that something happens below it, which is told by its name of then. A listing shows its last name
/// before we hear of any of it: no listing will ever show the one between, and the folder is known already.
#[test]
fn what_happens_below_a_name_that_was_never_seen_is_found() {
    type Change = fn(&mut World, &ItemId, &ItemId);
    let changes: [(&str, Change); 5] = [
        ("s/ s/n/ s/n/f=2 s/new/", |world, s, _| {
            world.cloud.add_folder(s, "new");
        }),
        ("s/ s/m/ s/m/f=2", |world, _, n| world.cloud.rename(n, "m")),
        ("s/", |world, _, n| world.cloud.trash(n)),
        ("s/", |world, _, n| world.cloud.shift(n, &elsewhere(), "n")),
        ("n/ n/f=2 s/", |world, _, n| {
            let e = world.cloud.at("e");
            world.cloud.shift(n, &e, "n");
        }),
    ];
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for (index, (ends, change)) in changes.into_iter().enumerate() {
            let mut world = by_path(mode, "d/ d/s/ d/s/n/ d/s/n/f=2");
            let (d, s, n) = (world.cloud.at("d"), world.cloud.at("d/s"), world.cloud.at("d/s/n"));
            world.cloud.rename(&d, "e");
            let first = world.cloud.take_back();
            change(&mut world, &s, &n);
            let then = world.cloud.take_back();
            world.cloud.rename(&d, "g");
            let last = world.cloud.take_back();
            // A new folder beside it has what holds both listed.
            world.cloud.add_folder(&watched(), "k");
            world.schedule(0, Happening::Late);
            world.cloud.untold = Some(world.now);
            let until = world.now + 5_000;
            while world.now < until && world.step() {}
            assert_eq!(tree(&world).split(' ').next(), Some("g/"));
            world.cloud.untold = None;
            for told in [first, then, last] {
                world.cloud.tell_late(told);
            }
            world.schedule(0, Happening::Late);
            let begun = world.now;
            ends_as(&mut world, &format!("g/ g/{} k/", ends.replace(' ', " g/")));
            assert!(world.now - begun < 60_000, "{mode:?}: change {index} is found after {} ms", world.now - begun);
        }
    }
}

/// A new folder is told by its path before the renames of the folders above were observed: it is looked for in the one
/// that had the name before, and then where the path leads by the tree that is known by then.
#[test]
fn a_new_folder_below_names_that_were_swapped_is_found_at_once() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "c/ c/k=1 d/ d/x/ d/x/m=2");
        let (c, d, x) = (world.cloud.at("c"), world.cloud.at("d"), world.cloud.at("d/x"));
        world.cloud.rename(&c, "aside");
        world.cloud.rename(&d, "c");
        world.cloud.rename(&c, "d");
        world.cloud.add_folder(&x, "new");
        world.cloud.add_file(&x, "f", 3);
        let begun = world.now;
        ends_as(&mut world, "c/ c/x/ c/x/f=3 c/x/m=2 c/x/new/ d/ d/k=1");
        let took = world.now - begun;
        assert!(took < 60_000, "{mode:?}: in sync after {took} ms");
    }
}

/// A new item is told by its path before the renames of the folders above were observed: it is looked for in the folder that had the name
/// before, and something else has its name there, or that of the folder which holds it.
#[test]
fn what_is_new_below_names_that_were_swapped_is_not_taken_for_what_has_its_name() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for (paths, at, ends) in [
            ("c/ c/f=1 d/ d/m=2", "d", "c/ c/f=3 c/m=2 d/ d/f=1"),
            ("c/ c/s/ c/s/f=1 d/ d/s/ d/s/m=2", "d/s", "c/ c/s/ c/s/f=3 c/s/m=2 d/ d/s/ d/s/f=1"),
            ("c/ c/S=1 d/ d/s/ d/s/m=2", "d/s", "c/ c/s/ c/s/f=3 c/s/m=2 d/ d/S=1"),
        ] {
            let mut world = by_path(mode, paths);
            let (c, d, at) = (world.cloud.at("c"), world.cloud.at("d"), world.cloud.at(at));
            world.cloud.rename(&c, "aside");
            world.cloud.rename(&d, "c");
            world.cloud.rename(&c, "d");
            world.cloud.add_file(&at, "f", 3);
            let begun = world.now;
            ends_as(&mut world, ends);
            let took = world.now - begun;
            assert!(took < 60_000, "{mode:?}: in sync after {took} ms");
        }
    }
}

/// A new folder is told by its path after the folder above was renamed, and after that was observed: no folder has the first name
/// any more, or another one has it.
#[test]
fn a_new_folder_that_is_told_by_a_path_of_before_is_found_in_the_renamed_one() {
    for (mode, others) in [(Mode::Mirror, false), (Mode::TwoWay, false), (Mode::Mirror, true), (Mode::TwoWay, true)] {
        let mut world = by_path(mode, "c/ c/k=1 d/ d/s/ d/s/a=1");
        let (c, d, s) = (world.cloud.at("c"), world.cloud.at("d"), world.cloud.at("d/s"));
        world.cloud.add_folder(&s, "new");
        let late = world.cloud.take_back();
        world.cloud.rename(&d, "e");
        if others {
            world.cloud.rename(&c, "d");
        }
        world.cloud.untold = Some(world.now);
        world.rest();
        world.cloud.untold = None;
        world.cloud.tell_late(late);
        world.schedule(0, Happening::Late);
        let k = if others { "d/ d/k=1" } else { "c/ c/k=1" };
        let begun = world.now;
        ends_as(&mut world, &format!("{k} e/ e/s/ e/s/a=1 e/s/new/"));
        assert!(world.now - begun < 120_000, "{mode:?}: found after {} ms", world.now - begun);
    }
}

/// A folder is renamed, and one below it leaves the watched folder by its new path, both before anybody looks: nothing known has that path.
#[test]
fn what_leaves_by_a_path_that_is_not_known_yet_is_gone() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "c/ c/d/ c/d/a/ c/d/a/f=1 c/d/b=2");
        let (c, a) = (world.cloud.at("c"), world.cloud.at("c/d/a"));
        world.cloud.rename(&c, "e");
        world.cloud.shift(&a, &elsewhere(), "a");
        ends_as(&mut world, "e/ e/d/ e/d/b=2");
    }
}

/// A folder goes, another one takes its name, and something happens in that one, at whatever moment of what follows: the path may seem to lead
/// into the one that went, and no listing of that shows what happened.
#[test]
fn what_happens_in_a_folder_that_took_the_name_of_one_that_went_is_found() {
    type Change = fn(&mut World, &ItemId, &ItemId);
    let changes: [(&str, Change); 4] = [
        ("a/ a/n/ a/n/f=2 a/new/", |world, b, _| {
            world.cloud.add_folder(b, "new");
        }),
        ("a/ a/m/ a/m/f=2", |world, _, n| world.cloud.rename(n, "m")),
        ("a/", |world, _, n| world.cloud.trash(n)),
        ("a/", |world, _, n| world.cloud.shift(n, &elsewhere(), "n")),
    ];
    for (mode, paths) in [(Mode::Mirror, "a/ a/k=1 b/ b/n/ b/n/f=2"), (Mode::TwoWay, "a/ a/n/ a/n/k=1 b/ b/n/ b/n/f=2")]
    {
        for ((ends, change), is_trashed) in changes.into_iter().flat_map(|change| [(change, false), (change, true)]) {
            let mut was_over = false;
            for after in (0..).step_by(2) {
                let mut world = by_path(mode, paths);
                let (a, b, n) = (world.cloud.at("a"), world.cloud.at("b"), world.cloud.at("b/n"));
                if is_trashed {
                    world.cloud.trash(&a);
                } else {
                    world.cloud.shift(&a, &elsewhere(), "a");
                }
                world.cloud.rename(&b, "a");
                world.schedule(0, Happening::Late);
                for _ in 0..after {
                    assert!(world.step());
                }
                let is_over = after > 0 && world.at_rest();
                change(&mut world, &b, &n);
                ends_as(&mut world, ends);
                if is_over && was_over {
                    break;
                }
                was_over = is_over;
            }
        }
    }
}

/// A folder is trashed, and that is told after a folder above was renamed, and after that was observed: what had the name then is meant,
/// also where the process that observed it has died since.
#[test]
fn a_deletion_that_is_told_by_a_path_of_before_is_found_out_in_the_renamed_one() {
    let all =
        [Mode::Mirror, Mode::TwoWay].into_iter().flat_map(|mode| (0..4).map(move |of| (mode, of & 1 > 0, of > 1)));
    for (mode, others, dies) in all {
        let mut world = by_path(mode, "c/ c/k=1 d/ d/s/ d/s/t/ d/s/t/a=1");
        let (c, d, t) = (world.cloud.at("c"), world.cloud.at("d"), world.cloud.at("d/s/t"));
        world.cloud.trash(&t);
        let late = world.cloud.take_back();
        world.cloud.rename(&d, "e");
        if others {
            world.cloud.rename(&c, "d");
        }
        world.cloud.untold = Some(world.now);
        world.rest();
        world.cloud.untold = None;
        if dies {
            world.crash();
        }
        world.cloud.tell_late(late);
        world.schedule(0, Happening::Late);
        let k = if others { "d/ d/k=1" } else { "c/ c/k=1" };
        let begun = world.now;
        ends_as(&mut world, &format!("{k} e/ e/s/"));
        assert!(world.now - begun < 120_000, "{mode:?} {others} {dies}: found out after {} ms", world.now - begun);
    }
}

/// A folder moves into a new one, and something comes into a folder below it, before anybody looks: nothing on the way to it is known by that
/// path, and the folder that holds it is where it was in the one that moved.
#[test]
fn what_is_new_deep_in_a_folder_that_moved_into_a_new_one_is_found() {
    for (mode, is_deeper) in [(Mode::Mirror, false), (Mode::TwoWay, false), (Mode::Mirror, true), (Mode::TwoWay, true)]
    {
        let mut world = by_path(mode, "a/ a/b/ d/ d/e/ d/e/f/ d/e/f/g=1");
        let (a, d, f) = (world.cloud.at("a"), world.cloud.at("d"), world.cloud.at("d/e/f"));
        // The new one may be below one that moved itself.
        let above = if is_deeper {
            world.cloud.rename(&a, "k");
            world.cloud.at("k/b")
        } else {
            watched()
        };
        let new = world.cloud.add_folder(&above, "new");
        world.cloud.shift(&d, &new, "d");
        world.cloud.add_file(&f, "h", 2);
        let inner = "new/ new/d/ new/d/e/ new/d/e/f/ new/d/e/f/g=1 new/d/e/f/h=2";
        let ends = if is_deeper {
            format!("k/ k/b/ {}", inner.replace("new/ ", "k/b/new/ ").replace(" new/", " k/b/new/"))
        } else {
            format!("a/ a/b/ {inner}")
        };
        ends_as(&mut world, &ends);
    }
}

/// A folder moves out of another one, which goes to the trash. What we do to the second finds that it is gone, before either is told: what is in
/// the first stays, though the path that it left leads through what is gone.
#[test]
fn what_left_a_folder_that_is_found_gone_stays() {
    for moment in 0..60 {
        let mut world = by_path(Mode::TwoWay, "d/ d/d/ d/d/x/ d/d/x/c=1 k=2");
        let (above, d, x) = (world.cloud.at("d"), world.cloud.at("d/d"), world.cloud.at("d/d/x"));
        let a = world.cloud.add_folder(&above, "a");
        world.cloud.shift(&x, &a, "f");
        world.cloud.trash(&d);
        let told = [world.cloud.take_back(), world.cloud.take_back(), world.cloud.take_back()];
        assert!(world.disk.rename("d/d", "b"));
        for _ in 0..moment {
            assert!(world.step());
        }
        told.into_iter().rev().for_each(|told| world.cloud.tell_late(told));
        ends_as(&mut world, "d/ d/a/ d/a/f/ d/a/f/c=1 k=2");
    }
}

/// A file goes to the trash, the place in the stream is lost, and the file is restored while the folder is compared, after the listing that would have
/// shown it. What is told agrees with what is known of before.
#[test]
fn what_is_restored_during_a_comparison_that_missed_it_stays() {
    for (mode, moment) in (0..40).flat_map(|moment| [(Mode::Mirror, moment), (Mode::TwoWay, moment)]) {
        for paths in [true, false] {
            let habits = Habits { paths, ids: !paths, list_page: 100, event_page: 100, ..Habits::default() };
            let mut world = world_like(Swarm { habits, mode, ..Swarm::calm() }, "a=1 d/ d/b=2 d/e/");
            let a = world.cloud.at("a");
            world.cloud.trash(&a);
            world.cloud.lose_cursors();
            world.schedule(0, Happening::Late);
            for _ in 0..moment {
                assert!(world.step());
            }
            world.cloud.restore(&a, &watched(), "a");
            ends_as(&mut world, "a=1 d/ d/b=2 d/e/");
        }
    }
}

/// A new folder goes to the trash with what was put into it, and then the folder above does, before anybody looks: nothing is left to be found.
#[test]
fn what_was_told_below_a_name_that_was_left_is_forgotten_with_the_folder() {
    for mode in [Mode::Mirror, Mode::TwoWay] {
        let mut world = by_path(mode, "a=1 d/ d/b=2");
        let d = world.cloud.at("d");
        let n = world.cloud.add_folder(&d, "n");
        world.cloud.add_file(&n, "f", 3);
        world.cloud.trash(&n);
        world.cloud.trash(&d);
        ends_as(&mut world, "a=1");
    }
}

/// What is told by a path that leads elsewhere than it seems to is found, though the process dies at any moment after that was read: a name
/// that is expected and not shown has the folder compared then.
#[test]
fn what_was_told_by_a_path_of_before_outlives_the_process() {
    type Change = fn(&mut World, &ItemId);
    let changes: [(&str, &str, Change); 4] = [
        ("c/ c/k=1 d/ d/x/ d/x/m=2", "c/ c/x/ c/x/m=2 c/x/new/ d/ d/k=1", |world, x| {
            world.cloud.add_folder(x, "new");
        }),
        ("c/ c/k=1 d/ d/x/ d/x/m=2", "c/ c/x/ c/x/f=3 c/x/m=2 d/ d/k=1", |world, x| {
            world.cloud.add_file(x, "f", 3);
        }),
        // The folder that has the name by now holds one of the same name as what is new.
        ("c/ c/x/ c/x/n/ d/ d/x/ d/x/m=2", "c/ c/x/ c/x/m=2 c/x/n/ d/ d/x/ d/x/n/", |world, x| {
            world.cloud.add_folder(x, "n");
        }),
        ("c/ c/x/ c/x/f=1 d/ d/x/ d/x/m=2", "c/ c/x/ c/x/f=3 c/x/m=2 d/ d/x/ d/x/f=1", |world, x| {
            world.cloud.add_file(x, "f", 3);
        }),
    ];
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for (paths, ends, change) in changes {
            for crash_at in 0..60 {
                let mut world = by_path(mode, paths);
                let (c, d, x) = (world.cloud.at("c"), world.cloud.at("d"), world.cloud.at("d/x"));
                world.cloud.rename(&c, "aside");
                world.cloud.rename(&d, "c");
                world.cloud.rename(&c, "d");
                change(&mut world, &x);
                world.schedule(0, Happening::Late);
                for _ in 0..crash_at {
                    assert!(world.step());
                }
                world.crash();
                ends_as(&mut world, ends);
            }
        }
    }
}
