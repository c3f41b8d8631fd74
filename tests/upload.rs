//! Uploading local files that stay, change, vanish or are something else, to a cloud that takes its time.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use folder_sync_agent::daemon::bandwidth::{Bandwidth, Pace};
use folder_sync_agent::daemon::upload::{Sessions, Upload, upload};
use folder_sync_agent::events::EventPage;
use folder_sync_agent::id::{ContentHash, Cursor, Etag, HashKind, ItemId, JobId, PageToken, Sha256, VersionId};
use folder_sync_agent::local::hash::hex;
use folder_sync_agent::local::{LocalFolder, LocalOptions};
use folder_sync_agent::local_news::{LocalMiss, ScanOrder, UploadFailure, UploadFile, Uploaded};
use folder_sync_agent::path::{Name, RelPath};
use folder_sync_agent::provider::{
    Capabilities, Content, Identity, ListPage, Provider, ProviderError, ProviderErrorKind, Resolved, Result,
    UploadBody, UploadOrder, UploadTarget, Wake,
};
use folder_sync_agent::settings::RemotePlace;
use folder_sync_agent::tree::{ItemState, RemoteContent, RemoteItem, Stamp, Wall};
use sha1::{Digest, Sha1};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PIECE_BYTES: u64 = 100_000;

/// What happens in the middle of an upload, and just before its answer.
type Happening = Box<dyn Fn() + Send + Sync>;

/// A cloud that reads what it is given and keeps it.
#[derive(Default)]
struct Cloud {
    kept: Mutex<Option<(UploadOrder, Vec<u8>)>>,
    midway: Option<Happening>,
    at_the_end: Option<Happening>,
    session: Option<&'static str>,
    hangs: bool,
    asked_first: AtomicU64,
}

fn no() -> ProviderError {
    ProviderError::new(ProviderErrorKind::Refused, "not in this test")
}

#[async_trait]
impl Provider for Cloud {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            disordered: false,
            top_id: None,
            long_poll: false,
            checks_cursor: false,
            events_carry_items: false,
            folds_case: false,
            poll_floor: Duration::ZERO,
            hash: HashKind::Sha1,
        }
    }

    async fn whoami(&self) -> Result<Identity> {
        Err(no())
    }

    async fn resolve(&self, _: &RemotePlace) -> Result<Resolved> {
        Err(no())
    }

    async fn newest_cursor(&self) -> Result<Cursor> {
        Err(no())
    }

    async fn events(&self, _: &Cursor) -> Result<EventPage> {
        Err(no())
    }

    async fn wait_for_news(&self, _: &Cursor, _: Duration) -> Result<Wake> {
        Err(no())
    }

    async fn list(&self, _: &ItemId, _: Option<&PageToken>) -> Result<ListPage> {
        Err(no())
    }

    async fn item(&self, _: &ItemId) -> Result<ItemState> {
        Err(no())
    }

    async fn content(&self, _: &ItemId, _: &VersionId, _: u64) -> Result<Content> {
        Err(no())
    }

    async fn preflight(&self, _: &UploadTarget, size: u64) -> Result<folder_sync_agent::provider::Preflight> {
        self.asked_first.store(size, Ordering::Relaxed);
        Ok(folder_sync_agent::provider::Preflight::Welcome)
    }

    async fn upload(&self, order: &UploadOrder, body: &dyn UploadBody) -> Result<RemoteItem> {
        let corrupt = |why: io::Error| ProviderError::new(ProviderErrorKind::Corrupt, why.to_string());
        if let Some(session) = self.session {
            body.session(session).await.map_err(|why| ProviderError::new(ProviderErrorKind::Local, why.to_string()))?;
        }
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < order.size {
            let len = PIECE_BYTES.min(order.size - bytes.len() as u64);
            let piece = body.read(bytes.len() as u64, len as usize).await.map_err(corrupt)?;
            body.pace(piece.len()).await;
            bytes.extend_from_slice(&piece);
            body.progress(bytes.len() as u64);
            if let Some(happening) = &self.midway {
                happening();
            }
        }
        if let Some(happening) = &self.at_the_end {
            happening();
        }
        *self.kept.lock().unwrap() = Some((order.clone(), bytes));
        Ok(RemoteItem {
            id: ItemId::file("7"),
            parent: Some(ItemId::folder("0")),
            name: "a".to_owned(),
            content: Some(RemoteContent {
                version: VersionId::new("70"),
                hash: Some(order.hash.clone()),
                size: Some(order.size),
                modified: order.modified,
            }),
            etag: Some(Etag::new("0")),
            sequence: None,
            ancestors: None,
            path: None,
        })
    }
}

