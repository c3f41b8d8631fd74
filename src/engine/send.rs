//! Our own writes to the cloud: each is written down before it is sent, recognised when it comes back as an event ([`mod@echoes`]), and looked
//! up when no answer came. What a change of the cloud waits for is decided here, as values; the router has it done.

use std::time::Duration;

use self::echoes::LISTING_AWAITED;
use super::aside::aside_name;
use super::codes::NAME_IN_CLOUD;
use super::ctx::Ctx;
use super::effect::{Effect, Task};
use super::sides::{name_on_disk, plan_under};
use crate::deed::{Base, Place};
use crate::id::{ItemId, JobId, NodeId, Sha256};
use crate::local_news::UploadFile;
use crate::path::Name;
use crate::plan::{Action, Policy};
use crate::provider::{Expected, UploadTarget};
use crate::settings::Mode;
use crate::store::items::{ItemRow, LocalRow, Presence};
use crate::store::sent::Write;
use crate::store::work::WorkRow;
use crate::store::{DEEPEST_PATH, Result};

pub(in crate::engine) mod answers;
pub(in crate::engine) mod echoes;
pub(in crate::engine) mod hopes;
pub(in crate::engine) mod whole;

/// How long a write rests whose place seems to lie in itself, some way up.
pub(in crate::engine) const CIRCLE_RETRIED_AFTER: Duration = Duration::from_secs(30);

/// Why a change of the cloud cannot be believed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Unready {
    /// It is of something new that came and went in the cloud before both agreed on it.
    CameAndWent,
    /// Scans may yet show that it was only moved: it is looked at after this time.
    MayBeMoved(Duration),
    /// It is of a directory that cannot be read, which would tell whether anything in it is for the cloud.
    Unreadable,
}

/// Why a change of the cloud cannot be believed yet, in a folder of which directories are being scanned or not; nothing if it can.
pub(in crate::engine) fn unready(
    ctx: &Ctx,
    item: &ItemRow,
    action: &Action,
    is_being_scanned: bool,
) -> Result<Option<Unready>> {
    if matches!(action, Action::Upload { .. } | Action::MakeRemote { .. }) && !item.is_local_only() {
        return Ok(Some(Unready::CameAndWent));
    }
    let is_trash = matches!(action, Action::Trash(_));
    // It may only have moved to where nobody could look.
    let is_hoped_for = is_trash && ctx.store.scan_hoped_for(item.folder, ctx.now.mono)?;
    let scans_left = is_hoped_for || is_being_scanned || ctx.store.scan_left(item.folder)?;
    // A deletion waits until nothing can show that it was a move.
    if scans_left && (is_trash || hopes::may_be_moved(ctx, item)) {
        return Ok(Some(Unready::MayBeMoved(hopes::looked_after(ctx, item))));
    }
    let is_unreadable = matches!(action, Action::MakeRemote { .. }) && ctx.store.scan_attempts(item.node)? > 0;
    Ok(is_unreadable.then_some(Unready::Unreadable))
}

/// The missing file whose content something new has, with what the disk has of it: that one was moved by being copied and removed, as between
/// filesystems, and goes on under its own id.
pub(in crate::engine) fn moved_copy_of(
    ctx: &Ctx,
    policy: Policy,
    item: &ItemRow,
    is_busy: impl Fn(NodeId) -> bool,
) -> Result<Option<(ItemRow, LocalRow)>> {
    let Some(local @ LocalRow::Present { seat: Some(_), edit: Some(edit), .. }) = &item.local else {
        return Ok(None);
    };
    let Some((sha256, _)) = edit.digests.as_ref().filter(|_| edit.stamp.size > 0) else { return Ok(None) };
    let Some(gone) = ctx.store.missing_content(item.folder, sha256)? else { return Ok(None) };
    let is_free = matches!(plan_under(policy, &gone), Action::Trash(_))
        && !is_busy(gone.node)
        && ctx.store.sent_of(gone.node)?.is_none()
        && ctx.store.sent_of(item.node)?.is_none();
    Ok(is_free.then(|| (gone, local.clone())))
}

/// The folder that an item is to be in in the cloud, if it is to come or to move.
pub(in crate::engine) fn target(action: &Action) -> Option<NodeId> {
    match action {
        Action::Upload { parent, .. } | Action::MakeRemote { parent, .. } | Action::MoveRemote { parent, .. } => {
            Some(*parent)
        }
        _ => None,
    }
}

/// Whether the folder that an item is to be in can take it.
#[derive(Debug)]
pub(in crate::engine) enum Above {
    /// It can.
    Ready,
    /// We do not know it any more: scans tell where the item is.
    Lost,
    /// The cloud does not have it.
    NotThere(Box<ItemRow>),
    /// The item was refused, and the listing of it tells why: it is looked at after this time.
    Listed(Duration),
}

