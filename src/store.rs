//! The engine's memory: typed rows in one SQLite file, one transaction for each batch of inputs. All SQL is in here.
//!
//! One [`Store`] writes, owned by the control thread. Readers ([`Reader`]) open their own connections and see only what is
//! committed.

use std::path::Path;

use rusqlite::Connection;

use crate::id::Generation;

pub mod accounts;
pub mod back;
pub mod browse;
mod clock;
pub mod conflicts;
pub mod examined;
pub mod expected;
pub mod figures;
pub mod folders;
pub mod former;
pub mod holds;
pub mod hooks;
pub mod intents;
pub mod items;
pub mod journal;
mod lately;
pub mod left_out;
pub mod paths;
pub mod pending;
pub mod people;
pub mod quarantine;
pub mod query;
pub mod recall;
mod referring;
pub mod scans;
mod schema;
pub mod sent;
pub mod staged;
pub mod strays;
pub mod subscriptions;
pub mod trees;
pub mod undo;
pub mod upkeep;
pub mod verifying;
pub mod versions;
pub mod whole;
pub mod work;

pub use schema::NEWEST as SCHEMA;

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open the database {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
    /// It was written by a newer agent.
    #[error(
        "the database has schema {found}, and this agent knows schemas up to {known}: install the newer agent again"
    )]
    Newer {
        /// What the file has.
        found: i64,
        /// What we know.
        known: i64,
    },
    /// It is a database of some other program.
    #[error("the file is a database of another program")]
    NotOurs,
    /// The SQLite that is linked has a known corruption bug.
    #[error("SQLite {0} is too old: 3.51.3 or newer is required")]
    OldSqlite(String),
    /// A row holds what no version of the agent writes.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// There is no copy of it, without which it is not upgraded.
    #[error("it is to be upgraded, and no copy can be written to {path} before: {source}")]
    Copy {
        /// Where it was to go.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Anything else that SQLite says.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    fn open(path: &Path, source: rusqlite::Error) -> Self {
        Self::Open { path: path.display().to_string(), source }
    }

    fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged(what.to_string())
    }
}

/// The result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The writing connection. Between [`Store::begin`] and [`Store::commit`] everything is one transaction.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    lately: lately::Lately,
    jobs: Block,
    /// Changed rows of the connection when the batch began.
    changes_before: u64,
    next_pos: i64,
}

/// Job numbers that the database already counts as used.
#[derive(Debug, Clone, Copy)]
struct Block {
    next: i64,
    end: i64,
}

/// Folders above one another; what is deeper is taken for a circle.
pub const DEEPEST_PATH: usize = 2_048;

/// How many job numbers are taken at once: a number is then written every thousandth time instead of every time.
const JOBS_TAKEN_AT_ONCE: i64 = 1_000;

