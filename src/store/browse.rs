//! Pages of what is known, for people who look around: a directory's entries, the journal, runs of hooks, the items of a hold.

use rusqlite::{OptionalExtension, Row, params};

use super::Result;
use super::items::{self, IS_FOLDER, Presence, R_NAME};
use super::query::{EVENT_COLUMNS, Rows, read_event};
use crate::id::{FolderId, JournalId, NodeId};
use crate::report::EventRow;
use crate::tree::Wall;

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its row.
    pub node: NodeId,
    /// It is a directory.
    pub is_folder: bool,
    /// Its name on disk, or in the cloud if the disk does not have it.
    pub name: String,
    /// Bytes of a file, as far as known.
    pub size: Option<u64>,
    /// When the cloud's version was written.
    pub modified: Option<Wall>,
    /// How it is.
    pub state: EntryState,
}

/// How an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// Both sides agree.
    InSync,
    /// Something is to be done.
    Pending,
    /// Something is to be done later, for this reason.
    Waits(String),
    /// A person must decide first.
    Held,
    /// It has a problem: its code and its cause.
    Problem(String, String),
    /// A pattern keeps it out.
    KeptOut,
    /// The cloud has it and the disk is not to.
    OnlyInCloud,
    /// Only the disk has it.
    OnlyOnDisk,
}

/// Which entries of the journal are wanted.
#[derive(Debug, Clone, Default)]
pub struct JournalFilter {
    /// Only this folder's.
    pub folder: Option<String>,
    /// Only kinds that hold this text.
    pub kind: Option<String>,
    /// Only outcomes that hold this text.
    pub outcome: Option<String>,
    /// Only paths that hold this text.
    pub path: Option<String>,
    /// Only entries older than this one.
    pub before: Option<JournalId>,
}

/// What is in a directory, whichever side has it.
const CHILDREN: &str = "SELECT node FROM item WHERE r_parent = ?1 AND r <> 0
                        UNION SELECT node FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1
                        UNION SELECT node FROM item WHERE l_parent = ?1";

/// Entries of the journal, from the newest on, among which an event is looked for by its path alone.
const EVENTS_LOOKED_THROUGH: u32 = 5_000;

