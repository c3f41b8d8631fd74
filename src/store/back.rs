//! Directories of the version stores that come back whole.

use rusqlite::{OptionalExtension, params};

use super::items::{digest, packed};
use super::lately::Sparse;
use super::{Result, Store, StoreError};
use crate::deed::Holding;
use crate::id::{FolderId, ItemId, JobId, NodeId, Sha256};
use crate::path::Name;
use crate::tree::{Stamp, SyncedContent};

/// A file of a directory that was kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Its name in the directory.
    pub name: Name,
    /// The item.
    pub id: ItemId,
    /// Its content.
    pub content: SyncedContent,
    /// Its stamp; the device is not known.
    pub stamp: Stamp,
}

impl Store {
    /// The number under which a directory is kept, if it is; the one that came last.
    pub fn kept_dir(&self, folder: FolderId, dir: &ItemId) -> Result<Option<JobId>> {
        if !self.lately.has_rows(&self.conn, Sparse::KeptFolder)? {
            return Ok(None);
        }
        let sql = "SELECT job FROM version WHERE folder = ?1 AND id = ?2 AND files IS NOT NULL AND dropped IS NULL
                   ORDER BY job DESC LIMIT 1";
        let values = params![folder.0, dir.to_string()];
        let found = self.conn.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
        Ok(found.map(JobId))
    }

    /// The files of a kept directory with their contents, if it went there whole and the cloud has each of them in the directory `dir` again,
    /// under its name and with its content, and none of them is on disk.
    pub fn comes_back(&self, folder: FolderId, dir: NodeId, kept: JobId) -> Result<Option<Holding>> {
        let sql = "SELECT f.ino, f.size, f.mtime,
                          EXISTS (SELECT 1 FROM item WHERE item.id = f.id AND item.folder = ?2 AND r = 1 AND r_parent = ?3
                                  AND s = 0 AND l = 0 AND r_name = CAST(f.name AS TEXT) AND r_hash = f.hash AND r_size = f.size)
                   FROM kept_file f WHERE f.job = ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![kept.0, folder.0, dir.0])?;
        let mut holds = Holding::default();
        while let Some(row) = rows.next()? {
            let (Some(ino), true) = (row.get::<_, Option<i64>>(0)?, row.get(3)?) else { return Ok(None) };
            holds.add_content(&Stamp {
                dev: 0,
                ino: ino as u64,
                size: row.get::<_, i64>(1)? as u64,
                mtime_ns: row.get(2)?,
                ctime_ns: 0,
            });
        }
        Ok((holds.entries > 0).then_some(holds))
    }

    /// The files of a directory that was kept whole.
    pub fn kept_files(&self, kept: JobId) -> Result<Vec<KeptFile>> {
        let sql = "SELECT name, id, version, hash, sha256, size, ino, mtime, ctime FROM kept_file
                   WHERE job = ?1 AND ino IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([kept.0])?;
        let mut files = Vec::new();
        while let Some(row) = rows.next()? {
            let version = packed::read_version(row.get_ref(2)?)?;
            let size = row.get::<_, i64>(5)? as u64;
            files.push(KeptFile {
                name: Name::new(row.get_ref(0)?.as_blob().map_err(StoreError::damaged)?)
                    .map_err(StoreError::damaged)?,
                id: packed::read_id(row.get_ref(1)?)?,
                content: SyncedContent {
                    version: version.ok_or_else(|| StoreError::damaged("a kept file without a version"))?,
                    hash: digest::read(row.get_ref(3)?)?,
                    sha256: row.get::<_, Option<[u8; 32]>>(4)?.map(Sha256),
                    size,
                },
                stamp: Stamp {
                    dev: 0,
                    ino: row.get::<_, i64>(6)? as u64,
                    size,
                    mtime_ns: row.get(7)?,
                    ctime_ns: row.get(8)?,
                },
            });
        }
        Ok(files)
    }

    /// A kept directory is back in sight, and no version any more. Its length, if it was one.
    pub fn went_back(&mut self, kept: JobId) -> Result<u64> {
        self.conn.prepare_cached("DELETE FROM kept_file WHERE job = ?1")?.execute([kept.0])?;
        let sql = "DELETE FROM version WHERE job = ?1 RETURNING iif(dropped IS NULL, size, 0)";
        let size = self.conn.prepare_cached(sql)?.query_row([kept.0], |row| row.get::<_, i64>(0)).optional()?;
        Ok(size.unwrap_or(0).max(0) as u64)
    }
}
