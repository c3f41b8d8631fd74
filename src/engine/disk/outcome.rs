//! What the result of a deed means for the item that it was about: questions about values, by which nothing changes.
//!
//! A deed acts only on what it expected to find. What it found instead is either known to happen, and says what is done next ([`after`]), or,
//! where the disk's own changes count, it is left alone and a scan says what it is ([`surprise`]).

use std::collections::BTreeSet;

use super::deeds::NOT_OURS;
use crate::deed::{Deed, DeedResult, DiskError, DiskErrorKind, Displaced};
use crate::id::{JobId, NodeId, Sha256};
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, LocalRow, SeatRow};
use crate::tree::Stamp;

/// How often a directory that is not empty is scanned before it is left to whoever put things into it.
const NOT_EMPTY_TRIED: u32 = 3;

/// What is known of an item beside its row.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Known {
    /// It was to become visible again under another name, as it holds local files.
    pub is_put_back: bool,
    /// An edit of it was met before, and is kept.
    pub keeps_edit: bool,
    /// It lies out of sight, by itself or with a directory.
    pub is_out_of_sight: bool,
    /// How often its work failed.
    pub attempts: u32,
}

/// What comes after a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum After {
    /// The synced tree becomes what the deed made of the disk.
    Done {
        /// The stamp of what is there now.
        stamp: Option<Stamp>,
        /// The digest, of a content that was there already.
        sha256: Option<Sha256>,
        /// What went to the version store.
        displaced: Option<Displaced>,
    },
    /// A directory is back from the version store, or cannot come from there.
    FolderBack(JobId),
    /// What stands in its place is not what its scan found: the directory is scanned.
    Uncovered,
    /// The item is decided about anew: the deed has nothing left to do.
    Again,
    /// What may have been there already is not: it is fetched.
    Fetch,
    /// The disk does not have what we had put there.
    Missing,
    /// An edit is in the way of a deed, and may be spared once.
    Edited,
    /// An edit is in the way that is kept.
    Drifted,
    /// Something that nobody told us of is cleared away first.
    ClearWay,
    /// Something is in the way that only a person can move.
    Blocked(&'static str),
    /// It holds something else than it was to take along: what is in it goes one by one.
    InParts,
    /// It holds local files, and is put back into sight.
    PutBack,
    /// Its row is dropped; this many entries in it stay on disk.
    Left(u64),
    /// What was fetched for it is lost.
    StagedLost,
    /// The directory that it was to go into is not there.
    ParentLost,
    /// The disk is full.
    NoRoom(DiskError),
    /// The disk refused.
    Failed(DiskError),
}

/// What comes after a deed whose result may be expected.
pub(in crate::engine) fn after(deed: &Deed, item: &ItemRow, result: DeedResult, known: Known) -> After {
    let is_over = matches!(result, DeedResult::Failed(_));
    let is_covered = matches!(item.local, Some(LocalRow::Covered { .. }));
    if is_covered && !is_over && !matches!(result, DeedResult::Done { .. }) {
        return After::Uncovered;
    }
    if let Deed::RestoreFolder { from, .. } = deed
        && !is_over
    {
        return After::FolderBack(*from);
    }
    match result {
        DeedResult::Done { stamp, displaced } => After::Done { stamp, sha256: None, displaced },
        DeedResult::Adopted { stamp, sha256 } => {
            After::Done { stamp: Some(stamp), sha256: Some(sha256), displaced: None }
        }
        // Of deeds about many files, which have no item of their own.
        DeedResult::Kept { .. } => After::Again,
        DeedResult::Missing => match deed {
            Deed::Adopt { .. } => After::Fetch,
            // What stood in its way went by itself.
            Deed::RemoveFile { expect: NOT_OURS, .. } => After::Again,
            _ => After::Missing,
        },
        DeedResult::Different if known.keeps_edit => After::Drifted,
        DeedResult::Different => After::Fetch,
        DeedResult::Occupied { .. } if known.is_put_back => {
            After::Blocked("it holds local files, and where it was to be put back something else is in the way")
        }
        DeedResult::Occupied { by_folder: false } => After::ClearWay,
        DeedResult::Occupied { by_folder: true } => {
            After::Blocked("a local folder is in the way; move it elsewhere, or rename the item in the cloud")
        }
        DeedResult::NotEmpty { .. } if hides(deed) => After::InParts,
        DeedResult::Edited { .. } => After::Edited,
        DeedResult::NotEmpty { .. } if is_parked(item.synced.as_ref().map(|synced| &synced.seat)) => After::PutBack,
        DeedResult::NotEmpty { entries } => After::Left(entries),
        DeedResult::StagedLost => After::StagedLost,
        DeedResult::Failed(error) => match error.kind {
            DiskErrorKind::ParentMissing => After::ParentLost,
            DiskErrorKind::Full => After::NoRoom(error),
            _ => After::Failed(error),
        },
    }
}

