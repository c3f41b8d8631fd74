//! Items: what the cloud has, and what the disk and the cloud last agreed on.

use rusqlite::blob::ZeroBlob;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, Row, params};

use super::{Result, Store, StoreError};
use crate::id::{AccountId, Etag, FolderId, ItemId, JobId, NodeId, Sha256};
use crate::path::Name;
use crate::tree::{RemoteContent, Stamp, SyncedContent, Wall};

pub(super) mod digest;
pub mod local;
pub(super) mod packed;
pub mod seated;

pub use local::{LocalEdit, LocalRow};

/// Whether the cloud has an item in the watched folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// No.
    Absent,
    /// Yes.
    Present,
    /// Yes, but a pattern keeps it out.
    FilteredOut,
}

impl Presence {
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Absent => 0,
            Self::Present => 1,
            Self::FilteredOut => 2,
        }
    }

    pub(super) fn from_code(code: i64) -> Result<Self> {
        match code {
            0 => Ok(Self::Absent),
            1 => Ok(Self::Present),
            2 => Ok(Self::FilteredOut),
            other => Err(StoreError::damaged(format_args!("presence {other}"))),
        }
    }
}

/// What the cloud has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRow {
    /// Whether it is there.
    pub presence: Presence,
    /// The folder that holds it; nothing for the watched root.
    pub parent: Option<NodeId>,
    /// Its name in the cloud.
    pub name: String,
    /// Its content; nothing for folders.
    pub content: Option<RemoteContent>,
    /// Its tag.
    pub etag: Option<Etag>,
    /// Its count of changes.
    pub sequence: Option<u64>,
    /// The full comparison that last met it.
    pub seen: i64,
}

/// Where an item is on disk, as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatRow {
    /// In the tree. The watched root has no parent and no name.
    Root,
    /// In the tree.
    At {
        /// The directory that holds it.
        parent: NodeId,
        /// Its name there.
        name: Name,
    },
    /// Parked under a job's number.
    Parked(JobId),
}

/// What both agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedRow {
    /// Where it is.
    pub seat: SeatRow,
    /// What it holds; nothing for folders.
    pub content: Option<SyncedContent>,
    /// What the disk says of it.
    pub stamp: Stamp,
}

/// One item of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// Its row.
    pub node: NodeId,
    /// Its folder.
    pub folder: FolderId,
    /// The item.
    pub id: ItemId,
    /// What the cloud has.
    pub remote: RemoteRow,
    /// What both agreed on.
    pub synced: Option<SyncedRow>,
    /// What the disk has, where that is something else.
    pub local: Option<LocalRow>,
}

impl ItemRow {
    /// Where the disk has it; nothing if it does not.
    pub fn disk_seat(&self) -> Option<SeatRow> {
        match &self.local {
            Some(LocalRow::Absent { .. }) => None,
            Some(LocalRow::Present { seat: Some((parent, name)), .. }) => {
                Some(SeatRow::At { parent: *parent, name: name.clone() })
            }
            Some(LocalRow::Present { seat: None, .. } | LocalRow::Covered { .. }) | None => {
                self.synced.as_ref().map(|synced| synced.seat.clone())
            }
        }
    }

    /// The stamp of what the disk has, as far as we know.
    pub fn disk_stamp(&self) -> Option<Stamp> {
        let edit = self.local.as_ref().and_then(LocalRow::edit);
        edit.map(|edit| edit.stamp).or(self.synced.as_ref().map(|synced| synced.stamp))
    }

    /// Whether only the disk has it: its id is one of ours, until the cloud gives it another.
    pub fn is_local_only(&self) -> bool {
        self.id.raw().starts_with(LOCAL_ID_MARK)
    }
}

/// How the ids begin that we give to what only the disk has. No provider's id begins so.
const LOCAL_ID_MARK: char = '~';

/// An id for something that only the disk has.
pub fn local_id(kind: crate::id::ItemKind, job: JobId) -> ItemId {
    ItemId::new(kind, format!("{LOCAL_ID_MARK}{job}"))
}

pub(super) const COLUMNS: &str =
    "node, folder, id, r, r_parent, r_name, r_version, r_hash, r_size, r_mtime, r_etag, r_seq, seen,
     s, s_parent, s_name, s_job, s_version, s_hash, s_sha256, s_size, dev, ino, size, mtime, ctime,
     l, l_parent, l_name, l_dev, l_ino, l_size, l_mtime, l_ctime, l_sha256, l_hash, l_at";

