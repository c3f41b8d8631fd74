//! A long download: staged in parts, so that a restart goes on with what is there, and over more than one stream where that is faster.
//!
//! All parts are of one version: each is asked for by it, and an answer of another length or under another tag of the server's discards
//! everything. The digest of the whole decides in the end. A server that does not give parts is asked for all of it, once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::patience::{Patience, Watchdog};
use super::plan::Plan;
use super::streams::{Growth, Stream};
use super::{FetchError, FetchOrder, OPEN_MAX, PART_BYTES, PARTS_WAITING_MAX, Way, died, no_thread};
use crate::id::ContentHash;
use crate::local::{LocalFolder, PartOf, Spans, StageError, StageOrder};
use crate::provider::{Content, Provider, ProviderError, ProviderErrorKind};

/// From this length on a download is a long one.
const LONG_MIN_BYTES: u64 = 32 * 1024 * 1024;
/// How often it is looked at whether more streams would help.
const TICK: Duration = Duration::from_millis(250);

/// The length of a version that is fetched so; nothing if it is short, or cannot be verified by what is known of it.
pub fn length_of(order: &FetchOrder) -> Option<u64> {
    let is_verifiable = order.hash.as_ref().is_some_and(|hash| !matches!(hash, ContentHash::Unknown(_)));
    order.size.filter(|size| *size >= LONG_MIN_BYTES && is_verifiable)
}

/// Fetches a long version: staged, or why what came is not it. What came is kept for the next try if time may cure the error.
pub async fn fetch<P: Fn(u64) + Send + Sync>(
    provider: &dyn Provider,
    folder: &Arc<LocalFolder>,
    (order, size): (&FetchOrder, u64),
    way: &Way<'_>,
    progress: &P,
) -> Result<Result<crate::deed::Staged, String>, FetchError> {
    let of = PartOf {
        item: order.item.to_string(),
        version: order.version.to_string(),
        size,
        hash: order.hash.clone(),
        tag: None,
    };
    let staging = StageOrder { job: order.job, size: order.size, hash: order.hash.clone(), modified: order.modified };
    let (parts, receiver) = mpsc::channel(PARTS_WAITING_MAX);
    let (tell, told) = oneshot::channel();
    let folder = Arc::clone(folder);
    let writer = tokio::task::spawn_blocking(move || write(&folder, &staging, &of, tell, receiver));
    // Where there is no beginning, the writer says why.
    let received = match told.await {
        Ok((there, tag)) => {
            (progress)(there.bytes());
            let books = Books {
                got: there.bytes(),
                plan: Plan::new(there.gaps(size), provider.part_bytes()),
                streams: 0,
                allowed: 1,
                tag,
                gives_parts: true,
            };
            Long { provider, order, size, way, progress, parts: parts.clone(), books: Mutex::new(books) }
                .receive()
                .await
        }
        Err(_) => Err(Stop::SinkClosed),
    };
    let (last, stopped) = match received {
        Ok(()) => (Some(Part::Finish), None),
        Err(Stop::SinkClosed) => (None, None),
        Err(Stop::Wrong(wrong)) => (Some(Part::Abandon), Some(Ok(Err(wrong)))),
        Err(Stop::Cut { why, .. }) => {
            let waits = why.cure() == crate::provider::Cure::Time || why.kind == ProviderErrorKind::SignInNeeded;
            (Some(Part::Abandon).filter(|_| !waits), Some(Err(why.into())))
        }
    };
    if let Some(last) = last {
        // A writer that has ended does not listen; it says why itself.
        let _ = parts.send(last).await;
    }
    drop(parts);
    let written = writer.await.unwrap_or_else(|why| Err(died(&why)));
    match (stopped, written) {
        (Some(stopped), _) => stopped,
        (None, Ok(Some(staged))) => Ok(Ok(staged)),
        (None, Ok(None)) => Err(no_disk(no_thread("the writer ended early"))),
        (None, Err(StageError::Disk(why))) => Err(why.into()),
        (None, Err(wrong)) => Ok(Err(wrong.to_string())),
    }
}

fn no_disk(why: StageError) -> FetchError {
    match why {
        StageError::Disk(why) => why.into(),
        other => ProviderError::new(ProviderErrorKind::Corrupt, other.to_string()).into(),
    }
}

/// What the writer is told.
enum Part {
    At(u64, Vec<Bytes>),
    Tag(String),
    Restart,
    Finish,
    Abandon,
}

/// Writes until it is told to finish; without that, what is there is kept for later.
fn write(
    folder: &LocalFolder,
    order: &StageOrder,
    of: &PartOf,
    tell: oneshot::Sender<(Spans, Option<String>)>,
    mut parts: mpsc::Receiver<Part>,
) -> Result<Option<crate::deed::Staged>, StageError> {
    let mut writer = folder.stage_in_parts(order, of)?;
    // Who asked may have gone away; then nothing follows.
    let _ = tell.send((writer.there().clone(), writer.tag().map(ToOwned::to_owned)));
    while let Some(part) = parts.blocking_recv() {
        let written = match part {
            Part::At(at, bytes) => writer.write(at, &bytes),
            Part::Tag(tag) => {
                writer.set_tag(tag);
                Ok(())
            }
            Part::Restart => writer.restart(),
            Part::Finish => return writer.finish().map(Some),
            Part::Abandon => {
                writer.abandon();
                return Ok(None);
            }
        };
        if let Err(why) = written {
            writer.abandon();
            return Err(why.into());
        }
    }
    Ok(None)
}

