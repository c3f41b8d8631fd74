//! A made-up disk: inodes and names, and the deeds carried out on them as `folder_sync_agent::local` promises.

use std::collections::{BTreeMap, BTreeSet};

use folder_sync_agent::deed::{
    Base, Deed, DeedOrder, DeedResult, DiskError, DiskErrorKind, Displaced, Expect, Holding, Keep, KeepIn, KeptAt,
    OnEdit, Place, Staged,
};
use folder_sync_agent::engine::input::{FetchOrder, OpenOrder, RootFacts};
use folder_sync_agent::id::{JobId, Sha256};
use folder_sync_agent::local_news::{
    DirScan, EntryKind, HashOrder, HashedFile, LocalEntry, LocalMiss, SETTLE_MS, ScanFailure, ScanOrder,
};
use folder_sync_agent::path::{Name, RelPath};
use folder_sync_agent::tree::Stamp;

use super::chance::Chance;
use super::cloud::{Content, HALF, SPECIAL, content_of, hash_of, size_of};

mod deeds;
mod hand;

type Ino = u64;

#[derive(Debug, Clone)]
enum Inode {
    File {
        content: Content,
        mtime_ns: i64,
    },
    Dir(BTreeMap<Name, Ino>),
    /// A link, a pipe, a device or a mount point.
    Other(EntryKind),
}

/// The disk under one watched folder.
#[derive(Debug)]
pub struct Disk {
    inodes: BTreeMap<Ino, Inode>,
    next_ino: Ino,
    clock_ns: i64,
    root: Ino,
    mark: Option<String>,
    pub staging: BTreeMap<Name, Ino>,
    pub parked: BTreeMap<JobId, Ino>,
    pub versions: BTreeMap<JobId, Ino>,
    next_staged: u64,
    /// The root cannot be found now.
    pub away: bool,
    /// Directories that may not be read.
    unreadable: BTreeSet<Ino>,
    /// The longest file for which there is room.
    pub room: Option<u64>,
    /// Contents that a local user wrote and did not remove again.
    pub written: BTreeSet<Content>,
    /// A local user had a hand in the tree.
    pub meddled: bool,
    /// The world's time, and when each file was last written.
    pub now: u64,
    written_at: BTreeMap<Ino, u64>,
    /// The status change times of files.
    changed_ns: BTreeMap<Ino, i64>,
    /// When files came here that the agent put here.
    pub arrived: BTreeMap<Ino, u64>,
    /// Directories in which something changed since the watcher was last asked.
    pub hints: Vec<RelPath>,
}

/// Where a crash cuts a batch of deeds off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere.
    Never,
    /// Right after a publish swapped the new file in: what it replaced is still in the staging directory.
    AfterSwap,
}

pub fn disk_error(kind: DiskErrorKind, text: &str) -> DiskError {
    DiskError { kind, text: text.to_owned() }
}

pub fn sha256_of(content: Content) -> Sha256 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&content.to_be_bytes());
    Sha256(bytes)
}

impl Disk {
    pub fn new() -> Self {
        let mut disk = Self {
            inodes: BTreeMap::new(),
            next_ino: 100,
            clock_ns: 1_000,
            root: 1,
            mark: None,
            staging: BTreeMap::new(),
            parked: BTreeMap::new(),
            versions: BTreeMap::new(),
            next_staged: 0,
            away: false,
            unreadable: BTreeSet::new(),
            room: None,
            written: BTreeSet::new(),
            meddled: false,
            now: 0,
            written_at: BTreeMap::new(),
            changed_ns: BTreeMap::new(),
            arrived: BTreeMap::new(),
            hints: Vec::new(),
        };
        disk.inodes.insert(1, Inode::Dir(BTreeMap::new()));
        disk
    }

    fn tick(&mut self) -> i64 {
        self.clock_ns += 1;
        self.clock_ns
    }

    fn make(&mut self, inode: Inode) -> Ino {
        self.next_ino += 1;
        self.inodes.insert(self.next_ino, inode);
        self.touch(self.next_ino);
        self.next_ino
    }

    /// Something happened to an inode: its content, its name or its permissions.
    fn touch(&mut self, ino: Ino) {
        let now = self.tick();
        self.changed_ns.insert(ino, now);
    }

