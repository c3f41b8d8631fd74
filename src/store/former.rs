//! Which folders had a name until lately, where events tell of items by paths.

use rusqlite::params;

use super::{Result, Store};
use crate::id::NodeId;
use crate::tree::Wall;

/// Names that are remembered, of all folders together.
pub const NAMES_MOST: usize = 1_000;

/// A folder that had a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerName {
    /// The folder that it was in.
    pub dir: NodeId,
    /// The name, as it was.
    pub name: String,
    /// The folder that had it.
    pub node: NodeId,
    /// When it was observed to have it no more.
    pub until: Wall,
}

impl Store {
    /// Remembers that a folder had a name, and forgets the oldest one if there are too many.
    pub fn note_former_name(&mut self, former: &FormerName) -> Result<()> {
        let FormerName { dir, name, node, until } = former;
        // The folder that it was in may be no more.
        let sql = "INSERT INTO former_name (dir, name, node, until) SELECT node, ?2, ?3, ?4 FROM item WHERE node = ?1";
        self.conn.prepare_cached(sql)?.execute(params![dir.0, name, node.0, until.0])?;
        let sql = "DELETE FROM former_name WHERE pos <= (SELECT max(pos) FROM former_name) - ?1";
        self.conn.prepare_cached(sql)?.execute([NAMES_MOST as i64])?;
        Ok(())
    }

    /// The names that are remembered, the oldest first.
    pub fn former_names(&self) -> Result<Vec<FormerName>> {
        let sql = "SELECT dir, name, node, until FROM former_name ORDER BY pos";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            let (dir, node) = (NodeId(row.get(0)?), NodeId(row.get(2)?));
            Ok(FormerName { dir, name: row.get(1)?, node, until: Wall(row.get(3)?) })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{FolderId, ItemId};
    use crate::store::items::{Presence, RemoteRow};

    fn store() -> Store {
        let mut store = Store::in_memory().unwrap();
        let account = store.account("a", "egnyte").unwrap().account;
        let new = crate::store::folders::NewFolder {
            name: "f",
            account,
            mark: "m",
            remote: "/",
            local: std::path::Path::new("/f"),
            filters: "",
        };
        store.add_folder(&new).unwrap();
        store
    }

    fn item(store: &mut Store, id: &str) -> NodeId {
        let row = RemoteRow {
            presence: Presence::Present,
            parent: None,
            name: id.into(),
            content: None,
            etag: None,
            sequence: None,
            seen: 0,
        };
        store.add_item(FolderId(1), &ItemId::folder(id), &row).unwrap()
    }

    fn former(dir: NodeId, name: &str, node: NodeId) -> FormerName {
        FormerName { dir, name: name.into(), node, until: Wall(1) }
    }

    #[test]
    fn former_names_outlast_a_restart_and_go_with_their_folders() {
        let mut store = store();
        let [root, one, two] = ["1", "2", "3"].map(|id| item(&mut store, id));
        let noted = [former(root, "b", one), former(root, "A", two), former(one, "c", two)];
        for former in &noted {
            store.note_former_name(former).unwrap();
        }
        store.note_former_name(&former(NodeId(99), "a", one)).unwrap();
        let mut store = store.reopened().unwrap();
        assert_eq!(store.former_names().unwrap(), noted, "the oldest first");
        store.drop_item(one).unwrap();
        assert_eq!(store.former_names().unwrap(), noted[1..2], "neither of it nor in it");
    }

    #[test]
    fn no_more_are_kept_than_are_remembered() {
        let mut store = store();
        let [root, node] = ["1", "2"].map(|id| item(&mut store, id));
        for number in 0..NAMES_MOST + 5 {
            store.note_former_name(&former(root, &number.to_string(), node)).unwrap();
        }
        let names = store.former_names().unwrap();
        assert_eq!((names.len(), names[0].name.as_str()), (NAMES_MOST, "5"));
    }
}
