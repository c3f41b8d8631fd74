//! Every deed in every situation: its result, the tree afterwards, and the same again when it is carried out twice.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};

use sha1::{Digest as _, Sha1};

use super::rig::{
    ABILITIES, Rig, SITUATIONS, at, brief, lines, mode, parked, publish, relocate, remove, set_up, stamp,
};
use crate::deed::{Deed, DeedOrder, DeedResult, DiskErrorKind, Expect, OnEdit};
use crate::id::{ContentHash, JobId};
use crate::local::hash::hex;
use crate::tree::{Stamp, Wall};

/// A result without the status change time: what a deed finds done already may have been changed since, so that it does not vouch for it.
fn untimed(mut result: DeedResult) -> DeedResult {
    if let DeedResult::Done { stamp: Some(stamp), .. } = &mut result {
        stamp.ctime_ns = 0;
    }
    result
}

/// Carries a deed out twice: the second time must say the same and change nothing.
fn twice(rig: &Rig, job: i64, deed: &Deed) -> DeedResult {
    let first = rig.run(job, deed.clone());
    let picture = rig.picture();
    let second = rig.run(job, deed.clone());
    assert_eq!(untimed(second), untimed(first.clone()), "{deed:?}");
    assert_eq!(rig.picture(), picture, "{deed:?}");
    first
}

/// Draws a deed's result and tree in every situation, and checks that the disk's abilities make no difference.
fn draw(deed: impl Fn(&Rig, Option<Stamp>, OnEdit) -> Deed) -> String {
    let pictures = ABILITIES.map(|abilities| {
        let mut text = String::new();
        for situation in SITUATIONS {
            let mut seen = Vec::new();
            for on_edit in [OnEdit::Displace, OnEdit::Keep] {
                let rig = Rig::with(abilities);
                let ours = set_up(&rig, situation);
                let contents = rig.contents();
                let deed = deed(&rig, ours, on_edit);
                let result = twice(&rig, 9, &deed);
                let kept = rig.contents();
                assert!(contents.iter().all(|content| kept.contains(content)), "{situation}: {kept:?}");
                if situation == "link out" {
                    let victim = rig.root.parent().unwrap().join("victim");
                    assert_eq!(std::fs::read_to_string(victim).unwrap(), "victim");
                }
                if let DeedResult::Done { stamp: Some(stamp), .. } = &result {
                    assert_eq!(*stamp, rig.stamp("f"), "{situation}");
                }
                let picture = lines(&rig.picture()).replace('\n', " ");
                seen.push(format!("{} => {picture}", brief(&result)).trim_end().to_owned());
            }
            writeln!(text, "{situation}").unwrap();
            match &seen[..] {
                [displace, keep] if displace == keep => writeln!(text, "  {displace}").unwrap(),
                [displace, keep] => writeln!(text, "  displace: {displace}\n  keep: {keep}").unwrap(),
                _ => unreachable!(),
            }
        }
        text
    });
    assert_eq!(pictures[0], pictures[1], "the disk's abilities made a difference");
    pictures[0].clone()
}

