//! The Box adapter: Box's REST API and event stream behind [`Provider`].
//!
//! - `api`: one function for each request. `wire`: the JSON as it comes. `translate`: into our words, pure.
//! - `upload`, `chunked`, `change`: what is written, each looked for before it is sent again.
//! - `realtime`: the long poll. `resolve`: a path walked name by name.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::auth::{Session, TokenSource, token_url};
use super::http::{CallCounter, Http, HttpOptions, check_origin, content_of, part_of, range_header};
use super::{
    Capabilities, Content, Expected, HashKind, Identity, ListPage, Preflight, Provider, ProviderError,
    ProviderErrorKind, RemoteVersion, Resolved, Result, TimeSpan, UploadBody, UploadOrder, UploadTarget, Wake,
};
use crate::events::EventPage;
use crate::id::{Cursor, ItemId, ItemKind, PageToken, VersionId};
use crate::settings::{AccountSettings, BoxStream, RemotePlace};
use crate::tree::{ItemState, RemoteItem};

mod api;
mod change;
mod chunked;
mod realtime;
mod resolve;
mod translate;
mod upload;
mod wire;

use api::BoxApi;
use realtime::Realtime;

/// Box asks for no interval; a long poll wakes us, and polls are the net below it.
const POLL_FLOOR_USER: Duration = Duration::from_secs(10);
/// Box holds events of this stream back by about twelve seconds.
const POLL_FLOOR_STREAMING: Duration = Duration::from_secs(12);
/// This stream is late by design.
const POLL_FLOOR_ADMIN_LOGS: Duration = Duration::from_mins(1);

/// One Box account.
#[derive(Debug)]
pub struct BoxCom {
    api: BoxApi,
    realtime: Realtime,
    stream: BoxStream,
}

impl BoxCom {
    /// The account of these settings, with its tokens in `credentials`. Makes no call and reads no file yet.
    pub fn new(settings: &AccountSettings, credentials: PathBuf, counter: Arc<CallCounter>) -> Result<Self> {
        if let Some(origin) = &settings.api_url {
            check_origin(origin)?;
        }
        let http = Arc::new(Http::new(HttpOptions::of(settings)));
        let tokens = TokenSource::new(
            credentials,
            &settings.name,
            Arc::clone(&http),
            Arc::clone(&counter),
            (settings.provider, token_url(settings)?),
        )?;
        let session = Arc::new(Session::new(http, tokens, counter, translate::refusal));
        Ok(Self {
            api: BoxApi::new(session, settings.api_url.as_ref(), settings.stream)?,
            realtime: Realtime::default(),
            stream: settings.stream,
        })
    }

    /// The account's tokens, to be told when somebody signed in anew.
    pub fn tokens(&self) -> &TokenSource {
        self.api.session().tokens()
    }

    fn is_user_stream(&self) -> bool {
        !matches!(self.stream, BoxStream::AdminLogs | BoxStream::AdminLogsStreaming)
    }
}

