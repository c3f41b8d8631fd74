//! Expiry, accepted deletions and the bounds of the version store, with the process dying at any step.

use folder_sync_agent::command::{Answer, Command};
use folder_sync_agent::id::ItemId;

use super::cloud::watched;
use super::swarm::Swarm;
use super::world::{FOLDER, World};

/// Histories of each test.
const SEEDS: u64 = 25;
/// How long local copies stay.
const KEPT_MS: u64 = 600_000;

fn world(seed: u64, swarm: Swarm) -> World {
    World::new(seed, Swarm { crash: 5, ..swarm })
}

/// Lives on for a while, in which the process may die, and comes to rest without further misfortune.
fn live(world: &mut World, span_ms: u64) {
    let until = world.now + span_ms;
    world.misfortune = true;
    while world.now < until {
        assert!(world.step(), "nothing will ever happen again");
    }
    world.misfortune = false;
    world.rest();
}

fn files(world: &World) -> Vec<(String, u64)> {
    let tree = world.disk.tree().into_iter();
    tree.filter_map(|(path, content)| Some((path, content?))).collect()
}

fn tombstones(world: &World, ids: &[ItemId]) -> usize {
    let node = |id: &&ItemId| world.store().item_by_id(FOLDER, id).unwrap().unwrap().node;
    ids.iter().filter(|id| world.store().tombstone(node(id)).unwrap().is_some()).count()
}

#[test]
fn copies_expire_once_and_a_new_version_brings_the_file_back() {
    for seed in 0..SEEDS {
        let mut world = world(seed, Swarm { keep_for_ms: Some(KEPT_MS), ..Swarm::calm() });
        let ids: Vec<ItemId> = (1..=5).map(|n| world.cloud.add_file(&watched(), &format!("f{n}"), n)).collect();
        world.start();
        live(&mut world, KEPT_MS / 2);
        assert_eq!(files(&world).len(), 5, "seed {seed}: their time is not over");
        // One is edited here, one there, and one is moved.
        assert!(world.disk.write("f1", 100), "seed {seed}");
        world.cloud.edit(&ids[1], 200);
        world.cloud.rename(&ids[2], "moved");
        live(&mut world, KEPT_MS * 3 / 4);
        // What comes back in the place of an edit has arrived anew, like the new version.
        let anew = [("f1".to_owned(), 1), ("f2".to_owned(), 200)];
        assert_eq!(files(&world), anew, "seed {seed}: what arrived later has a time of its own");
        live(&mut world, KEPT_MS * 2);
        assert_eq!(files(&world), [], "seed {seed}");
        assert_eq!(tombstones(&world, &ids), 5, "seed {seed}");
        assert_eq!(world.cloud.tree().len(), 5, "seed {seed}: the cloud is not touched");
        assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [2, 100], "seed {seed}: replaced and edited");
        world.check_kept_counts();

        let fetches = world.tally.fetches;
        world.cloud.edit(&ids[3], 400);
        world.command(Command::Restore { path: "/f/f5".into() });
        live(&mut world, KEPT_MS / 2);
        // A command dies with the process that heard it.
        let back: Vec<(String, u64)> = files(&world);
        assert!(back.contains(&("f4".to_owned(), 400)), "seed {seed}: {back:?}");
        assert!(back.iter().all(|(path, _)| path == "f4" || path == "f5"), "seed {seed}: {back:?}");
        assert!(world.tally.fetches > fetches, "seed {seed}");
        world.check_kept_counts();
    }
}

#[test]
fn deletions_that_are_accepted_last_until_a_new_version() {
    for seed in 0..SEEDS {
        let mut world = world(seed, Swarm { accept_deletions: true, ..Swarm::calm() });
        let folder = world.cloud.add_folder(&watched(), "d");
        let ids: Vec<ItemId> = (1..=4).map(|n| world.cloud.add_file(&folder, &format!("f{n}"), n)).collect();
        world.start();
        live(&mut world, 60_000);
        // One file goes by itself, and is met because the cloud moves it.
        assert!(world.disk.remove("d/f1"), "seed {seed}");
        world.cloud.shift(&ids[0], &watched(), "moved");
        live(&mut world, 60_000);
        let left: Vec<String> = files(&world).into_iter().map(|(path, _)| path).collect();
        assert_eq!(left, ["d/f2", "d/f3", "d/f4"], "seed {seed}");
        assert_eq!(tombstones(&world, &ids), 1, "seed {seed}");
        // Nothing but a new version brings it back.
        world.cloud.rename(&ids[0], "again");
        world.command(Command::Sync { folder: None, full: true });
        live(&mut world, 60_000);
        assert_eq!(files(&world).len(), 3, "seed {seed}");
        world.cloud.edit(&ids[0], 100);
        live(&mut world, 60_000);
        assert!(files(&world).contains(&("again".to_owned(), 100)), "seed {seed}: {:?}", files(&world));
        assert_eq!(tombstones(&world, &ids), 0, "seed {seed}");
        world.check();
    }
}

#[test]
fn a_version_store_that_is_full_of_today_asks_and_makes_room_tomorrow() {
    for seed in 0..SEEDS {
        let mut world = world(seed, Swarm { versions_max: Some(1), ..Swarm::calm() });
        let id = world.cloud.add_file(&watched(), "f", 30);
        world.start();
        live(&mut world, 10_000);
        world.cloud.edit(&id, 31);
        live(&mut world, 10_000);
        assert_eq!(files(&world), [("f".to_owned(), 31)], "seed {seed}: there was room for one");
        world.cloud.edit(&id, 32);
        let held = |world: &World| world.store().open_hold(FOLDER, "versions_full").unwrap();
        until_held(&mut world, seed);
        assert_eq!(files(&world), [("f".to_owned(), 31)], "seed {seed}");
        // A day later the oldest may go, and nobody needs to decide.
        let until = world.now + 25 * 3_600_000;
        while world.now < until || held(&world).is_some() {
            assert!(world.step(), "seed {seed}");
        }
        world.rest();
        assert_eq!(files(&world), [("f".to_owned(), 32)], "seed {seed}");
        assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [31], "seed {seed}: the oldest went");
        world.check_kept_counts();
    }
}

fn until_held(world: &mut World, seed: u64) {
    let until = world.now + 3_600_000;
    while world.store().open_hold(FOLDER, "versions_full").unwrap().is_none() {
        assert!(world.step() && world.now < until, "seed {seed}: nobody was asked");
    }
}

#[test]
fn what_is_not_kept_away_is_not_restored() {
    let mut world = World::new(1, Swarm::calm());
    world.misfortune = false;
    world.cloud.add_file(&watched(), "f", 1);
    world.start();
    world.rest();
    for (path, expected) in [("/f/f", "not kept off"), ("/elsewhere/f", "no watched folder")] {
        world.command(Command::Restore { path: path.into() });
        world.rest();
        let answer = world.answers.last();
        let Some(Answer::Refused { message } | Answer::NotFound { message }) = answer else { panic!("{answer:?}") };
        assert!(message.contains(expected), "{message}");
    }
}
