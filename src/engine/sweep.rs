//! Telling what is in a folder what became of it, a step's worth of rows at a time: how far that is, and what each is told.

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

/// What a child is told of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Told {
    /// Nothing: it knows.
    Nothing,
    /// It went with it.
    Went,
    /// It is there, as far as is known, and what is in it is asked for: the folder was away, and nobody told what became of what it holds.
    IsListed,
    /// It went with the folder, and that is back: whether it is gone is not known any more.
    IsAsked,
}

/// What a child of a folder is told that has become so.
pub(in crate::engine) fn told(dir: Presence, child: Presence, is_folder: bool) -> Told {
    match (child, dir) {
        (Presence::Present, Presence::Present) if is_folder => Told::IsListed,
        (Presence::Present, Presence::Absent | Presence::FilteredOut) => Told::Went,
        (Presence::Absent, Presence::Present) => Told::IsAsked,
        _ => Told::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_is_told_of_its_folder() {
        use Presence::{Absent, FilteredOut, Present};
        let cases = [
            (Present, Present, true, Told::IsListed),
            (Present, Present, false, Told::Nothing),
            (Present, Absent, false, Told::IsAsked),
            (Present, Absent, true, Told::IsAsked),
            (Present, FilteredOut, false, Told::Nothing),
            (Absent, Present, false, Told::Went),
            (Absent, Present, true, Told::Went),
            (Absent, Absent, true, Told::Nothing),
            (Absent, FilteredOut, false, Told::Nothing),
            (FilteredOut, Present, true, Told::Went),
            (FilteredOut, Absent, false, Told::Nothing),
        ];
        for (dir, child, is_folder, expected) in cases {
            assert_eq!(told(dir, child, is_folder), expected, "{dir:?} {child:?} {is_folder}");
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
