//! Something of another kind in place of a synced item: a link, a pipe, a directory for a file and the reverse. It is never followed, never
//! taken for a deletion that nobody meant, and never "the disk is not as its scan found it" for ever.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::{Bed, PATIENCE, REMOTE, Running, read_tree, until};

fn remote(path: &str) -> String {
    format!("{REMOTE}/{path}")
}

fn pipe(at: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, at, kind, mode, 0).unwrap();
}

/// A bed with a few items in sync, and the agent over it.
fn bed(mode: &str, settings: &[&str]) -> (Bed, Running) {
    let bed = Bed::new();
    bed.add_folder(&["--mode", mode]);
    for setting in settings {
        bed.ok(&["set-folder", "inbox", setting]);
    }
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("dir/deep")).unwrap();
    for name in ["file", "piped", "socket", "other", "dir/a", "dir/deep/b"] {
        cloud.write(&remote(name), format!("content of {name}").into_bytes()).unwrap();
    }
    let agent = bed.start();
    if mode == "upload" {
        bed.wait_in_sync(PATIENCE);
        fs::create_dir_all(bed.local().join("dir/deep")).unwrap();
        for name in ["file", "piped", "socket", "other", "dir/a", "dir/deep/b"] {
            fs::write(bed.local().join(name), format!("content of {name}")).unwrap();
        }
    }
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    cloud.reset_counters();
    (bed, agent)
}

/// Puts something else in the places of items: the file's and the directory's own things go outside.
fn replace(bed: &Bed, outside: &Path) {
    for name in ["file", "dir", "piped", "socket"] {
        fs::rename(bed.local().join(name), outside.join(name)).unwrap();
    }
    symlink(outside.join("file"), bed.local().join("file")).unwrap();
    symlink(outside.join("dir"), bed.local().join("dir")).unwrap();
    pipe(&bed.local().join("piped"));
    UnixListener::bind(bed.local().join("socket")).unwrap();
}

fn deletions(bed: &Bed) -> u64 {
    bed.cloud().count("file_delete") + bed.cloud().count("folder_delete")
}

