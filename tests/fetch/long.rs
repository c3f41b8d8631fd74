//! Long downloads from a cloud whose connections are slow, and that lies about parts.

use std::ops::Range;

use folder_sync_agent::daemon::fetch::streams::Streams;
use folder_sync_agent::daemon::fetch::{Way, fetch_on};

use super::*;

const SIZE: usize = 40 << 20;
const PIECE: usize = 1 << 20;
/// What a piece takes on each connection.
const SLOW: Duration = Duration::from_millis(60);

/// What goes wrong with a request, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Nothing.
    None,
    /// The server does not give parts, from this request on.
    NoParts(usize),
    /// The bytes are of another version, under another tag.
    OtherTag(usize),
    /// The bytes are of another version, and nothing tells.
    OtherBytes(usize),
    /// It says that the file has another length.
    OtherLength(usize),
    /// This request and all that follow are cut after so many pieces.
    CutFrom(usize, usize),
    /// Every request is cut after this many pieces.
    Cut(usize),
    /// Asked for the rest, it sends everything.
    FromStart,
}

struct Slow {
    inner: Cloud,
    lie: Lie,
    asked: Mutex<Vec<Range<u64>>>,
}

impl Slow {
    fn new(lie: Lie) -> Self {
        Self { inner: Cloud::new(SIZE, &[]), lie, asked: Mutex::default() }
    }

    fn asked(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn answer(&self, span: Range<u64>) -> Option<Content> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(span.clone());
            asked.len()
        };
        let is_part = span.end < SIZE as u64 || span.start > 0;
        let (mut tag, mut total, mut pieces, mut first) = ("\"one\"", SIZE as u64, usize::MAX, span.start);
        let mut other = false;
        match self.lie {
            Lie::NoParts(from) if number >= from && is_part => return None,
            Lie::OtherTag(from) if number == from => (tag, other) = ("\"two\"", true),
            Lie::OtherBytes(from) if number == from => other = true,
            Lie::OtherLength(from) if number == from => total += 1,
            Lie::CutFrom(from, after) if number >= from => pieces = after,
            Lie::Cut(after) => pieces = after,
            Lie::FromStart => first = 0,
            _ => {}
        }
        let bytes = self.inner.content.slice(first as usize..span.end as usize);
        let cut = (pieces < bytes.len().div_ceil(PIECE)).then(|| failed(ProviderErrorKind::Network));
        let items = (0..bytes.len()).step_by(PIECE).take(pieces).map(move |at| {
            let piece = bytes.slice(at..bytes.len().min(at + PIECE));
            Ok(if other { piece.iter().map(|byte| !byte).collect() } else { piece })
        });
        let items: Vec<Result<Bytes>> = items.chain(cut.map(Err)).collect();
        let stream = stream::iter(items).then(|item| async {
            tokio::time::sleep(SLOW).await;
            item
        });
        let tag = Some(tag.to_owned());
        Some(Content { offset: first, total: Some(total), hash: None, modified: None, tag, stream: stream.boxed() })
    }
}

fn failed(kind: ProviderErrorKind) -> ProviderError {
    ProviderError::new(kind, "scripted")
}

#[async_trait]
impl Provider for Slow {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn whoami(&self) -> Result<Identity> {
        unreachable!()
    }

    async fn resolve(&self, _: &RemotePlace) -> Result<Resolved> {
        unreachable!()
    }

    async fn newest_cursor(&self) -> Result<Cursor> {
        unreachable!()
    }

    async fn events(&self, _: &Cursor) -> Result<EventPage> {
        unreachable!()
    }

    async fn wait_for_news(&self, _: &Cursor, _: Duration) -> Result<Wake> {
        unreachable!()
    }

    async fn list(&self, _: &ItemId, _: Option<&PageToken>) -> Result<ListPage> {
        unreachable!()
    }

    async fn item(&self, id: &ItemId) -> Result<ItemState> {
        self.inner.item(id).await
    }

    async fn content(&self, _: &ItemId, _: &VersionId, offset: u64) -> Result<Content> {
        self.answer(offset..SIZE as u64).ok_or_else(|| failed(ProviderErrorKind::Unavailable))
    }

    async fn part(&self, _: &ItemId, _: &VersionId, span: Range<u64>) -> Result<Option<Content>> {
        Ok(self.answer(span))
    }

    fn part_bytes(&self) -> Range<u64> {
        (2 << 20)..(8 << 20)
    }
}

async fn run_counting(
    cloud: &Slow,
    disk: &Disk,
    streams: &Streams,
    got: &AtomicU64,
) -> std::result::Result<Staged, FetchError> {
    let (pace, cancel) = (Pace::default(), CancellationToken::new());
    let way = Way { pace: &pace, streams };
    let (folder, count) = (Arc::clone(&disk.folder), |bytes| got.store(bytes, Ordering::Relaxed));
    fetch_on(cloud, folder, cloud.inner.order(), &way, count, cancel, None).await.map_err(|broken| broken.why)
}

