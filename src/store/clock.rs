//! What waits for a time of the wall clock, when that clock went back.

use super::scans::UNDER_WAY;
use super::{Result, Store};
use crate::tree::Wall;

impl Store {
    /// The clock went back: what was to wait for seconds would wait for as long as it went back. It is looked at now, and waits again if it
    /// must.
    pub fn clock_went_back(&mut self, now: Wall) -> Result<()> {
        self.conn.prepare_cached("UPDATE work SET due = 0 WHERE state = 1")?.execute([])?;
        self.conn.prepare_cached("UPDATE listing SET due = 1 WHERE due > 1")?.execute([])?;
        let sql = "UPDATE local_scan SET due = ?1 WHERE due > ?1 AND due < ?2";
        self.conn.prepare_cached(sql)?.execute([now.0, UNDER_WAY])?;
        self.conn.prepare_cached("UPDATE delivery SET due = ?1 WHERE state = 0 AND due > ?1")?.execute([now.0])?;
        self.conn.prepare_cached("UPDATE quarantine SET disposal_due = 0 WHERE disposal IS NOT NULL")?.execute([])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_for_a_moment_does_not_wait_for_hours() {
        let mut store = Store::in_memory().unwrap();
        store
            .conn
            .execute_batch(
                "INSERT INTO delivery (key, hook, chain, event, document, depth, at, due) VALUES ('k', 'h', 'c', 'e', '{}', 0, 0, 9000);
                 INSERT INTO account (account, name, provider) VALUES (1, 'a', 'box');
                 INSERT INTO folder (folder, name, account, mark, remote, local, filters) VALUES (1, 'f', 1, 'm', '/', x'2f', '');
                 INSERT INTO quarantine (folder, folder_name, item, version, path, sha256, size, hook, verdict, reason, at, state,
                                         disposal, disposal_due)
                     VALUES (1, 'f', 'file:7', 'v', 'p', x'00', 1, 'h', 'reject', '', 0, 'held', 'trash', 9000);",
            )
            .unwrap();
        assert!(store.due_deliveries("h", Wall(100), 9).unwrap().is_empty());
        assert!(store.due_disposals(Wall(100), 9).unwrap().is_empty());
        store.clock_went_back(Wall(100)).unwrap();
        assert_eq!(store.due_deliveries("h", Wall(100), 9).unwrap().len(), 1);
        assert_eq!(store.due_disposals(Wall(100), 9).unwrap().len(), 1);
    }
}
