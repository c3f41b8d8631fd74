//! Care for the database file: is it whole, is it the one that was left, a copy of it, a smaller one, a new beginning.
//!
//! The generation is a number in the database that only grows, and that is written beside the database as well. A database that was put
//! back from a copy has a smaller one than what lies beside it: what it says of disk and cloud is old.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::referring::refer_to_nothing;
use super::{Result, Store, StoreError, schema};
use crate::id::FolderId;

/// Complaints that a check shows at most.
const COMPLAINTS_MOST: u32 = 20;
/// The tables that `agent db check` and `agent support` count.
const COUNTED: [&str; 12] = [
    "account",
    "folder",
    "item",
    "work",
    "intent",
    "hold",
    "conflict",
    "journal",
    "version",
    "delivery",
    "hook_run",
    "quarantine",
];

/// What is known of a database file without changing it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// The schema of the file.
    pub schema: i64,
    /// The newest that this program knows.
    pub newest: i64,
    /// How old what it says is, compared with what lies beside it.
    pub generation: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes in it that hold nothing.
    pub free_bytes: u64,
    /// Rows of the tables that matter.
    pub rows: Vec<(String, u64)>,
    /// What is wrong with the file; nothing if it is whole.
    pub complaints: Vec<String>,
}

/// How thorough a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The file can be read and is ours.
    Header,
    /// Every page and every index.
    Whole,
}

fn open(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| StoreError::open(path, error))?;
    schema::prepare(&conn)?;
    schema::check_version(&conn)?;
    Ok(conn)
}

/// Looks at a database, of whatever schema, that an agent may be using.
pub fn look(path: &Path, depth: Depth) -> Result<Facts> {
    let conn = open(path)?;
    conn.pragma_update(None, "query_only", true)?;
    let number = |pragma: &str| -> Result<u64> { Ok(conn.pragma_query_value(None, pragma, |row| row.get(0))?) };
    let page = number("page_size")?;
    let mut complaints = Vec::new();
    if depth == Depth::Whole {
        let mut statement = conn.prepare(&format!("PRAGMA integrity_check({COMPLAINTS_MOST})"))?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        complaints.extend(lines.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().filter(|line| line != "ok"));
        complaints.extend(refer_to_nothing(&conn, COMPLAINTS_MOST as usize)?);
    }
    let mut rows = Vec::new();
    for table in COUNTED {
        // A table of a later schema may not be there yet.
        let is_there = conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = ?1", [table], |_| Ok(())).optional()?;
        if is_there.is_some() {
            let count = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
            rows.push((table.to_owned(), count));
        }
    }
    Ok(Facts {
        schema: schema::version_of(&conn)?,
        newest: schema::NEWEST,
        generation: generation(&conn)?,
        bytes: number("page_count")? * page,
        free_bytes: number("freelist_count")? * page,
        rows,
        complaints,
    })
}

/// The schema of a file that may be of an older agent; nothing for one that is empty.
pub fn schema_of(path: &Path) -> Result<Option<i64>> {
    let conn = open(path)?;
    Ok(Some(schema::version_of(&conn)?).filter(|version| *version > 0))
}

/// Writes a whole and compact copy, of one moment, while an agent may go on. The file must not be there.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let conn = open(from)?;
    let to = to.to_str().ok_or_else(|| StoreError::damaged("the path of the copy is not valid UTF-8"))?;
    conn.execute("VACUUM INTO ?1", [to])?;
    Ok(())
}

/// Gives back what the file does not need. No agent may be using it.
pub fn compact(path: &Path) -> Result<()> {
    let conn = open(path)?;
    conn.execute_batch("VACUUM")?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

fn generation(conn: &Connection) -> Result<u64> {
    let sql = "SELECT CAST(value AS INTEGER) FROM fact WHERE name = 'generation'";
    let is_there = conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'fact'", [], |_| Ok(())).optional()?;
    match is_there {
        Some(()) => Ok(conn.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(0)),
        None => Ok(0),
    }
}

/// Raises the generation from beside the engine, whenever it committed something since the last time.
#[derive(Debug)]
pub struct Generations {
    conn: Connection,
    seen: i64,
}

impl Generations {
    /// Opens a connection of its own.
    pub fn open(path: &Path) -> Result<Self> {
        let conn = open(path)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(Self { conn, seen: -1 })
    }

    /// The new generation, if the database changed since the last call.
    pub fn raise(&mut self) -> Result<Option<u64>> {
        let version = |conn: &Connection| conn.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0));
        if version(&self.conn)? == self.seen {
            return Ok(None);
        }
        let sql = "INSERT INTO fact (name, value) VALUES ('generation', '1')
                   ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
                   RETURNING CAST(value AS INTEGER)";
        let raised: u64 = self.conn.query_row(sql, [], |row| row.get(0))?;
        // Our own commit does not count as a change.
        self.seen = version(&self.conn)?;
        Ok(Some(raised))
    }
}

impl Store {
    /// The generation of the database.
    pub fn generation_of_file(&self) -> Result<u64> {
        generation(&self.conn)
    }

    /// Goes on from at least this generation.
    pub fn set_generation(&mut self, generation: u64) -> Result<()> {
        let sql = "INSERT INTO fact (name, value) VALUES ('generation', ?1)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.conn.execute(sql, [generation.to_string()])?;
        Ok(())
    }

    /// What the database says of the trees is not to be believed any more: every folder begins anew under its name, is `unverified` for
    /// this reason until it was compared with disk and cloud, and believes no absence before. Former versions stay known. Job numbers go
    /// on from at least `next_job`, as what the lost rows numbered may still be on disk.
    pub fn begin_anew(&mut self, why: &str, next_job: u64) -> Result<usize> {
        let folders: Vec<_> = self.folders()?.into_iter().filter(|folder| folder.name.is_some()).collect();
        self.begin()?;
        for row in &folders {
            self.retire_folder(row.folder)?;
            let sql =
                "INSERT INTO folder (name, account, mark, remote, local, filters, opened, adopt, paused, unverified,
                                           verified_at, mode)
                       SELECT ?2, account, mark, remote, local, filters, opened, 1, paused, ?3, verified_at, mode
                       FROM folder WHERE folder = ?1";
            self.conn.execute(sql, params![row.folder.0, row.name, why])?;
            let new = FolderId(self.conn.last_insert_rowid());
            for table in ["version", "seen_version"] {
                let sql = format!("UPDATE OR REPLACE {table} SET folder = ?2 WHERE folder = ?1");
                self.conn.execute(&sql, [row.folder.0, new.0])?;
            }
        }
        let sql = "INSERT INTO fact (name, value) VALUES ('next_job', ?1)
                   ON CONFLICT (name) DO UPDATE SET value = CAST(max(CAST(value AS INTEGER), ?1) AS TEXT)";
        self.conn.execute(sql, [next_job as i64])?;
        self.commit()?;
        Ok(folders.len())
    }
}

impl StoreError {
    /// Whether the file is damaged, and not only in use, newer, out of reach or on a failing disk.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Damaged(_) => true,
            Self::Open { source, .. } | Self::Sqlite(source) => {
                matches!(source.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            }
            Self::Newer { .. } | Self::NotOurs | Self::OldSqlite(_) | Self::Copy { .. } => false,
        }
    }
}

/// Takes the generation away from a copy.
pub fn forget_generation(path: &Path) -> Result<()> {
    let conn = open(path)?;
    let is_there = conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'fact'", [], |_| Ok(())).optional()?;
    if is_there.is_some() {
        conn.execute("DELETE FROM fact WHERE name = 'generation'", [])?;
    }
    Ok(())
}
