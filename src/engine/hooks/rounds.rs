//! What is in the folders already, and is examined in the background: what a hook never saw, what it saw too long ago or by other
//! signatures, and what gets a name that it covers.
//!
//! A part of a round is remembered in the database when all of it was examined: after a crash it is examined again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::{FolderId, NodeId};
use crate::tree::Wall;

/// Files of the background that one hook is asked about at once.
const ASKED_MOST: usize = 16;
/// Items that one step looks through for one hook and folder.
pub(in crate::engine) const LOOKED_THROUGH: u32 = 500;
/// How often one file is asked about in one round while the hook fails for it.
const TRIED_MOST: u32 = 3;
/// Files that are remembered because a hook did not allow them.
const RESTING_MOST: usize = 10_000;
/// Rows that one look takes of what is due for one hook in one folder.
pub(in crate::engine) const DUE_PER_LOOK: usize = 64;
/// How long until what was passed over is come back to.
const PASSED_OVER_AGAIN_MS: u64 = 5_000;
/// How long nothing is looked for where nothing was found, unless something happens.
const LOOKED_EVERY: Duration = Duration::from_mins(1);

/// A part of a round that is under way.
#[derive(Debug)]
struct Part {
    last: Option<NodeId>,
    left: BTreeMap<NodeId, u32>,
}

/// Up to which item a round has come; nothing: to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Reached(pub Option<NodeId>);

/// Why a file is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Due {
    /// It gets another name, or somebody wants it.
    Wanted,
    /// It was allowed too long ago.
    Old,
    /// It was allowed by other signatures.
    Otherwise,
}

/// A place in what is due for a hook in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Place {
    pub at: Wall,
    pub signatures: String,
    pub node: NodeId,
}

impl Place {
    /// The place before everything.
    pub const START: Self = Self { at: Wall(0), signatures: String::new(), node: NodeId(0) };
}

/// The rounds of all hooks.
#[derive(Debug, Default)]
pub(in crate::engine) struct Rounds {
    /// Where the look through what is due goes on: what cannot be examined now is passed over, and keeps nothing behind it waiting.
    places: BTreeMap<(String, FolderId, Due), Place>,
    parts: BTreeMap<(String, FolderId), Part>,
    /// Files that hooks are being asked about.
    asked: BTreeSet<(String, NodeId)>,
    /// Files that a hook did not allow, and until when it is not asked about them again.
    resting: BTreeMap<(String, NodeId), u64>,
    /// Hooks whose scanner has other signatures than some of what it allowed.
    stale: BTreeSet<String>,
    look_at: u64,
}

impl Rounds {
    /// The configuration is new, or all work is given up: everything is looked for again.
    pub fn begin(&mut self) {
        *self = Self { stale: std::mem::take(&mut self.stale), ..Self::default() };
    }

    /// Whether it is time to look for something to examine.
    pub fn is_due(&self, now: u64) -> bool {
        now >= self.look_at
    }

    /// It was looked, and found nothing to begin now.
    pub fn looked(&mut self, now: u64) {
        self.look_at = now + LOOKED_EVERY.as_millis() as u64;
    }

    /// It is looked at the latest at a moment.
    pub fn look_by(&mut self, at: u64) {
        self.look_at = self.look_at.min(at);
    }

    /// Something happened: there may be something to examine.
    pub fn look(&mut self) {
        self.look_at = 0;
    }

    /// Something else is due: it may lie before the places that were reached.
    pub fn look_from_the_start(&mut self) {
        self.places.clear();
        self.look();
    }

    /// Where the look through what is due for a hook in a folder goes on.
    pub fn place(&self, hook: &str, folder: FolderId, due: Due) -> Place {
        self.places.get(&(hook.to_owned(), folder, due)).cloned().unwrap_or(Place::START)
    }

    /// That look came past a file.
    pub fn passed(&mut self, hook: &str, folder: FolderId, due: Due, place: Place) {
        self.places.insert((hook.to_owned(), folder, due), place);
    }

    /// That look came to the end of what it had. `is_all`: there is no more, and it begins anew.
    pub fn came_through(&mut self, hook: &str, folder: FolderId, due: Due, (is_all, from): (bool, &Place), now: u64) {
        if !is_all {
            self.look();
            return;
        }
        self.places.remove(&(hook.to_owned(), folder, due));
        if *from != Place::START {
            self.look_by(now + PASSED_OVER_AGAIN_MS);
        }
    }

    /// When it is looked next.
    pub fn look_at(&self) -> u64 {
        self.look_at
    }

    /// The scanner of a hook has other signatures.
    pub fn signatures_changed(&mut self, hook: &str) {
        self.stale.insert(hook.to_owned());
        self.look();
    }

