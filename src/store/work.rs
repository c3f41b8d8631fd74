//! Items that need a decision or a deed, folders to be listed, and subtrees to be told.

use std::ops::RangeInclusive;

use rusqlite::{OptionalExtension, Row, params};

use super::items::{Presence, R_SIZE};
use super::{Result, Store};
use crate::id::{FolderId, Generation, JournalId, NodeId};
use crate::tree::Wall;

/// Which queue work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// News of the stream: first.
    News,
    /// First sync and full comparisons.
    Bulk,
}

impl Priority {
    fn code(self) -> i64 {
        self as i64
    }
}

/// Whether work can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkState {
    /// Now.
    Ready,
    /// Not before `due`.
    Waiting,
    /// Not before a person says so.
    Held,
}

/// Whether a mark asks for the item's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// No: what is known is to be acted on.
    Nothing,
    /// Yes: nothing is done for the item before an answer to a question of after this mark.
    State,
}

/// One item's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkRow {
    /// The item.
    pub node: NodeId,
    /// Its folder.
    pub folder: FolderId,
    /// Its queue.
    pub priority: Priority,
    /// The newest mark on the item, if its state is to be asked for before anything is done.
    pub mark: Option<Generation>,
    /// Whether it can be done.
    pub state: WorkState,
    /// A person approved its removal.
    pub approved: bool,
    /// It is a directory that goes with all that is in it, and nobody had to be asked about that.
    pub unasked: bool,
    /// Another item was to have its place on disk when that was last looked at: as long as that is so, nobody is asked about its removal.
    pub replaced: bool,
    /// When it is tried again.
    pub due: Wall,
    /// Failures so far.
    pub attempts: u32,
    /// The problem's code and text.
    pub problem: Option<(String, String)>,
    /// Since when there is work.
    pub since: Wall,
    /// The event that asked for it.
    pub journal: Option<JournalId>,
}

/// A person approved its removal.
const APPROVED: i64 = 1;
/// It is to be replaced.
const REPLACED: i64 = 2;
/// It goes with all that is in it, and nobody had to be asked.
const UNASKED: i64 = 3;
const COLUMNS: &str = "node, folder, lane, look, state, approved, due, attempts, code, text, since, journal";

fn read(row: &Row<'_>) -> rusqlite::Result<WorkRow> {
    let code: Option<String> = row.get(8)?;
    let text: Option<String> = row.get(9)?;
    Ok(WorkRow {
        node: NodeId(row.get(0)?),
        folder: FolderId(row.get(1)?),
        priority: if row.get::<_, i64>(2)? == 0 { Priority::News } else { Priority::Bulk },
        mark: Some(Generation(row.get(3)?)).filter(|mark| mark.0 > 0),
        state: match row.get::<_, i64>(4)? {
            0 => WorkState::Ready,
            1 => WorkState::Waiting,
            _ => WorkState::Held,
        },
        approved: row.get::<_, i64>(5)? == APPROVED,
        unasked: row.get::<_, i64>(5)? == UNASKED,
        replaced: row.get::<_, i64>(5)? == REPLACED,
        due: Wall(row.get(6)?),
        attempts: row.get(7)?,
        problem: code.map(|code| (code, text.unwrap_or_default())),
        since: Wall(row.get(10)?),
        journal: row.get::<_, Option<i64>>(11)?.map(JournalId),
    })
}

impl Store {
    /// Marks an item as work. An older mark keeps its place, and is made ready again: there is news.
    pub fn mark(
        &mut self,
        node: NodeId,
        folder: FolderId,
        priority: Priority,
        ask: Ask,
        journal: Option<JournalId>,
        now: Wall,
    ) -> Result<()> {
        if let Some(journal) = journal {
            // An older event on the item, of which nothing came yet, has nothing left to bring about.
            let sql = "UPDATE event SET outcome = 'overtaken', took = max(?3 - received, 0) WHERE took IS NULL
                       AND journal = (SELECT journal FROM work WHERE node = ?1 AND journal <> ?2)";
            self.conn.prepare_cached(sql)?.execute(params![node.0, journal.0, now.0])?;
        }
        let pos = self.take_pos();
        let look = if ask == Ask::State { pos } else { 0 };
        let sql = "INSERT INTO work (node, folder, lane, pos, look, since, journal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (node) DO UPDATE SET
                       pos = CASE WHEN excluded.lane < lane OR state <> 0 THEN excluded.pos ELSE pos END,
                       lane = min(lane, excluded.lane), look = max(look, excluded.look), state = 0, due = 0,
                       attempts = 0, approved = 0, code = NULL, text = NULL, journal = coalesce(excluded.journal, journal)";
        self.conn.prepare_cached(sql)?.execute(params![
            node.0,
            folder.0,
            priority.code(),
            pos,
            look,
            now.0,
            journal.map(|journal| journal.0)
        ])?;
        Ok(())
    }

