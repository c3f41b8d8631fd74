//! Uploading: one local file, by handle, as it was at one moment, or not at all.
//!
//! The file is read by position for every attempt, and its stamp is looked at with every read and once more at the end: what changed
//! meanwhile is never uploaded as a mixture.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::bandwidth::Bandwidth;
use crate::deed::{DiskError, DiskErrorKind};
use crate::id::{ContentHash, JobId, Sha256};
use crate::local::{LocalFolder, OpenFile};
use crate::local_news::{LocalMiss, UploadFailure, UploadFile, Uploaded};
use crate::provider::{Provider, ProviderError, ProviderErrorKind, UploadBody, UploadOrder};
use crate::tree::Wall;

/// Up to this length a file is read whole when it is opened, in the same turn on a thread that may block.
const AT_ONCE_MAX_BYTES: u64 = 256 * 1024;
/// From this length on it is asked first whether an upload would be taken: a refusal is cheaper than the bytes.
const PREFLIGHT_MIN_BYTES: u64 = 1024 * 1024;

/// Makes a chunked upload durable, so that it can be gone on with after a restart.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Returns when the session is noted.
    async fn note(&self, job: JobId, session: &str) -> io::Result<()>;
}

/// What an upload needs beside its order.
pub struct Upload<'a> {
    /// The cloud.
    pub provider: &'a dyn Provider,
    /// The folder that holds the file.
    pub folder: Arc<LocalFolder>,
    /// The allowance of the account.
    pub bandwidth: &'a Bandwidth,
    /// Where sessions are noted.
    pub sessions: &'a dyn Sessions,
    /// Hears how many bytes the cloud has.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
    /// Ends the upload; what was under way is then not known to have happened.
    pub cancel: CancellationToken,
}

/// Uploads a file.
pub async fn upload(job: JobId, order: UploadFile, with: Upload<'_>) -> Result<Box<Uploaded>, UploadFailure> {
    let cancelled = || {
        let why = "the upload is no longer wanted; whether it happened is not known";
        UploadFailure::Provider(ProviderError::new(ProviderErrorKind::OutcomeUnknown, why))
    };
    let cancel = with.cancel.clone();
    tokio::select! {
        result = run(job, order, with) => result,
        () = cancel.cancelled() => Err(cancelled()),
    }
}

async fn run(job: JobId, order: UploadFile, with: Upload<'_>) -> Result<Box<Uploaded>, UploadFailure> {
    let kind = with.provider.capabilities().hash;
    let UploadFile { path, stamp, target, digests, session } = order;
    let folder = Arc::clone(&with.folder);
    let opened = blocking(move || {
        let file = folder.open_file(&path, &stamp)?;
        let digests = match digests {
            Some(known) => known,
            None => file.digest(kind)?,
        };
        // What cannot be read now is read later, and says why.
        let size = file.stamp().size;
        let whole = (size <= AT_ONCE_MAX_BYTES).then(|| file.read(0, size as usize).ok()).flatten();
        Ok((Arc::new(file), digests, whole))
    });
    let (file, (sha256, hash), whole) = opened.await.map_err(UploadFailure::Local)?;
    let stamp = file.stamp();
    if stamp.size >= PREFLIGHT_MIN_BYTES && session.is_none() {
        with.provider.preflight(&target, stamp.size).await.map_err(UploadFailure::Provider)?;
    }
    let order = provider_order(&file, target, session, sha256, hash);
    let body = Body { job, file: Arc::clone(&file), whole, with: &with };
    let is_whole = body.whole.is_some();
    let answer = with.provider.upload(&order, &body).await;
    let still = if is_whole {
        // One look at an open file: handing it to a thread that may block would cost ten times as much.
        file.check()
    } else {
        let checked = Arc::clone(&file);
        blocking(move || checked.check()).await
    };
    match (answer, still) {
        (Ok(item), still) => {
            let done = Box::new(Uploaded { item, sha256, stamp });
            match still {
                Ok(()) => Ok(done),
                Err(changed) => Err(UploadFailure::ChangedAfter(done, changed)),
            }
        }
        // The adapter only saw that it could not be read; here is why.
        (Err(error), Err(changed)) if error.kind == ProviderErrorKind::Corrupt => Err(UploadFailure::Local(changed)),
        (Err(error), _) => Err(UploadFailure::Provider(error)),
    }
}

fn provider_order(
    file: &OpenFile,
    target: crate::provider::UploadTarget,
    session: Option<String>,
    sha256: Sha256,
    hash: ContentHash,
) -> UploadOrder {
    let stamp = file.stamp();
    let modified = Some(Wall(stamp.mtime_ns.div_euclid(1_000_000)));
    UploadOrder { target, size: stamp.size, sha256, hash, modified, session }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, LocalMiss> + Send + 'static,
) -> Result<T, LocalMiss> {
    tokio::task::spawn_blocking(act).await.unwrap_or_else(|why| {
        Err(LocalMiss::Failed(DiskError { kind: DiskErrorKind::Item, text: format!("the reader died: {why}") }))
    })
}

struct Body<'a> {
    job: JobId,
    file: Arc<OpenFile>,
    /// All of a small one.
    whole: Option<Bytes>,
    with: &'a Upload<'a>,
}

#[async_trait]
impl UploadBody for Body<'_> {
    async fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = usize::try_from(offset).ok().and_then(|from| Some((from, from.checked_add(len)?)));
        if let (Some(whole), Some((from, to))) = (&self.whole, end)
            && to <= whole.len()
        {
            return Ok(whole.slice(from..to));
        }
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || file.read(offset, len)).await.map_err(io::Error::other)?
    }

    async fn session(&self, session: &str) -> io::Result<()> {
        self.with.sessions.note(self.job, session).await
    }

    async fn pace(&self, bytes: usize) {
        self.with.bandwidth.up.take(bytes).await;
    }

    fn progress(&self, sent: u64) {
        (self.with.progress)(sent);
    }
}
