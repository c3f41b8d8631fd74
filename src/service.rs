//! The agent as a service of systemd: what to write and which commands to run, told first and done second.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::places::{Installation, NAME, Places};

const SYSTEM_UNIT: &str = include_str!("../service/systemd/folder-sync-agent.service");
const USER_UNIT: &str = include_str!("../service/systemd/folder-sync-agent-user.service");
const SYSUSERS: &str = include_str!("../service/systemd/folder-sync-agent.sysusers");

/// The unit's name, for the service manager.
pub const UNIT: &str = "folder-sync-agent.service";
/// Where the administrator's units are.
const SYSTEM_UNIT_DIR: &str = "/etc/systemd/system";
/// Where packages put theirs.
const PACKAGED_UNIT_DIRS: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
const SYSUSERS_FILE: &str = "/etc/sysusers.d/folder-sync-agent.conf";
/// Where a program goes that the service could not reach where it is.
const INSTALLED_PROGRAM: &str = "/usr/local/bin/agent";
/// Directories whose programs the service can reach.
const PROGRAM_DIRS: [&str; 2] = ["/usr", "/opt"];
/// Directories that the shipped unit lets the service write to.
const SHIPPED_DIRS: [&str; 3] = ["/srv", "/mnt", "/media"];
/// Directories that the shipped unit hides from the service.
const HIDDEN_DIRS: [&str; 3] = ["/home", "/root", "/run/user"];
const FILE_MODE: u32 = 0o644;
const PROGRAM_MODE: u32 = 0o755;
const DROP_IN_HEADER: &str =
    "# Written by `agent add-folder`: directories outside /srv, /mnt and /media that the service may write to.\n";

/// One step of installing or removing the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a file.
    Write {
        /// The file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// Copy the program to where the service can reach it.
    CopyProgram {
        /// The running program.
        from: PathBuf,
        /// Its new place.
        to: PathBuf,
    },
    /// Remove a file, if it is there.
    Remove(PathBuf),
    /// Run a command; one that may fail is only a wish.
    Run {
        /// Program and arguments.
        command: Vec<String>,
        /// Whether the rest goes on without it.
        may_fail: bool,
    },
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A file could not be written, copied or removed.
    #[error("cannot change {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A command could not be started.
    #[error("cannot run `{command}`")]
    Start {
        /// The command.
        command: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, text } => {
                writeln!(f, "write {}:", path.display())?;
                text.lines().try_for_each(|line| writeln!(f, "    {line}"))
            }
            Self::CopyProgram { from, to } => writeln!(f, "copy {} to {}", from.display(), to.display()),
            Self::Remove(path) => writeln!(f, "remove {}", path.display()),
            Self::Run { command, .. } => writeln!(f, "run {}", command.join(" ")),
        }
    }
}

impl Step {
    fn run(command: &[&str]) -> Self {
        Self::Run { command: command.iter().map(ToString::to_string).collect(), may_fail: false }
    }

    fn try_run(command: &[&str]) -> Self {
        Self::Run { command: command.iter().map(ToString::to_string).collect(), may_fail: true }
    }

    /// Does it.
    pub fn take(&self) -> Result<(), StepError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StepError::File { path, source }
        };
        match self {
            Self::Write { path, text } => {
                write_file(path, FILE_MODE, |file| file.write_all(text.as_bytes())).map_err(failed(path))
            }
            Self::CopyProgram { from, to } => {
                let copy = |file: &mut fs::File| io::copy(&mut fs::File::open(from)?, file).map(|_| ());
                write_file(to, PROGRAM_MODE, copy).map_err(failed(to))
            }
            Self::Remove(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
                _ => Ok(()),
            },
            Self::Run { command, may_fail } => match run(command) {
                Err(_) if *may_fail => Ok(()),
                done => done,
            },
        }
    }
}

