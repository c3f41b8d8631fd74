//! Carries hooks out: programs, workers, scanners and servers are asked, and whatever they do ends in one of five verdicts.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::hook::scanner::Clamd;
use crate::hook::{Call, Document, HookSettings, Outcome, Scanner, Verdict};

pub mod clamd;
pub mod credential;
pub mod exec;
pub mod icap;
pub mod launch;
pub mod owner;
pub mod post;
mod reach;
pub mod tail;
pub mod worker;

pub use owner::Trust;

/// How much of what a guest says is kept.
pub const OUTPUT_KEPT_BYTES: usize = 16 * 1024;

/// How long a scanner may take to show how large files it looks into.
const REACH_LIMIT: Duration = Duration::from_secs(30);

/// What one run needs besides the hook's own settings.
#[derive(Debug, Clone)]
pub struct Order {
    /// What the hook is told.
    pub document: Document,
    /// The path inside the folder, as its bytes are.
    pub path: Option<OsString>,
    /// The content, for exec hooks.
    pub file: Option<PathBuf>,
}

/// Runs hooks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runner {
    trust: Trust,
    credentials: credential::Drawer,
    client: post::Client,
    shared: Arc<Mutex<Shared>>,
}

/// What runs of one hook have in common.
#[derive(Debug, Default)]
struct Shared {
    turns: HashMap<String, (u32, Arc<Semaphore>)>,
    clamds: HashMap<String, Arc<clamd::Client>>,
    icaps: HashMap<(String, Option<PathBuf>), Arc<icap::Client>>,
    workers: HashMap<String, Arc<worker::Pool>>,
    launchers: HashMap<String, launch::Launcher>,
}

impl Runner {
    /// A runner that finds secrets in a directory, and starts programs of these owners only.
    pub fn new(trust: Trust, credentials_dir: &Path) -> Result<Self, post::NoClient> {
        reach::adopt_orphans();
        crate::sys::keep_inherited_descriptors();
        Ok(Self {
            trust,
            credentials: credential::Drawer::new(credentials_dir.to_owned()),
            client: post::Client::new()?,
            shared: Arc::default(),
        })
    }

    /// Runs a hook once, when its turn has come: no more than `concurrency` run at once. It ends within the hook's time limit and a few
    /// seconds of grace from then on, whatever the guest does.
    pub async fn run(&self, hook: &HookSettings, order: &Order) -> Outcome {
        let turns = self.turns(hook);
        let Ok(_turn) = turns.acquire().await else {
            return Outcome::failed("the hook is not run any more", Duration::ZERO);
        };
        match &hook.call {
            Call::Exec { run, worker } => {
                let launcher = match self.launcher(hook) {
                    Ok(launcher) => launcher,
                    Err(error) => {
                        return Outcome::down(format!("no thread to start programs: {error}"), Duration::ZERO);
                    }
                };
                if !worker {
                    return exec::run(run, hook.timeout, order, self.trust, &launcher).await;
                }
                self.pool(hook, run).ask(hook.timeout, order, self.trust, &launcher).await
            }
            Call::Scan(scanner) => self.scan(scanner, hook.timeout, order).await,
            Call::Http { url, expect_status, headers, sign, format, route } => {
                let request = post::Request {
                    url,
                    expect_status: *expect_status,
                    headers,
                    sign: sign.as_deref(),
                    format: *format,
                    route,
                };
                post::run(&self.client, &request, hook.timeout, order, &self.credentials).await
            }
        }
    }

    /// Asks the scanner behind a hook how it is; what is no scanner is well.
    pub async fn probe(&self, hook: &HookSettings) -> Outcome {
        match &hook.call {
            Call::Scan(Scanner::Clamd(place)) => self.clamd(place).probe().await,
            Call::Scan(Scanner::Icap { url, ca_file }) => self.icap(url, ca_file.as_deref()).probe().await,
            Call::Exec { .. } | Call::Http { .. } => Outcome::ruled(Verdict::Allow, "", Duration::ZERO),
        }
    }

    /// How large files the scanner behind a hook looks into, in a sentence, and whether that is as it should be; nothing where no scanner
    /// is known to pass over some.
    pub async fn reach(&self, hook: &HookSettings) -> Option<(String, bool)> {
        let Call::Scan(Scanner::Clamd(place)) = &hook.call else { return None };
        let client = self.clamd(place);
        match timeout(REACH_LIMIT, client.looks_into()).await {
            Ok(Ok(told)) => Some(told),
            Ok(Err(why)) => Some((why, false)),
            Err(_) => Some(("it does not say in time how large files it looks into".to_owned(), false)),
        }
    }

    async fn scan(&self, scanner: &Scanner, limit: Duration, order: &Order) -> Outcome {
        let start = Instant::now();
        let Some(file) = &order.file else { return Outcome::failed("there is no file", Duration::ZERO) };
        let scanned = timeout(limit, async {
            match scanner {
                Scanner::Clamd(place) => self.clamd(place).scan(file).await,
                Scanner::Icap { url, ca_file } => {
                    let name = order.document.item.as_ref().map_or("", |item| item.path.as_str());
                    self.icap(url, ca_file.as_deref()).scan(file, name).await
                }
            }
        });
        scanned.await.unwrap_or_else(|_| Outcome {
            verdict: Verdict::TimedOut,
            ..Outcome::failed(format!("no answer within {} s", limit.as_secs_f32()), start.elapsed())
        })
    }

    fn turns(&self, hook: &HookSettings) -> Arc<Semaphore> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = shared.turns.entry(hook.name.clone()).or_insert_with(|| (0, Arc::new(Semaphore::new(0))));
        if turns.0 != hook.concurrency {
            *turns = (hook.concurrency, Arc::new(Semaphore::new(hook.concurrency as usize)));
        }
        Arc::clone(&turns.1)
    }

    fn clamd(&self, place: &Clamd) -> Arc<clamd::Client> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Scanner::Clamd(place.clone()).to_string();
        Arc::clone(shared.clamds.entry(key).or_insert_with(|| Arc::new(clamd::Client::new(place.clone()))))
    }

    fn icap(&self, url: &url::Url, ca_file: Option<&Path>) -> Arc<icap::Client> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (url.to_string(), ca_file.map(Path::to_owned));
        let new = || Arc::new(icap::Client::new(url.clone(), ca_file.map(Path::to_owned)));
        Arc::clone(shared.icaps.entry(key).or_insert_with(new))
    }

    /// The launcher of a hook: its programs may lie on a disk that does not answer.
    fn launcher(&self, hook: &HookSettings) -> std::io::Result<launch::Launcher> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(launcher) = shared.launchers.get(&hook.name) {
            return Ok(launcher.clone());
        }
        let launcher = launch::Launcher::new()?;
        shared.launchers.insert(hook.name.clone(), launcher.clone());
        Ok(launcher)
    }

    fn pool(&self, hook: &HookSettings, run: &[String]) -> Arc<worker::Pool> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = shared.workers.entry(hook.name.clone()).or_insert_with(|| Arc::new(worker::Pool::new(run.to_vec())));
        if !pool.runs(run) {
            // Another program: the workers of the former one end when they are done.
            *pool = Arc::new(worker::Pool::new(run.to_vec()));
        }
        Arc::clone(pool)
    }
}
