//! Calls that fail for ever: one item's trouble costs a call now and then, however the cloud puts it. What cannot be reached is tried every minute
//! at least, anything else every quarter of an hour.

use folder_sync_agent::provider::ProviderErrorKind;
use folder_sync_agent::settings::Mode;

use super::cloud::{Habits, watched};
use super::stories::{ends_as, world_like};
use super::swarm::Swarm;
use super::two_way::calm;
use super::world::World;

#[test]
fn writes_that_fail_for_ever_are_tried_less_and_less_often() {
    use ProviderErrorKind as Kind;
    const CHANGES: u64 = 5;
    for mode in [Mode::TwoWay, Mode::Upload] {
        for kind in [
            Kind::OutcomeUnknown,
            Kind::Unavailable,
            Kind::Malformed,
            Kind::Forbidden,
            Kind::Refused,
            Kind::NotReady,
            Kind::NotFound,
            Kind::Corrupt,
            Kind::Network,
        ] {
            let mut world = world_like(calm(mode), "");
            assert!(["a", "b", "c"].iter().zip([212, 214, 216]).all(|(path, content)| world.disk.write(path, content)));
            world.rest();
            world.never_done = Some(kind);
            world.disk.rename("a", "a2");
            world.disk.remove("c");
            assert!(world.disk.write("b", 202) && world.disk.write("new", 203) && world.disk.mkdir("d"));
            let (before, hour) = (world.tally.writes, world.now + 3_600_000);
            while world.now < hour {
                assert!(world.step(), "{mode:?} {kind:?}");
            }
            let tries = world.tally.writes - before;
            assert!(
                (CHANGES..=100 * CHANGES).contains(&tries),
                "{mode:?} {kind:?}: {tries} tries for {CHANGES} changes"
            );
            world.never_done = None;
            ends_as(&mut world, "a2=212 b=202 d/ new=203");
        }
    }
}

#[test]
fn downloads_that_fail_for_ever_are_tried_less_and_less_often() {
    use ProviderErrorKind as Kind;
    const CHANGES: u64 = 3;
    for mode in [Mode::Mirror, Mode::TwoWay] {
        for kind in [
            Kind::Unavailable,
            Kind::Malformed,
            Kind::Forbidden,
            Kind::Refused,
            Kind::NotReady,
            Kind::NotFound,
            Kind::Corrupt,
            Kind::Conflict,
            Kind::Network,
        ] {
            let mut world = world_like(calm(mode), "a=1 b=2 c=3");
            world.never_fetched = Some(kind);
            let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
            world.cloud.edit(&a, 4);
            world.cloud.rename(&b, "b2");
            world.cloud.edit(&b, 5);
            world.cloud.add_file(&watched(), "d", 6);
            let hour = world.now + 3_600_000;
            while world.now < hour {
                assert!(world.step(), "{mode:?} {kind:?}");
            }
            let tries = world.not_fetched;
            assert!(
                (CHANGES..=100 * CHANGES).contains(&tries),
                "{mode:?} {kind:?}: {tries} tries for {CHANGES} changes"
            );
            world.never_fetched = None;
            world.fetched.clear();
            ends_as(&mut world, "a=4 b2=5 c=3 d=6");
        }
    }
}

#[test]
fn listings_and_looks_that_fail_for_ever_are_tried_less_and_less_often() {
    use ProviderErrorKind as Kind;
    const CHANGES: u64 = 4;
    for (paths, ids) in [(false, false), (true, false), (false, true)] {
        for kind in [
            Kind::Unavailable,
            Kind::Malformed,
            Kind::Forbidden,
            Kind::Refused,
            Kind::NotReady,
            Kind::Network,
            Kind::NotFound,
        ] {
            let habits = Habits { paths, ids, ..calm(Mode::Mirror).habits };
            let mut world = world_like(Swarm { habits, long_poll: !paths, ..calm(Mode::Mirror) }, "a=1 b=2 d/ d/c=3");
            world.never_shown = Some(kind);
            let (a, b, d) = (world.cloud.at("a"), world.cloud.at("b"), world.cloud.at("d"));
            world.cloud.edit(&a, 4);
            world.cloud.trash(&b);
            world.cloud.rename(&d, "d2");
            world.cloud.add_file(&d, "e", 6);
            let asked = |world: &World| world.tally.lists + world.tally.looks;
            let (before, hour) = (asked(&world), world.now + 3_600_000);
            while world.now < hour {
                assert!(world.step(), "{paths} {ids} {kind:?}");
            }
            let tries = asked(&world) - before;
            assert!(tries <= 100 * CHANGES, "paths {paths}, ids {ids}, {kind:?}: {tries} calls for {CHANGES} changes");
            world.never_shown = None;
            ends_as(&mut world, "a=4 d2/ d2/c=3 d2/e=6");
        }
    }
}
