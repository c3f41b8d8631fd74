//! A crash, or a refusal, before every single change that a deed makes: carrying it out again must end where it would have
//! ended, and nobody may see anything but whole contents in between.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;

use super::rig::{ABILITIES, Abilities, Rig, SITUATIONS, at, brief, lines, parked, publish, relocate, remove, set_up};
use crate::deed::{Deed, DeedOrder, DeedResult, Expect, OnEdit};
use crate::id::{ContentHash, JobId};
use crate::local::fault::script::{Fault, arm, disarm};
use crate::local::hash::hex;
use crate::tree::Stamp;

/// Everything that any scenario writes: what is visible is one of these, whole.
const CONTENTS: [&str; 7] = ["old", "new!", "edit", "theirs", "A", "B", "C"];

type Scenario = (String, Box<dyn Fn(Abilities) -> (Rig, Vec<DeedOrder>)>);

fn orders(deeds: Vec<Deed>) -> Vec<DeedOrder> {
    deeds.into_iter().zip(9..).map(|(deed, job)| DeedOrder { job: JobId(job), deed }).collect()
}

fn scenarios() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = Vec::new();
    for situation in SITUATIONS {
        for on_edit in [OnEdit::Displace, OnEdit::Keep] {
            let publishing = move |abilities| {
                let rig = Rig::in_memory(abilities);
                let ours = set_up(&rig, situation);
                let expect = ours.map_or(Expect::Absent, Expect::Ours);
                let deed = publish(rig.stage(9, "new!"), "f", expect, on_edit);
                (rig, orders(vec![deed]))
            };
            all.push((format!("publish on {situation}, {on_edit:?}"), Box::new(publishing)));
            let removing = move |abilities| {
                let rig = Rig::in_memory(abilities);
                let ours = set_up(&rig, situation);
                let stamp = ours.unwrap_or(Stamp { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 });
                (rig, orders(vec![remove("f", stamp, on_edit)]))
            };
            all.push((format!("remove {situation}, {on_edit:?}"), Box::new(removing)));
        }
    }
    all.push(("folders, moves and adoption".to_owned(), Box::new(moving)));
    all.push(("a large batch".to_owned(), Box::new(large_batch)));
    all
}

/// Each item is changed once: two deeds for one item are two batches, as only the last one could be told to be done.
fn moving(abilities: Abilities) -> (Rig, Vec<DeedOrder>) {
    let rig = Rig::in_memory(abilities);
    let (a, b) = (rig.publish_new(1, "a", "A"), rig.publish_new(2, "b", "B"));
    let (dir, _, _) = (rig.make_folder("dir"), rig.make_folder("empty"), rig.make_folder("box"));
    let c = rig.publish_new(3, "box/c", "C");
    rig.write("theirs", "theirs");
    let sha1 = <sha1::Sha1 as sha1::Digest>::digest("theirs");
    let deeds = vec![
        relocate(at("a"), parked(5, ""), a, false),
        relocate(at("b"), at("a"), b, false),
        Deed::MakeFolder { at: at("new") },
        relocate(at("box/c"), at("new/c"), c, false),
        relocate(at("dir"), at("new/dir"), dir, true),
        Deed::RemoveFolder { at: at("empty") },
        Deed::Adopt { at: at("theirs"), size: Some(6), hash: ContentHash::Sha1(hex(&sha1)), modified: None },
    ];
    (rig, orders(deeds))
}

fn large_batch(abilities: Abilities) -> (Rig, Vec<DeedOrder>) {
    let rig = Rig::in_memory(abilities);
    let mut deeds = Vec::new();
    for n in 0..17 {
        let dir = format!("d{n}");
        deeds.push(Deed::MakeFolder { at: at(&dir) });
        deeds.push(publish(rig.stage(100 + n, "new!"), &format!("{dir}/f"), Expect::Absent, OnEdit::Keep));
    }
    (rig, orders(deeds))
}

/// The results as far as a second try must repeat them: a directory that is removed is missing the second time.
fn briefly(orders: &[DeedOrder], results: &[DeedResult]) -> Vec<String> {
    let one = |(order, result): (&DeedOrder, &DeedResult)| match order.deed {
        Deed::RemoveFolder { .. } if *result == DeedResult::Missing => "done".to_owned(),
        _ => brief(result),
    };
    orders.iter().zip(results).map(one).collect()
}

/// Runs a scenario without a fault: how many changes there are, what is reported, and the tree.
fn reference(scenario: &Scenario, abilities: Abilities) -> (u64, Vec<String>, String) {
    let (rig, orders) = scenario.1(abilities);
    arm(u64::MAX, Fault::Crash);
    let results = rig.folder.execute(&orders);
    let changes = disarm();
    (changes, briefly(&orders, &results), lines(&rig.picture()))
}