async fn run_over(cloud: &Slow, disk: &Disk, streams: &Streams) -> std::result::Result<Staged, FetchError> {
    run_counting(cloud, disk, streams, &AtomicU64::new(0)).await
}

/// Lets a download go on until something is so, which must be before its end.
async fn until<T>(mut fetch: std::pin::Pin<&mut impl Future<Output = T>>, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        assert!(tokio::time::timeout(Duration::from_millis(5), fetch.as_mut()).await.is_err(), "it is over");
    }
}

/// Downloads until so many bytes are there, and leaves the download as a process that dies leaves it.
async fn leave_at(bytes: u64, cloud: &Slow, disk: &Disk, streams: &Streams) {
    let got = AtomicU64::new(0);
    let fetch = run_counting(cloud, disk, streams, &got);
    tokio::pin!(fetch);
    until(fetch, || got.load(Ordering::Relaxed) >= bytes).await;
}

#[tokio::test]
async fn slow_connections_are_used_side_by_side_and_each_byte_is_asked_for_once() {
    let (cloud, disk, streams) = (Slow::new(Lie::None), Disk::new(), Streams::new(4));
    assert_staged(&cloud.inner, &disk, &run_over(&cloud, &disk, &streams).await.unwrap());
    let asked = cloud.asked();
    assert!((4..=14).contains(&asked.len()), "{asked:?}");
    assert_eq!(asked[0], 0..SIZE as u64, "it begins as one download of everything");
    let mut parts: Vec<Range<u64>> = asked[1..].to_vec();
    parts.sort_by_key(|part| part.start);
    assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start), "{parts:?}");
    assert!(streams.another().is_some(), "the streams are given back");
}

async fn lied_to(lie: Lie, most: usize) {
    let (cloud, disk) = (Slow::new(lie), Disk::new());
    let staged = run_over(&cloud, &disk, &Streams::new(8)).await.unwrap_or_else(|why| panic!("{lie:?}: {why}"));
    assert_staged(&cloud.inner, &disk, &staged);
    let asked = cloud.asked();
    assert!(asked.len() <= most, "{lie:?}: {asked:?}");
}

#[tokio::test]
async fn a_server_that_lies_about_parts_costs_time_and_no_byte() {
    let lies = [
        (Lie::NoParts(2), 4),
        (Lie::OtherTag(3), 8),
        (Lie::OtherBytes(2), 20),
        (Lie::OtherLength(3), 8),
        (Lie::CutFrom(2, 0), 8),
        (Lie::Cut(5), 40),
    ];
    futures_util::future::join_all(lies.map(|(lie, most)| lied_to(lie, most))).await;
}

#[tokio::test]
async fn what_came_is_gone_on_with_by_the_next_process() {
    let (cloud, disk) = (Slow::new(Lie::Cut(0)), Disk::new());
    assert!(run_over(&cloud, &disk, &Streams::new(1)).await.is_err(), "nothing comes");
    assert_eq!(disk.staged(), 0);
    for streams in [4, 1] {
        let (cloud, disk, there) = (Slow::new(Lie::None), Disk::new(), 10 << 20);
        leave_at(there, &cloud, &disk, &Streams::new(streams)).await;
        cloud.asked();
        let staged = run_over(&cloud, &disk, &Streams::new(1)).await.unwrap();
        assert_staged(&cloud.inner, &disk, &staged);
        let asked = cloud.asked();
        assert!(asked[0].start > 0 && asked[0].start + there >= (1 << 20), "{asked:?}");
        let first_gap = asked[0].end - asked[0].start;
        assert!(asked.len() > 1 || first_gap <= SIZE as u64 - there, "{asked:?}");
    }
    // Where the server sends everything all the same, it is taken from the beginning.
    let (cloud, disk) = (Slow::new(Lie::None), Disk::new());
    leave_at(2 << 20, &cloud, &disk, &Streams::new(1)).await;
    let cloud = Slow::new(Lie::FromStart);
    assert_staged(&cloud.inner, &disk, &run_over(&cloud, &disk, &Streams::new(1)).await.unwrap());
    assert_eq!(cloud.asked().len(), 1);
}

#[tokio::test]
async fn others_transfers_take_the_room_back() {
    let (cloud, disk, streams) = (Slow::new(Lie::None), Disk::new(), Streams::new(2));
    let fetch = run_over(&cloud, &disk, &streams);
    tokio::pin!(fetch);
    until(fetch.as_mut(), || cloud.asked.lock().unwrap().len() > 1).await;
    assert!(streams.another().is_none(), "both are in use");
    let other = streams.enter();
    assert!(streams.is_crowded());
    until(fetch.as_mut(), || !streams.is_crowded()).await;
    drop(other);
    assert_staged(&cloud.inner, &disk, &fetch.await.unwrap());
}
