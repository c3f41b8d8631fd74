//! The watch over a folder: tells which directories changed, or that everything must be scanned. It is only ever a hint: the truth is a scan.
//!
//! Directories are watched one by one, so that our own and those behind links and mounts never are.

mod barrier;
mod limits;
mod mounts;
mod quiet;

pub use limits::{NoWatch, room_for_a_watch};

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use self::barrier::Barriers;
use self::mounts::Mounts;
use self::quiet::Quieter;
use super::LocalFolder;
use crate::local_news::{News, Rescan};
use crate::path::{Name, RESERVED_NAME, RelPath};

/// How many notifications may wait; when more come, everything is scanned.
const WAITING_MAX: usize = 4_096;
/// Directories that may not be read, and are watched as soon as they may; more are a complaint.
const REFUSED_MAX: usize = 1_000;
/// The watch looks at least this often whether it is still wanted.
const PULSE: Duration = Duration::from_secs(1);

/// A watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watching {
    stop: Arc<AtomicBool>,
    local: Arc<LocalFolder>,
    barriers: Arc<Barriers>,
}

impl Watching {
    /// Asks for everything that happened in the folder until now to be told as hints at once. Something arrives when that is done;
    /// nothing is returned where the watch cannot say.
    pub fn barrier(&self) -> Option<Receiver<()>> {
        self.barriers.ask(&self.local)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Watches a folder on a thread of its own. `tell` hands a hint on, or gives it back when there is no room for it now.
///
/// The first hint is [`Rescan::Began`], told when the watch stands: what changed before is for a scan to find.
pub fn watch(
    local: Arc<LocalFolder>,
    tell: impl FnMut(News) -> Result<(), News> + Send + 'static,
) -> std::io::Result<Watching> {
    let stop = Arc::new(AtomicBool::new(false));
    let barriers = Arc::new(Barriers::default());
    let watching = Watching { stop: Arc::clone(&stop), local: Arc::clone(&local), barriers: Arc::clone(&barriers) };
    barrier::sweep(&local);
    std::thread::Builder::new().name("watch".into()).spawn(move || run(&local, tell, &stop, &barriers))?;
    Ok(watching)
}

fn run(
    local: &LocalFolder,
    mut tell: impl FnMut(News) -> Result<(), News>,
    stop: &AtomicBool,
    barriers: &Arc<Barriers>,
) {
    let began = Instant::now();
    let now = || began.elapsed().as_millis() as u64;
    let mut quieter = Quieter::default();
    let (mut watch, events) = match Watch::new(local, barriers) {
        Ok(made) => made,
        Err(error) => {
            barriers.go_deaf();
            quieter.rescan(Rescan::Unwatched { text: explain(&error, 0) }, now());
            deliver_last(&mut quieter, &mut tell, stop, now);
            return;
        }
    };
    let mut mounts = Mounts::of(local.root());
    let mut is_root_doubted = false;
    watch.add_our_own();
    watch.add(&RelPath::root(), &mut |_| ());
    quieter.rescan(Rescan::Began, now());
    watch.complain(&mut quieter, now());
    while !stop.load(Ordering::Relaxed) {
        if let Some(news) = quieter.take(now())
            && let Err(news) = tell(news)
        {
            quieter.again(news, now());
        }
        if quieter.is_empty() {
            for passed in watch.passed.drain(..) {
                // Whoever waited may have gone away.
                let _ = passed.send(());
            }
        }
        let rest = quieter.due_at().map_or(PULSE, |due| Duration::from_millis(due.saturating_sub(now())).min(PULSE));
        match events.recv_timeout(rest) {
            Ok(event) => watch.take(event, &mut quieter, now()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                barriers.go_deaf();
                quieter.rescan(Rescan::Unwatched { text: "the watch ended by itself".into() }, now());
                deliver_last(&mut quieter, &mut tell, stop, now);
                return;
            }
        }
        if let Some(places) = mounts.changed() {
            is_root_doubted = true;
            for place in places {
                watch.remounted(&place, &mut quieter, now());
            }
        }
        if is_root_doubted && tell(News::Root).is_ok() {
            is_root_doubted = false;
        }
        if watch.missed.swap(false, Ordering::Relaxed) {
            // Directories that nobody told us of may be there now.
            watch.add(&RelPath::root(), &mut |_| ());
            quieter.rescan(Rescan::Overflow, now());
            // A cookie may be among what was dropped.
            watch.passed.extend(barriers.everybody());
        }
        watch.complain(&mut quieter, now());
    }
}

/// Without a watch there is one thing left to say.
fn deliver_last(
    quieter: &mut Quieter,
    tell: &mut impl FnMut(News) -> Result<(), News>,
    stop: &AtomicBool,
    now: impl Fn() -> u64,
) {
    while let Some(due) = quieter.due_at().filter(|_| !stop.load(Ordering::Relaxed)) {
        std::thread::sleep(Duration::from_millis(due.saturating_sub(now())).min(PULSE));
        if let Some(news) = quieter.take(now())
            && let Err(news) = tell(news)
        {
            quieter.again(news, now());
        }
    }
}

struct Watch<'a> {
    local: &'a LocalFolder,
    barriers: &'a Barriers,
    /// Whose cookies were noticed, until what was noticed before them is told.
    passed: Vec<Sender<()>>,
    watcher: RecommendedWatcher,
    missed: Arc<AtomicBool>,
    watched: u64,
    /// Why not every directory is watched, until it is told.
    trouble: Option<String>,
    /// Directories that we may not read. What is in them is a problem of the scan's to report.
    refused: BTreeSet<RelPath>,
    /// The system takes no more watches; asking again for each directory would only cost time.
    full: bool,
}

impl<'a> Watch<'a> {
    fn new(local: &'a LocalFolder, barriers: &'a Barriers) -> notify::Result<(Self, Receiver<notify::Result<Event>>)> {
        let (sender, events) = sync_channel(WAITING_MAX);
        let missed = Arc::new(AtomicBool::new(false));
        let handler = forwarder(sender, Arc::clone(&missed));
        let watcher = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false))?;
        let watch = Self {
            local,
            barriers,
            passed: Vec::new(),
            watcher,
            missed,
            watched: 0,
            trouble: None,
            refused: BTreeSet::new(),
            full: false,
        };
        Ok((watch, events))
    }

    /// Watches our own directory for cookies. What was asked before then is answered once the watch stands.
    fn add_our_own(&mut self) {
        let ours = self.local.root().join(RESERVED_NAME);
        match self.watcher.watch(&ours, RecursiveMode::NonRecursive) {
            Ok(()) => self.passed.extend(self.barriers.everybody()),
            Err(error) => {
                self.barriers.go_deaf();
                self.trouble = Some(explain(&error, self.watched));
            }
        }
    }

    /// Watches a directory and all below it; `found` hears of each.
    fn add(&mut self, dir: &RelPath, found: &mut dyn FnMut(&RelPath)) {
        self.full = false;
        self.add_one(dir);
        let local = self.local;
        // A directory that cannot be read is a problem of the scan's to report.
        local.walk_folders(dir, &mut |path| {
            found(path);
            self.add_one(path);
        });
    }

    fn add_one(&mut self, dir: &RelPath) {
        if self.full {
            return;
        }
        match self.watcher.watch(&self.path_of(dir), RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched += 1;
                self.refused.remove(dir);
            }
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                self.full = true;
                self.trouble = Some(explain(&error, self.watched));
            }
            // It went away just now, and its parent tells of that.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
            Err(error) if is_refusal(&error) && self.refused.len() < REFUSED_MAX => {
                self.refused.insert(dir.clone());
            }
            Err(error) => self.trouble = Some(explain(&error, self.watched)),
        }
    }

    fn complain(&mut self, quieter: &mut Quieter, now: u64) {
        if let Some(text) = self.trouble.take() {
            quieter.rescan(Rescan::Unwatched { text }, now);
        }
    }

    fn path_of(&self, dir: &RelPath) -> PathBuf {
        if dir.is_root() { self.local.root().to_owned() } else { self.local.root().join(dir.to_path()) }
    }

    fn take(&mut self, event: notify::Result<Event>, quieter: &mut Quieter, now: u64) {
        let event = match event {
            Ok(event) if event.need_rescan() => {
                self.missed.store(true, Ordering::Relaxed);
                return;
            }
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(%error, "the watch stumbled");
                self.missed.store(true, Ordering::Relaxed);
                return;
            }
        };
        for path in &event.paths {
            if let Some(passed) = self.barriers.noticed(self.local.root(), path) {
                self.passed.push(passed);
                quieter.hurry(now);
                continue;
            }
            let Some(path) = relative(self.local.root(), path) else { continue };
            // A directory appeared, or may be read from now on: it may hold something already, which nobody told of. With other
            // permissions it may be one that can no longer be read.
            let is_changed = matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
            if (may_be_new_folder(event.kind) || is_changed) && self.is_folder(&path) {
                quieter.note(path.clone(), now);
                if !is_changed || self.refused.contains(&path) {
                    self.add(&path, &mut |inner| quieter.note(inner.clone(), now));
                }
            }
            quieter.note(path.split_last().map_or_else(RelPath::root, |(parent, _)| parent), now);
        }
    }

    /// Something was mounted over a directory, or is no longer: the one above tells what is there now.
    fn remounted(&mut self, place: &RelPath, quieter: &mut Quieter, now: u64) {
        quieter.note(place.split_last().map_or_else(RelPath::root, |(parent, _)| parent), now);
        // Never into what is mounted.
        if self.local.lookup.open(self.local.top.as_fd(), self.local.stamp.dev, place.names()).is_ok() {
            self.add(place, &mut |inner| quieter.note(inner.clone(), now));
        }
    }

    fn is_folder(&self, path: &RelPath) -> bool {
        self.path_of(path).symlink_metadata().is_ok_and(|seen| seen.is_dir())
    }
}

