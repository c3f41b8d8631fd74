//! How cloud and disk differ in one item, given what they last agreed on: one vocabulary for all modes.
//!
//! The place is compared before the content: a rename costs nothing, and once it is done the content is compared again. What cannot be
//! compared counts as another content.

use super::{LocalContent, LocalSide, RemoteSide, SyncedSide};
use crate::id::NodeId;
use crate::path::Name;
use crate::tree::Seat;

/// Every difference that can occur, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divergence {
    /// Neither side has it, or the disk has not what a pattern keeps out: it came and went before we looked, or both deleted it.
    Nowhere,
    /// Both have it, in the same place with the same content.
    Agreed,
    /// It is on disk, and a pattern now keeps it out.
    FilteredOut,
    /// Something of another kind stands in its place on disk: a link, a device, a directory for a file.
    Covered,
    /// A mount point stands in its place on disk.
    CoveredByMount,
    /// Only the cloud has it: new, restored, or moved in.
    CreatedRemotely,
    /// Only the disk has it: new.
    CreatedLocally,
    /// Both made it, with equal content, or it is a folder.
    CreatedAlike,
    /// Both made it, with different contents.
    CreatedApart,
    /// The disk has something that was not read yet, and what to do depends on it.
    Unread,
    /// The cloud deleted it, and what the disk has was not read yet.
    UnreadDeletedRemotely,
    /// The cloud deleted it; the disk has it as it was.
    DeletedRemotely,
    /// The disk deleted it; the cloud has it as it was.
    DeletedLocally,
    /// The cloud deleted what the disk moved.
    MovedLocallyDeletedRemotely,
    /// The cloud deleted what the disk edited.
    EditedLocallyDeletedRemotely,
    /// The disk deleted what the cloud edited or moved.
    ChangedRemotelyDeletedLocally,
    /// The cloud moved it, or it is out of sight on its way.
    MovedRemotely,
    /// The disk moved it.
    MovedLocally,
    /// Both moved it to the same place.
    MovedAlike,
    /// Both moved it, to different places.
    MovedApart,
    /// The cloud has another content.
    EditedRemotely,
    /// The cloud has another version of the same content.
    SameBytes,
    /// The disk has another content.
    EditedLocally,
    /// The disk's file was touched, and holds what it held.
    Touched,
    /// Both edited it, and hold the same now.
    EditedAlike,
    /// Both edited it.
    EditedApart,
}

impl Divergence {
    /// All of them, as the table has them.
    pub const ALL: [Self; 26] = [
        Self::Nowhere,
        Self::Agreed,
        Self::FilteredOut,
        Self::Covered,
        Self::CoveredByMount,
        Self::CreatedRemotely,
        Self::CreatedLocally,
        Self::CreatedAlike,
        Self::CreatedApart,
        Self::Unread,
        Self::UnreadDeletedRemotely,
        Self::DeletedRemotely,
        Self::DeletedLocally,
        Self::MovedLocallyDeletedRemotely,
        Self::EditedLocallyDeletedRemotely,
        Self::ChangedRemotelyDeletedLocally,
        Self::MovedRemotely,
        Self::MovedLocally,
        Self::MovedAlike,
        Self::MovedApart,
        Self::EditedRemotely,
        Self::SameBytes,
        Self::EditedLocally,
        Self::Touched,
        Self::EditedAlike,
        Self::EditedApart,
    ];

    /// The difference between the sides of an item.
    pub fn of(remote: &RemoteSide, local: &LocalSide, synced: Option<&SyncedSide>) -> Self {
        match (synced, remote) {
            (None, _) => never_agreed(remote, local),
            (Some(_), RemoteSide::FilteredOut) if *local == LocalSide::Absent => Self::Nowhere,
            (Some(_), RemoteSide::FilteredOut) => Self::FilteredOut,
            (Some(synced), RemoteSide::Absent) => gone_remotely(local, synced),
            (Some(synced), RemoteSide::Present { .. }) => in_the_cloud(remote, local, synced),
        }
    }

    /// The difference where something of another kind stands in the place of an item on disk. It is never taken for deleted.
    pub fn of_covered(remote: &RemoteSide, by_mount: bool) -> Self {
        match remote {
            RemoteSide::Absent => Self::Nowhere,
            RemoteSide::FilteredOut => Self::FilteredOut,
            RemoteSide::Present { .. } if by_mount => Self::CoveredByMount,
            RemoteSide::Present { .. } => Self::Covered,
        }
    }
}

