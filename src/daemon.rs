//! The world of production around the engine.

use crate::command::{Answer, Command};
use crate::config::{Config, Places};
use crate::report::{ReportError, Reports};

pub mod client;
pub mod control;
mod socket;
mod unstarted;

/// What `agent run` was asked to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Catch up, finish and end.
    pub once: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// Somebody asked it to stop, or `once` found everything in sync.
    Fine,
    /// `once`: something is still pending or has a problem.
    Pending(String),
    /// `once`: a hold waits for a person.
    Held(String),
    /// `once`: an account needs a sign-in.
    SignInNeeded(String),
}

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another agent holds the state directory; a sentence that names it.
    #[error("{0}")]
    Locked(String),
    /// The database is of a newer version, or broken; a sentence with the next step.
    #[error("{0}")]
    State(String),
    /// Anything else; a sentence.
    #[error("{0}")]
    Failed(String),
}

/// Runs the agent until it is told to stop.
#[expect(clippy::unused_async, reason = "the engine that runs here comes with its own branch")]
pub async fn run(_places: &Places, _config: Config, _options: RunOptions) -> Result<RunEnd, RunError> {
    Err(RunError::Failed("the engine is not part of this build".to_owned()))
}

/// Reports without a running agent: from the database, or, before the first run, from the configuration.
pub fn offline_reports(places: &Places, config: &Config) -> Result<Box<dyn Reports>, ReportError> {
    if places.database().exists() {
        return Err(ReportError::Failed("the database reader is not part of this build".to_owned()));
    }
    Ok(Box::new(unstarted::Unstarted::new(config.clone())))
}

/// Takes the lock and runs the engine for one command.
#[expect(clippy::unused_async, reason = "the engine that runs here comes with its own branch")]
pub async fn command_alone(_places: &Places, _config: &Config, _command: Command) -> Result<Answer, RunError> {
    Err(RunError::Failed("the engine is not part of this build".to_owned()))
}
