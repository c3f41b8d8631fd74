//! How fast files get from memory to their durable place: `cargo bench --bench publish [DIR] [FILES]`.
//!
//! Prints milliseconds for each file of 4 KiB, staged one by one and published in batches of 64, for new files and for
//! replaced ones, and the rate at which one large file is fetched from memory, with this process's own peak of memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use folder_sync_agent::daemon::bandwidth::Pace;
use folder_sync_agent::daemon::fetch::{FetchOrder, fetch};
use folder_sync_agent::deed::{Deed, DeedOrder, DeedResult, Expect, OnEdit, Place};
use folder_sync_agent::events::EventPage;
use folder_sync_agent::id::{ContentHash, Cursor, ItemId, JobId, PageToken, VersionId};
use folder_sync_agent::local::{LocalFolder, LocalOptions, StageOrder};
use folder_sync_agent::path::RelPath;
use folder_sync_agent::provider::{Capabilities, Content, Identity, ListPage, Provider, Resolved, Result, Wake};
use folder_sync_agent::settings::RemotePlace;
use folder_sync_agent::tree::{ItemState, Stamp, Wall};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

const BATCH: usize = 64;
const FILES_A_FOLDER: usize = 20;
const LARGE_BYTES: u64 = 2 << 30;
const LARGE_ROUNDS: usize = 3;
const CHUNK_BYTES: usize = 16 * 1024;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let place = words.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let files = words.next().map_or(6_400, |word| word.parse().expect("a number of files"));
    let dir = tempfile::tempdir_in(place).expect("a temporary directory");
    let root = dir.path().canonicalize().expect("its real path").join("root");
    let options = LocalOptions { file_mode: 0o640, dir_mode: 0o750, min_free: 0, create: true };
    let folder = Arc::new(LocalFolder::open(&root, "bench", options).expect("a folder"));

    if files > 0 {
        let stamps = small_files(&folder, files, 1, &[]);
        small_files(&folder, files, 1 + files as i64, &stamps);
    }
    for _ in 0..LARGE_ROUNDS {
        large_file(&folder, dir.path());
    }
}

/// Stages and publishes files in batches; returns what is there.
fn small_files(folder: &LocalFolder, files: usize, first_job: i64, replace: &[Stamp]) -> Vec<Stamp> {
    let (mut staging, mut publishing) = (Duration::ZERO, Duration::ZERO);
    let mut stamps = Vec::with_capacity(files);
    let place = |n: usize| {
        let folder = format!("folder {}", n / FILES_A_FOLDER);
        (folder.clone(), Place::tree(RelPath::parse(&format!("{folder}/file {n}")).expect("a path")))
    };
    for n in (0..files).step_by(FILES_A_FOLDER) {
        let at = Place::tree(RelPath::parse(&place(n).0).expect("a path"));
        folder.execute(&[DeedOrder { job: JobId(0), deed: Deed::MakeFolder { at } }]);
    }
    let numbers: Vec<usize> = (0..files).collect();
    for batch in numbers.chunks(BATCH) {
        let begun = Instant::now();
        let orders: Vec<DeedOrder> = batch
            .iter()
            .map(|&n| {
                let job = JobId(first_job + n as i64);
                let content = Bytes::from(vec![job.0 as u8; 4096]);
                let order = StageOrder { job, size: Some(4096), hash: None, modified: Some(Wall(job.0)) };
                let staged = folder.stage_small(&order, &[content]).expect("a staged file");
                let expect = replace.get(n).map_or(Expect::Absent, |stamp| Expect::Ours(*stamp));
                DeedOrder { job, deed: Deed::Publish { staged, at: place(n).1, expect, on_edit: OnEdit::Displace } }
            })
            .collect();
        staging += begun.elapsed();
        let begun = Instant::now();
        for result in folder.execute(&orders) {
            match result {
                DeedResult::Done { stamp: Some(stamp), displaced } => {
                    assert_eq!(displaced.is_some(), !replace.is_empty());
                    stamps.push(stamp);
                }
                other => panic!("{other:?}"),
            }
        }
        publishing += begun.elapsed();
    }
    let each = |total: Duration| total.as_secs_f64() * 1e3 / files as f64;
    let what = if replace.is_empty() { "new" } else { "replaced" };
    println!("{files} x 4 KiB, {what}: staged {:.3} ms, published {:.3} ms a file", each(staging), each(publishing));
    stamps
}

fn large_file(folder: &Arc<LocalFolder>, dir: &Path) {
    let part = Bytes::from((0..CHUNK_BYTES).map(|at| (at * 31) as u8).collect::<Vec<_>>());
    let rate = |begun: Instant| LARGE_BYTES as f64 / 1e6 / begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    let mut file = std::fs::File::create(dir.join("plain")).expect("a file");
    for _ in 0..LARGE_BYTES / CHUNK_BYTES as u64 {
        std::io::Write::write_all(&mut file, &part).expect("room");
    }
    println!("2 GiB, plainly written: {:.0} MB/s", rate(begun));
    file.sync_all().expect("a disk");
    println!("2 GiB, plainly written and flushed: {:.0} MB/s", rate(begun));
    std::fs::remove_file(dir.join("plain")).expect("a file");

    let mut hasher = <sha1::Sha1 as sha1::Digest>::new();
    for _ in 0..LARGE_BYTES / CHUNK_BYTES as u64 {
        sha1::Digest::update(&mut hasher, &part);
    }
    let hash = folder_sync_agent::local::hash::hex(&sha1::Digest::finalize(hasher));
    let order = FetchOrder {
        job: JobId(i64::MAX),
        item: ItemId::file("1"),
        version: VersionId::new("1"),
        size: Some(LARGE_BYTES),
        hash: Some(ContentHash::Sha1(hash)),
        modified: None,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().expect("a runtime");
    let before = peak_kib();
    let begun = Instant::now();
    let cloud = Memory { part };
    let pace = Pace::default();
    let fetching = fetch(&cloud, Arc::clone(folder), order, &pace, |_| {}, CancellationToken::new());
    let staged = runtime.block_on(fetching).expect("a staged file");
    println!("2 GiB, fetched, digested twice and flushed: {:.0} MB/s", rate(begun));
    println!("peak memory: {before} KiB before, {} KiB after", peak_kib());
    folder.discard_staged(&staged).expect("a disk");
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A cloud that sends the same bytes again and again.
struct Memory {
    part: Bytes,
}

#[async_trait]
impl Provider for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            disordered: false,
            top_id: None,
            long_poll: false,
            checks_cursor: false,
            events_carry_items: false,
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

    async fn item(&self, _: &ItemId) -> Result<ItemState> {
        unreachable!()
    }

    async fn content(&self, _: &ItemId, _: &VersionId, offset: u64) -> Result<Content> {
        let parts = LARGE_BYTES / CHUNK_BYTES as u64;
        // A copy for each part, as a network would make it.
        let parts = (0..parts).map({
            let part = self.part.clone();
            move |_| Ok(Bytes::copy_from_slice(&part))
        });
        Ok(Content {
            offset,
            total: Some(LARGE_BYTES),
            hash: None,
            modified: None,
            tag: None,
            stream: stream::iter(parts).boxed(),
        })
    }
}
