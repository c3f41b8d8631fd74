//! Questions about everything that the cloud has below a folder, answered by the database without reading the items.

use rusqlite::params;

use super::items::{self, ItemRow};
use super::{Result, Store};
use crate::id::NodeId;
use crate::tree::Wall;

/// What is below a folder that is to go into the cloud's trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Below {
    /// Items, counted no further than one more than was asked for.
    pub items: usize,
    /// Those of which these questions cannot tell that they go as well; [`Store::doubtful_below`] has them.
    pub doubtful: usize,
    /// A person is still to be asked about one of the files.
    pub unapproved: bool,
}

/// When what is missing may still turn up.
#[derive(Debug, Clone, Copy)]
pub struct Hopes {
    /// It may be out of sight with its folder, if it is missing since then.
    pub parked_since: Wall,
    /// Something new of its length may be it, if it is missing since then.
    pub moved_since: Wall,
}

/// The nodes below ?1, in the cloud's tree and ?2 at most.
const BELOW: &str = "WITH RECURSIVE below (node) AS (
    SELECT node FROM item WHERE r_parent = ?1 AND r <> 0
    UNION ALL SELECT item.node FROM below JOIN item ON item.r_parent = below.node WHERE item.r <> 0
    LIMIT ?2)";

/// Whether an item surely goes: it is where it was and as it was, the disk lost it, and nothing is to be heard of it or to be done for it
/// before. ?3 and ?4 are the times of [`Hopes`].
const GOES: &str = "i.r = 1 AND i.s = 1 AND i.l = 2 AND i.l_hash IS NULL
    AND (i.id >= x'10' AND NOT EXISTS (SELECT 1 FROM listing WHERE listing.node = i.node)
         OR i.r_parent = i.s_parent AND (i.r_name = x'' OR CAST(i.r_name AS BLOB) = i.s_name)
            AND (i.r_version = x'' OR i.r_version = i.s_version))
    AND i.l_at < ?3
    AND (i.l_at < ?4 OR coalesce(iif(i.s_size = x'', i.size, i.s_size), 0) = 0 OR NOT EXISTS (
         SELECT 1 FROM item AS new WHERE new.l = 1 AND new.s = 0 AND new.r = 0 AND new.folder = i.folder
             AND new.l_size = iif(i.s_size = x'', i.size, i.s_size)))
    AND coalesce(work.state, 0) <> 2 AND coalesce(work.attempts, 0) = 0 AND coalesce(work.look, 0) = 0
    AND NOT EXISTS (SELECT 1 FROM sent WHERE sent.node = i.node)";

impl Store {
    /// Looks through what is below a folder, as far as `most` items.
    pub fn below(&self, top: NodeId, most: usize, hopes: Hopes) -> Result<Below> {
        let sql = format!(
            "{BELOW} SELECT count(*), count(*) FILTER (WHERE ({GOES}) IS NOT TRUE),
                 count(*) FILTER (WHERE i.id < x'10' AND i.r = 1 AND coalesce(work.approved, 0) = 0)
             FROM below CROSS JOIN item AS i USING (node) LEFT JOIN work USING (node)"
        );
        let found = self.conn.prepare_cached(&sql)?.query_row(
            params![top.0, most as i64 + 1, hopes.parked_since.0, hopes.moved_since.0],
            |row| {
                let number = |column| row.get::<_, i64>(column).map(|number| number as usize);
                Ok(Below { items: number(0)?, doubtful: number(1)?, unapproved: number(2)? > 0 })
            },
        )?;
        Ok(found)
    }

