//! Files of directories out of sight on their way into the version store, many at a time.

use rustix::io::Errno;

use super::batch::Batch;
use super::deeds::displaced;
use crate::deed::{DeedResult, Displaced, Keep, KeepIn, Place};

impl Batch<'_> {
    /// Takes files into the version store; each by itself.
    pub(super) fn keep_files(&mut self, dirs: &[KeepIn]) -> DeedResult {
        let mut files = Vec::with_capacity(dirs.iter().map(|dir| dir.files.len()).sum());
        for dir in dirs {
            files.extend(dir.files.iter().map(|file| self.keep_file(&dir.at, file)));
        }
        DeedResult::Kept { files }
    }

    /// Takes one file into the version store; nothing if that is not there now.
    fn keep_file(&mut self, dir: &Place, file: &Keep) -> Option<Displaced> {
        // Without its directory it is there already, or nowhere.
        let spot = self.spot(&dir.join(&file.name)).ok()?;
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
