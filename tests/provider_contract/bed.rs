//! A sandbox with one account that is signed in, and the adapter under test.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use folder_sync_agent::events::RemoteEvent;
use folder_sync_agent::id::{Cursor, ItemId, ItemKind, VersionId};
use folder_sync_agent::provider::auth::{Credentials, save_login};
use folder_sync_agent::provider::box_com::BoxCom;
use folder_sync_agent::provider::egnyte::{Egnyte, Sizes};
use folder_sync_agent::provider::http::CallCounter;
use folder_sync_agent::provider::{Content, Provider};
use folder_sync_agent::sandbox::{
    ACCESS_TOKEN, Answer, Cloud, Content as Bytes, Entry, Fault, Options, Refusal, Sandbox, User, start,
};
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
    const TOKEN: &'static str;
    /// The head of a download tells the digest of the version.
    const DOWNLOADS_TELL_DIGESTS: bool;

    /// Where the tests' trees begin: the part of the cloud that this provider shows.
    const TOP: &'static str;
    /// A path below the origin that wants the bearer.
    const WHOAMI_PATH: &'static str;

    /// The sandbox's numbers as this provider writes them.
    fn item(kind: ItemKind, number: &str) -> ItemId;
    fn version(number: &str) -> VersionId;

    /// What makes a listing go round in circles.
    async fn circle(_bed: &Bed<Self>, _folder: &ItemId) -> Fault
    where
        Self: Sized,
    {
        Fault::LoopMarker
    }

    /// Every way in which the provider says that there were too many calls, and to wait so many seconds.
    fn throttles(seconds: &str) -> Vec<Answer>;

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
    const TOKEN: &'static str = "token";
    const DOWNLOADS_TELL_DIGESTS: bool = false;

    const TOP: &'static str = "";
    const WHOAMI_PATH: &'static str = "/2.0/users/me";

    fn item(kind: ItemKind, number: &str) -> ItemId {
        ItemId::new(kind, number)
    }

    fn version(number: &str) -> VersionId {
        VersionId::new(number)
    }

    fn throttles(seconds: &str) -> Vec<Answer> {
        vec![Answer::too_many(Some(seconds))]
    }

    fn adapter(settings: &AccountSettings, credentials: &TempDir, counter: Arc<CallCounter>) -> Arc<dyn Provider> {
        Arc::new(BoxCom::new(settings, credentials.path().join("credentials"), counter).unwrap())
    }

    fn lost_cursor() -> Cursor {
        Cursor::new("1.8e16")
    }
}

pub struct EgnyteFace;

impl EgnyteFace {
    /// Ids of the sandbox's Egnyte have one form, and tell by their beginning what they belong to.
    fn id(start: &str, number: &str) -> String {
        format!("{start}-5a6d-4b0c-8f1e-{:012x}", number.parse::<u64>().unwrap())
    }
}

impl Face for EgnyteFace {
    const NAME: ProviderName = ProviderName::Egnyte;

    const WHOAMI: &'static str = "egnyte_userinfo";
    const LISTING: &'static str = "egnyte_list";
    const FILE: &'static str = "egnyte_stat";
    const EVENTS: &'static str = "egnyte_events";
    const LONG_POLL: &'static str = "none";
    const CONTENT: &'static str = "egnyte_download";
    const CONTENT_TARGET: &'static str = "egnyte_download";
    const TOKEN: &'static str = "egnyte_token";
    const DOWNLOADS_TELL_DIGESTS: bool = true;

    const TOP: &'static str = "/Shared";
    const WHOAMI_PATH: &'static str = "/pubapi/v1/userinfo";

    fn item(kind: ItemKind, number: &str) -> ItemId {
        match kind {
            ItemKind::File => ItemId::file(Self::id("960d9000", number)),
            ItemKind::Folder => ItemId::folder(Self::id("f01de400", number)),
        }
    }

    fn version(number: &str) -> VersionId {
        VersionId::new(Self::id("e2729000", number))
    }

    /// The first page again, whatever page is asked for.
    async fn circle(bed: &Bed<Self>, folder: &ItemId) -> Fault {
        bed.provider.whoami().await.unwrap();
        let url = format!("{}/pubapi/v1/fs/ids/folder/{}?count=1000", bed.sandbox.url(), folder.raw());
        let page = reqwest::Client::new().get(url).bearer_auth(ACCESS_TOKEN).send().await.unwrap();
        Fault::Answer(Answer { body: page.text().await.unwrap(), ..Answer::empty(200) })
    }

