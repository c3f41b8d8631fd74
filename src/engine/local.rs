//! What the disk has: which directories are scanned when, and what a scan says of the items in them.
//!
//! A scan takes the folder's one place for deeds, so that it never sees a deed half done; the hints of a watcher only ask for scans.
//! What is not found is absent only if the directory was read to its end and did not change meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::codes::LOCAL_IN_THE_WAY;
use super::ctx::{Ctx, millis};
use super::effect::Effect;
use super::filter::Filter;
use super::sides::seat_of;
use crate::deed::{DiskError, DiskErrorKind};
use crate::events::interval::backoff;
use crate::id::{FolderId, ItemKind, NodeId};
use crate::local_news::{DirScan, EntryKind, LocalEntry, SCAN_PAGE_ENTRIES, ScanFailure};
use crate::path::{Name, RelPath};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalEdit, LocalRow, SeatRow, local_id};
use crate::store::work::{Ask, Priority};
use crate::tree::Stamp;

mod compare;
mod covered;
mod gone;
mod hollow;
mod left_out;
mod moved;
mod scan;
mod watch;

pub(in crate::engine) use covered::{above_is_covered, complaint, stays_in_sight};
pub(in crate::engine) use hollow::{goes_into, may_be_hollow};
pub(in crate::engine) use moved::may_meet;
pub(in crate::engine) use scan::{Scan, next_scans};
pub(in crate::engine) use watch::Watch;

/// How long a hint waits for others of the same directory.
const HINTS_GATHERED: Duration = Duration::from_millis(300);
/// How long the first scan of a folder in which nothing is to be done waits for its watch to stand.
const WATCH_HOPED_FOR: Duration = Duration::from_secs(30);
/// How soon a directory that changed while it was read is read again.
const UNSTEADY_AGAIN: Duration = Duration::from_secs(1);
/// Rows of a directory that are compared with one page of its scan; what is beyond is found by another scan.
const ROWS_PER_PAGE: u32 = 4 * SCAN_PAGE_ENTRIES as u32;

/// What a scan must know of its folder.
pub(in crate::engine) struct Here<'a> {
    /// The folder.
    pub id: FolderId,
    /// Local changes travel to the cloud.
    pub sends: bool,
    /// Its patterns.
    pub filter: &'a Filter,
    /// Whether a directory is being scanned, or a deed under way puts something into it.
    pub is_in_use: &'a dyn Fn(NodeId) -> bool,
}

impl Here<'_> {
    /// Whether the patterns want something under a name in a directory.
    fn wants(&self, ctx: &mut Ctx, parent: NodeId, name: &Name, is_folder: bool) -> Result<bool> {
        wants(ctx, self.filter, (parent, name), is_folder)
    }
}

/// What came of scans.
#[derive(Debug, Default)]
pub(in crate::engine) struct Scanned {
    /// Those that have more to read.
    pub going_on: Vec<Scan>,
    /// The root of the folder is not there any more.
    pub root_lost: Option<DiskError>,
}

/// What one page was of a scan.
enum Found {
    /// There is no more to read.
    AllOfIt,
    /// There is.
    GoesOn(Scan),
    /// Nothing can be read.
    RootLost(DiskError),
}

/// What others are to be told of what was seen on disk.
#[derive(Debug, Default)]
pub(in crate::engine) struct Told {
    /// What the disk has of some item is news.
    pub observed: bool,
    /// Items that are no more, in the order in which they went.
    pub left: Vec<NodeId>,
}

/// What is remembered between pages and steps.
#[derive(Debug, Default)]
pub(in crate::engine) struct Local {
    /// What the disk calls items with names that it cannot hold, in the directory whose scan is taken.
    mapped_names: Option<(NodeId, BTreeMap<Name, NodeId>)>,
    /// How far a covered directory's children are covered.
    covering_at: Option<(NodeId, Name)>,
    told: Told,
}

/// A watcher noticed something in directories of a folder with this root.
pub(in crate::engine) fn hinted(ctx: &mut Ctx, id: FolderId, root: NodeId, dirs: &[RelPath]) -> Result<()> {
    let due = ctx.now.wall.plus_ms(millis(HINTS_GATHERED) as i64);
    for dir in dirs {
        let node = deepest_known(ctx, root, dir)?;
        ctx.store.want_scan(node, id, false, due)?;
    }
    Ok(())
}

