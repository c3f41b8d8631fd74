//! What we ask of a cloud: the [`Provider`] trait and its contract. Everything a provider's wire format knows stays in its adapter.
//!
//! The contract, which one suite of tests checks for every adapter:
//! - Every method may be called at any time from any task; an adapter limits nothing but its own token refresh. Pacing,
//!   budgets and retries over minutes are the engine's.
//! - An adapter retries only what is safe and quick (reads, on errors that time cures, a bounded number of times within
//!   seconds) and honours a short `Retry-After`; a longer one is returned as an error with `retry_after`.
//! - A method answers in terms of our model only. No status code, header or field name gets out.
//! - An incomplete answer is an error, never a shorter answer.
//! - A write is sent once. Where its outcome is not known (no answer, 5xx) the adapter looks whether it happened before it sends it again
//!   or gives up; what it cannot find out is [`ProviderErrorKind::OutcomeUnknown`], and the engine looks later.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::events::EventPage;
use crate::id::{ContentHash, Cursor, ItemId, PageToken, VersionId};
use crate::settings::RemotePlace;
use crate::tree::{ItemState, RemoteItem, Wall};

pub mod auth;
pub mod box_com;
pub mod egnyte;
pub mod error;
pub mod http;
pub mod write;

pub use crate::id::HashKind;
pub use error::{Cure, ProviderError, ProviderErrorKind};
pub use write::{Expected, Preflight, UploadBody, UploadOrder, UploadTarget};

/// The result of a provider call.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// Who a token belongs to. State is bound to `user_id`: another identity under the same account name is a hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The provider's id of the user.
    pub user_id: String,
    /// The login or user name, for people.
    pub login: String,
    /// The name, for people.
    pub name: String,
}

/// What a cloud can do, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// [`Provider::wait_for_news`] really waits for news.
    pub long_poll: bool,
    /// [`Provider::check_cursor`] tells something: places can be compared.
    pub checks_cursor: bool,
    /// Events carry the whole item.
    pub events_carry_items: bool,
    /// Names that differ only in case are the same name.
    pub folds_case: bool,
    /// Events may be written behind a position that was given already: after activity the stream is read once more from before it.
    pub disordered: bool,
    /// The id of the top folder, where it is the same in every account.
    pub top_id: Option<&'static str>,
    /// The shortest interval between polls that the provider asks for.
    pub poll_floor: Duration,
    /// The digest that the provider describes content with.
    pub hash: HashKind,
}

/// What a remote place turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one is made for each folder")]
pub enum Resolved {
    /// The folder.
    Folder(RemoteItem),
    /// There is something, but not a folder.
    NotAFolder {
        /// What it is called.
        path: String,
    },
    /// Nothing is there. Says how far the path led, and what is there instead.
    Missing {
        /// The part of the path that exists.
        exists: String,
        /// Names of folders in it, at most 20.
        instead: Vec<String>,
    },
}

/// Why [`Provider::wait_for_news`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The provider says that there is news.
    News,
    /// The time given to the call is over without news.
    Quiet,
}

/// One page of a folder's direct children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The items; what is neither file nor folder (web links) is left out. `parent` is always the listed folder.
    pub items: Vec<RemoteItem>,
    /// Where the next page starts; nothing on the last.
    pub next: Option<PageToken>,
    /// An entry could not be read: the page shows what is there, and says nothing of what is not.
    pub unread: Option<ProviderError>,
}

/// The bytes of one version, from an offset on.
pub struct Content {
    /// Where the stream starts: the offset asked for, or 0 if the provider ignored it.
    pub offset: u64,
    /// The length of the whole version, if the answer says.
    pub total: Option<u64>,
    /// The digest of the whole version, if the answer says. It stands in for one that the caller was not told before.
    pub hash: Option<ContentHash>,
    /// When the version was last modified, if the answer says.
    pub modified: Option<Wall>,
    /// What the server that has the bytes calls them: another name means other bytes.
    pub tag: Option<String>,
    /// The bytes. An error of the stream is a [`ProviderError`] like any other.
    pub stream: BoxStream<'static, Result<Bytes>>,
}

/// How much a folder holds, with everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeSize {
    /// Files.
    pub files: u64,
    /// Folders, itself left out.
    pub folders: u64,
    /// Bytes in all files.
    pub bytes: u64,
}

/// An older content of a file that the cloud still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteVersion {
    /// Its id, by which it can be fetched.
    pub version: VersionId,
    /// Its digest, if the provider gave one.
    pub hash: Option<ContentHash>,
    /// Its length in bytes, if the provider gave it.
    pub size: Option<u64>,
    /// When it was written.
    pub modified: Option<Wall>,
}

/// A span of time by the provider's clock; an open end is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeSpan {
    /// What happened at or after this moment.
    pub since: Option<Wall>,
    /// What happened before this moment.
    pub until: Option<Wall>,
}

