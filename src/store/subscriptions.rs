//! Subscriptions: where each is in the journal, and how it is doing.

use rusqlite::{OptionalExtension, Row, params};

use super::query::{EVENT_COLUMNS, Rows, read_event};
use super::{Result, Store};
use crate::id::JournalId;
use crate::report::{EventRow, SubscriptionState, SubscriptionStatus};
use crate::tree::Wall;

/// One subscription as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// Its name.
    pub name: String,
    /// The last entry of the journal that it is done with.
    pub cursor: i64,
    /// Rises with every replay.
    pub epoch: i64,
    /// Entries kept for it at most.
    pub backlog: u64,
    /// The oldest are kept and not the newest.
    pub blocks: bool,
    /// Events delivered.
    pub delivered: u64,
    /// Events that were not kept.
    pub lost: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last delivery failed, while it does.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<Wall>,
    /// When it is tried again.
    pub next_try: Option<Wall>,
    /// When something was last delivered.
    pub delivered_at: Option<Wall>,
}

impl SubscriptionRow {
    /// As people are told, given the newest entry of the journal.
    pub fn status(self, newest: i64) -> SubscriptionStatus {
        let waiting = u64::try_from(newest - self.cursor).unwrap_or(0);
        let state = match (waiting, self.failures) {
            (0, _) => SubscriptionState::CaughtUp,
            (waiting, _) if waiting > self.backlog && self.blocks => SubscriptionState::Blocked,
            (waiting, _) if waiting > self.backlog => SubscriptionState::Dropping,
            (_, 1..) => SubscriptionState::Unreachable,
            (_, 0) => SubscriptionState::Delivering,
        };
        SubscriptionStatus {
            name: self.name,
            state,
            cursor: JournalId(self.cursor),
            waiting,
            backlog: self.backlog,
            delivered: self.delivered,
            lost: self.lost,
            delivered_at: self.delivered_at,
            failures: self.failures,
            reason: self.reason,
            since: self.since,
            next_try: self.next_try,
        }
    }
}

const COLUMNS: &str =
    "name, cursor, epoch, backlog, blocks, delivered, lost, failures, reason, since, next_try, delivered_at";

fn read(row: &Row<'_>) -> rusqlite::Result<SubscriptionRow> {
    let wall = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(Wall));
    Ok(SubscriptionRow {
        name: row.get(0)?,
        cursor: row.get(1)?,
        epoch: row.get(2)?,
        backlog: row.get(3)?,
        blocks: row.get(4)?,
        delivered: row.get(5)?,
        lost: row.get(6)?,
        failures: row.get(7)?,
        reason: row.get(8)?,
        since: wall(9)?,
        next_try: wall(10)?,
        delivered_at: wall(11)?,
    })
}

impl Store {
    /// A subscription is wished for. A new one begins behind the newest entry, or, with `from_oldest`, with the oldest that is kept.
    pub fn want_subscription(&mut self, name: &str, backlog: u64, blocks: bool, from_oldest: bool) -> Result<()> {
        let cursor =
            if from_oldest { self.reader().oldest_event()?.saturating_sub(1) } else { self.reader().newest_event()? };
        let sql = "INSERT INTO subscription (name, cursor, backlog, blocks) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (name) DO UPDATE SET backlog = excluded.backlog, blocks = excluded.blocks";
        self.conn.prepare_cached(sql)?.execute(params![name, cursor, backlog, blocks])?;
        Ok(())
    }

    /// A subscription is no longer wished for: its place is forgotten.
    pub fn forget_subscription(&mut self, name: &str) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM subscription WHERE name = ?1")?.execute([name])?;
        Ok(())
    }

    /// Entries up to `cursor` were delivered or are not wanted. What was read before a replay changes nothing.
    pub fn subscription_delivered(
        &mut self,
        name: &str,
        (cursor, epoch): (i64, i64),
        (events, lost): (u64, u64),
        now: Wall,
    ) -> Result<()> {
        let sql = "UPDATE subscription SET cursor = max(cursor, ?2), delivered = delivered + ?4, lost = lost + ?5,
                       delivered_at = CASE WHEN ?4 > 0 THEN ?6 ELSE delivered_at END,
                       failures = 0, reason = NULL, since = NULL, next_try = NULL
                   WHERE name = ?1 AND epoch = ?3";
        self.conn.prepare_cached(sql)?.execute(params![name, cursor, epoch, events, lost, now.0])?;
        Ok(())
    }

    /// A delivery failed.
    pub fn subscription_failed(&mut self, name: &str, reason: &str, next_try: Wall, now: Wall) -> Result<()> {
        let sql =
            "UPDATE subscription SET failures = failures + 1, reason = ?2, since = coalesce(since, ?4), next_try = ?3
                   WHERE name = ?1";
        self.conn.prepare_cached(sql)?.execute(params![name, reason, next_try.0, now.0])?;
        Ok(())
    }

    /// Goes back to an entry; whether there is such a subscription.
    pub fn rewind_subscription(&mut self, name: &str, cursor: i64) -> Result<bool> {
        let sql = "UPDATE subscription SET cursor = ?2, epoch = epoch + 1 WHERE name = ?1";
        Ok(self.conn.prepare_cached(sql)?.execute(params![name, cursor])? > 0)
    }
}

impl Rows<'_> {
    /// All subscriptions, by name.
    pub fn subscriptions(self) -> Result<Vec<SubscriptionRow>> {
        let sql = format!("SELECT {COLUMNS} FROM subscription ORDER BY name");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One subscription.
    pub fn subscription(self, name: &str) -> Result<Option<SubscriptionRow>> {
        let sql = format!("SELECT {COLUMNS} FROM subscription WHERE name = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([name], read).optional()?)
    }

    /// The oldest entry that is kept; the number of the next one if there is none.
    pub fn oldest_event(self) -> Result<i64> {
        Ok(self.conn.query_row("SELECT coalesce(min(journal), 1) FROM event", [], |row| row.get(0))?)
    }

    /// The last entry before a moment; behind it lies what was received since.
    pub fn event_before(self, moment: Wall) -> Result<i64> {
        let sql = "SELECT coalesce(min(journal), (SELECT coalesce(max(journal), 0) + 1 FROM event)) - 1 FROM event WHERE received >= ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([moment.0], |row| row.get(0))?)
    }

    /// Entries behind one, in order, at most `limit`.
    pub fn events_behind(self, after: i64, with_raw: bool, limit: u32) -> Result<Vec<EventRow>> {
        let raw = if with_raw { "e.raw" } else { "NULL" };
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, {raw} FROM event e JOIN account a USING (account) LEFT JOIN folder f ON f.folder = e.folder
             WHERE e.journal > ?1 ORDER BY e.journal LIMIT ?2"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![after, limit], read_event)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
