//! How the disk of one folder is listened to: whether a watch stands, what it cannot cover, and whose turn the disk is.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::ctx::{Ctx, millis};
use crate::id::{FolderId, NodeId};
use crate::local_news::Rescan;
use crate::report::{Degraded, UNWATCHED};

/// How often everything is scanned where not every directory can be watched.
const UNWATCHED_EVERY: Duration = Duration::from_mins(10);
/// Directories that are remembered to have been read as another one. There are more only on a disk whose inodes change by themselves, and
/// there what was read is believed.
const READ_AS_ANOTHER_MOST: usize = 10_000;

/// The watch of one folder.
#[derive(Debug)]
pub(in crate::engine) struct Watch {
    /// The disk is watched and scanned.
    is_on: bool,
    /// The disk's turn was last a scan's.
    scanned_last: bool,
    /// When everything is scanned again, as not all of it can be watched.
    again: u64,
    trouble: Option<Degraded>,
    /// Directories whose last scan read another one, which has their name.
    read_as_another: BTreeSet<NodeId>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { is_on: false, scanned_last: false, again: u64::MAX, trouble: None, read_as_another: BTreeSet::new() }
    }
}

impl Watch {
    /// Whether the disk is watched and scanned.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The disk is watched from now on. False if it is already.
    pub fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.is_on, true)
    }

    /// It is not watched any more. False if it was not.
    pub fn end(&mut self) -> bool {
        std::mem::take(&mut self.is_on)
    }

    /// What keeps directories from being watched, if anything does.
    pub fn trouble(&self) -> Option<&Degraded> {
        self.trouble.as_ref()
    }

    /// The watcher wants everything to be scanned, and says why.
    pub fn heard(&mut self, why: Rescan, now: u64) {
        if let Rescan::Unwatched { text } = why {
            self.again = now + millis(UNWATCHED_EVERY);
            self.trouble = Some(Degraded {
                name: UNWATCHED.into(),
                cause: text,
                next_step: "the folder is scanned every ten minutes; `agent doctor` says what to raise".into(),
            });
        } else if why == Rescan::Began {
            self.again = u64::MAX;
            self.trouble = None;
        }
    }

    /// Whether everything is to be scanned now, as not all of it can be watched. It is put off while the folder's account is to be quiet,
    /// which is for `quiet` milliseconds.
    pub fn scans_all(&mut self, quiet: Option<u64>, now: u64) -> bool {
        if self.again > now {
            return false;
        }
        self.again = now + quiet.unwrap_or(millis(UNWATCHED_EVERY));
        quiet.is_none()
    }

    /// When the next scan of a folder can begin, on the clock that never jumps.
    pub fn deadline(&self, ctx: &Ctx, id: FolderId) -> Option<u64> {
        // A database that cannot answer will fail the next step, which says so.
        let due = ctx.store.next_scan_due(id).ok().flatten();
        let due = due.map(|due| ctx.now.mono.saturating_add(due.since(ctx.now.wall).max(0) as u64));
        due.into_iter().chain((self.again < u64::MAX).then_some(self.again)).min()
    }

    /// A scan ended.
    pub fn scanned(&mut self) {
        self.scanned_last = true;
    }

    /// Whether the disk's turn is a scan's now: deeds that wait come after each.
    pub fn takes_turn(&mut self, deeds_wait: bool) -> bool {
        !(std::mem::take(&mut self.scanned_last) && deeds_wait)
    }

    /// A directory was read as itself.
    pub(super) fn read(&mut self, dir: NodeId) {
        self.read_as_another.remove(&dir);
    }

    /// A directory was read as another one. Whether that is so for the first time.
    pub(super) fn read_as_another(&mut self, dir: NodeId) -> bool {
        self.read_as_another.len() < READ_AS_ANOTHER_MOST && self.read_as_another.insert(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_gives_its_turn_to_deeds_that_wait_and_has_the_next_one() {
        let mut watch = Watch::default();
        assert!(watch.takes_turn(true), "nothing was scanned yet");
        watch.scanned();
        assert!(!watch.takes_turn(true), "deeds that wait are next");
        assert!(watch.takes_turn(true), "and then a scan");
        watch.scanned();
        assert!(watch.takes_turn(false), "nobody waits");
    }

    #[test]
    fn what_cannot_be_watched_is_scanned_again_and_not_while_its_account_is_quiet() {
        let mut watch = Watch::default();
        assert!(!watch.scans_all(None, u64::MAX - 1), "everything is watched");
        watch.heard(Rescan::Unwatched { text: "too many".into() }, 1_000);
        assert!(watch.trouble().is_some());
        let due = 1_000 + millis(UNWATCHED_EVERY);
        assert!(!watch.scans_all(None, due - 1));
        assert!(!watch.scans_all(Some(5_000), due), "its account is quiet");
        assert!(!watch.scans_all(None, due + 4_999) && watch.scans_all(None, due + 5_000));
        assert!(!watch.scans_all(None, due + 5_001), "once");
        watch.heard(Rescan::Began, due);
        assert!(watch.trouble().is_none() && !watch.scans_all(None, u64::MAX - 1));
    }

    #[test]
    fn a_directory_is_read_as_another_one_for_the_first_time_until_it_was_read_itself() {
        let mut watch = Watch::default();
        assert!(watch.read_as_another(NodeId(1)) && !watch.read_as_another(NodeId(1)));
        watch.read(NodeId(1));
        assert!(watch.read_as_another(NodeId(1)));
        for node in 2..=READ_AS_ANOTHER_MOST as i64 {
            assert!(watch.read_as_another(NodeId(node)));
        }
        assert!(!watch.read_as_another(NodeId(-1)), "no more are remembered, and what was read is believed");
    }
}
