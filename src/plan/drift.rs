//! A mirror whose disk somebody touched: the cloud decides, and the settings say what becomes of edits and deletions.

use super::two_way::{Change, Meeting, edited_locally, meeting};
use super::{Action, LocalContent, LocalSide, RemoteSide, SyncedSide, mirror};
use crate::id::ItemKind;
use crate::settings::{OnDrift, OnLocalDelete};

/// What a mirror does, whatever became of the disk.
pub fn drifted(
    kind: ItemKind,
    remote: &RemoteSide,
    local: &LocalSide,
    synced: Option<&SyncedSide>,
    on_drift: OnDrift,
    on_local_delete: OnLocalDelete,
) -> Action {
    let RemoteSide::Present { parent, name, .. } = remote else {
        return match (local, remote, synced) {
            (LocalSide::Absent, ..) => Action::Forget,
            // An edit of what the cloud deleted goes to the version store with it; one that is to be kept is left where it is. What was
            // only touched is no edit.
            (LocalSide::Present { content: LocalContent::Unread, .. }, RemoteSide::Absent, Some(_))
                if on_drift == OnDrift::Keep && kind == ItemKind::File =>
            {
                Action::Read
            }
            (LocalSide::Present { content, .. }, RemoteSide::Absent, Some(synced))
                if on_drift == OnDrift::Keep && edited_locally(content, synced) == Change::Other =>
            {
                Action::Leave
            }
            _ => mirror(kind, remote, synced),
        };
    };
    let (parent, name) = (*parent, name.clone());
    match (local, meeting(remote, local, synced)) {
        (LocalSide::AsSynced, _) | (LocalSide::Absent, Meeting::OnlyRemote) => mirror(kind, remote, synced),
        // A tombstone lasts until a new version arrives.
        (LocalSide::Absent, Meeting::DeletedLocally) if on_local_delete == OnLocalDelete::Accept => Action::Leave,
        (LocalSide::Absent, _) => Action::Restore,
        (_, Meeting::MovedLocally | Meeting::MovedRemotely | Meeting::MovedApart) => Action::Move { parent, name },
        (_, Meeting::Unread) => Action::Read,
        (_, Meeting::EditedLocally | Meeting::EditedApart) if on_drift == OnDrift::Keep => Action::Leave,
        (_, Meeting::EditedLocally | Meeting::EditedApart | Meeting::EditedRemotely | Meeting::CreatedApart) => {
            Action::Fetch { parent, name }
        }
        (_, Meeting::MovedAlike | Meeting::Touched | Meeting::EditedAlike | Meeting::CreatedAlike) => Action::Agree,
        (_, Meeting::SameBytes) => Action::Acknowledge,
        (_, Meeting::Agreed) => Action::Settle,
        _ => mirror(kind, remote, synced),
    }
}

#[cfg(test)]
mod tests {
    use crate::id::ContentHash;
    use crate::plan::two_way::tests::{HERE, OTHER, ROOT, at, gone, local, name, remote, synced};

    use super::*;

    #[test]
    fn the_settings_say_what_becomes_of_edits_and_deletions() {
        let base = synced(at(ROOT, "a"), "v1", "h1");
        let plan = |remote: &RemoteSide, local: &LocalSide, drift, delete| {
            drifted(ItemKind::File, remote, local, Some(&base), drift, delete)
        };
        let (restore, keep) = (OnDrift::Restore, OnDrift::Keep);
        let (back, accept) = (OnLocalDelete::Restore, OnLocalDelete::Accept);
        let same = remote(ROOT, "a", "v1", "h1");
        let newer = remote(ROOT, "a", "v2", "h2");
        let edit = local(HERE, LocalContent::Read(ContentHash::Sha1("h3".into())));
        let fetch = Action::Fetch { parent: ROOT, name: name("a") };
        assert_eq!(plan(&same, &edit, restore, back), fetch);
        assert_eq!(plan(&newer, &edit, restore, back), fetch);
        assert_eq!(plan(&same, &edit, keep, back), Action::Leave);
        assert_eq!(plan(&RemoteSide::Absent, &edit, keep, back), Action::Leave);
        assert_eq!(plan(&RemoteSide::Absent, &edit, restore, back), Action::Remove(ItemKind::File));
        assert_eq!(plan(&RemoteSide::Absent, &local(HERE, LocalContent::Unread), keep, back), Action::Read);
        let as_before = local(HERE, LocalContent::Read(ContentHash::Sha1("h1".into())));
        assert_eq!(plan(&RemoteSide::Absent, &as_before, keep, back), Action::Remove(ItemKind::File));
        assert_eq!(plan(&same, &local(HERE, LocalContent::Unread), keep, back), Action::Read);
        let touched = local(HERE, LocalContent::Read(ContentHash::Sha1("h1".into())));
        assert_eq!(plan(&same, &touched, restore, back), Action::Agree);
        assert_eq!(plan(&same, &gone(), restore, back), Action::Restore);
        assert_eq!(plan(&same, &gone(), restore, accept), Action::Leave);
        assert_eq!(plan(&newer, &gone(), restore, accept), Action::Restore);
        let moved = local((OTHER, "b"), LocalContent::Synced);
        assert_eq!(plan(&same, &moved, keep, back), Action::Move { parent: ROOT, name: name("a") });
    }
}
