//! Notices that the configuration file changed, and hands the new one on if it is valid.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::thread::Shared;
use super::world::Message;
use crate::config::{Config, Places, ignore_file};
use crate::report::Degraded;

/// An editor writes in several steps: the file is read when it was quiet for this long.
const QUIET: Duration = Duration::from_millis(100);

/// Watches the directory of the configuration file until the returned value goes away.
pub fn config(
    places: Places,
    inputs: SyncSender<Message>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> Option<notify::RecommendedWatcher> {
    let changed = Arc::new(Notify::new());
    let tell = Arc::clone(&changed);
    let file = places.config_file.file_name()?.to_owned();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = |path: &Path| path.file_name() == Some(&file);
        match event {
            Ok(event) if event.kind.is_access() || !event.paths.iter().any(|path| ours(path)) => {}
            // Also on errors: reading once too often costs nothing.
            Ok(_) | Err(_) => tell.notify_one(),
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher.watch(places.config_dir(), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    let watcher = match watched {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "changes of the configuration are not noticed by themselves; commands still tell of them");
            return None;
        }
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = changed.notified() => {}
                () = stop.cancelled() => return,
            }
            while tokio::time::timeout(QUIET, changed.notified()).await.is_ok() {}
            let (places, shared, inputs) = (places.clone(), Arc::clone(&shared), inputs.clone());
            if let Err(error) = tokio::task::spawn_blocking(move || reload(&places, &shared, &inputs)).await {
                tracing::warn!(%error, "the configuration was not read");
            }
        }
    });
    Some(watcher)
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
