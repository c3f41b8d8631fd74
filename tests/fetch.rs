//! Fetching from a cloud that cuts, stalls, lies and repeats itself.

mod long;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use folder_sync_agent::daemon::bandwidth::Pace;
use folder_sync_agent::daemon::fetch::{FetchError, FetchOrder, fetch};
use folder_sync_agent::deed::Staged;
use folder_sync_agent::events::EventPage;
use folder_sync_agent::id::{ContentHash, Cursor, ItemId, JobId, PageToken, VersionId};
use folder_sync_agent::local::hash::hex;
use folder_sync_agent::local::{LocalFolder, LocalOptions};
use folder_sync_agent::provider::{
    Capabilities, Content, Identity, ListPage, Provider, ProviderError, ProviderErrorKind, Resolved, Result, Wake,
};
use folder_sync_agent::settings::RemotePlace;
use folder_sync_agent::tree::{ItemState, RemoteContent, RemoteItem, Wall};
use futures_util::{FutureExt, StreamExt, stream};
use sha1::{Digest, Sha1};
use tokio_util::sync::CancellationToken;

const CHUNK_BYTES: usize = 10_000;

/// How the cloud answers one request for content.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// As it should.
    Well,
    /// The stream fails with this kind after so many bytes.
    Cut(usize, ProviderErrorKind),
    /// The stream ends after so many bytes as if it were complete.
    Short(usize),
    /// From the beginning, whatever was asked for.
    FromStart,
    /// From the beginning, cut after so many bytes.
    FromStartCut(usize),
    /// From some other place.
    Elsewhere,
    /// With one byte changed.
    Corrupt,
    /// With bytes at the end that do not belong.
    Long,
    /// Says that the file has another length.
    OtherTotal,
    /// Nothing more after so many bytes.
    Stall(usize),
    /// One byte each half minute.
    Trickle,
    /// The call itself fails.
    Refuse(ProviderErrorKind, Option<Duration>),
}

/// A cloud with one file.
struct Cloud {
    content: Bytes,
    answers: Mutex<VecDeque<Answer>>,
    offsets: Mutex<Vec<u64>>,
    /// The digest that a download itself tells.
    told: Option<ContentHash>,
    /// What a look at the file says of its content; nothing if it is not found.
    described: Option<RemoteContent>,
    looks: AtomicU64,
}

impl Cloud {
    fn new(size: usize, answers: &[Answer]) -> Self {
        let content: Bytes = (0..size).map(|at| (at * 7 + at / 251) as u8).collect::<Vec<_>>().into();
        let described = RemoteContent {
            version: VersionId::new("70"),
            hash: Some(ContentHash::Sha1(hex(&Sha1::digest(&content)))),
            size: Some(content.len() as u64),
            modified: Some(Wall(1_600_000_000_123)),
        };
        Self {
            content,
            answers: Mutex::new(answers.iter().copied().collect()),
            offsets: Mutex::default(),
            told: None,
            described: Some(described),
            looks: AtomicU64::new(0),
        }
    }

    fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    fn order(&self) -> FetchOrder {
        FetchOrder {
            job: JobId(5),
            item: ItemId::file("7"),
            version: VersionId::new("70"),
            size: Some(self.content.len() as u64),
            hash: Some(ContentHash::Sha1(hex(&Sha1::digest(&self.content)))),
            modified: Some(Wall(1_600_000_000_123)),
        }
    }

    fn offsets(&self) -> Vec<u64> {
        self.offsets.lock().unwrap().clone()
    }
}

fn chunks(bytes: &Bytes) -> Vec<Result<Bytes>> {
    (0..bytes.len()).step_by(CHUNK_BYTES).map(|at| Ok(bytes.slice(at..bytes.len().min(at + CHUNK_BYTES)))).collect()
}