    /// Those below a folder that [`Store::below`] counted as doubtful, at most `limit`.
    pub fn doubtful_below(&self, top: NodeId, most: usize, hopes: Hopes, limit: usize) -> Result<Vec<ItemRow>> {
        let sql = format!(
            "SELECT {} FROM item WHERE node IN ({BELOW}
                 SELECT node FROM below CROSS JOIN item AS i USING (node) LEFT JOIN work USING (node) WHERE ({GOES}) IS NOT TRUE)
             ORDER BY node LIMIT ?5",
            items::COLUMNS
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let values = params![top.0, most as i64 + 1, hopes.parked_since.0, hopes.moved_since.0, limit as i64];
        statement.query_map(values, items::read)?.map(|row| row?).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG_AGO: Wall = Wall(i64::MAX);
    const BEYOND_HOPE: Hopes = Hopes { parked_since: LONG_AGO, moved_since: LONG_AGO };

    /// A folder (node 1) with another one (2) in it, and files below each, all of them missing on disk since moment 100.
    fn missing(files: i64) -> Store {
        let store = Store::in_memory().unwrap();
        let setup = format!(
            "INSERT INTO account (account, name, provider) VALUES (1, 'a', 'box');
             INSERT INTO folder (folder, account, mark, remote, local, filters) VALUES (1, 1, '', '', x'00', '');
             INSERT INTO item (node, folder, id, r, r_name) VALUES (1, 1, x'1101', 1, 'top');
             INSERT INTO item (node, folder, id, r, r_parent, r_name, s, s_parent, s_name, l, away, l_at)
                 VALUES (2, 1, x'1102', 1, 1, 'd', 1, 1, CAST('d' AS BLOB), 2, 1, 100);
             WITH RECURSIVE n (n) AS (VALUES (3) UNION ALL SELECT n + 1 FROM n WHERE n < {files} + 2)
             INSERT INTO item (node, folder, id, r, r_parent, r_name, r_version, s, s_parent, s_name, s_version, s_size, l, away, l_at)
                 SELECT n, 1, CAST(char(3) || n AS BLOB), 1, 1 + n % 2, 'f' || n, 'v', 1, 1 + n % 2, CAST('f' || n AS BLOB), 'v', 10, 2, 1, 100
                 FROM n;
             UPDATE item SET dev = 0, ino = 0, size = 0, mtime = 0, ctime = 0 WHERE s = 1;"
        );
        store.conn.execute_batch(&setup).unwrap();
        store
    }

    fn doubtful(store: &Store, hopes: Hopes) -> Vec<i64> {
        let found = store.doubtful_below(NodeId(1), 100, hopes, 10).unwrap();
        let nodes: Vec<i64> = found.into_iter().map(|item| item.node.0).collect();
        assert_eq!(store.below(NodeId(1), 100, hopes).unwrap().doubtful, nodes.len());
        nodes
    }

    #[test]
    fn what_is_missing_as_it_was_goes_and_all_of_it_is_counted() {
        let store = missing(7);
        let below = store.below(NodeId(1), 100, BEYOND_HOPE).unwrap();
        assert_eq!(below, Below { items: 8, doubtful: 0, unapproved: true });
        assert_eq!(store.below(NodeId(1), 5, BEYOND_HOPE).unwrap().items, 6, "no further than one more");
        store
            .conn
            .execute_batch(
                "INSERT INTO work (node, folder, lane, pos, since, approved) SELECT node, 1, 0, 0, 0, 1 FROM item",
            )
            .unwrap();
        assert!(!store.below(NodeId(1), 100, BEYOND_HOPE).unwrap().unapproved);
        assert!(doubtful(&store, BEYOND_HOPE).is_empty());
    }

    #[test]
    fn whatever_speaks_against_it_makes_it_doubtful() {
        for change in [
            "UPDATE item SET r = 2 WHERE node = 4",
            "UPDATE item SET l = 0, away = 0 WHERE node = 4",
            "UPDATE item SET s = 2, s_job = 1 WHERE node = 4",
            "UPDATE item SET r_version = 'v2' WHERE node = 4",
            "UPDATE item SET r_version = NULL WHERE node = 4",
            "UPDATE item SET r_name = 'other' WHERE node = 4",
            "UPDATE item SET r_parent = 2 WHERE node = 4",
            "INSERT INTO work (node, folder, lane, pos, since, state) VALUES (4, 1, 0, 0, 0, 2)",
            "INSERT INTO work (node, folder, lane, pos, since, attempts) VALUES (4, 1, 0, 0, 0, 1)",
            "INSERT INTO work (node, folder, lane, pos, since, look) VALUES (4, 1, 0, 0, 0, 1)",
            "INSERT INTO sent (job, node, folder, write, at) VALUES (1, 4, 1, '', 0)",
        ] {
            let store = missing(7);
            store.conn.execute_batch(change).unwrap();
            assert_eq!(doubtful(&store, BEYOND_HOPE), [4], "{change}");
        }
        let store = missing(7);
        store.conn.execute_batch("INSERT INTO listing (node, folder, pos) VALUES (2, 1, 0)").unwrap();
        assert_eq!(doubtful(&store, BEYOND_HOPE), [2], "it is still to be listed");
        store.conn.execute_batch("UPDATE item SET r = 0 WHERE node = 2").unwrap();
        assert!(doubtful(&store, BEYOND_HOPE).is_empty(), "what the cloud no longer has is in nobody's way");
    }

    #[test]
    fn what_may_turn_up_is_doubtful() {
        let store = missing(2);
        let parked = |since| Hopes { parked_since: Wall(since), ..BEYOND_HOPE };
        assert_eq!(doubtful(&store, parked(100)), [2, 3, 4]);
        assert!(doubtful(&store, parked(101)).is_empty());
        let moved = |since| Hopes { moved_since: Wall(since), ..BEYOND_HOPE };
        assert!(doubtful(&store, moved(100)).is_empty());
        let new = "INSERT INTO item (node, folder, id, l, l_parent, l_name, l_size) VALUES (9, 1, CAST(char(3) || '~9' AS BLOB), 1, 2, x'41', 10)";
        store.conn.execute_batch(new).unwrap();
        assert_eq!(doubtful(&store, moved(100)), [3, 4], "something new has their length");
        assert!(doubtful(&store, moved(101)).is_empty());
    }
}
