//! Which folders had a name until lately. An event that comes late gives its path by the tree as it was when it happened, and whoever
//! reads such a path by the tree of today arrives nowhere, or in another folder that has the name by now.
//!
//! Example: `d` becomes `e`, and `d/new` is told a minute later. What had the name `d` then is `e`.
//!
//! All of it is memory, and bounded: what is missed is found by the verification.

use std::collections::VecDeque;

use crate::id::NodeId;
use crate::tree::Wall;

/// Names that are remembered, of all folders together.
const NAMES_MOST: usize = 1_000;
/// How many folders one path leads to at most.
const PLACES_MOST: usize = 8;
/// How far the clocks of the cloud and of this machine may be apart, in milliseconds.
const CLOCKS_APART_MS: i64 = 60_000;

/// A folder that had a name.
#[derive(Debug)]
struct Former {
    dir: NodeId,
    /// As names are compared in paths of events: without regard to case.
    folded: String,
    node: NodeId,
    /// When it was observed to have it no more.
    until: Wall,
}

/// The names that folders had until lately, the oldest first.
#[derive(Debug, Default)]
pub(in crate::engine) struct FormerNames(VecDeque<Former>);

/// Where the path of an event led when it happened.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) struct FormerPlace {
    /// The last folder on the way that is known.
    pub node: NodeId,
    /// The name in it by which the path goes on.
    pub name: String,
    /// Whether it goes on below that name.
    pub is_below: bool,
}

impl FormerNames {
    /// A folder was observed to be elsewhere, or to have another name.
    pub fn note(&mut self, dir: NodeId, name: &str, node: NodeId, until: Wall) {
        if self.0.len() >= NAMES_MOST {
            self.0.pop_front();
        }
        self.0.push_back(Former { dir, folded: name.to_lowercase(), node, until });
    }

    /// The folders that had a name when something happened; if nobody knows when that was, at any time.
    fn had(&self, dir: NodeId, folded: &str, at: Option<Wall>) -> impl Iterator<Item = NodeId> {
        let is_of_then = move |until: Wall| at.is_none_or(|at| until.since(at) >= -CLOCKS_APART_MS);
        let found = self.0.iter().rev().filter(move |it| it.dir == dir && it.folded == folded && is_of_then(it.until));
        found.map(|it| it.node)
    }

    /// The places to which the names below `root` led, at least one of them by a former name. `folders` has the folders in a folder, with
    /// the names that they have now.
    pub fn places<E>(
        &self,
        root: NodeId,
        names: &[&str],
        at: Option<Wall>,
        mut folders: impl FnMut(NodeId) -> Result<Vec<(NodeId, String)>, E>,
    ) -> Result<Vec<FormerPlace>, E> {
        let is_noted = |name: &&str| {
            let folded = name.to_lowercase();
            self.0.iter().any(|it| it.folded == folded)
        };
        if !names.iter().any(is_noted) {
            // Nearly every path: no row is read for it.
            return Ok(Vec::new());
        }
        let mut places = Vec::new();
        let mut on_the_way = vec![(root, false)];
        for (index, name) in names.iter().enumerate() {
            let folded = name.to_lowercase();
            let mut next: Vec<(NodeId, bool)> = Vec::new();
            for (dir, is_former) in on_the_way {
                let before = next.len();
                let now = folders(dir)?.into_iter().filter(|(_, known)| known.to_lowercase() == folded);
                next.extend(now.map(|(node, _)| (node, is_former)));
                let is_elsewhere = next.len() == before;
                next.extend(self.had(dir, &folded, at).map(|node| (node, true)));
                if is_elsewhere && is_former {
                    let is_below = index + 1 < names.len();
                    places.push(FormerPlace { node: dir, name: (*name).to_owned(), is_below });
                }
            }
            next.sort_unstable();
            next.dedup();
            next.truncate(PLACES_MOST);
            on_the_way = next;
        }
        places.truncate(PLACES_MOST);
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: NodeId = NodeId(1);

    /// `e` was `d`, which has `s`; `c` is called `d` now.
    fn folders(dir: NodeId) -> Result<Vec<(NodeId, String)>, ()> {
        Ok(match dir.0 {
            1 => vec![(NodeId(2), "e".to_owned()), (NodeId(3), "d".to_owned())],
            2 => vec![(NodeId(4), "s".to_owned())],
            _ => Vec::new(),
        })
    }

    fn names() -> FormerNames {
        let mut names = FormerNames::default();
        names.note(ROOT, "D", NodeId(2), Wall(1_000_000));
        names.note(ROOT, "c", NodeId(3), Wall(1_000_000));
        names
    }

    fn places(path: &str, at: Option<Wall>) -> Vec<(i64, String, bool)> {
        let path: Vec<&str> = path.split('/').collect();
        let found = names().places(ROOT, &path, at, folders).unwrap();
        found.into_iter().map(|place| (place.node.0, place.name, place.is_below)).collect()
    }

    #[test]
    fn a_path_is_read_by_the_names_of_then() {
        for (path, wanted) in [
            ("d/new", vec![(2, "new", false)]),
            ("d/s/new", vec![(4, "new", false)]),
            ("d/t/new", vec![(2, "t", true)]),
            ("c/new", vec![(3, "new", false)]),
            // What is known there needs no question, and neither does a path that was never another's.
            ("d/s", vec![]),
            ("e/new", vec![]),
            ("x/new", vec![]),
        ] {
            let wanted: Vec<_> = wanted.into_iter().map(|(node, name, below)| (node, name.to_owned(), below)).collect();
            assert_eq!(places(path, Some(Wall(900_000))), wanted, "{path}");
            assert_eq!(places(path, None), wanted, "{path}");
        }
    }

    #[test]
    fn what_happened_long_after_is_told_by_the_names_of_today() {
        assert_eq!(places("d/new", Some(Wall(1_030_000))).len(), 1, "the clocks may be apart");
        assert_eq!(places("d/new", Some(Wall(1_100_000))), []);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut names = FormerNames::default();
        for number in 0..NAMES_MOST as i64 * 2 {
            names.note(ROOT, "d", NodeId(10 + number), Wall(number));
        }
        assert_eq!(names.0.len(), NAMES_MOST);
        let found = names.places(ROOT, &["d", "new"], None, |_| Ok::<_, ()>(Vec::new())).unwrap();
        assert_eq!(found.len(), PLACES_MOST);
    }
}
