//! Uploading: where to, in one piece or in chunks, and whether what arrived is what we sent.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED};
use reqwest::{Body, RequestBuilder, Response};
use tokio::sync::mpsc;

use super::api::{Api, CHECKSUM};
use super::change::{Changes, before, is_uncertain, look_for, post, taken, unknown, unless_throttled};
use super::wire::{Fields, Object};
use super::{chunked, names, translate};
use crate::id::{ContentHash, ItemId, VersionId};
use crate::provider::http::{CallKind, Http, read_text};
use crate::provider::write::WRITE_TIMEOUT;
use crate::provider::{ProviderError, ProviderErrorKind, Result, UploadBody, UploadOrder, UploadTarget};
use crate::tree::{RemoteContent, RemoteItem, Wall};

/// Bytes read and passed on at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that may wait for the network.
const PIECES_WAITING: usize = 4;
/// An upload that is slower than this, in bytes a second, is given up.
const SLOWEST_BYTES_PER_S: u64 = 16 * 1024;

/// From which length on a content is uploaded in chunks, and how long each of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The longest content that is sent in one piece, in bytes.
    pub one_piece_max: u64,
    /// Every chunk but the last, in bytes. Egnyte takes 10 MiB to 1 GiB.
    pub chunk: u64,
}

impl Default for Sizes {
    /// What Egnyte recommends: chunks of 100 MiB cost few calls.
    fn default() -> Self {
        Self { one_piece_max: 100 << 20, chunk: 100 << 20 }
    }
}

/// Where an upload goes, and what was there just before.
pub struct Goal {
    pub path: String,
    parent: ItemId,
    name: String,
    before: Option<VersionId>,
}

/// What an upload was answered with.
pub struct Arrived {
    headers: HeaderMap,
    body: Object,
}

pub async fn upload(
    api: &Api,
    changes: &Changes,
    sizes: &Sizes,
    order: &UploadOrder,
    body: &dyn UploadBody,
) -> Result<RemoteItem> {
    if !matches!(order.hash, ContentHash::Sha512(_)) {
        return Err(ProviderError::new(
            ProviderErrorKind::Local,
            "an upload to Egnyte needs the SHA-512 of the content",
        ));
    }
    let goal = goal(api, changes, order).await?;
    // What the content will be described with is known before the request that makes it visible, which alone may be uncertain.
    let (hash, sent) = if order.size > sizes.one_piece_max.max(sizes.chunk) {
        chunked::send(api, &goal, sizes.chunk, order, body).await?
    } else {
        (order.hash.clone(), one_piece(api, &goal, order, body).await)
    };
    match sent {
        Ok(arrived) => goal.verified(api, order, &hash, &arrived).await,
        Err(error) if is_uncertain(&error) => goal.happened(api, order, &hash, error).await,
        Err(error) => Err(changes.doubt(error)),
    }
}

async fn goal(api: &Api, changes: &Changes, order: &UploadOrder) -> Result<Goal> {
    match &order.target {
        UploadTarget::New { parent, name } => {
            let path = names::child_path(&changes.path_of(api, parent).await?, name)?;
            // A second upload to a path is a new version there, whoever made the first.
            if look_for(api, &path).await?.is_some() {
                return Err(taken(&path));
            }
            Ok(Goal { path, parent: parent.clone(), name: name.clone(), before: None })
        }
        UploadTarget::Version { file, expected } => {
            let (item, path) = before(api, file, expected).await?;
            let (Some(content), Some(parent)) = (item.content, item.parent) else {
                return Err(
                    ProviderError::new(ProviderErrorKind::Refused, "this item is not a file").with("item", file)
                );
            };
            Ok(Goal { path, parent, name: item.name, before: Some(content.version) })
        }
    }
}

async fn one_piece(api: &Api, goal: &Goal, order: &UploadOrder, body: &dyn UploadBody) -> Result<Arrived> {
    let mut call = post("upload", api.at_path("fs-content", &goal.path)?, &goal.path);
    call.kind = CallKind::Content;
    let session = api.session();
    let send = || {
        session.change(&call, |request| {
            let request = timed(request, order).header(CHECKSUM, checksum(&order.hash));
            send_part(session.http(), request, body, 0, order.size)
        })
    };
    arrived(unless_throttled(api, &call, send).await?).await
}

/// A request that tells when the content was modified.
pub fn timed(request: RequestBuilder, order: &UploadOrder) -> RequestBuilder {
    let since_epoch = order.modified.and_then(|modified| u64::try_from(modified.0).ok());
    match since_epoch {
        Some(ms) => {
            let moment = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
            request.header(LAST_MODIFIED, httpdate::fmt_http_date(moment))
        }
        None => request,
    }
}

/// A digest as Egnyte writes it.
pub fn checksum(hash: &ContentHash) -> String {
    match hash {
        ContentHash::Sha512Chunks { chunks, chunk_size, digest } => translate::composite(*chunks, *chunk_size, digest),
        ContentHash::Sha1(text) | ContentHash::Sha512(text) | ContentHash::Unknown(text) => text.clone(),
    }
}

