//! What is written arrives once, whole and in its place, or the caller knows that it did not, or that nobody knows.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use folder_sync_agent::daemon::bandwidth::Bandwidth;
use folder_sync_agent::daemon::upload::{Sessions, Upload, upload};
use folder_sync_agent::id::{ContentHash, HashKind, ItemId, JobId, Sha256};
use folder_sync_agent::local::hash::hex;
use folder_sync_agent::local::{LocalFolder, LocalOptions};
use folder_sync_agent::local_news::{ScanOrder, UploadFile};
use folder_sync_agent::path::RelPath;
use folder_sync_agent::provider::{
    Expected, Preflight, ProviderError, ProviderErrorKind, Result, UploadBody, UploadOrder, UploadTarget,
};
use folder_sync_agent::sandbox::{Answer, Fault, Options, Rule, User};
use folder_sync_agent::tree::{ItemState, RemoteItem, Wall};
use sha1::Sha1;
use sha2::{Digest, Sha512};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, BoxFace, Face, credentials};

/// The sandbox's words for this provider's writes.
pub trait WriteFace: Face {
    const UPLOAD_NEW: &'static str;
    const UPLOAD_VERSION: &'static str;
    const MAKE_FOLDER: &'static str;
    const RELOCATE_FILE: &'static str;
    const TRASH_FILE: &'static str;
    /// The request by which the adapter finds out what has a name.
    const LOOK_BY_NAME: &'static str;
    const PART: &'static str;
    const COMMIT: &'static str;
    /// Whether a part that was sent is never sent again after its answer was lost.
    const PARTS_ARE_LISTED: bool;
    /// A length that goes up in at least three parts.
    const CHUNKED_BYTES: u64;

    /// A sandbox with parts of a handy size.
    fn options() -> Options {
        Options::default()
    }
}

impl WriteFace for BoxFace {
    const UPLOAD_NEW: &'static str = "upload_new";
    const UPLOAD_VERSION: &'static str = "upload_version";
    const MAKE_FOLDER: &'static str = "folder_create";
    const RELOCATE_FILE: &'static str = "file_update";
    const TRASH_FILE: &'static str = "file_delete";
    const LOOK_BY_NAME: &'static str = "preflight";
    const PART: &'static str = "session_part";
    const COMMIT: &'static str = "session_commit";
    const PARTS_ARE_LISTED: bool = true;
    const CHUNKED_BYTES: u64 = 21_000_000;
}

/// A content in memory that remembers what was asked of it.
pub struct Memory {
    bytes: Vec<u8>,
    /// Reading beyond this place fails, as for a file that changed.
    broken_from: AtomicU64,
    sessions: Mutex<Vec<String>>,
    furthest: AtomicU64,
}

impl Memory {
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            broken_from: AtomicU64::new(u64::MAX),
            sessions: Mutex::default(),
            furthest: AtomicU64::new(0),
        }
    }

    /// Bytes that differ everywhere.
    pub fn pattern(len: u64) -> Self {
        let mut state = 0x9e37_79b9_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        Self::of((0..len).map(next).collect::<Vec<u8>>())
    }

    fn order(&self, kind: HashKind, target: UploadTarget) -> UploadOrder {
        let hash = match kind {
            HashKind::Sha1 => ContentHash::Sha1(hex(&Sha1::digest(&self.bytes))),
            HashKind::Sha512 => ContentHash::Sha512(hex(&Sha512::digest(&self.bytes))),
        };
        UploadOrder {
            target,
            size: self.bytes.len() as u64,
            sha256: Sha256(sha2::Sha256::digest(&self.bytes).into()),
            hash,
            modified: Some(Wall(1_700_000_000_000)),
            session: None,
        }
    }

    fn told_session(&self) -> Option<String> {
        self.sessions.lock().unwrap().last().cloned()
    }
}

