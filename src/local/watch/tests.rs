//! The watch over real directories. Every wait is for a hint, with a deadline.

use std::fs;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::local::LocalOptions;

const DEADLINE: Duration = Duration::from_secs(30);

struct Bed {
    dir: tempfile::TempDir,
    news: Receiver<News>,
    watching: Option<Watching>,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let options = LocalOptions { file_mode: 0o644, dir_mode: 0o755, min_free: 0, create: true };
        let local = Arc::new(LocalFolder::open(dir.path(), "mark", options).unwrap());
        let (sender, news) = channel();
        let watching = watch(local, move |news| sender.send(news).map_err(|back| back.0)).unwrap();
        let bed = Self { dir, news, watching: Some(watching) };
        assert_eq!(bed.next(), News::Rescan(Rescan::Began), "the watch stands");
        bed
    }

    fn next(&self) -> News {
        self.news.recv_timeout(DEADLINE).expect("a hint in time")
    }

    /// Gathers hints until every one of these directories was named. Others may be named as well: a hint too many costs nothing.
    fn names(&self, dirs: &[&str]) -> Vec<RelPath> {
        let wanted: Vec<RelPath> = dirs.iter().map(|dir| rel(dir)).collect();
        let mut named = Vec::new();
        let deadline = Instant::now() + DEADLINE;
        while !wanted.iter().all(|dir| named.contains(dir)) {
            assert!(Instant::now() < deadline, "{wanted:?} of {named:?}");
            match self.next() {
                News::Dirs(dirs) => named.extend(dirs),
                other => panic!("{other:?}"),
            }
        }
        named
    }

    fn write(&self, path: &str) {
        fs::write(self.dir.path().join(path), "content").unwrap();
    }
}

fn rel(path: &str) -> RelPath {
    path.split('/')
        .filter(|name| !name.is_empty())
        .fold(RelPath::root(), |path, name| path.join(&Name::new(name.as_bytes()).unwrap()))
}

#[test]
fn changes_name_their_directories() {
    let bed = Bed::new();
    bed.write("top.txt");
    bed.write("a/b/deep.txt");
    bed.names(&["", "a/b"]);
    fs::remove_file(bed.dir.path().join("a/b/deep.txt")).unwrap();
    bed.names(&["a/b"]);
    fs::rename(bed.dir.path().join("top.txt"), bed.dir.path().join("a/moved.txt")).unwrap();
    bed.names(&["", "a"]);
}

#[test]
fn directories_that_come_are_watched_with_all_that_they_hold() {
    let bed = Bed::new();
    let outside = tempfile::tempdir_in(bed.dir.path().parent().unwrap()).unwrap();
    fs::create_dir_all(outside.path().join("tree/x/y")).unwrap();
    fs::rename(outside.path().join("tree"), bed.dir.path().join("tree")).unwrap();
    bed.names(&["", "tree", "tree/x", "tree/x/y"]);
    bed.write("tree/x/y/new.txt");
    bed.names(&["tree/x/y"]);
    // A directory that changed its place is watched in the new one.
    fs::rename(bed.dir.path().join("tree/x"), bed.dir.path().join("a/x")).unwrap();
    bed.names(&["tree", "a", "a/x", "a/x/y"]);
    bed.write("a/x/y/more.txt");
    let named = bed.names(&["a/x/y"]);
    assert!(!named.contains(&rel("tree/x/y")), "{named:?}");
}

/// What was told of it under its other name leads nowhere once it is back.
#[test]
fn a_directory_that_went_and_came_back_is_named_itself() {
    let bed = Bed::new();
    let (here, there) = (bed.dir.path().join("a"), bed.dir.path().join("c"));
    fs::rename(&here, &there).unwrap();
    bed.write("c/b/new.txt");
    fs::rename(&there, &here).unwrap();
    bed.names(&["", "a", "a/b"]);
}

#[test]
fn our_own_directory_and_what_is_behind_links_is_not_watched() {
    let bed = Bed::new();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), bed.dir.path().join("link")).unwrap();
    bed.names(&[""]);
    fs::write(outside.path().join("elsewhere"), "x").unwrap();
    let ours = bed.dir.path().join(crate::path::RESERVED_NAME);
    fs::write(ours.join("staging/part"), "x").unwrap();
    fs::create_dir(ours.join("new")).unwrap();
    // The next hint is about this alone.
    bed.write("a/mark.txt");
    assert_eq!(bed.next(), News::Dirs(vec![rel("a")]));
}

#[test]
fn a_barrier_is_passed_when_what_came_before_it_is_told() {
    let bed = Bed::new();
    let watching = bed.watching.as_ref().unwrap();
    for round in 0..20 {
        bed.write(&format!("a/b/file {round}"));
        watching.barrier().expect("a watch that hears").recv_timeout(DEADLINE).expect("in time");
        let told: Vec<News> = bed.news.try_iter().collect();
        assert!(told.iter().any(|news| matches!(news, News::Dirs(dirs) if dirs.contains(&rel("a/b")))), "{told:?}");
    }
    let ours = fs::read_dir(bed.dir.path().join(crate::path::RESERVED_NAME)).unwrap().flatten();
    assert!(ours.map(|entry| entry.file_name()).all(|name| !name.to_string_lossy().starts_with("cookie")));
}

#[test]
fn a_directory_whose_permissions_change_is_named_itself() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new();
    fs::set_permissions(bed.dir.path().join("a/b"), fs::Permissions::from_mode(0o500)).unwrap();
    bed.names(&["a", "a/b"]);
}

#[test]
fn a_watch_that_is_let_go_ends() {
    let mut bed = Bed::new();
    bed.watching.take();
    // The sender goes away with the thread.
    while bed.news.recv_timeout(DEADLINE).is_ok() {}
    assert!(bed.news.recv_timeout(DEADLINE).is_err());
}

#[test]
fn what_is_missed_becomes_a_scan() {
    let (sender, events) = sync_channel(1);
    let missed = Arc::new(AtomicBool::new(false));
    let mut forward = forwarder(sender, Arc::clone(&missed));
    let event = |kind| Ok(Event::new(kind).add_path("/x".into()));
    forward(event(EventKind::Access(AccessKind::Open(AccessMode::Any))));
    assert!(events.try_recv().is_err(), "reading is no news");
    forward(event(EventKind::Create(CreateKind::File)));
    assert!(!missed.load(Ordering::Relaxed));
    forward(event(EventKind::Create(CreateKind::File)));
    assert!(missed.load(Ordering::Relaxed), "there was no room");
}

#[test]
fn every_refusal_says_what_to_raise() {
    let full = notify::Error::new(ErrorKind::MaxFilesWatch);
    assert!(explain(&full, 7).contains("fs.inotify.max_user_watches"));
    let instances = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
    assert!(explain(&notify::Error::io(instances), 0).contains("fs.inotify.max_user_instances"));
}
