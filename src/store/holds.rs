//! Work that waits for a person, and how many files went in the last day.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store};
use crate::id::{AccountId, FolderId, HoldId, NodeId, VersionId};
use crate::tree::Wall;

/// Minutes in the window that the brake looks at.
const WINDOW_MINUTES: i64 = 24 * 60;

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its number.
    pub hold: HoldId,
    /// The folder, if it concerns one.
    pub folder: Option<FolderId>,
    /// The account, if it concerns one.
    pub account: Option<AccountId>,
    /// A stable word.
    pub reason: String,
    /// What an approval accepts, where that is not a list of items.
    pub detail: Option<String>,
}

impl Store {
    /// Makes a hold, or finds the open one of the same reason and place.
    pub fn hold(
        &mut self,
        folder: Option<FolderId>,
        account: Option<AccountId>,
        reason: &str,
        text: &str,
        detail: Option<&str>,
        now: Wall,
    ) -> Result<HoldId> {
        let found = self
            .conn
            .query_row(
                "SELECT hold FROM hold WHERE reason = ?1 AND folder IS ?2 AND account IS ?3",
                params![reason, folder.map(|folder| folder.0), account.map(|account| account.0)],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(hold) = found {
            self.conn.execute("UPDATE hold SET text = ?2, detail = ?3 WHERE hold = ?1", params![hold, text, detail])?;
            return Ok(HoldId(hold));
        }
        self.conn.execute(
            "INSERT INTO hold (folder, account, reason, text, detail, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![folder.map(|folder| folder.0), account.map(|account| account.0), reason, text, detail, now.0],
        )?;
        Ok(HoldId(self.conn.last_insert_rowid()))
    }

    /// One hold.
    pub fn find_hold(&self, hold: HoldId) -> Result<Option<Hold>> {
        let sql = "SELECT hold, folder, account, reason, detail FROM hold WHERE hold = ?1";
        Ok(self
            .conn
            .query_row(sql, [hold.0], |row| {
                Ok(Hold {
                    hold: HoldId(row.get(0)?),
                    folder: row.get::<_, Option<i64>>(1)?.map(FolderId),
                    account: row.get::<_, Option<i64>>(2)?.map(AccountId),
                    reason: row.get(3)?,
                    detail: row.get(4)?,
                })
            })
            .optional()?)
    }

    /// The open hold of a folder with this reason.
    pub fn open_hold(&self, folder: FolderId, reason: &str) -> Result<Option<HoldId>> {
        let sql = "SELECT hold FROM hold WHERE folder = ?1 AND reason = ?2";
        Ok(self
            .conn
            .prepare_cached(sql)?
            .query_row(params![folder.0, reason], |row| row.get(0))
            .optional()?
            .map(HoldId))
    }

    /// The open hold of an account with this reason.
    pub fn open_account_hold(&self, account: AccountId, reason: &str) -> Result<Option<HoldId>> {
        let sql = "SELECT hold FROM hold WHERE account = ?1 AND folder IS NULL AND reason = ?2";
        Ok(self
            .conn
            .prepare_cached(sql)?
            .query_row(params![account.0, reason], |row| row.get(0))
            .optional()?
            .map(HoldId))
    }

    /// Puts an item on a hold's list.
    pub fn hold_item(&mut self, hold: HoldId, node: NodeId, version: Option<&VersionId>) -> Result<()> {
        let sql = "INSERT INTO hold_item (hold, node, version) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.conn.prepare_cached(sql)?.execute(params![hold.0, node.0, version.map(VersionId::as_str)])?;
        Ok(())
    }

    /// Puts a whole directory that is gone from the cloud on a hold's list, with the number of files in it that are on no list yet. Nothing
    /// in it is told while it is there.
    pub fn hold_tree(&mut self, hold: HoldId, node: NodeId, files: u64) -> Result<()> {
        let sql = "INSERT INTO hold_item (hold, node, files) VALUES (?1, ?2, ?3)
                   ON CONFLICT (hold, node) DO UPDATE SET files = excluded.files";
        self.conn.prepare_cached(sql)?.execute(params![hold.0, node.0, files as i64])?;
        self.swept(node)?;
        Ok(())
    }

    /// Directories of a hold's list that lie in another one of it, which is counted with all that is in it: they stay there without a
    /// number of their own.
    pub fn hold_with_tree(&mut self, hold: HoldId, above: NodeId) -> Result<()> {
        let sql = "UPDATE hold_item SET files = 0 WHERE hold = ?1 AND files > 0 AND node <> ?2 AND ?2 IN (
                       WITH RECURSIVE up (node) AS (
                           SELECT s_parent FROM item WHERE item.node = hold_item.node
                           UNION SELECT s_parent FROM up JOIN item USING (node) WHERE s = 1)
                       SELECT node FROM up)";
        self.conn.prepare_cached(sql)?.execute([hold.0, above.0])?;
        Ok(())
    }

