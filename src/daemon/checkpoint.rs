//! Moves committed pages out of the write-ahead log, on a connection of its own, so that no commit waits for it.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::store::Reader;

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// From this size on the log is moved into the database without making anybody wait.
const PASSIVE_FROM_BYTES: u64 = 4 << 20;
/// From this size on it is also emptied, which may make the writer wait a moment.
const EMPTY_FROM_BYTES: u64 = 64 << 20;
/// A log that did not grow for this many looks is emptied: the agent is idle, or writes so little that what it wrote before is what
/// takes the room.
const IDLE_LOOKS: u32 = 6;

/// What is done about the log after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    Nothing,
    Move,
    Empty,
}

/// When the log is moved and emptied, by its size at one look after the other.
#[derive(Debug, Default)]
struct Policy {
    before: u64,
    still: u32,
}

impl Policy {
    fn look(&mut self, size: u64) -> Care {
        self.still = if size == self.before { self.still + 1 } else { 0 };
        self.before = size;
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
            let Ok(size) = std::fs::metadata(&log).map(|log| log.len()) else { continue };
            let all = match policy.look(size) {
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
        let size = || std::fs::metadata(&log).unwrap().len();
        let mut store = Store::open(&path).unwrap();
        store.begin().unwrap();
        store.set_generation(7).unwrap();
        store.commit().unwrap();
        let mut policy = Policy::default();
        let mut look = || {
            let cares: Vec<Care> = (0..=IDLE_LOOKS + 1).map(|_| policy.look(size())).collect();
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

    #[test]
    fn a_log_is_moved_when_it_grows_and_emptied_when_it_rests() {
        let mut policy = Policy::default();
        let cares: Vec<Care> =
            [0, 1, 5 << 20, 6 << 20, 65 << 20, 0, 0, 0, 0, 0, 0, 0, 0].map(|size| policy.look(size)).into();
        assert_eq!(cares[..6], [Care::Nothing, Care::Nothing, Care::Move, Care::Move, Care::Empty, Care::Nothing]);
        assert!(cares[6..].iter().all(|care| *care == Care::Nothing), "an empty one is left alone: {cares:?}");
    }
}
