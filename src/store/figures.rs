//! Sums over committed rows for the agent's figures, and how often it was started.

use rusqlite::{OptionalExtension, params};

use super::query::Rows;
use super::{Result, Store};
use crate::id::FolderId;
use crate::tree::Wall;

/// The fact that counts the agent's starts.
const STARTS: &str = "starts";

/// The deliveries of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliveries {
    /// The hook.
    pub hook: String,
    /// To be told.
    pub waiting: u64,
    /// Given up.
    pub dead: u64,
}

impl Store {
    /// Counts a start of the agent.
    pub fn count_start(&mut self) -> Result<()> {
        let sql = "INSERT INTO fact (name, value) VALUES (?1, '1')
                   ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";
        self.conn.execute(sql, [STARTS])?;
        Ok(())
    }
}

impl Rows<'_> {
    /// How often the agent was started with this database.
    pub fn starts(self) -> Result<u64> {
        let sql = "SELECT CAST(value AS INTEGER) FROM fact WHERE name = ?1";
        Ok(self.conn().prepare_cached(sql)?.query_row([STARTS], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// When the oldest event of a folder came whose work is not done. What has a problem of its own, or waits for a person, is counted
    /// elsewhere.
    pub fn oldest_unapplied(self, folder: FolderId) -> Result<Option<Wall>> {
        let sql = "SELECT min(coalesce(e.received, w.since)) FROM work w LEFT JOIN event e ON e.journal = w.journal
                   WHERE w.folder = ?1 AND w.lane = 0 AND w.state <> 2 AND (w.code IS NULL OR w.code = 'waits')";
        Ok(self.conn().prepare_cached(sql)?.query_row([folder.0], |row| row.get::<_, Option<i64>>(0))?.map(Wall))
    }

    /// Conflicts of a folder that nobody decided.
    pub fn open_conflicts(self, folder: FolderId) -> Result<u64> {
        let sql = "SELECT count(*) FROM conflict WHERE folder = ?1 AND decision IS NULL";
        Ok(self.conn().prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?)
    }

    /// Deliveries that are not told, by hook.
    pub fn untold_deliveries(self) -> Result<Vec<Deliveries>> {
        let sql = "SELECT hook, sum(waiting), sum(dead) FROM (
                       SELECT hook, count(*) AS waiting, 0 AS dead FROM delivery WHERE state = 0 GROUP BY hook
                       UNION ALL SELECT hook, 0, count(*) FROM delivery WHERE state = 2 GROUP BY hook) GROUP BY hook";
        let mut statement = self.conn().prepare_cached(sql)?;
        let read =
            |row: &rusqlite::Row<'_>| Ok(Deliveries { hook: row.get(0)?, waiting: row.get(1)?, dead: row.get(2)? });
        let rows = statement.query_map(params![], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_counted_across_processes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        for expected in 1..=3 {
            let mut store = Store::open(&path).unwrap();
            store.count_start().unwrap();
            assert_eq!(store.reader().starts().unwrap(), expected);
        }
    }
}