fn deepest_known(ctx: &Ctx, root: NodeId, dir: &RelPath) -> Result<NodeId> {
    let mut at = root;
    for name in dir.names() {
        match ctx.store.seated_at(at, name)? {
            Some(node) if ctx.store.item(node)?.is_some_and(|item| item.id.is_folder()) => at = node,
            _ => break,
        }
    }
    Ok(at)
}

/// Begins to watch a folder with this root. `is_settled`: it was compared with the cloud.
pub(in crate::engine) fn begin_watch(ctx: &mut Ctx, id: FolderId, root: NodeId, is_settled: bool) -> Result<()> {
    // The watcher begins before the scan, so that nothing falls between them.
    ctx.out.push(Effect::Watch(id, true));
    let now = ctx.now.wall;
    ctx.store.scan_now(id, now)?;
    // Where nothing is to be done, the scan waits until the watch stands, which its first hint tells, and nothing is read twice; if no
    // hint should come, it is made all the same. Where there is work, it must know what the disk has as soon as it can.
    let waits = is_settled && !ctx.store.busy(id)?;
    let due = if waits { now.plus_ms(millis(WATCH_HOPED_FOR) as i64) } else { now };
    ctx.store.want_scan(root, id, true, due)
}

/// A directory and, from now on, what is in it is looked at again.
pub(in crate::engine) fn rescan_around(ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
    if let Some(SeatRow::At { parent, .. }) = item.disk_seat() {
        ctx.store.want_scan(parent, item.folder, false, ctx.now.wall)?;
    }
    Ok(())
}

/// Whether patterns want something at a place.
pub(in crate::engine) fn wants(
    ctx: &mut Ctx,
    filter: &Filter,
    (parent, name): (NodeId, &Name),
    is_folder: bool,
) -> Result<bool> {
    if filter.is_empty() {
        return Ok(true);
    }
    let Some(place) = ctx.place(parent)? else { return Ok(false) };
    Ok(filter.wants(&place.path.join(name).to_string(), is_folder))
}

/// Scans.
impl Local {
    /// Takes one page of each of some scans.
    pub fn scanned(
        &mut self,
        ctx: &mut Ctx,
        here: &Here<'_>,
        watch: &mut Watch,
        scans: Vec<Scan>,
        results: Vec<std::result::Result<DirScan, ScanFailure>>,
    ) -> Result<Scanned> {
        let (mut results, mut scanned) = (results.into_iter(), Scanned::default());
        for scan in scans {
            match results.next() {
                Some(result) => match self.scanned_one(ctx, here, watch, scan, result)? {
                    Found::AllOfIt => {}
                    Found::GoesOn(scan) => scanned.going_on.push(scan),
                    Found::RootLost(error) => scanned.root_lost = Some(error),
                },
                // The page had no room for it. What was found before it may have shown that it is no more.
                None if ctx.store.item(scan.node())?.is_none() => {}
                None => ctx.store.want_scan(scan.node(), here.id, scan.row.deep, ctx.now.wall)?,
            }
        }
        Ok(scanned)
    }

    /// Takes what one scan found; the scan itself, if there is more to read.
    fn scanned_one(
        &mut self,
        ctx: &mut Ctx,
        here: &Here<'_>,
        watch: &mut Watch,
        mut scan: Scan,
        result: std::result::Result<DirScan, ScanFailure>,
    ) -> Result<Found> {
        let id = here.id;
        let Some(item) = ctx.store.item(scan.row.node)? else { return Ok(Found::AllOfIt) };
        let page = match result {
            Ok(page) if gone::reads_another(ctx, watch, &item, &scan, &page)? => return Ok(Found::AllOfIt),
            Ok(page) => page,
            Err(ScanFailure::Missing | ScanFailure::NotAFolder) => {
                ctx.store.scan_ended(item.node)?;
                rescan_around(ctx, &item)?;
                return Ok(Found::AllOfIt);
            }
            Err(ScanFailure::Unreadable(error)) => {
                let wait = backoff(scan.attempts + 3, None, ctx.chance.next());
                let due = ctx.now.wall.plus_ms(millis(wait) as i64);
                let root_is_lost = matches!(error.kind, DiskErrorKind::RootLost);
                let attempts = if root_is_lost { 0 } else { scan.attempts + 1 };
                scan.row.failing = scan.row.failing.or(Some(ctx.now.mono));
                ctx.store.scan_failed(scan.row, id, due, attempts, &error.to_string())?;
                return Ok(if root_is_lost { Found::RootLost(error) } else { Found::AllOfIt });
            }
        };
        if page.next.is_none() {
            ctx.store.scan_ended(item.node)?;
        }
        if scan.attempts > 0 {
            // What was in the way here may have been in the way of others.
            ctx.store.scan_failed_now(id, ctx.now.wall)?;
        }
        scan.unsteady |= !page.steady;
        scan.holds |= !page.entries.is_empty() || !page.unreadable.is_empty();
        self.take_page(ctx, here, &item, &scan, &page)?;
        if let Some(next) = page.next {
            scan.after = Some(next);
            return Ok(Found::GoesOn(scan));
        }
        if scan.unsteady {
            let due = ctx.now.wall.plus_ms(millis(UNSTEADY_AGAIN) as i64);
            ctx.store.want_scan(item.node, id, scan.row.deep, due)?;
        } else if scan.holds {
            self.drop_hollow(ctx, here, item)?;
        }
        Ok(Found::AllOfIt)
    }