/// Whether the folder that an item is to be in can take it.
pub(in crate::engine) fn above(ctx: &Ctx, parent: NodeId, work: &WorkRow) -> Result<Above> {
    let Some(above) = ctx.store.item(parent)? else { return Ok(Above::Lost) };
    if above.remote.presence != Presence::Present {
        return Ok(Above::NotThere(Box::new(above)));
    }
    let is_awaited = work.attempts > 0 && ctx.store.listing_wanted(parent)?;
    Ok(if is_awaited { Above::Listed(LISTING_AWAITED) } else { Above::Ready })
}

/// Whether others threw a folder of an upload folder away, which is made again if the disk has something that is to be in it.
pub(in crate::engine) fn is_made_again(policy: Policy, above: &ItemRow) -> bool {
    above.remote.presence == Presence::Absent && plan_under(policy, above) == Action::Leave
}

/// What becomes of a folder that the disk put into what the cloud put into it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Untangled {
    /// A problem, with this code and text.
    Refused(&'static str, &'static str),
    /// The cloud's place wins: the disk follows to it.
    Follows(NodeId, Name),
    /// It has no place to follow to.
    Stays,
}

/// What becomes of a folder that the disk put into what the cloud put into it.
pub(in crate::engine) fn untangled(policy: Policy, item: &ItemRow) -> Untangled {
    if policy.mode == Mode::Upload {
        let text = "in the cloud the folder that is to hold it lies in it; move one of the two";
        return Untangled::Refused(NAME_IN_CLOUD, text);
    }
    match item.remote.parent {
        Some(parent) => Untangled::Follows(parent, name_on_disk(item).name().clone()),
        None => Untangled::Stays,
    }
}

/// What is under way for a missing item that stands elsewhere on disk as something new, and reaches the cloud by itself.
pub(in crate::engine) fn goes_up_elsewhere(ctx: &Ctx, as_synced: &ItemRow) -> Result<Option<ItemRow>> {
    let Some(stamp) = as_synced.disk_stamp().filter(|stamp| stamp.ino != 0) else { return Ok(None) };
    let Some(found) = ctx.store.new_inode(as_synced.folder, &stamp)? else { return Ok(None) };
    Ok(ctx.store.sent_of(found.node)?.is_some().then_some(found))
}

/// What a folder that goes into the trash in parts does about something that is in it.
#[derive(Debug)]
pub(in crate::engine) enum Child {
    /// Nothing: that is gone by now.
    Gone,
    /// It waits for that.
    Awaited(Box<ItemRow>),
    /// It comes back for that: somebody changed it.
    Changed,
}

/// What a folder that goes into the trash in parts does about something that is in it.
pub(in crate::engine) fn about_child(ctx: &Ctx, policy: Policy, child: NodeId) -> Result<Child> {
    let Some(child) = ctx.store.item(child)? else { return Ok(Child::Gone) };
    // An event told something of it, or a write of ours is not answered yet: whether somebody changed it is known after that.
    let is_open = ctx.store.work(child.node)?.is_some_and(|theirs| theirs.mark.is_some())
        || ctx.store.sent_of(child.node)?.is_some();
    let is_changed = !is_open && brings_back(&plan_under(policy, &child));
    Ok(if is_changed { Child::Changed } else { Child::Awaited(Box::new(child)) })
}

/// Whether what is planned for something brings the folder back that holds it and that the disk lost.
fn brings_back(plan: &Action) -> bool {
    matches!(
        plan,
        Action::Fetch { .. }
            | Action::MakeFolder { .. }
            | Action::Move { .. }
            | Action::Redownload
            | Action::Agree
            | Action::InSync
            | Action::Update
            | Action::Leave
    )
}

/// What an item is to be called in the cloud; nothing if the cloud cannot call it so.
pub(in crate::engine) fn remote_name(item: &ItemRow, action: &Action) -> Option<String> {
    let (Action::Upload { name, .. } | Action::MakeRemote { name, .. } | Action::MoveRemote { name, .. }) = action
    else {
        return Some(item.remote.name.clone());
    };
    // One whose name the disk cannot hold keeps the cloud's when it only moves.
    if item.remote.presence == Presence::Present && name_on_disk(item).name() == name {
        return Some(item.remote.name.clone());
    }
    std::str::from_utf8(name.as_bytes()).ok().map(str::to_owned)
}

/// How many bytes are sent for an action; nothing if it sends no content.
pub(in crate::engine) fn bytes_sent(item: &ItemRow, action: &Action) -> Option<u64> {
    let sends = matches!(action, Action::Upload { .. } | Action::Update);
    sends.then(|| item.local.as_ref().and_then(LocalRow::edit).map_or(0, |edit| edit.stamp.size))
}

