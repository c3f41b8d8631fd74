//! What lies in the version stores of the folders.

use rusqlite::{OptionalExtension, params};

use super::items::{S_SIZE, digest};
use super::lately::Sparse;
use super::referring::SETTLED;
use super::{Result, Store, StoreError};
use crate::deed::KeptAt;
use crate::id::{ContentHash, FolderId, ItemId, JobId, NodeId, Sha256, VersionId};
use crate::path::Name;
use crate::tree::Wall;

/// Why content left the visible tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A newer version took its place.
    Superseded,
    /// The cloud deleted it or moved it out.
    Deleted,
    /// It was somebody's own edit or file, in the way of the cloud's version.
    Edited,
    /// Its time on this disk was over; the cloud has it.
    Expired,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
            Self::Edited => "edited",
            Self::Expired => "expired",
        }
    }
}

/// One kept content.
#[derive(Debug)]
pub struct Kept<'a> {
    /// The job that moved it, which names it on disk.
    pub job: JobId,
    /// The folder.
    pub folder: FolderId,
    /// The item.
    pub id: &'a ItemId,
    /// Where it was.
    pub path: &'a str,
    /// Why it left.
    pub reason: Reason,
    /// The provider's version, unless it was edited.
    pub version: Option<&'a VersionId>,
    /// The provider's digest, if known.
    pub hash: Option<&'a ContentHash>,
    /// Our digest, if known.
    pub sha256: Option<Sha256>,
    /// Bytes.
    pub size: u64,
    /// When.
    pub at: Wall,
}

/// A directory that is kept whole.
#[derive(Debug)]
pub struct KeptFolder<'a> {
    /// The job that moved it, which names it on disk.
    pub job: JobId,
    /// The folder.
    pub folder: FolderId,
    /// The directory.
    pub node: NodeId,
    /// Its item.
    pub id: &'a ItemId,
    /// Where it was.
    pub path: &'a str,
}

/// Files as they are written down with the directory that is kept under the number `?1`.
const KEPT_FILES: &str =
    "INSERT INTO kept_file (job, name, shown, id, version, hash, sha256, size, modified, ino, mtime, ctime)
                          SELECT ?1, s_name, iif(r_name <> x'', r_name, NULL), id, s_version, s_hash, s_sha256,
                              size, iif(r_version = x'', iif(r_mtime = x'', mtime / 1000000, r_mtime), NULL)";

/// Their stamps, where they go there with their directory.
const AS_THEY_ARE: &str = ", ino, mtime, ctime FROM item";

/// Files that go there by themselves are touched.
const TOUCHED: &str = ", NULL, NULL, NULL FROM item";

impl Store {
    /// Writes down what went to the version store.
    pub fn keep_version(&mut self, kept: &Kept<'_>) -> Result<()> {
        let sql = "INSERT INTO version (job, folder, id, path, reason, version, sha256, size, at, hash)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (job) DO NOTHING";
        self.conn.prepare_cached(sql)?.execute(params![
            kept.job.0,
            kept.folder.0,
            kept.id.to_string(),
            kept.path,
            kept.reason.word(),
            kept.version.map(VersionId::as_str),
            kept.sha256.map(|hash| hash.0),
            kept.size as i64,
            kept.at.0,
            kept.hash.map(ToString::to_string),
        ])?;
        Ok(())
    }

    /// Writes down the files of a directory that is kept whole; their length.
    pub fn keep_folder(&mut self, kept: &KeptFolder<'_>, now: Wall) -> Result<u64> {
        let sql = format!(
            "{KEPT_FILES}{AS_THEY_ARE} WHERE s = 1 AND away = 0 AND s_parent = ?2 ORDER BY s_name ON CONFLICT DO NOTHING"
        );
        self.conn.prepare_cached(&sql)?.execute([kept.job.0, kept.node.0])?;
        self.kept_together(kept, now)
    }

