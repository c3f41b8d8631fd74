//! Fetching: one version of one file from the cloud into a folder's staging directory, whole and verified, or not at all.
//!
//! Verified means: length and digest are those that the provider gives for exactly this version. What is not known of it is asked for
//! before anything is staged (`known`). A cut answer is resumed where it ended, a wrong content is fetched again, a stalled one is given
//! up; what remains wrong is reported, with what came in place of the content. Memory does not grow with the length of the file.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::bandwidth::Pace;
use crate::deed::{DiskError, DiskErrorKind, Staged};
use crate::id::{ContentHash, ItemId, JobId, VersionId};
use crate::local::{LocalFolder, SMALL_MAX_BYTES, StageError, StageOrder};
use crate::provider::{Content, Provider, ProviderError, ProviderErrorKind};
use crate::tree::Wall;

mod known;
mod long;
mod patience;
mod plan;
pub mod streams;

use patience::{PROGRESS_MIN_BYTES, Patience, WINDOW, Watchdog};
use streams::Streams;

use known::{HEAD_BYTES, OtherLength, Told, what_came};

/// How often a whole content may be wrong.
const CORRUPT_MAX: u32 = 3;
/// The longest wait for an answer to begin, the adapter's own retries included.
const OPEN_MAX: Duration = Duration::from_mins(3);
/// How much is handed to the disk at a time, in bytes.
const PART_BYTES: u64 = 512 * 1024;
/// How many parts may wait for the disk.
const PARTS_WAITING_MAX: usize = 4;

/// What to fetch.
#[derive(Debug, Clone)]
pub struct FetchOrder {
    /// The job.
    pub job: JobId,
    /// The file.
    pub item: ItemId,
    /// Exactly this content of it.
    pub version: VersionId,
    /// The length that the cloud reports.
    pub size: Option<u64>,
    /// The digest that the cloud reports.
    pub hash: Option<ContentHash>,
    /// The modification time to give the file.
    pub modified: Option<Wall>,
}

/// Why nothing was staged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// The cloud.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file has another version by now: look at the item again.
    #[error("the file has version {now} by now, and version {ordered} could not be verified")]
    Changed {
        /// What was ordered.
        ordered: VersionId,
        /// What the provider describes now.
        now: VersionId,
    },
    /// Nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
}

/// What came of a fetch that broke off.
#[derive(Debug)]
pub struct Piece {
    order: FetchOrder,
    got: u64,
    head: Vec<u8>,
    sink: Sink,
}

impl Piece {
    /// Whether it is a beginning of this very content.
    pub fn is_of(&self, order: &FetchOrder) -> bool {
        fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        let ours = &self.order;
        (&ours.item, &ours.version) == (&order.item, &order.version)
            && agree(ours.size.as_ref(), order.size.as_ref())
            && agree(ours.hash.as_ref(), order.hash.as_ref())
    }
}

/// A fetch that broke off.
#[derive(Debug)]
pub struct Broken {
    /// Why.
    pub why: FetchError,
    /// What came until then, where it is worth keeping.
    pub piece: Option<Piece>,
}

impl<E: Into<FetchError>> From<E> for Broken {
    fn from(why: E) -> Self {
        Self { why: why.into(), piece: None }
    }
}

/// What a transfer shares with the others of its account.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// The bytes per second.
    pub pace: &'a Pace,
    /// The streams under way.
    pub streams: &'a Streams,
}

/// Fetches a version into the staging directory. `progress` hears how many bytes are there, from 0 again after a restart.
///
/// If the future is dropped, what was staged stays until the next sweep; a fetch that failed leaves nothing.
pub async fn fetch(
    provider: &dyn Provider,
    folder: Arc<LocalFolder>,
    order: FetchOrder,
    pace: &Pace,
    progress: impl Fn(u64) + Send + Sync,
    cancel: CancellationToken,
) -> Result<Staged, FetchError> {
    let way = Way { pace, streams: &Streams::new(1) };
    match fetch_on(provider, folder, order, &way, progress, cancel, None).await {
        Ok(staged) => Ok(staged),
        Err(Broken { why, piece }) => {
            if let Some(piece) = piece {
                piece.sink.abandon().await;
            }
            Err(why)
        }
    }
}

