//! In which order the items of a neighbourhood get their places: decided once, over the graph of who stands in whose way.
//!
//! A path through the graph begins at an item that wants a place. Each hop is what stands in the way of the one before: the item that has
//! the place, or the directory that is not there yet to hold it.
//!
//! Invariants:
//! - An item waits only for what goes by itself: a path of waiting ends at a free place, or at what makes room.
//! - Only where a path comes back to its beginning, or ends at what stays, does anybody step out of sight, and one step opens a circle. A
//!   chain costs no rename more than it has items: its last item goes first.
//! - The cloud's place wins on disk: what only the disk has gets another name, and is not replaced.
//!
//! | case | example | what the item does |
//! |---|---|---|
//! | free | `mv a b` | goes |
//! | chain | `mv b c; mv a b` | waits for the one before it |
//! | swap | `mv a t; mv b a; mv t b` | the other one steps out of sight |
//! | circle of three, or through a directory that is to come | `mv a t; mkdir a; mv t a/a` | the same |
//! | replaced | `rm b; mv a b` | what stood there goes at once, without asking |
//! | another kind | `rm -r b; mv a b` | waits until the directory is empty and gone |
//! | the disk's own | a new local `b`, and `mv a b` in the cloud | the local one gets another name |
//! | kept | an edit of `b` that is to stay, and `mv a b` | has a problem |
//! | a chain that ends there | an edit of `c` that is to stay, `mv b c`, `mv a b` | the other one steps out of sight |

use super::Action;
use crate::id::ItemKind;

/// Hops that are looked at; what goes further waits, and its end decides.
pub const HOPS_MOST: usize = 64;

/// What an item in the way is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// It moves to another place on disk.
    Moves,
    /// It is a directory that comes to be where another item is to be put.
    Comes,
    /// It is a file that goes.
    Goes,
    /// It is a directory that goes when nothing is in it, or something that patterns keep out.
    Empties,
    /// It gives way: only the disk has it, or has it there.
    GivesWay,
    /// It stays, as somebody wants it to.
    Stays,
    /// It seems to be in its right place.
    Belongs,
}

/// What is known of an item beside its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The cloud does not have it.
    pub is_disks_own: bool,
    /// It is a folder.
    pub is_folder: bool,
    /// Local changes travel to the cloud.
    pub sends: bool,
}

impl Does {
    /// What an item with this plan does about the place that it has.
    pub fn with(plan: &Action, facts: Facts) -> Self {
        match plan {
            Action::Remove(ItemKind::File) => Self::Goes,
            Action::Move { .. } => Self::Moves,
            Action::Upload { .. } | Action::MakeRemote { .. } | Action::MoveRemote { .. } => Self::GivesWay,
            Action::Read | Action::Reupload if facts.is_disks_own => Self::GivesWay,
            // What patterns keep out stays on disk, and a folder only when nothing of ours is in it any more: which may be the item.
            Action::Untrack if facts.is_folder && facts.sends => Self::GivesWay,
            Action::Untrack | Action::Remove(ItemKind::Folder) => Self::Empties,
            Action::Leave => Self::Stays,
            Action::Forget
            | Action::InSync
            | Action::Acknowledge
            | Action::MakeFolder { .. }
            | Action::Fetch { .. }
            | Action::Read
            | Action::Agree
            | Action::Update
            | Action::Trash(_)
            | Action::ConflictCopy
            | Action::Reupload
            | Action::Redownload => Self::Belongs,
        }
    }
}

/// One item in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// What it is going to do.
    pub does: Does,
    /// A job is under way for it.
    pub is_busy: bool,
    /// It neither failed nor waits for a person or its time.
    pub is_ready: bool,
    /// It may step out of sight now: it is to be worked on, and nothing is asked about it.
    pub may_park: bool,
}

/// How a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At a free place, or at an item that does not move.
    Open,
    /// At the item that it began with.
    Circle,
}

/// What an item does to get its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It goes there.
    Free,
    /// It waits for the first in its way.
    After,
    /// The first in its way steps out of sight, and it waits for that.
    Park,
    /// The first in its way was replaced, not deleted: it goes without anybody being asked.
    Replace,
    /// The first in its way gets another name.
    StepAside,
    /// It cannot, until a person moves what is in its way.
    Blocked,
    /// Two items seem to have one place: one description is old.
    Unclear,
}