impl Store {
    /// Opens or makes the database file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(schema::open_writer(path)?)
    }

    /// A database in memory.
    pub fn in_memory() -> Result<Self> {
        Self::new(schema::open_in_memory()?)
    }

    fn new(mut conn: Connection) -> Result<Self> {
        let mut newest = 0_i64;
        for (column, table) in [
            ("pos", "work"),
            ("look", "work"),
            ("pos", "listing"),
            ("mark", "listing"),
            ("pos", "local_scan"),
            ("doubt", "folder"),
            ("mark", "stray"),
        ] {
            let sql = format!("SELECT coalesce(max({column}), 0) FROM {table}");
            newest = newest.max(conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?);
        }
        let lately = lately::Lately::of(&mut conn)?;
        Ok(Self { conn, lately, jobs: Block { next: 0, end: 0 }, next_pos: newest + 1, changes_before: 0 })
    }

    /// The same database as a new process would find it: what was counted in memory is read anew.
    pub fn reopened(self) -> Result<Self> {
        Self::new(self.conn)
    }

    /// An empty database in place of one in memory: its statements stay prepared, which takes longer than a short life of the engine.
    /// A database in a file is left alone, and nothing is returned.
    pub fn emptied(self) -> Result<Option<Self>> {
        schema::empty_in_memory(&self.conn)?.then(|| Self::new(self.conn)).transpose()
    }

    /// Opens the transaction of a batch.
    pub fn begin(&mut self) -> Result<()> {
        self.changes_before = self.conn.total_changes();
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    /// Whether the batch has written anything yet: more costs no flush of its own then.
    pub fn has_written(&self) -> bool {
        self.conn.total_changes() != self.changes_before
    }

    /// Makes the batch durable. After an error nothing of the batch may be believed: the engine is built anew.
    pub fn commit(&mut self) -> Result<()> {
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Takes the batch back.
    pub fn rollback(&mut self) -> Result<()> {
        // The numbers taken inside the batch are no longer counted as used in the database.
        self.jobs = Block { next: 0, end: 0 };
        self.lately.forget();
        self.conn.execute_batch("ROLLBACK")?;
        Ok(())
    }

    /// A job number that was never used before, also not by an engine that crashed.
    pub fn next_job(&mut self) -> Result<crate::id::JobId> {
        if self.jobs.next == self.jobs.end {
            let sql = "INSERT INTO fact (name, value) VALUES ('next_job', ?1)
                       ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + ?1 AS TEXT)
                       RETURNING CAST(value AS INTEGER)";
            let end: i64 = self.conn.prepare_cached(sql)?.query_row([JOBS_TAKEN_AT_ONCE], |row| row.get(0))?;
            self.jobs = Block { next: end - JOBS_TAKEN_AT_ONCE + 1, end: end + 1 };
        }
        let job = crate::id::JobId(self.jobs.next);
        self.jobs.next += 1;
        Ok(job)
    }

    fn take_pos(&mut self) -> i64 {
        let pos = self.next_pos;
        self.next_pos += 1;
        pos
    }

    /// A new generation: later than every mark that there is, and earlier than every one to come.
    pub fn generation(&mut self) -> Generation {
        Generation(self.take_pos())
    }

    /// The connection, for the reports that are made of committed rows.
    pub fn reader(&self) -> query::Rows<'_> {
        query::Rows::new(&self.conn)
    }
}

/// How long emptying the log waits for those who read.
const CHECKPOINT_PATIENCE: std::time::Duration = std::time::Duration::from_millis(20);

/// How often what was written meanwhile is moved before the log is emptied.
const PASSES_MOST: u32 = 4;
/// So few pages are moved while the writer is kept out.
const PAGES_LEFT: i64 = 64;

/// A reading connection of its own.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
}

impl Reader {
    /// Opens an existing database for reading.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { conn: schema::open_reader(path)? })
    }

    /// The reports.
    pub fn rows(&self) -> query::Rows<'_> {
        query::Rows::new(&self.conn)
    }

    /// Moves committed pages from the log into the database file. `all` also empties the log, if nobody reads or writes just then: says
    /// whether what was wanted was done. SQLite does not take it for an error if not.
    pub fn checkpoint(&self, all: bool) -> Result<bool> {
        // Whoever empties the log keeps the writer out while it waits for readers.
        self.conn.busy_timeout(CHECKPOINT_PATIENCE)?;
        let run = |sql: &str| self.conn.query_row(sql, [], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(2)?)));
        let (mut is_busy, mut moved) = run("PRAGMA wal_checkpoint(PASSIVE)")?;
        if all {
            // The writer is kept out while the log is emptied: what can be moved without that is moved first, and then what was written
            // while that was done, which is less each time.
            for _ in 0..PASSES_MOST {
                let (_, now) = run("PRAGMA wal_checkpoint(PASSIVE)")?;
                if now - std::mem::replace(&mut moved, now) <= PAGES_LEFT {
                    break;
                }
            }
            (is_busy, _) = run("PRAGMA wal_checkpoint(TRUNCATE)")?;
        }
        Ok(!is_busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_numbers_are_never_used_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let mut store = Store::open(&path).unwrap();
            store.begin().unwrap();
            for _ in 0..1_500 {
                assert!(seen.insert(store.next_job().unwrap()));
            }
            store.commit().unwrap();
        }
    }
}
