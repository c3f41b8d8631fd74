//! What a batch of deeds holds open and remembers, and how it becomes durable as one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;

use super::LocalFolder;
use super::disk::{self, Seen};
use super::refusal::error;
use crate::deed::{Base, DeedResult, DiskError, DiskErrorKind, Place};
use crate::id::JobId;
use crate::path::{Name, RelPath};

/// The most directories kept open for the deeds that follow.
const OPEN_MAX_DIRS: usize = 128;
/// From this many on, one flush of the filesystem is cheaper than one for each file or directory.
pub(super) const FLUSH_TOGETHER_MIN: usize = 16;

/// Which tree a path starts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Tree {
    Visible,
    Parked,
}

/// Where a directory was looked up.
pub(super) type Key = (Tree, RelPath);

/// An open directory of this batch.
#[derive(Debug)]
pub(super) struct Dir {
    pub fd: OwnedFd,
    pub ino: u64,
    /// Where it must still be at the end; nothing once a deed of ours moved or removed it.
    key: RefCell<Option<Key>>,
    /// The deeds that changed it.
    users: RefCell<Vec<usize>>,
}

impl Dir {
    /// A directory of our own, which nobody else moves.
    pub fn of_ours(fd: OwnedFd) -> rustix::io::Result<Self> {
        let ino = disk::look_at(&fd)?.stamp.ino;
        Ok(Self { fd, ino, key: RefCell::new(None), users: RefCell::default() })
    }

    /// Where it is, for messages.
    fn place(&self) -> String {
        self.key.borrow().as_ref().map_or_else(String::new, |(_, path)| path.to_string())
    }
}

/// A single name in an open directory.
pub(super) struct Spot {
    pub dir: Rc<Dir>,
    pub name: OsString,
}

impl Spot {
    pub(super) fn at(&self) -> (BorrowedFd<'_>, &OsStr) {
        (self.dir.fd.as_fd(), &self.name)
    }

    pub(super) fn look(&self) -> rustix::io::Result<Option<Seen>> {
        disk::look(self.dir.fd.as_fd(), &self.name)
    }
}

/// What is known while a batch is carried out.
pub(super) struct Batch<'a> {
    pub folder: &'a LocalFolder,
    open: HashMap<Key, Rc<Dir>>,
    touched: Vec<Rc<Dir>>,
    staging_touched: Cell<bool>,
    pub versions_touched: Cell<bool>,
    pub current: usize,
}

/// The tree and the whole path in it of a place.
pub(super) fn full_path(place: &Place) -> Key {
    match place.base {
        Base::Tree => (Tree::Visible, place.path.clone()),
        Base::Parked(job) => {
            let mut names = Vec::with_capacity(place.path.names().len() + 1);
            // A number is always a name.
            names.extend(Name::new(job.to_string().as_bytes()));
            names.extend_from_slice(place.path.names());
            (Tree::Parked, RelPath::from_names(names))
        }
    }
}

/// A place in messages.
pub(super) fn shown(place: &Place) -> String {
    match place.base {
        Base::Tree => place.path.to_string(),
        Base::Parked(job) => format!("parked {job}/{}", place.path),
    }
}

impl<'a> Batch<'a> {
    pub(super) fn new(folder: &'a LocalFolder) -> Self {
        Self {
            folder,
            open: HashMap::new(),
            touched: Vec::new(),
            staging_touched: Cell::new(false),
            versions_touched: Cell::new(false),
            current: 0,
        }
    }