#[test]
fn publish_in_every_situation() {
    let table = draw(|rig, ours, on_edit| {
        publish(rig.stage(9, "new!"), "f", ours.map_or(Expect::Absent, Expect::Ours), on_edit)
    });
    insta::assert_snapshot!(table, @r#"
    nothing
      done => f=new!
    ours
      done, displaced => OWN/versions/9=old f=new!
    ours, permissions changed
      done, displaced => OWN/versions/9=old f=new!
    ours, written into
      displace: done, an edit displaced => OWN/versions/9=edit f=new!
      keep: edited => OWN/staging/9-*=new! f=edit
    ours, saved over
      displace: done, an edit displaced => OWN/versions/9=edit f=new!
      keep: edited => OWN/staging/9-*=new! f=edit
    ours, removed
      done => f=new!
    ours, now with the staged content
      done => f=new!
    foreign
      displace: done, an edit displaced => OWN/versions/9=theirs f=new!
      keep: edited => OWN/staging/9-*=new! f=theirs
    foreign, with the staged content
      done => f=new!
    link out
      displace: done, an edit displaced => OWN/versions/9->../victim f=new!
      keep: edited => OWN/staging/9-*=new! f->../victim
    dangling link
      displace: done, an edit displaced => OWN/versions/9->nowhere f=new!
      keep: edited => OWN/staging/9-*=new! f->nowhere
    pipe
      displace: done, an edit displaced => OWN/versions/9pipe f=new!
      keep: edited => OWN/staging/9-*=new! fpipe
    directory
      occupied by a folder => OWN/staging/9-*=new! f/ f/inside=theirs
    "#);
}

#[test]
fn remove_in_every_situation() {
    let table = draw(|_, ours, on_edit| {
        let stamp = ours.unwrap_or(Stamp { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 });
        remove("f", stamp, on_edit)
    });
    insta::assert_snapshot!(table, @r#"
    nothing
      missing =>
    ours
      done, displaced => OWN/versions/9=old
    ours, permissions changed
      done, displaced => OWN/versions/9=old
    ours, written into
      displace: done, an edit displaced => OWN/versions/9=edit
      keep: edited => f=edit
    ours, saved over
      displace: done, an edit displaced => OWN/versions/9=edit
      keep: edited => f=edit
    ours, removed
      missing =>
    ours, now with the staged content
      displace: done, an edit displaced => OWN/versions/9=new!
      keep: edited => f=new!
    foreign
      displace: done, an edit displaced => OWN/versions/9=theirs
      keep: edited => f=theirs
    foreign, with the staged content
      displace: done, an edit displaced => OWN/versions/9=new!
      keep: edited => f=new!
    link out
      displace: done, an edit displaced => OWN/versions/9->../victim
      keep: edited => f->../victim
    dangling link
      displace: done, an edit displaced => OWN/versions/9->nowhere
      keep: edited => f->nowhere
    pipe
      displace: done, an edit displaced => OWN/versions/9pipe
      keep: edited => fpipe
    directory
      missing => f/ f/inside=theirs
    "#);
}

fn kind(result: &DeedResult) -> Option<DiskErrorKind> {
    match result {
        DeedResult::Failed(why) => Some(why.kind),
        _ => None,
    }
}

/// The ways in which the directory of a place can be missing or somewhere else.
#[test]
fn deeds_below_what_is_no_directory() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let outside = rig.root.parent().unwrap().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("f"), "victim").unwrap();
        symlink(&outside, rig.path("link")).unwrap();
        rig.write("file", "theirs");
        rig.write("real/sub/f", "victim");
        symlink("real", rig.path("link-inside")).unwrap();
        let ours = rig.publish_new(1, "g", "old");
        let before = rig.picture();
        let hash = ContentHash::Sha1(hex(&Sha1::digest("victim")));
        for (below, appear, vanish) in [
            ("nothing", Some(DiskErrorKind::ParentMissing), None),
            ("nothing/at/all", Some(DiskErrorKind::ParentMissing), None),
            ("link", Some(DiskErrorKind::UnsafePath), Some(DiskErrorKind::UnsafePath)),
            ("link-inside/sub", Some(DiskErrorKind::UnsafePath), Some(DiskErrorKind::UnsafePath)),
            ("link-inside", Some(DiskErrorKind::UnsafePath), Some(DiskErrorKind::UnsafePath)),
            ("link/deeper", Some(DiskErrorKind::UnsafePath), Some(DiskErrorKind::UnsafePath)),
            ("file", Some(DiskErrorKind::UnsafePath), Some(DiskErrorKind::UnsafePath)),
        ] {
            let place = at(&format!("{below}/f"));
            let staged = rig.stage(2, "new!");
            let put =
                |on_edit| Deed::Publish { staged: staged.clone(), at: place.clone(), expect: Expect::Absent, on_edit };
            for deed in [
                Deed::MakeFolder { at: place.clone() },
                put(OnEdit::Displace),
                put(OnEdit::Keep),
                relocate(at("g"), place.clone(), ours, false),
            ] {
                assert_eq!(kind(&twice(&rig, 2, &deed)), appear, "{deed:?}");
            }
            for deed in [
                Deed::RemoveFolder { at: place.clone() },
                Deed::RemoveFile { at: place.clone(), expect: ours, on_edit: OnEdit::Displace },
                Deed::Adopt { at: place.clone(), size: Some(6), hash: hash.clone(), modified: None },
                relocate(place.clone(), at("h"), ours, false),
            ] {
                let result = twice(&rig, 2, &deed);
                assert_eq!(kind(&result), vanish, "{deed:?}");
                assert!(vanish.is_some() || result == DeedResult::Missing, "{deed:?}");
            }
            rig.folder.discard_staged(&staged).unwrap();
            assert_eq!(rig.picture(), before, "{below}");
        }
        assert_eq!(std::fs::read_to_string(outside.join("f")).unwrap(), "victim");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    }
}

