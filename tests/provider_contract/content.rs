//! The bytes of a version.

use std::sync::Arc;

use folder_sync_agent::daemon::bandwidth::Pace;
use folder_sync_agent::daemon::fetch::{FetchError, FetchOrder, fetch};
use folder_sync_agent::id::{ItemId, JobId, VersionId};
use folder_sync_agent::local::{LocalFolder, LocalOptions};
use folder_sync_agent::provider::ProviderErrorKind;
use folder_sync_agent::sandbox::{Answer, Content, Fault, Rule};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, Face, read};

pub async fn the_bytes_are_those_of_the_version<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.bin", Content::pattern(7, 700_000)).unwrap();
    let id = bed.file("/in/a.bin");
    let old_version = bed.item(&id).await.content.unwrap().version;
    let old = bed.cloud.read("/in/a.bin").unwrap();
    bed.cloud.write("/in/a.bin", "new").unwrap();
    bed.cloud.write("/in/empty", "").unwrap();
    let before = bed.counter.counts().content;
    let content = bed.provider.content(&id, &old_version, 0).await.unwrap();
    assert_eq!((content.offset, content.total), (0, Some(700_000)));
    assert!(read(content).await == old);
    assert_eq!(bed.counter.counts().content - before, 1, "a redirect is not a call");
    let new_version = bed.item(&id).await.content.unwrap().version;
    assert_eq!(read(bed.provider.content(&id, &new_version, 0).await.unwrap()).await, b"new");
    let empty = bed.file("/in/empty");
    let version = bed.item(&empty).await.content.unwrap().version;
    let content = bed.provider.content(&empty, &version, 0).await.unwrap();
    assert_eq!((content.offset, content.total), (0, Some(0)));
    assert!(read(content).await.is_empty());
    assert_eq!(bed.cloud.count("bearer_leaked"), 0);
}

pub async fn a_part_is_a_part<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.bin", Content::pattern(7, 10_000)).unwrap();
    let id = bed.file("/in/a.bin");
    let version = bed.item(&id).await.content.unwrap().version;
    let whole = bed.cloud.read("/in/a.bin").unwrap();
    let content = bed.provider.content(&id, &version, 4_000).await.unwrap();
    assert_eq!((content.offset, content.total), (4_000, Some(10_000)));
    assert!(read(content).await == whole[4_000..]);
    // All of it is there already.
    let content = bed.provider.content(&id, &version, 10_000).await.unwrap();
    assert!(content.offset == 0 || read(content).await.is_empty());
    // Beyond the end there is nothing to resume: it begins again.
    let content = bed.provider.content(&id, &version, 10_001).await.unwrap();
    assert_eq!(content.offset, 0);
    assert!(read(content).await == whole);
}

pub async fn older_versions_are_listed_and_can_be_fetched<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let id = bed.file("/in/a.txt");
    let mut written = vec![bed.item(&id).await.content.unwrap()];
    assert_eq!(bed.provider.versions(&id).await.unwrap(), [], "the present one is no older one");
    for text in ["number two", "three"] {
        bed.cloud.write("/in/a.txt", text).unwrap();
        written.push(bed.item(&id).await.content.unwrap());
    }
    written.pop();
    let older = bed.provider.versions(&id).await.unwrap();
    assert_eq!(older.len(), 2);
    for known in written {
        let found = older.iter().find(|found| found.version == known.version).unwrap();
        assert_eq!((&found.hash, found.size), (&known.hash, known.size));
        let content = bed.provider.content(&id, &found.version, 0).await.unwrap();
        assert_eq!(read(content).await.len() as u64, known.size.unwrap());
    }
    let Err(error) = bed.provider.versions(&ItemId::file("424242424242")).await else { panic!() };
    assert_eq!(error.kind, ProviderErrorKind::NotFound, "{error}");
}

pub async fn what_is_gone_is_not_found<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let id = bed.file("/in/a.txt");
    let version = bed.item(&id).await.content.unwrap().version;
    bed.cloud.trash("/in/a.txt").unwrap();
    for (id, version) in [(id, version), (ItemId::file("424242424242"), VersionId::new("424242424242"))] {
        let Err(error) = bed.provider.content(&id, &version, 0).await else { panic!("{id}") };
        assert_eq!(error.kind, ProviderErrorKind::NotFound, "{error}");
    }
}

/// Where a fetch stages.
pub struct Disk {
    folder: Arc<LocalFolder>,
    dir: tempfile::TempDir,
}

impl Disk {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = LocalOptions { file_mode: 0o640, dir_mode: 0o750, min_free: 0, create: true };
        let root = dir.path().canonicalize().unwrap().join("root");
        Self { folder: Arc::new(LocalFolder::open(&root, "uid", options).unwrap()), dir }
    }

    pub fn folder(&self) -> Arc<LocalFolder> {
        Arc::clone(&self.folder)
    }

    pub fn staged(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("root/.folder-sync-agent/staging")).unwrap().count()
    }

    async fn fetch<F: Face>(&self, bed: &Bed<F>, order: FetchOrder) -> Result<Vec<u8>, FetchError> {
        let folder = Arc::clone(&self.folder);
        let staged = fetch(&*bed.provider, folder, order, &Pace::default(), |_| {}, CancellationToken::new()).await?;
        Ok(std::fs::read(self.folder.staged_path(&staged.name)).unwrap())
    }
}