fn may_be_new_folder(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(CreateKind::File) => false,
        EventKind::Create(_) => true,
        EventKind::Modify(ModifyKind::Name(mode)) => !matches!(mode, RenameMode::From),
        _ => false,
    }
}

/// What is called for each notification, on a thread that must never wait.
fn forwarder(
    sender: SyncSender<notify::Result<Event>>,
    missed: Arc<AtomicBool>,
) -> impl FnMut(notify::Result<Event>) + Send + 'static {
    move |event| {
        let says_nothing = |event: &Event| {
            // Both names of a rename were told by themselves before.
            let both = matches!(event.kind, EventKind::Modify(ModifyKind::Name(RenameMode::Both)));
            let read = event.kind.is_access()
                && !matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write)));
            both || read
        };
        if event.as_ref().is_ok_and(says_nothing) {
            return;
        }
        if sender.try_send(event).is_err() {
            missed.store(true, Ordering::Relaxed);
        }
    }
}

/// The path below the root; nothing for what is ours, and for what is not in the root at all.
fn relative(root: &Path, path: &Path) -> Option<RelPath> {
    let names = path.strip_prefix(root).ok()?.components();
    let names: Option<Vec<Name>> = names.map(|name| Name::new(name.as_os_str().as_encoded_bytes()).ok()).collect();
    names.map(RelPath::from_names)
}

/// Whether it is for want of rights.
fn is_refusal(error: &notify::Error) -> bool {
    matches!(&error.kind, ErrorKind::Io(why) if why.kind() == std::io::ErrorKind::PermissionDenied)
}

fn explain(error: &notify::Error, watched: u64) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => format!(
            "the system watches no more directories ({watched} of this folder are watched); \
             raise the limit, for example: sysctl fs.inotify.max_user_watches=524288"
        ),
        // EMFILE: the number of watchers, not of directories.
        ErrorKind::Io(why) if why.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "the system allows no more watchers; raise the limit, for example: sysctl fs.inotify.max_user_instances=1024"
                .to_owned()
        }
        _ => format!("not every directory is watched: {error}"),
    }
}

#[cfg(test)]
mod tests;
