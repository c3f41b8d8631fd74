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
