//! Carrying out deeds: one batch at a time, each deed so that it may be carried out again, all of it durable before any of
//! it is reported.

use std::os::fd::OwnedFd;
use std::sync::{MutexGuard, PoisonError};

use rustix::fs::Gid;
use rustix::io::Errno;

use super::batch::{Batch, Spot, full_path};
use super::disk::{self, Seen};
use super::hash;
use super::publish::Prepared;
use super::{LocalFolder, walk};
use crate::deed::{Base, Deed, DeedOrder, DeedResult, DiskError, Displaced, Holding, OnEdit, Place};
use crate::id::{ContentHash, JobId};
use crate::tree::{Stamp, Wall};

/// The most deeds whose results wait for one another.
const BATCH_MAX_ORDERS: usize = 128;
/// How far the entries of a directory that is not empty are counted.
const COUNT_MAX_ENTRIES: u64 = 10_000;

/// The result of one deed, or the disk's refusal.
pub(super) type Outcome = Result<DeedResult, DiskError>;

impl LocalFolder {
    /// Carries out deeds in their order and reports each; what is reported is durable.
    pub fn execute(&self, orders: &[DeedOrder]) -> Vec<DeedResult> {
        // Nothing that the lock protects can be left half done: all of it is on the disk.
        let _turn = self.turn();
        orders.chunks(BATCH_MAX_ORDERS).flat_map(|batch| self.execute_batch(batch)).collect()
    }

    /// One at a time changes what deeds change, for as long as this is held.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Batch<'_> {
    fn carry_out(&mut self, order: &DeedOrder, prepared: Option<Prepared>) -> Outcome {
        let job = order.job;
        match &order.deed {
            Deed::MakeFolder { at } => self.make_folder(at),
            Deed::Publish { staged, at, expect, on_edit } => match prepared {
                Some(prepared) => self.publish(job, staged, at, expect, *on_edit, prepared),
                None => Ok(DeedResult::StagedLost),
            },
            Deed::Relocate { from, to, expect, is_folder, holds } => {
                self.relocate(from, to, expect, *is_folder, holds.as_ref())
            }
            Deed::RemoveFile { at, expect, on_edit } => self.remove_file(job, at, expect, *on_edit),
            Deed::RemoveFolder { at } => self.remove_folder(at),
            Deed::KeepFiles { dirs } => Ok(self.keep_files(dirs)),
            Deed::KeepFolder { at, holds } => self.keep_folder(job, at, holds),
            Deed::RestoreFolder { from, at, holds } => self.restore_folder(*from, at, holds),
            Deed::Adopt { at, size, hash, modified } => self.adopt(at, *size, hash, *modified),
        }
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
            Some(seen)
                if seen.is_folder()
                    && seen.stamp.dev == self.folder.stamp.dev
                    && (made || !disk::is_mount_point(parent, name)) => {}
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
    pub(super) fn dress(&self, fd: &OwnedFd) -> rustix::io::Result<()> {
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

    fn relocate(
        &mut self,
        from: &Place,
        to: &Place,
        expect: &Stamp,
        is_folder: bool,
        holds: Option<&Holding>,
    ) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("move", from, why);
        let is_ours =
            |seen: &Seen| seen.stamp.ino == expect.ino && if is_folder { seen.is_folder() } else { seen.is_file() };
        let source = self.spot(from)?;
        let found = match &source {
            Some(source) => source.look().map_err(|why| refuse(self, why))?,
            None => None,
        };
        let Some((source, before)) = source.as_ref().zip(found.filter(is_ours)) else {
            // Moved already, by us before a crash?
            let Some(target) = self.spot(to)? else { return Ok(DeedResult::Missing) };
            let there = target.look().map_err(|why| refuse(self, why))?;
            if !there.as_ref().is_some_and(is_ours) {
                return Ok(DeedResult::Missing);
            }
            if let Some(source) = &source {
                self.touch(&source.dir);
            }
            self.touch(&target.dir);
            let stamp = there.map(|seen| moved_stamp(false, &seen, expect));
            return Ok(DeedResult::Done { stamp, displaced: None });
        };
        let target = self.target(to)?;
        if let Some(expected) = holds {
            // A directory that cannot be read through may hold anything.
            let found = self.holding(from, expected.entries);
            if found.as_ref() != Ok(expected) {
                return Ok(DeedResult::NotEmpty { entries: found.map_or(0, |found| found.entries) });
            }
        }
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
        let stamp = there.map_or(*expect, |seen| moved_stamp(before.is_untouched(expect), &seen, expect));
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
        self.folder.digested.add(read.size);
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
}

/// How a file in the version store is reported.
pub(super) fn displaced(seen: &Seen, ours: Option<&Stamp>) -> Displaced {
    Displaced { size: seen.stamp.size, edited: !ours.is_some_and(|ours| seen.is_content(ours)) }
}

/// The stamp to report of what a deed put at a place: what is there now, but never an edit, which the next look at the disk must still
/// find. As the deed's own rename moves the status change time, only a look just before it tells that it was untouched.
pub(super) fn moved_stamp(untouched: bool, seen: &Seen, ours: &Stamp) -> Stamp {
    if seen.is_folder() || untouched && seen.is_content(ours) { seen.stamp } else { *ours }
}

/// Whether two spots are the same name in other letters.
fn is_respelled(a: &Spot, b: &Spot) -> bool {
    let lower = |spot: &Spot| spot.name.to_string_lossy().to_lowercase();
    a.dir.ino == b.dir.ino && a.name != b.name && lower(a) == lower(b)
}
