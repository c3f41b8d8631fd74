//! What a command ends with: one list of exit codes, and errors as what, cause and next step.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::config::edit::{EditError, Kind};
use crate::config::places::PlacesError;
use crate::config::{Complaint, ConfigError};
use crate::daemon::RunError;
use crate::daemon::client::ClientError;
use crate::provider::{Cure, ProviderError, ProviderErrorKind};
use crate::report::ReportError;

/// The exit codes of every command (design §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Fine = 0,
    /// It did not work.
    Error = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Not in sync, or still pending.
    Pending = 3,
    /// A person must decide.
    PersonNeeded = 4,
    /// Try again later.
    Temporary = 5,
    /// No agent is running.
    NoAgent = 6,
    /// Somebody must sign in.
    SignInNeeded = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// How a command ends.
pub type Outcome<T = Exit> = Result<T, Failure>;

/// Why a command did not do its work, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What did not work, in one sentence without its full stop.
    pub what: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// The sentences themselves say what to do.
    names_step: bool,
    broken_pipe: bool,
}

impl Failure {
    /// Something that did not work.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), causes: Vec::new(), hint: None, names_step: false, broken_pipe: false }
    }

    /// A plain error.
    pub fn error(what: impl Into<String>) -> Self {
        Self::new(Exit::Error, what)
    }

    /// Adds why.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that the sentences themselves name the next step.
    #[must_use]
    pub fn naming_step(mut self) -> Self {
        self.names_step = true;
        self
    }

    /// What to do next, unless the sentences before say it: what was said where the error was made, else what the system's reason asks for,
    /// else where to look further.
    pub fn next_step(&self) -> Option<String> {
        if self.hint.is_some() || self.names_step {
            return self.hint.clone();
        }
        let reason = self.causes.iter().chain([&self.what]).find_map(|cause| system_reason(cause));
        let elsewhere = match self.exit {
            Exit::Usage => "the command's own help shows how: agent COMMAND --help",
            Exit::Temporary => "try again in a moment",
            Exit::Config => "see what is wrong with the configuration: agent config check",
            Exit::NoAgent => "start the agent: agent run",
            Exit::SignInNeeded => "sign in: agent login PROVIDER --account NAME",
            Exit::PersonNeeded => "see what waits for you: agent held",
            Exit::Fine | Exit::Error | Exit::Pending => "have everything checked that the agent needs: agent doctor",
        };
        Some(reason.and_then(for_reason).unwrap_or(elsewhere).to_owned())
    }

    fn of(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut failure = Self::new(exit, error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            failure.causes.push(error.to_string());
            source = error.source();
        }
        failure
    }

    fn complaints(what: String, complaints: &[Complaint]) -> Self {
        let mut failure = Self::new(Exit::Config, what);
        failure.causes = complaints.iter().map(ToString::to_string).collect();
        failure
    }
}

impl Failure {
    /// Whether the reader of our output went away.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

/// The kind of the system's error that a text ends with: the library writes its number behind it.
fn system_reason(text: &str) -> Option<io::ErrorKind> {
    let number = text.rsplit_once("(os error ")?.1.strip_suffix(')')?.parse().ok()?;
    Some(io::Error::from_raw_os_error(number).kind())
}

/// What helps against a reason of the system.
fn for_reason(reason: io::ErrorKind) -> Option<&'static str> {
    Some(match reason {
        io::ErrorKind::PermissionDenied => "run the command with sudo, or as the user whom the file belongs to",
        io::ErrorKind::NotFound => "look whether the path is right, and everything above it is there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on the disk, and give the command again"
        }
        io::ErrorKind::ReadOnlyFilesystem => "have the disk mounted for writing, or choose another place",
        io::ErrorKind::AlreadyExists => "choose another name, or remove what is there",
        io::ErrorKind::IsADirectory => "name a file, not a directory",
        io::ErrorKind::NotADirectory => "name a directory, and look whether everything above it is one",
        io::ErrorKind::AddrInUse => "something else uses that port: choose another one",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        io::ErrorKind::InvalidFilename => "choose a shorter name",
        _ => return None,
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let broken_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { broken_pipe, ..Self::error("reading or writing failed").because(error) }
    }
}

