//! A sandbox with one account that is signed in, and the adapter under test.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use folder_sync_agent::events::RemoteEvent;
use folder_sync_agent::id::{Cursor, ItemId};
use folder_sync_agent::provider::auth::{Credentials, save_login};
use folder_sync_agent::provider::box_com::BoxCom;
use folder_sync_agent::provider::http::CallCounter;
use folder_sync_agent::provider::{Content, Provider};
use folder_sync_agent::sandbox::{ACCESS_TOKEN, Cloud, Options, Sandbox, start};
use folder_sync_agent::settings::{AccountSettings, BoxStream, ProviderName, Suppress};
use folder_sync_agent::tree::{ItemState, RemoteItem, Wall};
use futures_util::TryStreamExt;
use tempfile::TempDir;

/// How one provider is reached in the sandbox.
pub trait Face {
    const NAME: ProviderName;

    /// The sandbox's words for this provider's requests.
    const WHOAMI: &'static str;
    const LISTING: &'static str;
    const FILE: &'static str;
    const EVENTS: &'static str;
    const LONG_POLL: &'static str;
    const CONTENT: &'static str;
    /// The request that really brings the bytes.
    const CONTENT_TARGET: &'static str;

    fn adapter(settings: &AccountSettings, credentials: &TempDir, counter: Arc<CallCounter>) -> Arc<dyn Provider>;

    /// A well-formed cursor that the provider does not know any more, or never did.
    fn lost_cursor() -> Cursor;
}

pub struct BoxFace;

impl Face for BoxFace {
    const NAME: ProviderName = ProviderName::Box;

    const WHOAMI: &'static str = "user_me";
    const LISTING: &'static str = "folder_items";
    const FILE: &'static str = "file_get";
    const EVENTS: &'static str = "events";
    const LONG_POLL: &'static str = "realtime";
    const CONTENT: &'static str = "content";
    const CONTENT_TARGET: &'static str = "content_redirect";

    fn adapter(settings: &AccountSettings, credentials: &TempDir, counter: Arc<CallCounter>) -> Arc<dyn Provider> {
        Arc::new(BoxCom::new(settings, credentials.path().join("credentials"), counter).unwrap())
    }

    fn lost_cursor() -> Cursor {
        Cursor::new("1.8e16")
    }
}

pub struct Bed<F> {
    pub cloud: Cloud,
    pub provider: Arc<dyn Provider>,
    pub counter: Arc<CallCounter>,
    pub sandbox: Sandbox,
    credentials: TempDir,
    face: PhantomData<F>,
}

impl<F: Face> Bed<F> {
    pub async fn new() -> Self {
        Self::with(Options { realtime_hold: Duration::from_mins(1), ..Options::default() }).await
    }

    pub async fn with(options: Options) -> Self {
        let sandbox = start(options).await.unwrap();
        let credentials = tempfile::tempdir().unwrap();
        let counter = Arc::new(CallCounter::default());
        let provider = F::adapter(&settings(F::NAME, &sandbox.url()), &credentials, Arc::clone(&counter));
        let bed = Self { cloud: sandbox.cloud(), provider, counter, sandbox, credentials, face: PhantomData };
        bed.sign_in(self::credentials(ACCESS_TOKEN, None, None)).await;
        bed
    }

    pub fn credentials_dir(&self) -> PathBuf {
        self.credentials.path().join("credentials")
    }

    pub async fn sign_in(&self, credentials: Credentials) {
        save_login(self.credentials_dir(), "work", credentials).await.unwrap();
    }

    /// Another adapter for the same account, with nothing in memory.
    pub fn anew(&self) -> Arc<dyn Provider> {
        F::adapter(&settings(F::NAME, &self.sandbox.url()), &self.credentials, Arc::clone(&self.counter))
    }

    pub fn folder(&self, path: &str) -> ItemId {
        ItemId::folder(self.cloud.id_of(path).unwrap())
    }

    pub fn file(&self, path: &str) -> ItemId {
        ItemId::file(self.cloud.id_of(path).unwrap())
    }

    pub async fn item(&self, id: &ItemId) -> RemoteItem {
        match self.provider.item(id).await.unwrap() {
            ItemState::Active(item) => *item,
            other => panic!("{id} is {other:?}"),
        }
    }

    /// All pages of a folder.
    pub async fn list(&self, folder: &ItemId) -> Vec<RemoteItem> {
        let (mut items, mut page) = (Vec::new(), None);
        loop {
            let listed = self.provider.list(folder, page.as_ref()).await.unwrap();
            items.extend(listed.items);
            page = listed.next;
            if page.is_none() {
                return items;
            }
        }
    }

    /// Reads on from a cursor until the stream is drained.
    pub async fn drain(&self, from: &Cursor) -> (Vec<RemoteEvent>, Cursor) {
        let (mut events, mut cursor) = (Vec::new(), from.clone());
        for _ in 0..1_000 {
            let page = self.provider.events(&cursor).await.unwrap();
            events.extend(page.events);
            cursor = page.next;
            if page.drained {
                return (events, cursor);
            }
        }
        panic!("the stream is never drained");
    }
}

pub fn credentials(access: &str, refresh: Option<&str>, lifetime_s: Option<i64>) -> Credentials {
    let now = jiff::Timestamp::now().as_millisecond();
    Credentials {
        access_token: access.into(),
        refresh_token: refresh.map(Into::into),
        expires_at: lifetime_s.map(|seconds| Wall(now + seconds * 1_000)),
        client_id: Some("the-app".to_owned()),
        client_secret: Some("its-secret".into()),
    }
}

/// The bytes of a content.
pub async fn read(content: Content) -> Vec<u8> {
    let chunks: Vec<bytes::Bytes> = content.stream.try_collect().await.unwrap();
    chunks.concat()
}

pub fn settings(provider: ProviderName, url: &str) -> AccountSettings {
    AccountSettings {
        name: "work".to_owned(),
        provider,
        api_url: Some(url.parse().unwrap()),
        domain: None,
        stream: BoxStream::Changes,
        suppress: Suppress::None,
        poll_min: None,
        poll_max: None,
        calls_per_day: None,
        calls_per_minute: None,
        transfers: 8,
        bandwidth_down: None,
        bandwidth_up: None,
        ca_file: None,
        proxy: None,
    }
}
