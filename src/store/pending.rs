//! How much is left to do, for reports.
//!
//! Counting the work of a folder takes time that grows with it: a report that is asked for again and again says whether there is more
//! than a little first, and may then tell what it counted before.

use rusqlite::{Row, params};

use super::Result;
use super::items::R_SIZE;
use super::query::Rows;
use crate::id::FolderId;

/// What is left to do in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// Items that can be worked on now, folders to be listed, subtrees to be told.
    pub now: u64,
    /// Items that wait for their time.
    pub waiting: u64,
    /// Those of them that have a problem of their own.
    pub problems: u64,
    /// Those of them whose version is in quarantine.
    pub quarantined: u64,
    /// Items that wait for a person.
    pub held: u64,
    /// Holds.
    pub holds: u64,
    /// Bytes to fetch, as far as known.
    pub bytes: u64,
}

/// The work among it, which is counted item by item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkCounts(Pending);

impl Rows<'_> {
    /// Whether a folder has at least this much work.
    pub fn has_work_for(self, folder: FolderId, items: u32) -> Result<bool> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM work WHERE folder = ?1 LIMIT ?2)";
        let found: u32 = self.conn.prepare_cached(sql)?.query_row(params![folder.0, items], |row| row.get(0))?;
        Ok(found >= items)
    }

    /// Counts the work of a folder.
    pub fn work_counts(self, folder: FolderId) -> Result<WorkCounts> {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE w.state = 0),
                          count(*) FILTER (WHERE w.state = 1),
                          count(*) FILTER (WHERE w.state = 1 AND w.code IS NOT NULL AND w.code <> 'waits'),
                          count(*) FILTER (WHERE w.state = 1 AND w.code = 'quarantined'),
                          count(*) FILTER (WHERE w.state = 2),
                          coalesce(sum({R_SIZE}) FILTER (WHERE w.state <> 2 AND i.r = 1 AND i.s_version IS NOT i.r_version
                                                               AND i.r_version IS NOT x''), 0)
                   FROM work w JOIN item i USING (node) WHERE w.folder = ?1"
        );
        let counts = self.conn.prepare_cached(&sql)?.query_row([folder.0], |row| {
            Ok(Pending {
                now: row.get(0)?,
                waiting: row.get(1)?,
                problems: row.get(2)?,
                quarantined: row.get(3)?,
                held: row.get(4)?,
                holds: 0,
                bytes: row.get(5)?,
            })
        })?;
        Ok(WorkCounts(counts))
    }

    /// What is left to do in a folder: that work, and everything beside it.
    pub fn pending_with(self, folder: FolderId, WorkCounts(mut pending): WorkCounts) -> Result<Pending> {
        let more =
            "SELECT (SELECT count(*) FROM listing WHERE folder = ?1) + (SELECT count(*) FROM sweep WHERE folder = ?1)
                           + (SELECT count(*) FROM intent WHERE folder = ?1)
                           + (SELECT count(*) FROM local_scan WHERE folder = ?1 AND attempts = 0)
                           + (SELECT count(*) FROM vanished WHERE folder = ?1) + (SELECT count(*) FROM sent WHERE folder = ?1),
                           (SELECT count(*) FROM hold WHERE folder = ?1),
                           (SELECT count(*) FROM local_scan WHERE folder = ?1 AND attempts > 0)";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let (now, holds, unread): (u64, u64, u64) = self.conn.prepare_cached(more)?.query_row([folder.0], read)?;
        pending.now += now;
        pending.holds = holds;
        // A directory that cannot be read is a problem: what is in it is unknown.
        pending.waiting += unread;
        pending.problems += unread;
        Ok(pending)
    }
}