    /// Finds the directory of a place; nothing if it does not exist.
    pub(super) fn spot(&mut self, place: &Place) -> Result<Option<Spot>, DiskError> {
        let (tree, path) = full_path(place);
        let Some((parent, name)) = path.split_last() else {
            return Err(error(DiskErrorKind::Item, "change", &shown(place), "it is the folder itself"));
        };
        let key = (tree, parent);
        if let Some(dir) = self.open.get(&key) {
            return Ok(Some(Spot { dir: Rc::clone(dir), name: name.as_os_str().to_owned() }));
        }
        match self.look_up(&key) {
            Ok(fd) => {
                let dir = self.remember(fd, key).map_err(|why| self.refuse("open the directory of", place, why))?;
                Ok(Some(Spot { dir, name: name.as_os_str().to_owned() }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(why) => Err(self.refuse("find the directory of", place, why)),
        }
    }

    /// Finds the directory of a place where something is to appear.
    pub(super) fn target(&mut self, place: &Place) -> Result<Spot, DiskError> {
        self.spot(place)?.ok_or_else(|| {
            error(DiskErrorKind::ParentMissing, "find the directory of", &shown(place), "it is not there")
        })
    }

    pub(super) fn look_up(&self, (tree, path): &Key) -> rustix::io::Result<OwnedFd> {
        let top = match tree {
            Tree::Visible => &self.folder.top,
            Tree::Parked => &self.folder.parked,
        };
        self.folder.lookup.open(top.as_fd(), self.folder.stamp.dev, path.names())
    }

    pub(super) fn remember(&mut self, fd: OwnedFd, key: Key) -> rustix::io::Result<Rc<Dir>> {
        if self.open.len() >= OPEN_MAX_DIRS {
            self.open.clear();
        }
        let ino = disk::look_at(&fd)?.stamp.ino;
        let dir = Rc::new(Dir { fd, ino, key: RefCell::new(Some(key.clone())), users: RefCell::default() });
        self.open.insert(key, Rc::clone(&dir));
        Ok(dir)
    }

    pub(super) fn refuse(&self, operation: &str, place: &Place, why: Errno) -> DiskError {
        self.folder.refuse(operation, &shown(place), why)
    }

    /// Notes that the current deed changed a directory, or found it changed as it wanted.
    pub(super) fn touch(&mut self, dir: &Rc<Dir>) {
        let mut users = dir.users.borrow_mut();
        if users.is_empty() {
            self.touched.push(Rc::clone(dir));
        }
        if users.last() != Some(&self.current) {
            users.push(self.current);
        }
    }

    pub(super) fn touch_staging(&self) {
        self.staging_touched.set(true);
    }

    /// Forgets the directories at and below a path, which a deed of ours moved or removed.
    pub(super) fn forget_below(&mut self, place: &Place) {
        let (tree, path) = full_path(place);
        let below = |key: &Key| key.0 == tree && key.1.starts_with(&path);
        self.open.retain(|key, _| !below(key));
        for dir in &self.touched {
            let mut key = dir.key.borrow_mut();
            if key.as_ref().is_some_and(below) {
                *key = None;
            }
        }
    }

    /// Makes the batch durable. A directory that cannot be flushed, or that somebody moved away meanwhile, fails the deeds
    /// in it; they will be carried out again.
    pub(super) fn conclude(self, results: &mut [DeedResult]) {
        let ours = [(&self.staging_touched, &self.folder.staging), (&self.versions_touched, &self.folder.versions)];
        let ours: Vec<&OwnedFd> = ours.iter().filter(|(touched, _)| touched.get()).map(|(_, fd)| *fd).collect();
        let together = self.touched.len() >= FLUSH_TOGETHER_MIN
            && self.folder.disk.syncfs
            && disk::flush_filesystem(&self.folder.top).is_ok();
        if !together {
            for fd in ours {
                if let Err(why) = disk::flush(fd) {
                    fail(results, 0..results.len(), &self.folder.refuse("flush", &"our own directories", why));
                }
            }
        }
        for dir in &self.touched {
            if let Some(Err(why)) = (!together).then(|| disk::flush(&dir.fd)) {
                let why = self.folder.refuse("flush the directory", &dir.place(), why);
                fail(results, dir.users.borrow().iter().copied(), &why);
            }
        }
        for dir in &self.touched {
            if !self.is_still(dir) {
                let why = "it was moved away while files were put into it";
                let why = error(DiskErrorKind::Item, "use the directory", &dir.place(), why);
                fail(results, dir.users.borrow().iter().copied(), &why);
            }
        }
    }

    /// Whether a directory is where it was looked up, or where a deed of ours has put it.
    fn is_still(&self, dir: &Dir) -> bool {
        let key = dir.key.borrow();
        let now = key.as_ref().map(|key| self.look_up(key).and_then(disk::look_at));
        now.is_none_or(|now| now.is_ok_and(|now| now.stamp.ino == dir.ino))
    }

    /// What is in a job's slot of the version store.
    pub(super) fn slot(&self, job: JobId) -> rustix::io::Result<Option<Seen>> {
        disk::look(self.folder.versions.as_fd(), OsStr::new(&job.to_string()))
    }

    /// Moves what is at a name into a job's slot, which must be free.
    pub(super) fn to_slot(&self, from: (BorrowedFd<'_>, &OsStr), job: JobId) -> rustix::io::Result<()> {
        let slot = job.to_string();
        let to = (self.folder.versions.as_fd(), OsStr::new(&slot));
        disk::rename_free(self.folder.disk.noreplace, from, to)?;
        self.versions_touched.set(true);
        Ok(())
    }

    /// Moves what is in a job's slot back to a name, which must be free.
    pub(super) fn out_of_slot(&self, job: JobId, to: (BorrowedFd<'_>, &OsStr)) -> rustix::io::Result<()> {
        let slot = job.to_string();
        let from = (self.folder.versions.as_fd(), OsStr::new(&slot));
        disk::rename_free(self.folder.disk.noreplace, from, to)?;
        self.versions_touched.set(true);
        Ok(())
    }

    pub(super) fn touch_versions(&self) {
        self.versions_touched.set(true);
    }
}

fn fail(results: &mut [DeedResult], which: impl IntoIterator<Item = usize>, why: &DiskError) {
    for index in which {
        let result = results.get_mut(index);
        if let Some(result @ (DeedResult::Done { .. } | DeedResult::Kept { .. } | DeedResult::Adopted { .. })) = result
        {
            *result = DeedResult::Failed(why.clone());
        }
    }
}
