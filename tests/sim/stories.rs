//! One small history each, in a calm world.

use super::cloud::watched;
use super::world::World;

fn tree(world: &World) -> String {
    let lines = world.disk.tree().into_iter().map(|(path, content)| match content {
        Some(content) => format!("{path} = {content}"),
        None => path,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A world at rest with these files (`path = content`) and folders (`path/`), parents first.
fn world_with(paths: &[&str]) -> World {
    let mut world = World::calm();
    for path in paths {
        let (path, content) = match path.split_once(" = ") {
            Some((path, content)) => (path, Some(content.parse().unwrap())),
            None => (path.trim_end_matches('/'), None),
        };
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = world.cloud.at(above);
        match content {
            Some(content) => world.cloud.add_file(&parent, name, content),
            None => world.cloud.add_folder(&parent, name),
        };
    }
    world.start();
    world.rest();
    assert_eq!(
        tree(&world),
        paths
            .iter()
            .map(ToString::to_string)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
            .join("\n")
    );
    world
}

#[test]
fn a_new_file_appears() {
    let mut world = world_with(&["a = 1"]);
    world.cloud.add_file(&watched(), "b", 2);
    world.rest();
    assert_eq!(tree(&world), "a = 1\nb = 2");
    assert_eq!(world.tally.fetches, 2);
}
