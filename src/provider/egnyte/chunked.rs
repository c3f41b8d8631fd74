//! Uploading a large content chunk by chunk. What Egnyte has of it is told to the caller after each chunk, so that a restart goes on from there.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use super::api::{Api, CHECKSUM};
use super::change::{post, unless_throttled};
use super::upload::{Arrived, Goal, arrived, checksum, read, send_part, timed};
use crate::id::ContentHash;
use crate::local::hash::hex;
use crate::provider::auth::Call;
use crate::provider::http::CallKind;
use crate::provider::write::PARTS_AT_ONCE;
use crate::provider::{ProviderError, ProviderErrorKind, Result, UploadBody, UploadOrder};

const UPLOAD_ID: &str = "x-egnyte-upload-id";
const CHUNK_NUMBER: &str = "x-egnyte-chunk-num";
const CHUNK_CHECKSUM: &str = "x-egnyte-chunk-sha512-checksum";
const LAST_CHUNK: &str = "x-egnyte-last-chunk";
/// Bytes read at a time for a digest.
const READ_BYTES: u64 = 1024 * 1024;

/// A chunked upload under way, as it is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    id: String,
    path: String,
    size: u64,
    chunk: u64,
    /// The digests of the chunks that Egnyte has, by their number.
    digests: BTreeMap<u64, String>,
}

/// Sends a content. The digest that it will have is returned beside the answer to the last chunk, which makes it visible.
pub async fn send(
    api: &Api,
    goal: &Goal,
    chunk: u64,
    order: &UploadOrder,
    body: &dyn UploadBody,
) -> Result<(ContentHash, Result<Arrived>)> {
    let resumed = order
        .session
        .as_deref()
        .and_then(|session| serde_json::from_str::<Progress>(session).ok())
        .filter(|known| known.path == goal.path && known.size == order.size && known.chunk > 0);
    if let Some(known) = resumed {
        match go_on(api, goal, order, body, known).await {
            // Chunks are kept for a day; whatever Egnyte says of older ones, beginning anew is the answer.
            Err(error) if has_ended(&error) => {
                tracing::debug!(path = goal.path, %error, "the chunked upload is begun anew");
            }
            Ok((_, Err(error))) if has_ended(&error) => {
                tracing::debug!(path = goal.path, %error, "the chunked upload is begun anew");
            }
            other => return other,
        }
    }
    let begun = begin(api, goal, chunk, order, body).await?;
    go_on(api, goal, order, body, begun).await
}

fn has_ended(error: &ProviderError) -> bool {
    matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Refused | ProviderErrorKind::Conflict)
}

/// Sends the first chunk, whose answer names the upload.
async fn begin(api: &Api, goal: &Goal, chunk: u64, order: &UploadOrder, body: &dyn UploadBody) -> Result<Progress> {
    let mut progress =
        Progress { id: String::new(), path: goal.path.clone(), size: order.size, chunk, digests: BTreeMap::new() };
    let digest = digest(body, 0, progress.length(1)).await?;
    let response = send_chunk(api, &progress, 1, &digest, body).await?;
    let id = response.headers().get(UPLOAD_ID).and_then(|id| id.to_str().ok());
    progress.id =
        id.ok_or_else(|| ProviderError::new(ProviderErrorKind::Malformed, "the chunked upload got no id"))?.to_owned();
    progress.digests.insert(1, digest);
    tell(body, &progress).await?;
    Ok(progress)
}

