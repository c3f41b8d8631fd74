//! What events told of by paths that led to no known item, and by which names it is expected: a path is read by the
//! tree as it was last observed, and the cloud gave it by the tree as it was when the event happened. Where a listing
//! shows none of the name that was expected, the path is read again, by the tree that is known by then.
//!
//! All of it is memory. A name that is expected in a folder that is known and stays where it is is durable by itself, with the unknown item
//! that is to have it. Whether there is anything else for a watched folder is durable as well: after a crash that one is compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::events::EventKind;
use crate::id::{FolderId, ItemId, NodeId};

/// Entries that are remembered, of all folders together: items, and as many paths. What is told beyond that is found by the verification.
const TOLD_MOST: usize = 10_000;

/// What was told of with a name that is expected in a folder, on the way to it or as its own.
#[derive(Debug, Default)]
pub(in crate::engine) struct ToldByPath {
    /// Unknown items that events named.
    items: BTreeMap<NodeId, BTreeMap<ItemId, Under>>,
    /// Whole paths.
    paths: BTreeMap<NodeId, BTreeMap<String, Way>>,
    /// Whole paths that led through a folder whose own name or place was asked about.
    unsure: BTreeMap<NodeId, BTreeMap<String, EventKind>>,
    /// The watched folders of all those.
    folders: BTreeMap<NodeId, FolderId>,
    /// Those of `unsure` whose folder turned out to be elsewhere.
    again: Vec<(FolderId, String, EventKind)>,
}

/// The name that is expected in a folder for an item.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Under {
    name: String,
    /// The item is somewhere below what has the name; else it is to have the name itself.
    is_below: bool,
}

/// How far a path has been followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Way {
    /// The name that is expected in the folder.
    pub name: String,
    /// The path leads on below what has the name.
    pub is_below: bool,
    /// What the event says happened there.
    pub kind: EventKind,
    /// It is expected as well where the folders on the way are by now. Once is enough: two paths that lead to each other's folders would
    /// be followed for ever.
    pub is_sought: bool,
}

impl ToldByPath {
    /// An event tells of an unknown item that has a name which is expected in a folder, or is somewhere below what has it.
    pub fn note_item(&mut self, (folder, dir): (FolderId, NodeId), name: &str, id: &ItemId, is_below: bool) {
        if has_room(&self.items) {
            self.folders.insert(dir, folder);
            self.items.entry(dir).or_default().insert(id.clone(), Under { name: name.to_owned(), is_below });
        }
    }

    /// A listing of a folder shows an item.
    pub fn saw_item(&mut self, dir: NodeId, id: &ItemId) {
        if let Some(told) = self.items.get_mut(&dir) {
            told.remove(id);
        }
    }

    /// The names that are expected in a folder and that something was told to be below: only folders can have them.
    pub fn names_of_folders(&self, dir: NodeId) -> BTreeSet<String> {
        let items = self.items.get(&dir).into_iter().flat_map(BTreeMap::values);
        let paths = self.paths.get(&dir).into_iter().flat_map(BTreeMap::values);
        let items = items.filter(|under| under.is_below).map(|under| &under.name);
        items.chain(paths.filter(|way| way.is_below).map(|way| &way.name)).cloned().collect()
    }

    /// A path leads to a name that is expected in a folder, or to something below it.
    pub fn note_path(&mut self, (folder, dir): (FolderId, NodeId), path: &str, way: Way) {
        if has_room(&self.paths) {
            self.folders.insert(dir, folder);
            self.paths.entry(dir).or_default().insert(path.to_owned(), way);
        }
    }

    /// The items that a listing of a folder may have passed by: those below names that it did not show, and those whose own name it showed, as
    /// something else may have that. Each is returned once. Those whose own name it did not show stay; the others are forgotten.
    pub fn take_items(&mut self, dir: NodeId, unmet: &BTreeSet<String>) -> Vec<ItemId> {
        let told = self.items.remove(&dir).unwrap_or_default();
        let (unmet, met): (BTreeMap<_, _>, BTreeMap<_, _>) =
            told.into_iter().partition(|(_, under)| unmet.contains(&under.name));
        let (below, stays): (BTreeMap<_, _>, BTreeMap<_, _>) = unmet.into_iter().partition(|(_, under)| under.is_below);
        if !stays.is_empty() {
            self.items.insert(dir, stays);
        }
        let named = met.into_iter().filter(|(_, under)| !under.is_below);
        below.into_iter().chain(named).map(|(id, _)| id).collect()
    }

    /// The items that were told of below one name in a folder. Each is returned once.
    pub fn take_items_below(&mut self, dir: NodeId, name: &str) -> Vec<ItemId> {
        let Some(told) = self.items.get_mut(&dir) else { return Vec::new() };
        let is_there = |under: &Under| under.is_below && under.name == name;
        let (below, others) = std::mem::take(told).into_iter().partition(|(_, under)| is_there(under));
        *told = others;
        below.into_keys().collect()
    }

