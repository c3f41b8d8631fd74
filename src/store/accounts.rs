//! Accounts and their place in the event stream.

use rusqlite::{OptionalExtension, Row, params};

use super::{Result, Store};
use crate::events::budget::Spent;
use crate::id::{AccountId, Cursor};
use crate::provider::Identity;
use crate::report::EventCounts;
use crate::tree::Wall;

/// One account as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its row.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Its provider's word.
    pub provider: String,
    /// Whose it was when first seen.
    pub user_id: Option<String>,
    /// The login of that user.
    pub login: Option<String>,
    /// Which stream the cursor belongs to.
    pub stream: Option<String>,
    /// The place in the stream.
    pub cursor: Option<Cursor>,
    /// When the stream was last read with success.
    pub polled_at: Option<Wall>,
    /// Event counts.
    pub counts: EventCounts,
    /// Calls reserved on the day that was last counted.
    pub spent: Spent,
    /// When the latest event that was read happened, by the provider's clock.
    pub newest_event: Option<Wall>,
    /// When the place in the stream was last taken anew, by our clock.
    pub taken_at: Option<Wall>,
}

pub(super) const COLUMNS: &str =
    "account, name, user_id, login, stream, cursor, polled_at, relevant, foreigns, repeated, stale, own, provider,
     day, spent, compared, newest_event, taken_at";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    Ok(AccountRow {
        account: AccountId(row.get(0)?),
        name: row.get(1)?,
        provider: row.get(12)?,
        user_id: row.get(2)?,
        login: row.get(3)?,
        stream: row.get(4)?,
        cursor: row.get::<_, Option<String>>(5)?.map(Cursor::new),
        polled_at: row.get::<_, Option<i64>>(6)?.map(Wall),
        counts: EventCounts {
            relevant: row.get(7)?,
            foreign: row.get(8)?,
            repeated: row.get(9)?,
            stale: row.get(10)?,
            own: row.get(11)?,
        },
        spent: Spent { day: row.get(13)?, calls: row.get(14)?, compared: row.get(15)? },
        newest_event: row.get::<_, Option<i64>>(16)?.map(Wall),
        taken_at: row.get::<_, Option<i64>>(17)?.map(Wall),
    })
}

impl Store {
    /// The account of this name, made if it is new.
    pub fn account(&mut self, name: &str, provider: &str) -> Result<AccountRow> {
        let sql = format!("SELECT {COLUMNS} FROM account WHERE name = ?1");
        if let Some(found) = self.conn.prepare_cached(&sql)?.query_row([name], read).optional()? {
            return Ok(found);
        }
        self.conn.prepare_cached("INSERT INTO account (name, provider) VALUES (?1, ?2)")?.execute([name, provider])?;
        Ok(self.conn.prepare_cached(&sql)?.query_row([name], read)?)
    }

    /// Records whose account it is.
    pub fn set_identity(&mut self, account: AccountId, identity: &Identity) -> Result<()> {
        self.conn.execute(
            "UPDATE account SET user_id = ?2, login = ?3 WHERE account = ?1",
            params![account.0, identity.user_id, identity.login],
        )?;
        Ok(())
    }

    /// Moves the cursor, in the transaction that records what the page said. `newest`: when the latest event read so far happened.
    pub fn set_cursor(
        &mut self,
        account: AccountId,
        stream: &str,
        cursor: &Cursor,
        polled_at: Wall,
        newest: Option<Wall>,
    ) -> Result<()> {
        let sql = "UPDATE account SET stream = ?2, cursor = ?3, polled_at = ?4, newest_event = ?5 WHERE account = ?1";
        let newest = newest.map(|at| at.0);
        self.conn.prepare_cached(sql)?.execute(params![account.0, stream, cursor.as_str(), polled_at.0, newest])?;
        Ok(())
    }

    /// The place in the stream was taken anew at a moment.
    pub fn set_taken_at(&mut self, account: AccountId, at: Wall) -> Result<()> {
        let sql = "UPDATE account SET taken_at = ?2 WHERE account = ?1";
        self.conn.prepare_cached(sql)?.execute([account.0, at.0])?;
        Ok(())
    }

    /// Forgets the place in the stream.
    pub fn drop_cursor(&mut self, account: AccountId) -> Result<()> {
        self.conn
            .prepare_cached("UPDATE account SET cursor = NULL, polled_at = NULL WHERE account = ?1")?
            .execute([account.0])?;
        Ok(())
    }

    /// Reserves calls before they are made.
    pub fn set_spent(&mut self, account: AccountId, spent: Spent) -> Result<()> {
        let sql = "UPDATE account SET day = ?2, spent = ?3, compared = ?4 WHERE account = ?1";
        self.conn.prepare_cached(sql)?.execute(params![account.0, spent.day, spent.calls, spent.compared])?;
        Ok(())
    }

    /// Adds to the counts of events.
    pub fn count_events(&mut self, account: AccountId, more: EventCounts) -> Result<()> {
        let sql = "UPDATE account SET relevant = relevant + ?2, foreigns = foreigns + ?3, repeated = repeated + ?4,
                   stale = stale + ?5, own = own + ?6 WHERE account = ?1";
        self.conn.prepare_cached(sql)?.execute(params![
            account.0,
            more.relevant,
            more.foreign,
            more.repeated,
            more.stale,
            more.own
        ])?;
        Ok(())
    }
}
