//! What events make us expect of the cloud's tree, until an answer shows it or it was asked for often enough.

use rusqlite::params;

use super::items::{Presence, RemoteRow};
use super::{Result, Store, StoreError};
use crate::id::{FolderId, ItemId, NodeId, VersionId};

/// What an event says of whether its item is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Told {
    /// It is in the watched folder.
    #[default]
    There,
    /// It is in the trash, gone, or out of the watched folder.
    Gone,
    /// Either may be so. Example: rights on it changed, and it may have gone out of sight.
    Nothing,
    /// It moved to a place that is not told, in the watched folder or out of it. An earlier event of its deletion does not count any more: it was
    /// not in the trash when it moved.
    Left,
}

/// What an event makes us expect of an item. An answer that shows nothing new although the expectation is not met may be older than the
/// event's effect (clouds show changes late in listings): it is asked for again a few times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expectation {
    /// Whether it is there.
    pub told: Told,
    /// It is in this folder, under this name.
    pub place: Option<(NodeId, String)>,
    /// It has this version.
    pub version: Option<VersionId>,
}

impl Expectation {
    /// That it is gone.
    pub fn of_gone() -> Self {
        Self { told: Told::Gone, ..Self::default() }
    }

    /// That its state is to be asked for, whatever it is.
    pub fn of_nothing() -> Self {
        Self { told: Told::Nothing, ..Self::default() }
    }

    /// What is expected after another event, the last one to say anything of each part.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        let says_no_more = self.place.is_none() && self.version.is_none();
        match before {
            Some(before) if says_no_more && before.told == Told::There => match self.told {
                Told::Nothing | Told::Left => Self { told: self.told, ..before.clone() },
                Told::There | Told::Gone => self,
            },
            Some(before) if self == Self::of_nothing() => before.clone(),
            _ => self,
        }
    }

    /// Whether what was observed is what the event said.
    pub fn is_met_by(&self, remote: Option<&RemoteRow>) -> bool {
        let Some(remote) = remote.filter(|remote| remote.presence == Presence::Present) else {
            return self.told != Told::There;
        };
        if self.told == Told::Gone {
            return false;
        }
        // To the letter: a change of case alone is a change.
        let is_there = |(parent, name): &(NodeId, String)| remote.parent == Some(*parent) && remote.name == *name;
        let has = |version: &VersionId| remote.content.as_ref().is_some_and(|content| content.version == *version);
        self.place.as_ref().is_none_or(is_there) && self.version.as_ref().is_none_or(has)
    }
}

impl Store {
    /// Remembers what the newest event on an item said.
    pub fn expect(&mut self, node: NodeId, expected: &Expectation) -> Result<()> {
        let (parent, name) = expected.place.as_ref().map(|(parent, name)| (parent.0, name)).unzip();
        let sql = "INSERT OR REPLACE INTO expected (node, gone, parent, name, version) VALUES (?1, ?2, ?3, ?4, ?5)";
        let version = expected.version.as_ref().map(VersionId::as_str);
        self.conn.prepare_cached(sql)?.execute(params![node.0, expected.told as i64, parent, name, version])?;
        Ok(())
    }