/// Notes sessions, or fails to.
#[derive(Default)]
struct Notes {
    noted: Mutex<Vec<(JobId, String)>>,
    fails: bool,
}

#[async_trait]
impl Sessions for Notes {
    async fn note(&self, job: JobId, session: &str) -> io::Result<()> {
        if self.fails {
            return Err(io::Error::other("no database"));
        }
        self.noted.lock().unwrap().push((job, session.to_owned()));
        Ok(())
    }
}

struct Disk {
    dir: tempfile::TempDir,
    folder: Arc<LocalFolder>,
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = LocalOptions { file_mode: 0o644, dir_mode: 0o755, min_free: 0, create: true };
        let folder = Arc::new(LocalFolder::open(dir.path(), "mark", options).unwrap());
        Self { dir, folder }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("a")
    }

    fn write(&self, size: usize) -> Vec<u8> {
        let content: Vec<u8> = (0..size).map(|at| (at * 7 + at / 251) as u8).collect();
        fs::write(self.path(), &content).unwrap();
        content
    }

    fn order(&self) -> UploadFile {
        let scan = self.folder.scan(&ScanOrder { dir: RelPath::root(), after: None }).unwrap();
        UploadFile {
            path: RelPath::root().join(&Name::new(b"a").unwrap()),
            stamp: scan.entries.first().map_or(NO_STAMP, |entry| entry.stamp),
            target: UploadTarget::New { parent: ItemId::folder("0"), name: "a".to_owned() },
            digests: None,
            session: None,
        }
    }
}

const NO_STAMP: Stamp = Stamp { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };

async fn go(cloud: &Cloud, disk: &Disk, order: UploadFile) -> std::result::Result<Box<Uploaded>, UploadFailure> {
    go_with(cloud, disk, order, &Notes::default(), &Bandwidth::default(), CancellationToken::new()).await
}

async fn go_with(
    cloud: &Cloud,
    disk: &Disk,
    order: UploadFile,
    notes: &Notes,
    bandwidth: &Bandwidth,
    cancel: CancellationToken,
) -> std::result::Result<Box<Uploaded>, UploadFailure> {
    let folder = Arc::clone(&disk.folder);
    let with = Upload { provider: cloud, folder, bandwidth, sessions: notes, progress: &|_| (), cancel };
    upload(JobId(5), order, with).await
}

fn append(path: PathBuf) -> Happening {
    Box::new(move || {
        use std::io::Write as _;
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    })
}

#[tokio::test]
async fn a_file_goes_up_as_it_is() {
    let (disk, cloud) = (Disk::new(), Cloud::default());
    let content = disk.write(1_500_000);
    let order = disk.order();
    let done = go(&cloud, &disk, order.clone()).await.unwrap();
    assert_eq!(done.stamp, order.stamp);
    assert_eq!(done.sha256, Sha256(sha2::Sha256::digest(&content).into()));
    let (told, kept) = cloud.kept.lock().unwrap().take().unwrap();
    assert!(kept == content);
    assert_eq!(told.hash, ContentHash::Sha1(hex(&Sha1::digest(&content))));
    assert_eq!(told.modified, Some(Wall(order.stamp.mtime_ns / 1_000_000)));
    assert_eq!(cloud.asked_first.load(Ordering::Relaxed), 1_500_000, "worth a question first");
    // What is known already is not worked out again.
    let known = (Sha256([7; 32]), ContentHash::Sha1("known".into()));
    let done = go(&cloud, &disk, UploadFile { digests: Some(known.clone()), ..order }).await.unwrap();
    assert_eq!((done.sha256, cloud.kept.lock().unwrap().take().unwrap().0.hash), known);
}

