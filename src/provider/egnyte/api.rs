//! Egnyte's requests that change nothing: one function for each, nothing but addresses, parameters and answers.

use std::ops::Range;
use std::sync::Arc;

use reqwest::Response;
use reqwest::header::{ETAG, HeaderMap, LAST_MODIFIED};
use url::Url;

use super::translate::{self, Ends, LISTING_COUNT, Place};
use super::wire::{Fields, Object};
use super::{names, translate::EVENTS_COUNT};
use crate::id::{ContentHash, ItemId, ItemKind, PageToken, VersionId};
use crate::provider::auth::{Call, Session};
use crate::provider::http::{self, CallKind, content_of, part_of, range_header, read_text};
use crate::provider::{Content, Identity, ListPage, ProviderError, ProviderErrorKind, Result, TreeSize};
use crate::settings::Suppress;
use crate::tree::{RemoteItem, Wall};

/// The header that carries the digest of a content.
pub const CHECKSUM: &str = "x-sha512-checksum";

/// Egnyte's requests for one account.
#[derive(Debug)]
pub struct Api {
    session: Arc<Session>,
    origin: Url,
}

/// Which form of the event list to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsVersion {
    /// Also changes of permissions.
    V2,
    /// Files, folders and notes.
    V1,
}

impl Api {
    /// Requests below `origin`, in the session's name.
    pub fn new(session: Arc<Session>, origin: Url) -> Self {
        Self { session, origin }
    }

    /// The session underneath.
    pub fn session(&self) -> &Session {
        &self.session
    }

    fn url(&self, path: &str) -> Url {
        http::below(&self.origin, path)
    }

    /// The address of a path in one of the trees of addresses (`fs`, `fs-content`, `fs-content-chunked`).
    pub fn at_path(&self, tree: &str, path: &str) -> Result<Url> {
        Ok(self.url(&format!("/pubapi/v1/{tree}{}", names::encoded(path)?)))
    }

    /// The address of an item by its id.
    pub fn at_id(&self, tree: &str, id: &ItemId) -> Url {
        let kind = match id.kind() {
            ItemKind::File => "file",
            ItemKind::Folder => "folder",
        };
        self.url(&format!("/pubapi/v1/{tree}/ids/{kind}/{}", names::encoded_segment(id.raw())))
    }

    pub async fn me(&self) -> Result<Identity> {
        let call = Call::get("whoami", CallKind::Metadata, self.url("/pubapi/v1/userinfo"));
        translate::identity(&self.session.text(&call).await?)
    }

    /// Who has a user's id. Not every token may ask.
    pub async fn person(&self, user_id: &str) -> Result<Option<String>> {
        let url = self.url(&format!("/pubapi/v2/users/{}", names::encoded_segment(user_id)));
        let call = Call::get("person", CallKind::Metadata, url).about(user_id);
        translate::person(&self.session.text(&call).await?)
    }

    /// What is said of one item, without what it holds.
    pub async fn look(&self, id: &ItemId) -> Result<Object> {
        self.describe(self.at_id("fs", id), id).await
    }

    /// What is said of whatever is at a path.
    pub async fn look_at(&self, path: &str) -> Result<Object> {
        self.describe(self.at_path("fs", path)?, path).await
    }

    async fn describe(&self, mut url: Url, about: impl std::fmt::Display) -> Result<Object> {
        url.query_pairs_mut().append_pair("list_content", "false").append_pair("include_locks", "true");
        let text = self.session.text(&Call::get("item", CallKind::Metadata, url).about(about)).await?;
        translate::object(&text)
    }

    pub async fn list(&self, folder: &ItemId, page: Option<&PageToken>) -> Result<ListPage> {
        let place = page.map(Place::of).transpose()?;
        let url = listing(self.at_id("fs", folder), place.as_ref().map_or(0, |place| place.offset));
        let text = self.session.text(&Call::get("list", CallKind::Listing, url).about(folder)).await?;
        translate::list_page(&text, folder, place.as_ref()).map_err(|error| error.with("item", folder))
    }

    /// What is said of whatever is at a path, and the first page of what it holds.
    pub async fn list_at(&self, path: &str) -> Result<Object> {
        let url = listing(self.at_path("fs", path)?, 0);
        let text = self.session.text(&Call::get("list", CallKind::Listing, url).about(path)).await?;
        translate::object(&text)
    }

    /// The item that a description is of. One that does not name its parent costs a look at the path above.
    pub async fn item(&self, found: &Object) -> Result<RemoteItem> {
        if let Some(item) = translate::item(found, None) {
            return Ok(item);
        }
        let incomplete =
            || ProviderError::new(ProviderErrorKind::Malformed, "the description of the item is incomplete");
        let path = translate::path_of(found).ok_or_else(incomplete)?;
        let above = self.look_at(names::above(&path)).await?;
        let parent = above.text("folder_id").map(ItemId::folder).ok_or_else(incomplete)?;
        translate::item(found, Some(&parent)).ok_or_else(|| incomplete().with("path", path))
    }

