//! What the disk has: which directories are scanned when, and what a scan says of the items in them.
//!
//! A scan takes the folder's one place for deeds, so that it never sees a deed half done; the hints of a watcher only ask for scans.
//! What is not found is absent only if the directory was read to its end and did not change meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::effect::{Effect, LocalTask};
use super::sides::seat_of;
use super::{Engine, Job, millis};
use crate::deed::{Base, DiskErrorKind, Place};
use crate::events::interval::backoff;
use crate::id::{FolderId, ItemKind, NodeId};
use crate::local_news::{
    DirScan, EntryKind, LocalEntry, News, Rescan, SCAN_DIRS_MOST, SCAN_PAGE_ENTRIES, ScanFailure, ScanOrder,
};
use crate::path::{Name, RelPath};
use crate::plan::Policy;
use crate::report::{Degraded, UNWATCHED};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalEdit, LocalRow, SeatRow, local_id};
use crate::store::work::{Ask, Lane};
use crate::tree::Stamp;

mod compare;
mod covered;
mod gone;
mod hollow;
mod left_out;
mod moved;
mod scan;

pub(in crate::engine) use scan::Scan;

/// How long a hint waits for others of the same directory.
const HINTS_GATHERED: Duration = Duration::from_millis(300);
/// How long the first scan of a folder in which nothing is to be done waits for its watch to stand.
const WATCH_HOPED_FOR: Duration = Duration::from_secs(30);
/// How soon a directory that changed while it was read is read again.
const UNSTEADY_AGAIN: Duration = Duration::from_secs(1);
/// How often everything is scanned where not every directory can be watched.
const UNWATCHED_EVERY: Duration = Duration::from_mins(10);
/// Rows of a directory that are compared with one page of its scan; what is beyond is found by another scan.
const ROWS_PER_PAGE: u32 = 4 * SCAN_PAGE_ENTRIES as u32;

impl Engine {
    /// What a folder's settings say of who decides.
    pub(super) fn policy(&self, id: FolderId) -> Policy {
        self.folders.get(&id).map(|folder| Policy::of(&folder.settings)).unwrap_or_default()
    }

    /// A watcher noticed something.
    pub(super) fn local_news(&mut self, id: FolderId, news: News) -> Result<()> {
        let Some(root) = self.folders.get(&id).and_then(|folder| folder.row.root) else { return Ok(()) };
        match news {
            News::Dirs(dirs) => {
                let due = self.ctx.now.wall.plus_ms(millis(HINTS_GATHERED) as i64);
                for dir in dirs {
                    let node = self.deepest_known(root, &dir)?;
                    self.ctx.store.want_scan(node, id, false, due)?;
                }
            }
            News::Root => {
                if let Some(folder) = self.folders.get_mut(&id) {
                    folder.look_at_root_by(self.ctx.now.mono);
                }
            }
            News::Rescan(Rescan::Asked) => self.scan_unwatched(id)?,
            News::Rescan(why) => {
                self.scan_all(id)?;
                let again = self.ctx.now.mono + millis(UNWATCHED_EVERY);
                let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
                if let Rescan::Unwatched { text } = why {
                    folder.scan_again = again;
                    folder.unwatched = Some(Degraded {
                        name: UNWATCHED.into(),
                        cause: text,
                        next_step: "the folder is scanned every ten minutes; `agent doctor` says what to raise".into(),
                    });
                } else if why == Rescan::Began {
                    folder.scan_again = u64::MAX;
                    folder.unwatched = None;
                }
            }
        }
        Ok(())
    }

    /// Scans a folder from its root down.
    pub(super) fn scan_all(&mut self, id: FolderId) -> Result<()> {
        match self.folders.get(&id).and_then(|folder| folder.row.root) {
            Some(root) => self.ctx.store.want_scan(root, id, true, self.ctx.now.wall),
            None => Ok(()),
        }
    }

    /// Looks at what is not watched, and at what could not be read before. Nothing where every directory is watched.
    pub(super) fn scan_unwatched(&mut self, id: FolderId) -> Result<()> {
        self.ctx.store.scan_failed_now(id, self.ctx.now.wall)?;
        if self.folders.get(&id).is_some_and(|folder| folder.unwatched.is_some()) {
            self.scan_all(id)?;
        }
        Ok(())
    }

    /// A directory and, from now on, what is in it is looked at again.
    pub(super) fn rescan_around(&mut self, item: &ItemRow) -> Result<()> {
        if let Some(SeatRow::At { parent, .. }) = item.disk_seat() {
            self.ctx.store.want_scan(parent, item.folder, false, self.ctx.now.wall)?;
        }
        Ok(())
    }