#[tokio::test]
async fn what_is_not_as_expected_is_not_uploaded() {
    let (disk, cloud) = (Disk::new(), Cloud::default());
    disk.write(10);
    let order = disk.order();
    append(disk.path())();
    let failure = go(&cloud, &disk, order.clone()).await.unwrap_err();
    let now = disk.order().stamp;
    assert!(matches!(failure, UploadFailure::Local(LocalMiss::Changed { stamp }) if stamp == now), "{failure:?}");
    fs::remove_file(disk.path()).unwrap();
    let failure = go(&cloud, &disk, order.clone()).await.unwrap_err();
    assert!(matches!(failure, UploadFailure::Local(LocalMiss::Missing)), "{failure:?}");
    std::os::unix::fs::symlink("/etc/passwd", disk.path()).unwrap();
    let failure = go(&cloud, &disk, order).await.unwrap_err();
    assert!(matches!(failure, UploadFailure::Local(LocalMiss::NotAFile)), "{failure:?}");
    assert!(cloud.kept.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_no_mixture() {
    let disk = Disk::new();
    disk.write(300_000);
    let cloud = Cloud { midway: Some(append(disk.path())), ..Cloud::default() };
    let failure = go(&cloud, &disk, disk.order()).await.unwrap_err();
    assert!(matches!(failure, UploadFailure::Local(LocalMiss::Changed { .. })), "{failure:?}");
    assert!(cloud.kept.lock().unwrap().is_none());
    // After the last byte it is another matter: the cloud has the content of one moment.
    let content = disk.write(300_000);
    let cloud = Cloud { at_the_end: Some(append(disk.path())), ..Cloud::default() };
    let failure = go(&cloud, &disk, disk.order()).await.unwrap_err();
    let UploadFailure::ChangedAfter(done, LocalMiss::Changed { stamp }) = failure else { panic!("{failure:?}") };
    assert_eq!(done.sha256, Sha256(sha2::Sha256::digest(&content).into()));
    assert_eq!(stamp, disk.order().stamp);
    assert!(cloud.kept.lock().unwrap().take().unwrap().1 == content);
}

#[tokio::test]
async fn a_session_is_noted_before_it_is_used() {
    let disk = Disk::new();
    disk.write(10);
    let cloud = Cloud { session: Some("S"), ..Cloud::default() };
    let (bandwidth, notes) = (Bandwidth::default(), Notes::default());
    go_with(&cloud, &disk, disk.order(), &notes, &bandwidth, CancellationToken::new()).await.unwrap();
    assert_eq!(*notes.noted.lock().unwrap(), [(JobId(5), "S".to_owned())]);
    cloud.kept.lock().unwrap().take();
    let notes = Notes { fails: true, ..Notes::default() };
    go_with(&cloud, &disk, disk.order(), &notes, &bandwidth, CancellationToken::new()).await.unwrap_err();
    assert!(cloud.kept.lock().unwrap().is_none());
}

#[tokio::test]
async fn an_upload_that_is_called_off_is_not_known_to_have_failed() {
    let disk = Disk::new();
    disk.write(10);
    let cloud = Cloud { hangs: true, ..Cloud::default() };
    let cancel = CancellationToken::new();
    let (bandwidth, notes) = (Bandwidth::default(), Notes::default());
    let uploading = go_with(&cloud, &disk, disk.order(), &notes, &bandwidth, cancel.clone());
    let (failure, ()) = tokio::join!(uploading, async { cancel.cancel() });
    let UploadFailure::Provider(error) = failure.unwrap_err() else { panic!() };
    assert_eq!(error.kind, ProviderErrorKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn uploads_keep_to_the_allowance() {
    let disk = Disk::new();
    disk.write(1_000_000);
    let cloud = Cloud::default();
    let bandwidth = Bandwidth {
        up: Pace::new(Some(folder_sync_agent::settings::Rates::always(Some(500_000)))),
        ..Bandwidth::default()
    };
    let began = Instant::now();
    go_with(&cloud, &disk, disk.order(), &Notes::default(), &bandwidth, CancellationToken::new()).await.unwrap();
    // The time is simulated; reading the file takes none of it.
    assert!(began.elapsed() >= Duration::from_millis(1_700), "{:?}", began.elapsed());
}
