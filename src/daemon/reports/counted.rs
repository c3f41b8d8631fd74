//! Counts of work that reports share: exact where there is little of it, and else at most as old as the time that counting takes allows.
//!
//! Whoever waits for a first sync asks every moment, and counting what is left of a million files each time would cost more than the sync.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::id::FolderId;
use crate::store::StoreError;
use crate::store::pending::{Pending, WorkCounts};
use crate::store::query::Rows;

/// Up to this many items are counted each time.
const LITTLE: u32 = 1_000;
/// Counting takes at most this part of the time.
const REST_FACTOR: u32 = 50;
/// However long it takes, what is told is never older.
const OLDEST: Duration = Duration::from_secs(10);

/// What was counted last, by folder.
#[derive(Debug, Default)]
pub struct Counted(Mutex<HashMap<FolderId, Known>>);

#[derive(Debug, Clone, Copy)]
struct Known {
    at: Instant,
    took: Duration,
    work: WorkCounts,
}

impl Counted {
    /// What is left to do in a folder. That something is left, and that nothing is, is always told as it is now.
    pub fn pending(&self, rows: Rows<'_>, folder: FolderId) -> Result<Pending, StoreError> {
        rows.pending_with(folder, self.work(rows, folder)?)
    }

    fn work(&self, rows: Rows<'_>, folder: FolderId) -> Result<WorkCounts, StoreError> {
        let known = self.locked().get(&folder).copied();
        if let Some(known) = known.filter(Known::is_fresh)
            && rows.has_work_for(folder, LITTLE)?
        {
            return Ok(known.work);
        }
        let at = Instant::now();
        let work = rows.work_counts(folder)?;
        self.locked().insert(folder, Known { at, took: at.elapsed(), work });
        Ok(work)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<FolderId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < (self.took * REST_FACTOR).min(OLDEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Reader, Store};

    /// Sets how many items of a folder are to be worked on.
    fn set_work(conn: &rusqlite::Connection, items: u32) {
        let sql = format!(
            "DELETE FROM work;
             INSERT OR IGNORE INTO account (account, name, provider) VALUES (1, 'a', 'box');
             INSERT OR IGNORE INTO folder (folder, name, account, mark, remote, local, filters)
                 VALUES (1, 'f', 1, 'm', '/', x'2f', '');
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {items})
                 INSERT OR IGNORE INTO item (node, folder, id) SELECT n, 1, CAST(char(3) || n AS BLOB) FROM n;
             INSERT INTO work (node, folder, lane, pos, since) SELECT node, 1, 0, node, 0 FROM item WHERE node <= {items};"
        );
        conn.execute_batch(&sql).unwrap();
    }

    #[test]
    fn much_work_is_not_counted_at_every_question_and_little_always_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        drop(Store::open(&path).unwrap());
        let conn = rusqlite::Connection::open(&path).unwrap();
        let reader = Reader::open(&path).unwrap();
        let counted = Counted::default();
        let now = || counted.pending(reader.rows(), FolderId(1)).unwrap().now;
        set_work(&conn, 5_000);
        assert_eq!(now(), 5_000);
        // As if counting had taken long.
        counted.locked().get_mut(&FolderId(1)).unwrap().took = Duration::from_hours(1);
        set_work(&conn, 4_000);
        assert_eq!(now(), 5_000, "what was counted before");
        set_work(&conn, LITTLE - 1);
        assert_eq!(now(), u64::from(LITTLE) - 1);
        set_work(&conn, 0);
        assert_eq!(now(), 0, "nothing left is told at once");
        set_work(&conn, 3);
        assert_eq!(now(), 3);
    }
}