#[test]
fn where_the_disk_counts_it_is_a_problem_with_its_path_and_nothing_is_deleted() {
    for mode in ["two-way", "upload"] {
        let (bed, agent) = bed(mode, &[]);
        let cloud = bed.cloud();
        let outside = tempfile::tempdir_in(bed.dir.path()).unwrap();
        replace(&bed, outside.path());
        let are_named = || {
            let problems = bed.ok(&["problems"]);
            let named = |path: &str, what: &str| problems.contains(&format!("{what} is at `{path}`"));
            named("file", "a symbolic link")
                && named("dir", "a symbolic link")
                && named("piped", "a pipe, a socket or a device")
                && named("socket", "a pipe, a socket or a device")
        };
        until("all four", are_named);
        assert_eq!(bed.status().unwrap()["problems"], 4, "what is below follows: {}", bed.ok(&["problems"]));
        // The cloud goes on, and nothing of it reaches what is outside.
        let before = read_tree(outside.path());
        cloud.write(&remote("file"), b"newer".to_vec()).unwrap();
        cloud.write(&remote("dir/a"), b"newer".to_vec()).unwrap();
        cloud.write(&remote("dir/new"), b"new".to_vec()).unwrap();
        fs::write(bed.local().join("other"), "edited").unwrap();
        until("the rest goes on", || cloud.read(&remote("other")).unwrap() == b"edited");
        // A restart finds it by its scan.
        assert_eq!(agent.stop(), Some(0));
        let agent = bed.start();
        until("all four again", are_named);
        assert_eq!(bed.run(&["wait", "--timeout", "3s"]).status.code(), Some(3));
        assert_eq!(read_tree(outside.path()), before);
        assert!(!bed.ok(&["problems"]).contains("not as its scan found it"));
        assert_eq!(deletions(&bed), 0);
        // Everything is put back.
        for name in ["file", "dir", "piped", "socket"] {
            fs::remove_file(bed.local().join(name)).unwrap();
            fs::rename(outside.path().join(name), bed.local().join(name)).unwrap();
        }
        if mode == "two-way" {
            bed.wait_equal(PATIENCE);
            bed.wait_in_sync(PATIENCE);
            // Where only the link goes, the item is deleted.
            fs::rename(bed.local().join("file"), outside.path().join("file")).unwrap();
            symlink(outside.path().join("file"), bed.local().join("file")).unwrap();
            until("the problem", || bed.ok(&["problems"]).contains("a symbolic link is at `file`"));
            fs::remove_file(bed.local().join("file")).unwrap();
            until("the deletion", || cloud.read(&remote("file")).is_err());
        } else {
            until("the problems end", || !bed.ok(&["problems"]).contains(" is at `"));
        }
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn a_copy_put_back_in_the_place_of_a_linked_directory_is_the_same_folder() {
    let (bed, agent) = bed("two-way", &[]);
    let cloud = bed.cloud();
    let id = cloud.id_of(&remote("dir/deep/b")).unwrap();
    let outside = tempfile::tempdir_in(bed.dir.path()).unwrap();
    replace(&bed, outside.path());
    until("the problem", || bed.ok(&["problems"]).contains("is at `dir`"));
    for name in ["file", "dir", "piped", "socket"] {
        fs::remove_file(bed.local().join(name)).unwrap();
    }
    // With other inodes, and one of the files changed.
    fs::create_dir_all(bed.local().join("dir/deep")).unwrap();
    for name in ["file", "piped", "socket", "dir/a", "dir/deep/b"] {
        fs::write(bed.local().join(name), format!("content of {name}")).unwrap();
    }
    fs::write(bed.local().join("dir/a"), "changed meanwhile").unwrap();
    bed.ok(&["wait", "--timeout", "40s"]);
    assert!(bed.difference().is_empty(), "{:?}", bed.difference());
    assert_eq!(cloud.read(&remote("dir/a")).unwrap(), b"changed meanwhile");
    assert_eq!((cloud.id_of(&remote("dir/deep/b")).unwrap(), deletions(&bed)), (id, 0));
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_directory_for_a_file_and_the_reverse_are_a_deletion_and_something_new() {
    let (bed, agent) = bed("two-way", &[]);
    fs::remove_file(bed.local().join("file")).unwrap();
    fs::create_dir(bed.local().join("file")).unwrap();
    fs::write(bed.local().join("file/inner"), "inner").unwrap();
    fs::remove_dir_all(bed.local().join("dir")).unwrap();
    fs::write(bed.local().join("dir"), "a file now").unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(bed.cloud().read(&remote("dir")).unwrap(), b"a file now");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn in_a_mirror_it_goes_aside_and_the_clouds_version_comes_back() {
    let (bed, agent) = bed("mirror", &["on_local_delete=accept"]);
    let outside = tempfile::tempdir_in(bed.dir.path()).unwrap();
    let mirrored = || {
        let difference = bed.difference();
        difference.iter().all(|line| line.ends_with("only on disk"))
    };
    let mut agent = Some(agent);
    for is_running in [true, false] {
        if !is_running {
            assert_eq!(agent.take().map(Running::stop), Some(Some(0)));
        }
        replace(&bed, outside.path());
        let before = read_tree(outside.path());
        agent = agent.or_else(|| Some(bed.start()));
        until("what the cloud has", &mirrored);
        bed.ok(&["wait", "--timeout", "40s"]);
        assert_eq!(read_tree(outside.path()), before, "links are not followed");
        assert!(bed.difference().is_empty(), "{:?}", bed.difference());
        fs::remove_dir_all(outside.path()).unwrap();
        fs::create_dir(outside.path()).unwrap();
    }
    // A directory for a file, and the reverse; what is in them is kept.
    fs::remove_file(bed.local().join("file")).unwrap();
    fs::create_dir(bed.local().join("file")).unwrap();
    fs::write(bed.local().join("file/inner"), "inner").unwrap();
    fs::remove_dir_all(bed.local().join("dir")).unwrap();
    fs::write(bed.local().join("dir"), "a file now").unwrap();
    until("what the cloud has", mirrored);
    bed.ok(&["wait", "--timeout", "40s"]);
    let aside =
        read_tree(&bed.local()).into_keys().find(|path| path.contains("conflicted copy") && path.ends_with("inner"));
    assert_eq!(fs::read(bed.local().join(aside.unwrap())).unwrap(), b"inner");
    let versions = bed.local().join(crate::support::RESERVED).join("versions");
    // A pipe in there would keep whoever opens it.
    let mut kept = bed.ours("versions").into_iter().map(|name| versions.join(name)).filter(|path| path.is_file());
    let kept = kept.any(|path| fs::read(path).is_ok_and(|text| text == b"a file now"));
    assert!(kept, "the file that stood for the directory is in the version store");
    assert_eq!(deletions(&bed), 0);
    assert_eq!(agent.map(Running::stop), Some(Some(0)));
}

#[test]
fn a_mirror_that_keeps_drift_lists_it() {
    let (bed, agent) = bed("mirror", &["on_drift=keep"]);
    let outside = tempfile::tempdir_in(bed.dir.path()).unwrap();
    replace(&bed, outside.path());
    let before = read_tree(outside.path());
    let problems = || bed.ok(&["problems"]);
    until("the list", || {
        ["file", "dir", "piped", "socket"].iter().all(|name| problems().contains(&format!("is at `{name}`")))
    });
    bed.cloud().write(&remote("dir/a"), b"newer".to_vec()).unwrap();
    bed.cloud().write(&remote("other"), b"newer".to_vec()).unwrap();
    until("the rest", || fs::read(bed.local().join("other")).unwrap() == b"newer");
    assert_eq!(read_tree(outside.path()), before);
    for name in ["file", "dir", "piped", "socket"] {
        fs::remove_file(bed.local().join(name)).unwrap();
    }
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}
