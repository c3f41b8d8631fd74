//! Local directories that are to be scanned, and those that were found missing.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store};
use crate::id::{FolderId, NodeId};
use crate::tree::Wall;

/// A directory that is to be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRow {
    /// The directory.
    pub node: NodeId,
    /// Everything below as well.
    pub deep: bool,
    /// Since when its scans fail, in milliseconds on the clock of this process that never jumps: what failed before is tried anew.
    pub failing: Option<u64>,
}

/// The due time of a directory that is being scanned. Its row stays until the scan is taken, so that nobody who reads the database in
/// between takes the directory for one that was looked at.
pub(super) const UNDER_WAY: i64 = i64::MAX;
/// Failed scans of a directory after which nothing waits for the next one.
const SCANS_HOPED_FOR: u32 = 3;
/// How long the next one is waited for however many failed, in milliseconds: a hint of the watcher asks for one at once.
const SCANS_HOPED_FOR_MS: i64 = 600_000;

impl Store {
    /// Asks for a directory to be scanned, not before `due`. One that is asked for already keeps its place in the line.
    pub fn want_scan(&mut self, node: NodeId, folder: FolderId, deep: bool, due: Wall) -> Result<()> {
        let pos = self.take_pos();
        let sql = "INSERT INTO local_scan (node, folder, pos, due, deep) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (node) DO UPDATE SET deep = max(deep, excluded.deep), due = min(due, excluded.due),
                       pos = CASE WHEN due = ?6 THEN excluded.pos ELSE pos END";
        self.conn.prepare_cached(sql)?.execute(params![node.0, folder.0, pos, due.0, deep, UNDER_WAY])?;
        Ok(())
    }

