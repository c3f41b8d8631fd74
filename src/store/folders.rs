//! Watched folders: where each stands, and the counts that status shows.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, params};

use super::{Result, Store};
use crate::id::{AccountId, FolderId, Generation, NodeId};
use crate::plan::Policy;
use crate::provider::TreeSize;
use crate::tree::Wall;

/// How far a full comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonStage {
    /// Folders are being listed.
    Listing,
    /// Everything is listed; the stream is read once more, so that what moved during the listing is known.
    Settling,
    /// What the listing did not meet is looked for, from a node on.
    Absences,
}

impl ComparisonStage {
    fn word(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Settling => "settling",
            Self::Absences => "absences",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Listing, Self::Settling, Self::Absences].into_iter().find(|stage| stage.word() == word)
    }
}

/// One folder as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRow {
    /// Its row.
    pub folder: FolderId,
    /// Its name; nothing for one whose rows are being dropped.
    pub name: Option<String>,
    /// Its account.
    pub account: AccountId,
    /// What the marker in the root must say.
    pub mark: String,
    /// The remote place as configured.
    pub remote: String,
    /// The local directory.
    pub local: PathBuf,
    /// The patterns that the rows were made with.
    pub filters: String,
    /// The node of the remote root.
    pub root: Option<NodeId>,
    /// The local root was opened and marked once.
    pub opened: bool,
    /// Compare local files before fetching.
    pub adopt: bool,
    /// A person paused it.
    pub paused: bool,
    /// Why a full comparison is due.
    pub unverified: Option<String>,
    /// Number of the latest full comparison.
    pub comparison: i64,
    /// How far it is.
    pub comparison_stage: Option<ComparisonStage>,
    /// How far the search for absences has come.
    pub comparison_at: NodeId,
    /// When a full comparison last ended.
    pub verified_at: Option<Wall>,
    /// The policy that the rows were made under; nothing for rows of before there was a choice.
    pub policy: Option<Policy>,
    /// The counts.
    pub counts: FolderCounts,
    /// The remote folder's whole path as last seen, where the provider names paths.
    pub root_path: Option<String>,
    /// What the cloud says that the remote folder holds in all.
    pub whole: Option<TreeSize>,
    /// The newest mark of an event that could not be understood: a comparison is due, and the folder is being verified until it ended.
    pub doubt: Option<Generation>,
    /// When the last comparison that such a mark asked for began.
    pub doubt_at: Wall,
    /// Something was told that is yet to be found below a folder that is not known, or whose place is asked about. By which path is not durable.
    pub told: bool,
}

/// What a folder holds on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FolderCounts {
    /// Files.
    pub files: i64,
    /// Folders, without the root.
    pub folders: i64,
    /// Bytes of the files.
    pub bytes: i64,
    /// Files on disk that are gone from the cloud.
    pub removals: i64,
}

impl FolderCounts {
    /// Adds a change to the counts.
    pub fn add(&mut self, change: Self) {
        self.files += change.files;
        self.folders += change.folders;
        self.bytes += change.bytes;
        self.removals += change.removals;
    }
}

pub(super) const COLUMNS: &str =
    "folder, name, account, mark, remote, local, filters, root, opened, adopt, paused, unverified,
     scan, scan_stage, scan_at, verified_at, files, folders, bytes, removals, root_path, whole_files, whole_folders, whole_bytes,
     mode, doubt, doubt_at, told";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<FolderRow> {
    Ok(FolderRow {
        folder: FolderId(row.get(0)?),
        name: row.get(1)?,
        account: AccountId(row.get(2)?),
        mark: row.get(3)?,
        remote: row.get(4)?,
        local: PathBuf::from(std::ffi::OsString::from_vec(row.get(5)?)),
        filters: row.get(6)?,
        root: row.get::<_, Option<i64>>(7)?.map(NodeId),
        opened: row.get(8)?,
        adopt: row.get(9)?,
        paused: row.get(10)?,
        unverified: row.get(11)?,
        comparison: row.get(12)?,
        comparison_stage: row.get::<_, Option<String>>(13)?.and_then(|word| ComparisonStage::parse(&word)),
        comparison_at: NodeId(row.get(14)?),
        verified_at: row.get::<_, Option<i64>>(15)?.map(Wall),
        // A policy that cannot be read is asked for anew, like one that was never written.
        policy: row.get::<_, Option<String>>(24)?.and_then(|text| serde_json::from_str(&text).ok()),
        counts: FolderCounts {
            files: row.get(16)?,
            folders: row.get(17)?,
            bytes: row.get(18)?,
            removals: row.get(19)?,
        },
        root_path: row.get(20)?,
        whole: match (row.get(21)?, row.get(22)?, row.get(23)?) {
            (Some(files), Some(folders), Some(bytes)) => Some(TreeSize { files, folders, bytes }),
            _ => None,
        },
        doubt: Some(Generation(row.get(25)?)).filter(|doubt| doubt.0 > 0),
        doubt_at: Wall(row.get(26)?),
        told: row.get(27)?,
    })
}

