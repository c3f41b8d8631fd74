//! Calls that fail for ever: one item's trouble costs a call now and then, however the cloud puts it.

use folder_sync_agent::provider::ProviderErrorKind;
use folder_sync_agent::settings::Mode;

use super::cloud::watched;
use super::stories::{ends_as, world_like};
use super::two_way::calm;

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
                (CHANGES..=30 * CHANGES).contains(&tries),
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
                (CHANGES..=30 * CHANGES).contains(&tries),
                "{mode:?} {kind:?}: {tries} tries for {CHANGES} changes"
            );
            world.never_fetched = None;
            world.fetched.clear();
            ends_as(&mut world, "a=4 b2=5 c=3 d=6");
        }
    }
}