#[async_trait]
impl UploadBody for Memory {
    async fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let Range { start, end } = offset as usize..offset as usize + len;
        if end as u64 > self.broken_from.load(Ordering::Relaxed) {
            return Err(io::Error::other("the file changed"));
        }
        Ok(Bytes::copy_from_slice(&self.bytes[start..end]))
    }

    async fn session(&self, session: &str) -> io::Result<()> {
        self.sessions.lock().unwrap().push(session.to_owned());
        Ok(())
    }

    fn progress(&self, sent: u64) {
        self.furthest.fetch_max(sent, Ordering::Relaxed);
    }
}

fn new(parent: &ItemId, name: &str) -> UploadTarget {
    UploadTarget::New { parent: parent.clone(), name: name.to_owned() }
}

fn expected(item: &RemoteItem) -> Expected {
    Expected { version: item.content.as_ref().map(|content| content.version.clone()), etag: item.etag.clone() }
}

fn version_of(item: &RemoteItem) -> UploadTarget {
    UploadTarget::Version { file: item.id.clone(), expected: expected(item) }
}

async fn bed<F: WriteFace>() -> Bed<F> {
    let bed = Bed::<F>::with(F::options()).await;
    bed.cloud.mkdir_p("/in").unwrap();
    bed
}

async fn put<F: WriteFace>(bed: &Bed<F>, target: UploadTarget, body: &Memory) -> Result<RemoteItem> {
    bed.provider.upload(&body.order(bed.provider.capabilities().hash, target), body).await
}

fn kind(result: Result<impl Sized>) -> ProviderErrorKind {
    result.map(drop).unwrap_err().kind
}

/// The ways in which an answer goes missing although the work was done.
fn lost_answers() -> Vec<Fault> {
    vec![
        Fault::CutAfter,
        Fault::AnswerAfter(Answer::html(503)),
        Fault::AnswerAfter(Answer::empty(500)),
        Fault::AnswerAfter(Answer::html(200)),
        Fault::CutBody { after: 20 },
    ]
}

/// The ways in which nothing was done.
fn failures() -> Vec<Fault> {
    vec![
        Fault::CutBefore,
        Fault::Answer(Answer::html(503)),
        Fault::Answer(Answer::empty(500)),
        Fault::Answer(Answer::too_many(Some("0"))),
    ]
}

pub async fn a_file_goes_up_and_comes_back<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    for (name, size) in [("empty", 0), ("small.txt", 5), ("größer ~ 100%.bin", 900_000)] {
        let body = Memory::pattern(size);
        let made = put(&bed, new(&folder, name), &body).await.unwrap();
        assert_eq!((made.name.as_str(), made.parent.as_ref()), (name, Some(&folder)));
        assert!(bed.cloud.read(&format!("/in/{name}")).unwrap() == body.bytes, "{name}");
        assert_eq!(bed.item(&made.id).await, made, "the answer is the state that it made");
        let content = made.content.unwrap();
        assert_eq!((content.size, content.modified), (Some(size), Some(Wall(1_700_000_000_000))));
        assert_eq!(body.furthest.load(Ordering::Relaxed), size);
    }
}

pub async fn a_new_version_replaces_only_the_expected_one<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let old = bed.item(&bed.file("/in/a.txt")).await;
    let made = put(&bed, version_of(&old), &Memory::of("two")).await.unwrap();
    assert_eq!(made.id, old.id);
    assert_ne!(made.content.as_ref().unwrap().version, old.content.as_ref().unwrap().version);
    assert_eq!(bed.cloud.read("/in/a.txt").unwrap(), b"two");
    // What we knew is not what is there any more.
    assert_eq!(kind(put(&bed, version_of(&old), &Memory::of("three")).await), ProviderErrorKind::Conflict);
    bed.cloud.as_user(User::Other).write("/in/a.txt", "theirs").unwrap();
    assert_eq!(kind(put(&bed, version_of(&made), &Memory::of("four")).await), ProviderErrorKind::Conflict);
    let only_version = Expected { etag: None, ..expected(&made) };
    let target = UploadTarget::Version { file: made.id.clone(), expected: only_version };
    assert_eq!(kind(put(&bed, target, &Memory::of("five")).await), ProviderErrorKind::Conflict);
    assert_eq!(bed.cloud.read("/in/a.txt").unwrap(), b"theirs");
}

