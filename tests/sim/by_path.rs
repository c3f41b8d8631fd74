//! Small stories of a cloud whose events name paths.

use folder_sync_agent::settings::Mode;

use super::cloud::{Habits, watched};
use super::stories::{ends_as, world_like};
use super::swarm::Swarm;
use super::world::World;

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
