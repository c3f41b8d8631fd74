//! What a local user does on the made-up disk.

use super::*;

impl Disk {
    fn place(path: &str) -> Place {
        Place::tree(RelPath::parse(path).unwrap())
    }

    /// A local user writes a file in place, or makes it. False if that cannot be.
    pub fn write(&mut self, path: &str, content: Content) -> bool {
        let place = Self::place(path);
        if self.dir_of(&place).is_none() || self.find(&place).is_some_and(|ino| self.is_dir(ino)) {
            return false;
        }
        self.meddled = true;
        if let Some(old) = self.find(&place).and_then(|ino| self.content(ino)) {
            self.written.remove(&old);
        }
        self.written.insert(content);
        let mtime_ns = 1_900_000_000_000_000_000 + self.tick();
        let inode = Inode::File { content, mtime_ns };
        match self.find(&place) {
            // In place, or as editors do, with a new inode under the old name.
            Some(ino) if content.is_multiple_of(2) => {
                self.inodes.insert(ino, inode);
                self.touch(ino);
                self.written_at.insert(ino, self.now);
                self.hint(&place);
            }
            _ => {
                let ino = self.make(inode);
                self.written_at.insert(ino, self.now);
                self.link(&place, ino);
            }
        }
        true
    }

    /// A local user changes a file's permissions, or does something else to it that leaves its content as it is.
    pub fn chmod(&mut self, path: &str) {
        let place = Self::place(path);
        let ino = self.find(&place).unwrap();
        self.touch(ino);
        self.hint(&place);
    }

    /// A program writes a file in place and sets the modification time back. The length stays, as the other content has the same one.
    pub fn write_unnoticed(&mut self, path: &str, content: Content) {
        let place = Self::place(path);
        let ino = self.find(&place).unwrap();
        let mtime_ns = self.stamp(ino).mtime_ns;
        assert_eq!(size_of(content), self.stamp(ino).size);
        self.inodes.insert(ino, Inode::File { content, mtime_ns });
        self.written_at.insert(ino, self.now);
        self.written.insert(content);
        self.meddled = true;
        self.touch(ino);
        self.hint(&place);
    }

    /// A local user makes a directory.
    pub fn mkdir(&mut self, path: &str) -> bool {
        let place = Self::place(path);
        if self.dir_of(&place).is_none() || self.find(&place).is_some() {
            return false;
        }
        self.meddled = true;
        let ino = self.make(Inode::Dir(BTreeMap::new()));
        self.link(&place, ino);
        true
    }

    /// A local user removes a file, or a directory with everything in it.
    pub fn remove(&mut self, path: &str) -> bool {
        let place = Self::place(path.trim_end_matches('/'));
        let Some(ino) = self.find(&place) else { return false };
        self.meddled = true;
        let mut lost = Vec::new();
        match self.content(ino) {
            Some(content) => lost.push(content),
            None if self.is_dir(ino) => self.walk(ino, "", &mut |_, content| lost.extend(content)),
            None => {}
        }
        for content in lost {
            self.written.remove(&content);
        }
        self.unlink(&place);
        true
    }

    /// A local user renames something.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        let (from, to) = (Self::place(from.trim_end_matches('/')), Self::place(to.trim_end_matches('/')));
        let Some(ino) = self.find(&from) else { return false };
        if self.find(&to).is_some() || self.dir_of(&to).is_none() || self.is_inside(&to, ino) {
            return false;
        }
        self.meddled = true;
        self.unlink(&from);
        self.link(&to, ino);
        true
    }

    /// A local user puts something else in the place of a file or a directory.
    pub fn replace_by(&mut self, path: &str, kind: EntryKind) {
        assert!(self.remove(path), "there is no `{path}`");
        let ino = self.make(Inode::Other(kind));
        self.link(&Self::place(path), ino);
    }

    /// A local user takes away, or gives back, the right to read a directory.
    pub fn set_readable(&mut self, path: &str, readable: bool) {
        let place = Self::place(path);
        let ino = self.find(&place).unwrap();
        if readable {
            self.unreadable.remove(&ino);
        } else {
            self.unreadable.insert(ino);
        }
        self.touch(ino);
        self.hint(&place);
        self.hints.push(place.path);
    }

    /// Half a file is visible at a place that is free.
    pub fn write_half(&mut self, path: &str) {
        let place = Self::place(path);
        if self.dir_of(&place).is_some() && self.find(&place).is_none() {
            let ino = self.make(Inode::File { content: HALF, mtime_ns: 0 });
            self.link(&place, ino);
        }
    }

    /// What stands at a place is said to be what was expected.
    pub fn adopted(&self, place: &Place) -> DeedResult {
        let ino = self.find(place).unwrap();
        DeedResult::Adopted { stamp: self.stamp(ino), sha256: sha256_of(self.content(ino).unwrap()) }
    }
}