    fn deepest_known(&self, root: NodeId, dir: &RelPath) -> Result<NodeId> {
        let mut at = root;
        for name in dir.names() {
            match self.ctx.store.seated_at(at, name)? {
                Some(node) if self.ctx.store.item(node)?.is_some_and(|item| item.id.is_folder()) => at = node,
                _ => break,
            }
        }
        Ok(at)
    }

    /// Begins to watch a folder whose mode listens to the disk.
    pub(super) fn watch(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        if folder.row.root.is_none() || !folder.is_open() || std::mem::replace(&mut folder.watched, true) {
            return Ok(());
        }
        let is_settled = folder.row.verified_at.is_some() && folder.row.unverified.is_none();
        let root = folder.row.root;
        // The watcher begins before the scan, so that nothing falls between them.
        self.ctx.out.push(Effect::Watch(id, true));
        let now = self.ctx.now.wall;
        self.ctx.store.scan_now(id, now)?;
        let Some(root) = root else { return Ok(()) };
        // Where nothing is to be done, the scan waits until the watch stands, which its first hint tells, and nothing is read twice; if no
        // hint should come, it is made all the same. Where there is work, it must know what the disk has as soon as it can.
        let waits = is_settled && !self.ctx.store.busy(id)?;
        let due = if waits { now.plus_ms(millis(WATCH_HOPED_FOR) as i64) } else { now };
        self.ctx.store.want_scan(root, id, true, due)
    }

    /// When a folder's next scan can begin, on the clock that never jumps.
    pub(super) fn scan_deadline(&self, id: FolderId) -> Option<u64> {
        let folder = self.folders.get(&id)?;
        if !folder.is_open() || folder.row.paused || folder.batch.is_some() || !folder.watched {
            return None;
        }
        // A database that cannot answer will fail the next step, which says so.
        let due = self.ctx.store.next_scan_due(id).ok().flatten();
        let due = due.map(|due| self.ctx.now.mono.saturating_add(due.since(self.ctx.now.wall).max(0) as u64));
        due.into_iter().chain((folder.scan_again < u64::MAX).then_some(folder.scan_again)).min()
    }

