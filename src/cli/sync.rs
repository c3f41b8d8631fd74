//! `agent sync`, `agent pause` and `agent resume`.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::agent::{self, Agent};
use super::failure::{Exit, Outcome};
use super::render::{Screen, now};
use super::wait::{self, Wish};
use crate::command::Command;
use crate::config::Places;
use crate::report::SCHEMA_VERSION;

/// Ask the cloud for news now
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent sync
  agent sync inbox --full --wait --timeout 10m")]
pub struct SyncArgs {
    /// The folder [default: all]
    name: Option<String>,
    /// Compare the whole folder with the cloud
    #[arg(long)]
    full: bool,
    /// Come back when it is done
    #[arg(long)]
    wait: bool,
    /// How long to wait at most, such as 60s
    #[arg(long, value_name = "TIME", value_parser = wait::time, requires = "wait")]
    timeout: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Stop starting new work until `agent resume`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent pause inbox
  agent pause")]
pub struct PauseArgs {
    /// The folder [default: all]
    name: Option<String>,
}

/// Go on after `agent pause`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent resume inbox
  agent resume")]
pub struct ResumeArgs {
    /// The folder [default: all]
    name: Option<String>,
}

/// Runs `agent sync`.
pub async fn sync(args: SyncArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let client = Agent::running(places).await?;
    let asked = now();
    let answer = client.command(&Command::Sync { folder: args.name.clone(), full: args.full }).await?;
    let message = agent::accepted(answer)?;
    if !args.wait {
        if args.json {
            screen.json(&json!({ "schema": SCHEMA_VERSION, "folder": args.name, "message": message }))?;
        } else {
            screen.line(message)?;
        }
        return Ok(Exit::Fine);
    }
    let wish =
        Wish { folder: args.name, polled_since: Some(asked), verified_since: args.full.then_some(asked), fresh: None };
    wish.tell(places, args.timeout, args.json, screen).await
}

/// Runs `agent pause`.
pub async fn pause(args: PauseArgs, places: &Places, screen: &mut Screen) -> Outcome {
    screen.line(agent::command(places, Command::Pause { folder: args.name }).await?)?;
    Ok(Exit::Fine)
}

/// Runs `agent resume`.
pub async fn resume(args: ResumeArgs, places: &Places, screen: &mut Screen) -> Outcome {
    screen.line(agent::command(places, Command::Resume { folder: args.name }).await?)?;
    Ok(Exit::Fine)
}
