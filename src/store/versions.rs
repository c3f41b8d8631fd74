//! What lies in the version stores of the folders.

use rusqlite::params;

use super::{Result, Store};
use crate::id::{FolderId, ItemId, JobId, Sha256, VersionId};
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
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
            Self::Edited => "edited",
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
    /// Our digest, if known.
    pub sha256: Option<Sha256>,
    /// Bytes.
    pub size: u64,
    /// When.
    pub at: Wall,
}

impl Store {
    /// Writes down what went to the version store.
    pub fn keep_version(&mut self, kept: &Kept<'_>) -> Result<()> {
        let sql = "INSERT INTO version (job, folder, id, path, reason, version, sha256, size, at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (job) DO NOTHING";
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
        ])?;
        Ok(())
    }

    /// The superseded versions of an item beyond the newest `keep`.
    pub fn surplus_versions(&self, folder: FolderId, id: &ItemId, keep: u32) -> Result<Vec<JobId>> {
        let sql = "SELECT job FROM version WHERE folder = ?1 AND id = ?2 AND reason = 'superseded'
                   ORDER BY at DESC, job DESC LIMIT -1 OFFSET ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, id.to_string(), keep], |row| Ok(JobId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A kept content was removed for good.
    pub fn drop_version(&mut self, job: JobId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM version WHERE job = ?1")?.execute([job.0])?;
        Ok(())
    }
}
