//! What is below a directory on disk by the rows, read without making a row of any of it.

use rusqlite::{OptionalExtension, params};

use crate::deed::Holding;
use crate::id::{FolderId, NodeId};
use crate::path::Name;
use crate::store::items::SeatRow;
use crate::store::lately::Sparse;
use crate::store::{Result, Store, StoreError};
use crate::tree::Stamp;

/// Rejected items of a folder that are looked for in a directory.
const REJECTED_MOST: u32 = 100;

/// What was counted below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Below {
    /// Everything, as the disk shows it.
    pub holding: Holding,
    /// Files.
    pub files: u64,
    /// Those of them that are told to be gone already, each for itself.
    pub told: u64,
    /// Those of them that wait for a person with a directory in it.
    pub held: u64,
    /// Their length together.
    pub bytes: u64,
}

/// How far the count of one directory is.
#[derive(Debug, PartialEq, Eq)]
pub enum Counted {
    /// There are more entries, behind this name.
    UpTo(Name),
    /// It is counted.
    Whole,
    /// The disk has something else of one of them than both sides agreed on.
    Differs,
}

impl Store {
    /// Counts the items of a directory with names behind `after`, at most `limit`; the directories among them go to `folders`.
    pub fn count_below(
        &self,
        dir: NodeId,
        after: Option<&Name>,
        limit: usize,
        below: &mut Below,
        folders: &mut Vec<NodeId>,
    ) -> Result<Counted> {
        let is_elsewhere = "SELECT EXISTS (SELECT 1 FROM item WHERE l_parent = ?1)
                            OR EXISTS (SELECT 1 FROM item WHERE s = 1 AND away = 1 AND s_parent = ?1)";
        if after.is_none() && self.conn.prepare_cached(is_elsewhere)?.query_row([dir.0], |row| row.get(0))? {
            return Ok(Counted::Differs);
        }
        let sql = "SELECT node, s_name, s_version IS NULL, l, ino, size, r <> 1,
                          iif(s_version IS NULL, (SELECT sum(files) FROM hold_item WHERE hold_item.node = item.node), 0)
                   FROM item
                   WHERE s = 1 AND away = 0 AND s_parent = ?1 AND s_name > ?2 ORDER BY s_name LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![dir.0, after.map_or(&[][..], Name::as_bytes), limit as i64])?;
        let mut counted = 0;
        while let Some(row) = rows.next()? {
            counted += 1;
            if row.get::<_, i64>(3)? != 0 {
                return Ok(Counted::Differs);
            }
            let is_folder: bool = row.get(2)?;
            below.holding.add(row.get::<_, i64>(4)? as u64, is_folder);
            if is_folder {
                folders.push(NodeId(row.get(0)?));
                below.held += row.get::<_, Option<i64>>(7)?.unwrap_or(0) as u64;
            } else {
                below.files += 1;
                below.told += row.get::<_, i64>(6)? as u64;
                below.bytes = below.bytes.saturating_add(row.get::<_, i64>(5)?.max(0) as u64);
            }
            if counted == limit {
                let name = Name::new(row.get_ref(1)?.as_blob().map_err(StoreError::damaged)?);
                return Ok(Counted::UpTo(name.map_err(StoreError::damaged)?));
            }
        }
        Ok(Counted::Whole)
    }

    /// The files of a directory with their contents, if it holds nothing else, at most `most` of them, and nothing is to be done with any.
    pub fn settled_files(&self, dir: NodeId, most: u64) -> Result<Option<Holding>> {
        let has_others = "SELECT EXISTS (SELECT 1 FROM item WHERE l_parent = ?1)
                          OR EXISTS (SELECT 1 FROM item WHERE s = 1 AND away = 1 AND s_parent = ?1)";
        if self.conn.prepare_cached(has_others)?.query_row([dir.0], |row| row.get(0))? {
            return Ok(None);
        }
        let sql = "SELECT s_version IS NULL OR l <> 0 OR r <> 1 OR r_parent IS NOT ?1
                          OR EXISTS (SELECT 1 FROM work WHERE work.node = item.node), ino, size, mtime
                   FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1 LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![dir.0, most.saturating_add(1) as i64])?;
        let mut held = Holding::default();
        while let Some(row) = rows.next()? {
            if row.get(0)? || held.entries == most {
                return Ok(None);
            }
            let stamp = Stamp {
                dev: 0,
                ino: row.get::<_, i64>(1)? as u64,
                size: row.get::<_, i64>(2)? as u64,
                mtime_ns: row.get(3)?,
                ctime_ns: 0,
            };
            held.add_content(&stamp);
        }
        // What the cloud last had in it, and is not on disk, is to be told.
        let sql = "SELECT count(*) FROM (SELECT 1 FROM item WHERE r_parent = ?1 AND r = 1 LIMIT ?2)";
        let values = params![dir.0, most.saturating_add(1) as i64];
        let in_cloud: i64 = self.conn.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
        Ok((held.entries > 0 && in_cloud as u64 == held.entries).then_some(held))
    }

    /// The folders that the cloud has in a directory, if it has no more than `most` in it.
    pub fn few_folders_in(&self, dir: NodeId, most: u64) -> Result<Vec<NodeId>> {
        let sql = "SELECT node, r = 1 AND id >= x'10' FROM item WHERE r_parent = ?1 LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![dir.0, most.saturating_add(1) as i64])?;
        let (mut folders, mut all) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            all += 1;
            if row.get(1)? {
                folders.push(NodeId(row.get(0)?));
            }
        }
        Ok(if all > most { Vec::new() } else { folders })
    }

    /// Whether a hook rejected a version of a file in a directory, by the cloud or on disk, or one is kept off the disk; also where too many
    /// are rejected to tell.
    pub fn has_kept_off(&self, folder: FolderId, dir: NodeId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM item JOIN tombstone ON tombstone.node = item.node
                                  WHERE s = 1 AND away = 0 AND s_parent = ?1)
                          OR EXISTS (SELECT 1 FROM item JOIN tombstone ON tombstone.node = item.node WHERE r_parent = ?1)";
        if self.lately.has_rows(&self.conn, Sparse::Tombstone)?
            && self.conn.prepare_cached(sql)?.query_row([dir.0], |row| row.get(0))?
        {
            return Ok(true);
        }
        let rejected = self.rejected_items(folder, REJECTED_MOST)?;
        if rejected.len() > REJECTED_MOST as usize {
            return Ok(true);
        }
        for id in rejected {
            let Some(item) = self.item_by_id(folder, &id)? else { continue };
            let is_there = matches!(item.disk_seat(), Some(SeatRow::At { parent, .. }) if parent == dir);
            if is_there || item.remote.parent == Some(dir) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The directory out of sight under whose roof a directory is, be it the directory itself, and whether the cloud has none of those
    /// between them; nothing if it is in sight.
    pub fn parked_above(&self, node: NodeId) -> Result<Option<(NodeId, bool)>> {
        let sql = "WITH RECURSIVE up (node, s, parent, r) AS (
                       SELECT node, s, s_parent, r FROM item WHERE node = ?1
                       UNION SELECT item.node, item.s, item.s_parent, max(item.r, up.r)
                       FROM up JOIN item ON item.node = up.parent AND up.s = 1)
                   SELECT node, r = 0 FROM up WHERE s = 2 LIMIT 1";
        let found = self.conn.prepare_cached(sql)?.query_row([node.0], |row| Ok((NodeId(row.get(0)?), row.get(1)?)));
        Ok(found.optional()?)
    }
}