    fn throttles(seconds: &str) -> Vec<Answer> {
        vec![Answer::too_many(Some(seconds)), Answer::gateway_over_qps(seconds)]
    }

    fn adapter(settings: &AccountSettings, credentials: &TempDir, counter: Arc<CallCounter>) -> Arc<dyn Provider> {
        let adapter = Egnyte::new(settings, credentials.path().join("credentials"), counter).unwrap();
        Arc::new(adapter.with_sizes(Sizes { one_piece_max: 10 << 20, chunk: 10 << 20 }))
    }

    fn lost_cursor() -> Cursor {
        Cursor::new("1")
    }
}

/// The sandbox's cloud, with paths that begin where the provider's part of it begins.
pub struct Shown {
    cloud: Cloud,
    top: &'static str,
}

impl Deref for Shown {
    type Target = Cloud;

    fn deref(&self) -> &Cloud {
        &self.cloud
    }
}

type Told<T> = Result<T, Refusal>;

impl Shown {
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.top)
    }

    pub fn as_user(&self, by: User) -> Self {
        Self { cloud: self.cloud.as_user(by), top: self.top }
    }

    pub fn mkdir_p(&self, path: &str) -> Told<String> {
        self.cloud.mkdir_p(&self.at(path))
    }

    pub fn write(&self, path: &str, content: impl Into<Bytes>) -> Told<String> {
        self.cloud.write(&self.at(path), content)
    }

    pub fn write_at(&self, path: &str, content: impl Into<Bytes>, modified_ms: Option<i64>) -> Told<String> {
        self.cloud.write_at(&self.at(path), content, modified_ms)
    }

    pub fn rename(&self, path: &str, new_name: &str) -> Told<()> {
        self.cloud.rename(&self.at(path), new_name)
    }

    pub fn move_to(&self, path: &str, new_parent: &str) -> Told<()> {
        self.cloud.move_to(&self.at(path), &self.at(new_parent))
    }

    pub fn trash(&self, path: &str) -> Told<String> {
        self.cloud.trash(&self.at(path))
    }

    pub fn id_of(&self, path: &str) -> Told<String> {
        self.cloud.id_of(&self.at(path))
    }

    pub fn read(&self, path: &str) -> Told<Vec<u8>> {
        self.cloud.read(&self.at(path))
    }

    pub fn versions(&self, path: &str) -> Told<Vec<String>> {
        self.cloud.versions(&self.at(path))
    }

    pub fn lock(&self, path: &str) -> Told<()> {
        self.cloud.lock(&self.at(path))
    }

    pub fn tree(&self, path: &str) -> Told<BTreeMap<String, Entry>> {
        self.cloud.tree(&self.at(path))
    }
}

pub struct Bed<F> {
    pub cloud: Shown,
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
        let cloud = Shown { cloud: sandbox.cloud(), top: F::TOP };
        let bed = Self { cloud, provider, counter, sandbox, credentials, face: PhantomData };
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
        F::item(ItemKind::Folder, &self.cloud.id_of(path).unwrap())
    }

    pub fn file(&self, path: &str) -> ItemId {
        F::item(ItemKind::File, &self.cloud.id_of(path).unwrap())
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

    /// Reads on from a cursor until the stream is read to its end.
    pub async fn drain(&self, from: &Cursor) -> (Vec<RemoteEvent>, Cursor) {
        let (mut events, mut cursor) = (Vec::new(), from.clone());
        for _ in 0..1_000 {
            let page = self.provider.events(&cursor).await.unwrap();
            events.extend(page.events);
            cursor = page.next;
            if page.caught_up {
                return (events, cursor);
            }
        }
        panic!("the stream is never drained");
    }
}

pub fn credentials(access: &str, refresh: Option<&str>, lifetime_s: Option<i64>) -> Credentials {
    let now = jiff::Timestamp::now().as_millisecond();
    Credentials {
        refresh_token: refresh.map(Into::into),
        expires_at: lifetime_s.map(|seconds| Wall(now + seconds * 1_000)),
        client_id: Some("the-app".to_owned()),
        client_secret: Some("its-secret".into()),
        ..Credentials::bearer(access.into())
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
        quiet: None,
        ca_file: None,
        proxy: None,
    }
}
