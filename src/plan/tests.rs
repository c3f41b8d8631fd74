//! The decision table of the mirror, one row a situation.

use super::*;
use crate::id::Sha256;

const ROOT: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn remote(parent: NodeId, called: &str, version: &str, hash: &str) -> RemoteSide {
    let content = Some((VersionId::new(version), Some(ContentHash::Sha1(hash.into()))));
    RemoteSide::Present { parent, name: name(called), content }
}

fn remote_folder(parent: NodeId, called: &str) -> RemoteSide {
    RemoteSide::Present { parent, name: name(called), content: None }
}

fn synced(seat: Seat<NodeId>, version: &str, hash: &str) -> SyncedSide {
    let content = SyncedContent {
        version: VersionId::new(version),
        hash: Some(ContentHash::Sha1(hash.into())),
        sha256: Some(Sha256([0; 32])),
        size: 1,
    };
    SyncedSide { seat, content: Some(content) }
}

fn at(parent: NodeId, called: &str) -> Seat<NodeId> {
    Seat::At { parent, name: name(called) }
}

#[test]
fn every_situation_of_a_file_has_its_answer() {
    let here = synced(at(ROOT, "a"), "v1", "h1");
    let parked = synced(Seat::Parked, "v1", "h1");
    let place = |parent, called: &str| (parent, name(called));
    let fetch = |(parent, name)| Action::Fetch { parent, name };
    let go = |(parent, name)| Action::Move { parent, name };
    let table: Vec<(&str, RemoteSide, Option<&SyncedSide>, Situation, Action)> = vec![
        ("came and went", RemoteSide::Absent, None, Situation::Nowhere, Action::Forget),
        ("filtered before it came", RemoteSide::FilteredOut, None, Situation::Nowhere, Action::Forget),
        ("new", remote(ROOT, "a", "v1", "h1"), None, Situation::OnlyRemote, fetch(place(ROOT, "a"))),
        ("trashed", RemoteSide::Absent, Some(&here), Situation::OnlySynced, Action::Remove(ItemKind::File)),
        ("filtered out", RemoteSide::FilteredOut, Some(&here), Situation::FilteredOut, Action::Release),
        ("as it was", remote(ROOT, "a", "v1", "h1"), Some(&here), Situation::Agreed, Action::Settle),
        ("renamed", remote(ROOT, "b", "v1", "h1"), Some(&here), Situation::Moved, go(place(ROOT, "b"))),
        ("renamed in case only", remote(ROOT, "A", "v1", "h1"), Some(&here), Situation::Moved, go(place(ROOT, "A"))),
        ("moved", remote(OTHER, "a", "v1", "h1"), Some(&here), Situation::Moved, go(place(OTHER, "a"))),
        (
            "moved and edited: moved first",
            remote(OTHER, "b", "v2", "h2"),
            Some(&here),
            Situation::Moved,
            go(place(OTHER, "b")),
        ),
        ("parked", remote(ROOT, "a", "v1", "h1"), Some(&parked), Situation::Moved, go(place(ROOT, "a"))),
        ("parked and gone", RemoteSide::Absent, Some(&parked), Situation::OnlySynced, Action::Remove(ItemKind::File)),
        ("edited", remote(ROOT, "a", "v2", "h2"), Some(&here), Situation::Changed, fetch(place(ROOT, "a"))),
        (
            "promoted to the same bytes",
            remote(ROOT, "a", "v2", "h1"),
            Some(&here),
            Situation::SameBytes,
            Action::Acknowledge,
        ),
    ];
    for (story, remote, synced, expected, action) in table {
        assert_eq!(situation(&remote, synced), expected, "{story}");
        assert_eq!(mirror(ItemKind::File, &remote, synced), action, "{story}");
    }
}

#[test]
fn folders_have_places_and_no_content() {
    let here = SyncedSide { seat: at(ROOT, "d"), content: None };
    let plan = |remote: &RemoteSide, synced| mirror(ItemKind::Folder, remote, synced);
    assert_eq!(plan(&remote_folder(ROOT, "d"), None), Action::MakeFolder { parent: ROOT, name: name("d") });
    assert_eq!(plan(&remote_folder(ROOT, "d"), Some(&here)), Action::Settle);
    assert_eq!(plan(&remote_folder(OTHER, "d"), Some(&here)), Action::Move { parent: OTHER, name: name("d") });
    assert_eq!(plan(&RemoteSide::Absent, Some(&here)), Action::Remove(ItemKind::Folder));
}

#[test]
fn a_digest_that_cannot_be_compared_is_fetched() {
    let here = synced(at(ROOT, "a"), "v1", "h1");
    let unknown = RemoteSide::Present {
        parent: ROOT,
        name: name("a"),
        content: Some((VersionId::new("v2"), Some(ContentHash::Unknown("9-x".into())))),
    };
    assert_eq!(situation(&unknown, Some(&here)), Situation::Changed);
}

#[test]
fn doing_what_was_planned_leaves_nothing_to_plan() {
    // The synced side as the deed would leave it: planning again must settle.
    for (remote_side, kind) in
        [(remote(ROOT, "a", "v1", "h1"), ItemKind::File), (remote_folder(ROOT, "d"), ItemKind::Folder)]
    {
        let after = match mirror(kind, &remote_side, None) {
            Action::Fetch { parent, name } => {
                SyncedSide { seat: Seat::At { parent, name }, ..synced(Seat::Parked, "v1", "h1") }
            }
            Action::MakeFolder { parent, name } => SyncedSide { seat: Seat::At { parent, name }, content: None },
            other => panic!("{other:?}"),
        };
        assert_eq!(mirror(kind, &remote_side, Some(&after)), Action::Settle);
    }
}

#[test]
fn what_something_else_stands_in_the_place_of_is_never_taken_for_deleted() {
    let here = remote(ROOT, "a", "v1", "h1");
    let policy = |mode, on_drift| Policy { mode, on_drift, on_local_delete: OnLocalDelete::Accept };
    let (restore, keep) = (OnDrift::Restore, OnDrift::Keep);
    let table = [
        (Mode::TwoWay, restore, &here, false, Action::Leave),
        (Mode::Upload, restore, &here, false, Action::Leave),
        (Mode::Mirror, keep, &here, false, Action::Leave),
        (Mode::Mirror, restore, &here, false, Action::Restore),
        (Mode::Mirror, restore, &here, true, Action::Leave),
        (Mode::Mirror, restore, &RemoteSide::Absent, false, Action::Forget),
        (Mode::TwoWay, restore, &RemoteSide::Absent, false, Action::Forget),
        (Mode::TwoWay, restore, &RemoteSide::FilteredOut, false, Action::Release),
    ];
    for (mode, on_drift, remote, by_mount, action) in table {
        assert_eq!(covered(policy(mode, on_drift), remote, by_mount), action, "{mode:?} {on_drift:?} {remote:?}");
    }
}
