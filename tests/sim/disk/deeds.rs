//! What the agent does on the made-up disk.

use super::*;

impl Disk {
    /// Carries out one deed.
    pub fn carry_out(&mut self, order: &DeedOrder, cut: Cut) -> DeedResult {
        if self.away {
            return DeedResult::Failed(disk_error(DiskErrorKind::RootLost, "the root is not there"));
        }
        match &order.deed {
            Deed::MakeFolder { at } => self.make_folder(at),
            Deed::Publish { staged, at, expect, on_edit } => self.publish(order.job, staged, at, expect, *on_edit, cut),
            Deed::Relocate { from, to, expect, is_folder, holds } => {
                self.relocate(from, to, expect, *is_folder, holds.as_ref())
            }
            Deed::RemoveFile { at, expect, on_edit } => self.remove_file(order.job, at, expect, *on_edit),
            Deed::RemoveFolder { at } => self.remove_folder(at),
            Deed::KeepFiles { dirs } => {
                let files = dirs.iter().flat_map(|dir| dir.files.iter().map(move |file| (dir, file)));
                let files: Vec<(KeepIn, Keep)> = files.map(|(dir, file)| (dir.clone(), file.clone())).collect();
                DeedResult::Kept { files: files.iter().map(|(dir, file)| self.keep_file(dir, file)).collect() }
            }
            Deed::KeepFolder { at, holds } => self.keep_folder(order.job, at, holds),
            Deed::RestoreFolder { from, at, holds } => self.restore_folder(*from, at, holds),
            Deed::Adopt { at, size, hash, .. } => self.adopt(at, *size, content_of(hash)),
        }
    }

    fn parent_missing() -> DeedResult {
        DeedResult::Failed(disk_error(DiskErrorKind::ParentMissing, "the directory is not there"))
    }

    fn make_folder(&mut self, at: &Place) -> DeedResult {
        let Some(dir) = self.dir_of(at) else { return Self::parent_missing() };
        let (_, name) = at.path.split_last().unwrap();
        let ino = match self.lookup(dir, name) {
            Some(ino) if self.is_dir(ino) => ino,
            Some(_) => return DeedResult::Occupied { by_folder: false },
            None => {
                let ino = self.make(Inode::Dir(BTreeMap::new()));
                self.link(at, ino);
                ino
            }
        };
        DeedResult::Done { stamp: Some(self.stamp(ino)), displaced: None }
    }

    fn displaced(&self, job: JobId, ours: Option<&Stamp>) -> Option<Displaced> {
        let ino = *self.versions.get(&job)?;
        let edited = !ours.is_some_and(|ours| self.same_content(ino, ours));
        Some(Displaced { size: self.stamp(ino).size, edited })
    }

    fn publish(
        &mut self,
        job: JobId,
        staged: &Staged,
        at: &Place,
        expect: &Expect,
        on_edit: OnEdit,
        cut: Cut,
    ) -> DeedResult {
        let ours = match expect {
            Expect::Absent => None,
            Expect::Ours(stamp) => Some(stamp),
        };
        if self.dir_of(at).is_none() {
            return Self::parent_missing();
        }
        let there = self.find(at);
        let is_published = there.is_some_and(|ino| self.same_content(ino, &staged.stamp));
        let holds_the_same =
            there.is_some_and(|ino| self.content(ino).is_some_and(|content| sha256_of(content) == staged.sha256));
        let in_staging = self.staging.get(&staged.name).copied();
        if in_staging != Some(staged.stamp.ino) {
            // A crash left off here: swapped, published, or lost.
            if let Some(other) = in_staging {
                self.staging.remove(&staged.name);
                self.versions.entry(job).or_insert(other);
            }
            if is_published || holds_the_same {
                let stamp = if is_published { staged.stamp } else { self.stamp(there.unwrap()) };
                return DeedResult::Done { stamp: Some(stamp), displaced: self.displaced(job, ours) };
            }
            return DeedResult::StagedLost;
        }
        let Some(there) = there else {
            self.staging.remove(&staged.name);
            self.link(at, staged.stamp.ino);
            self.arrived.insert(staged.stamp.ino, self.now);
            return DeedResult::Done { stamp: Some(self.stamp(staged.stamp.ino)), displaced: None };
        };
        if self.is_dir(there) {
            return DeedResult::Occupied { by_folder: true };
        }
        let is_ours = ours.is_some_and(|ours| self.same_content(there, ours));
        if !is_ours && holds_the_same {
            self.staging.remove(&staged.name);
            return DeedResult::Done { stamp: Some(self.stamp(there)), displaced: self.displaced(job, ours) };
        }
        if !is_ours && on_edit == OnEdit::Keep {
            return DeedResult::Edited { stamp: self.stamp(there) };
        }
        self.link(at, staged.stamp.ino);
        self.arrived.insert(staged.stamp.ino, self.now);
        self.staging.insert(staged.name.clone(), there);
        if cut == Cut::AfterSwap {
            return DeedResult::Failed(disk_error(DiskErrorKind::Item, "cut off after the swap"));
        }
        self.staging.remove(&staged.name);
        self.versions.insert(job, there);
        DeedResult::Done { stamp: Some(self.stamp(staged.stamp.ino)), displaced: self.displaced(job, ours) }
    }

