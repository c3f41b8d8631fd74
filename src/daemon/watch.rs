//! Notices that the configuration file changed, and hands the new one on if it is valid.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::thread::Shared;
use super::world::Message;
use crate::config::{Config, Places, ignore_file};
use crate::report::Degraded;
use crate::sys;

/// An editor writes in several steps: the file is read when it was quiet for this long.
const QUIET: Duration = Duration::from_millis(100);

/// What may mean another configuration. That something is being written is none of it, only that it was: the database may lie in the same
/// directory, and each of its writes would wake us.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR);
/// Room for some events with names of any length.
const EVENTS_BYTES: usize = 16 * 1024;

/// Watches the directory of the configuration file until the agent stops.
pub fn config(
    places: Places,
    inputs: SyncSender<Message>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> Option<JoinHandle<()>> {
    let file = places.config_file.file_name()?.to_owned();
    let events = match watch(places.config_dir()) {
        Ok(events) => events,
        Err(error) => {
            tracing::warn!(%error, "changes of the configuration are not noticed by themselves; commands still tell of them");
            return None;
        }
    };
    Some(tokio::spawn(async move {
        loop {
            tokio::select! {
                () = changed(&events, &file) => {}
                () = stop.cancelled() => return,
            }
            while tokio::time::timeout(QUIET, changed(&events, &file)).await.is_ok() {}
            let (places, shared, inputs) = (places.clone(), Arc::clone(&shared), inputs.clone());
            if let Err(error) = tokio::task::spawn_blocking(move || reload(&places, &shared, &inputs)).await {
                tracing::warn!(%error, "the configuration was not read");
            }
        }
    }))
}

/// The events of a directory.
fn watch(dir: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&events, dir, CHANGES)?;
    sys::awaited(events)
}

/// Waits until something happened to a file of the directory, or may have.
async fn changed(events: &AsyncFd<OwnedFd>, file: &OsStr) {
    loop {
        // Nothing is ever seen of a source that fails, and reading the configuration again and again would not mend it.
        let Ok(mut ready) = events.readable().await else { return std::future::pending().await };
        let mut is_ours = false;
        let read = ready.try_io(|events| {
            let mut space = [MaybeUninit::uninit(); EVENTS_BYTES];
            let mut reader = inotify::Reader::new(events.get_ref(), &mut space);
            loop {
                let event = reader.next()?;
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                // Also when events were lost: reading once too often costs nothing.
                is_ours |= name == Some(file) || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                if is_ours && reader.is_buffer_empty() {
                    return Ok(());
                }
            }
        });
        if is_ours {
            return;
        }
        if let Ok(Err(error)) = read {
            tracing::warn!(%error, "changes of the configuration are not noticed by themselves any more");
            return std::future::pending().await;
        }
    }
}

/// How often the folders' own ignore files are looked at: one call to the system for each folder, on any filesystem.
const IGNORE_LOOKED_EVERY: Duration = Duration::from_secs(2);

/// Notices that a folder's `.agentignore` changed.
pub fn ignore_files(
    places: Places,
    inputs: SyncSender<Message>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut last: Option<Vec<Seen>> = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(IGNORE_LOOKED_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let roots = shared.roots();
            let look = move || roots.into_iter().map(|root| (ignore_file::stamp(&root), root)).collect();
            // Only a panic could keep the answer from coming.
            let Ok(seen) = tokio::task::spawn_blocking(look).await else { continue };
            let before = last.replace(seen);
            let changed = |before: &Vec<Seen>, now: &Vec<Seen>| {
                now.iter().any(|(stamp, root)| before.iter().any(|(was, same)| same == root && was != stamp))
            };
            if before.as_ref().zip(last.as_ref()).is_some_and(|(before, now)| changed(before, now)) {
                let (places, shared, inputs) = (places.clone(), Arc::clone(&shared), inputs.clone());
                if let Err(error) = tokio::task::spawn_blocking(move || reload(&places, &shared, &inputs)).await {
                    tracing::warn!(%error, "the configuration was not read");
                }
            }
        }
    })
}

/// A root with what its ignore file looked like.
type Seen = (Option<(u64, u64, i64, i64)>, PathBuf);

/// Reads the configuration. An invalid one is refused, with every complaint, and the last good one stays in force.
pub fn reload(places: &Places, shared: &Shared, inputs: &SyncSender<Message>) -> Result<(), String> {
    match Config::load(places) {
        Ok(config) => {
            shared.set_degraded("config", None);
            shared.wish_web(config.web.clone());
            inputs.send(Message::Reconfigure(Box::new(config))).map_err(|_| "the agent is ending".to_owned())
        }
        Err(error) => {
            tracing::error!(%error, "the configuration is not valid; the last good one stays in force");
            let cause = error.to_string();
            shared.set_degraded(
                "config",
                Some(Degraded {
                    name: "config".into(),
                    cause: cause.clone(),
                    next_step: "`agent config check` lists every complaint; the last good configuration stays in force"
                        .into(),
                }),
            );
            Err(cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn only_what_is_done_to_the_file_is_a_change() {
        const SOON: Duration = Duration::from_secs(10);
        const NOT: Duration = Duration::from_millis(50);
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("config.toml"), dir.path().join("state.db"));
        fs::write(&file, "").unwrap();
        let events = watch(dir.path()).unwrap();
        let name = file.file_name().unwrap();
        let mut database = File::create(&other).unwrap();
        for _ in 0..1_000 {
            database.write_all(b"page").unwrap();
        }
        assert!(timeout(NOT, changed(&events, name)).await.is_err(), "the database is none of it");

        fs::write(&file, "in place").unwrap();
        timeout(SOON, changed(&events, name)).await.unwrap();
        fs::write(dir.path().join("new"), "by a rename").unwrap();
        fs::rename(dir.path().join("new"), &file).unwrap();
        timeout(SOON, changed(&events, name)).await.unwrap();
        fs::remove_file(&file).unwrap();
        timeout(SOON, changed(&events, name)).await.unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        timeout(SOON, changed(&events, name)).await.unwrap();
        assert!(timeout(NOT, changed(&events, name)).await.is_err());
    }

    #[tokio::test]
    async fn one_write_of_the_database_wakes_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = File::create(dir.path().join("state.db-wal")).unwrap();
        let events = watch(dir.path()).unwrap();
        database.write_all(b"page").unwrap();
        assert!(timeout(Duration::from_millis(50), events.readable()).await.is_err());
    }
}