#[test]
fn the_root_itself_is_not_ours_to_change() {
    let rig = Rig::new();
    let root = at("");
    assert_eq!(brief(&rig.run(1, Deed::MakeFolder { at: root.clone() })), "done");
    for deed in [
        Deed::RemoveFolder { at: root.clone() },
        Deed::RemoveFile { at: root.clone(), expect: rig.folder.identity(), on_edit: OnEdit::Displace },
        Deed::Publish {
            staged: rig.stage(1, "x"),
            at: root.clone(),
            expect: Expect::Absent,
            on_edit: OnEdit::Displace,
        },
        relocate(root.clone(), at("a"), rig.folder.identity(), true),
    ] {
        assert_eq!(kind(&rig.run(1, deed)), Some(DiskErrorKind::Item));
    }
    assert!(rig.visible().is_empty());
}

#[test]
fn folders_are_made_once_and_removed_when_empty() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let make = |path: &str| Deed::MakeFolder { at: at(path) };
        assert_eq!(brief(&twice(&rig, 1, &make("a"))), "done");
        assert_eq!(mode(&rig.path("a")), 0o750);
        let results =
            rig.folder.execute(&["b", "b/c", "b/c/d"].map(|path| DeedOrder { job: JobId(2), deed: make(path) }));
        assert_eq!(results.iter().map(brief).collect::<Vec<_>>(), ["done"; 3]);
        rig.write("file", "theirs");
        symlink("a", rig.path("link")).unwrap();
        assert_eq!(brief(&twice(&rig, 3, &make("file"))), "occupied");
        assert_eq!(brief(&twice(&rig, 3, &make("link"))), "occupied");
        rig.write("b/theirs", "theirs");
        rig.write("b/.hidden", "theirs");
        let remove = |path: &str| Deed::RemoveFolder { at: at(path) };
        assert_eq!(brief(&twice(&rig, 4, &remove("b"))), "3 inside");
        for (path, first) in [("a", "done"), ("file", "missing"), ("link", "missing"), ("none", "missing")] {
            assert_eq!(brief(&rig.run(5, remove(path))), first, "{path}");
            assert_eq!(brief(&rig.run(5, remove(path))), "missing", "{path}");
        }
        assert_eq!(
            lines(&rig.visible()),
            "b/\nb/.hidden=theirs\nb/c/\nb/c/d/\nb/theirs=theirs\nfile=theirs\nlink->a\n"
        );
    }
}

