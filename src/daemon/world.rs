//! The world of production: carries effects out as tasks, and posts what came of them as inputs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod cloud;
mod held;
mod hooks;
mod together;
mod upward;

pub use self::hooks::HookKit;

use self::together::{Enough, Together};
use self::upward::SessionNotes;
use super::bandwidth::Bandwidth;
use super::fetch::{self, Broken, FetchError};
use super::looking::Watches;
use super::meters::Meters;
use super::parked::Parked;
use super::people::People;
use super::subscribe::Subscriptions;
use super::transfers::{Transfers, Way};
use crate::command::Answer;
use crate::deed::{DeedOrder, DeedResult, DiskError, DiskErrorKind};
use crate::engine::input::{FetchFailure, FetchOrder, OpenOrder, RootFacts};
use crate::engine::{Effect, Input, Notice, Outcome, Task};
use crate::id::{AccountId, FolderId, JobId};
use crate::local::{LocalFolder, LocalOptions};
use crate::local_news::{HashOrder, UploadFailure};
use crate::path::Name;
use crate::provider::box_com::BoxCom;
use crate::provider::egnyte::Egnyte;
use crate::provider::http::CallCounter;
use crate::provider::{Provider, ProviderError, ProviderErrorKind, Result as ProviderResult};
use crate::report::Digested;
use crate::settings::{AccountSettings, ProviderName};
use crate::versions::Versions;

/// Notices that a slow watcher may fall behind before it misses some.
const NOTICES_KEPT: usize = 4_096;

/// What the control thread is told.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "most messages are inputs")]
pub enum Message {
    /// An input of the engine.
    Input(Input),
    /// Inputs that are decided on in one step.
    Together(Vec<Input>),
    /// A command, with the way back for its answer.
    Command(crate::command::Command, oneshot::Sender<Answer>),
    /// Answered when everything that came before is decided and committed.
    Heard(std::sync::mpsc::Sender<()>),
    /// The configuration changed.
    Reconfigure(Box<crate::config::Config>),
    /// End.
    Stop,
}

/// The roots that are open, by folder.
#[derive(Debug, Clone, Default)]
pub struct OpenFolders(Arc<Mutex<HashMap<FolderId, Arc<LocalFolder>>>>);

impl OpenFolders {
    /// What was read of a folder for digests since it was opened.
    pub fn digested(&self, folder: FolderId) -> Digested {
        let (files, bytes) = self.get(folder).map(|local| local.digested()).unwrap_or_default();
        Digested { files, bytes }
    }

    /// All of them.
    pub fn all(&self) -> Vec<(FolderId, Arc<LocalFolder>)> {
        self.locked().iter().map(|(id, local)| (*id, Arc::clone(local))).collect()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<FolderId, Arc<LocalFolder>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, folder: FolderId) -> Option<Arc<LocalFolder>> {
        self.locked().get(&folder).cloned()
    }
}

/// Call counts of every account, by name; they outlive the engine.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<String, Arc<CallCounter>>>>);

impl Counters {
    /// Requests of all accounts: calls, and what listening and tokens cost.
    pub fn requests(&self) -> u64 {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let each = counters.values().map(|counter| counter.counts());
        each.map(|counts| counts.calls() + counts.listening() + counts.token).sum()
    }

    /// The counter of an account.
    pub fn of(&self, account: &str) -> Arc<CallCounter> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(account.to_owned()).or_default())
    }
}

/// Makes the adapter of an account.
pub fn make_provider(
    settings: &AccountSettings,
    credentials: PathBuf,
    counter: Arc<CallCounter>,
) -> ProviderResult<Arc<dyn Provider>> {
    match settings.provider {
        ProviderName::Box => Ok(Arc::new(BoxCom::new(settings, credentials, counter)?)),
        ProviderName::Egnyte => Ok(Arc::new(Egnyte::new(settings, credentials, counter)?)),
    }
}

/// See the module.
#[derive(Debug)]
pub struct World {
    runtime: tokio::runtime::Handle,
    inputs: SyncSender<Message>,
    credentials: PathBuf,
    counters: Counters,
    transfers: Transfers,
    parked: Arc<Parked>,
    notices: broadcast::Sender<Notice>,
    meters: Meters,
    hooks: HookKit,
    verdicts: Together,
    uploads: Together,
    /// Files that the effects of this step want read.
    reads: Vec<(JobId, FolderId, HashOrder)>,
    accounts: HashMap<AccountId, Account>,
    folders: OpenFolders,
    watches: Watches,
    sessions: SessionNotes,
    jobs: HashMap<JobId, CancellationToken>,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    subscriptions: Option<Subscriptions>,
    /// Whom jobs that are about to begin are done for.
    people: People,
    acting: HashMap<JobId, String>,
    tickets: u64,
    tasks: TaskTracker,
    everything: CancellationToken,
}