    /// Hands out scans, one for each folder, in turn with its deeds.
    pub(super) fn drive_scans(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            self.watch(id)?;
            if !self.folders.get(&id).is_some_and(|folder| folder.watched) {
                continue;
            }
            self.tell_vanished(id)?;
            let now = self.ctx.now.mono;
            let Some(folder) = self.folders.get_mut(&id) else { continue };
            if folder.scan_again <= now {
                let quiet = self.quiet_for(id);
                if let Some(folder) = self.folders.get_mut(&id) {
                    folder.scan_again = now + quiet.unwrap_or(millis(UNWATCHED_EVERY));
                }
                if quiet.is_none() {
                    self.scan_all(id)?;
                }
            }
            self.drive_decisions(id)?;
            self.begin_scan(id)?;
        }
        Ok(())
    }

    fn begin_scan(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        if !folder.is_open() || folder.row.paused || folder.batch.is_some() || !folder.building.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut folder.scanned_last) && !folder.queue.is_empty() {
            return Ok(());
        }
        self.order_scans(id, Vec::new())
    }

    /// Orders scans of directories: those that go on, and those whose turn it is. None of them is below another one: what the scan of a
    /// directory shows may be that the one below is elsewhere.
    fn order_scans(&mut self, id: FolderId, going_on: Vec<Scan>) -> Result<()> {
        let (mut orders, mut scans): (Vec<ScanOrder>, Vec<Scan>) = (Vec::new(), Vec::new());
        for scan in going_on {
            match self.ctx.place(scan.node())? {
                Some(Place { base: Base::Tree, path }) => {
                    orders.push(ScanOrder { dir: path, after: scan.after.clone() });
                    scans.push(scan);
                }
                _ => self.ctx.store.scan_ended(scan.node())?,
            }
        }
        while orders.len() < SCAN_DIRS_MOST
            && let Some(row) = self.ctx.store.next_scan(id, self.ctx.now.wall)?
        {
            let place = self.ctx.place(row.node)?;
            if let Some(Place { base: Base::Tree, path }) = &place
                && orders.iter().any(|order| path.starts_with(&order.dir))
            {
                break;
            }
            let attempts = self.ctx.store.scan_attempts(row.node)?;
            self.ctx.store.scan_begun(row.node)?;
            match place {
                Some(Place { base: Base::Tree, path }) => {
                    orders.push(ScanOrder { dir: path, after: None });
                    scans.push(Scan { row, after: None, attempts, unsteady: false, holds: false });
                }
                _ => self.ctx.store.scan_ended(row.node)?,
            }
        }
        if orders.is_empty() {
            return Ok(());
        }
        // Like a folder's one batch of deeds it always has room.
        let job = self.jobs.start_on_disk(&mut self.ctx.store, Job::Scan { folder: id, scans })?;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.batch = Some(job);
        }
        self.ctx.out.push(Effect::Local { job, folder: id, task: LocalTask::Scan(orders) });
        Ok(())
    }

    /// Takes one page of scans.
    pub(super) fn scanned(
        &mut self,
        id: FolderId,
        scans: Vec<Scan>,
        results: Vec<std::result::Result<DirScan, ScanFailure>>,
    ) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.batch = None;
        folder.scanned_last = true;
        let mut results = results.into_iter();
        let mut going_on = Vec::new();
        for scan in scans {
            match results.next() {
                Some(result) => going_on.extend(self.scanned_one(id, scan, result)?),
                // The page had no room for it. What was found before it may have shown that it is no more.
                None if self.ctx.store.item(scan.node())?.is_none() => {}
                None => self.ctx.store.want_scan(scan.node(), id, scan.row.deep, self.ctx.now.wall)?,
            }
        }
        if going_on.is_empty() { Ok(()) } else { self.order_scans(id, going_on) }
    }

    /// Takes what one scan found; the scan itself, if there is more to read.
    fn scanned_one(
        &mut self,
        id: FolderId,
        mut scan: Scan,
        result: std::result::Result<DirScan, ScanFailure>,
    ) -> Result<Option<Scan>> {
        let Some(item) = self.ctx.store.item(scan.row.node)? else { return Ok(None) };
        let page = match result {
            Ok(page) if self.reads_another(&item, &scan, &page)? => return Ok(None),
            Ok(page) => page,
            Err(ScanFailure::Missing | ScanFailure::NotAFolder) => {
                self.ctx.store.scan_ended(item.node)?;
                self.rescan_around(&item)?;
                return Ok(None);
            }
            Err(ScanFailure::Unreadable(error)) => {
                let wait = backoff(scan.attempts + 3, None, self.ctx.chance.next());
                let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
                let root_is_lost = matches!(error.kind, DiskErrorKind::RootLost);
                let attempts = if root_is_lost { 0 } else { scan.attempts + 1 };
                scan.row.failing = scan.row.failing.or(Some(self.ctx.now.mono));
                self.ctx.store.scan_failed(scan.row, id, due, attempts, &error.to_string())?;
                if root_is_lost {
                    self.root_failed(id, &error);
                }
                return Ok(None);
            }
        };
        if page.next.is_none() {
            self.ctx.store.scan_ended(item.node)?;
        }
        if scan.attempts > 0 {
            // What was in the way here may have been in the way of others.
            self.ctx.store.scan_failed_now(id, self.ctx.now.wall)?;
        }
        scan.unsteady |= !page.steady;
        scan.holds |= !page.entries.is_empty() || !page.unreadable.is_empty();
        self.take_page(&item, &scan, &page)?;
        if let Some(next) = page.next {
            scan.after = Some(next);
            return Ok(Some(scan));
        }
        if scan.unsteady {
            let due = self.ctx.now.wall.plus_ms(millis(UNSTEADY_AGAIN) as i64);
            self.ctx.store.want_scan(item.node, id, scan.row.deep, due)?;
        } else if scan.holds {
            self.drop_hollow(item)?;
        }
        Ok(None)
    }

    fn take_page(&mut self, dir: &ItemRow, scan: &Scan, page: &DirScan) -> Result<()> {
        let here = |item: &ItemRow| match item.disk_seat() {
            Some(SeatRow::At { name, .. }) => Some(name),
            _ => None,
        };
        let found = compare::compare(&self.ctx.store, dir.node, scan.after.as_ref(), page, ROWS_PER_PAGE)?;
        if found.is_cut {
            self.ctx.store.want_scan(dir.node, dir.folder, scan.row.deep, self.ctx.now.wall)?;
        }
        if scan.row.deep {
            for folder in found.folders {
                self.ctx.store.want_scan(folder, dir.folder, true, self.ctx.now.wall)?;
            }
        }
        let mut expected = Vec::with_capacity(found.items.len());
        for node in found.items {
            expected.extend(self.ctx.store.item(node)?);
        }
        let differing: Vec<&LocalEntry> = found.entries.into_iter().filter_map(|at| page.entries.get(at)).collect();
        if page.steady {
            let entries = page.entries.iter().map(|entry| &entry.name);
            let seen: BTreeSet<&Name> = entries.chain(page.unreadable.iter().map(|entry| &entry.name)).collect();
            for item in expected.iter().filter(|item| here(item).is_some_and(|name| !seen.contains(&name))) {
                self.missing(item)?;
            }
        }
        self.changed_names(&expected, &differing)?;
        let mut odd = Vec::new();
        for entry in differing {
            if covered::kind_of(entry.kind).is_none() && self.wanted_here(dir, entry, ItemKind::File)? {
                odd.push(entry);
            }
            self.entry(dir, entry, scan.row.deep)?;
        }
        left_out::note(&mut self.ctx.store, dir, &odd, scan.after.is_none())?;
        self.mapped_names = None;
        Ok(())
    }

    /// Items that changed names among themselves: each is first taken for missing and then found by its inode. A file whose inode has
    /// a new name is not meant: that is how editors keep a backup.
    fn changed_names(&mut self, expected: &[ItemRow], entries: &[&LocalEntry]) -> Result<()> {
        let by_ino: BTreeMap<u64, &LocalEntry> = entries.iter().map(|entry| (entry.stamp.ino, *entry)).collect();
        let by_name: BTreeMap<&Name, &LocalEntry> = entries.iter().map(|entry| (&entry.name, *entry)).collect();
        let known: BTreeSet<Name> = expected.iter().filter_map(|item| seat_of(item).map(|(_, name)| name)).collect();
        for item in expected.iter().filter(|item| !item.is_local_only()) {
            let (Some((_, name)), Some(stamp)) = (seat_of(item), item.disk_stamp()) else { continue };
            let (Some(here), Some(there)) = (by_name.get(&name), by_ino.get(&stamp.ino)) else { continue };
            let moved = stamp.ino != 0 && !here.stamp.same_inode(&stamp) && there.stamp.same_inode(&stamp);
            let is_it = match there.kind {
                EntryKind::Folder => item.id.is_folder(),
                EntryKind::File => {
                    !item.id.is_folder()
                        && there.links == 1
                        && known.contains(&there.name)
                        && item.synced.as_ref().is_some_and(|synced| synced.stamp.same_content(&there.stamp))
                }
                EntryKind::Link | EntryKind::Special | EntryKind::Mount => false,
            };
            if moved && is_it {
                self.missing(item)?;
            }
        }
        Ok(())
    }

    /// One entry of a directory.
    fn entry(&mut self, dir: &ItemRow, entry: &LocalEntry, deep: bool) -> Result<()> {
        let kind = covered::kind_of(entry.kind);
        let known = match self.ctx.store.seated_at(dir.node, &entry.name)? {
            Some(node) => self.ctx.store.item(node)?,
            None => None,
        };
        match (known, kind) {
            (Some(known), kind) if Some(known.id.kind()) != kind => self.another_kind(dir, &known, entry),
            (Some(known), Some(ItemKind::File)) => self.known_file(&known, entry),
            (Some(known), _) => self.known_folder(dir, &known, entry, deep),
            (None, Some(kind)) => self.new_entry(dir, entry, kind),
            // What is neither file nor folder of this disk is nobody's to sync.
            (None, None) => Ok(()),
        }
    }

    /// A file has the name that we know it by; whether it is the same inode does not matter, as editors write a new one and rename it
    /// over the old one.
    fn known_file(&mut self, known: &ItemRow, entry: &LocalEntry) -> Result<()> {
        // With only another status change time it may have other permissions, or another content of the same length under a modification
        // time that was set back: it is read.
        let is_covered = matches!(known.local, Some(LocalRow::Covered { .. }));
        if !is_covered && known.disk_stamp() == Some(entry.stamp) {
            return Ok(());
        }
        let seat = seat_of(known);
        let edit = Some(LocalEdit { stamp: entry.stamp, digests: None });
        self.observe(known, Some(LocalRow::Present { seat, edit, at: self.ctx.now.wall }))
    }

    fn known_folder(&mut self, dir: &ItemRow, known: &ItemRow, entry: &LocalEntry, deep: bool) -> Result<()> {
        let stamp = known.disk_stamp().filter(|stamp| stamp.ino != 0);
        let is_same = stamp.is_none_or(|stamp| stamp.same_inode(&entry.stamp));
        if !is_same && self.ctx.store.missing_inode(known.folder, &entry.stamp)?.is_some() {
            // Another directory that we know was moved over this one's name.
            self.missing(known)?;
            return self.new_entry(dir, entry, ItemKind::Folder);
        }
        let was_covered = matches!(known.local, Some(LocalRow::Covered { .. }));
        if was_covered {
            self.ctx.store.vanished_told(known.node)?;
            self.observe(known, Some(LocalRow::Present { seat: seat_of(known), edit: None, at: self.ctx.now.wall }))?;
            // Others may have waited for it.
            self.ctx.store.wake_code(crate::engine::reconcile::LOCAL_IN_THE_WAY)?;
        }
        if !is_same {
            self.replaced_folder(known, entry.stamp)?;
        }
        if deep || !is_same || was_covered {
            self.ctx.store.want_scan(known.node, known.folder, true, self.ctx.now.wall)?;
        }
        Ok(())
    }

    /// Another directory stands where a known one stood: it is that one from now on, and deeds expect its inode.
    fn replaced_folder(&mut self, known: &ItemRow, stamp: Stamp) -> Result<()> {
        if let Some(mut synced) = known.synced.clone() {
            synced.stamp = stamp;
            return self.put_synced(known, Some(&synced));
        }
        match &known.local {
            Some(LocalRow::Present { seat, edit: Some(edit), at }) => {
                let edit = Some(LocalEdit { stamp, ..edit.clone() });
                self.ctx.store.set_local(known.node, Some(&LocalRow::Present { seat: seat.clone(), edit, at: *at }))
            }
            _ => Ok(()),
        }
    }

    /// An entry where we knew of none: something that moved, something that the cloud has and the disk had not, or something new.
    fn new_entry(&mut self, dir: &ItemRow, entry: &LocalEntry, kind: ItemKind) -> Result<()> {
        let seat = (dir.node, entry.name.clone());
        let at = self.ctx.now.wall;
        if let Some(moved) = self.moved_here(dir.folder, entry, kind)? {
            // The rename changed the stamp of a file, and hides whether anything else did: it is read once.
            let edit = (kind == ItemKind::File).then_some(LocalEdit { stamp: entry.stamp, digests: None });
            self.observe(&moved, Some(LocalRow::Present { seat: Some(seat), edit, at }))?;
            if kind == ItemKind::Folder {
                self.ctx.store.vanished_told(moved.node)?;
                self.ctx.store.want_scan(moved.node, dir.folder, true, at)?;
            }
            return Ok(());
        }
        if !self.policy(dir.folder).sends() || !self.wanted_here(dir, entry, kind)? {
            return Ok(());
        }
        let local =
            LocalRow::Present { seat: Some(seat), edit: Some(LocalEdit { stamp: entry.stamp, digests: None }), at };
        let there = self.unplaced_here(dir, &entry.name)?;
        let node = if let Some(there) = there.filter(|there| there.id.kind() == kind && there.local.is_none()) {
            // Both made it; the planner compares them.
            self.observe(&there, Some(local))?;
            there.node
        } else {
            let id = local_id(kind, self.ctx.store.next_job()?);
            let node = self.ctx.store.add_local(dir.folder, &id, &local)?;
            self.ctx.store.mark(node, dir.folder, Lane::News, Ask::Nothing, None, at)?;
            node
        };
        if kind == ItemKind::Folder {
            self.ctx.store.want_scan(node, dir.folder, true, at)?;
        }
        Ok(())
    }

    /// Whether the patterns want a local entry.
    fn wanted_here(&mut self, dir: &ItemRow, entry: &LocalEntry, kind: ItemKind) -> Result<bool> {
        self.wanted_as(dir.folder, dir.node, &entry.name, kind == ItemKind::Folder)
    }

    /// Whether the patterns want an item at another place than its own.
    pub(super) fn wanted_at(&mut self, item: &ItemRow, parent: NodeId, name: &Name) -> Result<bool> {
        self.wanted_as(item.folder, parent, name, item.id.is_folder())
    }

    fn wanted_as(&mut self, id: FolderId, parent: NodeId, name: &Name, is_folder: bool) -> Result<bool> {
        if self.folders.get(&id).is_none_or(|folder| folder.filter.is_empty()) {
            return Ok(true);
        }
        let Some(place) = self.ctx.place(parent)? else { return Ok(false) };
        let path = place.path.join(name).to_string();
        Ok(self.folders.get(&id).is_some_and(|folder| folder.filter.wants(&path, is_folder)))
    }

    /// A complete scan did not find an item where it was.
    pub(super) fn missing(&mut self, item: &ItemRow) -> Result<()> {
        self.lose_sight(item, LocalRow::Absent { at: self.ctx.now.wall })
    }

    /// An item is not where it was. If it is not elsewhere either, `gone` is what the disk has of it.
    fn lose_sight(&mut self, item: &ItemRow, gone: LocalRow) -> Result<()> {
        if self.ctx.store.item(item.node)?.is_none() {
            // Another one that is missing here as well turned out to be what it was.
            return Ok(());
        }
        if let Some(found) = self.found_elsewhere(item)? {
            let seat = seat_of(&found);
            let edit = found.local.as_ref().and_then(LocalRow::edit).cloned();
            self.drop_found(&found)?;
            self.observe(item, Some(LocalRow::Present { seat, edit, at: self.ctx.now.wall }))?;
            if item.id.is_folder() {
                self.ctx.store.want_scan(item.node, item.folder, true, self.ctx.now.wall)?;
            }
            return Ok(());
        }
        self.observe(item, Some(gone))?;
        if item.id.is_folder() {
            self.ctx.store.vanish(item.node, item.folder)?;
            self.ctx.more = true;
        }
        Ok(())
    }

    /// Writes down what the disk has of an item, and marks it if that is news.
    pub(super) fn observe(&mut self, item: &ItemRow, local: Option<LocalRow>) -> Result<()> {
        let local = local.and_then(|local| differing(item, local));
        if same_but_when(item.local.as_ref(), local.as_ref()) {
            return Ok(());
        }
        self.ctx.store.set_local(item.node, local.as_ref())?;
        self.holds.more_missing(item.folder);
        self.ctx.paths.moved_on_disk(item);
        if local.is_none() && item.is_local_only() {
            return Ok(());
        }
        self.ctx.store.mark(item.node, item.folder, Lane::News, Ask::Nothing, None, self.ctx.now.wall)
    }

    /// The synced side of an item changed: what the disk has of it is compared with that again.
    pub(super) fn rebase(&mut self, node: NodeId, was: Option<&SeatRow>, edit: Option<LocalEdit>) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)? else { return Ok(()) };
        let seat = match was {
            Some(SeatRow::At { parent, name }) => Some((*parent, name.clone())),
            Some(SeatRow::Root | SeatRow::Parked(_)) | None => None,
        };
        let at = item.local.as_ref().map_or(self.ctx.now.wall, LocalRow::at);
        let local = differing(&item, LocalRow::Present { seat, edit, at });
        self.ctx.store.set_local(node, local.as_ref())?;
        self.ctx.paths.moved_on_disk(&item);
        Ok(())
    }
}