/// In a column of the cloud's side: it is as the column of the synced side says. Nearly every file is so, and its name, version and digest
/// stand in its row once. `s_size` stands so for the length in the stamp.
///
/// What a statement changes on the synced side, it first writes out on the cloud's side: [`Store::set_synced`] is the only one.
const AS_SYNCED: Value = Value::Blob(Vec::new());

fn is_as_synced(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Blob([]))
}

/// The name in the cloud, in SQL.
pub(super) const R_NAME: &str = "iif(r_name = x'', CAST(s_name AS TEXT), r_name)";
/// The length in the cloud, in SQL.
pub(super) const R_SIZE: &str = "iif(r_size = x'', size, r_size)";
/// When the cloud's content was changed, in SQL.
pub(super) const R_MTIME: &str = "iif(r_mtime = x'', mtime / 1000000, r_mtime)";
/// The length of what both agreed on, in SQL.
pub(super) const S_SIZE: &str = "iif(s_size = x'', size, s_size)";
/// Whether an item is a folder, in SQL.
pub(super) const IS_FOLDER: &str = "id >= x'10'";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<ItemRow>> {
    Ok(read_checked(row))
}

fn read_checked(row: &Row<'_>) -> Result<ItemRow> {
    // Where a column stands for that of the synced side.
    let or = |column: usize, synced: usize| -> Result<ValueRef<'_>> {
        let value = row.get_ref(column)?;
        if is_as_synced(value) { Ok(row.get_ref(synced)?) } else { Ok(value) }
    };
    let remote_content = match packed::read_version(or(6, 17)?)? {
        Some(version) => Some(RemoteContent {
            version,
            hash: digest::read(or(7, 18)?)?,
            size: or(8, 23)?.as_i64_or_null().map_err(StoreError::damaged)?.map(|size| size as u64),
            modified: read_modified(row)?,
        }),
        None => None,
    };
    let remote = RemoteRow {
        presence: Presence::from_code(row.get(3)?)?,
        parent: row.get::<_, Option<i64>>(4)?.map(NodeId),
        name: str::from_utf8(or(5, 15)?.as_bytes_or_null().map_err(StoreError::damaged)?.unwrap_or_default())
            .map_err(StoreError::damaged)?
            .to_owned(),
        content: remote_content,
        etag: row.get::<_, Option<String>>(10)?.map(Etag::new),
        sequence: row.get::<_, Option<i64>>(11)?.map(|seq| seq as u64),
        seen: row.get(12)?,
    };
    let synced = match row.get::<_, i64>(13)? {
        0 => None,
        state => Some(read_synced(row, state)?),
    };
    let local = match row.get::<_, i64>(26)? {
        0 => None,
        state => Some(local::read(row, state)?),
    };
    let id = packed::read_id(row.get_ref(2)?)?;
    Ok(ItemRow { node: NodeId(row.get(0)?), folder: FolderId(row.get(1)?), id, remote, synced, local })
}

/// When the cloud's content was changed: the stamp on disk is given that time.
fn read_modified(row: &Row<'_>) -> Result<Option<Wall>> {
    if is_as_synced(row.get_ref(9)?) {
        return Ok(Some(Wall(row.get::<_, i64>(24)? / NS_IN_MS)));
    }
    Ok(row.get::<_, Option<i64>>(9)?.map(Wall))
}

const NS_IN_MS: i64 = 1_000_000;

fn read_synced(row: &Row<'_>, state: i64) -> Result<SyncedRow> {
    let seat = match (state, row.get::<_, Option<i64>>(14)?) {
        (1, None) => SeatRow::Root,
        (1, Some(parent)) => SeatRow::At { parent: NodeId(parent), name: read_name(row, 15)? },
        (2, _) => SeatRow::Parked(JobId(row.get(16)?)),
        (other, _) => return Err(StoreError::damaged(format_args!("seat {other}"))),
    };
    let stamp = Stamp {
        dev: row.get::<_, i64>(21)? as u64,
        ino: row.get::<_, i64>(22)? as u64,
        size: row.get::<_, i64>(23)? as u64,
        mtime_ns: row.get(24)?,
        ctime_ns: row.get(25)?,
    };
    let content = match packed::read_version(row.get_ref(17)?)? {
        Some(version) => Some(SyncedContent {
            version,
            hash: digest::read(row.get_ref(18)?)?,
            sha256: row.get::<_, Option<[u8; 32]>>(19)?.map(Sha256),
            size: if is_as_synced(row.get_ref(20)?) { stamp.size } else { row.get::<_, i64>(20)? as u64 },
        }),
        None => None,
    };
    Ok(SyncedRow { seat, content, stamp })
}

