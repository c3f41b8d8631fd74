//! Sweeping our own directory at start: what no job names any more is removed, unless somebody may have written it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

use super::{LocalFolder, disk, walk};
use crate::deed::DiskError;
use crate::id::JobId;
use crate::path::Name;

/// What became of parked items that no job names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweptParked {
    /// Empty directories, removed.
    pub removed: u64,
    /// Files, moved to the version store under the same number.
    pub kept: Vec<JobId>,
    /// What had to stay where it is: directories with something in them, and what is not named by a number.
    pub left: Vec<String>,
}

impl LocalFolder {
    /// Removes everything in the staging directory that is not in `keep` and that no download can go on with; says how many. Called at start, when nothing is
    /// being staged and no deed is being carried out.
    pub fn sweep_staging(&self, keep: &BTreeSet<Name>) -> Result<u64, DiskError> {
        let mut removed = 0;
        let resumable = self.resumable()?;
        for entry in walk::names_in(self.staging.as_fd(), &"staging")? {
            let name = OsStr::from_bytes(&entry);
            if resumable.contains(&entry) || Name::new(&entry).is_ok_and(|name| keep.contains(&name)) {
                continue;
            }
            match disk::remove_file(self.staging.as_fd(), name) {
                Ok(()) => removed += 1,
                Err(Errno::NOENT) => {}
                Err(why) => return Err(self.refuse("sweep", &name.to_string_lossy(), why)),
            }
        }
        Ok(removed)
    }

    /// Clears the parking place of items that no job in `keep` names. They were in the visible tree once, so nothing of
    /// them is destroyed. Called at start, when no deed is being carried out.
    pub fn sweep_parked(&self, keep: &BTreeSet<JobId>) -> Result<SweptParked, DiskError> {
        let mut swept = SweptParked::default();
        for entry in walk::names_in(self.parked.as_fd(), &"parked")? {
            let name = OsStr::from_bytes(&entry);
            let text = name.to_string_lossy();
            let refuse = |why| self.refuse("sweep parked", &text, why);
            let job = text.parse().ok().map(JobId);
            if job.is_some_and(|job| keep.contains(&job)) {
                continue;
            }
            let from = (self.parked.as_fd(), name);
            match (disk::look(from.0, from.1).map_err(refuse)?, job) {
                (None, _) => {}
                (Some(seen), _) if seen.is_folder() => match disk::remove_dir(from.0, from.1) {
                    Ok(()) => swept.removed += 1,
                    Err(Errno::NOTEMPTY | Errno::EXIST) => swept.left.push(text.into_owned()),
                    Err(why) => return Err(refuse(why)),
                },
                (Some(_), Some(job)) => {
                    match disk::rename_free(self.disk.noreplace, from, (self.versions.as_fd(), name)) {
                        Ok(()) => swept.kept.push(job),
                        Err(Errno::EXIST) => swept.left.push(text.into_owned()),
                        Err(why) => return Err(refuse(why)),
                    }
                }
                (Some(_), None) => swept.left.push(text.into_owned()),
            }
        }
        for dir in [&self.versions, &self.parked] {
            disk::flush(dir).map_err(|why| self.refuse("flush", &"our own directories", why))?;
        }
        swept.kept.sort_unstable();
        swept.left.sort_unstable();
        Ok(swept)
    }
}
