//! `agent verify`.

use std::process::Stdio;

use folder_sync_agent::sandbox::{Fault, Rule};

use crate::support::{Bed, PATIENCE, REMOTE, RESERVED, until};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

fn verify(bed: &Bed, code: i32, more: &[&str]) -> serde_json::Value {
    let mut args = vec!["verify", "--json"];
    args.extend(more);
    let output = bed.run(&args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_three_way_difference_is_found_and_mended() {
    let bed = Bed::new();
    bed.add_folder(&["--exclude", "*.tmp"]);
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("docs/deep")).unwrap();
    for name in ["docs/deep/same", "docs/touched", "docs/lost", "docs/deep/edited", "docs/rotten"] {
        cloud.write(&remote(name), name.as_bytes().to_vec()).unwrap();
    }
    cloud.write(&remote("left.tmp"), b"out".to_vec()).unwrap();
    let missing = bed.run(&["verify"]);
    assert_eq!(missing.status.code(), Some(1), "nothing was mirrored yet");
    bed.ok(&["run", "--once"]);
    let report = verify(&bed, 0, &[]);
    assert_eq!(report["rows"][0]["files"], 5);
    assert_eq!(report["rows"][0]["folders"], 3);

    std::fs::remove_file(bed.local().join("docs/lost")).unwrap();
    std::fs::write(bed.local().join("docs/deep/edited"), "mine, and longer").unwrap();
    std::fs::write(bed.local().join("own"), "only here").unwrap();
    // A byte that changed under the same size and time: no stamp shows it.
    let rotten = bed.local().join("docs/rotten");
    let stamp = std::fs::metadata(&rotten).unwrap().modified().unwrap();
    std::fs::write(&rotten, "docs/rottxn").unwrap();
    std::fs::File::options().append(true).open(&rotten).unwrap().set_modified(stamp).unwrap();
    // And the cloud goes on without us.
    cloud.write(&remote("docs/deep/same"), b"another".to_vec()).unwrap();
    cloud.write(&remote("docs/new"), b"new".to_vec()).unwrap();

    let report = verify(&bed, 3, &[]);
    let report = &report["rows"][0];
    let found: std::collections::BTreeMap<&str, &str> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["path"].as_str().unwrap(), row["kind"].as_str().unwrap()))
        .collect();
    let expected = [
        ("docs/deep/edited", "changed on disk"),
        ("docs/deep/same", "changed in the cloud"),
        ("docs/lost", "missing on disk"),
        ("docs/new", "unknown"),
        ("docs/rotten", "changed on disk"),
    ];
    assert_eq!(found, expected.into_iter().collect());
    assert_eq!(report["only_local"], 1);
    let text = bed.run(&["verify"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("5 differences") && text.contains("--repair"), "{text}");

    verify(&bed, 3, &["--repair"]);
    bed.ok(&["run", "--once"]);
    assert_eq!(bed.difference(), ["left.tmp: only in the cloud", "own: only on disk"]);
    let report = verify(&bed, 0, &[]);
    assert_eq!(report["rows"][0]["only_local"], 1);
    // Nothing that somebody wrote is lost.
    let versions = bed.local().join(RESERVED).join("versions");
    let mut kept: Vec<Vec<u8>> =
        bed.ours("versions").into_iter().map(|name| std::fs::read(versions.join(name)).unwrap()).collect();
    kept.sort();
    assert!(kept.contains(&b"mine, and longer".to_vec()) && kept.contains(&b"docs/rottxn".to_vec()), "{kept:?}");
}

#[test]
fn a_running_agent_mends_what_was_found() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let cloud = bed.cloud();
    cloud.write(&remote("a"), b"a".to_vec()).unwrap();
    cloud.write(&remote("b"), b"b".to_vec()).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    // Otherwise it may find and mend by itself what is to be found, before that is looked for.
    bed.ok(&["pause", "inbox"]);
    std::fs::remove_file(bed.local().join("a")).unwrap();
    std::fs::write(bed.local().join("b"), "edited").unwrap();
    verify(&bed, 3, &["inbox", "--repair"]);
    bed.ok(&["resume", "inbox"]);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    verify(&bed, 0, &["inbox"]);
    assert_eq!(bed.run(&["verify", "nobody"]).status.code(), Some(1));
    // A root that is away is not an empty folder.
    assert_eq!(agent.stop(), Some(0));
    std::fs::rename(bed.local(), bed.dir.path().join("elsewhere")).unwrap();
    assert_eq!(bed.run(&["verify"]).status.code(), Some(1));
}

#[test]
fn an_interrupted_verification_goes_on_where_it_was() {
    const DIRECTORIES: u64 = 12;
    let bed = Bed::new();
    bed.add_folder(&[]);
    let cloud = bed.cloud();
    for number in 0..DIRECTORIES {
        cloud.mkdir_p(&remote(&format!("d{number}"))).unwrap();
        for name in ["a", "b"] {
            cloud.write(&remote(&format!("d{number}/{name}")), format!("{number}{name}").into_bytes()).unwrap();
        }
    }
    bed.ok(&["run", "--once"]);
    for number in 0..DIRECTORIES {
        std::fs::write(bed.local().join(format!("d{number}/b")), "edited").unwrap();
    }
    cloud.reset_counters();
    // The root and five directories are listed at once, and the next one after a minute.
    cloud.faults().add(Rule::on("folder_items", Fault::Delay { ms: 60_000 }).skip(6).always());
    let mut first = bed.agent().args(["verify", "--json"]).stdout(Stdio::null()).spawn().unwrap();
    until("the seventh listing", || cloud.count("folder_items") == 7);
    let second = bed.run(&["verify"]);
    assert_eq!(second.status.code(), Some(1), "one at a time");
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.faults().clear();
    cloud.reset_counters();

    let report = verify(&bed, 3, &[]);
    let report = &report["rows"][0];
    assert_eq!(report["resumed"], true);
    assert_eq!((&report["folders"], &report["files"]), (&(DIRECTORIES + 1).into(), &(2 * DIRECTORIES).into()));
    assert_eq!(report["differing"], DIRECTORIES, "also what was seen before the interruption");
    // What differed is looked at twice; what was looked at before is not listed a third time.
    assert_eq!(cloud.count("folder_items"), DIRECTORIES - 5 + DIRECTORIES);
    cloud.reset_counters();
    let anew = verify(&bed, 3, &["--repair"]);
    assert_eq!(anew["rows"][0]["resumed"], false, "that one came to its end");
    bed.ok(&["run", "--once"]);
    assert_eq!(verify(&bed, 0, &[])["rows"][0]["differing"], 0);
}
