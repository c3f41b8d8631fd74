//! What the disk has of an item, where that differs from what both sides agreed on.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};

use super::{COLUMNS, ItemRow, Presence, R_NAME, RemoteRow, digest, packed, read_name};
use crate::id::{ContentHash, FolderId, ItemId, NodeId, Sha256};
use crate::local_news::EntryKind;
use crate::path::Name;
use crate::store::{Result, Store, StoreError};
use crate::tree::{Stamp, Wall};

/// A content on disk that is not (or may not be) the synced one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEdit {
    /// Its stamp; for a directory that the cloud does not have, the stamp that names it.
    pub stamp: Stamp,
    /// Its digests, once it was read.
    pub digests: Option<(Sha256, ContentHash)>,
}

/// What the disk has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalRow {
    /// Nothing: a complete scan did not find it.
    Absent {
        /// When that was first seen.
        at: Wall,
    },
    /// Something.
    Present {
        /// Where it is; nothing if it is where the synced side says.
        seat: Option<(NodeId, Name)>,
        /// Its content; nothing if that is the synced one.
        edit: Option<LocalEdit>,
        /// When that was first seen.
        at: Wall,
    },
    /// Something of another kind stands in its place, which is taken by that.
    Covered {
        /// What stands there.
        by: EntryKind,
        /// Its stamp; without an inode where it stands in the place of a directory above.
        stamp: Stamp,
        /// When that was first seen.
        at: Wall,
    },
}

impl LocalRow {
    /// When the difference was first seen.
    pub fn at(&self) -> Wall {
        match self {
            Self::Absent { at } | Self::Present { at, .. } | Self::Covered { at, .. } => *at,
        }
    }

    /// The content, if it is another one.
    pub fn edit(&self) -> Option<&LocalEdit> {
        match self {
            Self::Absent { .. } | Self::Covered { .. } => None,
            Self::Present { edit, .. } => edit.as_ref(),
        }
    }
}

/// Reads the columns of the local side, which begin at 26.
pub(super) fn read(row: &Row<'_>, state: i64) -> Result<LocalRow> {
    let at = Wall(row.get::<_, Option<i64>>(36)?.unwrap_or_default());
    if state == 2 {
        // The column of the digest says what covers it.
        let Some(by) = row.get::<_, Option<String>>(35)? else { return Ok(LocalRow::Absent { at }) };
        let stamp = read_stamp(row)?.ok_or_else(|| StoreError::damaged("a cover without a stamp"))?;
        return Ok(LocalRow::Covered { by: cover_of(&by)?, stamp, at });
    }
    let seat = match row.get::<_, Option<i64>>(27)? {
        Some(parent) => Some((NodeId(parent), read_name(row, 28)?)),
        None => None,
    };
    let edit = match read_stamp(row)? {
        Some(stamp) => {
            let sha256 = row.get::<_, Option<[u8; 32]>>(34)?.map(Sha256);
            let hash = digest::read(row.get_ref(35)?)?;
            Some(LocalEdit { stamp, digests: sha256.zip(hash) })
        }
        None => None,
    };
    match state {
        1 => Ok(LocalRow::Present { seat, edit, at }),
        other => Err(StoreError::damaged(format_args!("local state {other}"))),
    }
}

fn read_stamp(row: &Row<'_>) -> Result<Option<Stamp>> {
    let Some(ino) = row.get::<_, Option<i64>>(30)? else { return Ok(None) };
    Ok(Some(Stamp {
        dev: row.get::<_, i64>(29)? as u64,
        ino: ino as u64,
        size: row.get::<_, i64>(31)? as u64,
        mtime_ns: row.get(32)?,
        ctime_ns: row.get(33)?,
    }))
}

const COVERS: [(EntryKind, &str); 5] = [
    (EntryKind::File, "file"),
    (EntryKind::Folder, "folder"),
    (EntryKind::Link, "link"),
    (EntryKind::Special, "special"),
    (EntryKind::Mount, "mount"),
];

fn cover_of(word: &str) -> Result<EntryKind> {
    let found = COVERS.iter().find(|(_, known)| *known == word);
    found.map(|(kind, _)| *kind).ok_or_else(|| StoreError::damaged(format_args!("cover {word}")))
}

fn cover_word(kind: EntryKind) -> Option<&'static str> {
    COVERS.iter().find(|(known, _)| *known == kind).map(|(_, word)| *word)
}