/// The same, going on from what came before, and handing out what came if it breaks off for a reason that is not the content's.
pub async fn fetch_on(
    provider: &dyn Provider,
    folder: Arc<LocalFolder>,
    order: FetchOrder,
    way: &Way<'_>,
    progress: impl Fn(u64) + Send + Sync,
    cancel: CancellationToken,
    mut earlier: Option<Piece>,
) -> Result<Staged, Broken> {
    let _stream = way.streams.enter();
    // What does not fit costs no call; what came before has its room already, and a long one is measured with what is left of it.
    let long = long::length_of(&order).filter(|_| earlier.is_none());
    let rest = order.size.unwrap_or(0).saturating_sub(earlier.as_ref().map_or(0, |piece| piece.got));
    if let Err(error) = folder.check_room(if long.is_some() { 0 } else { rest }) {
        return Err(Broken { why: error.into(), piece: earlier });
    }
    let mut order = order;
    let (mut corrupt, mut asked) = (0, false);
    if let Some(size) = long {
        let fetched = tokio::select! {
            fetched = long::fetch(provider, &folder, (&order, size), way, &progress) => fetched?,
            () = cancel.cancelled() => return Err(FetchError::Cancelled.into()),
        };
        match fetched {
            Ok(staged) => return Ok(staged),
            // Whatever it was that came, one stream from the beginning to the end finds out.
            Err(wrong) => tracing::debug!(item = %order.item, "fetching again: {wrong}"),
        }
        corrupt += 1;
    }
    loop {
        let mut fetch = Fetch::new(provider, order, way.pace, &progress);
        let kept = earlier.take().map(|piece| fetch.take_up(piece));
        let begun = tokio::select! {
            begun = fetch.begin(&mut asked) => begun,
            () = cancel.cancelled() => Err(FetchError::Cancelled),
        };
        let wrong = match (begun, kept) {
            (Err(why), None) => return Err(why.into()),
            (Err(why), Some(sink)) => return Err(fetch.broken(why, sink).await),
            (Ok(Err(other)), kept) => {
                if let Some(sink) = kept {
                    sink.abandon().await;
                }
                other.to_string()
            }
            (Ok(Ok(content)), kept) => {
                let mut sink = kept.unwrap_or_else(|| Sink::new(&folder, &fetch.order));
                let received = tokio::select! {
                    received = fetch.receive(content, &mut sink) => received,
                    () = cancel.cancelled() => Err(Stop::Fetch(FetchError::Cancelled)),
                };
                match staged(&fetch, sink, received).await? {
                    Ok(staged) => return Ok(staged),
                    Err(wrong) => wrong,
                }
            }
        };
        corrupt += 1;
        let wrong = fetch.with_what_came(&wrong);
        if corrupt >= CORRUPT_MAX {
            return Err(fetch.error(ProviderErrorKind::Corrupt, &wrong).into());
        }
        tracing::debug!(item = %fetch.order.item, corrupt, "fetching again: {wrong}");
        order = fetch.order;
    }
}

/// Ends a pass: the staged file, or why what came is not the ordered content.
async fn staged<P: Fn(u64) + Send + Sync>(
    fetch: &Fetch<'_, P>,
    sink: Sink,
    received: Result<(), Stop>,
) -> Result<Result<Staged, String>, Broken> {
    let staged = match received {
        Ok(()) | Err(Stop::SinkClosed) => sink.finish().await,
        Err(Stop::TooLong { expected }) => {
            sink.abandon().await;
            Err(StageError::WrongSize { expected, found: fetch.got })
        }
        Err(Stop::OtherLength(other)) => {
            sink.abandon().await;
            return Ok(Err(other.to_string()));
        }
        Err(Stop::Fetch(why)) => return Err(fetch.broken(why, sink).await),
    };
    match staged {
        Ok(staged) => Ok(Ok(staged)),
        Err(StageError::Disk(why)) => Err(why.into()),
        Err(wrong) => Ok(Err(wrong.to_string())),
    }
}

/// Why receiving stopped.
enum Stop {
    /// The disk side ended; it knows why.
    SinkClosed,
    /// More came than the file has.
    TooLong { expected: u64 },
    /// A later answer announces another length than the file has.
    OtherLength(OtherLength),
    /// The end.
    Fetch(FetchError),
}

impl From<ProviderError> for Stop {
    fn from(why: ProviderError) -> Self {
        Self::Fetch(why.into())
    }
}

impl From<FetchError> for Stop {
    fn from(why: FetchError) -> Self {
        Self::Fetch(why)
    }
}

/// One pass over the bytes of a version.
struct Fetch<'a, P> {
    provider: &'a dyn Provider,
    order: FetchOrder,
    pace: &'a Pace,
    progress: &'a P,
    got: u64,
    /// The beginning of what came.
    head: Vec<u8>,
    patience: Patience,
}

impl<'a, P: Fn(u64) + Send + Sync> Fetch<'a, P> {
    fn new(provider: &'a dyn Provider, order: FetchOrder, pace: &'a Pace, progress: &'a P) -> Self {
        Self { provider, order, pace, progress, got: 0, head: Vec::new(), patience: Patience::default() }
    }

    /// Goes on where another fetch broke off.
    fn take_up(&mut self, piece: Piece) -> Sink {
        (self.order, self.head) = (FetchOrder { job: self.order.job, ..piece.order }, piece.head);
        self.got = piece.got;
        self.patience = Patience::from(piece.got);
        (self.progress)(piece.got);
        piece.sink
    }

