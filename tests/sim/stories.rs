//! One small history each, in a world where nothing goes wrong but what the story tells.

use folder_sync_agent::command::{Answer, Command};
use folder_sync_agent::engine::Notice;
use folder_sync_agent::events::EventKind;
use folder_sync_agent::id::ItemId;

use super::cloud::{elsewhere, watched};
use super::swarm::Swarm;
use super::world::{FOLDER, Happening, World};

/// The visible tree, one line an entry.
pub fn tree(world: &World) -> String {
    let lines = world.disk.tree().into_iter().map(|(path, content)| match content {
        Some(content) => format!("{path}={content}"),
        None => path,
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Puts these files (`path=content`) and folders (`path/`) into the cloud, parents first.
pub fn put(world: &mut World, paths: &str) {
    for path in paths.split_whitespace() {
        let (path, content) = match path.split_once('=') {
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
}

/// A world at rest with these files and folders.
pub fn world_with(paths: &str) -> World {
    world_like(Swarm::calm(), paths)
}

pub fn world_like(swarm: Swarm, paths: &str) -> World {
    let mut world = World::new(1, swarm);
    world.misfortune = false;
    put(&mut world, paths);
    world.start();
    world.rest();
    world
}

/// Comes to rest and compares the visible tree; everything else must be true as well.
pub fn ends_as(world: &mut World, expected: &str) {
    world.rest();
    assert_eq!(tree(world), expected);
    world.check();
}

/// What was done on disk since the start, without first downloads and new folders.
fn deeds_without_downloads(world: &World) -> Vec<String> {
    let done = world.notices.iter().filter_map(|notice| match notice {
        Notice::Outcome { what, path, .. } => Some(format!("{what} {path}")),
        _ => None,
    });
    let boring = ["no change", "downloaded", "folder created", "stale"];
    done.filter(|done| !boring.iter().any(|word| done.starts_with(word))).collect()
}

#[test]
fn a_first_mirror_and_a_new_file() {
    let mut world = world_with("a=1 d/ d/b=2 d/empty=7 d/e/ e/");
    ends_as(&mut world, "a=1 d/ d/b=2 d/e/ d/empty=7 e/");
    put(&mut world, "d/new=3");
    ends_as(&mut world, "a=1 d/ d/b=2 d/e/ d/empty=7 d/new=3 e/");
    assert_eq!(world.tally.fetches, 4);
    assert_eq!(world.tally.lists, 4, "one listing for each folder of the first mirror, and none for the event");
}

#[test]
fn an_edit_replaces_the_file_and_keeps_the_old_content() {
    let mut world = world_with("a=1");
    let a = world.cloud.at("a");
    world.cloud.edit(&a, 2);
    ends_as(&mut world, "a=2");
    assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [1]);
    // The same bytes again are a new version and no download.
    world.cloud.edit(&a, 2);
    ends_as(&mut world, "a=2");
    assert_eq!(world.tally.fetches, 2);
}

#[test]
fn renames_and_moves_fetch_nothing() {
    let mut world = world_with("a=1 d/ d/b=2 e/");
    let (a, d, e) = (world.cloud.at("a"), world.cloud.at("d"), world.cloud.at("e"));
    world.cloud.rename(&a, "A");
    world.cloud.shift(&d, &e, "d2");
    ends_as(&mut world, "A=1 e/ e/d2/ e/d2/b=2");
    world.cloud.shift(&a, &d, "c");
    ends_as(&mut world, "e/ e/d2/ e/d2/b=2 e/d2/c=1");
    assert_eq!(world.tally.fetches, 2);
    assert_eq!(deeds_without_downloads(&world), ["renamed A", "moved e/d2", "moved e/d2/c"]);
}

/// Renames in the cloud, each of what had a name at the beginning.
fn rename_all(world: &mut World, renames: &[(&str, &str)]) {
    let items: Vec<_> = renames.iter().map(|(at, _)| world.cloud.at(at)).collect();
    for (item, (_, to)) in items.iter().zip(renames) {
        world.cloud.rename(item, to);
    }
}

#[test]
fn two_files_change_names() {
    let mut world = world_with("a=1 b=2");
    rename_all(&mut world, &[("a", "aside"), ("b", "a"), ("a", "b")]);
    ends_as(&mut world, "a=2 b=1");
    assert_eq!(world.tally.fetches, 2);
}

#[test]
fn a_chain_of_renames_costs_one_rename_a_file() {
    let mut world = world_with("a=1 b=2 c=3");
    // The last of the chain is heard of first.
    rename_all(&mut world, &[("a", "aside"), ("c", "d"), ("b", "c"), ("a", "b")]);
    ends_as(&mut world, "b=1 c=2 d=3");
    assert_eq!(deeds_without_downloads(&world), ["renamed d", "renamed c", "renamed b"], "nobody steps out of sight");
}

#[test]
fn three_folders_change_names_in_a_circle() {
    let mut world = world_with("a/ a/x=1 b/ b/x=2 c/ c/x=3");
    rename_all(&mut world, &[("a", "aside"), ("c", "a"), ("b", "c"), ("a", "b")]);
    ends_as(&mut world, "a/ a/x=3 b/ b/x=1 c/ c/x=2");
    assert_eq!(world.tally.fetches, 3);
}

#[test]
fn a_hierarchy_is_turned_upside_down() {
    let mut world = world_with("a/ a/x=1 a/b/ a/b/y=2");
    let (a, b) = (world.cloud.at("a"), world.cloud.at("a/b"));
    world.cloud.shift(&b, &watched(), "b");
    world.cloud.shift(&a, &b, "a");
    ends_as(&mut world, "b/ b/a/ b/a/x=1 b/y=2");
    assert_eq!(world.tally.fetches, 2);
}

#[test]
fn a_file_gives_way_to_a_folder_of_its_name_and_back() {
    let mut world = world_with("a=1");
    let file = world.cloud.at("a");
    world.cloud.trash(&file);
    put(&mut world, "a/ a/b=2");
    ends_as(&mut world, "a/ a/b=2");
    assert!(world.disk.kept().contains(&1));
    let folder = world.cloud.at("a");
    world.cloud.trash(&folder);
    put(&mut world, "a=3");
    ends_as(&mut world, "a=3");
    assert!(world.disk.kept().contains(&2));
}

#[test]
fn a_folder_moves_out_and_in_again() {
    let mut world = world_with("d/ d/a=1 d/e/ d/e/b=2");
    let d = world.cloud.at("d");
    world.cloud.shift(&d, &elsewhere(), "d");
    ends_as(&mut world, "");
    assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [1, 2]);
    world.cloud.shift(&d, &watched(), "back");
    ends_as(&mut world, "back/ back/a=1 back/e/ back/e/b=2");
    world.cloud.shift(&d, &elsewhere(), "d");
    ends_as(&mut world, "");
}

#[test]
fn what_comes_back_from_the_trash_is_taken_from_the_version_store() {
    for paths in [false, true] {
        let mut swarm = Swarm::calm();
        swarm.habits.paths = paths;
        let mut world = world_like(swarm, "a=1 d/ d/b=2 d/c=3");
        let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
        world.cloud.trash(&a);
        world.cloud.trash(&d);
        ends_as(&mut world, "");
        world.cloud.restore(&a, &watched(), "a");
        world.cloud.restore(&d, &watched(), "d");
        ends_as(&mut world, "a=1 d/ d/b=2 d/c=3");
        assert_eq!(world.tally.fetches, 3, "nothing is downloaded again");
        // The same bytes under another item.
        world.cloud.trash(&a);
        ends_as(&mut world, "d/ d/b=2 d/c=3");
        put(&mut world, "new=1");
        ends_as(&mut world, "d/ d/b=2 d/c=3 new=1");
        assert_eq!(world.tally.fetches, 3, "nor what was sent anew");
        // What is kept is no longer what it was.
        let b = world.cloud.at("d/b");
        world.cloud.trash(&b);
        ends_as(&mut world, "d/ d/c=3 new=1");
        world.disk.versions.clear();
        world.cloud.restore(&b, &world.cloud.at("d"), "b");
        ends_as(&mut world, "d/ d/b=2 d/c=3 new=1");
        assert_eq!(world.tally.fetches, 4, "it is downloaded where the version store does not have it");
    }
}

#[test]
fn a_copied_folder_brings_what_no_event_mentions() {
    let mut world = world_with("d/ d/a=1 d/e/ d/e/b=2");
    let d = world.cloud.at("d");
    world.cloud.copy(&d, &watched(), "copy");
    ends_as(&mut world, "copy/ copy/a=1 copy/e/ copy/e/b=2 d/ d/a=1 d/e/ d/e/b=2");
}

#[test]
fn an_entry_that_cannot_be_read_hides_no_later_page() {
    let mut swarm = Swarm::calm();
    swarm.habits.list_page = 2;
    let mut world = World::new(1, swarm);
    world.misfortune = false;
    put(&mut world, "d/ d/a=1 d/b=2 d/c=3 d/e=4");
    world.cloud.unread = Some(world.cloud.at("d/a"));
    world.start();
    for _ in 0..200 {
        assert!(world.step());
    }
    assert_eq!(tree(&world), "d/ d/b=2 d/c=3 d/e=4");
    assert!(world.unrest().is_some(), "it is not in sync");
    world.cloud.unread = None;
    ends_as(&mut world, "d/ d/a=1 d/b=2 d/c=3 d/e=4");
}

#[test]
fn trashed_and_restored_before_we_look_is_no_change() {
    let mut world = world_with("d/ d/a=1");
    let d = world.cloud.at("d");
    world.cloud.trash(&d);
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, "d/ d/a=1");
    assert_eq!(world.tally.fetches, 1);
    assert_eq!(deeds_without_downloads(&world), Vec::<String>::new());
}

#[test]
fn trashed_then_purged_then_asked_about() {
    let mut world = world_with("d/ d/a=1 b=2");
    let (d, b) = (world.cloud.at("d"), world.cloud.at("b"));
    world.cloud.trash(&d);
    world.cloud.trash(&b);
    world.cloud.purge(&d);
    world.cloud.purge(&b);
    ends_as(&mut world, "");
    assert_eq!(world.disk.kept().into_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn names_that_the_disk_cannot_hold_are_mapped() {
    let long = "\u{9577}".repeat(100) + ".txt";
    let mut world = world_with("a=1");
    world.cloud.add_file(&watched(), &long, 2);
    world.cloud.add_folder(&watched(), ".folder-sync-agent");
    put(&mut world, ".folder-sync-agent/in=3");
    world.rest();
    world.check();
    assert_eq!(world.disk.tree().len(), 4);
}

const FIVE: &str = "d/ d/a=1 d/b=2 d/c=3 d/e=4 d/f=5";

pub fn world_with_a_brake() -> World {
    world_like(Swarm { max_delete: Some(2), ..Swarm::calm() }, FIVE)
}

fn trash_all(world: &mut World) -> ItemId {
    let d = world.cloud.at("d");
    world.cloud.trash(&d);
    d
}

/// Runs for a while without waiting for rest.
fn run_for(world: &mut World, ms: u64) {
    let until = world.now + ms;
    while world.now < until {
        assert!(world.step());
    }
}

#[test]
fn a_mass_deletion_waits_and_is_approved() {
    let mut world = world_with_a_brake();
    trash_all(&mut world);
    run_for(&mut world, 60_000);
    assert_eq!(tree(&world), FIVE, "nothing goes unasked");
    let hold = world.open_hold().unwrap();
    // What is new goes on meanwhile.
    put(&mut world, "new=9");
    run_for(&mut world, 60_000);
    assert!(tree(&world).ends_with("new=9"));
    world.approved = true;
    world.command(Command::Approve { hold });
    ends_as(&mut world, "new=9");
    assert_eq!(world.disk.kept().len(), 5);
    assert_eq!(world.open_hold(), None);
}

#[test]
fn a_mass_deletion_waits_and_is_refused() {
    let mut world = world_with_a_brake();
    trash_all(&mut world);
    run_for(&mut world, 60_000);
    let hold = world.open_hold().unwrap();
    world.command(Command::Reject { hold });
    world.refused = true;
    ends_as(&mut world, FIVE);
    assert_eq!(world.open_hold(), None);
}

#[test]
fn what_is_restored_leaves_the_hold() {
    let mut world = world_with_a_brake();
    let d = trash_all(&mut world);
    run_for(&mut world, 60_000);
    assert!(world.open_hold().is_some());
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, FIVE);
    assert_eq!(world.open_hold(), None);
    assert_eq!(world.tally.fetches, 5);
}

#[test]
fn an_approval_starts_the_count_anew() {
    let mut world = world_with_a_brake();
    put(&mut world, "g=6 h=7");
    trash_all(&mut world);
    run_for(&mut world, 60_000);
    let hold = world.open_hold().unwrap();
    world.approved = true;
    world.command(Command::Approve { hold });
    ends_as(&mut world, "g=6 h=7");
    for path in ["g", "h"] {
        let id = world.cloud.at(path);
        world.cloud.trash(&id);
    }
    ends_as(&mut world, "");
}

#[test]
fn deletions_one_by_one_go_on_until_there_are_too_many() {
    let mut world = world_with_a_brake();
    for path in ["d/a", "d/b", "d/c", "d/e"] {
        let id = world.cloud.at(path);
        world.cloud.trash(&id);
        run_for(&mut world, 60_000);
    }
    assert_eq!(tree(&world), "d/ d/c=3 d/e=4 d/f=5");
    assert!(world.open_hold().is_some());
}

#[test]
fn a_hold_that_is_no_more_is_named() {
    let mut world = world_with("a=1");
    world.approved = true;
    world.command(Command::Approve { hold: folder_sync_agent::id::HoldId(77) });
    world.rest();
    assert!(matches!(world.answers.last(), Some(Answer::NotFound { .. })), "{:?}", world.answers);
}

#[test]
fn a_lost_cursor_is_healed_by_a_full_comparison() {
    let mut world = world_with("a=1 b=2 d/ d/c=3");
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    world.cloud.trash(&a);
    world.cloud.rename(&b, "b2");
    put(&mut world, "d/new=4");
    // None of it can be read from the stream any more.
    world.cloud.lose_cursors();
    ends_as(&mut world, "b2=2 d/ d/c=3 d/new=4");
    assert_eq!(world.tally.fetches, 4);
}

#[test]
fn old_and_repeated_events_change_nothing() {
    let mut world = world_with("a=1");
    world.cloud.habits.repeat = 1;
    let a = world.cloud.at("a");
    let told = world.cloud.told();
    world.cloud.edit(&a, 2);
    world.cloud.rename(&a, "b");
    let mut chance = world.chance.clone();
    world.cloud.disturb(told, world.now, &mut chance);
    ends_as(&mut world, "b=2");
    // The repeated ones come when all is done.
    world.cloud.release_late(u64::MAX);
    ends_as(&mut world, "b=2");
    assert_eq!(world.tally.fetches, 2);
}

#[test]
fn chatter_is_no_work() {
    let mut world = world_with("a=1");
    let a = world.cloud.at("a");
    let deeds = world.tally.deeds;
    for kind in [EventKind::Read, EventKind::Comment, EventKind::Lock] {
        world.cloud.chatter(&a, kind);
    }
    ends_as(&mut world, "a=1");
    assert_eq!((world.tally.fetches, world.tally.looks, world.tally.deeds), (1, 0, deeds));
}

#[test]
fn what_a_pattern_keeps_out_never_comes() {
    let swarm = Swarm { exclude: true, ..Swarm::calm() };
    let mut world = world_like(swarm, "a=1 x.tmp=2 xd/ xd/b=3");
    ends_as(&mut world, "a=1");
    // Renamed into sight, and out of it again: the local copy stays and is nobody's business.
    let tmp = world.cloud.at("x.tmp");
    world.cloud.rename(&tmp, "b");
    ends_as(&mut world, "a=1 b=2");
    world.cloud.rename(&tmp, "x.tmp");
    ends_as(&mut world, "a=1 b=2");
}

#[test]
fn a_pattern_that_comes_later_releases_and_one_that_goes_brings_in() {
    let mut world = world_with("a=1 x/ x/b=2 x/d/ x/d/c=3");
    world.swarm.refilter = true;
    world.excluding = true;
    world.configure();
    ends_as(&mut world, "a=1 x/ x/b=2 x/d/ x/d/c=3");
    assert_eq!(world.store().folders().unwrap()[0].counts.files, 1);
    world.excluding = false;
    world.configure();
    ends_as(&mut world, "a=1 x/ x/b=2 x/d/ x/d/c=3");
    assert_eq!(world.store().folders().unwrap()[0].counts.files, 3);
}

/// A user moves a file of a mirror, and once more, and makes a directory where it was between; the cloud has another file of its first name by then.
/// Tried at every moment of what follows.
#[test]
fn a_directory_in_the_place_that_a_file_was_moved_to_covers_nothing() {
    for moment in 0..40 {
        let mut world = world_with("c=1 k/");
        let c = world.cloud.at("c");
        assert!(world.disk.rename("c", "x"));
        while world.store().item_by_id(FOLDER, &c).unwrap().unwrap().local.is_none() {
            assert!(world.step());
        }
        world.cloud.shift(&c, &elsewhere(), "c");
        world.cloud.add_file(&watched(), "c", 2);
        world.schedule(0, Happening::Late);
        for _ in 0..moment {
            assert!(world.step());
        }
        if world.disk.rename("x", "a") {
            assert!(world.disk.mkdir("x"));
        }
        world.rest();
        assert_eq!(world.disk.tree().get("c"), Some(&Some(2)));
        world.check();
    }
}

/// The configuration is read twice in one step, with patterns and without: what counts is the last one, and the next change is one again.
#[test]
fn patterns_that_are_read_twice_at_once_are_the_last_ones() {
    let mut world = world_with("a=1 x/ x/b=2");
    world.swarm.refilter = true;
    for excluding in [true, false] {
        world.excluding = excluding;
        world.configure();
    }
    ends_as(&mut world, "a=1 x/ x/b=2");
    assert_eq!(world.store().folders().unwrap()[0].counts.files, 2);
    world.excluding = true;
    world.configure();
    ends_as(&mut world, "a=1 x/ x/b=2");
    assert_eq!(world.store().folders().unwrap()[0].counts.files, 1);
}

#[test]
fn equal_local_files_are_adopted_and_others_are_kept() {
    let mut world = World::calm();
    put(&mut world, "a=1 b=2 d/ d/c=3");
    for (path, content) in [("a", 1), ("b", 20), ("own", 30)] {
        world.disk.write(path, content);
    }
    world.disk.mkdir("d");
    world.disk.write("d/c", 3);
    world.start();
    ends_as(&mut world, "a=1 b=2 d/ d/c=3 own=30");
    assert_eq!(world.tally.fetches, 1, "only `b` differs");
    assert!(world.disk.kept().contains(&20));
}

#[test]
fn a_local_folder_that_vanished_is_made_again_with_all_that_was_in_it() {
    let mut world = world_with("d/ d/a=1 d/e/ d/e/b=2");
    world.disk.remove("d");
    put(&mut world, "d/e/new=3");
    ends_as(&mut world, "d/ d/a=1 d/e/ d/e/b=2 d/e/new=3");
}

#[test]
fn a_staged_file_that_vanished_is_fetched_again() {
    let mut world = world_with("");
    world.misfortune = true;
    world.swarm.staged_lost = 1;
    put(&mut world, "a=1");
    while world.tally.deeds == 0 {
        assert!(world.step());
    }
    world.misfortune = false;
    ends_as(&mut world, "a=1");
    assert_eq!(world.tally.fetches, 2);
}

#[test]
fn a_local_file_in_the_way_of_a_folder_goes_to_the_version_store() {
    let mut world = world_with("");
    world.disk.write("d", 30);
    put(&mut world, "d/ d/a=1");
    ends_as(&mut world, "d/ d/a=1");
    assert!(world.disk.kept().contains(&30));
}

#[test]
fn a_local_folder_in_the_way_of_a_file_waits_for_a_person() {
    let mut world = world_with("");
    world.disk.mkdir("a");
    world.disk.write("a/own", 30);
    put(&mut world, "a=1 b=2");
    ends_as(&mut world, "a/ a/own=30 b=2");
    world.disk.rename("a", "mine");
    world.command(Command::RetryProblems { folder: None });
    ends_as(&mut world, "a=1 b=2 mine/ mine/own=30");
    assert_eq!(world.tally.fetches, 3);
}

#[test]
fn a_local_file_in_the_way_of_a_move_goes_to_the_version_store() {
    let mut world = world_with("a=1");
    world.disk.write("b", 30);
    let a = world.cloud.at("a");
    world.cloud.rename(&a, "b");
    ends_as(&mut world, "b=1");
    assert!(world.disk.kept().contains(&30));
}

#[test]
fn a_local_edit_is_displaced_or_kept_as_wished() {
    let mut world = world_with("a=1");
    world.disk.write("a", 30);
    let a = world.cloud.at("a");
    world.cloud.edit(&a, 2);
    ends_as(&mut world, "a=2");
    assert!(world.disk.kept().contains(&30));

    let mut world = world_like(Swarm { keep_drift: true, ..Swarm::calm() }, "a=1 b=2");
    world.disk.write("a", 30);
    world.disk.write("b", 40);
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    world.cloud.edit(&a, 3);
    world.cloud.trash(&b);
    ends_as(&mut world, "a=30 b=40");
    let fetches = world.tally.fetches;
    world.command(Command::RetryProblems { folder: None });
    run_for(&mut world, 60_000);
    assert_eq!(world.tally.fetches, fetches, "nothing is fetched for a file that is kept");
    world.disk.remove("a");
    world.disk.remove("b");
    world.command(Command::RetryProblems { folder: None });
    ends_as(&mut world, "a=3");
}

#[test]
fn a_missing_root_halts_and_deletes_nothing() {
    let mut world = world_with("a=1 b=2");
    world.disk.away = true;
    let a = world.cloud.at("a");
    world.cloud.edit(&a, 3);
    run_for(&mut world, 120_000);
    assert_eq!(world.engine().health().folders[&FOLDER].as_ref().unwrap().name, "root_lost");
    world.disk.away = false;
    ends_as(&mut world, "a=3 b=2");
}

#[test]
fn a_paused_folder_collects_and_does_nothing() {
    let mut world = world_with("a=1");
    world.command(Command::Pause { folder: None });
    put(&mut world, "b=2");
    run_for(&mut world, 60_000);
    assert_eq!(tree(&world), "a=1");
    world.command(Command::Resume { folder: None });
    ends_as(&mut world, "a=1 b=2");
}

#[test]
fn a_crash_at_every_step_of_a_small_history() {
    for crash_at in 1..60 {
        let mut world = World::new(crash_at, Swarm::calm());
        world.misfortune = false;
        put(&mut world, "a=1 b=2 d/ d/c=3");
        world.start();
        let mut changed = false;
        let mut steps = 0;
        while steps < crash_at || world.tally.crashes == 0 {
            steps += 1;
            assert!(world.step());
            if !changed && tree(&world) == "a=1 b=2 d/ d/c=3" {
                changed = true;
                let (a, b, d) = (world.cloud.at("a"), world.cloud.at("b"), world.cloud.at("d"));
                world.cloud.edit(&a, 4);
                world.cloud.rename(&a, "aside");
                world.cloud.rename(&b, "a");
                world.cloud.rename(&a, "b");
                world.cloud.shift(&a, &d, "b");
            }
            if steps == crash_at {
                world.crash();
            }
        }
        if changed {
            ends_as(&mut world, "a=2 d/ d/b=4 d/c=3");
        } else {
            ends_as(&mut world, "a=1 b=2 d/ d/c=3");
        }
    }
}

#[test]
fn the_brake_of_a_restart_is_still_on() {
    let mut world = world_with_a_brake();
    trash_all(&mut world);
    run_for(&mut world, 60_000);
    world.crash();
    run_for(&mut world, 60_000);
    assert_eq!(tree(&world), FIVE);
    let hold = world.open_hold().unwrap();
    world.approved = true;
    world.command(Command::Approve { hold });
    ends_as(&mut world, "");
}