impl Store {
    /// Records what the disk has of an item; nothing if that is what both agreed on.
    ///
    /// One that is covered is missing as well (it may be found elsewhere by its inode), but keeps its place.
    pub fn set_local(&mut self, node: NodeId, local: Option<&LocalRow>) -> Result<()> {
        let (state, seat, edit, cover, at) = match local {
            None => (0, None, None, None, None),
            Some(LocalRow::Absent { at }) => (2, None, None, None, Some(*at)),
            Some(LocalRow::Covered { by, stamp, at }) => (2, None, None, Some((*by, *stamp)), Some(*at)),
            Some(LocalRow::Present { seat, edit, at }) => (1, seat.as_ref(), edit.as_ref(), None, Some(*at)),
        };
        let stamp = edit.map(|edit| edit.stamp).or(cover.map(|(_, stamp)| stamp));
        let digests = edit.and_then(|edit| edit.digests.as_ref());
        let word = cover.and_then(|(by, _)| cover_word(by)).map(|word| Value::Text(word.to_owned()));
        let sql = "UPDATE item SET l = ?2, away = ?3, l_parent = ?4, l_name = ?5, l_dev = ?6, l_ino = ?7, l_size = ?8, l_mtime = ?9,
                   l_ctime = ?10, l_sha256 = ?11, l_hash = ?12, l_at = ?13 WHERE node = ?1";
        self.conn.prepare_cached(sql)?.execute(params![
            node.0,
            state,
            state == 2 && cover.is_none() || seat.is_some(),
            seat.map(|(parent, _)| parent.0),
            seat.map(|(_, name)| name.as_bytes()),
            stamp.map(|stamp| stamp.dev as i64),
            stamp.map(|stamp| stamp.ino as i64),
            stamp.map(|stamp| stamp.size as i64),
            stamp.map(|stamp| stamp.mtime_ns),
            stamp.map(|stamp| stamp.ctime_ns),
            digests.map(|(sha256, _)| sha256.0),
            digests.map(|(_, hash)| digest::stored(hash)).or(word),
            at.map(|at| at.0),
        ])?;
        Ok(())
    }

    /// Makes a row for something that only the disk has. It gets the provider's id when the cloud has it.
    pub fn add_local(&mut self, folder: FolderId, id: &ItemId, local: &LocalRow) -> Result<NodeId> {
        let remote = RemoteRow {
            presence: Presence::Absent,
            parent: None,
            name: String::new(),
            content: None,
            etag: None,
            sequence: None,
            seen: 0,
        };
        let node = self.add_item(folder, id, &remote)?;
        self.set_local(node, Some(local))?;
        Ok(node)
    }

    /// Gives an item another id: the provider's, or one of our own if the cloud no longer has it. How often the former one had changed
    /// says nothing of the new one.
    pub fn set_id(&mut self, node: NodeId, id: &ItemId) -> Result<()> {
        let sql = "UPDATE item SET id = ?2, r_seq = NULL, r_etag = NULL WHERE node = ?1";
        self.conn.prepare_cached(sql)?.execute(params![node.0, packed::id(id)])?;
        Ok(())
    }

    /// The items that the disk has in a directory, with names after `after`, in the order of their names' bytes.
    pub fn seated_children(&self, parent: NodeId, after: Option<&Name>, limit: u32) -> Result<Vec<ItemRow>> {
        let after = after.map_or(&[][..], Name::as_bytes);
        let sql = format!(
            "SELECT {COLUMNS} FROM (
                 SELECT *, s_name AS seat FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1 AND s_name > ?2
                 UNION ALL SELECT *, l_name AS seat FROM item WHERE l_parent = ?1 AND l_name > ?2)
             ORDER BY seat LIMIT ?3"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![parent.0, after, limit], super::read)?;
        rows.map(|row| row?).collect()
    }

    /// An item that is missing from where it was, by its inode.
    pub fn missing_inode(&self, folder: FolderId, stamp: &Stamp) -> Result<Option<ItemRow>> {
        let sql = format!("SELECT {COLUMNS} FROM item WHERE l = 2 AND folder = ?1 AND ino = ?2 AND dev = ?3 LIMIT 1");
        let found = self
            .conn
            .prepare_cached(&sql)?
            .query_row(params![folder.0, stamp.ino as i64, stamp.dev as i64], super::read);
        found.optional()?.transpose()
    }

