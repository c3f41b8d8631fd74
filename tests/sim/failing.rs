//! Calls that fail for ever: one item's trouble costs a call now and then, however the cloud puts it. What cannot be reached is tried every minute
//! at least, anything else every quarter of an hour.

use folder_sync_agent::provider::ProviderErrorKind::{self, *};
use folder_sync_agent::settings::Mode;

use super::cloud::{Habits, watched};
use super::stories::{ends_as, world_like};
use super::swarm::Swarm;
use super::two_way::calm;
use super::world::World;

/// What is that item's trouble, or the account's for that item only.
const KINDS: [ProviderErrorKind; 8] =
    [Unavailable, Malformed, Forbidden, Refused, NotReady, NotFound, Network, Corrupt];
/// Calls for a change in an hour: a minute between two of them, at least half of it, and some at the beginning.
const TRIES_MOST: u64 = 100;

/// Calls in an hour.
fn tries_in_an_hour(world: &mut World, calls: fn(&World) -> u64) -> u64 {
    let (before, hour) = (calls(world), world.now + 3_600_000);
    while world.now < hour {
        assert!(world.step());
    }
    calls(world) - before
}

#[test]
fn writes_that_fail_for_ever_are_tried_less_and_less_often() {
    const CHANGES: u64 = 5;
    for mode in [Mode::TwoWay, Mode::Upload] {
        for kind in KINDS.into_iter().chain([OutcomeUnknown]) {
            let mut world = world_like(calm(mode), "");
            assert!(["a", "b", "c"].iter().zip([212, 214, 216]).all(|(path, content)| world.disk.write(path, content)));
            world.rest();
            world.never_done = Some(kind);
            world.disk.rename("a", "a2");
            world.disk.remove("c");
            assert!(world.disk.write("b", 202) && world.disk.write("new", 203) && world.disk.mkdir("d"));
            let tries = tries_in_an_hour(&mut world, |world| world.tally.writes);
            assert!((CHANGES..=TRIES_MOST * CHANGES).contains(&tries), "{mode:?} {kind:?}: {tries} tries");
            world.never_done = None;
            ends_as(&mut world, "a2=212 b=202 d/ new=203");
        }
    }
}

#[test]
fn downloads_that_fail_for_ever_are_tried_less_and_less_often() {
    const CHANGES: u64 = 3;
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for kind in KINDS.into_iter().chain([Conflict]) {
            let mut world = world_like(calm(mode), "a=1 b=2 c=3");
            world.never_fetched = Some(kind);
            let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
            world.cloud.edit(&a, 4);
            world.cloud.rename(&b, "b2");
            world.cloud.edit(&b, 5);
            world.cloud.add_file(&watched(), "d", 6);
            let tries = tries_in_an_hour(&mut world, |world| world.not_fetched);
            assert!((CHANGES..=TRIES_MOST * CHANGES).contains(&tries), "{mode:?} {kind:?}: {tries} tries");
            world.never_fetched = None;
            world.fetched.clear();
            ends_as(&mut world, "a=4 b2=5 c=3 d=6");
        }
    }
}

#[test]
fn listings_and_looks_that_fail_for_ever_are_tried_less_and_less_often() {
    const CHANGES: u64 = 4;
    for (paths, ids) in [(false, false), (true, false), (false, true)] {
        for kind in KINDS.into_iter().filter(|kind| *kind != Corrupt) {
            let habits = Habits { paths, ids, ..calm(Mode::Mirror).habits };
            let mut world = world_like(Swarm { habits, long_poll: !paths, ..calm(Mode::Mirror) }, "a=1 b=2 d/ d/c=3");
            world.never_shown = Some(kind);
            let (a, b, d) = (world.cloud.at("a"), world.cloud.at("b"), world.cloud.at("d"));
            world.cloud.edit(&a, 4);
            world.cloud.trash(&b);
            world.cloud.rename(&d, "d2");
            world.cloud.add_file(&d, "e", 6);
            let tries = tries_in_an_hour(&mut world, |world| world.tally.lists + world.tally.looks);
            assert!(tries <= TRIES_MOST * CHANGES, "paths {paths}, ids {ids}, {kind:?}: {tries} calls");
            world.never_shown = None;
            ends_as(&mut world, "a=4 d2/ d2/c=3 d2/e=6");
        }
    }
}
