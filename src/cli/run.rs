//! `agent run`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use clap::Args;

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, harmless};
use crate::config::{Config, Installation, Places};
use crate::daemon::client::ControlClient;
use crate::daemon::{self, RunEnd, RunOptions};
use crate::report::{FolderStatus, Status};
use crate::telemetry;

/// Run the agent in the foreground
///
/// This is what the service runs. It goes on until it is told to stop (Ctrl-C, SIGTERM); a second signal ends it at once.
/// What it logs is set by `log` in the configuration or by AGENT_LOG, such as `debug`; as JSON, one object a line, with
/// `log_format = "json"` or AGENT_LOG_FORMAT=json.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent run
  agent run --once              # catch up and end
  AGENT_LOG=debug agent run
  AGENT_LOG_FORMAT=json agent run 2> agent.log")]
pub struct RunArgs {
    /// Catch up with the cloud, finish, and end
    #[arg(long)]
    once: bool,
}

/// Runs `agent run`.
pub async fn run(args: &RunArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    telemetry::start(config.log.as_deref(), config.log_format)
        .map_err(|error| Failure::new(Exit::Config, error.to_string()).hint("see `agent run --help`"))?;
    if rustix::process::geteuid().is_root() && places.installation != Installation::Home {
        let advice = "running as root; the packaged service has a user of its own";
        screen.remark(Tone::Warning, "warning", advice);
    }
    places.make_state_dirs().map_err(|error| {
        Failure::error(format!("cannot make the state directory {}", places.state_dir.display())).because(error)
    })?;
    let once = args.once;
    if screen.is_terminal() && !once {
        tokio::spawn(greet(places.clone()));
    }
    match daemon::run(places, config, RunOptions { once, ..RunOptions::default() }).await? {
        RunEnd::Fine => Ok(Exit::Fine),
        RunEnd::Pending(why) => Err(Failure::new(Exit::Pending, why).hint("see `agent status` and `agent problems`")),
        RunEnd::Held(why) => Err(Failure::new(Exit::PersonNeeded, why).hint("see `agent held`")),
        RunEnd::SignInNeeded(why) => {
            Err(Failure::new(Exit::SignInNeeded, why).hint("sign in again: agent login PROVIDER --account NAME"))
        }
    }
}

/// How often a starting agent is asked whether it is ready.
const GREETED_EVERY: Duration = Duration::from_millis(50);
/// How long it may take until it is known who is signed in.
const GREETED_WITHIN: Duration = Duration::from_secs(10);

/// Says to a person at the terminal what has begun, once it has.
async fn greet(places: Places) {
    let until = Instant::now() + GREETED_WITHIN;
    let mut last = None;
    while Instant::now() < until {
        tokio::time::sleep(GREETED_EVERY).await;
        let Ok(Some(client)) = ControlClient::find(&places.socket).await else { continue };
        let Ok(status) = client.status().await else { continue };
        let known = status.accounts.iter().all(|account| account.login.is_some() || account.degraded.is_some());
        let opened = status.accounts.len() + status.folders.len() > 0 || last.is_some();
        last = Some(status);
        if known && opened {
            break;
        }
    }
    let Some(status) = last else { return };
    // A terminal that is gone needs no greeting.
    let _ = io::stdout().lock().write_all(greeting(&status).as_bytes());
}

fn greeting(status: &Status) -> String {
    let mut text = String::from("Ready. Stop with Ctrl-C.\n");
    for account in &status.accounts {
        let who = match (&account.degraded, &account.login) {
            (Some(degraded), _) => format!("{}; {}", degraded.cause, degraded.next_step),
            (None, Some(login)) => format!("signed in as {login}"),
            (None, None) => "not yet known who is signed in".to_owned(),
        };
        let _ = writeln!(text, "  account {} ({}): {}", account.name, account.provider, harmless(&who));
    }
    for folder in &status.folders {
        let FolderStatus { name, remote, local, mode, .. } = folder;
        let _ = writeln!(text, "  folder {name}: {} → {} ({mode})", harmless(remote), harmless(local));
    }
    text.push_str(match (status.accounts.is_empty(), status.folders.is_empty()) {
        (true, _) => "Nothing is configured yet; from another terminal: agent login box\n",
        (_, true) => "No folder yet; from another terminal: agent add-folder /REMOTE/FOLDER LOCAL\n",
        _ => "Look at it from another terminal: agent status --watch\n",
    });
    text
}
