//! Two-way: both sides decide. What either wrote is kept; where both wrote, the cloud keeps the name and the disk's content gets a name
//! of its own.

use super::{Action, LocalContent, LocalSide, RemoteSide, SyncedSide};
use crate::id::{ItemKind, NodeId};
use crate::path::Name;
use crate::tree::Seat;

/// How cloud and disk meet in one item. Every combination that can occur has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// Neither has it (any more).
    Nowhere,
    /// Only the cloud has it: new, restored, or moved in.
    OnlyRemote,
    /// Only the disk has it: new.
    OnlyLocal,
    /// It is on disk, and a pattern now keeps it out.
    FilteredOut,
    /// Both have it, as they agreed.
    Agreed,
    /// The disk has something that was not read yet, and what to do depends on it.
    Unread,
    /// Both made it, with equal content (or it is a folder).
    CreatedAlike,
    /// Both made it, with different contents.
    CreatedApart,
    /// The cloud deleted it; the disk has it as it was.
    DeletedRemotely,
    /// The disk deleted it; the cloud has it as it was.
    DeletedLocally,
    /// The cloud deleted what the disk edited or moved.
    ChangedLocallyDeletedRemotely,
    /// The disk deleted what the cloud edited or moved.
    ChangedRemotelyDeletedLocally,
    /// The cloud moved it, or it is parked.
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

/// What became of a side since both agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Same,
    Other,
}

/// Names how both sides meet in one item.
pub fn meeting(remote: &RemoteSide, local: &LocalSide, synced: Option<&SyncedSide>) -> Meeting {
    match synced {
        None => first_meeting(remote, local),
        Some(synced) => later_meeting(remote, local, synced),
    }
}

fn first_meeting(remote: &RemoteSide, local: &LocalSide) -> Meeting {
    match (remote, local) {
        (RemoteSide::FilteredOut, LocalSide::Present { .. }) => Meeting::FilteredOut,
        (RemoteSide::Absent | RemoteSide::FilteredOut, LocalSide::AsSynced | LocalSide::Absent) => Meeting::Nowhere,
        (RemoteSide::Present { .. }, LocalSide::AsSynced | LocalSide::Absent) => Meeting::OnlyRemote,
        (RemoteSide::Absent, LocalSide::Present { .. }) => Meeting::OnlyLocal,
        (RemoteSide::Present { content: None, .. }, LocalSide::Present { .. }) => Meeting::CreatedAlike,
        (RemoteSide::Present { content: Some((_, theirs)), .. }, LocalSide::Present { content, .. }) => match content {
            LocalContent::Unread => Meeting::Unread,
            LocalContent::Read(ours) if theirs.as_ref().and_then(|theirs| theirs.same_content(ours)) == Some(true) => {
                Meeting::CreatedAlike
            }
            LocalContent::Read(_) | LocalContent::Synced => Meeting::CreatedApart,
        },
    }
}

