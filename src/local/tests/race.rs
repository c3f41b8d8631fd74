//! Somebody else acts just before every single change that a deed makes, which is the worst moment: after we looked.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::rig::{ABILITIES, Abilities, Rig, at, brief, lines, parked, publish, relocate, remove};
use crate::deed::{Deed, DeedOrder, DeedResult, Expect, OnEdit};
use crate::id::JobId;
use crate::local::fault::script::{Fault, arm, disarm, meanwhile};

/// What somebody does with `d/f`.
const ACTS: [&str; 6] = ["save", "write into", "remove", "folder instead", "link instead", "move the folder away"];

fn act(root: &Path, what: &str) {
    let file = root.join("d/f");
    let gone = |path: &PathBuf| drop(std::fs::remove_file(path));
    match what {
        "save" => {
            std::fs::write(root.join("d/f.tmp"), "edit").unwrap();
            // A directory may have the name by now; then the edit stays beside it.
            drop(std::fs::rename(root.join("d/f.tmp"), &file));
        }
        "write into" => std::fs::write(&file, "edit").unwrap(),
        "remove" => gone(&file),
        "folder instead" => {
            gone(&file);
            std::fs::create_dir(&file).unwrap();
            std::fs::write(file.join("inside"), "edit").unwrap();
        }
        "link instead" => {
            gone(&file);
            symlink("../../victim", &file).unwrap();
        }
        "move the folder away" => {
            std::fs::rename(root.join("d"), root.join("../away")).unwrap();
            symlink("../away", root.join("d")).unwrap();
        }
        other => panic!("{other}"),
    }
}

type Deeds = (&'static str, fn(&Rig) -> Deed);

const DEEDS: [Deeds; 7] = [
    ("publish new, displace", |rig| publish(rig.stage(9, "new!"), "d/f", Expect::Absent, OnEdit::Displace)),
    ("publish new, keep", |rig| publish(rig.stage(9, "new!"), "d/f", Expect::Absent, OnEdit::Keep)),
    ("replace, displace", |rig| {
        let ours = rig.publish_new(1, "d/f", "old");
        publish(rig.stage(9, "new!"), "d/f", Expect::Ours(ours), OnEdit::Displace)
    }),
    ("replace, keep", |rig| {
        let ours = rig.publish_new(1, "d/f", "old");
        publish(rig.stage(9, "new!"), "d/f", Expect::Ours(ours), OnEdit::Keep)
    }),
    ("remove, displace", |rig| remove("d/f", rig.publish_new(1, "d/f", "old"), OnEdit::Displace)),
    ("remove, keep", |rig| remove("d/f", rig.publish_new(1, "d/f", "old"), OnEdit::Keep)),
    ("relocate", |rig| relocate(at("d/f"), parked(4, ""), rig.publish_new(1, "d/f", "old"), false)),
];

#[test]
fn whatever_somebody_does_meanwhile_no_edit_is_lost_and_nothing_leaves_the_folder() {
    let mut rounds = 0;
    for (name, deed) in DEEDS {
        for abilities in ABILITIES {
            let changes = {
                let (rig, order) = set_up(abilities, deed);
                arm(u64::MAX, Fault::Crash);
                rig.folder.execute(&[order]);
                disarm()
            };
            for what in ACTS {
                // Without the exchange or the refusal to replace, a moment remains that only the kernel could close.
                if abilities == Abilities::None && what != "move the folder away" {
                    continue;
                }
                for step in 0..changes {
                    let (rig, order) = set_up(abilities, deed);
                    let root = rig.root.clone();
                    meanwhile(step, move || act(&root, what));
                    let first = rig.folder.execute(std::slice::from_ref(&order)).remove(0);
                    disarm();
                    let context = format!("{name}, {what} before {step}, {abilities:?}: {first:?}");
                    check(&rig, what, &context);
                    let second = rig.folder.execute(std::slice::from_ref(&order)).remove(0);
                    check(&rig, what, &format!("{context}, then {second:?}"));
                    if what == "move the folder away" {
                        assert!(!matches!(first, DeedResult::Done { .. }), "{context}");
                        assert!(
                            !matches!(second, DeedResult::Done { stamp: Some(_), .. }),
                            "{context}, then {second:?}"
                        );
                    }
                    rounds += 1;
                }
            }
        }
    }
    assert!(rounds > 150, "only {rounds} rounds");
}

fn set_up(abilities: Abilities, deed: fn(&Rig) -> Deed) -> (Rig, DeedOrder) {
    let rig = Rig::in_memory(abilities);
    std::fs::write(rig.root.join("../victim"), "victim").unwrap();
    rig.make_folder("d");
    let deed = deed(&rig);
    (rig, DeedOrder { job: JobId(9), deed })
}

fn check(rig: &Rig, what: &str, context: &str) {
    assert_eq!(std::fs::read_to_string(rig.root.join("../victim")).unwrap(), "victim", "{context}");
    let picture = rig.picture();
    if ["save", "write into", "folder instead"].contains(&what) {
        let kept = picture.iter().any(|(path, content)| content == "=edit" && !path.contains("/staging/"));
        assert!(kept, "{context}\n{}", lines(&picture));
    }
    if what == "link instead" {
        let kept = picture.iter().any(|(path, content)| content == "->../../victim" && !path.contains("/staging/"));
        assert!(kept, "{context}\n{}", lines(&picture));
    }
}

#[test]
fn an_edit_in_the_moment_of_the_removal_is_put_back() {
    let rig = Rig::new();
    let ours = rig.publish_new(1, "f", "old");
    let path = rig.root.clone();
    meanwhile(0, move || std::fs::write(path.join("f"), "edit").unwrap());
    let result = rig.run(9, remove("f", ours, OnEdit::Keep));
    disarm();
    assert_eq!(brief(&result), "edited");
    assert_eq!(lines(&rig.picture()), "f=edit\n");
}

/// The edit that comes in the very moment of the swap is given its name back.
#[test]
fn an_edit_in_the_moment_of_the_swap_is_put_back() {
    let rig = Rig::new();
    let ours = rig.publish_new(1, "f", "old");
    let staged = rig.stage(9, "new!");
    let path = rig.root.clone();
    // The calls of a publish: flush the staged file, swap.
    meanwhile(1, move || std::fs::write(path.join("f"), "edit").unwrap());
    let result = rig.run(9, publish(staged, "f", Expect::Ours(ours), OnEdit::Keep));
    disarm();
    assert_eq!(brief(&result), "edited");
    assert_eq!(lines(&rig.picture()), "OWN/staging/9-*=new!\nf=edit\n");
}
