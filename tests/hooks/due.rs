//! What is examined again by the clock, what is passed over meanwhile, and what is done with the cloud's copy of what was found: all of it
//! goes on where it was after a restart.

use std::path::Path;

use folder_sync_agent::sandbox::{Answer, Fault, Rule};

use super::gate::{remote, rows, script};
use crate::support::{Bed, PATIENCE, REMOTE, until};

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Turns the clock of what was examined: as if it had been so much longer ago.
fn examined_earlier_by(bed: &Bed, ms: i64) {
    let conn = rusqlite::Connection::open(bed.home().join("state.db")).unwrap();
    conn.execute("UPDATE examined SET at = at - ?1 WHERE at > 0", [ms]).unwrap();
}

/// How often a hook ran for a path.
fn runs_for(bed: &Bed, path: &str) -> usize {
    let conn = rusqlite::Connection::open(bed.home().join("state.db")).unwrap();
    conn.query_row("SELECT count(*) FROM hook_run WHERE path = ?1", [path], |row| row.get(0)).unwrap()
}

fn add_judge(bed: &Bed, program: &str, more: &[&str]) {
    let mut args = vec!["add-hook", "judge", "--when", "before", "--on", "file.download"];
    args.extend(more);
    args.extend(["--run", program]);
    bed.ok(&args);
}

#[test]
fn what_was_allowed_a_week_ago_is_examined_again_and_nothing_sooner() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let verdict = bed.dir.path().join("verdict");
    std::fs::write(&verdict, "0").unwrap();
    let judge = script(&bed, "judge", &format!("echo found later; exit $(cat {})", verdict.display()));
    add_judge(&bed, &judge, &["--rescan", "7d"]);
    cloud.write(&remote("a.txt"), b"content".to_vec()).unwrap();
    let agent = bed.start();
    until("the file", || bed.local().join("a.txt").exists());
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(runs_for(&bed, "a.txt"), 1);

    examined_earlier_by(&bed, 6 * DAY_MS);
    let agent = bed.start();
    cloud.write(&remote("b.txt"), b"another".to_vec()).unwrap();
    until("what came after it", || bed.local().join("b.txt").exists());
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(runs_for(&bed, "a.txt"), 1, "six days are no week");

    std::fs::write(&verdict, "1").unwrap();
    examined_earlier_by(&bed, 6 * DAY_MS);
    let agent = bed.start();
    until("the file in quarantine", || {
        rows(&bed, &["quarantine", "list", "--json"]).iter().any(|row| row["path"] == "a.txt" && row["state"] == "held")
            && !bed.local().join("a.txt").exists()
    });
    assert!(bed.local().join("b.txt").exists() && runs_for(&bed, "b.txt") == 1, "that one is six days old");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn nothing_is_examined_again_while_the_account_is_to_be_quiet() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    add_judge(&bed, "/bin/true", &["--rescan", "7d"]);
    cloud.write(&remote("a.txt"), b"content".to_vec()).unwrap();
    let agent = bed.start();
    until("the file", || bed.local().join("a.txt").exists());
    assert_eq!(agent.stop(), Some(0));
    let file = bed.home().join("config.toml");
    let loud = std::fs::read_to_string(&file).unwrap();
    let quiet = loud.replace("provider = \"box\"\n", "provider = \"box\"\nquiet = \"00:00-12:00, 12:00-00:00\"\n");
    assert_ne!(quiet, loud);
    std::fs::write(&file, quiet).unwrap();
    examined_earlier_by(&bed, 8 * DAY_MS);
    let agent = bed.start();
    // What is new is examined, and the look for what is due comes before it.
    cloud.write(&remote("b.txt"), b"another".to_vec()).unwrap();
    until("the new file", || bed.local().join("b.txt").exists());
    assert_eq!((runs_for(&bed, "b.txt"), runs_for(&bed, "a.txt")), (1, 1), "all day is to be quiet");
    std::fs::write(&file, loud).unwrap();
    until("the second run", || runs_for(&bed, "a.txt") == 2);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_paused_folder_keeps_no_other_from_being_examined_again() {
    const MANY: usize = 520;
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    cloud.mkdir_p("/Projects/Second").unwrap();
    for number in 0..MANY {
        cloud.write(&remote(&format!("{number:03}")), vec![b'x']).unwrap();
    }
    add_judge(&bed, "/bin/true", &["--rescan", "7d"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let second = bed.dir.path().join("second");
    bed.ok(&["add-folder", "/Projects/Second", second.to_str().unwrap(), "--name", "second", "--yes"]);
    cloud.write("/Projects/Second/last", vec![b'y']).unwrap();
    until("the file of the second folder", || second.join("last").exists());
    bed.ok(&["pause", "inbox"]);
    assert_eq!(agent.stop(), Some(0));
    // What is paused was allowed before everything else.
    examined_earlier_by(&bed, 8 * DAY_MS);
    let agent = bed.start();
    until("the second run", || runs_for(&bed, "last") == 2);
    assert_eq!(runs_for(&bed, "000"), 1, "its folder is paused");
    bed.ok(&["resume", "inbox"]);
    until("all of the first folder", || (0..MANY).all(|number| runs_for(&bed, &format!("{number:03}")) == 2));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn the_clouds_copy_is_disposed_of_even_if_that_fails_and_the_agent_ends() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let judge = script(&bed, "judge", "exit 1");
    add_judge(&bed, &judge, &[]);
    bed.ok(&["set-hook", "judge", "quarantine_remote=trash"]);
    cloud.faults().add(Rule::on("file_delete", Fault::Answer(Answer::html(503))).always());
    cloud.write(&remote("a.bad"), b"bad".to_vec()).unwrap();
    let agent = bed.start();
    until("the failure", || bed.log().contains("quarantine_remote"));
    let shown = bed.ok(&["quarantine", "show", "1"]);
    assert!(shown.contains("still to be done with the cloud's copy: trash"), "{shown}");
    agent.kill();
    cloud.faults().clear();
    assert_eq!(cloud.tree(REMOTE).unwrap().len(), 1);
    let agent = bed.start();
    until("the trash", || cloud.tree(REMOTE).unwrap().is_empty());
    until("nothing left to do", || !bed.ok(&["quarantine", "show", "1"]).contains("still to be done"));
    assert_eq!(agent.stop(), Some(0));
    assert!(Path::new(&bed.home().join("quarantine/1.content")).exists());
}