struct Account {
    settings: AccountSettings,
    provider: ProviderResult<Arc<dyn Provider>>,
    bandwidth: Arc<Bandwidth>,
    counter: Arc<CallCounter>,
    cancel: CancellationToken,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("usable", &self.provider.is_ok()).finish_non_exhaustive()
    }
}

/// A channel for notices.
pub fn notices() -> broadcast::Sender<Notice> {
    broadcast::channel(NOTICES_KEPT).0
}

impl World {
    /// A world whose tasks run on the current runtime.
    pub fn new(
        runtime: tokio::runtime::Handle,
        inputs: SyncSender<Message>,
        credentials: PathBuf,
        counters: Counters,
        transfers: Transfers,
        notices: broadcast::Sender<Notice>,
        hooks: HookKit,
    ) -> Self {
        Self {
            watches: Watches::default(),
            sessions: SessionNotes::new(inputs.clone()),
            verdicts: Together::new(inputs.clone(), &runtime, Enough::Count(hooks::VERDICTS_ENOUGH)),
            uploads: Together::new(inputs.clone(), &runtime, Enough::Half),
            reads: Vec::new(),
            runtime,
            inputs,
            credentials,
            counters,
            transfers,
            parked: Arc::default(),
            notices,
            meters: Meters::default(),
            hooks,
            accounts: HashMap::new(),
            folders: OpenFolders::default(),
            jobs: HashMap::new(),
            answers: HashMap::new(),
            subscriptions: None,
            people: People::default(),
            acting: HashMap::new(),
            tickets: 0,
            tasks: TaskTracker::new(),
            everything: CancellationToken::new(),
        }
    }

    /// Has what becomes visible and what hooks do counted.
    #[must_use]
    pub fn counting(self, meters: Meters) -> Self {
        Self { meters, ..self }
    }

    /// The roots that it has opened.
    pub fn open_folders(&self) -> OpenFolders {
        self.folders.clone()
    }

    /// Who can be asked about people.
    pub fn people(&self) -> People {
        self.people.clone()
    }

    /// The watches over them.
    pub fn watches(&self) -> Watches {
        self.watches.clone()
    }

    /// Remembers where the answer of a command goes.
    pub fn expect_answer(&mut self, answer: oneshot::Sender<Answer>) -> u64 {
        self.tickets += 1;
        self.answers.insert(self.tickets, answer);
        self.tickets
    }

    /// A job is done: its token is no longer needed.
    pub fn done(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    /// What the calls of each account have cost so far.
    pub fn usage(&self) -> impl Iterator<Item = Input> + '_ {
        self.accounts.iter().map(|(id, account)| {
            let counts = account.counter.counts();
            Input::Usage { account: *id, calls: counts.calls() + counts.events, quota: account.counter.quota() }
        })
    }

    /// Stops everything that is under way and forgets it, as a crash would; for a new engine over the same database.
    pub fn reset(&mut self) {
        self.everything.cancel();
        self.everything = CancellationToken::new();
        self.jobs.clear();
        self.watches.locked().clear();
        self.sessions.forget();
        self.accounts.clear();
        self.folders.locked().clear();
        self.answers.clear();
    }

    /// Where the tasks run.
    pub fn runtime(&self) -> tokio::runtime::Handle {
        self.runtime.clone()
    }

    /// Stops everything; the tracker ends when the last task has.
    pub fn stop(&mut self) -> (TaskTracker, Vec<Arc<dyn Provider>>) {
        self.everything.cancel();
        self.watches.locked().clear();
        // What waits for a note would wait for ever.
        self.sessions.forget();
        self.parked.clear();
        if let Some(subscriptions) = &mut self.subscriptions {
            subscriptions.stop();
        }
        self.tasks.close();
        let providers = self.accounts.values().filter_map(|account| account.provider.as_ref().ok().cloned());
        (self.tasks.clone(), providers.collect())
    }

