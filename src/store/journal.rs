//! The journal: every event and what became of it, and what was done on disk. Numbers of entries rise by one and are never used twice.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store};
use crate::id::{AccountId, EventId, FolderId, JournalId, NodeId};
use crate::tree::Wall;

/// How long events are kept.
const EVENTS_KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// How many events are kept: of those that concern a folder, and of those that do not.
const EVENTS_KEPT: i64 = 100_000;
/// Events of one item among which a later one is looked for.
const TOLD_LATELY: i64 = 64;
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
    /// Who did it, for people.
    pub actor: Option<&'a str>,
    /// The provider's id of who did it.
    pub actor_id: Option<&'a str>,
    /// When, by the provider's clock.
    pub at: Option<Wall>,
    /// When it was received.
    pub received: Wall,
    /// What became of it so far.
    pub outcome: &'a str,
    /// It is our own deed.
    pub own: bool,
    /// The event as it came, where that is kept.
    pub raw: &'a str,
}

/// How what is done to every file stands in the column `what`: a first mirror writes a row for each. Anything else stands as it is, and so
/// does what was written before.
const SHORT: [(&str, &str); 10] = [
    ("a", "already there"),
    ("d", "downloaded"),
    ("f", "folder created"),
    ("m", "moved"),
    ("n", "renamed"),
    ("r", "replaced"),
    ("t", "trashed in the cloud"),
    ("u", "uploaded"),
    ("v", "new version uploaded"),
    ("x", "removed"),
];

fn short_of(what: &str) -> &str {
    SHORT.iter().find(|(_, long)| *long == what).map_or(what, |(short, _)| short)
}

/// What was done, by the column `what`.
pub(super) fn what_of(short: String) -> String {
    SHORT.iter().find(|(known, _)| *known == short).map_or(short, |(_, long)| (*long).to_owned())
}

