//! What events told of by paths that led to no known item, and by which names it is expected: a path is read by the
//! tree as it was last observed, and the cloud gave it by the tree as it was when the event happened. Where a listing
//! shows none of the name that was expected, the path is read again, by the tree that is known by then.
//!
//! All of it is memory: after a crash what was told is found by the verification.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ItemId, NodeId};

/// Entries of one folder that are remembered.
const TOLD_MOST: usize = 10_000;

/// What was told of with a name that is expected in a folder, on the way to it or as its own.
#[derive(Debug, Default)]
pub(in crate::engine) struct ToldByPath {
    /// Unknown items that events named.
    items: BTreeMap<NodeId, BTreeMap<ItemId, String>>,
    /// Whole paths.
    paths: BTreeMap<NodeId, BTreeMap<String, String>>,
}

impl ToldByPath {
    /// An event tells of an unknown item somewhere below a name that is expected in a folder.
    pub fn note_item(&mut self, dir: NodeId, name: &str, id: &ItemId) {
        let told = self.items.entry(dir).or_default();
        if told.len() < TOLD_MOST {
            told.insert(id.clone(), name.to_owned());
        }
    }

    /// A path leads to a name that is expected in a folder, or to something below it.
    pub fn note_path(&mut self, dir: NodeId, name: &str, path: &str) {
        let told = self.paths.entry(dir).or_default();
        if told.len() < TOLD_MOST {
            told.insert(path.to_owned(), name.to_owned());
        }
    }

    /// The items that were told of below names that a listing of a folder did not show. Each is returned once.
    pub fn take_items(&mut self, dir: NodeId, unmet: &BTreeSet<String>) -> Vec<ItemId> {
        let told = self.items.remove(&dir).unwrap_or_default();
        told.into_iter().filter(|(_, name)| unmet.contains(name)).map(|(id, _)| id).collect()
    }

    /// The paths that led to names that a listing of a folder did not show, with that name. The others of that folder
    /// are forgotten.
    pub fn take_paths(&mut self, dir: NodeId, unmet: &BTreeSet<String>) -> Vec<(String, String)> {
        let told = self.paths.remove(&dir).unwrap_or_default();
        told.into_iter().filter(|(_, name)| unmet.contains(name)).collect()
    }

    /// A folder is no more.
    pub fn forget(&mut self, dir: NodeId) {
        self.items.remove(&dir);
        self.paths.remove(&dir);
    }
}
