//! Which folders had a name until lately. An event that comes late gives its path by the tree as it was when it happened, and whoever
//! reads such a path by the tree of today arrives nowhere, or in another folder that has the name by now.
//!
//! Example: `d` becomes `e`, and `d/new` is told a minute later. What had the name `d` then is `e`.
//!
//! All of it is bounded: what is missed is found by the verification. What is noted here is noted in the database as well, and read back
//! when a process begins.

use std::collections::VecDeque;

use crate::id::NodeId;
use crate::store::former::{FormerName, NAMES_MOST};
use crate::tree::Wall;

/// How far the clocks of the cloud and of this machine may be apart, in milliseconds.
const CLOCKS_APART_MS: i64 = 60_000;

/// The names that folders had until lately, the oldest first. They are as names are compared in paths of events: without regard to case.
#[derive(Debug, Default)]
pub(in crate::engine) struct FormerNames(VecDeque<FormerName>);

impl FormerNames {
    /// A folder was observed to be elsewhere, or to have another name.
    pub fn note(&mut self, former: FormerName) {
        if self.0.len() >= NAMES_MOST {
            self.0.pop_front();
        }
        let name = former.name.to_lowercase();
        self.0.push_back(FormerName { name, ..former });
    }

    /// The folders that had a name when something happened; if nobody knows when that was, at any time.
    pub fn had(&self, dir: NodeId, folded: &str, at: Option<Wall>) -> impl Iterator<Item = NodeId> {
        let is_of_then = move |until: Wall| at.is_none_or(|at| until.since(at) >= -CLOCKS_APART_MS);
        let found = self.0.iter().rev().filter(move |it| it.dir == dir && it.name == folded && is_of_then(it.until));
        found.map(|it| it.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: NodeId = NodeId(1);

    fn former(name: &str, node: i64, until: i64) -> FormerName {
        FormerName { dir: ROOT, name: name.into(), node: NodeId(node), until: Wall(until) }
    }

    fn had(names: &FormerNames, at: Option<i64>) -> Vec<i64> {
        names.had(ROOT, "d", at.map(Wall)).map(|node| node.0).collect()
    }

    #[test]
    fn a_path_is_read_by_the_names_of_then() {
        let mut names = FormerNames::default();
        for (name, node, until) in [("D", 2, 1_000_000), ("c", 3, 1_000_000), ("d", 4, 2_000_000)] {
            names.note(former(name, node, until));
        }
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
            names.note(former("d", 10 + number, number));
        }
        assert_eq!(had(&names, None).len(), NAMES_MOST);
    }
}
