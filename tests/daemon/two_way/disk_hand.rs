//! A person and his programs at the disk: edits in place, save dances, moves, deletions, and what each of them took away.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use folder_sync_agent::sandbox::Cloud;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::ledger::{Chance, Ledger, Side, Sight, new_path};
use crate::support::{RESERVED, read_tree, sha1_of};

/// The hand at the disk.
pub struct DiskHand<'a> {
    root: PathBuf,
    /// Where it takes away what it deletes, to see what that was.
    away: PathBuf,
    cloud: Cloud,
    ledger: &'a Ledger,
    chance: Chance,
    /// It takes nothing away that nobody else has, so that nothing that it wrote may ever be missing.
    careful: bool,
    deeds: u64,
}

impl<'a> DiskHand<'a> {
    /// A hand that works in `root`; `away` is on the same filesystem.
    pub fn new(root: PathBuf, away: PathBuf, cloud: Cloud, ledger: &'a Ledger, mut chance: Chance) -> Self {
        fs::create_dir_all(&away).unwrap();
        let careful = chance.below(2) == 0;
        if careful {
            ledger.did("histories with a careful hand at the disk", "");
        }
        Self { root, away, cloud, ledger, chance, careful, deeds: 0 }
    }

    /// Whether what is at a path may be taken away.
    fn may_take(&self, path: &str) -> bool {
        if !self.careful {
            return true;
        }
        let mut contents = Vec::new();
        match fs::read(self.at(path)) {
            Ok(content) => contents.push(content),
            Err(_) => read_below(&self.at(path), &mut contents),
        }
        contents.iter().all(|content| self.cloud.keeps(&sha1_of(content)))
    }

    /// One change. What the agent took from under the hand meanwhile is not done.
    pub fn step(&mut self) {
        self.deeds += 1;
        let mark = format!("disk {}", self.deeds);
        let tree = read_tree(&self.root).into_iter().map(|(path, hash)| (path, hash == "folder"));
        let mut sight = Sight::new(tree, &mut self.chance, self.ledger.last_of(Side::Cloud));
        let (file, folder) = (sight.file.clone(), sight.folder.clone());
        match (self.chance.below(100), file, folder) {
            (0..22, ..) => {
                let path = sight.new_path(&mut self.chance, false, &mark);
                self.create(&path, &mark);
            }
            (22..36, Some(path), _) => self.edit_in_place(&path, &mark),
            (36..48, Some(path), _) => self.save(&path, &mark),
            (48..62, Some(path), _) => {
                let to = sight.new_path(&mut self.chance, false, &mark);
                self.rename(&path, &to);
            }
            (62..70, _, Some(path)) => {
                let to = sight.new_path(&mut self.chance, true, &mark);
                self.rename(&path, &to);
            }
            (70..78, ..) => {
                let path = sight.new_path(&mut self.chance, true, &mark);
                if fs::create_dir(self.root.join(&path)).is_ok() {
                    self.ledger.did("disk: new folder", &path);
                }
            }
            (78..88, Some(path), _) => self.delete_file(&path),
            (88..92, _, Some(path)) => self.take_away(&path),
            (92..95, _, Some(path)) => self.delete_folder(&path),
            (95..98, Some(path), _) => {
                let to = sight.new_path(&mut self.chance, false, &mark);
                self.copy(&path, &to);
            }
            (_, Some(path), _) => {
                let other = self.chance.pick(&sight.files).cloned().unwrap_or_default();
                self.swap(&path, &other);
            }
            _ => {
                let path = new_path(&mut self.chance, &[String::new()], false, &mark);
                self.create(&path, &mark);
            }
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn took(&self, content: &[u8]) {
        let cloud = &self.cloud;
        // A careful hand has looked, and has no losses of its own.
        self.ledger.takes(sha1_of(content), |hash| self.careful || cloud.keeps(hash));
    }

    fn create(&mut self, path: &str, mark: &str) {
        self.ledger.touches(Side::Disk, path);
        let content = self.chance.content(mark);
        if let Ok(mut file) = OpenOptions::new().write(true).create_new(true).open(self.at(path)) {
            self.ledger.writes(Side::Disk, path, &content);
            file.write_all(&content).unwrap();
            self.check_place(&file, path, &content);
            self.ledger.did("disk: new file", path);
        }
    }

    /// What was written into a file that the agent was putting aside is not in the tree.
    fn check_place(&self, file: &File, path: &str, content: &[u8]) {
        let here = file.metadata().unwrap().ino();
        if fs::symlink_metadata(self.at(path)).map(|there| there.ino()).ok() != Some(here) {
            self.ledger.went_aside(content);
        }
    }

    fn edit_in_place(&mut self, path: &str, mark: &str) {
        if !self.may_take(path) {
            return;
        }
        self.ledger.touches(Side::Disk, path);
        let Ok(mut file) = OpenOptions::new().read(true).write(true).open(self.at(path)) else { return };
        let mut old = Vec::new();
        file.read_to_end(&mut old).unwrap();
        let mut content = self.chance.content(mark);
        if self.chance.below(3) == 0 {
            content = [&old[..], &content[..]].concat();
        }
        self.ledger.writes(Side::Disk, path, &content);
        self.took(&old);
        file.rewind().unwrap();
        file.set_len(0).unwrap();
        file.write_all(&content).unwrap();
        self.check_place(&file, path, &content);
        self.ledger.did("disk: edit in place", path);
    }

    /// As editors save: another file, and then renamed over the old one.
    fn save(&mut self, path: &str, mark: &str) {
        if !self.may_take(path) {
            return;
        }
        self.ledger.touches(Side::Disk, path);
        let content = self.chance.content(mark);
        let other = format!("{path}.tmp-{}", self.deeds);
        let Ok(mut file) = OpenOptions::new().write(true).create_new(true).open(self.at(&other)) else { return };
        self.ledger.writes(Side::Disk, path, &content);
        file.write_all(&content).unwrap();
        drop(file);
        self.rename_over(&other, path);
        self.ledger.did("disk: save by rename", path);
    }

    /// Renames over what is there and sees what that was.
    fn rename_over(&self, from: &str, to: &str) {
        let old = File::open(self.at(to)).ok().filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()));
        if fs::rename(self.at(from), self.at(to)).is_ok() {
            self.destroyed(old);
        }
    }