    /// All items that were told of in a folder. Each is returned once.
    pub fn take_all_items(&mut self, dir: NodeId) -> Vec<ItemId> {
        self.items.remove(&dir).unwrap_or_default().into_keys().collect()
    }

    /// The paths that led to names that a listing of a folder did not show. The others of that folder are forgotten.
    pub fn take_paths(&mut self, dir: NodeId, unmet: &BTreeSet<String>) -> Vec<(String, Way)> {
        let told = self.paths.remove(&dir).unwrap_or_default();
        told.into_iter().filter(|(_, way)| unmet.contains(&way.name)).collect()
    }

    /// The paths that lead on below one name in a folder, and what was told of them. Each is returned once.
    pub fn take_paths_below(&mut self, dir: NodeId, name: &str) -> Vec<(String, EventKind)> {
        let Some(told) = self.paths.get_mut(&dir) else { return Vec::new() };
        let below = told.extract_if(.., |_, way| way.is_below && way.name == name);
        below.map(|(path, way)| (path, way.kind)).collect()
    }

    /// A path leads through a folder of which it is not known whether it still has its name and place.
    pub fn note_unsure(&mut self, (folder, dir): (FolderId, NodeId), path: &str, kind: EventKind) {
        if has_room(&self.unsure) {
            self.folders.insert(dir, folder);
            self.unsure.entry(dir).or_default().insert(path.to_owned(), kind);
        }
    }

    /// A folder is elsewhere than it was, or gone: the paths that led through it are to be read again.
    pub fn was_placed(&mut self, dir: NodeId, folder: FolderId) {
        let told = self.unsure.remove(&dir).unwrap_or_default();
        self.again.extend(told.into_iter().map(|(path, kind)| (folder, path, kind)));
    }

    /// A folder is where it was.
    pub fn was_confirmed(&mut self, dir: NodeId) {
        self.unsure.remove(&dir);
    }

    /// The watched folders in which something is to be found below a folder that is not known yet, or whose place is asked about.
    pub fn watched(&mut self) -> BTreeSet<FolderId> {
        let (items, paths, unsure) = (&self.items, &self.paths, &self.unsure);
        self.folders.retain(|dir, _| {
            items.get(dir).is_some_and(|items| items.values().any(|under| under.is_below))
                || paths.get(dir).is_some_and(|paths| paths.values().any(|way| way.is_below))
                || unsure.contains_key(dir)
        });
        self.folders.values().copied().chain(self.again.iter().map(|(folder, ..)| *folder)).collect()
    }

    /// The paths that are to be read again. Each is returned once.
    pub fn take_again(&mut self) -> Vec<(FolderId, String, EventKind)> {
        std::mem::take(&mut self.again)
    }

    /// A folder is no more.
    pub fn forget(&mut self, dir: NodeId) {
        self.items.remove(&dir);
        self.paths.remove(&dir);
        self.was_confirmed(dir);
    }
}

/// Every folder in the map has an entry, so no more of them are gone through than entries may be remembered.
fn has_room<T, U>(told: &BTreeMap<NodeId, BTreeMap<T, U>>) -> bool {
    told.values().map(BTreeMap::len).sum::<usize>() < TOLD_MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: FolderId = FolderId(1);

    #[test]
    fn an_item_is_passed_by_where_something_else_has_its_name_or_nothing_has_that_of_its_folder() {
        let dir = NodeId(1);
        let item = |name: &str| ItemId::file(name);
        let mut told = ToldByPath::default();
        for (name, is_below) in [("shown", false), ("missing", false), ("shown", true), ("missing", true)] {
            told.note_item((FOLDER, dir), name, &item(&format!("{name} {is_below}")), is_below);
        }
        assert_eq!(told.names_of_folders(dir).into_iter().collect::<Vec<_>>(), ["missing", "shown"]);
        let unmet = BTreeSet::from(["missing".to_owned()]);
        assert_eq!(told.take_items(dir, &unmet), [item("missing true"), item("shown false")]);
        assert_eq!(told.take_all_items(dir), [item("missing false")], "it may be shown a little later");
    }

    #[test]
    fn what_is_remembered_is_bounded_over_all_folders() {
        let mut told = ToldByPath::default();
        let way = Way { name: "name".to_owned(), is_below: true, kind: EventKind::Created, is_sought: false };
        for number in 0..TOLD_MOST as i64 + 100 {
            told.note_path((FOLDER, NodeId(number % 20)), &format!("/Watched/name/{number}"), way.clone());
        }
        let unmet = BTreeSet::from(["name".to_owned()]);
        let kept: usize = (0..20).map(|dir| told.take_paths(NodeId(dir), &unmet).len()).sum();
        assert_eq!(kept, TOLD_MOST);
        told.note_path((FOLDER, NodeId(1)), "/Watched/name/again", way);
        assert_eq!(told.take_paths(NodeId(1), &unmet).len(), 1, "what was taken makes room");
        assert_eq!(told.watched(), BTreeSet::new(), "nothing is left");
    }
}