    fn take_page(&mut self, ctx: &mut Ctx, here: &Here<'_>, dir: &ItemRow, scan: &Scan, page: &DirScan) -> Result<()> {
        let name_of = |item: &ItemRow| match item.disk_seat() {
            Some(SeatRow::At { name, .. }) => Some(name),
            _ => None,
        };
        let found = compare::compare(&ctx.store, dir.node, scan.after.as_ref(), page, ROWS_PER_PAGE)?;
        if found.is_cut {
            ctx.store.want_scan(dir.node, dir.folder, scan.row.deep, ctx.now.wall)?;
        }
        if scan.row.deep {
            for folder in found.folders {
                ctx.store.want_scan(folder, dir.folder, true, ctx.now.wall)?;
            }
        }
        let mut expected = Vec::with_capacity(found.items.len());
        for node in found.items {
            expected.extend(ctx.store.item(node)?);
        }
        let differing: Vec<&LocalEntry> = found.entries.into_iter().filter_map(|at| page.entries.get(at)).collect();
        if page.steady {
            let entries = page.entries.iter().map(|entry| &entry.name);
            let seen: BTreeSet<&Name> = entries.chain(page.unreadable.iter().map(|entry| &entry.name)).collect();
            for item in expected.iter().filter(|item| name_of(item).is_some_and(|name| !seen.contains(&name))) {
                self.missing(ctx, item)?;
            }
        }
        self.changed_names(ctx, &expected, &differing)?;
        let mut odd = Vec::new();
        for entry in differing {
            if covered::kind_of(entry.kind).is_none() && here.wants(ctx, dir.node, &entry.name, false)? {
                odd.push(entry);
            }
            self.entry(ctx, here, dir, entry, scan.row.deep)?;
        }
        left_out::note(&mut ctx.store, dir, &odd, scan.after.is_none())?;
        self.mapped_names = None;
        Ok(())
    }

