//! Scans of real directories.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::local::LocalOptions;
use crate::path::RelPath;

fn open(root: &Path) -> LocalFolder {
    let options = LocalOptions { file_mode: 0o644, dir_mode: 0o755, min_free: 0, create: true };
    LocalFolder::open(root, "mark", options).unwrap()
}

fn rel(path: &str) -> RelPath {
    path.split('/')
        .filter(|name| !name.is_empty())
        .fold(RelPath::root(), |path, name| path.join(&Name::new(name.as_bytes()).unwrap()))
}

fn order(dir: &str) -> ScanOrder {
    ScanOrder { dir: rel(dir), after: None }
}

/// All pages of a directory.
fn whole(local: &LocalFolder, dir: &RelPath) -> Vec<LocalEntry> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let scan = local.scan(&ScanOrder { dir: dir.clone(), after }).unwrap();
        assert!(scan.entries.len() + scan.unreadable.len() <= SCAN_PAGE_ENTRIES);
        all.extend(scan.entries);
        after = scan.next;
        if after.is_none() {
            return all;
        }
    }
}

#[test]
fn a_directory_is_told_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let local = open(root);
    fs::write(root.join("b.txt"), "four").unwrap();
    fs::hard_link(root.join("b.txt"), root.join("a.txt")).unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    symlink("/etc", root.join("out")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let scan = local.scan(&order("")).unwrap();
    let told: Vec<(String, EntryKind, u64)> =
        scan.entries.iter().map(|entry| (entry.name.to_text(), entry.kind, entry.stamp.size)).collect();
    let names = |name: &str| name.to_owned();
    assert_eq!(
        told,
        [
            (names("a.txt"), EntryKind::File, 4),
            (names("b.txt"), EntryKind::File, 4),
            (names("out"), EntryKind::Link, 4),
            (names("pipe"), EntryKind::Special, 0),
            (names("sub"), EntryKind::Folder, 0),
        ],
        "our own directory is not among them"
    );
    assert_eq!((scan.entries[0].links, scan.entries[0].stamp.ino), (2, scan.entries[1].stamp.ino));
    assert!(scan.steady && scan.next.is_none() && scan.unreadable.is_empty());
    assert!(local.scan(&order("sub")).unwrap().entries.is_empty());
}

#[test]
fn absent_unreadable_and_lost_are_three_things() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let local = open(&root);
    fs::write(root.join("file"), "x").unwrap();
    symlink(dir.path(), root.join("link")).unwrap();
    assert_eq!(local.scan(&order("none")), Err(ScanFailure::Missing));
    assert_eq!(local.scan(&order("none/deeper")), Err(ScanFailure::Missing));
    assert_eq!(local.scan(&order("file")), Err(ScanFailure::NotAFolder));
    assert_eq!(local.scan(&order("link")), Err(ScanFailure::NotAFolder), "a link is never followed");
    assert_eq!(local.scan(&order("link/root")), Err(ScanFailure::NotAFolder));
    fs::create_dir(root.join("closed")).unwrap();
    fs::set_permissions(root.join("closed"), PermissionsExt::from_mode(0o000)).unwrap();
    // The superuser reads everything.
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(local.scan(&order("closed")), Err(ScanFailure::Unreadable(_))));
    }
    // Somebody puts another directory in the root's place: everything in it seems to be gone.
    fs::rename(&root, dir.path().join("away")).unwrap();
    fs::create_dir(&root).unwrap();
    for gone in ["", "none"] {
        assert!(local.scan(&order(gone)).unwrap_err().is_root_lost(), "{gone}");
    }
}

#[test]
fn a_directory_that_changes_is_not_steady_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let local = open(dir.path());
    let before = local.scan(&order("")).unwrap().stamp;
    File::create(dir.path().join("new")).unwrap();
    let after = local.scan(&order("")).unwrap();
    assert_ne!(before, after.stamp, "the stamp tells that the directory must be read again");
}

/// Each file claims a gigabyte: whoever read them would not come to an end.
#[test]
fn fifty_thousand_files_are_scanned_without_reading_one() {
    const FILES: usize = 50_000;
    const IN_ONE: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let local = open(root);
    for number in 0..FILES {
        let place = if number < IN_ONE { root.join("many") } else { root.join(format!("d{:02}/e", number % 40)) };
        if number < IN_ONE + 40 {
            fs::create_dir_all(&place).unwrap();
        }
        File::create(place.join(format!("file {number}"))).unwrap().set_len(1 << 30).unwrap();
    }
    let mut waiting = vec![RelPath::root()];
    let mut seen = BTreeMap::new();
    while let Some(dir) = waiting.pop() {
        for entry in whole(&local, &dir) {
            let path = dir.join(&entry.name);
            match entry.kind {
                EntryKind::Folder => waiting.push(path),
                _ => drop(seen.insert(path, entry.stamp)),
            }
        }
    }
    assert_eq!(seen.len(), FILES);
    assert!(seen.values().all(|stamp| stamp.size == 1 << 30));
    // What changed is found by its stamp alone.
    fs::write(root.join("many/file 77"), "edited").unwrap();
    let again = whole(&local, &rel("many"));
    assert_eq!(again.len(), IN_ONE);
    let changed: Vec<String> = again
        .iter()
        .filter(|entry| seen[&rel("many").join(&entry.name)] != entry.stamp)
        .map(|entry| entry.name.to_text())
        .collect();
    assert_eq!(changed, ["file 77"]);
}

#[test]
fn small_directories_share_a_page_and_a_large_one_is_cut_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let local = open(root);
    for (name, files) in [("a", SCAN_PAGE_ENTRIES - 500), ("b", 501), ("c", 1)] {
        fs::create_dir(root.join(name)).unwrap();
        for file in 0..files {
            File::create(root.join(name).join(format!("{file:05}"))).unwrap();
        }
    }
    let orders = ["none", "a", "b", "c"].map(order);
    let scans = local.scan_in_turn(&orders);
    let lengths: Vec<_> = scans.iter().map(|scan| scan.as_ref().map_or(0, |scan| scan.entries.len())).collect();
    assert_eq!(lengths, [0, SCAN_PAGE_ENTRIES - 500, 500], "the last one had no room");
    assert_eq!(scans[0], Err(ScanFailure::Missing));
    assert_eq!(scans[1].as_ref().unwrap().next, None);
    let next = scans[2].as_ref().unwrap().next.clone();
    assert_eq!(next, Some(Name::new(b"00499").unwrap()));
    let rest = local.scan_in_turn(&[ScanOrder { dir: rel("b"), after: next }, order("c")]);
    assert_eq!(rest.iter().map(|scan| scan.as_ref().unwrap().entries.len()).collect::<Vec<_>>(), [1, 1]);
}