/// A cloud.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The same account acting for another user of its enterprise, where the provider lets it; nothing where it does not.
    fn acting_for(&self, _user: &str) -> Option<std::sync::Arc<dyn Provider>> {
        None
    }

    /// Who we are. Costs one call.
    async fn whoami(&self) -> Result<Identity>;

    /// The name behind a user's id, where events carry nothing else and the provider tells; nothing if it knows no such user. Costs one call.
    async fn person(&self, _user_id: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// Finds a folder by path or id; walks a path name by name where the provider has no lookup by path.
    async fn resolve(&self, place: &RemotePlace) -> Result<Resolved>;

    /// The newest position of the stream. Everything that happens after this call is found by reading on from it.
    async fn newest_cursor(&self) -> Result<Cursor>;

    /// Where to read on after the place in the stream was lost: a full comparison follows and covers whatever lies before it. A provider
    /// that still keeps older events may name an earlier place than the newest, so that those are told too.
    async fn restart_cursor(&self) -> Result<Cursor> {
        self.newest_cursor().await
    }

    /// The events after a cursor. [`ProviderErrorKind::CursorLost`] if the provider no longer knows the place.
    async fn events(&self, cursor: &Cursor) -> Result<EventPage>;

    /// The oldest place in the stream that can be read on from.
    async fn oldest_cursor(&self) -> Result<Cursor> {
        self.newest_cursor().await
    }

    /// A place from which everything is found that happened since a moment; what is older may be found as well.
    async fn cursor_at(&self, _since: Wall) -> Result<Cursor> {
        self.oldest_cursor().await
    }

    /// The events after a cursor that happened in a span. A provider that cannot choose by time tells others as well.
    async fn events_in(&self, cursor: &Cursor, _span: &TimeSpan) -> Result<EventPage> {
        self.events(cursor).await
    }

    /// How many calls it takes at most to read from a place to the end of the stream, where the provider's positions tell. Costs at most
    /// one call itself.
    async fn calls_to_read(&self, _cursor: &Cursor) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Whether the cursor lies between the ends of the stream; [`ProviderErrorKind::CursorLost`] if not. Reading from a place beyond the
    /// end brings nothing and need be no error, so that a quiet stream does not tell.
    async fn check_cursor(&self, _cursor: &Cursor) -> Result<()> {
        Ok(())
    }

    /// Waits until there is news after the cursor, at most `limit`. Spurious wake-ups are fine, lost ones are made good by
    /// the engine's own interval. Dropping the future ends the wait.
    async fn wait_for_news(&self, cursor: &Cursor, limit: Duration) -> Result<Wake>;

    /// One page of a folder's direct children. [`ProviderErrorKind::NotFound`] if the folder is gone.
    async fn list(&self, folder: &ItemId, page: Option<&PageToken>) -> Result<ListPage>;

    /// The present state of one item.
    async fn item(&self, id: &ItemId) -> Result<ItemState>;

    /// How much a folder holds, where the provider tells it in one call; for forecasts only.
    async fn size_of(&self, _folder: &ItemId) -> Result<Option<TreeSize>> {
        Ok(None)
    }

    /// The bytes of exactly this version from `offset` on. Never sends the bearer to another origin.
    async fn content(&self, file: &ItemId, version: &VersionId, offset: u64) -> Result<Content>;

    /// The bytes of exactly this version in `span`, and perhaps what follows; nothing if the server does not give parts of it.
    async fn part(&self, file: &ItemId, version: &VersionId, span: Range<u64>) -> Result<Option<Content>> {
        let content = self.content(file, version, span.start).await?;
        Ok(Some(content).filter(|content| content.offset == span.start))
    }

    /// The smallest and the largest part of a long content that is worth a call of its own, in bytes.
    fn part_bytes(&self) -> Range<u64> {
        (8 << 20)..(64 << 20)
    }

    /// The older contents of a file that can still be fetched, newest first; none if the provider does not tell.
    async fn versions(&self, _file: &ItemId) -> Result<Vec<RemoteVersion>> {
        Ok(Vec::new())
    }

    /// Whether a file of this name and size would be taken (quota, name, permission). Costs at most one call.
    async fn preflight(&self, _target: &UploadTarget, _size: u64) -> Result<Preflight> {
        Ok(Preflight::Unknown)
    }

    /// Uploads a content, in one piece or in parts as its size demands, verifies the provider's answer against our digest, and returns
    /// the file as it is then.
    async fn upload(&self, _order: &UploadOrder, _body: &dyn UploadBody) -> Result<RemoteItem> {
        Err(read_only())
    }

    /// Makes a folder. [`ProviderErrorKind::Conflict`] if the name is taken.
    async fn make_folder(&self, _parent: &ItemId, _name: &str) -> Result<RemoteItem> {
        Err(read_only())
    }

    /// Gives an item another place, another name, or both. [`ProviderErrorKind::Conflict`] if the place is taken or the item is not the expected one.
    async fn relocate(
        &self,
        _item: &ItemId,
        _parent: &ItemId,
        _name: &str,
        _expected: &Expected,
    ) -> Result<RemoteItem> {
        Err(read_only())
    }

    /// Puts an item (a folder with all that it holds) into the cloud's trash. Fine if it is there already.
    async fn trash(&self, _item: &ItemId, _expected: &Expected) -> Result<()> {
        Err(read_only())
    }

    /// Waits until nothing is under way that must not be cut off, such as the renewal of a token. The last call before the
    /// program ends.
    async fn settle(&self) {}

    /// Somebody signed in anew: calls from now on use what they left.
    fn credentials_changed(&self) {}
}

/// The answer of a cloud that cannot be written to.
fn read_only() -> ProviderError {
    ProviderError::new(ProviderErrorKind::Refused, "this cloud is only read")
}