/// A folder that is new to the database.
#[derive(Debug)]
pub struct NewFolder<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its account.
    pub account: AccountId,
    /// What the marker will say.
    pub mark: &'a str,
    /// The remote place as configured.
    pub remote: &'a str,
    /// The local directory.
    pub local: &'a Path,
    /// The patterns.
    pub filters: &'a str,
}

impl Store {
    /// All folders, also those whose rows are being dropped.
    pub fn folders(&self) -> Result<Vec<FolderRow>> {
        let sql = format!("SELECT {COLUMNS} FROM folder ORDER BY folder");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    /// The folder of this name.
    pub fn folder_named(&self, name: &str) -> Result<Option<FolderRow>> {
        let sql = format!("SELECT {COLUMNS} FROM folder WHERE name = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([name], read).optional()?)
    }

    /// Makes a folder's row.
    pub fn add_folder(&mut self, new: &NewFolder<'_>) -> Result<FolderRow> {
        let sql = "INSERT INTO folder (name, account, mark, remote, local, filters) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let local = new.local.as_os_str().as_bytes();
        let values = params![new.name, new.account.0, new.mark, new.remote, local, new.filters];
        self.conn.prepare_cached(sql)?.execute(values)?;
        let sql = format!("SELECT {COLUMNS} FROM folder WHERE folder = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([self.conn.last_insert_rowid()], read)?)
    }

    /// Takes the name off a folder that left the configuration: its rows are dropped piece by piece.
    pub fn retire_folder(&mut self, folder: FolderId) -> Result<()> {
        self.conn.execute("UPDATE folder SET name = NULL WHERE folder = ?1", [folder.0])?;
        self.conn.execute("DELETE FROM work WHERE folder = ?1", [folder.0])?;
        self.conn.execute("DELETE FROM listing WHERE folder = ?1", [folder.0])?;
        self.conn.execute("DELETE FROM sweep WHERE folder = ?1", [folder.0])?;
        let sql = "DELETE FROM hold_item WHERE hold IN (SELECT hold FROM hold WHERE folder = ?1)";
        self.conn.execute(sql, [folder.0])?;
        self.conn.execute("DELETE FROM hold WHERE folder = ?1", [folder.0])?;
        self.conn.execute("DELETE FROM intent WHERE folder = ?1", [folder.0])?;
        for table in ["observed", "above", "local_scan", "vanished", "sent", "echo", "conflict"] {
            self.conn.execute(&format!("DELETE FROM {table} WHERE folder = ?1"), [folder.0])?;
        }
        Ok(())
    }

    /// Drops the rows of a retired folder among the `limit` items that follow `after`; how far that was, or nothing when nothing of the
    /// folder is left. Other folders' items may lie between its own, so that what is looked at is counted, and not what is dropped.
    pub fn drop_retired(&mut self, folder: FolderId, after: NodeId, limit: u32) -> Result<Option<NodeId>> {
        let sql = "SELECT max(node) FROM (SELECT node FROM item WHERE node > ?1 ORDER BY node LIMIT ?2)";
        let reached: Option<i64> =
            self.conn.prepare_cached(sql)?.query_row(params![after.0, limit], |row| row.get(0))?;
        if let Some(reached) = reached {
            let reached = NodeId(reached);
            self.drop_items_of(folder, after, reached)?;
            return Ok(Some(reached));
        }
        self.conn.execute("DELETE FROM deletion WHERE folder = ?1", [folder.0])?;
        self.conn.execute("DELETE FROM folder WHERE folder = ?1", [folder.0])?;
        Ok(None)
    }

    /// Writes back where a folder stands.
    pub fn save_folder(&mut self, row: &FolderRow) -> Result<()> {
        let sql = "UPDATE folder SET filters = ?2, root = ?3, opened = ?4, adopt = ?5, paused = ?6, unverified = ?7, scan = ?8,
                   scan_stage = ?9, scan_at = ?10, verified_at = ?11, files = ?12, folders = ?13, bytes = ?14, removals = ?15,
                   root_path = ?16, whole_files = ?17, whole_folders = ?18, whole_bytes = ?19, mode = ?20,
                   doubt = ?21, doubt_at = ?22, told = ?23
                   WHERE folder = ?1";
        self.conn.prepare_cached(sql)?.execute(params![
            row.folder.0,
            row.filters,
            row.root.map(|node| node.0),
            row.opened,
            row.adopt,
            row.paused,
            row.unverified,
            row.comparison,
            row.comparison_stage.map(ComparisonStage::word),
            row.comparison_at.0,
            row.verified_at.map(|at| at.0),
            row.counts.files,
            row.counts.folders,
            row.counts.bytes,
            row.counts.removals,
            row.root_path,
            row.whole.map(|whole| whole.files),
            row.whole.map(|whole| whole.folders),
            row.whole.map(|whole| whole.bytes),
            row.policy.and_then(|policy| serde_json::to_string(&policy).ok()),
            row.doubt.map_or(0, |doubt| doubt.0),
            row.doubt_at.0,
            row.told,
        ])?;
        Ok(())
    }
}
