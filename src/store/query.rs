//! Reports made of committed rows: what every listing of the command line shows.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::accounts::{self, AccountRow};
use super::folders::{self, FolderRow};
use super::items::{self, ItemRow, R_NAME, S_SIZE, SeatRow};
use super::{Result, StoreError, journal};
use crate::events::filter::{Disposition, Matcher};
use crate::events::taxonomy;
use crate::id::{AccountId, EventId, FolderId, HoldId, ItemId, JournalId, NodeId};
use crate::report::{ActivityRow, EventQuery, EventRow, HeldFolder, HoldRow, MAX_ROWS, ProblemRow, SCHEMA_VERSION};
use crate::tree::Wall;

/// Who did it, of `event e`: by name, where the provider told no more than a number and the name became known.
const ACTOR: &str =
    "coalesce((SELECT p.name FROM person p WHERE p.account = e.account AND p.user_id = e.actor), e.actor)";
/// Paths named as examples of a hold.
const EXAMPLES: u32 = 20;
/// Events shown by `agent events` if nobody says how many.
const EVENTS_SHOWN: u32 = 100;

/// Reads reports from a connection.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub(super) conn: &'a Connection,
}

/// One item's work, for `agent why`.
#[derive(Debug, Clone)]
pub struct WorkOf {
    /// Whether it can be done.
    pub state: super::work::WorkState,
    /// The cloud is asked first.
    pub look: bool,
    /// Why it waits.
    pub text: Option<String>,
}