pub async fn a_taken_name_is_a_conflict<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    bed.cloud.write("/in/a.txt", "theirs").unwrap();
    bed.cloud.mkdir_p("/in/sub").unwrap();
    let folder = bed.folder("/in");
    let error = put(&bed, new(&folder, "a.txt"), &Memory::of("ours")).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Conflict);
    assert!(error.detail.is_some(), "{error:?}");
    assert_eq!(kind(bed.provider.make_folder(&folder, "sub").await), ProviderErrorKind::Conflict);
    assert_eq!(kind(bed.provider.make_folder(&folder, "a.txt").await), ProviderErrorKind::Conflict);
    let moved = bed.provider.relocate(&bed.file("/in/a.txt"), &folder, "sub", &Expected::default()).await;
    assert_eq!(kind(moved), ProviderErrorKind::Conflict);
    assert_eq!(bed.cloud.read("/in/a.txt").unwrap(), b"theirs");
    match bed.provider.preflight(&new(&folder, "a.txt"), 5).await {
        Ok(Preflight::Unknown) => {}
        told => assert_eq!(kind(told), ProviderErrorKind::Conflict),
    }
    assert!(bed.provider.preflight(&new(&folder, "free.txt"), 5).await.is_ok());
}

pub async fn a_lost_answer_is_found_again<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    for (number, fault) in lost_answers().into_iter().enumerate() {
        let name = format!("file {number}");
        let body = Memory::pattern(3_000 + number as u64);
        bed.cloud.faults().once(F::UPLOAD_NEW, fault.clone());
        let made = put(&bed, new(&folder, &name), &body).await.unwrap();
        assert_eq!(bed.cloud.count(F::UPLOAD_NEW), 1, "{fault:?}: sent once");
        bed.cloud.reset_counters();
        let more = Memory::pattern(5_000 + number as u64);
        bed.cloud.faults().once(F::UPLOAD_VERSION, fault.clone());
        let again = put(&bed, version_of(&made), &more).await.unwrap();
        assert_eq!(bed.cloud.count(F::UPLOAD_VERSION), 1, "{fault:?}: sent once");
        assert!(bed.cloud.read(&format!("/in/{name}")).unwrap() == more.bytes);

        bed.cloud.faults().once(F::RELOCATE_FILE, fault.clone());
        let renamed = format!("renamed {number}");
        let moved = bed.provider.relocate(&again.id, &folder, &renamed, &expected(&again)).await.unwrap();
        assert_eq!((moved.name.as_str(), &moved.id), (renamed.as_str(), &made.id));
        bed.cloud.faults().once(F::TRASH_FILE, fault.clone());
        bed.provider.trash(&moved.id, &expected(&moved)).await.unwrap();
        bed.cloud.faults().once(F::MAKE_FOLDER, fault.clone());
        let made = bed.provider.make_folder(&folder, &format!("folder {number}")).await.unwrap();
        assert_eq!(bed.item(&made.id).await, made);
        assert_eq!(bed.cloud.count(F::RELOCATE_FILE), 1, "{fault:?}");
        assert_eq!(bed.cloud.count(F::TRASH_FILE), 1, "{fault:?}");
        assert_eq!(bed.cloud.count(F::MAKE_FOLDER), 1, "{fault:?}");
        bed.cloud.faults().clear();
        bed.cloud.reset_counters();
    }
    let left = bed.list(&folder).await;
    assert_eq!(left.len(), lost_answers().len(), "the folders alone are left: {left:?}");
}

pub async fn what_did_not_happen_is_sent_again_whole<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    for (number, fault) in failures().into_iter().enumerate() {
        let name = format!("file {number}");
        let body = Memory::pattern(700_000 + number as u64);
        bed.cloud.faults().once(F::UPLOAD_NEW, fault.clone());
        put(&bed, new(&folder, &name), &body).await.unwrap_or_else(|why| panic!("{fault:?}: {why}"));
        assert!(bed.cloud.faults().pending().is_empty(), "{fault:?}");
        assert!(bed.cloud.read(&format!("/in/{name}")).unwrap() == body.bytes, "{fault:?}");
    }
}