/// The values of an event's row, in the order of its columns.
macro_rules! params_of {
    ($event:expr) => {
        params![
            $event.account.0,
            $event.event_id.as_str(),
            $event.folder.map(|folder| folder.0),
            $event.node.map(|node| node.0),
            $event.item,
            $event.kind,
            $event.provider_kind,
            $event.path,
            $event.actor,
            $event.actor_id,
            $event.at.map(|at| at.0),
            $event.received.0,
            $event.outcome,
            $event.own,
            $event.raw,
        ]
    };
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

    /// Whether an event was applied before. One that concerned no folder when it came is no such event: it may concern one now.
    pub fn event_seen(&self, account: AccountId, event_id: &EventId) -> Result<bool> {
        let sql = "SELECT 1 FROM event WHERE account = ?1 AND event_id = ?2 AND folder IS NOT NULL";
        Ok(self.conn.prepare_cached(sql)?.exists(params![account.0, event_id.as_str()])?)
    }

    /// An event that was applied was told again.
    pub fn event_repeated(&mut self, account: AccountId, event_id: &EventId) -> Result<()> {
        let sql = "UPDATE event SET repeats = repeats + 1 WHERE account = ?1 AND event_id = ?2 AND folder IS NOT NULL";
        self.conn.prepare_cached(sql)?.execute(params![account.0, event_id.as_str()])?;
        Ok(())
    }

    /// An entry of the journal was told again.
    pub fn entry_repeated(&mut self, journal: JournalId) -> Result<()> {
        self.conn.prepare_cached("UPDATE event SET repeats = repeats + 1 WHERE journal = ?1")?.execute([journal.0])?;
        Ok(())
    }

    /// Writes an event down that concerns a folder; nothing if it was applied before. `known` is where it was written down as concerning
    /// none, if it was: that becomes its entry.
    pub fn add_event(&mut self, event: &NewEvent<'_>, known: Option<JournalId>) -> Result<Option<JournalId>> {
        if let Some(journal) = known {
            let sql = "UPDATE event SET folder = ?3, node = ?4, item = ?5, path = ?6, outcome = ?7, own = ?8, took = NULL, raw = ?9
                       WHERE journal = ?1 AND event_id = ?2 AND folder IS NULL";
            let changed = self.conn.prepare_cached(sql)?.execute(params![
                journal.0,
                event.event_id.as_str(),
                event.folder.map(|folder| folder.0),
                event.node.map(|node| node.0),
                event.item,
                event.path,
                event.outcome,
                event.own,
                event.raw
            ])?;
            if changed > 0 {
                return Ok(Some(journal));
            }
        }
        let sql = "INSERT INTO event (account, event_id, folder, node, item, kind, provider_kind, path, actor, actor_id, at, received,
                                      outcome, own, raw)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                   ON CONFLICT (account, event_id) WHERE folder IS NOT NULL DO NOTHING RETURNING journal";
        let mut statement = self.conn.prepare_cached(sql)?;
        let added = statement.query_row(params_of!(event), |row| row.get(0).map(JournalId)).optional()?;
        Ok(added)
    }

    /// Writes an event down that concerns no folder.
    pub fn add_foreign_event(&mut self, event: &NewEvent<'_>) -> Result<JournalId> {
        let sql = "INSERT INTO event (account, event_id, folder, node, item, kind, provider_kind, path, actor, actor_id, at, received,
                                      outcome, own, raw, took)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0)";
        Ok(JournalId(self.conn.prepare_cached(sql)?.insert(params_of!(event))?))
    }

    /// Writes down what became of an event. An outcome is written once.
    pub fn set_outcome(&mut self, journal: JournalId, outcome: &str, now: Wall) -> Result<()> {
        let sql = "UPDATE event SET outcome = ?2, took = max(?3 - received, 0) WHERE journal = ?1 AND took IS NULL";
        self.conn.prepare_cached(sql)?.execute(params![journal.0, outcome, now.0])?;
        Ok(())
    }

    /// Whether a change of an item was told lately that happened after this moment, by the provider's clock.
    pub fn told_later(&self, node: NodeId, at: Wall) -> Result<bool> {
        // A file that is written to all day has thousands of events, and what is late is late by a few of them.
        let sql =
            "SELECT EXISTS (SELECT 1 FROM (SELECT at, kind FROM event WHERE node = ?1 ORDER BY journal DESC LIMIT ?3)
                       WHERE at > ?2 AND kind NOT IN ('read', 'comment', 'lock', 'other'))";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0, at.0, TOLD_LATELY], |row| row.get(0))?)
    }

    /// Writes down what was done on disk with an item.
    pub fn add_action(
        &mut self,
        folder: FolderId,
        node: NodeId,
        path: &str,
        what: &str,
        journal: Option<JournalId>,
        now: Wall,
    ) -> Result<()> {
        let sql = "INSERT INTO action (folder, at, path, what, journal, node) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.conn.prepare_cached(sql)?.execute(params![
            folder.0,
            now.0,
            path,
            short_of(what),
            journal.map(|journal| journal.0),
            node.0
        ])?;
        Ok(())
    }

    /// When the present content of an item came to the disk. Actions that were written down without a row are known by the path.
    pub(super) fn content_since(&self, folder: FolderId, node: Option<i64>, path: &str) -> Result<Option<Wall>> {
        let sql = "SELECT max(at) FROM (
                       SELECT at, what FROM action WHERE node = ?1
                       UNION ALL SELECT at, what FROM action WHERE node IS NULL AND folder = ?2 AND path = ?3)
                   WHERE what IN ('a', 'already there', 'd', 'downloaded', 'r', 'replaced')";
        let at: Option<i64> =
            self.conn.prepare_cached(sql)?.query_row(params![node, folder.0, path], |row| row.get(0))?;
        Ok(at.map(Wall))
    }

    /// Drops what is older than we keep, at most `limit` rows of each kind; whether there may be more. The newest entry stays, so that no
    /// number is used twice, and so does what is kept for a subscription.
    pub fn prune_journal(&mut self, now: Wall, limit: u32) -> Result<bool> {
        let sql = "SELECT journal FROM event WHERE folder IS NOT NULL ORDER BY journal DESC LIMIT 1 OFFSET ?1";
        let of_folders = self.conn.prepare_cached(sql)?.query_row([EVENTS_KEPT], |row| row.get(0)).optional()?;
        let sql = "DELETE FROM event WHERE journal IN (SELECT journal FROM event e
                       WHERE journal < (SELECT max(journal) FROM event)
                         AND (received < ?1
                              OR (folder IS NULL AND journal <= (SELECT max(journal) FROM event) - ?2)
                              OR (folder IS NOT NULL AND journal <= ?3))
                         AND NOT EXISTS (SELECT 1 FROM subscription s WHERE e.journal > s.cursor AND CASE s.blocks
                                             WHEN 1 THEN e.journal <= s.cursor + s.backlog
                                             ELSE e.journal > (SELECT max(journal) FROM event) - s.backlog END)
                       ORDER BY journal LIMIT ?4)";
        let before = now.0 - EVENTS_KEPT_MS;
        let dropped =
            self.conn.prepare_cached(sql)?.execute(params![before, EVENTS_KEPT, of_folders.unwrap_or(0_i64), limit])?;
        let sql = "DELETE FROM action WHERE action IN (
                       SELECT action FROM (SELECT action, at FROM action ORDER BY action LIMIT ?2) WHERE at < ?1)";
        self.conn.prepare_cached(sql)?.execute(params![now.0 - ACTIONS_KEPT_MS, limit])?;
        Ok(dropped == limit as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (Store, AccountId) {
        let mut store = Store::in_memory().unwrap();
        let account = store.account("work", "box").unwrap().account;
        (store, account)
    }

    fn event(account: AccountId, id: &EventId, folder: Option<FolderId>, received: i64) -> NewEvent<'_> {
        NewEvent {
            account,
            event_id: id,
            folder,
            node: None,
            item: None,
            kind: "uploaded",
            provider_kind: "ITEM_UPLOAD",
            path: None,
            actor: None,
            actor_id: None,
            at: None,
            received: Wall(received),
            outcome: "outside",
            own: false,
            raw: "",
        }
    }

    fn add(store: &mut Store, account: AccountId, ids: std::ops::Range<u32>, received: i64) {
        for id in ids {
            let id = EventId::new(format!("e{id}"));
            store.add_foreign_event(&event(account, &id, None, received)).unwrap();
        }
    }

    fn kept(store: &Store) -> Vec<i64> {
        store.reader().events_behind(0, false, 1_000).unwrap().into_iter().map(|row| row.id.0).collect()
    }

    const LATER: Wall = Wall(EVENTS_KEPT_MS + 10);

    #[test]
    fn an_event_of_no_folder_may_concern_one_later_and_then_counts_as_seen() {
        let (mut store, account) = store();
        let id = EventId::new("e1");
        let entry = store.add_foreign_event(&event(account, &id, None, 1)).unwrap();
        store.entry_repeated(entry).unwrap();
        assert!(!store.event_seen(account, &id).unwrap());
        assert_eq!(store.reader().foreign_events(10).unwrap(), [(entry, account, id.clone())]);
        let folder = event(account, &id, Some(FolderId(7)), 3);
        assert_eq!(store.add_event(&folder, Some(entry)).unwrap(), Some(entry), "the same entry");
        assert!(store.event_seen(account, &id).unwrap());
        assert_eq!(store.add_event(&folder, Some(entry)).unwrap(), None);
        assert_eq!(store.add_event(&folder, None).unwrap(), None);
        store.event_repeated(account, &id).unwrap();
        assert_eq!(store.reader().events_behind(0, false, 10).unwrap()[0].repeats, 2);
        assert!(!store.event_seen(AccountId(9), &id).unwrap());
        assert!(store.reader().foreign_events(10).unwrap().is_empty());
        let other = EventId::new("e2");
        let other = event(account, &other, Some(FolderId(7)), 3);
        assert_eq!(
            store.add_event(&other, Some(entry)).unwrap(),
            Some(JournalId(2)),
            "an entry of another event is left alone"
        );
    }

    #[test]
    fn a_later_change_is_looked_for_among_the_newest_events_of_an_item() {
        let (mut store, account) = store();
        let node = NodeId(5);
        let mut tell = |number: i64, kind: &'static str, at: i64| {
            let id = EventId::new(format!("e{number}"));
            let new =
                NewEvent { node: Some(node), kind, at: Some(Wall(at)), ..event(account, &id, Some(FolderId(7)), 1) };
            assert!(store.add_event(&new, None).unwrap().is_some());
            [50, 100, 200].map(|at| store.told_later(node, Wall(at)).unwrap())
        };
        assert_eq!(tell(0, "uploaded", 100), [true, false, false]);
        assert_eq!(tell(1, "read", 300), [true, false, false], "reading changes nothing");
        for number in 2..TOLD_LATELY {
            assert_eq!(tell(number, "uploaded", 10), [true, false, false]);
        }
        assert_eq!(tell(TOLD_LATELY, "uploaded", 10), [false; 3], "no more of them are gone through");
        assert!(!store.told_later(NodeId(6), Wall(0)).unwrap());
    }

    #[test]
    fn the_newest_entry_stays_so_that_no_number_is_used_twice() {
        let (mut store, account) = store();
        add(&mut store, account, 0..5, 1);
        assert!(store.prune_journal(LATER, 3).unwrap(), "there is more");
        assert!(!store.prune_journal(LATER, 3).unwrap());
        assert_eq!(kept(&store), [5]);
        add(&mut store, account, 10..11, LATER.0);
        assert_eq!(kept(&store), [5, 6]);
    }

    #[test]
    fn what_is_kept_for_a_subscription_is_not_pruned() {
        let (mut store, account) = store();
        store.want_subscription("block", 3, true, false).unwrap();
        store.want_subscription("drop", 2, false, false).unwrap();
        add(&mut store, account, 0..10, 1);
        while store.prune_journal(LATER, 3).unwrap() {}
        assert_eq!(kept(&store), [1, 2, 3, 9, 10], "the oldest for one, the newest for the other");
        store.subscription_delivered("block", (3, 0), (3, 0), LATER).unwrap();
        store.forget_subscription("drop").unwrap();
        while store.prune_journal(LATER, 3).unwrap() {}
        assert_eq!(kept(&store), [10], "4 to 6 are gone already, and nothing else is kept for it");
    }

    #[test]
    fn what_was_read_before_a_replay_moves_nothing() {
        let (mut store, account) = store();
        add(&mut store, account, 0..10, 1);
        store.want_subscription("one", 100, true, false).unwrap();
        assert_eq!(store.reader().subscription("one").unwrap().unwrap().cursor, 10, "a new one begins now");
        assert!(store.rewind_subscription("one", 2).unwrap());
        store.subscription_delivered("one", (10, 0), (1, 0), Wall(1)).unwrap();
        let row = store.reader().subscription("one").unwrap().unwrap();
        assert_eq!((row.cursor, row.epoch, row.delivered), (2, 1, 0));
        store.subscription_delivered("one", (5, 1), (3, 0), Wall(1)).unwrap();
        assert_eq!(store.reader().subscription("one").unwrap().unwrap().cursor, 5);
        store.want_subscription("old", 100, true, true).unwrap();
        assert_eq!(store.reader().subscription("old").unwrap().unwrap().cursor, 0);
        assert_eq!(store.reader().event_before(Wall(1)).unwrap(), 0);
        assert_eq!(store.reader().event_before(Wall(2)).unwrap(), 10);
    }
}
