//! What the HTTP faces and the test's hands have in common: one model behind one mutex, and who waits for its events.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::box_com::BoxState;
use super::counters::{Call, Counters, Oddity};
use super::egnyte::EgnyteState;
use super::faults::{Fault, Script};
use super::model::{Deed, Model, Streams, Through, User};
use super::network::Lines;
use super::tokens::Tokens;
use super::{Options, content};

#[derive(Debug)]
pub(crate) struct Shared {
    pub options: Options,
    pub counters: Counters,
    pub box_com: BoxState,
    pub egnyte: EgnyteState,
    pub lines: Lines,
    /// Signs download links.
    pub secret: u64,
    /// The ids of the newest events, for those who wait.
    pub newest_any: watch::Sender<u64>,
    pub newest_change: watch::Sender<u64>,
    /// True once the sandbox is stopping.
    pub closing: watch::Sender<bool>,
    url: OnceLock<String>,
    model: Mutex<Model>,
    tokens: Mutex<Tokens>,
    script: Mutex<Script>,
    /// Whether the script is worth a look.
    armed: AtomicBool,
    spills: AtomicU64,
    spill_dir: PathBuf,
    /// Deletes the directory of a sandbox that was not given one.
    _temporary: Option<tempfile::TempDir>,
}

/// The wall clock in milliseconds.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(options: Options) -> std::io::Result<Self> {
        let (temporary, spill_dir) = if let Some(dir) = &options.data {
            std::fs::create_dir_all(dir)?;
            (None, dir.clone())
        } else {
            let dir = tempfile::tempdir()?;
            let path = dir.path().to_owned();
            (Some(dir), path)
        };
        let mut random = options.seed ^ 0x7365_6372_6574;
        Ok(Self {
            counters: Counters::new(),
            box_com: BoxState::default(),
            egnyte: EgnyteState::new(&options),
            lines: Lines::new(options.network),
            secret: content::next_random(&mut random),
            newest_any: watch::Sender::new(0),
            newest_change: watch::Sender::new(0),
            closing: watch::Sender::new(false),
            url: OnceLock::new(),
            model: Mutex::new(Model::new(options.seed, now_ms())),
            tokens: Mutex::new(Tokens::new(options.seed)),
            script: Mutex::default(),
            armed: AtomicBool::new(false),
            spills: AtomicU64::new(0),
            spill_dir,
            _temporary: temporary,
            options,
        })
    }

    pub fn set_url(&self, url: String) {
        let _ = self.url.set(url);
    }

    pub fn url(&self) -> &str {
        self.url.get().map_or("", String::as_str)
    }

    /// Looks at the cloud.
    pub fn look<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look(&mut lock(&self.model))
    }

    /// Changes the cloud for a client of the API, then wakes those who wait for events of that kind.
    pub fn change<T>(&self, by: User, change: impl FnOnce(&mut Model, Deed) -> T) -> T {
        self.change_through(Through::Api, by, change)
    }

    /// As [`Shared::change`], for somebody with another kind of program.
    pub fn change_through<T>(&self, through: Through, by: User, change: impl FnOnce(&mut Model, Deed) -> T) -> T {
        let deed = Deed { by, now: now_ms(), through };
        let mut model = lock(&self.model);
        let before = model.newest_event();
        let result = change(&mut model, deed);
        let newest = model.newest_event();
        if newest > before {
            let news = model.events_after(before);
            let last_change = news.iter().rev().find(|event| event.kind.streams().shares(Streams::CHANGES));
            let last_change = last_change.map(|event| event.id);
            drop(model);
            self.newest_any.send_replace(newest);
            if let Some(id) = last_change {
                self.newest_change.send_replace(id);
            }
        }
        result
    }

    pub fn tokens<T>(&self, with: impl FnOnce(&mut Tokens) -> T) -> T {
        with(&mut lock(&self.tokens))
    }

    /// Changes the script of faults.
    pub fn script<T>(&self, with: impl FnOnce(&mut Script) -> T) -> T {
        let mut script = lock(&self.script);
        let result = with(&mut script);
        self.armed.store(script.is_armed(), Ordering::Release);
        result
    }

    /// What goes wrong with a request.
    pub fn faults_for(&self, call: Call, names: impl FnOnce() -> Vec<String>) -> Vec<Fault> {
        if !self.armed.load(Ordering::Acquire) {
            return Vec::new();
        }
        let names = names();
        let faults = self.script(|script| script.next(call.word(), &names));
        if !faults.is_empty() {
            self.counters.note(Oddity::FaultInjected);
        }
        faults
    }

    /// A file name that nothing else uses, for a body too large for memory.
    pub fn spill_path(&self) -> PathBuf {
        let number = self.spills.fetch_add(1, Ordering::Relaxed);
        self.spill_dir.join(format!("sandbox-{}-{number}.body", std::process::id()))
    }
}
