//! Which installation a command means, and where that installation keeps its things.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The one name of package, unit, user, group and directories.
pub const NAME: &str = "folder-sync-agent";
/// Permissions of directories that hold secrets or unscanned content.
pub const PRIVATE_DIR_MODE: u32 = 0o700;

const SYSTEM_CONFIG_DIR: &str = "/etc/folder-sync-agent";
const SYSTEM_STATE_DIR: &str = "/var/lib/folder-sync-agent";
const SYSTEM_RUNTIME_DIR: &str = "/run/folder-sync-agent";
const SOCKET: &str = "control.sock";
const SYSTEM_FILE_MODE: u32 = 0o640;
const SYSTEM_DIR_MODE: u32 = 0o750;

/// The kinds of installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Installation {
    /// The system service, with a user of its own.
    System,
    /// One user's.
    User,
    /// Everything under one directory.
    Home,
}

impl Installation {
    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::System => "the system service",
            Self::User => "your user's installation",
            Self::Home => "the installation under --home",
        }
    }
}

/// What the command line says about the installation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// Nothing: find out.
    #[default]
    Unsaid,
    /// `--home DIR` or `AGENT_HOME`.
    Home(PathBuf),
    /// `--system`.
    System,
    /// `--user`.
    User,
}

/// What the process knows of its surroundings, as a value.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub variables: HashMap<String, PathBuf>,
    /// The effective user.
    pub uid: u32,
    /// The user id of the service user, if it exists.
    pub service_uid: Option<u32>,
    /// The permission bits that new files lose.
    pub umask: u32,
    /// The directory that relative paths start from.
    pub current_dir: PathBuf,
    /// The system service's control socket exists.
    pub system_socket_exists: bool,
    /// The user's own configuration exists.
    pub user_config_exists: bool,
}

impl Surroundings {
    /// Looks around.
    pub fn of_this_process() -> Self {
        let mut around = Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, PathBuf::from(value))))
                .collect(),
            uid: rustix::process::geteuid().as_raw(),
            service_uid: service_uid(),
            umask: umask().unwrap_or(0o022),
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            system_socket_exists: Path::new(SYSTEM_RUNTIME_DIR).join(SOCKET).exists(),
            user_config_exists: false,
        };
        around.user_config_exists = user_config_file(&around).is_some_and(|file| file.exists());
        around
    }

    fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).filter(|path| path.is_absolute()).cloned()
    }

    /// A directory that systemd made for this very service. The variables are inherited by whatever another service
    /// starts, so a directory of another name is not for us.
    fn made_by_systemd(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(name)?.to_str()?;
        value.split(':').map(PathBuf::from).find(|path| path.is_absolute() && path.ends_with(NAME))
    }
}

/// Why the places could not be told.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// Neither `HOME` nor the XDG variables are set.
    #[error("cannot tell where your files are: neither HOME nor the XDG variables are set")]
    NoHome,
}

/// Where an installation keeps its things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Which kind of installation it is.
    pub installation: Installation,
    /// The configuration file.
    pub config_file: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// Default permissions of published files.
    pub file_mode: u32,
    /// Default permissions of published directories.
    pub dir_mode: u32,
}

impl Places {
    /// Finds the installation that a command means (design §12.5).
    pub fn find(choice: &Choice, around: &Surroundings) -> Result<Self, PlacesError> {
        match choice {
            Choice::Home(dir) => Ok(Self::home(dir, around)),
            Choice::System => Ok(Self::system(around)),
            Choice::User => Self::user(around),
            Choice::Unsaid => {
                let is_service = around.uid == 0 || around.service_uid == Some(around.uid);
                if is_service || (!around.user_config_exists && around.system_socket_exists) {
                    Ok(Self::system(around))
                } else {
                    Self::user(around)
                }
            }
        }
    }

    /// Everything under one directory.
    pub fn home(dir: &Path, around: &Surroundings) -> Self {
        let dir: PathBuf = around.current_dir.join(dir).components().collect();
        Self {
            installation: Installation::Home,
            config_file: dir.join("config.toml"),
            socket: dir.join(SOCKET),
            state_dir: dir,
            file_mode: 0o666 & !around.umask,
            dir_mode: 0o777 & !around.umask,
        }
    }

