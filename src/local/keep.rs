//! What is in directories out of sight on its way into the version store: a directory by one rename, or many files at a time; and a
//! directory on its way back.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use rustix::io::Errno;

use super::batch::{Batch, Dir, Spot, full_path};
use super::deeds::{Outcome, displaced};
use super::disk;
use crate::deed::{DeedResult, Displaced, Holding, Keep, KeepIn, Place};
use crate::id::JobId;

/// The permissions of a directory in the version store, which only we enter.
const KEPT_DIR_MODE: u32 = 0o700;

impl Batch<'_> {
    /// Takes files into the version store; each by itself.
    pub(super) fn keep_files(&mut self, dirs: &[KeepIn]) -> DeedResult {
        let mut files = Vec::with_capacity(dirs.iter().map(|dir| dir.files.len()).sum());
        for dir in dirs {
            let into = dir.into.map(|job| self.open_kept(job)).transpose();
            // Without their place none is kept.
            let Ok(into) = into else {
                files.extend(dir.files.iter().map(|_| None));
                continue;
            };
            files.extend(dir.files.iter().map(|file| self.keep_file(&dir.at, file, into.as_ref())));
        }
        DeedResult::Kept { files }
    }

    /// Takes a directory into the version store with the files in it, if it holds just those.
    pub(super) fn keep_folder(&mut self, job: JobId, at: &Place, holds: &Holding) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("keep the directory", at, why);
        let done = DeedResult::Done { stamp: None, displaced: None };
        let spot = self.spot(at)?;
        let taken = self.slot(job).map_err(|why| refuse(self, why))?;
        if taken.is_some_and(|taken| taken.is_folder()) {
            // It was taken before a crash.
            if let Some(spot) = &spot {
                self.touch(&spot.dir);
            }
            self.touch_versions();
            return Ok(done);
        }
        let Some(spot) = spot else { return Ok(DeedResult::Missing) };
        match self.look_up(&full_path(at)).and_then(|fd| contents(&fd, holds.entries)) {
            Ok(found) if found == *holds => {}
            Ok(found) => return Ok(DeedResult::NotEmpty { entries: found.entries }),
            Err(Errno::NOENT) => return Ok(DeedResult::Missing),
            Err(why) => return Err(refuse(self, why)),
        }
        match self.to_slot(spot.at(), job) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(DeedResult::Missing),
            Err(why) => return Err(refuse(self, why)),
        }
        self.forget_below(at);
        self.touch(&spot.dir);
        Ok(done)
    }

    /// Brings a directory back from the version store with the files in it, if it holds just those and its place is free.
    pub(super) fn restore_folder(&mut self, from: JobId, at: &Place, holds: &Holding) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("restore the directory", at, why);
        let spot = self.target(at)?;
        let (parent, name) = spot.at();
        let holds_just_that = |fd: &OwnedFd| contents(fd, holds.entries).map(|found| found == *holds);
        let kept = match disk::open_dir(self.folder.versions_dir().as_fd(), OsStr::new(&from.to_string())) {
            Ok(kept) => kept,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                // Was it restored before a crash?
                let there = match disk::open_dir(parent, name) {
                    Ok(there) => there,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(DeedResult::Missing),
                    Err(why) => return Err(refuse(self, why)),
                };
                return match holds_just_that(&there) {
                    Ok(true) => self.restored(there, &spot, at),
                    Ok(false) | Err(Errno::NOTDIR) => Ok(DeedResult::Missing),
                    Err(why) => Err(refuse(self, why)),
                };
            }
            Err(why) => return Err(refuse(self, why)),
        };
        match contents(&kept, holds.entries) {
            Ok(found) if found == *holds => {}
            Ok(found) => return Ok(DeedResult::NotEmpty { entries: found.entries }),
            Err(Errno::NOTDIR) => return Ok(DeedResult::NotEmpty { entries: holds.entries }),
            Err(why) => return Err(refuse(self, why)),
        }
        match self.out_of_slot(from, spot.at()) {
            Ok(()) => {}
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                let there = spot.look().map_err(|why| refuse(self, why))?;
                return Ok(DeedResult::Occupied { by_folder: there.is_some_and(|there| there.is_folder()) });
            }
            Err(why) => return Err(refuse(self, why)),
        }
        self.restored(kept, &spot, at)
    }

    fn restored(&mut self, fd: OwnedFd, spot: &Spot, at: &Place) -> Outcome {
        let refuse = |batch: &Self, why| batch.refuse("restore the directory", at, why);
        self.dress(&fd).map_err(|why| refuse(self, why))?;
        let stamp = disk::look_at(&fd).map_err(|why| refuse(self, why))?.stamp;
        self.touch(&spot.dir);
        self.touch_versions();
        Ok(DeedResult::Done { stamp: Some(stamp), displaced: None })
    }

    /// The directory of the version store for files that are kept together.
    fn open_kept(&mut self, job: JobId) -> rustix::io::Result<Rc<Dir>> {
        let (versions, name) = (self.folder.versions_dir().as_fd(), job.to_string());
        match disk::make_dir(versions, OsStr::new(&name), KEPT_DIR_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(why) => return Err(why),
        }
        let fd = disk::open_dir(versions, OsStr::new(&name))?;
        self.touch_versions();
        Dir::of_ours(fd).map(Rc::new)
    }

    /// Takes one file into the version store; nothing if that is not there now.
    fn keep_file(&mut self, dir: &Place, file: &Keep, into: Option<&Rc<Dir>>) -> Option<Displaced> {
        // Without its directory it is there already, or nowhere.
        let spot = self.spot(&dir.join(&file.name)).ok()?;
        if let Some(into) = into {
            let slot = (into.fd.as_fd(), file.name.as_os_str());
            if let Some(spot) = &spot
                && disk::rename_free(self.folder.disk.noreplace, spot.at(), slot).is_ok()
            {
                self.touch(&spot.dir);
            }
            if let Some(taken) = disk::look(slot.0, slot.1).ok()? {
                self.touch(into);
                if taken.is_content(&file.expect) {
                    return Some(displaced(&taken, Some(&file.expect)));
                }
                // An edit, or something else: it goes back, and on by itself.
                disk::rename_free(self.folder.disk.noreplace, slot, spot.as_ref()?.at()).ok()?;
            }
        }
        if let Some(spot) = &spot {
            match self.to_slot(spot.at(), file.job) {
                Ok(()) => self.touch(&spot.dir),
                // It was taken before a crash.
                Err(Errno::EXIST | Errno::NOENT) => {}
                Err(_) => return None,
            }
        }
        let taken = self.slot(file.job).ok()??;
        if taken.is_folder() {
            // The file that we put there is gone, and a directory had its name.
            let back = spot.map(|spot| self.out_of_slot(file.job, spot.at()));
            if back.is_some_and(|back| back.is_ok()) {
                return None;
            }
        }
        self.touch_versions();
        Some(displaced(&taken, Some(&file.expect)))
    }
}

/// The files of a directory with their contents, as they are now; not all of them once there are more than `most`. An error if something
/// in it is no file.
fn contents(dir: &OwnedFd, most: u64) -> rustix::io::Result<Holding> {
    let mut held = Holding::default();
    let mut entries = rustix::fs::Dir::read_from(dir)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let seen =
            disk::look(dir.as_fd(), OsStr::from_bytes(name))?.filter(disk::Seen::is_file).ok_or(Errno::NOTDIR)?;
        held.add_content(&seen.stamp);
        if held.entries > most {
            break;
        }
    }
    Ok(held)
}
