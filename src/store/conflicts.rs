//! Items of which both sides had something to say, listed until a person looked at them.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Result, Store, StoreError};
use crate::command::Keep;
use crate::id::{FolderId, NodeId};
use crate::tree::{Stamp, Wall};

/// The most conflicts that are listed or decided at once.
const CONFLICTS_MOST: u32 = 10_000;
const COLUMNS: &str = "conflict, folder, node, copy, path, kept, reason, at, decision";

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
    /// What a person decided and is still to be carried out.
    pub decision: Option<Decision>,
}

/// What a person decided about a conflict, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Which side stays.
    pub keep: Keep,
    /// What the disk had then of the one that goes.
    #[serde(default)]
    pub seen: Option<Stamp>,
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

    /// A person decided, and it is carried out later.
    pub fn decide_conflict(&mut self, conflict: i64, decision: Decision) -> Result<()> {
        let decision = serde_json::to_string(&decision).map_err(StoreError::damaged)?;
        let sql = "UPDATE conflict SET decision = ?2 WHERE conflict = ?1";
        self.conn.prepare_cached(sql)?.execute(params![conflict, decision])?;
        Ok(())
    }

    /// What was decided does not count any more, for a reason that people are told.
    pub fn decide_again(&mut self, conflict: i64, reason: &str) -> Result<()> {
        let sql = "UPDATE conflict SET decision = NULL, reason = ?2 WHERE conflict = ?1";
        self.conn.prepare_cached(sql)?.execute(params![conflict, reason])?;
        Ok(())
    }

    /// The oldest decided conflict of a folder that is about an item.
    pub fn decided_about(&self, folder: FolderId, node: NodeId) -> Result<Option<ConflictRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM conflict WHERE folder = ?1 AND decision IS NOT NULL AND (node = ?2 OR copy = ?2)
             ORDER BY conflict LIMIT 1"
        );
        Ok(self.conn.prepare_cached(&sql)?.query_row([folder.0, node.0], read).optional()?)
    }

    /// The oldest conflict of a folder that was decided.
    pub fn next_decision(&self, folder: FolderId) -> Result<Option<ConflictRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM conflict WHERE folder = ?1 AND decision IS NOT NULL ORDER BY conflict LIMIT 1"
        );
        Ok(self.conn.prepare_cached(&sql)?.query_row([folder.0], read).optional()?)
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
        let sql = format!(
            "SELECT {COLUMNS} FROM conflict WHERE ?1 IS NULL OR folder = ?1 ORDER BY conflict LIMIT {CONFLICTS_MOST}"
        );
        let mut statement = self.conn().prepare_cached(&sql)?;
        let rows = statement.query_map([folder.map(|folder| folder.0)], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ConflictRow> {
    let decision: Option<String> = row.get(8)?;
    Ok(ConflictRow {
        conflict: row.get(0)?,
        folder: FolderId(row.get(1)?),
        node: NodeId(row.get(2)?),
        copy: NodeId(row.get(3)?),
        path: row.get(4)?,
        kept: row.get(5)?,
        reason: row.get(6)?,
        at: Wall(row.get(7)?),
        decision: decision.as_deref().and_then(read_decision),
    })
}

/// Decisions of former versions of this program are a single word.
fn read_decision(text: &str) -> Option<Decision> {
    let word = || Keep::parse(text).map(|keep| Decision { keep, seen: None });
    serde_json::from_str(text).ok().or_else(word)
}
