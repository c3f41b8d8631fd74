//! Whole directories: out of sight only with what is known of them, and their files into the version store, each by itself.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::rig::{ABILITIES, Rig, at, brief, lines, parked};
use crate::deed::{Deed, DeedResult, Holding, Keep, KeepIn};
use crate::id::JobId;
use crate::path::Name;
use crate::tree::Stamp;

/// A directory with a file, and with another one in a directory of its own; what we put there.
fn tree(rig: &Rig) -> [Stamp; 4] {
    let (d, e) = (rig.make_folder("d"), rig.make_folder("d/e"));
    [d, rig.publish_new(1, "d/a", "one"), e, rig.publish_new(2, "d/e/b", "two")]
}

fn holding([_, a, e, b]: [Stamp; 4]) -> Holding {
    let mut holding = Holding::default();
    for (stamp, is_folder) in [(b, false), (a, false), (e, true)] {
        holding.add(stamp.ino, is_folder);
    }
    holding
}

fn hide(stamps: [Stamp; 4]) -> Deed {
    Deed::Relocate {
        from: at("d"),
        to: parked(9, ""),
        expect: stamps[0],
        is_folder: true,
        holds: Some(holding(stamps)),
    }
}

/// Something that somebody does in a directory.
type Meddles = fn(&Rig, &Path);

#[test]
fn a_directory_goes_out_of_sight_only_with_what_is_known_of_it() {
    let table: &[(&str, Meddles)] = &[
        ("a new file", |rig, _| rig.write("d/e/own", "own")),
        ("a new directory", |rig, _| std::fs::create_dir(rig.path("d/e/own")).unwrap()),
        ("a file is gone", |rig, _| std::fs::remove_file(rig.path("d/e/b")).unwrap()),
        ("a file is saved anew", |rig, _| rig.save("d/a", "edited")),
        ("a link", |_, dir| symlink("/", dir.join("link")).unwrap()),
        ("a link for a file", |_, dir| {
            std::fs::remove_file(dir.join("a")).unwrap();
            symlink("/etc/hostname", dir.join("a")).unwrap();
        }),
        ("a file for a directory", |_, dir| {
            std::fs::remove_dir_all(dir.join("e")).unwrap();
            std::fs::write(dir.join("e"), "own").unwrap();
        }),
    ];
    for abilities in ABILITIES {
        for (what, meddle) in table {
            let rig = Rig::with(abilities);
            let stamps = tree(&rig);
            meddle(&rig, &rig.path("d"));
            let before = rig.picture();
            let result = rig.run(9, hide(stamps));
            assert!(brief(&result).ends_with("inside"), "{what}: {result:?}");
            assert_eq!(rig.picture(), before, "{what}");
        }
        let rig = Rig::with(abilities);
        let stamps = tree(&rig);
        assert_eq!(brief(&rig.run(9, hide(stamps))), "done");
        assert_eq!(lines(&rig.picture()), "OWN/parked/9/\nOWN/parked/9/a=one\nOWN/parked/9/e/\nOWN/parked/9/e/b=two\n");
        assert_eq!(brief(&rig.run(9, hide(stamps))), "done", "once more, as after a crash");
    }
}

#[test]
fn files_out_of_sight_are_kept_each_by_itself() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let stamps = tree(&rig);
        assert_eq!(brief(&rig.run(9, hide(stamps))), "done");
        let out_of_sight = rig.path(".folder-sync-agent/parked/9");
        std::fs::write(out_of_sight.join("edited"), "an edit").unwrap();
        std::fs::create_dir(out_of_sight.join("directory")).unwrap();
        let keep =
            |name: &str, expect, job| Keep { name: Name::new(name.as_bytes()).unwrap(), expect, job: JobId(job) };
        let [_, a, _, b] = stamps;
        let dirs = vec![
            KeepIn {
                at: parked(9, ""),
                files: vec![keep("a", a, 21), keep("none", a, 22), keep("edited", a, 23), keep("directory", a, 24)],
                into: None,
            },
            KeepIn { at: parked(9, "e"), files: vec![keep("b", b, 25)], into: None },
            KeepIn { at: parked(9, "f"), files: vec![keep("b", b, 26)], into: None },
        ];
        let kept = "OWN/parked/9/\nOWN/parked/9/directory/\nOWN/parked/9/e/\n\
                    OWN/versions/21=one\nOWN/versions/23=an edit\nOWN/versions/25=two\n";
        for _ in 0..2 {
            let result = rig.run(20, Deed::KeepFiles { dirs: dirs.clone() });
            assert_eq!(brief(&result), "3 of 6 kept, 1 edited");
            assert_eq!(lines(&rig.picture()), kept);
        }
    }
}