    /// The work of an item.
    pub fn work(&self, node: NodeId) -> Result<Option<WorkRow>> {
        self.lately.work(node, || {
            let sql = format!("SELECT {COLUMNS} FROM work WHERE node = ?1");
            Ok(self.conn.prepare_cached(&sql)?.query_row([node.0], read).optional()?)
        })
    }

    /// A question that was asked at a generation is answered: an older mark on the item is gone, a newer one stays.
    pub fn looked(&mut self, node: NodeId, asked: Generation) -> Result<()> {
        let sql = "UPDATE work SET look = 0 WHERE node = ?1 AND look <= ?2";
        self.conn.prepare_cached(sql)?.execute([node.0, asked.0])?;
        Ok(())
    }

    /// The item's state is to be asked for before anything else is decided.
    pub fn want_look(&mut self, node: NodeId) -> Result<()> {
        let mark = self.take_pos();
        self.conn.prepare_cached("UPDATE work SET look = ?2 WHERE node = ?1")?.execute([node.0, mark])?;
        Ok(())
    }

    /// The children of a remote folder, as last observed, on which there is a mark that is not newer than a generation; those after one of
    /// them.
    pub fn marked_in(&self, dir: NodeId, asked: Generation, after: NodeId, limit: u32) -> Result<Vec<NodeId>> {
        let sql = "SELECT work.node FROM work INDEXED BY work_look JOIN item ON item.node = work.node
                   WHERE work.look > 0 AND work.look <= ?2 AND item.r_parent = ?1 AND work.node > ?3
                   ORDER BY work.node LIMIT ?4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![dir.0, asked.0, after.0, limit], |row| Ok(NodeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Its removal needs no more asking.
    pub fn approve(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("UPDATE work SET approved = ?2 WHERE node = ?1")?.execute([node.0, APPROVED])?;
        Ok(())
    }

    /// A directory goes with all that is in it, and nobody has to be asked. What a person approved stays approved.
    pub fn goes_unasked(&mut self, node: NodeId) -> Result<()> {
        let sql = "UPDATE work SET approved = ?2 WHERE node = ?1 AND approved <> ?3";
        self.conn.prepare_cached(sql)?.execute([node.0, UNASKED, APPROVED])?;
        Ok(())
    }

    /// Another item is to have its place on disk.
    pub fn note_replaced(&mut self, node: NodeId) -> Result<()> {
        let sql = "UPDATE work SET approved = ?2 WHERE node = ?1 AND approved = 0";
        self.conn.prepare_cached(sql)?.execute([node.0, REPLACED])?;
        Ok(())
    }

    /// Nothing is left to do.
    pub fn finish(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM work WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// Ready items of one priority after a position, oldest first: position, item and folder.
    pub fn ready(&self, priority: Priority, after: i64, limit: u32) -> Result<Vec<(i64, NodeId, FolderId)>> {
        let sql = "SELECT pos, node, folder FROM work WHERE state = 0 AND lane = ?1 AND pos > ?2 ORDER BY pos LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![priority.code(), after, limit], |row| {
            Ok((row.get(0)?, NodeId(row.get(1)?), FolderId(row.get(2)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// An item was tried so many times without success; it is not put off for that.
    pub fn count_attempts(&mut self, node: NodeId, attempts: u32) -> Result<()> {
        self.conn
            .prepare_cached("UPDATE work SET attempts = ?2 WHERE node = ?1")?
            .execute(params![node.0, attempts])?;
        Ok(())
    }

    /// Puts work off: a failure with its reason, and when it is tried again.
    pub fn put_off(&mut self, node: NodeId, due: Wall, attempts: u32, problem: Option<(&str, &str)>) -> Result<()> {
        let sql = "UPDATE work SET state = 1, due = ?2, attempts = ?3, code = ?4, text = ?5 WHERE node = ?1";
        let (code, text) = problem.unzip();
        self.conn.prepare_cached(sql)?.execute(params![node.0, due.0, attempts, code, text])?;
        Ok(())
    }

    /// Makes ready what is due; how many.
    pub fn wake_due(&mut self, now: Wall, limit: u32) -> Result<usize> {
        let sql = "SELECT node FROM work WHERE state = 1 AND due <= ?1 ORDER BY due, pos LIMIT ?2";
        let nodes: Vec<i64> = {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map(params![now.0, limit], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for node in &nodes {
            let pos = self.take_pos();
            self.conn.prepare_cached("UPDATE work SET state = 0, pos = ?2 WHERE node = ?1")?.execute([*node, pos])?;
        }
        Ok(nodes.len())
    }

    /// Gives bulk work its place in line: the newest content first.
    pub fn order_by_age(&mut self, node: NodeId, modified: Wall) -> Result<()> {
        let sql = "UPDATE work SET pos = ?2 WHERE node = ?1 AND lane = 1 AND state = 0";
        self.conn.prepare_cached(sql)?.execute([node.0, -modified.0.max(0)])?;
        Ok(())
    }

    /// The earliest moment at which waiting work is due.
    pub fn next_due(&self) -> Result<Option<Wall>> {
        let work: Option<i64> = self
            .conn
            .prepare_cached("SELECT due FROM work WHERE state = 1 ORDER BY due LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(work.map(Wall))
    }

    /// Makes all waiting work of a folder (or of all) due now.
    pub fn wake_all(&mut self, folder: Option<FolderId>) -> Result<()> {
        let sql = "UPDATE work SET due = 0 WHERE state = 1 AND (?1 IS NULL OR folder = ?1)";
        self.conn.prepare_cached(sql)?.execute([folder.map(|folder| folder.0)])?;
        Ok(())
    }

    /// Makes work of a folder due that was put off for one reason, of items of these lengths.
    pub fn wake_for_room(&mut self, folder: FolderId, code: &str, lengths: RangeInclusive<u64>) -> Result<()> {
        let sql = format!(
            "UPDATE work SET due = 0 WHERE state = 1 AND code = ?2 AND folder = ?1
                   AND node IN (SELECT item.node FROM item JOIN work USING (node)
                                WHERE state = 1 AND code = ?2 AND coalesce({R_SIZE}, 0) BETWEEN ?3 AND ?4)"
        );
        let length = |length: u64| i64::try_from(length).unwrap_or(i64::MAX);
        let lengths = params![folder.0, code, length(*lengths.start()), length(*lengths.end())];
        self.conn.prepare_cached(&sql)?.execute(lengths)?;
        Ok(())
    }

    /// The length of the shortest item of a folder that was put off for one reason.
    pub fn least_for_room(&self, folder: FolderId, code: &str) -> Result<Option<u64>> {
        let sql = format!(
            "SELECT min(coalesce({R_SIZE}, 0)) FROM work JOIN item USING (node)
                   WHERE state = 1 AND code = ?2 AND work.folder = ?1"
        );
        let least: Option<i64> =
            self.conn.prepare_cached(&sql)?.query_row(params![folder.0, code], |row| row.get(0))?;
        Ok(least.map(|least| least.max(0) as u64))
    }

    /// Makes work due that was put off for one reason.
    pub fn wake_code(&mut self, code: &str) -> Result<()> {
        self.conn.prepare_cached("UPDATE work SET due = 0 WHERE state = 1 AND code = ?1")?.execute([code])?;
        Ok(())
    }

    /// Makes that work due that waits for one hook, all of it or what has waited longest.
    pub fn wake_hook(&mut self, code: &str, hook: &str, all: bool) -> Result<()> {
        let sql = "UPDATE work SET due = 0 WHERE node IN (SELECT node FROM work WHERE state = 1 AND code = ?1
                   AND instr(text, ?2) > 0 ORDER BY pos LIMIT ?3)";
        let limit = if all { -1 } else { 1 };
        self.conn.prepare_cached(sql)?.execute(params![code, format!("`{hook}`"), limit])?;
        Ok(())
    }

    /// Makes one item's waiting work ready.
    pub fn unwait(&mut self, node: NodeId) -> Result<()> {
        let pos = self.take_pos();
        let sql = "UPDATE work SET state = 0, due = 0, pos = ?2 WHERE node = ?1 AND state = 1";
        self.conn.prepare_cached(sql)?.execute([node.0, pos])?;
        Ok(())
    }

    /// Approves what is held, or makes it ready again.
    pub fn unhold(&mut self, node: NodeId, approved: bool) -> Result<()> {
        let pos = self.take_pos();
        let sql = "UPDATE work SET state = 0, approved = iif(?2, 1, approved), pos = ?3 WHERE node = ?1 AND state = 2";
        self.conn.prepare_cached(sql)?.execute(params![node.0, approved, pos])?;
        Ok(())
    }

    /// Holds work.
    pub fn hold_work(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("UPDATE work SET state = 2 WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// Whether a folder has work that is not held and not put off, or anything to list or to sweep.
    pub fn busy(&self, folder: FolderId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM work WHERE folder = ?1 AND state = 0)
                   OR EXISTS (SELECT 1 FROM listing WHERE folder = ?1) OR EXISTS (SELECT 1 FROM sweep WHERE folder = ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?)
    }

    /// Marks a remote folder's children: they are asked for, after everything that waits.
    pub fn want_listing(&mut self, node: NodeId, folder: FolderId) -> Result<()> {
        let pos = self.take_pos();
        // What is not known any more is not asked for.
        let sql = "INSERT INTO listing (node, folder, pos, mark)
                       SELECT ?1, ?2, ?3, ?3 WHERE EXISTS (SELECT 1 FROM item WHERE node = ?1)
                   ON CONFLICT (node) DO UPDATE SET mark = excluded.mark";
        self.conn.prepare_cached(sql)?.execute([node.0, folder.0, pos])?;
        Ok(())
    }

    /// Marks a remote folder's children because of news: they are asked for at once, before first syncs and comparisons.
    pub fn want_listing_now(&mut self, node: NodeId, folder: FolderId) -> Result<()> {
        let pos = self.take_pos();
        let sql = "INSERT INTO listing (node, folder, pos, mark, lane)
                       SELECT ?1, ?2, ?3, ?3, 0 WHERE EXISTS (SELECT 1 FROM item WHERE node = ?1)
                   ON CONFLICT (node) DO UPDATE SET mark = excluded.mark, lane = 0, due = 0,
                       pos = CASE WHEN due > 0 OR lane <> 0 THEN excluded.pos ELSE pos END";
        self.conn.prepare_cached(sql)?.execute([node.0, folder.0, pos])?;
        Ok(())
    }

    /// An event named something below a folder that is not known here: one that is found to have moved here is listed with all below it.
    pub fn want_listing_below(&mut self, node: NodeId, folder: FolderId) -> Result<()> {
        self.want_listing_now(node, folder)?;
        self.deepen_listing(node)
    }

    /// What the listing that is wanted of a folder finds to be new or to have moved there is listed with all below it.
    pub fn deepen_listing(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("UPDATE listing SET deep = 1 WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// Whether what is found to have moved into a folder is listed with all below it.
    pub fn is_wanted_below(&self, node: NodeId) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM listing WHERE node = ?1 AND deep = 1")?.exists([node.0])?)
    }

    /// Remote folders to list now, of one priority and after a position: position, node, folder.
    pub fn listings(&self, priority: Priority, after: i64, limit: u32) -> Result<Vec<(i64, NodeId, FolderId)>> {
        let sql = "SELECT pos, node, folder FROM listing
                   WHERE lane = ?1 AND pos > ?2 AND due = 0 ORDER BY pos LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![priority as i64, after, limit], |row| {
            Ok((row.get(0)?, NodeId(row.get(1)?), FolderId(row.get(2)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Puts listings that are due again at the end of the line.
    pub fn wake_listings(&mut self, now: Wall) -> Result<()> {
        let nodes: Vec<i64> = {
            let mut statement =
                self.conn.prepare_cached("SELECT node FROM listing WHERE due > 0 AND due <= ?1 ORDER BY due")?;
            let rows = statement.query_map([now.0], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for node in nodes {
            let pos = self.take_pos();
            self.conn.prepare_cached("UPDATE listing SET due = 0, pos = ?2 WHERE node = ?1")?.execute([node, pos])?;
        }
        Ok(())
    }

    /// A remote folder's children are not asked for any more.
    pub fn unwant_listing(&mut self, node: NodeId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM listing WHERE node = ?1")?.execute([node.0])?;
        Ok(())
    }

    /// A question for a remote folder's children that was asked at a generation is answered. Says whether no newer mark is left.
    pub fn listed(&mut self, node: NodeId, folder: FolderId, asked: Generation, at: Wall) -> Result<bool> {
        let sql = "DELETE FROM listing WHERE node = ?1 AND mark <= ?2";
        self.conn.prepare_cached(sql)?.execute([node.0, asked.0])?;
        let sql = "INSERT INTO observed (node, folder, at)
                       SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM item WHERE node = ?1)
                   ON CONFLICT (node) DO UPDATE SET at = excluded.at";
        self.conn.prepare_cached(sql)?.execute(params![node.0, folder.0, at.0])?;
        Ok(!self.listing_wanted(node)?)
    }

    /// A listing failed: when it is tried again.
    pub fn put_off_listing(&mut self, node: NodeId, due: Wall, text: &str) -> Result<u32> {
        let sql = "UPDATE listing SET due = max(?2, 1), attempts = attempts + 1, text = ?3 WHERE node = ?1 RETURNING attempts";
        let attempts =
            self.conn.prepare_cached(sql)?.query_row(params![node.0, due.0, text], |row| row.get(0)).optional()?;
        Ok(attempts.unwrap_or(0))
    }

    /// Whether a remote folder's children are still to be asked for.
    pub fn listing_wanted(&self, node: NodeId) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM listing WHERE node = ?1")?.exists([node.0])?)
    }

    /// Whether a remote folder's children are asked for as soon as there is room.
    pub fn listing_due(&self, node: NodeId) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM listing WHERE node = ?1 AND due = 0")?.exists([node.0])?)
    }

    /// How often a listing has failed.
    pub fn listing_attempts(&self, node: NodeId) -> Result<u32> {
        let sql = "SELECT attempts FROM listing WHERE node = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([node.0], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// The earliest moment at which a listing that was put off is due.
    pub fn next_listing_due(&self) -> Result<Option<Wall>> {
        let sql = "SELECT min(due) FROM listing WHERE due > 0";
        let due: Option<i64> = self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(due.map(Wall))
    }

    /// Whether a remote folder that full comparison `scan` met is still to be listed. One that it did not meet may be gone, and is not
    /// waited for.
    pub fn listing_left(&self, folder: FolderId, scan: i64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM listing JOIN item USING (node) WHERE listing.folder = ?1 AND item.seen >= ?2)";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0, scan], |row| row.get(0))?)
    }

    /// Asks for a folder's descendants to be told what became of it.
    pub fn want_sweep(&mut self, node: NodeId, folder: FolderId, presence: Presence) -> Result<()> {
        let sql =
            "INSERT INTO sweep (node, folder, r) VALUES (?1, ?2, ?3) ON CONFLICT (node) DO UPDATE SET r = excluded.r";
        self.conn.prepare_cached(sql)?.execute([node.0, folder.0, presence.code()])?;
        Ok(())
    }

    /// A remote folder of a watched folder behind another one whose children are still to be told, if there is one.
    pub fn next_sweep(&self, folder: FolderId, after: NodeId) -> Result<Option<(NodeId, Presence)>> {
        let sql = "SELECT node, r FROM sweep WHERE folder = ?1 AND node > ?2 ORDER BY node LIMIT 1";
        self.one_to_sweep(sql, folder, after)
    }

    /// The one before another one: what is in a directory mostly has higher numbers than the directory.
    pub fn sweep_before(&self, folder: FolderId, before: NodeId) -> Result<Option<(NodeId, Presence)>> {
        let sql = "SELECT node, r FROM sweep WHERE folder = ?1 AND node < ?2 ORDER BY node DESC LIMIT 1";
        self.one_to_sweep(sql, folder, before)
    }

    fn one_to_sweep(&self, sql: &str, folder: FolderId, beside: NodeId) -> Result<Option<(NodeId, Presence)>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let found = statement.query_row([folder.0, beside.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        found.map(|(node, r)| Ok((NodeId(node), Presence::from_code(r)?))).transpose()
    }

    /// A person rejected the removal of what is in a directory: it is told so, and stays on disk.
    pub fn stays_below(&mut self, node: NodeId, folder: FolderId) -> Result<()> {
        let sql = "INSERT INTO sweep (node, folder, r, stays) VALUES (?1, ?2, ?3, 1) ON CONFLICT (node) DO UPDATE SET stays = 1";
        self.conn.prepare_cached(sql)?.execute([node.0, folder.0, Presence::Absent.code()])?;
        Ok(())
    }

    /// The next directory of a watched folder of which a person said that what is in it stays.
    pub fn next_that_stays(&self, folder: FolderId) -> Result<Option<NodeId>> {
        let sql = "SELECT node FROM sweep WHERE folder = ?1 AND stays = 1 LIMIT 1";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0)).optional()?.map(NodeId))
    }

    /// A folder's children were told, or are not to be told any more. Whether they were to be told.
    pub fn swept(&mut self, node: NodeId) -> Result<bool> {
        Ok(self.conn.prepare_cached("DELETE FROM sweep WHERE node = ?1")?.execute([node.0])? > 0)
    }

    /// Whether a folder has anything to sweep.
    pub fn sweep_left(&self, folder: FolderId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sweep WHERE folder = ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([folder.0], |row| row.get(0))?)
    }
}
