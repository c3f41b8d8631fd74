//! The control thread: owns the engine, feeds it batches, and releases effects after each commit.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::meters::Meters;
use super::world::{Counters, Message, World, make_provider};
use super::{RunError, database, wall_now};
use crate::command::{Answer, Command};
use crate::config::{Config, Places, WebSettings};
use crate::engine::health::Health;
use crate::engine::input::Wishes;
use crate::engine::{Effect, Engine, Input, Now};
use crate::report::Degraded;
use crate::store::{Store, StoreError};

/// Inputs that are decided together at most.
const BATCH_INPUTS: usize = 256;
/// How long a batch may gather while inputs keep coming.
const BATCH_TIME: Duration = Duration::from_millis(5);
/// The thread wakes at least this often, so that a watchdog sees it alive.
const PULSE: Duration = Duration::from_secs(5);
/// The same while the end waits for subscribers only.
const LAST_PULSE: Duration = Duration::from_millis(20);
/// The pause before the engine is built anew after the database failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// What others may know of the control thread.
#[derive(Debug, Default)]
pub struct Shared {
    health: Mutex<Health>,
    degraded: Mutex<Vec<Degraded>>,
    remarks: Mutex<Vec<Degraded>>,
    roots: Mutex<Vec<PathBuf>>,
    pulse: Mutex<Option<Instant>>,
    meters: Meters,
    web: watch::Sender<Option<WebSettings>>,
}

impl Shared {
    /// How accounts and folders are.
    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong with the agent as a whole.
    pub fn degraded(&self) -> Vec<Degraded> {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that something is wrong with the agent as a whole, or, with nothing, that it is well again.
    pub fn set_degraded(&self, name: &str, what: Option<Degraded>) {
        let mut degraded = self.degraded.lock().unwrap_or_else(PoisonError::into_inner);
        degraded.retain(|known| known.name != name);
        degraded.extend(what);
    }

    /// Notes what people should know and what keeps nothing from being in sync.
    pub fn remark(&self, what: Degraded) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        remarks.retain(|known| known.name != what.name);
        remarks.push(what);
    }

