//! Box's requests: one function for each, nothing but addresses, parameters and answers.

use std::sync::Arc;

use reqwest::{Method, Response};
use url::Url;

use super::translate::{self, ROOT_ID};
use super::wire;
use crate::events::EventPage;
use crate::id::{Cursor, ItemId, ItemKind, PageToken, VersionId};
use crate::provider::auth::{Call, Session};
use crate::provider::http::{self, CallKind};
use crate::provider::{Identity, ListPage, ProviderError, ProviderErrorKind, RemoteVersion, Result};
use crate::settings::BoxStream;
use crate::tree::ItemState;

/// What a listing must say of an item. The parent is known.
const LISTING_FIELDS: &str = "type,id,etag,sequence_id,name,sha1,file_version,size,content_modified_at";
/// What a look at one item must say.
const FILE_FIELDS: &str = "type,id,etag,sequence_id,name,sha1,file_version,size,content_modified_at,parent,\
                           path_collection,item_status";
const FOLDER_FIELDS: &str = "type,id,etag,sequence_id,name,parent,path_collection,item_status";
/// What is asked of an older version.
const VERSION_FIELDS: &str = "id,sha1,size,modified_at,trashed_at";
/// The most that Box gives in one page of a folder.
const LISTING_LIMIT: &str = "1000";
/// The most that Box gives in one page of events.
const EVENTS_LIMIT: &str = "500";

/// Box's requests for one account.
#[derive(Debug)]
pub struct BoxApi {
    session: Arc<Session>,
    base: Url,
    stream: BoxStream,
}

impl BoxApi {
    /// Requests below `origin`, in the session's name.
    pub fn new(session: Arc<Session>, origin: &Url, stream: BoxStream) -> Self {
        Self { session, base: http::below(origin, "/2.0"), stream }
    }

    /// The session underneath.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// An address below the API's own, each segment encoded for itself.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    pub async fn me(&self) -> Result<Identity> {
        let mut url = self.url(&["users", "me"]);
        url.query_pairs_mut().append_pair("fields", "id,login,name");
        let text = self.session.text(&Call::get("whoami", CallKind::Metadata, url)).await?;
        translate::identity(translate::parse::<wire::User>(&text)?)
    }

    pub async fn item(&self, id: &ItemId) -> Result<ItemState> {
        let (place, fields) = match id.kind() {
            ItemKind::File => ("files", FILE_FIELDS),
            ItemKind::Folder => ("folders", FOLDER_FIELDS),
        };
        let mut url = self.url(&[place, id.raw()]);
        url.query_pairs_mut().append_pair("fields", fields);
        let text = self.session.text(&Call::get("item", CallKind::Metadata, url).about(id)).await?;
        translate::item_state(&text, id.kind())
    }

    pub async fn folder_items(&self, folder: &ItemId, page: Option<&PageToken>) -> Result<ListPage> {
        let mut url = self.url(&["folders", folder.raw(), "items"]);
        url.query_pairs_mut()
            .append_pair("fields", LISTING_FIELDS)
            .append_pair("usemarker", "true")
            .append_pair("limit", LISTING_LIMIT);
        if let Some(marker) = page {
            url.query_pairs_mut().append_pair("marker", marker.as_str());
        }
        let text = self.session.text(&Call::get("list", CallKind::Listing, url).about(folder)).await?;
        translate::list_page(&text, folder)
    }

    /// The older versions of a file that are not deleted, newest first.
    pub async fn versions(&self, file: &ItemId) -> Result<Vec<RemoteVersion>> {
        let mut url = self.url(&["files", file.raw(), "versions"]);
        url.query_pairs_mut().append_pair("fields", VERSION_FIELDS).append_pair("limit", LISTING_LIMIT);
        let text = self.session.text(&Call::get("versions", CallKind::Metadata, url).about(file)).await?;
        translate::versions(&text)
    }

    pub async fn events(&self, cursor: &Cursor) -> Result<EventPage> {
        let text = self.session.text(&Call::get("events", CallKind::Events, self.events_url(cursor.as_str()))).await?;
        translate::event_page(&text, cursor)
    }

    pub async fn newest_position(&self) -> Result<Cursor> {
        let call = Call::get("newest_cursor", CallKind::Events, self.events_url("now"));
        translate::newest_position(&self.session.text(&call).await?)
    }

    fn events_url(&self, position: &str) -> Url {
        let mut url = self.url(&["events"]);
        url.query_pairs_mut()
            .append_pair("stream_type", self.stream.word())
            .append_pair("limit", EVENTS_LIMIT)
            .append_pair("stream_position", position);
        url
    }

    pub async fn realtime_servers(&self) -> Result<wire::RealtimeServers> {
        let mut url = self.url(&["events"]);
        url.query_pairs_mut().append_pair("stream_type", self.stream.word());
        let mut call = Call::get("realtime", CallKind::LongPoll, url);
        call.method = Method::OPTIONS;
        translate::parse(&self.session.text(&call).await?)
    }

    /// The answer that holds the bytes of one version from `offset` on, after all redirects.
    pub async fn content(&self, file: &ItemId, version: &VersionId, offset: u64) -> Result<Response> {
        let mut url = self.url(&["files", file.raw(), "content"]);
        url.query_pairs_mut().append_pair("version", version.as_str());
        let mut call = Call::get("content", CallKind::Content, url).about(file);
        call.range = (offset > 0).then(|| format!("bytes={offset}-"));
        let call = &call;
        self.session.retrying(call.operation, || self.content_once(call)).await
    }

    async fn content_once(&self, call: &Call) -> Result<Response> {
        let response = self.session.once(call).await?;
        match response.status().as_u16() {
            200 | 206 | 416 => Ok(response),
            300..400 => {
                let answer = self.session.http().follow(&call.url, response, call.range.as_deref()).await?;
                match answer.status().as_u16() {
                    200 | 206 | 416 => Ok(answer),
                    status => Err(store_refusal(status, &answer)),
                }
            }
            _ => Err(self.session.refused(call, response).await),
        }
    }
}

/// A refusal by the store that a download was redirected to. Its addresses live for minutes, so a new one may serve.
fn store_refusal(status: u16, answer: &Response) -> ProviderError {
    let kind = if status == 429 { ProviderErrorKind::RateLimited } else { ProviderErrorKind::Unavailable };
    ProviderError::new(kind, "the store that holds the content refused it")
        .with_detail(status.to_string())
        .with_retry_after(http::retry_after(answer.headers()))
        .with("operation", "content")
}

/// The id of the top folder.
pub fn root() -> ItemId {
    ItemId::folder(ROOT_ID)
}