    /// Nothing is expected of an item any more.
    pub fn forget_expected(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM expected WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// What is expected of the items of a watched folder.
    pub fn expectations(&self, folder: FolderId) -> Result<Vec<(NodeId, Expectation)>> {
        let sql = "SELECT node, gone, parent, expected.name, version FROM expected CROSS JOIN item USING (node)
                   WHERE item.folder = ?1 ORDER BY node";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([folder.0], |row| {
            let (parent, name): (Option<i64>, Option<String>) = (row.get(2)?, row.get(3)?);
            let expected = Expectation {
                told: match row.get(1)? {
                    0 => Told::There,
                    1 => Told::Gone,
                    3 => Told::Left,
                    _ => Told::Nothing,
                },
                place: parent.map(NodeId).zip(name),
                version: row.get::<_, Option<String>>(4)?.map(VersionId::new),
            };
            Ok((NodeId(row.get(0)?), expected))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Remembers a name that an event makes us expect in a folder.
    pub fn expect_name(&mut self, dir: NodeId, name: &str) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO expected_name (dir, name) SELECT node, ?2 FROM item WHERE node = ?1";
        self.conn.prepare_cached(sql)?.execute(params![dir.0, name])?;
        Ok(())
    }

    /// Remembers that an event tells of an unknown item under a name in a folder.
    pub fn expect_item(&mut self, dir: NodeId, name: &str, id: &ItemId) -> Result<()> {
        let sql = "INSERT INTO expected_name (dir, name, item) SELECT node, ?2, ?3 FROM item WHERE node = ?1
                   ON CONFLICT (dir, name) DO UPDATE SET item = excluded.item";
        self.conn.prepare_cached(sql)?.execute(params![dir.0, name, id.to_string()])?;
        Ok(())
    }

    /// A name was seen.
    pub fn forget_name(&mut self, dir: NodeId, name: &str) -> Result<()> {
        let sql = "DELETE FROM expected_name WHERE dir = ?1 AND name = ?2";
        self.conn.prepare_cached(sql)?.execute(params![dir.0, name])?;
        Ok(())
    }

    /// No name is expected in a folder any more.
    pub fn forget_names(&mut self, dir: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM expected_name WHERE dir = ?1")?.execute([dir.0])?;
        Ok(())
    }

    /// The names that are expected in the remote folders of a watched folder, and the unknown item of each, if an event named one.
    pub fn expected_names(&self, folder: FolderId) -> Result<Vec<(NodeId, String, Option<ItemId>)>> {
        let sql =
            "SELECT dir, expected_name.name, expected_name.item FROM expected_name CROSS JOIN item ON item.node = dir
                   WHERE item.folder = ?1 ORDER BY dir, expected_name.name";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([folder.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get_ref(2)?.as_str_or_null().map_err(StoreError::damaged)?;
            let id = id.map(str::parse).transpose().map_err(StoreError::damaged)?;
            found.push((NodeId(row.get(0)?), row.get(1)?, id));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: FolderId = FolderId(1);

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
        store.add_item(FOLDER, &ItemId::folder(id), &row).unwrap()
    }

    #[test]
    fn the_last_event_to_say_anything_of_a_part_counts() {
        let gone = Expectation::of_gone();
        let nothing = Expectation::of_nothing();
        let left = Expectation { told: Told::Left, ..Expectation::default() };
        let there = Expectation { place: Some((NodeId(7), "a".into())), ..Expectation::default() };
        let told = |told| Expectation { told, ..there.clone() };
        let cases = [
            // Before, the event, and what is expected then.
            (&gone, &nothing, gone.clone()),
            // It was restored before it could be moved.
            (&gone, &left, left.clone()),
            (&left, &nothing, left.clone()),
            (&left, &gone, gone.clone()),
            (&there, &nothing, told(Told::Nothing)),
            (&there, &left, told(Told::Left)),
            (&there, &gone, gone.clone()),
            (&gone, &there, there.clone()),
        ];
        for (before, event, expected) in cases {
            assert_eq!(event.clone().after(Some(before)), expected, "{before:?}, then {event:?}");
        }
    }

    #[test]
    fn what_is_expected_outlasts_a_restart_and_goes_with_its_item() {
        let mut store = Store::in_memory().unwrap();
        let account = store.account("a", "box").unwrap().account;
        let new = crate::store::folders::NewFolder {
            name: "f",
            account,
            mark: "m",
            remote: "/",
            local: std::path::Path::new("/f"),
            filters: "",
        };
        assert_eq!(store.add_folder(&new).unwrap().folder, FOLDER);
        let (dir, other) = (item(&mut store, "1"), item(&mut store, "2"));
        let gone = Expectation::of_gone();
        let left = Expectation { told: Told::Left, ..Expectation::default() };
        let moved =
            Expectation { told: Told::Nothing, place: Some((dir, "n".into())), version: Some(VersionId::new("v")) };
        store.expect(other, &gone).unwrap();
        store.expect(other, &moved).unwrap();
        store.expect(dir, &left).unwrap();
        for name in ["b", "a", "b"] {
            store.expect_name(dir, name).unwrap();
        }
        store.expect_name(NodeId(99), "a").unwrap();
        let file = ItemId::file("7");
        store.expect_item(dir, "b", &file).unwrap();
        store.expect_item(dir, "c", &file).unwrap();
        store.expect_name(dir, "c").unwrap();
        store.expect_item(NodeId(99), "c", &file).unwrap();
        let mut store = store.reopened().unwrap();
        assert_eq!(store.expectations(FOLDER).unwrap(), [(dir, left), (other, moved)], "the newest event counts");
        assert_eq!(
            store.expected_names(FOLDER).unwrap(),
            [(dir, "a".into(), None), (dir, "b".into(), Some(file.clone())), (dir, "c".into(), Some(file.clone()))]
        );
        store.forget_name(dir, "a").unwrap();
        store.forget_name(dir, "c").unwrap();
        assert_eq!(store.expected_names(FOLDER).unwrap(), [(dir, "b".into(), Some(file))]);
        store.forget_expected(other).unwrap();
        store.drop_item(dir).unwrap();
        assert_eq!((store.expectations(FOLDER).unwrap(), store.expected_names(FOLDER).unwrap()), (vec![], vec![]));
    }
}