/// Replaces a file as a whole.
fn write_file(path: &Path, mode: u32, fill: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    fill(new.as_file_mut())?;
    new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn run(command: &[String]) -> Result<(), StepError> {
    let shown = command.join(" ");
    let [program, arguments @ ..] = command else { return Ok(()) };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|source| StepError::Start { command: shown.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(StepError::Command { command: shown, said })
}

/// Whether this machine is run by systemd.
pub fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The package's unit file, if the package is installed.
pub fn packaged_unit() -> Option<PathBuf> {
    PACKAGED_UNIT_DIRS.iter().map(|dir| Path::new(dir).join(UNIT)).find(|path| path.exists())
}

/// Where an installation's unit file is, or would be put by us.
pub fn unit_file(places: &Places) -> PathBuf {
    match places.installation {
        Installation::System => {
            let ours = Path::new(SYSTEM_UNIT_DIR).join(UNIT);
            if ours.exists() { ours } else { packaged_unit().unwrap_or(ours) }
        }
        Installation::User | Installation::Home => user_unit_dir().join(UNIT),
    }
}

fn user_unit_dir() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    base.unwrap_or_else(|| PathBuf::from("/etc")).join("systemd/user")
}

/// The text of a unit whose program is `program` and which means the installation of `places`.
pub fn unit(places: &Places, program: &Path) -> String {
    let shipped = match places.installation {
        Installation::System => SYSTEM_UNIT,
        Installation::User | Installation::Home => USER_UNIT,
    };
    let mut command = vec![quoted(program)];
    command.extend(places.options().iter().map(|option| quoted(Path::new(option))));
    command.push("run".to_owned());
    let mut text = String::new();
    for line in shipped.lines() {
        if line.starts_with("ExecStart=") {
            let _ = writeln!(text, "ExecStart={}", command.join(" "));
        } else if let Some(others) = line.strip_prefix("ExecPaths=/usr/bin/agent") {
            let _ = writeln!(text, "ExecPaths={}{others}", quoted(program));
        } else {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// A path as unit files quote it: `%` begins a specifier, `$` a variable.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if text.contains([' ', '\t', '\\', '"', '\'', ';']) { format!("\"{text}\"") } else { text }
}

/// What installing the service takes.
pub fn install(places: &Places, program: &Path) -> Vec<Step> {
    match places.installation {
        Installation::System => install_system(places, program),
        Installation::User | Installation::Home => vec![
            Step::Write { path: user_unit_dir().join(UNIT), text: unit(places, program) },
            Step::run(&["systemctl", "--user", "daemon-reload"]),
            Step::run(&["systemctl", "--user", "enable", UNIT]),
            Step::run(&["systemctl", "--user", "restart", UNIT]),
        ],
    }
}

fn install_system(places: &Places, program: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    let packaged = packaged_unit().is_some() && program == Path::new("/usr/bin/agent");
    if !packaged {
        let reachable = PROGRAM_DIRS.iter().any(|dir| program.starts_with(dir));
        let service_program = if reachable { program.to_owned() } else { PathBuf::from(INSTALLED_PROGRAM) };
        if !reachable {
            steps.push(Step::CopyProgram { from: program.to_owned(), to: service_program.clone() });
        }
        steps.push(Step::Write { path: SYSUSERS_FILE.into(), text: SYSUSERS.to_owned() });
        steps.push(Step::run(&["systemd-sysusers", SYSUSERS_FILE]));
        let path = Path::new(SYSTEM_UNIT_DIR).join(UNIT);
        steps.push(Step::Write { path, text: unit(places, &service_program) });
        steps.push(Step::run(&["systemctl", "daemon-reload"]));
    }
    steps.push(Step::run(&["systemctl", "enable", UNIT]));
    steps.push(Step::run(&["systemctl", "restart", UNIT]));
    steps
}

/// What removing the service takes. Configuration, state, user and synced folders stay.
pub fn uninstall(places: &Places) -> Vec<Step> {
    match places.installation {
        Installation::System => vec![
            Step::try_run(&["systemctl", "disable", "--now", UNIT]),
            Step::Remove(Path::new(SYSTEM_UNIT_DIR).join(UNIT)),
            Step::Remove(drop_in_file()),
            Step::Remove(SYSUSERS_FILE.into()),
            Step::try_run(&["systemctl", "daemon-reload"]),
        ],
        Installation::User | Installation::Home => vec![
            Step::try_run(&["systemctl", "--user", "disable", "--now", UNIT]),
            Step::Remove(user_unit_dir().join(UNIT)),
            Step::try_run(&["systemctl", "--user", "daemon-reload"]),
        ],
    }
}

/// The arguments that make `systemctl` or `journalctl` mean an installation.
pub fn manager_options(places: &Places) -> Vec<OsString> {
    match places.installation {
        Installation::System => Vec::new(),
        Installation::User | Installation::Home => vec!["--user".into()],
    }
}

fn drop_in_file() -> PathBuf {
    Path::new(SYSTEM_UNIT_DIR).join(format!("{UNIT}.d/folders.conf"))
}

/// What lets the system service write to directories that the shipped unit keeps from it (design §12.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// The file.
    pub path: PathBuf,
    /// What it is to say.
    pub text: String,
}

impl DropIn {
    /// The drop-in that a directory needs; nothing if the installation is not the installed system service, or the
    /// directory is open to it already.
    pub fn needed_for(places: &Places, local: &Path) -> Option<Self> {
        let installed = Path::new(SYSTEM_UNIT_DIR).join(UNIT).exists() || packaged_unit().is_some();
        if places.installation != Installation::System || !installed {
            return None;
        }
        let path = drop_in_file();
        let before = fs::read_to_string(&path).unwrap_or_default();
        Self::extended(&before, local).map(|text| Self { path, text })
    }

    /// The text with one more directory; nothing if it is open already.
    fn extended(before: &str, local: &Path) -> Option<String> {
        if SHIPPED_DIRS.iter().any(|dir| local.starts_with(dir)) {
            return None;
        }
        let mut text = if before.is_empty() { format!("{DROP_IN_HEADER}[Service]\n") } else { before.to_owned() };
        let hidden = HIDDEN_DIRS.iter().any(|dir| local.starts_with(dir));
        // A directory that is missing must not keep the service from starting: hence the dash.
        let line = if hidden {
            format!("BindPaths={}", quoted(Path::new(&format!("-{}", local.display()).replace(':', "\\:"))))
        } else {
            format!("ReadWritePaths={}", quoted(Path::new(&format!("-{}", local.display()))))
        };
        if text.lines().any(|known| known == line) {
            return None;
        }
        if hidden && !text.contains("ProtectHome=tmpfs") {
            text.push_str("ProtectHome=tmpfs\n");
        }
        text.push_str(&line);
        text.push('\n');
        Some(text)
    }

    fn steps(&self) -> [Step; 3] {
        [
            Step::Write { path: self.path.clone(), text: self.text.clone() },
            Step::run(&["systemctl", "daemon-reload"]),
            Step::run(&["systemctl", "try-restart", UNIT]),
        ]
    }

    /// Writes it and has the service begin anew.
    pub fn install(&self) -> Result<(), StepError> {
        self.steps().iter().try_for_each(Step::take)
    }

    /// The same for a person with the right to do it.
    pub fn commands(&self) -> String {
        let mut text = String::new();
        if let Some(dir) = self.path.parent() {
            let _ = writeln!(text, "mkdir -p {}", dir.display());
        }
        let _ = writeln!(text, "cat > {} <<'END'\n{}END", self.path.display(), self.text);
        let _ = write!(text, "systemctl daemon-reload\nsystemctl try-restart {UNIT}");
        text
    }
}

/// Whether a user's services go on after the last session ends; nothing if that cannot be told.
pub fn lingers(user: &str) -> bool {
    Path::new("/var/lib/systemd/linger").join(user).exists()
}

/// The name of the sync agent's system user, for messages.
pub fn user() -> &'static str {
    NAME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::places::{Choice, Surroundings};

    fn places(choice: &Choice) -> Places {
        let around = Surroundings { variables: [("HOME".to_owned(), "/home/ann".into())].into(), ..Default::default() };
        Places::find(choice, &around).unwrap()
    }

    #[test]
    fn the_unit_starts_this_program_for_this_installation() {
        let text = unit(&places(&Choice::System), Path::new("/opt/agent/bin/agent"));
        assert!(text.contains("\nExecStart=/opt/agent/bin/agent --system run\n"), "{text}");
        assert!(text.contains("\nExecPaths=/opt/agent/bin/agent -/usr/bin "), "{text}");
        let text = unit(&places(&Choice::Home("/home/ann/my 100% $agent".into())), Path::new("/usr/bin/agent"));
        assert!(text.contains("\nExecStart=/usr/bin/agent --home \"/home/ann/my 100%% $$agent\" run\n"), "{text}");
    }

    #[test]
    fn a_program_out_of_the_services_reach_is_copied() {
        let steps = install(&places(&Choice::System), Path::new("/home/ann/target/release/agent"));
        assert!(matches!(&steps[0], Step::CopyProgram { to, .. } if to == Path::new("/usr/local/bin/agent")));
        assert!(steps.iter().any(|step| step.to_string().contains("ExecStart=/usr/local/bin/agent")));
        let steps = install(&places(&Choice::System), Path::new("/usr/local/bin/agent"));
        assert!(!steps.iter().any(|step| matches!(step, Step::CopyProgram { .. })));
    }

    #[test]
    fn uninstalling_keeps_everything_of_value() {
        let text: String = uninstall(&places(&Choice::System)).iter().map(ToString::to_string).collect();
        for kept in ["/var/lib", "/etc/folder-sync-agent/", "userdel", "/srv"] {
            assert!(!text.contains(kept), "{text}");
        }
    }

    #[test]
    fn drop_ins_collect_directories() {
        assert_eq!(DropIn::extended("", Path::new("/srv/inbox")), None);
        let first = DropIn::extended("", Path::new("/data/in box")).unwrap();
        assert!(first.ends_with("[Service]\nReadWritePaths=\"-/data/in box\"\n"), "{first}");
        assert_eq!(DropIn::extended(&first, Path::new("/data/in box")), None);
        let second = DropIn::extended(&first, Path::new("/home/ann/a:b")).unwrap();
        assert!(second.starts_with(&first), "{second}");
        assert!(second.ends_with("ProtectHome=tmpfs\nBindPaths=\"-/home/ann/a\\\\:b\"\n"), "{second}");
    }
}
