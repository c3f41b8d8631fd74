//! Files that are kept off the disk although the cloud has them, versions that the cloud had, and bringing back what was kept away.

use std::path::Path;

use super::Engine;
use super::disk::Want;
use crate::command::Answer;
use crate::id::{FolderId, ItemKind};
use crate::plan::Action;
use crate::settings::{Mode, OnLocalDelete};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, SeatRow};
use crate::store::undo::{Away, Tombstone};
use crate::store::work::{Ask, Lane, WorkRow};
use crate::tree::Wall;

/// What a tombstone means for an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
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

impl Engine {
    /// Whether an item that would be fetched, or left as it is, is to be away from the disk. If so, everything is arranged.
    pub(super) fn stays_away(&mut self, item: &ItemRow, work: &WorkRow, plan: &Action) -> Result<bool> {
        if item.id.kind() != ItemKind::File || !matches!(plan, Action::Fetch { .. } | Action::Settle) {
            return Ok(false);
        }
        let Some(tombstone) = self.ctx.store.tombstone(item.node)? else {
            if matches!(plan, Action::Fetch { .. }) && self.expires_unfetched(item)? {
                self.settle(item, work)?;
                return Ok(true);
            }
            return Ok(false);
        };
        match verdict(&tombstone, item) {
            Verdict::Over => {
                self.ctx.store.unbury(item.node)?;
                Ok(false)
            }
            Verdict::Remove => {
                self.want(item, work, Want::RemoveFile)?;
                Ok(true)
            }
            Verdict::Stay => {
                self.settle(item, work)?;
                Ok(true)
            }
        }
    }

    /// Whether a file whose time was over turned out to be edited, and edits are kept: it stays, and its time begins anew.
    pub(super) fn spare_edited(&mut self, item: &ItemRow) -> Result<bool> {
        if self.ctx.store.tombstone(item.node)?.is_none_or(|tombstone| tombstone.reason != Away::Expired) {
            return Ok(false);
        }
        self.ctx.store.unbury(item.node)?;
        self.note_arrival(item.folder, item.node)?;
        Ok(true)
    }

    /// What we had put on disk is not there (any more).
    pub(super) fn missing_on_disk(&mut self, item: &ItemRow) -> Result<()> {
        // What something else stands in the place of was not deleted.
        if !matches!(item.local, Some(LocalRow::Covered { .. })) {
            self.accept_deletion(item)?;
        }
        self.put_synced(item, None)
    }

    /// A file that we had put on disk was deleted there. If the folder accepts that, it stays away until a new version arrives; says
    /// whether it does.
    pub(super) fn accept_deletion(&mut self, item: &ItemRow) -> Result<bool> {
        let accepts = self.folders.get(&item.folder).is_some_and(|folder| {
            folder.settings.mode == Mode::Mirror && folder.settings.on_local_delete == OnLocalDelete::Accept
        });
        let Some(synced) = item.synced.as_ref().filter(|synced| accepts && matches!(synced.seat, SeatRow::At { .. }))
        else {
            return Ok(false);
        };
        let Some(content) = &synced.content else { return Ok(false) };
        if self.ctx.store.tombstone(item.node)?.is_none() {
            let tombstone =
                Tombstone { version: content.version.clone(), reason: Away::Deleted, at: self.ctx.now.wall };
            self.ctx.store.bury(item.node, item.folder, &tombstone)?;
        }
        Ok(true)
    }

    /// Remembers the version that the cloud had of a file until now.
    pub(super) fn remember_version(&mut self, item: &ItemRow) -> Result<()> {
        let Some(content) = &item.remote.content else { return Ok(()) };
        let path = self.shown_path(item)?;
        let now: Wall = self.ctx.now.wall;
        self.ctx.store.saw_version(item.folder, &item.id, content, &path, now)
    }

    /// Brings back a file that is kept off the disk.
    pub(super) fn lift_tombstone(&mut self, path: &str) -> Result<Answer> {
        let asked = Path::new(path);
        let found = self.folders.iter().find(|(_, folder)| asked.starts_with(&folder.settings.local));
        let Some((id, root, below)) = found.and_then(|(id, folder)| {
            Some((*id, folder.row.root?, asked.strip_prefix(&folder.settings.local).ok()?.to_owned()))
        }) else {
            return Ok(Answer::NotFound { message: format!("{path} lies in no watched folder") });
        };
        let names: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let node = self.ctx.store.reader().item_in_cloud(root, &names)?;
        let away = match node {
            Some(node) => self.ctx.store.tombstone(node)?.map(|_| node),
            None => None,
        };
        let Some(node) = away else {
            return Ok(Answer::Refused { message: format!("{path} is not kept off the disk") });
        };
        self.ctx.store.unbury(node)?;
        // Whatever its age: its time begins anew.
        self.ctx.store.arrived(node, id, self.ctx.now.wall)?;
        self.mark_restored(id, node)?;
        Ok(Answer::Ok { message: format!("{path} is fetched from the cloud again") })
    }

    fn mark_restored(&mut self, id: FolderId, node: crate::id::NodeId) -> Result<()> {
        self.ctx.store.mark(node, id, Lane::News, Ask::Nothing, None, self.ctx.now.wall)?;
        self.ctx.more = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ItemId, NodeId, VersionId};
    use crate::path::Name;
    use crate::store::items::{Presence, RemoteRow, SyncedRow};
    use crate::tree::{RemoteContent, Stamp, SyncedContent};

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
