//! `agent web`: the way to the page in the browser.

use std::io::{self, IsTerminal};

use clap::Args;

use super::agent::{Agent, accepted};
use super::failure::{Exit, Failure, Outcome};
use super::render::Screen;
use crate::config::{Config, PasswordHash, Places};

/// The longest password that is read.
const PASSWORD_MAX_BYTES: u64 = 4_096;

/// Look at the agent in a browser
///
/// Prints a link that works once, for five minutes. It has the rights of whoever asks for it: the agent's owner and root may change
/// everything, the group of the control socket may look. Without `web = "127.0.0.1:8477"` in the configuration the page is served on a
/// free port of this machine until nobody has used it for a while.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent web
  agent web --open
  ssh -L 8477:127.0.0.1:8477 server    # then, on the server: agent web
  agent web --metrics-token            # for Prometheus, at /metrics of the page's address
  agent web --hash-password < password # for web_password_hash")]
pub struct WebArgs {
    /// Open it in the desktop's browser too
    #[arg(long)]
    open: bool,
    /// Print the token that opens /metrics of the page to a monitoring system
    #[arg(long, conflicts_with = "open")]
    metrics_token: bool,
    /// Read a password from standard input, and print what web_password_hash takes
    #[arg(long, conflicts_with_all = ["open", "metrics_token"])]
    hash_password: bool,
}

/// Runs `agent web`.
pub async fn web(args: &WebArgs, places: &Places, screen: &mut Screen) -> Outcome {
    if args.hash_password {
        return hash_password(screen);
    }
    let agent = Agent::running(places).await?;
    if args.metrics_token {
        screen.line(accepted(agent.metrics_token().await?)?)?;
        return Ok(Exit::Fine);
    }
    let link = accepted(agent.web_link().await?)?;
    screen.line(&link)?;
    screen.flush()?;
    if io::stdout().is_terminal() {
        let lasting = Config::load(places).is_ok_and(|config| config.web.is_some());
        screen.line("It works once, for five minutes.")?;
        if !lasting {
            screen.line("To keep the page on: web = \"127.0.0.1:8477\" at the top of the configuration.")?;
        }
    }
    if args.open {
        open::that_detached(&link).map_err(|error| {
            Failure::error("no browser could be started").because(error).hint("open the link above yourself")
        })?;
    }
    Ok(Exit::Fine)
}

fn hash_password(screen: &mut Screen) -> Outcome {
    let mut password = String::new();
    io::Read::read_to_string(&mut io::Read::take(io::stdin(), PASSWORD_MAX_BYTES), &mut password)?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.chars().count() < 12 {
        return Err(
            Failure::error("this password is too short").hint("12 characters at least; a sentence is easy to keep")
        );
    }
    let hash = PasswordHash::of(password)
        .ok_or_else(|| Failure::error("this system has no randomness").hint("look at /dev/urandom"))?;
    screen.line(hash.text())?;
    Ok(Exit::Fine)
}
