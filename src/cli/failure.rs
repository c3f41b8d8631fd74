//! What a command ends with: one list of exit codes, and errors as what, cause and next step.

use std::fmt;
use std::process::ExitCode;

use crate::config::edit::EditError;
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
    broken_pipe: bool,
}

impl Failure {
    /// Something that did not work.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), causes: Vec::new(), hint: None, broken_pipe: false }
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
        Self::error("the database cannot be read").because(error)
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
                Self { exit: Exit::Error, ..Self::complaints(what, &complaints) }
            }
            EditError::NotFound { ref known, .. } if known.is_empty() => {
                Self::of(Exit::Error, &error).hint("the configuration has none yet")
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
            ClientError::NotFound(_) | ClientError::Socket { .. } => Self::of(Exit::Error, &error),
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
            RunError::State(_) => Self::of(Exit::Config, &error),
            RunError::Failed(_) => Self::of(Exit::Error, &error),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::of(Exit::Error, &error)
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
            _ => failure,
        }
    }
}
