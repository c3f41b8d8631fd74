//! Places in the cloud's tree: folders by name, what lies above a watched folder, and when a folder's children were last seen whole.

use std::collections::BTreeSet;

use rusqlite::params;

use super::items::{IS_FOLDER, Presence, R_NAME, packed};
use super::{Result, Store, StoreError};
use crate::id::{AccountId, FolderId, ItemId, NodeId};
use crate::tree::Wall;

impl Store {
    /// The folders that the cloud has in a folder: their nodes and names.
    pub fn folders_in(&self, parent: NodeId) -> Result<Vec<(NodeId, String)>> {
        self.folders_as(parent, Presence::Present)
    }

    /// The folders that the cloud had in a folder, and about which something is still to be done.
    pub fn gone_folders_in(&self, parent: NodeId) -> Result<Vec<(NodeId, String)>> {
        self.folders_as(parent, Presence::Absent)
    }

    fn folders_as(&self, parent: NodeId, presence: Presence) -> Result<Vec<(NodeId, String)>> {
        let sql =
            format!("SELECT node, {R_NAME} FROM item WHERE r_parent = ?1 AND r = ?2 AND {IS_FOLDER} ORDER BY node");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map([parent.0, presence.code()], |row| Ok((NodeId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The items that the cloud has in a folder, after one of them: their nodes and ids, and the comparison that met them last.
    pub fn remote_ids(&self, parent: NodeId, after: NodeId, limit: u32) -> Result<Vec<(NodeId, ItemId, i64)>> {
        let sql = "SELECT node, id, seen FROM item WHERE r_parent = ?1 AND r = 1 AND node > ?2 ORDER BY node LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![parent.0, after.0, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((NodeId(row.get(0)?), packed::read_id(row.get_ref(1)?)?, row.get(2)?));
        }
        Ok(found)
    }

    /// How many items the cloud has in a folder, counted no further than `most`.
    pub fn count_children(&self, parent: NodeId, most: u32) -> Result<u32> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM item WHERE r_parent = ?1 AND r = 1 LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.query_row(params![parent.0, most], |row| row.get(0))?)
    }

    /// Which of these names, all in small letters, the cloud has in a folder.
    pub fn children_named(&self, parent: NodeId, names: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let mut known = BTreeSet::new();
        if names.is_empty() {
            return Ok(known);
        }
        let sql = format!("SELECT {R_NAME} FROM item WHERE r_parent = ?1 AND r = 1");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query([parent.0])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str().map_err(StoreError::damaged)?.to_lowercase();
            if names.contains(&name) {
                known.insert(name);
                if known.len() == names.len() {
                    break;
                }
            }
        }
        Ok(known)
    }

    /// Notes the remote folders above a watched one.
    pub fn set_above(&mut self, folder: FolderId, above: &[ItemId]) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM above WHERE folder = ?1")?.execute([folder.0])?;
        for id in above {
            self.conn
                .prepare_cached("INSERT OR IGNORE INTO above (folder, id) VALUES (?1, ?2)")?
                .execute(params![folder.0, id.to_string()])?;
        }
        Ok(())
    }

    /// Whether it is known which remote folders lie above a watched one.
    pub fn has_above(&self, folder: FolderId) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM above WHERE folder = ?1")?.exists([folder.0])?)
    }

    /// The watched folders of an account that lie below a remote folder.
    pub fn folders_below(&self, account: AccountId, id: &ItemId) -> Result<Vec<FolderId>> {
        let sql = "SELECT above.folder FROM above JOIN folder USING (folder)
                   WHERE above.id = ?1 AND folder.account = ?2 AND folder.name IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![id.to_string(), account.0], |row| Ok(FolderId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Our clock went back: what was seen after `now` by it was seen at `instead`.
    pub fn correct_observed(&mut self, folder: FolderId, now: Wall, instead: Wall) -> Result<()> {
        let sql = "UPDATE observed INDEXED BY observed_age SET at = ?3 WHERE folder = ?1 AND at > ?2";
        self.conn.prepare_cached(sql)?.execute([folder.0, now.0, instead.0])?;
        Ok(())
    }

    /// The remote folders of a watched one whose children were seen longest ago, and when; those that are about to be listed are left out.
    pub fn oldest_observed(&self, folder: FolderId, limit: u32) -> Result<Vec<(NodeId, Wall)>> {
        let sql = "SELECT node, at FROM observed INDEXED BY observed_age WHERE folder = ?1
                       AND NOT EXISTS (SELECT 1 FROM listing WHERE listing.node = observed.node) ORDER BY at LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, limit], |row| Ok((NodeId(row.get(0)?), Wall(row.get(1)?))))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many remote folders of a watched one have been listed.
    pub fn count_observed(&self, folder: FolderId) -> Result<u64> {
        let sql = "SELECT count(*) FROM observed WHERE folder = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?)
    }

    /// Marks the children of every remote folder that was last listed before a moment; says how many.
    pub fn want_listings_older(&mut self, folder: FolderId, before: Wall) -> Result<usize> {
        let pos = self.generation().0;
        let sql = "INSERT INTO listing (node, folder, pos, mark)
                       SELECT node, folder, ?3, ?3 FROM observed WHERE folder = ?1 AND at < ?2
                   ON CONFLICT (node) DO UPDATE SET mark = excluded.mark";
        Ok(self.conn.prepare_cached(sql)?.execute(params![folder.0, before.0, pos])?)
    }

    /// A remote folder is gone: nothing in it is observed any more.
    pub fn unobserve(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM observed WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }
}