impl Rows<'_> {
    /// The newest events at a path of a folder that name no item, newest first.
    pub fn events_at(self, folder: FolderId, path: &str, limit: u32) -> Result<Vec<EventRow>> {
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, NULL FROM (SELECT * FROM event ORDER BY journal DESC LIMIT ?4) e
             JOIN account a USING (account) LEFT JOIN folder f ON f.folder = e.folder
             WHERE e.folder = ?1 AND e.path = ?2 AND e.node IS NULL ORDER BY e.journal DESC LIMIT ?3"
        );
        let mut statement = self.conn().prepare_cached(&sql)?;
        let rows = statement.query_map(params![folder.0, path, limit, EVENTS_LOOKED_THROUGH], read_event)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A page of a directory's entries, directories first.
    pub fn entries(self, directory: NodeId, skip: u64, limit: u32) -> Result<Vec<Entry>> {
        let sql = format!(
            "SELECT i.node, w.state, w.code, w.text FROM ({CHILDREN}) c JOIN item i USING (node) LEFT JOIN work w USING (node)
             ORDER BY NOT {IS_FOLDER}, coalesce({R_NAME}, CAST(l_name AS TEXT), CAST(s_name AS TEXT)), i.node LIMIT ?2 OFFSET ?3"
        );
        let mut statement = self.conn().prepare_cached(&sql)?;
        let mut rows = statement.query(params![directory.0, limit, skip])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.extend(self.entry(row)?);
        }
        Ok(entries)
    }

    /// Entries of a folder whose names hold a text, in whatever letters where they are ASCII, at most `limit`; with their paths.
    pub fn named(self, folder: FolderId, text: &str, limit: u32) -> Result<Vec<(Entry, String)>> {
        let sql = format!(
            "SELECT i.node, w.state, w.code, w.text FROM item i LEFT JOIN work w USING (node)
                   WHERE i.folder = ?1 AND (i.r_parent IS NOT NULL OR i.s_parent IS NOT NULL OR i.l_parent IS NOT NULL)
                     AND (instr(lower(coalesce({R_NAME}, '')), ?2) > 0
                          OR instr(lower(CAST(coalesce(i.l_name, i.s_name, x'') AS TEXT)), ?2) > 0)
                   ORDER BY i.node LIMIT ?3"
        );
        let mut statement = self.conn().prepare_cached(&sql)?;
        let mut rows = statement.query(params![folder.0, text.to_ascii_lowercase(), limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if let Some(entry) = self.entry(row)? {
                let path = self.path(entry.node)?;
                found.push((entry, path));
            }
        }
        Ok(found)
    }

    fn entry(self, row: &Row<'_>) -> Result<Option<Entry>> {
        let Some(item) = items::load(self.conn(), NodeId(row.get(0)?))? else { return Ok(None) };
        let on_disk = match item.disk_seat() {
            Some(items::SeatRow::At { name, .. }) => Some(name.to_text()),
            _ => None,
        };
        let text = row.get::<_, Option<String>>(3)?.unwrap_or_default();
        let state = match (row.get::<_, Option<i64>>(1)?, row.get::<_, Option<String>>(2)?) {
            (Some(0), _) => EntryState::Pending,
            (Some(1), Some(code)) if code != "waits" => EntryState::Problem(code, text),
            (Some(1), _) => EntryState::Waits(text),
            (Some(_), _) => EntryState::Held,
            (None, _) if item.remote.presence == Presence::FilteredOut => EntryState::KeptOut,
            (None, _) if item.remote.presence == Presence::Absent => EntryState::OnlyOnDisk,
            (None, _) if on_disk.is_none() => EntryState::OnlyInCloud,
            (None, _) => EntryState::InSync,
        };
        let content = item.remote.content.as_ref();
        let size = content.and_then(|content| content.size).or(item.disk_stamp().map(|stamp| stamp.size));
        Ok(Some(Entry {
            node: item.node,
            is_folder: item.id.is_folder(),
            name: on_disk.unwrap_or_else(|| item.remote.name.clone()),
            size: size.filter(|_| !item.id.is_folder()),
            modified: content.and_then(|content| content.modified),
            state,
        }))
    }

    /// How many entries a directory has.
    pub fn entries_total(self, directory: NodeId) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM ({CHILDREN})");
        Ok(self.conn().prepare_cached(&sql)?.query_row([directory.0], |row| row.get(0))?)
    }

    /// The directories above an item, from the watched root down to itself: rows and names.
    pub fn way_to(self, node: NodeId) -> Result<Vec<(NodeId, String)>> {
        let mut way = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at.filter(|_| way.len() < super::DEEPEST_PATH) {
            let Some(item) = items::load(self.conn(), node)? else { break };
            let seat = match item.disk_seat() {
                Some(items::SeatRow::At { parent, name }) => Some((parent, name.to_text())),
                _ => None,
            };
            at = seat.as_ref().map(|(parent, _)| *parent).or(item.remote.parent);
            let name = seat.map_or(item.remote.name, |(_, name)| name);
            way.push((node, name));
        }
        way.reverse();
        Ok(way)
    }

    /// A page of the journal, newest first: the numbers of its entries.
    pub fn journal_page(self, filter: &JournalFilter, limit: u32) -> Result<Vec<JournalId>> {
        let sql = "SELECT e.journal FROM event e LEFT JOIN folder f ON f.folder = e.folder
                   WHERE e.journal < ?1 AND (?2 IS NULL OR f.name = ?2) AND (?3 IS NULL OR instr(e.kind, ?3) > 0)
                     AND (?4 IS NULL OR instr(e.outcome, ?4) > 0) AND (?5 IS NULL OR instr(coalesce(e.path, ''), ?5) > 0)
                   ORDER BY e.journal DESC LIMIT ?6";
        let mut statement = self.conn().prepare_cached(sql)?;
        let before = filter.before.map_or(i64::MAX, |before| before.0);
        let rows = statement
            .query_map(params![before, filter.folder, filter.kind, filter.outcome, filter.path, limit], |row| {
                Ok(JournalId(row.get(0)?))
            })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Events of the journal since a moment, by the hour since 1970.
    pub fn events_by_hour(self, since: Wall, hour_ms: i64) -> Result<Vec<(i64, u64)>> {
        let sql = "SELECT received / ?2, count(*) FROM event WHERE received >= ?1 GROUP BY 1";
        let mut statement = self.conn().prepare_cached(sql)?;
        let rows = statement.query_map([since.0, hour_ms], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A page of a hook's runs, newest first: their numbers.
    pub fn runs_page(self, hook: &str, failed: bool, before: Option<i64>, limit: u32) -> Result<Vec<i64>> {
        let sql = "SELECT run FROM hook_run WHERE hook = ?1 AND run < ?2 AND (NOT ?3 OR verdict <> 'allow') ORDER BY run DESC LIMIT ?4";
        let mut statement = self.conn().prepare_cached(sql)?;
        let rows = statement.query_map(params![hook, before.unwrap_or(i64::MAX), failed, limit], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// When a hook was last run, and how that ended.
    pub fn last_run(self, hook: &str) -> Result<Option<(Wall, String)>> {
        let sql = "SELECT at, verdict FROM hook_run WHERE hook = ?1 ORDER BY run DESC LIMIT 1";
        let read = |row: &Row<'_>| Ok((Wall(row.get(0)?), row.get(1)?));
        Ok(self.conn().prepare_cached(sql)?.query_row([hook], read).optional()?)
    }

    /// What an `after` hook was sent in a run.
    pub fn request_of(self, run: i64) -> Result<Option<String>> {
        let sql = "SELECT d.document FROM hook_run r JOIN delivery d USING (delivery) WHERE r.run = ?1";
        Ok(self.conn().prepare_cached(sql)?.query_row([run], |row| row.get(0)).optional()?)
    }

    /// The root of a folder, and where it is on disk; nothing before it was found in the cloud.
    pub fn root_of(self, folder: FolderId) -> Result<Option<NodeId>> {
        let sql = "SELECT root FROM folder WHERE folder = ?1";
        Ok(self.conn().prepare_cached(sql)?.query_row([folder.0], |row| row.get::<_, Option<i64>>(0))?.map(NodeId))
    }
}