    /// Items that changed names among themselves: each is first taken for missing and then found by its inode. A file whose inode has
    /// a new name is not meant: that is how editors keep a backup.
    fn changed_names(&mut self, ctx: &mut Ctx, expected: &[ItemRow], entries: &[&LocalEntry]) -> Result<()> {
        let by_ino: BTreeMap<u64, &LocalEntry> = entries.iter().map(|entry| (entry.stamp.ino, *entry)).collect();
        let by_name: BTreeMap<&Name, &LocalEntry> = entries.iter().map(|entry| (&entry.name, *entry)).collect();
        let known: BTreeSet<Name> = expected.iter().filter_map(|item| seat_of(item).map(|(_, name)| name)).collect();
        for item in expected.iter().filter(|item| !item.is_local_only()) {
            let (Some((_, name)), Some(stamp)) = (seat_of(item), item.disk_stamp()) else { continue };
            let (Some(there_now), Some(there)) = (by_name.get(&name), by_ino.get(&stamp.ino)) else { continue };
            let moved = stamp.ino != 0 && !there_now.stamp.same_inode(&stamp) && there.stamp.same_inode(&stamp);
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
                self.missing(ctx, item)?;
            }
        }
        Ok(())
    }

    /// One entry of a directory.
    fn entry(&mut self, ctx: &mut Ctx, here: &Here<'_>, dir: &ItemRow, entry: &LocalEntry, deep: bool) -> Result<()> {
        let kind = covered::kind_of(entry.kind);
        let known = match ctx.store.seated_at(dir.node, &entry.name)? {
            Some(node) => ctx.store.item(node)?,
            None => None,
        };
        match (known, kind) {
            (Some(known), kind) if Some(known.id.kind()) != kind => self.another_kind(ctx, here, dir, &known, entry),
            (Some(known), Some(ItemKind::File)) => self.known_file(ctx, &known, entry),
            (Some(known), _) => self.known_folder(ctx, here, (dir, &known), entry, deep),
            (None, Some(kind)) => self.new_entry(ctx, here, dir, entry, kind),
            // What is neither file nor folder of this disk is nobody's to sync.
            (None, None) => Ok(()),
        }
    }

    /// A file has the name that we know it by; whether it is the same inode does not matter, as editors write a new one and rename it
    /// over the old one.
    fn known_file(&mut self, ctx: &mut Ctx, known: &ItemRow, entry: &LocalEntry) -> Result<()> {
        // With only another status change time it may have other permissions, or another content of the same length under a modification
        // time that was set back: it is read.
        let is_covered = matches!(known.local, Some(LocalRow::Covered { .. }));
        if !is_covered && known.disk_stamp() == Some(entry.stamp) {
            return Ok(());
        }
        let seat = seat_of(known);
        let edit = Some(LocalEdit { stamp: entry.stamp, digests: None });
        self.observe(ctx, known, Some(LocalRow::Present { seat, edit, at: ctx.now.wall }))
    }

    fn known_folder(
        &mut self,
        ctx: &mut Ctx,
        here: &Here<'_>,
        (dir, known): (&ItemRow, &ItemRow),
        entry: &LocalEntry,
        deep: bool,
    ) -> Result<()> {
        let stamp = known.disk_stamp().filter(|stamp| stamp.ino != 0);
        let is_same = stamp.is_none_or(|stamp| stamp.same_inode(&entry.stamp));
        if !is_same && ctx.store.missing_inode(known.folder, &entry.stamp)?.is_some() {
            // Another directory that we know was moved over this one's name.
            self.missing(ctx, known)?;
            return self.new_entry(ctx, here, dir, entry, ItemKind::Folder);
        }
        let was_covered = matches!(known.local, Some(LocalRow::Covered { .. }));
        if was_covered {
            ctx.store.vanished_told(known.node)?;
            self.observe(ctx, known, Some(LocalRow::Present { seat: seat_of(known), edit: None, at: ctx.now.wall }))?;
            // Others may have waited for it.
            ctx.store.wake_code(LOCAL_IN_THE_WAY)?;
        }
        if !is_same {
            replaced_folder(ctx, known, entry.stamp)?;
        }
        if deep || !is_same || was_covered {
            ctx.store.want_scan(known.node, known.folder, true, ctx.now.wall)?;
        }
        Ok(())
    }

    /// An entry where we knew of none: something that moved, something that the cloud has and the disk had not, or something new.
    fn new_entry(
        &mut self,
        ctx: &mut Ctx,
        here: &Here<'_>,
        dir: &ItemRow,
        entry: &LocalEntry,
        kind: ItemKind,
    ) -> Result<()> {
        let seat = (dir.node, entry.name.clone());
        let at = ctx.now.wall;
        if let Some(moved) = moved::moved_here(ctx, here, entry, kind)? {
            // The rename changed the stamp of a file, and hides whether anything else did: it is read once.
            let edit = (kind == ItemKind::File).then_some(LocalEdit { stamp: entry.stamp, digests: None });
            self.observe(ctx, &moved, Some(LocalRow::Present { seat: Some(seat), edit, at }))?;
            if kind == ItemKind::Folder {
                ctx.store.vanished_told(moved.node)?;
                ctx.store.want_scan(moved.node, dir.folder, true, at)?;
            }
            return Ok(());
        }
        if !here.sends || !here.wants(ctx, dir.node, &entry.name, kind == ItemKind::Folder)? {
            return Ok(());
        }
        let local =
            LocalRow::Present { seat: Some(seat), edit: Some(LocalEdit { stamp: entry.stamp, digests: None }), at };
        let there = self.unplaced_here(ctx, dir, &entry.name)?;
        let node = if let Some(there) = there.filter(|there| there.id.kind() == kind && there.local.is_none()) {
            // Both made it; the planner compares them.
            self.observe(ctx, &there, Some(local))?;
            there.node
        } else {
            let id = local_id(kind, ctx.store.next_job()?);
            let node = ctx.store.add_local(dir.folder, &id, &local)?;
            ctx.store.mark(node, dir.folder, Priority::News, Ask::Nothing, None, at)?;
            node
        };
        if kind == ItemKind::Folder {
            ctx.store.want_scan(node, dir.folder, true, at)?;
        }
        Ok(())
    }
}