fn read_name(row: &Row<'_>, column: usize) -> Result<Name> {
    Name::new(row.get_ref(column)?.as_blob().map_err(StoreError::damaged)?).map_err(StoreError::damaged)
}

/// Room in a new file's row for what both sides will agree on: rows that grow later tear pages apart that are full, and a quarter of the
/// table would be empty. The column means nothing as long as nothing is agreed.
const ROOM_FOR_SYNCED: u64 = 54;

/// One item, by any connection.
pub(super) fn load(conn: &rusqlite::Connection, node: NodeId) -> Result<Option<ItemRow>> {
    let sql = format!("SELECT {COLUMNS} FROM item WHERE node = ?1");
    conn.prepare_cached(&sql)?.query_row([node.0], read).optional()?.transpose()
}

impl Store {
    /// One item.
    pub fn item(&self, node: NodeId) -> Result<Option<ItemRow>> {
        self.lately.item(node, || load(&self.conn, node))
    }

    /// One item of a folder, by its id.
    pub fn item_by_id(&self, folder: FolderId, id: &ItemId) -> Result<Option<ItemRow>> {
        let sql = format!("SELECT {COLUMNS} FROM item WHERE id = ?1 AND folder = ?2");
        self.conn.prepare_cached(&sql)?.query_row(params![packed::id(id), folder.0], read).optional()?.transpose()
    }

    /// The folders of an account that know an item.
    pub fn folders_knowing(&self, account: AccountId, id: &ItemId) -> Result<Vec<FolderId>> {
        let sql = "SELECT item.folder FROM item JOIN folder USING (folder)
                   WHERE item.id = ?1 AND folder.account = ?2 AND folder.name IS NOT NULL ORDER BY item.folder";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![packed::id(id), account.0], |row| Ok(FolderId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The watched folders of any account that know an item, or that lie below it, in no order.
    pub fn folders_naming(&self, id: &ItemId, found: &mut Vec<FolderId>) -> Result<()> {
        let sql = "SELECT folder FROM item WHERE id = ?1 UNION ALL SELECT folder FROM above WHERE id = ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![packed::id(id), id.text()])?;
        while let Some(row) = rows.next()? {
            found.push(FolderId(row.get(0)?));
        }
        Ok(())
    }

    /// Makes an item's row with what the cloud has.
    pub fn add_item(&mut self, folder: FolderId, id: &ItemId, remote: &RemoteRow) -> Result<NodeId> {
        let sql = "INSERT INTO item (folder, id, r, r_parent, r_name, r_version, r_hash, r_size, r_mtime, r_etag, r_seq, seen,
                                     s_sha256)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let content = remote.content.as_ref();
        self.conn.prepare_cached(sql)?.execute(params![
            folder.0,
            packed::id(id),
            remote.presence.code(),
            remote.parent.map(|node| node.0),
            remote.name,
            content.map(|content| packed::version(&content.version)),
            content.and_then(|content| content.hash.as_ref()).map(digest::stored),
            content.and_then(|content| content.size).map(|size| size as i64),
            content.and_then(|content| content.modified).map(|at| at.0),
            remote.etag.as_ref().map(Etag::as_str),
            remote.sequence.map(|seq| seq as i64),
            remote.seen,
            content.map(|_| ZeroBlob(ROOM_FOR_SYNCED)),
        ])?;
        Ok(NodeId(self.conn.last_insert_rowid()))
    }

