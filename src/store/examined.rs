//! What was examined by which hook, and what is still to be.

use rusqlite::{OptionalExtension, Row, params};

use super::{Result, Store};
use crate::id::{FolderId, NodeId, Sha256};
use crate::tree::Wall;

/// What a hook last allowed of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminedRow {
    /// Digest of the hook's call and settings.
    pub basis: Vec<u8>,
    /// The content.
    pub sha256: Vec<u8>,
    /// What the scanner said of its signatures.
    pub signatures: Option<String>,
    /// When; [`DUE`] where it is to be examined anew, before it is published under another name.
    pub at: Wall,
}

/// The moment of what is to be examined before its directory gets another name.
const DUE: Wall = Wall(0);

impl ExaminedRow {
    /// Whether it says that this content was allowed on this basis.
    pub fn covers(&self, basis: &[u8], sha256: Sha256) -> bool {
        self.at != DUE && self.basis == basis && self.sha256 == sha256.0
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ExaminedRow> {
    Ok(ExaminedRow { basis: row.get(0)?, sha256: row.get(1)?, signatures: row.get(2)?, at: Wall(row.get(3)?) })
}

/// A hook, as the rows know it.
#[derive(Debug, Clone, Copy)]
pub struct Examiner<'a> {
    /// Its name.
    pub hook: &'a str,
    /// Digest of its call and settings.
    pub basis: &'a [u8],
}

impl Store {
    /// What a hook last allowed of an item.
    pub fn examined(&self, node: NodeId, hook: &str) -> Result<Option<ExaminedRow>> {
        let sql = "SELECT basis, sha256, signatures, at FROM examined WHERE node = ?1 AND hook = ?2";
        Ok(self.conn.prepare_cached(sql)?.query_row(params![node.0, hook], read).optional()?)
    }

    /// A hook allowed a content of an item.
    pub fn note_examined(
        &mut self,
        node: NodeId,
        folder: FolderId,
        by: Examiner<'_>,
        sha256: Sha256,
        signatures: Option<&str>,
        now: Wall,
    ) -> Result<()> {
        let sql = "INSERT INTO examined (node, hook, folder, basis, sha256, signatures, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (node, hook) DO UPDATE SET basis = excluded.basis, sha256 = excluded.sha256,
                       signatures = excluded.signatures, at = excluded.at";
        self.conn.prepare_cached(sql)?.execute(params![
            node.0,
            by.hook,
            folder.0,
            by.basis,
            sha256.0.to_vec(),
            signatures,
            now.0
        ])?;
        Ok(())
    }

    /// An item is to be examined by a hook before anything else is done with it.
    pub fn want_examined(&mut self, node: NodeId, folder: FolderId, hook: &str) -> Result<()> {
        let sql = "INSERT INTO examined (node, hook, folder, basis, sha256, at) VALUES (?1, ?2, ?3, x'', x'', 0)
                   ON CONFLICT (node, hook) DO UPDATE SET at = 0";
        self.conn.prepare_cached(sql)?.execute(params![node.0, hook, folder.0])?;
        Ok(())
    }

