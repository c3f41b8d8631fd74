//! What the agent says of itself, as values: the JSON of every listing, whoever prints it.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::deed::KeptAt;
use crate::id::{ContentHash, HoldId, ItemId, JobId, VersionId};
use crate::path::Name;
use crate::tree::{Stamp, Wall};

mod events;
mod figures;
mod hooks;
mod left_out;
mod state;
mod why;

pub use events::{ActivityRow, EventQuery, EventRow, GapRow, Nameless, SubscriptionState, SubscriptionStatus};
pub use figures::MetricsFormat;
pub use hooks::{HookRunQuery, HookRunRow, QuarantineReport, ScannerStatus};
pub use left_out::LeftOut;
pub use state::FolderState;
pub use why::{Why, WhyFacts, WhyKept, WhySide};

/// The version of the JSON documents below; it grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// `agent status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Whether an agent is running (the answer came over its socket).
    pub running: bool,
    /// The running agent's process id.
    pub pid: Option<u32>,
    /// The agent's version.
    pub version: String,
    /// The answer to "is everything in sync?": true only if every folder is [`FolderState::InSync`] and nothing is degraded that halts.
    pub in_sync: bool,
    /// What is wrong with the agent as a whole (a bad configuration reload, a failing database), in sentences.
    pub degraded: Vec<Degraded>,
    /// The accounts.
    pub accounts: Vec<AccountStatus>,
    /// The folders.
    pub folders: Vec<FolderStatus>,
    /// The subscriptions.
    #[serde(default)]
    pub subscriptions: Vec<SubscriptionStatus>,
    /// Holds that wait for a person.
    pub held: u64,
    /// Items with a problem.
    pub problems: u64,
    /// The scanners that are asked in their own protocol.
    #[serde(default)]
    pub scanners: Vec<ScannerStatus>,
}

/// A degraded state: always with a name, a cause and a next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// A stable word, such as `sign_in_needed`, `offline`, `no_long_poll`, `disk_full`, `root_lost`, `unverified`, `store`, `config`.
    pub name: String,
    /// Why.
    pub cause: String,
    /// What to do, or what the agent will do and when.
    pub next_step: String,
}

/// The degraded state of an account whose long poll does not work: the stream is polled instead, so that folders can be in sync.
pub const NO_LONG_POLL: &str = "no_long_poll";

/// The degraded state of an agent whose page in the browser cannot be served.
pub const PAGE: &str = "page";

impl Degraded {
    /// Whether what is wrong keeps folders from being in sync, and not only news from coming at once.
    pub fn halts(&self) -> bool {
        ![NO_LONG_POLL, PAGE].contains(&self.name.as_str())
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// `box` or `egnyte`.
    pub provider: String,
    /// Who is signed in, once known.
    pub login: Option<String>,
    /// That user's id.
    #[serde(default)]
    pub user_id: Option<String>,
    /// When the sign-in ends unless somebody signs in again, if that is known.
    #[serde(default)]
    pub sign_in_ends: Option<Wall>,
    /// What is wrong with it.
    pub degraded: Option<Degraded>,
    /// Whether news arrives by long poll right now.
    pub long_poll: bool,
    /// When the stream was last read with success.
    pub last_poll: Option<Wall>,
    /// When it will be read next.
    pub next_poll: Option<Wall>,
    /// Events read since the start of the database, by what became of them.
    pub events: EventCounts,
    /// The API budget.
    pub budget: Budget,
}

/// Events by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    /// Events that touched a folder.
    pub relevant: u64,
    /// Events that concern nothing that we watch.
    pub foreign: u64,
    /// Events seen before.
    pub repeated: u64,
    /// Events older than what we knew of the item.
    pub stale: u64,
    /// Echoes of our own deeds.
    pub own: u64,
}

/// The API budget of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Calls spent today (UTC), as reserved.
    pub spent_today: u64,
    /// Calls allowed a day, if there is a limit.
    pub per_day: Option<u64>,
    /// Calls allowed a minute, if they are paced.
    #[serde(default)]
    pub per_minute: Option<u64>,
    /// How the rest of the day's calls is shared.
    #[serde(default)]
    pub shares: Option<BudgetShares>,
    /// When the day's count starts again.
    pub resets_at: Option<Wall>,
    /// The provider asked for no calls before this moment.
    pub closed_until: Option<Wall>,
    /// A sentence for a first sync that the budget makes long.
    pub forecast: Option<String>,
    /// The days that the work known now takes within the budget; 0 for what is done today.
    #[serde(default)]
    pub forecast_days: Option<u64>,
}

/// A sign-in that ends within this time is warned of, in milliseconds.
pub const SIGN_IN_WARNING_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// How the rest of a day's calls is shared. What is kept shrinks with the day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetShares {
    /// Kept for reading the event stream.
    pub listening: u64,
    /// Kept for what the stream will bring.
    pub news: u64,
    /// For first syncs, comparisons, or anything else.
    pub free: u64,
}

/// The name of the degraded state of a folder that works, and of which not every directory can be watched.
pub const UNWATCHED: &str = "unwatched";