pub async fn a_token_that_dies_under_an_upload_costs_a_second_sending<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    let pair = bed.cloud.issue_pair(User::Agent, 3_600);
    bed.sign_in(credentials(&pair.access_token, Some(&pair.refresh_token), Some(3_600))).await;
    let provider = bed.anew();
    let body = Memory::pattern(700_000);
    bed.cloud.faults().once(F::UPLOAD_NEW, Fault::Answer(Answer::expired_token()));
    provider.upload(&body.order(provider.capabilities().hash, new(&folder, "a")), &body).await.unwrap();
    assert!(bed.cloud.read("/in/a").unwrap() == body.bytes, "the body was whole the second time too");
    assert_eq!(bed.cloud.count(F::UPLOAD_NEW), 2);
}

pub async fn sending_again_has_an_end<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    bed.cloud.faults().add(Rule::on(F::UPLOAD_NEW, Fault::Answer(Answer::html(502))).always());
    assert_eq!(kind(put(&bed, new(&folder, "a"), &Memory::of("a")).await), ProviderErrorKind::Unavailable);
    let sent = bed.cloud.count(F::UPLOAD_NEW);
    assert!((2..=5).contains(&sent), "{sent}");
    bed.cloud.faults().clear();
    bed.cloud.faults().once(F::UPLOAD_NEW, Fault::Answer(Answer::too_many(Some("600"))));
    assert_eq!(kind(put(&bed, new(&folder, "a"), &Memory::of("a")).await), ProviderErrorKind::RateLimited);
    assert!(bed.cloud.id_of("/in/a").is_err());
}

pub async fn what_nobody_can_tell_is_said_to_be_unknown<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    bed.cloud.faults().once(F::UPLOAD_NEW, Fault::CutAfter);
    bed.cloud.faults().add(Rule::on(F::LOOK_BY_NAME, Fault::Answer(Answer::html(503))).always());
    assert_eq!(kind(put(&bed, new(&folder, "a"), &Memory::of("a")).await), ProviderErrorKind::OutcomeUnknown);
    assert_eq!(bed.cloud.count(F::UPLOAD_NEW), 1, "it is not sent again");
    assert_eq!(bed.cloud.read("/in/a").unwrap(), b"a");
}

pub async fn somebody_elses_file_is_not_taken_for_ours<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    bed.cloud.write("/in/a", "theirs").unwrap();
    bed.cloud.faults().once(F::UPLOAD_NEW, Fault::CutBefore);
    assert_eq!(kind(put(&bed, new(&folder, "a"), &Memory::of("ours")).await), ProviderErrorKind::Conflict);
    let before = bed.item(&bed.file("/in/a")).await;
    bed.cloud.write("/in/a", "theirs again").unwrap();
    bed.cloud.faults().once(F::UPLOAD_VERSION, Fault::CutBefore);
    assert_eq!(kind(put(&bed, version_of(&before), &Memory::of("ours")).await), ProviderErrorKind::Conflict);
    bed.cloud.faults().once(F::TRASH_FILE, Fault::CutBefore);
    assert_eq!(kind(bed.provider.trash(&before.id, &expected(&before)).await), ProviderErrorKind::Conflict);
    assert_eq!(bed.cloud.read("/in/a").unwrap(), b"theirs again");
}

pub async fn a_body_that_changes_leaves_nothing_behind<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    for size in [800_000, F::CHUNKED_BYTES] {
        let body = Memory::pattern(size);
        body.broken_from.store(size - 100_000, Ordering::Relaxed);
        assert_eq!(kind(put(&bed, new(&folder, "a"), &body).await), ProviderErrorKind::Corrupt);
        assert!(bed.list(&folder).await.is_empty());
    }
}