#[async_trait]
impl Provider for Cloud {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            disordered: false,
            top_id: None,
            long_poll: false,
            checks_cursor: false,
            events_carry_items: true,
            folds_case: false,
            poll_floor: Duration::ZERO,
            hash: folder_sync_agent::provider::HashKind::Sha1,
        }
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
        self.looks.fetch_add(1, Ordering::Relaxed);
        let Some(content) = self.described.clone() else { return Ok(ItemState::NotFound) };
        Ok(ItemState::Active(Box::new(RemoteItem {
            id: id.clone(),
            parent: None,
            name: "a".into(),
            content: Some(content),
            etag: None,
            sequence: None,
            ancestors: None,
            path: None,
        })))
    }

    async fn content(&self, file: &ItemId, version: &VersionId, offset: u64) -> Result<Content> {
        assert_eq!((file.raw(), version.as_str()), ("7", "70"));
        self.offsets.lock().unwrap().push(offset);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Well);
        let total = self.content.len() as u64;
        let rest = self.content.slice(offset as usize..);
        let failed = |kind| ProviderError::new(kind, "scripted");
        let of = |offset, items: Vec<Result<Bytes>>| Content {
            offset,
            total: Some(total),
            hash: self.told.clone(),
            modified: Some(Wall(1_600_000_000_123)),
            tag: None,
            stream: stream::iter(items).boxed(),
        };
        Ok(match answer {
            Answer::Well => of(offset, chunks(&rest)),
            Answer::Cut(after, kind) => {
                let mut items = chunks(&rest.slice(..after.min(rest.len())));
                items.push(Err(failed(kind)));
                of(offset, items)
            }
            Answer::Short(after) => of(offset, chunks(&rest.slice(..after.min(rest.len())))),
            Answer::FromStart => of(0, chunks(&self.content)),
            Answer::FromStartCut(after) => {
                let mut items = chunks(&self.content.slice(..after));
                items.push(Err(failed(ProviderErrorKind::Network)));
                of(0, items)
            }
            Answer::Elsewhere => of(offset + 1, chunks(&rest.slice(1..))),
            Answer::Corrupt => {
                let mut bytes = rest.to_vec();
                bytes[0] ^= 1;
                of(offset, chunks(&bytes.into()))
            }
            Answer::Long => {
                let mut items = chunks(&rest);
                items.push(Ok(Bytes::from_static(b"more")));
                of(offset, items)
            }
            Answer::OtherTotal => Content { total: Some(total + 3), ..of(offset, chunks(&rest)) },
            Answer::Stall(after) => {
                let items = chunks(&rest.slice(..after.min(rest.len())));
                let stream = stream::iter(items).chain(stream::pending()).boxed();
                Content { offset, total: Some(total), hash: None, modified: None, tag: None, stream }
            }
            Answer::Trickle => {
                let stream = stream::unfold(rest, |mut rest| async move {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    (!rest.is_empty()).then(|| (Ok(rest.split_to(1)), rest))
                });
                Content { offset, total: Some(total), hash: None, modified: None, tag: None, stream: stream.boxed() }
            }
            Answer::Refuse(kind, wait) => return Err(failed(kind).with_retry_after(wait)),
        })
    }
}

struct Disk {
    folder: Arc<LocalFolder>,
    dir: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = LocalOptions { file_mode: 0o640, dir_mode: 0o750, min_free: 0, create: true };
        let root = dir.path().canonicalize().unwrap().join("root");
        Self { folder: Arc::new(LocalFolder::open(&root, "uid", options).unwrap()), dir }
    }

    fn staged(&self) -> usize {
        std::fs::read_dir(self.staging()).unwrap().count()
    }

    fn staging(&self) -> std::path::PathBuf {
        self.dir.path().join("root/.folder-sync-agent/staging")
    }
}

async fn run(cloud: &Cloud, disk: &Disk, order: FetchOrder) -> std::result::Result<Staged, FetchError> {
    fetch(cloud, Arc::clone(&disk.folder), order, &Pace::default(), |_| {}, CancellationToken::new()).await
}

fn assert_staged(cloud: &Cloud, disk: &Disk, staged: &Staged) {
    let path = disk.folder.staged_path(&staged.name);
    let content = std::fs::read(&path).unwrap();
    assert!(content == cloud.content, "another content");
    assert_eq!(staged.sha256.to_string(), hex(&sha2::Sha256::digest(&content)));
    assert_eq!(staged.stamp.mtime_ns, 1_600_000_000_123_000_000);
    assert_eq!(staged.stamp.size, content.len() as u64);
    assert_eq!(mode(&path), 0o640);
    assert_eq!(disk.staged(), 1);
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o7777
}

const SMALL: usize = 100_000;
const LARGE: usize = 3_000_000;

#[tokio::test]
async fn files_of_every_size_are_staged_whole() {
    for size in [0, 1, SMALL, 256 * 1024, 256 * 1024 + 1, LARGE] {
        for said in [true, false] {
            let (cloud, disk) = (Cloud::new(size, &[]), Disk::new());
            let mut order = cloud.order();
            if !said {
                (order.size, order.hash) = (None, None);
            }
            let progress = AtomicU64::new(0);
            let count = |bytes| progress.store(bytes, Ordering::Relaxed);
            let staged =
                fetch(&cloud, Arc::clone(&disk.folder), order, &Pace::default(), count, CancellationToken::new())
                    .await
                    .unwrap();
            assert_staged(&cloud, &disk, &staged);
            assert_eq!(staged.flushed, size > 256 * 1024);
            assert_eq!(progress.into_inner(), size as u64);
            assert_eq!(cloud.offsets(), [0]);
        }
    }
}