    /// The local directories of the configuration that is in force.
    pub fn roots(&self) -> Vec<PathBuf> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What people should know.
    pub fn remarks(&self) -> Vec<Degraded> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the control thread last ended a step.
    pub fn last_step(&self) -> Option<Instant> {
        *self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page in the browser that the configuration asks for, as it changes.
    pub fn web_wishes(&self) -> watch::Receiver<Option<WebSettings>> {
        self.web.subscribe()
    }

    /// The configuration asks for this page from now on.
    pub fn wish_web(&self, wish: Option<WebSettings>) {
        self.web.send_replace(wish);
    }

    /// What is counted since the start.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// A batch is durable.
    fn stepped(&self, health: Health, took: Duration) {
        self.meters.committed(took);
        *self.pulse.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != health {
            *known = health;
        }
    }
}

/// Everything that the control thread owns.
#[derive(Debug)]
pub struct Control {
    pub store: Store,
    pub places: Places,
    pub queue: Receiver<Message>,
    pub world: World,
    pub shared: Arc<Shared>,
    pub once: bool,
    pub config: Config,
    pub credentials: PathBuf,
}

/// The running thread.
#[derive(Debug)]
pub struct Running {
    pub handle: JoinHandle<()>,
    pub ended: oneshot::Receiver<Result<(), RunError>>,
}

/// Why the loop over one engine ended.
enum End {
    /// Somebody said so, or `once` is done.
    Stop,
    /// The database failed: everything in memory is thrown away, as after a crash.
    Store(StoreError),
}

impl Control {
    /// Starts the thread.
    pub fn start(self) -> Result<Running, RunError> {
        let (tell, ended) = oneshot::channel();
        let handle = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                let result = self.live();
                // Nobody listens any more when the end was asked for.
                let _ = tell.send(result);
            })
            .map_err(|why| RunError::failed("start the control thread", why))?;
        Ok(Running { handle, ended })
    }

    fn live(mut self) -> Result<(), RunError> {
        let started = Instant::now();
        let Self { store, .. } = &mut self;
        let mut store = Some(std::mem::replace(store, Store::in_memory().map_err(state_error)?));
        loop {
            let opened = match store.take() {
                Some(store) => Ok(store),
                None => self.open_again(),
            };
            let end = match opened {
                Ok(store) => self.run_engine(Engine::new(store), started),
                Err(error) => End::Store(error),
            };
            match end {
                End::Stop => {
                    self.finish();
                    return Ok(());
                }
                End::Store(error) => {
                    tracing::error!(%error, "the database failed; everything is read from it anew");
                    self.shared.meters.store_failed();
                    self.world.reset();
                    self.shared.set_degraded(
                        "store",
                        Some(Degraded {
                            name: "store".into(),
                            cause: error.to_string(),
                            next_step: "see to the disk that holds the state directory; the agent tries again every few seconds".into(),
                        }),
                    );
                    if self.pause() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The database as it is now; a damaged one is set aside.
    fn open_again(&self) -> Result<Store, StoreError> {
        let opened = database::open(&self.places).map_err(|error| StoreError::Damaged(error.to_string()))?;
        if let Some(told) = opened.told {
            self.shared.remark(told);
        }
        Ok(opened.store)
    }

    /// Waits before the next try; true if somebody said stop.
    fn pause(&mut self) -> bool {
        let until = Instant::now() + STORE_PAUSE;
        loop {
            match self.queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(Message::Command(_, answer)) => {
                    let _ = answer.send(Answer::Refused { message: "the database fails; see `agent status`".into() });
                }
                Ok(Message::Reconfigure(config)) => self.config = *config,
                // Nothing is decided now, and whoever asks hears so by being let go.
                Ok(Message::Input(_) | Message::Together(_) | Message::Heard(_)) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    fn run_engine(&mut self, mut engine: Engine, started: Instant) -> End {
        let seed = u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().unwrap_or_default());
        let mut heard: Vec<std::sync::mpsc::Sender<()>> = Vec::new();
        // Whether nothing was on its way to a subscriber when that was last asked.
        let mut settled = false;
        let mut batch = vec![Input::Start { seed, host: host_name() }, Input::Config(Box::new(self.wishes()))];
        loop {
            let now = Now { mono: started.elapsed().as_millis() as u64, wall: wall_now() };
            let begun = Instant::now();
            let effects = match engine.step(std::iter::once(Input::Tick(now)).chain(batch.drain(..))) {
                Ok(effects) => effects,
                Err(error) => return End::Store(error),
            };
            let took = begun.elapsed();
            for effect in effects {
                self.world.carry_out(effect);
            }
            self.world.begin_reads();
            self.shared.stepped(engine.health(), took);
            self.shared.set_degraded("store", None);
            for heard in heard.drain(..) {
                // Whoever asked may have gone away.
                let _ = heard.send(());
            }
            let mut pulse = PULSE;
            if self.once {
                match engine.at_rest() {
                    // What subscribers took is written down by one more step.
                    Ok(true) if settled => return End::Stop,
                    Ok(true) => (settled, pulse) = (self.world.subscribers_are_settled(), LAST_PULSE),
                    Ok(false) => settled = false,
                    Err(error) => return End::Store(error),
                }
            }
            let wait =
                engine.deadline().map_or(pulse, |due| Duration::from_millis(due.saturating_sub(now.mono)).min(pulse));
            if !self.gather(&mut batch, &mut heard, wait) {
                return End::Stop;
            }
        }
    }

    /// Gathers inputs until the queue is empty; false if somebody said stop.
    fn gather(&mut self, batch: &mut Vec<Input>, heard: &mut Vec<std::sync::mpsc::Sender<()>>, wait: Duration) -> bool {
        let mut next = match self.queue.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let until = Instant::now() + BATCH_TIME;
        while let Some(message) = next {
            match message {
                Message::Input(input) => self.take(batch, input),
                Message::Together(inputs) => inputs.into_iter().for_each(|input| self.take(batch, input)),
                Message::Command(command, answer) => {
                    let ticket = self.world.expect_answer(answer);
                    batch.push(Input::Command { ticket, command });
                }
                Message::Heard(back) => heard.push(back),
                Message::Reconfigure(config) => {
                    self.config = *config;
                    batch.push(Input::Config(Box::new(self.wishes())));
                }
                Message::Stop => return false,
            }
            if batch.len() >= BATCH_INPUTS || Instant::now() >= until {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        if batch.iter().any(|input| matches!(input, Input::Done { .. })) {
            batch.extend(self.world.usage());
        }
        true
    }

    fn take(&mut self, batch: &mut Vec<Input>, input: Input) {
        if let Input::Done { job, .. } = &input {
            self.world.done(*job);
        }
        batch.push(input);
    }

    fn wishes(&self) -> Wishes {
        let (wishes, wrong) = wishes(&self.config, &self.credentials);
        self.shared.set_degraded("accounts", wrong);
        let roots = self.config.folders.iter().map(|folder| folder.local.clone()).collect();
        *self.shared.roots.lock().unwrap_or_else(PoisonError::into_inner) = roots;
        wishes
    }

    /// Lets deeds and token renewals that are under way come to their end. What they did is found again at the next start.
    fn finish(&mut self) {
        let (tasks, providers) = self.world.stop();
        let runtime = self.world.runtime();
        let settled = async move {
            tasks.wait().await;
            for provider in providers {
                provider.settle().await;
            }
        };
        if runtime.block_on(async { tokio::time::timeout(super::END_PATIENCE / 2, settled).await }).is_err() {
            tracing::warn!("some work did not end in time; the next start goes on where it was");
        }
    }
}

/// What a configuration asks for, with what the clouds can do. An account whose adapter cannot be made is left out, and said.
fn wishes(config: &Config, credentials: &std::path::Path) -> (Wishes, Option<Degraded>) {
    let mut wishes = Wishes {
        accounts: Vec::new(),
        folders: config.folders.clone(),
        hooks: config.hooks_on(),
        subscriptions: config.subscriptions.clone(),
    };
    let mut wrong = None;
    for account in &config.accounts {
        match make_provider(account, credentials.to_owned(), Counters::default().of(&account.name)) {
            Ok(provider) => wishes.accounts.push((account.clone(), provider.capabilities())),
            Err(error) => {
                wrong = Some(Degraded {
                    name: "accounts".into(),
                    cause: format!("account `{}`: {error}", account.name),
                    next_step: "correct the account in the configuration".into(),
                });
            }
        }
    }
    (wishes, wrong)
}

/// Runs the engine over a store for one command, without a world: nothing but the answer is carried out.
pub fn one_command(
    store: Store,
    config: &Config,
    credentials: &std::path::Path,
    command: Command,
) -> Result<Answer, RunError> {
    let mut engine = Engine::new(store);
    let (wishes, _) = wishes(config, credentials);
    let now = Now { mono: 0, wall: wall_now() };
    let inputs = [
        Input::Start { seed: wall_now().0 as u64, host: host_name() },
        Input::Tick(now),
        Input::Config(Box::new(wishes)),
        Input::Command { ticket: 0, command },
    ];
    let effects = engine.step(inputs).map_err(state_error)?;
    let answer = effects.into_iter().find_map(|effect| match effect {
        Effect::Answer { answer, .. } => Some(answer),
        _ => None,
    });
    answer.ok_or_else(|| RunError::Failed("the engine gave no answer".into()))
}

fn state_error(error: StoreError) -> RunError {
    RunError::State(error.to_string())
}

/// What the machine is called, for the names of conflict copies.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
