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
/// A log that did not change for this many looks is emptied: the agent is idle.
const IDLE_LOOKS: u32 = 6;

/// Starts the task; it ends with `stop`.
pub fn start(database: PathBuf, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        let (mut before, mut still) = (0, 0);
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let Ok(size) = std::fs::metadata(&log).map(|log| log.len()) else { continue };
            still = if size == before { still + 1 } else { 0 };
            before = size;
            let all = size >= EMPTY_FROM_BYTES || (size > 0 && still == IDLE_LOOKS);
            if !all && size < PASSIVE_FROM_BYTES {
                continue;
            }
            let database = database.clone();
            let moved = tokio::task::spawn_blocking(move || Reader::open(&database)?.checkpoint(all)).await;
            match moved {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the log is emptied later"),
                Err(error) => tracing::debug!(%error, "the log is emptied later"),
            }
        }
    })
}
