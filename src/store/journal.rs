//! The journal: events that touched a folder and what became of them, and what was done on disk.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store};
use crate::id::{AccountId, EventId, FolderId, JournalId, NodeId};
use crate::tree::Wall;

/// How long events are kept.
const EVENTS_KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// How many events are kept.
const EVENTS_KEPT: i64 = 100_000;
/// How long actions are kept.
const ACTIONS_KEPT_MS: i64 = 90 * 24 * 3_600 * 1_000;

/// An event as it is written down.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// The account.
    pub account: AccountId,
    /// The event's identity.
    pub event_id: &'a EventId,
    /// The folder, if it concerns one.
    pub folder: Option<FolderId>,
    /// The item's row, if there is one.
    pub node: Option<NodeId>,
    /// The item's id.
    pub item: Option<String>,
    /// Our word.
    pub kind: &'a str,
    /// The provider's word.
    pub provider_kind: &'a str,
    /// The path as known now.
    pub path: Option<String>,
    /// Who did it.
    pub actor: Option<&'a str>,
    /// When, by the provider's clock.
    pub at: Option<Wall>,
    /// When it was received.
    pub received: Wall,
    /// What became of it so far.
    pub outcome: &'a str,
    /// The event as it came.
    pub raw: &'a str,
}

impl Store {
    /// An event was made by our own account.
    pub fn mark_own(&mut self, journal: JournalId) -> Result<()> {
        self.conn.prepare_cached("INSERT OR IGNORE INTO own_event (journal) VALUES (?1)")?.execute([journal.0])?;
        Ok(())
    }

    /// What an event was, who did it, and whether that was our own account.
    pub fn event_actor(&self, journal: JournalId) -> Result<Option<(String, Option<String>, bool)>> {
        let sql = "SELECT kind, actor, EXISTS (SELECT 1 FROM own_event o WHERE o.journal = e.journal)
                   FROM event e WHERE journal = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(self.conn.prepare_cached(sql)?.query_row([journal.0], read).optional()?)
    }

    /// Whether an event was written down before.
    pub fn event_seen(&self, account: AccountId, event_id: &EventId) -> Result<bool> {
        let sql = "SELECT 1 FROM event WHERE account = ?1 AND event_id = ?2";
        Ok(self.conn.prepare_cached(sql)?.exists(params![account.0, event_id.as_str()])?)
    }

    /// Writes an event down; nothing if it was seen before.
    pub fn add_event(&mut self, event: &NewEvent<'_>) -> Result<Option<JournalId>> {
        let sql = "INSERT INTO event (account, event_id, folder, node, item, kind, provider_kind, path, actor, at, received, outcome, raw)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";
        let added = self.conn.prepare_cached(sql)?.execute(params![
            event.account.0,
            event.event_id.as_str(),
            event.folder.map(|folder| folder.0),
            event.node.map(|node| node.0),
            event.item,
            event.kind,
            event.provider_kind,
            event.path,
            event.actor,
            event.at.map(|at| at.0),
            event.received.0,
            event.outcome,
            event.raw,
        ])?;
        Ok((added > 0).then(|| JournalId(self.conn.last_insert_rowid())))
    }

    /// Writes down what became of an event. An outcome is written once.
    pub fn set_outcome(&mut self, journal: JournalId, outcome: &str, now: Wall) -> Result<()> {
        let sql = "UPDATE event SET outcome = ?2, took = max(?3 - received, 0) WHERE journal = ?1 AND took IS NULL";
        self.conn.prepare_cached(sql)?.execute(params![journal.0, outcome, now.0])?;
        Ok(())
    }

    /// Writes down what was done on disk.
    pub fn add_action(
        &mut self,
        folder: FolderId,
        path: &str,
        what: &str,
        journal: Option<JournalId>,
        now: Wall,
    ) -> Result<()> {
        let sql = "INSERT INTO action (folder, at, path, what, journal) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.conn.prepare_cached(sql)?.execute(params![
            folder.0,
            now.0,
            path,
            what,
            journal.map(|journal| journal.0)
        ])?;
        Ok(())
    }

    /// Drops what is older than we keep, at most `limit` rows of each kind.
    pub fn prune_journal(&mut self, now: Wall, limit: u32) -> Result<()> {
        self.conn.execute(
            "DELETE FROM event WHERE journal IN (SELECT journal FROM event
                 WHERE journal <= (SELECT max(journal) FROM event) - ?1 OR received < ?2 ORDER BY journal LIMIT ?3)",
            params![EVENTS_KEPT, now.0 - EVENTS_KEPT_MS, limit],
        )?;
        self.conn.execute(
            "DELETE FROM action WHERE action IN (SELECT action FROM action WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![now.0 - ACTIONS_KEPT_MS, limit],
        )?;
        Ok(())
    }
}
