//! Uploading: where to, in one piece or in chunks, and whether what arrived is what we sent.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED};
use reqwest::{Method, RequestBuilder};

use super::api::{Api, CHECKSUM};
use super::change::{Changes, before, look_for, overtaken, taken};
use super::wire::{Fields, Object};
use super::{chunked, names, translate};
use crate::id::{ContentHash, ItemId, VersionId};
use crate::provider::auth::Call;
use crate::provider::http::CallKind;
use crate::provider::http::careful::{Careful, Look, carefully};
use crate::provider::http::feed::{Span, feeding};
use crate::provider::{ProviderError, ProviderErrorKind, Result, UploadBody, UploadOrder, UploadTarget};
use crate::tree::{RemoteContent, RemoteItem, Wall};

/// The feeder sees to it that an upload moves; this only bounds the patience of a request that does.
const FED_LIMIT: Duration = Duration::from_hours(24);

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

/// One upload, after a look at its target.
pub struct Upload<'a> {
    pub api: &'a Api,
    pub order: &'a UploadOrder,
    pub body: &'a dyn UploadBody,
    pub path: String,
    parent: ItemId,
    name: String,
    /// What the target held then.
    before: Option<VersionId>,
}

/// What an upload was answered with.
type Answer = (HeaderMap, String);

pub async fn upload(
    api: &Api,
    changes: &Changes,
    sizes: &Sizes,
    order: &UploadOrder,
    body: &dyn UploadBody,
) -> Result<RemoteItem> {
    if !matches!(order.hash, ContentHash::Sha512(_)) {
        let why = "an upload to Egnyte needs the SHA-512 of the content";
        return Err(ProviderError::new(ProviderErrorKind::Local, why));
    }
    let _turn = match &order.target {
        UploadTarget::New { parent, name } => Some(changes.turn(parent, name).await),
        UploadTarget::Version { .. } => None,
    };
    let done = if order.size > sizes.one_piece_max.max(sizes.chunk) {
        chunked::upload(api, changes, sizes.chunk, order, body).await
    } else {
        match Upload::new(api, changes, order, body).await {
            Ok(upload) => carefully(&OnePiece { upload }).await,
            Err(error) => Err(error),
        }
    };
    done.map_err(|error| changes.doubt(error))
}

impl<'a> Upload<'a> {
    /// An upload to a target that is as it was expected.
    pub async fn new(
        api: &'a Api,
        changes: &Changes,
        order: &'a UploadOrder,
        body: &'a dyn UploadBody,
    ) -> Result<Self> {
        match &order.target {
            UploadTarget::New { parent, name } => {
                let path = names::child_path(&changes.path_of(api, parent).await?, name)?;
                // A second upload to a path is a new version there, whoever made the first.
                if look_for(api, &path).await?.is_some() {
                    return Err(taken(&path));
                }
                Ok(Self { api, order, body, path, parent: parent.clone(), name: name.clone(), before: None })
            }
            UploadTarget::Version { file, expected } => {
                let (item, path) = before(api, file, expected).await?;
                let (Some(content), Some(parent)) = (item.content, item.parent) else {
                    let why = "this item is not a file";
                    return Err(ProviderError::new(ProviderErrorKind::Refused, why).with("item", file));
                };
                Ok(Self { api, order, body, path, parent, name: item.name, before: Some(content.version) })
            }
        }
    }