    fn stamp(&self, ino: Ino) -> Stamp {
        let (size, mtime_ns, ctime_ns) = match &self.inodes[&ino] {
            Inode::File { content, mtime_ns } => (size_of(*content), *mtime_ns, self.changed_ns[&ino]),
            Inode::Other(_) => (0, 0, self.changed_ns[&ino]),
            Inode::Dir(_) => (0, 0, 0),
        };
        Stamp { dev: 7, ino, size, mtime_ns, ctime_ns }
    }

    fn is_dir(&self, ino: Ino) -> bool {
        matches!(self.inodes[&ino], Inode::Dir(_))
    }

    pub fn content(&self, ino: Ino) -> Option<Content> {
        match self.inodes.get(&ino) {
            Some(Inode::File { content, .. }) => Some(*content),
            _ => None,
        }
    }

    fn entries(&self, dir: Ino) -> &BTreeMap<Name, Ino> {
        match &self.inodes[&dir] {
            Inode::Dir(entries) => entries,
            Inode::File { .. } | Inode::Other(_) => panic!("inode {dir} is no directory"),
        }
    }

    fn entries_mut(&mut self, dir: Ino) -> &mut BTreeMap<Name, Ino> {
        match self.inodes.get_mut(&dir) {
            Some(Inode::Dir(entries)) => entries,
            _ => panic!("inode {dir} is not a directory"),
        }
    }

    fn lookup(&self, dir: Ino, name: &Name) -> Option<Ino> {
        self.entries(dir).get(name).copied()
    }

    /// The directory in which a place is, if it is there and everything on the way is a directory.
    fn dir_of(&self, place: &Place) -> Option<Ino> {
        let names = place.path.names();
        let mut at = match place.base {
            Base::Tree => self.root,
            Base::Parked(job) => *self.parked.get(&job)?,
        };
        for name in names.split_last()?.1 {
            if !self.is_dir(at) {
                return None;
            }
            at = self.lookup(at, name)?;
        }
        self.is_dir(at).then_some(at)
    }

    fn is_parked_top(place: &Place) -> Option<JobId> {
        match place.base {
            Base::Parked(job) if place.path.is_root() => Some(job),
            _ => None,
        }
    }

    fn find(&self, place: &Place) -> Option<Ino> {
        if let Some(job) = Self::is_parked_top(place) {
            return self.parked.get(&job).copied();
        }
        let (_, name) = place.path.split_last()?;
        self.lookup(self.dir_of(place)?, name)
    }

    fn unlink(&mut self, place: &Place) {
        self.hint(place);
        if let Some(job) = Self::is_parked_top(place) {
            self.parked.remove(&job);
            return;
        }
        let dir = self.dir_of(place).unwrap();
        let (_, name) = place.path.split_last().unwrap();
        let name = name.clone();
        self.entries_mut(dir).remove(&name);
    }

    /// A watcher would notice that something changed here.
    fn hint(&mut self, place: &Place) {
        if place.base == Base::Tree
            && let Some((dir, _)) = place.path.split_last()
        {
            self.hints.push(dir);
        }
    }

    fn link(&mut self, place: &Place, ino: Ino) {
        self.hint(place);
        self.touch(ino);
        if let Some(job) = Self::is_parked_top(place) {
            self.parked.insert(job, ino);
            return;
        }
        let dir = self.dir_of(place).unwrap();
        let (_, name) = place.path.split_last().unwrap();
        let name = name.clone();
        self.entries_mut(dir).insert(name, ino);
        if place.base == Base::Tree {
            self.hint_all(&place.path, ino);
        }
    }

    /// A watcher names a directory that appears itself, and all those in it, under the names that they have then (`local::watch`).
    fn hint_all(&mut self, path: &RelPath, ino: Ino) {
        if !self.is_dir(ino) {
            return;
        }
        self.hints.push(path.clone());
        let inside: Vec<(Name, Ino)> = self.entries(ino).iter().map(|(name, ino)| (name.clone(), *ino)).collect();
        for (name, ino) in inside {
            self.hint_all(&path.join(&name), ino);
        }
    }

    fn same_content(&self, ino: Ino, stamp: &Stamp) -> bool {
        !self.is_dir(ino) && self.stamp(ino).same_content(stamp)
    }

