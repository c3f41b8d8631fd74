//! The log: to standard error, at a level that an operator can bear, in a form that the reader expects.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// What is logged when nobody asked for anything else.
const DEFAULT_FILTER: &str = "info";
/// The environment variables that overrule the configuration.
const FILTER_VARIABLE: &str = "AGENT_LOG";
const FORMAT_VARIABLE: &str = "AGENT_LOG_FORMAT";

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl LogFormat {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be understood.
    #[error("{FILTER_VARIABLE} is not a log filter: {0}")]
    Filter(#[from] ParseError),
    /// The format is none.
    #[error("{FORMAT_VARIABLE} is `{0}`; it can be text or json")]
    Format(String),
}

/// Starts logging for the rest of the process. Under systemd the journal stamps the time, so we do not.
pub fn start(configured: Option<&str>, format: LogFormat) -> Result<(), LogError> {
    let from_environment = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let filter = from_environment(FILTER_VARIABLE);
    let filter = EnvFilter::try_new(filter.as_deref().or(configured).unwrap_or(DEFAULT_FILTER))?;
    let format = match from_environment(FORMAT_VARIABLE) {
        Some(word) => match LogFormat::WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, format)) => *format,
            None => return Err(LogError::Format(word)),
        },
        None => format,
    };
    let terminal = io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour);
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some() && !terminal;
    // A second start in one process (tests) leaves the first one's log in place.
    let _ = match format {
        LogFormat::Json => log.json().flatten_event(true).with_ansi(false).try_init(),
        LogFormat::Text if to_journal => log.without_time().with_target(false).try_init(),
        LogFormat::Text => log.try_init(),
    };
    Ok(())
}
