//! Rows that were read lately and have not changed since: the engine asks for one item a dozen times on its way from an event to the disk.
//!
//! SQLite itself tells of every row that a statement of this connection inserts, changes or deletes (its update hook), so that no statement
//! can forget to. Two things it does not tell, and no statement does them to these tables: rows that `OR REPLACE` puts away, and
//! `DELETE` of a whole table. What a rollback takes back is not told either; everything is forgotten then.
//!
//! In debug builds every row that is taken from here is compared with the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::Result;
use super::items::ItemRow;
use super::work::WorkRow;
use crate::id::NodeId;

/// Rows of a table that are kept at most; then all are forgotten.
const KEPT_MOST: usize = 1_024;

/// Tables that are empty for most people, and are asked for every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sparse {
    Quarantine,
    Tombstone,
    KeptFolder,
}

impl Sparse {
    const ALL: [Self; 3] = [Self::Quarantine, Self::Tombstone, Self::KeptFolder];

    fn table(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Tombstone => "tombstone",
            Self::KeptFolder => "version",
        }
    }

    fn asks_for_rows(self) -> &'static str {
        match self {
            Self::Quarantine => "SELECT EXISTS (SELECT 1 FROM quarantine)",
            Self::Tombstone => "SELECT EXISTS (SELECT 1 FROM tombstone)",
            Self::KeptFolder => "SELECT EXISTS (SELECT 1 FROM version WHERE files IS NOT NULL)",
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    items: HashMap<NodeId, Option<ItemRow>>,
    work: HashMap<NodeId, Option<WorkRow>>,
    /// Whether each of the sparse tables has rows, as far as is known.
    has_rows: [Option<bool>; Sparse::ALL.len()],
}

impl Kept {
    fn changed(&mut self, table: &str, row: i64) {
        match table {
            "item" => {
                self.items.remove(&NodeId(row));
            }
            "work" => {
                self.work.remove(&NodeId(row));
            }
            _ => {
                for (sparse, has_rows) in Sparse::ALL.iter().zip(&mut self.has_rows) {
                    if sparse.table() == table {
                        *has_rows = None;
                    }
                }
            }
        }
    }
}

/// What was read lately by the writing connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Lately(Arc<Mutex<Kept>>);

impl Lately {
    /// Nothing yet; from now on the connection tells what changes.
    pub fn of(conn: &mut Connection) -> Result<Self> {
        let lately = Self::default();
        let told = lately.clone();
        conn.update_hook(Some(move |_, _: &str, table: &str, row| told.kept().changed(table, row)))?;
        Ok(lately)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything.
    pub fn forget(&self) {
        *self.kept() = Kept::default();
    }

    /// An item's row; `read` reads it where it is not kept.
    pub fn item(&self, node: NodeId, read: impl Fn() -> Result<Option<ItemRow>>) -> Result<Option<ItemRow>> {
        through(|| self.kept(), |kept| &mut kept.items, node, read)
    }

    /// An item's work; `read` reads it where it is not kept.
    pub fn work(&self, node: NodeId, read: impl Fn() -> Result<Option<WorkRow>>) -> Result<Option<WorkRow>> {
        through(|| self.kept(), |kept| &mut kept.work, node, read)
    }

    /// Whether a table that is empty for most people has any row.
    pub fn has_rows(&self, conn: &Connection, of: Sparse) -> Result<bool> {
        if let Some(known) = self.kept().has_rows[of as usize] {
            return Ok(known);
        }
        let has_rows = conn.prepare_cached(of.asks_for_rows())?.query_row([], |row| row.get(0))?;
        self.kept().has_rows[of as usize] = Some(has_rows);
        Ok(has_rows)
    }
}

fn through<'a, T: Clone + PartialEq + std::fmt::Debug>(
    kept: impl Fn() -> MutexGuard<'a, Kept>,
    rows: impl Fn(&mut Kept) -> &mut HashMap<NodeId, Option<T>>,
    node: NodeId,
    read: impl Fn() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let known = rows(&mut kept()).get(&node).cloned();
    if let Some(row) = known {
        debug_assert_eq!(Some(&row), read().ok().as_ref(), "a row changed and nobody was told");
        return Ok(row);
    }
    let row = read()?;
    let mut kept = kept();
    let rows = rows(&mut kept);
    if rows.len() >= KEPT_MOST {
        rows.clear();
    }
    rows.insert(node, row.clone());
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::id::{ItemId, VersionId};
    use crate::store::Store;
    use crate::store::folders::NewFolder;
    use crate::store::items::{Presence, RemoteRow};
    use crate::store::undo::{Away, Tombstone};
    use crate::store::work::{Ask, Priority};
    use crate::tree::Wall;

