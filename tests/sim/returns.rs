//! Whole folders that are restored in the cloud after they went into the version store.

use folder_sync_agent::id::ItemId;

use super::cloud::watched;
use super::stories::{ends_as, put, tree, world_like};
use super::swarm::Swarm;
use super::world::{FOLDER, World};

const TREE: &str = "d/ d/a=1 d/e/ d/e/b=2 d/e/c=3";

/// A world in which the folder `d` was trashed, and all of it is in the version store; and the folder.
fn gone(swarm: Swarm, files: &str) -> (World, ItemId) {
    let mut world = world_like(swarm, files);
    let d = world.cloud.at("d");
    world.cloud.trash(&d);
    world.rest();
    assert!(!tree(&world).contains("d/"), "{}", tree(&world));
    (world, d)
}

#[test]
fn each_directory_comes_back_by_one_rename() {
    for (files, paths) in [(2, false), (40, false), (40, true)] {
        let many: Vec<String> = (0..files).map(|file| format!("d/f{file:02}={}", 10 + file)).collect();
        let before = format!("{TREE} {}", many.join(" "));
        let mut swarm = Swarm::calm();
        swarm.habits.paths = paths;
        let (mut world, d) = gone(swarm, &before);
        let (fetches, deeds) = (world.tally.fetches, world.tally.deeds);
        world.cloud.restore(&d, &watched(), "d");
        ends_as(&mut world, &before);
        assert_eq!(world.tally.fetches, fetches, "nothing is taken file by file");
        assert_eq!(world.tally.deeds - deeds, 2, "one for each directory, whatever is in it");
        assert!(world.disk.versions.is_empty(), "and nothing is left in the version store");
        assert_eq!(world.store().kept_bytes(FOLDER).unwrap(), 0);
    }
}

/// A directory that would show what the cloud does not have comes back file by file.
#[test]
fn what_changed_while_it_was_away_is_never_seen_as_it_was() {
    type Change = fn(&mut World, &ItemId);
    let changes: [(&str, Change, &str); 4] = [
        ("a new version", |world, b| world.cloud.edit(b, 100), "d/ d/a=1 d/e/ d/e/b=100 d/e/c=3"),
        ("another name", |world, b| world.cloud.rename(b, "z"), "d/ d/a=1 d/e/ d/e/c=3 d/e/z=2"),
        ("moved out", |world, b| world.cloud.shift(b, &watched(), "b"), "b=2 d/ d/a=1 d/e/ d/e/c=3"),
        ("trashed by itself", |world, b| world.cloud.trash(b), "d/ d/a=1 d/e/ d/e/c=3"),
    ];
    for (what, change, after) in changes {
        let mut world = world_like(Swarm::calm(), TREE);
        let (d, b) = (world.cloud.at("d"), world.cloud.at("d/e/b"));
        world.cloud.trash(&d);
        world.rest();
        world.cloud.restore(&d, &watched(), "d");
        change(&mut world, &b);
        let mut seen = Vec::new();
        while tree(&world) != after && seen.len() < 2_000 {
            assert!(world.step());
            seen.push(tree(&world));
        }
        let stale = seen.iter().find(|seen| seen.contains("d/e/b=2"));
        assert!(stale.is_none(), "{what}: {stale:?}");
        ends_as(&mut world, after);
    }
}

/// At any moment on its way back.
#[test]
fn what_changes_while_it_comes_back_ends_as_the_cloud_has_it() {
    for steps in 0..30 {
        for again in [false, true] {
            let (mut world, d) = gone(Swarm { deeds_ms: 3_000, ..Swarm::calm() }, TREE);
            world.cloud.restore(&d, &watched(), "d");
            for _ in 0..steps {
                assert!(world.step());
            }
            let b = world.cloud.at("d/e/b");
            if again {
                world.cloud.trash(&d);
                ends_as(&mut world, "");
            } else {
                world.cloud.trash(&b);
                ends_as(&mut world, "d/ d/a=1 d/e/ d/e/c=3");
            }
            assert!(world.disk.kept().contains(&2), "what is gone from the cloud is in the version store");
        }
    }
}

#[test]
fn a_crash_at_every_step_ends_well() {
    for crash_at in 1..40 {
        for trashed in [false, true] {
            let mut world = World::new(crash_at, Swarm { deeds_ms: 3_000, ..Swarm::calm() });
            world.misfortune = false;
            put(&mut world, TREE);
            world.start();
            world.rest();
            let d = world.cloud.at("d");
            world.cloud.trash(&d);
            world.rest();
            world.cloud.restore(&d, &watched(), "d");
            for _ in 0..crash_at {
                assert!(world.step());
            }
            world.crash();
            if trashed {
                let b = world.cloud.at("d/e/b");
                world.cloud.trash(&b);
            }
            ends_as(&mut world, if trashed { "d/ d/a=1 d/e/ d/e/c=3" } else { TREE });
        }
    }
}

/// Somebody made a directory in its place.
#[test]
fn what_is_in_its_place_stays() {
    let (mut world, d) = gone(Swarm::calm(), TREE);
    assert!(world.disk.mkdir("d"));
    assert!(world.disk.write("d/own", 100));
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, "d/ d/a=1 d/e/ d/e/b=2 d/e/c=3 d/own=100");
}
