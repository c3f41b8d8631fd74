//! What a directory holds with everything below it, by its entries alone: no file is looked at, and no link is followed.

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::batch::{Batch, full_path};
use super::disk;
use crate::deed::{Holding, Place};
use crate::path::Name;

impl Batch<'_> {
    /// What is below a directory; not all of it once there are more than `most` entries. An error where anything on the way is not a
    /// directory of this disk, or cannot be read.
    pub(super) fn holding(&self, at: &Place, most: u64) -> rustix::io::Result<Holding> {
        let (tree, top) = full_path(at);
        let mut held = Holding::default();
        let mut todo = vec![(top, None)];
        while let Some((path, ino)) = todo.pop() {
            let key = (tree, path);
            let fd = self.look_up(&key)?;
            // What is mounted on it has another inode than its entry.
            if ino.is_some() && ino != Some(disk::look_at(&fd)?.stamp.ino) {
                return Err(Errno::XDEV);
            }
            let mut entries = Dir::new(fd)?;
            while let Some(entry) = entries.read() {
                let entry = entry?;
                let bytes = entry.file_name().to_bytes();
                if bytes == b"." || bytes == b".." {
                    continue;
                }
                let is_folder = match entry.file_type() {
                    FileType::Directory => true,
                    FileType::RegularFile => false,
                    _ => return Err(Errno::NOTDIR),
                };
                held.add(entry.ino(), is_folder);
                if held.entries > most {
                    return Ok(held);
                }
                if is_folder {
                    let name = Name::new(bytes).map_err(|_| Errno::INVAL)?;
                    todo.push((key.1.join(&name), Some(entry.ino())));
                }
            }
        }
        Ok(held)
    }
}
