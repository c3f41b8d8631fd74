//! What waits for a time of the wall clock, when that clock went back.

use super::scans::UNDER_WAY;
use super::{Result, Store};
use crate::tree::Wall;

impl Store {
    /// The clock went back: what was to wait for seconds would wait for as long as it went back. It is looked at now, and waits again if it
    /// must.
    pub fn clock_went_back(&mut self, now: Wall) -> Result<()> {
        self.conn.execute("UPDATE work SET due = 0 WHERE state = 1", [])?;
        self.conn.execute("UPDATE listing SET due = 1 WHERE due > 1", [])?;
        let sql = "UPDATE local_scan SET due = ?1 WHERE due > ?1 AND due < ?2";
        self.conn.execute(sql, [now.0, UNDER_WAY])?;
        Ok(())
    }
}
