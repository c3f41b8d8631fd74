//! Moves committed pages out of the write-ahead log, on a connection of its own, so that no commit waits for it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::store::Reader;

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// From this size on the log is moved into the database without making anybody wait.
const PASSIVE_FROM_BYTES: u64 = 4 << 20;
/// From this size on it is also emptied, which may make the writer wait a moment.
const EMPTY_FROM_BYTES: u64 = 64 << 20;
/// A log to which nothing was written for this many looks is emptied: the agent is idle.
const IDLE_LOOKS: u32 = 6;

/// What is done about the log after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    Nothing,
    Move,
    Empty,
}

/// The log as a look finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Log {
    size: u64,
    /// When it was last written to. A writer that begins again at the front of a log that was moved does not change its size.
    written: Option<SystemTime>,
}

/// When the log is moved and emptied, by how it is at one look after the other.
#[derive(Debug, Default)]
struct Policy {
    before: Option<Log>,
    still: u32,
}

impl Policy {
    fn look(&mut self, log: Log) -> Care {
        self.still = if Some(log) == self.before { self.still + 1 } else { 0 };
        self.before = Some(log);
        let size = log.size;
        if size >= EMPTY_FROM_BYTES || (size > 0 && self.still >= IDLE_LOOKS) {
            Care::Empty
        } else if size >= PASSIVE_FROM_BYTES {
            Care::Move
        } else {
            Care::Nothing
        }
    }

    /// Somebody was in the way of emptying it: that is tried again, and not at every look.
    fn refused(&mut self) {
        self.still = 0;
    }
}

/// Starts the task; it ends with `stop`.
pub fn start(database: PathBuf, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        let mut policy = Policy::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let Ok(found) = std::fs::metadata(&log) else { continue };
            let all = match policy.look(Log { size: found.len(), written: found.modified().ok() }) {
                Care::Nothing => continue,
                Care::Move => false,
                Care::Empty => true,
            };
            let database = database.clone();
            let moved = tokio::task::spawn_blocking(move || Reader::open(&database)?.checkpoint(all)).await;
            match moved {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => policy.refused(),
                Ok(Err(error)) => {
                    policy.refused();
                    tracing::debug!(%error, "the log is emptied later");
                }
                Err(error) => tracing::debug!(%error, "the log is emptied later"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_log_that_somebody_kept_from_being_emptied_is_emptied_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let log = dir.path().join("state.db-wal");
        let found = || std::fs::metadata(&log).unwrap();
        let size = || found().len();
        let mut store = Store::open(&path).unwrap();
        store.begin().unwrap();
        store.set_generation(7).unwrap();
        store.commit().unwrap();
        let mut policy = Policy::default();
        let mut look = || {
            let cares: Vec<Care> = (0..=IDLE_LOOKS + 1)
                .map(|_| policy.look(Log { size: size(), written: found().modified().ok() }))
                .collect();
            assert_eq!(cares[cares.len() - 1], Care::Empty, "{cares:?}");
            let emptied = Reader::open(&path).unwrap().checkpoint(true).unwrap();
            if !emptied {
                policy.refused();
            }
            emptied
        };
        // Somebody is in the middle of reading what an earlier commit left.
        let reading = rusqlite::Connection::open(&path).unwrap();
        reading.execute_batch("BEGIN; SELECT * FROM fact").unwrap();
        store.begin().unwrap();
        store.set_generation(8).unwrap();
        store.commit().unwrap();
        assert!(!look());
        assert!(size() > 0);
        drop(reading);
        assert!(look());
        assert_eq!(size(), 0);
    }

    fn written(size: u64, at_s: u64) -> Log {
        Log { size, written: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at_s)) }
    }

    #[test]
    fn a_log_is_moved_when_it_grows_and_emptied_when_it_rests() {
        let mut policy = Policy::default();
        let sizes = [0, 1, 5 << 20, 6 << 20, 65 << 20, 0, 0, 0, 0, 0, 0, 0, 0];
        let cares: Vec<Care> = sizes.map(|size| policy.look(written(size, size))).into();
        assert_eq!(cares[..6], [Care::Nothing, Care::Nothing, Care::Move, Care::Move, Care::Empty, Care::Nothing]);
        assert!(cares[6..].iter().all(|care| *care == Care::Nothing), "an empty one is left alone: {cares:?}");
        let rests: Vec<Care> = (0..=IDLE_LOOKS).map(|_| policy.look(written(1, 1))).collect();
        assert_eq!(rests.iter().position(|care| *care == Care::Empty), Some(IDLE_LOOKS as usize), "{rests:?}");
    }

    #[test]
    fn a_log_that_is_written_to_from_its_front_again_is_not_emptied() {
        let mut policy = Policy::default();
        let cares: Vec<Care> = (0..100).map(|at| policy.look(written(5 << 20, at))).collect();
        assert!(cares.iter().all(|care| *care == Care::Move), "the writer would wait: {cares:?}");
    }
}