#[tokio::test]
async fn a_cut_answer_is_resumed_where_it_ended() {
    use ProviderErrorKind::{Network, Unavailable};
    for (size, answers, offsets) in [
        (SMALL, &[Answer::Cut(30_000, Network)][..], &[0, 30_000][..]),
        (SMALL, &[Answer::Short(1), Answer::Cut(0, Unavailable)], &[0, 1, 1]),
        (SMALL, &[Answer::Cut(30_000, Network), Answer::FromStart], &[0, 30_000]),
        (SMALL, &[Answer::Cut(30_000, Network), Answer::FromStartCut(10_000)], &[0, 30_000, 10_000]),
        (SMALL, &[Answer::Cut(30_000, Network), Answer::Elsewhere], &[0, 30_000, 0]),
        (LARGE, &[Answer::Cut(1_500_000, Network), Answer::Short(700_000)], &[0, 1_500_000, 2_200_000]),
        (LARGE, &[Answer::Cut(1_500_000, Network), Answer::FromStart], &[0, 1_500_000]),
        (LARGE, &[Answer::Cut(400_000, Network), Answer::FromStartCut(300_000)], &[0, 400_000, 300_000]),
        (LARGE, &[Answer::Cut(10, Network), Answer::Refuse(Unavailable, None)], &[0, 10, 10]),
    ] {
        let (cloud, disk) = (Cloud::new(size, answers), Disk::new());
        let staged = run(&cloud, &disk, cloud.order()).await.unwrap_or_else(|why| panic!("{answers:?}: {why}"));
        assert_staged(&cloud, &disk, &staged);
        assert_eq!(cloud.offsets(), offsets, "{answers:?}");
    }
}

#[tokio::test]
async fn getting_further_earns_new_tries_and_standing_still_does_not() {
    let cut = |bytes| Answer::Cut(bytes, ProviderErrorKind::Network);
    // Nine cuts, but each after another megabyte.
    let (cloud, disk) = (Cloud::new(10 * 1024 * 1024 + 5, &[cut(1024 * 1024); 9]), Disk::new());
    let staged = run(&cloud, &disk, cloud.order()).await.unwrap();
    assert_staged(&cloud, &disk, &staged);

    let (cloud, disk) = (Cloud::new(SMALL, &[cut(1); 20]), Disk::new());
    let why = run(&cloud, &disk, cloud.order()).await.unwrap_err();
    assert!(matches!(&why, FetchError::Provider(why) if why.kind == ProviderErrorKind::Network), "{why:?}");
    assert_eq!(cloud.offsets(), [0, 1, 2, 3, 4]);
    assert_eq!(disk.staged(), 0);

    // A cloud that always starts again never gets further.
    let (cloud, disk) = (Cloud::new(LARGE, &[Answer::FromStartCut(LARGE - 1); 20]), Disk::new());
    assert!(run(&cloud, &disk, cloud.order()).await.is_err());
    assert!(cloud.offsets().len() <= 6, "{:?}", cloud.offsets());
    assert_eq!(disk.staged(), 0);
}

#[tokio::test]
async fn a_wrong_content_is_fetched_again_and_given_up_after_three() {
    for size in [SMALL, LARGE] {
        for wrong in [Answer::Corrupt, Answer::Long] {
            let (cloud, disk) = (Cloud::new(size, &[wrong, wrong]), Disk::new());
            let staged = run(&cloud, &disk, cloud.order()).await.unwrap();
            assert_staged(&cloud, &disk, &staged);
            assert_eq!(cloud.offsets(), [0, 0, 0]);

            let (cloud, disk) = (Cloud::new(size, &[wrong; 9]), Disk::new());
            let why = run(&cloud, &disk, cloud.order()).await.unwrap_err();
            assert!(matches!(&why, FetchError::Provider(why) if why.kind == ProviderErrorKind::Corrupt), "{why:?}");
            assert_eq!(cloud.offsets(), [0, 0, 0]);
            assert_eq!(disk.staged(), 0, "{wrong:?}");
        }
        // Another announced length is asked about once: it is the answer that is wrong, or the order is old.
        let (cloud, disk) = (Cloud::new(size, &[Answer::OtherTotal; 9]), Disk::new());
        let why = run(&cloud, &disk, cloud.order()).await.unwrap_err();
        assert!(matches!(&why, FetchError::Provider(why) if why.kind == ProviderErrorKind::Corrupt), "{why:?}");
        assert!(why.to_string().contains("announces"), "{why}");
        assert_eq!((cloud.offsets(), cloud.looks(), disk.staged()), (vec![0, 0, 0], 1, 0));

        let (cloud, disk) = (Cloud::new(size, &[]), Disk::new());
        let old = FetchOrder { size: Some(size as u64 + 3), ..cloud.order() };
        let staged = run(&cloud, &disk, old).await.unwrap();
        assert_staged(&cloud, &disk, &staged);
        assert_eq!((cloud.offsets(), cloud.looks()), (vec![0], 1));
    }
}