fn later_meeting(remote: &RemoteSide, local: &LocalSide, synced: &SyncedSide) -> Meeting {
    let (parent, name, content) = match remote {
        RemoteSide::FilteredOut => return Meeting::FilteredOut,
        RemoteSide::Absent => {
            return match local {
                LocalSide::Absent => Meeting::Nowhere,
                LocalSide::AsSynced => Meeting::DeletedRemotely,
                LocalSide::Present { content: LocalContent::Unread, .. } => Meeting::Unread,
                LocalSide::Present { content, .. } => {
                    if moved_locally(local, synced) || edited_locally(content, synced) == Change::Other {
                        Meeting::ChangedLocallyDeletedRemotely
                    } else {
                        Meeting::DeletedRemotely
                    }
                }
            };
        }
        RemoteSide::Present { parent, name, content } => (*parent, name, content),
    };
    // From here on the cloud has it.
    let moved = !is_at(&synced.seat, parent, name);
    let (edited, same_bytes) = match (content, &synced.content) {
        (Some((version, hash)), Some(ours)) if *version != ours.version => {
            let equal = hash.as_ref().zip(ours.hash.as_ref()).and_then(|(theirs, ours)| theirs.same_content(ours));
            (true, equal == Some(true))
        }
        _ => (false, false),
    };
    let there = match local {
        LocalSide::Absent if moved || edited && !same_bytes => return Meeting::ChangedRemotelyDeletedLocally,
        LocalSide::Absent => return Meeting::DeletedLocally,
        LocalSide::Present { parent: at, name: called, .. } => Some((*at, called)),
        LocalSide::AsSynced => None,
    };
    // From here on both have it. The place comes before the content: a rename costs nothing, and once it is done the content is
    // compared again.
    match there.filter(|_| moved_locally(local, synced)) {
        Some(there) if there == (parent, name) => return Meeting::MovedAlike,
        Some(_) if moved => return Meeting::MovedApart,
        Some(_) => return Meeting::MovedLocally,
        None if moved => return Meeting::MovedRemotely,
        None => {}
    }
    // From here on both have it in the same place.
    let edited = edited && !same_bytes;
    let LocalSide::Present { content: ours, .. } = local else {
        return if edited {
            Meeting::EditedRemotely
        } else if same_bytes {
            Meeting::SameBytes
        } else {
            Meeting::Agreed
        };
    };
    let theirs = content.as_ref().and_then(|(_, hash)| hash.as_ref());
    match ours {
        LocalContent::Unread => Meeting::Unread,
        LocalContent::Synced if edited => Meeting::EditedRemotely,
        LocalContent::Synced if same_bytes => Meeting::SameBytes,
        LocalContent::Synced => Meeting::Agreed,
        LocalContent::Read(hash) if theirs.and_then(|theirs| theirs.same_content(hash)) == Some(true) => {
            if edited {
                Meeting::EditedAlike
            } else {
                Meeting::Touched
            }
        }
        LocalContent::Read(_) => match (edited, edited_locally(ours, synced)) {
            (true, Change::Other) => Meeting::EditedApart,
            (true, Change::Same) => Meeting::EditedRemotely,
            (false, Change::Other) => Meeting::EditedLocally,
            (false, Change::Same) => Meeting::Touched,
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

/// Whether the disk's content is another one than the synced one. What cannot be compared counts as another.
pub(super) fn edited_locally(content: &LocalContent, synced: &SyncedSide) -> Change {
    let known = synced.content.as_ref().and_then(|content| content.hash.as_ref());
    match content {
        LocalContent::Synced => Change::Same,
        LocalContent::Read(hash) if known.and_then(|known| known.same_content(hash)) == Some(true) => Change::Same,
        LocalContent::Unread | LocalContent::Read(_) => Change::Other,
    }
}

/// What a two-way folder does.
pub fn two_way(kind: ItemKind, remote: &RemoteSide, local: &LocalSide, synced: Option<&SyncedSide>) -> Action {
    let meeting = meeting(remote, local, synced);
    let here = match local {
        LocalSide::Present { parent, name, .. } => Some((*parent, name.clone())),
        LocalSide::AsSynced | LocalSide::Absent => None,
    };
    let there = match remote {
        RemoteSide::Present { parent, name, .. } => Some((*parent, name.clone())),
        RemoteSide::Absent | RemoteSide::FilteredOut => None,
    };
    match (meeting, here, there) {
        (Meeting::OnlyRemote, _, Some((parent, name))) if kind == ItemKind::Folder => {
            Action::MakeFolder { parent, name }
        }
        (Meeting::OnlyRemote | Meeting::EditedRemotely, _, Some((parent, name))) => Action::Fetch { parent, name },
        (Meeting::MovedRemotely | Meeting::MovedApart, _, Some((parent, name))) => Action::Move { parent, name },
        (Meeting::OnlyLocal, Some((parent, name)), _) if kind == ItemKind::Folder => {
            Action::MakeRemote { parent, name }
        }
        // The digest goes with the content, and is what our own upload is recognised by.
        (Meeting::OnlyLocal, Some((parent, name)), _) => match local {
            LocalSide::Present { content: LocalContent::Read(_), .. } => Action::Upload { parent, name },
            _ => Action::Read,
        },
        (Meeting::MovedLocally, Some((parent, name)), _) => Action::MoveRemote { parent, name },
        (Meeting::CreatedAlike | Meeting::MovedAlike | Meeting::Touched | Meeting::EditedAlike, ..) => Action::Agree,
        (Meeting::CreatedApart | Meeting::EditedApart, ..) => Action::Part,
        (Meeting::EditedLocally, ..) => Action::Update,
        (Meeting::Unread, ..) => Action::Read,
        // Folders come and go with what is in them: one that still holds something is not removed.
        (Meeting::ChangedLocallyDeletedRemotely, ..) if kind == ItemKind::Folder => Action::Remove(kind),
        (Meeting::ChangedRemotelyDeletedLocally, ..) if kind == ItemKind::Folder => Action::Trash(kind),
        (Meeting::DeletedRemotely, ..) => Action::Remove(kind),
        (Meeting::DeletedLocally, ..) => Action::Trash(kind),
        (Meeting::ChangedLocallyDeletedRemotely, ..) => Action::Revive,
        (Meeting::ChangedRemotelyDeletedLocally, ..) => Action::Restore,
        (Meeting::SameBytes, ..) => Action::Acknowledge,
        (Meeting::FilteredOut, ..) => Action::Release,
        (Meeting::Nowhere, ..) => Action::Forget,
        (Meeting::Agreed, ..) => Action::Settle,
        (
            Meeting::OnlyRemote
            | Meeting::EditedRemotely
            | Meeting::MovedRemotely
            | Meeting::MovedApart
            | Meeting::OnlyLocal
            | Meeting::MovedLocally,
            ..,
        ) => unreachable!("these meetings have the side that they are named for"),
    }
}

#[cfg(test)]
pub(super) mod tests;
