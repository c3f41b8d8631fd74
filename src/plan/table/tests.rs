//! The table, in stories: what the cloud has, what the disk has, what that is called, and what each mode does.

use std::fmt::Write;

use super::*;
use crate::id::{ContentHash, NodeId, Sha256, VersionId};
use crate::path::Name;
use crate::plan::{SyncedSide, covered, decide};
use crate::tree::{Seat, SyncedContent};

const ROOT: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const HERE: (NodeId, &str) = (ROOT, "a");

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn at(parent: NodeId, called: &str) -> Seat<NodeId> {
    Seat::At { parent, name: name(called) }
}

fn remote(parent: NodeId, called: &str, version: &str, hash: &str) -> RemoteSide {
    let content = Some((VersionId::new(version), Some(ContentHash::Sha1(hash.into()))));
    RemoteSide::Present { parent, name: name(called), content }
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

fn local((parent, called): (NodeId, &str), content: LocalContent) -> LocalSide {
    LocalSide::Present { parent, name: name(called), content }
}

fn gone() -> LocalSide {
    LocalSide::Absent
}

fn policy(mode: Mode) -> Policy {
    Policy { mode, ..Policy::default() }
}

fn two_way(kind: ItemKind, remote: &RemoteSide, local: &LocalSide, synced: Option<&SyncedSide>) -> Action {
    decide(policy(Mode::TwoWay), kind, remote, local, synced)
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
fn every_difference_in_a_known_file_has_a_name_and_an_answer() {
    let base = synced(at(ROOT, "a"), "v1", "h1");
    let here = || (ROOT, name("a"));
    let theirs = || (OTHER, name("r"));
    let ours = || (OTHER, name("l"));
    let fetch = |(parent, name)| Action::Fetch { parent, name };
    let down = |(parent, name)| Action::Move { parent, name };
    let up = |(parent, name)| Action::MoveRemote { parent, name };
    let table = vec![
        ("=", "=", Divergence::Agreed, Action::InSync),
        ("=", "unread", Divergence::Unread, Action::Read),
        ("=", "touched", Divergence::Touched, Action::Agree),
        ("=", "edited", Divergence::EditedLocally, Action::Update),
        ("=", "moved", Divergence::MovedLocally, up(ours())),
        ("=", "moved+edited", Divergence::MovedLocally, up(ours())),
        ("=", "moved+unread", Divergence::MovedLocally, up(ours())),
        ("=", "gone", Divergence::DeletedLocally, Action::Trash(ItemKind::File)),
        ("edited", "=", Divergence::EditedRemotely, fetch(here())),
        ("edited", "unread", Divergence::Unread, Action::Read),
        ("edited", "touched", Divergence::EditedRemotely, fetch(here())),
        ("edited", "edited", Divergence::EditedApart, Action::ConflictCopy),
        ("edited", "edited alike", Divergence::EditedAlike, Action::Agree),
        ("edited", "moved", Divergence::MovedLocally, up(ours())),
        ("edited", "moved+edited", Divergence::MovedLocally, up(ours())),
        ("edited", "gone", Divergence::ChangedRemotelyDeletedLocally, Action::Redownload),
        ("promoted", "=", Divergence::SameBytes, Action::Acknowledge),
        ("promoted", "touched", Divergence::Touched, Action::Agree),
        ("promoted", "edited", Divergence::EditedLocally, Action::Update),
        ("promoted", "gone", Divergence::DeletedLocally, Action::Trash(ItemKind::File)),
        ("moved", "=", Divergence::MovedRemotely, down(theirs())),
        ("moved", "edited", Divergence::MovedRemotely, down(theirs())),
        ("moved", "moved", Divergence::MovedApart, down(theirs())),
        ("moved", "moved alike", Divergence::MovedAlike, Action::Agree),
        ("moved", "moved+edited", Divergence::MovedApart, down(theirs())),
        ("moved", "gone", Divergence::ChangedRemotelyDeletedLocally, Action::Redownload),
        ("moved+edited", "=", Divergence::MovedRemotely, down(theirs())),
        ("moved+edited", "moved+edited", Divergence::MovedApart, down(theirs())),
        ("moved+edited", "gone", Divergence::ChangedRemotelyDeletedLocally, Action::Redownload),
        ("gone", "=", Divergence::DeletedRemotely, Action::Remove(ItemKind::File)),
        ("gone", "unread", Divergence::UnreadDeletedRemotely, Action::Read),
        ("gone", "touched", Divergence::DeletedRemotely, Action::Remove(ItemKind::File)),
        ("gone", "edited", Divergence::EditedLocallyDeletedRemotely, Action::Reupload),
        ("gone", "moved", Divergence::MovedLocallyDeletedRemotely, Action::Reupload),
        ("gone", "moved+edited", Divergence::EditedLocallyDeletedRemotely, Action::Reupload),
        ("gone", "gone", Divergence::Nowhere, Action::Forget),
        ("filtered", "=", Divergence::FilteredOut, Action::Untrack),
        ("filtered", "edited", Divergence::FilteredOut, Action::Untrack),
        ("filtered", "gone", Divergence::Nowhere, Action::Forget),
    ];
    for (theirs, ours, expected, action) in table {
        let (remote, local) = (cloud(theirs), disk(ours));
        let story = format!("cloud {theirs}, disk {ours}");
        assert_eq!(Divergence::of(&remote, &local, Some(&base)), expected, "{story}");
        assert_eq!(two_way(ItemKind::File, &remote, &local, Some(&base)), action, "{story}");
    }
}

#[test]
fn a_file_that_was_never_synced_is_taken_from_whoever_has_it() {
    let plan = |remote: &RemoteSide, local: &LocalSide| {
        (Divergence::of(remote, local, None), two_way(ItemKind::File, remote, local, None))
    };
    let there = remote(ROOT, "a", "v1", "h1");
    let up = Action::Upload { parent: ROOT, name: name("a") };
    let down = Action::Fetch { parent: ROOT, name: name("a") };
    assert_eq!(plan(&there, &LocalSide::AsSynced), (Divergence::CreatedRemotely, down.clone()));
    assert_eq!(plan(&there, &LocalSide::Absent), (Divergence::CreatedRemotely, down));
    assert_eq!(
        plan(&RemoteSide::Absent, &local(HERE, LocalContent::Unread)),
        (Divergence::CreatedLocally, Action::Read)
    );
    assert_eq!(plan(&RemoteSide::Absent, &local(HERE, read("h1"))), (Divergence::CreatedLocally, up));
    assert_eq!(plan(&there, &local(HERE, LocalContent::Unread)), (Divergence::Unread, Action::Read));
    assert_eq!(plan(&there, &local(HERE, read("h1"))), (Divergence::CreatedAlike, Action::Agree));
    assert_eq!(plan(&there, &local(HERE, read("h3"))), (Divergence::CreatedApart, Action::ConflictCopy));
    assert_eq!(plan(&RemoteSide::Absent, &LocalSide::AsSynced), (Divergence::Nowhere, Action::Forget));
    assert_eq!(plan(&RemoteSide::FilteredOut, &local(HERE, read("h1"))), (Divergence::FilteredOut, Action::Untrack));
}

#[test]
fn folders_differ_in_places_only() {
    let base = SyncedSide { seat: at(ROOT, "d"), content: None };
    let plan = |remote: &RemoteSide, local: &LocalSide, synced: Option<&SyncedSide>| {
        two_way(ItemKind::Folder, remote, local, synced)
    };
    let known = |remote: &RemoteSide, local: &LocalSide| plan(remote, local, Some(&base));
    let same = LocalSide::AsSynced;
    let moved = local((OTHER, "l"), LocalContent::Synced);
    assert_eq!(known(&folder(ROOT, "d"), &same), Action::InSync);
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

#[test]
fn the_cloud_decides_in_a_mirror() {
    let base = synced(at(ROOT, "a"), "v1", "h1");
    let mirror = |remote: &RemoteSide, synced: Option<&SyncedSide>| {
        decide(policy(Mode::Mirror), ItemKind::File, remote, &LocalSide::AsSynced, synced)
    };
    let fetch = |name| Action::Fetch { parent: ROOT, name };
    assert_eq!(mirror(&cloud("="), None), fetch(name("a")));
    assert_eq!(mirror(&cloud("="), Some(&base)), Action::InSync);
    assert_eq!(mirror(&cloud("edited"), Some(&base)), fetch(name("a")));
    assert_eq!(mirror(&cloud("promoted"), Some(&base)), Action::Acknowledge);
    for moved in ["moved", "moved+edited"] {
        let go = Action::Move { parent: OTHER, name: name("r") };
        assert_eq!(mirror(&cloud(moved), Some(&base)), go, "a rename costs nothing, and the content comes after");
    }
    let case = remote(ROOT, "A", "v1", "h1");
    assert_eq!(mirror(&case, Some(&base)), Action::Move { parent: ROOT, name: name("A") });
    assert_eq!(mirror(&cloud("gone"), Some(&base)), Action::Remove(ItemKind::File));
    assert_eq!(mirror(&cloud("gone"), None), Action::Forget);
    assert_eq!(mirror(&cloud("filtered"), Some(&base)), Action::Untrack);
    assert_eq!(mirror(&cloud("filtered"), None), Action::Forget);
    let unknown = RemoteSide::Present {
        parent: ROOT,
        name: name("a"),
        content: Some((VersionId::new("v2"), Some(ContentHash::Unknown("9-x".into())))),
    };
    assert_eq!(mirror(&unknown, Some(&base)), fetch(name("a")), "a digest that cannot be compared is fetched");
}

#[test]
fn the_settings_of_a_mirror_say_what_becomes_of_edits_and_deletions() {
    let base = synced(at(ROOT, "a"), "v1", "h1");
    let plan = |theirs: &str, ours: &str, on_drift, on_local_delete| {
        let policy = Policy { mode: Mode::Mirror, on_drift, on_local_delete };
        decide(policy, ItemKind::File, &cloud(theirs), &disk(ours), Some(&base))
    };
    let (restore, keep) = (OnDrift::Restore, OnDrift::Keep);
    let (back, accept) = (OnLocalDelete::Restore, OnLocalDelete::Accept);
    let fetch = Action::Fetch { parent: ROOT, name: name("a") };
    let table = [
        ("=", "edited", restore, back, fetch.clone()),
        ("edited", "edited", restore, back, fetch),
        ("=", "edited", keep, back, Action::Leave),
        ("edited", "edited", keep, back, Action::Leave),
        ("gone", "edited", keep, back, Action::Leave),
        ("gone", "edited", restore, back, Action::Remove(ItemKind::File)),
        ("gone", "unread", keep, back, Action::Read),
        ("gone", "unread", restore, back, Action::Remove(ItemKind::File)),
        ("gone", "touched", keep, back, Action::Remove(ItemKind::File)),
        ("gone", "moved", keep, back, Action::Remove(ItemKind::File)),
        ("=", "unread", keep, back, Action::Read),
        ("=", "touched", restore, back, Action::Agree),
        ("=", "gone", restore, back, Action::Redownload),
        ("=", "gone", restore, accept, Action::Leave),
        ("edited", "gone", restore, accept, Action::Redownload),
        ("=", "moved", keep, back, Action::Move { parent: ROOT, name: name("a") }),
    ];
    for (theirs, ours, on_drift, on_local_delete, action) in table {
        let story = format!("cloud {theirs}, disk {ours}, {on_drift:?}, {on_local_delete:?}");
        assert_eq!(plan(theirs, ours, on_drift, on_local_delete), action, "{story}");
    }
}

#[test]
fn the_cloud_never_changes_the_disk_of_an_upload_folder() {
    let base = synced(at(ROOT, "a"), "v1", "h1");
    let plan = |theirs: &str, ours: &str, synced| {
        decide(policy(Mode::Upload), ItemKind::File, &cloud(theirs), &disk(ours), synced)
    };
    let known = |theirs: &str, ours: &str| plan(theirs, ours, Some(&base));
    assert_eq!(known("=", "="), Action::InSync);
    for foreign in ["edited", "moved", "gone"] {
        assert_eq!(known(foreign, "="), Action::Leave, "{foreign}");
    }
    assert_eq!(plan("=", "=", None), Action::Leave);
    assert_eq!(known("edited", "edited"), Action::Update);
    assert_eq!(known("gone", "edited"), Action::Reupload);
    assert_eq!(plan("edited", "edited", None), Action::Update);
    assert_eq!(known("edited", "gone"), Action::Trash(ItemKind::File));
    let go = Action::MoveRemote { parent: OTHER, name: name("l") };
    assert_eq!(known("moved", "moved"), go);
    assert_eq!(known("=", "moved"), go);
}

#[test]
fn what_something_else_stands_in_the_place_of_is_never_taken_for_deleted() {
    let policy = |mode, on_drift| Policy { mode, on_drift, on_local_delete: OnLocalDelete::Accept };
    let (restore, keep) = (OnDrift::Restore, OnDrift::Keep);
    let table = [
        (Mode::TwoWay, restore, "=", false, Action::Leave),
        (Mode::Upload, restore, "=", false, Action::Leave),
        (Mode::Mirror, keep, "=", false, Action::Leave),
        (Mode::Mirror, restore, "=", false, Action::Redownload),
        (Mode::Mirror, restore, "=", true, Action::Leave),
        (Mode::Mirror, restore, "gone", false, Action::Forget),
        (Mode::TwoWay, restore, "gone", false, Action::Forget),
        (Mode::TwoWay, restore, "filtered", false, Action::Untrack),
    ];
    for (mode, on_drift, theirs, by_mount, action) in table {
        let planned = covered(policy(mode, on_drift), ItemKind::File, &cloud(theirs), by_mount);
        assert_eq!(planned, action, "{mode:?} {on_drift:?} {theirs}");
    }
}

#[test]
fn doing_what_was_planned_leaves_nothing_to_plan() {
    for (there, kind) in [(cloud("="), ItemKind::File), (folder(ROOT, "d"), ItemKind::Folder)] {
        let plan = |synced| decide(policy(Mode::Mirror), kind, &there, &LocalSide::AsSynced, synced);
        // The synced side as the deed would leave it.
        let after = match plan(None) {
            Action::Fetch { parent, name } => {
                SyncedSide { seat: Seat::At { parent, name }, ..synced(Seat::Parked, "v1", "h1") }
            }
            Action::MakeFolder { parent, name } => SyncedSide { seat: Seat::At { parent, name }, content: None },
            other => panic!("{other:?}"),
        };
        assert_eq!(plan(Some(&after)), Action::InSync);
    }
}

/// Every combination of sides that can be told apart, with what the disk and the cloud agreed on.
fn every_combination() -> Vec<(ItemKind, RemoteSide, LocalSide, Option<SyncedSide>)> {
    let clouds = ["=", "edited", "promoted", "moved", "moved+edited", "filtered", "gone"];
    let disks = [
        "=",
        "unread",
        "touched",
        "edited",
        "edited alike",
        "moved",
        "moved alike",
        "moved+edited",
        "moved+unread",
        "gone",
    ];
    let bases = [None, Some(synced(at(ROOT, "a"), "v1", "h1")), Some(synced(Seat::Parked, "v1", "h1"))];
    let mut all = Vec::new();
    let pairs = clouds.iter().flat_map(|theirs| disks.iter().map(move |ours| (*theirs, *ours)));
    for ((theirs, ours), base) in pairs.flat_map(|pair| bases.iter().map(move |base| (pair, base))) {
        all.push((ItemKind::File, cloud(theirs), disk(ours), base.clone()));
        let there = match cloud(theirs) {
            RemoteSide::Present { parent, name, .. } => RemoteSide::Present { parent, name, content: None },
            other => other,
        };
        let here = match disk(ours) {
            LocalSide::Present { parent, name, .. } => {
                LocalSide::Present { parent, name, content: LocalContent::Synced }
            }
            other => other,
        };
        let base = base.clone().map(|base| SyncedSide { content: None, ..base });
        all.push((ItemKind::Folder, there, here, base));
    }
    all
}

#[test]
fn every_combination_has_an_answer_in_every_mode() {
    for (kind, there, here, base) in every_combination() {
        for mode in [Mode::Mirror, Mode::TwoWay, Mode::Upload] {
            for (on_drift, on_local_delete) in
                [(OnDrift::Restore, OnLocalDelete::Restore), (OnDrift::Keep, OnLocalDelete::Accept)]
            {
                let policy = Policy { mode, on_drift, on_local_delete };
                let action = decide(policy, kind, &there, &here, base.as_ref());
                let story = format!("{kind:?} {there:?} {here:?} {base:?} {policy:?}: {action:?}");
                assert!(mode != Mode::Mirror || !action.writes(), "a mirror writes to the cloud: {story}");
                let touches = matches!(action, Action::Fetch { .. } | Action::Move { .. } | Action::Remove(_));
                assert!(mode != Mode::Upload || !touches, "the cloud changes the disk: {story}");
            }
        }
    }
}

/// The table as its documentation has it.
fn printed() -> String {
    let word = |response: Response| format!("{response:?}");
    let cell = |file: Response, folder: Response| {
        if file == folder { word(file) } else { format!("{} / {}", word(file), word(folder)) }
    };
    let mut table = String::new();
    for divergence in Divergence::ALL {
        let (file, folder) = (row(divergence, ItemKind::File), row(divergence, ItemKind::Folder));
        let _ = writeln!(
            table,
            "//! | {divergence:?} | {} | {} | {} | {} |",
            cell(file.mirror, folder.mirror),
            cell(file.keep, folder.keep),
            cell(file.two_way, folder.two_way),
            cell(file.upload, folder.upload),
        );
    }
    table
}

#[test]
fn the_documentation_has_the_table() {
    let table = printed();
    assert!(include_str!("../table.rs").contains(&table), "table.rs is to say:\n{table}");
}
