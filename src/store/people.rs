//! Who is behind the numbers in a provider's events, as far as the provider told.

use rusqlite::params;

use super::query::Rows;
use super::{Result, Store};
use crate::id::AccountId;
use crate::report::Nameless;
use crate::tree::Wall;

/// How long an answer is believed, in milliseconds: people change their names, and rights are given.
const ASKED_AGAIN_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// Entries of the journal, from the newest on, whose people are of interest.
const EVENTS_LOOKED_AT: u32 = 2_000;
/// People that are named at a time.
const PEOPLE_MOST: u32 = 20;

impl Store {
    /// A provider was asked who somebody is: the name, or nothing if it does not tell. An empty id stands for everybody: the account may
    /// not ask at all.
    pub fn set_person(&mut self, account: AccountId, user_id: &str, name: Option<&str>, at: Wall) -> Result<()> {
        // A name that was told once is better than none.
        let sql = "INSERT INTO person (account, user_id, name, at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (account, user_id) DO UPDATE SET name = coalesce(excluded.name, name), at = excluded.at";
        self.conn.prepare_cached(sql)?.execute(params![account.0, user_id, name, at.0])?;
        Ok(())
    }
}

impl Rows<'_> {
    /// People among the newest events of whom nothing but a number is known, and who were not asked about lately.
    pub fn nameless(self, now: Wall) -> Result<Vec<Nameless>> {
        let sql = "SELECT DISTINCT a.name, e.actor_id
                   FROM (SELECT account, actor, actor_id FROM event ORDER BY journal DESC LIMIT ?1) e
                   CROSS JOIN account a USING (account)
                   WHERE a.provider = 'egnyte' AND e.actor_id <> '' AND e.actor = e.actor_id
                     AND NOT EXISTS (SELECT 1 FROM person p WHERE p.account = e.account AND p.user_id = e.actor_id AND p.at > ?2)
                     AND NOT EXISTS (SELECT 1 FROM person p WHERE p.account = e.account AND p.user_id = '' AND p.at > ?2)
                   LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let since = now.plus_ms(-ASKED_AGAIN_MS).0;
        let rows = statement.query_map(params![EVENTS_LOOKED_AT, since, PEOPLE_MOST], |row| {
            Ok(Nameless { account: row.get(0)?, user_id: row.get(1)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
