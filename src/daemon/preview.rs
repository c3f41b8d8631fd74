//! What another mode of a folder would bring about: the planner asked about everything that the disk has and the database knows.
//!
//! Nothing is written, and the cloud is not asked. A file that only its stamp says to be changed counts as one to be read.

use std::collections::BTreeMap;

use super::reports::plan_row;
use super::verify::VerifyError;
use crate::engine::filter::Filter;
use crate::engine::sides::name_on_disk;
use crate::id::NodeId;
use crate::local::Kind;
use crate::local::survey::{Entry, Survey};
use crate::path::{Name, RelPath};
use crate::plan::Policy;
use crate::report::PlanRow;
use crate::settings::FolderSettings;
use crate::store::Reader;
use crate::store::folders::FolderRow;
use crate::store::items::{ItemRow, LocalEdit, LocalRow, Presence, SeatRow};
use crate::tree::Wall;

/// Rows that are named; more are only counted.
const ROWS_MOST: usize = 1_000;
/// Items that may be looked for elsewhere on disk; of more it is not found out whether they were moved.
const MISSING_MOST: usize = 10_000;
/// The place of a directory that is new itself.
const IN_NO_ROW: NodeId = NodeId(-1);
/// Actions that change neither side.
const HARMLESS: [&str; 4] = ["nothing", "note the version", "note that both agree", "leave as it is"];

/// What would be done.
#[derive(Debug, Default)]
pub struct Preview {
    /// The first of it.
    pub rows: Vec<PlanRow>,
    /// How many items each action concerns.
    pub counts: BTreeMap<String, u64>,
}

impl Preview {
    /// How many items are concerned.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    fn add(&mut self, row: PlanRow) {
        if HARMLESS.contains(&row.action.as_str()) {
            return;
        }
        *self.counts.entry(row.action.clone()).or_default() += 1;
        if self.rows.len() < ROWS_MOST {
            self.rows.push(row);
        }
    }
}

/// A directory that is still to be looked at: the item that it is, if it is one, and where the disk has it.
type Dir = (Option<NodeId>, RelPath);

/// Something that the disk has and no row names: where, in which known directory, and what it is.
struct Fresh {
    path: RelPath,
    parent: Option<NodeId>,
    entry: Entry,
}

/// One look at a folder.
struct Look<'a> {
    reader: &'a Reader,
    survey: Survey,
    settings: &'a FolderSettings,
    filter: Filter,
    policy: Policy,
    preview: Preview,
    todo: Vec<Dir>,
    fresh: Vec<Fresh>,
    /// What is not where it was, by its inode, and where it was: some of it may be found as something new.
    missing: BTreeMap<(u64, u64), (ItemRow, RelPath)>,
}

/// What a folder would do under other settings.
pub fn preview(reader: &Reader, settings: &FolderSettings, row: &FolderRow) -> Result<Preview, VerifyError> {
    let root = row.root.ok_or_else(|| VerifyError::NotReady(settings.name.clone()))?;
    let mut look = Look {
        reader,
        survey: Survey::open(&row.local, &row.mark)?,
        settings,
        filter: Filter::new(settings),
        policy: Policy::of(settings),
        preview: Preview::default(),
        todo: vec![(Some(root), RelPath::root())],
        fresh: Vec::new(),
        missing: BTreeMap::new(),
    };
    loop {
        while let Some((node, path)) = look.todo.pop() {
            look.dir(node, &path)?;
        }
        look.find_moved()?;
        if look.todo.is_empty() {
            look.go_into_what_did_not_move()?;
        }
        if look.todo.is_empty() {
            return Ok(look.preview);
        }
    }
}