    /// Drops the rows of the files in a directory that is kept whole, of those for which nothing else is to be done: how many they were, and
    /// their length, as both sides agreed on.
    pub fn drop_settled(&mut self, dir: NodeId) -> Result<(i64, i64)> {
        let sql = format!("SELECT count(*), coalesce(sum({S_SIZE}), 0) FROM item WHERE {SETTLED}");
        let dropped = self.conn.prepare_cached(&sql)?.query_row([dir.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.drop_settled_files(dir)?;
        Ok(dropped)
    }

    /// One file of a directory is kept with others of it.
    pub fn keep_in_folder(&mut self, job: JobId, node: NodeId) -> Result<()> {
        let sql = format!("{KEPT_FILES}{TOUCHED} WHERE node = ?2 ON CONFLICT DO NOTHING");
        self.conn.prepare_cached(&sql)?.execute([job.0, node.0])?;
        Ok(())
    }

    /// Files that are written down with their directory are kept as one; their length.
    pub fn kept_together(&mut self, kept: &KeptFolder<'_>, now: Wall) -> Result<u64> {
        let sql = "INSERT INTO version (job, folder, id, path, reason, size, at, files)
                   SELECT ?1, ?2, ?3, ?4, ?5, coalesce(sum(size), 0), ?6, count(*) FROM kept_file WHERE job = ?1
                   ON CONFLICT (job) DO NOTHING";
        let reason = Reason::Deleted.word();
        let values = params![kept.job.0, kept.folder.0, kept.id.to_string(), kept.path, reason, now.0];
        self.conn.prepare_cached(sql)?.execute(values)?;
        let sql = "SELECT size FROM version WHERE job = ?1";
        let bytes: i64 = self.conn.prepare_cached(sql)?.query_row([kept.job.0], |row| row.get(0))?;
        Ok(bytes.max(0) as u64)
    }

    /// A content of a folder's version store that has the provider's digest and this length; the one that came last.
    pub fn held_content(&self, folder: FolderId, hash: &ContentHash, size: u64) -> Result<Option<KeptAt>> {
        let sql = "SELECT job FROM version WHERE folder = ?1 AND hash = ?2 AND dropped IS NULL AND size = ?3
                   ORDER BY job DESC LIMIT 1";
        let job = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![folder.0, hash.to_string(), size as i64], |row| row.get(0));
        Ok(job.optional()?.map(|job| KeptAt::alone(JobId(job))))
    }

    /// The same of a file that went there with its directory, and was called `name` in it.
    pub fn held_whole(
        &self,
        folder: FolderId,
        dir: &ItemId,
        name: &str,
        content: (&ContentHash, u64),
    ) -> Result<Option<KeptAt>> {
        if !self.lately.has_rows(&self.conn, Sparse::KeptFolder)? {
            return Ok(None);
        }
        let sql = "SELECT f.job, f.name FROM version v JOIN kept_file f ON f.job = v.job
                   WHERE v.folder = ?1 AND v.id = ?2 AND v.files IS NOT NULL AND v.dropped IS NULL
                       AND f.name = CAST(?3 AS BLOB) AND f.hash IN (?4, ?5) AND f.size = ?6
                   ORDER BY f.job DESC LIMIT 1";
        let (hash, size) = content;
        let values = params![folder.0, dir.to_string(), name, digest::stored(hash), hash.to_string(), size as i64];
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let name = Name::new(row.get_ref(1)?.as_blob().map_err(StoreError::damaged)?).map_err(StoreError::damaged)?;
        Ok(Some(KeptAt { job: JobId(row.get(0)?), inside: Some(name) }))
    }

    /// A kept content turned out not to be what it was taken for: it is not looked for again by a digest.
    pub fn doubt_held(&mut self, kept: &KeptAt) -> Result<()> {
        match &kept.inside {
            None => self.conn.prepare_cached("UPDATE version SET hash = NULL WHERE job = ?1")?.execute([kept.job.0])?,
            Some(name) => {
                let sql = "UPDATE kept_file SET hash = NULL WHERE job = ?1 AND name = ?2";
                self.conn.prepare_cached(sql)?.execute(params![kept.job.0, name.as_bytes()])?
            }
        };
        Ok(())
    }

    /// The superseded versions of an item beyond the newest `keep`.
    pub fn surplus_versions(&self, folder: FolderId, id: &ItemId, keep: u32) -> Result<Vec<Slot>> {
        let sql = "SELECT job, size, at FROM version WHERE folder = ?1 AND id = ?2 AND reason = 'superseded' AND dropped IS NULL
                   ORDER BY at DESC, job DESC LIMIT -1 OFFSET ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, id.to_string(), keep], slot)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The oldest contents of a folder's version store, at most `limit`.
    pub fn oldest_versions(&self, folder: FolderId, limit: u32) -> Result<Vec<Slot>> {
        let sql = "SELECT job, size, at FROM version WHERE folder = ?1 AND dropped IS NULL ORDER BY at, job LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, limit], slot)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many bytes a folder's version store holds.
    pub fn kept_bytes(&self, folder: FolderId) -> Result<u64> {
        let sql = "SELECT coalesce(sum(size), 0) FROM version WHERE folder = ?1 AND dropped IS NULL";
        let bytes: i64 = self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?;
        Ok(bytes.max(0) as u64)
    }

    /// How many of them became superseded before a moment.
    pub fn kept_bytes_before(&self, folder: FolderId, before: Wall) -> Result<u64> {
        let sql = "SELECT coalesce(sum(size), 0) FROM version WHERE folder = ?1 AND dropped IS NULL AND at <= ?2";
        let bytes: i64 = self.conn.prepare_cached(sql)?.query_row([folder.0, before.0], |row| row.get(0))?;
        Ok(bytes.max(0) as u64)
    }

    /// A kept content is given up. The row stays for a while, so that its file is found again if a crash kept it from being removed.
    pub fn give_up_version(&mut self, job: JobId, now: Wall) -> Result<()> {
        self.conn.prepare_cached("UPDATE version SET dropped = ?2 WHERE job = ?1")?.execute([job.0, now.0])?;
        Ok(())
    }

    /// Contents that were given up, at most `limit`: their files may still be there.
    pub fn given_up(&self, folder: FolderId, limit: u32) -> Result<Vec<JobId>> {
        let sql = "SELECT job FROM version WHERE folder = ?1 AND dropped IS NOT NULL ORDER BY job LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, limit], |row| Ok(JobId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets contents that were given up before a moment, at most `limit`.
    pub fn forget_given_up(&mut self, before: Wall, limit: u32) -> Result<()> {
        // The files of a directory before its own row, which leads to them.
        let sql = "DELETE FROM kept_file WHERE (job, name) IN
                   (SELECT f.job, f.name FROM version v JOIN kept_file f ON f.job = v.job
                    WHERE v.files IS NOT NULL AND v.dropped IS NOT NULL AND v.dropped < ?1 LIMIT ?2)";
        if self.conn.prepare_cached(sql)?.execute(params![before.0, limit])? > 0 {
            return Ok(());
        }
        let sql = "DELETE FROM version WHERE job IN (SELECT job FROM version WHERE dropped < ?1 LIMIT ?2)";
        self.conn.prepare_cached(sql)?.execute(params![before.0, limit])?;
        Ok(())
    }
}

/// One content of the version store, as retention sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The job that names it.
    pub job: JobId,
    /// Bytes.
    pub size: u64,
    /// Since when it is kept.
    pub at: Wall,
}

fn slot(row: &rusqlite::Row<'_>) -> rusqlite::Result<Slot> {
    Ok(Slot { job: JobId(row.get(0)?), size: row.get::<_, i64>(1)?.max(0) as u64, at: Wall(row.get(2)?) })
}
