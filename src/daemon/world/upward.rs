//! The way up: looks at the local disk, watches over it, and uploads.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Message, World, post};
use crate::daemon::bandwidth::Bandwidth;
use crate::daemon::transfers::Way;
use crate::daemon::upload::{Sessions, Upload, upload};
use crate::deed::{DiskError, DiskErrorKind};
use crate::engine::effect::LocalTask;
use crate::engine::{Input, Outcome};
use crate::id::{FolderId, JobId};
use crate::local;
use crate::local_news::{HashOrder, LocalMiss, News, Rescan, ScanFailure, UploadFailure, UploadFile};
use crate::provider::Provider;
use crate::tree::Wall;

/// Upload sessions that the engine was told of, until it says that they are durable.
#[derive(Debug, Clone)]
pub struct SessionNotes {
    inputs: SyncSender<Message>,
    waiting: Arc<Mutex<HashMap<JobId, oneshot::Sender<()>>>>,
}

impl SessionNotes {
    pub fn new(inputs: SyncSender<Message>) -> Self {
        Self { inputs, waiting: Arc::default() }
    }

    /// The engine has committed the session of this job.
    pub fn kept(&self, job: JobId) {
        // A job that was cancelled meanwhile does not wait any more.
        if let Some(waiting) = self.locked().remove(&job) {
            let _ = waiting.send(());
        }
    }

