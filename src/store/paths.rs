//! Places in the cloud's tree that are known by name: folders of a folder, and paths of events that lead to no place yet.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store};
use crate::id::{FolderId, NodeId};

/// Since when a path leads to no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Since this was the newest item: newer ones were listed when they were found.
    Node(NodeId),
    /// Since before this folder was listed for it.
    Listing(NodeId),
}

impl Since {
    /// Whether a folder that we know may not have been listed since.
    pub fn is_before_listing(self, dir: NodeId) -> bool {
        match self {
            Self::Node(newest) => dir <= newest,
            Self::Listing(listed) => dir != listed,
        }
    }
}

impl Store {
    /// The folders that the cloud has in a folder: their nodes and names.
    pub fn folders_in(&self, parent: NodeId) -> Result<Vec<(NodeId, String)>> {
        let sql = "SELECT node, r_name FROM item WHERE r_parent = ?1 AND r = 1 AND id >= 'folder:' AND id < 'folder;' ORDER BY node";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([parent.0], |row| Ok((NodeId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Remembers a folder's path that leads to no place yet.
    pub fn add_unplaced(&mut self, folder: FolderId, path: &str) -> Result<()> {
        let sql =
            "INSERT INTO unplaced (folder, path, after) VALUES (?1, ?2, (SELECT coalesce(max(node), 0) FROM item))
                   ON CONFLICT (folder, path) DO UPDATE SET after = excluded.after";
        self.conn.prepare_cached(sql)?.execute(params![folder.0, path])?;
        Ok(())
    }

    /// How many paths of a folder lead to no place.
    pub fn unplaced_count(&self, folder: FolderId) -> Result<u64> {
        let sql = "SELECT count(*) FROM unplaced WHERE folder = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?)
    }

    /// Remembers a path since when it was remembered before, or since a known folder on its way is listed once more.
    pub fn keep_unplaced(&mut self, folder: FolderId, path: &str, since: Since) -> Result<()> {
        let after = match since {
            Since::Node(newest) => newest.0,
            Since::Listing(listed) => -listed.0,
        };
        let sql =
            "INSERT INTO unplaced (folder, path, after) VALUES (?1, ?2, ?3) ON CONFLICT (folder, path) DO NOTHING";
        self.conn.prepare_cached(sql)?.execute(params![folder.0, path, after])?;
        Ok(())
    }

    /// Takes the paths of a folder that led to no place.
    pub fn take_unplaced(&mut self, folder: FolderId) -> Result<Vec<(String, Since)>> {
        let mut statement = self.conn.prepare_cached("DELETE FROM unplaced WHERE folder = ?1 RETURNING path, after")?;
        let rows = statement.query_map([folder.0], |row| {
            let after: i64 = row.get(1)?;
            let since = if after < 0 { Since::Listing(NodeId(-after)) } else { Since::Node(NodeId(after)) };
            Ok((row.get(0)?, since))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Asks for a remote folder's children because of news: before first syncs and comparisons.
    pub fn want_listing_now(&mut self, node: NodeId, folder: FolderId) -> Result<()> {
        let pos = self.take_pos();
        let sql = "INSERT INTO listing (node, folder, pos, lane) VALUES (?1, ?2, ?3, 0) ON CONFLICT (node) DO UPDATE SET lane = 0";
        self.conn.prepare_cached(sql)?.execute([node.0, folder.0, pos])?;
        Ok(())
    }

    /// Whether news waits for a listing of a folder.
    pub fn news_to_list(&self, folder: FolderId) -> Result<bool> {
        let sql = "SELECT 1 FROM listing WHERE folder = ?1 AND lane = 0 LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |_| Ok(())).optional()?.is_some())
    }
}
