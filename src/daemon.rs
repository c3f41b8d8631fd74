//! `agent run`: the world of production around the engine, from the lock on the state directory to a clean end.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::command::{Answer, Command};
use crate::config::{Config, Places};
use crate::engine::Notice;
use crate::report::{Reports, Status};
use crate::tree::Wall;

pub mod bandwidth;
mod checkpoint;
pub mod client;
pub mod control;
pub mod database;
mod explain;
pub mod fetch;
pub mod figures;
mod history;
mod keeper;
pub mod lock;
mod looking;
pub mod meters;
mod parked;
mod people;
pub mod preview;
mod recall;
mod reports;
mod socket;
pub mod subscribe;
mod thread;
pub mod transfers;
mod unstarted;
pub mod upload;
pub mod verify;
mod watch;
pub mod web;
pub mod world;

pub use reports::{folder_state, offline_reports};

use thread::Control;
use transfers::Transfers;
use world::{Counters, Message};

/// Places in the queue to the control thread: one for every job and every command, so that nobody waits to be heard.
const QUEUE_PLACES: usize = crate::engine::JOBS_MOST + COMMANDS_WAITING + 512;
/// Commands that may wait at once; one more is told that the agent is busy.
const COMMANDS_WAITING: usize = 64;
/// How long the end waits for deeds and token renewals that must not be cut off.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// What `agent run` was asked to do.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Catch up, finish and end.
    pub once: bool,
    /// Ends the run, besides the signals.
    pub stop: CancellationToken,
    /// Who watches.
    pub notices: Option<broadcast::Sender<Notice>>,
    /// Counts calls, for benchmarks and the demo.
    pub counters: Counters,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// Somebody asked it to stop, or `once` found everything in sync.
    Fine,
    /// `once`: something is still pending or has a problem.
    Pending(String),
    /// `once`: a hold waits for a person.
    Held(String),
    /// `once`: an account needs a sign-in.
    SignInNeeded(String),
}

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another agent holds the state directory; a sentence that names it.
    #[error("{0}")]
    Locked(String),
    /// The database is of a newer version, or broken; a sentence with the next step.
    #[error("{0}")]
    State(String),
    /// Anything else; a sentence.
    #[error("{0}")]
    Failed(String),
}

impl RunError {
    fn failed(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Failed(format!("cannot {what}: {why}"))
    }
}

/// Runs the agent until it is told to stop.
pub async fn run(places: &Places, config: Config, options: RunOptions) -> Result<RunEnd, RunError> {
    places.make_state_dirs().map_err(|why| RunError::failed("make the state directory", why))?;
    let _lock = lock::take(&places.state_dir)?;
    let database::Opened { mut store, told } = database::open(places)?;
    store.count_start().map_err(|why| RunError::State(why.to_string()))?;

    let (inputs, queue) = sync_channel(QUEUE_PLACES);
    let transfers = Transfers::default();
    let notices = options.notices.clone().unwrap_or_else(world::notices);
    let shared = Arc::new(thread::Shared::default());
    if let Some(told) = told {
        shared.remark(told);
    }
    let mut world = world::World::new(
        tokio::runtime::Handle::current(),
        inputs.clone(),
        places.credentials_dir(),
        options.counters.clone(),
        transfers.clone(),
        notices,
        world::HookKit::new(places),
    )
    .counting(shared.meters().clone());
    let handle = tokio::runtime::Handle::current();
    world.serve_by(subscribe::Subscriptions::new(handle, places, inputs.clone()));
    let (folders, people) = (world.open_folders(), world.people());
    let looking = looking::Looking::new(folders.clone(), world.watches(), inputs.clone());
    let control = Control {
        store,
        places: places.clone(),
        queue,
        world,
        shared: Arc::clone(&shared),
        once: options.once,
        config: config.clone(),
        credentials: places.credentials_dir(),
    };
    let thread = control.start()?;

    // Whatever ends first ends everything: a signal, the caller, or the control thread.
    let stop = options.stop.child_token();
    let reports: Arc<dyn Reports> =
        Arc::new(reports::Running::new(places, &shared, &transfers, &options.counters, folders, looking, people));
    let (orders, ordered) = mpsc::channel(COMMANDS_WAITING);
    let socket = control::ControlSocket::bind(&places.socket)
        .await
        .map_err(|why| RunError::Locked(format!("{why}; stop that agent first")))?;
    let serving = tokio::spawn(control::serve(socket, Arc::clone(&reports), orders.clone(), stop.clone()));
    let history = history::History::default();
    let counting = history.clone().watch(options.counters.clone(), transfers.clone(), stop.clone());
    let counting = tokio::spawn(counting);
    shared.wish_web(config.web.clone());
    let page =
        web::Web::new(places.clone(), Arc::clone(&reports), orders.clone(), Arc::clone(&shared), history, stop.clone());
    let showing = tokio::spawn(page.clone().follow(shared.web_wishes()));
    let keeping = tokio::spawn(keeper::forward(ordered, inputs.clone(), places.clone(), Arc::clone(&shared), page));
    let watching = watch::config(places.clone(), inputs.clone(), Arc::clone(&shared), stop.clone());
    let ignoring = watch::ignore_files(places.clone(), inputs.clone(), Arc::clone(&shared), stop.clone());
    let checkpoints = checkpoint::start(places.database(), stop.clone());
    let generations = database::keep_generation(places, stop.clone());
    let service = keeper::service(Arc::clone(&reports), Arc::clone(&shared), stop.clone());

    let ended = tokio::select! {
        ended = thread.ended => ended.unwrap_or(Err(RunError::Failed("the control thread ended without a word".into()))),
        () = wait_for_signal() => Ok(()),
        () = stop.cancelled() => Ok(()),
    };
    keeper::stopping();
    stop.cancel();
    // A thread that has ended already does not hear it.
    let _ = inputs.try_send(Message::Stop);
    let finished = tokio::time::timeout(END_PATIENCE, tokio::task::spawn_blocking(move || thread.handle.join())).await;
    if !matches!(finished, Ok(Ok(Ok(())))) {
        tracing::warn!("the control thread did not end in time; the next start goes on where it was");
    }
    keeping.abort();
    if let Some(watching) = watching
        && let Err(error) = watching.await
    {
        tracing::debug!(%error, "a task ended early");
    }
    for task in [
        serving.await.map(drop),
        checkpoints.await,
        generations.await,
        ignoring.await,
        service.await,
        showing.await,
        counting.await,
    ] {
        if let Err(error) = task {
            tracing::debug!(%error, "a task ended early");
        }
    }
    ended?;
    if options.once { Ok(judge(&reports)) } else { Ok(RunEnd::Fine) }
}

