//! `agent held`, `agent approve` and `agent reject`: what waits for a person.

use clap::Args;

use super::agent::{self, Agent};
use super::failure::{Exit, Outcome};
use super::render::{Screen, Tone, age, count, harmless, now, some_of};
use crate::command::Command;
use crate::config::Places;
use crate::id::HoldId;
use crate::report::Listing;
use crate::shown::listed;

/// Paths shown of each hold.
const EXAMPLES_SHOWN: usize = 5;

/// List what waits for a person
///
/// Work that looks like an accident, such as very many deletions at once, is held until somebody approves or rejects it.
/// Everything else goes on.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent held
  agent held --json | jq '.rows[].id'")]
pub struct HeldArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Let a hold's work happen
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent held            # shows what waits, with its number
  agent approve 3")]
pub struct ApproveArgs {
    /// The hold's number, as `agent held` shows it
    id: i64,
}

/// Refuse a hold's work: what would have been deleted stays
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent held            # shows what waits, with its number
  agent reject 3        # what would have been deleted stays")]
pub struct RejectArgs {
    /// The hold's number, as `agent held` shows it
    id: i64,
}

/// Runs `agent held`.
pub async fn held(args: &HeldArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let holds = Agent::find(places).await?.held().await?;
    if args.json {
        screen.json(&Listing::new(holds))?;
        return Ok(Exit::Fine);
    }
    if holds.is_empty() {
        screen.line("Nothing waits for a person.")?;
        return Ok(Exit::Fine);
    }
    let now = now();
    for hold in &holds {
        let title = screen.tint(Tone::Warning, format_args!("hold {} in folder `{}`", hold.id, hold.folder));
        screen.line(format_args!("{title}: {}", harmless(&hold.text)))?;
        screen.line(format_args!("  {}, since {}", listed(hold.items, hold.lines), age(hold.since, now)))?;
        let shown = |path: &String| match hold.files_in(path) {
            Some(files) => format!("{path} ({})", count(files, "file")),
            None => path.clone(),
        };
        let examples: Vec<String> = hold.examples.iter().map(shown).collect();
        if !examples.is_empty() {
            screen.line(format_args!("  such as {}", some_of(&examples, EXAMPLES_SHOWN)))?;
        }
        screen.line(format_args!("  let it happen: agent approve {0}    refuse it: agent reject {0}", hold.id))?;
    }
    Ok(Exit::Fine)
}

/// Runs `agent approve`.
pub async fn approve(args: &ApproveArgs, places: &Places, screen: &mut Screen) -> Outcome {
    screen.line(agent::command(places, Command::Approve { hold: HoldId(args.id) }).await?)?;
    Ok(Exit::Fine)
}

/// Runs `agent reject`.
pub async fn reject(args: &RejectArgs, places: &Places, screen: &mut Screen) -> Outcome {
    screen.line(agent::command(places, Command::Reject { hold: HoldId(args.id) }).await?)?;
    Ok(Exit::Fine)
}
