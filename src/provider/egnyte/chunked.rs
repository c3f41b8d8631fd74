//! Uploading a large content chunk by chunk. What Egnyte has of it is told to the caller after each chunk, so that a restart goes on from there.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use super::api::{Api, CHECKSUM};
use super::change::{Changes, look_for};
use super::names;
use super::upload::{Upload, holds, written};
use crate::id::ContentHash;
use crate::provider::auth::Call;
use crate::provider::http::CallKind;
use crate::provider::http::careful::{Careful, Look, carefully};
use crate::provider::http::feed::{PIECE_BYTES, Span, unreadable};
use crate::provider::write::PARTS_AT_ONCE;
use crate::provider::{ProviderError, ProviderErrorKind, Result, UploadBody, UploadOrder, UploadTarget};
use crate::tree::RemoteItem;

const UPLOAD_ID: &str = "x-egnyte-upload-id";
const CHUNK_NUMBER: &str = "x-egnyte-chunk-num";
const CHUNK_CHECKSUM: &str = "x-egnyte-chunk-sha512-checksum";
const LAST_CHUNK: &str = "x-egnyte-last-chunk";

/// A chunked upload under way, as it is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    id: String,
    size: u64,
    chunk: u64,
    /// The digests of the chunks that Egnyte has, by their number.
    digests: BTreeMap<u64, String>,
}

/// Uploads a content, from where it was left if there is such a place.
pub async fn upload(
    api: &Api,
    changes: &Changes,
    chunk: u64,
    order: &UploadOrder,
    body: &dyn UploadBody,
) -> Result<RemoteItem> {
    let known = order
        .session
        .as_deref()
        .and_then(|session| serde_json::from_str::<Progress>(session).ok())
        .filter(|known| known.size == order.size && known.chunk > 0);
    if let Some(known) = known {
        if let Some(done) = arrived_before(api, changes, order, body, &known).await? {
            return Ok(done);
        }
        let upload = Upload::new(api, changes, order, body).await?;
        match go_on(changes, &upload, known).await {
            // Chunks are kept for a day; whatever Egnyte says of older ones, beginning anew is the answer.
            Err(error) if has_ended(&error) => tracing::debug!(%error, "the chunked upload is begun anew"),
            other => return other,
        }
    }
    let upload = Upload::new(api, changes, order, body).await?;
    let begun = begin(&upload, chunk).await?;
    go_on(changes, &upload, begun).await
}

/// The file, if the last chunk had arrived before a crash kept us from hearing of it.
async fn arrived_before(
    api: &Api,
    changes: &Changes,
    order: &UploadOrder,
    body: &dyn UploadBody,
    known: &Progress,
) -> Result<Option<RemoteItem>> {
    let found = match &order.target {
        UploadTarget::New { parent, name } => {
            look_for(api, &names::child_path(&changes.path_of(api, parent).await?, name)?).await?
        }
        UploadTarget::Version { file, .. } => Some(api.look(file).await?),
    };
    let Some(found) = found else { return Ok(None) };
    let item = api.item(&found).await?;
    if item.content.as_ref().and_then(|content| content.size) != Some(order.size) {
        return Ok(None);
    }
    let mut all = known.clone();
    for number in 1..=all.chunks() {
        if !all.digests.contains_key(&number) {
            all.digests.insert(number, digest(body, all.span(number)).await?);
        }
    }
    Ok(holds(&item, order, &all.composite()).then_some(item))
}

fn has_ended(error: &ProviderError) -> bool {
    matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Refused)
}

/// Sends the first chunk, whose answer names the upload.
async fn begin(upload: &Upload<'_>, chunk: u64) -> Result<Progress> {
    let mut progress = Progress { id: String::new(), size: upload.order.size, chunk, digests: BTreeMap::new() };
    let digest = digest(upload.body, progress.span(1)).await?;
    let id = send_chunk(upload, &progress, 1, &digest).await?;
    let unnamed = || ProviderError::new(ProviderErrorKind::Malformed, "the chunked upload got no id");
    progress.id = id.ok_or_else(unnamed)?;
    progress.digests.insert(1, digest);
    tell(upload.body, &progress).await?;
    Ok(progress)
}

/// Sends what is missing, and the last chunk at last.
async fn go_on(changes: &Changes, upload: &Upload<'_>, mut progress: Progress) -> Result<RemoteItem> {
    let chunks = progress.chunks();
    let known = progress.clone();
    let missing = (1..chunks).filter(|number| !known.digests.contains_key(number)).map(|number| {
        let known = &known;
        async move {
            let digest = digest(upload.body, known.span(number)).await?;
            send_chunk(upload, known, number, &digest).await?;
            Ok::<_, ProviderError>((number, digest))
        }
    });
    let missing: Vec<_> = missing.collect();
    let mut sent = stream::iter(missing).buffer_unordered(PARTS_AT_ONCE);
    while let Some((number, digest)) = sent.try_next().await? {
        progress.digests.insert(number, digest);
        tell(upload.body, &progress).await?;
    }
    let last = digest(upload.body, progress.span(chunks)).await?;
    progress.digests.insert(chunks, last);
    // All this took its time: what is at the target may have changed.
    let upload = Upload::new(upload.api, changes, upload.order, upload.body).await?;
    carefully(&LastChunk { hash: progress.composite(), upload, progress }).await
}