#[tokio::test]
async fn a_version_that_nobody_described_is_verified_by_what_its_download_tells() {
    for size in [0, SMALL, LARGE] {
        let mut cloud = Cloud::new(size, &[]);
        let right = cloud.order().hash;
        let undescribed = FetchOrder { size: None, hash: None, modified: None, ..cloud.order() };
        cloud.told = right;
        let disk = Disk::new();
        let staged = run(&cloud, &disk, undescribed.clone()).await.unwrap();
        assert_staged(&cloud, &disk, &staged);
        cloud.told = Some(ContentHash::Sha512("0".repeat(128)));
        let disk = Disk::new();
        let Err(FetchError::Provider(why)) = run(&cloud, &disk, undescribed).await else { panic!("staged") };
        assert_eq!(why.kind, ProviderErrorKind::Corrupt);
        assert_eq!(disk.staged(), 0);
    }
}

#[tokio::test]
async fn a_version_that_nobody_described_is_asked_about_once_before_it_is_staged() {
    for size in [0, SMALL, LARGE] {
        let mut cloud = Cloud::new(size, &[Answer::Cut(size / 2, ProviderErrorKind::Network), Answer::Corrupt]);
        let undescribed = FetchOrder { size: None, hash: None, modified: None, ..cloud.order() };
        if size == 0 {
            cloud.answers.lock().unwrap().clear();
        }
        let disk = Disk::new();
        let staged = run(&cloud, &disk, undescribed.clone()).await.unwrap();
        assert_staged(&cloud, &disk, &staged);
        assert_eq!(cloud.looks(), 1);

        // Another version by now, gone by now, described without any proof: nothing is staged.
        let right = cloud.described.take().unwrap();
        let other = RemoteContent { version: VersionId::new("71"), ..right.clone() };
        let bare = RemoteContent { hash: None, ..right.clone() };
        let unknown = RemoteContent { hash: Some(ContentHash::Unknown("9-x".into())), size: None, ..right.clone() };
        for described in [Some(other), None, Some(bare), Some(unknown)] {
            let disk = Disk::new();
            let cloud = Cloud { described: described.clone(), ..Cloud::new(size, &[]) };
            let why = run(&cloud, &disk, undescribed.clone()).await.unwrap_err();
            match &why {
                FetchError::Changed { now, .. } => assert_eq!(now.as_str(), "71"),
                FetchError::Provider(why) if described.is_none() => assert_eq!(why.kind, ProviderErrorKind::NotFound),
                FetchError::Provider(why) => assert_eq!(why.kind, ProviderErrorKind::Corrupt),
                why => panic!("{why}"),
            }
            assert_eq!((cloud.looks(), disk.staged()), (1, 0), "{described:?}");
        }
        // A description of other bytes: what came is wrong.
        let wrong = RemoteContent { hash: Some(ContentHash::Sha1("0".repeat(40))), ..right };
        let (cloud, disk) = (Cloud { described: Some(wrong), ..Cloud::new(size, &[]) }, Disk::new());
        let why = run(&cloud, &disk, undescribed).await.unwrap_err();
        assert!(matches!(&why, FetchError::Provider(why) if why.kind == ProviderErrorKind::Corrupt), "{why:?}");
        assert_eq!((cloud.looks(), disk.staged()), (1, 0));
    }
}

#[tokio::test]
async fn a_digest_that_cannot_be_computed_is_no_difference() {
    let (cloud, disk) = (Cloud::new(SMALL, &[]), Disk::new());
    let order = FetchOrder { hash: Some(ContentHash::Unknown("9-x".into())), ..cloud.order() };
    let staged = run(&cloud, &disk, order).await.unwrap();
    assert_staged(&cloud, &disk, &staged);
}