    /// What was open here is gone; if it is not, it was another that is gone.
    fn destroyed(&self, old: Option<File>) {
        let Some(mut old) = old else { return };
        if old.metadata().unwrap().nlink() > 0 {
            self.ledger.overwrote_blindly();
        }
        let mut content = Vec::new();
        old.read_to_end(&mut content).unwrap();
        self.took(&content);
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.ledger.touches(Side::Disk, if self.deeds.is_multiple_of(2) { from } else { to });
        if renameat_with(CWD, self.at(from), CWD, self.at(to), RenameFlags::NOREPLACE).is_ok() {
            self.ledger.did("disk: rename", &format!("{from} -> {to}"));
        } else if self.at(from).is_file() && self.at(to).is_file() && from != to && self.may_take(to) {
            self.rename_over(from, to);
            self.ledger.did("disk: rename over", &format!("{from} -> {to}"));
        }
    }

    fn delete_file(&self, path: &str) {
        if !self.may_take(path) {
            return;
        }
        self.ledger.touches(Side::Disk, path);
        let old = File::open(self.at(path)).ok();
        if fs::remove_file(self.at(path)).is_ok() {
            self.destroyed(old);
            self.ledger.did("disk: delete file", path);
        }
    }

    /// Moves a folder out of the watched one, at once.
    fn take_away(&self, path: &str) {
        self.ledger.touches(Side::Disk, path);
        let away = self.away.join(self.deeds.to_string());
        if fs::rename(self.at(path), &away).is_ok() {
            let mut contents = Vec::new();
            read_below(&away, &mut contents);
            for content in &contents {
                self.took(content);
            }
            self.ledger.removes_folder(path);
            self.ledger.did("disk: move folder out", path);
        }
    }

    /// Deletes a folder piece by piece.
    fn delete_folder(&self, path: &str) {
        if !self.may_take(path) {
            return;
        }
        self.ledger.touches(Side::Disk, path);
        self.ledger.removes_folder(path);
        self.ledger.did("disk: delete folder", path);
        let mut todo = vec![self.at(path)];
        let mut dirs = Vec::new();
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    todo.push(entry.path());
                } else {
                    let old = File::open(entry.path()).ok();
                    if fs::remove_file(entry.path()).is_ok() {
                        self.destroyed(old);
                    }
                }
            }
            dirs.push(dir);
        }
        for dir in dirs.iter().rev() {
            // What came into it meanwhile keeps it.
            let _ = fs::remove_dir(dir);
        }
    }

    fn copy(&self, from: &str, to: &str) {
        let (Ok(content), false) = (fs::read(self.at(from)), self.at(to).exists()) else { return };
        if let Ok(mut file) = OpenOptions::new().write(true).create_new(true).open(self.at(to)) {
            file.write_all(&content).unwrap();
            self.ledger.did("disk: copy", &format!("{from} -> {to}"));
        }
    }

    fn swap(&self, one: &str, other: &str) {
        if one != other && renameat_with(CWD, self.at(one), CWD, self.at(other), RenameFlags::EXCHANGE).is_ok() {
            self.ledger.did("disk: swap", &format!("{one} <-> {other}"));
        }
    }
}

/// Every content below a directory, with those in a directory of our own unless it is at the top of a watched folder.
pub fn read_below(dir: &Path, contents: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            read_below(&entry.path(), contents);
        } else if let Ok(content) = fs::read(entry.path()) {
            contents.push(content);
        }
    }
}

/// What the version store and its neighbours hold.
pub fn kept_by_us(root: &Path) -> Vec<Vec<u8>> {
    let mut contents = Vec::new();
    read_below(&root.join(RESERVED), &mut contents);
    contents
}