    /// Whether any directory waits for a person with all that is in it.
    pub fn any_tree_held(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM hold_item WHERE files IS NOT NULL)";
        Ok(self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// Whether a directory waits for a person with all that is in it.
    pub fn is_tree_held(&self, node: NodeId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM hold_item WHERE node = ?1 AND files IS NOT NULL)";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], |row| row.get(0))?)
    }

    /// Whether an item is on the list of a hold.
    pub fn is_on_a_list(&self, node: NodeId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM hold_item WHERE node = ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], |row| row.get(0))?)
    }

    /// Directories of a hold's list.
    pub fn held_trees(&self, hold: HoldId) -> Result<Vec<NodeId>> {
        let sql = "SELECT node FROM hold_item WHERE hold = ?1 AND files IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([hold.0], |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many files are in the directories of a hold's list.
    pub fn files_in_held_trees(&self, hold: HoldId) -> Result<u64> {
        let sql = "SELECT coalesce(sum(files), 0) FROM hold_item WHERE hold = ?1 AND files IS NOT NULL";
        Ok(self.conn.prepare_cached(sql)?.query_row([hold.0], |row| row.get::<_, i64>(0))? as u64)
    }

    /// A file left a directory that waits for a person. False if what is in it must be counted again.
    pub fn left_held_tree(&mut self, dir: NodeId) -> Result<bool> {
        let sql = "UPDATE hold_item SET files = files - 1 WHERE node = ?1 AND files > 1";
        Ok(self.conn.prepare_cached(sql)?.execute([dir.0])? > 0)
    }

    /// Takes an item off every list (it is wanted again). A hold whose list is empty goes away.
    pub fn leave_holds(&mut self, node: NodeId) -> Result<()> {
        let sql = "DELETE FROM hold_item WHERE node = ?1 RETURNING hold, files IS NOT NULL";
        let holds: Vec<(i64, bool)> = {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map([node.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for (hold, is_tree) in holds {
            let sql = "DELETE FROM hold WHERE hold = ?1 AND NOT EXISTS (SELECT 1 FROM hold_item WHERE hold = ?1) RETURNING folder";
            let dropped: Option<Option<i64>> = self.conn.query_row(sql, [hold], |row| row.get(0)).optional()?;
            let mut freed = dropped.flatten().map(FolderId);
            if is_tree {
                self.sweep_after_hold(node)?;
                freed = self.find_hold(HoldId(hold))?.and_then(|hold| hold.folder).or(freed);
            }
            if let Some(folder) = freed {
                self.free_dependents(folder)?;
            }
        }
        Ok(())
    }

    /// What is in a directory that left its list is to be told that it is gone.
    fn sweep_after_hold(&mut self, node: NodeId) -> Result<()> {
        let sql = "INSERT INTO sweep (node, folder, r) SELECT node, folder, r FROM item WHERE node = ?1 AND r = 0
                   ON CONFLICT (node) DO NOTHING";
        self.conn.prepare_cached(sql)?.execute([node.0])?;
        Ok(())
    }

    /// Frees what was held only because it waited for something on a list: a directory for the files in it, or what is in a directory for
    /// that one.
    pub fn free_dependents(&mut self, folder: FolderId) -> Result<()> {
        let sql = "SELECT node FROM work WHERE folder = ?1 AND state = 2
                   AND NOT EXISTS (SELECT 1 FROM hold_item WHERE hold_item.node = work.node AND hold_item.files IS NOT 0)";
        let nodes: Vec<i64> = {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map([folder.0], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for node in nodes {
            self.unhold(NodeId(node), false)?;
        }
        Ok(())
    }

    /// At most `limit` items of a hold's list.
    pub fn held_items(&self, hold: HoldId, limit: u32) -> Result<Vec<NodeId>> {
        let mut statement = self.conn.prepare_cached("SELECT node FROM hold_item WHERE hold = ?1 LIMIT ?2")?;
        let rows = statement.query_map(params![hold.0, limit], |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Takes one item off a hold's list: the number of files in it, if it is a directory with all that is in it.
    pub fn unhold_item(&mut self, hold: HoldId, node: NodeId) -> Result<Option<u64>> {
        let sql = "DELETE FROM hold_item WHERE hold = ?1 AND node = ?2 RETURNING files";
        let files: Option<Option<i64>> =
            self.conn.prepare_cached(sql)?.query_row([hold.0, node.0], |row| row.get(0)).optional()?;
        let files = files.flatten();
        if files.is_some() {
            self.sweep_after_hold(node)?;
        }
        Ok(files.map(|files| files.max(0) as u64))
    }

    /// The hold is decided.
    pub fn drop_hold(&mut self, hold: HoldId) -> Result<()> {
        self.conn.execute("DELETE FROM hold_item WHERE hold = ?1", [hold.0])?;
        self.conn.execute("DELETE FROM hold WHERE hold = ?1", [hold.0])?;
        Ok(())
    }

    /// Files deleted from disk in the last 24 hours and since the last approval.
    pub fn deletions(&self, folder: FolderId, now: Wall) -> Result<u64> {
        let sql = "SELECT coalesce(sum(files), 0) FROM deletion WHERE folder = ?1 AND minute > ?2";
        let since = now.0.div_euclid(60_000) - WINDOW_MINUTES;
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0, since], |row| row.get(0))?)
    }

    /// Counts files that were deleted.
    pub fn count_deletions(&mut self, folder: FolderId, files: u64, now: Wall) -> Result<()> {
        if files == 0 {
            return Ok(());
        }
        let sql = "INSERT INTO deletion (folder, minute, files) VALUES (?1, ?2, ?3)
                   ON CONFLICT (folder, minute) DO UPDATE SET files = files + excluded.files";
        self.conn.prepare_cached(sql)?.execute([folder.0, now.0.div_euclid(60_000), files as i64])?;
        Ok(())
    }

    /// How many files the cloud has below a folder whose deletion no person approved.
    pub fn unapproved_below(&self, node: NodeId) -> Result<u64> {
        let sql = "WITH RECURSIVE below (node) AS (
                       SELECT node FROM item WHERE r_parent = ?1 AND r = 1
                       UNION SELECT item.node FROM item JOIN below ON item.r_parent = below.node WHERE item.r = 1)
                   SELECT count(*) FROM below JOIN item USING (node) LEFT JOIN work USING (node)
                   WHERE r_version IS NOT NULL AND coalesce(approved, 0) = 0";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], |row| row.get::<_, i64>(0))? as u64)
    }

    /// Starts the count anew: a person approved.
    pub fn reset_deletions(&mut self, folder: FolderId) -> Result<()> {
        self.conn.execute("DELETE FROM deletion WHERE folder = ?1", [folder.0])?;
        Ok(())
    }
}
