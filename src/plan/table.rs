//! What each mode does about each [`Divergence`]: the whole policy, one row a difference.
//!
//! `mirror` has `on_drift = "restore"` and `on_local_delete = "restore"`; `mirror, keep` has `on_drift = "keep"` and, for what the disk
//! deleted, `on_local_delete = "accept"`. An answer after a stroke is that for folders, which come and go with what is in them.
//!
//! | divergence | mirror | mirror, keep | two-way | upload |
//! |---|---|---|---|---|
//! | Nowhere | Forget | Forget | Forget | Forget |
//! | Agreed | InSync | InSync | InSync | InSync |
//! | FilteredOut | Untrack | Untrack | Untrack | Untrack |
//! | Covered | Redownload | Leave | Leave | Leave |
//! | CoveredByMount | Leave | Leave | Leave | Leave |
//! | CreatedRemotely | Download | Download | Download | Leave |
//! | CreatedLocally | Forget | Forget | Upload | Upload |
//! | CreatedAlike | Agree | Agree | Agree | Agree |
//! | CreatedApart | Download | Download | KeepBoth | Update |
//! | Unread | Read | Read | Read | Read |
//! | UnreadDeletedRemotely | Remove | Read | Read | Read |
//! | DeletedRemotely | Remove | Remove | Remove | Leave |
//! | DeletedLocally | Redownload | Leave | Trash | Trash |
//! | MovedLocallyDeletedRemotely | Remove | Remove | Reupload / Remove | Reupload |
//! | EditedLocallyDeletedRemotely | Remove | Leave | Reupload | Reupload |
//! | ChangedRemotelyDeletedLocally | Redownload | Redownload | Redownload / Trash | Trash |
//! | MovedRemotely | Move | Move | Move | Leave |
//! | MovedLocally | Move | Move | MoveRemote | MoveRemote |
//! | MovedAlike | Agree | Agree | Agree | Agree |
//! | MovedApart | Move | Move | Move | MoveRemote |
//! | EditedRemotely | Download | Download | Download | Leave |
//! | SameBytes | Acknowledge | Acknowledge | Acknowledge | Acknowledge |
//! | EditedLocally | Download | Leave | Update | Update |
//! | Touched | Agree | Agree | Agree | Agree |
//! | EditedAlike | Agree | Agree | Agree | Agree |
//! | EditedApart | Download | Leave | KeepBoth | Update |

use super::{Action, Divergence, LocalContent, LocalSide, Policy, RemoteSide};
use crate::id::ItemKind;
use crate::settings::{Mode, OnDrift, OnLocalDelete};

/// What is done, whatever the names and places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// The row goes; neither side is touched.
    Forget,
    /// Nothing is left to do.
    InSync,
    /// The row goes, and what is on disk stays there.
    Untrack,
    /// The new version is noted; the bytes are there already.
    Acknowledge,
    /// The local file is read.
    Read,
    /// What both hold is noted as agreed.
    Agree,
    /// It comes down from the cloud.
    Download,
    /// It gets the cloud's place on disk.
    Move,
    /// It goes from the disk; content goes to the version store.
    Remove,
    /// The disk gets it back.
    Redownload,
    /// It goes up, as something new.
    Upload,
    /// It goes up, as a new version.
    Update,
    /// It gets the disk's place in the cloud.
    MoveRemote,
    /// It goes into the cloud's trash.
    Trash,
    /// Both are kept: the disk's content under another name.
    KeepBoth,
    /// It goes up again, as the disk changed it.
    Reupload,
    /// They differ, and it is to stay so; people are told.
    Leave,
}

/// The answers to one difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// In a mirror that restores.
    pub mirror: Response,
    /// In a mirror that keeps edits and accepts deletions.
    pub keep: Response,
    /// In a two-way folder.
    pub two_way: Response,
    /// In an upload folder.
    pub upload: Response,
}

