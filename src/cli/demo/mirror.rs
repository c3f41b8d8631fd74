//! The first mirror, with a bar where somebody looks and a line now and then where nobody does.

use std::io;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::super::failure::{Failure, Outcome};
use super::super::render::{Screen, size, span};
use super::compare::Disk;
use super::stage::{REMOTE, Stage};
use super::{amount, refused};
use crate::daemon::client::ControlClient;
use crate::report::FolderState;

/// How often the agent is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a line says it where nobody looks.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// How long nothing may move before something must be wrong.
const STANDSTILL_MAX: Duration = Duration::from_mins(1);

/// Shows the first mirror until it is complete, or until somebody stops it, which is told.
pub async fn first(stage: &Stage, disk: &mut Disk, stop: &CancellationToken, screen: &mut Screen) -> Outcome<bool> {
    let cloud = stage.sandbox.cloud();
    let tree = cloud.tree(REMOTE).map_err(refused)?;
    let files_total = tree.values().filter(|entry| !entry.is_folder).count() as u64;
    let bytes_total: u64 = tree.values().map(|entry| entry.size).sum();
    screen.line(format_args!("First mirror of {}", amount(files_total, bytes_total)))?;
    screen.flush()?;

    let bar = bar(bytes_total, screen);
    let begun = Instant::now();
    let (mut said, mut moved) = (begun, (0, begun));
    loop {
        if stop.is_cancelled() {
            bar.abandon();
            return Ok(false);
        }
        // The agent listens on its socket a moment after it started.
        let status = match ControlClient::find(&stage.places.socket).await? {
            Some(client) => client.status().await.ok(),
            None => None,
        };
        if let Some(folder) = status.as_ref().and_then(|status| status.folders.first()) {
            let bytes = folder.bytes + folder.transfers.iter().map(|transfer| transfer.done).sum::<u64>();
            bar.set_position(bytes.min(bytes_total));
            bar.set_message(format!("{} of {files_total} files", folder.files));
            if folder.state == FolderState::InSync && disk.difference(&cloud)?.is_none() {
                break;
            }
            if !screen.is_terminal() && said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                let (done, all) = (size(bytes), size(bytes_total));
                screen.line(format_args!("  {} of {files_total} files, {done} of {all}", folder.files))?;
                screen.flush()?;
            }
            let far = bytes + folder.files + folder.folders;
            if far != moved.0 {
                moved = (far, Instant::now());
            }
        }
        if moved.1.elapsed() > STANDSTILL_MAX {
            bar.abandon();
            let what = status.map(|status| format!("{:?}", status.folders)).unwrap_or_default();
            return Err(Failure::error("the first mirror stands still").because(what));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    bar.finish_and_clear();
    let took = begun.elapsed();
    let rate = size((bytes_total as f64 / took.as_secs_f64()) as u64);
    screen.line(format_args!("  complete and compared after {}: {rate}/s\n", span(took)))?;
    screen.flush()?;
    Ok(true)
}

/// A bar where a person looks; elsewhere one that draws nothing.
fn bar(bytes_total: u64, screen: &Screen) -> ProgressBar {
    let target = if screen.is_terminal() { ProgressDrawTarget::stdout() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(bytes_total), target);
    let template = "  [{bar:30}] {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {msg}";
    // The template is a constant; a bar without a style would still move.
    if let Ok(style) = ProgressStyle::with_template(template).map_err(io::Error::other) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
