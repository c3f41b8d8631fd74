//! The log: to standard error, at a level that an operator can bear, in a form that the reader expects.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// What is logged when nobody asked for anything else.
const DEFAULT_FILTER: &str = "info";
/// The environment variable that overrules the configuration.
const FILTER_VARIABLE: &str = "AGENT_LOG";

/// Starts logging for the rest of the process. Under systemd the journal stamps the time, so we do not.
pub fn start(configured: Option<&str>) -> Result<(), ParseError> {
    let from_environment = std::env::var(FILTER_VARIABLE).ok().filter(|filter| !filter.is_empty());
    let filter = from_environment.as_deref().or(configured).unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::try_new(filter)?;
    let terminal = io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour);
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some() && !terminal;
    // A second start in one process (tests) leaves the first one's log in place.
    let _ = if to_journal { log.without_time().with_target(false).try_init() } else { log.try_init() };
    Ok(())
}
