//! Where an item is after its deed: what becomes of its row, and the word for it.

use super::deeds::NOT_OURS;
use crate::deed::Deed;
use crate::id::{NodeId, Sha256};
use crate::path::Name;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, LocalRow, SeatRow, SyncedRow};
use crate::tree::Stamp;

/// What a deed made of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Seated {
    /// It is where it was; another place is free.
    Unchanged,
    /// A file of its own beside the cloud's version.
    Parted { parent: NodeId, name: Name, stamp: Stamp },
    /// Under another name than the cloud's.
    Aside { parent: NodeId, name: Name, stamp: Stamp },
    /// Off the disk.
    Nowhere,
    /// Out of sight.
    Parked(SyncedRow),
    /// In the tree.
    At {
        /// What both sides agree on.
        synced: SyncedRow,
        /// It was somewhere else on disk before, and took an edit along, if it has one.
        moved: bool,
        /// What is said of it.
        what: &'static str,
    },
}

/// What a deed made of the disk, by what its intent said and the deed reported.
pub(in crate::engine) fn seated(
    intent: &IntentRow,
    item: &ItemRow,
    reported: Option<Stamp>,
    sha256: Option<Sha256>,
) -> Seated {
    let kept = item.synced.as_ref();
    let stamp = reported.or(kept.map(|synced| synced.stamp)).unwrap_or(NOT_OURS);
    match &intent.seat {
        NewSeat::Unchanged | NewSeat::AllNowhere { .. } => Seated::Unchanged,
        NewSeat::Parted { parent, name } => Seated::Parted { parent: *parent, name: name.clone(), stamp },
        NewSeat::Aside { parent, name } => Seated::Aside { parent: *parent, name: name.clone(), stamp },
        NewSeat::Nowhere => Seated::Nowhere,
        NewSeat::Parked => {
            let content = kept.and_then(|synced| synced.content.clone());
            let own = kept.map_or(stamp, |synced| synced.stamp);
            let stamp = if item.local.is_some() { own } else { stamp };
            Seated::Parked(SyncedRow { seat: SeatRow::Parked(intent.order.job), content, stamp })
        }
        NewSeat::At { parent, name, content } => {
            let moved = matches!(intent.order.deed, Deed::Relocate { .. });
            let mut content = if moved { kept.and_then(|synced| synced.content.clone()) } else { content.clone() };
            if let (Some(content), Some(sha256)) = (&mut content, sha256) {
                content.sha256 = Some(sha256);
                content.size = stamp.size;
            }
            let carries_edit = moved && item.local.as_ref().and_then(LocalRow::edit).is_some();
            let stamp = kept.filter(|_| carries_edit).map_or(stamp, |synced| synced.stamp);
            let seat = SeatRow::At { parent: *parent, name: name.clone() };
            Seated::At {
                synced: SyncedRow { seat, content, stamp },
                moved,
                what: word(&intent.order.deed, kept, *parent),
            }
        }
    }
}

/// What is said of an item that a deed put into a directory.
fn word(deed: &Deed, kept: Option<&SyncedRow>, parent: NodeId) -> &'static str {
    match deed {
        Deed::MakeFolder { .. } => "folder created",
        Deed::RestoreFolder { .. } => "folder restored",
        Deed::Adopt { .. } => "already there",
        Deed::Publish { .. } if kept.is_some() => "replaced",
        Deed::Publish { .. } => "downloaded",
        _ if matches!(kept.map(|kept| &kept.seat), Some(SeatRow::At { parent: from, .. }) if *from == parent) => {
            "renamed"
        }
        _ => "moved",
    }
}