    /// What is below a directory.
    fn holding(&self, dir: Ino) -> Holding {
        let (mut holding, mut todo) = (Holding::default(), vec![dir]);
        while let Some(dir) = todo.pop() {
            for ino in self.entries(dir).values() {
                holding.add(*ino, self.is_dir(*ino));
                todo.extend(self.is_dir(*ino).then_some(*ino));
            }
        }
        holding
    }

    fn keep_file(&mut self, dir: &KeepIn, file: &Keep) -> Option<Displaced> {
        let at = dir.at.join(&file.name);
        if let Some(job) = dir.into {
            let found = self.find(&at).filter(|ino| self.same_content(*ino, &file.expect));
            let into = if let Some(into) = self.versions.get(&job) {
                *into
            } else {
                let into = self.make(Inode::Dir(BTreeMap::new()));
                self.versions.insert(job, into);
                into
            };
            if let Some(ino) = found {
                self.unlink(&at);
                self.entries_mut(into).insert(file.name.clone(), ino);
            }
            if let Some(ino) = self.lookup(into, &file.name) {
                return Some(Displaced { size: self.stamp(ino).size, edited: false });
            }
        }
        match self.remove_file(file.job, &at, &file.expect, OnEdit::Displace) {
            DeedResult::Done { displaced, .. } => displaced,
            _ => None,
        }
    }

    fn keep_folder(&mut self, job: JobId, at: &Place, holds: &Holding) -> DeedResult {
        let done = DeedResult::Done { stamp: None, displaced: None };
        if self.versions.get(&job).is_some_and(|ino| self.is_dir(*ino)) {
            return done;
        }
        let Some(dir) = self.find(at).filter(|ino| self.is_dir(*ino)) else { return DeedResult::Missing };
        match self.contents(dir) {
            Some(found) if found == *holds => {}
            Some(found) => return DeedResult::NotEmpty { entries: found.entries },
            None => return DeedResult::Failed(disk_error(DiskErrorKind::Item, "something in it is no file")),
        }
        self.unlink(at);
        self.versions.insert(job, dir);
        done
    }

    /// The files of a directory with their contents, if it holds nothing else.
    fn contents(&self, dir: Ino) -> Option<Holding> {
        let mut found = Holding::default();
        for ino in self.entries(dir).values() {
            self.content(*ino)?;
            found.add_content(&self.stamp(*ino));
        }
        Some(found)
    }

    fn restore_folder(&mut self, from: JobId, at: &Place, holds: &Holding) -> DeedResult {
        let Some(parent) = self.dir_of(at) else { return Self::parent_missing() };
        let (_, name) = at.path.split_last().unwrap();
        let there = self.lookup(parent, name);
        let Some(dir) = self.versions.get(&from).copied().filter(|ino| self.is_dir(*ino)) else {
            // Restored before a crash?
            return match there.filter(|ino| self.is_dir(*ino) && self.contents(*ino) == Some(*holds)) {
                Some(there) => DeedResult::Done { stamp: Some(self.stamp(there)), displaced: None },
                None => DeedResult::Missing,
            };
        };
        if self.contents(dir) != Some(*holds) {
            return DeedResult::NotEmpty { entries: self.entries(dir).len() as u64 };
        }
        if let Some(there) = there {
            return DeedResult::Occupied { by_folder: self.is_dir(there) };
        }
        self.versions.remove(&from);
        self.link(at, dir);
        DeedResult::Done { stamp: Some(self.stamp(dir)), displaced: None }
    }

