//! What a scan compares with the disk: the items of a directory in the order of their names, read in place, without a row made of any.

use std::ops::ControlFlow;

use rusqlite::params;

use super::packed;
use crate::id::NodeId;
use crate::path::Name;
use crate::store::{Result, Store, StoreError};
use crate::tree::Stamp;

/// An item that is where both sides agreed on.
#[derive(Debug, Clone, Copy)]
pub struct Seated<'a> {
    /// Its row.
    pub node: NodeId,
    /// The bytes of its name on disk.
    pub name: &'a [u8],
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether the disk had the synced content when it was last looked at.
    pub is_as_synced: bool,
    /// What the disk said of the synced content.
    pub stamp: Stamp,
}

impl Store {
    /// Shows `each` the items that are where both sides agreed, in a directory, with names after `after`, in the order of their names'
    /// bytes, until it has enough.
    pub fn each_seated(
        &self,
        parent: NodeId,
        after: Option<&Name>,
        mut each: impl FnMut(Seated<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let sql = "SELECT node, s_name, id, l, dev, ino, size, mtime, ctime FROM item
                   WHERE s = 1 AND away = 0 AND s_parent = ?1 AND s_name > ?2 ORDER BY s_name";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![parent.0, after.map_or(&[][..], Name::as_bytes)])?;
        while let Some(row) = rows.next()? {
            let seated = Seated {
                node: NodeId(row.get(0)?),
                name: row.get_ref(1)?.as_blob().map_err(StoreError::damaged)?,
                is_folder: packed::is_folder(row.get_ref(2)?),
                is_as_synced: row.get::<_, i64>(3)? == 0,
                stamp: Stamp {
                    dev: row.get::<_, i64>(4)? as u64,
                    ino: row.get::<_, i64>(5)? as u64,
                    size: row.get::<_, i64>(6)? as u64,
                    mtime_ns: row.get(7)?,
                    ctime_ns: row.get(8)?,
                },
            };
            if each(seated).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The items that the disk has in a directory where both sides did not agree on, with names after `after` and up to `until`, at most
    /// `limit`.
    pub fn found_in(
        &self,
        parent: NodeId,
        after: Option<&Name>,
        until: Option<&Name>,
        limit: u32,
    ) -> Result<Vec<NodeId>> {
        let sql = "SELECT node FROM item WHERE l_parent = ?1 AND l_name > ?2 AND (?3 IS NULL OR l_name <= ?3)
                   ORDER BY l_name LIMIT ?4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let bounds = params![parent.0, after.map_or(&[][..], Name::as_bytes), until.map(Name::as_bytes), limit];
        let rows = statement.query_map(bounds, |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
