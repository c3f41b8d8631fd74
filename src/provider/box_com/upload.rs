//! Uploads: which way a content goes, the way in one request, and how a lost one is found again.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};

use super::api::{BoxApi, time_text};
use super::change::{live, overtaken, state_of};
use super::{chunked, translate};
use crate::id::{ContentHash, Etag, ItemId, ItemKind};
use crate::provider::http::careful::{Careful, Look, carefully};
use crate::provider::http::feed::{Span, feeding};
use crate::provider::{Preflight, ProviderError, ProviderErrorKind, Result, UploadBody, UploadOrder, UploadTarget};
use crate::tree::{ItemState, RemoteItem};

/// From this length on a content goes in parts: Box takes no session for a shorter one.
const CHUNKED_MIN_BYTES: u64 = 20_000_000;
/// The feeder sees to it that an upload moves; this only bounds the patience of a request that does.
pub const FED_LIMIT: Duration = Duration::from_hours(24);

/// Whether an upload would be taken.
pub async fn preflight(api: &BoxApi, target: &UploadTarget, size: u64) -> Result<Preflight> {
    match target {
        UploadTarget::New { parent, name } => api.preflight_new(parent, name, size).await?,
        UploadTarget::Version { file, .. } => api.preflight_version(file, size).await?,
    }
    Ok(Preflight::Welcome)
}

/// Uploads a content.
pub async fn upload(api: &BoxApi, order: &UploadOrder, body: &dyn UploadBody) -> Result<RemoteItem> {
    let upload = Upload::new(api, order, body)?;
    if order.size < CHUNKED_MIN_BYTES {
        return carefully(&upload).await;
    }
    match chunked::upload(&upload).await {
        // The limit is Box's own to choose.
        Err(error) if translate::code(&error) == "file_size_too_small" => carefully(&upload).await,
        done => done,
    }
}

/// One upload.
pub struct Upload<'a> {
    pub api: &'a BoxApi,
    pub order: &'a UploadOrder,
    pub body: &'a dyn UploadBody,
    /// SHA-1 in lower-case hex.
    pub sha1: &'a str,
}

impl<'a> Upload<'a> {
    fn new(api: &'a BoxApi, order: &'a UploadOrder, body: &'a dyn UploadBody) -> Result<Self> {
        match &order.hash {
            ContentHash::Sha1(sha1) => Ok(Self { api, order, body, sha1 }),
            other => Err(ProviderError::new(ProviderErrorKind::Local, "Box wants the SHA-1 of a content")
                .with_detail(other.to_string())),
        }
    }

    /// Whether a file holds exactly this content.
    fn is_content_of(&self, file: &RemoteItem) -> bool {
        let Some(content) = &file.content else { return false };
        matches!(&content.hash, Some(ContentHash::Sha1(sha1)) if sha1 == self.sha1)
            && content.size.is_none_or(|size| size == self.order.size)
    }

    /// The file that an answer tells of, if it holds what was sent.
    pub fn verified(&self, answer: &str) -> Result<RemoteItem> {
        let file = translate::uploaded(answer)?;
        if self.is_content_of(&file) {
            return Ok(file);
        }
        Err(ProviderError::new(ProviderErrorKind::Corrupt, "Box kept another content than was sent")
            .with_detail(format!("sent sha1 {}, {} bytes", self.sha1, self.order.size))
            .with("item", &file.id))
    }

    /// Whether this very content is at its target.
    pub async fn find(&self) -> Result<Look<RemoteItem>> {
        match &self.order.target {
            UploadTarget::New { parent, name } => {
                let Some(id) = self.api.name_taken(parent, name).await? else { return Ok(Look::NotYet) };
                let taken = || {
                    ProviderError::new(ProviderErrorKind::Conflict, "the name is taken").with(translate::TAKEN_BY, &id)
                };
                if id.kind() == ItemKind::Folder {
                    return Ok(Look::Overtaken(taken()));
                }
                let file = live(self.api, &id).await?;
                Ok(if self.is_content_of(&file) { Look::Happened(file) } else { Look::Overtaken(taken()) })
            }
            UploadTarget::Version { file, expected } => {
                let now = live(self.api, file).await?;
                let version = now.content.as_ref().map(|content| &content.version);
                Ok(if self.is_content_of(&now) {
                    Look::Happened(now)
                } else if expected.version.as_ref().is_none_or(|expected| version == Some(expected)) {
                    Look::NotYet
                } else {
                    Look::Overtaken(overtaken(&now))
                })
            }
        }
    }

    /// The tag that a new version is conditional on. Where only the version is known, a look brings the tag.
    pub async fn condition(&self) -> Result<Option<Etag>> {
        let UploadTarget::Version { file, expected } = &self.order.target else { return Ok(None) };
        if expected.etag.is_some() || expected.version.is_none() {
            return Ok(expected.etag.clone());
        }
        match state_of(self.api, file).await? {
            ItemState::Active(now) => {
                let version = now.content.as_ref().map(|content| &content.version);
                if version == expected.version.as_ref() { Ok(now.etag) } else { Err(overtaken(&now)) }
            }
            ItemState::Trashed | ItemState::NotFound => live(self.api, file).await.map(|now| now.etag),
        }
    }

    fn attributes(&self) -> serde_json::Value {
        let mut attributes = match &self.order.target {
            UploadTarget::New { parent, name } => serde_json::json!({ "name": name, "parent": { "id": parent.raw() } }),
            UploadTarget::Version { .. } => serde_json::json!({}),
        };
        if let Some(modified) = self.order.modified.and_then(time_text) {
            attributes["content_modified_at"] = modified.into();
        }
        attributes
    }

    /// The file that gets a new version.
    pub fn file(&self) -> Option<&ItemId> {
        match &self.order.target {
            UploadTarget::New { .. } => None,
            UploadTarget::Version { file, .. } => Some(file),
        }
    }
}

#[async_trait]
impl Careful for Upload<'_> {
    type Done = RemoteItem;

    async fn attempt(&self) -> Result<RemoteItem> {
        let etag = self.condition().await?;
        let call = self.api.upload_call(self.file(), self.sha1, etag.as_ref());
        let attributes = self.attributes().to_string();
        let size = self.order.size;
        let call = &call;
        let attributes = &attributes;
        let span = Span { from: 0, len: size };
        let told = |sent| self.body.progress(sent);
        let answer = feeding(self.body, span, &told, async move |bodies| {
            let shape = |request: reqwest::RequestBuilder| {
                // Box knows the file by its attributes, and they must come first.
                let file = Part::stream_with_length(bodies.make(), size).file_name("content");
                request.multipart(Form::new().text("attributes", attributes.clone()).part("file", file))
            };
            self.api.session().write_shaped(call, FED_LIMIT, &shape).await
        });
        self.verified(&answer.await?)
    }

    async fn look(&self) -> Result<Look<RemoteItem>> {
        self.find().await
    }
}
