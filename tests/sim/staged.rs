//! Small stories of what was fetched and cannot be published yet.

use super::cloud::watched;
use super::stories::{ends_as, put, world_like};
use super::swarm::Swarm;
use super::world::World;

fn steps(world: &mut World, many: usize) {
    for _ in 0..many {
        assert!(world.step());
    }
}

/// A file was fetched, and moves before the disk is free into a folder that waits for a person: the name of that is taken by a directory with
/// an edit that is kept. What was fetched does not lie in staging for as long.
#[test]
fn what_waits_for_somebody_elses_problem_is_not_kept() {
    for moment in 0..30 {
        let swarm = Swarm { keep_drift: true, deeds_ms: 5_000, ..Swarm::calm() };
        let mut world = world_like(swarm, "p/ p/e=1");
        assert!(world.disk.write("p/e", 100));
        world.rest();
        let p = world.cloud.at("p");
        world.cloud.trash(&p);
        let p = world.cloud.add_folder(&watched(), "p");
        let d = world.cloud.add_folder(&p, "d");
        world.rest();
        put(&mut world, "busy/");
        let x = world.cloud.add_file(&watched(), "x", 2);
        steps(&mut world, moment);
        world.cloud.shift(&x, &d, "x");
        world.rest();
        world.check();
    }
}

/// A file was fetched and is to get a name that another one has, as nobody told yet that this one left: both are looked at, and what was
/// fetched is not fetched again.
#[test]
fn what_waits_for_a_look_is_kept() {
    for moment in 0..20 {
        let mut world = world_like(Swarm { deeds_ms: 5_000, ..Swarm::calm() }, "d/ d/a=1");
        let (a, d) = (world.cloud.at("d/a"), world.cloud.at("d"));
        put(&mut world, "busy/");
        let b = world.cloud.add_file(&d, "b", 2);
        steps(&mut world, moment);
        world.cloud.shift(&a, &watched(), "q");
        let untold = world.cloud.take_back();
        world.cloud.rename(&b, "a");
        world.rest();
        world.cloud.tell_late(untold);
        ends_as(&mut world, "busy/ d/ d/a=2 q=1");
        assert_eq!(world.tally.fetches, 2, "moment {moment}");
    }
}
