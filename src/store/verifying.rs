//! Where a verification stands, in a file of its own: whoever verifies must not write into the agent's database, and may be interrupted.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Result, StoreError};
use crate::tree::Wall;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS verification (
         folder TEXT PRIMARY KEY,
         mark   TEXT NOT NULL,
         begun  INTEGER NOT NULL,
         report TEXT NOT NULL
     ) STRICT;
     CREATE TABLE IF NOT EXISTS step (
         step     INTEGER PRIMARY KEY,
         folder   TEXT NOT NULL REFERENCES verification ON DELETE CASCADE,
         doubtful INTEGER NOT NULL,
         text     TEXT NOT NULL
     ) STRICT;
     CREATE INDEX IF NOT EXISTS step_of ON step (folder, doubtful);";

/// What is still to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToDo {
    /// Whether it differed when it was first looked at.
    pub doubtful: bool,
    /// The step as the verifier writes it.
    pub text: String,
}

/// The places of verifications. One process at a time has them.
#[derive(Debug)]
pub struct VerifyPlaces {
    conn: Connection,
}

impl VerifyPlaces {
    /// Opens the file; it is made if it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let conn = Connection::open(path).map_err(|error| StoreError::open(path, error))?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        // After a power cut a little of it is done again.
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        conn.execute_batch(SCHEMA)?;
        Ok(Self { conn })
    }

    /// The report so far of a verification of this very folder that began at `oldest` or later and was not ended.
    pub fn unfinished(&self, folder: &str, mark: &str, oldest: Wall) -> Result<Option<String>> {
        let sql = "SELECT report FROM verification WHERE folder = ?1 AND mark = ?2 AND begun >= ?3";
        Ok(self.conn.query_row(sql, params![folder, mark, oldest.0], |row| row.get(0)).optional()?)
    }

    /// Begins anew.
    pub fn begin(&mut self, folder: &str, mark: &str, now: Wall, report: &str, first: &str) -> Result<()> {
        let txn = self.conn.transaction()?;
        txn.execute("DELETE FROM verification WHERE folder = ?1", [folder])?;
        let sql = "INSERT INTO verification (folder, mark, begun, report) VALUES (?1, ?2, ?3, ?4)";
        txn.execute(sql, params![folder, mark, now.0, report])?;
        txn.execute("INSERT INTO step (folder, doubtful, text) VALUES (?1, 0, ?2)", [folder, first])?;
        Ok(txn.commit()?)
    }

    /// The next step, and its number.
    pub fn next(&self, folder: &str, doubtful: bool) -> Result<Option<(i64, String)>> {
        let sql = "SELECT step, text FROM step WHERE folder = ?1 AND doubtful = ?2 ORDER BY step DESC LIMIT 1";
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.query_row(params![folder, doubtful], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// A step is done: the report with what it showed, and what is to be looked at because of it, in one transaction.
    pub fn done(&mut self, folder: &str, step: i64, report: &str, more: &[ToDo]) -> Result<()> {
        let txn = self.conn.transaction()?;
        txn.execute("DELETE FROM step WHERE step = ?1", [step])?;
        txn.execute("UPDATE verification SET report = ?2 WHERE folder = ?1", [folder, report])?;
        for todo in more {
            let sql = "INSERT INTO step (folder, doubtful, text) VALUES (?1, ?2, ?3)";
            txn.prepare_cached(sql)?.execute(params![folder, todo.doubtful, todo.text])?;
        }
        Ok(txn.commit()?)
    }

    /// The verification came to its end.
    pub fn end(&mut self, folder: &str) -> Result<()> {
        self.conn.execute("DELETE FROM verification WHERE folder = ?1", [folder])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_for_the_same_folder_and_not_too_late() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("verify.db");
        let mut places = VerifyPlaces::open(&path).unwrap();
        assert_eq!(places.unfinished("f", "mark", Wall(0)).unwrap(), None);
        places.begin("f", "mark", Wall(50), "{0}", "root").unwrap();
        let (step, text) = places.next("f", false).unwrap().unwrap();
        assert_eq!(text, "root");
        let more = ["a", "b"].map(|text| ToDo { doubtful: text == "b", text: text.into() });
        places.done("f", step, "{1}", &more).unwrap();
        drop(places);
        let mut places = VerifyPlaces::open(&path).unwrap();
        assert_eq!(places.unfinished("f", "mark", Wall(50)).unwrap().as_deref(), Some("{1}"));
        assert_eq!(places.unfinished("f", "other", Wall(0)).unwrap(), None, "another directory");
        assert_eq!(places.unfinished("f", "mark", Wall(51)).unwrap(), None, "too long ago");
        assert_eq!(places.next("f", false).unwrap().unwrap().1, "a");
        assert_eq!(places.next("f", true).unwrap().unwrap().1, "b");
        places.end("f").unwrap();
        assert_eq!(places.next("f", true).unwrap(), None);
    }
}
