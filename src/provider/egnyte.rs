//! The Egnyte adapter: Egnyte's public API and event stream behind [`Provider`].
//!
//! - `api`: one function for each request that reads. `wire`: the JSON as it comes. `translate`, `refusal`: into our words, pure.
//! - `stream`: the event list and its cursor. `resolve`: paths. `names`: what may be a name.
//! - `change`: folders, moves, deletions. `upload`, `chunked`: contents.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::auth::{Session, TokenSource, origin, token_url};
use super::http::{CallCounter, Http, HttpOptions};
use super::{
    Capabilities, Content, Expected, HashKind, Identity, ListPage, Preflight, Provider, ProviderError,
    ProviderErrorKind, RemoteVersion, Resolved, Result, TreeSize, UploadBody, UploadOrder, UploadTarget, Wake,
};
use crate::events::EventPage;
use crate::id::{Cursor, ItemId, ItemKind, PageToken, VersionId};
use crate::settings::{AccountSettings, RemotePlace, Suppress};
use crate::tree::{ItemState, RemoteItem, Wall};

mod api;
mod change;
mod chunked;
mod names;
mod refusal;
mod resolve;
mod stream;
mod translate;
mod upload;
mod wire;

pub use upload::Sizes;

use api::Api;
use change::Changes;
use stream::EventStream;

/// Egnyte asks for five minutes at rest; after activity, and if the allowance bears it, the engine may ask this often.
const POLL_FLOOR: Duration = Duration::from_secs(30);

/// One Egnyte account.
#[derive(Debug)]
pub struct Egnyte {
    api: Api,
    stream: EventStream,
    changes: Changes,
    sizes: Sizes,
}

impl Egnyte {
    /// The account of these settings, with its tokens in `credentials`. Makes no call and reads no file yet.
    pub fn new(settings: &AccountSettings, credentials: PathBuf, counter: Arc<CallCounter>) -> Result<Self> {
        let origin = origin(settings)?;
        let http = Arc::new(Http::new(HttpOptions::of(settings)));
        let tokens = TokenSource::new(
            credentials,
            &settings.name,
            Arc::clone(&http),
            Arc::clone(&counter),
            (settings.provider, token_url(settings)?),
        )?;
        if settings.suppress != Suppress::None {
            tracing::warn!(
                account = settings.name,
                "with `suppress`, what other machines do through the same application is not told either"
            );
        }
        let session = Session::new(http, tokens, counter, refusal::refusal).reading_quota(refusal::quota);
        Ok(Self {
            api: Api::new(Arc::new(session), origin),
            stream: EventStream::new(settings.suppress),
            changes: Changes::default(),
            sizes: Sizes::default(),
        })
    }

    /// The same account with other sizes for uploads in parts.
    #[must_use]
    pub fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// The account's tokens, to be told when somebody signed in anew.
    pub fn tokens(&self) -> &TokenSource {
        self.api.session().tokens()
    }
}

#[async_trait]
impl Provider for Egnyte {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            disordered: false,
            top_id: None,
            long_poll: false,
            checks_cursor: true,
            events_carry_items: false,
            folds_case: true,
            poll_floor: POLL_FLOOR,
            hash: HashKind::Sha512,
        }
    }

    async fn whoami(&self) -> Result<Identity> {
        self.api.me().await
    }

    async fn person(&self, user_id: &str) -> Result<Option<String>> {
        match self.api.person(user_id).await {
            Ok(name) => Ok(name),
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn resolve(&self, place: &RemotePlace) -> Result<Resolved> {
        match place {
            RemotePlace::Path(path) => resolve::path(&self.api, path).await,
            RemotePlace::Id(id) => resolve::id(&self.api, id).await,
        }
    }

    async fn newest_cursor(&self) -> Result<Cursor> {
        self.stream.newest(&self.api).await
    }

    async fn restart_cursor(&self) -> Result<Cursor> {
        self.stream.restart(&self.api).await
    }

    async fn events(&self, cursor: &Cursor) -> Result<EventPage> {
        self.stream.read(&self.api, cursor).await
    }

    async fn oldest_cursor(&self) -> Result<Cursor> {
        self.stream.oldest(&self.api).await
    }

    async fn cursor_at(&self, since: Wall) -> Result<Cursor> {
        self.stream.at(&self.api, since).await
    }

    async fn calls_to_read(&self, cursor: &Cursor) -> Result<Option<u64>> {
        self.stream.calls_to_read(&self.api, cursor).await.map(Some)
    }

    async fn check_cursor(&self, cursor: &Cursor) -> Result<()> {
        self.stream.check(&self.api, cursor).await
    }

    async fn wait_for_news(&self, _cursor: &Cursor, limit: Duration) -> Result<Wake> {
        tokio::time::sleep(limit).await;
        Ok(Wake::Quiet)
    }

    async fn list(&self, folder: &ItemId, page: Option<&PageToken>) -> Result<ListPage> {
        if folder.kind() != ItemKind::Folder {
            return Err(not_a("folder", folder));
        }
        self.api.list(folder, page).await
    }

    async fn item(&self, id: &ItemId) -> Result<ItemState> {
        // What is in the trash is not found by its id.
        let found = match self.api.look(id).await {
            Ok(found) => found,
            Err(error) if error.kind == ProviderErrorKind::NotFound => return Ok(ItemState::NotFound),
            Err(error) => return Err(error),
        };
        let item = self.api.item(&found).await?;
        if item.id != *id {
            return Err(ProviderError::new(ProviderErrorKind::Malformed, "the answer is about another item")
                .with("asked", id)
                .with("told", &item.id));
        }
        Ok(ItemState::Active(Box::new(item)))
    }

    async fn size_of(&self, folder: &ItemId) -> Result<Option<TreeSize>> {
        self.api.stats(folder).await.map(Some)
    }

    async fn content(&self, file: &ItemId, version: &VersionId, offset: u64) -> Result<Content> {
        if file.kind() != ItemKind::File {
            return Err(not_a("file", file));
        }
        self.api.content(file, version, offset).await
    }

    async fn part(&self, file: &ItemId, version: &VersionId, span: Range<u64>) -> Result<Option<Content>> {
        if file.kind() != ItemKind::File {
            return Err(not_a("file", file));
        }
        self.api.part(file, version, &span).await
    }

    /// Calls are few.
    fn part_bytes(&self) -> Range<u64> {
        (32 << 20)..(256 << 20)
    }

    async fn versions(&self, file: &ItemId) -> Result<Vec<RemoteVersion>> {
        if file.kind() != ItemKind::File {
            return Err(not_a("file", file));
        }
        Ok(translate::older_versions(&self.api.look(file).await?))
    }

    async fn preflight(&self, target: &UploadTarget, _size: u64) -> Result<Preflight> {
        if let UploadTarget::New { name, .. } = target {
            names::check(name)?;
        }
        Ok(Preflight::Unknown)
    }

    async fn upload(&self, order: &UploadOrder, body: &dyn UploadBody) -> Result<RemoteItem> {
        upload::upload(&self.api, &self.changes, &self.sizes, order, body).await
    }

    async fn make_folder(&self, parent: &ItemId, name: &str) -> Result<RemoteItem> {
        self.changes.make_folder(&self.api, parent, name).await
    }

    async fn relocate(&self, item: &ItemId, parent: &ItemId, name: &str, expected: &Expected) -> Result<RemoteItem> {
        self.changes.relocate(&self.api, item, parent, name, expected).await
    }

    async fn trash(&self, item: &ItemId, expected: &Expected) -> Result<()> {
        self.changes.trash(&self.api, item, expected).await
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