    fn relocate(
        &mut self,
        from: &Place,
        to: &Place,
        expect: &Stamp,
        is_folder: bool,
        holds: Option<&Holding>,
    ) -> DeedResult {
        let ours = |disk: &Self, ino: Ino| ino == expect.ino && disk.is_dir(ino) == is_folder;
        let Some(ino) = self.find(from).filter(|ino| ours(self, *ino)) else {
            return match self.find(to).filter(|ino| ours(self, *ino)) {
                Some(ino) => DeedResult::Done { stamp: Some(self.moved_stamp(false, ino, expect)), displaced: None },
                None => DeedResult::Missing,
            };
        };
        if Self::is_parked_top(to).is_none() && self.dir_of(to).is_none() {
            return Self::parent_missing();
        }
        if let Some(expected) = holds
            && self.holding(ino) != *expected
        {
            return DeedResult::NotEmpty { entries: self.holding(ino).entries };
        }
        match self.find(to) {
            Some(there) => return DeedResult::Occupied { by_folder: self.is_dir(there) },
            None if is_folder && self.is_inside(to, ino) => {
                return DeedResult::Failed(disk_error(DiskErrorKind::Item, "a directory cannot go into itself"));
            }
            None => {}
        }
        let untouched = self.untouched(ino, expect);
        self.unlink(from);
        self.link(to, ino);
        DeedResult::Done { stamp: Some(self.moved_stamp(untouched, ino, expect)), displaced: None }
    }

    fn moved_stamp(&self, untouched: bool, ino: Ino, ours: &Stamp) -> Stamp {
        if self.is_dir(ino) || untouched { self.stamp(ino) } else { *ours }
    }

    pub(super) fn is_inside(&self, place: &Place, dir: Ino) -> bool {
        let mut at = match place.base {
            Base::Tree => Some(self.root),
            Base::Parked(job) => self.parked.get(&job).copied(),
        };
        for name in place.path.names() {
            match at {
                Some(ino) if ino == dir => return true,
                Some(ino) if self.is_dir(ino) => at = self.lookup(ino, name),
                _ => return false,
            }
        }
        at == Some(dir)
    }

    fn remove_file(&mut self, job: JobId, at: &Place, expect: &Stamp, on_edit: OnEdit) -> DeedResult {
        if self.versions.contains_key(&job) {
            return DeedResult::Done { stamp: None, displaced: self.displaced(job, Some(expect)) };
        }
        let Some(ino) = self.find(at).filter(|ino| !self.is_dir(*ino)) else { return DeedResult::Missing };
        if on_edit == OnEdit::Keep && !self.same_content(ino, expect) {
            return DeedResult::Edited { stamp: self.stamp(ino) };
        }
        self.unlink(at);
        self.versions.insert(job, ino);
        DeedResult::Done { stamp: None, displaced: self.displaced(job, Some(expect)) }
    }

    fn remove_folder(&mut self, at: &Place) -> DeedResult {
        match self.find(at) {
            Some(ino) if self.is_dir(ino) => match self.entries(ino).len() {
                0 => {
                    self.unlink(at);
                    DeedResult::Done { stamp: None, displaced: None }
                }
                entries => DeedResult::NotEmpty { entries: entries as u64 },
            },
            _ => DeedResult::Missing,
        }
    }

    fn adopt(&mut self, at: &Place, size: Option<u64>, content: Content) -> DeedResult {
        match self.find(at) {
            None => DeedResult::Missing,
            Some(ino) if self.is_dir(ino) => DeedResult::Occupied { by_folder: true },
            Some(ino) if self.content(ino) == Some(content) && size.is_none_or(|size| size == size_of(content)) => {
                DeedResult::Adopted { stamp: self.stamp(ino), sha256: sha256_of(content) }
            }
            Some(_) => DeedResult::Different,
        }
    }
}