/// Something that no deed expects where the disk's own changes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Surprise {
    /// It is not where it was, out of sight: somebody moved it on, and a scan of its target meets it by its inode.
    MovedOn,
    /// It was edited out of sight, where no scan sees it: the deed saw it.
    EditedOutOfSight(Stamp),
    /// Directories are scanned.
    Scan {
        /// That of the item.
        own: bool,
        /// That which it was to go into.
        target: bool,
        /// Something stands where it was to go.
        is_occupied: bool,
    },
    /// The directory that it was to go into is not there: the one above that is scanned.
    ScanAboveTarget,
    /// It holds something, out of sight, where nobody would find it.
    Crowded,
    /// It holds something that may be new: it is scanned.
    Filled,
}

/// What is unexpected about a result; nothing if the deed may have it. What no scan makes a row of stays where it is.
pub(in crate::engine) fn surprise(
    intent: &IntentRow,
    item: &ItemRow,
    result: &DeedResult,
    known: Known,
) -> Option<Surprise> {
    let is_adoption = matches!(intent.order.deed, Deed::Adopt { .. });
    let is_parked = is_parked(item.disk_seat().as_ref());
    Some(match result {
        DeedResult::Missing | DeedResult::Different if is_adoption => return None,
        DeedResult::Missing if intent.seat == NewSeat::Nowhere => return None,
        // It was on its way back when the process died.
        DeedResult::Missing if is_parked => Surprise::MovedOn,
        DeedResult::Edited { stamp } if known.is_out_of_sight => Surprise::EditedOutOfSight(*stamp),
        DeedResult::Missing | DeedResult::Edited { .. } => {
            Surprise::Scan { own: true, target: true, is_occupied: false }
        }
        DeedResult::Occupied { .. } => Surprise::Scan { own: false, target: true, is_occupied: true },
        DeedResult::NotEmpty { .. } if is_parked => Surprise::Crowded,
        DeedResult::NotEmpty { .. } if known.attempts >= NOT_EMPTY_TRIED => return None,
        DeedResult::NotEmpty { .. } => Surprise::Filled,
        DeedResult::Failed(error) if error.kind == DiskErrorKind::ParentMissing => Surprise::ScanAboveTarget,
        _ => return None,
    })
}

/// Whether a deed takes a directory out of sight with all that is in it.
pub(in crate::engine) fn hides(deed: &Deed) -> bool {
    matches!(deed, Deed::Relocate { holds: Some(_), .. })
}

fn is_parked(seat: Option<&SeatRow>) -> bool {
    matches!(seat, Some(SeatRow::Parked(_)))
}

/// The directory that an intent puts its item into.
pub(in crate::engine) fn target_of(seat: &NewSeat) -> Option<NodeId> {
    match seat {
        NewSeat::At { parent, .. } | NewSeat::Parted { parent, .. } | NewSeat::Aside { parent, .. } => Some(*parent),
        NewSeat::Parked | NewSeat::Nowhere | NewSeat::Unchanged | NewSeat::AllNowhere { .. } => None,
    }
}