/// Sends a chunk that is not the last. Nothing becomes visible, so it may be sent again. Returns the id of the upload.
async fn send_chunk(upload: &Upload<'_>, progress: &Progress, number: u64, digest: &str) -> Result<Option<String>> {
    let call = chunk_call(upload, progress, number, digest)?;
    let session = upload.api.session();
    let headers = session.retrying(call.operation, || async {
        let (headers, _) = upload.send(&call, progress.span(number)).await?;
        // What answers for Egnyte without its words, a proxy for one, has kept nothing.
        let is_told = [UPLOAD_ID, CHUNK_NUMBER, CHUNK_CHECKSUM].iter().any(|name| headers.contains_key(*name));
        let is_named = !progress.id.is_empty() || headers.contains_key(UPLOAD_ID);
        if is_told && is_named {
            return Ok(headers);
        }
        Err(ProviderError::new(ProviderErrorKind::Unavailable, "the answer to a chunk is incomplete"))
    });
    let headers = headers.await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header(CHUNK_CHECKSUM).is_some_and(|told| !told.eq_ignore_ascii_case(digest)) {
        return Err(ProviderError::new(ProviderErrorKind::Corrupt, "a chunk arrived changed").with("chunk", number));
    }
    Ok(header(UPLOAD_ID).map(str::to_owned))
}

fn chunk_call(upload: &Upload<'_>, progress: &Progress, number: u64, digest: &str) -> Result<Call> {
    let url = upload.api.at_path("fs-content-chunked", &upload.path)?;
    let id = (!progress.id.is_empty()).then(|| progress.id.clone());
    Ok(Call::new("upload", CallKind::Content, Method::POST, url)
        .about(&upload.path)
        .header(UPLOAD_ID, id)
        .header(CHUNK_NUMBER, Some(number.to_string()))
        .header(CHUNK_CHECKSUM, Some(digest)))
}

/// The chunk that makes the file appear.
struct LastChunk<'a> {
    upload: Upload<'a>,
    progress: Progress,
    hash: ContentHash,
}

#[async_trait]
impl Careful for LastChunk<'_> {
    type Done = RemoteItem;

    async fn attempt(&self) -> Result<RemoteItem> {
        let (upload, number) = (&self.upload, self.progress.chunks());
        let digest = self.progress.digests.get(&number).map(String::as_str).unwrap_or_default();
        let call = chunk_call(upload, &self.progress, number, digest)?
            .header(LAST_CHUNK, Some("true"))
            .header(CHECKSUM, Some(written(&self.hash)))
            .header("last-modified", upload.modified());
        let answer = upload.send(&call, self.progress.span(number)).await?;
        upload.verified(&self.hash, answer)
    }

    async fn look(&self) -> Result<Look<RemoteItem>> {
        self.upload.find(&self.hash).await
    }
}

async fn tell(body: &dyn UploadBody, progress: &Progress) -> Result<()> {
    let failed = |why: String| {
        ProviderError::new(ProviderErrorKind::Local, "the state of an upload cannot be kept").with_detail(why)
    };
    let text = serde_json::to_string(progress).map_err(|error| failed(error.to_string()))?;
    body.session(&text).await.map_err(|error| failed(error.to_string()))
}

/// The SHA-512 of a part of a content.
async fn digest(body: &dyn UploadBody, span: Span) -> Result<String> {
    let mut hasher = Sha512::new();
    let mut done = 0;
    while done < span.len {
        let length = PIECE_BYTES.min(span.len - done);
        let piece = body.read(span.from + done, length as usize).await.map_err(|why| unreadable(&why))?;
        if piece.len() as u64 != length {
            return Err(unreadable(&std::io::ErrorKind::UnexpectedEof.into()));
        }
        hasher.update(&piece);
        done += length;
    }
    Ok(hex(&hasher.finalize()))
}

/// Lower-case hex, in which digests of digests are made.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
        text
    })
}

impl Progress {
    fn chunks(&self) -> u64 {
        self.size.div_ceil(self.chunk)
    }

    fn span(&self, number: u64) -> Span {
        let from = (number - 1) * self.chunk;
        Span { from, len: self.chunk.min(self.size - from) }
    }

    /// What Egnyte will describe the whole content with, once all digests are known.
    fn composite(&self) -> ContentHash {
        let mut whole = Sha512::new();
        for digest in self.digests.values() {
            whole.update(digest.as_bytes());
        }
        ContentHash::Sha512Chunks { chunks: self.chunks(), chunk_size: self.chunk, digest: hex(&whole.finalize()) }
    }
}
