//! The three sides of an item as its row has them, for the planner.

use crate::id::NodeId;
use crate::local_news::EntryKind;
use crate::path::{LocalName, Name, local_name};
use crate::plan::{self, Action, LocalContent, LocalSide, Policy, RemoteSide, SyncedSide};
use crate::store::items::{ItemRow, LocalEdit, LocalRow, Presence, SeatRow};
use crate::tree::Seat;

/// What the planner says of an item now.
pub(crate) fn plan_under(policy: Policy, item: &ItemRow) -> Action {
    if let Some(LocalRow::Covered { by, .. }) = item.local {
        return plan::covered(policy, item.id.kind(), &remote_side(item), by == EntryKind::Mount);
    }
    plan::decide(policy, item.id.kind(), &remote_side(item), &local_side(item), synced_side(item).as_ref())
}

/// What the disk has of an item.
fn local_side(item: &ItemRow) -> LocalSide {
    match &item.local {
        None => LocalSide::AsSynced,
        // What covers an item is planned for by itself.
        Some(LocalRow::Absent { .. } | LocalRow::Covered { .. }) => LocalSide::Absent,
        Some(LocalRow::Present { edit, .. }) => match item.disk_seat() {
            Some(SeatRow::At { parent, name }) => LocalSide::Present {
                parent,
                name,
                content: match edit {
                    Some(_) if item.id.is_folder() => LocalContent::Synced,
                    Some(LocalEdit { digests: Some((_, hash)), .. }) => LocalContent::Read(hash.clone()),
                    Some(LocalEdit { digests: None, .. }) => LocalContent::Unread,
                    None => LocalContent::Synced,
                },
            },
            // No user changes what is out of sight; an edit that it carries is seen when it is back.
            Some(SeatRow::Root | SeatRow::Parked(_)) | None => LocalSide::AsSynced,
        },
    }
}

/// What the cloud has of an item, in local terms.
pub(crate) fn remote_side(item: &ItemRow) -> RemoteSide {
    match (item.remote.presence, item.remote.parent) {
        (Presence::Absent, _) => RemoteSide::Absent,
        (Presence::Present, Some(parent)) => RemoteSide::Present {
            parent,
            name: name_on_disk(item).name().clone(),
            content: item.remote.content.as_ref().map(|content| (content.version.clone(), content.hash.clone())),
        },
        // The watched root has no place to be moved to; nothing is ever planned for it.
        (Presence::FilteredOut, _) | (Presence::Present, None) => RemoteSide::FilteredOut,
    }
}

/// The seat of what the disk has, where the row of an item can say it.
pub(in crate::engine) fn seat_of(item: &ItemRow) -> Option<(NodeId, Name)> {
    match item.disk_seat() {
        Some(SeatRow::At { parent, name }) => Some((parent, name)),
        Some(SeatRow::Root | SeatRow::Parked(_)) | None => None,
    }
}

/// What an item is called on disk.
pub(crate) fn name_on_disk(item: &ItemRow) -> LocalName {
    match Name::new(item.remote.name.as_bytes()) {
        Ok(name) => LocalName::Same(name),
        Err(_) => local_name(&item.remote.name, &id_hash(&item.id)),
    }
}

/// Ten hex digits and more of the SHA-256 of an item's id.
pub(super) fn id_hash(id: &crate::id::ItemId) -> String {
    use sha2::Digest;
    let digest: [u8; 32] = sha2::Sha256::digest(id.to_string().as_bytes()).into();
    crate::id::Sha256(digest).to_string()
}

pub(crate) fn synced_side(item: &ItemRow) -> Option<SyncedSide> {
    let synced = item.synced.as_ref()?;
    let seat = match &synced.seat {
        SeatRow::At { parent, name } => Seat::At { parent: *parent, name: name.clone() },
        SeatRow::Root | SeatRow::Parked(_) => Seat::Parked,
    };
    let mut content = synced.content.clone();
    let read = item.local.as_ref().and_then(LocalRow::edit).and_then(|edit| edit.digests.as_ref());
    if let (Some(content), Some((sha256, hash))) = (&mut content, read)
        && content.hash.is_none()
        && content.sha256 == Some(*sha256)
    {
        // The cloud did not say its digest of what was fetched; what was read is the same.
        content.hash = Some(hash.clone());
    }
    Some(SyncedSide { seat, content })
}
