//! `agent run`.

use clap::Args;

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone};
use crate::config::{Config, Installation, Places};
use crate::daemon::{self, RunEnd, RunOptions};
use crate::telemetry;

/// Run the agent in the foreground
///
/// This is what the service runs. It goes on until it is told to stop (Ctrl-C, SIGTERM); a second signal ends it at once.
/// What it logs is set by `log` in the configuration or by AGENT_LOG, such as `debug`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Catch up with the cloud, finish, and end
    #[arg(long)]
    once: bool,
}

/// Runs `agent run`.
pub async fn run(args: &RunArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    telemetry::start(config.log.as_deref())
        .map_err(|error| Failure::new(Exit::Config, "AGENT_LOG is not a log filter").because(error))?;
    if rustix::process::geteuid().is_root() && places.installation != Installation::Home {
        let advice = "running as root; the packaged service has a user of its own";
        screen.remark(Tone::Warning, "warning", advice);
    }
    places.make_state_dirs().map_err(|error| {
        Failure::error(format!("cannot make the state directory {}", places.state_dir.display())).because(error)
    })?;
    let once = args.once;
    match daemon::run(places, config, RunOptions { once, ..RunOptions::default() }).await? {
        RunEnd::Fine => Ok(Exit::Fine),
        RunEnd::Pending(why) => Err(Failure::new(Exit::Pending, why).hint("see `agent status` and `agent problems`")),
        RunEnd::Held(why) => Err(Failure::new(Exit::PersonNeeded, why).hint("see `agent held`")),
        RunEnd::SignInNeeded(why) => {
            Err(Failure::new(Exit::SignInNeeded, why).hint("sign in again: agent login PROVIDER --account NAME"))
        }
    }
}