/// One folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FolderStatus {
    /// Its name.
    pub name: String,
    /// Its account.
    pub account: String,
    /// The remote folder as written.
    pub remote: String,
    /// The local directory.
    pub local: String,
    /// The mode's word.
    pub mode: String,
    /// Its state.
    pub state: FolderState,
    /// What is wrong with it.
    pub degraded: Option<Degraded>,
    /// Files on disk and their bytes.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Folders on disk.
    pub folders: u64,
    /// Items with work to do (files to fetch, move, remove; folders to list).
    pub pending: u64,
    /// Bytes still to fetch, as far as known.
    pub pending_bytes: u64,
    /// Items with a problem.
    pub problems: u64,
    /// Those of them that are in quarantine and wait for a person.
    #[serde(default)]
    pub quarantined: u64,
    /// Holds.
    pub held: u64,
    /// When a full comparison last ended.
    pub verified: Option<Wall>,
    /// When that remote folder was last seen whole that was so longest ago: everything in the folder was seen since.
    #[serde(default)]
    pub oldest_seen: Option<Wall>,
    /// Local files that were read for their digests since the agent opened the folder. Those whose stamps are known are not.
    #[serde(default)]
    pub digested: Digested,
    /// What its directories hold that is never sent.
    #[serde(default)]
    pub left_out: LeftOut,
    /// How fast its content moves.
    #[serde(default)]
    pub progress: Progress,
    /// Transfers under way.
    pub transfers: Vec<Transfer>,
}

/// How fast content moves, over the last ten seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes per second from the cloud; nothing if nothing comes.
    pub down: Option<u64>,
    /// Bytes per second to the cloud; nothing if nothing goes.
    pub up: Option<u64>,
    /// Seconds until what is known to be left is done, at this rate.
    pub seconds_left: Option<u64>,
}

/// What was read of the disk to find out what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digested {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A transfer under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The path in the folder.
    pub path: String,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, if known.
    pub total: Option<u64>,
    /// It goes to the cloud.
    #[serde(default)]
    pub up: bool,
}

/// One line of `agent plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRow {
    /// The folder.
    pub folder: String,
    /// The path that the action leads to.
    pub path: String,
    /// For moves: where it is now.
    pub from: Option<String>,
    /// `download`, `replace`, `make folder`, `move`, `remove`, `list`, `look`.
    pub action: String,
    /// Bytes to transfer.
    pub bytes: Option<u64>,
    /// Why it is not being done right now, if so.
    pub waits_for: Option<String>,
}

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// Its number, for `approve` and `reject`.
    pub id: HoldId,
    /// The folder.
    pub folder: String,
    /// `mass_delete`, `root_emptied`, `account_changed`, `folder_moved`, ….
    pub reason: String,
    /// One sentence.
    pub text: String,
    /// Since when.
    pub since: Wall,
    /// How many items it covers, with all that are in a directory that waits as one.
    pub items: u64,
    /// How many lines its list has: each a file, or a directory with all that is in it.
    pub lines: u64,
    /// Some of their paths, at most 20; that of a directory ends in `/`.
    pub examples: Vec<String>,
    /// Directories among these, with the number of files in each of them.
    pub folders: Vec<HeldFolder>,
}

impl HoldRow {
    /// The number of files in a directory among the examples.
    pub fn files_in(&self, path: &str) -> Option<u64> {
        self.folders.iter().find(|folder| folder.path == path).map(|folder| folder.files)
    }
}

/// A directory that waits for a person with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFolder {
    /// Its path, which ends in `/`.
    pub path: String,
    /// How many files are in it.
    pub files: u64,
}

/// The reason of a conflict that has to be decided once more: what was to go is not what it was.
pub const CHANGED_AFTER_DECISION: &str = "changed_after_decision";

/// One conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRow {
    /// The folder.
    pub folder: String,
    /// The path that both sides wanted.
    pub path: String,
    /// The path of the conflict copy.
    pub copy: String,
    /// `edited_on_both_sides` or `name_taken`, and `changed_after_decision` if a person has to decide once more.
    pub reason: String,
    /// Since when.
    pub since: Wall,
    /// `local` or `remote` once a person decided, until a running agent has carried it out.
    #[serde(default)]
    pub decision: Option<String>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemRow {
    /// The folder.
    pub folder: String,
    /// The path.
    pub path: String,
    /// A stable word.
    pub code: String,
    /// One sentence: the cause.
    pub text: String,
    /// What to do, or what the agent will do.
    pub next_step: String,
    /// Since when, if that is known.
    pub since: Option<Wall>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it will be tried again.
    pub next_try: Option<Wall>,
}

