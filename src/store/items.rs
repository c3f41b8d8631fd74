//! Items: what the cloud has, and what the disk and the cloud last agreed on.

use rusqlite::blob::ZeroBlob;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};

use super::{Result, Store, StoreError};
use crate::id::{AccountId, Etag, FolderId, ItemId, JobId, NodeId, Sha256, VersionId};
use crate::path::Name;
use crate::tree::{RemoteContent, Stamp, SyncedContent, Wall};

pub(super) mod digest;
pub mod local;
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

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<ItemRow>> {
    Ok(read_checked(row))
}

fn read_checked(row: &Row<'_>) -> Result<ItemRow> {
    let id: ItemId = row.get_ref(2)?.as_str().map_err(StoreError::damaged)?.parse().map_err(StoreError::damaged)?;
    let remote_content = match row.get::<_, Option<String>>(6)? {
        Some(version) => Some(RemoteContent {
            version: VersionId::new(version),
            hash: digest::read(row.get_ref(7)?)?,
            size: row.get::<_, Option<i64>>(8)?.map(|size| size as u64),
            modified: row.get::<_, Option<i64>>(9)?.map(Wall),
        }),
        None => None,
    };
    let remote = RemoteRow {
        presence: Presence::from_code(row.get(3)?)?,
        parent: row.get::<_, Option<i64>>(4)?.map(NodeId),
        name: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
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
    Ok(ItemRow { node: NodeId(row.get(0)?), folder: FolderId(row.get(1)?), id, remote, synced, local })
}

fn read_synced(row: &Row<'_>, state: i64) -> Result<SyncedRow> {
    let seat = match (state, row.get::<_, Option<i64>>(14)?) {
        (1, None) => SeatRow::Root,
        (1, Some(parent)) => SeatRow::At { parent: NodeId(parent), name: read_name(row, 15)? },
        (2, _) => SeatRow::Parked(JobId(row.get(16)?)),
        (other, _) => return Err(StoreError::damaged(format_args!("seat {other}"))),
    };
    let content = match row.get::<_, Option<String>>(17)? {
        Some(version) => Some(SyncedContent {
            version: VersionId::new(version),
            hash: digest::read(row.get_ref(18)?)?,
            sha256: row.get::<_, Option<[u8; 32]>>(19)?.map(Sha256),
            size: row.get::<_, i64>(20)? as u64,
        }),
        None => None,
    };
    let stamp = Stamp {
        dev: row.get::<_, i64>(21)? as u64,
        ino: row.get::<_, i64>(22)? as u64,
        size: row.get::<_, i64>(23)? as u64,
        mtime_ns: row.get(24)?,
        ctime_ns: row.get(25)?,
    };
    Ok(SyncedRow { seat, content, stamp })
}

fn read_name(row: &Row<'_>, column: usize) -> Result<Name> {
    Name::new(row.get_ref(column)?.as_blob().map_err(StoreError::damaged)?).map_err(StoreError::damaged)
}

/// Room in a new file's row for what both sides will agree on: rows that grow later tear pages apart that are full, and a quarter of the
/// table would be empty. The column means nothing as long as nothing is agreed.
fn room_for_synced(remote: &RemoteRow, content: &RemoteContent) -> ZeroBlob {
    let hash = match content.hash.as_ref().map(digest::stored) {
        Some(Value::Blob(bytes)) => bytes.len(),
        Some(Value::Text(text)) => text.len(),
        _ => 0,
    };
    let bytes = SYNCED_BYTES + remote.name.len() + content.version.as_str().len() + hash;
    ZeroBlob(bytes as u64)
}

/// Our digest, the stamp and the numbers of what is agreed.
const SYNCED_BYTES: usize = 66;

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
        self.conn.prepare_cached(&sql)?.query_row(params![id.to_string(), folder.0], read).optional()?.transpose()
    }

    /// The folders of an account that know an item.
    pub fn folders_knowing(&self, account: AccountId, id: &ItemId) -> Result<Vec<FolderId>> {
        let sql = "SELECT item.folder FROM item JOIN folder USING (folder)
                   WHERE item.id = ?1 AND folder.account = ?2 AND folder.name IS NOT NULL ORDER BY item.folder";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![id.to_string(), account.0], |row| Ok(FolderId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The watched folders of any account that know an item, or that lie below it, in no order.
    pub fn folders_naming(&self, id: &ItemId, found: &mut Vec<FolderId>) -> Result<()> {
        let sql = "SELECT folder FROM item WHERE id = ?1 UNION ALL SELECT folder FROM above WHERE id = ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([id.to_string()])?;
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
            id.to_string(),
            remote.presence.code(),
            remote.parent.map(|node| node.0),
            remote.name,
            content.map(|content| content.version.as_str()),
            content.and_then(|content| content.hash.as_ref()).map(digest::stored),
            content.and_then(|content| content.size).map(|size| size as i64),
            content.and_then(|content| content.modified).map(|at| at.0),
            remote.etag.as_ref().map(Etag::as_str),
            remote.sequence.map(|seq| seq as i64),
            remote.seen,
            content.map(|content| room_for_synced(remote, content)),
        ])?;
        Ok(NodeId(self.conn.last_insert_rowid()))
    }

    /// Replaces what the cloud has of an item.
    pub fn set_remote(&mut self, node: NodeId, remote: &RemoteRow) -> Result<()> {
        let sql = "UPDATE item SET r = ?2, r_parent = ?3, r_name = ?4, r_version = ?5, r_hash = ?6, r_size = ?7, r_mtime = ?8,
                   r_etag = ?9, r_seq = ?10, seen = ?11 WHERE node = ?1";
        let content = remote.content.as_ref();
        self.conn.prepare_cached(sql)?.execute(params![
            node.0,
            remote.presence.code(),
            remote.parent.map(|node| node.0),
            remote.name,
            content.map(|content| content.version.as_str()),
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
        let Some(synced) = synced else {
            let sql =
                "UPDATE item SET s = 0, s_parent = NULL, s_name = NULL, s_job = NULL, s_version = NULL, s_hash = NULL,
                       s_sha256 = NULL, s_size = NULL, dev = NULL, ino = NULL, size = NULL, mtime = NULL, ctime = NULL
                       WHERE node = ?1";
            self.conn.prepare_cached(sql)?.execute([node.0])?;
            return Ok(());
        };
        let (state, parent, name, job) = match &synced.seat {
            SeatRow::Root => (1, None, None, None),
            SeatRow::At { parent, name } => (1, Some(parent.0), Some(name.as_bytes()), None),
            SeatRow::Parked(job) => (2, None, None, Some(job.0)),
        };
        let content = synced.content.as_ref();
        let sql = "UPDATE item SET s = ?2, s_parent = ?3, s_name = ?4, s_job = ?5, s_version = ?6, s_hash = ?7, s_sha256 = ?8,
                   s_size = ?9, dev = ?10, ino = ?11, size = ?12, mtime = ?13, ctime = ?14 WHERE node = ?1";
        self.conn.prepare_cached(sql)?.execute(params![
            node.0,
            state,
            parent,
            name,
            job,
            content.map(|content| content.version.as_str()),
            content.and_then(|content| content.hash.as_ref()).map(digest::stored),
            content.and_then(|content| content.sha256.as_ref()).map(|hash| hash.0),
            content.map(|content| content.size as i64),
            synced.stamp.dev as i64,
            synced.stamp.ino as i64,
            synced.stamp.size as i64,
            synced.stamp.mtime_ns,
            synced.stamp.ctime_ns,
        ])?;
        Ok(())
    }

    /// Drops an item's row.
    pub fn drop_item(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM item WHERE node = ?1")?.execute([node.0])?;
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