/// What is left of an observation when that which equals the synced side is taken out of it.
fn differing(item: &ItemRow, local: LocalRow) -> Option<LocalRow> {
    let LocalRow::Present { seat, edit, at } = local else { return Some(local) };
    let Some(synced) = &item.synced else { return Some(LocalRow::Present { seat, edit, at }) };
    let seat = seat.filter(|(parent, name)| {
        !matches!(&synced.seat, SeatRow::At { parent: there, name: called } if there == parent && called == name)
    });
    let is_edited = |stamp: &Stamp| !item.id.is_folder() && synced.stamp != *stamp;
    let edit = edit.filter(|edit| is_edited(&edit.stamp));
    (seat.is_some() || edit.is_some()).then_some(LocalRow::Present { seat, edit, at })
}

/// Whether two observations say the same, whenever they were made.
fn same_but_when(one: Option<&LocalRow>, other: Option<&LocalRow>) -> bool {
    match (one, other) {
        (Some(LocalRow::Absent { .. }), Some(LocalRow::Absent { .. })) | (None, None) => true,
        (
            Some(LocalRow::Covered { by, stamp, .. }),
            Some(LocalRow::Covered { by: other_by, stamp: other_stamp, .. }),
        ) => by == other_by && stamp.same_inode(other_stamp),
        (
            Some(LocalRow::Present { seat, edit, .. }),
            Some(LocalRow::Present { seat: other_seat, edit: other_edit, .. }),
        ) => {
            let same_content = match (edit, other_edit) {
                (Some(one), Some(other)) => one.stamp == other.stamp,
                (None, None) => true,
                _ => false,
            };
            seat == other_seat && same_content
        }
        _ => false,
    }
}