    fn system(around: &Surroundings) -> Self {
        let place = |variable, fallback: &str| around.made_by_systemd(variable).unwrap_or_else(|| fallback.into());
        Self {
            installation: Installation::System,
            config_file: place("CONFIGURATION_DIRECTORY", SYSTEM_CONFIG_DIR).join("config.toml"),
            state_dir: place("STATE_DIRECTORY", SYSTEM_STATE_DIR),
            socket: place("RUNTIME_DIRECTORY", SYSTEM_RUNTIME_DIR).join(SOCKET),
            file_mode: SYSTEM_FILE_MODE,
            dir_mode: SYSTEM_DIR_MODE,
        }
    }

    fn user(around: &Surroundings) -> Result<Self, PlacesError> {
        let home = around.absolute("HOME");
        let state_dir = around
            .absolute("XDG_STATE_HOME")
            .or_else(|| Some(home.as_ref()?.join(".local/state")))
            .ok_or(PlacesError::NoHome)?
            .join(NAME);
        // Without a session there is no runtime directory; the state directory is as private and survives.
        let socket_dir =
            around.absolute("XDG_RUNTIME_DIR").map_or_else(|| state_dir.clone(), |runtime| runtime.join(NAME));
        Ok(Self {
            installation: Installation::User,
            config_file: user_config_file(around).ok_or(PlacesError::NoHome)?,
            socket: socket_dir.join(SOCKET),
            state_dir,
            file_mode: 0o666 & !around.umask,
            dir_mode: 0o777 & !around.umask,
        })
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.state_dir.join("state.db")
    }

    /// The file in which verifications keep their place.
    pub fn verifications(&self) -> PathBuf {
        self.state_dir.join("verify.db")
    }

    /// The directory of tokens.
    pub fn credentials_dir(&self) -> PathBuf {
        self.state_dir.join("credentials")
    }

    /// The directory of rejected content.
    pub fn quarantine_dir(&self) -> PathBuf {
        self.state_dir.join("quarantine")
    }

    /// The directory of the configuration file.
    pub fn config_dir(&self) -> &Path {
        self.config_file.parent().unwrap_or(Path::new("/"))
    }

    /// Whether this is the system service's installation.
    pub fn is_system(&self) -> bool {
        self.installation == Installation::System
    }

    /// The options that make another command mean this installation.
    pub fn options(&self) -> Vec<String> {
        match self.installation {
            Installation::System => vec!["--system".to_owned()],
            Installation::User => vec!["--user".to_owned()],
            Installation::Home => vec!["--home".to_owned(), self.state_dir.display().to_string()],
        }
    }

    /// Makes the state directory and its private parts. What is there already keeps its permissions, unless nothing is in it yet.
    pub fn make_state_dirs(&self) -> io::Result<()> {
        if self.state_dir.is_dir() {
            self.close_empty_state_dir()?;
        } else {
            if let Some(parent) = self.state_dir.parent() {
                fs::create_dir_all(parent)?;
            }
            make_dir(&self.state_dir, PRIVATE_DIR_MODE)?;
            self.give_to_service_user(&self.state_dir)?;
        }
        for dir in [self.credentials_dir(), self.quarantine_dir()] {
            if make_dir(&dir, PRIVATE_DIR_MODE)? {
                self.adopt(&dir)?;
            }
        }
        Ok(())
    }

    /// A directory that somebody made for the agent, with nothing but the configuration in it, becomes private.
    fn close_empty_state_dir(&self) -> io::Result<()> {
        let metadata = fs::metadata(&self.state_dir)?;
        if metadata.mode().trailing_zeros() >= 6 || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        for entry in fs::read_dir(&self.state_dir)? {
            if entry?.path() != self.config_file {
                return Ok(());
            }
        }
        fs::set_permissions(&self.state_dir, fs::Permissions::from_mode(PRIVATE_DIR_MODE))
    }

    /// Gives what root wrote to the owner of the state directory; for other users there is nothing to do.
    pub fn adopt(&self, path: &Path) -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let owner = fs::metadata(&self.state_dir)?;
        chown(path, Some(owner.uid()), Some(owner.gid()))
    }

    fn give_to_service_user(&self, path: &Path) -> io::Result<()> {
        match service_uid_and_gid() {
            Some((uid, gid)) if self.installation == Installation::System => chown(path, Some(uid), Some(gid)),
            _ => Ok(()),
        }
    }
}

