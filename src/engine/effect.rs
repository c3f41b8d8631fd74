//! Everything the engine can want of the world.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::Answer;
use crate::deed::DeedOrder;
use crate::events::subscription::SubscriptionSettings;
use crate::hook::{Document, HookSettings, QuarantineRemote};
use crate::id::{AccountId, Cursor, Etag, FolderId, ItemId, JobId, JournalId, PageToken};
use crate::local_news::{HashOrder, ScanOrder, UploadFile};
use crate::provider::Expected;
use crate::settings::{AccountSettings, RemotePlace};

use super::input::{FetchOrder, OpenOrder};

/// A piece of work for the world. Each ends in one [`super::input::Input::Done`] with the same job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Ask who the account belongs to.
    Identify,
    /// Ask for the newest position of the stream.
    TakeCursor,
    /// Ask where to read on after the place in the stream was lost.
    RestartCursor,
    /// Read the stream.
    Poll(Cursor),
    /// Compare a place in the stream with both ends of the stream.
    CheckCursor(Cursor),
    /// Wait for news.
    Wait {
        /// The place in the stream.
        cursor: Cursor,
        /// At most this long.
        limit: Duration,
    },
    /// Look up a remote place.
    Resolve(RemotePlace),
    /// Ask how much a remote folder holds.
    Size(ItemId),
    /// List one page of a folder's children.
    List {
        /// The remote folder.
        item: ItemId,
        /// The page.
        page: Option<PageToken>,
    },
    /// Look at one item.
    Look(ItemId),
    /// Fetch and verify a version into the staging directory of a folder.
    Fetch(FolderId, Box<FetchOrder>),
    /// Do with the cloud's copy of a quarantined file what its hook's settings say.
    Dispose {
        /// The file.
        item: ItemId,
        /// Its name.
        name: String,
        /// Its tag when we last heard of it.
        etag: Option<Etag>,
        /// What to do.
        how: QuarantineRemote,
    },
    /// Upload a file of a folder.
    Upload(FolderId, Box<UploadFile>),
    /// Make a remote folder.
    MakeFolder {
        /// The folder that is to hold it.
        parent: ItemId,
        /// Its name.
        name: String,
    },
    /// Rename or move a remote item.
    Relocate {
        /// The item.
        item: ItemId,
        /// The folder that is to hold it.
        parent: ItemId,
        /// Its name there.
        name: String,
        /// What it is expected to be.
        expected: Expected,
    },
    /// Put a remote item into the cloud's trash.
    Trash {
        /// The item.
        item: ItemId,
        /// What it is expected to be.
        expected: Expected,
    },
}

/// A look at the local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalTask {
    /// List directories, in this order, until a page is full; at most [`crate::local_news::SCAN_DIRS_MOST`].
    Scan(Vec<ScanOrder>),
    /// Digest a file.
    Hash(HashOrder),
}

/// What became visible, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An event that touches a folder arrived.
    Event {
        /// Its entry in the journal.
        journal: JournalId,
        /// Our word for it.
        kind: &'static str,
        /// The path as known now.
        path: String,
        /// Who did it.
        actor: Option<String>,
    },
    /// Something was done on disk, or an event turned out to need nothing.
    Outcome {
        /// The folder.
        folder: FolderId,
        /// The event that asked for it.
        journal: Option<JournalId>,
        /// What was done.
        what: String,
        /// The path.
        path: String,
        /// Where it was, for moves.
        from: Option<String>,
        /// Milliseconds since the event was received, or since there was work.
        took_ms: i64,
    },
    /// An item has a problem.
    Problem {
        /// The folder.
        folder: FolderId,
        /// The path.
        path: String,
        /// A stable word.
        code: String,
        /// The cause.
        text: String,
    },
}

/// One run of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOrder {
    /// The hook.
    pub settings: HookSettings,
    /// What it is told.
    pub document: Document,
    /// The local path inside the folder, as its bytes are.
    pub path: Option<OsString>,
    /// Where the content is.
    pub file: Option<PathBuf>,
    /// What the file is, where somebody may change it meanwhile: of another one the hook is not asked.
    pub stamp: Option<crate::tree::Stamp>,
}

/// Something the engine wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Use these settings for an account from now on.
    UseAccount(AccountId, Box<AccountSettings>),
    /// Forget an account; its jobs may be dropped.
    DropAccount(AccountId),
    /// Open a local root, or look whether it is still the one that we know.
    Open {
        /// The job.
        job: JobId,
        /// The folder.
        folder: FolderId,
        /// How.
        order: Box<OpenOrder>,
    },
    /// Close a local root.
    Close(FolderId),
    /// The next thing for a cloud with this job is asked for another user of the enterprise.
    ActFor {
        /// The job.
        job: JobId,
        /// The provider's id of the user.
        user: String,
    },
    /// Something for an account's cloud.
    Cloud {
        /// The job.
        job: JobId,
        /// The account.
        account: AccountId,
        /// What.
        task: Task,
    },
    /// Stop a job whose result is no longer wanted; it still ends in an input.
    Cancel(JobId),
    /// Carry out deeds on disk, in this order.
    Deeds {
        /// The job of the batch.
        job: JobId,
        /// The folder.
        folder: FolderId,
        /// The deeds.
        orders: Vec<DeedOrder>,
    },
    /// Look at a folder's disk.
    Local {
        /// The job.
        job: JobId,
        /// The folder.
        folder: FolderId,
        /// What to look at.
        task: LocalTask,
    },
    /// Watch a folder's disk from now on, or no longer. What is noticed comes as [`super::input::Input::Local`].
    Watch(FolderId, bool),
    /// The session that a job told of ([`super::input::Input::Session`]) is durable: it may go on.
    SessionKept(JobId),
    /// Remove kept contents for good.
    DropVersions(FolderId, Vec<JobId>),
    /// Remove a staged file that is no longer wanted.
    DropStaged(FolderId, crate::deed::Staged),
    /// Run a hook.
    Hook {
        /// The job.
        job: JobId,
        /// What to run, and what to tell.
        order: Box<HookOrder>,
    },
    /// Ask a scanner how it is. Ends like the run of a hook.
    ProbeHook {
        /// The job.
        job: JobId,
        /// The hook.
        hook: Box<HookSettings>,
    },
    /// Copy a file of a folder into quarantine. Ends like the way of a staged file there.
    Seize {
        /// The job.
        job: JobId,
        /// The folder.
        folder: FolderId,
        /// The number in quarantine.
        number: i64,
        /// Where it is.
        at: crate::path::RelPath,
        /// What it holds, where that is known.
        sha256: Option<crate::id::Sha256>,
        /// Why it is there, as JSON.
        sidecar: String,
    },
    /// Move a staged file into quarantine.
    Quarantine {
        /// The job.
        job: JobId,
        /// The folder.
        folder: FolderId,
        /// The number in quarantine.
        number: i64,
        /// The staged file.
        staged: crate::deed::Staged,
        /// Why it is there, as JSON.
        sidecar: String,
    },
    /// Remove from quarantine for good.
    DropQuarantined(Vec<i64>),
    /// Remove from quarantine whatever is not one of these.
    SweepQuarantine(Vec<i64>),
    /// These subscriptions are to be served from now on, and no others.
    Subscribe(Vec<SubscriptionSettings>),
    /// Entries were added to the journal.
    JournalGrew,
    /// Answer a command.
    Answer {
        /// What the command was addressed from.
        ticket: u64,
        /// The answer.
        answer: Answer,
    },
    /// Tell whoever watches.
    Notice(Notice),
}