fn page(content_type: &str, body: &str) -> Fault {
    Fault::Answer(Answer { body: body.to_owned(), ..Answer::empty(200) }.with("content-type", content_type))
}

fn header(name: &str, value: &str) -> Fault {
    Fault::SetHeader { name: name.to_owned(), value: value.to_owned() }
}

fn without(name: &str) -> Fault {
    Fault::LoseHeader { name: name.to_owned() }
}

pub async fn an_answer_that_is_not_the_version_is_never_staged<F: Face>(bed: Bed<F>) {
    for (name, size) in [("small.bin", 5_000_u64), ("large.bin", 700_000)] {
        let path = format!("/in/{name}");
        bed.cloud.write(&path, Content::pattern(6, size)).unwrap();
        bed.cloud.write(&path, Content::pattern(7, size)).unwrap();
        let (file, whole) = (bed.file(&path), bed.cloud.read(&path).unwrap());
        let content = bed.item(&file).await.content.unwrap();
        let described = FetchOrder {
            job: JobId(5),
            item: file.clone(),
            version: content.version,
            size: content.size,
            hash: content.hash,
            modified: content.modified,
        };
        let undescribed = FetchOrder { size: None, hash: None, modified: None, ..described.clone() };
        let html = "<!doctype html><title>Please sign in</title>";
        let html_of_that_length = format!("{html}{}", " ".repeat(size as usize - html.len()));
        for (fault, reason) in [
            (page("text/html", html), "HTML"),
            (page("text/html", &html_of_that_length), "HTML"),
            (page("application/json", r#"{"errorMessage":"not now"}"#), "JSON"),
            (page("application/octet-stream", ""), "empty"),
            (Fault::ShortBody { len: size / 2 }, "bytes|digest"),
            (Fault::LongBody { by: 7 }, "bytes|digest"),
            (Fault::CorruptBody { at: 100 }, "digest"),
            (Fault::WrongVersion, "version|digest"),
            (header("content-encoding", "gzip"), "encoded"),
            (header("content-range", "bytes 5-9/10"), ""),
        ] {
            // The header with the digest may be missing too, where there is one.
            for (order, lost) in
                [(&described, ""), (&undescribed, ""), (&undescribed, "x-sha512-checksum"), (&undescribed, "etag")]
            {
                let disk = Disk::new();
                let call = if fault == Fault::WrongVersion { F::CONTENT } else { F::CONTENT_TARGET };
                bed.cloud.faults().add(Rule::on(call, fault.clone()).and(without(lost)).always());
                let fetched = disk.fetch(&bed, order.clone()).await;
                bed.cloud.faults().clear();
                if reason.is_empty() {
                    // A header that means nothing in a whole answer does no harm.
                    assert!(fetched.unwrap() == whole);
                    continue;
                }
                let Err(why) = fetched else { panic!("staged: {fault:?} {lost}") };
                let said = why.to_string();
                assert!(reason.split('|').any(|reason| said.contains(reason)), "{fault:?}: {said}");
                assert_eq!(disk.staged(), 0, "{fault:?}");
            }
        }
        // What is right comes through, whatever is missing from the head: at the cost of one question where the digest is not known.
        for (order, lost, looks) in [
            (&described, "x-sha512-checksum", 0),
            (&undescribed, "", u64::from(!F::DOWNLOADS_TELL_DIGESTS)),
            (&undescribed, "x-sha512-checksum", 1),
            (&undescribed, "etag", 1),
            (&undescribed, "content-length", u64::from(!F::DOWNLOADS_TELL_DIGESTS)),
        ] {
            let before = bed.counter.counts().metadata;
            bed.cloud.faults().add(Rule::on(F::CONTENT_TARGET, without(lost)).always());
            assert!(Disk::new().fetch(&bed, order.clone()).await.unwrap() == whole, "{lost}");
            assert_eq!(bed.counter.counts().metadata - before, looks, "{lost}");
            bed.cloud.faults().clear();
        }
        // A part that nobody asked for, and all of it where the rest was asked for.
        for fault in [Fault::UnaskedPart { len: size / 3 }, Fault::CutBody { after: size / 3 }] {
            bed.cloud.faults().add(Rule::on(F::CONTENT_TARGET, fault));
            bed.cloud.faults().add(Rule::on(F::CONTENT_TARGET, Fault::IgnoreRange));
            assert!(Disk::new().fetch(&bed, undescribed.clone()).await.unwrap() == whole);
            bed.cloud.faults().clear();
        }
    }
}