/// Why a stream stopped.
enum Stop {
    /// The disk side ended; it knows why.
    SinkClosed,
    /// What comes is not the version.
    Wrong(String),
    /// The cloud; `opened` if bytes had begun to come.
    Cut { why: ProviderError, opened: bool },
}

struct Long<'a, P> {
    provider: &'a dyn Provider,
    order: &'a FetchOrder,
    size: u64,
    way: &'a Way<'a>,
    progress: &'a P,
    parts: mpsc::Sender<Part>,
    books: Mutex<Books>,
}

struct Books {
    got: u64,
    plan: Plan,
    /// Streams under way, and how many there may be.
    streams: u32,
    allowed: u32,
    /// What the server calls the bytes.
    tag: Option<String>,
    gives_parts: bool,
}

/// Bytes that one stream fetches. What is not there when this is dropped is another's.
struct Claim<'a> {
    books: &'a Mutex<Books>,
    at: u64,
    end: u64,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        locked(self.books).plan.give_back(self.at..self.end);
    }
}

/// Counts a stream as long as it is under way.
struct Running<'a>(&'a Mutex<Books>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        locked(self.0).streams -= 1;
    }
}

fn locked(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P: Fn(u64) + Send + Sync> Long<'_, P> {
    fn books(&self) -> MutexGuard<'_, Books> {
        locked(&self.books)
    }

    /// Fetches everything that is missing.
    async fn receive(&self) -> Result<(), Stop> {
        let got = self.books().got;
        let (mut patience, mut growth) = (Patience::from(got), Growth::new(Instant::now(), got));
        let mut running = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            if running.is_empty() {
                if self.books().plan.left() == 0 {
                    return Ok(());
                }
                running.push(self.stream(None));
            }
            tokio::select! {
                Some(ended) = running.next() => match ended {
                    Ok(()) => {}
                    // The others may do what one cannot.
                    Err(Stop::Cut { why, .. }) if !running.is_empty() => {
                        tracing::debug!(item = %self.order.item, "one of several streams ended: {why}");
                        growth.settle();
                    }
                    Err(Stop::Cut { why, opened }) => {
                        let got = self.books().got;
                        let Some(pause) = patience.pause_after(&why, got, !opened) else {
                            return Err(Stop::Cut { why, opened });
                        };
                        tracing::debug!(item = %self.order.item, got, ?pause, "download interrupted: {why}");
                        tokio::time::sleep(pause).await;
                    }
                    Err(stop) => return Err(stop),
                },
                _ = tick.tick() => {
                    let wanted = {
                        let mut books = self.books();
                        if !books.gives_parts || self.way.streams.is_crowded() {
                            growth.settle();
                        }
                        let left = self.size.saturating_sub(books.got);
                        books.allowed = growth.wanted(Instant::now(), books.streams, books.got, left);
                        books.allowed.saturating_sub(books.streams)
                    };
                    for _ in 0..wanted {
                        let Some(stream) = self.way.streams.another() else { break };
                        running.push(self.stream(Some(stream)));
                    }
                }
            }
        }
    }

    /// One stream: claims bytes and fetches them until there are none left. `more` says that it is not the download's only one.
    async fn stream(&self, more: Option<Stream>) -> Result<(), Stop> {
        self.books().streams += 1;
        let _running = Running(&self.books);
        loop {
            if more.is_some() && self.is_surplus() {
                return Ok(());
            }
            let Some(mut claim) = self.claim() else { return Ok(()) };
            if !self.run(&mut claim, more.is_some()).await? {
                return Ok(());
            }
        }
    }

    fn is_surplus(&self) -> bool {
        let books = self.books();
        books.streams > books.allowed || !books.gives_parts || self.way.streams.is_crowded()
    }

    fn claim(&self) -> Option<Claim<'_>> {
        let mut books = self.books();
        let streams = books.streams;
        let span = books.plan.claim(streams)?;
        Some(Claim { books: &self.books, at: span.start, end: span.end })
    }

    /// Claims what follows, for a stream whose answer goes on there.
    fn extend(&self, claim: &mut Claim<'_>) -> bool {
        let mut books = self.books();
        let streams = books.streams;
        let more = books.plan.extend(claim.end, streams);
        claim.end = more.as_ref().map_or(claim.end, |span| span.end);
        more.is_some()
    }

    /// Fetches what was claimed, and what follows as far as the answer goes and nobody else fetches it. False if the stream is to end.
    async fn run(&self, claim: &mut Claim<'_>, is_more: bool) -> Result<bool, Stop> {
        let is_alone = !is_more && self.books().streams == 1;
        let opened = if is_alone {
            self.open(self.provider.content(&self.order.item, &self.order.version, claim.at)).await.map(Some)
        } else {
            self.open(self.provider.part(&self.order.item, &self.order.version, claim.at..claim.end)).await
        };
        let Some(content) = opened.map_err(|why| Stop::Cut { why, opened: false })? else {
            tracing::debug!(item = %self.order.item, "the server does not give parts: one stream");
            self.books().gives_parts = false;
            return Ok(false);
        };
        self.check(content.total, content.tag.as_deref()).await?;
        if content.offset != claim.at {
            // The server ignored where we wanted to go on. With several streams this is not asked.
            if content.offset != 0 || !is_alone {
                let why = self.error(ProviderErrorKind::Malformed, "the answer begins at another place");
                return Err(Stop::Cut { why, opened: true });
            }
            self.begin_anew(claim).await?;
        }
        let mut waiting = Waiting::default();
        let read = self.read(content, claim, &mut waiting, is_more).await;
        self.pass_on(claim, &mut waiting).await?;
        read
    }

    async fn open<T>(&self, call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
        match tokio::time::timeout(OPEN_MAX, call).await {
            Ok(answer) => answer,
            Err(_) => Err(self.error(ProviderErrorKind::Unavailable, "no answer came")),
        }
    }

    /// Whether an answer is about the same bytes as the others.
    async fn check(&self, total: Option<u64>, tag: Option<&str>) -> Result<(), Stop> {
        if let Some(found) = total.filter(|found| *found != self.size) {
            return Err(Stop::Wrong(super::known::OtherLength { expected: self.size, found }.to_string()));
        }
        let Some(tag) = tag else { return Ok(()) };
        let known = self.books().tag.replace(tag.to_owned());
        match known {
            Some(known) if known != tag => {
                Err(Stop::Wrong("the server names the content differently than it did at first".to_owned()))
            }
            Some(_) => Ok(()),
            None => self.tell(Part::Tag(tag.to_owned())).await,
        }
    }

    /// Everything comes once more from the beginning.
    async fn begin_anew(&self, claim: &mut Claim<'_>) -> Result<(), Stop> {
        self.tell(Part::Restart).await?;
        let mut books = self.books();
        let parts = self.provider.part_bytes();
        books.plan = Plan::new([0..self.size].into(), parts);
        (books.got, books.gives_parts) = (0, false);
        let first = books.plan.claim(1).unwrap_or_default();
        (claim.at, claim.end) = (first.start, first.end);
        drop(books);
        (self.progress)(0);
        Ok(())
    }

    /// Reads one answer. False if the stream is to end.
    async fn read(
        &self,
        content: Content,
        claim: &mut Claim<'_>,
        waiting: &mut Waiting,
        is_more: bool,
    ) -> Result<bool, Stop> {
        let mut stream = content.stream;
        let mut watchdog = Watchdog::new();
        let cut = |why| Stop::Cut { why, opened: true };
        loop {
            if is_more && self.is_surplus() {
                return Ok(false);
            }
            let Some(next) = watchdog.watch(stream.next()).await else {
                return Err(cut(self.error(ProviderErrorKind::Unavailable, "the download stalled")));
            };
            let Some(bytes) = next else {
                return Err(cut(self.error(ProviderErrorKind::Unavailable, "the answer ended early")));
            };
            let mut bytes = bytes.map_err(cut)?;
            let length = bytes.len();
            watchdog.count(length as u64);
            loop {
                let room = claim.end - claim.at - waiting.length;
                let fits = bytes.split_to(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
                waiting.push(fits);
                if waiting.length >= PART_BYTES {
                    self.pass_on(claim, waiting).await?;
                }
                if claim.at + waiting.length < claim.end {
                    break;
                }
                if !self.extend(claim) {
                    return Ok(true);
                }
            }
            self.way.pace.take(length).await;
        }
    }

    /// Hands to the disk what waits.
    async fn pass_on(&self, claim: &mut Claim<'_>, waiting: &mut Waiting) -> Result<(), Stop> {
        let Waiting { parts, length } = std::mem::take(waiting);
        if length == 0 {
            return Ok(());
        }
        self.tell(Part::At(claim.at, parts)).await?;
        claim.at += length;
        let got = {
            let mut books = self.books();
            books.got += length;
            books.got
        };
        (self.progress)(got);
        Ok(())
    }

    async fn tell(&self, part: Part) -> Result<(), Stop> {
        self.parts.send(part).await.map_err(|_| Stop::SinkClosed)
    }

    fn error(&self, kind: ProviderErrorKind, message: &str) -> ProviderError {
        ProviderError::new(kind, message)
            .with("operation", "content")
            .with("item", &self.order.item)
            .with("version", &self.order.version)
    }
}

/// Bytes that came and are not yet handed to the disk.
#[derive(Default)]
struct Waiting {
    parts: Vec<Bytes>,
    length: u64,
}

impl Waiting {
    fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len() as u64;
        self.parts.push(bytes);
    }
}
