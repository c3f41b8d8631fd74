//! Versions that were rejected: which they are, why, and what people decided.

use rusqlite::{OptionalExtension, Row, params};

use super::hooks::sha256;
use super::items::packed;
use super::lately::Sparse;
use super::query::Rows;
use super::{Result, Store, StoreError};
use crate::id::{FolderId, ItemId, Sha256, VersionId};
use crate::report::{MAX_ROWS, QuarantineReport};
use crate::tree::Wall;

/// How long the content of a released version is kept.
const RELEASED_KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// What has become of a rejected version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On its way into quarantine.
    Moving,
    /// In quarantine.
    Held,
    /// A person let it go.
    Released,
    /// A person deleted it.
    Deleted,
    /// Its time was over.
    Expired,
}

impl State {
    /// The word of the database and of reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Moving => "moving",
            Self::Held => "held",
            Self::Released => "released",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
        }
    }

    fn parse(word: &str) -> Self {
        [Self::Moving, Self::Released, Self::Deleted, Self::Expired]
            .into_iter()
            .find(|state| state.word() == word)
            .unwrap_or(Self::Held)
    }
}

/// One rejected version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Its number.
    pub id: i64,
    /// The folder.
    pub folder: FolderId,
    /// The item.
    pub item: String,
    /// The version.
    pub version: VersionId,
    /// Where it would have appeared.
    pub path: String,
    /// Its content.
    pub sha256: Option<Sha256>,
    /// Its length in bytes.
    pub size: u64,
    /// The hook that rejected it.
    pub hook: String,
    /// Why.
    pub reason: String,
    /// What became of it.
    pub state: State,
}

impl QuarantineRow {
    /// Whether the version is not to be in its folder: it arrived in quarantine, and nobody let it go.
    pub fn is_away(&self) -> bool {
        !matches!(self.state, State::Moving | State::Released)
    }
}

/// A rejected version to be written down.
#[derive(Debug)]
pub struct NewQuarantine<'a> {
    /// The folder.
    pub folder: FolderId,
    /// Its name.
    pub folder_name: &'a str,
    /// The item.
    pub item: &'a ItemId,
    /// The version.
    pub version: &'a VersionId,
    /// Where it would have appeared.
    pub path: &'a str,
    /// Its content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// The hook that rejected it.
    pub hook: &'a str,
    /// The verdict's word.
    pub verdict: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Now.
    pub at: Wall,
    /// When it goes by itself.
    pub expires: Option<Wall>,
    /// Since when it was in the folder, if it was.
    pub since: Option<Wall>,
    /// Who had brought it, as far as the cloud says.
    pub actor: Option<&'a str>,
    /// Which hooks had been told of it.
    pub reached: Option<&'a str>,
}

/// What became of a version before it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Since when it is on disk.
    pub since: Option<Wall>,
    /// Who brought it.
    pub actor: Option<String>,
    /// The hooks that were told of it.
    pub told: Vec<String>,
}

/// What is to be done with the cloud's copy of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposal {
    /// The number in quarantine.
    pub number: i64,
    /// The folder.
    pub folder: FolderId,
    /// The item.
    pub item: String,
    /// The version.
    pub version: VersionId,
    /// What, as the configuration writes it.
    pub how: String,
    /// How often it was tried.
    pub tries: u32,
}

const COLUMNS: &str = "quarantine, folder, item, version, path, sha256, size, hook, reason, state";

fn read(row: &Row<'_>) -> rusqlite::Result<QuarantineRow> {
    Ok(QuarantineRow {
        id: row.get(0)?,
        folder: FolderId(row.get(1)?),
        item: row.get(2)?,
        version: VersionId::new(row.get::<_, String>(3)?),
        path: row.get(4)?,
        sha256: sha256(row, 5)?,
        size: row.get(6)?,
        hook: row.get(7)?,
        reason: row.get(8)?,
        state: State::parse(&row.get::<_, String>(9)?),
    })
}

