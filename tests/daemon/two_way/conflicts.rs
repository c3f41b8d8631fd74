//! Conflicts by the real process: both are kept, listed, and decided by a person, one by one and in bulk, with and without an agent.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::{Bed, PATIENCE, REMOTE, sha1_of, until};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

/// Files that both sides edit while no agent looks.
const FILES: [&str; 4] = ["a.txt", "b.txt", "c.txt", "d/e.txt"];

/// A bed with a conflict for each of [`FILES`], and no agent.
fn conflicting() -> Bed {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    let cloud = bed.cloud();
    for file in FILES {
        cloud.write(&remote(file), format!("{file}: first").into_bytes()).unwrap();
    }
    bed.ok(&["run", "--once"]);
    for file in FILES {
        cloud.write(&remote(file), format!("{file}: theirs").into_bytes()).unwrap();
        fs::write(bed.local().join(file), format!("{file}: ours")).unwrap();
    }
    bed
}

/// The conflict copies by the path that both wanted.
fn copies(bed: &Bed) -> BTreeMap<String, String> {
    let listing: Value = serde_json::from_str(&bed.ok(&["conflicts", "--json"])).unwrap();
    assert_eq!(listing["schema"], 1);
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let rows = listing["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            assert!(row["reason"] == "edited_on_both_sides" || row["reason"] == "changed_after_decision", "{row}");
            assert_eq!(row["folder"], "inbox", "{row}");
            (text(row, "path"), text(row, "copy"))
        })
        .collect()
}

fn read(bed: &Bed, path: &str) -> String {
    fs::read_to_string(bed.local().join(path)).unwrap()
}

/// Whether a content is in the cloud's versions and trash, or in the version store.
fn is_kept(bed: &Bed, content: &str) -> bool {
    let mut here = bed.ours("versions").into_iter().map(|name| {
        fs::read(bed.local().join(crate::support::RESERVED).join("versions").join(name)).unwrap_or_default()
    });
    bed.cloud().keeps(&sha1_of(content.as_bytes())) || here.any(|kept| kept == content.as_bytes())
}

