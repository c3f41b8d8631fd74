//! Days against a quota: a first sync that takes several, changes all the while, and a restart in the middle of each.

use std::collections::BTreeSet;

use folder_sync_agent::engine::Notice;

use super::cloud::{Habits, elsewhere, watched};
use super::swarm::Swarm;
use super::world::{FOLDER, World};

const PER_DAY: u32 = 1_000;
const HOUR_MS: u64 = 3_600_000;
const FOLDERS: u64 = 25;
const FILES_PER_FOLDER: u64 = 64;
/// Of the simulated clock: `World` begins at 22:13 UTC.
const TO_MIDNIGHT_MS: u64 = 6_400_000;

/// A calm world whose cloud names paths and counts calls.
fn counted() -> World {
    let habits = Habits { paths: true, list_page: 1_000, event_page: 100, ..Habits::default() };
    let swarm =
        Swarm { habits, long_poll: false, calls_per_day: Some(PER_DAY), keep_versions: 10, batch: 8, ..Swarm::calm() };
    let mut world = World::new(1, swarm);
    world.misfortune = false;
    // The trees are large: they are compared at the end of each stretch of time, and not after every step.
    world.judging = false;
    world
}

fn live_until(world: &mut World, end: u64) {
    while world.now < end {
        world.tally.steps = 0;
        // Something of the world's own ends the wait, however long the engine would sleep.
        assert!(world.step(), "nothing will ever happen again");
        let most = world.calls.values().copied().max().unwrap_or(0);
        assert!(most <= u64::from(PER_DAY), "{:?}", world.calls);
    }
    world.check_honest();
}

#[test]
fn a_long_first_sync_keeps_to_its_quota_and_misses_no_change() {
    let mut world = counted();
    for folder in 0..FOLDERS {
        let parent = world.cloud.add_folder(&watched(), &format!("f{folder:02}"));
        for file in 0..FILES_PER_FOLDER {
            world.cloud.add_file(&parent, &format!("old {file}"), folder * 1_000 + file);
        }
    }
    world.start();
    let mut late = Vec::new();
    let mut first_day = Vec::new();
    for day in 0..4 {
        let morning = TO_MIDNIGHT_MS + day * 24 * HOUR_MS + 8 * HOUR_MS;
        live_until(&mut world, morning);
        if day == 0 {
            first_day = on_disk(&world);
        }
        for change in 0..30 {
            live_until(&mut world, morning + change * HOUR_MS / 4);
            let parent = world.cloud.at(&format!("f{:02}", change % FOLDERS));
            let name = format!("new {day} {change}");
            let added = world.cloud.add_file(&parent, &name, 500_000 + day * 1_000 + change);
            if change % 3 == 0 {
                world.cloud.rename(&added, &format!("{name} renamed"));
            }
            if change == 10 {
                let folder = world.cloud.add_folder(&watched(), &format!("g{day}"));
                world.cloud.add_file(&folder, "inside", 600_000 + day);
                world.cloud.shift(&parent, &folder, "moved in");
                let back = world.cloud.at("");
                world.cloud.shift(&parent, &back, &format!("f{:02}", change % FOLDERS));
            }
            if change == 20 {
                let victim = world.cloud.at(&format!("g{day}"));
                world.cloud.trash(&victim);
            }
            if change == 15 {
                world.crash();
            }
        }
    }
    live_until(&mut world, TO_MIDNIGHT_MS + 4 * 24 * HOUR_MS + 6 * HOUR_MS);
    for notice in &world.notices {
        if let Notice::Outcome { what, path, took_ms, .. } = notice
            && what == "downloaded"
            && path.contains("new ")
        {
            late.push(*took_ms);
        }
    }
    world.check();
    // The moment may lie in the middle of a look at the stream.
    for _ in 0..20 {
        if world.unrest().is_some() {
            assert!(world.step());
        }
    }
    assert_eq!(world.unrest(), None);
    assert!(world.cloud.tree().len() as u64 > FOLDERS * FILES_PER_FOLDER);
    assert!(late.len() >= 100, "{}", late.len());
    assert!(late.iter().all(|ms| *ms < 60_000), "news waited for the first sync: {late:?}");
    // The newest come first: what the first day left over is older than all that it fetched.
    let fetched: BTreeSet<&String> = first_day.iter().filter(|path| path.contains("/old")).collect();
    let newest_left =
        (0..FOLDERS).rev().find(|folder| !fetched.contains(&format!("f{folder:02}/old {}", FILES_PER_FOLDER - 1)));
    assert!(fetched.len() > 300, "{}", fetched.len());
    assert!(
        newest_left.is_none_or(|left| fetched.iter().all(|path| path.as_str() >= format!("f{left:02}").as_str())),
        "{newest_left:?} {fetched:?}"
    );
    println!("calls by day: {:?}", world.calls);
}