    /// What is told of a fetch that breaks off here.
    async fn broken(&self, why: FetchError, sink: Sink) -> Broken {
        let waits = match &why {
            FetchError::Provider(error) => matches!(
                error.kind,
                ProviderErrorKind::SignInNeeded
                    | ProviderErrorKind::Network
                    | ProviderErrorKind::Unavailable
                    | ProviderErrorKind::RateLimited
                    | ProviderErrorKind::QuotaExhausted
            ),
            FetchError::Disk(_) | FetchError::Changed { .. } | FetchError::Cancelled => false,
        };
        if waits && self.got >= PROGRESS_MIN_BYTES && matches!(sink, Sink::Writer { .. }) {
            let (order, head) = (self.order.clone(), self.head.clone());
            return Broken { why, piece: Some(Piece { order, got: self.got, head, sink }) };
        }
        sink.abandon().await;
        why.into()
    }

    /// Opens the first answer, and makes sure that it can be verified.
    async fn begin(&mut self, asked: &mut bool) -> Result<Result<Content, OtherLength>, FetchError> {
        let mut content = self.open().await?;
        if let Err(other) = known::complete(self.provider, &mut self.order, Told::by(&content), asked).await? {
            // Only to name what came; an answer that brings nothing is named as empty.
            if let Ok(Some(Ok(bytes))) = tokio::time::timeout(WINDOW, content.stream.next()).await {
                self.got = bytes.len() as u64;
                self.take_head(&bytes);
            }
            return Ok(Err(other));
        }
        Ok(Ok(content))
    }