    /// The next directory of a folder to be scanned now: the one that was due first.
    pub fn next_scan(&self, folder: FolderId, now: Wall) -> Result<Option<ScanRow>> {
        let sql = "SELECT node, deep, since FROM local_scan WHERE folder = ?1 AND due <= ?2 ORDER BY due, pos LIMIT 1";
        let found = self.conn.prepare_cached(sql)?.query_row(params![folder.0, now.0], |row| {
            let failing = row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned);
            Ok(ScanRow { node: NodeId(row.get(0)?), deep: row.get(1)?, failing })
        });
        Ok(found.optional()?)
    }

    /// When a directory of a folder is next to be scanned.
    pub fn next_scan_due(&self, folder: FolderId) -> Result<Option<Wall>> {
        let due: Option<i64> = self
            .conn
            .prepare_cached("SELECT min(due) FROM local_scan WHERE folder = ?1 AND due < ?2")?
            .query_row([folder.0, UNDER_WAY], |row| row.get(0))?;
        Ok(due.map(Wall))
    }

    /// A directory is being scanned: news of it from now on asks for another scan.
    pub fn scan_begun(&mut self, node: NodeId) -> Result<()> {
        let sql = "UPDATE local_scan SET due = ?2, deep = 0 WHERE node = ?1";
        self.conn.prepare_cached(sql)?.execute([node.0, UNDER_WAY])?;
        Ok(())
    }

    /// A scan came to its end. If the directory was asked for again meanwhile, it keeps its place in the line, without the failures of
    /// before.
    pub fn scan_ended(&mut self, node: NodeId) -> Result<()> {
        self.conn
            .prepare_cached("DELETE FROM local_scan WHERE node = ?1 AND due = ?2")?
            .execute([node.0, UNDER_WAY])?;
        let sql = "UPDATE local_scan SET attempts = 0, text = NULL, since = NULL WHERE node = ?1 AND attempts > 0";
        self.conn.prepare_cached(sql)?.execute([node.0])?;
        Ok(())
    }

    /// Scans of a folder whose results will never come, and those that failed, are made at once. What was in their way belongs to the time
    /// before: until they are made, they are waited for as if they had never failed.
    pub fn scan_now(&mut self, folder: FolderId, now: Wall) -> Result<()> {
        let sql = "UPDATE local_scan SET due = min(due, ?2), attempts = 0, text = NULL, since = NULL WHERE folder = ?1";
        self.conn.prepare_cached(sql)?.execute([folder.0, now.0])?;
        Ok(())
    }

    /// Scans of a folder that failed are made at once: something changed that may have been in their way.
    pub fn scan_failed_now(&mut self, folder: FolderId, now: Wall) -> Result<()> {
        let sql = "UPDATE local_scan SET due = min(due, ?2) WHERE folder = ?1 AND attempts > 0 AND due < ?3";
        self.conn.prepare_cached(sql)?.execute([folder.0, now.0, UNDER_WAY])?;
        Ok(())
    }

    /// A scan failed; says how often it did. It is made again at `due`, or earlier if something was heard of the directory meanwhile.
    pub fn scan_failed(&mut self, scan: ScanRow, folder: FolderId, due: Wall, attempts: u32, text: &str) -> Result<()> {
        self.want_scan(scan.node, folder, scan.deep, due)?;
        let sql = "UPDATE local_scan SET attempts = ?2, text = ?3, since = ?4 WHERE node = ?1";
        let since = scan.failing.map(u64::cast_signed);
        self.conn.prepare_cached(sql)?.execute(params![scan.node.0, attempts, text, since])?;
        Ok(())
    }

    /// How often the scan of a directory failed, and whether it is wanted at all.
    pub fn scan_attempts(&self, node: NodeId) -> Result<u32> {
        let sql = "SELECT attempts FROM local_scan WHERE node = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Whether a directory is to be scanned.
    pub fn scan_wanted(&self, node: NodeId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM local_scan WHERE node = ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], |row| row.get(0))?)
    }

    /// Whether a folder has directories to be scanned that could be scanned: the others cannot be read, and wait for somebody to
    /// change that.
    pub fn scan_left(&self, folder: FolderId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM local_scan WHERE folder = ?1 AND attempts = 0)
                   OR EXISTS (SELECT 1 FROM vanished WHERE folder = ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?)
    }

    /// Whether a directory could not be read a few times, and may well be the next time. `now` is on the clock that never jumps: a clock
    /// that is set ahead makes all the attempts at once, and they say nothing about the time between.
    pub fn scan_hoped_for(&self, folder: FolderId, now: u64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM local_scan WHERE folder = ?1 AND attempts > 0 AND (attempts <= ?2 OR since > ?3))";
        let since = now.cast_signed().saturating_sub(SCANS_HOPED_FOR_MS);
        let hoped = params![folder.0, SCANS_HOPED_FOR, since];
        Ok(self.conn.prepare_cached(sql)?.query_row(hoped, |row| row.get(0))?)
    }

    /// Whether anything that the disk has to say, or that we had to say to the cloud, is still on its way; a problem is not.
    pub fn local_left(&self, folder: FolderId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM work WHERE folder = ?1 AND state = 1 AND code IS NULL)";
        let waits: bool = self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?;
        Ok(waits || self.scan_left(folder)? || self.sent_left(folder)?)
    }

    /// Directories that cannot be scanned, and why.
    pub fn failed_scans(&self, folder: FolderId, limit: u32) -> Result<Vec<(NodeId, String)>> {
        let sql = "SELECT node, text FROM local_scan WHERE folder = ?1 AND attempts > 0 AND text IS NOT NULL LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, limit], |row| Ok((NodeId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A directory is missing: what is in it is to be told.
    pub fn vanish(&mut self, node: NodeId, folder: FolderId) -> Result<()> {
        let sql = "INSERT INTO vanished (node, folder) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.conn.prepare_cached(sql)?.execute([node.0, folder.0])?;
        Ok(())
    }

    /// A missing directory of a folder whose children are to be told, if there is one.
    pub fn next_vanished(&self, folder: FolderId) -> Result<Option<NodeId>> {
        let sql = "SELECT node FROM vanished WHERE folder = ?1 LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0)).optional()?.map(NodeId))
    }

    /// A missing directory's children were told, or it is there again.
    pub fn vanished_told(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM vanished WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }
}