    fn untouched(&self, ino: Ino, stamp: &Stamp) -> bool {
        !self.is_dir(ino) && self.stamp(ino) == *stamp
    }

    pub fn open(&mut self, order: &OpenOrder) -> Result<RootFacts, DiskError> {
        if self.away {
            return Err(disk_error(DiskErrorKind::RootLost, "the root is not there"));
        }
        match &self.mark {
            Some(mark) if *mark != order.mark => {
                return Err(disk_error(DiskErrorKind::RootLost, "the mark names another folder"));
            }
            None if !order.create => return Err(disk_error(DiskErrorKind::RootLost, "the mark is missing")),
            _ => self.mark = Some(order.mark.clone()),
        }
        if let Some(keep) = &order.keep_staged {
            self.staging.retain(|name, _| keep.contains(name));
        }
        Ok(RootFacts {
            stamp: self.stamp(self.root),
            empty: self.entries(self.root).is_empty(),
            disk_bytes: u64::MAX,
            free_bytes: self.room.unwrap_or(u64::MAX),
        })
    }

    /// What a fetch leaves in the staging directory.
    pub fn stage(&mut self, order: &FetchOrder, content: Content) -> Staged {
        let mtime_ns = order.modified.map_or(0, |at| at.0 * 1_000_000);
        let ino = self.make(Inode::File { content, mtime_ns });
        self.next_staged += 1;
        let name = Name::new(format!("s{}", self.next_staged).as_bytes()).unwrap();
        self.staging.insert(name.clone(), ino);
        Staged { name, stamp: self.stamp(ino), sha256: sha256_of(content), flushed: false }
    }

    /// Half a download that nobody knows of.
    pub fn stage_half(&mut self) {
        let ino = self.make(Inode::File { content: HALF, mtime_ns: 0 });
        self.next_staged += 1;
        self.staging.insert(Name::new(format!("s{}", self.next_staged).as_bytes()).unwrap(), ino);
    }

    /// The power fails: staged files that nobody flushed are gone, or not. What a swap has put in the place of one was in the tree, and is
    /// on the disk for long.
    pub fn lose_unflushed(&mut self, chance: &mut Chance) -> Vec<String> {
        let is_new = |ino: &Ino| !self.arrived.contains_key(ino) && !self.written_at.contains_key(ino);
        let staged = self.staging.iter().filter(|(_, ino)| is_new(ino)).map(|(name, _)| name.clone());
        let lost: Vec<Name> = staged.filter(|_| chance.one_in(2)).collect();
        for name in &lost {
            self.staging.remove(name);
        }
        lost.iter().map(Name::to_text).collect()
    }

    /// The content at a place.
    pub fn content_at(&self, place: &Place) -> Option<Content> {
        self.find(place).and_then(|ino| self.content(ino))
    }

    /// The watched directory.
    pub fn root(&self) -> Ino {
        self.root
    }

    /// Whether an inode is in the visible tree, or out of sight for a moment, and in none of some directories.
    pub fn has_inode(&self, ino: Ino, unread: &BTreeSet<Ino>) -> bool {
        let mut todo: Vec<Ino> = self.parked.values().copied().collect();
        todo.push(self.root);
        while let Some(at) = todo.pop() {
            if at == ino {
                return true;
            }
            if self.is_dir(at) && !unread.contains(&at) {
                todo.extend(self.entries(at).values());
            }
        }
        false
    }

    /// Files with their contents and directories (with a `/` behind) in the visible tree.
    pub fn tree(&self) -> BTreeMap<String, Option<Content>> {
        let mut tree = BTreeMap::new();
        self.walk(self.root, "", &mut |path, content| {
            tree.insert(path, content);
        });
        tree
    }

    fn walk(&self, dir: Ino, above: &str, visit: &mut impl FnMut(String, Option<Content>)) {
        for (name, ino) in self.entries(dir) {
            let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
            let path = if above.is_empty() { name } else { format!("{above}/{name}") };
            if let Some(content) = self.content(*ino) {
                visit(path, Some(content));
            } else if !self.is_dir(*ino) {
                visit(path, Some(SPECIAL));
            } else {
                visit(format!("{path}/"), None);
                self.walk(*ino, &path, visit);
            }
        }
    }

