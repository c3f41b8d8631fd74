//! Rows of what the local disk does, as far as the made-up one can.

use super::rows;

rows! {
    /// Row 9: the watcher has told of it; whoever asks "in sync?" waits for that (`tests/daemon`).
    a_local_write_is_not_in_sync_until_it_is_up: ["law 10"], EVERY_STREAM, [Mode::TwoWay];
    /// Row 10.
    something_else_in_the_place_of_an_item_is_not_in_sync: ["law 1", "law 10", "V2"], EVERY_STREAM, [Mode::TwoWay];
    /// Row 10.
    something_else_in_the_place_of_an_item_is_drift: ["law 1", "law 10", "V2"], EVERY_STREAM, [Mode::Mirror];
    /// Row 11.
    a_directory_that_cannot_be_read_is_not_in_sync: ["law 1", "law 10"], EVERY_STREAM, [Mode::TwoWay];
    /// Row 11: whoever asks "in sync?" has the root looked at.
    a_disk_that_vanished_is_noticed_when_somebody_asks: ["law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 12.
    our_own_uploads_are_never_downloaded_however_their_events_come: ["law 6"], EVERY_STREAM, [Mode::TwoWay];
    /// Row 13.
    a_file_that_does_not_fit_stops_nothing_else: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
}

mod play {
    use super::super::*;
    use crate::sim::world::FOLDER;
    use folder_sync_agent::command::Command;
    use folder_sync_agent::local_news::{EntryKind, News};

    const TREE: &str = "a=1 b=2 d/ d/c=3";

    pub fn a_local_write_is_not_in_sync_until_it_is_up(case: Case) {
        type Write = fn(&mut World) -> bool;
        let writes: [(Write, &str); 6] = [
            (|world| world.disk.write("new", 31), "a=1 b=2 d/ d/c=3 new=31"),
            (|world| world.disk.write("d/c", 33), "a=1 b=2 d/ d/c=33"),
            (|world| world.disk.write("d/c", 34), "a=1 b=2 d/ d/c=34"),
            (|world| world.disk.mkdir("e"), "a=1 b=2 d/ d/c=3 e/"),
            (|world| world.disk.rename("a", "d/a"), "b=2 d/ d/a=1 d/c=3"),
            (|world| world.disk.remove("b"), "a=1 d/ d/c=3"),
        ];
        for (write, after) in writes {
            let mut world = case.world(TREE);
            assert!(write(&mut world));
            stays_honest(&mut world, MINUTE_MS);
            heals(&mut world, MINUTE_MS, after);
        }
    }

    pub fn something_else_in_the_place_of_an_item_is_not_in_sync(case: Case) {
        for kind in [EntryKind::Link, EntryKind::Special, EntryKind::Mount] {
            for path in ["a", "d"] {
                let mut world = case.world(TREE);
                world.disk.replace_by(path, kind);
                stays_honest(&mut world, 10 * MINUTE_MS);
                // Everything else goes on.
                put(&mut world, "z=9");
                world.disk.write("y", 11);
                stays_honest(&mut world, 10 * MINUTE_MS);
                let there = tree(&world);
                assert!(there.ends_with(" z=9"), "law 1: something else than `{path}` stands still: {there}");
                world.cloud.at("y");
                // A person takes it away: that is a deletion like any other.
                world.disk.remove(path);
                heals(&mut world, HOUR_MS, if path == "a" { "b=2 d/ d/c=3 y=11 z=9" } else { "a=1 b=2 y=11 z=9" });
            }
        }
    }

    pub fn something_else_in_the_place_of_an_item_is_drift(case: Case) {
        for kind in [EntryKind::Link, EntryKind::Special] {
            for path in ["a", "d"] {
                let mut world = case.world(TREE);
                world.disk.replace_by(path, kind);
                world.command(Command::Sync { folder: None, full: true });
                heals_in_time(&mut world, COMPARED_WITHIN_MS, TREE);
            }
        }
    }

    pub fn a_directory_that_cannot_be_read_is_not_in_sync(case: Case) {
        let mut world = case.world(TREE);
        world.disk.set_readable("d", false);
        lives_on(&mut world, 5_000);
        for _ in 0..60 {
            lives_on(&mut world, MINUTE_MS);
            assert!(!world.says_in_sync(), "law 10: nobody can read `d`, and \"in sync\" is said");
        }
        world.disk.set_readable("d", true);
        world.disk.write("d/new", 31);
        heals(&mut world, COMPARED_WITHIN_MS, "a=1 b=2 d/ d/c=3 d/new=31");
    }

    pub fn a_disk_that_vanished_is_noticed_when_somebody_asks(case: Case) {
        let mut world = case.world(TREE);
        world.disk.away = true;
        world.schedule(0, Happening::Hints(News::Root));
        lives_on(&mut world, 1_000);
        for _ in 0..30 {
            assert!(!world.says_in_sync(), "law 10: the disk is not there, and \"in sync\" is said");
            lives_on(&mut world, MINUTE_MS);
        }
        world.disk.away = false;
        put(&mut world, "new=5");
        heals(&mut world, COMPARED_WITHIN_MS, "a=1 b=2 d/ d/c=3 new=5");
    }

    pub fn our_own_uploads_are_never_downloaded_however_their_events_come(case: Case) {
        let mut world = case.world(TREE);
        let fetches = world.tally.fetches;
        let habits = &mut world.cloud.habits;
        (habits.late, habits.late_ms, habits.swap, habits.repeat) = (2, 4_000, 3, 5);
        for number in 0..200 {
            let content = 1_001 + 2 * number;
            match number % 5 {
                0 => world.disk.mkdir(&format!("dir{}", number % 20)),
                1..3 => world.disk.write(&format!("dir{}/f{}", number % 20 / 5 * 5, number % 12), content),
                _ => world.disk.write(&format!("f{}", number % 12), content),
            };
            lives_on(&mut world, 100 + number % 7 * 300);
        }
        lives_on(&mut world, HOUR_MS);
        let mine = world.tally.fetches - fetches;
        assert_eq!(mine, 0, "law 6, V7: {mine} downloads of what we uploaded in {} uploads", world.tally.uploads);
        assert!(world.tally.uploads > 50, "{}", world.tally.uploads);
        world.rest();
        world.check();
    }

    pub fn a_file_that_does_not_fit_stops_nothing_else(case: Case) {
        let mut world = case.world("a=1");
        world.disk.room = Some(500);
        put(&mut world, "big=900 d/ d/small=3 small=4");
        stays_honest(&mut world, 2 * MINUTE_MS);
        if case.mode == Mode::TwoWay {
            world.disk.write("mine", 5);
            stays_honest(&mut world, 2 * MINUTE_MS);
            world.cloud.at("mine");
        }
        let there = tree(&world);
        assert!(there.contains("d/small=3") && there.contains(" small=4"), "law 1: what fits waits as well: {there}");
        let problems = world.store().reader().problems(Some(FOLDER)).unwrap();
        assert!(problems.iter().any(|problem| problem.path == "big"), "law 10: nothing says what waits: {problems:?}");
        world.disk.room = None;
        let after = if case.mode == Mode::TwoWay { " mine=5" } else { "" };
        heals(&mut world, HOUR_MS, &format!("a=1 big=900 d/ d/small=3{after} small=4"));
    }
}
