//! What happens on disk, as the real process sees it: save dances, half-written and unreadable files, moves, roots that are gone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::edits::digested;
use crate::support::{Bed, PATIENCE, REMOTE, read_tree, until};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

fn two_way() -> Bed {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    bed
}

fn deletions(bed: &Bed) -> u64 {
    bed.cloud().count("file_delete") + bed.cloud().count("folder_delete")
}

/// How an editor saves; what it leaves behind beside the file.
type Dance = (&'static str, fn(&dyn Fn(&str) -> std::path::PathBuf, &str), &'static [&'static str]);

const DANCES: [Dance; 6] = [
    ("in place", |at, text| fs::write(at("doc.txt"), text).unwrap(), &[]),
    (
        "a temporary file renamed over it",
        |at, text| {
            fs::write(at(".doc.txt.tmp-1"), text).unwrap();
            fs::rename(at(".doc.txt.tmp-1"), at("doc.txt")).unwrap();
        },
        &[],
    ),
    (
        "vim: the former file goes aside and away",
        |at, text| {
            fs::write(at(".doc.txt.swp"), "swap").unwrap();
            fs::rename(at("doc.txt"), at("doc.txt~")).unwrap();
            fs::write(at("doc.txt"), text).unwrap();
            fs::remove_file(at("doc.txt~")).unwrap();
            fs::remove_file(at(".doc.txt.swp")).unwrap();
        },
        &[],
    ),
    (
        "LibreOffice: a lock and a temporary file",
        |at, text| {
            fs::write(at(".~lock.doc.txt#"), "me").unwrap();
            fs::write(at("lu1234abc.tmp"), text).unwrap();
            fs::rename(at("lu1234abc.tmp"), at("doc.txt")).unwrap();
            fs::remove_file(at(".~lock.doc.txt#")).unwrap();
        },
        &[],
    ),
    (
        "Word: two renames",
        |at, text| {
            fs::write(at("~$doc.txt"), "me").unwrap();
            fs::write(at("~WRD0001.tmp"), text).unwrap();
            fs::rename(at("doc.txt"), at("~WRL0002.tmp")).unwrap();
            fs::rename(at("~WRD0001.tmp"), at("doc.txt")).unwrap();
            fs::remove_file(at("~WRL0002.tmp")).unwrap();
            fs::remove_file(at("~$doc.txt")).unwrap();
        },
        &[],
    ),
    (
        "vim: with a backup that stays",
        |at, text| {
            fs::rename(at("doc.txt"), at("doc.txt~")).unwrap();
            fs::write(at("doc.txt"), text).unwrap();
        },
        &["doc.txt~"],
    ),
];

#[test]
fn each_way_of_saving_is_one_new_version_of_the_same_file() {
    let bed = two_way();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("docs")).unwrap();
    cloud.write(&remote("docs/doc.txt"), "first".as_bytes().to_vec()).unwrap();
    let id = cloud.id_of(&remote("docs/doc.txt")).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let dir = bed.local().join("docs");
    for (number, (name, save, left)) in DANCES.iter().enumerate() {
        cloud.reset_counters();
        let versions = cloud.versions(&remote("docs/doc.txt")).unwrap().len();
        save(&|file| dir.join(file), &format!("saved {number}"));
        bed.wait_equal(PATIENCE);
        bed.wait_in_sync(PATIENCE);
        assert_eq!(cloud.id_of(&remote("docs/doc.txt")).unwrap(), id, "{name}: the same file");
        assert_eq!(cloud.versions(&remote("docs/doc.txt")).unwrap().len(), versions + 1, "{name}: one new version");
        assert_eq!(cloud.count("upload_new"), left.len() as u64, "{name}: nothing that came and went");
        assert_eq!((deletions(&bed), cloud.count("content")), (0, 0), "{name}");
    }
    assert_eq!(read_tree(&dir).into_keys().collect::<Vec<_>>(), ["doc.txt", "doc.txt~"]);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_file_that_is_being_written_goes_up_when_it_is_whole() {
    const PIECES: usize = 20;
    let bed = two_way();
    let cloud = bed.cloud();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let mut file = fs::File::create(bed.local().join("slow")).unwrap();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for _ in 0..PIECES {
        file.write_all(&[b'x'; 1_000]).unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
        // The pace of the writer.
        std::thread::park_timeout(Duration::from_millis(200));
    }
    drop(file);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(cloud.read(&remote("slow")).unwrap().len(), 1_000 * PIECES);
    // A writer that pauses for long on a busy machine looks as if it had ended.
    if longest < Duration::from_secs(1) {
        assert_eq!(cloud.versions(&remote("slow")).unwrap().len(), 1);
    }
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_cannot_be_read_is_a_problem_and_no_deletion() {
    const NO_RIGHTS: [&str; 2] = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];
    if !Command::new("setpriv").args(NO_RIGHTS).arg("true").status().is_ok_and(|status| status.success()) {
        println!("skipped: root's rights cannot be taken away here");
        return;
    }
    let bed = two_way();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("private/deep")).unwrap();
    cloud.mkdir_p(&remote("docs")).unwrap();
    for name in ["private/a", "private/deep/b", "docs/secret", "docs/open"] {
        cloud.write(&remote(name), name.as_bytes().to_vec()).unwrap();
    }
    bed.ok(&["run", "--once"]);
    let before = cloud.tree(REMOTE).unwrap();
    fs::write(bed.local().join("docs/secret"), "edited, and then closed").unwrap();
    let chmod = |path: &str, mode| {
        fs::set_permissions(bed.local().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("private", 0);
    chmod("docs/secret", 0);
    cloud.reset_counters();
    let agent = bed.start_through("setpriv", &NO_RIGHTS);
    let problems = || bed.ok(&["problems"]);
    until("the file's problem", || problems().contains("docs/secret"));
    until("the directory's problem", || problems().contains("private"));
    // The rest goes on, and a second look changes nothing.
    fs::write(bed.local().join("docs/open"), "open and edited").unwrap();
    until("the other file", || cloud.read(&remote("docs/open")).unwrap() == b"open and edited");
    bed.ok(&["sync", "inbox", "--full"]);
    fs::write(bed.local().join("docs/new"), "new").unwrap();
    until("the new file", || cloud.read(&remote("docs/new")).is_ok());
    assert_eq!(deletions(&bed), 0, "{}", problems());
    let now = cloud.tree(REMOTE).unwrap();
    assert!(before.keys().all(|path| now.contains_key(path)), "{now:?}");
    assert!(bed.status().unwrap()["in_sync"] == false, "what is not known is not in sync");
    chmod("private", 0o755);
    chmod("docs/secret", 0o644);
    bed.wait_equal(2 * PATIENCE);
    bed.wait_in_sync(PATIENCE);
    // From now on it is watched like any other.
    fs::write(bed.local().join("private/deep/late"), "late").unwrap();
    bed.wait_equal(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn touched_files_are_not_sent_and_moved_ones_are_moves_also_while_the_agent_was_away() {
    let bed = two_way();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("a/deep")).unwrap();
    cloud.mkdir_p(&remote("b")).unwrap();
    for number in 0..10 {
        cloud.write(&remote(&format!("a/f{number}")), format!("{number}").into_bytes()).unwrap();
        cloud.write(&remote(&format!("a/deep/g{number}")), format!("deep {number}").into_bytes()).unwrap();
    }
    bed.ok(&["run", "--once"]);
    let id = |path: &str| cloud.id_of(&remote(path)).unwrap();
    let (f0, f1, g1, deep) = (id("a/f0"), id("a/f1"), id("a/deep/g1"), id("a/deep"));
    cloud.reset_counters();
    let at = |path: &str| bed.local().join(path);
    let change = |prefix: &str| {
        for number in 2..10 {
            let file = at(&format!("a/{prefix}{number}"));
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            fs::File::options().append(true).open(&file).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
        }
    };
    change("f");
    fs::rename(at("a/f0"), at("b/f0")).unwrap();
    fs::rename(at("a/f1"), at("f1 renamed")).unwrap();
    fs::rename(at("a/deep"), at("b/deeper")).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!((id("b/f0"), id("f1 renamed"), id("b/deeper"), id("b/deeper/g1")), (f0, f1, deep, g1));
    // And while it runs.
    change("f");
    fs::rename(at("b/deeper/g1"), at("a/g1")).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    let sent =
        ["upload_new", "upload_version", "content", "file_delete", "folder_delete"].map(|call| cloud.count(call));
    assert_eq!(sent, [0; 5], "nothing but moves");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_root_that_is_emptied_replaced_or_unmounted_deletes_nothing() {
    let bed = two_way();
    let cloud = bed.cloud();
    for number in 0..5 {
        cloud.write(&remote(&format!("f{number}")), format!("{number}").into_bytes()).unwrap();
    }
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    cloud.reset_counters();
    // Another directory is in its place, and then none.
    let aside = bed.dir.path().join("aside");
    fs::rename(bed.local(), &aside).unwrap();
    fs::create_dir(bed.local()).unwrap();
    until("the replaced root", || bed.is_degraded("root_lost"));
    fs::remove_dir(bed.local()).unwrap();
    cloud.write(&remote("meanwhile"), "waits".as_bytes().to_vec()).unwrap();
    fs::rename(&aside, bed.local()).unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    // Something else is mounted over it.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(bed.local()).output();
    if mounted.is_ok_and(|output| output.status.success()) {
        until("the mount", || bed.is_degraded("root_lost"));
        assert_eq!(fs::read_dir(bed.local()).unwrap().count(), 0, "nothing is written there");
        assert!(Command::new("umount").arg("--lazy").arg(bed.local()).status().unwrap().success());
        bed.wait_in_sync(PATIENCE);
    } else {
        println!("no right to mount a filesystem here");
    }
    // Everything in it is removed, and the mark is still there.
    for number in 0..5 {
        fs::remove_file(bed.local().join(format!("f{number}"))).unwrap();
    }
    fs::remove_file(bed.local().join("meanwhile")).unwrap();
    until("the hold", || bed.status().is_some_and(|status| status["held"] == 1));
    assert_eq!((deletions(&bed), cloud.tree(REMOTE).unwrap().len()), (0, 6));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn many_local_deletions_wait_for_a_person_and_the_rest_goes_on() {
    let bed = two_way();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("many")).unwrap();
    cloud.write(&remote("other"), "other".as_bytes().to_vec()).unwrap();
    for number in 0..60 {
        cloud.write(&remote(&format!("many/f{number}")), format!("{number}").into_bytes()).unwrap();
    }
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    cloud.reset_counters();
    fs::remove_dir_all(bed.local().join("many")).unwrap();
    let held = || -> serde_json::Value { serde_json::from_str(&bed.ok(&["held", "--json"])).unwrap() };
    until("all sixty on the list", || held()["rows"][0]["items"] == 60);
    fs::write(bed.local().join("other"), "edited").unwrap();
    until("the rest", || cloud.read(&remote("other")).unwrap() == b"edited");
    assert_eq!(deletions(&bed), 0);
    assert_eq!(bed.run(&["wait", "--timeout", "30s"]).status.code(), Some(4));
    bed.ok(&["approve", &held()["rows"][0]["id"].to_string()]);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!((cloud.count("folder_delete"), cloud.count("file_delete")), (1, 0), "the folder goes by one call");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn too_few_watches_are_said_with_the_setting_to_raise_and_a_scan_finds_what_nobody_told() {
    const FEW: [&str; 6] = [
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        "echo 6 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"",
        "env",
    ];
    if !Command::new("unshare").args(FEW).arg("true").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no right to lower the number of watches here");
        return;
    }
    let bed = two_way();
    let cloud = bed.cloud();
    for number in 0..20 {
        cloud.mkdir_p(&remote(&format!("d{number}"))).unwrap();
    }
    bed.ok(&["run", "--once"]);
    let agent = bed.start_through("unshare", &FEW);
    until("the complaint", || bed.is_degraded("unwatched"));
    let said = bed.run(&["status"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("fs.inotify.max_user_watches"), "{said}");
    let state = || bed.status().map(|status| status["folders"][0]["state"].clone());
    until("the word for a folder that works all the same", || state().is_some_and(|state| state == "unwatched"));
    let doctor = bed.run(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("fs.inotify.max_user_watches"), "{doctor}");
    for number in 0..20 {
        fs::write(bed.local().join(format!("d{number}/new")), format!("{number}")).unwrap();
    }
    bed.ok(&["sync", "inbox", "--full"]);
    bed.wait_equal(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn files_are_read_again_only_when_something_happened_to_them() {
    let bed = two_way();
    let cloud = bed.cloud();
    for number in 0..10 {
        cloud.write(&remote(&format!("f{number}")), format!("content {number}").into_bytes()).unwrap();
    }
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    fs::write(bed.local().join("own"), "ours").unwrap();
    cloud.write(&remote("f1"), "from above".as_bytes().to_vec()).unwrap();
    cloud.rename(&remote("f2"), "renamed").unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
    // Whatever we did to them ourselves, their stamps are known.
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(digested(&bed).0, 0);
    assert_eq!(agent.stop(), Some(0));

    let quiet_edit = |name: &str, text: &str| {
        let path = bed.local().join(name);
        let before = fs::metadata(&path).unwrap();
        fs::write(&path, text).unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), before.len(), "only the status change time tells");
    };
    cloud.reset_counters();
    quiet_edit("f3", "CONTENT 3");
    fs::set_permissions(bed.local().join("f4"), fs::Permissions::from_mode(0o600)).unwrap();
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!((digested(&bed).0, cloud.count("upload_version")), (2, 1), "both are read, and one is sent");
    // And while it looks on.
    quiet_edit("f5", "CONTENT 5");
    fs::set_permissions(bed.local().join("f6"), fs::Permissions::from_mode(0o600)).unwrap();
    bed.wait_equal(PATIENCE);
    until("both to be read", || digested(&bed).0 == 4);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!((digested(&bed).0, cloud.count("upload_version")), (0, 2), "and their new stamps are known");
    assert_eq!(agent.stop(), Some(0));
}