/// Makes one directory; false if it is there already.
fn make_dir(dir: &Path, mode: u32) -> io::Result<bool> {
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn user_config_file(around: &Surroundings) -> Option<PathBuf> {
    let base =
        around.absolute("XDG_CONFIG_HOME").or_else(|| around.absolute("HOME").map(|home| home.join(".config")))?;
    Some(base.join(NAME).join("config.toml"))
}

fn service_uid() -> Option<u32> {
    service_uid_and_gid().map(|(uid, _)| uid)
}

/// User and group of the service user. The user is a static one of this machine, so its password file is where it is.
fn service_uid_and_gid() -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(NAME))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The permission bits that new files lose. Asking the system call would change them for a moment.
fn umask() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone() -> Surroundings {
        Surroundings {
            variables: [("HOME", "/home/ann"), ("XDG_RUNTIME_DIR", "/run/user/1000")]
                .map(|(name, path)| (name.to_owned(), PathBuf::from(path)))
                .into(),
            uid: 1000,
            service_uid: Some(990),
            umask: 0o027,
            current_dir: "/here".into(),
            ..Surroundings::default()
        }
    }

    fn find(choice: &Choice, around: &Surroundings) -> Places {
        Places::find(choice, around).unwrap()
    }

    #[test]
    fn home_holds_everything_and_may_be_relative() {
        let places = find(&Choice::Home("./agent".into()), &someone());
        assert_eq!(places.config_file, Path::new("/here/agent/config.toml"));
        assert_eq!(places.socket, Path::new("/here/agent/control.sock"));
        assert_eq!(places.credentials_dir(), Path::new("/here/agent/credentials"));
        assert_eq!((places.file_mode, places.dir_mode), (0o640, 0o750));
    }

    #[test]
    fn a_user_gets_the_xdg_places() {
        let mut around = someone();
        let places = find(&Choice::Unsaid, &around);
        assert_eq!(places.installation, Installation::User);
        assert_eq!(places.config_file, Path::new("/home/ann/.config/folder-sync-agent/config.toml"));
        assert_eq!(places.state_dir, Path::new("/home/ann/.local/state/folder-sync-agent"));
        assert_eq!(places.socket, Path::new("/run/user/1000/folder-sync-agent/control.sock"));
        around.variables.insert("XDG_STATE_HOME".into(), "/data/ann".into());
        around.variables.remove("XDG_RUNTIME_DIR");
        let places = find(&Choice::User, &around);
        assert_eq!(places.socket, Path::new("/data/ann/folder-sync-agent/control.sock"));
    }

    #[test]
    fn root_and_the_service_user_mean_the_system_service() {
        for uid in [0, 990] {
            let around = Surroundings { uid, ..someone() };
            assert_eq!(find(&Choice::Unsaid, &around).installation, Installation::System);
        }
        assert_eq!(find(&Choice::System, &someone()).config_file, Path::new("/etc/folder-sync-agent/config.toml"));
    }

    #[test]
    fn a_user_without_a_configuration_sees_the_system_service() {
        let mut around = Surroundings { system_socket_exists: true, ..someone() };
        assert_eq!(find(&Choice::Unsaid, &around).installation, Installation::System);
        around.user_config_exists = true;
        assert_eq!(find(&Choice::Unsaid, &around).installation, Installation::User);
    }

    #[test]
    fn directories_of_another_service_are_not_ours() {
        let mut around = Surroundings { uid: 990, ..someone() };
        around.variables.insert("STATE_DIRECTORY".into(), "/var/lib/backup".into());
        assert_eq!(find(&Choice::Unsaid, &around).state_dir, Path::new("/var/lib/folder-sync-agent"));
        around.variables.insert("STATE_DIRECTORY".into(), "/data/folder-sync-agent:/x".into());
        assert_eq!(find(&Choice::Unsaid, &around).state_dir, Path::new("/data/folder-sync-agent"));
    }

    #[test]
    fn without_any_home_nothing_is_guessed() {
        let around = Surroundings { variables: HashMap::new(), ..someone() };
        assert!(Places::find(&Choice::Unsaid, &around).is_err());
    }
}