#[test]
fn files_and_folders_move() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        rig.publish_new(1, "f", "old");
        let dir = rig.make_folder("d");
        rig.publish_new(2, "d/inside", "inside");
        let moves = [
            ("f", at("d/g"), false, "d/g"),
            ("d/g", at("名"), false, "名"),
            ("名", at("名"), false, "名"),
            ("d", at("e"), true, "e"),
            ("e", parked(77, ""), true, ".folder-sync-agent/parked/77"),
        ];
        for (from, to, is_folder, path) in &moves {
            let result = twice(&rig, 3, &relocate(at(from), to.clone(), rig.stamp(from), *is_folder));
            assert_eq!(result, DeedResult::Done { stamp: Some(rig.stamp(path)), displaced: None }, "{path}");
        }
        let parked_dir = ".folder-sync-agent/parked/77";
        let inside = rig.stamp(&format!("{parked_dir}/inside"));
        let deeper = relocate(parked(77, "inside"), parked(77, "moved"), inside, false);
        assert_eq!(brief(&twice(&rig, 4, &deeper)), "done");
        let staged = rig.stage(5, "late");
        let late = Deed::Publish { staged, at: parked(77, "late"), expect: Expect::Absent, on_edit: OnEdit::Keep };
        assert_eq!(brief(&twice(&rig, 5, &late)), "done");
        let back = relocate(parked(77, ""), at("back"), dir, true);
        assert_eq!(brief(&twice(&rig, 6, &back)), "done");
        assert_eq!(lines(&rig.picture()), "back/\nback/late=late\nback/moved=inside\n名=old\n");
    }
}

#[test]
fn what_happened_unseen_to_a_file_that_moves_is_not_vouched_for() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let ours = rig.publish_new(1, "f", "old");
        let modified = std::fs::metadata(rig.path("f")).unwrap().modified().unwrap();
        // The same length and modification time, before our own rename moves the status change time as well.
        std::fs::write(rig.path("f"), "odd").unwrap();
        std::fs::File::options().append(true).open(rig.path("f")).unwrap().set_modified(modified).unwrap();
        let result = twice(&rig, 2, &relocate(at("f"), at("g"), ours, false));
        assert_eq!(result, DeedResult::Done { stamp: Some(ours), displaced: None });
        assert_ne!(ours.ctime_ns, rig.stamp("g").ctime_ns, "the next look at the disk finds it");
    }
}

#[test]
fn two_files_swap_names_through_the_parking_place() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let (a, b) = (rig.publish_new(1, "a", "A"), rig.publish_new(2, "b", "B"));
        let orders = [
            relocate(at("a"), parked(3, ""), a, false),
            relocate(at("b"), at("a"), b, false),
            relocate(parked(3, ""), at("b"), a, false),
        ]
        .map(|deed| DeedOrder { job: JobId(3), deed });
        assert!(rig.folder.execute(&orders).iter().all(|result| brief(result) == "done"));
        assert_eq!(lines(&rig.picture()), "a=B\nb=A\n");
    }
}

#[test]
fn a_move_takes_only_what_is_ours_and_only_to_a_free_name() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let ours = rig.publish_new(1, "f", "old");
        rig.write("file", "theirs");
        rig.write("dir/x", "theirs");
        symlink("nowhere", rig.path("link")).unwrap();
        let to = |name: &str| relocate(at("f"), at(name), ours, false);
        assert_eq!(brief(&twice(&rig, 2, &to("file"))), "occupied");
        assert_eq!(brief(&twice(&rig, 2, &to("link"))), "occupied");
        assert_eq!(brief(&twice(&rig, 2, &to("dir"))), "occupied by a folder");
        assert_eq!(
            kind(&twice(&rig, 2, &relocate(at("dir"), at("dir/in"), rig.stamp("dir"), true))),
            Some(DiskErrorKind::Item)
        );

        // An edit goes along, and the stamp that is reported still lets it be found.
        rig.write("f", "edit");
        assert_eq!(twice(&rig, 3, &to("g")), DeedResult::Done { stamp: Some(ours), displaced: None });
        assert_ne!(ours.size, rig.stamp("g").size);

        // What is not ours stays: another file, a directory, nothing.
        for foreign in ["file", "dir", "none"] {
            assert_eq!(brief(&twice(&rig, 4, &relocate(at(foreign), at("h"), ours, false))), "missing", "{foreign}");
        }
        assert_eq!(brief(&twice(&rig, 4, &relocate(at("dir"), at("h"), ours, true))), "missing");
        assert_eq!(lines(&rig.visible()), "dir/\ndir/x=theirs\nfile=theirs\ng=edit\nlink->nowhere\n");
    }
}

