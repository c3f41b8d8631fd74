//! Reports on contents that can be brought back, and the rows that a verification compares.

use rusqlite::params;
use rusqlite::types::ValueRef;

use super::items::{self, ItemRow, digest, packed};
use super::query::Rows;
use super::undo::{self, Tombstone};
use super::{Result, StoreError};
use crate::deed::KeptAt;
use crate::id::{ContentHash, FolderId, ItemId, JobId, NodeId, VersionId};
use crate::path::Name;
use crate::tree::Wall;

/// The most versions of one item that a report names, of each kind.
const VERSIONS_MOST: u32 = 200;
/// The most items that one path is remembered to have been.
const ITEMS_AT_PATH_MOST: u32 = 20;

/// A content in the version store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// Where it lies.
    pub at: KeptAt,
    /// Where it was on disk.
    pub path: String,
    /// Why it left.
    pub reason: String,
    /// The provider's version, unless it was edited.
    pub version: Option<VersionId>,
    /// Its digest, where it is written down with it.
    pub hash: Option<ContentHash>,
    /// Bytes.
    pub size: u64,
    /// When it was written, where that is written down with it.
    pub modified: Option<Wall>,
    /// When it left.
    pub since: Wall,
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
                at: KeptAt::alone(JobId(row.get(0)?)),
                path: row.get(1)?,
                reason: row.get(2)?,
                version: row.get::<_, Option<String>>(3)?.map(VersionId::new),
                hash: None,
                size: row.get::<_, i64>(4)?.max(0) as u64,
                modified: None,
                since: Wall(row.get(5)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The contents of an item that went into the version store with its directory when it was at a path, newest first.
    pub fn kept_whole(self, folder: FolderId, path: &str, id: &ItemId) -> Result<Vec<KeptRow>> {
        let Some((dir, name)) = path.rsplit_once('/') else { return Ok(Vec::new()) };
        let sql = "SELECT v.job, f.name, v.reason, f.version, f.hash, f.size, f.modified, v.at
                   FROM version v JOIN kept_file f ON f.job = v.job
                   WHERE v.folder = ?1 AND v.path = ?2 AND v.files IS NOT NULL AND v.dropped IS NULL
                       AND (f.name = CAST(?3 AS BLOB) OR f.shown = ?3) AND f.id = ?4
                   ORDER BY v.at DESC, v.job DESC LIMIT ?5";
        let mut statement = self.conn.prepare_cached(sql)?;
        let values = params![folder.0, dir, name, packed::id(id), VERSIONS_MOST];
        let mut rows = statement.query(values)?;
        let mut kept = Vec::new();
        while let Some(row) = rows.next()? {
            let name =
                Name::new(row.get_ref(1)?.as_blob().map_err(StoreError::damaged)?).map_err(StoreError::damaged)?;
            kept.push(KeptRow {
                at: KeptAt { job: JobId(row.get(0)?), inside: Some(name) },
                path: path.to_owned(),
                reason: row.get(2)?,
                version: packed::read_version(row.get_ref(3)?)?,
                hash: digest::read(row.get_ref(4)?)?,
                size: row.get::<_, i64>(5)?.max(0) as u64,
                modified: row.get::<_, Option<i64>>(6)?.map(Wall),
                since: Wall(row.get(7)?),
            });
        }
        Ok(kept)
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
        let sql = "SELECT id FROM (SELECT id, at FROM version
                                   WHERE folder = ?1 AND path = ?2 AND files IS NULL AND dropped IS NULL
                   UNION ALL SELECT id, at FROM seen_version WHERE folder = ?1 AND path = ?2
                   UNION ALL SELECT f.id, v.at FROM version v JOIN kept_file f ON f.job = v.job
                             WHERE v.folder = ?1 AND v.path = ?3 AND v.files IS NOT NULL AND v.dropped IS NULL
                                 AND (f.name = CAST(?4 AS BLOB) OR f.shown = ?4))
                   GROUP BY id ORDER BY max(at) DESC LIMIT ?5";
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut statement = self.conn.prepare_cached(sql)?;
        let values = params![folder.0, path, dir, name, ITEMS_AT_PATH_MOST];
        let mut rows = statement.query(values)?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            let item = match row.get_ref(0)? {
                packed @ ValueRef::Blob(_) => Some(packed::read_id(packed)?),
                text => text.as_str().ok().and_then(|text| text.parse().ok()),
            };
            items.extend(item.filter(|item| !items.contains(item)));
        }
        Ok(items)
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