/// What is sent for an action, as it is written down and as it is ordered; nothing if it cannot be sent now. A chunked upload that was begun
/// goes on. One that moves may have to step aside for another first: that is asked once.
pub(in crate::engine) fn write_of(
    ctx: &mut Ctx,
    policy: Policy,
    item: &ItemRow,
    action: &Action,
    session: Option<String>,
    steps_aside: impl FnOnce() -> bool,
) -> Result<Option<(Write, Task)>> {
    let Some(called) = remote_name(item, action) else { return Ok(None) };
    let expected = Expected {
        version: item.remote.content.as_ref().map(|content| content.version.clone()),
        etag: item.remote.etag.clone(),
    };
    Ok(match action {
        Action::Upload { parent, name } => {
            let Some(above) = id_in_cloud(ctx, *parent)? else { return Ok(None) };
            let target = UploadTarget::New { parent: above, name: called };
            upload_of(ctx, item, target, session)?.map(|(file, sha256)| {
                let stamp = file.stamp;
                let hash = file.digests.as_ref().map(|(_, hash)| hash.clone());
                let write = Write::Upload { parent: *parent, name: name.clone(), sha256, hash, stamp };
                (write, Task::Upload(item.folder, Box::new(file)))
            })
        }
        Action::Update => {
            let after = expected.version.clone();
            let target = UploadTarget::Version { file: item.id.clone(), expected };
            upload_of(ctx, item, target, session)?.map(|(file, sha256)| {
                let stamp = file.stamp;
                let hash = file.digests.as_ref().map(|(_, hash)| hash.clone());
                (Write::Update { after, sha256, hash, stamp }, Task::Upload(item.folder, Box::new(file)))
            })
        }
        Action::MakeRemote { parent, name } => id_in_cloud(ctx, *parent)?.map(|above| {
            let write = Write::MakeFolder { parent: *parent, name: name.clone() };
            (write, Task::MakeFolder { parent: above, name: called })
        }),
        Action::MoveRemote { parent, name } => {
            let aside = steps_aside();
            let parent = if aside { aside_in(ctx, policy, item, *parent)? } else { *parent };
            let Some(above) = id_in_cloud(ctx, parent)? else { return Ok(None) };
            let (name, called) = if aside {
                let text = aside_name(ctx.store.next_job()?);
                (Name::new(text.as_bytes()).unwrap_or_else(|_| name.clone()), text)
            } else {
                (name.clone(), called)
            };
            let write = Write::Relocate { parent, name, aside };
            Some((write, Task::Relocate { item: item.id.clone(), parent: above, name: called, expected }))
        }
        Action::Trash(_) => Some((Write::Trash, Task::Trash { item: item.id.clone(), expected })),
        _ => None,
    })
}

/// The id of a folder that the cloud has.
fn id_in_cloud(ctx: &Ctx, folder: NodeId) -> Result<Option<ItemId>> {
    let folder = ctx.store.item(folder)?;
    Ok(folder.filter(|folder| folder.remote.presence == Presence::Present).map(|folder| folder.id))
}

fn upload_of(
    ctx: &mut Ctx,
    item: &ItemRow,
    target: UploadTarget,
    session: Option<String>,
) -> Result<Option<(UploadFile, Sha256)>> {
    let Some(edit) = item.local.as_ref().and_then(LocalRow::edit) else { return Ok(None) };
    let Some((sha256, hash)) = edit.digests.clone() else { return Ok(None) };
    let Some(Place { base: Base::Tree, path }) = ctx.place(item.node)? else { return Ok(None) };
    let file = UploadFile { path, stamp: edit.stamp, target, digests: Some((sha256, hash)), session };
    Ok(Some((file, sha256)))
}

/// A chunked upload exists: it is durable before its first part is sent.
pub(in crate::engine) fn session_begun(ctx: &mut Ctx, job: JobId, session: &str) -> Result<()> {
    ctx.store.set_session(job, session)?;
    ctx.out.push(Effect::SessionKept(job));
    Ok(())
}

