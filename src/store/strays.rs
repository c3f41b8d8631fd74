//! Ids that events named without a place and that no folder knows, until each was looked at.

use rusqlite::params;

use super::{Result, Store, StoreError};
use crate::id::{AccountId, Generation, ItemId};

impl Store {
    /// An event named an id: it is to be looked at, also if a look at it is under way.
    pub fn note_stray(&mut self, account: AccountId, id: &ItemId) -> Result<()> {
        let mark = self.generation();
        let sql = "INSERT INTO stray (account, id, mark) VALUES (?1, ?2, ?3)
                   ON CONFLICT (account, id) DO UPDATE SET mark = excluded.mark";
        self.conn.prepare_cached(sql)?.execute(params![account.0, id.to_string(), mark.0])?;
        Ok(())
    }

    /// A look that was asked for at a generation is answered: an event that came later asks for one more.
    pub fn drop_stray(&mut self, account: AccountId, id: &ItemId, asked: Generation) -> Result<()> {
        let sql = "DELETE FROM stray WHERE account = ?1 AND id = ?2 AND mark <= ?3";
        self.conn.prepare_cached(sql)?.execute(params![account.0, id.to_string(), asked.0])?;
        Ok(())
    }

    /// The ids of an account that are to be looked at, in the order of their events.
    pub fn strays(&self, account: AccountId) -> Result<Vec<ItemId>> {
        let mut statement = self.conn.prepare_cached("SELECT id FROM stray WHERE account = ?1 ORDER BY mark")?;
        let mut rows = statement.query([account.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row.get_ref(0)?.as_str().map_err(StoreError::damaged)?.parse().map_err(StoreError::damaged)?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_answers_only_the_events_of_before_it() {
        let mut store = Store::in_memory().unwrap();
        let (account, a, b) = (AccountId(1), ItemId::file("a"), ItemId::folder("b"));
        store.note_stray(account, &b).unwrap();
        store.note_stray(account, &a).unwrap();
        store.note_stray(AccountId(2), &a).unwrap();
        let asked = store.generation();
        store.note_stray(account, &b).unwrap();
        assert_eq!(store.strays(account).unwrap(), [a.clone(), b.clone()], "the newest event counts");
        store.drop_stray(account, &a, asked).unwrap();
        store.drop_stray(account, &b, asked).unwrap();
        let store = store.reopened().unwrap();
        assert_eq!(store.strays(account).unwrap(), [b], "it was named after the look was asked for");
        assert_eq!(store.strays(AccountId(2)).unwrap(), [a]);
    }
}
