//! Keeps the connection to those around the agent: orders of the control socket, and the service manager.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::control::{Order, Ordered};
use super::thread::Shared;
use super::watch::reload;
use super::web::Web;
use super::world::Message;
use crate::command::Answer;
use crate::config::Places;
use crate::report::{FolderState, Reports, Status};

/// How often the service manager hears a status line.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// The control thread counts as alive if it ended a step within this time.
const ALIVE_WITHIN: Duration = Duration::from_secs(30);

/// Hands the orders of the control socket to the control thread.
pub async fn forward(
    mut ordered: mpsc::Receiver<Ordered>,
    inputs: SyncSender<Message>,
    places: Places,
    shared: Arc<Shared>,
    web: Web,
) {
    while let Some(Ordered { order, answer }) = ordered.recv().await {
        match order {
            Order::Do(command) => {
                let (tell, told) = oneshot::channel();
                // The queue has places for as many commands as may wait; should it be full all the same, they are told.
                if inputs.try_send(Message::Command(command, tell)).is_err() {
                    let _ = answer.send(Answer::Busy);
                    continue;
                }
                tokio::spawn(async move {
                    let said = told.await.unwrap_or_else(|_| Answer::Refused { message: "the agent is ending".into() });
                    // Whoever asked may have gone away.
                    let _ = answer.send(said);
                });
            }
            Order::WebLink { may_change } => {
                let web = web.clone();
                tokio::spawn(async move {
                    // Whoever asked may have gone away.
                    let _ = answer.send(web.link(may_change).await);
                });
            }
            Order::MetricsToken => {
                let web = web.clone();
                tokio::task::spawn_blocking(move || {
                    // Whoever asked may have gone away.
                    let _ = answer.send(web.new_metrics_token());
                });
            }
            Order::Reload => {
                let (places, shared, inputs) = (places.clone(), Arc::clone(&shared), inputs.clone());
                let read = tokio::task::spawn_blocking(move || reload(&places, &shared, &inputs)).await;
                let said = match read {
                    Ok(Ok(())) => Answer::Ok { message: "the configuration was read".into() },
                    Ok(Err(message)) => Answer::Refused { message },
                    Err(error) => Answer::Refused { message: error.to_string() },
                };
                let _ = answer.send(said);
            }
        }
    }
}

/// Tells the service manager that the agent is ready, how it is, and that it lives.
pub fn service(reports: Arc<dyn Reports>, shared: Arc<Shared>, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let watchdog = sd_notify::watchdog_enabled();
        let every = watchdog.map_or(STATUS_EVERY, |limit| (limit / 3).min(STATUS_EVERY));
        let mut ready = false;
        loop {
            let alive = shared.last_step().is_some_and(|step| step.elapsed() < ALIVE_WITHIN);
            if alive && !ready {
                notify(&[sd_notify::NotifyState::Ready]);
                ready = true;
            }
            // Fed only while the control thread ends its steps: a stuck one must not be kept alive by this task.
            if alive && watchdog.is_some() {
                notify(&[sd_notify::NotifyState::Watchdog]);
            }
            if ready {
                let reports = Arc::clone(&reports);
                if let Ok(Ok(status)) = tokio::task::spawn_blocking(move || reports.status()).await {
                    notify(&[sd_notify::NotifyState::Status(&line(&status))]);
                }
            }
            let pause = if ready { every } else { Duration::from_millis(20) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    })
}

/// Tells the service manager that the end has begun.
pub fn stopping() {
    notify(&[sd_notify::NotifyState::Stopping]);
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

fn line(status: &Status) -> String {
    if status.folders.is_empty() {
        return "nothing configured".into();
    }
    if status.in_sync {
        return match status.folders.as_slice() {
            [folder] => format!("in sync: {}", folder.name),
            folders => format!("in sync: {} folders", folders.len()),
        };
    }
    if let Some(degraded) = status.degraded.first() {
        return format!("degraded: {}", degraded.name);
    }
    let busy: Vec<String> = status
        .folders
        .iter()
        .filter(|folder| folder.state != FolderState::InSync)
        .map(|folder| format!("{} {}", folder.name, folder.state.words()))
        .take(5)
        .collect();
    busy.join(", ")
}