#[async_trait]
impl Provider for BoxCom {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            disordered: true,
            top_id: Some(translate::ROOT_ID),
            long_poll: self.is_user_stream(),
            checks_cursor: false,
            events_carry_items: self.is_user_stream(),
            folds_case: true,
            hash: HashKind::Sha1,
            poll_floor: match self.stream {
                BoxStream::All | BoxStream::Changes | BoxStream::Sync => POLL_FLOOR_USER,
                BoxStream::AdminLogsStreaming => POLL_FLOOR_STREAMING,
                BoxStream::AdminLogs => POLL_FLOOR_ADMIN_LOGS,
            },
        }
    }

    fn acting_for(&self, user: &str) -> Option<Arc<dyn Provider>> {
        let api = self.api.acting_for(user);
        Some(Arc::new(Self { api, realtime: Realtime::default(), stream: self.stream }))
    }

    async fn whoami(&self) -> Result<Identity> {
        self.api.me().await
    }

    async fn resolve(&self, place: &RemotePlace) -> Result<Resolved> {
        match place {
            RemotePlace::Path(path) => resolve::path(self, path).await,
            RemotePlace::Id(id) => resolve::id(self, id).await,
        }
    }

    async fn newest_cursor(&self) -> Result<Cursor> {
        self.api.newest_position().await
    }

    async fn events(&self, cursor: &Cursor) -> Result<EventPage> {
        self.api.events(cursor).await
    }

    async fn oldest_cursor(&self) -> Result<Cursor> {
        Ok(Cursor::new(api::OLDEST_POSITION))
    }

    async fn events_in(&self, cursor: &Cursor, span: &TimeSpan) -> Result<EventPage> {
        self.api.events_in(cursor, span).await
    }

    async fn wait_for_news(&self, cursor: &Cursor, limit: Duration) -> Result<Wake> {
        if !self.is_user_stream() {
            tokio::time::sleep(limit).await;
            return Ok(Wake::Quiet);
        }
        self.realtime.wait(&self.api, cursor, limit).await
    }

    async fn list(&self, folder: &ItemId, page: Option<&PageToken>) -> Result<ListPage> {
        if folder.kind() != ItemKind::Folder {
            return Err(not_a("folder", folder));
        }
        let listed = self.api.folder_items(folder, page).await?;
        if listed.next.is_some() && listed.next.as_ref() == page {
            return Err(ProviderError::new(ProviderErrorKind::Malformed, "the listing goes round in a circle")
                .with("item", folder));
        }
        Ok(listed)
    }

    async fn item(&self, id: &ItemId) -> Result<ItemState> {
        change::state_of(&self.api, id).await
    }

    async fn content(&self, file: &ItemId, version: &VersionId, offset: u64) -> Result<Content> {
        if file.kind() != ItemKind::File {
            return Err(not_a("file", file));
        }
        let range = (offset > 0).then(|| format!("bytes={offset}-"));
        let response = self.api.content(file, version, range).await?;
        if let Some(content) = content_of(response, offset)? {
            return Ok(content);
        }
        let response = self.api.content(file, version, None).await?;
        content_of(response, 0)?.ok_or_else(|| {
            ProviderError::new(ProviderErrorKind::Malformed, "the content has no beginning").with("item", file)
        })
    }

    async fn part(&self, file: &ItemId, version: &VersionId, span: Range<u64>) -> Result<Option<Content>> {
        if file.kind() != ItemKind::File {
            return Err(not_a("file", file));
        }
        let response = self.api.content(file, version, Some(range_header(&span))).await?;
        part_of(response, &span)
    }

    async fn versions(&self, file: &ItemId) -> Result<Vec<RemoteVersion>> {
        if file.kind() != ItemKind::File {
            return Err(not_a("file", file));
        }
        self.api.versions(file).await
    }

    async fn preflight(&self, target: &UploadTarget, size: u64) -> Result<Preflight> {
        upload::preflight(&self.api, target, size).await
    }

    async fn upload(&self, order: &UploadOrder, body: &dyn UploadBody) -> Result<RemoteItem> {
        upload::upload(&self.api, order, body).await
    }

    async fn make_folder(&self, parent: &ItemId, name: &str) -> Result<RemoteItem> {
        change::make_folder(&self.api, parent, name).await
    }

    async fn relocate(&self, item: &ItemId, parent: &ItemId, name: &str, expected: &Expected) -> Result<RemoteItem> {
        change::relocate(&self.api, item, parent, name, expected).await
    }

    async fn trash(&self, item: &ItemId, expected: &Expected) -> Result<()> {
        change::trash(&self.api, item, expected).await
    }

    async fn settle(&self) {
        self.tokens().settle().await;
    }

    fn credentials_changed(&self) {
        self.tokens().reload();
    }
}

fn not_a(kind: &str, id: &ItemId) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Refused, format!("this item is not a {kind}")).with("item", id)
}