    /// Whether something that a hook allowed may have been allowed by other signatures.
    pub fn is_stale(&self, hook: &str) -> bool {
        self.stale.contains(hook)
    }

    /// Everything that a hook allowed was allowed by its present signatures.
    pub fn is_fresh(&mut self, hook: &str) {
        self.stale.remove(hook);
    }

    /// Whether a hook may be asked about one more file of the background.
    pub fn has_room(&self, hook: &str) -> bool {
        self.asked.range((hook.to_owned(), NodeId(i64::MIN))..).take_while(|(name, _)| name == hook).count()
            < ASKED_MOST
    }

    /// A hook is asked about a file. False if it is already.
    pub fn ask(&mut self, hook: &str, node: NodeId) -> bool {
        self.asked.insert((hook.to_owned(), node))
    }

    /// Whether a hook is being asked about a file, or was a short while ago and did not allow it.
    pub fn is_asked(&self, hook: &str, node: NodeId) -> bool {
        let key = (hook.to_owned(), node);
        self.asked.contains(&key) || self.resting.contains_key(&key)
    }

    /// A hook did not allow a file: it is not asked about it again before a moment.
    pub fn rest(&mut self, hook: &str, node: NodeId, until: u64) {
        if self.resting.len() < RESTING_MOST {
            self.resting.insert((hook.to_owned(), node), until);
        }
    }

    /// Forgets what has rested long enough; when the next has.
    pub fn wake(&mut self, now: u64) -> Option<u64> {
        self.resting.retain(|_, until| *until > now);
        self.resting.values().min().copied()
    }

    /// The files that are left of the part of a round that is under way; nothing if none is.
    pub fn part(&self, hook: &str, folder: FolderId) -> Option<Vec<NodeId>> {
        self.parts.get(&(hook.to_owned(), folder)).map(|part| part.left.keys().copied().collect())
    }

    /// A part of a round begins: these files, and up to which item that goes.
    pub fn begin_part(&mut self, hook: &str, folder: FolderId, files: Vec<NodeId>, last: Option<NodeId>) {
        let left = files.into_iter().map(|node| (node, 0)).collect();
        self.parts.insert((hook.to_owned(), folder), Part { last, left });
    }

    /// A file was examined, or need not be; or the hook failed, and is to try it again. If that ends the part of a round, up to where it
    /// went.
    pub fn examined(&mut self, hook: &str, folder: FolderId, node: NodeId, failed: bool) -> Option<Reached> {
        self.asked.remove(&(hook.to_owned(), node));
        let key = (hook.to_owned(), folder);
        let part = self.parts.get_mut(&key)?;
        if let Some(tries) = part.left.get_mut(&node) {
            *tries += 1;
            if !failed || *tries >= TRIED_MOST {
                part.left.remove(&node);
            }
        }
        if !part.left.is_empty() {
            return None;
        }
        self.parts.remove(&key).map(|part| Reached(part.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: FolderId = FolderId(1);

    #[test]
    fn a_part_ends_with_its_last_file() {
        let mut rounds = Rounds::default();
        rounds.begin_part("clamd", FOLDER, vec![NodeId(3), NodeId(5)], Some(NodeId(9)));
        assert!(rounds.ask("clamd", NodeId(3)) && !rounds.ask("clamd", NodeId(3)) && rounds.ask("clamd", NodeId(5)));
        assert_eq!(rounds.examined("clamd", FOLDER, NodeId(3), false), None);
        assert_eq!(rounds.part("clamd", FOLDER), Some(vec![NodeId(5)]));
        for _ in 1..TRIED_MOST {
            assert_eq!(rounds.examined("clamd", FOLDER, NodeId(5), true), None, "it is tried again");
        }
        assert_eq!(rounds.examined("clamd", FOLDER, NodeId(5), true), Some(Reached(Some(NodeId(9)))));
        assert_eq!(rounds.part("clamd", FOLDER), None);
    }

    #[test]
    fn what_was_not_allowed_rests() {
        let mut rounds = Rounds::default();
        rounds.rest("clamd", NodeId(1), 500);
        assert!(rounds.is_asked("clamd", NodeId(1)) && !rounds.is_asked("clamd", NodeId(2)));
        assert_eq!(rounds.wake(499), Some(500));
        assert_eq!(rounds.wake(500), None);
        assert!(!rounds.is_asked("clamd", NodeId(1)));
    }

    #[test]
    fn each_hook_has_its_own_room() {
        let mut rounds = Rounds::default();
        for node in 0..ASKED_MOST as i64 {
            assert!(rounds.has_room("b"));
            rounds.ask("b", NodeId(node));
        }
        assert!(!rounds.has_room("b") && rounds.has_room("a") && rounds.has_room("c"));
        rounds.examined("b", FOLDER, NodeId(0), false);
        assert!(rounds.has_room("b"));
    }
}