#[test]
fn files_out_of_sight_are_kept_together_and_an_edited_one_by_itself() {
    for abilities in ABILITIES {
        let rig = Rig::with(abilities);
        let stamps = tree(&rig);
        let c = rig.publish_new(3, "d/c", "three");
        let mut holds = holding(stamps);
        holds.add(c.ino, false);
        let hide =
            Deed::Relocate { from: at("d"), to: parked(9, ""), expect: stamps[0], is_folder: true, holds: Some(holds) };
        assert_eq!(brief(&rig.run(9, hide)), "done");
        std::fs::write(rig.path(".folder-sync-agent/parked/9/c"), "an edit").unwrap();
        let keep =
            |name: &str, expect, job| Keep { name: Name::new(name.as_bytes()).unwrap(), expect, job: JobId(job) };
        let files = vec![keep("a", stamps[1], 21), keep("none", stamps[1], 22), keep("c", c, 23)];
        let dirs = vec![KeepIn { at: parked(9, ""), files, into: Some(JobId(30)) }];
        let kept = "OWN/parked/9/\nOWN/parked/9/e/\nOWN/parked/9/e/b=two\n\
                    OWN/versions/23=an edit\nOWN/versions/30/\nOWN/versions/30/a=one\n";
        for _ in 0..2 {
            let result = rig.run(20, Deed::KeepFiles { dirs: dirs.clone() });
            assert_eq!(brief(&result), "2 of 3 kept, 1 edited");
            assert_eq!(lines(&rig.picture()), kept);
        }
    }
}

#[test]
fn a_directory_out_of_sight_is_kept_whole_if_it_holds_just_what_is_expected() {
    type Meddle = fn(&std::path::Path);
    let meddlings: [(&str, Meddle); 5] = [
        ("an edit", |dir| std::fs::write(dir.join("b"), "an edit").unwrap()),
        ("another file", |dir| std::fs::write(dir.join("new"), "").unwrap()),
        ("a directory", |dir| std::fs::create_dir(dir.join("new")).unwrap()),
        ("a link", |dir| std::os::unix::fs::symlink("b", dir.join("new")).unwrap()),
        ("a file that is gone", |dir| std::fs::remove_file(dir.join("b")).unwrap()),
    ];
    for abilities in ABILITIES {
        let out_of_sight = || {
            let rig = Rig::with(abilities);
            let stamps = tree(&rig);
            assert_eq!(brief(&rig.run(9, hide(stamps))), "done");
            let mut holds = Holding::default();
            holds.add_content(&stamps[3]);
            (rig, Deed::KeepFolder { at: parked(9, "e"), holds })
        };
        for (what, meddle) in meddlings {
            let (rig, keep) = out_of_sight();
            meddle(&rig.path(".folder-sync-agent/parked/9/e"));
            let before = rig.picture();
            let result = rig.run(21, keep);
            assert!(!matches!(result, DeedResult::Done { .. }), "{what}: {result:?}");
            assert_eq!(rig.picture(), before, "{what}");
        }
        let (rig, keep) = out_of_sight();
        for _ in 0..2 {
            assert_eq!(brief(&rig.run(21, keep.clone())), "done");
            assert_eq!(
                lines(&rig.picture()),
                "OWN/parked/9/\nOWN/parked/9/a=one\nOWN/versions/21/\nOWN/versions/21/b=two\n"
            );
        }
        assert_eq!(brief(&rig.run(22, keep)), "missing");
    }
}

#[test]
fn a_kept_directory_comes_back_if_it_holds_just_what_is_expected_and_its_place_is_free() {
    type Meddle = fn(&std::path::Path, &std::path::Path);
    let meddlings: [(&str, Meddle, &str); 5] = [
        ("an edit", |kept, _| std::fs::write(kept.join("b"), "an edit").unwrap(), "1 inside"),
        ("another file", |kept, _| std::fs::write(kept.join("new"), "").unwrap(), "2 inside"),
        ("a link", |kept, _| std::os::unix::fs::symlink("b", kept.join("new")).unwrap(), "1 inside"),
        ("a directory in its place", |_, at| std::fs::create_dir(at).unwrap(), "occupied by a folder"),
        ("a file in its place", |_, at| std::fs::write(at, "own").unwrap(), "occupied"),
    ];
    for abilities in ABILITIES {
        let kept = || {
            let rig = Rig::with(abilities);
            let stamps = tree(&rig);
            assert_eq!(brief(&rig.run(9, hide(stamps))), "done");
            let mut holds = Holding::default();
            holds.add_content(&stamps[3]);
            assert_eq!(brief(&rig.run(21, Deed::KeepFolder { at: parked(9, "e"), holds })), "done");
            (rig, Deed::RestoreFolder { from: JobId(21), at: at("k"), holds })
        };
        for (what, meddle, outcome) in meddlings {
            let (rig, restore) = kept();
            meddle(&rig.path(".folder-sync-agent/versions/21"), &rig.path("k"));
            let before = rig.picture();
            assert_eq!(brief(&rig.run(22, restore)), outcome, "{what}");
            assert_eq!(rig.picture(), before, "{what}");
        }
        let (rig, restore) = kept();
        for _ in 0..2 {
            assert_eq!(brief(&rig.run(22, restore.clone())), "done");
            assert_eq!(lines(&rig.picture()), "OWN/parked/9/\nOWN/parked/9/a=one\nk/\nk/b=two\n");
        }
        // What was given up cannot come back.
        let (rig, restore) = kept();
        std::fs::remove_dir_all(rig.path(".folder-sync-agent/versions/21")).unwrap();
        assert_eq!(brief(&rig.run(22, restore)), "missing");
    }
}
