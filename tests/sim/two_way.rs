//! Two-way and upload: small stories, and random histories in which both sides change at once.

use folder_sync_agent::command::{Command, Keep};
use folder_sync_agent::engine::Notice;
use folder_sync_agent::id::ItemId;
use folder_sync_agent::local_news::{News, Rescan};
use folder_sync_agent::settings::Mode;
use folder_sync_agent::store::items::SeatRow;

use super::cloud::watched;
use super::stories::{ends_as, world_like};
use super::swarm::Swarm;
use super::world::{FOLDER, Happening, World};

pub fn calm(mode: Mode) -> Swarm {
    Swarm { mode, ..Swarm::calm() }
}

pub fn both(paths: &str) -> World {
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

fn names(world: &World) -> Vec<String> {
    world.disk.tree().into_keys().collect()
}

#[test]
fn edited_on_both_sides_both_are_kept_and_the_cloud_keeps_the_name() {
    let mut world = both("a.txt=1");
    let a = world.cloud.at("a.txt");
    world.cloud.edit(&a, 2);
    world.disk.write("a.txt", 205);
    world.rest();
    world.check();
    let copy = names(&world).into_iter().find(|name| name.contains("conflicted copy sim")).unwrap();
    assert_eq!(world.disk.tree()["a.txt"], Some(2));
    assert_eq!(world.disk.tree()[&copy], Some(205));
    assert!(copy.starts_with("a (conflicted copy sim ") && copy.contains(").txt"), "{copy}");
    assert_eq!(world.cloud.thing(&world.cloud.at(&copy)).content, 205);
    let conflicts = world.store().conflicts(FOLDER).unwrap();
    assert_eq!((conflicts.len(), conflicts[0].path.as_str(), &conflicts[0].kept), (1, "a.txt", &copy));
}

#[test]
fn a_version_of_ours_whose_answer_was_lost_is_recognised_though_the_file_was_edited_again() {
    for paths in [false, true] {
        let mut swarm = calm(Mode::TwoWay);
        swarm.habits.paths = paths;
        let mut world = world_like(swarm, "a=1");
        let fetched = world.tally.fetches;
        world.unheard = 1;
        world.disk.write("a", 205);
        while world.unheard > 0 {
            assert!(world.step());
        }
        world.disk.write("a", 206);
        ends_as(&mut world, "a=206");
        assert_eq!(world.cloud.thing(&world.cloud.at("a")).content, 206);
        assert_eq!(world.tally.fetches, fetched, "our own version is not downloaded");
        assert!(world.store().conflicts(FOLDER).unwrap().is_empty());
    }
}

#[test]
fn equal_content_is_no_conflict() {
    let mut world = both("a=1");
    let a = world.cloud.at("a");
    world.cloud.edit(&a, 9);
    world.disk.write("a", 9);
    world.cloud.add_file(&watched(), "new", 11);
    world.disk.write("new", 11);
    ends_as(&mut world, "a=9 new=11");
    assert_eq!(world.tally.uploads, 0);
    assert!(world.store().conflicts(FOLDER).unwrap().is_empty());
}

#[test]
fn an_edit_beats_a_deletion_whoever_made_it() {
    let mut world = both("a=1 b=2 d/ d/c=3 e/ e/f=4");
    let (a, d) = (world.cloud.at("a"), world.cloud.at("d"));
    world.cloud.trash(&a);
    world.disk.write("a", 207);
    let b = world.cloud.at("b");
    world.disk.remove("b");
    world.cloud.edit(&b, 8);
    world.cloud.trash(&d);
    world.disk.write("d/new", 209);
    let f = world.cloud.at("e/f");
    world.disk.remove("e/");
    world.cloud.edit(&f, 10);
    ends_as(&mut world, "a=207 b=8 d/ d/new=209 e/ e/f=10");
    assert!(world.disk.findable().contains(&3), "what the cloud deleted is in the version store");
}

#[test]
fn a_folder_is_not_let_go_while_something_is_put_into_it() {
    let mut world = world_like(Swarm { exclude: true, deeds_ms: 10_000, ..calm(Mode::TwoWay) }, "d/");
    let d = world.cloud.at("d");
    world.cloud.add_folder(&d, "e");
    while world.store().intents(FOLDER).unwrap().is_empty() {
        assert!(world.step());
    }
    world.cloud.rename(&d, "x1");
    world.rest();
    world.conclude();
    assert_eq!(names(&world), ["d/", "d/e/"]);
    assert_ne!(world.cloud.at("d"), d, "what the disk has under names that are let in goes up");
}

#[test]
fn what_stands_in_the_way_and_is_in_no_books_waits_for_a_person() {
    let mut world = world_like(Swarm { exclude: true, ..calm(Mode::TwoWay) }, "a=1");
    world.disk.mkdir("b");
    world.disk.write("b/x1", 206);
    world.rest();
    world.cloud.add_file(&watched(), "b", 2);
    world.rest();
    assert!(world.tally.fetches < 10, "it is not fetched again and again: {:?}", world.tally);
    world.disk.rename("b", "c");
    ends_as(&mut world, "a=1 b=2 c/ c/x1=206");
}

#[test]
fn what_went_with_a_folder_that_is_back_before_we_hear_of_it_comes_back() {
    let mut world = world_like(Swarm { long_poll: false, ..calm(Mode::TwoWay) }, "d/ d/e/ d/e/a=1");
    let (d, e) = (world.cloud.at("d"), world.cloud.at("d/e"));
    let lists = world.tally.lists;
    world.command(Command::Sync { folder: None, full: true });
    while world.tally.lists < lists + 2 {
        assert!(world.step());
    }
    world.cloud.trash(&d);
    while world.store().item_by_id(FOLDER, &e).unwrap().is_some() {
        assert!(world.step());
    }
    world.cloud.restore(&d, &watched(), "d");
    ends_as(&mut world, "d/ d/e/ d/e/a=1");
}

#[test]
fn a_write_whose_folder_is_gone_for_good_is_forgotten_after_a_crash() {
    let mut world = world_like(Swarm { call_ms: 5_000, ..calm(Mode::TwoWay) }, "a=1 d/");
    let d = world.cloud.at("d");
    world.disk.write("d/new", 201);
    while !world.store().sent_left(FOLDER).unwrap() {
        assert!(world.step());
    }
    world.disk.remove("d");
    world.cloud.trash(&d);
    world.crash();
    while world.store().item_by_id(FOLDER, &d).unwrap().is_some() {
        assert!(world.step());
    }
    assert!(world.store().sent_left(FOLDER).unwrap(), "nobody has asked yet what came of it");
    world.crash();
    ends_as(&mut world, "a=1");
}

#[test]
fn an_edit_that_was_put_out_of_sight_outlives_its_file_in_the_cloud() {
    let mut world = both("a=1");
    let a = world.cloud.at("a");
    let known = |world: &World| world.store().item_by_id(FOLDER, &a).unwrap().unwrap();
    world.disk.write("a", 211);
    while known(&world).local.is_none() {
        assert!(world.step());
    }
    // Before the edit has settled, the name is another file's: the edited one makes room for it, and then it is deleted.
    world.cloud.rename(&a, "b");
    world.cloud.add_file(&watched(), "a", 3);
    world.command(Command::Sync { folder: None, full: false });
    while !matches!(known(&world).synced.unwrap().seat, SeatRow::Parked(_)) {
        assert!(world.step());
    }
    world.cloud.trash(&a);
    world.rest();
    world.check();
    let tree = world.disk.tree();
    assert!(tree["a"] == Some(3) && tree.values().any(|content| *content == Some(211)), "{tree:?}");
}

/// Two folders change names in the cloud, so that one of them is put out of sight for a moment.
pub fn folders_change_names(world: &mut World, ids: &[ItemId; 2]) {
    for (id, name) in ids.iter().zip(["t", "a"]) {
        world.cloud.rename(id, name);
    }
    world.cloud.rename(&ids[0], "b");
    world.command(Command::Sync { folder: None, full: false });
}

/// The one of two folders that is put out of sight goes to the trash, and the disk takes long over what follows.
pub fn trash_what_is_out_of_sight(world: &mut World, ids: &[ItemId; 2]) {
    let parked = put_out_of_sight(world, ids);
    world.cloud.trash(&parked);
}

/// The one of two folders that is put out of sight. The disk takes long over what follows.
pub fn put_out_of_sight(world: &mut World, ids: &[ItemId; 2]) -> ItemId {
    let parked = |world: &World| {
        let is_parked = |id: &&ItemId| {
            let item = world.store().item_by_id(FOLDER, id).unwrap().unwrap();
            matches!(item.synced.unwrap().seat, SeatRow::Parked(_))
        };
        ids.iter().find(is_parked).cloned()
    };
    while parked(world).is_none() {
        assert!(world.step());
    }
    world.swarm.deeds_ms = 30_000;
    parked(world).unwrap()
}

#[test]
fn an_edit_in_a_folder_that_was_put_out_of_sight_outlives_the_folder_in_the_cloud() {
    let kept = Swarm { keep_drift: true, ..calm(Mode::Mirror) };
    for (swarm, depth) in [(calm(Mode::TwoWay), ""), (calm(Mode::TwoWay), "/e"), (kept.clone(), ""), (kept, "/e")] {
        let mut world = world_like(swarm, "a/ a/e/ b/ b/e/");
        let ids = ["a", "b"].map(|name| world.cloud.at(name));
        let files = ["a", "b"].map(|name| {
            let above = world.cloud.at(&format!("{name}{depth}"));
            world.cloud.add_file(&above, "f", 1)
        });
        world.rest();
        let known = |world: &World, id: &ItemId| world.store().item_by_id(FOLDER, id).unwrap().unwrap();
        world.disk.write(&format!("a{depth}/f"), 211);
        world.disk.write(&format!("b{depth}/f"), 212);
        while files.iter().any(|file| known(&world, file).local.is_none()) {
            assert!(world.step());
        }
        // The edits have not settled yet.
        folders_change_names(&mut world, &ids);
        trash_what_is_out_of_sight(&mut world, &ids);
        world.rest();
        let tree = world.disk.tree();
        assert!([211, 212].iter().all(|edit| tree.values().any(|content| *content == Some(*edit))), "{tree:?}");
    }
}

/// `d` becomes `e` in the cloud, a file is put into its place, and a local folder has the name `e`: `d` stays out of sight.
#[test]
fn an_edit_in_a_folder_that_cannot_come_into_sight_waits_with_it() {
    let mut world = world_like(Swarm { keep_drift: true, ..calm(Mode::Mirror) }, "d/ d/f=1");
    let (d, f) = (world.cloud.at("d"), world.cloud.at("d/f"));
    let known = |world: &World| world.store().item_by_id(FOLDER, &f).unwrap().unwrap();
    assert!(world.disk.write("d/f", 211) && world.disk.mkdir("e"));
    while known(&world).local.is_none() {
        assert!(world.step());
    }
    world.cloud.rename(&d, "e");
    world.cloud.add_file(&watched(), "d", 2);
    // Before the edit has settled.
    world.command(Command::Sync { folder: None, full: false });
    world.rest();
    let (code, text) = world.store().work(known(&world).node).unwrap().unwrap().problem.unwrap();
    assert!(code == "above" && text.contains("`e`, which has a problem"), "{code}: {text}");
    assert!(world.disk.remove("e"));
    world.command(Command::RetryProblems { folder: None });
    ends_as(&mut world, "d=2 e/ e/f=211");
}

#[test]
fn what_was_moved_and_put_out_of_sight_goes_with_its_file_in_the_cloud() {
    let mut world = both("a=1");
    let a = world.cloud.at("a");
    let known = |world: &World| world.store().item_by_id(FOLDER, &a).unwrap().unwrap();
    world.disk.rename("a", "ours");
    while known(&world).local.is_none() {
        assert!(world.step());
    }
    world.cloud.rename(&a, "b");
    world.cloud.add_folder(&watched(), "ours");
    world.command(Command::Sync { folder: None, full: false });
    while !matches!(known(&world).synced.unwrap().seat, SeatRow::Parked(_)) {
        assert!(world.step());
    }
    world.cloud.trash(&a);
    ends_as(&mut world, "ours/");
}

#[test]
fn what_was_moved_into_a_folder_that_patterns_keep_out_now_follows_what_the_disk_has() {
    let mut world = world_like(Swarm { exclude: true, ..calm(Mode::TwoWay) }, "a/ a/c/ a/c/f=1 d/ d/own=2");
    let (c, d) = (world.cloud.at("a/c"), world.cloud.at("d"));
    world.disk.rename("a/c", "d/c");
    world.cloud.rename(&d, "x1");
    world.rest();
    world.conclude();
    assert_eq!(names(&world), ["a/", "d/", "d/c/", "d/c/f", "d/own"]);
    assert_eq!(world.cloud.at("d/c"), c, "it moves into the folder that the disk has under that name");
}

#[test]
fn of_two_moves_the_clouds_place_wins_and_a_move_and_an_edit_merge() {
    let mut world = both("a=1 b=2 d/");
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    world.cloud.rename(&a, "theirs");
    world.disk.rename("a", "ours");
    world.cloud.rename(&b, "b2");
    world.disk.write("b", 210);
    ends_as(&mut world, "b2=210 d/ theirs=1");
    assert_eq!(world.cloud.at("b2"), b);
}

#[test]
fn files_and_folders_that_change_names_on_disk_change_them_in_the_cloud() {
    let mut world = both("a/ a/x=1 b/ b/y=2");
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    world.disk.rename("a", "t");
    world.disk.rename("b", "a");
    world.disk.rename("t", "b");
    ends_as(&mut world, "a/ a/y=2 b/ b/x=1");
    assert_eq!((world.cloud.at("a"), world.cloud.at("b")), (b, a));
    assert_eq!(world.tally.uploads, 0);
}

#[test]
fn names_that_differ_only_in_case_are_both_kept() {
    let mut world = both("docs/ docs/a=1 f=2");
    world.disk.write("F", 211);
    world.rest();
    world.check();
    let copy = names(&world).into_iter().find(|name| name.contains("conflicted copy")).unwrap();
    assert_eq!(world.disk.tree()[&copy], Some(211));
}

#[test]
fn an_emptied_folder_is_held_and_comes_back_when_a_person_says_so() {
    let mut world = world_like(Swarm { max_delete: Some(3), ..calm(Mode::TwoWay) }, "a=1 b=2 c=3 d=4 e=5");
    for name in ["a", "b", "c", "d"] {
        world.disk.remove(name);
    }
    while world.open_hold().is_none() {
        assert!(world.step());
    }
    assert!(["a", "b", "c", "d"].iter().all(|name| world.cloud.is_live(&world.cloud.at(name))));
    let hold = world.open_hold().unwrap();
    world.command(Command::Reject { hold });
    ends_as(&mut world, "a=1 b=2 c=3 d=4 e=5");
}

#[test]
fn a_thousand_own_writes_come_back_as_nothing_and_foreign_ones_among_them_pass() {
    let mut world = both("d/ e/");
    let (fetched, files) = (world.tally.fetches, 1_000);
    let e = world.cloud.at("e");
    let mut foreign = Vec::new();
    for number in 0..files {
        assert!(world.disk.write(&format!("d/f{number}"), 10_000 + number));
        if number % 100 == 0 {
            foreign.push(world.cloud.add_file(&e, &format!("theirs{number}"), 20_000 + number));
        }
    }
    world.rest();
    world.check();
    assert_eq!(world.tally.uploads, files, "each goes up once");
    assert_eq!(world.tally.fetches - fetched, foreign.len() as u64, "only the foreign ones come down");
    let own = world.store().reader().accounts().unwrap()[0].counts.own;
    assert_eq!(own, files, "each echo is recognised");
    assert_eq!(world.disk.tree().len(), 2 + files as usize + foreign.len());
}

#[test]
fn what_others_do_to_an_upload_folder_leaves_the_disk_alone() {
    let mut world = world_like(calm(Mode::Upload), "theirs=1");
    world.disk.write("a", 300);
    world.disk.write("b", 301);
    world.rest();
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    world.cloud.edit(&a, 5);
    world.cloud.trash(&b);
    world.rest();
    assert_eq!(world.disk.tree().len(), 2);
    assert_eq!(world.disk.tree()["a"], Some(300));
    assert_eq!(world.tally.fetches, 0);
    // The disk's next word counts.
    world.disk.write("a", 302);
    world.disk.write("b", 303);
    world.rest();
    assert_eq!(world.cloud.thing(&world.cloud.at("a")).content, 302);
    assert_eq!(world.cloud.thing(&world.cloud.at("b")).content, 303);
    world.disk.remove("a");
    world.rest();
    assert!(world.cloud.thing(&a).trashed);
    assert!(world.cloud.is_live(&world.cloud.at("theirs")));
}

#[test]
fn editors_save_dances_are_one_new_version() {
    let mut world = both("a.txt=1");
    let a = world.cloud.at("a.txt");
    // A new file beside it, renamed over it; and the former one kept as a backup.
    world.disk.rename("a.txt", "a.txt~");
    world.disk.write("a.txt", 401);
    world.disk.remove("a.txt~");
    ends_as(&mut world, "a.txt=401");
    assert_eq!((world.cloud.at("a.txt"), world.tally.uploads), (a, 1));
}

#[test]
fn another_mode_shows_its_plan_and_waits() {
    let mut world = world_like(Swarm::calm(), "a=1 b=2");
    world.disk.write("own", 500);
    world.swarm.mode = Mode::TwoWay;
    world.configure();
    while world.store().open_hold(FOLDER, "mode_changed").unwrap().is_none() {
        assert!(world.step());
    }
    for _ in 0..200 {
        world.step();
    }
    assert_eq!((world.tally.writes, world.disk.tree().len()), (0, 3));
    let planned = world.store().reader().planned(FOLDER).unwrap();
    assert_eq!(planned.len(), 1, "what only the disk has would go up: {planned:?}");
    let hold = world.store().open_hold(FOLDER, "mode_changed").unwrap().unwrap();
    world.command(Command::Approve { hold });
    ends_as(&mut world, "a=1 b=2 own=500");
    assert_eq!(world.tally.uploads, 1);
}

#[test]
fn a_person_decides_a_conflict() {
    for (keep, left) in [(Keep::Local, 205), (Keep::Remote, 2)] {
        let mut world = both("a=1");
        let a = world.cloud.at("a");
        world.cloud.edit(&a, 2);
        world.disk.write("a", 205);
        world.rest();
        world.command(Command::Resolve { path: Some("a".into()), folder: None, keep });
        ends_as(&mut world, &format!("a={left}"));
        assert_eq!((world.cloud.at("a"), world.cloud.thing(&a).content), (a, left));
        assert!(world.store().conflicts(FOLDER).unwrap().is_empty());
        assert!(world.disk.findable().contains(&if left == 2 { 205 } else { 2 }), "what went is kept");
    }
}

#[test]
fn what_is_edited_after_a_person_decided_is_kept_and_decided_again() {
    for (keep, edits_copy) in [(Keep::Local, false), (Keep::Remote, true), (Keep::Local, true), (Keep::Remote, false)] {
        // The edit is met by the deed, or by a scan that was under way when the person decided.
        for scanned in [false, true] {
            let mut world = both("a=1");
            let a = world.cloud.at("a");
            world.cloud.edit(&a, 2);
            world.disk.write("a", 205);
            world.rest();
            let copy = world.store().conflicts(FOLDER).unwrap()[0].kept.clone();
            let edited = if edits_copy { copy } else { "a".to_owned() };
            world.disk.hints.clear();
            if scanned {
                world.schedule(0, Happening::Hints(News::Rescan(Rescan::Overflow)));
                while world.engine().jobs_under_way() < 2 {
                    assert!(world.step());
                }
            }
            world.command(Command::Resolve { path: Some("a".into()), folder: None, keep });
            world.disk.write(&edited, 206);
            world.disk.hints.clear();
            world.schedule(5_000, Happening::Hints(News::Rescan(Rescan::Overflow)));
            world.rest();
            let why = format!("{keep:?} {edited} {scanned}");
            let (disk, cloud) = (world.disk.tree(), world.cloud.tree());
            assert!(disk.values().any(|content| *content == Some(206)), "{why}: {disk:?}");
            assert!(cloud.values().any(|id| world.cloud.thing(id).content == 206), "{why}");
            // What stays may be edited as anybody likes; what was to go is not what the person saw.
            let stays = edits_copy == (keep == Keep::Local);
            let conflicts = world.store().conflicts(FOLDER).unwrap();
            assert_eq!((conflicts.len(), disk.len()), if stays { (0, 1) } else { (1, 2) }, "{why}: {disk:?}");
            assert!(conflicts.iter().all(|conflict| conflict.decision.is_none()), "{why}: {conflicts:?}");
            let said =
                |notice: &Notice| matches!(notice, Notice::Outcome { what, .. } if what.contains("decide again"));
            assert_eq!(world.notices.iter().any(said), !stays, "{why}");
        }
    }
}

#[test]
fn a_folder_that_holds_only_what_patterns_keep_out_is_no_folder_for_the_cloud() {
    let mut world = world_like(Swarm { exclude: true, ..calm(Mode::TwoWay) }, "d/ d/a=1");
    let d = world.cloud.at("d");
    world.disk.write("d/x1", 501);
    world.rest();
    world.cloud.trash(&d);
    world.rest();
    // A scan of everything meets it again, with the one that only the disk has and one beside it that is like it.
    assert!(world.disk.mkdir("e") && world.disk.mkdir("e/f") && world.disk.write("e/f/x2", 502));
    assert!(world.disk.mkdir("empty"));
    world.command(Command::Sync { folder: None, full: true });
    world.rest();
    assert_eq!(world.cloud.tree().into_keys().collect::<Vec<_>>(), ["empty/"]);
    assert_eq!(world.disk.tree()["d/x1"], Some(501));
    // As soon as something is in it that is for the cloud, it is too.
    assert!(world.disk.write("e/f/g", 503));
    world.rest();
    assert_eq!(world.cloud.tree().into_keys().collect::<Vec<_>>(), ["e/", "e/f/", "e/f/g", "empty/"]);
}

#[test]
fn a_folder_that_moved_and_is_gone_from_the_cloud_stays_with_what_patterns_keep_out() {
    for to in ["e", "x2"] {
        let mut world = world_like(Swarm { exclude: true, ..calm(Mode::TwoWay) }, "d/ d/a=1");
        let d = world.cloud.at("d");
        world.disk.write("d/x1", 501);
        world.rest();
        world.disk.rename("d", to);
        while world.store().item_by_id(FOLDER, &d).unwrap().unwrap().local.is_none() {
            assert!(world.step());
        }
        world.cloud.trash(&d);
        world.rest();
        world.check();
        assert_eq!(names(&world), [format!("{to}/"), format!("{to}/x1")]);
        assert!(world.cloud.tree().is_empty(), "it holds nothing for the cloud: {:?}", world.cloud.tree());
        assert_eq!(world.tally.writes, 0, "nothing is tried again and again");
    }
}

#[test]
fn however_slow_the_disk_is_what_holds_only_what_patterns_keep_out_is_no_folder_for_the_cloud() {
    let mut world = world_like(Swarm { exclude: true, deeds_ms: 20_000, ..calm(Mode::TwoWay) }, "");
    assert!(world.disk.mkdir("e") && world.disk.mkdir("e/f") && world.disk.mkdir("e/f/g"));
    assert!(world.disk.write("e/f/g/x2", 502));
    world.rest();
    assert_eq!(world.tally.writes, 0);
}

#[test]
fn a_file_moved_to_a_name_that_a_pattern_keeps_out_and_the_cloud_has_gets_another_one() {
    let mut world = world_like(Swarm { exclude: true, ..calm(Mode::TwoWay) }, "a=1 x1=2");
    let a = world.cloud.at("a");
    world.disk.rename("a", "x1");
    world.rest();
    assert!(world.cloud.thing(&a).name.starts_with("x1 (conflicted copy"), "{}", world.cloud.thing(&a).name);
}

#[test]
fn a_file_that_is_renamed_while_it_goes_up_goes_up_once() {
    let mut world = world_like(Swarm { call_ms: 60_000, ..calm(Mode::TwoWay) }, "d/");
    world.disk.write("a", 201);
    while world.tally.uploads == 0 {
        assert!(world.step());
    }
    world.disk.rename("a", "d/b");
    ends_as(&mut world, "d/ d/b=201");
    assert_eq!(world.tally.uploads, 1);
}

#[test]
fn a_new_name_that_something_hidden_has_is_tried_a_few_times_and_given_up() {
    let mut world = both("a=1 x=2");
    let (a, x) = (world.cloud.at("a"), world.cloud.at("x"));
    world.cloud.hide(&a);
    world.rest();
    let before = world.tally.writes;
    world.disk.rename("x", "a");
    world.rest();
    assert!(world.cloud.thing(&x).name.starts_with("a (conflicted copy"), "{}", world.cloud.thing(&x).name);
    assert!((2..=6).contains(&(world.tally.writes - before)), "{} tries", world.tally.writes - before);
}