/// Sends what is missing, and the last chunk at last.
async fn go_on(
    api: &Api,
    goal: &Goal,
    order: &UploadOrder,
    body: &dyn UploadBody,
    mut progress: Progress,
) -> Result<(ContentHash, Result<Arrived>)> {
    let chunks = progress.chunks();
    let missing: Vec<u64> = (1..chunks).filter(|number| !progress.digests.contains_key(number)).collect();
    let known = progress.clone();
    let mut sent = stream::iter(missing)
        .map(|number| {
            let known = &known;
            async move {
                let digest = digest(body, known.offset(number), known.length(number)).await?;
                send_chunk(api, known, number, &digest, body).await?;
                Ok::<_, ProviderError>((number, digest))
            }
        })
        .buffer_unordered(PARTS_AT_ONCE);
    while let Some((number, digest)) = sent.try_next().await? {
        progress.digests.insert(number, digest);
        tell(body, &progress).await?;
    }
    let last = digest(body, progress.offset(chunks), progress.length(chunks)).await?;
    let mut whole = Sha512::new();
    for text in progress.digests.values().chain([&last]) {
        whole.update(text.as_bytes());
    }
    let hash = ContentHash::Sha512Chunks { chunks, chunk_size: progress.chunk, digest: hex(&whole.finalize()) };
    let call = call(api, &goal.path)?;
    let session = api.session();
    let send = || {
        session.change(&call, |request| {
            let request = timed(request, order)
                .header(UPLOAD_ID, &progress.id)
                .header(CHUNK_NUMBER, chunks)
                .header(CHUNK_CHECKSUM, &last)
                .header(LAST_CHUNK, "true")
                .header(CHECKSUM, checksum(&hash));
            send_part(session.http(), request, body, progress.offset(chunks), progress.length(chunks))
        })
    };
    let answer = match unless_throttled(api, &call, send).await {
        Ok(response) => arrived(response).await,
        Err(error) => Err(error),
    };
    Ok((hash, answer))
}

/// Sends a chunk that is not the last. Nothing becomes visible, so it may be sent again.
async fn send_chunk(
    api: &Api,
    progress: &Progress,
    number: u64,
    digest: &str,
    body: &dyn UploadBody,
) -> Result<reqwest::Response> {
    let call = call(api, &progress.path)?;
    let session = api.session();
    let send = || {
        session.change(&call, |request| {
            let request = request.header(CHUNK_NUMBER, number).header(CHUNK_CHECKSUM, digest);
            let request = if progress.id.is_empty() { request } else { request.header(UPLOAD_ID, &progress.id) };
            send_part(session.http(), request, body, progress.offset(number), progress.length(number))
        })
    };
    let response = session.retrying(call.operation, send).await?;
    let told = response.headers().get(CHUNK_CHECKSUM).and_then(|told| told.to_str().ok());
    if told.is_some_and(|told| !told.eq_ignore_ascii_case(digest)) {
        return Err(ProviderError::new(ProviderErrorKind::Corrupt, "a chunk arrived changed").with("chunk", number));
    }
    Ok(response)
}

fn call(api: &Api, path: &str) -> Result<Call> {
    let mut call = post("upload", api.at_path("fs-content-chunked", path)?, path);
    call.kind = CallKind::Content;
    Ok(call)
}

async fn tell(body: &dyn UploadBody, progress: &Progress) -> Result<()> {
    let failed = |why: String| {
        ProviderError::new(ProviderErrorKind::Local, "the state of an upload cannot be kept").with_detail(why)
    };
    let text = serde_json::to_string(progress).map_err(|error| failed(error.to_string()))?;
    body.session(&text).await.map_err(|error| failed(error.to_string()))
}

/// The SHA-512 of a part of a content.
async fn digest(body: &dyn UploadBody, offset: u64, length: u64) -> Result<String> {
    let mut hasher = Sha512::new();
    let (mut at, end) = (offset, offset + length);
    while at < end {
        let bytes = read(body, at, READ_BYTES.min(end - at) as usize).await?;
        at += bytes.len() as u64;
        hasher.update(&bytes);
    }
    Ok(hex(&hasher.finalize()))
}

impl Progress {
    fn chunks(&self) -> u64 {
        self.size.div_ceil(self.chunk)
    }

    fn offset(&self, number: u64) -> u64 {
        (number - 1) * self.chunk
    }

    fn length(&self, number: u64) -> u64 {
        self.chunk.min(self.size - self.offset(number))
    }
}