/// The way of an item, given the path from it.
pub fn way(path: &[Hop], end: End) -> Way {
    let Some(first) = path.first() else { return Way::Free };
    match first.does {
        // It may be on its way out of this place, and is not replaced then.
        Does::Goes if first.is_busy => Way::After,
        Does::Goes => Way::Replace,
        Does::Moves if goes_by_itself(path, end) => Way::After,
        Does::Moves if first.may_park && !path.iter().any(|hop| hop.is_busy) => Way::Park,
        Does::Moves | Does::Comes | Does::Empties => Way::After,
        Does::GivesWay => Way::StepAside,
        Does::Stays => Way::Blocked,
        Does::Belongs => Way::Unclear,
    }
}

/// Whether a path opens without anybody stepping out of sight.
fn goes_by_itself(path: &[Hop], end: End) -> bool {
    let stays = |hop: &Hop| matches!(hop.does, Does::Stays | Does::Belongs);
    end == End::Open && path.iter().all(|hop| hop.is_ready) && !path.last().is_some_and(stays)
}

/// Whom a folder waits for whose new place lies in itself: one of the directories between, given from the new place up, that is to move
/// as well. The tree that decides has no circle, so there is one, unless what is known of it is older than another part.
pub fn opens_circle<T: Copy>(between: &[(T, bool)]) -> Option<T> {
    between.iter().find(|(_, moves)| *moves).map(|(node, _)| *node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(does: Does) -> Hop {
        Hop { does, is_busy: false, is_ready: true, may_park: true }
    }

    #[test]
    fn every_case_of_a_neighbourhood_has_its_way() {
        use Does::{Belongs, Comes, Empties, GivesWay, Goes, Moves, Stays};
        use End::{Circle, Open};
        let table: [(&str, &[Does], End, Way); 16] = [
            ("mv a b", &[], Open, Way::Free),
            ("mv b c; mv a b", &[Moves], Open, Way::After),
            ("mv c d; mv b c; mv a b", &[Moves, Moves], Open, Way::After),
            ("a and b change names", &[Moves], Circle, Way::Park),
            ("a, b and c change names in a circle", &[Moves, Moves], Circle, Way::Park),
            ("mv a t; mkdir a; mv t a/a, seen from the directory", &[Moves], Circle, Way::Park),
            ("the same, seen from the file", &[Comes], Circle, Way::After),
            ("rm b; mv a b", &[Goes], Open, Way::Replace),
            ("rm c; mv b c; mv a b", &[Moves, Goes], Open, Way::After),
            ("rm -r b; mv a b", &[Empties], Open, Way::After),
            ("a new local b, and mv a b", &[GivesWay], Open, Way::StepAside),
            ("a new local c, mv b c; mv a b", &[Moves, GivesWay], Open, Way::After),
            ("an edit of b that is kept, and mv a b", &[Stays], Open, Way::Blocked),
            ("an edit of c that is kept, mv b c; mv a b", &[Moves, Stays], Open, Way::Park),
            ("mkdir d; mv a d/a", &[Comes], Open, Way::After),
            ("two descriptions of one place", &[Belongs], Open, Way::Unclear),
        ];
        for (story, path, end, expected) in table {
            let path: Vec<Hop> = path.iter().map(|does| hop(*does)).collect();
            assert_eq!(way(&path, end), expected, "{story}");
        }
    }

    #[test]
    fn one_step_opens_a_circle() {
        let circle = [hop(Does::Moves), hop(Does::Moves)];
        for busy in 0..2 {
            let mut under_way = circle;
            under_way[busy].is_busy = true;
            assert_eq!(way(&under_way, End::Circle), Way::After, "hop {busy} is on its way already");
        }
        let asked = [Hop { may_park: false, ..circle[0] }, circle[1]];
        assert_eq!(way(&asked, End::Circle), Way::After, "it is asked about, and may be elsewhere");
        let failed = [circle[0], Hop { is_ready: false, ..circle[1] }];
        assert_eq!(way(&failed, End::Open), Way::Park, "one item's trouble is not another one's");
        let going = [Hop { is_busy: true, ..hop(Does::Goes) }];
        assert_eq!(way(&going, End::Open), Way::After, "it is on its way out, and is not replaced");
    }

    #[test]
    fn a_folder_that_goes_into_itself_waits_for_the_one_between_that_moves() {
        assert_eq!(opens_circle(&[("c", false), ("b", true), ("a", true)]), Some("b"));
        assert_eq!(opens_circle(&[("c", false)]), None);
        assert_eq!(opens_circle::<u8>(&[]), None);
    }
}
