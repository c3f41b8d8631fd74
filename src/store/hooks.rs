//! What hooks leave in the database: deliveries, runs and remembered verdicts.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use super::query::Rows;
use super::{Result, Store};
use crate::hook::{Outcome, Verdict, When};
use crate::id::Sha256;
use crate::report::{HookRunQuery, HookRunRow, MAX_ROWS};
use crate::tree::Wall;

/// How long runs and told deliveries are kept.
const KEPT_MS: i64 = 90 * 24 * 3_600 * 1_000;
/// How long the longest-remembered verdict is kept.
const VERDICTS_KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// Runs shown if nobody says how many.
const RUNS_SHOWN: u32 = 50;
/// Runs shown of one path.
const WORDS_SHOWN: u32 = 20;

/// A delivery to be written down.
#[derive(Debug)]
pub struct NewDelivery<'a> {
    /// The idempotency key.
    pub key: &'a str,
    /// The hook.
    pub hook: &'a str,
    /// What keeps its order.
    pub chain: &'a str,
    /// The kind of event.
    pub event: &'a str,
    /// The folder's name.
    pub folder: Option<&'a str>,
    /// The path, for people.
    pub path: Option<&'a str>,
    /// The local path inside the folder.
    pub raw_path: Option<&'a [u8]>,
    /// Where the content is.
    pub file: Option<&'a [u8]>,
    /// The document.
    pub document: &'a str,
    /// How many hooks led here.
    pub depth: u32,
    /// When it happened.
    pub at: Wall,
    /// Why it is dead from the start, if it is.
    pub dead: Option<&'a str>,
}

/// A delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its number.
    pub delivery: i64,
    /// The document, JSON.
    pub document: String,
    /// The local path inside the folder.
    pub raw_path: Option<Vec<u8>>,
    /// Where the content is.
    pub file: Option<Vec<u8>>,
    /// Attempts so far.
    pub attempts: u32,
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        delivery: row.get(0)?,
        document: row.get(1)?,
        raw_path: row.get(2)?,
        file: row.get(3)?,
        attempts: row.get(4)?,
    })
}

/// A run to be written down.
#[derive(Debug)]
pub struct NewRun<'a> {
    /// The delivery, of an `after` hook.
    pub delivery: Option<i64>,
    /// The hook.
    pub hook: &'a str,
    /// Before or after.
    pub when: When,
    /// The kind of event.
    pub event: &'a str,
    /// The folder's name.
    pub folder: Option<&'a str>,
    /// The path.
    pub path: Option<&'a str>,
    /// The item.
    pub item: Option<&'a str>,
    /// The content.
    pub sha256: Option<Sha256>,
    /// Which attempt.
    pub attempt: u32,
    /// How many hooks led here.
    pub depth: u32,
    /// When it ended.
    pub at: Wall,
    /// What it came to.
    pub outcome: &'a Outcome,
    /// What followed.
    pub effect: &'a str,
}

impl Store {
    /// Writes a delivery down, in the transaction of what it tells.
    pub fn add_delivery(&mut self, new: &NewDelivery<'_>) -> Result<()> {
        let sql = "INSERT INTO delivery (key, hook, chain, event, folder, path, raw_path, file, document, depth, at, due, state, why)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13)";
        self.conn.prepare_cached(sql)?.execute(params![
            new.key,
            new.hook,
            new.chain,
            new.event,
            new.folder,
            new.path,
            new.raw_path,
            new.file,
            new.document,
            new.depth,
            new.at.0,
            if new.dead.is_some() { 2 } else { 0 },
            new.dead,
        ])?;
        Ok(())
    }

    /// Deliveries of a hook that can be told now, oldest first. One that waits for an earlier one of its chain cannot.
    pub fn due_deliveries(&self, hook: &str, now: Wall, limit: u32) -> Result<Vec<DeliveryRow>> {
        let sql = "SELECT delivery, document, raw_path, file, attempts FROM delivery d
                   WHERE hook = ?1 AND state = 0 AND due <= ?2
                     AND NOT EXISTS (SELECT 1 FROM delivery e WHERE e.hook = d.hook AND e.chain = d.chain AND e.state = 0
                                     AND e.delivery < d.delivery)
                   ORDER BY due, delivery LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![hook, now.0, limit], read_delivery)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One delivery.
    pub fn delivery(&self, delivery: i64) -> Result<Option<DeliveryRow>> {
        let sql = "SELECT delivery, document, raw_path, file, attempts FROM delivery WHERE delivery = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([delivery], read_delivery).optional()?)
    }

