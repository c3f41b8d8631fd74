//! Items of which both sides had something to say, listed until a person looked at them.

use rusqlite::params;

use super::{Result, Store};
use crate::id::{FolderId, NodeId};
use crate::tree::Wall;

/// One conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictRow {
    /// Its number.
    pub conflict: i64,
    /// The folder.
    pub folder: FolderId,
    /// The item that kept the name.
    pub node: NodeId,
    /// The item of the conflict copy.
    pub copy: NodeId,
    /// The path that both wanted.
    pub path: String,
    /// The path of the copy.
    pub kept: String,
    /// Why: a stable word.
    pub reason: String,
    /// Since when.
    pub at: Wall,
}

impl Store {
    /// Lists a conflict.
    pub fn add_conflict(&mut self, conflict: &ConflictRow) -> Result<()> {
        let sql =
            "INSERT INTO conflict (folder, node, copy, path, kept, reason, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.conn.prepare_cached(sql)?.execute(params![
            conflict.folder.0,
            conflict.node.0,
            conflict.copy.0,
            conflict.path,
            conflict.kept,
            conflict.reason,
            conflict.at.0,
        ])?;
        Ok(())
    }

    /// The conflicts of a folder, oldest first.
    pub fn conflicts(&self, folder: FolderId) -> Result<Vec<ConflictRow>> {
        super::query::Rows::new(&self.conn).conflicts(Some(folder))
    }

    /// A conflict was looked at.
    pub fn drop_conflict(&mut self, conflict: i64) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM conflict WHERE conflict = ?1")?.execute([conflict])?;
        Ok(())
    }
}

impl super::query::Rows<'_> {
    /// The conflicts of a folder or of all, oldest first.
    pub fn conflicts(self, folder: Option<FolderId>) -> Result<Vec<ConflictRow>> {
        let sql = "SELECT conflict, folder, node, copy, path, kept, reason, at FROM conflict
                   WHERE ?1 IS NULL OR folder = ?1 ORDER BY conflict LIMIT 10000";
        let mut statement = self.conn().prepare_cached(sql)?;
        let rows = statement.query_map([folder.map(|folder| folder.0)], |row| {
            Ok(ConflictRow {
                conflict: row.get(0)?,
                folder: FolderId(row.get(1)?),
                node: NodeId(row.get(2)?),
                copy: NodeId(row.get(3)?),
                path: row.get(4)?,
                kept: row.get(5)?,
                reason: row.get(6)?,
                at: Wall(row.get(7)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