    /// Replaces what the cloud has of an item.
    pub fn set_remote(&mut self, node: NodeId, remote: &RemoteRow) -> Result<()> {
        let sql = "UPDATE item SET r = ?2, r_parent = ?3, r_etag = ?9, r_seq = ?10, seen = ?11,
                       r_name = iif(s_name = CAST(?4 AS BLOB), x'', ?4), r_version = iif(s_version = ?5, x'', ?5),
                       r_hash = iif(s_hash = ?6, x'', ?6), r_size = iif(size = ?7, x'', ?7),
                       r_mtime = iif(mtime = ?8 * 1000000, x'', ?8)
                   WHERE node = ?1";
        let content = remote.content.as_ref();
        self.conn.prepare_cached(sql)?.execute(params![
            node.0,
            remote.presence.code(),
            remote.parent.map(|node| node.0),
            remote.name,
            content.map(|content| packed::version(&content.version)),
            content.and_then(|content| content.hash.as_ref()).map(digest::stored),
            content.and_then(|content| content.size).map(|size| size as i64),
            content.and_then(|content| content.modified).map(|at| at.0),
            remote.etag.as_ref().map(Etag::as_str),
            remote.sequence.map(|seq| seq as i64),
            remote.seen,
        ])?;
        Ok(())
    }

    /// Notes that a full comparison met an item that is as it was.
    pub fn set_seen(&mut self, node: NodeId, scan: i64) -> Result<()> {
        self.conn.prepare_cached("UPDATE item SET seen = ?2 WHERE node = ?1")?.execute(params![node.0, scan])?;
        Ok(())
    }

    /// Raises the count of changes up to which we know of an item.
    pub fn set_sequence(&mut self, node: NodeId, sequence: Option<u64>) -> Result<()> {
        let Some(sequence) = sequence else { return Ok(()) };
        self.conn
            .prepare_cached("UPDATE item SET r_seq = max(coalesce(r_seq, 0), ?2) WHERE node = ?1")?
            .execute(params![node.0, sequence as i64])?;
        Ok(())
    }

    /// Changes only whether the cloud has an item.
    pub fn set_presence(&mut self, node: NodeId, presence: Presence) -> Result<()> {
        self.conn
            .prepare_cached("UPDATE item SET r = ?2 WHERE node = ?1")?
            .execute(params![node.0, presence.code()])?;
        Ok(())
    }

    /// Records what both sides now agree on; nothing if the disk no longer has it.
    pub fn set_synced(&mut self, node: NodeId, synced: Option<&SyncedRow>) -> Result<()> {
        // What the cloud has is written out where it stood for what is replaced, and stands for what replaces it where that is the same.
        let Some(synced) = synced else {
            let sql = format!(
                "UPDATE item SET r_name = {R_NAME}, r_version = iif(r_version = x'', s_version, r_version),
                     r_hash = iif(r_hash = x'', s_hash, r_hash), r_size = {R_SIZE}, r_mtime = {R_MTIME},
                     s = 0, s_parent = NULL, s_name = NULL, s_job = NULL, s_version = NULL, s_hash = NULL,
                     s_sha256 = NULL, s_size = NULL, dev = NULL, ino = NULL, size = NULL, mtime = NULL, ctime = NULL
                 WHERE node = ?1"
            );
            self.conn.prepare_cached(&sql)?.execute([node.0])?;
            return Ok(());
        };
        let (state, parent, name, job) = match &synced.seat {
            SeatRow::Root => (1, None, None, None),
            SeatRow::At { parent, name } => (1, Some(parent.0), Some(name.as_bytes()), None),
            SeatRow::Parked(job) => (2, None, None, Some(job.0)),
        };
        let content = synced.content.as_ref();
        let size = content
            .map(|content| content.size)
            .map(|size| if size == synced.stamp.size { AS_SYNCED } else { Value::Integer(size as i64) });
        let sql = format!(
            "UPDATE item SET r_name = iif(CAST({R_NAME} AS BLOB) = ?4, x'', {R_NAME}),
                 r_version = CASE WHEN r_version = x'' THEN iif(s_version = ?6, x'', s_version) WHEN r_version = ?6 THEN x'' ELSE r_version END,
                 r_hash = CASE WHEN r_hash = x'' THEN iif(s_hash = ?7, x'', s_hash) WHEN r_hash = ?7 THEN x'' ELSE r_hash END,
                 r_size = iif({R_SIZE} = ?12, x'', {R_SIZE}), r_mtime = iif({R_MTIME} * 1000000 = ?13, x'', {R_MTIME}),
                 s = ?2, s_parent = ?3, s_name = ?4, s_job = ?5, s_version = ?6, s_hash = ?7, s_sha256 = ?8,
                 s_size = ?9, dev = ?10, ino = ?11, size = ?12, mtime = ?13, ctime = ?14 WHERE node = ?1"
        );
        self.conn.prepare_cached(&sql)?.execute(params![
            node.0,
            state,
            parent,
            name,
            job,
            content.map(|content| packed::version(&content.version)),
            content.and_then(|content| content.hash.as_ref()).map(digest::stored),
            content.and_then(|content| content.sha256.as_ref()).map(|hash| hash.0),
            size,
            synced.stamp.dev as i64,
            synced.stamp.ino as i64,
            synced.stamp.size as i64,
            synced.stamp.mtime_ns,
            synced.stamp.ctime_ns,
        ])?;
        Ok(())
    }