    /// Items of a folder after another one that a hook is to examine before their directories get other names.
    pub fn due_to_examine(&self, folder: FolderId, hook: &str, after: NodeId, limit: usize) -> Result<Vec<NodeId>> {
        let sql =
            "SELECT node FROM examined WHERE folder = ?1 AND hook = ?2 AND at = 0 AND node > ?3 ORDER BY node LIMIT ?4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, hook, after.0, limit], |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A hook no longer allows what it allowed of an item, which stays all the same: it is asked again with the next round.
    pub fn note_left(&mut self, node: NodeId, hook: &str, now: Wall) -> Result<()> {
        let sql = "UPDATE examined SET basis = x'', signatures = NULL, at = ?3
                   WHERE node = ?1 AND hook = ?2 AND at > 0";
        self.conn.prepare_cached(sql)?.execute(params![node.0, hook, now.0])?;
        Ok(())
    }

    /// An item need not be examined by a hook any more: it is gone, or not what it was.
    pub fn not_to_examine(&mut self, node: NodeId, hook: &str) -> Result<()> {
        let sql = "DELETE FROM examined WHERE node = ?1 AND hook = ?2 AND at = 0";
        self.conn.prepare_cached(sql)?.execute(params![node.0, hook])?;
        Ok(())
    }

    /// What a hook allowed of an item is of no interest any more.
    pub fn drop_examined(&mut self, node: NodeId, hook: &str) -> Result<()> {
        self.conn
            .prepare_cached("DELETE FROM examined WHERE node = ?1 AND hook = ?2")?
            .execute(params![node.0, hook])?;
        Ok(())
    }

    /// Where a hook's look at what is on disk goes on, and what was allowed before which moment is looked at again; nothing if it is over.
    /// A hook that became another one begins anew. `wanted`: a look that was never begun is to begin.
    pub fn round(&self, folder: FolderId, by: Examiner<'_>, wanted: bool) -> Result<Option<(NodeId, Wall)>> {
        let sql = "SELECT after, since, done, basis = ?3 FROM examining WHERE hook = ?1 AND folder = ?2";
        let known: Option<(i64, i64, bool, bool)> = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![by.hook, folder.0, by.basis], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        Ok(match known {
            Some((after, since, false, true)) => Some((NodeId(after), Wall(since))),
            Some((.., true, true)) => None,
            Some((_, since, false, false)) if since > 0 => Some((NodeId(0), Wall(since))),
            Some((.., false)) | None => wanted.then_some((NodeId(0), DUE)),
        })
    }

    /// Files on disk after an item, of at most `limit` items of any kind, and which was the last of those.
    pub fn files_after(&self, folder: FolderId, after: NodeId, limit: u32) -> Result<(Vec<NodeId>, Option<NodeId>)> {
        let sql = "SELECT node, folder = ?3 AND s = 1 AND s_version IS NOT NULL FROM item WHERE node > ?1 ORDER BY node LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows: Vec<(i64, bool)> = statement
            .query_map(params![after.0, limit, folder.0], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let last = rows.last().map(|(node, _)| NodeId(*node));
        Ok((rows.into_iter().filter(|(_, is_file)| *is_file).map(|(node, _)| NodeId(node)).collect(), last))
    }

    /// All files up to an item were examined, or need not be; nothing: there are no more.
    pub fn round_reached(&mut self, folder: FolderId, by: Examiner<'_>, last: Option<NodeId>) -> Result<()> {
        let sql = "INSERT INTO examining (hook, folder, basis, after, done) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (hook, folder) DO UPDATE SET basis = excluded.basis, after = excluded.after, done = excluded.done";
        let after = last.unwrap_or(NodeId(0)).0;
        self.conn.prepare_cached(sql)?.execute(params![by.hook, folder.0, by.basis, after, last.is_none()])?;
        Ok(())
    }

    /// A hook looks at everything in a folder again that it allowed before now.
    pub fn begin_round(&mut self, folder: FolderId, by: Examiner<'_>, now: Wall) -> Result<()> {
        let sql = "INSERT INTO examining (hook, folder, basis, after, since, done) VALUES (?1, ?2, ?3, 0, ?4, 0)
                   ON CONFLICT (hook, folder) DO UPDATE SET basis = excluded.basis, after = 0, since = excluded.since, done = 0";
        self.conn.prepare_cached(sql)?.execute(params![by.hook, folder.0, by.basis, now.0])?;
        Ok(())
    }

    /// Items of a folder that a hook allowed before a moment, the oldest first, after one of them.
    pub fn examined_before(
        &self,
        folder: FolderId,
        hook: &str,
        before: Wall,
        after: (Wall, NodeId),
        limit: usize,
    ) -> Result<Vec<(Wall, NodeId)>> {
        let sql = "SELECT at, node FROM examined WHERE folder = ?1 AND hook = ?2 AND at > 0 AND at < ?3 AND (at, node) > (?4, ?5)
                   ORDER BY at, node LIMIT ?6";
        let mut statement = self.conn.prepare_cached(sql)?;
        let ((at, node), read) =
            (after, |row: &Row<'_>| -> rusqlite::Result<_> { Ok((Wall(row.get(0)?), NodeId(row.get(1)?))) });
        let rows = statement.query_map(params![folder.0, hook, before.0, at.0, node.0, limit], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Items of a folder that a hook allowed by other signatures than these, after one of them.
    pub fn examined_otherwise(
        &self,
        folder: FolderId,
        hook: &str,
        signatures: &str,
        after: (&str, NodeId),
        limit: usize,
    ) -> Result<Vec<(String, NodeId)>> {
        let mut found: Vec<(String, NodeId)> = Vec::new();
        // Two ranges of an index, where one condition would have none.
        for range in ["signatures < ?3", "signatures > ?3"] {
            let sql = format!(
                "SELECT signatures, node FROM examined WHERE folder = ?1 AND hook = ?2 AND at > 0 AND {range}
                 AND (signatures, node) > (?4, ?5) ORDER BY signatures, node LIMIT ?6"
            );
            let mut statement = self.conn.prepare_cached(&sql)?;
            let left = limit.saturating_sub(found.len());
            let values = params![folder.0, hook, signatures, after.0, after.1.0, left];
            let rows = statement.query_map(values, |row| Ok((row.get(0)?, NodeId(row.get(1)?))))?;
            found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        Ok(found)
    }

    /// When that was allowed in a folder which a hook allowed longest ago.
    pub fn first_examined(&self, folder: FolderId, hook: &str) -> Result<Option<Wall>> {
        let sql = "SELECT min(at) FROM examined WHERE folder = ?1 AND hook = ?2 AND at > 0";
        let at: Option<i64> = self.conn.prepare_cached(sql)?.query_row(params![folder.0, hook], |row| row.get(0))?;
        Ok(at.map(Wall))
    }

    /// What is on disk in a directory of the synced tree.
    pub fn all_seated_in(&self, parent: NodeId) -> Result<Vec<NodeId>> {
        let sql = "SELECT node FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([parent.0], |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Drops what hooks are no more that examined something.
    pub fn forget_examiners(&mut self, hooks: &[&str]) -> Result<()> {
        let known = serde_json::to_string(hooks).unwrap_or_default();
        for table in ["examined", "examining"] {
            let sql = format!("DELETE FROM {table} WHERE hook NOT IN (SELECT value FROM json_each(?1))");
            self.conn.prepare_cached(&sql)?.execute([&known])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::schema::open_in_memory;

    /// What is due is found by an index: a folder with a million files that cannot be examined now costs nothing.
    #[test]
    fn what_is_due_is_found_by_an_index() {
        let conn = open_in_memory().unwrap();
        for condition in [
            "at = 0 AND node > 5 ORDER BY node",
            "at > 0 AND at < 9 AND (at, node) > (1, 2) ORDER BY at, node",
            "at > 0 AND signatures < 'b' AND (signatures, node) > ('a', 2) ORDER BY signatures, node",
            "at > 0 AND signatures > 'b' AND (signatures, node) > ('a', 2) ORDER BY signatures, node",
        ] {
            let sql =
                format!("EXPLAIN QUERY PLAN SELECT node FROM examined WHERE folder = 1 AND hook = 'h' AND {condition}");
            let mut statement = conn.prepare(&sql).unwrap();
            let plan: Vec<String> =
                statement.query_map([], |row| row.get("detail")).unwrap().collect::<rusqlite::Result<_>>().unwrap();
            let searched =
                plan.iter().any(|line| line.contains("SEARCH examined USING") && line.contains("folder=? AND hook=?"));
            assert!(searched && !plan.iter().any(|line| line.contains("TEMP B-TREE")), "{condition}: {plan:?}");
        }
    }
}
