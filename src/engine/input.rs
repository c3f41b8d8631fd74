//! Everything that can happen to the engine.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::Command;
use crate::deed::{DeedResult, DiskError, Staged};
use crate::events::EventPage;
use crate::events::budget::Quota;
use crate::events::subscription::{SubscriptionNews, SubscriptionSettings};
use crate::hook::HookSettings;
use crate::id::{AccountId, Cursor, FolderId, JobId};
use crate::local_news::{DirScan, HashedFile, LocalMiss, News, ScanFailure, UploadFailure, Uploaded};
use crate::path::Name;
use crate::provider::{Capabilities, Identity, ListPage, ProviderError, Resolved, TreeSize, Wake};
use crate::settings::{AccountSettings, FolderSettings};
use crate::tree::{ItemState, RemoteItem, Stamp, Wall};

/// The time as the world tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Milliseconds on a clock that never jumps: for waiting.
    pub mono: u64,
    /// The wall clock: for people, and for what must survive a restart.
    pub wall: Wall,
}

/// What the configuration asks for.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The accounts, with what their clouds can do.
    pub accounts: Vec<(AccountSettings, Capabilities)>,
    /// The folders.
    pub folders: Vec<FolderSettings>,
    /// The hooks, in order.
    pub hooks: Vec<HookSettings>,
    /// The subscriptions.
    pub subscriptions: Vec<SubscriptionSettings>,
}

/// What was found when a local root was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFacts {
    /// The stamp of the root directory.
    pub stamp: Stamp,
    /// It held nothing but our own directory.
    pub empty: bool,
    /// The size of its disk in bytes.
    pub disk_bytes: u64,
    /// The bytes that may still be written there, without those that are to stay free.
    pub free_bytes: u64,
}

/// Why a fetch failed.
#[derive(Debug, Clone)]
pub enum FetchFailure {
    /// The cloud's side.
    Provider(ProviderError),
    /// The disk's side.
    Disk(DiskError),
    /// The version store does not hold it after all.
    NotHeld(crate::deed::KeptAt),
}

/// What came of a job. Every effect with a job brings exactly one of these back.
#[derive(Debug)]
pub enum Outcome {
    /// Who the account belongs to.
    Identified(Result<Identity, ProviderError>),
    /// The newest position of the stream.
    CursorTaken(Result<Cursor, ProviderError>),
    /// The stream was read.
    Polled(Result<EventPage, ProviderError>),
    /// A place in the stream was compared with its ends; [`crate::provider::ProviderErrorKind::CursorLost`] if it is none of the stream's.
    CursorChecked(Result<(), ProviderError>),
    /// A long poll ended.
    Woken(Result<Wake, ProviderError>),
    /// A remote place was looked up.
    Resolved(Result<Resolved, ProviderError>),
    /// How much a remote folder holds, if its cloud tells.
    Sized(Result<Option<TreeSize>, ProviderError>),
    /// A local root was opened, or looked at again.
    Opened(Result<RootFacts, DiskError>),
    /// One page of a listing.
    Listed(Result<ListPage, ProviderError>),
    /// One item was looked at.
    Looked(Result<ItemState, ProviderError>),
    /// A version was fetched and verified.
    Fetched(Result<Staged, FetchFailure>),
    /// A hook was run.
    Hooked(crate::hook::Outcome),
    /// A staged file was moved into quarantine.
    Quarantined(Result<(), DiskError>),
    /// The cloud's copy of a quarantined file was disposed of.
    Disposed(Result<(), ProviderError>),
    /// A batch of deeds was carried out: a result for each order, in their order.
    Deeds(Vec<DeedResult>),
    /// One page of local directories, in the order in which they were asked for; those that it had no room for are left out at its end.
    Scanned(Vec<Result<DirScan, ScanFailure>>),
    /// A local file was digested.
    Hashed(Result<HashedFile, LocalMiss>),
    /// A file was uploaded.
    Uploaded(Result<Box<Uploaded>, UploadFailure>),
    /// A remote folder was made.
    FolderMade(Result<Box<RemoteItem>, ProviderError>),
    /// A remote item was renamed or moved.
    Relocated(Result<Box<RemoteItem>, ProviderError>),
    /// A remote item was put into the trash.
    Trashed(Result<(), ProviderError>),
}

/// Something that happened.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "most inputs are outcomes, and each is moved a few times only")]
pub enum Input {
    /// The first input: what makes this run differ from another one.
    Start {
        /// Where chance comes from.
        seed: u64,
        /// The machine's name.
        host: String,
    },
    /// Time passed. Every batch begins with one.
    Tick(Now),
    /// The configuration was read, for the first time or again.
    Config(Box<Wishes>),
    /// What an account's calls have cost so far.
    Usage {
        /// The account.
        account: AccountId,
        /// Requests that this process has made for it.
        calls: u64,
        /// What the provider's newest answer said of the quota.
        quota: Option<Quota>,
    },
    /// A job is done.
    Done {
        /// The job.
        job: JobId,
        /// What came of it.
        outcome: Outcome,
    },
    /// A watcher noticed something.
    Local {
        /// The folder.
        folder: FolderId,
        /// What.
        news: News,
    },
    /// A chunked upload was begun. The job waits for [`super::effect::Effect::SessionKept`].
    Session {
        /// The job.
        job: JobId,
        /// What to pass on when the same content is uploaded again.
        session: String,
    },
    /// A worker of a subscription delivered, or could not.
    Subscription {
        /// The subscription.
        name: String,
        /// What.
        news: SubscriptionNews,
    },
    /// Somebody asks for something.
    Command {
        /// What the answer is to be addressed to.
        ticket: u64,
        /// The request.
        command: Command,
    },
}

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOrder {
    /// The file.
    pub item: crate::id::ItemId,
    /// The version.
    pub version: crate::id::VersionId,
    /// Its length, if known.
    pub size: Option<u64>,
    /// Its digest, if known.
    pub hash: Option<crate::id::ContentHash>,
    /// Its modification time, if known.
    pub modified: Option<Wall>,
    /// Where the version store holds a content of this digest and length: no call is made for it.
    pub held: Option<crate::deed::KeptAt>,
    /// The path, for people.
    pub path: String,
}

/// How to open a local root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    /// The directory.
    pub path: PathBuf,
    /// What its marker must say.
    pub mark: String,
    /// Make marker and directories: this is the first time.
    pub create: bool,
    /// Names in the staging directory that are still needed; everything else there is a leftover and goes. Nothing when the root is
    /// only looked at again.
    pub keep_staged: Option<Vec<Name>>,
    /// Permissions and limits.
    pub settings: FolderSettings,
}

/// How long a long poll may take.
pub const WAIT_LIMIT: Duration = Duration::from_mins(11);