    pub async fn stats(&self, folder: &ItemId) -> Result<TreeSize> {
        let mut url = self.at_id("fs", folder);
        url.set_path(&format!("{}/stats", url.path()));
        let text = self.session.text(&Call::get("size", CallKind::Metadata, url).about(folder)).await?;
        translate::tree_size(&text)
    }

    /// Both ends of the stream.
    pub async fn ends(&self) -> Result<Ends> {
        let call = Call::get("newest_cursor", CallKind::Events, self.url("/pubapi/v1/events/cursor"));
        translate::ends(&self.session.text(&call).await?)
    }

    /// The text of a page of events; nothing if there is none.
    pub async fn events(&self, version: EventsVersion, after: u64, suppress: Suppress) -> Result<Option<String>> {
        let mut url = self.url(match version {
            EventsVersion::V2 => "/pubapi/v2/events",
            EventsVersion::V1 => "/pubapi/v1/events",
        });
        url.query_pairs_mut().append_pair("id", &after.to_string()).append_pair("count", &EVENTS_COUNT.to_string());
        match suppress {
            Suppress::None => {}
            Suppress::App => drop(url.query_pairs_mut().append_pair("suppress", "app")),
            Suppress::User => drop(url.query_pairs_mut().append_pair("suppress", "user")),
        }
        let call = &Call::get("events", CallKind::Events, url);
        self.session
            .retrying(call.operation, || async {
                let response = self.session.once(call).await?;
                match response.status().as_u16() {
                    204 => Ok(None),
                    200 => read_text(response).await.map(Some).map_err(|error| error.with("operation", "events")),
                    _ => Err(self.session.refused(call, response).await),
                }
            })
            .await
    }

    /// The bytes of one version from `offset` on.
    pub async fn content(&self, file: &ItemId, version: &VersionId, offset: u64) -> Result<Content> {
        if let Some(content) = self.content_from(file, version, offset).await? {
            return Ok(content);
        }
        self.content_from(file, version, 0).await?.ok_or_else(|| {
            ProviderError::new(ProviderErrorKind::Malformed, "the content has no beginning").with("item", file)
        })
    }

    async fn content_from(&self, file: &ItemId, version: &VersionId, offset: u64) -> Result<Option<Content>> {
        let response = self.answer(file, version, (offset > 0).then(|| format!("bytes={offset}-"))).await?;
        let (hash, modified) = described(response.headers(), version)?;
        let content = content_of(response, offset)?;
        Ok(content.map(|content| Content { hash, modified, ..content }))
    }

    /// The bytes of one part; nothing if the server does not give it.
    pub async fn part(&self, file: &ItemId, version: &VersionId, span: &Range<u64>) -> Result<Option<Content>> {
        let response = self.answer(file, version, Some(range_header(span))).await?;
        let (hash, modified) = described(response.headers(), version)?;
        let content = part_of(response, span)?;
        Ok(content.map(|content| Content { hash, modified, ..content }))
    }

    /// The answer that holds the bytes of one version, or those of a range.
    async fn answer(&self, file: &ItemId, version: &VersionId, range: Option<String>) -> Result<Response> {
        let mut url = self.at_id("fs-content", file);
        // Without the version, a resumed download could splice two of them.
        url.query_pairs_mut().append_pair("entry_id", version.as_str());
        let mut call = Call::get("content", CallKind::Content, url).about(file);
        call = call.header("accept-encoding", Some(http::AS_IT_IS));
        call.range = range;
        let call = &call;
        self.session.retrying(call.operation, || self.content_once(call)).await
    }

    async fn content_once(&self, call: &Call) -> Result<Response> {
        let response = self.session.once(call).await?;
        match response.status().as_u16() {
            200 | 206 | 416 => Ok(response),
            301..=308 => {
                let answer = self.session.http().follow(&call.url, response, call.range.as_deref()).await?;
                match answer.status().as_u16() {
                    200 | 206 | 416 => Ok(answer),
                    status => Err(ProviderError::new(
                        ProviderErrorKind::Unavailable,
                        "the store that holds the content refused it",
                    )
                    .with_detail(status.to_string())),
                }
            }
            _ => Err(self.session.refused(call, response).await),
        }
    }
}

fn listing(mut url: Url, offset: u64) -> Url {
    url.query_pairs_mut()
        .append_pair("list_content", "true")
        .append_pair("count", &LISTING_COUNT.to_string())
        .append_pair("offset", &offset.to_string())
        .append_pair("sort_by", "name")
        .append_pair("sort_direction", "ascending");
    url
}

type Described = (Option<ContentHash>, Option<Wall>);

/// What the head of a download says of the version. Another version than the one asked for is refused, and the digest of an answer that
/// does not name its version is not believed: it may be of any.
fn described(headers: &HeaderMap, version: &VersionId) -> Result<Described> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = text(ETAG.as_str()).map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
    if let Some(tag) = tag.filter(|tag| *tag != version.as_str()) {
        return Err(ProviderError::new(
            ProviderErrorKind::Corrupt,
            "the server sent another version than was asked for",
        )
        .with("asked", version)
        .with("sent", tag));
    }
    let digest = tag.and_then(|_| text(CHECKSUM)).map(translate::hash);
    Ok((digest, text(LAST_MODIFIED.as_str()).and_then(translate::moment)))
}