fn never_agreed(remote: &RemoteSide, local: &LocalSide) -> Divergence {
    match (remote, local) {
        (RemoteSide::FilteredOut, LocalSide::Present { .. }) => Divergence::FilteredOut,
        (RemoteSide::Absent | RemoteSide::FilteredOut, LocalSide::AsSynced | LocalSide::Absent) => Divergence::Nowhere,
        (RemoteSide::Present { .. }, LocalSide::AsSynced | LocalSide::Absent) => Divergence::CreatedRemotely,
        (RemoteSide::Absent, LocalSide::Present { .. }) => Divergence::CreatedLocally,
        (RemoteSide::Present { content: None, .. }, LocalSide::Present { .. }) => Divergence::CreatedAlike,
        (RemoteSide::Present { content: Some((_, theirs)), .. }, LocalSide::Present { content, .. }) => match content {
            LocalContent::Unread => Divergence::Unread,
            LocalContent::Read(ours) if theirs.as_ref().and_then(|theirs| theirs.same_content(ours)) == Some(true) => {
                Divergence::CreatedAlike
            }
            LocalContent::Read(_) | LocalContent::Synced => Divergence::CreatedApart,
        },
    }
}

fn gone_remotely(local: &LocalSide, synced: &SyncedSide) -> Divergence {
    match local {
        LocalSide::Absent => Divergence::Nowhere,
        LocalSide::Present { content: LocalContent::Unread, .. } => Divergence::UnreadDeletedRemotely,
        LocalSide::Present { content, .. } if is_edited(content, synced) => Divergence::EditedLocallyDeletedRemotely,
        LocalSide::Present { .. } if moved_locally(local, synced) => Divergence::MovedLocallyDeletedRemotely,
        LocalSide::AsSynced | LocalSide::Present { .. } => Divergence::DeletedRemotely,
    }
}

fn in_the_cloud(remote: &RemoteSide, local: &LocalSide, synced: &SyncedSide) -> Divergence {
    let RemoteSide::Present { parent, name, content } = remote else { return Divergence::Nowhere };
    let moved = !is_at(&synced.seat, *parent, name);
    let (edited, same_bytes) = match (content, &synced.content) {
        (Some((version, hash)), Some(ours)) if *version != ours.version => {
            let equal = hash.as_ref().zip(ours.hash.as_ref()).and_then(|(theirs, ours)| theirs.same_content(ours));
            (equal != Some(true), equal == Some(true))
        }
        // Equal versions, or a folder. A file never turns into a folder under one id: the kind is part of the id.
        _ => (false, false),
    };
    let there = match local {
        LocalSide::Absent if moved || edited => return Divergence::ChangedRemotelyDeletedLocally,
        LocalSide::Absent => return Divergence::DeletedLocally,
        LocalSide::Present { parent: at, name: called, .. } => Some((*at, called)),
        LocalSide::AsSynced => None,
    };
    // From here on both have it.
    match there.filter(|_| moved_locally(local, synced)) {
        Some(there) if there == (*parent, name) => return Divergence::MovedAlike,
        Some(_) if moved => return Divergence::MovedApart,
        Some(_) => return Divergence::MovedLocally,
        None if moved => return Divergence::MovedRemotely,
        None => {}
    }
    // From here on both have it in the same place.
    let ours = match local {
        LocalSide::Present { content, .. } => content,
        LocalSide::AsSynced | LocalSide::Absent => &LocalContent::Synced,
    };
    let theirs = content.as_ref().and_then(|(_, hash)| hash.as_ref());
    match ours {
        LocalContent::Unread => Divergence::Unread,
        LocalContent::Synced if edited => Divergence::EditedRemotely,
        LocalContent::Synced if same_bytes => Divergence::SameBytes,
        LocalContent::Synced => Divergence::Agreed,
        LocalContent::Read(hash) if theirs.and_then(|theirs| theirs.same_content(hash)) == Some(true) => {
            if edited {
                Divergence::EditedAlike
            } else {
                Divergence::Touched
            }
        }
        LocalContent::Read(_) => match (edited, is_edited(ours, synced)) {
            (true, true) => Divergence::EditedApart,
            (true, false) => Divergence::EditedRemotely,
            (false, true) => Divergence::EditedLocally,
            (false, false) => Divergence::Touched,
        },
    }
}

fn is_at(seat: &Seat<NodeId>, parent: NodeId, name: &Name) -> bool {
    matches!(seat, Seat::At { parent: there, name: called } if *there == parent && called == name)
}

fn moved_locally(local: &LocalSide, synced: &SyncedSide) -> bool {
    match (local, &synced.seat) {
        // Out of sight it can be nowhere else.
        (_, Seat::Parked) | (LocalSide::AsSynced | LocalSide::Absent, _) => false,
        (LocalSide::Present { parent, name, .. }, seat) => !is_at(seat, *parent, name),
    }
}

/// Whether the disk's content is another one than the synced one.
fn is_edited(content: &LocalContent, synced: &SyncedSide) -> bool {
    let known = synced.content.as_ref().and_then(|content| content.hash.as_ref());
    match content {
        LocalContent::Synced => false,
        LocalContent::Read(hash) => known.and_then(|known| known.same_content(hash)) != Some(true),
        LocalContent::Unread => true,
    }
}
