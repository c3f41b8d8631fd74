//! The watched directory from outside: its root and mark, hostile trees, small and full disks, versions and sweeping.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use folder_sync_agent::deed::{
    Deed, DeedOrder, DeedResult, DiskError, DiskErrorKind, Displaced, Expect, KeptAt, OnEdit, Place, Staged,
};
use folder_sync_agent::id::{ContentHash, JobId};
use folder_sync_agent::local::{Found, Kind, LocalFolder, LocalOptions, StageError, StageOrder};
use folder_sync_agent::path::{Name, RelPath};
use folder_sync_agent::tree::Stamp;
use folder_sync_agent::versions::{Total, Versions};

const NEW: LocalOptions = LocalOptions { file_mode: 0o640, dir_mode: 0o750, min_free: 0, create: true };
const KNOWN: LocalOptions = LocalOptions { create: false, ..NEW };

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(path)
    }

    fn folder(&self) -> LocalFolder {
        LocalFolder::open(&self.path("root"), "uid", NEW).unwrap()
    }
}

fn at(path: &str) -> Place {
    Place::tree(RelPath::parse(path).unwrap())
}

fn order(job: i64, size: Option<u64>) -> StageOrder {
    StageOrder { job: JobId(job), size, hash: None, modified: None }
}

fn stage(folder: &LocalFolder, job: i64, content: &str) -> Staged {
    folder.stage_small(&order(job, None), &[Bytes::copy_from_slice(content.as_bytes())]).unwrap()
}

fn run(folder: &LocalFolder, job: i64, deed: Deed) -> DeedResult {
    folder.execute(&[DeedOrder { job: JobId(job), deed }]).remove(0)
}

fn publish(folder: &LocalFolder, job: i64, path: &str, content: &str, expect: Expect) -> DeedResult {
    let staged = stage(folder, job, content);
    run(folder, job, Deed::Publish { staged, at: at(path), expect, on_edit: OnEdit::Displace })
}

fn stamp_of(result: &DeedResult) -> Stamp {
    match result {
        DeedResult::Done { stamp: Some(stamp), .. } => *stamp,
        other => panic!("{other:?}"),
    }
}

fn refusal(opened: Result<LocalFolder, DiskError>) -> (DiskErrorKind, String) {
    let why = opened.map(|_| ()).unwrap_err();
    (why.kind, why.text)
}

#[test]
fn a_root_is_made_once_and_known_by_its_mark() {
    let home = Home::new();
    let root = home.path("some/where/root");
    let (kind, _) = refusal(LocalFolder::open(&root, "uid", KNOWN));
    assert_eq!(kind, DiskErrorKind::RootLost);
    assert!(!home.path("some").exists(), "nothing is made without being asked");

    LocalFolder::open(&root, "uid", NEW).unwrap();
    let own = root.join(".folder-sync-agent");
    for private in ["", "staging", "parked", "versions"] {
        assert_eq!(std::fs::metadata(own.join(private)).unwrap().permissions().mode() & 0o777, 0o700, "{private}");
    }
    assert_eq!(std::fs::read_dir(own.join("staging")).unwrap().count(), 0, "no probe is left");
    LocalFolder::open(&root, "uid", KNOWN).unwrap();
    let open = LocalFolder::open(&root, "uid", NEW).unwrap();

    let (kind, text) = refusal(LocalFolder::open(&root, "other", KNOWN));
    assert_eq!(kind, DiskErrorKind::RootLost);
    assert!(text.contains("agent remove-folder NAME"), "{text}");
    let (kind, text) = refusal(LocalFolder::open(&root, "other", NEW));
    assert_eq!(kind, DiskErrorKind::Item);
    assert!(text.contains("another agent works in this directory"), "{text}");

    // Nobody has it open any more: it is taken over, and former versions are kept where their numbers are in nobody's way.
    drop(open);
    std::fs::write(own.join("versions/7"), "old").unwrap();
    let taken = LocalFolder::open(&root, "other", NEW).unwrap();
    assert_eq!(std::fs::read_to_string(own.join("former-versions-1/7")).unwrap(), "old");
    assert_eq!(std::fs::read_dir(own.join("versions")).unwrap().count(), 0);
    drop(taken);
    LocalFolder::open(&root, "uid", NEW).unwrap();

    // What is in our directory is made again; what proves the root is not.
    std::fs::remove_dir(own.join("staging")).unwrap();
    LocalFolder::open(&root, "uid", KNOWN).unwrap();
    std::fs::remove_file(own.join("folder")).unwrap();
    assert_eq!(refusal(LocalFolder::open(&root, "uid", KNOWN)).0, DiskErrorKind::RootLost);
    std::fs::remove_dir_all(&own).unwrap();
    assert_eq!(refusal(LocalFolder::open(&root, "uid", KNOWN)).0, DiskErrorKind::RootLost);
    assert!(!own.exists());
}