fn on_disk(world: &World) -> Vec<String> {
    world.disk.tree().into_keys().collect()
}

#[test]
fn an_idle_hour_takes_at_most_twelve_calls_to_listen_and_a_few_to_verify() {
    let mut world = counted();
    world.cloud.add_file(&watched(), "only", 1);
    world.start();
    live_until(&mut world, TO_MIDNIGHT_MS);
    assert!(world.store().folders().unwrap().iter().any(|row| row.folder == FOLDER && row.verified_at.is_some()));
    let most = (0..6)
        .map(|hour| {
            let before: u64 = world.calls.values().sum();
            live_until(&mut world, TO_MIDNIGHT_MS + (hour + 1) * HOUR_MS);
            world.calls.values().sum::<u64>() - before
        })
        .max()
        .unwrap();
    // Two looks at the watched folder, one listing of it, and one question whether our place in the stream is good.
    assert!((6..=12 + 4).contains(&most), "{most} calls in one idle hour");
    println!("calls in the busiest idle hour: {most}");
}

/// The calls that something costs, listening left out.
fn cost(world: &mut World, what: impl FnOnce(&mut World)) -> (u64, u64, u64) {
    let before = world.tally.clone();
    what(world);
    let end = world.now + HOUR_MS;
    live_until(world, end);
    assert_eq!(world.unrest(), None);
    world.check();
    let now = &world.tally;
    (now.fetches - before.fetches, now.lists - before.lists, now.looks - before.looks)
}

/// The calls are those that are expected, and at most those that verify the tree of two folders in an hour beside them, once of it hurried.
fn costs(found: (u64, u64, u64), expected: (u64, u64, u64), what: &str) {
    let is_within = |found: u64, expected: u64, more: u64| (expected..=expected + more).contains(&found);
    let fits = found.0 == expected.0 && is_within(found.1, expected.1, 5) && is_within(found.2, expected.2, 2);
    assert!(fits, "{what}: {found:?}, expected {expected:?}");
}

#[test]
fn what_events_of_paths_cost() {
    let mut world = counted();
    let a = world.cloud.add_folder(&watched(), "a");
    for file in 0..20 {
        world.cloud.add_file(&a, &format!("{file}"), file);
    }
    world.start();
    live_until(&mut world, HOUR_MS);
    world.check();

    let mut file = None;
    // Egnyte's events order nothing: what they name is asked for, by one listing of its folder.
    let added = cost(&mut world, |world| file = Some(world.cloud.add_file(&a, "new", 77)));
    costs(added, (1, 1, 0), "a new file in a folder that we know: a listing and its download");
    let file = file.unwrap();
    let edited = cost(&mut world, |world| world.cloud.edit(&file, 78));
    costs(edited, (1, 1, 0), "a new version");
    let renamed = cost(&mut world, |world| world.cloud.rename(&file, "newer"));
    costs(renamed, (0, 1, 0), "a new name");
    let many = cost(&mut world, |world| {
        for number in 0..50 {
            world.cloud.add_file(&a, &format!("many {number}"), 100 + number);
        }
    });
    costs(many, (50, 1, 0), "one listing for all that changes in a folder");
    let foreign = cost(&mut world, |world| {
        let other = world.cloud.add_folder(&elsewhere(), "theirs");
        world.cloud.add_file(&other, "not ours", 5);
    });
    costs(foreign, (0, 0, 0), "events outside of every folder cost nothing");
    let moved = cost(&mut world, |world| {
        world.cloud.rename(&a, "b");
        world.cloud.add_file(&a, "under the new name", 79);
    });
    costs(moved, (1, 2, 0), "a folder that moves takes its paths along");
    let out_and_in = cost(&mut world, |world| {
        let copy = world.cloud.copy(&a, &watched(), "copy");
        world.cloud.shift(&copy, &elsewhere(), "out");
    });
    assert_eq!(out_and_in.0, 0, "what is gone again is not fetched: {out_and_in:?}");
    let trashed = cost(&mut world, |world| {
        for child in world.cloud.live_children(&a) {
            world.cloud.trash(&child);
        }
        world.cloud.trash(&a);
    });
    costs(trashed, (0, 1, 1), "one look for a folder and one listing, however many of its children are named too");
    assert_eq!(world.disk.tree().len(), 0);
}