/// The folder in which an item steps aside that is to be in another one: its own, unless that waits to be empty, to go into the trash. There it
/// would still be in the way. It is the other one then, or as long as the cloud does not have that, the first above its own.
///
/// Example: `mv a/f b/c/f; rmdir a; mv b a` on disk. `c` waits for the new `a`, that for the old one to go, and that for `f`, which does not
/// wait for `c`.
fn aside_in(ctx: &Ctx, policy: Policy, item: &ItemRow, target: NodeId) -> Result<NodeId> {
    let stays = |folder: &ItemRow| !matches!(plan_under(policy, folder), Action::Trash(_));
    let own = item.remote.parent.map(|own| ctx.store.item(own)).transpose()?.flatten();
    if own.is_none() || id_in_cloud(ctx, target)?.is_some() {
        return Ok(own.filter(stays).map_or(target, |own| own.node));
    }
    let mut at = own;
    for _ in 0..DEEPEST_PATH {
        let Some(folder) = at else { break };
        if stays(&folder) {
            return Ok(folder.node);
        }
        at = folder.remote.parent.map(|above| ctx.store.item(above)).transpose()?.flatten();
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{FolderId, ItemKind};
    use crate::store::items::{LocalEdit, RemoteRow};
    use crate::tree::{Stamp, Wall};

    const PARENT: NodeId = NodeId(1);

    fn name(text: &[u8]) -> Name {
        Name::new(text).unwrap()
    }

    fn item(presence: Presence, called: &str) -> ItemRow {
        let edit = LocalEdit { stamp: Stamp { size: 3, ..Stamp::NONE }, digests: None };
        ItemRow {
            node: NodeId(2),
            folder: FolderId(1),
            id: ItemId::folder("2"),
            remote: RemoteRow {
                presence,
                parent: Some(PARENT),
                name: called.into(),
                content: None,
                etag: None,
                sequence: None,
                seen: 0,
            },
            synced: None,
            local: Some(LocalRow::Present { seat: Some((PARENT, name(b"a"))), edit: Some(edit), at: Wall(0) }),
        }
    }

    #[test]
    fn the_cloud_is_told_a_name_that_it_can_hold() {
        let here = item(Presence::Present, "a");
        let moves = |to: &[u8]| Action::MoveRemote { parent: PARENT, name: name(to) };
        assert_eq!(remote_name(&here, &moves(b"b")).as_deref(), Some("b"));
        assert_eq!(remote_name(&here, &moves(b"\xff")), None);
        assert_eq!(remote_name(&here, &Action::Trash(ItemKind::Folder)).as_deref(), Some("a"), "it keeps its own");
        // The disk has it under another name, which says nothing about what it is to be called.
        let odd = item(Presence::Present, "a/b");
        let mapped = name_on_disk(&odd).name().clone();
        let only_moves = Action::MoveRemote { parent: NodeId(9), name: mapped.clone() };
        assert_eq!(remote_name(&odd, &only_moves).as_deref(), Some("a/b"));
        let new = item(Presence::Absent, "a/b");
        let made = Action::MakeRemote { parent: PARENT, name: mapped.clone() };
        assert_eq!(remote_name(&new, &made), Some(mapped.to_text()));
    }

    #[test]
    fn a_folder_that_is_to_go_comes_back_for_what_somebody_changed_in_it() {
        let place = || (PARENT, name(b"a"));
        let (parent, called) = place();
        let brings = [
            Action::Fetch { parent, name: called.clone() },
            Action::Move { parent, name: called.clone() },
            Action::Redownload,
            Action::Update,
            Action::Leave,
            Action::InSync,
        ];
        assert!(brings.iter().all(brings_back));
        let goes = [
            Action::Trash(ItemKind::File),
            Action::Remove(ItemKind::File),
            Action::MoveRemote { parent, name: called },
            Action::Forget,
            Action::Read,
        ];
        assert!(!goes.iter().any(brings_back), "it goes by itself, or is decided about first");
    }

    #[test]
    fn a_folder_in_itself_follows_the_cloud_where_the_disk_may_be_changed() {
        let policy = |mode| Policy { mode, ..Policy::default() };
        let here = item(Presence::Present, "a");
        assert_eq!(untangled(policy(Mode::TwoWay), &here), Untangled::Follows(PARENT, name(b"a")));
        assert!(matches!(untangled(policy(Mode::Upload), &here), Untangled::Refused(NAME_IN_CLOUD, _)));
        let mut nowhere = here;
        nowhere.remote.parent = None;
        assert_eq!(untangled(policy(Mode::TwoWay), &nowhere), Untangled::Stays);
    }

    #[test]
    fn only_what_has_content_takes_up_a_transfer() {
        let here = item(Presence::Absent, "a");
        assert_eq!(bytes_sent(&here, &Action::Update), Some(3));
        assert_eq!(bytes_sent(&here, &Action::Upload { parent: PARENT, name: name(b"a") }), Some(3));
        assert_eq!(bytes_sent(&here, &Action::MakeRemote { parent: PARENT, name: name(b"a") }), None);
        assert_eq!(target(&Action::Update), None, "a new version stays where it is");
        assert_eq!(target(&Action::MoveRemote { parent: PARENT, name: name(b"a") }), Some(PARENT));
    }
}
