//! Box's requests: one function for each, nothing but addresses, parameters and answers.

use std::sync::Arc;

use reqwest::{Method, Response};
use serde_json::Value;
use url::Url;

use super::chunked::{SessionFacts, StoredPart};
use super::translate::{self, ROOT_ID};
use super::wire;
use crate::events::EventPage;
use crate::id::{Cursor, Etag, ItemId, ItemKind, PageToken, VersionId};
use crate::provider::auth::{Call, Session};
use crate::provider::http::feed::Span;
use crate::provider::http::{self, CallKind};
use crate::provider::{
    Identity, ListPage, ProviderError, ProviderErrorKind, RemoteVersion, Result, TimeSpan, UploadTarget,
};
use crate::settings::BoxStream;
use crate::tree::{ItemState, RemoteItem, Wall};

const API_ORIGIN: &str = "https://api.box.com";
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

/// The position before the oldest event that is kept.
pub const OLDEST_POSITION: &str = "0";

/// Where uploads go on Box's own hosts.
const UPLOAD_ORIGIN: &str = "https://upload.box.com";
/// The domain that Box's own hosts are in: the only one that an upload is sent to on Box's word.
const DOMAIN: &str = "box.com";
/// The most parts that Box lists in one page.
const PARTS_LIMIT: &str = "1000";

/// Box's requests for one account.
#[derive(Debug)]
pub struct BoxApi {
    session: Arc<Session>,
    base: Url,
    uploads: Url,
    stream: BoxStream,
}

/// Where the requests of an upload session go.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Parts, facts and the end of the session.
    pub itself: Url,
    /// The parts that are there.
    pub parts: Url,
    /// The commit.
    pub commit: Url,
}

impl BoxApi {
    /// Requests below `origin`, in the session's name; nothing means Box's own hosts.
    pub fn new(session: Arc<Session>, origin: Option<&Url>, stream: BoxStream) -> Result<Self> {
        let own = |text: &str| {
            Url::parse(text)
                .map_err(|_| ProviderError::new(ProviderErrorKind::Local, "the address of Box is not a URL"))
        };
        let (api, uploads) = match origin {
            Some(origin) => (origin.clone(), origin.clone()),
            None => (own(API_ORIGIN)?, own(UPLOAD_ORIGIN)?),
        };
        http::check_origin(&api)?;
        let (base, uploads) = (http::below(&api, "/2.0"), http::below(&uploads, "/api/2.0"));
        Ok(Self { session, base, uploads, stream })
    }

    /// The same requests for another user of the enterprise.
    pub fn acting_for(&self, user: &str) -> Self {
        let session = Arc::new(self.session.acting_for(user));
        Self { session, base: self.base.clone(), uploads: self.uploads.clone(), stream: self.stream }
    }

    /// The session underneath.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// An address below the API's own, each segment encoded for itself.
    fn url(&self, segments: &[&str]) -> Url {
        joined(&self.base, segments)
    }

