//! The decision table of two-way, one row a meeting.

use super::*;
use crate::id::{ContentHash, Sha256, VersionId};
use crate::tree::SyncedContent;

pub const ROOT: NodeId = NodeId(1);
pub const OTHER: NodeId = NodeId(2);
pub const HERE: (NodeId, &str) = (ROOT, "a");

pub fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

pub fn at(parent: NodeId, called: &str) -> Seat<NodeId> {
    Seat::At { parent, name: name(called) }
}

pub fn remote(parent: NodeId, called: &str, version: &str, hash: &str) -> RemoteSide {
    let content = Some((VersionId::new(version), Some(ContentHash::Sha1(hash.into()))));
    RemoteSide::Present { parent, name: name(called), content }
}

pub fn synced(seat: Seat<NodeId>, version: &str, hash: &str) -> SyncedSide {
    let content = SyncedContent {
        version: VersionId::new(version),
        hash: Some(ContentHash::Sha1(hash.into())),
        sha256: Some(Sha256([0; 32])),
        size: 1,
    };
    SyncedSide { seat, content: Some(content) }
}

pub fn local((parent, called): (NodeId, &str), content: LocalContent) -> LocalSide {
    LocalSide::Present { parent, name: name(called), content }
}

pub fn gone() -> LocalSide {
    LocalSide::Absent
}

fn read(hash: &str) -> LocalContent {
    LocalContent::Read(ContentHash::Sha1(hash.into()))
}

fn folder(parent: NodeId, called: &str) -> RemoteSide {
    RemoteSide::Present { parent, name: name(called), content: None }
}

/// What the cloud has: as it was (`=`), edited, edited to the same bytes, renamed, renamed and edited, filtered out, or gone.
fn cloud(story: &str) -> RemoteSide {
    match story {
        "=" => remote(ROOT, "a", "v1", "h1"),
        "edited" => remote(ROOT, "a", "v2", "h2"),
        "promoted" => remote(ROOT, "a", "v2", "h1"),
        "moved" => remote(OTHER, "r", "v1", "h1"),
        "moved+edited" => remote(OTHER, "r", "v2", "h2"),
        "filtered" => RemoteSide::FilteredOut,
        "gone" => RemoteSide::Absent,
        other => panic!("{other}"),
    }
}

/// What the disk has, in the same words; `alike` is what the cloud has after its own change.
fn disk(story: &str) -> LocalSide {
    match story {
        "=" => LocalSide::AsSynced,
        "unread" => local(HERE, LocalContent::Unread),
        "touched" => local(HERE, read("h1")),
        "edited" => local(HERE, read("h3")),
        "edited alike" => local(HERE, read("h2")),
        "moved" => local((OTHER, "l"), LocalContent::Synced),
        "moved alike" => local((OTHER, "r"), LocalContent::Synced),
        "moved+edited" => local((OTHER, "l"), read("h3")),
        "moved+unread" => local((OTHER, "l"), LocalContent::Unread),
        "gone" => LocalSide::Absent,
        other => panic!("{other}"),
    }
}

#[test]
fn every_meeting_in_a_known_file_has_its_answer() {
    let base = synced(at(ROOT, "a"), "v1", "h1");
    let here = || (ROOT, name("a"));
    let theirs = || (OTHER, name("r"));
    let ours = || (OTHER, name("l"));
    let fetch = |(parent, name)| Action::Fetch { parent, name };
    let down = |(parent, name)| Action::Move { parent, name };
    let up = |(parent, name)| Action::MoveRemote { parent, name };
    let table = vec![
        ("=", "=", Meeting::Agreed, Action::Settle),
        ("=", "unread", Meeting::Unread, Action::Read),
        ("=", "touched", Meeting::Touched, Action::Agree),
        ("=", "edited", Meeting::EditedLocally, Action::Update),
        ("=", "moved", Meeting::MovedLocally, up(ours())),
        ("=", "moved+edited", Meeting::MovedLocally, up(ours())),
        ("=", "moved+unread", Meeting::MovedLocally, up(ours())),
        ("=", "gone", Meeting::DeletedLocally, Action::Trash(ItemKind::File)),
        ("edited", "=", Meeting::EditedRemotely, fetch(here())),
        ("edited", "unread", Meeting::Unread, Action::Read),
        ("edited", "touched", Meeting::EditedRemotely, fetch(here())),
        ("edited", "edited", Meeting::EditedApart, Action::Part),
        ("edited", "edited alike", Meeting::EditedAlike, Action::Agree),
        ("edited", "moved", Meeting::MovedLocally, up(ours())),
        ("edited", "moved+edited", Meeting::MovedLocally, up(ours())),
        ("edited", "gone", Meeting::ChangedRemotelyDeletedLocally, Action::Restore),
        ("promoted", "=", Meeting::SameBytes, Action::Acknowledge),
        ("promoted", "touched", Meeting::Touched, Action::Agree),
        ("promoted", "edited", Meeting::EditedLocally, Action::Update),
        ("promoted", "gone", Meeting::DeletedLocally, Action::Trash(ItemKind::File)),
        ("moved", "=", Meeting::MovedRemotely, down(theirs())),
        ("moved", "edited", Meeting::MovedRemotely, down(theirs())),
        ("moved", "moved", Meeting::MovedApart, down(theirs())),
        ("moved", "moved alike", Meeting::MovedAlike, Action::Agree),
        ("moved", "moved+edited", Meeting::MovedApart, down(theirs())),
        ("moved", "gone", Meeting::ChangedRemotelyDeletedLocally, Action::Restore),
        ("moved+edited", "=", Meeting::MovedRemotely, down(theirs())),
        ("moved+edited", "moved+edited", Meeting::MovedApart, down(theirs())),
        ("moved+edited", "gone", Meeting::ChangedRemotelyDeletedLocally, Action::Restore),
        ("gone", "=", Meeting::DeletedRemotely, Action::Remove(ItemKind::File)),
        ("gone", "unread", Meeting::Unread, Action::Read),
        ("gone", "touched", Meeting::DeletedRemotely, Action::Remove(ItemKind::File)),
        ("gone", "edited", Meeting::ChangedLocallyDeletedRemotely, Action::Revive),
        ("gone", "moved", Meeting::ChangedLocallyDeletedRemotely, Action::Revive),
        ("gone", "moved+edited", Meeting::ChangedLocallyDeletedRemotely, Action::Revive),
        ("gone", "gone", Meeting::Nowhere, Action::Forget),
        ("filtered", "=", Meeting::FilteredOut, Action::Release),
        ("filtered", "edited", Meeting::FilteredOut, Action::Release),
        ("filtered", "gone", Meeting::FilteredOut, Action::Release),
    ];
    for (theirs, ours, expected, action) in table {
        let (remote, local) = (cloud(theirs), disk(ours));
        let story = format!("cloud {theirs}, disk {ours}");
        assert_eq!(meeting(&remote, &local, Some(&base)), expected, "{story}");
        assert_eq!(two_way(ItemKind::File, &remote, &local, Some(&base)), action, "{story}");
    }
}

