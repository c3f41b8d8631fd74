//! Rows of what a stream tells, and does not tell.

use super::rows;

rows! {
    /// Row 1.
    a_change_whose_event_has_no_item_is_found: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 1.
    a_change_whose_event_is_no_json_is_found: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 2.
    an_older_version_that_is_told_late_does_not_come_back: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 2.
    an_older_place_that_is_told_late_does_not_come_back: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 2.
    a_deletion_that_is_told_after_the_restore_deletes_nothing: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 2.
    a_folder_move_that_is_told_late_moves_nothing_back: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 2.
    what_came_and_went_before_the_place_was_taken_and_is_told_late_stays_away: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 7.
    a_change_that_is_never_told_is_found_within_the_hour: ["law 1"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 7.
    a_change_told_behind_a_place_that_was_given_is_found: ["law 1"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 7.
    a_move_told_twice_and_out_of_order_ends_where_it_went: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 8.
    a_new_item_of_which_only_the_id_is_told_is_found: ["law 1", "law 10"], &[Stream::Ids], [Mode::Mirror, Mode::TwoWay];
    /// Rows 7 and 8.
    an_id_told_behind_a_place_that_was_given_is_found_by_the_second_reading: ["law 1"], &[Stream::Ids], [Mode::Mirror, Mode::TwoWay];
    /// Row 8.
    an_item_that_moves_in_and_of_which_only_the_id_is_told_is_found: ["law 1", "law 10"], &[Stream::Ids], [Mode::Mirror, Mode::TwoWay];
    /// Row 8.
    what_happens_to_known_items_is_found_by_their_ids: ["law 1", "law 10"], &[Stream::Ids], [Mode::Mirror, Mode::TwoWay];
    /// Entries of a kind that nobody knows, about an item.
    a_change_told_by_an_unknown_word_is_found: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 1.
    what_left_a_folder_by_an_unreadable_event_before_that_was_trashed_stays: ["law 5"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 7.
    folders_in_one_another_by_what_was_told_and_in_the_trash_are_gone: ["V2", "law 1"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 7.
    folders_in_one_another_by_what_was_told_and_nowhere_are_gone: ["V2", "law 1"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 7.
    what_left_the_folder_is_not_taken_for_what_the_disk_has_under_its_name: ["law 1", "law 10"], EVERY_STREAM, [Mode::TwoWay];
}

mod play {
    use super::super::*;
    use crate::sim::cloud::{elsewhere, watched};
    use folder_sync_agent::events::EventKind;

    const TREE: &str = "a=1 b=2 d/ d/c=3";

    /// What somebody does, and how the tree is then.
    type Change = (fn(&mut World), &'static str);

    const CHANGES: [Change; 7] = [
        (|world| put(world, "d/new=5"), "a=1 b=2 d/ d/c=3 d/new=5"),
        (|world| put(world, "e/"), "a=1 b=2 d/ d/c=3 e/"),
        (
            |world| {
                let a = world.cloud.at("a");
                world.cloud.edit(&a, 5);
            },
            "a=5 b=2 d/ d/c=3",
        ),
        (
            |world| {
                let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
                world.cloud.shift(&a, &d, "a");
            },
            "b=2 d/ d/a=1 d/c=3",
        ),
        (
            |world| {
                let d = world.cloud.at("d");
                world.cloud.rename(&d, "D2");
            },
            "D2/ D2/c=3 a=1 b=2",
        ),
        (
            |world| {
                let b = world.cloud.at("b");
                world.cloud.trash(&b);
            },
            "a=1 d/ d/c=3",
        ),
        (
            |world| {
                let c = world.cloud.at("d/c");
                world.cloud.shift(&c, &elsewhere(), "c");
            },
            "a=1 b=2 d/",
        ),
    ];

    fn blanked(case: Case, unreadable: bool) {
        for (change, after) in CHANGES {
            let mut world = case.world(TREE);
            change(&mut world);
            world.cloud.blank_last(unreadable);
            heals(&mut world, COMPARED_WITHIN_MS, after);
        }
    }

    pub fn a_change_whose_event_has_no_item_is_found(case: Case) {
        blanked(case, false);
    }

    pub fn a_change_whose_event_is_no_json_is_found(case: Case) {
        blanked(case, true);
    }

    pub fn a_change_told_by_an_unknown_word_is_found(case: Case) {
        for (change, after) in CHANGES {
            let mut world = case.world(TREE);
            change(&mut world);
            world.cloud.unknown_last();
            heals(&mut world, COMPARED_WITHIN_MS, after);
        }
    }

    pub fn an_older_version_that_is_told_late_does_not_come_back(case: Case) {
        let mut world = case.world(TREE);
        let a = world.cloud.at("a");
        world.cloud.trash(&a);
        world.cloud.restore(&a, &watched(), "a");
        let restored = world.cloud.take_back();
        world.cloud.edit(&a, 5);
        stays_honest(&mut world, 3_000);
        world.cloud.tell_late(restored);
        heals(&mut world, COMPARED_WITHIN_MS, "a=5 b=2 d/ d/c=3");
        // Two versions, told the wrong way round.
        let mut world = case.world(TREE);
        let a = world.cloud.at("a");
        world.cloud.edit(&a, 5);
        let older = world.cloud.take_back();
        world.cloud.edit(&a, 6);
        stays_honest(&mut world, 3_000);
        world.cloud.tell_late(older);
        heals(&mut world, COMPARED_WITHIN_MS, "a=6 b=2 d/ d/c=3");
    }

    pub fn an_older_place_that_is_told_late_does_not_come_back(case: Case) {
        let mut world = case.world(TREE);
        let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
        world.cloud.shift(&a, &d, "a");
        let first = world.cloud.take_back();
        world.cloud.shift(&a, &watched(), "e");
        stays_honest(&mut world, 3_000);
        world.cloud.tell_late(first);
        heals(&mut world, COMPARED_WITHIN_MS, "b=2 d/ d/c=3 e=1");
    }

    pub fn a_deletion_that_is_told_after_the_restore_deletes_nothing(case: Case) {
        for path in ["a", "d"] {
            let mut world = case.world(TREE);
            let item = world.cloud.at(path);
            world.cloud.trash(&item);
            let trashed = world.cloud.take_back();
            world.cloud.restore(&item, &watched(), path);
            stays_honest(&mut world, 3_000);
            world.cloud.tell_late(trashed);
            heals(&mut world, COMPARED_WITHIN_MS, TREE);
        }
    }

    pub fn a_folder_move_that_is_told_late_moves_nothing_back(case: Case) {
        let mut world = case.world("a=1 d/ d/c=3 e/");
        let (d, e) = (world.cloud.at("d"), world.cloud.at("e"));
        world.cloud.shift(&d, &e, "d");
        let first = world.cloud.take_back();
        world.cloud.shift(&d, &watched(), "f");
        stays_honest(&mut world, 3_000);
        world.cloud.add_file(&d, "new", 5);
        world.cloud.tell_late(first);
        heals(&mut world, COMPARED_WITHIN_MS, "a=1 e/ f/ f/c=3 f/new=5");
    }

    pub fn a_change_that_is_never_told_is_found_within_the_hour(case: Case) {
        for (change, after) in CHANGES {
            let mut world = case.world(TREE);
            change(&mut world);
            world.cloud.take_back();
            world.cloud.note_untold(world.now);
            heals_in_time(&mut world, SEEN_WHOLE_WITHIN_MS, after);
        }
    }

    pub fn a_change_told_behind_a_place_that_was_given_is_found(case: Case) {
        // Where positions are promised, nobody looks behind: verification finds it.
        let within = if case.stream == Stream::Paths { SEEN_WHOLE_WITHIN_MS } else { COMPARED_WITHIN_MS };
        for (change, after) in CHANGES {
            let mut world = case.world(&format!("{TREE} z=9"));
            change(&mut world);
            let hidden = world.cloud.take_back();
            let z = world.cloud.at("z");
            world.cloud.edit(&z, 10);
            world.cloud.edit(&z, 11);
            lives_on(&mut world, 20_000);
            world.cloud.tell_behind(hidden, world.now);
            heals_in_time(&mut world, within, &format!("{after} z=11"));
        }
    }

    pub fn a_move_told_twice_and_out_of_order_ends_where_it_went(case: Case) {
        let mut world = case.world("a=1 d/ d/c=3 e/");
        let (a, d, e) = (world.cloud.at("a"), world.cloud.at("d"), world.cloud.at("e"));
        world.cloud.shift(&d, &e, "d");
        let first = world.cloud.take_back();
        world.cloud.shift(&a, &d, "a");
        world.cloud.tell_late(first.clone());
        stays_honest(&mut world, 3_000);
        world.cloud.shift(&d, &watched(), "f");
        world.cloud.edit(&a, 7);
        stays_honest(&mut world, 3_000);
        world.cloud.tell_late(first);
        heals(&mut world, COMPARED_WITHIN_MS, "e/ f/ f/a=7 f/c=3");
    }

    /// The cloud's clock is ahead of ours by some milliseconds: each event takes it two further.
    pub fn what_came_and_went_before_the_place_was_taken_and_is_told_late_stays_away(case: Case) {
        for ahead in [0, 100] {
            let mut world = case.world(TREE);
            let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
            for _ in 0..ahead {
                world.cloud.chatter(&a, EventKind::Comment);
            }
            world.cloud.edit(&b, 5);
            let edited = world.cloud.take_back();
            let x = world.cloud.add_file(&watched(), "x", 6);
            let came = world.cloud.take_back();
            world.cloud.shift(&x, &elsewhere(), "x");
            world.cloud.lose_cursors();
            stays_honest(&mut world, 3_000);
            for late in [edited, came] {
                world.cloud.tell_late(late);
                stays_honest(&mut world, MINUTE_MS);
            }
            heals(&mut world, COMPARED_WITHIN_MS, "a=1 b=5 d/ d/c=3");
        }
    }

    pub fn a_new_item_of_which_only_the_id_is_told_is_found(case: Case) {
        for (paths, after) in [("new=5", "a=1 b=2 d/ d/c=3 new=5"), ("d/e/ d/e/f=6", "a=1 b=2 d/ d/c=3 d/e/ d/e/f=6")] {
            let mut world = case.world(TREE);
            put(&mut world, paths);
            heals(&mut world, COMPARED_WITHIN_MS, after);
        }
    }

    pub fn an_id_told_behind_a_place_that_was_given_is_found_by_the_second_reading(case: Case) {
        let mut swarm = case.swarm();
        swarm.habits.no_ancestors = true;
        let mut world = world_like(swarm, TREE);
        put(&mut world, "new=5");
        let hidden = world.cloud.take_back();
        // What is done elsewhere, so that no listing shows it by the way.
        let c = world.cloud.at("d/c");
        world.cloud.edit(&c, 7);
        lives_on(&mut world, 10_000);
        world.cloud.tell_behind(hidden, world.now);
        heals_in_time(&mut world, 2 * MINUTE_MS, "a=1 b=2 d/ d/c=7 new=5");
    }

    pub fn an_item_that_moves_in_and_of_which_only_the_id_is_told_is_found(case: Case) {
        let mut world = case.world(TREE);
        let folder = world.cloud.add_folder(&elsewhere(), "g");
        world.cloud.add_file(&folder, "h", 8);
        lives_on(&mut world, 60_000);
        let d = world.cloud.at("d");
        world.cloud.shift(&folder, &d, "g");
        heals(&mut world, COMPARED_WITHIN_MS, "a=1 b=2 d/ d/c=3 d/g/ d/g/h=8");
    }

    pub fn what_happens_to_known_items_is_found_by_their_ids(case: Case) {
        for (change, after) in &CHANGES[2..] {
            let mut world = case.world(TREE);
            change(&mut world);
            heals(&mut world, COMPARED_WITHIN_MS, after);
        }
    }

    pub fn what_left_a_folder_by_an_unreadable_event_before_that_was_trashed_stays(case: Case) {
        let mut world = case.world("a=1 b=2 d/ d/e/ d/e/c=3");
        // The one comparison of these minutes is spent on something else.
        let a = world.cloud.at("a");
        world.cloud.edit(&a, 5);
        world.cloud.blank_last(true);
        heals(&mut world, COMPARED_WITHIN_MS, "a=5 b=2 d/ d/e/ d/e/c=3");
        let (d, e) = (world.cloud.at("d"), world.cloud.at("d/e"));
        world.cloud.shift(&e, &watched(), "f");
        world.cloud.blank_last(true);
        stays_honest(&mut world, 3_000);
        world.cloud.trash(&d);
        heals(&mut world, COMPARED_WITHIN_MS, "a=5 b=2 f/ f/c=3");
    }

    pub fn folders_in_one_another_by_what_was_told_and_in_the_trash_are_gone(case: Case) {
        in_one_another(case, false);
    }

    pub fn folders_in_one_another_by_what_was_told_and_nowhere_are_gone(case: Case) {
        in_one_another(case, true);
    }

    /// Two folders are gone, and by what was observed of them at different moments they lie in one another. What is gone for good is not found.
    fn in_one_another(case: Case, for_good: bool) {
        let mut world = case.world("d=1 a/ a/b/ a/c=2");
        let (a, b) = (world.cloud.at("a"), world.cloud.at("a/b"));
        world.cloud.shift(&b, &elsewhere(), "b");
        world.cloud.take_back();
        world.cloud.shift(&a, &b, "a");
        let told = world.cloud.take_back();
        world.cloud.trash(&b);
        world.cloud.take_back();
        if for_good {
            world.cloud.purge(&b);
        }
        world.cloud.tell_late(told);
        world.cloud.note_untold(world.now);
        heals_in_time(&mut world, SEEN_WHOLE_WITHIN_MS, "d=1");
    }

    pub fn what_left_the_folder_is_not_taken_for_what_the_disk_has_under_its_name(case: Case) {
        let mut world = case.world("a=1");
        let d = world.cloud.add_folder(&watched(), "d");
        let made = world.cloud.take_back();
        world.cloud.shift(&d, &elsewhere(), "d");
        lives_on(&mut world, 60_000);
        assert!(world.disk.mkdir("d") && world.disk.write("d/x", 202));
        // The disk's is known by then, and waits to settle.
        lives_on(&mut world, 1_000);
        world.cloud.tell_late(made);
        heals(&mut world, COMPARED_WITHIN_MS, "a=1 d/ d/x=202");
    }
}