#[test]
fn a_root_that_is_no_directory_of_its_own_is_refused() {
    let home = Home::new();
    home.folder();
    symlink("root", home.path("link")).unwrap();
    symlink("nowhere", home.path("dangling")).unwrap();
    std::fs::write(home.path("file"), "").unwrap();
    for name in ["link", "dangling", "file"] {
        for options in [NEW, KNOWN] {
            let (kind, text) = refusal(LocalFolder::open(&home.path(name), "uid", options));
            assert_eq!(kind, DiskErrorKind::RootLost, "{name}");
            assert!(text.contains(name), "{text}");
        }
    }
    assert!(!home.path("nowhere").exists());
    std::fs::create_dir(home.path("prepared")).unwrap();
    symlink(home.path("root/.folder-sync-agent"), home.path("prepared/.folder-sync-agent")).unwrap();
    refusal(LocalFolder::open(&home.path("prepared"), "uid", NEW));
}

#[test]
fn a_root_that_goes_away_stops_every_deed() {
    type Loss = (&'static str, fn(&Home));
    let losses: [Loss; 6] = [
        ("moved", |home| std::fs::rename(home.path("root"), home.path("away")).unwrap()),
        ("replaced", |home| {
            std::fs::rename(home.path("root"), home.path("away")).unwrap();
            std::fs::create_dir(home.path("root")).unwrap();
        }),
        ("replaced by a link to it", |home| {
            std::fs::rename(home.path("root"), home.path("away")).unwrap();
            symlink("away", home.path("root")).unwrap();
        }),
        ("unmarked", |home| std::fs::remove_file(home.path("root/.folder-sync-agent/folder")).unwrap()),
        ("our directory removed", |home| std::fs::remove_dir_all(home.path("root/.folder-sync-agent")).unwrap()),
        ("versions removed", |home| std::fs::remove_dir(home.path("root/.folder-sync-agent/versions")).unwrap()),
    ];
    for (name, lose) in losses {
        let home = Home::new();
        let folder = home.folder();
        let ours = stamp_of(&publish(&folder, 1, "f", "old", Expect::Absent));
        folder.check_root().unwrap();
        lose(&home);
        let deed = Deed::RemoveFile { at: at("f"), expect: ours, on_edit: OnEdit::Displace };
        match run(&folder, 2, deed) {
            DeedResult::Failed(why) => assert_eq!(why.kind, DiskErrorKind::RootLost, "{name}: {why}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(folder.check_root().unwrap_err().kind, DiskErrorKind::RootLost, "{name}");
    }
}

#[test]
fn staged_content_is_checked_and_leaves_nothing_when_wrong() {
    let home = Home::new();
    let folder = home.folder();
    let order = |size, hash: &str| StageOrder { hash: Some(ContentHash::Sha1(hash.to_owned())), ..order(1, size) };
    let good = "a9993e364706816aba3e25717850c26c9cd0d89d";
    let abc = [Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"bc")];
    let wrong = folder.stage_small(&order(Some(4), good), &abc).unwrap_err();
    assert_eq!(wrong, StageError::WrongSize { expected: 4, found: 3 });
    assert_eq!(folder.stage_small(&order(Some(3), "00"), &abc).unwrap_err(), StageError::WrongHash);
    assert_eq!(std::fs::read_dir(home.path("root/.folder-sync-agent/staging")).unwrap().count(), 0);
    let mut writer = folder.stage(&order(None, good)).unwrap();
    writer.write(&[Bytes::from(vec![1; 6_000_000])]).unwrap();
    writer.restart().unwrap();
    writer.write(&abc).unwrap();
    assert_eq!(writer.written(), 3);
    let staged = writer.finish().unwrap();
    assert_eq!(std::fs::read(folder.staged_path(&staged.name)).unwrap(), b"abc");
    assert_eq!(std::io::read_to_string(folder.open_staged(&staged).unwrap()).unwrap(), "abc");
    std::fs::write(folder.staged_path(&staged.name), "abcd").unwrap();
    folder.open_staged(&staged).unwrap_err();
    drop(folder.stage(&order(None, good)).unwrap());
    assert_eq!(folder.sweep_staging(&BTreeSet::from([staged.name.clone()])).unwrap(), 0);
    assert_eq!(folder.sweep_staging(&BTreeSet::new()).unwrap(), 1);
    folder.discard_staged(&staged).unwrap();
}

#[test]
fn what_is_parked_and_forgotten_is_not_destroyed() {
    let home = Home::new();
    let folder = home.folder();
    let parked = home.path("root/.folder-sync-agent/parked");
    for (name, content) in [("1", "kept by its job"), ("2", "forgotten"), ("3", "slot taken"), ("who", "knows")] {
        std::fs::write(parked.join(name), content).unwrap();
    }
    std::fs::write(home.path("root/.folder-sync-agent/versions/3"), "version").unwrap();
    std::fs::create_dir(parked.join("4")).unwrap();
    std::fs::create_dir_all(parked.join("5/sub")).unwrap();
    let swept = folder.sweep_parked(&BTreeSet::from([JobId(1)])).unwrap();
    assert_eq!(swept.removed, 1);
    assert_eq!(swept.kept, [JobId(2)]);
    assert_eq!(swept.left, ["3", "5", "who"]);
    assert_eq!(std::fs::read_to_string(Versions::of(&folder).path(JobId(2))).unwrap(), "forgotten");
    let mut names: Vec<_> = std::fs::read_dir(&parked).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["1", "3", "5", "who"]);
}

#[test]
fn long_files_have_the_digests_of_their_whole_content() {
    let home = Home::new();
    let folder = home.folder();
    let content: Vec<u8> = (0..9_000_001_u32).map(|at| ((at * 13) >> 5) as u8).collect();
    let sha1 = folder_sync_agent::local::hash::hex(&<sha1::Sha1 as sha1::Digest>::digest(&content));
    for part in [100_000, 1_000_003, content.len()] {
        let order = StageOrder { hash: Some(ContentHash::Sha1(sha1.clone())), ..order(1, Some(9_000_001)) };
        let mut writer = folder.stage(&order).unwrap();
        for part in content.chunks(part) {
            writer.write(&[Bytes::copy_from_slice(part)]).unwrap();
        }
        let staged = writer.finish().unwrap();
        assert!(staged.flushed);
        let mut bad = folder.stage(&order).unwrap();
        bad.write(&[Bytes::copy_from_slice(&content[..9_000_000]), Bytes::from_static(b"x")]).unwrap();
        assert_eq!(bad.finish().unwrap_err(), StageError::WrongHash);
    }
}

#[test]
fn versions_are_kept_listed_staged_again_and_pruned() {
    let home = Home::new();
    let folder = home.folder();
    let versions = Versions::of(&folder);
    let mut ours = stamp_of(&publish(&folder, 1, "f", "one", Expect::Absent));
    for (job, content) in [(2, "second"), (3, "third")] {
        ours = stamp_of(&publish(&folder, job, "f", content, Expect::Ours(ours)));
    }
    symlink("f", home.path("root/link")).unwrap();
    publish(&folder, 4, "link", "file", Expect::Absent);
    std::fs::write(home.path("root/.folder-sync-agent/versions/stranger"), "?").unwrap();

    let alone = |job| KeptAt::alone(JobId(job));
    let listed: Vec<_> =
        versions.list().unwrap().iter().map(|slot| (slot.job.0, slot.size, slot.is_restorable)).collect();
    assert_eq!(listed, [(2, 3, true), (3, 6, true), (4, 1, false)]);
    assert_eq!(versions.total().unwrap(), Total { slots: 3, bytes: 10 });
    assert_eq!(std::io::read_to_string(versions.open(&alone(3)).unwrap()).unwrap(), "second");
    assert_eq!(std::fs::read_to_string(versions.path(JobId(2))).unwrap(), "one");
    versions.open(&alone(4)).unwrap_err();
    versions.open(&alone(99)).unwrap_err();

    let staged = versions.stage(&alone(2), &order(5, None)).unwrap();
    let back = Deed::Publish { staged, at: at("f"), expect: Expect::Ours(ours), on_edit: OnEdit::Keep };
    assert!(matches!(
        run(&folder, 5, back),
        DeedResult::Done { displaced: Some(Displaced { size: 5, edited: false }), .. }
    ));
    assert_eq!(std::fs::read_to_string(home.path("root/f")).unwrap(), "one");

    let pruned = versions.prune(&[JobId(2), JobId(4), JobId(77)]).unwrap();
    assert_eq!(pruned, Total { slots: 2, bytes: 4 });
    assert_eq!(versions.find(JobId(2)).unwrap(), None);
    assert!(home.path("root/.folder-sync-agent/versions/stranger").exists());
}

#[test]
fn a_directory_is_kept_whole_opened_by_name_staged_and_pruned() {
    let home = Home::new();
    let folder = home.folder();
    let versions = Versions::of(&folder);
    let kept = versions.path(JobId(7));
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("a"), "one").unwrap();
    std::fs::write(kept.join("b"), "three").unwrap();
    symlink("a", kept.join("link")).unwrap();
    let inside = |name: &str| KeptAt { job: JobId(7), inside: Some(Name::new(name.as_bytes()).unwrap()) };

    let slot = versions.find(JobId(7)).unwrap().unwrap();
    assert_eq!((slot.size, slot.is_restorable), (9, true));
    assert_eq!(std::io::read_to_string(versions.open(&inside("b")).unwrap()).unwrap(), "three");
    for bad in [inside("link"), inside("none"), KeptAt::alone(JobId(7))] {
        versions.open(&bad).unwrap_err();
    }
    let staged = versions.stage(&inside("a"), &order(5, None)).unwrap();
    assert_eq!(staged.stamp.size, 3);

    assert_eq!(versions.prune(&[JobId(7)]).unwrap(), Total { slots: 1, bytes: 9 });
    assert!(!kept.exists());
    assert_eq!(versions.prune(&[JobId(7)]).unwrap(), Total::default(), "once more, as after a crash");
}