/// Whether a deed failed in a way that leaves open whether it was done: it may be the last flush that the disk refused.
pub(in crate::engine) fn is_unsure(result: &DeedResult) -> bool {
    let kinds = [DiskErrorKind::Item, DiskErrorKind::UnsafePath, DiskErrorKind::Full];
    matches!(result, DeedResult::Failed(error) if kinds.contains(&error.kind))
}

/// Deeds of a batch that follow a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Followed {
    /// Those to be written down anew, by their places in the batch.
    pub anew: Vec<usize>,
    /// Those that may have been done under the directory's other name: only another try tells.
    pub unseen: BTreeSet<JobId>,
}

/// What a batch did that moves a directory: a deed below it is to be looked at where the directory is now.
///
/// - It moved. What failed is carried out again in its new place. What did not find its place was done before a crash, if the directory was
///   moved before that as well: only there this can be seen.
/// - It is not known whether it moved, as the disk refused that. Then what did not find its place proves nothing: it is refused for the
///   same reason, and stays open for as long as the move does.
pub(in crate::engine) fn follow_directory(intents: &mut [IntentRow], results: &mut [DeedResult]) -> Followed {
    let mut followed = Followed::default();
    let moves = intents.iter().zip(&*results).find_map(|(intent, result)| match &intent.order.deed {
        Deed::Relocate { from, to, is_folder: true, .. } => Some((from.clone(), to.clone(), result.clone())),
        _ => None,
    });
    let Some((from, to, moved)) = moves else { return followed };
    let refusal = match moved {
        DeedResult::Done { .. } => None,
        // Where its target has no directory it is known to be where it was.
        DeedResult::Failed(error) if error.kind != DiskErrorKind::ParentMissing => Some(error),
        _ => return followed,
    };
    for (place, (intent, result)) in intents.iter_mut().zip(results).enumerate() {
        let is_unseen = match result {
            DeedResult::Failed(error) => error.kind == DiskErrorKind::ParentMissing,
            DeedResult::Missing => true,
            _ => continue,
        };
        let mut deed = intent.order.deed.clone();
        deed.follow(&from, &to);
        let is_below = is_unseen && deed != intent.order.deed;
        if let Some(error) = &refusal {
            if is_below {
                *result = DeedResult::Failed(error.clone());
            }
            continue;
        }
        intent.order.deed = deed;
        if is_below {
            followed.unseen.insert(intent.order.job);
        }
        followed.anew.push(place);
    }
    followed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::{Base, OnEdit, Place};
    use crate::id::{FolderId, ItemId};
    use crate::path::{Name, RelPath};
    use crate::store::items::{Presence, RemoteRow, SyncedRow};
    use crate::tree::Wall;

    const STAMP: Stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5 };

    fn name(name: &str) -> Name {
        Name::new(name.as_bytes()).unwrap()
    }

    fn at(path: &str) -> Place {
        path.split('/').fold(Place::tree(RelPath::root()), |place, part| place.join(&name(part)))
    }

    fn item(seat: Option<SeatRow>, local: Option<LocalRow>) -> ItemRow {
        ItemRow {
            node: NodeId(7),
            folder: FolderId(1),
            id: "file:7".parse::<ItemId>().unwrap(),
            remote: RemoteRow {
                presence: Presence::Present,
                parent: Some(NodeId(1)),
                name: "a".into(),
                content: None,
                etag: None,
                sequence: None,
                seen: 0,
            },
            synced: seat.map(|seat| SyncedRow { seat, content: None, stamp: STAMP }),
            local,
        }
    }

    fn in_tree() -> Option<SeatRow> {
        Some(SeatRow::At { parent: NodeId(1), name: name("a") })
    }

    fn relocate(from: &str, to: &str, is_folder: bool) -> Deed {
        Deed::Relocate { from: at(from), to: at(to), expect: STAMP, is_folder, holds: None }
    }

    fn remove(expect: Stamp) -> Deed {
        Deed::RemoveFile { at: at("a"), expect, on_edit: OnEdit::Displace }
    }

    fn refused(kind: DiskErrorKind) -> DiskError {
        DiskError { kind, text: "no".into() }
    }

    fn intent(job: i64, deed: Deed, seat: NewSeat) -> IntentRow {
        let order = crate::deed::DeedOrder { job: JobId(job), deed };
        IntentRow { node: NodeId(7), folder: FolderId(1), order, seat }
    }

    fn into_b() -> NewSeat {
        NewSeat::At { parent: NodeId(2), name: name("a"), content: None }
    }

    #[test]
    fn the_result_of_a_deed_decides_what_is_done_next() {
        let here = item(in_tree(), None);
        let parked = item(Some(SeatRow::Parked(JobId(9))), None);
        let moves = relocate("a", "b/a", false);
        let put_back = Known { is_put_back: true, ..Known::default() };
        let keeps = Known { keeps_edit: true, ..Known::default() };
        let none = Known::default();
        let full = refused(DiskErrorKind::Full);
        let cases = [
            (&moves, &here, DeedResult::Missing, none, After::Missing),
            // Somebody else's file stood there, and went by itself.
            (&remove(NOT_OURS), &here, DeedResult::Missing, none, After::Again),
            (&remove(STAMP), &here, DeedResult::Missing, none, After::Missing),
            (&moves, &here, DeedResult::Different, none, After::Fetch),
            (&moves, &here, DeedResult::Different, keeps, After::Drifted),
            (&moves, &here, DeedResult::Occupied { by_folder: false }, none, After::ClearWay),
            (&moves, &here, DeedResult::Edited { stamp: STAMP }, none, After::Edited),
            (&moves, &here, DeedResult::NotEmpty { entries: 2 }, none, After::Left(2)),
            // Out of sight nobody would find what is in it.
            (&moves, &parked, DeedResult::NotEmpty { entries: 2 }, none, After::PutBack),
            (&moves, &here, DeedResult::StagedLost, none, After::StagedLost),
            (&moves, &here, DeedResult::Failed(full.clone()), none, After::NoRoom(full)),
            (&moves, &here, DeedResult::Failed(refused(DiskErrorKind::ParentMissing)), none, After::ParentLost),
        ];
        for (deed, item, result, known, expected) in cases {
            let shown = format!("{deed:?} {result:?} {known:?}");
            assert_eq!(after(deed, item, result, known), expected, "{shown}");
        }
        let blocked = after(&moves, &here, DeedResult::Occupied { by_folder: false }, put_back);
        assert!(matches!(blocked, After::Blocked(_)), "it was to be cleared out of the way before: {blocked:?}");
    }

    #[test]
    fn what_stands_in_an_items_place_and_is_not_what_its_scan_found_is_scanned_again() {
        let local = LocalRow::Covered { by: crate::local_news::EntryKind::Link, stamp: STAMP, at: Wall(0) };
        let covered = item(in_tree(), Some(local));
        let deed = remove(NOT_OURS);
        assert_eq!(after(&deed, &covered, DeedResult::Missing, Known::default()), After::Uncovered);
        let refused = refused(DiskErrorKind::Item);
        let failed = DeedResult::Failed(refused.clone());
        assert_eq!(after(&deed, &covered, failed, Known::default()), After::Failed(refused));
    }

    #[test]
    fn what_is_unexpected_is_scanned() {
        let here = item(in_tree(), None);
        let parked = item(Some(SeatRow::Parked(JobId(9))), None);
        let moves = intent(1, relocate("a", "b/a", false), into_b());
        let removes = intent(1, remove(STAMP), NewSeat::Nowhere);
        let both = Surprise::Scan { own: true, target: true, is_occupied: false };
        let target = Surprise::Scan { own: false, target: true, is_occupied: true };
        let edited = DeedResult::Edited { stamp: STAMP };
        let out_of_sight = Known { is_out_of_sight: true, ..Known::default() };
        let tried = Known { attempts: NOT_EMPTY_TRIED, ..Known::default() };
        let none = Known::default();
        let cases = [
            (&moves, &here, DeedResult::Missing, none, Some(both)),
            (&moves, &parked, DeedResult::Missing, none, Some(Surprise::MovedOn)),
            (&removes, &here, DeedResult::Missing, none, None),
            (&moves, &here, edited.clone(), none, Some(both)),
            (&moves, &here, edited, out_of_sight, Some(Surprise::EditedOutOfSight(STAMP))),
            (&moves, &here, DeedResult::Occupied { by_folder: true }, none, Some(target)),
            (&removes, &here, DeedResult::NotEmpty { entries: 1 }, none, Some(Surprise::Filled)),
            (&removes, &here, DeedResult::NotEmpty { entries: 1 }, tried, None),
            (&removes, &parked, DeedResult::NotEmpty { entries: 1 }, tried, Some(Surprise::Crowded)),
            (&moves, &here, DeedResult::Done { stamp: None, displaced: None }, none, None),
        ];
        for (intent, item, result, known, expected) in cases {
            let found = surprise(intent, item, &result, known);
            assert_eq!(found, expected, "{intent:?} {result:?} {known:?}");
        }
    }

    #[test]
    fn what_failed_follows_the_directory_that_moved_after_it() {
        let mut intents = [
            intent(1, relocate("d/a", "d/b", false), into_b()),
            intent(2, relocate("e/a", "e/b", false), into_b()),
            intent(3, relocate("d/c", "d/f", false), into_b()),
            intent(4, relocate("d", "g", true), into_b()),
        ];
        let done = DeedResult::Done { stamp: None, displaced: None };
        let mut results = [DeedResult::Missing, DeedResult::Missing, done.clone(), done];
        let followed = follow_directory(&mut intents, &mut results);
        assert_eq!(followed, Followed { anew: vec![0, 1], unseen: BTreeSet::from([JobId(1)]) });
        assert_eq!(intents[0].order.deed, relocate("g/a", "g/b", false));
        assert_eq!(intents[1].order.deed, relocate("e/a", "e/b", false), "it lies elsewhere");
        assert_eq!(intents[2].order.deed, relocate("d/c", "d/f", false), "it was done");
        assert!(matches!(&intents[0].order.deed, Deed::Relocate { from: Place { base: Base::Tree, .. }, .. }));
    }

    #[test]
    fn what_did_not_find_its_place_is_as_open_as_the_move_of_its_directory() {
        let batch = [
            intent(1, relocate("d/a", "d/b", false), into_b()),
            intent(2, relocate("e/a", "e/b", false), into_b()),
            intent(3, relocate("d", "g", true), into_b()),
        ];
        let parent_missing = DeedResult::Failed(refused(DiskErrorKind::ParentMissing));
        let refusal = DeedResult::Failed(refused(DiskErrorKind::NotWritable));
        let mut intents = batch.clone();
        let mut results = [parent_missing.clone(), DeedResult::Missing, refusal.clone()];
        assert_eq!(follow_directory(&mut intents, &mut results), Followed::default());
        assert_eq!(results, [refusal.clone(), DeedResult::Missing, refusal], "only the first lies below it");
        assert_eq!(intents, batch);
        // It was not moved: that what it was to go into is missing is seen where it was.
        let mut results = [parent_missing.clone(), DeedResult::Missing, parent_missing];
        let before = results.clone();
        follow_directory(&mut intents, &mut results);
        assert_eq!(results, before);
    }
}