    /// What is under way goes on where only the credentials are new.
    fn use_account(&mut self, id: AccountId, settings: AccountSettings) {
        if let Some(Account { settings: known, provider: Ok(provider), bandwidth, .. }) = self.accounts.get_mut(&id) {
            if *known == settings {
                provider.credentials_changed();
                return;
            }
            if known.differs_in_limits_only(&settings) {
                // Other limits are no reason to begin anything anew.
                bandwidth.follow(&settings);
                *known = settings;
                return;
            }
        }
        let counter = self.counters.of(&settings.name);
        let provider = make_provider(&settings, self.credentials.clone(), Arc::clone(&counter));
        self.people.use_provider(&settings.name, provider.as_ref().ok().cloned());
        let cancel = self.everything.child_token();
        let bandwidth = Arc::new(Bandwidth::of(&settings));
        let account = Account { settings, provider, bandwidth, counter, cancel };
        if let Some(old) = self.accounts.insert(id, account) {
            old.cancel.cancel();
        }
    }

    /// Carries an effect out, or starts to.
    pub fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::UseAccount(id, settings) => self.use_account(id, *settings),
            Effect::DropAccount(id) => {
                if let Some(old) = self.accounts.remove(&id) {
                    self.people.use_provider(&old.settings.name, None);
                    old.cancel.cancel();
                }
            }
            Effect::Open { job, folder, order } => {
                self.parked.forget(folder);
                self.open(job, folder, *order);
            }
            Effect::Close(folder) => {
                self.parked.forget(folder);
                self.watches.locked().remove(&folder);
                self.folders.locked().remove(&folder);
            }
            Effect::ActFor { job, user } => {
                self.acting.insert(job, user);
            }
            Effect::Cloud { job, account, task } => self.cloud(job, account, task),
            Effect::Cancel(job) => {
                if let Some(token) = self.jobs.remove(&job) {
                    token.cancel();
                }
            }
            Effect::Deeds { job, folder, orders } => self.deeds(job, folder, orders),
            Effect::Local { job, folder, task } => self.local(job, folder, task),
            Effect::Watch(folder, wanted) => self.watch(folder, wanted),
            Effect::SessionKept(job) => self.sessions.kept(job),
            Effect::Subscribe(wanted) => self.serve(wanted),
            Effect::JournalGrew => self.journal_grew(),
            Effect::DropVersions(folder, jobs) => self.in_folder(folder, move |local| {
                if let Err(error) = Versions::of(&local).prune(&jobs) {
                    tracing::warn!(%error, "superseded versions stay on disk");
                }
            }),
            Effect::DropStaged(folder, staged) => self.in_folder(folder, move |local| {
                if let Err(error) = local.discard_staged(&staged) {
                    tracing::debug!(%error, "a staged file stays until the next start");
                }
            }),
            Effect::Hook { job, order } => self.hook(job, *order),
            Effect::ProbeHook { job, hook } => self.probe_hook(job, *hook),
            Effect::Seize { job, folder, number, at, sha256, sidecar } => {
                self.seize(job, folder, number, (at, sha256), sidecar);
            }
            Effect::Quarantine { job, folder, number, staged, sidecar } => {
                self.quarantine(job, folder, number, staged, sidecar);
            }
            Effect::DropQuarantined(numbers) => self.in_quarantine(move |quarantine| quarantine.remove(&numbers)),
            Effect::SweepQuarantine(keep) => self.in_quarantine(move |quarantine| quarantine.sweep(&keep)),
            Effect::Answer { ticket, answer } => {
                // Whoever asked may have gone away.
                if let Some(back) = self.answers.remove(&ticket) {
                    let _ = back.send(answer);
                }
            }
            Effect::Notice(notice) => {
                tell(&notice);
                self.meters.noticed(&notice);
                // Nobody may be watching.
                let _ = self.notices.send(notice);
            }
        }
    }

    fn post(&self, job: JobId, outcome: Outcome) {
        post(&self.inputs, job, outcome);
    }

    /// Something that needs no outcome; a folder that is closed needs it no more.
    fn in_folder(&self, folder: FolderId, act: impl FnOnce(Arc<LocalFolder>) + Send + 'static) {
        if let Some(local) = self.root(folder) {
            self.tasks.spawn_blocking_on(move || act(local), &self.runtime);
        }
    }

    fn open(&mut self, job: JobId, id: FolderId, order: OpenOrder) {
        let (inputs, folders) = (self.inputs.clone(), self.folders.clone());
        // Looking at a root that is open needs no new handle.
        if let (Some(local), None) = (self.root(id), &order.keep_staged) {
            let look = move || {
                post(&inputs, job, Outcome::Opened(local.check_root().map(|()| facts_of(&local, false))));
            };
            self.tasks.spawn_blocking_on(look, &self.runtime);
            return;
        }
        let open = move || {
            let opened = open_root(&order).map(|(local, facts)| {
                // The handle is known before the engine can ask for anything in it.
                folders.locked().insert(id, Arc::new(local));
                facts
            });
            post(&inputs, job, Outcome::Opened(opened));
        };
        self.tasks.spawn_blocking_on(open, &self.runtime);
    }

    fn root(&self, id: FolderId) -> Option<Arc<LocalFolder>> {
        self.folders.get(id)
    }

    fn deeds(&mut self, job: JobId, id: FolderId, orders: Vec<DeedOrder>) {
        let Some(local) = self.root(id) else {
            let error = DiskError { kind: DiskErrorKind::RootLost, text: "the folder is not open".into() };
            let results = orders.iter().map(|_| DeedResult::Failed(error.clone())).collect();
            self.post(job, Outcome::Deeds(results));
            return;
        };
        let inputs = self.inputs.clone();
        self.tasks.spawn_blocking_on(
            move || {
                let results = local.execute(&orders);
                post(&inputs, job, Outcome::Deeds(results));
            },
            &self.runtime,
        );
    }

    fn fetch(
        &self,
        job: JobId,
        id: FolderId,
        order: FetchOrder,
        provider: Arc<dyn Provider>,
        bandwidth: Arc<Bandwidth>,
        cancel: CancellationToken,
    ) {
        let Some(local) = self.root(id) else {
            let error = DiskError { kind: DiskErrorKind::RootLost, text: "the folder is not open".into() };
            self.post(job, Outcome::Fetched(Err(FetchFailure::Disk(error))));
            return;
        };
        if let Some(held) = order.held.clone() {
            return self.stage_held(job, held, order, local);
        }
        let counter = self.transfers.begin(job, id, Way::Down, order.path.clone(), order.size);
        let (inputs, transfers, parked) = (self.inputs.clone(), self.transfers.clone(), Arc::clone(&self.parked));
        let work = async move {
            let order = fetch::FetchOrder {
                job,
                item: order.item,
                version: order.version,
                size: order.size,
                hash: order.hash,
                modified: order.modified,
            };
            let count = |bytes| counter.reached(bytes);
            let way = fetch::Way { pace: &bandwidth.down, streams: &bandwidth.streams };
            let earlier = parked.take(id, &order);
            let trims = Arc::clone(&local);
            let fetched = fetch::fetch_on(&*provider, local, order, &way, count, cancel, earlier).await;
            transfers.end(job);
            let fetched = fetched.map_err(|Broken { why, piece }| {
                match piece {
                    Some(piece) => parked.put(id, piece),
                    // What is kept for later must not be what fills the disk.
                    None if matches!(why, FetchError::Disk(_)) => {
                        parked.clear();
                        trims.trim_parts(0);
                    }
                    None => {}
                }
                failure(why)
            });
            post(&inputs, job, Outcome::Fetched(fetched));
        };
        self.tasks.spawn_on(work, &self.runtime);
    }
}