impl Store {
    /// Writes a rejected version down, before its content is moved.
    pub fn add_quarantine(&mut self, new: &NewQuarantine<'_>) -> Result<i64> {
        let sql = "INSERT INTO quarantine (folder, folder_name, item, version, path, sha256, size, hook, verdict, reason, at, state, expires,
                                           since, actor, reached)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'moving', ?12, ?13, ?14, ?15)
                   ON CONFLICT (folder, item, version) DO UPDATE SET
                       path = excluded.path, sha256 = excluded.sha256, size = excluded.size, hook = excluded.hook,
                       verdict = excluded.verdict, reason = excluded.reason, at = excluded.at, state = 'moving',
                       decided = NULL, why = NULL, disposal = NULL, expires = excluded.expires, since = excluded.since, actor = excluded.actor,
                       reached = excluded.reached
                   RETURNING quarantine";
        let id = self.conn.prepare_cached(sql)?.query_row(
            params![
                new.folder.0,
                new.folder_name,
                new.item.to_string(),
                new.version.as_str(),
                new.path,
                new.sha256.0.to_vec(),
                new.size,
                new.hook,
                new.verdict,
                new.reason,
                new.at.0,
                new.expires.map(|expires| expires.0),
                new.since.map(|since| since.0),
                new.actor,
                new.reached,
            ],
            |row| row.get(0),
        )?;
        Ok(id)
    }

    /// One rejected version, by its number.
    pub fn quarantined(&self, id: i64) -> Result<Option<QuarantineRow>> {
        let sql = format!("SELECT {COLUMNS} FROM quarantine WHERE quarantine = ?1");
        Ok(self.conn.prepare_cached(&sql)?.query_row([id], read).optional()?)
    }

    /// What is known of a version.
    pub fn quarantined_version(
        &self,
        folder: FolderId,
        item: &ItemId,
        version: &VersionId,
    ) -> Result<Option<QuarantineRow>> {
        if !self.lately.has_rows(&self.conn, Sparse::Quarantine)? {
            return Ok(None);
        }
        let sql = format!("SELECT {COLUMNS} FROM quarantine WHERE folder = ?1 AND item = ?2 AND version = ?3");
        let params = params![folder.0, item.to_string(), version.as_str()];
        Ok(self.conn.prepare_cached(&sql)?.query_row(params, read).optional()?)
    }

    /// Items of a folder that are kept out of it, as a hook rejected a version of theirs: one more than `most`, if there are more.
    pub fn rejected_items(&self, folder: FolderId, most: u32) -> Result<Vec<ItemId>> {
        if !self.lately.has_rows(&self.conn, Sparse::Quarantine)? {
            return Ok(Vec::new());
        }
        let sql =
            "SELECT DISTINCT item FROM quarantine WHERE folder = ?1 AND state NOT IN ('moving', 'released') LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![folder.0, most.saturating_add(1)], |row| row.get::<_, String>(0))?;
        let texts: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
        texts.iter().map(|text| text.parse().map_err(StoreError::damaged)).collect()
    }

    /// The newest rejection of a content in a folder that still holds.
    pub fn quarantined_content(&self, folder: FolderId, sha256: Sha256) -> Result<Option<QuarantineRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM quarantine WHERE sha256 = ?2 AND folder = ?1 AND state <> 'released'
             ORDER BY quarantine DESC LIMIT 1"
        );
        Ok(self.conn.prepare_cached(&sql)?.query_row(params![folder.0, sha256.0.to_vec()], read).optional()?)
    }

    /// Since when a version is on disk, who brought it, and which hooks were told of it.
    pub fn history_of(&self, folder: FolderId, folder_name: &str, path: &str, item: &ItemId) -> Result<History> {
        let sql = "SELECT node FROM item WHERE folder = ?1 AND id = ?2";
        let node: Option<i64> = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![folder.0, packed::id(item)], |row| row.get(0))
            .optional()?;
        let since = self.content_since(folder, node, path)?;
        let sql = "SELECT actor FROM event WHERE node = ?1 AND actor IS NOT NULL ORDER BY journal DESC LIMIT 1";
        let actor = self.conn.prepare_cached(sql)?.query_row([node], |row| row.get(0)).optional()?;
        let sql = "SELECT DISTINCT hook FROM delivery WHERE state = 1 AND folder = ?1 AND path = ?2 AND at >= ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let told = statement
            .query_map(params![folder_name, path, since.map_or(0, |since| since.0)], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(History { since, actor, told })
    }

    /// What became of a rejected version, and why.
    pub fn decide_quarantined(&mut self, id: i64, state: State, why: Option<&str>, now: Wall) -> Result<()> {
        let sql = "UPDATE quarantine SET state = ?2, why = coalesce(?3, why), decided = ?4 WHERE quarantine = ?1";
        self.conn.execute(sql, params![id, state.word(), why, now.0])?;
        Ok(())
    }

    /// Forgets a rejected version: it is fetched and examined anew.
    pub fn forget_quarantined(&mut self, id: i64) -> Result<()> {
        self.conn.execute("DELETE FROM quarantine WHERE quarantine = ?1", [id])?;
        Ok(())
    }

    /// Forgets what never arrived in quarantine: it is fetched and examined anew.
    pub fn forget_half_quarantined(&mut self) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM quarantine WHERE state = 'moving'")?.execute([])?;
        Ok(())
    }

    /// The numbers of what lies in quarantine.
    pub fn quarantine_contents(&self) -> Result<Vec<i64>> {
        let sql = "SELECT quarantine FROM quarantine
                   WHERE state IN ('held', 'moving') OR (state = 'released' AND expires IS NOT NULL)";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A person lets a version go. Its content stays for a while, until the version is surely published.
    pub fn release_quarantined(&mut self, id: i64, why: &str, now: Wall) -> Result<()> {
        self.decide_quarantined(id, State::Released, Some(why), now)?;
        let sql = "UPDATE quarantine SET expires = ?2, disposal = NULL WHERE quarantine = ?1";
        self.conn.execute(sql, params![id, now.plus_ms(RELEASED_KEPT_MS).0])?;
        Ok(())
    }

    /// Something is to be done with the cloud's copy of a version.
    pub fn want_disposed(&mut self, id: i64, how: &str) -> Result<()> {
        let sql = "UPDATE quarantine SET disposal = ?2, disposal_due = 0, disposal_tries = 0 WHERE quarantine = ?1";
        self.conn.prepare_cached(sql)?.execute(params![id, how])?;
        Ok(())
    }

    /// Nothing is to be done with the cloud's copy of a version any more.
    pub fn disposed_of(&mut self, id: i64) -> Result<()> {
        let sql = "UPDATE quarantine SET disposal = NULL WHERE quarantine = ?1";
        self.conn.prepare_cached(sql)?.execute([id])?;
        Ok(())
    }

    /// What is due of that.
    pub fn due_disposals(&self, now: Wall, limit: usize) -> Result<Vec<Disposal>> {
        let sql = "SELECT quarantine, folder, item, version, disposal, disposal_tries FROM quarantine
                   WHERE disposal IS NOT NULL AND disposal_due <= ?1 ORDER BY disposal_due LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![now.0, limit], |row| {
            Ok(Disposal {
                number: row.get(0)?,
                folder: FolderId(row.get(1)?),
                item: row.get(2)?,
                version: VersionId::new(row.get::<_, String>(3)?),
                how: row.get(4)?,
                tries: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// When the next is due.
    pub fn next_disposal(&self) -> Result<Option<Wall>> {
        let sql = "SELECT min(disposal_due) FROM quarantine WHERE disposal IS NOT NULL";
        let at: Option<i64> = self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(at.map(Wall))
    }

    /// It is being tried, or cannot be now: it is due again at a moment, whatever becomes of this try.
    pub fn put_off_disposal(&mut self, id: i64, until: Wall, is_try: bool) -> Result<()> {
        let sql = "UPDATE quarantine SET disposal_due = ?2, disposal_tries = disposal_tries + ?3 WHERE quarantine = ?1";
        self.conn.prepare_cached(sql)?.execute(params![id, until.0, is_try])?;
        Ok(())
    }

    /// What was being tried when the agent ended is due now.
    pub fn disposals_are_due(&mut self) -> Result<()> {
        self.conn.prepare_cached("UPDATE quarantine SET disposal_due = 0 WHERE disposal IS NOT NULL")?.execute([])?;
        Ok(())
    }

    /// The time of these is over.
    pub fn expire_quarantined(&mut self, ids: &[i64], now: Wall) -> Result<()> {
        for id in ids {
            let sql = "UPDATE quarantine SET expires = NULL, decided = ?2, state = CASE state WHEN 'held' THEN 'expired' ELSE state END
                       WHERE quarantine = ?1";
            self.conn.prepare_cached(sql)?.execute(params![id, now.0])?;
        }
        Ok(())
    }

    /// Those whose time is over.
    pub fn expired_quarantine(&self, now: Wall) -> Result<Vec<i64>> {
        let sql = "SELECT quarantine FROM quarantine WHERE state IN ('held', 'released') AND expires <= ?1 LIMIT 100";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([now.0], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Rows<'_> {
    /// Why a version, or a content, may not come into a folder: the hook that rejected it, and its reason.
    pub fn rejection(
        self,
        folder: FolderId,
        item: &ItemId,
        version: &str,
        sha256: Sha256,
    ) -> Result<Option<(String, String)>> {
        let sql = "SELECT hook, reason FROM quarantine WHERE folder = ?1 AND state <> 'released'
                   AND (item = ?2 AND version = ?3 OR sha256 = ?4) ORDER BY quarantine DESC LIMIT 1";
        let params = params![folder.0, item.to_string(), version, sha256.0.to_vec()];
        let found = self.conn().prepare_cached(sql)?.query_row(params, |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(found.optional()?)
    }

    /// Rejected versions, the newest last; with `all` also those that somebody decided about.
    pub fn quarantine(self, id: Option<i64>, all: bool) -> Result<Vec<QuarantineReport>> {
        let sql = "SELECT quarantine, folder_name, path, item, version, sha256, size, hook, verdict, reason, at, state, decided, why, expires,
                          since, actor, reached, disposal
                   FROM quarantine WHERE (?1 IS NULL OR quarantine = ?1) AND (?2 OR state IN ('held', 'moving'))
                   ORDER BY quarantine LIMIT ?3";
        let mut statement = self.conn().prepare_cached(sql)?;
        let rows = statement.query_map(params![id, all, MAX_ROWS], |row| {
            Ok(QuarantineReport {
                id: row.get(0)?,
                folder: row.get(1)?,
                path: row.get(2)?,
                item: row.get(3)?,
                version: row.get(4)?,
                sha256: sha256(row, 5)?.map(|sha256| sha256.to_string()).unwrap_or_default(),
                size: row.get(6)?,
                hook: row.get(7)?,
                verdict: row.get(8)?,
                reason: row.get(9)?,
                at: Wall(row.get(10)?),
                state: row.get(11)?,
                decided: row.get::<_, Option<i64>>(12)?.map(Wall),
                why: row.get(13)?,
                expires: row.get::<_, Option<i64>>(14)?.map(Wall),
                since: row.get::<_, Option<i64>>(15)?.map(Wall),
                actor: row.get(16)?,
                reached: row.get(17)?,
                cloud_copy: row.get(18)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
