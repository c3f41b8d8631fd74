//! What another mode of a folder would bring about: the planner asked about everything that the disk has and the database knows.
//!
//! Nothing is written, and the cloud is not asked. A file that only its stamp says to be changed counts as one to be read.

use std::collections::BTreeMap;

use super::reports::plan_row;
use super::verify::VerifyError;
use crate::engine::filter::Filter;
use crate::engine::reconcile::name_on_disk;
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

/// What a folder would do under other settings.
pub fn preview(reader: &Reader, settings: &FolderSettings, row: &FolderRow) -> Result<Preview, VerifyError> {
    let root = row.root.ok_or_else(|| VerifyError::NotReady(settings.name.clone()))?;
    let survey = Survey::open(&row.local, &row.mark)?;
    let (filter, policy) = (Filter::new(settings), Policy::of(settings));
    let mut preview = Preview::default();
    let mut todo = vec![(Some(root), RelPath::root())];
    while let Some((node, path)) = todo.pop() {
        let entries = survey.entries(&path)?.unwrap_or_default();
        let mut disk: BTreeMap<Name, Entry> = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let children = node.map_or_else(|| Ok(Vec::new()), |node| reader.rows().children(node))?;
        for mut item in children {
            if item.synced.is_some() && seat_in(&item, node).is_none() {
                // It is met where the disk has it.
                continue;
            }
            let there = seat_in(&item, node).and_then(|name| disk.remove(&name));
            look_at(&mut item, node, there.as_ref());
            preview.add(plan_row(reader.rows(), &settings.name, policy, &item, false, None)?);
            if item.id.is_folder() {
                let name = seat_in(&item, node).unwrap_or_else(|| name_on_disk(&item).name().clone());
                todo.push((Some(item.node), path.join(&name)));
            }
        }
        for entry in disk.into_values().filter(|_| policy.sends()) {
            let here = path.join(&entry.name);
            let is_folder = entry.kind == Kind::Folder;
            if !(is_folder || entry.kind == Kind::File) || !filter.wants(&here.to_string(), is_folder) {
                continue;
            }
            preview.add(PlanRow {
                folder: settings.name.clone(),
                path: here.to_string(),
                from: None,
                action: if is_folder { "make folder in the cloud" } else { "upload" }.into(),
                bytes: (!is_folder).then_some(entry.stamp.size),
                waits_for: None,
            });
            if is_folder {
                todo.push((None, here));
            }
        }
    }
    Ok(preview)
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
