//! Reports on contents that can be brought back, and the rows that a verification compares.

use rusqlite::params;

use super::Result;
use super::items::{self, ItemRow};
use super::query::Rows;
use super::undo::{self, Tombstone};
use crate::id::{ContentHash, FolderId, ItemId, JobId, NodeId, VersionId};
use crate::tree::Wall;

/// The most versions of one item that a report names, of each kind.
const VERSIONS_MOST: u32 = 200;
/// The most items that one path is remembered to have been.
const ITEMS_AT_PATH_MOST: u32 = 20;

/// A content in the version store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// The job that names it.
    pub job: JobId,
    /// Where it was on disk.
    pub path: String,
    /// Why it left.
    pub reason: String,
    /// The provider's version, unless it was edited.
    pub version: Option<VersionId>,
    /// Bytes.
    pub size: u64,
    /// When it left.
    pub at: Wall,
}

/// A version that the cloud once had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRow {
    /// The version.
    pub version: VersionId,
    /// Its digest.
    pub hash: Option<ContentHash>,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was written.
    pub modified: Option<Wall>,
    /// When it ceased to be the present one.
    pub at: Wall,
}

impl Rows<'_> {
    /// The contents of an item in the version store, newest first.
    pub fn kept_of(self, folder: FolderId, id: &ItemId) -> Result<Vec<KeptRow>> {
        let sql = "SELECT job, path, reason, version, size, at FROM version
                   WHERE folder = ?1 AND id = ?2 AND dropped IS NULL ORDER BY at DESC, job DESC LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, id.to_string(), VERSIONS_MOST], |row| {
            Ok(KeptRow {
                job: JobId(row.get(0)?),
                path: row.get(1)?,
                reason: row.get(2)?,
                version: row.get::<_, Option<String>>(3)?.map(VersionId::new),
                size: row.get::<_, i64>(4)?.max(0) as u64,
                at: Wall(row.get(5)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The former versions of an item, newest first.
    pub fn seen_of(self, folder: FolderId, id: &ItemId) -> Result<Vec<SeenRow>> {
        let sql = "SELECT version, hash, size, modified, at FROM seen_version
                   WHERE folder = ?1 AND id = ?2 ORDER BY at DESC LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, id.to_string(), VERSIONS_MOST], |row| {
            Ok(SeenRow {
                version: VersionId::new(row.get::<_, String>(0)?),
                hash: row.get::<_, Option<String>>(1)?.map(ContentHash::from),
                size: row.get::<_, Option<i64>>(2)?.map(|size| size.max(0) as u64),
                modified: row.get::<_, Option<i64>>(3)?.map(Wall),
                at: Wall(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The items that were at a path when a version of theirs was kept or seen, latest first.
    pub fn items_once_at(self, folder: FolderId, path: &str) -> Result<Vec<ItemId>> {
        let sql = "SELECT id FROM (SELECT id, at FROM version WHERE folder = ?1 AND path = ?2 AND dropped IS NULL
                   UNION ALL SELECT id, at FROM seen_version WHERE folder = ?1 AND path = ?2)
                   GROUP BY id ORDER BY max(at) DESC LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, path, ITEMS_AT_PATH_MOST], |row| row.get::<_, String>(0))?;
        let texts: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
    }

    /// Why an item is kept off the disk, if it is.
    pub fn tombstone(self, node: NodeId) -> Result<Option<Tombstone>> {
        undo::tombstone(self.conn, node)
    }

    /// Everything that the cloud has in a folder, or the disk has in its directory, as far as the agent knows.
    pub fn children(self, parent: NodeId) -> Result<Vec<ItemRow>> {
        let sql = "SELECT node FROM item WHERE r_parent = ?1
                   UNION SELECT node FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1
                   UNION SELECT node FROM item WHERE s = 1 AND away = 1 AND s_parent = ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let nodes = statement.query_map([parent.0], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut rows = Vec::with_capacity(nodes.len());
        for node in nodes {
            rows.extend(items::load(self.conn, NodeId(node))?);
        }
        Ok(rows)
    }
}
