//! Opening the database: set it up, upgrade it one step at a time, refuse the future, recognise what is not ours.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::StoreError;
use super::referring::KEPT_BY_SQLITE;

/// Marks the file as ours (`PRAGMA application_id`): "FSAg".
const APPLICATION_ID: i64 = 0x4653_4167;

/// The first SQLite without the WAL-reset corruption.
const SQLITE_FLOOR: i32 = 3_051_003;

/// Every step from an empty database to the newest schema. Steps are only ever added.
const MIGRATIONS: [&str; 24] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
    include_str!("migrations/0013.sql"),
    include_str!("migrations/0014.sql"),
    include_str!("migrations/0015.sql"),
    include_str!("migrations/0016.sql"),
    include_str!("migrations/0017.sql"),
    include_str!("migrations/0018.sql"),
    include_str!("migrations/0019.sql"),
    include_str!("migrations/0020.sql"),
    include_str!("migrations/0021.sql"),
    include_str!("migrations/0022.sql"),
    include_str!("migrations/0023.sql"),
    include_str!("migrations/0024.sql"),
];

/// The schema that this program writes.
pub const NEWEST: i64 = MIGRATIONS.len() as i64;

/// How long a connection waits for another one's lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;

/// How long the writer sleeps before it tries again for a lock that whoever empties the log has. SQLite's own wait doubles, and overshoots.
const WRITER_NAP: std::time::Duration = std::time::Duration::from_millis(1);

/// The room that the write-ahead log keeps once all of it was moved into the database: less than the size from which on it is moved again.
const LOG_KEPT_BYTES: i64 = 1 << 20;

/// Statements kept prepared on a connection.
const STATEMENTS_KEPT: usize = 256;

/// Opens the writing connection, and brings the schema up to date.
pub fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let mut conn = Connection::open(path).map_err(|error| StoreError::open(path, error))?;
    prepare(&conn)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // FULL and not NORMAL: a committed transaction that a power cut takes back would leave the disk ahead of us.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints are run between batches, on purpose, and not in the middle of a commit.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What a burst left of the log is given back by the writer that begins again at its front.
    conn.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    conn.busy_handler(Some(|naps| {
        std::thread::sleep(WRITER_NAP);
        u64::try_from(naps).is_ok_and(|naps| naps < BUSY_TIMEOUT_MS)
    }))?;
    upgrade(conn)
}

/// Opens a database in memory, for tests and the simulation.
pub fn open_in_memory() -> Result<Connection, StoreError> {
    let conn = Connection::open_in_memory()?;
    prepare(&conn)?;
    upgrade(conn)
}

/// Removes every row of a database in memory; false if it is one in a file, or in the middle of a transaction.
pub fn empty_in_memory(conn: &Connection) -> Result<bool, StoreError> {
    if conn.path().is_some_and(|path| !path.is_empty()) || !conn.is_autocommit() {
        return Ok(false);
    }
    // A table is younger than those that its rows refer to; `item` was made anew, and takes the rows that refer to its own with it.
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid DESC";
    let tables: Vec<String> = conn.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for table in tables {
        conn.prepare_cached(&format!("DELETE FROM {table}"))?.execute([])?;
    }
    conn.prepare_cached("COMMIT")?.execute([])?;
    Ok(true)
}

/// Opens a connection that can only read; the database must exist and have the newest schema.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| StoreError::open(path, error))?;
    prepare(&conn)?;
    conn.pragma_update(None, "query_only", true)?;
    check_version(&conn)?;
    Ok(conn)
}

pub fn prepare(conn: &Connection) -> Result<(), StoreError> {
    let version = rusqlite::version_number();
    if version < SQLITE_FLOOR {
        return Err(StoreError::OldSqlite(rusqlite::version().to_owned()));
    }
    // Without it SQLite prepares a statement anew whenever a bound value changes that its planner might have a use for, which a third
    // of all time went to. There are no statistics here that would make another plan of another value.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    conn.pragma_update(None, "foreign_keys", KEPT_BY_SQLITE)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cache_size", -8_192)?;
    conn.pragma_update(None, "mmap_size", 0)?;
    Ok(())
}

pub fn version_of(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

pub fn check_version(conn: &Connection) -> Result<i64, StoreError> {
    let version = version_of(conn)?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // The last, as it is written with the first table: one that is being made meanwhile is no other program's.
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || version != 0) {
        return Err(StoreError::NotOurs);
    }
    if version > NEWEST {
        return Err(StoreError::Newer { found: version, known: NEWEST });
    }
    Ok(version)
}