#[test]
fn a_file_that_was_never_synced_is_taken_from_whoever_has_it() {
    let plan = |remote: &RemoteSide, local: &LocalSide| {
        (meeting(remote, local, None), two_way(ItemKind::File, remote, local, None))
    };
    let there = remote(ROOT, "a", "v1", "h1");
    let up = Action::Upload { parent: ROOT, name: name("a") };
    let down = Action::Fetch { parent: ROOT, name: name("a") };
    assert_eq!(plan(&there, &LocalSide::AsSynced), (Meeting::OnlyRemote, down.clone()));
    assert_eq!(plan(&there, &LocalSide::Absent), (Meeting::OnlyRemote, down));
    assert_eq!(plan(&RemoteSide::Absent, &local(HERE, LocalContent::Unread)), (Meeting::OnlyLocal, Action::Read));
    assert_eq!(plan(&RemoteSide::Absent, &local(HERE, read("h1"))), (Meeting::OnlyLocal, up));
    assert_eq!(plan(&there, &local(HERE, LocalContent::Unread)), (Meeting::Unread, Action::Read));
    assert_eq!(plan(&there, &local(HERE, read("h1"))), (Meeting::CreatedAlike, Action::Agree));
    assert_eq!(plan(&there, &local(HERE, read("h3"))), (Meeting::CreatedApart, Action::Part));
    assert_eq!(plan(&RemoteSide::Absent, &LocalSide::AsSynced), (Meeting::Nowhere, Action::Forget));
    assert_eq!(plan(&RemoteSide::FilteredOut, &local(HERE, read("h1"))), (Meeting::FilteredOut, Action::Release));
}

#[test]
fn folders_meet_in_places_only() {
    let base = SyncedSide { seat: at(ROOT, "d"), content: None };
    let plan = |remote: &RemoteSide, local: &LocalSide, synced: Option<&SyncedSide>| {
        two_way(ItemKind::Folder, remote, local, synced)
    };
    let known = |remote: &RemoteSide, local: &LocalSide| plan(remote, local, Some(&base));
    let same = LocalSide::AsSynced;
    let moved = local((OTHER, "l"), LocalContent::Synced);
    assert_eq!(known(&folder(ROOT, "d"), &same), Action::Settle);
    assert_eq!(known(&folder(OTHER, "r"), &same), Action::Move { parent: OTHER, name: name("r") });
    assert_eq!(known(&folder(ROOT, "d"), &moved), Action::MoveRemote { parent: OTHER, name: name("l") });
    assert_eq!(known(&folder(OTHER, "r"), &moved), Action::Move { parent: OTHER, name: name("r") });
    assert_eq!(known(&folder(OTHER, "l"), &moved), Action::Agree);
    assert_eq!(known(&folder(ROOT, "d"), &gone()), Action::Trash(ItemKind::Folder));
    assert_eq!(known(&folder(OTHER, "r"), &gone()), Action::Trash(ItemKind::Folder));
    assert_eq!(known(&RemoteSide::Absent, &same), Action::Remove(ItemKind::Folder));
    assert_eq!(known(&RemoteSide::Absent, &moved), Action::Remove(ItemKind::Folder));
    assert_eq!(known(&RemoteSide::Absent, &gone()), Action::Forget);
    let new = local((ROOT, "d"), LocalContent::Synced);
    assert_eq!(plan(&RemoteSide::Absent, &new, None), Action::MakeRemote { parent: ROOT, name: name("d") });
    assert_eq!(plan(&folder(ROOT, "d"), &new, None), Action::Agree);
    assert_eq!(plan(&folder(ROOT, "d"), &same, None), Action::MakeFolder { parent: ROOT, name: name("d") });
}

#[test]
fn what_is_parked_goes_to_the_clouds_place() {
    let parked = synced(Seat::Parked, "v1", "h1");
    assert_eq!(
        two_way(ItemKind::File, &cloud("="), &LocalSide::AsSynced, Some(&parked)),
        Action::Move { parent: ROOT, name: name("a") }
    );
    assert_eq!(
        two_way(ItemKind::File, &RemoteSide::Absent, &LocalSide::AsSynced, Some(&parked)),
        Action::Remove(ItemKind::File)
    );
}
