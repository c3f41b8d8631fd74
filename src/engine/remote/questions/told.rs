//! What events told of by paths that led to no known item, and by which names it is expected: a path is read by the
//! tree as it was last observed, and the cloud gave it by the tree as it was when the event happened. Where a listing
//! shows none of the name that was expected, the path is read again, by the tree that is known by then.
//!
//! All of it is memory: after a crash what was told is found by the verification.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ItemId, NodeId};

/// Entries that are remembered, of all folders together: items, and as many paths. What is told beyond that is found by the verification.
const TOLD_MOST: usize = 10_000;

/// What was told of with a name that is expected in a folder, on the way to it or as its own.
#[derive(Debug, Default)]
pub(in crate::engine) struct ToldByPath {
    /// Unknown items that events named.
    items: BTreeMap<NodeId, BTreeMap<ItemId, String>>,
    /// Whole paths.
    paths: BTreeMap<NodeId, BTreeMap<String, Way>>,
}

/// How far a path has been followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Way {
    /// The name that is expected in the folder.
    pub name: String,
    /// It is expected as well where the folders on the way are by now. Once is enough: two paths that lead to each other's folders would
    /// be followed for ever.
    pub is_sought: bool,
}

impl ToldByPath {
    /// An event tells of an unknown item somewhere below a name that is expected in a folder.
    pub fn note_item(&mut self, dir: NodeId, name: &str, id: &ItemId) {
        if has_room(&self.items) {
            self.items.entry(dir).or_default().insert(id.clone(), name.to_owned());
        }
    }

    /// A path leads to a name that is expected in a folder, or to something below it.
    pub fn note_path(&mut self, dir: NodeId, path: &str, way: Way) {
        if has_room(&self.paths) {
            self.paths.entry(dir).or_default().insert(path.to_owned(), way);
        }
    }

    /// The items that were told of below names that a listing of a folder did not show. Each is returned once.
    pub fn take_items(&mut self, dir: NodeId, unmet: &BTreeSet<String>) -> Vec<ItemId> {
        let told = self.items.remove(&dir).unwrap_or_default();
        told.into_iter().filter(|(_, name)| unmet.contains(name)).map(|(id, _)| id).collect()
    }

    /// The items that were told of below one name in a folder. Each is returned once.
    pub fn take_items_below(&mut self, dir: NodeId, name: &str) -> Vec<ItemId> {
        let Some(told) = self.items.get_mut(&dir) else { return Vec::new() };
        let (below, others) = std::mem::take(told).into_iter().partition(|(_, under)| under == name);
        *told = others;
        below.into_keys().collect()
    }

    /// The paths that led to names that a listing of a folder did not show. The others of that folder are forgotten.
    pub fn take_paths(&mut self, dir: NodeId, unmet: &BTreeSet<String>) -> Vec<(String, Way)> {
        let told = self.paths.remove(&dir).unwrap_or_default();
        told.into_iter().filter(|(_, way)| unmet.contains(&way.name)).collect()
    }

    /// A folder is no more.
    pub fn forget(&mut self, dir: NodeId) {
        self.items.remove(&dir);
        self.paths.remove(&dir);
    }
}

/// Every folder in the map has an entry, so no more of them are gone through than entries may be remembered.
fn has_room<T, U>(told: &BTreeMap<NodeId, BTreeMap<T, U>>) -> bool {
    told.values().map(BTreeMap::len).sum::<usize>() < TOLD_MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_over_all_folders() {
        let mut told = ToldByPath::default();
        let way = Way { name: "name".to_owned(), is_sought: false };
        for number in 0..TOLD_MOST as i64 + 100 {
            told.note_path(NodeId(number % 20), &format!("/Watched/name/{number}"), way.clone());
        }
        let unmet = BTreeSet::from(["name".to_owned()]);
        let kept: usize = (0..20).map(|dir| told.take_paths(NodeId(dir), &unmet).len()).sum();
        assert_eq!(kept, TOLD_MOST);
        told.note_path(NodeId(1), "/Watched/name/again", way);
        assert_eq!(told.take_paths(NodeId(1), &unmet).len(), 1, "what was taken makes room");
    }
}
