//! Publishing: a verified file appears under its name in one step, and what it replaces is kept.
//!
//! A replaced file is swapped out rather than overwritten, and looked at afterwards: so there is no moment in which an edit
//! could be lost between a check and the act.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use super::LocalFolder;
use super::batch::{Batch, FLUSH_TOGETHER_MIN, Spot, shown};
use super::deeds::{Outcome, displaced, moved_stamp};
use super::disk::{self, Seen};
use super::hash;
use super::refusal::error;
use crate::deed::{Deed, DeedOrder, DeedResult, DiskError, DiskErrorKind, Displaced, Expect, OnEdit, Place, Staged};
use crate::id::JobId;
use crate::tree::Stamp;

/// How often a deed looks again when the target changes under its hands.
const CHANGED_TRIES: u32 = 8;

/// The state of a staged file before its batch.
pub(super) enum Prepared {
    /// It is as it was verified, and durable.
    Ready,
    /// It is not under its staging name: published before a crash, or lost. What is there instead.
    Away(Option<Seen>),
    /// It is there but is not what was verified, or could not be flushed: it was removed.
    Lost,
    /// The disk refused.
    Failed(DiskError),
}

/// What a look at a staged file says.
#[derive(Clone, Copy)]
enum Check {
    Durable,
    MustFlush,
    Away(Option<Seen>),
    Spoiled,
}

impl LocalFolder {
    /// Looks at the staged files of a batch and makes them durable: together if they are many, else one by one.
    pub(super) fn prepare(&self, orders: &[DeedOrder]) -> Vec<Option<Prepared>> {
        let checks: Vec<_> = orders
            .iter()
            .map(|order| match &order.deed {
                Deed::Publish { staged, .. } => Some((staged, self.check_staged(staged))),
                _ => None,
            })
            .collect();
        let unflushed = checks.iter().flatten().filter(|(_, check)| matches!(check, Ok(Check::MustFlush))).count();
        let together = unflushed >= FLUSH_TOGETHER_MIN && self.disk.syncfs && disk::flush_filesystem(&self.top).is_ok();
        checks
            .into_iter()
            .map(|check| {
                let (staged, check) = check?;
                Some(self.settle_staged(staged, check, together))
            })
            .collect()
    }

    fn settle_staged(&self, staged: &Staged, check: Result<Check, Errno>, flushed: bool) -> Prepared {
        let refuse = |why| Prepared::Failed(self.refuse("prepare the staged", &staged.name, why));
        match check {
            Ok(Check::Durable) => Prepared::Ready,
            Ok(Check::MustFlush) if flushed => Prepared::Ready,
            Ok(Check::MustFlush) => match self.open_by_name(staged).and_then(disk::flush) {
                Ok(()) => Prepared::Ready,
                // After a failed flush nobody knows what is on the disk, and a second one would not tell.
                Err(Errno::IO) => self.drop_staged(staged),
                Err(why) => refuse(why),
            },
            Ok(Check::Away(seen)) => Prepared::Away(seen),
            Ok(Check::Spoiled) => self.drop_staged(staged),
            Err(why) => refuse(why),
        }
    }

    fn drop_staged(&self, staged: &Staged) -> Prepared {
        match self.discard_staged(staged) {
            Ok(()) => Prepared::Lost,
            Err(why) => Prepared::Failed(why),
        }
    }

    fn open_by_name(&self, staged: &Staged) -> rustix::io::Result<File> {
        disk::open_file(self.staging.as_fd(), staged.name.as_os_str())
    }

    /// Whether a staged file is still what was verified. One that was touched since is read again: hooks have seen it.
    fn check_staged(&self, staged: &Staged) -> rustix::io::Result<Check> {
        let seen = match disk::look(self.staging.as_fd(), staged.name.as_os_str())? {
            Some(seen) if seen.is_file() && seen.stamp.ino == staged.stamp.ino => seen,
            other => return Ok(Check::Away(other)),
        };
        if seen.links != 1 {
            // Somebody could still change it by its other name, unseen.
            return Ok(Check::Spoiled);
        }
        let mode_is_right = seen.mode == self.file_mode();
        if seen.is_content(&staged.stamp) && seen.stamp.ctime_ns == staged.stamp.ctime_ns && mode_is_right {
            return Ok(if staged.flushed { Check::Durable } else { Check::MustFlush });
        }
        let file = self.open_by_name(staged)?;
        let read = hash::digest(&file, None).map_err(|why| super::refusal::errno(&why))?;
        let after = disk::look_at(&file)?;
        if read.sha256 != staged.sha256 || after.stamp != seen.stamp {
            return Ok(Check::Spoiled);
        }
        if !mode_is_right {
            disk::set_mode(&file, self.file_mode())?;
        }
        if seen.stamp.mtime_ns != staged.stamp.mtime_ns {
            disk::set_modified(&file, staged.stamp.mtime_ns)?;
        }
        Ok(Check::MustFlush)
    }
}