/// What was seen.
impl Local {
    /// What others are to be told since they were told last.
    pub fn take_told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// A complete scan did not find an item where it was.
    pub fn missing(&mut self, ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
        self.lose_sight(ctx, item, LocalRow::Absent { at: ctx.now.wall })
    }

    /// An item is not where it was. If it is not elsewhere either, `gone` is what the disk has of it.
    fn lose_sight(&mut self, ctx: &mut Ctx, item: &ItemRow, gone: LocalRow) -> Result<()> {
        if ctx.store.item(item.node)?.is_none() {
            // Another one that is missing here as well turned out to be what it was.
            return Ok(());
        }
        if let Some(found) = self.found_elsewhere(ctx, item)? {
            let seat = seat_of(&found);
            let edit = found.local.as_ref().and_then(LocalRow::edit).cloned();
            self.drop_found(ctx, &found)?;
            self.observe(ctx, item, Some(LocalRow::Present { seat, edit, at: ctx.now.wall }))?;
            if item.id.is_folder() {
                ctx.store.want_scan(item.node, item.folder, true, ctx.now.wall)?;
            }
            return Ok(());
        }
        self.observe(ctx, item, Some(gone))?;
        if item.id.is_folder() {
            ctx.store.vanish(item.node, item.folder)?;
            ctx.more = true;
        }
        Ok(())
    }

    /// Writes down what the disk has of an item, and marks it if that is news.
    pub fn observe(&mut self, ctx: &mut Ctx, item: &ItemRow, local: Option<LocalRow>) -> Result<()> {
        let local = local.and_then(|local| differing(item, local));
        if same_but_when(item.local.as_ref(), local.as_ref()) {
            return Ok(());
        }
        ctx.store.set_local(item.node, local.as_ref())?;
        self.told.observed = true;
        ctx.paths.moved_on_disk(item);
        if local.is_none() && item.is_local_only() {
            return Ok(());
        }
        ctx.store.mark(item.node, item.folder, Priority::News, Ask::Nothing, None, ctx.now.wall)
    }
}

/// Another directory stands where a known one stood: it is that one from now on, and deeds expect its inode.
fn replaced_folder(ctx: &mut Ctx, known: &ItemRow, stamp: Stamp) -> Result<()> {
    if let Some(mut synced) = known.synced.clone() {
        synced.stamp = stamp;
        // What its folder counts stays: a directory is one, whatever its stamp.
        ctx.store.set_synced(known.node, Some(&synced))?;
        ctx.paths.moved_on_disk(known);
        return Ok(());
    }
    match &known.local {
        Some(LocalRow::Present { seat, edit: Some(edit), at }) => {
            let edit = Some(LocalEdit { stamp, ..edit.clone() });
            ctx.store.set_local(known.node, Some(&LocalRow::Present { seat: seat.clone(), edit, at: *at }))
        }
        _ => Ok(()),
    }
}

/// The synced side of an item changed: what the disk has of it is compared with that again.
pub(in crate::engine) fn rebase(
    ctx: &mut Ctx,
    node: NodeId,
    was: Option<&SeatRow>,
    edit: Option<LocalEdit>,
) -> Result<()> {
    let Some(item) = ctx.store.item(node)? else { return Ok(()) };
    let seat = match was {
        Some(SeatRow::At { parent, name }) => Some((*parent, name.clone())),
        Some(SeatRow::Root | SeatRow::Parked(_)) | None => None,
    };
    let at = item.local.as_ref().map_or(ctx.now.wall, LocalRow::at);
    let local = differing(&item, LocalRow::Present { seat, edit, at });
    ctx.store.set_local(node, local.as_ref())?;
    ctx.paths.moved_on_disk(&item);
    Ok(())
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