/// One item with work, for `agent plan`.
#[derive(Debug, Clone)]
pub struct PlannedItem {
    /// The item.
    pub item: ItemRow,
    /// Asks the cloud first.
    pub look: bool,
    /// Why it is not done now.
    pub waits_for: Option<String>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn }
    }

    /// The connection, for reports that live beside their rows.
    pub(super) fn conn(self) -> &'a Connection {
        self.conn
    }

    /// The accounts.
    pub fn accounts(self) -> Result<Vec<AccountRow>> {
        let sql = format!("SELECT {} FROM account ORDER BY name", accounts::COLUMNS);
        self.all(&sql, accounts::read)
    }

    /// The folders of the configuration.
    pub fn folders(self) -> Result<Vec<FolderRow>> {
        let sql = format!("SELECT {} FROM folder WHERE name IS NOT NULL ORDER BY name", folders::COLUMNS);
        self.all(&sql, folders::read)
    }

    fn all<T>(self, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The journal.
    pub fn events(self, query: &EventQuery) -> Result<Vec<EventRow>> {
        let newest_first = query.after.is_none();
        let order = if newest_first { "DESC" } else { "ASC" };
        let raw = if query.raw { "e.raw" } else { "NULL" };
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, {raw} FROM event e JOIN account a USING (account) LEFT JOIN folder f ON f.folder = e.folder
             WHERE e.journal > ?1 AND e.received >= ?2 AND (?3 IS NULL OR f.name = ?3) ORDER BY e.journal {order}"
        );
        let limit = query.limit.unwrap_or(if newest_first { EVENTS_SHOWN } else { MAX_ROWS }).min(MAX_ROWS) as usize;
        let matcher = Matcher::new(query.filter());
        let mut statement = self.conn.prepare_cached(&sql)?;
        let after = query.after.map_or(0, |id| id.0);
        let mut found = statement.query(params![after, query.since_ms.unwrap_or(i64::MIN), query.folder])?;
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some(row) = found.next()?
        {
            let row = read_event(row)?;
            if matcher.wants(&row) {
                rows.push(row);
            }
        }
        if newest_first {
            rows.reverse();
        }
        Ok(rows)
    }

    /// What happened in watched folders lately, oldest first: what the stream told, and what was done here of its own accord.
    pub fn activity(self, folder: Option<&str>, since: Option<Wall>, limit: u32) -> Result<Vec<ActivityRow>> {
        // Of each kind no more is read than may be shown.
        let sql = format!(
            "SELECT * FROM (
                       SELECT coalesce(e.at, e.received) AS moment, {ACTOR} AS actor, e.kind AS kind, e.provider_kind AS word,
                              coalesce(e.path, e.item, '') AS path,
                              CASE WHEN e.own <> 0 THEN 'own' ELSE e.outcome END AS became, f.name AS folder, a.name AS account,
                              a.provider AS provider, e.journal AS number
                       FROM event e CROSS JOIN folder f ON f.folder = e.folder CROSS JOIN account a ON a.account = e.account
                       WHERE e.folder IS NOT NULL AND f.name IS NOT NULL AND (?1 IS NULL OR f.name = ?1)
                         AND coalesce(e.at, e.received) >= ?2 ORDER BY e.journal DESC LIMIT ?3)
                   UNION ALL SELECT * FROM (
                       SELECT c.at, NULL, NULL, NULL, c.path, c.what, f.name, NULL, NULL, c.action
                       FROM action c CROSS JOIN folder f ON f.folder = c.folder
                       WHERE c.journal IS NULL AND f.name IS NOT NULL AND (?1 IS NULL OR f.name = ?1) AND c.at >= ?2
                       ORDER BY c.action DESC LIMIT ?3)
                   ORDER BY moment DESC, number DESC LIMIT ?3"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let since = since.map_or(i64::MIN, |since| since.0);
        let found = statement.query_map(params![folder, since, limit], |row| {
            let (kind, word): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
            let provider: Option<String> = row.get(8)?;
            let became = journal::what_of(row.get(5)?);
            let action = match (kind, word, provider) {
                (Some(kind), Some(word), Some(provider)) => match taxonomy::name_of(&provider, &kind, &word) {
                    taxonomy::UNKNOWN => word,
                    name => name.to_owned(),
                },
                _ => became.clone(),
            };
            Ok(ActivityRow {
                at: Wall(row.get(0)?),
                person: row.get(1)?,
                action,
                path: row.get(4)?,
                became,
                folder: row.get(6)?,
                account: row.get(7)?,
            })
        })?;
        let mut rows: Vec<ActivityRow> = found.collect::<rusqlite::Result<_>>()?;
        rows.reverse();
        Ok(rows)
    }

    /// Files of a folder that leave the disk when their time is over, the next first: where they are, their size, and when their time began.
    pub fn expiring(self, folder: &str, limit: u32) -> Result<Vec<(String, Option<u64>, Wall)>> {
        let sql = format!(
            "SELECT r.node, {S_SIZE}, r.at FROM arrival r JOIN item i USING (node) JOIN folder f ON f.folder = r.folder
                   WHERE f.name = ?1 AND i.s = 1 ORDER BY r.at LIMIT ?2"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut found = statement.query(params![folder, limit])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push((self.path(NodeId(row.get(0)?))?, row.get(1)?, Wall(row.get(2)?)));
        }
        Ok(rows)
    }

    /// An entry of the journal.
    pub fn event_of(self, journal: JournalId) -> Result<Option<EventRow>> {
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, NULL FROM event e JOIN account a USING (account) LEFT JOIN folder f ON f.folder = e.folder
             WHERE e.journal = ?1"
        );
        Ok(self.conn.prepare_cached(&sql)?.query_row([journal.0], read_event).optional()?)
    }

    /// The names of an account's events behind an entry, oldest first.
    pub fn event_names(self, account: &str, after: JournalId) -> Result<Vec<(EventId, JournalId)>> {
        let sql = "SELECT e.event_id, e.journal FROM event e JOIN account a USING (account)
                   WHERE e.journal > ?2 AND a.name = ?1 ORDER BY e.journal";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![account, after.0], |row| {
            Ok((EventId::new(row.get::<_, String>(0)?), JournalId(row.get(1)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Those of the last so many entries that concern no folder, oldest first.
    pub fn foreign_events(self, entries: u32) -> Result<Vec<(JournalId, AccountId, EventId)>> {
        let sql = "SELECT journal, account, event_id FROM event
                   WHERE journal > (SELECT max(journal) FROM event) - ?1 AND folder IS NULL ORDER BY journal";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([entries], |row| {
            Ok((JournalId(row.get(0)?), AccountId(row.get(1)?), EventId::new(row.get::<_, String>(2)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The entry of the journal that was written last; 0 if there is none.
    pub fn newest_event(self) -> Result<i64> {
        Ok(self.conn.query_row("SELECT coalesce(max(journal), 0) FROM event", [], |row| row.get(0))?)
    }

    /// The newest events of one item, newest first.
    pub fn events_of(self, node: NodeId, limit: u32) -> Result<Vec<EventRow>> {
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, NULL FROM event e JOIN account a USING (account) LEFT JOIN folder f ON f.folder = e.folder
             WHERE e.node = ?1 ORDER BY e.journal DESC LIMIT ?2"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![node.0, limit], read_event)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Items with work, in the order in which they came.
    pub fn planned(self, folder: FolderId) -> Result<Vec<PlannedItem>> {
        let sql = "SELECT node, look, state, text FROM work WHERE folder = ?1 ORDER BY lane, pos LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![folder.0, MAX_ROWS])?;
        let mut planned = Vec::new();
        while let Some(row) = rows.next()? {
            let Some(item) = items::load(self.conn, NodeId(row.get(0)?))? else { continue };
            let waits_for = match row.get::<_, i64>(2)? {
                0 => None,
                1 => Some(row.get::<_, Option<String>>(3)?.unwrap_or_else(|| "another item".into())),
                _ => Some("a person: see `agent held`".into()),
            };
            planned.push(PlannedItem { item, look: row.get::<_, i64>(1)? > 0, waits_for });
        }
        Ok(planned)
    }

    /// When that remote folder of a folder was last seen whole that was so longest ago.
    pub fn oldest_seen(self, folder: FolderId) -> Result<Option<Wall>> {
        let sql = "SELECT at FROM observed INDEXED BY observed_age WHERE folder = ?1 ORDER BY at LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0)).optional()?.map(Wall))
    }

    /// Remote folders of a folder that are still to be listed.
    pub fn unlisted(self, folder: FolderId) -> Result<Vec<(NodeId, Option<String>)>> {
        let sql = "SELECT node, text FROM listing WHERE folder = ?1 ORDER BY pos LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, MAX_ROWS], |row| Ok((NodeId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The holds.
    pub fn holds(self) -> Result<Vec<HoldRow>> {
        let sql = "SELECT h.hold, coalesce(f.name, a.name, ''), h.reason, h.text, h.since,
                          (SELECT count(*) FROM hold_item x WHERE x.hold = h.hold AND files IS NOT 0),
                          (SELECT coalesce(sum(coalesce(files, 1)), 0) FROM hold_item x WHERE x.hold = h.hold)
                   FROM hold h LEFT JOIN folder f ON f.folder = h.folder LEFT JOIN account a ON a.account = h.account
                   ORDER BY h.hold LIMIT ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([MAX_ROWS], |row| {
            Ok(HoldRow {
                id: HoldId(row.get(0)?),
                folder: row.get(1)?,
                reason: row.get(2)?,
                text: row.get(3)?,
                since: Wall(row.get(4)?),
                lines: row.get(5)?,
                items: row.get(6)?,
                examples: Vec::new(),
                folders: Vec::new(),
            })
        })?;
        let mut holds: Vec<HoldRow> = rows.collect::<rusqlite::Result<_>>()?;
        for hold in &mut holds {
            for (path, files) in self.held_paths(hold.id, 0, EXAMPLES)? {
                if let Some(files) = files {
                    hold.folders.push(HeldFolder { path: path.clone(), files });
                }
                hold.examples.push(path);
            }
        }
        Ok(holds)
    }

    /// A page of what a hold lists: paths, and the number of files of those that are directories. The largest directories come first.
    pub fn held_paths(self, hold: HoldId, skip: u64, limit: u32) -> Result<Vec<(String, Option<u64>)>> {
        let sql = "SELECT node, files FROM hold_item WHERE hold = ?1 AND files IS NOT 0
                   ORDER BY coalesce(files, 0) DESC, node LIMIT ?2 OFFSET ?3";
        let mut statement = self.conn().prepare_cached(sql)?;
        let rows = statement.query_map(params![hold.0, limit, skip], |row| Ok((NodeId(row.get(0)?), row.get(1)?)))?;
        let held: Vec<(NodeId, Option<u64>)> = rows.collect::<rusqlite::Result<_>>()?;
        let shown = |(node, files): (NodeId, Option<u64>)| {
            let path = self.path(node)?;
            Ok((if files.is_some() { format!("{path}/") } else { path }, files))
        };
        held.into_iter().map(shown).collect()
    }

    /// Whether an item is in a directory that waits for a person with all that is in it.
    pub fn is_in_held_tree(self, node: NodeId) -> Result<bool> {
        let sql = "WITH RECURSIVE up (node) AS (
                       SELECT r_parent FROM item WHERE node = ?1
                       UNION SELECT r_parent FROM up JOIN item USING (node))
                   SELECT EXISTS (SELECT 1 FROM up JOIN hold_item USING (node) WHERE files IS NOT NULL)";
        Ok(self.conn().prepare_cached(sql)?.query_row([node.0], |row| row.get(0))?)
    }

    /// Items with problems of their own.
    pub fn problems(self, folder: Option<FolderId>) -> Result<Vec<ProblemRow>> {
        let sql =
            "SELECT w.node, f.name, w.code, w.text, w.since, w.attempts, w.due FROM work w JOIN folder f USING (folder)
                   WHERE w.state = 1 AND w.code IS NOT NULL AND w.code <> 'waits' AND (?1 IS NULL OR w.folder = ?1)
                   ORDER BY w.since LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![folder.map(|folder| folder.0), MAX_ROWS])?;
        let mut problems = Vec::new();
        while let Some(row) = rows.next()? {
            let code: String = row.get(2)?;
            problems.push(ProblemRow {
                folder: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                path: self.path(NodeId(row.get(0)?))?,
                text: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
                next_step: next_step(&code).to_owned(),
                code,
                since: Some(Wall(row.get(4)?)),
                attempts: row.get(5)?,
                next_try: Some(Wall(row.get(6)?)),
            });
        }
        // Remote folders that could not be listed, and local directories that could not be read.
        for (code, table) in [("listing", "listing"), ("unreadable", "local_scan")] {
            let sql = format!(
                "SELECT l.node, f.name, l.text, l.attempts, l.due FROM {table} l JOIN folder f USING (folder)
                 WHERE l.attempts > 0 AND (?1 IS NULL OR l.folder = ?1) ORDER BY l.pos LIMIT ?2"
            );
            let mut statement = self.conn.prepare_cached(&sql)?;
            let mut rows = statement.query(params![folder.map(|folder| folder.0), MAX_ROWS])?;
            while let Some(row) = rows.next()? {
                problems.push(ProblemRow {
                    folder: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                    path: self.path(NodeId(row.get(0)?))?,
                    code: code.into(),
                    text: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
                    next_step: next_step(code).to_owned(),
                    since: None,
                    attempts: row.get(3)?,
                    next_try: Some(Wall(row.get(4)?)),
                });
            }
        }
        Ok(problems)
    }

    /// One item.
    pub fn item(self, node: NodeId) -> Result<Option<ItemRow>> {
        items::load(self.conn, node)
    }

    /// The item that sits at a path on disk, as far as the path leads; `names` are the components below the root.
    pub fn item_on_disk(self, root: NodeId, names: &[Vec<u8>]) -> Result<Option<NodeId>> {
        let mut at = root;
        let sql = "SELECT node FROM item WHERE s = 1 AND away = 0 AND s_parent = ?1 AND s_name = ?2
                   UNION ALL SELECT node FROM item WHERE l_parent = ?1 AND l_name = ?2";
        for name in names {
            let found = self.conn.prepare_cached(sql)?.query_row(params![at.0, name], |row| row.get(0)).optional()?;
            match found {
                Some(node) => at = NodeId(node),
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The item at a path in the cloud's tree.
    pub fn item_in_cloud(self, root: NodeId, names: &[String]) -> Result<Option<NodeId>> {
        let mut at = root;
        let sql = format!("SELECT node FROM item WHERE r_parent = ?1 AND {R_NAME} = ?2 AND r <> 0");
        for name in names {
            let found = self.conn.prepare_cached(&sql)?.query_row(params![at.0, name], |row| row.get(0)).optional()?;
            match found {
                Some(node) => at = NodeId(node),
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The work of an item.
    pub fn work_of(self, node: NodeId) -> Result<Option<WorkOf>> {
        let sql = "SELECT state, look, text FROM work WHERE node = ?1";
        let read = |row: &Row<'_>| {
            let state = match row.get::<_, i64>(0)? {
                0 => super::work::WorkState::Ready,
                1 => super::work::WorkState::Waiting,
                _ => super::work::WorkState::Held,
            };
            Ok(WorkOf { state, look: row.get::<_, i64>(1)? > 0, text: row.get(2)? })
        };
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], read).optional()?)
    }

    /// Local versions of an item, newest first: when, why, bytes.
    pub fn versions_of(self, folder: FolderId, id: &ItemId) -> Result<Vec<(Wall, String, u64)>> {
        let sql = "SELECT at, reason, size FROM version WHERE folder = ?1 AND id = ?2 AND dropped IS NULL
             ORDER BY at DESC, job DESC LIMIT 100";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![folder.0, id.to_string()], |row| Ok((Wall(row.get(0)?), row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// An item's path from the watched folder on: where the cloud has it, or last had it. Descriptions of different moments can put folders
    /// into one another, until newer ones arrive: then the names repeat, and the path ends somewhere.
    pub fn path(self, node: NodeId) -> Result<String> {
        let mut names = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at.filter(|_| names.len() < super::DEEPEST_PATH) {
            let Some(item) = items::load(self.conn, node)? else { break };
            at = item.remote.parent;
            if at.is_some() {
                names.push(item.remote.name);
            } else if let Some(SeatRow::At { parent, name }) = item.disk_seat() {
                // Only the disk has it.
                names.push(name.to_text());
                at = Some(parent);
            }
        }
        names.reverse();
        Ok(names.join("/"))
    }

    /// An item's path on disk, if it has one.
    pub fn path_on_disk(self, node: NodeId) -> Result<Option<String>> {
        let mut names = Vec::new();
        let mut at = node;
        loop {
            if names.len() >= super::DEEPEST_PATH {
                return Ok(None);
            }
            match items::load(self.conn, at)?.and_then(|item| item.disk_seat()) {
                Some(SeatRow::Root) => break,
                Some(SeatRow::Parked(_)) | None => return Ok(None),
                Some(SeatRow::At { parent, name }) => {
                    names.push(name.to_text());
                    at = parent;
                }
            }
        }
        names.reverse();
        Ok(Some(names.join("/")))
    }

    /// The schema that the file has.
    pub fn schema(self) -> Result<i64> {
        self.conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(StoreError::from)
    }
}

/// The columns of an event, in the order of [`read_event`]; its text follows, or null.
pub(super) const EVENT_COLUMNS: &str =
    "e.journal, e.received, e.at, a.name, f.name, e.kind, e.provider_kind, e.event_id, e.item, e.path,
     coalesce((SELECT p.name FROM person p WHERE p.account = e.account AND p.user_id = e.actor), e.actor),
     e.outcome, e.took, e.own, e.repeats, e.actor_id, a.provider";

pub(super) fn read_event(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    let kind: String = row.get(5)?;
    let raw = row.get::<_, Option<String>>(17)?;
    let provider_kind: String = row.get(6)?;
    let outcome: String = row.get(11)?;
    let provider: String = row.get(16)?;
    Ok(EventRow {
        schema: SCHEMA_VERSION,
        id: JournalId(row.get(0)?),
        event_type: taxonomy::name_of(&provider, &kind, &provider_kind).to_owned(),
        disposition: Disposition::of(&outcome, row.get(13)?),
        received: Wall(row.get(1)?),
        at: row.get::<_, Option<i64>>(2)?.map(Wall),
        account: row.get(3)?,
        provider,
        folder: row.get(4)?,
        kind,
        provider_kind,
        event_id: row.get(7)?,
        item: row.get::<_, Option<String>>(8)?.and_then(|text| text.parse().ok()),
        path: row.get(9)?,
        actor: row.get(10)?,
        actor_id: row.get(15)?,
        outcome,
        took_ms: row.get(12)?,
        repeats: row.get(14)?,
        raw: raw.filter(|raw| !raw.is_empty()),
    })
}

/// What to do about a problem, by its code.
fn next_step(code: &str) -> &'static str {
    match code {
        "local_in_the_way" => "move what is there elsewhere; the agent tries again by itself",
        "no_room" => "make room on the disk, or lower `min_free`; the agent tries again by itself",
        "name_in_cloud" => "rename the local one, or the one in the cloud; the agent tries again by itself",
        "drift" => "take your edit elsewhere, or set `on_drift = \"restore\"`",
        "hidden" => "if you should still see it, ask its owner; `agent sync --full` compares everything",
        "forbidden" => "ask the item's owner for the right to download it",
        "refused" => "see the cause, and rename or change the item; the agent tries again by itself",
        "quarantined" => "see `agent quarantine list`; release it, or let a clean version arrive",
        "hook_rejected" | "hook_error" | "hook_timeout" | "hook_unscannable" => {
            "see `agent hook-runs --failed`; the agent asks the hook again by itself"
        }
        "being_written" => {
            "close the file in the program that writes it, or leave it out: agent set-folder NAME exclude=PATTERN"
        }
        "above" => "see to the folder that holds it; this follows by itself",
        "disk" => "see the cause; the agent tries again by itself",
        "listing" | "unavailable" | "malformed" | "not_ready" | "corrupt" | "version_gone" | "name_taken"
        | "network" | "outcome_unknown" => "the agent tries again by itself",
        _ => "the agent tries again by itself; `agent why PATH` tells more",
    }
}