#[test]
fn both_are_kept_and_a_person_decides_one_by_one() {
    let bed = conflicting();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let copies = copies(&bed);
    assert_eq!(copies.keys().map(String::as_str).collect::<Vec<_>>(), FILES);
    for (path, copy) in &copies {
        assert_eq!(read(&bed, path), format!("{path}: theirs"), "the cloud's keeps the name");
        assert_eq!(read(&bed, copy), format!("{path}: ours"));
    }
    assert!(bed.ok(&["conflicts", "inbox"]).contains("4 conflicts"));

    // What would happen is said, and does not happen.
    let before = crate::support::read_tree(&bed.local());
    let said = bed.ok(&["conflicts", "resolve", "a.txt", "--keep", "local", "--dry-run"]);
    assert!(said.contains("put a (conflicted copy") && said.lines().count() == 1, "{said}");
    let said = bed.ok(&["conflicts", "resolve", "--all", "--keep", "remote", "-n", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["rows"].as_array().unwrap().len(), 4);
    let said = bed.ok(&["conflicts", "resolve", "nothing.txt", "--keep", "both", "-n"]);
    assert!(said.contains("Would decide nothing"), "{said}");
    assert_eq!(crate::support::read_tree(&bed.local()), before);
    assert_eq!(self::copies(&bed), copies);

    // By the path as it is listed, by that of the disk, by that of the copy, and both.
    bed.ok(&["conflicts", "resolve", "a.txt", "--keep", "local"]);
    bed.ok(&["conflicts", "resolve", "inbox/b.txt", "--keep", "remote"]);
    bed.ok(&["conflicts", "resolve", "c.txt", "--keep", "both"]);
    let said = bed.ok(&["conflicts", "resolve", &copies["d/e.txt"], "--keep", "local", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["rows"][0]["path"], "d/e.txt");
    let expected = ["a.txt", "b.txt", "c.txt", &copies["c.txt"], "d", "d/e.txt"];
    until("the decisions to be carried out", || {
        let cloud = bed.cloud().tree(REMOTE).unwrap();
        cloud.len() == expected.len()
            && cloud["a.txt"].sha1 == sha1_of(b"a.txt: ours")
            && cloud["d/e.txt"].sha1 == sha1_of(b"d/e.txt: ours")
    });
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let there: Vec<String> = crate::support::read_tree(&bed.local()).into_keys().collect();
    let mut expected: Vec<String> = expected.iter().map(|path| (*path).to_owned()).collect();
    expected.sort();
    assert_eq!(there, expected);
    assert_eq!(read(&bed, "a.txt"), "a.txt: ours");
    assert_eq!(read(&bed, "b.txt"), "b.txt: theirs");
    assert_eq!(read(&bed, "d/e.txt"), "d/e.txt: ours");
    assert!(
        FILES
            .iter()
            .all(|file| { ["first", "theirs", "ours"].iter().all(|which| is_kept(&bed, &format!("{file}: {which}"))) })
    );
    assert_eq!(bed.ok(&["conflicts"]), "No conflicts.\n");
    let unknown = bed.run(&["conflicts", "resolve", "a.txt", "--keep", "both"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no conflict at"), "{unknown:?}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_decision_without_an_agent_is_carried_out_by_the_next_one() {
    for (keep, word) in [("local", "ours"), ("remote", "theirs")] {
        let bed = conflicting();
        let agent = bed.start();
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        assert_eq!(agent.stop(), Some(0));
        let copies = copies(&bed);
        assert_eq!(copies.len(), FILES.len());

        let said = bed.ok(&["conflicts", "resolve", "--all", "--folder", "inbox", "--keep", keep]);
        assert!(said.contains("4 conflicts are decided") && said.contains("No agent is running"), "{said}");
        let listing: Value = serde_json::from_str(&bed.ok(&["conflicts", "--json"])).unwrap();
        assert!(listing["rows"].as_array().unwrap().iter().all(|row| row["decision"] == keep), "{listing}");
        assert!(FILES.iter().all(|file| read(&bed, file).ends_with("theirs")), "nothing is done yet");

        // Killed in the middle of it, the next one goes on.
        for _ in 0..2 {
            let agent = bed.start();
            until("the first of them", || self::copies(&bed).len() < copies.len());
            agent.kill();
        }
        let agent = bed.start();
        until("no conflict", || self::copies(&bed).is_empty());
        until("all of it in the cloud", || {
            let cloud = bed.cloud().tree(REMOTE).unwrap();
            cloud.len() == FILES.len() + 1
                && FILES.iter().all(|file| cloud[*file].sha1 == sha1_of(format!("{file}: {word}").as_bytes()))
        });
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        for file in FILES {
            assert_eq!(read(&bed, file), format!("{file}: {word}"));
            assert!(["first", "theirs", "ours"].iter().all(|which| is_kept(&bed, &format!("{file}: {which}"))));
        }
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn what_is_edited_after_the_decision_is_on_both_sides_and_decided_again() {
    let bed = conflicting();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let before = copies(&bed);
    assert_eq!(agent.stop(), Some(0));
    bed.ok(&["conflicts", "resolve", "a.txt", "--keep", "local"]);
    bed.ok(&["conflicts", "resolve", "b.txt", "--keep", "remote"]);
    bed.ok(&["conflicts", "resolve", "c.txt", "--keep", "remote"]);
    // The one that was to go is another one by now.
    fs::write(bed.local().join("a.txt"), "a.txt: later").unwrap();
    fs::write(bed.local().join(&before["b.txt"]), "b.txt: later").unwrap();
    let agent = bed.start();
    until("the third decision", || !bed.local().join(&before["c.txt"]).exists());
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let expected = [("a.txt", "later"), (&before["a.txt"], "ours"), ("b.txt", "theirs"), (&before["b.txt"], "later")];
    let cloud = bed.cloud().tree(REMOTE).unwrap();
    for (path, which) in expected {
        let content = format!("{}.txt: {which}", &path[..1]);
        assert_eq!((read(&bed, path), &cloud[path].sha1), (content.clone(), &sha1_of(content.as_bytes())), "{path}");
    }
    let left: Vec<String> = copies(&bed).into_keys().collect();
    assert_eq!(left, ["a.txt", "b.txt", "d/e.txt"]);
    let listing: Value = serde_json::from_str(&bed.ok(&["conflicts", "--json"])).unwrap();
    assert!(listing["rows"].as_array().unwrap().iter().all(|row| row["decision"].is_null()), "{listing}");
    let said = bed.ok(&["conflicts"]);
    assert_eq!(said.matches("decide again").count(), 2, "{said}");
    assert_eq!(agent.stop(), Some(0));
}