    /// A file that is missing from where it was, by its content.
    pub fn missing_content(&self, folder: FolderId, sha256: &Sha256) -> Result<Option<ItemRow>> {
        let sql =
            format!("SELECT {COLUMNS} FROM item WHERE l = 2 AND folder = ?1 AND s_sha256 = ?2 ORDER BY node LIMIT 1");
        let found = self.conn.prepare_cached(&sql)?.query_row(params![folder.0, sha256.0], super::read);
        found.optional()?.transpose()
    }

    /// Whether the disk has something new of a length.
    pub fn new_of_length(&self, folder: FolderId, length: u64) -> Result<bool> {
        let sql = "SELECT 1 FROM item WHERE l = 1 AND s = 0 AND r = 0 AND folder = ?1 AND l_size = ?2";
        Ok(self.conn.prepare_cached(sql)?.exists(params![folder.0, length as i64])?)
    }

    /// An item that only the disk has, by its inode.
    pub fn new_inode(&self, folder: FolderId, stamp: &Stamp) -> Result<Option<ItemRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM item WHERE l = 1 AND s = 0 AND r = 0 AND folder = ?1 AND l_ino = ?2 AND l_dev = ?3 LIMIT 1"
        );
        let found = self
            .conn
            .prepare_cached(&sql)?
            .query_row(params![folder.0, stamp.ino as i64, stamp.dev as i64], super::read);
        found.optional()?.transpose()
    }

    /// An item that the cloud has at a place and the disk has not, by that place.
    pub fn unplaced(&self, parent: NodeId, name: &str) -> Result<Option<NodeId>> {
        let sql = "SELECT node FROM item WHERE s = 0 AND r = 1 AND r_parent = ?1 AND r_name = ?2 LIMIT 1";
        let found = self.conn.prepare_cached(sql)?.query_row(params![parent.0, name], |row| row.get(0));
        Ok(found.optional()?.map(NodeId))
    }

    /// Items that the cloud has in a folder and the disk has not, by a trait of their names, at most `limit`. Nothing but the names
    /// is read of them.
    pub fn unplaced_where(&self, parent: NodeId, limit: usize, is_meant: impl Fn(&str) -> bool) -> Result<Vec<NodeId>> {
        let sql = "SELECT node, r_name FROM item WHERE s = 0 AND r = 1 AND r_parent = ?1 AND r_name IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([parent.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()?.filter(|_| found.len() < limit) {
            if is_meant(row.get_ref(1)?.as_str().map_err(StoreError::damaged)?) {
                found.push(NodeId(row.get(0)?));
            }
        }
        Ok(found)
    }

    /// Whether anything of a folder is out of sight, with whatever somebody moved into it before.
    pub fn any_parked(&self, folder: FolderId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM item WHERE s = 2 AND folder = ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?)
    }

    /// How many files of a folder are missing on disk and not yet gone from the cloud: what the brake looks at.
    pub fn local_deletions(&self, folder: FolderId) -> Result<u64> {
        let sql = "SELECT count(*) FROM item WHERE l = 2 AND l_hash IS NULL AND folder = ?1 AND s = 1 AND s_version IS NOT NULL
                   AND r = 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get::<_, i64>(0))? as u64)
    }

    /// An item of the cloud with this name in a remote folder, in whatever letters if the cloud takes those for equal.
    pub fn remote_named(&self, parent: NodeId, name: &str, folds_case: bool) -> Result<Option<NodeId>> {
        let lower = name.to_lowercase();
        let sql = format!("SELECT node, {R_NAME} FROM item WHERE r_parent = ?1 AND r <> 0");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query([parent.0])?;
        while let Some(row) = rows.next()? {
            let theirs: String = row.get::<_, Option<String>>(1)?.unwrap_or_default();
            if theirs == name || folds_case && theirs.to_lowercase() == lower {
                return Ok(Some(NodeId(row.get(0)?)));
            }
        }
        Ok(None)
    }

    /// Somebody who is in a remote folder, if anybody is.
    pub fn remote_child(&self, parent: NodeId) -> Result<Option<NodeId>> {
        let sql = "SELECT node FROM item WHERE r_parent = ?1 AND r = 1 LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([parent.0], |row| row.get(0)).optional()?.map(NodeId))
    }
}