    /// Every content that can be found: in the tree, parked, or in the version store.
    pub fn findable(&self) -> BTreeSet<Content> {
        let mut found: BTreeSet<Content> = self.tree().into_values().flatten().collect();
        for ino in self.parked.values().chain(self.versions.values()) {
            match self.content(*ino) {
                Some(content) => {
                    found.insert(content);
                }
                None if self.is_dir(*ino) => self.walk(*ino, "", &mut |_, content| found.extend(content)),
                None => {}
            }
        }
        found
    }

    /// A page of directories, as one order finds them; those without room in it are left out.
    pub fn scan_in_turn(&self, orders: &[ScanOrder], page: usize) -> Vec<Result<DirScan, ScanFailure>> {
        let mut room = page;
        let mut scans = Vec::new();
        for order in orders {
            let scan = self.scan(order, room);
            room = room.saturating_sub(scan.as_ref().map_or(0, |scan| scan.entries.len()));
            scans.push(scan);
            if room == 0 {
                break;
            }
        }
        scans
    }

    /// A page of a directory, as a scan finds it.
    pub fn scan(&self, order: &ScanOrder, page: usize) -> Result<DirScan, ScanFailure> {
        if self.away {
            return Err(ScanFailure::Unreadable(disk_error(DiskErrorKind::RootLost, "the root is not there")));
        }
        let dir = if order.dir.is_root() { Some(self.root) } else { self.find(&Place::tree(order.dir.clone())) };
        let dir = dir.ok_or(ScanFailure::Missing)?;
        if !self.is_dir(dir) {
            return Err(ScanFailure::NotAFolder);
        }
        if self.unreadable.contains(&dir) {
            return Err(ScanFailure::Unreadable(disk_error(DiskErrorKind::Item, "permission denied")));
        }
        let rest = self.entries(dir).iter().filter(|(name, _)| order.after.as_ref().is_none_or(|after| *name > after));
        let mut entries: Vec<LocalEntry> = rest
            .take(page + 1)
            .map(|(name, ino)| LocalEntry {
                name: name.clone(),
                kind: match self.inodes[ino] {
                    Inode::File { .. } => EntryKind::File,
                    Inode::Dir(_) => EntryKind::Folder,
                    Inode::Other(kind) => kind,
                },
                stamp: self.stamp(*ino),
                links: 1,
            })
            .collect();
        let more = entries.len() > page;
        entries.truncate(page);
        let next = entries.last().filter(|_| more).map(|last| last.name.clone());
        Ok(DirScan { stamp: self.stamp(dir), steady: true, entries, unreadable: Vec::new(), next })
    }

    /// The content of a file that is as expected.
    pub fn read(&self, path: &RelPath, stamp: &Stamp) -> Result<Content, LocalMiss> {
        if self.away {
            return Err(LocalMiss::Failed(disk_error(DiskErrorKind::RootLost, "the root is not there")));
        }
        let ino = self.find(&Place::tree(path.clone())).ok_or(LocalMiss::Missing)?;
        let content = self.content(ino).ok_or(LocalMiss::NotAFile)?;
        let now = self.stamp(ino);
        if now == *stamp { Ok(content) } else { Err(LocalMiss::Changed { stamp: now }) }
    }

    /// Digests a file.
    pub fn hash(&self, order: &HashOrder) -> Result<HashedFile, LocalMiss> {
        let content = self.read(&order.path, &order.stamp)?;
        let written = self.written_at.get(&order.stamp.ino).copied().unwrap_or(0);
        let settled = self.now >= written + SETTLE_MS as u64;
        Ok(HashedFile { sha256: sha256_of(content), hash: hash_of(content), stamp: order.stamp, settled })
    }

    /// Contents in the version store.
    pub fn kept(&self) -> BTreeSet<Content> {
        let whole = self.versions.values().filter(|ino| self.is_dir(**ino)).flat_map(|dir| self.entries(*dir).values());
        self.versions.values().chain(whole).filter_map(|ino| self.content(*ino)).collect()
    }

    /// One content of the version store.
    pub fn kept_at(&self, kept: &KeptAt) -> Option<Content> {
        let slot = *self.versions.get(&kept.job)?;
        match &kept.inside {
            Some(name) => self.is_dir(slot).then(|| self.lookup(slot, name))?.and_then(|ino| self.content(ino)),
            None => self.content(slot),
        }
    }
}
