//! The figures of a database, and of the agent that runs over it.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Result, Running};
use crate::daemon::figures::{Figures, FolderFigures, LiveFigures};
use crate::daemon::wall_now;
use crate::report::Reports;

impl Running {
    /// Everything that the figures are made of, now.
    pub(super) fn figures(&self) -> Result<Figures> {
        let status = self.status()?;
        let rows = self.read(|rows| rows.folders())?;
        let mut folders = BTreeMap::new();
        for row in &rows {
            let figures = self.read(|rows| {
                let oldest_unapplied = rows.oldest_unapplied(row.folder)?;
                Ok(FolderFigures { oldest_unapplied, conflicts: rows.open_conflicts(row.folder)? })
            })?;
            folders.insert(row.name.clone().unwrap_or_default(), figures);
        }
        let live = self.alive.as_ref().map(|alive| {
            let meters = alive.shared.meters();
            let mut visible = meters.visible();
            let named = rows.iter().filter_map(|row| Some((row.name.clone()?, visible.remove(&row.folder)?)));
            let answers = status.accounts.iter().map(|account| {
                let answers = alive.counters.of(&account.name).answers();
                (account.name.clone(), answers)
            });
            LiveFigures {
                started: meters.started(),
                answers: answers.collect(),
                visible: named.collect(),
                hooks: meters.hooks(),
                commits: meters.commits(),
                longest_step: meters.longest_step(),
                store_failures: meters.store_failures(),
            }
        });
        let bytes = |path: &Path| std::fs::metadata(path).map(|file| file.len()).ok();
        let mut log = self.database.clone().into_os_string();
        log.push("-wal");
        Ok(Figures {
            now: wall_now(),
            folders,
            deliveries: self.read(|rows| rows.untold_deliveries())?,
            starts: self.read(|rows| rows.starts())?,
            store_bytes: bytes(&self.database),
            // Without a log nothing is written.
            wal_bytes: bytes(Path::new(&log)).unwrap_or(0),
            status,
            live,
        })
    }
}