/// A publish under way.
struct Publish<'a> {
    job: JobId,
    staged: &'a Staged,
    at: &'a Place,
    spot: Spot,
    ours: Option<&'a Stamp>,
    on_edit: OnEdit,
    /// The staged file was just looked at, and is what was verified. It was not if it got its name before a crash.
    verified: bool,
}

impl Publish<'_> {
    /// Whether the file at the target has the very content that is staged.
    fn holds_the_same(&self, there: &Seen, count: &hash::DigestCount) -> bool {
        if !there.is_file() || there.stamp.size != self.staged.stamp.size {
            return false;
        }
        let (dir, name) = self.spot.at();
        // What cannot be read cannot be shown to be equal, and is treated as an edit.
        let Ok(file) = disk::open_file(dir, name) else { return false };
        let Ok(read) = hash::digest(&file, None) else { return false };
        count.add(read.size);
        read.sha256 == self.staged.sha256 && disk::look_at(&file).is_ok_and(|after| after.stamp == there.stamp)
    }
}

impl Batch<'_> {
    pub(super) fn publish(
        &mut self,
        job: JobId,
        staged: &Staged,
        at: &Place,
        expect: &Expect,
        on_edit: OnEdit,
        prepared: Prepared,
    ) -> Outcome {
        let prepared = match prepared {
            Prepared::Lost => return Ok(DeedResult::StagedLost),
            Prepared::Failed(why) => return Err(why),
            Prepared::Ready => None,
            Prepared::Away(seen) => Some(seen),
        };
        let ours = match expect {
            Expect::Absent => None,
            Expect::Ours(stamp) => Some(stamp),
        };
        let publish = Publish { job, staged, at, spot: self.target(at)?, ours, on_edit, verified: prepared.is_none() };
        let outcome = match prepared {
            None => self.put(&publish),
            Some(instead) => self.resume(&publish, instead),
        };
        outcome.map_err(|why| match why {
            Stop::Errno(why) => self.refuse("publish", at, why),
            Stop::Disk(why) => why,
        })
    }

    fn staging_at<'b>(&'b self, publish: &'b Publish<'_>) -> (BorrowedFd<'b>, &'b OsStr) {
        (self.folder.staging.as_fd(), publish.staged.name.as_os_str())
    }

    fn staging_look(&self, publish: &Publish<'_>) -> rustix::io::Result<Option<Seen>> {
        let (dir, name) = self.staging_at(publish);
        disk::look(dir, name)
    }

    /// Puts a staged file in its place.
    fn put(&mut self, publish: &Publish<'_>) -> Result<DeedResult, Stop> {
        for _ in 0..CHANGED_TRIES {
            let (staged, target) = (self.staging_at(publish), publish.spot.at());
            let Some(there) = publish.spot.look()? else {
                match disk::rename_free(self.folder.disk.noreplace, staged, target) {
                    Ok(()) => return self.published(publish),
                    Err(Errno::EXIST) => continue,
                    Err(why) => return Err(why.into()),
                }
            };
            if there.is_folder() {
                return Ok(DeedResult::Occupied { by_folder: true });
            }
            let is_ours = publish.ours.is_some_and(|ours| there.is_content(ours));
            if !is_ours && publish.holds_the_same(&there, &self.folder.digested) {
                return self.keep_equal(publish);
            }
            if !is_ours && publish.on_edit == OnEdit::Keep {
                return Ok(DeedResult::Edited { stamp: there.stamp });
            }
            if self.folder.disk.exchange {
                match disk::exchange(staged, target) {
                    Ok(()) => return self.swapped(publish),
                    Err(Errno::NOENT) if self.staging_look(publish)?.is_some() => {}
                    Err(why) => return Err(why.into()),
                }
            } else if let Some(result) = self.make_room(publish)? {
                return Ok(result);
            }
        }
        let why = "what is there keeps changing";
        Err(Stop::Disk(error(DiskErrorKind::Item, "publish", &shown(publish.at), why)))
    }

    /// Carries on where a crash may have left off: the staged file is not under its staging name any more.
    fn resume(&mut self, publish: &Publish<'_>, instead: Option<Seen>) -> Result<DeedResult, Stop> {
        let there = publish.spot.look()?;
        let is_published = there.as_ref().is_some_and(|seen| seen.is_content(&publish.staged.stamp));
        match instead {
            // Swapped; what it replaced waits under the staging name.
            Some(_) if is_published => return self.swapped(publish),
            // Swapped and then replaced by somebody, or tampered with: whatever it is, it is kept.
            Some(seen) if !seen.is_folder() => match self.to_slot(self.staging_at(publish), publish.job) {
                Ok(()) | Err(Errno::NOENT | Errno::EXIST) => {}
                Err(why) => return Err(why.into()),
            },
            _ => {}
        }
        if is_published {
            return self.published(publish);
        }
        match there {
            Some(seen) if publish.holds_the_same(&seen, &self.folder.digested) => self.keep_equal(publish),
            _ => Ok(DeedResult::StagedLost),
        }
    }

    /// After a swap: what was displaced has the staging name now, and decides whether the swap stands.
    fn swapped(&mut self, publish: &Publish<'_>) -> Result<DeedResult, Stop> {
        self.touch(&publish.spot.dir);
        self.touch_staging();
        let Some(out) = self.staging_look(publish)? else { return self.published(publish) };
        let is_edit = !publish.ours.is_some_and(|ours| out.is_content(ours));
        if out.is_folder() || is_edit && publish.on_edit == OnEdit::Keep {
            return self.swap_back(publish, &out);
        }
        if let Err(why) = self.to_slot(self.staging_at(publish), publish.job) {
            // A swap whose other half has no place to go is undone. If that fails too, the same deed carried out again finds it so.
            disk::exchange(self.staging_at(publish), publish.spot.at())?;
            return Err(why.into());
        }
        self.published(publish)
    }

    /// Gives the name back to what must not be replaced.
    fn swap_back(&mut self, publish: &Publish<'_>, out: &Seen) -> Result<DeedResult, Stop> {
        let left_alone = if out.is_folder() {
            DeedResult::Occupied { by_folder: true }
        } else {
            DeedResult::Edited { stamp: out.stamp }
        };
        let (staged, target) = (self.staging_at(publish), publish.spot.at());
        match disk::exchange(staged, target) {
            Ok(()) => {}
            // Somebody removed the published file already: the name is free for what was there before.
            Err(Errno::NOENT) => {
                disk::rename_free(self.folder.disk.noreplace, staged, target)?;
                return Ok(left_alone);
            }
            Err(why) => return Err(why.into()),
        }
        let Some(second) = self.staging_look(publish)? else { return Ok(left_alone) };
        if second.stamp.ino == publish.staged.stamp.ino {
            return Ok(left_alone);
        }
        // The published file was itself replaced in between. The newest of the edits keeps the name, the other one is kept.
        disk::exchange(self.staging_at(publish), publish.spot.at())?;
        if !out.is_folder() {
            self.to_slot(self.staging_at(publish), publish.job)?;
            tracing::warn!(job = %publish.job, "an edit went to the version store: another one was made in the same moment");
        }
        Ok(DeedResult::Edited { stamp: second.stamp })
    }

    /// Where names cannot be swapped: moves what is there into the slot first.
    fn make_room(&mut self, publish: &Publish<'_>) -> Result<Option<DeedResult>, Stop> {
        let target = publish.spot.at();
        match self.to_slot(target, publish.job) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::EXIST) => {
                let why = "its place in the version store is taken";
                return Err(Stop::Disk(error(DiskErrorKind::Item, "publish", &shown(publish.at), why)));
            }
            Err(why) => return Err(why.into()),
        }
        self.touch(&publish.spot.dir);
        let Some(out) = self.slot(publish.job)? else { return Ok(None) };
        let is_edit = !publish.ours.is_some_and(|ours| out.is_content(ours));
        if !out.is_folder() && (!is_edit || publish.on_edit == OnEdit::Displace) {
            return Ok(None);
        }
        match self.out_of_slot(publish.job, target) {
            Ok(()) if out.is_folder() => Ok(Some(DeedResult::Occupied { by_folder: true })),
            Ok(()) => Ok(Some(DeedResult::Edited { stamp: out.stamp })),
            Err(Errno::EXIST) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// The staged file is in its place.
    fn published(&mut self, publish: &Publish<'_>) -> Result<DeedResult, Stop> {
        self.touch(&publish.spot.dir);
        self.touch_staging();
        let stamp = match publish.spot.look()? {
            Some(seen) => moved_stamp(publish.verified, &seen, &publish.staged.stamp),
            None => publish.staged.stamp,
        };
        Ok(DeedResult::Done { stamp: Some(stamp), displaced: self.displaced_by(publish)? })
    }

    fn displaced_by(&self, publish: &Publish<'_>) -> rustix::io::Result<Option<Displaced>> {
        let slot = self.slot(publish.job)?;
        if slot.is_some() {
            self.touch_versions();
        }
        Ok(slot.map(|seen| displaced(&seen, publish.ours)))
    }

    /// Takes the equal file at the target for the published one.
    fn keep_equal(&mut self, publish: &Publish<'_>) -> Result<DeedResult, Stop> {
        let (dir, name) = publish.spot.at();
        let file = disk::open_file(dir, name)?;
        disk::set_owners_modified(&file, publish.staged.stamp.mtime_ns)?;
        disk::flush(&file)?;
        let stamp = disk::look_at(&file)?.stamp;
        if self.staging_look(publish)?.is_some_and(|seen| seen.stamp.ino == publish.staged.stamp.ino) {
            let (dir, name) = self.staging_at(publish);
            disk::remove_file(dir, name)?;
        }
        self.touch(&publish.spot.dir);
        self.touch_staging();
        Ok(DeedResult::Done { stamp: Some(stamp), displaced: self.displaced_by(publish)? })
    }
}

/// Why a publish stopped without a result.
enum Stop {
    Errno(Errno),
    Disk(DiskError),
}

impl From<Errno> for Stop {
    fn from(why: Errno) -> Self {
        Self::Errno(why)
    }
}