#[tokio::test(start_paused = true)]
async fn short_waits_are_waited_and_long_ones_are_the_engines() {
    use ProviderErrorKind::{Forbidden, NotFound, NotReady, QuotaExhausted, RateLimited, Unavailable};
    let secs = |secs| Some(Duration::from_secs(secs));
    let refuse = Answer::Refuse;
    for (answers, calls) in [
        (&[refuse(NotReady, secs(3)), refuse(NotReady, None)][..], 3),
        (&[Answer::Cut(5, Unavailable), refuse(RateLimited, secs(5))], 3),
    ] {
        let (cloud, disk) = (Cloud::new(SMALL, answers), Disk::new());
        run(&cloud, &disk, cloud.order()).await.unwrap_or_else(|why| panic!("{answers:?}: {why}"));
        assert_eq!(cloud.offsets().len(), calls, "{answers:?}");
    }
    for (answers, kind, calls) in [
        (&[refuse(NotReady, secs(600))][..], NotReady, 1),
        (&[refuse(NotReady, secs(1)); 9], NotReady, 6),
        (&[refuse(RateLimited, secs(1))], RateLimited, 1),
        (&[refuse(QuotaExhausted, secs(1))], QuotaExhausted, 1),
        (&[refuse(Unavailable, None)], Unavailable, 1),
        (&[refuse(NotFound, None)], NotFound, 1),
        (&[Answer::Cut(5, Forbidden)], Forbidden, 1),
        (&[Answer::Stall(20_000); 9], Unavailable, 5),
        (&[Answer::Trickle; 9], Unavailable, 5),
    ] {
        let (cloud, disk) = (Cloud::new(SMALL, answers), Disk::new());
        let why = run(&cloud, &disk, cloud.order()).await.unwrap_err();
        assert!(matches!(&why, FetchError::Provider(why) if why.kind == kind), "{answers:?}: {why:?}");
        assert_eq!(cloud.offsets().len(), calls, "{answers:?}");
        assert_eq!(disk.staged(), 0);
    }
}

#[tokio::test]
async fn a_cancelled_fetch_leaves_nothing() {
    for size in [SMALL, LARGE] {
        let (cloud, disk) = (Cloud::new(size, &[Answer::Stall(size / 2)]), Disk::new());
        let cancel = CancellationToken::new();
        let halfway = |bytes| {
            if bytes >= size as u64 / 2 {
                cancel.cancel();
            }
        };
        let pace = Pace::default();
        let fetching = fetch(&cloud, Arc::clone(&disk.folder), cloud.order(), &pace, halfway, cancel.clone());
        assert!(matches!(fetching.await, Err(FetchError::Cancelled)));
        assert_eq!(disk.staged(), 0);
    }
}

#[tokio::test]
async fn a_refusing_disk_is_the_disks_error() {
    for size in [SMALL, LARGE] {
        let (cloud, disk) = (Cloud::new(size, &[]), Disk::new());
        std::fs::remove_dir(disk.staging()).unwrap();
        let why = run(&cloud, &disk, cloud.order()).await.unwrap_err();
        assert!(matches!(why, FetchError::Disk(_)), "{why:?}");
    }
}

#[tokio::test]
async fn many_at_once() {
    let disk = Disk::new();
    let cloud = Cloud::new(SMALL, &[]);
    let all: Vec<_> = (0..50).map(|_| run(&cloud, &disk, cloud.order()).boxed()).collect();
    let staged: Vec<_> =
        futures_util::future::join_all(all).await.into_iter().map(std::result::Result::unwrap).collect();
    let names: std::collections::BTreeSet<_> = staged.iter().map(|staged| staged.name.clone()).collect();
    assert_eq!(names.len(), 50);
    assert_eq!(disk.staged(), 50);
    assert_eq!(disk.folder.sweep_staging(&names).unwrap(), 0);
    assert_eq!(disk.folder.sweep_staging(&names.into_iter().take(20).collect()).unwrap(), 30);
    assert_eq!(disk.staged(), 20);
}

#[tokio::test(start_paused = true)]
async fn downloads_keep_to_the_allowance() {
    let (cloud, disk) = (Cloud::new(SMALL, &[]), Disk::new());
    let pace = Pace::new(Some(folder_sync_agent::settings::Rates::always(Some(SMALL as u64 / 10))));
    let began = tokio::time::Instant::now();
    let folder = Arc::clone(&disk.folder);
    let staged = fetch(&cloud, folder, cloud.order(), &pace, |_| {}, CancellationToken::new()).await.unwrap();
    assert_staged(&cloud, &disk, &staged);
    // The time is simulated: ten seconds, less what a pause may be made up for.
    assert!(began.elapsed() >= Duration::from_millis(9_700), "{:?}", began.elapsed());
}