    /// The earliest moment after now at which a delivery of a hook is due.
    pub fn next_delivery_due(&self, hook: &str, now: Wall) -> Result<Option<Wall>> {
        let sql = "SELECT min(due) FROM delivery WHERE hook = ?1 AND state = 0 AND due > ?2";
        let due: Option<i64> = self.conn.prepare_cached(sql)?.query_row(params![hook, now.0], |row| row.get(0))?;
        Ok(due.map(Wall))
    }

    /// Whether anything is to be told now, or is due within a second or so of now.
    pub fn deliveries_left(&self, now: Wall) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM delivery WHERE state = 0 AND due <= ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([now.0], |row| row.get(0))?)
    }

    /// A delivery was told.
    pub fn delivered(&mut self, delivery: i64) -> Result<()> {
        let sql = "UPDATE delivery SET state = 1, attempts = attempts + 1, why = NULL WHERE delivery = ?1";
        self.conn.prepare_cached(sql)?.execute([delivery])?;
        Ok(())
    }

    /// A delivery is tried again later.
    pub fn put_off_delivery(&mut self, delivery: i64, due: Wall, why: &str) -> Result<()> {
        let sql = "UPDATE delivery SET due = ?2, attempts = attempts + 1, why = ?3 WHERE delivery = ?1";
        self.conn.prepare_cached(sql)?.execute(params![delivery, due.0, why])?;
        Ok(())
    }

    /// A delivery is given up; `agent replay` brings it back.
    pub fn bury_delivery(&mut self, delivery: i64, why: &str) -> Result<()> {
        let sql = "UPDATE delivery SET state = 2, attempts = attempts + 1, why = ?2 WHERE delivery = ?1";
        self.conn.prepare_cached(sql)?.execute(params![delivery, why])?;
        Ok(())
    }

    /// Gives up what is to be told to hooks that are no more.
    pub fn bury_orphans(&mut self, hooks: &[&str]) -> Result<()> {
        let known = serde_json::to_string(hooks).unwrap_or_default();
        let sql = "UPDATE delivery SET state = 2, why = 'the hook was removed'
                   WHERE state = 0 AND hook NOT IN (SELECT value FROM json_each(?1))";
        self.conn.prepare_cached(sql)?.execute([known])?;
        Ok(())
    }

    /// Tells again: the delivery of a run, or all dead ones (of one hook); how many. The idempotency key stays.
    pub fn replay(&mut self, run: Option<i64>, hook: Option<&str>, now: Wall) -> Result<usize> {
        let changed = match run {
            Some(run) => self.conn.execute(
                "UPDATE delivery SET state = 0, due = ?2, attempts = 0, why = NULL
                 WHERE delivery = (SELECT delivery FROM hook_run WHERE run = ?1)",
                params![run, now.0],
            )?,
            None => self.conn.execute(
                "UPDATE delivery SET state = 0, due = ?2, attempts = 0, why = NULL WHERE state = 2 AND (?1 IS NULL OR hook = ?1)",
                params![hook, now.0],
            )?,
        };
        Ok(changed)
    }

    /// Writes a run down.
    pub fn add_run(&mut self, run: &NewRun<'_>) -> Result<()> {
        let sql = "INSERT INTO hook_run (delivery, hook, stage, event, folder, path, item, sha256, attempt, depth, at, took, verdict,
                                         exit_code, signal, status, reason, output, output_cut, effect, headers)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";
        let outcome = run.outcome;
        self.conn.prepare_cached(sql)?.execute(params![
            run.delivery,
            run.hook,
            run.when.word(),
            run.event,
            run.folder,
            run.path,
            run.item,
            run.sha256.map(|sha256| sha256.0.to_vec()),
            run.attempt,
            run.depth,
            run.at.0,
            outcome.took.as_millis() as i64,
            outcome.verdict.word(),
            outcome.exit_code,
            outcome.signal,
            outcome.status,
            outcome.reason,
            outcome.output,
            outcome.output_cut,
            run.effect,
            Some(&outcome.headers).filter(|headers| !headers.is_empty()),
        ])?;
        Ok(())
    }

    /// The remembered verdict on a content: what, why, and when.
    pub fn verdict(&self, sha256: Sha256, basis: &str) -> Result<Option<(Verdict, Option<String>, Wall)>> {
        let sql = "SELECT verdict, reason, at FROM verdict WHERE sha256 = ?1 AND basis = ?2";
        let read = |row: &Row<'_>| {
            let word: String = row.get(0)?;
            Ok((Verdict::parse(&word), row.get(1)?, Wall(row.get(2)?)))
        };
        let found = self.conn.prepare_cached(sql)?.query_row(params![sha256.0.to_vec(), basis], read).optional()?;
        Ok(found.and_then(|(verdict, reason, at)| Some((verdict?, reason, at))))
    }

    /// Remembers a verdict.
    pub fn remember(&mut self, sha256: Sha256, basis: &str, outcome: &Outcome, now: Wall) -> Result<()> {
        let sql = "INSERT INTO verdict (sha256, basis, verdict, reason, at) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (sha256, basis) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason, at = excluded.at";
        let reason = said(outcome);
        self.conn.prepare_cached(sql)?.execute(params![
            sha256.0.to_vec(),
            basis,
            outcome.verdict.word(),
            reason,
            now.0
        ])?;
        Ok(())
    }

    /// Forgets every verdict: everything is asked about again.
    pub fn forget_all_verdicts(&mut self) -> Result<()> {
        self.conn.execute("DELETE FROM verdict", [])?;
        Ok(())
    }

    /// Forgets every verdict on a content.
    pub fn forget_verdicts(&mut self, sha256: Sha256) -> Result<()> {
        self.conn.execute("DELETE FROM verdict WHERE sha256 = ?1", [sha256.0.to_vec()])?;
        Ok(())
    }

    /// Drops what is too old. Dead letters stay as long as runs do.
    pub fn prune_hooks(&mut self, now: Wall, limit: u32) -> Result<()> {
        let old = now.plus_ms(-KEPT_MS).0;
        let sqls = [
            "DELETE FROM hook_run WHERE run IN (SELECT run FROM hook_run WHERE at < ?1 ORDER BY at LIMIT ?2)",
            "DELETE FROM delivery WHERE delivery IN (SELECT delivery FROM delivery WHERE at < ?1 AND state <> 0 ORDER BY at LIMIT ?2)",
        ];
        for sql in sqls {
            self.conn.prepare_cached(sql)?.execute(params![old, limit])?;
        }
        self.conn
            .prepare_cached("DELETE FROM own_event WHERE journal < (SELECT min(journal) FROM event)")?
            .execute([])?;
        self.conn.prepare_cached("DELETE FROM verdict WHERE at < ?1")?.execute([now.plus_ms(-VERDICTS_KEPT_MS).0])?;
        Ok(())
    }
}