/// `agent versions PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The path asked about.
    pub path: String,
    /// The folder that it lies in.
    pub folder: String,
    /// The folder's account.
    pub account: String,
    /// The folder's local directory.
    pub local: String,
    /// The item that is at the path, or was there last.
    pub item: Option<ItemId>,
    /// The disk has it.
    pub on_disk: bool,
    /// The cloud has it.
    pub in_cloud: bool,
    /// The stamp of the file on disk, if that is what the cloud has.
    pub stamp: Option<Stamp>,
    /// Why it is kept off the disk although the cloud has it, if it is.
    pub away: Option<String>,
    /// The versions: the present one first, then the newest.
    pub rows: Vec<VersionRow>,
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// What `agent restore --version` calls it.
    pub id: String,
    /// The item.
    pub item: ItemId,
    /// The provider's version; nothing for local edits.
    pub version: Option<VersionId>,
    /// `present`, `on disk`, `superseded`, `deleted`, `edited`, `former`, `older`.
    pub state: String,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// The provider's digest, if known.
    pub hash: Option<ContentHash>,
    /// When it was written, if known.
    pub modified: Option<Wall>,
    /// Since when it is not the present one.
    pub since: Option<Wall>,
    /// It is the one on disk.
    pub on_disk: bool,
    /// Its number in the version store, if it is there.
    pub kept: Option<JobId>,
    /// Its name in the directory that has this number, if that went there whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<Name>,
    /// The cloud says that it can be fetched (former versions only if the cloud was asked).
    pub in_cloud: bool,
}

impl VersionRow {
    /// Where it lies in the version store, if it is there.
    pub fn kept_at(&self) -> Option<KeptAt> {
        self.kept.map(|job| KeptAt { job, inside: self.kept_in.clone() })
    }
}

/// What `agent verify` found in one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The folder.
    pub folder: String,
    /// Files that were read.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Directories that were compared.
    pub folders: u64,
    /// How many items differ.
    pub differing: u64,
    /// What differs, as far as it is named.
    pub differences: Vec<Difference>,
    /// Entries that only the disk has.
    pub only_local: u64,
    /// Some of their paths.
    pub only_local_examples: Vec<String>,
    /// How long it took.
    pub took_ms: u64,
    /// It was interrupted, and went on where it was.
    #[serde(default)]
    pub resumed: bool,
}

impl Verification {
    /// The most examples of entries that only the disk has.
    pub const EXAMPLES_MOST: usize = 20;
}

/// One item that is not the same on disk, in the database and in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The path in the folder.
    pub path: String,
    /// What differs, in a few words.
    pub kind: String,
    /// What the disk has.
    pub disk: String,
    /// What the database says of the disk.
    pub database: String,
    /// What the cloud lists.
    pub cloud: String,
    /// The agent knows, and is working on it.
    pub pending: bool,
    /// The item.
    pub item: Option<ItemId>,
    /// How it can be mended.
    pub mending: Mending,
}

/// How a difference is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mending {
    /// The disk lost it.
    Missing,
    /// The disk has another content than was recorded.
    Differs,
    /// The whole folder is compared with the cloud.
    Compare,
}

/// A listing with its schema version, as every `--json` listing is wrapped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The rows.
    pub rows: Vec<T>,
}

impl<T> Listing<T> {
    /// Wraps rows.
    pub fn new(rows: Vec<T>) -> Self {
        Self { schema: SCHEMA_VERSION, rows }
    }
}

/// The most rows that one listing holds; who asks for more gets this many.
pub const MAX_ROWS: u32 = 10_000;

/// Why a report could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The thing asked about does not exist; one sentence that names what there is instead.
    #[error("{0}")]
    NotFound(String),
    /// The database could not be read; one sentence.
    #[error("{0}")]
    Failed(String),
}

/// Whoever can report on the agent's state: the running agent, or a reader of its database. The calls may read the disk
/// and therefore block.
pub trait Reports: Send + Sync {
    /// `agent status`, from what is recorded.
    fn status(&self) -> Result<Status, ReportError>;
    /// `agent status`, after a look at the disks: what was written there before is counted.
    fn fresh_status(&self) -> Result<Status, ReportError> {
        self.status()
    }
    /// Has what is not watched scanned, for whoever is about to ask whether everything is in sync.
    fn scan_unwatched(&self) {}
    /// `agent events`.
    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, ReportError>;
    /// People among the newest events of whom nothing but a number is known, and whom the provider may be asked about.
    fn nameless(&self) -> Result<Vec<Nameless>, ReportError> {
        Ok(Vec::new())
    }
    /// Asks the provider about one of them; the command that writes its answer down, if it gave one.
    fn ask_name(&self, _of: &Nameless) -> Option<Command> {
        None
    }
    /// `agent plan`, of one folder or all.
    fn plan(&self, folder: Option<&str>) -> Result<Vec<PlanRow>, ReportError>;
    /// `agent held`.
    fn held(&self) -> Result<Vec<HoldRow>, ReportError>;
    /// `agent conflicts`, of one folder or all.
    fn conflicts(&self, folder: Option<&str>) -> Result<Vec<ConflictRow>, ReportError>;
    /// `agent problems`, of one folder or all.
    fn problems(&self, folder: Option<&str>) -> Result<Vec<ProblemRow>, ReportError>;
    /// `agent why`, of an absolute local path.
    fn why(&self, path: &str) -> Result<Why, ReportError>;
    /// `agent metrics`.
    fn metrics(&self, format: MetricsFormat) -> Result<String, ReportError>;
    /// `agent versions`, of an absolute local path.
    fn versions(&self, path: &str) -> Result<Versions, ReportError>;
}