pub async fn a_wrong_digest_is_never_kept<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    let (told, really) = (Memory::pattern(10_000), Memory::of(vec![7; 10_000]));
    let order = told.order(bed.provider.capabilities().hash, new(&folder, "a"));
    assert_eq!(kind(bed.provider.upload(&order, &really).await), ProviderErrorKind::Corrupt);
    assert!(bed.list(&folder).await.is_empty());
}

pub async fn places_change_and_the_rest_stays<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    bed.cloud.write("/in/a.txt", "a").unwrap();
    bed.cloud.write("/in/d/inner.txt", "inner").unwrap();
    bed.cloud.mkdir_p("/other").unwrap();
    let (folder, other) = (bed.folder("/in"), bed.folder("/other"));
    let file = bed.item(&bed.file("/in/a.txt")).await;
    let renamed = bed.provider.relocate(&file.id, &folder, "b.txt", &expected(&file)).await.unwrap();
    assert_eq!((renamed.name.as_str(), &renamed.id), ("b.txt", &file.id));
    let moved = bed.provider.relocate(&file.id, &other, "c.txt", &expected(&renamed)).await.unwrap();
    assert_eq!((moved.name.as_str(), moved.parent.as_ref()), ("c.txt", Some(&other)));
    assert_eq!(bed.cloud.read("/other/c.txt").unwrap(), b"a");
    let again = bed.provider.relocate(&file.id, &other, "c.txt", &expected(&renamed)).await.unwrap();
    assert_eq!(again, moved, "what is there already is fine");
    let tree = bed.item(&bed.folder("/in/d")).await;
    bed.provider.relocate(&tree.id, &other, "e", &expected(&tree)).await.unwrap();
    assert_eq!(bed.cloud.read("/other/e/inner.txt").unwrap(), b"inner");
    // Another state than the expected one stays where it is, also where the provider would move it.
    bed.cloud.as_user(User::Other).write("/other/c.txt", "newer").unwrap();
    let refused = bed.provider.relocate(&file.id, &folder, "c.txt", &expected(&moved)).await;
    assert_eq!(kind(refused), ProviderErrorKind::Conflict);
    assert_eq!(bed.cloud.read("/other/c.txt").unwrap(), b"newer");
}

pub async fn the_trash_takes_what_was_expected<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    bed.cloud.write("/in/a.txt", "a").unwrap();
    bed.cloud.write("/in/d/inner.txt", "inner").unwrap();
    let file = bed.item(&bed.file("/in/a.txt")).await;
    bed.cloud.as_user(User::Other).write("/in/a.txt", "newer").unwrap();
    assert_eq!(kind(bed.provider.trash(&file.id, &expected(&file)).await), ProviderErrorKind::Conflict);
    let only_version = Expected { etag: None, ..expected(&file) };
    assert_eq!(kind(bed.provider.trash(&file.id, &only_version).await), ProviderErrorKind::Conflict);
    let file = bed.item(&file.id).await;
    bed.provider.trash(&file.id, &expected(&file)).await.unwrap();
    assert_eq!(bed.provider.item(&file.id).await.unwrap(), ItemState::Trashed);
    bed.provider.trash(&file.id, &expected(&file)).await.unwrap();
    let folder = bed.item(&bed.folder("/in/d")).await;
    bed.provider.trash(&folder.id, &expected(&folder)).await.unwrap();
    assert!(bed.list(&bed.folder("/in")).await.is_empty());
    bed.cloud.restore(folder.id.raw()).unwrap();
    assert_eq!(bed.cloud.read("/in/d/inner.txt").unwrap(), b"inner", "nothing is deleted for good");
}