#[test]
fn the_walk_sees_everything_of_any_depth_and_follows_nothing() {
    let home = Home::new();
    let folder = home.folder();
    assert!(folder.is_empty().unwrap());
    std::fs::create_dir(home.path("outside")).unwrap();
    std::fs::write(home.path("outside/secret"), "").unwrap();
    symlink("../outside", home.path("root/link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, home.path("root/pipe"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();

    // Deeper than one path of the system can be long.
    let name = "d".repeat(200);
    let depth = 60;
    let mut path = RelPath::root();
    for _ in 0..depth {
        path = path.join(&Name::new(name.as_bytes()).unwrap());
        let made = run(&folder, 1, Deed::MakeFolder { at: Place::tree(path.clone()) });
        assert!(matches!(made, DeedResult::Done { .. }), "{made:?}");
    }
    let file = Place::tree(path.join(&Name::new(b"file").unwrap()));
    let staged = stage(&folder, 2, "deep");
    let put = Deed::Publish { staged, at: file.clone(), expect: Expect::Absent, on_edit: OnEdit::Keep };
    stamp_of(&run(&folder, 2, put));

    let mut kinds = Vec::new();
    let mut deepest = 0;
    let _ = folder.walk(&RelPath::root(), &mut |found| {
        match found {
            Found::Entry { path, kind, .. } => {
                deepest = deepest.max(path.names().len());
                kinds.push((path.names()[0].to_text().len(), kind));
            }
            Found::Unreadable { path, why } => panic!("{path}: {why}"),
        }
        ControlFlow::Continue(())
    });
    assert_eq!(deepest, depth + 1);
    assert_eq!(kinds.len(), depth + 1 + 2);
    assert!(kinds.contains(&(4, Kind::Link)) && kinds.contains(&(4, Kind::Special)));
    let mut some = 0;
    let flow = folder.walk(&RelPath::root(), &mut |_| {
        some += 1;
        if some == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((flow, some), (ControlFlow::Break(()), 3));
    assert!(!folder.is_empty().unwrap());
    let missing = RelPath::parse("none").unwrap();
    let flow = folder.walk(&missing, &mut |found| match found {
        Found::Unreadable { .. } => ControlFlow::Break(()),
        Found::Entry { path, .. } => panic!("{path}"),
    });
    assert_eq!(flow, ControlFlow::Break(()), "a directory that cannot be read is reported");
    // The standard library cannot remove a tree of this depth by path; take it apart from above.
    Command::new("rm").args(["-rf".as_ref(), home.path("root").as_os_str()]).status().unwrap();
}

/// A local program swaps a directory with a link that leads outside, as fast as it can, while files are published into,
/// removed from and renamed in it. The victim outside has the same names.
#[test]
fn a_racing_link_never_leads_outside() {
    const ROUNDS: i64 = 1_500;
    let home = Home::new();
    let folder = home.folder();
    std::fs::create_dir(home.path("victim")).unwrap();
    for name in ["f", "g"] {
        std::fs::write(home.path("victim").join(name), "victim").unwrap();
    }
    std::fs::create_dir(home.path("root/d")).unwrap();
    symlink("../victim", home.path("root/link")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (root, stop) = (home.path("root"), Arc::clone(&stop));
        move || {
            let dir = std::fs::File::open(root).unwrap();
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&dir, "d", &dir, "link", exchange).unwrap();
                swaps += 1;
            }
            swaps
        }
    });
    let (mut done, mut unsafe_path) = (0, 0);
    let victim = |home: &Home| {
        let names: Vec<_> = std::fs::read_dir(home.path("victim")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        for name in ["f", "g"] {
            assert_eq!(std::fs::read_to_string(home.path("victim").join(name)).unwrap(), "victim");
        }
    };
    for round in 0..ROUNDS {
        let victim_stamp = {
            let meta = std::fs::metadata(home.path("victim/f")).unwrap();
            let mtime_ns = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            Stamp { dev: meta.dev(), ino: meta.ino(), size: 6, mtime_ns, ctime_ns: 0 }
        };
        let deed = match round % 5 {
            0 => Deed::Publish {
                staged: stage(&folder, round, "ours"),
                at: at("d/f"),
                expect: Expect::Ours(victim_stamp),
                on_edit: OnEdit::Displace,
            },
            1 => Deed::RemoveFile { at: at("d/f"), expect: victim_stamp, on_edit: OnEdit::Displace },
            2 => Deed::Relocate { from: at("d/f"), to: at("d/h"), expect: victim_stamp, is_folder: false, holds: None },
            3 => Deed::MakeFolder { at: at("d/sub") },
            _ => Deed::RemoveFolder { at: at("d/sub") },
        };
        match run(&folder, round, deed) {
            DeedResult::Failed(why) if why.kind == DiskErrorKind::UnsafePath => unsafe_path += 1,
            DeedResult::Failed(why) => assert_eq!(why.kind, DiskErrorKind::Item, "{why}"),
            _ => done += 1,
        }
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapper.join().unwrap();
    victim(&home);
    assert!(swaps > 0 && done > 0 && unsafe_path > 0, "{swaps} swaps, {done} done, {unsafe_path} refused");
}

/// A filesystem of its own, if this process may mount one.
struct Mount {
    at: PathBuf,
    _home: Home,
}

impl Mount {
    fn tmpfs(options: &str) -> Option<Self> {
        let home = Home::new();
        let at = home.path("mount");
        std::fs::create_dir(&at).unwrap();
        let mounted = command(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at));
        mounted.then(|| Self { at, _home: home }).or_else(|| skip("tmpfs"))
    }

    fn ext4(megabytes: u64) -> Option<Self> {
        let home = Home::new();
        let (image, at) = (home.path("image"), home.path("mount"));
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        let mounted = command(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))
            && command(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        mounted.then(|| Self { at, _home: home }).or_else(|| skip("a loop-mounted ext4"))
    }

    fn remount(&self, options: &str) {
        assert!(command(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.at)));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        command(Command::new("umount").arg("-l").arg(&self.at));
    }
}

fn command(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn skip(what: &str) -> Option<Mount> {
    eprintln!("SKIPPED: {what} cannot be mounted here (it needs root and the mount programs)");
    None
}

fn staged_names(root: &Path) -> usize {
    std::fs::read_dir(root.join(".folder-sync-agent/staging")).unwrap().count()
}

#[test]
fn a_full_disk_is_said_to_be_full_and_works_again_with_room() {
    for mount in [Mount::ext4(16), Mount::tmpfs("size=8m")].into_iter().flatten() {
        let root = mount.at.join("root");
        let folder = LocalFolder::open(&root, "uid", NEW).unwrap();
        let ours = stamp_of(&publish(&folder, 1, "f", "old", Expect::Absent));

        // Too large: refused before a byte is fetched.
        let why = folder.stage(&order(2, Some(1 << 30))).map(|_| ()).unwrap_err();
        assert_eq!(why.kind, DiskErrorKind::Full, "{why}");
        // Of unknown length: fails when the disk is full.
        let mut writer = folder.stage(&order(3, None)).unwrap();
        let part = [Bytes::from(vec![7; 1 << 20])];
        let why = (0..64).find_map(|_| writer.write(&part).err()).expect("a full disk");
        assert_eq!(why.kind, DiskErrorKind::Full, "{why}");
        drop(writer);
        assert_eq!(staged_names(&root), 0);

        // Filled by others to the last block.
        let mut filler = std::fs::File::create(mount.at.join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while std::io::Write::write_all(&mut filler, &vec![1; size]).is_ok() {}
        }
        let full = |result: Result<Staged, StageError>| match result {
            Err(StageError::Disk(why)) => assert_eq!(why.kind, DiskErrorKind::Full, "{why}"),
            other => panic!("{other:?}"),
        };
        full(folder.stage_small(&order(4, None), &[Bytes::from(vec![1; 100_000])]));
        // It still opens, and still lets files go.
        drop(folder);
        let folder = LocalFolder::open(&root, "uid", KNOWN).unwrap();
        let gone = run(&folder, 5, Deed::RemoveFile { at: at("f"), expect: ours, on_edit: OnEdit::Displace });
        assert!(matches!(gone, DeedResult::Done { displaced: Some(_), .. }), "{gone:?}");
        drop(filler);
        std::fs::remove_file(mount.at.join("filler")).unwrap();
        stamp_of(&publish(&folder, 6, "f", &"new".repeat(30_000), Expect::Absent));
        assert_eq!(staged_names(&root), 0);
    }
}

#[test]
fn room_that_is_to_stay_free_stays_free() {
    let Some(mount) = Mount::tmpfs("size=8m") else { return };
    let options = LocalOptions { min_free: 4 << 20, ..NEW };
    let folder = LocalFolder::open(&mount.at.join("root"), "uid", options).unwrap();
    folder.stage_small(&order(1, Some(3)), &[Bytes::from_static(b"abc")]).unwrap();
    let why = folder.stage(&order(2, Some(5 << 20))).map(|_| ()).unwrap_err();
    assert_eq!(why.kind, DiskErrorKind::Full, "{why}");
    assert!(why.text.contains("stay free"), "{why}");
}

#[test]
fn a_disk_without_inodes_is_full() {
    let Some(mount) = Mount::tmpfs("size=8m,nr_inodes=40") else { return };
    let folder = LocalFolder::open(&mount.at.join("root"), "uid", NEW).unwrap();
    let mut files = 0;
    let why = loop {
        match folder.stage_small(&order(files, None), &[]) {
            Ok(_) => files += 1,
            Err(StageError::Disk(why)) => break why,
            Err(other) => panic!("{other}"),
        }
        assert!(files < 100);
    };
    assert_eq!(why.kind, DiskErrorKind::Full, "{why}");
    match run(&folder, 100, Deed::MakeFolder { at: at("d") }) {
        DeedResult::Failed(why) => assert_eq!(why.kind, DiskErrorKind::Full, "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_read_only_disk_waits() {
    let Some(mount) = Mount::tmpfs("size=8m") else { return };
    let root = mount.at.join("root");
    let folder = LocalFolder::open(&root, "uid", NEW).unwrap();
    let staged = stage(&folder, 1, "new");
    mount.remount("ro");
    let deed = Deed::Publish { staged, at: at("f"), expect: Expect::Absent, on_edit: OnEdit::Displace };
    for deed in [deed.clone(), Deed::MakeFolder { at: at("d") }] {
        match run(&folder, 1, deed) {
            DeedResult::Failed(why) => assert_eq!(why.kind, DiskErrorKind::NotWritable, "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refusal(LocalFolder::open(&root, "uid", KNOWN)).0, DiskErrorKind::NotWritable);
    assert_eq!(refusal(LocalFolder::open(&mount.at.join("new"), "uid", NEW)).0, DiskErrorKind::NotWritable);
    mount.remount("rw");
    stamp_of(&run(&folder, 1, deed));
}

#[test]
fn a_mount_inside_is_not_entered_and_one_over_the_root_is_noticed() {
    let Some(mount) = Mount::tmpfs("size=8m") else { return };
    let root = mount.at.join("root");
    let folder = LocalFolder::open(&root, "uid", NEW).unwrap();
    let inner = root.join("inner");
    std::fs::create_dir(&inner).unwrap();
    assert!(command(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&inner)));
    std::fs::write(inner.join("f"), "other disk").unwrap();
    let unsafe_path = |result: DeedResult| match result {
        DeedResult::Failed(why) => assert_eq!(why.kind, DiskErrorKind::UnsafePath, "{why}"),
        other => panic!("{other:?}"),
    };
    unsafe_path(publish(&folder, 1, "inner/f", "new", Expect::Absent));
    unsafe_path(run(&folder, 2, Deed::MakeFolder { at: at("inner") }));
    unsafe_path(run(&folder, 2, Deed::RemoveFolder { at: at("inner") }));
    let mut seen = Vec::new();
    let _ = folder.walk(&RelPath::root(), &mut |found| {
        match found {
            Found::Entry { path, kind, .. } => seen.push((path.to_string(), kind)),
            Found::Unreadable { path, why } => panic!("{path}: {why}"),
        }
        ControlFlow::Continue(())
    });
    assert_eq!(seen, [("inner".to_owned(), Kind::Special)]);
    assert_eq!(std::fs::read_to_string(inner.join("f")).unwrap(), "other disk");
    assert!(command(Command::new("umount").arg(&inner)));

    assert!(command(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&root)));
    match publish_result(&folder) {
        DeedResult::Failed(why) => assert_eq!(why.kind, DiskErrorKind::RootLost, "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(command(Command::new("umount").arg(&root)));
    stamp_of(&publish(&folder, 4, "f", "new", Expect::Absent));
}

fn publish_result(folder: &LocalFolder) -> DeedResult {
    publish(folder, 3, "f", "new", Expect::Absent)
}