/// Sends a part of a content as the body of a request. The bytes are read by position while they are sent: each sending reads them anew.
pub async fn send_part(
    http: &Http,
    request: RequestBuilder,
    body: &dyn UploadBody,
    offset: u64,
    length: u64,
) -> Result<Response> {
    let limit = WRITE_TIMEOUT + std::time::Duration::from_secs(length / SLOWEST_BYTES_PER_S);
    let request = request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, length);
    if length == 0 {
        return http.send(request, limit).await;
    }
    let (pieces, waiting) = mpsc::channel::<std::io::Result<bytes::Bytes>>(PIECES_WAITING);
    let stream = futures_util::stream::unfold(waiting, |mut waiting| async move {
        let piece = waiting.recv().await?;
        Some((piece, waiting))
    });
    let send = http.send(request.body(Body::wrap_stream(stream)), limit);
    let feed = async move {
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let piece = read(body, at, PIECE_BYTES.min(usize::try_from(end - at).unwrap_or(PIECE_BYTES))).await?;
            at += piece.len() as u64;
            if pieces.send(Ok(piece)).await.is_err() {
                // Nobody listens any more: the answer says why.
                break;
            }
            body.progress(at);
        }
        Ok::<_, ProviderError>(())
    };
    tokio::pin!(send, feed);
    tokio::select! {
        answer = &mut send => answer,
        // A body that ends early breaks the request off, and nothing becomes visible.
        fed = &mut feed => {
            fed?;
            send.await
        }
    }
}

/// Exactly these bytes of a content that must not have changed.
pub async fn read(body: &dyn UploadBody, offset: u64, length: usize) -> Result<bytes::Bytes> {
    let changed = |why: String| {
        ProviderError::new(ProviderErrorKind::Corrupt, "the file changed while it was uploaded").with_detail(why)
    };
    match body.read(offset, length).await {
        Ok(bytes) if bytes.len() == length => Ok(bytes),
        Ok(bytes) => Err(changed(format!("{} bytes where {length} were expected", bytes.len()))),
        Err(error) => Err(changed(error.to_string())),
    }
}

/// What an accepted upload was answered with; words that cannot be read are looked up later.
pub async fn arrived(response: Response) -> Result<Arrived> {
    let headers = response.headers().clone();
    let text = read_text(response).await?;
    Ok(Arrived { headers, body: serde_json::from_str(&text).unwrap_or_default() })
}

impl Arrived {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn hash(&self) -> Option<ContentHash> {
        let text = self.body.text("checksum").or_else(|| self.header(CHECKSUM).map(str::to_owned))?;
        Some(translate::hash(&text))
    }

    fn version(&self) -> Option<VersionId> {
        let tag = || Some(self.header(ETAG.as_str())?.trim_matches('"').to_owned());
        self.body.text("entry_id").or_else(tag).map(VersionId::new)
    }

    fn modified(&self) -> Option<Wall> {
        translate::moment(self.header(LAST_MODIFIED.as_str())?)
    }
}

impl Goal {
    /// The file as it is after an upload that was accepted, if it holds what was sent.
    async fn verified(
        &self,
        api: &Api,
        order: &UploadOrder,
        hash: &ContentHash,
        arrived: &Arrived,
    ) -> Result<RemoteItem> {
        let (Some(id), Some(version), Some(told)) = (arrived.body.text("group_id"), arrived.version(), arrived.hash())
        else {
            return self.compared(api.item(&api.look_at(&self.path).await?).await?, order, hash);
        };
        let whole_second = |modified: Wall| Wall(modified.0 - modified.0.rem_euclid(1_000));
        let content = RemoteContent {
            version,
            hash: Some(told),
            size: Some(arrived.body.number("size").unwrap_or(order.size)),
            modified: arrived.modified().or(order.modified.map(whole_second)),
        };
        let item = RemoteItem {
            id: ItemId::file(id),
            parent: Some(self.parent.clone()),
            name: self.name.clone(),
            content: Some(content),
            etag: None,
            sequence: None,
            ancestors: None,
            path: Some(self.path.clone()),
        };
        self.compared(item, order, hash)
    }

    /// The item, unless it holds something else than what was sent. A digest that cannot be compared leaves it to the length.
    fn compared(&self, item: RemoteItem, order: &UploadOrder, hash: &ContentHash) -> Result<RemoteItem> {
        let content = item.content.as_ref();
        let same = content.and_then(|content| content.hash.as_ref()).and_then(|told| told.same_content(hash));
        let as_long = content.is_some_and(|content| content.size.is_none_or(|size| size == order.size));
        if same == Some(false) || !as_long {
            return Err(ProviderError::new(
                ProviderErrorKind::Corrupt,
                "Egnyte holds another content than the one that was sent; the file must be uploaded again",
            )
            .with("path", &self.path));
        }
        Ok(item)
    }

    /// Looks whether an upload without a usable answer happened.
    async fn happened(
        &self,
        api: &Api,
        order: &UploadOrder,
        hash: &ContentHash,
        error: ProviderError,
    ) -> Result<RemoteItem> {
        let found = match api.look_at(&self.path).await {
            Ok(found) => api.item(&found).await?,
            Err(look) => return Err(unknown(&error, look)),
        };
        let is_ours = found.content.as_ref().is_some_and(|content| {
            Some(&content.version) != self.before.as_ref()
                && content.size == Some(order.size)
                && content.hash.as_ref().and_then(|told| told.same_content(hash)) == Some(true)
        });
        if is_ours { Ok(found) } else { Err(error) }
    }
}
