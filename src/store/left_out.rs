//! What a folder's directories hold that is never sent, counted by directory: links, what is neither file nor directory, and mounts.

use rusqlite::params;

use super::query::Rows;
use super::{Result, Store};
use crate::id::{FolderId, NodeId};
use crate::path::Name;
use crate::report::LeftOut;

/// Directories that are named as examples.
const EXAMPLES: u32 = 5;

/// What one page of a directory holds of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOutHere {
    /// Symbolic links.
    pub links: u64,
    /// Pipes, sockets and devices.
    pub special: u64,
    /// Other filesystems.
    pub mounts: u64,
    /// The first of them.
    pub example: Option<Name>,
}

impl Store {
    /// Notes what a page of a directory holds: the first page replaces what was known, each other one adds to it.
    pub fn note_left_out(
        &mut self,
        dir: NodeId,
        folder: FolderId,
        here: &LeftOutHere,
        is_first_page: bool,
    ) -> Result<()> {
        if is_first_page {
            self.conn.prepare_cached("DELETE FROM left_out WHERE node = ?1")?.execute([dir.0])?;
        }
        let Some(example) = &here.example else { return Ok(()) };
        let sql = "INSERT INTO left_out (node, folder, links, special, mounts, example) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (node) DO UPDATE SET links = links + excluded.links, special = special + excluded.special,
                                                    mounts = mounts + excluded.mounts";
        self.conn.prepare_cached(sql)?.execute(params![
            dir.0,
            folder.0,
            here.links,
            here.special,
            here.mounts,
            example.as_bytes()
        ])?;
        Ok(())
    }
}

impl Rows<'_> {
    /// What is left out in the directories of a folder that the disk has, with some of the paths.
    pub fn left_out(self, folder: FolderId) -> Result<LeftOut> {
        let sql = "SELECT count(*), coalesce(sum(o.links), 0), coalesce(sum(o.special), 0), coalesce(sum(o.mounts), 0)
                   FROM left_out o CROSS JOIN item i USING (node) WHERE o.folder = ?1 AND i.l <> 2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let (dirs, mut left_out) = statement.query_row([folder.0], |row| {
            let (links, special, mounts) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((row.get::<_, i64>(0)?, LeftOut { links, special, mounts, examples: Vec::new() }))
        })?;
        if dirs == 0 {
            return Ok(left_out);
        }
        let sql = "SELECT o.node, o.example FROM left_out o CROSS JOIN item i USING (node)
                   WHERE o.folder = ?1 AND i.l <> 2 LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![folder.0, EXAMPLES], |row| Ok((NodeId(row.get(0)?), row.get::<_, Vec<u8>>(1)?)))?;
        for row in rows {
            let (dir, name) = row?;
            let name = String::from_utf8_lossy(&name).into_owned();
            if let Some(dir) = self.path_on_disk(dir)? {
                left_out.examples.push(if dir.is_empty() { name } else { format!("{dir}/{name}") });
            }
        }
        Ok(left_out)
    }
}