    fn take_head(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// A reason with what came in place of the content, where that can be told.
    fn with_what_came(&self, why: &str) -> String {
        match what_came(&self.head, self.got) {
            Some(came) if self.order.size != Some(0) => format!("{why}; {came}"),
            _ => why.to_owned(),
        }
    }

    /// Receives the whole content, resuming after cuts.
    async fn receive(&mut self, first: Content, sink: &mut Sink) -> Result<(), Stop> {
        let mut content = first;
        loop {
            match self.read(content, sink).await {
                Ok(()) => return Ok(()),
                Err(Stop::Fetch(FetchError::Provider(why))) => self.pause_after(why, false).await?,
                Err(stop) => return Err(stop),
            }
            content = self.open().await?;
        }
    }

    /// Asks for what is missing until an answer begins, or there is no use in waiting.
    async fn open(&mut self) -> Result<Content, FetchError> {
        loop {
            match self.open_once().await {
                Ok(content) => return Ok(content),
                Err(why) => self.pause_after(why, true).await?,
            }
        }
    }

    async fn open_once(&self) -> Result<Content, ProviderError> {
        let call = self.provider.content(&self.order.item, &self.order.version, self.got);
        match tokio::time::timeout(OPEN_MAX, call).await {
            Ok(answer) => answer,
            Err(_) => Err(self.error(ProviderErrorKind::Unavailable, "no answer came")),
        }
    }

    /// Reads one answer to its end.
    async fn read(&mut self, content: Content, sink: &mut Sink) -> Result<(), Stop> {
        let Content { offset, total, mut stream, .. } = content;
        if let (Some(expected), Some(found)) = (self.order.size, total)
            && expected != found
        {
            return Err(Stop::OtherLength(OtherLength { expected, found }));
        }
        if offset != self.got {
            // The provider ignored where we wanted to go on: appending would mix two places of the file.
            sink.restart().await?;
            self.got = 0;
            self.head.clear();
            (self.progress)(0);
            if offset != 0 {
                return Err(self.error(ProviderErrorKind::Malformed, "the answer begins at another place").into());
            }
        }
        let expected = self.order.size.or(total);
        let mut watchdog = Watchdog::new();
        loop {
            let Some(next) = watchdog.watch(stream.next()).await else {
                return Err(self.error(ProviderErrorKind::Unavailable, "the download stalled").into());
            };
            let Some(bytes) = next.transpose()? else { break };
            watchdog.count(bytes.len() as u64);
            self.got += bytes.len() as u64;
            if let Some(expected) = expected.filter(|expected| self.got > *expected) {
                return Err(Stop::TooLong { expected });
            }
            self.take_head(&bytes);
            let length = bytes.len();
            sink.push(bytes).await?;
            (self.progress)(self.got);
            self.pace.take(length).await;
        }
        match expected {
            Some(expected) if self.got < expected => {
                let why = self.with_what_came("the answer ended early");
                Err(self.error(ProviderErrorKind::Unavailable, &why).into())
            }
            _ => Ok(()),
        }
    }

    /// Waits before the next try, if there is to be one.
    async fn pause_after(&mut self, why: ProviderError, at_opening: bool) -> Result<(), FetchError> {
        let Some(pause) = self.patience.pause_after(&why, self.got, at_opening) else { return Err(why.into()) };
        tracing::debug!(item = %self.order.item, got = self.got, ?pause, "download interrupted: {why}");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn error(&self, kind: ProviderErrorKind, message: &str) -> ProviderError {
        ProviderError::new(kind, message)
            .with("operation", "content")
            .with("item", &self.order.item)
            .with("version", &self.order.version)
            .with("received", self.got)
    }
}

/// Where the bytes go: small files are gathered and staged in one go, others flow to a writer on a thread of its own.
#[derive(Debug)]
enum Sink {
    Memory { folder: Arc<LocalFolder>, order: StageOrder, parts: Vec<Bytes> },
    Writer { parts: mpsc::Sender<Part>, waiting: Vec<Bytes>, waiting_bytes: u64, writer: Writing },
}

/// The writer's thread; nothing comes of a file that was abandoned.
type Writing = JoinHandle<Result<Option<Staged>, StageError>>;

/// What the writer is told.
#[derive(Debug)]
enum Part {
    Bytes(Vec<Bytes>),
    Restart,
    Finish,
}

impl Sink {
    fn new(folder: &Arc<LocalFolder>, order: &FetchOrder) -> Self {
        let folder = Arc::clone(folder);
        let FetchOrder { job, size, hash, modified, .. } = order.clone();
        let order = StageOrder { job, size, hash, modified };
        if size.is_some_and(|size| size <= SMALL_MAX_BYTES) {
            return Self::Memory { folder, order, parts: Vec::new() };
        }
        let (parts, receiver) = mpsc::channel(PARTS_WAITING_MAX);
        let writer = tokio::task::spawn_blocking(move || write(&folder, &order, receiver));
        Self::Writer { parts, waiting: Vec::new(), waiting_bytes: 0, writer }
    }

    async fn push(&mut self, bytes: Bytes) -> Result<(), Stop> {
        match self {
            Self::Memory { parts, .. } => {
                parts.push(bytes);
                Ok(())
            }
            Self::Writer { parts, waiting, waiting_bytes, .. } => {
                *waiting_bytes += bytes.len() as u64;
                waiting.push(bytes);
                if *waiting_bytes < PART_BYTES {
                    return Ok(());
                }
                *waiting_bytes = 0;
                let part = Part::Bytes(std::mem::take(waiting));
                parts.send(part).await.map_err(|_| Stop::SinkClosed)
            }
        }
    }

    async fn restart(&mut self) -> Result<(), Stop> {
        match self {
            Self::Memory { parts, .. } => {
                parts.clear();
                Ok(())
            }
            Self::Writer { parts, waiting, waiting_bytes, .. } => {
                waiting.clear();
                *waiting_bytes = 0;
                parts.send(Part::Restart).await.map_err(|_| Stop::SinkClosed)
            }
        }
    }

    /// Verifies and stages what came.
    async fn finish(self) -> Result<Staged, StageError> {
        match self {
            Self::Memory { folder, order, parts } => {
                let staging = tokio::task::spawn_blocking(move || folder.stage_small(&order, &parts));
                staging.await.unwrap_or_else(|why| Err(died(&why)))
            }
            Self::Writer { parts, waiting, writer, .. } => {
                // A writer that has ended does not listen; it says why itself.
                if parts.send(Part::Bytes(waiting)).await.is_ok() {
                    let _ = parts.send(Part::Finish).await;
                }
                drop(parts);
                match writer.await {
                    Ok(Ok(Some(staged))) => Ok(staged),
                    Ok(Ok(None)) => Err(no_thread("the writer ended early")),
                    Ok(Err(why)) => Err(why),
                    Err(why) => Err(died(&why)),
                }
            }
        }
    }

    /// Lets go of what came, and waits until nothing of it is left on disk.
    async fn abandon(self) {
        if let Self::Writer { parts, writer, .. } = self {
            drop(parts);
            if let Err(why) = writer.await {
                tracing::debug!("an abandoned download: {why}");
            }
        }
    }
}

fn write(
    folder: &LocalFolder,
    order: &StageOrder,
    mut parts: mpsc::Receiver<Part>,
) -> Result<Option<Staged>, StageError> {
    let mut writer = folder.stage(order)?;
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::Bytes(bytes) => writer.write(&bytes)?,
            Part::Restart => writer.restart()?,
            Part::Finish => return writer.finish().map(Some),
        }
    }
    Ok(None)
}

fn died(why: &tokio::task::JoinError) -> StageError {
    no_thread(&why.to_string())
}

fn no_thread(why: &str) -> StageError {
    StageError::Disk(DiskError { kind: DiskErrorKind::Item, text: format!("cannot stage a download: {why}") })
}
