//! Carrying out deeds: one batch at a time, each deed so that it may be carried out again, all of it durable before any of
//! it is reported.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::PoisonError;

use rustix::fs::Gid;
use rustix::io::Errno;

use super::disk::{self, Seen};
use super::hash;
use super::publish::Prepared;
use super::refusal::error;
use super::{LocalFolder, walk};
use crate::deed::{Base, Deed, DeedOrder, DeedResult, DiskError, DiskErrorKind, Displaced, OnEdit, Place};
use crate::id::{ContentHash, JobId};
use crate::path::{Name, RelPath};
use crate::tree::{Stamp, Wall};

/// The most deeds whose results wait for one another.
const BATCH_MAX_ORDERS: usize = 128;
/// The most directories kept open for the deeds that follow.
const OPEN_MAX_DIRS: usize = 128;
/// From this many on, one flush of the filesystem is cheaper than one for each file or directory.
pub(super) const FLUSH_TOGETHER_MIN: usize = 16;
/// How far the entries of a directory that is not empty are counted.
const COUNT_MAX_ENTRIES: u64 = 10_000;

/// The result of one deed, or the disk's refusal.
pub(super) type Outcome = Result<DeedResult, DiskError>;

impl LocalFolder {
    /// Carries out deeds in their order and reports each; what is reported is durable.
    pub fn execute(&self, orders: &[DeedOrder]) -> Vec<DeedResult> {
        // Nothing that the lock protects can be left half done: all of it is on the disk.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        orders.chunks(BATCH_MAX_ORDERS).flat_map(|batch| self.execute_batch(batch)).collect()
    }

    fn execute_batch(&self, orders: &[DeedOrder]) -> Vec<DeedResult> {
        if let Err(why) = self.check_root() {
            return vec![DeedResult::Failed(why); orders.len()];
        }
        let prepared = self.prepare(orders);
        let mut batch = Batch::new(self);
        let mut results = Vec::with_capacity(orders.len());
        for (index, (order, prepared)) in orders.iter().zip(prepared).enumerate() {
            batch.current = index;
            let outcome = batch.carry_out(order, prepared);
            results.push(outcome.unwrap_or_else(DeedResult::Failed));
        }
        batch.conclude(&mut results);
        results
    }
}

/// Which tree a path starts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tree {
    Visible,
    Parked,
}

/// Where a directory was looked up.
type Key = (Tree, RelPath);

/// An open directory of this batch.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    ino: u64,
    /// Where it must still be at the end; nothing once a deed of ours moved or removed it.
    key: RefCell<Option<Key>>,
    /// The deeds that changed it.
    users: RefCell<Vec<usize>>,
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
    versions_touched: Cell<bool>,
    current: usize,
}

