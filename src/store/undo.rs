//! Files that are kept off the disk, when files arrived, and versions that the cloud once had.

use rusqlite::{OptionalExtension, params};

use super::items::R_MTIME;
use super::lately::Sparse;
use super::{Result, Store};
use crate::id::{ContentHash, FolderId, ItemId, NodeId, VersionId};
use crate::tree::{RemoteContent, Wall};

/// Former versions remembered of one item.
const SEEN_KEPT_PER_ITEM: u32 = 50;
/// How long a former version is remembered, in milliseconds.
const SEEN_KEPT_MS: i64 = 180 * 24 * 3_600 * 1_000;

/// Why a file is kept off the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// `keep_for` is over.
    Expired,
    /// Somebody deleted it, and `on_local_delete = "accept"`.
    Deleted,
}

impl Away {
    fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Deleted => "deleted",
        }
    }

    pub(super) fn parse(word: &str) -> Self {
        if word == "expired" { Self::Expired } else { Self::Deleted }
    }
}

/// A file is kept off the disk as long as the cloud has this version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The version.
    pub version: VersionId,
    /// Why.
    pub reason: Away,
    /// Since when.
    pub at: Wall,
}

/// The tombstone of an item, by any connection.
pub(super) fn tombstone(conn: &rusqlite::Connection, node: NodeId) -> Result<Option<Tombstone>> {
    let sql = "SELECT version, reason, at FROM tombstone WHERE node = ?1";
    let found = conn.prepare_cached(sql)?.query_row([node.0], |row| {
        let reason: String = row.get(1)?;
        Ok(Tombstone {
            version: VersionId::new(row.get::<_, String>(0)?),
            reason: Away::parse(&reason),
            at: Wall(row.get(2)?),
        })
    });
    Ok(found.optional()?)
}

impl Store {
    /// The tombstone of an item.
    pub fn tombstone(&self, node: NodeId) -> Result<Option<Tombstone>> {
        if !self.lately.has_rows(&self.conn, Sparse::Tombstone)? {
            return Ok(None);
        }
        tombstone(&self.conn, node)
    }

    /// Keeps a file off the disk.
    pub fn bury(&mut self, node: NodeId, folder: FolderId, tombstone: &Tombstone) -> Result<()> {
        let sql = "INSERT INTO tombstone (node, folder, version, reason, at) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (node) DO UPDATE SET version = excluded.version, reason = excluded.reason, at = excluded.at";
        let Tombstone { version, reason, at } = tombstone;
        self.conn.prepare_cached(sql)?.execute(params![node.0, folder.0, version.as_str(), reason.word(), at.0])?;
        self.forget_arrival(node)
    }

    /// A file may be on disk again.
    pub fn unbury(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM tombstone WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// The time of a file on disk begins at `at`.
    pub fn arrived(&mut self, node: NodeId, folder: FolderId, at: Wall) -> Result<()> {
        let sql = "INSERT INTO arrival (node, folder, at) VALUES (?1, ?2, ?3)
                   ON CONFLICT (node) DO UPDATE SET at = excluded.at";
        self.conn.prepare_cached(sql)?.execute(params![node.0, folder.0, at.0])?;
        Ok(())
    }

    /// Whether the time of a file is counted.
    pub fn has_arrived(&self, node: NodeId) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM arrival WHERE node = ?1")?.exists([node.0])?)
    }

    /// The clock went back: what seems to have arrived later than now arrived now.
    pub fn clamp_arrivals(&mut self, folder: FolderId, now: Wall) -> Result<()> {
        let sql = "UPDATE arrival SET at = ?2 WHERE folder = ?1 AND at > ?2";
        self.conn.prepare_cached(sql)?.execute(params![folder.0, now.0])?;
        Ok(())
    }