    pub async fn me(&self) -> Result<Identity> {
        let mut url = self.url(&["users", "me"]);
        url.query_pairs_mut().append_pair("fields", "id,login,name");
        let text = self.session.text(&Call::get("whoami", CallKind::Metadata, url)).await?;
        translate::identity(translate::parse::<wire::User<'_>>(&text)?)
    }

    pub async fn item(&self, id: &ItemId) -> Result<ItemState> {
        let fields = match id.kind() {
            ItemKind::File => FILE_FIELDS,
            ItemKind::Folder => FOLDER_FIELDS,
        };
        let mut url = self.item_url(id);
        url.query_pairs_mut().append_pair("fields", fields);
        let text = self.session.text(&Call::get("item", CallKind::Metadata, url).about(id)).await?;
        translate::item_state(&text, id.kind())
    }

    pub async fn preflight_new(&self, parent: &ItemId, name: &str, size: u64) -> Result<()> {
        let body = serde_json::json!({ "name": name, "parent": { "id": parent.raw() }, "size": size });
        self.preflight(self.url(&["files", "content"]), body, parent).await
    }

    pub async fn preflight_version(&self, file: &ItemId, size: u64) -> Result<()> {
        self.preflight(self.url(&["files", file.raw(), "content"]), serde_json::json!({ "size": size }), file).await
    }

    async fn preflight(&self, url: Url, body: Value, about: &ItemId) -> Result<()> {
        let call = Call::new("preflight", CallKind::Metadata, Method::OPTIONS, url).json(body).about(about);
        self.session.text(&call).await.map(drop)
    }

    /// What has this name in a folder: the preflight of an empty file says it in one call.
    pub async fn name_taken(&self, parent: &ItemId, name: &str) -> Result<Option<ItemId>> {
        match self.preflight_new(parent, name, 0).await {
            Ok(()) => Ok(None),
            Err(error) if error.kind == ProviderErrorKind::Conflict => match translate::taken_by(&error) {
                Some(id) => Ok(Some(id)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    pub async fn create_folder(&self, parent: &ItemId, name: &str) -> Result<RemoteItem> {
        let body = serde_json::json!({ "name": name, "parent": { "id": parent.raw() } });
        let call = Call::new("make_folder", CallKind::Metadata, Method::POST, self.url(&["folders"]));
        let text = self.session.write(&call.json(body).about(parent)).await?;
        translate::changed(&text, ItemKind::Folder)
    }

    /// Gives an item another folder, another name, or both.
    pub async fn update(
        &self,
        item: &ItemId,
        parent: Option<&ItemId>,
        name: Option<&str>,
        etag: Option<&Etag>,
    ) -> Result<RemoteItem> {
        let mut body = serde_json::json!({});
        if let Some(parent) = parent {
            body["parent"] = serde_json::json!({ "id": parent.raw() });
        }
        if let Some(name) = name {
            body["name"] = name.into();
        }
        let call = Call::new("relocate", CallKind::Metadata, Method::PUT, self.item_url(item));
        let text = self.session.write(&call.json(body).about(item).header("if-match", etag.map(Etag::as_str))).await?;
        translate::changed(&text, item.kind())
    }

    pub async fn delete(&self, item: &ItemId, etag: Option<&Etag>) -> Result<()> {
        let mut url = self.item_url(item);
        if item.is_folder() {
            url.query_pairs_mut().append_pair("recursive", "true");
        }
        let call = Call::new("trash", CallKind::Metadata, Method::DELETE, url).about(item);
        self.session.write(&call.header("if-match", etag.map(Etag::as_str))).await.map(drop)
    }

    fn item_url(&self, item: &ItemId) -> Url {
        let place = match item.kind() {
            ItemKind::File => "files",
            ItemKind::Folder => "folders",
        };
        self.url(&[place, item.raw()])
    }

    /// An upload in one request: a new file, or a new version of `file`.
    pub fn upload_call(&self, file: Option<&ItemId>, sha1: &str, etag: Option<&Etag>) -> Call {
        let url = match file {
            Some(file) => joined(&self.uploads, &["files", file.raw(), "content"]),
            None => joined(&self.uploads, &["files", "content"]),
        };
        let call = Call::new("upload", CallKind::Content, Method::POST, url)
            // Despite its name it takes the SHA-1 in hex.
            .header("content-md5", Some(sha1))
            .header("if-match", etag.map(Etag::as_str));
        match file {
            Some(file) => call.about(file),
            None => call,
        }
    }

    pub async fn create_session(&self, target: &UploadTarget, size: u64) -> Result<SessionFacts> {
        let (url, body) = match target {
            UploadTarget::New { parent, name } => (
                joined(&self.uploads, &["files", "upload_sessions"]),
                serde_json::json!({ "folder_id": parent.raw(), "file_name": name, "file_size": size }),
            ),
            UploadTarget::Version { file, .. } => (
                joined(&self.uploads, &["files", file.raw(), "upload_sessions"]),
                serde_json::json!({ "file_size": size }),
            ),
        };
        // A session that nobody knows of does no harm, so that this may be repeated like a read.
        let call = Call::new("upload_session", CallKind::Metadata, Method::POST, url).json(body);
        self.session_facts(&self.session.text(&call).await?)
    }

    pub async fn upload_session(&self, id: &str) -> Result<SessionFacts> {
        let url = joined(&self.uploads, &["files", "upload_sessions", id]);
        self.session_facts(&self.session.text(&Call::get("upload_session", CallKind::Metadata, url)).await?)
    }

    fn session_facts(&self, text: &str) -> Result<SessionFacts> {
        let told = translate::upload_session(text)?;
        let itself = joined(&self.uploads, &["files", "upload_sessions", &told.id]);
        let or = |told: Option<&str>, ours: Url| told.and_then(|told| believed(&self.uploads, told)).unwrap_or(ours);
        let endpoints = Endpoints {
            parts: or(told.list_parts.as_deref(), joined(&itself, &["parts"])),
            commit: or(told.commit.as_deref(), joined(&itself, &["commit"])),
            itself: or(told.upload_part.as_deref(), itself),
        };
        Ok(SessionFacts { id: told.id, part_size: told.part_size, endpoints })
    }

    pub async fn session_parts(&self, endpoints: &Endpoints, offset: usize) -> Result<Vec<StoredPart>> {
        let mut url = endpoints.parts.clone();
        url.query_pairs_mut().append_pair("limit", PARTS_LIMIT).append_pair("offset", &offset.to_string());
        translate::stored_parts(&self.session.text(&Call::get("upload_parts", CallKind::Metadata, url)).await?)
    }

    pub async fn abort_session(&self, endpoints: &Endpoints) -> Result<()> {
        let url = endpoints.itself.clone();
        self.session.write(&Call::new("upload_abort", CallKind::Metadata, Method::DELETE, url)).await.map(drop)
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
        translate::event_page(text, cursor)
    }

    /// The events after a place that happened in a span, where the stream can choose by time.
    pub async fn events_in(&self, cursor: &Cursor, span: &TimeSpan) -> Result<EventPage> {
        let mut url = self.events_url(cursor.as_str());
        if self.stream == BoxStream::AdminLogs {
            for (key, moment) in [("created_after", span.since), ("created_before", span.until)] {
                if let Some(text) = moment.and_then(time_text) {
                    url.query_pairs_mut().append_pair(key, &text);
                }
            }
        }
        let text = self.session.text(&Call::get("events", CallKind::Events, url)).await?;
        translate::event_page(text, cursor)
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

    /// The answer that holds the bytes of one version, or those of a range, after all redirects.
    pub async fn content(&self, file: &ItemId, version: &VersionId, range: Option<String>) -> Result<Response> {
        let mut url = self.url(&["files", file.raw(), "content"]);
        url.query_pairs_mut().append_pair("version", version.as_str());
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

/// An address that Box told us, if the bearer may go there: the origin that we use, or one of Box's own hosts.
fn believed(uploads: &Url, told: &str) -> Option<Url> {
    let url = Url::parse(told).ok()?;
    let own = |host: &str| host == DOMAIN || host.strip_suffix(DOMAIN).is_some_and(|rest| rest.ends_with('.'));
    let same = url.origin() == uploads.origin();
    let sister = url.scheme() == "https" && url.port().is_none() && own(uploads.host_str()?) && own(url.host_str()?);
    (same || sister).then_some(url)
}

/// One part of an upload.
pub fn part_call(endpoints: &Endpoints, span: Span, total: u64, digest: &str) -> Call {
    let range = format!("bytes {}-{}/{total}", span.from, span.from + span.len - 1);
    Call::new("upload_part", CallKind::Content, Method::PUT, endpoints.itself.clone())
        .header("digest", Some(digest))
        .header("content-range", Some(range))
        .header("content-type", Some("application/octet-stream"))
}

/// The end of an upload in parts.
pub fn commit_call(endpoints: &Endpoints, body: Value, digest: &str, etag: Option<&Etag>) -> Call {
    Call::new("upload_commit", CallKind::Content, Method::POST, endpoints.commit.clone())
        .json(body)
        .header("digest", Some(digest))
        .header("if-match", etag.map(Etag::as_str))
}

/// An address below another, each segment encoded for itself.
fn joined(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A moment in the only form that Box takes: at most milliseconds.
pub fn time_text(moment: Wall) -> Option<String> {
    jiff::Timestamp::from_millisecond(moment.0).ok().map(|moment| moment.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bearer_goes_to_no_host_but_boxs_own() {
        let boxs = Url::parse("https://upload.box.com/api/2.0").unwrap();
        for good in ["https://upload.box.com/x", "https://upload.app.box.com/x", "https://fra-upload.box.com/x"] {
            assert!(believed(&boxs, good).is_some(), "{good}");
        }
        for bad in [
            "https://upload.example.com/x",
            "https://evilbox.com/x",
            "http://upload.box.com/x",
            "https://a.box.com:8/",
            "x",
        ] {
            assert!(believed(&boxs, bad).is_none(), "{bad}");
        }
        let test = Url::parse("http://127.0.0.1:8080/api/2.0").unwrap();
        assert!(believed(&test, "http://127.0.0.1:8080/other").is_some());
        for bad in ["http://127.0.0.1:8081/", "https://upload.box.com/x"] {
            assert!(believed(&test, bad).is_none(), "{bad}");
        }
    }
}