/// The tree and the whole path in it of a place.
fn full_path(place: &Place) -> Key {
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
    fn new(folder: &'a LocalFolder) -> Self {
        Self {
            folder,
            open: HashMap::new(),
            touched: Vec::new(),
            staging_touched: Cell::new(false),
            versions_touched: Cell::new(false),
            current: 0,
        }
    }

    fn carry_out(&mut self, order: &DeedOrder, prepared: Option<Prepared>) -> Outcome {
        let job = order.job;
        match &order.deed {
            Deed::MakeFolder { at } => self.make_folder(at),
            Deed::Publish { staged, at, expect, on_edit } => match prepared {
                Some(prepared) => self.publish(job, staged, at, expect, *on_edit, prepared),
                None => Ok(DeedResult::StagedLost),
            },
            Deed::Relocate { from, to, expect, is_folder } => self.relocate(from, to, expect, *is_folder),
            Deed::RemoveFile { at, expect, on_edit } => self.remove_file(job, at, expect, *on_edit),
            Deed::RemoveFolder { at } => self.remove_folder(at),
            Deed::Adopt { at, size, hash, modified } => self.adopt(at, *size, hash, *modified),
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

    fn look_up(&self, (tree, path): &Key) -> rustix::io::Result<OwnedFd> {
        let top = match tree {
            Tree::Visible => &self.folder.top,
            Tree::Parked => &self.folder.parked,
        };
        self.folder.lookup.open(top.as_fd(), self.folder.stamp.dev, path.names())
    }

    fn remember(&mut self, fd: OwnedFd, key: Key) -> rustix::io::Result<Rc<Dir>> {
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
    fn forget_below(&mut self, place: &Place) {
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
    fn conclude(self, results: &mut [DeedResult]) {
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
            let key = dir.key.borrow();
            let place = key.as_ref().map_or_else(String::new, |(_, path)| path.to_string());
            let flushed = if together { Ok(()) } else { disk::flush(&dir.fd) };
            let failed = match (flushed, key.as_ref()) {
                (Err(why), _) => Some(self.folder.refuse("flush the directory", &place, why)),
                (Ok(()), Some(key)) if !self.is_still(key, dir) => {
                    let why = "it was moved away while files were put into it";
                    Some(error(DiskErrorKind::Item, "use the directory", &place, why))
                }
                (Ok(()), _) => None,
            };
            if let Some(why) = failed {
                fail(results, dir.users.borrow().iter().copied(), &why);
            }
        }
    }

    fn is_still(&self, key: &Key, dir: &Dir) -> bool {
        let now = self.look_up(key).and_then(disk::look_at);
        now.is_ok_and(|now| now.stamp.ino == dir.ino)
    }

    fn make_folder(&mut self, at: &Place) -> Outcome {
        if at.path.is_root() && at.base == Base::Tree {
            return Ok(DeedResult::Done { stamp: Some(self.folder.stamp), displaced: None });
        }
        let spot = self.target(at)?;
        let refuse = |batch: &Self, why| batch.refuse("make the directory", at, why);
        let (parent, name) = spot.at();
        let made = match disk::make_dir(parent, name, self.folder.options.dir_mode) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(why) => return Err(refuse(self, why)),
        };
        let seen = spot.look().map_err(|why| refuse(self, why))?;
        match seen {
            Some(seen) if seen.is_folder() && seen.stamp.dev == self.folder.stamp.dev => {}
            Some(seen) if seen.is_folder() => return Err(refuse(self, Errno::XDEV)),
            Some(_) => return Ok(DeedResult::Occupied { by_folder: false }),
            None => return Err(refuse(self, Errno::NOENT)),
        }
        let fd = disk::open_dir(parent, name).map_err(|why| refuse(self, why))?;
        if made {
            self.dress(&fd).map_err(|why| refuse(self, why))?;
        }
        let stamp = disk::look_at(&fd).map_err(|why| refuse(self, why))?.stamp;
        let dir = self.remember(fd, full_path(at)).map_err(|why| refuse(self, why))?;
        self.touch(&spot.dir);
        self.touch(&dir);
        Ok(DeedResult::Done { stamp: Some(stamp), displaced: None })
    }

    /// Gives a new directory its group and its permissions, whatever the umask left of them.
    fn dress(&self, fd: &OwnedFd) -> rustix::io::Result<()> {
        let seen = disk::look_at(fd)?;
        if seen.group != self.folder.group {
            // Without the right to give the group away the directory keeps ours.
            let _ = rustix::fs::fchown(fd, None, Some(Gid::from_raw(self.folder.group)));
        }
        let wanted = self.folder.options.dir_mode & 0o777 | seen.mode & 0o2000;
        if seen.mode != wanted {
            disk::set_mode(fd, wanted)?;
        }
        Ok(())
    }

    fn relocate(&mut self, from: &Place, to: &Place, expect: &Stamp, is_folder: bool) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("move", from, why);
        let is_ours =
            |seen: &Seen| seen.stamp.ino == expect.ino && if is_folder { seen.is_folder() } else { seen.is_file() };
        let source = self.spot(from)?;
        let found = match &source {
            Some(source) => source.look().map_err(|why| refuse(self, why))?,
            None => None,
        };
        let Some((source, _)) = source.as_ref().zip(found.filter(is_ours)) else {
            // Moved already, by us before a crash?
            let Some(target) = self.spot(to)? else { return Ok(DeedResult::Missing) };
            let there = target.look().map_err(|why| refuse(self, why))?;
            // A file must be unchanged: its inode alone may have been used again for somebody's new one.
            if !there.is_some_and(|seen| is_ours(&seen) && (is_folder || seen.is_content(expect))) {
                return Ok(DeedResult::Missing);
            }
            if let Some(source) = &source {
                self.touch(&source.dir);
            }
            self.touch(&target.dir);
            return Ok(DeedResult::Done { stamp: there.map(|seen| moved_stamp(&seen, expect)), displaced: None });
        };
        let target = self.target(to)?;
        let (old, new) = (source.at(), target.at());
        let is_there = source.dir.ino == target.dir.ino && source.name == target.name;
        match if is_there { Ok(()) } else { disk::rename_free(self.folder.disk.noreplace, old, new) } {
            Ok(()) => {}
            Err(Errno::EXIST | Errno::NOTEMPTY) => match target.look().map_err(|why| refuse(self, why))? {
                // A disk that folds case finds the old name under the new one.
                Some(there) if is_ours(&there) && is_respelled(source, &target) => {
                    disk::rename_over(old, new).map_err(|why| refuse(self, why))?;
                }
                Some(there) => return Ok(DeedResult::Occupied { by_folder: there.is_folder() }),
                None => return Err(refuse(self, Errno::AGAIN)),
            },
            Err(why) => return Err(refuse(self, why)),
        }
        if is_folder {
            self.forget_below(from);
            self.forget_below(to);
        }
        self.touch(&source.dir);
        self.touch(&target.dir);
        let there = target.look().map_err(|why| refuse(self, why))?;
        let stamp = there.map_or(*expect, |seen| moved_stamp(&seen, expect));
        Ok(DeedResult::Done { stamp: Some(stamp), displaced: None })
    }

    fn remove_file(&mut self, job: JobId, at: &Place, expect: &Stamp, on_edit: OnEdit) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("remove", at, why);
        let spot = self.spot(at)?;
        let already = self.slot(job).map_err(|why| refuse(self, why))?;
        let Some(spot) = spot else {
            let displaced = already.map(|seen| displaced(&seen, Some(expect)));
            return Ok(displaced.map_or(DeedResult::Missing, |found| self.removed(None, found)));
        };
        if already.is_none() {
            match spot.look().map_err(|why| refuse(self, why))? {
                None => return Ok(DeedResult::Missing),
                // The file that we put there is gone, and a directory has its name.
                Some(seen) if seen.is_folder() => return Ok(DeedResult::Missing),
                Some(seen) if on_edit == OnEdit::Keep && !seen.is_content(expect) => {
                    return Ok(DeedResult::Edited { stamp: seen.stamp });
                }
                Some(_) => match self.to_slot(spot.at(), job) {
                    Ok(()) => {}
                    Err(Errno::NOENT) => return Ok(DeedResult::Missing),
                    Err(why) => return Err(refuse(self, why)),
                },
            }
        }
        // What was taken is looked at again: it may have been replaced between the look and the rename.
        let taken = self.slot(job).map_err(|why| refuse(self, why))?.ok_or_else(|| refuse(self, Errno::NOENT))?;
        let unwanted = taken.is_folder() || on_edit == OnEdit::Keep && !taken.is_content(expect);
        if unwanted {
            match self.out_of_slot(job, spot.at()) {
                Ok(()) => {
                    self.touch(&spot.dir);
                    return Ok(if taken.is_folder() {
                        DeedResult::Missing
                    } else {
                        DeedResult::Edited { stamp: taken.stamp }
                    });
                }
                // Its place is taken again, so the version store is where it is safe.
                Err(Errno::EXIST) => {}
                Err(why) => return Err(refuse(self, why)),
            }
        }
        Ok(self.removed(Some(&spot), displaced(&taken, Some(expect))))
    }

    fn removed(&mut self, spot: Option<&Spot>, displaced: Displaced) -> DeedResult {
        if let Some(spot) = spot {
            self.touch(&spot.dir);
        }
        self.versions_touched.set(true);
        DeedResult::Done { stamp: None, displaced: Some(displaced) }
    }

    fn remove_folder(&mut self, at: &Place) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("remove the directory", at, why);
        let Some(spot) = self.spot(at)? else { return Ok(DeedResult::Missing) };
        let (dir, name) = spot.at();
        match disk::remove_dir(dir, name) {
            Ok(()) => {
                self.forget_below(at);
                self.touch(&spot.dir);
                Ok(DeedResult::Done { stamp: None, displaced: None })
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(DeedResult::Missing),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let entries = walk::count_in(dir, name, COUNT_MAX_ENTRIES).map_err(|why| refuse(self, why))?;
                Ok(DeedResult::NotEmpty { entries })
            }
            Err(why) => Err(refuse(self, why)),
        }
    }

    fn adopt(&mut self, at: &Place, size: Option<u64>, hash: &ContentHash, modified: Option<Wall>) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("adopt", at, why);
        let Some(spot) = self.spot(at)? else { return Ok(DeedResult::Missing) };
        let before = match spot.look().map_err(|why| refuse(self, why))? {
            None => return Ok(DeedResult::Missing),
            Some(seen) if seen.is_folder() => return Ok(DeedResult::Occupied { by_folder: true }),
            Some(seen) if !seen.is_file() || size.is_some_and(|size| size != seen.stamp.size) => {
                return Ok(DeedResult::Different);
            }
            Some(seen) => seen,
        };
        let (dir, name) = spot.at();
        let file = match disk::open_file(dir, name) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(DeedResult::Missing),
            Err(why) => return Err(refuse(self, why)),
        };
        let read = hash::digest(&file, Some(hash)).map_err(|why| refuse(self, super::refusal::errno(&why)))?;
        let after = disk::look_at(&file).map_err(|why| refuse(self, why))?;
        if after.stamp != before.stamp || read.provider != hash::Match::Equal {
            return Ok(DeedResult::Different);
        }
        if let Some(modified) = modified {
            disk::set_owners_modified(&file, disk::wall_ns(modified)).map_err(|why| refuse(self, why))?;
        }
        disk::flush(&file).map_err(|why| refuse(self, why))?;
        self.touch(&spot.dir);
        match spot.look().map_err(|why| refuse(self, why))? {
            Some(now) if now.is_file() && now.stamp.ino == before.stamp.ino && now.stamp.size == read.size => {
                Ok(DeedResult::Adopted { stamp: now.stamp, sha256: read.sha256 })
            }
            _ => Ok(DeedResult::Different),
        }
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

/// How a file in the version store is reported.
pub(super) fn displaced(seen: &Seen, ours: Option<&Stamp>) -> Displaced {
    Displaced { size: seen.stamp.size, edited: !ours.is_some_and(|ours| seen.is_content(ours)) }
}

/// The stamp to report of what a deed put at a place: what is there now, but never an edit that was made in the same
/// moment, which the next look at the disk must still find.
pub(super) fn moved_stamp(seen: &Seen, ours: &Stamp) -> Stamp {
    if seen.is_folder() || seen.is_content(ours) { seen.stamp } else { *ours }
}

/// Whether two spots are the same name in other letters.
fn is_respelled(a: &Spot, b: &Spot) -> bool {
    let lower = |spot: &Spot| spot.name.to_string_lossy().to_lowercase();
    a.dir.ino == b.dir.ino && a.name != b.name && lower(a) == lower(b)
}

fn fail(results: &mut [DeedResult], which: impl IntoIterator<Item = usize>, why: &DiskError) {
    for index in which {
        if let Some(result @ (DeedResult::Done { .. } | DeedResult::Adopted { .. })) = results.get_mut(index) {
            *result = DeedResult::Failed(why.clone());
        }
    }
}