impl Look<'_> {
    fn dir(&mut self, node: Option<NodeId>, path: &RelPath) -> Result<(), VerifyError> {
        let entries = self.survey.entries(path)?.unwrap_or_default();
        let mut disk: BTreeMap<Name, Entry> = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let children = node.map_or_else(|| Ok(Vec::new()), |node| self.reader.rows().children(node))?;
        for mut item in children {
            if item.synced.is_some() && seat_in(&item, node).is_none() {
                // It is met where the disk has it.
                continue;
            }
            let name = seat_in(&item, node);
            let there = name.as_ref().and_then(|name| disk.remove(name));
            look_at(&mut item, node, there.as_ref());
            let here = path.join(&name.unwrap_or_else(|| name_on_disk(&item).name().clone()));
            let inode = item.synced.as_ref().map(|synced| (synced.stamp.dev, synced.stamp.ino));
            match inode.filter(|(_, ino)| *ino != 0 && matches!(item.local, Some(LocalRow::Absent { .. }))) {
                Some(inode) if self.policy.sends() && self.missing.len() < MISSING_MOST => {
                    self.missing.insert(inode, (item, here));
                }
                _ => self.known(&item, here)?,
            }
        }
        for entry in disk.into_values().filter(|_| self.policy.sends()) {
            let here = path.join(&entry.name);
            let is_folder = entry.kind == Kind::Folder;
            if (is_folder || entry.kind == Kind::File) && self.filter.wants(&here.to_string(), is_folder) {
                self.fresh.push(Fresh { path: here, parent: node, entry });
            }
        }
        Ok(())
    }

    /// An item of which it is known what the disk has.
    fn known(&mut self, item: &ItemRow, path: RelPath) -> Result<(), VerifyError> {
        let row = plan_row(self.reader.rows(), &self.settings.name, self.policy, item, false, None)?;
        self.preview.add(row);
        if item.id.is_folder() {
            self.todo.push((Some(item.node), path));
        }
        Ok(())
    }

    /// What is new in one place and missing in another was moved.
    fn find_moved(&mut self) -> Result<(), VerifyError> {
        for fresh in std::mem::take(&mut self.fresh) {
            let (stamp, is_folder) = (fresh.entry.stamp, fresh.entry.kind == Kind::Folder);
            let is_it = |item: &ItemRow| {
                item.id.is_folder() == is_folder
                    && (is_folder || item.synced.as_ref().is_some_and(|synced| synced.stamp.same_content(&stamp)))
            };
            let inode = (stamp.dev, stamp.ino);
            if !self.missing.get(&inode).is_some_and(|(item, _)| is_it(item)) {
                self.fresh.push(fresh);
                continue;
            }
            let Some((mut item, was)) = self.missing.remove(&inode) else { continue };
            let seat = Some((fresh.parent.unwrap_or(IN_NO_ROW), fresh.entry.name.clone()));
            item.local = Some(LocalRow::Present { seat, edit: None, at: Wall::default() });
            let mut row = plan_row(self.reader.rows(), &self.settings.name, self.policy, &item, false, None)?;
            if row.from.is_none() {
                (row.from, row.path) = (Some(was.to_string()), fresh.path.to_string());
            }
            self.preview.add(row);
            if is_folder {
                self.todo.push((Some(item.node), fresh.path));
            }
        }
        Ok(())
    }

    /// What is in directories that are new or gone: only when there are none is it sure that the rest is new or gone as well.
    fn go_into_what_did_not_move(&mut self) -> Result<(), VerifyError> {
        let (mut fresh, mut missing) = (std::mem::take(&mut self.fresh), std::mem::take(&mut self.missing));
        let is_open = |fresh: &Fresh| fresh.entry.kind == Kind::Folder;
        if fresh.iter().any(is_open) || missing.values().any(|(item, _)| item.id.is_folder()) {
            let (dirs, files) = fresh.into_iter().partition(is_open);
            fresh = dirs;
            self.fresh = files;
            self.missing = missing.extract_if(.., |_, (item, _)| !item.id.is_folder()).collect();
        }
        for (item, path) in missing.into_values() {
            self.known(&item, path)?;
        }
        for Fresh { path, entry, .. } in fresh {
            let is_folder = entry.kind == Kind::Folder;
            self.preview.add(PlanRow {
                folder: self.settings.name.clone(),
                path: path.to_string(),
                from: None,
                action: if is_folder { "make folder in the cloud" } else { "upload" }.into(),
                bytes: (!is_folder).then_some(entry.stamp.size),
                waits_for: None,
            });
            if is_folder {
                self.todo.push((None, path));
            }
        }
        Ok(())
    }
}

fn seat_in(item: &ItemRow, dir: Option<NodeId>) -> Option<Name> {
    match item.synced.as_ref().map(|synced| &synced.seat) {
        Some(SeatRow::At { parent, name }) if Some(*parent) == dir => Some(name.clone()),
        _ => None,
    }
}

/// Brings what the row says of the disk up to date.
fn look_at(item: &mut ItemRow, dir: Option<NodeId>, there: Option<&Entry>) {
    if item.remote.presence == Presence::FilteredOut || seat_in(item, dir).is_none() {
        return;
    }
    let is_folder = item.id.is_folder();
    let kind = if is_folder { Kind::Folder } else { Kind::File };
    let at = Wall::default();
    item.local = match there.filter(|entry| entry.kind == kind) {
        None => Some(LocalRow::Absent { at }),
        Some(entry) if is_folder || item.synced.as_ref().is_some_and(|synced| synced.stamp == entry.stamp) => None,
        Some(entry) => {
            let edit = Some(LocalEdit { stamp: entry.stamp, digests: None });
            Some(LocalRow::Present { seat: None, edit, at })
        }
    };
}