    /// Nobody will be told any more: an engine that is no more keeps nothing.
    pub fn forget(&self) {
        self.locked().clear();
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sessions for SessionNotes {
    async fn note(&self, job: JobId, session: &str) -> io::Result<()> {
        let (kept, done) = oneshot::channel();
        self.locked().insert(job, kept);
        // The job's own place in the queue is free until it is done.
        let told = self.inputs.send(Message::Input(Input::Session { job, session: session.to_owned() }));
        told.map_err(|_| io::Error::other("the agent is ending"))?;
        done.await.map_err(|_| io::Error::other("the engine was built anew"))
    }
}

fn closed() -> DiskError {
    DiskError { kind: DiskErrorKind::RootLost, text: "the folder is not open".into() }
}

/// Up to this length what comes of an upload waits a moment for what comes of others.
const TOGETHER_MAX_BYTES: u64 = 256 * 1024;
/// Up to this length a file is read in turn with others.
const READ_IN_TURN_MAX_BYTES: u64 = 256 * 1024;
/// So many are read in turn, by one thread: half of what the engine asks ahead, so that there is always something to read.
const READS_IN_TURN: usize = 16;

impl World {
    /// Begins to read the files that the effects of this step wanted read: short ones in turn, and what they hold is one input.
    pub fn begin_reads(&mut self) {
        let mut short: BTreeMap<FolderId, Vec<(JobId, HashOrder)>> = BTreeMap::new();
        for (job, folder, order) in std::mem::take(&mut self.reads) {
            if order.stamp.size > READ_IN_TURN_MAX_BYTES {
                self.read_in_turn(folder, vec![(job, order)]);
                continue;
            }
            let orders = short.entry(folder).or_default();
            orders.push((job, order));
            if orders.len() == READS_IN_TURN {
                let orders = std::mem::take(orders);
                self.read_in_turn(folder, orders);
            }
        }
        for (folder, orders) in short.into_iter().filter(|(_, orders)| !orders.is_empty()) {
            self.read_in_turn(folder, orders);
        }
    }

    fn read_in_turn(&self, folder: FolderId, orders: Vec<(JobId, HashOrder)>) {
        let (local, inputs) = (self.root(folder), self.inputs.clone());
        let read = move || {
            let read = |(job, order): (JobId, HashOrder)| {
                let result = match &local {
                    Some(local) => local.hash_file(&order, Wall(jiff::Timestamp::now().as_millisecond())),
                    None => Err(LocalMiss::Failed(closed())),
                };
                Input::Done { job, outcome: Outcome::Hashed(result) }
            };
            // The queue has a place for every job; it is gone only when the agent ends.
            let _ = inputs.send(Message::Together(orders.into_iter().map(read).collect()));
        };
        self.tasks.spawn_blocking_on(read, &self.runtime);
    }

    /// Looks at a folder's disk.
    pub(super) fn local(&mut self, job: JobId, folder: FolderId, task: LocalTask) {
        let orders = match task {
            LocalTask::Scan(orders) => orders,
            LocalTask::Hash(order) => return self.reads.push((job, folder, order)),
        };
        let Some(local) = self.root(folder) else {
            let failed = orders.iter().map(|_| Err(ScanFailure::Unreadable(closed())));
            self.post(job, Outcome::Scanned(failed.collect()));
            return;
        };
        let inputs = self.inputs.clone();
        let scan = move || post(&inputs, job, Outcome::Scanned(local.scan_in_turn(&orders)));
        self.tasks.spawn_blocking_on(scan, &self.runtime);
    }

    /// Begins or ends the watch over a folder. A folder that cannot be watched says so as a hint.
    pub(super) fn watch(&mut self, folder: FolderId, wanted: bool) {
        self.watches.locked().remove(&folder);
        let Some(local) = self.root(folder).filter(|_| wanted) else { return };
        let inputs = self.inputs.clone();
        match local::watch(local, move |news| tell(&inputs, folder, news)) {
            Ok(watching) => {
                self.watches.locked().insert(folder, watching);
            }
            Err(why) => {
                let text = format!("the watch could not be begun: {why}");
                if tell(&self.inputs, folder, News::Rescan(Rescan::Unwatched { text })).is_err() {
                    tracing::warn!(%folder, %why, "the folder is not watched");
                }
            }
        }
    }

    /// Uploads a file of a folder.
    pub(super) fn upload(
        &self,
        job: JobId,
        id: FolderId,
        order: UploadFile,
        provider: Arc<dyn Provider>,
        bandwidth: Arc<Bandwidth>,
        cancel: CancellationToken,
    ) {
        let Some(folder) = self.root(id) else {
            self.post(job, Outcome::Uploaded(Err(UploadFailure::Local(LocalMiss::Failed(closed())))));
            return;
        };
        let counter = self.transfers.begin(job, id, Way::Up, order.path.to_string(), Some(order.stamp.size));
        // What a long one brings about is worth a transaction of its own, and nobody waits for it.
        let awaited = (order.stamp.size <= TOGETHER_MAX_BYTES).then(|| self.uploads.expect());
        let (inputs, transfers, sessions) = (self.inputs.clone(), self.transfers.clone(), self.sessions.clone());
        let uploads = self.uploads.clone();
        let work = async move {
            let progress = |bytes| counter.reached(bytes);
            let with = Upload {
                provider: &*provider,
                folder,
                bandwidth: &bandwidth,
                sessions: &sessions,
                progress: &progress,
                cancel,
            };
            let _stream = bandwidth.streams.enter();
            let outcome = upload(job, order, with).await;
            transfers.end(job);
            match awaited {
                Some(awaited) => uploads.post(job, Outcome::Uploaded(outcome), awaited),
                None => post(&inputs, job, Outcome::Uploaded(outcome)),
            }
        };
        self.tasks.spawn_on(work, &self.runtime);
    }
}

/// Hands a hint on, or back if there is no room for it now.
fn tell(inputs: &SyncSender<Message>, folder: FolderId, news: News) -> Result<(), News> {
    match inputs.try_send(Message::Input(Input::Local { folder, news })) {
        Err(TrySendError::Full(Message::Input(Input::Local { news, .. }))) => Err(news),
        // When the agent ends, nobody wants to know any more.
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[tokio::test]
    async fn a_session_waits_until_it_is_durable() {
        let (inputs, queue) = sync_channel(4);
        let notes = SessionNotes::new(inputs);
        let noting = notes.clone();
        let noted = tokio::spawn(async move { noting.note(JobId(3), "S").await });
        let told = tokio::task::spawn_blocking(move || (queue.recv().unwrap(), queue)).await.unwrap();
        assert!(matches!(told.0, Message::Input(Input::Session { job: JobId(3), session }) if session == "S"));
        assert!(!noted.is_finished());
        notes.kept(JobId(9));
        notes.kept(JobId(3));
        noted.await.unwrap().unwrap();
        let again = notes.clone();
        let noted = tokio::spawn(async move { again.note(JobId(4), "T").await });
        let queue = told.1;
        tokio::task::spawn_blocking(move || queue.recv().unwrap()).await.unwrap();
        notes.forget();
        assert!(noted.await.unwrap().is_err(), "an engine that is no more keeps nothing");
    }

    #[test]
    fn a_hint_that_finds_no_room_comes_back() {
        let (inputs, queue) = sync_channel(1);
        let news = News::Rescan(Rescan::Began);
        assert_eq!(tell(&inputs, FolderId(1), news.clone()), Ok(()));
        assert_eq!(tell(&inputs, FolderId(1), news.clone()), Err(news.clone()));
        drop(queue);
        assert_eq!(tell(&inputs, FolderId(1), news), Ok(()));
    }
}