/// The row of a difference.
#[allow(clippy::match_same_arms, reason = "a table has a row for each difference, whatever the others say")]
pub fn row(divergence: Divergence, kind: ItemKind) -> Row {
    use Response as R;
    let is_folder = kind == ItemKind::Folder;
    let row = |mirror, keep, two_way, upload| Row { mirror, keep, two_way, upload };
    match divergence {
        Divergence::Nowhere => row(R::Forget, R::Forget, R::Forget, R::Forget),
        Divergence::Agreed => row(R::InSync, R::InSync, R::InSync, R::InSync),
        // The person who wrote the pattern asked for less to be synced, not for files to be deleted.
        Divergence::FilteredOut => row(R::Untrack, R::Untrack, R::Untrack, R::Untrack),
        Divergence::Covered => row(R::Redownload, R::Leave, R::Leave, R::Leave),
        // A mount point cannot be moved aside.
        Divergence::CoveredByMount => row(R::Leave, R::Leave, R::Leave, R::Leave),
        Divergence::CreatedRemotely => row(R::Download, R::Download, R::Download, R::Leave),
        Divergence::CreatedLocally => row(R::Forget, R::Forget, R::Upload, R::Upload),
        Divergence::CreatedAlike => row(R::Agree, R::Agree, R::Agree, R::Agree),
        Divergence::CreatedApart => row(R::Download, R::Download, R::KeepBoth, R::Update),
        Divergence::Unread => row(R::Read, R::Read, R::Read, R::Read),
        // An edit goes to the version store with the file; only one that is to be kept has to be known.
        Divergence::UnreadDeletedRemotely => row(R::Remove, R::Read, R::Read, R::Read),
        Divergence::DeletedRemotely => row(R::Remove, R::Remove, R::Remove, R::Leave),
        // A tombstone keeps it away until a new version arrives.
        Divergence::DeletedLocally => row(R::Redownload, R::Leave, R::Trash, R::Trash),
        Divergence::MovedLocallyDeletedRemotely if is_folder => row(R::Remove, R::Remove, R::Remove, R::Reupload),
        Divergence::MovedLocallyDeletedRemotely => row(R::Remove, R::Remove, R::Reupload, R::Reupload),
        Divergence::EditedLocallyDeletedRemotely => row(R::Remove, R::Leave, R::Reupload, R::Reupload),
        Divergence::ChangedRemotelyDeletedLocally if is_folder => row(R::Redownload, R::Redownload, R::Trash, R::Trash),
        Divergence::ChangedRemotelyDeletedLocally => row(R::Redownload, R::Redownload, R::Redownload, R::Trash),
        Divergence::MovedRemotely => row(R::Move, R::Move, R::Move, R::Leave),
        Divergence::MovedLocally => row(R::Move, R::Move, R::MoveRemote, R::MoveRemote),
        Divergence::MovedAlike => row(R::Agree, R::Agree, R::Agree, R::Agree),
        Divergence::MovedApart => row(R::Move, R::Move, R::Move, R::MoveRemote),
        Divergence::EditedRemotely => row(R::Download, R::Download, R::Download, R::Leave),
        Divergence::SameBytes => row(R::Acknowledge, R::Acknowledge, R::Acknowledge, R::Acknowledge),
        Divergence::EditedLocally => row(R::Download, R::Leave, R::Update, R::Update),
        Divergence::Touched => row(R::Agree, R::Agree, R::Agree, R::Agree),
        Divergence::EditedAlike => row(R::Agree, R::Agree, R::Agree, R::Agree),
        Divergence::EditedApart => row(R::Download, R::Leave, R::KeepBoth, R::Update),
    }
}

/// What a folder with this policy does about a difference.
pub fn response(policy: Policy, kind: ItemKind, divergence: Divergence) -> Response {
    let row = row(divergence, kind);
    let keeps = if divergence == Divergence::DeletedLocally {
        policy.on_local_delete == OnLocalDelete::Accept
    } else {
        policy.on_drift == OnDrift::Keep
    };
    match policy.mode {
        Mode::Mirror if keeps => row.keep,
        Mode::Mirror => row.mirror,
        Mode::TwoWay => row.two_way,
        Mode::Upload => row.upload,
    }
}

impl Response {
    /// The action on an item with these sides. A response that needs a place which its side does not have is none.
    pub fn action(self, kind: ItemKind, remote: &RemoteSide, local: &LocalSide) -> Action {
        let there = match remote {
            RemoteSide::Present { parent, name, .. } => Some((*parent, name.clone())),
            RemoteSide::Absent | RemoteSide::FilteredOut => None,
        };
        let here = match local {
            LocalSide::Present { parent, name, .. } => Some((*parent, name.clone())),
            LocalSide::AsSynced | LocalSide::Absent => None,
        };
        match (self, here, there) {
            (Self::InSync, ..) => Action::InSync,
            (Self::Untrack, ..) => Action::Untrack,
            (Self::Acknowledge, ..) => Action::Acknowledge,
            (Self::Read, ..) => Action::Read,
            (Self::Agree, ..) => Action::Agree,
            (Self::Download, _, Some((parent, name))) if kind == ItemKind::Folder => {
                Action::MakeFolder { parent, name }
            }
            (Self::Download, _, Some((parent, name))) => Action::Fetch { parent, name },
            (Self::Move, _, Some((parent, name))) => Action::Move { parent, name },
            (Self::Remove, ..) => Action::Remove(kind),
            (Self::Redownload, ..) => Action::Redownload,
            (Self::Upload, Some((parent, name)), _) if kind == ItemKind::Folder => Action::MakeRemote { parent, name },
            // The digest goes with the content, and is what our own upload is recognised by.
            (Self::Upload, Some((parent, name)), _) => match local {
                LocalSide::Present { content: LocalContent::Read(_), .. } => Action::Upload { parent, name },
                _ => Action::Read,
            },
            (Self::Update, ..) => Action::Update,
            (Self::MoveRemote, Some((parent, name)), _) => Action::MoveRemote { parent, name },
            (Self::Trash, ..) => Action::Trash(kind),
            (Self::KeepBoth, ..) => Action::ConflictCopy,
            (Self::Reupload, ..) => Action::Reupload,
            (Self::Leave, ..) => Action::Leave,
            (Self::Forget, ..) => Action::Forget,
            // The differences that lead here are named for the side that has the place.
            (Self::Download | Self::Move, _, None) | (Self::Upload | Self::MoveRemote, None, _) => {
                unreachable!("{self:?} without the place that it needs")
            }
        }
    }
}

#[cfg(test)]
mod tests;