#[test]
fn files_are_adopted_by_content() {
    let sha1 = |text: &str| ContentHash::Sha1(hex(&Sha1::digest(text)));
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        rig.write("f", "content");
        rig.write("dir/x", "");
        symlink("f", rig.path("link")).unwrap();
        let adopt = |path: &str, size, hash| {
            let modified = Some(Wall(-86_400_000 * 365 * 5));
            twice(&rig, 1, &Deed::Adopt { at: at(path), size, hash, modified })
        };
        for (path, size, hash, expected) in [
            ("f", Some(7), sha1("other"), "different"),
            ("f", Some(8), sha1("content"), "different"),
            ("f", Some(7), ContentHash::Unknown("9-x".into()), "different"),
            ("dir", Some(7), sha1("content"), "occupied by a folder"),
            ("link", Some(7), sha1("content"), "different"),
            ("none", Some(7), sha1("content"), "missing"),
        ] {
            assert_eq!(brief(&adopt(path, size, hash)), expected, "{path}");
        }
        let ino = rig.stamp("f").ino;
        let result = adopt("f", None, sha1("content"));
        let sha256 = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73".parse().unwrap();
        assert_eq!(result, DeedResult::Adopted { stamp: rig.stamp("f"), sha256 });
        assert_eq!(rig.stamp("f").ino, ino);
        assert_eq!(rig.stamp("f").mtime_ns, -157_680_000_000_000_000);
    }
}

#[test]
fn a_staged_file_that_is_lost_or_changed_is_fetched_again() {
    for abilities in ABILITIES {
        for (damage, expected) in [
            ("none", "done"),
            ("removed", "staged lost"),
            ("other content", "staged lost"),
            ("same content written again", "done"),
            ("permissions changed", "done"),
            ("time changed", "done"),
            ("another file in its place", "staged lost"),
            ("another name for it", "staged lost"),
            ("a link in its place", "staged lost"),
        ] {
            let rig = Rig::with(abilities);
            rig.write("f", "theirs");
            let staged = rig.stage(1, "new!");
            let path = rig.folder.staged_path(&staged.name);
            match damage {
                "none" => {}
                "removed" => std::fs::remove_file(&path).unwrap(),
                "other content" => std::fs::write(&path, "bad!").unwrap(),
                "same content written again" => std::fs::write(&path, "new!").unwrap(),
                "permissions changed" => {
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4777)).unwrap();
                }
                "time changed" => std::fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap(),
                "another file in its place" => {
                    std::fs::write(rig.path("x"), "new!").unwrap();
                    std::fs::rename(rig.path("x"), &path).unwrap();
                }
                "another name for it" => std::fs::hard_link(&path, rig.path("x")).unwrap(),
                "a link in its place" => {
                    std::fs::remove_file(&path).unwrap();
                    symlink("../../f", &path).unwrap();
                }
                other => panic!("{other}"),
            }
            let result = rig.run(1, publish(staged.clone(), "f", Expect::Absent, OnEdit::Displace));
            assert_eq!(brief(&result).split(',').next(), Some(expected), "{damage}");
            if expected == "done" {
                assert_eq!(std::fs::read_to_string(rig.path("f")).unwrap(), "new!", "{damage}");
                assert_eq!(mode(&rig.path("f")), 0o640, "{damage}");
                assert_eq!(rig.stamp("f").mtime_ns, staged.stamp.mtime_ns, "{damage}");
            } else {
                assert_eq!(std::fs::read_to_string(rig.path("f")).unwrap(), "theirs", "{damage}");
                assert!(path.symlink_metadata().is_err(), "{damage}: it must not stay");
            }
        }
    }
}

