//! What the user wants, from `config.toml`: either every setting checked, or every complaint.

use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::events::subscription::SubscriptionSettings;
use crate::hook::HookSettings;
use crate::settings::{AccountSettings, FolderSettings};
use crate::telemetry::LogFormat;

mod check;
pub mod edit;
pub mod ignore_file;
pub mod password;
pub mod places;
mod raw;
pub mod reference;
mod value;

pub use password::PasswordHash;
pub use places::{Choice, Installation, Places, Surroundings};
pub use raw::{Complaint, Wrong, did_you_mean};
pub use value::{
    duration as parse_duration, is_loopback, name as parse_name, pattern as check_pattern, remote as parse_remote,
};

/// The largest configuration file that is read.
const CONFIG_MAX_BYTES: u64 = 1 << 20;

/// The checked configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The sign-ins.
    pub accounts: Vec<AccountSettings>,
    /// The watched pairs.
    pub folders: Vec<FolderSettings>,
    /// The hooks, in the order in which they are called.
    pub hooks: Vec<HookSettings>,
    /// The subscriptions.
    pub subscriptions: Vec<SubscriptionSettings>,
    /// The names of hooks that are switched off.
    pub hooks_off: Vec<String>,
    /// The page in the browser; nothing means that it is not served.
    pub web: Option<WebSettings>,
    /// What to log, as a filter such as `info` or `warn,folder_sync_agent::engine=debug`.
    pub log: Option<String>,
    /// What a line of the log looks like.
    pub log_format: LogFormat,
}

/// Where the page in the browser is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSettings {
    /// The address.
    pub listen: SocketAddr,
    /// Certificate chain and private key, as PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// What a password must hash to, for those who come without a link.
    pub password_hash: Option<PasswordHash>,
    /// Names by which browsers may address it, besides those of this machine's loopback.
    pub names: Vec<String>,
}

impl Config {
    /// The account of a name.
    pub fn account(&self, name: &str) -> Option<&AccountSettings> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The folder of a name.
    pub fn folder(&self, name: &str) -> Option<&FolderSettings> {
        self.folders.iter().find(|folder| folder.name == name)
    }

    /// The hook of a name.
    pub fn hook(&self, name: &str) -> Option<&HookSettings> {
        self.hooks.iter().find(|hook| hook.name == name)
    }

    /// The subscription of a name.
    pub fn subscription(&self, name: &str) -> Option<&SubscriptionSettings> {
        self.subscriptions.iter().find(|subscription| subscription.name == name)
    }

    /// The folder whose local directory holds a path.
    pub fn folder_of(&self, path: &Path) -> Option<&FolderSettings> {
        self.folders.iter().find(|folder| path.starts_with(&folder.local))
    }

    /// The hooks that are called.
    pub fn hooks_on(&self) -> Vec<HookSettings> {
        self.hooks.iter().filter(|hook| !self.hooks_off.contains(&hook.name)).cloned().collect()
    }

    /// Checks a text; a wrong one gives all its complaints, in the order of the file.
    pub fn check(text: &str, places: &Places) -> Result<Self, Vec<Complaint>> {
        check::check(text, places)
    }

    /// Reads and checks the installation's file. A file that is not there is an empty configuration.
    pub fn load(places: &Places) -> Result<Self, ConfigError> {
        let text = read(places)?;
        let mut config = Self::check(&text, places)
            .map_err(|complaints| ConfigError::Wrong { path: places.config_file.clone(), complaints })?;
        config.read_ignore_files();
        config.read_clock();
        Ok(config)
    }

    /// Tells times of the day by this machine's clock.
    fn read_clock(&mut self) {
        let ahead = minutes_ahead();
        for quiet in self.accounts.iter_mut().filter_map(|account| account.quiet.as_mut()) {
            quiet.ahead = ahead;
        }
    }

    /// Adds what the folders' own `.agentignore` says. What cannot be understood of it keeps nothing from working.
    pub fn read_ignore_files(&mut self) {
        for folder in &mut self.folders {
            let (patterns, complaints) = ignore_file::read(&folder.local);
            for complaint in complaints {
                tracing::warn!(folder = folder.name, "{complaint}");
            }
            folder.ignore.from_tree = patterns;
        }
    }
}

/// What this machine's clock is ahead of UTC now, in minutes.
pub fn minutes_ahead() -> i32 {
    jiff::Zoned::now().offset().seconds() / 60
}

/// Why there is no configuration to go by.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody else could have written it.
    #[error("{} {why}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is unsafe about it.
        why: String,
        /// The command that mends it.
        hint: String,
    },
    /// It says something that cannot be.
    #[error("{} has {}", path.display(), count(complaints.len()))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// All that is wrong.
        complaints: Vec<Complaint>,
    },
}

fn count(complaints: usize) -> String {
    if complaints == 1 { "a mistake".to_owned() } else { format!("{complaints} mistakes") }
}

/// The text of the configuration file, empty if there is none; refused if others could have written it.
fn read(places: &Places) -> Result<String, ConfigError> {
    let path = &places.config_file;
    let unreadable = |source| ConfigError::Unreadable { path: path.clone(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
    }
    if metadata.len() > CONFIG_MAX_BYTES {
        let reason = format!("it is larger than {CONFIG_MAX_BYTES} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, reason)));
    }
    if let Some((why, hint)) = unsafe_because(&metadata, places) {
        return Err(ConfigError::Unsafe { path: path.clone(), why, hint });
    }
    let mut text = String::new();
    file.take(CONFIG_MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Why a file with this metadata is not to be trusted, and the command that mends it.
fn unsafe_because(metadata: &fs::Metadata, places: &Places) -> Option<(String, String)> {
    let path = places.config_file.display();
    let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
    // A group of one's own, numbered like the user, is how many systems make files group-writable by default.
    let own_group = gid == uid;
    if mode & 0o002 != 0 || (mode & 0o020 != 0 && !own_group) {
        return Some(("can be written by others".to_owned(), format!("take that right away: chmod go-w {path}")));
    }
    let me = rustix::process::geteuid().as_raw();
    let state_owner = fs::metadata(&places.state_dir).ok().map(|state| state.uid());
    if uid != 0 && uid != me && Some(uid) != state_owner {
        return Some((format!("belongs to another user (uid {uid})"), format!("make it yours: chown {me} {path}")));
    }
    None
}