fn open_root(order: &OpenOrder) -> Result<(LocalFolder, RootFacts), DiskError> {
    let settings = &order.settings;
    let options = LocalOptions {
        file_mode: settings.file_mode,
        dir_mode: settings.dir_mode,
        min_free: settings.min_free,
        create: order.create,
    };
    let local = LocalFolder::open(&order.path, &order.mark, options)?;
    let keep: BTreeSet<Name> = order.keep_staged.iter().flatten().cloned().collect();
    local.sweep_staging(&keep)?;
    let facts = facts_of(&local, local.is_empty()?);
    Ok((local, facts))
}

fn facts_of(local: &LocalFolder, empty: bool) -> RootFacts {
    RootFacts { stamp: local.identity(), empty, disk_bytes: local.disk_bytes(), free_bytes: local.free_bytes() }
}

fn failure(error: FetchError) -> FetchFailure {
    match error {
        FetchError::Provider(error) => FetchFailure::Provider(error),
        FetchError::Disk(error) => FetchFailure::Disk(error),
        // The description that the fetch was ordered by is old: the same as a version that is gone.
        FetchError::Changed { .. } => {
            FetchFailure::Provider(ProviderError::new(ProviderErrorKind::NotFound, error.to_string()))
        }
        FetchError::Cancelled => {
            FetchFailure::Provider(ProviderError::new(ProviderErrorKind::Unavailable, error.to_string()))
        }
    }
}