    /// Sends a span of the content to an address.
    pub async fn send(&self, call: &Call, span: Span) -> Result<Answer> {
        let session = self.api.session();
        let told = |sent| self.body.progress(span.from + sent);
        feeding(self.body, span, &told, async move |bodies| {
            let shape = |request: RequestBuilder| {
                let request = request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, span.len);
                request.body(bodies.make())
            };
            session.write_answered(call, FED_LIMIT, &shape).await
        })
        .await
    }

    /// When the content was modified, as Egnyte wants to be told.
    pub fn modified(&self) -> Option<String> {
        let since_epoch = u64::try_from(self.order.modified?.0).ok()?;
        Some(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(since_epoch)))
    }

    /// The file that an answer tells of, if it holds what was sent.
    pub fn verified(&self, hash: &ContentHash, (headers, text): Answer) -> Result<RemoteItem> {
        let body: Object = serde_json::from_str(&text).unwrap_or_default();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let version =
            body.text("entry_id").or_else(|| header(ETAG.as_str()).map(|tag| tag.trim_matches('"').to_owned()));
        let told = body.text("checksum").or_else(|| header(CHECKSUM).map(str::to_owned));
        let (Some(id), Some(version), Some(told)) = (body.text("group_id"), version, told) else {
            // An answer that says too little is as good as none.
            return Err(ProviderError::new(ProviderErrorKind::Malformed, "the answer to an upload is incomplete"));
        };
        let whole_second = |modified: Wall| Wall(modified.0 - modified.0.rem_euclid(1_000));
        let modified = header(LAST_MODIFIED.as_str()).and_then(translate::moment);
        let content = RemoteContent {
            version: VersionId::new(version),
            hash: Some(translate::hash(&told)),
            size: Some(body.number("size").unwrap_or(self.order.size)),
            modified: modified.or(self.order.modified.map(whole_second)),
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
        if is_different(&item, self.order, hash) {
            let why = "Egnyte holds another content than the one that was sent; the file must be uploaded again";
            return Err(ProviderError::new(ProviderErrorKind::Corrupt, why).with("path", &self.path));
        }
        Ok(item)
    }

    /// Whether an upload without a usable answer happened.
    pub async fn find(&self, hash: &ContentHash) -> Result<Look<RemoteItem>> {
        let Some(found) = look_for(self.api, &self.path).await? else {
            return match &self.order.target {
                UploadTarget::New { .. } => Ok(Look::NotYet),
                UploadTarget::Version { file, .. } => Ok(Look::Overtaken(overtaken(file))),
            };
        };
        let item = self.api.item(&found).await?;
        let there = item.content.as_ref().map(|content| &content.version);
        Ok(if holds(&item, self.order, hash) && there != self.before.as_ref() {
            Look::Happened(item)
        } else if there.is_some() && there == self.before.as_ref() {
            Look::NotYet
        } else {
            Look::Overtaken(taken(&self.path))
        })
    }
}

/// Whether a file is known to hold exactly this content.
pub fn holds(item: &RemoteItem, order: &UploadOrder, hash: &ContentHash) -> bool {
    item.content.as_ref().is_some_and(|content| {
        content.size == Some(order.size) && content.hash.as_ref().and_then(|told| told.same_content(hash)) == Some(true)
    })
}

/// Whether a file is known to hold something else. A digest that cannot be compared leaves it to the length.
fn is_different(item: &RemoteItem, order: &UploadOrder, hash: &ContentHash) -> bool {
    item.content.as_ref().is_none_or(|content| {
        content.size.is_some_and(|size| size != order.size)
            || content.hash.as_ref().and_then(|told| told.same_content(hash)) == Some(false)
    })
}

struct OnePiece<'a> {
    upload: Upload<'a>,
}

#[async_trait]
impl Careful for OnePiece<'_> {
    type Done = RemoteItem;

    async fn attempt(&self) -> Result<RemoteItem> {
        let upload = &self.upload;
        let url = upload.api.at_path("fs-content", &upload.path)?;
        let call = Call::new("upload", CallKind::Content, Method::POST, url)
            .about(&upload.path)
            .header(CHECKSUM, Some(written(&upload.order.hash)))
            .header("last-modified", upload.modified());
        let answer = upload.send(&call, Span { from: 0, len: upload.order.size }).await?;
        upload.verified(&upload.order.hash, answer)
    }

    async fn look(&self) -> Result<Look<RemoteItem>> {
        self.upload.find(&self.upload.order.hash).await
    }
}

/// A digest as Egnyte writes it.
pub fn written(hash: &ContentHash) -> String {
    match hash {
        ContentHash::Sha512Chunks { chunks, chunk_size, digest } => translate::composite(*chunks, *chunk_size, digest),
        ContentHash::Sha1(text) | ContentHash::Sha512(text) | ContentHash::Unknown(text) => text.clone(),
    }
}
