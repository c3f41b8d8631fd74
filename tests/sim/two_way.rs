//! Two-way and upload: small stories, and random histories in which both sides change at once.

use super::stories::{ends_as, world_like};
use super::swarm::Swarm;
use super::world::World;
use folder_sync_agent::settings::Mode;

fn calm(mode: Mode) -> Swarm {
    Swarm { mode, ..Swarm::calm() }
}

fn both(paths: &str) -> World {
    world_like(calm(Mode::TwoWay), paths)
}

#[test]
fn a_new_file_and_folder_go_up_and_nothing_comes_back() {
    let mut world = both("a=1");
    let fetched = world.tally.fetches;
    assert!(world.disk.mkdir("d") && world.disk.write("d/new", 201) && world.disk.write("b", 202));
    ends_as(&mut world, "a=1 b=202 d/ d/new=201");
    assert_eq!(world.cloud.thing(&world.cloud.at("d/new")).content, 201);
    assert_eq!((world.tally.fetches, world.tally.uploads), (fetched, 2));
}

#[test]
fn an_edit_goes_up_as_a_version_and_a_deletion_to_the_trash() {
    let mut world = both("a=1 b=2");
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    world.disk.write("a", 203);
    world.disk.remove("b");
    ends_as(&mut world, "a=203");
    assert_eq!(world.cloud.at("a"), a);
    assert!(world.cloud.thing(&b).trashed);
}

#[test]
fn renames_on_disk_are_renames_in_the_cloud() {
    let mut world = both("a=1 d/ d/b=2 e/");
    let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
    world.disk.rename("a", "A2");
    world.disk.rename("d", "e/d2");
    ends_as(&mut world, "A2=1 e/ e/d2/ e/d2/b=2");
    assert_eq!((world.cloud.at("A2"), world.cloud.at("e/d2")), (a, d));
    assert_eq!(world.tally.uploads, 0);
}
