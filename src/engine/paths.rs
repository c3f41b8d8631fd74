//! Where items are: on disk for deeds, in the cloud for patterns, and by the path that people know. What is read is remembered.
//!
//! Invariant: a remembered path is as its rows have it: each change of a place is told here in the same step.

use std::collections::BTreeMap;

use super::sides::name_on_disk;
use crate::deed::{Base, Place};
use crate::events::Subject;
use crate::id::{FolderId, ItemId, NodeId};
use crate::path::{Name, RelPath};
use crate::store::items::{ItemRow, SeatRow};
use crate::store::{DEEPEST_PATH, Result, Store};

/// Directories whose place on disk is remembered.
const PLACES_REMEMBERED: usize = 4_096;
/// Folders whose path in the cloud is remembered.
const REMOTE_REMEMBERED: usize = 4_096;

/// What is remembered.
#[derive(Debug, Default)]
pub(in crate::engine) struct Paths {
    places: BTreeMap<NodeId, Place>,
    remote: BTreeMap<NodeId, String>,
}

impl Paths {
    /// Where an item is on disk; nothing if it is not, or is lost.
    pub fn place(&mut self, store: &Store, node: NodeId) -> Result<Option<Place>> {
        let mut names: Vec<Name> = Vec::new();
        let mut at = node;
        let mut is_folder = true;
        let mut place = loop {
            if let Some(place) = self.places.get(&at) {
                break place.clone();
            }
            let Some(item) = store.item(at)? else { return Ok(None) };
            if at == node {
                is_folder = item.id.is_folder();
            }
            match item.disk_seat() {
                None => return Ok(None),
                Some(SeatRow::Root) => break Place::tree(RelPath::root()),
                Some(SeatRow::Parked(job)) => break Place { base: Base::Parked(job), path: RelPath::root() },
                Some(SeatRow::At { parent, name }) => {
                    names.push(name);
                    at = parent;
                }
            }
            // Scans of different moments may show two directories in one another: until both are scanned again, neither has a place.
            if names.len() > DEEPEST_PATH {
                return Ok(None);
            }
        };
        for name in names.iter().rev() {
            place = place.join(name);
        }
        // Directories are asked for again and again. A file is asked for once, and nothing would clear what is remembered of it.
        if is_folder {
            if self.places.len() >= PLACES_REMEMBERED {
                self.places.clear();
            }
            self.places.insert(node, place.clone());
        }
        Ok(Some(place))
    }

    /// Where in the visible tree a place is that an item has, or had when its row was read; for what is out of sight, where that was
    /// before, as far as it is known.
    pub fn in_sight(&mut self, store: &Store, item: &ItemRow, place: &Place) -> Result<RelPath> {
        let Base::Parked(_) = place.base else { return Ok(place.path.clone()) };
        let top = match item.disk_seat() {
            Some(SeatRow::At { parent, .. }) => {
                store.parked_above(parent)?.map(|(top, _)| store.item(top)).transpose()?.flatten()
            }
            Some(SeatRow::Parked(_)) => Some(item.clone()),
            Some(SeatRow::Root) | None => None,
        };
        let Some((top, parent)) = top.and_then(|top| top.remote.parent.map(|parent| (top, parent))) else {
            return Ok(place.path.clone());
        };
        let above = self.place(store, parent)?.map_or_else(RelPath::root, |place| place.path);
        let top = above.join(name_on_disk(&top).name());
        Ok(place.path.names().iter().fold(top, |path, name| path.join(name)))
    }

    /// An item's path in the cloud, from the watched folder on.
    pub fn remote(&mut self, store: &Store, node: NodeId) -> Result<String> {
        let mut names: Vec<String> = Vec::new();
        let mut above = String::new();
        let mut is_folder = true;
        let mut at = Some(node);
        while let Some(step) = at {
            if let Some(path) = self.remote.get(&step) {
                above.clone_from(path);
                break;
            }
            let Some(row) = store.item(step)? else { break };
            if step == node {
                is_folder = row.id.is_folder();
            }
            at = row.remote.parent;
            if at.is_some() {
                names.push(row.remote.name);
            }
            // Until all news is read, two folders may seem to lie in one another.
            if names.len() > DEEPEST_PATH {
                return Ok(names.swap_remove(0));
            }
        }
        names.reverse();
        let mut path = above;
        for name in names {
            path = joined(&path, &name);
        }
        if is_folder {
            if self.remote.len() >= REMOTE_REMEMBERED {
                self.remote.clear();
            }
            self.remote.insert(node, path.clone());
        }
        Ok(path)
    }

    /// The path that people know an item by.
    pub fn shown(&mut self, store: &Store, item: &ItemRow) -> Result<String> {
        match item.remote.parent {
            Some(parent) => Ok(joined(&self.remote(store, parent)?, &item.remote.name)),
            None => Ok(self.place(store, item.node)?.map_or_else(String::new, |place| place.path.to_string())),
        }
    }

    /// The path of an event's item as people know it: by its row, else as the event tells it.
    pub fn told(&mut self, store: &Store, folder: FolderId, id: &ItemId, subject: &Subject) -> Result<Option<String>> {
        if let Subject::Item(item) = subject
            && let Some(parent) = &item.parent
            && let Some(parent) = store.item_by_id(folder, parent)?
        {
            return Ok(Some(joined(&self.remote(store, parent.node)?, &item.name)));
        }
        let Some(known) = store.item_by_id(folder, id)? else {
            return Ok(match subject {
                Subject::Item(item) => Some(item.name.clone()),
                _ => None,
            });
        };
        let Some(parent) = known.remote.parent else { return Ok(Some(String::new())) };
        Ok(Some(joined(&self.remote(store, parent)?, &known.remote.name)))
    }

    /// An item has another place on disk, or none.
    pub fn moved_on_disk(&mut self, item: &ItemRow) {
        if item.id.is_folder() {
            self.places.clear();
        } else {
            self.places.remove(&item.node);
        }
    }

    /// Directories have other places on disk.
    pub fn directories_moved(&mut self) {
        self.places.clear();
    }

    /// A folder has another place in the cloud, or none.
    pub fn moved_in_cloud(&mut self) {
        self.remote.clear();
    }

    /// Everything is read again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A name in a folder, which has no path of its own if it is the watched one.
pub(in crate::engine) fn joined(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}