pub async fn a_large_file_goes_up_in_parts<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    let body = Memory::pattern(F::CHUNKED_BYTES);
    let made = put(&bed, new(&folder, "large"), &body).await.unwrap();
    assert!(bed.cloud.count(F::PART) >= 3);
    assert!(bed.cloud.read("/in/large").unwrap() == body.bytes);
    let content = made.content.clone().unwrap();
    assert_eq!((content.size, content.modified), (Some(F::CHUNKED_BYTES), Some(Wall(1_700_000_000_000))));
    assert_eq!(body.furthest.load(Ordering::Relaxed), F::CHUNKED_BYTES);
    let mut more = body.bytes.clone();
    more[5] ^= 1;
    let more = Memory::of(more);
    let version = put(&bed, version_of(&made), &more).await.unwrap();
    assert_eq!(version.id, made.id);
    assert!(bed.cloud.read("/in/large").unwrap() == more.bytes);
    assert_eq!(kind(put(&bed, version_of(&made), &body).await), ProviderErrorKind::Conflict, "overtaken");
    assert_eq!(kind(put(&bed, new(&folder, "large"), &body).await), ProviderErrorKind::Conflict, "taken");
}

pub async fn lost_parts_are_made_good<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    let body = Memory::pattern(F::CHUNKED_BYTES);
    for fault in failures().into_iter().chain(lost_answers()) {
        for skip in [0, 1] {
            bed.cloud.reset_counters();
            bed.cloud.faults().add(Rule::on(F::PART, fault.clone()).skip(skip));
            let made = put(&bed, new(&folder, "large"), &body).await.unwrap_or_else(|why| panic!("{fault:?}: {why}"));
            assert!(bed.cloud.faults().pending().is_empty(), "{fault:?}");
            assert!(bed.cloud.read("/in/large").unwrap() == body.bytes, "{fault:?}");
            bed.provider.trash(&made.id, &Expected::default()).await.unwrap();
        }
    }
}

pub async fn an_upload_goes_on_after_a_crash<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    let body = Memory::pattern(F::CHUNKED_BYTES);
    bed.cloud.faults().add(Rule::on(F::PART, Fault::Answer(Answer::error(403, "forbidden"))).skip(2).always());
    put(&bed, new(&folder, "large"), &body).await.unwrap_err();
    bed.cloud.faults().clear();
    let session = body.told_session().expect("the session was told");
    bed.cloud.reset_counters();
    // Another adapter with nothing in memory, as after a crash.
    let anew = bed.anew();
    let order =
        UploadOrder { session: Some(session.clone()), ..body.order(anew.capabilities().hash, new(&folder, "large")) };
    anew.upload(&order, &body).await.unwrap();
    assert_eq!(body.told_session(), Some(session), "no other session was begun");
    assert!(bed.cloud.count(F::PART) >= 1);
    assert!(bed.cloud.read("/in/large").unwrap() == body.bytes);
    let parts = bed.cloud.count(F::PART);
    if F::PARTS_ARE_LISTED {
        assert_eq!(parts, 1, "of three parts, two were there");
    }
    // The crash may also have come after the commit: then the session is gone, and the file is there.
    let again = anew.upload(&order, &body).await.unwrap();
    assert_eq!(again.name, "large");
    assert_eq!(bed.cloud.count(F::PART), parts, "nothing was sent again");
}

pub async fn a_session_that_is_forgotten_is_begun_anew<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    let body = Memory::pattern(F::CHUNKED_BYTES);
    let order = UploadOrder {
        session: Some("NEVER".to_owned()),
        ..body.order(bed.provider.capabilities().hash, new(&folder, "large"))
    };
    bed.provider.upload(&order, &body).await.unwrap();
    assert!(bed.cloud.read("/in/large").unwrap() == body.bytes);
}

