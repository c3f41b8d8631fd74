//! The wishes of the configuration file after checking, as plain values that the engine can hold.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod clock;

pub use clock::{Minute, Quiet, Rates};

/// A place in the cloud as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RemotePlace {
    /// A path from the top of the account, `/`-separated.
    Path(String),
    /// A folder id, written `id:123456`.
    Id(String),
}

impl fmt::Display for RemotePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Id(id) => write!(f, "id:{id}"),
        }
    }
}

/// Which cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// Box.
    Box,
    /// Egnyte.
    Egnyte,
}

impl ProviderName {
    /// The word of the configuration file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Box => "box",
            Self::Egnyte => "egnyte",
        }
    }

    /// The name that people know it by.
    pub fn title(self) -> &'static str {
        match self {
            Self::Box => "Box",
            Self::Egnyte => "Egnyte",
        }
    }
}

/// Which of Box's event streams to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxStream {
    /// Everything that happens, also reads.
    All,
    /// What may change the tree.
    #[default]
    Changes,
    /// As `changes`, for folders marked as synced.
    Sync,
    /// The whole enterprise, chronological and late.
    AdminLogs,
    /// The whole enterprise, nearly live.
    AdminLogsStreaming,
}

impl BoxStream {
    /// The word of the configuration file and of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Changes => "changes",
            Self::Sync => "sync",
            Self::AdminLogs => "admin_logs",
            Self::AdminLogsStreaming => "admin_logs_streaming",
        }
    }
}

/// Which events the provider is asked to leave out (Egnyte's `suppress`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suppress {
    /// None; our own events are recognised by identity.
    #[default]
    None,
    /// Everything that this app did, also on other machines.
    App,
    /// Everything that this app did as this user, also on other machines.
    User,
}

/// One sign-in at one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSettings {
    /// Its name in the configuration.
    pub name: String,
    /// The cloud.
    pub provider: ProviderName,
    /// One origin for all calls, in place of the provider's own hosts.
    pub api_url: Option<url::Url>,
    /// Egnyte's domain, such as `acme.egnyte.com`.
    pub domain: Option<String>,
    /// Box's stream.
    pub stream: BoxStream,
    /// Egnyte's own-event suppression.
    pub suppress: Suppress,
    /// The shortest interval between polls; nothing means the provider's own floor.
    pub poll_min: Option<Duration>,
    /// The longest interval between polls.
    pub poll_max: Option<Duration>,
    /// The day's budget of API calls.
    pub calls_per_day: Option<u32>,
    /// Pacing; nothing means no pacing.
    pub calls_per_minute: Option<u32>,
    /// How many transfers at once.
    pub transfers: u32,
    /// Bytes per second for downloads.
    pub bandwidth_down: Option<Rates>,
    /// Bytes per second for uploads.
    pub bandwidth_up: Option<Rates>,
    /// When comparisons and scans of everything wait.
    pub quiet: Option<Quiet>,
    /// A file of CA certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy for all calls; nothing means the environment's.
    pub proxy: Option<url::Url>,
}

impl AccountSettings {
    /// Whether nothing differs but limits, which are no reason to begin anything anew.
    pub fn differs_in_limits_only(&self, other: &Self) -> bool {
        let limited = Self {
            bandwidth_down: other.bandwidth_down.clone(),
            bandwidth_up: other.bandwidth_up.clone(),
            quiet: other.quiet.clone(),
            ..self.clone()
        };
        limited == *other
    }
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The cloud.
    #[default]
    Mirror,
    /// Both.
    TwoWay,
    /// The disk.
    Upload,
}

impl Mode {
    /// The word of the configuration file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::TwoWay => "two-way",
            Self::Upload => "upload",
        }
    }
}

/// What a mirror does with an edited file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// The cloud's version comes back; the edit goes to the version store.
    #[default]
    Restore,
    /// The edit stays and is listed.
    Keep,
}

/// What a mirror does with a file that was deleted locally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLocalDelete {
    /// It comes back.
    #[default]
    Restore,
    /// It stays away until a new version arrives.
    Accept,
}

/// From when the time of a local copy is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepFrom {
    /// From its arrival on this disk.
    #[default]
    Arrival,
    /// From the last change of its content in the cloud.
    Change,
}

impl KeepFrom {
    /// What is said behind the time.
    pub fn after(self) -> &'static str {
        match self {
            Self::Arrival => "after they arrived",
            Self::Change => "after they were last changed",
        }
    }
}

/// How many deletions of the last 24 hours are believed without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaxDelete {
    /// The brake is off.
    Off,
    /// Hold above `max(25 files, this share of the folder)`, or above 1,000 files.
    Percent(u8),
    /// Hold above this many files.
    Files(u64),
}

impl Default for MaxDelete {
    fn default() -> Self {
        Self::Percent(25)
    }
}

/// A watched pair: a remote folder and a local directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSettings {
    /// Its name in the configuration.
    pub name: String,
    /// The account's name.
    pub account: String,
    /// The remote folder as written.
    pub remote: RemotePlace,
    /// The provider's id of the user whose folder it is, for an account that may act for others.
    pub as_user: Option<String>,
    /// The local directory, absolute.
    pub local: PathBuf,
    /// Who decides.
    pub mode: Mode,
    /// Only what matches one of these gitignore patterns (empty: everything).
    pub include: Vec<String>,
    /// Nothing that matches one of these.
    pub exclude: Vec<String>,
    /// What is left out besides.
    pub ignore: Ignore,
    /// Remove local copies after this time.
    pub keep_for: Option<Duration>,
    /// From when that is counted.
    pub keep_from: KeepFrom,
    /// Superseded local versions kept for each file.
    pub keep_versions: u32,
    /// Most bytes that the version store may hold; nothing means the smaller of 10 GiB and 20 % of the disk.
    pub versions_max: Option<u64>,
    /// What becomes of edited files.
    pub on_drift: OnDrift,
    /// What becomes of locally deleted files.
    pub on_local_delete: OnLocalDelete,
    /// Permissions of published files; nothing means the default of the installation.
    pub file_mode: u32,
    /// Permissions of directories.
    pub dir_mode: u32,
    /// Bytes that stay free on the disk.
    pub min_free: u64,
    /// The brake.
    pub max_delete: MaxDelete,
}

/// What a folder leaves out besides its `exclude`: gitignore patterns, of which a later one counts before an earlier one, and those of
/// `exclude` before all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    /// [`DEFAULT_IGNORE`], in folders that send.
    pub defaults: bool,
    /// The lines of `.agentignore` at the top of the directory.
    pub from_tree: Vec<String>,
}

impl Default for Ignore {
    fn default() -> Self {
        Self { defaults: true, from_tree: Vec::new() }
    }
}

/// What desktops and editors leave lying about, and nobody wants in the cloud. In a mirror the cloud decides: there it is no concern.
pub const DEFAULT_IGNORE: [&str; 22] = [
    // Desktops.
    ".DS_Store",
    "._*",
    ".Spotlight-V100/",
    ".Trashes/",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN/",
    "System Volume Information/",
    ".Trash-*/",
    ".directory",
    // Locks of open documents.
    "~$*",
    ".~lock.*#",
    // Swap files of editors.
    ".*.sw[a-p]",
    ".*.un~",
    "\\#*#",
    ".#*",
    ".*.kate-swp",
    // Files that a program still writes, or that are gone and still open.
    ".goutputstream-*",
    "*.crdownload",
    ".nfs*",
    ".fuse_hidden*",
];
