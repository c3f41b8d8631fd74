//! Deeds that were decided and whose outcome is not yet recorded.

use rusqlite::params;

use super::{Result, Store, StoreError};
use crate::deed::DeedOrder;
use crate::id::{FolderId, JobId, NodeId};
use crate::tree::SyncedContent;

/// A deed on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentRow {
    /// The item.
    pub node: NodeId,
    /// Its folder.
    pub folder: FolderId,
    /// What is to be done.
    pub order: DeedOrder,
    /// What the synced tree becomes when it is done.
    pub seat: NewSeat,
}

/// What the synced tree becomes when a deed is done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum NewSeat {
    /// In the tree, with this content.
    At {
        /// The directory.
        parent: NodeId,
        /// The name.
        name: crate::path::Name,
        /// The content; nothing for folders, and for moves, which keep it.
        content: Option<SyncedContent>,
    },
    /// Parked under the job's number.
    Parked,
    /// Off the disk.
    Nowhere,
    /// Under another name, as a file of its own; the item itself is no longer on disk.
    Parted {
        /// The directory.
        parent: NodeId,
        /// The name.
        name: crate::path::Name,
    },
    /// Under another name on disk; what both agreed on stays.
    Aside {
        /// The directory.
        parent: NodeId,
        /// The name.
        name: crate::path::Name,
    },
    /// As it was: the deed cleared the way for another one.
    Unchanged,
    /// Off the disk: these files, in the order in which the deed names them.
    AllNowhere {
        /// The files.
        nodes: Vec<NodeId>,
    },
}

impl Store {
    /// Writes a deed down before it is done.
    pub fn add_intent(&mut self, intent: &IntentRow) -> Result<()> {
        let deed = serde_json::to_string(&intent.order).map_err(StoreError::damaged)?;
        let seat = serde_json::to_string(&intent.seat).map_err(StoreError::damaged)?;
        let sql = "INSERT INTO intent (job, node, folder, deed, seat) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.conn.prepare_cached(sql)?.execute(params![
            intent.order.job.0,
            intent.node.0,
            intent.folder.0,
            deed,
            seat
        ])?;
        Ok(())
    }

    /// The outcome of a deed is recorded.
    pub fn drop_intent(&mut self, job: JobId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM intent WHERE job = ?1")?.execute([job.0])?;
        Ok(())
    }

    /// The deeds of a folder whose outcome is unknown, in the order in which they were decided.
    pub fn intents(&self, folder: FolderId) -> Result<Vec<IntentRow>> {
        let mut statement =
            self.conn.prepare_cached("SELECT node, deed, seat FROM intent WHERE folder = ?1 ORDER BY job")?;
        let mut rows = statement.query([folder.0])?;
        let mut intents = Vec::new();
        while let Some(row) = rows.next()? {
            let deed: String = row.get(1)?;
            let seat: String = row.get(2)?;
            intents.push(IntentRow {
                node: NodeId(row.get(0)?),
                folder,
                order: serde_json::from_str(&deed).map_err(StoreError::damaged)?,
                seat: serde_json::from_str(&seat).map_err(StoreError::damaged)?,
            });
        }
        Ok(intents)
    }
}