/// What `run --once` says in the end.
fn judge(reports: &Arc<dyn Reports>) -> RunEnd {
    match reports.status() {
        Ok(status) => judge_status(&status),
        Err(error) => RunEnd::Pending(error.to_string()),
    }
}

fn judge_status(status: &Status) -> RunEnd {
    let sign_in = status.accounts.iter().find_map(|account| {
        account
            .degraded
            .as_ref()
            .filter(|degraded| degraded.name == "sign_in_needed")
            .map(|degraded| (account, degraded))
    });
    if let Some((account, degraded)) = sign_in {
        return RunEnd::SignInNeeded(format!("account `{}`: {}; {}", account.name, degraded.cause, degraded.next_step));
    }
    if status.held > 0 {
        return RunEnd::Held("a hold waits for you: see `agent held`".into());
    }
    let quarantined: u64 = status.folders.iter().map(|folder| folder.quarantined).sum();
    if quarantined > 0 && quarantined == status.problems {
        return RunEnd::Held(format!("{quarantined} in quarantine: see `agent quarantine list`"));
    }
    let pending: Vec<String> = status
        .folders
        .iter()
        .filter(|folder| folder.pending + folder.problems > 0 || folder.degraded.is_some())
        .map(|folder| match &folder.degraded {
            Some(degraded) => format!("folder `{}`: {}; {}", folder.name, degraded.cause, degraded.next_step),
            None => format!("folder `{}`: {} pending, {} problems", folder.name, folder.pending, folder.problems),
        })
        .chain(status.accounts.iter().filter_map(|account| {
            let degraded = account.degraded.as_ref().filter(|degraded| degraded.halts())?;
            Some(format!("account `{}`: {}; {}", account.name, degraded.cause, degraded.next_step))
        }))
        .collect();
    if pending.is_empty() { RunEnd::Fine } else { RunEnd::Pending(pending.join("; ")) }
}

/// Takes the lock and runs the engine for one command.
pub async fn command_alone(places: &Places, config: &Config, command: Command) -> Result<Answer, RunError> {
    places.make_state_dirs().map_err(|why| RunError::failed("make the state directory", why))?;
    let (places, config) = (places.clone(), config.clone());
    tokio::task::spawn_blocking(move || {
        let _lock = lock::take(&places.state_dir)?;
        let store = database::open(&places)?.store;
        thread::one_command(store, &config, &places.credentials_dir(), command)
    })
    .await
    .map_err(|why| RunError::failed("carry out the command", why))?
}

/// The time, as the engine is told.
pub(crate) fn wall_now() -> Wall {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        Err(before) => Wall(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
    }
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    // Without handlers the signals end the process at once, which is safe as well.
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
