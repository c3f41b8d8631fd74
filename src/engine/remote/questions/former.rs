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

impl FormerNames {
    /// A folder was observed to be elsewhere, or to have another name.
    pub fn note(&mut self, dir: NodeId, name: &str, node: NodeId, until: Wall) {
        if self.0.len() >= NAMES_MOST {
            self.0.pop_front();
        }
        self.0.push_back(Former { dir, folded: name.to_lowercase(), node, until });
    }

    /// The folders that had a name when something happened; if nobody knows when that was, at any time.
    pub fn had(&self, dir: NodeId, folded: &str, at: Option<Wall>) -> impl Iterator<Item = NodeId> {
        let is_of_then = move |until: Wall| at.is_none_or(|at| until.since(at) >= -CLOCKS_APART_MS);
        let found = self.0.iter().rev().filter(move |it| it.dir == dir && it.folded == folded && is_of_then(it.until));
        found.map(|it| it.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: NodeId = NodeId(1);

    fn had(names: &FormerNames, at: Option<i64>) -> Vec<i64> {
        names.had(ROOT, "d", at.map(Wall)).map(|node| node.0).collect()
    }

    #[test]
    fn a_path_is_read_by_the_names_of_then() {
        let mut names = FormerNames::default();
        names.note(ROOT, "D", NodeId(2), Wall(1_000_000));
        names.note(ROOT, "c", NodeId(3), Wall(1_000_000));
        names.note(ROOT, "d", NodeId(4), Wall(2_000_000));
        assert_eq!(had(&names, None), [4, 2], "whenever it was, the last one first");
        assert_eq!(had(&names, Some(900_000)), [4, 2]);
        assert_eq!(had(&names, Some(1_030_000)), [4, 2], "the clocks may be apart");
        assert_eq!(had(&names, Some(1_100_000)), [4], "what happened long after is told by the names of today");
        assert_eq!(had(&names, Some(2_100_000)), [0; 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut names = FormerNames::default();
        for number in 0..NAMES_MOST as i64 * 2 {
            names.note(ROOT, "d", NodeId(10 + number), Wall(number));
        }
        assert_eq!(had(&names, None).len(), NAMES_MOST);
    }
}