    /// Who sits at a place on disk.
    pub fn seated_at(&self, parent: NodeId, name: &Name) -> Result<Option<NodeId>> {
        let sql = "SELECT node FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1 AND s_name = ?2
                   UNION ALL SELECT node FROM item WHERE l_parent = ?1 AND l_name = ?2 LIMIT 1";
        let found = self.conn.prepare_cached(sql)?.query_row(params![parent.0, name.as_bytes()], |row| row.get(0));
        Ok(found.optional()?.map(NodeId))
    }

    /// Somebody who sits where both agreed that he is, in a directory, if anybody does.
    pub fn agreed_in(&self, parent: NodeId) -> Result<Option<ItemRow>> {
        let sql = format!("SELECT {COLUMNS} FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1 LIMIT 1");
        self.conn.prepare_cached(&sql)?.query_row([parent.0], read).optional()?.transpose()
    }

    /// Somebody who still sits in a directory, if anybody does.
    pub fn seated_in(&self, parent: NodeId) -> Result<Option<NodeId>> {
        let sql = "SELECT node FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1
                   UNION ALL SELECT node FROM item WHERE l_parent = ?1 LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([parent.0], |row| row.get(0)).optional()?.map(NodeId))
    }

    /// Children in the cloud's tree after `after`, in node order, at most `limit`, with their present presence.
    pub fn remote_children(&self, parent: NodeId, after: NodeId, limit: u32) -> Result<Vec<ItemRow>> {
        let sql = format!("SELECT {COLUMNS} FROM item WHERE r_parent = ?1 AND node > ?2 ORDER BY node LIMIT ?3");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![parent.0, after.0, limit], read)?;
        rows.map(|row| row?).collect()
    }

    /// Whether the cloud has something in this folder, as far as was told.
    pub fn has_children(&self, parent: NodeId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM item WHERE r_parent = ?1 AND r = 1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([parent.0], |row| row.get(0))?)
    }

    /// Whether something is gone from the cloud that was last in this folder.
    pub fn has_absent_children(&self, parent: NodeId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM item WHERE r_parent = ?1 AND r = 0)";
        Ok(self.conn.prepare_cached(sql)?.query_row([parent.0], |row| row.get(0))?)
    }

    /// Items present in the cloud's tree that comparison `scan` did not meet, after `after`, in node order, looking at no more than
    /// `limit` rows: the items, and the last row looked at (nothing when the end is reached).
    pub fn unseen(
        &self,
        folder: FolderId,
        scan: i64,
        after: NodeId,
        limit: u32,
    ) -> Result<(Vec<NodeId>, Option<NodeId>)> {
        let sql = "SELECT node, folder = ?1 AND r <> 0 AND seen < ?2 FROM item WHERE node > ?3 ORDER BY node LIMIT ?4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![folder.0, scan, after.0, limit])?;
        let (mut unseen, mut last, mut looked) = (Vec::new(), after, 0);
        while let Some(row) = rows.next()? {
            last = NodeId(row.get(0)?);
            looked += 1;
            if row.get(1)? {
                unseen.push(last);
            }
        }
        Ok((unseen, (looked == limit).then_some(last)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::id::VersionId;
    use crate::store::folders::NewFolder;

    fn store() -> (Store, FolderId) {
        let mut store = Store::in_memory().unwrap();
        let account = store.account("a", "box").unwrap().account;
        let new = NewFolder { name: "f", account, mark: "m", remote: "/", local: Path::new("/f"), filters: "" };
        let folder = store.add_folder(&new).unwrap().folder;
        (store, folder)
    }

    /// A source of choices that are the same every time.
    struct Choice(u64);

    impl Choice {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % most
        }

        fn of<T: Clone>(&mut self, from: &[T]) -> T {
            from[self.below(from.len() as u64) as usize].clone()
        }

        fn version(&mut self) -> VersionId {
            VersionId::new(self.of(&["7", "07", "", "v", "0123abcd-4567-89ab-cdef-0123456789ab"]))
        }

        fn hash(&mut self) -> Option<crate::id::ContentHash> {
            let sha1 = |digit: &str| crate::id::ContentHash::Sha1(digit.repeat(40));
            let hashes = [None, Some(sha1("1")), Some(sha1("2")), Some(crate::id::ContentHash::Unknown("9-x".into()))];
            self.of(&hashes)
        }

        fn remote(&mut self, parent: NodeId) -> RemoteRow {
            let content = (self.below(5) > 0).then(|| RemoteContent {
                version: self.version(),
                hash: self.hash(),
                size: self.of(&[None, Some(0), Some(1), Some(4_096)]),
                modified: self.of(&[None, Some(Wall(0)), Some(Wall(5)), Some(Wall(-5)), Some(Wall(i64::MAX))]),
            });
            RemoteRow {
                presence: self.of(&[Presence::Absent, Presence::Present, Presence::FilteredOut]),
                parent: Some(parent),
                name: self.of(&["a", "b", "", "契約"]).to_owned(),
                content,
                etag: None,
                sequence: None,
                seen: 0,
            }
        }

        fn synced(&mut self, parent: NodeId) -> Option<SyncedRow> {
            let name = self.of(&[&b"a"[..], b"b", "契約".as_bytes(), b"\xff"]);
            let name = Name::new(name).unwrap();
            let seat = match self.below(6) {
                0 => return None,
                1 => SeatRow::Parked(JobId(9)),
                _ => SeatRow::At { parent, name },
            };
            let content = (self.below(5) > 0).then(|| SyncedContent {
                version: self.version(),
                hash: self.hash(),
                sha256: self.of(&[None, Some(Sha256([7; 32]))]),
                size: self.of(&[0, 1, 4_096]),
            });
            let stamp = Stamp {
                dev: 1,
                ino: 2,
                size: self.of(&[0, 1, 4_096]),
                mtime_ns: self.of(&[0, 5_000_000, 5_000_001, -5_000_000, -5_000_001, i64::MAX]),
                ctime_ns: 4,
            };
            Some(SyncedRow { seat, content, stamp })
        }
    }

    /// The sides of a row say what they were told, in whatever order they are told it, although what is equal stands there once.
    #[test]
    fn each_side_is_what_it_was_told_whatever_the_other_becomes() {
        let (mut store, folder) = store();
        let mut choice = Choice(1);
        let top = store.add_item(folder, &ItemId::folder("1"), &choice.remote(NodeId(0))).unwrap();
        let id = ItemId::file("2");
        let mut remote = choice.remote(top);
        let node = store.add_item(folder, &id, &remote).unwrap();
        let mut synced = None;
        let mut shared = 0;
        for _ in 0..20_000 {
            if choice.below(2) == 0 {
                remote = choice.remote(top);
                store.set_remote(node, &remote).unwrap();
            } else {
                synced = choice.synced(top);
                store.set_synced(node, synced.as_ref()).unwrap();
            }
            let item = store.item_by_id(folder, &id).unwrap().unwrap();
            assert_eq!((&item.remote, &item.synced), (&remote, &synced));
            let sql = format!(
                "SELECT {R_NAME}, {R_SIZE}, {R_MTIME}, {S_SIZE}, {IS_FOLDER}, r_name = x'' FROM item WHERE node = ?1"
            );
            let in_sql = store.conn.prepare_cached(&sql).unwrap().query_row([node.0], |row| {
                let number = |column| row.get::<_, Option<i64>>(column);
                shared += usize::from(row.get::<_, bool>(5)?);
                Ok((row.get::<_, String>(0)?, number(1)?, number(2)?, number(3)?, row.get::<_, bool>(4)?))
            });
            let content = remote.content.as_ref();
            let held = synced.as_ref().and_then(|synced| synced.content.as_ref());
            let as_told = (
                remote.name.clone(),
                content.and_then(|content| content.size).map(|size| size as i64),
                content.and_then(|content| content.modified).map(|at| at.0),
                held.map(|content| content.size as i64),
                false,
            );
            assert_eq!(in_sql.unwrap(), as_told);
        }
        assert!(shared > 1_000, "{shared} names stood there once");
    }
}
