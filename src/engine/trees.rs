//! Directories that are gone from the cloud with all that is in them: what each of them holds by the database, counted a step's worth at a
//! time, so that it can go out of sight by one rename if the disk shows nothing else below it.
//!
//! Nothing here is durable: what is forgotten is counted again.

use std::collections::{BTreeMap, BTreeSet};

use super::ctx::Ctx;
use crate::id::NodeId;
use crate::path::Name;
use crate::store::Result;
use crate::store::trees::{Below, Counted};

/// What is known of such a directory.
#[derive(Debug, Clone)]
enum Tree {
    /// It is counted: the directories that are left, and behind which name of the last one it goes on.
    Counting { left: Vec<NodeId>, after: Option<Name>, below: Below },
    /// All that it holds.
    Whole(Below),
    /// It holds something else, and what is in it goes one by one.
    InParts,
}

/// How far a count is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Progress {
    /// It goes on in the next step.
    More,
    /// This is what it holds.
    Whole(Below),
    /// What is in it goes one by one.
    InParts,
}

/// Directories that are looked through.
#[derive(Debug, Default)]
pub(in crate::engine) struct Trees {
    trees: BTreeMap<NodeId, Tree>,
    /// Directories that could not go into the version store by one rename, or come back from there.
    by_file: BTreeSet<NodeId>,
}

impl Trees {
    /// Counts on what a directory holds, as far as this step may go through rows.
    pub fn count(&mut self, ctx: &mut Ctx, dir: NodeId) -> Result<Progress> {
        let first = Tree::Counting { left: vec![dir], after: None, below: Below::default() };
        let tree = self.trees.entry(dir).or_insert(first);
        let (left, after, below) = match tree {
            Tree::Whole(below) => return Ok(Progress::Whole(*below)),
            Tree::InParts => return Ok(Progress::InParts),
            Tree::Counting { left, after, below } => (left, after, below),
        };
        while let Some(at) = left.pop() {
            let room = ctx.rows_left();
            if room == 0 {
                left.push(at);
                return Ok(Progress::More);
            }
            let (before, mut folders) = (below.holding.entries, Vec::new());
            let counted = ctx.store.count_below(at, after.take().as_ref(), room, below, &mut folders)?;
            // A directory is a row of its own, were it empty.
            ctx.gone_through += 1 + (below.holding.entries - before) as usize;
            match counted {
                Counted::Differs => {
                    *tree = Tree::InParts;
                    return Ok(Progress::InParts);
                }
                Counted::UpTo(name) => {
                    left.append(&mut folders);
                    left.push(at);
                    *after = Some(name);
                }
                Counted::Whole => left.append(&mut folders),
            }
        }
        let below = *below;
        *tree = Tree::Whole(below);
        Ok(Progress::Whole(below))
    }

    /// Whether a directory was looked through, or is.
    pub fn knows(&self, dir: NodeId) -> bool {
        self.trees.contains_key(&dir)
    }

    /// Whether nothing in a directory that was looked through kept it from going whole.
    pub fn may_be_whole(&self, dir: NodeId) -> bool {
        self.trees.get(&dir).is_some_and(|tree| !matches!(tree, Tree::InParts))
    }

    /// What is in a directory goes one by one.
    pub fn goes_in_parts(&mut self, dir: NodeId) {
        self.trees.insert(dir, Tree::InParts);
    }

    /// A directory is no more, or waits: what it holds may be something else by then.
    pub fn forget(&mut self, dir: NodeId) {
        self.trees.remove(&dir);
        self.by_file.remove(&dir);
    }

    /// The files of a directory go into the version store, or come back from there, one by one.
    pub fn keep_by_file(&mut self, dir: NodeId) {
        self.by_file.insert(dir);
    }

    /// Whether they do.
    pub fn is_kept_by_file(&self, dir: NodeId) -> bool {
        self.by_file.contains(&dir)
    }
}
