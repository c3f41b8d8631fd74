//! Staged files that wait for a hook: they are found again after a restart.

use rusqlite::params;

use super::{Result, Store};
use crate::deed::Staged;
use crate::id::{FolderId, NodeId};
use crate::tree::SyncedContent;

impl Store {
    /// A staged file of an item waits.
    pub fn keep_staged(
        &mut self,
        node: NodeId,
        folder: FolderId,
        staged: &Staged,
        content: &SyncedContent,
    ) -> Result<()> {
        let (Ok(staged), Ok(content)) = (serde_json::to_string(staged), serde_json::to_string(content)) else {
            return Ok(());
        };
        let sql = "INSERT OR REPLACE INTO staged (node, folder, staged, content) VALUES (?1, ?2, ?3, ?4)";
        self.conn.prepare_cached(sql)?.execute(params![node.0, folder.0, staged, content])?;
        Ok(())
    }

    /// It does not wait any more.
    pub fn forget_staged(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM staged WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// What waits in a folder.
    pub fn staged_in(&self, folder: FolderId) -> Result<Vec<(NodeId, Staged, SyncedContent)>> {
        let mut statement = self.conn.prepare_cached("SELECT node, staged, content FROM staged WHERE folder = ?1")?;
        let rows = statement.query_map([folder.0], |row| {
            Ok((NodeId(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        let mut found = Vec::new();
        for row in rows {
            let (node, staged, content) = row?;
            // What cannot be read is fetched again.
            if let (Ok(staged), Ok(content)) = (serde_json::from_str(&staged), serde_json::from_str(&content)) {
                found.push((node, staged, content));
            }
        }
        Ok(found)
    }
}