/// Whatever somebody did between a crash and the second try, nothing of it is lost, and it is not taken for ours.
#[test]
fn edits_between_a_crash_and_the_second_try_are_kept() {
    for (situation, expected, picture) in [
        ("written into", "staged lost", "OWN/versions/9=old f=edit"),
        ("saved over", "staged lost", "OWN/versions/9=old f=edit"),
        ("removed", "staged lost", "OWN/versions/9=old"),
        ("saved over with the same", "done, displaced", "OWN/versions/9=old f=new!"),
    ] {
        for abilities in ABILITIES {
            let rig = Rig::with(abilities);
            let ours = rig.publish_new(1, "f", "old");
            let deed = publish(rig.stage(9, "new!"), "f", Expect::Ours(ours), OnEdit::Displace);
            assert_eq!(brief(&rig.run(9, deed.clone())), "done, displaced");
            match situation {
                "written into" => rig.write("f", "edit"),
                "saved over" => rig.save("f", "edit"),
                "removed" => std::fs::remove_file(rig.path("f")).unwrap(),
                _ => rig.save("f", "new!"),
            }
            assert_eq!(brief(&twice(&rig, 9, &deed)), expected, "{situation}");
            assert_eq!(lines(&rig.picture()).trim_end().replace('\n', " "), picture, "{situation}");
        }
    }
}

#[test]
fn a_removed_file_that_was_made_again_stays() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let ours = rig.publish_new(1, "f", "old");
        let deed = remove("f", ours, OnEdit::Displace);
        assert_eq!(brief(&rig.run(9, deed.clone())), "done, displaced");
        rig.write("f", "again");
        assert_eq!(brief(&twice(&rig, 9, &deed)), "done, displaced");
        assert_eq!(lines(&rig.picture()), "OWN/versions/9=old\nf=again\n");
    }
}

#[test]
fn a_batch_is_carried_out_in_its_order() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let mut orders = vec![Deed::MakeFolder { at: at("d") }];
        for n in 0..40 {
            orders.push(publish(rig.stage(100 + n, &format!("{n}")), &format!("d/{n}"), Expect::Absent, OnEdit::Keep));
        }
        for n in 0..20 {
            orders.push(Deed::MakeFolder { at: at(&format!("e{n}")) });
        }
        let orders: Vec<_> =
            orders.into_iter().zip(100..).map(|(deed, job)| DeedOrder { job: JobId(job), deed }).collect();
        let results = rig.folder.execute(&orders);
        assert!(results.iter().all(|result| brief(result) == "done"), "{results:?}");
        assert!(rig.folder.execute(&orders).iter().all(|result| brief(result) == "done"));
        let dir = stamp(&rig.path("d"));
        let more = [
            relocate(at("d"), at("moved"), dir, true),
            publish(rig.stage(300, "late"), "moved/late", Expect::Absent, OnEdit::Keep),
            publish(rig.stage(301, "gone"), "d/late", Expect::Absent, OnEdit::Keep),
            Deed::MakeFolder { at: at("d") },
            publish(rig.stage(302, "new"), "d/late", Expect::Absent, OnEdit::Keep),
            Deed::RemoveFolder { at: at("e0") },
            publish(rig.stage(303, "none"), "e0/late", Expect::Absent, OnEdit::Keep),
        ];
        let more: Vec<_> = more.into_iter().zip(300..).map(|(deed, job)| DeedOrder { job: JobId(job), deed }).collect();
        let results = rig.folder.execute(&more);
        let results: Vec<_> = results.iter().map(brief).collect();
        let parent = "failed: ParentMissing";
        assert_eq!(results, ["done", "done", parent, "done", "done", "done", parent]);
        assert_eq!(rig.visible().len(), 1 + 41 + 2 + 19);
    }
}

#[test]
fn old_and_late_times_are_set_or_clamped_but_never_refused() {
    let rig = Rig::new();
    for (job, ms) in [(1, i64::MIN), (2, -62_135_596_800_000), (3, -1), (4, 0), (5, 4_102_444_800_123), (6, i64::MAX)] {
        let order = crate::local::StageOrder { job: JobId(job), size: None, hash: None, modified: Some(Wall(ms)) };
        let staged = rig.folder.stage_small(&order, &[]).unwrap();
        let name = format!("f{job}");
        assert_eq!(brief(&twice(&rig, job, &publish(staged.clone(), &name, Expect::Absent, OnEdit::Keep))), "done");
        assert_eq!(rig.stamp(&name).mtime_ns, staged.stamp.mtime_ns);
        if (3..6).contains(&job) {
            assert_eq!(staged.stamp.mtime_ns, ms * 1_000_000);
        }
    }
}
