//! Rows of what the agent may see: permissions taken away and given back, and what happens above the watched folder.

use super::rows;

rows! {
    /// Rows 4 and 5.
    a_folder_that_was_out_of_sight_for_a_while_is_listed_again: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 18: nobody tells that it is back. Until that is seen it is called hidden.
    what_was_hidden_is_not_in_sync_until_all_of_it_was_listed: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 18.
    what_is_out_of_sight_is_never_called_in_sync: ["law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// An event of rights tells neither that something is there nor that it is gone: whatever a look shows is the answer.
    what_goes_out_of_sight_is_settled_at_once: ["law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// A name that is kept out is not waited for.
    a_new_name_that_is_kept_out_is_settled_at_once: ["law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 6.
    a_trashed_parent_of_the_watched_folder_is_noticed: ["law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 6.
    what_changed_in_a_watched_folder_whose_parent_was_trashed_is_found: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 6.
    a_watched_folder_whose_parent_moves_goes_on: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
    /// Row 6.
    a_watched_folder_out_of_sight_is_noticed_and_healed: ["law 1", "law 10"], EVERY_STREAM, [Mode::Mirror, Mode::TwoWay];
}

mod play {
    use super::super::*;
    use crate::sim::cloud::{above, elsewhere, top, watched};

    /// One round of the safety net under a long poll.
    const LISTENING_ROUND_MS: u64 = 35 * MINUTE_MS;

    const TREE: &str = "a=1 d/ d/b=2 d/e/ d/e/c=3";
    const CHANGED: &str = "a=1 d/ d/b=20 d/e/ d/f=4";

    /// Changes inside `d`.
    fn change_inside(world: &mut World) {
        let (d, b, c) = (world.cloud.at("d"), world.cloud.at("d/b"), world.cloud.at("d/e/c"));
        world.cloud.edit(&b, 20);
        world.cloud.trash(&c);
        world.cloud.add_file(&d, "f", 4);
    }

    /// A folder that cannot be seen has no path: what happens in it is done by ids.
    fn hidden_and_changed(case: Case) -> World {
        let mut world = case.world(TREE);
        let (d, b, c) = (world.cloud.at("d"), world.cloud.at("d/b"), world.cloud.at("d/e/c"));
        world.cloud.hide(&d);
        stays_honest(&mut world, 2 * MINUTE_MS);
        world.cloud.edit(&b, 20);
        world.cloud.trash(&c);
        world.cloud.add_file(&d, "f", 4);
        stays_honest(&mut world, 2 * MINUTE_MS);
        world
    }

    pub fn a_folder_that_was_out_of_sight_for_a_while_is_listed_again(case: Case) {
        let mut world = hidden_and_changed(case);
        let d = world.cloud.live_children(&watched()).into_iter().find(|id| world.cloud.is_hidden(id)).unwrap();
        world.cloud.show(&d);
        heals(&mut world, COMPARED_WITHIN_MS, CHANGED);
    }

    pub fn what_was_hidden_is_not_in_sync_until_all_of_it_was_listed(case: Case) {
        let mut world = hidden_and_changed(case);
        let d = world.cloud.live_children(&watched()).into_iter().find(|id| world.cloud.is_hidden(id)).unwrap();
        world.cloud.show_untold(&d);
        // What cannot be seen and is not listed is gone for us; that it is back is an untold change.
        world.cloud.note_untold(world.now);
        heals_in_time(&mut world, SEEN_WHOLE_WITHIN_MS, CHANGED);
    }

    pub fn what_is_out_of_sight_is_never_called_in_sync(case: Case) {
        let mut world = case.world(TREE);
        let d = world.cloud.at("d");
        world.cloud.hide(&d);
        stays_honest(&mut world, 2 * HOUR_MS);
    }

    /// What an event asks for is answered within this time.
    const ANSWERED_WITHIN_MS: u64 = 3_000;

    /// Lives on for longer than the longest pause between two polls: what is heard meanwhile is settled at once.
    fn settles(world: &mut World) {
        let end = world.now + 6 * MINUTE_MS;
        notice(world, 6 * MINUTE_MS);
        let mut since = None;
        while world.now < end {
            assert!(world.step(), "V2: nothing will ever happen again");
            if world.says_in_sync() {
                since = None;
                continue;
            }
            let took = world.now - *since.get_or_insert(world.now);
            assert!(took <= ANSWERED_WITHIN_MS, "law 10: not settled after {took} ms: {:?}", world.unrest());
        }
        world.rest();
        world.check();
    }

    pub fn what_goes_out_of_sight_is_settled_at_once(case: Case) {
        for at in ["d", "d/b", "d/e"] {
            let mut world = case.world(TREE);
            let item = world.cloud.at(at);
            world.cloud.hide(&item);
            settles(&mut world);
            // The rights on it change, and the agent sees nothing of it.
            world.cloud.hide(&item);
            settles(&mut world);
            world.cloud.show(&item);
            settles(&mut world);
            assert_eq!(tree(&world), TREE);
        }
    }

    pub fn a_new_name_that_is_kept_out_is_settled_at_once(case: Case) {
        let mut world = World::new(1, Swarm { exclude: true, ..case.swarm() });
        world.misfortune = false;
        put(&mut world, TREE);
        world.start();
        world.rest();
        put(&mut world, "d/x/ d/x/a=4 x1=5");
        settles(&mut world);
        let (x, x1, c) = (world.cloud.at("d/x"), world.cloud.at("x1"), world.cloud.at("d/e/c"));
        world.cloud.rename(&x, "x2");
        world.cloud.edit(&x1, 6);
        world.cloud.rename(&c, "x3");
        settles(&mut world);
        world.cloud.edit(&c, 7);
        settles(&mut world);
    }

    /// A world at rest whose watched folder lies in another one.
    fn nested(case: Case) -> World {
        let mut world = World::new(1, case.swarm());
        world.misfortune = false;
        world.cloud.nest();
        put(&mut world, TREE);
        world.start();
        world.rest();
        world
    }

    pub fn a_trashed_parent_of_the_watched_folder_is_noticed(case: Case) {
        let mut world = nested(case);
        world.cloud.trash(&above());
        lives_on(&mut world, LISTENING_ROUND_MS);
        stays_honest(&mut world, 2 * HOUR_MS);
        assert_eq!(tree(&world), TREE, "law 5: what went with the folder above stays until a person decides");
    }

    pub fn what_changed_in_a_watched_folder_whose_parent_was_trashed_is_found(case: Case) {
        let mut world = nested(case);
        world.cloud.trash(&above());
        lives_on(&mut world, LISTENING_ROUND_MS);
        let (d, b, c) = inside(&world);
        world.cloud.restore(&above(), &top(), "Above");
        // What was restored from the trash is what it was, but for what nobody told meanwhile.
        let from = world.cloud.told();
        world.cloud.edit(&b, 20);
        world.cloud.trash(&c);
        world.cloud.add_file(&d, "f", 4);
        while world.cloud.told() > from {
            world.cloud.take_back();
        }
        heals(&mut world, COMPARED_WITHIN_MS + LISTENING_ROUND_MS, CHANGED);
    }

    fn inside(world: &World) -> (ItemId, ItemId, ItemId) {
        let find = |parent: &ItemId, name: &str| {
            let children = world.cloud.live_children(parent);
            children.into_iter().find(|id| world.cloud.thing(id).name == name).unwrap()
        };
        let d = find(&watched(), "d");
        let e = find(&d, "e");
        (d.clone(), find(&d, "b"), find(&e, "c"))
    }

    pub fn a_watched_folder_whose_parent_moves_goes_on(case: Case) {
        let mut world = nested(case);
        world.cloud.shift(&above(), &elsewhere(), "Moved");
        stays_honest(&mut world, 10_000);
        change_inside(&mut world);
        heals(&mut world, COMPARED_WITHIN_MS, CHANGED);
        // The same, and the move is never told.
        let mut world = nested(case);
        world.cloud.shift(&above(), &elsewhere(), "Moved");
        world.cloud.take_back();
        lives_on(&mut world, LISTENING_ROUND_MS);
        change_inside(&mut world);
        heals(&mut world, COMPARED_WITHIN_MS, CHANGED);
    }

    pub fn a_watched_folder_out_of_sight_is_noticed_and_healed(case: Case) {
        for hidden in [watched(), above()] {
            let mut world = nested(case);
            world.cloud.hide(&hidden);
            lives_on(&mut world, LISTENING_ROUND_MS);
            let (d, b, c) = inside(&world);
            world.cloud.edit(&b, 20);
            world.cloud.trash(&c);
            world.cloud.add_file(&d, "f", 4);
            stays_honest(&mut world, HOUR_MS);
            assert_eq!(tree(&world), TREE, "law 5: a folder that cannot be seen is not deleted");
            world.cloud.show(&hidden);
            heals(&mut world, COMPARED_WITHIN_MS + LISTENING_ROUND_MS, CHANGED);
        }
    }
}