    const AT: Wall = Wall(1);

    fn remote(name: &str) -> RemoteRow {
        RemoteRow {
            presence: Presence::Present,
            parent: None,
            name: name.to_owned(),
            content: None,
            etag: None,
            sequence: None,
            seen: 0,
        }
    }

    /// Every read is compared with the database here, as tests have debug assertions.
    #[test]
    fn what_changes_in_whatever_way_is_read_anew() {
        let mut store = Store::in_memory().unwrap();
        store.begin().unwrap();
        let account = store.account("a", "box").unwrap().account;
        let new = NewFolder { name: "f", account, mark: "m", remote: "/", local: Path::new("/f"), filters: "" };
        let folder = store.add_folder(&new).unwrap().folder;
        assert!(store.item(NodeId(1)).unwrap().is_none(), "that there is none is kept as well");
        let node = store.add_item(folder, &ItemId::file("1"), &remote("a")).unwrap();
        let other = store.add_item(folder, &ItemId::file("2"), &remote("b")).unwrap();
        for node in [node, other] {
            assert!(store.work(node).unwrap().is_none());
            store.mark(node, folder, Priority::News, Ask::Nothing, None, AT).unwrap();
        }
        let name = |store: &Store| store.item(node).unwrap().unwrap().remote.name;
        assert_eq!(name(&store), "a");
        store.set_remote(node, &remote("c")).unwrap();
        assert_eq!(name(&store), "c");
        assert!(!store.work(node).unwrap().unwrap().approved);
        store.approve(node).unwrap();
        assert!(store.work(node).unwrap().unwrap().approved);
        // A statement about many rows, and what a foreign key does.
        assert_eq!(store.work(other).unwrap().unwrap().attempts, 0);
        store.conn.execute("UPDATE work SET attempts = 3", []).unwrap();
        assert_eq!((store.work(node).unwrap().unwrap().attempts, store.work(other).unwrap().unwrap().attempts), (3, 3));
        store.drop_item(other).unwrap();
        assert!(store.work(other).unwrap().is_none() && store.item(other).unwrap().is_none());
        store.commit().unwrap();
        store.begin().unwrap();
        store.set_remote(node, &remote("d")).unwrap();
        assert_eq!(name(&store), "d");
        store.rollback().unwrap();
        assert_eq!(name(&store), "c");
        assert!(store.tombstone(node).unwrap().is_none());
        let tombstone = Tombstone { version: VersionId::new("1"), reason: Away::Expired, at: AT };
        store.bury(node, folder, &tombstone).unwrap();
        assert_eq!(store.tombstone(node).unwrap(), Some(tombstone));
        let store = store.emptied().unwrap().unwrap();
        assert!(store.item(node).unwrap().is_none() && store.work(node).unwrap().is_none());
        assert!(store.tombstone(node).unwrap().is_none());
    }

    #[test]
    fn no_more_rows_than_so_many_are_kept() {
        let mut conn = Connection::open_in_memory().unwrap();
        let lately = Lately::of(&mut conn).unwrap();
        for node in 0..3 * KEPT_MOST {
            assert!(lately.item(NodeId(node as i64), || Ok(None)).unwrap().is_none());
            assert!(lately.kept().items.contains_key(&NodeId(node as i64)), "it is not read again");
            assert!(lately.kept().items.len() <= KEPT_MOST);
        }
        lately.forget();
        assert!(lately.kept().items.is_empty());
    }

    #[test]
    fn no_statement_changes_what_is_kept_without_being_told_of() {
        let mut files = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"))];
        let mut seen = 0;
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            if path.ends_with("lately.rs") || path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for table in ["item", "work", "quarantine", "tombstone"] {
                seen += text.matches(&format!("UPDATE {table} SET")).count();
                for silent in ["REPLACE INTO", "UPDATE OR REPLACE"] {
                    assert!(!text.contains(&format!("{silent} {table} ")), "{}: {silent} {table}", path.display());
                }
                for rest in text.split(&format!("DELETE FROM {table}")).skip(1) {
                    let whole = rest.starts_with('"') || rest.trim_start().starts_with(';');
                    assert!(!whole, "{}: all of {table} is deleted", path.display());
                }
            }
        }
        assert!(seen > 20, "{seen} statements were found");
    }
}
