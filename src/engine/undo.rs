//! Files that are kept off the disk although the cloud has them, versions that the cloud had, and bringing back what was kept away.

use std::path::Path;

use super::ctx::Ctx;
use crate::command::Answer;
use crate::id::{FolderId, ItemKind, NodeId};
use crate::plan::Action;
use crate::settings::{FolderSettings, Mode, OnLocalDelete};
use crate::store::Result;
use crate::store::items::{ItemRow, SeatRow};
use crate::store::undo::{Away, Tombstone};
use crate::store::work::{Ask, Priority};

/// What a tombstone means for an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Verdict {
    /// Nothing any more: there is a new version, or the file is on disk again.
    Over,
    /// The local copy goes.
    Remove,
    /// It stays away.
    Stay,
}

/// A tombstone holds as long as the cloud has the version that it names.
fn verdict(tombstone: &Tombstone, item: &ItemRow) -> Verdict {
    let remote = item.remote.content.as_ref().map(|content| &content.version);
    match (remote == Some(&tombstone.version), &item.synced, tombstone.reason) {
        (false, ..) | (true, Some(_), Away::Deleted) => Verdict::Over,
        (true, Some(_), Away::Expired) => Verdict::Remove,
        (true, None, _) => Verdict::Stay,
    }
}

/// What the tombstone of an item that would be fetched, or left as it is, means for it; nothing if it has none.
pub(in crate::engine) fn verdict_on(ctx: &Ctx, item: &ItemRow, plan: &Action) -> Result<Option<Verdict>> {
    if item.id.kind() != ItemKind::File || !matches!(plan, Action::Fetch { .. } | Action::InSync | Action::Acknowledge)
    {
        return Ok(None);
    }
    Ok(ctx.store.tombstone(item.node)?.map(|tombstone| verdict(&tombstone, item)))
}

/// Keeps a file whose time was over, if it is one, as it turned out to be edited and edits are kept. Whether it was.
pub(in crate::engine) fn spare_expired(ctx: &mut Ctx, item: &ItemRow) -> Result<bool> {
    let is_expired = ctx.store.tombstone(item.node)?.is_some_and(|tombstone| tombstone.reason == Away::Expired);
    if is_expired {
        ctx.store.unbury(item.node)?;
    }
    Ok(is_expired)
}

/// A file that we had put on disk was deleted there. If the folder accepts that, it stays away until a new version arrives; says
/// whether it does.
pub(in crate::engine) fn accept_deletion(ctx: &mut Ctx, settings: &FolderSettings, item: &ItemRow) -> Result<bool> {
    let accepts = settings.mode == Mode::Mirror && settings.on_local_delete == OnLocalDelete::Accept;
    let synced = item.synced.as_ref().filter(|synced| accepts && matches!(synced.seat, SeatRow::At { .. }));
    let Some(content) = synced.and_then(|synced| synced.content.as_ref()) else { return Ok(false) };
    if ctx.store.tombstone(item.node)?.is_none() {
        let tombstone = Tombstone { version: content.version.clone(), reason: Away::Deleted, at: ctx.now.wall };
        ctx.store.bury(item.node, item.folder, &tombstone)?;
    }
    Ok(true)
}

/// Remembers the version that the cloud had of a file until now.
pub(in crate::engine) fn remember_version(ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
    let Some(content) = &item.remote.content else { return Ok(()) };
    let path = ctx.shown_path(item)?;
    ctx.store.saw_version(item.folder, &item.id, content, &path, ctx.now.wall)
}

/// A watched folder, as far as it tells which item a path on disk is.
pub(in crate::engine) struct Watched<'a> {
    pub id: FolderId,
    pub root: Option<NodeId>,
    pub local: &'a Path,
}

/// Brings back the file of a path that is kept off the disk.
pub(in crate::engine) fn lift_tombstone<'a>(
    ctx: &mut Ctx,
    folders: impl IntoIterator<Item = Watched<'a>>,
    path: &str,
) -> Result<Answer> {
    let asked = Path::new(path);
    let found = folders.into_iter().find_map(|folder| Some((asked.strip_prefix(folder.local).ok()?, folder)));
    let Some((below, id, root)) = found.and_then(|(below, folder)| Some((below, folder.id, folder.root?))) else {
        return Ok(Answer::NotFound { message: format!("{path} lies in no watched folder") });
    };
    let names: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let node = ctx.store.reader().item_in_cloud(root, &names)?;
    let away = match node {
        Some(node) => ctx.store.tombstone(node)?.map(|_| node),
        None => None,
    };
    let Some(node) = away else {
        return Ok(Answer::Refused { message: format!("{path} is not kept off the disk") });
    };
    ctx.store.unbury(node)?;
    // Whatever its age: its time begins anew.
    ctx.store.arrived(node, id, ctx.now.wall)?;
    ctx.store.mark(node, id, Priority::News, Ask::Nothing, None, ctx.now.wall)?;
    ctx.more = true;
    Ok(Answer::Ok { message: format!("{path} is fetched from the cloud again") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ItemId, VersionId};
    use crate::path::Name;
    use crate::store::items::{Presence, RemoteRow, SyncedRow};
    use crate::tree::{RemoteContent, Stamp, SyncedContent, Wall};

    fn item(remote: &str, synced: Option<&str>) -> ItemRow {
        let stamp = Stamp { dev: 1, ino: 1, size: 1, mtime_ns: 1, ctime_ns: 1 };
        ItemRow {
            node: NodeId(2),
            folder: FolderId(1),
            id: ItemId::file("2"),
            remote: RemoteRow {
                presence: Presence::Present,
                parent: Some(NodeId(1)),
                name: "a".into(),
                content: Some(RemoteContent {
                    version: VersionId::new(remote),
                    hash: None,
                    size: None,
                    modified: None,
                }),
                etag: None,
                sequence: None,
                seen: 0,
            },
            synced: synced.map(|version| SyncedRow {
                seat: SeatRow::At { parent: NodeId(1), name: Name::new(b"a").unwrap() },
                content: Some(SyncedContent { version: VersionId::new(version), hash: None, sha256: None, size: 1 }),
                stamp,
            }),
            local: None,
        }
    }

    #[test]
    fn a_tombstone_lasts_until_a_new_version_arrives() {
        let buried = |reason| Tombstone { version: VersionId::new("v1"), reason, at: Wall(0) };
        for reason in [Away::Expired, Away::Deleted] {
            assert_eq!(verdict(&buried(reason), &item("v1", None)), Verdict::Stay);
            assert_eq!(verdict(&buried(reason), &item("v2", None)), Verdict::Over);
            assert_eq!(verdict(&buried(reason), &item("v2", Some("v1"))), Verdict::Over);
        }
        assert_eq!(verdict(&buried(Away::Expired), &item("v1", Some("v1"))), Verdict::Remove);
        assert_eq!(verdict(&buried(Away::Deleted), &item("v1", Some("v1"))), Verdict::Over, "it is there again");
    }
}
