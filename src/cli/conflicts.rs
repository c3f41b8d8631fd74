//! `agent conflicts` and `agent conflicts resolve`: where both sides wrote, and what a person keeps.

use clap::{Args, Subcommand, ValueEnum};

use super::agent::{self, Agent};
use super::failure::{Exit, Outcome};
use super::render::{Screen, Tone, age, count, harmless, now};
use crate::command::{Command, Keep};
use crate::config::Places;
use crate::report::Listing;

/// List the files of which both sides had something to say
///
/// The cloud's version keeps the name; what the disk had lies beside it as a conflict copy, and is in the cloud as well.
#[derive(Debug, Args)]
pub struct ConflictsArgs {
    #[command(subcommand)]
    resolve: Option<ConflictCommand>,
    /// Only those of this folder
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ConflictCommand {
    /// Decide one conflict, or all of them
    Resolve(ResolveArgs),
}

/// Decide one conflict, or all of them
#[derive(Debug, Args)]
struct ResolveArgs {
    /// The path that both wanted, or that of the copy, as `agent conflicts` shows it
    #[arg(required_unless_present = "all")]
    path: Option<String>,
    /// Decide every conflict
    #[arg(long, conflicts_with = "path")]
    all: bool,
    /// Only in this folder
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// What to keep
    #[arg(long, value_name = "WHICH")]
    keep: KeepWord,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeepWord {
    /// What has the name; the copy goes to the version store and the cloud's trash
    Remote,
    /// What the copy holds; it becomes a new version under the name
    Local,
    /// Both, as they are
    Both,
}

/// Runs `agent conflicts`.
pub async fn conflicts(args: &ConflictsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    if let Some(ConflictCommand::Resolve(args)) = &args.resolve {
        let keep = match args.keep {
            KeepWord::Remote => Keep::Remote,
            KeepWord::Local => Keep::Local,
            KeepWord::Both => Keep::Both,
        };
        let command = Command::Resolve { path: args.path.clone(), folder: args.folder.clone(), keep };
        screen.line(agent::command(places, command).await?)?;
        return Ok(Exit::Fine);
    }
    let conflicts = Agent::find(places).await?.conflicts(args.folder.as_deref()).await?;
    if args.json {
        screen.json(&Listing::new(conflicts))?;
        return Ok(Exit::Fine);
    }
    if conflicts.is_empty() {
        screen.line("No conflicts.")?;
        return Ok(Exit::Fine);
    }
    let now = now();
    for conflict in &conflicts {
        let title = screen.tint(Tone::Warning, format_args!("{}: {}", conflict.folder, harmless(&conflict.path)));
        screen.line(format_args!("{title}, since {}", age(conflict.since, now)))?;
        screen.line(format_args!("  copy: {}", harmless(&conflict.copy)))?;
    }
    let all = count(conflicts.len() as u64, "conflict");
    screen.line(format_args!("{all}; decide with: agent conflicts resolve PATH --keep local|remote|both"))?;
    Ok(Exit::Fine)
}
