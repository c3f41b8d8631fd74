//! The children of a folder that went or is back, a step's worth of rows at a time: how far that is, and what becomes of each.

use crate::id::NodeId;
use crate::store::items::Presence;

/// How far the children of the folder whose turn it is were told. What is to be told is in the database; this begins again with the process.
#[derive(Debug, Default)]
pub(in crate::engine) struct Sweep {
    at: Option<(NodeId, NodeId)>,
}

impl Sweep {
    /// The child of a folder behind which the next ones are to be told; before the first of them at its beginning.
    pub fn after(&self, dir: NodeId) -> NodeId {
        self.at.filter(|(at, _)| *at == dir).map_or(NodeId(0), |(_, after)| after)
    }

    /// The children of a folder are told up to this one.
    pub fn reached(&mut self, dir: NodeId, child: Option<NodeId>) {
        self.at = child.map(|child| (dir, child));
    }

    /// No folder is half told any more.
    pub fn end(&mut self) {
        self.at = None;
    }

    /// What is in a folder is to be told another thing, from its first child on.
    pub fn begin_again(&mut self, dir: NodeId) {
        self.at.take_if(|(at, _)| *at == dir);
    }
}

/// What becomes of a child when its folder went or is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Fate {
    /// It stays as it is.
    Unchanged,
    /// It went with the folder.
    Gone,
    /// It is there, as far as is known, and is listed: the folder was away, and no event told what became of what it holds.
    Listed,
    /// It is asked about: it went with the folder, and that is back, so that it may be there again.
    Asked,
}

/// What becomes of a child when its folder has become so.
pub(in crate::engine) fn fate(dir: Presence, child: Presence, is_folder: bool) -> Fate {
    match (child, dir) {
        (Presence::Present, Presence::Present) if is_folder => Fate::Listed,
        (Presence::Present, Presence::Absent | Presence::FilteredOut) => Fate::Gone,
        (Presence::Absent, Presence::Present) => Fate::Asked,
        _ => Fate::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_goes_with_its_folder_and_is_asked_about_when_that_is_back() {
        use Presence::{Absent, FilteredOut, Present};
        let cases = [
            (Present, Present, true, Fate::Listed),
            (Present, Present, false, Fate::Unchanged),
            (Present, Absent, false, Fate::Asked),
            (Present, Absent, true, Fate::Asked),
            (Present, FilteredOut, false, Fate::Unchanged),
            (Absent, Present, false, Fate::Gone),
            (Absent, Present, true, Fate::Gone),
            (Absent, Absent, true, Fate::Unchanged),
            (Absent, FilteredOut, false, Fate::Unchanged),
            (FilteredOut, Present, true, Fate::Gone),
            (FilteredOut, Absent, false, Fate::Unchanged),
        ];
        for (dir, child, is_folder, expected) in cases {
            assert_eq!(fate(dir, child, is_folder), expected, "{dir:?} {child:?} {is_folder}");
        }
    }

    #[test]
    fn a_folder_is_told_on_behind_the_last_child_and_another_one_from_its_first() {
        let (dir, other) = (NodeId(7), NodeId(8));
        let mut sweep = Sweep::default();
        sweep.reached(dir, Some(NodeId(40)));
        assert_eq!((sweep.after(dir), sweep.after(other)), (NodeId(40), NodeId(0)));
        sweep.begin_again(other);
        assert_eq!(sweep.after(dir), NodeId(40));
        sweep.begin_again(dir);
        assert_eq!(sweep.after(dir), NodeId(0));
    }
}