impl From<PlacesError> for Failure {
    fn from(error: PlacesError) -> Self {
        Self::of(Exit::Error, &error).hint("set HOME, or keep everything in one directory: agent --home DIR …")
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Wrong { complaints, .. } => Self::complaints(error.to_string(), complaints)
                .hint("correct the file, then look again: agent config check"),
            ConfigError::Unsafe { hint, .. } => Self::of(Exit::Config, &error).hint(hint.clone()),
            ConfigError::Unreadable { .. } => Self::of(Exit::Config, &error),
        }
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        Self::error("the database cannot be read").because(error).hint("see what is wrong with it: agent db check")
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Before(before) => before.into(),
            EditError::After { mut complaints } => {
                // The places are those of a file that will never exist.
                for complaint in &mut complaints {
                    (complaint.line, complaint.column) = (None, None);
                }
                let what = "this would make the configuration wrong; nothing was changed".to_owned();
                let failure = Self { exit: Exit::Error, ..Self::complaints(what, &complaints) };
                match complaints.iter().find(|complaint| complaint.hint.is_none()) {
                    None => failure.naming_step(),
                    // `folder.inbox.local` is explained as `folder.local`.
                    Some(Complaint { key, .. }) => match (key.split('.').next(), key.rsplit('.').next()) {
                        (Some(table), Some(key)) if !key.is_empty() && table != key => {
                            failure.hint(format!("what it takes: agent config reference {table}.{key}"))
                        }
                        _ => failure.hint("what each key takes: agent config reference"),
                    },
                }
            }
            EditError::NotFound { kind, ref known, .. } if known.is_empty() => {
                let add = match kind {
                    Kind::Account => "there is none; sign in first: agent login box, or agent login egnyte",
                    Kind::Folder => "there is none; add one: agent add-folder /REMOTE/FOLDER LOCAL",
                    Kind::Hook => "there is none; add one, as `agent add-hook --help` shows",
                    Kind::Subscription => "there is none; add one, as `agent subscribe --help` shows",
                };
                Self::of(Exit::Error, &error).hint(add)
            }
            EditError::NotFound { ref known, .. } => {
                let hint = format!("there is {}", known.join(", "));
                Self::of(Exit::Error, &error).hint(hint)
            }
            EditError::Write { .. } => Self::of(Exit::Error, &error),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Forbidden(_) => Self::of(Exit::Error, &error)
                .hint("run the command with sudo, or join the group folder-sync-agent to look at the service's state"),
            ClientError::NotOwner(_) => Self::of(Exit::Error, &error).hint("run the command with sudo"),
            ClientError::NotFound(_) => {
                Self::of(Exit::Error, &error).hint("`agent folders` lists what is watched, and where")
            }
            ClientError::Socket { .. } => Self::of(Exit::Error, &error),
            ClientError::Failed(_) | ClientError::Gone(_) => Self::of(Exit::Temporary, &error).hint("try again"),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match &error {
            RunError::Locked(_) => {
                Self::of(Exit::Temporary, &error).hint("stop the other agent, or use it: agent status")
            }
            RunError::State(_) => {
                Self::of(Exit::Config, &error).hint("more of the database: agent db check, agent db --help")
            }
            RunError::Failed(_) => Self::of(Exit::Error, &error),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let failure = Self::of(Exit::Error, &error);
        match error {
            ReportError::NotFound(_) => failure.hint("`agent folders` lists what is watched, and where"),
            ReportError::Failed(_) => failure.hint("see what is wrong with the database: agent db check"),
        }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let exit = match (error.kind, error.cure()) {
            (ProviderErrorKind::SignInNeeded, _) => Exit::SignInNeeded,
            (_, Cure::Time) => Exit::Temporary,
            (_, Cure::Change) => Exit::Error,
        };
        let failure = Self::new(exit, error.to_string());
        match exit {
            Exit::SignInNeeded => failure.hint("sign in again: agent login PROVIDER --account NAME"),
            Exit::Temporary => match error.retry_after {
                Some(wait) => failure.hint(format!("try again in {} seconds", wait.as_secs().max(1))),
                None => failure.hint("try again later"),
            },
            _ => match error.kind {
                ProviderErrorKind::Forbidden => failure.hint(
                    "ask whoever owns it in the cloud for the right, or sign in with an app that has the scope for it",
                ),
                ProviderErrorKind::NotFound => {
                    failure.hint("look in the cloud whether it is there, and shared with this account")
                }
                _ => failure,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_follows_from_the_reason() {
        let of = |kind: rustix::io::Errno| {
            Failure::error("cannot write x").because(io::Error::from(kind)).next_step().unwrap_or_default()
        };
        assert!(of(rustix::io::Errno::ACCESS).contains("sudo"));
        assert!(of(rustix::io::Errno::NOSPC).contains("make room"));
        assert!(of(rustix::io::Errno::ROFS).contains("mounted"));
        assert!(of(rustix::io::Errno::NOENT).contains("path"));
        assert!(of(rustix::io::Errno::PROTO).contains("agent doctor"), "one that says nothing");
        let said = Failure::error("x").because(io::Error::from(rustix::io::Errno::ACCESS)).hint("do this").next_step();
        assert_eq!(said.as_deref(), Some("do this"), "what was said where it happened counts first");
        assert_eq!(Failure::error("x; do this").naming_step().next_step(), None);
    }

    #[test]
    fn every_end_has_a_next_step() {
        let exits = [
            Exit::Error,
            Exit::Usage,
            Exit::Pending,
            Exit::PersonNeeded,
            Exit::Temporary,
            Exit::NoAgent,
            Exit::SignInNeeded,
            Exit::Config,
        ];
        for exit in exits {
            let step = Failure::new(exit, "x").next_step().unwrap_or_default();
            assert!(step.contains("agent ") || exit == Exit::Temporary, "{exit:?}");
        }
    }
}
