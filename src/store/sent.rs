//! Our own writes to the cloud: written down before they are sent, and the events that they will cause.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Result, Store, StoreError};
use crate::id::{ContentHash, FolderId, ItemId, JobId, NodeId, Sha256, VersionId};
use crate::path::Name;
use crate::tree::{Stamp, Wall};

/// A write as it was sent, with what the synced tree becomes when it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// A new file.
    Upload {
        /// The remote folder.
        parent: NodeId,
        /// Its name on disk.
        name: Name,
        /// Our digest of what is sent.
        sha256: Sha256,
        /// The digest that the cloud will report: what was sent is recognised by it if no answer comes.
        #[serde(default)]
        hash: Option<ContentHash>,
        /// The stamp of what is sent.
        stamp: Stamp,
    },
    /// A new version.
    Update {
        /// The version that it follows.
        after: Option<VersionId>,
        /// Our digest of what is sent.
        sha256: Sha256,
        /// The digest that the cloud will report: what was sent is recognised by it if no answer comes.
        #[serde(default)]
        hash: Option<ContentHash>,
        /// The stamp of what is sent.
        stamp: Stamp,
    },
    /// A new folder.
    MakeFolder {
        /// The remote folder that is to hold it.
        parent: NodeId,
        /// Its name on disk.
        name: Name,
    },
    /// Another place.
    Relocate {
        /// The remote folder that is to hold it.
        parent: NodeId,
        /// Its name there.
        name: Name,
        /// It steps aside for another item: the place is not the one that it is to have in the end.
        aside: bool,
    },
    /// Into the trash.
    Trash,
}

/// A write whose outcome is not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRow {
    /// The job that sent it.
    pub job: JobId,
    /// The item.
    pub node: NodeId,
    /// Its folder.
    pub folder: FolderId,
    /// What was sent.
    pub write: Write,
    /// No answer came: whether it happened must be looked up.
    pub unsure: bool,
    /// A chunked upload that can go on.
    pub session: Option<String>,
}

impl Store {
    /// Writes a write down before it is sent.
    pub fn add_sent(&mut self, sent: &SentRow, now: Wall) -> Result<()> {
        let write = serde_json::to_string(&sent.write).map_err(StoreError::damaged)?;
        let sql =
            "INSERT INTO sent (job, node, folder, write, unsure, session, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.conn.prepare_cached(sql)?.execute(params![
            sent.job.0,
            sent.node.0,
            sent.folder.0,
            write,
            sent.unsure,
            sent.session,
            now.0
        ])?;
        Ok(())
    }

    /// The write of an item whose outcome is not recorded.
    pub fn sent_of(&self, node: NodeId) -> Result<Option<SentRow>> {
        let sql = "SELECT job, folder, write, unsure, session FROM sent WHERE node = ?1 ORDER BY job LIMIT 1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([node.0])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let write: String = row.get(2)?;
        Ok(Some(SentRow {
            job: JobId(row.get(0)?),
            node,
            folder: FolderId(row.get(1)?),
            write: serde_json::from_str(&write).map_err(StoreError::damaged)?,
            unsure: row.get(3)?,
            session: row.get(4)?,
        }))
    }

    /// The items of a folder with a write whose outcome is not recorded.
    pub fn sent_nodes(&self, folder: FolderId) -> Result<Vec<NodeId>> {
        let mut statement = self.conn.prepare_cached("SELECT node FROM sent WHERE folder = ?1 ORDER BY job")?;
        let rows = statement.query_map([folder.0], |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// No answer came for a write.
    pub fn set_unsure(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("UPDATE sent SET unsure = 1 WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// A chunked upload exists; a later attempt at the same content goes on with it.
    pub fn set_session(&mut self, job: JobId, session: &str) -> Result<()> {
        self.conn.prepare_cached("UPDATE sent SET session = ?2 WHERE job = ?1")?.execute(params![job.0, session])?;
        Ok(())
    }

    /// The outcome of an item's write is known.
    pub fn drop_sent(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM sent WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// An event will tell of this state of an item: we made it.
    pub fn expect_echo(&mut self, folder: FolderId, id: &ItemId, state: &str, now: Wall) -> Result<()> {
        let sql = "INSERT INTO echo (folder, id, state, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        self.conn.prepare_cached(sql)?.execute(params![folder.0, id.to_string(), state, now.0])?;
        Ok(())
    }

    /// Whether an event tells of a state that we made. It matches once.
    pub fn take_echo(&mut self, folder: FolderId, id: &ItemId, state: &str) -> Result<bool> {
        let sql = "DELETE FROM echo WHERE folder = ?1 AND id = ?2 AND state = ?3";
        let taken = self.conn.prepare_cached(sql)?.execute(params![folder.0, id.to_string(), state])?;
        Ok(taken > 0)
    }

    /// Forgets echoes that were expected before a moment; the items, so that they can be looked at.
    pub fn expired_echoes(&mut self, before: Wall, limit: u32) -> Result<Vec<(FolderId, String)>> {
        let sql = "SELECT folder, id, state FROM echo WHERE at < ?1 LIMIT ?2";
        let found: Vec<(i64, String, String)> = {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows =
                statement.query_map(params![before.0, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for (folder, id, state) in &found {
            self.conn
                .prepare_cached("DELETE FROM echo WHERE folder = ?1 AND id = ?2 AND state = ?3")?
                .execute(params![folder, id, state])?;
        }
        Ok(found.into_iter().map(|(folder, id, _)| (FolderId(folder), id)).collect())
    }

    /// Whether a write of this folder is not recorded yet.
    pub fn sent_left(&self, folder: FolderId) -> Result<bool> {
        let sql = "SELECT 1 FROM sent WHERE folder = ?1 LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |_| Ok(())).optional()?.is_some())
    }
}