/// What a run says for itself, in one line: the last line of its output, else the reason.
pub fn said(outcome: &Outcome) -> Option<String> {
    let line = outcome.output.lines().rev().find(|line| !line.trim().is_empty());
    line.map(|line| line.chars().take(SAID_MAX_CHARS).collect()).or_else(|| outcome.reason.clone())
}

const SAID_MAX_CHARS: usize = 300;
/// Failures in a row that are counted.
const IN_A_ROW_MOST: u32 = 1_000;
/// A day.
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// How a hook did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookRecord {
    /// When its last run ended, its verdict, and what followed.
    pub last: Option<(Wall, String, String)>,
    /// Runs of the last day.
    pub runs: u64,
    /// Those that failed or took too long.
    pub failures: u64,
    /// Those that rejected.
    pub rejected: u64,
    /// Failures since the last run that worked.
    pub in_a_row: u64,
}

impl Rows<'_> {
    /// The history of hooks, newest last.
    pub fn hook_runs(self, query: &HookRunQuery) -> Result<Vec<HookRunRow>> {
        let sql = "SELECT run, r.hook, stage, r.event, r.folder, r.path, r.sha256, attempt, r.at, took, verdict, exit_code, signal,
                          status, reason, output, output_cut, effect, d.key, r.depth, r.headers
                   FROM hook_run r LEFT JOIN delivery d ON d.delivery = r.delivery
                   WHERE (?1 IS NULL OR r.hook = ?1) AND (NOT ?2 OR verdict <> 'allow') AND (?3 IS NULL OR r.folder = ?3)
                     AND (?4 IS NULL OR run = ?4)
                   ORDER BY run DESC LIMIT ?5";
        let limit = query.limit.unwrap_or(RUNS_SHOWN).min(MAX_ROWS);
        let mut statement = self.conn().prepare_cached(sql)?;
        let rows = statement.query_map(params![query.hook, query.failed, query.folder, query.run, limit], |row| {
            Ok(HookRunRow {
                run: row.get(0)?,
                hook: row.get(1)?,
                when: row.get(2)?,
                event: row.get(3)?,
                folder: row.get(4)?,
                path: row.get(5)?,
                sha256: sha256(row, 6)?.map(|sha256| sha256.to_string()),
                attempt: row.get(7)?,
                at: Wall(row.get(8)?),
                took_ms: row.get(9)?,
                verdict: row.get(10)?,
                exit_code: row.get(11)?,
                signal: row.get(12)?,
                status: row.get(13)?,
                reason: row.get(14)?,
                output: row.get(15)?,
                output_cut: row.get(16)?,
                effect: row.get(17)?,
                delivery: row.get(18)?,
                depth: row.get(19)?,
                headers: row.get(20)?,
            })
        })?;
        let mut rows: Vec<HookRunRow> = rows.collect::<rusqlite::Result<_>>()?;
        rows.reverse();
        Ok(rows)
    }

    /// What hooks said of a path of a folder, newest first, as sentences.
    pub fn hook_words(self, folder: &str, path: &str) -> Result<Vec<String>> {
        let sql = "SELECT at, hook, event, verdict, effect, reason FROM hook_run WHERE folder = ?1 AND path = ?2
                   ORDER BY run DESC LIMIT ?3";
        let mut statement = self.conn().prepare_cached(sql)?;
        let rows = statement.query_map(params![folder, path, WORDS_SHOWN], |row| {
            let at: i64 = row.get(0)?;
            let at = jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.to_string());
            let (hook, event): (String, String) = (row.get(1)?, row.get(2)?);
            let (verdict, effect): (String, String) = (row.get(3)?, row.get(4)?);
            let reason = row.get::<_, Option<String>>(5)?.map(|reason| format!(": {reason}")).unwrap_or_default();
            Ok(format!("{at}: `{hook}` on {event}: {verdict}, {effect}{reason}"))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How a hook did: its last run, runs and failures of the last day, and failures in a row until now.
    pub fn hook_record(self, hook: &str, now: Wall) -> Result<HookRecord> {
        let sql = "SELECT at, verdict, effect FROM hook_run WHERE hook = ?1 ORDER BY at DESC, run DESC LIMIT ?2";
        let mut statement = self.conn().prepare_cached(sql)?;
        let newest: Vec<(Wall, String, String)> = statement
            .query_map(params![hook, IN_A_ROW_MOST], |row| Ok((Wall(row.get(0)?), row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let failed = |verdict: &str| ["error", "timed_out"].contains(&verdict);
        let in_a_row = newest.iter().take_while(|(_, verdict, _)| failed(verdict)).count() as u64;
        let last = newest.into_iter().next();
        let sql = "SELECT count(*), count(*) FILTER (WHERE verdict IN ('error', 'timed_out')),
                          count(*) FILTER (WHERE verdict = 'reject')
                   FROM hook_run WHERE hook = ?1 AND at > ?2";
        let day = now.plus_ms(-DAY_MS).0;
        let (runs, failures, rejected) = self
            .conn()
            .prepare_cached(sql)?
            .query_row(params![hook, day], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(HookRecord { last, runs, failures, rejected, in_a_row })
    }

    /// Deliveries of a hook: to be told, dead.
    pub fn deliveries_of(self, hook: &str) -> Result<(u64, u64)> {
        let sql = "SELECT (SELECT count(*) FROM delivery WHERE hook = ?1 AND state = 0),
                          (SELECT count(*) FROM delivery WHERE hook = ?1 AND state = 2)";
        Ok(self.conn().prepare_cached(sql)?.query_row([hook], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }
}

pub(super) fn sha256(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Sha256>> {
    let Some(bytes) = row.get::<_, Option<Vec<u8>>>(column)? else { return Ok(None) };
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, "a digest of the wrong length".into())
    })?;
    Ok(Some(Sha256(bytes)))
}
