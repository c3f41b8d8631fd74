//! Rows of other tables that say something of an item: they go with its row.
//!
//! The schema declares these references. SQLite would keep them by a small program for each of them and each row of `item` that is deleted,
//! which takes six times as long as the deletion itself. So they are kept here, and SQLite keeps them as well where assertions are on: a row
//! that refers to nothing is an error there.

use rusqlite::OptionalExtension;
use rusqlite::types::ToSql;

use super::items::IS_FOLDER;
use super::{Result, Store};
use crate::id::{FolderId, NodeId};

/// Whether SQLite keeps what refers to a row.
pub(super) const KEPT_BY_SQLITE: bool = cfg!(debug_assertions);

/// What is to be done with an item.
const WORK: [&str; 1] = ["work"];

/// What else can be said of files and folders, by their `node`.
const OF_ITEMS: [&str; 8] =
    ["hold_item", "tombstone", "arrival", "vanished", "expected", "examined", "staged", "former_name"];

/// What is said of folders only, by their `node`.
const OF_FOLDERS: [&str; 5] = ["listing", "sweep", "local_scan", "observed", "left_out"];

/// What is said of names in a folder, by its `dir`.
const IN_FOLDERS: [&str; 2] = ["expected_name", "former_name"];

/// Files in a directory `?1`, by the cloud's tree and on disk, with which nothing is to be done.
pub(super) const SETTLED: &str =
    "s = 1 AND away = 0 AND s_parent = ?1 AND l = 0 AND r = 1 AND r_parent = ?1 AND id < x'10'
                       AND NOT EXISTS (SELECT 1 FROM work WHERE work.node = item.node)";

/// Items of a folder `?3` behind `?1`, up to `?2`.
const OF_FOLDER: &str = "node > ?1 AND node <= ?2 AND folder = ?3";

impl Store {
    /// Drops an item's row, and what is said of it.
    pub fn drop_item(&mut self, node: NodeId) -> Result<()> {
        let sql = format!("SELECT {IS_FOLDER} FROM item WHERE node = ?1");
        let is_folder: Option<bool> =
            self.conn.prepare_cached(&sql)?.query_row([node.0], |row| row.get(0)).optional()?;
        let is_folder = is_folder == Some(true);
        for table in WORK.iter().chain(&OF_ITEMS).chain(OF_FOLDERS.iter().filter(|_| is_folder)) {
            self.conn.prepare_cached(&format!("DELETE FROM {table} WHERE node = ?1"))?.execute([node.0])?;
        }
        for within in IN_FOLDERS.iter().filter(|_| is_folder) {
            self.conn.prepare_cached(&format!("DELETE FROM {within} WHERE dir = ?1"))?.execute([node.0])?;
        }
        self.conn.prepare_cached("DELETE FROM item WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// Drops the rows of the files in a directory for which nothing is to be done.
    pub(super) fn drop_settled_files(&mut self, dir: NodeId) -> Result<()> {
        self.drop_said(&OF_ITEMS, SETTLED, &[&dir.0])?;
        self.conn.prepare_cached(&format!("DELETE FROM item WHERE {SETTLED}"))?.execute([dir.0])?;
        Ok(())
    }

    /// Drops the rows of a folder's items behind `after`, up to `reached`.
    pub(super) fn drop_items_of(&mut self, folder: FolderId, after: NodeId, reached: NodeId) -> Result<()> {
        let values: [&dyn ToSql; 3] = [&after.0, &reached.0, &folder.0];
        for tables in [&WORK[..], &OF_ITEMS, &OF_FOLDERS] {
            self.drop_said(tables, OF_FOLDER, &values)?;
        }
        for within in IN_FOLDERS {
            let sql = format!("DELETE FROM {within} WHERE dir IN (SELECT node FROM item WHERE {OF_FOLDER})");
            self.conn.prepare_cached(&sql)?.execute(values)?;
        }
        self.conn.prepare_cached(&format!("DELETE FROM item WHERE {OF_FOLDER}"))?.execute(values)?;
        Ok(())
    }

    /// Drops what is said of many items. Most tables are empty most of the time, which is quickly seen.
    fn drop_said(&mut self, tables: &[&str], those: &str, values: &[&dyn ToSql]) -> Result<()> {
        for table in tables {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
            if self.conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))? {
                let sql = format!("DELETE FROM {table} WHERE node IN (SELECT node FROM item WHERE {those})");
                self.conn.prepare_cached(&sql)?.execute(values)?;
            }
        }
        Ok(())
    }

    /// Rows that refer to something that is not there, at most `most`.
    pub fn refer_to_nothing(&self, most: usize) -> Result<Vec<String>> {
        refer_to_nothing(&self.conn, most)
    }
}

/// Rows that refer to something that is not there, at most `most`.
pub(super) fn refer_to_nothing(conn: &rusqlite::Connection, most: usize) -> Result<Vec<String>> {
    let mut statement = conn.prepare("PRAGMA foreign_key_check")?;
    let rows = statement.query_map([], |row| {
        let (table, of): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(format!("a row of `{table}` refers to one of `{of}` that is not there"))
    })?;
    Ok(rows.take(most).collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_that_the_schema_lets_refer_to_an_item_goes_with_it() {
        let store = Store::in_memory().unwrap();
        let sql = "SELECT t.name, f.\"from\" FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f
                   WHERE t.type = 'table' AND f.\"table\" = 'item'";
        let mut statement = store.conn.prepare(sql).unwrap();
        let declared: BTreeSet<(String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        let by_node = WORK.iter().chain(&OF_ITEMS).chain(&OF_FOLDERS).map(|table| (*table, "node"));
        let known = by_node.chain(IN_FOLDERS.map(|table| (table, "dir")));
        let known: BTreeSet<_> = known.map(|(table, column)| (table.to_owned(), column.to_owned())).collect();
        assert_eq!(known, declared);
    }
}