pub async fn a_commit_is_looked_for<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let folder = bed.folder("/in");
    let body = Memory::pattern(F::CHUNKED_BYTES);
    let later = |answer: Answer| answer.with("retry-after", "0");
    let mut faults = lost_answers();
    faults.extend([
        Fault::CutBefore,
        Fault::Answer(Answer::empty(503)),
        // Still at it; and done already, which Box says in the same way.
        Fault::Answer(later(Answer::empty(202))),
        Fault::AnswerAfter(later(Answer::empty(202))),
        Fault::Answer(later(Answer::error(400, "parts_mismatch"))),
    ]);
    for fault in faults {
        bed.cloud.reset_counters();
        bed.cloud.faults().once(F::COMMIT, fault.clone());
        let made = put(&bed, new(&folder, "large"), &body).await.unwrap_or_else(|why| panic!("{fault:?}: {why}"));
        assert!(bed.cloud.faults().pending().is_empty(), "{fault:?}");
        assert!(bed.cloud.read("/in/large").unwrap() == body.bytes, "{fault:?}");
        assert_eq!(bed.cloud.versions("/in/large").unwrap().len(), 1, "{fault:?}: committed once");
        assert!(bed.cloud.count(F::COMMIT) <= 2, "{fault:?}");
        bed.provider.trash(&made.id, &Expected::default()).await.unwrap();
    }
    bed.cloud.faults().once(F::COMMIT, Fault::CutAfter);
    bed.cloud.faults().add(Rule::on(F::LOOK_BY_NAME, Fault::Answer(Answer::html(503))).always());
    assert_eq!(kind(put(&bed, new(&folder, "large"), &body).await), ProviderErrorKind::OutcomeUnknown);
}

pub async fn a_full_or_narrow_account_refuses<F: WriteFace>(_: Bed<F>) {
    let bed = Bed::<F>::with(Options { space_bytes: 1_000, max_upload_bytes: 900, ..F::options() }).await;
    bed.cloud.mkdir_p("/in").unwrap();
    let folder = bed.folder("/in");
    put(&bed, new(&folder, "a"), &Memory::pattern(500)).await.unwrap();
    for size in [600, 950] {
        let refused: ProviderError = put(&bed, new(&folder, "b"), &Memory::pattern(size)).await.unwrap_err();
        assert_eq!(refused.kind, ProviderErrorKind::Refused, "{refused}");
        match bed.provider.preflight(&new(&folder, "b"), size).await {
            Ok(Preflight::Unknown) => {}
            told => assert_eq!(kind(told), ProviderErrorKind::Refused),
        }
    }
    assert_eq!(bed.list(&folder).await.len(), 1);
}

/// The worker of the agent and the adapter together: from a file on disk to the same bytes and the same time in the cloud.
pub async fn the_worker_brings_a_file_from_disk_to_the_cloud<F: WriteFace>(_: Bed<F>) {
    let bed = bed::<F>().await;
    let dir = tempfile::tempdir().unwrap();
    let options = LocalOptions { file_mode: 0o644, dir_mode: 0o755, min_free: 0, create: true };
    let folder = Arc::new(LocalFolder::open(dir.path(), "mark", options).unwrap());
    let mut target = new(&bed.folder("/in"), "from disk");
    for size in [10_000, F::CHUNKED_BYTES] {
        let content = Memory::pattern(size);
        std::fs::write(dir.path().join("a"), &content.bytes).unwrap();
        let scan = folder.scan(&ScanOrder { dir: RelPath::root(), after: None }).unwrap();
        let stamp = scan.entries[0].stamp;
        let path = RelPath::root().join(&scan.entries[0].name);
        let order = UploadFile { path, stamp, target, digests: None, session: None };
        let with = Upload {
            provider: &*bed.provider,
            folder: Arc::clone(&folder),
            bandwidth: &Bandwidth::default(),
            sessions: &content,
            progress: &|_| (),
            cancel: CancellationToken::new(),
        };
        let done = upload(JobId(1), order, with).await.unwrap();
        assert!(bed.cloud.read("/in/from disk").unwrap() == content.bytes);
        let told = done.item.content.as_ref().unwrap();
        assert_eq!((told.size, done.stamp), (Some(size), stamp));
        let modified = told.modified.unwrap();
        assert!((modified.0 - stamp.mtime_ns / 1_000_000).abs() < 1_000, "{modified:?}, at least to the second");
        target = version_of(&done.item);
    }
}

#[async_trait]
impl Sessions for Memory {
    async fn note(&self, _: JobId, session: &str) -> io::Result<()> {
        UploadBody::session(self, session).await
    }
}