fn assert_whole(rig: &Rig, name: &str) {
    for (path, content) in rig.visible() {
        let whole = !content.starts_with('=') || CONTENTS.contains(&&content[1..]);
        assert!(whole, "{name}: {path} shows {content}");
    }
}

#[test]
fn a_crash_at_any_step_ends_in_the_same_place() {
    let mut rounds = 0;
    for scenario in scenarios() {
        let name = &scenario.0;
        for abilities in ABILITIES {
            let (changes, results, picture) = reference(&scenario, abilities);
            for at in 0..changes {
                let (rig, orders) = scenario.1(abilities);
                arm(at, Fault::Crash);
                let crashed = catch_unwind(AssertUnwindSafe(|| rig.folder.execute(&orders)));
                disarm();
                assert!(crashed.is_err(), "{name}: nothing happened at {at}");
                assert_whole(&rig, name);
                let again = rig.folder.execute(&orders);
                assert_eq!(briefly(&orders, &again), results, "{name}, crash at {at}, {abilities:?}");
                assert_eq!(lines(&rig.picture()), picture, "{name}, crash at {at}, {abilities:?}");
                rounds += 1;
            }
        }
    }
    assert!(rounds > 400, "only {rounds} crashes");
}

#[test]
fn a_crash_during_recovery_ends_in_the_same_place() {
    for scenario in scenarios().iter().filter(|scenario| scenario.0 != "a large batch") {
        let name = &scenario.0;
        let (changes, results, picture) = reference(scenario, Abilities::All);
        for first in 0..changes {
            for second in 0.. {
                let (rig, orders) = scenario.1(Abilities::All);
                arm(first, Fault::Crash);
                assert!(catch_unwind(AssertUnwindSafe(|| rig.folder.execute(&orders))).is_err());
                arm(second, Fault::Crash);
                let done = catch_unwind(AssertUnwindSafe(|| rig.folder.execute(&orders))).is_ok();
                disarm();
                assert_whole(&rig, name);
                let again = rig.folder.execute(&orders);
                assert_eq!(briefly(&orders, &again), results, "{name}, crashes at {first} and {second}");
                assert_eq!(lines(&rig.picture()), picture, "{name}, crashes at {first} and {second}");
                if done {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_refusal_at_any_step_is_reported_and_ends_in_the_same_place() {
    for scenario in scenarios() {
        let name = &scenario.0;
        for abilities in ABILITIES {
            let (changes, results, picture) = reference(&scenario, abilities);
            for at in 0..changes {
                for fault in [Fault::Once(Errno::NOSPC), Fault::FromHereOn(Errno::IO), Fault::FromHereOn(Errno::ROFS)] {
                    let (rig, orders) = scenario.1(abilities);
                    let before = rig.contents();
                    arm(at, fault);
                    let first = rig.folder.execute(&orders);
                    disarm();
                    assert_whole(&rig, name);
                    let context = format!("{name}, {fault:?} at {at}, {abilities:?}: {first:?}");
                    let lost = first.contains(&DeedResult::StagedLost);
                    let kept = rig.contents();
                    assert!(
                        before.iter().all(|content| kept.contains(content) || lost && content == "new!"),
                        "{context}"
                    );
                    if matches!(fault, Fault::FromHereOn(_)) && briefly(&orders, &first).contains(&"done".to_owned()) {
                        // What was reported as done was made durable before the disk refused.
                        assert!(orders.len() > 1, "{context}");
                    }
                    if lost {
                        continue;
                    }
                    let again = rig.folder.execute(&orders);
                    assert_eq!(briefly(&orders, &again), results, "{context}");
                    assert_eq!(lines(&rig.picture()), picture, "{context}");
                }
            }
        }
    }
}

#[test]
fn what_the_engine_drops_after_a_refusal_holds_nobodys_bytes() {
    for scenario in scenarios() {
        for abilities in ABILITIES {
            let (changes, ..) = reference(&scenario, abilities);
            for at in 0..changes {
                for fault in [Fault::Once(Errno::NOSPC), Fault::FromHereOn(Errno::NOSPC)] {
                    let (rig, orders) = scenario.1(abilities);
                    let before = rig.contents();
                    arm(at, fault);
                    let results = rig.folder.execute(&orders);
                    disarm();
                    for (order, result) in orders.iter().zip(&results) {
                        // A deed that failed for good leaves its staged file to the engine, which has it discarded.
                        if let (Deed::Publish { staged, .. }, DeedResult::Failed(_)) = (&order.deed, result) {
                            rig.folder.discard_staged(staged).unwrap();
                        }
                    }
                    let kept = rig.contents();
                    let lost: Vec<_> =
                        before.iter().filter(|content| *content != "new!" && !kept.contains(content)).collect();
                    assert!(
                        lost.is_empty(),
                        "{}, {fault:?} at {at}, {abilities:?}: {results:?} lost {lost:?}",
                        scenario.0
                    );
                }
            }
        }
    }
}