    /// The arrival of a file is of no interest any more.
    pub fn forget_arrival(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM arrival WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// Files that arrived at or before a moment, oldest first.
    pub fn arrived_by(&self, folder: FolderId, by: Wall, limit: u32) -> Result<Vec<NodeId>> {
        let sql = "SELECT node FROM arrival WHERE folder = ?1 AND at <= ?2 ORDER BY at LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, by.0, limit], |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// When the file arrived that has been on disk for the longest time.
    pub fn first_arrival(&self, folder: FolderId) -> Result<Option<Wall>> {
        let sql = "SELECT min(at) FROM arrival WHERE folder = ?1";
        let at: Option<i64> = self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?;
        Ok(at.map(Wall))
    }

    /// Notes when the time began of files that were on disk before `keep_for` was set, or under another rule: with `from_change` when the
    /// cloud last changed them, else now. At most `limit` rows at a time; true if there is more to do.
    pub fn note_arrivals(&mut self, folder: FolderId, from_change: bool, now: Wall, limit: u32) -> Result<bool> {
        let basis = if from_change { "change" } else { "arrival" };
        let sql = "INSERT INTO arrival_walk (folder, at, basis) VALUES (?1, 0, ?2) ON CONFLICT (folder) DO UPDATE SET
                       at = CASE basis WHEN excluded.basis THEN at ELSE 0 END,
                       done = CASE basis WHEN excluded.basis THEN done ELSE 0 END
                   RETURNING at, done, basis";
        let (after, done, known): (i64, bool, String) = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![folder.0, basis], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if known != basis {
            self.conn.prepare_cached("DELETE FROM arrival WHERE folder = ?1")?.execute([folder.0])?;
            let sql = "UPDATE arrival_walk SET basis = ?2 WHERE folder = ?1";
            self.conn.prepare_cached(sql)?.execute(params![folder.0, basis])?;
        }
        if done {
            return Ok(false);
        }
        let sql = "SELECT max(node), count(*) FROM (SELECT node FROM item WHERE node > ?1 ORDER BY node LIMIT ?2)";
        let (last, looked): (Option<i64>, u32) =
            self.conn.prepare_cached(sql)?.query_row(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let last = last.unwrap_or(after);
        // What arrived while this went on has its own moment already, and that is no earlier than ours.
        let sql = format!(
            "INSERT INTO arrival (node, folder, at)
                   SELECT node, folder, CASE WHEN ?5 THEN min(coalesce({R_MTIME}, ?4), ?4) ELSE ?4 END FROM item
                   WHERE node > ?1 AND node <= ?2 AND folder = ?3 AND s = 1 AND s_version IS NOT NULL
                   ON CONFLICT (node) DO UPDATE SET at = max(at, excluded.at)"
        );
        self.conn.prepare_cached(&sql)?.execute(params![after, last, folder.0, now.0, from_change])?;
        let more = looked == limit;
        let sql = "UPDATE arrival_walk SET at = ?2, done = ?3 WHERE folder = ?1";
        self.conn.prepare_cached(sql)?.execute(params![folder.0, last, !more])?;
        Ok(more)
    }

    /// `keep_for` is not set (any more): should it be set again, the time begins anew.
    pub fn forget_arrivals(&mut self, folder: FolderId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM arrival_walk WHERE folder = ?1")?.execute([folder.0])?;
        Ok(())
    }

    /// Remembers a version that the cloud had until now.
    pub fn saw_version(
        &mut self,
        folder: FolderId,
        id: &ItemId,
        content: &RemoteContent,
        path: &str,
        now: Wall,
    ) -> Result<()> {
        let sql = "INSERT INTO seen_version (folder, id, version, hash, size, modified, path, at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET path = excluded.path, at = excluded.at";
        let id = id.to_string();
        self.conn.prepare_cached(sql)?.execute(params![
            folder.0,
            id,
            content.version.as_str(),
            content.hash.as_ref().map(ContentHash::to_string),
            content.size.map(|size| size as i64),
            content.modified.map(|at| at.0),
            path,
            now.0,
        ])?;
        let sql = "DELETE FROM seen_version WHERE folder = ?1 AND id = ?2 AND version IN
                   (SELECT version FROM seen_version WHERE folder = ?1 AND id = ?2 ORDER BY at DESC LIMIT -1 OFFSET ?3)";
        self.conn.prepare_cached(sql)?.execute(params![folder.0, id, SEEN_KEPT_PER_ITEM])?;
        Ok(())
    }

    /// Whether the cloud had a version of a file, and another one was seen in its place at this moment or later.
    pub fn was_replaced_since(&self, folder: FolderId, id: &ItemId, version: &VersionId, since: Wall) -> Result<bool> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM seen_version WHERE folder = ?1 AND id = ?2 AND version = ?3 AND at >= ?4)";
        let values = params![folder.0, id.to_string(), version.as_str(), since.0];
        Ok(self.conn.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// Forgets former versions that are too old, or whose folder is gone, at most `limit` of them.
    pub fn prune_seen_versions(&mut self, now: Wall, limit: u32) -> Result<()> {
        let sql = "DELETE FROM seen_version WHERE (folder, id, version) IN
                   (SELECT folder, id, version FROM seen_version WHERE at < ?1 ORDER BY at LIMIT ?2)";
        self.conn.prepare_cached(sql)?.execute(params![now.0 - SEEN_KEPT_MS, limit])?;
        let sql = "DELETE FROM arrival_walk WHERE folder NOT IN (SELECT folder FROM folder)";
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl super::query::Rows<'_> {
    /// When a file arrived on disk, in a folder with `keep_for`.
    pub fn arrived(self, node: NodeId) -> Result<Option<Wall>> {
        let sql = "SELECT at FROM arrival WHERE node = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], |row| row.get(0).map(Wall)).optional()?)
    }
}
