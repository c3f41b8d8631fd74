//! Subscriptions carried out: one worker for each reads the journal on a connection of its own and delivers. The engine hears numbers only,
//! and never waits.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::world::Message;
use crate::config::Places;
use crate::events::subscription::SubscriptionSettings;
use crate::runner::credential::Drawer;
use crate::runner::post::Client;

mod file;
mod journal;
mod nats;
mod socket;
mod target;
mod webhook;
mod worker;

use worker::Worker;

/// What every worker needs.
#[derive(Debug)]
struct Kit {
    /// The database with the journal.
    database: PathBuf,
    /// The way to the engine.
    inputs: SyncSender<Message>,
    /// Secrets of targets.
    credentials: Drawer,
    /// The client for webhooks.
    client: Result<Client, String>,
}

/// A worker under way.
#[derive(Debug)]
struct Served {
    settings: SubscriptionSettings,
    cancel: CancellationToken,
    /// Up to which growth of the journal it is done, or cannot go on.
    settled: Arc<AtomicU64>,
}

/// The workers.
#[derive(Debug)]
pub struct Subscriptions {
    runtime: tokio::runtime::Handle,
    kit: Arc<Kit>,
    served: HashMap<String, Served>,
    /// How often the journal grew.
    grew: watch::Sender<u64>,
}

impl Subscriptions {
    /// No workers yet.
    pub fn new(runtime: tokio::runtime::Handle, places: &Places, inputs: SyncSender<Message>) -> Self {
        let kit = Kit {
            database: places.database(),
            inputs,
            credentials: Drawer::new(places.credentials_dir()),
            client: Client::new().map_err(|error| error.to_string()),
        };
        Self { runtime, kit: Arc::new(kit), served: HashMap::new(), grew: watch::channel(1).0 }
    }

    /// Serves these subscriptions from now on, and no others. A worker whose settings are the same goes on.
    pub fn serve(&mut self, wanted: Vec<SubscriptionSettings>, tasks: &TaskTracker) {
        self.served.retain(|name, served| {
            let stays = wanted.iter().any(|one| one.name == *name && *one == served.settings);
            if !stays {
                served.cancel.cancel();
            }
            stays
        });
        for settings in wanted {
            if self.served.contains_key(&settings.name) {
                continue;
            }
            let cancel = CancellationToken::new();
            let settled = Arc::new(AtomicU64::new(0));
            let told = Arc::clone(&settled);
            let worker = Worker::new(settings.clone(), Arc::clone(&self.kit), self.grew.subscribe(), told);
            tasks.spawn_on(worker.run(cancel.clone()), &self.runtime);
            self.served.insert(settings.name.clone(), Served { settings, cancel, settled });
        }
    }

    /// Entries were added to the journal.
    pub fn journal_grew(&self) {
        self.grew.send_modify(|times| *times += 1);
    }

    /// Whether every worker has delivered all that there is, or waits for a target that is not there.
    pub fn are_settled(&self) -> bool {
        let times = *self.grew.borrow();
        self.served.values().all(|served| served.settled.load(Ordering::Acquire) >= times)
    }

    /// Ends all workers. What was not delivered is delivered after the next start.
    pub fn stop(&mut self) {
        for (_, served) in self.served.drain() {
            served.cancel.cancel();
        }
    }
}
