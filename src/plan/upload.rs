//! Upload: the disk decides. Nothing that the cloud does changes the disk; what others change there is left alone, and told of, until
//! the disk next has something to say about it.

use super::two_way::{Meeting, meeting, two_way};
use super::{Action, LocalSide, RemoteSide, SyncedSide};
use crate::id::ItemKind;

/// What an upload folder does.
pub fn upload(kind: ItemKind, remote: &RemoteSide, local: &LocalSide, synced: Option<&SyncedSide>) -> Action {
    let here = match local {
        LocalSide::Present { parent, name, .. } => Some((*parent, name.clone())),
        LocalSide::AsSynced | LocalSide::Absent => None,
    };
    match (meeting(remote, local, synced), here) {
        // Somebody else's, or a foreign change of ours: the disk is as it was, and has nothing to say.
        (Meeting::OnlyRemote | Meeting::MovedRemotely | Meeting::EditedRemotely | Meeting::DeletedRemotely, _) => {
            Action::Leave
        }
        // The disk moved or wrote it, whatever the cloud did meanwhile.
        (Meeting::MovedApart, Some((parent, name))) => Action::MoveRemote { parent, name },
        (Meeting::CreatedApart | Meeting::EditedApart, _) => Action::Update,
        (Meeting::ChangedRemotelyDeletedLocally, _) => Action::Trash(kind),
        // A folder that the disk moved goes up again, too.
        (Meeting::ChangedLocallyDeletedRemotely, Some(_)) => Action::Revive,
        _ => two_way(kind, remote, local, synced),
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::LocalContent;
    use crate::plan::two_way::tests::{HERE, OTHER, ROOT, at, gone, local, name, remote, synced};

    use super::*;

    #[test]
    fn the_cloud_never_changes_the_disk() {
        let base = synced(at(ROOT, "a"), "v1", "h1");
        let plan = |remote: &RemoteSide, local: &LocalSide| upload(ItemKind::File, remote, local, Some(&base));
        let same = LocalSide::AsSynced;
        assert_eq!(plan(&remote(ROOT, "a", "v1", "h1"), &same), Action::Settle);
        for foreign in [remote(ROOT, "a", "v2", "h2"), remote(OTHER, "b", "v1", "h1"), RemoteSide::Absent] {
            assert_eq!(plan(&foreign, &same), Action::Leave);
        }
        assert_eq!(upload(ItemKind::File, &remote(ROOT, "n", "v1", "h1"), &same, None), Action::Leave);
        let edit = local(HERE, LocalContent::Read(crate::id::ContentHash::Sha1("h3".into())));
        assert_eq!(plan(&remote(ROOT, "a", "v2", "h2"), &edit), Action::Update);
        assert_eq!(plan(&RemoteSide::Absent, &edit), Action::Revive);
        assert_eq!(upload(ItemKind::File, &remote(ROOT, "a", "v2", "h2"), &edit, None), Action::Update);
        assert_eq!(plan(&remote(ROOT, "a", "v2", "h2"), &gone()), Action::Trash(ItemKind::File));
        let moved = local((OTHER, "b"), LocalContent::Synced);
        let go = Action::MoveRemote { parent: OTHER, name: name("b") };
        assert_eq!(plan(&remote(ROOT, "c", "v1", "h1"), &moved), go);
        assert_eq!(plan(&remote(ROOT, "a", "v1", "h1"), &moved), go);
    }
}