/// The queue has a place for every job, so that a worker never waits here; it is gone only when the agent ends.
fn post(inputs: &SyncSender<Message>, job: JobId, outcome: Outcome) {
    if inputs.send(Message::Input(Input::Done { job, outcome })).is_err() {
        tracing::debug!(%job, "the agent ended before a job did");
    }
}

async fn ask(provider: &dyn Provider, task: &Task) -> Outcome {
    match task {
        Task::Identify => Outcome::Identified(provider.whoami().await),
        Task::TakeCursor => Outcome::CursorTaken(provider.newest_cursor().await),
        Task::RestartCursor => Outcome::CursorTaken(provider.restart_cursor().await),
        Task::Poll(cursor) => Outcome::Polled(provider.events(cursor).await),
        Task::CheckCursor(cursor) => {
            let checked = provider.check_cursor(cursor).await;
            Outcome::CursorChecked(checked.inspect_err(|error| tracing::info!(%error, "the place in the event stream")))
        }
        Task::Wait { cursor, limit } => Outcome::Woken(provider.wait_for_news(cursor, *limit).await),
        Task::Resolve(place) => Outcome::Resolved(provider.resolve(place).await),
        Task::Size(item) => Outcome::Sized(provider.size_of(item).await),
        Task::List { item, page } => Outcome::Listed(provider.list(item, page.as_ref()).await),
        Task::Look(item) => Outcome::Looked(provider.item(item).await),
        Task::Dispose { item, name, etag, how } => {
            Outcome::Disposed(hooks::dispose(provider, item, name, etag.as_ref(), how).await)
        }
        Task::MakeFolder { parent, name } => {
            Outcome::FolderMade(provider.make_folder(parent, name).await.map(Box::new))
        }
        Task::Relocate { item, parent, name, expected } => {
            Outcome::Relocated(provider.relocate(item, parent, name, expected).await.map(Box::new))
        }
        Task::Trash { item, expected } => Outcome::Trashed(provider.trash(item, expected).await),
        Task::Fetch(..) | Task::Upload(..) => {
            failed(task, ProviderError::new(ProviderErrorKind::Local, "transfers have workers of their own"))
        }
    }
}

/// What becomes of a call that is no longer wanted: a write may have happened all the same.
fn unwanted(task: &Task) -> ProviderError {
    let kind = match task {
        Task::Upload(..) | Task::MakeFolder { .. } | Task::Relocate { .. } | Task::Trash { .. } => {
            ProviderErrorKind::OutcomeUnknown
        }
        _ => ProviderErrorKind::Unavailable,
    };
    ProviderError::new(kind, "the call is no longer wanted")
}

fn failed(task: &Task, error: ProviderError) -> Outcome {
    match task {
        Task::Identify => Outcome::Identified(Err(error)),
        Task::TakeCursor | Task::RestartCursor => Outcome::CursorTaken(Err(error)),
        Task::Poll(_) => Outcome::Polled(Err(error)),
        Task::CheckCursor(_) => Outcome::CursorChecked(Err(error)),
        Task::Wait { .. } => Outcome::Woken(Err(error)),
        Task::Resolve(_) => Outcome::Resolved(Err(error)),
        Task::Size(_) => Outcome::Sized(Err(error)),
        Task::List { .. } => Outcome::Listed(Err(error)),
        Task::Look(_) => Outcome::Looked(Err(error)),
        Task::Dispose { .. } => Outcome::Disposed(Err(error)),
        Task::Fetch(..) => Outcome::Fetched(Err(FetchFailure::Provider(error))),
        Task::Upload(..) => Outcome::Uploaded(Err(UploadFailure::Provider(error))),
        Task::MakeFolder { .. } => Outcome::FolderMade(Err(error)),
        Task::Relocate { .. } => Outcome::Relocated(Err(error)),
        Task::Trash { .. } => Outcome::Trashed(Err(error)),
    }
}

/// What an operator wants to read every day.
fn tell(notice: &Notice) {
    match notice {
        Notice::Event { kind, path, actor, .. } => {
            tracing::debug!(kind, path, actor = actor.as_deref().unwrap_or("-"), "event");
        }
        Notice::Outcome { what, path, from, took_ms, .. } => {
            tracing::info!(path, outcome = what, from = from.as_deref().unwrap_or("-"), elapsed_ms = took_ms, "done");
        }
        Notice::Problem { path, code, text, .. } => tracing::warn!(path, code, cause = text, "problem"),
    }
}