fn upgrade(mut conn: Connection) -> Result<Connection, StoreError> {
    let mut version = check_version(&conn)?;
    // A table that is made anew is dropped, and must not take the rows that refer to it with it. Inside a transaction this says nothing.
    conn.pragma_update(None, "foreign_keys", KEPT_BY_SQLITE && version == NEWEST)?;
    while let Some(step) = MIGRATIONS.get(version as usize) {
        let txn = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have upgraded while we waited for the lock.
        if version_of(&txn)? == version {
            txn.execute_batch(step)?;
            txn.pragma_update(None, "application_id", APPLICATION_ID)?;
            txn.pragma_update(None, "user_version", version + 1)?;
        }
        txn.commit()?;
        version = version_of(&conn)?;
    }
    conn.pragma_update(None, "foreign_keys", KEPT_BY_SQLITE)?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        drop(open_writer(&path).unwrap());
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "user_version", NEWEST + 1).unwrap();
        drop(conn);
        let before = std::fs::read(&path).unwrap();
        let error = open_writer(&path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    /// What a process that is killed leaves behind: the files as they are, and a transaction that nobody ended.
    fn killed_after(dir: &Path, schema: usize, statements: usize) -> (std::path::PathBuf, bool) {
        use rusqlite::fallible_iterator::FallibleIterator as _;
        let path = dir.join("state.db");
        let conn = Connection::open(&path).unwrap();
        prepare(&conn).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.pragma_update(None, "synchronous", "OFF").unwrap();
        for step in &MIGRATIONS[..schema] {
            conn.execute_batch(step).unwrap();
        }
        if schema > 0 {
            conn.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            conn.pragma_update(None, "user_version", schema as i64).unwrap();
        }
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut batch = rusqlite::Batch::new(&conn, MIGRATIONS[schema]);
        let mut done = 0;
        while done < statements {
            let Some(mut statement) = batch.next().unwrap() else { break };
            statement.raw_execute().unwrap();
            done += 1;
        }
        // Pages that do not fit into memory reach the log before the end.
        conn.cache_flush().unwrap();
        let copy = dir.join("killed.db");
        for ending in ["", "-wal"] {
            let from = format!("{}{ending}", path.display());
            if Path::new(&from).exists() {
                std::fs::copy(from, format!("{}{ending}", copy.display())).unwrap();
            }
        }
        (copy, done < statements)
    }

    #[test]
    fn a_migration_that_is_killed_at_any_statement_continues() {
        let shape = |conn: &Connection| -> Vec<String> {
            let sql = "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
            let mut statement = conn.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let whole = shape(&open_in_memory().unwrap());
        for schema in 0..MIGRATIONS.len() {
            for statements in 0.. {
                let dir = tempfile::tempdir().unwrap();
                let (path, is_over) = killed_after(dir.path(), schema, statements);
                let conn = open_writer(&path).unwrap();
                assert_eq!(version_of(&conn).unwrap(), NEWEST);
                assert_eq!(shape(&conn), whole, "schema {schema}, killed after {statements} statements");
                if is_over {
                    break;
                }
            }
        }
    }

    /// Rows of schema 17, by the kinds of their ids and versions, and what they mean.
    #[test]
    fn rows_of_before_mean_what_they_meant() {
        use super::super::Store;
        use super::super::items::{ItemRow, Presence, SeatRow};
        use crate::id::{FolderId, ItemId, NodeId};

        const RAWS: [&str; 8] = [
            "1000000000000",
            "0",
            "255",
            "007",
            "1000000000000000000",
            "0123abcd-4567-89ab-cdef-0123456789ab",
            "0123ABCD-4567-89ab-cdef-0123456789ab",
            "~契約",
        ];
        const BEFORE: usize = 17;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let conn = Connection::open(&path).unwrap();
        prepare(&conn).unwrap();
        for step in &MIGRATIONS[..BEFORE] {
            conn.execute_batch(step).unwrap();
        }
        conn.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        conn.pragma_update(None, "user_version", BEFORE as i64).unwrap();
        conn.execute_batch(
            "INSERT INTO account (account, name, provider) VALUES (1, 'a', 'box');
             INSERT INTO folder (folder, name, account, mark, remote, local, filters) VALUES (1, 'f', 1, 'm', '/', x'2f', '');
             INSERT INTO item (node, folder, id, r, r_name, s) VALUES (1, 1, 'folder:top', 1, 'top', 1);
             UPDATE item SET dev = 1, ino = 1, size = 1, mtime = 1, ctime = 1;
             INSERT INTO item (node, folder, id) VALUES (900, 1, 'file:gone');
             DELETE FROM item WHERE node = 900;
             INSERT INTO action (folder, at, path, what) VALUES (1, 5, 'file', 'downloaded');",
        )
        .unwrap();
        let mut expected = Vec::new();
        for (number, raw) in RAWS.into_iter().enumerate() {
            for kind in ["file", "folder"] {
                // Both sides the same; other names, versions and times; and not on disk.
                for (how, s_name, s_version, mtime, s) in [
                    ("same", "n", raw, 7_000_000, 1),
                    ("other", "m", "other", 7_000_001, 1),
                    ("away", "n", raw, 7_000_000, 0),
                ] {
                    let node = 10 + expected.len() as i64;
                    let id = format!("{kind}:{}", raw.to_owned() + if how == "same" { "" } else { how });
                    let name = format!("{kind}{number}{how}");
                    let (version, s_version) = if kind == "file" { (Some(raw), Some(s_version)) } else { (None, None) };
                    conn.execute(
                        "INSERT INTO item (node, folder, id, r, r_parent, r_name, r_version, r_hash, r_size, r_mtime, seen)
                         VALUES (?1, 1, ?2, 1, 1, ?3, ?4, iif(?4 IS NULL, NULL, 'sha1:00'), iif(?4 IS NULL, NULL, 4), iif(?4 IS NULL, NULL, 7), 2)",
                        rusqlite::params![node, id, name.clone() + "n", version],
                    )
                    .unwrap();
                    if s == 1 {
                        conn.execute(
                            "UPDATE item SET s = 1, s_parent = 1, s_name = CAST(?2 AS BLOB), s_version = ?3, s_hash = r_hash,
                                 s_size = r_size, dev = 1, ino = 2, size = 4, mtime = ?4, ctime = 5 WHERE node = ?1",
                            rusqlite::params![node, name.clone() + s_name, s_version, mtime],
                        )
                        .unwrap();
                    }
                    conn.execute("INSERT INTO work (node, folder, lane, pos, since) VALUES (?1, 1, 0, ?1, 1)", [node])
                        .unwrap();
                    expected.push((node, id, name, version, s_name, s_version, s));
                }
            }
        }
        drop(conn);
        let store = Store::open(&path).unwrap();
        let count = |sql: &str| store.conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM work"), expected.len() as i64, "what refers to a row is still there");
        assert_eq!(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_eq!(count("PRAGMA foreign_keys"), i64::from(KEPT_BY_SQLITE));
        for (node, id, name, version, s_name, s_version, s) in expected {
            let id: ItemId = id.parse().unwrap();
            let item: ItemRow = store.item_by_id(FolderId(1), &id).unwrap().unwrap_or_else(|| panic!("{id}"));
            assert_eq!((item.node, &item.id), (NodeId(node), &id));
            assert_eq!((item.remote.presence, &item.remote.name), (Presence::Present, &format!("{name}n")));
            let content = item.remote.content.map(|content| {
                (
                    content.version.as_str().to_owned(),
                    content.hash.unwrap().to_string(),
                    content.size,
                    content.modified.unwrap().0,
                )
            });
            assert_eq!(content, version.map(|version| (version.to_owned(), "sha1:00".to_owned(), Some(4), 7)));
            let synced = item.synced.map(|synced| {
                let SeatRow::At { name, .. } = synced.seat else { panic!("{id}: {synced:?}") };
                let content = synced.content.map(|content| (content.version.as_str().to_owned(), content.size));
                (name.to_text(), content)
            });
            let agreed = (format!("{name}{s_name}"), s_version.map(|version| (version.to_owned(), 4)));
            assert_eq!(synced, (s == 1).then_some(agreed));
        }
        let top = store.item(NodeId(1)).unwrap().unwrap();
        assert_eq!((top.remote.name.as_str(), top.synced.unwrap().seat), ("top", SeatRow::Root));
        let next = "INSERT INTO item (folder, id) VALUES (1, x'0399') RETURNING node";
        assert_eq!(count(next), 901, "no number is used twice");
        assert_eq!(store.content_since(FolderId(1), Some(1), "file").unwrap(), Some(crate::tree::Wall(5)));
        assert_eq!(store.content_since(FolderId(1), Some(1), "other").unwrap(), None);
    }

    #[test]
    fn only_a_database_in_memory_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let add = "INSERT INTO fact (name, value) VALUES ('a', 'b')";
        let count =
            |conn: &Connection| conn.query_row("SELECT count(*) FROM fact", [], |row| row.get::<_, i64>(0)).unwrap();
        let file = open_writer(&path).unwrap();
        let memory = open_in_memory().unwrap();
        for (conn, emptied) in [(file, false), (memory, true)] {
            conn.execute(add, []).unwrap();
            assert_eq!((empty_in_memory(&conn).unwrap(), count(&conn)), (emptied, i64::from(!emptied)));
        }
    }

    #[test]
    fn somebody_elses_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(open_writer(&path).unwrap_err(), StoreError::NotOurs));
        std::fs::write(dir.path().join("text.db"), b"not a database, but long enough to be looked at").unwrap();
        assert!(open_writer(&dir.path().join("text.db")).is_err());
    }
}
